//! Tokens that must not open anything, and those that must stop to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::http::Ask;
use crate::world::{Session, World, auth, of_app, session};

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
}

fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn signed(algorithm: Algorithm, key: &[u8], claims: &Value) -> String {
    let key = EncodingKey::from_secret(key);
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// Every way to present something that is not our token.
fn forgeries(good: &str) -> Vec<(&'static str, String)> {
    let claims = claims(good);
    let parts: Vec<&str> = good.split('.').collect();
    let mut other = claims.clone();
    other["sub"] = json!("000000000000000000000001");
    let body = |claims: &Value| BASE64.encode(claims.to_string());
    let none = |alg: &str| unsigned(&json!({ "alg": alg, "typ": "JWT" }), &claims, "");
    let confused = {
        // A token that says RS256 over our own HS256 signature.
        let header = BASE64.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    let numbered = |kid: &str| {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
        unsigned(&header, &claims, parts[2])
    };
    let mut flipped = good.to_owned();
    let last = flipped.pop().unwrap();
    flipped.push(if last == 'A' { 'Q' } else { 'A' });
    vec![
        ("unsigned", none("none")),
        ("unsigned, in capitals", none("NONE")),
        (
            "no algorithm",
            unsigned(&json!({ "typ": "JWT" }), &claims, parts[2]),
        ),
        (
            "its signature cut off",
            format!("{}.{}.", parts[0], parts[1]),
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("a signature changed", flipped),
        (
            "another user's claims",
            format!("{}.{}.{}", parts[0], body(&other), parts[2]),
        ),
        (
            "claims that are a list",
            format!("{}.{}.{}", parts[0], body(&json!([1])), parts[2]),
        ),
        (
            "claims that are no JSON",
            format!("{}.{}.{}", parts[0], BASE64.encode("x"), parts[2]),
        ),
        (
            "HS256 with another key",
            signed(Algorithm::HS256, b"another key", &claims),
        ),
        (
            "HS256 with an empty key",
            signed(Algorithm::HS256, b"", &claims),
        ),
        (
            "HS512 with another key",
            signed(Algorithm::HS512, b"another key", &claims),
        ),
        ("RS256 over HS256", confused),
        ("a key of a number to come", numbered("7")),
        ("a key's number that is none", numbered("../../dev/null")),
        ("a key's number of another type", {
            let header = json!({ "alg": "HS256", "kid": { "$ne": 1 } });
            unsigned(&header, &claims, parts[2])
        }),
        ("rubbish", "rubbish".to_owned()),
        ("dots", "..".to_owned()),
        ("nothing but base64", BASE64.encode([0; 300])),
        ("a long one", "x".repeat(60_000)),
    ]
}

#[tokio::test]
async fn a_forged_access_token_is_an_invalid_session_at_every_door() {
    let world = World::new().await;
    let user = world.anonymous().await;
    assert_eq!(world.with_access(&user.access).await, "200");
    for (what, token) in forgeries(&user.access) {
        let doors = [
            Ask::new("POST", of_app("functions/call")).body("{}"),
            crate::world::watch(""),
            auth("GET", "profile"),
            auth("DELETE", "delete"),
        ];
        for door in doors {
            let reply = world.send(door.bearer(&token)).await;
            assert_eq!(reply.refusal(), "401 InvalidSession", "{what}");
            assert_eq!(reply.reason, "Unauthorized");
        }
    }
    // Nothing was deleted by any of them.
    assert_eq!(world.with_access(&user.access).await, "200");
}

#[tokio::test]
async fn a_forged_refresh_token_is_an_invalid_session_at_every_door() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    for (what, token) in forgeries(&user.refresh) {
        let doors = [
            auth("POST", "session"),
            auth("DELETE", "session"),
            auth("GET", "api_keys"),
            auth("POST", "api_keys").body(r#"{"name":"k"}"#),
        ];
        for door in doors {
            let reply = world.send(door.bearer(&token)).await;
            assert_eq!(reply.refusal(), "401 InvalidSession", "{what}");
        }
    }
    assert_eq!(world.with_refresh(&user.refresh).await, "201");
}

#[tokio::test]
async fn each_token_opens_its_own_doors_only() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let wrong = "401 InvalidSession";
    assert_eq!(world.with_access(&user.refresh).await, wrong);
    assert_eq!(world.with_refresh(&user.access).await, wrong);
    for (door, token) in [
        (auth("GET", "profile"), &user.refresh),
        (auth("DELETE", "delete"), &user.refresh),
        (auth("DELETE", "session"), &user.access),
        (auth("GET", "api_keys"), &user.access),
        (crate::world::watch(""), &user.refresh),
    ] {
        assert_eq!(world.send(door.bearer(token)).await.refusal(), wrong);
    }
}

#[tokio::test]
async fn another_apps_token_is_refused_by_name() {
    let world = World::new().await;
    let second = world.second_app().await;
    let here = world.anonymous().await;
    let path = |rest: &str| format!("/api/client/v2.0/app/{}/{rest}", second.client_app_id);
    let login = Ask::new("POST", path("auth/providers/anon-user/login"));
    let there = session(&world.send(login).await);
    let refused = "401 UserAppDomainMismatch";
    assert_eq!(world.with_access(&there.access).await, refused);
    let call = Ask::new("POST", path("functions/call")).body(r#"{"name":"echo"}"#);
    let reply = world.send(call.clone().bearer(&here.access)).await;
    assert_eq!(reply.refusal(), refused);
    assert_eq!(world.send(call.bearer(&there.access)).await.status, 200);
    // The routes without an app id go by the token.
    let profile = world
        .send(auth("GET", "profile").bearer(&there.access))
        .await;
    assert_eq!(profile.json()["user_id"], json!(there.user_id));
    // One that only says that it is another app's is nobody's.
    let claims =
        json!({ "baas_domain_id": second.domain_id, "typ": "access", "exp": 1_800_000_000 });
    let forged = signed(Algorithm::HS256, b"another key", &claims);
    assert_eq!(world.with_access(&forged).await, "401 InvalidSession");
}

#[tokio::test]
async fn tokens_run_out_and_are_renewed() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    assert_eq!(world.with_access(&user.access).await, "200");
    world.clock.advance_ms(1_799_000);
    assert_eq!(world.with_access(&user.access).await, "200");
    world.clock.advance_ms(1_000);
    let reply = world.call(&user.access, r#"{"name":"echo"}"#).await;
    assert_eq!(reply.refusal(), "401 InvalidSession");
    assert_eq!(reply.error(), "invalid session: access token expired");
    let renewed = world
        .send(auth("POST", "session").bearer(&user.refresh))
        .await;
    let access = renewed.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.with_access(&access).await, "200");
    // A clock that is set back brings nothing back that was not valid then.
    world.clock.advance_ms(60 * 24 * 3_600_000);
    assert_eq!(world.with_access(&access).await, "401 InvalidSession");
    assert_eq!(
        world.with_refresh(&user.refresh).await,
        "401 InvalidSession"
    );
}

#[tokio::test]
async fn an_anonymous_session_lasts() {
    let world = World::new().await;
    let user = world.anonymous().await;
    world.clock.advance_ms(40 * 365 * 24 * 3_600_000);
    assert_eq!(world.with_refresh(&user.refresh).await, "201");
}

#[tokio::test]
async fn claims_are_those_that_sdks_read() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let (access, refresh) = (claims(&user.access), claims(&user.refresh));
    assert_eq!(access["sub"], json!(user.user_id));
    assert_eq!(access["typ"], json!("access"));
    assert_eq!(
        access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(),
        1800
    );
    assert_eq!(access["iss"], refresh["baas_id"]);
    assert_eq!(access["baas_domain_id"], json!(world.app.domain_id));
    assert_eq!(access.get("user_data"), None);
    assert_eq!(refresh["typ"], json!("refresh"));
    assert_eq!(
        refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(),
        5_184_000
    );
    assert_eq!(
        refresh["baas_identity"]["provider_type"],
        json!("local-userpass")
    );
    assert_eq!(refresh["baas_data"], Value::Null);
    for name in ["domainId", "devId", "id", "ident", "data"] {
        assert!(refresh.get(format!("stitch_{name}")).is_some(), "{name}");
    }
}

/// What of a session still works: access, refresh.
async fn alive(world: &World, session: &Session) -> (String, String) {
    (
        world.with_access(&session.access).await,
        world.with_refresh(&session.refresh).await,
    )
}

fn both(access: &str, refresh: &str) -> (String, String) {
    (access.to_owned(), refresh.to_owned())
}

#[tokio::test]
async fn a_logout_ends_its_session_at_once_and_no_other() {
    let world = World::new().await;
    let one = world.user("a@b").await;
    let two = session(&world.by_password("a@b", "correct horse").await);
    // Verified and remembered before.
    assert_eq!(alive(&world, &one).await, both("200", "201"));
    assert_eq!(alive(&world, &two).await, both("200", "201"));
    let reply = world
        .send(auth("DELETE", "session").bearer(&one.refresh))
        .await;
    assert_eq!((reply.status, reply.header("content-type")), (204, None));
    let gone = both("401 InvalidSession", "401 InvalidSession");
    assert_eq!(alive(&world, &one).await, gone);
    assert_eq!(alive(&world, &two).await, both("200", "201"));
    let again = world
        .send(auth("DELETE", "session").bearer(&one.refresh))
        .await;
    assert_eq!(again.refusal(), "401 InvalidSession");
    assert!(again.error().contains("failed to find refresh token"));
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_back_when_enabled() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    assert_eq!(alive(&world, &user).await, both("200", "201"));
    world
        .app
        .set_user_disabled(&user.user_id, true)
        .await
        .unwrap();
    let gone = both("401 InvalidSession", "401 InvalidSession");
    assert_eq!(alive(&world, &user).await, gone);
    let login = world.by_password("a@b", "correct horse").await;
    assert_eq!(login.refusal(), "401 UserDisabled");
    let login = world.by_password("a@b", "wrong horse").await;
    assert_eq!(login.refusal(), "401 InvalidPassword");
    let keys = world
        .send(auth("GET", "api_keys").bearer(&user.refresh))
        .await;
    assert_eq!(keys.refusal(), "401 InvalidSession");
    world
        .app
        .set_user_disabled(&user.user_id, false)
        .await
        .unwrap();
    assert_eq!(alive(&world, &user).await, both("200", "201"));
}

#[tokio::test]
async fn a_revoked_user_keeps_access_until_it_runs_out_and_gets_no_more() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    world.app.logout_user(&user.user_id).await.unwrap();
    assert_eq!(
        alive(&world, &user).await,
        both("200", "401 InvalidSession")
    );
    world.clock.advance_ms(1_800_000);
    let gone = both("401 InvalidSession", "401 InvalidSession");
    assert_eq!(alive(&world, &user).await, gone);
    let again = session(&world.by_password("a@b", "correct horse").await);
    assert_eq!(alive(&world, &again).await, both("200", "201"));
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_everything() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let made = auth("POST", "api_keys")
        .bearer(&user.refresh)
        .body(r#"{"name":"k"}"#);
    let key = world.send(made).await.json()["key"].clone();
    assert_eq!(alive(&world, &user).await, both("200", "201"));
    let reply = world
        .send(auth("DELETE", "delete").bearer(&user.access))
        .await;
    assert_eq!((reply.status, reply.header("content-type")), (204, None));
    let gone = both("401 InvalidSession", "401 InvalidSession");
    assert_eq!(alive(&world, &user).await, gone);
    // What realm-web does next: the text is one that it swallows.
    let logout = world
        .send(auth("DELETE", "session").bearer(&user.refresh))
        .await;
    assert!(logout.error().contains("failed to find refresh token"));
    let login = world.by_password("a@b", "correct horse").await;
    assert_eq!(login.refusal(), "401 InvalidPassword");
    let login = world.login("api-key", json!({ "key": key })).await;
    assert_eq!(login.refusal(), "401 AuthError");
    // The name is free again, for somebody new.
    assert_ne!(world.user("a@b").await.user_id, user.user_id);
}

#[tokio::test]
async fn sessions_that_ran_out_are_removed_at_the_next_login() {
    let world = World::new().await;
    let first = world.user("a@b").await;
    let sessions = async || {
        let of = bson::doc! { "user_id": &first.user_id };
        world.core.state.sessions.count(of).await.unwrap()
    };
    session(&world.by_password("a@b", "correct horse").await);
    assert_eq!(sessions().await, 2);
    world.clock.advance_ms(60 * 24 * 3_600_000);
    session(&world.by_password("a@b", "correct horse").await);
    assert_eq!(sessions().await, 1);
}
