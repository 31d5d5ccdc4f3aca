//! `parse(print(c)) == c` for every kind in every layout, and
//! `print(parse(files)) == files` for files as the exporter writes them.

use std::collections::BTreeSet;
use std::path::Path;

use config::{AppConfig, Files, Kind, RootLayout, parse, print};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é世🦀\\n\\t\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z~/é.$% ]{0,5}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that no kind knows, to be carried along.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map("x_[a-zé ]{1,8}", any_json(), 0..3)
        .prop_map(|fields| fields.into_iter().collect())
}

/// What a file may be called.
fn any_name() -> impl Strategy<Value = String> {
    "[a-zA-Zé世_ -][a-zA-Z0-9é世_ .-]{0,7}"
}

/// What goes into an app, before it is in files.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    layout: RootLayout,
    functions: BTreeSet<String>,
    name: String,
    collection: String,
    source: String,
    value: Value,
    unknown: Vec<Map<String, Value>>,
}

pub(crate) fn any_parts() -> impl Strategy<Value = Parts> {
    let layouts = [
        RootLayout::Realm,
        RootLayout::Root,
        RootLayout::Older,
        RootLayout::Stitch,
    ];
    (
        prop::sample::select(layouts.to_vec()),
        prop::collection::btree_set(
            prop::collection::vec(any_name(), 1..3).prop_map(|parts| parts.join("/")),
            1..4,
        ),
        any_name(),
        any_name(),
        "[ -~é\\n]{0,40}",
        any_json(),
        prop::collection::vec(unknown(), 30),
    )
        .prop_map(
            |(layout, functions, name, collection, source, value, unknown)| Parts {
                layout,
                functions,
                name,
                collection,
                source,
                value,
                unknown,
            },
        )
}

/// Every kind of node, with unknown fields.
pub(crate) fn files(parts: &Parts) -> Files {
    let mut files = Files::default();
    let mut unknown = parts.unknown.iter().cloned().cycle();
    let mut more = |json: Value| {
        let mut json = json;
        if let Value::Object(fields) = &mut json {
            fields.extend(unknown.next().unwrap_or_default());
        }
        json
    };
    let layout = parts.layout;
    let older = layout.is_older();
    let (name, collection) = (&parts.name, &parts.collection);
    let endpoints = if layout == RootLayout::Root {
        "https_endpoints"
    } else {
        "http_endpoints"
    };
    let web = if older { "services" } else { "http_endpoints" };
    let first = parts.functions.first().expect("at least one");
    let user_data = more(json!({ "enabled": false }));
    let hosting = more(json!({ "enabled": false, "default_error_code": "404" }));
    let sync = more(json!({ "type": "flexible", "state": "" }));
    let rule = more(json!({ "database": "d", "collection": collection, "roles": [] }));
    let schema = more(json!({ "title": "t", "properties": {} }));
    let links = json!({ "a": { "ref": "#/relationship/db/d/e", "foreign_key": "_id" } });
    let source_config = more(json!({ "name": name, "type": "mongodb-atlas", "config": null }));
    let provider = more(json!({ "type": "local-userpass", "config": { "autoConfirm": true } }));
    let mut all = vec![
        (
            "functions/package.json".to_owned(),
            more(json!({ "dependencies": { "a": "1" } })),
        ),
        (
            format!("values/{name}.json"),
            more(json!({ "name": name, "value": parts.value })),
        ),
        (
            "environments/testing.json".to_owned(),
            more(json!({ "values": { "é": parts.value } })),
        ),
        (
            format!("triggers/{name}.json"),
            more(json!({
                "name": name, "type": "SCHEDULED", "function_name": first,
                "config": { "schedule": "* * * * *" },
            })),
        ),
        (
            "graphql/config.json".to_owned(),
            more(json!({ "use_natural_pluralization": true })),
        ),
        (
            "graphql/custom_resolvers/query_r.json".to_owned(),
            more(json!({ "on_type": "Query", "field_name": "r", "function_name": first })),
        ),
        (
            "graphql/validation_settings.json".to_owned(),
            more(json!({ "read_validation_action": "ERROR" })),
        ),
        (
            "hosting/metadata.json".to_owned(),
            json!([{ "path": "/a", "attrs": [] }]),
        ),
        (
            format!("log_forwarders/{name}.json"),
            more(json!({ "name": name, "log_types": [] })),
        ),
        (
            format!("services/s-{name}/config.json"),
            more(json!({ "name": format!("s-{name}"), "type": "twilio", "config": {} })),
        ),
        (
            format!("{web}/w-{name}/config.json"),
            more(json!({ "name": format!("w-{name}"), "type": "http" })),
        ),
        (
            format!("{web}/w-{name}/rules/{name}.json"),
            more(json!({ "name": name, "actions": [] })),
        ),
        (
            format!("{web}/w-{name}/incoming_webhooks/{name}/config.json"),
            more(json!({ "name": name, "options": {} })),
        ),
        (
            format!("{endpoints}/config.json"),
            json!([more(
                json!({ "route": "/a", "http_method": "*", "function_name": first })
            )]),
        ),
    ];
    let mut root = more(json!({ "name": "app", "deployment_model": "LOCAL", "security": null }));
    let versions = more(json!({ "versions": ["v1"] }));
    if older {
        for (field, json) in [
            ("hosting", hosting),
            ("custom_user_data_config", user_data),
            ("sync", sync),
        ] {
            root[field] = json;
        }
        let mut rule = rule;
        rule["schema"] = schema;
        rule["relationships"] = links;
        all.extend([
            ("auth_providers/local-userpass.json".to_owned(), provider),
            (format!("services/{name}/config.json"), source_config),
            (
                format!("services/{name}/default_rule.json"),
                json!({ "roles": [] }),
            ),
            (format!("services/{name}/rules/d.{collection}.json"), rule),
            ("data_api_config.json".to_owned(), versions),
        ]);
        for function in &parts.functions {
            let manifest = more(json!({ "name": function, "private": true }));
            all.push((format!("functions/{function}/config.json"), manifest));
        }
    } else {
        let folder = format!("data_sources/{name}/d/{collection}");
        let functions: Value = parts
            .functions
            .iter()
            .map(|function| more(json!({ "name": function, "can_evaluate": null })))
            .collect();
        all.extend([
            (
                "auth/providers.json".to_owned(),
                json!({ "local-userpass": provider }),
            ),
            ("auth/custom_user_data.json".to_owned(), user_data),
            ("hosting/config.json".to_owned(), hosting),
            ("sync/config.json".to_owned(), sync),
            (format!("data_sources/{name}/config.json"), source_config),
            (
                format!("data_sources/{name}/default_rule.json"),
                json!({ "roles": [] }),
            ),
            (format!("{folder}/rules.json"), rule),
            (format!("{folder}/schema.json"), schema),
            (format!("{folder}/relationships.json"), links),
            (format!("{endpoints}/data_api_config.json"), versions),
            ("functions/config.json".to_owned(), functions),
        ]);
    }
    all.push((layout.root_file().to_owned(), root));
    for (path, json) in all {
        files.insert(path, serde_json::to_vec(&json).expect("JSON"));
    }
    for function in &parts.functions {
        let end = if older { "/source.js" } else { ".js" };
        files.insert(
            format!("functions/{function}{end}"),
            parts.source.as_bytes(),
        );
    }
    files.insert(
        format!("{web}/w-{name}/incoming_webhooks/{name}/source.js"),
        parts.source.as_bytes(),
    );
    files.insert("hosting/files/a/b.bin", vec![0u8, 255]);
    files.insert("hosting/files/.well-known/é", Vec::new());
    files
}

