//! Users, API keys, logs, deployments: what acts at once.

use app::RequestInfo;
use app::users::Device;
use serde_json::{Value, json};

use crate::{AppAdmin, World};

async fn with_logins<'a>(operator: &'a crate::Administrator<'a>) -> AppAdmin<'a> {
    let app = operator.app("shop").await;
    let body = json!({ "type": "local-userpass", "config": { "autoConfirm": true } });
    app.made("/auth_providers", body).await;
    app.made("/auth_providers", json!({ "type": "anon-user" }))
        .await;
    app
}

fn user(email: &str) -> Value {
    json!({ "email": email, "password": "correct horse" })
}

#[tokio::test]
async fn users_are_made_found_and_shut_out() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_logins(&operator).await;
    let made = app
        .done(201, "POST", "/users", user("ann@example.com"))
        .await;
    let id = made["_id"].as_str().unwrap();
    assert_eq!(
        (&made["type"], &made["disabled"]),
        (&json!("normal"), &json!(false))
    );
    assert_eq!(made["identities"][0]["provider_type"], "local-userpass");
    assert_eq!(
        made["identities"][0]["provider_id"].as_str().unwrap().len(),
        24
    );
    assert_eq!(made["data"], json!({ "email": "ann@example.com" }));
    assert_eq!(
        app.done(200, "GET", "/users", Value::Null).await,
        json!([made])
    );
    assert_eq!(
        app.done(200, "GET", &format!("/users/{id}"), Value::Null)
            .await,
        made
    );
    for (body, status, code) in [
        (user("ann@example.com"), 409, "AccountNameInUse"),
        (
            json!({ "email": "bob@example.com", "password": "short" }),
            400,
            "BadRequest",
        ),
        (
            json!({ "email": "bob@example.com" }),
            400,
            "MissingParameter",
        ),
        (
            json!({ "password": "correct horse" }),
            400,
            "MissingParameter",
        ),
    ] {
        let refused = app.call("POST", "/users", body.clone()).await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }

    let served = world.core.app(&app.id).await.unwrap();
    let credentials = bson::doc! { "username": "ann@example.com", "password": "correct horse" };
    let info = RequestInfo::default();
    let login = async || {
        served
            .login("local-userpass", &credentials, Device::default(), &info)
            .await
            .map_err(|problem| problem.code.to_string())
    };
    let session = login().await.unwrap();
    assert_eq!(session.user_id, id);
    assert!(served.authenticate(&session.access_token).await.is_ok());
    app.done(204, "PUT", &format!("/users/{id}/disable"), Value::Null)
        .await;
    assert_eq!(
        served
            .authenticate(&session.access_token)
            .await
            .unwrap_err()
            .code,
        "InvalidSession"
    );
    assert_eq!(login().await.unwrap_err(), "UserDisabled");
    assert_eq!(
        app.done(200, "GET", "/users?status=disabled", Value::Null)
            .await[0]["_id"],
        *id
    );
    assert_eq!(
        app.done(200, "GET", "/users?status=enabled", Value::Null)
            .await,
        json!([])
    );
    app.done(204, "PUT", &format!("/users/{id}/enable"), json!(""))
        .await;
    let session = login().await.unwrap();
    app.done(204, "PUT", &format!("/users/{id}/logout"), json!({}))
        .await;
    assert!(served.refresh(&session.refresh_token).await.is_err());
    app.done(204, "DELETE", &format!("/users/{id}"), Value::Null)
        .await;
    assert_eq!(login().await.unwrap_err(), "InvalidPassword");
    for (method, part) in [
        ("GET", ""),
        ("DELETE", ""),
        ("PUT", "/disable"),
        ("PUT", "/logout"),
    ] {
        let gone = app
            .call(method, &format!("/users/{id}{part}"), Value::Null)
            .await;
        assert_eq!(gone.refusal(), (404, "UserNotFound"), "{method} {part}");
    }
}

#[tokio::test]
async fn users_come_in_pages_of_fifty() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_logins(&operator).await;
    for n in 0..53 {
        app.done(201, "POST", "/users", user(&format!("user{n}@example.com")))
            .await;
    }
    let served = world.core.app(&app.id).await.unwrap();
    served
        .login(
            "anon-user",
            &bson::doc! {},
            Device::default(),
            &RequestInfo::default(),
        )
        .await
        .unwrap();
    let first = app.done(200, "GET", "/users", Value::Null).await;
    let first = first.as_array().unwrap();
    assert_eq!(first.len(), 50);
    let after = first[49]["_id"].as_str().unwrap();
    let rest = app
        .done(200, "GET", &format!("/users?after={after}"), Value::Null)
        .await;
    assert_eq!(rest.as_array().unwrap().len(), 4);
    let newest = app
        .done(200, "GET", "/users?desc=true&limit=1", Value::Null)
        .await;
    assert_eq!(newest[0]["_id"], rest[3]["_id"]);
    let anonymous = app
        .done(
            200,
            "GET",
            "/users?provider_types=anon-user,api-key",
            Value::Null,
        )
        .await;
    assert_eq!(anonymous.as_array().unwrap().len(), 1);
    assert_eq!(
        app.call("GET", "/users?limit=x", Value::Null)
            .await
            .refusal(),
        (400, "InvalidParameter")
    );
    assert_eq!(
        app.call("GET", "/users?status=x", Value::Null)
            .await
            .refusal(),
        (400, "InvalidParameter")
    );
}

