//! Functions that see documents as points on a line: slopes, areas, means that
//! forget, and what is filled in.

use std::collections::VecDeque;

use bson::Bson;

use super::bounds::{Frame, kind_of};
use super::partition::Partition;
use super::sum::Removable;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Unit, difference, product, quotient, total};
use crate::number::{decimal, double, is_number};
use crate::order::compare_bson;

/// `$derivative`.
pub(super) struct Slope {
    pub(super) frame: Frame,
    pub(super) input: Expression,
    pub(super) unit: Option<Unit>,
}

impl Slope {
    pub(super) fn next(&mut self, partition: &Partition, at: usize) -> Result<Option<Bson>> {
        let Some((first, last)) = self.frame.around(partition, at)? else {
            return Ok(Some(Bson::Null));
        };
        let refused =
            |code: i32, text: &str| Err(MqlError::new(code, format!("$derivative {text}")));
        let ends = [partition.sorted_by(first), partition.sorted_by(last)];
        let is_date = |end: Option<&Bson>| matches!(end, Some(Bson::DateTime(_)));
        if self.unit.is_some() {
            if !ends.into_iter().all(is_date) {
                return refused(
                    5_624_900,
                    "with 'unit' expects the sortBy field to be a Date",
                );
            }
        } else if ends.into_iter().any(is_date) {
            return refused(5_624_901, "where the sortBy is a Date requires an 'unit'");
        }
        let (Some(start), Some(end)) = (ends[0], ends[1]) else {
            return refused(
                5_624_902,
                "(with no 'unit') expects the sortBy field to be numeric",
            );
        };
        if self.unit.is_none() && !(is_number(start) && is_number(end)) {
            return refused(
                5_624_902,
                "(with no 'unit') expects the sortBy field to be numeric",
            );
        }
        let low = partition.evaluate(first, &self.input)?;
        let high = partition.evaluate(last, &self.input)?;
        let known = |value: Option<Bson>| value.filter(|value| !is_null(Some(value)));
        let (Some(low), Some(high)) = (known(low), known(high)) else {
            return refused(5_624_903, "input must not be null or missing");
        };
        let rise = difference(&high, &low)?;
        let run = difference(end, start)?;
        if double(&run) == Some(0.0) {
            return Ok(Some(Bson::Null));
        }
        let slope = quotient(&rise, &run)?;
        Ok(Some(match self.unit {
            Some(unit) => product(&slope, &Bson::Int64(unit.milliseconds())),
            None => slope,
        }))
    }
}

/// `$integral`, by trapezoids.
pub(super) struct Area {
    unit: Option<Unit>,
    points: VecDeque<(Bson, Bson)>,
    sum: Removable,
    nans: usize,
}

impl Area {
    pub(super) fn new(unit: Option<Unit>) -> Self {
        Self {
            unit,
            points: VecDeque::new(),
            sum: Removable::default(),
            nans: 0,
        }
    }

    pub(super) fn add(&mut self, x: Option<&Bson>, y: Option<&Bson>) -> Result<()> {
        let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
        let is_date = matches!(x, Some(Bson::DateTime(_)));
        let (Some(x), Some(y)) = (
            x.filter(|x| is_date || is_number(x)),
            y.filter(|y| is_number(y)),
        ) else {
            return refused(
                5_423_900,
                "The input value of $integral window function must be a vector of 2 value, the first value must be numeric or date type and the second must be numeric.",
            );
        };
        if self.unit.is_some() && !is_date {
            return refused(
                5_423_901,
                "$integral with 'unit' expects the sortBy field to be a Date",
            );
        }
        if self.unit.is_none() && is_date {
            return refused(
                5_423_902,
                "$integral (with no 'unit') expects the sortBy field to be numeric",
            );
        }
        let point = (x.clone(), y.clone());
        self.nans += usize::from(has_nan(&point));
        if let Some(before) = self.points.back() {
            self.sum.add(&between(before, &point)?);
        }
        self.points.push_back(point);
        Ok(())
    }

    pub(super) fn remove(&mut self) -> Result<()> {
        let Some(point) = self.points.pop_front() else {
            return Ok(());
        };
        self.nans -= usize::from(has_nan(&point));
        if let Some(after) = self.points.front() {
            self.sum.remove(&between(&point, after)?);
        }
        Ok(())
    }

    pub(super) fn value(&self) -> Result<Bson> {
        if self.points.is_empty() {
            return Ok(Bson::Null);
        }
        if self.nans > 0 {
            return Ok(Bson::Double(f64::NAN));
        }
        let area = self.sum.value();
        match self.unit {
            Some(unit) => quotient(&area, &Bson::Int64(unit.milliseconds())),
            None => Ok(area),
        }
    }
}

fn has_nan((x, y): &(Bson, Bson)) -> bool {
    let is_nan = |value: &Bson| double(value).is_some_and(f64::is_nan);
    is_nan(x) || is_nan(y)
}

/// The area below two points.
fn between((x, y): &(Bson, Bson), (x_after, y_after): &(Bson, Bson)) -> Result<Bson> {
    let wide = difference(x_after, x)?;
    quotient(&product(&wide, &total(y, y_after)), &Bson::Double(2.0))
}

