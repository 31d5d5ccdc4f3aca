//! The tapes of expressions of `mql`, asked of the embedded engine and, where
//! there is one, of a mongod: what was recorded is what both answer.
//!
//! `BACKSTITCH_RECORD` asks the mongod every case again and writes the tapes
//! anew: how a case that was added gets its answer.

use std::path::PathBuf;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use engine::conformance::World;
use engine_embedded::Embedded;
use kit::SystemClock;

/// Of the cases that answer as another one did, so many are one that is asked.
/// `mql`'s own test looks at all of them.
const EVERY: usize = 8;

/// Ids of one group's documents.
const GROUP: i64 = 100_000;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../mql/tests/tapes"))
}

fn cases(group: &Document) -> Vec<&Document> {
    let cases = group.get_array("cases").expect("cases");
    cases.iter().filter_map(Bson::as_document).collect()
}

/// The tapes' names, and their groups.
fn tapes() -> Vec<(PathBuf, Vec<Document>)> {
    let mut tapes: Vec<_> = std::fs::read_dir(folder())
        .expect("a folder of tapes")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a tape");
            let groups = text
                .lines()
                .map(|line| kit::ejson::parse_document(line.as_bytes()).expect("a group"));
            let groups = groups.collect();
            (path, groups)
        })
        .collect();
    tapes.sort_by(|a, b| a.0.cmp(&b.0));
    tapes
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_answer_as_recorded() {
    let embedded = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    let world = World {
        engine: Arc::new(embedded),
        database: "expressions".to_owned(),
    };
    replay(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_mongod_answers_expressions_as_recorded() {
    let Some(mongod) = testkit::mongod::Mongod::start().await else {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
        return;
    };
    let world = World {
        engine: mongod.engine(),
        database: "expressions".to_owned(),
    };
    if std::env::var_os("BACKSTITCH_RECORD").is_some() {
        record(&world).await;
    }
    replay(&world).await;
}

/// Asks for cases of every group.
async fn replay(world: &World) {
    world.ok(doc! { "create": "c" }).await;
    let (mut asked, mut different) = (0, Vec::new());
    let groups: Vec<Document> = tapes().into_iter().flat_map(|(_, groups)| groups).collect();
    let mut documents = Vec::new();
    for (number, group) in (0..).zip(&groups) {
        for (id, case) in (number * GROUP..).zip(cases(group)) {
            let mut document = doc! { "_id": id };
            document.extend(case.get_document("d").cloned().unwrap_or_default());
            documents.push(document);
        }
    }
    world
        .ok(doc! { "insert": "c", "documents": documents })
        .await;
    for (number, group) in (0..).zip(&groups) {
        let expression = group.get("e").expect("an expression");
        let mut codes = Vec::new();
        for (at, (id, case)) in (number * GROUP..).zip(cases(group)).enumerate() {
            // One of each kind of answer, and some others.
            let code = case.get_i32("c").ok();
            if codes.contains(&code) && at % EVERY != 0 {
                continue;
            }
            codes.push(code);
            asked += 1;
            match (evaluate(world, expression, id).await, code) {
                (Err(error), Some(code)) if error.code == code => {}
                (Ok(answer), None) if same(answer.as_ref(), case.get("r")) => {}
                (answer, _) => different.push(format!("{expression} of {case}: {answer:?}")),
            }
        }
    }
    println!("{asked} cases asked");
    assert!(asked > 3000, "the tapes are not there");
    different.truncate(40);
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// An expression's value of one document.
async fn evaluate(
    world: &World,
    expression: &Bson,
    id: i64,
) -> Result<Option<Bson>, engine::CommandError> {
    let reply = world
        .run(doc! { "aggregate": "c", "cursor": {}, "pipeline": [
            { "$match": { "_id": id } },
            { "$unset": "_id" },
            { "$replaceWith": { "r": expression } },
        ] })
        .await?;
    Ok(first(&reply))
}

/// `r` of a reply's first document.
fn first(reply: &Document) -> Option<Bson> {
    let cursor = reply.get_document("cursor").expect("a cursor");
    let batch = cursor.get_array("firstBatch").expect("a batch");
    let document = batch.first().and_then(Bson::as_document).expect("one");
    document.get("r").cloned()
}

/// Equal values. Functions of doubles and of decimals differ in their last
/// digits from library to library, and are looked at closely in `mql`'s tests.
fn same(ours: Option<&Bson>, theirs: Option<&Bson>) -> bool {
    let number = |value: Option<&Bson>| match value {
        Some(Bson::Double(n)) => Some(*n),
        Some(Bson::Decimal128(n)) => n.to_string().parse().ok(),
        _ => None,
    };
    match (number(ours), number(theirs)) {
        (Some(a), Some(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-14 * a.abs()
        }
        _ => match (ours, theirs) {
            (Some(Bson::Array(a)), Some(Bson::Array(b))) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
            }
            (a, b) => a == b,
        },
    }
}

/// Asks every case again and writes the tapes.
async fn record(world: &World) {
    world.ok(doc! { "create": "r" }).await;
    for (path, groups) in tapes() {
        let mut lines = Vec::new();
        for group in groups {
            let expression = group.get("e").expect("an expression").clone();
            let mut recorded = Vec::new();
            for case in cases(&group) {
                recorded.push(Bson::Document(ask(world, &expression, case).await));
            }
            let line = doc! { "e": expression, "cases": recorded };
            let line = bson::RawDocumentBuf::try_from(&line).expect("a document");
            kit::ejson::canonical_document(&line, &mut lines);
            lines.push(b'\n');
        }
        std::fs::write(&path, lines).expect("writes");
    }
    world.ok(doc! { "drop": "r" }).await;
}

async fn ask(world: &World, expression: &Bson, case: &Document) -> Document {
    let document = case.get_document("d").cloned().unwrap_or_default();
    let reply = world
        .run(doc! { "aggregate": 1, "cursor": {}, "pipeline": [
            { "$documents": [{ "$literal": document.clone() }] },
            { "$replaceWith": { "r": expression } },
        ] })
        .await;
    let mut recorded = Document::new();
    if !document.is_empty() {
        recorded.insert("d", document);
    }
    match reply {
        Ok(reply) => {
            recorded.extend(first(&reply).map(|value| ("r".to_owned(), value)));
        }
        Err(error) => {
            let text = error.message.as_str();
            let text = [
                "PlanExecutor error during aggregation :: caused by :: ",
                "Failed to optimize pipeline :: caused by :: ",
            ]
            .iter()
            .fold(text, |text, prefix| {
                text.strip_prefix(prefix).unwrap_or(text)
            });
            recorded.insert("c", error.code);
            recorded.insert("m", text);
        }
    }
    recorded
}
