//! Reading and writing values at concrete paths of owned documents.

use bson::{Bson, Document};

use crate::error::{MqlError, Result};

/// Null padding that one `$set` of a far array index may cause.
const PADDING_MAX: usize = 1_500_000;

/// The array index that a name means in an update: here zeros may lead.
pub(super) fn array_index(name: &str) -> Option<usize> {
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// The value at a path; array elements by index.
pub(super) fn get<'a>(document: &'a Document, parts: &[String]) -> Option<&'a Bson> {
    let (first, rest) = parts.split_first()?;
    let mut value = document.get(first)?;
    for part in rest {
        value = match value {
            Bson::Document(inner) => inner.get(part)?,
            Bson::Array(array) => array.get(array_index(part)?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Sets the value at a path, making documents on the way. Answers how many
/// leading parts name the shallowest value that was made.
pub(super) fn set(document: &mut Document, parts: &[String], value: Bson) -> Result<usize> {
    let Some((first, rest)) = parts.split_first() else {
        return Ok(0);
    };
    if rest.is_empty() {
        document.insert(first.clone(), value);
        return Ok(1);
    }
    match document.get_mut(first) {
        None => {
            document.insert(first.clone(), nested(rest, value));
            Ok(1)
        }
        Some(inner) => within(inner, first, rest, value).map(|depth| depth + 1),
    }
}

fn within(target: &mut Bson, name: &str, parts: &[String], value: Bson) -> Result<usize> {
    match target {
        Bson::Document(document) => set(document, parts, value),
        Bson::Array(array) => {
            let (first, rest) = (&parts[0], &parts[1..]);
            let Some(index) = array_index(first) else {
                return Err(not_viable(first, name, &Bson::Array(array.clone())));
            };
            if index >= array.len() {
                if index - array.len() > PADDING_MAX {
                    return Err(MqlError::new(
                        34,
                        "can't backfill more than 1500000 elements",
                    ));
                }
                array.resize(index, Bson::Null);
                array.push(nested(rest, value));
                return Ok(1);
            }
            if rest.is_empty() {
                array[index] = value;
                return Ok(1);
            }
            within(&mut array[index], first, rest, value).map(|depth| depth + 1)
        }
        other => Err(not_viable(&parts[0], name, other)),
    }
}

fn nested(parts: &[String], value: Bson) -> Bson {
    parts.iter().rev().fold(value, |value, part| {
        let mut document = Document::new();
        document.insert(part.clone(), value);
        Bson::Document(document)
    })
}

pub(super) fn not_viable(field: &str, name: &str, element: &Bson) -> MqlError {
    MqlError::new(
        28,
        format!("Cannot create field '{field}' in element {{{name}: {element}}}"),
    )
}

/// Removes the value at a path; an array element becomes null. Says whether
/// there was one.
pub(super) fn unset(document: &mut Document, parts: &[String]) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return document.remove(first).is_some();
    }
    let Some(mut value) = document.get_mut(first) else {
        return false;
    };
    for (index, part) in rest.iter().enumerate() {
        let last = index + 1 == rest.len();
        value = match value {
            Bson::Document(inner) if last => return inner.remove(part).is_some(),
            Bson::Document(inner) => match inner.get_mut(part) {
                Some(value) => value,
                None => return false,
            },
            Bson::Array(array) => match array_index(part).and_then(|index| array.get_mut(index)) {
                Some(value) if last => {
                    *value = Bson::Null;
                    return true;
                }
                Some(value) => value,
                None => return false,
            },
            _ => return false,
        };
    }
    false
}
