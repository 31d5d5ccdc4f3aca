//! The keys that a document has in an index.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawDocument};
use engine::CommandError;
use mql::field::field;
use mql::path::{Part, Path};
use mql::tuple::{Field, encode_plain, tuples};

use crate::catalog::Index;

/// The index keys of a document, without the index's own prefix: one, or
/// several where a path goes through an array. Empty where the index leaves
/// the document out.
///
/// # Errors
/// 171 when two paths of a compound index go through different arrays.
pub(crate) fn keys(index: &Index, document: &RawDocument) -> Result<Vec<Vec<u8>>, CommandError> {
    if !is_within(index, document)? {
        return Ok(Vec::new());
    }
    let mut key = Vec::with_capacity(16);
    let collation = index.collation.as_ref();
    if let Some(present) = encode_plain(document, &index.fields, collation, &mut key) {
        let left_out = index.sparse && present == 0;
        return Ok(if left_out { Vec::new() } else { vec![key] });
    }
    let mut keys: Vec<Vec<u8>> = entries(index, document)?
        .iter()
        .map(|fields| encoded(index, fields))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// For each field of an index, the bits of the names on its path at which the
/// document has an array; names past the 32nd share a bit.
pub(crate) fn arrays(index: &Index, document: &RawDocument) -> Vec<u32> {
    let bits = |path: &Path| {
        let mut bits = 0;
        note_arrays(document, path.parts(), 0, &mut bits);
        bits
    };
    index.fields.iter().map(|(path, _)| bits(path)).collect()
}

fn note_arrays(document: &RawDocument, parts: &[Part], depth: u32, bits: &mut u32) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    match field(document, &part.name) {
        Ok(Some(RawBsonRef::Document(inner))) => note_arrays(inner, rest, depth + 1, bits),
        Ok(Some(RawBsonRef::Array(array))) => note_elements(array, rest, depth, bits),
        _ => {}
    }
}

fn note_elements(array: &RawArray, rest: &[Part], depth: u32, bits: &mut u32) {
    *bits |= 1 << depth.min(31);
    for element in array.into_iter().flatten() {
        match element {
            RawBsonRef::Document(inner) => note_arrays(inner, rest, depth + 1, bits),
            // An array in an array is gone through by a path that names its
            // element.
            RawBsonRef::Array(inner) if !rest.is_empty() => {
                note_elements(inner, &rest[1..], depth + 1, bits);
            }
            _ => {}
        }
    }
}

/// The values that a document has under one of its keys, as an error names
/// them.
pub(crate) fn values(index: &Index, document: &RawDocument, key: &[u8]) -> Document {
    let entries = entries(index, document).unwrap_or_default();
    let found = entries.iter().find(|fields| encoded(index, fields) == key);
    let names = index
        .fields
        .iter()
        .map(|(path, _)| path.as_str().to_owned());
    match found {
        Some(fields) => names.zip(fields.iter().map(Field::to_bson)).collect(),
        None => names.map(|name| (name, Bson::Null)).collect(),
    }
}

/// Whether a document is one of those that the index is about.
fn is_within(index: &Index, document: &RawDocument) -> Result<bool, CommandError> {
    match &index.partial {
        Some((_, filter)) => filter.matches(document).map_err(crate::mql),
        None => Ok(true),
    }
}

fn entries<'a>(
    index: &'a Index,
    document: &'a RawDocument,
) -> Result<Vec<Vec<Field<'a>>>, CommandError> {
    let paths: Vec<&Path> = index.fields.iter().map(|(path, _)| path).collect();
    let mut entries = tuples(document, &paths).map_err(|refused| {
        let parallel = mql::MqlError::new(171, "cannot index parallel arrays");
        crate::mql(refused.error(parallel))
    })?;
    if index.sparse {
        // Each by itself: an element without the fields is not in it either.
        entries.retain(|fields| fields.iter().any(|f| !matches!(f, Field::Missing)));
    }
    Ok(entries)
}

fn encoded(index: &Index, fields: &[Field<'_>]) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    for (field, (_, descending)) in fields.iter().zip(&index.fields) {
        field.encode(*descending, index.collation.as_ref(), &mut key);
    }
    key
}

/// A key with the index's prefix: the whole key of a unique index.
pub(crate) fn prefixed(index: &Index, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(4 + key.len() + 8);
    full.extend_from_slice(&index.id.to_be_bytes());
    full.extend_from_slice(key);
    full
}
