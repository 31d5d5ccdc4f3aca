//! `$setWindowFields`: a `$sort` comes before it, so that it sees partitions
//! one after another, each in its order.

mod bounds;
mod function;
mod partition;
mod series;
mod sliding;
mod state;
mod sum;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocument, RawDocumentBuf};

use super::environment::Environment;
use super::parse::{field_path, kind, sort_pattern, unknown_field};
use super::reshape::{AddFields, Places, Unset, key};
use super::{Source, Stage, undefined};
use crate::Sort;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::order::raw;
pub(super) use bounds::unit_of;
use function::Function;
use partition::{Order, Partition};
use state::Running;

/// Where what is computed to partition by is kept on the way.
const PARTITION: &str = "__internal_setWindowFields_partition_key";

/// A parsed `$setWindowFields`.
#[derive(Debug, Clone)]
pub struct Windows {
    by: Option<Expression>,
    order: Option<Order>,
    functions: Vec<Function>,
    places: Places,
    collation: Option<Collation>,
}

/// Parses a `$setWindowFields` into the stages that it stands for.
pub(super) fn parse(operand: RawBsonRef<'_>, stages: &mut Vec<Stage>) -> Result<()> {
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::failed_to_parse(format!(
            "the $setWindowFields stage specification must be an object, found {}",
            kind(operand)
        )));
    };
    let (mut by, mut sort, mut output) = (None, None, None);
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        match (name, value) {
            ("partitionBy", value) => by = Some(value),
            ("sortBy" | "output", RawBsonRef::Null | RawBsonRef::Undefined) => {}
            ("sortBy", RawBsonRef::Document(pattern)) => sort = Some(pattern),
            ("output", RawBsonRef::Document(fields)) => output = Some(fields),
            ("sortBy" | "output", other) => {
                return Err(MqlError::type_mismatch(format!(
                    "BSON field '$setWindowFields.{name}' is the wrong type '{}', expected type 'object'",
                    kind(other)
                )));
            }
            _ => return Err(unknown_field("$setWindowFields", name)),
        }
    }
    let Some(output) = output else {
        return Err(MqlError::new(
            40414,
            "BSON field '$setWindowFields.output' is missing but a required field",
        ));
    };
    let by = by.map(Expression::parse_open).transpose()?;
    let sort = sort.map(sort_pattern).transpose()?;
    let sorted = sort.as_ref().map(|sort| sort.parts().len());
    let (mut functions, mut places) = (Vec::new(), Places::default());
    for entry in output {
        let (name, value) = entry.map_err(malformed)?;
        let path: Vec<String> = name.as_str().split('.').map(str::to_owned).collect();
        places.add(&path).map_err(|_| {
            MqlError::new(
                6_307_900,
                "$setWindowFields 'output' specification contains two conflicting paths",
            )
        })?;
        let RawBsonRef::Document(value) = value else {
            return Err(MqlError::failed_to_parse(format!(
                "The field '{}' must be an object",
                name.as_str()
            )));
        };
        functions.push(Function::parse(value, sorted)?);
    }
    for entry in output {
        field_path(entry.map_err(malformed)?.0.as_str())?;
    }
    sequence(by, sort, functions, places, stages)
}

