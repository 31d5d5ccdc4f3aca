//! explain: the stages, the bounds and what they cost; and that it changes
//! nothing.

use bson::{Bson, Document, doc};

use super::{Case, World, whole};

pub(super) const CASES: &[Case] = &[
    ("explained_finds", |w| Box::pin(explained_finds(w))),
    ("explained_bounds", |w| Box::pin(explained_bounds(w))),
    ("explained_commands", |w| Box::pin(explained_commands(w))),
    ("explain_changes_nothing", |w| {
        Box::pin(explain_changes_nothing(w))
    }),
];

async fn fill(w: &World) {
    w.insert(
        (0..20)
            .map(|id| doc! { "_id": id, "a": id % 5, "b": id, "tags": [id, id + 1] })
            .collect(),
    )
    .await;
    w.ok(doc! { "createIndexes": "c", "indexes": [
        { "key": { "a": 1, "b": -1 }, "name": "ab" },
        { "key": { "b": 1 }, "name": "b" },
        { "key": { "tags": 1 }, "name": "tags" },
    ] })
    .await;
}

/// The names of the stages, outermost first.
fn stages(tree: &Document) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = Some(tree);
    while let Some(stage) = at {
        names.extend(stage.get_str("stage").map(str::to_owned));
        at = stage.get_document("inputStage").ok();
    }
    // A plan of plans is no stage of its own.
    names.retain(|name| name != "SUBPLAN");
    names
}

fn winning(reply: &Document) -> &Document {
    reply
        .get_document("queryPlanner")
        .and_then(|planner| planner.get_document("winningPlan"))
        .unwrap_or_else(|error| panic!("{error}: {reply}"))
}

/// The innermost stage.
fn source(reply: &Document) -> &Document {
    let mut at = winning(reply);
    while let Ok(below) = at.get_document("inputStage") {
        at = below;
    }
    at
}

fn cost(reply: &Document) -> (i64, i64, i64) {
    let stats = reply
        .get_document("executionStats")
        .unwrap_or_else(|error| panic!("{error}: {reply}"));
    let number = |name: &str| stats.get(name).and_then(whole).expect("a number");
    (
        number("nReturned"),
        number("totalKeysExamined"),
        number("totalDocsExamined"),
    )
}

async fn explain(w: &World, command: Document) -> Document {
    w.ok(doc! { "explain": command, "verbosity": "executionStats" })
        .await
}

async fn explained_finds(w: World) {
    fill(&w).await;
    let cases = [
        (doc! { "filter": { "z": 1 } }, vec!["COLLSCAN"], (0, 0, 20)),
        (doc! { "filter": { "_id": 7 } }, vec!["IDHACK"], (1, 1, 1)),
        (
            doc! { "filter": { "b": { "$gte": 15 } } },
            vec!["FETCH", "IXSCAN"],
            (5, 5, 5),
        ),
        (
            doc! { "filter": { "a": 1, "b": { "$lt": 10 } } },
            vec!["FETCH", "IXSCAN"],
            (2, 2, 2),
        ),
        (
            doc! { "filter": { "b": { "$gte": 15 }, "z": 1 } },
            vec!["FETCH", "IXSCAN"],
            (0, 5, 5),
        ),
        (
            doc! { "filter": { "a": 1 }, "sort": { "b": 1 } },
            vec!["FETCH", "IXSCAN"],
            (4, 4, 4),
        ),
        (
            doc! { "filter": { "a": 1 }, "sort": { "z": 1 } },
            vec!["SORT", "FETCH", "IXSCAN"],
            (4, 4, 4),
        ),
        (
            doc! { "filter": { "z": 1 }, "sort": { "y": 1 } },
            vec!["SORT", "COLLSCAN"],
            (0, 0, 20),
        ),
        (
            doc! { "filter": { "b": { "$gte": 10 } }, "limit": 3 },
            vec!["LIMIT", "FETCH", "IXSCAN"],
            (3, 3, 3),
        ),
        (
            doc! { "filter": { "b": { "$gte": 10 } }, "limit": 3, "skip": 2 },
            vec!["LIMIT", "FETCH", "SKIP", "IXSCAN"],
            (3, 5, 3),
        ),
        (
            doc! { "filter": { "b": { "$gte": 15 } }, "projection": { "a": 1 } },
            vec!["PROJECTION_SIMPLE", "FETCH", "IXSCAN"],
            (5, 5, 5),
        ),
        (
            doc! { "filter": { "tags": 5 } },
            vec!["FETCH", "IXSCAN"],
            (2, 2, 2),
        ),
        (
            doc! { "sort": { "b": -1 }, "limit": 4 },
            vec!["LIMIT", "FETCH", "IXSCAN"],
            (4, 4, 4),
        ),
        (
            doc! { "filter": { "$or": [{ "b": 3 }, { "tags": 9 }] } },
            vec!["FETCH", "OR"],
            (3, 3, 3),
        ),
        (
            doc! { "hint": { "$natural": 1 }, "filter": { "b": 1 } },
            vec!["COLLSCAN"],
            (1, 0, 20),
        ),
    ];
    for (find, names, wanted) in cases {
        let mut command = doc! { "find": "c" };
        command.extend(find.clone());
        let reply = explain(&w, command).await;
        let found = stages(winning(&reply));
        // Where a skip stands is the server's own affair.
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let named = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(sorted(found), sorted(named), "{find}");
        let skips = names.contains(&"SKIP");
        let (returned, keys, documents) = cost(&reply);
        assert_eq!((returned, keys), (wanted.0, wanted.1), "{find}: {reply}");
        assert!(documents == wanted.2 || skips, "{find}: {reply}");
    }
    let reply = explain(&w, doc! { "find": "nothing", "filter": { "a": 1 } }).await;
    assert_eq!(stages(winning(&reply)), ["EOF"]);
}

