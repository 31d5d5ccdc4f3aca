//! `$densify`, which makes the documents that a sequence of values lacks.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::raw::RawBsonRef;
use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf};

use super::environment::Environment;
use super::fill::{names, wrong_type};
use super::parse::{field_path, kind, unknown_field};
use super::reshape::key;
use super::{Source, Stage};
use crate::Sort;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Unit, difference, moved, total};
use crate::matcher::malformed;
use crate::number::{double, is_number, whole};
use crate::order::{compare_bson, raw};

/// Most documents that one stage makes.
const MADE_MAX: usize = 500_000;

/// A parsed `$densify`.
#[derive(Debug, Clone)]
pub struct Densify {
    field: Vec<String>,
    partition: Vec<(Vec<String>, Expression)>,
    step: Bson,
    unit: Option<Unit>,
    bounds: Bounds,
    collation: Option<Collation>,
}

#[derive(Debug, Clone)]
enum Bounds {
    /// From the least to the greatest value of all, in each partition.
    Full,
    /// From the least to the greatest of each partition.
    Partition,
    /// From the first to below the second.
    Range(Box<(Bson, Bson)>),
}

/// Parses a `$densify` into a `$sort` and the stage.
pub(super) fn parse(operand: RawBsonRef<'_>, stages: &mut Vec<Stage>) -> Result<()> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::failed_to_parse(format!(
            "The $densify stage specification must be an object, found {}",
            kind(operand)
        )));
    };
    let (mut field, mut fields, mut range) = (None, Vec::new(), None);
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        match (name.as_str(), value) {
            ("field" | "range", RawBsonRef::Null | RawBsonRef::Undefined) => {}
            ("field", RawBsonRef::String(name)) => field = Some(name),
            ("field", other) => return Err(wrong_type("$densify.field", other, "string")),
            ("partitionByFields", value) => fields = names("$densify", value)?,
            ("range", RawBsonRef::Document(value)) => range = Some(Range::read(value)?),
            ("range", other) => return Err(wrong_type("$densify.range", other, "object")),
            (other, _) => return Err(unknown_field("$densify", other)),
        }
    }
    let Some(field) = field else {
        return Err(missing("field"));
    };
    let Some(range) = range else {
        return Err(missing("range"));
    };
    let (step, unit, bounds) = range.parse()?;
    let path = field_path(field)?;
    let mut partition = Vec::new();
    for name in &fields {
        let text = format!("${name}");
        partition.push((
            field_path(name)?,
            Expression::parse_open(RawBsonRef::String(&text))?,
        ));
    }
    if matches!(bounds, Bounds::Partition) && fields.is_empty() {
        return refused(
            5_733_408,
            "One cannot specify the bounds as 'partition' without specifying a non-empty array of partitionByFields. You may have meant to specify 'full' bounds.",
        );
    }
    let mut pattern = RawDocumentBuf::new();
    let by = fields
        .iter()
        .filter(|_| !matches!(bounds, Bounds::Full))
        .chain([&field]);
    for name in by {
        if pattern.get(name).map_err(malformed)?.is_none() {
            pattern.append(key(name)?, 1);
        }
    }
    stages.push(Stage::Sort(Sort::parse(&pattern)?));
    stages.push(Stage::Densify(Box::new(Densify {
        field: path,
        partition,
        step,
        unit,
        bounds,
        collation: None,
    })));
    Ok(())
}

fn missing(field: &str) -> MqlError {
    MqlError::new(
        40414,
        format!("BSON field '$densify.{field}' is missing but a required field"),
    )
}

/// `range` as it is written.
struct Range<'a> {
    step: Bson,
    bounds: RawBsonRef<'a>,
    unit: Option<&'a str>,
}

impl<'a> Range<'a> {
    fn read(range: &'a RawDocument) -> Result<Self> {
        let (mut step, mut bounds, mut unit) = (None, None, None);
        for entry in range {
            let (name, value) = entry.map_err(malformed)?;
            match (name.as_str(), value) {
                ("step" | "unit", RawBsonRef::Null | RawBsonRef::Undefined) => {}
                ("step", value) => {
                    let n = Bson::try_from(value).map_err(malformed)?;
                    if !is_number(&n) {
                        return Err(MqlError::type_mismatch(format!(
                            "BSON field '$densify.range.step' is the wrong type '{}', expected types '[int, decimal, double, long']",
                            kind(value)
                        )));
                    }
                    step = Some(n);
                }
                ("bounds", value) => bounds = Some(value),
                ("unit", RawBsonRef::String(name)) => unit = Some(name),
                ("unit", other) => {
                    return Err(wrong_type("$densify.range.unit", other, "string"));
                }
                (other, _) => return Err(unknown_field("$densify.range", other)),
            }
        }
        let Some(step) = step else {
            return Err(missing("range.step"));
        };
        let Some(bounds) = bounds else {
            return Err(missing("range.bounds"));
        };
        Ok(Self { step, bounds, unit })
    }

