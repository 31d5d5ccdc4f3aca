//! Whether a database is whole: the store's own check, and that catalogue,
//! documents, indexes and change log agree.
//!
//! Works on a directory that no server has open. Reads everything once; memory
//! does not grow with the data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{Document, RawDocument};
use engine::CommandError;

use crate::catalog::{Catalog, Collection, Index};
use crate::index::{keys, prefixed};
use crate::kv::disk::Disk;
use crate::kv::sizes::{self, Size};
use crate::kv::{self, Kv, Snapshot, Table};
use crate::layout::{self, Position, Record, document_key, loaded, past, record_of};
use crate::log::{self, Logged};
use crate::options::Options;

/// Problems that are told; the rest is counted.
const TOLD_MAX: usize = 100;
/// Index entries that a repair writes at once.
const ENTRIES_PER_COMMIT: usize = 10_000;
/// Past every key.
const END: [u8; 16] = [0xff; 16];

/// What was looked at and found.
#[derive(Debug, Default)]
pub struct Examined {
    /// How many of what are in order or not.
    pub checked: Vec<(&'static str, u64)>,
    /// Problems, the first of them.
    pub problems: Vec<String>,
    /// All problems.
    pub problem_count: u64,
    /// Indexes that were built anew.
    pub rebuilt: u64,
}

/// Examines the database in `folder`. With `repair`, indexes that do not agree
/// with their documents are built anew; the problems told are those that stay.
///
/// # Errors
/// When there is no database, or another process has it open.
pub fn doctor(folder: &Path, repair: bool) -> Result<Examined, CommandError> {
    let path = folder.join(crate::FILE);
    if !path.is_file() {
        let text = format!("{}: there is no database here", folder.display());
        return Err(CommandError::new(1, text));
    }
    let sound = unless_it_panics(|| kv::redb::Store::check(&path))?;
    let mut examined = unless_it_panics(|| {
        let store = kv::redb::Store::open(&path, &Options::default())?;
        let mut examined = examine(&store)?;
        if repair && (examined.miscounted || !examined.broken.is_empty()) {
            let rebuilt = rebuild(&store, &examined.broken)?;
            if examined.miscounted {
                sizes::recount(&store)?;
            }
            examined = examine(&store)?;
            examined.report.rebuilt = rebuilt;
        }
        Ok(examined)
    })?;
    let report = &mut examined.report;
    report.checked.insert(0, ("store", 1));
    if !sound {
        report.problem("the store's pages were not in order; it has set them right".to_owned());
    }
    Ok(examined.report)
}

/// Examines the database on a disk, and repairs nothing.
///
/// # Errors
/// When it cannot be opened or read.
pub fn doctor_on(disk: impl Disk) -> Result<Examined, CommandError> {
    let store = kv::redb::Store::on(disk, &Options::default())?;
    Ok(examine(&store)?.report)
}

/// The store meets some damage with a panic, and this is who must not.
fn unless_it_panics<T>(
    work: impl FnOnce() -> Result<T, CommandError> + std::panic::UnwindSafe,
) -> Result<T, CommandError> {
    std::panic::catch_unwind(work).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Err(CommandError::new(
            1,
            format!("the store's file is damaged: {why}"),
        ))
    })
}

impl Examined {
    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < TOLD_MAX {
            self.problems.push(text);
        }
    }
}

/// An examination, and the indexes that need to be built anew.
struct Examination {
    report: Examined,
    broken: HashSet<u32>,
    /// Whether the sizes are not what is there.
    miscounted: bool,
}

fn examine(kv: &dyn Kv) -> Result<Examination, CommandError> {
    let snapshot = kv.snapshot()?;
    let mut doctor = Doctor {
        snapshot: snapshot.as_ref(),
        report: Examined::default(),
        broken: HashSet::new(),
        last: Position::default(),
        trimmed: None,
        gone: layout::gone(snapshot.as_ref())?.into_iter().collect(),
        log_bytes: None,
        are_counted: false,
        kept: sizes::All::new(),
        found: sizes::All::new(),
    };
    doctor.meta()?;
    let collections = doctor.catalog()?;
    doctor.documents(&collections)?;
    let miscounted = doctor.sizes();
    doctor.log()?;
    Ok(Examination {
        miscounted,
        report: doctor.report,
        broken: doctor.broken,
    })
}

