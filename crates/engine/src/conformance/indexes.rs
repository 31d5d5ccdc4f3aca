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
