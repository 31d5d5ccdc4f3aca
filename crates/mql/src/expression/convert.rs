//! Types and conversions.

use std::fmt::Display;

use bson::oid::ObjectId;
use bson::{Bson, DateTime};

use super::coerce::short;
use super::describe::kind;
use super::{Args, is_nullish};
use crate::decimal::{Decimal, Rounding};
use crate::error::{MqlError, Result};
use crate::number::{decimal, double, is_number, whole_i32};

pub(super) fn type_of(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(Some(Bson::String(kind(values[0].as_ref()).to_owned())))
}

/// `$toInt` and its kin.
pub(super) fn to(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let to = match name {
        "$toBool" => Target::Bool,
        "$toDate" => Target::Date,
        "$toDecimal" => Target::Decimal,
        "$toDouble" => Target::Double,
        "$toInt" => Target::Int,
        "$toLong" => Target::Long,
        "$toObjectId" => Target::ObjectId,
        _ => Target::String,
    };
    match &values[0] {
        None | Some(Bson::Null | Bson::Undefined) => Ok(Some(Bson::Null)),
        Some(value) => one(value, to).map(Some),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Double,
    String,
    ObjectId,
    Bool,
    Date,
    Int,
    Long,
    Decimal,
    /// A type that nothing converts to.
    Other(&'static str),
}

/// Types by number and name.
const TARGETS: &[(i32, Target)] = &[
    (1, Target::Double),
    (2, Target::String),
    (7, Target::ObjectId),
    (8, Target::Bool),
    (9, Target::Date),
    (16, Target::Int),
    (18, Target::Long),
    (19, Target::Decimal),
    (-1, Target::Other("minKey")),
    (0, Target::Other("missing")),
    (3, Target::Other("object")),
    (4, Target::Other("array")),
    (5, Target::Other("binData")),
    (6, Target::Other("undefined")),
    (10, Target::Other("null")),
    (11, Target::Other("regex")),
    (12, Target::Other("dbPointer")),
    (13, Target::Other("javascript")),
    (14, Target::Other("symbol")),
    (15, Target::Other("javascriptWithScope")),
    (17, Target::Other("timestamp")),
    (127, Target::Other("maxKey")),
];

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::String => "string",
            Self::ObjectId => "objectId",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Int => "int",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Other(name) => name,
        }
    }

    /// What `to` says; `None` when it says nothing.
    fn parse(value: Option<Bson>) -> Result<Option<Self>> {
        let found = match &value {
            value if is_nullish(value.as_ref()) => return Ok(None),
            Some(Bson::String(name)) => TARGETS
                .iter()
                .find(|(_, target)| target.name() == name)
                .ok_or_else(|| MqlError::bad_value(format!("Unknown type name: {name}")))?,
            Some(number) if is_number(number) => {
                let code = whole_i32(number).ok_or_else(|| {
                    MqlError::failed_to_parse(
                        "In $convert, numeric 'to' argument is not an integer",
                    )
                })?;
                TARGETS
                    .iter()
                    .find(|(known, _)| *known == code)
                    .ok_or_else(|| {
                        MqlError::failed_to_parse(format!(
                            "In $convert, numeric value for 'to' does not correspond to a BSON type: {code}"
                        ))
                    })?
            }
            other => {
                return Err(MqlError::failed_to_parse(format!(
                    "$convert's 'to' argument must be a string or number, but is {}",
                    kind(other.as_ref())
                )));
            }
        };
        Ok(Some(found.1))
    }
}

/// `$convert`.
pub(super) fn convert(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let (to, input) = (args.owned(1)?, args.owned(0)?);
    let to = Target::parse(to)?;
    let Some(input) = input.filter(|value| !is_nullish(Some(value))) else {
        return match args.node(3) {
            Some(_) => args.owned(3),
            None => Ok(Some(Bson::Null)),
        };
    };
    let Some(to) = to else {
        return Ok(Some(Bson::Null));
    };
    match one(&input, to) {
        Ok(converted) => Ok(Some(converted)),
        Err(error) if error.code == FAILURE && args.node(2).is_some() => args.owned(2),
        Err(error) => Err(error),
    }
}

/// `ConversionFailure`.
const FAILURE: i32 = 241;

fn failure(text: impl Display, detail: &str) -> MqlError {
    MqlError::new(
        FAILURE,
        format!("{text} in $convert with no onError value{detail}"),
    )
}

fn overflow(value: &Bson) -> MqlError {
    let shown = match value {
        Bson::Double(n) => short(*n),
        Bson::Decimal128(n) => n.to_string(),
        _ => String::new(),
    };
    failure(
        "Conversion would overflow target type",
        &format!(": {shown}"),
    )
}

