//! Users, server keys and login providers as administrators see and change them,
//! and what a change does to who logs in.

use std::sync::Arc;

use app::users::{Device, Login};
use app::{App, RequestInfo};
use bson::{Document, doc};
use kit::clock::FakeClock;
use kit::limit;
use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NOW_S: i64 = 1_700_000_000;
const NOBODY: &str = "0123456789abcdef01234567";

/// With a clock that a test moves.
async fn world() -> (World, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::at(NOW_S * 1000));
    (World::with_clock(clock.clone()).await, clock)
}

/// An app with accounts, anonymous users and API keys.
async fn shop<'a>(operator: &'a crate::Administrator<'a>) -> (AppAdmin<'a>, Arc<App>) {
    let app = operator.app("shop").await;
    let accounts = json!({ "type": "local-userpass", "config": { "autoConfirm": true } });
    app.made("/auth_providers", accounts).await;
    let anonymous = json!({ "type": "anon-user" });
    app.made("/auth_providers", anonymous).await;
    let keys = provider(&app, "api-key").await;
    app.done(204, "PUT", &format!("{keys}/enable"), json!({}))
        .await;
    let served = operator.world.core.app(&app.id).await.unwrap();
    (app, served)
}

/// The path of a provider.
async fn provider(app: &AppAdmin<'_>, kind: &str) -> String {
    let all = app.done(200, "GET", "/auth_providers", Value::Null).await;
    let mut all = all.as_array().unwrap().iter();
    let one = all.find(|one| one["type"] == kind).unwrap();
    format!("/auth_providers/{}", one["_id"].as_str().unwrap())
}

async fn login(app: &Arc<App>, provider: &str, credentials: Document) -> Result<Login, String> {
    let (device, info) = (Device::default(), RequestInfo::default());
    app.login(provider, &credentials, device, &info)
        .await
        .map_err(|problem| problem.code.to_string())
}

async fn by_password(app: &Arc<App>, email: &str) -> Result<Login, String> {
    let credentials = doc! { "username": email, "password": "correct horse" };
    login(app, "local-userpass", credentials).await
}

async fn by_key(app: &Arc<App>, key: &Value) -> Result<Login, String> {
    login(app, "api-key", doc! { "key": key.as_str().unwrap() }).await
}

fn user(email: &str) -> Value {
    json!({ "email": email, "password": "correct horse" })
}

#[tokio::test]
async fn users_are_listed_in_order_and_narrowed() {
    let (world, clock) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        clock.advance_ms(1000);
        ids.push(app.made("/users", user(&format!("u{n}@x"))).await);
    }
    clock.advance_ms(1000);
    ids.push(login(&served, "anon-user", doc! {}).await.unwrap().user_id);
    for at in [1, 4, 6] {
        let path = format!("/users/{}/disable", ids[at]);
        app.done(204, "PUT", &path, Value::Null).await;
    }
    let listed = async |query: &str| -> Vec<usize> {
        let path = format!("/users?{query}");
        let all = app.done(200, "GET", &path, Value::Null).await;
        let all = all.as_array().unwrap().iter();
        all.map(|one| ids.iter().position(|id| one["_id"] == **id).unwrap())
            .collect()
    };
    let (second, fourth, last) = (&ids[2], &ids[4], &ids[6]);
    for (query, expected) in [
        ("", vec![0, 1, 2, 3, 4, 5, 6]),
        ("sort=_id", vec![0, 1, 2, 3, 4, 5, 6]),
        ("sort=_id&desc=true", vec![6, 5, 4, 3, 2, 1, 0]),
        (
            "sort=&desc=false&after=&status=&limit=",
            vec![0, 1, 2, 3, 4, 5, 6],
        ),
        ("limit=2", vec![0, 1]),
        ("limit=0", vec![0, 1, 2, 3, 4, 5, 6]),
        ("limit=1000", vec![0, 1, 2, 3, 4, 5, 6]),
        (&format!("after={second}&limit=2"), vec![3, 4]),
        (&format!("after={second}&desc=true"), vec![1, 0]),
        (&format!("after={last}"), vec![]),
        ("status=enabled", vec![0, 2, 3, 5]),
        ("status=disabled", vec![1, 4, 6]),
        ("status=disabled&provider_types=local-userpass", vec![1, 4]),
        (
            "status=disabled&provider_types=anon-user,local-userpass",
            vec![1, 4, 6],
        ),
        ("provider_types=anon-user&provider_types=api-key", vec![6]),
        ("provider_types=oauth2-google", vec![]),
        (&format!("status=enabled&after={fourth}"), vec![5]),
        (
            &format!("status=disabled&desc=true&after={last}&limit=1"),
            vec![4],
        ),
    ] {
        assert_eq!(listed(query).await, expected, "{query}");
    }
    for query in [
        "sort=email",
        "desc=maybe",
        "limit=-1",
        "limit=1.5",
        "limit=99999999999999999999",
        "status=pending",
    ] {
        let refused = app
            .call("GET", &format!("/users?{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{query}");
    }
    // What another app has is nobody here.
    let other = operator.app("other").await;
    let none = other
        .done(200, "GET", &format!("/users?after={second}"), Value::Null)
        .await;
    assert_eq!(none, json!([]));
    let refused = other
        .call("GET", &format!("/users/{second}"), Value::Null)
        .await;
    assert_eq!(refused.refusal(), (404, "UserNotFound"));
}

