//! Commands as they pass: replies, errors, cursors, read preference.

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use engine::Engine;

use crate::server::{Server, TESTABLE, ok, run};

fn cursor(reply: &Document) -> (i64, usize) {
    let cursor = reply.get_document("cursor").expect("a cursor");
    let batch = cursor
        .get_array("firstBatch")
        .or_else(|_| cursor.get_array("nextBatch"));
    (
        cursor.get_i64("id").expect("an id"),
        batch.expect("a batch").len(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_are_read_in_the_asked_portions_and_killed() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let documents: Vec<_> = (0..300).map(|id| doc! { "_id": id }).collect();
    ok(&mongo, "d", doc! { "insert": "c", "documents": documents }).await;
    let open = async |command: Document| cursor(&ok(&mongo, "d", command).await);
    let more = async |id: i64, size: i32| {
        let command = doc! { "getMore": id, "collection": "c", "batchSize": size };
        cursor(&ok(&mongo, "d", command).await)
    };

    // Without a size the first batch is 101, and the rest may be split.
    let (id, size) = open(doc! { "find": "c" }).await;
    assert_eq!(size, 101);
    assert_eq!(more(id, 50).await, (id, 50));
    assert_eq!(more(id, 100).await, (id, 100));
    assert_eq!(more(id, 100).await, (0, 49));
    let gone = doc! { "getMore": id, "collection": "c" };
    assert_eq!(run(&mongo, "d", gone).await.expect_err("read").code, 43);

    // With a size, the server is asked for as many.
    ok(&mongo, "d", doc! { "profile": 2 }).await;
    let (id, size) = open(doc! { "find": "c", "batchSize": 7 }).await;
    assert_eq!(size, 7);
    assert_eq!(more(id, 7).await, (id, 7));
    ok(&mongo, "d", doc! { "profile": 0 }).await;
    let asked = doc! { "op": "getmore", "command.batchSize": 7, "nreturned": 7 };
    let (_, found) = open(doc! { "find": "system.profile", "filter": asked }).await;
    assert_eq!(found, 1);
    let elsewhere = doc! { "getMore": id, "collection": "other" };
    let refused = run(&mongo, "d", elsewhere)
        .await
        .expect_err("another place");
    assert_eq!(refused.code, 13);

    let kill = doc! { "killCursors": "c", "cursors": [id, 1_i64] };
    let killed = ok(&mongo, "d", kill).await;
    assert_eq!(killed.get_array("cursorsKilled").unwrap(), &vec![id.into()]);
    assert_eq!(
        killed.get_array("cursorsNotFound").unwrap(),
        &vec![1_i64.into()]
    );
    let gone = doc! { "getMore": id, "collection": "c" };
    assert_eq!(run(&mongo, "d", gone).await.expect_err("killed").code, 43);

    let (id, size) = open(
        doc! { "aggregate": "c", "pipeline": [{ "$match": {} }], "cursor": { "batchSize": 0 } },
    )
    .await;
    assert_eq!(size, 0);
    assert_eq!(more(id, 300).await.1, 300);

    // The server closes a killed cursor too.
    let open_there = async || {
        let status = ok(&mongo, "admin", doc! { "serverStatus": 1 }).await;
        let cursors = status
            .get_document("metrics")
            .and_then(|metrics| metrics.get_document("cursor"))
            .and_then(|cursor| cursor.get_document("open"))
            .expect("figures");
        cursors.get_i64("total").expect("a number")
    };
    let start = std::time::Instant::now();
    while open_there().await > 0 {
        assert!(start.elapsed().as_secs() < 30, "a cursor stays open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_keep_code_text_and_details() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let unknown = run(&mongo, "d", doc! { "jump": 1 })
        .await
        .expect_err("unknown");
    assert_eq!(unknown.code, 59);
    assert_eq!(unknown.message, "no such command: 'jump'");

    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    let twice = doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }], "ordered": false };
    let reply = ok(&mongo, "d", twice).await;
    assert_eq!(reply.get_i32("n").ok(), Some(1));
    let error = reply.get_array("writeErrors").expect("errors")[0]
        .as_document()
        .expect("an error");
    assert_eq!(error.get_i32("code").ok(), Some(11000));
    assert_eq!(
        error.get_document("keyValue").ok(),
        Some(&doc! { "_id": 1 })
    );

    let modify = doc! {
        "findAndModify": "c", "query": { "_id": 3 }, "update": { "$set": { "_id": 1 } },
        "upsert": true,
    };
    let _ = run(&mongo, "d", modify).await.expect_err("it changes _id");
    let unique = doc! { "name": "n", "key": { "n": 1 }, "unique": true, "sparse": true };
    ok(
        &mongo,
        "d",
        doc! { "createIndexes": "c", "indexes": [unique] },
    )
    .await;
    let set = doc! { "$set": { "n": 1 } };
    let modify = |id: i32| doc! { "findAndModify": "c", "query": { "_id": id }, "update": &set };
    ok(&mongo, "d", modify(1)).await;
    let taken = run(&mongo, "d", modify(2)).await.expect_err("n is unique");
    assert!(taken.is_duplicate_key(), "{taken:?}");
    let details = taken.details.expect("details");
    assert_eq!(
        details.get_document("keyValue").ok(),
        Some(rawdoc! { "n": 1 }.as_ref())
    );
    let slow = doc! {
        "find": "c", "filter": { "$where": "while (true) {}" }, "maxTimeMS": 200,
    };
    assert_eq!(run(&mongo, "d", slow).await.expect_err("too slow").code, 50);
}

/// Deep nesting is the server's to refuse; it must not overflow a stack here.
#[tokio::test(flavor = "multi_thread")]
async fn deep_documents_are_refused_by_the_server() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let mut deep = rawdoc! { "a": 1 };
    for _ in 0..5_000 {
        deep = rawdoc! { "a": deep };
    }
    let insert = rawdoc! { "insert": "c", "documents": [deep] };
    assert!(mongo.command("d", &insert).await.is_err());
    assert!(mongo.health().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_preference_chooses_the_server() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("&serverSelectionTimeoutMS=500").await;
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    let find = |preference: Document| doc! { "find": "c", "$readPreference": preference };
    for fits in [
        doc! { "mode": "primary" },
        doc! { "mode": "nearest", "tags": [{ "dc": "ny" }, {}] },
        doc! { "mode": "secondaryPreferred" },
    ] {
        assert_eq!(cursor(&ok(&mongo, "d", find(fits)).await), (0, 1));
    }
    // There is no secondary, and nobody has this tag.
    for none in [
        doc! { "mode": "secondary" },
        doc! { "mode": "nearest", "tags": [{ "dc": "ny" }] },
    ] {
        let error = run(&mongo, "d", find(none)).await.expect_err("no server");
        assert_eq!(error.code, 133, "{error:?}");
    }
    // A URI's preference is for reads; writes go to the primary.
    let far = server
        .connect("&readPreference=secondary&serverSelectionTimeoutMS=500")
        .await;
    assert!(run(&far, "d", doc! { "find": "c" }).await.is_err());
    ok(
        &far,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 2 }] },
    )
    .await;
}

