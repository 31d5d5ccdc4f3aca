//! Logins, sessions, and who may call what; the contract's tests try every
//! operation.

use axum::http::Method;
use serde_json::json;

use crate::{Reply, World};

#[tokio::test]
async fn a_read_only_administrator_changes_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let pair = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &pair).await;
    assert_eq!(
        reader.call("GET", "/apps", json!(null)).await.body[0]["_id"],
        app.id
    );
    let profile = reader.get("auth/profile").await;
    assert_eq!(
        profile.body["roles"],
        json!([{ "role_name": "GROUP_READ_ONLY", "group_id": world.project }])
    );
    let refused = world
        .request(
            Method::POST,
            "groups",
            Some(&reader.token),
            br#"{"name":"x"}"#,
        )
        .await;
    assert_eq!(refused.refusal(), (403, "Unauthorized"));
}

#[tokio::test]
async fn logins_and_their_refusals() {
    let world = World::new().await;
    let (public, private) = (
        &world.operator.public_key,
        world.operator.private_key.expose(),
    );
    let login = world.login(public, private).await;
    assert_eq!(login.status, 200);
    assert_eq!(login.kind.as_deref(), Some("application/json"));
    let fields = login.body.as_object().unwrap();
    assert_eq!(
        fields.keys().collect::<Vec<_>>(),
        ["access_token", "refresh_token", "user_id", "device_id"]
    );
    assert!(fields.values().all(serde_json::Value::is_string));
    let refused =
        "failed to authenticate with MongoDB Cloud API: You are not authorized for this resource.";
    for (public, private) in [
        (public.as_str(), "wrong"),
        ("wrong", private),
        (private, public),
    ] {
        let reply = world.login(public, private).await;
        assert_eq!((reply.status, &reply.body["error"]), (401, &json!(refused)));
    }
    let path = "auth/providers/mongodb-cloud/login";
    for (body, code) in [
        ("", "MissingParameter"),
        ("{}", "MissingParameter"),
        ("{", "BadRequest"),
        ("[]", "BadRequest"),
        (r#"{"username":1,"apiKey":"x"}"#, "InvalidParameter"),
        (
            r#"{"username":{"$gt":""},"apiKey":{"$gt":""}}"#,
            "InvalidParameter",
        ),
        ("\u{0}", "BadRequest"),
    ] {
        let reply = world
            .request(Method::POST, path, None, body.as_bytes())
            .await;
        assert_eq!(reply.refusal(), (400, code), "{body}");
    }
    let providers = world
        .request(Method::GET, "auth/providers", None, b"")
        .await;
    assert_eq!(
        providers.body,
        json!([{ "name": "mongodb-cloud", "type": "mongodb-cloud" }])
    );
}

#[tokio::test]
async fn sessions_are_refreshed_and_end() {
    let world = World::new().await;
    let login = world
        .login(
            &world.operator.public_key,
            world.operator.private_key.expose(),
        )
        .await;
    let token = |name: &str| login.body[name].as_str().unwrap().to_owned();
    let (access, refresh) = (token("access_token"), token("refresh_token"));
    let call = async |method, path, token: &str| -> Reply {
        world.request(method, path, Some(token), b"").await
    };
    let renewed = call(Method::POST, "auth/session", &refresh).await;
    assert_eq!(renewed.status, 201);
    assert_eq!(renewed.body.as_object().unwrap().len(), 1);
    let renewed = renewed.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        call(Method::GET, "auth/profile", &renewed).await.status,
        200
    );
    // The other kind of token, in both directions; no code, or clients refresh on it.
    let wrong = call(Method::GET, "auth/profile", &refresh).await;
    assert_eq!(wrong.refusal(), (401, ""));
    assert_eq!(
        wrong.body["error"],
        "invalid session: valid Issuer required"
    );
    let wrong = call(Method::POST, "auth/session", &access).await;
    assert_eq!(wrong.refusal(), (401, ""));
    assert_eq!(
        wrong.body["error"],
        "invalid refresh token: incorrect token type"
    );
    // The end of the session ends both of its access tokens.
    assert_eq!(
        call(Method::DELETE, "auth/session", &refresh).await.status,
        204
    );
    for token in [&access, &renewed] {
        let refused = call(Method::GET, "auth/profile", token).await;
        assert_eq!(refused.refusal(), (401, "InvalidSession"));
    }
    for method in [Method::POST, Method::DELETE] {
        let gone = call(method, "auth/session", &refresh).await;
        assert_eq!(gone.refusal(), (401, "InvalidSession"));
        assert_eq!(
            gone.body["error"],
            "invalid session: failed to find refresh token"
        );
    }
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let parts: Vec<&str> = operator.token.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let other = World::new().await;
    let elsewhere = other.operator().await.token;
    // Another first character: the last one of a signature has bits that count
    // for nothing, and may be the same.
    let other = if parts[2].starts_with('A') { 'B' } else { 'A' };
    let flipped = format!("{}.{}.{other}{}", parts[0], parts[1], &parts[2][1..]);
    let long = "a".repeat(100_000);
    for token in ["", "null", &unsigned, &elsewhere, &flipped, &long, "é.é.é"] {
        let reply = world
            .request(
                Method::GET,
                "auth/profile",
                (!token.is_ascii()).then_some("x").or(Some(token)),
                b"",
            )
            .await;
        assert_eq!(reply.status, 401, "{token:.40}");
    }
}

