//! Arithmetic.

use bson::{Bson, DateTime};

use super::is_nullish;
use crate::error::{MqlError, Result};
use crate::number::{self, Arithmetic, double, integer, is_number};

pub(super) fn call(name: &str, values: &[Option<Bson>]) -> Result<Option<Option<Bson>>> {
    Ok(Some(match name {
        "$add" => fold(Arithmetic::Add, "$add", values)?,
        "$multiply" => fold(Arithmetic::Multiply, "$multiply", values)?,
        "$subtract" => subtract(values)?,
        "$divide" => binary("$divide", values, |a, b| {
            if b == 0.0 {
                return Err(MqlError::bad_value("can't $divide by zero"));
            }
            Ok(Bson::Double(a / b))
        })?,
        "$mod" => modulo(values)?,
        "$pow" => power(values)?,
        "$log" => binary(name, values, |a, b| Ok(Bson::Double(a.ln() / b.ln())))?,
        "$abs" => unary(name, values, |value| {
            Ok(match value {
                Bson::Int32(n) => n
                    .checked_abs()
                    .map_or(Bson::Int64(2_147_483_648), Bson::Int32),
                Bson::Int64(n) => Bson::Int64(
                    n.checked_abs()
                        .ok_or_else(|| MqlError::new(28680, "can't take $abs of long long min"))?,
                ),
                other => Bson::Double(double(other).unwrap_or(f64::NAN).abs()),
            })
        })?,
        "$ceil" => rounded(name, values, f64::ceil)?,
        "$floor" => rounded(name, values, f64::floor)?,
        "$round" => placed(name, values, f64::round_ties_even)?,
        "$trunc" => placed(name, values, f64::trunc)?,
        "$sqrt" => unary(name, values, |value| {
            let n = double(value).unwrap_or(f64::NAN);
            if n < 0.0 {
                return Err(MqlError::new(
                    28714,
                    "$sqrt's argument must be greater than or equal to 0",
                ));
            }
            Ok(Bson::Double(n.sqrt()))
        })?,
        "$exp" => unary(name, values, |v| {
            Ok(Bson::Double(double(v).unwrap_or(f64::NAN).exp()))
        })?,
        "$ln" => unary(name, values, |v| {
            Ok(Bson::Double(double(v).unwrap_or(f64::NAN).ln()))
        })?,
        "$log10" => unary(name, values, |v| {
            Ok(Bson::Double(double(v).unwrap_or(f64::NAN).log10()))
        })?,
        "$sum" => Some(sum(&spread(values))?),
        "$avg" => average(&spread(values))?,
        "$min" => extreme(&spread(values), false),
        "$max" => extreme(&spread(values), true),
        "$isNumber" => Some(Bson::Boolean(values[0].as_ref().is_some_and(is_number))),
        _ => return Ok(None),
    }))
}

/// A single array argument stands for its elements.
fn spread(values: &[Option<Bson>]) -> Vec<Bson> {
    match values {
        [Some(Bson::Array(array))] => array.clone(),
        _ => values.iter().flatten().cloned().collect(),
    }
}

/// The sum of the numbers among `values`; others do not count.
pub(crate) fn sum(values: &[Bson]) -> Result<Bson> {
    let mut total = Bson::Int32(0);
    for value in values.iter().filter(|value| is_number(value)) {
        total = add(&total, value)?;
    }
    Ok(total)
}

/// Adds, going over to doubles where an int64 overflows.
pub(crate) fn add(a: &Bson, b: &Bson) -> Result<Bson> {
    Ok(number::compute(Arithmetic::Add, a, b)?
        .unwrap_or_else(|| Bson::Double(double(a).unwrap_or(0.0) + double(b).unwrap_or(0.0))))
}

