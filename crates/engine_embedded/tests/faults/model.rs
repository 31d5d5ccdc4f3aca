//! What a database must have: the documents and indexes that acknowledged
//! commands made, and of the others all or nothing.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use engine::{Collection, Found, SharedEngine, WatchRequest};

pub(crate) const DATABASE: &str = "d";

/// Documents by `_id`, and names of indexes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) documents: BTreeMap<i64, Document>,
    pub(crate) indexes: BTreeSet<String>,
}

/// Collections by name.
pub(crate) type Model = BTreeMap<String, Content>;

/// What one command does.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Set(String, Document),
    Remove(String, i64),
    Create(String),
    Drop(String),
    Index(String, String, bool),
}

pub(crate) fn id(document: &Document) -> i64 {
    document.get_i64("_id").expect("an _id")
}

pub(crate) fn apply(model: &mut Model, effects: &[Effect]) {
    for effect in effects {
        match effect {
            Effect::Set(collection, document) => {
                let content = model.get_mut(collection).expect("a collection");
                content.documents.insert(id(document), document.clone());
            }
            Effect::Remove(collection, id) => {
                let content = model.get_mut(collection).expect("a collection");
                content.documents.remove(id);
            }
            Effect::Create(collection) => {
                model.insert(collection.clone(), Content::default());
            }
            Effect::Drop(collection) => {
                model.remove(collection);
            }
            Effect::Index(collection, name, there) => {
                let indexes = &mut model.get_mut(collection).expect("a collection").indexes;
                if *there {
                    indexes.insert(name.clone());
                } else {
                    indexes.remove(name);
                }
            }
        }
    }
}

/// Whether `found` is `model` after none, some or all of what was under way.
pub(crate) fn is_allowed(found: &Model, model: &Model, under_way: &[Vec<Effect>]) -> bool {
    let Some((first, rest)) = under_way.split_first() else {
        return found == model;
    };
    let mut after = model.clone();
    apply(&mut after, first);
    is_allowed(found, model, rest) || is_allowed(found, &after, rest)
}

/// Everything that is stored.
pub(crate) async fn stored(engine: &SharedEngine) -> Model {
    let mut model = Model::new();
    for entry in batch(engine, doc! { "listCollections": 1 }).await {
        let name = entry.get_str("name").expect("a name").to_owned();
        let collection = Collection::new(engine, DATABASE, &name);
        let found = collection.find(doc! {}, Found::default()).await;
        let documents = found
            .expect("all")
            .iter()
            .map(|raw| Document::try_from(raw).expect("decodes"))
            .map(|document| (id(&document), document))
            .collect();
        let indexes = batch(engine, doc! { "listIndexes": &name })
            .await
            .iter()
            .filter_map(|index| index.get_str("name").ok())
            .filter(|name| *name != "_id_")
            .map(str::to_owned)
            .collect();
        let content = Content { documents, indexes };
        model.insert(name, content);
    }
    model
}

async fn batch(engine: &SharedEngine, command: Document) -> Vec<Document> {
    let reply = run(engine, command).await.expect("a list");
    let cursor = reply.get_document("cursor").expect("a cursor");
    let entries = cursor.get_array("firstBatch").expect("a batch");
    entries
        .iter()
        .filter_map(|entry| entry.as_document().cloned())
        .collect()
}

pub(crate) async fn run(
    engine: &SharedEngine,
    command: Document,
) -> Result<Document, engine::CommandError> {
    let raw = bson::RawDocumentBuf::try_from(&command).expect("encodes");
    let reply = engine.command(DATABASE, &raw).await?;
    Ok(Document::try_from(reply).expect("decodes"))
}

/// The collection of marks: where replays begin and end.
const MARKS: &str = "marks";

/// Writes a mark and answers the token after it, for [`replay`].
pub(crate) async fn mark(engine: &SharedEngine) -> bson::RawDocumentBuf {
    let mut feed = engine.watch(everything(None)).await.expect("a feed");
    let marks = Collection::new(engine, DATABASE, MARKS);
    marks
        .insert_one(&bson::rawdoc! { "_id": 0_i64 })
        .await
        .expect("insert");
    feed.next().await.expect("an event");
    feed.resume_token().expect("a token")
}

fn everything(resume_after: Option<bson::RawDocumentBuf>) -> WatchRequest {
    WatchRequest {
        resume_after,
        ..WatchRequest::default()
    }
}

/// The documents that the change log tells of, from a mark until now.
pub(crate) async fn replay(
    engine: &SharedEngine,
    token: bson::RawDocumentBuf,
) -> BTreeMap<String, BTreeMap<i64, Document>> {
    let mut feed = engine
        .watch(everything(Some(token)))
        .await
        .expect("goes on");
    let marks = Collection::new(engine, DATABASE, MARKS);
    let last = i64::MAX;
    marks
        .insert_one(&bson::rawdoc! { "_id": last })
        .await
        .expect("insert");
    marks
        .delete(doc! { "_id": last }, false)
        .await
        .expect("delete");
    let mut told: BTreeMap<String, BTreeMap<i64, Document>> = BTreeMap::new();
    told.entry(MARKS.to_owned())
        .or_default()
        .insert(0, doc! { "_id": 0_i64 });
    loop {
        let event = Document::try_from(feed.next().await.expect("an event")).expect("decodes");
        let place = event.get_document("ns").expect("a namespace");
        let name = place.get_str("coll").unwrap_or_default();
        let kind = event.get_str("operationType").expect("a kind");
        let key = event.get_document("documentKey").map(id);
        match (kind, key) {
            (_, Ok(key)) if key == last && kind == "delete" => break,
            (_, Ok(key)) if key == last => {}
            ("drop", _) => {
                told.remove(name);
            }
            (kind, Ok(key)) => {
                let collection = told.entry(name.to_owned()).or_default();
                tell(collection, kind, key, &event);
            }
            _ => {}
        }
    }
    told.retain(|_, documents| !documents.is_empty());
    told
}

/// Does to `told` what an event says.
pub(crate) fn tell(told: &mut BTreeMap<i64, Document>, kind: &str, id: i64, event: &Document) {
    match kind {
        "insert" | "replace" => {
            let document = event.get_document("fullDocument").expect("a document");
            let before = told.insert(id, document.clone());
            assert_eq!(before.is_some(), kind == "replace", "{kind} of {id}");
        }
        "delete" => assert!(told.remove(&id).is_some(), "{id} is deleted twice"),
        "update" => {
            let document = told.get_mut(&id).expect("an update of something");
            let description = event.get_document("updateDescription").expect("described");
            for (path, value) in description.get_document("updatedFields").expect("fields") {
                set(document, path, value);
            }
        }
        other => panic!("an event of kind {other}"),
    }
}

/// Sets a field, or an element of an array at its end.
fn set(document: &mut Document, path: &str, value: &Bson) {
    match path.split_once('.') {
        Some((field, _)) => document
            .get_array_mut(field)
            .expect("an array")
            .push(value.clone()),
        None => {
            document.insert(path, value.clone());
        }
    }
}
