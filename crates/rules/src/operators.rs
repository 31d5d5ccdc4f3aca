//! What users may not send: query operators, stages, operators inside stages
//! (rules-schemas.md §11).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};
use kit::limit::NESTING_DEPTH_MAX;

/// Refused in queries.
const QUERY: &[&str] = &[
    "$expr",
    "$jsonSchema",
    "$regex",
    "$text",
    "$where",
    "$geoIntersects",
    "$geoWithin",
    "$near",
    "$nearSphere",
    "$bitsAllClear",
    "$bitsAllSet",
    "$bitsAnyClear",
    "$bitsAnySet",
];

/// Refused as stages.
const STAGES: &[&str] = &[
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$documents",
    "$facet",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listLocalSessions",
    "$listSessions",
    "$lookup",
    "$merge",
    "$out",
    "$planCacheStats",
    "$searchMeta",
    "$unionWith",
    "$vectorSearch",
];

/// Refused inside stages, projections and updates with pipelines.
const EXPRESSIONS: &[&str] = &["$accumulator", "$function", "$setIsSubset", "$where"];

/// Something that only the system may send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not allowed for users")]
pub struct Restriction {
    /// The operator or stage.
    pub name: String,
}

impl Restriction {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

/// Looks for what a user may not have in a query. Names count at every depth:
/// an operator hidden in a literal is refused too.
pub fn forbidden_in_query(query: &RawDocument) -> Result<(), Restriction> {
    names(query, &[QUERY], true, 0)
}

/// Looks for what a user may not have in a projection or in an update.
pub fn forbidden_in_expressions(document: &RawDocument) -> Result<(), Restriction> {
    names(document, &[EXPRESSIONS, QUERY], false, 0)
}

/// Looks for what a user may not have in a pipeline.
pub fn forbidden_in_pipeline(pipeline: &RawArray) -> Result<(), Restriction> {
    for stage in pipeline.into_iter().flatten() {
        let RawBsonRef::Document(stage) = stage else {
            continue;
        };
        for (name, operand) in stage.iter().flatten() {
            let name = name.as_str();
            if STAGES.contains(&name) {
                return Err(Restriction::new(name));
            }
            match (name, operand) {
                ("$match", RawBsonRef::Document(query)) => forbidden_in_query(query)?,
                (_, RawBsonRef::Document(operand)) => names(operand, &[EXPRESSIONS], false, 0)?,
                (_, RawBsonRef::Array(operands)) => list(operands, &[EXPRESSIONS], false, 0)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn names(
    document: &RawDocument,
    refused: &[&[&str]],
    literals: bool,
    depth: usize,
) -> Result<(), Restriction> {
    for (name, value) in document.iter().flatten() {
        let name = name.as_str();
        if name.starts_with('$') && refused.iter().any(|list| list.contains(&name)) {
            return Err(Restriction::new(name));
        }
        self::value(value, refused, literals, depth)?;
    }
    Ok(())
}

fn list(
    array: &RawArray,
    refused: &[&[&str]],
    literals: bool,
    depth: usize,
) -> Result<(), Restriction> {
    array
        .into_iter()
        .flatten()
        .try_for_each(|element| value(element, refused, literals, depth))
}

/// `literals` says that a regular expression as a value is `$regex`.
fn value(
    value: RawBsonRef<'_>,
    refused: &[&[&str]],
    literals: bool,
    depth: usize,
) -> Result<(), Restriction> {
    if depth > NESTING_DEPTH_MAX {
        return Err(Restriction::new("nesting this deep"));
    }
    match value {
        RawBsonRef::Document(inner) => names(inner, refused, literals, depth + 1),
        RawBsonRef::Array(inner) => list(inner, refused, literals, depth + 1),
        RawBsonRef::RegularExpression(_) if literals => Err(Restriction::new("$regex")),
        _ => Ok(()),
    }
}
