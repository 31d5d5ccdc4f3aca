//! Update documents to operators.

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument, RawDocumentBuf};

use super::{Action, BitOperation, Operator, PullBy, Push, PushSort, Step};
use crate::Sort;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::matcher::{Matcher, is_operators, malformed, type_name};
use crate::path::array_index;

pub(super) fn operators(
    document: &RawDocument,
    filters: &[(String, Matcher)],
) -> Result<Vec<Operator>> {
    let mut operators = Vec::new();
    let mut taken = Vec::new();
    for entry in document {
        let (name, fields) = entry.map_err(malformed)?;
        let name = name.as_str();
        if !KNOWN.contains(&name) {
            return Err(MqlError::failed_to_parse(format!(
                "Unknown modifier: {name}. Expected a valid update modifier or pipeline-style update \
                 specified as an array"
            )));
        }
        let RawBsonRef::Document(fields) = fields else {
            return Err(MqlError::failed_to_parse(format!(
                "Modifiers operate on fields but we found type {:?} instead. For example: {{$mod: {{<field>: ...}}}} not {{{name}: ...}}",
                fields.element_type()
            )));
        };
        for entry in fields {
            let (text, operand) = entry.map_err(malformed)?;
            operators.push(operator(
                name,
                text.as_str(),
                operand,
                (filters, &mut taken),
            )?);
        }
    }
    for (identifier, _) in filters {
        let is_used = |step: &Step| matches!(step, Step::Filtered(name) if name == identifier);
        if !operators
            .iter()
            .any(|operator| operator.path.iter().any(is_used))
        {
            return Err(MqlError::failed_to_parse(format!(
                "The array filter for identifier '{identifier}' was not used in the update"
            )));
        }
    }
    operators.sort_by(|a, b| order(a.goal(), b.goal()));
    Ok(operators)
}

const KNOWN: &[&str] = &[
    "$set",
    "$setOnInsert",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$rename",
    "$currentDate",
    "$push",
    "$pull",
    "$pullAll",
    "$addToSet",
    "$pop",
    "$bit",
];

/// Paths by part; numeric parts as numbers, before names.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (Some(x), Some(y)) => {
                let by_number = match (array_index(x), array_index(y)) {
                    (Some(x), Some(y)) => x.cmp(&y),
                    _ => x.cmp(y),
                };
                if by_number.is_ne() {
                    return by_number;
                }
            }
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

/// Takes a path for an operator.
///
/// # Errors
/// 40 when another one is in its way.
fn take(path: &str, taken: &mut Vec<String>) -> Result<()> {
    if let Some(at) = taken.iter().find_map(|other| meeting(path, other)) {
        return Err(MqlError::new(
            40,
            format!("Updating the path '{path}' would create a conflict at '{at}'"),
        ));
    }
    taken.push(path.to_owned());
    Ok(())
}

/// Whether `path` is `start` or below it.
fn begins(path: &str, start: &str) -> bool {
    path.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where two paths are in each other's way: one is below the other, or one
/// takes every element where the other names a field.
fn meeting<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    if begins(a, b) {
        return Some(b);
    }
    if begins(b, a) {
        return Some(a);
    }
    let mut length = 0;
    for (x, y) in a.split('.').zip(b.split('.')) {
        if x != y {
            let differ = x.starts_with("$[") != y.starts_with("$[");
            return (differ && length > 0).then(|| &a[..length - 1]);
        }
        length += x.len() + 1;
    }
    None
}

/// One operator, and the paths that it takes.
fn operator(
    name: &str,
    text: &str,
    operand: RawBsonRef<'_>,
    (filters, taken): (&[(String, Matcher)], &mut Vec<String>),
) -> Result<Operator> {
    let path = steps(text)?;
    // The source of a $rename is a path of its own.
    if name == "$rename" {
        take(text, taken)?;
    }
    let value = || Bson::try_from(operand).map_err(malformed);
    let action = match name {
        "$set" => Action::Set(value()?),
        "$setOnInsert" => Action::SetOnInsert(value()?),
        "$unset" => Action::Unset,
        "$inc" => Action::Inc(numeric(name, text, value()?)?),
        "$mul" => Action::Mul(numeric(name, text, value()?)?),
        "$min" => Action::Min(value()?),
        "$max" => Action::Max(value()?),
        "$rename" => rename(text, operand)?,
        "$currentDate" => current_date(operand)?,
        "$push" => Action::Push(push(operand)?),
        "$pull" => Action::Pull(pull(operand)?),
        "$pullAll" => match value()? {
            Bson::Array(values) => Action::PullAll(values),
            _ => return Err(MqlError::bad_value("$pullAll requires an array argument")),
        },
        "$addToSet" => Action::AddToSet(add_to_set(operand)?),
        "$pop" => match value()? {
            Bson::Int32(1) | Bson::Int64(1) | Bson::Double(1.0) => Action::Pop { first: false },
            Bson::Int32(-1) | Bson::Int64(-1) | Bson::Double(-1.0) => Action::Pop { first: true },
            _ => return Err(MqlError::failed_to_parse("$pop expects 1 or -1")),
        },
        _ => bit(operand)?,
    };
    match &action {
        Action::Rename(to) => take(to, taken)?,
        _ => take(text, taken)?,
    }
    for step in &path {
        if let Step::Filtered(name) = step
            && !filters.iter().any(|(identifier, _)| identifier == name)
        {
            return Err(MqlError::bad_value(format!(
                "No array filter found for identifier '{name}' in path '{text}'"
            )));
        }
    }
    Ok(Operator {
        path,
        text: text.to_owned(),
        action,
    })
}

