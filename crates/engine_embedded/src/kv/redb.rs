//! The store on redb. Every durable commit is synced in two phases and leaves
//! the file quick to open after a crash.

use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use redb::backends::FileBackend;
use redb::{
    AccessGuard, Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase,
    ReadableTable, StorageBackend, TableDefinition, WriteTransaction,
};

use super::disk::{Custom, Disk, Overlay, Shared};
use super::{Batch, Body, Kv, Lent, Pairs, Sizes, Snapshot, TABLES, Table, failed, sizes};
use crate::options::Options;
use engine::CommandError;

/// MongoDB's `OutOfDiskSpace`.
pub(crate) const OUT_OF_DISK_SPACE: i32 = 14031;

/// The store's pages.
const PAGE_BYTES: u64 = 4096;

/// Pairs from which on it pays to look whether they can be put in at once.
const RUN_MIN: usize = 8;
/// Bytes that are put in at once: the store keeps them in memory until then, and
/// much at a time is slow to come by.
const RUN_BYTES: usize = 64 << 10;

/// A part of a page.
pub(crate) type Part<'a> = AccessGuard<'a, &'static [u8]>;
type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn definition(table: Table) -> Definition {
    TableDefinition::new(match table {
        Table::Catalog => "cat",
        Table::Documents => "doc",
        Table::Indexes => "idx",
        Table::Log => "log",
        Table::Meta => "meta",
        Table::Images => "img",
    })
}

pub(crate) struct Store {
    database: Database,
    shared: Shared,
    room: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    cache_bytes: usize,
    /// What is read on after a failure.
    rescued: OnceLock<Database>,
}

impl Store {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, CommandError> {
        let folder = path.parent().unwrap_or(path).to_owned();
        let alone = alone_in(&folder).map_err(|error| at(path, &error))?;
        if !path.exists() {
            // Under another name until it can be opened: what a power loss leaves
            // of it is made again.
            let unfinished = path.with_extension("new");
            drop(Self::open_file(&unfinished, &folder, true, options)?);
            std::fs::rename(&unfinished, path)
                .and_then(|()| sync_folder(&folder))
                .map_err(|error| at(path, &error))?;
        }
        drop(alone);
        Self::open_file(path, &folder, false, options)
    }

    fn open_file(
        path: &Path,
        folder: &Path,
        anew: bool,
        options: &Options,
    ) -> Result<Self, CommandError> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(anew)
            .truncate(anew)
            .open(path)
            .map_err(|error| at(path, &error))?;
        let backend = FileBackend::new(file).map_err(|error| of(path, unopened(error)))?;
        let folder = folder.to_owned();
        let room = Box::new(move || free_bytes(&folder));
        Self::with(Shared::new(backend), room, options).map_err(|error| of(path, error))
    }

    pub(crate) fn on(disk: impl Disk, options: &Options) -> Result<Self, CommandError> {
        let disk = Arc::new(disk);
        let measured = disk.clone();
        let room = Box::new(move || measured.room());
        Self::with(Shared::new(Custom(Box::new(disk))), room, options)
    }

    fn with(
        shared: Shared,
        room: Box<dyn Fn() -> Option<u64> + Send + Sync>,
        options: &Options,
    ) -> Result<Self, CommandError> {
        let database = open(shared.clone(), options.cache_bytes)?;
        let mut store = Self {
            database,
            shared,
            room,
            cache_bytes: options.cache_bytes,
            rescued: OnceLock::new(),
        };
        if let Some(percent) = options.compact_at_free_percent {
            store.compact(percent)?;
        }
        // So that a reader finds every table.
        let transaction = store.begin(true)?;
        for table in TABLES {
            transaction.open_table(definition(table)).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(store)
    }

    /// Gives free space back if it is this much of the file.
    fn compact(&mut self, percent: u8) -> Result<(), CommandError> {
        let sizes = self.sizes()?;
        if sizes.free_bytes.saturating_mul(100) >= sizes.file_bytes.saturating_mul(percent.into()) {
            self.database.compact().map_err(failed)?;
        }
        Ok(())
    }

    /// The store's own check of every page of an existing file: whether all is
    /// well. What is not is set right as far as it can be.
    pub(crate) fn check(path: &Path) -> Result<bool, CommandError> {
        let folder = path.parent().unwrap_or(path);
        let mut store = Self::open_file(path, folder, false, &Options::default())?;
        store.database.check_integrity().map_err(failed)
    }

    fn begin(&self, durable: bool) -> Result<WriteTransaction, CommandError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        let durability = if durable {
            Durability::Immediate
        } else {
            Durability::None
        };
        transaction.set_durability(durability).map_err(failed)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// An error of the store; a full disk has a code of its own.
    fn told(&self, mut error: CommandError) -> CommandError {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let full = [StorageFull, QuotaExceeded, FileTooLarge];
        if self
            .shared
            .failure
            .get()
            .is_some_and(|kind| full.contains(kind))
        {
            error.code = OUT_OF_DISK_SPACE;
        }
        error
    }
}