/// The mean of the numbers among `values`; null when there is none.
pub(crate) fn average(values: &[Bson]) -> Result<Option<Bson>> {
    let numbers: Vec<&Bson> = values.iter().filter(|value| is_number(value)).collect();
    if numbers.is_empty() {
        return Ok(Some(Bson::Null));
    }
    if numbers.iter().any(|n| matches!(n, Bson::Decimal128(_))) {
        return Err(number::decimal());
    }
    // Whole numbers are added exactly, so that large ones do not drift.
    let whole: i128 = numbers
        .iter()
        .filter_map(|n| integer(n))
        .map(i128::from)
        .sum();
    let doubles = numbers.iter().filter(|n| integer(n).is_none());
    let total = whole as f64 + doubles.filter_map(|n| double(n)).sum::<f64>();
    Ok(Some(Bson::Double(total / numbers.len() as f64)))
}

fn extreme(values: &[Bson], greatest: bool) -> Option<Bson> {
    let kept = values.iter().filter(|value| !is_nullish(Some(value)));
    // Of equal ones the first.
    let found = kept.reduce(|best, value| {
        let order = crate::compare_bson(value, best);
        if (greatest && order.is_gt()) || (!greatest && order.is_lt()) {
            value
        } else {
            best
        }
    });
    Some(found.cloned().unwrap_or(Bson::Null))
}

fn not_numeric(name: &str, value: &Bson) -> MqlError {
    match name {
        "$add" => MqlError::new(
            16554,
            format!(
                "$add only supports numeric or date types, not {}",
                super::convert::type_name(value)
            ),
        ),
        "$multiply" => MqlError::type_mismatch(format!(
            "$multiply only supports numeric types, not {}",
            super::convert::type_name(value)
        )),
        "$round" | "$trunc" => MqlError::new(
            51081,
            format!(
                "{name} only supports numeric types, not {}",
                super::convert::type_name(value)
            ),
        ),
        _ => MqlError::new(
            28765,
            format!(
                "{name} only supports numeric types, not {}",
                super::convert::type_name(value)
            ),
        ),
    }
}

fn fold(operation: Arithmetic, name: &str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut total = match operation {
        Arithmetic::Multiply => Bson::Int32(1),
        _ => Bson::Int32(0),
    };
    let mut date: Option<DateTime> = None;
    for value in values {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::DateTime(at)) if name == "$add" && date.is_none() => date = Some(*at),
            Some(Bson::DateTime(_)) if name == "$add" => {
                return Err(MqlError::new(
                    16612,
                    "only one date allowed in an $add expression",
                ));
            }
            Some(number) if is_number(number) => {
                total = number::compute(operation, &total, number)?.unwrap_or_else(|| {
                    let (a, b) = (double(&total).unwrap_or(0.0), double(number).unwrap_or(0.0));
                    Bson::Double(if operation == Arithmetic::Add {
                        a + b
                    } else {
                        a * b
                    })
                });
            }
            Some(other) => return Err(not_numeric(name, other)),
        }
    }
    Ok(Some(match date {
        Some(at) => Bson::DateTime(DateTime::from_millis(
            at.timestamp_millis() + double(&total).unwrap_or(0.0).round() as i64,
        )),
        None => total,
    }))
}

fn subtract(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (Some(a), Some(b)) = (&values[0], &values[1]) else {
        return Ok(Some(Bson::Null));
    };
    Ok(Some(match (a, b) {
        (Bson::Null | Bson::Undefined, _) | (_, Bson::Null | Bson::Undefined) => Bson::Null,
        (Bson::DateTime(a), Bson::DateTime(b)) => {
            Bson::Int64(a.timestamp_millis() - b.timestamp_millis())
        }
        (Bson::DateTime(a), b) if is_number(b) => Bson::DateTime(DateTime::from_millis(
            a.timestamp_millis() - double(b).unwrap_or(0.0).round() as i64,
        )),
        (a, b) if is_number(a) && is_number(b) => number::compute(Arithmetic::Subtract, a, b)?
            .unwrap_or_else(|| Bson::Double(double(a).unwrap_or(0.0) - double(b).unwrap_or(0.0))),
        (a, b) => {
            return Err(MqlError::type_mismatch(format!(
                "can't $subtract {} from {}",
                super::convert::type_name(b),
                super::convert::type_name(a)
            )));
        }
    }))
}

