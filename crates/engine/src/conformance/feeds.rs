//! Change feeds.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, Timestamp, bson, doc, rawdoc};

use super::{Case, World};
use crate::{BeforeChange, ChangeFeed, FullDocument, WatchRequest};

pub(super) const CASES: &[Case] = &[
    ("events_of_every_kind", |w| {
        Box::pin(events_of_every_kind(w))
    }),
    ("feeds_filter_and_resume", |w| {
        Box::pin(feeds_filter_and_resume(w))
    }),
    ("updates_are_told_as_they_were_made", |w| {
        Box::pin(updates_are_told_as_they_were_made(w))
    }),
    ("images_are_told_to_those_who_ask", |w| {
        Box::pin(images_are_told_to_those_who_ask(w))
    }),
    ("a_required_image_that_is_missing_ends_the_feed", |w| {
        Box::pin(a_required_image_that_is_missing_ends_the_feed(w))
    }),
    ("expanded_events", |w| Box::pin(expanded_events(w))),
    ("a_dropped_collection_ends_its_feed", |w| {
        Box::pin(a_dropped_collection_ends_its_feed(w))
    }),
    ("a_dropped_database_ends_its_feed", |w| {
        Box::pin(a_dropped_database_ends_its_feed(w))
    }),
    ("a_transactions_events_share_a_time", |w| {
        Box::pin(a_transactions_events_share_a_time(w))
    }),
    ("feeds_that_cannot_be_opened", |w| {
        Box::pin(feeds_that_cannot_be_opened(w))
    }),
    ("the_token_of_an_idle_feed_moves_on", |w| {
        Box::pin(the_token_of_an_idle_feed_moves_on(w))
    }),
    ("a_feed_begins_at_a_time", |w| {
        Box::pin(a_feed_begins_at_a_time(w))
    }),
    ("an_event_keeps_its_id", |w| {
        Box::pin(an_event_keeps_its_id(w))
    }),
];

/// How long an event may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

fn request(w: &World) -> WatchRequest {
    WatchRequest {
        database: Some(w.database.clone()),
        collection: Some("c".to_owned()),
        ..WatchRequest::default()
    }
}

async fn watch(w: &World, request: WatchRequest) -> Box<dyn ChangeFeed> {
    w.engine.watch(request).await.expect("a feed")
}

/// The code with which a feed is refused.
async fn refused(w: &World, request: WatchRequest) -> i32 {
    let shown = format!("{request:?}");
    match w.engine.watch(request).await {
        Ok(_) => panic!("{shown} should fail"),
        Err(error) => error.code,
    }
}

async fn next(feed: &mut dyn ChangeFeed) -> Document {
    let event = tokio::time::timeout(PATIENCE, feed.next()).await;
    let event = event.expect("an event in time").expect("an event");
    Document::try_from(event).expect("an event decodes")
}

/// The next events' kinds.
async fn kinds(feed: &mut dyn ChangeFeed, n: usize) -> Vec<String> {
    let mut kinds = Vec::new();
    for _ in 0..n {
        kinds.push(kind(&next(feed).await).to_owned());
    }
    kinds
}

fn kind(event: &Document) -> &str {
    event.get_str("operationType").expect("a kind")
}

/// The hex digits of an event's token.
fn token(event: &Document) -> String {
    let id = event.get_document("_id").expect("a token");
    id.get_str("_data").expect("hex digits").to_owned()
}

fn update(update: impl Into<Bson>) -> Document {
    doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": update.into() }] }
}

fn delete() -> Document {
    doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] }
}

