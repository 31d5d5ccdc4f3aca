//! Documents in expressions.

use bson::{Bson, Document};

use super::describe::{kind, shown};
use super::{Args, Node, Nodes, is_nullish};
use crate::error::{MqlError, Result};

pub(super) fn merge(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut merged = Document::new();
    let mut add = |value: Option<Bson>| match value {
        None | Some(Bson::Null | Bson::Undefined) => Ok(()),
        Some(Bson::Document(document)) => {
            merged.extend(document);
            Ok(())
        }
        other => Err(MqlError::new(
            40400,
            format!(
                "$mergeObjects requires object inputs, but input {} is of type {}",
                shown(other.as_ref()),
                kind(other.as_ref())
            ),
        )),
    };
    for at in 0..args.len() {
        match args.owned(at)? {
            // A single array stands for its elements.
            Some(Bson::Array(array)) if args.len() == 1 => {
                array.into_iter().try_for_each(|value| add(Some(value)))?;
            }
            value => add(value)?,
        }
    }
    Ok(Some(Bson::Document(merged)))
}

pub(super) fn to_array(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(Some(match &values[0] {
        None | Some(Bson::Null | Bson::Undefined) => Bson::Null,
        Some(Bson::Document(document)) => Bson::Array(
            document
                .iter()
                .map(|(name, value)| {
                    let mut pair = Document::new();
                    pair.insert("k", name.clone());
                    pair.insert("v", value.clone());
                    Bson::Document(pair)
                })
                .collect(),
        ),
        other => {
            return Err(MqlError::new(
                40390,
                format!(
                    "$objectToArray requires a document input, found: {}",
                    kind(other.as_ref())
                ),
            ));
        }
    }))
}

pub(super) fn of_array(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let array = match &values[0] {
        value if is_nullish(value.as_ref()) => return Ok(Some(Bson::Null)),
        Some(Bson::Array(array)) => array,
        other => {
            return Err(MqlError::new(
                40386,
                format!(
                    "$arrayToObject requires an array input, found: {}",
                    kind(other.as_ref())
                ),
            ));
        }
    };
    let mut made = Document::new();
    let of_pairs = matches!(array.first(), Some(Bson::Array(_)));
    for element in array {
        let (key, value) = match element {
            Bson::Array(pair) if of_pairs => of_pair(pair)?,
            Bson::Document(pair) if !of_pairs => of_object(pair)?,
            Bson::Array(_) | Bson::Document(_) => {
                return Err(mixed(of_pairs, element));
            }
            other if std::ptr::eq(element, &raw const array[0]) => {
                return Err(MqlError::new(
                    40398,
                    format!(
                        "Unrecognised input type format for $arrayToObject: {}",
                        kind(Some(other))
                    ),
                ));
            }
            other => return Err(mixed(of_pairs, other)),
        };
        made.insert(key, value);
    }
    Ok(Some(Bson::Document(made)))
}

fn mixed(of_pairs: bool, found: &Bson) -> MqlError {
    let (code, first) = if of_pairs {
        (40396, "Array")
    } else {
        (40391, "Object")
    };
    MqlError::new(
        code,
        format!(
            "$arrayToObject requires a consistent input format. Elements mustall be arrays or all be objects. {first} was detected, now found: {}",
            kind(Some(found))
        ),
    )
}

fn of_pair(pair: &[Bson]) -> Result<(String, Bson)> {
    let [key, value] = pair else {
        return Err(MqlError::new(
            40397,
            format!(
                "$arrayToObject requires an array of size 2 arrays,found array of size: {}",
                pair.len()
            ),
        ));
    };
    let Bson::String(key) = key else {
        return Err(MqlError::new(
            40395,
            format!(
                "$arrayToObject requires an array of key-value pairs, where the key must be of type string. Found key type: {}",
                kind(Some(key))
            ),
        ));
    };
    whole_name(key, 4_940_400)?;
    Ok((key.clone(), value.clone()))
}

fn of_object(pair: &Document) -> Result<(String, Bson)> {
    if pair.len() != 2 {
        return Err(MqlError::new(
            40392,
            format!(
                "$arrayToObject requires an object keys of 'k' and 'v'. Found incorrect number of keys:{}",
                pair.len()
            ),
        ));
    }
    let (Some(key), Some(value)) = (pair.get("k"), pair.get("v")) else {
        return Err(MqlError::new(
            40393,
            format!(
                "$arrayToObject requires an object with keys 'k' and 'v'. Missing either or both keys from: {}",
                shown(Some(&Bson::Document(pair.clone())))
            ),
        ));
    };
    let Bson::String(key) = key else {
        return Err(MqlError::new(
            40394,
            format!(
                "$arrayToObject requires an object with keys 'k' and 'v', where the value of 'k' must be of type string. Found type: {}",
                kind(Some(key))
            ),
        ));
    };
    whole_name(key, 4_940_401)?;
    Ok((key.clone(), value.clone()))
}

fn whole_name(name: &str, code: i32) -> Result<()> {
    if name.contains('\0') {
        return Err(MqlError::new(
            code,
            "Key field cannot contain an embedded null byte",
        ));
    }
    Ok(())
}

/// The field's name is known to be a string since the parser saw it.
fn name_of(args: &Args<'_, '_>) -> Result<String> {
    match args.owned(0)? {
        Some(Bson::String(name)) => Ok(name),
        _ => Ok(String::new()),
    }
}

pub(super) fn get_field(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let name = name_of(args)?;
    Ok(match args.owned(1)? {
        Some(Bson::Document(mut document)) => document.remove(name),
        Some(Bson::Null | Bson::Undefined) => Some(Bson::Null),
        _ => None,
    })
}

/// `$setField`, `$unsetField`.
pub(super) fn set_field(operator: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let Some((mut document, removed)) = with_places(operator, args)? else {
        return Ok(Some(Bson::Null));
    };
    for name in removed {
        document.remove(name);
    }
    Ok(Some(Bson::Document(document)))
}

/// A document in which some names, the second ones, only keep a place: what one
/// operator takes away and another one around it sets is back where it was.
type WithPlaces = (Document, Vec<String>);

/// What `$setField` or `$unsetField` makes; `None` of null.
fn with_places(operator: &'static str, args: &Args<'_, '_>) -> Result<Option<WithPlaces>> {
    let name = name_of(args)?;
    let sets = operator == "$setField";
    let input = if sets { 2 } else { 1 };
    let made = match args.node(input) {
        Some(Node::Named(inner, nodes)) if matches!(inner.name, "$setField" | "$unsetField") => {
            let nodes = Nodes::Named(nodes);
            with_places(inner.name, &Args { nodes, ..*args })?
        }
        _ => match args.owned(input)? {
            Some(Bson::Document(document)) => Some((document, Vec::new())),
            input if is_nullish(input.as_ref()) => None,
            _ => {
                return Err(MqlError::new(
                    4_161_105,
                    "$setField requires 'input' to evaluate to type Object",
                ));
            }
        },
    };
    let Some((mut document, mut removed)) = made else {
        return Ok(None);
    };
    match if sets { args.owned(1)? } else { None } {
        Some(value) => {
            removed.retain(|other| *other != name);
            document.insert(name, value);
        }
        None if document.contains_key(&name) => removed.push(name),
        None => {}
    }
    Ok(Some((document, removed)))
}