#[tokio::test]
async fn a_user_has_logged_in_when_somebody_did() {
    let (world, clock) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    let made = app.done(201, "POST", "/users", user("ann@x")).await;
    let id = made["_id"].as_str().unwrap();
    let dates = async |id: &str| {
        let path = format!("/users/{id}");
        let shown = app.done(200, "GET", &path, Value::Null).await;
        let at = |name: &str| shown[name].as_i64().unwrap();
        (at("creation_date"), at("last_authentication_date"))
    };
    // The whole user, as the list has it.
    let listed = app.done(200, "GET", "/users", Value::Null).await;
    assert_eq!(listed, json!([made]));
    let mut fields: Vec<&String> = made.as_object().unwrap().keys().collect();
    fields.sort();
    let expected = [
        "_id",
        "creation_date",
        "data",
        "disabled",
        "identities",
        "last_authentication_date",
        "type",
    ];
    assert_eq!(fields, expected);
    assert_eq!(dates(id).await, (NOW_S, 0));
    clock.advance_ms(60_000);
    let wrong = doc! { "username": "ann@x", "password": "wrong horse" };
    login(&served, "local-userpass", wrong).await.unwrap_err();
    assert_eq!(dates(id).await, (NOW_S, 0));
    let session = by_password(&served, "ann@x").await.unwrap();
    assert_eq!(dates(id).await, (NOW_S, NOW_S + 60));
    clock.advance_ms(60_000);
    served.refresh(&session.refresh_token).await.unwrap();
    assert_eq!(dates(id).await, (NOW_S, NOW_S + 60));

    let key = app
        .done(201, "POST", "/api_keys", json!({ "name": "job" }))
        .await;
    let servers = "/users?provider_types=api-key";
    let server = app.done(200, "GET", servers, Value::Null).await;
    let server = server[0]["_id"].as_str().unwrap();
    assert_eq!(dates(server).await, (NOW_S + 120, 0));
    clock.advance_ms(60_000);
    by_key(&served, &key["key"]).await.unwrap();
    assert_eq!(dates(server).await, (NOW_S + 120, NOW_S + 180));
}

#[tokio::test]
async fn a_token_is_good_too_old_or_none() {
    let (world, clock) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    let id = app.made("/users", user("ann@x")).await;
    let verify = "/users/verify_token";
    let first = by_password(&served, "ann@x").await.unwrap();
    let token = json!({ "token": first.access_token });
    let claims = app.done(200, "POST", verify, token.clone()).await;
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(NOW_S), &json!(NOW_S + 1800))
    );
    assert_eq!(claims["sub"], id);
    // No refresh token is good any more; the access token lives on.
    app.done(204, "PUT", &format!("/users/{id}/logout"), Value::Null)
        .await;
    app.done(200, "POST", verify, token.clone()).await;
    assert!(served.refresh(&first.refresh_token).await.is_err());

    clock.advance_ms(1_799_000);
    let later = world.operator().await;
    let app = AppAdmin {
        administrator: &later,
        id: app.id,
    };
    app.done(200, "POST", verify, token.clone()).await;
    clock.advance_ms(1000);
    let told = app.done(200, "POST", verify, token).await;
    assert_eq!(told, json!("token expired"));

    let second = by_password(&served, "ann@x").await.unwrap();
    let token = json!({ "token": second.access_token });
    app.done(200, "POST", verify, token.clone()).await;
    app.done(204, "DELETE", &format!("/users/{id}"), Value::Null)
        .await;
    let gone = app.call("POST", verify, token).await;
    assert_eq!(gone.refusal(), (401, "InvalidSession"));
    assert_eq!(gone.body["error"], "invalid session");
}

