//! Triggers, endpoints, the Data API, GraphQL, log forwarders, environments:
//! their configuration.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NOBODY: &str = "0123456789abcdef01234567";

async fn function(app: &AppAdmin<'_>, name: &str) -> String {
    let body = json!({ "name": name, "source": "exports = () => 1;" });
    app.made("/functions", body).await
}

async fn source(app: &AppAdmin<'_>) -> String {
    let body = json!({
        "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" },
    });
    app.made("/services", body).await
}

#[tokio::test]
async fn triggers_name_their_function_in_both_places() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function_id, service_id) = (function(&app, "audit").await, source(&app).await);
    let body = json!({
        "name": "onOrder", "type": "DATABASE", "function_id": function_id,
        "config": {
            "service_id": service_id, "database": "shop", "collection": "orders",
            "operation_types": ["INSERT"],
        },
    });
    let id = app.made("/triggers", body.clone()).await;
    let path = format!("/triggers/{id}");
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert!(one["last_modified"].as_i64().unwrap() > 1_700_000_000);
    let mut expected = json!({
        "_id": id, "name": "onOrder", "type": "DATABASE", "disabled": false,
        "function_id": function_id, "function_name": "audit",
        "config": {
            "service_id": service_id, "service_name": "mongodb-atlas", "database": "shop",
            "collection": "orders", "operation_types": ["INSERT"], "match": {}, "project": {},
            "skip_catchup_events": false, "unordered": false, "full_document": false,
            "full_document_before_change": false,
        },
        "event_processors": { "FUNCTION": { "config": {
            "function_id": function_id, "function_name": "audit",
        } } },
    });
    expected["last_modified"] = one["last_modified"].clone();
    assert_eq!(one, expected);
    // The files name what the API has by id.
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    let file = &pulled["triggers"][0];
    assert_eq!(file["config"]["service_name"], "mongodb-atlas");
    assert_eq!(
        file["event_processors"],
        json!({ "FUNCTION": { "config": { "function_name": "audit" } } })
    );
    assert_eq!(
        (&file["function_name"], &file["config"]["service_id"]),
        (&Value::Null, &Value::Null)
    );
    // What was read goes back in, and by processors alone as well.
    app.done(204, "PUT", &path, one.clone()).await;
    let scheduled = json!({
        "name": "nightly", "type": "SCHEDULED", "config": { "schedule": "0 3 * * *" },
        "event_processors": { "FUNCTION": { "config": { "function_name": "audit" } } },
    });
    app.made("/triggers", scheduled).await;
    let all = app.done(200, "GET", "/triggers", Value::Null).await;
    assert_eq!(
        (all.as_array().unwrap().len(), &all[0]["config"]),
        (2, &one["config"])
    );
    let nightly = app
        .done(
            200,
            "GET",
            "/event_subscriptions?type=SCHEDULED",
            Value::Null,
        )
        .await;
    assert_eq!(nightly[0]["name"], "nightly");
    assert_eq!(
        (&nightly[0]["function_id"], &nightly[1]),
        (&json!(function_id), &Value::Null)
    );
    for (body, status, code) in [
        (body.clone(), 409, "TriggerDuplicateName"),
        (
            json!({ "name": "a b", "type": "DATABASE" }),
            400,
            "BadRequest",
        ),
        (json!({ "name": "x" }), 400, "MissingParameter"),
        (
            json!({ "name": "x", "type": "WEEKLY", "function_id": function_id, "config": {} }),
            400,
            "BadRequest",
        ),
        (
            json!({ "name": "x", "type": "SCHEDULED", "function_id": function_id, "config": { "schedule": "soon" } }),
            400,
            "BadRequest",
        ),
        (
            json!({ "name": "x", "type": "SCHEDULED", "function_id": NOBODY, "config": { "schedule": "* * * * *" } }),
            400,
            "BadRequest",
        ),
        (
            json!({ "name": "x", "type": "SCHEDULED", "config": { "schedule": "* * * * *" } }),
            400,
            "BadRequest",
        ),
        (
            json!({ "name": "x", "type": "DATABASE", "function_id": function_id, "config": [] }),
            400,
            "InvalidParameter",
        ),
    ] {
        let refused = app.call("POST", "/triggers", body.clone()).await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }
    // Whoever is named stays.
    for path in [
        format!("/functions/{function_id}"),
        format!("/services/{service_id}"),
    ] {
        let kept = app.call("DELETE", &path, Value::Null).await;
        assert_eq!(kept.refusal(), (400, "BadRequest"), "{path}");
    }
    app.done(204, "DELETE", &path, Value::Null).await;
    let gone = app.call("GET", &path, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "TriggerNotFound"));
}

