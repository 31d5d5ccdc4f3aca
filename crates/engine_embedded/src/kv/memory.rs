//! The store as ordered maps in memory, for tests: a snapshot is a share of
//! the maps, which a commit copies when somebody still reads them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Batch, Body, Kv, Lent, Pairs, Sizes, Snapshot, Table, sizes};
use engine::CommandError;

/// A copy of it shares the values.
type Map = BTreeMap<Vec<u8>, Arc<[u8]>>;

#[derive(Default, Clone)]
struct Maps([Arc<Map>; 6]);

#[derive(Default)]
pub(crate) struct Store(Mutex<Maps>);

impl Kv for Store {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, CommandError> {
        let maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(maps.clone()))
    }

    fn write_as(&self, _: bool, body: &mut Body<'_>) -> Result<(), CommandError> {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = maps.clone();
        let mut writer = Writer {
            maps: &mut changed,
            changes: sizes::Changes::default(),
        };
        body(&mut writer)?;
        std::mem::take(&mut writer.changes).settle(&mut writer)?;
        *maps = changed;
        Ok(())
    }

    fn rescued(&self) -> Result<Option<Box<dyn Snapshot>>, CommandError> {
        Ok(None)
    }

    fn room(&self) -> Option<u64> {
        None
    }

    fn sizes(&self) -> Result<Sizes, CommandError> {
        Ok(Sizes {
            file_bytes: 0,
            free_bytes: 0,
        })
    }
}

fn bounds<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    // An empty range of a map must not have its bounds crossed.
    let end = if end < start { start } else { end };
    (Bound::Included(start), Bound::Excluded(end))
}

impl Snapshot for Maps {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError> {
        let found = self.0[table as usize].get(key);
        Ok(found.map(|value| Lent::Slice(value)))
    }

    fn range(&self, table: Table, start: &[u8], end: &[u8], reverse: bool) -> Pairs<'_> {
        let range = self.0[table as usize]
            .range::<[u8], _>(bounds(start, end))
            .map(|(key, value)| Ok((Lent::Slice(key), Lent::Slice(value))));
        if reverse {
            Box::new(range.rev())
        } else {
            Box::new(range)
        }
    }
}

struct Writer<'m> {
    maps: &'m mut Maps,
    changes: sizes::Changes,
}

impl Writer<'_> {
    fn map(&mut self, table: Table) -> &mut Map {
        Arc::make_mut(&mut self.maps.0[table as usize])
    }
}

impl Batch for Writer<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Lent<'_>>, CommandError> {
        self.maps.get(table, key)
    }

    fn first(
        &self,
        table: Table,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, usize)>, CommandError> {
        let range = self.maps.0[table as usize].range::<[u8], _>(bounds(start, end));
        let found = range.take(limit);
        Ok(found
            .map(|(key, value)| (key.clone(), value.len()))
            .collect())
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError> {
        let before = self.map(table).insert(key.to_vec(), value.into());
        let before = before.map(|before| before.len());
        self.changes.note(table, key, before, Some(value.len()));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError> {
        let before = self.map(table).remove(key).map(|before| before.len());
        self.changes.note(table, key, before, None);
        Ok(())
    }
}
