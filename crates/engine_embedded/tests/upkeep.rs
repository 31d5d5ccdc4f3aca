//! What goes on besides writing: the change log is kept up to its bounds, what
//! was dropped is cleared away, the file is made smaller.

use std::sync::Arc;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, CommandError, SharedEngine, WatchRequest};
use engine_embedded::{Embedded, Options, Retention, doctor_on};
use kit::clock::FakeClock;

use crate::faults::disk::TestDisk;
use crate::faults::model::run;

fn open(disk: &TestDisk, clock: &Arc<FakeClock>, options: Options) -> SharedEngine {
    let engine = Embedded::open_on(disk.clone(), clock.clone(), options);
    Arc::new(engine.expect("opens"))
}

fn kept_for(seconds: u32, bytes: u64) -> Options {
    Options {
        log_retention: Retention { seconds, bytes },
        ..Options::default()
    }
}

/// What the doctor counts.
fn counted(disk: &TestDisk, what: &str) -> u64 {
    let examined = doctor_on(disk.clone()).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
    let mut counts = examined.checked.iter();
    counts.find(|(name, _)| *name == what).expect("counted").1
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at(1_700_000_000_000))
}

fn documents(ids: std::ops::Range<i64>) -> Vec<RawDocumentBuf> {
    let document = |id| rawdoc! { "_id": id, "k": id, "s": "x".repeat(900) };
    ids.map(document).collect()
}

async fn insert(engine: &SharedEngine, ids: std::ops::Range<i64>) {
    let c = Collection::new(engine, "d", "c");
    c.insert_many(&documents(ids)).await.expect("insert");
}

/// The tokens of the next events, and where the last one is.
async fn tokens(engine: &SharedEngine, ids: std::ops::Range<i64>) -> Vec<RawDocumentBuf> {
    let count = ids.clone().count();
    let mut feed = engine.watch(WatchRequest::default()).await.expect("a feed");
    insert(engine, ids).await;
    let mut tokens = Vec::new();
    for _ in 0..count {
        feed.next().await.expect("an event");
        tokens.extend(feed.resume_token());
    }
    tokens
}

async fn next_after(
    engine: &SharedEngine,
    token: &RawDocumentBuf,
) -> Result<Document, CommandError> {
    let request = WatchRequest {
        resume_after: Some(token.clone()),
        ..WatchRequest::default()
    };
    let event = engine.watch(request).await?.next().await?;
    Ok(Document::try_from(event).expect("decodes"))
}

