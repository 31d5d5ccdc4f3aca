//! Stages over two small collections, as tables of texts: a pipeline, and what
//! comes out of it.

mod errors;
mod filled;
mod tables;
mod windows;

use bson::{Bson, Document, doc, rawdoc};

use super::{Case, World, documents};
use crate::{Collection, Session};
use errors::ERRORS;
use filled::FILLED;
use tables::PIPELINES;
use windows::{REFUSED, W, WINDOWS};

pub(super) const CASES: &[Case] = &[
    ("pipelines", |w| Box::pin(pipelines(w))),
    ("stage_errors", |w| Box::pin(stage_errors(w))),
    ("pipeline_variables", |w| Box::pin(variables(w))),
    ("pipelines_over_no_collection", |w| Box::pin(nowhere(w))),
    ("out", |w| Box::pin(out(w))),
    ("merge", |w| Box::pin(merge(w))),
    ("output_in_a_transaction", |w| Box::pin(transaction(w))),
    ("statistics", |w| Box::pin(statistics(w))),
    ("pipelines_are_collated", |w| Box::pin(collated(w))),
    ("lookup_uses_an_index", |w| Box::pin(indexed(w))),
    ("pipelines_are_sorted_by_an_index", |w| Box::pin(sorted(w))),
    ("window_fields", |w| Box::pin(window_fields(w))),
    ("fill_and_densify", |w| Box::pin(fill_and_densify(w))),
];

const C: &[&str] = &[
    r#"{"_id":1,"k":"a","v":3,"t":["x","y"]}"#,
    r#"{"_id":2,"k":"b","v":1,"t":[]}"#,
    r#"{"_id":3,"k":"a","v":2}"#,
    r#"{"_id":4,"t":5,"o":{"a":[1,{"b":2}]}}"#,
    r#"{"_id":5,"t":null}"#,
];
const F: &[&str] = &[
    r#"{"_id":10,"k":"a","w":1}"#,
    r#"{"_id":11,"k":"b","w":2}"#,
    r#"{"_id":12,"k":["a","b"],"w":3}"#,
    r#"{"_id":13,"k":null,"w":4}"#,
    r#"{"_id":14,"w":5}"#,
    r#"{"_id":15,"k":"x","w":6}"#,
];

fn parse(text: &str) -> Bson {
    kit::ejson::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn all(texts: &[&str]) -> Vec<Document> {
    let document = |text: &&str| match parse(text) {
        Bson::Document(document) => document,
        other => panic!("{other} is no document"),
    };
    texts.iter().map(document).collect()
}

/// The command that runs a pipeline, or one stage, over `c`.
fn command(text: &str) -> Document {
    let stages = match parse(text) {
        Bson::Array(stages) => stages,
        stage => vec![stage],
    };
    doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
}

async fn fill(w: &World) {
    for (name, texts) in [("c", C), ("f", F)] {
        w.ok(doc! { "insert": name, "documents": all(texts) }).await;
    }
}

async fn find(w: &World, name: &str) -> Vec<Document> {
    documents(&w.ok(doc! { "find": name, "sort": { "_id": 1 } }).await)
}

async fn pipelines(w: World) {
    fill(&w).await;
    for (text, wanted) in PIPELINES {
        let found = documents(&w.ok(command(text)).await);
        assert_eq!(found, all(wanted), "{text}");
    }
}

async fn stage_errors(w: World) {
    fill(&w).await;
    for (text, code) in ERRORS {
        w.fails(command(text), *code).await;
    }
    // Pipelines in pipelines have an end.
    let mut stages = vec![doc! { "$limit": 1 }];
    for _ in 0..21 {
        stages = vec![doc! { "$lookup": { "from": "f", "pipeline": stages, "as": "j" } }];
    }
    w.fails(
        doc! { "aggregate": "c", "pipeline": stages, "cursor": {} },
        232,
    )
    .await;
    for (command, code) in [
        (doc! { "aggregate": "c", "cursor": {} }, 40414),
        (doc! { "aggregate": "c", "pipeline": {}, "cursor": {} }, 14),
        (doc! { "aggregate": "c", "pipeline": [] }, 9),
        (doc! { "aggregate": "c", "pipeline": [], "cursor": 5 }, 14),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": { "x": 1 } },
            40415,
        ),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": { "batchSize": -1 } },
            51024,
        ),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": {}, "x": 1 },
            40415,
        ),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": {}, "allowDiskUse": 1 },
            14,
        ),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": {}, "hint": "who" },
            2,
        ),
        (
            doc! { "aggregate": "c", "pipeline": [], "cursor": {}, "hint": 5 },
            9,
        ),
    ] {
        w.fails(command, code).await;
    }
}

