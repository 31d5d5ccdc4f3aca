//! Logins with tokens that somebody else signed.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::accounts::join_all;
use crate::http::Reply;
use crate::issuer::{Answer, Issuer, Signer};
use crate::world::{APP, Session, World, auth, session};

const SECRET: &str = "My_very_confidential_secretttttt";
/// The fixtures' clock, in seconds.
const NOW: i64 = 1_700_000_000;

/// The app with the provider `custom-token`.
fn fixture(provider: &Value) -> String {
    let mut whole = json!({ "name": "custom-token", "type": "custom-token", "disabled": false });
    for (name, value) in provider.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let provider = format!("\"custom-token\": {whole}, \"anon-user\"");
    APP.replacen("\"anon-user\"", &provider, 1)
}

fn claims() -> Value {
    json!({ "aud": "fixture-abcde", "sub": "someUserId", "exp": NOW + 3600 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn signed(claims: &Value) -> String {
    signed_with(SECRET, claims)
}

fn signed_with(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), claims, &key).unwrap()
}

/// A token signed with the secret, of these parts.
fn of_parts(header: &str, claims: &str) -> String {
    let parts = format!("{header}.{claims}");
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(parts.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{parts}.{signature}")
}

async fn login(world: &World, token: &str) -> Reply {
    world.login("custom-token", json!({ "token": token })).await
}

async fn logged_in(world: &World, token: &str) -> Session {
    let reply = login(world, token).await;
    let log = world.logged_error().await;
    assert_eq!(reply.status, 200, "{} {log}", reply.text());
    session(&reply)
}

/// What the log says of a login that is refused, as each is to the client.
async fn refused(world: &World, token: &str) -> String {
    let reply = login(world, token).await;
    let shown = format!("{} {}", reply.refusal(), reply.error());
    assert_eq!(shown, "401 AuthError unauthorized");
    world.logged_error().await
}

#[tokio::test]
async fn tokens_of_a_shared_secret_log_in() {
    let world = World::of(
        &fixture(&json!({
            "config": { "audience": "", "signingAlgorithm": "HS256", "useJWKURI": false },
            "secret_config": { "signingKeys": ["first", "second", "third"] },
            "metadata_fields": [
                { "required": false, "name": "user_data.name", "field_name": "name" },
                { "required": true, "name": "user_data.occupation", "field_name": "occupation" },
                { "required": false, "name": "my_metadata.name", "field_name": "anotherName" },
                { "required": false, "name": "a\\.b.n" }, { "required": false, "name": "none" },
            ],
        })),
        |_| {},
    )
    .await;
    let mut token = with(
        "user_data",
        json!({ "name": "Foo Bar", "occupation": "firefighter" }),
    );
    token["my_metadata"] = json!({ "name": "Bar Foo", "occupation": "stock analyst" });
    token["a.b"] = json!({ "n": 5 });
    token["other"] = json!("is not asked for");
    let log = refused(&world, &signed(&token)).await;
    assert!(log.starts_with("unauthorized: "), "{log}");
    assert!(log.contains("the secret \"first\" is not set"), "{log}");
    assert!(log.contains("the secret \"third\" is not set"), "{log}");
    world.app.create_secret("second", SECRET).await.unwrap();
    let ann = logged_in(&world, &signed(&token)).await;
    let profile = world.profile(&ann).await;
    let data = json!({
        "name": "Foo Bar", "occupation": "firefighter", "anotherName": "Bar Foo", "n": 5,
    });
    assert_eq!(profile["data"], data);
    let identity = &profile["identities"][0];
    assert_eq!(
        (&identity["id"], &identity["provider_type"]),
        (&json!("someUserId"), &json!("custom-token"))
    );
    assert_eq!(identity["provider_data"], data);
    // Whatever the other token says, ours last half an hour.
    let read = jsonwebtoken::dangerous::insecure_decode::<Value>(&ann.access).unwrap();
    assert_eq!(read.claims["exp"], NOW + 1800);
    // What is told is told anew at each login, to who is in already as well.
    token["user_data"] = json!({ "occupation": "cook" });
    token["my_metadata"] = json!({ "name": null });
    let again = logged_in(&world, &signed(&token)).await;
    assert_eq!(again.user_id, ann.user_id);
    let data = json!({ "occupation": "cook", "n": 5 });
    assert_eq!(world.profile(&ann).await["data"], data);
    let seen = world
        .call(&ann.access, r#"{"name":"echo","arguments":[1]}"#)
        .await;
    assert_eq!(seen.status, 200);
    token["user_data"] = json!({ "name": "Foo" });
    let log = refused(&world, &signed(&token)).await;
    assert!(log.contains("user_data.occupation"), "{log}");
    // Another key beside it, and then instead of it.
    let other = "another secret of at least 32 characters";
    token["user_data"] = json!({ "occupation": "cook" });
    world.app.create_secret("first", other).await.unwrap();
    for secret in [SECRET, other] {
        let again = logged_in(&world, &signed_with(secret, &token)).await;
        assert_eq!(again.user_id, ann.user_id);
    }
    world.app.set_secret("second", "too short").await.unwrap();
    let log = refused(&world, &signed(&token)).await;
    assert!(log.contains("32 to 512 characters"), "{log}");
    assert!(!log.contains("too short"), "{log}");
    logged_in(&world, &signed_with(other, &token)).await;
}

async fn world_of_a_secret() -> World {
    let provider = json!({
        "config": { "signingAlgorithm": "HS256" }, "secret_config": { "signingKeys": "key" },
    });
    let world = World::of(&fixture(&provider), |_| {}).await;
    world.app.create_secret("key", SECRET).await.unwrap();
    world
}

#[tokio::test]
async fn tokens_in_either_base64_log_in() {
    let world = world_of_a_secret().await;
    let claims = with("sub", json!("??>>~~??")).to_string();
    let header = json!({ "alg": "HS256", "typ": "JWT" }).to_string();
    let standard = BASE64_STANDARD_NO_PAD.encode(&claims);
    assert!(standard.contains(['+', '/']), "{standard}");
    let token = of_parts(&BASE64_STANDARD_NO_PAD.encode(&header), &standard);
    let one = logged_in(&world, &token).await;
    let for_urls = BASE64_URL_SAFE_NO_PAD.encode(&claims);
    let token = of_parts(&BASE64_URL_SAFE_NO_PAD.encode(&header), &for_urls);
    assert_eq!(logged_in(&world, &token).await.user_id, one.user_id);
    // What an older app's token says without being asked for it.
    let token = with("stitch_meta", json!({ "email": "a@b", "name": "Ann" }));
    let ann = logged_in(&world, &signed(&token)).await;
    let data = json!({ "email": "a@b", "name": "Ann" });
    assert_eq!(world.profile(&ann).await["data"], data);
}

#[tokio::test]
async fn tokens_that_are_not_for_now_and_here_are_refused() {
    let world = world_of_a_secret().await;
    let good = signed(&claims());
    let none = of_parts(
        &BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        &BASE64_URL_SAFE_NO_PAD.encode(claims().to_string()),
    );
    let (unsigned, _) = none.rsplit_once('.').unwrap();
    for (token, log) in [
        (signed(&with("exp", json!(NOW))), "has expired"),
        (signed(&with("exp", json!("never"))), "\"exp\" is no number"),
        (signed(&with("exp", Value::Null)), "no \"exp\""),
        (
            signed(&with("nbf", json!(NOW + 120))),
            "\"nbf\" is in the future",
        ),
        (
            signed(&with("iat", json!(NOW + 120))),
            "\"iat\" is in the future",
        ),
        (signed(&with("aud", json!("other-abcde"))), "\"aud\""),
        (signed(&with("aud", json!([]))), "\"aud\""),
        (signed(&with("aud", Value::Null)), "\"aud\""),
        (signed(&with("sub", json!(""))), "no \"sub\""),
        (signed(&with("sub", json!(7))), "no \"sub\""),
        (signed(&with("sub", json!("x".repeat(4097)))), "too long"),
        (
            signed(&with("a", json!("x".repeat(1_000_000)))),
            "1000000 characters",
        ),
        (signed_with(&"x".repeat(32), &claims()), "none of the keys"),
        (format!("{good}x"), "none of the keys"),
        (format!("{unsigned}."), "HS256"),
        (none.clone(), "HS256"),
        (format!("{good}.x"), "three parts"),
        (Signer::one().sign(&claims()), "HS256"),
        ("a.b.c".to_owned(), "no JSON"),
        (String::new(), "three parts"),
    ] {
        let start: String = token.chars().take(60).collect();
        let told = refused(&world, &token).await;
        assert!(told.contains(log), "{start}: {told}");
        assert!(told.len() < 300, "{told}");
    }
    for body in [
        json!({}),
        json!({ "token": 5 }),
        json!({ "token": { "$ne": "" } }),
    ] {
        let reply = world.login("custom-token", body).await;
        assert_eq!(reply.refusal(), "401 AuthError");
    }
    // Two million characters are more than any login has.
    let reply = login(&world, &"x".repeat(2_200_000)).await;
    assert_eq!(reply.refusal(), "413 ReadSizeLimitExceeded");
    // Nobody came of it.
    let query = app::users::UserQuery::default();
    assert_eq!(world.app.list_users(&query).await.unwrap().len(), 0);
    for (name, value) in [("nbf", NOW + 30), ("iat", NOW + 30), ("exp", NOW + 1)] {
        logged_in(&world, &signed(&with(name, json!(value)))).await;
    }
    // A token of one app is not for another of the same server.
    let other = world.second_app().await;
    assert_ne!(other.id, world.app.id);
    let reply = world
        .send(
            crate::http::Ask::new(
                "POST",
                "/api/client/v2.0/app/second-abcde/auth/providers/custom-token/login",
            )
            .body(json!({ "token": good }).to_string()),
        )
        .await;
    assert_eq!(reply.refusal(), "404 AuthProviderNotFound");
}

#[tokio::test]
async fn audiences_are_all_or_one() {
    for (any, aud, expected) in [
        (false, json!(["b", "a"]), 200),
        (false, json!("a"), 401),
        (true, json!("b"), 200),
        (true, json!("fixture-abcde"), 401),
    ] {
        let provider = json!({
            "config": { "audience": ["a", "b"], "requireAnyAudience": any },
            "secret_config": { "signingKeys": ["key"] },
        });
        let world = World::of(&fixture(&provider), |_| {}).await;
        world.app.create_secret("key", SECRET).await.unwrap();
        let reply = login(&world, &signed(&with("aud", aud.clone()))).await;
        assert_eq!(reply.status, expected, "{any} {aud}");
    }
}

#[tokio::test]
async fn public_keys_are_no_shared_secrets() {
    let (one, two) = (Signer::one(), Signer::two());
    let config = json!({ "signingAlgorithm": "RS256", "signingKey": two.pem() });
    let provider = json!({ "config": config, "secret_config": { "signingKeys": ["key"] } });
    let world = World::of(&fixture(&provider), |_| {}).await;
    // As people paste it into a field of one line.
    let pem = one.pem().replace('\n', "\\n");
    world.app.create_secret("key", &pem).await.unwrap();
    let ann = logged_in(&world, &one.sign(&claims())).await;
    // By the key that is in the settings themselves, and without a key id.
    let token = two.sign_as(&json!({ "alg": "RS256" }), &claims());
    assert_eq!(logged_in(&world, &token).await.user_id, ann.user_id);
    // Everybody knows the public key.
    for pem in [one.pem(), two.pem(), pem] {
        let log = refused(&world, &signed_with(&pem, &claims())).await;
        assert!(log.contains("RS256"), "{log}");
    }
    let mut forged = one.sign(&claims());
    forged.replace_range(..forged.find('.').unwrap(), "eyJhbGciOiJub25lIn0");
    refused(&world, &forged).await;
    // Where keys are shared, a public one is none.
    let provider = json!({
        "config": { "signingAlgorithm": "HS256" }, "secret_config": { "signingKeys": ["key"] },
    });
    let world = World::of(&fixture(&provider), |_| {}).await;
    world.app.create_secret("key", &one.pem()).await.unwrap();
    let log = refused(&world, &signed_with(&one.pem(), &claims())).await;
    assert!(log.contains("not a PEM file"), "{log}");
}

/// A world whose keys an issuer publishes at `/keys`.
async fn with_issuer() -> (World, Issuer) {
    let issuer = Issuer::start().await;
    let config = json!({ "useJWKURI": true, "jwkURI": issuer.url("/keys") });
    let fixture = fixture(&json!({ "config": config, "secret_config": {} }));
    (World::reaching(&fixture, &[]).await, issuer)
}

#[tokio::test]
async fn published_keys_are_kept_and_rotate() {
    let (one, two) = (Signer::one(), Signer::two());
    let (world, issuer) = with_issuer().await;
    issuer.publishes("/keys", &[one.jwk()]);
    let fetched = || issuer.asked("/keys").len();
    let ann = logged_in(&world, &one.sign(&claims())).await;
    for _ in 0..5 {
        let again = logged_in(&world, &one.sign(&claims())).await;
        assert_eq!(again.user_id, ann.user_id);
    }
    assert_eq!(fetched(), 1);
    // The issuer signs with another key: its id is not known, so the set is
    // fetched again.
    refused(&world, &two.sign(&claims())).await;
    issuer.publishes("/keys", &[two.jwk(), one.jwk()]);
    logged_in(&world, &two.sign(&claims())).await;
    logged_in(&world, &one.sign(&claims())).await;
    assert_eq!(fetched(), 3);
    // A token without a key id is tried with the first keys.
    let token = one.sign_as(&json!({ "alg": "RS256" }), &claims());
    logged_in(&world, &token).await;
    // The old key is gone when the set is no longer fresh.
    let kind = "Cache-Control: public, max-age=600\r\n".to_owned();
    let set = json!({ "keys": [two.jwk()] }).to_string();
    issuer.answers("/keys", Answer::Said(200, kind, set));
    logged_in(&world, &one.sign(&claims())).await;
    world.clock.advance_ms(3_600_000);
    let later = json!({ "aud": "fixture-abcde", "sub": "u", "exp": NOW + 90 * 3600 });
    let log = refused(&world, &one.sign(&later)).await;
    assert!(log.contains("no key of that id"), "{log}");
    logged_in(&world, &two.sign(&later)).await;
    let before = fetched();
    world.clock.advance_ms(599_000);
    logged_in(&world, &two.sign(&later)).await;
    assert_eq!(fetched(), before);
    world.clock.advance_ms(1000);
    logged_in(&world, &two.sign(&later)).await;
    assert_eq!(fetched(), before + 1);
    // While the issuer fails, the keys go on for some hours, and it is not asked
    // at each login.
    issuer.answers("/keys", Answer::Said(500, String::new(), String::new()));
    world.clock.advance_ms(600_000);
    for _ in 0..5 {
        logged_in(&world, &two.sign(&later)).await;
    }
    assert_eq!(fetched(), before + 2);
    world.clock.advance_ms(6 * 3_600_000);
    let log = refused(&world, &two.sign(&later)).await;
    assert!(log.contains("the answer is 500"), "{log}");
    // And when it is back, so are the users.
    issuer.publishes("/keys", &[two.jwk()]);
    world.clock.advance_ms(10_000);
    logged_in(&world, &two.sign(&later)).await;
}

#[tokio::test]
async fn tokens_with_made_up_key_ids_do_not_storm_the_issuer() {
    let (world, issuer) = with_issuer().await;
    let one = Signer::one();
    issuer.publishes("/keys", &[one.jwk()]);
    let made_up = |n: usize| {
        let header = json!({ "alg": "RS256", "kid": n.to_string() });
        one.sign_as(&header, &claims())
    };
    let all = join_all((0..20).map(|n| {
        let (world, token) = (&world, made_up(n));
        async move { login(world, &token).await.status }
    }));
    assert!(all.await.iter().all(|status| *status == 401));
    for n in 0..20 {
        assert_eq!(login(&world, &made_up(n)).await.status, 401);
    }
    let fetched = issuer.asked("/keys").len();
    assert!(fetched <= 4, "{fetched}");
    // Others log in meanwhile.
    logged_in(&world, &one.sign(&claims())).await;
    world.clock.advance_ms(60_000);
    refused(&world, &made_up(0)).await;
    assert_eq!(issuer.asked("/keys").len(), fetched + 1);
}

#[tokio::test]
async fn hostile_key_servers_let_nobody_in() {
    let (world, issuer) = with_issuer().await;
    let one = Signer::one();
    let plain = |body: String| Answer::Said(200, String::new(), body);
    let to = |url: &str| Answer::Said(302, format!("Location: {url}\r\n"), String::new());
    let strange = json!({ "kty": "oct", "k": "AAAA", "kid": "one", "alg": "HS256" });
    let mut weak = one.jwk();
    weak["n"] = json!(BASE64_URL_SAFE_NO_PAD.encode([0xff; 64]));
    let mut for_secrecy = one.jwk();
    for_secrecy["use"] = json!("enc");
    let many = vec![Signer::two().jwk(); 5000];
    let deep = "[".repeat(100_000);
    for (answer, log) in [
        (Answer::Said(404, String::new(), String::new()), "404"),
        (plain("<html>keys</html>".to_owned()), "no JSON"),
        (plain(String::new()), "no JSON"),
        (plain(deep), "no JSON"),
        (plain("[]".to_owned()), "no array \"keys\""),
        (
            plain(json!({ "keys": {} }).to_string()),
            "no array \"keys\"",
        ),
        (plain(json!({ "keys": [] }).to_string()), "no RSA key"),
        (
            plain(json!({ "keys": [1, null, strange] }).to_string()),
            "no RSA key",
        ),
        (plain(json!({ "keys": [weak] }).to_string()), "no RSA key"),
        (
            plain(json!({ "keys": [for_secrecy] }).to_string()),
            "no RSA key",
        ),
        (
            plain(json!({ "keys": many }).to_string()),
            "more than 524288 bytes",
        ),
        (Answer::Endless, "more than 524288 bytes"),
        (
            to("http://169.254.169.254/latest/meta-data/"),
            "169.254.169.254",
        ),
        (to("http://[::1]:1/"), "does not connect to"),
        (to("file:///etc/passwd"), "neither http nor https"),
        (to("/keys"), "more than 3 redirects"),
        (Answer::Silence, "no whole answer within"),
    ] {
        issuer.answers("/keys", answer);
        let told = refused(&world, &one.sign(&claims())).await;
        assert!(told.contains(log), "{log}: {told}");
        world.clock.advance_ms(60_000);
    }
    // Whatever it says its keys are: if they are keys, they count.
    let kind = "Content-Type: text/plain\r\n".to_owned();
    let mut keys = vec![strange; 50];
    keys.push(one.jwk());
    issuer.answers(
        "/keys",
        Answer::Said(200, kind, json!({ "keys": keys }).to_string()),
    );
    logged_in(&world, &one.sign(&claims())).await;
    // Keys that are not looked at, since there are too many before them.
    let mut keys = vec![Signer::two().jwk(); 100];
    keys.push(one.jwk());
    issuer.publishes("/keys", &keys);
    world.clock.advance_ms(2 * 3_600_000);
    let later = json!({ "aud": "fixture-abcde", "sub": "u", "exp": NOW + 90 * 3600 });
    refused(&world, &one.sign(&later)).await;
}

#[tokio::test]
async fn key_servers_on_private_addresses_are_not_asked() {
    let issuer = Issuer::start().await;
    issuer.publishes("/keys", &[Signer::one().jwk()]);
    let config = json!({ "useJWKURI": true, "jwkURI": issuer.url("/keys") });
    let provider = json!({ "config": config, "secret_config": {} });
    let world = World::of(&fixture(&provider), |_| {}).await;
    let log = refused(&world, &Signer::one().sign(&claims())).await;
    assert!(log.contains("does not connect to"), "{log}");
    assert_eq!(issuer.asked("/keys").len(), 0);
}

#[tokio::test]
async fn who_is_disabled_or_gone_does_not_come_back_by_a_token() {
    let world = world_of_a_secret().await;
    let token = signed(&claims());
    let ann = logged_in(&world, &token).await;
    world
        .app
        .set_user_disabled(&ann.user_id, true)
        .await
        .unwrap();
    let reply = login(&world, &token).await;
    assert_eq!(reply.refusal(), "401 UserDisabled");
    world
        .app
        .set_user_disabled(&ann.user_id, false)
        .await
        .unwrap();
    logged_in(&world, &token).await;
    let gone = world.send(auth("DELETE", "delete").bearer(&logged_in(&world, &token).await.access));
    assert_eq!(gone.await.status, 204);
    // The token still proves who it is: a new user.
    let again = logged_in(&world, &token).await;
    assert_ne!(again.user_id, ann.user_id);
}
