//! Cursors and hints: batches, what ends a cursor, and what a hint may ask.

use bson::{Bson, Document, doc};

use super::{Case, World, documents, whole};

pub(super) const CASES: &[Case] = &[
    ("batches", |w| Box::pin(batches(w))),
    ("what_ends_a_cursor", |w| Box::pin(what_ends_a_cursor(w))),
    ("cursors_go_on_after_writes", |w| {
        Box::pin(cursors_go_on_after_writes(w))
    }),
    ("cursors_have_owners", |w| Box::pin(cursors_have_owners(w))),
    ("cursors_in_transactions", |w| {
        Box::pin(cursors_in_transactions(w))
    }),
    ("hints", |w| Box::pin(hints(w))),
    ("order_by_index", |w| Box::pin(order_by_index(w))),
    ("arrays_by_index", |w| Box::pin(arrays_by_index(w))),
    ("counts", |w| Box::pin(counts(w))),
    ("time_limits", |w| Box::pin(time_limits(w))),
];

async fn fill(w: &World, n: i32) {
    w.insert(
        (0..n)
            .map(|id| doc! { "_id": id, "a": id % 10, "b": -id })
            .collect(),
    )
    .await;
}

fn cursor(reply: &Document) -> (i64, Vec<i32>) {
    let cursor = reply.get_document("cursor").expect("a cursor");
    let batch = cursor
        .get_array("firstBatch")
        .or_else(|_| cursor.get_array("nextBatch"))
        .expect("a batch");
    let ids = batch
        .iter()
        .filter_map(|document| whole(document.as_document()?.get("_id")?))
        .map(|id| id as i32)
        .collect();
    (cursor.get_i64("id").expect("an id"), ids)
}

async fn find(w: &World, with: Document) -> (i64, Vec<i32>) {
    let mut command = doc! { "find": "c" };
    command.extend(with);
    cursor(&w.ok(command).await)
}

async fn more(w: &World, id: i64, with: Document) -> (i64, Vec<i32>) {
    let mut command = doc! { "getMore": id, "collection": "c" };
    command.extend(with);
    cursor(&w.ok(command).await)
}

async fn batches(w: World) {
    fill(&w, 250).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "b": 1 }, "name": "b" }] })
        .await;
    let (id, first) = find(&w, doc! {}).await;
    assert_eq!((id != 0, first.len()), (true, 101));
    let (id, rest) = more(&w, id, doc! {}).await;
    assert_eq!((id, rest.len()), (0, 149));
    // Each way to read: everything, by an index, sorted by it or not.
    for with in [
        doc! {},
        doc! { "filter": { "b": { "$lte": 0 } } },
        doc! { "sort": { "b": 1 } },
        doc! { "sort": { "b": -1 } },
        doc! { "sort": { "a": 1, "b": 1 } },
        doc! { "filter": { "$or": [{ "b": { "$lt": -100 } }, { "b": { "$gte": -150 } }] } },
    ] {
        let mut whole = with.clone();
        whole.insert("batchSize", 1000);
        let (id, wanted) = find(&w, whole).await;
        assert_eq!((id, wanted.len()), (0, 250), "{with}");
        let mut parts = with.clone();
        parts.insert("batchSize", 7);
        let (mut id, mut found) = find(&w, parts).await;
        while id != 0 {
            let (next, batch) = more(&w, id, doc! { "batchSize": 40 }).await;
            assert!(batch.len() == 40 || next == 0, "{with}");
            found.extend(batch);
            id = next;
        }
        assert_eq!(found, wanted, "{with}");
    }
    // Skip and limit go over the batches.
    let (id, first) = find(
        &w,
        doc! { "sort": { "b": -1 }, "skip": 3, "limit": 6, "batchSize": 4 },
    )
    .await;
    assert_eq!(first, [3, 4, 5, 6]);
    let (id, rest) = more(&w, id, doc! {}).await;
    assert_eq!((id, rest), (0, vec![7, 8]));
    // No more is known only when it was asked for, unless the limit is reached.
    let (id, first) = find(&w, doc! { "batchSize": 250 }).await;
    assert_eq!((id != 0, first.len()), (true, 250));
    assert_eq!(more(&w, id, doc! {}).await, (0, vec![]));
    let (id, _) = find(&w, doc! { "batchSize": 250, "limit": 250 }).await;
    assert_eq!(id, 0);
    let (id, first) = find(&w, doc! { "batchSize": 0 }).await;
    assert_eq!((id != 0, first.len()), (true, 0));
    assert_eq!(more(&w, id, doc! { "batchSize": 3 }).await.1, [0, 1, 2]);
    let (id, first) = find(&w, doc! { "singleBatch": true, "batchSize": 2 }).await;
    assert_eq!((id, first.len()), (0, 2));
    // Large documents end a batch before its size.
    let large = "x".repeat(1024 * 1024);
    w.ok(doc! { "drop": "c" }).await;
    for id in 0..20 {
        w.insert(vec![doc! { "_id": id, "large": &large }]).await;
    }
    let (id, first) = find(&w, doc! {}).await;
    assert_eq!((id != 0, first.len()), (true, 15));
    assert_eq!(more(&w, id, doc! {}).await, (0, vec![15, 16, 17, 18, 19]));
    for with in [
        doc! { "batchSize": -1 },
        doc! { "limit": -1 },
        doc! { "skip": -1 },
    ] {
        let mut command = doc! { "find": "c" };
        command.extend(with);
        w.fails(command, 51024).await;
    }
}

