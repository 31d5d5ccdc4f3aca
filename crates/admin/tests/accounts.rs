//! Accounts before and after their first login: pending registrations, addresses,
//! tokens, devices.

use std::sync::Arc;

use app::users::{Device, Login};
use app::{App, RequestInfo};
use bson::{Document, doc};
use serde_json::{Value, json};

use crate::{AppAdmin, World};

const BY_EMAIL: &str = "/user_registrations/by_email";
const PENDING: &str = "/user_registrations/pending_users";

/// An app whose addresses are confirmed by mail.
async fn with_mail<'a>(operator: &'a crate::Administrator<'a>) -> AppAdmin<'a> {
    let app = operator.app("shop").await;
    let url = "https://example.com/confirm";
    let config = json!({ "autoConfirm": false, "emailConfirmationUrl": url });
    let body = json!({ "type": "local-userpass", "config": config });
    app.made("/auth_providers", body).await;
    app
}

async fn register(app: &Arc<App>, email: &str) {
    let info = RequestInfo::default();
    app.register(email, "correct horse", &info).await.unwrap();
}

async fn login(app: &Arc<App>, email: &str, device: Document) -> Result<Login, String> {
    let credentials = doc! { "username": email, "password": "correct horse" };
    let (device, info) = (Device::new(&device), RequestInfo::default());
    app.login("local-userpass", &credentials, device, &info)
        .await
        .map_err(|problem| problem.code.to_string())
}

#[tokio::test]
async fn an_account_waits_until_its_address_is_confirmed_and_somebody_logs_in() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_mail(&operator).await;
    let served = world.core.app(&app.id).await.unwrap();
    assert_eq!(app.done(200, "GET", PENDING, Value::Null).await, json!([]));
    for email in ["ann+1@example.com", "bob@example.com"] {
        register(&served, email).await;
    }
    let pending = app.done(200, "GET", PENDING, Value::Null).await;
    let ann = &pending[0];
    assert_eq!(pending.as_array().unwrap().len(), 2);
    assert_eq!(ann["_id"].as_str().unwrap().len(), 24);
    assert_eq!(ann["domain_id"], served.domain_id);
    assert_eq!(
        ann["login_ids"],
        json!([{ "id_type": "email", "id": "ann+1@example.com" }])
    );
    let after = format!("{PENDING}?after={}", ann["_id"].as_str().unwrap());
    let rest = app.done(200, "GET", &after, Value::Null).await;
    assert_eq!(rest, json!([pending[1]]));

    // By the token, once.
    let ann = format!("{BY_EMAIL}/ann%2B1%40example.com");
    assert_eq!(
        login(&served, "ann+1@example.com", doc! {})
            .await
            .unwrap_err(),
        "AuthError"
    );
    let first = app
        .done(200, "POST", &format!("{ann}/send_confirm"), Value::Null)
        .await;
    let made = app
        .done(200, "POST", &format!("{ann}/send_confirm"), Value::Null)
        .await;
    assert_eq!(made["email_sent"], false);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let (token, id) = (text(&made, "token"), text(&made, "token_id"));
    assert_eq!((token.len(), id.len()), (128, 24));
    for (token, id, code) in [
        (&*token, "x", "BadRequest"),
        ("", &*id, "BadRequest"),
        (
            &*text(&first, "token"),
            &*text(&first, "token_id"),
            "UserpassTokenInvalid",
        ),
        (&*text(&first, "token"), &*id, "UserpassTokenInvalid"),
    ] {
        assert_eq!(served.confirm(token, id).await.unwrap_err().code, code);
    }
    served.confirm(&token, &id).await.unwrap();
    assert_eq!(
        served.confirm(&token, &id).await.unwrap_err().code,
        "UserpassTokenInvalid"
    );
    for verb in ["send_confirm", "confirm"] {
        let refused = app
            .call("POST", &format!("{ann}/{verb}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, "UserAlreadyConfirmed"), "{verb}");
    }

    // By an administrator.
    let bob = format!("{BY_EMAIL}/bob@example.com");
    app.done(204, "POST", &format!("{bob}/confirm"), Value::Null)
        .await;
    assert!(login(&served, "bob@example.com", doc! {}).await.is_ok());
    // Confirmed is not logged in yet.
    let left = app.done(200, "GET", PENDING, Value::Null).await;
    assert_eq!(left, json!([pending[0]]));

    // A user's account is no registration.
    let refused = app.call("DELETE", &bob, Value::Null).await;
    assert_eq!(refused.refusal(), (404, "UserNotFound"));
    assert!(login(&served, "bob@example.com", doc! {}).await.is_ok());
    app.done(204, "DELETE", &ann, Value::Null).await;
    assert_eq!(
        login(&served, "ann+1@example.com", doc! {})
            .await
            .unwrap_err(),
        "InvalidPassword"
    );
    assert_eq!(app.done(200, "GET", PENDING, Value::Null).await, json!([]));
    for (method, verb) in [
        ("DELETE", ""),
        ("POST", "/confirm"),
        ("POST", "/send_confirm"),
    ] {
        let gone = app.call(method, &format!("{ann}{verb}"), Value::Null).await;
        assert_eq!(gone.refusal(), (404, "UserNotFound"), "{verb}");
    }
}

#[tokio::test]
async fn what_a_stopped_server_left_behind_is_no_registration() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_mail(&operator).await;
    let body = json!({ "email": "ann@example.com", "password": "correct horse" });
    app.made("/users", body).await;
    let passwords = &world.core.state.passwords;
    let set = doc! { "$set": { "pending": true } };
    passwords.change_all(doc! {}, set).await.unwrap();
    let ann = format!("{BY_EMAIL}/ann@example.com");
    let refused = app.call("DELETE", &ann, Value::Null).await;
    assert_eq!(refused.refusal(), (404, "UserNotFound"));
    assert_eq!(app.done(200, "GET", PENDING, Value::Null).await, json!([]));
    assert_eq!(passwords.count(doc! { "pending": true }).await.unwrap(), 0);
}

