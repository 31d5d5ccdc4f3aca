//! What values are called in messages.

use std::fmt::Write as _;

use bson::Bson;

use super::coerce::short;
use super::convert::type_name;

/// A value's type, or `missing`.
pub(super) fn kind(value: Option<&Bson>) -> &'static str {
    value.map_or("missing", type_name)
}

/// A value as MongoDB's messages write it.
pub(super) fn shown(value: Option<&Bson>) -> String {
    let Some(value) = value else {
        return "MISSING".to_owned();
    };
    match value {
        Bson::Double(n) => short(*n),
        Bson::String(text) => format!("\"{text}\""),
        Bson::DateTime(date) => super::dates::iso(*date),
        Bson::ObjectId(id) => id.to_hex(),
        Bson::Timestamp(at) => format!("Timestamp({}, {})", at.time, at.increment),
        Bson::RegularExpression(regex) => {
            format!("/{}/{}", regex.pattern.as_str(), regex.options.as_str())
        }
        Bson::Binary(binary) => {
            let mut text = format!("BinData({}, \"", u8::from(binary.subtype));
            for byte in &binary.bytes {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02X}");
            }
            text + "\")"
        }
        Bson::Array(array) => {
            let inner: Vec<String> = array.iter().map(|value| shown(Some(value))).collect();
            format!("[{}]", inner.join(", "))
        }
        Bson::Document(document) => {
            let inner: Vec<String> = document
                .iter()
                .map(|(name, value)| format!("{name}: {}", shown(Some(value))))
                .collect();
            format!("{{{}}}", inner.join(", "))
        }
        other => other.to_string(),
    }
}
