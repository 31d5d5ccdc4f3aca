//! Corners that random comparison with mongod has found: arrays on paths,
//! errors and their codes, what counts as a change.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("a_path_names_an_element", |w| {
        Box::pin(a_path_names_an_element(w))
    }),
    ("elements_are_not_looked_into", |w| {
        Box::pin(elements_are_not_looked_into(w))
    }),
    ("numbers_have_bits", |w| Box::pin(numbers_have_bits(w))),
    ("sorts_go_through_one_array", |w| {
        Box::pin(sorts_go_through_one_array(w))
    }),
    ("indexes_go_through_one_array", |w| {
        Box::pin(indexes_go_through_one_array(w))
    }),
    ("an_element_and_a_field_of_one_name", |w| {
        Box::pin(an_element_and_a_field_of_one_name(w))
    }),
    ("duplicates_say_where", |w| {
        Box::pin(duplicates_say_where(w))
    }),
    ("projections_compute", |w| Box::pin(projections_compute(w))),
    ("projections_are_refused", |w| {
        Box::pin(projections_are_refused(w))
    }),
    ("a_projection_shows_the_element_that_was_found", |w| {
        Box::pin(a_projection_shows_the_element_that_was_found(w))
    }),
    ("expressions_fail_the_command", |w| {
        Box::pin(expressions_fail_the_command(w))
    }),
    ("updates_are_refused", |w| Box::pin(updates_are_refused(w))),
    ("updates_that_change_nothing", |w| {
        Box::pin(updates_that_change_nothing(w))
    }),
    ("upserts_derive", |w| Box::pin(upserts_derive(w))),
    ("find_and_modify_takes_it_all", |w| {
        Box::pin(find_and_modify_takes_it_all(w))
    }),
    ("mixed_types_sort", |w| Box::pin(mixed_types_sort(w))),
];

