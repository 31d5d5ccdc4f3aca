//! Indexes: what they refuse, and that they never change an answer.

use bson::{Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("unique_indexes", |w| Box::pin(unique_indexes(w))),
    ("index_catalogue", |w| Box::pin(index_catalogue(w))),
    ("indexes_do_not_change_answers", |w| {
        Box::pin(indexes_do_not_change_answers(w))
    }),
    ("collections", |w| Box::pin(collections(w))),
    ("index_specifications", |w| {
        Box::pin(index_specifications(w))
    }),
    ("index_replies", |w| Box::pin(index_replies(w))),
    ("failed_index_builds", |w| Box::pin(failed_index_builds(w))),
    ("changed_indexes", |w| Box::pin(changed_indexes(w))),
    ("dropped_indexes", |w| Box::pin(dropped_indexes(w))),
];

async fn index(w: &World, key: Document, options: Document) {
    let mut index =
        doc! { "key": key.clone(), "name": key.keys().cloned().collect::<Vec<_>>().join("_") };
    index.extend(options);
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
}

async fn unique_indexes(w: World) {
    index(&w, doc! { "u": 1 }, doc! { "unique": true }).await;
    w.insert(vec![
        doc! { "_id": 1, "u": 1 },
        doc! { "_id": 2 },
        doc! { "_id": 3, "u": [5, 5] },
    ])
    .await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "_id": 4, "u": 1.0 }] },
        11000,
    )
    .await;
    // Missing counts as null, so a second one is a duplicate.
    w.fails(doc! { "insert": "c", "documents": [{ "_id": 4 }] }, 11000)
        .await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "_id": 4, "u": [9, 5] }] },
        11000,
    )
    .await;
    w.fails(
        doc! { "update": "c", "updates": [{ "q": { "_id": 2 }, "u": { "$set": { "u": 1 } } }] },
        11000,
    )
    .await;
    // A value that was given up is free.
    w.ok(doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "u": 7 } } }] })
        .await;
    w.insert(vec![doc! { "_id": 4, "u": 1 }]).await;
    w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": 4 }, "limit": 1 }] })
        .await;
    w.insert(vec![doc! { "_id": 5, "u": 1 }]).await;
    // Building a unique index over duplicates fails.
    w.insert(vec![
        doc! { "_id": 6, "u": 8, "k": 1 },
        doc! { "_id": 7, "u": 9, "k": 1 },
    ])
    .await;
    w.fails(doc! { "createIndexes": "c", "indexes": [{ "key": { "k": 1 }, "name": "k", "unique": true }] }, 11000).await;
    // Sparse and partial ones leave documents out.
    index(&w, doc! { "s": 1 }, doc! { "unique": true, "sparse": true }).await;
    index(
        &w,
        doc! { "p": 1 },
        doc! { "unique": true, "partialFilterExpression": { "p": { "$gt": 5 } } },
    )
    .await;
    w.insert(vec![
        doc! { "_id": 8, "u": 10, "p": 1 },
        doc! { "_id": 9, "u": 11, "p": 1 },
    ])
    .await;
    w.insert(vec![doc! { "_id": 10, "u": 12, "p": 6 }]).await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "_id": 11, "u": 13, "p": 6 }] },
        11000,
    )
    .await;
}

async fn index_catalogue(w: World) {
    index(&w, doc! { "a": 1, "b": -1 }, doc! {}).await;
    index(&w, doc! { "a": 1, "b": -1 }, doc! {}).await;
    let reply = w.ok(doc! { "listIndexes": "c" }).await;
    let names: Vec<String> = super::documents(&reply)
        .iter()
        .filter_map(|index| index.get_str("name").ok().map(str::to_owned))
        .collect();
    assert_eq!(names, ["_id_", "a_b"]);
    w.fails(
        doc! { "createIndexes": "c", "indexes": [{ "key": { "x": 1 }, "name": "a_b" }] },
        86,
    )
    .await;
    w.fails(
        doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1, "b": -1 }, "name": "other" }] },
        85,
    )
    .await;
    w.fails(
        doc! { "createIndexes": "c", "indexes": [{ "key": {}, "name": "none" }] },
        67,
    )
    .await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "a": [1], "b": [2] }] },
        171,
    )
    .await;
    w.fails(doc! { "dropIndexes": "c", "index": "nothing" }, 27)
        .await;
    w.ok(doc! { "dropIndexes": "c", "index": "a_b" }).await;
    w.insert(vec![doc! { "a": [1], "b": [2] }]).await;
    w.fails(doc! { "listIndexes": "nothing" }, 26).await;
}