#[tokio::test]
async fn server_keys_log_in_until_they_are_off() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let providers = app.done(200, "GET", "/auth_providers", Value::Null).await;
    let provider = providers[0]["_id"].as_str().unwrap();
    app.done(
        204,
        "PUT",
        &format!("/auth_providers/{provider}/enable"),
        Value::Null,
    )
    .await;
    let made = app
        .done(201, "POST", "/api_keys", json!({ "name": "job" }))
        .await;
    let (id, key) = (made["_id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(key.len(), 64);
    let shown = json!({ "_id": id, "name": "job", "disabled": false });
    assert_eq!(
        app.done(200, "GET", "/api_keys", Value::Null).await,
        json!([shown])
    );
    assert_eq!(
        app.done(200, "GET", &format!("/api_keys/{id}"), Value::Null)
            .await,
        shown
    );
    assert_eq!(
        app.call("POST", "/api_keys", json!({ "name": "job" }))
            .await
            .refusal(),
        (409, "APIKeyAlreadyExists")
    );
    let served = world.core.app(&app.id).await.unwrap();
    let login = async || {
        let credentials = bson::doc! { "key": key };
        served
            .login(
                "api-key",
                &credentials,
                Device::default(),
                &RequestInfo::default(),
            )
            .await
    };
    // The key is a user from the beginning, and the same one after a login.
    let users = app.done(200, "GET", "/users", Value::Null).await;
    assert_eq!(
        (&users[0]["type"], &users[0]["identities"][0]["id"]),
        (&json!("server"), &json!(id))
    );
    let session = login().await.unwrap();
    assert_eq!(json!(session.user_id), users[0]["_id"]);
    app.done(204, "PUT", &format!("/api_keys/{id}/disable"), Value::Null)
        .await;
    assert!(login().await.is_err());
    app.done(204, "PUT", &format!("/api_keys/{id}/enable"), Value::Null)
        .await;
    login().await.unwrap();
    app.done(204, "DELETE", &format!("/api_keys/{id}"), Value::Null)
        .await;
    assert!(login().await.is_err());
    let users = app.done(200, "GET", "/users", Value::Null).await;
    assert_eq!(
        (users.as_array().map(Vec::len), &users[0]["identities"]),
        (Some(1), &json!([]))
    );
    assert!(served.refresh(&session.refresh_token).await.is_err());
    assert_eq!(
        app.call("GET", &format!("/api_keys/{id}"), Value::Null)
            .await
            .refusal(),
        (404, "APIKeyNotFound")
    );
}

#[tokio::test]
async fn logs_of_logins_are_read_at_once_filtered_and_paged() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_logins(&operator).await;
    assert_eq!(
        app.done(200, "GET", "/logs", Value::Null).await,
        json!({ "logs": [] })
    );
    let served = world.core.app(&app.id).await.unwrap();
    let request = RequestInfo {
        id: app::request_id(),
        remote_address: "127.0.0.9".to_owned(),
        ..RequestInfo::default()
    };
    let wrong = bson::doc! { "username": "nobody", "password": "nothing" };
    assert!(
        served
            .login("local-userpass", &wrong, Device::default(), &request)
            .await
            .is_err()
    );
    let count = 120;
    for _ in 0..count {
        served
            .login(
                "anon-user",
                &bson::doc! {},
                Device::default(),
                &RequestInfo::default(),
            )
            .await
            .unwrap();
    }
    let failed = app
        .done(200, "GET", "/logs?errors_only=false", Value::Null)
        .await;
    let failed = failed["logs"].as_array().unwrap();
    assert_eq!(failed.len(), 1);
    let entry = &failed[0];
    assert_eq!(
        (&entry["type"], &entry["co_id"]),
        (&json!("AUTH"), &json!(request.id))
    );
    assert_eq!(entry["error_code"], "InvalidPassword");
    assert_eq!(entry["remote_ip_address"], "127.0.0.9");
    assert_eq!(
        entry["auth_event"],
        json!({ "type": "LOGIN", "provider": "local-userpass", "failed": true })
    );
    assert!(bson::DateTime::parse_rfc3339_str(entry["started"].as_str().unwrap()).is_ok());
    // Every entry is on exactly one page.
    let mut seen = std::collections::BTreeSet::new();
    let (mut path, mut pages) = ("/logs?limit=50&type=AUTH,FUNCTION".to_owned(), 0);
    loop {
        let page = app.done(200, "GET", &path, Value::Null).await;
        pages += 1;
        for entry in page["logs"].as_array().unwrap() {
            assert!(
                seen.insert(entry["_id"].as_str().unwrap().to_owned()),
                "{entry} twice"
            );
        }
        let Some(end) = page["nextEndDate"].as_str() else {
            break;
        };
        path = format!(
            "/logs?limit=50&type=AUTH,FUNCTION&end_date={end}&skip={}",
            page["nextSkip"]
        );
    }
    // A first login is told twice: there is a new user, who logged in.
    assert_eq!((seen.len(), pages), (2 * count + 1, 5));
    assert_eq!(
        app.done(200, "GET", "/logs?type=FUNCTION", Value::Null)
            .await,
        json!({ "logs": [] })
    );
    for query in [
        "start_date=yesterday",
        "end_date=1",
        "skip=-1",
        "limit=many",
    ] {
        let refused = app
            .call("GET", &format!("/logs?{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{query}");
    }
}

#[tokio::test]
async fn a_deployment_can_come_back() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let id = app
        .made("/values", json!({ "name": "v", "value": 1 }))
        .await;
    let path = format!("/values/{id}");
    app.done(204, "PUT", &path, json!({ "name": "v", "value": 2 }))
        .await;
    let list = app.done(200, "GET", "/deployments", Value::Null).await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    let first = list[1]["_id"].as_str().unwrap();
    assert_eq!(
        app.done(200, "GET", &format!("/deployments/{first}"), Value::Null)
            .await,
        list[1]
    );
    app.done(
        204,
        "POST",
        &format!("/deployments/{first}/redeploy"),
        Value::Null,
    )
    .await;
    assert_eq!(app.done(200, "GET", &path, Value::Null).await["value"], 1);
    let list = app.done(200, "GET", "/deployments", Value::Null).await;
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert!(list[0]["deployed_at"].is_number());
    let missing = app
        .call(
            "POST",
            "/deployments/0123456789abcdef01234567/redeploy",
            Value::Null,
        )
        .await;
    assert_eq!(missing.refusal(), (404, "DeploymentNotFound"));
}

