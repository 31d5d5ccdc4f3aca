//! The document that an upsert begins with (embedded-engine.md C.6).

use bson::{Bson, Document, RawDocument};

use crate::error::{MqlError, Result};
use crate::matcher::{Compare, Matcher, Node, Test};
use crate::update::{Update, immutable_id};

/// Derives fields from a query's equalities: top level, `$eq`, `$and`, a
/// single-branch `$or`, a single-value `$in` or `$all`; a replacement only takes
/// its `_id` from there.
///
/// # Errors
/// 20 for an equality of the field without a name;
/// 54 when two equalities set one path;
/// 111 for a replacement and a path into `_id`; 66 for an operator that sets the
/// `_id` of which the query knows a part; 224 for an `$expr`.
pub fn upsert_document(query: &RawDocument, update: &Update) -> Result<Document> {
    let matcher = Matcher::parse_plain(query)?;
    let mut found = Vec::new();
    derive(matcher.root(), &mut found);
    let is_part = |path: &str| path.starts_with("_id.");
    let has_part = found.iter().any(|(path, _)| is_part(path));
    if update.is_replacement() {
        found.retain(|(path, _)| *path == "_id" || is_part(path));
    }
    // MongoDB sorts a query before it reads fields from it.
    found.sort_by_key(|(path, _)| *path);
    if found.iter().any(|(path, _)| path.is_empty()) {
        return Err(MqlError::new(20, "Cannot call setValue on the root object"));
    }
    let mut document = Document::new();
    for (at, (path, value)) in found.iter().enumerate() {
        if update.is_replacement() && is_part(path) {
            return Err(MqlError::new(
                111,
                format!(
                    "field at '_id' must be exactly specified, field at sub-path '{path}'found"
                ),
            ));
        }
        let clash = found[..at].iter().any(|(other, _)| {
            path.strip_prefix(other)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if clash {
            return Err(MqlError::new(
                54,
                format!("cannot infer query fields to set, path '{path}' is matched twice"),
            ));
        }
        set(&mut document, path, value.clone());
    }
    if has_part && update.sets_id() {
        return Err(immutable_id());
    }
    Ok(document)
}

fn derive<'a>(node: &'a Node, found: &mut Vec<(&'a str, Bson)>) {
    match node {
        // What cannot match says nothing.
        Node::And(nodes) if nodes.iter().any(is_never) => {}
        Node::And(nodes) => nodes.iter().for_each(|node| derive(node, found)),
        Node::Or(nodes) => {
            // MongoDB leaves out what cannot match.
            let mut nodes = nodes.iter().filter(|node| !is_never(node));
            if let (Some(one), None) = (nodes.next(), nodes.next()) {
                derive(one, found);
            }
        }
        Node::Field(path, test) => equalities(test, path.as_str(), found),
        _ => {}
    }
}

fn is_never(node: &Node) -> bool {
    match node {
        Node::Never => true,
        // What `$all: []` is parsed to.
        Node::Field(_, Test::Not(test)) => {
            matches!(&**test, Test::All(tests) if tests.is_empty())
        }
        Node::And(nodes) => nodes.iter().any(is_never),
        Node::Or(nodes) => nodes.iter().all(is_never),
        _ => false,
    }
}

fn equalities<'a>(test: &'a Test, path: &'a str, found: &mut Vec<(&'a str, Bson)>) {
    let value = match test {
        Test::Compare(Compare::Eq, value) => value,
        Test::In(values, regexes) if values.len() == 1 && regexes.is_empty() => &values[0],
        Test::All(tests) => {
            return tests.iter().for_each(|test| equalities(test, path, found));
        }
        _ => return,
    };
    if let Ok(value) = Bson::try_from(value.clone()) {
        found.push((path, value));
    }
}

fn set(document: &mut Document, path: &str, value: Bson) {
    match path.split_once('.') {
        None => {
            document.insert(path, value);
        }
        Some((first, rest)) => {
            let inner = document
                .entry(first.to_owned())
                .or_insert_with(|| Bson::Document(Document::new()));
            if let Bson::Document(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
