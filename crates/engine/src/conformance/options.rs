//! What commands may say beside their queries and updates: variables, hints,
//! how long they may take.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("updates_see_variables", |w| {
        Box::pin(updates_see_variables(w))
    }),
    ("constants_are_for_pipelines", |w| {
        Box::pin(constants_are_for_pipelines(w))
    }),
    ("deletes_and_find_and_modify_see_variables", |w| {
        Box::pin(deletes_and_find_and_modify_see_variables(w))
    }),
    ("reads_see_variables", |w| Box::pin(reads_see_variables(w))),
    ("writes_follow_hints", |w| Box::pin(writes_follow_hints(w))),
    ("natural_order_is_asked_for_alone", |w| {
        Box::pin(natural_order_is_asked_for_alone(w))
    }),
    ("pipelines_wait_for_a_document", |w| {
        Box::pin(pipelines_wait_for_a_document(w))
    }),
    ("a_failed_query_keeps_what_was_changed", |w| {
        Box::pin(a_failed_query_keeps_what_was_changed(w))
    }),
    ("commands_take_their_time", |w| {
        Box::pin(commands_take_their_time(w))
    }),
    ("comments_are_anything", |w| {
        Box::pin(comments_are_anything(w))
    }),
];

fn update(statement: Document) -> Document {
    doc! { "update": "c", "updates": [statement] }
}

fn with(mut command: Document, more: Document) -> Document {
    command.extend(more);
    command
}

async fn values(w: &World, field: &str) -> Vec<Option<Bson>> {
    let found = w.find(doc! { "sort": { "_id": 1 } }).await;
    found.iter().map(|one| one.get(field).cloned()).collect()
}

fn of_x() -> Document {
    doc! { "$expr": { "$eq": ["$a", "$$x"] } }
}

async fn updates_see_variables(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": 5 }, doc! { "_id": 2, "a": 7 }])
        .await;
    let set = |value: &str| vec![doc! { "$set": { "z": value } }];
    let command = update(doc! { "q": of_x(), "u": set("$$x") });
    w.fails(command.clone(), 17276).await;
    let reply = w
        .ok(with(
            command.clone(),
            doc! { "let": { "x": { "$add": [2, 5] } } },
        ))
        .await;
    assert_eq!(reply.get("n"), Some(&Bson::Int32(1)));
    assert_eq!(values(&w, "z").await, [None, Some(Bson::Int32(7))]);
    // Each sees those before it; constants hide them, also from the query.
    let lets = doc! { "let": { "y": 1, "x": { "$add": ["$$y", 6] } } };
    let statement = doc! { "q": of_x(), "u": set("$$y"), "c": { "x": 5 } };
    w.ok(with(update(statement), lets)).await;
    let wanted = [Some(Bson::Int32(1)), Some(Bson::Int32(7))];
    assert_eq!(values(&w, "z").await, wanted);
    for (name, value, code) in [
        ("x", Bson::from("$a"), 4_890_500),
        ("X", Bson::from(1), 9),
        ("x", Bson::from(doc! { "$divide": [1, 0] }), 2),
    ] {
        // Also where nobody asks.
        let plain = update(doc! { "q": {}, "u": { "$set": { "z": 1 } } });
        w.fails(with(plain, doc! { "let": { name: value } }), code)
            .await;
    }
    w.fails(with(command.clone(), doc! { "let": 5 }), 14).await;
    w.ok(update(doc! { "q": {}, "u": set("$$NOW"), "multi": true }))
        .await;
    let now = values(&w, "z").await;
    assert!(matches!(now[0], Some(Bson::DateTime(_))), "{now:?}");
    assert_eq!(now[0], now[1]);
    w.ok(update(
        doc! { "q": { "_id": 1 }, "u": set("$$CLUSTER_TIME") },
    ))
    .await;
    let time = values(&w, "z").await;
    assert!(matches!(time[0], Some(Bson::Timestamp(_))), "{time:?}");
    let upsert = doc! { "q": { "_id": 3 }, "u": set("$$x"), "upsert": true };
    w.ok(with(update(upsert), doc! { "let": { "x": "made" } }))
        .await;
    assert_eq!(values(&w, "z").await[2], Some(Bson::from("made")));
}

