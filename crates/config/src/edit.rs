//! Changes to a value: uniqueness and references are kept.

use kit::Severity;

use crate::check::flaws;
use crate::{AppConfig, Kind, Node};

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// There is one of that key already.
    Duplicate(Kind, String),
    /// There is none of that key.
    NotFound(Kind, String),
    /// Others name it: their kinds and keys.
    InUse(Vec<(Kind, String)>),
    /// The value would be wrong: all the problems.
    Invalid(Vec<String>),
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Duplicate(kind, key) => write!(f, "{} '{key}' already exists", kind.noun()),
            Self::NotFound(kind, key) => write!(f, "{} not found: '{key}'", kind.noun()),
            Self::InUse(users) => {
                let names: Vec<String> = users
                    .iter()
                    .map(|(kind, key)| match key.as_str() {
                        "" => kind.noun().to_owned(),
                        key => format!("{} '{key}'", kind.noun()),
                    })
                    .collect();
                write!(f, "it is used by {}", names.join(", "))
            }
            Self::Invalid(problems) => f.write_str(&problems.join("; ")),
        }
    }
}

impl std::error::Error for EditError {}

impl AppConfig {
    /// A new app's configuration.
    pub fn new(name: &str) -> Self {
        let mut config = Self::default();
        let root = serde_json::json!({
            "config_version": 20_210_101, "name": name, "location": "US-VA",
            "provider_region": "aws-us-east-1", "deployment_model": "GLOBAL",
        });
        config.put(Kind::Root, "", Node::new(root));
        let provider =
            serde_json::json!({ "name": "api-key", "type": "api-key", "disabled": true });
        config.put(Kind::AuthProvider, "api-key", Node::new(provider));
        config.put(
            Kind::CustomUserData,
            "",
            Node::new(serde_json::json!({ "enabled": false })),
        );
        config
    }

    /// Adds a node.
    pub fn insert(&mut self, kind: Kind, key: &str, node: Node) -> Result<(), EditError> {
        if self.get(kind, key).is_some() {
            return Err(EditError::Duplicate(kind, key.to_owned()));
        }
        self.changed(kind, key, |config| config.put(kind, key, node))
    }

    /// Replaces a node, under a new key if its name changed: those that name it
    /// name the new one then, and what belongs to it goes along
    /// ([`AppConfig::renames_within`] tells what).
    pub fn replace(
        &mut self,
        kind: Kind,
        key: &str,
        new: &str,
        node: Node,
    ) -> Result<(), EditError> {
        if self.get(kind, key).is_none() {
            return Err(EditError::NotFound(kind, key.to_owned()));
        }
        if new != key && self.get(kind, new).is_some() {
            return Err(EditError::Duplicate(kind, new.to_owned()));
        }
        if new == key {
            return self.changed(kind, new, |config| config.put(kind, new, node));
        }
        let followers = self.renamed(kind, key, new);
        let moves = self.renames_within(&[(kind, key.to_owned(), new.to_owned())]);
        self.changed(kind, new, |config| {
            for (of, name, node) in followers {
                config.put(of, &name, node);
            }
            for (of, old, new) in moves {
                if let Some(node) = config.take(of, &old) {
                    config.put(of, new, Node::clone(&node));
                }
            }
            config.put(kind, new, node);
        })
    }

    /// Sets a node, whether there was one or not.
    pub fn set(&mut self, kind: Kind, key: &str, node: Node) -> Result<(), EditError> {
        self.changed(kind, key, |config| config.put(kind, key, node))
    }

    /// Removes a node that nobody names.
    pub fn remove(&mut self, kind: Kind, key: &str) -> Result<(), EditError> {
        if self.get(kind, key).is_none() {
            return Err(EditError::NotFound(kind, key.to_owned()));
        }
        let users = self.users(kind, key);
        if !users.is_empty() {
            return Err(EditError::InUse(users));
        }
        // What belongs to a service goes with it.
        let parts: &[Kind] = match kind {
            Kind::DataSource => &[
                Kind::DefaultRule,
                Kind::Rule,
                Kind::Schema,
                Kind::Relationships,
            ],
            Kind::Service => &[Kind::ServiceRule, Kind::Webhook],
            _ => &[],
        };
        let inside = format!("{key}/");
        for part in parts {
            let keys: Vec<String> = self.all(*part).map(|(k, _)| k.clone()).collect();
            for other in keys.iter().filter(|k| *k == key || k.starts_with(&inside)) {
                self.take(*part, other);
            }
        }
        self.take(kind, key);
        Ok(())
    }

    /// Applies a change and refuses what is wrong with the node afterwards.
    fn changed(
        &mut self,
        kind: Kind,
        key: &str,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), EditError> {
        let before = self.clone();
        change(self);
        let wrong: Vec<String> = flaws(self)
            .into_iter()
            .filter(|p| p.severity == Severity::Error && p.kind == kind && p.key == key)
            .map(|p| p.message)
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        *self = before;
        Err(EditError::Invalid(wrong))
    }
}
