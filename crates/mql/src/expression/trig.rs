//! Angles and hyperbolas.

use bson::{Bson, Decimal128};

use super::coerce::short;
use super::convert::type_name;
use super::is_nullish;
use super::numbers::unary;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::number::{decimal, double, is_number};

/// A function of one number, and where it has values.
struct Function {
    name: &'static str,
    of_double: fn(f64) -> f64,
    of_decimal: fn(Decimal) -> Option<Decimal>,
    bounds: Bounds,
}

#[derive(Clone, Copy, PartialEq)]
enum Bounds {
    None,
    Finite,
    One,
    FromOne,
}

const fn function(
    name: &'static str,
    of_double: fn(f64) -> f64,
    of_decimal: fn(Decimal) -> Option<Decimal>,
    bounds: Bounds,
) -> Function {
    Function {
        name,
        of_double,
        of_decimal,
        bounds,
    }
}

const FUNCTIONS: &[Function] = &[
    function("$sin", f64::sin, Decimal::sin, Bounds::Finite),
    function("$cos", f64::cos, Decimal::cos, Bounds::Finite),
    function("$tan", f64::tan, Decimal::tan, Bounds::Finite),
    function("$asin", f64::asin, |n| Some(n.asin()), Bounds::One),
    function("$acos", f64::acos, |n| Some(n.acos()), Bounds::One),
    function("$atan", f64::atan, |n| Some(n.atan()), Bounds::None),
    function("$sinh", f64::sinh, |n| Some(n.sinh()), Bounds::None),
    function("$cosh", f64::cosh, |n| Some(n.cosh()), Bounds::None),
    function("$tanh", f64::tanh, |n| Some(n.tanh()), Bounds::None),
    function("$asinh", f64::asinh, |n| Some(n.asinh()), Bounds::None),
    function("$acosh", f64::acosh, |n| Some(n.acosh()), Bounds::FromOne),
    function("$atanh", f64::atanh, |n| Some(n.atanh()), Bounds::One),
    function(
        "$degreesToRadians",
        |n| n * (std::f64::consts::PI / 180.0),
        |n| Some(n.radians()),
        Bounds::None,
    ),
    function(
        "$radiansToDegrees",
        |n| n * (180.0 / std::f64::consts::PI),
        |n| Some(n.degrees()),
        Bounds::None,
    ),
];

pub(super) fn call(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        return Ok(None);
    };
    unary(name, values, |value| {
        let n = double(value).unwrap_or(f64::NAN);
        let (inside, range) = match function.bounds {
            Bounds::None => (true, ""),
            Bounds::Finite => (n.is_nan() || is_finite(value, n), "(-inf,inf)"),
            Bounds::One => (n.is_nan() || n.abs() <= 1.0, "[-1,1]"),
            Bounds::FromOne => (n.is_nan() || n >= 1.0, "[1,inf]"),
        };
        if !inside {
            let shown = match value {
                Bson::Decimal128(n) => n.to_string(),
                _ => short(n),
            };
            return Err(MqlError::new(
                50989,
                format!("cannot apply {name} to {shown}, value must be in {range}"),
            ));
        }
        match value {
            Bson::Decimal128(n) => match (function.of_decimal)((*n).into()) {
                Some(of) if of.is_zero() => {
                    let of = Decimal::from(*n).zero_of(name, of);
                    Ok(Bson::Decimal128(of.into()))
                }
                Some(of) => Ok(Bson::Decimal128(of.into())),
                None => Err(too_large(name, *n)),
            },
            _ => Ok(Bson::Double((function.of_double)(n))),
        }
    })
}

/// A decimal may be finite where no double is.
fn is_finite(value: &Bson, n: f64) -> bool {
    match value {
        Bson::Decimal128(n) => matches!(Decimal::from(*n), Decimal::Finite(_)),
        _ => n.is_finite(),
    }
}

fn too_large(name: &str, n: Decimal128) -> MqlError {
    MqlError::new(
        238,
        format!("{name} of a decimal as large as {n} is not supported"),
    )
}

pub(super) fn atan2(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    for (value, code) in values.iter().zip([51044, 51045]) {
        match value {
            value if is_nullish(value.as_ref()) => return Ok(Some(Bson::Null)),
            Some(value) if !is_number(value) => {
                return Err(MqlError::new(
                    code,
                    format!(
                        "$atan2 only supports numeric types, not {}",
                        type_name(value)
                    ),
                ));
            }
            _ => {}
        }
    }
    let [Some(y), Some(x)] = values else {
        return Ok(Some(Bson::Null));
    };
    if matches!(y, Bson::Decimal128(_)) || matches!(x, Bson::Decimal128(_)) {
        return Ok(Some(Bson::Decimal128(decimal(y).atan2(decimal(x)).into())));
    }
    let (y, x) = (double(y).unwrap_or(f64::NAN), double(x).unwrap_or(f64::NAN));
    Ok(Some(Bson::Double(y.atan2(x))))
}
