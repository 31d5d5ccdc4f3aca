//! What is made through the API's resources goes out and comes in again in every
//! other dialect, and a draft's diff tells of each kind of it.

use serde_json::{Value, json};

use crate::folded::folded;
use crate::{AppAdmin, World};

/// Makes one of everything through its resource.
async fn furnished(app: &AppAdmin<'_>) {
    app.made("/secrets", json!({ "name": "key", "value": "x" }))
        .await;
    let work = json!({ "name": "folder/work", "source": "exports = () => 1;", "private": true });
    let work = app.made("/functions", work).await;
    let source = json!({
        "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" },
    });
    let source = app.made("/services", source).await;
    let rules = format!("/services/{source}/rules");
    let rule = json!({
        "database": "shop", "collection": "orders",
        "roles": [{ "name": "own", "apply_when": { "owner": "%%user.id" }, "read": true }],
    });
    app.made(&rules, rule).await;
    app.made(
        &format!("/services/{source}/default_rule"),
        json!({ "roles": [] }),
    )
    .await;
    let schema = json!({
        "metadata": { "data_source": "db", "database": "shop", "collection": "items" },
        "schema": { "title": "item", "properties": { "_id": { "bsonType": "objectId" } } },
        "relationships": {},
    });
    app.made("/schemas", schema).await;
    app.made(
        "/values",
        json!({ "name": "limit", "value": { "$numberLong": "5" } }),
    )
    .await;
    app.made(
        "/values",
        json!({ "name": "hidden", "value": "key", "from_secret": true }),
    )
    .await;
    let values = json!({ "none": 1, "qa": { "$numberDecimal": "1.5" } });
    app.made(
        "/environment_values",
        json!({ "name": "level", "values": values }),
    )
    .await;
    let endpoint = json!({
        "route": "/work", "http_method": "POST", "function_id": work,
        "validation_method": "NO_VALIDATION", "respond_result": true,
    });
    app.made("/endpoints", endpoint).await;
    for (name, kind, config) in [
        ("nightly", "SCHEDULED", json!({ "schedule": "0 3 * * *" })),
        (
            "changes",
            "DATABASE",
            json!({ "service_id": source, "database": "shop", "collection": "orders",
                "operation_types": ["INSERT"] }),
        ),
    ] {
        let trigger = json!({ "name": name, "type": kind, "function_id": work, "config": config });
        app.made("/triggers", trigger).await;
    }
    app.made("/auth_providers", json!({ "type": "anon-user" }))
        .await;
    let resolver = json!({
        "on_type": "Query", "field_name": "work", "function_id": work, "payload_type": "int",
        "payload_type_format": "scalar",
    });
    app.made("/graphql/custom_resolvers", resolver).await;
    let config = json!({ "use_natural_pluralization": true, "disable_schema_introspection": true });
    app.done(204, "PUT", "/graphql/config", config).await;
    let strict = json!({ "read_validation_action": "WARN", "read_validation_level": "STRICT",
        "write_validation_action": "ERROR", "write_validation_level": "OFF" });
    app.done(204, "PUT", "/validation_settings/graphql", strict)
        .await;
    let forwarder = json!({
        "name": "all", "log_types": ["auth"], "log_statuses": ["error"], "policy": { "type": "single" },
        "action": { "type": "function", "name": "folder/work" },
    });
    app.made("/log_forwarders", forwarder).await;
    app.done(
        201,
        "POST",
        "/data_api/config",
        json!({ "disabled": true, "versions": ["v1"] }),
    )
    .await;
    app.done(204, "PATCH", "/hosting/config", json!({ "enabled": true }))
        .await;
    let user_data = json!({
        "enabled": true, "mongo_service_id": source, "database_name": "shop",
        "collection_name": "people", "user_id_field": "user",
    });
    app.done(204, "PATCH", "/custom_user_data", user_data).await;
    let origins = json!(["https://shop.example"]);
    app.done(204, "POST", "/security/allowed_request_origins", origins)
        .await;
    let old = app
        .made(
            "/services",
            json!({ "name": "web", "type": "http", "config": {} }),
        )
        .await;
    let hook = json!({
        "name": "in", "function_source": "exports = () => 1;",
        "options": { "httpMethod": "POST", "validationMethod": "NO_VALIDATION" },
    });
    app.made(&format!("/services/{old}/incoming_webhooks"), hook)
        .await;
    let rule = json!({ "name": "get", "actions": ["get"], "when": {} });
    app.made(&format!("/services/{old}/rules"), rule).await;
}

/// Without ids and times, which are each app's own, and fields by name.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            let own = |name: &str| {
                name == "last_modified"
                    || name == "_id"
                    || name.ends_with("_id")
                    || name.ends_with("Id")
            };
            let mut kept: Vec<(String, Value)> = fields
                .iter()
                .filter(|(name, _)| !own(name))
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect();
            kept.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(kept.into_iter().collect())
        }
        _ => value.clone(),
    }
}

