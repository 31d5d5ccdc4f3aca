//! Documents: insert, find, update, delete, findAndModify, count, distinct.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("insert_and_find", |w| Box::pin(insert_and_find(w))),
    ("insert_stops_at_a_duplicate", |w| {
        Box::pin(insert_stops_at_a_duplicate(w))
    }),
    ("queries", |w| Box::pin(queries(w))),
    ("array_and_null_traps", |w| {
        Box::pin(array_and_null_traps(w))
    }),
    ("sort_skip_limit", |w| Box::pin(sort_skip_limit(w))),
    ("projections", |w| Box::pin(projections(w))),
    ("updates", |w| Box::pin(updates(w))),
    ("array_updates", |w| Box::pin(array_updates(w))),
    ("update_errors", |w| Box::pin(update_errors(w))),
    ("upserts", |w| Box::pin(upserts(w))),
    ("deletes", |w| Box::pin(deletes(w))),
    ("find_and_modify", |w| Box::pin(find_and_modify(w))),
    ("count_and_distinct", |w| Box::pin(count_and_distinct(w))),
    ("cursors", |w| Box::pin(cursors(w))),
    ("bad_commands", |w| Box::pin(bad_commands(w))),
];

async fn insert_and_find(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": "x" }, doc! { "b": 1, "_id": 2 }])
        .await;
    let found = w.find(doc! {}).await;
    assert_eq!(
        found,
        vec![doc! { "_id": 1, "a": "x" }, doc! { "_id": 2, "b": 1 }]
    );
    // 1 and 1.0 are the same _id.
    assert_eq!(w.find(doc! { "filter": { "_id": 1.0 } }).await.len(), 1);
    let reply = w
        .ok(doc! { "insert": "c", "documents": [{ "n": 1 }] })
        .await;
    assert_eq!(reply.get("ok"), Some(&Bson::Double(1.0)), "{reply}");
    let made = &w.find(doc! { "filter": { "n": 1 } }).await[0];
    assert!(matches!(made.get("_id"), Some(Bson::ObjectId(_))), "{made}");
    w.fails(doc! { "insert": "c", "documents": [{ "_id": [1] }] }, 53)
        .await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "_id": { "$x": 1 } }] },
        52,
    )
    .await;
}

async fn insert_stops_at_a_duplicate(w: World) {
    let documents = vec![doc! { "_id": 1 }, doc! { "_id": 1 }, doc! { "_id": 2 }];
    let reply = w.ok(doc! { "insert": "c", "documents": &documents }).await;
    assert_eq!(reply.get("n").and_then(super::whole), Some(1), "{reply}");
    let errors = reply.get_array("writeErrors").expect("errors");
    let error = errors[0].as_document().expect("an error");
    assert_eq!(error.get_i32("code").ok(), Some(11000));
    assert_eq!(error.get("index").and_then(super::whole), Some(1));
    let text = error.get_str("errmsg").unwrap_or_default();
    let wanted = format!(
        "E11000 duplicate key error collection: {}.c index: _id_ dup key: {{ _id: 1 }}",
        w.database
    );
    assert_eq!(text, wanted);
    let reply = w
        .ok(doc! { "insert": "c", "documents": &documents, "ordered": false })
        .await;
    assert_eq!(reply.get("n").and_then(super::whole), Some(1), "{reply}");
    assert_eq!(w.find(doc! {}).await.len(), 2);
}

