//! Writes that are sent twice happen once, also when the database was closed
//! in between.

use std::sync::Arc;

use bson::{Document, RawDocumentBuf, Uuid, doc};
use engine::{CommandError, SharedEngine};
use engine_embedded::Embedded;
use kit::SystemClock;

/// A caller that numbers its writes.
struct Caller {
    engine: SharedEngine,
    session: Uuid,
}

impl Caller {
    async fn on(&self, database: &str, command: Document) -> Result<Document, CommandError> {
        let raw = RawDocumentBuf::try_from(&command).expect("encodes");
        let reply = self.engine.command(database, &raw).await?;
        Ok(Document::try_from(reply).expect("decodes"))
    }

    async fn try_send(&self, number: i64, mut command: Document) -> Result<Document, CommandError> {
        command.insert("lsid", doc! { "id": self.session });
        command.insert("txnNumber", number);
        self.on("d", command).await
    }

    async fn send(&self, number: i64, command: Document) -> Document {
        self.try_send(number, command).await.expect("a reply")
    }

    /// Sends twice; the second answer is the first one's.
    async fn twice(&self, number: i64, command: Document, retried: &[i32]) -> Document {
        let first = self.send(number, command.clone()).await;
        let mut second = self.send(number, command).await;
        let marks = match second.remove("retriedStmtId") {
            Some(one) => Some(bson::Bson::Array(vec![one])),
            None => second.remove("retriedStmtIds"),
        };
        let expected: Vec<bson::Bson> = retried.iter().map(|n| (*n).into()).collect();
        assert_eq!(marks, Some(bson::Bson::Array(expected)));
        assert_eq!(first, second);
        first
    }

    async fn find(&self) -> Vec<Document> {
        let reply = self
            .on("d", doc! { "find": "c", "sort": { "_id": 1 } })
            .await;
        let reply = reply.expect("a reply");
        let cursor = reply.get_document("cursor").expect("a cursor");
        let batch = cursor.get_array("firstBatch").expect("a batch");
        batch
            .iter()
            .filter_map(|d| d.as_document().cloned())
            .collect()
    }
}

fn in_memory() -> Caller {
    Caller {
        engine: Arc::new(Embedded::in_memory(Arc::new(SystemClock)).expect("opens")),
        session: Uuid::new(),
    }
}

