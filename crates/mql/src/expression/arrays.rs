//! Arrays.

use bson::{Bson, Document};

use super::coerce::short;
use super::describe::{kind, shown};
use super::{Args, Node, is_nullish, truthy};
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::number::{double, is_number, whole_i32};
use crate::order::compare_bson_with;

pub(super) fn is_array(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(Some(Bson::Boolean(matches!(
        values[0],
        Some(Bson::Array(_))
    ))))
}

pub(super) fn size(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    match &values[0] {
        Some(Bson::Array(array)) => Ok(Some(Bson::Int32(array.len() as i32))),
        other => Err(MqlError::new(
            17124,
            format!(
                "The argument to $size must be an array, but was of type: {}",
                kind(other.as_ref())
            ),
        )),
    }
}

/// `$first`, `$last`.
pub(super) fn first_last(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    match &values[0] {
        value if is_nullish(value.as_ref()) => Ok(Some(Bson::Null)),
        Some(Bson::Array(array)) => Ok(if name == "$first" {
            array.first().cloned()
        } else {
            array.last().cloned()
        }),
        other => Err(MqlError::new(
            28689,
            format!(
                "{name}'s argument must be an array, but is {}",
                kind(other.as_ref())
            ),
        )),
    }
}

pub(super) fn element_at(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (Some(array), Some(at)) = (&values[0], &values[1]) else {
        return Ok(Some(Bson::Null));
    };
    if is_nullish(Some(array)) || is_nullish(Some(at)) {
        return Ok(Some(Bson::Null));
    }
    let Bson::Array(array) = array else {
        return Err(MqlError::new(
            28689,
            format!(
                "$arrayElemAt's first argument must be an array, but is {}",
                kind(Some(array))
            ),
        ));
    };
    if !is_number(at) {
        return Err(MqlError::new(
            28690,
            format!(
                "$arrayElemAt's second argument must be a numeric value, but is {}",
                kind(Some(at))
            ),
        ));
    }
    let Some(index) = whole_i32(at) else {
        return Err(MqlError::new(
            28691,
            format!(
                "$arrayElemAt's second argument must be representable as a 32-bit integer: {}",
                short(double(at).unwrap_or(f64::NAN))
            ),
        ));
    };
    let index = i64::from(index);
    let at = if index < 0 {
        array.len() as i64 + index
    } else {
        index
    };
    Ok(usize::try_from(at)
        .ok()
        .and_then(|at| array.get(at))
        .cloned())
}

pub(super) fn contains(
    _: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    match &values[1] {
        Some(Bson::Array(array)) => {
            let found = values[0].as_ref().is_some_and(|wanted| {
                array
                    .iter()
                    .any(|element| compare_bson_with(element, wanted, collation).is_eq())
            });
            Ok(Some(Bson::Boolean(found)))
        }
        other => Err(MqlError::new(
            40081,
            format!(
                "$in requires an array as a second argument, found: {}",
                kind(other.as_ref())
            ),
        )),
    }
}

pub(super) fn concat(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut all = Vec::new();
    for at in 0..args.len() {
        match args.owned(at)? {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::Array(array)) => all.extend(array),
            other => {
                return Err(MqlError::new(
                    28664,
                    format!(
                        "$concatArrays only supports arrays, not {}",
                        kind(other.as_ref())
                    ),
                ));
            }
        }
    }
    Ok(Some(Bson::Array(all)))
}

pub(super) fn reverse(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    match &values[0] {
        value if is_nullish(value.as_ref()) => Ok(Some(Bson::Null)),
        Some(Bson::Array(array)) => Ok(Some(Bson::Array(array.iter().rev().cloned().collect()))),
        other => Err(MqlError::new(
            34435,
            format!(
                "The argument to $reverseArray must be an array, but was of type: {}",
                kind(other.as_ref())
            ),
        )),
    }
}

/// Where `$indexOfArray` and its kin start or end looking.
pub(super) fn bound(name: &str, value: Option<&Bson>, which: &str) -> Result<usize> {
    let Some(at) = value.and_then(whole_i32) else {
        return Err(MqlError::new(
            40096,
            format!(
                "{name}requires an integral {which} index, found a value of type: {}, with value: {}",
                kind(value),
                shown(value)
            ),
        ));
    };
    usize::try_from(at).map_err(|_| {
        MqlError::new(
            40097,
            format!("{name} requires a nonnegative {which} index, found: {at}"),
        )
    })
}

