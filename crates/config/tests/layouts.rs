//! What is read in each layout, and what is said of the rest.

use config::{AppConfig, Files, Kind, parse, read};

fn config(fixture: &str) -> (AppConfig, Vec<String>) {
    let (config, findings) = parse(&Files::from_fixture(fixture));
    let said = findings.iter().map(ToString::to_string).collect();
    (config.expect("a value"), said)
}

const OLDER: &str = r#"
//- /config.json
{ "name": "old", "custom_user_data_config": { "enabled": false }, "sync": null }
//- /auth_providers/anon-user.json
{ "type": "anon-user" }
//- /functions/f/config.json
{ "name": "f", "private": true }
//- /functions/f/source.js
exports = 1
//- /functions/folder/g/source.js
exports = 2
//- /services/db/config.json
{ "name": "db", "type": "mongodb-atlas", "config": {} }
//- /services/db/rules/shop.items.json
{ "database": "shop", "collection": "items", "roles": [], "schema": { "title": "Item" } }
//- /services/db/rules/shop.only.json
{ "database": "shop", "collection": "only", "schema": {} }
//- /services/web/config.json
{ "name": "web", "type": "http" }
//- /services/web/rules/all.json
{ "name": "all" }
"#;

#[test]
fn older_layouts_have_the_same_nodes() {
    let (config, said) = config(OLDER);
    let private = |name| config.get(Kind::Function, name).map(|f| f.flag("private"));
    assert_eq!(private("f"), Some(true));
    assert_eq!(
        private("folder/g"),
        Some(false),
        "without an entry: the defaults"
    );
    assert!(config.get(Kind::DataSource, "db").is_some());
    assert!(config.get(Kind::Service, "web").is_some());
    assert!(config.get(Kind::ServiceRule, "web/all").is_some());
    let rule = config.get(Kind::Rule, "db/shop/items").expect("a rule");
    assert!(
        rule.at("/schema").is_none(),
        "a schema is a node of its own"
    );
    let schema = config.get(Kind::Schema, "db/shop/items").expect("a schema");
    assert_eq!(schema.text("title"), "Item");
    assert!(config.get(Kind::Rule, "db/shop/only").is_none());
    assert!(config.get(Kind::CustomUserData, "").is_some());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("functions/folder/g/source.js:1: warning: "),
        "{said:?}"
    );
}

#[test]
fn a_source_without_an_entry_gets_the_defaults() {
    let (config, said) =
        config("//- /realm_config.json\n{\"name\":\"a\"}\n//- /functions/x/y.js\nexports = 1;\n");
    let printed = config::print(&config);
    let list = printed.get("functions/config.json").expect("the list");
    let list: serde_json::Value = serde_json::from_slice(list).expect("JSON");
    assert_eq!(
        list,
        serde_json::json!([{ "name": "x/y", "private": false }])
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("everyone may call it"), "{said:?}");
}

#[test]
fn a_list_may_be_null() {
    let (config, said) = config(
        "//- /realm_config.json\n{\"name\":\"a\"}\n//- /http_endpoints/config.json\nnull\n//- /functions/config.json\nnull\n",
    );
    assert_eq!(said, [""; 0]);
    let printed = config::print(&config);
    let list = printed.get("http_endpoints/config.json");
    assert_eq!(list.map(<[u8]>::trim_ascii), Some(&b"[]"[..]));
}

#[test]
fn of_a_mixed_tree_the_newest_root_counts() {
    let (config, said) = config(
        r#"
//- /root_config.json
{ "name": "new" }
//- /realm_config.json
{ "name": "old" }
//- /.mdb/meta.json
not even JSON
//- /https_endpoints/config.json
[]
//- /http_endpoints/config.json
[{ "route": "/old", "http_method": "GET", "function_name": "gone" }]
//- /auth_providers/anon-user.json
{ "type": "anon-user" }
//- /secrets.json
{ "services": {} }
//- /functions/node_modules.zip
not read
//- /triggers/empty.json
//- /functions/node_modules/a/index.js
exports = 1;
//- /README.md
# about
//- /trigers/t.json
{}
"#,
    );
    assert_eq!(config.name(), "new");
    assert_eq!(config.all(Kind::Endpoint).count(), 0);
    assert_eq!(
        said,
        [
            "auth_providers/anon-user.json: warning: this file is left out: with root_config.json this belongs in auth/providers.json",
            "functions/node_modules.zip: warning: this archive is no part of the configuration: a push sends it with --include-node-modules",
            "http_endpoints/config.json: warning: this file is left out: with root_config.json this belongs in https_endpoints/",
            "realm_config.json: warning: this file is left out: the app's root file is root_config.json",
            "secrets.json: warning: this file is no part of the configuration: a push sends its secrets with it",
            "trigers/t.json: warning: this file is not part of an app and is left out\n    hint: did you mean triggers/?",
            "triggers/empty.json:1:1: warning: the file is empty and left out",
        ]
    );
}

#[test]
fn endpoints_alone_in_the_other_folder_count() {
    let (config, said) =
        config("//- /realm_config.json\n{\"name\":\"a\"}\n//- /https_endpoints/config.json\n[]\n");
    assert_eq!(said, [""; 0]);
    let printed = config::print(&config);
    assert!(printed.get("http_endpoints/config.json").is_some());
}

#[test]
fn without_a_root_file_there_is_one_finding() {
    let reading = read(&Files::from_fixture(
        "//- /backend/realm_config.json\n{}\n//- /src/main.ts\n\n",
    ));
    assert!(!reading.whole);
    let said: Vec<String> = reading.findings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("there is one in backend/"), "{said:?}");
}

#[test]
fn a_file_that_cannot_be_read_raises_no_other_findings() {
    let reading = read(&Files::from_fixture(
        r#"
//- /realm_config.json
{ "name": "a" }
//- /data_sources/db/config.json
{ "name": "db"
//- /data_sources/db/d/c/rules.json
{ "roles": [] }
//- /functions/config.json
[{ "name": "f" }
//- /functions/f.js
exports = 1;
//- /triggers/t.json
{ "name": "t", "type": "SCHEDULED", "config": { "schedule": "* * * * *" }, "function_name": "f" }
"#,
    ));
    assert!(!reading.whole);
    let said: Vec<String> = reading.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "data_sources/db/config.json:2:1: error: invalid JSON: expected ',' or '}', found the end of the file",
            "functions/config.json:2:1: error: invalid JSON: expected ',' or ']', found the end of the file",
        ]
    );
}