fn steps(text: &str) -> Result<Vec<Step>> {
    if text.is_empty() {
        return Err(MqlError::new(56, "An empty update path is not valid."));
    }
    crate::depth::check_path(text)?;
    let mut steps = Vec::new();
    for part in text.split('.') {
        steps.push(match part {
            "" => {
                return Err(MqlError::new(
                    56,
                    format!("The update path '{text}' contains an empty field name, which is not allowed."),
                ));
            }
            "$" => Step::Positional,
            "$[]" => Step::All,
            part => match part.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']')) {
                Some(identifier) => Step::Filtered(identifier.to_owned()),
                None => Step::Name(part.to_owned()),
            },
        });
    }
    let positional = |step: &Step| *step == Step::Positional;
    match steps.first() {
        Some(Step::Positional) => {
            return Err(MqlError::bad_value(format!(
                "Cannot have positional (i.e. '$') element in the first position in path '{text}'"
            )));
        }
        Some(Step::All | Step::Filtered(_)) => {
            return Err(MqlError::bad_value(format!(
                "Cannot have array filter identifier (i.e. '$[<id>]') element in the first position in path '{text}'"
            )));
        }
        _ => {}
    }
    if steps.iter().filter(|step| positional(step)).count() > 1 {
        return Err(MqlError::bad_value(format!(
            "Too many positional (i.e. '$') elements found in path '{text}'"
        )));
    }
    Ok(steps)
}

fn numeric(operator: &str, path: &str, value: Bson) -> Result<Bson> {
    match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => Ok(value),
        other => {
            let verb = if operator == "$inc" {
                "increment"
            } else {
                "multiply"
            };
            Err(MqlError::type_mismatch(format!(
                "Cannot {verb} with non-numeric argument: {{{path}: {other}}}"
            )))
        }
    }
}

fn rename(from: &str, to: RawBsonRef<'_>) -> Result<Action> {
    let RawBsonRef::String(to) = to else {
        return Err(MqlError::bad_value(format!(
            "The 'to' field for $rename must be a string: {from}"
        )));
    };
    if to.contains('\0') {
        return Err(MqlError::bad_value(
            "The 'to' field for $rename cannot contain an embedded null byte",
        ));
    }
    for path in [from, to] {
        if steps(path)?
            .iter()
            .any(|step| !matches!(step, Step::Name(_)))
        {
            return Err(MqlError::bad_value(format!(
                "The source and destination field for $rename may not be dynamic: {path}"
            )));
        }
    }
    if from == to {
        return Err(MqlError::bad_value(format!(
            "The source and target field for $rename must differ: {from}"
        )));
    }
    if begins(from, to) || begins(to, from) {
        return Err(MqlError::bad_value(format!(
            "The source and target field for $rename must not be on the same path: {from}: \"{to}\""
        )));
    }
    Ok(Action::Rename(to.to_owned()))
}

fn current_date(operand: RawBsonRef<'_>) -> Result<Action> {
    let timestamp = match operand {
        RawBsonRef::Boolean(_) => false,
        RawBsonRef::Document(document) => match document.get("$type").map_err(malformed)? {
            Some(RawBsonRef::String("date" | "timestamp")) if document.iter().count() > 1 => {
                let other = document.iter().flatten().find(|(name, _)| *name != "$type");
                let other = other.map_or("", |(name, _)| name.as_str());
                return Err(MqlError::bad_value(format!(
                    "Unrecognized $currentDate option: {other}"
                )));
            }
            Some(RawBsonRef::String("date")) => false,
            Some(RawBsonRef::String("timestamp")) => true,
            _ => {
                return Err(MqlError::bad_value(
                    "The '$type' string field is required to be 'date' or 'timestamp'",
                ));
            }
        },
        other => {
            return Err(MqlError::bad_value(format!(
                "{:?} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression",
                other.element_type()
            )));
        }
    };
    Ok(Action::CurrentDate { timestamp })
}

