//! Change feeds.

use bson::{Bson, Document, RawDocumentBuf, doc};

use super::{Case, World};
use crate::{ChangeFeed, WatchRequest};

pub(super) const CASES: &[Case] = &[
    ("events_of_every_kind", |w| {
        Box::pin(events_of_every_kind(w))
    }),
    ("feeds_filter_and_resume", |w| {
        Box::pin(feeds_filter_and_resume(w))
    }),
];

fn request(w: &World) -> WatchRequest {
    WatchRequest {
        database: Some(w.database.clone()),
        collection: Some("c".to_owned()),
        ..WatchRequest::default()
    }
}

async fn next(feed: &mut dyn ChangeFeed) -> Document {
    Document::try_from(feed.next().await.expect("an event")).expect("an event decodes")
}

async fn events_of_every_kind(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = w
        .engine
        .watch(WatchRequest {
            full_document: true,
            ..request(&w)
        })
        .await
        .expect("a feed");
    w.insert(vec![doc! { "_id": 1, "a": 1, "l": [1] }]).await;
    let update = |u: Document| doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": u }] };
    w.ok(doc! { "insert": "other", "documents": [{ "_id": 9 }] })
        .await;
    w.ok(update(
        doc! { "$set": { "a": 2, "b.c": 3 }, "$push": { "l": 2 } },
    ))
    .await;
    w.ok(update(doc! { "$set": { "a": 2 } })).await;
    w.ok(update(doc! { "$unset": { "a": "" } })).await;
    w.ok(update(doc! { "z": 1 })).await;
    w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] })
        .await;

    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("insert"));
    assert_eq!(
        event.get_document("ns").ok(),
        Some(&doc! { "db": &w.database, "coll": "c" })
    );
    assert_eq!(
        event.get_document("documentKey").ok(),
        Some(&doc! { "_id": 1 })
    );
    assert_eq!(
        event.get_document("fullDocument").ok(),
        Some(&doc! { "_id": 1, "a": 1, "l": [1] })
    );
    assert!(matches!(event.get("clusterTime"), Some(Bson::Timestamp(_))));

    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("update"));
    let description = event
        .get_document("updateDescription")
        .expect("a description");
    assert_eq!(
        description.get_document("updatedFields").ok(),
        Some(&doc! { "a": 2, "b": { "c": 3 }, "l.1": 2 })
    );
    assert_eq!(
        description.get_array("removedFields").map(Vec::len).ok(),
        Some(0)
    );

    // The update that changed nothing is no event.
    let event = next(feed.as_mut()).await;
    let description = event
        .get_document("updateDescription")
        .expect("a description");
    assert_eq!(
        description.get_array("removedFields").ok(),
        Some(&vec![Bson::from("a")])
    );

    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("replace"));
    assert_eq!(
        event.get_document("fullDocument").ok(),
        Some(&doc! { "_id": 1, "z": 1 })
    );
    let event = next(feed.as_mut()).await;
    assert_eq!(event.get_str("operationType").ok(), Some("delete"));
    assert!(!event.contains_key("fullDocument"), "{event}");
}

async fn feeds_filter_and_resume(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let matching = |n: i32| {
        let stage = doc! { "$match": { "fullDocument.n": { "$gte": n } } };
        vec![RawDocumentBuf::try_from(&stage).expect("a stage encodes")]
    };
    let mut feed = w
        .engine
        .watch(WatchRequest {
            pipeline: matching(2),
            ..request(&w)
        })
        .await
        .expect("a feed");
    w.insert((0..5).map(|n| doc! { "_id": n, "n": n }).collect())
        .await;
    let key = |event: &Document| {
        event
            .get_document("documentKey")
            .and_then(|k| k.get_i32("_id"))
            .ok()
    };
    assert_eq!(key(&next(feed.as_mut()).await), Some(2));
    assert_eq!(key(&next(feed.as_mut()).await), Some(3));
    let token = feed.resume_token();
    assert!(token.is_some());
    drop(feed);
    w.insert(vec![doc! { "_id": 5, "n": 5 }]).await;
    let mut feed = w
        .engine
        .watch(WatchRequest {
            pipeline: matching(2),
            resume_after: token,
            ..request(&w)
        })
        .await
        .expect("the feed goes on");
    assert_eq!(key(&next(feed.as_mut()).await), Some(4));
    assert_eq!(key(&next(feed.as_mut()).await), Some(5));
}
