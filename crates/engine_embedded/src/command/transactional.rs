//! create and createIndexes in a transaction: for collections that the
//! transaction itself makes.

use std::sync::Arc;

use bson::{Document, RawDocument, doc};
use engine::{Answer, CommandError};

use super::write::reserve;
use super::{admin, check_writable, collection, indexes, reply};
use crate::Core;
use crate::catalog::Index;
use crate::transaction::Transaction;

pub(super) async fn create(
    core: &Arc<Core>,
    transaction: &Transaction,
    (database, target): (&str, &str),
    command: &RawDocument,
) -> Answer {
    check_writable(database, target)?;
    let asked = admin::Asked::of(command)?;
    let there = transaction.with(|changes| collection(core, changes, database, target))?;
    if there.is_some() {
        return Err(admin::exists(database, target));
    }
    let mut new = reserve(core, database, target).await?;
    asked.apply(&mut new);
    transaction.with(|changes| changes.create(new))?;
    reply(&doc! { "ok": 1.0 })
}

pub(super) async fn create_indexes(
    core: &Arc<Core>,
    transaction: &Transaction,
    (database, target): (&str, &str),
    command: &RawDocument,
) -> Answer {
    check_writable(database, target)?;
    let specifications: Vec<Document> = indexes::specifications(command)?;
    let there = transaction.with(|changes| collection(core, changes, database, target))?;
    let created = there.is_none();
    if created {
        let new = reserve(core, database, target).await?;
        transaction.with(|changes| changes.create(new))?;
    }
    // Numbers for as many indexes as there may be.
    let mut ids = reserve_ids(core, specifications.len()).await?;
    let (before, after) = transaction.with(|changes| {
        let found = collection(core, changes, database, target)?;
        let found = found.ok_or_else(|| CommandError::new(26, "ns does not exist"))?;
        let before = found.indexes.len();
        let mut changed = found.as_ref().clone();
        let mut new = Vec::new();
        for specification in &specifications {
            let id = ids.pop().unwrap_or_default();
            let index = Index::parse(id, specification, found.collation.as_ref())?;
            if !indexes::is_there(&found.indexes, &index)? {
                new.push(index);
            }
        }
        if new.is_empty() {
            return Ok((before, before));
        }
        if !changes.made(&found) {
            return Err(CommandError::new(
                263,
                format!(
                    "Cannot create new indexes on existing collection {} in a multi-document transaction.",
                    found.namespace()
                ),
            ));
        }
        changed.indexes.extend(new.iter().cloned());
        changed.version += 1;
        let after = changed.indexes.len();
        if after > indexes::INDEXES_MAX {
            let namespace = found.namespace();
            let text = format!("add index fails, too many indexes for {namespace}");
            return Err(CommandError::new(67, text));
        }
        changes.index_created(changed, &new)?;
        Ok((before, after))
    })?;
    reply(&doc! {
        "numIndexesBefore": before as i32, "numIndexesAfter": after as i32,
        "createdCollectionAutomatically": created, "ok": 1.0,
    })
}

async fn reserve_ids(core: &Core, n: usize) -> Result<Vec<u32>, CommandError> {
    let (send, wait) = tokio::sync::oneshot::channel();
    core.committer
        .define(move |_, catalog| {
            // Nobody waits any more when this fails.
            let _ = send.send((0..n).map(|_| catalog.next_id()).collect());
            Ok(Vec::new())
        })
        .await?;
    wait.await
        .map_err(|_| CommandError::new(1, "no numbers for indexes"))
}