async fn explained_bounds(w: World) {
    fill(&w).await;
    let cases = [
        (doc! { "b": 3 }, doc! { "b": ["[3, 3]"] }),
        (doc! { "b": { "$gt": 3 } }, doc! { "b": ["(3, inf.0]"] }),
        (
            doc! { "b": { "$gte": 3, "$lt": 7 } },
            doc! { "b": ["[3, 7)"] },
        ),
        (
            doc! { "b": { "$lte": 3.5 } },
            doc! { "b": ["[-inf.0, 3.5]"] },
        ),
        (
            doc! { "b": { "$in": [5, 1, "x"] } },
            doc! { "b": ["[1, 1]", "[5, 5]", "[\"x\", \"x\"]"] },
        ),
        (
            doc! { "b": { "$gte": "abc" } },
            doc! { "b": ["[\"abc\", {})"] },
        ),
        (
            doc! { "b": { "$regex": "^ab" } },
            doc! { "b": ["[\"ab\", \"ac\")", "[/^ab/, /^ab/]"] },
        ),
        (
            doc! { "b": null },
            doc! { "b": ["[undefined, undefined]", "[null, null]"] },
        ),
        (
            doc! { "b": { "$lt": true } },
            doc! { "b": ["[false, true)"] },
        ),
        (
            doc! { "b": { "$gte": bson::DateTime::from_millis(1000), "$lt": bson::DateTime::from_millis(2000) } },
            doc! { "b": ["[new Date(1000), new Date(2000))"] },
        ),
        (
            doc! { "b": [1, 2] },
            doc! { "b": ["[1, 1]", "[[ 1, 2 ], [ 1, 2 ]]"] },
        ),
        (
            doc! { "b": { "x": 1 } },
            doc! { "b": ["[{ x: 1 }, { x: 1 }]"] },
        ),
    ];
    for (filter, bounds) in cases {
        let find = doc! { "find": "c", "filter": filter.clone(), "hint": "b" };
        let reply = explain(&w, find).await;
        assert_eq!(
            source(&reply).get_document("indexBounds").ok(),
            Some(&bounds),
            "{filter}"
        );
    }
    let ab = async |filter: Document, sort: Document| {
        let find = doc! { "find": "c", "filter": filter, "sort": sort, "hint": "ab" };
        let reply = explain(&w, find).await;
        let bounds = source(&reply)
            .get_document("indexBounds")
            .expect("bounds")
            .clone();
        (
            bounds,
            source(&reply)
                .get_str("direction")
                .expect("a direction")
                .to_owned(),
        )
    };
    assert_eq!(
        ab(doc! { "a": 1, "b": { "$gt": 5 } }, doc! {}).await,
        (
            doc! { "a": ["[1, 1]"], "b": ["[inf.0, 5)"] },
            "forward".to_owned()
        )
    );
    assert_eq!(
        ab(doc! { "a": 1 }, doc! { "b": 1 }).await,
        (
            doc! { "a": ["[1, 1]"], "b": ["[MinKey, MaxKey]"] },
            "backward".to_owned()
        )
    );
    // An array keeps two tests from being one interval.
    let find = doc! { "find": "c", "filter": { "tags": { "$elemMatch": { "$gt": 3, "$lt": 5 } } } };
    let reply = explain(&w, find).await;
    let found = source(&reply);
    assert_eq!(
        found.get_document("indexBounds").ok(),
        Some(&doc! { "tags": ["(3, 5)"] })
    );
    assert_eq!(found.get_bool("isMultiKey").ok(), Some(true));
    assert_eq!(
        found.get_document("multiKeyPaths").ok(),
        Some(&doc! { "tags": ["tags"] })
    );
}