async fn ids(w: &World, filter: Document) -> Vec<i32> {
    let found = w
        .find(doc! { "filter": filter, "sort": { "_id": 1 } })
        .await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn sorted(w: &World, sort: Document) -> Vec<i32> {
    let found = w.find(doc! { "sort": sort }).await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn a_path_names_an_element(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "l": [[1, "x"], 2] },
        doc! { "_id": 2, "l": [1] },
        doc! { "_id": 3, "l": ["y", [false]] },
        doc! { "_id": 4, "l": [{ "b": null }] },
        doc! { "_id": 5, "l": [7.5] },
    ])
    .await;
    for (filter, wanted) in [
        (doc! { "l.0": 1 }, vec![2]),
        (doc! { "l.0": [1, "x"] }, vec![1]),
        (doc! { "l.0": { "$size": 2 } }, vec![1]),
        (doc! { "l.0": { "$elemMatch": { "$eq": "x" } } }, vec![1]),
        (doc! { "l.1": { "$type": "bool" } }, vec![]),
        (doc! { "l.1": { "$type": "array" } }, vec![3]),
        (doc! { "l.0": { "$regex": "[xy]" } }, vec![3]),
        (doc! { "l.0.b": null }, vec![4]),
        (doc! { "l.0": { "$in": [1, 7.5] } }, vec![2, 5]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
}

async fn elements_are_not_looked_into(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "l": ["a", [5, 6]] },
        doc! { "_id": 2, "l": [5] },
        doc! { "_id": 3, "l": [[{ "k": 1 }], { "k": 2 }] },
    ])
    .await;
    for (filter, wanted) in [
        (
            doc! { "l": { "$elemMatch": { "$gt": 3, "$exists": true } } },
            vec![2],
        ),
        (
            doc! { "l": { "$elemMatch": { "$elemMatch": { "$gt": 5 } } } },
            vec![1],
        ),
        (doc! { "l": { "$elemMatch": { "$size": 2 } } }, vec![1]),
        (doc! { "l": { "$elemMatch": { "k": 1 } } }, vec![]),
        (doc! { "l": { "$elemMatch": { "0.k": 1 } } }, vec![3]),
        (
            doc! { "l": { "$not": { "$elemMatch": { "$type": "array" } } } },
            vec![2],
        ),
        (doc! { "l": { "$all": [[5, 6], "a"] } }, vec![1]),
        (doc! { "l": { "$all": [{ "$add": 1 }] } }, vec![]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
}

async fn numbers_have_bits(w: World) {
    let decimal = |text: &str| Bson::Decimal128(text.parse().expect("a decimal"));
    w.insert(vec![
        doc! { "_id": 1, "n": 5 },
        doc! { "_id": 2, "n": -1i64 },
        doc! { "_id": 3, "n": 1.5 },
        doc! { "_id": 4, "n": decimal("1") },
        doc! { "_id": 5, "n": decimal("1.5") },
        doc! { "_id": 6, "n": decimal("NaN") },
        doc! { "_id": 7, "n": "5" },
        doc! { "_id": 8, "n": decimal("Infinity") },
        doc! { "_id": 9, "n": f64::INFINITY },
    ])
    .await;
    for (filter, wanted) in [
        (doc! { "n": { "$bitsAllSet": 0 } }, vec![1, 2, 4, 5, 6, 8]),
        (doc! { "n": { "$bitsAllSet": 1 } }, vec![1, 2, 4]),
        (doc! { "n": { "$bitsAnySet": [1] } }, vec![2, 5]),
        (doc! { "n": { "$bitsAnyClear": 3 } }, vec![1, 4, 5, 6, 8]),
        (doc! { "n": { "$bitsAllSet": [63] } }, vec![2, 6, 8]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
    w.fails(
        doc! { "find": "c", "filter": { "n": { "$mod": [f64::NAN, 1] } } },
        2,
    )
    .await;
    w.fails(
        doc! { "find": "c", "filter": { "n": { "$mod": [1, decimal("NaN")] } } },
        2,
    )
    .await;
}

async fn sorts_go_through_one_array(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "l": [{ "a": 2, "b": 1 }, { "a": 1, "b": 9 }] },
        doc! { "_id": 2, "l": [{ "a": 1, "b": 5 }] },
        doc! { "_id": 3, "l": [[5]] },
        doc! { "_id": 4, "l": [[]] },
        doc! { "_id": 5, "l": [7] },
        doc! { "_id": 6 },
    ])
    .await;
    // The element with the least `a` is the one whose `b` counts.
    let found = sorted(&w, doc! { "l.a": 1, "l.b": 1, "_id": 1 }).await;
    assert_eq!(found, [3, 4, 5, 6, 2, 1]);
    let found = sorted(&w, doc! { "l.0": 1, "_id": 1 }).await;
    assert_eq!(found, [4, 6, 5, 2, 1, 3]);
    w.insert(vec![doc! { "_id": 7, "l": [1], "m": [1] }]).await;
    w.fails(doc! { "find": "c", "sort": { "l": 1, "m": 1 } }, 2)
        .await;
}

async fn indexes_go_through_one_array(w: World) {
    let index = doc! { "key": { "l.a": 1, "l.b": -1 }, "name": "i" };
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
    w.insert(vec![
        doc! { "_id": 1, "l": [{ "a": 1, "b": 2 }, { "a": 3, "b": 4 }] },
        doc! { "_id": 2, "l": { "a": 1, "b": 4 } },
        doc! { "_id": 3, "l": [] },
        doc! { "_id": 4 },
    ])
    .await;
    for (filter, wanted) in [
        // Two elements may have one of them each.
        (doc! { "l.a": 1, "l.b": 4 }, vec![1, 2]),
        (doc! { "l.a": 3 }, vec![1]),
        (doc! { "l.a": { "$gt": 0, "$lt": 2 } }, vec![1, 2]),
        (doc! { "l": { "$elemMatch": { "a": 1, "b": 4 } } }, vec![]),
        (doc! { "l.a": null }, vec![4]),
    ] {
        assert_eq!(ids(&w, filter.clone()).await, wanted, "{filter}");
    }
    let index = doc! { "key": { "x": 1, "y": 1 }, "name": "j" };
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
    w.fails(
        doc! { "insert": "c", "documents": [{ "x": [1], "y": [1] }] },
        171,
    )
    .await;
}

