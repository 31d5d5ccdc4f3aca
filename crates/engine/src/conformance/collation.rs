//! Collations: how strings compare in queries, sorts, updates and indexes.

use bson::{Bson, Document, doc};

use super::{Case, World, documents};

pub(super) const CASES: &[Case] = &[
    ("collations_match", |w| Box::pin(collations_match(w))),
    ("collations_are_in_expressions", |w| {
        Box::pin(collations_are_in_expressions(w))
    }),
    ("collations_sort", |w| Box::pin(collations_sort(w))),
    ("collations_write", |w| Box::pin(collations_write(w))),
    ("a_collection_has_a_collation", |w| {
        Box::pin(a_collection_has_a_collation(w))
    }),
    ("an_index_has_a_collation", |w| {
        Box::pin(an_index_has_a_collation(w))
    }),
    ("collations_are_refused", |w| {
        Box::pin(collations_are_refused(w))
    }),
];

/// The `_id`s that a filter finds with a collation.
async fn ids(w: &World, filter: Document, collation: Document) -> Vec<i32> {
    let found = w
        .find(doc! { "filter": filter, "sort": { "_id": 1 }, "collation": collation })
        .await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn letters(w: &World) {
    w.insert(vec![
        doc! { "_id": 1, "a": "b", "t": ["x", "Y"] },
        doc! { "_id": 2, "a": "B" },
        doc! { "_id": 3, "a": "á" },
        doc! { "_id": 4, "a": "A" },
        doc! { "_id": 5, "a": "a10" },
        doc! { "_id": 6, "a": "a9" },
        doc! { "_id": 7, "a": { "x": "Z" } },
        doc! { "_id": 8, "a": ["B", "c"] },
        doc! { "_id": 9, "a": 1 },
    ])
    .await;
}

async fn collations_match(w: World) {
    letters(&w).await;
    let two = || doc! { "locale": "en", "strength": 2 };
    for (filter, wanted) in [
        (doc! { "a": "b" }, vec![1, 2, 8]),
        (doc! { "a": { "$in": ["B", "Z"] } }, vec![1, 2, 8]),
        (doc! { "a": { "$nin": ["b", "A"] } }, vec![3, 5, 6, 7, 9]),
        (doc! { "a": { "$ne": "b" } }, vec![3, 4, 5, 6, 7, 9]),
        (doc! { "a": { "$lte": "a" } }, vec![4]),
        (doc! { "a": { "$gt": "A10" } }, vec![1, 2, 6, 8]),
        (doc! { "a.x": "z" }, vec![7]),
        (doc! { "a": { "x": "z" } }, vec![7]),
        (doc! { "a": ["b", "C"] }, vec![8]),
        (doc! { "t": { "$all": ["X", "y"] } }, vec![1]),
        (doc! { "t": { "$elemMatch": { "$eq": "X" } } }, vec![1]),
        // Regular expressions have their own ways.
        (doc! { "a": { "$regex": "^b" } }, vec![1]),
        (doc! { "$or": [{ "a": "A" }, { "a": 1 }] }, vec![4, 9]),
    ] {
        assert_eq!(ids(&w, filter.clone(), two()).await, wanted, "{filter}");
    }
    for (collation, wanted) in [
        (doc! { "locale": "en", "strength": 1 }, vec![3, 4]),
        (doc! { "locale": "en", "strength": 2 }, vec![4]),
        (doc! { "locale": "en" }, vec![]),
        (doc! { "locale": "simple" }, vec![]),
        (
            doc! { "locale": "en", "strength": 1, "caseLevel": true },
            vec![3],
        ),
    ] {
        let found = ids(&w, doc! { "a": "a" }, collation.clone()).await;
        assert_eq!(found, wanted, "{collation}");
    }
    let count = w
        .ok(doc! { "count": "c", "query": { "a": "b" }, "collation": two() })
        .await;
    assert_eq!(count.get("n").and_then(super::whole), Some(3), "{count}");
    let distinct = w
        .ok(doc! { "distinct": "c", "key": "a", "query": { "_id": { "$in": [1, 2, 9] } }, "collation": two() })
        .await;
    let wanted = vec![Bson::Int32(1), Bson::from("b")];
    assert_eq!(distinct.get_array("values").ok(), Some(&wanted));
    let pipeline = doc! {
        "aggregate": "c", "collation": two(), "cursor": {},
        "pipeline": [{ "$match": { "a": "B" } }, { "$sort": { "a": -1, "_id": 1 } }, { "$project": { "_id": 1 } }],
    };
    let found = documents(&w.ok(pipeline).await);
    assert_eq!(
        found,
        [doc! { "_id": 8 }, doc! { "_id": 1 }, doc! { "_id": 2 }]
    );
}

/// Expressions compare by the collation too, constants among themselves and in
/// every command.
async fn collations_are_in_expressions(w: World) {
    let two = || doc! { "locale": "en", "strength": 2 };
    w.insert(vec![doc! { "_id": 1, "a": "b", "t": ["x", "Y"] }])
        .await;
    for (expression, wanted) in [
        (doc! { "$eq": ["$a", "B"] }, Bson::from(true)),
        (doc! { "$eq": ["b", "B"] }, true.into()),
        (doc! { "$cmp": ["$a", "B"] }, 0.into()),
        (doc! { "$lt": ["b", "Á"] }, false.into()),
        (doc! { "$in": ["X", "$t"] }, true.into()),
        (doc! { "$indexOfArray": ["$t", "y"] }, 1.into()),
        (doc! { "$max": ["$a", "B"] }, "b".into()),
        // Constants come last.
        (doc! { "$min": ["B", "$a", "b"] }, "b".into()),
        (doc! { "$setUnion": [["Z"], ["z"]] }, vec!["Z"].into()),
        (doc! { "$setDifference": ["$t", ["y"]] }, vec!["x"].into()),
        (doc! { "$setEquals": ["$t", ["y", "X"]] }, true.into()),
        (doc! { "$setIsSubset": [["X"], "$t"] }, true.into()),
        (
            doc! { "$size": { "$setIntersection": [["X"], "$t"] } },
            1.into(),
        ),
        (
            doc! { "$sortArray": { "input": ["c", "B", "a"], "sortBy": 1 } },
            vec!["a", "B", "c"].into(),
        ),
        (
            doc! { "$minN": { "n": 2, "input": ["c", "B", "a"] } },
            vec!["a", "B"].into(),
        ),
        (
            doc! { "$filter": { "input": "$t", "as": "e", "cond": { "$eq": ["$$e", "X"] } } },
            vec!["x"].into(),
        ),
        (
            doc! { "$switch": {
                "branches": [{ "case": { "$eq": ["b", "B"] }, "then": 1 }], "default": 2,
            } },
            1.into(),
        ),
        // These have nothing to do with it.
        (doc! { "$strcasecmp": ["á", "a"] }, 1.into()),
        (doc! { "$indexOfCP": ["$a", "B"] }, (-1).into()),
    ] {
        let found = w
            .ok(doc! {
                "aggregate": "c",
                "pipeline": [{ "$project": { "_id": 0, "v": expression.clone() } }],
                "cursor": {},
                "collation": two(),
            })
            .await;
        assert_eq!(
            documents(&found),
            [doc! { "v": wanted.clone() }],
            "{expression}"
        );
        let found = w
            .find(doc! { "projection": { "_id": 0, "v": expression.clone() }, "collation": two() })
            .await;
        assert_eq!(found, [doc! { "v": wanted }], "find {expression}");
    }
    let same = || doc! { "$expr": { "$eq": ["$a", "B"] } };
    assert_eq!(ids(&w, same(), two()).await, [1]);
    assert!(
        ids(&w, same(), doc! { "locale": "simple" })
            .await
            .is_empty()
    );
    w.ok(doc! { "update": "c", "updates": [{
        "q": same(),
        "u": [{ "$set": { "n": { "$eq": ["b", "$a"] }, "m": { "$eq": ["X", "x"] } } }],
        "collation": two(),
    }] })
    .await;
    let joined = w
        .ok(doc! {
            "aggregate": "c",
            "pipeline": [
                { "$lookup": {
                    "from": "c", "let": { "a": { "$max": ["A", "$a"] } }, "as": "j",
                    "pipeline": [{ "$match": { "$expr": { "$eq": ["$$a", "B"] } } }],
                } },
                { "$project": { "_id": 0, "n": 1, "m": 1, "j": { "$size": "$j" } } },
            ],
            "cursor": {},
            "collation": two(),
        })
        .await;
    assert_eq!(documents(&joined), [doc! { "n": true, "m": true, "j": 1 }]);
    w.ok(doc! { "delete": "c", "deletes": [{ "q": same(), "limit": 1, "collation": two() }] })
        .await;
    assert!(w.find(doc! {}).await.is_empty());
}

async fn collations_sort(w: World) {
    letters(&w).await;
    for (collation, wanted) in [
        (doc! { "locale": "en" }, [9, 4, 3, 5, 6, 1, 2, 8, 7]),
        (
            doc! { "locale": "en", "caseFirst": "upper" },
            [9, 4, 3, 5, 6, 2, 8, 1, 7],
        ),
        (
            doc! { "locale": "en", "numericOrdering": true },
            [9, 4, 3, 6, 5, 1, 2, 8, 7],
        ),
        (doc! { "locale": "simple" }, [9, 4, 2, 8, 5, 6, 1, 3, 7]),
    ] {
        let found = w
            .find(doc! { "sort": { "a": 1, "_id": 1 }, "collation": &collation })
            .await;
        let found: Vec<i32> = found.iter().filter_map(|d| d.get_i32("_id").ok()).collect();
        assert_eq!(found, wanted, "{collation}");
    }
    for (locale, wanted) in [
        ("sv", ["a", "z", "ä", "ö"]),
        ("de", ["a", "ä", "ö", "z"]),
        ("et", ["a", "z", "ä", "ö"]),
    ] {
        w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
            .await;
        w.insert(["z", "ö", "ä", "a"].map(|a| doc! { "a": a }).to_vec())
            .await;
        let found = w
            .find(doc! { "sort": { "a": 1 }, "collation": { "locale": locale } })
            .await;
        let found: Vec<&str> = found.iter().filter_map(|d| d.get_str("a").ok()).collect();
        assert_eq!(found, wanted, "{locale}");
    }
}

async fn collations_write(w: World) {
    letters(&w).await;
    let two = || doc! { "locale": "en", "strength": 2 };
    let update = async |update: Document, filters: Vec<Document>| {
        let statement =
            doc! { "q": { "_id": 1 }, "u": update, "arrayFilters": filters, "collation": two() };
        w.ok(doc! { "update": "c", "updates": [statement] }).await
    };
    let nothing = update(doc! { "$min": { "a": "B" } }, vec![]).await;
    assert_eq!(nothing.get("nModified").and_then(super::whole), Some(0));
    update(doc! { "$max": { "a": "C" } }, vec![]).await;
    update(doc! { "$addToSet": { "t": "X" } }, vec![]).await;
    update(doc! { "$pull": { "t": "y" } }, vec![]).await;
    let push = doc! { "$push": { "t": { "$each": ["b", "A"], "$sort": 1 } } };
    update(push, vec![]).await;
    update(doc! { "$set": { "t.$[e]": "q" } }, vec![doc! { "e": "B" }]).await;
    update(doc! { "$pullAll": { "t": ["X"] } }, vec![]).await;
    let found = w.find(doc! { "filter": { "_id": 1 } }).await;
    assert_eq!(found, [doc! { "_id": 1, "a": "C", "t": ["A", "q"] }]);

    let reply = w
        .ok(doc! { "delete": "c", "deletes": [
            { "q": { "a": "b" }, "limit": 0, "collation": two() },
            { "q": { "a": "a" }, "limit": 0 },
        ] })
        .await;
    assert_eq!(reply.get("n").and_then(super::whole), Some(2), "{reply}");
    let reply = w
        .ok(doc! {
            "findAndModify": "c", "query": { "a": "a" }, "sort": { "a": -1 }, "remove": true,
            "collation": { "locale": "en", "strength": 1 },
        })
        .await;
    // Both are equal; the first is the one.
    let value = reply.get_document("value").expect("a value");
    assert_eq!(value.get_i32("_id").ok(), Some(3));
}

async fn a_collection_has_a_collation(w: World) {
    w.ok(doc! { "create": "c", "collation": { "locale": "en", "strength": 2 } })
        .await;
    let full = doc! {
        "locale": "en", "caseLevel": false, "caseFirst": "off", "strength": 2,
        "numericOrdering": false, "alternate": "non-ignorable", "maxVariable": "punct",
        "normalization": false, "backwards": false, "version": "57.1",
    };
    let listed = documents(&w.ok(doc! { "listCollections": 1 }).await);
    let options = listed[0].get_document("options").expect("options");
    assert_eq!(options.get_document("collation").ok(), Some(&full));
    let indexes = documents(&w.ok(doc! { "listIndexes": "c" }).await);
    assert_eq!(indexes[0].get_document("collation").ok(), Some(&full));
    w.insert(vec![doc! { "_id": "k", "a": "b" }]).await;
    // Its _ids compare like everything else.
    w.fails(doc! { "insert": "c", "documents": [{ "_id": "K" }] }, 11000)
        .await;
    for (filter, wanted) in [
        (doc! { "_id": "K" }, 1),
        (doc! { "a": "B" }, 1),
        (doc! { "a": "á" }, 0),
    ] {
        assert_eq!(w.find(doc! { "filter": filter }).await.len(), wanted);
    }
    let simple = doc! { "filter": { "a": "B" }, "collation": { "locale": "simple" } };
    assert_eq!(w.find(simple).await.len(), 0);
    let reply = w
        .ok(doc! { "update": "c", "updates": [{ "q": { "a": "B" }, "u": { "$set": { "n": 1 } } }] })
        .await;
    assert_eq!(reply.get("n").and_then(super::whole), Some(1), "{reply}");
}

async fn an_index_has_a_collation(w: World) {
    letters(&w).await;
    let two = || doc! { "locale": "en", "strength": 2 };
    w.ok(doc! { "createIndexes": "c", "indexes": [
        { "key": { "a": 1 }, "name": "two", "collation": two() },
        { "key": { "a": 1 }, "name": "simple" },
    ] })
    .await;
    for (filter, collation, wanted) in [
        (doc! { "a": "b" }, two(), vec![1, 2, 8]),
        (doc! { "a": "b" }, doc! { "locale": "simple" }, vec![1]),
        (doc! { "a": "b" }, doc! { "locale": "fr" }, vec![1]),
        (doc! { "a": { "$gte": "B" } }, two(), vec![1, 2, 8]),
        (doc! { "a": { "$in": ["B", 1] } }, two(), vec![1, 2, 8, 9]),
        (doc! { "a": 1 }, two(), vec![9]),
    ] {
        let found = ids(&w, filter.clone(), collation.clone()).await;
        assert_eq!(found, wanted, "{filter} {collation}");
    }
    let again = |name: &str, collation: Document| {
        doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1 }, "name": name, "collation": collation }] }
    };
    w.ok(again("two", two())).await;
    w.fails(again("three", two()), 85).await;
    w.fails(again("two", doc! { "locale": "en" }), 86).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [
        { "key": { "u": 1 }, "name": "u", "unique": true, "collation": two(), "sparse": true },
    ] })
    .await;
    w.insert(vec![doc! { "u": "x" }]).await;
    w.fails(doc! { "insert": "c", "documents": [{ "u": "X" }] }, 11000)
        .await;
}

