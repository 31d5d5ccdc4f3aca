//! What others name is not removed, and names follow it.

use serde_json::{Value, json};

use crate::World;

#[tokio::test]
async fn what_is_in_use_stays_and_who_uses_it_is_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let function = app
        .made(
            "/functions",
            json!({ "name": "f", "source": "exports = () => 1" }),
        )
        .await;
    let source = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "x" } });
    let source = app.made("/services", source).await;
    let secret = app
        .made("/secrets", json!({ "name": "key", "value": "hush" }))
        .await;
    let body = json!({ "name": "api", "value": "key", "from_secret": true });
    let value = app.made("/values", body).await;
    let rule = json!({
        "database": "d", "collection": "c",
        "roles": [{ "name": "r", "apply_when": {
            "%%user.id": "%%values.api",
            "%%true": { "%function": { "name": "f", "arguments": [] } },
        }, "read": true }],
    });
    let rule = app.made(&format!("/services/{source}/rules"), rule).await;
    let trigger = json!({
        "name": "t", "type": "DATABASE", "function_id": function,
        "config": { "service_id": source, "database": "d", "operation_types": ["INSERT"] },
    });
    let trigger = app.made("/triggers", trigger).await;
    let forwarder = json!({
        "name": "l", "log_types": ["auth"], "log_statuses": ["error"], "policy": { "type": "single" },
        "action": { "type": "collection", "data_source": "db", "database": "d", "collection": "logs" },
    });
    let forwarder = app.made("/log_forwarders", forwarder).await;
    let refused = async |path: &str, text: &str| {
        let refused = app.call("DELETE", path, Value::Null).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{path}");
        assert_eq!(
            refused.body["error"],
            format!("it is used by {text}"),
            "{path}"
        );
    };
    refused(
        &format!("/functions/{function}"),
        "rule 'db/d/c', trigger 't'",
    )
    .await;
    refused(
        &format!("/services/{source}"),
        "trigger 't', log forwarder 'l'",
    )
    .await;
    refused(&format!("/values/{value}"), "rule 'db/d/c'").await;
    refused(&format!("/secrets/{secret}"), "value 'api'").await;
    let path = format!("/secrets/{secret}");
    let renamed = app
        .call("PUT", &path, json!({ "name": "other", "value": "" }))
        .await;
    assert_eq!(renamed.refusal(), (400, "BadRequest"));
    // Another value is no other secret.
    app.done(204, "PUT", &path, json!({ "name": "key", "value": "new" }))
        .await;

    // Names follow.
    let body = json!({ "name": "g", "source": "exports = () => 1" });
    app.call("PUT", &format!("/functions/{function}"), body)
        .await;
    let body = json!({ "name": "shop_api", "value": "key", "from_secret": true });
    app.call("PUT", &format!("/values/{value}"), body).await;
    let shown = app
        .done(200, "GET", &format!("/triggers/{trigger}"), Value::Null)
        .await;
    assert_eq!(
        (&shown["function_name"], &shown["function_id"]),
        (&json!("g"), &json!(function))
    );
    let path = format!("/services/{source}/rules/{rule}");
    let shown = app.done(200, "GET", &path, Value::Null).await;
    let when = &shown["roles"][0]["apply_when"];
    assert_eq!(when["%%user.id"], "%%values.shop_api");
    assert_eq!(when["%%true"]["%function"]["name"], "g");

    // Nobody uses them any more.
    app.done(204, "DELETE", &path, Value::Null).await;
    app.done(204, "DELETE", &format!("/triggers/{trigger}"), Value::Null)
        .await;
    app.done(
        204,
        "DELETE",
        &format!("/log_forwarders/{forwarder}"),
        Value::Null,
    )
    .await;
    for path in [
        format!("/functions/{function}"),
        format!("/services/{source}"),
        format!("/values/{value}"),
        format!("/secrets/{secret}"),
    ] {
        app.done(204, "DELETE", &path, Value::Null).await;
    }
}

