//! The log: entries are collected and written together, broadcast to whoever
//! follows, and read back with filters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bson::{Bson, Document, doc};
use kit::{Problem, limit};
use state::{LogChunk, LogEntry, State};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{new_id, stored};

/// How long entries wait for others.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Entries that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 20_000;
/// Entries that a slow follower may fall behind.
const FOLLOWING_MAX: usize = 1024;
/// How long entries are kept.
const KEPT_MS: i64 = 10 * 24 * 3600 * 1000;
/// Entries of one chunk; with the most bytes of an entry a chunk stays below
/// the most of a document.
const CHUNK_ENTRIES_MAX: usize = 200;
/// Chunks that a reader takes at once.
const CHUNKS_AT_ONCE: u64 = 16;
/// Entries on one page.
const PAGE: u64 = 100;
/// A request's id begins with the second of its arrival; its entries begin
/// within this time of it.
const REQUEST_MS_MAX: i64 = limit::CALL_MS_MAX as i64 + 60_000;

/// The log of every app.
#[derive(Clone)]
pub struct Logbook {
    state: State,
    waiting: mpsc::Sender<Waiting>,
    live: broadcast::Sender<Arc<LogEntry>>,
    dropped: Arc<AtomicU64>,
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

impl LogQuery {
    fn wants(&self, entry: &LogEntry) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        is(&self.co_id, &entry.co_id)
            && is(&self.user_id, &entry.user_id)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && (!self.errors_only || !entry.error.is_empty())
            && self.after.is_none_or(|after| entry.started > after)
            && self.to.is_none_or(|to| entry.started <= to)
    }

    /// The times between which wanted entries began.
    fn span(&self) -> (i64, i64) {
        let of_request = self.co_id.as_deref().and_then(|id| {
            let id = bson::oid::ObjectId::parse_str(id).ok()?;
            let at = id.timestamp().timestamp_millis();
            Some((at - 1000, at + REQUEST_MS_MAX))
        });
        let (from, to) = of_request.unwrap_or((i64::MIN, i64::MAX));
        (
            self.after.map_or(from, |after| from.max(after)),
            self.to.map_or(to, |wanted| to.min(wanted)),
        )
    }
}