const LISTS: [&str; 12] = [
    "/functions",
    "/values",
    "/environment_values",
    "/services",
    "/schemas",
    "/auth_providers",
    "/triggers",
    "/endpoints",
    "/graphql/custom_resolvers",
    "/log_forwarders",
    "/custom_user_data",
    "/security/allowed_request_origins",
];

#[tokio::test]
async fn what_resources_make_survives_every_dialect() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    furnished(&app).await;
    let files = app.archive("/export?source_control=true").await.1;
    let document = folded(&files);
    let path = "/import?strategy=replace-by-name";
    let diff = app
        .done(200, "POST", &format!("{path}&diff=true"), document.clone())
        .await;
    assert_eq!(diff, json!([]));
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    let fresh = async || {
        let other = operator.app("shop").await;
        other
            .made("/secrets", json!({ "name": "key", "value": "y" }))
            .await;
        other
    };
    let (imported, pushed, filed) = (fresh().await, fresh().await, fresh().await);
    imported.import(document).await;
    pushed.done(204, "PATCH", "/push", pulled).await;
    let author = app::Author {
        user_id: "t".to_owned(),
        origin: "API".to_owned(),
    };
    let served = world.core.app(&filed.id).await.unwrap();
    let done = served.push(&files, &author).await;
    assert!(done.is_ok(), "{done:?}");
    for list in LISTS {
        let of = async |app: &AppAdmin<'_>| {
            let shown = plain(&app.done(200, "GET", list, Value::Null).await);
            match shown {
                Value::Array(items) => {
                    let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
                    items.sort();
                    json!(items)
                }
                shown => shown,
            }
        };
        let wanted = of(&app).await;
        assert_ne!(wanted, json!([]), "{list}");
        for (way, other) in [("import", &imported), ("push", &pushed), ("files", &filed)] {
            assert_eq!(of(other).await, wanted, "{list} by {way}");
        }
    }
}

#[tokio::test]
async fn a_drafts_diff_tells_of_every_kind_of_change() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let draft = format!("/drafts/{}/diff", app.made("/drafts", Value::Null).await);
    furnished(&app).await;
    let shown = app.done(200, "GET", &draft, Value::Null).await;
    let texts: Vec<&str> = shown["diffs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d.as_str().unwrap())
        .collect();
    let paths: Vec<&str> = texts
        .iter()
        .map(|text| text.lines().nth(1).unwrap().strip_prefix("+++ ").unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "auth/custom_user_data.json",
            "auth/providers.json",
            "data_sources/db/config.json",
            "data_sources/db/default_rule.json",
            "data_sources/db/shop/items/relationships.json",
            "data_sources/db/shop/items/schema.json",
            "data_sources/db/shop/orders/rules.json",
            "environments/no-environment.json",
            "environments/qa.json",
            "functions/config.json",
            "functions/folder/work.js",
            "graphql/config.json",
            "graphql/custom_resolvers/query_work.json",
            "graphql/validation_settings.json",
            "hosting/config.json",
            "http_endpoints/config.json",
            "http_endpoints/data_api_config.json",
            "http_endpoints/web/config.json",
            "http_endpoints/web/incoming_webhooks/in/config.json",
            "http_endpoints/web/incoming_webhooks/in/source.js",
            "http_endpoints/web/rules/get.json",
            "log_forwarders/all.json",
            "realm_config.json",
            "triggers/changes.json",
            "triggers/nightly.json",
            "values/hidden.json",
            "values/limit.json",
        ]
    );
    assert!(
        texts[9].contains("+        \"name\": \"folder/work\",\n"),
        "{}",
        texts[9]
    );
    let field = |name: &str, updated: Value| json!({ "field_name": name, "previous": null, "updated": updated });
    assert_eq!(
        shown["graphql_config_diff"]["field_diffs"],
        json!([
            field("disable_schema_introspection", json!(true)),
            field("use_natural_pluralization", json!(true))
        ])
    );
    let validation = shown["schema_options_diff"]["graphql_validation_diff"]
        .as_array()
        .unwrap();
    assert_eq!(validation.len(), 4);
    assert_eq!(
        validation[0],
        field("read_validation_action", json!("WARN"))
    );
    // Taken back, nothing is left of it.
    let values = app.done(200, "GET", "/values", Value::Null).await;
    for value in values.as_array().unwrap() {
        let path = format!("/values/{}", value["_id"].as_str().unwrap());
        app.done(204, "DELETE", &path, Value::Null).await;
    }
    let shown = app.done(200, "GET", &draft, Value::Null).await;
    assert!(!shown["diffs"].to_string().contains("values/limit.json"));
    assert_eq!(shown["diffs"].as_array().unwrap().len(), texts.len() - 2);
}