#[tokio::test]
async fn a_service_gets_another_name_and_everything_follows() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "f", "source": "exports = () => 1" });
    let function = app.made("/functions", body).await;
    let body = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "x" } });
    let service = app.made("/services", body).await;
    let one = format!("/services/{service}");
    let body =
        json!({ "name": "tw", "type": "twilio", "config": { "sid": "s", "auth_token": "hush" } });
    let third = app.made("/services", body).await;
    let hook = json!({ "name": "w", "function_source": "exports = () => 1;", "options": {} });
    let hook = app
        .made(&format!("/services/{third}/incoming_webhooks"), hook)
        .await;
    let rule = json!({ "database": "d", "collection": "c", "roles": [{ "name": "r", "apply_when": {}, "read": true }] });
    let rule = app.made(&format!("{one}/rules"), rule).await;
    let default_rule = app
        .made(&format!("{one}/default_rule"), json!({ "roles": [] }))
        .await;
    let schema = json!({
        "metadata": { "data_source": "db", "database": "d", "collection": "c" },
        "schema": { "title": "c", "properties": { "_id": { "bsonType": "objectId" }, "owner": { "bsonType": "objectId" } } },
        "relationships": { "owner": { "ref": "#/relationship/db/d/users", "foreign_key": "_id", "is_list": false } },
    });
    let schema = app.made("/schemas", schema).await;
    let trigger = json!({
        "name": "t", "type": "DATABASE", "function_id": function,
        "config": { "service_id": service, "database": "d", "operation_types": ["INSERT"] },
    });
    let trigger = app.made("/triggers", trigger).await;
    let forwarder = json!({
        "name": "l", "log_types": ["auth"], "log_statuses": ["error"], "policy": { "type": "single" },
        "action": { "type": "collection", "data_source": "db", "database": "d", "collection": "logs" },
    });
    let forwarder = app.made("/log_forwarders", forwarder).await;
    let user_data = json!({
        "enabled": true, "mongo_service_id": service, "database_name": "d",
        "collection_name": "users", "user_id_field": "id",
    });
    app.done(204, "PATCH", "/custom_user_data", user_data.clone())
        .await;
    let sync = json!({ "flexible_sync": { "state": "enabled", "database_name": "d" } });
    app.done(204, "PATCH", &format!("{one}/config"), sync).await;

    // A draft first: what is live stays.
    let draft = app.done(201, "POST", "/drafts", Value::Null).await;
    let body = json!({ "name": "orders", "type": "mongodb-atlas", "config": { "readPreference": "nearest" } });
    let shown = app.done(200, "PATCH", &one, body).await;
    assert_eq!(
        (&shown["_id"], &shown["name"]),
        (&json!(service), &json!("orders"))
    );
    let served = world.core.app(&app.id).await.unwrap();
    let names = || -> Vec<String> {
        let release = served.release();
        release
            .config
            .all(config::Kind::DataSource)
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(names(), ["db"]);
    let deployment = format!("/drafts/{}/deployment", draft["_id"].as_str().unwrap());
    app.done(201, "POST", &deployment, json!({})).await;
    assert_eq!(names(), ["orders"]);

    let get = async |path: &str| app.done(200, "GET", path, Value::Null).await;
    let config = get(&format!("{one}/config")).await;
    assert_eq!(
        (
            &config["clusterName"],
            &config["readPreference"],
            &config["flexible_sync"]["state"]
        ),
        (&json!("x"), &json!("nearest"), &json!("enabled"))
    );
    // Ids are what they were.
    let read = get(&format!("{one}/rules/{rule}")).await;
    assert_eq!(read["database"], "d");
    assert_eq!(
        get(&format!("{one}/default_rule")).await["_id"],
        json!(default_rule)
    );
    let read = get(&format!("/schemas/{schema}")).await;
    assert_eq!(read["metadata"]["data_source"], "orders");
    assert_eq!(
        read["relationships"]["owner"]["ref"],
        "#/relationship/orders/d/users"
    );
    let read = get(&format!("/triggers/{trigger}")).await;
    assert_eq!(
        (
            &read["config"]["service_name"],
            &read["config"]["service_id"]
        ),
        (&json!("orders"), &json!(service))
    );
    let read = get(&format!("/log_forwarders/{forwarder}")).await;
    assert_eq!(read["action"]["data_source"], "orders");
    let read = get("/custom_user_data").await;
    assert_eq!(
        (&read["mongo_service_id"], &read["mongo_service_name"]),
        (&json!(service), &json!("orders"))
    );
    // In no file is the old name left.
    let exported = app.archive("/export?source_control=true").await.1;
    for (path, bytes) in &exported.0 {
        let text = String::from_utf8_lossy(bytes);
        assert!(!path.split('/').any(|part| part == "db"), "{path}");
        assert!(
            !text.contains("\"db\"") && !text.contains("/db/"),
            "{path}: {text}"
        );
    }

    // Third-party services keep their secret's name, for the next change too.
    let moved = format!("/services/{third}");
    app.done(200, "PATCH", &moved, json!({ "name": "sms" }))
        .await;
    let read = get(&format!("{moved}/incoming_webhooks/{hook}")).await;
    assert_eq!(read["name"], "w");
    let change = json!({ "auth_token": "other" });
    app.done(204, "PATCH", &format!("{moved}/config"), change)
        .await;
    let secrets = get("/secrets").await;
    let secrets: Vec<&Value> = secrets
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(secrets, ["__tw_auth_token"]);

    let before = get("/pull").await;
    for (body, refusal) in [
        (json!({ "name": "sms" }), (409, "ServiceDuplicateName")),
        (json!({ "name": "" }), (400, "BadRequest")),
        (json!({ "name": "a/b" }), (400, "BadRequest")),
        (json!({ "name": "bad#name" }), (400, "BadRequest")),
        (json!({ "name": "x".repeat(65) }), (400, "BadRequest")),
        (json!({ "name": 5 }), (400, "InvalidParameter")),
        (json!({ "type": "http" }), (400, "BadRequest")),
        (json!({ "version": "new" }), (400, "BadRequest")),
        (json!({ "config": [] }), (400, "InvalidParameter")),
    ] {
        let refused = app.call("PATCH", &one, body.clone()).await;
        assert_eq!(refused.refusal(), refusal, "{body}: {refused:?}");
    }
    assert_eq!(get("/pull").await, before);
}

/// What a forwarder sends is told by texts; null is none.
#[tokio::test]
async fn what_a_forwarder_sends_is_texts() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    app.made(
        "/functions",
        json!({ "name": "ship", "source": "exports = () => 1;" }),
    )
    .await;
    let body = json!({
        "name": "all", "log_types": ["auth"], "log_statuses": ["error"],
        "policy": { "type": "single" }, "action": { "type": "function", "name": "ship" },
    });
    let id = app.made("/log_forwarders", body).await;
    let one = format!("/log_forwarders/{id}");
    for wrong in [json!([1]), json!("auth"), json!([["auth"]])] {
        for field in ["log_types", "log_statuses"] {
            let refused = app.call("PATCH", &one, json!({ field: wrong })).await;
            assert_eq!(refused.status, 400, "{field} {wrong}");
        }
    }
    let none = json!({ "log_types": null, "log_statuses": null });
    let shown = app.done(200, "PATCH", &one, none).await;
    assert_eq!(
        (&shown["log_types"], &shown["log_statuses"]),
        (&json!([]), &json!([]))
    );
}
