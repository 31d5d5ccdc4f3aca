//! Sort specifications.

use std::cmp::Ordering;

use bson::RawDocument;
use bson::raw::RawBsonRef;

use crate::error::{MqlError, Result};
use crate::key;
use crate::matcher::malformed;
use crate::path::{self, Path};

/// A parsed sort: paths with directions.
#[derive(Debug, Clone, Default)]
pub struct Sort {
    parts: Vec<(Path, bool)>,
}

impl Sort {
    /// Parses `{path: 1 | -1, …}`.
    pub fn parse(specification: &RawDocument) -> Result<Self> {
        let mut parts = Vec::new();
        for entry in specification {
            let (name, direction) = entry.map_err(malformed)?;
            let descending = match direction {
                RawBsonRef::Int32(1) | RawBsonRef::Int64(1) => false,
                RawBsonRef::Int32(-1) | RawBsonRef::Int64(-1) => true,
                RawBsonRef::Double(n) if n == 1.0 => false,
                RawBsonRef::Double(n) if n == -1.0 => true,
                RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_) => {
                    return Err(MqlError::new(
                        15975,
                        "$sort key ordering must be 1 (for ascending) or -1 (for descending)",
                    ));
                }
                _ => {
                    return Err(MqlError::new(
                        15974,
                        format!("Illegal key in $sort specification: {name}"),
                    ));
                }
            };
            if name.is_empty() || name.as_str().split('.').any(str::is_empty) {
                return Err(MqlError::new(
                    40352,
                    "FieldPath cannot be constructed with an empty part",
                ));
            }
            parts.push((Path::new(name.as_str()), descending));
        }
        Ok(Self { parts })
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
    /// sorts by its least element, or by its greatest when descending.
    pub fn key(&self, document: &RawDocument, out: &mut Vec<u8>) {
        for (path, descending) in &self.parts {
            let start = out.len();
            let mut best: Option<Vec<u8>> = None;
            let mut consider = |candidate: Vec<u8>| {
                let better = match &best {
                    None => true,
                    Some(best) => match candidate.cmp(best) {
                        Ordering::Less => !descending,
                        Ordering::Greater => *descending,
                        Ordering::Equal => false,
                    },
                };
                if better {
                    best = Some(candidate);
                }
            };
            path::visit(document, path.parts(), &mut |value| {
                match value {
                    Some(RawBsonRef::Array(array)) => {
                        let mut empty = true;
                        for element in array.into_iter().flatten() {
                            empty = false;
                            consider(encoded(Some(element)));
                        }
                        if empty {
                            let mut out = Vec::new();
                            key::encode_empty_array(&mut out);
                            consider(out);
                        }
                    }
                    value => consider(encoded(value)),
                }
                false
            });
            match best {
                Some(best) => out.extend_from_slice(&best),
                None => key::encode_missing(out),
            }
            if *descending {
                key::invert(out, start);
            }
        }
    }
}

fn encoded(value: Option<RawBsonRef<'_>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    match value {
        Some(value) => key::encode(value, &mut out),
        None => key::encode_missing(&mut out),
    }
    out
}
