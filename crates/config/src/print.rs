//! The value to files: its canonical form.

use serde::Serialize as _;
use serde_json::Value;

use crate::layout::{path, source_path};
use crate::node::RootLayout;
use crate::{AppConfig, Files, Kind};

/// Nodes that older layouts keep inside the root file, under these names.
pub(crate) const IN_OLDER_ROOT: [(Kind, &str); 3] = [
    (Kind::Hosting, "hosting"),
    (Kind::CustomUserData, "custom_user_data_config"),
    (Kind::Sync, "sync"),
];

/// Nodes that older layouts keep inside a rule's file, under these names.
pub(crate) const IN_OLDER_RULE: [(Kind, &str); 2] = [
    (Kind::Schema, "schema"),
    (Kind::Relationships, "relationships"),
];

/// Prints a configuration in the layout that it was read in.
pub fn print(config: &AppConfig) -> Files {
    let mut files = Files::default();
    let older = config.layout.is_older();
    for (kind, nodes) in &config.nodes {
        let kind = *kind;
        if listed(kind, config.layout) {
            let entries = nodes
                .iter()
                .map(|(key, node)| (key.clone(), node.json.clone()));
            let (path, value) = match kind {
                Kind::AuthProvider => (
                    "auth/providers.json".to_owned(),
                    Value::Object(entries.collect()),
                ),
                Kind::Function => ("functions/config.json".to_owned(), list(entries)),
                _ => (path(config, kind, ""), list(entries)),
            };
            files.insert(path, json(&value));
        } else if !(older && inside_another(kind)) {
            for (key, node) in nodes.iter() {
                let bytes = match &node.bytes {
                    Some(bytes) => bytes.clone(),
                    None => json(&node.json).into(),
                };
                files.insert(path(config, kind, key), bytes);
            }
        }
        for (key, node) in nodes.iter() {
            if let Some(source) = &node.source {
                files.insert(source_path(config, kind, key), source.as_bytes());
            }
        }
    }
    if older {
        older_root(config, &mut files);
        older_rules(config, &mut files);
    }
    files
}

/// Whether one file holds all nodes of a kind. It is there even when it has no
/// entries, so that an empty one prints as it was.
pub(crate) fn listed(kind: Kind, layout: RootLayout) -> bool {
    match kind {
        Kind::Endpoint => true,
        Kind::AuthProvider | Kind::Function => !layout.is_older(),
        _ => false,
    }
}

/// Whether older layouts keep a kind inside another one's file.
fn inside_another(kind: Kind) -> bool {
    let kinds = IN_OLDER_ROOT.iter().chain(&IN_OLDER_RULE);
    matches!(kind, Kind::Root | Kind::Rule) || kinds.into_iter().any(|(inner, _)| *inner == kind)
}

fn list(entries: impl Iterator<Item = (String, Value)>) -> Value {
    entries.map(|(_, json)| json).collect()
}

fn older_root(config: &AppConfig, files: &mut Files) {
    let mut root = config
        .get(Kind::Root, "")
        .and_then(|node| node.fields().cloned())
        .unwrap_or_default();
    for (kind, name) in IN_OLDER_ROOT {
        if let Some(node) = config.get(kind, "") {
            root.insert(name.to_owned(), node.json.clone());
        }
    }
    files.insert(path(config, Kind::Root, ""), json(&Value::Object(root)));
}

fn older_rules(config: &AppConfig, files: &mut Files) {
    let kinds = [Kind::Rule, Kind::Schema, Kind::Relationships];
    let mut keys: Vec<&String> = kinds
        .iter()
        .flat_map(|kind| config.all(*kind).map(|(key, _)| key))
        .collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let mut names = key.splitn(3, '/').skip(1).map(Value::from);
        let rule = config.get(Kind::Rule, key);
        let mut fields = rule
            .and_then(|node| node.fields().cloned())
            .unwrap_or_else(|| {
                let named = |name: &str, names: &mut dyn Iterator<Item = Value>| {
                    (name.to_owned(), names.next().unwrap_or_default())
                };
                [
                    named("database", &mut names),
                    named("collection", &mut names),
                ]
                .into_iter()
                .collect()
            });
        for (kind, name) in IN_OLDER_RULE {
            if let Some(node) = config.get(kind, key) {
                fields.insert(name.to_owned(), node.json.clone());
            }
        }
        files.insert(path(config, Kind::Rule, key), json(&Value::Object(fields)));
    }
}

/// JSON as the exporter writes it: four spaces, and a line end.
fn json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    // Writing a JSON value to memory cannot fail.
    let _ = value.serialize(&mut writer);
    out.push(b'\n');
    out
}
