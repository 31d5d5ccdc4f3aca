//! The routes that name no app: session, profile, API keys.

use kit::limit;
use serde_json::{Value, json};

use crate::accounts::join_all;
use crate::http::{Ask, Reply};
use crate::world::{Session, World, auth, of_app, session};

#[tokio::test]
async fn the_profile_has_what_sdks_read() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let profile = world
        .send(auth("GET", "profile").bearer(&user.access))
        .await;
    assert_eq!(profile.header("content-type"), Some("application/json"));
    let profile = profile.json();
    let id = &profile["identities"][0]["id"];
    assert_eq!(id.as_str().unwrap().len(), 24);
    let provider = &profile["identities"][0]["provider_id"];
    assert_eq!(provider.as_str().unwrap().len(), 24);
    assert_eq!(
        profile,
        json!({
            "user_id": user.user_id, "domain_id": world.app.domain_id, "type": "normal",
            "identities": [{
                "id": id, "provider_id": provider, "provider_type": "local-userpass",
                "provider_data": { "email": "a@b" },
            }],
            "data": { "email": "a@b" },
        })
    );
    let user = world.anonymous().await;
    let profile = world
        .send(auth("GET", "profile").bearer(&user.access))
        .await;
    let profile = profile.json();
    assert_eq!(profile["data"], json!({}));
    let id = profile["identities"][0]["id"].as_str().unwrap();
    let (hex, letters) = id.split_once('-').unwrap();
    assert!(hex.len() == 24 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(letters.len() == 24 && letters.bytes().all(|b| b.is_ascii_lowercase()));
}

#[tokio::test]
async fn a_refresh_gives_an_access_token_and_nothing_else() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let reply = world
        .send(auth("POST", "session").bearer(&user.refresh))
        .await;
    let body = reply.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token"]);
    let all = (0..30).map(|_| world.with_refresh(&user.refresh));
    assert!(join_all(all).await.iter().all(|status| status == "201"));
}

#[tokio::test]
async fn without_a_token_the_words_are_the_services() {
    let world = World::new().await;
    let door = || auth("GET", "api_keys");
    let schema = "401 - expected Authorization header with JWT (Bearer schema)";
    for (header, refusal) in [
        (None, "401 MissingAuthReq must authenticate first"),
        (Some("Bearer "), schema),
        (Some("Bearer"), schema),
        (Some(""), schema),
        (Some("Basic YTpi"), schema),
        (Some("Bearerx"), schema),
    ] {
        let ask = match header {
            Some(value) => door().header("Authorization", value),
            None => door(),
        };
        let reply = world.send(ask).await;
        let found = format!("{} {}", reply.refusal(), reply.error());
        assert_eq!(found, refusal, "{header:?}");
    }
    let user = world.anonymous().await;
    let any_case =
        auth("GET", "profile").header("Authorization", format!("bearer {}", user.access));
    assert_eq!(world.send(any_case).await.status, 200);
}

async fn create(world: &World, user: &Session, body: &str) -> Reply {
    let ask = auth("POST", "api_keys").bearer(&user.refresh).body(body);
    world.send(ask).await
}

async fn with_key(world: &World, user: &Session, method: &'static str, path: &str) -> Reply {
    let ask: Ask = auth(method, &format!("api_keys/{path}")).bearer(&user.refresh);
    world.send(ask).await
}

#[tokio::test]
async fn keys_are_made_listed_and_removed() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let made = create(&world, &user, r#"{"name":"my-key_1"}"#).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(made["key"].as_str().unwrap().len(), 64);
    let id = made["_id"].as_str().unwrap();
    let shown = json!({ "_id": id, "name": "my-key_1", "disabled": false });
    assert_eq!(with_key(&world, &user, "GET", id).await.json(), shown);
    let list = world
        .send(auth("GET", "api_keys").bearer(&user.refresh))
        .await;
    assert_eq!(list.json(), json!([shown]));
    let login = || async { world.login("api-key", json!({ "key": made["key"] })).await };
    assert_eq!(session(&login().await).user_id, user.user_id);
    for (method, verb, status, then) in [
        ("PUT", "/disable", 204, 401),
        ("PUT", "/disable", 204, 401),
        ("PUT", "/enable", 204, 200),
        ("PUT", "/enable", 204, 200),
        ("DELETE", "", 204, 401),
        ("DELETE", "", 404, 401),
    ] {
        let reply = with_key(&world, &user, method, &format!("{id}{verb}")).await;
        assert_eq!(reply.status, status, "{method} {verb}");
        assert_eq!(login().await.status, then, "{method} {verb}");
    }
}