async fn ids(w: &World, filter: Document) -> Vec<i32> {
    let found = w
        .find(doc! { "filter": filter, "sort": { "_id": 1 } })
        .await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn queries(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "n": 1, "s": "abc", "d": { "x": 1 } },
        doc! { "_id": 2, "n": 2i64, "s": "ABD", "d": { "x": 2, "y": 1 } },
        doc! { "_id": 3, "n": 3.5, "t": true },
        doc! { "_id": 4, "n": "3" },
        doc! { "_id": 5, "n": [1, 5, 9], "o": [{ "k": 1, "v": 2 }, { "k": 2, "v": 1 }] },
    ])
    .await;
    for (filter, wanted) in [
        (doc! { "n": 1 }, vec![1, 5]),
        (doc! { "n": { "$gt": 1 } }, vec![2, 3, 5]),
        (doc! { "n": { "$gt": 3, "$lt": 6 } }, vec![3, 5]),
        (doc! { "n": { "$gte": 2, "$lte": 3.5 } }, vec![2, 3, 5]),
        (
            doc! { "n": { "$elemMatch": { "$gt": 5, "$lt": 9 } } },
            vec![],
        ),
        (doc! { "n": { "$ne": 1 } }, vec![2, 3, 4]),
        (doc! { "n": { "$in": [2, "3"] } }, vec![2, 4]),
        (doc! { "n": { "$nin": [2, "3"] } }, vec![1, 3, 5]),
        (doc! { "d": { "x": 1 } }, vec![1]),
        (doc! { "d.x": { "$exists": true } }, vec![1, 2]),
        (
            doc! { "t": { "$exists": false }, "s": { "$exists": false } },
            vec![4, 5],
        ),
        (doc! { "n": { "$type": "number" } }, vec![1, 2, 3, 5]),
        (doc! { "n": { "$type": ["string", "array"] } }, vec![4, 5]),
        (doc! { "n": { "$size": 3 } }, vec![5]),
        (doc! { "n": { "$all": [1, 9] } }, vec![5]),
        (doc! { "n": { "$mod": [2, 1] } }, vec![1, 3, 5]),
        (
            doc! { "s": { "$regex": "^ab", "$options": "i" } },
            vec![1, 2],
        ),
        (
            doc! { "s": { "$not": { "$regex": "^a" } } },
            vec![2, 3, 4, 5],
        ),
        (doc! { "$or": [{ "n": 1 }, { "t": true }] }, vec![1, 3, 5]),
        (doc! { "$nor": [{ "n": 1 }, { "t": true }] }, vec![2, 4]),
        (
            doc! { "$and": [{ "n": { "$gt": 1 } }, { "s": "ABD" }] },
            vec![2],
        ),
        (doc! { "o": { "$elemMatch": { "k": 1, "v": 1 } } }, vec![]),
        (doc! { "o.k": 1, "o.v": 1 }, vec![5]),
        (doc! { "o.1.k": 2 }, vec![5]),
        (doc! { "$expr": { "$gt": ["$d.x", 1] } }, vec![2]),
        (
            doc! { "$jsonSchema": { "required": ["d"], "properties": { "d": { "required": ["y"] } } } },
            vec![2],
        ),
        (doc! { "n": { "$bitsAllSet": 1 } }, vec![1, 5]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
    for (filter, code) in [
        (doc! { "$who": 1 }, 2),
        (doc! { "a": { "$who": 1 } }, 2),
        (doc! { "a": { "$in": 1 } }, 2),
        (doc! { "$and": [] }, 2),
        (doc! { "a": { "$mod": [0, 1] } }, 2),
        (doc! { "a": { "$size": -1 } }, 2),
        (doc! { "a": { "$regex": "(" } }, 51091),
    ] {
        w.fails(doc! { "find": "c", "filter": filter }, code).await;
    }
}

async fn array_and_null_traps(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": null },
        doc! { "_id": 2 },
        doc! { "_id": 3, "a": [] },
        doc! { "_id": 4, "a": [null, 1] },
        doc! { "_id": 5, "a": [[1, 2]] },
        doc! { "_id": 6, "a": [1, 2] },
        doc! { "_id": 7, "a": { "b": 1 } },
        doc! { "_id": 8, "a": [{ "b": 1 }, 5] },
        doc! { "_id": 9, "a": [[{ "b": 8 }]] },
        doc! { "_id": 10, "a": 5 },
        doc! { "_id": 11, "a": f64::NAN },
    ])
    .await;
    for (filter, wanted) in [
        (doc! { "a": null }, vec![1, 2, 4]),
        (
            doc! { "a": { "$ne": null } },
            vec![3, 5, 6, 7, 8, 9, 10, 11],
        ),
        (doc! { "a": [] }, vec![3]),
        (doc! { "a": [1, 2] }, vec![5, 6]),
        (doc! { "a.b": 1 }, vec![7, 8]),
        (doc! { "a.0.b": 8 }, vec![9]),
        (doc! { "a": { "$gte": f64::NAN } }, vec![11]),
        (doc! { "a": { "$lt": 5 } }, vec![4, 6]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
}

async fn sort_skip_limit(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "v": 3 },
        doc! { "_id": 2, "v": "a" },
        doc! { "_id": 3, "v": null },
        doc! { "_id": 4 },
        doc! { "_id": 5, "v": [0, 9] },
        doc! { "_id": 6, "v": 5.5 },
        doc! { "_id": 7, "v": true },
        doc! { "_id": 8, "v": [] },
    ])
    .await;
    let order = |found: Vec<Document>| -> Vec<i32> {
        found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
    };
    let up = w.find(doc! { "sort": { "v": 1, "_id": 1 } }).await;
    assert_eq!(order(up), [8, 3, 4, 5, 1, 6, 2, 7]);
    let down = w.find(doc! { "sort": { "v": -1, "_id": 1 } }).await;
    assert_eq!(order(down), [7, 2, 5, 6, 1, 3, 4, 8]);
    let part = w
        .find(doc! { "sort": { "_id": -1 }, "skip": 2, "limit": 3 })
        .await;
    assert_eq!(order(part), [6, 5, 4]);
    w.fails(doc! { "find": "c", "sort": { "a": 2 } }, 15975)
        .await;
}

