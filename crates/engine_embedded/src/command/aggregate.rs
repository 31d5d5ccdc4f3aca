//! aggregate: a pipeline over a collection or over none. What the pipeline
//! begins with is left to the planner; the rest runs in `mql`, which reads
//! other collections through [`Foreign`].

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};
use kit::limit::{DOCUMENT_BYTES_MAX, PIPELINE_STAGE_BYTES_MAX};
use mql::aggregate::{Collections, Environment, Stage, Take};
use mql::path::Path;
use mql::{Matcher, MqlError, Pipeline, Sort};

use super::cursors::first_batch;
use super::given::{Given, random};
use super::read::FIRST_BATCH;
use super::{
    check_fields, check_namespace, collection, default_collation, document, flag, output,
    time_limit, waited_for, whole,
};
use crate::catalog::Collection;
use crate::plan::{Ask, Hint, plan};
use crate::query::{self, Wanted};
use crate::transaction::Transaction;
use crate::walk::{Effort, Place, Walk};
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
/// Bytes by which a reply's document may be larger than a stored one.
const MARGIN: usize = 16 * 1024;
/// The collection that a pipeline over none is said to read.
const NOWHERE: &str = "$cmd.aggregate";

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    command: &RawDocument,
    transaction: Option<Arc<Transaction>>,
) -> Answer {
    let view = core.view.load_full();
    let mut aggregate = Aggregate::parse(core, &view, database, command)?;
    let target = aggregate.pipeline.take_output();
    if target.is_some() && transaction.is_some() {
        return Err(CommandError::new(
            263,
            "Operation not permitted in transaction :: caused by :: $out and $merge cannot be used in a transaction",
        ));
    }
    let bypass = flag(command, "bypassDocumentValidation")?;
    let (shared, batch) = (core.clone(), aggregate.batch);
    let namespace = format!("{}.{}", aggregate.database, aggregate.target);
    let documents = waited_for(move |gone| {
        let Some(transaction) = transaction else {
            return aggregate.on(&shared, &view, None, gone);
        };
        transaction.with(|changes| {
            let view = changes.view.clone();
            aggregate.on(&shared, &view, Some(changes), gone)
        })
    })
    .await?;
    let documents = match target {
        None => documents,
        Some(stage) => {
            output::write(core, database, &stage, (documents, bypass))
                .await
                .map_err(executing)?;
            Vec::new()
        }
    };
    Ok(first_batch(core, namespace, documents, batch, false))
}

/// An error that came while documents were read.
fn executing(mut error: CommandError) -> CommandError {
    const PREFIX: &str = "PlanExecutor error during aggregation :: caused by :: ";
    if !error.message.starts_with(PREFIX) {
        error.message.insert_str(0, PREFIX);
    }
    error
}

/// A parsed command.
struct Aggregate {
    database: String,
    target: String,
    pipeline: Pipeline,
    hint: Option<Hint>,
    time: Option<Duration>,
    batch: usize,
    allow_disk_use: bool,
}

impl Aggregate {
    fn parse(
        core: &Core,
        view: &View,
        database: &str,
        command: &RawDocument,
    ) -> Result<Self, CommandError> {
        let target = match command.get("aggregate")? {
            Some(RawBsonRef::String(target)) => {
                check_namespace(target)?;
                Some(target)
            }
            Some(RawBsonRef::Int32(1) | RawBsonRef::Int64(1)) => None,
            Some(RawBsonRef::Double(n)) if (n - 1.0).abs() < f64::EPSILON => None,
            _ => {
                return Err(CommandError::new(
                    9,
                    "Invalid command format: the 'aggregate' field must specify a collection name or 1",
                ));
            }
        };
        check_fields(command, FIELDS)?;
        let stages = match command.get("pipeline")? {
            Some(RawBsonRef::Array(stages)) => stages,
            Some(_) => {
                return Err(CommandError::new(
                    14,
                    "'pipeline' option must be specified as an array",
                ));
            }
            None => {
                return Err(CommandError::new(
                    40414,
                    "BSON field 'aggregate.pipeline' is missing but a required field",
                ));
            }
        };
        let batch = batch_size(command)?;
        let allow_disk_use = match command.get("allowDiskUse")? {
            None => true,
            Some(RawBsonRef::Boolean(allow)) => allow,
            Some(_) => {
                return Err(CommandError::new(
                    14,
                    "Field 'allowDiskUse' should be a boolean value",
                ));
            }
        };
        Pipeline::glance(stages).map_err(mql_error)?;
        let default = target.and_then(|target| default_collation(view, database, target));
        // Its type is seen before what is wrong with a collation.
        document(command, "let")?;
        let collation = super::collation(command, default.as_ref())?;
        let given = Given::by(core, command, core.clock.now());
        let variables = given.variables(collation.as_ref(), None)?;
        let pipeline = Pipeline::parse_with(stages, &variables).map_err(mql_error)?;
        check_source(target.is_some(), stages, &pipeline)?;
        let mut pipeline = pipeline.collated(collation.as_ref());
        pipeline.optimize();
        Ok(Self {
            database: database.to_owned(),
            target: target.unwrap_or(NOWHERE).to_owned(),
            pipeline,
            hint: Hint::parse(command)?,
            time: time_limit(command)?,
            batch,
            allow_disk_use,
        })
    }

