//! `$unwind`.

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};

use super::parse::{field_path, kind};
use super::reshape::replace;
use crate::error::{MqlError, Result};
use crate::matcher::malformed;

/// A parsed `$unwind`.
#[derive(Debug, Clone)]
pub struct Unwind {
    path: Vec<String>,
    index: Option<Vec<String>>,
    keep_empty: bool,
}

impl Unwind {
    pub(super) fn parse(operand: RawBsonRef<'_>) -> Result<Self> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        let (mut path, mut index, mut keep_empty) = ("", None, false);
        match operand {
            RawBsonRef::String(text) => path = text,
            RawBsonRef::Document(spec) => {
                for entry in spec {
                    let (name, value) = entry.map_err(malformed)?;
                    match (name.as_str(), value) {
                        ("path", RawBsonRef::String(text)) => path = text,
                        ("path", other) => {
                            return refused(
                                28808,
                                format!(
                                    "expected a string as the path for $unwind stage, got {}",
                                    kind(other)
                                ),
                            );
                        }
                        ("preserveNullAndEmptyArrays", RawBsonRef::Boolean(keep)) => {
                            keep_empty = keep;
                        }
                        ("preserveNullAndEmptyArrays", other) => {
                            return refused(
                                28809,
                                format!(
                                    "expected a boolean for the preserveNullAndEmptyArrays option to $unwind stage, got {}",
                                    kind(other)
                                ),
                            );
                        }
                        ("includeArrayIndex", RawBsonRef::String(text)) if !text.is_empty() => {
                            index = Some(text);
                        }
                        ("includeArrayIndex", other) => {
                            return refused(
                                28810,
                                format!(
                                    "expected a non-empty string for the includeArrayIndex  option to $unwind stage, got {}",
                                    kind(other)
                                ),
                            );
                        }
                        (other, _) => {
                            return refused(
                                28811,
                                format!("unrecognized option to $unwind stage: {other}"),
                            );
                        }
                    }
                }
            }
            other => {
                return refused(
                    15981,
                    format!(
                        "expected either a string or an object as specification for $unwind stage, got {}",
                        kind(other)
                    ),
                );
            }
        }
        if path.is_empty() {
            return refused(28812, "no path specified to $unwind stage".to_owned());
        }
        let Some(path) = path.strip_prefix('$') else {
            return refused(
                28818,
                format!("path option to $unwind stage should be prefixed with a '$': {path}"),
            );
        };
        if let Some(index) = index.filter(|index| index.starts_with('$')) {
            return refused(
                28822,
                format!(
                    "includeArrayIndex option to $unwind stage should not be prefixed with a '$': {index}"
                ),
            );
        }
        Ok(Self {
            path: field_path(path)?,
            index: index.map(field_path).transpose()?,
            keep_empty,
        })
    }

    /// The paths that it changes.
    pub(super) fn paths(&self) -> impl Iterator<Item = &[String]> {
        let index = self.index.as_deref();
        std::iter::once(self.path.as_slice()).chain(index)
    }

    /// What comes out of a document: itself in another shape, nothing, or one
    /// document for each element.
    pub(super) fn begin(&self, document: &RawDocument) -> Result<Unwound> {
        let found = lookup(document, &self.path)?;
        Ok(match found {
            Some(RawBsonRef::Array(array)) if !array.is_empty() => Unwound::Each,
            Some(RawBsonRef::Array(_)) if self.keep_empty => {
                let without = replace(document, &self.path, None)?;
                Unwound::One(self.with_index(without, None)?)
            }
            None | Some(RawBsonRef::Null | RawBsonRef::Undefined) if !self.keep_empty => {
                Unwound::Nothing
            }
            Some(RawBsonRef::Array(_)) => Unwound::Nothing,
            _ => Unwound::One(self.with_index(document.to_owned(), None)?),
        })
    }

    fn with_index(&self, document: RawDocumentBuf, index: Option<i64>) -> Result<RawDocumentBuf> {
        let Some(path) = &self.index else {
            return Ok(document);
        };
        let index = index.map_or(RawBsonRef::Null, RawBsonRef::Int64);
        replace(&document, path, Some(index))
    }
}

/// What comes out of a document.
pub(super) enum Unwound {
    Nothing,
    One(RawDocumentBuf),
    /// A document for each element, by [`Elements`].
    Each,
}

/// The documents of one array's elements, made one at a time.
pub(super) struct Elements {
    unwind: Unwind,
    document: RawDocumentBuf,
    /// The document's array, from which the next element is taken.
    rest: std::vec::IntoIter<bson::RawBson>,
    index: i64,
}

impl Elements {
    pub(super) fn new(unwind: &Unwind, document: &RawDocument) -> Result<Self> {
        let elements = match lookup(document, &unwind.path)? {
            Some(RawBsonRef::Array(array)) => array
                .into_iter()
                .map(|element| element.map(Into::into).map_err(malformed))
                .collect::<Result<Vec<_>>>()?,
            _ => Vec::new(),
        };
        // The array itself is in none of the documents that come out.
        let document = replace(document, &unwind.path, Some(RawBsonRef::Null))?;
        Ok(Self {
            unwind: unwind.clone(),
            document,
            rest: elements.into_iter(),
            index: 0,
        })
    }
}

impl Iterator for Elements {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.rest.next()?;
        let index = self.index;
        self.index += 1;
        let element = Some(element.as_raw_bson_ref());
        let made = replace(&self.document, &self.unwind.path, element);
        Some(made.and_then(|made| self.unwind.with_index(made, Some(index))))
    }
}

fn lookup<'a>(document: &'a RawDocument, path: &[String]) -> Result<Option<RawBsonRef<'a>>> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(None);
    };
    let found = document.get(first).map_err(malformed)?;
    match found {
        _ if rest.is_empty() => Ok(found),
        Some(RawBsonRef::Document(inner)) => lookup(inner, rest),
        _ => Ok(None),
    }
}
