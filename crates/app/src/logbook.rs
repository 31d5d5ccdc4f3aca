//! The log: entries are collected and written together, broadcast to whoever
//! follows, and read back with filters.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bson::raw::{RawBsonRef, RawElement};
use bson::{RawDocument, RawDocumentBuf, doc};
use engine::CommandError;
use kit::{Problem, limit};
use state::{LogChunk, LogEntry, RawLogEntry, State};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::{new_id, stored};

/// How long entries wait for others.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Entries that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 20_000;
/// Bytes of entries that wait or are being written; what is more is dropped and
/// counted. Packed, all of them fit into one command.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Entries that a slow follower may fall behind.
const FOLLOWING_MAX: usize = 1024;
/// How long entries are kept.
const KEPT_MS: i64 = 10 * 24 * 3600 * 1000;
/// Entries of one chunk.
const CHUNK_ENTRIES_MAX: usize = 1000;
/// Bytes of one chunk's entries before they are packed: what a reader of a single
/// entry unpacks. A larger entry is a chunk by itself.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// Chunks that a reader takes at first: a busy app's newest page is in them.
const CHUNKS_AT_FIRST: u64 = 2;
/// Chunks that a reader takes at once, at most.
const CHUNKS_AT_ONCE_MAX: u64 = 16;
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
    load: Arc<Load>,
}

/// What those who add entries and the writer tell each other.
#[derive(Default)]
struct Load {
    /// Bytes of entries that are not written yet.
    bytes: AtomicUsize,
    /// Entries that were too many.
    dropped: AtomicU64,
    /// Asks the writer to wait for no more entries.
    hurry: Notify,
}