    fn parse(self) -> Result<(Bson, Option<Unit>, Bounds)> {
        let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
        if !double(&self.step).is_some_and(|step| step > 0.0) {
            return refused(
                5_733_401,
                "The step parameter in a range statement must be a strictly positive numeric value",
            );
        }
        let unit = match self.unit {
            None => None,
            Some(name) => Some(super::window::unit_of(name)?),
        };
        if unit.is_some() && whole(&self.step).is_none() {
            return refused(
                6_586_400,
                "The step parameter in a range statement must be a whole number when densifying a date range",
            );
        }
        let bounds = match self.bounds {
            RawBsonRef::String("full") => Bounds::Full,
            RawBsonRef::String("partition") => Bounds::Partition,
            RawBsonRef::String(_) => {
                return refused(
                    5_946_802,
                    "Bounds string must either be 'full' or 'partition'",
                );
            }
            RawBsonRef::Array(array) => {
                let mut values = Vec::new();
                for value in array {
                    let value = value.map_err(malformed)?;
                    values.push(Bson::try_from(value).map_err(malformed)?);
                }
                let [low, high] = values.as_slice() else {
                    return refused(
                        5_733_403,
                        "A bounding array in a range statement must have exactly two elements",
                    );
                };
                ends(&self.step, unit, low, high)?;
                Bounds::Range(Box::new((low.clone(), high.clone())))
            }
            _ => {
                return refused(
                    5_733_404,
                    "The bounds in a range statement must be the string 'full', 'partition', or an ascending array of two numbers or two dates",
                );
            }
        };
        Ok((self.step, unit, bounds))
    }
}

/// Checks explicit bounds.
fn ends(step: &Bson, unit: Option<Unit>, low: &Bson, high: &Bson) -> Result<()> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    if compare_bson(low, high).is_gt() {
        return refused(
            5_733_402,
            "A bounding array must be an ascending array of either two dates or two numbers",
        );
    }
    let both = "A bounding array must contain either both dates or both numeric types";
    if is_number(low) {
        if unit.is_some() {
            return refused(5_733_409, "Numeric bounds may not have unit parameter");
        }
        if !is_number(high) {
            return refused(5_733_406, both);
        }
        let of = |value: &Bson| value.element_type();
        if of(low) != of(high) || of(low) != of(step) {
            return refused(
                5_876_900,
                "Upper bound, lower bound, and step must all have the same type",
            );
        }
        return Ok(());
    }
    match (low, high) {
        (Bson::DateTime(_), Bson::DateTime(_)) if unit.is_none() => {
            refused(5_733_410, "A bounding array of dates must specify a unit")
        }
        (Bson::DateTime(_), Bson::DateTime(_)) => Ok(()),
        (Bson::DateTime(_), _) => refused(5_733_402, both),
        _ => refused(5_946_800, "Explicit bounds must be numeric or dates"),
    }
}

