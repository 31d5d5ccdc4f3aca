//! Who guesses: how often, from where, until when; and what the answers tell
//! about whether there is an account.

use app::mail::{MailSettings, Outlet};
use jsonwebtoken::{EncodingKey, Header};
use kit::limit::{ADDRESS_FAILURES_PER_MINUTE_MAX, LOGIN_FAILURES_PER_MINUTE_MAX};
use serde_json::{Value, json};

use crate::http::{Ask, Reply};
use crate::userpass::{userpass, with_config};
use crate::world::{World, auth, login, session};

const BY_MAIL: &str = r#"{ "autoConfirm": false }"#;

/// A world of accounts that mails confirm, of custom tokens, and of clients behind
/// a proxy that says who they are.
async fn world() -> World {
    let provider = json!({
        "name": "custom-token", "type": "custom-token", "disabled": false,
        "config": { "signingAlgorithm": "HS256" }, "secret_config": { "signingKeys": ["key"] },
    });
    let provider = format!("\"custom-token\": {provider}, \"anon-user\"");
    let fixture = with_config(BY_MAIL).replacen("\"anon-user\"", &provider, 1);
    let mail = MailSettings {
        outlet: Outlet::Shown,
        ..MailSettings::default()
    };
    let world = World::mailing(&fixture, mail, |listening| {
        listening.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let secret = "My_very_confidential_secretttttt";
    world.app.create_secret("key", secret).await.unwrap();
    world
}

async fn from(world: &World, address: &str, ask: Ask) -> Reply {
    world.send(ask.header("X-Forwarded-For", address)).await
}

fn by_password(email: &str, password: &str) -> Ask {
    let body = json!({ "username": email, "password": password });
    login("local-userpass", &body.to_string())
}

/// Registers and confirms.
async fn account(world: &World, email: &str) {
    assert_eq!(world.register(email, "correct horse").await.status, 201);
    world.app.confirm_pending(email).await.unwrap();
}

/// Refused for so many seconds.
fn wait(reply: &Reply) -> u32 {
    assert_eq!(reply.refusal(), "429 TooManyRequests");
    assert_eq!(reply.error(), "too many failed logins, try again later");
    reply.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_account_is_tried_ten_times_a_minute_from_an_address() {
    let world = world().await;
    account(&world, "ann@b").await;
    for n in 0..LOGIN_FAILURES_PER_MINUTE_MAX {
        // A good one in between does not wipe the bad ones out.
        if n == LOGIN_FAILURES_PER_MINUTE_MAX - 1 {
            let good = from(&world, "10.0.0.1", by_password("ann@b", "correct horse")).await;
            assert_eq!(good.status, 200);
        }
        let wrong = from(&world, "10.0.0.1", by_password("ann@b", "a guess")).await;
        assert_eq!(wrong.refusal(), "401 InvalidPassword", "{n}");
        world.clock.advance_ms(500);
    }
    // Five seconds of the minute are over.
    let again = || from(&world, "10.0.0.1", by_password("ann@b", "correct horse"));
    assert_eq!(wait(&again().await), 55);
    world.clock.advance_ms(1);
    assert_eq!(wait(&again().await), 55);
    world.clock.advance_ms(999);
    assert_eq!(wait(&again().await), 54);
    // Asking makes it no longer; she comes in from elsewhere.
    let elsewhere = from(&world, "10.0.0.2", by_password("ann@b", "correct horse")).await;
    assert_eq!(elsewhere.status, 200);
    let wrong = from(&world, "10.0.0.2", by_password("ann@b", "a guess")).await;
    assert_eq!(wrong.refusal(), "401 InvalidPassword");
    // That she did so opens nothing here.
    assert_eq!(wait(&again().await), 54);
    // Her name in other letters is another, and no way around it.
    let other = from(&world, "10.0.0.1", by_password("ANN@b", "correct horse")).await;
    assert_eq!(other.refusal(), "401 InvalidPassword");
    // When it says so, and not before.
    world.clock.advance_ms(53_999);
    assert_eq!(wait(&again().await), 1);
    world.clock.advance_ms(1);
    assert_eq!(again().await.status, 200);
}

/// Every request that guesses, as it is the `n`th time, and its refusal.
fn guesses(n: u32) -> Vec<(&'static str, Ask, &'static str)> {
    let claims = json!({ "aud": "fixture-abcde", "sub": "u", "exp": 1_800_000_000 });
    let key = EncodingKey::from_secret(format!("{n:032}").as_bytes());
    let forged = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    let token = format!("{n:0128x}");
    let link = json!({ "token": token, "tokenId": "0".repeat(24), "password": "correct horse" });
    let email = json!({ "email": format!("nobody{n}@b") });
    let taken = json!({ "email": "ann@b", "password": "correct horse" });
    let key = json!({ "key": format!("{n:064}") }).to_string();
    vec![
        ("key", login("api-key", &key), "401 AuthError"),
        (
            "token",
            login("custom-token", &json!({ "token": forged }).to_string()),
            "401 AuthError",
        ),
        // Of an account each, none of which is tried too often.
        (
            "password",
            by_password(&format!("u{n}@b"), "a guess"),
            "401 InvalidPassword",
        ),
        (
            "confirm",
            userpass("confirm", &link),
            "400 UserpassTokenInvalid",
        ),
        (
            "reset",
            userpass("reset", &link),
            "400 UserpassTokenInvalid",
        ),
        (
            "confirm/send",
            userpass("confirm/send", &email),
            "404 UserNotFound",
        ),
        (
            "reset/send",
            userpass("reset/send", &email),
            "404 UserNotFound",
        ),
        (
            "reset/call",
            userpass("reset/call", &email),
            "404 UserNotFound",
        ),
        (
            "register",
            userpass("register", &taken),
            "409 AccountNameInUse",
        ),
    ]
}

#[tokio::test]
async fn an_address_fails_a_hundred_times_a_minute_whatever_it_guesses() {
    let world = world().await;
    account(&world, "ann@b").await;
    let ann = session(&world.by_password("ann@b", "correct horse").await);
    let kinds = guesses(0).len();
    for kind in 0..kinds {
        let address = format!("10.1.0.{kind}");
        for n in 0..ADDRESS_FAILURES_PER_MINUTE_MAX {
            let (what, ask, refusal) = guesses(n).swap_remove(kind);
            let refused = from(&world, &address, ask).await;
            assert_eq!(refused.refusal(), refusal, "{what} {n}");
        }
        world.clock.advance_ms(1500);
        // Whatever is guessed next, and the right password too.
        for (what, ask, _) in guesses(ADDRESS_FAILURES_PER_MINUTE_MAX) {
            assert_eq!(wait(&from(&world, &address, ask).await), 59, "{what}");
        }
        let right = || by_password("ann@b", "correct horse");
        assert_eq!(wait(&from(&world, &address, right()).await), 59);
        let anonymous = || login("anon-user", "{}");
        assert_eq!(wait(&from(&world, &address, anonymous()).await), 59);
        // Who is in already is not kept out.
        let renew = auth("POST", "session").bearer(&ann.refresh);
        assert_eq!(from(&world, &address, renew).await.status, 201);
        // Nor is anybody else.
        let elsewhere = from(&world, "10.2.0.1", right()).await;
        assert_eq!(elsewhere.status, 200);
        world.clock.advance_ms(58_500);
        assert_eq!(from(&world, &address, right()).await.status, 200);
        assert_eq!(from(&world, &address, anonymous()).await.status, 200);
    }
}

#[tokio::test]
async fn the_kinds_of_guesses_are_counted_together() {
    let world = world().await;
    account(&world, "ann@b").await;
    let mut failed = 0;
    'all: for n in 0.. {
        for (what, ask, refusal) in guesses(n) {
            if failed == ADDRESS_FAILURES_PER_MINUTE_MAX {
                assert_eq!(wait(&from(&world, "2001:db8:1:2::1", ask).await), 60);
                break 'all;
            }
            // Somebody has all the addresses of a network.
            let address = format!("2001:db8:1:2::{failed:x}");
            let refused = from(&world, &address, ask).await;
            assert_eq!(refused.refusal(), refusal, "{what} {n}");
            failed += 1;
        }
    }
    let (_, ask, refusal) = guesses(1000).swap_remove(0);
    let next = from(&world, "2001:db8:1:3::1", ask).await;
    assert_eq!(next.refusal(), refusal);
}

#[tokio::test]
async fn what_is_no_guess_does_not_count() {
    let world = world().await;
    account(&world, "ann@b").await;
    let bad_link = json!({ "token": "x", "tokenId": "y" });
    let short = json!({ "email": "new@b", "password": "x" });
    for _ in 0..=ADDRESS_FAILURES_PER_MINUTE_MAX / 4 {
        for (ask, expected) in [
            (userpass("confirm", &bad_link), "400 BadRequest"),
            (userpass("register", &short), "400 BadRequest"),
            (login("nothing", "{}"), "404 AuthProviderNotFound"),
            (
                userpass("confirm/send", &json!({ "email": "ann@b" })),
                "400 UserAlreadyConfirmed",
            ),
        ] {
            assert_eq!(from(&world, "10.0.0.1", ask).await.refusal(), expected);
        }
        let good = from(&world, "10.0.0.1", by_password("ann@b", "correct horse")).await;
        assert_eq!(good.status, 200);
    }
}

/// What there may be to an address.
const ACCOUNTS: [&str; 6] = [
    "existing",
    "confirmed",
    "pending",
    "disabled",
    "deleted",
    "unknown",
];

/// Accounts of each kind, anew.
async fn accounts(world: &World) {
    for email in ACCOUNTS {
        if email == "unknown" {
            continue;
        }
        assert_eq!(
            world
                .register(email_of(email).as_str(), "correct horse")
                .await
                .status,
            201
        );
        if email == "pending" {
            continue;
        }
        world.app.confirm_pending(&email_of(email)).await.unwrap();
        if email == "confirmed" {
            continue;
        }
        let user = session(&world.by_password(&email_of(email), "correct horse").await);
        match email {
            "disabled" => world
                .app
                .set_user_disabled(&user.user_id, true)
                .await
                .unwrap(),
            "deleted" => {
                let gone = auth("DELETE", "delete").bearer(&user.access);
                assert_eq!(world.send(gone).await.status, 204);
            }
            _ => {}
        }
    }
}

fn email_of(account: &str) -> String {
    format!("{account}@b")
}

#[tokio::test]
async fn what_tells_that_there_is_an_account_is_in_the_guide_and_nothing_else() {
    let world = world().await;
    accounts(&world).await;
    let wrong = "401 InvalidPassword unauthorized";
    let nobody = "404 UserNotFound user not found";
    let confirmed = "400 UserAlreadyConfirmed already confirmed";
    let taken = "409 AccountNameInUse name already in use";
    let by_mail = "400 BadRequest please use reset password via email";
    let invalid = "400 UserpassTokenInvalid userpass token is expired or invalid";
    let pending = "401 AuthError unauthorized";
    let disabled = "401 UserDisabled user disabled";
    let no_function = "400 BadRequest cannot run confirmation for {email}: \
                       no confirmation function is enabled";
    let link = json!({ "token": "0".repeat(128), "tokenId": "0".repeat(24) });
    let with = |email: &str, mut body: Value| {
        body["email"] = json!(email);
        body["password"] = json!("another horse");
        body
    };
    type Asks<'a> = &'a dyn Fn(&str) -> Ask;
    let routes: [(&str, Asks<'_>, [&str; 6]); 10] = [
        (
            "wrong password",
            &|email| by_password(email, "a guess"),
            [wrong; 6],
        ),
        (
            "no password",
            &|email| login("local-userpass", &json!({ "username": email }).to_string()),
            [wrong; 6],
        ),
        (
            "right password",
            &|email| by_password(email, "correct horse"),
            ["200", "200", pending, disabled, wrong, wrong],
        ),
        (
            "confirm/send",
            &|email| userpass("confirm/send", &with(email, json!({}))),
            [confirmed, confirmed, "200", confirmed, nobody, nobody],
        ),
        (
            "confirm/call",
            &|email| userpass("confirm/call", &with(email, json!({}))),
            [no_function; 6],
        ),
        (
            "confirm",
            &|email| userpass("confirm", &with(email, link.clone())),
            [invalid; 6],
        ),
        (
            "reset/send",
            &|email| userpass("reset/send", &with(email, json!({}))),
            ["200", "200", "200", "200", nobody, nobody],
        ),
        (
            "reset/call",
            &|email| userpass("reset/call", &with(email, json!({}))),
            [by_mail, by_mail, by_mail, by_mail, nobody, nobody],
        ),
        (
            "reset",
            &|email| userpass("reset", &with(email, link.clone())),
            [invalid; 6],
        ),
        // The last, as it makes some.
        (
            "register",
            &|email| userpass("register", &with(email, json!({}))),
            [taken, taken, taken, taken, "201", "201"],
        ),
    ];
    let guide = include_str!("../../../docs/guide/users.md");
    for (route, ask, expected) in routes {
        let mut told = Vec::new();
        for account in ACCOUNTS {
            let email = email_of(account);
            let reply = world.send(ask(&email)).await;
            told.push(match reply.status {
                200..300 => reply.status.to_string(),
                _ => format!("{} {}", reply.refusal(), reply.error()).replace(&email, "{email}"),
            });
        }
        assert_eq!(told, expected, "{route}");
        // What is said of one account and not of another is documented by its code.
        let tells = expected.iter().any(|answer| *answer != expected[0]);
        for answer in expected.iter().filter(|_| tells) {
            let mut words = answer.split(' ').skip(1);
            let Some(code) = words.next() else { continue };
            assert!(guide.contains(&format!("`{code}`")), "{route} {code}");
        }
    }
}