async fn events_of_every_kind(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = w
        .engine
        .watch(WatchRequest {
            full_document: FullDocument::UpdateLookup,
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

async fn updates_are_told_as_they_were_made(w: World) {
    w.ok(doc! { "create": "c" }).await;
    w.insert(vec![
        doc! { "_id": 1, "a": 1, "l": [1, 2], "o": { "x": 1, "l": [1, 2, 3] } },
    ])
    .await;
    let mut feed = watch(&w, request(&w)).await;
    for (change, updated, removed) in [
        (
            bson!({ "$set": { "a": 2, "b.c": 1 }, "$push": { "l": 3 } }),
            doc! { "a": 2, "b": { "c": 1 }, "l.2": 3 },
            vec![],
        ),
        (bson!({ "$pop": { "l": 1 } }), doc! { "l": [1, 2] }, vec![]),
        (bson!({ "$unset": { "b.c": 1 } }), doc! {}, vec!["b.c"]),
        (
            bson!({ "$set": { "o.x": 2, "o.l.1": 9 } }),
            doc! { "o.x": 2, "o.l.1": 9 },
            vec![],
        ),
        (bson!({ "$set": { "o.5": 1 } }), doc! { "o.5": 1 }, vec![]),
        (
            bson!({ "$push": { "l": { "$each": [7, 8] } } }),
            doc! { "l.2": 7, "l.3": 8 },
            vec![],
        ),
        (
            bson!({ "$push": { "l": { "$each": [0], "$position": 0 } } }),
            doc! { "l": [0, 1, 2, 7, 8] },
            vec![],
        ),
        (
            bson!({ "$pull": { "l": 0 } }),
            doc! { "l": [1, 2, 7, 8] },
            vec![],
        ),
        (
            bson!({ "$addToSet": { "l": 100 } }),
            doc! { "l": [1, 2, 7, 8, 100] },
            vec![],
        ),
        (
            bson!({ "$push": { "l": { "$each": [5], "$slice": -3 } } }),
            doc! { "l": [8, 100, 5] },
            vec![],
        ),
        (
            bson!({ "$inc": { "a": 1 }, "$rename": { "b": "bb" } }),
            doc! { "a": 3, "bb": {} },
            vec!["b"],
        ),
        (
            bson!({ "$set": { "l": [{ "b": 1, "c": 1 }, { "b": 2 }], "m": [[1, 2], 3] } }),
            doc! { "l": [{ "b": 1, "c": 1 }, { "b": 2 }], "m": [[1, 2], 3] },
            vec![],
        ),
        // One that changed of several that were chosen is told whole.
        (
            bson!({ "$set": { "l.$[].b": 1 }, "$inc": { "m.0.$[]": 1 } }),
            doc! { "l.1": { "b": 1 }, "m.0": [2, 3] },
            vec![],
        ),
        (
            bson!({ "$unset": { "l.$[].c": 1 }, "$pop": { "m": 1 } }),
            doc! { "l.0": { "b": 1 }, "m": [[2, 3]] },
            vec![],
        ),
        (
            bson!({ "$set": { "l": [{ "b": 1 }] }, "$inc": { "m.$[].$[]": 1 } }),
            doc! { "l": [{ "b": 1 }], "m.0": [3, 4] },
            vec![],
        ),
        (
            bson!({ "$unset": { "l.$[].b": 1 } }),
            doc! {},
            vec!["l.0.b"],
        ),
    ] {
        let shown = change.to_string();
        w.ok(update(change)).await;
        let event = next(feed.as_mut()).await;
        assert_eq!(kind(&event), "update", "{shown}");
        let description = event.get_document("updateDescription").expect("described");
        let removed: Vec<Bson> = removed.into_iter().map(Bson::from).collect();
        let expected = doc! {
            "updatedFields": updated, "removedFields": removed, "truncatedArrays": [],
        };
        assert_eq!(description, &expected, "{shown}");
        assert!(matches!(event.get("wallTime"), Some(Bson::DateTime(_))));
        assert!(!event.contains_key("collectionUUID"), "{event}");
    }
}

async fn images_are_told_to_those_who_ask(w: World) {
    w.ok(doc! { "create": "c", "changeStreamPreAndPostImages": { "enabled": true } })
        .await;
    let begin = watch(&w, request(&w)).await.resume_token();
    let with = |full, before| WatchRequest {
        full_document: full,
        full_document_before_change: before,
        resume_after: begin.clone(),
        ..request(&w)
    };
    w.insert(vec![doc! { "_id": 1, "a": 1, "l": [1] }]).await;
    w.ok(update(doc! { "$set": { "z": 2 }, "$push": { "l": 2 } }))
        .await;
    w.ok(update(doc! { "b": 3 })).await;
    w.ok(update(vec![
        bson!({ "$project": { "b": { "$literal": [3, 4] }, "a": "$b" } }),
    ]))
    .await;
    w.ok(delete()).await;
    let states = [
        doc! { "_id": 1, "a": 1, "l": [1] },
        doc! { "_id": 1, "a": 1, "l": [1, 2], "z": 2 },
        doc! { "_id": 1, "b": 3 },
    ];
    let got = |event: &Document, name: &str| event.get_document(name).ok().cloned();
    for full in [
        FullDocument::Default,
        FullDocument::UpdateLookup,
        FullDocument::WhenAvailable,
        FullDocument::Required,
    ] {
        for before in [
            BeforeChange::Off,
            BeforeChange::WhenAvailable,
            BeforeChange::Required,
        ] {
            let mut feed = watch(&w, with(full, before)).await;
            let told = before != BeforeChange::Off;
            let insert = next(feed.as_mut()).await;
            assert!(!insert.contains_key("fullDocumentBeforeChange"), "{insert}");
            let changed = next(feed.as_mut()).await;
            let expected = match full {
                FullDocument::Default => None,
                // It is gone by now.
                FullDocument::UpdateLookup => Some(Bson::Null),
                _ => Some(Bson::from(states[1].clone())),
            };
            assert_eq!(changed.get("fullDocument"), expected.as_ref(), "{full:?}");
            let name = "fullDocumentBeforeChange";
            assert_eq!(got(&changed, name), told.then(|| states[0].clone()));
            let replaced = next(feed.as_mut()).await;
            assert_eq!(kind(&replaced), "replace");
            assert_eq!(got(&replaced, "fullDocument"), Some(states[2].clone()));
            assert_eq!(got(&replaced, name), told.then(|| states[1].clone()));
            let piped = next(feed.as_mut()).await;
            assert_eq!(got(&piped, name), told.then(|| states[2].clone()));
            let deleted = next(feed.as_mut()).await;
            assert_eq!(kind(&deleted), "delete");
            assert!(!deleted.contains_key("fullDocument"), "{deleted}");
            assert_eq!(deleted.contains_key(name), told, "{deleted}");
        }
    }
}

async fn a_required_image_that_is_missing_ends_the_feed(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let begin = watch(&w, request(&w)).await.resume_token();
    w.insert(vec![doc! { "_id": 1, "a": 1 }]).await;
    w.ok(update(doc! { "$set": { "a": 2 } })).await;
    w.ok(doc! { "collMod": "c", "changeStreamPreAndPostImages": { "enabled": true } })
        .await;
    w.ok(update(doc! { "$set": { "a": 3 } })).await;
    let mut feed = watch(
        &w,
        WatchRequest {
            full_document: FullDocument::WhenAvailable,
            full_document_before_change: BeforeChange::WhenAvailable,
            resume_after: begin.clone(),
            ..request(&w)
        },
    )
    .await;
    next(feed.as_mut()).await;
    let without = next(feed.as_mut()).await;
    assert_eq!(without.get("fullDocument"), Some(&Bson::Null));
    assert_eq!(without.get("fullDocumentBeforeChange"), Some(&Bson::Null));
    let with = next(feed.as_mut()).await;
    let expected = doc! { "_id": 1, "a": 3 };
    assert_eq!(with.get_document("fullDocument").ok(), Some(&expected));
    for (full, before) in [
        (FullDocument::Required, BeforeChange::Off),
        (FullDocument::Default, BeforeChange::Required),
    ] {
        let request = WatchRequest {
            full_document: full,
            full_document_before_change: before,
            resume_after: begin.clone(),
            ..request(&w)
        };
        // A server may look at the first events before it answers.
        let error = match w.engine.watch(request).await {
            Err(error) => error,
            Ok(mut feed) => loop {
                if let Err(error) = feed.next().await {
                    break error;
                }
            },
        };
        assert_eq!(error.code, 47, "{error:?}");
    }
}

async fn expanded_events(w: World) {
    let database = WatchRequest {
        collection: None,
        ..request(&w)
    };
    w.ok(doc! { "create": "first" }).await;
    let mut plain = watch(&w, database.clone()).await;
    let mut feed = watch(
        &w,
        WatchRequest {
            show_expanded_events: true,
            ..database
        },
    )
    .await;
    w.ok(doc! { "create": "c", "changeStreamPreAndPostImages": { "enabled": true } })
        .await;
    w.insert(vec![doc! { "_id": 1 }]).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "k": 1 }, "name": "k_1" }] })
        .await;
    w.ok(doc! { "collMod": "c", "changeStreamPreAndPostImages": { "enabled": false } })
        .await;
    w.ok(doc! { "dropIndexes": "c", "index": "k_1" }).await;
    w.ok(doc! { "insert": "implicit", "documents": [{ "_id": 1 }] })
        .await;
    w.ok(doc! { "drop": "c" }).await;
    let event = next(feed.as_mut()).await;
    assert_eq!(kind(&event), "create");
    let uuid = event.get("collectionUUID").cloned();
    assert!(matches!(uuid, Some(Bson::Binary(_))), "{event}");
    let described = |event: &Document| event.get_document("operationDescription").cloned().ok();
    assert_eq!(
        described(&event),
        Some(doc! {
            "changeStreamPreAndPostImages": { "enabled": true },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        })
    );
    let event = next(feed.as_mut()).await;
    assert_eq!(kind(&event), "insert");
    assert_eq!(event.get("collectionUUID").cloned(), uuid);
    let index = doc! { "indexes": [{ "v": 2, "key": { "k": 1 }, "name": "k_1" }] };
    let event = next(feed.as_mut()).await;
    assert_eq!(kind(&event), "createIndexes");
    assert_eq!(described(&event), Some(index.clone()));
    let event = next(feed.as_mut()).await;
    assert_eq!(kind(&event), "modify");
    assert_eq!(
        described(&event),
        Some(doc! { "changeStreamPreAndPostImages": { "enabled": false } })
    );
    assert!(event.contains_key("stateBeforeChange"), "{event}");
    let event = next(feed.as_mut()).await;
    assert_eq!(kind(&event), "dropIndexes");
    assert_eq!(described(&event), Some(index));
    assert_eq!(kinds(feed.as_mut(), 3).await, ["create", "insert", "drop"]);
    assert_eq!(kinds(plain.as_mut(), 3).await, ["insert", "insert", "drop"]);
}

