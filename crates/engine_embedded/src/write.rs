//! Changes in the making: what one operation or transaction has done so far,
//! on top of the snapshot that it reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;
use mql::UpdateDescription;

use crate::View;
use crate::catalog::{Collection, Index};
use crate::event::{self, Event};
use crate::index::{arrays, keys, prefixed};
use crate::kv::Table;
use crate::layout::{Record, record_of};
use crate::retry::Note;
use crate::transaction::Transaction;

/// Bytes of documents that one transaction may write.
const TRANSACTION_BYTES_MAX: usize = 64 << 20;

/// The writes of an operation or transaction.
pub(crate) struct Changes {
    pub(crate) view: Arc<View>,
    pub(crate) records: BTreeMap<(u32, Record), Change>,
    pub(crate) events: Vec<Event>,
    /// The transaction's session and number, which its events tell.
    pub(crate) session: Option<(RawDocumentBuf, i64)>,
    /// What is kept for callers who send a write twice.
    pub(crate) notes: Vec<Note>,
    /// The transaction that is in the way of a write outside of transactions.
    pub(crate) blocked: Option<Arc<Transaction>>,
    /// Unique keys that nobody has claimed yet.
    pub(crate) fresh_keys: Vec<Vec<u8>>,
    /// Collections that the transaction makes.
    created: BTreeMap<(String, String), Arc<Collection>>,
    bytes: usize,
    unique_added: HashMap<Vec<u8>, Record>,
    /// Keys that were given up, and who had them.
    unique_removed: HashMap<Vec<u8>, Record>,
    /// What the events of inserts begin with, and the collection they are into.
    head: Option<(u32, RawDocumentBuf)>,
}

/// What happened to one record.
pub(crate) struct Change {
    pub(crate) collection: Arc<Collection>,
    /// The commit that wrote what the snapshot has; `None` for a new record.
    pub(crate) seen: Option<u64>,
    /// What the snapshot has.
    pub(crate) base: Option<RawDocumentBuf>,
    /// What it is now; `None` when deleted.
    pub(crate) now: Option<RawDocumentBuf>,
}

/// A change as the committer takes it.
pub(crate) struct Item {
    pub(crate) collection: u32,
    pub(crate) version: u32,
    pub(crate) record: Record,
    pub(crate) seen: Option<u64>,
    pub(crate) now: Option<RawDocumentBuf>,
    pub(crate) removed: Vec<(Vec<u8>, bool)>,
    pub(crate) added: Vec<(Vec<u8>, bool)>,
    /// Indexes on whose paths the document has arrays where none had one.
    pub(crate) arrays: Vec<(u32, Vec<u32>)>,
}

/// Changes as the committer takes them.
pub(crate) struct Prepared {
    pub(crate) items: Vec<Item>,
    pub(crate) events: Vec<Event>,
    pub(crate) created: Vec<Arc<Collection>>,
    pub(crate) notes: Vec<Note>,
}

impl Prepared {
    /// About how much there is to write.
    pub(crate) fn bytes(&self) -> usize {
        let items = self.items.iter().map(Item::bytes).sum::<usize>();
        let notes = self.notes.iter().map(|(_, note)| note.as_bytes().len());
        items + self.events.iter().map(Event::bytes).sum::<usize>() + notes.sum::<usize>()
    }
}

impl Item {
    /// About how much there is to write.
    pub(crate) fn bytes(&self) -> usize {
        let keys = self.added.iter().map(|(key, _)| key.len()).sum::<usize>();
        keys + self.now.as_ref().map_or(0, |now| now.as_bytes().len())
    }
}

impl Changes {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self {
            view,
            records: BTreeMap::new(),
            events: Vec::new(),
            session: None,
            notes: Vec::new(),
            blocked: None,
            fresh_keys: Vec::new(),
            created: BTreeMap::new(),
            bytes: 0,
            unique_added: HashMap::new(),
            unique_removed: HashMap::new(),
            head: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.created.is_empty()
    }

    /// A collection that the transaction makes.
    pub(crate) fn created(&self, database: &str, name: &str) -> Option<&Arc<Collection>> {
        if self.created.is_empty() {
            return None;
        }
        self.created.get(&(database.to_owned(), name.to_owned()))
    }

    /// Whether it made a collection.
    pub(crate) fn made(&self, collection: &Collection) -> bool {
        let own = self.created(&collection.database, &collection.name);
        own.is_some_and(|own| own.id == collection.id)
    }

    /// Makes a collection.
    pub(crate) fn create(&mut self, collection: Collection) -> Result<(), CommandError> {
        self.events.push(event::create(&collection)?.into());
        let key = (collection.database.clone(), collection.name.clone());
        self.created.insert(key, Arc::new(collection));
        Ok(())
    }

