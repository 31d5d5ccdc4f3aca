//! Index builds while others write, and what a failed one leaves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Document, doc};
use engine::SharedEngine;
use engine::conformance::World;
use engine_embedded::{Embedded, doctor};
use kit::SystemClock;

/// More than one chunk of a build.
const DOCUMENTS: i32 = 3500;

fn open(folder: &Path) -> World {
    let engine = Embedded::open(folder, Arc::new(SystemClock)).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    World {
        engine,
        database: "d".to_owned(),
    }
}

async fn fill(w: &World) {
    let documents: Vec<Document> = (0..DOCUMENTS)
        .map(|id| doc! { "_id": id, "n": id % 100, "u": id, "tags": [id % 7, id % 11] })
        .collect();
    w.insert(documents).await;
}

fn is_whole(folder: &Path) {
    let examined = doctor(folder, false).expect("examines");
    assert_eq!(examined.problem_count, 0, "{:?}", examined.problems);
}

async fn names(w: &World) -> Vec<String> {
    let reply = w.ok(doc! { "listIndexes": "c" }).await;
    let cursor = reply.get_document("cursor").expect("a cursor");
    cursor
        .get_array("firstBatch")
        .expect("a batch")
        .iter()
        .filter_map(|index| Some(index.as_document()?.get_str("name").ok()?.to_owned()))
        .collect()
}

/// Everybody writes while three indexes are built; afterwards every document
/// has its entries, and none is too many.
#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_built_while_others_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let w = open(folder.path());
    fill(&w).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (w, done) = (w.clone(), done.clone());
            tokio::spawn(async move {
                let mut at = writer;
                let mut writes = 0;
                while !done.load(Ordering::SeqCst) || writes < 20 {
                    at = (at * 31 + 17) % DOCUMENTS;
                    let new = DOCUMENTS + writes * 3 + writer;
                    w.ok(doc! { "update": "c", "updates": [
                        { "q": { "_id": at }, "u": { "$inc": { "n": 1 }, "$set": { "tags": [at] } } },
                        { "q": { "_id": (at + 1) % DOCUMENTS }, "u": { "$set": { "other": writes } } },
                    ] }).await;
                    w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": (at + 2) % DOCUMENTS }, "limit": 1 }] }).await;
                    w.ok(doc! { "insert": "c", "documents": [{ "_id": new, "n": 5, "u": new }] }).await;
                    writes += 1;
                }
            })
        })
        .collect();
    w.ok(doc! { "createIndexes": "c", "indexes": [
        { "key": { "n": 1 }, "name": "n" },
        { "key": { "tags": 1, "n": -1 }, "name": "tags" },
        { "key": { "u": 1 }, "name": "u", "unique": true },
    ] })
    .await;
    done.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("writes");
    }
    assert_eq!(names(&w).await, ["_id_", "n", "tags", "u"]);
    drop(w);
    is_whole(folder.path());
}

/// Two sides want the same index at once: one builds it, the other finds it.
#[tokio::test(flavor = "multi_thread")]
async fn one_index_is_built_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let w = open(folder.path());
    fill(&w).await;
    let create = doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n" }] };
    let (one, two) = tokio::join!(w.ok(create.clone()), w.ok(create));
    let noted = [&one, &two].map(|reply| reply.contains_key("note"));
    assert_ne!(noted[0], noted[1], "{one} {two}");
    drop(w);
    is_whole(folder.path());
}

/// The last document of several chunks is a duplicate: nothing is left of the
/// index, nor of the one that was built with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let w = open(folder.path());
    fill(&w).await;
    w.insert(vec![doc! { "_id": "twin", "u": 1 }]).await;
    w.fails(
        doc! { "createIndexes": "c", "indexes": [
            { "key": { "n": 1 }, "name": "n" },
            { "key": { "u": 1 }, "name": "u", "unique": true },
        ] },
        11000,
    )
    .await;
    assert_eq!(names(&w).await, ["_id_"]);
    // Nobody is kept from what the index would have forbidden.
    w.insert(vec![doc! { "_id": "triplet", "u": 1 }]).await;
    drop(w);
    is_whole(folder.path());
}

/// Dropped indexes and collections leave no entries.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let w = open(folder.path());
    fill(&w).await;
    let create = doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n" }] };
    w.ok(create.clone()).await;
    w.ok(doc! { "dropIndexes": "c", "index": "n" }).await;
    w.ok(create).await;
    assert_eq!(w.find(doc! { "filter": { "n": 3 } }).await.len(), 35);
    w.ok(doc! { "drop": "c" }).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "u": 1 }, "name": "u", "unique": true }] })
        .await;
    fill(&w).await;
    drop(w);
    is_whole(folder.path());
}
