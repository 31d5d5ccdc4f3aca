//! Sizes in bytes, and the parts of timestamps.

use bson::Bson;

use super::describe::kind;
use super::is_nullish;
use crate::error::{MqlError, Result};
use crate::order::raw;

pub(super) fn binary_size(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let size = match values[0].as_ref() {
        value if is_nullish(value) => return Ok(Some(Bson::Null)),
        Some(Bson::String(text)) => text.len(),
        Some(Bson::Binary(binary)) => binary.bytes.len(),
        other => {
            return Err(MqlError::new(
                51276,
                format!(
                    "$binarySize requires a string or BinData argument, found: {}",
                    kind(other)
                ),
            ));
        }
    };
    Ok(Some(Bson::Int32(size as i32)))
}

pub(super) fn bson_size(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    Ok(Some(match values[0].as_ref() {
        value if is_nullish(value) => Bson::Null,
        Some(document @ Bson::Document(_)) => match raw(document) {
            bson::RawBson::Document(raw) => Bson::Int32(raw.as_bytes().len() as i32),
            _ => Bson::Null,
        },
        other => {
            return Err(MqlError::new(
                31393,
                format!(
                    "$bsonSize requires a document input, found: {}",
                    kind(other)
                ),
            ));
        }
    }))
}

/// `$tsSecond`, `$tsIncrement`.
pub(super) fn timestamp(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let seconds = name == "$tsSecond";
    Ok(Some(match values[0].as_ref() {
        value if is_nullish(value) => Bson::Null,
        Some(Bson::Timestamp(at)) => {
            Bson::Int64(i64::from(if seconds { at.time } else { at.increment }))
        }
        other => {
            return Err(MqlError::new(
                if seconds { 5_687_301 } else { 5_687_302 },
                format!(
                    " Argument to {name} must be a timestamp, but is {}",
                    kind(other)
                ),
            ));
        }
    }))
}
