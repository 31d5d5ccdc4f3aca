//! kill -9 at random moments: every acknowledged write is there, no batch is
//! there in part, indexes agree with documents, and the change feed tells
//! exactly what is stored.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, CommandError, Found, Session, SharedEngine};
use engine_embedded::{Embedded, doctor};
use kit::SystemClock;

use crate::faults::disk::Random;
use crate::faults::model::{self, mark, replay};

/// Kills in the normal suite; `BACKSTITCH_TEST_KILLS` for another number.
const KILLS: u64 = 40;
/// Kills between two looks at the data.
const KILLS_PER_LOOK: u64 = 20;
/// Documents of one transaction, and of one insert of many.
const BATCH: i64 = 5;
/// Ids of one process's documents.
const IDS: i64 = 1_000_000;
const FOLDER: &str = "BACKSTITCH_TEST_CRASH_FOLDER";
const FILLED: &str = "BACKSTITCH_TEST_FILLED_FOLDER";
const START: &str = "BACKSTITCH_TEST_CRASH_START";

pub(crate) fn open(folder: &Path) -> SharedEngine {
    Arc::new(Embedded::open(folder, Arc::new(SystemClock)).expect("opens"))
}

/// The writer process: this test binary run again with a folder to write to.
/// Without one there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    tell("open");
    let engine = open(folder.as_ref());
    let start = std::env::var(START).ok().and_then(|n| n.parse().ok());
    let start: i64 = start.expect("where its ids start");
    let all = Collection::new(&engine, "d", "c");
    let tasks: Vec<_> = (0..5)
        .map(|writer: i64| {
            let all = all.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let id = start + (n * 5 + writer) * 10;
                    write(&all, id, writer).await.expect("a write");
                    // Acknowledged: from here on it must survive.
                    tell(&format!("ack {writer} {id}"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("writes until it is killed");
    }
}

pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // Of its own line, whatever the harness of tests wrote before.
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .expect("a reader");
}

/// Every writer has a way of its own.
async fn write(all: &Collection, id: i64, writer: i64) -> Result<(), CommandError> {
    let document =
        |n: i64| rawdoc! { "_id": id + n, "k": (id + n) * 2, "batch": id, "l": [n, id], "v": 0 };
    match writer {
        // An insert and an update.
        0 => {
            all.insert_one(&document(0)).await?;
            let change = doc! { "$inc": { "v": 1 }, "$push": { "l": -1 } };
            all.update_one(doc! { "_id": id }, change).await?;
        }
        // Many at once.
        1 => {
            let documents: Vec<RawDocumentBuf> = (0..BATCH).map(document).collect();
            all.insert_many(&documents).await?;
        }
        // A transaction over two collections that also takes something away.
        2 => {
            all.insert_one(&document(9)).await?;
            let session = Session::start();
            let within = all.within(&session);
            for n in 0..BATCH {
                within.insert_one(&document(n)).await?;
            }
            let other = Collection::new(all.engine(), "d", "other").within(&session);
            other.insert_one(&rawdoc! { "_id": id }).await?;
            within.delete(doc! { "_id": id + 9 }, false).await?;
            session.commit(all.engine()).await?;
        }
        // Inserted and deleted.
        3 => {
            all.insert_one(&document(0)).await?;
            all.delete(doc! { "_id": id }, false).await?;
        }
        // An index and a collection that come and go.
        _ => {
            let brief = Collection::new(all.engine(), "d", "brief");
            let documents: Vec<RawDocumentBuf> = (0..BATCH).map(document).collect();
            brief.insert_many(&documents).await?;
            brief.create_index("k", doc! { "k": -1 }, true).await?;
            if id % 100 == 40 {
                let command = doc! { "dropIndexes": "brief", "index": "k" };
                model::run(all.engine(), command).await?;
            }
            model::run(all.engine(), doc! { "drop": "brief" }).await?;
        }
    }
    Ok(())
}

/// Runs a writer and kills it: in one of eight rounds as it opens, else after
/// some acknowledgements, somewhere within a commit.
fn round(folder: &Path, random: &mut Random, start: i64, acknowledged: &mut Vec<(i64, i64)>) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["crash::writer_process", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(START, start.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a writer");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let opening = random.percent(12);
    let wanted = 1 + random.below(40);
    let (mut seen, mut killed) = (0, false);
    for line in lines.map_while(Result::ok) {
        if line == "open" && opening {
            kill_after(&mut child, Duration::from_micros(random.below(8000)));
            killed = true;
        }
        let Some(ack) = line.strip_prefix("ack ") else {
            continue;
        };
        let numbers: Vec<i64> = ack.split(' ').filter_map(|n| n.parse().ok()).collect();
        if let [writer, id] = numbers.as_slice() {
            acknowledged.push((*writer, *id));
            seen += 1;
        }
        if seen == wanted && !killed {
            kill_after(&mut child, Duration::from_micros(random.below(4000)));
            killed = true;
        }
    }
    child.wait().expect("it ended");
    assert!(killed, "the writer ended by itself");
}

/// Kills between two acknowledgements, somewhere within a commit.
pub(crate) fn kill_after(child: &mut Child, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
    child.kill().expect("kill -9");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    let kills = std::env::var("BACKSTITCH_TEST_KILLS").ok();
    let kills = kills.and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut random = Random(kills);
    let (mut done, mut total) = (0, 0);
    while done < kills {
        let folder = tempfile::tempdir().expect("a folder");
        let token = begin(folder.path()).await;
        let mut acknowledged = Vec::new();
        for n in 0..KILLS_PER_LOOK.min(kills - done) {
            let start = (n as i64 + 1) * IDS;
            round(folder.path(), &mut random, start, &mut acknowledged);
            done += 1;
        }
        look(folder.path(), token, &acknowledged).await;
        total += acknowledged.len();
    }
    println!("{kills} kills, {total} acknowledged");
}

/// A database with indexes, and where its change log begins.
async fn begin(folder: &Path) -> RawDocumentBuf {
    let engine = open(folder);
    let token = mark(&engine).await;
    let all = Collection::new(&engine, "d", "c");
    all.create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
    all.create_index("l", doc! { "l": 1, "batch": -1 }, false)
        .await
        .expect("an index");
    token
}

/// That everything acknowledged is there, nothing in part, and all agrees.
async fn look(folder: &Path, token: RawDocumentBuf, acknowledged: &[(i64, i64)]) {
    let examined = doctor(folder, false).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
    let engine = open(folder);
    let model = model::stored(&engine).await;
    let stored = &model["c"].documents;
    let other = model.get("other").map(|content| &content.documents);
    for (writer, id) in acknowledged {
        let there = |n: i64| stored.contains_key(&(id + n));
        match writer {
            0 => {
                let value = stored.get(id).and_then(|found| found.get_i32("v").ok());
                assert_eq!(value, Some(1), "the update of {id} is gone");
            }
            1 | 2 => assert!((0..BATCH).all(there) && !there(9), "batch {id} is gone"),
            _ => assert!(!there(0), "{id} was deleted and is back"),
        }
    }
    batches_are_whole(stored);
    // What a transaction wrote to one collection is in the other as well.
    let committed = |id: &i64| id % 50 == 20 && stored.contains_key(id);
    let committed: Vec<i64> = stored.keys().copied().filter(committed).collect();
    let found: Vec<i64> = other.into_iter().flatten().map(|(id, _)| *id).collect();
    assert_eq!(committed, found, "half a transaction");
    indexes_agree(&Collection::new(&engine, "d", "c"), stored).await;
    // Told again from the beginning, the change log makes the same documents.
    let told = replay(&engine, token).await;
    for (name, content) in &model {
        let told = told.get(name).cloned().unwrap_or_default();
        assert!(told == content.documents, "{name}: the log tells others");
    }
}

/// What was written as one is there as one or not at all.
fn batches_are_whole(stored: &BTreeMap<i64, Document>) {
    let mut batches: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (id, document) in stored {
        let batch = document.get_i64("batch").expect("a batch");
        batches.entry(batch).or_default().push(id - batch);
    }
    let whole: Vec<i64> = (0..BATCH).collect();
    for (batch, members) in batches {
        let writer = batch / 10 % 5;
        let allowed = match writer {
            1 => members == whole,
            2 => members == whole || members == [9],
            _ => members == [0],
        };
        assert!(allowed, "half a batch of writer {writer}: {members:?}");
    }
}

/// Each document is found by each index, and nothing else is.
async fn indexes_agree(all: &Collection, stored: &BTreeMap<i64, Document>) {
    for document in stored.values() {
        let key = document.get_i64("k").expect("k");
        let found = all
            .find(doc! { "k": key }, Found::default())
            .await
            .expect("by index");
        assert_eq!(found.len(), 1, "k {key}");
        for element in document.get_array("l").expect("l") {
            let query = doc! { "l": element.clone(), "batch": document.get_i64("batch").ok() };
            let found = all.find(query, Found::default()).await.expect("by index");
            let ids = found.iter().filter_map(|found| found.get_i64("_id").ok());
            assert!(
                ids.into_iter()
                    .any(|id| Some(id) == document.get_i64("_id").ok())
            );
        }
    }
    for range in [
        doc! { "k": { "$gte": i64::MIN } },
        doc! { "l": { "$gte": i64::MIN } },
    ] {
        let found = all.find(range, Found::default()).await.expect("by index");
        assert_eq!(found.len(), stored.len());
    }
}

/// A process that fills a database until it is killed. Without a folder to
/// write to there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filler_process() {
    let Some(folder) = std::env::var_os(FILLED) else {
        return;
    };
    let engine = open(folder.as_ref());
    let all = Collection::new(&engine, "d", "c");
    all.create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
    for n in 0.. {
        let document = |id: i64| rawdoc! { "_id": id, "k": -id, "s": "x".repeat(900) };
        let documents: Vec<RawDocumentBuf> = (n * 1000..(n + 1) * 1000).map(document).collect();
        all.insert_many(&documents).await.expect("insert");
        tell(&format!("ack 0 {n}"));
    }
}

/// Opening does not read everything, however much there is. Long:
/// `BACKSTITCH_TEST_LARGE_BYTES=1073741824` for a file of that size.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_killed_opens_at_once() {
    let wanted = std::env::var("BACKSTITCH_TEST_LARGE_BYTES").ok();
    let wanted = wanted.and_then(|n| n.parse().ok()).unwrap_or(16_u64 << 20);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.redb");
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["crash::filler_process", "--exact", "--nocapture"])
        .env(FILLED, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a filler");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut batches = 0;
    for line in lines.map_while(Result::ok) {
        batches += u64::from(line.starts_with("ack "));
        if std::fs::metadata(&file).is_ok_and(|file| file.len() >= wanted) && batches > 0 {
            kill_after(&mut child, Duration::from_millis(7));
        }
    }
    child.wait().expect("it ended");
    let bytes = std::fs::metadata(&file).expect("a file").len();
    let start = Instant::now();
    let engine = open(folder.path());
    let took = start.elapsed();
    println!("{bytes} bytes of {batches} batches open in {took:?}");
    let all = Collection::new(&engine, "d", "c");
    let stored = all.count(doc! {}).await.expect("a count");
    // The last may be there without having been told.
    assert!((batches..=batches + 1).any(|batches| stored == batches * 1000));
}
