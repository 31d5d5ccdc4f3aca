//! Change feeds: scopes, tokens, ends.

use std::time::Duration;

use bson::{Document, doc, rawdoc};
use engine::{ChangeFeed, Engine, WatchRequest};
use engine_mongo::Mongo;

use crate::server::{Server, TESTABLE, ok};

async fn next(feed: &mut dyn ChangeFeed) -> Document {
    let event = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    let event = event.expect("an event in time").expect("an event");
    Document::try_from(event).expect("an event decodes")
}

async fn watch(mongo: &Mongo, request: WatchRequest) -> Box<dyn ChangeFeed> {
    mongo.watch(request).await.expect("a feed")
}

fn on(database: &str, collection: &str) -> WatchRequest {
    WatchRequest {
        database: Some(database.to_owned()),
        collection: Some(collection.to_owned()),
        ..WatchRequest::default()
    }
}

async fn insert(mongo: &Mongo, database: &str, collection: &str, id: i32) {
    let insert = doc! { "insert": collection, "documents": [{ "_id": id }] };
    ok(mongo, database, insert).await;
}

fn id(event: &Document) -> Option<i32> {
    event.get_document("documentKey").ok()?.get_i32("_id").ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_of_a_cluster_a_database_or_a_collection() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let mut cluster = watch(&mongo, WatchRequest::default()).await;
    let mut database = watch(
        &mongo,
        WatchRequest {
            database: Some("d".to_owned()),
            ..WatchRequest::default()
        },
    )
    .await;
    let stage = rawdoc! { "$match": { "documentKey._id": { "$gt": 3 } } };
    let mut collection = watch(
        &mongo,
        WatchRequest {
            pipeline: vec![stage],
            ..on("d", "c")
        },
    )
    .await;
    insert(&mongo, "other", "x", 1).await;
    insert(&mongo, "d", "x", 2).await;
    insert(&mongo, "d", "c", 3).await;
    insert(&mongo, "d", "c", 4).await;
    for expected in 1..=4 {
        assert_eq!(id(&next(cluster.as_mut()).await), Some(expected));
    }
    for expected in 2..=4 {
        assert_eq!(id(&next(database.as_mut()).await), Some(expected));
    }
    assert_eq!(id(&next(collection.as_mut()).await), Some(4));
}

/// A `next` that is dropped and asked again loses nothing, and the token can
/// be read in between; it moves on while nothing happens.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_can_be_broken_off() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let mut feed = watch(&mongo, on("d", "c")).await;
    let first = feed.resume_token().expect("a token from the start");
    for _ in 0..20 {
        let wait = tokio::time::timeout(Duration::from_millis(60), feed.next()).await;
        assert!(wait.is_err(), "nothing happened yet");
        assert!(feed.resume_token().is_some());
    }
    insert(&mongo, "d", "other", 1).await;
    while feed.resume_token().as_ref() == Some(&first) {
        let wait = tokio::time::timeout(Duration::from_millis(60), feed.next()).await;
        assert!(wait.is_err(), "nothing of ours happened yet");
    }
    insert(&mongo, "d", "c", 1).await;
    assert_eq!(id(&next(feed.as_mut()).await), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_survives_its_server_and_resumes_by_token() {
    let Some(mut server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let mut feed = watch(&mongo, on("d", "c")).await;
    insert(&mongo, "d", "c", 1).await;
    assert_eq!(id(&next(feed.as_mut()).await), Some(1));
    let token = feed.resume_token();
    server.kill();
    server.start_again();
    insert(&mongo, "d", "c", 2).await;
    insert(&mongo, "d", "c", 3).await;
    // The same feed goes on by itself,
    assert_eq!(id(&next(feed.as_mut()).await), Some(2));
    assert_eq!(id(&next(feed.as_mut()).await), Some(3));
    // and a new one from the token, in another engine.
    let other = server.connect("").await;
    let mut again = watch(
        &other,
        WatchRequest {
            resume_after: token,
            ..on("d", "c")
        },
    )
    .await;
    assert_eq!(id(&next(again.as_mut()).await), Some(2));
    assert_eq!(id(&next(again.as_mut()).await), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_collection_ends_its_feed_and_a_token_leads_beyond() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    insert(&mongo, "d", "c", 1).await;
    let mut feed = watch(&mongo, on("d", "c")).await;
    ok(&mongo, "d", doc! { "drop": "c" }).await;
    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("drop"));
    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("invalidate"));
    let ended = feed.next().await.expect_err("the end");
    assert_eq!(ended.code, 280);
    insert(&mongo, "d", "c", 2).await;
    let mut beyond = watch(
        &mongo,
        WatchRequest {
            start_after: feed.resume_token(),
            ..on("d", "c")
        },
    )
    .await;
    assert_eq!(id(&next(beyond.as_mut()).await), Some(2));
}

/// What cannot be resumed says so, with the server's code: a feed that is
/// opened too late, and one that was open. The server is made to say it, since
/// the log of a new set reaches back to its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn lost_history_is_an_error() {
    let Some(server) = Server::start(TESTABLE).await else {
        return;
    };
    let mongo = server.connect("").await;
    insert(&mongo, "d", "c", 1).await;
    let lose = async |command: &str| {
        let data = doc! {
            "failCommands": [command], "errorCode": 286,
            "errorLabels": ["NonResumableChangeStreamError"],
        };
        let point = doc! {
            "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data,
        };
        ok(&mongo, "admin", point).await;
    };
    let mut feed = watch(&mongo, on("d", "c")).await;
    lose("getMore").await;
    assert_eq!(feed.next().await.expect_err("lost").code, 286);
    assert_eq!(feed.next().await.expect_err("over").code, 280);
    lose("aggregate").await;
    let late = WatchRequest {
        resume_after: feed.resume_token(),
        ..on("d", "c")
    };
    let error = mongo.watch(late).await.err().expect("too late");
    assert_eq!(error.code, 286, "{error:?}");
    assert_eq!(error.labels, ["NonResumableChangeStreamError"]);

    let nonsense = WatchRequest {
        resume_after: Some(rawdoc! { "_data": "zz" }),
        ..on("d", "c")
    };
    let error = mongo.watch(nonsense).await.err().expect("no token");
    assert_eq!(error.code, 9, "{error:?}");
}
