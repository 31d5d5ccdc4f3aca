//! kill -9 while `$out` replaces a collection: the old one is there or the new
//! one, whole and with its indexes, and nothing else is left.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, Found, SharedEngine};
use engine_embedded::doctor;

use crate::crash::{kill_after, open, tell};
use crate::faults::disk::Random;

/// Kills in the normal suite; `BACKSTITCH_TEST_OUTPUT_KILLS` for another number.
const KILLS: u64 = 15;
/// Documents that `$out` writes: several of its batches.
const DOCUMENTS: i64 = 1200;
const FOLDER: &str = "BACKSTITCH_TEST_OUTPUT_FOLDER";
const FIRST: &str = "BACKSTITCH_TEST_OUTPUT_FIRST";

async fn run(engine: &SharedEngine, command: Document) -> RawDocumentBuf {
    let raw = RawDocumentBuf::try_from(&command).expect("encodes");
    engine.command("d", &raw).await.expect("a reply")
}

/// The writer process: this test binary run again with a folder to write to.
/// Without one there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let first = std::env::var(FIRST).ok().and_then(|n| n.parse().ok());
    let first: i64 = first.expect("the number of its first output");
    let engine = open(folder.as_ref());
    for n in first.. {
        let mark = doc! { "$set": { "n": n, "k": { "$add": ["$_id", n] } } };
        let pipeline = vec![mark, doc! { "$out": "target" }];
        run(
            &engine,
            doc! { "aggregate": "source", "pipeline": pipeline, "cursor": {} },
        )
        .await;
        // Acknowledged: from here on no older one may be there.
        tell(&format!("ack {n}"));
    }
}

/// Runs a writer, kills it somewhere in an output, and gives the number of the
/// last that it told of.
fn round(folder: &Path, random: &mut Random, first: i64) -> Option<i64> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["outputs::output_process", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a writer");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let wanted = first + random.below(4) as i64;
    let mut last = None;
    for line in lines.map_while(Result::ok) {
        let told = line.strip_prefix("ack ").and_then(|n| n.parse().ok());
        if told == Some(wanted) {
            kill_after(&mut child, Duration::from_micros(random.below(150_000)));
        }
        last = told.or(last);
    }
    child.wait().expect("it ended");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_old_or_new_after_kill_9() {
    let kills = std::env::var("BACKSTITCH_TEST_OUTPUT_KILLS").ok();
    let kills = kills.and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random(kills);
    begin(folder.path()).await;
    let (mut first, mut ahead) = (1, 0);
    for _ in 0..kills {
        let told = round(folder.path(), &mut random, first);
        let told = told.expect("an output that was told of");
        let found = look(folder.path()).await;
        assert!(
            found == told || found == told + 1,
            "{found} is there, {told} was told of"
        );
        ahead += found - told;
        first = found + 1;
    }
    println!("{kills} kills, {first} outputs, {ahead} of them there and not told of");
}

async fn begin(folder: &Path) {
    let engine = open(folder);
    let source = Collection::new(&engine, "d", "source");
    let text = "x".repeat(200);
    let document = |id: i64| rawdoc! { "_id": id, "s": text.as_str() };
    let documents: Vec<RawDocumentBuf> = (0..DOCUMENTS).map(document).collect();
    source.insert_many(&documents).await.expect("inserts");
    let target = Collection::new(&engine, "d", "target");
    target
        .create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
}

/// The number of the output that is there.
async fn look(folder: &Path) -> i64 {
    let engine = open(folder);
    let all = run(&engine, doc! { "listCollections": 1, "nameOnly": true }).await;
    let all = Document::try_from(all).expect("decodes");
    let batch = all.get_document("cursor").expect("a cursor");
    let batch = batch.get_array("firstBatch").expect("a batch");
    let names = batch
        .iter()
        .filter_map(|one| one.as_document()?.get_str("name").ok());
    let names: BTreeSet<&str> = names.collect();
    assert_eq!(names, BTreeSet::from(["source", "target"]));
    let target = Collection::new(&engine, "d", "target");
    let found = target.find(doc! {}, Found::default()).await.expect("reads");
    let numbers: BTreeSet<i64> = found
        .iter()
        .map(|document| document.get_i64("n").expect("n"))
        .collect();
    assert_eq!(found.len() as i64, DOCUMENTS, "{numbers:?}");
    assert_eq!(numbers.len(), 1, "a mixture: {numbers:?}");
    let n = numbers.first().copied().expect("a number");
    for id in [0, 1, DOCUMENTS - 1] {
        let by_index = target
            .find_one(doc! { "k": id + n })
            .await
            .expect("by index");
        let by_index = by_index.expect("a document");
        assert_eq!(by_index.get_i64("_id").ok(), Some(id));
    }
    drop((engine, target));
    let examined = doctor(folder, false).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
    n
}
