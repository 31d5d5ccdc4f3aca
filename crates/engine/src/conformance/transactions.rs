//! Transactions: all or nothing, snapshots, conflicts.

use bson::{Document, RawDocumentBuf, doc, rawdoc};

use super::{Case, World, whole};
use crate::{Collection, CommandError, Found, Session, with_transaction};

pub(super) const CASES: &[Case] = &[
    ("commit_and_abort", |w| Box::pin(commit_and_abort(w))),
    ("a_transaction_reads_its_own_snapshot", |w| {
        Box::pin(reads_its_own_snapshot(w))
    }),
    ("the_second_writer_fails", |w| {
        Box::pin(the_second_writer_fails(w))
    }),
    ("concurrent_increments_all_count", |w| {
        Box::pin(concurrent_increments_all_count(w))
    }),
    ("counts_are_of_the_moment", |w| {
        Box::pin(counts_are_of_the_moment(w))
    }),
    ("transfers_keep_the_sum", |w| {
        Box::pin(transfers_keep_the_sum(w))
    }),
];

fn collection(w: &World) -> Collection {
    Collection::new(&w.engine, &w.database, "c")
}

/// How many documents a command without a filter counts.
async fn counted(all: &Collection) -> i64 {
    count_with(all, doc! {}).await
}

async fn count_with(all: &Collection, with: Document) -> i64 {
    let mut count = doc! { "count": "c" };
    count.extend(with);
    let reply = all.run(count).await.expect("a count");
    let reply = Document::try_from(reply).expect("decodes");
    reply.get("n").and_then(whole).expect("a number")
}

/// Sizes say the same as documents do, whatever was done to them.
async fn counts_are_of_the_moment(w: World) {
    let all = collection(&w);
    let fill = async |from: i32| {
        w.insert(
            (from..from + 10)
                .map(|n| doc! { "_id": n, "k": n })
                .collect(),
        )
        .await;
    };
    assert_eq!(counted(&all).await, 0);
    fill(0).await;
    assert_eq!(counted(&all).await, 10);
    for (with, n) in [
        (doc! { "skip": 3 }, 7),
        (doc! { "limit": 4 }, 4),
        (doc! { "skip": 8, "limit": 4 }, 2),
        (doc! { "skip": 30 }, 0),
        (doc! { "query": {} }, 10),
        (doc! { "hint": "_id_" }, 10),
    ] {
        assert_eq!(count_with(&all, with.clone()).await, n, "{with}");
    }
    // What a transaction does counts when it is committed.
    let session = Session::start();
    let inside = all.within(&session);
    let find = inside.find(doc! {}, Found::default()).await;
    assert_eq!(find.expect("found").len(), 10);
    fill(10).await;
    inside
        .insert_one(&rawdoc! { "_id": 50 })
        .await
        .expect("insert");
    inside
        .insert_one(&rawdoc! { "_id": 51 })
        .await
        .expect("insert");
    inside
        .delete(doc! { "_id": 50 }, false)
        .await
        .expect("delete");
    inside
        .delete(doc! { "_id": { "$lt": 3 } }, true)
        .await
        .expect("delete");
    inside
        .update_one(doc! { "_id": 5 }, doc! { "$set": { "k": -1 } })
        .await
        .expect("update");
    session.commit(&w.engine).await.expect("commit");
    assert_eq!(counted(&all).await, 18);
    // Nothing of what was refused or undone.
    let session = Session::start();
    all.within(&session)
        .insert_one(&rawdoc! { "_id": 99 })
        .await
        .expect("insert");
    session.abort(&w.engine).await.expect("abort");
    w.fails(doc! { "insert": "c", "documents": [{ "_id": 4 }] }, 11000)
        .await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "k": 1 }, "name": "k" }] })
        .await;
    let documents: i64 = 18;
    let bytes: i64 = {
        let pipeline = doc! { "aggregate": "c", "cursor": {}, "pipeline": [
            { "$group": { "_id": null, "n": { "$sum": { "$bsonSize": "$$ROOT" } } } },
        ] };
        let found = super::documents(&w.ok(pipeline).await);
        found[0].get("n").and_then(whole).expect("a sum")
    };
    let number = |reply: &Document, name: &str| reply.get(name).and_then(whole);
    let stats = w.ok(doc! { "collStats": "c" }).await;
    assert_eq!(number(&stats, "count"), Some(documents), "{stats}");
    assert_eq!(number(&stats, "size"), Some(bytes), "{stats}");
    let stats = w.ok(doc! { "dbStats": 1 }).await;
    assert_eq!(number(&stats, "objects"), Some(documents), "{stats}");
    assert_eq!(number(&stats, "dataSize"), Some(bytes), "{stats}");
    let stats = w
        .aggregate(vec![
            doc! { "$collStats": { "count": {}, "storageStats": {} } },
        ])
        .await;
    assert_eq!(number(&stats[0], "count"), Some(documents));
    // Another collection of the same name begins anew.
    let admin = World {
        engine: w.engine.clone(),
        database: "admin".to_owned(),
    };
    let name = |collection: &str| format!("{}.{collection}", w.database);
    admin
        .ok(doc! { "renameCollection": name("c"), "to": name("d") })
        .await;
    assert_eq!(counted(&all).await, 0);
    assert_eq!(count_with(&all, doc! { "count": "d" }).await, documents);
    w.ok(doc! { "aggregate": "d", "pipeline": [{ "$limit": 5 }, { "$out": "c" }], "cursor": {} })
        .await;
    assert_eq!(counted(&all).await, 5);
    w.ok(doc! { "drop": "c" }).await;
    fill(0).await;
    assert_eq!(counted(&all).await, 10);
}

