//! Stages: parsing.

use bson::raw::RawBsonRef;
use bson::rawdoc;

use super::reshape::{AddFields, Unset};
use super::unwind::Unwind;
use super::{Pipeline, Stage, group};
use crate::error::{MqlError, Result, guard};
use crate::expression::Expression;
use crate::matcher::malformed;
use crate::{Matcher, Projection, Sort};

/// Appends the stages that a specification stands for.
pub(super) fn stage(stage: RawBsonRef<'_>, stages: &mut Vec<Stage>, depth: usize) -> Result<()> {
    guard(depth)?;
    let RawBsonRef::Document(document) = stage else {
        return Err(MqlError::type_mismatch(
            "Each element of the 'pipeline' array must be an object",
        ));
    };
    let mut entries = document.iter();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(MqlError::new(
            40323,
            "A pipeline stage specification object must contain exactly one field.",
        ));
    };
    let (name, operand) = entry.map_err(malformed)?;
    let object = |code: i32| match operand {
        RawBsonRef::Document(document) => Ok(document),
        _ => Err(MqlError::new(
            code,
            format!(
                "the {} stage specification must be an object",
                name.as_str()
            ),
        )),
    };
    let stage = match name.as_str() {
        "$match" => Stage::Match(Matcher::parse(object(15959)?)?),
        "$project" => Stage::Project(Projection::stage(object(15969)?)?),
        "$addFields" | "$set" => Stage::AddFields(AddFields::parse(object(40272)?)?),
        "$unset" => Stage::Unset(Unset::parse(operand)?),
        "$sort" => {
            let sort = Sort::parse(object(15973)?)?;
            if sort.is_empty() {
                return Err(MqlError::new(
                    15976,
                    "$sort stage must have at least one sort key",
                ));
            }
            Stage::Sort(sort)
        }
        "$skip" => Stage::Skip(count(operand, "$skip", 15956, true)?),
        "$limit" => Stage::Limit(count(operand, "$limit", 15957, false)?),
        "$group" => Stage::Group(group::Group::parse(object(15947)?)?),
        "$count" => match operand {
            RawBsonRef::String(field)
                if !field.is_empty() && !field.starts_with('$') && !field.contains('.') =>
            {
                Stage::Count(field.to_owned())
            }
            _ => {
                return Err(MqlError::new(
                    40156,
                    "the count field must be a non-empty string without '$' or '.'",
                ));
            }
        },
        "$unwind" => Stage::Unwind(Unwind::parse(operand)?),
        "$replaceWith" => Stage::ReplaceRoot(Expression::parse(operand)?),
        "$replaceRoot" => {
            let spec = object(40229)?;
            match spec.get("newRoot").map_err(malformed)? {
                Some(root) => Stage::ReplaceRoot(Expression::parse(root)?),
                None => {
                    return Err(MqlError::new(
                        40231,
                        "no newRoot specified for the $replaceRoot stage",
                    ));
                }
            }
        }
        "$sortByCount" => {
            stages.push(Stage::Group(group::Group::counting(operand)?));
            Stage::Sort(Sort::parse(&rawdoc! { "count": -1 })?)
        }
        "$facet" => {
            let mut facets = Vec::new();
            for entry in object(40169)? {
                let (name, pipeline) = entry.map_err(malformed)?;
                let RawBsonRef::Array(pipeline) = pipeline else {
                    return Err(MqlError::new(40170, "arguments to $facet must be arrays"));
                };
                let mut inner = Vec::new();
                for stage in pipeline {
                    self::stage(stage.map_err(malformed)?, &mut inner, depth + 1)?;
                }
                facets.push((name.as_str().to_owned(), Pipeline { stages: inner }));
            }
            Stage::Facet(facets)
        }
        known if UNSUPPORTED.contains(&known) => {
            return Err(MqlError::new(
                115,
                format!("the pipeline stage {known} is not supported by this engine"),
            ));
        }
        other => {
            return Err(MqlError::new(
                40324,
                format!("Unrecognized pipeline stage name: '{other}'"),
            ));
        }
    };
    stages.push(stage);
    Ok(())
}

/// MongoDB's stages that are not here.
const UNSUPPORTED: &[&str] = &[
    "$bucket",
    "$bucketAuto",
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$densify",
    "$documents",
    "$fill",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listSessions",
    "$lookup",
    "$merge",
    "$out",
    "$redact",
    "$sample",
    "$search",
    "$setWindowFields",
    "$unionWith",
];

fn count(operand: RawBsonRef<'_>, name: &str, code: i32, zero: bool) -> Result<u64> {
    let n = match operand {
        RawBsonRef::Int32(n) => i64::from(n),
        RawBsonRef::Int64(n) => n,
        RawBsonRef::Double(n) if n.trunc() == n && n.abs() < 9.2e18 => n as i64,
        _ => {
            return Err(MqlError::new(
                code,
                format!("the argument to {name} must be a number"),
            ));
        }
    };
    if n == 0 && !zero {
        return Err(MqlError::new(15958, "the limit must be positive"));
    }
    u64::try_from(n)
        .map_err(|_| MqlError::new(15958, format!("Argument to {name} cannot be negative")))
}
