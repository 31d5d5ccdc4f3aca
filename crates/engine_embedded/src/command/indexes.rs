//! createIndexes, listIndexes and dropIndexes.

use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, doc};
use engine::{Answer, CommandError};

use super::admin::{cursor, missing};
use super::{check_fields, check_namespace, reply};
use crate::Core;
use crate::books::abandon;
use crate::catalog::{Catalog, Collection, Index, store};
use crate::event;
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
        "createIndexes" => create_indexes(core, database, target, command).await,
        "dropIndexes" => drop_indexes(core, database, target, command).await,
        _ => list(&core.view.load().catalog, database, target),
    }
}

/// The indexes of a collection.
pub(crate) fn list(catalog: &Catalog, database: &str, target: &str) -> Answer {
    let collection = catalog
        .get(database, target)
        .ok_or_else(|| missing(database, target))?;
    let indexes = collection.indexes.iter().map(Index::describe).collect();
    cursor(&collection.namespace(), indexes)
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
            let mut events = Vec::new();
            let mut collection = if let Some(found) = found {
                Collection::clone(&found)
            } else {
                let collection = catalog.create(&owned_database, &owned_target);
                events.push(event::create(&collection)?);
                collection
            };
            let old = collection.indexes.len();
            for specification in &specifications {
                let index = Index::parse(
                    catalog.next_id(),
                    specification,
                    collection.collation.as_ref(),
                )?;
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
            let new = collection.indexes.get(old..).unwrap_or_default();
            if !new.is_empty() {
                events.push(event::create_indexes(&collection, new)?);
            }
            catalog.insert(collection);
            Ok(events)
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
            && other.collation == index.collation
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
            collection.indexes = kept;
            let mut events = Vec::new();
            for index in &gone {
                abandon(batch, index.id)?;
                let gone = std::slice::from_ref(index);
                events.push(event::drop_indexes(&collection, gone)?);
            }
            collection.version += 1;
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(events)
        })
        .await?;
    reply(&doc! { "nIndexesWas": before, "ok": 1.0 })
}
