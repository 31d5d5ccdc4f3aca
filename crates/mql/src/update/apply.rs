//! Operators on an owned document, and what they did.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, Timestamp};

use super::paths::{array_index, get, not_viable, set, unset};
use super::{
    Action, BitOperation, Operator, PullBy, Push, PushSort, Step, UpdateContext, UpdateDescription,
    dollar_prefixed, immutable_id, same_value,
};
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::matcher::{Matcher, malformed};
use crate::number::{self, Arithmetic};
use crate::order::{compare_bson_with, raw};

pub(super) fn operators(
    operators: &[Operator],
    filters: &[(String, Matcher)],
    before: &RawDocument,
    document: &mut Document,
    cx: UpdateContext<'_>,
    description: &mut UpdateDescription,
) -> Result<()> {
    let dynamic = |operator: &Operator| {
        let mut steps = operator.path.iter();
        steps.any(|step| !matches!(step, Step::Name(_)))
    };
    // Elements are chosen as they were before.
    let original = operators.iter().any(dynamic).then(|| document.clone());
    let mut taken = original.is_some().then(BTreeMap::new);
    let mut reached = Reached::new();
    for operator in operators {
        let chosen = (before, original.as_ref().unwrap_or(document));
        let paths = concrete(
            operator,
            filters,
            chosen,
            cx,
            (taken.as_mut(), &mut reached),
        )?;
        if matches!(operator.action, Action::SetOnInsert(_)) && !cx.inserting {
            continue;
        }
        for path in &paths {
            one(&operator.action, path, document, cx, description)?;
        }
    }
    // Those inside first.
    let mut arrays: Vec<_> = reached.into_iter().collect();
    arrays.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    for (path, elements) in arrays {
        if elements.len() > 1 {
            gather(document, &path, description);
        }
    }
    Ok(())
}

/// The arrays that `$[]` and `$[id]` went into, with the elements they chose.
type Reached = BTreeMap<Vec<String>, BTreeSet<usize>>;

/// What operators do at a place of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// One of them ends there.
    End,
    /// They go on to a field.
    Field,
    /// They go on to elements.
    Elements,
}

/// Refuses operators that do different things at one place.
fn apart(
    taken: &mut BTreeMap<Vec<String>, Taken>,
    paths: &[Vec<String>],
    next: Option<&Step>,
) -> Result<()> {
    let how = match next {
        None => Taken::End,
        Some(Step::All | Step::Filtered(_)) => Taken::Elements,
        Some(_) => Taken::Field,
    };
    for path in paths {
        match taken.insert(path.clone(), how) {
            None => {}
            Some(other) if other == how && how != Taken::End => {}
            Some(_) => {
                return Err(MqlError::new(
                    40,
                    format!("Update created a conflict at '{}'", path.join(".")),
                ));
            }
        }
    }
    Ok(())
}

/// Where several elements of an array were chosen, the change is told as the
/// array when several changed, or as the one whole element that did.
fn gather(document: &Document, array: &[String], description: &mut UpdateDescription) {
    let prefix = format!("{}.", array.join("."));
    let element = |path: &str| {
        let rest = path.strip_prefix(&prefix)?;
        rest.split('.').next().map(str::to_owned)
    };
    let updated = description.updated_fields.keys().map(String::as_str);
    let removed = description.removed_fields.iter().map(String::as_str);
    let mut elements = updated.chain(removed).filter_map(element);
    let Some(first) = elements.next() else {
        return;
    };
    let one = elements.all(|other| other == first);
    description
        .removed_fields
        .retain(|path| element(path).is_none());
    let fields = std::mem::take(&mut description.updated_fields);
    description.updated_fields = fields
        .into_iter()
        .filter(|(path, _)| element(path).is_none())
        .collect();
    let mut changed = array.to_vec();
    changed.extend(one.then_some(first));
    describe(document, &changed, description);
}