#[tokio::test]
async fn a_server_key_that_is_off_ends_what_it_began() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    let made = app
        .done(201, "POST", "/api_keys", json!({ "name": "job" }))
        .await;
    let one = format!("/api_keys/{}", made["_id"].as_str().unwrap());
    let alive = async |session: &Login| {
        let access = served.authenticate(&session.access_token).await.is_ok();
        let refresh = served.refresh(&session.refresh_token).await.is_ok();
        assert_eq!(access, refresh);
        access
    };
    let first = by_key(&served, &made["key"]).await.unwrap();
    assert!(alive(&first).await);
    app.done(204, "PUT", &format!("{one}/disable"), Value::Null)
        .await;
    assert!(!alive(&first).await);
    assert_eq!(
        by_key(&served, &made["key"]).await.unwrap_err(),
        "AuthError"
    );
    let shown = app.done(200, "GET", &one, Value::Null).await;
    assert_eq!(
        shown,
        json!({ "_id": made["_id"], "name": "job", "disabled": true })
    );
    // On again, as often as is asked; what ended stays ended.
    for _ in 0..2 {
        app.done(204, "PUT", &format!("{one}/enable"), json!(""))
            .await;
    }
    assert!(!alive(&first).await);
    let second = by_key(&served, &made["key"]).await.unwrap();
    assert!(alive(&second).await);
    app.done(204, "DELETE", &one, Value::Null).await;
    assert!(!alive(&second).await);
    assert_eq!(
        by_key(&served, &made["key"]).await.unwrap_err(),
        "AuthError"
    );
    // The name is free again, for another user.
    let again = app
        .done(201, "POST", "/api_keys", json!({ "name": "job" }))
        .await;
    assert_ne!(again["key"], made["key"]);
    let users = app.done(200, "GET", "/users", Value::Null).await;
    assert_eq!(users[0]["identities"], json!([]));
    assert_eq!(users[1]["identities"][0]["id"], again["_id"]);
    assert_eq!(users[1]["data"], json!({ "name": "job" }));
    // The last key of the second one goes as that of the first did.
    let one = format!("/api_keys/{}", again["_id"].as_str().unwrap());
    app.done(204, "DELETE", &one, Value::Null).await;
    let users = app.done(200, "GET", "/users", Value::Null).await;
    assert_eq!(users[1]["identities"], json!([]));
    for user in users.as_array().unwrap() {
        let path = format!("/users/{}", user["_id"].as_str().unwrap());
        app.done(204, "DELETE", &path, Value::Null).await;
    }
}

#[tokio::test]
async fn a_login_that_meets_the_end_of_its_key_is_none() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    for round in 0..20 {
        let body = json!({ "name": format!("k{round}") });
        let made = app.done(201, "POST", "/api_keys", body).await;
        let one = format!("/api_keys/{}", made["_id"].as_str().unwrap());
        let (method, path) = match round % 2 {
            0 => ("PUT", format!("{one}/disable")),
            _ => ("DELETE", one),
        };
        let (login, _) = tokio::join!(
            by_key(&served, &made["key"]),
            app.done(204, method, &path, Value::Null)
        );
        if let Ok(login) = login {
            let lives = served.authenticate(&login.access_token).await.is_ok();
            assert!(!lives, "{method} in round {round}");
        }
    }
}

