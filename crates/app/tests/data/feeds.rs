//! watch: events by role, masked.

use bson::RawDocument;

use super::World;

/// What an event says, without its token and time.
fn told(event: &RawDocument) -> String {
    let mut told = bson::RawDocumentBuf::new();
    for entry in event {
        let (name, value) = entry.unwrap();
        if !matches!(name.as_str(), "_id" | "clusterTime" | "wallTime" | "ns") {
            told.append(name, value);
        }
    }
    super::relaxed(bson::raw::RawBsonRef::Document(&told))
}

#[tokio::test]
async fn events_pass_the_role_of_their_document() {
    let role = r#"{"name":"o","apply_when":{"o":"%%user.id"},"fields":{"_id":{"read":true},"o":{"read":true},"a":{"write":true}}}"#;
    let w = World::with(role, r#"{"_id":0,"o":"ann"}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":1,"o":"bob","a":1},{"_id":2,"o":"ann","a":1,"s":2}"#)
        .await;
    w.system(
        "updateOne",
        r#"{"query":{"_id":2},"update":{"$set":{"a":2,"s":3}}}"#,
    )
    .await
    .unwrap();
    // 43: it leaves the user's scope, so the event is dropped.
    w.system(
        "updateOne",
        r#"{"query":{"_id":0},"update":{"$set":{"o":"bob"}}}"#,
    )
    .await
    .unwrap();
    w.system("deleteOne", r#"{"query":{"_id":2}}"#)
        .await
        .unwrap();
    assert_eq!(
        told(&watch.next().await.unwrap()),
        r#"{"operationType":"insert","documentKey":{"_id":2},"fullDocument":{"_id":2,"o":"ann","a":1}}"#
    );
    let deleted = told(&watch.next().await.unwrap());
    assert_eq!(
        deleted,
        r#"{"operationType":"delete","documentKey":{"_id":2}}"#
    );
}

#[tokio::test]
async fn updates_tell_only_what_is_shown() {
    let role = r#"{"name":"o","apply_when":{},"fields":{"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":1,"a":1,"s":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c", "ids": [1] };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":2,"a":1}"#).await;
    w.system(
        "updateOne",
        r#"{"query":{"_id":1},"update":{"$set":{"a":2,"s":2}}}"#,
    )
    .await
    .unwrap();
    let event = watch.next().await.unwrap();
    let description = event.get_document("updateDescription").unwrap();
    assert_eq!(
        super::relaxed(description.get("updatedFields").unwrap().unwrap()),
        r#"{"a":2}"#
    );
    assert_eq!(
        super::relaxed(event.get("fullDocument").unwrap().unwrap()),
        r#"{"a":2}"#
    );
}

#[tokio::test]
async fn a_filter_sees_what_the_caller_sees() {
    let role = r#"{"name":"o","apply_when":{},"fields":{"_id":{"read":true},"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let hidden = bson::rawdoc! { "database": "d", "collection": "c", "filter": { "$or": [
        { "fullDocument.s": 1 }, { "fullDocument.a": 7 },
    ] } };
    let mut watch = w.data.watch(&user, &hidden).await.unwrap();
    w.seed(r#"{"_id":2,"s":1},{"_id":3,"a":7}"#).await;
    let event = watch.next().await.unwrap();
    assert_eq!(
        super::relaxed(event.get("fullDocument").unwrap().unwrap()),
        r#"{"_id":3,"a":7}"#
    );
    let both = bson::rawdoc! { "database": "d", "collection": "c", "filter": {}, "ids": [1] };
    assert!(w.data.watch(&user, &both).await.is_err());
}