async fn collations_are_refused(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": "b" }]).await;
    for (collation, code) in [
        (doc! { "locale": "zz" }, 2),
        (doc! { "locale": "" }, 2),
        (doc! { "locale": "en-US" }, 2),
        (doc! { "locale": 1 }, 14),
        (doc! { "strength": 1 }, 40414),
        (doc! { "locale": "en", "strength": 0 }, 2),
        (doc! { "locale": "en", "strength": 6 }, 51024),
        (doc! { "locale": "en", "strength": "1" }, 14),
        (doc! { "locale": "en", "caseLevel": 1 }, 14),
        (doc! { "locale": "en", "caseFirst": "x" }, 2),
        (
            doc! { "locale": "en", "strength": 2, "caseFirst": "upper" },
            2,
        ),
        (doc! { "locale": "en", "strength": 1, "backwards": true }, 2),
        (doc! { "locale": "en", "alternate": "x" }, 2),
        (doc! { "locale": "en", "maxVariable": "x" }, 2),
        (doc! { "locale": "en", "version": "1" }, 161),
        (doc! { "locale": "en", "other": 1 }, 40415),
    ] {
        for command in [
            doc! { "find": "c", "collation": &collation },
            doc! { "aggregate": "c", "pipeline": [], "cursor": {}, "collation": &collation },
            doc! { "update": "c", "updates": [{ "q": {}, "u": { "$set": { "b": 1 } }, "collation": &collation }] },
            doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 1, "collation": &collation }] },
            doc! { "count": "c", "collation": &collation },
            doc! { "create": "d", "collation": &collation },
        ] {
            w.fails(command, code).await;
        }
    }
    w.fails(doc! { "find": "c", "collation": "en" }, 14).await;
    let insert = doc! { "insert": "c", "documents": [{}], "collation": { "locale": "en" } };
    w.fails(insert, 40415).await;
}
