//! Templates in settings: `%(%%environment.values.host)` inside a text is what
//! the app holds under that name when it is imported, and from then on it is that
//! text (admin-api.md §4.7, triggers-ops.md). No expression of a rule, which is
//! evaluated at each request.

use serde_json::Value;

use crate::places::{Flaw, find_all};
use crate::uses::DATA;
use crate::view::NamedValue;
use crate::{AppConfig, Kind, Node};

/// How a template begins and ends.
const BEGIN: &str = "%(%%";
const END: char = ')';

/// Fields by which a node is known, which files have in their paths as well.
const NAMES: [&str; 6] = [
    "name",
    "route",
    "database",
    "collection",
    "on_type",
    "field_name",
];

/// Puts what templates mean in their place; answers what they cannot mean.
pub(crate) fn expand(config: &mut AppConfig) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut expanded = Vec::new();
    for kind in config.kinds().filter(|kind| !DATA.contains(kind)) {
        for (key, node) in config.all(kind) {
            let found = find_all(&node.json, &|part| {
                let text = part.as_str().filter(|text| text.contains(BEGIN))?;
                Some(text.to_owned())
            });
            let mut json = None;
            for (pointer, text) in found {
                if NAMES
                    .iter()
                    .any(|name| pointer.strip_prefix('/') == Some(name))
                {
                    let text = "a template in a name stays as it is";
                    flaws.push(Flaw::warning(kind, key, &pointer, text));
                    continue;
                }
                match resolved(config, &text) {
                    Ok(text) => {
                        let json = json.get_or_insert_with(|| node.json.clone());
                        if let Some(part) = json.pointer_mut(&pointer) {
                            *part = text.into();
                        }
                    }
                    Err(wrong) => flaws.push(Flaw::error(kind, key, &pointer, wrong)),
                }
            }
            if let Some(json) = json {
                let node = Node {
                    json,
                    ..Node::clone(node)
                };
                expanded.push((kind, key.clone(), node));
            }
        }
    }
    for (kind, key, node) in expanded {
        config.put(kind, key, node);
    }
    flaws
}

/// A text with what its templates mean.
fn resolved(config: &AppConfig, text: &str) -> Result<String, String> {
    let (mut whole, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (path, left) = after
            .split_once(END)
            .ok_or_else(|| format!("\"{text}\" has a template without its \"{END}\""))?;
        whole.push_str(before);
        match meant(config, path) {
            Some(Value::String(value)) => whole.push_str(&value),
            Some(_) => return Err(format!("%%{path} is no text, which a template has to be")),
            None => return Err(format!("%%{path} is nothing that the app has")),
        }
        rest = left;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// What a path after `%%` means. The value of a secret is none of it: settings
/// are exported.
fn meant(config: &AppConfig, path: &str) -> Option<Value> {
    if path == "environment.tag" {
        return Some(config.environment_tag().into());
    }
    if let Some(path) = path.strip_prefix("environment.values.") {
        let node = config.get(Kind::Environment, config.environment())?;
        return below(node.at("/values")?, path).cloned();
    }
    let path = path.strip_prefix("values.")?;
    let (name, inner) = path.split_once('.').unwrap_or((path, ""));
    let value = NamedValue(config.get(Kind::Value, name)?).plain()?;
    below(value, inner).cloned()
}

/// The part of a value at a path, whose names may have dots in them.
fn below<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    let fields = value.as_object()?;
    fields.iter().find_map(|(name, part)| {
        let rest = path.strip_prefix(name.as_str())?;
        match rest.strip_prefix('.') {
            Some(rest) => below(part, rest),
            None => rest.is_empty().then_some(part),
        }
    })
}
