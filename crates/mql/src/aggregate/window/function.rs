//! Window functions: parsing.

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocument};

use super::bounds::{Bounds, unit_of};
use crate::aggregate::accumulator::{Accumulator, What};
use crate::aggregate::parse::{kind, shown};
use crate::collation::Collation;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Unit, Variables};
use crate::matcher::malformed;
use crate::number::{decimal, double, is_number, whole, whole_i32};

/// A parsed window function.
#[derive(Debug, Clone)]
pub(super) enum Function {
    DocumentNumber,
    Rank,
    DenseRank,
    /// The value of another document, so many places on, or what there is
    /// without one.
    Shift(Expression, i64, Option<Expression>),
    /// The value of the first or the last document.
    Edge(Expression, bool, Bounds),
    Accumulate(Accumulator, Bounds),
    /// Whether of a sample.
    Covariance(Expression, bool, Bounds),
    Derivative(Expression, Option<Unit>, Bounds),
    Integral(Expression, Option<Unit>, Bounds),
    /// How much a new value counts.
    Moving(Expression, Decimal),
    LinearFill(Expression),
    Locf(Expression),
}

/// The names of functions.
pub(super) const NAMES: [&str; 30] = [
    "$addToSet",
    "$avg",
    "$bottom",
    "$bottomN",
    "$count",
    "$covariancePop",
    "$covarianceSamp",
    "$denseRank",
    "$derivative",
    "$documentNumber",
    "$expMovingAvg",
    "$first",
    "$firstN",
    "$integral",
    "$last",
    "$lastN",
    "$linearFill",
    "$locf",
    "$max",
    "$maxN",
    "$min",
    "$minN",
    "$push",
    "$rank",
    "$shift",
    "$stdDevPop",
    "$stdDevSamp",
    "$sum",
    "$top",
    "$topN",
];

/// What of a function's specification is read as expressions.
pub(super) fn expressions(specification: &RawDocument) -> Vec<RawBsonRef<'_>> {
    let mut found = Vec::new();
    for (name, operand) in specification.iter().flatten() {
        let fields: &[&str] = match name.as_str() {
            "window" | "$count" | "$denseRank" | "$documentNumber" | "$rank" => continue,
            "$derivative" | "$expMovingAvg" | "$integral" => &["input"],
            "$firstN" | "$lastN" | "$maxN" | "$minN" => &["input", "n"],
            "$bottom" | "$bottomN" | "$top" | "$topN" => &["output", "n"],
            "$shift" => &["output", "default"],
            _ => {
                found.push(operand);
                continue;
            }
        };
        if let RawBsonRef::Document(operand) = operand {
            // Its fields are counted before they are read.
            if name == "$expMovingAvg" && operand.iter().count() != 2 {
                continue;
            }
            let values = operand.iter().flatten();
            let read = values.filter(|(name, _)| fields.contains(&name.as_str()));
            found.extend(read.map(|(_, value)| value));
        }
    }
    found
}

/// What a function is parsed for: by how many fields documents are sorted.
pub(super) type Sorted = Option<usize>;

impl Function {
    /// Parses `{$name: operand, window: {…}}`.
    ///
    /// # Errors
    /// 9 for what is none, and those of each function.
    pub(super) fn parse(specification: &RawDocument, sorted: Sorted) -> Result<Self> {
        let mut first = None;
        for entry in specification {
            let (name, operand) = entry.map_err(malformed)?;
            if name.as_str().starts_with('$') {
                first = Some((name.as_str(), operand));
                break;
            }
        }
        let Some((name, operand)) = first else {
            return failed("Expected a $-prefixed window function".to_owned());
        };
        let spec = Spec {
            name,
            operand,
            all: specification,
            sorted,
        };
        match name {
            "$documentNumber" => spec.rank(Self::DocumentNumber),
            "$rank" => spec.rank(Self::Rank),
            "$denseRank" => spec.rank(Self::DenseRank),
            "$shift" => spec.shift(),
            "$first" | "$last" => {
                let (input, bounds) = spec.edge()?;
                Ok(Self::Edge(input, name == "$last", bounds))
            }
            "$sum" | "$avg" | "$min" | "$max" | "$push" | "$addToSet" | "$stdDevPop"
            | "$stdDevSamp" => {
                let (input, bounds) = spec.single()?;
                let what = What::named(name).unwrap_or(What::Sum);
                Ok(Self::Accumulate(Accumulator::of(what, input), bounds))
            }
            "$covariancePop" | "$covarianceSamp" => {
                let (input, bounds) = spec.single()?;
                Ok(Self::Covariance(input, name == "$covarianceSamp", bounds))
            }
            "$count" => spec.count(),
            "$firstN" | "$lastN" | "$minN" | "$maxN" | "$top" | "$topN" | "$bottom"
            | "$bottomN" => spec.several(What::named(name).unwrap_or(What::Top)),
            "$derivative" | "$integral" => spec.points(),
            "$expMovingAvg" => spec.moving(),
            "$linearFill" => {
                let input = spec.alone()?;
                if sorted != Some(1) {
                    return Err(MqlError::new(
                        605_001,
                        "$linearFill must be specified with a top level sortBy expression with exactly one element",
                    ));
                }
                Ok(Self::LinearFill(input))
            }
            "$locf" => Ok(Self::Locf(spec.alone()?)),
            _ => failed(format!("Unrecognized window function, {name}")),
        }
    }

