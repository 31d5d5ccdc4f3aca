//! The one thread that writes: takes jobs that are waiting, validates each,
//! makes them durable with one sync, publishes the new view, and answers.

use std::collections::HashSet;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;

use bson::RawDocumentBuf;
use engine::CommandError;
use tokio::sync::oneshot;

use crate::catalog::Catalog;
use crate::kv::{Batch, Kv, Table};
use crate::layout::{self, Position};
use crate::write::{Changes, Item};
use crate::{Core, View};

/// Jobs that share one sync at most.
const JOBS_PER_COMMIT_MAX: usize = 512;
/// How long the change log reaches back.
const LOG_RETENTION_S: u32 = 24 * 3600;
/// Seconds between two looks at the log's beginning.
const TRIM_EVERY_S: u32 = 60;
/// Events that one trimming removes at most.
const TRIM_EVENTS_MAX: usize = 10_000;

/// Why a job did not commit.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Another write came first: evaluate again.
    Conflict,
    /// The write is wrong, or the store failed.
    Failed(CommandError),
}

type Definition = Box<
    dyn FnOnce(&mut dyn Batch, &mut Catalog) -> Result<Vec<RawDocumentBuf>, CommandError> + Send,
>;

enum Job {
    Write(
        Vec<Item>,
        Vec<RawDocumentBuf>,
        oneshot::Sender<Result<(), Refused>>,
    ),
    /// A change of the catalogue; answers the events it made.
    Define(Option<Definition>, oneshot::Sender<Result<(), Refused>>),
}

/// The way to the committer thread.
pub(crate) struct Committer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    poisoned: Arc<OnceLock<CommandError>>,
}

impl Committer {
    pub(crate) fn start(kv: Arc<dyn Kv>, core: Weak<Core>, last: Position) -> Self {
        let (jobs, queue) = mpsc::channel();
        let poisoned = Arc::new(OnceLock::new());
        let worker = Worker {
            kv,
            core,
            last,
            trimmed_at: 0,
            poisoned: poisoned.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || worker.run(&queue))
            .ok();
        Self {
            jobs: Some(jobs),
            thread,
            poisoned,
        }
    }

    /// Whether writes are taken: not after one failed, nor without the thread.
    pub(crate) fn health(&self) -> Result<(), CommandError> {
        if let Some(error) = self.poisoned.get() {
            return Err(error.clone());
        }
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(CommandError::new(91, "the database is closed")),
        }
    }

    /// Makes changes durable.
    pub(crate) async fn commit(&self, changes: Changes) -> Result<(), Refused> {
        if changes.is_empty() {
            return Ok(());
        }
        let (items, events) = changes.into_items().map_err(Refused::Failed)?;
        self.send(|answer| Job::Write(items, events, answer)).await
    }

    /// Changes the catalogue.
    pub(crate) async fn define(
        &self,
        change: impl FnOnce(&mut dyn Batch, &mut Catalog) -> Result<Vec<RawDocumentBuf>, CommandError>
        + Send
        + 'static,
    ) -> Result<(), CommandError> {
        let change: Definition = Box::new(change);
        match self.send(|answer| Job::Define(Some(change), answer)).await {
            Ok(()) => Ok(()),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Conflict) => Err(CommandError::write_conflict()),
        }
    }

    async fn send(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), Refused>>) -> Job,
    ) -> Result<(), Refused> {
        let closed = || Refused::Failed(CommandError::new(91, "the database is closed"));
        let (answer, wait) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(job(answer)).map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // The last share of the core may be dropped on the thread itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

struct Worker {
    kv: Arc<dyn Kv>,
    core: Weak<Core>,
    last: Position,
    trimmed_at: u32,
    poisoned: Arc<OnceLock<CommandError>>,
}

impl Worker {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut jobs = vec![first];
            while jobs.len() < JOBS_PER_COMMIT_MAX
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            let Some(core) = self.core.upgrade() else {
                return;
            };
            self.commit(core, jobs);
        }
    }

    fn commit(&mut self, core: Arc<Core>, mut jobs: Vec<Job>) {
        let mut results: Vec<Result<(), Refused>> = Vec::with_capacity(jobs.len());
        let view = core.view.load_full();
        let mut catalog = Catalog::clone(&view.catalog);
        let mut defined = false;
        let mut position = self.last;
        let seconds = u32::try_from(core.clock.now_s()).unwrap_or(u32::MAX);
        let trim = seconds.saturating_sub(self.trimmed_at) >= TRIM_EVERY_S;
        let written = match self.poisoned.get() {
            Some(error) => Err(error.clone()),
            None => self.kv.write(&mut |batch| {
                for job in &mut jobs {
                    let next = position.next(seconds);
                    let result = match job {
                        Job::Write(items, events, _) => apply(batch, &catalog, items, next)
                            .and_then(|()| log(batch, events, next).map_err(Refused::Failed)),
                        Job::Define(change, _) => {
                            defined = true;
                            let before = catalog.clone();
                            let change = change.take();
                            let made = change.map_or(Ok(Vec::new()), |c| c(batch, &mut catalog));
                            match made.and_then(|events| log(batch, &events, next)) {
                                Ok(()) => Ok(()),
                                Err(error) => {
                                    catalog = before;
                                    Err(Refused::Failed(error))
                                }
                            }
                        }
                    };
                    if result.is_ok() {
                        position = next;
                    }
                    results.push(result);
                }
                batch.put(Table::Meta, layout::LAST_POSITION, &position.key())?;
                if trim {
                    self::trim(batch, seconds.saturating_sub(LOG_RETENTION_S))?;
                }
                Ok(())
            }),
        };
        let published = written.and_then(|()| self.kv.snapshot()).map(|snapshot| {
            let catalog = if defined {
                Arc::new(catalog)
            } else {
                view.catalog.clone()
            };
            core.view.store(Arc::new(View { snapshot, catalog }));
        });
        match published {
            Ok(()) => {
                self.last = position;
                if trim {
                    self.trimmed_at = seconds;
                }
                core.latest.send_replace(position);
            }
            Err(error) => {
                // What is on the disk is not known any more: better no write
                // than a lost one.
                results = vec![Err(Refused::Failed(error.clone())); jobs.len()];
                self.poisoned.get_or_init(|| {
                    let why = &error.message;
                    let text = format!("the database stopped taking writes after: {why}");
                    CommandError::new(91, text)
                });
            }
        }
        // Whoever is answered may be the last to hold the database: dropping it
        // then waits for this thread, and the file is closed when that is done.
        drop((core, view));
        for (job, result) in jobs.into_iter().zip(results) {
            let (Job::Write(.., answer) | Job::Define(_, answer)) = job;
            // The caller may have gone; the write stands all the same.
            let _ = answer.send(result);
        }
    }
}