#[tokio::test]
async fn endpoints_are_one_for_each_route_and_method() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let function_id = function(&app, "hello").await;
    let secret = app
        .made("/secrets", json!({ "name": "key", "value": "x" }))
        .await;
    let body = json!({
        "route": "/hello", "http_method": "GET", "function_id": function_id,
        "validation_method": "VERIFY_PAYLOAD", "secret_id": secret, "respond_result": true,
    });
    let id = app.made("/endpoints", body.clone()).await;
    let path = format!("/endpoints/{id}");
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (
            &one["function_name"],
            &one["function_id"],
            &one["secret_name"]
        ),
        (&json!("hello"), &json!(function_id), &json!("key"))
    );
    assert_eq!(
        (&one["disabled"], &one["create_user_on_auth"]),
        (&json!(false), &json!(false))
    );
    let mut other = one.clone();
    other["http_method"] = json!("POST");
    let id = app.made("/endpoints", other).await;
    let taken = app
        .call("PUT", &format!("/endpoints/{id}"), one.clone())
        .await;
    assert_eq!(taken.refusal(), (409, "EndpointDuplicateName"));
    // A new route, the same id.
    let mut moved = one.clone();
    moved["route"] = json!("/hi");
    app.done(200, "PUT", &path, moved).await;
    let all = app.done(200, "GET", "/endpoints", Value::Null).await;
    let all = all.as_array().unwrap();
    let moved = all.iter().find(|endpoint| endpoint["_id"] == one["_id"]);
    assert_eq!(moved.unwrap()["route"], "/hi");
    for (field, wrong, code) in [
        ("route", json!("hello"), "BadRequest"),
        ("route", Value::Null, "MissingParameter"),
        ("http_method", json!("FETCH"), "BadRequest"),
        ("function_id", json!(NOBODY), "BadRequest"),
        ("secret_id", json!(NOBODY), "BadRequest"),
        ("disabled", json!("no"), "BadRequest"),
        ("validation_method", json!("NONE"), "BadRequest"),
    ] {
        let mut body = body.clone();
        body["route"] = json!("/new");
        body[field] = wrong;
        let refused = app.call("POST", "/endpoints", body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
    let kept = app
        .call("DELETE", &format!("/functions/{function_id}"), Value::Null)
        .await;
    assert_eq!(kept.refusal(), (400, "BadRequest"));
    app.done(204, "DELETE", &path, Value::Null).await;
    let gone = app.call("GET", &path, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "EndpointNotFound"));
}

