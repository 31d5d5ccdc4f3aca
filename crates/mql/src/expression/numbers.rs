//! Arithmetic.

use bson::{Bson, DateTime};

use super::coerce::{self, short};
use super::convert::type_name;
use super::{Args, is_nullish};
use crate::collation::Collation;
use crate::decimal::{Decimal, Rounding};
use crate::error::{MqlError, Result};
use crate::number::{self, Arithmetic, Sum, double, integer, is_number, sized};
use crate::order::compare_bson_with;

pub(super) fn call(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(match name {
        "$subtract" => subtract(values)?,
        "$divide" => divide(values)?,
        "$mod" => modulo(values)?,
        "$pow" => power(values)?,
        "$log" => logarithm(values)?,
        "$abs" => unary(name, values, |value| {
            Ok(match value {
                Bson::Int32(n) => sized(i64::from(*n).abs(), true),
                Bson::Int64(n) => Bson::Int64(
                    n.checked_abs()
                        .ok_or_else(|| MqlError::new(28680, "can't take $abs of long long min"))?,
                ),
                Bson::Decimal128(n) => Bson::Decimal128(Decimal::from(*n).abs().into()),
                other => Bson::Double(double(other).unwrap_or(f64::NAN).abs()),
            })
        })?,
        "$ceil" => rounded(name, values, f64::ceil, Rounding::Ceiling)?,
        "$floor" => rounded(name, values, f64::floor, Rounding::Floor)?,
        "$round" => placed(name, values, Rounding::HalfEven)?,
        "$trunc" => placed(name, values, Rounding::Down)?,
        "$sqrt" => unary(name, values, |value| {
            let negative = || {
                Err(MqlError::new(
                    28714,
                    "$sqrt's argument must be greater than or equal to 0",
                ))
            };
            if let Bson::Decimal128(n) = value {
                let n = Decimal::from(*n);
                return if n.is_negative() && !n.is_zero() {
                    negative()
                } else {
                    Ok(Bson::Decimal128(n.sqrt().into()))
                };
            }
            let n = double(value).unwrap_or(f64::NAN);
            if n < 0.0 {
                return negative();
            }
            Ok(Bson::Double(n.sqrt()))
        })?,
        "$exp" => unary(name, values, |value| {
            Ok(match value {
                Bson::Decimal128(n) => Bson::Decimal128(Decimal::from(*n).exp().into()),
                other => Bson::Double(double(other).unwrap_or(f64::NAN).exp()),
            })
        })?,
        "$ln" => logarithm_of(name, values, 28766, Decimal::ln, f64::ln)?,
        "$log10" => logarithm_of(name, values, 28761, Decimal::log10, f64::log10)?,
        "$sum" => Some(sum(spread(values)).total()),
        "$avg" => Some(sum(spread(values)).mean()),
        _ => Some(Bson::Boolean(values[0].as_ref().is_some_and(is_number))),
    })
}

/// `$subtract` of two values.
pub(crate) fn difference(a: &Bson, b: &Bson) -> Result<Bson> {
    of_two(subtract, a, b)
}

/// `$divide` of two values.
pub(crate) fn quotient(a: &Bson, b: &Bson) -> Result<Bson> {
    of_two(divide, a, b)
}

fn of_two(
    compute: fn(&[Option<Bson>]) -> Result<Option<Bson>>,
    a: &Bson,
    b: &Bson,
) -> Result<Bson> {
    let result = compute(&[Some(a.clone()), Some(b.clone())])?;
    Ok(result.unwrap_or(Bson::Null))
}

/// The product of two numbers.
pub(crate) fn product(a: &Bson, b: &Bson) -> Bson {
    or_double(Arithmetic::Multiply, a, b)
}

/// The sum of two numbers.
pub(crate) fn total(a: &Bson, b: &Bson) -> Bson {
    or_double(Arithmetic::Add, a, b)
}

/// A single array argument stands for its elements.
pub(super) fn spread(values: &[Option<Bson>]) -> Box<dyn Iterator<Item = &Bson> + '_> {
    match values {
        [Some(Bson::Array(array))] => Box::new(array.iter()),
        _ => Box::new(values.iter().flatten()),
    }
}

fn sum<'a>(values: impl Iterator<Item = &'a Bson>) -> Sum {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum
}

/// `$min`, `$max`.
pub(super) fn extreme(
    name: &'static str,
    values: &[Option<Bson>],
    collation: Option<&Collation>,
) -> Result<Option<Bson>> {
    let greatest = name == "$max";
    let kept = spread(values).filter(|value| !is_nullish(Some(value)));
    // Of equal ones the first.
    let found = kept.reduce(|best, value| {
        let order = compare_bson_with(value, best, collation);
        if (greatest && order.is_gt()) || (!greatest && order.is_lt()) {
            value
        } else {
            best
        }
    });
    Ok(Some(found.cloned().unwrap_or(Bson::Null)))
}