#[tokio::test]
async fn registrations_come_in_pages_and_stay_in_their_app() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, other) = (with_mail(&operator).await, with_mail(&operator).await);
    let served = world.core.app(&app.id).await.unwrap();
    for n in 0..53 {
        register(&served, &format!("u{n}@example.com")).await;
    }
    let first = app.done(200, "GET", PENDING, Value::Null).await;
    let first = first.as_array().unwrap();
    let last = first[49]["_id"].as_str().unwrap();
    assert_eq!(first.len(), 50);
    let rest = app
        .done(200, "GET", &format!("{PENDING}?after={last}"), Value::Null)
        .await;
    assert_eq!(rest.as_array().unwrap().len(), 3);
    assert_eq!(
        other.done(200, "GET", PENDING, Value::Null).await,
        json!([])
    );
    let refused = other
        .call("DELETE", &format!("{BY_EMAIL}/u1@example.com"), Value::Null)
        .await;
    assert_eq!(refused.refusal(), (404, "UserNotFound"));
}

#[tokio::test]
async fn confirmation_runs_only_where_a_function_confirms() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_mail(&operator).await;
    let served = world.core.app(&app.id).await.unwrap();
    register(&served, "ann@example.com").await;
    let run = format!("{BY_EMAIL}/ann@example.com/run_confirm");
    let refused = app.call("POST", &run, Value::Null).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let provider = app.done(200, "GET", "/auth_providers", Value::Null).await;
    let provider = provider
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "local-userpass");
    let provider = format!(
        "/auth_providers/{}",
        provider.unwrap()["_id"].as_str().unwrap()
    );
    app.done(
        204,
        "PATCH",
        &provider,
        json!({ "config": { "autoConfirm": true } }),
    )
    .await;
    // Said before anybody is looked for.
    let nobody = format!("{BY_EMAIL}/nobody@example.com/run_confirm");
    let refused = app.call("POST", &nobody, Value::Null).await;
    assert_eq!(
        refused.body["error"],
        "cannot run confirmation for nobody@example.com: automatic confirmation is enabled"
    );
    app.done(204, "PUT", &format!("{provider}/disable"), Value::Null)
        .await;
    let refused = app.call("POST", &run, Value::Null).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    assert!(refused.body["error"].as_str().unwrap().contains("is off"));
}

