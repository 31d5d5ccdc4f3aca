//! Registering and logging in: what is accepted, what is refused and how, and
//! what a storm of either does.

use kit::limit;
use serde_json::json;

use crate::http::Ask;
use crate::world::{APP, World, login, of_app, session};

fn register(body: &str) -> Ask {
    Ask::new("POST", of_app("auth/providers/local-userpass/register")).body(body)
}

#[tokio::test]
async fn registering_checks_name_and_password() {
    let world = World::new().await;
    let ok = world.register("a@b", "123456").await;
    assert_eq!(
        (ok.status, ok.header("content-type"), ok.body.len()),
        (201, None, 0)
    );
    let long = "x".repeat(128);
    assert_eq!(world.register("long", &long).await.status, 201);
    let many = "é".repeat(128);
    assert_eq!(world.register("many", &many).await.status, 201);
    let password = "400 BadRequest password must be between 6 and 128 characters";
    let email = "400 BadRequest email invalid";
    let name = "x".repeat(limit::EMAIL_CHARS_MAX + 1);
    for (body, refusal) in [
        (
            json!({ "email": "a@b", "password": "another" }),
            "409 AccountNameInUse name already in use",
        ),
        (json!({ "email": "c", "password": "12345" }), password),
        (
            json!({ "email": "c", "password": "x".repeat(129) }),
            password,
        ),
        (json!({ "email": "c" }), password),
        (json!({ "email": "c", "password": 123_456 }), password),
        (json!({ "email": "c", "password": { "$ne": "" } }), password),
        (json!({ "email": "", "password": "123456" }), email),
        (json!({ "email": null, "password": "123456" }), email),
        (json!({ "email": ["a@b"], "password": "123456" }), email),
        (
            json!({ "email": { "$gt": "" }, "password": "123456" }),
            email,
        ),
        (json!({ "email": name, "password": "123456" }), email),
        (json!({}), email),
    ] {
        let reply = world.send(register(&body.to_string())).await;
        let found = format!("{} {}", reply.refusal(), reply.error());
        assert_eq!(found, refusal, "{body}");
    }
}

#[tokio::test]
async fn names_are_case_sensitive_and_one_registration_wins() {
    let world = World::new().await;
    assert_eq!(world.register("A@b", "123456").await.status, 201);
    assert_eq!(world.register("a@b", "123456").await.status, 201);
    let all = (0..20).map(|_| world.register("race", "123456"));
    let all = join_all(all).await;
    let won = all.iter().filter(|reply| reply.status == 201).count();
    let lost = all.iter().filter(|reply| reply.status == 409).count();
    assert_eq!((won, lost), (1, 19));
}

pub(crate) async fn join_all<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        all.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done
}

#[tokio::test]
async fn first_logins_at_once_make_one_user() {
    let world = World::new().await;
    world.register("a@b", "123456").await;
    let all = join_all((0..10).map(|_| world.by_password("a@b", "123456"))).await;
    let mut users: Vec<String> = all.iter().map(|reply| session(reply).user_id).collect();
    users.dedup();
    assert_eq!(users.len(), 1);
}

#[tokio::test]
async fn bad_credentials_are_refused_alike() {
    let world = World::new().await;
    world.register("a@b", "123456").await;
    let password = "401 InvalidPassword unauthorized";
    let key = "401 AuthError unauthorized";
    for (provider, body, refusal) in [
        (
            "local-userpass",
            json!({ "username": "a@b", "password": "1234567" }),
            password,
        ),
        (
            "local-userpass",
            json!({ "username": "nobody", "password": "123456" }),
            password,
        ),
        (
            "local-userpass",
            json!({ "username": "a@b", "password": "x".repeat(100_000) }),
            password,
        ),
        (
            "local-userpass",
            json!({ "username": "a@b", "password": "" }),
            password,
        ),
        ("local-userpass", json!({ "username": "a@b" }), password),
        ("local-userpass", json!({ "password": "123456" }), password),
        (
            "local-userpass",
            json!({ "username": { "$ne": "" }, "password": "123456" }),
            password,
        ),
        (
            "local-userpass",
            json!({ "username": "a@b", "password": { "$ne": "" } }),
            password,
        ),
        ("local-userpass", json!({}), password),
        ("api-key", json!({ "key": "x".repeat(64) }), key),
        ("api-key", json!({ "key": "" }), key),
        ("api-key", json!({ "key": { "$ne": "" } }), key),
        ("api-key", json!({}), key),
        (
            "custom-token",
            json!({ "token": "a.b.c" }),
            "404 AuthProviderNotFound authentication provider not found: 'custom-token'",
        ),
        (
            "nothing",
            json!({}),
            "404 AuthProviderNotFound authentication provider not found: 'nothing'",
        ),
    ] {
        let reply = world.login(provider, body.clone()).await;
        let found = format!("{} {}", reply.refusal(), reply.error());
        assert_eq!(found, refusal, "{provider} {body}");
    }
}

