//! A dump taken while others write is of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bson::{doc, rawdoc};
use engine::{Collection, CommandError, SharedEngine, with_transaction};
use engine_embedded::Embedded;
use kit::SystemClock;

use crate::{dump_to, memory, restore_from};

const ACCOUNTS: i64 = 400;
const EACH: i64 = 100;

/// Moves money between two collections until told to stop.
async fn transfers(engine: SharedEngine, seed: i64, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let collections = [
        Collection::new(&engine, "bank", "left"),
        Collection::new(&engine, "bank", "right"),
    ];
    let mut n = seed;
    while !stop.load(Ordering::Relaxed) {
        n = n
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = (n >> 33).rem_euclid(ACCOUNTS * ACCOUNTS);
        let (from, to) = (pick / ACCOUNTS, pick % ACCOUNTS);
        let [left, right] = collections.clone();
        let result: Result<(), CommandError> = with_transaction(&engine, |session| {
            let (left, right) = (left.within(session), right.within(session));
            Box::pin(async move {
                left.update_one(doc! { "_id": from }, doc! { "$inc": { "money": -1i64 } })
                    .await?;
                right
                    .update_one(doc! { "_id": to }, doc! { "$inc": { "money": 1i64 } })
                    .await?;
                Ok(())
            })
        })
        .await;
        result.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

/// The sum of a collection, and whether any account is not as at the start.
async fn sum(engine: &SharedEngine, name: &str) -> (i64, bool) {
    let accounts = Collection::new(engine, "bank", name)
        .find(doc! {}, engine::Found::default())
        .await
        .unwrap();
    assert_eq!(accounts.len() as i64, ACCOUNTS);
    let money = accounts
        .iter()
        .map(|account| account.get_i64("money").unwrap());
    (
        money.clone().sum(),
        money.clone().any(|money| money != EACH),
    )
}

pub(crate) async fn dump_while_money_moves(engine: SharedEngine) {
    for name in ["left", "right"] {
        let accounts: Vec<_> = (0..ACCOUNTS)
            .map(|n| rawdoc! { "_id": n, "money": EACH, "room": "x".repeat(2000) })
            .collect();
        Collection::new(&engine, "bank", name)
            .insert_many(&accounts)
            .await
            .unwrap();
    }
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writers: Vec<_> = (0..4)
        .map(|seed| tokio::spawn(transfers(engine.clone(), seed, stop.clone(), done.clone())))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut moved = 0;
    for round in 0..5 {
        let before = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
        let target = folder.path().join(round.to_string());
        let dumped = dump_to(&engine, &target).await;
        assert_eq!(dumped.moment, archive::Moment::One);
        let copy = memory();
        restore_from(&copy, &target).await;
        let ((left, changed), (right, _)) = (sum(&copy, "left").await, sum(&copy, "right").await);
        assert_eq!(left + right, 2 * ACCOUNTS * EACH, "round {round}");
        moved += u32::from(changed);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(moved, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_writes_has_the_whole_sum() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
    dump_while_money_moves(Arc::new(engine)).await;
}