async fn a_dropped_collection_ends_its_feed(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = watch(&w, request(&w)).await;
    w.insert(vec![doc! { "_id": 1 }]).await;
    w.ok(doc! { "drop": "c" }).await;
    w.insert(vec![doc! { "_id": 2 }]).await;
    next(feed.as_mut()).await;
    let drop = next(feed.as_mut()).await;
    assert_eq!(kind(&drop), "drop");
    let at_drop = feed.resume_token();
    let invalidate = next(feed.as_mut()).await;
    assert_eq!(kind(&invalidate), "invalidate");
    assert!(token(&drop) < token(&invalidate));
    assert_eq!(drop.get("clusterTime"), invalidate.get("clusterTime"));
    let at_end = feed.resume_token();
    assert_eq!(feed.next().await.expect_err("the end").code, 280);
    // From the drop on, the invalidation comes again;
    let mut again = watch(
        &w,
        WatchRequest {
            resume_after: at_drop,
            ..request(&w)
        },
    )
    .await;
    assert_eq!(kind(&next(again.as_mut()).await), "invalidate");
    // beyond it only `startAfter` leads.
    let after = WatchRequest {
        resume_after: at_end.clone(),
        ..request(&w)
    };
    assert_eq!(refused(&w, after).await, 260);
    let mut beyond = watch(
        &w,
        WatchRequest {
            start_after: at_end,
            ..request(&w)
        },
    )
    .await;
    let event = next(beyond.as_mut()).await;
    assert_eq!(
        event.get_document("documentKey").ok(),
        Some(&doc! { "_id": 2 })
    );
}