#[tokio::test]
async fn a_user_gets_another_address() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_mail(&operator).await;
    app.made("/auth_providers", json!({ "type": "anon-user" }))
        .await;
    let served = world.core.app(&app.id).await.unwrap();
    let user = |email: &str| json!({ "email": email, "password": "correct horse" });
    let id = app.made("/users", user("ann@example.com")).await;
    app.made("/users", user("bob@example.com")).await;
    let reset = format!("/users/{id}/reset_email");
    for (email, status, code) in [
        (json!("bob@example.com"), 409, "AccountNameInUse"),
        (json!(""), 400, "InvalidParameter"),
        (json!(null), 400, "MissingParameter"),
        (json!(5), 400, "InvalidParameter"),
        (json!({ "$ne": "" }), 400, "InvalidParameter"),
        (
            json!("x".repeat(kit::limit::EMAIL_CHARS_MAX + 1)),
            400,
            "BadRequest",
        ),
    ] {
        let refused = app.call("PATCH", &reset, json!({ "email": email })).await;
        assert_eq!(refused.refusal(), (status, code), "{email}");
    }
    app.done(204, "PATCH", &reset, json!({ "email": "eve@example.com" }))
        .await;
    assert_eq!(
        login(&served, "ann@example.com", doc! {})
            .await
            .unwrap_err(),
        "InvalidPassword"
    );
    assert_eq!(
        login(&served, "eve@example.com", doc! {})
            .await
            .unwrap()
            .user_id,
        id
    );
    let shown = app
        .done(200, "GET", &format!("/users/{id}"), Value::Null)
        .await;
    assert_eq!(shown["data"], json!({ "email": "eve@example.com" }));
    // The address is free again.
    app.made("/users", user("ann@example.com")).await;

    let info = RequestInfo::default();
    let anonymous = served
        .login("anon-user", &doc! {}, Device::default(), &info)
        .await
        .unwrap();
    for (id, refusal) in [
        (&*anonymous.user_id, (400, "BadRequest")),
        ("0123456789abcdef01234567", (404, "UserNotFound")),
    ] {
        let body = json!({ "email": "new@example.com" });
        let refused = app
            .call("PATCH", &format!("/users/{id}/reset_email"), body)
            .await;
        assert_eq!(refused.refusal(), refusal);
    }
}

#[tokio::test]
async fn tokens_are_told_apart() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, other) = (with_mail(&operator).await, with_mail(&operator).await);
    let served = world.core.app(&app.id).await.unwrap();
    let user = json!({ "email": "ann@example.com", "password": "correct horse" });
    let id = app.made("/users", user).await;
    let session = login(&served, "ann@example.com", doc! { "platform": "x" })
        .await
        .unwrap();
    let token = json!({ "token": session.access_token });
    let claims = app
        .done(200, "POST", "/users/verify_token", token.clone())
        .await;
    assert_eq!(claims["sub"], id);
    assert_eq!(claims["domain_id"], served.domain_id);
    assert_eq!(claims["device_id"], session.device_id);
    let at = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(at("exp") - at("iat"), 1800);
    assert!(claims.get("aud").is_none() && claims.get("custom_user_data").is_none());

    let refusal = async |app: &AppAdmin<'_>, token: Value| {
        let reply = app.call("POST", "/users/verify_token", token).await;
        (
            reply.status,
            reply.body["error_code"].as_str().unwrap_or("").to_owned(),
            reply.body["error"].clone(),
        )
    };
    let (status, code, text) = refusal(&other, token.clone()).await;
    assert_eq!(
        (status, &*code, text),
        (401, "", json!("signature is invalid"))
    );
    for (token, status, code) in [
        (
            json!({ "token": session.refresh_token }),
            401,
            "InvalidSession",
        ),
        (json!({ "token": "x.y.z" }), 400, "BadRequest"),
        (json!({ "token": "" }), 400, "InvalidParameter"),
        (json!({}), 400, "MissingParameter"),
        (json!({ "token": operator.token }), 401, ""),
    ] {
        let (found, found_code, _) = refusal(&app, token.clone()).await;
        assert_eq!((found, &*found_code), (status, code), "{token}");
    }
    app.done(204, "PUT", &format!("/users/{id}/disable"), Value::Null)
        .await;
    let (status, code, text) = refusal(&app, token).await;
    assert_eq!(
        (status, &*code, text),
        (401, "InvalidSession", json!("invalid session"))
    );
}

