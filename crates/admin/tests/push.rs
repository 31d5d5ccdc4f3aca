//! Push notifications.

use serde_json::{Value, json};

use crate::World;

const ALL: &str = "/push/notifications";

#[tokio::test]
async fn notifications_are_drafts_until_a_provider_sends_them() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    assert_eq!(app.done(200, "GET", ALL, Value::Null).await, json!([]));
    let draft =
        json!({ "label": "sale", "message": "All half", "topic": "news", "state": "draft" });
    let made = app.done(201, "POST", ALL, draft.clone()).await;
    let id = made["_id"].as_str().unwrap();
    assert_eq!(made["appID"], app.id);
    assert!(made["created"].as_str().unwrap().ends_with('Z') && made.get("sent").is_none());
    for (name, value) in draft.as_object().unwrap() {
        assert_eq!(made[name], *value);
    }
    let one = format!("{ALL}/{id}");
    assert_eq!(app.done(200, "GET", &one, Value::Null).await, made);
    assert_eq!(
        app.done(200, "GET", &format!("{ALL}?state=draft"), Value::Null)
            .await,
        json!([made])
    );
    assert_eq!(
        app.done(200, "GET", &format!("{ALL}?state=sent"), Value::Null)
            .await,
        json!([])
    );
    let changed = json!({ "label": "sale", "message": "All gone", "topic": "news" });
    let changed = app.done(200, "PUT", &one, changed).await;
    assert_eq!(
        (&changed["message"], &changed["_id"]),
        (&json!("All gone"), &json!(id))
    );
    assert_eq!(
        app.done(
            200,
            "PUT",
            &format!("{one}/type"),
            json!({ "type": "draft" })
        )
        .await,
        changed
    );

    // Nothing pretends to have been sent.
    let none = "the app has no push provider: it has no service of the type 'gcm'";
    let mut sent = draft.clone();
    sent["state"] = json!("sent");
    for (method, path, body) in [
        ("POST", format!("{one}/send"), Value::Null),
        ("PUT", format!("{one}/type"), json!({ "type": "sent" })),
        ("POST", ALL.to_owned(), sent),
    ] {
        let refused = app.call(method, &path, body).await;
        assert_eq!(refused.refusal(), (400, "GCMError"), "{path}");
        assert_eq!(refused.body["error"], none);
    }
    let body = json!({ "name": "gcm", "type": "gcm", "config": { "senderId": "1" } });
    app.made("/services", body).await;
    let refused = app.call("POST", &format!("{one}/send"), Value::Null).await;
    assert_eq!(refused.refusal(), (400, "GCMError"));
    assert!(
        refused.body["error"]
            .as_str()
            .unwrap()
            .contains("not supported yet")
    );
    assert_eq!(
        app.done(200, "GET", ALL, Value::Null).await,
        json!([changed])
    );
    let logs = app.done(200, "GET", "/logs?type=PUSH", Value::Null).await;
    assert_eq!(logs["logs"].as_array().unwrap().len(), 3);

    // What was sent stays as it was.
    let messages = &world.core.state.messages;
    let set = bson::doc! { "$set": { "sent": 1_700_000_000_000_i64 } };
    messages.change_all(bson::doc! {}, set).await.unwrap();
    let shown = app
        .done(200, "GET", &format!("{ALL}?state=sent"), Value::Null)
        .await;
    assert_eq!(
        (&shown[0]["state"], &shown[0]["sent"]),
        (&json!("sent"), &json!("2023-11-14T22:13:20Z"))
    );
    for (method, path, body) in [
        ("POST", format!("{one}/send"), Value::Null),
        ("PUT", one.clone(), draft.clone()),
        ("PUT", format!("{one}/type"), json!({ "type": "draft" })),
    ] {
        let refused = app.call(method, &path, body).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{path}");
    }
    app.done(204, "DELETE", &one, Value::Null).await;
    for (method, path) in [
        ("GET", one.clone()),
        ("PUT", one.clone()),
        ("DELETE", one.clone()),
        ("POST", format!("{one}/send")),
        ("PUT", format!("{one}/type")),
    ] {
        let mut body = draft.clone();
        body["type"] = json!("draft");
        let gone = app.call(method, &path, body).await;
        assert_eq!(
            gone.refusal(),
            (404, "PushMessageNotFound"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn notifications_have_bounds_and_an_app() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, other) = (operator.app("shop").await, operator.app("other").await);
    let draft = json!({ "label": "a", "message": "b", "topic": "c", "state": "draft" });
    for (field, value, code) in [
        ("label", json!("x".repeat(257)), "BadRequest"),
        ("message", json!("x".repeat(4001)), "BadRequest"),
        ("topic", json!("x".repeat(901)), "BadRequest"),
        ("label", json!(null), "MissingParameter"),
        ("message", json!(5), "InvalidParameter"),
        ("state", json!("later"), "InvalidParameter"),
        ("state", json!(null), "MissingParameter"),
    ] {
        let mut body = draft.clone();
        body[field] = value;
        let refused = app.call("POST", ALL, body).await;
        assert_eq!(refused.refusal(), (400, code), "{field}");
    }
    let refused = app
        .call("GET", &format!("{ALL}?state=x"), Value::Null)
        .await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter"));
    let id = app.made(ALL, draft.clone()).await;
    let refused = other.call("GET", &format!("{ALL}/{id}"), Value::Null).await;
    assert_eq!(refused.refusal(), (404, "PushMessageNotFound"));
    let refused = other
        .call("DELETE", &format!("{ALL}/{id}"), Value::Null)
        .await;
    assert_eq!(refused.refusal(), (404, "PushMessageNotFound"));
    assert_eq!(other.done(200, "GET", ALL, Value::Null).await, json!([]));
    let message = |n: u64| state::Message {
        id: format!("{n:024}"),
        app_id: app.id.clone(),
        label: String::new(),
        message: String::new(),
        topic: String::new(),
        created: 0,
        sent: None,
    };
    let more: Vec<_> = (1..kit::limit::PUSH_MESSAGES_MAX).map(message).collect();
    world.core.state.messages.insert_many(&more).await.unwrap();
    let refused = app.call("POST", ALL, draft).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
}