async fn a_dropped_database_ends_its_feed(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    let of = |database: Option<String>| WatchRequest {
        database,
        ..WatchRequest::default()
    };
    let mut own = watch(&w, of(Some(w.database.clone()))).await;
    // Everybody's, but others are at work as well.
    let stage = doc! { "$match": { "ns.db": &w.database } };
    let mut all = watch(
        &w,
        WatchRequest {
            pipeline: vec![RawDocumentBuf::try_from(&stage).expect("encodes")],
            ..of(None)
        },
    )
    .await;
    w.ok(doc! { "dropDatabase": 1 }).await;
    w.insert(vec![doc! { "_id": 2 }]).await;
    assert_eq!(
        kinds(own.as_mut(), 3).await,
        ["drop", "dropDatabase", "invalidate"]
    );
    assert_eq!(own.next().await.expect_err("the end").code, 280);
    assert_eq!(
        kinds(all.as_mut(), 3).await,
        ["drop", "dropDatabase", "insert"]
    );
}

async fn a_transactions_events_share_a_time(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = watch(&w, request(&w)).await;
    let session = crate::Session::start();
    let inside = crate::Collection::new(&w.engine, &w.database, "c").within(&session);
    for id in 1..=3 {
        inside
            .insert_one(&rawdoc! { "_id": id })
            .await
            .expect("insert");
    }
    session.commit(&w.engine).await.expect("commit");
    w.insert(vec![doc! { "_id": 4 }, doc! { "_id": 5 }]).await;
    let mut events = Vec::new();
    for _ in 0..5 {
        events.push(next(feed.as_mut()).await);
    }
    let time = |n: usize| events[n].get_timestamp("clusterTime").expect("a time");
    assert_eq!((time(0), time(1)), (time(1), time(2)));
    assert!(time(2) < time(3) && time(3) < time(4), "{events:?}");
    let tokens: Vec<String> = events.iter().map(token).collect();
    assert!(tokens.is_sorted(), "{tokens:?}");
    for event in &events[..3] {
        assert!(matches!(event.get("txnNumber"), Some(Bson::Int64(_))));
        let id = event.get_document("lsid").map(|lsid| lsid.get("id"));
        assert!(matches!(id, Ok(Some(Bson::Binary(_)))), "{event}");
    }
    assert!(!events[3].contains_key("lsid"), "{}", events[3]);
    // In the middle of a transaction one can go on as well.
    let id = events[0].get_document("_id").expect("a token");
    let mut again = watch(
        &w,
        WatchRequest {
            resume_after: Some(RawDocumentBuf::try_from(id).expect("encodes")),
            ..request(&w)
        },
    )
    .await;
    assert_eq!(token(&next(again.as_mut()).await), tokens[1]);
}