    /// Runs the pipeline; a leading `$match` and a `$sort` after it choose the
    /// plan.
    fn on(
        &self,
        core: &Core,
        view: &View,
        changes: Option<&Changes>,
        gone: Arc<AtomicBool>,
    ) -> Result<Vec<RawDocumentBuf>, CommandError> {
        let effort = Effort::limited(self.time, Some(gone));
        let foreign = Foreign {
            core,
            view,
            changes,
            database: &self.database,
            effort: &effort,
        };
        let env = Environment {
            collections: &foreign,
            stage_bytes_max: PIPELINE_STAGE_BYTES_MAX,
            allow_disk_use: self.allow_disk_use,
        };
        let mut rest = self.pipeline.clone();
        let filter = match rest.stages().first() {
            Some(Stage::Match(_)) => match rest.take_first() {
                Some(Stage::Match(mut matcher)) => {
                    matcher.imply_equalities();
                    matcher
                }
                _ => Matcher::all(),
            },
            _ => Matcher::all(),
        };
        let sort = match rest.stages().first() {
            Some(Stage::Sort(sort)) => sort.clone(),
            _ => Sort::default(),
        };
        let plan = match foreign.find(&self.target).map_err(mql_error)? {
            Some(collection) => {
                let ask = Ask {
                    matcher: &filter,
                    sort: &sort,
                    hint: self.hint.as_ref(),
                    enough: rest.enough(),
                    by_index: sort.is_empty() || query::is_untouched(changes, &collection),
                };
                Some(plan(view, &collection, ask)?)
            }
            None => None,
        };
        if !sort.is_empty() && plan.as_ref().is_some_and(|plan| plan.sorted) {
            // The index gives the order.
            rest.take_first();
        }
        let mut runner = rest.start(&self.target);
        let mut made = Vec::new();
        let mut keep = |document: RawDocumentBuf| {
            if document.as_bytes().len() > DOCUMENT_BYTES_MAX + MARGIN {
                let bytes = document.as_bytes().len();
                return Err(CommandError::too_large(bytes, DOCUMENT_BYTES_MAX + MARGIN));
            }
            made.push(document);
            effort.step()
        };
        let mut run = || {
            if let (Some(plan), false) = (&plan, runner.is_satisfied()) {
                let mut walk = Walk::new(view, changes, plan, &filter, &effort);
                let mut place = Place::default();
                while !runner.is_satisfied()
                    && let Some(found) = walk.next(&mut place)?
                {
                    runner
                        .push(&env, Cow::Borrowed(found.document()?))
                        .map_err(mql_error)?;
                    while let Some(document) = runner.pull(&env).map_err(mql_error)? {
                        keep(document)?;
                    }
                }
            }
            runner.end();
            while let Some(document) = runner.pull(&env).map_err(mql_error)? {
                keep(document)?;
            }
            Ok(())
        };
        effort.limit(&mut run).map_err(executing)?;
        Ok(made)
    }
}

fn batch_size(command: &RawDocument) -> Result<usize, CommandError> {
    let cursor = match command.get("cursor")? {
        Some(RawBsonRef::Document(cursor)) => cursor,
        Some(_) => {
            return Err(CommandError::new(
                14,
                "cursor field must be missing or an object",
            ));
        }
        None => {
            return Err(CommandError::new(
                9,
                "The 'cursor' option is required, except for aggregate with the explain argument",
            ));
        }
    };
    for entry in cursor {
        let (name, _) = entry?;
        if name != "batchSize" {
            return Err(CommandError::new(
                40415,
                format!("BSON field 'cursor.{}' is an unknown field.", name.as_str()),
            ));
        }
    }
    match whole(cursor, "batchSize")? {
        None => Ok(FIRST_BATCH),
        Some(n) => usize::try_from(n).map_err(|_| {
            CommandError::new(
                51024,
                format!("BSON field 'batchSize' value must be >= 0, actual value '{n}'"),
            )
        }),
    }
}