async fn projections(w: World) {
    w.insert(vec![doc! {
        "_id": 1, "a": 1, "b": { "c": 1, "d": 2 },
        "l": [{ "x": 1, "y": 1 }, 7, { "x": 2 }], "n": [1, 2, 3, 4],
    }])
    .await;
    for (projection, wanted) in [
        (doc! { "a": 1 }, doc! { "_id": 1, "a": 1 }),
        (doc! { "a": 1, "_id": 0 }, doc! { "a": 1 }),
        (
            doc! { "_id": 0, "l": 0, "n": 0 },
            doc! { "a": 1, "b": { "c": 1, "d": 2 } },
        ),
        (doc! { "b.c": 1, "_id": 0 }, doc! { "b": { "c": 1 } }),
        (doc! { "b": { "d": 1 }, "_id": 0 }, doc! { "b": { "d": 2 } }),
        (
            doc! { "l.x": 1, "_id": 0 },
            doc! { "l": [{ "x": 1 }, { "x": 2 }] },
        ),
        (
            doc! { "n": { "$slice": 2 }, "a": 1, "_id": 0 },
            doc! { "a": 1, "n": [1, 2] },
        ),
        (
            doc! { "n": { "$slice": [-2, 1] }, "a": 1, "_id": 0 },
            doc! { "a": 1, "n": [3] },
        ),
        (
            doc! { "l": { "$elemMatch": { "x": 2 } }, "_id": 0 },
            doc! { "l": [{ "x": 2 }] },
        ),
        (
            doc! { "_id": 0, "s": { "$add": ["$a", 1] } },
            doc! { "s": 2 },
        ),
    ] {
        let found = w.find(doc! { "projection": projection.clone() }).await;
        assert_eq!(found, vec![wanted], "{projection}");
    }
    let found = w
        .find(doc! { "filter": { "n": { "$gt": 2 } }, "projection": { "n.$": 1, "_id": 0 } })
        .await;
    assert_eq!(found, vec![doc! { "n": [3] }]);
    for (projection, code) in [
        (doc! { "a": 1, "b": 0 }, 31254),
        (doc! { "a": 0, "b": 1 }, 31253),
        (doc! { "b": 1, "b.c": 1 }, 31249),
    ] {
        w.fails(doc! { "find": "c", "projection": projection }, code)
            .await;
    }
}

