//! Stages: parsing.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument, rawdoc};

use super::bucket::{self, BucketAuto};
use super::glance::glance;
use super::graph_lookup::GraphLookup;
use super::group::Group;
use super::lookup::{Lookup, Union};
use super::output::{Merge, Target};
use super::position::{self, Place};
use super::reshape::{AddFields, Unset};
use super::unwind::Unwind;
use super::window;
use super::{Pipeline, Stage};
use super::{densify, fill};
use crate::depth::check_path;
use crate::error::{MqlError, Result};
use crate::expression::Expression;
use crate::matcher::malformed;
use crate::number::whole_double;
use crate::{Matcher, Projection, Sort};

/// The code of a stage that is not known.
const UNKNOWN: i32 = 40324;
/// Pipelines in pipelines at most.
pub(super) const DEPTH_MAX: usize = 20;

/// Parses the stages of a pipeline.
pub(super) fn pipeline(stages: &RawArray, place: Place, depth: usize) -> Result<Vec<Stage>> {
    if depth > DEPTH_MAX {
        return Err(MqlError::new(
            232,
            format!("Maximum number of nested sub-pipelines exceeded. Limit is {DEPTH_MAX}"),
        ));
    }
    if stages.into_iter().count() > kit::limit::PIPELINE_STAGES_MAX {
        return Err(MqlError::new(
            7_749_501,
            format!(
                "Pipeline length must be no longer than {} stages",
                kit::limit::PIPELINE_STAGES_MAX
            ),
        ));
    }
    // Those of other pipelines were looked at with these.
    if matches!(place, Place::Top | Place::Update) {
        glance(stages, depth)?;
    }
    let mut parsed = Vec::new();
    let mut names = Vec::new();
    for entry in stages {
        let entry = entry.map_err(malformed)?;
        let RawBsonRef::Document(document) = entry else {
            continue;
        };
        crate::depth::check(document)?;
        let Some(entry) = document.iter().next() else {
            continue;
        };
        let (name, operand) = entry.map_err(malformed)?;
        let before = parsed.len();
        stage(name.as_str(), operand, &mut parsed, depth)?;
        // A `$fill` by values is nothing but an `$addFields`.
        let adds = matches!(parsed.get(before..), Some([] | [Stage::AddFields(_)]));
        names.push(match name.as_str() {
            "$fill" if adds => "$addFields",
            name => name,
        });
    }
    position::check(&names, place)?;
    if place == Place::Top {
        planned(&mut parsed);
    }
    Ok(parsed)
}

/// Whether there is a stage of this name, in MongoDB if not here.
///
/// # Errors
/// 40324 when there is none.
pub(super) fn is_known(name: &str) -> Result<()> {
    match stage(name, RawBsonRef::Null, &mut Vec::new(), 0) {
        Err(error) if error.code == UNKNOWN => Err(error),
        _ => Ok(()),
    }
}

/// Marks the `$lookup`s that mongod's planner takes over: those that nothing
/// but what it takes over too comes before.
fn planned(stages: &mut [Stage]) {
    let mut rest = stages;
    while let Some((stage, after)) = rest.split_first_mut() {
        match stage {
            Stage::Lookup(lookup) if lookup.is_plain(after.first()) => lookup.last = true,
            Stage::Match(_)
            | Stage::Sort(_)
            | Stage::Skip(_)
            | Stage::Limit(_)
            | Stage::Project(_)
            | Stage::Group(_) => {}
            _ => break,
        }
        rest = after;
    }
}

