//! kill -9 at random moments: every acknowledged write is there, no batch is
//! there in part, indexes agree with documents, and the change feed tells
//! exactly what is stored.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, Found, Session, SharedEngine, WatchRequest};
use engine_embedded::Embedded;
use kit::SystemClock;

const ROUNDS: u64 = 40;
/// Documents of one transaction, and of one insert of many.
const BATCH: i64 = 5;
const FOLDER: &str = "BACKSTITCH_TEST_CRASH_FOLDER";

fn open(folder: &std::path::Path) -> SharedEngine {
    Arc::new(Embedded::open(folder, Arc::new(SystemClock)).expect("opens"))
}

/// The writer process: this test binary run again with a folder to write to.
/// Without one there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn writer_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let engine = open(folder.as_ref());
    let all = Collection::new(&engine, "d", "c");
    let start = all.count(doc! {}).await.expect("a count") as i64 * 1000;
    let tasks: Vec<_> = (0..4)
        .map(|writer: i64| {
            let all = all.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let id = start + (n * 4 + writer) * 10;
                    write(&all, id, writer).await;
                    // Acknowledged: from here on it must survive.
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {writer} {id}")
                        .and_then(|()| out.flush())
                        .expect("a reader");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("writes until it is killed");
    }
}

/// Every writer has a way of its own.
async fn write(all: &Collection, id: i64, writer: i64) {
    let document =
        |n: i64| rawdoc! { "_id": id + n, "k": (id + n) * 2, "batch": id, "l": [n, id], "v": 0 };
    match writer {
        // An insert and an update.
        0 => {
            all.insert_one(&document(0)).await.expect("insert");
            all.update_one(
                doc! { "_id": id },
                doc! { "$inc": { "v": 1 }, "$push": { "l": -1 } },
            )
            .await
            .expect("update");
        }
        // Many at once.
        1 => {
            let documents: Vec<RawDocumentBuf> = (0..BATCH).map(document).collect();
            all.insert_many(&documents).await.expect("insert");
        }
        // A transaction that also takes something away.
        2 => {
            all.insert_one(&document(9)).await.expect("insert");
            let session = Session::start();
            let within = all.within(&session);
            for n in 0..BATCH {
                within.insert_one(&document(n)).await.expect("insert");
            }
            within
                .delete(doc! { "_id": id + 9 }, false)
                .await
                .expect("delete");
            session.commit(all.engine()).await.expect("commit");
        }
        // Inserted and deleted.
        _ => {
            all.insert_one(&document(0)).await.expect("insert");
            all.delete(doc! { "_id": id }, false).await.expect("delete");
        }
    }
}

/// Runs a writer and kills it, at a moment that differs from round to round.
fn round(folder: &std::path::Path, round: u64, acknowledged: &mut Vec<(i64, i64)>) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["crash::writer_process", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a writer");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let random = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let wanted = 1 + random % 37;
    let mut seen = 0;
    for line in lines.map_while(Result::ok) {
        // The test harness may have written before it on the same line.
        let Some((_, ack)) = line.rsplit_once("ack ") else {
            continue;
        };
        let numbers: Vec<i64> = ack
            .split(' ')
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        if let [writer, id] = numbers.as_slice() {
            acknowledged.push((*writer, *id));
            seen += 1;
        }
        if seen == wanted {
            kill_after(&mut child, Duration::from_micros(random % 4000));
        }
    }
    child.wait().expect("it ended");
    assert!(
        seen >= wanted,
        "the writer ended by itself in round {round}"
    );
}

/// Kills between two acknowledgements, somewhere within a commit.
fn kill_after(child: &mut Child, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
    child.kill().expect("kill -9");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let request = || WatchRequest {
        database: Some("d".to_owned()),
        collection: Some("c".to_owned()),
        ..WatchRequest::default()
    };
    // The feed's beginning: a document that goes away again.
    let token = {
        let engine = open(folder.path());
        let all = Collection::new(&engine, "d", "c");
        all.create_index("k", doc! { "k": 1 }, true)
            .await
            .expect("an index");
        all.create_index("l", doc! { "l": 1, "batch": -1 }, false)
            .await
            .expect("an index");
        let mut feed = engine.watch(request()).await.expect("a feed");
        all.insert_one(&rawdoc! { "_id": -1 })
            .await
            .expect("insert");
        feed.next().await.expect("an event");
        all.delete(doc! { "_id": -1 }, false).await.expect("delete");
        feed.resume_token()
    };
    let mut acknowledged = Vec::new();
    for n in 0..ROUNDS {
        round(folder.path(), n, &mut acknowledged);
    }
    let engine = open(folder.path());
    let all = Collection::new(&engine, "d", "c");
    let stored: BTreeMap<i64, Document> = all
        .find(doc! {}, Found::default())
        .await
        .expect("all")
        .iter()
        .map(|raw| Document::try_from(raw).expect("decodes"))
        .map(|document| (document.get_i64("_id").expect("an _id"), document))
        .collect();
    for (writer, id) in &acknowledged {
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
    batches_are_whole(&stored);
    indexes_agree(&all, &stored).await;
    // Told again from the beginning, the feed makes the same documents.
    let mut feed = engine
        .watch(WatchRequest {
            resume_after: token,
            ..request()
        })
        .await
        .expect("the feed goes on");
    all.insert_one(&rawdoc! { "_id": -2, "k": -2 })
        .await
        .expect("insert");
    let mut told = BTreeMap::new();
    loop {
        let event = Document::try_from(feed.next().await.expect("an event")).expect("decodes");
        let key = event.get_document("documentKey").expect("a key");
        match key.get("_id") {
            Some(Bson::Int32(-2)) => break,
            Some(Bson::Int64(id)) => tell(&mut told, *id, &event),
            // What the beginning took away.
            _ => {}
        }
    }
    assert!(
        told == stored,
        "the feed tells other documents than are stored"
    );
    println!(
        "{} acknowledged, {} stored",
        acknowledged.len(),
        stored.len()
    );
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
        let writer = batch / 10 % 4;
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

/// Does to `told` what an event says.
fn tell(told: &mut BTreeMap<i64, Document>, id: i64, event: &Document) {
    match event.get_str("operationType").expect("a kind") {
        "insert" => {
            let document = event.get_document("fullDocument").expect("a document");
            let before = told.insert(id, document.clone());
            assert!(before.is_none(), "{id} is inserted twice");
        }
        "delete" => assert!(told.remove(&id).is_some(), "{id} is deleted twice"),
        _ => {
            let document = told.get_mut(&id).expect("an update of something");
            let description = event
                .get_document("updateDescription")
                .expect("a description");
            for (path, value) in description.get_document("updatedFields").expect("fields") {
                match path.strip_prefix("l.") {
                    // An element at the end.
                    Some(_) => document.get_array_mut("l").expect("l").push(value.clone()),
                    None => {
                        document.insert(path, value.clone());
                    }
                }
            }
        }
    }
}