async fn constants_are_for_pipelines(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": 5 }]).await;
    // They are no expressions.
    let set = vec![doc! { "$set": { "z": "$$x" } }];
    let c = doc! { "x": { "$add": [1, "$a"] } };
    w.ok(update(doc! { "q": {}, "u": set, "c": c.clone() }))
        .await;
    assert_eq!(
        values(&w, "z").await,
        [Some(Bson::from(c.get_document("x").expect("x").clone()))]
    );
    let plain = doc! { "q": {}, "u": { "$set": { "z": 1 } }, "c": c };
    w.fails(update(plain), 51198).await;
}

async fn deletes_and_find_and_modify_see_variables(w: World) {
    w.insert((1..=4).map(|n| doc! { "_id": n, "a": n }).collect())
        .await;
    let lets = doc! { "let": { "x": 2 } };
    let delete = doc! { "delete": "c", "deletes": [{ "q": of_x(), "limit": 0 }] };
    w.fails(delete.clone(), 17276).await;
    let reply = w.ok(with(delete, lets)).await;
    assert_eq!(reply.get("n"), Some(&Bson::Int32(1)));
    let modify = doc! {
        "findAndModify": "c", "query": of_x(), "let": { "x": 3 },
        "update": [{ "$set": { "z": { "$multiply": ["$$x", 10] } } }],
        "fields": { "y": "$$x", "z": 1 }, "new": true,
    };
    let reply = w.ok(modify).await;
    let value = reply.get_document("value").expect("a value");
    assert_eq!(*value, doc! { "_id": 3, "z": 30, "y": 3 });
    let remove = doc! { "findAndModify": "c", "query": of_x(), "remove": true };
    w.fails(remove.clone(), 17276).await;
    w.ok(with(remove, doc! { "let": { "x": 4 } })).await;
    let ids = [Some(Bson::Int32(1)), Some(Bson::Int32(3))];
    assert_eq!(values(&w, "_id").await, ids);
    w.fails(
        doc! { "findAndModify": "c", "remove": true, "let": { "x": "$a" } },
        4_890_500,
    )
    .await;
    let upsert = doc! { "q": of_x(), "u": { "$set": { "z": 1 } }, "upsert": true };
    w.fails(with(update(upsert), doc! { "let": { "x": 1 } }), 224)
        .await;
}

async fn reads_see_variables(w: World) {
    w.insert((1..=3).map(|n| doc! { "_id": n, "a": n }).collect())
        .await;
    let lets = doc! { "x": { "$add": [1, 1] } };
    let find = doc! { "filter": of_x(), "projection": { "y": "$$x" }, "let": lets.clone() };
    assert_eq!(w.find(find).await, [doc! { "_id": 2, "y": 2 }]);
    let found = w.find(doc! { "projection": { "y": "$$NOW" } }).await;
    assert!(matches!(found[0].get("y"), Some(Bson::DateTime(_))));
    w.fails(doc! { "find": "c", "filter": of_x() }, 17276).await;
    w.fails(doc! { "find": "c", "let": { "x": "$a" } }, 4_890_500)
        .await;
    w.fails(doc! { "find": "c", "let": 5 }, 14).await;
    for command in [
        doc! { "count": "c", "query": of_x(), "let": lets.clone() },
        doc! { "distinct": "c", "key": "a", "query": of_x(), "let": lets },
    ] {
        w.fails(command, 40415).await;
    }
    let late = doc! { "$expr": { "$lt": ["$a", "$$NOW"] } };
    w.fails(doc! { "count": "c", "query": late }, 51144).await;
}

