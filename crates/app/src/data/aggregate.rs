//! aggregate: the pipeline's input is what the caller may see, so that hidden
//! data is as good as not stored (rules-schemas.md §6, §16.2).

use bson::{RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use kit::Problem;
use kit::limit::QUERY_DOCUMENTS_MAX;
use mql::{MqlError, Pipeline};
use rules::forbidden_in_pipeline;

use super::Door;
use super::arguments::{Arguments, empty};
use super::failure::{language, malformed, restricted};
use super::read::{Cursor, all_of, documents};

/// Most bytes of visible documents that a pipeline outside of the engine reads.
const INPUT_BYTES_MAX: usize = 100 * 1024 * 1024;

impl Door<'_> {
    pub(super) async fn aggregate(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(pipeline) = arguments.array("pipeline")? else {
            return Err(Problem::missing_parameter("missing argument 'pipeline'"));
        };
        if self.rules.is_some() {
            forbidden_in_pipeline(pipeline).map_err(restricted)?;
        }
        let mut reading = self.reading(empty()).await?;
        if !reading.is_plain() {
            // A leading $match spares reading what it will not let through.
            if let Some(first) = leading_match(pipeline) {
                reading.query = all_of([reading.query.as_ref(), &rules::hoisted(first)]);
            }
            let parsed = Pipeline::parse(pipeline).map_err(language)?;
            let mut input = Vec::new();
            let mut bytes = 0;
            let mut cursor = Cursor::open(&self.collection, self.scan(&reading));
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
            return tokio::task::spawn_blocking(move || run(&parsed, input))
                .await
                .map_err(Problem::internal)?;
        }
        let mut command = rawdoc! { "aggregate": self.namespace.collection.as_str() };
        command.append(cstr!("pipeline"), after(&reading.query, pipeline)?);
        command.append(cstr!("cursor"), RawDocumentBuf::new());
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
                made.push(document?);
                count += 1;
            }
        }
        cursor.close().await;
        Ok(RawBson::Array(made))
    }
}

/// The query of a `$match` that a pipeline begins with.
fn leading_match(pipeline: &RawArray) -> Option<&RawDocument> {
    let first = pipeline.into_iter().next()?.ok()?.as_document()?;
    first.get_document("$match").ok()
}

/// The pipeline on what matches `query`.
fn after(query: &RawDocumentBuf, pipeline: &RawArray) -> Result<RawArrayBuf, Problem> {
    if query.is_empty() {
        return Ok(pipeline.to_owned());
    }
    let mut stages = RawArrayBuf::new();
    let mut first = RawDocumentBuf::new();
    first.append(cstr!("$match"), query.as_ref());
    stages.push(first);
    for stage in pipeline {
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
