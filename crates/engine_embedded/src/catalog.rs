//! Which collections and indexes there are. Immutable: a change makes a new
//! catalogue.

mod index;

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::CommandError;
use mql::Collation;

pub(crate) use index::{Index, expire_after, same_keys};

use crate::kv::{Batch, Snapshot, Table};
use crate::layout;
use crate::validation::Validation;

/// Every collection by database and name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    collections: BTreeMap<(String, String), Arc<Collection>>,
    next: u32,
}

/// A collection.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) id: u32,
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) uuid: bson::Uuid,
    /// Counts changes of the indexes: a write evaluated on another number is
    /// evaluated again.
    pub(crate) version: u32,
    pub(crate) pre_images: bool,
    /// Whether it is being filled to take the place of another one. What is found
    /// of it at the start is removed.
    pub(crate) temporary: bool,
    /// How strings compare where a command does not say.
    pub(crate) collation: Option<Collation>,
    pub(crate) validation: Validation,
    pub(crate) indexes: Vec<Index>,
}

impl Collection {
    pub(crate) fn namespace(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }

    /// Notes that a document has arrays on the paths of an index; says whether
    /// that was news.
    pub(crate) fn note_arrays(&mut self, index: u32, arrays: &[u32]) -> bool {
        let Some(index) = self.indexes.iter_mut().find(|found| found.id == index) else {
            return false;
        };
        let mut news = false;
        for (bits, more) in index.multikey.iter_mut().zip(arrays) {
            news |= *bits | more != *bits;
            *bits |= more;
        }
        news
    }

    fn to_document(&self) -> Document {
        let indexes: Vec<Bson> = self
            .indexes
            .iter()
            .map(|i| i.to_document().into())
            .collect();
        let mut document = doc! {
            "db": &self.database, "name": &self.name, "id": i64::from(self.id),
            "uuid": self.uuid, "version": i64::from(self.version),
            "pre_images": self.pre_images, "collation": specification(self.collation.as_ref()),
            "indexes": indexes,
        };
        if self.temporary {
            document.insert("temporary", true);
        }
        self.validation.describe(&mut document);
        document
    }

    /// The options as listings show them.
    pub(crate) fn options(&self) -> Document {
        let mut options = Document::new();
        if self.pre_images {
            options.insert("changeStreamPreAndPostImages", doc! { "enabled": true });
        }
        self.validation.describe(&mut options);
        if let Some(collation) = &self.collation {
            options.insert("collation", collation.specification().clone());
        }
        options
    }

    pub(crate) fn from_document(document: &Document) -> Option<Self> {
        let number = |name: &str| u32::try_from(document.get_i64(name).ok()?).ok();
        let collation = collation(document)?;
        Some(Self {
            id: number("id")?,
            database: document.get_str("db").ok()?.to_owned(),
            name: document.get_str("name").ok()?.to_owned(),
            uuid: match document.get("uuid")? {
                Bson::Binary(binary) => binary.to_uuid().ok()?,
                _ => return None,
            },
            version: number("version")?,
            pre_images: document.get_bool("pre_images").unwrap_or(false),
            temporary: document.get_bool("temporary").unwrap_or(false),
            validation: Validation::from_options(document, collation.as_ref()).ok()?,
            collation,
            indexes: document
                .get_array("indexes")
                .ok()?
                .iter()
                .map(|index| Index::from_document(index.as_document()?))
                .collect::<Option<_>>()?,
        })
    }
}

/// The collation of a catalogue entry.
fn collation(document: &Document) -> Option<Option<Collation>> {
    match document.get_document("collation") {
        Ok(found) => Collation::parse(&RawDocumentBuf::try_from(found).ok()?).ok(),
        Err(_) => Some(None),
    }
}

fn specification(collation: Option<&Collation>) -> Option<Document> {
    collation.map(|collation| collation.specification().clone())
}

impl Catalog {
    pub(crate) fn load(snapshot: &dyn Snapshot) -> Result<Self, CommandError> {
        let mut catalog = Self::default();
        for entry in snapshot.range(Table::Catalog, &[], &[0xff; 8], false) {
            let (_, value) = entry?;
            let document = Document::try_from(RawDocument::from_bytes(&value[..])?)?;
            let collection = Collection::from_document(&document).ok_or_else(|| {
                CommandError::new(1, format!("damaged catalogue entry: {document}"))
            })?;
            let highest = collection
                .indexes
                .iter()
                .map(|index| index.id)
                .max()
                .unwrap_or(0);
            catalog.next = catalog.next.max(collection.id + 1).max(highest + 1);
            catalog.insert(collection);
        }
        // What is still being erased must not have its number given away.
        for id in layout::gone(snapshot)? {
            catalog.next = catalog.next.max(id + 1);
        }
        Ok(catalog)
    }

    /// The highest record id in use.
    pub(crate) fn last_record(&self, snapshot: &dyn Snapshot) -> Result<u64, CommandError> {
        let mut last = 0;
        for collection in self.collections.values() {
            let start = layout::document_key(collection.id, 0);
            let end = layout::past(&collection.id.to_be_bytes());
            if let Some(entry) = snapshot.range(Table::Documents, &start, &end, true).next() {
                let (key, _) = entry?;
                if let Some(Ok(bytes)) = key.get(4..).map(<[u8; 8]>::try_from) {
                    last = last.max(u64::from_be_bytes(bytes));
                }
            }
        }
        Ok(last)
    }

    pub(crate) fn get(&self, database: &str, name: &str) -> Option<&Arc<Collection>> {
        // Two short allocations; the map is small and the pair its natural key.
        self.collections
            .get(&(database.to_owned(), name.to_owned()))
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Arc<Collection>> {
        self.collections
            .values()
            .find(|collection| collection.id == id)
    }

    /// The same collection under its number, to change it.
    pub(crate) fn change(&self, id: u32) -> Option<Collection> {
        self.by_id(id).map(|found| Collection::clone(found))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.collections.values()
    }

    pub(crate) fn next_id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Adds or replaces a collection.
    pub(crate) fn insert(&mut self, collection: Collection) {
        let key = (collection.database.clone(), collection.name.clone());
        self.collections.insert(key, Arc::new(collection));
    }

    /// A new collection with its index on `_id`.
    pub(crate) fn create(&mut self, database: &str, name: &str) -> Collection {
        let collection = self.reserve(database, name);
        self.insert(collection.clone());
        collection
    }

    /// The same, which is not in the catalogue yet.
    pub(crate) fn reserve(&mut self, database: &str, name: &str) -> Collection {
        let id = self.next_id();
        let index = Index::of_id(self.next_id(), None);
        Collection {
            id,
            database: database.to_owned(),
            name: name.to_owned(),
            uuid: bson::Uuid::new(),
            version: 0,
            pre_images: false,
            temporary: false,
            collation: None,
            validation: Validation::default(),
            indexes: vec![index],
        }
    }

    pub(crate) fn remove(&mut self, collection: &Collection) {
        self.collections
            .remove(&(collection.database.clone(), collection.name.clone()));
    }
}

/// Writes a collection's entry.
pub(crate) fn store(batch: &mut dyn Batch, collection: &Collection) -> Result<(), CommandError> {
    let raw = RawDocumentBuf::try_from(&collection.to_document())?;
    batch.put(Table::Catalog, &collection.id.to_be_bytes(), raw.as_bytes())
}