/// `$expMovingAvg`.
pub(super) struct Moving {
    input: Expression,
    /// How much a new value counts.
    alpha: Decimal,
    mean: Option<Decimal>,
    /// Whether one of the values was a decimal, also in another partition.
    pub(super) decimal: bool,
}

impl Moving {
    pub(super) fn new(input: Expression, alpha: Decimal, decimal: bool) -> Self {
        Self {
            input,
            alpha,
            mean: None,
            decimal,
        }
    }

    pub(super) fn next(&mut self, partition: &Partition, at: usize) -> Result<Option<Bson>> {
        let value = partition.evaluate(at, &self.input)?;
        if let Some(value) = value.filter(is_number) {
            self.decimal |= matches!(value, Bson::Decimal128(_));
            let value = decimal(&value);
            let rest = Decimal::from(1i64).subtract(self.alpha);
            self.mean = Some(match self.mean {
                None => value,
                Some(mean) => value.multiply(self.alpha).add(mean.multiply(rest)),
            });
        }
        Ok(Some(match self.mean {
            None => Bson::Null,
            Some(mean) if self.decimal => Bson::Decimal128(mean.into()),
            Some(mean) => Bson::Double(mean.to_f64()),
        }))
    }
}

/// `$locf`: what is null is as the last that was not.
pub(super) struct Carried {
    input: Expression,
    last: Option<Bson>,
}

impl Carried {
    pub(super) fn new(input: Expression) -> Self {
        Self { input, last: None }
    }

    pub(super) fn next(&mut self, partition: &Partition, at: usize) -> Result<Option<Bson>> {
        let value = partition.evaluate(at, &self.input)?;
        if !is_null(value.as_ref()) {
            self.last = value;
        }
        Ok(Some(self.last.clone().unwrap_or(Bson::Null)))
    }
}

/// `$linearFill`: what is null is on the line between its neighbours that are
/// not.
pub(super) struct Line {
    input: Expression,
    /// The last point that is there.
    left: Option<(Bson, Bson)>,
    /// The next one; `None` when it was not looked for.
    right: Option<Option<(Bson, Bson)>>,
}

impl Line {
    pub(super) fn new(input: Expression) -> Self {
        Self {
            input,
            left: None,
            right: None,
        }
    }

    pub(super) fn next(&mut self, partition: &Partition, at: usize) -> Result<Option<Bson>> {
        let y = partition.evaluate(at, &self.input)?;
        let null = is_null(y.as_ref());
        if !null && !y.as_ref().is_some_and(is_number) {
            return Err(MqlError::type_mismatch(format!(
                "Value to be filled must be numeric or nullish, but found {}",
                kind_of(y.as_ref())
            )));
        }
        let x = position(partition, at)?;
        match y {
            Some(y) if !null => {
                self.left = Some((x.clone(), y.clone()));
                self.right = None;
                Ok(Some(y))
            }
            _ => self.filled(partition, at, x),
        }
    }

    fn filled(&mut self, partition: &Partition, at: usize, x: &Bson) -> Result<Option<Bson>> {
        let Some((x_left, y_left)) = &self.left else {
            return Ok(Some(Bson::Null));
        };
        if self.right.is_none() {
            let mut found = None;
            for at in at + 1..partition.len() {
                let y = partition.evaluate(at, &self.input)?;
                if let Some(y) = y.filter(|y| !is_null(Some(y))) {
                    let x = partition.sorted_by(at).cloned().unwrap_or(Bson::Null);
                    found = Some((x, y));
                    break;
                }
            }
            self.right = Some(found);
        }
        let Some(Some((x_right, y_right))) = &self.right else {
            return Ok(Some(Bson::Null));
        };
        let rise = difference(y_right, y_left)?;
        let run = difference(x_right, x_left)?;
        let slope = quotient(&rise, &run)?;
        let up = product(&difference(x, x_left)?, &slope);
        Ok(Some(total(y_left, &up)))
    }
}

/// What the document at `at` is sorted by, which no other may be.
fn position(partition: &Partition, at: usize) -> Result<&Bson> {
    let wrong = |text: String| MqlError::type_mismatch(text);
    let found = partition.sorted_by(at);
    let is_date = found.is_some_and(is_time);
    let Some(x) = found.filter(|x| is_date || is_number(x)) else {
        return Err(wrong(format!(
            "Value of the sortBy field must be numeric or a date, but found {}",
            kind_of(found)
        )));
    };
    let before = at.checked_sub(1).and_then(|at| partition.sorted_by(at));
    if let Some(before) = before {
        if is_date != is_time(before) {
            return Err(wrong(format!(
                "Conflicting sort value types, previously received type {}, but found {}",
                kind_of(Some(before)),
                kind_of(found)
            )));
        }
        if compare_bson(before, x).is_eq() {
            return Err(MqlError::new(
                6_050_106,
                "There can be no repeated values in the sort field",
            ));
        }
    }
    Ok(x)
}

/// Whether MongoDB takes it for a date.
fn is_time(value: &Bson) -> bool {
    matches!(
        value,
        Bson::DateTime(_) | Bson::Timestamp(_) | Bson::ObjectId(_)
    )
}

/// Null, undefined or missing.
pub(super) fn is_null(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::Undefined))
}
