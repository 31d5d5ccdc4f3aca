//! Key pairs, administrators with passwords, and the record of what they change.

use app::administrators::KeyPair;
use axum::http::Method;
use serde_json::{Value, json};

use crate::{Administrator, Reply, World};

impl Administrator<'_> {
    /// A request below the API's root.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.world
            .request(method, path, Some(&self.token), body.as_bytes())
            .await
    }
}

fn pair_of(shown: &Value) -> KeyPair {
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    KeyPair {
        public_key: text("public_key"),
        private_key: text("private_key").into(),
    }
}

#[tokio::test]
async fn a_projects_owner_manages_its_keys() {
    let world = World::new().await;
    let operator = world.operator().await;
    let owner = pair_of(
        &operator
            .call("POST", "/keys", json!({ "description": "build" }))
            .await
            .body,
    );
    let owner = world.administrator(&world.project, &owner).await;
    let made = owner
        .call("POST", "/keys", json!({ "role": "read-only" }))
        .await;
    assert_eq!(
        (made.status, &made.body["role"]),
        (201, &json!("GROUP_READ_ONLY"))
    );
    let id = made.body["_id"].as_str().unwrap().to_owned();
    let reader = world
        .administrator(&world.project, &pair_of(&made.body))
        .await;
    // A key that is shown is no secret: the private half was shown once.
    let listed = owner.call("GET", "/keys", Value::Null).await;
    let private = made.body["private_key"].as_str().unwrap();
    assert_eq!(listed.body.as_array().unwrap().len(), 3);
    assert!(!listed.body.to_string().contains(private));
    let stored = world.core.state.admin_keys.get(&id).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(private));

    assert_eq!(reader.call("GET", "/apps", Value::Null).await.status, 200);
    for (method, path) in [("GET", "/keys"), ("POST", "/keys")] {
        let refused = reader.call(method, path, json!({})).await;
        assert_eq!(refused.refusal(), (403, "Unauthorized"), "{method}");
    }
    // Off: its sessions end at once, and none begins. On again, they are gone.
    let switch = async |verb: &str| {
        owner
            .call("PUT", &format!("/keys/{id}/{verb}"), Value::Null)
            .await
    };
    assert_eq!(switch("disable").await.status, 204);
    let shut = reader.call("GET", "/apps", Value::Null).await;
    assert_eq!(shut.refusal(), (401, "InvalidSession"));
    let login = world.login(&stored.public_key, private).await;
    assert_eq!(login.status, 401);
    assert_eq!(switch("enable").await.status, 204);
    assert_eq!(reader.call("GET", "/apps", Value::Null).await.status, 401);
    let reader = world
        .administrator(&world.project, &pair_of(&made.body))
        .await;
    assert_eq!(reader.call("GET", "/apps", Value::Null).await.status, 200);
    // Revoked, it is gone with its sessions.
    let one = format!("/keys/{id}");
    assert_eq!(owner.call("DELETE", &one, Value::Null).await.status, 204);
    assert_eq!(reader.call("GET", "/apps", Value::Null).await.status, 401);
    let gone = owner.call("DELETE", &one, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "APIKeyNotFound"));
    assert_eq!(world.login(&stored.public_key, private).await.status, 401);
    for (body, code) in [
        (json!({ "role": "GROUP_ROBOT" }), "BadRequest"),
        (json!({ "role": 1 }), "InvalidParameter"),
        (json!({ "description": "x".repeat(300) }), "BadRequest"),
    ] {
        let refused = owner.call("POST", "/keys", body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
}

#[tokio::test]
async fn keys_of_another_project_are_out_of_reach() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (other, pair) = world.core.create_project("other").await.unwrap();
    let stranger = world.administrator(&other.id, &pair).await;
    let own = world.core.keys(&world.project).await.unwrap()[0].id.clone();
    // Through its own project and through the key's.
    let path = format!("/keys/{own}");
    let through_own = stranger.call("DELETE", &path, Value::Null).await;
    assert_eq!(through_own.refusal(), (404, "APIKeyNotFound"));
    let path = format!("groups/{}/keys/{own}", world.project);
    let refused = stranger.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(refused.refusal(), (403, "Unauthorized"));
    // The operator manages every project's, but not the key that the server
    // starts with.
    let path = format!("groups/{}/keys", other.id);
    let made = operator.ask(Method::POST, &path, json!({})).await;
    assert_eq!(made.status, 201);
    let kept = operator
        .ask(
            Method::DELETE,
            &format!("groups/{}/keys/{own}", world.project),
            Value::Null,
        )
        .await;
    assert_eq!(kept.status, 409);
    // A project that is removed takes its keys' sessions along.
    let added = world.administrator(&other.id, &pair_of(&made.body)).await;
    assert_eq!(
        operator
            .ask(Method::DELETE, &format!("groups/{}", other.id), Value::Null)
            .await
            .status,
        204
    );
    for token in [&stranger.token, &added.token] {
        let gone = world
            .request(Method::GET, "auth/profile", Some(token), b"")
            .await;
        assert_eq!(gone.refusal(), (401, "InvalidSession"));
    }
    let sessions = world.core.state.admin_sessions.count(bson::doc! {}).await;
    assert_eq!(sessions.unwrap(), 1, "the operator's");
}