async fn an_element_and_a_field_of_one_name(w: World) {
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "l.0": 1 }, "name": "l" }] })
        .await;
    w.insert(vec![
        doc! { "l": { "0": 1 } },
        doc! { "l": [5] },
        doc! { "l": [] },
    ])
    .await;
    for l in [vec![doc! { "0": 1 }], vec![doc! {}, doc! { "0": 1 }]] {
        w.fails(doc! { "insert": "c", "documents": [{ "l": &l }] }, 16746)
            .await;
        w.ok(doc! { "insert": "d", "documents": [{ "l": l }] })
            .await;
    }
    w.fails(doc! { "find": "d", "sort": { "l.0": 1 } }, 16746)
        .await;
    w.ok(doc! { "find": "d", "sort": { "l.2": 1 } }).await;
}

async fn duplicates_say_where(w: World) {
    let index = doc! { "key": { "k": -1, "n": 1 }, "name": "i", "unique": true };
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
    w.insert(vec![
        doc! { "_id": 1, "k": ["a", "b"] },
        doc! { "_id": 2, "k": "c", "n": 1 },
    ])
    .await;
    for command in [
        doc! { "insert": "c", "documents": [{ "_id": 3, "k": ["x", "b"] }] },
        doc! { "update": "c", "updates": [{ "q": { "_id": 2 }, "u": { "$set": { "k": "b" }, "$unset": { "n": 1 } } }] },
    ] {
        let reply = w.ok(command).await;
        let error = reply.get_array("writeErrors").expect("errors")[0]
            .as_document()
            .expect("an error");
        assert_eq!(error.get_i32("code").ok(), Some(11000));
        assert_eq!(
            error.get_document("keyPattern").ok(),
            Some(&doc! { "k": -1, "n": 1 })
        );
        assert_eq!(
            error.get_document("keyValue").ok(),
            Some(&doc! { "k": "b", "n": null })
        );
    }
    let modify = doc! { "findAndModify": "c", "query": { "_id": 2 }, "update": { "k": "a" } };
    w.fails(modify, 11000).await;
    assert_eq!(ids(&w, doc! { "k": "c" }).await, [2]);
}

async fn projections_compute(w: World) {
    w.insert(vec![doc! {
        "_id": 1, "a": 5, "l": [{ "x": 1 }, 7, [{ "x": 2 }]], "n": [1, 2, 3],
    }])
    .await;
    for (projection, wanted) in [
        (
            doc! { "_id": 0, "a.b": { "$literal": 1 } },
            doc! { "a": { "b": 1 } },
        ),
        (
            doc! { "_id": 0, "l.y": "$a" },
            doc! { "l": [{ "y": 5 }, { "y": 5 }, [{ "y": 5 }]] },
        ),
        (
            doc! { "_id": 0, "n": { "$elemMatch": { "$gt": 1 } }, "a": 1 },
            doc! { "a": 5, "n": [2] },
        ),
        (
            doc! { "_id": 0, "l": 0, "n": { "$elemMatch": { "$gt": 9 } } },
            doc! { "a": 5 },
        ),
        (
            doc! { "n": { "$slice": 1 }, "l": { "$elemMatch": { "x": 1 } } },
            doc! { "_id": 1, "a": 5, "l": [{ "x": 1 }], "n": [1] },
        ),
        (
            doc! { "_id": 1, "n": { "$slice": -1 } },
            doc! { "_id": 1, "n": [3] },
        ),
    ] {
        let found = w.find(doc! { "projection": projection.clone() }).await;
        assert_eq!(found, vec![wanted], "{projection}");
    }
    let set = vec![
        doc! { "$set": { "n.z": "$nothing", "q.r": "$nothing" } },
        doc! { "$unset": "l" },
    ];
    assert_eq!(
        w.aggregate(set).await,
        vec![doc! { "_id": 1, "a": 5, "n": [{}, {}, {}], "q": {} }]
    );
}

