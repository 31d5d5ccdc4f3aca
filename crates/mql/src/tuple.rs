//! What sorts and indexes see of a document: for several paths, the tuples of
//! values that they have together. An array makes one tuple for each element;
//! paths into one array go through it together.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument};

use crate::collation::Collation;
use crate::error::MqlError;
use crate::field::field;
use crate::key;
use crate::path::{self, Part, Path};

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
    let through: Vec<Option<Through<'_>>> = match paths {
        [_] => vec![None],
        _ => paths
            .iter()
            .map(|path| array_on(document, path.parts()))
            .collect(),
    };
    let mut arrays = through.iter().flatten();
    let first = arrays.next();
    if let Some(first) = first
        && arrays.any(|other| other.prefix != first.prefix)
    {
        return Err(Refused::Parallel);
    }
    for path in paths {
        if path.parts().iter().any(|part| part.index.is_some())
            && let Some(name) = ambiguous(RawBsonRef::Document(document), path.parts())
        {
            return Err(Refused::Ambiguous(name.to_owned()));
        }
    }
    let together: Vec<bool> = through
        .iter()
        .map(|through| through.as_ref().is_some_and(|through| through.whole))
        .collect();
    let alone = |at: usize| fields(document, paths[at].parts());
    let (Some(first), true) = (first, together.iter().filter(|t| **t).count() > 1) else {
        return Ok(product((0..paths.len()).map(alone)));
    };
    let depth = first.prefix.len();
    let of_element = |element: Option<RawBsonRef<'a>>| {
        product((0..paths.len()).map(|at| {
            let rest = &paths[at].parts()[depth.min(paths[at].parts().len())..];
            match element {
                _ if !together[at] => alone(at),
                Some(element) if rest.is_empty() => vec![Field::Value(element)],
                Some(RawBsonRef::Document(inner)) => fields(inner, rest),
                None if rest.is_empty() => vec![Field::EmptyArray],
                _ => vec![Field::Missing],
            }
        }))
    };
    let mut elements = first.array.into_iter().flatten().peekable();
    Ok(if elements.peek().is_none() {
        of_element(None)
    } else {
        elements
            .flat_map(|element| of_element(Some(element)))
            .collect()
    })
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

fn product<'a>(fields: impl Iterator<Item = Vec<Field<'a>>>) -> Vec<Vec<Field<'a>>> {
    let mut tuples = vec![Vec::new()];
    for choices in fields {
        tuples = tuples
            .iter()
            .flat_map(|tuple: &Vec<Field<'a>>| {
                choices.iter().map(move |choice| {
                    let mut longer = tuple.clone();
                    longer.push(*choice);
                    longer
                })
            })
            .collect();
    }
    tuples
}

/// The first array on a path.
struct Through<'a> {
    prefix: &'a [Part],
    array: &'a RawArray,
    /// Whether the path goes through every element, and does not name one.
    whole: bool,
}

fn array_on<'a>(document: &'a RawDocument, parts: &'a [Part]) -> Option<Through<'a>> {
    for depth in 1..=parts.len() {
        let prefix = &parts[..depth];
        if let RawBsonRef::Array(array) = path::get(document, prefix)? {
            let index = parts.get(depth).and_then(|part| part.index);
            let named = index.and_then(|index| array.get(index).ok().flatten());
            return Some(Through {
                prefix,
                array,
                whole: named.is_none(),
            });
        }
    }
    None
}

/// What is at one path by itself.
fn fields<'a>(document: &'a RawDocument, parts: &[Part]) -> Vec<Field<'a>> {
    let mut found = Vec::with_capacity(1);
    path::visit_keys(document, parts, &mut |value, named| match value {
        None => found.push(Field::Missing),
        Some(RawBsonRef::Array(array)) if array.is_empty() => found.push(Field::EmptyArray),
        Some(RawBsonRef::Array(array)) if !named => {
            found.extend(array.into_iter().flatten().map(Field::Value));
        }
        Some(value) => found.push(Field::Value(value)),
    });
    found
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

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