async fn feeds_that_cannot_be_opened(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let good = watch(&w, request(&w)).await.resume_token();
    let after = |token: RawDocumentBuf| WatchRequest {
        resume_after: Some(token),
        ..request(&w)
    };
    assert_eq!(refused(&w, after(rawdoc! { "_data": "zz" })).await, 9);
    assert_eq!(refused(&w, after(rawdoc! { "_data": 5 })).await, 40647);
    let both = WatchRequest {
        start_after: good.clone(),
        ..after(good.clone().expect("a token"))
    };
    assert_eq!(refused(&w, both).await, 50865);
    let both = WatchRequest {
        start_at_operation_time: Some(Timestamp {
            time: u32::MAX,
            increment: 1,
        }),
        ..after(good.expect("a token"))
    };
    assert_eq!(refused(&w, both).await, 40674);
    for (stage, code) in [
        (rawdoc! { "$group": { "_id": 1 } }, 20),
        (rawdoc! { "$sort": { "a": 1 } }, 20),
        (rawdoc! { "$limit": 1 }, 20),
        (rawdoc! { "$count": "n" }, 20),
        (rawdoc! { "$unwind": "$a" }, 20),
        (rawdoc! { "$out": "x" }, 20),
        (rawdoc! { "$facet": { "a": [] } }, 20),
        (rawdoc! { "$sample": { "size": 1 } }, 20),
        (rawdoc! { "$nope": 1 }, 40324),
    ] {
        let shown = format!("{stage:?}");
        let with = WatchRequest {
            pipeline: vec![stage],
            ..request(&w)
        };
        assert_eq!(refused(&w, with).await, code, "{shown}");
    }
    for (database, collection) in [
        ("admin", Some("c")),
        ("config", None),
        ("local", Some("c")),
        (w.database.as_str(), Some("system.x")),
    ] {
        let internal = WatchRequest {
            database: Some(database.to_owned()),
            collection: collection.map(str::to_owned),
            ..WatchRequest::default()
        };
        assert_eq!(refused(&w, internal).await, 73, "{database} {collection:?}");
    }
}

