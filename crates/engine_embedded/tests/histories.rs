//! What clients see through transactions is snapshot isolation.

use std::sync::Arc;

use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::SystemClock;
use testkit::history::{End, append, check, expected_sum, sums};

async fn hold(engine: SharedEngine) {
    let history = append(&engine, "appends").await;
    let committed = history.iter().filter(|t| t.end == End::Committed).count();
    println!("{committed} of {} committed", history.len());
    assert!(committed > 30, "{committed} of {}", history.len());
    let anomalies = check(&history);
    assert!(anomalies.is_empty(), "{anomalies:?} in {history:#?}");
    let sums = sums(&engine, "bank").await;
    assert!(sums.len() > 30, "{}", sums.len());
    assert!(sums.iter().all(|sum| *sum == expected_sum()), "{sums:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated_in_memory() {
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    hold(Arc::new(engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
    hold(Arc::new(engine)).await;
}
