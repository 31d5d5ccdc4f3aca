//! The narrow door to an ordered key-value store: snapshots, ranges and
//! atomic batches. Nothing above knows which store it is.

pub(crate) mod disk;
mod gathered;
pub(crate) mod memory;
pub(crate) mod redb;
pub(crate) mod sizes;

use std::ops::Deref;

use engine::CommandError;

/// The six tables (embedded-engine.md G.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Collections and their indexes.
    Catalog,
    /// Collection and record id to commit number and document.
    Documents,
    /// Index and key to record id.
    Indexes,
    /// Position to change event.
    Log,
    /// Single facts.
    Meta,
    /// Position to the document before a change.
    Images,
}

pub(crate) const TABLES: [Table; 6] = [
    Table::Catalog,
    Table::Documents,
    Table::Indexes,
    Table::Log,
    Table::Meta,
    Table::Images,
];

/// A key or a value, lent by the store: no copy is made to look at it.
pub(crate) enum Lent<'a> {
    /// A part of a page, which is kept as long as this.
    Page(redb::Part<'a>),
    /// A part of what somebody else keeps.
    Slice(&'a [u8]),
}

impl Deref for Lent<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Page(part) => part.value(),
            Self::Slice(slice) => slice,
        }
    }
}

/// A key with its value.
pub(crate) type Pair<'a> = (Lent<'a>, Lent<'a>);
/// Pairs in key order, or in reverse.
pub(crate) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair<'a>, CommandError>> + 'a>;
/// What a write transaction does.
pub(crate) type Body<'a> = dyn FnMut(&mut dyn Batch) -> Result<(), CommandError> + 'a;

/// An ordered key-value store.
///
/// After a write that failed for another reason than its body's own nothing
/// more may be written: what is on the disk is not known.
pub(crate) trait Kv: Send + Sync {
    /// The state after the last commit.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, CommandError>;

    /// Runs `body` in the one write transaction. When this returns, its effect
    /// is visible, and with `durable` it and everything before it are on the
    /// disk. Nothing of it stays when the body fails.
    fn write_as(&self, durable: bool, body: &mut Body<'_>) -> Result<(), CommandError>;

    /// Runs `body` in the one write transaction and makes it durable.
    fn write(&self, body: &mut Body<'_>) -> Result<(), CommandError> {
        self.write_as(true, body)
    }

    /// What is on the disk, for reading on after a failure; `None` where there
    /// is no disk.
    fn rescued(&self) -> Result<Option<Box<dyn Snapshot>>, CommandError>;

    /// Bytes that can still be written, where it is known.
    fn room(&self) -> Option<u64>;

    /// How much of the disk is used. Reads everything.
    fn sizes(&self) -> Result<Sizes, CommandError>;
}

/// How much of the disk a database uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The file.
    pub file_bytes: u64,
    /// What of it is free for further writes.
    pub free_bytes: u64,
}

/// A state that does not change.
pub(crate) trait Snapshot: Send + Sync {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError>;

    /// The pairs with `start <= key < end`.
    fn range(&self, table: Table, start: &[u8], end: &[u8], reverse: bool) -> Pairs<'_>;
}

/// The write transaction.
pub(crate) trait Batch {
    /// The value of a key, own writes included.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError>;
    /// The first `limit` keys with `start <= key < end`, each with the size of
    /// its value.
    fn first(
        &self,
        table: Table,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, usize)>, CommandError>;
    /// The keys with `start <= key < end`.
    fn keys(&self, table: Table, start: &[u8], end: &[u8]) -> Result<Vec<Vec<u8>>, CommandError> {
        let found = self.first(table, start, end, usize::MAX)?;
        Ok(found.into_iter().map(|(key, _)| key).collect())
    }
    /// Sets a key.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError>;
    /// Sets keys, which is faster for those that are in order and next to each
    /// other.
    fn put_all(&mut self, table: Table, pairs: &[(&[u8], &[u8])]) -> Result<(), CommandError> {
        let mut pairs = pairs.iter();
        pairs.try_for_each(|(key, value)| self.put(table, key, value))
    }
    /// Removes a key.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError>;
}

fn failed(error: impl std::fmt::Display) -> CommandError {
    CommandError::new(1, format!("storage: {error}"))
}
