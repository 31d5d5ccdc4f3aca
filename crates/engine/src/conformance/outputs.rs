//! `$out` and `$merge` into collections that ask something of their documents.

use bson::{Bson, Document, doc};

use super::{Case, World, documents};

pub(super) const CASES: &[Case] = &[
    ("out_asks_the_validator", |w| {
        Box::pin(out_asks_the_validator(w))
    }),
    ("out_keeps_what_a_collection_is", |w| {
        Box::pin(out_keeps_what_a_collection_is(w))
    }),
    ("merge_asks_the_validator", |w| {
        Box::pin(merge_asks_the_validator(w))
    }),
    ("merge_writes_what_it_can", |w| {
        Box::pin(merge_writes_what_it_can(w))
    }),
];

/// A collection that wants numbers, with one document, and a source in which
/// the second of three has none.
async fn begin(w: &World, options: Document) {
    // It is not there the first time.
    let _ = w.run(doc! { "drop": "out" }).await;
    let _ = w.run(doc! { "drop": "c" }).await;
    w.insert(vec![
        doc! { "_id": 1, "a": 1 },
        doc! { "_id": 2, "a": "x" },
        doc! { "_id": 3, "a": 3 },
    ])
    .await;
    let mut create = doc! { "create": "out", "validator": { "a": { "$type": "number" } } };
    create.extend(options);
    w.ok(create).await;
    w.ok(doc! { "insert": "out", "documents": [{ "_id": 9, "a": 9 }] })
        .await;
}

fn into(stage: Document) -> Document {
    let stages = vec![doc! { "$sort": { "_id": 1 } }, stage];
    doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
}

fn bypassed(mut command: Document) -> Document {
    command.insert("bypassDocumentValidation", true);
    command
}

async fn ids(w: &World) -> Vec<i32> {
    let found = w.ok(doc! { "find": "out", "sort": { "_id": 1 } }).await;
    let found = documents(&found);
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

/// The names of the collections of a database, in order.
async fn names(w: &World) -> Vec<String> {
    let reply = w.ok(doc! { "listCollections": 1, "nameOnly": true }).await;
    let listed = documents(&reply);
    let mut names: Vec<String> = listed
        .iter()
        .filter_map(|one| one.get_str("name").ok().map(str::to_owned))
        .collect();
    names.sort();
    names
}

async fn out_asks_the_validator(w: World) {
    begin(&w, doc! {}).await;
    let out = into(doc! { "$out": "out" });
    w.fails(out.clone(), 121).await;
    assert_eq!(ids(&w).await, [9]);
    assert_eq!(names(&w).await, ["c", "out"]);
    w.ok(bypassed(out.clone())).await;
    assert_eq!(ids(&w).await, [1, 2, 3]);
    // It asks the next ones as well.
    w.fails(
        doc! { "insert": "out", "documents": [{ "_id": 4, "a": "y" }] },
        121,
    )
    .await;
    for lenient in [
        doc! { "validationAction": "warn" },
        doc! { "validationLevel": "off" },
    ] {
        begin(&w, lenient).await;
        w.ok(out.clone()).await;
        assert_eq!(ids(&w).await, [1, 2, 3]);
    }
    // Every document is a new one.
    begin(&w, doc! { "validationLevel": "moderate" }).await;
    w.fails(out, 121).await;
}

async fn out_keeps_what_a_collection_is(w: World) {
    begin(
        &w,
        doc! {
            "validationLevel": "moderate",
            "collation": { "locale": "en", "strength": 1 },
            "changeStreamPreAndPostImages": { "enabled": true },
        },
    )
    .await;
    let index = doc! { "key": { "a": 1 }, "name": "i", "unique": true, "sparse": true };
    w.ok(doc! { "createIndexes": "out", "indexes": [index] })
        .await;
    let described = async || {
        let listed = w
            .ok(doc! { "listCollections": 1, "filter": { "name": "out" } })
            .await;
        let options = documents(&listed)[0].get("options").cloned();
        let indexes = documents(&w.ok(doc! { "listIndexes": "out" }).await);
        (options, indexes)
    };
    let before = described().await;
    let numbers = doc! { "$match": { "a": { "$type": "number" } } };
    let stages = vec![numbers, doc! { "$out": "out" }];
    w.ok(doc! { "aggregate": "c", "pipeline": stages, "cursor": {} })
        .await;
    assert_eq!(ids(&w).await, [1, 3]);
    assert_eq!(described().await, before);
    let same = doc! { "insert": "out", "documents": [{ "_id": 4, "a": 3 }] };
    w.fails(same, 11000).await;
}

async fn merge_asks_the_validator(w: World) {
    let modes: [Bson; 5] = [
        "merge".into(),
        "replace".into(),
        "keepExisting".into(),
        "fail".into(),
        vec![doc! { "$set": { "a": "$$new.a" } }].into(),
    ];
    for mode in modes {
        let merge = into(doc! { "$merge": { "into": "out", "whenMatched": mode.clone() } });
        begin(&w, doc! {}).await;
        w.fails(merge.clone(), 121).await;
        // What is refused does not keep the others from being written.
        assert_eq!(ids(&w).await, [1, 3, 9], "{mode}");
        begin(&w, doc! {}).await;
        w.ok(bypassed(merge)).await;
        assert_eq!(ids(&w).await, [1, 2, 3, 9], "{mode}");
    }
    let merge = into(doc! { "$merge": "out" });
    let second = |a: Bson| doc! { "insert": "out", "documents": [{ "_id": 2, "a": a }] };
    // A document that is there is asked for as well,
    begin(&w, doc! {}).await;
    w.ok(second(2.into())).await;
    w.fails(merge.clone(), 121).await;
    // unless it was wrong before.
    begin(&w, doc! { "validationLevel": "moderate" }).await;
    w.ok(bypassed(second("bad".into()))).await;
    w.ok(merge).await;
    assert_eq!(ids(&w).await, [1, 2, 3, 9]);
}

async fn merge_writes_what_it_can(w: World) {
    begin(&w, doc! { "validationLevel": "off" }).await;
    w.ok(doc! { "insert": "out", "documents": [{ "_id": 2 }] })
        .await;
    let fail = into(doc! { "$merge": { "into": "out", "whenMatched": "fail" } });
    w.fails(fail, 11000).await;
    assert_eq!(ids(&w).await, [1, 2, 3, 9]);
    begin(&w, doc! { "validationLevel": "off" }).await;
    w.ok(doc! { "insert": "out", "documents": [{ "_id": 3 }] })
        .await;
    let fail = into(doc! { "$merge": { "into": "out", "whenNotMatched": "fail" } });
    w.fails(fail, 13113).await;
    let found = w.ok(doc! { "find": "out", "filter": { "_id": 3 } }).await;
    assert_eq!(documents(&found), [doc! { "_id": 3, "a": 3 }]);
}
