//! Transactions: all or nothing, snapshots, conflicts.

use bson::{RawDocumentBuf, doc, rawdoc};

use super::{Case, World};
use crate::{Collection, CommandError, Session, with_transaction};

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
    ("transfers_keep_the_sum", |w| {
        Box::pin(transfers_keep_the_sum(w))
    }),
];

fn collection(w: &World) -> Collection {
    Collection::new(&w.engine, &w.database, "c")
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
    assert_eq!(found[0].get("n").and_then(super::whole), Some(400));
}

impl Collection {
    async fn count_all(&self) -> usize {
        let found: Vec<RawDocumentBuf> = self
            .find(doc! {}, crate::Found::default())
            .await
            .expect("find");
        found.len()
    }
}