async fn indexes_do_not_change_answers(w: World) {
    let values = [
        doc! { "v": 1 },
        doc! { "v": 1.0 },
        doc! { "v": 2i64 },
        doc! { "v": -3 },
        doc! { "v": "a" },
        doc! { "v": "b" },
        doc! { "v": null },
        doc! {},
        doc! { "v": [1, 5] },
        doc! { "v": [] },
        doc! { "v": true },
        doc! { "v": { "x": 1 } },
        doc! { "v": f64::NAN },
        doc! { "v": 1e300 },
        doc! { "v": 9_007_199_254_740_993_i64 },
        doc! { "v": [[1]] },
    ];
    let documents: Vec<Document> = values
        .iter()
        .enumerate()
        .map(|(id, value)| {
            let mut document = doc! { "_id": id as i32 };
            document.extend(value.clone());
            document.insert("w", (id % 3) as i32);
            document
        })
        .collect();
    w.insert(documents).await;
    let queries = [
        doc! { "v": 1 },
        doc! { "v": { "$gt": 0 } },
        doc! { "v": { "$lt": 2 } },
        doc! { "v": { "$gte": "a" } },
        doc! { "v": null },
        doc! { "v": { "$in": [1, "b", null] } },
        doc! { "v": { "$in": [5, true] } },
        doc! { "v": [1, 5] },
        doc! { "v": { "x": 1 } },
        doc! { "v": { "$gt": 0, "$lt": 3 } },
        doc! { "v": 9_007_199_254_740_993_i64 },
        doc! { "v": { "$gt": 9_007_199_254_740_992_i64 } },
        doc! { "v": { "$lte": f64::NAN } },
        doc! { "v": { "$ne": 1 } },
        doc! { "v": 1, "w": 1 },
        doc! { "w": 0, "v": { "$gt": 0 } },
        doc! { "w": { "$in": [0, 1] }, "v": { "$lte": 1 } },
    ];
    let mut wanted = Vec::new();
    for query in &queries {
        wanted.push(
            w.find(doc! { "filter": query.clone(), "sort": { "_id": 1 } })
                .await,
        );
    }
    for key in [
        doc! { "v": 1 },
        doc! { "v": -1 },
        doc! { "w": 1, "v": -1 },
        doc! { "w": -1, "v": 1 },
        doc! { "w": 1, "_id": 1 },
    ] {
        let unique = key.contains_key("_id");
        index(&w, key.clone(), doc! { "unique": unique }).await;
        for (query, wanted) in queries.iter().zip(&wanted) {
            let found = w
                .find(doc! { "filter": query.clone(), "sort": { "_id": 1 } })
                .await;
            // NaN is not equal to itself: compare what is printed.
            assert_eq!(
                format!("{found:?}"),
                format!("{wanted:?}"),
                "{query} with {key}"
            );
        }
        w.ok(doc! { "dropIndexes": "c", "index": "*" }).await;
    }
}

async fn collections(w: World) {
    w.ok(doc! { "create": "c" }).await;
    w.fails(doc! { "create": "c" }, 48).await;
    w.ok(doc! { "insert": "d", "documents": [{ "a": 1 }] })
        .await;
    let reply = w.ok(doc! { "listCollections": 1 }).await;
    let mut names: Vec<String> = super::documents(&reply)
        .iter()
        .filter_map(|entry| entry.get_str("name").ok().map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names, ["c", "d"]);
    w.ok(doc! { "drop": "d" }).await;
    assert_eq!(
        w.ok(doc! { "count": "d" })
            .await
            .get("n")
            .and_then(super::whole),
        Some(0)
    );
    w.ok(doc! { "dropDatabase": 1 }).await;
    assert!(super::documents(&w.ok(doc! { "listCollections": 1 }).await).is_empty());
}

