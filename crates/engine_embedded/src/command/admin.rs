//! Collections, indexes and questions about the server.

use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};

use super::{check_fields, check_namespace, document, flag, reply};
use crate::Core;
use crate::catalog::{Collection, Index, store};
use crate::index::{keys, prefixed};
use crate::kv::{Batch, Table};
use crate::layout::{document_key, loaded, past, record_of};

/// Indexes of one collection.
const INDEXES_MAX: usize = 64;

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
        "createIndexes" => create_indexes(core, database, target, command).await,
        "dropIndexes" => drop_indexes(core, database, target, command).await,
        "listIndexes" => {
            let view = core.view.load();
            let collection = view
                .catalog
                .get(database, target)
                .ok_or_else(|| missing(database, target))?;
            let indexes = collection.indexes.iter().map(Index::describe).collect();
            cursor(&collection.namespace(), indexes)
        }
        "listCollections" => list_collections(core, database, command),
        "listDatabases" => {
            let view = core.view.load();
            let mut names: Vec<&str> = view.catalog.all().map(|c| c.database.as_str()).collect();
            names.dedup();
            let databases: Vec<Bson> = names
                .into_iter()
                .map(|name| doc! { "name": name, "empty": false }.into())
                .collect();
            reply(&doc! { "databases": databases, "ok": 1.0 })
        }
        other => Err(CommandError::new(59, format!("no such command: '{other}'"))),
    }
}

fn missing(database: &str, target: &str) -> CommandError {
    CommandError::new(26, format!("ns does not exist: {database}.{target}"))
}

fn cursor(namespace: &str, documents: Vec<Document>) -> Answer {
    reply(&doc! {
        "cursor": { "firstBatch": documents, "id": 0i64, "ns": namespace }, "ok": 1.0,
    })
}

async fn create(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_namespace(target)?;
    check_fields(
        command,
        &[
            "changeStreamPreAndPostImages",
            "validator",
            "validationLevel",
        ],
    )?;
    if document(command, "validator")?.is_some_and(|validator| !validator.is_empty()) {
        return Err(CommandError::new(
            115,
            "validators are not supported by the embedded engine",
        ));
    }
    let pre_images = pre_images(command)?.unwrap_or(false);
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            if catalog.get(&database, &target).is_some() {
                return Err(CommandError::new(
                    48,
                    format!("Collection {database}.{target} already exists."),
                ));
            }
            let mut collection = catalog.create(&database, &target);
            collection.pre_images = pre_images;
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(Vec::new())
        })
        .await?;
    reply(&doc! { "ok": 1.0 })
}

fn pre_images(command: &RawDocument) -> Result<Option<bool>, CommandError> {
    match document(command, "changeStreamPreAndPostImages")? {
        Some(options) => flag(options, "enabled").map(Some),
        None => Ok(None),
    }
}

async fn modify(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_fields(command, &["changeStreamPreAndPostImages"])?;
    let pre_images = pre_images(command)?;
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            let found = catalog
                .get(&database, &target)
                .ok_or_else(|| missing(&database, &target))?;
            let mut collection = Collection::clone(found);
            collection.pre_images = pre_images.unwrap_or(collection.pre_images);
            collection.version += 1;
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(Vec::new())
        })
        .await?;
    reply(&doc! { "ok": 1.0 })
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
                let event = doc! { "operationType": "dropDatabase", "ns": { "db": &name } };
                events.push(RawDocumentBuf::try_from(&event)?);
            }
            Ok(events)
        })
        .await?;
    reply(&doc! { "dropped": database, "ok": 1.0 })
}

/// Removes a collection's documents, index entries and catalogue entry; the
/// event that says so.
fn erase(batch: &mut dyn Batch, collection: &Collection) -> Result<RawDocumentBuf, CommandError> {
    let documents = collection.id.to_be_bytes();
    for key in batch.keys(Table::Documents, &documents, &past(&documents))? {
        batch.remove(Table::Documents, &key)?;
    }
    for index in &collection.indexes {
        erase_index(batch, index)?;
    }
    batch.remove(Table::Catalog, &documents)?;
    let event = doc! {
        "operationType": "drop",
        "ns": { "db": &collection.database, "coll": &collection.name },
    };
    Ok(RawDocumentBuf::try_from(&event)?)
}

fn erase_index(batch: &mut dyn Batch, index: &Index) -> Result<(), CommandError> {
    let entries = index.id.to_be_bytes();
    for key in batch.keys(Table::Indexes, &entries, &past(&entries))? {
        batch.remove(Table::Indexes, &key)?;
    }
    Ok(())
}

