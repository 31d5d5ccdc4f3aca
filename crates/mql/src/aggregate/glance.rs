//! What MongoDB looks at before it parses a pipeline: the names of all stages,
//! what they read and write, and the same in their pipelines. What is wrong there
//! comes before anything that is wrong with an earlier stage.

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};

use super::graph_lookup::GraphLookup;
use super::lookup::{Lookup, Union};
use super::output::{Merge, Target};
use super::parse::is_known;
use super::parse::{DEPTH_MAX, facets, kind, shown};
use crate::error::{MqlError, Result};
use crate::matcher::malformed;

/// Looks at the stages of a pipeline.
///
/// # Errors
/// 14 for what is no object, 40323 for a stage with more than one field, 40324
/// for an unknown one; what is wrong with a stage's collections.
pub(super) fn glance(stages: &RawArray, depth: usize) -> Result<()> {
    // The parser refuses it.
    if depth > DEPTH_MAX {
        return Ok(());
    }
    let mut documents = Vec::new();
    for entry in stages {
        let RawBsonRef::Document(document) = entry.map_err(malformed)? else {
            return Err(MqlError::type_mismatch(
                "Each element of the 'pipeline' array must be an object",
            ));
        };
        documents.push(document);
    }
    documents
        .into_iter()
        .try_for_each(|stage| look(stage, depth))
}

fn look(stage: &RawDocument, depth: usize) -> Result<()> {
    let mut entries = stage.iter();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(MqlError::new(
            40323,
            "A pipeline stage specification object must contain exactly one field.",
        ));
    };
    let (name, operand) = entry.map_err(malformed)?;
    match name.as_str() {
        "$out" => Target::parse_out(operand).map(drop),
        "$merge" => Merge::glance(operand),
        "$facet" => {
            let facets = facets(operand)?;
            let mut inner = facets.into_iter().map(|(_, stages)| stages);
            inner.try_for_each(|stages| glance(stages, depth + 1))
        }
        "$lookup" => match Lookup::glance(operand)? {
            Some(stages) => glance(stages, depth + 1),
            None => Ok(()),
        },
        "$unionWith" => match Union::glance(operand)?.1 {
            Some(stages) => glance(&stages, depth + 1),
            None => Ok(()),
        },
        "$graphLookup" => GraphLookup::glance(operand).map(drop),
        "$collStats" if operand.as_document().is_none() => Err(MqlError::new(
            5_447_000,
            format!(
                "$collStats must take a nested object but found: $collStats: {}",
                shown(operand)
            ),
        )),
        "$currentOp" if operand.as_document().is_none() => Err(MqlError::type_mismatch(format!(
            "$currentOp options must be specified in an object, but found: {}",
            kind(operand)
        ))),
        name => is_known(name),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson};

    use crate::Pipeline;

    #[test]
    fn collections_are_looked_at_before_stages_are_parsed() {
        let wrong = bson!({ "$sort": { "a": 7 } });
        for (stage, code) in [
            (bson!({ "$out": 1 }), 16990),
            (
                bson!({ "$merge": { "into": "d", "whenMatched": "fail", "whenNotMatched": "fail" } }),
                51181,
            ),
            (
                bson!({ "$merge": { "into": "d", "whenMatched": [{ "$zz": 1 }] } }),
                40324,
            ),
            (
                bson!({ "$merge": { "into": "d", "let": {}, "whenMatched": "merge" } }),
                15975,
            ),
            (bson!({ "$facet": { "x": [{}] } }), 40323),
            (bson!({ "$facet": { "x": [1] } }), 40171),
            (
                bson!({ "$facet": { "x": [{ "$lookup": { "from": 1 } }] } }),
                9,
            ),
            (bson!({ "$lookup": { "from": { "c": 1 } } }), 40415),
            (bson!({ "$lookup": { "from": "d", "as": 1 } }), 15975),
            (
                bson!({ "$unionWith": { "coll": "d", "pipeline": [null] } }),
                15975,
            ),
            (
                bson!({ "$unionWith": { "coll": "d", "pipeline": [{}] } }),
                40323,
            ),
            (bson!({ "$graphLookup": { "from": null } }), 9),
            (bson!({ "$match": null }), 15975),
        ] {
            let stages: Vec<Bson> = vec![wrong.clone(), stage.clone()];
            let error = Pipeline::parse_bson(&stages).expect_err("wrong");
            assert_eq!(error.code, code, "{stage}: {error:?}");
        }
    }
}
