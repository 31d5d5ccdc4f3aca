//! Where in which pipelines a stage may be.

use crate::error::{MqlError, Result};

/// What a pipeline is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A command.
    Top,
    /// A `$facet`.
    Facet,
    /// A `$lookup`.
    Lookup,
    /// A `$unionWith`.
    Union,
    /// An update.
    Update,
}

/// Stages that make their documents.
const FIRST: &[&str] = &[
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$documents",
    "$geoNear",
    "$indexStats",
    "$listLocalSessions",
    "$listSessions",
    "$planCacheStats",
];
/// Stages that write.
const LAST: &[&str] = &["$merge", "$out"];
/// Stages that an update may have.
const UPDATE: &[&str] = &[
    "$addFields",
    "$project",
    "$replaceRoot",
    "$replaceWith",
    "$set",
    "$unset",
];

/// Checks the names of a pipeline's stages.
///
/// # Errors
/// 40602 for a source that is not first, 40601 for an output that is not last,
/// 40600, 51047, 31441 and 72 for what a place does not have.
pub(super) fn check(names: &[&str], place: Place) -> Result<()> {
    for (at, &name) in names.iter().enumerate() {
        let shown = match name {
            "$changeStream" => "$_internalChangeStreamOplogMatch",
            name => name,
        };
        let refused = |code: i32, why: &str| Err(MqlError::new(code, format!("{shown} {why}")));
        if place == Place::Update && !UPDATE.contains(&name) {
            return refused(72, "is not allowed to be used within an update");
        }
        let writes = LAST.contains(&name);
        if place == Place::Facet && (writes || FIRST.contains(&name) || name == "$facet") {
            return refused(40600, "is not allowed to be used within a $facet stage");
        }
        if at > 0 && FIRST.contains(&name) {
            return refused(40602, "is only valid as the first stage in a pipeline");
        }
        match place {
            Place::Lookup if writes || name == "$changeStream" => {
                return refused(51047, "is not allowed within a $lookup's sub-pipeline");
            }
            Place::Union if writes || name == "$changeStream" => {
                return refused(31441, "is not allowed within a $unionWith's sub-pipeline");
            }
            _ => {}
        }
        if writes && at + 1 < names.len() {
            return refused(40601, "can only be the final stage in the pipeline");
        }
    }
    Ok(())
}