/// The paths that `$`, `$[]` and `$[id]` stand for in this document.
fn concrete(
    operator: &Operator,
    filters: &[(String, Matcher)],
    (before, document): (&RawDocument, &Document),
    cx: UpdateContext<'_>,
    (mut taken, reached): (Option<&mut BTreeMap<Vec<String>, Taken>>, &mut Reached),
) -> Result<Vec<Vec<String>>> {
    let mut paths: Vec<Vec<String>> = vec![Vec::new()];
    for (at, step) in operator.path.iter().enumerate() {
        match step {
            Step::Name(name) => paths.iter_mut().for_each(|path| path.push(name.clone())),
            Step::Positional => {
                let index = cx.query.and_then(|query| query.position(before));
                let Some(index) = index else {
                    return Err(MqlError::bad_value(
                        "The positional operator did not find the match needed from the query.",
                    ));
                };
                for path in &mut paths {
                    path.push(index.to_string());
                }
            }
            Step::All | Step::Filtered(_) => {
                let mut expanded = Vec::new();
                for path in paths {
                    let array = match get(document, &path) {
                        Some(Bson::Array(array)) => array,
                        Some(other) => {
                            return Err(MqlError::bad_value(format!(
                                "Cannot apply array updates to non-array element {}: {other}",
                                path.last().map_or("", String::as_str)
                            )));
                        }
                        None => {
                            return Err(MqlError::bad_value(format!(
                                "The path '{}' must exist in the document in order to apply array updates.",
                                path.join(".")
                            )));
                        }
                    };
                    let chosen = reached.entry(path.clone()).or_default();
                    for (index, element) in array.iter().enumerate() {
                        if selected(step, filters, element)? {
                            chosen.insert(index);
                            let mut path = path.clone();
                            path.push(index.to_string());
                            expanded.push(path);
                        }
                    }
                }
                paths = expanded;
            }
        }
        if let Some(taken) = &mut taken {
            apart(taken, &paths, operator.path.get(at + 1))?;
        }
    }
    Ok(paths)
}

fn selected(step: &Step, filters: &[(String, Matcher)], element: &Bson) -> Result<bool> {
    let Step::Filtered(identifier) = step else {
        return Ok(true);
    };
    let Some((_, filter)) = filters.iter().find(|(name, _)| name == identifier) else {
        return Ok(false);
    };
    filter.matches(&wrapped(identifier, element)?)
}

fn wrapped(name: &str, element: &Bson) -> Result<RawDocumentBuf> {
    let mut document = Document::new();
    document.insert(name, element.clone());
    RawDocumentBuf::try_from(&document).map_err(malformed)
}

fn one(
    action: &Action,
    path: &[String],
    document: &mut Document,
    cx: UpdateContext<'_>,
    description: &mut UpdateDescription,
) -> Result<()> {
    if !matches!(action, Action::Unset) {
        viable(document, path)?;
    }
    let old = get(document, path);
    let new = match action {
        Action::Unset => return remove(document, path, description),
        Action::Rename(to) => return rename(document, path, (to, cx.inserting), description),
        Action::Push(push) => return self::push(push, path, document, cx, description),
        Action::Set(value) | Action::SetOnInsert(value) => Some(value.clone()),
        Action::Inc(by) => Some(arithmetic(Arithmetic::Add, old, by, path)?),
        Action::Mul(by) => Some(arithmetic(Arithmetic::Multiply, old, by, path)?),
        Action::Min(value) => {
            let less = old.is_none_or(|old| compare_bson_with(value, old, cx.collation).is_lt());
            less.then(|| value.clone())
        }
        Action::Max(value) => {
            let more = old.is_none_or(|old| compare_bson_with(value, old, cx.collation).is_gt());
            more.then(|| value.clone())
        }
        Action::CurrentDate { timestamp } => Some(if *timestamp {
            Bson::Timestamp(Timestamp {
                time: (cx.now.timestamp_millis() / 1000) as u32,
                increment: 1,
            })
        } else {
            Bson::DateTime(cx.now)
        }),
        Action::Pull(by) => filtered(old, "$pull", |element| pulled(by, element, cx.collation))?,
        Action::PullAll(values) => filtered(old, "$pullAll", |element| {
            Ok(values
                .iter()
                .any(|value| compare_bson_with(value, element, cx.collation).is_eq()))
        })?,
        Action::AddToSet(values) => add_to_set(old, values, path, cx.collation)?,
        Action::Pop { first } => pop(old, *first, path)?,
        Action::Bit(operations) => {
            let mut value = old.cloned();
            for (operation, operand) in operations {
                value = Some(bit(*operation, value.as_ref(), operand, path)?);
            }
            value
        }
    };
    let Some(new) = new else {
        return Ok(());
    };
    // No number that was computed is what is no number.
    let computed = matches!(action, Action::Inc(_) | Action::Mul(_));
    let changes = computed && number::double(&new).is_some_and(f64::is_nan);
    if !changes && old.is_some_and(|old| identical(old, &new)) {
        return Ok(());
    }
    store(document, path, new, cx.inserting, description)
}

