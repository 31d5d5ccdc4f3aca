//! Logins by Google, Facebook and Apple, which an issuer on loopback stands for.

use kit::limit::CODES_AT_ONCE_MAX;
use serde_json::{Value, json};

use crate::http::Reply;
use crate::issuer::{Answer, Issuer, Signer};
use crate::world::{APP, Session, World, login, session};

const NOW: i64 = 1_700_000_000;

/// A world with one such provider, and where it is asked.
async fn with(kind: &str, provider: &Value) -> (World, Issuer) {
    let issuer = Issuer::start().await;
    let mut whole = json!({
        "name": kind, "type": kind, "disabled": false,
        "config": { "clientId": "client" }, "secret_config": { "clientSecret": "secret" },
    });
    for (name, value) in provider.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let provider = format!("\"{kind}\": {whole}, \"anon-user\"");
    let fixture = APP.replacen("\"anon-user\"", &provider, 1);
    let endpoints: Vec<String> = [
        "google.token",
        "google.userinfo",
        "google.keys",
        "facebook.graph",
        "apple.token",
        "apple.keys",
    ]
    .iter()
    .map(|name| format!("{name}={}", issuer.url(&format!("/{name}"))))
    .collect();
    let world = World::reaching(&fixture, &endpoints).await;
    let secret = "what only both know";
    world.app.create_secret("secret", secret).await.unwrap();
    (world, issuer)
}

async fn logged_in(world: &World, provider: &str, body: Value) -> Session {
    let reply = world.login(provider, body).await;
    let log = world.logged_error().await;
    assert_eq!(reply.status, 200, "{} {log}", reply.text());
    session(&reply)
}

/// What the log says of a login that is refused, as each is to the client.
async fn refused(world: &World, provider: &str, body: Value) -> String {
    let reply: Reply = world.login(provider, body).await;
    let shown = format!("{} {}", reply.refusal(), reply.error());
    assert_eq!(shown, "401 AuthError unauthorized");
    let log = world.logged_error().await;
    for secret in ["what only both know", "the-code", "the-token"] {
        assert!(!log.contains(secret), "{log}");
    }
    log
}

fn metadata() -> Value {
    let fields = ["name", "first_name", "last_name", "picture", "email"];
    fields
        .iter()
        .map(|name| json!({ "name": name, "required": false }))
        .collect()
}

fn google_user() -> Value {
    json!({
        "sub": "1234", "name": "Ann Lee", "given_name": "Ann", "family_name": "Lee",
        "picture": "https://a.example/ann.png", "email": "ann@example.com",
        "email_verified": true, "locale": "en",
    })
}

#[tokio::test]
async fn google_codes_log_in() {
    let provider = json!({ "metadata_fields": metadata(), "domain_restrictions": [] });
    let (world, issuer) = with("oauth2-google", &provider).await;
    let code = || json!({ "authCode": "the-code" });
    let tokens = json!({ "access_token": "the-token", "expires_in": 3599, "id_token": "a.b.c" });
    issuer.answers("/google.token", Answer::json(&tokens));
    issuer.answers("/google.userinfo", Answer::json(&google_user()));
    let ann = logged_in(&world, "oauth2-google", code()).await;
    let profile = world.profile(&ann).await;
    assert_eq!(
        profile["data"],
        json!({
            "name": "Ann Lee", "first_name": "Ann", "last_name": "Lee",
            "picture": "https://a.example/ann.png", "email": "ann@example.com",
        })
    );
    assert_eq!(profile["identities"][0]["id"], "1234");
    let asked = issuer.asked("/google.token").concat();
    assert!(asked.starts_with("POST "), "{asked}");
    assert!(
        asked.ends_with(
            "grant_type=authorization_code&client_id=client&client_secret=what+only+both+know\
             &code=the-code&redirect_uri="
        ),
        "{asked}"
    );
    let asked = issuer.asked("/google.userinfo").concat();
    assert!(
        asked.contains("authorization: Bearer the-token\r\n"),
        "{asked}"
    );
    let said = |status: u16, body: &Value| Answer::Said(status, String::new(), body.to_string());
    for (answer, log) in [
        (
            said(
                400,
                &json!({ "error": "invalid_grant", "error_description": "Bad\n Request" }),
            ),
            "400 Bad Request invalid_grant: Bad Request",
        ),
        (said(200, &json!({})), "no \"access_token\""),
        (said(200, &json!([])), "no JSON object"),
        (said(302, &json!({})), "302"),
        (Answer::Endless, "more than 262144 bytes"),
    ] {
        issuer.answers("/google.token", answer);
        let told = refused(&world, "oauth2-google", code()).await;
        assert!(told.contains(log), "{log}: {told}");
    }
    // The code of a window that Google's script opened has a URI of its own.
    let mismatch = json!({ "error": "redirect_uri_mismatch" });
    issuer.answers("/google.token", said(400, &mismatch));
    refused(&world, "oauth2-google", code()).await;
    let asked = issuer.asked("/google.token").pop().unwrap();
    assert!(asked.ends_with("&redirect_uri=postmessage"), "{asked}");
    issuer.answers("/google.token", Answer::json(&tokens));
    issuer.answers("/google.userinfo", said(401, &json!({})));
    refused(&world, "oauth2-google", code()).await;
    issuer.answers("/google.userinfo", Answer::json(&json!({ "sub": 5 })));
    refused(&world, "oauth2-google", code()).await;
    let log = refused(&world, "oauth2-google", json!({ "id_token": "a.b.c" })).await;
    assert!(log.contains("\"openId\" off"), "{log}");
    let log = refused(&world, "oauth2-google", json!({})).await;
    assert!(log.contains("authCode"), "{log}");
}

