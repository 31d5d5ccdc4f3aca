//! Functions, values, services, rules, schemas, providers: each edit is a
//! deployment, ids stay, and what is wrong changes nothing.

use serde_json::{Value, json};

use crate::World;

const NOBODY: &str = "0123456789abcdef01234567";

#[tokio::test]
async fn functions() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "a/sum", "private": true, "source": "exports = (a, b) => a + b;", "note": 1 });
    let id = app.made("/functions", body).await;
    let listed = app.done(200, "GET", "/functions", Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["source"]),
        (&json!("a/sum"), &Value::Null)
    );
    assert!(listed[0]["last_modified"].as_i64().unwrap() > 1_700_000_000);
    let path = format!("/functions/{id}");
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(one["source"], "exports = (a, b) => a + b;");
    assert_eq!(
        (&one["private"], &one["note"]),
        (&json!(true), &Value::Null)
    );
    // A rename keeps the id; a source that is left out stays.
    app.done(204, "PUT", &path, json!({ "name": "add" })).await;
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!((&one["name"], &one["_id"]), (&json!("add"), &json!(id)));
    assert_eq!(one["source"], "exports = (a, b) => a + b;");
    for (body, status, code) in [
        (
            json!({ "name": "add", "source": "exports = 1" }),
            409,
            "FunctionDuplicateName",
        ),
        (
            json!({ "name": "bad", "source": "exports = (" }),
            400,
            "FunctionSyntaxError",
        ),
        (json!({ "name": "bad" }), 400, "MissingParameter"),
        (
            json!({ "name": "bad", "source": 5 }),
            400,
            "InvalidParameter",
        ),
        (json!({ "source": "exports = 1" }), 400, "MissingParameter"),
        (
            json!({ "name": "bad", "source": "exports = 1", "private": "yes" }),
            400,
            "BadRequest",
        ),
        (
            json!({ "name": "bad", "source": "exports = 1", "can_evaluate": { "%%nobody": 1 } }),
            400,
            "BadRequest",
        ),
        (json!([]), 400, "BadRequest"),
    ] {
        let refused = app.call("POST", "/functions", body.clone()).await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }
    let deployments = app.done(200, "GET", "/deployments", Value::Null).await;
    assert_eq!(deployments.as_array().unwrap().len(), 2, "{deployments}");
    assert_eq!(deployments[0]["origin"], "API");
    // Whoever names it keeps it.
    let data = json!({ "enabled": false, "on_user_creation_function_id": id });
    app.done(204, "PATCH", "/custom_user_data", data).await;
    let kept = app.call("DELETE", &path, Value::Null).await;
    assert_eq!(kept.refusal(), (400, "BadRequest"));
    assert!(
        kept.body["error"]
            .as_str()
            .unwrap()
            .contains("custom user data")
    );
    let data = json!({ "on_user_creation_function_name": "" });
    app.done(204, "PATCH", "/custom_user_data", data).await;
    app.done(204, "DELETE", &path, Value::Null).await;
    for method in ["GET", "PUT", "DELETE"] {
        let gone = app
            .call(method, &path, json!({ "name": "x", "source": "" }))
            .await;
        assert_eq!(gone.refusal(), (404, "FunctionNotFound"), "{method}");
    }
}

#[tokio::test]
async fn values_keep_what_they_hold() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    for (name, value) in [
        ("text", json!("hello")),
        ("long", json!({ "$numberLong": "5" })),
        ("nested", json!({ "a": [1, null, { "b": 1.5 }] })),
        ("nothing", json!(null)),
    ] {
        let id = app
            .made("/values", json!({ "name": name, "value": value }))
            .await;
        let one = app
            .done(200, "GET", &format!("/values/{id}"), Value::Null)
            .await;
        assert_eq!(
            one,
            json!({ "_id": id, "name": name, "private": false, "from_secret": false, "value": value })
        );
    }
    let listed = app.done(200, "GET", "/values", Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .all(|value| value.get("value").is_none())
    );
    let id = listed[0]["_id"].as_str().unwrap();
    let path = format!("/values/{id}");
    app.done(
        204,
        "PUT",
        &path,
        json!({ "_id": id, "name": "text", "value": "bye" }),
    )
    .await;
    assert_eq!(
        app.done(200, "GET", &path, Value::Null).await["value"],
        "bye"
    );
    for (body, status, code) in [
        (
            json!({ "name": "text", "value": 1 }),
            409,
            "ValueDuplicateName",
        ),
        (json!({ "name": "-x", "value": 1 }), 400, "BadRequest"),
        (json!({ "name": "a b", "value": 1 }), 400, "BadRequest"),
        (json!({ "name": "x" }), 400, "BadRequest"),
        (
            json!({ "name": "x", "value": 7, "from_secret": true }),
            400,
            "BadRequest",
        ),
    ] {
        let refused = app.call("POST", "/values", body.clone()).await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }
    app.done(204, "DELETE", &path, Value::Null).await;
    assert_eq!(
        app.call("GET", &path, Value::Null).await.refusal(),
        (404, "ValueNotFound")
    );
}

