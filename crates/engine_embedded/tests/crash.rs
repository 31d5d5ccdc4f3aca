//! kill -9 at random moments: every acknowledged write is there, and indexes
//! agree with documents.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bson::{doc, rawdoc};
use engine::{Collection, Found, SharedEngine};
use engine_embedded::Embedded;
use kit::SystemClock;

const ROUNDS: u32 = 25;
const FOLDER: &str = "BACKSTITCH_TEST_CRASH_FOLDER";

/// The writer process: this test binary run again with a folder to write to.
/// Without one there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn writer_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let engine = Embedded::open(folder.as_ref(), Arc::new(SystemClock)).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    let all = Collection::new(&engine, "d", "c");
    all.create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
    let start = all.count(doc! {}).await.expect("a count") as i64;
    let tasks: Vec<_> = (0..4)
        .map(|writer: i64| {
            let all = all.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let id = start * 1000 + n * 4 + writer;
                    all.insert_one(&rawdoc! { "_id": id, "k": id * 2, "v": 0 })
                        .await
                        .expect("insert");
                    all.update_one(doc! { "_id": id }, doc! { "$inc": { "v": 1 } })
                        .await
                        .expect("update");
                    // Acknowledged: from here on it must survive.
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {id}")
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

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["crash::writer_process", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a writer");
        // A different moment each round, counted in acknowledgements.
        let wanted = 1 + (round * 7) % 23;
        let mut seen = 0;
        let stdout = child.stdout.take().expect("its output");
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Some((_, id)) = line.rsplit_once("ack ") else {
                continue;
            };
            if let Ok(id) = id.trim().parse::<i64>() {
                acknowledged.push(id);
                seen += 1;
            }
            if seen == wanted {
                child.kill().expect("kill -9");
            }
        }
        child.wait().expect("it ended");
        assert!(
            seen >= wanted,
            "the writer ended by itself in round {round}"
        );
    }
    let engine =
        Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens after the kills");
    let engine: SharedEngine = Arc::new(engine);
    let all = Collection::new(&engine, "d", "c");
    for id in &acknowledged {
        let found = all.find_one(doc! { "_id": *id }).await.expect("find");
        let found = found.unwrap_or_else(|| panic!("{id} was acknowledged and is gone"));
        assert_eq!(
            found.get_i32("v").ok(),
            Some(1),
            "the update of {id} is gone"
        );
    }
    // Each document is found by each index, and nothing else is.
    let documents = all.find(doc! {}, Found::default()).await.expect("all");
    for document in &documents {
        let key = document.get_i64("k").expect("k");
        let found = all
            .find(doc! { "k": key }, Found::default())
            .await
            .expect("by index");
        assert_eq!(found.len(), 1, "k {key}");
    }
    let by_index = all
        .find(doc! { "k": { "$gte": 0 } }, Found::default())
        .await
        .expect("by index");
    assert_eq!(by_index.len(), documents.len());
}
