//! aggregate: the pipeline's input is what the caller may see, so that hidden
//! data is as good as not stored (rules-schemas.md §6, §16.2).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::Collection;
use kit::Problem;
use kit::limit::QUERY_DOCUMENTS_MAX;
use mql::{MqlError, Pipeline};
use rules::{Restriction, has_expression};

use super::arguments::{Arguments, empty};
use super::failure::{language, malformed, restricted};
use super::read::{Cursor, all_of, documents};
use super::{Door, marker};

/// Most bytes of visible documents that a pipeline outside of the engine reads.
const INPUT_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Input and pipeline up to these sizes may be computed where the request is
/// answered, which spares two changes of threads.
const BRIEF_INPUT_BYTES_MAX: usize = 64 * 1024;
const BRIEF_PIPELINE_BYTES_MAX: usize = 1024;

/// Stages that make documents, one of which a brief pipeline has at most.
const MAKING: [&str; 2] = ["$group", "$project"];

/// Stages and what in them takes no longer than its operand is large.
const BRIEF: [&str; 26] = [
    "$match", "$project", "$unset", "$sort", "$skip", "$limit", "$group", "$count", "$sum", "$avg",
    "$min", "$max", "$first", "$last", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin",
    "$exists", "$and", "$or", "$not",
];

/// The collection that cursors of a database's pipelines have.
pub(super) const OF_DATABASE: &str = "$cmd.aggregate";

/// A pipeline on no collection. It begins with documents of its own: what else
/// MongoDB lets it begin with is about the deployment, or has no end.
pub(super) async fn of_database(
    collection: &Collection,
    arguments: &Arguments<'_>,
) -> Result<RawBson, Problem> {
    let Some(pipeline) = arguments.array("pipeline")? else {
        return Err(Problem::missing_parameter("missing argument 'pipeline'"));
    };
    let first = stages(pipeline)
        .next()
        .and_then(|stage| stage.iter().next());
    if !matches!(first, Some(Ok((name, _))) if name == "$documents") {
        return Err(Problem::invalid_parameter(
            "an aggregation on a database begins with $documents",
        ));
    }
    let mut command = rawdoc! { "aggregate": 1 };
    command.append(cstr!("pipeline"), pipeline);
    command.append(cstr!("cursor"), RawDocumentBuf::new());
    let mut made = RawArrayBuf::new();
    let mut cursor = Cursor::open(collection, command);
    while let Some(reply) = cursor.next().await? {
        for document in documents(&reply)? {
            made.push(document?);
        }
    }
    Ok(RawBson::Array(made))
}

impl Door<'_> {
    pub(super) async fn aggregate(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(pipeline) = arguments.array("pipeline")? else {
            return Err(Problem::missing_parameter("missing argument 'pipeline'"));
        };
        if let Some(settings) = self.settings() {
            let allowed = &settings.allowed;
            allowed.check_pipeline(pipeline).map_err(restricted)?;
        }
        // `$search` has to be first: what it finds passes the roles after it.
        let (search, rest) = searched(pipeline)?;
        let mut reading = if search.is_some() && self.rules.is_some() {
            self.searching().await?
        } else {
            self.reading(empty()).await?
        };
        if search.is_some() && self.protects() && reading.hides() {
            // It finds documents by fields that are hidden.
            return Err(restricted(Restriction::Forbidden("$search".to_owned())));
        }
        if reading.shows_nothing() {
            // Not asked of an engine that may not know the stage.
            return run(&Pipeline::parse(&rest).map_err(language)?, Vec::new());
        }
        // An expression fails on documents that are none of the caller's, too.
        let fails = || stages(&rest).any(has_expression);
        if !reading.is_plain() || !reading.is_everything() && fails() {
            // A leading $match spares reading what it will not let through.
            if search.is_none()
                && let Some(first) = leading_match(&rest)
            {
                reading.query = all_of([reading.query.as_ref(), &rules::hoisted(first)]);
            }
            let parsed = Pipeline::parse(&rest).map_err(language)?;
            let mut input = Vec::new();
            let mut bytes = 0;
            let command = match &search {
                Some(search) => {
                    let none = RawArrayBuf::new();
                    let stages = after(Some(search), &reading.query, &none)?;
                    self.aggregation(stages)
                }
                None => self.scan(&reading),
            };
            let mut cursor = Cursor::open(&self.collection, command);
            while let Some(reply) = cursor.next().await? {
                for document in documents(&reply)? {
                    let Some(visible) = reading.visible(document?).await? else {
                        continue;
                    };
                    bytes += visible.as_bytes().len();
                    if bytes > INPUT_BYTES_MAX {
                        cursor.close().await;
                        return Err(language(MqlError::new(
                            292,
                            "the aggregation reads more than 100 MiB of documents under rules \
                             that only hold per document; narrow it with a filter",
                        )));
                    }
                    input.push(visible);
                }
            }
            if bytes <= BRIEF_INPUT_BYTES_MAX && is_brief(&rest) {
                return run(&parsed, input);
            }
            return tokio::task::spawn_blocking(move || run(&parsed, input))
                .await
                .map_err(Problem::internal)?;
        }
        let command = self.aggregation(after(search.as_deref(), &reading.query, &rest)?);
        let most = if self.rules.is_some() {
            QUERY_DOCUMENTS_MAX
        } else {
            usize::MAX
        };
        let mut made = RawArrayBuf::new();
        let mut count = 0;
        let mut cursor = Cursor::open(&self.collection, command);
        'all: while let Some(reply) = cursor.next().await? {
            for document in documents(&reply)? {
                if count == most {
                    break 'all;
                }
                made.push(marker::without(document?).as_ref());
                count += 1;
            }
        }
        cursor.close().await;
        Ok(RawBson::Array(made))
    }

    fn aggregation(&self, stages: RawArrayBuf) -> RawDocumentBuf {
        let mut command = rawdoc! { "aggregate": self.namespace.collection.as_str() };
        command.append(cstr!("pipeline"), stages);
        command.append(cstr!("cursor"), RawDocumentBuf::new());
        command
    }
}

