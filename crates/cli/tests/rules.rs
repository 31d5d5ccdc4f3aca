//! `rules`: why a request is allowed, and what is set.

use serde_json::{Value, json};

use super::remote::{World, shop};
use super::{path, write};

#[test]
fn rules_explain_themselves() {
    let (world, shop) = (World::new(), shop());
    let rules = r#"{ "database": "shop", "collection": "orders", "roles": [
        { "name": "buyer", "apply_when": { "buyer": "%%user.id" }, "read": true,
          "fields": {}, "write": false } ] }"#;
    write(&shop, "data_sources/db/shop/orders/rules.json", rules);
    world.push(&shop);
    let create = ["users", "create", "--email", "a@b.example"];
    let made = world.lines(&[&create[..], &["--password", "secret-1"]].concat());
    let user = made[0]["doc"]["id"].as_str().unwrap();
    let explain = |action: &str, rest: &str| {
        let args = format!(r#"{{"database":"shop","collection":"orders",{rest}}}"#);
        let words = ["rules", "explain", "--user", user, "--service", "db"];
        world.well(&[&words[..], &["--name", action, "--args", &args]].concat())
    };
    let said = explain(
        "insertOne",
        &format!(r#""document":{{"_id":"x","buyer":"{user}"}}"#),
    );
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let test = format!(r#"{{"%%root.buyer":"%%user.id"}} is true: "{user}" against "{user}""#);
    assert_eq!(
        lines,
        [
            "refused",
            r#"insert "x": refused, role buyer"#,
            "write is false",
            "roles[0].apply_when is true",
            &test,
            "roles[0].write is false",
            "the caller gets: insert not permitted (NoMatchingRuleFound)",
            "the log says: role 'buyer': write is false",
        ]
    );
    assert_eq!(explain("find", r#""query":{}"#).trim(), "allowed");
    let words = ["rules", "explain", "--user", user, "--name", "sum"];
    assert!(world.well(&words).contains("the function is private"));
    let machine = world.lines(&words);
    assert_eq!(machine[0]["doc"]["private"], json!(true));
    assert!(
        world
            .fails(&[&words[..], &["--args", "{"]].concat())
            .contains("--args is no JSON")
    );
    let nobody = ["rules", "explain", "--user", "5f0000000000000000000001"];
    let error = world.fails(&[&nobody[..], &["--name", "sum"]].concat());
    assert!(error.contains("404"), "{error}");
}

#[test]
fn rules_have_settings() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let set = |flags: &[&str]| {
        let words = [&["rules", "settings"][..], flags].concat();
        world.lines(&words)[0]["doc"].clone()
    };
    let nothing = json!({
        "allow_user_operators": [], "compat": { "field_write_under_false": false },
        "protect_hidden_fields": false,
    });
    assert_eq!(set(&[]), nothing);
    let flags = [
        "--allow",
        "$regex",
        "--allow",
        "$expr",
        "--protect-hidden-fields",
        "on",
    ];
    let some = json!({
        "allow_user_operators": ["$regex", "$expr"], "protect_hidden_fields": true,
        "compat": { "field_write_under_false": false },
    });
    assert_eq!(set(&flags), some);
    assert_eq!(set(&["--service", "db"]), some);
    let flags = ["--refuse", "$expr", "--field-write-under-false", "on"];
    let other = json!({
        "allow_user_operators": ["$regex"], "protect_hidden_fields": true,
        "compat": { "field_write_under_false": true },
    });
    assert_eq!(set(&flags), other);
    // They are part of what is exported, and a push of that brings them back.
    world.well(&["pull", "--local", path(&shop), "--yes"]);
    let file = std::fs::read_to_string(shop.path().join("data_sources/db/config.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["config"]["rules"], other);
    set(&["--refuse", "$regex", "--protect-hidden-fields", "off"]);
    world.push(&shop);
    assert_eq!(set(&[]), other);
    // What cannot be allowed, and what is not there.
    let code = world.fails(&["rules", "settings", "--allow", "$where"]);
    assert!(
        code.contains("'$where' cannot be allowed: it runs code"),
        "{code}"
    );
    assert_eq!(set(&[]), other);
    let nowhere = world.fails(&["rules", "settings", "--service", "x"]);
    assert!(nowhere.contains("there is no data source 'x'"), "{nowhere}");
    // An explanation tells of them.
    let create = ["users", "create", "--email", "a@b.example"];
    let made = world.lines(&[&create[..], &["--password", "secret-1"]].concat());
    let user = made[0]["doc"]["id"].as_str().unwrap();
    let explain = [
        "rules",
        "explain",
        "--user",
        user,
        "--service",
        "db",
        "--name",
        "find",
    ];
    let args = r#"{"database":"shop","collection":"orders","query":{}}"#;
    let said = world.well(&[&explain[..], &["--args", args]].concat());
    let line =
        "set: allow_user_operators $regex; compat.field_write_under_false; protect_hidden_fields";
    assert!(said.contains(line), "{said}");
}