/// Appends the stages that a specification stands for.
pub(super) fn stage(
    name: &str,
    operand: RawBsonRef<'_>,
    stages: &mut Vec<Stage>,
    depth: usize,
) -> Result<()> {
    let object = |code: i32, text: &str| match operand {
        RawBsonRef::Document(document) => Ok(document),
        _ => Err(MqlError::new(code, text)),
    };
    let stage = match name {
        "$match" => {
            let filter = object(15959, "the match filter must be an expression in an object")?;
            let matcher = Matcher::parse_open(filter).map_err(|error| {
                if error.code == 115 && error.message.starts_with("$where") {
                    MqlError::bad_value("$where is not allowed in this context")
                } else {
                    error
                }
            })?;
            Stage::Match(matcher)
        }
        "$project" => Stage::Project(
            Projection::stage(object(15969, "$project specification must be an object")?)
                .map_err(|error| invalid("$project", error))?,
        ),
        "$addFields" | "$set" => {
            let RawBsonRef::Document(fields) = operand else {
                return Err(MqlError::new(
                    40272,
                    format!(
                        "{name} specification stage must be an object, got {}",
                        kind(operand)
                    ),
                ));
            };
            Stage::AddFields(AddFields::parse(fields).map_err(|error| invalid(name, error))?)
        }
        "$unset" => Stage::Unset(Unset::parse(operand)?),
        "$sort" => Stage::Sort(sort(object(
            15973,
            "the $sort key specification must be an object",
        )?)?),
        "$skip" => Stage::Skip(count(operand, "$skip", 5_107_200)?),
        "$limit" => match count(operand, "$limit", 5_107_201)? {
            0 => return Err(MqlError::new(15958, "the limit must be positive")),
            n => Stage::Limit(n),
        },
        "$group" => Stage::Group(Group::parse(object(
            15947,
            "a group's fields must be specified in an object",
        )?)?),
        "$count" => Stage::Count(counted(operand)?),
        "$unwind" => Stage::Unwind(Unwind::parse(operand)?),
        "$replaceWith" => Stage::ReplaceRoot(
            Expression::parse_open(operand)?,
            "'replacement document' ".to_owned(),
        ),
        "$replaceRoot" => {
            let RawBsonRef::Document(spec) = operand else {
                return Err(MqlError::new(
                    40229,
                    format!(
                        "expected an object as specification for $replaceRoot stage, got {}",
                        kind(operand)
                    ),
                ));
            };
            for entry in spec {
                let (field, _) = entry.map_err(malformed)?;
                if field != "newRoot" {
                    return Err(unknown_field("$replaceRoot", field.as_str()));
                }
            }
            match spec.get("newRoot").map_err(malformed)? {
                Some(root) => Stage::ReplaceRoot(
                    Expression::parse_open(root)?,
                    "'newRoot' expression ".to_owned(),
                ),
                None => {
                    return Err(MqlError::new(
                        40414,
                        "BSON field '$replaceRoot.newRoot' is missing but a required field",
                    ));
                }
            }
        }
        "$sortByCount" => {
            stages.push(Stage::Group(Group::counting(sort_by_count(operand)?)?));
            Stage::Sort(Sort::parse(&rawdoc! { "count": -1 })?)
        }
        "$facet" => facet(operand, depth)?,
        "$bucket" => {
            stages.push(Stage::Group(bucket::bucket(operand)?));
            Stage::Sort(Sort::parse(&rawdoc! { "_id": 1 })?.of_stage())
        }
        "$bucketAuto" => Stage::BucketAuto(BucketAuto::parse(operand)?),
        "$sample" => Stage::Sample(sample(operand)?),
        "$redact" => {
            let mut expression = Expression::parse_open(operand)?;
            super::redact::bind(&mut expression)?;
            Stage::Redact(expression)
        }
        "$lookup" => Stage::Lookup(Box::new(Lookup::parse(operand, depth)?)),
        "$unionWith" => Stage::Union(Union::parse(operand, depth)?),
        "$graphLookup" => Stage::GraphLookup(Box::new(GraphLookup::parse(operand)?)),
        "$documents" => Stage::Documents(Expression::parse_open(operand)?),
        "$collStats" => Stage::Statistics("$collStats", coll_stats(operand)?.to_owned()),
        "$indexStats" => match operand {
            RawBsonRef::Document(spec) if spec.is_empty() => {
                Stage::Statistics("$indexStats", spec.to_owned())
            }
            _ => {
                return Err(MqlError::new(
                    28803,
                    "The $indexStats stage specification must be an empty object",
                ));
            }
        },
        "$setWindowFields" => return window::parse(operand, stages),
        "$fill" => return fill::parse(operand, stages),
        "$densify" => return densify::parse(operand, stages),
        "$out" => Stage::Out(Target::parse_out(operand)?),
        "$merge" => Stage::Merge(Box::new(Merge::parse(operand)?)),
        "$currentOp" => {
            return Err(MqlError::new(
                73,
                "$currentOp must be run against the 'admin' database with {aggregate: 1}",
            ));
        }
        "$listSessions" => {
            return Err(MqlError::new(
                73,
                "$listSessions may only be run against config.system.sessions",
            ));
        }
        known if UNSUPPORTED.contains(&known) => {
            return Err(MqlError::new(
                115,
                format!("the pipeline stage {known} is not supported by this engine"),
            ));
        }
        other => {
            return Err(MqlError::new(
                UNKNOWN,
                format!("Unrecognized pipeline stage name: '{other}'"),
            ));
        }
    };
    stages.push(stage);
    Ok(())
}

/// MongoDB's stages that are not here.
const UNSUPPORTED: &[&str] = &[
    "$changeStream",
    "$geoNear",
    "$listLocalSessions",
    "$planCacheStats",
    "$search",
    "$searchMeta",
    "$vectorSearch",
];

pub(super) fn invalid(stage: &str, error: MqlError) -> MqlError {
    let prefix = format!("Invalid {stage} :: caused by :: ");
    if error.message.starts_with(&prefix) {
        return error;
    }
    MqlError::new(error.code, prefix + &error.message)
}