async fn window_fields(w: World) {
    w.ok(doc! { "insert": "w", "documents": all(W) }).await;
    let run = |text: &str| {
        let stage = doc! { "$setWindowFields": parse(text) };
        doc! { "aggregate": "w", "pipeline": [stage, { "$project": { "w": 1 } }], "cursor": {} }
    };
    for (text, wanted) in WINDOWS {
        let found: Vec<Bson> = documents(&w.ok(run(text)).await)
            .into_iter()
            .map(Bson::Document)
            .collect();
        assert_eq!(Bson::Array(found), parse(wanted), "{text}");
    }
    for (text, code) in REFUSED {
        w.fails(run(text), *code).await;
    }
}

async fn fill_and_densify(w: World) {
    w.ok(doc! { "insert": "w", "documents": all(W) }).await;
    let run = |text: &str| {
        let shown = if text.contains(r#""field":"d""#) {
            doc! { "d": 1 }
        } else {
            doc! { "d": 0, "p": 0 }
        };
        let stages = vec![parse(text), Bson::from(doc! { "$project": shown })];
        doc! { "aggregate": "w", "pipeline": stages, "cursor": {} }
    };
    for (text, wanted) in FILLED {
        let found: Vec<Bson> = documents(&w.ok(run(text)).await)
            .into_iter()
            .map(Bson::Document)
            .collect();
        assert_eq!(Bson::Array(found), parse(wanted), "{text}");
    }
    for (text, code) in filled::REFUSED {
        w.fails(run(text), *code).await;
    }
    // By values alone it is an $addFields, which an update may have.
    let value = doc! { "$fill": { "output": { "n": { "value": 9 } } } };
    let update = |stage: Document| {
        let statement = doc! { "q": { "_id": 5 }, "u": [stage] };
        doc! { "update": "w", "updates": [statement] }
    };
    let updated = w.ok(update(value)).await;
    assert_eq!(updated.get_i32("nModified").ok(), Some(1), "{updated}");
    let method = doc! { "$fill": { "output": { "n": { "method": "locf" } } } };
    let refused = w.ok(update(method)).await;
    let code = refused
        .get_array("writeErrors")
        .ok()
        .and_then(|errors| errors.first()?.as_document()?.get_i32("code").ok());
    assert_eq!(code, Some(72), "{refused}");
}

async fn variables(w: World) {
    fill(&w).await;
    let run = |stage: Document, variables: Document| {
        doc! {
            "aggregate": "c", "pipeline": [stage, { "$limit": 1 }, { "$project": { "_id": 0, "z": 1 } }],
            "cursor": {}, "let": variables,
        }
    };
    for (stage, variables, wanted) in [
        (
            doc! { "$set": { "z": "$$x.y" } },
            doc! { "x": { "y": 3 } },
            doc! { "z": 3 },
        ),
        (
            doc! { "$set": { "z": "$$y" } },
            doc! { "x": { "$add": [1, 2] }, "y": { "$multiply": ["$$x", 2] } },
            doc! { "z": 6 },
        ),
        (
            doc! { "$project": { "z": { "$type": "$$y" } } },
            doc! { "y": "$$NOW" },
            doc! { "z": "date" },
        ),
        (
            doc! { "$group": { "_id": null, "z": { "$max": { "$add": ["$v", "$$x"] } } } },
            doc! { "x": 10 },
            doc! { "z": 13 },
        ),
        (
            doc! { "$facet": { "z": [{ "$match": { "$expr": { "$eq": ["$v", "$$x"] } } }, { "$project": { "_id": 1 } }] } },
            doc! { "x": 2 },
            doc! { "z": [{ "_id": 3 }] },
        ),
        (
            doc! { "$lookup": { "from": "f", "let": { "v": "$v" }, "as": "z", "pipeline": [
                { "$match": { "$expr": { "$eq": ["$w", { "$add": ["$$v", "$$x"] }] } } }, { "$project": { "_id": 1 } }
            ] } },
            doc! { "x": 1 },
            doc! { "z": [{ "_id": 13 }] },
        ),
    ] {
        let found = documents(&w.ok(run(stage.clone(), variables)).await);
        assert_eq!(found, vec![wanted], "{stage}");
    }
    let found = documents(
        &w.ok(doc! {
            "aggregate": "c", "cursor": {}, "let": { "x": 2 },
            "pipeline": [{ "$match": { "$expr": { "$eq": ["$v", "$$x"] } } }],
        })
        .await,
    );
    assert_eq!(found.len(), 1);
    for (variables, code) in [
        (doc! { "X": 1 }, 9),
        (doc! { "$x": 1 }, 9),
        (doc! { "": 1 }, 9),
        (doc! { "x": "$v" }, 4_890_500),
        (doc! { "y": 1 }, 17276),
    ] {
        w.fails(run(doc! { "$set": { "z": "$$x" } }, variables), code)
            .await;
    }
}