async fn after(w: &World, before: Document, update: impl Into<Bson>) -> Document {
    w.run(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
        .await
        .ok();
    w.insert(vec![before]).await;
    let update: Bson = update.into();
    let reply = w
        .ok(doc! { "update": "c", "updates": [{ "q": {}, "u": update.clone() }] })
        .await;
    assert!(!reply.contains_key("writeErrors"), "{update}: {reply}");
    w.find(doc! {}).await.remove(0)
}

async fn updates(w: World) {
    for (before, update, wanted) in [
        (
            doc! { "_id": 1, "a": 1 },
            doc! { "$set": { "a": 2, "b.c": 3 } },
            doc! { "_id": 1, "a": 2, "b": { "c": 3 } },
        ),
        (
            doc! { "_id": 1 },
            doc! { "$set": { "z": 1, "b": 1, "a10": 1, "a2": 1 } },
            doc! { "_id": 1, "a10": 1, "a2": 1, "b": 1, "z": 1 },
        ),
        (
            doc! { "_id": 1, "a": { "b": 1, "c": 2 }, "d": 1 },
            doc! { "$unset": { "a.b": "", "d": "", "x": "" } },
            doc! { "_id": 1, "a": { "c": 2 } },
        ),
        (
            doc! { "_id": 1, "a": 1, "b": 2i64, "c": 1.5 },
            doc! { "$inc": { "a": 1, "b": 1, "c": 1, "d": 5 } },
            doc! { "_id": 1, "a": 2, "b": 3i64, "c": 2.5, "d": 5 },
        ),
        (
            doc! { "_id": 1, "a": i32::MAX },
            doc! { "$inc": { "a": 1 } },
            doc! { "_id": 1, "a": 2_147_483_648_i64 },
        ),
        (
            doc! { "_id": 1, "a": 3 },
            doc! { "$mul": { "a": 2, "b": 5i64 } },
            doc! { "_id": 1, "a": 6, "b": 0i64 },
        ),
        (
            doc! { "_id": 1, "a": 3, "b": 3 },
            doc! { "$min": { "a": 2, "c": 1 }, "$max": { "b": 2 } },
            doc! { "_id": 1, "a": 2, "b": 3, "c": 1 },
        ),
        (
            doc! { "_id": 1, "a": { "b": 1 } },
            doc! { "$rename": { "a.b": "c", "x": "y" } },
            doc! { "_id": 1, "a": {}, "c": 1 },
        ),
        (
            doc! { "_id": 1, "a": 6 },
            doc! { "$bit": { "a": { "and": 3 }, } },
            doc! { "_id": 1, "a": 2 },
        ),
        (
            doc! { "_id": 1, "a": 1, "b": 2 },
            doc! { "c": 3 },
            doc! { "_id": 1, "c": 3 },
        ),
    ] {
        assert_eq!(after(&w, before, update.clone()).await, wanted, "{update}");
    }
    let pipeline = vec![
        Bson::Document(doc! { "$set": { "b": { "$add": ["$a", 1] } } }),
        Bson::Document(doc! { "$unset": "a" }),
    ];
    assert_eq!(
        after(&w, doc! { "_id": 1, "a": 1 }, pipeline).await,
        doc! { "_id": 1, "b": 2 }
    );
    // A value set to itself matches without modifying; another type modifies.
    let update = |value: Bson| doc! { "update": "c", "updates": [{ "q": {}, "u": { "$set": { "b": value } } }] };
    let reply = w.ok(update(Bson::Int32(2))).await;
    assert_eq!(
        reply.get("nModified").and_then(super::whole),
        Some(0),
        "{reply}"
    );
    let reply = w.ok(update(Bson::Double(2.0))).await;
    assert_eq!(
        reply.get("nModified").and_then(super::whole),
        Some(1),
        "{reply}"
    );
}

async fn array_updates(w: World) {
    for (before, update, wanted) in [
        (
            doc! { "_id": 1, "a": [1] },
            doc! { "$push": { "a": 2, "b": 3 } },
            doc! { "_id": 1, "a": [1, 2], "b": [3] },
        ),
        (
            doc! { "_id": 1, "a": [1, 4] },
            doc! { "$push": { "a": { "$each": [3, 2], "$sort": 1, "$slice": -3 } } },
            doc! { "_id": 1, "a": [2, 3, 4] },
        ),
        (
            doc! { "_id": 1, "a": [1, 4] },
            doc! { "$push": { "a": { "$each": [9], "$position": 1 } } },
            doc! { "_id": 1, "a": [1, 9, 4] },
        ),
        (
            doc! { "_id": 1, "a": [{ "k": 2 }] },
            doc! { "$push": { "a": { "$each": [{ "k": 1 }], "$sort": { "k": 1 } } } },
            doc! { "_id": 1, "a": [{ "k": 1 }, { "k": 2 }] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2] },
            doc! { "$addToSet": { "a": { "$each": [2, 3, 3] } } },
            doc! { "_id": 1, "a": [1, 2, 3] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2, 3] },
            doc! { "$pop": { "a": 1 } },
            doc! { "_id": 1, "a": [1, 2] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2, 3] },
            doc! { "$pop": { "a": -1 } },
            doc! { "_id": 1, "a": [2, 3] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2, 3, 2] },
            doc! { "$pull": { "a": 2 } },
            doc! { "_id": 1, "a": [1, 3] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2, 3] },
            doc! { "$pull": { "a": { "$gt": 1 } } },
            doc! { "_id": 1, "a": [1] },
        ),
        (
            doc! { "_id": 1, "a": [{ "k": 1, "v": 1 }, { "k": 2 }] },
            doc! { "$pull": { "a": { "k": 1 } } },
            doc! { "_id": 1, "a": [{ "k": 2 }] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2, 1] },
            doc! { "$pullAll": { "a": [1] } },
            doc! { "_id": 1, "a": [2] },
        ),
        (
            doc! { "_id": 1, "a": [1] },
            doc! { "$set": { "a.2": 5 } },
            doc! { "_id": 1, "a": [1, null, 5] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2] },
            doc! { "$unset": { "a.0": "" } },
            doc! { "_id": 1, "a": [null, 2] },
        ),
        (
            doc! { "_id": 1, "a": [1, 2] },
            doc! { "$inc": { "a.$[]": 10 } },
            doc! { "_id": 1, "a": [11, 12] },
        ),
    ] {
        assert_eq!(after(&w, before, update.clone()).await, wanted, "{update}");
    }
    after(
        &w,
        doc! { "_id": 1, "a": [{ "k": 1 }, { "k": 2 }] },
        doc! { "$set": { "x": 1 } },
    )
    .await;
    w.ok(
        doc! { "update": "c", "updates": [{ "q": { "a.k": 2 }, "u": { "$set": { "a.$.v": 5 } } }] },
    )
    .await;
    w.ok(doc! { "update": "c", "updates": [{
        "q": {}, "u": { "$set": { "a.$[e].w": 6 } }, "arrayFilters": [{ "e.k": 1 }],
    }] })
    .await;
    assert_eq!(
        w.find(doc! { "projection": { "a": 1, "_id": 0 } }).await,
        vec![doc! { "a": [{ "k": 1, "w": 6 }, { "k": 2, "v": 5 }] }]
    );
}