/// Commands whose connection fails once are sent again, and a write is done
/// once: the server is made to fail, after the write in the second case.
#[tokio::test(flavor = "multi_thread")]
async fn reads_and_single_writes_are_tried_twice_and_done_once() {
    let Some(server) = Server::start(TESTABLE).await else {
        return;
    };
    let mongo = server.connect("").await;
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1, "n": 0 }] },
    )
    .await;
    let fail = async |commands: Vec<&str>, data: Document| {
        let mut fields = doc! { "failCommands": commands };
        fields.extend(data);
        let point = doc! {
            "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": fields,
        };
        ok(&mongo, "admin", point).await;
    };
    let inc = |multi: bool| {
        let statement = doc! { "q": {}, "u": { "$inc": { "n": 1 } }, "multi": multi };
        doc! { "update": "c", "updates": [statement] }
    };
    let n = async || {
        let found = ok(&mongo, "d", doc! { "find": "c" }).await;
        let batch = found
            .get_document("cursor")
            .and_then(|c| c.get_array("firstBatch"));
        batch.expect("a batch")[0]
            .as_document()
            .and_then(|found| found.get_i32("n").ok())
            .expect("a number")
    };

    fail(vec!["find"], doc! { "closeConnection": true }).await;
    assert_eq!(n().await, 0);
    fail(vec!["update"], doc! { "closeConnection": true }).await;
    ok(&mongo, "d", inc(false)).await;
    assert_eq!(n().await, 1);
    // The write is done and then its confirmation fails: the second try must
    // be recognised.
    let concern =
        doc! { "code": 91, "errmsg": "shutting down", "errorLabels": ["RetryableWriteError"] };
    fail(vec!["update"], doc! { "writeConcernError": concern }).await;
    let reply = ok(&mongo, "d", inc(false)).await;
    assert!(!reply.contains_key("writeConcernError"), "{reply}");
    assert_eq!(n().await, 2);

    // A write of many documents is not tried again.
    fail(vec!["update"], doc! { "closeConnection": true }).await;
    let error = run(&mongo, "d", inc(true))
        .await
        .expect_err("a lost connection");
    assert_eq!(error.code, 6, "{error:?}");
    assert_eq!(n().await, 2);

    // Nor is anything where the URI forbids it.
    let once = server.connect("&retryWrites=false&retryReads=false").await;
    fail(vec!["find", "update"], doc! { "closeConnection": true }).await;
    assert_eq!(run(&once, "d", inc(false)).await.expect_err("once").code, 6);
    fail(vec!["find"], doc! { "errorCode": 189 }).await;
    let down = run(&once, "d", doc! { "find": "c" }).await;
    assert_eq!(down.expect_err("once").code, 189);

    // A transaction's commit is tried again by the driver.
    fail(vec!["commitTransaction"], doc! { "closeConnection": true }).await;
    let part = |mut command: Document, starts: bool| {
        command.extend(
            doc! { "lsid": { "id": bson::Uuid::from_bytes([1; 16]) }, "txnNumber": 1_i64, "autocommit": false },
        );
        if starts {
            command.insert("startTransaction", true);
        }
        command
    };
    ok(&mongo, "d", part(inc(false), true)).await;
    ok(
        &mongo,
        "admin",
        part(doc! { "commitTransaction": 1 }, false),
    )
    .await;
    assert_eq!(n().await, 3);
}

