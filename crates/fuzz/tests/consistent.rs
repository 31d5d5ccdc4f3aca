//! The embedded engine against itself: what has to be equal whatever it is
//! equal to. No mongod is needed.

use std::sync::Arc;

use bson::{Bson, Document, doc};
use engine::SharedEngine;
use engine_embedded::Embedded;
use fuzz::answer::{self, Reply, Verdict, canonical};
use fuzz::drive;
use fuzz::generate::{Area, Program};
use fuzz::indexes::Indexes;
use fuzz::run::{Side, record, replay};
use fuzz::tally::Tally;
use kit::SystemClock;

/// Programs of each area that a test looks at.
const PROGRAMS: u64 = 4;

fn programs() -> impl Iterator<Item = Program> {
    (0..PROGRAMS).flat_map(|seed| {
        Area::ALL
            .into_iter()
            .map(move |area| Program::of(area, 50_000 + seed))
    })
}

fn none(tally: &Tally) {
    println!("{tally}");
    let shown: Vec<String> = tally
        .different
        .iter()
        .take(5)
        .map(ToString::to_string)
        .collect();
    assert!(tally.different.is_empty(), "{}", shown.join("\n\n"));
    assert!(tally.codes.is_empty(), "{:?}", tally.codes);
    assert!(tally.ran > 1000, "{} is too few", tally.ran);
}

/// A store on disk answers what the one in memory does.
#[tokio::test(flavor = "multi_thread")]
async fn on_disk_as_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine: SharedEngine =
        Arc::new(Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens"));
    let disk = Side {
        engine,
        database: "fuzz_disk".to_owned(),
    };
    let memory = drive::ours("memory");
    let mut all = Tally::default();
    // Every write waits for the disk.
    for program in programs().step_by(2) {
        let recorded = record(&memory, &program).await.expect("it is there");
        all.add(replay(&disk, &recorded).await);
    }
    none(&all);
}

/// Indexes change no answer but its order.
#[tokio::test(flavor = "multi_thread")]
async fn with_indexes_as_without() {
    let (plain, indexed) = (drive::ours("plain"), drive::ours("indexed"));
    let mut all = Tally::default();
    for mut program in programs() {
        program.commands.retain(|command| !touches_indexes(command));
        program.watched = false;
        for command in &mut program.commands {
            whole(command);
        }
        let mut recorded = record(&plain, &program).await.expect("it is there");
        let create = doc! { "createIndexes": "c", "indexes": indexes(program.seed) };
        let reply: Reply = Ok(doc! { "ok": 1.0 });
        // Its own reply is not what is looked at.
        let at = 1.min(recorded.steps.len());
        let step = fuzz::run::Step {
            command: create,
            reply,
            state: None,
        };
        recorded.steps.insert(at, step);
        let mut tally = replay(&indexed, &recorded).await;
        tally.different.retain(|found| found.step != at);
        // Where several things are wrong, which is found first depends on the plan.
        tally.codes.clear();
        all.add(tally);
    }
    none(&all);
}

fn touches_indexes(command: &Document) -> bool {
    let name = command.keys().next().map(String::as_str);
    let statements =
        ["updates", "deletes"].map(|list| command.get_array(list).into_iter().flatten());
    let hinted = |of: &Bson| of.as_document().is_some_and(|of| of.contains_key("hint"));
    matches!(name, Some("createIndexes" | "dropIndexes" | "listIndexes"))
        || command.contains_key("hint")
        || statements.into_iter().flatten().any(hinted)
}

/// Which document is the first depends on the plan: takes all, or one by `_id`.
fn whole(command: &mut Document) {
    for (list, field, all) in [
        ("updates", "multi", Bson::Boolean(true)),
        ("deletes", "limit", Bson::Int32(0)),
    ] {
        for statement in command.get_array_mut(list).into_iter().flatten() {
            if let Bson::Document(statement) = statement {
                statement.insert(field, all.clone());
            }
        }
    }
}

/// One-field indexes over everything that queries ask for.
fn indexes(seed: u64) -> Vec<Document> {
    let descending = if seed.is_multiple_of(2) { 1 } else { -1 };
    ["a", "b", "n", "l", "a.b", "l.b"]
        .iter()
        .map(|path| doc! { "key": { *path: descending }, "name": *path })
        .collect()
}