/// Up to the first that decides: null, or of a wrong type.
pub(super) fn add(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut sum = Sum::default();
    let mut date = false;
    for at in 0..args.len() {
        match args.get(at)?.as_deref() {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::DateTime(_)) if date => {
                return Err(MqlError::new(
                    16612,
                    "only one date allowed in an $add expression",
                ));
            }
            Some(Bson::DateTime(at)) => {
                date = true;
                sum.add_whole(at.timestamp_millis());
            }
            Some(number) if is_number(number) => sum.add(number),
            Some(other) => {
                return Err(MqlError::new(
                    16554,
                    format!(
                        "$add only supports numeric or date types, not {}",
                        type_name(other)
                    ),
                ));
            }
        }
    }
    if !date {
        return Ok(Some(sum.total()));
    }
    let at = sum
        .milliseconds()
        .ok_or_else(|| MqlError::new(15, "date overflow in $add"))?;
    Ok(Some(Bson::DateTime(DateTime::from_millis(at))))
}

/// As [`add`].
pub(super) fn multiply(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut product = Bson::Int32(1);
    for at in 0..args.len() {
        match args.get(at)?.as_deref() {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(number) if is_number(number) => {
                product = or_double(Arithmetic::Multiply, &product, number);
            }
            Some(other) => {
                return Err(MqlError::type_mismatch(format!(
                    "$multiply only supports numeric types, not {}",
                    type_name(other)
                )));
            }
        }
    }
    Ok(Some(product))
}

/// Computes, going over to doubles where an int64 overflows.
fn or_double(operation: Arithmetic, a: &Bson, b: &Bson) -> Bson {
    number::compute(operation, a, b).unwrap_or_else(|| {
        let (a, b) = (double(a).unwrap_or(0.0), double(b).unwrap_or(0.0));
        Bson::Double(match operation {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
        })
    })
}

fn subtract(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (Some(a), Some(b)) = (&values[0], &values[1]) else {
        return Ok(Some(Bson::Null));
    };
    let overflow = || MqlError::new(15, "date overflow in $subtract");
    Ok(Some(match (a, b) {
        (Bson::Null | Bson::Undefined, _) | (_, Bson::Null | Bson::Undefined) => Bson::Null,
        (Bson::DateTime(a), Bson::DateTime(b)) => Bson::Int64(
            a.timestamp_millis()
                .checked_sub(b.timestamp_millis())
                .ok_or_else(overflow)?,
        ),
        (Bson::DateTime(a), b) if is_number(b) => {
            let by = coerce::long(b)?;
            if by == i64::MIN {
                return Err(MqlError::new(159, "Cannot negate the minimum duration"));
            }
            let at = a.timestamp_millis().checked_sub(by).ok_or_else(overflow)?;
            Bson::DateTime(DateTime::from_millis(at))
        }
        (a, b) if is_number(a) && is_number(b) => or_double(Arithmetic::Subtract, a, b),
        (a, b) => {
            return Err(MqlError::type_mismatch(format!(
                "can't $subtract {} from {}",
                type_name(b),
                long_name(a)
            )));
        }
    }))
}

/// What messages about subtraction call a type.
fn long_name(value: &Bson) -> &'static str {
    match value {
        Bson::DateTime(_) => "Date",
        other => type_name(other),
    }
}

/// Two numbers; `None` when one is null, else the error for two types.
fn numbers(
    values: &[Option<Bson>],
    wrong: impl Fn(&Bson, &Bson) -> MqlError,
) -> Result<Option<(&Bson, &Bson)>> {
    match (&values[0], &values[1]) {
        (Some(a), Some(b)) if is_number(a) && is_number(b) => Ok(Some((a, b))),
        (a, b) if is_nullish(a.as_ref()) || is_nullish(b.as_ref()) => Ok(None),
        (Some(a), Some(b)) => Err(wrong(a, b)),
        _ => Ok(None),
    }
}

fn either_decimal(a: &Bson, b: &Bson) -> Option<(Decimal, Decimal)> {
    (matches!(a, Bson::Decimal128(_)) || matches!(b, Bson::Decimal128(_)))
        .then(|| (number::decimal(a), number::decimal(b)))
}

fn either_double(a: &Bson, b: &Bson) -> (f64, f64) {
    (double(a).unwrap_or(f64::NAN), double(b).unwrap_or(f64::NAN))
}