async fn writes_follow_hints(w: World) {
    w.insert((1..=3).map(|n| doc! { "_id": n, "a": -n }).collect())
        .await;
    let index = doc! { "key": { "a": 1 }, "name": "i" };
    w.ok(doc! { "createIndexes": "c", "indexes": [index] })
        .await;
    let statement = |hint: Bson| doc! { "q": {}, "u": { "$set": { "z": 1 } }, "hint": hint };
    let first = |hint: Bson| update(statement(hint));
    w.ok(first(Bson::from(doc! { "a": 1 }))).await;
    let one = Some(Bson::Int32(1));
    assert_eq!(values(&w, "z").await, [None, None, one.clone()]);
    w.ok(first(Bson::from("_id_"))).await;
    assert_eq!(values(&w, "z").await, [one.clone(), None, one]);
    for hint in [
        Bson::from("nope"),
        Bson::from(doc! { "b": 1 }),
        Bson::from("$natural"),
    ] {
        w.fails(first(hint.clone()), 2).await;
        let by_id = with(statement(hint.clone()), doc! { "q": { "_id": 1 } });
        w.fails(update(by_id), 2).await;
        let delete = doc! { "q": {}, "limit": 1, "hint": hint.clone() };
        w.fails(doc! { "delete": "c", "deletes": [delete] }, 2)
            .await;
        w.fails(
            doc! { "findAndModify": "c", "remove": true, "hint": hint.clone() },
            2,
        )
        .await;
        let modify = doc! { "findAndModify": "c", "update": { "$set": { "z": 1 } }, "hint": hint };
        w.fails(modify, 2).await;
    }
    w.fails(first(Bson::Int32(5)), 9).await;
    let modify = doc! { "findAndModify": "c", "remove": true, "hint": { "a": 1 } };
    let reply = w.ok(modify).await;
    let value = reply.get_document("value").expect("a value");
    assert_eq!(value.get("_id"), Some(&Bson::Int32(3)));
    let delete = doc! { "q": {}, "limit": 1, "hint": { "$natural": -1 } };
    w.ok(doc! { "delete": "c", "deletes": [delete] }).await;
    assert_eq!(values(&w, "_id").await, [Some(Bson::Int32(1))]);
    // Nothing is planned for a collection that is not there.
    let nowhere = doc! { "update": "d", "updates": [statement(Bson::from("nope"))] };
    w.ok(nowhere).await;
}

async fn natural_order_is_asked_for_alone(w: World) {
    w.insert((1..=3).map(|n| doc! { "_id": n }).collect()).await;
    let modify = doc! { "findAndModify": "c", "remove": true };
    let reply = w
        .ok(with(modify.clone(), doc! { "sort": { "$natural": -1 } }))
        .await;
    let value = reply.get_document("value").expect("a value");
    assert_eq!(*value, doc! { "_id": 3 });
    for wrong in [
        doc! { "sort": { "$natural": 1, "_id": 1 } },
        doc! { "sort": { "$natural": 1 }, "hint": "_id_" },
        doc! { "sort": { "$natural": 1 }, "hint": { "$natural": -1 } },
        doc! { "hint": { "$natural": 1, "_id": 1 } },
    ] {
        w.fails(with(modify.clone(), wrong.clone()), 2).await;
        w.fails(with(doc! { "find": "c" }, wrong), 2).await;
    }
    // Its sign is that of its whole part.
    for (direction, first) in [
        (Bson::Double(-0.5), 1),
        (Bson::Double(-1.5), 2),
        (Bson::from("a"), 1),
    ] {
        let found = w
            .find(doc! { "sort": { "$natural": direction }, "limit": 1 })
            .await;
        assert_eq!(found, [doc! { "_id": first }]);
    }
}

async fn pipelines_wait_for_a_document(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": 5, "b": 6 }]).await;
    for (stage, code) in [
        (doc! { "$set": { "z": { "$divide": [1, 0] } } }, 2),
        (doc! { "$project": { "z": { "$toInt": "x" } } }, 241),
        (doc! { "$replaceWith": { "$toInt": "x" } }, 241),
        (
            doc! { "$set": { "z": { "$switch": { "branches": [{ "case": false, "then": 1 }] } } } },
            40066,
        ),
    ] {
        let nobody = doc! { "q": { "_id": 9 }, "u": [stage.clone()] };
        let reply = w.ok(update(nobody)).await;
        assert_eq!(reply.get("n"), Some(&Bson::Int32(0)), "{stage}");
        w.fails(update(doc! { "q": {}, "u": [stage] }), code).await;
    }
    // What is removed and set again is back in its place.
    let stages = vec![doc! { "$unset": "a" }, doc! { "$set": { "q": 1, "a": 1 } }];
    w.ok(update(doc! { "q": {}, "u": stages.clone() })).await;
    let names: Vec<String> = w.find(doc! {}).await[0].keys().cloned().collect();
    assert_eq!(names, ["_id", "a", "b", "q"]);
    let names: Vec<String> = w.aggregate(stages).await[0].keys().cloned().collect();
    assert_eq!(names, ["_id", "a", "b", "q"]);
}