    /// Its window, for those that have one.
    pub(super) fn bounds(&self) -> Option<&Bounds> {
        match self {
            Self::Edge(_, _, bounds)
            | Self::Accumulate(_, bounds)
            | Self::Covariance(_, _, bounds)
            | Self::Derivative(_, _, bounds)
            | Self::Integral(_, _, bounds) => Some(bounds),
            _ => None,
        }
    }

    /// Whether all documents of a partition are read for the first one.
    pub(super) fn reads_all(&self) -> bool {
        self.bounds().is_some_and(Bounds::never_ends)
    }

    /// Whether it wants to know what the documents are sorted by.
    pub(super) fn reads_order(&self) -> bool {
        matches!(
            self,
            Self::Rank
                | Self::DenseRank
                | Self::Derivative(..)
                | Self::Integral(..)
                | Self::LinearFill(_)
        ) || self.bounds().is_some_and(Bounds::reads_order)
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        match self {
            Self::DocumentNumber | Self::Rank | Self::DenseRank => Ok(()),
            Self::Shift(output, _, default) => {
                if let Some(default) = default {
                    default.bind(variables)?;
                }
                output.bind(variables)
            }
            Self::Accumulate(accumulator, _) => accumulator.bind(variables),
            Self::Edge(input, ..)
            | Self::Covariance(input, ..)
            | Self::Derivative(input, ..)
            | Self::Integral(input, ..)
            | Self::Moving(input, _)
            | Self::LinearFill(input)
            | Self::Locf(input) => input.bind(variables),
        }
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        if let Self::Accumulate(accumulator, _) = self {
            accumulator.collate(collation);
        }
    }
}

fn failed<T>(text: String) -> Result<T> {
    Err(MqlError::failed_to_parse(text))
}

fn strange<T>(field: &str) -> Result<T> {
    failed(if field.starts_with('$') {
        "Cannot specify two functions in window function spec".to_owned()
    } else {
        format!("Window function found an unknown argument: {field}")
    })
}

/// A function that is being parsed.
#[derive(Clone, Copy)]
struct Spec<'a> {
    name: &'a str,
    operand: RawBsonRef<'a>,
    all: &'a RawDocument,
    sorted: Sorted,
}

impl<'a> Spec<'a> {
    fn fields(self) -> impl Iterator<Item = Result<(&'a str, RawBsonRef<'a>)>> {
        self.all.iter().map(|entry| {
            let (name, value) = entry.map_err(malformed)?;
            Ok((name.as_str(), value))
        })
    }