async fn projections_are_refused(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    for (projection, code) in [
        (doc! { "a.b": { "$elemMatch": { "x": 1 } } }, 31275),
        (doc! { "a.b": 1, "a": 1 }, 31250),
        (doc! { "a": 1, "a.b": 1 }, 31249),
        (doc! { "a": 0, "b": { "$add": [1, 1] } }, 31252),
        (doc! { "a.$": 1, "b": { "$elemMatch": { "x": 1 } } }, 31255),
    ] {
        w.fails(doc! { "find": "c", "projection": projection }, code)
            .await;
    }
    let stage = doc! { "$project": { "a.$": 1 } };
    w.fails(
        doc! { "aggregate": "c", "pipeline": [stage], "cursor": {} },
        31324,
    )
    .await;
}

async fn a_projection_shows_the_element_that_was_found(w: World) {
    w.insert(vec![doc! {
        "_id": 1, "a": [1, 2, 3], "n": 5,
        "l": [{ "b": 1, "c": 2 }, { "b": 3, "c": 4 }, 5],
        "o": { "y": [{ "z": [7, 8] }, { "z": [9] }] },
    }])
    .await;
    let all = doc! { "b": 3, "c": 4 };
    for (filter, projection, wanted) in [
        (doc! { "a": 2 }, doc! { "a.$": 1 }, doc! { "a": [2] }),
        (doc! { "l.b": 3 }, doc! { "l.$": 1 }, doc! { "l": [all] }),
        (
            doc! { "l.b": 3 },
            doc! { "l.b.$": 1 },
            doc! { "l": [{ "b": 3 }] },
        ),
        (
            doc! { "o.y.z": 8 },
            doc! { "o.y.z.$": 1 },
            doc! { "o": { "y": [{ "z": [7, 8] }] } },
        ),
        // Where there is no array, no element is asked for.
        (doc! {}, doc! { "n.$": 1 }, doc! { "n": 5 }),
        (doc! {}, doc! { "nowhere.$": 1 }, doc! {}),
    ] {
        let mut shown = doc! { "_id": 0 };
        shown.extend(projection.clone());
        let found = w.find(doc! { "filter": filter, "projection": shown }).await;
        assert_eq!(found, vec![wanted], "{projection}");
    }
    for (filter, projection, code) in [
        (doc! { "n": 5 }, doc! { "a.$": 1 }, 51246),
        (doc! { "a": 3 }, doc! { "l.b.$": 1 }, 51247),
        (doc! { "a": 3 }, doc! { "a.$": 0 }, 31395),
        (doc! { "a": 3 }, doc! { "a.$": "x" }, 31308),
        (doc! { "a": 3 }, doc! { "a.$": { "b": 1 } }, 31271),
    ] {
        let find = doc! { "find": "c", "filter": filter, "projection": projection };
        w.fails(find, code).await;
    }
}

async fn expressions_fail_the_command(w: World) {
    w.insert(vec![doc! { "_id": 1, "s": "x" }]).await;
    let query = doc! { "$expr": { "$gt": [{ "$add": ["$s", 1] }, 1] } };
    w.fails(doc! { "find": "c", "filter": query.clone() }, 16554)
        .await;
    w.fails(doc! { "count": "c", "query": query.clone() }, 16554)
        .await;
    w.fails(
        doc! { "delete": "c", "deletes": [{ "q": query.clone(), "limit": 0 }] },
        16554,
    )
    .await;
    w.fails(
        doc! { "update": "c", "updates": [{ "q": query, "u": { "$set": { "a": 1 } }, "multi": true }] },
        16554,
    )
    .await;
    assert_eq!(w.find(doc! {}).await, vec![doc! { "_id": 1, "s": "x" }]);
    // What is constant fails whatever there is.
    for (expression, code) in [
        (doc! { "$size": { "$literal": 1 } }, 17124),
        (
            doc! { "$or": [false, { "$add": [{ "$literal": "x" }, 1] }] },
            16554,
        ),
        (doc! { "$slice": [1, 1] }, 28724),
        (doc! { "$round": ["x", 0] }, 51081),
        (doc! { "$mod": ["x", 1] }, 16611),
        (doc! { "$indexOfArray": [1, 1] }, 40090),
        (doc! { "$reverseArray": { "$literal": 1 } }, 34435),
        (doc! { "$slice": [[1]] }, 28667),
    ] {
        let filter = doc! { "_id": 99, "$expr": expression };
        w.fails(doc! { "find": "c", "filter": filter }, code).await;
    }
    w.fails(
        doc! { "find": "c", "filter": { "a": { "$elemMatch": { "$expr": true } } } },
        2,
    )
    .await;
    let group = doc! { "$group": { "_id": { "a": 1 } } };
    w.fails(
        doc! { "aggregate": "c", "pipeline": [group], "cursor": {} },
        17390,
    )
    .await;
}