/// Validates a job's items, then applies them.
fn apply(
    batch: &mut dyn Batch,
    catalog: &Catalog,
    items: &[Item],
    position: Position,
) -> Result<(), Refused> {
    let failed = Refused::Failed;
    let removed: HashSet<&[u8]> = items
        .iter()
        .flat_map(|item| item.removed.iter().map(|(key, _)| key.as_slice()))
        .collect();
    for item in items {
        let version = catalog
            .by_id(item.collection)
            .map(|collection| collection.version);
        if version != Some(item.version) {
            return Err(Refused::Conflict);
        }
        let key = layout::document_key(item.collection, item.record);
        let present = batch.get(Table::Documents, &key).map_err(failed)?;
        let commit = match present {
            Some(value) => Some(layout::loaded(value).map_err(failed)?.0),
            None => None,
        };
        if commit != item.seen {
            return Err(Refused::Conflict);
        }
        for (key, unique) in &item.added {
            if !unique || removed.contains(key.as_slice()) {
                continue;
            }
            if batch.get(Table::Indexes, key).map_err(failed)?.is_some() {
                return Err(Refused::Conflict);
            }
        }
    }
    let commit = u64::from(position.time) << 32 | u64::from(position.increment);
    for item in items {
        for (key, _) in &item.removed {
            batch.remove(Table::Indexes, key).map_err(failed)?;
        }
    }
    for item in items {
        let key = layout::document_key(item.collection, item.record);
        match &item.now {
            Some(document) => batch.put(
                Table::Documents,
                &key,
                &layout::stored(commit, document.as_bytes()),
            ),
            None => batch.remove(Table::Documents, &key),
        }
        .map_err(failed)?;
        for (key, unique) in &item.added {
            let record = item.record.to_be_bytes();
            let value: &[u8] = if *unique { &record } else { &[] };
            batch.put(Table::Indexes, key, value).map_err(failed)?;
        }
    }
    Ok(())
}

fn log(
    batch: &mut dyn Batch,
    events: &[RawDocumentBuf],
    position: Position,
) -> Result<(), CommandError> {
    for (index, event) in events.iter().enumerate() {
        let at = Position {
            index: index as u32,
            ..position
        };
        batch.put(Table::Log, &at.key(), event.as_bytes())?;
    }
    Ok(())
}

/// Removes events older than `seconds`.
fn trim(batch: &mut dyn Batch, seconds: u32) -> Result<(), CommandError> {
    let end = Position {
        time: seconds,
        ..Position::default()
    };
    let old = batch.keys(Table::Log, &[], &end.key())?;
    for key in old.iter().take(TRIM_EVENTS_MAX) {
        batch.remove(Table::Log, key)?;
        batch.put(Table::Meta, layout::TRIMMED, key)?;
    }
    Ok(())
}
