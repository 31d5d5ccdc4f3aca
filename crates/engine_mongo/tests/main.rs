//! The MongoDB engine on real servers: the conformance suite, transactions,
//! feeds, lesser servers, failures.
//!
//! Without a mongod (`BACKSTITCH_MONGOD` or `PATH`) only what needs none runs,
//! and the rest says that it was left out.

mod commands;
mod failures;
mod feeds;
mod lesser;
mod server;
mod transactions;
mod transport;

use std::sync::Arc;

use engine::SharedEngine;
use engine::conformance::{World, cases};
use engine_mongo::Settings;

use server::Server;

/// Runs every case, each in a task of its own, and names those that failed.
async fn conforms(engine: SharedEngine, prefix: &str) {
    let mut failed = Vec::new();
    for (index, (case, body)) in cases().into_iter().enumerate() {
        let world = World {
            engine: engine.clone(),
            database: format!("{prefix}_{index}"),
        };
        if tokio::spawn(body(world)).await.is_err() {
            failed.push(case);
        }
    }
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