impl Densify {
    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
    }

    fn after(&self, value: &Bson) -> Result<Bson> {
        match (value, self.unit) {
            (Bson::DateTime(date), Some(unit)) => self.by_steps(*date, unit, 1),
            _ => Ok(total(value, &self.step)),
        }
    }

    /// One step back and one on: a number that is as large, in the type and with
    /// the digits of a sum, or a date that may be another day.
    fn back_and_on(&self, value: &Bson) -> Result<Bson> {
        let before = match (value, self.unit) {
            (Bson::DateTime(date), Some(unit)) => self.by_steps(*date, unit, -1),
            _ => difference(value, &self.step),
        };
        self.after(&before?)
    }

    /// Whether steps from a value lead to another.
    fn leads(&self, from: &Bson, to: &Bson) -> Result<bool> {
        const STEPS_MAX: usize = 10_000;
        let mut at = from.clone();
        for _ in 0..STEPS_MAX {
            match compare_bson(&at, to) {
                Ordering::Less => at = self.after(&at)?,
                order => return Ok(order.is_eq()),
            }
        }
        Ok(false)
    }

    fn by_steps(&self, date: DateTime, unit: Unit, steps: i64) -> Result<Bson> {
        let by = whole(&self.step).unwrap_or(1).saturating_mul(steps);
        let moment = moved(date.timestamp_millis(), unit, by)?;
        Ok(Bson::DateTime(DateTime::from_millis(moment)))
    }

    /// The value to be in the sequence, if the document has one.
    fn value(&self, document: &RawDocument) -> Result<Option<Bson>> {
        let mut found = RawBsonRef::Document(document);
        for name in &self.field {
            let RawBsonRef::Document(inner) = found else {
                return Ok(None);
            };
            match inner.get(name).map_err(malformed)? {
                Some(value) => found = value,
                None => return Ok(None),
            }
        }
        let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
        match found {
            RawBsonRef::Null | RawBsonRef::Undefined => return Ok(None),
            RawBsonRef::DateTime(_) if self.unit.is_none() => {
                return refused(
                    6_053_600,
                    "Encountered date densify value in collection when step does not have a date unit.",
                );
            }
            RawBsonRef::DateTime(_) => {}
            RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => {
                if self.unit.is_some() {
                    return refused(
                        6_053_600,
                        "Encountered numeric densify value in collection when step has a date unit.",
                    );
                }
            }
            _ => return refused(5_733_201, "Densify field type must be numeric or a date"),
        }
        Bson::try_from(found).map(Some).map_err(malformed)
    }

    /// A document with a value of the sequence.
    fn document(&self, partition: &[Option<Bson>], value: &Bson) -> Result<RawDocumentBuf> {
        let mut made = Document::new();
        for ((path, _), value) in self.partition.iter().zip(partition) {
            put(&mut made, path, value.clone());
        }
        if get(&made, &self.field).is_some() {
            return Err(MqlError::new(
                5_733_306,
                "DocGenerator cannot include field that is being densified",
            ));
        }
        put(&mut made, &self.field, Some(value.clone()));
        RawDocumentBuf::try_from(&made).map_err(malformed)
    }
}

fn get<'d>(document: &'d Document, path: &[String]) -> Option<&'d Bson> {
    let (first, rest) = path.split_first()?;
    let found = document.get(first)?;
    match found {
        found if rest.is_empty() => Some(found),
        Bson::Document(inner) => get(inner, rest),
        _ => None,
    }
}

/// Sets what is at a path; of what is missing only the documents around it.
fn put(document: &mut Document, path: &[String], value: Option<Bson>) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        if let Some(value) = value {
            document.insert(first.clone(), value);
        }
        return;
    }
    let mut inner = match document.remove(first) {
        Some(Bson::Document(inner)) => inner,
        _ => Document::new(),
    };
    put(&mut inner, rest, value);
    document.insert(first.clone(), inner);
}

/// A `$densify` under way.
pub(super) struct Densifying {
    densify: Arc<Densify>,
    table: Arc<Mutex<Table>>,
    bytes: usize,
    /// Whether the sequence is past its bounds: nothing is looked at any more.
    past: bool,
    /// Whether the next document is the last that is looked at.
    ends: bool,
}

/// How far each partition is.
#[derive(Default)]
struct Table {
    partitions: Vec<Progress>,
    index: HashMap<Vec<u8>, usize>,
    /// The least and the greatest value so far.
    ends: Option<(Bson, Bson)>,
    /// Whether the greatest one is in the sequence of its partition. Where a
    /// month's end moves the day, those of other partitions differ.
    in_sequence: bool,
    /// Whether the last value was below explicit bounds, with partitions. Then
    /// MongoDB does not look at what partition a document is in until there is
    /// a value within: of several partitions that are wholly below and follow
    /// one another, it knows only the first.
    below: bool,
    made: usize,
}

impl Table {
    /// Whether a document is only passed on, and its partition not looked at.
    fn passes(&mut self, bounds: &Bounds, value: &Bson) -> bool {
        let Bounds::Range(ends) = bounds else {
            return false;
        };
        let order = compare_bson(value, &ends.0);
        std::mem::replace(&mut self.below, order.is_lt()) && order.is_le()
    }
}

struct Progress {
    values: Vec<Option<Bson>>,
    /// The next value of the sequence.
    next: Bson,
    /// Whether it is made for a greater one even if explicit bounds have no room
    /// for it, which they have not when both are the same.
    sure: bool,
    /// The value of the only document so far that was looked at.
    below: Option<Bson>,
}

