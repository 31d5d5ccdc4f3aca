//! One table: records of one type.

use std::marker::PhantomData;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::{BoxFuture, Collection, CommandError, Found, SharedEngine, with_transaction};

use crate::{AuditEntry, Record, change};

/// Bytes of the records that one command adds.
const INSERT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Records of one type, by `_id`.
pub struct Table<T> {
    collection: Collection,
    /// The records of changes, if what is written here is noted there.
    changes: Option<Arc<Collection>>,
    of: PhantomData<fn() -> T>,
}

/// Tables that are not what an administrator changes: contents that something
/// else refers to, and what the server writes by itself.
const APART: [&str; 15] = [
    AuditEntry::TABLE,
    "admin_sessions",
    "agreements",
    "blobs",
    "body_pieces",
    "devices",
    "leases",
    "logs",
    "loose_bodies",
    "mail_counts",
    "revisions",
    "sessions",
    "spent_flows",
    "usage_hours",
    "usage_minutes",
];

/// A write, which is done again when its transaction has to.
enum Write {
    Insert(Vec<RawDocumentBuf>),
    Update {
        filter: Document,
        update: Document,
        multi: bool,
        upsert: bool,
    },
    Delete {
        filter: Document,
        many: bool,
    },
}

impl Write {
    /// Answers how many records there were for it.
    async fn run(&self, collection: &Collection) -> Result<u64, CommandError> {
        match self {
            Self::Insert(documents) => collection.insert_many(documents).await,
            Self::Update {
                filter,
                update,
                multi,
                upsert,
            } => {
                let (filter, update) = (filter.clone(), update.clone());
                let done = collection.update(filter, update, *multi, *upsert).await?;
                Ok(done.matched + u64::from(done.upserted.is_some()))
            }
            Self::Delete { filter, many } => collection.delete(filter.clone(), *many).await,
        }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            collection: self.collection.clone(),
            changes: self.changes.clone(),
            of: PhantomData,
        }
    }
}

impl<T: Record> Table<T> {
    pub(crate) fn new(engine: &SharedEngine, database: &str) -> Self {
        let noted = !APART.contains(&T::TABLE);
        Self {
            collection: Collection::new(engine, database, T::TABLE),
            changes: noted.then(|| Arc::new(Collection::new(engine, database, AuditEntry::TABLE))),
            of: PhantomData,
        }
    }

