//! A disk fills up: no acknowledged write is lost, reads go on, the error says
//! what it is, and with room again there are writes again.

use std::collections::BTreeMap;

use bson::{Document, RawDocumentBuf, doc};
use engine::{Collection, CommandError, Found, SharedEngine};
use engine_embedded::doctor_on;

use super::disk::TestDisk;
use super::open;

pub(super) const OUT_OF_DISK_SPACE: i32 = 14031;
/// Disks, each of another size.
const DISKS: u64 = 10;
const BLOCK: u64 = 4096;

/// Inserts until it is refused; what was acknowledged, and how it is refused.
pub(super) async fn fill(engine: &SharedEngine, from: i64) -> (Vec<i64>, CommandError) {
    let c = Collection::new(engine, "d", "c");
    let mut ids = Vec::new();
    for n in from.. {
        let document = doc! { "_id": n, "k": -n, "s": "x".repeat(n as usize * 37 % 9000) };
        let document = RawDocumentBuf::try_from(&document).expect("encodes");
        match c.insert_one(&document).await {
            Ok(()) => ids.push(n),
            Err(error) => return (ids, error),
        }
    }
    unreachable!()
}

pub(super) async fn has_all(engine: &SharedEngine, ids: &[i64]) -> bool {
    let c = Collection::new(engine, "d", "c");
    let found = c
        .find(doc! {}, Found::default())
        .await
        .expect("reads go on");
    let found: BTreeMap<i64, Document> = found
        .iter()
        .map(|raw| Document::try_from(raw).expect("decodes"))
        .map(|document| (document.get_i64("_id").expect("an _id"), document))
        .collect();
    let by_index = doc! { "k": { "$lte": 0_i64 } };
    let indexed = c
        .find(by_index, Found::default())
        .await
        .expect("reads go on");
    indexed.len() == found.len() && ids.iter().all(|id| found.contains_key(id))
}

async fn prepared(disk: &TestDisk) -> SharedEngine {
    let engine = open(disk).expect("opens");
    let c = Collection::new(&engine, "d", "c");
    c.create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
    engine
}

/// A disk that only says that it is full when it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_once() {
    for n in 0..DISKS {
        let disk = TestDisk::default();
        let engine = prepared(&disk).await;
        disk.resize(Some((300 + n * 61) * BLOCK), false);
        let (ids, error) = fill(&engine, 0).await;
        assert_eq!(error.code, OUT_OF_DISK_SPACE, "{error}");
        assert!(!ids.is_empty());
        assert!(has_all(&engine, &ids).await, "before the restart");
        let (none, error) = fill(&engine, 100_000).await;
        assert_eq!((none.len(), error.code), (0, OUT_OF_DISK_SPACE));
        assert_eq!(
            engine.health().await.expect_err("ill").code,
            OUT_OF_DISK_SPACE
        );
        drop(engine);
        // With room again, and a new start, all is well.
        disk.resize(None, false);
        let examined = doctor_on(disk.clone()).expect("opens");
        assert_eq!(examined.problems, [""; 0]);
        let engine = open(&disk).expect("opens again");
        assert!(has_all(&engine, &ids).await, "after the restart");
        engine.health().await.expect("well");
        let c = Collection::new(&engine, "d", "c");
        c.insert_one(&bson::rawdoc! { "_id": -1_i64, "k": 1 })
            .await
            .expect("insert");
    }
}

/// A disk that says how much is left: the engine stops before it is full, and
/// goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up() {
    let disk = TestDisk::default();
    let engine = prepared(&disk).await;
    let mut all = Vec::new();
    // What the engine leaves alone, and more each time.
    for n in 1..=DISKS {
        disk.resize(Some((33 + n) << 20), true);
        let (ids, error) = fill(&engine, n as i64 * 100_000).await;
        assert_eq!(error.code, OUT_OF_DISK_SPACE, "{error}");
        assert!(!ids.is_empty());
        all.extend(ids);
        assert!(has_all(&engine, &all).await);
    }
    disk.resize(Some(1), true);
    let ill = engine.health().await.expect_err("ill");
    assert_eq!(ill.code, OUT_OF_DISK_SPACE);
    disk.resize(None, true);
    engine.health().await.expect("well");
    drop(engine);
    let examined = doctor_on(disk.clone()).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
    assert!(has_all(&open(&disk).expect("opens again"), &all).await);
}