struct Doctor<'s> {
    snapshot: &'s dyn Snapshot,
    report: Examined,
    broken: HashSet<u32>,
    last: Position,
    trimmed: Option<Position>,
    /// Numbers of what is dropped, whose entries are cleared away later.
    gone: HashSet<u32>,
    log_bytes: Option<u64>,
    /// Whether sizes are kept.
    are_counted: bool,
    kept: sizes::All,
    found: sizes::All,
}

impl Doctor<'_> {
    fn count(&mut self, what: &'static str, n: u64) {
        self.report.checked.push((what, n));
    }

    fn problem(&mut self, text: String) {
        self.report.problem(text);
    }

    fn meta(&mut self) -> Result<(), CommandError> {
        match layout::format(self.snapshot) {
            Ok(format) => self.are_counted = format != layout::UNCOUNTED,
            Err(error) => self.problem(error.message),
        }
        let mut n = 0;
        for pair in self.snapshot.range(Table::Meta, &[], &END, false) {
            let (key, value) = pair?;
            n += 1;
            let position = Position::from_key(&value).filter(|_| value.len() == 12);
            match &key[..] {
                layout::FORMAT => {}
                key if key.starts_with(crate::retry::PREFIX) => {}
                layout::LAST_POSITION if position.is_some() => {
                    self.last = position.unwrap_or_default();
                }
                layout::TRIMMED if position.is_some() => self.trimmed = position,
                layout::LOG_BYTES if value.len() == 8 => {
                    self.log_bytes = value[..].try_into().ok().map(u64::from_be_bytes);
                }
                key if layout::gone_id(key).is_some() => {}
                key if let (Some(id), Some(size)) = (sizes::id(key), Size::read(&value)) => {
                    self.kept.insert(id, size);
                }
                other => {
                    let name = String::from_utf8_lossy(other).into_owned();
                    self.problem(format!("meta: '{name}' is unknown or damaged"));
                }
            }
        }
        self.count("facts", n);
        Ok(())
    }

    /// Every collection that can be read.
    fn catalog(&mut self) -> Result<Vec<Arc<Collection>>, CommandError> {
        let mut collections: Vec<Arc<Collection>> = Vec::new();
        let mut numbers = HashSet::new();
        let mut names = HashSet::new();
        let mut indexes = 0;
        for pair in self.snapshot.range(Table::Catalog, &[], &END, false) {
            let (key, value) = pair?;
            let read = RawDocument::from_bytes(&value[..])
                .ok()
                .and_then(|raw| Document::try_from(raw).ok())
                .and_then(|document| Collection::from_document(&document));
            let Some(mut collection) = read else {
                self.problem(format!("catalogue: entry {} cannot be read", hex(&key)));
                continue;
            };
            let namespace = collection.namespace();
            if key[..] != collection.id.to_be_bytes() || !numbers.insert(collection.id) {
                self.problem(format!("catalogue: {namespace}: its number is not its own"));
                continue;
            }
            if !names.insert(namespace.clone()) {
                self.problem(format!("catalogue: {namespace} is there twice"));
            }
            if !collection.indexes.iter().any(Index::is_id) {
                self.problem(format!("catalogue: {namespace} has no index on _id"));
            }
            // What a process left unfinished is cleared away by the next one.
            let building = collection.indexes.iter().filter(|index| index.building);
            self.gone.extend(building.map(|index| index.id));
            collection.indexes.retain(|index| !index.building);
            for index in &collection.indexes {
                indexes += 1;
                if !numbers.insert(index.id) {
                    let text = "its number is not its own";
                    self.problem(format!(
                        "catalogue: {namespace}: index {}: {text}",
                        index.name
                    ));
                }
            }
            collections.push(Arc::new(collection));
        }
        self.count("collections", collections.len() as u64);
        self.count("indexes", indexes);
        Ok(collections)
    }

    /// Every document, and that it has its index entries.
    fn documents(&mut self, collections: &[Arc<Collection>]) -> Result<(), CommandError> {
        let by_id: HashMap<u32, &Arc<Collection>> = collections
            .iter()
            .map(|collection| (collection.id, collection))
            .collect();
        let mut n = 0;
        let mut expected: HashMap<u32, u64> = HashMap::new();
        for pair in self.snapshot.range(Table::Documents, &[], &END, false) {
            let (key, value) = pair?;
            n += 1;
            sizes::count(&mut self.found, &key, value.len());
            let place = key
                .get(..4)
                .map(|id| id.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
            if place.is_some_and(|id| self.gone.contains(&id)) {
                continue;
            }
            let (Some(collection), Some(record), 12) = (
                place.and_then(|id| by_id.get(&id)),
                record_of(&key, &[]),
                key.len(),
            ) else {
                self.problem(format!("document {} belongs to no collection", hex(&key)));
                continue;
            };
            let namespace = collection.namespace();
            let (commit, document) = match loaded(&value) {
                Ok(loaded) => loaded,
                Err(error) => {
                    let text = format!("{namespace}: record {record}: {}", error.message);
                    self.problem(text);
                    continue;
                }
            };
            if let Err(what) = well(document) {
                self.problem(format!("{namespace}: record {record}: {what}"));
                continue;
            }
            self.commit(&namespace, record, commit)?;
            for index in &collection.indexes {
                match keys(index, document) {
                    Ok(keys) => {
                        *expected.entry(index.id).or_default() += keys.len() as u64;
                        for key in keys {
                            self.entry(&namespace, index, record, &key)?;
                        }
                    }
                    Err(error) => {
                        let text = format!(
                            "{namespace}: record {record}: index {}: {}",
                            index.name, error.message
                        );
                        self.problem(text);
                        self.broken.insert(index.id);
                    }
                }
            }
        }
        self.count("documents", n);
        self.entries(collections, &expected)
    }

    /// That the sizes that are kept are those that are there.
    fn sizes(&mut self) -> bool {
        if !self.are_counted || self.kept == self.found {
            return false;
        }
        let all: BTreeSet<u32> = self.kept.keys().chain(self.found.keys()).copied().collect();
        for id in all {
            let of = |sizes: &sizes::All| sizes.get(&id).copied().unwrap_or_default();
            let (kept, found) = (of(&self.kept), of(&self.found));
            if kept != found {
                self.problem(format!(
                    "sizes: {} entries of {} bytes have the number {id}, and {} of {} in the books",
                    found.entries, found.bytes, kept.entries, kept.bytes
                ));
            }
        }
        true
    }

    /// That a document's commit happened, and is in the log as far back as that
    /// goes.
    fn commit(&mut self, namespace: &str, record: Record, commit: u64) -> Result<(), CommandError> {
        let position = Position {
            time: (commit >> 32) as u32,
            increment: commit as u32,
            index: 0,
        };
        if (position.time, position.increment) > (self.last.time, self.last.increment) {
            self.problem(format!(
                "{namespace}: record {record} is newer than the last commit"
            ));
            return Ok(());
        }
        let logged = self.trimmed.is_none_or(|trimmed| trimmed < position);
        // It begins a row.
        if logged && self.snapshot.get(Table::Log, &position.key())?.is_none() {
            self.problem(format!(
                "{namespace}: record {record}: its commit is not in the log"
            ));
        }
        Ok(())
    }

    /// That a key leads to its document.
    fn entry(
        &mut self,
        namespace: &str,
        index: &Index,
        record: Record,
        key: &[u8],
    ) -> Result<(), CommandError> {
        let full = entry_key(index, key, record);
        let found = self.snapshot.get(Table::Indexes, &full)?;
        let what = match found.map(|value| record_of(&full, &value)) {
            Some(Some(owner)) if owner == record => return Ok(()),
            Some(Some(owner)) => format!("has the same key as record {owner}"),
            Some(None) => "an entry of it is damaged".to_owned(),
            None => "an entry of it is missing".to_owned(),
        };
        self.broken.insert(index.id);
        self.problem(format!(
            "{namespace}: record {record}: index {}: {what}",
            index.name
        ));
        Ok(())
    }

    /// That there are no more index entries than the documents have.
    fn entries(
        &mut self,
        collections: &[Arc<Collection>],
        expected: &HashMap<u32, u64>,
    ) -> Result<(), CommandError> {
        let known: HashSet<u32> = collections
            .iter()
            .flat_map(|c| c.indexes.iter().map(|index| index.id))
            .collect();
        let mut found: HashMap<u32, u64> = HashMap::new();
        let mut n = 0;
        for pair in self.snapshot.range(Table::Indexes, &[], &END, false) {
            let (key, value) = pair?;
            n += 1;
            sizes::count(&mut self.found, &key, value.len());
            let id = key
                .get(..4)
                .map_or(0, |id| id.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
            if known.contains(&id) {
                *found.entry(id).or_default() += 1;
            } else if !self.gone.contains(&id) {
                self.broken.insert(id);
                self.problem(format!("index entry {} belongs to no index", hex(&key)));
            }
        }
        self.count("index entries", n);
        for collection in collections {
            for index in &collection.indexes {
                if self.broken.contains(&index.id)
                    || found.get(&index.id) != expected.get(&index.id)
                {
                    self.surplus(collection, index)?;
                }
            }
        }
        Ok(())
    }

    /// The entries of an index that no document has.
    fn surplus(&mut self, collection: &Collection, index: &Index) -> Result<(), CommandError> {
        let start = index.id.to_be_bytes();
        for pair in self
            .snapshot
            .range(Table::Indexes, &start, &past(&start), false)
        {
            let (key, value) = pair?;
            let record = record_of(&key, &value);
            let document = match record {
                Some(record) => {
                    let place = document_key(collection.id, record);
                    self.snapshot.get(Table::Documents, &place)?
                }
                None => None,
            };
            let document = document.as_ref().and_then(|value| loaded(value).ok());
            let own = match (&document, record) {
                (Some((_, document)), Some(record)) => keys(index, document)
                    .is_ok_and(|keys| keys.iter().any(|k| entry_key(index, k, record) == key[..])),
                _ => false,
            };
            if !own {
                self.broken.insert(index.id);
                let whose = match (document, record) {
                    (Some(_), Some(record)) => format!("record {record} has no such key"),
                    (None, Some(record)) => format!("there is no record {record}"),
                    (_, None) => "it names no record".to_owned(),
                };
                let (namespace, name) = (collection.namespace(), &index.name);
                self.problem(format!(
                    "{namespace}: index {name}: an entry too many: {whose}"
                ));
            }
        }
        Ok(())
    }

    /// That the log's events can be read, and none is missing inside of a
    /// commit.
    fn log(&mut self) -> Result<(), CommandError> {
        let (mut n, mut bytes) = (0, 0);
        let mut before: Option<Position> = None;
        for pair in self.snapshot.range(Table::Log, &[], &END, false) {
            let (key, value) = pair?;
            bytes += log::size(&key, value.len());
            let Some(position) = Position::from_key(&key).filter(|_| key.len() == 12) else {
                self.problem(format!("log: {} is no position", hex(&key)));
                continue;
            };
            let place = format!(
                "{}.{}.{}",
                position.time, position.increment, position.index
            );
            let events = match log::events(&key, &value) {
                Ok(events) => events,
                Err(error) => {
                    self.problem(format!("log: {place}: {}", error.message));
                    continue;
                }
            };
            n += events.len() as u64;
            let last = events.last().map_or(position, |event| event.position);
            let same = |other: &Position| {
                (other.time, other.increment) == (position.time, position.increment)
            };
            let expected = match before.or(self.trimmed).filter(same) {
                Some(before) => before.index + 1,
                None => 0,
            };
            if before.is_some_and(|before| position <= before) {
                self.problem(format!("log: {place} is there twice"));
            } else if position.index != expected {
                self.problem(format!("log: before {place}, an event is missing"));
            }
            if self.trimmed.is_some_and(|trimmed| position <= trimmed) {
                self.problem(format!("log: {place} was to be trimmed"));
            }
            if (last.time, last.increment) > (self.last.time, self.last.increment) {
                self.problem(format!("log: {place} is newer than the last commit"));
            }
            for (at, logged) in events.iter().enumerate() {
                if let Err(what) = event(logged) {
                    self.problem(format!("log: {place}: event {at} of its row: {what}"));
                }
            }
            before = Some(last);
        }
        self.count("events", n);
        // Images of one row's events follow each other.
        let mut row: Vec<Logged> = Vec::new();
        for pair in self.snapshot.range(Table::Images, &[], &END, false) {
            let (key, value) = pair?;
            bytes += log::size(&key, value.len());
            let position = Position::from_key(&key);
            let has = |row: &[Logged]| row.iter().any(|event| Some(event.position) == position);
            if let (false, Some(position)) = (has(&row), position) {
                let found = log::row_of(self.snapshot, position);
                row = found.ok().flatten().unwrap_or_default();
            }
            if !has(&row) {
                self.problem(format!("image {} belongs to no event", hex(&key)));
            }
        }
        if let Some(kept) = self.log_bytes.filter(|kept| *kept != bytes) {
            self.problem(format!("log: {bytes} bytes, and {kept} in the books"));
        }
        Ok(())
    }
}

/// The whole key of an index entry.
fn entry_key(index: &Index, key: &[u8], record: Record) -> Vec<u8> {
    let mut full = prefixed(index, key);
    if !index.unique {
        full.extend_from_slice(&record.to_be_bytes());
    }
    full
}

/// Whether a document can be read and is within the limits.
fn well(document: &RawDocument) -> Result<(), String> {
    let most = kit::limit::DOCUMENT_BYTES_MAX;
    if document.as_bytes().len() > most {
        return Err(format!("larger than {most} bytes"));
    }
    readable(document, kit::limit::STORED_DEPTH_MAX)?;
    match document.get("_id") {
        Ok(Some(_)) => Ok(()),
        _ => Err("no _id".to_owned()),
    }
}

fn readable(document: &RawDocument, depth: usize) -> Result<(), String> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("nested deeper than {} levels", kit::limit::STORED_DEPTH_MAX))?;
    for entry in document {
        match entry.map_err(|error| format!("damaged: {error}"))?.1 {
            RawBsonRef::Document(inner) => readable(inner, depth)?,
            // An array is kept as a document with numbers for names.
            RawBsonRef::Array(inner) => {
                let inner = RawDocument::from_bytes(inner.as_bytes());
                readable(inner.map_err(|error| format!("damaged: {error}"))?, depth)?;
            }
            RawBsonRef::JavaScriptCodeWithScope(code) => readable(code.scope, depth)?,
            _ => {}
        }
    }
    Ok(())
}