/// Refuses a variable that is not there where a `$setWindowFields` has another
/// mistake: its expressions come before what is wrong with their bounds, and
/// after what is wrong with its fields or stands before them.
pub(super) fn check_variables(
    windows: &RawDocument,
    error: &MqlError,
    variables: &Variables,
) -> Result<()> {
    let of_fields = error.code == 14 && error.message.starts_with("BSON field");
    if of_fields || matches!(error.code, 40414 | 40415) {
        return Ok(());
    }
    if let Some(by) = windows.get("partitionBy").map_err(malformed)? {
        undefined::expressions(by, variables, 0)?;
        if Expression::parse_open(by).is_err() {
            return Ok(());
        }
    }
    let sorted = match windows.get("sortBy").map_err(malformed)? {
        Some(RawBsonRef::Document(pattern)) => match sort_pattern(pattern) {
            Ok(sort) => Some(sort.parts().len()),
            Err(_) => return Ok(()),
        },
        _ => None,
    };
    let Some(RawBsonRef::Document(output)) = windows.get("output").map_err(malformed)? else {
        return Ok(());
    };
    let by_order = |value: &RawDocument| {
        let function = value.iter().flatten().next();
        let names = ["$derivative", "$integral", "$expMovingAvg"];
        function.is_some_and(|(name, _)| names.contains(&name.as_str()))
    };
    let mut places = Places::default();
    for entry in output {
        let (name, value) = entry.map_err(malformed)?;
        let path: Vec<String> = name.as_str().split('.').map(str::to_owned).collect();
        let RawBsonRef::Document(value) = value else {
            break;
        };
        let refused = places.add(&path).is_err() || sorted.is_none() && by_order(value);
        if refused || !begins_with_function(value) {
            break;
        }
        for expression in function::expressions(value) {
            undefined::expressions(expression, variables, 0)?;
        }
        if Function::parse(value, sorted).is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether there is a function before anything that does not belong to one.
fn begins_with_function(output: &RawDocument) -> bool {
    let mut names = output.iter().flatten().map(|(name, _)| name.as_str());
    let first = names.find(|name| *name != "window");
    first.is_some_and(|name| function::NAMES.contains(&name))
}

/// The stages that sort by partition and order, compute, and put away what was
/// only needed for that.
fn sequence(
    mut by: Option<Expression>,
    sort: Option<Sort>,
    functions: Vec<Function>,
    places: Places,
    stages: &mut Vec<Stage>,
) -> Result<()> {
    if let Some(expression) = &mut by {
        let known = expression.folded()?;
        if known.is_constant() {
            not_array(known.constant())?;
            by = None;
        } else if known.path().is_some() {
            *expression = known;
        }
    }
    let mut computed = false;
    let mut pattern = RawDocumentBuf::new();
    if let Some(expression) = &mut by {
        let path = match expression.path() {
            Some(path) => path.join("."),
            None if expression.is_root() => {
                return Err(MqlError::new(
                    16409,
                    "FieldPath::tail() called on single element path",
                ));
            }
            None => {
                computed = true;
                PARTITION.to_owned()
            }
        };
        // In the direction that the sort asks for.
        let descending = sort
            .iter()
            .flat_map(Sort::parts)
            .any(|(other, descending)| {
                let names = other.parts().iter().map(|part| part.name.as_str());
                *descending && names.eq(path.split('.'))
            });
        pattern.append(key(&path)?, if descending { -1 } else { 1 });
        if computed {
            stages.push(Stage::AddFields(AddFields::of(
                PARTITION,
                expression.clone(),
            )));
        }
    }
    for (path, descending) in sort.iter().flat_map(Sort::parts) {
        let names: Vec<&str> = path.parts().iter().map(|part| part.name.as_str()).collect();
        let path = names.join(".");
        if pattern.get(&path).map_err(malformed)?.is_none() {
            pattern.append(key(&path)?, if *descending { -1 } else { 1 });
        }
    }
    if !pattern.is_empty() {
        stages.push(Stage::Sort(Sort::parse(&pattern)?));
    }
    let order = match sort.as_ref().map(Sort::parts) {
        Some([(path, descending)]) => {
            let names: Vec<&str> = path.parts().iter().map(|part| part.name.as_str()).collect();
            let text = format!("${}", names.join("."));
            Some(Order {
                by: Expression::parse_open(RawBsonRef::String(&text))?,
                descending: *descending,
            })
        }
        _ => None,
    };
    stages.push(Stage::Windows(Box::new(Windows {
        by,
        order: order.filter(|_| functions.iter().any(Function::reads_order)),
        functions,
        places,
        collation: None,
    })));
    if computed {
        stages.push(Stage::Unset(Unset::parse(RawBsonRef::String(PARTITION))?));
    }
    Ok(())
}

fn not_array(value: Option<&Bson>) -> Result<()> {
    if matches!(value, Some(Bson::Array(_))) {
        return Err(MqlError::type_mismatch(
            "An expression used to partition cannot evaluate to value of type array",
        ));
    }
    Ok(())
}

impl Windows {
    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        if let Some(by) = &mut self.by {
            by.bind(variables)?;
            not_array(by.constant())?;
        }
        self.functions
            .iter_mut()
            .try_for_each(|function| function.bind(variables))
    }

    fn start(&self, remembered: &Remembered) -> Result<Vec<Running>> {
        let functions = self.functions.iter().zip(remembered.iter());
        functions
            .map(|(function, decimal)| {
                let decimal = decimal.load(Ordering::Relaxed);
                Running::start(function, self.collation.as_ref(), decimal)
            })
            .collect()
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
        for function in &mut self.functions {
            function.collate(collation);
        }
    }
}

/// A `$setWindowFields` under way.
pub(super) struct Windowing {
    windows: Arc<Windows>,
    /// The documents of the partition that is not complete, and its key.
    held: Vec<RawDocumentBuf>,
    key: Vec<u8>,
    bytes: usize,
    remembered: Remembered,
}

impl Windowing {
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            remembered: windows
                .functions
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            windows: Arc::new(windows),
            held: Vec::new(),
            key: Vec::new(),
            bytes: 0,
        }
    }

    /// Refuses a function that cannot be begun, which is seen before any document.
    pub(super) fn begin(&self) -> Result<()> {
        self.windows.start(&self.remembered).map(drop)
    }

    /// Takes a document; gives what the partition before it has come to.
    pub(super) fn take(
        &mut self,
        env: &Environment<'_>,
        document: Cow<'_, RawDocument>,
    ) -> Result<Option<Source>> {
        let mut complete = None;
        if let Some(by) = &self.windows.by {
            let value = by.evaluate(&Scope::of(&document))?;
            if let Err(error) = not_array(value.as_ref()) {
                // It is met where the document before it, or one that asks for
                // all of its partition, is computed.
                let all = self.windows.functions.iter().any(Function::reads_all);
                let before = if all {
                    0
                } else {
                    self.held.len().saturating_sub(1)
                };
                let rest = std::iter::once(Err(error));
                return Ok(Some(match self.finish()? {
                    Some(partition) => Box::new(partition.take(before).chain(rest)),
                    None => Box::new(rest),
                }));
            }
            let mut key = Vec::new();
            let value = raw(&value.unwrap_or(Bson::Null));
            crate::key::encode_with(
                value.as_raw_bson_ref(),
                self.windows.collation.as_ref(),
                &mut key,
            );
            if key != self.key {
                complete = self.finish()?;
                self.key = key;
            }
        }
        self.bytes += document.as_bytes().len();
        env.check("$setWindowFields", self.bytes)?;
        self.held.push(document.into_owned());
        Ok(complete)
    }

    /// What the partition has come to.
    pub(super) fn finish(&mut self) -> Result<Option<Source>> {
        self.bytes = 0;
        if self.held.is_empty() {
            return Ok(None);
        }
        let held = std::mem::take(&mut self.held);
        let partition = Partition::new(held, self.windows.order.as_ref())?;
        Ok(Some(Box::new(Finished {
            windows: self.windows.clone(),
            remembered: self.remembered.clone(),
            partition,
            running: Vec::new(),
            at: 0,
        })))
    }
}

/// What functions remember from one partition to the next, which is little:
/// whether they have seen a decimal.
type Remembered = Arc<[AtomicBool]>;

/// The documents of a partition that is complete.
struct Finished {
    windows: Arc<Windows>,
    remembered: Remembered,
    partition: Partition,
    running: Vec<Running>,
    at: usize,
}

impl Finished {
    fn made(&mut self, at: usize) -> Result<Option<RawDocumentBuf>> {
        let collation = self.windows.collation.as_ref();
        if at == 0 {
            self.running = self.windows.start(&self.remembered)?;
        }
        let Some(document) = self.partition.get(at) else {
            return Ok(None);
        };
        let values = self
            .running
            .iter_mut()
            .map(|running| running.next(&self.partition, at, collation))
            .collect::<Result<Vec<_>>>()?;
        for (running, decimal) in self.running.iter().zip(self.remembered.iter()) {
            if running.saw_decimal() {
                decimal.store(true, Ordering::Relaxed);
            }
        }
        self.windows.places.put(document, &values).map(Some)
    }
}

impl Iterator for Finished {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        self.at += 1;
        self.made(at).transpose()
    }
}
