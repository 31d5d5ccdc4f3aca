//! What numbered writes did, for callers who send them twice: kept in `meta`,
//! written in the same commit as the write.
//!
//! A key is the session's id with its length, the number and the statement;
//! the highest of a session is its last.

use bson::{DateTime, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::{CommandError, Part};

use crate::kv::{Batch, Snapshot, Table};
use crate::layout::past;

/// How long it is kept, in milliseconds.
const KEPT_MS: i64 = 30 * 60 * 1000;
/// What keys begin with.
pub(crate) const PREFIX: &[u8] = b"retry:";
/// The statement that stands for a whole transaction.
const TRANSACTION: i32 = i32::MAX;

/// A key and its value.
pub(crate) type Note = (Vec<u8>, RawDocumentBuf);

/// The last number of a session.
pub(crate) struct Last {
    pub(crate) number: i64,
    pub(crate) transaction: bool,
}

fn session(id: &[u8]) -> Vec<u8> {
    let mut key = PREFIX.to_vec();
    key.extend_from_slice(&(id.len() as u32).to_be_bytes());
    key.extend_from_slice(id);
    key
}

fn key(part: &Part, statement: i32) -> Vec<u8> {
    let mut key = session(&part.id);
    key.extend_from_slice(&part.number.to_be_bytes());
    key.extend_from_slice(&statement.to_be_bytes());
    key
}

/// The last number of which the store knows.
pub(crate) fn last(snapshot: &dyn Snapshot, id: &[u8]) -> Result<Option<Last>, CommandError> {
    let prefix = session(id);
    let newest = snapshot
        .range(Table::Meta, &prefix, &past(&prefix), true)
        .next();
    let Some((key, _)) = newest.transpose()? else {
        return Ok(None);
    };
    let rest = key.get(prefix.len()..).unwrap_or_default();
    let number = rest.get(..8).and_then(|bytes| bytes.try_into().ok());
    Ok(number.map(|number| Last {
        number: i64::from_be_bytes(number),
        transaction: rest.get(8..) == Some(&TRANSACTION.to_be_bytes()),
    }))
}

/// What a statement did before, if it did something.
pub(crate) fn done(
    snapshot: &dyn Snapshot,
    part: &Part,
    statement: i32,
) -> Result<Option<RawDocumentBuf>, CommandError> {
    let found = snapshot.get(Table::Meta, &key(part, statement))?;
    let found = found.map(|value| RawDocumentBuf::from_bytes(value.to_vec()));
    Ok(found.transpose()?)
}

/// A statement and what it did.
pub(crate) fn note(part: &Part, statement: i32, now: DateTime, did: &RawDocument) -> Note {
    let mut value = rawdoc! { "at": now };
    value.append(cstr!("did"), did);
    (key(part, statement), value)
}

/// That a transaction was committed.
pub(crate) fn committed(part: &Part, now: DateTime) -> Note {
    (key(part, TRANSACTION), rawdoc! { "at": now })
}

/// Writes notes, and removes those of the sessions' older numbers. Says whether
/// none was there before.
pub(crate) fn write(batch: &mut dyn Batch, notes: &[Note]) -> Result<(), CommandError> {
    for (key, value) in notes {
        let number = key.len().saturating_sub(12);
        let prefix_end = number.min(key.len());
        let (prefix, own) = (&key[..prefix_end], &key[..key.len().saturating_sub(4)]);
        for old in batch.keys(Table::Meta, prefix, own)? {
            batch.remove(Table::Meta, &old)?;
        }
        batch.put(Table::Meta, key, value.as_bytes())?;
    }
    Ok(())
}

/// Whether one of the notes is there: the same statement came first.
pub(crate) fn exists(batch: &dyn Batch, notes: &[Note]) -> Result<bool, CommandError> {
    for (key, _) in notes {
        if batch.get(Table::Meta, key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what is too old.
pub(crate) fn trim(batch: &mut dyn Batch, now: DateTime) -> Result<(), CommandError> {
    for key in batch.keys(Table::Meta, PREFIX, &past(PREFIX))? {
        let Some(value) = batch.get(Table::Meta, &key)? else {
            continue;
        };
        let at = RawDocument::from_bytes(&value[..]).ok();
        let at = at.and_then(|value| value.get_datetime("at").ok());
        drop(value);
        let old = at.is_none_or(|at| at.timestamp_millis() + KEPT_MS < now.timestamp_millis());
        if old {
            batch.remove(Table::Meta, &key)?;
        }
    }
    Ok(())
}
