//! What ends by itself: cursors that nobody reads, transactions, the memory of
//! numbered writes. The clock is the test's.

use std::sync::Arc;

use bson::{Document, Uuid, doc};
use engine::conformance::World;
use engine::{CommandError, SharedEngine};
use engine_embedded::Embedded;
use kit::clock::FakeClock;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;

fn open() -> (World, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::at(1_700_000_000_000));
    let engine = Embedded::in_memory(clock.clone()).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    let world = World {
        engine,
        database: "d".to_owned(),
    };
    (world, clock)
}

/// Five documents, and a cursor that has read two of them.
async fn cursor(w: &World, with: Document) -> i64 {
    let mut find = doc! { "find": "c", "batchSize": 2 };
    find.extend(with);
    let reply = w.ok(find).await;
    let id = reply.get_document("cursor").and_then(|c| c.get_i64("id"));
    id.expect("an open cursor")
}

async fn five(w: &World) {
    w.insert((0..5).map(|n| doc! { "_id": n }).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_ends_ten_minutes_after_it_was_read() {
    let (w, clock) = open();
    five(&w).await;
    let more = |id: i64| doc! { "getMore": id, "collection": "c", "batchSize": 1 };
    let patient = cursor(&w, doc! { "noCursorTimeout": true }).await;
    for with in [doc! {}, doc! { "sort": { "x": 1 } }] {
        let id = cursor(&w, with).await;
        // Each reading begins the time anew.
        clock.advance_ms(10 * MINUTE_MS - 1);
        w.ok(more(id)).await;
        clock.advance_ms(10 * MINUTE_MS - 1);
        w.ok(more(id)).await;
        clock.advance_ms(10 * MINUTE_MS);
        w.fails(more(id), 43).await;
        // A clock that is set changes nothing.
        let other = cursor(&w, doc! {}).await;
        clock.advance_ms(-60 * MINUTE_MS);
        w.ok(more(other)).await;
        clock.advance_ms(60 * MINUTE_MS);
    }
    w.ok(more(patient)).await;
}

struct InTransaction<'a> {
    w: &'a World,
    session: Uuid,
}

impl InTransaction<'_> {
    fn command(&self, mut command: Document) -> Document {
        command.extend(
            doc! { "lsid": { "id": self.session }, "txnNumber": 1_i64, "autocommit": false },
        );
        command
    }

    async fn begin(&self, id: i32) {
        let mut insert = self.command(doc! { "insert": "c", "documents": [{ "_id": id }] });
        insert.insert("startTransaction", true);
        self.w.ok(insert).await;
    }

    async fn commit(&self) -> Result<Document, CommandError> {
        let admin = World {
            engine: self.w.engine.clone(),
            database: "admin".to_owned(),
        };
        admin
            .run(self.command(doc! { "commitTransaction": 1 }))
            .await
    }

    async fn find(&self) -> Result<Document, CommandError> {
        self.w.run(self.command(doc! { "find": "c" })).await
    }

    fn has_ended(result: Result<Document, CommandError>) {
        let error = result.expect_err("it has ended");
        assert_eq!(error.code, 251, "{error}");
        assert!(error.is_transient(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_ends_a_minute_after_it_began() {
    let (w, clock) = open();
    five(&w).await;
    let new = || InTransaction {
        w: &w,
        session: Uuid::new(),
    };
    // Using it makes it no younger.
    let (in_time, late, left) = (new(), new(), new());
    in_time.begin(10).await;
    clock.advance_ms(30 * SECOND_MS);
    late.begin(11).await;
    left.begin(12).await;
    clock.advance_ms(30 * SECOND_MS - 1);
    in_time.find().await.expect("it runs");
    in_time.commit().await.expect("it commits");
    clock.advance_ms(30 * SECOND_MS);
    late.find().await.expect("it runs");
    // What it holds is in the way of others until then.
    let insert = doc! { "insert": "c", "documents": [{ "_id": 12 }], "maxTimeMS": 1 };
    w.fails(insert.clone(), 50).await;
    clock.advance_ms(1);
    InTransaction::has_ended(late.find().await);
    InTransaction::has_ended(late.commit().await);
    w.insert(vec![doc! { "_id": 12 }]).await;
    InTransaction::has_ended(left.commit().await);
    let ids: Vec<i32> = w
        .find(doc! { "sort": { "_id": 1 } })
        .await
        .iter()
        .filter_map(|d| d.get_i32("_id").ok())
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 10, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_write_is_remembered_for_half_an_hour() {
    let (w, clock) = open();
    w.insert(vec![doc! { "_id": 1, "n": 0 }]).await;
    let session = Uuid::new();
    let add = doc! {
        "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "$inc": { "n": 1 } } }],
        "lsid": { "id": session }, "txnNumber": 1_i64,
    };
    let n = async || {
        let found = w.find(doc! {}).await;
        found[0].get_i32("n").expect("a number")
    };
    let other = async || {
        w.ok(doc! { "update": "other", "updates": [{ "q": {}, "u": { "$inc": { "x": 1 } }, "upsert": true }] })
            .await
    };
    w.ok(add.clone()).await;
    clock.advance_ms(30 * MINUTE_MS);
    // What is too old is looked for when something is written.
    other().await;
    let again = w.ok(add.clone()).await;
    assert_eq!(again.get_i32("nModified").ok(), Some(1), "{again}");
    assert_eq!(n().await, 1, "not done twice");
    clock.advance_ms(5 * MINUTE_MS);
    other().await;
    w.ok(add).await;
    assert_eq!(n().await, 2, "forgotten");
}
