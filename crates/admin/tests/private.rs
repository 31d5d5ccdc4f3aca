//! The private API: what test helpers of the SDKs set and read.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{AppAdmin, Reply, World};

async fn call(app: &AppAdmin<'_>, method: Method, path: &str, body: Value) -> Reply {
    let admin = app.administrator;
    let path = format!(
        "/api/private/v1.0/groups/{}/apps/{}/{path}?bypass_service_change=SyncSchemaVersionIncrease",
        admin.project, app.id
    );
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    admin
        .world
        .request(method, &path, Some(&admin.token), body.as_bytes())
        .await
}

#[tokio::test]
async fn flags_and_tuning_are_kept() {
    let world = World::new().await;
    let version = world
        .request(Method::GET, "/api/private/v1.0/version", None, b"")
        .await;
    assert_eq!(
        (version.status, version.body["version"].is_string()),
        (200, true)
    );
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let none = call(&app, Method::GET, "features", json!(null)).await;
    assert_eq!(none.body, json!({ "enabled": [] }));
    for (action, flags, then) in [
        ("enable", json!(["b", "a", "b"]), json!(["a", "b"])),
        ("disable", json!(["b", "none"]), json!(["a"])),
        ("enable", json!([]), json!(["a"])),
    ] {
        let body = json!({ "action": action, "feature_flags": flags });
        let done = call(&app, Method::POST, "features", body).await;
        // Not a byte less: some clients read it as an empty object.
        assert_eq!((done.status, &done.body), (200, &json!({})));
        let now = call(&app, Method::GET, "features", json!(null)).await;
        assert_eq!(now.body, json!({ "enabled": then }));
    }
    let before = call(&app, Method::GET, "settings", json!(null)).await.body;
    let name = "num_objects_before_bootstrap_flush";
    let body = json!({ "sync": { name: 7, "unknown": 1 } });
    let done = call(&app, Method::PATCH, "settings", body).await;
    assert_eq!((done.status, &done.body), (200, &json!({})));
    let after = call(&app, Method::GET, "settings", json!(null)).await.body;
    assert_eq!(after["sync"][name], 7);
    let other = "download_loop_sleep_millis";
    assert_eq!(after["sync"][other], before["sync"][other]);
    assert_eq!(after["sync"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_and_who_may_not() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let long = "x".repeat(65);
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for (method, path, body) in [
        (Method::POST, "features", json!({})),
        (
            Method::POST,
            "features",
            json!({ "action": "toggle", "feature_flags": [] }),
        ),
        (Method::POST, "features", json!({ "action": "enable" })),
        (
            Method::POST,
            "features",
            json!({ "action": "enable", "feature_flags": "a" }),
        ),
        (
            Method::POST,
            "features",
            json!({ "action": "enable", "feature_flags": [1] }),
        ),
        (
            Method::POST,
            "features",
            json!({ "action": "enable", "feature_flags": [long] }),
        ),
        (
            Method::POST,
            "features",
            json!({ "action": "enable", "feature_flags": many }),
        ),
        (Method::PATCH, "settings", json!({ "sync": 1 })),
        (
            Method::PATCH,
            "settings",
            json!({ "sync": { "download_loop_sleep_millis": -1 } }),
        ),
        (
            Method::PATCH,
            "settings",
            json!({ "sync": { "download_loop_sleep_millis": "1" } }),
        ),
        (Method::PATCH, "settings", json!([])),
    ] {
        let refused = call(&app, method, path, body.clone()).await;
        assert_eq!(refused.status, 400, "{path} {body}");
    }
    let enable = json!({ "action": "enable", "feature_flags": ["a"] });
    let reader = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &reader).await;
    let reading = AppAdmin {
        administrator: &reader,
        id: app.id.clone(),
    };
    let refused = call(&reading, Method::POST, "features", enable.clone()).await;
    assert_eq!(refused.refusal(), (403, "Unauthorized"));
    assert_eq!(
        call(&reading, Method::GET, "features", json!(null))
            .await
            .status,
        200
    );
    let (project, pair) = world.core.create_project("other").await.unwrap();
    let stranger = world.administrator(&project.id, &pair).await;
    let theirs = AppAdmin {
        administrator: &stranger,
        id: app.id.clone(),
    };
    for (method, path) in [(Method::POST, "features"), (Method::GET, "settings")] {
        let refused = call(&theirs, method, path, enable.clone()).await;
        assert_eq!(refused.refusal(), (404, "AppNotFound"));
    }
    let path = format!(
        "/api/private/v1.0/groups/{}/apps/{}/features",
        world.project, app.id
    );
    let nobody = world.request(Method::GET, &path, None, b"").await;
    assert_eq!(nobody.status, 401);
    // The rest of the API is not below this prefix, and this not below its own.
    let rest = format!("/api/private/v1.0/groups/{}/apps", world.project);
    assert_eq!(operator.get(&rest).await.status, 404);
    assert_eq!(app.call("GET", "/features", json!(null)).await.status, 404);
}

#[tokio::test]
async fn keys_are_rotated_and_anonymous_users_kept_as_long_as_said() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let path = "security/signing_keys";
    let keys = call(&app, Method::GET, path, json!(null)).await;
    assert_eq!(keys.body, json!({ "version": 0, "former": [] }));
    let path = "security/signing_keys/rotate";
    let keys = call(&app, Method::POST, path, json!({ "grace_seconds": 60 })).await;
    assert_eq!((keys.status, &keys.body["version"]), (200, &json!(1)));
    assert_eq!(keys.body["former"][0]["version"], 0);
    let keys = call(&app, Method::POST, path, json!({ "grace_seconds": 0 })).await;
    assert_eq!(keys.body, json!({ "version": 2, "former": [] }));
    for (body, code) in [
        (json!({ "grace_seconds": "60" }), "InvalidParameter"),
        (json!({ "grace_seconds": -1 }), "BadRequest"),
        (json!({ "grace_seconds": 1e300 }), "InvalidParameter"),
    ] {
        let refused = call(&app, Method::POST, path, body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
    let path = "security/anonymous_user_expiration";
    let days = call(&app, Method::GET, path, json!(null)).await;
    assert_eq!(days.body, json!({ "days": 90 }));
    let set = call(&app, Method::PUT, path, json!({ "days": 7 })).await;
    assert_eq!(set.status, 204);
    let days = call(&app, Method::GET, path, json!(null)).await;
    assert_eq!(days.body, json!({ "days": 7 }));
    for (body, code) in [
        (json!({}), "MissingParameter"),
        (json!({ "days": "7" }), "InvalidParameter"),
        (json!({ "days": 3651 }), "BadRequest"),
    ] {
        let refused = call(&app, Method::PUT, path, body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
}

#[tokio::test]
async fn owners_import_users() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let users = json!({ "users": [{ "email": "a@x" }, { "email": "" }] });
    let provider = json!({ "type": "local-userpass", "config": { "autoConfirm": true } });
    let path = "users/import";
    let none = call(&app, Method::POST, path, users.clone()).await;
    assert_eq!(none.body["created"], 0, "{:?}", none.body);
    app.done(201, "POST", "/auth_providers", provider).await;
    let done = call(&app, Method::POST, path, users.clone()).await;
    let refused = json!([{ "index": 1, "error": "email invalid" }]);
    assert_eq!(
        (done.status, done.body),
        (
            200,
            json!({ "created": 1, "existing": 0, "refused": refused })
        )
    );
    for body in [json!({}), json!({ "users": {} })] {
        let refused = call(&app, Method::POST, path, body).await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"));
    }
    let many = json!({ "users": vec![json!({}); 1001] });
    let refused = call(&app, Method::POST, path, many).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let reader = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &reader).await;
    let reading = AppAdmin {
        administrator: &reader,
        id: app.id.clone(),
    };
    for (method, path) in [
        (Method::POST, "users/import"),
        (Method::POST, "security/signing_keys/rotate"),
        (Method::PUT, "security/anonymous_user_expiration"),
    ] {
        let refused = call(&reading, method, path, users.clone()).await;
        assert_eq!(refused.refusal(), (403, "Unauthorized"));
    }
}
