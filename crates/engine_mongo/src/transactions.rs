//! Open transactions: a driver's session for each, by the caller's session id.
//!
//! The driver starts, commits and aborts, so that a commit is retried, a
//! sharded transaction stays with its router, and a recovery token is sent. A
//! transaction's writes are committed to a majority and its reads come from
//! one snapshot, unless its first command names another read concern.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{RawDocumentBuf, rawdoc};
use engine::{Answer, CommandError, Part, Role};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, ClientSession};

use crate::command::Command;
use crate::error::{timed_out, translate};
use crate::kept::Kept;

/// Most open transactions.
const OPEN_MAX: usize = 10_000;
/// Ends that are remembered.
const ENDED_MAX: usize = 1_000;
/// How long a transaction may stay open, as on a server.
const LIFETIME: Duration = Duration::from_secs(60);

/// Codes of first commands that begin no transaction: they may not be in one.
const NOT_BEGUN: &[i32] = &[13, 59, 72, 263];

/// Codes of commands that a server may not have heard of.
const NO_ANSWER: &[i32] = &[6, 89, 133];

pub(crate) struct Transactions {
    open: Kept<Vec<u8>, Arc<Transaction>>,
    /// How sessions' last transactions ended, for those who ask again.
    ended: Kept<Vec<u8>, Ended>,
}

#[derive(Clone, Copy)]
struct Ended {
    number: i64,
    committed: bool,
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            open: Kept::new(OPEN_MAX, LIFETIME),
            ended: Kept::new(ENDED_MAX, LIFETIME),
        }
    }
}

struct Transaction {
    number: i64,
    held: tokio::sync::Mutex<Held>,
}

struct Held {
    session: ClientSession,
    /// Set while a command runs: still set afterwards when its caller went
    /// away, and then nobody knows how far the server came.
    running: bool,
}

impl Transactions {
    /// Runs one command of a transaction.
    pub(crate) async fn run(
        &self,
        client: &Client,
        database: &str,
        part: Part,
        (command, level): (Command, Option<String>),
        limit: Duration,
    ) -> Answer {
        let ends = matches!(
            command.name.as_str(),
            "commitTransaction" | "abortTransaction"
        );
        if ends {
            return self.end(&part, &command.name, database, limit).await;
        }
        let starts = part.role == Role::Starts;
        // Collections are not made in a snapshot.
        let makes = matches!(command.name.as_str(), "create" | "createIndexes");
        let level = level.or_else(|| (starts && makes).then(|| "local".to_owned()));
        if level.is_some() && !starts {
            return Err(CommandError::new(
                72,
                "Only the first command in a transaction may specify a readConcern",
            ));
        }
        let transaction = if starts {
            if let Some(ended) = self.ended.get(&part.id, Instant::now()) {
                check_number(part.number, ended.number)?;
            }
            let start = self.start(client, &part, level);
            let started = tokio::time::timeout(limit, start).await;
            started.unwrap_or_else(|_| Err(transient(timed_out())))?
        } else {
            self.find(&part)?
        };
        let mut held = transaction.held.lock().await;
        if held.running {
            self.close(&part, false);
            return Err(over(part.number, false));
        }
        held.running = true;
        let database = client.database(database);
        let run = database
            .run_raw_command(command.body)
            .session(&mut held.session);
        let Ok(outcome) = tokio::time::timeout(limit, run).await else {
            self.close(&part, false);
            return Err(transient(timed_out()));
        };
        held.running = false;
        let reply = outcome.map_err(|error| translate(&error));
        let reply = reply.and_then(|reply| Ok(RawDocumentBuf::try_from(&reply)?));
        match &reply {
            // What may not be asked for begins nothing, and ends nothing.
            Err(error) if NOT_BEGUN.contains(&error.code) && starts => self.forget(&part),
            Err(error) if NOT_BEGUN.contains(&error.code) => {}
            // Where the server did not answer, its caller has to abort.
            Err(error) if !NO_ANSWER.contains(&error.code) => self.close(&part, false),
            Ok(reply) if CommandError::first_write_error(reply).is_some() => {
                self.close(&part, false);
            }
            _ => {}
        }
        reply
    }

