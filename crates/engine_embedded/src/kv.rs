//! The narrow door to an ordered key-value store: snapshots, ranges and
//! atomic batches. Nothing above knows which store it is.

pub(crate) mod memory;
pub(crate) mod redb;

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
}

pub(crate) const TABLES: [Table; 5] = [
    Table::Catalog,
    Table::Documents,
    Table::Indexes,
    Table::Log,
    Table::Meta,
];

/// A key with its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);
/// Pairs in key order, or in reverse.
pub(crate) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, CommandError>> + 'a>;

/// An ordered key-value store.
pub(crate) trait Kv: Send + Sync {
    /// The state after the last commit.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, CommandError>;

    /// Runs `body` in the one write transaction and makes it durable.
    fn write(
        &self,
        body: &mut dyn FnMut(&mut dyn Batch) -> Result<(), CommandError>,
    ) -> Result<(), CommandError>;
}

/// A state that does not change.
pub(crate) trait Snapshot: Send + Sync {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError>;

    /// The pairs with `start <= key < end`.
    fn range(&self, table: Table, start: &[u8], end: &[u8], reverse: bool) -> Pairs<'_>;
}

/// The write transaction.
pub(crate) trait Batch {
    /// The value of a key, own writes included.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError>;
    /// The keys with `start <= key < end`.
    fn keys(&self, table: Table, start: &[u8], end: &[u8]) -> Result<Vec<Vec<u8>>, CommandError>;
    /// Sets a key.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError>;
    /// Removes a key.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError>;
}

fn failed(error: impl std::fmt::Display) -> CommandError {
    CommandError::new(1, format!("storage: {error}"))
}
