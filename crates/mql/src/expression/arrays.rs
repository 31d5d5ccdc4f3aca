//! Arrays, sets and documents.

use std::collections::HashSet;

use bson::{Bson, Document};

use super::{Node, Scope, identity, is_nullish, truthy};
use crate::compare_bson;
use crate::error::{MqlError, Result};
use crate::number::{integer, whole};
use crate::order::raw;

/// Most elements that `$range` makes.
const RANGE_ELEMENTS_MAX: i64 = 1_000_000;

pub(super) fn call(name: &str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let first = values.first().and_then(Option::as_ref);
    Ok(match name {
        "$isArray" => Some(Bson::Boolean(matches!(first, Some(Bson::Array(_))))),
        "$size" => match first {
            Some(Bson::Array(array)) => Some(Bson::Int32(array.len() as i32)),
            other => {
                return Err(MqlError::new(
                    17124,
                    format!(
                        "The argument to $size must be an array, but was of type: {}",
                        kind(other)
                    ),
                ));
            }
        },
        "$first" | "$last" | "$arrayElemAt" => element_at(name, values)?,
        "$in" => match values[1].as_ref() {
            Some(Bson::Array(array)) => {
                let wanted = first.cloned().unwrap_or(Bson::Null);
                Some(Bson::Boolean(
                    array.iter().any(|e| compare_bson(e, &wanted).is_eq()),
                ))
            }
            other => {
                return Err(MqlError::new(
                    40081,
                    format!(
                        "$in requires an array as a second argument, found: {}",
                        kind(other)
                    ),
                ));
            }
        },
        "$concatArrays" => return concat(values),
        "$indexOfArray" => return index_of(values),
        "$range" => return range(values),
        "$reverseArray" => match array_or_null(name, first)? {
            Some(array) => Some(Bson::Array(array.iter().rev().cloned().collect())),
            None => Some(Bson::Null),
        },
        "$slice" => return slice(values),
        "$arrayToObject" => match array_or_null(name, first)? {
            Some(array) => Some(Bson::Document(to_object(array)?)),
            None => Some(Bson::Null),
        },
        "$objectToArray" => match first {
            None | Some(Bson::Null) => Some(Bson::Null),
            Some(Bson::Document(document)) => Some(Bson::Array(
                document
                    .iter()
                    .map(|(k, v)| {
                        let mut pair = Document::new();
                        pair.insert("k", k.clone());
                        pair.insert("v", v.clone());
                        Bson::Document(pair)
                    })
                    .collect(),
            )),
            other => {
                return Err(MqlError::new(
                    40390,
                    format!(
                        "$objectToArray requires a document input, found: {}",
                        kind(other)
                    ),
                ));
            }
        },
        "$mergeObjects" => return merge(values),
        "$anyElementTrue" | "$allElementsTrue" => {
            let Some(Bson::Array(array)) = first else {
                return Err(MqlError::new(
                    17041,
                    format!("{name}'s argument must be an array, but is {}", kind(first)),
                ));
            };
            let mut elements = array.iter().map(|element| truthy(Some(element)));
            Some(Bson::Boolean(if name == "$anyElementTrue" {
                elements.any(|t| t)
            } else {
                elements.all(|t| t)
            }))
        }
        "$bsonSize" => match first {
            None | Some(Bson::Null) => Some(Bson::Null),
            Some(document @ Bson::Document(_)) => match raw(document) {
                bson::RawBson::Document(raw) => Some(Bson::Int32(raw.as_bytes().len() as i32)),
                _ => Some(Bson::Null),
            },
            other => {
                return Err(MqlError::new(
                    31393,
                    format!(
                        "$bsonSize requires a document input, found: {}",
                        kind(other)
                    ),
                ));
            }
        },
        _ => return sets(name, values),
    })
}

fn kind(value: Option<&Bson>) -> &'static str {
    value.map_or("missing", super::convert::type_name)
}

