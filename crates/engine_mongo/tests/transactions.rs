//! Sessions and transactions: what the driver's sessions must not change.

use std::sync::Arc;

use bson::{Document, doc};
use engine::{CommandError, SharedEngine, with_transaction};
use engine_mongo::Mongo;

use crate::server::{Server, TESTABLE, ok, run};

/// Fields of a transaction's command.
fn part(id: &str, number: i64, starts: bool, mut command: Document) -> Document {
    let mut bytes = [0; 16];
    bytes[..id.len()].copy_from_slice(id.as_bytes());
    command.insert("lsid", doc! { "id": bson::Uuid::from_bytes(bytes) });
    command.insert("txnNumber", number);
    command.insert("autocommit", false);
    if starts {
        command.insert("startTransaction", true);
    }
    command
}

fn insert(id: i32) -> Document {
    doc! { "insert": "c", "documents": [{ "_id": id }] }
}

async fn count(mongo: &Mongo) -> i32 {
    // Without a query the server answers from figures that run ahead.
    let count = doc! { "count": "c", "query": { "_id": { "$gte": 0 } } };
    let reply = ok(mongo, "t", count).await;
    reply.get_i32("n").expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_session_are_one_transaction() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    ok(&mongo, "t", doc! { "create": "c" }).await;

    ok(&mongo, "t", part("a", 1, true, insert(1))).await;
    ok(&mongo, "t", part("a", 1, false, insert(2))).await;
    assert_eq!(count(&mongo).await, 0, "not seen before the commit");
    let found = part("a", 1, false, doc! { "find": "c", "batchSize": 1 });
    let found = ok(&mongo, "t", found).await;
    let cursor = found.get_document("cursor").expect("a cursor");
    let id = cursor.get_i64("id").expect("an id");
    assert_ne!(id, 0);
    let more = part("a", 1, false, doc! { "getMore": id, "collection": "c" });
    let more = ok(&mongo, "t", more).await;
    let rest = more
        .get_document("cursor")
        .and_then(|c| c.get_array("nextBatch"));
    assert_eq!(rest.expect("a batch").len(), 1);
    ok(
        &mongo,
        "admin",
        part("a", 1, false, doc! { "commitTransaction": 1 }),
    )
    .await;
    assert_eq!(count(&mongo).await, 2);

    // The session goes on with the next number; an older one is refused.
    ok(&mongo, "t", part("a", 5, true, insert(3))).await;
    let old = run(&mongo, "t", part("a", 4, true, insert(4))).await;
    assert_eq!(old.expect_err("an old number").code, 225);
    let same = run(&mongo, "t", part("a", 5, true, insert(4))).await;
    assert_eq!(same.expect_err("begun twice").code, 117);
    ok(
        &mongo,
        "admin",
        part("a", 5, false, doc! { "abortTransaction": 1 }),
    )
    .await;
    assert_eq!(count(&mongo).await, 2);
    let over = run(&mongo, "t", part("a", 5, false, insert(3))).await;
    let over = over.expect_err("the transaction is over");
    assert_eq!(over.code, 251);
    assert!(over.is_transient(), "{over:?}");

    // A newer one aborts what the session left open.
    for number in 1..=20 {
        ok(&mongo, "t", part("b", number, true, insert(7))).await;
    }
    ok(
        &mongo,
        "admin",
        part("b", 20, false, doc! { "commitTransaction": 1 }),
    )
    .await;
    assert_eq!(count(&mongo).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_writers_conflicts_and_says_so() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    ok(&mongo, "t", insert(1)).await;
    let update = |n: i32| {
        doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "n": n } } }] }
    };
    ok(&mongo, "t", part("a", 1, true, update(1))).await;
    let second = run(&mongo, "t", part("b", 1, true, update(2))).await;
    let second = second.expect_err("a conflict");
    assert_eq!(second.code, 112, "{second:?}");
    assert!(second.is_transient(), "{second:?}");
    let aborted = run(
        &mongo,
        "admin",
        part("b", 1, false, doc! { "commitTransaction": 1 }),
    )
    .await;
    assert_eq!(aborted.expect_err("nothing to commit").code, 251);
    ok(
        &mongo,
        "admin",
        part("a", 1, false, doc! { "commitTransaction": 1 }),
    )
    .await;
    let found = ok(&mongo, "t", doc! { "find": "c" }).await;
    let found = found
        .get_document("cursor")
        .and_then(|c| c.get_array("firstBatch"));
    assert_eq!(
        found.expect("a batch")[0].as_document(),
        Some(&doc! { "_id": 1, "n": 1 })
    );
}

