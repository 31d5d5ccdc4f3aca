//! Two changes of one value, put together.

use crate::check::flaws;
use crate::node::NodeKey;
use crate::{AppConfig, Kind, changed};

/// Why two changes cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeError {
    /// Both changed these nodes, each in its own way.
    Overlap(Vec<(Kind, NodeKey)>),
    /// Together they are wrong: such as a function that one removed and the
    /// other names.
    Invalid(Vec<String>),
}

impl std::fmt::Display for MergeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overlap(nodes) => {
                let names: Vec<String> = nodes
                    .iter()
                    .map(|(kind, key)| format!("{} '{key}'", kind.noun()))
                    .collect();
                write!(f, "both changed {}", names.join(", "))
            }
            Self::Invalid(problems) => f.write_str(&problems.join("; ")),
        }
    }
}

/// `theirs` with what `ours` changed of `base`. Nodes are the unit: who changed
/// another node is not in the way.
///
/// # Errors
/// [`MergeError`], with everything that is in the way.
pub fn merge(
    base: &AppConfig,
    ours: &AppConfig,
    theirs: &AppConfig,
) -> Result<AppConfig, MergeError> {
    let mut merged = theirs.clone();
    if ours.layout != base.layout {
        merged.layout = ours.layout;
    }
    let mut overlap = Vec::new();
    for (kind, key) in changed(base, ours) {
        let (was, mine) = (base.get(kind, &key), ours.get(kind, &key));
        let other = theirs.get(kind, &key);
        if other != was && other != mine {
            overlap.push((kind, key));
            continue;
        }
        match mine {
            Some(node) => merged.put(kind, key, node.as_ref().clone()),
            None => drop(merged.take(kind, &key)),
        }
    }
    if !overlap.is_empty() {
        return Err(MergeError::Overlap(overlap));
    }
    // What was wrong before is nothing that the two did to each other.
    let known = [flaws(ours), flaws(theirs)].concat();
    let wrong: Vec<String> = flaws(&merged)
        .into_iter()
        .filter(|flaw| flaw.severity == kit::Severity::Error && !known.contains(flaw))
        .map(|flaw| format!("{} '{}': {}", flaw.kind.noun(), flaw.key, flaw.message))
        .collect();
    if wrong.is_empty() {
        Ok(merged)
    } else {
        Err(MergeError::Invalid(wrong))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MergeError, merge};
    use crate::{AppConfig, Kind, Node};

    fn with(values: &[(&str, i64)]) -> AppConfig {
        let mut config = AppConfig::new("shop");
        for (name, value) in values {
            let node = Node::new(json!({ "name": name, "value": value }));
            config.insert(Kind::Value, name, node).unwrap();
        }
        config
    }

    #[test]
    fn changes_of_other_nodes_go_together() {
        let base = with(&[("a", 1), ("b", 1), ("c", 1)]);
        let ours = with(&[("a", 2), ("b", 1), ("new", 1)]);
        let theirs = with(&[("a", 1), ("b", 2), ("c", 1)]);
        let merged = merge(&base, &ours, &theirs).unwrap();
        let values: Vec<(&str, &serde_json::Value)> = merged
            .all(Kind::Value)
            .map(|(key, node)| (key.as_str(), &node.json["value"]))
            .collect();
        assert_eq!(
            values,
            [("a", &json!(2)), ("b", &json!(2)), ("new", &json!(1))]
        );
    }

    #[test]
    fn the_same_change_twice_is_one() {
        let (base, both) = (with(&[("a", 1)]), with(&[("a", 2)]));
        assert_eq!(merge(&base, &both, &both).unwrap(), both);
    }

    #[test]
    fn two_changes_of_a_node_are_named() {
        let base = with(&[("a", 1), ("b", 1)]);
        for (ours, theirs) in [
            (with(&[("a", 2), ("b", 1)]), with(&[("a", 3), ("b", 1)])),
            (with(&[("b", 1)]), with(&[("a", 3), ("b", 1)])),
            (with(&[("a", 2), ("b", 1)]), with(&[("b", 1)])),
        ] {
            let refused = merge(&base, &ours, &theirs).unwrap_err();
            let named = vec![(Kind::Value, "a".to_owned())];
            assert_eq!(refused, MergeError::Overlap(named));
            assert_eq!(refused.to_string(), "both changed value 'a'");
        }
    }

    #[test]
    fn what_is_wrong_only_together_is_refused() {
        let function = |config: &mut AppConfig| {
            let node = Node::function(json!({ "name": "f" }), "exports = 1");
            config.insert(Kind::Function, "f", node).unwrap();
        };
        let mut base = with(&[]);
        function(&mut base);
        let mut ours = base.clone();
        let endpoint = json!({ "route": "/x", "http_method": "GET", "function_name": "f" });
        ours.insert(Kind::Endpoint, "GET /x", Node::new(endpoint))
            .unwrap();
        let theirs = with(&[]);
        let refused = merge(&base, &ours, &theirs).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "endpoint 'GET /x': there is no function \"f\""
        );
    }
}
