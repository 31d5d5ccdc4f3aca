//! Commands: which one, in which transaction, and the loop that evaluates a
//! write again when another came first.

pub(crate) mod admin;
mod aggregate;
mod concern;
pub(crate) mod cursors;
mod explain;
pub(crate) mod given;
pub(crate) mod indexes;
mod modify;
mod output;
pub(crate) mod read;
mod server;
mod sessions;
mod shape;
mod tally;
mod transactional;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use engine::{Answer, CommandError, Part};
use kit::limit::COMMAND_BYTES_MAX;
use mql::Collation;

use crate::catalog::Collection;
use crate::transaction::Transaction;
use crate::write::Changes;
use crate::{Core, View};
use concern::Concern;

/// Longest name of a database.
const DATABASE_BYTES_MAX: usize = 63;
/// Longest name of a collection with its database.
const NAMESPACE_BYTES_MAX: usize = 255;

/// Commands whose first value names a collection.
const ON_COLLECTIONS: &[&str] = &[
    "find",
    "count",
    "distinct",
    "insert",
    "update",
    "delete",
    "findAndModify",
    "findandmodify",
    "create",
    "collMod",
    "drop",
    "createIndexes",
    "dropIndexes",
    "listIndexes",
    "collStats",
    "collstats",
    "validate",
];

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
    "stmtIds",
];

pub(crate) async fn run(core: &Arc<Core>, database: &str, command: &RawDocument) -> Answer {
    let Some(first) = command.iter().next() else {
        return Err(CommandError::new(59, "no such command: ''"));
    };
    let (name, value) = first?;
    let name = name.as_str();
    let bytes = command.as_bytes().len();
    if bytes > COMMAND_BYTES_MAX {
        return Err(CommandError::too_large(bytes, COMMAND_BYTES_MAX));
    }
    // Before anything walks it.
    mql::depth::check(command).map_err(crate::mql)?;
    let concern = Concern::of(command)?;
    check_read_concern(command)?;
    if matches!(name, "find" | "count" | "distinct" | "getMore")
        && command.get("writeConcern")?.is_some()
    {
        return Err(CommandError::new(
            72,
            "Command does not support writeConcern",
        ));
    }
    check_database(database)?;
    let target = match value {
        RawBsonRef::String(target) => target,
        other if ON_COLLECTIONS.contains(&name) => {
            return Err(CommandError::new(
                2,
                format!("collection name has invalid type {}", mql::type_name(other)),
            ));
        }
        _ => "",
    };
    let reply = sent(core, database, (name, target), command, concern.journaled).await?;
    concern.tell(reply)
}

/// Runs a command of a session, or another one.
async fn sent(
    core: &Arc<Core>,
    database: &str,
    (name, target): (&str, &str),
    command: &RawDocument,
    journaled: Option<bool>,
) -> Answer {
    let part = Part::of(command)?;
    if let Some(part) = &part {
        sessions::check(part, database, (name, target), command)?;
    }
    if matches!(name, "commitTransaction" | "abortTransaction") {
        return sessions::end(core, part, name, journaled).await;
    }
    let Some(part) = part.filter(Part::is_transaction) else {
        let part = Part::of(command)?;
        let alone = (part, None, journaled);
        return one(core, database, (name, target), command, alone).await;
    };
    let transaction = core.transactions.join(&part, &core.view.load_full())?;
    let inside = (None, Some(transaction), journaled);
    let result = one(core, database, (name, target), command, inside).await;
    let failed = match &result {
        Err(_) => true,
        Ok(reply) => CommandError::first_write_error(reply).is_some(),
    };
    if failed {
        // An error ends the transaction, as it does in MongoDB.
        core.transactions.fail(&part);
    }
    result
}

async fn one(
    core: &Arc<Core>,
    database: &str,
    (name, target): (&str, &str),
    command: &RawDocument,
    (part, transaction, journaled): (Option<Part>, Option<Arc<Transaction>>, Option<bool>),
) -> Answer {
    match (name, transaction) {
        ("explain", None) => explain::run(core, database, command).await,
        ("aggregate", None) if flag(command, "explain")? => {
            explain::aggregate(core, database, command).await
        }
        ("aggregate", transaction) => aggregate::run(core, database, command, transaction).await,
        ("find" | "count" | "distinct", transaction) => {
            read::run(core, database, name, command, transaction).await
        }
        ("getMore", transaction) => cursors::get_more(core, database, command, transaction).await,
        ("killCursors", _) => cursors::kill(&core.cursors, command),
        (write, transaction) if sessions::is_retryable(write) => {
            let how = (part, transaction, journaled);
            write::run(core, database, (write, target), command, how).await
        }
        ("create", Some(transaction)) => {
            transactional::create(core, &transaction, (database, target), command).await
        }
        ("createIndexes", Some(transaction)) => {
            transactional::create_indexes(core, &transaction, (database, target), command).await
        }
        (other, _) => match sessions::run(core, other, command) {
            Some(answer) => answer,
            None => admin::run(core, database, other, target, command).await,
        },
    }
}