#[tokio::test]
async fn services_with_rules_and_schemas() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({
        "name": "mongodb-atlas", "type": "mongodb-atlas",
        "config": { "clusterName": "Cluster0", "readPreference": "primary" },
        "default_rule": { "roles": [{ "name": "all", "apply_when": {}, "read": true, "write": false }] },
        "rules": [{ "database": "shop", "collection": "orders", "roles": [] }],
    });
    let service = app.made("/services", body.clone()).await;
    assert_eq!(
        app.call("POST", "/services", body).await.refusal(),
        (409, "ServiceDuplicateName")
    );
    let path = format!("/services/{service}");
    let inside = |part: &str| format!("{path}{part}");
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (&one["type"], &one["version"]),
        (&json!("mongodb-atlas"), &json!(1))
    );
    app.done(
        204,
        "PATCH",
        &inside("/config"),
        json!({ "readPreference": "nearest" }),
    )
    .await;
    assert_eq!(
        app.done(200, "GET", &inside("/config"), Value::Null).await,
        json!({ "clusterName": "Cluster0", "readPreference": "nearest" })
    );

    let set = json!({ "rules": { "allow_user_operators": ["$regex"] } });
    app.done(204, "PATCH", &inside("/config"), set.clone())
        .await;
    let wrong = json!({ "rules": { "allow_user_operators": ["$out"] } });
    let refused = app.call("PATCH", &inside("/config"), wrong).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let config = app.done(200, "GET", &inside("/config"), Value::Null).await;
    assert_eq!(config["rules"], set["rules"]);

    let rules = app.done(200, "GET", &inside("/rules"), Value::Null).await;
    assert_eq!(rules[0]["collection"], "orders");
    let owner = json!({ "name": "owner", "apply_when": { "owner": "%%user.id" }, "read": true, "write": true });
    let rule = json!({ "database": "shop", "collection": "notes", "roles": [owner] });
    let id = app.made(&inside("/rules"), rule.clone()).await;
    assert_eq!(
        app.call("POST", &inside("/rules"), rule.clone())
            .await
            .refusal(),
        (409, "RuleDuplicateName")
    );
    let bad = json!({ "database": "shop", "collection": "bad",
        "roles": [{ "name": "r", "apply_when": { "%%user.id": { "%nothing": 1 } } }] });
    assert_eq!(
        app.call("POST", &inside("/rules"), bad).await.refusal(),
        (400, "BadRequest")
    );
    let mut moved = rule.clone();
    moved["collection"] = json!("memos");
    app.done(204, "PUT", &inside(&format!("/rules/{id}")), moved)
        .await;
    let one = app
        .done(200, "GET", &inside(&format!("/rules/{id}")), Value::Null)
        .await;
    assert_eq!(
        (&one["_id"], &one["collection"]),
        (&json!(id), &json!("memos"))
    );
    app.done(204, "DELETE", &inside(&format!("/rules/{id}")), Value::Null)
        .await;
    let gone = app
        .call("GET", &inside(&format!("/rules/{id}")), Value::Null)
        .await;
    assert_eq!(gone.refusal(), (404, "RuleNotFound"));

    let default = inside("/default_rule");
    let known = app.done(200, "GET", &default, Value::Null).await;
    let again = app.call("POST", &default, json!({ "roles": [] })).await;
    assert_eq!(
        (again.status, &again.body["error"]),
        (400, &json!("default rule already exists"))
    );
    let other = app
        .call("PUT", &default, json!({ "_id": NOBODY, "roles": [] }))
        .await;
    assert_eq!(
        (other.status, &other.body["error"]),
        (400, &json!("service default rule id mismatch"))
    );
    app.done(
        204,
        "PUT",
        &default,
        json!({ "_id": known["_id"], "roles": [] }),
    )
    .await;
    assert_eq!(
        app.done(200, "GET", &default, Value::Null).await["roles"],
        json!([])
    );
    app.done(204, "DELETE", &default, Value::Null).await;
    let gone = app.call("GET", &default, Value::Null).await;
    assert_eq!(
        (gone.status, &gone.body["error"]),
        (404, &json!("default rule does not exist on service"))
    );
    let gone = app.call("DELETE", &default, Value::Null).await;
    assert_eq!(
        (gone.status, &gone.body["error"]),
        (404, &json!("default rule does not exist for app service"))
    );

    let metadata =
        json!({ "data_source": "mongodb-atlas", "database": "shop", "collection": "orders" });
    let schema = json!({ "title": "order", "bsonType": "object", "properties": { "_id": { "bsonType": "objectId" } } });
    let id = app
        .made(
            "/schemas",
            json!({ "metadata": metadata, "schema": schema, "relationships": null }),
        )
        .await;
    assert_eq!(
        app.done(200, "GET", "/schemas", Value::Null).await,
        json!([{ "_id": id, "metadata": metadata }])
    );
    let one = app
        .done(200, "GET", &format!("/schemas/{id}"), Value::Null)
        .await;
    assert_eq!(
        (&one["schema"], &one["relationships"]),
        (&schema, &json!({}))
    );
    let wrong = json!({ "metadata": metadata, "schema": { "bsonType": "circle" } });
    assert_eq!(
        app.call("PUT", &format!("/schemas/{id}"), wrong)
            .await
            .status,
        400
    );
    app.done(204, "DELETE", &format!("/schemas/{id}"), Value::Null)
        .await;
    assert_eq!(
        app.done(200, "GET", "/schemas", Value::Null).await,
        json!([])
    );

    // The rules of a service go with it.
    app.done(204, "DELETE", &path, Value::Null).await;
    assert_eq!(
        app.call("GET", &inside("/rules"), Value::Null)
            .await
            .refusal(),
        (404, "ServiceNotFound")
    );
    assert_eq!(
        app.done(200, "GET", "/services", Value::Null).await,
        json!([])
    );
}