#[tokio::test]
async fn made_up_codes_do_not_pile_up() {
    let (world, issuer) = with("oauth2-google", &json!({})).await;
    issuer.answers("/google.token", Answer::Silence);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..CODES_AT_ONCE_MAX {
        let ask = login("oauth2-google", r#"{"authCode":"made up"}"#);
        waiting.spawn(ask.send(world.address));
    }
    while issuer.asked("/google.token").len() < CODES_AT_ONCE_MAX {
        tokio::task::yield_now().await;
    }
    let body = json!({ "authCode": "the-code" });
    let reply = world.login("oauth2-google", body).await;
    assert_eq!(reply.refusal(), "429 TooManyRequests");
    // Others log in meanwhile.
    world.anonymous().await;
}

#[tokio::test]
async fn google_addresses_are_of_the_domains() {
    let domains = json!(["example.com"]);
    let (world, issuer) = with("oauth2-google", &json!({ "domain_restrictions": domains })).await;
    let tokens = json!({ "access_token": "the-token" });
    issuer.answers("/google.token", Answer::json(&tokens));
    for (email, verified, status) in [
        ("ann@example.com", true, 200),
        ("ann@example.com", false, 403),
        ("ann@evil.example.com.net", true, 403),
        ("ann@sub.example.com", true, 403),
    ] {
        let mut user = google_user();
        user["email"] = json!(email);
        user["email_verified"] = json!(verified);
        issuer.answers("/google.userinfo", Answer::json(&user));
        let reply = world
            .login("oauth2-google", json!({ "authCode": "the-code" }))
            .await;
        assert_eq!(reply.status, status, "{email} {verified}");
        if status == 403 {
            assert_eq!(reply.refusal(), "403 DomainNotAllowed");
        }
    }
}

#[tokio::test]
async fn google_id_tokens_log_in() {
    let config = json!({ "clientId": "client", "openId": true });
    let (world, issuer) = with("oauth2-google", &json!({ "config": config })).await;
    let one = Signer::one();
    issuer.publishes("/google.keys", &[Signer::two().jwk(), one.jwk()]);
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": "client", "sub": "1234", "iat": NOW,
        "exp": NOW + 3600, "email": "ann@example.com", "email_verified": true,
    });
    let body = |token: &str| json!({ "id_token": token });
    let ann = logged_in(&world, "oauth2-google", body(&one.sign(&claims))).await;
    let profile = world.profile(&ann).await;
    assert_eq!(profile["data"], json!({}));
    assert_eq!(profile["identities"][0]["id"], "1234");
    // The code of the same user is the same user.
    issuer.answers(
        "/google.token",
        Answer::json(&json!({ "access_token": "the-token" })),
    );
    issuer.answers("/google.userinfo", Answer::json(&google_user()));
    let by_code = logged_in(&world, "oauth2-google", json!({ "authCode": "the-code" })).await;
    assert_eq!(by_code.user_id, ann.user_id);
    let mut short = claims.clone();
    short["iss"] = json!("accounts.google.com");
    logged_in(&world, "oauth2-google", body(&one.sign(&short))).await;
    for (field, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("aud", json!("another-client")),
        ("aud", json!([])),
        ("exp", json!(NOW)),
        ("sub", json!("")),
    ] {
        let mut wrong = claims.clone();
        wrong[field] = value;
        refused(&world, "oauth2-google", body(&one.sign(&wrong))).await;
    }
    let stranger = Signer::two().sign_as(&json!({ "alg": "RS256", "kid": "one" }), &claims);
    refused(&world, "oauth2-google", body(&stranger)).await;
    let unsigned = one.sign_as(&json!({ "alg": "none", "kid": "one" }), &claims);
    refused(&world, "oauth2-google", body(&unsigned)).await;
}

