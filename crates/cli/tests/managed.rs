//! What an app has beside its configuration: secrets, addresses and users.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::remote::{World, shop};
use super::run;

#[test]
fn secrets_and_addresses() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    assert_eq!(world.well(&["secrets", "list"]), "there are no secrets\n");
    world.well(&["secrets", "create", "-n", "key", "-v", "one"]);
    let twice = world.fails(&["secrets", "create", "-n", "key", "-v", "one"]);
    assert!(twice.contains("409"), "{twice}");
    world.well(&["secrets", "update", "-s", "key", "-n", "other", "-v", "two"]);
    // Renamed, with the value that it has.
    world.well(&["secrets", "update", "-s", "other", "-n", "third"]);
    world.well(&["secrets", "update", "-s", "third", "-n", "other"]);
    let none = world.fails(&["secrets", "update", "-s", "key", "-v", "two"]);
    assert_eq!(none, "backstitch: there is no secret key\n");
    let listed = world.lines(&["secrets", "list"]);
    assert_eq!(listed[0]["data"][0]["Name"], "other");
    assert!(!world.well(&["secrets", "list"]).contains("two"));
    assert!(
        world
            .fails(&["secrets", "list", "-a", "nothing"])
            .contains("no app nothing")
    );
    assert!(
        world
            .fails(&["secrets", "delete", "-s", "key", "-y"])
            .contains("no secret key")
    );
    let gone = world.lines(&["secrets", "delete", "-s", "other", "-y"]);
    assert_eq!(gone[0]["data"][0]["Deleted"], "true");

    let listed = world.lines(&["accessList", "list"]);
    assert_eq!(listed[0]["data"][0]["IP Address"], "0.0.0.0/0");
    world.well(&[
        "accessList",
        "create",
        "--ip",
        "10.0.0.0/8",
        "--comment",
        "inside",
    ]);
    assert!(
        world
            .fails(&["accessList", "create", "--ip", "nowhere"])
            .contains("400")
    );
    assert_eq!(run(&mut world.command(&["accessList", "create"])).0, 2);
    world.well(&[
        "accessList",
        "update",
        "--ip",
        "10.0.0.0/8",
        "--new-ip",
        "10.1.0.0/16",
    ]);
    let listed = world.lines(&["accessList", "list"]);
    let wanted = json!({ "IP Address": "10.1.0.0/16", "Comment": "inside" });
    assert_eq!(listed[0]["data"][1], wanted);
    let none = world.fails(&[
        "accessList",
        "update",
        "--ip",
        "10.0.0.0/8",
        "--comment",
        "x",
    ]);
    assert_eq!(none, "backstitch: there is no address 10.0.0.0/8\n");
    assert!(
        world
            .fails(&["accessList", "delete", "--ip", "1.1.1.1", "-y"])
            .contains("no address 1.1.1.1")
    );
    world.well(&["accessList", "delete", "--ip", "10.1.0.0/16", "-y"]);
    let listed = world.lines(&["accessList", "list"]);
    assert_eq!(listed[0]["data"].as_array().unwrap().len(), 1);
}

#[test]
fn users_are_managed() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    assert_eq!(world.well(&["users", "list"]), "there are no users\n");
    let create = ["users", "create", "--email", "a@shop.example", "--password"];
    let made = world.lines(&[&create[..], &["secret-1"]].concat());
    let id = made[0]["doc"]["id"].as_str().unwrap();
    assert!(
        world
            .fails(&[&create[..], &["secret-1"]].concat())
            .contains("409")
    );
    let key = world.lines(&["users", "create", "--type", "api-key", "--name", "robot"]);
    assert!(
        key[0]["doc"]["key"]
            .as_str()
            .is_some_and(|key| !key.is_empty())
    );
    let all = world.lines(&["users", "list"]);
    let first = all[0]["data"].as_array().unwrap().len();
    // More than a page of them.
    for n in 0..60 {
        let email = format!("u{n}@shop.example");
        world.well(&[
            "users",
            "create",
            "--email",
            &email,
            "--password",
            "secret-1",
        ]);
    }
    let all = world.lines(&["users", "list"]);
    assert_eq!(
        all[0]["data"].as_array().unwrap().len(),
        first + 60,
        "{all:?}"
    );
    let one = world.lines(&["users", "list", "-u", id]);
    assert_eq!(one[0]["message"], "Provider type: User/Password");
    let mut shown = one[0]["data"][0].clone();
    let last = shown
        .as_object_mut()
        .unwrap()
        .shift_remove("Last Authenticated");
    assert_eq!(last.unwrap(), "n/a");
    let wanted = json!({
        "Email": "a@shop.example", "ID": id, "Type": "normal", "Enabled": "true",
    });
    assert_eq!(shown, wanted);
    world.well(&["users", "disable", "-u", id]);
    let off = world.lines(&["users", "list", "--state", "disabled"]);
    assert_eq!(off[0]["data"][0]["ID"], id);
    assert_eq!(off[0]["data"].as_array().unwrap().len(), 1);
    world.well(&["users", "enable", "-u", id]);
    let off = world.well(&["users", "list", "--state", "disabled"]);
    assert_eq!(off, "there are no users\n");
    world.well(&["users", "revoke", "-u", id]);
    for verb in ["disable", "enable", "revoke", "delete"] {
        let none = world.fails(&["users", verb, "-u", "0123456789abcdef01234567", "-y"]);
        assert!(none.contains("404: user not found"), "{none}");
    }
    world.well(&["users", "delete", "-u", id, "-y"]);
    // By what they have in common, and never all of them for want of words.
    assert_eq!(run(&mut world.command(&["users", "delete", "-y"])).0, 2);
    let one = world.lines(&["users", "list", "--provider", "local-userpass"]);
    let one = one[0]["data"][0]["ID"].as_str().unwrap();
    world.well(&["users", "disable", "-u", one]);
    let gone = ["users", "delete", "--state", "disabled"];
    let asked = world.fails(&gone);
    assert!(asked.contains(&format!("Delete {one}?")), "{asked}");
    let gone = world.lines(&[&gone[..], &["-y"]].concat());
    assert_eq!(gone[0]["data"].as_array().unwrap().len(), 1);
    let ended = world.lines(&["users", "revoke", "--provider", "api-key,local-userpass"]);
    assert!(
        ended[0]["data"].as_array().unwrap().len() >= 59,
        "{ended:?}"
    );
    assert!(world.fails(&["users", "list", "-u", id]).contains("404"));
    let none = "there are no users\n";
    assert_eq!(world.well(&["users", "list", "--pending"]), none);
}