#[tokio::test]
async fn a_data_source_in_use_stays() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "c" } });
    let service = app.made("/services", body).await;
    let data = json!({
        "enabled": true, "mongo_service_id": service, "database_name": "shop",
        "collection_name": "people", "user_id_field": "user_id",
    });
    app.done(204, "PATCH", "/custom_user_data", data).await;
    let shown = app.done(200, "GET", "/custom_user_data", Value::Null).await;
    assert_eq!(
        (&shown["mongo_service_id"], &shown["enabled"]),
        (&json!(service), &json!(true))
    );
    let kept = app
        .call("DELETE", &format!("/services/{service}"), Value::Null)
        .await;
    assert_eq!(kept.refusal(), (400, "BadRequest"));
    let unknown = app
        .call(
            "PATCH",
            "/custom_user_data",
            json!({ "mongo_service_id": NOBODY }),
        )
        .await;
    assert_eq!(unknown.refusal(), (400, "BadRequest"));
    let incomplete = app
        .call("PATCH", "/custom_user_data", json!({ "user_id_field": "" }))
        .await;
    assert_eq!(incomplete.refusal(), (400, "BadRequest"));
}

#[tokio::test]
async fn auth_providers_by_type() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    // Clients send no more than a type.
    let anonymous = app
        .made(
            "/auth_providers",
            json!({ "type": "anon-user", "metadata_fields": [{}] }),
        )
        .await;
    let listed = app.done(200, "GET", "/auth_providers", Value::Null).await;
    assert_eq!(
        listed[1],
        json!({ "_id": anonymous, "name": "anon-user", "type": "anon-user", "disabled": false })
    );
    let again = app
        .call("POST", "/auth_providers", json!({ "type": "anon-user" }))
        .await;
    assert_eq!(again.refusal(), (409, "AuthProviderDuplicateName"));
    let unknown = app
        .call("POST", "/auth_providers", json!({ "type": "telepathy" }))
        .await;
    assert_eq!(unknown.refusal(), (400, "BadRequest"));
    let path = format!("/auth_providers/{anonymous}");
    app.done(204, "PUT", &format!("{path}/disable"), json!({}))
        .await;
    assert_eq!(
        app.done(200, "GET", &path, Value::Null).await["disabled"],
        true
    );
    app.done(204, "PUT", &format!("{path}/enable"), Value::Null)
        .await;
    assert_eq!(
        app.done(200, "GET", &path, Value::Null).await["disabled"],
        false
    );

    // `config` merges, and functions come by id or name.
    let function = app
        .made(
            "/functions",
            json!({ "name": "reset", "source": "exports = () => ({ status: 'success' });" }),
        )
        .await;
    let body = json!({ "type": "local-userpass", "config": { "autoConfirm": true, "resetPasswordUrl": "http://a" } });
    let password = app.made("/auth_providers", body).await;
    let path = format!("/auth_providers/{password}");
    let body = json!({ "_id": password, "config": { "runResetFunction": true, "resetFunctionId": function } });
    app.done(204, "PATCH", &path, body).await;
    let one = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(
        one["config"],
        json!({ "autoConfirm": true, "resetPasswordUrl": "http://a", "runResetFunction": true,
            "resetFunctionName": "reset", "resetFunctionId": function })
    );
    let moved = app
        .call("PATCH", &path, json!({ "type": "anon-user" }))
        .await;
    assert_eq!(moved.refusal(), (400, "BadRequest"));
    app.done(204, "PATCH", &path, json!({ "disabled": true }))
        .await;
    app.done(204, "DELETE", &path, Value::Null).await;
    assert_eq!(
        app.call("PUT", &format!("{path}/enable"), json!(""))
            .await
            .refusal(),
        (404, "AuthProviderNotFound")
    );
}

