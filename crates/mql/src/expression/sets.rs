//! Arrays as sets.

use std::collections::HashSet;

use bson::Bson;

use super::describe::kind;
use super::{Args, identity, is_nullish, truthy};
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::order::compare_bson_with;

/// `$anyElementTrue`, `$allElementsTrue`.
pub(super) fn elements_true(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let any = name == "$anyElementTrue";
    let Some(Bson::Array(array)) = &values[0] else {
        return Err(MqlError::new(
            if any { 17041 } else { 17040 },
            format!(
                "{name}'s argument must be an array, but is {}",
                kind(values[0].as_ref())
            ),
        ));
    };
    let mut elements = array.iter().map(|element| truthy(Some(element)));
    Ok(Some(Bson::Boolean(if any {
        elements.any(|t| t)
    } else {
        elements.all(|t| t)
    })))
}

fn keys(array: &[Bson], collation: Option<&Collation>) -> HashSet<Vec<u8>> {
    array
        .iter()
        .map(|value| identity(value, collation))
        .collect()
}

/// Every value once, the first of equal ones.
fn once(values: Vec<Bson>, collation: Option<&Collation>) -> Vec<Bson> {
    let mut seen = HashSet::new();
    let mut kept = values;
    kept.retain(|value| seen.insert(identity(value, collation)));
    kept
}

/// Every value once, in order.
fn distinct(values: Vec<Bson>, collation: Option<&Collation>) -> Bson {
    let mut kept = once(values, collation);
    kept.sort_by(|a, b| compare_bson_with(a, b, collation));
    Bson::Array(kept)
}

/// The next operand as an array; `None` when it is null.
fn operand(name: &str, code: i32, args: &Args<'_, '_>, at: usize) -> Result<Option<Vec<Bson>>> {
    match args.owned(at)? {
        Some(Bson::Array(array)) => Ok(Some(array)),
        value if is_nullish(value.as_ref()) => Ok(None),
        other => Err(MqlError::new(
            code,
            format!(
                "All operands of {name} must be arrays. One argument is of type: {}",
                kind(other.as_ref())
            ),
        )),
    }
}

pub(super) fn union(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut all = Vec::new();
    for at in 0..args.len() {
        match operand(name, 17043, args, at)? {
            Some(array) => all.extend(array),
            None => return Ok(Some(Bson::Null)),
        }
    }
    Ok(Some(distinct(all, args.collation())))
}

pub(super) fn intersection(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let collation = args.collation();
    let mut common: Option<Vec<Bson>> = None;
    for at in 0..args.len() {
        let Some(array) = operand(name, 17047, args, at)? else {
            return Ok(Some(Bson::Null));
        };
        let kept = match common {
            None => array,
            Some(kept) => {
                // The values are those of the smaller set.
                let (mut few, many) = (once(array, collation), kept);
                let mut many = once(many, collation);
                if few.len() >= many.len() {
                    std::mem::swap(&mut few, &mut many);
                }
                let others = keys(&many, collation);
                few.retain(|value| others.contains(&identity(value, collation)));
                few
            }
        };
        common = Some(kept);
    }
    Ok(Some(distinct(common.unwrap_or_default(), collation)))
}

/// The two operands of `$setDifference` or `$setIsSubset`.
fn two<'v>(name: &str, codes: [i32; 2], values: &'v [Option<Bson>]) -> Result<[&'v Vec<Bson>; 2]> {
    let one = |at: usize, which: &str| match &values[at] {
        Some(Bson::Array(array)) => Ok(array),
        other => Err(MqlError::new(
            codes[at],
            format!(
                "both operands of {name} must be arrays. {which} argument is of type: {}",
                kind(other.as_ref())
            ),
        )),
    };
    Ok([one(0, "First")?, one(1, "Second")?])
}

pub(super) fn difference(
    name: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    if values.iter().any(|value| is_nullish(value.as_ref())) {
        return Ok(Some(Bson::Null));
    }
    let [from, less] = two(name, [17048, 17049], values)?;
    let mut seen = keys(less, collation);
    let kept = from
        .iter()
        .filter(|value| seen.insert(identity(value, collation)));
    Ok(Some(Bson::Array(kept.cloned().collect())))
}

pub(super) fn is_subset(
    name: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    let [inner, outer] = two(name, [17046, 17042], values)?;
    Ok(Some(Bson::Boolean(
        keys(inner, collation).is_subset(&keys(outer, collation)),
    )))
}

pub(super) fn equals(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut first = None;
    let mut equal = true;
    for at in 0..args.len() {
        let value = args.get(at)?;
        let Some(Bson::Array(array)) = value.as_deref() else {
            return Err(not_equatable(17044, at, value.as_deref()));
        };
        let keys = keys(array, args.collation());
        match &first {
            None => first = Some(keys),
            Some(first) => equal &= keys == *first,
        }
    }
    Ok(Some(Bson::Boolean(equal)))
}

/// The refusal of an operand of `$setEquals`.
pub(super) fn not_equatable(code: i32, at: usize, value: Option<&Bson>) -> MqlError {
    MqlError::new(
        code,
        format!(
            "All operands of $setEquals must be arrays. {}-th argument is of type: {}",
            at + 1,
            kind(value)
        ),
    )
}
