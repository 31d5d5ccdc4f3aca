//! Documents that expire.

use std::sync::Arc;

use bson::{DateTime, Document, doc};
use engine::conformance::World;
use engine::{SharedEngine, WatchRequest};
use engine_embedded::Embedded;
use kit::clock::FakeClock;

const START_MS: i64 = 1_700_000_000_000;

fn open() -> (Embedded, World, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::at(START_MS));
    let engine = Embedded::in_memory(clock.clone()).expect("opens");
    let shared: SharedEngine = Arc::new(engine.clone());
    let world = World {
        engine: shared,
        database: "d".to_owned(),
    };
    (engine, world, clock)
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(START_MS + seconds * 1000)
}

async fn ids(w: &World) -> Vec<i32> {
    let found = w
        .find(doc! { "sort": { "_id": 1 }, "batchSize": 10_000 })
        .await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn index(w: &World, key: Document, with: Document) {
    let mut index = doc! { "key": key, "name": "ttl", "expireAfterSeconds": 60 };
    index.extend(with);
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_expire_by_their_dates() {
    let (engine, w, clock) = open();
    index(&w, doc! { "t": 1 }, doc! {}).await;
    w.insert(vec![
        doc! { "_id": 1, "t": at(-61) },
        doc! { "_id": 2, "t": at(-60) },
        doc! { "_id": 3, "t": at(-59) },
        // The least date of an array counts.
        doc! { "_id": 4, "t": [at(1000), at(-70)] },
        doc! { "_id": 5, "t": [at(1000), at(10), "x"] },
        // What is no date never expires.
        doc! { "_id": 6, "t": -100_000 },
        doc! { "_id": 7, "t": "1970-01-01" },
        doc! { "_id": 8 },
        doc! { "_id": 9, "t": null },
        doc! { "_id": 10, "t": [] },
    ])
    .await;
    assert_eq!(engine.expire().await.expect("expires"), 3);
    assert_eq!(ids(&w).await, [3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(engine.expire().await.expect("expires"), 0);
    clock.advance_ms(1000);
    assert_eq!(engine.expire().await.expect("expires"), 1);
    // A change of the time takes effect, and so does hiding the index: none.
    clock.advance_ms(100_000);
    w.ok(doc! { "collMod": "c", "index": { "name": "ttl", "expireAfterSeconds": 3600, "hidden": true } })
        .await;
    assert_eq!(engine.expire().await.expect("expires"), 0);
    w.ok(doc! { "collMod": "c", "index": { "name": "ttl", "expireAfterSeconds": 0 } })
        .await;
    assert_eq!(engine.expire().await.expect("expires"), 1);
    assert_eq!(ids(&w).await, [6, 7, 8, 9, 10]);
}

/// More than one write, each with its events; a partial index takes its own.
#[tokio::test(flavor = "multi_thread")]
async fn expiry_is_written_like_anything_else() {
    let (engine, w, _) = open();
    let filter = doc! { "partialFilterExpression": { "gone": true } };
    index(&w, doc! { "t": -1 }, filter).await;
    let documents = (0..2500)
        .map(|id| doc! { "_id": id, "t": at(-100), "gone": id % 10 != 0 })
        .collect();
    w.insert(documents).await;
    let mut feed = w
        .engine
        .watch(WatchRequest::default())
        .await
        .expect("watches");
    assert_eq!(engine.expire().await.expect("expires"), 2250);
    assert_eq!(ids(&w).await.len(), 250);
    for _ in 0..2250 {
        let event = feed.next().await.expect("an event");
        assert_eq!(event.get_str("operationType").expect("a type"), "delete");
    }
}

/// The engine does it by itself when a minute of its clock is over.
#[tokio::test(flavor = "multi_thread")]
async fn expiry_goes_by_the_engines_clock() {
    let (_engine, w, clock) = open();
    index(&w, doc! { "t": 1 }, doc! {}).await;
    w.insert(vec![
        doc! { "_id": 1, "t": at(-30) },
        doc! { "_id": 2, "t": at(30) },
    ])
    .await;
    let mut feed = w
        .engine
        .watch(WatchRequest::default())
        .await
        .expect("watches");
    clock.advance_ms(60_000);
    let event = feed.next().await.expect("an event");
    assert_eq!(event.get_str("operationType").expect("a type"), "delete");
    assert_eq!(ids(&w).await, [2]);
}
