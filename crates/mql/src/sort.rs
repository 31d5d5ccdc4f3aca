//! Sort specifications, and the first so many by their keys.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocument};

use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::matcher::malformed;
use crate::path::Path;
use crate::tuple::{Field, encode_plain, tuples};

/// A parsed sort: paths with directions.
#[derive(Debug, Clone, Default)]
pub struct Sort {
    parts: Vec<(Path, bool)>,
    collation: Option<Collation>,
    /// Whether an array is sorted by as it is, and not by one of its elements.
    whole: bool,
}

impl Sort {
    /// Parses `{path: 1 | -1, …}`.
    ///
    /// # Errors
    /// MongoDB's for a path or a direction that is none.
    pub fn parse(specification: &RawDocument) -> Result<Self> {
        Self::read(specification, false)
    }

    /// Parses the sort of a `$push`, whose fields may be named as anything.
    ///
    /// # Errors
    /// Those of [`Sort::parse`].
    pub(crate) fn parse_plain(specification: &RawDocument) -> Result<Self> {
        Self::read(specification, true)
    }

    fn read(specification: &RawDocument, plain: bool) -> Result<Self> {
        crate::depth::check(specification)?;
        let named =
            |part: &str| plain || !part.starts_with('$') || ["$ref", "$id", "$db"].contains(&part);
        let mut parts = Vec::new();
        for entry in specification {
            let (name, direction) = entry.map_err(malformed)?;
            let name = name.as_str();
            let descending = descending(name, direction)?;
            check_path(name)?;
            if !name.split('.').all(named) {
                return Err(MqlError::new(
                    16410,
                    "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
                ));
            }
            crate::depth::check_path(name)?;
            parts.push((Path::new(name), descending));
        }
        Ok(Self {
            parts,
            collation: None,
            whole: false,
        })
    }

    /// The sort of a stage: by `_id` alone, an array is one value, since no
    /// document of a collection has one there.
    #[must_use]
    pub(crate) fn of_stage(mut self) -> Self {
        self.whole = matches!(&self.parts[..], [(path, _)] if path.as_str() == "_id");
        self
    }

    /// The same sort with strings in the order of a collation.
    #[must_use]
    pub fn collated(self, collation: Option<&Collation>) -> Self {
        Self {
            collation: collation.cloned(),
            ..self
        }
    }

    /// How strings are sorted; `None` is by their bytes.
    pub fn collation(&self) -> Option<&Collation> {
        self.collation.as_ref()
    }

    /// Whether there is nothing to sort by.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The paths, each with whether it is descending.
    pub fn parts(&self) -> &[(Path, bool)] {
        &self.parts
    }

    /// Appends the document's sort key: byte order is sort order. An array
    /// sorts by its least element, or by its greatest when descending; paths
    /// into one array sort by one element.
    ///
    /// # Errors
    /// 2 when paths go through different arrays.
    pub fn key(&self, document: &RawDocument, out: &mut Vec<u8>) -> Result<()> {
        if self.whole {
            let id = document.get("_id").map_err(malformed)?;
            let start = out.len();
            crate::key::encode_with(id.unwrap_or(RawBsonRef::Null), self.collation.as_ref(), out);
            if self.parts.iter().any(|(_, descending)| *descending) {
                crate::key::invert(out, start);
            }
            return Ok(());
        }
        if encode_plain(document, &self.parts, self.collation.as_ref(), out).is_some() {
            return Ok(());
        }
        let paths: Vec<&Path> = self.parts.iter().map(|(path, _)| path).collect();
        let tuples = tuples(document, &paths).map_err(|refused| {
            refused.error(MqlError::bad_value(
                "cannot sort with keys that are parallel arrays",
            ))
        })?;
        let keys = tuples.iter().map(|tuple| {
            let mut key = Vec::with_capacity(16);
            for (field, (_, descending)) in tuple.iter().zip(&self.parts) {
                let field = match field {
                    // Equal to undefined here; in an index it is told from that.
                    Field::EmptyArray => Field::Value(RawBsonRef::Undefined),
                    other => *other,
                };
                field.encode(*descending, self.collation.as_ref(), &mut key);
            }
            key
        });
        out.extend_from_slice(&keys.min().unwrap_or_default());
        Ok(())
    }
}