#[tokio::test]
async fn an_administrator_logs_in_with_a_password() {
    let world = World::new().await;
    let operator = world.operator().await;
    let login = async |body: Value| {
        let path = "auth/providers/local-userpass/login";
        world
            .request(Method::POST, path, None, body.to_string().as_bytes())
            .await
    };
    let good = json!({ "username": "unique_user@domain.com", "password": "password", "provider": "userpass" });
    // Off until somebody has a password.
    assert_eq!(
        login(good.clone()).await.refusal(),
        (403, "AuthProviderDisabled")
    );
    let unknown = world
        .request(
            Method::POST,
            "auth/providers/oauth2-google/login",
            None,
            b"{}",
        )
        .await;
    assert_eq!(unknown.refusal(), (404, "AuthProviderNotFound"));
    let (other, _) = world.core.create_project("other").await.unwrap();
    let user = json!({ "username": "unique_user@domain.com", "password": "password", "roles": [
        { "role_name": "GROUP_READ_ONLY", "group_id": other.id },
        { "role_name": "GROUP_OWNER", "group_id": world.project },
    ] });
    let made = operator.ask(Method::POST, "administrators", user).await;
    assert_eq!(made.status, 201);
    let id = made.body["_id"].as_str().unwrap().to_owned();
    let listed = operator
        .ask(Method::GET, "administrators", Value::Null)
        .await;
    assert_eq!(listed.body, json!([made.body]));
    assert!(!listed.body.to_string().contains("argon2"));
    let providers = world
        .request(Method::GET, "auth/providers", None, b"")
        .await;
    assert_eq!(
        providers.body[1],
        json!({ "name": "local-userpass", "type": "local-userpass" })
    );

    let begun = login(good.clone()).await;
    assert_eq!(begun.status, 200);
    assert!(
        begun
            .body
            .as_object()
            .unwrap()
            .values()
            .all(Value::is_string)
    );
    let token = begun.body["access_token"].as_str().unwrap().to_owned();
    let get = async |path: &str| world.request(Method::GET, path, Some(&token), b"").await;
    let profile = get("auth/profile").await.body;
    // Clients take the first role, and look for the owner's.
    assert_eq!(
        profile["roles"],
        json!([
            { "role_name": "GROUP_OWNER", "group_id": world.project },
            { "role_name": "GROUP_READ_ONLY", "group_id": other.id },
        ])
    );
    assert_eq!(
        (
            &profile["data"]["email"],
            &profile["identities"][0]["provider_type"]
        ),
        (&json!("unique_user@domain.com"), &json!("local-userpass"))
    );
    let apps = async |project: &str, name: &str| {
        let body = json!({ "name": name }).to_string();
        let path = format!("groups/{project}/apps");
        world
            .request(Method::POST, &path, Some(&token), body.as_bytes())
            .await
            .status
    };
    assert_eq!(
        (apps(&world.project, "a").await, apps(&other.id, "b").await),
        (201, 403)
    );
    assert_eq!(get("administrators").await.refusal(), (403, "Unauthorized"));
    // Another password ends the session, and so does being shut out.
    let one = format!("administrators/{id}");
    let change = async |body: Value| operator.ask(Method::PATCH, &one, body).await.status;
    assert_eq!(change(json!({ "password": "better one" })).await, 204);
    assert_eq!(get("auth/profile").await.refusal(), (401, "InvalidSession"));
    assert_eq!(
        login(good.clone()).await.refusal(),
        (401, "InvalidPassword")
    );
    let better = json!({ "username": "unique_user@domain.com", "password": "better one" });
    let refresh = login(better.clone()).await.body["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(change(json!({ "disabled": true })).await, 204);
    let refused = world
        .request(Method::POST, "auth/session", Some(&refresh), b"")
        .await;
    assert_eq!(refused.refusal(), (401, "InvalidSession"));
    assert_eq!(login(better.clone()).await.refusal(), (401, "UserDisabled"));
    assert_eq!(change(json!({ "disabled": false })).await, 204);
    assert_eq!(login(better.clone()).await.status, 200);
    assert_eq!(
        operator.ask(Method::DELETE, &one, Value::Null).await.status,
        204
    );
    assert_eq!(login(better).await.refusal(), (403, "AuthProviderDisabled"));
}

#[tokio::test]
async fn bad_administrators_are_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let project = world.project.clone();
    let role = json!({ "role_name": "GROUP_OWNER", "group_id": project });
    for (body, status, code) in [
        (
            json!({ "username": "a", "password": "short", "roles": [role] }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": "a", "password": "x".repeat(129), "roles": [role] }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": " ", "password": "password", "roles": [role] }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": "a", "password": "password" }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": "a", "password": "password", "roles": [role, role] }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": "a", "password": "password", "roles": [{ "role_name": "ROOT", "group_id": project }] }),
            400,
            "BadRequest",
        ),
        (
            json!({ "username": "a", "password": "password", "roles": [{ "role_name": "GROUP_OWNER", "group_id": "0123456789abcdef01234567" }] }),
            404,
            "GroupNotFound",
        ),
    ] {
        let refused = operator
            .ask(Method::POST, "administrators", body.clone())
            .await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }
    assert_eq!(
        operator
            .ask(Method::GET, "administrators", Value::Null)
            .await
            .body,
        json!([])
    );
}