/// The log's shape of an action that rules decided, and the service's words for
/// a rule that cannot be.
#[tokio::test]
async fn actions_under_rules_are_in_the_log_and_bad_rules_are_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = with_logins(&operator).await;
    let source = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "x" } });
    let service = app.made("/services", source).await;
    let rules = format!("/services/{service}/rules");
    let rule = |apply_when: Value| {
        json!({ "database": "d", "collection": "c", "roles": [
            { "name": "r", "apply_when": apply_when, "write": { "n": 1 } },
        ] })
    };
    let refused = app.call("POST", &rules, rule(json!({ "%%foo": 1 }))).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let text = refused.body["error"].as_str().unwrap();
    let words = "error validating rule: do not know how to expand '%%foo'\n";
    assert!(text.starts_with(words), "{text}");
    app.made(&rules, rule(json!({}))).await;

    let served = world.core.app(&app.id).await.unwrap();
    let login = served
        .login(
            "anon-user",
            &bson::doc! {},
            Device::default(),
            &RequestInfo::default(),
        )
        .await
        .unwrap();
    let user = served.authenticate(&login.access_token).await.unwrap();
    let request = RequestInfo {
        id: app::request_id(),
        ..RequestInfo::default()
    };
    let cx = app::Cx::of_user(&served, user, request);
    let insert =
        bson::rawdoc! { "database": "d", "collection": "c", "document": { "_id": 1, "n": 2 } };
    assert!(
        served
            .run_action(&cx, "db", "insertOne", &insert)
            .await
            .is_err()
    );
    let log = app
        .done(200, "GET", "/logs?type=SERVICE_FUNCTION", Value::Null)
        .await;
    let entry = &log["logs"][0];
    assert_eq!(
        (
            &entry["error"],
            &entry["error_code"],
            &entry["function_name"],
            &entry["function_call"],
            &entry["rule_metrics"]
        ),
        (
            &json!("insert not permitted: role 'r': write is false"),
            &json!("NoMatchingRuleFound"),
            &json!("insertOne"),
            &json!({ "name": "insertOne", "service": "db", "arguments": [
                { "database": "d", "collection": "c", "document": { "_id": 1, "n": 2 } },
            ] }),
            &json!({ "namespaces_metrics": { "d.c": {
                "roles": { "r": { "matching_documents": 1, "evaluated_fields": 0, "discarded_fields": 0 } },
                "no_matching_role": 0,
            } } }),
        )
    );
    assert!(entry["function_call_location"].is_string() && entry.get("arguments").is_none());
}
