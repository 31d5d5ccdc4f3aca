//! The statements of writes: their shapes, and the update language's errors
//! and rarer operators.

use bson::{Bson, Document, doc};

use super::{Case, World, whole};

pub(super) const CASES: &[Case] = &[
    ("statements_have_a_shape", |w| {
        Box::pin(statements_have_a_shape(w))
    }),
    ("array_filters_choose", |w| {
        Box::pin(array_filters_choose(w))
    }),
    ("array_filters_are_refused", |w| {
        Box::pin(array_filters_are_refused(w))
    }),
    ("operators_take_operands", |w| {
        Box::pin(operators_take_operands(w))
    }),
    ("operators_are_refused", |w| {
        Box::pin(operators_are_refused(w))
    }),
    ("an_id_stays", |w| Box::pin(an_id_stays(w))),
];

/// A command that is refused as a whole, not for one of its statements.
async fn refused(w: &World, command: Document, code: i32) {
    let shown = command.to_string();
    let found = w.run(command).await.map_err(|error| error.code);
    assert_eq!(found, Err(code), "{shown}");
}

async fn statements_have_a_shape(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    for (statement, code) in [
        (doc! { "u": {} }, 40414),
        (doc! { "q": {} }, 40414),
        (doc! { "q": 1, "u": {} }, 14),
        (doc! { "q": {}, "u": 5 }, 9),
        (doc! { "q": {}, "u": {}, "multi": "x" }, 14),
        (doc! { "q": {}, "u": {}, "upsert": 1 }, 14),
        (doc! { "q": {}, "u": {}, "arrayFilters": 1 }, 14),
        (doc! { "q": {}, "u": {}, "collation": 1 }, 14),
        (doc! { "q": {}, "u": {}, "hint": 1 }, 9),
        (doc! { "q": {}, "u": {}, "bad": 1 }, 40415),
    ] {
        refused(&w, doc! { "update": "c", "updates": [statement] }, code).await;
    }
    for (statement, code) in [
        (doc! { "q": {} }, 40414),
        (doc! { "limit": 1 }, 40414),
        (doc! { "q": {}, "limit": 2 }, 9),
        (doc! { "q": {}, "limit": 1, "bad": 1 }, 40415),
    ] {
        refused(&w, doc! { "delete": "c", "deletes": [statement] }, code).await;
    }
    for command in [
        doc! { "update": "c", "updates": 1 },
        doc! { "insert": "c", "documents": {} },
        doc! { "update": "c", "updates": [1] },
    ] {
        refused(&w, command, 14).await;
    }
    refused(&w, doc! { "update": "c" }, 40414).await;
    let bad_query = doc! { "q": { "$bad": 1 }, "limit": 1 };
    w.fails(doc! { "delete": "c", "deletes": [bad_query] }, 2)
        .await;
    assert_eq!(w.find(doc! {}).await, [doc! { "_id": 1 }]);
}

/// What an update makes of a document.
async fn updated(w: &World, before: Document, update: Document, with: Document) -> Document {
    w.run(doc! { "drop": "c" }).await.ok();
    w.insert(vec![before]).await;
    let mut statement = doc! { "q": {}, "u": update };
    statement.extend(with);
    w.ok(doc! { "update": "c", "updates": [statement.clone()] })
        .await;
    w.find(doc! {})
        .await
        .pop()
        .unwrap_or_else(|| panic!("{statement}"))
}