fn divide(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let Some((a, b)) = numbers(values, |a, b| {
        MqlError::type_mismatch(format!(
            "$divide only supports numeric types, not {} and {}",
            type_name(a),
            type_name(b)
        ))
    })?
    else {
        return Ok(Some(Bson::Null));
    };
    let zero = || MqlError::bad_value("can't $divide by zero");
    if let Some((x, y)) = either_decimal(a, b) {
        if y.is_zero() {
            return Err(zero());
        }
        return Ok(Some(Bson::Decimal128(x.divide(y).into())));
    }
    let (x, y) = either_double(a, b);
    if y == 0.0 {
        return Err(zero());
    }
    Ok(Some(Bson::Double(x / y)))
}

fn modulo(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let Some((a, b)) = numbers(values, |a, b| {
        MqlError::new(
            16611,
            format!(
                "$mod only supports numeric types, not {} and {}",
                type_name(a),
                type_name(b)
            ),
        )
    })?
    else {
        return Ok(Some(Bson::Null));
    };
    let zero = |code| MqlError::new(code, "can't $mod by zero");
    if let Some((x, y)) = either_decimal(a, b) {
        if y.is_zero() {
            return Err(zero(5_733_415));
        }
        return Ok(Some(Bson::Decimal128(x.modulo(y).into())));
    }
    let (x, y) = either_double(a, b);
    if y == 0.0 {
        return Err(zero(16610));
    }
    // A double without a fraction on the right counts as an integer.
    let divisor = integer(b).or_else(|| number::whole_i32(b).map(i64::from));
    if let (Some(x), Some(divisor)) = (integer(a), divisor) {
        let small = matches!(a, Bson::Int32(_)) && !matches!(b, Bson::Int64(_));
        return Ok(Some(sized(x.checked_rem(divisor).unwrap_or(0), small)));
    }
    Ok(Some(Bson::Double(x % y)))
}

fn power(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (Some(a), Some(b)) = (&values[0], &values[1]) else {
        return Ok(Some(Bson::Null));
    };
    if is_nullish(Some(a)) || is_nullish(Some(b)) {
        return Ok(Some(Bson::Null));
    }
    for (value, code, what) in [(a, 28762, "base"), (b, 28763, "exponent")] {
        if !is_number(value) {
            return Err(MqlError::new(
                code,
                format!("$pow's {what} must be numeric, not {}", type_name(value)),
            ));
        }
    }
    let impossible = || {
        MqlError::new(
            28764,
            "$pow cannot take a base of 0 and a negative exponent",
        )
    };
    if let Some((x, y)) = either_decimal(a, b) {
        if x.is_zero() && y.is_negative() {
            return Err(impossible());
        }
        return Ok(Some(Bson::Decimal128(x.pow(y).into())));
    }
    let (x, y) = either_double(a, b);
    if x == 0.0 && y < 0.0 {
        return Err(impossible());
    }
    if let (Some(base), Some(exponent)) = (integer(a), integer(b)) {
        let small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
        let exact = match (base, exponent) {
            (0, 1..) => Some(0),
            (1, _) | (_, 0) => Some(1),
            (-1, _) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(exponent)
                .ok()
                .and_then(|exponent| base.checked_pow(exponent)),
        };
        if let Some(n) = exact {
            return Ok(Some(sized(n, small)));
        }
    }
    Ok(Some(Bson::Double(x.powf(y))))
}

fn logarithm(values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (Some(a), Some(b)) = (&values[0], &values[1]) else {
        return Ok(Some(Bson::Null));
    };
    if is_nullish(Some(a)) || is_nullish(Some(b)) {
        return Ok(Some(Bson::Null));
    }
    for (value, code, what) in [(a, 28756, "argument"), (b, 28757, "base")] {
        if !is_number(value) {
            return Err(MqlError::new(
                code,
                format!("$log's {what} must be numeric, not {}", type_name(value)),
            ));
        }
    }
    if let Some((x, y)) = either_decimal(a, b)
        && is_positive(x)
        && is_positive(y)
        && !y.subtract(1i64.into()).is_zero()
    {
        return Ok(Some(Bson::Decimal128(x.log(y).into())));
    }
    let (x, y) = either_double(a, b);
    if x <= 0.0 {
        return Err(MqlError::new(
            28758,
            format!(
                "$log's argument must be a positive number, but is {}",
                short(x)
            ),
        ));
    }
    if y <= 0.0 || y == 1.0 {
        return Err(MqlError::new(
            28759,
            format!(
                "$log's base must be a positive number not equal to 1, but is {}",
                short(y)
            ),
        ));
    }
    Ok(Some(Bson::Double(x.ln() / y.ln())))
}

