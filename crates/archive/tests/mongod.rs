//! To a real mongod and back.

use archive::Moment;
use bson::doc;
use testkit::mongod::Mongod;

use crate::{content, dump_to, fill, memory, restore_from, run};

async fn mongod() -> Option<Mongod> {
    let found = Mongod::start().await;
    if found.is_none() {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn from_embedded_to_mongod_and_back() {
    let Some(mongod) = mongod().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    let engine = memory();
    fill(&engine).await;
    dump_to(&engine, &at("embedded")).await;
    restore_from(&mongod.engine(), &at("embedded")).await;
    let dumped = dump_to(&mongod.engine(), &at("mongod")).await;
    assert_eq!(dumped.moment, Moment::One);
    let (here, there) = (content(&at("embedded")), content(&at("mongod")));
    assert_eq!(
        here.keys().collect::<Vec<_>>(),
        there.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &here {
        assert!(
            *bytes == there[path],
            "{}: {}\n{}",
            path.display(),
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&there[path])
        );
    }
    // And the reverse.
    let back = memory();
    restore_from(&back, &at("mongod")).await;
    dump_to(&back, &at("back")).await;
    assert!(content(&at("back")) == there);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_views_of_mongod() {
    let Some(mongod) = mongod().await else { return };
    let engine = mongod.engine();
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    for command in [
        doc! { "create": "log", "capped": true, "size": 65536, "max": 100 },
        doc! { "create": "checked", "validator": { "$jsonSchema": { "required": ["a"] } }, "validationLevel": "moderate" },
        doc! { "create": "words", "collation": { "locale": "de", "strength": 2 } },
        doc! { "create": "seen", "viewOn": "log", "pipeline": [{ "$match": { "a": 1 } }] },
        doc! { "createIndexes": "checked", "indexes": [{ "name": "t", "key": { "t": "text" } }] },
        doc! { "createIndexes": "words", "indexes": [
        { "name": "h", "key": { "h": "hashed" }, "collation": { "locale": "simple" } },
        { "name": "ttl", "key": { "at": 1 }, "expireAfterSeconds": 3600 } ] },
        doc! { "insert": "checked", "documents": [{ "_id": 1, "a": 1 }] },
        doc! { "create": "weather", "timeseries": { "timeField": "t" } },
    ] {
        run(&engine, "options", command).await;
    }
    let dumped = dump_to(&engine, &at("first")).await;
    assert_eq!(
        dumped.left_out,
        [
            "options.weather: a timeseries collection is left out",
            "options.log: a capped collection is not of the others' moment",
        ]
    );
    run(&engine, "options", doc! { "dropDatabase": 1 }).await;
    restore_from(&engine, &at("first")).await;
    dump_to(&engine, &at("second")).await;
    let (first, second) = (content(&at("first")), content(&at("second")));
    assert_eq!(first.len(), 7);
    for (path, bytes) in &first {
        let (before, after) = (String::from_utf8_lossy(bytes), &second[path]);
        assert_eq!(before, String::from_utf8_lossy(after), "{}", path.display());
    }
    // What the embedded engine does not have is told, and nothing pretended.
    let error = archive::restore(&memory(), &at("first"), &archive::Restore::default())
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("options."), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_of_mongod_under_writes_has_the_whole_sum() {
    let Some(mongod) = mongod().await else { return };
    crate::moment::dump_while_money_moves(mongod.engine()).await;
}
