//! Filling new indexes, a chunk at a time, so that nobody waits long for the
//! committer.
//!
//! An index that is being built is in the catalogue: from that commit on every
//! write keeps it up to date, and what was there before is filled in. Reads see
//! it when it is whole. What a process left unfinished, the next one drops.

use std::collections::HashMap;
use std::sync::Arc;

use bson::RawDocument;
use engine::CommandError;

use crate::books::abandon;
use crate::catalog::{Catalog, Collection, Index, store};
use crate::command::admin::erase;
use crate::command::blocking;
use crate::index::{arrays, keys, prefixed};
use crate::kv::{Batch, Kv, Table};
use crate::layout::{Record, document_key, loaded, past, record_of};
use crate::{Core, View, event};

/// Documents that one commit fills in at most.
const DOCUMENTS_PER_CHUNK: usize = 1000;
/// Bytes of documents that one commit fills in, give or take one document.
const BYTES_PER_CHUNK: usize = 4 * 1024 * 1024;

/// A document with the keys that it has in the indexes under construction.
struct Entry {
    record: Record,
    /// The commit that wrote the document.
    commit: u64,
    keys: Vec<Keys>,
}

/// The keys of one document in one index.
struct Keys {
    keys: Vec<Vec<u8>>,
    arrays: Vec<u32>,
}

impl Keys {
    fn of(index: &Index, document: &RawDocument) -> Result<Self, CommandError> {
        Ok(Self {
            keys: keys(index, document)?,
            arrays: arrays(index, document),
        })
    }
}

/// Fills the indexes `ids` of a collection, then lets reads use them. On an
/// error none of them is left, and none of their entries.
pub(crate) async fn fill(
    core: &Arc<Core>,
    collection: u32,
    ids: Vec<u32>,
) -> Result<(), CommandError> {
    let result = fill_all(core, collection, &ids).await;
    let failed = result.is_err();
    core.committer
        .define(move |batch, catalog| {
            let mut events = Vec::new();
            let Some(mut found) = catalog.change(collection) else {
                return Ok(events);
            };
            if failed {
                let (gone, kept): (Vec<Index>, _) = found
                    .indexes
                    .into_iter()
                    .partition(|index: &Index| ids.contains(&index.id));
                found.indexes = kept;
                found.version += 1;
                gone.iter().try_for_each(|index| abandon(batch, index.id))?;
            } else {
                let mut made = Vec::new();
                for index in &mut found.indexes {
                    if index.building && ids.contains(&index.id) {
                        index.building = false;
                        made.push(index.clone());
                    }
                }
                events.push(event::create_indexes(&found, &made)?);
            }
            store(batch, &found)?;
            catalog.insert(found);
            Ok(events)
        })
        .await?;
    result
}

async fn fill_all(core: &Arc<Core>, collection: u32, ids: &[u32]) -> Result<(), CommandError> {
    let mut next = Some(0);
    while let Some(from) = next {
        let view = core.view.load_full();
        let wanted = ids.to_vec();
        let (found, chunk, after) =
            blocking(move || read_chunk(&view, collection, &wanted, from)).await?;
        next = after;
        let ids = ids.to_vec();
        core.committer
            .define(move |batch, catalog| {
                fill_chunk(batch, catalog, &found, &ids, chunk)?;
                Ok(Vec::new())
            })
            .await?;
    }
    Ok(())
}

fn aborted() -> CommandError {
    CommandError::new(276, "Index build aborted: the index was dropped")
}

/// The indexes of a collection that are still to be filled.
fn indexes<'a>(
    catalog: &'a Catalog,
    collection: u32,
    ids: &[u32],
) -> Result<(Arc<Collection>, Vec<&'a Index>), CommandError> {
    let found = catalog.by_id(collection).ok_or_else(aborted)?;
    let indexes: Vec<&Index> = ids
        .iter()
        .filter_map(|id| found.indexes.iter().find(|index| index.id == *id))
        .collect();
    if indexes.len() < ids.len() {
        return Err(aborted());
    }
    Ok((found.clone(), indexes))
}

type Chunk = (Arc<Collection>, Vec<Entry>, Option<Record>);

/// The next documents from a record on, with their keys, and the record to go
/// on from.
fn read_chunk(
    view: &View,
    collection: u32,
    ids: &[u32],
    from: Record,
) -> Result<Chunk, CommandError> {
    let (found, indexes) = indexes(&view.catalog, collection, ids)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let start = document_key(collection, from);
    let end = past(&collection.to_be_bytes());
    for pair in view.snapshot.range(Table::Documents, &start, &end, false) {
        let (key, value) = pair?;
        let Some(record) = record_of(&key, &[]) else {
            continue;
        };
        if entries.len() >= DOCUMENTS_PER_CHUNK || bytes >= BYTES_PER_CHUNK {
            return Ok((found, entries, Some(record)));
        }
        bytes += value.len();
        let (commit, document) = loaded(&value)?;
        let keys = indexes.iter().map(|index| Keys::of(index, document));
        entries.push(Entry {
            record,
            commit,
            keys: keys
                .collect::<Result<_, _>>()
                .map_err(|error| failed(&found, error))?,
        });
    }
    Ok((found, entries, None))
}

