//! The store on redb. Every commit is synced and leaves the file quick to
//! open after a crash.

use std::path::Path;

use redb::{
    Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable,
    TableDefinition, WriteTransaction,
};

use super::{Batch, Kv, Pairs, Snapshot, TABLES, Table, failed};
use engine::CommandError;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn definition(table: Table) -> Definition {
    TableDefinition::new(match table {
        Table::Catalog => "cat",
        Table::Documents => "doc",
        Table::Indexes => "idx",
        Table::Log => "log",
        Table::Meta => "meta",
    })
}

pub(crate) struct Store {
    database: Database,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, CommandError> {
        let database = Database::create(path).map_err(|error| unopened(path, error))?;
        let store = Self { database };
        // So that a reader finds every table.
        let transaction = store.begin()?;
        for table in TABLES {
            transaction.open_table(definition(table)).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(store)
    }

    /// The store's own check of every page of an existing file: whether all is
    /// well. What is not is set right as far as it can be.
    pub(crate) fn check(path: &Path) -> Result<bool, CommandError> {
        let mut database = Database::open(path).map_err(|error| unopened(path, error))?;
        database.check_integrity().map_err(failed)
    }

    fn begin(&self) -> Result<WriteTransaction, CommandError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(failed)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

fn unopened(path: &Path, error: DatabaseError) -> CommandError {
    let why = match error {
        DatabaseError::DatabaseAlreadyOpen => "another process has it in use".to_owned(),
        error => error.to_string(),
    };
    CommandError::new(1, format!("{}: {why}", path.display()))
}

impl Kv for Store {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, CommandError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let open = |table| transaction.open_table(definition(table)).map_err(failed);
        Ok(Box::new(Reader {
            tables: [
                open(TABLES[0])?,
                open(TABLES[1])?,
                open(TABLES[2])?,
                open(TABLES[3])?,
                open(TABLES[4])?,
            ],
        }))
    }

    fn write(
        &self,
        body: &mut dyn FnMut(&mut dyn Batch) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let transaction = self.begin()?;
        {
            let open = |table| transaction.open_table(definition(table)).map_err(failed);
            let mut writer = Writer {
                tables: [
                    open(TABLES[0])?,
                    open(TABLES[1])?,
                    open(TABLES[2])?,
                    open(TABLES[3])?,
                    open(TABLES[4])?,
                ],
            };
            body(&mut writer)?;
        }
        transaction.commit().map_err(failed)
    }
}

struct Reader {
    tables: [ReadOnlyTable<&'static [u8], &'static [u8]>; 5],
}

impl Snapshot for Reader {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let found = self.tables[table as usize].get(key).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn range(&self, table: Table, start: &[u8], end: &[u8], reverse: bool) -> Pairs<'_> {
        let pair = |entry: Result<_, redb::StorageError>| {
            let (key, value): (redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>) =
                entry.map_err(failed)?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        };
        match self.tables[table as usize].range(start..end) {
            Err(error) => Box::new(std::iter::once(Err(failed(error)))),
            Ok(range) if reverse => Box::new(range.rev().map(pair)),
            Ok(range) => Box::new(range.map(pair)),
        }
    }
}

struct Writer<'t> {
    tables: [redb::Table<'t, &'static [u8], &'static [u8]>; 5],
}

impl Batch for Writer<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let found = self.tables[table as usize].get(key).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn keys(&self, table: Table, start: &[u8], end: &[u8]) -> Result<Vec<Vec<u8>>, CommandError> {
        self.tables[table as usize]
            .range(start..end)
            .map_err(failed)?
            .map(|entry| Ok(entry.map_err(failed)?.0.value().to_vec()))
            .collect()
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), CommandError> {
        self.tables[table as usize]
            .insert(key, value)
            .map_err(failed)
            .map(drop)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), CommandError> {
        self.tables[table as usize]
            .remove(key)
            .map_err(failed)
            .map(drop)
    }
}