async fn the_token_of_an_idle_feed_moves_on(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = watch(&w, request(&w)).await;
    let first = feed.resume_token().expect("a token from the start");
    w.ok(doc! { "insert": "other", "documents": [{ "_id": 1 }] })
        .await;
    let start = std::time::Instant::now();
    while feed.resume_token().as_ref() == Some(&first) {
        let wait = tokio::time::timeout(Duration::from_millis(50), feed.next()).await;
        assert!(wait.is_err(), "nothing of ours happened");
        assert!(start.elapsed() < PATIENCE, "the token stays");
    }
    let later = feed.resume_token();
    w.insert(vec![doc! { "_id": 1 }]).await;
    let event = next(feed.as_mut()).await;
    let later_hex = later.as_ref().and_then(|token| token.get_str("_data").ok());
    assert!(later_hex.is_some_and(|hex| hex < token(&event).as_str()));
    let mut again = watch(
        &w,
        WatchRequest {
            resume_after: later,
            ..request(&w)
        },
    )
    .await;
    assert_eq!(token(&next(again.as_mut()).await), token(&event));
}

async fn a_feed_begins_at_a_time(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut feed = watch(&w, request(&w)).await;
    w.insert((0..4).map(|n| doc! { "_id": n }).collect()).await;
    next(feed.as_mut()).await;
    let second = next(feed.as_mut()).await;
    let mut at = watch(
        &w,
        WatchRequest {
            start_at_operation_time: second.get_timestamp("clusterTime").ok(),
            ..request(&w)
        },
    )
    .await;
    assert_eq!(next(at.as_mut()).await, second);
    let third = next(feed.as_mut()).await;
    assert_eq!(next(at.as_mut()).await, third);
}

async fn an_event_keeps_its_id(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let with = |stage: Document| WatchRequest {
        pipeline: vec![RawDocumentBuf::try_from(&stage).expect("encodes")],
        ..request(&w)
    };
    let mut shown = watch(&w, with(doc! { "$project": { "documentKey": 1 } })).await;
    let mut without = watch(&w, with(doc! { "$project": { "_id": 0 } })).await;
    let mut other = watch(&w, with(doc! { "$addFields": { "_id.x": 1 } })).await;
    w.insert(vec![doc! { "_id": 1 }]).await;
    let event = next(shown.as_mut()).await;
    assert_eq!(event.len(), 2, "{event}");
    for feed in [&mut without, &mut other] {
        assert_eq!(feed.next().await.expect_err("no token").code, 280);
        assert_eq!(feed.next().await.expect_err("it has ended").code, 280);
    }
}