    /// Adds indexes to a collection that it made and that is still empty.
    ///
    /// # Errors
    /// 263 for one with documents.
    pub(crate) fn index_created(
        &mut self,
        changed: Collection,
        new: &[Index],
    ) -> Result<(), CommandError> {
        let filled = (changed.id, 0)..=(changed.id, Record::MAX);
        if self.records.range(filled).next().is_some() {
            return Err(CommandError::new(
                263,
                format!(
                    "Cannot create new indexes on non-empty collection {} in a multi-document transaction.",
                    changed.namespace()
                ),
            ));
        }
        self.events
            .push(event::create_indexes(&changed, new)?.into());
        let key = (changed.database.clone(), changed.name.clone());
        self.created.insert(key, Arc::new(changed));
        Ok(())
    }

    /// Counts what a transaction has to keep.
    fn count(&mut self, document: &RawDocument) -> Result<(), CommandError> {
        self.bytes += document.as_bytes().len();
        if self.session.is_some() && self.bytes > TRANSACTION_BYTES_MAX {
            return Err(CommandError::new(
                257,
                format!(
                    "Total size of all transaction operations must be less than {TRANSACTION_BYTES_MAX} bytes."
                ),
            ));
        }
        Ok(())
    }

    /// Inserts a document, which has an `_id`.
    pub(crate) fn insert(
        &mut self,
        collection: &Arc<Collection>,
        record: Record,
        document: RawDocumentBuf,
    ) -> Result<(), CommandError> {
        check_id(&document)?;
        self.count(&document)?;
        self.index(collection, record, None, Some(&document))?;
        let head = match &self.head {
            Some((id, head)) if *id == collection.id => head,
            _ => {
                let head = event::head_of_inserts(collection);
                &self.head.insert((collection.id, head)).1
            }
        };
        self.events.push(event::insert(head, &document));
        self.records.insert(
            (collection.id, record),
            Change {
                collection: collection.clone(),
                seen: None,
                base: None,
                now: Some(document),
            },
        );
        Ok(())
    }

    /// Replaces a document's content; `description` is `None` for a whole
    /// replacement.
    pub(crate) fn update(
        &mut self,
        collection: &Arc<Collection>,
        found: &Located,
        document: RawDocumentBuf,
        description: Option<&UpdateDescription>,
    ) -> Result<(), CommandError> {
        self.index(
            collection,
            found.record,
            Some(&found.document),
            Some(&document),
        )?;
        self.count(&document)?;
        let event = event::update(collection, &found.document, &document, description)?;
        self.events.push(event);
        self.set(collection, found, Some(document));
        Ok(())
    }

    /// Deletes a document.
    pub(crate) fn delete(
        &mut self,
        collection: &Arc<Collection>,
        found: &Located,
    ) -> Result<(), CommandError> {
        self.index(collection, found.record, Some(&found.document), None)?;
        self.count(&found.document)?;
        self.events.push(event::delete(collection, &found.document));
        self.set(collection, found, None);
        Ok(())
    }

    fn set(&mut self, collection: &Arc<Collection>, found: &Located, now: Option<RawDocumentBuf>) {
        self.records
            .entry((collection.id, found.record))
            .or_insert_with(|| Change {
                collection: collection.clone(),
                seen: found.commit,
                base: Some(found.document.clone()),
                now: None,
            })
            .now = now;
    }

    /// Keeps track of unique keys and refuses a second one.
    fn index(
        &mut self,
        collection: &Collection,
        record: Record,
        old: Option<&RawDocument>,
        new: Option<&RawDocument>,
    ) -> Result<(), CommandError> {
        let side = |index: &Index, document: Option<&RawDocument>| match document {
            Some(document) => keys(index, document),
            None => Ok(Vec::new()),
        };
        // All are looked at before anything is noted, so that a refused document
        // leaves nothing.
        let (mut gone, mut fresh) = (Vec::new(), Vec::new());
        for index in &collection.indexes {
            let after = side(index, new)?;
            if !index.unique {
                continue;
            }
            let before = side(index, old)?;
            for key in after.iter().filter(|key| !before.contains(key)) {
                let full = prefixed(index, key);
                let taken = match self.unique_added.get(&full) {
                    Some(owner) => *owner != record,
                    None => match self.view.snapshot.get(Table::Indexes, &full)? {
                        Some(owner) => {
                            self.unique_removed.get(&full).copied() != record_of(&full, &owner)
                        }
                        None => false,
                    },
                };
                if taken {
                    return Err(duplicate(collection, index, new, key));
                }
                fresh.push(full);
            }
            let kept = |key: &&Vec<u8>| !after.contains(key);
            gone.extend(before.iter().filter(kept).map(|key| prefixed(index, key)));
        }
        for key in gone {
            self.unique_added.remove(&key);
            self.unique_removed.insert(key, record);
        }
        for key in fresh {
            self.unique_added.insert(key.clone(), record);
            self.fresh_keys.push(key);
        }
        Ok(())
    }

