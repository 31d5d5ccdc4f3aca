//! The MongoDB engine: the waist's commands, forwarded through the official
//! driver to a replica set, a sharded cluster or a lesser server.
//!
//! Not here: MQL, and any idea of what a command means beyond how it may be
//! sent. The only user of the driver.
//!
//! * **Commands** go out in raw BSON. `lsid`, `txnNumber` and their like are
//!   taken out: sessions towards the servers are the driver's.
//! * **Retries** are ours, since the driver tries raw commands once. A read is
//!   sent again after a failure that may pass; so is a write of single
//!   documents, with a number by which the server knows it again
//!   ([`numbered`]). The driver's typed methods would number writes
//!   themselves, but they do not take every command and do not give the
//!   server's reply.
//! * **Large inserts** go in pieces ([`pieces`]).
//! * **Cursors** are the driver's, kept open by their id ([`cursors`]).
//! * **Transactions** are the driver's, kept by the caller's session
//!   ([`transactions`]).
//! * **Change feeds** have connections of their own ([`feed`]).

mod command;
mod cursors;
mod describe;
mod error;
mod feed;
mod kept;
mod numbered;
mod pieces;
mod settings;
mod transactions;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, cstr, doc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, Part, WatchRequest,
};
use mongodb::Client;
use mongodb::error::{Error, NO_WRITES_PERFORMED, RETRYABLE_WRITE_ERROR};
use tokio::sync::OnceCell;

pub use describe::{Description, Topology};
pub use settings::Settings;

use command::{Command, Retry};
use error::{is_network, is_retryable, timed_out, translate};
use settings::Parsed;

/// How long `/ready` waits for an answer.
const HEALTH: Duration = Duration::from_secs(2);
/// Writes that may be sent twice.
const RETRYABLE: &[&str] = &[
    "insert",
    "update",
    "delete",
    "findAndModify",
    "findandmodify",
];
/// What a server may take to refuse a command whose own time is up.
const GRACE: Duration = Duration::from_secs(5);

/// A MongoDB deployment as an engine. Copies share connections.
#[derive(Clone)]
pub struct Mongo {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    feeds: OnceCell<Client>,
    parsed: Parsed,
    hidden: Arc<settings::Hidden>,
    found: RwLock<Option<Description>>,
    /// When the last search failed, and how.
    finding: tokio::sync::Mutex<Option<(Instant, CommandError)>>,
    cursors: cursors::Cursors,
    transactions: transactions::Transactions,
    numbered: numbered::Numbered,
}