async fn array_filters_choose(w: World) {
    let filters = |filters: Vec<Document>| doc! { "arrayFilters": filters };
    for (before, update, with, wanted) in [
        (
            doc! { "_id": 1, "l": [{ "a": [1, 2] }, { "a": [3] }] },
            doc! { "$inc": { "l.$[].a.$[]": 1 } },
            doc! {},
            doc! { "_id": 1, "l": [{ "a": [2, 3] }, { "a": [4] }] },
        ),
        (
            doc! { "_id": 1, "l": [{ "a": [1, 2] }, { "a": [3] }] },
            doc! { "$inc": { "l.$[x].a.$[y]": 1 } },
            filters(vec![
                doc! { "x.a": { "$size": 2 } },
                doc! { "y": { "$gt": 1 } },
            ]),
            doc! { "_id": 1, "l": [{ "a": [1, 3] }, { "a": [3] }] },
        ),
        // Elements are chosen as they were before.
        (
            doc! { "_id": 1, "l": [1, 2] },
            doc! { "$set": { "l.$[x]": 2, "l.$[y]": 3 } },
            filters(vec![doc! { "x": 1 }, doc! { "y": 2 }]),
            doc! { "_id": 1, "l": [2, 3] },
        ),
        (
            doc! { "_id": 1, "l": [1, 2] },
            doc! { "$set": { "l.$[x]": 9 } },
            filters(vec![doc! { "$or": [{ "x": 1 }, { "x": 5 }] }]),
            doc! { "_id": 1, "l": [9, 2] },
        ),
        (
            doc! { "_id": 1, "l": [{ "a": 1 }] },
            doc! { "$set": { "l.$[].b": 9, "l.$[x].c": 8 } },
            filters(vec![doc! { "x.a": 1 }]),
            doc! { "_id": 1, "l": [{ "a": 1, "b": 9, "c": 8 }] },
        ),
    ] {
        let found = updated(&w, before, update.clone(), with).await;
        assert_eq!(found, wanted, "{update}");
    }
}

async fn array_filters_are_refused(w: World) {
    w.insert(vec![doc! { "_id": 1, "l": [1, 2] }]).await;
    let x = || doc! { "l.$[x]": 9 };
    for (set, filters, code) in [
        (x(), vec![], 2),
        (x(), vec![doc! { "y": 1 }], 2),
        (x(), vec![doc! { "x": 1 }, doc! { "y": 1 }], 9),
        (x(), vec![doc! { "x": 1 }, doc! { "x": 2 }], 9),
        (x(), vec![doc! { "x": 1, "y": 2 }], 9),
        (x(), vec![doc! {}], 9),
        (x(), vec![doc! { "$expr": true }], 224),
        (doc! { "l.$[X]": 9 }, vec![doc! { "X": 1 }], 2),
        (doc! { "l.$[1x]": 9 }, vec![doc! { "1x": 1 }], 2),
        (doc! { "$[]": 9 }, vec![], 2),
        (doc! { "$": 9 }, vec![], 2),
        (doc! { "l.$.$": 9 }, vec![], 2),
        (doc! { "_id.$[]": 9 }, vec![], 2),
        (doc! { "none.$[]": 9 }, vec![], 2),
        (
            doc! { "l.$[x]": 9, "l.$[y]": 8 },
            vec![doc! { "x": 1 }, doc! { "y": 1 }],
            40,
        ),
    ] {
        let statement = doc! { "q": { "l": 1 }, "u": { "$set": set }, "arrayFilters": filters };
        w.fails(doc! { "update": "c", "updates": [statement] }, code)
            .await;
    }
}