/// Writes a chunk's keys. Nothing is written unless all of it can be.
fn fill_chunk(
    batch: &mut dyn Batch,
    catalog: &mut Catalog,
    found: &Collection,
    ids: &[u32],
    chunk: Vec<Entry>,
) -> Result<(), CommandError> {
    let (collection, indexes) = indexes(catalog, found.id, ids)?;
    let mut changed = Collection::clone(&collection);
    let mut added: HashMap<Vec<u8>, Record> = HashMap::new();
    let mut puts: Vec<(Vec<u8>, Option<Record>)> = Vec::new();
    for entry in chunk {
        let Some(value) = batch.get(Table::Documents, &document_key(found.id, entry.record))?
        else {
            continue;
        };
        let (commit, document) = loaded(&value)?;
        let current = if commit == entry.commit {
            entry.keys
        } else {
            // Written since: keys that did not change were not written then.
            let keys = indexes.iter().map(|index| Keys::of(index, document));
            keys.collect::<Result<_, _>>()
                .map_err(|error| failed(found, error))?
        };
        for (index, Keys { keys, arrays }) in indexes.iter().zip(current) {
            changed.note_arrays(index.id, &arrays);
            for key in keys {
                let mut full = prefixed(index, &key);
                if !index.unique {
                    full.extend_from_slice(&entry.record.to_be_bytes());
                    puts.push((full, None));
                    continue;
                }
                let owner = match added.get(&full) {
                    Some(owner) => Some(*owner),
                    None => batch
                        .get(Table::Indexes, &full)?
                        .and_then(|value| record_of(&full, &value)),
                };
                if owner.is_some_and(|owner| owner != entry.record) {
                    let error = crate::write::duplicate(found, index, Some(document), &key);
                    return Err(failed(found, error));
                }
                added.insert(full.clone(), entry.record);
                puts.push((full, Some(entry.record)));
            }
        }
    }
    for (key, record) in puts {
        let record = record.map(Record::to_be_bytes);
        let value: &[u8] = record.as_ref().map_or(&[], |record| record);
        batch.put(Table::Indexes, &key, value)?;
    }
    store(batch, &changed)?;
    catalog.insert(changed);
    Ok(())
}

fn failed(collection: &Collection, mut error: CommandError) -> CommandError {
    error.message = format!(
        "Index build failed: {}: Collection {} ( {} ) :: caused by :: {}",
        bson::Uuid::new(),
        collection.namespace(),
        collection.uuid,
        error.message
    );
    error
}

/// Drops the indexes that an earlier process was building and the collections that
/// it was filling for `$out`. Runs before anybody else.
pub(crate) fn recover(kv: &dyn Kv) -> Result<(), CommandError> {
    let snapshot = kv.snapshot()?;
    let catalog = Catalog::load(snapshot.as_ref())?;
    let unfinished: Vec<Collection> = catalog
        .all()
        .filter(|collection| {
            collection.temporary || collection.indexes.iter().any(|index| index.building)
        })
        .map(|collection| Collection::clone(collection))
        .collect();
    drop(snapshot);
    if !unfinished.is_empty() {
        kv.write(&mut |batch| {
            for collection in &unfinished {
                if collection.temporary {
                    // Nobody was ever told of it.
                    erase(batch, collection)?;
                    continue;
                }
                let mut kept = collection.clone();
                kept.indexes.retain(|index| !index.building);
                kept.version += 1;
                for index in collection.indexes.iter().filter(|index| index.building) {
                    abandon(batch, index.id)?;
                }
                store(batch, &kept)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bson::{doc, rawdoc};
    use engine::Engine as _;
    use kit::SystemClock;

    use super::*;
    use crate::Embedded;

    /// The process ends with an index half filled.
    #[tokio::test]
    async fn a_build_that_was_cut_off_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
        let mut documents = bson::RawArrayBuf::new();
        for n in 0..2500 {
            documents.push(rawdoc! { "_id": n, "n": n });
        }
        let insert = rawdoc! { "insert": "c", "documents": documents };
        engine.command("d", &insert).await.expect("inserts");
        let create = rawdoc! { "createIndexes": "c", "indexes": [{ "key": { "_id": 1, "n": 1 }, "name": "old" }] };
        engine.command("d", &create).await.expect("creates");

        let core = &engine.core;
        let id = core.view.load().catalog.get("d", "c").expect("there").id;
        core.committer
            .define(move |batch, catalog| {
                let mut found = catalog.change(id).expect("there");
                let specification = doc! { "key": { "n": 1 }, "name": "new", "unique": true };
                let mut index = Index::parse(99, &specification, None).expect("an index");
                index.building = true;
                found.indexes.push(index);
                let old: Vec<Index> = found.indexes.extract_if(1..2, |_| true).collect();
                old.iter().try_for_each(|index| abandon(batch, index.id))?;
                store(batch, &found)?;
                catalog.insert(found);
                Ok(Vec::new())
            })
            .await
            .expect("registers");
        let view = core.view.load_full();
        let (found, chunk, next) = read_chunk(&view, id, &[99], 0).expect("reads");
        assert!(next.is_some(), "there is more to fill");
        core.committer
            .define(move |batch, catalog| {
                fill_chunk(batch, catalog, &found, &[99], chunk)?;
                Ok(Vec::new())
            })
            .await
            .expect("fills");
        let start = 99u32.to_be_bytes();
        let range = |view: &View| {
            let entries = view
                .snapshot
                .range(Table::Indexes, &start, &past(&start), false);
            entries.count()
        };
        assert_eq!(range(&core.view.load()), DOCUMENTS_PER_CHUNK);
        drop((view, engine));

        let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
        let view = engine.core.view.load_full();
        let found = view.catalog.get("d", "c").expect("there");
        assert_eq!(found.indexes.len(), 1, "{:?}", found.indexes);
        drop((view, engine));
        let examined = crate::doctor(folder.path(), false).expect("examines");
        assert_eq!(examined.problem_count, 0, "{:?}", examined.problems);
    }
}