fn array_or_null<'a>(name: &str, value: Option<&'a Bson>) -> Result<Option<&'a Vec<Bson>>> {
    match value {
        None | Some(Bson::Null | Bson::Undefined) => Ok(None),
        Some(Bson::Array(array)) => Ok(Some(array)),
        other => Err(MqlError::new(
            match name {
                "$indexOfArray" => 40090,
                "$reverseArray" => 34435,
                _ => 28689,
            },
            format!(
                "{name}'s argument must be an array, but is: {}",
                kind(other)
            ),
        )),
    }
}

fn element_at(name: &str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let Some(array) = array_or_null(name, values[0].as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    let index = match name {
        "$first" => 0,
        "$last" => -1,
        _ => match values[1].as_ref() {
            None | Some(Bson::Null) => return Ok(Some(Bson::Null)),
            Some(index) => whole(index).ok_or_else(|| {
                MqlError::new(
                    28690,
                    format!(
                        "$arrayElemAt's second argument must be a numeric value, but is {}",
                        kind(Some(index))
                    ),
                )
            })?,
        },
    };
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

fn concat(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut all = Vec::new();
    for value in values {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::Array(array)) => all.extend(array.iter().cloned()),
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

fn index_of(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let Some(array) = array_or_null("$indexOfArray", values[0].as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    let wanted = values[1].clone().unwrap_or(Bson::Null);
    let bound = |index: usize| values.get(index).and_then(Option::as_ref).and_then(whole);
    let start = bound(2).unwrap_or(0).max(0) as usize;
    let end = bound(3).map_or(array.len(), |end| (end.max(0) as usize).min(array.len()));
    let found = (start..end).find(|&index| compare_bson(&array[index], &wanted).is_eq());
    Ok(Some(Bson::Int32(found.map_or(-1, |index| index as i32))))
}

fn range(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut numbers = Vec::new();
    for value in values {
        numbers.push(value.as_ref().and_then(whole).ok_or_else(|| {
            MqlError::new(
                34443,
                "$range requires numeric arguments that are 32-bit integers",
            )
        })?);
    }
    let step = numbers.get(2).copied().unwrap_or(1);
    if step == 0 {
        return Err(MqlError::new(
            34449,
            "$range requires a non-zero step value",
        ));
    }
    let (mut at, end) = (numbers[0], numbers[1]);
    if (end - at) / step > RANGE_ELEMENTS_MAX {
        return Err(MqlError::new(146, "$range would make too many elements"));
    }
    let mut array = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        array.push(Bson::Int32(at as i32));
        at += step;
    }
    Ok(Some(Bson::Array(array)))
}

fn slice(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let array = match values[0].as_ref() {
        Some(Bson::Array(array)) => array,
        value if is_nullish(value) => return Ok(Some(Bson::Null)),
        value => {
            return Err(MqlError::new(
                28724,
                format!(
                    "First argument to $slice must be an array, but is of type: {}",
                    kind(value)
                ),
            ));
        }
    };
    let mut numbers = Vec::new();
    for value in &values[1..] {
        match value {
            None | Some(Bson::Null) => return Ok(Some(Bson::Null)),
            Some(value) => numbers.push(
                whole(value)
                    .ok_or_else(|| MqlError::new(28725, "$slice's arguments must be numeric"))?,
            ),
        }
    }
    let length = array.len() as i64;
    let (start, count) = match numbers.as_slice() {
        [n] if *n < 0 => ((length + n).max(0), -n),
        [n] => (0, *n),
        [position, n] => {
            if *n <= 0 {
                return Err(MqlError::new(
                    28729,
                    "Third argument to $slice must be positive",
                ));
            }
            let start = if *position < 0 {
                (length + position).max(0)
            } else {
                *position
            };
            (start, *n)
        }
        _ => (0, 0),
    };
    let kept = array
        .iter()
        .skip(start as usize)
        .take(count as usize)
        .cloned();
    Ok(Some(Bson::Array(kept.collect())))
}

fn to_object(array: &[Bson]) -> Result<Document> {
    let mut document = Document::new();
    for element in array {
        let (key, value) = match element {
            Bson::Array(pair) if pair.len() == 2 => (pair[0].clone(), pair[1].clone()),
            Bson::Document(pair) if pair.len() == 2 => match (pair.get("k"), pair.get("v")) {
                (Some(key), Some(value)) => (key.clone(), value.clone()),
                _ => return Err(bad_pair()),
            },
            _ => return Err(bad_pair()),
        };
        let Bson::String(key) = key else {
            return Err(bad_pair());
        };
        document.insert(key, value);
    }
    Ok(document)
}

fn bad_pair() -> MqlError {
    MqlError::new(
        40386,
        "$arrayToObject requires elements of the form [key, value] or {k: key, v: value}",
    )
}

fn merge(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut merged = Document::new();
    let spread = match values {
        [Some(Bson::Array(array))] => array.iter().cloned().map(Some).collect(),
        _ => values.to_vec(),
    };
    for value in &spread {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => {}
            Some(Bson::Document(document)) => {
                for (name, value) in document {
                    merged.insert(name.clone(), value.clone());
                }
            }
            other => {
                return Err(MqlError::new(
                    40400,
                    format!(
                        "$mergeObjects requires object inputs, but input is of type {}",
                        kind(other.as_ref())
                    ),
                ));
            }
        }
    }
    Ok(Some(Bson::Document(merged)))
}

fn sets(name: &str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut sets = Vec::new();
    for value in values {
        match value {
            Some(Bson::Array(array)) => sets.push(array),
            None | Some(Bson::Null) if !matches!(name, "$setEquals" | "$setIsSubset") => {
                return Ok(Some(Bson::Null));
            }
            other => {
                return Err(MqlError::new(
                    17043,
                    format!(
                        "All operands of {name} must be arrays. One argument is of type: {}",
                        kind(other.as_ref())
                    ),
                ));
            }
        }
    }
    let keys = |array: &[Bson]| array.iter().map(identity).collect::<HashSet<_>>();
    let distinct = |values: Vec<Bson>| {
        let mut seen = HashSet::new();
        let mut kept: Vec<Bson> = values
            .into_iter()
            .filter(|v| seen.insert(identity(v)))
            .collect();
        kept.sort_by(compare_bson);
        Bson::Array(kept)
    };
    Ok(Some(match name {
        "$setUnion" => distinct(sets.into_iter().flatten().cloned().collect()),
        "$setIntersection" => match sets.split_first() {
            None => Bson::Array(Vec::new()),
            Some((first, rest)) => {
                let others: Vec<_> = rest.iter().map(|array| keys(array)).collect();
                let kept = first
                    .iter()
                    .filter(|v| others.iter().all(|o| o.contains(&identity(v))));
                distinct(kept.cloned().collect())
            }
        },
        "$setDifference" => {
            let other = keys(sets[1]);
            let mut seen = HashSet::new();
            let kept = sets[0].iter().filter(|v| {
                let key = identity(v);
                !other.contains(&key) && seen.insert(key)
            });
            Bson::Array(kept.cloned().collect())
        }
        "$setEquals" => {
            let first = keys(sets[0]);
            Bson::Boolean(sets.iter().all(|array| keys(array) == first))
        }
        "$setIsSubset" => Bson::Boolean(keys(sets[0]).is_subset(&keys(sets[1]))),
        _ => return Err(super::unknown(name)),
    }))
}

/// `$map`, `$filter` and `$reduce`.
pub(super) fn iterate<'n>(
    name: &str,
    input: Option<Bson>,
    node: &dyn Fn(&str) -> Option<&'n Node>,
    scope: &Scope<'_>,
) -> Result<Option<Bson>> {
    let array = match input {
        None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
        Some(Bson::Array(array)) => array,
        Some(other) => {
            let code = if name == "$map" {
                16883
            } else if name == "$filter" {
                28651
            } else {
                40080
            };
            return Err(MqlError::new(
                code,
                format!(
                    "input to {name} must be an array not {}",
                    super::convert::type_name(&other)
                ),
            ));
        }
    };
    let variable = match node("as") {
        Some(Node::Constant(Bson::String(name))) => name.as_str(),
        _ => "this",
    };
    match name {
        "$map" => {
            let Some(body) = node("in") else {
                return Ok(None);
            };
            let mapped = array
                .into_iter()
                .map(|element| {
                    let inner = scope.with([(variable, Some(element))]);
                    Ok(body.owned(&inner)?.unwrap_or(Bson::Null))
                })
                .collect::<Result<_>>()?;
            Ok(Some(Bson::Array(mapped)))
        }
        "$filter" => {
            let Some(condition) = node("cond") else {
                return Ok(None);
            };
            let limit = match node("limit") {
                Some(node) => node.owned(scope)?.as_ref().and_then(whole),
                None => None,
            };
            let mut kept = Vec::new();
            for element in array {
                if limit.is_some_and(|limit| kept.len() as i64 >= limit) {
                    break;
                }
                let inner = scope.with([(variable, Some(element.clone()))]);
                if truthy(condition.owned(&inner)?.as_ref()) {
                    kept.push(element);
                }
            }
            Ok(Some(Bson::Array(kept)))
        }
        _ => {
            let (Some(initial), Some(body)) = (node("initialValue"), node("in")) else {
                return Ok(None);
            };
            let mut value = initial.owned(scope)?;
            for element in array {
                let inner = scope.with([("this", Some(element)), ("value", value)]);
                value = body.owned(&inner)?;
            }
            Ok(value)
        }
    }
}

/// `$sortArray` and `$zip`.
pub(super) fn named(
    name: &str,
    value: &dyn Fn(&str) -> Result<Option<Bson>>,
) -> Result<Option<Bson>> {
    if name == "$zip" {
        return zip(value);
    }
    let input = value("input")?;
    let Some(array) = array_or_null("$sortArray", input.as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    let mut sorted = array.clone();
    match value("sortBy")? {
        Some(Bson::Document(by)) => {
            let by = bson::RawDocumentBuf::try_from(&by).map_err(crate::matcher::malformed)?;
            let sort = crate::Sort::parse(&by)?;
            let mut keyed = Vec::with_capacity(sorted.len());
            for element in sorted {
                let mut key = Vec::new();
                if let bson::RawBson::Document(document) = raw(&element) {
                    sort.key(&document, &mut key)?;
                }
                keyed.push((key, element));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            sorted = keyed.into_iter().map(|(_, element)| element).collect();
        }
        Some(direction) => match integer(&direction) {
            Some(1) => sorted.sort_by(compare_bson),
            Some(-1) => sorted.sort_by(|a, b| compare_bson(b, a)),
            _ => {
                return Err(MqlError::new(
                    2_942_507,
                    "$sortArray's sortBy must be 1, -1 or an object",
                ));
            }
        },
        None => {}
    }
    Ok(Some(Bson::Array(sorted)))
}

fn zip(value: &dyn Fn(&str) -> Result<Option<Bson>>) -> Result<Option<Bson>> {
    let Some(Bson::Array(inputs)) = value("inputs")? else {
        return Err(MqlError::new(
            34461,
            "inputs must be an array of expressions",
        ));
    };
    let mut arrays = Vec::new();
    for input in &inputs {
        match input {
            Bson::Array(array) => arrays.push(array),
            other if is_nullish(Some(other)) => return Ok(Some(Bson::Null)),
            other => {
                return Err(MqlError::new(
                    34468,
                    format!(
                        "$zip found a non-array expression in input: {}",
                        kind(Some(other))
                    ),
                ));
            }
        }
    }
    let longest = truthy(value("useLongestLength")?.as_ref());
    let lengths = arrays.iter().map(|array| array.len());
    let length = if longest {
        lengths.max()
    } else {
        lengths.min()
    }
    .unwrap_or(0);
    let defaults = match value("defaults")? {
        Some(Bson::Array(defaults)) => defaults,
        _ => Vec::new(),
    };
    let rows = (0..length).map(|row| {
        let cells = arrays.iter().enumerate().map(|(column, array)| {
            let fallback = || defaults.get(column).cloned().unwrap_or(Bson::Null);
            array.get(row).cloned().unwrap_or_else(fallback)
        });
        Bson::Array(cells.collect())
    });
    Ok(Some(Bson::Array(rows.collect())))
}