#[tokio::test]
async fn facebook_tokens_log_in() {
    let fields: Value = ["name", "picture", "min_age", "max_age", "birthday"]
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let provider = json!({ "metadata_fields": fields });
    let (world, issuer) = with("oauth2-facebook", &provider).await;
    let token = || json!({ "accessToken": "the-token" });
    let debug = json!({ "data": { "app_id": "client", "is_valid": true, "user_id": "77" } });
    issuer.answers("/facebook.graph/debug_token", Answer::json(&debug));
    let me = json!({
        "id": "77", "name": "Ann", "picture": { "data": { "url": "https://a.example/a.png" } },
        "age_range": { "min": 21 }, "email": "is not asked for",
    });
    issuer.answers("/facebook.graph/me", Answer::json(&me));
    let ann = logged_in(&world, "oauth2-facebook", token()).await;
    let profile = world.profile(&ann).await;
    assert_eq!(
        profile["data"],
        json!({ "name": "Ann", "picture": "https://a.example/a.png", "min_age": 21 })
    );
    assert_eq!(profile["identities"][0]["id"], "77");
    let asked = issuer.asked("/facebook.graph/debug_token").concat();
    assert!(
        asked.contains("?input_token=the-token&access_token=client%7Cwhat+only+both+know HTTP"),
        "{asked}"
    );
    let asked = issuer.asked("/facebook.graph/me").concat();
    let wanted = "fields=id%2Cname%2Cpicture%2Cage_range%2Cbirthday&appsecret_proof=";
    assert!(asked.contains(wanted), "{asked}");
    assert!(
        asked.contains("authorization: Bearer the-token\r\n"),
        "{asked}"
    );
    // A token that the user gave to another app, or nobody gave.
    for (field, value) in [
        ("app_id", json!("another")),
        ("app_id", json!(null)),
        ("is_valid", json!(false)),
        ("is_valid", json!("true")),
        ("user_id", json!("78")),
        ("user_id", json!(null)),
    ] {
        let mut wrong = debug.clone();
        wrong["data"][field] = value;
        issuer.answers("/facebook.graph/debug_token", Answer::json(&wrong));
        refused(&world, "oauth2-facebook", token()).await;
    }
    let error = json!({ "error": { "message": "Invalid OAuth access token.", "code": 190 } });
    let error = Answer::Said(400, String::new(), error.to_string());
    issuer.answers("/facebook.graph/debug_token", error);
    let log = refused(&world, "oauth2-facebook", token()).await;
    assert!(log.contains("Invalid OAuth access token."), "{log}");
    for body in [
        json!({}),
        json!({ "accessToken": 5 }),
        json!({ "accessToken": "a\nb" }),
    ] {
        refused(&world, "oauth2-facebook", body).await;
    }
}

#[tokio::test]
async fn apple_id_tokens_log_in() {
    let (world, issuer) = with("oauth2-apple", &json!({})).await;
    let one = Signer::one();
    issuer.publishes("/apple.keys", &[one.jwk()]);
    let claims = json!({
        "iss": "https://appleid.apple.com", "aud": "client", "sub": "000123.ab.0456",
        "iat": NOW, "exp": NOW + 600, "email": "ann@privaterelay.appleid.com",
        "email_verified": "true",
    });
    let body = |token: &str| json!({ "id_token": token });
    let ann = logged_in(&world, "oauth2-apple", body(&one.sign(&claims))).await;
    let again = logged_in(&world, "oauth2-apple", body(&one.sign(&claims))).await;
    assert_eq!(again.user_id, ann.user_id);
    let profile = world.profile(&ann).await;
    assert_eq!(profile["identities"][0]["id"], "000123.ab.0456");
    for (field, value) in [
        ("iss", json!("https://accounts.google.com")),
        ("aud", json!("com.example.other")),
        ("exp", json!(NOW - 1)),
    ] {
        let mut wrong = claims.clone();
        wrong[field] = value;
        refused(&world, "oauth2-apple", body(&one.sign(&wrong))).await;
    }
    refused(&world, "oauth2-apple", json!({ "code": "the-code" })).await;
    issuer.answers("/apple.keys", Answer::Silence);
    world.clock.advance_ms(60_000);
    let mut stranger = claims.clone();
    stranger["exp"] = json!(NOW + 3600);
    let unknown = Signer::two().sign(&stranger);
    refused(&world, "oauth2-apple", body(&unknown)).await;
    // Those whose key is known do not wait for the server that is silent.
    logged_in(&world, "oauth2-apple", body(&one.sign(&stranger))).await;
}
