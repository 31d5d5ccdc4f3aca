//! Dotted paths and how they go through arrays (embedded-engine.md C.4).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};

use crate::error::Result;
use crate::field::field;

/// A dotted field path, split once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    parts: Vec<Part>,
}

/// One name of a path; a numeric one is also an array index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The name as written.
    pub name: String,
    /// The index it means inside an array.
    pub index: Option<usize>,
}

impl Path {
    /// Splits `text` at its dots.
    pub fn new(text: &str) -> Self {
        let parts = text
            .split('.')
            .map(|name| Part {
                name: name.to_owned(),
                index: array_index(name),
            })
            .collect();
        Self {
            text: text.to_owned(),
            parts,
        }
    }

    /// Reads a path of field names, of which none is empty or begins with a `$`.
    ///
    /// # Errors
    /// 40352, 40353, 15998 and 16410 for what is none.
    pub fn parse(text: &str) -> Result<Self> {
        crate::aggregate::field_path(text)?;
        Ok(Self::new(text))
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names between the dots.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// The array index that a name means: digits without a leading zero.
pub fn array_index(name: &str) -> Option<usize> {
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    (digits && (name == "0" || !name.starts_with('0')))
        .then(|| name.parse().ok())
        .flatten()
}

/// Visits what a match on `parts` sees: each value at the path's end, through
/// one level of array at each step, and `None` for each place where the path
/// ends early. Stops when `visit` says true, and says so.
pub fn visit<'a>(
    document: &'a RawDocument,
    parts: &[Part],
    visit: &mut dyn FnMut(Option<RawBsonRef<'a>>) -> bool,
) -> bool {
    visit_ends(document, parts, &mut |value, _| visit(value))
}

/// Where a path ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct End {
    /// At an array's element that the path names by its index: a match does not
    /// look into such an element.
    pub indexed: bool,
    /// Through which element of the first array that the path does not name
    /// elements of.
    pub element: Option<usize>,
}

/// [`visit`], which also says how the path came there.
pub fn visit_ends<'a>(
    document: &'a RawDocument,
    parts: &[Part],
    visit: &mut dyn FnMut(Option<RawBsonRef<'a>>, End) -> bool,
) -> bool {
    ends(document, parts, None, visit)
}

fn ends<'a>(
    document: &'a RawDocument,
    parts: &[Part],
    element: Option<usize>,
    visit: &mut dyn FnMut(Option<RawBsonRef<'a>>, End) -> bool,
) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return false;
    };
    let Ok(found) = field(document, &part.name) else {
        return false;
    };
    let end = End {
        indexed: false,
        element,
    };
    value(found, rest, end, visit)
}

fn value<'a>(
    found: Option<RawBsonRef<'a>>,
    rest: &[Part],
    end: End,
    visit: &mut dyn FnMut(Option<RawBsonRef<'a>>, End) -> bool,
) -> bool {
    if rest.is_empty() {
        return visit(found, end);
    }
    let element = end.element;
    match found {
        Some(RawBsonRef::Document(inner)) => ends(inner, rest, element, visit),
        Some(RawBsonRef::Array(array)) => through(array, rest, element, visit),
        _ => {
            let indexed = false;
            visit(None, End { indexed, element })
        }
    }
}

fn through<'a>(
    array: &'a RawArray,
    rest: &[Part],
    outer: Option<usize>,
    visit: &mut dyn FnMut(Option<RawBsonRef<'a>>, End) -> bool,
) -> bool {
    let named = rest[0].index;
    array
        .into_iter()
        .flatten()
        .enumerate()
        .any(|(at, element)| {
            if let RawBsonRef::Document(inner) = element
                && ends(inner, rest, outer.or(Some(at)), visit)
            {
                return true;
            }
            let is_tree = matches!(element, RawBsonRef::Document(_) | RawBsonRef::Array(_));
            let end = End {
                indexed: true,
                element: outer,
            };
            // A scalar there is no place where the rest of the path is missing.
            named == Some(at)
                && (rest.len() == 1 || is_tree)
                && value(Some(element), &rest[1..], end, visit)
        })
}

/// The value at a path that goes through documents only.
pub fn get<'a>(document: &'a RawDocument, parts: &[Part]) -> Option<RawBsonRef<'a>> {
    let (part, rest) = parts.split_first()?;
    let found = field(document, &part.name).ok()??;
    match (rest.is_empty(), found) {
        (true, found) => Some(found),
        (false, RawBsonRef::Document(inner)) => get(inner, rest),
        _ => None,
    }
}