fn push(operand: RawBsonRef<'_>) -> Result<Push> {
    let mut push = Push {
        each: Vec::new(),
        position: None,
        slice: None,
        sort: None,
    };
    let RawBsonRef::Document(document) = operand else {
        push.each.push(Bson::try_from(operand).map_err(malformed)?);
        return Ok(push);
    };
    if document.get("$each").map_err(malformed)?.is_none() {
        push.each.push(Bson::try_from(operand).map_err(malformed)?);
        return Ok(push);
    }
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        match (name.as_str(), value) {
            ("$each", RawBsonRef::Array(_)) => {
                if let Bson::Array(each) = Bson::try_from(value).map_err(malformed)? {
                    push.each = each;
                }
            }
            ("$each", _) => {
                return Err(MqlError::bad_value(
                    "The argument to $each in $push must be an array",
                ));
            }
            ("$position", value) => push.position = Some(whole("$position", value)?),
            ("$slice", value) => push.slice = Some(whole("$slice", value)?),
            ("$sort", RawBsonRef::Document(by)) => push.sort = Some(PushSort::By(sort(by)?)),
            ("$sort", value) => {
                let direction = whole("$sort", value)?;
                if direction.abs() != 1 {
                    return Err(MqlError::bad_value(
                        "The $sort element value must be either 1 or -1",
                    ));
                }
                push.sort = Some(PushSort::Whole {
                    descending: direction < 0,
                });
            }
            (other, _) => {
                return Err(MqlError::bad_value(format!(
                    "Unrecognized clause in $push: {other}"
                )));
            }
        }
    }
    Ok(push)
}

/// A sort with the errors of `$push`.
fn sort(by: &RawDocument) -> Result<Sort> {
    if by.is_empty() {
        return Err(MqlError::bad_value(
            "The sort pattern is empty when it should be a set of fields.",
        ));
    }
    let direction = || MqlError::bad_value("The sort element value must be either 1 or -1");
    for (_, value) in by.iter().flatten() {
        let number = Bson::try_from(value).map_err(malformed)?;
        if !crate::number::double(&number).is_some_and(|number| number.abs() == 1.0) {
            return Err(direction());
        }
    }
    Sort::parse_plain(by).map_err(|error| match error.code {
        40352 | 40353 | 15998 => MqlError::bad_value(
            "The sort field cannot be empty, and a dotted one cannot have an empty part",
        ),
        _ => error,
    })
}