#[tokio::test]
async fn the_operator_makes_projects_that_see_only_themselves() {
    let world = World::new().await;
    let operator = world.operator().await;
    let call = async |method, path: &str, token: &str, body: &str| {
        world
            .request(method, path, Some(token), body.as_bytes())
            .await
    };
    let made = call(
        Method::POST,
        "groups",
        &operator.token,
        r#"{"name":"second"}"#,
    )
    .await;
    assert_eq!(made.status, 201);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    let login = world.login(&text("public_key"), &text("private_key")).await;
    let token = login.body["access_token"].as_str().unwrap().to_owned();
    let (id, own) = (text("id"), &world.project);
    let seen = call(Method::GET, "groups", &token, "").await.body;
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["id"], id);
    let all = call(Method::GET, "groups", &operator.token, "").await.body;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let hidden = call(Method::GET, &format!("groups/{own}"), &token, "").await;
    assert_eq!(hidden.refusal(), (404, "GroupNotFound"));
    for (method, path) in [
        (Method::POST, "groups".to_owned()),
        (Method::DELETE, format!("groups/{own}")),
    ] {
        let refused = call(method, &path, &token, r#"{"name":"third"}"#).await;
        assert_eq!(refused.refusal(), (403, "Unauthorized"));
    }
    // A project with apps stays, and so does the operator's own.
    let made = call(
        Method::POST,
        &format!("groups/{id}/apps"),
        &token,
        r#"{"name":"shop"}"#,
    )
    .await;
    let app = made.body["_id"].as_str().unwrap();
    let remove = async |id: &str| {
        call(Method::DELETE, &format!("groups/{id}"), &operator.token, "")
            .await
            .status
    };
    assert_eq!(remove(&id).await, 409);
    assert_eq!(remove(own).await, 409);
    assert_eq!(remove("0123456789abcdef01234567").await, 404);
    assert_eq!(
        call(
            Method::DELETE,
            &format!("groups/{id}/apps/{app}"),
            &token,
            ""
        )
        .await
        .status,
        204
    );
    assert_eq!(remove(&id).await, 204);
    // Its key is gone with it.
    assert_eq!(
        call(Method::GET, "auth/profile", &token, "")
            .await
            .refusal(),
        (401, "InvalidSession")
    );
}

#[tokio::test]
async fn a_private_key_that_is_set_anew_replaces_the_old_one() {
    let world = World::new().await;
    let operator = world.operator().await;
    let pair = app::administrators::KeyPair {
        public_key: world.operator.public_key.clone(),
        private_key: "another".to_owned().into(),
    };
    world.core.ensure_key(&world.project, &pair).await.unwrap();
    let old = world.operator.private_key.expose();
    assert_eq!(world.login(&pair.public_key, old).await.status, 401);
    let refused = operator.get("auth/profile").await;
    assert_eq!(refused.refusal(), (401, "InvalidSession"));
    let again = world.administrator(&world.project, &pair).await;
    // The same pair again changes nothing.
    world.core.ensure_key(&world.project, &pair).await.unwrap();
    assert_eq!(again.get("auth/profile").await.status, 200);
}