async fn updates_are_refused(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": 1, "l": [1, { "b": 1 }], "o": { "x": 1 } },
    ])
    .await;
    for (update, code) in [
        (doc! { "$set": { "a.b": 1 } }, 28),
        (doc! { "$set": { "l.b": 1 } }, 28),
        (doc! { "$pull": { "a.b": 1 } }, 28),
        (doc! { "$pullAll": { "l.b": [1] } }, 28),
        (doc! { "$min": { "a.b": 1 } }, 28),
        (doc! { "$rename": { "a.b": "z" } }, 28),
        (doc! { "$rename": { "l.0": "z" } }, 2),
        (doc! { "$rename": { "o.x": "o" } }, 2),
        (doc! { "$rename": { "o": "o" } }, 2),
        (doc! { "$inc": { "a": "x" } }, 14),
        (doc! { "$inc": { "o": 1 } }, 14),
        (doc! { "$pop": { "l": 2 } }, 9),
        (doc! { "$pop": { "a": 1 } }, 14),
        (doc! { "$push": { "a": 1 } }, 2),
        (doc! { "$push": { "l": { "$each": 1 } } }, 2),
        (doc! { "$push": { "l": { "$each": [1], "$nope": 1 } } }, 2),
        (doc! { "$addToSet": { "a": 1 } }, 2),
        (doc! { "$pull": { "a": 1 } }, 2),
        (doc! { "$bit": { "a": { "and": 1.0 } } }, 2),
        (doc! { "$bit": { "o": { "or": 1 } } }, 2),
        (doc! { "$currentDate": { "a": 1 } }, 2),
        (doc! { "$set": { "a": 1 }, "$inc": { "a": 1 } }, 40),
        (doc! { "$set": { "o": 1, "o.x": 1 } }, 40),
        (doc! { "$set": { "l.$[]": 1, "l.0": 2 } }, 40),
        (doc! { "$set": { "_id": 2 } }, 66),
        (doc! { "$unset": { "_id": 1 } }, 66),
        (doc! { "$set": { "a": 1 }, "b": 1 }, 9),
        (doc! { "$who": { "a": 1 } }, 9),
        (doc! { "$set": 1 }, 9),
        (doc! { "$set": { "$a": 1 } }, 52),
        (doc! { "$set": { "": 1 } }, 56),
        (doc! { "$set": { "a.$[]": 1 } }, 2),
        (doc! { "$set": { "l.$[e]": 1 } }, 2),
        (doc! { "$set": { "l.$": 1 } }, 2),
        (doc! { "$pull": { "l": { "$expr": true } } }, 224),
    ] {
        let statement = doc! { "q": {}, "u": update };
        w.fails(doc! { "update": "c", "updates": [statement.clone()] }, code)
            .await;
    }
    let filters = [doc! { "e": 1 }];
    for (update, code) in [
        (Bson::from(doc! { "$set": { "a": 1 } }), 9),
        (Bson::from(vec![doc! { "$set": { "a": 1 } }]), 9),
    ] {
        let statement = doc! { "q": {}, "u": update, "arrayFilters": &filters[..] };
        w.fails(doc! { "update": "c", "updates": [statement] }, code)
            .await;
    }
    let expression = doc! { "q": { "$expr": true }, "u": { "$set": { "a": 1 } }, "upsert": true };
    w.fails(doc! { "update": "c", "updates": [expression] }, 224)
        .await;
    let multi = doc! { "q": {}, "u": { "a": 1 }, "multi": true };
    w.fails(doc! { "update": "c", "updates": [multi] }, 9).await;
    let stored = doc! { "_id": 1, "a": 1, "l": [1, { "b": 1 }], "o": { "x": 1 } };
    assert_eq!(w.find(doc! {}).await, vec![stored]);
}