async fn a_failed_query_keeps_what_was_changed(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": "x" },
        doc! { "_id": 2, "a": [] },
        doc! { "_id": 3, "a": "x" },
    ])
    .await;
    let query = doc! { "$expr": { "$ne": [{ "$toLower": "$a" }, ""] } };
    let change = doc! { "q": query.clone(), "u": { "$set": { "z": 1 } }, "multi": true };
    w.fails(update(change), 16007).await;
    assert_eq!(values(&w, "z").await, [Some(Bson::Int32(1)), None, None]);
    let delete = doc! { "q": query, "limit": 0 };
    w.fails(doc! { "delete": "c", "deletes": [delete] }, 16007)
        .await;
    let ids = [Some(Bson::Int32(2)), Some(Bson::Int32(3))];
    assert_eq!(values(&w, "_id").await, ids);
}

async fn commands_take_their_time(w: World) {
    w.insert((0..600).map(|n| doc! { "_id": n, "a": n }).collect())
        .await;
    // Takes much longer than a millisecond for the first few documents.
    let sum = doc! { "$sum": { "$map": { "input": { "$range": [0, 2000] }, "in": { "$add": ["$$this", "$a"] } } } };
    let never = doc! { "$expr": { "$lt": [sum.clone(), 0] } };
    let group = vec![doc! { "$group": { "_id": null, "s": { "$sum": sum } } }];
    let unwound = vec![
        doc! { "$match": { "_id": 1 } },
        doc! { "$set": { "r": { "$range": [0, 100_000] } } },
        doc! { "$unwind": "$r" },
        doc! { "$unwind": "$r" },
    ];
    for command in [
        doc! { "find": "c", "filter": never.clone() },
        doc! { "count": "c", "query": never.clone() },
        doc! { "distinct": "c", "key": "a", "query": never.clone() },
        doc! { "aggregate": "c", "pipeline": group, "cursor": {} },
        doc! { "aggregate": "c", "pipeline": unwound, "cursor": { "batchSize": 1_000_000 } },
        update(doc! { "q": never.clone(), "u": { "$set": { "z": 1 } }, "multi": true }),
        doc! { "delete": "c", "deletes": [{ "q": never.clone(), "limit": 0 }] },
        doc! { "findAndModify": "c", "query": never, "remove": true },
    ] {
        let shown = command.to_string();
        let error = w.run(with(command, doc! { "maxTimeMS": 1 })).await;
        assert_eq!(error.expect_err(&shown).code, 50, "{shown}");
    }
    for wrong in [Bson::Int32(-1), Bson::from("a")] {
        let late = w
            .run(doc! { "find": "c", "maxTimeMS": wrong.clone() })
            .await;
        assert!(late.is_err(), "{wrong}");
    }
}

async fn comments_are_anything(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    for comment in [
        Bson::from("why"),
        Bson::Int32(1),
        Bson::Null,
        Bson::from(doc! { "a": 1 }),
    ] {
        let comment = doc! { "comment": comment };
        for command in [
            update(doc! { "q": {}, "u": { "$set": { "z": 1 } } }),
            doc! { "delete": "c", "deletes": [{ "q": { "_id": 9 }, "limit": 0 }] },
            doc! { "findAndModify": "c", "update": { "$set": { "z": 1 } } },
            doc! { "insert": "d", "documents": [{}] },
            doc! { "find": "c" },
            doc! { "count": "c" },
            doc! { "distinct": "c", "key": "z" },
            doc! { "aggregate": "c", "pipeline": [], "cursor": {} },
        ] {
            w.ok(with(command, comment.clone())).await;
        }
    }
}
