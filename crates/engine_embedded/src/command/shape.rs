//! The shapes of writes' statements.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument};
use engine::CommandError;
use kit::limit::WRITES_PER_COMMAND_MAX;
use mql::Pipeline;

use super::{document, flag};
use crate::mql as mql_error;

/// A field of a statement: its name and the names of its types.
pub(super) type Field = (&'static str, &'static [&'static str]);

/// The fields of an update's statement.
pub(super) const UPDATE: &[Field] = &[
    ("q", &["object"]),
    ("u", &["object", "array"]),
    ("c", &["object"]),
    ("multi", &["bool"]),
    ("upsert", &["bool"]),
    ("collation", &["object"]),
    ("arrayFilters", &["array"]),
    ("hint", &["string", "object"]),
];
/// The fields of a delete's statement; its limit may be anything.
pub(super) const DELETE: &[Field] = &[
    ("q", &["object"]),
    ("limit", &[]),
    ("collation", &["object"]),
    ("hint", &["string", "object"]),
];

/// Refuses a statement of the wrong shape, and the command with it.
fn check_statement(
    statement: &RawDocument,
    name: &str,
    fields: &[Field],
) -> Result<(), CommandError> {
    let command = name.trim_end_matches('s');
    for entry in statement {
        let (field, value) = entry?;
        let full = format!("BSON field '{command}.{name}.{field}'");
        let Some((_, types)) = fields.iter().find(|(known, _)| *known == field.as_str()) else {
            return Err(CommandError::new(
                40415,
                format!("{full} is an unknown field."),
            ));
        };
        let found = mql::type_name(value);
        // For these null is to be without; for a query, that is to lack it.
        let is_optional =
            *types == ["bool"] || ["c", "collation", "limit"].contains(&field.as_str());
        match (field.as_str(), value) {
            ("u", RawBsonRef::Array(stages)) => Pipeline::glance(stages).map_err(mql_error)?,
            ("arrayFilters", RawBsonRef::Array(filters)) => check_filters(filters, &full)?,
            _ => {}
        }
        if types.is_empty() || types.contains(&found) || (found == "null" && is_optional) {
            continue;
        }
        return Err(match field.as_str() {
            "q" if found == "null" => missing(&full),
            "arrayFilters" if found == "null" => no_object("arrayFilters"),
            "u" => no_update(),
            "hint" => no_hint(),
            _ => CommandError::new(
                14,
                format!(
                    "{full} is the wrong type '{found}', expected type '{}'",
                    types[0]
                ),
            ),
        });
    }
    if let Some(limit) = statement.get("limit")?
        && ![0.0, 1.0].contains(&number(limit))
    {
        let limit = Bson::try_from(limit)?;
        return Err(CommandError::new(
            9,
            format!("The limit field in delete objects must be 0 or 1. Got {limit}"),
        ));
    }
    for (field, _) in fields
        .iter()
        .filter(|(name, _)| matches!(*name, "q" | "u" | "limit"))
    {
        if statement.get(field)?.is_none() {
            return Err(missing(&format!("BSON field '{command}.{name}.{field}'")));
        }
    }
    Ok(())
}

fn no_update() -> CommandError {
    CommandError::new(9, "Update argument must be either an object or an array")
}

fn no_hint() -> CommandError {
    CommandError::new(9, "Hint must be a string or an object")
}

/// Refuses array filters that are no objects; MongoDB looks past nulls.
fn check_filters(filters: &RawArray, field: &str) -> Result<(), CommandError> {
    for filter in filters {
        let filter = filter?;
        if !matches!(filter, RawBsonRef::Document(_) | RawBsonRef::Null) {
            return Err(CommandError::new(
                14,
                format!(
                    "{field} holds the wrong type '{}', expected type 'object'",
                    mql::type_name(filter)
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses a findAndModify whose fields have the wrong types, one after another.
pub(super) fn check_single(command: &RawDocument) -> Result<(), CommandError> {
    for entry in command {
        let (name, value) = entry?;
        match (name.as_str(), value) {
            ("query" | "sort" | "fields" | "let" | "collation", _) => {
                document(command, name.as_str())?;
            }
            ("remove" | "new" | "upsert", _) => {
                flag(command, name.as_str())?;
            }
            ("update", RawBsonRef::Array(stages)) => {
                for stage in stages {
                    if !matches!(stage?, RawBsonRef::Document(_)) {
                        let text = "Each element of the 'pipeline' array must be an object";
                        return Err(CommandError::new(14, text));
                    }
                }
            }
            ("update", RawBsonRef::Document(_))
            | ("hint", RawBsonRef::Document(_) | RawBsonRef::String(_)) => {}
            ("update", _) => return Err(no_update()),
            ("hint", _) => return Err(no_hint()),
            ("arrayFilters", RawBsonRef::Array(filters)) => check_filters(filters, "arrayFilters")?,
            ("arrayFilters", RawBsonRef::Null) => return Err(no_object("arrayFilters")),
            ("arrayFilters", other) => {
                return Err(CommandError::new(
                    14,
                    format!(
                        "BSON field 'findAndModify.arrayFilters' is the wrong type '{}', expected type 'array'",
                        mql::type_name(other)
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A number of any type; what is none is 0.
pub(super) fn number(value: RawBsonRef<'_>) -> f64 {
    match value {
        RawBsonRef::Int32(n) => n.into(),
        RawBsonRef::Int64(n) => n as f64,
        RawBsonRef::Double(n) => n,
        RawBsonRef::Decimal128(n) => mql::decimal::to_double(n),
        _ => 0.0,
    }
}

fn missing(field: &str) -> CommandError {
    CommandError::new(40414, format!("{field} is missing but a required field"))
}

/// What null for a list is refused with.
fn no_object(field: &str) -> CommandError {
    CommandError::new(
        10065,
        format!("invalid parameter: expected an object ({field})"),
    )
}

/// The statements of a command, each parsed or refused by itself.
pub(super) fn list<T>(
    command: &RawDocument,
    name: &str,
    fields: &[Field],
    parse: impl Fn(&RawDocument) -> Result<T, CommandError>,
) -> Result<Vec<Result<T, CommandError>>, CommandError> {
    let array = match command.get(name)? {
        Some(RawBsonRef::Array(array)) => array,
        Some(RawBsonRef::Null) => return Err(no_object(name)),
        None | Some(RawBsonRef::Undefined) => {
            return Err(missing(&format!("BSON field '{name}'")));
        }
        Some(other) => {
            return Err(CommandError::new(
                14,
                format!(
                    "BSON field '{name}' is the wrong type '{}', expected type 'array'",
                    mql::type_name(other)
                ),
            ));
        }
    };
    let mut list = Vec::new();
    for entry in array {
        match entry? {
            RawBsonRef::Document(document) => {
                if !fields.is_empty() {
                    check_statement(document, name, fields)?;
                }
                list.push(parse(document));
            }
            // MongoDB looks past these.
            RawBsonRef::Null | RawBsonRef::Undefined => {}
            _ => return Err(CommandError::new(14, format!("'{name}' must hold objects"))),
        }
    }
    if list.is_empty() || list.len() > WRITES_PER_COMMAND_MAX {
        return Err(CommandError::new(
            16,
            format!(
                "Write batch sizes must be between 1 and {WRITES_PER_COMMAND_MAX}. Got {} operations.",
                list.len()
            ),
        ));
    }
    Ok(list)
}
