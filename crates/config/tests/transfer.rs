//! Exports and imports: what goes out comes in again and nothing has changed,
//! whichever way it takes.

use config::{
    AppConfig, Exporting, Files, Import, Kind, Onto, Reading, RootLayout, has_errors, parse, print,
    read_document, text_diff, to_document,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::folded::{folded, folded_older};
use crate::round_trip::{any_parts, files, whole};

fn exported(config: &AppConfig, layout: RootLayout) -> AppConfig {
    config.exported(&Exporting {
        layout,
        client_app_id: Some("shop-abcde"),
        id: None,
    })
}

fn good(reading: Reading) -> AppConfig {
    let said: Vec<String> = reading.findings.iter().map(ToString::to_string).collect();
    assert!(reading.whole && !has_errors(&reading.findings), "{said:?}");
    reading.config
}

/// The import of a document that replaces everything.
fn imported(document: &Value, base: &AppConfig) -> AppConfig {
    good(Import::read(document).onto(base, Onto::Replace, &[]))
}

/// Out in every dialect and in again: into the app itself, where nothing
/// changes, and into a new one, which is the same app then.
fn there_and_back(config: &AppConfig) {
    for (layout, fold) in [
        (RootLayout::Realm, folded as fn(&Files) -> Value),
        (RootLayout::Older, folded_older),
        (RootLayout::Stitch, folded_older),
    ] {
        let out = exported(config, layout);
        let files = print(&out);
        let document = fold(&files);
        let again = imported(&document, config);
        let diff = text_diff(&out, &exported(&again, layout));
        assert_eq!(diff, [""; 0], "{layout:?}");
        assert!(again.exports_like(config), "{layout:?}");
        // Another app of that document: what the form cannot say apart, it is the same.
        let new = AppConfig::new("app");
        let mut other = imported(&document, &new);
        other.settle(config);
        let other = exported(&other, layout);
        for kind in out.kinds() {
            let unsaid = matches!(
                kind,
                Kind::Root | Kind::GraphqlValidation | Kind::Hosting | Kind::Dependencies
            ) || kind == Kind::Endpoint && layout.is_older();
            if !unsaid {
                let same = out.all(kind).all(|(key, node)| {
                    let found = other.get(kind, key).map(|node| (&node.json, &node.source));
                    found == Some((&node.json, &node.source))
                        || kind == Kind::Rule && node.at("/roles").is_none()
                });
                assert!(same, "{layout:?} {kind:?}: {:?}", text_diff(&out, &other));
            }
        }
        // The files that were written are an app, too.
        let (read, findings) = parse(&files);
        assert!(!has_errors(&findings), "{findings:?}");
        assert_eq!(
            text_diff(&out, &exported(&read.expect("a value"), layout)),
            [""; 0]
        );
    }
    let pushed = good(read_document(&to_document(config), config));
    assert!(pushed.exports_like(config));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_dialect_carries_every_app(parts in any_parts()) {
        there_and_back(&whole(&files(&parts)));
    }
}

#[test]
fn every_dialect_carries_what_the_exporter_writes() {
    for fixture in [
        include_str!("exported/realm_config.txt"),
        include_str!("exported/root_config.txt"),
        include_str!("exported/config.txt"),
        include_str!("../../admin/tests/fixture.txt"),
    ] {
        there_and_back(&whole(&Files::from_fixture(fixture)));
    }
}

fn app() -> AppConfig {
    whole(&Files::from_fixture(include_str!(
        "exported/realm_config.txt"
    )))
}

#[test]
fn an_export_names_its_app_and_carries_ids_if_they_are_wanted() {
    let config = app();
    let id = |kind: Kind, key: &str| (kind == Kind::Function).then(|| format!("id of {key}"));
    let with_ids = print(&config.exported(&Exporting {
        layout: RootLayout::Realm,
        client_app_id: Some("other-abcde"),
        id: Some(&id),
    }));
    let text = |files: &Files, path: &str| {
        String::from_utf8(files.get(path).unwrap_or_default().to_vec()).expect("UTF-8")
    };
    assert!(
        text(&with_ids, "realm_config.json").starts_with("{\n    \"app_id\": \"other-abcde\",\n")
    );
    assert!(text(&with_ids, "functions/config.json").contains("\"id\": \"id of hello\",\n"));
    // One that a file carried is another app's.
    assert!(
        config
            .get(Kind::Trigger, "onItem")
            .expect("it")
            .at("/id")
            .is_some()
    );
    assert!(!text(&with_ids, "triggers/onItem.json").contains("\"id\""));
    // Hosted files are fetched one by one.
    assert!(
        !with_ids
            .0
            .keys()
            .any(|path| path.starts_with("hosting/files"))
    );
    let template = print(&config.exported(&Exporting {
        layout: RootLayout::Realm,
        client_app_id: None,
        id: None,
    }));
    for (path, absent) in [
        ("realm_config.json", "app_id"),
        ("hosting/config.json", "domain"),
    ] {
        assert!(!text(&template, path).contains(absent), "{path}");
    }
}

#[test]
fn an_export_has_what_clients_look_for() {
    for layout in [RootLayout::Realm, RootLayout::Root] {
        let files = print(&exported(&AppConfig::new("new"), layout));
        let endpoints = if layout == RootLayout::Root {
            "https"
        } else {
            "http"
        };
        for path in [
            "auth/custom_user_data.json",
            "auth/providers.json",
            "environments/development.json",
            "environments/no-environment.json",
            "environments/production.json",
            "environments/qa.json",
            "environments/testing.json",
            "functions/config.json",
            "graphql/config.json",
            &format!("{endpoints}_endpoints/config.json"),
            "sync/config.json",
        ] {
            assert!(files.get(path).is_some(), "{path}");
        }
        assert!(!files.0.keys().any(|path| path.starts_with("hosting/")));
    }
}

fn wrong(document: &Value) -> String {
    let reading = Import::read(document).onto(&app(), Onto::Replace, &[]);
    assert!(!reading.whole, "{document}");
    let said: Vec<&str> = reading
        .findings
        .iter()
        .map(|f| f.message.as_str())
        .collect();
    said.join("; ")
}

#[test]
fn what_is_no_document_is_told() {
    for (document, said) in [
        (json!([]), "the configuration has to be an object"),
        (
            json!({ "config_version": 7 }),
            "the \"config_version\" 7 is none of",
        ),
        (
            json!({ "functions": { "config": [{ "private": true }] } }),
            "a function in \"functions.config\" has no name",
        ),
        (
            json!({ "functions": { "sources": { "a.js": 1 } } }),
            "the source of the function \"a\" has to be a string",
        ),
        (
            json!({ "functions": { "sources": [] } }),
            "\"functions.sources\" has to be an object",
        ),
        (
            json!({ "values": {} }),
            "\"values\" has to be an array of objects",
        ),
        (
            json!({ "values": [{ "name": "a", "value": 1, "_id": 5 }] }),
            "the id of the value \"a\" has to be a string",
        ),
        (
            json!({ "auth": { "providers": { "api-key": true } } }),
            "the auth provider \"api-key\" has to be an object",
        ),
        (
            json!({ "environments": { "moon.json": {} } }),
            "there is no environment \"moon.json\"",
        ),
        (
            json!({ "services": [{}] }),
            "an entry of \"services\" has no \"config\"",
        ),
        (
            json!({ "data_sources": [{ "config": { "name": "m", "type": "mongodb" }, "rules": [{}] }] }),
            "a rule in \"rules\" has no name",
        ),
        (
            json!({ "secrets": { "services": { "tw": { "a": "b" } } } }),
            "there are secrets of \"tw\", which is not in \"services\"",
        ),
        (
            json!({ "services": [{ "config": { "name": "tw", "type": "twilio" } }],
                "secrets": { "services": { "tw": { "a": 1 } } } }),
            "the secret \"a\" of \"tw\" has to be a string",
        ),
    ] {
        let text = wrong(&document);
        assert!(text.contains(said), "{document}: {text}");
    }
}

#[test]
fn names_that_would_leave_the_directory_are_refused() {
    for (document, name) in [
        (
            json!({ "values": [{ "name": "../../etc", "value": 1 }] }),
            "../../etc",
        ),
        (
            json!({ "functions": { "sources": { "../x.js": "exports = 1" } } }),
            "../x",
        ),
        (
            json!({ "functions": { "sources": { "a/../../x.js": "exports = 1" } } }),
            "a/../../x",
        ),
        (
            json!({ "services": [{ "config": { "name": "..", "type": "twilio" } }] }),
            "..",
        ),
        (
            json!({ "triggers": [{ "name": "a\\b", "type": "SCHEDULED", "function_name": "hello",
            "config": { "schedule": "* * * * *" } }] }),
            "a\\b",
        ),
    ] {
        let reading = Import::read(&document).onto(&AppConfig::new("a"), Onto::Replace, &[]);
        let said = format!("\"{name}\" cannot be the name of");
        assert!(
            reading
                .findings
                .iter()
                .any(|finding| finding.message.contains(&said)),
            "{document}: {:?}",
            reading.findings
        );
    }
}

#[test]
fn what_there_is_once_stays_until_it_is_named() {
    let base = app();
    let bare = json!({
        "config_version": 20_210_101, "hosting": { "enabled": true }, "auth": {}, "functions": {},
        "endpoints": {}, "graphql": {}, "sync": {}, "secrets": {}, "name": "", "app_id": "",
    });
    let config = imported(&bare, &base);
    assert_eq!(config.name(), base.name());
    for kind in [
        Kind::Function,
        Kind::AuthProvider,
        Kind::DataSource,
        Kind::Value,
        Kind::Rule,
    ] {
        assert_eq!(config.all(kind).count(), 0, "{kind:?}");
    }
    for kind in [
        Kind::Sync,
        Kind::GraphqlConfig,
        Kind::HostingFile,
        Kind::Dependencies,
    ] {
        assert_eq!(config.all(kind).count(), base.all(kind).count(), "{kind:?}");
    }
    assert!(config.get(Kind::Hosting, "").expect("it").flag("enabled"));
    assert_eq!(config.environment(), "no-environment");
    // A merge leaves all the rest alone.
    let merged = good(Import::read(&bare).onto(&base, Onto::Merge, &[]));
    assert_eq!(merged.environment(), "qa");
    assert_eq!(
        merged.all(Kind::Function).count(),
        base.all(Kind::Function).count()
    );
}

#[test]
fn secrets_get_a_name_after_their_owner() {
    let import = Import::read(&json!({
        "services": [{ "config": { "type": "twilio", "name": "tw", "config": { "sid": "s" } },
            "rules": null, "incoming_webhooks": null }],
        "auth": { "providers": { "oauth2-google": { "name": "oauth2-google",
            "type": "oauth2-google", "config": { "clientId": "c" } } } },
        "secrets": { "services": { "tw": { "auth_token": "1" } },
            "auth_providers": { "oauth2-google": { "clientSecret": "2" } } },
    }));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        import.secrets,
        [
            pair("__oauth2-google_clientSecret", "2"),
            pair("__tw_auth_token", "1")
        ]
    );
    let config = good(import.onto(&AppConfig::new("a"), Onto::Replace, &[]));
    let printed = print(&exported(&config, RootLayout::Realm));
    let text = std::str::from_utf8(printed.get("services/tw/config.json").expect("it"));
    assert_eq!(
        text,
        Ok(r#"{
    "name": "tw",
    "type": "twilio",
    "config": {
        "sid": "s"
    },
    "secret_config": {
        "auth_token": "__tw_auth_token"
    }
}
"#)
    );
}