    /// Does a write; as part of a change in one commit with the note of it. In a
    /// box, as many futures have one of these in them, and the commit in a task of
    /// its own: a caller who goes away must leave no transaction open, whose
    /// records others would wait for.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<u64, CommandError>> {
        Box::pin(async move {
            let (Some(changes), Some(change)) = (self.changes.clone(), change::current()) else {
                return write.run(&self.collection).await;
            };
            let (records, write) = (self.collection.clone(), Arc::new(write));
            let noted = tokio::spawn(async move {
                with_transaction(records.engine(), |session| {
                    let (write, change) = (write.clone(), change.clone());
                    let (records, changes) = (records.within(session), changes.within(session));
                    Box::pin(async move {
                        let written = write.run(&records).await?;
                        if written > 0 {
                            let of = doc! { "_id": change };
                            changes.update_one(of, change::note(T::TABLE)).await?;
                        }
                        Ok(written)
                    })
                })
                .await
            });
            let failed = |error| CommandError::new(1, format!("a write of {}: {error}", T::TABLE));
            noted.await.map_err(failed)?
        })
    }

    /// The same table, whose writes are answered before they are on the disk: a
    /// crash may lose the last of them, but none that a write which waited for the
    /// disk came after. They are not noted as part of a change.
    #[must_use]
    pub fn unsynced(&self) -> Self {
        Self {
            collection: self.collection.unsynced(),
            changes: None,
            of: PhantomData,
        }
    }

    pub(crate) async fn index(
        &self,
        name: &str,
        key: Document,
        unique: bool,
    ) -> Result<(), CommandError> {
        self.collection.create_index(name, key, unique).await
    }

    /// The record of an id.
    pub async fn get(&self, id: &str) -> Result<Option<T>, CommandError> {
        self.first(doc! { "_id": id }).await
    }

    /// The first record that matches.
    pub async fn first(&self, filter: Document) -> Result<Option<T>, CommandError> {
        self.collection
            .find_one(filter)
            .await?
            .map(|document| read(&document))
            .transpose()
    }

    /// The records that match, sorted, from `skip`, at most `limit` (0 is all).
    pub async fn list(
        &self,
        filter: Document,
        sort: Document,
        skip: u64,
        limit: u64,
    ) -> Result<Vec<T>, CommandError> {
        let options = Found {
            sort: Some(sort),
            skip,
            limit,
            ..Found::default()
        };
        let found = self.collection.find(filter, options).await?;
        found.iter().map(|document| read(document)).collect()
    }

    /// Adds a record; an id or unique field that is taken is a duplicate key.
    pub async fn insert(&self, record: &T) -> Result<(), CommandError> {
        let documents = vec![write(record)?];
        self.write(Write::Insert(documents)).await.map(drop)
    }

    /// Adds records that are not there yet.
    pub async fn insert_missing(&self, records: &[T]) -> Result<(), CommandError> {
        let documents: Vec<RawDocumentBuf> = records.iter().map(write).collect::<Result<_, _>>()?;
        let mut rest = documents.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|document| {
                bytes += document.as_bytes().len();
                bytes <= INSERT_BYTES_MAX
            });
            let (batch, after) = rest.split_at(fit.count().max(1));
            rest = after;
            self.collection.insert_missing(batch).await?;
        }
        Ok(())
    }

    /// Adds many records at once.
    pub async fn insert_many(&self, records: &[T]) -> Result<(), CommandError> {
        let documents: Vec<RawDocumentBuf> = records.iter().map(write).collect::<Result<_, _>>()?;
        self.write(Write::Insert(documents)).await.map(drop)
    }

    /// Sets a record, whether there was one or not.
    pub async fn put(&self, record: &T) -> Result<(), CommandError> {
        let document = Document::try_from(write(record)?)?;
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let replace = Write::Update {
            filter: doc! { "_id": id },
            update: document,
            multi: false,
            upsert: true,
        };
        self.write(replace).await.map(drop)
    }

    /// Updates the record if it still matches; says whether it did.
    pub async fn change(&self, filter: Document, update: Document) -> Result<bool, CommandError> {
        let update = Write::Update {
            filter,
            update,
            multi: false,
            upsert: false,
        };
        Ok(self.write(update).await? > 0)
    }

    /// Updates the record of an id, or makes it by the update.
    pub async fn change_or_make(&self, id: &str, update: Document) -> Result<(), CommandError> {
        let made = |update| {
            self.write(Write::Update {
                filter: doc! { "_id": id },
                update,
                multi: false,
                upsert: true,
            })
        };
        match made(update.clone()).await {
            // Another server made it a moment earlier.
            Err(error) if error.is_duplicate_key() => made(update).await.map(drop),
            done => done.map(drop),
        }
    }

    /// Updates every record that matches; answers how many.
    pub async fn change_all(
        &self,
        filter: Document,
        update: Document,
    ) -> Result<u64, CommandError> {
        let update = Write::Update {
            filter,
            update,
            multi: true,
            upsert: false,
        };
        self.write(update).await
    }

    /// Removes a record; says whether there was one.
    pub async fn delete(&self, id: &str) -> Result<bool, CommandError> {
        let filter = doc! { "_id": id };
        let many = false;
        Ok(self.write(Write::Delete { filter, many }).await? > 0)
    }

    /// Removes every record that matches; answers how many.
    pub async fn delete_all(&self, filter: Document) -> Result<u64, CommandError> {
        let many = true;
        self.write(Write::Delete { filter, many }).await
    }

    /// How many records match, and the sum of one of their fields.
    pub async fn sum(&self, filter: Document, field: &str) -> Result<(u64, i64), CommandError> {
        let total = doc! { "$group": {
            "_id": Bson::Null, "n": { "$sum": 1_i64 }, "sum": { "$sum": format!("${field}") },
        } };
        let pipeline = vec![doc! { "$match": filter }.into(), total.into()];
        let made = self.collection.aggregate(pipeline).await?;
        let number = |name: &str| {
            let value = made.first().and_then(|total| total.get(name).ok()?);
            value.and_then(|value| value.as_i64().or(value.as_i32().map(i64::from)))
        };
        let n = number("n").unwrap_or_default();
        Ok((
            u64::try_from(n).unwrap_or_default(),
            number("sum").unwrap_or_default(),
        ))
    }

    /// How many records match.
    pub async fn count(&self, filter: Document) -> Result<u64, CommandError> {
        self.collection.count(filter).await
    }
}

fn read<T: Record>(document: &RawDocumentBuf) -> Result<T, CommandError> {
    bson::deserialize_from_slice(document.as_bytes())
        .map_err(|error| CommandError::new(1, format!("a damaged record in {}: {error}", T::TABLE)))
}

fn write<T: Record>(record: &T) -> Result<RawDocumentBuf, CommandError> {
    let bytes = bson::serialize_to_vec(record)
        .map_err(|error| CommandError::new(1, format!("a record for {}: {error}", T::TABLE)))?;
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}