fn at(path: &Path, why: &dyn std::fmt::Display) -> CommandError {
    of(path, CommandError::new(1, why.to_string()))
}

fn of(path: &Path, mut error: CommandError) -> CommandError {
    error.message = format!("{}: {}", path.display(), error.message);
    error
}

/// Keeps others from making a file in the folder meanwhile.
fn alone_in(folder: &Path) -> std::io::Result<Option<std::fs::File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let folder = std::fs::File::open(folder)?;
    folder.lock()?;
    Ok(Some(folder))
}

/// Or a new file's name may be gone after a power loss, with all that was
/// synced under it.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The store takes no file that ends within a page, which is what a power loss
/// may leave of one that was growing. What is synced is before that end.
fn whole_pages(backend: &impl StorageBackend) -> std::io::Result<()> {
    let length = backend.len()?;
    if length % PAGE_BYTES != 0 {
        backend.set_len(length.next_multiple_of(PAGE_BYTES))?;
    }
    Ok(())
}

fn open(backend: impl StorageBackend, cache_bytes: usize) -> Result<Database, CommandError> {
    whole_pages(&backend).map_err(failed)?;
    // Some damage makes the store panic where an error is wanted.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
        Database::builder()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend)
    }));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(unopened(error)),
        Err(_) => Err(failed("the file is damaged")),
    }
}

/// Why a database cannot be opened.
fn unopened(error: DatabaseError) -> CommandError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            CommandError::new(crate::IN_USE, "another process has it in use")
        }
        error => CommandError::new(1, error.to_string()),
    }
}

/// What the file system of a folder has left for us.
#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

impl Kv for Store {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, CommandError> {
        read(&self.database)
    }

    fn write_as(&self, durable: bool, body: &mut Body<'_>) -> Result<(), CommandError> {
        let mut write = || {
            let transaction = self.begin(durable)?;
            {
                let open = |table| transaction.open_table(definition(table)).map_err(failed);
                let mut writer = Writer {
                    tables: opened(open)?,
                    changes: sizes::Changes::default(),
                };
                body(&mut writer)?;
                std::mem::take(&mut writer.changes).settle(&mut writer)?;
            }
            transaction.commit().map_err(failed)
        };
        write().map_err(|error| self.told(error))
    }

    fn rescued(&self) -> Result<Option<Box<dyn Snapshot>>, CommandError> {
        let overlay = Overlay::new(self.shared.bytes.clone()).map_err(failed)?;
        let database = open(overlay, self.cache_bytes)?;
        read(self.rescued.get_or_init(|| database)).map(Some)
    }

    fn room(&self) -> Option<u64> {
        (self.room)()
    }

