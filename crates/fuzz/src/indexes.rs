//! The indexes that a collection has, as far as the commands before tell.

use bson::{Bson, Document};

/// Indexes of `c`, beside that of `_id`.
#[derive(Debug, Clone, Default)]
pub struct Indexes {
    /// Specifications.
    made: Vec<Document>,
    /// Whether there may be any.
    unknown: bool,
    /// Whether a command had the least or the greatest key in it, and so documents
    /// may.
    ends: bool,
}

impl Indexes {
    /// Any indexes, or none.
    pub fn unknown() -> Self {
        Self {
            unknown: true,
            ..Self::default()
        }
    }

    /// Takes note of a command that was done.
    pub fn see(&mut self, command: &Document) {
        let text = command.to_string();
        self.ends |= text.contains("MinKey") || text.contains("MaxKey");
        let (name, index) = (command.keys().next(), command.get("index"));
        match (name.map(String::as_str), index) {
            (Some("createIndexes"), _) => {
                let made = command.get_array("indexes").into_iter().flatten();
                self.made
                    .extend(made.filter_map(Bson::as_document).cloned());
            }
            (Some("dropIndexes"), Some(Bson::String(name))) => {
                let named = |index: &Document| index.get_str("name").is_ok_and(|own| own == name);
                let stays = |index: &Document| !named(index) && name != "*";
                self.made.retain(stays);
            }
            (Some("drop"), _) => self.made.clear(),
            _ => {}
        }
    }

    /// Whether there is one.
    pub fn any(&self) -> bool {
        self.unknown || !self.made.is_empty()
    }

    /// Whether documents may have the least or the greatest key.
    pub fn ends(&self) -> bool {
        self.ends
    }

    /// Whether one of them has this path.
    pub fn have(&self, path: &str) -> bool {
        self.unknown || self.made.iter().any(|index| has(index, path))
    }

    /// Whether one of them is sparse.
    pub fn sparse(&self) -> bool {
        let is = |index: &Document| index.get_bool("sparse").unwrap_or(false);
        self.made.iter().any(is)
    }
}

fn has(index: &Document, path: &str) -> bool {
    index
        .get_document("key")
        .is_ok_and(|key| key.contains_key(path))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn indexes_come_and_go() {
        let mut indexes = Indexes::default();
        assert!(!indexes.any() && !indexes.have("a"));
        let sparse = doc! { "key": { "a": 1, "b.c": -1 }, "name": "i", "sparse": true };
        let plain = doc! { "key": { "n": 1 }, "name": "j" };
        indexes.see(&doc! { "createIndexes": "c", "indexes": [sparse, plain] });
        assert!(indexes.have("b.c") && indexes.have("n") && !indexes.have("b"));
        assert!(indexes.sparse());
        indexes.see(&doc! { "dropIndexes": "c", "index": "i" });
        assert!(!indexes.have("a") && indexes.have("n") && !indexes.sparse());
        indexes.see(&doc! { "dropIndexes": "c", "index": "*" });
        assert!(!indexes.any());
        assert!(Indexes::unknown().have("a"));
    }
}