async fn updates_that_change_nothing(w: World) {
    w.insert(vec![doc! { "_id": 1, "l": [null, 2], "n": 1 }])
        .await;
    for (update, modified) in [
        (doc! { "$unset": { "x": 1, "l.9": 1, "n.x": 1 } }, 0),
        (doc! { "$pull": { "l": 9, "x": 1 } }, 0),
        (doc! { "$addToSet": { "l": 2.0 } }, 0),
        (doc! { "$min": { "n": 1 } }, 0),
        (doc! { "$rename": { "x": "y" } }, 0),
        (doc! { "$push": { "l": { "$each": [] } } }, 0),
        (doc! { "$push": { "l": { "$each": [], "$slice": -2 } } }, 0),
        (doc! { "$setOnInsert": { "q": 1 } }, 0),
        (doc! { "$inc": { "n": 0 } }, 0),
        // Done, though nothing is different afterwards.
        (doc! { "$unset": { "l.0": 1 } }, 1),
        (doc! { "$push": { "l": { "$each": [3], "$slice": 2 } } }, 1),
    ] {
        let reply = w
            .ok(doc! { "update": "c", "updates": [{ "q": {}, "u": update.clone() }] })
            .await;
        assert_eq!(
            reply.get("nModified").and_then(super::whole),
            Some(modified),
            "{update}"
        );
    }
    let stored = doc! { "_id": 1, "l": [null, 2], "n": 1 };
    assert_eq!(w.find(doc! {}).await, vec![stored]);
    // Multiplying what is not there gives zero, of the operand's type.
    w.ok(doc! { "update": "c", "updates": [{ "q": {}, "u": { "$mul": { "z": 2i64, "y": f64::NAN } } }] })
        .await;
    let stored = &w.find(doc! {}).await[0];
    assert_eq!(stored.get("z"), Some(&Bson::Int64(0)));
    assert!(stored.get_f64("y").is_ok_and(f64::is_nan), "{stored}");
}

async fn upserts_derive(w: World) {
    for (query, update, wanted) in [
        // By name, whatever the order of the query.
        (
            doc! { "_id": 1, "b": 1, "a": { "$eq": 2 } },
            doc! { "$set": { "z": 1 } },
            doc! { "_id": 1, "a": 2, "b": 1, "z": 1 },
        ),
        (
            doc! { "_id": 2, "a.b": 1, "$or": [{ "c": 3 }], "d": { "$in": [4] }, "e": { "$gt": 1 } },
            doc! { "$inc": { "n": 1 } },
            doc! { "_id": 2, "a": { "b": 1 }, "c": 3, "d": 4, "n": 1 },
        ),
        (
            doc! { "$or": [{ "a": 1 }, { "b": 1 }], "_id": 3, "c": { "$in": [1, 2] } },
            doc! { "$setOnInsert": { "n": 1 } },
            doc! { "_id": 3, "n": 1 },
        ),
        (
            doc! { "_id": 4, "a": 1 },
            doc! { "r": 1 },
            doc! { "_id": 4, "r": 1 },
        ),
        (
            doc! { "_id": 5, "l": { "$all": [1, 2] } },
            doc! { "r": 2 },
            doc! { "_id": 5, "r": 2 },
        ),
        (
            doc! { "_id": 6, "l": { "$elemMatch": { "a": 1 } } },
            doc! { "$push": { "l": 1 } },
            doc! { "_id": 6, "l": [1] },
        ),
        // What cannot match says nothing, not even of the _id.
        (
            doc! { "z": 1, "l": { "$all": [] } },
            doc! { "$set": { "_id": 7 } },
            doc! { "_id": 7 },
        ),
    ] {
        let id = wanted.get("_id").cloned();
        w.ok(doc! { "update": "c", "updates": [{ "q": query.clone(), "u": update, "upsert": true }] })
            .await;
        let found = w.find(doc! { "filter": { "_id": id } }).await;
        assert_eq!(found, vec![wanted], "{query}");
    }
    for query in [
        doc! { "a": 1, "a.b": 2 },
        doc! { "a": 1, "$and": [{ "a": 1 }] },
        doc! { "a": { "$all": [1, 2] } },
    ] {
        let statement = doc! { "q": { "$and": [query, { "none": 1 }] }, "u": { "$set": { "z": 1 } }, "upsert": true };
        w.fails(doc! { "update": "c", "updates": [statement] }, 54)
            .await;
    }
}