/// Every find of the programs, with the documents that are there then: its
/// explain changes nothing, count is its length, and a `$match` finds the same.
#[tokio::test(flavor = "multi_thread")]
async fn three_ways_to_ask_one_question() {
    let side = drive::ours("ways");
    let (mut asked, mut refused) = (0, 0);
    for program in programs().filter(|program| !matches!(program.area, Area::Malformed)) {
        let _ = side.run(&doc! { "dropDatabase": 1 }).await;
        for command in &program.commands {
            let answer = side.run(command).await;
            // A count has no variables.
            let of_find = ["hint", "let"]
                .iter()
                .any(|name| command.contains_key(*name));
            if !command.contains_key("find") || of_find {
                continue;
            }
            asked += 1;
            let mut find = command.clone();
            for name in ["skip", "limit", "batchSize", "projection", "sort"] {
                find.remove(name);
            }
            let filter = command.get_document("filter").cloned().unwrap_or_default();
            let found = documents(&side.run(&find).await);
            let _ = side
                .run(&doc! { "explain": command.clone(), "verbosity": "executionStats" })
                .await;
            let again = side.run(command).await;
            same(command, &answer, &again);
            let collation = command.get("collation").cloned();
            let with = |mut other: Document| {
                if let Some(collation) = &collation {
                    other.insert("collation", collation.clone());
                }
                other
            };
            let count = side
                .run(&with(doc! { "count": "c", "query": filter.clone() }))
                .await;
            let pipeline = vec![doc! { "$match": filter.clone() }];
            let matched = side.run(&with(doc! { "aggregate": "c", "pipeline": pipeline, "cursor": { "batchSize": 10_000 } })).await;
            // A stage in front keeps the filter from choosing the plan.
            let pipeline = vec![doc! { "$replaceWith": "$$ROOT" }, doc! { "$match": filter }];
            let behind = side.run(&with(doc! { "aggregate": "c", "pipeline": pipeline, "cursor": { "batchSize": 10_000 } })).await;
            let Some(found) = found else {
                refused += 1;
                assert!(count.is_err(), "{command} is refused, and counted");
                assert!(
                    documents(&matched).is_none(),
                    "{command} is refused, and matched"
                );
                continue;
            };
            let n = count
                .as_ref()
                .ok()
                .and_then(|reply| reply.get_i32("n").ok());
            assert_eq!(n, Some(found.len() as i32), "count of {command}");
            assert_eq!(
                documents(&matched).as_ref(),
                Some(&found),
                "$match of {command}"
            );
            assert_eq!(
                documents(&behind).as_ref(),
                Some(&found),
                "$match behind of {command}"
            );
        }
    }
    println!("{asked} asked, {refused} refused");
    assert!(asked > 300 && refused < asked / 2);
}

/// What a cursor's first batch has, in any order; `None` for an error.
fn documents(reply: &Reply) -> Option<Vec<String>> {
    let batch = reply
        .as_ref()
        .ok()?
        .get_document("cursor")
        .ok()?
        .get_array("firstBatch")
        .ok()?;
    let mut shown: Vec<String> = batch
        .iter()
        .map(|value| canonical(value.clone(), false))
        .collect();
    shown.sort();
    Some(shown)
}

fn same(command: &Document, first: &Reply, second: &Reply) {
    // Cursors have other ids.
    let verdict = answer::compare(command, &Indexes::default(), second, first);
    assert!(
        matches!(verdict, Verdict::Equal | Verdict::Refused(..)),
        "{command} again: {verdict:?}"
    );
}

/// Leading `$match`, `$sort`, `$skip` and `$limit` may be pushed down to the
/// plan: the answer is the same when nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn pushed_down_as_not() {
    let side = drive::ours("pushed");
    let mut asked = 0;
    for program in programs() {
        let _ = side.run(&doc! { "dropDatabase": 1 }).await;
        for command in &program.commands {
            let answer = side.run(command).await;
            let Ok(stages) = command.get_array("pipeline") else {
                continue;
            };
            let text = command.to_string();
            if program.area == Area::Malformed || text.contains("$out") || text.contains("$merge\"")
            {
                continue;
            }
            let mut behind = command.clone();
            let mut pipeline = vec![Bson::from(doc! { "$replaceWith": "$$ROOT" })];
            pipeline.extend(stages.iter().cloned());
            behind.insert("pipeline", pipeline);
            let other = side.run(&behind).await;
            asked += 1;
            let verdict = answer::compare(command, &Indexes::unknown(), &answer, &other);
            assert!(
                !matches!(verdict, Verdict::Different(..)),
                "{command}: {verdict:?}"
            );
        }
    }
    assert!(asked > 300, "{asked} is too few");
}
