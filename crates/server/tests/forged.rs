//! Data over HTTP as somebody else: what a caller says of himself in a request
//! does not count, only his token does.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::{Session, World};

/// One action of the data source on the notes, with more in its argument.
async fn notes(world: &World, session: &Session, action: &str, more: Value) -> Reply {
    let mut argument = json!({ "database": "shop", "collection": "notes" });
    if let (Some(argument), Value::Object(more)) = (argument.as_object_mut(), more) {
        argument.extend(more);
    }
    let body = json!({ "name": action, "service": "mongodb-atlas", "arguments": [argument] });
    world.call(&session.access, body.to_string()).await
}

#[tokio::test]
async fn nobody_is_who_he_says_in_a_request() {
    let world = World::new().await;
    let (ann, bob) = (world.user("ann@x").await, world.user("bob@x").await);
    assert_eq!(world.note(&ann, 1).await.status, 200);
    // Whatever else he says: there are no notes of his.
    for more in [
        json!({ "user": { "id": ann.user_id } }),
        json!({ "user_id": ann.user_id }),
        json!({ "access": "system", "runAsSystem": true, "run_as_system": true }),
        json!({ "rules": [], "roles": [{ "name": "r", "read": true }] }),
        json!({ "query": { "owner_id": ann.user_id } }),
        json!({ "query": { "$or": [{ "owner_id": { "$ne": bob.user_id } }] } }),
        json!({ "schema_name": null, "$db": "shop" }),
        json!({ "__proto__": { "owner_id": bob.user_id } }),
    ] {
        let reply = notes(&world, &bob, "find", more.clone()).await;
        assert_eq!((reply.status, reply.json()), (200, json!([])), "{more}");
        let reply = notes(&world, &bob, "count", more.clone()).await;
        assert_eq!(reply.json(), json!({ "$numberLong": "0" }), "{more}");
    }
    // He makes none in her name, takes none over, gives none to her unseen.
    let hers = json!({ "owner_id": ann.user_id, "n": 2 });
    for (action, more) in [
        ("insertOne", json!({ "document": hers })),
        (
            "insertMany",
            json!({ "documents": [{ "owner_id": bob.user_id }, hers] }),
        ),
        (
            "updateOne",
            json!({ "query": {}, "update": { "$set": { "owner_id": bob.user_id } } }),
        ),
        (
            "updateMany",
            json!({ "query": {}, "update": { "$set": { "n": 9 } } }),
        ),
        (
            "replaceOne",
            json!({ "query": { "n": 1 }, "update": { "owner_id": bob.user_id } }),
        ),
        (
            "updateOne",
            json!({ "query": { "n": 7 }, "update": { "$set": { "owner_id": ann.user_id } }, "upsert": true }),
        ),
        ("deleteMany", json!({ "query": {} })),
        ("findOneAndDelete", json!({ "filter": {} })),
    ] {
        let reply = notes(&world, &bob, action, more.clone()).await;
        assert_eq!(
            reply.refusal(),
            "400 NoMatchingRuleFound",
            "{action} {more}"
        );
    }
    let reply = notes(&world, &ann, "find", json!({ "project": { "_id": 0 } })).await;
    assert_eq!(
        reply.json(),
        json!([{ "owner_id": ann.user_id, "n": { "$numberInt": "1" } }])
    );
    let reply = notes(&world, &bob, "count", json!({})).await;
    assert_eq!(reply.json(), json!({ "$numberLong": "0" }));
}

#[tokio::test]
async fn there_are_no_actions_but_those_of_users() {
    let world = World::new().await;
    let user = world.anonymous().await;
    for action in [
        "command",
        "runCommand",
        "drop",
        "dropDatabase",
        "createIndex",
        "createIndexes",
        "listCollections",
        "listDatabases",
        "getMore",
        "killCursors",
        "eval",
        "run",
        "system",
        "Find",
        "find ",
        "find\u{0}",
        "../find",
        "__proto__",
        "constructor",
    ] {
        let reply = notes(&world, &user, action, json!({ "command": { "ping": 1 } })).await;
        assert_eq!(reply.refusal(), "404 ServiceCommandNotFound", "{action}");
    }
    for service in [
        "MONGODB-ATLAS",
        "mongodb-atlas/",
        "../mongodb-atlas",
        "__proto__",
        "*",
    ] {
        let body = json!({ "name": "find", "service": service, "arguments": [{}] });
        let reply = world.call(&user.access, body.to_string()).await;
        assert!(
            matches!(reply.status, 400 | 404),
            "{service}: {}",
            reply.text()
        );
    }
}