async fn operators_take_operands(w: World) {
    for (before, update, wanted) in [
        (
            doc! { "_id": 1, "n": 5 },
            doc! { "$bit": { "n": { "and": 4, "or": 8 } } },
            doc! { "_id": 1, "n": 12 },
        ),
        (
            doc! { "_id": 1 },
            doc! { "$bit": { "n": { "xor": 8i64 } } },
            doc! { "_id": 1, "n": 8i64 },
        ),
        (
            doc! { "_id": 1, "l": [1] },
            doc! { "$addToSet": { "l": { "x": 1, "$each": [1] } } },
            doc! { "_id": 1, "l": [1, { "x": 1, "$each": [1] }] },
        ),
        (
            doc! { "_id": 1 },
            doc! { "$set": { "a.$b": 1 } },
            doc! { "_id": 1, "a": { "$b": 1 } },
        ),
        (
            doc! { "_id": 1, "a": [] },
            doc! { "$set": { "a.00": 1 } },
            doc! { "_id": 1, "a": [1] },
        ),
        (
            doc! { "_id": 1 },
            doc! { "$unset": { "$a": 1 } },
            doc! { "_id": 1 },
        ),
        (
            doc! { "_id": 1, "l": [{ "a": 2 }, 3] },
            doc! { "$push": { "l": { "$each": [{ "a": 1 }], "$sort": { "a": -1 }, "$slice": 2 } } },
            doc! { "_id": 1, "l": [{ "a": 2 }, { "a": 1 }] },
        ),
    ] {
        let found = updated(&w, before, update.clone(), doc! {}).await;
        assert_eq!(found, wanted, "{update}");
    }
}

async fn operators_are_refused(w: World) {
    w.insert(vec![doc! { "_id": 1, "l": [1], "c": [{ "b": 1 }], "a": 1 }])
        .await;
    let each = |with: Document| {
        let mut operand = doc! { "$each": [2] };
        operand.extend(with);
        doc! { "$push": { "l": operand } }
    };
    for (update, code) in [
        (doc! { "$bit": { "a": {} } }, 2),
        (doc! { "$bit": { "a": 5 } }, 2),
        (doc! { "$bit": { "a": { "nand": 5 } } }, 2),
        (doc! { "$bit": { "a": { "and": 1.5 } } }, 2),
        (doc! { "$currentDate": { "d": 1 } }, 2),
        (
            doc! { "$currentDate": { "d": { "$type": "date", "x": 1 } } },
            2,
        ),
        (each(doc! { "$sort": {} }), 2),
        (each(doc! { "$sort": { "a": 2 } }), 2),
        (each(doc! { "$sort": { "a.": 1 } }), 2),
        (each(doc! { "$sort": 2 }), 2),
        (each(doc! { "$slice": 1.5 }), 2),
        (each(doc! { "$position": "x" }), 2),
        (each(doc! { "$bad": 1 }), 2),
        (doc! { "$pull": { "l": { "$not": { "$eq": 1 } } } }, 2),
        (doc! { "$addToSet": { "l": { "$each": [1], "x": 1 } } }, 2),
        (doc! { "$rename": { "a": "c.0.b" } }, 2),
        (doc! { "$set": { "l.2000000": 1 } }, 34),
        (doc! { "b": 1, "$c": 1 }, 52),
        (doc! { "$set": { "$a": 1 } }, 52),
    ] {
        w.fails(
            doc! { "update": "c", "updates": [{ "q": {}, "u": update }] },
            code,
        )
        .await;
    }
}

async fn an_id_stays(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    let update = |update: Bson, query: Document| {
        doc! { "update": "c", "updates": [{ "q": query, "u": update, "upsert": true }] }
    };
    for (change, query) in [
        (Bson::from(doc! { "$set": { "_id": 2 } }), doc! { "_id": 1 }),
        // Another type is another value here.
        (doc! { "$set": { "_id": 1.0 } }.into(), doc! { "_id": 1 }),
        (doc! { "_id": 2 }.into(), doc! { "_id": 1 }),
        (doc! { "$set": { "_id": 8 } }.into(), doc! { "_id": 7 }),
        (doc! { "_id": 8 }.into(), doc! { "_id": 7 }),
        (bson::bson!([{ "$set": { "_id": 9 } }]), doc! { "_id": 7 }),
    ] {
        w.fails(update(change, query), 66).await;
    }
    // But not for a replacement.
    let reply = w
        .ok(update(doc! { "_id": 1.0 }.into(), doc! { "_id": 1 }))
        .await;
    assert_eq!(reply.get("nModified").and_then(whole), Some(1), "{reply}");
    assert_eq!(w.find(doc! {}).await, [doc! { "_id": 1.0 }]);
}
