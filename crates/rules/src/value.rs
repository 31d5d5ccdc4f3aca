//! Values inside expressions: finding them by path, and the rules' own
//! equality (rules-schemas.md §8.2, §8.4).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument};
use kit::limit::NESTING_DEPTH_MAX;
use mql::order::rank;
use mql::path::Part;

/// A value: borrowed from a document, or made by a conversion.
#[derive(Debug, Clone)]
pub(crate) enum Found<'a> {
    Missing,
    Borrowed(RawBsonRef<'a>),
    Owned(RawBson),
}

impl Found<'_> {
    pub(crate) fn as_ref(&self) -> Option<RawBsonRef<'_>> {
        match self {
            Self::Missing => None,
            Self::Borrowed(value) => Some(*value),
            Self::Owned(value) => Some(value.as_raw_bson_ref()),
        }
    }
}

impl<'a> From<Option<RawBsonRef<'a>>> for Found<'a> {
    fn from(value: Option<RawBsonRef<'a>>) -> Self {
        value.map_or(Self::Missing, Self::Borrowed)
    }
}

/// The value at `path` under `value`. Names go into documents, numbers into
/// arrays, and a name on an array collects from its elements.
pub(crate) fn lookup<'a>(value: RawBsonRef<'a>, path: &[Part]) -> Found<'a> {
    let Some((part, rest)) = path.split_first() else {
        return Found::Borrowed(value);
    };
    match value {
        RawBsonRef::Document(document) => in_document(document, part, rest),
        RawBsonRef::Array(array) => in_array(array, path),
        _ => Found::Missing,
    }
}

fn in_document<'a>(document: &'a RawDocument, part: &Part, rest: &[Part]) -> Found<'a> {
    match document.get(part.name.as_str()) {
        Ok(Some(inner)) => lookup(inner, rest),
        _ => Found::Missing,
    }
}

fn in_array<'a>(array: &'a RawArray, path: &[Part]) -> Found<'a> {
    if let Some(index) = path[0].index
        && let Ok(Some(element)) = array.get(index)
    {
        return lookup(element, &path[1..]);
    }
    let mut collected = RawArrayBuf::new();
    let mut any = false;
    for element in array.into_iter().flatten() {
        let RawBsonRef::Document(inner) = element else {
            continue;
        };
        if let Some(found) = in_document(inner, &path[0], &path[1..]).as_ref() {
            collected.push(found);
            any = true;
        }
    }
    if any {
        Found::Owned(RawBson::Array(collected))
    } else {
        Found::Missing
    }
}

/// The rules' equality. `expanded` says that `value` came from an expansion:
/// only then may an array on the right contain the subject, and only a null
/// that was *written* equals a missing subject. A missing value equals nothing,
/// not even a missing subject: otherwise two absent ids would grant access.
pub(crate) fn equal(
    subject: Option<RawBsonRef<'_>>,
    value: Option<RawBsonRef<'_>>,
    expanded: bool,
) -> bool {
    let Some(value) = value else { return false };
    let Some(subject) = subject else {
        return matches!(value, RawBsonRef::Null) && !expanded;
    };
    if same_value(subject, value, 0) {
        return true;
    }
    if let RawBsonRef::Array(array) = subject
        && contains(array, value)
    {
        return true;
    }
    matches!(value, RawBsonRef::Array(array) if expanded && contains(array, subject))
}

pub(crate) fn contains(array: &RawArray, value: RawBsonRef<'_>) -> bool {
    array
        .into_iter()
        .flatten()
        .any(|element| same_value(element, value, 0))
}

/// A value that has no parts, and is more than that there is none.
pub(crate) fn is_scalar(value: RawBsonRef<'_>) -> bool {
    matches!(
        value,
        RawBsonRef::String(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_)
            | RawBsonRef::ObjectId(_)
            | RawBsonRef::Boolean(_)
            | RawBsonRef::DateTime(_)
            | RawBsonRef::Binary(_)
    )
}

/// Deep equality: numbers by value, documents whatever the order of their
/// keys, null and what was once called undefined as in queries. What is nested
/// beyond the limit is unequal.
fn same_value(a: RawBsonRef<'_>, b: RawBsonRef<'_>, depth: usize) -> bool {
    if depth > NESTING_DEPTH_MAX {
        return false;
    }
    use RawBsonRef::{Null, Undefined};
    match (a, b) {
        (RawBsonRef::String(a), RawBsonRef::String(b)) => a == b,
        (Null | Undefined, Null | Undefined) => true,
        (RawBsonRef::Document(a), RawBsonRef::Document(b)) => {
            a.as_bytes() == b.as_bytes()
                || (a.iter().count() == b.iter().count()
                    && a.iter().flatten().all(|(name, left)| {
                        matches!(b.get(name.as_str()), Ok(Some(right))
                            if same_value(left, right, depth + 1))
                    }))
        }
        (RawBsonRef::Array(a), RawBsonRef::Array(b)) => {
            a.as_bytes() == b.as_bytes()
                || (a.into_iter().count() == b.into_iter().count()
                    && a.into_iter()
                        .flatten()
                        .zip(b.into_iter().flatten())
                        .all(|(left, right)| same_value(left, right, depth + 1)))
        }
        _ => rank(a) == rank(b) && mql::compare(a, b).is_eq(),
    }
}

/// Whether nothing at all changed from `a` to `b`: types included, so that a
/// change of 1 to 1.0 counts as one.
pub(crate) fn identical(a: Option<RawBsonRef<'_>>, b: Option<RawBsonRef<'_>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(RawBsonRef::Double(a)), Some(RawBsonRef::Double(b))) => a.to_bits() == b.to_bits(),
        (Some(RawBsonRef::Document(a)), Some(RawBsonRef::Document(b))) => {
            a.as_bytes() == b.as_bytes()
        }
        (Some(RawBsonRef::Array(a)), Some(RawBsonRef::Array(b))) => a.as_bytes() == b.as_bytes(),
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}