    async fn start(
        &self,
        client: &Client,
        part: &Part,
        level: Option<String>,
    ) -> Result<Arc<Transaction>, CommandError> {
        if let Some(older) = self.check_start(part)? {
            // The new one may want what the old one holds.
            let mut held = older.held.lock().await;
            let _ = held.session.abort_transaction().await;
        }
        // Nothing was begun yet, so that the whole can be tried again.
        let unreached = |error: mongodb::error::Error| {
            let translated = translate(&error);
            match translated.code {
                6 | 89 | 133 => transient(translated),
                _ => translated,
            }
        };
        let mut session = client
            .start_session()
            .causal_consistency(false)
            .await
            .map_err(unreached)?;
        session
            .start_transaction()
            .read_concern(level.map_or_else(ReadConcern::snapshot, ReadConcern::custom))
            .write_concern(WriteConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .await
            .map_err(unreached)?;
        let transaction = Arc::new(Transaction {
            number: part.number,
            held: tokio::sync::Mutex::new(Held {
                session,
                running: false,
            }),
        });
        self.open
            .put(part.id.clone(), transaction.clone(), Instant::now());
        Ok(transaction)
    }

    /// Makes room, and refuses a transaction that cannot begin. Returns the one
    /// that the session had before.
    fn check_start(&self, part: &Part) -> Result<Option<Arc<Transaction>>, CommandError> {
        let now = Instant::now();
        let Some(older) = self.open.get(&part.id, now) else {
            // Dropping a session aborts its transaction: nobody's may go for
            // another's.
            if !self.open.is_full(now) {
                return Ok(None);
            }
            let message = format!("more than {OPEN_MAX} transactions are open");
            return Err(CommandError::new(261, message));
        };
        let old = older.number;
        check_number(part.number, old)?;
        Ok(self.open.take(&part.id, |found| found.number == old))
    }

    /// commitTransaction and abortTransaction.
    async fn end(&self, part: &Part, name: &str, database: &str, limit: Duration) -> Answer {
        if part.role == Role::Starts {
            return Err(CommandError::new(
                263,
                "Cannot start a transaction with a commit",
            ));
        }
        if database != "admin" {
            return Err(CommandError::new(
                13,
                format!("{name} may only be run against the admin database."),
            ));
        }
        let commit = name == "commitTransaction";
        let ended = self.ended.get(&part.id, Instant::now());
        if commit && ended.is_some_and(|ended| ended.number == part.number && ended.committed) {
            return Ok(rawdoc! { "ok": 1.0 });
        }
        let transaction = self.find(part)?;
        let mut held = transaction.held.lock().await;
        if held.running {
            self.close(part, false);
            return Err(over(part.number, false));
        }
        let outcome = if commit {
            tokio::time::timeout(limit, held.session.commit_transaction()).await
        } else {
            tokio::time::timeout(limit, held.session.abort_transaction()).await
        };
        match outcome {
            // It stays open, so that the caller can ask again for the outcome.
            Err(_) if commit => {
                return Err(timed_out().label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT));
            }
            Ok(Err(error))
                if error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT) =>
            {
                return Err(translate(&error));
            }
            _ => {}
        }
        self.close(part, commit && matches!(outcome, Ok(Ok(()))));
        match outcome {
            Err(_) => Err(timed_out()),
            Ok(Err(error)) => Err(translate(&error)),
            Ok(Ok(())) => Ok(rawdoc! { "ok": 1.0 }),
        }
    }

    /// Aborts what a session has open.
    pub(crate) async fn kill(&self, id: &[u8]) {
        let Some(transaction) = self.open.take(&id.to_vec(), |_| true) else {
            return;
        };
        let ended = Ended {
            number: transaction.number,
            committed: false,
        };
        self.ended.put(id.to_vec(), ended, Instant::now());
        // The server ends it as well, when its time is up.
        let _ = transaction
            .held
            .lock()
            .await
            .session
            .abort_transaction()
            .await;
    }

    fn find(&self, part: &Part) -> Result<Arc<Transaction>, CommandError> {
        let now = Instant::now();
        let open = self.open.get(&part.id, now);
        let ended = self.ended.get(&part.id, now);
        let last = open.as_ref().map(|open| open.number);
        let last = last.or(ended.map(|ended| ended.number));
        let last = last.ok_or_else(|| no_such(part.number))?;
        match part.number.cmp(&last) {
            Ordering::Less => Err(too_old(part.number, last)),
            Ordering::Greater => Err(no_such(part.number)),
            Ordering::Equal => {
                let committed = ended.is_some_and(|ended| ended.committed);
                open.ok_or_else(|| over(part.number, committed))
            }
        }
    }

    /// Lets go of a transaction and remembers how it ended.
    fn close(&self, part: &Part, committed: bool) {
        self.forget(part);
        let ended = Ended {
            number: part.number,
            committed,
        };
        self.ended.put(part.id.clone(), ended, Instant::now());
    }

    fn forget(&self, part: &Part) {
        self.open
            .take(&part.id, |found| found.number == part.number);
    }
}

fn no_such(number: i64) -> CommandError {
    transient(CommandError::new(
        251,
        format!("Given transaction number {number} does not match any in-progress transactions."),
    ))
}

/// What a command gets of a transaction that has ended.
fn over(number: i64, committed: bool) -> CommandError {
    if committed {
        return CommandError::new(
            256,
            format!("Transaction with {{ txnNumber: {number} }} has been committed."),
        );
    }
    transient(CommandError::new(
        251,
        format!("Transaction with {{ txnNumber: {number} }} has been aborted."),
    ))
}

/// Refuses to begin a transaction with a number that is not new.
fn check_number(new: i64, old: i64) -> Result<(), CommandError> {
    match new.cmp(&old) {
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(CommandError::new(
            117,
            "Only servers in a sharded cluster can start a new transaction at the active transaction number",
        )),
        Ordering::Less => Err(too_old(new, old)),
    }
}

fn too_old(number: i64, newer: i64) -> CommandError {
    CommandError::new(
        225,
        format!(
            "Cannot start transaction {number} on this session because a newer transaction {newer} has already started."
        ),
    )
}

fn transient(error: CommandError) -> CommandError {
    error.label(mongodb::error::TRANSIENT_TRANSACTION_ERROR)
}