/// What waits for the writer.
enum Waiting {
    /// As it will be stored: nothing takes less memory.
    Entry(RawDocumentBuf),
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
    fn wants(&self, entry: &RawLogEntry<'_>) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        is(&self.co_id, entry.co_id)
            && is(&self.user_id, entry.user_id)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == entry.kind))
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
        let load = Arc::new(Load::default());
        tokio::spawn(write(state.clone(), entries, load.clone()));
        Self {
            state,
            waiting,
            live,
            load,
        }
    }

    /// Adds an entry. What is too large in it is left out.
    pub(crate) fn add(&self, entry: &RawLogEntry<'_>) {
        let details = shortened(entry.details);
        let entry = RawLogEntry {
            details: &details,
            ..*entry
        };
        // Nobody may be following.
        if self.live.receiver_count() > 0
            && let Ok(entry) = entry.to_entry()
        {
            let _ = self.live.send(Arc::new(entry));
        }
        if !self.wait(entry.write()) {
            self.load.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives an entry to the writer, unless too many wait.
    fn wait(&self, entry: RawDocumentBuf) -> bool {
        let bytes = entry.as_bytes().len();
        let held = bytes + self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = held <= WAITING_BYTES_MAX;
        if !fits || self.waiting.try_send(Waiting::Entry(entry)).is_err() {
            self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        if held > WAITING_BYTES_MAX / 2 || self.waiting.capacity() < WAITING_MAX / 2 {
            self.load.hurry.notify_one();
        }
        true
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
            self.load.hurry.notify_one();
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
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
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
        wanted: usize,
    ) -> Result<Vec<LogEntry>, Problem> {
        let (from, to) = query.span();
        let mut next = i64::MAX;
        let mut found: Vec<LogEntry> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut at_once = CHUNKS_AT_FIRST;
        loop {
            // Chunks by their latest entry. They overlap: an entry's place is
            // known when every chunk that is still to come ends before it.
            let filter = doc! {
                "app_id": app_id, "to": { "$gte": from, "$lte": next }, "from": { "$lte": to },
                "_id": { "$nin": &seen },
            };
            let order = doc! { "to": -1, "_id": -1 };
            let chunks = self.state.logs.list(filter, order, 0, at_once).await;
            let chunks = chunks.map_err(stored)?;
            let last = (chunks.len() as u64) < at_once;
            at_once = (at_once * 2).min(CHUNKS_AT_ONCE_MAX);
            let mut chunks = chunks.into_iter().peekable();
            while let Some(chunk) = chunks.next() {
                if chunk.to < next {
                    seen.clear();
                }
                next = chunk.to;
                let entries = chunk.entries(|entry| query.wants(entry));
                found.extend(entries.map_err(stored)?);
                seen.push(chunk.id);
                if found.len() >= wanted {
                    found.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
                    // Those that come cannot bring these back.
                    found.truncate(wanted);
                    let to_come = chunks.peek().map_or(next, |chunk| chunk.to);
                    if found.last().is_none_or(|entry| entry.started > to_come) {
                        return Ok(found);
                    }
                }
            }
            if last {
                found.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
                return Ok(found);
            }
        }
    }
}

/// An entry's details without what would make it too large.
fn shortened(details: &RawDocument) -> Cow<'_, RawDocument> {
    // A value counts for at most eight times its bytes: `SMALL` for two of them.
    if details.as_bytes().len() <= limit::LOG_ENTRY_BYTES_MAX / 8 {
        return Cow::Borrowed(details);
    }
    let mut budget = limit::LOG_ENTRY_BYTES_MAX;
    let mut kept = RawDocumentBuf::new();
    for field in details.iter_elements().flatten() {
        match (size_within(&field, budget), field.value()) {
            (Some(size), Ok(value)) => {
                budget = budget.saturating_sub(size + field.key().as_str().len());
                kept.append(field.key(), value);
            }
            _ => kept.append(field.key(), "(too large for the log)"),
        }
    }
    Cow::Owned(kept)
}

/// About how many bytes a value takes, unless it is more than `budget`. Stops
/// as soon as that is known.
fn size_within(value: &RawElement<'_>, budget: usize) -> Option<usize> {
    const SMALL: usize = 16;
    let parts = |mut size: usize, parts: &RawDocument, named: bool| {
        for part in parts.iter_elements() {
            let part = part.ok()?;
            let name = if named { part.key().as_str().len() } else { 0 };
            let left = budget.checked_sub(size + name)?;
            size += name + size_within(&part, left)?;
        }
        Some(size)
    };
    let size = match value.value().ok()? {
        RawBsonRef::String(text) | RawBsonRef::JavaScriptCode(text) | RawBsonRef::Symbol(text) => {
            SMALL + text.len()
        }
        RawBsonRef::Binary(binary) => SMALL + binary.bytes.len(),
        RawBsonRef::RegularExpression(_)
        | RawBsonRef::JavaScriptCodeWithScope(_)
        | RawBsonRef::DbPointer(_) => SMALL + value.size(),
        RawBsonRef::Array(items) => parts(
            SMALL,
            RawDocument::from_bytes(items.as_bytes()).ok()?,
            false,
        )?,
        RawBsonRef::Document(fields) => parts(SMALL, fields, true)?,
        _ => SMALL,
    };
    (size <= budget).then_some(size)
}

/// Writes entries in batches until the logbook is gone.
async fn write(state: State, mut waiting: mpsc::Receiver<Waiting>, load: Arc<Load>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, WAITING_MAX).await > 0 {
        // Others that come meanwhile share the write, unless a reader waits. They
        // gather in the channel, as this task would wake for each of them.
        if !batch.iter().any(|one| matches!(one, Waiting::Reader(_))) {
            tokio::select! {
                () = tokio::time::sleep(WRITE_EVERY) => {}
                () = load.hurry.notified() => {}
            }
            while batch.len() < WAITING_MAX
                && let Ok(one) = waiting.try_recv()
            {
                batch.push(one);
            }
        }
        let mut apps: BTreeMap<String, Vec<RawDocumentBuf>> = BTreeMap::new();
        let mut readers = Vec::new();
        let mut bytes = 0;
        for waiting in batch.drain(..) {
            match waiting {
                Waiting::Entry(entry) => {
                    bytes += entry.as_bytes().len();
                    let app_id = entry.get_str("app_id").unwrap_or_default();
                    match apps.get_mut(app_id) {
                        None => drop(apps.insert(app_id.to_owned(), vec![entry])),
                        Some(entries) => entries.push(entry),
                    }
                }
                Waiting::Reader(reader) => readers.push(reader),
            }
        }
        keep(&state, apps).await;
        load.bytes.fetch_sub(bytes, Ordering::Relaxed);
        for reader in readers {
            // A reader that gave up needs no answer.
            let _ = reader.send(());
        }
        let dropped = load.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!("the log is behind: {dropped} entries were dropped");
        }
    }
}