fn update(id: i32, upsert: bool) -> Document {
    doc! { "q": { "_id": id }, "u": { "$inc": { "n": 1 } }, "upsert": upsert }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_has_the_first_ones_answer() {
    let caller = in_memory();
    let insert = doc! { "insert": "c", "documents": [{ "_id": 1, "n": 0 }, { "_id": 2 }] };
    caller.twice(1, insert, &[0, 1]).await;
    let more = doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }, { "_id": 3 }] };
    let reply = caller.send(1, more).await;
    assert_eq!(reply.get_i32("n").ok(), Some(3), "one was new: {reply}");
    let updates = doc! { "update": "c", "updates": [update(1, false), update(77, true)] };
    let reply = caller.twice(2, updates, &[0, 1]).await;
    assert_eq!(reply.get_i32("nModified").ok(), Some(1));
    let modify = doc! {
        "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } }, "new": true,
    };
    let reply = caller.twice(3, modify.clone(), &[0]).await;
    assert_eq!(
        reply.get_document("value").ok(),
        Some(&doc! { "_id": 1, "n": 2 })
    );
    // What the number was for is answered, whatever is asked for now.
    let remove = doc! { "findAndModify": "c", "query": { "_id": 1 }, "remove": true };
    let reply = caller.send(3, remove.clone()).await;
    assert_eq!(
        reply.get_document("value").ok(),
        Some(&doc! { "_id": 1, "n": 2 })
    );
    caller.twice(4, remove, &[0]).await;
    let delete = doc! { "delete": "c", "deletes": [
        { "q": { "_id": 2 }, "limit": 1 }, { "q": { "_id": 3 }, "limit": 1 },
    ] };
    caller.twice(5, delete, &[0, 1]).await;
    assert_eq!(caller.find().await, [doc! { "_id": 77, "n": 1 }]);
    // What did nothing is tried again.
    let nothing = doc! { "update": "c", "updates": [update(9, false)] };
    let reply = caller.send(6, nothing.clone()).await;
    assert_eq!(reply.get_i32("n").ok(), Some(0));
    caller
        .on("d", doc! { "insert": "c", "documents": [{ "_id": 9 }] })
        .await
        .expect("inserts");
    let reply = caller.send(6, nothing).await;
    assert_eq!(reply.get_i32("nModified").ok(), Some(1));
    // Errors come again.
    let double = doc! {
        "insert": "c", "documents": [{ "_id": 500 }, { "_id": 500 }, { "_id": 501 }], "ordered": false,
    };
    caller.twice(7, double, &[0, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_up_and_are_for_single_documents() {
    let caller = in_memory();
    let insert = |id: i32| doc! { "insert": "c", "documents": [{ "_id": id }] };
    caller.send(5, insert(1)).await;
    let old = caller
        .try_send(4, insert(2))
        .await
        .expect_err("an old number");
    assert_eq!(old.code, 225);
    let many = doc! { "q": {}, "u": { "$inc": { "n": 1 } }, "multi": true };
    let delete = doc! { "q": {}, "limit": 0 };
    for command in [
        doc! { "update": "c", "updates": [many] },
        doc! { "delete": "c", "deletes": [delete] },
    ] {
        let reply = caller.send(6, command).await;
        let errors = reply.get_array("writeErrors").expect("an error");
        let error = errors[0].as_document().expect("an error");
        assert_eq!(error.get_i32("code").ok(), Some(72));
    }
    // A number is of a transaction or of other writes.
    let mut inside = insert(7);
    inside.extend(doc! { "autocommit": false, "startTransaction": true });
    let both = caller.try_send(6, inside.clone()).await.expect_err("used");
    assert_eq!(both.code, 117);
    caller.send(7, inside).await;
    let both = caller
        .try_send(7, insert(8))
        .await
        .expect_err("a transaction's");
    assert_eq!(both.code, 217);
    // Statements may have numbers of their own.
    let mut fifth = insert(20);
    fifth.insert("stmtId", 5);
    caller.send(8, fifth).await;
    let mut two = doc! { "insert": "c", "documents": [{ "_id": 21 }, { "_id": 20 }] };
    two.insert("stmtIds", vec![9, 5]);
    let reply = caller.send(8, two).await;
    assert_eq!(reply.get_i32("n").ok(), Some(2));
    assert_eq!(
        reply.get_array("retriedStmtIds").ok(),
        Some(&vec![5.into()])
    );
}

/// Two at the same time are one; an upsert without a unique key is the test of
/// that.
#[tokio::test(flavor = "multi_thread")]
async fn tries_at_the_same_time_are_one() {
    let caller = Arc::new(in_memory());
    for number in 1..=20_i64 {
        let change = doc! { "q": { "k": number }, "u": { "$inc": { "n": 1 } }, "upsert": true };
        let command = doc! { "update": "c", "updates": [change] };
        let tries: Vec<_> = (0..4)
            .map(|_| {
                let (caller, command) = (caller.clone(), command.clone());
                tokio::spawn(async move { caller.send(number, command).await })
            })
            .collect();
        for one in tries {
            one.await.expect("a try");
        }
    }
    let found = caller.find().await;
    assert_eq!(found.len(), 20, "{found:?}");
    assert!(
        found.iter().all(|d| d.get_i32("n").ok() == Some(1)),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_known_after_opening_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || -> SharedEngine {
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock));
        Arc::new(engine.expect("opens"))
    };
    let mut caller = Caller {
        engine: open(),
        session: Uuid::new(),
    };
    let updates = doc! { "update": "c", "updates": [update(1, true)] };
    caller.send(1, updates.clone()).await;
    caller.engine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).expect("opens"));
    caller.engine = open();
    let reply = caller.send(1, updates.clone()).await;
    assert!(reply.contains_key("retriedStmtIds"), "{reply}");
    assert_eq!(caller.find().await, [doc! { "_id": 1, "n": 1 }]);
    // A commit that is asked for again, too.
    let mut inside = updates;
    inside.extend(doc! { "autocommit": false, "startTransaction": true });
    caller.send(2, inside).await;
    let commit = doc! {
        "commitTransaction": 1, "lsid": { "id": caller.session }, "txnNumber": 2_i64,
        "autocommit": false,
    };
    caller.on("admin", commit.clone()).await.expect("commits");
    caller.engine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).expect("opens"));
    caller.engine = open();
    caller.on("admin", commit).await.expect("was committed");
    assert_eq!(caller.find().await, [doc! { "_id": 1, "n": 2 }]);
}

/// 64 MiB are the most that a transaction keeps in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_writes_too_much_is_refused() {
    let caller = in_memory();
    let text = "x".repeat(15 << 20);
    let part = |id: i32| {
        let mut insert = doc! { "insert": "c", "documents": [{ "_id": id, "t": &text }] };
        insert.insert("autocommit", false);
        if id == 0 {
            insert.insert("startTransaction", true);
        }
        insert
    };
    for id in 0..4 {
        let reply = caller.send(1, part(id)).await;
        assert!(!reply.contains_key("writeErrors"), "document {id}");
    }
    let reply = caller.send(1, part(4)).await;
    let errors = reply.get_array("writeErrors").expect("too much");
    let error = errors[0].as_document().expect("an error");
    assert_eq!(error.get_i32("code").ok(), Some(257));
    let over = caller.try_send(1, part(5)).await.expect_err("aborted");
    assert_eq!(over.code, 251);
    assert!(caller.find().await.is_empty());
}
