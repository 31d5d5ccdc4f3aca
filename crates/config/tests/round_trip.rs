//! `parse(print(c)) == c`, for every kind, unknown fields included.

use config::{Files, parse, print};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\\n\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z~/]{1,5}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that no kind knows, to be carried along.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("x_[a-z]{1,8}", any_json(), 0..3)
        .prop_map(|fields| fields.into_iter().collect())
}

fn with(base: Value, more: Map<String, Value>) -> Vec<u8> {
    let mut base = base;
    if let Value::Object(fields) = &mut base {
        fields.extend(more);
    }
    serde_json::to_vec(&base).expect("JSON")
}

prop_compose! {
    fn any_files()(
        extra in prop::collection::vec(unknown(), 24),
        layout in 0usize..2,
        names in prop::collection::btree_set("[a-z]{3,8}", 1..4),
        source in "[ -~\\n]{0,40}",
    ) -> Files {
        let mut files = Files::default();
        let mut extra = extra.into_iter();
        let mut next = || extra.next().unwrap_or_default();
        let (root, endpoints) = [("realm_config.json", "http_endpoints"), ("root_config.json", "https_endpoints")][layout];
        let mut put = |path: String, json: Value, more: Map<String, Value>| files.insert(path, with(json, more));
        put(root.to_owned(), json!({ "name": "app", "deployment_model": "LOCAL" }), next());
        let mut provider = json!({ "type": "local-userpass", "config": { "autoConfirm": true } });
        provider.as_object_mut().unwrap().extend(next());
        put("auth/providers.json".to_owned(), json!({ "local-userpass": provider }), Map::new());
        put("auth/custom_user_data.json".to_owned(), json!({ "enabled": false }), next());
        put("data_sources/db/config.json".to_owned(), json!({ "name": "db", "type": "mongodb-atlas" }), next());
        put("data_sources/db/default_rule.json".to_owned(), json!({ "roles": [] }), next());
        for (file, json) in [
            ("rules", json!({ "database": "d", "collection": "c", "roles": [] })),
            ("schema", json!({ "title": "t", "properties": {} })),
            ("relationships", json!({ "a": { "ref": "#/relationship/db/d/e", "foreign_key": "_id" } })),
        ] {
            put(format!("data_sources/db/d/c/{file}.json"), json, next());
        }
        let functions: Vec<Value> = names.iter().map(|name| json!({ "name": name, "x": 1 })).collect();
        let first = names.iter().next().unwrap().clone();
        let webhook = json!({ "name": "w" });
        for (path, json) in [
            ("functions/package.json", json!({ "dependencies": { "a": "1" } })),
            ("values/v.json", json!({ "name": "v", "value": [1, { "$oid": "x" }] })),
            ("environments/testing.json", json!({ "values": { "a": 1 } })),
            ("triggers/t.json", json!({ "name": "t", "type": "SCHEDULED", "config": { "schedule": "* * * * *" } })),
            ("graphql/config.json", json!({ "use_natural_pluralization": true })),
            ("graphql/custom_resolvers/query_r.json", json!({ "on_type": "Query", "field_name": "r", "function_name": first })),
            ("graphql/validation_settings.json", json!({ "read_validation_action": "ERROR" })),
            ("hosting/config.json", json!({ "enabled": false })),
            ("log_forwarders/l.json", json!({ "name": "l" })),
            ("sync/config.json", json!({ "type": "flexible", "state": "" })),
            ("services/s/config.json", json!({ "name": "s", "type": "http" })),
            ("services/s/rules/r.json", json!({ "name": "r" })),
            ("services/s/incoming_webhooks/w/config.json", webhook),
        ] {
            put(path.to_owned(), json, next());
        }
        put(format!("{endpoints}/data_api_config.json"), json!({ "versions": ["v1"] }), next());
        let endpoint = json!([{ "route": "/a", "http_method": "*", "function_name": first }]);
        files.insert(format!("{endpoints}/config.json"), serde_json::to_vec(&endpoint).unwrap());
        files.insert("functions/config.json", serde_json::to_vec(&functions).unwrap());
        for name in &names {
            files.insert(format!("functions/{name}.js"), source.clone().into_bytes());
        }
        files.insert("services/s/incoming_webhooks/w/source.js", source.into_bytes());
        files.insert("hosting/metadata.json", b"[{\"path\":\"/a\",\"attrs\":[]}]".to_vec());
        files.insert("hosting/files/a/b.bin", vec![0u8, 255]);
        files
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn parse_undoes_print(files in any_files()) {
        let (config, findings) = parse(&files);
        let errors: Vec<_> = findings.iter().filter(|f| f.severity == kit::Severity::Error).collect();
        prop_assert!(errors.is_empty(), "{errors:?}");
        let config = config.expect("a value");
        let printed = print(&config);
        let (again, _) = parse(&printed);
        prop_assert_eq!(again.as_ref(), Some(&config));
        prop_assert_eq!(print(&config), printed);
        // Nothing was left behind.
        let paths = |files: &Files| files.0.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(paths(&files), paths(&print(&config)));
    }
}