impl Mongo {
    /// Reads the settings and returns at once; the deployment is looked for
    /// with the first command, for as long as the URI allows. Until then the
    /// engine claims that it can do everything.
    ///
    /// # Errors
    /// `BadValue` for a URI that cannot be understood, `HostNotFound` when the
    /// DNS records of `mongodb+srv` cannot be had.
    pub async fn open(settings: Settings) -> Result<Self, CommandError> {
        let mut parsed = settings.parse().await?;
        let hidden = Arc::new(std::mem::take(&mut parsed.hidden));
        let client = Client::with_options(parsed.options.clone())
            .map_err(|error| hidden.clean(translate(&error)))?;
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                feeds: OnceCell::new(),
                parsed,
                hidden,
                found: RwLock::new(None),
                finding: tokio::sync::Mutex::default(),
                cursors: cursors::Cursors::default(),
                transactions: transactions::Transactions::default(),
                numbered: numbered::Numbered::new(),
            }),
        })
    }

    /// The same, and makes sure that the deployment answers.
    ///
    /// # Errors
    /// Besides those of [`Mongo::open`]: `FailedToSatisfyReadPreference` when
    /// no server answers in time, `AuthenticationFailed`.
    pub async fn connect(settings: Settings) -> Result<Self, CommandError> {
        let mongo = Self::open(settings).await?;
        mongo.describe().await?;
        Ok(mongo)
    }

    /// Asks the deployment what it is, and tries what it can do.
    pub async fn describe(&self) -> Result<Description, CommandError> {
        let parsed = &self.shared.parsed;
        let describe = describe::describe(&self.shared.client, &parsed.options.hosts);
        let described = tokio::time::timeout(parsed.contact, describe)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
            .map_err(|error| self.shared.hidden.clean(error))?;
        *self
            .shared
            .found
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(described.clone());
        Ok(described)
    }

    /// Whether a server that takes writes answers within 2 seconds, and how
    /// fast.
    pub async fn health(&self) -> Result<Duration, CommandError> {
        let start = Instant::now();
        let admin = self.shared.client.database("admin");
        match tokio::time::timeout(HEALTH, admin.run_command(doc! { "ping": 1 })).await {
            Err(_) => Err(timed_out()),
            Ok(Err(error)) => Err(self.shared.hidden.clean(translate(&error))),
            Ok(Ok(_)) => Ok(start.elapsed()),
        }
    }

    /// What is known of the deployment; asks when nothing is.
    async fn known(&self) -> Result<Topology, CommandError> {
        if let Some(topology) = self.shared.topology() {
            return Ok(topology);
        }
        let asked = Instant::now();
        let mut failed = self.shared.finding.lock().await;
        if let Some(topology) = self.shared.topology() {
            return Ok(topology);
        }
        // Whoever waited for a search has its outcome: one after the other would
        // wait for hours.
        if let Some((at, error)) = failed.as_ref()
            && *at >= asked
        {
            return Err(error.clone());
        }
        match self.describe().await {
            Ok(found) => Ok(found.topology),
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Runs a command, which may have to go in pieces.
    async fn run(&self, database: &str, command: &RawDocument) -> Answer {
        let Some(pieces) = pieces::split(command)? else {
            return self.run_one(database, command).await;
        };
        let ordered = command.get_bool("ordered").unwrap_or(true);
        let mut replies = pieces::Replies::default();
        for piece in pieces {
            let reply = self.run_one(database, &piece.command).await?;
            replies.add(piece.start, &reply)?;
            if ordered && replies.failed() {
                break;
            }
        }
        Ok(replies.reply())
    }

    async fn run_one(&self, database: &str, command: &RawDocument) -> Answer {
        let shared = &*self.shared;
        let topology = self.known().await?;
        let name = command.iter().next().transpose()?;
        let name = name.map_or("", |(name, _)| name.as_str());
        let part = Part::of(command)?;
        if let Some(part) = part.filter(Part::is_transaction) {
            let within = Command::within(command)?;
            let limit = shared.limit(&within.0);
            let reply = shared
                .transactions
                .run(&shared.client, database, part, within, limit)
                .await?;
            shared.cursors.of_transaction(command, &reply);
            return Ok(reply);
        }
        if Part::of(command)?.is_some() && !RETRYABLE.contains(&name) {
            return Err(CommandError::new(
                50768,
                format!(
                    "txnNumber may only be provided for multi-document transactions and retryable write commands. autocommit:false was not provided, and {name} is not a retryable write command."
                ),
            ));
        }
        match name {
            "getMore" => {
                let more = shared.cursors.more(database, command);
                return within(shared.parsed.reply, more).await;
            }
            "killCursors" => return shared.cursors.kill(command),
            "commitTransaction" | "abortTransaction" => {
                return Err(CommandError::new(
                    125,
                    format!("{name} must be run within a transaction"),
                ));
            }
            // The servers know the driver's sessions, not the caller's.
            "endSessions" | "killSessions" => {
                for session in command.get_array(name).into_iter().flatten() {
                    if let RawBsonRef::Document(session) = session? {
                        let id = engine::part::session_id(session)?;
                        shared.transactions.kill(&id).await;
                    }
                }
                return Ok(bson::rawdoc! { "ok": 1.0 });
            }
            _ => {}
        }
        let mut command = Command::plain(
            command,
            &shared.parsed.concerns,
            shared.parsed.reads.as_ref(),
        )?;
        let may = match command.retry {
            Retry::Read => shared.parsed.retry_reads,
            Retry::Numbered => shared.parsed.retry_writes && topology != Topology::Standalone,
            Retry::No => false,
        };
        if !may {
            command.retry = Retry::No;
        }
        // An index takes the time that it takes.
        if command.name == "createIndexes" {
            return shared.send(database, command).await;
        }
        within(shared.limit(&command), shared.send(database, command)).await
    }
}

async fn within(limit: Duration, answer: impl Future<Output = Answer>) -> Answer {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(timed_out()),
    }
}