async fn what_ends_a_cursor(w: World) {
    fill(&w, 20).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "b": 1 }, "name": "b" }] })
        .await;
    let (id, _) = find(&w, doc! { "batchSize": 2 }).await;
    w.fails(doc! { "getMore": id, "collection": "other" }, 13)
        .await;
    w.fails(
        doc! { "getMore": id, "collection": "c", "batchSize": -1 },
        51024,
    )
    .await;
    w.fails(doc! { "getMore": 5, "collection": "c" }, 14).await;
    w.fails(doc! { "getMore": 5i64 }, 40414).await;
    w.fails(doc! { "getMore": 5i64, "collection": "c" }, 43)
        .await;
    let reply = w
        .ok(doc! { "killCursors": "c", "cursors": [id, 5i64] })
        .await;
    assert_eq!(
        reply.get_array("cursorsKilled").ok(),
        Some(&vec![Bson::Int64(id)])
    );
    assert_eq!(
        reply.get_array("cursorsNotFound").ok(),
        Some(&vec![Bson::Int64(5)])
    );
    w.fails(doc! { "getMore": id, "collection": "c" }, 43).await;
    w.fails(doc! { "killCursors": "c" }, 40414).await;
    w.fails(doc! { "killCursors": "c", "cursors": [5] }, 14)
        .await;
    // Its index goes, or its collection.
    let by_index = doc! { "filter": { "b": { "$lt": 5 } }, "batchSize": 2 };
    let (id, _) = find(&w, by_index).await;
    let (other, _) = find(&w, doc! { "batchSize": 2 }).await;
    w.ok(doc! { "dropIndexes": "c", "index": "b" }).await;
    w.fails(doc! { "getMore": id, "collection": "c" }, 175)
        .await;
    w.fails(doc! { "getMore": id, "collection": "c" }, 43).await;
    w.ok(doc! { "drop": "c" }).await;
    w.fails(doc! { "getMore": other, "collection": "c" }, 175)
        .await;
}

async fn cursors_go_on_after_writes(w: World) {
    fill(&w, 20).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "b": -1 }, "name": "b" }] })
        .await;
    for with in [
        doc! { "batchSize": 3 },
        doc! { "batchSize": 3, "sort": { "b": -1 } },
    ] {
        let (id, first) = find(&w, with).await;
        assert_eq!(first, [0, 1, 2]);
        // What comes later is seen as it is then.
        w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": { "$in": [2, 3, 4] } }, "limit": 0 }] })
            .await;
        let (_, rest) = more(&w, id, doc! { "batchSize": 3 }).await;
        assert_eq!(rest, [5, 6, 7]);
        w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
            .await;
        fill(&w, 20).await;
    }
}

fn session() -> Document {
    doc! { "id": bson::Uuid::new() }
}