pub(super) fn index_of(
    name: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    let array = match &values[0] {
        value if is_nullish(value.as_ref()) => return Ok(Some(Bson::Null)),
        Some(Bson::Array(array)) => array,
        other => {
            return Err(MqlError::new(
                40090,
                format!(
                    "$indexOfArray requires an array as a first argument, found: {}",
                    kind(other.as_ref())
                ),
            ));
        }
    };
    let start = match values.get(2) {
        Some(start) => bound(name, start.as_ref(), "starting")?,
        None => 0,
    };
    let end = match values.get(3) {
        Some(end) => bound(name, end.as_ref(), "ending")?.min(array.len()),
        None => array.len(),
    };
    // What is missing is equal to undefined.
    let wanted = values[1].as_ref().unwrap_or(&Bson::Undefined);
    let found = (start..end).find(|&at| compare_bson_with(&array[at], wanted, collation).is_eq());
    Ok(Some(Bson::Int32(found.map_or(-1, |at| at as i32))))
}

/// Bytes that an array may take before it is returned.
const RANGE_BYTES_MAX: u64 = 100 * 1024 * 1024;

pub(super) fn range(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    const PLACES: [(i32, i32, &str, &str); 3] = [
        (
            34443,
            34444,
            "a numeric starting value, found value of type: ",
            "a starting value",
        ),
        (
            34445,
            34446,
            "a numeric ending value, found value of type: ",
            "an ending value",
        ),
        (
            34447,
            34448,
            "a numeric step value, found value of type:",
            "a step value",
        ),
    ];
    let mut numbers = [0, 0, 1i64];
    for ((value, place), number) in values.iter().zip(PLACES).zip(&mut numbers) {
        let (not_number, too_large, numeric, what) = place;
        if !value.as_ref().is_some_and(is_number) {
            return Err(MqlError::new(
                not_number,
                format!("$range requires {numeric}{}", kind(value.as_ref())),
            ));
        }
        *number = value.as_ref().and_then(whole_i32).map(i64::from).ok_or_else(|| {
            MqlError::new(
                too_large,
                format!(
                    "$range requires {what} that can be represented as a 32-bit integer, found value: {}",
                    shown(value.as_ref())
                ),
            )
        })?;
    }
    let [start, end, step] = numbers;
    if step == 0 {
        return Err(MqlError::new(
            34449,
            "$range requires a non-zero step value",
        ));
    }
    let length = if (step > 0) == (end > start) {
        (end - start).unsigned_abs().div_ceil(step.unsigned_abs())
    } else {
        0
    };
    let bytes = length * 16 + 40;
    if bytes > RANGE_BYTES_MAX {
        return Err(MqlError::new(
            146,
            format!(
                "$range would use too much memory ({bytes} bytes) and cannot spill to disk. Memory limit: {RANGE_BYTES_MAX} bytes"
            ),
        ));
    }
    let array = (0..length as i64).map(|n| Bson::Int32((start + n * step) as i32));
    Ok(Some(Bson::Array(array.collect())))
}

pub(super) fn slice(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    if values
        .iter()
        .take(2)
        .any(|value| is_nullish(value.as_ref()))
    {
        return Ok(Some(Bson::Null));
    }
    let Some(Bson::Array(array)) = &values[0] else {
        return Err(MqlError::new(
            28724,
            format!(
                "First argument to $slice must be an array, but is of type: {}",
                kind(values[0].as_ref())
            ),
        ));
    };
    let second = slice_number(
        values[1].as_ref(),
        [28725, 28726],
        "Second",
        [
            "must be a numeric value, but is of type: ",
            "can't be represented as a 32-bit integer: ",
        ],
    )?;
    let length = array.len() as i64;
    let (start, count) = match values.get(2) {
        None if second < 0 => ((length + second).max(0), -second),
        None => (0, second),
        Some(third) if is_nullish(third.as_ref()) => return Ok(Some(Bson::Null)),
        Some(third) => {
            let count = slice_number(
                third.as_ref(),
                [28727, 28728],
                "Third",
                [
                    "must be numeric, but is of type: ",
                    "can't be represented as a 32-bit integer: ",
                ],
            )?;
            if count <= 0 {
                return Err(MqlError::new(
                    28729,
                    format!("Third argument to $slice must be positive: {count}"),
                ));
            }
            let start = if second < 0 {
                (length + second).max(0)
            } else {
                second
            };
            (start, count)
        }
    };
    let kept = array.iter().skip(start as usize).take(count as usize);
    Ok(Some(Bson::Array(kept.cloned().collect())))
}