fn key(event: &Document) -> i64 {
    let key = event.get_document("documentKey").expect("a key");
    key.get_i64("_id").expect("an _id")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_up_to_a_size() {
    let (disk, clock) = (TestDisk::default(), clock());
    // About 100 events.
    let engine = open(&disk, &clock, kept_for(3600, 110_000));
    let early = tokens(&engine, 0..50).await;
    for n in 1..100 {
        insert(&engine, n * 200..(n + 1) * 200).await;
    }
    let late = tokens(&engine, 30_000..30_050).await;
    // What is gone is told, and what is not goes on with the very next event.
    for token in &early {
        let gone = next_after(&engine, token).await.expect_err("gone");
        assert_eq!(gone.code, 286);
    }
    for (n, token) in late.iter().enumerate().take(49) {
        let event = next_after(&engine, token).await.expect("goes on");
        assert_eq!(key(&event), 30_001 + n as i64);
    }
    drop(engine);
    // Rows go as a whole, and one is about 30 events.
    let events = counted(&disk, "events");
    assert!((70..=110).contains(&events), "{events} events are left");
    // Opened anew nothing of it is in memory.
    let engine = open(&disk, &clock, kept_for(3600, 110_000));
    for (n, token) in late.iter().enumerate().take(49) {
        let event = next_after(&engine, token).await.expect("goes on");
        assert_eq!(key(&event), 30_001 + n as i64);
    }
}

/// No reader keeps the log: one that is open and too slow is told so, and
/// misses nothing without being told.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_feed_that_falls_behind_is_told_so() {
    let (disk, clock) = (TestDisk::default(), clock());
    let engine = open(&disk, &clock, kept_for(3600, 110_000));
    let mut slow = engine.watch(WatchRequest::default()).await.expect("a feed");
    let mut quick = engine.watch(WatchRequest::default()).await.expect("a feed");
    insert(&engine, 0..5).await;
    let first = slow.next().await.expect("an event");
    assert_eq!(key(&Document::try_from(first).expect("decodes")), 0);
    let mut n = 0;
    // More than anybody holds in memory.
    for step in 1..60 {
        insert(&engine, step * 100..(step + 1) * 100).await;
        while n < 5 || n < step * 100 + 5 {
            let event = quick.next().await.expect("keeps up");
            let event = Document::try_from(event).expect("decodes");
            let expected = if n < 5 { n } else { n + 95 };
            assert_eq!(key(&event), expected);
            n += 1;
        }
    }
    let mut last = 0;
    let error = loop {
        match slow.next().await {
            Ok(event) => {
                let next = key(&Document::try_from(event).expect("decodes"));
                assert!(
                    next == last + 1 || last == 4 && next == 100,
                    "{last} {next}"
                );
                last = next;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, 286, "{error}");
    let label = "NonResumableChangeStreamError".to_owned();
    assert!(error.labels.contains(&label), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_for_a_time() {
    let (disk, clock) = (TestDisk::default(), clock());
    let engine = open(&disk, &clock, kept_for(3600, u64::MAX));
    let early = tokens(&engine, 0..3000).await;
    clock.advance_ms(3_600_000);
    insert(&engine, 3000..3001).await;
    // Exactly an hour is kept.
    next_after(&engine, &early[0]).await.expect("goes on");
    clock.advance_ms(1000);
    // In steps: the first takes some of them, and nobody waits for the rest.
    let c = Collection::new(&engine, "d", "c");
    for n in 0..5 {
        c.insert_one(&rawdoc! { "_id": -1 - n })
            .await
            .expect("insert");
    }
    for token in &early[..2999] {
        assert_eq!(
            next_after(&engine, token).await.expect_err("gone").code,
            286
        );
    }
    // After the last that is gone comes the first that is not.
    let event = next_after(&engine, &early[2999]).await.expect("goes on");
    assert_eq!(key(&event), 3000);
    drop(engine);
    assert_eq!(counted(&disk, "events"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_cleared_away_in_steps() {
    let (disk, clock) = (TestDisk::default(), clock());
    let engine = open(&disk, &clock, Options::default());
    for n in 0..12 {
        insert(&engine, n * 1000..(n + 1) * 1000).await;
    }
    let c = Collection::new(&engine, "d", "c");
    c.create_index("k", doc! { "k": 1 }, false)
        .await
        .expect("an index");
    run(&engine, doc! { "drop": "c" }).await.expect("drop");
    // The same name is another collection at once, also to the next process.
    c.insert_one(&rawdoc! { "_id": 7_i64, "k": 1 })
        .await
        .expect("insert");
    drop((engine, c));
    counted(&disk, "documents");
    let engine = open(&disk, &clock, Options::default());
    let c = Collection::new(&engine, "d", "c");
    assert_eq!(c.count(doc! {}).await, Ok(1));
    c.create_index("k", doc! { "k": -1 }, false)
        .await
        .expect("an index");
    for n in 0..20 {
        c.insert_one(&rawdoc! { "_id": 100 + n, "k": n })
            .await
            .expect("insert");
    }
    assert_eq!(c.count(doc! { "k": { "$gte": 0 } }).await, Ok(21));
    drop((engine, c));
    assert_eq!(counted(&disk, "documents"), 21);
    assert_eq!(counted(&disk, "index entries"), 42);
    assert_eq!(counted(&disk, "indexes"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn free_space_is_given_back_when_it_is_wanted() {
    let (disk, clock) = (TestDisk::default(), clock());
    let engine = open(&disk, &clock, kept_for(3600, 0));
    insert(&engine, 0..5000).await;
    // These stay, where the file ends: closing it does not cut off what is free.
    let c = Collection::new(&engine, "d", "other");
    c.insert_many(&documents(0..200)).await.expect("insert");
    run(&engine, doc! { "drop": "c" }).await.expect("drop");
    for n in 200..220 {
        c.insert_one(&rawdoc! { "_id": n }).await.expect("insert");
    }
    drop((engine, c));
    let sizes = |options: Options| {
        let engine = Embedded::open_on(disk.clone(), clock.clone(), options);
        engine.expect("opens").sizes().expect("sizes")
    };
    let before = sizes(Options::default());
    assert!(before.free_bytes * 2 > before.file_bytes, "{before:?}");
    let after = sizes(Options {
        compact_at_free_percent: Some(30),
        ..Options::default()
    });
    assert!(
        after.file_bytes * 4 < before.file_bytes,
        "{before:?} {after:?}"
    );
    assert_eq!(counted(&disk, "documents"), 220);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_not_finished_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("data.new"), [7; 10_000]).expect("written");
    let engine = Embedded::open(folder.path(), clock());
    let engine: SharedEngine = Arc::new(engine.expect("opens"));
    insert(&engine, 0..1).await;
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files, 1);
}

/// Those who begin at once do not take each other's file away.
#[test]
fn one_of_many_makes_the_file() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Embedded::open(folder.path(), clock());
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
        for error in opened.iter().filter_map(|opened| opened.as_ref().err()) {
            assert!(error.message.contains("in use"), "{error}");
        }
    }
}