async fn update_errors(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": 1, "s": "x", "n": null, "l": [1] },
    ])
    .await;
    for (update, code) in [
        (doc! { "$set": { "a": 1 }, "$inc": { "a": 1 } }, 40),
        (doc! { "$set": { "a": 1, "a.b": 1 } }, 40),
        (doc! { "$set": { "a.b": 1 } }, 28),
        (doc! { "$inc": { "s": 1 } }, 14),
        (doc! { "$inc": { "n": 1 } }, 14),
        (doc! { "$inc": { "a": "1" } }, 14),
        (doc! { "$push": { "a": 1 } }, 2),
        (doc! { "$pop": { "a": 1 } }, 14),
        (doc! { "$set": { "_id": 2 } }, 66),
        (doc! { "$who": { "a": 1 } }, 9),
        (doc! { "$set": { "l.$": 1 } }, 2),
        (doc! { "$set": { "l.x": 1 } }, 28),
        (doc! { "$rename": { "a": "a" } }, 2),
        (doc! { "$set": { "": 1 } }, 56),
        (doc! { "$set": { "l.$[e]": 1 } }, 2),
    ] {
        w.fails(
            doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": update }] },
            code,
        )
        .await;
    }
    w.fails(
        doc! { "update": "c", "updates": [{ "q": {}, "u": { "a": 1 }, "multi": true }] },
        9,
    )
    .await;
    assert_eq!(
        w.find(doc! {}).await,
        vec![doc! { "_id": 1, "a": 1, "s": "x", "n": null, "l": [1] }]
    );
    assert!(
        w.ok(doc! { "update": "c", "updates": [{ "q": {}, "u": { "$set": {} } }] })
            .await
            .contains_key("n")
    );
}