#[tokio::test]
async fn secrets_are_named_and_never_shown() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    assert_eq!(
        app.done(200, "GET", "/secrets", Value::Null).await,
        json!([])
    );
    let made = app
        .done(
            201,
            "POST",
            "/secrets",
            json!({ "name": "key", "value": "hush" }),
        )
        .await;
    let id = made["_id"].as_str().unwrap();
    assert_eq!(made, json!({ "_id": id, "name": "key" }));
    app.made("/secrets", json!({ "name": "other", "value": "x" }))
        .await;
    for (body, status, code) in [
        (
            json!({ "name": "key", "value": "x" }),
            409,
            "SecretDuplicateName",
        ),
        (json!({ "name": "a b", "value": "x" }), 400, "BadRequest"),
        (json!({ "name": "new" }), 400, "MissingParameter"),
        (
            json!({ "name": "new", "value": 5 }),
            400,
            "InvalidParameter",
        ),
        (
            json!({ "name": "new", "value": "x".repeat(501) }),
            400,
            "BadRequest",
        ),
    ] {
        let refused = app.call("POST", "/secrets", body.clone()).await;
        assert_eq!(refused.refusal(), (status, code), "{body}");
    }
    // An empty value only renames.
    app.done(
        204,
        "PUT",
        &format!("/secrets/{id}"),
        json!({ "name": "renamed", "value": "" }),
    )
    .await;
    let taken = app
        .call(
            "PUT",
            &format!("/secrets/{id}"),
            json!({ "name": "other", "value": "" }),
        )
        .await;
    assert_eq!(taken.refusal(), (409, "SecretDuplicateName"));
    let listed = app.done(200, "GET", "/secrets", Value::Null).await;
    assert_eq!(listed[1], json!({ "_id": id, "name": "renamed" }));
    for method in ["PUT", "DELETE"] {
        let missing = app
            .call(
                method,
                "/secrets/no-id",
                json!({ "name": "x", "value": "y" }),
            )
            .await;
        assert_eq!(
            (missing.status, &missing.body["error"]),
            (404, &json!("secret not found: \"no-id\""))
        );
    }
    app.done(204, "DELETE", &format!("/secrets/{id}"), Value::Null)
        .await;
}

#[tokio::test]
async fn numbers_may_be_extended_json_and_bodies_odd() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let body = json!({ "name": "m", "type": "mongodb-atlas", "version": { "$numberInt": "1" },
        "config": { "clusterName": "c" } });
    let id = app.made("/services", body).await;
    let listed = app.done(200, "GET", "/services", Value::Null).await;
    assert_eq!(
        (&listed[0]["_id"], &listed[0]["version"]),
        (&json!(id), &json!(1))
    );
    let path = format!("/apps/{}/values", app.id);
    let deep = format!(
        r#"{{"name":"deep","value":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    for body in [
        "{\"name\":",
        "{\"name\":\"a\",}",
        "\u{7}",
        &deep,
        "--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--",
    ] {
        let path = format!("groups/{}{path}", world.project);
        let refused = world
            .request(
                axum::http::Method::POST,
                &path,
                Some(&operator.token),
                body.as_bytes(),
            )
            .await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{body:.30}");
    }
    assert_eq!(
        app.done(200, "GET", "/values", Value::Null).await,
        json!([])
    );
    assert_eq!(app.call("GET", "/nothing", Value::Null).await.status, 404);
    assert_eq!(app.call("PATCH", "/values", Value::Null).await.status, 404);
}
