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
    "$geoNear",
    "$geoWithin",
    "$near",
    "$nearSphere",
    "$within",
    "$bitsAllClear",
    "$bitsAllSet",
    "$bitsAnyClear",
    "$bitsAnySet",
];

/// What a user's pipeline may be made of: every other stage of a server reads
/// elsewhere, writes, or tells of the server.
const STAGES: &[&str] = &[
    "$addFields",
    "$bucket",
    "$bucketAuto",
    "$count",
    "$densify",
    "$fill",
    "$group",
    "$limit",
    "$match",
    "$project",
    "$redact",
    "$replaceRoot",
    "$replaceWith",
    "$sample",
    "$search",
    "$set",
    "$setWindowFields",
    "$skip",
    "$sort",
    "$sortByCount",
    "$unset",
    "$unwind",
];

/// Refused as stages, by name; what is in neither list is as good as unknown.
const STAGES_REFUSED: &[&str] = &[
    "$changeStream",
    "$changeStreamSplitLargeEvent",
    "$collStats",
    "$currentOp",
    "$documents",
    "$facet",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listCatalog",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$listSessions",
    "$lookup",
    "$merge",
    "$mergeCursors",
    "$out",
    "$planCacheStats",
    "$queryStats",
    "$rankFusion",
    "$searchMeta",
    "$shardedDataDistribution",
    "$unionWith",
    "$vectorSearch",
];

/// Refused inside stages, projections and updates with pipelines.
const EXPRESSIONS: &[&str] = &["$accumulator", "$function", "$setIsSubset", "$where"];

/// Variables of the server.
const VARIABLES: &[&str] = &["$$SEARCH_META", "$$USER_ROLES"];

/// What servers keep for themselves.
const INTERNAL: &str = "$_internal";

/// Something that only the system may send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Restriction {
    /// An operator or a stage by name.
    #[error("{0} is not allowed for users")]
    Forbidden(String),
    /// A stage that nobody knows, in MongoDB's words.
    #[error("Unrecognized pipeline stage name: '{0}'")]
    Unknown(String),
}

impl Restriction {
    /// The operator or stage.
    pub fn name(&self) -> &str {
        match self {
            Self::Forbidden(name) | Self::Unknown(name) => name,
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A regular expression as a value is `$regex`.
    Query,
    /// A text can be a variable.
    Expression,
    /// Both are values.
    Update,
}

/// Looks for what a user may not have in a query. Names count at every depth:
/// an operator hidden in a literal is refused too.
pub fn forbidden_in_query(query: &RawDocument) -> Result<(), Restriction> {
    names(query, &[QUERY], Inside::Query, 0)
}

/// Looks for what a user may not have in an update with operators.
pub fn forbidden_in_update(update: &RawDocument) -> Result<(), Restriction> {
    names(update, &[EXPRESSIONS, QUERY], Inside::Update, 0)
}

/// Looks for what a user may not have in a projection or a stage of an update.
pub fn forbidden_in_expressions(document: &RawDocument) -> Result<(), Restriction> {
    names(document, &[EXPRESSIONS, QUERY], Inside::Expression, 0)
}

/// Looks for what a user may not have in a pipeline.
pub fn forbidden_in_pipeline(pipeline: &RawArray) -> Result<(), Restriction> {
    for stage in pipeline.into_iter().flatten() {
        let RawBsonRef::Document(stage) = stage else {
            continue;
        };
        for (name, operand) in stage.iter().flatten() {
            let name = name.as_str();
            if STAGES_REFUSED.contains(&name) || name.starts_with(INTERNAL) {
                return Err(Restriction::Forbidden(name.to_owned()));
            }
            if !STAGES.contains(&name) {
                return Err(Restriction::Unknown(name.to_owned()));
            }
            match (name, operand) {
                ("$match", RawBsonRef::Document(query)) => forbidden_in_query(query)?,
                (_, operand) => value(operand, &[EXPRESSIONS], Inside::Expression, 0)?,
            }
        }
    }
    Ok(())
}

fn names(
    document: &RawDocument,
    refused: &[&[&str]],
    inside: Inside,
    depth: usize,
) -> Result<(), Restriction> {
    for (name, value) in document.iter().flatten() {
        let name = name.as_str();
        if name.starts_with('$')
            && (name.starts_with(INTERNAL) || refused.iter().any(|list| list.contains(&name)))
        {
            return Err(Restriction::Forbidden(name.to_owned()));
        }
        self::value(value, refused, inside, depth)?;
    }
    Ok(())
}

fn value(
    value: RawBsonRef<'_>,
    refused: &[&[&str]],
    inside: Inside,
    depth: usize,
) -> Result<(), Restriction> {
    if depth > NESTING_DEPTH_MAX {
        return Err(Restriction::Forbidden("nesting this deep".to_owned()));
    }
    match value {
        RawBsonRef::Document(inner) => names(inner, refused, inside, depth + 1),
        RawBsonRef::Array(inner) => inner
            .into_iter()
            .flatten()
            .try_for_each(|element| self::value(element, refused, inside, depth + 1)),
        RawBsonRef::RegularExpression(_) if inside == Inside::Query => {
            Err(Restriction::Forbidden("$regex".to_owned()))
        }
        RawBsonRef::String(text) if inside == Inside::Expression => {
            let variable = text.split('.').next().unwrap_or(text);
            if VARIABLES.contains(&variable) {
                return Err(Restriction::Forbidden(variable.to_owned()));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