#[tokio::test]
async fn the_data_api_is_made_and_changed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let missing = app.call("GET", "/data_api/config", Value::Null).await;
    assert_eq!(missing.refusal(), (404, "DataAPIConfigNotFound"));
    let missing = app
        .call("PATCH", "/data_api/config", json!({ "disabled": true }))
        .await;
    assert_eq!(missing.refusal(), (404, "DataAPIConfigNotFound"));
    let body = json!({
        "disabled": false, "versions": ["v1"], "return_type": "EJSON",
        "validation_method": "NO_VALIDATION", "note": 1,
    });
    app.done(201, "POST", "/data_api/config", body.clone())
        .await;
    let again = app.call("POST", "/data_api/config", body).await;
    assert_eq!(again.status, 409);
    app.done(
        204,
        "PATCH",
        "/data_api/config",
        json!({ "create_user_on_auth": true }),
    )
    .await;
    let shown = app.done(200, "GET", "/data_api/config", Value::Null).await;
    assert_eq!(
        shown,
        json!({
            "disabled": false, "versions": ["v1"], "return_type": "EJSON",
            "create_user_on_auth": true, "fetch_custom_user_data": false, "run_as_user_id": "",
            "run_as_user_id_script_source": "", "validation_method": "NO_VALIDATION",
            "secret_name": "", "log_function_arguments": false,
        })
    );
    let refused = app
        .call("PATCH", "/data_api/config", json!({ "disabled": 1 }))
        .await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    assert_eq!(
        app.done(200, "GET", "/data_api/versions", Value::Null)
            .await,
        json!(["v1"])
    );
}

#[tokio::test]
async fn graphql_settings_have_defaults_and_no_way_back_from_natural_names() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let config = app.done(200, "GET", "/graphql/config", Value::Null).await;
    assert_eq!(
        config,
        json!({ "use_natural_pluralization": true, "disable_schema_introspection": false })
    );
    let back = json!({ "use_natural_pluralization": false });
    let refused = app.call("PUT", "/graphql/config", back).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let hidden = json!({ "disable_schema_introspection": true });
    app.done(204, "PUT", "/graphql/config", hidden).await;
    let config = app.done(200, "GET", "/graphql/config", Value::Null).await;
    assert_eq!(config["disable_schema_introspection"], true);
    const PATH: &str = "/validation_settings/graphql";
    let off = json!({ "read_validation_level": "OFF" });
    app.done(204, "PUT", PATH, off).await;
    assert_eq!(
        app.done(200, "GET", PATH, Value::Null).await,
        json!({
            "read_validation_action": "ERROR", "read_validation_level": "OFF",
            "write_validation_action": "ERROR", "write_validation_level": "STRICT",
        })
    );
    let bad = json!({ "read_validation_level": "MAYBE" });
    let refused = app.call("PUT", PATH, bad).await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter"));

    let function_id = function(&app, "double").await;
    let body = json!({
        "on_type": "Query", "field_name": "double", "function_id": function_id,
        "input_type": "int", "input_type_format": "scalar", "payload_type": "int",
        "payload_type_format": "scalar",
    });
    let id = app.made("/graphql/custom_resolvers", body.clone()).await;
    let path = format!("/graphql/custom_resolvers/{id}");
    let mut one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (&one["function_name"], &one["function_id"]),
        (&json!("double"), &json!(function_id))
    );
    let again = app.call("POST", "/graphql/custom_resolvers", body).await;
    assert_eq!(again.refusal(), (409, "CustomResolverDuplicateName"));
    one["field_name"] = json!("twice");
    app.done(204, "PUT", &path, one.clone()).await;
    let all = app
        .done(200, "GET", "/graphql/custom_resolvers", Value::Null)
        .await;
    assert_eq!(all, json!([one]));
    app.done(204, "DELETE", &path, Value::Null).await;
    let gone = app.call("GET", &path, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "CustomResolverNotFound"));
}

#[tokio::test]
async fn log_forwarders_are_switched() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    function(&app, "ship").await;
    let body = json!({
        "name": "all", "log_types": ["auth", "function"], "log_statuses": ["error"],
        "policy": { "type": "single" }, "action": { "type": "function", "name": "ship" },
    });
    let id = app.made("/log_forwarders", body.clone()).await;
    let path = format!("/log_forwarders/{id}");
    app.done(204, "PUT", &format!("{path}/disable"), Value::Null)
        .await;
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(one["disabled"], true);
    app.done(204, "PUT", &format!("{path}/enable"), Value::Null)
        .await;
    let policy = json!({ "policy": { "type": "batch" } });
    let patched = app.done(200, "PATCH", &path, policy).await;
    assert_eq!(
        (
            &patched["policy"]["type"],
            &patched["name"],
            &patched["disabled"]
        ),
        (&json!("batch"), &json!("all"), &json!(false))
    );
    let again = app.call("POST", "/log_forwarders", body.clone()).await;
    assert_eq!(again.refusal(), (409, "LogForwarderDuplicateName"));
    let mut nobody = body;
    nobody["name"] = json!("other");
    nobody["action"]["name"] = json!("nobody");
    let refused = app.call("POST", "/log_forwarders", nobody).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    app.done(204, "DELETE", &path, Value::Null).await;
    for method in ["GET", "DELETE"] {
        let gone = app.call(method, &path, Value::Null).await;
        assert_eq!(gone.refusal(), (404, "LogForwarderNotFound"));
    }
}

