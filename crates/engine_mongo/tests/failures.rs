//! What happens when a server is not there, dies, hangs or says no.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use engine::{CommandError, Engine};
use engine_mongo::{Mongo, Settings};

use crate::server::{Server, Set, free_port, ok, run};

const PASSWORD: &str = "hunter2-and-more";

/// Codes by which a caller learns that the database is away.
fn honest(error: &CommandError) -> bool {
    matches!(
        error.code,
        6 | 89 | 91 | 133 | 189 | 10107 | 11600 | 11602 | 13435 | 13436
    )
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
    let error = Mongo::connect(settings.clone())
        .await
        .err()
        .expect("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    // Opened all the same, each command says so, and so does health.
    let mongo = Mongo::open(settings).await.expect("opens");
    let error = run(&mongo, "d", doc! { "find": "c" })
        .await
        .expect_err("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    let error = mongo
        .watch(engine::WatchRequest::default())
        .await
        .err()
        .expect("nobody there");
    assert_eq!(error.code, 133, "{error:?}");
    shows_nothing(&error);
    assert!(mongo.health().await.is_err());
    // Many who ask at once wait once.
    let many = Instant::now();
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let mongo = mongo.clone();
            tokio::spawn(async move { run(&mongo, "d", doc! { "find": "c" }).await })
        })
        .collect();
    for asking in asking {
        assert!(asking.await.expect("it ends").is_err());
    }
    let took = many.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
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
        format!(
            "mongodb://joe:{password}@{}/?directConnection=true",
            server.address
        )
    };
    let wrong = format!("{PASSWORD}x");
    let error = Mongo::connect(Settings::new(uri(&wrong)))
        .await
        .err()
        .expect("refused");
    assert_eq!(error.code, 18, "{error:?}");
    shows_nothing(&error);
    let mongo = Mongo::connect(Settings::new(uri(PASSWORD)))
        .await
        .expect("the right one");
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    // Nobody is let in without one.
    let stranger = server.connect("").await;
    let error = run(&stranger, "d", doc! { "find": "c" })
        .await
        .expect_err("a stranger");
    assert_eq!(error.code, 13, "{error:?}");
}

/// Writers that go on until they are told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<(Vec<i32>, Vec<CommandError>)>>,
}

impl Writers {
    fn start(mongo: &Mongo) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = (0..4)
            .map(|writer| {
                let (mongo, stop, done) = (mongo.clone(), stop.clone(), done.clone());
                tokio::spawn(async move {
                    let (mut ids, mut refused) = (Vec::new(), Vec::new());
                    let mut id = writer;
                    while !stop.load(Ordering::SeqCst) {
                        let insert = doc! { "insert": "c", "documents": [{ "_id": id }] };
                        match run(&mongo, "d", insert).await {
                            Ok(reply) if !reply.contains_key("writeErrors") => {
                                ids.push(id);
                                done.fetch_add(1, Ordering::SeqCst);
                            }
                            Ok(reply) => panic!("written twice: {reply}"),
                            Err(error) => refused.push(error),
                        }
                        id += 4;
                    }
                    (ids, refused)
                })
            })
            .collect();
        Self { stop, done, tasks }
    }

    /// Waits until `more` writes are acknowledged.
    async fn go_on(&self, more: usize) {
        let (start, goal) = (Instant::now(), self.done.load(Ordering::SeqCst) + more);
        while self.done.load(Ordering::SeqCst) < goal {
            assert!(start.elapsed() < Duration::from_secs(90), "no more writes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops, and looks for everything that was acknowledged.
    async fn check(self, mongo: &Mongo) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let (ids, refused) = task.await.expect("a writer");
            println!("{} acknowledged, {} refused", ids.len(), refused.len());
            for error in &refused {
                assert!(honest(error), "{error:?}");
            }
            for ids in ids.chunks(1000) {
                let count = doc! { "count": "c", "query": { "_id": { "$in": ids } } };
                let count = ok(mongo, "d", count).await;
                assert_eq!(count.get_i32("n").ok(), Some(ids.len() as i32));
            }
        }
    }
}

/// Writers go on through a kill -9 of the only member: what was acknowledged
/// is there afterwards, what failed says why, and nobody restarts the engine.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_its_server() {
    let Some(mut server) = Server::replica_set().await else {
        return;
    };
    let mongo = Mongo::connect(Settings::for_state(server.uri("")))
        .await
        .expect("connects");
    let writers = Writers::start(&mongo);
    writers.go_on(50).await;
    server.kill();
    assert!(mongo.health().await.is_err(), "health says so");
    server.start_again();
    writers.go_on(50).await;
    assert!(mongo.health().await.is_ok());
    writers.check(&mongo).await;
}

/// The same with three members, of which the primary dies for good.
#[tokio::test(flavor = "multi_thread")]
async fn another_member_takes_over() {
    let Some(mut set) = Set::of_three().await else {
        return;
    };
    let mongo = Mongo::connect(Settings::for_state(set.uri("")))
        .await
        .expect("connects");
    let described = mongo.describe().await.expect("an answer");
    assert_eq!(described.hosts.len(), 3, "{described:?}");
    let writers = Writers::start(&mongo);
    writers.go_on(100).await;
    // Secondaries read, by mode and by tag.
    let tagged = doc! { "mode": "secondary", "tags": [{ "which": "third" }] };
    for preference in [doc! { "mode": "secondary" }, tagged] {
        let find = doc! { "find": "c", "batchSize": 2, "$readPreference": preference };
        let found = ok(&mongo, "d", find).await;
        // The rest of a cursor comes from the member that has it.
        let cursor = found.get_document("cursor").expect("a cursor");
        let id = cursor.get_i64("id").expect("an id");
        let more = doc! { "getMore": id, "collection": "c", "batchSize": 2 };
        let more = ok(&mongo, "d", more).await;
        let batch = more
            .get_document("cursor")
            .and_then(|c| c.get_array("nextBatch"));
        assert_eq!(batch.expect("a batch").len(), 2);
    }
    set.kill_primary(&mongo).await;
    writers.go_on(100).await;
    writers.check(&mongo).await;
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
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
}

/// A server that hangs is given up on after `socketTimeoutMS`, and used again
/// when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_server_is_given_up_on() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("&socketTimeoutMS=500").await;
    let insert = |id: i32| -> Document {
        doc! { "insert": "c", "documents": [{ "_id": id }] }
    };
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

/// So is a feed: an error, not silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_a_hanging_server_ends_with_an_error() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server
        .connect("&socketTimeoutMS=500&serverSelectionTimeoutMS=500&connectTimeoutMS=500")
        .await;
    let mut feed = mongo
        .watch(engine::WatchRequest::default())
        .await
        .expect("a feed");
    server.signal("STOP");
    let ended = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    server.signal("CONT");
    let error = ended.expect("an answer").expect_err("no event");
    assert!(honest(&error), "{error:?}");
    // The token leads on.
    let mut again = mongo
        .watch(engine::WatchRequest {
            resume_after: feed.resume_token(),
            ..engine::WatchRequest::default()
        })
        .await
        .expect("a feed");
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    assert!(again.next().await.is_ok());
}
