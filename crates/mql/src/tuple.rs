//! What sorts and indexes see of a document: for several paths, the tuples of
//! values that they have together. An array makes one tuple for each element;
//! paths into one array go through it together.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument};

use crate::collation::Collation;
use crate::error::MqlError;
use crate::field::field;
use crate::key;
use crate::path::{Part, Path};

/// One value of a tuple.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// The path leads nowhere.
    Missing,
    /// The path ends at `[]`.
    EmptyArray,
    /// A value.
    Value(RawBsonRef<'a>),
}

/// Why a document has no tuples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Two paths go through different arrays.
    Parallel,
    /// A number in a path names both an element of an array and a field of a
    /// document in it.
    Ambiguous(String),
}

impl Refused {
    /// The error, with MongoDB's code for an ambiguous path, else `parallel`.
    pub fn error(self, parallel: MqlError) -> MqlError {
        match self {
            Self::Parallel => parallel,
            Self::Ambiguous(name) => MqlError::new(
                16746,
                format!(
                    "Ambiguous field name found in array (do not use numeric field names in embedded \
                     elements in an array), field: '{name}'"
                ),
            ),
        }
    }
}

impl Field<'_> {
    /// Appends its key, inverted when it is descending.
    pub fn encode(&self, descending: bool, collation: Option<&Collation>, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Missing => key::encode_missing(out),
            Self::EmptyArray => key::encode_empty_array(out),
            Self::Value(value) => key::encode_with(*value, collation, out),
        }
        if descending {
            key::invert(out, start);
        }
    }

    /// The value as an error shows it.
    pub fn to_bson(&self) -> Bson {
        match self {
            Self::Missing => Bson::Null,
            Self::EmptyArray => Bson::Undefined,
            Self::Value(value) => Bson::try_from(*value).unwrap_or(Bson::Null),
        }
    }
}

/// Appends the key of the one tuple of a document with no array on any of the
/// paths, each with whether it is descending; how many of the fields are there.
/// `None`, and nothing appended, where there is an array.
pub fn encode_plain(
    document: &RawDocument,
    paths: &[(Path, bool)],
    collation: Option<&Collation>,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let (start, mut present) = (out.len(), 0);
    for (path, descending) in paths {
        let Some(field) = plain(document, path.parts()) else {
            out.truncate(start);
            return None;
        };
        present += usize::from(!matches!(field, Field::Missing));
        field.encode(*descending, collation, out);
    }
    Some(present)
}

/// What is at a path that meets no array.
fn plain<'a>(document: &'a RawDocument, parts: &[Part]) -> Option<Field<'a>> {
    let Some((part, rest)) = parts.split_first() else {
        return Some(Field::Missing);
    };
    match field(document, &part.name).ok().flatten() {
        Some(RawBsonRef::Array(_)) => None,
        Some(value) if rest.is_empty() => Some(Field::Value(value)),
        Some(RawBsonRef::Document(inner)) => plain(inner, rest),
        _ => Some(Field::Missing),
    }
}

/// The tuples of a document.
///
/// # Errors
/// When two paths go through different arrays, or one is ambiguous.
pub fn tuples<'a>(
    document: &'a RawDocument,
    paths: &[&'a Path],
) -> Result<Vec<Vec<Field<'a>>>, Refused> {
    let followed = paths
        .iter()
        .map(|path| follow(RawBsonRef::Document(document), path.parts(), false));
    let followed: Vec<Followed<'_>> = followed.collect();
    only_array(&followed)?;
    for path in paths {
        if path.parts().iter().any(|part| part.index.is_some())
            && let Some(name) = ambiguous(RawBsonRef::Document(document), path.parts())
        {
            return Err(Refused::Ambiguous(name.to_owned()));
        }
    }
    let mut tuples = Vec::new();
    expand(followed, &mut tuples)?;
    Ok(tuples)
}

