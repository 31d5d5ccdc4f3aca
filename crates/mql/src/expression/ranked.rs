//! The first, last, least and greatest of an array, and arrays in order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bson::{Bson, Document};

use super::describe::shown;
use super::{Args, Node, is_nullish};
use crate::error::{MqlError, Result};
use crate::number::{is_number, whole};
use crate::order::compare_bson_with;

/// How many elements an operator with `n` is asked for.
pub(crate) fn count(n: Option<&Bson>) -> Result<usize> {
    let Some(value) = n.filter(|value| is_number(value)) else {
        return Err(MqlError::new(
            5_787_902,
            format!(
                "Value for 'n' must be of integral type, but found {}",
                shown(n)
            ),
        ));
    };
    let count = super::coerce::long(value)?;
    if whole(value).is_none() {
        return Err(MqlError::new(
            5_787_903,
            format!(
                "Value for 'n' must be of integral type, but found {}",
                shown(n)
            ),
        ));
    }
    if count <= 0 {
        return Err(MqlError::new(
            5_787_908,
            format!("'n' must be greater than 0, found {count}"),
        ));
    }
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// `$firstN`, `$lastN`, `$maxN`, `$minN`.
pub(super) fn n(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let count = count(args.owned(0)?.as_ref())?;
    let input = args.owned(1)?;
    let order = |a: &Bson, b: &Bson| compare_bson_with(a, b, args.collation());
    let Some(Bson::Array(mut array)) = input else {
        return Err(MqlError::new(5_788_200, "Input must be an array"));
    };
    match name {
        "$firstN" => {}
        "$lastN" => {
            let over = array.len().saturating_sub(count);
            array.drain(..over);
        }
        _ => {
            array.retain(|value| !is_nullish(Some(value)));
            if name == "$maxN" {
                array = greatest(&array, count, &order);
            } else {
                array.sort_by(order);
            }
        }
    }
    array.truncate(count);
    Ok(Some(Bson::Array(array)))
}

/// The greatest values, the last of equal ones first. A value takes the place of a
/// lesser one, and of equal ones of that which came first.
fn greatest(values: &[Bson], count: usize, order: &dyn Fn(&Bson, &Bson) -> Ordering) -> Vec<Bson> {
    let mut sorted: Vec<(usize, &Bson)> = values.iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| order(a, b));
    let mut ranks = vec![0; values.len()];
    let equal = sorted.chunk_by(|(_, a), (_, b)| order(a, b).is_eq());
    for (rank, group) in equal.enumerate() {
        for (at, _) in group {
            ranks[*at] = rank;
        }
    }
    let mut kept = BinaryHeap::new();
    for (at, rank) in ranks.into_iter().enumerate() {
        if kept.len() >= count {
            let least = kept.peek().map(|Reverse((least, _))| *least);
            if least.is_none_or(|least| least >= rank) {
                continue;
            }
            kept.pop();
        }
        kept.push(Reverse((rank, at)));
    }
    let kept = kept.into_sorted_vec().into_iter();
    kept.filter_map(|Reverse((_, at))| values.get(at).cloned())
        .collect()
}

/// What `sortBy` may be, looked at before any document.
pub(super) fn check_sort(_: &str, specification: &Document) -> Result<()> {
    let pattern = |text: &str| MqlError::new(2_942_505, format!("BadValue: {text}"));
    match specification.get("sortBy") {
        Some(Bson::Document(by)) => {
            if by.is_empty() {
                return Err(pattern(
                    "The sort pattern is empty when it should be a set of fields.",
                ));
            }
            for (name, direction) in by {
                if name.is_empty() {
                    return Err(pattern("The sort field cannot be empty"));
                }
                if name.split('.').any(str::is_empty) {
                    return Err(pattern(&format!(
                        "The sort field is a dotted field '{name}' but has an empty part"
                    )));
                }
                if !matches!(whole(direction), Some(1 | -1)) {
                    return Err(pattern("The sort element value must be either 1 or -1"));
                }
            }
            Ok(())
        }
        Some(direction) if is_number(direction) => match whole(direction) {
            Some(1 | -1) => Ok(()),
            _ => Err(MqlError::new(
                2_942_506,
                "The $sort element value must be either 1 or -1",
            )),
        },
        _ => Err(MqlError::new(
            2_942_507,
            "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields",
        )),
    }
}

/// `$sortArray`.
pub(super) fn sort(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let order = |a: &Bson, b: &Bson| compare_bson_with(a, b, args.collation());
    let mut array = match args.owned(0)? {
        Some(Bson::Array(array)) => array,
        input if is_nullish(input.as_ref()) => return Ok(Some(Bson::Null)),
        other => {
            return Err(MqlError::new(
                2_942_504,
                format!(
                    "The input argument to $sortArray must be an array, but was of type: {}",
                    super::describe::kind(other.as_ref())
                ),
            ));
        }
    };
    match args.node(1) {
        Some(Node::Constant(Bson::Document(by))) => {
            let fields: Vec<(Vec<&str>, bool)> = by
                .iter()
                .map(|(path, direction)| (path.split('.').collect(), whole(direction) == Some(-1)))
                .collect();
            array.sort_by(|a, b| {
                let orders = fields.iter().map(|(path, descending)| {
                    let order = order(within(a, path), within(b, path));
                    if *descending { order.reverse() } else { order }
                });
                orders.fold(Ordering::Equal, Ordering::then)
            });
        }
        Some(Node::Constant(direction)) if whole(direction) == Some(-1) => {
            array.sort_by(|a, b| order(b, a));
        }
        _ => array.sort_by(order),
    }
    Ok(Some(Bson::Array(array)))
}

/// What is at a path through documents: an array on it is no way, and one at
/// its end is one value.
fn within<'v>(value: &'v Bson, path: &[&str]) -> &'v Bson {
    let found = path.iter().try_fold(value, |value, name| match value {
        Bson::Document(document) => document.get(name),
        _ => None,
    });
    found.unwrap_or(&Bson::Null)
}