    fn sizes(&self) -> Result<Sizes, CommandError> {
        let transaction = self.begin(true)?;
        let stats = transaction.stats().map_err(failed)?;
        transaction.abort().map_err(failed)?;
        let file_bytes = self.shared.bytes.len().map_err(failed)?;
        let used = stats
            .allocated_pages()
            .saturating_mul(stats.page_size() as u64);
        Ok(Sizes {
            file_bytes,
            free_bytes: file_bytes.saturating_sub(used),
        })
    }
}

fn read(database: &Database) -> Result<Box<dyn Snapshot>, CommandError> {
    let transaction = database.begin_read().map_err(failed)?;
    let open = |table| transaction.open_table(definition(table)).map_err(failed);
    Ok(Box::new(Reader {
        tables: opened(open)?,
    }))
}

/// Every table, in its place.
fn opened<T>(open: impl Fn(Table) -> Result<T, CommandError>) -> Result<[T; 6], CommandError> {
    let [first, second, third, fourth, fifth, sixth] = TABLES;
    Ok([
        open(first)?,
        open(second)?,
        open(third)?,
        open(fourth)?,
        open(fifth)?,
        open(sixth)?,
    ])
}

struct Reader {
    tables: [ReadOnlyTable<&'static [u8], &'static [u8]>; 6],
}

impl Snapshot for Reader {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError> {
        let found = self.tables[table as usize].get(key).map_err(failed)?;
        Ok(found.map(Lent::Page))
    }

    fn range(&self, table: Table, start: &[u8], end: &[u8], reverse: bool) -> Pairs<'_> {
        let pair = |entry: Result<_, redb::StorageError>| {
            let (key, value) = entry.map_err(failed)?;
            Ok((Lent::Page(key), Lent::Page(value)))
        };
        match self.tables[table as usize].range(start..end) {
            Err(error) => Box::new(std::iter::once(Err(failed(error)))),
            Ok(range) if reverse => Box::new(range.rev().map(pair)),
            Ok(range) => Box::new(range.map(pair)),
        }
    }
}

struct Writer<'t> {
    tables: [redb::Table<'t, &'static [u8], &'static [u8]>; 6],
    changes: sizes::Changes,
}

impl Writer<'_> {
    /// Whether pairs are worth being put in at once, and can be: they are in
    /// order, and nothing is from the first of their keys to the last.
    fn is_gap(&self, table: Table, pairs: &[(&[u8], &[u8])]) -> Result<bool, CommandError> {
        let [(first, _), .., (last, _)] = pairs else {
            return Ok(false);
        };
        if pairs.len() < RUN_MIN || !pairs.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Ok(false);
        }
        let mut between = self.tables[table as usize]
            .range(*first..=*last)
            .map_err(failed)?;
        Ok(between.next().transpose().map_err(failed)?.is_none())
    }

    /// Puts in pairs for which there [`Self::is_gap`].
    fn fill(&mut self, table: Table, pairs: &[(&[u8], &[u8])]) -> Result<(), CommandError> {
        let mut rest = pairs.iter().peekable();
        while let Some((first, _)) = rest.peek() {
            let mut cursor = self.tables[table as usize]
                .lower_bound_mut(Bound::Included(*first))
                .map_err(failed)?;
            let mut bytes = 0;
            while let Some((key, value)) = rest.next_if(|_| bytes < RUN_BYTES) {
                cursor.insert_before(*key, *value).map_err(failed)?;
                self.changes.note(table, key, None, Some(value.len()));
                bytes += key.len() + value.len();
            }
            cursor.close().map_err(failed)?;
        }
        Ok(())
    }
}