/// A path as far as it could be followed.
#[derive(Clone, Copy)]
enum Followed<'a> {
    /// To its end.
    End(Field<'a>),
    /// To its end, which is an array that is an element of another and named by
    /// its index: a value as it is.
    Named(&'a RawArray),
    /// To an array, with what is left of the path.
    Array(&'a RawArray, &'a [Part]),
}

fn follow<'a>(value: RawBsonRef<'a>, parts: &'a [Part], named: bool) -> Followed<'a> {
    match (value, parts.split_first()) {
        (RawBsonRef::Array(array), None) if named => Followed::Named(array),
        (RawBsonRef::Array(array), _) => Followed::Array(array, parts),
        (value, None) => Followed::End(Field::Value(value)),
        (RawBsonRef::Document(document), Some((part, rest))) => {
            match field(document, &part.name).ok().flatten() {
                Some(value) => follow(value, rest, false),
                None => Followed::End(Field::Missing),
            }
        }
        _ => Followed::End(Field::Missing),
    }
}

/// The array that paths have come to.
///
/// # Errors
/// When there are several.
fn only_array<'a>(followed: &[Followed<'a>]) -> Result<Option<&'a RawArray>, Refused> {
    let mut only: Option<&RawArray> = None;
    for path in followed {
        let (Followed::Named(array) | Followed::Array(array, _)) = path else {
            continue;
        };
        let other = |only: &RawArray| !std::ptr::eq(only.as_bytes(), array.as_bytes());
        if only.is_some_and(other) {
            return Err(Refused::Parallel);
        }
        only = Some(array);
    }
    Ok(only)
}

/// Follows paths to their ends: those that an array's elements are named on once,
/// the others together through each element.
fn expand<'a>(
    mut followed: Vec<Followed<'a>>,
    tuples: &mut Vec<Vec<Field<'a>>>,
) -> Result<(), Refused> {
    let array = only_array(&followed)?;
    let (mut named, mut through) = (false, false);
    for path in &mut followed {
        if let Followed::Array(array, parts) = *path {
            let index = parts.first().and_then(|part| part.index);
            match index.and_then(|index| array.get(index).ok().flatten()) {
                Some(element) => {
                    named = true;
                    *path = follow(element, &parts[1..], true);
                }
                None => through = true,
            }
        }
    }
    let (Some(array), true) = (array, through) else {
        if named {
            return expand(followed, tuples);
        }
        let ends = followed.into_iter().map(|path| match path {
            Followed::End(field) => field,
            Followed::Named(array) if !array.is_empty() => Field::Value(RawBsonRef::Array(array)),
            _ => Field::EmptyArray,
        });
        tuples.push(ends.collect());
        return Ok(());
    };
    let mut of_element = |element: Option<RawBsonRef<'a>>| {
        let inside = followed.iter().map(|path| match *path {
            Followed::Array(of, parts) if std::ptr::eq(of.as_bytes(), array.as_bytes()) => {
                match element {
                    Some(element) if parts.is_empty() => Followed::End(Field::Value(element)),
                    Some(element @ RawBsonRef::Document(_)) => follow(element, parts, false),
                    None if parts.is_empty() => Followed::End(Field::EmptyArray),
                    _ => Followed::End(Field::Missing),
                }
            }
            other => other,
        });
        expand(inside.collect(), tuples)
    };
    if array.is_empty() {
        return of_element(None);
    }
    array
        .into_iter()
        .flatten()
        .try_for_each(|element| of_element(Some(element)))
}

