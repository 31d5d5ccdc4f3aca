//! The keys that a document has in an index.

use bson::{Bson, Document, RawDocument};
use engine::CommandError;
use mql::path::Path;
use mql::tuple::{Field, tuples};

use crate::catalog::Index;

/// The index keys of a document, without the index's own prefix: one, or
/// several where a path goes through an array. Empty where the index leaves
/// the document out.
///
/// # Errors
/// 171 when two paths of a compound index go through different arrays.
pub(crate) fn keys(index: &Index, document: &RawDocument) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut keys: Vec<Vec<u8>> = entries(index, document)?
        .iter()
        .map(|fields| encoded(index, fields))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
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

fn entries<'a>(
    index: &'a Index,
    document: &'a RawDocument,
) -> Result<Vec<Vec<Field<'a>>>, CommandError> {
    if let Some((_, filter)) = &index.partial
        && !filter.matches(document).map_err(crate::mql)?
    {
        return Ok(Vec::new());
    }
    let paths: Vec<&Path> = index.fields.iter().map(|(path, _)| path).collect();
    let entries = tuples(document, &paths)
        .map_err(|_| CommandError::new(171, "cannot index parallel arrays"))?;
    let missing = |fields: &Vec<Field<'_>>| fields.iter().all(|f| matches!(f, Field::Missing));
    if index.sparse && entries.iter().all(missing) {
        return Ok(Vec::new());
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
