//! Writes and aggregations that ask the engine more and each document less
//! decide as those that ask every document.

use super::World;

const OWNER: &str = r#"{"name":"own","apply_when":{"owner":"%%user.id"},"read":true,"write":true}"#;
/// The same, where each document has to be asked.
const ASKED: &str = r#"{"name":"own","apply_when":{"owner":"%%user.id"},"read":true,
    "write":{"%%root._id":{"%exists":true}}}"#;
const DOCUMENTS: &str = r#"{"_id":1,"owner":"ann","n":1,"list":[{"k":1},{"k":2}]},{"_id":2,"owner":"bob","n":1},{"_id":"3","owner":["bob","ann"],"n":1}"#;

/// Each write says the same under both rules, and leaves the same behind.
#[tokio::test(flavor = "multi_thread")]
async fn writes_say_and_do_the_same() {
    for (action, arguments) in [
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":2},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":"3"},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":9},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":9},"update":{"$set":{"owner":"ann"}},"upsert":true}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":9},"update":{"$set":{"owner":"bob"}},"upsert":true}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1,"n":7},"update":{"$inc":{"n":1}},"upsert":true}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":{"$eq":1},"list.k":2},"update":{"$set":{"list.$.k":5}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"owner":"bob"}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$inc":{"list":1}}}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":[{"$set":{"n":{"$add":["$n",1]}}}]}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":{"$in":[1,2]}},"update":{"$inc":{"n":1}}}"#,
        ),
        ("updateMany", r#"{"query":{},"update":{"$inc":{"n":1}}}"#),
        (
            "updateMany",
            r#"{"query":{"_id":1},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "updateMany",
            r#"{"query":{"owner":"ann"},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "replaceOne",
            r#"{"query":{"_id":1},"update":{"owner":"ann"}}"#,
        ),
        (
            "replaceOne",
            r#"{"query":{"_id":2},"update":{"owner":"ann"}}"#,
        ),
        ("deleteOne", r#"{"query":{"_id":1}}"#),
        ("deleteOne", r#"{"query":{"_id":2}}"#),
        ("deleteOne", r#"{"query":{"_id":9}}"#),
        ("deleteMany", r#"{"query":{}}"#),
        ("deleteMany", r#"{"query":{"_id":"3"}}"#),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":1},"update":{"$inc":{"n":1}},"returnNewDocument":true,"projection":{"n":1}}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":2},"update":{"$inc":{"n":1}}}"#,
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":9},"update":{"$set":{"owner":"ann"}},"upsert":true,"returnNewDocument":true}"#,
        ),
        (
            "findOneAndReplace",
            r#"{"filter":{"_id":1},"update":{"owner":"ann"}}"#,
        ),
        ("findOneAndDelete", r#"{"filter":{"_id":1}}"#),
        ("findOneAndDelete", r#"{"filter":{"_id":2}}"#),
        ("findOneAndDelete", r#"{"filter":{"_id":9}}"#),
    ] {
        let mut ends = Vec::new();
        for rules in [OWNER, ASKED] {
            let world = World::with(rules, DOCUMENTS).await;
            let said = world.ann(action, arguments).await;
            let left = world.system("find", r#"{"sort":{"_id":1}}"#).await.unwrap();
            ends.push((said, left));
        }
        assert_eq!(ends[0], ends[1], "{action} {arguments}");
    }
}

/// A role for everything is no reason to look at a document, a schema is.
#[tokio::test(flavor = "multi_thread")]
async fn all_documents_and_schemas() {
    let open = r#"{"name":"all","apply_when":{},"write":true}"#;
    let world = World::with(open, DOCUMENTS).await;
    for (action, arguments, said) in [
        (
            "updateMany",
            r#"{"query":{"n":1},"update":{"$inc":{"n":1}}}"#,
            r#"{"matchedCount":3,"modifiedCount":3}"#,
        ),
        (
            "updateMany",
            r#"{"query":{"n":1},"update":{"$inc":{"n":1}}}"#,
            r#"{"matchedCount":0,"modifiedCount":0}"#,
        ),
        (
            "updateOne",
            r#"{"query":{"_id":7},"update":{"$set":{"n":1}},"upsert":true}"#,
            r#"{"matchedCount":0,"modifiedCount":0,"upsertedId":7}"#,
        ),
        ("deleteMany", r#"{"query":{}}"#, r#"{"deletedCount":4}"#),
    ] {
        assert_eq!(
            world.ann(action, arguments).await,
            said,
            "{action} {arguments}"
        );
    }
    let schema =
        r#"{"bsonType":"object","title":"c","properties":{"n":{"bsonType":"int","maximum":1}}}"#;
    let rules = super::roles(open);
    let world = World::new(&[("d/c/rules.json", &rules), ("d/c/schema.json", schema)]);
    world.seed(DOCUMENTS).await;
    let update = r#"{"query":{"_id":1},"update":{"$inc":{"n":1}}}"#;
    assert_eq!(
        world.ann("updateOne", update).await,
        "SchemaValidationFailedWrite: update not permitted"
    );
}

/// A leading $match sees what the caller sees, whatever is asked ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_match_sees_visible_fields() {
    let world = World::with(
        r#"{"name":"r","apply_when":{},"fields":{"hidden":{"read":false},
            "list":{"fields":{"k":{"read":true}}}},"additional_fields":{"read":true}}"#,
        r#"{"_id":1,"hidden":1,"list":[{"k":1,"h":9}]},{"_id":2,"hidden":2,"list":[{"h":9},{"k":1}]},{"_id":3,"list":[]}"#,
    )
    .await;
    for (query, ids) in [
        (r#"{"hidden":1}"#, "[]"),
        (r#"{"hidden":null}"#, "[1,2,3]"),
        (r#"{"hidden":{"$ne":1}}"#, "[1,2,3]"),
        (r#"{"hidden":{"$exists":true}}"#, "[]"),
        (r#"{"list.k":1,"_id":{"$gt":1}}"#, "[2]"),
        (r#"{"list.0.k":1}"#, "[1,2]"),
        (r#"{"list.h":9}"#, "[]"),
        (r#"{"list":{"k":1}}"#, "[1,2]"),
        (r#"{"$or":[{"hidden":1},{"_id":3}]}"#, "[3]"),
    ] {
        let pipeline = format!(
            r#"{{"pipeline":[{{"$match":{query}}},{{"$sort":{{"_id":1}}}},
                {{"$group":{{"_id":null,"ids":{{"$push":"$_id"}}}}}},{{"$project":{{"_id":0}}}}]}}"#
        );
        let said = world.ann("aggregate", &pipeline).await;
        let wanted = match ids {
            "[]" => "[]".to_owned(),
            ids => format!(r#"[{{"ids":{ids}}}]"#),
        };
        assert_eq!(said, wanted, "{query}");
    }
}