fn whole(name: &str, value: RawBsonRef<'_>) -> Result<i64> {
    let wrong = || MqlError::bad_value(format!("The value for {name} must be an integer value"));
    match value {
        RawBsonRef::Int32(n) => Ok(n.into()),
        RawBsonRef::Int64(n) => Ok(n),
        RawBsonRef::Double(n) if n.trunc() == n => Ok(n as i64),
        RawBsonRef::Decimal128(n) => Decimal::from(n).exact_i64().ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn pull(operand: RawBsonRef<'_>) -> Result<PullBy> {
    if let RawBsonRef::Document(document) = operand
        && document
            .iter()
            .flatten()
            .next()
            .is_some_and(|(name, _)| name == "$not")
    {
        return Err(MqlError::bad_value(
            "unknown top level operator: $not. If you are trying to negate an entire expression, use $nor.",
        ));
    }
    Ok(match operand {
        RawBsonRef::Document(document) if is_operators(document) && !logical(document) => {
            PullBy::Element(wrapped(operand)?)
        }
        RawBsonRef::Document(document) => PullBy::Query(Matcher::parse_plain(document)?),
        RawBsonRef::RegularExpression(_) => PullBy::Element(wrapped(operand)?),
        value => PullBy::Value(Bson::try_from(value).map_err(malformed)?),
    })
}

/// Whether it begins with an operator that stands outside of fields.
fn logical(document: &RawDocument) -> bool {
    document
        .iter()
        .flatten()
        .next()
        .is_some_and(|(name, _)| matches!(name.as_str(), "$and" | "$or" | "$nor" | "$expr"))
}

fn wrapped(operand: RawBsonRef<'_>) -> Result<Matcher> {
    let mut query = RawDocumentBuf::new();
    query.append(bson::cstr!("e"), operand);
    Matcher::parse(&query)
}

fn add_to_set(operand: RawBsonRef<'_>) -> Result<Vec<Bson>> {
    let first = match operand {
        RawBsonRef::Document(document) => document.iter().next().transpose().map_err(malformed)?,
        _ => None,
    };
    if let RawBsonRef::Document(document) = operand
        && let Some((name, each)) = first
        && name == "$each"
    {
        if document.iter().count() > 1 {
            return Err(MqlError::bad_value(
                "Found unexpected fields after $each in $addToSet",
            ));
        }
        let RawBsonRef::Array(_) = each else {
            return Err(MqlError::type_mismatch(
                "The argument to $each in $addToSet must be an array",
            ));
        };
        return match Bson::try_from(each).map_err(malformed)? {
            Bson::Array(values) => Ok(values),
            _ => Ok(Vec::new()),
        };
    }
    Ok(vec![Bson::try_from(operand).map_err(malformed)?])
}

fn bit(operand: RawBsonRef<'_>) -> Result<Action> {
    let RawBsonRef::Document(document) = operand else {
        return Err(MqlError::bad_value(format!(
            "The $bit modifier is not compatible with a {}. You must pass in an embedded document: \
             {{$bit: {{field: {{and/or/xor: #}}}}",
            type_name(operand)
        )));
    };
    let mut operations = Vec::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        let operation = match name.as_str() {
            "and" => BitOperation::And,
            "or" => BitOperation::Or,
            "xor" => BitOperation::Xor,
            other => {
                return Err(MqlError::bad_value(format!(
                    "The $bit modifier only supports 'and', 'or', and 'xor', not '{other}' which is an \
                     unknown operator"
                )));
            }
        };
        match value {
            RawBsonRef::Int32(_) | RawBsonRef::Int64(_) => {
                operations.push((operation, Bson::try_from(value).map_err(malformed)?));
            }
            other => {
                return Err(MqlError::bad_value(format!(
                    "The $bit modifier field must be an Integer(32/64 bit); a '{}' is not supported here",
                    type_name(other)
                )));
            }
        }
    }
    if operations.is_empty() {
        return Err(MqlError::bad_value(
            "You must pass in at least one bitwise operation. The format is: {$bit: {field: \
             {and/or/xor: #}}",
        ));
    }
    Ok(Action::Bit(operations))
}

/// The filters by the names that they are for.
pub(super) fn array_filters(filters: Option<&RawArray>) -> Result<Vec<(String, Matcher)>> {
    let mut found: Vec<(String, Matcher)> = Vec::new();
    for entry in filters.into_iter().flatten() {
        let filter = match entry.map_err(malformed)? {
            RawBsonRef::Document(filter) => filter,
            // MongoDB looks past these.
            RawBsonRef::Null | RawBsonRef::Undefined => continue,
            _ => return Err(MqlError::type_mismatch("array filters must be objects")),
        };
        let matcher = Matcher::parse_plain(filter).map_err(|error| in_filter(&error))?;
        let identifier = identifier(filter)?;
        if found.iter().any(|(other, _)| *other == identifier) {
            return Err(MqlError::failed_to_parse(format!(
                "Found multiple array filters with the same top-level field name {identifier}"
            )));
        }
        found.push((identifier, matcher));
    }
    Ok(found)
}

fn in_filter(error: &MqlError) -> MqlError {
    MqlError::new(
        error.code,
        format!(
            "Error parsing array filter :: caused by :: {}",
            error.message
        ),
    )
}

/// The name that all of a filter's paths begin with.
fn identifier(filter: &RawDocument) -> Result<String> {
    let mut names = Vec::new();
    collect(filter, &mut names)?;
    names.sort_unstable();
    names.dedup();
    let one = match names.as_slice() {
        [one] => one,
        [] => {
            return Err(MqlError::failed_to_parse(
                "Cannot use an expression without a top-level field name in arrayFilters",
            ));
        }
        [one, other, ..] => {
            return Err(in_filter(&MqlError::failed_to_parse(format!(
                "Expected a single top-level field name, found '{one}' and '{other}'"
            ))));
        }
    };
    let plain = one.starts_with(|c: char| c.is_ascii_lowercase())
        && one.chars().all(|c| c.is_ascii_alphanumeric());
    if !plain {
        return Err(in_filter(&MqlError::bad_value(format!(
            "The top-level field name must be an alphanumeric string beginning with a lowercase \
             letter, found '{one}'"
        ))));
    }
    Ok(one.clone())
}

fn collect(filter: &RawDocument, names: &mut Vec<String>) -> Result<()> {
    for entry in filter {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        if name.starts_with('$') {
            if let RawBsonRef::Array(branches) = value {
                for branch in branches {
                    if let RawBsonRef::Document(branch) = branch.map_err(malformed)? {
                        collect(branch, names)?;
                    }
                }
            }
        } else {
            let first = name.split('.').next().unwrap_or(name);
            names.push(first.to_owned());
        }
    }
    Ok(())
}
