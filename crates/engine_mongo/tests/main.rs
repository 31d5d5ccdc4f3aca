//! The MongoDB engine on real servers: the conformance suite, transactions,
//! feeds, lesser servers, failures.
//!
//! Without a mongod (`BACKSTITCH_MONGOD` or `PATH`) only what needs none runs,
//! and the rest says that it was left out.

mod commands;
mod failures;
mod feeds;
mod histories;
mod lesser;
mod server;
mod transactions;
mod transport;

use std::sync::Arc;

use engine::SharedEngine;
use engine::conformance::failures;
use engine_mongo::Settings;

use server::Server;

/// Runs every case.
async fn conforms(engine: SharedEngine, prefix: &str) {
    let failed = failures(&engine, prefix).await;
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_conforms() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let users = server.connect("").await;
    conforms(Arc::new(users), "users").await;
}

/// Majority concerns change no answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_conforms_with_majority_concerns() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let state = engine_mongo::Mongo::connect(Settings::for_state(server.uri("")))
        .await
        .expect("connects");
    conforms(Arc::new(state), "state").await;
}