fn event(logged: &Logged) -> Result<(), String> {
    let event = logged.event().map_err(|error| error.message)?;
    // Deeper than a document, which it has inside.
    readable(event, kit::limit::STORED_DEPTH_MAX + 3)?;
    let (kind, place) = (event.get_str("operationType"), event.get_document("ns"));
    match (kind, place) {
        (Ok(_), Ok(_)) => Ok(()),
        _ => Err("no event".to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = hex::encode(&bytes[..bytes.len().min(16)]);
    let more = if bytes.len() > 16 { "…" } else { "" };
    digits + more
}

/// Builds indexes from their documents, and removes entries of no index; how
/// many it built.
fn rebuild(kv: &dyn Kv, broken: &HashSet<u32>) -> Result<u64, CommandError> {
    let snapshot = kv.snapshot()?;
    let catalog = Catalog::load(snapshot.as_ref())?;
    for id in broken {
        erase(kv, *id)?;
    }
    let mut rebuilt = 0;
    for collection in catalog.all() {
        let indexes: Vec<&Index> = collection
            .indexes
            .iter()
            .filter(|index| broken.contains(&index.id))
            .collect();
        if indexes.is_empty() {
            continue;
        }
        rebuilt += indexes.len() as u64;
        let start = collection.id.to_be_bytes();
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for pair in snapshot.range(Table::Documents, &start, &past(&start), false) {
            let (key, value) = pair?;
            // What cannot be read stays a problem of its own.
            let (Some(record), Ok((_, document))) = (record_of(&key, &[]), loaded(&value)) else {
                continue;
            };
            for index in &indexes {
                for key in keys(index, document).unwrap_or_default() {
                    let value = if index.unique {
                        record.to_be_bytes().to_vec()
                    } else {
                        Vec::new()
                    };
                    entries.push((entry_key(index, &key, record), value));
                }
            }
            if entries.len() >= ENTRIES_PER_COMMIT {
                put(kv, &mut entries)?;
            }
        }
        put(kv, &mut entries)?;
    }
    Ok(rebuilt)
}

fn put(kv: &dyn Kv, entries: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), CommandError> {
    kv.write(&mut |batch| {
        for (key, value) in entries.iter() {
            // The first of two with a unique key has it, and the other is told.
            if batch.get(Table::Indexes, key)?.is_none() {
                batch.put(Table::Indexes, key, value)?;
            }
        }
        Ok(())
    })?;
    entries.clear();
    Ok(())
}

fn erase(kv: &dyn Kv, index: u32) -> Result<(), CommandError> {
    let start = index.to_be_bytes();
    loop {
        let snapshot = kv.snapshot()?;
        let keys = snapshot
            .range(Table::Indexes, &start, &past(&start), false)
            .take(ENTRIES_PER_COMMIT)
            .map(|pair| pair.map(|(key, _)| key.to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        kv.write(&mut |batch| {
            keys.iter()
                .try_for_each(|key| batch.remove(Table::Indexes, key))
        })?;
    }
}

#[cfg(test)]
mod tests;
