//! Expiry: documents go when the date at the key of a TTL index is old enough.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, cstr, doc};
use engine::CommandError;
use mql::Matcher;

use crate::catalog::{Collection, Index};
use crate::query::{self, Wanted};
use crate::walk::Effort;
use crate::{Core, View, command};

/// Time between two passes, by the engine's clock.
const EVERY_MS: i64 = 60_000;
/// Time between two looks at that clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Documents that one write deletes at most.
const DOCUMENTS_PER_WRITE: usize = 1000;

/// Expires documents until the database is dropped. Does nothing outside of a
/// runtime: then [`pass`] is the caller's.
pub(crate) fn start(core: &Arc<Core>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let (weak, mut last) = (Arc::downgrade(core), core.clock.now_ms());
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !look(&weak, &mut last).await {
                return;
            }
        }
    });
}

/// Makes a pass if it is time; false when the database is gone.
async fn look(core: &Weak<Core>, last: &mut i64) -> bool {
    let Some(core) = core.upgrade() else {
        return false;
    };
    let now = core.clock.now_ms();
    if now.saturating_sub(*last) >= EVERY_MS {
        *last = now;
        // What fails is tried again by the next pass.
        let _ = pass(&core).await;
    }
    true
}

/// Deletes what has expired; how many documents that were.
pub(crate) async fn pass(core: &Arc<Core>) -> Result<u64, CommandError> {
    let view = core.view.load_full();
    let mut deleted = 0;
    for collection in view.catalog.all() {
        for index in collection.indexes.iter().filter(|index| !index.building) {
            if let Some(seconds) = index.expire_after_s {
                deleted += expire(core, collection, index, seconds).await?;
            }
        }
    }
    Ok(deleted)
}

/// What has expired by one index. An array's least date counts; what is no
/// date never expires.
async fn expire(
    core: &Arc<Core>,
    collection: &Collection,
    index: &Index,
    seconds: i64,
) -> Result<u64, CommandError> {
    let Some((path, _)) = index.fields.first() else {
        return Ok(0);
    };
    let until = core
        .clock
        .now_ms()
        .saturating_sub(seconds.saturating_mul(1000));
    let expired = doc! { path.as_str(): { "$lte": DateTime::from_millis(until) } };
    let filter = match &index.partial {
        Some((filter, _)) => doc! { "$and": [filter.clone(), expired] },
        None => expired,
    };
    let mut deleted = 0;
    loop {
        let (view, id) = (core.view.load_full(), collection.id);
        let raw = RawDocumentBuf::try_from(&filter)?;
        let ids = command::blocking(move || candidates(&view, id, &raw)).await?;
        if ids.is_empty() {
            return Ok(deleted);
        }
        let n = delete(core, collection, &filter, ids).await?;
        if n == 0 {
            // Others were faster; the next pass looks again.
            return Ok(deleted);
        }
        deleted += n;
    }
}

/// The `_id`s of some documents that have expired.
fn candidates(view: &View, id: u32, filter: &RawDocument) -> Result<Vec<Bson>, CommandError> {
    let mut ids = Vec::new();
    let Some(collection) = view.catalog.by_id(id) else {
        return Ok(ids);
    };
    let matcher = Matcher::parse(filter).map_err(crate::mql)?;
    query::each(
        (view, None),
        collection,
        &Wanted::by(&matcher),
        &Effort::default(),
        &mut |found| {
            if let Some(id) = found.document()?.get("_id")? {
                ids.push(Bson::try_from(id)?);
            }
            Ok(ids.len() < DOCUMENTS_PER_WRITE)
        },
    )?;
    Ok(ids)
}

/// Deletes documents that are expired still, as anybody would.
async fn delete(
    core: &Arc<Core>,
    collection: &Collection,
    filter: &Document,
    ids: Vec<Bson>,
) -> Result<u64, CommandError> {
    let query = doc! { "$and": [{ "_id": { "$in": ids } }, filter.clone()] };
    let mut delete = RawDocumentBuf::new();
    delete.append(cstr!("delete"), collection.name.as_str());
    let statement = doc! { "q": query, "limit": 0, "collation": { "locale": "simple" } };
    let mut statements = bson::RawArrayBuf::new();
    statements.push(RawDocumentBuf::try_from(&statement)?);
    delete.append(cstr!("deletes"), statements);
    let reply = command::run(core, &collection.database, &delete).await?;
    Ok(reply.get_i32("n").map_or(0, |n| n.unsigned_abs().into()))
}
