//! The log: entries are collected and written together, broadcast to whoever
//! follows, and read back with filters.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, doc};
use kit::{Clock, Problem};
use state::{LogEntry, State};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::stored;

/// How long entries wait for others.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Entries that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 10_000;
/// Entries that a slow follower may fall behind.
const FOLLOWING_MAX: usize = 1024;
/// How long entries are kept.
const KEPT_MS: i64 = 10 * 24 * 3600 * 1000;
/// How often older ones are removed.
const TRIM_EVERY_MS: i64 = 3_600_000;
/// Entries that are written at once.
const BATCH_MAX: usize = 1000;
/// Entries on one page.
const PAGE: u64 = 100;

/// The log of every app.
#[derive(Clone)]
pub struct Logbook {
    state: State,
    waiting: mpsc::Sender<Waiting>,
    live: broadcast::Sender<Arc<LogEntry>>,
}

/// What waits for the writer.
enum Waiting {
    Entry(Box<LogEntry>),
    /// Somebody wants to read what was added before.
    Reader(oneshot::Sender<()>),
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Of this request.
    pub co_id: Option<String>,
    /// Only failures.
    pub errors_only: bool,
    /// Of this user.
    pub user_id: Option<String>,
    /// Of one of these types; of any when empty.
    pub kinds: Vec<String>,
    /// Begun after, in milliseconds.
    pub after: Option<i64>,
    /// Begun at or before, in milliseconds.
    pub to: Option<i64>,
    /// Entries to pass over.
    pub skip: u64,
    /// Entries to read; a page at most.
    pub limit: u64,
}

impl Logbook {
    pub(crate) fn start(state: State, clock: Arc<dyn Clock>) -> Self {
        let (waiting, entries) = mpsc::channel(WAITING_MAX);
        let (live, _) = broadcast::channel(FOLLOWING_MAX);
        tokio::spawn(write(state.clone(), clock, entries));
        Self {
            state,
            waiting,
            live,
        }
    }

    /// Adds an entry.
    pub(crate) fn add(&self, entry: LogEntry) {
        // Nobody may be following.
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(Arc::new(entry.clone()));
        }
        let entry = Waiting::Entry(Box::new(entry));
        if self.waiting.try_send(entry).is_err() {
            tracing::warn!("the log is behind: an entry is dropped");
        }
    }

    /// When the newest entry of an app was made, in milliseconds.
    pub(crate) async fn newest(&self, app_id: &str) -> Result<Option<i64>, Problem> {
        let query = LogQuery {
            limit: 1,
            ..LogQuery::default()
        };
        let (entries, _) = self.read(app_id, &query).await?;
        Ok(entries.first().map(|entry| entry.completed))
    }

    /// Follows entries as they are made.
    pub fn follow(&self) -> broadcast::Receiver<Arc<LogEntry>> {
        self.live.subscribe()
    }

    /// Reads entries of an app, newest first; true when there are more. What
    /// was added before is among them.
    pub async fn read(
        &self,
        app_id: &str,
        query: &LogQuery,
    ) -> Result<(Vec<LogEntry>, bool), Problem> {
        let (written, done) = oneshot::channel();
        if self.waiting.send(Waiting::Reader(written)).await.is_ok() {
            // The writer answers unless the process is ending.
            let _ = done.await;
        }
        let mut filter = doc! { "app_id": app_id };
        let mut time = Document::new();
        if let Some(after) = query.after {
            time.insert("$gt", after);
        }
        if let Some(to) = query.to {
            time.insert("$lte", to);
        }
        if !time.is_empty() {
            filter.insert("started", time);
        }
        for (name, value) in [("co_id", &query.co_id), ("user_id", &query.user_id)] {
            if let Some(value) = value {
                filter.insert(name, value.clone());
            }
        }
        if !query.kinds.is_empty() {
            filter.insert("type", doc! { "$in": query.kinds.clone() });
        }
        if query.errors_only {
            filter.insert("error", doc! { "$ne": "" });
        }
        let limit = if query.limit == 0 {
            PAGE
        } else {
            query.limit.min(PAGE)
        };
        let sort = doc! { "started": -1, "_id": -1 };
        let mut found = self
            .state
            .logs
            .list(filter, sort, query.skip, limit + 1)
            .await
            .map_err(stored)?;
        let more = found.len() as u64 > limit;
        found.truncate(limit as usize);
        Ok((found, more))
    }
}

/// Writes entries in batches until the logbook is gone.
async fn write(state: State, clock: Arc<dyn Clock>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut trimmed = 0;
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        // Others that come meanwhile share the write, unless a reader waits.
        let pause = tokio::time::sleep(WRITE_EVERY);
        tokio::pin!(pause);
        let read = |batch: &[Waiting]| batch.iter().any(|w| matches!(w, Waiting::Reader(_)));
        while !read(&batch) {
            tokio::select! {
                () = &mut pause => break,
                n = waiting.recv_many(&mut batch, BATCH_MAX) => if n == 0 { break },
            }
        }
        let (mut entries, mut readers) = (Vec::new(), Vec::new());
        for waiting in batch.drain(..) {
            match waiting {
                Waiting::Entry(entry) => entries.push(*entry),
                Waiting::Reader(reader) => readers.push(reader),
            }
        }
        if !entries.is_empty()
            && let Err(error) = state.logs.insert_many(&entries).await
        {
            tracing::error!("log entries are lost: {error}");
        }
        for reader in readers {
            // A reader that gave up needs no answer.
            let _ = reader.send(());
        }
        let now = clock.now_ms();
        if now - trimmed > TRIM_EVERY_MS {
            trimmed = now;
            let old = doc! { "started": { "$lt": Bson::Int64(now - KEPT_MS) } };
            if let Err(error) = state.logs.delete_all(old).await {
                tracing::error!("old log entries stay: {error}");
            }
        }
    }
}