#[tokio::test]
async fn environments_and_their_values() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let qa = json!({ "environment": "qa" });
    let shown = app.done(200, "PUT", "/environment", qa).await;
    assert_eq!(
        (&shown["_id"], &shown["environment"]),
        (&json!(app.id), &json!("qa"))
    );
    for bad in [
        json!({ "environment": "moon" }),
        json!({ "environment": "none" }),
        json!({ "environment": 1 }),
        json!({}),
    ] {
        assert_eq!(app.call("PUT", "/environment", bad).await.status, 400);
    }
    let body = json!({ "name": "url", "values": { "none": "a", "qa": { "x": 1 } } });
    let id = app.made("/environment_values", body.clone()).await;
    let path = format!("/environment_values/{id}");
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (&one["name"], &one["values"]),
        (&json!("url"), &body["values"])
    );
    let again = app.call("POST", "/environment_values", body).await;
    assert_eq!(again.refusal(), (409, "EnvironmentValueDuplicateName"));
    // Renamed, under the same id; what is not said is gone.
    let renamed = json!({ "name": "address", "values": { "production": "b" } });
    app.done(200, "PUT", &path, renamed.clone()).await;
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (&one["name"], &one["values"], &one["_id"]),
        (&renamed["name"], &renamed["values"], &json!(id))
    );
    let all = app
        .done(200, "GET", "/environment_values", Value::Null)
        .await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert!(all[0]["last_modified"].as_i64().unwrap() > 1_700_000_000);
    let wrong = json!({ "name": "x", "values": { "moon": 1 } });
    let refused = app.call("POST", "/environment_values", wrong).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    app.done(204, "DELETE", &path, Value::Null).await;
    let gone = app.call("GET", &path, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "EnvironmentValueNotFound"));
    app.done(200, "PUT", "/environment", json!({ "environment": "" }))
        .await;
}

#[tokio::test]
async fn webhooks_belong_to_a_service() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let service = json!({ "name": "orders", "type": "http", "config": {} });
    let service = app.made("/services", service).await;
    let all = format!("/services/{service}/incoming_webhooks");
    let body = json!({
        "name": "placed", "function_source": "exports = () => 1;", "respond_result": true,
        "options": { "secret": "s", "secretAsQueryParam": true },
    });
    let made = app.done(201, "POST", &all, body.clone()).await;
    let path = format!("{all}/{}", made["_id"].as_str().unwrap());
    assert_eq!(
        app.done(200, "GET", &all, Value::Null).await,
        json!([{ "_id": made["_id"], "name": "placed" }])
    );
    let mut one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (
            &one["function_source"],
            &one["options"],
            &one["create_user_on_auth"]
        ),
        (&body["function_source"], &body["options"], &json!(false))
    );
    let again = app.call("POST", &all, body.clone()).await;
    assert_eq!(again.refusal(), (409, "IncomingWebhookDuplicateName"));
    one["respond_result"] = json!(false);
    let changed = app.done(200, "PUT", &path, one).await;
    assert_eq!(changed["respond_result"], false);
    let source = source(&app).await;
    for (method, path, body, status, code) in [
        (
            "POST",
            all.clone(),
            json!({ "name": "x" }),
            400,
            "MissingParameter",
        ),
        (
            "GET",
            format!("/services/{source}/incoming_webhooks"),
            Value::Null,
            400,
            "BadRequest",
        ),
        (
            "GET",
            format!("{all}/{NOBODY}"),
            Value::Null,
            404,
            "IncomingWebhookNotFound",
        ),
    ] {
        let refused = app.call(method, &path, body).await;
        assert_eq!(refused.refusal(), (status, code), "{method} {path}");
    }
    app.done(204, "DELETE", &path, Value::Null).await;
    let gone = app.call("GET", &path, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "IncomingWebhookNotFound"));
}

