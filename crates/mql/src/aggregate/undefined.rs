//! Which of two mistakes is told: a variable that is not there comes before what is
//! wrong with what stands after it, in pipelines within others too.

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument, RawDocumentBuf, cstr};

use super::parse::{self, DEPTH_MAX, stage};
use super::position::Place;
use super::window;
use crate::error::Result;
use crate::expression::{Expression, Variables};
use crate::matcher::malformed;

/// The code of an expression with too few or too many arguments, which MongoDB
/// counts when it has read them.
const COUNTED: i32 = 16020;

/// Refuses a variable that is not there in stages, as far as they parse.
///
/// # Errors
/// 17276.
pub(super) fn check(stages: &RawArray, variables: &Variables) -> Result<()> {
    nested(stages, variables, 0)
}

fn nested(stages: &RawArray, variables: &Variables, depth: usize) -> Result<()> {
    for entry in stages {
        let Ok(RawBsonRef::Document(document)) = entry else {
            break;
        };
        let Some(Ok((name, operand))) = document.iter().next() else {
            break;
        };
        let mut parsed = Vec::new();
        let Err(error) = stage(name.as_str(), operand, &mut parsed, depth) else {
            parsed
                .iter_mut()
                .try_for_each(|stage| stage.bind(variables))?;
            continue;
        };
        let RawBsonRef::Document(operand) = operand else {
            break;
        };
        return match name.as_str() {
            "$setWindowFields" => window::check_variables(operand, &error, variables),
            "$group" | "$project" | "$addFields" | "$set" => {
                fields(name.as_str(), operand, variables)
            }
            "$facet" => facets(operand, variables, depth),
            "$lookup" => lookup(operand, variables, depth),
            "$unionWith" => inner(operand, Place::Union, variables, depth).map(drop),
            _ => Ok(()),
        };
    }
    Ok(())
}

/// Those in the fields of a stage before the first that does not parse.
fn fields(name: &str, operand: &RawDocument, variables: &Variables) -> Result<()> {
    for entry in operand {
        let (field, value) = entry.map_err(malformed)?;
        let mut alone = RawDocumentBuf::new();
        if name == "$group" && field != "_id" {
            alone.append(cstr!("_id"), RawBsonRef::Null);
        }
        alone.append(field, value);
        let mut parsed = Vec::new();
        match stage(name, RawBsonRef::Document(&alone), &mut parsed, 0) {
            Ok(()) => parsed
                .iter_mut()
                .try_for_each(|stage| stage.bind(variables))?,
            Err(error) if error.code == COUNTED => return counted(value, variables, 0).map(drop),
            Err(_) => break,
        }
    }
    Ok(())
}

fn facets(operand: &RawDocument, variables: &Variables, depth: usize) -> Result<()> {
    for entry in operand {
        let (name, stages) = entry.map_err(malformed)?;
        let mut one = RawDocumentBuf::new();
        one.append(cstr!("pipeline"), stages);
        // A field's name is looked at before its pipeline.
        let named = parse::field_path(name.as_str()).is_ok();
        if !named || !inner(&one, Place::Facet, variables, depth)? {
            break;
        }
    }
    Ok(())
}

fn lookup(operand: &RawDocument, variables: &Variables, depth: usize) -> Result<()> {
    let mut inside = variables.clone();
    match operand.get("let").map_err(malformed)? {
        None => {}
        Some(RawBsonRef::Document(lets)) => {
            for entry in lets {
                let (name, value) = entry.map_err(malformed)?;
                let Ok(mut expression) = Expression::parse_open(value) else {
                    return Ok(());
                };
                expression.bind(variables)?;
                inside.declare(name.as_str());
            }
        }
        Some(_) => return Ok(()),
    }
    inner(operand, Place::Lookup, &inside, depth).map(drop)
}

/// Those in a stage's pipeline; whether it parses.
fn inner(operand: &RawDocument, place: Place, variables: &Variables, depth: usize) -> Result<bool> {
    let Ok(Some(RawBsonRef::Array(stages))) = operand.get("pipeline") else {
        return Ok(false);
    };
    if depth >= DEPTH_MAX {
        return Ok(false);
    }
    nested(stages, variables, depth + 1)?;
    Ok(parse::pipeline(stages, place, depth + 1).is_ok())
}

/// Refuses a variable that is not there before the expression that has too few or
/// too many arguments, or in these; whether that is not in `value`.
fn counted(value: RawBsonRef<'_>, variables: &Variables, depth: usize) -> Result<bool> {
    if let Ok(mut expression) = Expression::parse_open(value) {
        expression.bind(variables)?;
        return Ok(true);
    }
    if depth > DEPTH_MAX {
        return Ok(false);
    }
    match value {
        RawBsonRef::Document(document) => {
            for (name, value) in document.iter().flatten() {
                // What is in these has variables of its own.
                let scoped = ["in", "cond"].contains(&name.as_str());
                if scoped || !counted(value, variables, depth + 1)? {
                    return Ok(false);
                }
            }
        }
        RawBsonRef::Array(array) => {
            for value in array.into_iter().flatten() {
                if !counted(value, variables, depth + 1)? {
                    return Ok(false);
                }
            }
        }
        _ => {}
    }
    Ok(false)
}

/// Refuses a variable that is not there in what can be read as an expression.
///
/// # Errors
/// 17276.
pub(super) fn expressions(
    value: RawBsonRef<'_>,
    variables: &Variables,
    depth: usize,
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    if let Ok(mut expression) = Expression::parse_open(value) {
        return match expression.bind(variables) {
            Err(error) if error.code == 17276 => Err(error),
            _ => Ok(()),
        };
    }
    let inner = |value| expressions(value, variables, depth + 1);
    match value {
        RawBsonRef::Document(document) => document
            .iter()
            .flatten()
            .try_for_each(|(_, value)| inner(value)),
        RawBsonRef::Array(array) => array.into_iter().flatten().try_for_each(inner),
        _ => Ok(()),
    }
}