/// Refuses a path that goes on below a value that has nothing below it, even
/// where the operator would change nothing.
fn viable(document: &Document, path: &[String]) -> Result<()> {
    for depth in 1..path.len() {
        let next = &path[depth];
        match get(document, &path[..depth]) {
            None | Some(Bson::Document(_)) => {}
            Some(Bson::Array(_)) if array_index(next).is_some() => {}
            Some(other) => return Err(not_viable(next, &path[depth - 1], other)),
        }
    }
    Ok(())
}

fn store(
    document: &mut Document,
    path: &[String],
    new: Bson,
    inserting: bool,
    description: &mut UpdateDescription,
) -> Result<()> {
    if path[0] == "_id" && document.contains_key("_id") {
        return Err(immutable_id());
    }
    if path[0].starts_with('$') && !inserting {
        return Err(dollar_prefixed(&path[0]));
    }
    let made = set(document, path, new)?;
    describe(document, &path[..made], description);
    Ok(())
}

/// Notes a new value, within one that is new itself where there is one.
fn describe(document: &Document, path: &[String], description: &mut UpdateDescription) {
    let noted = (1..path.len())
        .map(|depth| &path[..depth])
        .find(|prefix| description.updated_fields.contains_key(prefix.join(".")));
    let path = noted.unwrap_or(path);
    if let Some(value) = get(document, path) {
        description
            .updated_fields
            .insert(path.join("."), value.clone());
    }
}

fn remove(
    document: &mut Document,
    path: &[String],
    description: &mut UpdateDescription,
) -> Result<()> {
    if path[0] == "_id" && get(document, path).is_some() {
        return Err(immutable_id());
    }
    if unset(document, path) {
        // An array element is nulled, not removed.
        match get(document, path) {
            Some(null) => {
                description
                    .updated_fields
                    .insert(path.join("."), null.clone());
            }
            None => description.removed_fields.push(path.join(".")),
        }
    }
    Ok(())
}

fn rename(
    document: &mut Document,
    from: &[String],
    (to, inserting): (&str, bool),
    description: &mut UpdateDescription,
) -> Result<()> {
    let Some(value) = get(document, from).cloned() else {
        return Ok(());
    };
    for depth in 1..from.len() {
        if matches!(get(document, &from[..depth]), Some(Bson::Array(_))) {
            return Err(MqlError::bad_value(format!(
                "The source field cannot be an array element, '{}' in doc has an array field",
                from.join(".")
            )));
        }
    }
    let target = to;
    let to: Vec<String> = to.split('.').map(str::to_owned).collect();
    for depth in 1..to.len() {
        if matches!(get(document, &to[..depth]), Some(Bson::Array(_))) {
            return Err(MqlError::bad_value(format!(
                "The destination field cannot be an array element, '{target}' in doc has an array field"
            )));
        }
    }
    if from[0] == "_id" || to[0] == "_id" {
        return Err(immutable_id());
    }
    unset(document, from);
    description.removed_fields.push(from.join("."));
    store(document, &to, value, inserting, description)
}

fn arithmetic(
    operation: Arithmetic,
    old: Option<&Bson>,
    by: &Bson,
    path: &[String],
) -> Result<Bson> {
    let Some(old) = old else {
        return Ok(match operation {
            Arithmetic::Multiply => zero_like(by),
            _ => by.clone(),
        });
    };
    if !number::is_number(old) {
        let verb = if operation == Arithmetic::Multiply {
            "multiply"
        } else {
            "increment"
        };
        return Err(MqlError::type_mismatch(format!(
            "Cannot apply ${} to a value of non-numeric type. The field '{}' cannot be used to {verb}: it is of type {:?}",
            if verb == "multiply" { "mul" } else { "inc" },
            path.join("."),
            old.element_type()
        )));
    }
    let result = number::compute(operation, old, by).ok_or_else(|| {
        MqlError::bad_value(format!(
            "Failed to apply ${} operations to current value ({old}) for document: the result does not fit in 64 bits",
            if operation == Arithmetic::Multiply { "mul" } else { "inc" },
        ))
    })?;
    // What is equal and of the same type is no change, also where its digits
    // or its sign of zero are others.
    if result.element_type() == old.element_type() && same_value(&result, old) {
        return Ok(old.clone());
    }
    Ok(result)
}

