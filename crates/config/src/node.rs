//! The value: nodes by kind and key, shared between versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::Kind;

/// A node's natural key among its kind: its name, or its path-like place.
pub type NodeKey = String;

/// One node: what its file says, unknown fields included, and its source.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// `config.json` or `stitch.json`, with a folder for each function.
    Older,
}

/// An app's configuration.
///
/// Cloning is cheap: kinds and nodes are shared until they change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppConfig {
    pub(crate) layout: RootLayout,
    pub(crate) nodes: BTreeMap<Kind, Arc<IndexMap<NodeKey, Arc<Node>>>>,
}

/// Ids beside the value, by kind and key. A push matches by key and keeps them.
pub type Ids = BTreeMap<(Kind, NodeKey), String>;

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
        if nodes.is_empty() {
            self.nodes.remove(&kind);
        }
        taken
    }
}