#[tokio::test]
async fn bad_keys_are_refused_in_the_services_words() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    assert_eq!(create(&world, &user, r#"{"name":"k"}"#).await.status, 201);
    let required = "400 - 'name' is a required string";
    let letters =
        "400 InvalidParameter can only contain ASCII letters, numbers, underscores, and hyphens";
    let long = format!(
        r#"{{"name":"{}"}}"#,
        "x".repeat(limit::API_KEY_NAME_CHARS_MAX + 1)
    );
    for (body, refusal) in [
        (
            r#"{"name":"k"}"#,
            "409 APIKeyAlreadyExists API key with name already exists",
        ),
        (r#"{"name":"a b"}"#, letters),
        (r#"{"name":"é"}"#, letters),
        (r#"{"name":"a\n"}"#, letters),
        (r#"{"name":""}"#, required),
        (r#"{"name":7}"#, required),
        (r#"{"name":{"$gt":""}}"#, required),
        ("{}", required),
        ("", required),
        (
            &long,
            "400 InvalidParameter 'name' must have at most 128 characters",
        ),
    ] {
        let reply = create(&world, &user, body).await;
        let found = format!("{} {}", reply.refusal(), reply.error());
        assert_eq!(found, refusal, "{body}");
    }
    let anonymous = world.anonymous().await;
    let reply = create(&world, &anonymous, r#"{"name":"k"}"#).await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn anothers_key_does_not_exist() {
    let world = World::new().await;
    let (user, other) = (world.user("a@b").await, world.user("c@d").await);
    let made = create(&world, &user, r#"{"name":"k"}"#).await.json();
    let id = made["_id"].as_str().unwrap();
    for id in [id, "000000000000000000000000", "x", "%24ne"] {
        for (method, path) in [
            ("GET", id.to_owned()),
            ("DELETE", id.to_owned()),
            ("PUT", format!("{id}/enable")),
            ("PUT", format!("{id}/disable")),
        ] {
            let reply = with_key(&world, &other, method, &path).await;
            assert_eq!(reply.refusal(), "404 APIKeyNotFound", "{method} {path}");
            assert_eq!(reply.error(), "API key not found");
        }
    }
    let reply = with_key(&world, &user, "GET", id).await;
    assert_eq!(reply.json()["disabled"], Value::Bool(false));
}

#[tokio::test]
async fn a_session_cannot_delete_the_key_it_began_with() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let one = create(&world, &user, r#"{"name":"one"}"#).await.json();
    let two = create(&world, &user, r#"{"name":"two"}"#).await.json();
    let by_key = session(&world.login("api-key", json!({ "key": one["key"] })).await);
    let delete = |id: &Value| {
        let (world, by_key) = (&world, &by_key);
        let id = id.as_str().unwrap().to_owned();
        async move { with_key(world, by_key, "DELETE", &id).await.status }
    };
    assert_eq!(delete(&one["_id"]).await, 403);
    assert_eq!(delete(&two["_id"]).await, 204);
    let reply = with_key(&world, &user, "DELETE", one["_id"].as_str().unwrap()).await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn a_user_has_twenty_keys_however_fast() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let names: Vec<String> = (0..30).map(|n| format!(r#"{{"name":"k{n}"}}"#)).collect();
    let all = join_all(names.iter().map(|name| create(&world, &user, name))).await;
    let made = all.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, limit::USER_API_KEYS_MAX);
    assert!(
        all.iter()
            .all(|r| r.status == 201 || r.refusal() == "400 BadRequest")
    );
}

#[tokio::test]
async fn a_link_answers_with_the_same_user_and_no_new_session() {
    let world = World::new().await;
    let nobody = world.anonymous().await;
    let link = |provider: &str| of_app(&format!("auth/providers/{provider}/login?link=true"));
    assert_eq!(world.register("a@b", "correct horse").await.status, 201);
    let body = json!({
        "username": "a@b", "password": "correct horse",
        "options": { "device": { "platform": "x" } },
    });
    let ask = Ask::new("POST", link("local-userpass")).body(body.to_string());
    let refused = world.send(ask.clone()).await;
    assert_eq!(refused.refusal(), "401 MissingAuthReq");
    let refused = world.send(ask.clone().bearer(&nobody.refresh)).await;
    assert_eq!(refused.refusal(), "401 InvalidSession");
    let second = world.second_app().await;
    let there = format!("/api/client/v2.0/app/{}/", second.client_app_id);
    let elsewhere = link("local-userpass").replace(&of_app(""), &there);
    let elsewhere = Ask::new("POST", elsewhere).body(body.to_string());
    let refused = world.send(elsewhere.bearer(&nobody.access)).await;
    assert_eq!(refused.refusal(), "401 UserAppDomainMismatch");
    let sessions = world.core.state.sessions.count(bson::doc! {}).await;
    let reply = world.send(ask.bearer(&nobody.access)).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let linked = reply.json();
    assert_eq!(linked["user_id"], json!(nobody.user_id));
    assert_eq!(linked["device_id"], json!(nobody.device_id));
    assert_eq!(linked.as_object().unwrap().len(), 3);
    let access = linked["access_token"].as_str().unwrap();
    assert_eq!(world.with_access(access).await, "200");
    assert_eq!(world.with_refresh(&nobody.refresh).await, "201");
    let after = world.core.state.sessions.count(bson::doc! {}).await;
    assert_eq!(after.unwrap(), sessions.unwrap());
    let profile = world.send(auth("GET", "profile").bearer(access)).await;
    let identities = &profile.json()["identities"];
    assert_eq!(identities[0]["provider_type"], json!("anon-user"));
    assert_eq!(identities[1]["provider_type"], json!("local-userpass"));
    // Somebody by now: the session that began anonymously may make keys.
    let key = auth("POST", "api_keys").body(r#"{"name":"k"}"#);
    assert_eq!(world.send(key.bearer(&nobody.refresh)).await.status, 201);
    // A second account is the service's own refusal.
    assert_eq!(world.register("b@b", "correct horse").await.status, 201);
    let body = json!({ "username": "b@b", "password": "correct horse" });
    let ask = Ask::new("POST", link("local-userpass")).body(body.to_string());
    let refused = world.send(ask.bearer(access)).await;
    assert_eq!(refused.refusal(), "500 InternalServerError");
    assert_eq!(refused.error(), "unauthorized");
}
