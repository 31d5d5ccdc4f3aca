//! Keys and values at rest (embedded-engine.md G.2).

use bson::RawDocument;
use engine::CommandError;

use crate::kv::{Snapshot, Table};

/// A record's number inside the database, in order of insertion.
pub(crate) type Record = u64;

/// A place in the change log: seconds, counter, index in the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Position {
    pub(crate) time: u32,
    pub(crate) increment: u32,
    pub(crate) index: u32,
}

impl Position {
    pub(crate) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..4].copy_from_slice(&self.time.to_be_bytes());
        key[4..8].copy_from_slice(&self.increment.to_be_bytes());
        key[8..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        let part = |at: usize| Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            time: part(0)?,
            increment: part(4)?,
            index: part(8)?,
        })
    }

    /// The position of the next commit at `seconds`.
    pub(crate) fn next(self, seconds: u32) -> Self {
        if seconds > self.time {
            Self {
                time: seconds,
                increment: 1,
                index: 0,
            }
        } else {
            Self {
                time: self.time,
                increment: self.increment + 1,
                index: 0,
            }
        }
    }
}

/// The last position of the log.
pub(crate) fn last_position(snapshot: &dyn Snapshot) -> Result<Position, CommandError> {
    let last = snapshot.range(Table::Log, &[], &[0xff; 13], true).next();
    let from_log = match last.transpose()? {
        Some((key, _)) => Position::from_key(&key).unwrap_or_default(),
        None => Position::default(),
    };
    // Kept apart as well: the log may have been trimmed to nothing.
    let kept = snapshot.get(Table::Meta, LAST_POSITION)?;
    Ok(from_log.max(
        kept.and_then(|key| Position::from_key(&key))
            .unwrap_or_default(),
    ))
}

/// The `meta` key of the number that says how everything is kept.
pub(crate) const FORMAT: &[u8] = b"format";
/// The number of what this code writes. 2: documents carry checksums, indexes
/// know their multikey paths, images have a table. 3: sizes are kept. 4: a row
/// of the log holds several events; one of a single event is as it was.
pub(crate) const FORMAT_NUMBER: u32 = 4;
/// The form without sizes, which are counted when it is opened. It and what came
/// after it can be read.
pub(crate) const UNCOUNTED: u32 = 2;

/// The form of a store, this one's when it is new. One without a number, and
/// with something in it, is of the first form.
///
/// # Errors
/// For a store that other code writes.
pub(crate) fn format(snapshot: &dyn Snapshot) -> Result<u32, CommandError> {
    let number = if let Some(found) = snapshot.get(Table::Meta, FORMAT)? {
        <[u8; 4]>::try_from(&found[..]).map_or(0, u32::from_be_bytes)
    } else {
        let mut kept = snapshot.range(Table::Catalog, &[], &[0xff; 8], false);
        if kept.next().transpose()?.is_none() {
            return Ok(FORMAT_NUMBER);
        }
        1
    };
    let who = match number {
        UNCOUNTED..=FORMAT_NUMBER => return Ok(number),
        ..UNCOUNTED => "an older program wrote it, before the first release",
        _ => "a newer program wrote it",
    };
    Err(CommandError::new(
        1,
        format!(
            "the data is kept in format {number}, this program knows format {FORMAT_NUMBER}; {who}"
        ),
    ))
}

/// The `meta` key of the size of the log's keys and values together.
pub(crate) const LOG_BYTES: &[u8] = b"log-bytes";
/// The `meta` key of the newest position.
pub(crate) const LAST_POSITION: &[u8] = b"last-position";
/// The `meta` key of the newest position that was trimmed off the log.
pub(crate) const TRIMMED: &[u8] = b"trimmed";

/// What the `meta` keys of erased collections and indexes begin with; their
/// number follows.
pub(crate) const GONE: &[u8] = b"gone/";

/// The `meta` key of a collection or index whose entries are being erased.
pub(crate) fn gone_key(id: u32) -> Vec<u8> {
    [GONE, &id.to_be_bytes()].concat()
}

/// The number in a key of [`gone_key`].
pub(crate) fn gone_id(key: &[u8]) -> Option<u32> {
    let id = key.strip_prefix(GONE)?;
    Some(u32::from_be_bytes(id.try_into().ok()?))
}

/// The collections and indexes whose entries are being erased.
pub(crate) fn gone(snapshot: &dyn Snapshot) -> Result<Vec<u32>, CommandError> {
    let mut found = Vec::new();
    for pair in snapshot.range(Table::Meta, GONE, &past(GONE), false) {
        let (key, _) = pair?;
        found.extend(gone_id(&key));
    }
    Ok(found)
}

/// The key of a document.
pub(crate) fn document_key(collection: u32, record: Record) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&collection.to_be_bytes());
    key[4..].copy_from_slice(&record.to_be_bytes());
    key
}

/// The first key past everything that begins with `prefix`.
pub(crate) fn past(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; prefix.len() + 1]
}

/// Before the document: the commit's number and the checksum.
pub(crate) const PREFIX_BYTES: usize = 12;

/// A stored document: the number of the commit that wrote it, a checksum of
/// both, and its bytes. The store has checksums of its pages, and looks at them
/// only when it is asked to examine everything.
pub(crate) fn stored(commit: u64, document: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(PREFIX_BYTES + document.len());
    value.extend_from_slice(&commit.to_be_bytes());
    value.extend_from_slice(&checksum(commit, document).to_be_bytes());
    value.extend_from_slice(document);
    value
}

fn checksum(commit: u64, document: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&commit.to_be_bytes());
    hasher.update(document);
    hasher.finalize()
}

/// The parts of a stored document, which is as it was written.
pub(crate) fn loaded(value: &[u8]) -> Result<(u64, &RawDocument), CommandError> {
    let parts = value.split_first_chunk::<8>().and_then(|(commit, rest)| {
        let (checksum, document) = rest.split_first_chunk::<4>()?;
        let commit = u64::from_be_bytes(*commit);
        Some((commit, u32::from_be_bytes(*checksum), document))
    });
    let Some((commit, expected, document)) = parts else {
        return Err(CommandError::new(1, "a stored document is too short"));
    };
    if checksum(commit, document) != expected {
        return Err(CommandError::new(1, "a stored document is damaged"));
    }
    Ok((commit, RawDocument::from_bytes(document)?))
}

/// The record id in an index entry: the value of a unique one, the end of the
/// key of the others.
pub(crate) fn record_of(key: &[u8], value: &[u8]) -> Option<Record> {
    let bytes = if value.is_empty() {
        key.get(key.len().checked_sub(8)?..)?
    } else {
        value
    };
    Some(Record::from_be_bytes(bytes.try_into().ok()?))
}