fn modulo(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    if let (Some(a), Some(b)) = (&values[0], &values[1])
        && let (Some(x), Some(y)) = (integer(a), integer(b))
    {
        if y == 0 {
            return Err(MqlError::new(16610, "can't $mod by zero"));
        }
        let rest = x.checked_rem(y).unwrap_or(0);
        let small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
        return Ok(Some(match i32::try_from(rest) {
            Ok(n) if small => Bson::Int32(n),
            _ => Bson::Int64(rest),
        }));
    }
    if values.iter().any(|value| is_nullish(value.as_ref())) {
        return Ok(Some(Bson::Null));
    }
    if !values.iter().flatten().all(is_number) {
        return Err(MqlError::new(16611, "$mod only supports numeric types"));
    }
    binary("$mod", values, |a, b| {
        if b == 0.0 {
            return Err(MqlError::new(16610, "can't $mod by zero"));
        }
        Ok(Bson::Double(a % b))
    })
}

fn power(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    if let (Some(a), Some(b)) = (&values[0], &values[1])
        && let (Some(x), Some(y)) = (integer(a), integer(b))
        && let Ok(exponent) = u32::try_from(y)
        && let Some(result) = x.checked_pow(exponent)
    {
        let small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
        return Ok(Some(match i32::try_from(result) {
            Ok(n) if small => Bson::Int32(n),
            _ => Bson::Int64(result),
        }));
    }
    binary("$pow", values, |a, b| Ok(Bson::Double(a.powf(b))))
}

fn unary(
    name: &str,
    values: &[Option<Bson>],
    compute: impl Fn(&Bson) -> Result<Bson>,
) -> Result<Option<Bson>> {
    match &values[0] {
        None | Some(Bson::Null | Bson::Undefined) => Ok(Some(Bson::Null)),
        Some(Bson::Decimal128(_)) => Err(number::decimal()),
        Some(value) if is_number(value) => compute(value).map(Some),
        Some(other) => Err(not_numeric(name, other)),
    }
}

fn binary(
    name: &str,
    values: &[Option<Bson>],
    compute: impl Fn(f64, f64) -> Result<Bson>,
) -> Result<Option<Bson>> {
    for value in values {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::Decimal128(_)) => return Err(number::decimal()),
            Some(value) if is_number(value) => {}
            Some(other) => {
                return Err(MqlError::type_mismatch(format!(
                    "{name} only supports numeric types, not {}",
                    super::convert::type_name(other)
                )));
            }
        }
    }
    let number = |index: usize| values[index].as_ref().and_then(double).unwrap_or(f64::NAN);
    compute(number(0), number(1)).map(Some)
}

fn rounded(name: &str, values: &[Option<Bson>], by: fn(f64) -> f64) -> Result<Option<Bson>> {
    unary(name, values, |value| {
        Ok(match value {
            Bson::Double(n) => Bson::Double(by(*n)),
            other => other.clone(),
        })
    })
}

fn placed(name: &str, values: &[Option<Bson>], by: fn(f64) -> f64) -> Result<Option<Bson>> {
    let place = match values.get(1) {
        None => 0,
        Some(None | Some(Bson::Null)) => return Ok(Some(Bson::Null)),
        Some(Some(place)) => number::whole(place)
            .filter(|place| (-20..=100).contains(place))
            .ok_or_else(|| {
                MqlError::new(
                    51083,
                    format!("cannot apply {name} with that precision value"),
                )
            })?,
    };
    unary(name, values, |value| {
        let scale = 10f64.powi(place as i32);
        Ok(match value {
            Bson::Double(n) if n.is_finite() => {
                let scaled = n * scale;
                Bson::Double(if scaled.is_finite() {
                    by(scaled) / scale
                } else {
                    *n
                })
            }
            Bson::Int32(n) if place < 0 => Bson::Int32((by(f64::from(*n) * scale) / scale) as i32),
            Bson::Int64(n) if place < 0 => Bson::Int64((by(*n as f64 * scale) / scale) as i64),
            other => other.clone(),
        })
    })
}
