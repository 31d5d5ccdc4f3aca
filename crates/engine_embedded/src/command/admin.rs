//! Collections and questions about the server.

use std::sync::{Arc, mpsc};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};
use mql::Collation;

use super::indexes::IndexChange;
use super::{check_fields, check_namespace, document, flag, reply};
use crate::Core;
use crate::books::abandon;
use crate::catalog::{Catalog, Collection, Index, store};
use crate::event;
use crate::kv::{Batch, Table};

/// The commands that are here.
pub(super) const NAMES: &[&str] = &[
    "ping",
    "buildInfo",
    "buildinfo",
    "hello",
    "create",
    "collMod",
    "drop",
    "dropDatabase",
    "createIndexes",
    "dropIndexes",
    "listIndexes",
    "listCollections",
    "listDatabases",
];

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    match name {
        "ping" => reply(&doc! { "ok": 1.0 }),
        "buildInfo" | "buildinfo" => reply(&doc! {
            "version": "6.0.5", "versionArray": [6, 0, 5, 0], "bits": 64,
            "maxBsonObjectSize": kit::limit::DOCUMENT_BYTES_MAX as i32,
            "modules": ["backstitch"], "ok": 1.0,
        }),
        "hello" => reply(&doc! {
            "isWritablePrimary": true, "maxBsonObjectSize": kit::limit::DOCUMENT_BYTES_MAX as i32,
            "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 17,
            "readOnly": false, "ok": 1.0,
        }),
        "create" => create(core, database, target, command).await,
        "collMod" => modify(core, database, target, command).await,
        "drop" => drop_collection(core, database, target).await,
        "dropDatabase" => drop_database(core, database).await,
        "createIndexes" | "dropIndexes" | "listIndexes" => {
            super::indexes::run(core, database, name, target, command).await
        }
        "listCollections" => list_collections(&core.view.load().catalog, database, command),
        "listDatabases" => list_databases(&core.view.load().catalog),
        other => Err(CommandError::new(59, format!("no such command: '{other}'"))),
    }
}

pub(super) fn missing(database: &str, target: &str) -> CommandError {
    CommandError::new(26, format!("ns does not exist: {database}.{target}"))
}

pub(super) fn cursor(namespace: &str, documents: Vec<Document>) -> Answer {
    reply(&doc! {
        "cursor": { "firstBatch": documents, "id": 0i64, "ns": namespace }, "ok": 1.0,
    })
}

/// What `create` asks of a new collection.
#[derive(Clone)]
pub(super) struct Asked {
    pre_images: bool,
    collation: Option<Collation>,
}

impl Asked {
    pub(super) fn of(command: &RawDocument) -> Result<Self, CommandError> {
        check_fields(
            command,
            &[
                "changeStreamPreAndPostImages",
                "validator",
                "validationLevel",
                "collation",
            ],
        )?;
        if document(command, "validator")?.is_some_and(|validator| !validator.is_empty()) {
            return Err(CommandError::new(
                115,
                "validators are not supported by the embedded engine",
            ));
        }
        Ok(Self {
            pre_images: pre_images(command)?.unwrap_or(false),
            collation: super::collation(command, None)?,
        })
    }

    pub(super) fn apply(&self, collection: &mut Collection) {
        collection.pre_images = self.pre_images;
        if self.collation.is_some() {
            for index in &mut collection.indexes {
                *index = Index::of_id(index.id, self.collation.clone());
            }
            collection.collation.clone_from(&self.collation);
        }
    }
}

async fn create(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_namespace(target)?;
    let asked = Asked::of(command)?;
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            if catalog.get(&database, &target).is_some() {
                return Err(exists(&database, &target));
            }
            let mut collection = catalog.reserve(&database, &target);
            asked.apply(&mut collection);
            store(batch, &collection)?;
            let event = event::create(&collection)?;
            catalog.insert(collection);
            Ok(vec![event])
        })
        .await?;
    reply(&doc! { "ok": 1.0 })
}

pub(super) fn exists(database: &str, target: &str) -> CommandError {
    CommandError::new(
        48,
        format!("Collection {database}.{target} already exists."),
    )
}

fn pre_images(command: &RawDocument) -> Result<Option<bool>, CommandError> {
    match document(command, "changeStreamPreAndPostImages")? {
        Some(options) => flag(options, "enabled").map(Some),
        None => Ok(None),
    }
}

