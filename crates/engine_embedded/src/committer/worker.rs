//! The one thread that writes: takes jobs that are waiting, validates each,
//! makes them durable with one sync, publishes the new view, and answers.
//! Between jobs it syncs what was left unsynced, trims the log and clears away
//! what was dropped.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::CommandError;

use super::{Answer, Definition, Job, Refused, Shared, Write};
use crate::View;
use crate::books::Books;
use crate::catalog::{Catalog, Collection};
use crate::event::Event;
use crate::kv::redb::OUT_OF_DISK_SPACE;
use crate::kv::{Batch, Kv, Lent, Snapshot, Table};
use crate::layout::{self, Position, Record, record_of};
use crate::log::Logged;
use crate::options::Durability;
use crate::retry;
use crate::write::{Item, Prepared};

/// Jobs that share one sync at most.
const JOBS_PER_COMMIT_MAX: usize = 512;
/// Bytes of jobs that share one sync, give or take one job.
const BYTES_PER_COMMIT_MAX: usize = 4 << 20;
/// How long what need not be on the disk at once may stay off it, where the
/// options do not say.
const UNSYNCED_MAX: Duration = Duration::from_millis(100);
/// Time between two looks at the log's age when nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Time between two looks for numbered writes that are old.
const FORGET_EVERY: Duration = Duration::from_secs(300);
/// Room on the disk that is not used for writes.
const ROOM_KEPT_BYTES: u64 = 32 << 20;

/// Whether a write of so many bytes should fit.
pub(super) fn has_room(kv: &dyn Kv, bytes: usize) -> Result<(), CommandError> {
    // Documents, events and the pages that they change on their way.
    let needed = ROOM_KEPT_BYTES.saturating_add(4 * bytes as u64);
    match kv.room() {
        Some(room) if room < needed => Err(CommandError::new(
            OUT_OF_DISK_SPACE,
            format!("the disk is full: {room} bytes are left, a write needs {needed}"),
        )),
        _ => Ok(()),
    }
}

pub(super) struct Worker {
    shared: Shared,
    books: Books,
    /// Since when something visible is not on the disk.
    unsynced: Option<Instant>,
    /// When what is kept for second tries was last looked through, by the
    /// engine's clock.
    forgot_at: Duration,
    poisoned: Arc<OnceLock<CommandError>>,
}