/// State is written and read with majority concerns: what the server saw says
/// so.
#[tokio::test(flavor = "multi_thread")]
async fn state_asks_for_a_majority() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let uri = server.uri("&appName=stateful&w=1");
    let state = engine_mongo::Mongo::connect(engine_mongo::Settings::for_state(uri))
        .await
        .expect("connects");
    ok(&state, "d", doc! { "profile": 2 }).await;
    ok(
        &state,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    ok(&state, "d", doc! { "count": "c" }).await;
    ok(&state, "d", doc! { "profile": 0 }).await;
    let seen = async |filter: Document| {
        let found = doc! { "find": "system.profile", "filter": filter };
        let raw = RawDocumentBuf::try_from(&found).expect("encodes");
        let reply = state.command("d", &raw).await.expect("a reply");
        let reply = Document::try_from(reply).expect("decodes");
        cursor(&reply).1
    };
    let insert = doc! {
        "command.insert": "c", "command.writeConcern.w": "majority", "appName": "stateful",
    };
    assert_eq!(seen(insert).await, 1);
    let count = doc! { "command.count": "c", "command.readConcern.level": "majority" };
    assert_eq!(seen(count).await, 1);
}

/// An insert of more than one command can hold is one insert all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_insert_goes_in_pieces() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    let mongo = server.connect("").await;
    let text = "x".repeat(5 << 20);
    let insert = |ids: [i32; 8], ordered: bool| {
        let documents = ids.map(|id| doc! { "_id": id, "text": &text }).to_vec();
        doc! { "insert": "c", "ordered": ordered, "documents": documents }
    };
    let n = async || {
        let count = doc! { "count": "c", "query": { "_id": { "$gte": 0 } } };
        ok(&mongo, "d", count).await.get_i32("n").expect("a number")
    };
    let index = |reply: &Document| -> Vec<i32> {
        let errors = reply.get_array("writeErrors").expect("errors").iter();
        let errors = errors.filter_map(|error| error.as_document());
        errors
            .filter_map(|error| error.get_i32("index").ok())
            .collect()
    };
    let reply = ok(&mongo, "d", insert([0, 1, 2, 3, 4, 5, 6, 7], true)).await;
    assert_eq!(reply, doc! { "n": 8, "ok": 1.0 });
    // Ordered, it stops at the first that is there already.
    let reply = ok(&mongo, "d", insert([10, 11, 12, 13, 3, 14, 15, 16], true)).await;
    assert_eq!(reply.get_i32("n").ok(), Some(4));
    assert_eq!(index(&reply), [4]);
    assert_eq!(n().await, 12);
    // Unordered, it goes on.
    let reply = ok(&mongo, "d", insert([0, 20, 21, 22, 23, 24, 25, 7], false)).await;
    assert_eq!(reply.get_i32("n").ok(), Some(6));
    assert_eq!(index(&reply), [0, 7]);
    assert_eq!(n().await, 18);
    // In a transaction, all of it or nothing.
    let part = |mut command: Document, starts: bool| {
        command.extend(
            doc! { "lsid": { "id": bson::Uuid::from_bytes([1; 16]) }, "txnNumber": 1_i64, "autocommit": false },
        );
        if starts {
            command.insert("startTransaction", true);
        }
        command
    };
    let within = part(insert([30, 31, 32, 33, 34, 35, 36, 37], true), true);
    assert_eq!(ok(&mongo, "d", within).await.get_i32("n").ok(), Some(8));
    assert_eq!(n().await, 18);
    ok(&mongo, "admin", part(doc! { "abortTransaction": 1 }, false)).await;
    assert_eq!(n().await, 18);
}
