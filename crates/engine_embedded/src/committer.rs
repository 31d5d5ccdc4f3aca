//! The way to the one thread that writes.

mod worker;

use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use bson::RawDocumentBuf;
use engine::CommandError;
use kit::Clock;
use tokio::sync::{oneshot, watch};

use crate::View;
use crate::books::Books;
use crate::catalog::Catalog;
use crate::event::Recent;
use crate::kv::{Batch, Kv};
use crate::layout::Position;
use crate::options::Options;
use crate::write::{Changes, Prepared};

/// Why a job did not commit.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Another write came first: evaluate again.
    Conflict,
    /// The write is wrong, or the store failed.
    Failed(CommandError),
}

/// A change of the catalogue; answers the events that it made. Nothing of it
/// stays when it fails.
type Definition = Box<
    dyn FnOnce(&mut dyn Batch, &mut Catalog) -> Result<Vec<RawDocumentBuf>, CommandError> + Send,
>;
type Answer = oneshot::Sender<Result<(), Refused>>;

enum Job {
    Write(Write, Answer),
    Define(Definition, Answer),
}

/// Changes of documents.
struct Write {
    prepared: Prepared,
    /// Whether it must be on the disk when it is answered; `None` leaves that to
    /// the options.
    journaled: Option<bool>,
    bytes: usize,
}

/// What the thread works on, shared with readers.
pub(crate) struct Shared {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) recent: Arc<Recent>,
    /// The newest position that is on the disk.
    pub(crate) latest: watch::Sender<Position>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
}

/// The way to the committer thread.
pub(crate) struct Committer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    kv: Arc<dyn Kv>,
    poisoned: Arc<OnceLock<CommandError>>,
}

impl Committer {
    pub(crate) fn start(shared: Shared, books: Books) -> Self {
        let (jobs, queue) = mpsc::channel();
        let poisoned = Arc::new(OnceLock::new());
        let kv = shared.kv.clone();
        let worker = worker::Worker::new(shared, books, poisoned.clone());
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || worker.run(&queue))
            .ok();
        Self {
            jobs: Some(jobs),
            thread,
            kv,
            poisoned,
        }
    }

    /// Whether writes are taken: not after one failed, on a full disk, or
    /// without the thread.
    pub(crate) fn health(&self) -> Result<(), CommandError> {
        if let Some(error) = self.poisoned.get() {
            return Err(error.clone());
        }
        match &self.thread {
            Some(thread) if !thread.is_finished() => worker::has_room(self.kv.as_ref(), 0),
            _ => Err(closed()),
        }
    }

    /// Commits changes: durably unless the options or `journaled`, which goes
    /// before them, say otherwise.
    pub(crate) async fn commit(
        &self,
        changes: Changes,
        journaled: Option<bool>,
    ) -> Result<(), Refused> {
        if changes.is_empty() {
            return Ok(());
        }
        let prepared = changes.prepare().map_err(Refused::Failed)?;
        let write = Write {
            bytes: prepared.bytes(),
            prepared,
            journaled,
        };
        self.send(|answer| Job::Write(write, answer)).await
    }

    /// Changes the catalogue, durably.
    pub(crate) async fn define(
        &self,
        change: impl FnOnce(&mut dyn Batch, &mut Catalog) -> Result<Vec<RawDocumentBuf>, CommandError>
        + Send
        + 'static,
    ) -> Result<(), CommandError> {
        let change: Definition = Box::new(change);
        match self.send(|answer| Job::Define(change, answer)).await {
            Ok(()) => Ok(()),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Conflict) => Err(CommandError::write_conflict()),
        }
    }

    async fn send(&self, job: impl FnOnce(Answer) -> Job) -> Result<(), Refused> {
        let closed = || Refused::Failed(closed());
        let (answer, wait) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(job(answer)).map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }
}

fn closed() -> CommandError {
    CommandError::new(91, "the database is closed")
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
