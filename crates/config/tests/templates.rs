//! Templates in settings are what the app holds under that name.

use config::{AppConfig, Files, Kind, Onto, Reading, print, read, read_document, read_to_deploy};
use serde_json::{Value, json};

const FILES: &str = r#"
//- /realm_config.json
{ "name": "shop", "environment": "qa" }
//- /environments/qa.json
{ "values": { "cluster": "QaCluster", "host": "qa.example.com", "port": 80, "a": { "b.c": "deep" } } }
//- /environments/production.json
{ "values": { "cluster": "RealCluster" } }
//- /values/region.json
{ "name": "region", "value": { "short": "eu" } }
//- /values/hush.json
{ "name": "hush", "value": "key", "from_secret": true }
//- /values/kept.json
{ "name": "kept", "value": "%(%%environment.tag)" }
//- /data_sources/db/config.json
{ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "%(%%environment.values.cluster)" } }
//- /auth/providers.json
{ "local-userpass": { "name": "local-userpass", "type": "local-userpass", "config": {
    "resetPasswordUrl": "https://%(%%environment.values.host)/%(%%values.region.short)/%(%%environment.values.a.b.c)",
    "other": "%%user.id 100% (sure)", "autoConfirm": true
} } }
"#;

fn settings(config: &AppConfig) -> Value {
    let text = |kind, key, pointer: &str| config.get(kind, key).unwrap().at(pointer).cloned();
    json!([
        text(Kind::DataSource, "db", "/config/clusterName"),
        text(
            Kind::AuthProvider,
            "local-userpass",
            "/config/resetPasswordUrl"
        ),
        text(Kind::AuthProvider, "local-userpass", "/config/other"),
        text(Kind::Value, "kept", "/value"),
    ])
}

fn resolved() -> Value {
    json!([
        "QaCluster",
        "https://qa.example.com/eu/deep",
        "%%user.id 100% (sure)",
        "%(%%environment.tag)",
    ])
}

#[test]
fn files_that_go_live_hold_what_templates_mean() {
    let files = Files::from_fixture(FILES);
    let Reading {
        config, findings, ..
    } = read_to_deploy(&files);
    assert_eq!(findings, []);
    assert_eq!(settings(&config), resolved());
    // What is at rest is read as it is.
    let kept = read(&print(&read(&files).config)).config;
    assert_eq!(
        settings(&kept)[0],
        "%(%%environment.values.cluster)",
        "a revision is not read anew"
    );
}

#[test]
fn documents_hold_what_templates_mean() {
    let raw = read(&Files::from_fixture(FILES)).config;
    let base = AppConfig::new("shop");
    let pushed = read_document(&config::to_document(&raw), &base);
    assert_eq!(pushed.findings, []);
    assert_eq!(settings(&pushed.config)[0], "QaCluster");
    let import = json!({
        "config_version": 20_210_101, "environment": "production",
        "environments": { "production.json": { "values": { "cluster": "RealCluster" } } },
        "data_sources": [{ "config": {
            "name": "db", "type": "mongodb-atlas",
            "config": { "clusterName": "%(%%environment.values.cluster)" },
        } }],
    });
    let import = config::Import::read(&import);
    let imported = import.onto(&base, Onto::Replace, &[]);
    assert_eq!(imported.findings, []);
    let source = imported.config.get(Kind::DataSource, "db").unwrap();
    assert_eq!(
        source.at("/config/clusterName"),
        Some(&json!("RealCluster"))
    );
    // The same again is no change.
    let again = import.onto(&imported.config, Onto::Replace, &[]);
    assert_eq!(again.config, imported.config);
}

#[test]
fn templates_that_mean_nothing_are_told() {
    for (text, told) in [
        (
            "%(%%environment.values.nothing)",
            "%%environment.values.nothing is nothing",
        ),
        (
            "%(%%environment.values.port)",
            "%%environment.values.port is no text",
        ),
        (
            "%(%%environment.values.a)",
            "%%environment.values.a is no text",
        ),
        ("%(%%values.hush)", "%%values.hush is nothing"),
        ("%(%%values.region.long)", "%%values.region.long is nothing"),
        ("%(%%user.id)", "%%user.id is nothing"),
        ("%(%%environment.tag", "without its \")\""),
    ] {
        let files = FILES.replace("%(%%environment.values.cluster)", text);
        let reading = read_to_deploy(&Files::from_fixture(&files));
        let [finding] = &reading.findings[..] else {
            panic!("{text}: {:?}", reading.findings);
        };
        assert!(finding.message.contains(told), "{text}: {finding}");
        assert_eq!(
            (finding.path.as_str(), finding.line),
            ("data_sources/db/config.json", Some(1))
        );
        assert_eq!(settings(&reading.config)[0], text);
    }
    let named = FILES.replace("\"name\": \"db\"", "\"name\": \"%(%%environment.tag)\"");
    let reading = read_to_deploy(&Files::from_fixture(&named));
    let told: Vec<&str> = reading
        .findings
        .iter()
        .map(|f| f.message.as_str())
        .collect();
    assert!(
        told.contains(&"a template in a name stays as it is"),
        "{told:?}"
    );
}
