//! The value as exports have it (admin-api.md §4.6 and §4.7): in any layout,
//! with the app's identity, with or without ids, and with what the exporter
//! always writes. Two values that export alike are the same app.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::document::ENVIRONMENTS;
use crate::node::RootLayout;
use crate::order::without_id;
use crate::{AppConfig, Kind, Node};

/// Finds a node's id by kind and key.
pub type IdOf<'a> = dyn Fn(Kind, &str) -> Option<String> + 'a;

/// How an export is to be.
#[derive(Clone, Copy)]
pub struct Exporting<'a> {
    /// The layout of its files.
    pub layout: RootLayout,
    /// The app's client app id; `None` makes a template, which names nothing
    /// that belongs to one app.
    pub client_app_id: Option<&'a str>,
    /// The ids of nodes, if the files are to carry them.
    pub id: Option<&'a IdOf<'a>>,
}

/// Fields that the root file has in some layout.
const ROOT_FIELDS: [&str; 9] = [
    "config_version",
    "app_id",
    "name",
    "location",
    "provider_region",
    "deployment_model",
    "environment",
    "allowed_request_origins",
    "security",
];
/// Fields that name where an app's files are served.
const DOMAINS: [&str; 2] = ["app_default_domain", "custom_domain"];

impl RootLayout {
    /// The layout of a `config_version`.
    pub fn of_version(version: &str) -> Option<Self> {
        Some(match version {
            "20180301" => Self::Stitch,
            "20200603" => Self::Older,
            "20210101" => Self::Realm,
            "20230101" => Self::Root,
            _ => return None,
        })
    }

    /// The `config_version` that its root file names.
    pub fn version(self) -> i64 {
        match self {
            Self::Stitch => 20_180_301,
            Self::Older => 20_200_603,
            Self::Realm => 20_210_101,
            Self::Root => 20_230_101,
        }
    }
}

impl AppConfig {
    /// The value as an export has it. Hosted files and what is said of them are
    /// no part of it: clients fetch them one by one.
    #[must_use]
    pub fn exported(&self, how: &Exporting<'_>) -> Self {
        let mut config = self.clone();
        for kind in [Kind::HostingFile, Kind::HostingMetadata] {
            config.nodes.remove(&kind);
        }
        config.layout = how.layout;
        config.put(Kind::Root, "", Node::new(root(self, how)));
        if how.client_app_id.is_none() {
            config.without_domains();
        }
        config.with_ids(how);
        config.filled();
        config
    }

    /// Whether two values are the same app: they export alike.
    pub fn exports_like(&self, other: &Self) -> bool {
        let alike = |kind| {
            let of = |config: &Self| -> Vec<(String, Arc<Node>)> {
                let nodes = config.all(kind);
                nodes
                    .map(|(key, node)| (key.clone(), node.clone()))
                    .collect()
            };
            of(self) == of(other)
        };
        // What exports leave out.
        alike(Kind::HostingFile)
            && alike(Kind::HostingMetadata)
            && self.exported(&PLAIN) == other.exported(&PLAIN)
    }

    fn without_domains(&mut self) {
        let Some(node) = self.get(Kind::Hosting, "") else {
            return;
        };
        let mut node = Node::clone(node);
        if let Some(fields) = node.json.as_object_mut() {
            fields.retain(|name, _| !DOMAINS.contains(&name.as_str()));
        }
        self.put(Kind::Hosting, "", node);
    }

    /// Takes off the ids that files carried, and puts the ones that are wanted.
    fn with_ids(&mut self, how: &Exporting<'_>) {
        for (kind, nodes) in &mut self.nodes {
            if !kind.has_id() {
                continue;
            }
            let carried = |node: &Arc<Node>| {
                let has = |name| node.json.get(name).is_some();
                has("id") || has("_id")
            };
            if how.id.is_none() && !nodes.values().any(carried) {
                continue;
            }
            for (key, node) in Arc::make_mut(nodes) {
                let id = how.id.and_then(|id| id(*kind, key));
                if id.is_none() && !carried(node) {
                    continue;
                }
                let plain = without_id(*kind, &node.json);
                let (Some(fields), Some(id)) = (plain.as_object(), id) else {
                    Arc::make_mut(node).json = plain;
                    continue;
                };
                let mut json = Map::with_capacity(fields.len() + 1);
                json.insert("id".to_owned(), json!(id));
                json.extend(fields.clone());
                Arc::make_mut(node).json = Value::Object(json);
            }
        }
    }

