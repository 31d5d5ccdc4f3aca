//! `$fill`, which is a `$setWindowFields` and an `$addFields`.

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr};

use super::Stage;
use super::parse::{invalid, kind, unknown_field};
use super::reshape::{AddFields, key};
use super::window;
use crate::error::{MqlError, Result};
use crate::matcher::malformed;

/// Parses a `$fill` into the stages that it stands for.
pub(super) fn parse(operand: RawBsonRef<'_>, stages: &mut Vec<Stage>) -> Result<()> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::failed_to_parse(format!(
            "The $fill stage specification must be an object, found {}",
            kind(operand)
        )));
    };
    let (mut by, mut fields, mut sort, mut output) = (None, None, None, None);
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        match (name, value) {
            ("partitionByFields", value) => fields = Some(names("$fill", value)?),
            ("partitionBy" | "sortBy" | "output", RawBsonRef::Null | RawBsonRef::Undefined) => {}
            ("partitionBy", RawBsonRef::Document(value)) => by = Some(value.to_owned()),
            ("sortBy", RawBsonRef::Document(value)) => sort = Some(value),
            ("output", RawBsonRef::Document(value)) => output = Some(value),
            ("partitionBy" | "sortBy" | "output", other) => {
                return Err(wrong_type(&format!("$fill.{name}"), other, "object"));
            }
            _ => return Err(unknown_field("$fill", name)),
        }
    }
    let Some(output) = output else {
        return refused(
            40414,
            "BSON field '$fill.output' is missing but a required field",
        );
    };
    if output.is_empty() {
        return refused(
            6_050_203,
            "The output field in '$fill' must contain an object with at least one element",
        );
    }
    let (mut windows, mut added) = (RawDocumentBuf::new(), RawDocumentBuf::new());
    for entry in output {
        let (name, how) = entry.map_err(malformed)?;
        let RawBsonRef::Document(how) = how else {
            return refused(
                6_050_200,
                "Each fill output specification must be an object with exactly one field",
            );
        };
        let path = format!("${}", name.as_str());
        match filled(how)? {
            How::Method(function) => {
                let mut spec = RawDocumentBuf::new();
                spec.append(key(function)?, path);
                windows.append(name, spec);
            }
            How::Value(value) => {
                let mut either = RawArrayBuf::new();
                either.push(path);
                either.push(value);
                let mut spec = RawDocumentBuf::new();
                spec.append(cstr!("$ifNull"), either);
                added.append(name, spec);
            }
            How::Not => {}
        }
    }
    if by.is_some() && fields.is_some() {
        return refused(
            6_050_204,
            "Maximum one of 'partitionBy' and 'partitionByFields can be specified in '$fill'",
        );
    }
    if !windows.is_empty() {
        let mut spec = RawDocumentBuf::new();
        if let Some(fields) = fields {
            by = Some(document_of(&fields)?);
        }
        if let Some(by) = by {
            spec.append(cstr!("partitionBy"), by);
        }
        if let Some(sort) = sort {
            spec.append(cstr!("sortBy"), sort);
        }
        spec.append(cstr!("output"), windows);
        window::parse(RawBsonRef::Document(&spec), stages)?;
    }
    if !added.is_empty() {
        let fields = AddFields::parse(&added).map_err(|error| invalid("$addFields", error))?;
        stages.push(Stage::AddFields(fields));
    }
    Ok(())
}

/// How a field is filled.
enum How<'a> {
    Method(&'static str),
    Value(RawBsonRef<'a>),
    Not,
}

fn filled(how: &RawDocument) -> Result<How<'_>> {
    let (mut method, mut value) = (None, None);
    for entry in how {
        let (name, found) = entry.map_err(malformed)?;
        match (name.as_str(), found) {
            ("value", found) => value = Some(found),
            ("method", RawBsonRef::Null | RawBsonRef::Undefined) => {}
            ("method", RawBsonRef::String(name)) => method = Some(name),
            ("method", other) => return Err(wrong_type("$fill.method", other, "string")),
            (other, _) => return Err(unknown_field("$fill", other)),
        }
    }
    match (method, value) {
        (Some(_), Some(_)) => Err(MqlError::new(
            6_050_201,
            "Each fill output specification must have exactly one of 'method' or 'value' fields, not both",
        )),
        (Some("locf"), None) => Ok(How::Method("$locf")),
        (Some("linear"), None) => Ok(How::Method("$linearFill")),
        (Some(_), None) => Err(MqlError::new(
            6_050_202,
            "Method must be either locf or linear",
        )),
        (None, Some(value)) => Ok(How::Value(value)),
        (None, None) => Ok(How::Not),
    }
}

/// `partitionByFields`.
pub(super) fn names<'a>(stage: &str, value: RawBsonRef<'a>) -> Result<Vec<&'a str>> {
    let at = format!("{stage}.partitionByFields");
    let names = match value {
        RawBsonRef::Array(names) => names,
        RawBsonRef::Null => {
            return Err(MqlError::new(
                10065,
                "invalid parameter: expected an object (partitionByFields)",
            ));
        }
        other => return Err(wrong_type(&at, other, "array")),
    };
    let mut found = Vec::new();
    for (place, name) in names.into_iter().enumerate() {
        match name.map_err(malformed)? {
            RawBsonRef::String(name) => found.push(name),
            RawBsonRef::Null | RawBsonRef::Undefined => {}
            other => return Err(wrong_type(&format!("{at}.{place}"), other, "string")),
        }
    }
    Ok(found)
}

pub(super) fn wrong_type(field: &str, found: RawBsonRef<'_>, expected: &str) -> MqlError {
    MqlError::type_mismatch(format!(
        "BSON field '{field}' is the wrong type '{}', expected type '{expected}'",
        kind(found)
    ))
}

/// The fields as an expression for all of them.
fn document_of(fields: &[&str]) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    for (at, field) in fields.iter().enumerate() {
        if fields.iter().take(at).any(|other| other == field) {
            return Err(MqlError::new(
                16406,
                format!("duplicate field name specified in object literal: {field}"),
            ));
        }
        document.append(key(field)?, format!("${field}"));
    }
    Ok(document)
}