fn slice_number(
    value: Option<&Bson>,
    codes: [i32; 2],
    which: &str,
    texts: [&str; 2],
) -> Result<i64> {
    let Some(number) = value.filter(|value| is_number(value)) else {
        return Err(MqlError::new(
            codes[0],
            format!("{which} argument to $slice {}{}", texts[0], kind(value)),
        ));
    };
    whole_i32(number).map(i64::from).ok_or_else(|| {
        MqlError::new(
            codes[1],
            format!(
                "{which} argument to $slice {}{}",
                texts[1],
                short(double(number).unwrap_or(f64::NAN))
            ),
        )
    })
}

/// What `$zip` is written with, looked at before any document.
pub(super) fn check_zip(_: &str, specification: &Document) -> Result<()> {
    let array = |name: &str, code: i32| match specification.get(name) {
        Some(Bson::Array(array)) => Ok(array.len()),
        None => Ok(0),
        other => Err(MqlError::new(
            code,
            format!(
                "{name} must be an array of expressions, found {}",
                kind(other)
            ),
        )),
    };
    let inputs = array("inputs", 34461)?;
    let defaults = array("defaults", 34462)?;
    let longest = match specification.get("useLongestLength") {
        None => false,
        Some(Bson::Boolean(longest)) => *longest,
        other => {
            return Err(MqlError::new(
                34463,
                format!("useLongestLength must be a bool, found {}", kind(other)),
            ));
        }
    };
    let (code, text) = if inputs == 0 {
        (34465, "$zip requires at least one input array")
    } else if defaults > 0 && !longest {
        (
            34466,
            "cannot specify defaults unless useLongestLength is true",
        )
    } else if defaults > 0 && defaults != inputs {
        (34467, "defaults and inputs must have the same length")
    } else {
        return Ok(());
    };
    Err(MqlError::new(code, text))
}

/// An array that is to be zipped.
fn zippable(input: Option<&Bson>) -> Result<&Vec<Bson>> {
    match input {
        Some(Bson::Array(array)) => Ok(array),
        other => Err(MqlError::new(
            34468,
            format!(
                "$zip found a non-array expression in input: {}",
                shown(other)
            ),
        )),
    }
}

pub(super) fn zip(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let inputs: Vec<Option<Bson>> = match args.node(0) {
        Some(Node::Array(nodes)) => {
            let mut inputs = Vec::with_capacity(nodes.len());
            for node in nodes {
                let input = node.owned(args.scope)?;
                // What comes after null is not looked at.
                if is_nullish(input.as_ref()) {
                    return Ok(Some(Bson::Null));
                }
                zippable(input.as_ref())?;
                inputs.push(input);
            }
            inputs
        }
        _ => match args.owned(0)? {
            Some(Bson::Array(inputs)) => inputs.into_iter().map(Some).collect(),
            _ => return Ok(Some(Bson::Null)),
        },
    };
    let mut arrays = Vec::with_capacity(inputs.len());
    for input in &inputs {
        if is_nullish(input.as_ref()) {
            return Ok(Some(Bson::Null));
        }
        arrays.push(zippable(input.as_ref())?);
    }
    let longest = matches!(args.node(1), Some(Node::Constant(value)) if truthy(Some(value)));
    let lengths = arrays.iter().map(|array| array.len());
    let length = if longest {
        lengths.max()
    } else {
        lengths.min()
    }
    .unwrap_or(0);
    let defaults = match args.node(2) {
        Some(Node::Array(nodes)) => nodes
            .iter()
            .map(|node| node.owned(args.scope))
            .collect::<Result<Vec<_>>>()?,
        Some(Node::Constant(Bson::Array(defaults))) => defaults.iter().cloned().map(Some).collect(),
        _ => vec![Some(Bson::Null); arrays.len()],
    };
    let rows = (0..length).map(|row| {
        let columns = arrays.iter().zip(&defaults);
        // A default that is missing leaves its column out.
        let cells = columns.filter_map(|(array, default)| array.get(row).or(default.as_ref()));
        Bson::Array(cells.cloned().collect())
    });
    Ok(Some(Bson::Array(rows.collect())))
}