/// A duplicate key in a transaction is an error of the write, and the caller's
/// read concern is the transaction's.
#[tokio::test(flavor = "multi_thread")]
async fn write_errors_stay_and_a_read_concern_is_taken() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    ok(&mongo, "t", insert(1)).await;
    let mut first = insert(1);
    first.insert("readConcern", doc! { "level": "local" });
    let reply = run(&mongo, "t", part("a", 1, true, first)).await;
    let code = match reply {
        Ok(reply) => reply.get_array("writeErrors").expect("errors")[0]
            .as_document()
            .and_then(|error| error.get_i32("code").ok()),
        Err(error) => Some(error.code),
    };
    assert_eq!(code, Some(11000));
    let mut wrong = insert(2);
    wrong.insert("readConcern", doc! { "level": "linearizable" });
    let wrong = run(&mongo, "t", part("b", 1, true, wrong)).await;
    assert_eq!(wrong.expect_err("not in a transaction").code, 72);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_clients_move_money_and_lose_none() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let engine: SharedEngine = Arc::new(server.connect("").await);
    let accounts = engine::Collection::new(&engine, "t", "accounts");
    let all: Vec<_> = (0..4)
        .map(|id| bson::rawdoc! { "_id": id, "n": 100 })
        .collect();
    accounts.insert_many(&all).await.expect("accounts");
    let clients: Vec<_> = (0..8_i32)
        .map(|client| {
            let (engine, accounts) = (engine.clone(), accounts.clone());
            tokio::spawn(async move {
                for step in 0..10 {
                    let (from, to) = ((client + step) % 4, (client + step * 3 + 1) % 4);
                    with_transaction::<(), CommandError, _>(&engine, |session| {
                        let inside = accounts.within(session);
                        Box::pin(async move {
                            let take = doc! { "$inc": { "n": -1 } };
                            inside.update_one(doc! { "_id": from }, take).await?;
                            let give = doc! { "$inc": { "n": 1 } };
                            inside.update_one(doc! { "_id": to }, give).await?;
                            Ok(())
                        })
                    })
                    .await
                    .expect("a transfer");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
    let sum = accounts
        .aggregate(vec![
            doc! { "$group": { "_id": null, "n": { "$sum": "$n" } } }.into(),
        ])
        .await
        .expect("a sum");
    assert_eq!(sum[0].get_i32("n").ok(), Some(400));
    assert!(engine.capabilities().transactions);
}

/// A caller that goes away in the middle of a command leaves nothing open.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_caller_left_is_over() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    ok(&mongo, "t", insert(1)).await;
    ok(&mongo, "t", part("a", 1, true, insert(2))).await;
    server.signal("STOP");
    let stuck = run(&mongo, "t", part("a", 1, false, insert(3)));
    let left = tokio::time::timeout(std::time::Duration::from_millis(100), stuck).await;
    server.signal("CONT");
    assert!(left.is_err(), "it waited");
    let next = run(&mongo, "t", part("a", 1, false, insert(4))).await;
    assert_eq!(next.expect_err("the transaction is over").code, 251);
    // Its lock on the document is gone as well.
    ok(&mongo, "t", insert(2)).await;
    assert_eq!(count(&mongo).await, 2);
}

/// A commit whose answer is lost is asked for until it is known, and happens
/// once.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_commit_is_asked_for_again() {
    let Some(server) = Server::start(TESTABLE).await else {
        return;
    };
    let mongo = server.connect("").await;
    let lose = async |times: i32| {
        let data = doc! { "failCommands": ["commitTransaction"], "closeConnection": true };
        let mode = doc! { "times": times };
        let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        ok(&mongo, "admin", point).await;
    };
    ok(&mongo, "t", doc! { "create": "c" }).await;
    // The driver asks twice; the caller can go on asking.
    lose(2).await;
    ok(&mongo, "t", part("a", 1, true, insert(1))).await;
    let commit = || part("a", 1, false, doc! { "commitTransaction": 1 });
    let unknown = run(&mongo, "admin", commit()).await.expect_err("unknown");
    assert_eq!(unknown.code, 6, "{unknown:?}");
    assert!(unknown.is_outcome_unknown(), "{unknown:?}");
    ok(&mongo, "admin", commit()).await;
    assert_eq!(count(&mongo).await, 1);
    // Our own code does.
    lose(3).await;
    let engine: SharedEngine = Arc::new(mongo.clone());
    let all = engine::Collection::new(&engine, "t", "c");
    with_transaction::<(), CommandError, _>(&engine, |session| {
        let inside = all.within(session);
        Box::pin(async move { inside.insert_one(&bson::rawdoc! { "_id": 2 }).await })
    })
    .await
    .expect("committed");
    assert_eq!(count(&mongo).await, 2);
}