async fn create_indexes(
    core: &Arc<Core>,
    database: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    check_namespace(target)?;
    check_fields(command, &["indexes", "commitQuorum"])?;
    let specifications: Vec<Document> = command
        .get_array("indexes")
        .map_err(|_| {
            CommandError::new(
                40414,
                "BSON field 'createIndexes.indexes' is missing but a required field",
            )
        })?
        .into_iter()
        .map(|entry| match entry? {
            RawBsonRef::Document(specification) => Ok(Document::try_from(specification)?),
            _ => Err(CommandError::new(
                14,
                "index specifications must be objects",
            )),
        })
        .collect::<Result<_, CommandError>>()?;
    if specifications.is_empty() {
        return Err(CommandError::bad_value(
            "Must specify at least one index to create",
        ));
    }
    let created = core.view.load().catalog.get(database, target).is_none();
    let before = indexes(core, database, target).max(1);
    let (owned_database, owned_target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            let found = catalog.get(&owned_database, &owned_target).cloned();
            let mut collection = match found {
                Some(found) => Collection::clone(&found),
                None => catalog.create(&owned_database, &owned_target),
            };
            for specification in &specifications {
                let index = Index::parse(catalog.next_id(), specification)?;
                if is_there(&collection, &index)? {
                    continue;
                }
                if collection.indexes.len() >= INDEXES_MAX {
                    return Err(CommandError::new(
                        67,
                        format!(
                            "add index fails, too many indexes for {}",
                            collection.namespace()
                        ),
                    ));
                }
                build(batch, &collection, &index)?;
                collection.indexes.push(index);
                collection.version += 1;
            }
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(Vec::new())
        })
        .await?;
    reply(&doc! {
        "numIndexesBefore": before, "numIndexesAfter": indexes(core, database, target),
        "createdCollectionAutomatically": created, "ok": 1.0,
    })
}

fn indexes(core: &Core, database: &str, target: &str) -> i32 {
    let view = core.view.load();
    view.catalog
        .get(database, target)
        .map_or(0, |c| c.indexes.len() as i32)
}

/// Whether the same index exists; another one of its name or key is an error.
fn is_there(collection: &Collection, index: &Index) -> Result<bool, CommandError> {
    for other in &collection.indexes {
        let same_options = other.unique == index.unique
            && other.sparse == index.sparse
            && other.partial.as_ref().map(|(f, _)| f) == index.partial.as_ref().map(|(f, _)| f);
        let same_key = other.key == index.key;
        if other.is_id() && same_key {
            return Ok(true);
        }
        if other.name == index.name {
            if same_key && same_options {
                return Ok(true);
            }
            return Err(CommandError::new(
                86,
                format!(
                    "An existing index has the same name as the requested index: {}",
                    index.name
                ),
            ));
        }
        if same_key && same_options {
            return Err(CommandError::new(
                85,
                format!("Index already exists with a different name: {}", other.name),
            ));
        }
    }
    Ok(false)
}

/// Fills an index from the documents that are there.
fn build(
    batch: &mut dyn Batch,
    collection: &Collection,
    index: &Index,
) -> Result<(), CommandError> {
    let start = collection.id.to_be_bytes();
    for key in batch.keys(Table::Documents, &start, &past(&start))? {
        let (Some(record), Some(value)) =
            (record_of(&key, &[]), batch.get(Table::Documents, &key)?)
        else {
            continue;
        };
        debug_assert_eq!(document_key(collection.id, record).as_slice(), key);
        let (_, document) = loaded(value)?;
        for key in keys(index, &document)? {
            let mut full = prefixed(index, &key);
            let id = record.to_be_bytes();
            if index.unique {
                if batch.get(Table::Indexes, &full)?.is_some() {
                    return Err(CommandError::new(
                        11000,
                        format!(
                            "Index build failed: E11000 duplicate key error collection: {} index: {}",
                            collection.namespace(),
                            index.name
                        ),
                    ));
                }
                batch.put(Table::Indexes, &full, &id)?;
            } else {
                full.extend_from_slice(&id);
                batch.put(Table::Indexes, &full, &[])?;
            }
        }
    }
    Ok(())
}

async fn drop_indexes(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    let wanted = match command.get("index")? {
        Some(RawBsonRef::String(name)) => Bson::String(name.to_owned()),
        Some(RawBsonRef::Document(key)) => Bson::Document(Document::try_from(key)?),
        _ => return Err(CommandError::new(14, "'index' must be a name or a key")),
    };
    let before = indexes(core, database, target);
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            let found = catalog
                .get(&database, &target)
                .ok_or_else(|| missing(&database, &target))?;
            let mut collection = Collection::clone(found);
            let all = wanted == Bson::String("*".to_owned());
            let (gone, kept): (Vec<Index>, Vec<Index>) =
                collection.indexes.into_iter().partition(|index| {
                    !index.is_id()
                        && match &wanted {
                            Bson::String(name) => all || index.name == *name,
                            Bson::Document(key) => index.key == *key,
                            _ => false,
                        }
                });
            if gone.is_empty() && !all {
                return Err(match &wanted {
                    Bson::String(name) if name == "_id_" => {
                        CommandError::new(72, "cannot drop _id index")
                    }
                    other => CommandError::new(27, format!("index not found with name [{other}]")),
                });
            }
            for index in &gone {
                erase_index(batch, index)?;
            }
            collection.indexes = kept;
            collection.version += 1;
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(Vec::new())
        })
        .await?;
    reply(&doc! { "nIndexesWas": before, "ok": 1.0 })
}

fn list_collections(core: &Core, database: &str, command: &RawDocument) -> Answer {
    let matcher = crate::query::matcher(document(command, "filter")?)?;
    let view = core.view.load();
    let mut listed = Vec::new();
    for collection in view.catalog.all().filter(|c| c.database == database) {
        let mut options = Document::new();
        if collection.pre_images {
            options.insert("changeStreamPreAndPostImages", doc! { "enabled": true });
        }
        let entry = doc! {
            "name": &collection.name, "type": "collection", "options": options,
            "info": { "readOnly": false, "uuid": collection.uuid },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        };
        let entry_raw = RawDocumentBuf::try_from(&entry)?;
        if matcher.matches(&entry_raw).map_err(crate::mql)? {
            listed.push(entry);
        }
    }
    cursor(&format!("{database}.$cmd.listCollections"), listed)
}