async fn find_and_modify_takes_it_all(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "n": 1, "l": [1, 2] },
        doc! { "_id": 2, "n": 3, "l": [3] },
        doc! { "_id": 3, "n": 2, "l": [1, 1] },
    ])
    .await;
    let value = async |with: Document| {
        let mut command = doc! { "findAndModify": "c" };
        command.extend(with);
        w.ok(command)
            .await
            .get("value")
            .cloned()
            .unwrap_or(Bson::Null)
    };
    let found = value(doc! {
        "query": { "l": 1 }, "sort": { "n": -1 }, "update": { "$set": { "l.$[e]": 9 } },
        "arrayFilters": [{ "e": 1 }], "new": true, "fields": { "n": 0 },
    })
    .await;
    assert_eq!(found, doc! { "_id": 3, "l": [9, 9] }.into());
    let found = value(doc! { "query": { "n": 99 }, "update": { "$set": { "a": 1 } } }).await;
    assert_eq!(found, Bson::Null);
    let found =
        value(doc! { "sort": { "n": -1 }, "remove": true, "fields": { "n": 1, "_id": 0 } }).await;
    assert_eq!(found, doc! { "n": 3 }.into());
    let found = value(doc! { "query": { "_id": 7 }, "update": { "$inc": { "n": 1 } }, "upsert": true, "new": true }).await;
    assert_eq!(found, doc! { "_id": 7, "n": 1 }.into());
    let found = value(doc! { "query": { "_id": 7 }, "update": [{ "$set": { "m": { "$add": ["$n", 1] } } }], "new": true }).await;
    assert_eq!(found, doc! { "_id": 7, "n": 1, "m": 2 }.into());
    // A pipeline that drops the _id does not mean to.
    let found = value(doc! { "query": { "_id": 7 }, "update": [{ "$project": { "_id": 0, "m": 1 } }], "new": true }).await;
    assert_eq!(found, doc! { "_id": 7, "m": 2 }.into());
}

async fn mixed_types_sort(w: World) {
    let decimal = |text: &str| Bson::Decimal128(text.parse().expect("a decimal"));
    let values: Vec<Bson> = vec![
        Bson::MaxKey,
        Bson::from(true),
        Bson::DateTime(bson::DateTime::from_millis(5)),
        Bson::ObjectId(bson::oid::ObjectId::from_bytes([1; 12])),
        Bson::from("b"),
        Bson::from("B"),
        Bson::Int64(2),
        decimal("1.5"),
        Bson::Double(f64::NAN),
        Bson::Int32(1),
        Bson::Null,
        Bson::MinKey,
        Bson::from(doc! { "x": 1 }),
        Bson::Timestamp(bson::Timestamp {
            time: 1,
            increment: 1,
        }),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Binary(bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![1],
        }),
        Bson::from(vec![Bson::from(vec![Bson::Int32(1)])]),
        Bson::from(Vec::<Bson>::new()),
        Bson::from(doc! { "x": 0, "y": 9 }),
    ];
    let documents = values.into_iter().enumerate();
    w.insert(
        documents
            .map(|(id, v)| doc! { "_id": id as i32, "v": v })
            .collect(),
    )
    .await;
    let up = [
        11, 17, 10, 8, 14, 9, 7, 6, 5, 4, 18, 12, 16, 15, 3, 1, 2, 13, 0,
    ];
    assert_eq!(sorted(&w, doc! { "v": 1, "_id": 1 }).await, up);
    let mut down = up;
    down.reverse();
    assert_eq!(sorted(&w, doc! { "v": -1, "_id": 1 }).await, down);
}
