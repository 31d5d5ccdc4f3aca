//! The document that an upsert begins with (embedded-engine.md C.6).

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};

use crate::error::{MqlError, Result};
use crate::matcher::{Compare, Matcher, Node, Test};

/// Derives fields from a query's equalities: top level, `$eq`, `$and`, a
/// single-branch `$or`, a single-value `$in` or `$all`.
///
/// # Errors
/// 54 when two equalities set one path.
pub fn upsert_document(query: &RawDocument) -> Result<Document> {
    let matcher = Matcher::parse(query)?;
    let mut document = Document::new();
    let mut seen: Vec<String> = Vec::new();
    derive(matcher.root(), &mut seen, &mut document)?;
    Ok(document)
}

fn derive(node: &Node, seen: &mut Vec<String>, document: &mut Document) -> Result<()> {
    match node {
        Node::And(nodes) => nodes
            .iter()
            .try_for_each(|node| derive(node, seen, document)),
        Node::Or(nodes) if nodes.len() == 1 => derive(&nodes[0], seen, document),
        Node::Field(path, test) => match equality(test) {
            None => Ok(()),
            Some(value) => {
                let path = path.as_str();
                let clash = seen.iter().any(|other| {
                    other == path
                        || other.starts_with(&format!("{path}."))
                        || path.starts_with(&format!("{other}."))
                });
                if clash {
                    return Err(MqlError::new(
                        54,
                        format!("cannot infer query fields to set, path '{path}' is matched twice"),
                    ));
                }
                seen.push(path.to_owned());
                set(document, path, value);
                Ok(())
            }
        },
        _ => Ok(()),
    }
}

fn equality(test: &Test) -> Option<Bson> {
    let value = match test {
        Test::Compare(Compare::Eq, value) => value,
        Test::In(values, regexes) if values.len() == 1 && regexes.is_empty() => &values[0],
        Test::All(tests) if tests.len() == 1 => return equality(&tests[0]),
        Test::All(tests) => return tests.iter().find_map(equality),
        _ => return None,
    };
    match value.as_raw_bson_ref() {
        RawBsonRef::RegularExpression(_) => None,
        value => Bson::try_from(value).ok(),
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