/// The collection of another database that `from` names, which nobody reads.
pub(super) fn elsewhere(stage: &str, from: &RawDocument) -> MqlError {
    for (name, value) in from.iter().flatten() {
        let name = name.as_str();
        if !matches!(name, "db" | "coll") {
            return unknown_field("from", name);
        }
        if !matches!(value, RawBsonRef::String(_) | RawBsonRef::Null) {
            return MqlError::type_mismatch(format!(
                "BSON field 'from.{name}' is the wrong type '{}', expected type 'string'",
                kind(value)
            ));
        }
    }
    MqlError::failed_to_parse(format!(
        "{stage} with syntax {{from: {{db:<>, coll:<>}},..}} is not supported"
    ))
}

pub(super) fn unknown_field(stage: &str, field: &str) -> MqlError {
    MqlError::new(
        40415,
        format!("BSON field '{stage}.{field}' is an unknown field."),
    )
}

/// Splits a path of field names.
///
/// # Errors
/// 40352, 40353, 15998, 16410 and 16411 for what is none.
pub(crate) fn field_path(text: &str) -> Result<Vec<String>> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    check_path(text)?;
    if text.is_empty() {
        return refused(40352, "FieldPath cannot be constructed with empty string");
    }
    if text.ends_with('.') {
        return refused(40353, "FieldPath must not end with a '.'.");
    }
    let mut parts = Vec::new();
    for part in text.split('.') {
        field_name(part)?;
        parts.push(part.to_owned());
    }
    Ok(parts)
}

/// Checks one name of a path.
pub(super) fn field_name(name: &str) -> Result<()> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    if name.is_empty() {
        return refused(15998, "FieldPath field names may not be empty strings.");
    }
    if name.starts_with('$') {
        return refused(
            16410,
            "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
        );
    }
    if name.contains('\0') {
        return refused(
            16411,
            "FieldPath field names may not contain '\0'. Consider using $getField or $setField.",
        );
    }
    if name.contains('.') {
        return refused(
            16412,
            "FieldPath field names may not contain '.'. Consider using $getField or $setField.",
        );
    }
    Ok(())
}

fn sort(spec: &RawDocument) -> Result<Sort> {
    let sort = sort_pattern(spec)?;
    if sort.is_empty() {
        return Err(MqlError::new(
            15976,
            "$sort stage must have at least one sort key",
        ));
    }
    Ok(sort)
}

/// A sort as a stage has it; it may be empty.
pub(super) fn sort_pattern(spec: &RawDocument) -> Result<Sort> {
    Ok(Sort::parse(spec)?.of_stage())
}

fn count(operand: RawBsonRef<'_>, name: &str, code: i32) -> Result<u64> {
    let refused = |expected: &str| {
        let shown = shown(operand);
        Err(MqlError::new(
            code,
            format!("invalid argument to {name} stage: Expected {expected}: {name}: {shown}"),
        ))
    };
    let n = match operand {
        RawBsonRef::Int32(n) => i64::from(n),
        RawBsonRef::Int64(n) => n,
        RawBsonRef::Double(n) => match whole_double(n) {
            Some(n) => n,
            None => return refused("an integer"),
        },
        RawBsonRef::Decimal128(n) => match whole_double(crate::decimal::to_double(n)) {
            Some(n) => n,
            None => return refused("an integer"),
        },
        _ => return refused("a number in"),
    };
    match u64::try_from(n) {
        Ok(n) => Ok(n),
        Err(_) => refused("a non-negative number in"),
    }
}

fn counted(operand: RawBsonRef<'_>) -> Result<String> {
    let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
    match operand {
        RawBsonRef::String("") => refused(40157, "the count field must be a non-empty string"),
        RawBsonRef::String(field) if field.starts_with('$') => {
            refused(40158, "the count field cannot be a $-prefixed path")
        }
        RawBsonRef::String(field) if field.contains('\0') => {
            refused(40159, "the count field cannot contain a null byte")
        }
        RawBsonRef::String(field) if field.contains('.') => {
            refused(40160, "the count field cannot contain '.'")
        }
        RawBsonRef::String("_id") => refused(15948, "a group's _id may only be specified once"),
        RawBsonRef::String(field) => Ok(field.to_owned()),
        _ => refused(40156, "the count field must be a non-empty string"),
    }
}

