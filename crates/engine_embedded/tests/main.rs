//! The embedded engine: the conformance suite on both of its stores, and that
//! what was acknowledged survives.

mod crash;
mod doors;
mod expressions;
mod faults;
mod histories;
mod indexes;
mod lifetimes;
mod numbered;
mod outputs;
mod patience;
mod planner;
mod replay;
mod ttl;
mod upkeep;

use std::sync::Arc;

use engine::SharedEngine;
use engine::conformance::failures;
use engine_embedded::{Embedded, Options};
use kit::SystemClock;

/// Runs every case.
async fn conforms(engine: SharedEngine) {
    let failed = failures(&engine, "conformance").await;
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_memory() {
    let mut options = Options::default();
    // Every commit copies what it changes: the less, the sooner this is done.
    options.log_retention.bytes = 1 << 20;
    let engine = Embedded::in_memory_with(Arc::new(SystemClock), options).expect("opens");
    conforms(Arc::new(engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
    conforms(Arc::new(engine)).await;
}

/// Another process, or this one, can open it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_dropped_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..100 {
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock));
        let engine: SharedEngine = Arc::new(engine.expect("opens again"));
        engine::Collection::new(&engine, "d", "c")
            .insert_one(&bson::rawdoc! { "_id": n })
            .await
            .expect("insert");
    }
}

/// What the suite says is what MongoDB does.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_mongod_conforms() {
    match testkit::mongod::Mongod::start().await {
        None => println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)"),
        Some(mongod) => conforms(mongod.engine()).await,
    }
}
