//! The embedded engine: durable documents, indexes, transactions and change
//! feeds in one directory, without a server.
//!
//! A read works on a snapshot; a write is evaluated on a snapshot, and the one
//! committer thread validates it, makes it durable together with others, and
//! only then answers. See `docs/decisions/0002`.

mod catalog;
mod command;
mod committer;
mod doctor;
mod feed;
mod index;
mod kv;
mod layout;
mod plan;
mod query;
mod snapshot;
mod transaction;
mod write;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use bson::{RawDocument, RawDocumentBuf};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use kit::Clock;

pub use doctor::{Examined, doctor};

use catalog::Catalog;
use committer::Committer;
use kv::{Kv, Snapshot};
use transaction::Transactions;

/// The embedded engine. Cloning shares it; it closes with its last clone.
#[derive(Clone)]
pub struct Embedded {
    core: Arc<Core>,
}

/// What reads and writes share.
pub(crate) struct Core {
    pub(crate) view: ArcSwap<View>,
    pub(crate) committer: Committer,
    pub(crate) transactions: Transactions,
    pub(crate) cursors: Mutex<HashMap<i64, Cursor>>,
    pub(crate) records: std::sync::atomic::AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) latest: tokio::sync::watch::Sender<layout::Position>,
}

/// One consistent state: data and catalogue of the same moment.
pub(crate) struct View {
    pub(crate) snapshot: Box<dyn Snapshot>,
    pub(crate) catalog: Arc<Catalog>,
}

/// What is left of a query's answer.
pub(crate) struct Cursor {
    pub(crate) namespace: String,
    pub(crate) rest: std::vec::IntoIter<RawDocumentBuf>,
    pub(crate) used: Instant,
}

/// The file that the database is in.
const FILE: &str = "data.redb";

impl Embedded {
    /// Whether a database is in `folder`.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Opens the database in `folder`, or makes it.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it open, or the file
    /// is damaged.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, CommandError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| CommandError::new(1, format!("{}: {error}", folder.display())))?;
        Self::with(Arc::new(kv::redb::Store::open(&folder.join(FILE))?), clock)
    }

    /// A database in memory, for tests.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, CommandError> {
        Self::with(Arc::new(kv::memory::Store::default()), clock)
    }

    fn with(kv: Arc<dyn Kv>, clock: Arc<dyn Clock>) -> Result<Self, CommandError> {
        layout::check_format(kv.snapshot()?.as_ref())?;
        kv.write(&mut |batch| {
            let number = layout::FORMAT_NUMBER.to_be_bytes();
            batch.put(kv::Table::Meta, layout::FORMAT, &number)
        })?;
        let snapshot = kv.snapshot()?;
        let catalog = Arc::new(Catalog::load(snapshot.as_ref())?);
        let records = catalog.last_record(snapshot.as_ref())? + 1;
        let position = layout::last_position(snapshot.as_ref())?;
        let (latest, _) = tokio::sync::watch::channel(position);
        let core = Arc::new_cyclic(|weak| Core {
            view: ArcSwap::from_pointee(View { snapshot, catalog }),
            committer: Committer::start(kv, weak.clone(), position),
            transactions: Transactions::default(),
            cursors: Mutex::default(),
            records: records.into(),
            clock,
            latest,
        });
        Ok(Self { core })
    }
}

impl Engine for Embedded {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "embedded",
            transactions: true,
            change_feeds: true,
        }
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(command::run(&self.core, database, command))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<SharedEngine>, CommandError>> {
        let frozen: SharedEngine = Arc::new(snapshot::Frozen::new(self.core.view.load_full()));
        Box::pin(async move { Ok(Some(frozen)) })
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async move {
            let feed = feed::Feed::open(self.core.clone(), request)?;
            Ok(Box::new(feed) as Box<dyn ChangeFeed>)
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        Box::pin(async { self.core.committer.health() })
    }
}

/// MongoDB's form of an error of the query language.
pub(crate) fn mql(error: mql::MqlError) -> CommandError {
    CommandError::new(error.code, error.message)
}