#[tokio::test]
async fn server_keys_have_names_an_app_and_an_end() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    for (name, code) in [
        (json!(""), "InvalidParameter"),
        (json!(null), "MissingParameter"),
        (json!(5), "InvalidParameter"),
        (json!("a b"), "InvalidParameter"),
        (json!("ä"), "InvalidParameter"),
        (
            json!("x".repeat(limit::API_KEY_NAME_CHARS_MAX + 1)),
            "InvalidParameter",
        ),
    ] {
        let refused = app.call("POST", "/api_keys", json!({ "name": name })).await;
        assert_eq!(refused.refusal(), (400, code), "{name}");
    }
    // A user's key is no server's, whatever it is called.
    let ann = app.made("/users", user("ann@x")).await;
    let theirs = served.create_api_key(&ann, "k0").await.unwrap().record.id;
    let mut first = String::new();
    for n in 0..limit::SERVER_API_KEYS_MAX {
        let id = app
            .made("/api_keys", json!({ "name": format!("k{n}") }))
            .await;
        if n == 0 {
            first = id;
        }
    }
    let refused = app
        .call("POST", "/api_keys", json!({ "name": "more" }))
        .await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let all = app.done(200, "GET", "/api_keys", Value::Null).await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), limit::SERVER_API_KEYS_MAX);
    assert!(all.iter().all(|key| key.get("key").is_none()));
    app.done(204, "DELETE", &format!("/api_keys/{first}"), Value::Null)
        .await;
    app.made("/api_keys", json!({ "name": "more" })).await;

    let other = operator.app("other").await;
    let kept = all[1]["_id"].as_str().unwrap();
    for (app, id) in [(&app, NOBODY), (&app, "x"), (&app, &theirs), (&other, kept)] {
        for (method, verb) in [
            ("GET", ""),
            ("PUT", "/enable"),
            ("PUT", "/disable"),
            ("DELETE", ""),
        ] {
            let path = format!("/api_keys/{id}{verb}");
            let gone = app.call(method, &path, Value::Null).await;
            assert_eq!(gone.refusal(), (404, "APIKeyNotFound"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_off_lets_nobody_in() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let (app, served) = shop(&operator).await;
    let one = provider(&app, "anon-user").await;
    let session = login(&served, "anon-user", doc! {}).await.unwrap();
    let off = "AuthProviderNotFound";
    let asked = async || login(&served, "anon-user", doc! {}).await;
    app.done(204, "PUT", &format!("{one}/disable"), json!(""))
        .await;
    assert_eq!(asked().await.unwrap_err(), off);
    app.done(204, "PUT", &format!("{one}/enable"), json!({}))
        .await;
    asked().await.unwrap();
    app.done(204, "PATCH", &one, json!({ "disabled": true }))
        .await;
    assert_eq!(asked().await.unwrap_err(), off);
    // In a draft nothing changes for anybody, until it is deployed.
    let draft = app.made("/drafts", Value::Null).await;
    app.done(204, "PATCH", &one, json!({ "disabled": false }))
        .await;
    assert_eq!(asked().await.unwrap_err(), off);
    let deployment = format!("/drafts/{draft}/deployment");
    app.done(201, "POST", &deployment, Value::Null).await;
    asked().await.unwrap();
    app.done(204, "PUT", &format!("{one}/disable"), Value::Null)
        .await;
    app.done(204, "DELETE", &one, Value::Null).await;
    assert_eq!(asked().await.unwrap_err(), off);
    for (method, verb) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("PUT", "/enable"),
        ("PUT", "/disable"),
    ] {
        let gone = app.call(method, &format!("{one}{verb}"), Value::Null).await;
        assert_eq!(gone.refusal(), (404, off), "{method} {verb}");
    }
    // Who is in stays in, and is shown as one who logged in that way.
    assert!(served.authenticate(&session.access_token).await.is_ok());
    let shown = app
        .done(
            200,
            "GET",
            &format!("/users/{}", session.user_id),
            Value::Null,
        )
        .await;
    assert_eq!(shown["identities"][0]["provider_type"], "anon-user");
    let id = shown["identities"][0]["provider_id"].as_str().unwrap();
    assert!(one.ends_with(id));
    // Without accounts, administrators make none.
    let accounts = provider(&app, "local-userpass").await;
    app.done(204, "PUT", &format!("{accounts}/disable"), Value::Null)
        .await;
    let refused = app.call("POST", "/users", user("ann@x")).await;
    assert_eq!(refused.refusal(), (404, off));
    // The keys' provider is off, not gone, when it is deleted as others are.
    let keys = provider(&app, "api-key").await;
    app.done(204, "PUT", &format!("{keys}/disable"), Value::Null)
        .await;
    app.done(204, "DELETE", &keys, Value::Null).await;
    app.made("/auth_providers", json!({ "type": "api-key" }))
        .await;
}

/// An app with all that providers name.
async fn with_names<'a>(operator: &'a crate::Administrator<'a>, name: &str) -> AppAdmin<'a> {
    let app = operator.app(name).await;
    for name in ["login", "confirm", "reset"] {
        let body = json!({ "name": name, "source": "exports = () => ({});" });
        app.made("/functions", body).await;
    }
    for name in ["key", "other"] {
        let body = json!({ "name": name, "value": format!("hush-{name}") });
        app.made("/secrets", body).await;
    }
    app
}

/// A provider of each type but `api-key`, each with all that it can have.
fn providers() -> Vec<Value> {
    let oauth = |kind: &str| {
        json!({
            "type": kind, "name": kind, "disabled": false, "config": { "clientId": "c" },
            "secret_config": { "clientSecret": "key" },
            "redirect_uris": ["https://a.example/x/", "myapp://back"],
        })
    };
    let fields = json!([
        { "name": "email", "required": true }, { "name": "name", "required": false },
    ]);
    let (mut google, mut facebook) = (oauth("oauth2-google"), oauth("oauth2-facebook"));
    google["config"]["openId"] = json!(true);
    google["domain_restrictions"] = json!(["example.com"]);
    google["metadata_fields"] = fields.clone();
    facebook["metadata_fields"] = fields;
    vec![
        json!({ "type": "anon-user", "name": "anon-user", "disabled": false }),
        json!({
            "type": "local-userpass", "name": "local-userpass", "disabled": false,
            "config": {
                "autoConfirm": false, "emailConfirmationUrl": "https://a.example/confirm",
                "confirmEmailSubject": "Hello", "runConfirmationFunction": true,
                "confirmationFunctionName": "confirm",
                "resetPasswordUrl": "https://a.example/reset", "resetPasswordSubject": "Reset",
                "runResetFunction": true, "resetFunctionName": "reset",
            },
        }),
        json!({
            "type": "custom-token", "name": "custom-token", "disabled": false,
            "config": {
                "audience": ["a", "b"], "requireAnyAudience": true, "signingAlgorithm": "HS256",
                "useJWKURI": false,
            },
            "secret_config": { "signingKeys": ["key", "other"] },
            "metadata_fields": [{ "required": true, "name": "a.b\\.c", "field_name": "d" }],
        }),
        json!({
            "type": "custom-function", "name": "custom-function", "disabled": false,
            "config": { "authFunctionName": "login" },
        }),
        google,
        facebook,
        oauth("oauth2-apple"),
    ]
}

/// All providers as they are shown, without ids, by type.
async fn shown(app: &AppAdmin<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    for wanted in providers() {
        let path = provider(app, wanted["type"].as_str().unwrap()).await;
        let mut one = app.done(200, "GET", &path, Value::Null).await;
        one.as_object_mut().unwrap().remove("_id");
        if let Some(config) = one.get_mut("config").and_then(Value::as_object_mut) {
            config.retain(|name, _| !name.ends_with("FunctionId"));
        }
        all.push(one);
    }
    all
}

#[tokio::test]
async fn providers_go_from_app_to_app_as_they_are() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let app = with_names(&operator, "shop").await;
    for body in providers() {
        app.made("/auth_providers", body).await;
    }
    assert_eq!(shown(&app).await, providers());

    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    let second = with_names(&operator, "second").await;
    second.done(204, "PATCH", "/push", pulled.clone()).await;
    assert_eq!(shown(&second).await, providers());

    let (_, files, _) = app.archive("/export").await;
    let file = files.get("auth/providers.json").unwrap();
    let mut file: Value = serde_json::from_slice(file).unwrap();
    for provider in file.as_object_mut().unwrap().values_mut() {
        // Of the first app; another has ids of its own.
        provider.as_object_mut().unwrap().remove("id");
    }
    let third = with_names(&operator, "third").await;
    let document = json!({ "config_version": 20_210_101, "auth": { "providers": file } });
    third.done(204, "POST", "/import", document).await;
    assert_eq!(shown(&third).await, providers());
    // Secrets go by name, whatever takes them along.
    for text in [pulled.to_string(), file.to_string()] {
        assert!(text.contains("\"clientSecret\""), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn what_a_provider_names_is_kept_in_step() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let app = with_names(&operator, "shop").await;
    let functions = app.done(200, "GET", "/functions", Value::Null).await;
    let id = |name: &str| {
        let mut all = functions.as_array().unwrap().iter();
        let one = all.find(|one| one["name"] == name).unwrap();
        one["_id"].as_str().unwrap().to_owned()
    };
    let (confirm, reset) = (id("confirm"), id("reset"));
    let body = json!({ "type": "local-userpass", "config": {
        "runConfirmationFunction": true, "confirmationFunctionId": confirm,
        "runResetFunction": true, "resetFunctionName": "reset",
    } });
    let accounts = app.made("/auth_providers", body).await;
    let one = format!("/auth_providers/{accounts}");
    let config = async || app.done(200, "GET", &one, Value::Null).await["config"].clone();
    let wanted = json!({
        "runConfirmationFunction": true, "runResetFunction": true,
        "confirmationFunctionName": "confirm", "confirmationFunctionId": confirm,
        "resetFunctionName": "reset", "resetFunctionId": reset,
    });
    assert_eq!(config().await, wanted);
    // Renamed, it is the same function.
    let path = format!("/functions/{confirm}");
    let mut function = app.done(200, "GET", &path, Value::Null).await;
    function["name"] = json!("check");
    app.done(204, "PUT", &path, function).await;
    let mut renamed = wanted.clone();
    renamed["confirmationFunctionName"] = json!("check");
    assert_eq!(config().await, renamed);
    // Named, it does not go.
    let refused = app.call("DELETE", &path, Value::Null).await;
    assert_eq!(refused.status / 100, 4, "{refused:?}");
    // Another one, by name and by id.
    for (change, name) in [
        (json!({ "resetFunctionName": "login" }), "login"),
        (json!({ "resetFunctionId": confirm }), "check"),
        // As clients send back what they read.
        (
            json!({ "resetFunctionId": reset, "resetFunctionName": "reset" }),
            "reset",
        ),
    ] {
        app.done(204, "PATCH", &one, json!({ "config": change }))
            .await;
        assert_eq!(config().await["resetFunctionName"], name);
    }
    let before = config().await;
    for change in [
        json!({ "config": { "resetFunctionId": NOBODY } }),
        json!({ "config": { "resetFunctionName": "nobody" } }),
        json!({ "config": { "resetFunctionName": null } }),
        json!({ "config": { "autoConfirm": "yes" } }),
        json!({ "disabled": "no" }),
        json!({ "name": 5 }),
    ] {
        let refused = app.call("PATCH", &one, change.clone()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{change}");
    }
    for change in [
        json!({ "config": 5 }),
        json!({ "config": { "resetFunctionId": 5 } }),
    ] {
        let refused = app.call("PATCH", &one, change.clone()).await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{change}");
    }
    // Of nothing comes nothing.
    for change in [
        json!({}),
        json!({ "config": {} }),
        json!({ "config": null }),
    ] {
        app.done(204, "PATCH", &one, change).await;
    }
    assert_eq!(config().await, before);

    // A secret that one names goes on being the one.
    let body = json!({ "type": "oauth2-google", "config": { "clientId": "c" },
        "secret_config": { "clientSecret": "key" } });
    let google = app.made("/auth_providers", body).await;
    let google = format!("/auth_providers/{google}");
    let secrets = app.done(200, "GET", "/secrets", Value::Null).await;
    let mut secrets = secrets.as_array().unwrap().iter();
    let key = secrets.find(|one| one["name"] == "key").unwrap();
    let path = format!("/secrets/{}", key["_id"].as_str().unwrap());
    let refused = app.call("DELETE", &path, Value::Null).await;
    assert_eq!(refused.status / 100, 4, "{refused:?}");
    let shown = app.done(200, "GET", &google, Value::Null).await;
    assert_eq!(shown["secret_config"], json!({ "clientSecret": "key" }));
}

#[tokio::test]
async fn providers_are_made_as_clients_send_them() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let app = with_names(&operator, "shop").await;
    let fresh = app.done(200, "GET", "/auth_providers", Value::Null).await;
    assert_eq!(fresh[0]["type"], "api-key");
    assert_eq!(fresh[0]["disabled"], true);
    for wanted in providers() {
        let kind = &wanted["type"];
        // As one SDK's tests do, for every type.
        let body = json!({
            "type": kind, "name": kind, "disabled": true, "config": {}, "secret_config": {},
            "metadata_fields": [{}], "redirect_uris": [], "domain_restrictions": [],
        });
        let made = app.done(201, "POST", "/auth_providers", body).await;
        let path = provider(&app, kind.as_str().unwrap()).await;
        assert_eq!(app.done(200, "GET", &path, Value::Null).await, made);
        let again = app
            .call(
                "POST",
                "/auth_providers",
                json!({ "type": kind, "name": "another" }),
            )
            .await;
        assert_eq!(
            again.refusal(),
            (409, "AuthProviderDuplicateName"),
            "{kind}"
        );
        app.done(204, "DELETE", &path, Value::Null).await;
    }
    let listed = app.done(200, "GET", "/auth_providers", Value::Null).await;
    assert_eq!(listed, fresh);
    for (part, value) in [
        ("config", json!(5)),
        ("config", json!([])),
        ("secret_config", json!("key")),
        ("secret_config", json!({ "clientSecret": { "a": 1 } })),
        ("metadata_fields", json!({})),
        ("metadata_fields", json!([5])),
        ("redirect_uris", json!("https://a.example")),
        ("redirect_uris", json!([5])),
        ("domain_restrictions", json!("example.com")),
        ("domain_restrictions", json!([null])),
        ("disabled", json!("no")),
        ("name", json!(5)),
    ] {
        let mut body = json!({ "type": "oauth2-google", "disabled": true });
        body[part] = value;
        let refused = app.call("POST", "/auth_providers", body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
    }
    for (body, code) in [
        (json!({}), "MissingParameter"),
        (json!({ "type": 5 }), "InvalidParameter"),
        (json!({ "type": "" }), "InvalidParameter"),
        (json!([]), "BadRequest"),
    ] {
        let refused = app.call("POST", "/auth_providers", body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
    let listed = app.done(200, "GET", "/auth_providers", Value::Null).await;
    assert_eq!(listed, fresh);
}

#[tokio::test]
async fn a_rerun_confirmation_is_for_who_waits() {
    let (world, _) = world().await;
    let operator = world.operator().await;
    let app = with_names(&operator, "shop").await;
    let config = json!({ "autoConfirm": false, "emailConfirmationUrl": "https://a.example" });
    let body = json!({ "type": "local-userpass", "config": config });
    let one = app.made("/auth_providers", body).await;
    let one = format!("/auth_providers/{one}");
    let served = world.core.app(&app.id).await.unwrap();
    let info = RequestInfo::default();
    served
        .register("ann@x.example", "correct horse", &info)
        .await
        .unwrap();
    let run = async |email: &str| {
        let path = format!("/user_registrations/by_email/{email}/run_confirm");
        app.call("POST", &path, Value::Null).await
    };
    let refused = run("ann@x.example").await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let function = json!({ "config": {
        "runConfirmationFunction": true, "confirmationFunctionName": "confirm",
    } });
    app.done(204, "PATCH", &one, function).await;
    assert_eq!(run("bob@x.example").await.refusal(), (404, "UserNotFound"));
    // No function runs here, which is as good as one that says no.
    let refused = run("ann%40x.example").await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let text = "failed to confirm user \"ann@x.example\"";
    assert_eq!(refused.body["error"], text);
    let ann = "/user_registrations/by_email/ann@x.example";
    // Handed over and not mailed, where a function confirms.
    let sent = app
        .done(200, "POST", &format!("{ann}/send_confirm"), Value::Null)
        .await;
    assert_eq!(sent["email_sent"], false);
    app.done(204, "POST", &format!("{ann}/confirm"), Value::Null)
        .await;
    let refused = run("ann@x.example").await;
    assert_eq!(refused.refusal(), (400, "UserAlreadyConfirmed"));
    // Confirmed, it still waits for somebody to log in, and can be removed.
    app.done(204, "DELETE", ann, Value::Null).await;
    assert_eq!(run("ann@x.example").await.refusal(), (404, "UserNotFound"));
}
