//! Commands: which one, in which transaction, and the loop that evaluates a
//! write again when another came first.

pub(crate) mod admin;
mod aggregate;
mod concern;
mod cursors;
mod explain;
pub(crate) mod indexes;
mod modify;
mod output;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use engine::{Answer, CommandError};
use mql::Collation;

use crate::catalog::Collection;
use crate::committer::Refused;
use crate::transaction::{Part, Transaction};
use crate::write::Changes;
use crate::{Core, View};
use concern::Concern;

/// Times that a plain write is evaluated again before it gives up.
const WRITE_TRIES_MAX: u32 = 10_000;

/// Fields that any command may carry.
const GENERIC: &[&str] = &[
    "$db",
    "lsid",
    "txnNumber",
    "autocommit",
    "startTransaction",
    "$readPreference",
    "readConcern",
    "writeConcern",
    "comment",
    "maxTimeMS",
    "$clusterTime",
    "apiVersion",
    "apiStrict",
    "apiDeprecationErrors",
    "stmtId",
];

pub(crate) async fn run(core: &Arc<Core>, database: &str, command: &RawDocument) -> Answer {
    let Some(first) = command.iter().next() else {
        return Err(CommandError::new(59, "no such command: ''"));
    };
    let (name, value) = first?;
    let concern = Concern::of(command)?;
    let part = Part::of(command)?;
    let target = match value {
        RawBsonRef::String(target) => target,
        _ => "",
    };
    let reply = match name.as_str() {
        "find" | "count" | "distinct" | "getMore" if command.get("writeConcern")?.is_some() => Err(
            CommandError::new(72, "Command does not support writeConcern"),
        ),
        "explain" => explain::run(core, database, command).await,
        "aggregate" if flag(command, "explain")? => {
            explain::aggregate(core, database, command).await
        }
        "aggregate" => aggregate::run(core, database, command, part).await,
        "find" | "count" | "distinct" => {
            read::run(core, database, name.as_str(), command, part).await
        }
        "getMore" => cursors::get_more(core, database, command, part).await,
        "killCursors" => cursors::kill(core, command),
        "insert" | "update" | "delete" | "findAndModify" | "findandmodify" => {
            write(core, database, target, command, part, concern.journaled).await
        }
        "commitTransaction" => {
            let part = part.ok_or_else(|| CommandError::new(72, "not in a transaction"))?;
            let changes = core.transactions.end(&part)?;
            match core.committer.commit(changes, concern.journaled).await {
                Ok(()) => Ok(crate::transaction::done()),
                Err(Refused::Conflict) => Err(CommandError::write_conflict()),
                Err(Refused::Failed(error)) => Err(error),
            }
        }
        "abortTransaction" => {
            let part = part.ok_or_else(|| CommandError::new(72, "not in a transaction"))?;
            core.transactions.end(&part)?;
            Ok(crate::transaction::done())
        }
        other => admin::run(core, database, other, target, command).await,
    };
    concern.tell(reply?)
}

/// Evaluates a write and commits it, or adds it to its transaction.
async fn write(
    core: &Arc<Core>,
    database: &str,
    target: &str,
    command: &RawDocument,
    part: Option<Part>,
    journaled: Option<bool>,
) -> Answer {
    check_namespace(target)?;
    let name = command.iter().next().transpose()?;
    let name = name.map_or("", |(name, _)| name.as_str());
    let parse = |view: &View| {
        let default = default_collation(view, database, target);
        modify::Operation::parse(name, command, core.clock.now(), default.as_ref())
    };
    let mut operation = parse(&core.view.load())?;
    if core.view.load().catalog.get(database, target).is_none() {
        if !operation.may_insert() {
            return operation.nothing();
        }
        create(core, database, target).await?;
    }
    if let Some(part) = part {
        let transaction = core.transactions.join(&part, &core.view.load_full())?;
        let result = within(core, &transaction, database, target, &operation);
        let failed = match &result {
            Err(_) => true,
            Ok(reply) => CommandError::first_write_error(reply).is_some(),
        };
        if failed {
            // An error ends the transaction, as it does in MongoDB.
            let _ = core.transactions.end(&part);
        }
        return result;
    }
    for _ in 0..WRITE_TRIES_MAX {
        let view = core.view.load_full();
        let Some(collection) = view.catalog.get(database, target).cloned() else {
            // Dropped in between.
            create(core, database, target).await?;
            continue;
        };
        if operation.default_collation() != collection.collation.as_ref() {
            // Another collection of that name, made in between.
            operation = parse(&view)?;
        }
        let (reply, changes) = if operation.is_quick() {
            let mut changes = Changes::new(view);
            let reply = operation.evaluate(core, &collection, &mut changes, None)?;
            (reply, changes)
        } else {
            let (core, operation) = (core.clone(), operation.clone());
            blocking(move || {
                let mut changes = Changes::new(view);
                let reply = operation.evaluate(&core, &collection, &mut changes, None)?;
                Ok((reply, changes))
            })
            .await?
        };
        match core.committer.commit(changes, journaled).await {
            Ok(()) => return Ok(reply),
            Err(Refused::Conflict) => {}
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
    Err(CommandError::write_conflict())
}

fn within(
    core: &Arc<Core>,
    transaction: &Transaction,
    database: &str,
    target: &str,
    operation: &modify::Operation,
) -> Answer {
    let mut changes = transaction
        .changes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let changes = changes
        .as_mut()
        .ok_or_else(|| CommandError::new(251, "the transaction has ended"))?;
    let collection = collection(core, changes, database, target)
        .ok_or_else(|| CommandError::new(26, "ns does not exist"))?;
    operation.evaluate(core, &collection, changes, Some(transaction))
}

/// A collection as a transaction sees it; one made since then counts too.
fn collection(
    core: &Core,
    changes: &Changes,
    database: &str,
    target: &str,
) -> Option<Arc<Collection>> {
    let own = changes.view.catalog.get(database, target).cloned();
    own.or_else(|| core.view.load().catalog.get(database, target).cloned())
}

async fn create(core: &Arc<Core>, database: &str, target: &str) -> Result<(), CommandError> {
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            if catalog.get(&database, &target).is_none() {
                let collection = catalog.create(&database, &target);
                crate::catalog::store(batch, &collection)?;
                return Ok(vec![crate::event::create(&collection)?]);
            }
            Ok(Vec::new())
        })
        .await
}