impl Worker {
    pub(super) fn new(shared: Shared, books: Books, poisoned: Arc<OnceLock<CommandError>>) -> Self {
        Self {
            forgot_at: shared.clock.elapsed(),
            shared,
            books,
            unsynced: None,
            poisoned,
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        let mut held = None;
        loop {
            let job = match held.take() {
                Some(job) => Ok(job),
                None => queue.recv_timeout(self.patience()),
            };
            match job {
                Ok(Job::Define(change, answer)) => self.define(change, answer),
                Ok(Job::Write(write, answer)) => {
                    let mut bytes = write.bytes;
                    let mut jobs = vec![(write, answer)];
                    while jobs.len() < JOBS_PER_COMMIT_MAX
                        && bytes < BYTES_PER_COMMIT_MAX
                        && let Ok(job) = queue.try_recv()
                    {
                        match job {
                            Job::Write(write, answer) => {
                                bytes += write.bytes;
                                jobs.push((write, answer));
                            }
                            define @ Job::Define(..) => {
                                held = Some(define);
                                break;
                            }
                        }
                    }
                    self.write(jobs, bytes);
                }
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
                // What is not on the disk yet gets there as the store closes.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long to wait for a job before there is something else to do.
    fn patience(&self) -> Duration {
        if self.poisoned.get().is_some() {
            return LOOK_EVERY;
        }
        if self.is_behind() {
            return Duration::ZERO;
        }
        match self.unsynced {
            Some(since) => self.unsynced_max().saturating_sub(since.elapsed()),
            None => LOOK_EVERY,
        }
    }

    fn unsynced_max(&self) -> Duration {
        match self.shared.options.durability {
            Durability::Always => UNSYNCED_MAX,
            Durability::Interval(time) => time,
        }
    }

    fn now_s(&self) -> u32 {
        u32::try_from(self.shared.clock.now_s()).unwrap_or(u32::MAX)
    }

    fn is_behind(&self) -> bool {
        let retention = self.shared.options.log_retention;
        // On a full disk what is dropped stays: removing takes room as well.
        self.books.are_behind(self.now_s(), retention)
            && has_room(self.shared.kv.as_ref(), 0).is_ok()
    }

    /// What there is to do when nobody waits.
    fn catch_up(&mut self) {
        let overdue = self
            .unsynced
            .is_some_and(|since| since.elapsed() >= self.unsynced_max());
        if self.poisoned.get().is_some() || !overdue && !self.is_behind() {
            return;
        }
        let (now_s, retention) = (self.now_s(), self.shared.options.log_retention);
        let mut books = self.books;
        let kept = self
            .shared
            .kv
            .write_as(true, &mut |batch| books.keep(batch, now_s, retention));
        if let Err(error) = kept.and_then(|()| self.publish(books, true, None, Vec::new())) {
            self.poison(&error);
        }
    }

    fn write(&mut self, jobs: Vec<(Write, Answer)>, bytes: usize) {
        let results = self
            .written(&jobs, bytes)
            .unwrap_or_else(|error| vec![Err(Refused::Failed(error)); jobs.len()]);
        for ((_, answer), result) in jobs.into_iter().zip(results) {
            // The caller may have gone; the write stands all the same.
            let _ = answer.send(result);
        }
    }

    fn written(
        &mut self,
        jobs: &[(Write, Answer)],
        bytes: usize,
    ) -> Result<Vec<Result<(), Refused>>, CommandError> {
        self.admit(bytes)?;
        let always = self.shared.options.durability == Durability::Always;
        let durable = jobs
            .iter()
            .any(|(write, _)| write.journaled.unwrap_or(always));
        let view = self.shared.view.load_full();
        let (now_s, retention) = (self.now_s(), self.shared.options.log_retention);
        let (now, mut told) = (self.shared.clock.now(), Vec::new());
        let mut books = self.books;
        let mut results = Vec::with_capacity(jobs.len());
        // Transactions may have made collections, and documents have arrays.
        let mut catalog = Cow::Borrowed(view.catalog.as_ref());
        let elapsed = self.shared.clock.elapsed();
        let forget = elapsed.saturating_sub(self.forgot_at) >= FORGET_EVERY;
        let written = self.shared.kv.write_as(durable, &mut |batch| {
            for (Write { prepared, .. }, _) in jobs {
                let after = with_created(&catalog, &prepared.created);
                let refused = match &after {
                    None => Some(Refused::Conflict),
                    Some(after) => refused(batch, after.as_ref().unwrap_or(&catalog), prepared)?,
                };
                if refused.is_none() {
                    let position = books.position.next(now_s);
                    if let Some(Some(after)) = after {
                        catalog = Cow::Owned(after);
                    }
                    for collection in &prepared.created {
                        crate::catalog::store(batch, collection)?;
                    }
                    apply(batch, &prepared.items, position)?;
                    note_arrays(batch, &mut catalog, &prepared.items)?;
                    retry::write(batch, &prepared.notes)?;
                    books.log(batch, &prepared.events, position, now, &mut told)?;
                }
                results.push(refused.map_or(Ok(()), Err));
            }
            if forget {
                retry::trim(batch, now)?;
            }
            books.keep(batch, now_s, retention)
        });
        if forget {
            self.forgot_at = elapsed;
        }
        let catalog = match catalog {
            Cow::Borrowed(_) => None,
            Cow::Owned(changed) => Some(Arc::new(changed)),
        };
        match written.and_then(|()| self.publish(books, durable, catalog, told)) {
            Ok(()) => Ok(results),
            Err(error) => Err(self.poison(&error)),
        }
    }

    fn define(&mut self, change: Definition, answer: Answer) {
        let result = self.defined(change).map_err(Refused::Failed);
        let _ = answer.send(result);
    }

    /// A definition has a commit of its own, so that nothing of it stays when it
    /// is refused.
    fn defined(&mut self, change: Definition) -> Result<(), CommandError> {
        self.admit(0)?;
        let view = self.shared.view.load_full();
        let mut catalog = Catalog::clone(&view.catalog);
        let (now_s, retention) = (self.now_s(), self.shared.options.log_retention);
        let (now, mut told) = (self.shared.clock.now(), Vec::new());
        let mut books = self.books;
        let mut change = Some(change);
        let mut refused = None;
        let written = self.shared.kv.write_as(true, &mut |batch| {
            let Some(change) = change.take() else {
                return Ok(());
            };
            let mut watched = Watched {
                batch,
                failure: RefCell::default(),
            };
            let made = change(&mut watched, &mut catalog);
            if let Some(failure) = watched.failure.take() {
                return Err(failure);
            }
            let events = made.inspect_err(|error| refused = Some(error.clone()))?;
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            let position = books.position.next(now_s);
            books.log(batch, &events, position, now, &mut told)?;
            books.look_for_dropped();
            books.keep(batch, now_s, retention)
        });
        if let Some(error) = refused {
            return Err(error);
        }
        written
            .and_then(|()| self.publish(books, true, Some(Arc::new(catalog)), told))
            .map_err(|error| self.poison(&error))
    }

    /// Whether a write may be tried.
    fn admit(&self, bytes: usize) -> Result<(), CommandError> {
        match self.poisoned.get() {
            Some(error) => Err(error.clone()),
            None => has_room(self.shared.kv.as_ref(), bytes),
        }
    }

    /// Shows what was written to readers, and to feeds once it is on the disk.
    fn publish(
        &mut self,
        books: Books,
        durable: bool,
        catalog: Option<Arc<Catalog>>,
        told: Vec<Logged>,
    ) -> Result<(), CommandError> {
        let snapshot = self.shared.kv.snapshot()?;
        self.show(snapshot, catalog);
        self.books = books;
        self.shared.recent.push(told);
        if durable {
            self.unsynced = None;
            self.shared.latest.send_replace(books.position);
        } else {
            self.unsynced.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn show(&self, snapshot: Box<dyn Snapshot>, catalog: Option<Arc<Catalog>>) {
        let catalog = catalog.unwrap_or_else(|| self.shared.view.load().catalog.clone());
        self.shared.view.store(Arc::new(View { snapshot, catalog }));
    }

    /// What is on the disk is not known any more: better no write than a lost
    /// one. Reads go on from what is there.
    fn poison(&self, error: &CommandError) -> CommandError {
        let why = &error.message;
        let text = format!("the database stopped taking writes, restart it: {why}");
        let poisoned = CommandError::new(error.code, text);
        let poisoned = self.poisoned.get_or_init(|| poisoned).clone();
        if let Ok(Some(snapshot)) = self.shared.kv.rescued()
            && let Ok(catalog) = Catalog::load(snapshot.as_ref())
        {
            self.show(snapshot, Some(Arc::new(catalog)));
        }
        poisoned
    }
}

/// A batch that remembers whether the store failed.
struct Watched<'b> {
    batch: &'b mut dyn Batch,
    failure: RefCell<Option<CommandError>>,
}

impl Watched<'_> {
    fn seen<T>(&self, result: Result<T, CommandError>) -> Result<T, CommandError> {
        result.inspect_err(|error| {
            self.failure
                .borrow_mut()
                .get_or_insert_with(|| error.clone());
        })
    }
}

impl Batch for Watched<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError> {
        self.seen(self.batch.get(table, key))
    }

    fn first(
        &self,
        table: Table,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, usize)>, CommandError> {
        self.seen(self.batch.first(table, start, end, limit))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError> {
        let result = self.batch.put(table, key, value);
        self.seen(result)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError> {
        let result = self.batch.remove(table, key);
        self.seen(result)
    }
}

/// The catalogue with what a transaction made, if that is anything; `None` when
/// somebody else made one of the same name.
fn with_created(before: &Catalog, created: &[Arc<Collection>]) -> Option<Option<Catalog>> {
    if created.is_empty() {
        return Some(None);
    }
    let mut after = before.clone();
    for collection in created {
        if after.get(&collection.database, &collection.name).is_some() {
            return None;
        }
        after.insert(collection.as_ref().clone());
    }
    Some(Some(after))
}

/// Why a job's items cannot be applied, if they cannot.
fn refused(
    batch: &dyn Batch,
    catalog: &Catalog,
    Prepared { items, notes, .. }: &Prepared,
) -> Result<Option<Refused>, CommandError> {
    if retry::exists(batch, notes)? {
        return Ok(Some(Refused::Conflict));
    }
    let places: Vec<[u8; 12]> = items
        .iter()
        .map(|item| layout::document_key(item.collection, item.record))
        .collect();
    let are_new = is_gap(batch, Table::Documents, &places)?;
    let mut looked_up = None;
    for (item, key) in items.iter().zip(&places) {
        let asked = (item.collection, item.version);
        if looked_up != Some(asked) {
            let found = catalog.by_id(item.collection);
            if found.map(|collection| collection.version) != Some(item.version) {
                return Ok(Some(Refused::Conflict));
            }
            looked_up = Some(asked);
        }
        let found = match item.seen {
            None if are_new => None,
            _ => batch.get(Table::Documents, key)?,
        };
        let commit = match found {
            Some(value) => match layout::loaded(&value) {
                Ok((commit, _)) => Some(commit),
                Err(error) => return Ok(Some(Refused::Failed(error))),
            },
            None => None,
        };
        if commit != item.seen {
            return Ok(Some(Refused::Conflict));
        }
    }
    Ok(is_taken(batch, items)?.then_some(Refused::Conflict))
}

/// Whether another record has one of the items' unique keys.
fn is_taken(batch: &dyn Batch, items: &[Item]) -> Result<bool, CommandError> {
    let mut removed: HashMap<&[u8], Record> = HashMap::new();
    for item in items {
        let keys = item.removed.iter().map(|(key, _)| key.as_slice());
        removed.extend(keys.map(|key| (key, item.record)));
    }
    let added = items.iter().flat_map(|item| &item.added);
    let unique = added.filter(|(_, unique)| *unique);
    let mut keys: Vec<&[u8]> = unique.map(|(key, _)| key.as_slice()).collect();
    keys.sort_unstable();
    for keys in keys.chunk_by(|one, other| one.get(..4) == other.get(..4)) {
        if is_gap(batch, Table::Indexes, keys)? {
            continue;
        }
        for key in keys {
            if let Some(owner) = batch.get(Table::Indexes, key)?
                && removed.get(key).copied() != record_of(key, &owner)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether of several keys in order none is there, as one look tells: nothing
/// is from the first of them to the last.
fn is_gap(
    batch: &dyn Batch,
    table: Table,
    keys: &[impl AsRef<[u8]>],
) -> Result<bool, CommandError> {
    let [first, .., last] = keys else {
        return Ok(false);
    };
    let end = [last.as_ref(), &[0]].concat();
    Ok(batch.first(table, first.as_ref(), &end, 1)?.is_empty())
}

/// Applies a job's items.
fn apply(batch: &mut dyn Batch, items: &[Item], position: Position) -> Result<(), CommandError> {
    let commit = u64::from(position.time) << 32 | u64::from(position.increment);
    for item in items {
        for (key, unique) in &item.removed {
            // While a unique index is built, the key may be another's, which
            // the build will find.
            let foreign = *unique
                && batch
                    .get(Table::Indexes, key)?
                    .is_some_and(|owner| owner[..] != item.record.to_be_bytes());
            if !foreign {
                batch.remove(Table::Indexes, key)?;
            }
        }
    }
    let mut documents = Vec::with_capacity(items.len());
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let key = layout::document_key(item.collection, item.record);
        match &item.now {
            Some(document) => documents.push((key, layout::stored(commit, document.as_bytes()))),
            None => batch.remove(Table::Documents, &key)?,
        }
        for (key, unique) in &item.added {
            let record = unique.then(|| item.record.to_be_bytes());
            entries.push((key.as_slice(), record));
        }
    }
    let documents: Vec<(&[u8], &[u8])> = documents
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
        .collect();
    batch.put_all(Table::Documents, &documents)?;
    entries.sort_unstable_by(|one, other| one.0.cmp(other.0));
    let entries: Vec<(&[u8], &[u8])> = entries
        .iter()
        .map(|(key, record)| (*key, record.as_ref().map_or(&[][..], <[u8; 8]>::as_slice)))
        .collect();
    batch.put_all(Table::Indexes, &entries)
}

/// Notes in the catalogue which indexes have become multikey.
fn note_arrays(
    batch: &mut dyn Batch,
    catalog: &mut Cow<'_, Catalog>,
    items: &[Item],
) -> Result<(), CommandError> {
    for item in items.iter().filter(|item| !item.arrays.is_empty()) {
        let Some(mut collection) = catalog.change(item.collection) else {
            continue;
        };
        let mut news = false;
        for (index, arrays) in &item.arrays {
            news |= collection.note_arrays(*index, arrays);
        }
        if news {
            crate::catalog::store(batch, &collection)?;
            catalog.to_mut().insert(collection);
        }
    }
    Ok(())
}
