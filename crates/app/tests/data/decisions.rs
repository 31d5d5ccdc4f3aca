//! An owner rule over every action, as owner and as stranger.

use super::World;

const OWNER: &str = r#"{"name":"owner","apply_when":{"o":"%%user.id"},"read":true,"write":true}"#;
const DOCUMENTS: &str =
    r#"{"_id":1,"o":"ann","n":1},{"_id":2,"o":"bob","n":2},{"_id":3,"o":"ann","n":3}"#;

async fn world() -> World {
    World::with(OWNER, DOCUMENTS).await
}

#[tokio::test]
async fn owners_read_their_own() {
    let w = world().await;
    let table = [
        (
            "find",
            r"{}",
            r#"[{"_id":1,"o":"ann","n":1},{"_id":3,"o":"ann","n":3}]"#,
        ),
        (
            "find",
            r#"{"query":{"n":{"$gt":1}},"project":{"n":1,"_id":0}}"#,
            r#"[{"n":3}]"#,
        ),
        (
            "find",
            r#"{"sort":{"n":-1},"limit":1}"#,
            r#"[{"_id":3,"o":"ann","n":3}]"#,
        ),
        (
            "find",
            r#"{"sort":{"n":1},"skip":1}"#,
            r#"[{"_id":3,"o":"ann","n":3}]"#,
        ),
        ("find", r#"{"query":{"o":"bob"}}"#, "[]"),
        (
            "findOne",
            r#"{"query":{"_id":1}}"#,
            r#"{"_id":1,"o":"ann","n":1}"#,
        ),
        ("findOne", r#"{"query":{"_id":2}}"#, "null"),
        ("count", "{}", "2"),
        ("count", r#"{"limit":1}"#, "1"),
        ("distinct", r#"{"field":"o"}"#, r#"["ann"]"#),
        // 31
        (
            "aggregate",
            r#"{"pipeline":[{"$group":{"_id":null,"n":{"$sum":1}}}]}"#,
            r#"[{"_id":null,"n":2}]"#,
        ),
        (
            "aggregate",
            r#"{"pipeline":[{"$match":{"n":3}},{"$project":{"n":1}}]}"#,
            r#"[{"_id":3,"n":3}]"#,
        ),
    ];
    for (action, arguments, expected) in table {
        assert_eq!(
            w.ann(action, arguments).await,
            expected,
            "{action} {arguments}"
        );
    }
}

#[tokio::test]
async fn owners_write_their_own() {
    let w = world().await;
    let table = [
        (
            "insertOne",
            r#"{"document":{"_id":4,"o":"ann"}}"#,
            r#"{"insertedId":4}"#,
        ),
        (
            "insertMany",
            r#"{"documents":[{"_id":5,"o":"ann"},{"_id":6,"o":"ann"}]}"#,
            r#"{"insertedIds":[5,6]}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":10}}}"#,
            r#"{"matchedCount":1,"modifiedCount":1}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":10}}}"#,
            r#"{"matchedCount":1,"modifiedCount":0}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":99},"update":{"$set":{"n":10}}}"#,
            r#"{"matchedCount":0,"modifiedCount":0}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":7,"o":"ann"},"update":{"$set":{"n":7}},"upsert":true}"#,
            r#"{"matchedCount":0,"modifiedCount":0,"upsertedId":7}"#,
        ),
        (
            "updateMany",
            r#"{"query":{"_id":{"$in":[5,6]}},"update":{"$inc":{"n":1}}}"#,
            r#"{"matchedCount":2,"modifiedCount":2}"#,
        ),
        (
            "updateMany",
            r#"{"query":{"_id":{"$in":[5,6]}},"update":{"o":"ann","r":1}}"#,
            r#"{"matchedCount":2,"modifiedCount":2}"#,
        ),
        (
            "replaceOne",
            r#"{"query":{"_id":7},"update":{"o":"ann","z":1}}"#,
            r#"{"matchedCount":1,"modifiedCount":1}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":3},"update":{"$inc":{"n":1}}}"#,
            r#"{"_id":3,"o":"ann","n":3}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":3},"update":{"$inc":{"n":1}},"returnNewDocument":true,"projection":{"n":1}}"#,
            r#"{"_id":3,"n":5}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":8,"o":"ann"},"update":{"$set":{"n":8}},"upsert":true}"#,
            "null",
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":9,"o":"ann"},"update":{"$set":{"n":9}},"upsert":true,"returnNewDocument":true}"#,
            r#"{"_id":9,"o":"ann","n":9}"#,
        ),
        (
            "findOneAndReplace",
            r#"{"filter":{"_id":9},"update":{"o":"ann"},"returnNewDocument":true}"#,
            r#"{"_id":9,"o":"ann"}"#,
        ),
        (
            "findOneAndDelete",
            r#"{"filter":{"_id":9}}"#,
            r#"{"_id":9,"o":"ann"}"#,
        ),
        ("findOneAndDelete", r#"{"filter":{"_id":9}}"#, "null"),
        (
            "deleteOne",
            r#"{"query":{"_id":8}}"#,
            r#"{"deletedCount":1}"#,
        ),
        (
            "deleteMany",
            r#"{"query":{"_id":{"$gte":4}}}"#,
            r#"{"deletedCount":4}"#,
        ),
    ];
    for (action, arguments, expected) in table {
        assert_eq!(
            w.ann(action, arguments).await,
            expected,
            "{action} {arguments}"
        );
    }
    assert_eq!(
        w.stored().await,
        r#"[{"_id":1,"o":"ann","n":10},{"_id":2,"o":"bob","n":2},{"_id":3,"o":"ann","n":5}]"#
    );
}

#[tokio::test]
async fn strangers_change_nothing() {
    let w = world().await;
    let before = w.stored().await;
    let table = [
        ("insertOne", r#"{"document":{"o":"ann"}}"#, "insert"),
        (
            "insertMany",
            r#"{"documents":[{"_id":8,"o":"bob"},{"_id":9,"o":"ann"}]}"#,
            "insert",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":10}}}"#,
            "update",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"o":"bob"}}}"#,
            "update",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":50},"update":{"$set":{"o":"ann"}},"upsert":true}"#,
            "insert",
        ),
        // 29: one refused of several.
        ("updateMany", r#"{"update":{"$inc":{"n":1}}}"#, "update"),
        (
            "replaceOne",
            r#"{"query":{"_id":1},"update":{"o":"bob"}}"#,
            "replace",
        ),
        ("deleteOne", r#"{"query":{"_id":1}}"#, "delete"),
        ("deleteMany", "{}", "delete"),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":1},"update":{"$inc":{"n":1}}}"#,
            "update",
        ),
        (
            "findOneAndReplace",
            r#"{"filter":{"_id":1},"update":{"o":"bob"}}"#,
            "replace",
        ),
        ("findOneAndDelete", r#"{"filter":{"_id":1}}"#, "delete"),
        (
            "bulkWrite",
            r#"{"operations":[{"updateOne":{"filter":{"_id":1},"update":{"$set":{"n":0}}}}]}"#,
            "update",
        ),
    ];
    for (action, arguments, verb) in table {
        assert_eq!(
            w.bob(action, arguments).await,
            format!("NoMatchingRuleFound: {verb} not permitted"),
            "{action} {arguments}"
        );
        assert_eq!(w.stored().await, before, "{action} {arguments}");
    }
}

#[tokio::test]
async fn fields_are_masked_and_guarded() {
    let fields = r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true},"d":{"fields":{"z":{"read":true}}}},
                    "additional_fields":{"read":false}}"#;
    let w = World::with(
        fields,
        r#"{"_id":1,"a":1,"s":"x","d":{"y":1,"z":2}},{"_id":2,"s":"y"}"#,
    )
    .await;
    let table = [
        // 11, 32: hidden is as good as not stored.
        ("find", "{}", r#"[{"a":1,"d":{"z":2}}]"#),
        ("findOne", r#"{"query":{"s":"y"}}"#, "null"),
        ("find", r#"{"project":{"s":1,"a":1}}"#, r#"[{"a":1}]"#),
        ("count", "{}", "1"),
        ("distinct", r#"{"field":"s"}"#, "[]"),
        (
            "aggregate",
            r#"{"pipeline":[{"$project":{"s":1,"a":1,"t":"$s"}}]}"#,
            r#"[{"a":1}]"#,
        ),
        ("aggregate", r#"{"pipeline":[{"$match":{"s":"x"}}]}"#, "[]"),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"a":2}}}"#,
            r#"{"matchedCount":1,"modifiedCount":1}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"s":2}}}"#,
            "NoMatchingRuleFound: update not permitted",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$rename":{"s":"a"}}}"#,
            "NoMatchingRuleFound: update not permitted",
        ),
        // A pipeline must not copy what is hidden to where it shows.
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":[{"$set":{"a":"$s"}}]}"#,
            "NoMatchingRuleFound: update not permitted",
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":1},"update":{"$set":{"a":3}},"returnNewDocument":true}"#,
            r#"{"a":3,"d":{"z":2}}"#,
        ),
        // 8: `_id` is a changed path of an insert.
        (
            "insertOne",
            r#"{"document":{"a":1}}"#,
            "NoMatchingRuleFound: insert not permitted",
        ),
        // 10: dropping a field changes it.
        (
            "replaceOne",
            r#"{"query":{"_id":1},"update":{"a":5}}"#,
            "NoMatchingRuleFound: replace not permitted",
        ),
        (
            "deleteOne",
            r#"{"query":{"_id":1}}"#,
            "NoMatchingRuleFound: delete not permitted",
        ),
    ];
    for (action, arguments, expected) in table {
        assert_eq!(
            w.ann(action, arguments).await,
            expected,
            "{action} {arguments}"
        );
    }
}