fn zero_like(value: &Bson) -> Bson {
    match value {
        Bson::Int64(_) => Bson::Int64(0),
        Bson::Double(by) => Bson::Double(0.0 * by),
        Bson::Decimal128(by) => Bson::Decimal128(crate::decimal::zero_like(*by)),
        _ => Bson::Int32(0),
    }
}

fn filtered(
    old: Option<&Bson>,
    name: &str,
    mut drop: impl FnMut(&Bson) -> Result<bool>,
) -> Result<Option<Bson>> {
    match old {
        None => Ok(None),
        Some(Bson::Array(array)) => {
            let mut kept = Vec::with_capacity(array.len());
            for element in array {
                if !drop(element)? {
                    kept.push(element.clone());
                }
            }
            Ok((kept.len() != array.len()).then_some(Bson::Array(kept)))
        }
        Some(_) => Err(MqlError::bad_value(format!(
            "Cannot apply {name} to a non-array value"
        ))),
    }
}

fn pulled(by: &PullBy, element: &Bson, collation: Option<&Collation>) -> Result<bool> {
    Ok(match by {
        PullBy::Value(value) => compare_bson_with(value, element, collation).is_eq(),
        PullBy::Element(query) => query.matches(&wrapped("e", element)?)?,
        PullBy::Query(query) => match element {
            Bson::Document(inner) => {
                query.matches(&RawDocumentBuf::try_from(inner).map_err(malformed)?)?
            }
            _ => false,
        },
    })
}

fn add_to_set(
    old: Option<&Bson>,
    values: &[Bson],
    path: &[String],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    let mut array = match old {
        None => Vec::new(),
        Some(Bson::Array(array)) => array.clone(),
        Some(other) => {
            return Err(MqlError::bad_value(format!(
                "Cannot apply $addToSet to non-array field. Field named '{}' has non-array type {:?}",
                path.last().map_or("", String::as_str),
                other.element_type()
            )));
        }
    };
    let before = array.len();
    for value in values {
        let same = |element: &Bson| compare_bson_with(element, value, collation).is_eq();
        if !array.iter().any(same) {
            array.push(value.clone());
        }
    }
    Ok((array.len() != before || old.is_none()).then_some(Bson::Array(array)))
}

fn pop(old: Option<&Bson>, first: bool, path: &[String]) -> Result<Option<Bson>> {
    match old {
        None => Ok(None),
        Some(Bson::Array(array)) if array.is_empty() => Ok(None),
        Some(Bson::Array(array)) => {
            let mut array = array.clone();
            if first {
                array.remove(0);
            } else {
                array.pop();
            }
            Ok(Some(Bson::Array(array)))
        }
        Some(other) => Err(MqlError::type_mismatch(format!(
            "Path '{}' contains an element of non-array type '{:?}'",
            path.join("."),
            other.element_type()
        ))),
    }
}

fn bit(
    operation: BitOperation,
    old: Option<&Bson>,
    operand: &Bson,
    path: &[String],
) -> Result<Bson> {
    let by = number::integer(operand).unwrap_or(0);
    let value = match old {
        None => 0,
        Some(old) => number::integer(old).ok_or_else(|| {
            MqlError::bad_value(format!(
                "Cannot apply $bit to a value of non-integral type. '{}' has the field type {:?}",
                path.join("."),
                old.element_type()
            ))
        })?,
    };
    let result = match operation {
        BitOperation::And => value & by,
        BitOperation::Or => value | by,
        BitOperation::Xor => value ^ by,
    };
    let small = !matches!(old, Some(Bson::Int64(_))) && matches!(operand, Bson::Int32(_));
    Ok(match i32::try_from(result) {
        Ok(n) if small => Bson::Int32(n),
        _ => Bson::Int64(result),
    })
}