fn stages(pipeline: &RawArray) -> impl Iterator<Item = &RawDocument> {
    pipeline
        .into_iter()
        .flatten()
        .filter_map(RawBsonRef::as_document)
}

/// The query of a `$match` that a pipeline begins with.
fn leading_match(pipeline: &RawArray) -> Option<&RawDocument> {
    let first = pipeline.into_iter().next()?.ok()?.as_document()?;
    first.get_document("$match").ok()
}

/// Whether a pipeline takes a time in proportion to its input.
fn is_brief(pipeline: &RawArray) -> bool {
    fn is_linear(value: RawBsonRef<'_>) -> bool {
        match value {
            RawBsonRef::Document(inner) => inner.iter().all(|entry| {
                entry.is_ok_and(|(name, inner)| {
                    let name = name.as_str();
                    (!name.starts_with('$') || BRIEF.contains(&name)) && is_linear(inner)
                })
            }),
            RawBsonRef::Array(inner) => inner.into_iter().all(|inner| inner.is_ok_and(is_linear)),
            RawBsonRef::RegularExpression(_) => false,
            _ => true,
        }
    }
    // What names a field several times makes several of it: stages after one
    // another would make powers of them.
    let makes = |stage: &&RawDocument| {
        MAKING
            .iter()
            .any(|name| stage.get(name).is_ok_and(|s| s.is_some()))
    };
    pipeline.as_bytes().len() <= BRIEF_PIPELINE_BYTES_MAX
        && stages(pipeline).filter(makes).count() <= 1
        && is_linear(RawBsonRef::Array(pipeline))
}

/// A `$search` at the beginning of a pipeline, and what comes after it.
fn searched(pipeline: &RawArray) -> Result<(Option<RawDocumentBuf>, RawArrayBuf), Problem> {
    let mut search = None;
    let mut rest = RawArrayBuf::new();
    for (index, stage) in pipeline.into_iter().enumerate() {
        let stage = stage.map_err(malformed)?;
        match stage {
            RawBsonRef::Document(stage)
                if index == 0 && stage.get("$search").is_ok_and(|stage| stage.is_some()) =>
            {
                search = Some(stage.to_owned());
            }
            stage => rest.push(stage),
        }
    }
    Ok((search, rest))
}

/// The stages on what a search found or everything, as far as it matches `query`.
fn after(
    search: Option<&RawDocument>,
    query: &RawDocument,
    rest: &RawArray,
) -> Result<RawArrayBuf, Problem> {
    let mut stages = RawArrayBuf::new();
    if let Some(search) = search {
        stages.push(search);
    }
    if !query.is_empty() {
        let mut matching = RawDocumentBuf::new();
        matching.append(cstr!("$match"), query);
        stages.push(matching);
    }
    for stage in rest {
        stages.push(stage.map_err(malformed)?);
    }
    Ok(stages)
}

fn run(pipeline: &Pipeline, input: Vec<RawDocumentBuf>) -> Result<RawBson, Problem> {
    let mut made = RawArrayBuf::new();
    let output = pipeline.run(Box::new(input.into_iter().map(Ok)));
    for document in output.take(QUERY_DOCUMENTS_MAX) {
        made.push(document.map_err(language)?);
    }
    Ok(RawBson::Array(made))
}

#[cfg(test)]
mod tests {
    use bson::{RawArrayBuf, bson};

    use super::is_brief;

    #[test]
    fn only_what_is_linear_is_brief() {
        let brief = |stages: bson::Bson| {
            let stages = stages.as_array().unwrap().clone();
            is_brief(&RawArrayBuf::try_from(&stages).unwrap())
        };
        assert!(brief(bson!([
            { "$match": { "a": { "$gt": 1 }, "$or": [{ "b": 1 }, { "c": { "$in": [1] } }] } },
            { "$group": { "_id": "$a", "n": { "$sum": "$b" } } }, { "$sort": { "n": -1 } },
        ])));
        let several = bson!({ "$project": { "a": ["$a", "$a", "$a", "$a"] } });
        assert!(brief(bson!([several.clone()])));
        assert!(!brief(bson!([several.clone(), several.clone()])));
        assert!(!brief(
            bson!([{ "$group": { "_id": { "a": "$a", "b": "$a" } } }, several])
        ));
        let regex = bson::Regex {
            pattern: bson::cstr!("a").into(),
            options: bson::cstr!("").into(),
        };
        for stage in [
            bson!({ "$unwind": "$a" }),
            bson!({ "$facet": { "a": [] } }),
            bson!({ "$project": { "a": { "$range": [0, 1_000_000_000] } } }),
            bson!({ "$project": { "a": { "b": [{ "$concat": ["$a", "$a"] }] } } }),
            bson!({ "$match": { "$expr": { "$eq": ["$a", 1] } } }),
            bson!({ "$match": { "a": regex } }),
            bson!({ "$group": { "_id": null, "all": { "$push": "$$ROOT" } } }),
            bson!({ "$match": { "a": "x".repeat(2000) } }),
        ] {
            assert!(!brief(bson!([stage.clone()])), "{stage}");
        }
    }
}
