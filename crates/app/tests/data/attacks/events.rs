//! Change streams tell of nothing that is hidden.

use bson::rawdoc;

use super::{OWNER, World, relaxed};

#[tokio::test]
async fn events_name_no_key_that_is_hidden() {
    let role = r#"{"name":"r","apply_when":{},"fields":{"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":"SECRETID","a":1,"s":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    // `SECRET` in the code of a token.
    let hex = "534543524554";
    for (action, arguments, operation, full) in [
        (
            "updateOne",
            r#"{"query":{},"update":{"$set":{"s":"SECRET","a":2}}}"#,
            "update",
            Some(r#"{"a":2}"#),
        ),
        (
            "replaceOne",
            r#"{"query":{},"update":{"s":"SECRET","a":3}}"#,
            "replace",
            Some(r#"{"a":3}"#),
        ),
        ("deleteOne", r#"{"query":{}}"#, "delete", None),
        (
            "insertOne",
            r#"{"document":{"_id":"SECRETID2","a":4}}"#,
            "insert",
            Some(r#"{"a":4}"#),
        ),
    ] {
        w.system(action, arguments).await.unwrap();
        let event = watch.next().await.unwrap();
        assert_eq!(event.get_str("operationType").unwrap(), operation);
        let said = relaxed(bson::raw::RawBsonRef::Document(&event));
        // The token of MongoDB has the key, in its own code.
        assert!(!said.contains("SECRET") && !said.contains(hex), "{said}");
        let shown = event.get("fullDocument").unwrap().map(relaxed);
        assert_eq!(shown.as_deref(), full);
    }
}

/// A delete is told to those for whom a document of that key can be visible.
#[tokio::test]
async fn deletes_of_other_keys_are_not_told() {
    let role = r#"{"name":"own","apply_when":{"_id":"%%user.id"},"read":true,"write":true}"#;
    let w = World::with(role, r#"{"_id":"ann"},{"_id":"bob"},{"_id":"cid"}"#).await;
    let target = rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w
        .data
        .watch(&w.user(r#"{"id":"ann"}"#), &target)
        .await
        .unwrap();
    for id in ["bob", "cid", "ann"] {
        let query = format!(r#"{{"query":{{"_id":"{id}"}}}}"#);
        w.system("deleteOne", &query).await.unwrap();
    }
    let event = watch.next().await.unwrap();
    assert_eq!(
        event.get_document("documentKey").unwrap(),
        &rawdoc! { "_id": "ann" } as &bson::RawDocument
    );
}

/// What a field had while the document was somebody else's is not told when it
/// is read late, and a name with a dot is not a path.
#[tokio::test]
async fn events_tell_nothing_of_in_between() {
    let w = World::with(OWNER, r#"{"_id":1,"o":"bob","s":"x"}"#).await;
    let target = rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w
        .data
        .watch(&w.user(r#"{"id":"ann"}"#), &target)
        .await
        .unwrap();
    for update in [
        r#"{"$set":{"s":"SECRET"}}"#,
        r#"{"$set":{"s":"open"}}"#,
        r#"{"$set":{"o":"ann"}}"#,
    ] {
        let arguments = format!(r#"{{"query":{{"_id":1}},"update":{update}}}"#);
        w.system("updateOne", &arguments).await.unwrap();
    }
    for _ in 0..3 {
        let event = watch.next().await.unwrap();
        let said = relaxed(bson::raw::RawBsonRef::Document(&event));
        assert!(!said.contains("SECRET"), "{said}");
    }
    let role = r#"{"name":"r","apply_when":{},"fields":{"_id":{"read":true},"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":1,"a":{"b":1},"a.b":"x"}"#).await;
    let mut watch = w
        .data
        .watch(&w.user(r#"{"id":"ann"}"#), &target)
        .await
        .unwrap();
    let update = r#"{"query":{"_id":1},"update":[{"$replaceWith":{"$setField":{"field":"a.b","input":"$$ROOT","value":"SECRET"}}}]}"#;
    w.system("updateOne", update).await.unwrap();
    let event = watch.next().await.unwrap();
    let said = relaxed(bson::raw::RawBsonRef::Document(&event));
    assert!(!said.contains("SECRET"), "{said}");
}
