//! Values as MongoDB's messages show them.

use bson::{Bson, Document};

/// A document as MongoDB's messages show it: `{ a: 1, b: "x" }`.
pub(crate) fn shown(document: &Document) -> String {
    if document.is_empty() {
        return "{}".to_owned();
    }
    let fields: Vec<String> = document
        .iter()
        .map(|(name, value)| format!("{name}: {}", value_shown(value)))
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

/// A value as MongoDB's messages show it.
pub(crate) fn value_shown(value: &Bson) -> String {
    match value {
        Bson::Document(inner) => shown(inner),
        Bson::Array(values) if values.is_empty() => "[]".to_owned(),
        Bson::Array(values) => {
            let values: Vec<String> = values.iter().map(value_shown).collect();
            format!("[ {} ]", values.join(", "))
        }
        Bson::Double(n) if n.is_infinite() => if *n > 0.0 { "inf.0" } else { "-inf.0" }.to_owned(),
        Bson::Double(n) if n.is_nan() => "nan.0".to_owned(),
        Bson::Double(n) if n.trunc() == *n => format!("{n:.1}"),
        Bson::Double(n) => n.to_string(),
        Bson::String(text) => format!("\"{text}\""),
        Bson::ObjectId(id) => format!("ObjectId('{id}')"),
        Bson::DateTime(date) => format!("new Date({})", date.timestamp_millis()),
        Bson::Timestamp(stamp) => format!("Timestamp({}, {})", stamp.time, stamp.increment),
        Bson::RegularExpression(regex) => format!("/{}/{}", regex.pattern, regex.options),
        Bson::Binary(binary) => {
            use std::fmt::Write as _;
            let mut hex = String::with_capacity(binary.bytes.len() * 2);
            for byte in &binary.bytes {
                let _ = write!(hex, "{byte:02X}");
            }
            format!("BinData({}, {hex})", u8::from(binary.subtype))
        }
        Bson::Int32(n) => n.to_string(),
        Bson::Int64(n) => n.to_string(),
        Bson::Boolean(value) => value.to_string(),
        Bson::Null => "null".to_owned(),
        Bson::Undefined => "undefined".to_owned(),
        Bson::MinKey => "MinKey".to_owned(),
        Bson::MaxKey => "MaxKey".to_owned(),
        other => other.to_string(),
    }
}