/// The first so many of what comes: by key, then by arrival.
#[derive(Debug)]
pub struct Top<T> {
    most: usize,
    arrived: u64,
    /// The last one is on top.
    kept: BinaryHeap<Keyed<T>>,
}

#[derive(Debug)]
struct Keyed<T> {
    key: Vec<u8>,
    arrived: u64,
    item: T,
}

impl<T> Top<T> {
    /// Keeps at most `most`.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            arrived: 0,
            kept: BinaryHeap::new(),
        }
    }

    /// Whether what comes next, with this key, is among them so far.
    pub fn wants(&self, key: &[u8]) -> bool {
        // It comes later than those with the same key.
        self.kept.len() < self.most || self.kept.peek().is_some_and(|last| key < &last.key[..])
    }

    /// Takes what is wanted; what has no place any more, with its key.
    pub fn push(&mut self, key: Vec<u8>, item: T) -> Option<(Vec<u8>, T)> {
        let arrived = self.arrived;
        self.arrived += 1;
        self.kept.push(Keyed { key, arrived, item });
        let gone = (self.kept.len() > self.most).then(|| self.kept.pop());
        gone.flatten().map(|gone| (gone.key, gone.item))
    }

    /// What was kept, in order.
    pub fn into_sorted(self) -> impl Iterator<Item = T> {
        // Sorted at once, which is faster than by taking from the heap.
        let mut kept = self.kept.into_vec();
        kept.sort_unstable();
        kept.into_iter().map(|keyed| keyed.item)
    }
}

impl<T> Ord for Keyed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = self.key.cmp(&other.key);
        key.then(self.arrived.cmp(&other.arrived))
    }
}

impl<T> PartialOrd for Keyed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Keyed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Keyed<T> {}

/// Whether a direction is descending. Doubles lose their fraction, decimals are
/// rounded.
fn descending(name: &str, direction: RawBsonRef<'_>) -> Result<bool> {
    let number = Bson::try_from(direction).map_err(malformed)?;
    let whole = match number {
        Bson::Decimal128(n) => {
            let whole = crate::decimal::to_whole(n);
            Some(i32::try_from(whole).unwrap_or(0))
        }
        _ => crate::number::double(&number).map(|number| number as i32),
    };
    match whole {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        Some(_) => Err(MqlError::new(
            15975,
            "$sort key ordering must be 1 (for ascending) or -1 (for descending)",
        )),
        None => Err(match direction {
            RawBsonRef::Document(meta) => match meta.get("$meta") {
                Ok(Some(RawBsonRef::String("textScore"))) => MqlError::new(
                    40218,
                    "query requires text score metadata, but it is not available",
                ),
                Ok(Some(RawBsonRef::String(other))) => {
                    MqlError::new(31138, format!("Illegal $meta sort: $meta: \"{other}\""))
                }
                _ => MqlError::new(
                    17312,
                    "$meta is the only expression supported by $sort right now",
                ),
            },
            _ => MqlError::new(15974, format!("Illegal key in $sort specification: {name}")),
        }),
    }
}

/// MongoDB's rules for a path of fields.
fn check_path(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(MqlError::new(
            40352,
            "FieldPath cannot be constructed with empty string",
        ));
    }
    if path.ends_with('.') {
        return Err(MqlError::new(40353, "FieldPath must not end with a '.'."));
    }
    for part in path.split('.') {
        if part.is_empty() {
            return Err(MqlError::new(
                15998,
                "FieldPath field names may not be empty strings.",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_by_key_and_then_by_arrival_are_kept() {
        let mut top = Top::new(3);
        let mut gone = Vec::new();
        for (item, key) in [5, 1, 5, 3, 5, 3, 1].into_iter().enumerate() {
            if top.wants(&[key]) {
                gone.extend(top.push(vec![key], item));
            }
        }
        assert_eq!(gone, [(vec![5], 2), (vec![5], 0), (vec![3], 5)]);
        assert_eq!(top.into_sorted().collect::<Vec<_>>(), [1, 6, 3]);
        assert!(!Top::<()>::new(0).wants(&[]));
    }
}
