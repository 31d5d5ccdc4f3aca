//! A bit of the file flips: what is read is what was written, or an error. Long:
//! with `BACKSTITCH_TEST_BIT_FLIPS=10000`, that many bits.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use bson::{Document, RawDocumentBuf, doc};
use engine::{Collection, Found, SharedEngine};

use super::disk::{Random, TestDisk};
use super::open;

/// Bits in the normal suite.
const BITS: u64 = 200;
const DOCUMENTS: i64 = 100;

fn document(id: i64) -> Document {
    doc! { "_id": id, "k": id, "s": format!("{id} ").repeat(id as usize * 5) }
}

async fn base() -> Vec<u8> {
    let disk = TestDisk::default();
    let engine = open(&disk).expect("opens");
    let c = Collection::new(&engine, "d", "c");
    c.create_index("k", doc! { "k": 1 }, true)
        .await
        .expect("an index");
    for id in 0..DOCUMENTS {
        let document = RawDocumentBuf::try_from(&document(id)).expect("encodes");
        c.insert_one(&document).await.expect("insert");
    }
    drop((engine, c));
    disk.now()
}

/// Reads everything; how many documents are missing, `None` when an error says
/// that something is wrong.
async fn missing(engine: &SharedEngine) -> Option<u64> {
    let c = Collection::new(engine, "d", "c");
    let found = c.find(doc! {}, Found::default()).await.ok()?;
    let mut all = BTreeMap::new();
    for raw in &found {
        let found = Document::try_from(raw).expect("decodes");
        let id = found.get_i64("_id").expect("an _id");
        assert_eq!(found, document(id), "another document");
        assert!(all.insert(id, found).is_none(), "{id} is there twice");
    }
    let mut missing = DOCUMENTS as u64 - all.len() as u64;
    for id in 0..DOCUMENTS {
        let found = c.find_one(doc! { "k": id }).await.ok()?;
        match found {
            Some(raw) => {
                let found = Document::try_from(&raw).expect("decodes");
                assert_eq!(found, document(id), "another document by index");
            }
            None => missing += 1,
        }
    }
    Some(missing)
}

#[test]
fn what_is_damaged_is_not_served() {
    let long = std::env::var("BACKSTITCH_TEST_BIT_FLIPS").ok();
    let bits = long.and_then(|n| n.parse().ok()).unwrap_or(BITS);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let base = runtime.block_on(base());
    let mut random = Random(7);
    let (mut harmless, mut told, mut panics, mut gone) = (0, 0, 0, 0);
    for _ in 0..bits {
        let bit = random.below(base.len() as u64 * 8);
        let mut bytes = base.clone();
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        let disk = TestDisk::of(bytes);
        let read = AssertUnwindSafe(|| {
            let Ok(engine) = open(&disk) else {
                return None;
            };
            runtime.block_on(missing(&engine))
        });
        match std::panic::catch_unwind(read) {
            Ok(Some(0)) => harmless += 1,
            Ok(Some(_)) => gone += 1,
            Ok(None) => told += 1,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                assert!(!text.contains("another document"), "bit {bit}: {text}");
                panics += 1;
            }
        }
    }
    println!(
        "{bits} bits: {harmless} harmless, {told} told, {panics} panics, {gone} hide something"
    );
}
