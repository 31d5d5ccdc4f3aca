//! Ids of a configuration's nodes. Files have none, so they ride beside the
//! value, by kind and key.

use std::collections::HashMap;

use config::{AppConfig, Kind};
use state::NodeId;

use crate::new_id;

/// Changes of node keys, so that ids follow: kind, old key, new key. A node
/// whose old key is empty gets a new id.
pub type Renames = Vec<config::Rename>;

/// The ids of a configuration, found by id and by kind and key.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    list: Vec<NodeId>,
    by_id: HashMap<String, usize>,
    by_key: HashMap<String, HashMap<String, usize>>,
}

impl Ids {
    /// The ids that a record keeps.
    pub(crate) fn new(list: Vec<NodeId>) -> Self {
        let mut ids = Self::default();
        for (at, node) in list.iter().enumerate() {
            ids.by_id.insert(node.id.clone(), at);
            let keys = ids.by_key.entry(node.kind.clone()).or_default();
            keys.insert(node.key.clone(), at);
        }
        ids.list = list;
        ids
    }

    /// All of them, as a record keeps them.
    pub(crate) fn list(&self) -> &[NodeId] {
        &self.list
    }

    /// A node's id and when it last changed.
    pub fn record(&self, kind: Kind, key: &str) -> Option<&NodeId> {
        let at = self.by_key.get(kind.noun())?.get(key)?;
        self.list.get(*at)
    }

    /// The key of the node of a kind that has an id.
    pub fn key(&self, kind: Kind, id: &str) -> Option<&str> {
        let known = self.list.get(*self.by_id.get(id)?)?;
        (known.kind == kind.noun()).then_some(known.key.as_str())
    }

    /// These ids, and for the nodes that `other` knows, `other`'s.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut list: Vec<NodeId> = self.list.clone();
        for node in &other.list {
            let known = self.by_key.get(&node.kind).and_then(|k| k.get(&node.key));
            match known.and_then(|at| list.get_mut(*at)) {
                Some(known) => known.id.clone_from(&node.id),
                None => list.push(node.clone()),
            }
        }
        Self::new(list)
    }

    /// The ids of the configuration that comes after: kept by kind and key, new
    /// where there is none, with the time `now` where the node is not what it
    /// was.
    pub(crate) fn next(
        &self,
        config: &AppConfig,
        was: Option<&AppConfig>,
        renames: &Renames,
        now: i64,
    ) -> Self {
        let renamed: HashMap<(Kind, &str), &str> = renames
            .iter()
            .map(|(kind, old, new)| ((*kind, new.as_str()), old.as_str()))
            .collect();
        let mut list = Vec::with_capacity(self.list.len());
        let mut add = |kind: Kind, key: &str, same: bool| {
            let old = renamed.get(&(kind, key)).copied().unwrap_or(key);
            let known = self.record(kind, old);
            list.push(NodeId {
                kind: kind.noun().to_owned(),
                key: key.to_owned(),
                id: known.map_or_else(new_id, |known| known.id.clone()),
                modified: known.filter(|_| same).map_or(now, |known| known.modified),
            });
        };
        for kind in config.kinds() {
            match kind {
                Kind::HostingFile => {}
                // The Admin API has a resource for each name, not for each file.
                Kind::Environment => {
                    for name in config.environment_value_names() {
                        let same = was.is_some_and(|was| same_values(was, config, name));
                        add(kind, name, same);
                    }
                }
                _ => {
                    for (key, node) in config.all(kind) {
                        add(
                            kind,
                            key,
                            was.and_then(|was| was.get(kind, key)) == Some(node),
                        );
                    }
                }
            }
        }
        Self::new(list)
    }
}

/// Whether a name has the same values in every environment.
fn same_values(a: &AppConfig, b: &AppConfig, name: &str) -> bool {
    [a, b]
        .into_iter()
        .flat_map(|config| config.all(Kind::Environment))
        .all(|(file, _)| a.environment_value(file, name) == b.environment_value(file, name))
}