fn check_namespace(target: &str) -> Result<(), CommandError> {
    if target.is_empty() || target.starts_with('.') || target.contains(['$', '\0']) {
        return Err(CommandError::new(
            73,
            format!("Invalid namespace specified '{target}'"),
        ));
    }
    Ok(())
}

/// Runs long work off the reactor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CommandError::new(1, format!("the operation ended early: {error}")))?
}

/// Runs long work off the reactor, and tells it when nobody waits any more.
async fn waited_for<T: Send + 'static>(
    work: impl FnOnce(Arc<AtomicBool>) -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    struct Waiting(Arc<AtomicBool>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let gone = Arc::new(AtomicBool::new(false));
    let waiting = Waiting(gone.clone());
    let result = blocking(move || work(gone)).await;
    drop(waiting);
    result
}

/// The time that a command gives itself (`maxTimeMS`).
fn time_limit(command: &RawDocument) -> Result<Option<Duration>, CommandError> {
    let n = match command.get("maxTimeMS")? {
        None => return Ok(None),
        Some(RawBsonRef::Int32(n)) => i64::from(n),
        Some(RawBsonRef::Int64(n)) => n,
        Some(RawBsonRef::Double(n)) => n as i64,
        Some(_) => return Err(CommandError::bad_value("maxTimeMS must be a number")),
    };
    if !(0..=i64::from(i32::MAX)).contains(&n) {
        let text = format!("{n} value for maxTimeMS is out of range");
        return Err(CommandError::bad_value(text));
    }
    Ok((n > 0).then(|| Duration::from_millis(n as u64)))
}

/// Refuses fields that a command does not have.
pub(crate) fn check_fields(command: &RawDocument, known: &[&str]) -> Result<(), CommandError> {
    let name = command
        .iter()
        .flatten()
        .next()
        .map_or("", |(name, _)| name.as_str());
    for entry in command.iter().skip(1) {
        let (field, _) = entry?;
        let field = field.as_str();
        if !known.contains(&field) && !GENERIC.contains(&field) {
            return Err(CommandError::new(
                40415,
                format!("BSON field '{name}.{field}' is an unknown field."),
            ));
        }
    }
    Ok(())
}

/// The collation that a command or statement asks for, else the collection's.
fn collation(
    command: &RawDocument,
    default: Option<&Collation>,
) -> Result<Option<Collation>, CommandError> {
    match document(command, "collation")? {
        Some(given) if !given.is_empty() => Collation::parse(given).map_err(crate::mql),
        _ => Ok(default.cloned()),
    }
}

/// A collection's collation.
fn default_collation(view: &View, database: &str, target: &str) -> Option<Collation> {
    let found = view.catalog.get(database, target);
    found.and_then(|collection| collection.collation.clone())
}

/// A whole number of any type; `None` when the field is missing.
pub(crate) fn whole(command: &RawDocument, name: &str) -> Result<Option<i64>, CommandError> {
    Ok(match command.get(name)? {
        None | Some(RawBsonRef::Null) => None,
        Some(RawBsonRef::Int32(n)) => Some(n.into()),
        Some(RawBsonRef::Int64(n)) => Some(n),
        Some(RawBsonRef::Double(n)) => Some(n as i64),
        Some(other) => {
            return Err(CommandError::new(
                14,
                format!(
                    "BSON field '{name}' is the wrong type '{:?}', expected a number",
                    other.element_type()
                ),
            ));
        }
    })
}

fn flag(command: &RawDocument, name: &str) -> Result<bool, CommandError> {
    Ok(match command.get(name)? {
        None | Some(RawBsonRef::Null) => false,
        Some(RawBsonRef::Boolean(value)) => value,
        Some(RawBsonRef::Int32(n)) => n != 0,
        Some(RawBsonRef::Int64(n)) => n != 0,
        Some(RawBsonRef::Double(n)) => n != 0.0,
        Some(other) => {
            return Err(CommandError::new(
                14,
                format!(
                    "BSON field '{name}' is the wrong type '{:?}', expected a bool",
                    other.element_type()
                ),
            ));
        }
    })
}

pub(crate) fn document<'a>(
    command: &'a RawDocument,
    name: &str,
) -> Result<Option<&'a RawDocument>, CommandError> {
    match command.get(name)? {
        None | Some(RawBsonRef::Null) => Ok(None),
        Some(RawBsonRef::Document(document)) => Ok(Some(document)),
        Some(other) => Err(CommandError::new(
            14,
            format!(
                "BSON field '{name}' is the wrong type '{:?}', expected type 'object'",
                other.element_type()
            ),
        )),
    }
}

/// A reply from a document.
fn reply(document: &bson::Document) -> Answer {
    Ok(RawDocumentBuf::try_from(document)?)
}
