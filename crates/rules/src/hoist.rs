//! What of a `$match` on the visible part of documents can be asked about whole
//! documents first (rules-schemas.md §16.2).
//!
//! What is kept back from a reader is as good as not stored, so a condition may
//! hold for the rest only because something is missing: of such a condition
//! nothing is said here. What a field *is* can be asked ahead: a value that is
//! there in the visible part is there in the whole, too.

use bson::raw::{CStr, RawBsonRef};
use bson::{RawDocument, RawDocumentBuf};

use crate::narrow::combined;
use crate::value::is_scalar;

/// A query that matches every document whose visible part `query` can match;
/// empty when it can say nothing.
pub fn hoisted(query: &RawDocument) -> RawDocumentBuf {
    let mut parts = Vec::new();
    collect(query, &mut parts, true);
    if parts.is_empty() {
        return RawDocumentBuf::new();
    }
    combined("$and", parts)
}

/// `outermost` may go into the lists of `$and`, once: deeper ones are seldom
/// and bound nothing.
fn collect(query: &RawDocument, parts: &mut Vec<RawDocumentBuf>, outermost: bool) {
    for (name, value) in query.iter().flatten() {
        match (name.as_str(), value) {
            ("$and", RawBsonRef::Array(list)) if outermost => {
                for inner in list.into_iter().flatten() {
                    if let RawBsonRef::Document(inner) = inner {
                        collect(inner, parts, false);
                    }
                }
            }
            (path, _) if path.starts_with('$') || !is_plain(path) => {}
            (_, RawBsonRef::Document(tests)) if is_operators(tests) => {
                for (operator, operand) in tests.iter().flatten() {
                    if asks_for_a_value(operator.as_str(), operand) {
                        let mut test = RawDocumentBuf::new();
                        test.append(operator, operand);
                        parts.push(about(name, RawBsonRef::Document(&test)));
                    }
                }
            }
            (_, value) if is_a_value(value) => parts.push(about(name, value)),
            _ => {}
        }
    }
}

fn about(name: &CStr, value: RawBsonRef<'_>) -> RawDocumentBuf {
    let mut part = RawDocumentBuf::new();
    part.append(name, value);
    part
}

/// A path without places in arrays: where elements are kept back, the others
/// move up.
fn is_plain(path: &str) -> bool {
    path.split('.')
        .all(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_operators(tests: &RawDocument) -> bool {
    tests
        .iter()
        .flatten()
        .next()
        .is_some_and(|(name, _)| name.as_str().starts_with('$'))
}

fn asks_for_a_value(operator: &str, operand: RawBsonRef<'_>) -> bool {
    match (operator, operand) {
        ("$eq" | "$gt" | "$gte" | "$lt" | "$lte", operand) => is_a_value(operand),
        ("$in", RawBsonRef::Array(list)) => list.into_iter().all(|v| v.is_ok_and(is_a_value)),
        ("$exists", RawBsonRef::Boolean(wanted)) => wanted,
        _ => false,
    }
}

/// A value that nothing missing and no part of a document equals.
fn is_a_value(value: RawBsonRef<'_>) -> bool {
    is_scalar(value) || matches!(value, RawBsonRef::Timestamp(_))
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::hoisted;

    #[test]
    fn only_what_asks_for_a_value_is_asked_ahead() {
        for (query, ahead) in [
            (rawdoc! {}, rawdoc! {}),
            (rawdoc! { "a": 1 }, rawdoc! { "a": 1 }),
            (rawdoc! { "a": 1, "b": { "$ne": 2 } }, rawdoc! { "a": 1 }),
            (
                rawdoc! { "a": { "$gt": 1, "$lt": 5, "$nin": [2] } },
                rawdoc! { "$and": [{ "a": { "$gt": 1 } }, { "a": { "$lt": 5 } }] },
            ),
            (
                rawdoc! { "$and": [{ "a": "x" }, { "$or": [{ "b": 1 }] }, { "c.d": { "$in": [1, 2] } }] },
                rawdoc! { "$and": [{ "a": "x" }, { "c.d": { "$in": [1, 2] } }] },
            ),
            (
                rawdoc! { "a": { "$exists": true } },
                rawdoc! { "a": { "$exists": true } },
            ),
            // What may hold because something is missing, or moved.
            (rawdoc! { "a": bson::RawBson::Null }, rawdoc! {}),
            (
                rawdoc! { "a": { "$in": [1, bson::RawBson::Null] } },
                rawdoc! {},
            ),
            (rawdoc! { "a": { "$exists": false } }, rawdoc! {}),
            (rawdoc! { "a": { "b": 1 } }, rawdoc! {}),
            (rawdoc! { "a": [1] }, rawdoc! {}),
            (rawdoc! { "a.0": 1 }, rawdoc! {}),
            (rawdoc! { "a": { "$size": 1 } }, rawdoc! {}),
            (rawdoc! { "a": { "$not": { "$eq": 1 } } }, rawdoc! {}),
            (rawdoc! { "a": { "$elemMatch": { "b": 1 } } }, rawdoc! {}),
            (rawdoc! { "$nor": [{ "a": 1 }] }, rawdoc! {}),
        ] {
            assert_eq!(hoisted(&query), ahead, "{query:?}");
        }
    }
}
