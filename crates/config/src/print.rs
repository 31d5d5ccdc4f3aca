//! The value to files: its canonical form.

use serde::Serialize as _;
use serde_json::{Map, Value};

use crate::node::RootLayout;
use crate::{AppConfig, Files, Kind};

/// Prints a configuration in the layout that it was read in.
pub fn print(config: &AppConfig) -> Files {
    let mut files = Files::default();
    let layout = config.layout;
    let older = layout == RootLayout::Older;
    for kind in config.kinds() {
        match kind {
            Kind::AuthProvider if !older => {
                let entries: Map<String, Value> = config
                    .all(kind)
                    .map(|(key, node)| (key.clone(), node.json.clone()))
                    .collect();
                files.insert("auth/providers.json", json(&Value::Object(entries)));
            }
            Kind::Function if !older => {
                let list = config
                    .all(kind)
                    .map(|(_, node)| node.json.clone())
                    .collect();
                files.insert("functions/config.json", json(&Value::Array(list)));
            }
            Kind::Endpoint => {
                let list = config
                    .all(kind)
                    .map(|(_, node)| node.json.clone())
                    .collect();
                let folder = endpoints(layout);
                files.insert(format!("{folder}/config.json"), json(&Value::Array(list)));
            }
            _ => {
                for (key, node) in config.all(kind) {
                    match &node.bytes {
                        Some(bytes) => files.insert(path(kind, key, layout), bytes.clone()),
                        None => files.insert(path(kind, key, layout), json(&node.json)),
                    }
                }
            }
        }
        for (key, node) in config.all(kind) {
            if let Some(source) = &node.source {
                files.insert(source_path(kind, key, layout), source.as_bytes());
            }
        }
    }
    files
}

fn endpoints(layout: RootLayout) -> &'static str {
    match layout {
        RootLayout::Root => "https_endpoints",
        _ => "http_endpoints",
    }
}

/// The file of a node that has one of its own.
pub(crate) fn path(kind: Kind, key: &str, layout: RootLayout) -> String {
    let inside = |folder: &str, name: &str| match key.split_once('/') {
        Some((service, rest)) => format!("services/{service}/{folder}/{rest}{name}"),
        None => format!("services/{key}{name}"),
    };
    match kind {
        Kind::Root => match layout {
            RootLayout::Realm => "realm_config.json".to_owned(),
            RootLayout::Root => "root_config.json".to_owned(),
            RootLayout::Older => "config.json".to_owned(),
        },
        Kind::AuthProvider => format!("auth_providers/{key}.json"),
        Kind::CustomUserData => "auth/custom_user_data.json".to_owned(),
        Kind::DataSource => format!("data_sources/{key}/config.json"),
        Kind::DefaultRule => format!("data_sources/{key}/default_rule.json"),
        Kind::Rule => format!("data_sources/{key}/rules.json"),
        Kind::Schema => format!("data_sources/{key}/schema.json"),
        Kind::Relationships => format!("data_sources/{key}/relationships.json"),
        Kind::Function => format!("functions/{key}/config.json"),
        Kind::Dependencies => "functions/package.json".to_owned(),
        Kind::Value => format!("values/{key}.json"),
        Kind::Environment => format!("environments/{key}.json"),
        Kind::Endpoint => format!("{}/config.json", endpoints(layout)),
        Kind::DataApi => format!("{}/data_api_config.json", endpoints(layout)),
        Kind::Trigger => format!("triggers/{key}.json"),
        Kind::GraphqlConfig => "graphql/config.json".to_owned(),
        Kind::GraphqlResolver => format!("graphql/custom_resolvers/{key}.json"),
        Kind::GraphqlValidation => "graphql/validation_settings.json".to_owned(),
        Kind::Hosting => "hosting/config.json".to_owned(),
        Kind::HostingMetadata => "hosting/metadata.json".to_owned(),
        Kind::HostingFile => format!("hosting/files{key}"),
        Kind::LogForwarder => format!("log_forwarders/{key}.json"),
        Kind::Sync => "sync/config.json".to_owned(),
        Kind::Service => format!("services/{key}/config.json"),
        Kind::ServiceRule => inside("rules", ".json"),
        Kind::Webhook => inside("incoming_webhooks", "/config.json"),
    }
}

/// The file of a node's source.
pub(crate) fn source_path(kind: Kind, key: &str, layout: RootLayout) -> String {
    match kind {
        Kind::Webhook => path(kind, key, layout).replace("/config.json", "/source.js"),
        _ if layout == RootLayout::Older => format!("functions/{key}/source.js"),
        _ => format!("functions/{key}.js"),
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