async fn cursors_have_owners(w: World) {
    fill(&w, 20).await;
    let (mine, other) = (session(), session());
    let (id, _) = find(&w, doc! { "batchSize": 2, "lsid": mine.clone() }).await;
    let get = |id: i64| doc! { "getMore": id, "collection": "c", "batchSize": 2 };
    w.fails(get(id), 50737).await;
    let mut foreign = get(id);
    foreign.insert("lsid", other.clone());
    w.fails(foreign, 50738).await;
    let (id, found) = more(&w, id, doc! { "batchSize": 2, "lsid": mine }).await;
    assert_eq!((id != 0, found), (true, vec![2, 3]));
    let (id, _) = find(&w, doc! { "batchSize": 2 }).await;
    let mut foreign = get(id);
    foreign.insert("lsid", other);
    w.fails(foreign, 50736).await;
    assert_eq!(more(&w, id, doc! { "batchSize": 2 }).await.1, [2, 3]);
}

/// A cursor of a transaction sees what the transaction has written, and nobody
/// else may read it.
async fn cursors_in_transactions(w: World) {
    fill(&w, 10).await;
    let within = doc! { "lsid": session(), "txnNumber": 1i64, "autocommit": false };
    let with = |command: Document| {
        let mut command = command;
        command.extend(within.clone());
        command
    };
    let mut insert = with(doc! { "insert": "c", "documents": [{ "_id": 100 }] });
    insert.insert("startTransaction", true);
    w.ok(insert).await;
    let (id, first) = cursor(&w.ok(with(doc! { "find": "c", "batchSize": 4 })).await);
    assert_eq!(first, [0, 1, 2, 3]);
    // What others write now is not for it.
    w.insert(vec![doc! { "_id": 50 }]).await;
    let get = doc! { "getMore": id, "collection": "c" };
    let mut outside = get.clone();
    outside.insert(
        "lsid",
        within.get_document("lsid").expect("a session").clone(),
    );
    w.fails(outside, 50740).await;
    let (end, rest) = cursor(&w.ok(with(get)).await);
    assert_eq!((end, rest), (0, vec![4, 5, 6, 7, 8, 9, 100]));
    let sorted = with(doc! { "find": "c", "sort": { "_id": -1 }, "limit": 2 });
    assert_eq!(cursor(&w.ok(sorted).await).1, [100, 9]);
    let mut commit = with(doc! { "commitTransaction": 1 });
    commit.insert("writeConcern", doc! { "w": "majority" });
    let admin = World {
        engine: w.engine.clone(),
        database: "admin".to_owned(),
    };
    admin.ok(commit).await;
    assert_eq!(find(&w, doc! {}).await.1.len(), 12);
}

async fn hints(w: World) {
    fill(&w, 20).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [
        { "key": { "a": 1 }, "name": "a" },
        { "key": { "h": 1 }, "name": "hidden", "hidden": true },
        { "key": { "s": 1 }, "name": "sparse", "sparse": true },
        { "key": { "b": 1 }, "name": "partial", "partialFilterExpression": { "b": { "$lt": -15 } } },
    ] })
    .await;
    let ids = async |with: Document| find(&w, with).await.1;
    let mut by_index = ids(doc! { "hint": "a" }).await;
    assert_eq!(by_index[..4], [0, 10, 1, 11]);
    by_index.sort_unstable();
    assert_eq!(by_index, (0..20).collect::<Vec<_>>());
    assert_eq!(ids(doc! { "hint": { "a": 1 }, "limit": 2 }).await, [0, 10]);
    assert_eq!(
        ids(doc! { "hint": { "$natural": -1 }, "limit": 2 }).await,
        [19, 18]
    );
    assert_eq!(
        ids(doc! { "sort": { "$natural": -1 }, "limit": 2 }).await,
        [19, 18]
    );
    assert_eq!(
        ids(doc! { "hint": { "$natural": 1 }, "limit": 2 }).await,
        [0, 1]
    );
    // An index that is asked for leaves out what it leaves out.
    assert!(ids(doc! { "hint": "sparse" }).await.is_empty());
    assert_eq!(ids(doc! { "hint": "partial" }).await, [19, 18, 17, 16]);
    for hint in [
        bson::bson!("none"),
        bson::bson!({ "z": 1 }),
        bson::bson!("hidden"),
    ] {
        w.fails(doc! { "find": "c", "hint": hint.clone() }, 2).await;
        w.fails(doc! { "count": "c", "hint": hint }, 2).await;
    }
    w.fails(doc! { "find": "c", "hint": 5 }, 9).await;
    w.fails(doc! { "find": "c", "sort": { "a": 1, "$natural": 1 } }, 2)
        .await;
    let none = w.ok(doc! { "find": "nothing", "hint": "none" }).await;
    assert!(documents(&none).is_empty());
}

