//! Where the parts of a value stand in its files, so that what is wrong with
//! them can be shown there.

use std::collections::{BTreeMap, HashMap};

use kit::{Finding, Severity};
use serde_json::Value;

use crate::json::Parsed;
use crate::node::NodeKey;
use crate::{AppConfig, Kind};

/// Something wrong with a node, before anyone looked where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Whether it stops a deployment.
    pub severity: Severity,
    /// The node's kind.
    pub kind: Kind,
    /// The node's key.
    pub key: NodeKey,
    /// The part of it.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The lines round it, for people.
    pub frame: Option<String>,
}

/// A part of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What a JSON pointer names; the nearest thing round it if it is not there.
    Field(String),
    /// A line and column of the source, 1-based.
    Source(u32, u32),
}

/// Where the nodes of a value stand.
#[derive(Debug, Default)]
pub struct Places {
    /// Path, and JSON pointer inside it, of each node's JSON.
    nodes: HashMap<(Kind, NodeKey), (String, String)>,
    /// Paths of the sources.
    sources: HashMap<(Kind, NodeKey), String>,
    /// What was read of each JSON file.
    files: BTreeMap<String, Parsed>,
}

impl Flaw {
    /// An error of a node's field.
    pub fn error(kind: Kind, key: &str, pointer: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            kind,
            key: key.to_owned(),
            part: Part::Field(pointer.to_owned()),
            message: message.into(),
            hint: None,
            frame: None,
        }
    }

    /// A warning about a node's field.
    pub fn warning(kind: Kind, key: &str, pointer: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(kind, key, pointer, message)
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Places {
    /// Where the nodes of a value stand when it is printed.
    pub fn printed(config: &AppConfig) -> Self {
        crate::read(&crate::print(config)).places
    }

    /// A flaw with its file and line.
    pub fn find(&self, flaw: Flaw) -> Finding {
        let node = (flaw.kind, flaw.key);
        let (path, place) = match flaw.part {
            Part::Source(line, column) => {
                let path = self.sources.get(&node).cloned().unwrap_or_default();
                (path, Some((line, column)))
            }
            Part::Field(pointer) => match self.nodes.get(&node) {
                None => (String::new(), None),
                Some((path, base)) => (path.clone(), self.place(path, &format!("{base}{pointer}"))),
            },
        };
        Finding {
            severity: flaw.severity,
            path,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: flaw.message,
            hint: flaw.hint,
            frame: flaw.frame,
        }
    }

    /// The place of a part of a file, or of what is round it.
    pub(crate) fn place(&self, path: &str, pointer: &str) -> Option<(u32, u32)> {
        let parsed = self.files.get(path)?;
        let mut pointer = pointer;
        loop {
            if let Some(place) = parsed.place(pointer) {
                return Some((place.line, place.column));
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    pub(crate) fn add_node(&mut self, kind: Kind, key: &str, path: &str, pointer: &str) {
        let place = (path.to_owned(), pointer.to_owned());
        self.nodes.insert((kind, key.to_owned()), place);
    }

    pub(crate) fn add_source(&mut self, kind: Kind, key: &str, path: &str) {
        self.sources.insert((kind, key.to_owned()), path.to_owned());
    }

    pub(crate) fn add_file(&mut self, path: &str, parsed: Parsed) {
        self.files.insert(path.to_owned(), parsed);
    }
}

/// The JSON pointer of a path as people write it: `roles[0].apply_when.a.b`,
/// whose names may have dots in them. What is not there is left off.
pub fn pointer(json: &Value, dotted: &str) -> String {
    let (mut json, mut rest, mut pointer) = (json, dotted, String::new());
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let step = match json {
            Value::Array(list) => rest.strip_prefix('[').and_then(|inner| {
                let (index, rest) = inner.split_once(']')?;
                let part = list.get(index.parse::<usize>().ok()?)?;
                Some((part, index.to_owned(), rest))
            }),
            Value::Object(fields) => fields
                .iter()
                .filter_map(|(name, part)| {
                    let rest = rest.strip_prefix(name.as_str())?;
                    let whole = rest.is_empty() || rest.starts_with(['.', '[']);
                    whole.then(|| (part, escaped(name), rest))
                })
                .min_by_key(|(_, _, rest)| rest.len()),
            _ => None,
        };
        let Some((part, name, left)) = step.filter(|_| !rest.is_empty()) else {
            return pointer;
        };
        (json, rest) = (part, left);
        pointer = format!("{pointer}/{name}");
    }
}

/// The parts that are wanted: the JSON pointer of each, and what was wanted.
pub fn find_all<T>(json: &Value, wanted: &dyn Fn(&Value) -> Option<T>) -> Vec<(String, T)> {
    let mut found: Vec<(String, T)> = wanted(json)
        .map(|this| (String::new(), this))
        .into_iter()
        .collect();
    let mut below = |name: &str, inner: &Value| {
        let inner = find_all(inner, wanted).into_iter();
        found.extend(inner.map(|(pointer, this)| (format!("/{name}{pointer}"), this)));
    };
    match json {
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                below(&index.to_string(), inner);
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields {
                below(&escaped(name), inner);
            }
        }
        _ => {}
    }
    found
}

/// A name as JSON pointers have it.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pointer;

    #[test]
    fn paths_with_dots_in_their_names() {
        let json = json!({ "roles": [{ "apply_when": { "%%root.a/b": 1, "x": { "y": 1 } } }] });
        for (path, wanted) in [
            (
                "roles[0].apply_when.%%root.a/b",
                "/roles/0/apply_when/%%root.a~1b",
            ),
            ("roles[0].apply_when.x.y.z", "/roles/0/apply_when/x/y"),
            ("roles[3].name", "/roles"),
            ("", ""),
        ] {
            assert_eq!(pointer(&json, path), wanted, "{path}");
        }
    }
}