/// What `createIndexes` refuses, and with which code.
async fn index_specifications(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let refused = [
        (9, doc! { "key": { "a": 1 } }),
        (9, doc! { "name": "a" }),
        (14, doc! { "key": { "a": 1 }, "name": 5 }),
        (67, doc! { "key": { "a": 1 }, "name": "" }),
        (2, doc! { "key": { "a": 1 }, "name": "*" }),
        (67, doc! { "key": {}, "name": "x" }),
        (67, doc! { "key": { "a": 0 }, "name": "x" }),
        (67, doc! { "key": { "a": true }, "name": "x" }),
        (67, doc! { "key": { "a": "nonsense" }, "name": "x" }),
        (67, doc! { "key": { "": 1 }, "name": "x" }),
        (67, doc! { "key": { "a..b": 1 }, "name": "x" }),
        (67, doc! { "key": { "a.$b": 1 }, "name": "x" }),
        (67, doc! { "key": { "$a": 1 }, "name": "x" }),
        (197, doc! { "key": { "a": 1 }, "name": "x", "bogus": 1 }),
        (14, doc! { "key": { "a": 1 }, "name": "x", "unique": "yes" }),
        (14, doc! { "key": { "a": 1 }, "name": "x", "hidden": 1 }),
        (67, doc! { "key": { "a": 1 }, "name": "x", "v": 3 }),
        (14, doc! { "key": { "a": 1 }, "name": "x", "v": "two" }),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "expireAfterSeconds": "1" },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "expireAfterSeconds": -1 },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "expireAfterSeconds": 1e12 },
        ),
        (
            67,
            doc! { "key": { "a": 1, "b": 1 }, "name": "x", "expireAfterSeconds": 1 },
        ),
        (
            197,
            doc! { "key": { "_id": 1 }, "name": "x", "expireAfterSeconds": 1 },
        ),
        (
            197,
            doc! { "key": { "_id": 1 }, "name": "_id_", "unique": true },
        ),
        (2, doc! { "key": { "_id": -1 }, "name": "x" }),
        (2, doc! { "key": { "a": 1 }, "name": "_id_" }),
        (
            14,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": 1 },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": { "$ne": 1 } } },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": { "$exists": false } } },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": { "$regex": "a" } } },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "$nor": [{ "a": 1 }] } },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": { "$size": 1 } } },
        ),
        (
            67,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": 1 }, "sparse": true },
        ),
        (
            2,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "a": { "$what": 1 } } },
        ),
        (
            224,
            doc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": { "$expr": true } },
        ),
    ];
    for (code, specification) in refused {
        w.fails(
            doc! { "createIndexes": "c", "indexes": [specification] },
            code,
        )
        .await;
    }
    w.fails(doc! { "createIndexes": "c", "indexes": [] }, 2)
        .await;
    w.fails(doc! { "createIndexes": "c" }, 40414).await;
    w.fails(doc! { "createIndexes": "c", "indexes": [1] }, 14)
        .await;
    let taken = [
        doc! { "key": { "a": 1.5, "b": -2 }, "name": "numbers" },
        doc! { "key": { "a.$id": 1 }, "name": "reference" },
        doc! { "key": { "a": 1 }, "name": "or", "partialFilterExpression": { "$or": [{ "a": 1 }, { "b": { "$in": [1, 2] } }] } },
        doc! { "key": { "a": 1 }, "name": "type", "partialFilterExpression": { "b": { "$type": "string" } } },
        doc! { "key": { "a": 1 }, "name": "empty", "partialFilterExpression": {} },
        doc! { "key": { "old": 1 }, "name": "old", "v": 1 },
        doc! { "key": { "date": 1 }, "name": "ttl", "expireAfterSeconds": 3600.7 },
        doc! { "key": { "hidden": 1 }, "name": "hidden", "hidden": true },
        doc! { "key": { "background": 1 }, "name": "background", "background": true },
    ];
    let n = taken.len();
    w.ok(doc! { "createIndexes": "c", "indexes": taken.to_vec() })
        .await;
    let listed = super::documents(&w.ok(doc! { "listIndexes": "c" }).await);
    assert_eq!(listed.len(), n + 1);
    for (name, field, value) in [
        ("old", "v", bson::bson!(1)),
        ("ttl", "expireAfterSeconds", bson::bson!(3600)),
        ("hidden", "hidden", bson::bson!(true)),
        ("empty", "partialFilterExpression", bson::bson!({})),
    ] {
        let found = listed
            .iter()
            .find(|index| index.get_str("name").ok() == Some(name))
            .expect("listed");
        assert_eq!(found.get(field), Some(&value), "{found}");
    }
    let many: Vec<Document> = (0..64)
        .map(|i| doc! { "key": { format!("m{i}"): 1 }, "name": format!("m{i}") })
        .collect();
    w.fails(doc! { "createIndexes": "c", "indexes": many }, 67)
        .await;
    assert_eq!(
        super::documents(&w.ok(doc! { "listIndexes": "c" }).await).len(),
        n + 1
    );
}

