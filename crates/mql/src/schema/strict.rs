//! What `$jsonSchema` refuses: keywords that MongoDB does not know, and values
//! of the wrong shape. The service's own schemas are read more generously.

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};

use crate::error::{MqlError, Result, guard};
use crate::matcher::{malformed, type_name, type_number};
use crate::regex::Regex;

/// Keywords of JSON schema that MongoDB names as unsupported.
const UNSUPPORTED: &[&str] = &["$ref", "$schema", "default", "definitions", "format", "id"];
/// The keywords in the order in which MongoDB looks at them.
const ORDER: &[&str] = &[
    "title",
    "description",
    "type",
    "bsonType",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "multipleOf",
    "maxItems",
    "minItems",
    "uniqueItems",
    "items",
    "additionalItems",
    "required",
    "properties",
    "patternProperties",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "dependencies",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "enum",
];
/// Keywords of client-side encryption.
const ENCRYPTION: &[&str] = &["encrypt", "encryptMetadata"];

/// Refuses a schema that MongoDB refuses.
///
/// # Errors
/// 9 for keywords, 14 for wrong types, 2 for empty lists of schemas.
pub(super) fn check(schema: &RawDocument, depth: usize) -> Result<()> {
    guard(depth)?;
    let mut keywords = Vec::new();
    for entry in schema {
        let (name, value) = entry.map_err(malformed)?;
        let Some(at) = ORDER.iter().position(|known| name == *known) else {
            return Err(unknown(name.as_str()));
        };
        keywords.push((at, name.as_str(), value));
    }
    let has = |name: &str| matches!(schema.get(name), Ok(Some(_)));
    if has("type") && has("bsonType") {
        return Err(parse_error(
            "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'",
        ));
    }
    keywords.sort_by_key(|(at, ..)| *at);
    for (_, name, value) in keywords {
        keyword(name, value, depth)?;
    }
    for (strict, limit) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        if has(strict) && !has(limit) {
            return Err(parse_error(format!(
                "$jsonSchema keyword '{limit}' must be a present if {strict} is present"
            )));
        }
    }
    Ok(())
}

/// The refusal of a keyword that is not in [`ORDER`].
fn unknown(name: &str) -> MqlError {
    if UNSUPPORTED.contains(&name) || ENCRYPTION.contains(&name) {
        return parse_error(format!(
            "$jsonSchema keyword '{name}' is not currently supported"
        ));
    }
    parse_error(format!("Unknown $jsonSchema keyword: {name}"))
}

fn parse_error(text: impl Into<String>) -> MqlError {
    MqlError::failed_to_parse(text)
}

fn wrong(keyword: &str, must: &str) -> MqlError {
    MqlError::type_mismatch(format!("$jsonSchema keyword '{keyword}' must be {must}"))
}

fn keyword(name: &str, value: RawBsonRef<'_>, depth: usize) -> Result<()> {
    let schema = |value: RawBsonRef<'_>, error: MqlError| match value {
        RawBsonRef::Document(inner) => check(inner, depth + 1),
        _ => Err(error),
    };
    match name {
        "title" | "description" | "pattern" => match value {
            RawBsonRef::String(_) if name != "pattern" => Ok(()),
            RawBsonRef::String(pattern) => Regex::new(pattern, "").map(|_| ()),
            _ if name == "pattern" => Err(wrong(name, "a string")),
            _ => Err(wrong(name, "of type string")),
        },
        "type" | "bsonType" => types(name, value),
        "minimum" | "maximum" => number(name, value).map(|_| ()),
        "multipleOf" => {
            if number(name, value)? > 0.0 {
                Ok(())
            } else {
                Err(parse_error(
                    "$jsonSchema keyword 'multipleOf' must have a positive value",
                ))
            }
        }
        "exclusiveMinimum" | "exclusiveMaximum" | "uniqueItems" => match value {
            RawBsonRef::Boolean(_) => Ok(()),
            _ => Err(wrong(name, "a boolean")),
        },
        "properties" => {
            for (property, inner) in object(name, value)?.iter().flatten() {
                let text = format!(
                    "Nested schema for $jsonSchema property '{property}' must be an object"
                );
                schema(inner, MqlError::type_mismatch(text))?;
            }
            Ok(())
        }
        "patternProperties" => {
            for (pattern, inner) in object(name, value)?.iter().flatten() {
                let text = format!(
                    "$jsonSchema keyword '{name}' has property '{pattern}' which is not an object"
                );
                schema(inner, MqlError::type_mismatch(text))?;
                Regex::new(pattern.as_str(), "").map_err(|error| {
                    let why = error.message.replace("Regular expression is invalid: ", "");
                    MqlError::bad_value(format!("Invalid regular expression: {why}"))
                })?;
            }
            Ok(())
        }
        "additionalProperties" | "additionalItems" => match value {
            RawBsonRef::Boolean(_) => Ok(()),
            other => schema(other, wrong(name, "an object or a boolean")),
        },
        "items" => match value {
            RawBsonRef::Array(inner) => schemas(name, inner, depth),
            other => schema(other, wrong(name, "an array or an object")),
        },
        "required" => names(name, value, &format!("$jsonSchema keyword '{name}'")),
        "enum" => choices(name, value),
        "allOf" | "anyOf" | "oneOf" => match value {
            RawBsonRef::Array(inner) if inner.is_empty() => Err(MqlError::bad_value(format!(
                "$jsonSchema keyword '{name}' must be a non-empty array"
            ))),
            RawBsonRef::Array(inner) => schemas(name, inner, depth),
            _ => Err(wrong(name, "an array")),
        },
        "not" => schema(value, wrong(name, "an object")),
        "dependencies" => {
            for (property, dependency) in object(name, value)?.iter().flatten() {
                let subject = format!("property '{property}' in $jsonSchema keyword '{name}'");
                match dependency {
                    RawBsonRef::Array(_) => names(name, dependency, &subject)?,
                    other => {
                        let text = format!("{subject} must be either an object or an array");
                        schema(other, MqlError::type_mismatch(text))?;
                    }
                }
            }
            Ok(())
        }
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            count(name, value)
        }
        _ => Err(unknown(name)),
    }
}