impl Logbook {
    pub(crate) fn start(state: State) -> Self {
        let (waiting, entries) = mpsc::channel(WAITING_MAX);
        let (live, _) = broadcast::channel(FOLLOWING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        tokio::spawn(write(state.clone(), entries, dropped.clone()));
        Self {
            state,
            waiting,
            live,
            dropped,
        }
    }

    /// Adds an entry. What is too large in it is left out.
    pub(crate) fn add(&self, mut entry: LogEntry) {
        shorten(&mut entry.details);
        // Nobody may be following.
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(Arc::new(entry.clone()));
        }
        let entry = Waiting::Entry(Box::new(entry));
        if self.waiting.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
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

    /// Removes entries that are older than they are kept.
    pub(crate) async fn trim(&self, now: i64) -> Result<(), Problem> {
        let old = doc! { "to": { "$lt": now - KEPT_MS } };
        self.state.logs.delete_all(old).await.map_err(stored)?;
        Ok(())
    }

    /// Follows entries of this server as they are made.
    pub fn follow(&self) -> broadcast::Receiver<Arc<LogEntry>> {
        self.live.subscribe()
    }

    /// Waits until what was added before is written.
    pub async fn written(&self) {
        let (written, done) = oneshot::channel();
        if self.waiting.send(Waiting::Reader(written)).await.is_ok() {
            // The writer answers unless the process is ending.
            let _ = done.await;
        }
    }

    /// Reads entries of an app, newest first; true when there are more. What
    /// was added before is among them.
    pub async fn read(
        &self,
        app_id: &str,
        query: &LogQuery,
    ) -> Result<(Vec<LogEntry>, bool), Problem> {
        self.written().await;
        let limit = if query.limit == 0 {
            PAGE
        } else {
            query.limit.min(PAGE)
        };
        let wanted = query.skip.saturating_add(limit).saturating_add(1);
        let mut found = self.find(app_id, query, wanted).await?;
        found.drain(..(query.skip as usize).min(found.len()));
        let more = found.len() as u64 > limit;
        found.truncate(limit as usize);
        Ok((found, more))
    }

    /// The newest entries that a query wants: `wanted` of them, if there are.
    async fn find(
        &self,
        app_id: &str,
        query: &LogQuery,
        wanted: u64,
    ) -> Result<Vec<LogEntry>, Problem> {
        let (from, to) = query.span();
        let mut next = i64::MAX;
        let mut found: Vec<LogEntry> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        loop {
            // Chunks by their latest entry. They overlap: an entry's place is
            // known when every chunk that is still to come ends before it.
            let filter = doc! {
                "app_id": app_id, "to": { "$gte": from, "$lte": next }, "from": { "$lte": to },
                "_id": { "$nin": &seen },
            };
            let order = doc! { "to": -1, "_id": -1 };
            let chunks = self.state.logs.list(filter, order, 0, CHUNKS_AT_ONCE).await;
            let chunks = chunks.map_err(stored)?;
            let last = (chunks.len() as u64) < CHUNKS_AT_ONCE;
            for chunk in chunks {
                if chunk.to < next {
                    seen.clear();
                }
                next = chunk.to;
                seen.push(chunk.id);
                let entries = chunk.entries.into_iter();
                found.extend(entries.filter(|entry| query.wants(entry)));
            }
            let placed = found.iter().filter(|entry| entry.started > next).count();
            if last || placed as u64 >= wanted {
                found.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
                found.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
                return Ok(found);
            }
        }
    }
}

/// Leaves out of an entry's details what would make it too large, the largest
/// part first.
fn shorten(details: &mut Document) {
    let mut budget = limit::LOG_ENTRY_BYTES_MAX;
    let too_large: Vec<String> = details
        .iter()
        .filter(|(name, value)| match size_within(value, budget) {
            Some(size) => {
                budget = budget.saturating_sub(size + name.len());
                false
            }
            None => true,
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in too_large {
        details.insert(name, "(too large for the log)");
    }
}

/// About how many bytes a value takes, unless it is more than `budget`. Stops
/// as soon as that is known.
fn size_within(value: &Bson, budget: usize) -> Option<usize> {
    const SMALL: usize = 16;
    let own = match value {
        Bson::String(text) | Bson::JavaScriptCode(text) | Bson::Symbol(text) => text.len(),
        Bson::Binary(binary) => binary.bytes.len(),
        _ => 0,
    };
    let mut size = own + SMALL;
    let parts: Box<dyn Iterator<Item = (usize, &Bson)>> = match value {
        Bson::Array(items) => Box::new(items.iter().map(|item| (0, item))),
        Bson::Document(fields) => Box::new(fields.iter().map(|(name, v)| (name.len(), v))),
        _ => Box::new(std::iter::empty()),
    };
    for (name, part) in parts {
        let left = budget.checked_sub(size + name)?;
        size += name + size_within(part, left)?;
    }
    (size <= budget).then_some(size)
}

/// Writes entries in batches until the logbook is gone.
async fn write(state: State, mut waiting: mpsc::Receiver<Waiting>, dropped: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, WAITING_MAX).await > 0 {
        // Others that come meanwhile share the write, unless a reader waits.
        let pause = tokio::time::sleep(WRITE_EVERY);
        tokio::pin!(pause);
        let read = |batch: &[Waiting]| batch.iter().any(|w| matches!(w, Waiting::Reader(_)));
        while !read(&batch) {
            tokio::select! {
                () = &mut pause => break,
                n = waiting.recv_many(&mut batch, WAITING_MAX) => if n == 0 { break },
            }
        }
        let (mut apps, mut readers) = (BTreeMap::<String, Vec<LogEntry>>::new(), Vec::new());
        for waiting in batch.drain(..) {
            match waiting {
                Waiting::Entry(entry) => match apps.get_mut(&entry.app_id) {
                    Some(entries) => entries.push(*entry),
                    None => {
                        apps.insert(entry.app_id.clone(), vec![*entry]);
                    }
                },
                Waiting::Reader(reader) => readers.push(reader),
            }
        }
        let chunks = chunks(apps);
        if !chunks.is_empty()
            && let Err(error) = state.logs.insert_many(&chunks).await
        {
            tracing::error!("log entries are lost: {error}");
        }
        for reader in readers {
            // A reader that gave up needs no answer.
            let _ = reader.send(());
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!("the log is behind: {dropped} entries were dropped");
        }
    }
}

fn chunks(apps: BTreeMap<String, Vec<LogEntry>>) -> Vec<LogChunk> {
    let mut chunks = Vec::new();
    for (app_id, entries) in apps {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let entries: Vec<LogEntry> = entries.by_ref().take(CHUNK_ENTRIES_MAX).collect();
            let times = || entries.iter().map(|entry| entry.started);
            chunks.push(LogChunk {
                id: new_id(),
                app_id: app_id.clone(),
                from: times().min().unwrap_or_default(),
                to: times().max().unwrap_or_default(),
                entries,
            });
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::SharedEngine;
    use engine_embedded::Embedded;
    use kit::{Clock, SystemClock};

    use super::{Bson, LogEntry, LogQuery, Logbook, State, doc, limit, shorten};

    async fn logbook() -> Logbook {
        let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        Logbook::start(State::open(&engine, state::DATABASE).await.unwrap())
    }

    fn entry(number: i64, started: i64) -> LogEntry {
        LogEntry {
            id: format!("{number:024}"),
            app_id: "a".to_owned(),
            started,
            completed: started,
            kind: ["FUNCTION", "AUTH"][number as usize % 2].to_owned(),
            co_id: String::new(),
            user_id: format!("u{}", number % 7),
            error: String::new(),
            error_code: String::new(),
            details: doc! {},
        }
    }

    #[tokio::test]
    async fn pages_are_the_sorted_whole_whatever_the_chunks() {
        let logbook = logbook().await;
        let mut all = Vec::new();
        // Late entries, entries of one moment, chunks that overlap.
        for number in 0..1500_i64 {
            let entry = entry(number, (number * 37 % 251) * 10 + number / 300);
            logbook.add(entry.clone());
            all.push(entry);
            if number % 20 == 0 {
                // A reader closes a chunk.
                logbook.newest("a").await.unwrap();
            }
        }
        all.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        for (kinds, users) in [
            (vec![], None),
            (vec!["AUTH".to_owned()], Some("u3".to_owned())),
        ] {
            let query = LogQuery {
                kinds: kinds.clone(),
                user_id: users.clone(),
                after: Some(100),
                to: Some(2200),
                limit: 70,
                ..LogQuery::default()
            };
            let wanted: Vec<&LogEntry> = all.iter().filter(|entry| query.wants(entry)).collect();
            let mut read = Vec::new();
            loop {
                let query = LogQuery {
                    skip: read.len() as u64,
                    ..query.clone()
                };
                let (page, more) = logbook.read("a", &query).await.unwrap();
                read.extend(page);
                if !more {
                    break;
                }
            }
            assert_eq!(read.iter().collect::<Vec<_>>(), wanted);
        }
        assert!(
            logbook
                .read("b", &LogQuery::default())
                .await
                .unwrap()
                .0
                .is_empty()
        );
    }

    #[tokio::test]
    async fn what_was_added_is_written_when_the_server_stops() {
        let logbook = logbook().await;
        logbook.add(entry(1, 1));
        logbook.written().await;
        assert_eq!(logbook.state.logs.count(doc! {}).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_request_is_found_by_its_id() {
        let logbook = logbook().await;
        let now = SystemClock.now_ms();
        let id = crate::request_id();
        logbook.add(LogEntry {
            co_id: id.clone(),
            ..entry(1, now)
        });
        logbook.add(LogEntry {
            co_id: crate::request_id(),
            ..entry(2, now)
        });
        let query = LogQuery {
            co_id: Some(id.clone()),
            ..LogQuery::default()
        };
        let (found, more) = logbook.read("a", &query).await.unwrap();
        assert_eq!((found.len(), more, &found[0].co_id), (1, false, &id));
        let query = LogQuery {
            co_id: Some("no id".to_owned()),
            ..LogQuery::default()
        };
        assert!(logbook.read("a", &query).await.unwrap().0.is_empty());
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        let long = "x".repeat(limit::LOG_ENTRY_BYTES_MAX);
        let mut details = doc! { "name": "f", "arguments": [{ "a": [&long] }], "time": 5 };
        shorten(&mut details);
        assert_eq!(
            details,
            doc! { "name": "f", "arguments": "(too large for the log)", "time": 5 }
        );
        let many: Vec<Bson> = (0..limit::LOG_ENTRY_BYTES_MAX as i32)
            .map(Bson::from)
            .collect();
        let mut details = doc! { "arguments": many };
        shorten(&mut details);
        assert_eq!(details, doc! { "arguments": "(too large for the log)" });
        let mut details = doc! { "arguments": ["small", { "deep": { "deeper": 1.5 } }] };
        let before = details.clone();
        shorten(&mut details);
        assert_eq!(details, before);
    }
}