    /// Adds what the exporter writes of an app that never said it.
    fn filled(&mut self) {
        let older = self.layout.is_older();
        for (_, file) in ENVIRONMENTS {
            self.put_missing(Kind::Environment, file, || json!({ "values": {} }));
        }
        for (kind, default) in [
            (Kind::CustomUserData, json!({ "enabled": false })),
            (Kind::Sync, json!({ "development_mode_enabled": false })),
            (
                Kind::GraphqlConfig,
                json!({ "use_natural_pluralization": true }),
            ),
        ] {
            self.put_missing(kind, "", || default);
        }
        // Clients take a collection's folder with its rules, or with both of these.
        for (kind, other) in [
            (Kind::Schema, Kind::Relationships),
            (Kind::Relationships, Kind::Schema),
        ] {
            let keys: Vec<String> = self
                .all(kind)
                .map(|(key, _)| key.clone())
                .filter(|key| !older && self.get(Kind::Rule, key).is_none())
                .collect();
            for key in keys {
                self.put_missing(other, &key, || json!({}));
            }
        }
        if older {
            // Those have no file of all endpoints.
            self.nodes.retain(|_, nodes| !nodes.is_empty());
        } else {
            for kind in [Kind::AuthProvider, Kind::Function, Kind::Endpoint] {
                self.nodes.entry(kind).or_default();
            }
        }
    }

    fn put_missing(&mut self, kind: Kind, key: &str, json: impl FnOnce() -> Value) {
        if self.get(kind, key).is_none() {
            self.put(kind, key, Node::new(json()));
        }
    }
}

/// An export by which values are compared.
const PLAIN: Exporting<'static> = Exporting {
    layout: RootLayout::Realm,
    client_app_id: Some(""),
    id: None,
};

/// The origins that a root node allows, wherever its layout has them.
pub fn allowed_origins(root: &Value) -> Option<&Value> {
    let listed = root.get("allowed_request_origins");
    let listed = listed.or_else(|| root.pointer("/security/allowed_request_origins"));
    listed.filter(|origins| !origins.is_null())
}

fn root(config: &AppConfig, how: &Exporting<'_>) -> Value {
    let none = json!({});
    let known = config.get(Kind::Root, "").map_or(&none, |node| &node.json);
    let mut root = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            root.insert(name.to_owned(), value);
        }
    };
    let said = |name: &str| known.get(name).filter(|value| !value.is_null()).cloned();
    let text = |name: &str| said(name).filter(|value| *value != json!(""));
    let version = Some(json!(how.layout.version()));
    let id = how.client_app_id.map(|id| json!(id));
    let origins = allowed_origins(known).cloned();
    match how.layout {
        RootLayout::Root => {
            put("name", said("name"));
            put("deployment_model", text("deployment_model"));
            put("provider_region", text("provider_region"));
            put("environment", text("environment"));
            put("allowed_request_origins", origins);
        }
        RootLayout::Realm => {
            put("app_id", id);
            put("config_version", version);
            put("name", said("name"));
            put("location", text("location"));
            put("provider_region", text("provider_region"));
            put("deployment_model", text("deployment_model"));
            put("environment", text("environment"));
            put("allowed_request_origins", origins);
        }
        RootLayout::Older | RootLayout::Stitch => {
            put("config_version", version);
            put("app_id", id);
            put("name", said("name"));
            put("location", text("location"));
            put("provider_region", text("provider_region"));
            put("deployment_model", text("deployment_model"));
            put("environment", text("environment"));
            let origins = origins.map(|origins| json!({ "allowed_request_origins": origins }));
            let rest = known.get("security").and_then(Value::as_object);
            let mut security = rest.cloned().unwrap_or_default();
            security.shift_remove("allowed_request_origins");
            security.extend(
                origins
                    .as_ref()
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            );
            put("security", Some(Value::Object(security)));
        }
    }
    for (name, value) in known.as_object().into_iter().flatten() {
        if !ROOT_FIELDS.contains(&name.as_str()) {
            put(name, Some(value.clone()));
        }
    }
    Value::Object(root)
}