fn unsupported(value: &Bson, to: Target) -> MqlError {
    failure(
        format!(
            "Unsupported conversion from {} to {}",
            type_name(value),
            to.name()
        ),
        "",
    )
}

fn unreadable(text: &str, why: &str) -> MqlError {
    failure(
        format!("Failed to parse number '{text}'"),
        &format!(": {why}"),
    )
}

fn one(value: &Bson, to: Target) -> Result<Bson> {
    Ok(match to {
        Target::Bool => Bson::Boolean(match value {
            Bson::Boolean(b) => *b,
            other => double(other).is_none_or(|_| !is_zero(other)),
        }),
        Target::String => Bson::String(match value {
            Bson::Double(n) if n.is_nan() => "NaN".to_owned(),
            Bson::Double(n) if n.is_infinite() => {
                if *n < 0.0 { "-Infinity" } else { "Infinity" }.to_owned()
            }
            Bson::Boolean(b) => b.to_string(),
            Bson::ObjectId(id) => id.to_hex(),
            Bson::JavaScriptCode(_) | Bson::Symbol(_) => return Err(unsupported(value, to)),
            other => scalar_text(other)?.ok_or_else(|| unsupported(value, to))?,
        }),
        Target::Int => {
            let n = whole(value, to)?;
            Bson::Int32(i32::try_from(n).map_err(|_| match value {
                Bson::String(text) => unreadable(text, "Overflow"),
                _ => overflow(value),
            })?)
        }
        Target::Long => Bson::Int64(whole(value, to)?),
        Target::Double => Bson::Double(match value {
            Bson::String(text) => parse_double(text)?,
            Bson::Boolean(b) => f64::from(u8::from(*b)),
            Bson::DateTime(date) => date.timestamp_millis() as f64,
            Bson::Decimal128(n) => {
                let n = Decimal::from(*n);
                let double = n.to_f64();
                let finite = matches!(n, Decimal::Finite(_));
                if finite && (double.is_infinite() || (double == 0.0 && !n.is_zero())) {
                    return Err(overflow(value));
                }
                double
            }
            other => double(other).ok_or_else(|| unsupported(value, to))?,
        }),
        Target::Decimal => Bson::Decimal128(match value {
            Bson::String(text) => parse_decimal(text)?.into(),
            Bson::Boolean(b) => Decimal::from(i64::from(*b)).into(),
            Bson::DateTime(date) => Decimal::from(date.timestamp_millis()).into(),
            other if is_number(other) => decimal(other).into(),
            _ => return Err(unsupported(value, to)),
        }),
        Target::Date => Bson::DateTime(match value {
            Bson::DateTime(date) => *date,
            Bson::ObjectId(id) => id.timestamp(),
            Bson::Timestamp(at) => DateTime::from_millis(i64::from(at.time) * 1000),
            Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => {
                DateTime::from_millis(whole(value, to)?)
            }
            Bson::String(text) => super::dates::read(text)?,
            _ => return Err(unsupported(value, to)),
        }),
        Target::ObjectId => Bson::ObjectId(match value {
            Bson::ObjectId(id) => *id,
            Bson::String(text) => object_id(text)?,
            _ => return Err(unsupported(value, to)),
        }),
        Target::Other(_) => return Err(unsupported(value, to)),
    })
}

fn is_zero(value: &Bson) -> bool {
    match value {
        Bson::Decimal128(n) => Decimal::from(*n).is_zero(),
        other => double(other) == Some(0.0),
    }
}

fn object_id(text: &str) -> Result<ObjectId> {
    let refused = |why: String| {
        failure(
            format!("Failed to parse objectId '{text}'"),
            &format!(": {why}"),
        )
    };
    if text.len() != 24 {
        return Err(refused(format!(
            "Invalid string length for parsing to OID, expected 24 but found {}",
            text.len()
        )));
    }
    if let Some(wrong) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(refused(format!(
            "Invalid character found in hex string: {wrong}"
        )));
    }
    ObjectId::parse_str(text).map_err(|error| refused(error.to_string()))
}