/// The part of a path that names an element of an array as well as a field of
/// a document in it.
fn ambiguous<'a>(value: RawBsonRef<'_>, parts: &'a [Part]) -> Option<&'a str> {
    let (part, rest) = parts.split_first()?;
    let name = part.name.as_str();
    match value {
        RawBsonRef::Document(document) => ambiguous(document.get(name).ok()??, rest),
        RawBsonRef::Array(array) => {
            let mut inner = array
                .into_iter()
                .flatten()
                .filter_map(RawBsonRef::as_document);
            let named = part.index.and_then(|index| array.get(index).ok().flatten());
            match named {
                Some(_) if inner.any(|e| matches!(e.get(name), Ok(Some(_)))) => Some(name),
                Some(element) => ambiguous(element, rest),
                None => inner.find_map(|e| ambiguous(RawBsonRef::Document(e), parts)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn paths_into_one_array_go_through_it_together() {
        for (paths, document, expected) in [
            (
                ["a.b", "a.c"],
                rawdoc! { "a": [{ "b": [1, 2], "c": [3] }] },
                None,
            ),
            (
                ["a.b", "a.c"],
                rawdoc! { "a": [{ "b": [1, 2] }, { "c": [3] }] },
                Some("1 null, 2 null, null 3"),
            ),
            (
                ["a.b", "a.c"],
                rawdoc! { "a": [{ "b": [1], "c": 3 }, 4] },
                Some("1 3, null null"),
            ),
            (["a.0", "a.1"], rawdoc! { "a": [[], []] }, None),
            (
                ["a.0", "a.b"],
                rawdoc! { "a": [[1, 2], { "b": 3 }] },
                Some("[1, 2] null, [1, 2] 3"),
            ),
            (
                ["a.0", "a.b"],
                rawdoc! { "a": [[1, 2], { "b": [3] }] },
                None,
            ),
            (
                ["a.0.b", "a.b"],
                rawdoc! { "a": [{ "b": [1, 2] }, { "b": 3 }] },
                Some("1 1, 2 2, 1 3, 2 3"),
            ),
            (
                ["a.0.b", "a.1.b"],
                rawdoc! { "a": [{ "b": [1] }, { "b": [3] }] },
                None,
            ),
            (["a", "b"], rawdoc! { "a": [], "b": 1 }, Some("undefined 1")),
        ] {
            let paths = paths.map(Path::new);
            let found = tuples(&document, &paths.iter().collect::<Vec<_>>());
            let shown = found.map(|tuples| {
                let tuples = tuples.iter().map(|tuple| {
                    let fields = tuple.iter().map(|field| field.to_bson().to_string());
                    fields.collect::<Vec<_>>().join(" ")
                });
                tuples.collect::<Vec<_>>().join(", ")
            });
            assert_eq!(shown.ok().as_deref(), expected, "{document:?}");
        }
    }

    #[test]
    fn a_plain_key_is_the_key_of_the_only_tuple() {
        let paths = ["a", "b.c", "d.0"].map(|path| (Path::new(path), path == "b.c"));
        let all: Vec<&Path> = paths.iter().map(|(path, _)| path).collect();
        for (document, present) in [
            (rawdoc! {}, Some(0)),
            (
                rawdoc! { "a": 1, "b": { "c": "x" }, "d": { "0": true } },
                Some(3),
            ),
            (
                rawdoc! { "a": bson::RawBson::Null, "b": 1, "d": { "1": 2 } },
                Some(1),
            ),
            (rawdoc! { "a": { "x": [] }, "b": { "d": 1 } }, Some(1)),
            (rawdoc! { "a": [1] }, None),
            (rawdoc! { "a": 1, "b": { "c": [] } }, None),
            (rawdoc! { "b": [{ "c": 1 }] }, None),
            (rawdoc! { "d": [1] }, None),
        ] {
            let mut key = vec![7];
            assert_eq!(encode_plain(&document, &paths, None, &mut key), present);
            let mut expected = vec![7];
            if present.is_some() {
                let tuples = tuples(&document, &all).unwrap();
                assert_eq!(tuples.len(), 1, "{document:?}");
                for (field, (_, descending)) in tuples[0].iter().zip(&paths) {
                    field.encode(*descending, None, &mut expected);
                }
            }
            assert_eq!(key, expected, "{document:?}");
        }
    }
}
