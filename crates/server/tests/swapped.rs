//! Tokens and keys that are real but not for this: of somebody else, of another
//! session, of another app, of before; and headers that say how to check them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use state::MasterKey;

use crate::http::{Ask, Reply, raw};
use crate::streams::Stream;
use crate::world::{Session, World, auth, call, login, of_app, session, watch};

const OUT: &str = "401 InvalidSession";

/// The key that signs an app's tokens, as who has the server's files and its
/// master key knows it.
async fn key_of(world: &World, app_id: &str) -> Vec<u8> {
    let record = world.core.state.apps.get(app_id).await.unwrap().unwrap();
    MasterKey::from_text("test")
        .open(&record.signing_key)
        .unwrap()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
}

/// Signed with a key, whatever the header says.
fn signed(key: &[u8], header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(key);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256);
    format!("{signed}.{}", signature.unwrap())
}

fn header() -> Value {
    json!({ "alg": "HS256", "typ": "JWT", "kid": "0" })
}

type Doors = Vec<(&'static str, Ask)>;

/// Every door of an access token, and then every door of a refresh token.
fn doors() -> (Doors, Doors) {
    let link = of_app("auth/providers/anon-user/login?link=true");
    let by_access = vec![
        (
            "call",
            Ask::new("POST", of_app("functions/call")).body(r#"{"name":"echo"}"#),
        ),
        ("watch", watch("")),
        ("profile", auth("GET", "profile")),
        ("link", Ask::new("POST", link).body("{}")),
        ("delete", auth("DELETE", "delete")),
    ];
    let key = "api_keys/000000000000000000000000";
    let by_refresh = vec![
        ("refresh", auth("POST", "session")),
        ("keys", auth("GET", "api_keys")),
        ("key", auth("GET", key)),
        ("new key", auth("POST", "api_keys").body(r#"{"name":"k"}"#)),
        ("key off", auth("PUT", &format!("{key}/disable"))),
        ("key on", auth("PUT", &format!("{key}/enable"))),
        ("key gone", auth("DELETE", key)),
        ("logout", auth("DELETE", "session")),
    ];
    (by_access, by_refresh)
}

/// A token opens no door at all.
async fn opens_nothing(world: &World, what: &str, token: &str) {
    let (by_access, by_refresh) = doors();
    for (door, ask) in by_access.into_iter().chain(by_refresh) {
        let refused = world.send(ask.bearer(token)).await;
        assert_eq!(refused.refusal(), OUT, "{what}: {door}");
    }
}

async fn both_live(world: &World, session: &Session) {
    assert_eq!(world.with_access(&session.access).await, "200");
    assert_eq!(world.with_refresh(&session.refresh).await, "201");
}

#[tokio::test]
async fn a_token_is_for_the_doors_of_its_kind() {
    let world = World::new().await;
    let ann = world.user("ann@b").await;
    let (by_access, by_refresh) = doors();
    for (door, ask) in by_access {
        let refused = world.send(ask.bearer(&ann.refresh)).await;
        assert_eq!(refused.refusal(), OUT, "{door}");
    }
    for (door, ask) in by_refresh {
        let refused = world.send(ask.bearer(&ann.access)).await;
        assert_eq!(refused.refusal(), OUT, "{door}");
    }
    // Nor in the query, where streams take it.
    let query = watch(&format!("&baas_at={}", ann.refresh));
    assert_eq!(world.send(query).await.refusal(), OUT);
    both_live(&world, &ann).await;
}

#[tokio::test]
async fn parts_of_tokens_do_not_fit_together() {
    let world = World::new().await;
    let (ann, bob) = (world.user("ann@b").await, world.user("bob@b").await);
    let second = session(&world.by_password("ann@b", "correct horse").await);
    let tokens = [
        &ann.access,
        &ann.refresh,
        &bob.access,
        &bob.refresh,
        &second.access,
    ];
    for (n, of) in tokens.iter().enumerate() {
        for (m, with) in tokens.iter().enumerate().filter(|(m, _)| *m != n) {
            let (claims, _) = of.rsplit_once('.').unwrap();
            let (_, signature) = with.rsplit_once('.').unwrap();
            let mixed = format!("{claims}.{signature}");
            opens_nothing(&world, &format!("{n} signed as {m}"), &mixed).await;
        }
    }
    for session in [&ann, &bob, &second] {
        both_live(&world, session).await;
    }
}

#[tokio::test]
async fn claims_that_do_not_belong_together_open_nothing_even_if_signed() {
    let world = World::new().await;
    let other = world.second_app().await;
    let key = key_of(&world, &world.app.id).await;
    let (ann, bob) = (world.user("ann@b").await, world.user("bob@b").await);
    let at = |path: &str| format!("/api/client/v2.0/app/{}/{path}", other.client_app_id);
    let there = Ask::new("POST", at("auth/providers/anon-user/login"));
    let there = session(&world.send(there).await);
    let change = |token: &str, changes: &[(&str, Value)]| {
        let mut claims = claims(token);
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        claims
    };
    let bobs = claims(&bob.access)["iss"].clone();
    let theirs = claims(&there.access)["iss"].clone();
    let (access, refresh) = (&ann.access, &ann.refresh);
    // As they are, the test's own signature is good.
    assert_eq!(
        world
            .with_access(&signed(&key, &header(), &claims(access)))
            .await,
        "200"
    );
    assert_eq!(
        world
            .with_refresh(&signed(&key, &header(), &claims(refresh)))
            .await,
        "201"
    );
    for (what, claims) in [
        (
            "another user in the session",
            change(access, &[("sub", json!(bob.user_id))]),
        ),
        (
            "another user's session",
            change(access, &[("iss", bobs.clone())]),
        ),
        (
            "another app's user",
            change(access, &[("sub", json!(there.user_id))]),
        ),
        (
            "another app's user and session",
            change(
                access,
                &[("sub", json!(there.user_id)), ("iss", theirs.clone())],
            ),
        ),
        ("no user", change(access, &[("sub", json!(""))])),
        ("no session", change(access, &[("iss", json!(""))])),
        (
            "another user, to refresh",
            change(refresh, &[("sub", json!(bob.user_id))]),
        ),
        (
            "another's session, to refresh",
            change(refresh, &[("baas_id", bobs)]),
        ),
        (
            "another app's, to refresh",
            change(
                refresh,
                &[("sub", json!(there.user_id)), ("baas_id", theirs)],
            ),
        ),
        (
            "access called refresh",
            change(access, &[("typ", json!("refresh"))]),
        ),
        (
            "refresh called access",
            change(refresh, &[("typ", json!("access"))]),
        ),
        ("neither", change(access, &[("typ", json!("id"))])),
    ] {
        opens_nothing(&world, what, &signed(&key, &header(), &claims)).await;
    }
    // What one app signs counts nowhere else, whatever it says whose it is.
    let other_key = key_of(&world, &other.id).await;
    for domain in [&world.app.domain_id, &other.domain_id] {
        for (sub, iss) in [(&ann.user_id, access), (&there.user_id, &there.access)] {
            let iss = claims(iss)["iss"].clone();
            let changes = [
                ("sub", json!(sub)),
                ("iss", iss),
                ("baas_domain_id", json!(domain)),
            ];
            let token = signed(&other_key, &header(), &change(access, &changes));
            assert_ne!(world.with_access(&token).await, "200", "{domain} {sub}");
            let theirs = Ask::new("POST", at("functions/call")).body(r#"{"name":"echo"}"#);
            let reply = world.send(theirs.bearer(&token)).await;
            // Its own user in its own session is the only one whom it names.
            let own = *sub == there.user_id;
            assert_eq!(reply.status == 200, own, "{domain} {sub}");
        }
    }
    for session in [&ann, &bob] {
        both_live(&world, session).await;
    }
}

#[tokio::test]
async fn headers_do_not_say_how_a_token_is_checked() {
    let world = World::new().await;
    let key = key_of(&world, &world.app.id).await;
    let ann = world.user("ann@b").await;
    let good = claims(&ann.access);
    let of = |name: &str, value: Value| {
        let mut header = header();
        header[name] = value;
        signed(&key, &header, &good)
    };
    let stripped = |alg: &str| {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": "0" });
        let whole = signed(&key, &header, &good);
        format!("{}.", whole.rsplit_once('.').unwrap().0)
    };
    let by = |algorithm| {
        let header = Header {
            kid: Some("0".to_owned()),
            ..Header::new(algorithm)
        };
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(&key)).unwrap()
    };
    for (what, token) in [
        ("none", of("alg", json!("none"))),
        ("none and no signature", stripped("none")),
        ("None and no signature", stripped("None")),
        ("no signature", stripped("HS256")),
        ("HS384 in name", of("alg", json!("HS384"))),
        ("HS384 with the right key", by(Algorithm::HS384)),
        ("HS512 with the right key", by(Algorithm::HS512)),
        ("RS256", of("alg", json!("RS256"))),
        ("ES256", of("alg", json!("ES256"))),
        ("small letters", of("alg", json!("hs256"))),
        ("a list of algorithms", of("alg", json!(["HS256"]))),
        ("none at all", of("alg", Value::Null)),
        ("a huge key number", of("kid", json!("9223372036854775807"))),
        ("a larger one", of("kid", json!("18446744073709551616"))),
        ("a million digits", of("kid", json!("9".repeat(20_000)))),
        ("a negative one", of("kid", json!("-1"))),
        ("the least", of("kid", json!("-9223372036854775808"))),
        ("a fraction", of("kid", json!("0.0"))),
        ("in hexadecimal", of("kid", json!("0x0"))),
        ("an empty one", of("kid", json!(""))),
        ("a space", of("kid", json!(" 0"))),
        ("a path", of("kid", json!("../../../../dev/null"))),
        ("a file", of("kid", json!("file:///etc/hostname"))),
        ("a query", of("kid", json!("0' OR '1'='1"))),
        ("an operator", of("kid", json!({ "$gte": 0 }))),
        ("a zero byte", of("kid", json!("0\u{0}"))),
        ("a number as such", of("kid", json!(0))),
    ] {
        opens_nothing(&world, what, &token).await;
    }
    // Keys and places of keys in the header are not looked at.
    let jwk = json!({ "kty": "oct", "k": BASE64.encode("mine"), "alg": "HS256" });
    let mut own = header();
    own["jwk"] = jwk;
    own["jku"] = json!("http://127.0.0.1:1/keys");
    opens_nothing(&world, "a key of its own", &signed(b"mine", &own, &good)).await;
    assert_eq!(
        world.with_access(&signed(&key, &header(), &good)).await,
        "200"
    );
    both_live(&world, &ann).await;
}

#[tokio::test]
async fn what_was_ended_does_not_come_back() {
    let world = World::new().await;
    let ann = world.user("ann@b").await;
    let out = auth("DELETE", "session").bearer(&ann.refresh);
    assert_eq!(world.send(out).await.status, 204);
    for _ in 0..2 {
        opens_nothing(&world, "access after logout", &ann.access).await;
        opens_nothing(&world, "refresh after logout", &ann.refresh).await;
    }
    // Another session of hers wakes nothing up.
    let second = session(&world.by_password("ann@b", "correct horse").await);
    opens_nothing(&world, "refresh after a new login", &ann.refresh).await;
    let make = auth("POST", "api_keys").body(r#"{"name":"k"}"#);
    let made = world.send(make.bearer(&second.refresh)).await.json();
    let by_key = login("api-key", &json!({ "key": made["key"] }).to_string());
    let by_key = || by_key.clone();
    let third = session(&world.send(by_key()).await);
    let gone = auth("DELETE", "delete").bearer(&second.access);
    assert_eq!(world.send(gone).await.status, 204);
    // Somebody else has the address now.
    let new = world.user("ann@b").await;
    assert_ne!(new.user_id, ann.user_id);
    for old in [&ann, &second, &third] {
        opens_nothing(&world, "access of who is gone", &old.access).await;
        opens_nothing(&world, "refresh of who is gone", &old.refresh).await;
    }
    assert_eq!(world.send(by_key()).await.refusal(), "401 AuthError");
    let keys = world
        .send(auth("GET", "api_keys").bearer(&new.refresh))
        .await;
    assert_eq!(keys.json(), json!([]));
    both_live(&world, &new).await;
}

#[tokio::test]
async fn the_tokens_of_an_app_go_with_it() {
    let world = World::new().await;
    let ann = world.user("ann@b").await;
    let made = world.app.create_api_key(&ann.user_id, "k").await.unwrap();
    both_live(&world, &ann).await;
    let mut stream = Stream::open(&world, watch("").bearer(&ann.access)).await;
    world.core.delete_app(&world.app).await.unwrap();
    while stream.event().await.is_some() {}
    let of_no_app = |reply: &Reply| reply.refusal();
    for token in [&ann.access, &ann.refresh] {
        let (by_access, by_refresh) = doors();
        for (door, ask) in by_access.into_iter().chain(by_refresh) {
            let refused = world.send(ask.bearer(token)).await;
            let expected = match door {
                "call" | "watch" | "link" => 404,
                _ => 401,
            };
            assert_eq!(refused.status, expected, "{door} {}", of_no_app(&refused));
        }
    }
    // Nor do they count in an app of the same name that comes after it.
    world.another(crate::world::APP, "fixture-abcde").await;
    for token in [&ann.access, &ann.refresh] {
        opens_nothing(&world, "an app before", token).await;
    }
    let by_key = login("api-key", &json!({ "key": made.key }).to_string());
    assert_eq!(world.send(by_key).await.refusal(), "401 AuthError");
    let by_password = world.by_password("ann@b", "correct horse").await;
    assert_eq!(by_password.refusal(), "401 InvalidPassword");
}

#[tokio::test]
async fn tokens_of_a_million_characters_are_cut_short() {
    let world = World::new().await;
    let ann = world.user("ann@b").await;
    let mut large = claims(&ann.access);
    large["x"] = json!("x".repeat(750_000));
    let key = key_of(&world, &world.app.id).await;
    let large = signed(&key, &header(), &large);
    assert!(large.len() > 1_000_000);
    for ask in [
        call(&large, "{}"),
        auth("GET", "profile").bearer(&large),
        auth("POST", "session").bearer(&large),
        watch(&format!("&baas_at={large}")),
    ] {
        let said = raw(world.address, &ask.header("Connection", "close").bytes()).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        // Who still writes may not hear it.
        let refused = said.starts_with("HTTP/1.1 431 ") || said.starts_with("HTTP/1.1 414 ");
        assert!(refused || said.is_empty(), "{said}");
    }
    both_live(&world, &ann).await;
}

/// Links an account to the user of an access token.
async fn link(world: &World, token: &str, email: &str) -> Reply {
    let body = json!({ "username": email, "password": "correct horse" });
    let path = of_app("auth/providers/local-userpass/login?link=true");
    let ask = Ask::new("POST", path).body(body.to_string());
    world.send(ask.bearer(token)).await
}

#[tokio::test]
async fn nobody_gets_into_an_account_by_linking() {
    let world = World::new().await;
    let second = world.second_app().await;
    let (ann, thief) = (world.user("ann@b").await, world.anonymous().await);
    let identities = async |session: &Session| {
        let user = world.app.user(&session.user_id).await.unwrap();
        user.keys
    };
    let before = (identities(&ann).await, identities(&thief).await);
    // Hers stays hers, also when her password is known, or she logs in where
    // somebody else is logged in.
    let refused = link(&world, &thief.access, "ann@b").await;
    assert_eq!(refused.refusal(), "401 AuthError");
    // A token that is no access token of this app's links nothing.
    assert_eq!(world.register("new@b", "correct horse").await.status, 201);
    let path = format!(
        "/api/client/v2.0/app/{}/auth/providers/anon-user/login",
        second.client_app_id
    );
    let there = session(&world.send(Ask::new("POST", path)).await);
    for (token, refusal) in [
        (&ann.refresh, OUT),
        (&there.access, "401 UserAppDomainMismatch"),
        (&there.refresh, "401 UserAppDomainMismatch"),
        (&"x".repeat(100), OUT),
    ] {
        assert_eq!(link(&world, token, "new@b").await.refusal(), refusal);
    }
    world
        .app
        .set_user_disabled(&thief.user_id, true)
        .await
        .unwrap();
    assert_eq!(link(&world, &thief.access, "new@b").await.refusal(), OUT);
    world
        .app
        .set_user_disabled(&thief.user_id, false)
        .await
        .unwrap();
    let after = (identities(&ann).await, identities(&thief).await);
    assert_eq!(after, before);
    // The account is not used up by any of it: its owner is somebody new.
    let new = session(&world.by_password("new@b", "correct horse").await);
    assert!(![&ann.user_id, &thief.user_id, &there.user_id].contains(&&new.user_id));
    // Of two who link one account, one does; the other keeps what it has.
    assert_eq!(world.register("one@b", "correct horse").await.status, 201);
    let other = world.anonymous().await;
    let (a, b) = tokio::join!(
        link(&world, &thief.access, "one@b"),
        link(&world, &other.access, "one@b")
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let winner = if a.status == 200 { &thief } else { &other };
    let found = session(&world.by_password("one@b", "correct horse").await);
    assert_eq!(found.user_id, winner.user_id);
}

#[tokio::test]
async fn a_key_is_good_for_one_app_and_while_its_user_is() {
    let world = World::new().await;
    let second = world.second_app().await;
    let ann = world.user("ann@b").await;
    let made = world.app.create_api_key(&ann.user_id, "k").await.unwrap();
    let theirs = second.create_api_key("", "k").await.unwrap();
    let by_key = async |key: &str| world.login("api-key", json!({ "key": key })).await;
    let key = made.key.as_str();
    for (what, guess) in [
        ("another app's", theirs.key.clone()),
        ("its id", made.record.id.clone()),
        ("its digest", made.record.hash.clone()),
        ("small letters", key.to_lowercase()),
        ("a space", format!("{key} ")),
        ("cut off", key[1..].to_owned()),
        ("twice", format!("{key}{key}")),
        ("with a zero byte", format!("{key}\0")),
    ] {
        let refused = by_key(&guess).await;
        assert_eq!(refused.refusal(), "401 AuthError", "{what}");
        assert_eq!(refused.error(), "unauthorized");
    }
    let path = format!(
        "/api/client/v2.0/app/{}/auth/providers/api-key/login",
        second.client_app_id
    );
    let there = Ask::new("POST", path).body(json!({ "key": key }).to_string());
    assert_eq!(world.send(there).await.refusal(), "401 AuthError");
    let by_it = session(&by_key(key).await);
    assert_eq!(by_it.user_id, ann.user_id);
    world
        .app
        .set_user_disabled(&ann.user_id, true)
        .await
        .unwrap();
    assert_eq!(by_key(key).await.refusal(), "401 UserDisabled");
    assert_eq!(world.with_access(&by_it.access).await, OUT);
    assert_eq!(world.with_refresh(&by_it.refresh).await, OUT);
    world
        .app
        .set_user_disabled(&ann.user_id, false)
        .await
        .unwrap();
    both_live(&world, &by_it).await;
    let gone = auth("DELETE", "delete").bearer(&by_it.access);
    assert_eq!(world.send(gone).await.status, 204);
    assert_eq!(by_key(key).await.refusal(), "401 AuthError");
}