fn push(
    push: &Push,
    path: &[String],
    document: &mut Document,
    cx: UpdateContext<'_>,
    description: &mut UpdateDescription,
) -> Result<()> {
    let (mut array, existed) = match get(document, path) {
        None => (Vec::new(), false),
        Some(Bson::Array(array)) => (array.clone(), true),
        Some(other) => {
            return Err(MqlError::bad_value(format!(
                "The field '{}' must be an array but is of type {:?}",
                path.join("."),
                other.element_type()
            )));
        }
    };
    let length = array.len();
    let at = match push.position {
        None => length,
        Some(position) if position < 0 => length.saturating_sub(position.unsigned_abs() as usize),
        Some(position) => length.min(position as usize),
    };
    array.splice(at..at, push.each.iter().cloned());
    match &push.sort {
        None => {}
        Some(PushSort::Whole { descending }) => array.sort_by(|a, b| {
            let order = compare_bson_with(a, b, cx.collation);
            if *descending { order.reverse() } else { order }
        }),
        Some(PushSort::By(sort)) => {
            let mut keyed = Vec::with_capacity(array.len());
            for element in array {
                let mut key = Vec::new();
                // What is no document sorts as one without the fields.
                let document = match raw(&element) {
                    bson::RawBson::Document(document) => document,
                    _ => RawDocumentBuf::new(),
                };
                sort.key(&document, &mut key)?;
                keyed.push((key, element));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            array = keyed.into_iter().map(|(_, element)| element).collect();
        }
    }
    let pushed = array.len();
    if let Some(slice) = push.slice {
        let keep = (slice.unsigned_abs() as usize).min(array.len());
        if slice < 0 {
            array.drain(..array.len() - keep);
        } else {
            array.truncate(keep);
        }
    }
    let appended = existed
        && push.sort.is_none()
        && push.slice.is_none()
        && at == length
        && length > 0
        && !push.each.is_empty();
    if appended {
        set(document, path, Bson::Array(array))?;
        for index in length..length + push.each.len() {
            let mut element = path.to_vec();
            element.push(index.to_string());
            describe(document, &element, description);
        }
        return Ok(());
    }
    // Pushing nothing is nothing, unless something is sorted or cut off; pushing
    // something counts, also when the slice puts the array back.
    let as_it_was = push.sort.is_none() && array.len() == pushed;
    let new = Bson::Array(array);
    if existed && push.each.is_empty() && (length == 0 || as_it_was) {
        return Ok(());
    }
    store(document, path, new, cx.inserting, description)
}

/// Equal in type and bytes: what `modifiedCount` counts by.
fn identical(a: &Bson, b: &Bson) -> bool {
    match (a, b) {
        (Bson::Double(x), Bson::Double(y)) => x.to_bits() == y.to_bits(),
        (Bson::Document(_) | Bson::Array(_), _) => {
            let bytes = |value: &Bson| wrapped("v", value).map(RawDocumentBuf::into_bytes).ok();
            bytes(a) == bytes(b)
        }
        _ => a.element_type() == b.element_type() && a == b,
    }
}

/// What a whole-document change looks like: changed top-level fields, and
/// paths into documents that are on both sides.
pub(super) fn difference(before: &Document, after: &Document) -> UpdateDescription {
    let mut description = UpdateDescription::default();
    walk("", before, after, &mut description);
    description
}

fn walk(prefix: &str, before: &Document, after: &Document, description: &mut UpdateDescription) {
    for (name, old) in before {
        let path = format!("{prefix}{name}");
        match (old, after.get(name)) {
            (_, None) => description.removed_fields.push(path),
            (Bson::Document(old), Some(Bson::Document(new))) => {
                walk(&format!("{path}."), old, new, description);
            }
            (old, Some(new)) if identical(old, new) => {}
            (_, Some(new)) => {
                description.updated_fields.insert(path, new.clone());
            }
        }
    }
    for (name, new) in after {
        if !before.contains_key(name) {
            description
                .updated_fields
                .insert(format!("{prefix}{name}"), new.clone());
        }
    }
}