fn number(keyword: &str, value: RawBsonRef<'_>) -> Result<f64> {
    super::number(value).ok_or_else(|| wrong(keyword, "a number"))
}

fn count(keyword: &str, value: RawBsonRef<'_>) -> Result<()> {
    let n = number(keyword, value)
        .map_err(|_| parse_error(format!("$jsonSchema keyword '{keyword}' must be a number")))?;
    if n >= 0.0 && n.fract() == 0.0 {
        Ok(())
    } else {
        Err(parse_error(format!(
            "$jsonSchema keyword '{keyword}' must be a non-negative integer"
        )))
    }
}

fn object<'a>(keyword: &str, value: RawBsonRef<'a>) -> Result<&'a RawDocument> {
    match value {
        RawBsonRef::Document(document) => Ok(document),
        _ => Err(wrong(keyword, "an object")),
    }
}

fn schemas(keyword: &str, list: &RawArray, depth: usize) -> Result<()> {
    for inner in list {
        match inner.map_err(malformed)? {
            RawBsonRef::Document(inner) => check(inner, depth + 1)?,
            other => {
                let must = format!(
                    "an array of objects, but found an element of type {}",
                    type_name(other)
                );
                return Err(wrong(keyword, &must));
            }
        }
    }
    Ok(())
}

/// A list of names, without duplicates.
fn names(keyword: &str, value: RawBsonRef<'_>, subject: &str) -> Result<()> {
    let RawBsonRef::Array(list) = value else {
        let must = format!(
            "an array, but found an element of type {}",
            type_name(value)
        );
        return Err(wrong(keyword, &must));
    };
    let mut found: Vec<&str> = Vec::new();
    for entry in list {
        match entry.map_err(malformed)? {
            RawBsonRef::String(name) if found.contains(&name) => {
                return Err(parse_error(format!(
                    "{subject} array cannot contain duplicate values"
                )));
            }
            RawBsonRef::String(name) => found.push(name),
            other => {
                return Err(MqlError::type_mismatch(format!(
                    "{subject} must be an array of strings, but found an element of type: {}",
                    type_name(other)
                )));
            }
        }
    }
    if found.is_empty() {
        return Err(parse_error(format!("{subject} cannot be an empty array")));
    }
    Ok(())
}

fn choices(keyword: &str, value: RawBsonRef<'_>) -> Result<()> {
    let RawBsonRef::Array(list) = value else {
        let must = format!(
            "an array, but found an element of type {}",
            type_name(value)
        );
        return Err(wrong(keyword, &must));
    };
    let mut found: Vec<Vec<u8>> = list.into_iter().flatten().map(super::identity).collect();
    if found.is_empty() {
        return Err(parse_error(
            "$jsonSchema keyword 'enum' cannot be an empty array",
        ));
    }
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(parse_error(
            "$jsonSchema keyword 'enum' array cannot contain duplicate values.",
        ));
    }
    Ok(())
}

fn types(keyword: &str, value: RawBsonRef<'_>) -> Result<()> {
    let known = |name: &str| {
        if name == "integer" {
            return Err(parse_error(
                "$jsonSchema type 'integer' is not currently supported.",
            ));
        }
        let json = matches!(
            name,
            "object" | "array" | "number" | "boolean" | "string" | "null"
        );
        let bson = name == "number" || type_number(name).is_some();
        if (keyword == "type" && json) || (keyword == "bsonType" && bson) {
            return Ok(());
        }
        Err(MqlError::bad_value(format!(
            "Unknown type name alias: {name}"
        )))
    };
    match value {
        RawBsonRef::String(name) => known(name),
        RawBsonRef::Array(list) => {
            let mut found: Vec<&str> = Vec::new();
            for entry in list {
                let RawBsonRef::String(name) = entry.map_err(malformed)? else {
                    let text =
                        format!("$jsonSchema keyword '{keyword}' array elements must be strings");
                    return Err(MqlError::type_mismatch(text));
                };
                known(name)?;
                if found.contains(&name) {
                    return Err(parse_error(format!(
                        "$jsonSchema keyword '{keyword}' has duplicate value: {name}"
                    )));
                }
                found.push(name);
            }
            if found.is_empty() {
                return Err(parse_error(format!(
                    "$jsonSchema keyword '{keyword}' must name at least one type"
                )));
            }
            Ok(())
        }
        _ => Err(wrong(keyword, "either a string or an array of strings")),
    }
}
