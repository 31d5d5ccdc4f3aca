//! One expression that goes on for longer than anybody waits.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::SystemClock;

fn engine() -> SharedEngine {
    Arc::new(Embedded::in_memory(Arc::new(SystemClock)).expect("opens"))
}

async fn run(engine: &SharedEngine, command: Document) -> Result<RawDocumentBuf, i32> {
    let raw = RawDocumentBuf::try_from(&command).expect("encodes");
    let answer = engine.command("d", &raw).await;
    answer.map_err(|error| error.code)
}

/// Sums of sums, for hours.
fn endless() -> Bson {
    let range = Bson::from(doc! { "$range": [0, 100_000] });
    let reduce = |of: Bson| {
        let sum = doc! { "$add": ["$$value", of] };
        Bson::from(doc! { "$reduce": { "input": range.clone(), "initialValue": 0, "in": sum } })
    };
    reduce(reduce("$$this".into()))
}

fn commands() -> Vec<Document> {
    let never = doc! { "$expr": { "$eq": [endless(), -1] } };
    let set = vec![doc! { "$set": { "n": endless() } }];
    let statement = |q: Document| doc! { "q": q, "u": set.clone(), "multi": false };
    let aggregate = |stage: Document| {
        doc! { "aggregate": "c", "pipeline": [stage], "cursor": {} }
    };
    vec![
        aggregate(doc! { "$project": { "n": endless() } }),
        aggregate(doc! { "$group": { "_id": null, "n": { "$sum": endless() } } }),
        aggregate(doc! { "$setWindowFields": { "output": { "n": { "$sum": endless() } } } }),
        doc! { "find": "c", "filter": never.clone() },
        doc! { "find": "c", "filter": { "_id": 1 }, "projection": { "n": endless() } },
        doc! { "count": "c", "query": never.clone() },
        doc! { "delete": "c", "deletes": [{ "q": never, "limit": 0 }] },
        doc! { "update": "c", "updates": [statement(doc! { "_id": 1 })] },
        doc! { "findAndModify": "c", "query": { "a": 1 }, "update": set },
    ]
}

async fn insert(engine: &SharedEngine) {
    let insert = doc! { "insert": "c", "documents": [{ "_id": 1, "a": 1 }] };
    run(engine, insert).await.expect("inserts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_holds_within_one_expression() {
    let engine = engine();
    insert(&engine).await;
    for mut command in commands() {
        let shown = command.to_string();
        command.insert("maxTimeMS", 20);
        assert_eq!(run(&engine, command).await.err(), Some(50), "{shown}");
    }
}

/// The only thread for long work is free for others again.
#[test]
fn an_expression_ends_when_nobody_waits_for_it() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.max_blocking_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = engine();
        insert(&engine).await;
        for command in commands() {
            let shown = command.to_string();
            let left = tokio::time::timeout(Duration::from_millis(50), run(&engine, command));
            assert!(left.await.is_err(), "{shown}");
            let count = doc! { "count": "c", "query": { "a": 1 } };
            let next = tokio::time::timeout(Duration::from_secs(20), run(&engine, count));
            assert!(next.await.is_ok_and(|reply| reply.is_ok()), "{shown}");
        }
    });
}