async fn explained_commands(w: World) {
    fill(&w).await;
    let count = explain(&w, doc! { "count": "c", "query": { "b": { "$gte": 15 } } }).await;
    assert_eq!(stages(winning(&count)), ["COUNT", "COUNT_SCAN"]);
    assert_eq!(cost(&count).2, 0, "{count}");
    let distinct = explain(
        &w,
        doc! { "distinct": "c", "key": "z", "query": { "b": { "$gte": 15 } } },
    )
    .await;
    assert_eq!(stages(winning(&distinct)), ["FETCH", "IXSCAN"]);
    let query = doc! { "b": { "$gte": 15 } };
    for (command, top, n) in [
        (
            doc! { "update": "c", "updates": [{ "q": query.clone(), "u": { "$set": { "z": 1 } }, "multi": true }] },
            "UPDATE",
            5,
        ),
        (
            doc! { "delete": "c", "deletes": [{ "q": query.clone(), "limit": 0 }] },
            "DELETE",
            5,
        ),
        (
            doc! { "findAndModify": "c", "query": { "b": 3 }, "update": { "$set": { "z": 1 } } },
            "UPDATE",
            1,
        ),
        (
            doc! { "findAndModify": "c", "query": { "b": 3 }, "remove": true },
            "DELETE",
            1,
        ),
    ] {
        let reply = explain(&w, command.clone()).await;
        let names = stages(winning(&reply));
        assert_eq!(names.first().map(String::as_str), Some(top), "{command}");
        assert_eq!(
            names.last().map(String::as_str),
            Some("IXSCAN"),
            "{command}"
        );
        let tree = reply
            .get_document("executionStats")
            .and_then(|stats| stats.get_document("executionStages"))
            .expect("stages");
        let done = tree.get("nWouldDelete").or_else(|| tree.get("nMatched"));
        assert_eq!(done.and_then(whole), Some(n), "{command}");
    }
    let pipeline =
        doc! { "aggregate": "c", "pipeline": [{ "$match": query.clone() }], "cursor": {} };
    let reply = explain(&w, pipeline).await;
    assert_eq!(stages(winning(&reply)), ["FETCH", "IXSCAN"]);
    let own = w
        .ok(doc! { "aggregate": "c", "pipeline": [{ "$match": query }], "explain": true })
        .await;
    assert_eq!(stages(winning(&own)), ["FETCH", "IXSCAN"]);
    let planner = w
        .ok(doc! { "explain": { "find": "c" }, "verbosity": "queryPlanner" })
        .await;
    assert!(!planner.contains_key("executionStats"), "{planner}");
    let all = w.ok(doc! { "explain": { "find": "c" } }).await;
    let stats = all.get_document("executionStats").expect("stats");
    assert!(stats.contains_key("allPlansExecution"), "{all}");
    for (code, command) in [
        (2, doc! { "explain": { "find": "c" }, "verbosity": "bogus" }),
        (20, doc! { "explain": { "insert": "c", "documents": [{}] } }),
        (59, doc! { "explain": { "bogus": "c" } }),
        (14, doc! { "explain": 5 }),
        (2, doc! { "explain": { "find": "c", "hint": "none" } }),
    ] {
        w.fails(command, code).await;
    }
}

async fn explain_changes_nothing(w: World) {
    fill(&w).await;
    let before = w.find(doc! { "batchSize": 100 }).await;
    let everything = doc! { "b": { "$gte": 0 } };
    for command in [
        doc! { "update": "c", "updates": [{ "q": everything.clone(), "u": { "$set": { "z": 1 } }, "multi": true }] },
        doc! { "update": "c", "updates": [{ "q": { "b": 99 }, "u": { "$set": { "z": 1 } }, "upsert": true }] },
        doc! { "delete": "c", "deletes": [{ "q": everything.clone(), "limit": 0 }] },
        doc! { "findAndModify": "c", "query": everything, "remove": true },
        doc! { "update": "new", "updates": [{ "q": {}, "u": { "$set": { "z": 1 } }, "upsert": true }] },
    ] {
        explain(&w, command).await;
    }
    assert_eq!(w.find(doc! { "batchSize": 100 }).await, before);
    let listed = super::documents(&w.ok(doc! { "listCollections": 1 }).await);
    let names: Vec<Option<&Bson>> = listed.iter().map(|entry| entry.get("name")).collect();
    assert_eq!(names, [Some(&Bson::String("c".to_owned()))]);
}