async fn nowhere(w: World) {
    let run = |stages: Vec<Document>| doc! { "aggregate": 1, "pipeline": stages, "cursor": {} };
    let reply = w
        .ok(run(vec![
            doc! { "$documents": [{ "a": { "$add": [1, 2] } }, { "a": 1 }] },
            doc! { "$match": { "a": 3 } },
        ]))
        .await;
    assert_eq!(documents(&reply), vec![doc! { "a": 3 }]);
    let namespace = reply.get_document("cursor").and_then(|c| c.get_str("ns"));
    assert_eq!(
        namespace.expect("a namespace"),
        format!("{}.$cmd.aggregate", w.database)
    );
    for (stages, code) in [
        (vec![], 73),
        (vec![doc! { "$match": {} }], 73),
        (vec![doc! { "$documents": 5 }], 5_858_203),
        (vec![doc! { "$documents": [5] }], 40228),
        (vec![doc! { "$currentOp": {} }], 73),
    ] {
        w.fails(run(stages), code).await;
    }
    let command = |target: Bson| doc! { "aggregate": target, "pipeline": [{ "$documents": [] }], "cursor": {} };
    w.fails(command("c".into()), 73).await;
    w.fails(command(2.into()), 9).await;
    w.fails(command("".into()), 73).await;
}

async fn out(w: World) {
    fill(&w).await;
    let run = |stages: Vec<Document>| doc! { "aggregate": "c", "pipeline": stages, "cursor": {} };
    let reply = w
        .ok(run(vec![doc! { "$limit": 1 }, doc! { "$out": "o" }]))
        .await;
    assert!(documents(&reply).is_empty(), "{reply}");
    assert_eq!(find(&w, "o").await, all(&C[..1]));
    // What was there goes, what it was like stays.
    w.ok(doc! { "createIndexes": "o", "indexes": [{ "key": { "k": 1 }, "name": "k", "unique": true }] })
        .await;
    w.fails(run(vec![doc! { "$out": "o" }]), 11000).await;
    assert_eq!(find(&w, "o").await, all(&C[..1]), "nothing of it is seen");
    w.ok(run(vec![
        doc! { "$match": { "_id": 2 } },
        doc! { "$out": "o" },
    ]))
    .await;
    assert_eq!(find(&w, "o").await, all(&C[1..2]));
    let indexes = documents(&w.ok(doc! { "listIndexes": "o" }).await);
    assert_eq!(indexes.len(), 2, "{indexes:?}");
    // Onto itself, to another database, and nothing at all.
    w.ok(run(vec![doc! { "$set": { "z": 1 } }, doc! { "$out": "c" }]))
        .await;
    assert_eq!(find(&w, "c").await.len(), 5);
    let other = World {
        database: format!("{}_other", w.database),
        ..w.clone()
    };
    w.ok(run(vec![
        doc! { "$out": { "db": &other.database, "coll": "o" } },
    ]))
    .await;
    assert_eq!(find(&other, "o").await.len(), 5);
    other.ok(doc! { "dropDatabase": 1 }).await;
    w.ok(run(vec![
        doc! { "$match": { "_id": 99 } },
        doc! { "$out": "none" },
    ]))
    .await;
    let listed = w
        .ok(doc! { "listCollections": 1, "filter": { "name": "none" } })
        .await;
    assert_eq!(documents(&listed).len(), 1);
    w.fails(
        run(vec![
            doc! { "$set": { "_id": 1 } },
            doc! { "$out": "twice" },
        ]),
        11000,
    )
    .await;
    let listed = documents(&w.ok(doc! { "listCollections": 1 }).await);
    assert_eq!(listed.len(), 4, "nothing is left behind: {listed:?}");
    // Documents without an _id get one.
    w.ok(run(vec![
        doc! { "$project": { "_id": 0, "k": 1 } },
        doc! { "$out": "made" },
    ]))
    .await;
    let made = find(&w, "made").await;
    assert!(
        made.iter().all(|d| d.get_object_id("_id").is_ok()),
        "{made:?}"
    );
}