async fn modify(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_fields(command, &["changeStreamPreAndPostImages", "index"])?;
    let pre_images = pre_images(command)?;
    let index = document(command, "index")?
        .map(IndexChange::parse)
        .transpose()?;
    let (database, target) = (database.to_owned(), target.to_owned());
    let (answer, said) = mpsc::channel();
    core.committer
        .define(move |batch, catalog| {
            let found = catalog
                .get(&database, &target)
                .ok_or_else(|| missing(&database, &target))?;
            let mut changed = Document::new();
            if let Some(enabled) = pre_images {
                let images = doc! { "enabled": enabled };
                changed.insert("changeStreamPreAndPostImages", images);
            }
            let event = event::modify(found, &changed)?;
            let mut collection = Collection::clone(found);
            collection.pre_images = pre_images.unwrap_or(collection.pre_images);
            collection.version += 1;
            if let Some(index) = index {
                let _ = answer.send(index.apply(&mut collection)?);
            }
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(vec![event])
        })
        .await?;
    let mut answer = said.try_recv().unwrap_or_default();
    answer.insert("ok", 1.0);
    reply(&answer)
}

async fn drop_collection(core: &Core, database: &str, target: &str) -> Answer {
    let view = core.view.load_full();
    let Some(found) = view.catalog.get(database, target) else {
        return Err(CommandError::new(26, "ns not found"));
    };
    let indexes = found.indexes.len() as i32;
    let (name, namespace) = (target.to_owned(), found.namespace());
    let database = database.to_owned();
    core.committer
        .define(move |batch, catalog| {
            let collection = catalog.get(&database, &name).cloned();
            let collection = collection.ok_or_else(|| CommandError::new(26, "ns not found"))?;
            let event = erase(batch, &collection)?;
            catalog.remove(&collection);
            Ok(vec![event])
        })
        .await?;
    reply(&doc! { "nIndexesWas": indexes, "ns": namespace, "ok": 1.0 })
}

async fn drop_database(core: &Core, database: &str) -> Answer {
    let name = database.to_owned();
    core.committer
        .define(move |batch, catalog| {
            let collections: Vec<_> = catalog
                .all()
                .filter(|c| c.database == name)
                .cloned()
                .collect();
            let mut events = Vec::new();
            for collection in &collections {
                events.push(erase(batch, collection)?);
                catalog.remove(collection);
            }
            if !collections.is_empty() {
                events.push(event::drop_database(&name));
            }
            Ok(events)
        })
        .await?;
    reply(&doc! { "dropped": database, "ok": 1.0 })
}

/// Removes a collection's catalogue entry and drops its documents and index
/// entries; the event that says so.
pub(super) fn erase(
    batch: &mut dyn Batch,
    collection: &Collection,
) -> Result<RawDocumentBuf, CommandError> {
    abandon(batch, collection.id)?;
    for index in &collection.indexes {
        abandon(batch, index.id)?;
    }
    batch.remove(Table::Catalog, &collection.id.to_be_bytes())?;
    Ok(event::drop(collection))
}

/// The databases of a catalogue.
pub(crate) fn list_databases(catalog: &Catalog) -> Answer {
    let mut names: Vec<&str> = catalog.all().map(|c| c.database.as_str()).collect();
    names.dedup();
    let databases: Vec<Bson> = names
        .into_iter()
        .map(|name| doc! { "name": name, "empty": false }.into())
        .collect();
    reply(&doc! { "databases": databases, "ok": 1.0 })
}

/// The collections of a database.
pub(crate) fn list_collections(catalog: &Catalog, database: &str, command: &RawDocument) -> Answer {
    let matcher = crate::query::matcher(document(command, "filter")?)?;
    let mut listed = Vec::new();
    for collection in catalog.all().filter(|c| c.database == database) {
        let mut options = Document::new();
        if collection.pre_images {
            options.insert("changeStreamPreAndPostImages", doc! { "enabled": true });
        }
        if let Some(collation) = &collection.collation {
            options.insert("collation", collation.specification().clone());
        }
        let id_index = collection.indexes.iter().find(|index| index.is_id());
        let entry = doc! {
            "name": &collection.name, "type": "collection", "options": options,
            "info": { "readOnly": false, "uuid": collection.uuid },
            "idIndex": id_index.map(Index::describe),
        };
        let entry_raw = RawDocumentBuf::try_from(&entry)?;
        if matcher.matches(&entry_raw).map_err(crate::mql)? {
            listed.push(entry);
        }
    }
    cursor(&format!("{database}.$cmd.listCollections"), listed)
}
