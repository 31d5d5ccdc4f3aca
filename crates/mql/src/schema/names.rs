//! What the service calls types when it tells that one is wrong
//! (rules-schemas.md §12, §13.2).

use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Bson, Document};

/// Every name that a value answers to.
pub(super) fn of(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double number float mixed",
        RawBsonRef::Int32(_) => "int number mixed",
        RawBsonRef::Int64(_) => "long number mixed",
        RawBsonRef::Decimal128(_) => "decimal number mixed",
        RawBsonRef::String(_) => "string mixed",
        RawBsonRef::Document(_) => "object mixed",
        RawBsonRef::Array(_) => "array mixed",
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => "uuid binData mixed",
        RawBsonRef::Binary(_) => "binData mixed",
        RawBsonRef::ObjectId(_) => "objectId mixed",
        RawBsonRef::Boolean(_) => "bool boolean mixed",
        RawBsonRef::DateTime(_) => "date mixed",
        RawBsonRef::Null => "null mixed",
        RawBsonRef::RegularExpression(_) => "regex mixed",
        RawBsonRef::Timestamp(_) => "timestamp mixed",
        RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_) => {
            "javascript mixed"
        }
        RawBsonRef::Symbol(_) => "symbol mixed",
        RawBsonRef::MinKey => "minKey mixed",
        RawBsonRef::MaxKey => "maxKey mixed",
        RawBsonRef::Undefined | RawBsonRef::DbPointer(_) => "mixed",
    }
}

/// The types that a schema asks for, as it writes them.
pub(super) fn expected(schema: &Document) -> String {
    let written = |keyword: &str| match schema.get(keyword) {
        Some(Bson::String(name)) => name.clone(),
        Some(Bson::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Bson::as_str).collect();
            format!("[{}]", names.join(" "))
        }
        _ => "undefined".to_owned(),
    };
    format!(
        "type: {}, bsonType: {}",
        written("type"),
        written("bsonType")
    )
}