async fn merge(w: World) {
    fill(&w).await;
    let run = |stages: Vec<Document>| doc! { "aggregate": "c", "pipeline": stages, "cursor": {} };
    let into = |what: Document| {
        let mut spec = doc! { "into": "m" };
        spec.extend(what);
        doc! { "$merge": spec }
    };
    let only = doc! { "$match": { "_id": { "$lte": 2 } } };
    w.ok(run(vec![only.clone(), doc! { "$merge": "m" }])).await;
    assert_eq!(find(&w, "m").await, all(&C[..2]));
    for (what, first) in [
        (
            doc! {},
            doc! { "_id": 1, "k": "a", "v": 3, "t": ["x", "y"], "z": 5, "y": 5 },
        ),
        (
            doc! { "whenMatched": "keepExisting" },
            doc! { "_id": 1, "k": "a", "v": 3, "t": ["x", "y"], "z": 5, "y": 5 },
        ),
        (
            doc! { "whenMatched": "replace" },
            doc! { "_id": 1, "z": 5, "y": 5 },
        ),
        (
            doc! { "whenMatched": [{ "$set": { "q": "$$new.z", "r": "$$x", "n": "$nothing" } }], "let": { "x": "$y" } },
            doc! { "_id": 1, "z": 5, "y": 5, "q": 5, "r": 5 },
        ),
        (
            doc! { "whenMatched": [{ "$replaceWith": { "a": "$z" } }] },
            doc! { "_id": 1, "a": 5 },
        ),
    ] {
        let make = doc! { "$project": { "z": { "$literal": 5 }, "y": { "$literal": 5 } } };
        w.ok(run(vec![only.clone(), make, into(what.clone())]))
            .await;
        let found = find(&w, "m").await;
        assert_eq!(found.first(), Some(&first), "{what}");
        assert_eq!(found.len(), 2, "{what}");
    }
    let third = doc! { "$match": { "_id": 3 } };
    for (what, code) in [
        (doc! { "whenMatched": "fail" }, 0),
        (doc! { "whenMatched": "fail" }, 11000),
        (doc! { "whenNotMatched": "fail" }, 0),
        (doc! { "on": "k" }, 51183),
    ] {
        let command = run(vec![third.clone(), into(what)]);
        match code {
            0 => drop(w.ok(command).await),
            code => w.fails(command, code).await,
        }
    }
    assert_eq!(find(&w, "m").await.len(), 3);
    let fourth = doc! { "$match": { "_id": 4 } };
    w.fails(
        run(vec![
            fourth.clone(),
            into(doc! { "whenNotMatched": "fail" }),
        ]),
        13113,
    )
    .await;
    w.ok(run(vec![
        fourth,
        into(doc! { "whenNotMatched": "discard" }),
    ]))
    .await;
    assert_eq!(find(&w, "m").await.len(), 3);
    // By another unique index than that on _id.
    w.ok(doc! { "createIndexes": "u", "indexes": [{ "key": { "k": 1, "v": 1 }, "name": "kv", "unique": true }] })
        .await;
    let by = |stages: Vec<Document>| {
        let mut all = vec![doc! { "$match": { "k": "a" } }];
        all.extend(stages);
        all.push(doc! { "$merge": { "into": "u", "on": ["v", "k"] } });
        run(all)
    };
    for z in [1, 2] {
        let project = doc! { "$project": { "_id": 0, "k": 1, "v": 1, "z": { "$literal": z } } };
        w.ok(by(vec![project])).await;
        let found = find(&w, "u").await;
        assert_eq!(found.len(), 2);
        assert!(
            found.iter().all(|d| d.get_i32("z").ok() == Some(z)),
            "{found:?}"
        );
    }
    for (stage, code) in [
        (doc! { "$project": { "_id": 0, "v": 1 } }, 51132),
        (doc! { "$project": { "_id": 0, "v": 1, "k": ["a"] } }, 51185),
        (doc! { "$project": { "k": 1, "v": 1 } }, 66),
    ] {
        w.fails(by(vec![stage]), code).await;
    }
    // A collection may be merged into itself.
    w.ok(run(vec![
        doc! { "$project": { "v": { "$literal": 0 } } },
        doc! { "$merge": "c" },
    ]))
    .await;
    let found = find(&w, "c").await;
    assert!(
        found.iter().all(|d| d.get_i32("v").ok() == Some(0)),
        "{found:?}"
    );
}

