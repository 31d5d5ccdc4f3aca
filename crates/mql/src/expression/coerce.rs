//! How MongoDB's expressions read an operand as something else.

use bson::Bson;

use super::convert::type_name;
use crate::decimal::{Decimal, Rounding};
use crate::error::{MqlError, Result};

/// A number as an int64, its fraction cut off; decimals are rounded, and are
/// the least int64 where they do not fit.
pub(super) fn long(value: &Bson) -> Result<i64> {
    Ok(match value {
        Bson::Int32(n) => i64::from(*n),
        Bson::Int64(n) => *n,
        Bson::Double(n) if *n >= -(2f64.powi(63)) && *n < 2f64.powi(63) => *n as i64,
        Bson::Double(n) => {
            return Err(MqlError::new(
                31109,
                format!("Can't coerce out of range value {} to long", short(*n)),
            ));
        }
        Bson::Decimal128(n) => Decimal::from(*n)
            .to_i64(Rounding::HalfEven)
            .unwrap_or(i64::MIN),
        other => {
            return Err(MqlError::new(
                16004,
                format!("can't convert from BSON type {} to long", type_name(other)),
            ));
        }
    })
}

/// A string from a string, number or date; null is empty.
pub(super) fn text(value: Option<&Bson>) -> Result<String> {
    let Some(value) = value else {
        return Ok(String::new());
    };
    match value {
        Bson::Null | Bson::Undefined => Ok(String::new()),
        Bson::Timestamp(at) => Ok(super::dates::stamp(*at)),
        value => super::convert::scalar_text(value)?.ok_or_else(|| {
            MqlError::new(
                16007,
                format!(
                    "can't convert from BSON type {} to String",
                    type_name(value)
                ),
            )
        }),
    }
}

/// A double as C++ streams write it: six digits, an exponent where it is far
/// from one.
pub(super) fn short(n: f64) -> String {
    if n.is_nan() {
        return if n.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if n.is_infinite() {
        return if n < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    general(n, 6)
}

/// C's `%.{digits}g`.
pub(super) fn general(n: f64, digits: usize) -> String {
    let scientific = format!("{n:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
    } else {
        let places = (digits as i32 - 1 - exponent).max(0) as usize;
        trimmed(&format!("{n:.places$}"))
    }
}