async fn index_replies(w: World) {
    let create = |indexes: Vec<Document>| doc! { "createIndexes": "c", "indexes": indexes };
    let number = |reply: &Document, name: &str| reply.get(name).and_then(super::whole);
    let a = doc! { "key": { "a": 1 }, "name": "a" };
    let reply = w.ok(create(vec![a.clone()])).await;
    assert_eq!(number(&reply, "numIndexesBefore"), Some(1), "{reply}");
    assert_eq!(number(&reply, "numIndexesAfter"), Some(2), "{reply}");
    assert_eq!(
        reply.get_bool("createdCollectionAutomatically").ok(),
        Some(true),
        "{reply}"
    );
    let reply = w.ok(create(vec![a.clone()])).await;
    assert_eq!(number(&reply, "numIndexesBefore"), Some(2), "{reply}");
    assert_eq!(number(&reply, "numIndexesAfter"), Some(2), "{reply}");
    assert_eq!(
        reply.get_str("note").ok(),
        Some("all indexes already exist"),
        "{reply}"
    );
    let reply = w
        .ok(create(vec![a, doc! { "key": { "b": 1 }, "name": "b" }]))
        .await;
    assert_eq!(number(&reply, "numIndexesAfter"), Some(3), "{reply}");
    assert_eq!(
        reply.get_bool("createdCollectionAutomatically").ok(),
        Some(false),
        "{reply}"
    );
    assert_eq!(
        reply.get_str("note").ok(),
        Some("index already exists"),
        "{reply}"
    );
    // Other indexes on one key, as long as something tells them apart.
    w.ok(create(vec![
        doc! { "key": { "a": 1 }, "name": "unique", "unique": true },
    ]))
    .await;
    w.ok(create(vec![
        doc! { "key": { "a": 1 }, "name": "sparse", "sparse": true },
    ]))
    .await;
    for (code, index) in [
        (86, doc! { "key": { "a": 1 }, "name": "a", "unique": true }),
        (86, doc! { "key": { "c": 1 }, "name": "a" }),
        (85, doc! { "key": { "a": 1 }, "name": "other" }),
        (
            85,
            doc! { "key": { "a": 1 }, "name": "a", "expireAfterSeconds": 1 },
        ),
        (
            85,
            doc! { "key": { "a": 1 }, "name": "other", "expireAfterSeconds": 1 },
        ),
    ] {
        w.fails(create(vec![index]), code).await;
    }
    // In batches.
    let reply = w
        .ok(doc! { "listIndexes": "c", "cursor": { "batchSize": 2 } })
        .await;
    assert_eq!(super::documents(&reply).len(), 2);
    let id = reply
        .get_document("cursor")
        .ok()
        .and_then(|cursor| cursor.get_i64("id").ok());
    let reply = w.ok(doc! { "getMore": id, "collection": "c" }).await;
    let rest = reply
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("nextBatch"))
        .expect("a batch");
    assert_eq!(rest.len(), 3, "{reply}");
}

/// A build that fails leaves nothing.
async fn failed_index_builds(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "u": 1, "v": 1, "p": [1, 2], "q": 1 },
        doc! { "_id": 2, "u": 1, "v": 2, "p": 1, "q": [1] },
        doc! { "_id": 3, "u": 2, "v": 3, "p": [1], "q": [1] },
    ])
    .await;
    let create = |indexes: Vec<Document>| doc! { "createIndexes": "c", "indexes": indexes };
    w.fails(
        create(vec![
            doc! { "key": { "v": 1 }, "name": "v" },
            doc! { "key": { "u": 1 }, "name": "u", "unique": true },
        ]),
        11000,
    )
    .await;
    w.fails(
        create(vec![doc! { "key": { "p": 1, "q": 1 }, "name": "pq" }]),
        171,
    )
    .await;
    let listed = super::documents(&w.ok(doc! { "listIndexes": "c" }).await);
    assert_eq!(listed.len(), 1, "{listed:?}");
    // The key that was a duplicate, and those of the index built with it.
    w.insert(vec![doc! { "_id": 4, "u": 1, "v": 1 }]).await;
    w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": { "$in": [1, 2] } }, "limit": 0 }] })
        .await;
    w.ok(create(vec![
        doc! { "key": { "u": 1 }, "name": "u", "unique": true },
    ]))
    .await;
    w.fails(doc! { "insert": "c", "documents": [{ "u": 1 }] }, 11000)
        .await;
    assert_eq!(w.find(doc! { "filter": { "u": 1 } }).await.len(), 1);
}