fn is_positive(n: Decimal) -> bool {
    !n.is_nan() && !n.is_negative() && !n.is_zero()
}

fn logarithm_of(
    name: &str,
    values: &[Option<Bson>],
    code: i32,
    of_decimal: fn(Decimal) -> Decimal,
    of_double: fn(f64) -> f64,
) -> Result<Option<Bson>> {
    unary(name, values, |value| {
        if let Bson::Decimal128(n) = value
            && is_positive((*n).into())
        {
            return Ok(Bson::Decimal128(of_decimal((*n).into()).into()));
        }
        let n = double(value).unwrap_or(f64::NAN);
        if n <= 0.0 {
            return Err(MqlError::new(
                code,
                format!(
                    "{name}'s argument must be a positive number, but is {}",
                    short(n)
                ),
            ));
        }
        Ok(Bson::Double(of_double(n)))
    })
}

/// One number, or null of null.
pub(super) fn unary(
    name: &str,
    values: &[Option<Bson>],
    compute: impl Fn(&Bson) -> Result<Bson>,
) -> Result<Option<Bson>> {
    match &values[0] {
        None | Some(Bson::Null | Bson::Undefined) => Ok(Some(Bson::Null)),
        Some(value) if is_number(value) => compute(value).map(Some),
        Some(other) => Err(MqlError::new(
            28765,
            format!(
                "{name} only supports numeric types, not {}",
                type_name(other)
            ),
        )),
    }
}

fn rounded(
    name: &str,
    values: &[Option<Bson>],
    of_double: fn(f64) -> f64,
    rounding: Rounding,
) -> Result<Option<Bson>> {
    unary(name, values, |value| {
        Ok(match value {
            Bson::Double(n) => Bson::Double(of_double(*n)),
            Bson::Decimal128(n) => Bson::Decimal128(Decimal::from(*n).quantize(0, rounding).into()),
            other => other.clone(),
        })
    })
}

/// `$round` and `$trunc`, which go by way of decimals.
fn placed(name: &str, values: &[Option<Bson>], rounding: Rounding) -> Result<Option<Bson>> {
    let Some(value) = values[0].as_ref().filter(|value| !is_nullish(Some(value))) else {
        return Ok(Some(Bson::Null));
    };
    if !is_number(value) {
        return Err(not_placed(name, value));
    }
    let place = match values.get(1) {
        None => 0,
        Some(None | Some(Bson::Null | Bson::Undefined)) => return Ok(Some(Bson::Null)),
        Some(Some(place)) => {
            let at = coerce::long(place)?;
            if number::whole_i32(place).is_none() {
                return Err(MqlError::new(
                    51082,
                    format!("precision argument to  {name} must be a integral value"),
                ));
            }
            if !(-20..=100).contains(&at) {
                return Err(MqlError::new(
                    51083,
                    format!(
                        "cannot apply {name} with precision value {at} value must be in [-20, 100]"
                    ),
                ));
            }
            at as i32
        }
    };
    Ok(Some(match value {
        Bson::Decimal128(n) => Bson::Decimal128(Decimal::from(*n).placed(place, rounding).into()),
        Bson::Double(n) if place == 0 => Bson::Double(if rounding == Rounding::Down {
            n.trunc()
        } else {
            n.round_ties_even()
        }),
        Bson::Double(n) if !n.is_finite() => Bson::Double(*n),
        Bson::Double(n) => Bson::Double(Decimal::of_f64_exact(*n).placed(place, rounding).to_f64()),
        Bson::Int32(_) | Bson::Int64(_) if place >= 0 => value.clone(),
        _ => {
            let n = number::decimal(value).placed(place, rounding);
            let n = n.to_i64(rounding).ok_or_else(|| {
                MqlError::new(
                    51080,
                    format!(
                        "invalid conversion from Decimal128 result in {name} resulting from arguments: [{value}, {place}]"
                    ),
                )
            })?;
            match value {
                // MongoDB wraps what is below every int32.
                Bson::Int32(_) if n <= i64::from(i32::MAX) => Bson::Int32(n as i32),
                _ => Bson::Int64(n),
            }
        }
    }))
}

fn not_placed(name: &str, value: &Bson) -> MqlError {
    MqlError::new(
        51081,
        format!(
            "{name} only supports numeric types, not {}",
            type_name(value)
        ),
    )
}

/// `$stdDevPop`, `$stdDevSamp`.
pub(super) fn deviation(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let mut deviation = number::Deviation::default();
    spread(values).for_each(|value| deviation.add(value));
    Ok(Some(if name == "$stdDevPop" {
        deviation.of_population()
    } else {
        deviation.of_sample()
    }))
}
