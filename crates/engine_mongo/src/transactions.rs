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
use engine::{Answer, CommandError};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, ClientSession};

use crate::command::{Command, Part};
use crate::error::{timed_out, translate};
use crate::kept::Kept;

/// Most open transactions.
const OPEN_MAX: usize = 10_000;
/// How long a transaction may stay open, as on a server.
const LIFETIME: Duration = Duration::from_secs(60);

pub(crate) struct Transactions {
    open: Kept<Vec<u8>, Arc<Transaction>>,
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            open: Kept::new(OPEN_MAX, LIFETIME),
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
        match command.name.as_str() {
            "commitTransaction" => return self.commit(&part, limit).await,
            "abortTransaction" => return self.abort(&part, limit).await,
            _ => {}
        }
        let transaction = if part.starts {
            let start = self.start(client, &part, level);
            let started = tokio::time::timeout(limit, start).await;
            started.unwrap_or_else(|_| Err(transient(timed_out())))?
        } else {
            self.find(&part)?
        };
        let mut held = transaction.held.lock().await;
        if held.running {
            self.forget(&part);
            return Err(no_such(part.number));
        }
        held.running = true;
        let database = client.database(database);
        let run = database
            .run_raw_command(command.body)
            .session(&mut held.session);
        let Ok(outcome) = tokio::time::timeout(limit, run).await else {
            self.forget(&part);
            return Err(transient(timed_out()));
        };
        held.running = false;
        let reply = outcome.map_err(|error| translate(&error))?;
        Ok(RawDocumentBuf::try_from(&reply)?)
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
        let (new, old) = (part.number, older.number);
        match new.cmp(&old) {
            Ordering::Greater => Ok(self.open.take(&part.id, |found| found.number == old)),
            Ordering::Equal => Err(CommandError::new(
                117,
                format!("transaction {new} of this session has already begun"),
            )),
            Ordering::Less => Err(CommandError::new(
                225,
                format!(
                    "Cannot start transaction {new} on this session because a newer transaction {old} has already started."
                ),
            )),
        }
    }

    async fn commit(&self, part: &Part, limit: Duration) -> Answer {
        let transaction = self.find(part)?;
        let mut held = transaction.held.lock().await;
        if held.running {
            self.forget(part);
            return Err(no_such(part.number));
        }
        match tokio::time::timeout(limit, held.session.commit_transaction()).await {
            // It stays open, so that the caller can ask again for the outcome.
            Err(_) => Err(timed_out().label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT)),
            Ok(Err(error))
                if error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT) =>
            {
                Err(translate(&error))
            }
            Ok(Err(error)) => {
                self.forget(part);
                Err(translate(&error))
            }
            Ok(Ok(())) => {
                self.forget(part);
                Ok(rawdoc! { "ok": 1.0 })
            }
        }
    }

    async fn abort(&self, part: &Part, limit: Duration) -> Answer {
        let transaction = self.find(part)?;
        self.forget(part);
        let mut held = transaction.held.lock().await;
        let abort = held.session.abort_transaction();
        match tokio::time::timeout(limit, abort).await {
            Err(_) => Err(timed_out()),
            Ok(Err(error)) => Err(translate(&error)),
            Ok(Ok(())) => Ok(rawdoc! { "ok": 1.0 }),
        }
    }

    fn find(&self, part: &Part) -> Result<Arc<Transaction>, CommandError> {
        self.open
            .get(&part.id, Instant::now())
            .filter(|found| found.number == part.number)
            .ok_or_else(|| no_such(part.number))
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

fn transient(error: CommandError) -> CommandError {
    error.label(mongodb::error::TRANSIENT_TRANSACTION_ERROR)
}