/// Stores entries by app, in chunks.
async fn keep(state: &State, apps: BTreeMap<String, Vec<RawDocumentBuf>>) {
    let lost = |error: CommandError| tracing::error!("log entries are lost: {error}");
    let mut chunks = Vec::new();
    for (app_id, entries) in apps {
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (entries, after) = rest.split_at(fitting(rest));
            rest = after;
            match LogChunk::pack(new_id(), app_id.clone(), entries) {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => lost(error),
            }
            // Packing takes a while, and others need this thread too.
            tokio::task::yield_now().await;
        }
    }
    if !chunks.is_empty()
        && let Err(error) = state.logs.insert_many(&chunks).await
    {
        lost(error);
    }
}

/// How many of some entries make the next chunk.
fn fitting(entries: &[RawDocumentBuf]) -> usize {
    let mut bytes = 0;
    let fit = entries.iter().take(CHUNK_ENTRIES_MAX).take_while(|entry| {
        bytes += entry.as_bytes().len();
        bytes <= CHUNK_BYTES_MAX
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use bson::spec::BinarySubtype;
    use bson::{Binary, Bson, Document};
    use engine::{Collection, SharedEngine};
    use engine_embedded::Embedded;
    use kit::{Clock, SystemClock};

    use super::{
        CHUNK_BYTES_MAX, CHUNK_ENTRIES_MAX, LogEntry, LogQuery, Logbook, RawDocumentBuf,
        RawLogEntry, State, WAITING_BYTES_MAX, WAITING_MAX, doc, limit, shortened,
    };

    async fn logbook() -> Logbook {
        logbook_and_records().await.0
    }

    async fn logbook_and_records() -> (Logbook, Collection) {
        let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        let records = Collection::new(&engine, state::DATABASE, "logs");
        let state = State::open(&engine, state::DATABASE).await.unwrap();
        (Logbook::start(state), records)
    }

    fn add(logbook: &Logbook, entry: &LogEntry) {
        let details = RawDocumentBuf::try_from(&entry.details).unwrap();
        logbook.add(&RawLogEntry {
            id: &entry.id,
            app_id: &entry.app_id,
            started: entry.started,
            completed: entry.completed,
            kind: &entry.kind,
            co_id: &entry.co_id,
            user_id: &entry.user_id,
            error: &entry.error,
            error_code: &entry.error_code,
            details: &details,
        });
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
            add(&logbook, &entry);
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
            let wanted = |entry: &&LogEntry| {
                (100 < entry.started && entry.started <= 2200)
                    && (kinds.is_empty() || entry.kind == "AUTH")
                    && users.as_ref().is_none_or(|user| entry.user_id == *user)
            };
            let wanted: Vec<&LogEntry> = all.iter().filter(wanted).collect();
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
        add(&logbook, &entry(1, 1));
        logbook.written().await;
        assert_eq!(logbook.state.logs.count(doc! {}).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_request_is_found_by_its_id() {
        let logbook = logbook().await;
        let now = SystemClock.now_ms();
        let id = crate::request_id();
        for (number, id) in [(1, id.clone()), (2, crate::request_id())] {
            let entry = LogEntry {
                co_id: id,
                ..entry(number, now)
            };
            add(&logbook, &entry);
        }
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

    /// All entries of the app, page by page.
    async fn all(logbook: &Logbook) -> Vec<LogEntry> {
        let mut read = Vec::new();
        loop {
            let query = LogQuery {
                skip: read.len() as u64,
                ..LogQuery::default()
            };
            let (page, more) = logbook.read("a", &query).await.unwrap();
            read.extend(page);
            if !more {
                return read;
            }
        }
    }

    #[tokio::test]
    async fn chunks_end_by_entries_and_by_bytes() {
        let logbook = logbook().await;
        let chunks = async || {
            let order = doc! { "_id": 1 };
            logbook.state.logs.list(doc! {}, order, 0, 0).await.unwrap()
        };
        let mut wanted = Vec::new();
        let some = CHUNK_ENTRIES_MAX as i64 + 1;
        for number in 0..some {
            wanted.push(entry(number, number));
        }
        for entry in &wanted {
            add(&logbook, entry);
        }
        logbook.written().await;
        let of: Vec<(i64, i64)> = chunks().await.iter().map(|c| (c.from, c.to)).collect();
        assert_eq!(of, [(0, some - 2), (some - 1, some - 1)]);
        // The greatest entries, of what does not pack.
        let mut noise = vec![0; limit::LOG_ENTRY_BYTES_MAX - 1024];
        let greatest = 40;
        for number in some..some + greatest {
            noise_of(&mut noise, number as u64);
            let entry = LogEntry {
                details: doc! { "noise": Binary {
                    subtype: BinarySubtype::Generic,
                    bytes: noise.clone(),
                } },
                ..entry(number, number)
            };
            add(&logbook, &entry);
            wanted.push(entry);
        }
        logbook.written().await;
        let of: Vec<usize> = chunks()
            .await
            .iter()
            .skip(2)
            .map(|chunk| {
                let size = bson::serialize_to_vec(chunk).unwrap().len();
                assert!(size < CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 100, "{size}");
                (chunk.to - chunk.from + 1) as usize
            })
            .collect();
        assert_eq!(of, [16, 16, 8]);
        wanted.reverse();
        assert_eq!(all(&logbook).await, wanted);
    }

    /// Bytes without any order in them.
    fn noise_of(bytes: &mut [u8], seed: u64) {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for byte in bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        }
    }

    #[tokio::test]
    async fn entries_that_wait_are_bounded_by_their_bytes() {
        let logbook = logbook().await;
        let large = |number: i64| LogEntry {
            details: doc! { "text": "x".repeat(limit::LOG_ENTRY_BYTES_MAX / 2) },
            ..entry(number, number)
        };
        let fit = WAITING_BYTES_MAX / (limit::LOG_ENTRY_BYTES_MAX / 2);
        for round in 0..2 {
            // Nobody writes before this task waits.
            for number in 0..fit as i64 + 5 {
                add(&logbook, &large(round * 10_000 + number));
            }
            let dropped = logbook.load.dropped.load(Ordering::Relaxed) as usize;
            assert!((6..fit / 50).contains(&dropped), "{dropped}");
            // What is written leaves room for others.
            logbook.written().await;
            assert_eq!(logbook.load.bytes.load(Ordering::Relaxed), 0);
            assert_eq!(logbook.load.dropped.load(Ordering::Relaxed), 0);
            let newest = logbook.newest("a").await.unwrap();
            assert_eq!(newest, Some(round * 10_000 + (fit + 4 - dropped) as i64));
        }
    }

    #[tokio::test]
    async fn entries_that_wait_are_bounded_by_their_number() {
        let logbook = logbook().await;
        for number in 0..WAITING_MAX as i64 + 3 {
            add(&logbook, &entry(number, number));
        }
        assert_eq!(logbook.load.dropped.load(Ordering::Relaxed), 3);
        logbook.written().await;
        let newest = logbook.newest("a").await.unwrap();
        assert_eq!(newest, Some(WAITING_MAX as i64 - 1));
        let chunks = logbook.state.logs.count(doc! {}).await.unwrap();
        assert_eq!(chunks as usize, WAITING_MAX / CHUNK_ENTRIES_MAX);
    }

    #[tokio::test]
    async fn chunks_from_before_they_were_packed_are_read_among_others() {
        let (logbook, records) = logbook_and_records().await;
        let old = doc! {
            "_id": crate::new_id(), "app_id": "a", "from": 2_i64, "to": 2_i64, "entries": [{
                "_id": format!("{:024}", 2), "app_id": "a", "started": 2_i64, "completed": 2_i64,
                "type": "FUNCTION", "co_id": "", "user_id": "u2", "error": "", "error_code": "",
                "details": {},
            }],
        };
        let old = RawDocumentBuf::try_from(old).unwrap();
        records.insert_many(&[old]).await.unwrap();
        add(&logbook, &entry(1, 1));
        add(&logbook, &entry(3, 3));
        assert_eq!(all(&logbook).await, [entry(3, 3), entry(2, 2), entry(1, 1)]);
    }

    #[tokio::test]
    async fn a_broken_chunk_is_named_to_the_operator() {
        let (logbook, records) = logbook_and_records().await;
        add(&logbook, &entry(1, 1));
        let broken = doc! {
            "_id": "broken", "app_id": "a", "from": 5_i64, "to": 5_i64,
            "packed": Binary { subtype: BinarySubtype::Generic, bytes: vec![255; 64] },
        };
        let broken = RawDocumentBuf::try_from(broken).unwrap();
        records.insert_many(&[broken]).await.unwrap();
        let problem = logbook.read("a", &LogQuery::default()).await.unwrap_err();
        let because = problem.because.unwrap();
        assert!(because.contains("the chunk broken: "), "{because}");
        // It is in nobody's way who asks for other times.
        let before = LogQuery {
            to: Some(4),
            ..LogQuery::default()
        };
        assert_eq!(logbook.read("a", &before).await.unwrap().0, [entry(1, 1)]);
    }

    #[tokio::test]
    async fn followers_see_what_is_stored() {
        let logbook = logbook().await;
        let mut following = logbook.follow();
        let large = LogEntry {
            details: doc! { "n": 1, "text": "x".repeat(limit::LOG_ENTRY_BYTES_MAX) },
            ..entry(1, 1)
        };
        add(&logbook, &large);
        let told = following.recv().await.unwrap();
        assert_eq!(
            told.details,
            doc! { "n": 1, "text": "(too large for the log)" }
        );
        assert_eq!(all(&logbook).await, [LogEntry::clone(&told)]);
    }

    /// Details as the log keeps them.
    fn kept(details: &Document) -> Document {
        let details = RawDocumentBuf::try_from(details).unwrap();
        Document::try_from(shortened(&details).as_ref()).unwrap()
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        let too_large = doc! { "arguments": "(too large for the log)" };
        let long = "x".repeat(limit::LOG_ENTRY_BYTES_MAX);
        let details = doc! { "name": "f", "arguments": [{ "a": [&long] }], "time": 5 };
        assert_eq!(
            kept(&details),
            doc! { "name": "f", "arguments": "(too large for the log)", "time": 5 }
        );
        let many: Vec<Bson> = (0..limit::LOG_ENTRY_BYTES_MAX as i32)
            .map(Bson::from)
            .collect();
        assert_eq!(kept(&doc! { "arguments": many }), too_large);
        // Each counts for more than its bytes.
        let nulls = |n: usize| doc! { "arguments": vec![Bson::Null; n] };
        let most = limit::LOG_ENTRY_BYTES_MAX / 16 - 1;
        assert_eq!(kept(&nulls(most)), nulls(most));
        assert_eq!(kept(&nulls(most + 1)), too_large);
        let pattern = bson::Regex {
            pattern: bson::raw::CString::try_from(long.clone()).unwrap(),
            options: bson::raw::CString::try_from(String::new()).unwrap(),
        };
        assert_eq!(kept(&doc! { "arguments": pattern }), too_large);
        let code = bson::JavaScriptCodeWithScope {
            code: String::new(),
            scope: doc! { "a": long },
        };
        assert_eq!(kept(&doc! { "arguments": code }), too_large);
        let details = doc! { "arguments": ["small", { "deep": { "deeper": 1.5 } }] };
        assert_eq!(kept(&details), details);
    }
}
