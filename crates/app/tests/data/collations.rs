//! A collection whose collation takes texts for equal that rules tell apart.

use bson::rawdoc;

use super::World;

const OWNER: &str = r#"{"name":"own","apply_when":{"owner":"%%user.id"},"read":true,"write":true}"#;

async fn world(rules: &str) -> World {
    let world = World::with(rules, r#"{"_id":0}"#).await;
    let drop = rawdoc! { "drop": "c" };
    world.engine.command("d", &drop).await.unwrap();
    let create = rawdoc! { "create": "c", "collation": { "locale": "en", "strength": 2 } };
    world.engine.command("d", &create).await.unwrap();
    world
        .seed(r#"{"_id":"a","owner":"ann","n":1},{"_id":"x","owner":"ANN","n":1},{"_id":"Y","owner":"Ann","n":1}"#)
        .await;
    world
}

/// `ann` is not `ANN`, whatever the collection takes for equal.
#[tokio::test(flavor = "multi_thread")]
async fn rules_tell_texts_apart() {
    let world = world(OWNER).await;
    let all = r#"{"sort":{"_id":1}}"#;
    let own = r#"[{"_id":"a","owner":"ann","n":1}]"#;
    assert_eq!(world.ann("find", all).await, own);
    assert_eq!(world.ann("count", "{}").await, "1");
    assert_eq!(
        world.ann("distinct", r#"{"field":"owner"}"#).await,
        r#"["ann"]"#
    );
    assert_eq!(
        world
            .ann("aggregate", r#"{"pipeline":[{"$project":{"n":0}}]}"#)
            .await,
        r#"[{"_id":"a","owner":"ann"}]"#
    );
    let before = world.system("find", all).await.unwrap();
    for (action, arguments) in [
        (
            "updateOne",
            r#"{"query":{"_id":"x"},"update":{"$set":{"n":2}}}"#,
        ),
        ("updateMany", r#"{"query":{},"update":{"$set":{"n":2}}}"#),
        (
            "replaceOne",
            r#"{"query":{"_id":"x"},"update":{"owner":"ann"}}"#,
        ),
        ("deleteOne", r#"{"query":{"_id":"x"}}"#),
        ("deleteMany", "{\"query\":{}}"),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":"x"},"update":{"$set":{"n":2}}}"#,
        ),
        ("findOneAndDelete", r#"{"filter":{"_id":"Y"}}"#),
    ] {
        let said = world.ann(action, arguments).await;
        assert!(
            said.starts_with("NoMatchingRuleFound: "),
            "{action}: {said}"
        );
        assert_eq!(world.system("find", all).await.unwrap(), before, "{action}");
    }
    // The caller's own query compares as the collection does.
    assert_eq!(world.ann("find", r#"{"query":{"_id":"A"}}"#).await, own);
    let update = r#"{"query":{"_id":"A"},"update":{"$set":{"n":2}}}"#;
    assert_eq!(
        world.ann("updateOne", update).await,
        r#"{"matchedCount":1,"modifiedCount":1}"#
    );
    assert_eq!(
        world.ann("deleteMany", r#"{"query":{"_id":"A"}}"#).await,
        r#"{"deletedCount":1}"#
    );
    assert_eq!(world.system("count", "{}").await.unwrap(), "2");
}
