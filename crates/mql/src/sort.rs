//! Sort specifications.

use bson::RawDocument;
use bson::raw::RawBsonRef;

use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::matcher::malformed;
use crate::path::Path;
use crate::tuple::tuples;

/// A parsed sort: paths with directions.
#[derive(Debug, Clone, Default)]
pub struct Sort {
    parts: Vec<(Path, bool)>,
    collation: Option<Collation>,
}

impl Sort {
    /// Parses `{path: 1 | -1, …}`.
    pub fn parse(specification: &RawDocument) -> Result<Self> {
        let mut parts = Vec::new();
        for entry in specification {
            let (name, direction) = entry.map_err(malformed)?;
            let descending = match direction {
                RawBsonRef::Int32(1) | RawBsonRef::Int64(1) | RawBsonRef::Double(1.0) => false,
                RawBsonRef::Int32(-1) | RawBsonRef::Int64(-1) | RawBsonRef::Double(-1.0) => true,
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
            crate::depth::check_path(name.as_str())?;
            parts.push((Path::new(name.as_str()), descending));
        }
        Ok(Self {
            parts,
            collation: None,
        })
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
        let paths: Vec<&Path> = self.parts.iter().map(|(path, _)| path).collect();
        let tuples = tuples(document, &paths).map_err(|refused| {
            refused.error(MqlError::bad_value(
                "cannot sort with keys that are parallel arrays",
            ))
        })?;
        let keys = tuples.iter().map(|tuple| {
            let mut key = Vec::with_capacity(16);
            for (field, (_, descending)) in tuple.iter().zip(&self.parts) {
                field.encode(*descending, self.collation.as_ref(), &mut key);
            }
            key
        });
        out.extend_from_slice(&keys.min().unwrap_or_default());
        Ok(())
    }
}