impl Densifying {
    pub(super) fn new(densify: Densify) -> Self {
        Self {
            densify: Arc::new(densify),
            table: Arc::default(),
            bytes: 0,
            past: false,
            ends: false,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        locked(&self.table)
    }

    /// Takes a document; gives it after those that come before it.
    pub(super) fn take(
        &mut self,
        env: &Environment<'_>,
        document: Cow<'_, RawDocument>,
    ) -> Result<Source> {
        let value = if self.past {
            None
        } else {
            self.densify.value(&document)?
        };
        let Some(value) = value else {
            return Ok(Box::new(std::iter::once(Ok(document.into_owned()))));
        };
        self.past = self.ends;
        let (mut values, mut id) = (Vec::new(), Vec::new());
        for (_, expression) in &self.densify.partition {
            let value = expression.evaluate(&Scope::of(&document))?;
            id.push(u8::from(value.is_some()));
            if let Some(value) = &value {
                crate::key::encode_with(
                    raw(value).as_raw_bson_ref(),
                    self.densify.collation.as_ref(),
                    &mut id,
                );
            }
            values.push(value);
        }
        let mut table = self.table();
        let least = match &mut table.ends {
            Some((least, greatest)) => {
                *greatest = value.clone();
                least.clone()
            }
            none => {
                *none = Some((value.clone(), value.clone()));
                value.clone()
            }
        };
        let was_below = table.below;
        if !self.densify.partition.is_empty() && table.passes(&self.densify.bounds, &value) {
            return Ok(Box::new(std::iter::once(Ok(document.into_owned()))));
        }
        let known = table.index.get(&id).copied();
        let mut weight = 0;
        let at = if let Some(at) = known {
            at
        } else {
            weight = 2 * id.len() + 64;
            let progress = Progress {
                values: values.clone(),
                next: match &self.densify.bounds {
                    Bounds::Full if table.partitions.is_empty() => least,
                    Bounds::Full => self.densify.back_and_on(&least)?,
                    Bounds::Partition => value.clone(),
                    Bounds::Range(ends) => self.densify.back_and_on(&ends.0)?,
                },
                sure: matches!(self.densify.bounds, Bounds::Range(_)),
                below: Some(value.clone()),
            };
            let at = table.partitions.len();
            table.partitions.push(progress);
            table.index.insert(id, at);
            at
        };
        let mut over = None;
        if let Some(progress) = table.partitions.get_mut(at) {
            let before = known.and_then(|_| progress.below.take());
            // Each document at the lower end begins the sequence, in its type.
            if let Bounds::Range(ends) = &self.densify.bounds
                && compare_bson(&value, &ends.0).is_eq()
            {
                progress.next = value.clone();
                progress.sure = false;
            }
            // The first value of the bounds was passed on: the sequence goes on
            // from the one below them.
            if let (Bounds::Range(ends), Some(before)) = (&self.densify.bounds, before)
                && !was_below
                && !self.densify.partition.is_empty()
                && compare_bson(&before, &ends.0).is_lt()
                && compare_bson(&value, &ends.0).is_gt()
            {
                progress.next = self.densify.after(&before)?;
                progress.sure = false;
            }
            if let Bounds::Range(ends) = &self.densify.bounds
                && self.densify.partition.is_empty()
                && compare_bson(&value, &ends.0).is_gt()
                && compare_bson(&value, &ends.1).is_ge()
            {
                // MongoDB looks at one more document where it has made some before
                // this one and has not come to it.
                over = Some(
                    compare_bson(&progress.next, &ends.1).is_ge()
                        || self.densify.leads(&progress.next, &value)?,
                );
            }
        }
        drop(table);
        if let Some(over) = over {
            self.ends = true;
            self.past |= over;
        }
        self.bytes += weight;
        env.check("$densify", self.bytes)?;
        // Nothing comes before a document below explicit bounds, even where a
        // month's end moved the first value there.
        if let Bounds::Range(ends) = &self.densify.bounds
            && self.densify.partition.is_empty()
            && compare_bson(&value, &ends.0).is_lt()
        {
            return Ok(Box::new(std::iter::once(Ok(document.into_owned()))));
        }
        Ok(Box::new(Sequence {
            densify: self.densify.clone(),
            table: self.table.clone(),
            at,
            values,
            until: Some((value, Ordering::Less)),
            document: Some(document.into_owned()),
        }))
    }

    /// What comes after the last document.
    ///
    /// # Errors
    /// Those of adding a step to a date.
    pub(super) fn finish(&mut self) -> Result<Source> {
        let mut table = self.table();
        let until = match (&self.densify.bounds, &table.ends) {
            (Bounds::Full, Some((_, greatest @ Bson::DateTime(_)))) => {
                let end = if table.in_sequence {
                    self.densify.after(greatest)?
                } else {
                    greatest.clone()
                };
                Some((end, Ordering::Less))
            }
            (Bounds::Full, Some((_, greatest))) => Some((greatest.clone(), Ordering::Equal)),
            (Bounds::Range(bounds), ends) => {
                if ends.is_none() {
                    table.partitions.push(Progress {
                        values: Vec::new(),
                        next: bounds.0.clone(),
                        sure: true,
                        below: None,
                    });
                }
                None
            }
            _ => return Ok(Box::new(std::iter::empty())),
        };
        let any = table.ends.is_some();
        for progress in &mut table.partitions {
            if self.densify.partition.is_empty() && any {
                progress.sure = false;
                continue;
            }
            // A step from a value below explicit bounds may lead into them.
            if let Bounds::Range(bounds) = &self.densify.bounds
                && progress.sure
                && let Some(value) = progress.below.take()
            {
                let next = self.densify.after(&value)?;
                if compare_bson(&next, &bounds.0).is_ge() {
                    progress.sure = false;
                    progress.next = next;
                } else {
                    progress.next = bounds.0.clone();
                }
            }
        }
        let rests: Vec<Sequence> = table
            .partitions
            .iter()
            .enumerate()
            .map(|(at, progress)| Sequence {
                densify: self.densify.clone(),
                table: self.table.clone(),
                at,
                values: progress.values.clone(),
                until: until.clone(),
                document: None,
            })
            .collect();
        drop(table);
        Ok(Box::new(rests.into_iter().flatten()))
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values of a partition up to one, and the document that has it.
struct Sequence {
    densify: Arc<Densify>,
    table: Arc<Mutex<Table>>,
    at: usize,
    values: Vec<Option<Bson>>,
    /// How the last value to be made compares to this one at most.
    until: Option<(Bson, Ordering)>,
    document: Option<RawDocumentBuf>,
}

impl Sequence {
    fn step(&mut self) -> Result<Option<RawDocumentBuf>> {
        let mut table = locked(&self.table);
        let table = &mut *table;
        let Some(progress) = table.partitions.get_mut(self.at) else {
            return Ok(self.document.take());
        };
        let reached = self
            .until
            .as_ref()
            .is_none_or(|(value, _)| compare_bson(&progress.next, value).is_lt());
        let below = match &self.densify.bounds {
            _ if progress.sure && reached => true,
            Bounds::Range(ends) => compare_bson(&progress.next, &ends.1).is_lt(),
            _ => true,
        };
        let order = self
            .until
            .as_ref()
            .map(|(value, most)| (compare_bson(&progress.next, value), *most));
        if below && order.is_none_or(|(order, most)| order <= most) {
            table.made += 1;
            if table.made > MADE_MAX {
                return Err(MqlError::new(
                    5_897_900,
                    format!(
                        "Generated {} documents in $densify, which is over the limit of {MADE_MAX}. Increase the 'internalQueryMaxAllowedDensifyDocs' parameter to allow more generated documents",
                        table.made
                    ),
                ));
            }
            let made = self.densify.document(&self.values, &progress.next)?;
            progress.next = self.densify.after(&progress.next)?;
            progress.sure = false;
            return Ok(Some(made));
        }
        let document = self.document.take();
        // Below explicit bounds there is no sequence.
        let outside = match (&self.densify.bounds, &self.until) {
            (Bounds::Range(ends), Some((value, _))) => compare_bson(value, &ends.0).is_lt(),
            _ => false,
        };
        let meets = !outside && order.is_some_and(|(order, _)| order.is_eq());
        if meets {
            progress.sure = false;
        }
        if let (Bounds::Full, true, Some((value, _))) =
            (&self.densify.bounds, document.is_some(), &self.until)
        {
            // One that comes again was in it the first time.
            table.in_sequence =
                meets || compare_bson(&self.densify.after(value)?, &progress.next).is_eq();
        }
        if let Some((value, _)) = &self.until
            && document.is_some()
            && below
            && meets
        {
            progress.next = self.densify.after(value)?;
        }
        Ok(document)
    }
}

impl Iterator for Sequence {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
