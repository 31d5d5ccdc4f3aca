//! The keys that a document has in an index.

use bson::RawDocument;
use bson::raw::RawBsonRef;
use engine::CommandError;
use mql::{key, path};

use crate::catalog::Index;

/// The index keys of a document, without the index's own prefix: one, or
/// several where a path goes through an array. Empty where the index leaves
/// the document out.
///
/// # Errors
/// 171 when two paths of a compound index go through arrays.
pub(crate) fn keys(index: &Index, document: &RawDocument) -> Result<Vec<Vec<u8>>, CommandError> {
    if let Some((_, filter)) = &index.partial
        && !filter.matches(document)
    {
        return Ok(Vec::new());
    }
    let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
    let mut multikey = false;
    let mut any = false;
    for (path, descending) in &index.fields {
        let (parts, present, array) = field_keys(document, path);
        any |= present;
        if array {
            if multikey {
                return Err(CommandError::new(171, "cannot index parallel arrays"));
            }
            multikey = true;
        }
        let mut next = Vec::with_capacity(keys.len() * parts.len());
        for prefix in &keys {
            for part in &parts {
                let mut key = prefix.clone();
                let start = key.len();
                key.extend_from_slice(part);
                if *descending {
                    key::invert(&mut key, start);
                }
                next.push(key);
            }
        }
        keys = next;
    }
    if index.sparse && !any {
        return Ok(Vec::new());
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The keys of one path, whether it is there, and whether an array is on it.
fn field_keys(document: &RawDocument, field: &path::Path) -> (Vec<Vec<u8>>, bool, bool) {
    let mut found = Vec::new();
    let mut present = false;
    let mut array = through_array(document, field.parts());
    path::visit(document, field.parts(), &mut |value| {
        let mut out = Vec::with_capacity(16);
        match value {
            None => key::encode_missing(&mut out),
            Some(RawBsonRef::Array(elements)) => {
                present = true;
                array = true;
                let mut empty = true;
                for element in elements.into_iter().flatten() {
                    empty = false;
                    let mut out = Vec::with_capacity(16);
                    key::encode(element, &mut out);
                    found.push(out);
                }
                if !empty {
                    return false;
                }
                key::encode_empty_array(&mut out);
            }
            Some(value) => {
                present = true;
                key::encode(value, &mut out);
            }
        }
        found.push(out);
        false
    });
    if found.is_empty() {
        let mut out = Vec::new();
        key::encode_missing(&mut out);
        found.push(out);
    }
    found.sort_unstable();
    found.dedup();
    (found, present, array)
}

/// Whether a path goes through an array before its end.
fn through_array(document: &RawDocument, parts: &[path::Part]) -> bool {
    (1..parts.len()).any(|depth| {
        matches!(
            path::get(document, &parts[..depth]),
            Some(RawBsonRef::Array(_))
        )
    })
}

/// A key with the index's prefix: the whole key of a unique index.
pub(crate) fn prefixed(index: &Index, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(4 + key.len() + 8);
    full.extend_from_slice(&index.id.to_be_bytes());
    full.extend_from_slice(key);
    full
}