/// A pipeline over no collection makes its documents, and only such a one does
/// it out of nothing.
fn check_source(
    collection: bool,
    stages: &RawArray,
    pipeline: &Pipeline,
) -> Result<(), CommandError> {
    let first = stages.into_iter().flatten().next();
    let name = match first {
        Some(RawBsonRef::Document(first)) => first.iter().flatten().next(),
        _ => None,
    };
    let name = name.map_or("", |(name, _)| name.as_str());
    let makes = matches!(pipeline.stages().first(), Some(Stage::Documents(_)));
    let refused = |text: String| Err(CommandError::new(73, text));
    match (collection, makes) {
        (true, true) => refused(format!("'{name}' can only be run with {{aggregate: 1}}")),
        (false, false) if name.is_empty() => {
            refused("{aggregate: 1} is not valid for an empty pipeline.".to_owned())
        }
        (false, false) => refused(format!(
            "{{aggregate: 1}} is not valid for '{name}'; a collection is required."
        )),
        _ => Ok(()),
    }
}

/// The collections that a pipeline reads, all of one moment.
struct Foreign<'a> {
    core: &'a Core,
    view: &'a View,
    changes: Option<&'a Changes>,
    database: &'a str,
    effort: &'a Effort,
}

impl Foreign<'_> {
    fn find(&self, name: &str) -> Result<Option<Arc<Collection>>, MqlError> {
        match self.changes {
            Some(changes) => collection(self.core, changes, self.database, name)
                .map_err(|error| MqlError::new(error.code, error.message)),
            None => Ok(self.view.catalog.get(self.database, name).cloned()),
        }
    }
}

impl Collections for Foreign<'_> {
    fn each(
        &self,
        collection: &str,
        matcher: &Matcher,
        take: &mut Take<'_>,
    ) -> Result<(), MqlError> {
        let Some(collection) = self.find(collection)? else {
            return Ok(());
        };
        let wanted = Wanted::by(matcher);
        let on = (self.view, self.changes);
        query::each(on, &collection, &wanted, self.effort, &mut |found| {
            take(Cow::Borrowed(found.document()?)).map_err(mql_error)
        })
        .map_err(|error| MqlError::new(error.code, error.message))
    }

    fn has_index(&self, collection: &str, path: &Path) -> bool {
        let found = self.find(collection).ok().flatten();
        found.is_some_and(|collection| {
            collection.indexes.iter().any(|index| {
                index.partial.is_none()
                    && !index.sparse
                    && index.fields.first().is_some_and(|(first, _)| first == path)
            })
        })
    }

    fn statistics(
        &self,
        collection: &str,
        stage: &str,
        specification: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>, MqlError> {
        let found = self.find(collection)?;
        let namespace = format!("{}.{collection}", self.database);
        let encode = |document: &bson::Document| {
            RawDocumentBuf::try_from(document)
                .map_err(|error| MqlError::bad_value(error.to_string()))
        };
        if stage == "$indexStats" {
            let indexes = found.iter().flat_map(|found| &found.indexes);
            return indexes
                .map(|index| {
                    encode(&doc! {
                        "name": &index.name, "key": index.key.clone(), "host": "embedded",
                        "accesses": { "ops": 0i64, "since": self.core.clock.now() },
                        "spec": index.describe(),
                    })
                })
                .collect();
        }
        let mut made = doc! {
            "ns": &namespace, "host": "embedded", "localTime": self.core.clock.now(),
        };
        for (name, what) in [
            ("latencyStats", "latency"),
            ("queryExecStats", "query execution"),
        ] {
            if matches!(specification.get(name), Ok(Some(_))) {
                return Err(MqlError::new(
                    115,
                    format!("{what} statistics are not kept by the embedded engine"),
                ));
            }
        }
        let (count, size) = match &found {
            Some(found) => super::server::documents_of(self.view, found)
                .map_err(|error| MqlError::new(error.code, error.message))?,
            None => (0, 0),
        };
        let whole = |n: i64| i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32);
        if matches!(specification.get("storageStats"), Ok(Some(_))) {
            let mut stats = doc! { "size": whole(size), "count": whole(count) };
            if count > 0 {
                stats.insert("avgObjSize", whole(size / count));
            }
            let indexes = found.as_ref().map_or(0, |found| found.indexes.len());
            stats.insert("capped", false);
            stats.insert("nindexes", indexes as i32);
            stats.insert("scaleFactor", 1);
            made.insert("storageStats", stats);
        }
        if matches!(specification.get("count"), Ok(Some(_))) {
            if found.is_none() {
                return Err(MqlError::new(
                    26,
                    format!(
                        "Unable to retrieve count in $collStats stage :: caused by :: Collection [{namespace}] not found."
                    ),
                ));
            }
            made.insert("count", whole(count));
        }
        Ok(vec![encode(&made)?])
    }

    fn random(&self) -> u64 {
        random()
    }
}
