//! The embedded engine: durable documents, indexes, transactions and change
//! feeds in one directory, without a server.
//!
//! A read works on a snapshot; a write is evaluated on a snapshot, and the one
//! committer thread validates it, makes it durable together with others, and
//! only then answers. See `docs/decisions/0002`.

mod books;
mod build;
mod catalog;
mod command;
mod committer;
mod cursor;
mod doctor;
mod event;
mod feed;
mod index;
mod kv;
mod layout;
mod log;
mod options;
mod plan;
mod query;
mod retry;
mod snapshot;
mod stamps;
mod text;
mod transaction;
mod ttl;
mod turns;
mod validation;
mod walk;
mod write;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bson::RawDocument;
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use kit::Clock;

pub use doctor::{Examined, doctor, doctor_on};
pub use kv::Sizes;
pub use kv::disk::Disk;
pub use options::{Durability, Options, Retention};

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
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) committer: Committer,
    pub(crate) transactions: Transactions,
    pub(crate) turns: turns::Turns,
    pub(crate) cursors: cursor::Cursors,
    pub(crate) records: std::sync::atomic::AtomicU64,
    pub(crate) stamps: stamps::Stamps,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recent: Arc<event::Recent>,
    /// Held while indexes are built: one createIndexes after the other.
    pub(crate) builds: tokio::sync::Mutex<()>,
    /// The newest position that is on the disk.
    pub(crate) latest: tokio::sync::watch::Sender<layout::Position>,
    kv: Arc<dyn Kv>,
}

/// One consistent state: data and catalogue of the same moment.
pub(crate) struct View {
    pub(crate) snapshot: Box<dyn Snapshot>,
    pub(crate) catalog: Arc<Catalog>,
}

/// The code of an error that says that another process has the database open:
/// MongoDB's `DBPathInUse`.
pub const IN_USE: i32 = 98;

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
        Self::open_with(folder, clock, Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        folder: &Path,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, CommandError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| CommandError::new(1, format!("{}: {error}", folder.display())))?;
        let store = kv::redb::Store::open(&folder.join(FILE), &options)?;
        Self::with(Arc::new(store), clock, options)
    }

    /// Opens the database on a disk, or makes it.
    ///
    /// # Errors
    /// When the disk fails or what is on it is damaged.
    pub fn open_on(
        disk: impl Disk,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, CommandError> {
        let store = kv::redb::Store::on(disk, &options)?;
        Self::with(Arc::new(store), clock, options)
    }

    /// A database in memory, for tests.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, CommandError> {
        Self::in_memory_with(clock, Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// None that is known.
    pub fn in_memory_with(clock: Arc<dyn Clock>, options: Options) -> Result<Self, CommandError> {
        Self::with(Arc::new(kv::memory::Store::default()), clock, options)
    }

    /// How much of the disk is used. Reads the whole file and keeps writes
    /// waiting meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sizes(&self) -> Result<Sizes, CommandError> {
        self.core.kv.sizes()
    }

    fn with(
        kv: Arc<dyn Kv>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, CommandError> {
        if layout::format(kv.snapshot()?.as_ref())? == layout::UNCOUNTED {
            kv::sizes::recount(kv.as_ref())?;
        }
        kv.write(&mut |batch| {
            let number = layout::FORMAT_NUMBER.to_be_bytes();
            batch.put(kv::Table::Meta, layout::FORMAT, &number)
        })?;
        build::recover(kv.as_ref())?;
        let snapshot = kv.snapshot()?;
        let catalog = Arc::new(Catalog::load(snapshot.as_ref())?);
        let records = catalog.last_record(snapshot.as_ref())? + 1;
        let books = books::Books::load(snapshot.as_ref())?;
        let (latest, _) = tokio::sync::watch::channel(books.position);
        let recent = Arc::new(event::Recent::after(books.position));
        let view = Arc::new(ArcSwap::from_pointee(View { snapshot, catalog }));
        let shared = committer::Shared {
            kv: kv.clone(),
            view: view.clone(),
            recent: recent.clone(),
            latest: latest.clone(),
            clock: clock.clone(),
            options,
        };
        let core = Arc::new(Core {
            view,
            committer: Committer::start(shared, books),
            transactions: Transactions::new(clock.clone()),
            turns: turns::Turns::default(),
            cursors: cursor::Cursors::new(clock.clone()),
            records: records.into(),
            stamps: stamps::Stamps::default(),
            clock,
            recent,
            builds: tokio::sync::Mutex::default(),
            latest,
            kv,
        });
        ttl::start(&core);
        Ok(Self { core })
    }

    /// Deletes the documents that have expired by their TTL indexes; how many
    /// that were. In a runtime the engine does it by itself every minute of its
    /// clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire(&self) -> Result<u64, CommandError> {
        ttl::pass(&self.core).await
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
        let frozen: SharedEngine = Arc::new(snapshot::Frozen::of(&self.core));
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