/// The order that an index gives is the sort's, or is not used.
async fn order_by_index(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": 5, "b": 1 },
        doc! { "_id": 2, "a": [1, 9], "b": 2 },
        doc! { "_id": 3, "a": 6, "b": 3 },
        doc! { "_id": 4, "a": [7, 2], "b": 1 },
        doc! { "_id": 5, "b": 1 },
        doc! { "_id": 6, "a": [], "b": 0 },
    ])
    .await;
    let cases = [
        // By the least of all elements, not of those that match.
        (
            doc! { "a": { "$gt": 4 } },
            doc! { "a": 1 },
            vec![2, 4, 1, 3],
        ),
        (
            doc! { "a": { "$lt": 7 } },
            doc! { "a": -1 },
            vec![2, 4, 3, 1],
        ),
        (doc! {}, doc! { "a": 1, "_id": 1 }, vec![6, 5, 2, 4, 1, 3]),
        (doc! {}, doc! { "a": -1, "_id": 1 }, vec![2, 4, 3, 1, 5, 6]),
        (doc! { "b": 1 }, doc! { "a": 1 }, vec![5, 4, 1]),
        (doc! { "b": 1 }, doc! { "a": -1 }, vec![4, 1, 5]),
        (doc! { "b": 1 }, doc! { "b": 1, "a": 1 }, vec![5, 4, 1]),
        (
            doc! { "b": { "$gte": 1 } },
            doc! { "b": -1, "_id": 1 },
            vec![3, 2, 1, 4, 5],
        ),
        (doc! { "a": 7 }, doc! { "a": 1, "b": 1 }, vec![4]),
    ];
    for index in [
        doc! {},
        doc! { "a": 1 },
        doc! { "a": -1 },
        doc! { "b": 1, "a": 1 },
        doc! { "b": -1, "_id": 1 },
        doc! { "a": 1, "b": 1 },
        doc! { "a": 1, "_id": 1 },
    ] {
        if !index.is_empty() {
            w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": index.clone(), "name": "i" }] })
                .await;
        }
        for (filter, sort, wanted) in &cases {
            let ask = doc! { "filter": filter.clone(), "sort": sort.clone() };
            let found = find(&w, ask).await.1;
            assert_eq!(found, *wanted, "{filter} by {sort} with {index}");
            let ask = doc! { "filter": filter.clone(), "sort": sort.clone(), "limit": 2 };
            let found = find(&w, ask).await.1;
            assert_eq!(
                found,
                wanted[..wanted.len().min(2)],
                "{filter} by {sort} with {index}"
            );
        }
        w.ok(doc! { "dropIndexes": "c", "index": "*" }).await;
    }
}