impl Batch for Writer<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError> {
        let found = self.tables[table as usize].get(key).map_err(failed)?;
        Ok(found.map(Lent::Page))
    }

    fn first(
        &self,
        table: Table,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, usize)>, CommandError> {
        self.tables[table as usize]
            .range(start..end)
            .map_err(failed)?
            .take(limit)
            .map(|entry| {
                let (key, value) = entry.map_err(failed)?;
                Ok((key.value().to_vec(), value.value().len()))
            })
            .collect()
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError> {
        let before = self.tables[table as usize]
            .insert(key, value)
            .map_err(failed)?
            .map(|before| before.value().len());
        self.changes.note(table, key, before, Some(value.len()));
        Ok(())
    }

    fn put_all(&mut self, table: Table, pairs: &[(&[u8], &[u8])]) -> Result<(), CommandError> {
        // A group is of one collection or index.
        for group in pairs.chunk_by(|(one, _), (other, _)| one.get(..4) == other.get(..4)) {
            if self.is_gap(table, group)? {
                self.fill(table, group)?;
            } else {
                for (key, value) in group {
                    self.put(table, key, value)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError> {
        let before = self.tables[table as usize]
            .remove(key)
            .map_err(failed)?
            .map(|before| before.value().len());
        self.changes.note(table, key, before, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is put in at once is as it would be one by one, whatever is there.
    #[test]
    fn many_pairs_are_as_one_after_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let store = Store::open(&path, &Options::default()).expect("opens");
        let plain = super::super::memory::Store::default();
        let mut random = 7_u64;
        let mut below = |end: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let mut last = 0;
        for round in 0..60_u64 {
            let count = below(400);
            let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..count)
                .map(|n| {
                    // Behind all others, between two of them, or anywhere.
                    let (group, number) = match round % 3 {
                        0 => (1, last + n),
                        1 => (n * 3 / count, (round << 32) + n),
                        _ => (below(3), below(100_000)),
                    };
                    let key = [&(group as u32).to_be_bytes()[..], &number.to_be_bytes()].concat();
                    let bytes = below(900) as usize + if n == 200 { 70_000 } else { 0 };
                    (key, vec![n as u8; bytes])
                })
                .collect();
            last += count * (round % 3 / 2 + 1);
            if round % 5 > 0 {
                pairs.sort();
            }
            let pairs: Vec<(&[u8], &[u8])> = pairs
                .iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice()))
                .collect();
            for kv in [&store as &dyn Kv, &plain] {
                kv.write(&mut |batch| batch.put_all(Table::Documents, &pairs))
                    .expect("written");
            }
            let all = |kv: &dyn Kv| {
                let snapshot = kv.snapshot().expect("a snapshot");
                [Table::Documents, Table::Meta].map(|table| {
                    snapshot
                        .range(table, &[], &[0xff; 8], false)
                        .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
                        .collect::<Result<Vec<_>, _>>()
                        .expect("read")
                })
            };
            assert!(all(&store) == all(&plain), "round {round}");
        }
        drop(store);
        assert!(Store::check(&path).expect("checked"));
    }

    #[test]
    fn space_is_given_back_when_that_much_of_it_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let mut store = Store::open(&path, &Options::default()).expect("opens");
        let row = |n: u32| n.to_be_bytes();
        let fill = |batch: &mut dyn Batch| {
            (0..2000).try_for_each(|n| batch.put(Table::Log, &row(n), &[7; 900]))
        };
        let clear =
            |batch: &mut dyn Batch| (0..2000).try_for_each(|n| batch.remove(Table::Log, &row(n)));
        store.write(&mut |batch| fill(batch)).expect("written");
        store.write(&mut |batch| clear(batch)).expect("cleared");
        // Pages are free only after the commit that follows.
        store.write(&mut |_| Ok(())).expect("written");
        let before = store.sizes().expect("sizes");
        assert!(before.free_bytes * 2 > before.file_bytes, "{before:?}");
        store.compact(100).expect("is left");
        assert_eq!(store.sizes().expect("sizes").file_bytes, before.file_bytes);
        store.compact(50).expect("is compacted");
        let after = store.sizes().expect("sizes");
        assert!(
            after.file_bytes * 4 < before.file_bytes,
            "{before:?} {after:?}"
        );
    }
}
