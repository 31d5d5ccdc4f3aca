//! How much is kept under the number of every collection and index. It is kept
//! with them: a write transaction notes what it adds and what it takes away, so
//! that every snapshot has the sizes of its own moment.

use std::collections::BTreeMap;

use engine::CommandError;

use super::{Batch, Kv, Snapshot, Table};
use crate::layout::past;

/// What the `meta` keys begin with; the number follows.
pub(crate) const PREFIX: &[u8] = b"size/";

/// Entries, and the bytes of their keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) entries: i64,
    pub(crate) bytes: i64,
}

/// The sizes by number.
pub(crate) type All = BTreeMap<u32, Size>;

impl Size {
    /// What a snapshot has under a number.
    pub(crate) fn of(snapshot: &dyn Snapshot, id: u32) -> Result<Self, CommandError> {
        let found = snapshot.get(Table::Meta, &key(id))?;
        Ok(found
            .and_then(|value| Self::read(&value))
            .unwrap_or_default())
    }

    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let (entries, bytes) = value.split_first_chunk::<8>()?;
        Some(Self {
            entries: i64::from_be_bytes(*entries),
            bytes: i64::from_be_bytes(bytes.try_into().ok()?),
        })
    }

    fn written(self) -> [u8; 16] {
        let mut value = [0; 16];
        let (entries, bytes) = value.split_at_mut(8);
        entries.copy_from_slice(&self.entries.to_be_bytes());
        bytes.copy_from_slice(&self.bytes.to_be_bytes());
        value
    }

    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    fn of_entry(key: &[u8], value_bytes: usize) -> Self {
        Self {
            entries: 1,
            bytes: (key.len() + value_bytes) as i64,
        }
    }
}

/// The `meta` key of a number's size.
fn key(id: u32) -> Vec<u8> {
    [PREFIX, &id.to_be_bytes()].concat()
}

/// The number in such a key.
pub(crate) fn id(key: &[u8]) -> Option<u32> {
    let id = key.strip_prefix(PREFIX)?;
    Some(u32::from_be_bytes(id.try_into().ok()?))
}

/// Adds an entry to the sizes.
pub(crate) fn count(sizes: &mut All, key: &[u8], value_bytes: usize) {
    if let Some(id) = key.first_chunk() {
        let size = sizes.entry(u32::from_be_bytes(*id)).or_default();
        size.add(Size::of_entry(key, value_bytes));
    }
}

/// What a write transaction has changed so far.
#[derive(Default)]
pub(super) struct Changes(All);

impl Changes {
    /// An entry was put or removed: the bytes of its value before and after.
    pub(super) fn note(
        &mut self,
        table: Table,
        key: &[u8],
        before: Option<usize>,
        after: Option<usize>,
    ) {
        let (Table::Documents | Table::Indexes, Some(id)) = (table, key.first_chunk()) else {
            return;
        };
        let size = self.0.entry(u32::from_be_bytes(*id)).or_default();
        if let Some(bytes) = after {
            size.add(Size::of_entry(key, bytes));
        }
        if let Some(bytes) = before {
            let Size { entries, bytes } = Size::of_entry(key, bytes);
            size.add(Size {
                entries: -entries,
                bytes: -bytes,
            });
        }
    }

    /// Writes the sizes that have changed.
    pub(super) fn settle(self, batch: &mut dyn Batch) -> Result<(), CommandError> {
        for (id, change) in self.0 {
            if change == Size::default() {
                continue;
            }
            let key = key(id);
            let before = batch.get(Table::Meta, &key)?;
            let before = before.and_then(|value| Size::read(&value));
            let mut size = before.unwrap_or_default();
            size.add(change);
            if size.entries == 0 {
                batch.remove(Table::Meta, &key)?;
            } else {
                batch.put(Table::Meta, &key, &size.written())?;
            }
        }
        Ok(())
    }
}

/// Reads everything and writes what the sizes are, whatever they were thought
/// to be.
pub(crate) fn recount(kv: &dyn Kv) -> Result<(), CommandError> {
    let mut sizes = All::new();
    let snapshot = kv.snapshot()?;
    for table in [Table::Documents, Table::Indexes] {
        // Past every number.
        for pair in snapshot.range(table, &[], &[0xff; 5], false) {
            let (key, value) = pair?;
            count(&mut sizes, &key, value.len());
        }
    }
    kv.write(&mut |batch| {
        for key in batch.keys(Table::Meta, PREFIX, &past(PREFIX))? {
            batch.remove(Table::Meta, &key)?;
        }
        sizes
            .iter()
            .try_for_each(|(id, size)| batch.put(Table::Meta, &key(*id), &size.written()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::memory::Store;

    fn size(store: &Store, id: u32) -> (i64, i64) {
        let Size { entries, bytes } = Size::of(store.snapshot().unwrap().as_ref(), id).unwrap();
        (entries, bytes)
    }

    #[test]
    fn sizes_follow_what_is_written() {
        let store = Store::default();
        let in_one = |n: u8| [&1_u32.to_be_bytes()[..], &[n]].concat();
        let in_two = 2_u32.to_be_bytes();
        store
            .write(&mut |batch| {
                batch.put(Table::Documents, &in_one(1), b"abc")?;
                batch.put(Table::Documents, &in_one(2), b"")?;
                batch.put(Table::Documents, &in_one(1), b"ab")?;
                batch.put(Table::Indexes, &in_two, b"x")?;
                // What is not there is not taken away.
                batch.remove(Table::Indexes, &in_one(9))?;
                batch.put(Table::Log, &in_one(1), b"not counted")
            })
            .unwrap();
        assert_eq!((size(&store, 1), size(&store, 2)), ((2, 12), (1, 5)));
        // Nothing of a write that fails.
        let failed = store.write(&mut |batch| {
            batch.remove(Table::Documents, &in_one(1))?;
            Err(CommandError::new(1, "no"))
        });
        assert!(failed.is_err());
        assert_eq!(size(&store, 1), (2, 12));
        store
            .write(&mut |batch| {
                batch.remove(Table::Documents, &in_one(1))?;
                batch.remove(Table::Documents, &in_one(1))?;
                batch.remove(Table::Indexes, &in_two)
            })
            .unwrap();
        assert_eq!((size(&store, 1), size(&store, 2)), ((1, 5), (0, 0)));
        let rows = store.snapshot().unwrap();
        let rows = rows.range(Table::Meta, PREFIX, &past(PREFIX), false);
        assert_eq!(rows.count(), 1, "what is empty has none");
        store
            .write(&mut |batch| batch.put(Table::Meta, &key(1), &[7; 16]))
            .unwrap();
        recount(&store).unwrap();
        assert_eq!(size(&store, 1), (1, 5));
    }
}