async fn transaction(w: World) {
    fill(&w).await;
    w.ok(doc! { "create": "m" }).await;
    for stage in [r#"{"$out":"m"}"#, r#"{"$merge":"m"}"#] {
        let session = Session::start();
        let mut command = command(stage);
        session.decorate(&mut command);
        w.fails(command, 263).await;
    }
    // Every stage sees what the transaction has written.
    let session = Session::start();
    let inside = Collection::new(&w.engine, &w.database, "f");
    inside
        .within(&session)
        .insert_one(&rawdoc! { "_id": 16, "k": "a" })
        .await
        .expect("insert");
    let text = r#"[{"$match":{"_id":1}},{"$lookup":{"from":"f","localField":"k","foreignField":"k","as":"j"}},{"$project":{"j._id":1}}]"#;
    let wanted = |ids: &[&str]| all(&[format!(r#"{{"_id":1,"j":[{}]}}"#, ids.join(",")).as_str()]);
    let mut own = command(text);
    session.decorate(&mut own);
    let found = documents(&w.ok(own).await);
    assert_eq!(
        found,
        wanted(&[r#"{"_id":10}"#, r#"{"_id":12}"#, r#"{"_id":16}"#])
    );
    let found = documents(&w.ok(command(text)).await);
    assert_eq!(found, wanted(&[r#"{"_id":10}"#, r#"{"_id":12}"#]));
    session.abort(&w.engine).await.expect("abort");
}

async fn statistics(w: World) {
    fill(&w).await;
    let first = |reply: Document| documents(&reply).into_iter().next().expect("a document");
    let stats = first(
        w.ok(command(r#"{"$collStats":{"count":{},"storageStats":{}}}"#))
            .await,
    );
    assert_eq!(stats.get_i32("count").ok(), Some(5), "{stats}");
    let storage = stats.get_document("storageStats").expect("statistics");
    for name in ["count", "nindexes", "size"] {
        let n = storage.get(name).and_then(super::whole);
        assert!(n.is_some_and(|n| n > 0), "{name}: {storage}");
    }
    assert_eq!(
        stats.get_str("ns").expect("a namespace"),
        format!("{}.c", w.database)
    );
    let index = first(w.ok(command(r#"{"$indexStats":{}}"#)).await);
    assert_eq!(index.get_str("name").ok(), Some("_id_"));
    assert_eq!(index.get_document("key").ok(), Some(&doc! { "_id": 1 }));
    for (text, code) in [
        (r#"{"$collStats":5}"#, 5_447_000),
        (r#"{"$collStats":{"x":{}}}"#, 40415),
        (r#"{"$collStats":{"count":5}}"#, 14),
        (r#"{"$indexStats":{"a":1}}"#, 28803),
        (r#"[{"$match":{}},{"$collStats":{}}]"#, 40602),
        (r#"[{"$match":{}},{"$indexStats":{}}]"#, 40602),
        (r#"{"$facet":{"a":[{"$collStats":{}}]}}"#, 40600),
    ] {
        w.fails(command(text), code).await;
    }
    let mut nowhere = command(r#"{"$collStats":{"count":{}}}"#);
    nowhere.insert("aggregate", "nothing");
    w.fails(nowhere, 26).await;
}

async fn collated(w: World) {
    w.insert(all(&[
        r#"{"_id":1,"k":"a"}"#,
        r#"{"_id":2,"k":"B"}"#,
        r#"{"_id":3,"k":"A"}"#,
        r#"{"_id":4,"k":"b"}"#,
    ]))
    .await;
    for (text, wanted) in [
        (
            r#"[{"$group":{"_id":"$k","n":{"$sum":1},"s":{"$addToSet":"$k"}}},{"$project":{"_id":0,"n":1,"s":{"$size":"$s"}}}]"#,
            &[r#"{"n":2,"s":1}"#, r#"{"n":2,"s":1}"#][..],
        ),
        (
            r#"[{"$group":{"_id":null,"x":{"$max":"$k"},"t":{"$top":{"output":"$_id","sortBy":{"k":-1,"_id":1}}}}},{"$project":{"_id":0,"x":{"$toLower":"$x"},"t":1}}]"#,
            &[r#"{"t":2,"x":"b"}"#],
        ),
        (
            r#"[{"$match":{"_id":1}},{"$lookup":{"from":"c","localField":"k","foreignField":"k","as":"j"}},{"$project":{"n":{"$size":"$j"}}}]"#,
            &[r#"{"_id":1,"n":2}"#],
        ),
        (
            r#"[{"$bucketAuto":{"groupBy":"$k","buckets":2}},{"$project":{"_id":0,"count":1}}]"#,
            &[r#"{"count":2}"#, r#"{"count":2}"#],
        ),
    ] {
        let mut command = command(text);
        command.insert("collation", doc! { "locale": "en", "strength": 2 });
        assert_eq!(documents(&w.ok(command).await), all(wanted), "{text}");
    }
}

async fn indexed(w: World) {
    fill(&w).await;
    w.ok(doc! { "createIndexes": "f", "indexes": [{ "key": { "k": 1 }, "name": "k" }] })
        .await;
    for (text, wanted) in [
        (
            r#"[{"$lookup":{"from":"f","localField":"k","foreignField":"k","as":"j"}},{"$project":{"n":{"$sum":"$j.w"}}}]"#,
            &[
                r#"{"_id":1,"n":4}"#,
                r#"{"_id":2,"n":5}"#,
                r#"{"_id":3,"n":4}"#,
                r#"{"_id":4,"n":9}"#,
                r#"{"_id":5,"n":9}"#,
            ],
        ),
        (
            r#"[{"$lookup":{"from":"f","let":{"k":"$k"},"pipeline":[{"$match":{"$expr":{"$eq":["$k","$$k"]}}}],"as":"j"}},{"$project":{"n":{"$sum":"$j.w"}}}]"#,
            &[
                r#"{"_id":1,"n":1}"#,
                r#"{"_id":2,"n":2}"#,
                r#"{"_id":3,"n":1}"#,
                r#"{"_id":4,"n":5}"#,
                r#"{"_id":5,"n":5}"#,
            ],
        ),
    ] {
        assert_eq!(documents(&w.ok(command(text)).await), all(wanted), "{text}");
    }
}

async fn sorted(w: World) {
    fill(&w).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "v": 1 }, "name": "v" }] })
        .await;
    let ids = |reply: Document| -> Vec<i32> {
        let found = documents(&reply);
        found.iter().flat_map(|d| d.get_i32("_id")).collect()
    };
    let session = Session::start();
    Collection::new(&w.engine, &w.database, "c")
        .within(&session)
        .insert_one(&rawdoc! { "_id": 6, "v": 2.5 })
        .await
        .expect("insert");
    for (text, wanted, inside) in [
        (
            r#"[{"$match":{"v":{"$gt":0}}},{"$sort":{"v":1}}]"#,
            &[2, 3, 1][..],
            &[2, 3, 6, 1][..],
        ),
        (
            r#"[{"$sort":{"v":-1}},{"$match":{"v":{"$gte":2}}},{"$skip":1},{"$limit":1}]"#,
            &[3],
            &[6],
        ),
        (
            r#"[{"$sort":{"v":-1}},{"$limit":2},{"$group":{"_id":null,"all":{"$push":"$_id"}}},{"$unwind":"$all"},{"$project":{"_id":"$all"}}]"#,
            &[1, 3],
            &[1, 6],
        ),
    ] {
        for hint in [None, Some("v"), Some("_id_")] {
            let mut command = command(text);
            if let Some(hint) = hint {
                command.insert("hint", hint);
            }
            assert_eq!(
                ids(w.ok(command.clone()).await),
                wanted,
                "{text} by {hint:?}"
            );
            session.decorate(&mut command);
            assert_eq!(ids(w.ok(command).await), inside, "{text} by {hint:?}");
        }
    }
    session.abort(&w.engine).await.expect("abort");
}
