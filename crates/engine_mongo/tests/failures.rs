//! What happens when a server is not there, dies, hangs or says no.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use engine::{CommandError, Engine};
use engine_mongo::{Mongo, Settings};

use crate::server::{Server, free_port, ok, run};

const PASSWORD: &str = "hunter2-and-more";

/// Codes by which a caller learns that the database is away.
fn honest(error: &CommandError) -> bool {
    matches!(error.code, 6 | 89 | 91 | 133 | 189 | 10107 | 11600 | 11602 | 13435 | 13436)
}

fn shows_nothing(error: &CommandError) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_answers_within_its_time() {
    let uri = format!(
        "mongodb://joe:{PASSWORD}@127.0.0.1:{}/?serverSelectionTimeoutMS=300&replicaSet=r",
        free_port()
    );
    let settings = Settings::new(uri);
    assert!(!format!("{settings:?}").contains(PASSWORD));
    let start = Instant::now();
    let error = Mongo::connect(settings.clone()).await.err().expect("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    // Opened all the same, each command says so, and so does health.
    let mongo = Mongo::open(settings).await.expect("opens");
    let error = run(&mongo, "d", doc! { "find": "c" }).await.expect_err("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    let error = mongo.watch(engine::WatchRequest::default()).await.err().expect("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    assert!(mongo.health().await.is_err());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_not_shown() {
    let Some(server) = Server::start(&["--auth"]).await else {
        return;
    };
    let create = doc! { "createUser": "joe", "pwd": PASSWORD, "roles": ["root"] };
    let first = server.connect("").await;
    ok(&first, "admin", create).await;
    let uri = |password: &str| {
        format!("mongodb://joe:{password}@{}/?directConnection=true", server.address)
    };
    let wrong = format!("{PASSWORD}x");
    let error = Mongo::connect(Settings::new(uri(&wrong))).await.err().expect("refused");
    assert_eq!(error.code, 18, "{error:?}");
    shows_nothing(&error);
    let mongo = Mongo::connect(Settings::new(uri(PASSWORD))).await.expect("the right one");
    ok(&mongo, "d", doc! { "insert": "c", "documents": [{ "_id": 1 }] }).await;
    // A command that quotes the password in its error.
    let quoted = doc! { "find": "c", "filter": { format!("${PASSWORD}"): 1 } };
    let error = run(&mongo, "d", quoted).await.expect_err("no such operator");
    assert_eq!(error.code, 2);
    shows_nothing(&error);
    // Nobody is let in without one.
    let stranger = server.connect("").await;
    let error = run(&stranger, "d", doc! { "find": "c" }).await.expect_err("a stranger");
    assert_eq!(error.code, 13, "{error:?}");
}

/// Writers go on through a kill -9 of the only member: what was acknowledged
/// is there afterwards, what failed says why, and nobody restarts the engine.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_its_server() {
    let Some(mut server) = Server::replica_set().await else {
        return;
    };
    let mongo = Mongo::connect(Settings::for_state(server.uri(""))).await.expect("connects");
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let mongo = mongo.clone();
            tokio::spawn(async move {
                let (mut done, mut refused) = (Vec::new(), Vec::new());
                let start = Instant::now();
                let mut id = writer;
                while start.elapsed() < Duration::from_secs(6) || done.is_empty() {
                    let insert = doc! { "insert": "c", "documents": [{ "_id": id }] };
                    match run(&mongo, "d", insert).await {
                        Ok(reply) if !reply.contains_key("writeErrors") => done.push(id),
                        Ok(reply) => panic!("written twice: {reply}"),
                        Err(error) => refused.push(error),
                    }
                    id += 4;
                }
                (done, refused)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.kill();
    assert!(mongo.health().await.is_err(), "health says so");
    server.start_again();
    let mut acknowledged = 0;
    for writer in writers {
        let (done, refused) = writer.await.expect("a writer");
        for error in &refused {
            assert!(honest(error), "{error:?}");
        }
        println!("{} acknowledged, {} refused", done.len(), refused.len());
        for ids in done.chunks(1000) {
            let count = doc! { "count": "c", "query": { "_id": { "$in": ids } } };
            let count = ok(&mongo, "d", count).await;
            assert_eq!(count.get_i32("n").ok(), Some(ids.len() as i32));
        }
        acknowledged += done.len();
    }
    assert!(acknowledged > 0);
    assert!(mongo.health().await.is_ok());
}

/// Without a second member a primary that steps down is nobody's for a while;
/// a write waits for it and is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_the_next_primary() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let down = doc! { "replSetStepDown": 3, "force": true };
    ok(&mongo, "admin", down).await;
    ok(&mongo, "d", doc! { "insert": "c", "documents": [{ "_id": 1 }] }).await;
}

/// A server that hangs is given up on after `socketTimeoutMS`, and used again
/// when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_server_is_given_up_on() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("&socketTimeoutMS=500").await;
    let insert = |id: i32| -> Document { doc! { "insert": "c", "documents": [{ "_id": id }] } };
    ok(&mongo, "d", insert(1)).await;
    server.signal("STOP");
    let start = Instant::now();
    let error = run(&mongo, "d", insert(2)).await;
    let took = start.elapsed();
    let health = mongo.health().await;
    server.signal("CONT");
    let error = error.expect_err("no answer");
    assert_eq!(error.code, 89, "{error:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(health.is_err());
    ok(&mongo, "d", insert(3)).await;
}