    /// The changes as the committer takes them, with their index entries.
    pub(crate) fn prepare(self) -> Result<Prepared, CommandError> {
        let mut items = Vec::with_capacity(self.records.len());
        for ((collection, record), change) in self.records {
            if change.base.is_none() && change.now.is_none() {
                continue;
            }
            let (mut removed, mut added) = (Vec::new(), Vec::new());
            let arrays = change.now.as_ref().map_or_else(Vec::new, |document| {
                new_arrays(&change.collection, document)
            });
            for index in &change.collection.indexes {
                let side = |document: &Option<RawDocumentBuf>| match document {
                    Some(document) => keys(index, document),
                    None => Ok(Vec::new()),
                };
                let (before, after) = (side(&change.base)?, side(&change.now)?);
                let entry = |key: &[u8]| {
                    let mut full = prefixed(index, key);
                    if !index.unique {
                        full.extend_from_slice(&record.to_be_bytes());
                    }
                    (full, index.unique)
                };
                removed.extend(
                    before
                        .iter()
                        .filter(|k| !after.contains(k))
                        .map(|k| entry(k)),
                );
                added.extend(
                    after
                        .iter()
                        .filter(|k| !before.contains(k))
                        .map(|k| entry(k)),
                );
            }
            items.push(Item {
                collection,
                version: change.collection.version,
                record,
                seen: change.seen,
                now: change.now,
                removed,
                added,
                arrays,
            });
        }
        let mut events = self.events;
        if let Some((session, number)) = &self.session {
            for event in &mut events {
                event.document.append(cstr!("txnNumber"), *number);
                event
                    .document
                    .append(cstr!("lsid"), session.as_ref() as &RawDocument);
            }
        }
        Ok(Prepared {
            items,
            events,
            created: self.created.into_values().collect(),
            notes: self.notes,
        })
    }
}

fn new_arrays(collection: &Collection, document: &RawDocument) -> Vec<(u32, Vec<u32>)> {
    let news = |index: &Index| {
        let found = arrays(index, document);
        let news = found
            .iter()
            .zip(&index.multikey)
            .any(|(found, known)| found | known != *known);
        news.then_some((index.id, found))
    };
    collection.indexes.iter().filter_map(news).collect()
}

/// A document where it was found.
pub(crate) struct Located {
    pub(crate) record: Record,
    /// The commit that wrote it; `None` for one that this transaction inserted.
    pub(crate) commit: Option<u64>,
    pub(crate) document: RawDocumentBuf,
}

fn check_id(document: &RawDocument) -> Result<(), CommandError> {
    match document.get("_id")? {
        Some(RawBsonRef::Array(_)) => Err(CommandError::new(
            53,
            "The '_id' value cannot be of type array",
        )),
        Some(RawBsonRef::RegularExpression(_)) => Err(CommandError::new(
            53,
            "The '_id' value cannot be of type regex",
        )),
        Some(RawBsonRef::Undefined) => Err(CommandError::new(
            53,
            "The '_id' value cannot be of type undefined",
        )),
        Some(id) => match dollar_name(id) {
            Some(name) => Err(CommandError::new(
                52,
                format!(
                    "_id fields may not contain '$'-prefixed fields: {name} is not valid for storage."
                ),
            )),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The first field that begins with a dollar sign, at any depth.
fn dollar_name(value: RawBsonRef<'_>) -> Option<&str> {
    match value {
        RawBsonRef::Document(document) => document.iter().flatten().find_map(|(name, value)| {
            let name = name.as_str();
            if name.starts_with('$') {
                return Some(name);
            }
            dollar_name(value)
        }),
        RawBsonRef::Array(array) => array.into_iter().flatten().find_map(dollar_name),
        _ => None,
    }
}

pub(crate) fn duplicate(
    collection: &Collection,
    index: &Index,
    document: Option<&RawDocument>,
    key: &[u8],
) -> CommandError {
    let value = document.map_or_else(bson::Document::new, |document| {
        crate::index::values(index, document, key)
    });
    let mut error = CommandError::new(
        11000,
        format!(
            "E11000 duplicate key error collection: {} index: {} dup key: {}",
            collection.namespace(),
            index.name,
            shown(&value)
        ),
    );
    error.details = RawDocumentBuf::try_from(&bson::doc! {
        "keyPattern": index.key.clone(), "keyValue": value,
    })
    .ok();
    error
}

/// A key as MongoDB's shell writes it.
fn shown(value: &bson::Document) -> String {
    let parts: Vec<String> = value
        .iter()
        .map(|(name, value)| match value {
            bson::Bson::ObjectId(id) => format!("{name}: ObjectId('{id}')"),
            other => format!("{name}: {other}"),
        })
        .collect();
    format!("{{ {} }}", parts.join(", "))
}
