//! Conditions and comparisons.

use std::cmp::Ordering;

use bson::Bson;

use super::{Args, is_nullish, truthy};
use crate::collation::Collation;
use crate::error::Result;
use crate::order::compare_bson_with;

/// `$and`, `$or`: up to the first that decides.
pub(super) fn and_or(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let deciding = name == "$or";
    for at in 0..args.len() {
        if truthy(args.get(at)?.as_deref()) == deciding {
            return Ok(Some(Bson::Boolean(deciding)));
        }
    }
    Ok(Some(Bson::Boolean(!deciding)))
}

pub(super) fn not(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(Some(Bson::Boolean(!truthy(values[0].as_ref()))))
}

/// The first that is there, or the last.
pub(super) fn if_null(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let last = args.len() - 1;
    for at in 0..last {
        let value = args.get(at)?;
        if !is_nullish(value.as_deref()) {
            return Ok(value.map(std::borrow::Cow::into_owned));
        }
    }
    args.owned(last)
}

pub(super) fn cond(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let branch = if truthy(args.get(0)?.as_deref()) {
        1
    } else {
        2
    };
    args.owned(branch)
}

/// Missing is below everything but the least key, unlike in queries.
pub(super) fn compare(
    name: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    let order = match (&values[0], &values[1]) {
        (Some(a), Some(b)) => compare_bson_with(a, b, collation),
        (None, Some(Bson::MinKey)) => Ordering::Greater,
        (Some(Bson::MinKey), None) => Ordering::Less,
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    Ok(Some(match name {
        "$cmp" => Bson::Int32(order as i32),
        "$eq" => Bson::Boolean(order.is_eq()),
        "$ne" => Bson::Boolean(order.is_ne()),
        "$gt" => Bson::Boolean(order.is_gt()),
        "$gte" => Bson::Boolean(order.is_ge()),
        "$lt" => Bson::Boolean(order.is_lt()),
        _ => Bson::Boolean(order.is_le()),
    }))
}