/// A whole number for an int, a long or a date, its fraction cut off.
fn whole(value: &Bson, to: Target) -> Result<i64> {
    Ok(match value {
        Bson::Boolean(b) => i64::from(*b),
        Bson::Int32(n) => i64::from(*n),
        Bson::Int64(n) => *n,
        Bson::String(text) => parse_whole(text)?,
        Bson::DateTime(date) if to == Target::Long => date.timestamp_millis(),
        Bson::Double(_) | Bson::Decimal128(_) => {
            let n = match value {
                Bson::Decimal128(n) => Decimal::from(*n),
                other => Decimal::of_f64_exact(double(other).unwrap_or(f64::NAN)),
            };
            match n {
                Decimal::Nan => {
                    return Err(failure("Attempt to convert NaN value to integer type", ""));
                }
                Decimal::Infinite { .. } => {
                    return Err(failure(
                        "Attempt to convert infinity value to integer type",
                        "",
                    ));
                }
                Decimal::Finite(_) => {}
            }
            // What is beyond a type by a fraction is beyond it for doubles.
            let beyond = to == Target::Int
                && matches!(value, Bson::Double(n) if *n > 2_147_483_647.0 || *n < -2_147_483_648.0);
            match n.to_i64(Rounding::Down) {
                Some(n) if !beyond => n,
                _ => return Err(overflow(value)),
            }
        }
        other => return Err(unsupported(other, to)),
    })
}

fn is_hexadecimal(text: &str) -> bool {
    text.starts_with("0x")
}

fn hexadecimal(text: &str) -> MqlError {
    failure("Illegal hexadecimal input", &format!(": {text}"))
}

fn parse_whole(text: &str) -> Result<i64> {
    if is_hexadecimal(text) {
        return Err(hexadecimal(text));
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() {
        return Err(unreadable(text, "No digits"));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unreadable(text, "Did not consume whole string."));
    }
    text.parse().map_err(|_| unreadable(text, "Overflow"))
}

fn parse_double(text: &str) -> Result<f64> {
    if is_hexadecimal(text) {
        return Err(hexadecimal(text));
    }
    let why = if text.is_empty() {
        "Empty string"
    } else if text.starts_with(|c: char| c.is_ascii_whitespace()) {
        "Leading whitespace"
    } else {
        match text.parse::<f64>() {
            // Out of range is also what is not zero but too small.
            Ok(n)
                if (n.is_infinite() && text.contains(|c: char| c.is_ascii_digit()))
                    || (n == 0.0 && is_written_nonzero(text)) =>
            {
                "Out of range"
            }
            Ok(n) => return Ok(n),
            Err(_) => {
                let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
                if unsigned.starts_with(|c: char| c.is_ascii_digit()) {
                    "Did not consume whole string."
                } else {
                    "Did not consume any digits"
                }
            }
        }
    };
    Err(unreadable(text, why))
}

fn is_written_nonzero(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn parse_decimal(text: &str) -> Result<Decimal> {
    if is_hexadecimal(text) {
        return Err(hexadecimal(text));
    }
    if text.is_empty() {
        return Err(unreadable(text, "Empty string"));
    }
    let Ok(n) = text.parse::<Decimal>() else {
        return Err(unreadable(text, "Failed to parse string to decimal"));
    };
    let written = text.contains(|c: char| c.is_ascii_digit());
    if written && matches!(n, Decimal::Infinite { .. }) {
        return Err(unreadable(
            text,
            "Conversion from string to decimal would overflow",
        ));
    }
    if n.is_zero() && is_written_nonzero(text) {
        return Err(unreadable(
            text,
            "Conversion from string to decimal would underflow",
        ));
    }
    Ok(n)
}

/// The text of what has one in more than `$toString`.
///
/// # Errors
/// 18537 for a date whose year has more or fewer than four digits.
pub(super) fn scalar_text(value: &Bson) -> Result<Option<String>> {
    Ok(Some(match value {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text.clone(),
        Bson::Int32(n) => n.to_string(),
        Bson::Int64(n) => n.to_string(),
        Bson::Double(n) => short(*n),
        Bson::Decimal128(n) => n.to_string(),
        Bson::DateTime(date) => super::dates::iso_text(*date)?,
        _ => return Ok(None),
    }))
}

/// The alias of a value's type.
pub fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Double(_) => "double",
        Bson::String(_) => "string",
        Bson::Array(_) => "array",
        Bson::Document(_) => "object",
        Bson::Boolean(_) => "bool",
        Bson::Null => "null",
        Bson::RegularExpression(_) => "regex",
        Bson::JavaScriptCode(_) => "javascript",
        Bson::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        Bson::Int32(_) => "int",
        Bson::Int64(_) => "long",
        Bson::Timestamp(_) => "timestamp",
        Bson::Binary(_) => "binData",
        Bson::ObjectId(_) => "objectId",
        Bson::DateTime(_) => "date",
        Bson::Symbol(_) => "symbol",
        Bson::Decimal128(_) => "decimal",
        Bson::Undefined => "undefined",
        Bson::MaxKey => "maxKey",
        Bson::MinKey => "minKey",
        Bson::DbPointer(_) => "dbPointer",
    }
}
