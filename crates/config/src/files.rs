//! A set of files: paths with `/`, and their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by path, without a leading slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, Arc<[u8]>>);

impl Files {
    /// Files out of one text, each after a line `//- /path`.
    pub fn from_fixture(text: &str) -> Self {
        let mut files = BTreeMap::new();
        let mut current: Option<(String, String)> = None;
        for line in text.lines() {
            if let Some(path) = line.trim().strip_prefix("//- /") {
                if let Some((path, body)) = current.take() {
                    files.insert(path, body.into_bytes().into());
                }
                current = Some((path.trim().to_owned(), String::new()));
            } else if let Some((_, body)) = &mut current {
                body.push_str(line);
                body.push('\n');
            }
        }
        if let Some((path, body)) = current {
            files.insert(path, body.into_bytes().into());
        }
        Self(files)
    }

    /// Adds a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.0.insert(path.into(), bytes.into());
    }

    /// A file's bytes.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(AsRef::as_ref)
    }
}