#[tokio::test]
async fn wrong_keys_and_passwords_are_counted() {
    let world = World::new().await;
    let public = world.operator.public_key.clone();
    for _ in 0..kit::limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        assert_eq!(world.login(&public, "guess").await.status, 401);
    }
    // The right one too: or a guess would be told by its answer.
    let right = world.operator.private_key.expose();
    assert_eq!(
        world.login(&public, right).await.refusal(),
        (429, "TooManyRequests")
    );
    assert_eq!(world.login("another", "guess").await.status, 401);

    let role = state::ProjectRole {
        project_id: world.project.clone(),
        role: "GROUP_OWNER".to_owned(),
    };
    let made = world
        .core
        .create_admin_user("ann", "password", vec![role])
        .await;
    made.unwrap();
    let login = async |name: &str, password: &str| {
        let body = json!({ "username": name, "password": password }).to_string();
        let path = "auth/providers/local-userpass/login";
        world
            .request(Method::POST, path, None, body.as_bytes())
            .await
            .status
    };
    for _ in 0..kit::limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        assert_eq!(login("ann", "guess").await, 401);
        assert_eq!(login("nobody", "guess").await, 401);
    }
    assert_eq!(login("ann", "password").await, 429);
    assert_eq!(login("nobody", "guess").await, 429);
}

#[tokio::test]
async fn every_change_is_recorded_and_no_secret_with_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let secret = app
        .made("/secrets", json!({ "name": "key", "value": "hush-hush" }))
        .await;
    let again = app
        .call(
            "POST",
            "/secrets",
            json!({ "name": "key", "value": "hush-hush" }),
        )
        .await;
    assert_eq!(again.status, 409);
    app.done(200, "GET", "/secrets", Value::Null).await;
    let reader = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &reader).await;
    reader.call("POST", "/apps", json!({ "name": "no" })).await;

    let listed = operator.ask(Method::GET, "audit", Value::Null).await;
    assert_eq!(listed.status, 200);
    let told: Vec<(&str, &Value, &str, &str)> = listed
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (
                text("operation"),
                &entry["status"],
                text("error_code"),
                text("made"),
            )
        })
        .collect();
    // The latest first; what only reads and what was not let in is not there.
    assert_eq!(
        told,
        [
            ("adminCreateASecret", &json!(409), "SecretDuplicateName", ""),
            ("adminCreateASecret", &json!(201), "", secret.as_str()),
            ("adminCreateApplication", &json!(201), "", app.id.as_str()),
        ]
    );
    let entry = &listed.body[1];
    let key = world.core.keys(&world.project).await.unwrap()[0].clone();
    assert_eq!(
        (
            &entry["administrator"],
            &entry["administrator_id"],
            &entry["provider"],
            &entry["app_id"]
        ),
        (
            &json!(key.public_key),
            &json!(key.id),
            &json!("mongodb-cloud"),
            &json!(app.id)
        )
    );
    assert_eq!(
        entry["resource"],
        format!("/groups/{}/apps/{}/secrets", world.project, app.id)
    );
    // What was written is told, and nothing of what was refused.
    let changed: Vec<&Value> = listed
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["changed"])
        .collect();
    assert_eq!(changed, [&json!([]), &json!(["secrets"]), &json!(["apps"])]);
    let stored = world
        .core
        .state
        .audit
        .list(bson::doc! {}, bson::doc! {}, 0, 0)
        .await
        .unwrap();
    assert!(!format!("{stored:?}").contains("hush-hush"));

    let count = async |query: &str| {
        let page = operator
            .ask(Method::GET, &format!("audit?{query}"), Value::Null)
            .await;
        page.body.as_array().map(Vec::len).ok_or(page.status)
    };
    assert_eq!(count("limit=2").await, Ok(2));
    assert_eq!(count("skip=2").await, Ok(1));
    assert_eq!(count(&format!("app_id={}", app.id)).await, Ok(2));
    assert_eq!(
        count(&format!("administrator={}", key.public_key)).await,
        Ok(3)
    );
    assert_eq!(count("administrator=nobody").await, Ok(0));
    assert_eq!(count("operation=adminCreateApplication").await, Ok(1));
    assert_eq!(count("end_date=2020-01-01T00:00:00Z").await, Ok(0));
    assert_eq!(count("start_date=2020-01-01T00:00:00Z").await, Ok(3));
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "skip=99999999999999999999",
        "skip=9223372036854775808",
        "start_date=soon",
    ] {
        assert_eq!(count(wrong).await, Err(400), "{wrong}");
    }
    let refused = reader.ask(Method::GET, "audit", Value::Null).await;
    assert_eq!(refused.refusal(), (403, "Unauthorized"));
}
