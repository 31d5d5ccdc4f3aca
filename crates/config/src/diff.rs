//! What changed between two values.

use similar::TextDiff;

use crate::node::NodeKey;
use crate::{AppConfig, Kind, print};

/// The nodes that differ, by kind and key. Shared nodes are not compared.
pub fn changed(before: &AppConfig, after: &AppConfig) -> Vec<(Kind, NodeKey)> {
    let mut found = Vec::new();
    let one_way = |a: &AppConfig, b: &AppConfig, found: &mut Vec<(Kind, NodeKey)>| {
        for kind in a.kinds() {
            for (key, node) in a.all(kind) {
                let same = b
                    .get(kind, key)
                    .is_some_and(|other| std::sync::Arc::ptr_eq(node, other) || node == other);
                let entry = (kind, key.clone());
                if !same && !found.contains(&entry) {
                    found.push(entry);
                }
            }
        }
    };
    one_way(before, after, &mut found);
    one_way(after, before, &mut found);
    found
}

/// A unified diff for each file that differs between two printings.
pub fn text_diff(before: &AppConfig, after: &AppConfig) -> Vec<String> {
    let (before, after) = (print(before), print(after));
    let mut paths: Vec<&String> = before.0.keys().chain(after.0.keys()).collect();
    paths.sort();
    paths.dedup();
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    paths
        .into_iter()
        .filter(|path| before.get(path) != after.get(path))
        .map(|path| {
            let (old, new) = (text(before.get(path)), text(after.get(path)));
            TextDiff::from_lines(&old, &new)
                .unified_diff()
                .header(path, path)
                .to_string()
        })
        .collect()
}
