//! Change events as the log keeps them: what every reader is told, without
//! what depends on the reader.
//!
//! The committer adds the time; [`crate::feed`] makes of them what a reader
//! sees.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use engine::CommandError;
use mql::UpdateDescription;

use crate::catalog::{Collection, Index};
use crate::layout::Position;
use crate::log::Logged;

/// Recent events that are kept in memory.
const RECENT_MAX: usize = 1024;
/// Their bytes.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An event in the making.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) document: RawDocumentBuf,
    /// For collections that keep images: `before`, and `after` where it does
    /// not follow from the description.
    pub(crate) image: Option<RawDocumentBuf>,
}

impl Event {
    /// How much there is to write.
    pub(crate) fn bytes(&self) -> usize {
        let image = self.image.as_ref();
        self.document.as_bytes().len() + image.map_or(0, |image| image.as_bytes().len())
    }
}

impl From<RawDocumentBuf> for Event {
    fn from(document: RawDocumentBuf) -> Self {
        Self {
            document,
            image: None,
        }
    }
}

fn of(collection: &Collection, kind: &str) -> RawDocumentBuf {
    let mut event = RawDocumentBuf::new();
    event.append(cstr!("operationType"), kind);
    event.append(cstr!("collectionUUID"), bson::Binary::from(collection.uuid));
    event.append(
        cstr!("ns"),
        rawdoc! { "db": collection.database.as_str(), "coll": collection.name.as_str() },
    );
    event
}

fn of_document(collection: &Collection, kind: &str, document: &RawDocument) -> RawDocumentBuf {
    let mut event = of(collection, kind);
    append_key(&mut event, document);
    event
}

fn append_key(event: &mut RawDocumentBuf, document: &RawDocument) {
    let mut key = RawDocumentBuf::new();
    if let Ok(Some(id)) = document.get("_id") {
        key.append(cstr!("_id"), id);
    }
    event.append(cstr!("documentKey"), key);
}

/// What the events of all inserts into a collection begin with.
pub(crate) fn head_of_inserts(collection: &Collection) -> RawDocumentBuf {
    of(collection, "insert")
}

/// An insert into the collection whose head it is.
pub(crate) fn insert(head: &RawDocument, document: &RawDocument) -> Event {
    let mut event = head.to_owned();
    append_key(&mut event, document);
    event.append(cstr!("fullDocument"), document);
    event.into()
}

/// An update, or without a description a replacement.
pub(crate) fn update(
    collection: &Collection,
    before: &RawDocument,
    after: &RawDocument,
    description: Option<&UpdateDescription>,
) -> Result<Event, CommandError> {
    let mut image = collection
        .pre_images
        .then(|| rawdoc! { "before": before.to_owned() });
    let document = match description {
        None => {
            let mut event = of_document(collection, "replace", after);
            event.append(cstr!("fullDocument"), after);
            event
        }
        Some(description) => {
            let described = described(description)?;
            if let Some(image) = &mut image
                && patched(before, &described)?.as_bytes() != after.as_bytes()
            {
                image.append(cstr!("after"), after);
            }
            let mut event = of_document(collection, "update", after);
            event.append(cstr!("updateDescription"), described);
            event
        }
    };
    Ok(Event { document, image })
}

pub(crate) fn delete(collection: &Collection, document: &RawDocument) -> Event {
    let image = collection
        .pre_images
        .then(|| rawdoc! { "before": document.to_owned() });
    Event {
        document: of_document(collection, "delete", document),
        image,
    }
}

/// A collection was made.
pub(crate) fn create(collection: &Collection) -> Result<RawDocumentBuf, CommandError> {
    let mut event = of(collection, "create");
    let mut description = collection.options();
    if let Some(index) = collection.indexes.first() {
        description.insert("idIndex", index.describe());
    }
    let description = RawDocumentBuf::try_from(&description)?;
    event.append(cstr!("operationDescription"), description);
    Ok(event)
}

/// Indexes were made.
pub(crate) fn create_indexes(
    collection: &Collection,
    indexes: &[Index],
) -> Result<RawDocumentBuf, CommandError> {
    of_indexes(collection, "createIndexes", indexes)
}

/// Indexes were dropped.
pub(crate) fn drop_indexes(
    collection: &Collection,
    indexes: &[Index],
) -> Result<RawDocumentBuf, CommandError> {
    of_indexes(collection, "dropIndexes", indexes)
}

fn of_indexes(
    collection: &Collection,
    kind: &str,
    indexes: &[Index],
) -> Result<RawDocumentBuf, CommandError> {
    let mut event = of(collection, kind);
    let indexes: Vec<Bson> = indexes.iter().map(|i| i.describe().into()).collect();
    let description = RawDocumentBuf::try_from(&doc! { "indexes": indexes })?;
    event.append(cstr!("operationDescription"), description);
    Ok(event)
}

/// A collection's options were changed: which ones, and those before.
pub(crate) fn modify(
    before: &Collection,
    changed: &Document,
) -> Result<RawDocumentBuf, CommandError> {
    let mut event = of(before, "modify");
    event.append(
        cstr!("operationDescription"),
        RawDocumentBuf::try_from(changed)?,
    );
    let mut options = doc! { "uuid": before.uuid };
    options.extend(before.options());
    let options = RawDocumentBuf::try_from(&options)?;
    event.append(
        cstr!("stateBeforeChange"),
        rawdoc! { "collectionOptions": options },
    );
    Ok(event)
}