#[test]
fn who_is_pending_is_shown_and_removed() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let app = world.ask("GET", &world.app(), &Value::Null);
    let app = app["client_app_id"].as_str().unwrap();
    let door = format!("/api/client/v2.0/app/{app}/auth/providers/local-userpass");
    let client = |verb: &str, body: &Value| {
        let path = format!("{door}/{verb}");
        world.served.ask("POST", &path, "", body).0
    };
    for email in ["a+b@shop.example", "c@shop.example"] {
        let body = json!({ "email": email, "password": "secret-1" });
        assert_eq!(client("register", &body), 201);
    }
    assert_eq!(world.well(&["users", "list"]), "there are no users\n");
    let table = |words: &[&str]| {
        let shown = world.lines(&[&["users"], words].concat());
        assert_eq!(shown[0]["message"], "Provider type: User/Password");
        shown[0]["data"].as_array().unwrap().clone()
    };
    let waiting = table(&["list", "--pending"]);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert_eq!(waiting[0]["Email"], "a+b@shop.example");
    assert_eq!(waiting[0]["Last Authenticated"], "n/a");
    let id = waiting[0]["ID"].as_str().unwrap();
    let refused = world.fails(&["users", "revoke", "--pending", "-u", id]);
    assert!(refused.contains("no session"), "{refused}");
    // One of them, whose address is no plain part of a path.
    let gone = table(&["delete", "--pending", "-u", id, "-y"]);
    assert_eq!((gone.len(), &gone[0]["Deleted"]), (1, &json!("true")));
    let left = table(&["list", "--pending", "--provider", "local-userpass"]);
    assert_eq!(
        (left.len(), &left[0]["Email"]),
        (1, &json!("c@shop.example"))
    );
    let login = |email: &str| {
        let body = json!({ "username": email, "password": "secret-1" });
        client("login", &body)
    };
    assert_eq!(login("a+b@shop.example"), 401);
    assert_eq!(login("c@shop.example"), 200);
    let none = "there are no users\n";
    assert_eq!(world.well(&["users", "list", "--pending"]), none);
    let all = table(&["list"]);
    assert_ne!(all[0]["Last Authenticated"], "n/a");
}

#[test]
fn users_come_along() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let lines = shop.path().join("users.jsonl");
    let mut text = "\n  \n".to_owned();
    for n in 0..1200 {
        writeln!(text, r#"{{"email":"u{n}@x","_id":"{n:024}"}}"#).unwrap();
    }
    text.push_str("\nno JSON\n{\"email\":\"\"}");
    std::fs::write(&lines, &text).unwrap();
    let name = lines.to_str().unwrap();
    let (code, said, errors) = run(&mut world.command(&["users", "import", name]));
    assert_eq!(code, 1, "{said}{errors}");
    assert!(errors.contains("not done: 2"), "{errors}");
    for line in ["1204", "1205"] {
        assert!(said.contains(line), "{said}");
    }
    // Done again, with what was wrong made good, and as a list.
    let text: Vec<&str> = text.lines().filter(|line| line.contains("_id")).collect();
    std::fs::write(&lines, format!("\n[{}]", text.join(",\n"))).unwrap();
    let done = world.lines(&["users", "import", name]);
    assert_eq!(
        done[0]["doc"],
        json!({ "created": 0, "existing": 1200, "refused": 0 })
    );
    let one = world.lines(&["users", "list", "-u", "000000000000000000000007"]);
    assert_eq!(one[0]["data"][0]["Email"], "u7@x");
    std::fs::write(&lines, "[{\"email\":\"last@x\"},").unwrap();
    world.fails(&["users", "import", name]);
    assert!(
        world
            .fails(&["users", "import", "none.jsonl"])
            .contains("none.jsonl")
    );
}

#[test]
fn the_key_of_an_app_is_rotated() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let rotate = ["apps", "rotate-signing-key"];
    let made = world.lines(&[&rotate[..], &["--grace", "60"]].concat());
    assert_eq!(made[0]["doc"]["version"], 1);
    assert_eq!(made[0]["doc"]["former"][0]["version"], 0);
    let now = [&rotate[..], &["--now"]].concat();
    assert!(world.fails(&now).contains("End every session"));
    let made = world.lines(&[&now[..], &["-y"]].concat());
    assert_eq!(made[0]["doc"], json!({ "version": 2, "former": [] }));
    let both = [&now[..], &["--grace", "60"]].concat();
    assert_eq!(run(&mut world.command(&both)).0, 2);
}