#[test]
fn a_node_follows_its_new_name() {
    let base = app();
    let old = "mongodb-atlas".to_owned();
    let rename = vec![(Kind::DataSource, old, "db".to_owned())];
    let all = base.renames_within(&rename);
    let moved = |kind, key: &str| all.iter().any(|(of, _, new)| *of == kind && new == key);
    assert!(moved(Kind::Rule, "db/shop/items"));
    assert!(moved(Kind::Schema, "db/shop/makers"));
    assert!(moved(Kind::DefaultRule, "db"));
    let document =
        json!({ "data_sources": [{ "config": { "name": "db", "type": "mongodb-atlas" } }] });
    let reading = Import::read(&document).onto(&base, Onto::Merge, &all);
    assert!(
        reading
            .config
            .get(Kind::DataSource, "mongodb-atlas")
            .is_none()
    );
    assert!(reading.config.get(Kind::Rule, "db/shop/items").is_some());
}

#[test]
fn a_rule_without_roles_stays_where_it_is_and_comes_nowhere_else() {
    let base = whole(&Files::from_fixture(
        r#"
//- /realm_config.json
{ "name": "a" }
//- /data_sources/db/config.json
{ "name": "db", "type": "mongodb-atlas", "config": {} }
//- /data_sources/db/d/c/rules.json
{ "database": "d", "collection": "c" }
//- /data_sources/db/d/c/schema.json
{ "title": "c" }
"#,
    ));
    let document = folded(&print(&exported(&base, RootLayout::Realm)));
    let config = imported(&document, &base);
    assert!(config.exports_like(&base));
    assert!(config.get(Kind::Rule, "db/d/c").is_some());
    let other = imported(&document, &AppConfig::new("b"));
    assert!(other.get(Kind::Rule, "db/d/c").is_none());
    assert!(other.get(Kind::Schema, "db/d/c").is_some());
}