async fn upserts(w: World) {
    for (id, query, update, wanted) in [
        (
            1,
            doc! { "_id": 1, "a": 5 },
            doc! { "$set": { "b": 1 } },
            doc! { "_id": 1, "a": 5, "b": 1 },
        ),
        (
            2,
            doc! { "_id": 2, "$and": [{ "x.y": { "$eq": 1 } }] },
            doc! { "$inc": { "n": 1 } },
            doc! { "_id": 2, "x": { "y": 1 }, "n": 1 },
        ),
        (
            3,
            doc! { "_id": 3, "a": { "$gt": 5 }, "b": { "$in": [7] } },
            doc! { "$setOnInsert": { "c": 1 } },
            doc! { "_id": 3, "b": 7, "c": 1 },
        ),
        (
            4,
            doc! { "_id": 4, "a": 1 },
            doc! { "z": 1 },
            doc! { "_id": 4, "z": 1 },
        ),
    ] {
        let reply = w
            .ok(doc! { "update": "c", "updates": [{ "q": query, "u": update, "upsert": true }] })
            .await;
        assert_eq!(reply.get("n").and_then(super::whole), Some(1), "{reply}");
        let upserted = reply.get_array("upserted").expect("upserted");
        assert_eq!(
            upserted[0]
                .as_document()
                .and_then(|d| d.get_i32("_id").ok()),
            Some(id)
        );
        assert_eq!(w.find(doc! { "filter": { "_id": id } }).await, vec![wanted]);
    }
    w.fails(
        doc! { "update": "c", "updates": [{ "q": { "a": 1, "$and": [{ "a": 2 }] }, "u": { "$set": { "b": 1 } }, "upsert": true }] },
        54,
    )
    .await;
    // A match does not insert, and leaves $setOnInsert alone.
    let reply = w
        .ok(doc! { "update": "c", "updates": [{ "q": { "_id": 3 }, "u": { "$setOnInsert": { "c": 9 } }, "upsert": true }] })
        .await;
    assert_eq!(
        reply.get("nModified").and_then(super::whole),
        Some(0),
        "{reply}"
    );
    assert!(!reply.contains_key("upserted"));
}

async fn deletes(w: World) {
    w.insert(
        (0..6)
            .map(|n| doc! { "_id": n, "even": n % 2 == 0 })
            .collect(),
    )
    .await;
    let delete =
        |q: Document, limit: i32| doc! { "delete": "c", "deletes": [{ "q": q, "limit": limit }] };
    let n = |reply: Document| reply.get("n").and_then(super::whole);
    assert_eq!(n(w.ok(delete(doc! { "even": true }, 1)).await), Some(1));
    assert_eq!(n(w.ok(delete(doc! { "even": true }, 0)).await), Some(2));
    assert_eq!(n(w.ok(delete(doc! { "even": true }, 0)).await), Some(0));
    assert_eq!(w.find(doc! {}).await.len(), 3);
}

