//! Servers that can do less, and what is found out about any.

use bson::doc;
use engine::{Engine, WatchRequest};
use engine_mongo::{Mongo, Settings, Topology};

use crate::server::{Server, ok, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_is_described() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let found = mongo.describe().await.expect("an answer");
    assert_eq!(found.topology, Topology::ReplicaSet);
    assert_eq!(found.set.as_deref(), Some("r"));
    assert_eq!(found.hosts, std::slice::from_ref(&server.address));
    assert_eq!(found.product, "MongoDB");
    assert!(found.version.contains('.'), "{}", found.version);
    assert!(found.latency.as_nanos() > 0);
    assert!(found.capabilities.transactions && found.capabilities.change_feeds);
    assert_eq!(mongo.capabilities().name, "mongodb");
    assert!(mongo.health().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_has_neither_transactions_nor_feeds_and_does_the_rest() {
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let mongo = server.connect("").await;
    let found = mongo.describe().await.expect("an answer");
    assert_eq!(found.topology, Topology::Standalone);
    assert_eq!(found.hosts, std::slice::from_ref(&server.address));
    assert!(!mongo.capabilities().transactions);
    assert!(!mongo.capabilities().change_feeds);

    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }] },
    )
    .await;
    let remove = doc! { "findAndModify": "c", "query": { "_id": 2 }, "remove": true };
    let removed = ok(&mongo, "d", remove).await;
    assert_eq!(removed.get_document("value").ok(), Some(&doc! { "_id": 2 }));
    let count = ok(&mongo, "d", doc! { "count": "c" }).await;
    assert_eq!(count.get_i32("n").ok(), Some(1));

    let part = doc! {
        "find": "c", "lsid": { "id": bson::Uuid::new() }, "txnNumber": 1_i64, "autocommit": false,
        "startTransaction": true,
    };
    let refused = run(&mongo, "d", part).await.expect_err("no transactions");
    assert_eq!(refused.code, 20, "{refused:?}");
    let refused = mongo.watch(WatchRequest::default()).await.err();
    assert_eq!(refused.map(|error| error.code), Some(40573));

    // Our own state would work on it, with what a majority means there.
    let state = Mongo::connect(Settings::for_state(server.uri(""))).await;
    let state = state.expect("connects");
    ok(
        &state,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 3 }] },
    )
    .await;
    let count = ok(&state, "d", doc! { "count": "c", "query": { "_id": 3 } }).await;
    assert_eq!(count.get_i32("n").ok(), Some(1));
}
