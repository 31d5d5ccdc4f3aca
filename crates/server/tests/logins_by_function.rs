//! Logins by what a function of the app says.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::{APP, Session, World, session};

const PROVIDER: &str = r#""custom-function": {
    "name": "custom-function", "type": "custom-function", "disabled": false,
    "config": { "authFunctionName": "who" }
}, "anon-user""#;

const WHO: &str = r#"
//- functions/who.js
exports = async (payload) => {
    if (payload.fails) {
        throw new Error(payload.fails);
    }
    if (payload.returns) {
        return payload.returns.value;
    }
    if (payload.endless) {
        for (;;) {}
    }
    const seen = { payload, system: context.runningAsSystem(), user: context.user.id };
    return { id: JSON.stringify(seen), name: payload.name, more: "is not told" };
};
"#;

async fn world() -> World {
    let app = APP.replacen("\"anon-user\"", PROVIDER, 1).replacen(
        "[\n    {",
        "[\n    { \"name\": \"who\", \"private\": true }, {",
        1,
    );
    World::of(&format!("{app}{WHO}"), |_| {}).await
}

async fn login(world: &World, body: Value) -> Reply {
    world.login("custom-function", body).await
}

async fn logged_in(world: &World, body: Value) -> Session {
    session(&login(world, body).await)
}

#[tokio::test]
async fn the_function_is_given_what_the_app_passed() {
    let world = world().await;
    let passed = json!({
        "name": "Ann", "n": { "$numberInt": "5" }, "deep": { "options": 1, "provider": "x" },
    });
    let mut body = passed.clone();
    body["options"] = json!({ "device": { "sdkVersion": "1", "platform": "node" } });
    body["provider"] = json!("custom-function");
    let ann = logged_in(&world, body).await;
    let profile = world.profile(&ann).await;
    assert_eq!(profile["data"], json!({ "name": "Ann" }));
    let seen: Value =
        serde_json::from_str(profile["identities"][0]["id"].as_str().unwrap()).unwrap();
    assert_eq!(
        seen,
        json!({
            "payload": { "name": "Ann", "n": 5, "deep": { "options": 1, "provider": "x" } },
            "system": true, "user": "",
        })
    );
    // A provider that the app names itself is the app's.
    let bob = logged_in(&world, json!({ "provider": "mine" })).await;
    let profile = world.profile(&bob).await;
    let id = profile["identities"][0]["id"].as_str().unwrap();
    assert!(id.contains(r#""provider":"mine""#), "{id}");
    assert_eq!(profile["data"], json!({}));
    // Who is told by the same id is the same user, by the name that is told now.
    let again = logged_in(&world, passed).await;
    assert_eq!(again.user_id, ann.user_id);
}

#[tokio::test]
async fn texts_and_objects_name_users() {
    let world = world().await;
    let of = |value: Value| json!({ "returns": { "value": value } });
    let one = logged_in(&world, of(json!("u"))).await;
    let two = logged_in(&world, of(json!({ "id": "u", "name": "Ann" }))).await;
    assert_eq!(one.user_id, two.user_id);
    assert_eq!(world.profile(&one).await["data"], json!({ "name": "Ann" }));
    logged_in(&world, of(json!("u"))).await;
    assert_eq!(world.profile(&one).await["data"], json!({}));
    for none in [
        json!(null),
        json!(""),
        json!(5),
        json!({ "$oid": "65a1b2c3d4e5f60718293a4b" }),
        json!([]),
        json!({}),
        json!({ "id": 5 }),
        json!({ "id": "" }),
        json!("x".repeat(5000)),
    ] {
        let reply = login(&world, of(none.clone())).await;
        let told = format!("{} {}", reply.refusal(), reply.error());
        assert_eq!(told, "401 AuthError unauthorized", "{none}");
        let log = world.logged_error().await;
        assert!(log.contains("has to return a user's id"), "{log}");
    }
}

#[tokio::test]
async fn what_the_function_throws_is_told() {
    let world = world().await;
    let reply = login(&world, json!({ "fails": "not today" })).await;
    let told = format!("{} {}", reply.refusal(), reply.error());
    assert_eq!(told, "401 AuthError Error: not today");
    assert_eq!(world.logged_error().await, "Error: not today");
    // It is closed to clients otherwise.
    let anonymous = world.anonymous().await;
    let reply = world.call(&anonymous.access, r#"{"name":"who","arguments":[{}]}"#);
    assert_eq!(reply.await.refusal(), "403 NotCallable");
}