async fn find_and_modify(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 2 }])
        .await;
    let value = |reply: Document| reply.get("value").cloned().unwrap_or(Bson::Undefined);
    let old = w.ok(doc! { "findAndModify": "c", "query": {}, "sort": { "n": -1 }, "update": { "$inc": { "n": 10 } } }).await;
    assert_eq!(value(old), doc! { "_id": 2, "n": 2 }.into());
    let new = w.ok(doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } }, "new": true, "fields": { "n": 1, "_id": 0 } }).await;
    assert_eq!(value(new), doc! { "n": 2 }.into());
    let none = w
        .ok(doc! { "findAndModify": "c", "query": { "_id": 9 }, "update": { "$inc": { "n": 1 } } })
        .await;
    assert_eq!(value(none), Bson::Null);
    let made = w.ok(doc! { "findAndModify": "c", "query": { "_id": 9 }, "update": { "$inc": { "n": 1 } }, "upsert": true, "new": true }).await;
    assert_eq!(value(made), doc! { "_id": 9, "n": 1 }.into());
    let gone = w
        .ok(doc! { "findAndModify": "c", "query": { "_id": 9 }, "remove": true })
        .await;
    assert_eq!(value(gone), doc! { "_id": 9, "n": 1 }.into());
    w.fails(doc! { "findAndModify": "c", "query": {} }, 9).await;
    assert_eq!(w.find(doc! {}).await.len(), 2);
}

async fn count_and_distinct(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": 1 },
        doc! { "_id": 2, "a": [1, 2, "x"] },
        doc! { "_id": 3, "a": 2.0 },
        doc! { "_id": 4 },
    ])
    .await;
    let n = |reply: Document| reply.get("n").and_then(super::whole);
    assert_eq!(n(w.ok(doc! { "count": "c" }).await), Some(4));
    assert_eq!(
        n(w.ok(doc! { "count": "c", "query": { "a": 2 } }).await),
        Some(2)
    );
    assert_eq!(
        n(
            w.ok(doc! { "count": "c", "query": {}, "skip": 1, "limit": 2 })
                .await
        ),
        Some(2)
    );
    assert_eq!(n(w.ok(doc! { "count": "nothing" }).await), Some(0));
    let reply = w.ok(doc! { "distinct": "c", "key": "a" }).await;
    let values = reply.get_array("values").expect("values");
    assert_eq!(
        values,
        &vec![Bson::Int32(1), Bson::Int32(2), Bson::String("x".into())]
    );
}

async fn cursors(w: World) {
    w.insert((0..250).map(|n| doc! { "_id": n }).collect())
        .await;
    let reply = w
        .ok(doc! { "find": "c", "sort": { "_id": 1 }, "batchSize": 100 })
        .await;
    assert_eq!(super::documents(&reply).len(), 100);
    let id = reply
        .get_document("cursor")
        .and_then(|c| c.get_i64("id"))
        .expect("an id");
    assert_ne!(id, 0);
    let reply = w
        .ok(doc! { "getMore": id, "collection": "c", "batchSize": 100 })
        .await;
    let cursor = reply.get_document("cursor").expect("a cursor");
    assert_eq!(cursor.get_array("nextBatch").map(Vec::len).ok(), Some(100));
    let reply = w.ok(doc! { "getMore": id, "collection": "c" }).await;
    let cursor = reply.get_document("cursor").expect("a cursor");
    assert_eq!(cursor.get_array("nextBatch").map(Vec::len).ok(), Some(50));
    assert_eq!(cursor.get_i64("id").ok(), Some(0));
    w.fails(doc! { "getMore": id, "collection": "c" }, 43).await;
    let reply = w.ok(doc! { "find": "c", "batchSize": 1 }).await;
    let id = reply
        .get_document("cursor")
        .and_then(|c| c.get_i64("id"))
        .expect("an id");
    w.ok(doc! { "killCursors": "c", "cursors": [id] }).await;
    w.fails(doc! { "getMore": id, "collection": "c" }, 43).await;
}

async fn bad_commands(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    w.fails(doc! { "noSuchCommand": 1 }, 59).await;
    w.fails(doc! { "find": "c", "filter": 5 }, 14).await;
    w.fails(doc! { "find": "c", "nothing": 5 }, 40415).await;
    w.fails(doc! { "insert": "c", "documents": [] }, 16).await;
    w.fails(
        doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 2 }] },
        9,
    )
    .await;
    w.fails(doc! { "insert": "$bad", "documents": [{ "a": 1 }] }, 73)
        .await;
}
