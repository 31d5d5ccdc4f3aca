//! The log: entries are collected and written together, broadcast to whoever
//! follows, and read back with filters.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, doc};
use kit::{Clock, Problem};
use state::{LogEntry, State};
use tokio::sync::{broadcast, mpsc};

use crate::stored;

/// How long entries wait for others.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Entries that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 10_000;
/// Entries that a slow follower may fall behind.
const FOLLOWING_MAX: usize = 1024;
/// How long entries are kept.
const KEPT_MS: i64 = 10 * 24 * 3600 * 1000;
/// Entries on one page.
const PAGE: u64 = 100;

/// The log of every app.
#[derive(Clone)]
pub struct Logbook {
    state: State,
    waiting: mpsc::Sender<LogEntry>,
    live: broadcast::Sender<Arc<LogEntry>>,
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
    /// Of this type.
    pub kind: Option<String>,
    /// Begun at or after, in milliseconds.
    pub from: Option<i64>,
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
        if self.waiting.try_send(entry).is_err() {
            tracing::warn!("the log is behind: an entry is dropped");
        }
    }

    /// Follows entries as they are made.
    pub fn follow(&self) -> broadcast::Receiver<Arc<LogEntry>> {
        self.live.subscribe()
    }

    /// Reads entries of an app, newest first; true when there are more.
    pub async fn read(
        &self,
        app_id: &str,
        query: &LogQuery,
    ) -> Result<(Vec<LogEntry>, bool), Problem> {
        let mut filter = doc! { "app_id": app_id };
        let mut time = Document::new();
        if let Some(from) = query.from {
            time.insert("$gte", from);
        }
        if let Some(to) = query.to {
            time.insert("$lte", to);
        }
        if !time.is_empty() {
            filter.insert("started", time);
        }
        for (name, value) in [
            ("co_id", &query.co_id),
            ("user_id", &query.user_id),
            ("type", &query.kind),
        ] {
            if let Some(value) = value {
                filter.insert(name, value.clone());
            }
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
async fn write(state: State, clock: Arc<dyn Clock>, mut entries: mpsc::Receiver<LogEntry>) {
    let mut trimmed = 0;
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, 1000).await > 0 {
        // Others that come meanwhile share the write.
        let pause = tokio::time::sleep(WRITE_EVERY);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                n = entries.recv_many(&mut batch, 1000) => if n == 0 { break },
            }
        }
        if let Err(error) = state.logs.insert_many(&batch).await {
            tracing::error!("log entries are lost: {error}");
        }
        batch.clear();
        let now = clock.now_ms();
        if now - trimmed > 3_600_000 {
            trimmed = now;
            let old = doc! { "started": { "$lt": Bson::Int64(now - KEPT_MS) } };
            if let Err(error) = state.logs.delete_all(old).await {
                tracing::error!("old log entries stay: {error}");
            }
        }
    }
}