pub(crate) fn whole(files: &Files) -> AppConfig {
    let (config, findings) = parse(files);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == kit::Severity::Error)
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    config.expect("a value")
}

fn paths(files: &Files) -> Vec<&String> {
    files.0.keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn parse_undoes_print(parts in any_parts()) {
        let files = files(&parts);
        let config = whole(&files);
        let kinds: Vec<Kind> = config.kinds().collect();
        prop_assert_eq!(&kinds[..], &Kind::ALL[..], "every kind is generated");
        let printed = print(&config);
        prop_assert_eq!(paths(&files), paths(&printed), "nothing was left behind");
        let again = whole(&printed);
        prop_assert_eq!(&again, &config);
        prop_assert_eq!(print(&again), printed);
    }
}

/// Text that is nearly JSON, and some that is not.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_json().prop_map(|json| serde_json::to_vec(&json).expect("JSON")),
        (any_json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(json, at, byte)| {
            let mut bytes = serde_json::to_vec(&json).expect("JSON");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever a file holds, reading says what is wrong and goes on; and what
    /// it takes without an error, it prints and takes again.
    #[test]
    fn nothing_in_a_file_stops_reading(
        parts in any_parts(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_text()), 1..4),
    ) {
        let mut files = files(&parts);
        let paths: Vec<String> = files.0.keys().cloned().collect();
        for (path, bytes) in changes {
            files.insert(paths[path.index(paths.len())].clone(), bytes);
        }
        let reading = config::read(&files);
        let wrong = config::has_errors(&reading.findings);
        prop_assert!(reading.whole || wrong, "what is not whole has an error");
        if !wrong {
            let again = whole(&print(&reading.config));
            prop_assert_eq!(again, reading.config);
        }
    }
}

/// `print(parse(files)) == files`, byte for byte.
fn unchanged(files: &Files) {
    let printed = print(&whole(files));
    assert_eq!(paths(files), paths(&printed));
    for (path, bytes) in &files.0 {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let again = printed.get(path).expect("the same paths");
        assert_eq!(text(bytes), text(again), "{path}");
    }
}

#[test]
fn what_the_exporter_writes_is_printed_byte_for_byte() {
    for fixture in [
        include_str!("exported/realm_config.txt"),
        include_str!("exported/root_config.txt"),
        include_str!("exported/config.txt"),
    ] {
        let files = Files::from_fixture(fixture);
        unchanged(&files);
        // Old exports differ in the name of the root file only.
        if let Some(root) = files.get("config.json") {
            let mut stitch = files.clone();
            stitch.insert("stitch.json", root);
            stitch.0.remove("config.json");
            unchanged(&stitch);
        }
    }
}

#[test]
fn examples_are_printed_byte_for_byte() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = 0;
    for entry in std::fs::read_dir(&examples).expect("examples") {
        let folder = entry.expect("an entry").path();
        if !folder.join("realm_config.json").is_file() {
            continue;
        }
        let mut files = Files::default();
        read(&folder, "", &mut files);
        unchanged(&files);
        found += 1;
    }
    assert!(found > 0, "there are no examples");
}

fn read(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, std::fs::read(entry.path()).expect("a file"));
        }
    }
}
