//! What clients see through transactions on a replica set is snapshot
//! isolation.

use std::sync::Arc;

use engine::SharedEngine;
use testkit::history::{End, append, check, expected_sum, sums};

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let engine: SharedEngine = Arc::new(server.connect("").await);
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