/// A collection as a transaction sees it: its own, or that of its snapshot as
/// long as it is there.
///
/// # Errors
/// `SnapshotUnavailable` for one that was made since.
fn collection(
    core: &Core,
    changes: &Changes,
    database: &str,
    target: &str,
) -> Result<Option<Arc<Collection>>, CommandError> {
    if let Some(own) = changes.created(database, target) {
        return Ok(Some(own.clone()));
    }
    let then = changes.view.catalog.get(database, target);
    let view = core.view.load();
    let Some(now) = view.catalog.get(database, target) else {
        return Ok(None);
    };
    match then {
        Some(then) if then.id == now.id => Ok(Some(then.clone())),
        _ => Err(CommandError::new(
            246,
            "Unable to read from a snapshot due to pending collection catalog changes; please retry the operation.",
        )
        .label("TransientTransactionError")),
    }
}

/// Whether a command exists.
fn is_known(name: &str) -> bool {
    admin::NAMES.contains(&name) || sessions::NAMES.contains(&name)
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
    let invalid = |text: String| Err(CommandError::new(73, text));
    if target.is_empty() {
        return invalid("Invalid namespace specified".to_owned());
    }
    if target.contains('\0') {
        return invalid("namespaces cannot have embedded null characters".to_owned());
    }
    if target.starts_with('.') {
        return invalid(format!("Collection names cannot start with '.': {target}"));
    }
    if target.contains('$') {
        return invalid(format!("Invalid collection name: {target}"));
    }
    Ok(())
}

/// Refuses the names that no collection may be made or written under.
fn check_writable(database: &str, target: &str) -> Result<(), CommandError> {
    check_namespace(target)?;
    check_length(database, target)?;
    if target.starts_with("system.") && !matches!(target, "system.js" | "system.profile") {
        let text = format!("Invalid system namespace: {database}.{target}");
        return Err(CommandError::new(73, text));
    }
    Ok(())
}

/// Refuses a name that is too long with its database's.
fn check_length(database: &str, target: &str) -> Result<(), CommandError> {
    if database.len() + 1 + target.len() <= NAMESPACE_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "Fully qualified namespace is too long. Namespace: {database}.{target} Max: {NAMESPACE_BYTES_MAX}"
    );
    Err(CommandError::new(73, text))
}

/// Refuses names that no database may have.
fn check_database(database: &str) -> Result<(), CommandError> {
    let illegal = |c: char| matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$' | '\0');
    if database.is_empty() || database.len() > DATABASE_BYTES_MAX || database.contains(illegal) {
        return Err(CommandError::new(
            73,
            format!("Invalid database name: '{database}'"),
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
        Some(RawBsonRef::Decimal128(n)) => mql::decimal::to_whole(n),
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
        Some(RawBsonRef::Decimal128(n)) => Some(mql::decimal::to_whole(n)),
        Some(other) => {
            return Err(CommandError::new(
                14,
                format!(
                    "BSON field '{name}' is the wrong type '{}', expected types '[long, int, decimal, double]'",
                    mql::type_name(other)
                ),
            ));
        }
    })
}

/// Yes or no, and nothing else; `None` when the field is missing.
fn yes(command: &RawDocument, name: &str) -> Result<Option<bool>, CommandError> {
    match command.get(name)? {
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => Ok(None),
        Some(RawBsonRef::Boolean(value)) => Ok(Some(value)),
        Some(other) => Err(CommandError::new(
            14,
            format!(
                "BSON field '{name}' is the wrong type '{}', expected type 'bool'",
                mql::type_name(other)
            ),
        )),
    }
}

/// Refuses a read concern that there is not.
fn check_read_concern(command: &RawDocument) -> Result<(), CommandError> {
    const LEVELS: [&str; 5] = ["local", "majority", "linearizable", "available", "snapshot"];
    let concern = match command.get("readConcern")? {
        None => return Ok(()),
        Some(RawBsonRef::Document(concern)) => concern,
        Some(_) => {
            return Err(CommandError::new(
                9,
                "readConcern field should be an object",
            ));
        }
    };
    match concern.get("level")? {
        None => Ok(()),
        Some(RawBsonRef::String(level)) if LEVELS.contains(&level) => Ok(()),
        Some(RawBsonRef::String(_)) => Err(CommandError::new(
            9,
            "readConcern.level must be either 'local', 'majority', 'linearizable', 'available', or 'snapshot'",
        )),
        Some(other) => Err(CommandError::new(
            14,
            format!(
                "\"level\" had the wrong type. Expected string, found {}",
                mql::type_name(other)
            ),
        )),
    }
}

fn flag(command: &RawDocument, name: &str) -> Result<bool, CommandError> {
    Ok(match command.get(name)? {
        None | Some(RawBsonRef::Null) => false,
        Some(RawBsonRef::Boolean(value)) => value,
        Some(RawBsonRef::Int32(n)) => n != 0,
        Some(RawBsonRef::Int64(n)) => n != 0,
        Some(RawBsonRef::Double(n)) => n != 0.0,
        Some(RawBsonRef::Decimal128(n)) => mql::decimal::to_double(n) != 0.0,
        Some(other) => {
            return Err(CommandError::new(
                14,
                format!(
                    "BSON field '{name}' is the wrong type '{}', expected types '[bool, long, int, decimal, double]'",
                    mql::type_name(other)
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
                "BSON field '{name}' is the wrong type '{}', expected type 'object'",
                mql::type_name(other)
            ),
        )),
    }
}

/// A reply from a document.
fn reply(document: &bson::Document) -> Answer {
    Ok(RawDocumentBuf::try_from(document)?)
}
