//! Operators on an owned document, and what they did.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, Timestamp};

use super::parse::order;
use super::paths::{array_index, get, not_viable, set, unset};
use super::{
    Action, BitOperation, Operator, PullBy, Push, PushSort, Stamps, Step, UpdateContext,
    UpdateDescription, dollar_prefixed, immutable_id, same_value,
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
    let routes: Vec<Route<'_>> = operators.iter().map(Route::of).collect();
    let mut walk = Walk {
        filters,
        before,
        document,
        cx,
        description,
        reached: Reached::new(),
        position: None,
    };
    walk.descend(&routes.iter().collect::<Vec<_>>(), &mut Vec::new())?;
    // Those inside first.
    let mut arrays: Vec<_> = walk.reached.into_iter().collect();
    arrays.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    for (path, elements) in arrays {
        if elements > 1 {
            gather(document, &path, description);
        }
    }
    Ok(())
}

/// The arrays that `$[]` and `$[id]` went into, with how many elements they
/// chose.
type Reached = BTreeMap<Vec<String>, usize>;

/// An operator with the way to the place that it writes to.
struct Route<'a> {
    operator: &'a Operator,
    steps: Cow<'a, [Step]>,
}

impl<'a> Route<'a> {
    fn of(operator: &'a Operator) -> Self {
        let steps = match &operator.action {
            Action::Rename(to) => to
                .split('.')
                .map(|name| Step::Name(name.to_owned()))
                .collect(),
            _ => Cow::Borrowed(&operator.path[..]),
        };
        Self { operator, steps }
    }
}

/// Operators on their way through a document: place by place, in order, each
/// place with all that they do there, as MongoDB has them in a tree.
struct Walk<'a> {
    filters: &'a [(String, Matcher)],
    before: &'a RawDocument,
    document: &'a mut Document,
    cx: UpdateContext<'a>,
    description: &'a mut UpdateDescription,
    reached: Reached,
    /// What was found out of the element that `$` stands for.
    position: Option<Option<usize>>,
}

impl Walk<'_> {
    fn descend(&mut self, routes: &[&Route<'_>], path: &mut Vec<String>) -> Result<()> {
        let Some(first) = routes.first() else {
            return Ok(());
        };
        match first.steps.get(path.len()) {
            None => self.end(first.operator, path),
            Some(Step::All | Step::Filtered(_)) => self.elements(routes, path),
            Some(_) => self.fields(routes, path),
        }
    }

    fn end(&mut self, operator: &Operator, path: &[String]) -> Result<()> {
        let (action, cx) = (&operator.action, self.cx);
        match action {
            Action::SetOnInsert(_) if !cx.inserting => Ok(()),
            Action::Rename(_) => {
                let from: Vec<String> = operator.text.split('.').map(str::to_owned).collect();
                one(action, &from, self.document, cx, self.description)
            }
            _ => one(action, path, self.document, cx, self.description),
        }
    }

    /// On to fields, in order of their names.
    fn fields(&mut self, routes: &[&Route<'_>], path: &mut Vec<String>) -> Result<()> {
        let mut fields = Vec::new();
        for route in routes {
            let name = match route.steps.get(path.len()) {
                Some(Step::Name(name)) => name.clone(),
                _ => self.position()?.to_string(),
            };
            fields.push((name, *route));
        }
        fields.sort_by(|(a, _), (b, _)| order(a, b));
        for fields in fields.chunk_by(|(a, _), (b, _)| a == b) {
            let routes: Vec<&Route<'_>> = fields.iter().map(|(_, route)| *route).collect();
            path.extend(fields.first().map(|(name, _)| name.clone()));
            self.merged(&routes, path)?;
            path.pop();
        }
        Ok(())
    }

    /// On to a place that operators came to by one step, or by several ones.
    fn merged(&mut self, routes: &[&Route<'_>], path: &mut Vec<String>) -> Result<()> {
        let mut steps = routes.iter().map(|route| route.steps.get(path.len() - 1));
        let first = steps.next();
        // What came by one step was looked at when it was parsed.
        if steps.any(|step| Some(step) != first) && clash(routes, path.len()) {
            return Err(MqlError::new(
                40,
                format!("Update created a conflict at '{}'", path.join(".")),
            ));
        }
        self.descend(routes, path)
    }

    /// The element that `$` stands for.
    fn position(&mut self) -> Result<usize> {
        let position = self.position.get_or_insert_with(|| {
            let query = self.cx.query?;
            query.position(self.before)
        });
        position.ok_or_else(|| {
            MqlError::bad_value(
                "The positional operator did not find the match needed from the query.",
            )
        })
    }

    /// On to the elements of an array, which are chosen before any is changed.
    fn elements(&mut self, routes: &[&Route<'_>], path: &mut Vec<String>) -> Result<()> {
        let array = match get(self.document, path) {
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
        let mut chosen = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let mut routes_in = Vec::new();
            for route in routes {
                let step = route.steps.get(path.len());
                if step.map_or(Ok(false), |step| selected(step, self.filters, element))? {
                    routes_in.push(*route);
                }
            }
            if !routes_in.is_empty() {
                chosen.push((index, routes_in));
            }
        }
        self.reached.insert(path.clone(), chosen.len());
        for (index, routes) in chosen {
            path.push(index.to_string());
            self.merged(&routes, path)?;
            path.pop();
        }
        Ok(())
    }
}

/// Whether operators do different things at one place, or below it.
fn clash(routes: &[&Route<'_>], depth: usize) -> bool {
    let kind = |route: &&Route<'_>| {
        let step = route.steps.get(depth);
        step.map(|step| matches!(step, Step::All | Step::Filtered(_)))
    };
    let (Some(first), true) = (routes.first(), routes.len() > 1) else {
        return false;
    };
    let first = kind(first);
    if first.is_none() || routes.iter().any(|route| kind(route) != first) {
        return true;
    }
    let mut by_step: BTreeMap<&Step, Vec<&Route<'_>>> = BTreeMap::new();
    for route in routes {
        if let Some(step) = route.steps.get(depth) {
            by_step.entry(step).or_default().push(route);
        }
    }
    by_step.values().any(|routes| clash(routes, depth + 1))
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
            Bson::Timestamp(cx.stamps.map_or_else(
                || Timestamp {
                    time: (cx.now.timestamp_millis() / 1000) as u32,
                    increment: 1,
                },
                Stamps::next,
            ))
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
        Some(position) => length.min(usize::try_from(position).unwrap_or(usize::MAX)),
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
    let as_it_was = push.sort.is_none() && array.len() == pushed;
    // A position that is the end is told as one within.
    let at_end = push
        .position
        .is_none_or(|position| position > length as i64);
    let appended = existed && as_it_was && at_end && length > 0 && !push.each.is_empty();
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