    fn rank(self, function: Function) -> Result<Function> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        if self.fields().count() > 1 {
            return refused(
                5_371_601,
                "Rank style window functions take no other arguments".to_owned(),
            );
        }
        if !matches!(self.operand, RawBsonRef::Document(empty) if empty.is_empty()) {
            return refused(
                5_371_603,
                format!("{} must be specified with '{{}}' as the value", self.name),
            );
        }
        if self.sorted != Some(1) {
            return refused(
                5_371_602,
                format!(
                    "{} must be specified with a top level sortBy expression with exactly one element",
                    self.name
                ),
            );
        }
        Ok(function)
    }

    fn shift(self) -> Result<Function> {
        let name = self.name;
        for field in self.fields() {
            match field?.0 {
                other if other == name => {}
                "window" => return failed("$shift does not accept a 'window' field".to_owned()),
                other => return strange(other),
            }
        }
        let RawBsonRef::Document(arguments) = self.operand else {
            return failed("Argument to $shift must be an object".to_owned());
        };
        let (mut output, mut by, mut default) = (None, None, None);
        for entry in arguments {
            let (argument, value) = entry.map_err(malformed)?;
            match argument.as_str() {
                "output" => output = Some(Expression::parse_open(value)?),
                "by" => {
                    let n = Bson::try_from(value).map_err(malformed)?;
                    let Some(n) = whole_i32(&n) else {
                        return failed(format!(
                            "'$shift:by' field must be an integer, but found  by: {}",
                            shown(value)
                        ));
                    };
                    by = Some(i64::from(n));
                }
                "default" => {
                    let mut expression = Expression::parse_open(value)?;
                    if !expression.is_settled() {
                        return failed(
                            "'$shift:default' expression must yield a constant value.".to_owned(),
                        );
                    }
                    // What it fails with comes first.
                    expression.folded()?;
                    default = Some(expression);
                }
                _ => return failed("Unknown argument in $shift".to_owned()),
            }
        }
        let Some(output) = output else {
            return failed("$shift requires an 'output' expression.".to_owned());
        };
        let Some(by) = by else {
            return failed("$shift requires 'by' as an integer value.".to_owned());
        };
        if self.sorted.is_none() {
            return failed("'$shift' requires a sortBy".to_owned());
        }
        Ok(Function::Shift(output, by, default))
    }

    /// An expression and a window, in the order in which they are there.
    fn single(self) -> Result<(Expression, Bounds)> {
        let (mut input, mut bounds) = (None, Bounds::ALL);
        for field in self.fields() {
            match field? {
                ("window", window) => bounds = Bounds::parse(window, self.sorted)?,
                (name, operand) if name == self.name && input.is_none() => {
                    input = Some(Expression::parse_open(operand)?);
                }
                (other, _) => return strange(other),
            }
        }
        Ok((self.present(input)?, bounds))
    }

    fn present<T>(self, input: Option<T>) -> Result<T> {
        input.ok_or_else(|| MqlError::failed_to_parse(format!("{} is missing", self.name)))
    }

    fn unexpected<T>(self, field: &str) -> Result<T> {
        failed(format!("{} got unexpected argument: {field}", self.name))
    }

    fn edge(self) -> Result<(Expression, Bounds)> {
        let (mut input, mut bounds) = (None, Bounds::ALL);
        for field in self.fields() {
            match field? {
                ("window", window) => bounds = Bounds::parse(window, self.sorted)?,
                (name, operand) if name == self.name => {
                    input = Some(Expression::parse_open(operand)?);
                }
                (other, _) => return self.unexpected(other),
            }
        }
        Ok((self.present(input)?, bounds))
    }

    /// An expression that takes no window.
    fn alone(self) -> Result<Expression> {
        let mut input = None;
        for field in self.fields() {
            match field? {
                ("window", _) => {
                    return failed(format!("'window' field is not allowed in {}", self.name));
                }
                (name, operand) if name == self.name => {
                    input = Some(Expression::parse_open(operand)?);
                }
                (other, _) => return strange(other),
            }
        }
        self.present(input)
    }

    fn count(self) -> Result<Function> {
        let mut bounds = Bounds::ALL;
        for field in self.fields() {
            match field? {
                ("window", window) => bounds = Bounds::parse(window, self.sorted)?,
                (name, operand) if name == self.name => {
                    if !matches!(operand, RawBsonRef::Document(empty) if empty.is_empty()) {
                        return failed("$count only accepts an empty object as input".to_owned());
                    }
                }
                (other, _) => return strange(other),
            }
        }
        let one = Expression::parse_open(RawBsonRef::Int32(1))?;
        Ok(Function::Accumulate(
            Accumulator::of(What::Sum, one),
            bounds,
        ))
    }

    /// Those that keep some of the values.
    fn several(self, what: What) -> Result<Function> {
        let (mut accumulator, mut bounds) = (None, Bounds::ALL);
        for field in self.fields() {
            match field? {
                ("window", window) => bounds = Bounds::parse(window, self.sorted)?,
                (name, operand) if name == self.name => {
                    accumulator = Some(Accumulator::of_named(what, name, operand)?);
                    if let RawBsonRef::Document(operand) = operand
                        && matches!(operand.get("sortBy"), Ok(Some(RawBsonRef::Array(_))))
                    {
                        return Err(MqlError::new(
                            5_788_604,
                            format!(
                                "expected 'sortBy' to already be an object in the arguments to {name}"
                            ),
                        ));
                    }
                }
                (other, _) => return self.unexpected(other),
            }
        }
        Ok(Function::Accumulate(self.present(accumulator)?, bounds))
    }

    /// `$derivative` and `$integral`: `{input, unit}`.
    fn points(self) -> Result<Function> {
        let name = self.name;
        match self.sorted {
            Some(1) => {}
            None => return failed(format!("{name} requires a sortBy")),
            _ => return failed(format!("{name} requires a non-compound sortBy")),
        }
        let (mut input, mut unit, mut bounds) = (None, None, None);
        for field in self.fields() {
            match field? {
                ("window", window) => bounds = Some(Bounds::parse(window, self.sorted)?),
                (field, RawBsonRef::Document(arguments)) if field == name => {
                    for entry in arguments {
                        let (argument, value) = entry.map_err(malformed)?;
                        match (argument.as_str(), value) {
                            ("input", value) => input = Some(value),
                            ("unit", RawBsonRef::String(text)) => unit = Some(unit_of(text)?),
                            ("unit", value) => {
                                return failed(format!(
                                    "unit' must be a string, but got {}",
                                    kind(value)
                                ));
                            }
                            (other, _) => return self.unexpected(other),
                        }
                    }
                }
                (field, value) if field == name => {
                    return failed(format!(
                        "{name} expects an object, but got a {}: {name}: {}",
                        kind(value),
                        shown(value)
                    ));
                }
                (other, _) => return self.unexpected(other),
            }
        }
        let Some(input) = input else {
            return failed(format!("{name} requires an 'input' expression"));
        };
        if name == "$derivative" {
            let Some(bounds) = bounds else {
                return failed("$derivative requires explicit window bounds".to_owned());
            };
            small(unit)?;
            return Ok(Function::Derivative(
                Expression::parse_open(input)?,
                unit,
                bounds,
            ));
        }
        let bounds = bounds.unwrap_or(Bounds::ALL);
        small(unit)?;
        Ok(Function::Integral(
            Expression::parse_open(input)?,
            unit,
            bounds,
        ))
    }

    /// `{input, N}` or `{input, alpha}`.
    fn moving(self) -> Result<Function> {
        const FIELDS: &str = "$expMovingAvg sub object must have exactly two fields: An 'input' field, and either an 'N' field or an 'alpha' field";
        let arguments = match self.operand {
            RawBsonRef::Document(arguments) if self.fields().count() == 1 => arguments,
            _ => {
                return failed(
                    "$expMovingAvg must have exactly one argument that is an object".to_owned(),
                );
            }
        };
        let get = |name: &str| arguments.get(name).map_err(malformed);
        let Some(input) = get("input")?.filter(|_| arguments.iter().count() == 2) else {
            return failed(FIELDS.to_owned());
        };
        if self.sorted.is_none() {
            return failed("$expMovingAvg requires an explicit 'sortBy'".to_owned());
        }
        let input = Expression::parse_open(input)?;
        let alpha = match (get("N")?, get("alpha")?) {
            (Some(n), _) => {
                let value = Bson::try_from(n).map_err(malformed)?;
                match whole_or_most(&value) {
                    Some(n) if n > 0 => {
                        Decimal::from(2i64).divide(Decimal::from(i128::from(n) + 1))
                    }
                    Some(n) => {
                        return failed(format!("'N' must be greater than zero. Got {n}"));
                    }
                    None => {
                        return failed(format!(
                            "'N' field must be an integer, but found {}",
                            kind(n)
                        ));
                    }
                }
            }
            (None, Some(alpha)) => {
                let value = Bson::try_from(alpha).map_err(malformed)?;
                if !is_number(&value) {
                    return failed("'alpha' must be a number".to_owned());
                }
                if !double(&value).is_some_and(|alpha| alpha > 0.0 && alpha < 1.0) {
                    return failed(format!(
                        "'alpha' must be between 0 and 1 (exclusive), found alpha: {}",
                        shown(alpha)
                    ));
                }
                decimal(&value)
            }
            (None, None) => {
                return failed(format!("Got unrecognized field in $expMovingAvg{FIELDS}"));
            }
        };
        Ok(Function::Moving(input, alpha))
    }
}

/// A whole number; the greatest int64 for what is more than one.
fn whole_or_most(value: &Bson) -> Option<i64> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    whole(value).or_else(|| double(value).filter(|n| *n >= TWO_63).map(|_| i64::MAX))
}

/// Refuses a unit that has months.
fn small(unit: Option<Unit>) -> Result<()> {
    match unit.and_then(Unit::months) {
        None => Ok(()),
        Some(_) => Err(MqlError::new(5_490_710, "unit must be 'week' or smaller")),
    }
}
