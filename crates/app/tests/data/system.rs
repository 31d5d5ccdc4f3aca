//! The system: no rules, the same shapes of results.

use super::World;

#[tokio::test]
async fn the_system_may_do_everything() {
    let w = World::new(&[]);
    let table = [
        (
            "insertOne",
            r#"{"document":{"_id":1,"a":"x","l":[1,2]}}"#,
            r#"{"insertedId":1}"#,
        ),
        (
            "insertMany",
            r#"{"documents":[{"_id":2,"a":"y"},{"_id":3,"a":"z"}]}"#,
            r#"{"insertedIds":[2,3]}"#,
        ),
        (
            "find",
            r#"{"query":{"a":{"$regex":"^[xy]"}},"sort":{"_id":-1},"project":{"a":1}}"#,
            r#"[{"_id":2,"a":"y"},{"_id":1,"a":"x"}]"#,
        ),
        ("findOne", r#"{"query":{"_id":3}}"#, r#"{"_id":3,"a":"z"}"#),
        ("count", "{}", "3"),
        (
            "distinct",
            r#"{"field":"a","query":{"_id":{"$gt":1}}}"#,
            r#"["y","z"]"#,
        ),
        (
            "updateOne",
            r#"{"query":{"l":2},"update":{"$set":{"l.$":5}}}"#,
            r#"{"matchedCount":1,"modifiedCount":1}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"l.$[e]":6}},"arrayFilters":[{"e":1}]}"#,
            r#"{"matchedCount":1,"modifiedCount":1}"#,
        ),
        (
            "updateMany",
            r#"{"update":{"$set":{"b":1}}}"#,
            r#"{"matchedCount":3,"modifiedCount":3}"#,
        ),
        (
            "updateMany",
            r#"{"query":{"_id":{"$gt":1}},"update":{"r":1}}"#,
            r#"{"matchedCount":2,"modifiedCount":2}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":9},"update":{"k":1},"upsert":true}"#,
            r#"{"matchedCount":0,"modifiedCount":0,"upsertedId":9}"#,
        ),
        (
            "findOneAndReplace",
            r#"{"filter":{"_id":9}}"#,
            r#"{"_id":9,"k":1}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":9},"update":{"$set":{"k":2}},"returnNewDocument":true}"#,
            r#"{"_id":9,"k":2}"#,
        ),
        (
            "findOneAndDelete",
            r#"{"filter":{"_id":9}}"#,
            r#"{"_id":9,"k":2}"#,
        ),
        (
            "bulkWrite",
            r#"{"operations":[{"insertOne":{"document":{"_id":4}}},{"insertOne":{"_id":5}},
            {"replaceOne":{"filter":{"_id":4},"replacement":{"s":1}}},{"deleteOne":{"filter":{"_id":5}}}]}"#,
            "null",
        ),
        (
            "aggregate",
            r#"{"pipeline":[{"$match":{"_id":4}}]}"#,
            r#"[{"_id":4,"s":1}]"#,
        ),
        (
            "deleteMany",
            r#"{"query":{"_id":{"$gt":1}}}"#,
            r#"{"deletedCount":3}"#,
        ),
    ];
    for (action, arguments, expected) in table {
        assert_eq!(
            w.system(action, arguments).await.unwrap(),
            expected,
            "{action} {arguments}"
        );
    }
    assert_eq!(w.stored().await, r#"[{"_id":1,"a":"x","l":[6,5],"b":1}]"#);
}

#[tokio::test]
async fn bulk_writes_stop_or_go_on() {
    let w = World::new(&[]);
    let operations =
        r#""operations":[{"insertOne":{"_id":1}},{"insertOne":{"_id":1}},{"insertOne":{"_id":2}}]"#;
    let ordered = w.system("bulkWrite", &format!("{{{operations}}}")).await;
    assert!(
        ordered
            .unwrap_err()
            .message
            .starts_with("Duplicate key error")
    );
    assert_eq!(w.stored().await, r#"[{"_id":1}]"#);
    let unordered = w
        .system("bulkWrite", &format!("{{\"ordered\":false,{operations}}}"))
        .await;
    assert!(unordered.is_err());
    assert_eq!(w.stored().await, r#"[{"_id":1},{"_id":2}]"#);
}

#[tokio::test]
async fn a_missing_id_is_made_and_comes_first() {
    let w = World::new(&[]);
    w.system("insertOne", r#"{"document":{"a":1}}"#)
        .await
        .unwrap();
    let stored = w.stored().await;
    assert!(stored.starts_with(r#"[{"_id":{"$oid":""#), "{stored}");
}
