//! Arithmetic that keeps MongoDB's numeric types: int32 promotes to int64 on
//! overflow, anything with a double is a double.
//!
//! Decimal128 arithmetic is refused, not approximated.

use bson::Bson;

use crate::error::{MqlError, Result};

/// A binary operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

/// Computes on two numbers. `None` when an int64 overflows.
///
/// # Errors
/// 40415 with Decimal128 operands.
pub(crate) fn compute(operation: Arithmetic, a: &Bson, b: &Bson) -> Result<Option<Bson>> {
    if matches!(a, Bson::Decimal128(_)) || matches!(b, Bson::Decimal128(_)) {
        return Err(decimal());
    }
    if let (Some(x), Some(y)) = (integer(a), integer(b)) {
        let result = match operation {
            Arithmetic::Add => x.checked_add(y),
            Arithmetic::Subtract => x.checked_sub(y),
            Arithmetic::Multiply => x.checked_mul(y),
        };
        let both_small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
        return Ok(result.map(|n| match i32::try_from(n) {
            Ok(small) if both_small => Bson::Int32(small),
            _ => Bson::Int64(n),
        }));
    }
    let (x, y) = (double(a).unwrap_or(f64::NAN), double(b).unwrap_or(f64::NAN));
    Ok(Some(Bson::Double(match operation {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
    })))
}

/// The refusal of Decimal128.
pub(crate) fn decimal() -> MqlError {
    MqlError::new(40415, "arithmetic on Decimal128 values is not supported")
}

/// An int32 or int64.
pub(crate) fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        _ => None,
    }
}

/// Any number as a double.
pub(crate) fn double(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(n) => Some(f64::from(*n)),
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        Bson::Decimal128(n) => Some(crate::decimal::to_double(*n)),
        _ => None,
    }
}

/// A number without a fraction, of any type.
pub(crate) fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Double(n) if n.trunc() == *n && n.abs() < 9.2e18 => Some(*n as i64),
        other => integer(other),
    }
}

/// Whether it is one of the four numeric types.
pub(crate) fn is_number(value: &Bson) -> bool {
    double(value).is_some()
}