#[tokio::test]
async fn hosting_is_turned_on_and_keeps_the_rest() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/hosting/config";
    let off = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(
        (&off["enabled"], &off["status"]),
        (&json!(false), &json!("setup_ok"))
    );
    app.done(
        204,
        "PATCH",
        PATH,
        json!({ "default_error_path": "/404.html" }),
    )
    .await;
    app.done(204, "PATCH", PATH, json!({ "enabled": true, "note": 1 }))
        .await;
    let on = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(
        (&on["enabled"], &on["default_error_path"], &on["note"]),
        (&json!(true), &json!("/404.html"), &Value::Null)
    );
    for wrong in [
        json!({ "enabled": "yes" }),
        json!({ "custom_domain": "https://example.com" }),
        json!({ "custom_domain": "127.0.0.1" }),
        json!({ "custom_domain": 5 }),
        json!({ "default_error_path": "404.html" }),
        json!({ "default_error_code": "many" }),
        json!({ "default_response_code": 99 }),
    ] {
        let refused = app.call("PATCH", PATH, wrong.clone()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{wrong}");
    }
    assert_eq!(on, app.done(200, "GET", PATH, Value::Null).await);
}

#[tokio::test]
async fn a_custom_domain_is_kept_exported_and_said_to_come_later() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/hosting/config";
    let fresh = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(fresh.get("status_error_message"), None);
    let set = json!({
        "enabled": true, "custom_domain": "shop.example.com", "default_error_path": "/index.html",
        "default_response_code": 200,
    });
    app.done(204, "PATCH", PATH, set.clone()).await;
    let shown = app.done(200, "GET", PATH, Value::Null).await;
    for (name, value) in set.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let told = shown["status_error_message"].as_str().unwrap_or_default();
    assert!(told.contains("custom domains: not supported yet"), "{told}");
    let exported = app.archive("/export?source_control=true").await.1;
    let file = exported.get("hosting/config.json").expect("a file");
    let file: Value = serde_json::from_slice(file).unwrap();
    assert_eq!(file, set);
    // What is wrong is refused of files, too, and nothing is changed.
    let document =
        json!({ "config_version": 20_210_101, "hosting": { "custom_domain": "nowhere" } });
    let refused = app.call("POST", "/import", document).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    // Without it nothing is said of it.
    app.done(204, "PATCH", PATH, json!({ "custom_domain": "" }))
        .await;
    let shown = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(shown.get("status_error_message"), None);
}