#[tokio::test]
async fn devices_are_those_of_the_logins() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_mail(&operator).await;
    let served = world.core.app(&app.id).await.unwrap();
    let user = json!({ "email": "ann@example.com", "password": "correct horse" });
    let id = app.made("/users", user).await;
    let devices = format!("/users/{id}/devices");
    login(&served, "ann@example.com", doc! {}).await.unwrap();
    assert_eq!(app.done(200, "GET", &devices, Value::Null).await, json!([]));
    let said = doc! { "platform": "ios", "platformVersion": "14", "sdk": "Swift", "other": 5 };
    let device = login(&served, "ann@example.com", said)
        .await
        .unwrap()
        .device_id;
    let shown =
        json!({ "_id": device, "platform": "ios", "platform_version": "14", "sdk": "Swift" });
    assert_eq!(
        app.done(200, "GET", &devices, Value::Null).await,
        json!([shown])
    );
    // The same device, which was updated.
    let said = doc! { "platform": "ios", "platformVersion": "15", "deviceId": &device };
    login(&served, "ann@example.com", said).await.unwrap();
    let shown = json!({ "_id": device, "platform": "ios", "platform_version": "15" });
    assert_eq!(
        app.done(200, "GET", &devices, Value::Null).await,
        json!([shown])
    );
    let logs = app.done(200, "GET", "/logs?type=AUTH", Value::Null).await;
    assert_eq!(logs["logs"][0]["platform_version"], "15");
    assert_eq!(logs["logs"][1]["sdk_name"], "Swift");
    // A client that makes up a new one each time does not fill the disk.
    for _ in 0..kit::limit::USER_DEVICES_MAX {
        login(&served, "ann@example.com", doc! { "platform": "new" })
            .await
            .unwrap();
    }
    let all = app.done(200, "GET", &devices, Value::Null).await;
    assert_eq!(
        all.as_array().unwrap().len() as u64,
        kit::limit::USER_DEVICES_MAX
    );
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|one| one["platform"] == "new")
    );
    app.done(204, "DELETE", &format!("/users/{id}"), Value::Null)
        .await;
    let gone = app.call("GET", &devices, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "UserNotFound"));
    assert_eq!(world.core.state.devices.count(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn providers_that_lack_something_are_not_enabled() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "login", "source": "exports = () => ({});" });
    app.made("/functions", body).await;
    let secret = json!({ "name": "key", "value": "hush" });
    app.made("/secrets", secret).await;
    for (kind, changes) in [
        (
            "local-userpass",
            vec![json!({ "config": { "autoConfirm": true } })],
        ),
        (
            "custom-function",
            vec![json!({ "config": { "authFunctionName": "login" } })],
        ),
        (
            "custom-token",
            vec![json!({ "secret_config": { "signingKeys": ["key"] } })],
        ),
        (
            "oauth2-google",
            vec![
                json!({ "config": { "clientId": "id" } }),
                json!({ "secret_config": { "clientSecret": "key" } }),
            ],
        ),
    ] {
        let id = app
            .made("/auth_providers", json!({ "type": kind, "disabled": true }))
            .await;
        let (one, enable) = (
            format!("/auth_providers/{id}"),
            format!("/auth_providers/{id}/enable"),
        );
        for change in changes {
            let refused = app.call("PUT", &enable, Value::Null).await;
            assert_eq!(refused.refusal(), (400, "BadRequest"), "{kind}: {change}");
            let read = app.done(200, "GET", &one, Value::Null).await;
            assert_eq!(read["disabled"], true);
            app.done(204, "PATCH", &one, change).await;
        }
        app.done(204, "PUT", &enable, json!({})).await;
        let read = app.done(200, "GET", &one, Value::Null).await;
        assert_eq!(read["disabled"], false, "{kind}");
        // One that is on is not deleted.
        let refused = app.call("DELETE", &one, Value::Null).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{kind}");
        app.done(204, "PUT", &format!("{one}/disable"), json!({}))
            .await;
        app.done(204, "DELETE", &one, Value::Null).await;
    }
}

