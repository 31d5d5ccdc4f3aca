//! The value: nodes by kind and key, shared between versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::Kind;

/// A node's natural key among its kind: its name, or its path-like place.
pub type NodeKey = String;

/// One node: what its file says, unknown fields included, and its source.
///
/// Two nodes are equal when they print the same: the order of fields counts, as
/// it does in a query.
#[derive(Debug, Clone, Eq, Default)]
pub struct Node {
    /// The JSON as written, in its order.
    pub json: Value,
    /// A function's or webhook's code.
    pub source: Option<Arc<str>>,
    /// A hosted file's bytes.
    pub bytes: Option<Arc<[u8]>>,
}

/// Which layout the files were in, so that they print the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootLayout {
    /// `realm_config.json`, config version 20210101.
    #[default]
    Realm,
    /// `root_config.json`, config version 20230101.
    Root,
    /// `config.json`, config version 20200603, with a folder for each function.
    Older,
    /// `stitch.json`, config version 20180301, otherwise the same.
    Stitch,
}

impl RootLayout {
    /// The root file's name.
    pub fn root_file(self) -> &'static str {
        match self {
            Self::Realm => "realm_config.json",
            Self::Root => "root_config.json",
            Self::Older => "config.json",
            Self::Stitch => "stitch.json",
        }
    }

    /// Whether each function has a folder and each provider a file.
    pub fn is_older(self) -> bool {
        matches!(self, Self::Older | Self::Stitch)
    }
}

/// An app's configuration.
///
/// Cloning is cheap: kinds and nodes are shared until they change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppConfig {
    pub(crate) layout: RootLayout,
    /// A kind with no nodes is there when a file of its own says so.
    pub(crate) nodes: BTreeMap<Kind, Arc<IndexMap<NodeKey, Arc<Node>>>>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.bytes == other.bytes
            && same_json(&self.json, &other.json)
    }
}

fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((name, a), (other, b))| name == other && same_json(a, b))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        _ => a == b,
    }
}

impl Node {
    /// A node that is only JSON.
    pub fn new(json: Value) -> Self {
        Self {
            json,
            ..Self::default()
        }
    }

    /// A function.
    pub fn function(manifest: Value, source: &str) -> Self {
        Self {
            json: manifest,
            source: Some(source.into()),
            bytes: None,
        }
    }

    /// Has the node take the value of a setting from a secret.
    pub fn refer_to_secret(&mut self, field: &str, secret: &str) {
        let Some(fields) = self.json.as_object_mut() else {
            return;
        };
        let named = fields.entry("secret_config").or_insert(Value::Null);
        if !named.is_object() {
            *named = json!({});
        }
        named[field] = json!(secret);
    }

    /// The fields; empty for what is not an object.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        self.json.as_object()
    }

    /// A text field; empty when missing.
    pub fn text(&self, name: &str) -> &str {
        self.json
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A flag; false when missing.
    pub fn flag(&self, name: &str) -> bool {
        self.json
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    /// A field at a JSON pointer such as `/config/clusterName`.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer)
    }
}

impl AppConfig {
    /// The app's layout.
    pub fn layout(&self) -> RootLayout {
        self.layout
    }

    /// The app's name.
    pub fn name(&self) -> &str {
        self.get(Kind::Root, "")
            .map_or("", |root| root.text("name"))
    }

    /// The client app id that the files name; empty when they name none.
    pub fn client_app_id(&self) -> &str {
        self.get(Kind::Root, "")
            .map_or("", |root| root.text("app_id"))
    }

    /// The environment's name; `no-environment` unless the app sets one.
    pub fn environment(&self) -> &str {
        match self
            .get(Kind::Root, "")
            .map_or("", |root| root.text("environment"))
        {
            "" | "none" => "no-environment",
            name => name,
        }
    }

    /// What the app calls its environment; empty for none.
    pub fn environment_tag(&self) -> &str {
        match self.environment() {
            "no-environment" => "",
            name => name,
        }
    }

    /// A node. Singletons have the empty key.
    pub fn get(&self, kind: Kind, key: &str) -> Option<&Arc<Node>> {
        self.nodes.get(&kind)?.get(key)
    }

    /// Every node of a kind with its key, in order.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&NodeKey, &Arc<Node>)> {
        self.nodes
            .get(&kind)
            .into_iter()
            .flat_map(|nodes| nodes.iter())
    }

    /// The kinds that have nodes.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.nodes
            .iter()
            .filter(|(_, nodes)| !nodes.is_empty())
            .map(|(kind, _)| *kind)
    }

    pub(crate) fn put(&mut self, kind: Kind, key: impl Into<NodeKey>, node: Node) {
        let nodes = self.nodes.entry(kind).or_default();
        Arc::make_mut(nodes).insert(key.into(), Arc::new(node));
    }

    pub(crate) fn take(&mut self, kind: Kind, key: &str) -> Option<Arc<Node>> {
        let nodes = self.nodes.get_mut(&kind)?;
        let taken = Arc::make_mut(nodes).shift_remove(key);
        if nodes.is_empty() && !crate::print::listed(kind, self.layout) {
            self.nodes.remove(&kind);
        }
        taken
    }

    /// Shares with `other` every node that is the same, so that comparing them
    /// again is comparing pointers.
    pub fn share(&mut self, other: &Self) {
        for (kind, nodes) in &mut self.nodes {
            let Some(theirs) = other.nodes.get(kind) else {
                continue;
            };
            for (key, node) in Arc::make_mut(nodes) {
                if let Some(same) = theirs.get(key).filter(|same| *same == node) {
                    *node = same.clone();
                }
            }
        }
    }
}