/// A collection was dropped.
pub(crate) fn drop(collection: &Collection) -> RawDocumentBuf {
    of(collection, "drop")
}

/// A collection got another name, in the place of a `dropped` one.
pub(crate) fn rename(
    from: &Collection,
    to: &Collection,
    dropped: Option<&Collection>,
) -> RawDocumentBuf {
    let to = rawdoc! { "db": to.database.as_str(), "coll": to.name.as_str() };
    let mut event = of(from, "rename");
    event.append(cstr!("to"), to.as_ref());
    let mut description = rawdoc! { "to": to };
    if let Some(dropped) = dropped {
        let uuid = bson::Binary::from(dropped.uuid);
        description.append(cstr!("dropTarget"), uuid);
    }
    event.append(cstr!("operationDescription"), description);
    event
}

/// A database was dropped.
pub(crate) fn drop_database(database: &str) -> RawDocumentBuf {
    rawdoc! { "operationType": "dropDatabase", "ns": { "db": database } }
}

fn described(description: &UpdateDescription) -> Result<RawDocumentBuf, CommandError> {
    let truncated: Vec<Bson> = description
        .truncated_arrays
        .iter()
        .map(|(field, size)| bson::bson!({ "field": field, "newSize": *size }))
        .collect();
    Ok(RawDocumentBuf::try_from(&doc! {
        "updatedFields": description.updated_fields.clone(),
        "removedFields": description.removed_fields.clone(),
        "truncatedArrays": truncated,
    })?)
}

/// A document after what an update's description says.
pub(crate) fn patched(
    before: &RawDocument,
    description: &RawDocument,
) -> Result<RawDocumentBuf, CommandError> {
    let mut document = Bson::Document(Document::try_from(before)?);
    if let Ok(arrays) = description.get_array("truncatedArrays") {
        for entry in arrays.into_iter().flatten() {
            let RawBsonRef::Document(entry) = entry else {
                continue;
            };
            let path: Vec<&str> = entry
                .get_str("field")
                .unwrap_or_default()
                .split('.')
                .collect();
            let size = entry.get_i32("newSize").unwrap_or(0);
            if let Some(Bson::Array(array)) = at(&mut document, &path) {
                array.truncate(usize::try_from(size).unwrap_or(0));
            }
        }
    }
    if let Ok(fields) = description.get_array("removedFields") {
        for field in fields.into_iter().flatten().filter_map(RawBsonRef::as_str) {
            let mut path: Vec<&str> = field.split('.').collect();
            let last = path.pop();
            if let Some(Bson::Document(inner)) = at(&mut document, &path)
                && let Some(last) = last
            {
                inner.remove(last);
            }
        }
    }
    if let Ok(fields) = description.get_document("updatedFields") {
        for entry in fields {
            let (name, value) = entry?;
            let mut path: Vec<&str> = name.as_str().split('.').collect();
            let Some(last) = path.pop() else { continue };
            let value = Bson::try_from(value)?;
            match at(&mut document, &path) {
                Some(Bson::Document(inner)) => {
                    inner.insert(last, value);
                }
                Some(Bson::Array(array)) => match last.parse::<usize>() {
                    Ok(index) if index < array.len() => array[index] = value,
                    Ok(index) if index == array.len() => array.push(value),
                    _ => {}
                },
                _ => {}
            }
        }
    }
    match document {
        Bson::Document(document) => Ok(RawDocumentBuf::try_from(&document)?),
        _ => Ok(RawDocumentBuf::new()),
    }
}

/// The value at a path, if it is there.
fn at<'a>(value: &'a mut Bson, path: &[&str]) -> Option<&'a mut Bson> {
    let Some((first, rest)) = path.split_first() else {
        return Some(value);
    };
    let inner = match value {
        Bson::Document(document) => document.get_mut(first),
        Bson::Array(array) => array.get_mut(first.parse::<usize>().ok()?),
        _ => None,
    };
    at(inner?, rest)
}

/// The newest events, so that readers who keep up need not look into the log.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    events: VecDeque<Logged>,
    bytes: usize,
    /// Everything after this is here.
    floor: Position,
}

impl Recent {
    /// Nothing yet; the log ends with `last`.
    pub(crate) fn after(last: Position) -> Self {
        Self(Mutex::new(Ring {
            floor: Position {
                index: u32::MAX,
                ..last
            },
            ..Ring::default()
        }))
    }

    pub(crate) fn push(&self, events: Vec<Logged>) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += events.iter().map(Logged::len).sum::<usize>();
        ring.events.extend(events);
        while ring.events.len() > RECENT_MAX || ring.bytes > RECENT_BYTES_MAX {
            let Some(event) = ring.events.pop_front() else {
                break;
            };
            ring.bytes -= event.len();
            ring.floor = event.position;
        }
    }

    /// Up to `most` events after a position; `None` when some of them are only
    /// in the log.
    pub(crate) fn since(&self, position: Position, most: usize) -> Option<Vec<Logged>> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if position < ring.floor {
            return None;
        }
        let start = ring
            .events
            .partition_point(|event| event.position <= position);
        Some(ring.events.range(start..).take(most).cloned().collect())
    }
}