#[tokio::test]
async fn a_provider_that_is_off_does_not_exist() {
    let off = APP.replace(
        r#""type": "anon-user", "disabled": false"#,
        r#""type": "anon-user", "disabled": true"#,
    );
    let world = World::of(&off, |_| {}).await;
    let reply = world.login("anon-user", json!({})).await;
    assert_eq!(reply.refusal(), "404 AuthProviderNotFound");
}

#[tokio::test]
async fn an_unconfirmed_account_cannot_log_in() {
    let unconfirmed = APP.replace(r#""autoConfirm": true"#, r#""autoConfirm": false"#);
    let world = World::of(&unconfirmed, |_| {}).await;
    assert_eq!(world.register("a@b", "123456").await.status, 201);
    let right = world.by_password("a@b", "123456").await;
    assert_eq!(right.refusal(), "401 AuthError");
    let wrong = world.by_password("a@b", "654321").await;
    assert_eq!(wrong.refusal(), "401 InvalidPassword");
    assert_eq!(
        world.register("a@b", "123456").await.refusal(),
        "409 AccountNameInUse"
    );
}

#[tokio::test]
async fn devices_keep_their_id() {
    let world = World::new().await;
    let device = |device: serde_json::Value| {
        let world = &world;
        async move {
            let body = json!({ "options": { "device": device } });
            session(&world.login("anon-user", body).await).device_id
        }
    };
    let zeros = "000000000000000000000000";
    let known = "5fd45718cface356de9d104d";
    assert_eq!(world.anonymous().await.device_id, zeros);
    assert_eq!(device(json!({})).await, zeros);
    assert_eq!(
        device(json!({ "deviceId": { "$oid": known } })).await,
        known
    );
    assert_eq!(device(json!({ "deviceId": known })).await, known);
    let new = device(json!({ "platform": "node" })).await;
    assert_ne!(new, zeros);
    assert_eq!(new.len(), 24);
    // What is no id is none.
    for odd in [json!("x"), json!(zeros), json!(7), json!({ "a": 1 })] {
        let id = device(json!({ "deviceId": odd, "platform": "node" })).await;
        assert!(id.len() == 24 && id != zeros, "{odd}");
    }
    // The docs' curl sends neither body nor type.
    let bare = Ask::new("POST", of_app("auth/providers/anon-user/login"));
    assert_eq!(world.send(bare).await.status, 200);
    let odd = world.send(login("anon-user", r#"{"options":7}"#)).await;
    assert_eq!(odd.status, 200);
}

#[tokio::test]
async fn wrong_passwords_are_slowed_down_whether_the_account_exists_or_not() {
    let world = World::new().await;
    world.register("a@b", "123456").await;
    for email in ["a@b", "nobody"] {
        for _ in 0..limit::LOGIN_FAILURES_PER_MINUTE_MAX {
            let reply = world.by_password(email, "wrong horse").await;
            assert_eq!(reply.refusal(), "401 InvalidPassword");
        }
        // The right one too: the answer must not tell it.
        for password in ["wrong horse", "123456"] {
            let reply = world.by_password(email, password).await;
            assert_eq!(reply.refusal(), "429 TooManyRequests");
            assert!(reply.header("retry-after").is_some());
        }
    }
    // Others are not kept waiting, and a minute later it is over.
    world.user("c@d").await;
    world.clock.advance_ms(60_000);
    assert_eq!(world.by_password("a@b", "123456").await.status, 200);
}

#[tokio::test]
async fn good_logins_do_not_count() {
    let world = World::new().await;
    world.register("a@b", "123456").await;
    for _ in 0..3 * limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        assert_eq!(world.by_password("a@b", "123456").await.status, 200);
    }
}