#[tokio::test]
async fn what_files_leave_out_is_shown_as_it_is() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let user_data = app.done(200, "GET", "/custom_user_data", Value::Null).await;
    assert_eq!(
        user_data,
        json!({
            "enabled": false, "mongo_service_id": "000000000000000000000000", "database_name": "",
            "collection_name": "", "user_id_field": "",
        })
    );
    // Sent back, it is what it was.
    app.done(204, "PATCH", "/custom_user_data", user_data.clone())
        .await;
    let again = app.done(200, "GET", "/custom_user_data", Value::Null).await;
    assert_eq!(again, user_data);
    let document = json!({
        "config_version": 20_210_101,
        "functions": { "config": [{ "name": "f" }], "sources": { "f.js": "exports = () => 1;" } },
        "endpoints": { "config": [{ "route": "/a", "http_method": "GET", "function_name": "f" }] },
        "data_api_config": { "disabled": true },
        "data_sources": [{
            "config": { "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "c" } },
            "rules": [{ "database": "d", "collection": "c", "roles": [] }],
        }],
    });
    app.done(204, "POST", "/import", document).await;
    let endpoint = &app.done(200, "GET", "/endpoints", Value::Null).await[0];
    let defaults = json!({
        "validation_method": "NO_VALIDATION", "return_type": "JSON", "respond_result": false,
        "fetch_custom_user_data": false, "create_user_on_auth": false, "disabled": false,
    });
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(&endpoint[name], value, "{name}");
    }
    let data_api = app.done(200, "GET", "/data_api/config", Value::Null).await;
    assert_eq!(
        (
            &data_api["disabled"],
            &data_api["versions"],
            &data_api["return_type"]
        ),
        (&json!(true), &json!(["v1"]), &json!("JSON"))
    );
    assert_eq!(data_api["validation_method"], "NO_VALIDATION");
    let service = app.done(200, "GET", "/services", Value::Null).await;
    let rules = format!("/services/{}/rules", service[0]["_id"].as_str().unwrap());
    let rule = &app.done(200, "GET", &rules, Value::Null).await[0];
    assert_eq!((&rule["roles"], &rule["filters"]), (&json!([]), &json!([])));
    // Exports have what was said, no more.
    let exported = app.archive("/export?source_control=true").await.1;
    let endpoints = exported.get("http_endpoints/config.json").expect("a file");
    let endpoints = String::from_utf8_lossy(endpoints);
    assert!(!endpoints.contains("return_type"), "{endpoints}");
}

#[tokio::test]
async fn secrets_in_the_settings_of_services_become_secrets() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({
        "name": "tw", "type": "twilio", "config": { "sid": "ac1", "auth_token": "hush" },
        "rules": [{ "name": "all", "actions": ["send"], "when": {} }],
        "incoming_webhooks": [{ "name": "w", "function_source": "exports = () => 1;", "options": {} }],
    });
    let id = app.made("/services", body.clone()).await;
    let path = format!("/services/{id}");
    let config = app
        .done(200, "GET", &format!("{path}/config"), Value::Null)
        .await;
    assert_eq!(config, json!({ "sid": "ac1" }));
    let rules = app
        .done(200, "GET", &format!("{path}/rules"), Value::Null)
        .await;
    assert_eq!(rules[0]["name"], "all");
    let hooks = app
        .done(
            200,
            "GET",
            &format!("{path}/incoming_webhooks"),
            Value::Null,
        )
        .await;
    assert_eq!(hooks[0]["name"], "w");
    let served = world.core.app(&app.id).await.unwrap();
    let names = async || {
        let secrets = app.done(200, "GET", "/secrets", Value::Null).await;
        let names = secrets.as_array().unwrap().iter();
        names
            .map(|secret| secret["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["__tw_auth_token"]);
    let exported = || {
        let release = served.release();
        release
            .config
            .get(config::Kind::Service, "tw")
            .unwrap()
            .json
            .clone()
    };
    let named = json!({ "auth_token": "__tw_auth_token" });
    assert_eq!(exported()["secret_config"], named);
    assert!(!exported().to_string().contains("hush"));
    // Another one with a change of the settings, and none with a name that is taken.
    let change = json!({ "sid": "ac2", "auth_token": "other" });
    app.done(204, "PATCH", &format!("{path}/config"), change)
        .await;
    assert_eq!(
        (&exported()["config"], &exported()["secret_config"]),
        (&json!({ "sid": "ac2" }), &named)
    );
    let again = app.call("POST", "/services", body).await;
    assert_eq!(again.refusal(), (409, "ServiceDuplicateName"));
    let long = json!({ "auth_token": "x".repeat(501) });
    let refused = app.call("PATCH", &format!("{path}/config"), long).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    assert_eq!(names().await, ["__tw_auth_token"]);
    // It is in use until the service goes.
    app.done(204, "DELETE", &path, Value::Null).await;
}