async fn commit_and_abort(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let all = collection(&w);
    let session = Session::start();
    let inside = all.within(&session);
    inside
        .insert_one(&rawdoc! { "_id": 2 })
        .await
        .expect("insert");
    inside
        .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
        .await
        .expect("update");
    assert_eq!(inside.count_all().await, 2);
    assert_eq!(all.count_all().await, 1, "not seen before the commit");
    session.commit(&w.engine).await.expect("commit");
    assert_eq!(all.count_all().await, 2);
    let session = Session::start();
    all.within(&session)
        .delete(doc! {}, true)
        .await
        .expect("delete");
    session.clone().abort(&w.engine).await.expect("abort");
    assert_eq!(all.count_all().await, 2);
    let error = all
        .within(&session)
        .find_one(doc! {})
        .await
        .expect_err("the transaction is over");
    assert_eq!(error.code, 251);
}

async fn reads_its_own_snapshot(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let all = collection(&w);
    let session = Session::start();
    let inside = all.within(&session);
    assert_eq!(inside.count_all().await, 1);
    w.insert(vec![doc! { "_id": 2 }]).await;
    assert_eq!(inside.count_all().await, 1);
    session.abort(&w.engine).await.expect("abort");
}

async fn the_second_writer_fails(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let all = collection(&w);
    let (first, second) = (Session::start(), Session::start());
    let inc = || doc! { "$inc": { "n": 1 } };
    all.within(&first)
        .update_one(doc! { "_id": 1 }, inc())
        .await
        .expect("the first");
    let error = all
        .within(&second)
        .update_one(doc! { "_id": 1 }, inc())
        .await
        .expect_err("the second");
    assert_eq!(error.code, 112);
    assert!(error.is_transient(), "{error:?}");
    first.commit(&w.engine).await.expect("commit");
    let found = all
        .find_one(doc! { "_id": 1 })
        .await
        .expect("find")
        .expect("there");
    assert_eq!(found.get_i32("n").ok(), Some(2));
}

async fn concurrent_increments_all_count(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 0 }]).await;
    let all = collection(&w);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let all = all.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    all.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
                        .await
                        .expect("an increment");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    let found = all.find_one(doc! {}).await.expect("find").expect("there");
    assert_eq!(found.get_i32("n").ok(), Some(200));
}

async fn transfers_keep_the_sum(w: World) {
    w.insert((0..4).map(|id| doc! { "_id": id, "n": 100 }).collect())
        .await;
    let all = collection(&w);
    let tasks: Vec<_> = (0..4)
        .map(|seed: i32| {
            let (all, engine) = (all.clone(), w.engine.clone());
            tokio::spawn(async move {
                for step in 0..10 {
                    let (from, to) = ((seed + step) % 4, (seed + step * 3 + 1) % 4);
                    let all = all.clone();
                    with_transaction::<(), CommandError, _>(&engine, move |session| {
                        let inside = all.within(session);
                        Box::pin(async move {
                            inside
                                .update_one(doc! { "_id": from }, doc! { "$inc": { "n": -1 } })
                                .await?;
                            inside
                                .update_one(doc! { "_id": to }, doc! { "$inc": { "n": 1 } })
                                .await?;
                            Ok(())
                        })
                    })
                    .await
                    .expect("a transfer");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    let found = w
        .aggregate(vec![
            doc! { "$group": { "_id": null, "n": { "$sum": "$n" } } },
        ])
        .await;
    assert_eq!(found[0].get("n").and_then(whole), Some(400));
}

impl Collection {
    async fn count_all(&self) -> usize {
        let found: Vec<RawDocumentBuf> = self.find(doc! {}, Found::default()).await.expect("find");
        found.len()
    }
}
