//! `$map`, `$filter` and `$reduce`.

use bson::Bson;

use super::describe::{kind, shown};
use super::{Args, Node, is_nullish, truthy};
use crate::error::{MqlError, Result};
use crate::number::whole_i32;
use crate::patience;

/// The array to go over; `None` of null.
fn input(args: &Args<'_, '_>, refuse: impl FnOnce(&Bson) -> MqlError) -> Result<Option<Vec<Bson>>> {
    match args.owned(0)? {
        None | Some(Bson::Null | Bson::Undefined) => Ok(None),
        Some(Bson::Array(array)) => Ok(Some(array)),
        Some(other) => Err(refuse(&other)),
    }
}

/// The name that stands for an element.
fn variable<'a>(args: &Args<'a, '_>) -> &'a str {
    match args.node(1) {
        Some(Node::Constant(Bson::String(name))) => name,
        _ => "this",
    }
}

pub(super) fn map(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let array = input(args, |other| {
        MqlError::new(
            16883,
            format!("input to $map must be an array not {}", kind(Some(other))),
        )
    })?;
    let (Some(array), Some(body)) = (array, args.node(2)) else {
        return Ok(Some(Bson::Null));
    };
    let name = variable(args);
    let mapped = array
        .into_iter()
        .map(|element| {
            patience::step()?;
            let inner = args.scope.with([(name, Some(element))]);
            Ok(body.owned(&inner)?.unwrap_or(Bson::Null))
        })
        .collect::<Result<_>>()?;
    Ok(Some(Bson::Array(mapped)))
}

pub(super) fn filter(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let array = input(args, |other| {
        MqlError::new(
            28651,
            format!(
                "input to $filter must be an array not {}",
                kind(Some(other))
            ),
        )
    })?;
    let (Some(array), Some(condition)) = (array, args.node(2)) else {
        return Ok(Some(Bson::Null));
    };
    if array.is_empty() {
        return Ok(Some(Bson::Array(array)));
    }
    let limit = limit(args)?;
    let name = variable(args);
    let mut kept = Vec::new();
    for element in array {
        patience::step()?;
        let inner = args.scope.with([(name, Some(element.clone()))]);
        if truthy(condition.evaluate(&inner)?.as_deref()) {
            kept.push(element);
            if kept.len() >= limit {
                break;
            }
        }
    }
    Ok(Some(Bson::Array(kept)))
}

/// Null is no limit.
fn limit(args: &Args<'_, '_>) -> Result<usize> {
    let Some(value) = args.owned(3)?.filter(|value| !is_nullish(Some(value))) else {
        return Ok(usize::MAX);
    };
    let Some(limit) = whole_i32(&value) else {
        return Err(MqlError::new(
            327_391,
            format!(
                "$filter: limit must be represented as a 32-bit integral value: {}",
                shown(Some(&value))
            ),
        ));
    };
    if limit <= 0 {
        return Err(MqlError::new(
            327_392,
            format!(
                "$filter: limit must be greater than 0: {}",
                shown(Some(&value))
            ),
        ));
    }
    Ok(limit as usize)
}

pub(super) fn reduce(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let array = input(args, |other| {
        MqlError::new(
            40080,
            format!(
                "$reduce requires that 'input' be an array, found: {}",
                shown(Some(other))
            ),
        )
    })?;
    let (Some(array), Some(body)) = (array, args.node(2)) else {
        return Ok(Some(Bson::Null));
    };
    let mut value = args.owned(1)?;
    for element in array {
        patience::step()?;
        let inner = args.scope.with([("this", Some(element)), ("value", value)]);
        value = body.owned(&inner)?;
    }
    Ok(value)
}