/// What arrays make of bounds.
async fn arrays_by_index(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": [{ "b": 1, "c": 9 }, { "b": 2, "c": 2 }] },
        doc! { "_id": 2, "a": [{ "b": 1, "c": 2 }] },
        doc! { "_id": 3, "a": { "b": 1, "c": 2 } },
        // No number in it that an index could mean as an element too.
        doc! { "_id": 4, "a": [{ "x": 5 }, 7] },
        doc! { "_id": 5, "a": [5, 7] },
        doc! { "_id": 6, "a": [1, 10] },
        doc! { "_id": 7, "a": [[5, 7], 3] },
        doc! { "_id": 8, "a": { "0": 5 } },
        doc! { "_id": 9 },
        doc! { "_id": 10, "a": [] },
    ])
    .await;
    let cases = [
        (doc! { "a.b": 1, "a.c": 2 }, vec![1, 2, 3]),
        (doc! { "a": { "$elemMatch": { "b": 1, "c": 2 } } }, vec![2]),
        (doc! { "a": { "$gt": 3, "$lt": 6 } }, vec![5, 6]),
        (
            doc! { "a": { "$elemMatch": { "$gt": 3, "$lt": 6 } } },
            vec![5],
        ),
        (doc! { "a.0": 5 }, vec![5, 8]),
        (doc! { "a.0": { "$gte": 4, "$lte": 5 } }, vec![5, 8]),
        (doc! { "a": [5, 7] }, vec![5, 7]),
        (doc! { "a": [] }, vec![10]),
        (doc! { "a": { "$all": [1, 10] } }, vec![6]),
        (doc! { "a": null }, vec![9]),
        (doc! { "a.b": null }, vec![4, 8, 9]),
        (
            doc! { "a.b": { "$exists": false } },
            vec![4, 5, 6, 7, 8, 9, 10],
        ),
        (doc! { "a": { "$in": [5, null] } }, vec![5, 9]),
        (
            doc! { "$or": [{ "a": 7 }, { "a": 5 }, { "a": 3 }] },
            vec![4, 5, 7],
        ),
    ];
    for index in [
        doc! { "_id": 1 },
        doc! { "a": 1 },
        doc! { "a.b": 1, "a.c": 1 },
        doc! { "a.c": -1, "a.b": 1 },
        doc! { "a": -1, "_id": 1 },
    ] {
        w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": index.clone(), "name": "i" }] })
            .await;
        for (filter, wanted) in &cases {
            let mut found = find(&w, doc! { "filter": filter.clone() }).await.1;
            found.sort_unstable();
            assert_eq!(found, *wanted, "{filter} with {index}");
            let count = w.ok(doc! { "count": "c", "query": filter.clone() }).await;
            assert_eq!(
                count.get("n").and_then(whole),
                Some(wanted.len() as i64),
                "{filter} with {index}"
            );
        }
        w.ok(doc! { "dropIndexes": "c", "index": "*" }).await;
    }
}

async fn counts(w: World) {
    fill(&w, 30).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1, "b": 1 }, "name": "ab" }] })
        .await;
    let count = async |with: Document| {
        let mut command = doc! { "count": "c" };
        command.extend(with);
        w.ok(command)
            .await
            .get("n")
            .and_then(whole)
            .expect("a count")
    };
    assert_eq!(count(doc! {}).await, 30);
    assert_eq!(count(doc! { "query": { "a": 3 } }).await, 3);
    assert_eq!(
        count(doc! { "query": { "a": 3, "b": { "$lt": -10 } } }).await,
        2
    );
    assert_eq!(count(doc! { "query": { "a": { "$gte": 8 } } }).await, 6);
    assert_eq!(
        count(doc! { "query": { "a": { "$gte": 8 }, "b": -9 } }).await,
        1
    );
    assert_eq!(
        count(doc! { "query": { "a": { "$in": [1, 2, 99] } } }).await,
        6
    );
    assert_eq!(
        count(doc! { "query": { "a": { "$exists": true } } }).await,
        30
    );
    assert_eq!(count(doc! { "skip": 25 }).await, 5);
    assert_eq!(count(doc! { "skip": 5, "limit": 7 }).await, 7);
    assert_eq!(count(doc! { "limit": -7 }).await, 7);
    w.insert(vec![
        doc! { "_id": 100, "a": [3, 3, 4] },
        doc! { "_id": 101, "a": [] },
    ])
    .await;
    assert_eq!(count(doc! { "query": { "a": 3 } }).await, 4);
    assert_eq!(
        count(doc! { "query": { "a": { "$gte": 3, "$lte": 4 } } }).await,
        7
    );
    assert_eq!(count(doc! {}).await, 32);
    w.fails(doc! { "count": "c", "skip": -1 }, 51024).await;
}

async fn time_limits(w: World) {
    fill(&w, 10).await;
    for bad in [
        bson::bson!(-1),
        bson::bson!("x"),
        bson::bson!(99_999_999_999_i64),
    ] {
        w.fails(doc! { "find": "c", "maxTimeMS": bad }, 2).await;
    }
    let (_, found) = find(&w, doc! { "maxTimeMS": 100_000 }).await;
    assert_eq!(found.len(), 10);
    let (_, found) = find(&w, doc! { "maxTimeMS": 0 }).await;
    assert_eq!(found.len(), 10);
}