fn sort_by_count(operand: RawBsonRef<'_>) -> Result<RawBsonRef<'_>> {
    const TEXT: &str = "the sortByCount field must be defined as a $-prefixed path or an expression inside an object";
    match operand {
        RawBsonRef::Document(document) => {
            let first = document.iter().next().transpose().map_err(malformed)?;
            match first {
                Some((name, _)) if name.as_str().starts_with('$') => Ok(operand),
                _ => Err(MqlError::new(40147, TEXT)),
            }
        }
        RawBsonRef::String(text) if text.starts_with('$') => Ok(operand),
        RawBsonRef::String(_) => Err(MqlError::new(40148, TEXT)),
        _ => Err(MqlError::new(
            40149,
            "the sortByCount field must be specified as a string or as an object",
        )),
    }
}

fn facet(operand: RawBsonRef<'_>, depth: usize) -> Result<Stage> {
    let parsed = facets(operand)?.into_iter().map(|(name, stages)| {
        let stages = pipeline(stages, Place::Facet, depth)?;
        Ok((name.to_owned(), Pipeline { stages }))
    });
    Ok(Stage::Facet(parsed.collect::<Result<_>>()?))
}

/// The pipelines of a `$facet` by their names.
pub(super) fn facets(operand: RawBsonRef<'_>) -> Result<Vec<(&str, &RawArray)>> {
    let wrong = || {
        MqlError::new(
            40169,
            format!(
                "the $facet specification must be a non-empty object, but found: $facet: {}",
                shown(operand)
            ),
        )
    };
    let RawBsonRef::Document(spec) = operand else {
        return Err(wrong());
    };
    let mut facets = Vec::new();
    for entry in spec {
        let (name, stages) = entry.map_err(malformed)?;
        field_name(name.as_str())?;
        let RawBsonRef::Array(stages) = stages else {
            return Err(MqlError::new(
                40170,
                format!(
                    "arguments to $facet must be arrays, {} is type {}",
                    name.as_str(),
                    kind(stages)
                ),
            ));
        };
        for element in stages {
            let element = element.map_err(malformed)?;
            if element.as_document().is_none() {
                return Err(MqlError::new(
                    40171,
                    format!(
                        "elements of arrays in $facet spec must be non-empty objects, {} argument contained an element of type {}",
                        name.as_str(),
                        kind(element)
                    ),
                ));
            }
        }
        facets.push((name.as_str(), stages));
    }
    if facets.is_empty() {
        return Err(wrong());
    }
    Ok(facets)
}

fn sample(operand: RawBsonRef<'_>) -> Result<u64> {
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::new(
            28745,
            "the $sample stage specification must be an object",
        ));
    };
    let mut size = None;
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        if name != "size" {
            return Err(MqlError::new(
                28748,
                format!("unrecognized option to $sample: {}", name.as_str()),
            ));
        }
        let n = match value {
            RawBsonRef::Int32(n) => i64::from(n),
            RawBsonRef::Int64(n) => n,
            RawBsonRef::Double(n) => n as i64,
            RawBsonRef::Decimal128(n) => crate::decimal::to_double(n) as i64,
            _ => {
                return Err(MqlError::new(
                    28746,
                    "size argument to $sample must be a number",
                ));
            }
        };
        size =
            Some(u64::try_from(n).map_err(|_| {
                MqlError::new(28747, "size argument to $sample must not be negative")
            })?);
    }
    size.ok_or_else(|| MqlError::new(28749, "$sample stage must specify a size"))
}

fn coll_stats(operand: RawBsonRef<'_>) -> Result<&RawDocument> {
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::new(
            5_447_000,
            format!(
                "$collStats must take a nested object but found: $collStats: {}",
                shown(operand)
            ),
        ));
    };
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        if !matches!(
            name,
            "count" | "storageStats" | "latencyStats" | "queryExecStats"
        ) {
            return Err(unknown_field("$collStats", name));
        }
        if !matches!(value, RawBsonRef::Document(_)) {
            return Err(MqlError::type_mismatch(format!(
                "BSON field '$collStats.{name}' is the wrong type '{}', expected type 'object'",
                kind(value)
            )));
        }
    }
    Ok(spec)
}

/// The name of a value's type.
pub(super) fn kind(value: RawBsonRef<'_>) -> &'static str {
    crate::type_name(value)
}

/// A value as MongoDB's texts show it.
pub(super) fn shown(value: RawBsonRef<'_>) -> String {
    match value {
        RawBsonRef::String(text) => format!("\"{text}\""),
        RawBsonRef::Int32(n) => n.to_string(),
        RawBsonRef::Int64(n) => n.to_string(),
        RawBsonRef::Double(n) => n.to_string(),
        RawBsonRef::Document(document) => {
            let mut text = String::from("{");
            for (at, (name, value)) in document.iter().flatten().enumerate() {
                text.push_str(if at == 0 { " " } else { ", " });
                text.push_str(name.as_str());
                text.push_str(": ");
                text.push_str(&shown(value));
            }
            text + if document.is_empty() { "}" } else { " }" }
        }
        RawBsonRef::Array(array) => {
            let shown: Vec<String> = array.into_iter().flatten().map(shown).collect();
            format!("[ {} ]", shown.join(", "))
        }
        other => Bson::try_from(other).map_or_else(|_| String::new(), |value| value.to_string()),
    }
}
