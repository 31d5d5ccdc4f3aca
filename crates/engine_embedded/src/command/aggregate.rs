//! aggregate: a pipeline over a collection. What the pipeline begins with is
//! left to the planner; the rest runs in `mql`.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use engine::{Answer, CommandError};
use mql::aggregate::Stage;
use mql::{Matcher, Pipeline};

use super::cursors::first_batch;
use super::read::FIRST_BATCH;
use super::{
    blocking, check_fields, check_namespace, collection, default_collation, document, whole,
};
use crate::catalog::Collection;
use crate::query;
use crate::transaction::Part;
use crate::write::Changes;
use crate::{Core, View, mql as mql_error};

/// Fields of the command.
const FIELDS: &[&str] = &[
    "pipeline",
    "cursor",
    "allowDiskUse",
    "hint",
    "let",
    "bypassDocumentValidation",
    "collation",
];

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    command: &RawDocument,
    part: Option<Part>,
) -> Answer {
    let view = core.view.load_full();
    let transaction = match &part {
        Some(part) => Some(core.transactions.join(part, &view)?),
        None => None,
    };
    let aggregate = Aggregate::parse(&view, database, command)?;
    let core = core.clone();
    blocking(move || {
        let Some(transaction) = transaction else {
            return aggregate.on(&core, &view, None);
        };
        let changes = transaction
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changes = changes
            .as_ref()
            .ok_or_else(|| CommandError::new(251, "the transaction has ended"))?;
        aggregate.on(&core, &changes.view, Some(changes))
    })
    .await
}

/// A parsed command.
struct Aggregate {
    database: String,
    target: String,
    pipeline: Pipeline,
    batch: usize,
}

impl Aggregate {
    fn parse(view: &View, database: &str, command: &RawDocument) -> Result<Self, CommandError> {
        let target = match command.get("aggregate")? {
            Some(RawBsonRef::String(target)) => target.to_owned(),
            Some(RawBsonRef::Int32(1)) => {
                return Err(CommandError::new(
                    115,
                    "aggregation on a whole database is not supported by the embedded engine",
                ));
            }
            _ => {
                return Err(CommandError::new(73, "collection name has invalid type"));
            }
        };
        check_namespace(&target)?;
        check_fields(command, FIELDS)?;
        let Ok(stages) = command.get_array("pipeline") else {
            return Err(CommandError::new(
                14,
                "'pipeline' option must be specified as an array",
            ));
        };
        let cursor = document(command, "cursor")?.ok_or_else(|| {
            CommandError::new(
                9,
                "The 'cursor' option is required, except for aggregate with the explain argument",
            )
        })?;
        let default = default_collation(view, database, &target);
        let collation = super::collation(command, default.as_ref())?;
        Ok(Self {
            database: database.to_owned(),
            target,
            pipeline: Pipeline::parse(stages)
                .map_err(mql_error)?
                .collated(collation.as_ref()),
            batch: whole(cursor, "batchSize")?.map_or(FIRST_BATCH, |n| n.max(0) as usize),
        })
    }

    fn on(&self, core: &Core, view: &View, changes: Option<&Changes>) -> Answer {
        let found = match changes {
            Some(changes) => collection(core, changes, &self.database, &self.target),
            None => view.catalog.get(&self.database, &self.target).cloned(),
        };
        let documents = output(view, changes, found.as_ref(), &self.pipeline)?;
        let namespace = format!("{}.{}", self.database, self.target);
        Ok(first_batch(core, namespace, documents, self.batch))
    }
}

/// Runs a pipeline; a leading `$match` chooses the plan.
fn output(
    view: &View,
    changes: Option<&Changes>,
    found: Option<&Arc<Collection>>,
    pipeline: &Pipeline,
) -> Result<Vec<RawDocumentBuf>, CommandError> {
    let mut rest = pipeline.clone();
    let filter = match rest.stages().first() {
        Some(Stage::Match(_)) => match rest.take_first() {
            Some(Stage::Match(matcher)) => matcher,
            _ => Matcher::all(),
        },
        _ => Matcher::all(),
    };
    let mut runner = rest.start();
    let mut made = Vec::new();
    if let Some(collection) = found {
        query::each(view, changes, collection, &filter, &mut |located| {
            runner
                .push(Cow::Owned(located.document))
                .map_err(mql_error)?;
            while let Some(document) = runner.pull().map_err(mql_error)? {
                made.push(document);
            }
            Ok(!runner.is_satisfied())
        })?;
    }
    runner.end();
    while let Some(document) = runner.pull().map_err(mql_error)? {
        made.push(document);
    }
    Ok(made)
}
