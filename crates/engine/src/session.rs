//! Transactions: the fields a command carries, commit and abort.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};

use crate::{Answer, BoxFuture, CommandError, SharedEngine};

/// How long a transaction is tried again, as MongoDB's drivers have it.
const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(120);
/// Longest pause before a transaction that keeps losing is tried again.
const PAUSE_MAX: Duration = Duration::from_millis(64);
/// Times that an engine is asked for the outcome of a commit.
const COMMIT_TRIES_MAX: u32 = 5;

/// A multi-document transaction.
///
/// Dropping it without [`Session::commit`] or [`Session::abort`] leaves it to
/// the engine's timeout of 60 seconds.
#[derive(Debug, Clone)]
pub struct Session {
    id: Bson,
    number: i64,
    started: std::sync::Arc<std::sync::atomic::AtomicBool>,
    lost: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Session {
    /// Begins a transaction; the engine hears of it with the first command.
    pub fn start() -> Self {
        Self {
            id: Bson::Document(doc! { "id": bson::Uuid::new() }),
            number: 1,
            started: std::sync::Arc::default(),
            lost: std::sync::Arc::default(),
        }
    }

    /// Whether an error in it was one that goes away when the whole transaction
    /// is tried again.
    pub fn is_lost(&self) -> bool {
        self.lost.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Notes such an error.
    pub(crate) fn note(&self, answer: &Answer) {
        if answer.as_ref().is_err_and(CommandError::is_transient) {
            self.lost.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// The fields that make `command` part of the transaction.
    pub(crate) fn decorate(&self, command: &mut Document) {
        command.insert("lsid", self.id.clone());
        command.insert("txnNumber", Bson::Int64(self.number));
        command.insert("autocommit", false);
        if !self.started.swap(true, std::sync::atomic::Ordering::SeqCst) {
            command.insert("startTransaction", true);
        }
    }

    /// The same for a raw command.
    pub(crate) fn decorate_raw(&self, command: &mut bson::RawDocumentBuf) {
        let mut fields = Document::new();
        self.decorate(&mut fields);
        for (name, value) in fields {
            if let (Ok(name), Ok(value)) = (
                bson::raw::CString::try_from(name),
                bson::RawBson::try_from(value),
            ) {
                command.append(name, value);
            }
        }
    }

    /// Commits, and asks again while the outcome is unknown: the engine knows
    /// the transaction by its number, and commits it once.
    ///
    /// # Errors
    /// `WriteConflict` with the label `TransientTransactionError` when another
    /// write came first.
    pub async fn commit(self, engine: &SharedEngine) -> Result<(), CommandError> {
        let mut tries = 1;
        loop {
            match self.end(engine, "commitTransaction").await {
                Err(error) if error.is_outcome_unknown() && tries < COMMIT_TRIES_MAX => tries += 1,
                other => return other.map(drop),
            }
        }
    }

    /// Aborts; nothing of the transaction stays.
    pub async fn abort(self, engine: &SharedEngine) -> Result<(), CommandError> {
        self.end(engine, "abortTransaction").await.map(drop)
    }

    async fn end(&self, engine: &SharedEngine, name: &str) -> Answer {
        if !self.started.load(std::sync::atomic::Ordering::SeqCst) {
            return Ok(bson::rawdoc! { "ok": 1 });
        }
        let mut command = Document::new();
        command.insert(name, 1);
        self.decorate(&mut command);
        let command = bson::RawDocumentBuf::try_from(&command)?;
        let answer = engine.command("admin", &command).await;
        self.note(&answer);
        answer
    }
}

/// Runs `body` in a transaction and commits; tries again when the engine says
/// that another write came first. `body` may run more than once.
pub async fn with_transaction<T, E, F>(engine: &SharedEngine, body: F) -> Result<T, E>
where
    E: From<CommandError> + IsTransient,
    F: for<'s> Fn(&'s Session) -> BoxFuture<'s, Result<T, E>>,
{
    let start = Instant::now();
    let mut pause = Duration::ZERO;
    loop {
        let session = Session::start();
        let result = match body(&session).await {
            Ok(value) => session
                .commit(engine)
                .await
                .map(|()| value)
                .map_err(E::from),
            Err(error) => {
                // The reason for aborting matters more than the abort's own fate.
                let _ = session.abort(engine).await;
                Err(error)
            }
        };
        match result {
            Err(error) if error.is_transient() && start.elapsed() < TRANSACTION_TIME_MAX => {
                // Whoever keeps losing gives way for longer.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).clamp(Duration::from_millis(1), PAUSE_MAX);
            }
            other => return other,
        }
    }
}

/// An error that may mean "try the transaction again".
pub trait IsTransient {
    /// Whether the whole transaction may be tried again.
    fn is_transient(&self) -> bool;
}

impl IsTransient for CommandError {
    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}