#[tokio::test]
async fn providers_that_lack_something_come_in_through_no_door() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "login", "source": "exports = () => ({});" });
    let function = app.made("/functions", body).await;
    app.made("/secrets", json!({ "name": "key", "value": "hush" }))
        .await;
    let lacking = [
        json!({ "type": "local-userpass" }),
        json!({ "type": "local-userpass", "config": { "autoConfirm": false } }),
        json!({ "type": "local-userpass", "config": { "runConfirmationFunction": true } }),
        json!({ "type": "local-userpass", "config": { "autoConfirm": true, "runResetFunction": true } }),
        json!({ "type": "custom-function", "config": {} }),
        json!({ "type": "custom-function", "config": { "authFunctionName": "nobody" } }),
        json!({ "type": "custom-token", "config": { "signingAlgorithm": "HS256" } }),
        json!({ "type": "custom-token", "config": { "useJWKURI": true } }),
        json!({ "type": "oauth2-google", "config": { "clientId": "id" } }),
        json!({ "type": "oauth2-facebook", "secret_config": { "clientSecret": "key" } }),
        json!({ "type": "oauth2-apple" }),
        // These would be wrong in one that is off, too.
        json!({ "type": "local-userpass", "config": { "autoConfirm": "true" } }),
        json!({ "type": "custom-token", "config": { "signingAlgorithm": "none" }, "secret_config": { "signingKeys": ["key"] } }),
        json!({ "type": "custom-token", "secret_config": { "signingKeys": ["key", "key", "key", "key"] } }),
    ];
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    for body in lacking {
        let mut whole = body.clone();
        whole["name"] = body["type"].clone();
        whole["disabled"] = json!(false);
        let kind = body["type"].as_str().unwrap();
        let document = json!({
            "config_version": 20_210_101, "auth": { "providers": { kind: whole } },
        });
        let older = json!({ "config_version": 20_200_603, "auth_providers": [whole] });
        let mut push = pulled.clone();
        push["auth_providers"] = json!([whole]);
        for (method, path, sent) in [
            ("POST", "/auth_providers", body.clone()),
            ("POST", "/import", document.clone()),
            ("POST", "/import?strategy=replace-by-name", document),
            ("POST", "/import", older),
            ("PATCH", "/push", push),
        ] {
            let reply = app.call(method, path, sent).await;
            let (status, code) = reply.refusal();
            assert_eq!(
                (status, code),
                (400, "BadRequest"),
                "{path} {body}: {reply:?}"
            );
        }
    }
    assert_eq!(app.done(200, "GET", "/pull", Value::Null).await, pulled);
    // One that is on keeps what it needs.
    let body = json!({ "type": "custom-function", "config": { "authFunctionId": function } });
    let one = format!(
        "/auth_providers/{}",
        app.made("/auth_providers", body).await
    );
    let body = json!({ "config": { "authFunctionName": "" } });
    let refused = app.call("PATCH", &one, body.clone()).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"), "{refused:?}");
    let off = json!({ "disabled": true, "config": { "authFunctionName": "" } });
    app.done(204, "PATCH", &one, off).await;
    let refused = app.call("PATCH", &one, json!({ "disabled": false })).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    // In a draft as well.
    app.done(201, "POST", "/drafts", Value::Null).await;
    let refused = app.call("PUT", &format!("{one}/enable"), json!({})).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
}