impl Shared {
    fn topology(&self) -> Option<Topology> {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        found.as_ref().map(|found| found.topology)
    }

    /// How long to wait for a reply.
    fn limit(&self, command: &Command) -> Duration {
        let own = command.max_time.map_or(Duration::ZERO, |time| time + GRACE);
        own.max(self.parsed.reply)
    }

    /// Sends a command, and once more where that is safe and may help.
    async fn send(&self, database: &str, command: Command) -> Answer {
        let mut turn = None;
        let mut command = command;
        if command.retry == Retry::Numbered {
            let mut taken = self
                .numbered
                .turn(&self.client)
                .await
                .map_err(|error| translate(&error))?;
            if let Some((_, number)) = taken.parts() {
                command.body.append(cstr!("txnNumber"), number);
            }
            turn = Some(taken);
        }
        let first = match self.try_once(database, &command, turn.as_mut()).await {
            Ok(reply) if command.retry == Retry::Numbered && asks_again(&reply) => Ok(reply),
            Ok(reply) => return Ok(reply),
            Err(error) if command.retry != Retry::No && is_retryable(&error) => Err(error),
            Err(error) => return Err(translate(&error)),
        };
        match (
            self.try_once(database, &command, turn.as_mut()).await,
            first,
        ) {
            // A first reply was a write that only its confirmation failed for.
            (Ok(reply), _) | (Err(_), Ok(reply)) => Ok(reply),
            (Err(second), Err(first)) => {
                let error = if second.contains_label(NO_WRITES_PERFORMED) {
                    first
                } else {
                    second
                };
                let mut translated = translate(&error);
                if command.retry == Retry::Numbered
                    && is_network(&error)
                    && !error.contains_label(RETRYABLE_WRITE_ERROR)
                {
                    translated = translated.label(RETRYABLE_WRITE_ERROR);
                }
                Err(translated)
            }
        }
    }

    async fn try_once(
        &self,
        database: &str,
        command: &Command,
        turn: Option<&mut numbered::Turn<'_>>,
    ) -> Result<RawDocumentBuf, Error> {
        let database = self.client.database(database);
        let body = command.body.clone();
        if command.cursor {
            let mut run = database.run_raw_cursor_command(body);
            if let Some(reads) = &command.reads {
                run = run.selection_criteria(reads.clone());
            }
            if let Some(size) = command.batch {
                run = run.batch_size(size);
            }
            let owner = command.session.as_deref();
            return self.cursors.open(run.batch().await?, owner).await;
        }
        let mut run = database.run_raw_command(body);
        if let Some(reads) = &command.reads {
            run = run.selection_criteria(reads.clone());
        }
        if let Some((session, _)) = turn.and_then(numbered::Turn::parts) {
            run = run.session(session);
        }
        Ok(RawDocumentBuf::try_from(&run.await?)?)
    }
}

/// Whether a reply says that its write concern failed in a way that another
/// try may mend.
fn asks_again(reply: &RawDocument) -> bool {
    let Ok(labels) = reply.get_array("errorLabels") else {
        return false;
    };
    labels
        .into_iter()
        .flatten()
        .any(|label| label.as_str() == Some(RETRYABLE_WRITE_ERROR))
}

impl Engine for Mongo {
    fn capabilities(&self) -> Capabilities {
        let found = self
            .shared
            .found
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        found.as_ref().map_or(
            Capabilities {
                name: describe::ENGINE,
                transactions: true,
                change_feeds: true,
            },
            |found| found.capabilities,
        )
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.run(database, command)
                .await
                .map_err(|error| self.shared.hidden.clean(error))
        })
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async move {
            let shared = &self.shared;
            let clean = |error| shared.hidden.clean(error);
            let client = shared
                .feeds
                .get_or_try_init(async || Client::with_options(shared.parsed.feed_options.clone()))
                .await
                .map_err(|error| clean(translate(&error)))?;
            let hidden = shared.hidden.clone();
            let open = feed::Feed::open(client, request, &shared.parsed, hidden);
            let feed = tokio::time::timeout(shared.parsed.reply, open)
                .await
                .unwrap_or_else(|_| Err(timed_out()))
                .map_err(clean)?;
            Ok(Box::new(feed) as Box<dyn ChangeFeed>)
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        Box::pin(async { Self::health(self).await.map(drop) })
    }
}
