//! Reading, printing, checking and editing configurations.

mod folded;
mod layouts;
mod mistakes;
mod models;
mod round_trip;
mod templates;

use config::{AppConfig, EditError, Files, Kind, Node, changed, parse, text_diff};
use serde_json::json;

pub(crate) const APP: &str = r#"
//- /realm_config.json
{ "config_version": 20210101, "app_id": "shop-abcde", "name": "shop", "environment": "testing", "x_unknown": [1] }
//- /auth/providers.json
{ "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false } }
//- /data_sources/db/config.json
{ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" }, "version": 1 }
//- /data_sources/db/shop/items/rules.json
{ "database": "shop", "collection": "items", "roles": [{ "name": "all", "apply_when": {}, "read": true }] }
//- /functions/config.json
[{ "name": "greet", "private": false }, { "name": "nested/one", "private": true }]
//- /functions/greet.js
exports = () => "hi";
//- /functions/nested/one.js
exports = () => 1;
//- /http_endpoints/config.json
[{ "route": "/hi", "http_method": "GET", "function_name": "greet" }]
//- /hosting/files/index.html
<p>hi</p>
"#;

pub(crate) fn app() -> AppConfig {
    let (config, findings) = parse(&Files::from_fixture(APP));
    assert_eq!(findings, [], "the fixture is clean");
    config.expect("a value")
}

#[test]
fn a_directory_is_read() {
    let config = app();
    assert_eq!(
        (config.name(), config.client_app_id(), config.environment()),
        ("shop", "shop-abcde", "testing")
    );
    let greet = config.get(Kind::Function, "greet").expect("greet");
    assert_eq!(greet.source.as_deref(), Some("exports = () => \"hi\";\n"));
    assert!(
        config
            .get(Kind::Function, "nested/one")
            .is_some_and(|f| f.flag("private"))
    );
    assert!(config.get(Kind::Rule, "db/shop/items").is_some());
    assert!(config.get(Kind::Endpoint, "GET /hi").is_some());
    assert!(config.get(Kind::HostingFile, "/index.html").is_some());
}

#[test]
fn edits_keep_references() {
    let mut config = app();
    let before = config.clone();
    let error = config.remove(Kind::Function, "greet").unwrap_err();
    assert_eq!(
        error,
        EditError::InUse(vec![(Kind::Endpoint, "GET /hi".to_owned())])
    );
    let node = Node::new(json!({ "route": "/x", "http_method": "GET", "function_name": "nobody" }));
    let error = config.insert(Kind::Endpoint, "GET /x", node).unwrap_err();
    assert_eq!(
        error,
        EditError::Invalid(vec!["there is no function \"nobody\"".to_owned()])
    );
    let node = Node::function(json!({ "name": "greet" }), "");
    assert!(matches!(
        config.insert(Kind::Function, "greet", node),
        Err(EditError::Duplicate(..))
    ));
    assert_eq!(config, before, "refused edits change nothing");
    let node = Node::new(json!({ "name": "v", "value": 1 }));
    config.insert(Kind::Value, "v", node).expect("a value");
    assert_eq!(changed(&before, &config), [(Kind::Value, "v".to_owned())]);
    let diff = text_diff(&before, &config);
    assert_eq!(diff.len(), 1);
    assert!(
        diff[0].contains("+++ values/v.json") && diff[0].contains("+    \"value\": 1"),
        "{diff:?}"
    );
    config.remove(Kind::DataSource, "db").expect("unused");
    assert!(
        config.get(Kind::Rule, "db/shop/items").is_none(),
        "rules go with their source"
    );
}
mod transfer;
