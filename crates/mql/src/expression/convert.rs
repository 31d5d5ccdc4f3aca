//! Types and conversions.

use bson::oid::ObjectId;
use bson::{Bson, DateTime};

use super::is_nullish;
use crate::error::{MqlError, Result};
use crate::number::double;

pub(super) fn call(name: &str, values: &[Option<Bson>]) -> Result<Option<Option<Bson>>> {
    let value = values.first().and_then(Option::as_ref);
    let to = match name {
        "$type" => {
            return Ok(Some(Some(Bson::String(
                value.map_or("missing", type_name).to_owned(),
            ))));
        }
        "$toBool" => "bool",
        "$toDate" => "date",
        "$toDouble" => "double",
        "$toInt" => "int",
        "$toLong" => "long",
        "$toObjectId" => "objectId",
        "$toString" => "string",
        _ => return Ok(None),
    };
    match value {
        None | Some(Bson::Null | Bson::Undefined) => Ok(Some(Some(Bson::Null))),
        Some(value) => Ok(Some(Some(one(value, to)?))),
    }
}

/// `$convert`.
pub(super) fn convert(
    value: &dyn Fn(&str) -> Result<Option<Bson>>,
    has: &dyn Fn(&str) -> bool,
) -> Result<Option<Bson>> {
    let input = value("input")?;
    let to = match value("to")? {
        Some(Bson::String(name)) => name,
        Some(other) => crate::number::whole(&other)
            .and_then(|n| NAMES.iter().find(|(number, _)| i64::from(*number) == n))
            .map(|(_, name)| (*name).to_owned())
            .ok_or_else(|| {
                MqlError::failed_to_parse("$convert's 'to' argument is not a known type")
            })?,
        None => return Ok(Some(Bson::Null)),
    };
    match input {
        input if is_nullish(input.as_ref()) => {
            if has("onNull") {
                value("onNull")
            } else {
                Ok(Some(Bson::Null))
            }
        }
        None => Ok(Some(Bson::Null)),
        Some(input) => match one(&input, &to) {
            Ok(converted) => Ok(Some(converted)),
            Err(_) if has("onError") => value("onError"),
            Err(error) => Err(error),
        },
    }
}

const NAMES: &[(i8, &str)] = &[
    (1, "double"),
    (2, "string"),
    (7, "objectId"),
    (8, "bool"),
    (9, "date"),
    (16, "int"),
    (18, "long"),
];

fn failure(text: impl std::fmt::Display) -> MqlError {
    MqlError::new(241, text.to_string())
}

fn one(value: &Bson, to: &str) -> Result<Bson> {
    let unsupported = || {
        failure(format!(
            "Unsupported conversion from {} to {to} in $convert with no onError value",
            type_name(value)
        ))
    };
    Ok(match to {
        "bool" => Bson::Boolean(match value {
            Bson::Boolean(b) => *b,
            other => double(other).is_none_or(|n| n != 0.0),
        }),
        "string" => Bson::String(text(value).ok_or_else(unsupported)?),
        "int" => {
            let n = integer(value, to)?;
            Bson::Int32(i32::try_from(n).map_err(|_| {
                failure("Conversion would overflow target type in $convert with no onError value")
            })?)
        }
        "long" => Bson::Int64(integer(value, to)?),
        "double" => Bson::Double(match value {
            Bson::String(text) => text.trim().parse().map_err(|_| {
                failure(format!(
                    "Failed to parse number '{text}' in $convert with no onError value"
                ))
            })?,
            Bson::Boolean(b) => f64::from(u8::from(*b)),
            Bson::DateTime(date) => date.timestamp_millis() as f64,
            other => double(other).ok_or_else(unsupported)?,
        }),
        "date" => Bson::DateTime(match value {
            Bson::DateTime(date) => *date,
            Bson::ObjectId(id) => id.timestamp(),
            Bson::Timestamp(stamp) => DateTime::from_millis(i64::from(stamp.time) * 1000),
            Bson::Int64(ms) => DateTime::from_millis(*ms),
            Bson::Double(ms) => DateTime::from_millis(*ms as i64),
            Bson::String(text) => super::dates::parse(text)
                .ok_or_else(|| failure(format!("Error parsing date string '{text}'")))?,
            _ => return Err(unsupported()),
        }),
        "objectId" => Bson::ObjectId(match value {
            Bson::ObjectId(id) => *id,
            Bson::String(text) => ObjectId::parse_str(text).map_err(|_| {
                failure(format!(
                    "Failed to parse objectId '{text}' in $convert with no onError value"
                ))
            })?,
            _ => return Err(unsupported()),
        }),
        other => {
            return Err(MqlError::new(
                9,
                format!("unsupported target type '{other}' in $convert"),
            ));
        }
    })
}

fn integer(value: &Bson, to: &str) -> Result<i64> {
    let overflow =
        || failure("Conversion would overflow target type in $convert with no onError value");
    match value {
        Bson::Boolean(b) => Ok(i64::from(*b)),
        Bson::Int32(n) => Ok(i64::from(*n)),
        Bson::Int64(n) => Ok(*n),
        Bson::String(text) => text.parse().map_err(|_| {
            failure(format!(
                "Failed to parse number '{text}' in $convert with no onError value"
            ))
        }),
        Bson::DateTime(date) if to == "long" => Ok(date.timestamp_millis()),
        Bson::Double(_) | Bson::Decimal128(_) => {
            let n = double(value).unwrap_or(f64::NAN).trunc();
            if n.is_finite() && n.abs() < 9.2e18 {
                Ok(n as i64)
            } else {
                Err(overflow())
            }
        }
        other => Err(failure(format!(
            "Unsupported conversion from {} to {to} in $convert with no onError value",
            type_name(other)
        ))),
    }
}

/// A scalar's text, as `$toString` writes it.
fn text(value: &Bson) -> Option<String> {
    Some(match value {
        Bson::String(text) => text.clone(),
        Bson::Boolean(b) => b.to_string(),
        Bson::Int32(n) => n.to_string(),
        Bson::Int64(n) => n.to_string(),
        Bson::Double(n) if n.is_nan() => "NaN".to_owned(),
        Bson::Double(n) if n.is_infinite() => {
            if *n < 0.0 { "-Infinity" } else { "Infinity" }.to_owned()
        }
        Bson::Double(n) => n.to_string(),
        Bson::Decimal128(n) => n.to_string(),
        Bson::ObjectId(id) => id.to_hex(),
        Bson::DateTime(date) => super::dates::iso(*date),
        _ => return None,
    })
}

/// A string from a string, number or date; null is empty.
pub(super) fn coerce(value: Option<&Bson>, code: i32) -> Result<String> {
    match value {
        None | Some(Bson::Null | Bson::Undefined) => Ok(String::new()),
        Some(
            value @ (Bson::Document(_) | Bson::Array(_) | Bson::ObjectId(_) | Bson::Boolean(_)),
        ) => Err(MqlError::new(
            code,
            format!(
                "can't convert from BSON type {} to String",
                type_name(value)
            ),
        )),
        Some(value) => text(value).ok_or_else(|| {
            MqlError::new(
                code,
                format!(
                    "can't convert from BSON type {} to String",
                    type_name(value)
                ),
            )
        }),
    }
}

/// A type's alias.
pub(crate) fn type_name(value: &Bson) -> &'static str {
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