async fn changed_indexes(w: World) {
    index(&w, doc! { "a": 1 }, doc! {}).await;
    index(&w, doc! { "t": 1 }, doc! { "expireAfterSeconds": 100_000 }).await;
    index(&w, doc! { "a": 1, "b": 1 }, doc! {}).await;
    let change = |index: Document| doc! { "collMod": "c", "index": index };
    let reply = w.ok(change(doc! { "name": "a", "hidden": true })).await;
    assert_eq!(reply.get_bool("hidden_old").ok(), Some(false), "{reply}");
    assert_eq!(reply.get_bool("hidden_new").ok(), Some(true), "{reply}");
    let reply = w.ok(change(doc! { "name": "a", "hidden": true })).await;
    assert!(!reply.contains_key("hidden_new"), "{reply}");
    w.ok(change(doc! { "keyPattern": { "a": 1 }, "hidden": false }))
        .await;
    let reply = w
        .ok(change(doc! { "name": "t", "expireAfterSeconds": 90_000 }))
        .await;
    let number = |name: &str| reply.get(name).and_then(super::whole);
    assert_eq!(number("expireAfterSeconds_old"), Some(100_000), "{reply}");
    assert_eq!(number("expireAfterSeconds_new"), Some(90_000), "{reply}");
    for (code, index) in [
        (27, doc! { "name": "none", "hidden": true }),
        (27, doc! { "keyPattern": { "z": 1 }, "hidden": true }),
        (72, doc! { "name": "a" }),
        (72, doc! { "hidden": true }),
        (
            72,
            doc! { "name": "a", "keyPattern": { "a": 1 }, "hidden": true },
        ),
        (2, doc! { "name": "_id_", "hidden": true }),
        (72, doc! { "name": "a_b", "expireAfterSeconds": 5 }),
        (72, doc! { "name": "t", "expireAfterSeconds": -5 }),
        (14, doc! { "name": "t", "expireAfterSeconds": "5" }),
        (40415, doc! { "name": "t", "bogus": 5 }),
    ] {
        w.fails(change(index), code).await;
    }
    w.fails(
        doc! { "collMod": "nothing", "index": { "name": "a", "hidden": true } },
        26,
    )
    .await;
}

async fn dropped_indexes(w: World) {
    for name in ["a", "b", "c", "d"] {
        index(&w, doc! { name: 1 }, doc! {}).await;
    }
    let drop = |index: bson::Bson| doc! { "dropIndexes": "c", "index": index };
    let unique = doc! { "key": { "a": 1 }, "name": "unique", "unique": true };
    w.ok(doc! { "createIndexes": "c", "indexes": [unique] })
        .await;
    for (code, index) in [
        (27, bson::bson!("none")),
        (27, bson::bson!(["b", "none"])),
        (27, bson::bson!({ "z": 1 })),
        (181, bson::bson!({ "a": 1 })),
        (72, bson::bson!("_id_")),
        (72, bson::bson!({ "_id": 1 })),
        (72, bson::bson!(["_id_"])),
        (14, bson::bson!(5)),
    ] {
        w.fails(drop(index), code).await;
    }
    w.fails(doc! { "dropIndexes": "nothing", "index": "*" }, 26)
        .await;
    let left = async || super::documents(&w.ok(doc! { "listIndexes": "c" }).await).len();
    let reply = w.ok(drop(bson::bson!(["b", "c"]))).await;
    assert_eq!(
        reply.get("nIndexesWas").and_then(super::whole),
        Some(6),
        "{reply}"
    );
    assert_eq!(left().await, 4);
    w.ok(drop(bson::bson!({ "d": 1 }))).await;
    assert_eq!(left().await, 3);
    w.ok(drop(bson::bson!("*"))).await;
    assert_eq!(left().await, 1);
}
