//! What the official CLI asks in the course of its commands, in its order: pull,
//! push, `apps diff` and `apps create` (admin-api.md §3.9, §5.2 and §6).

use config::Files;
use serde_json::{Value, json};

use crate::folded::{folded, folded_older};
use crate::transfer::{deployments, pushed};
use crate::{AppAdmin, World};

/// What the CLI makes of a directory.
type Fold = fn(&Files) -> Value;

const EXPORTS: [(&str, Fold); 3] = [
    ("20180301", folded_older),
    ("20200603", folded_older),
    ("20210101", folded),
];

fn export(version: &str) -> String {
    format!("/export?source_control=true&version={version}")
}

async fn diff(app: &AppAdmin<'_>, document: &Value) -> Value {
    let path = "/import?diff=true&strategy=replace-by-name";
    app.done(200, "POST", path, document.clone()).await
}

#[tokio::test]
async fn what_is_pulled_is_pushed_without_a_change() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let shown = app.done(200, "GET", "", Value::Null).await;
    let before = deployments(&app).await;
    for (version, fold) in EXPORTS {
        let (reply, files, folders) = app.archive(&export(version)).await;
        let name = reply.file.as_deref().unwrap_or_default();
        let digits = name
            .strip_prefix("attachment; filename=\"shop_")
            .and_then(|rest| rest.strip_suffix(".zip\""))
            .unwrap_or_default();
        assert!(
            digits.len() == 14 && digits.bytes().all(|b| b.is_ascii_digit()),
            "{name}"
        );
        for folder in ["values/", "graphql/custom_resolvers/"] {
            assert!(
                folders.iter().any(|known| known == folder),
                "{version} {folder}"
            );
        }
        let document = fold(&files);
        assert_eq!(document["config_version"].to_string(), version);
        assert_eq!(document["app_id"], shown["client_app_id"]);
        assert_eq!(diff(&app, &document).await, json!([]), "{version}");
        app.import(document).await;
        assert_eq!(app.archive(&export(version)).await.1, files, "{version}");
    }
    assert_eq!(deployments(&app).await, before);
}

#[tokio::test]
async fn exports_of_one_state_are_the_same_bytes() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    for query in [
        "",
        "?source_control=true",
        "?template=true",
        "?version=20230101",
    ] {
        let path = format!("/export{query}");
        let first = app.archive(&path).await.0.bytes;
        assert_eq!(app.archive(&path).await.0.bytes, first, "{query}");
    }
    let ids = |files: &Files| files.get("functions/config.json").unwrap().to_vec();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let list = app.done(200, "GET", "/functions", Value::Null).await;
    let id = list[0]["_id"].as_str().unwrap();
    assert!(text(ids(&app.archive("/export").await.1)).contains(id));
    for query in ["?source_control=true", "?template=true"] {
        let files = app.archive(&format!("/export{query}")).await.1;
        for (path, bytes) in &files.0 {
            assert!(!text(bytes.to_vec()).contains("\"id\":"), "{query} {path}");
        }
    }
    let root = |files: &Files| -> Value {
        serde_json::from_slice(files.get("realm_config.json").unwrap()).unwrap()
    };
    assert!(
        root(&app.archive("/export?template=true").await.1)
            .get("app_id")
            .is_none()
    );
    for (query, code) in [
        ("?template=true&source_control=true", (400, "BadRequest")),
        ("?version=7", (400, "InvalidParameter")),
        (
            "?deployment=0123456789abcdef01234567",
            (404, "DeploymentNotFound"),
        ),
    ] {
        let refused = app
            .call("GET", &format!("/export{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), code, "{query}");
    }
}

#[tokio::test]
async fn an_export_of_a_deployment_is_what_was_deployed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let id = app
        .made("/values", json!({ "name": "a", "value": 1 }))
        .await;
    let list = app.done(200, "GET", "/deployments", Value::Null).await;
    let first = list[0]["_id"].as_str().unwrap().to_owned();
    app.done(
        204,
        "PUT",
        &format!("/values/{id}"),
        json!({ "name": "a", "value": 2 }),
    )
    .await;
    let value = async |query: String| -> Value {
        let files = app
            .archive(&format!("/export?source_control=true{query}"))
            .await
            .1;
        serde_json::from_slice(files.get("values/a.json").unwrap()).unwrap()
    };
    assert_eq!(value(format!("&deployment={first}")).await["value"], 1);
    assert_eq!(value(String::new()).await["value"], 2);
}

#[tokio::test]
async fn pull_as_zip_is_the_newest_layout() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let newest = app
        .archive("/export?source_control=true&version=20230101")
        .await
        .1;
    let root = newest.get("root_config.json").unwrap();
    let root: Value = serde_json::from_slice(root).unwrap();
    assert_eq!(
        root,
        json!({
            "name": "shop", "deployment_model": "GLOBAL", "provider_region": "aws-us-east-1",
            "environment": "qa", "allowed_request_origins": ["https://shop.example"],
            "later": { "kept": true },
        })
    );
    assert!(newest.get("https_endpoints/config.json").is_some());
    let reply = app.pull_as("application/zip").await;
    assert_eq!(reply.kind.as_deref(), Some("application/zip"));
    assert_eq!(crate::unzipped(&reply.bytes).0, newest);
    let reply = app.pull_as("application/json;q=0.9, application/zip").await;
    assert_eq!(reply.kind.as_deref(), Some("application/json"));
}

/// What a developer has on disk: an app of this server, changed.
fn changed(document: &Value) -> Value {
    let mut document = document.clone();
    document["functions"]["sources"]["sum.js"] = json!("exports = (...all) => all.length;\n");
    document["functions"]["sources"]["added.js"] = json!("exports = () => 1;\n");
    document["values"] = json!([{ "name": "limit", "value": 6, "from_secret": false }]);
    document
}

#[tokio::test]
async fn push_goes_through_a_draft() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let local = changed(&folded(&app.archive(&export("20210101")).await.1));
    for product in [
        "",
        "?product=atlas",
        "?product=data-api",
        "?product=device-sync",
    ] {
        let apps = operator
            .call("GET", &format!("/apps{product}"), Value::Null)
            .await;
        assert_eq!(
            apps.body.as_array().unwrap().len(),
            usize::from(product.is_empty())
        );
    }
    let shown = diff(&app, &local).await;
    let shown: Vec<&str> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d.as_str().unwrap())
        .collect();
    let paths: Vec<&str> = shown
        .iter()
        .map(|text| text.lines().nth(1).unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "+++ functions/added.js",
            "+++ functions/config.json",
            "+++ functions/sum.js",
            "+++ values/limit.json",
            "+++ values/secretKey.json",
        ]
    );
    assert!(
        shown[3].contains("-    \"value\": 5,\n+    \"value\": 6,\n"),
        "{}",
        shown[3]
    );
    // Another draft is in the way: it is shown, and goes.
    app.made("/drafts", Value::Null).await;
    let refused = app.call("POST", "/drafts", Value::Null).await;
    assert_eq!(refused.refusal(), (409, "DraftAlreadyExists"));
    let found = app.done(200, "GET", "/drafts", Value::Null).await;
    let old = format!("/drafts/{}", found[0]["_id"].as_str().unwrap());
    app.done(200, "GET", &format!("{old}/diff"), Value::Null)
        .await;
    app.done(204, "DELETE", &old, Value::Null).await;
    let draft = format!("/drafts/{}", app.made("/drafts", Value::Null).await);
    let before = deployments(&app).await;
    app.import(local.clone()).await;
    // Nothing is live yet.
    assert_eq!(deployments(&app).await, before);
    let served = world.core.app(&app.id).await.unwrap();
    assert!(!served.release().functions.contains_key("added"));
    let told = app
        .done(200, "GET", &format!("{draft}/diff"), Value::Null)
        .await;
    assert_eq!(told["diffs"].as_array().unwrap().len(), 5);
    let made = app
        .done(201, "POST", &format!("{draft}/deployment"), Value::Null)
        .await;
    assert_eq!(made["status"], "created");
    let path = format!("/deployments/{}", made["_id"].as_str().unwrap());
    assert_eq!(
        app.done(200, "GET", &path, Value::Null).await["status"],
        "successful"
    );
    assert!(served.release().functions.contains_key("added"));
    // The next push has nothing to do, and `apps diff` says so.
    assert_eq!(diff(&app, &local).await, json!([]));
}

/// Puts a mistake into a document.
type Mistake = dyn Fn(&mut Value);

#[tokio::test]
async fn a_push_with_a_mistake_changes_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let files = app.archive(&export("20210101")).await.1;
    let good = folded(&files);
    let secrets = app.done(200, "GET", "/secrets", Value::Null).await;
    let before = deployments(&app).await;
    let cases: [(&Mistake, &str); 6] = [
        (
            &|d| d["functions"]["sources"]["sum.js"] = json!("exports = ("),
            "functions/sum.js",
        ),
        (
            &|d| d["endpoints"]["config"][0]["function_name"] = json!("nobody"),
            "no function \"nobody\"",
        ),
        (
            &|d| d["values"][0]["value"] = json!(null),
            "values/limit.json",
        ),
        (
            &|d| d["values"] = json!([{ "name": "a", "value": "none", "from_secret": true }]),
            "these secrets have to be created first: none",
        ),
        (
            &|d| d["triggers"][0]["config"]["schedule"] = json!("whenever"),
            "triggers/nightly.json",
        ),
        (
            &|d| {
                d["secrets"] = json!({ "services": { "tw": { "new": "1" } } });
                d["auth"]["providers"]["telepathy"] = json!({ "type": "telepathy" });
            },
            "telepathy",
        ),
    ];
    for (mistake, said) in cases {
        let mut document = good.clone();
        mistake(&mut document);
        if said.contains("limit.json") {
            document["values"][0]
                .as_object_mut()
                .unwrap()
                .remove("value");
        }
        let draft = app.made("/drafts", Value::Null).await;
        for path in [
            "/import?strategy=replace-by-name",
            "/import?strategy=replace-by-name&diff=true",
        ] {
            let refused = app.call("POST", path, document.clone()).await;
            assert_eq!(refused.status, 400, "{said}: {refused:?}");
            let text = refused.body["error"].as_str().unwrap();
            assert!(text.contains(said), "{said}: {text}");
        }
        app.done(204, "DELETE", &format!("/drafts/{draft}"), Value::Null)
            .await;
    }
    assert_eq!(deployments(&app).await, before);
    assert_eq!(app.done(200, "GET", "/secrets", Value::Null).await, secrets);
    assert_eq!(app.archive(&export("20210101")).await.1, files);
}

#[tokio::test]
async fn apps_create_imports_at_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    assert_eq!(operator.get("templates").await.status, 200);
    let body = json!({ "name": "fresh", "location": "US-VA", "deployment_model": "GLOBAL" });
    let made = operator.call("POST", "/apps", body).await;
    assert_eq!(made.status, 201);
    let app = AppAdmin {
        administrator: &operator,
        id: made.body["_id"].as_str().unwrap().to_owned(),
    };
    assert_eq!(deployments(&app).await, 0);
    let document = json!({
        "config_version": 20_210_101, "app_id": made.body["client_app_id"], "name": "fresh",
        "location": "US-VA", "deployment_model": "GLOBAL",
        "auth": { "providers": { "api-key": { "disabled": true, "name": "api-key", "type": "api-key" } } },
        "functions": {}, "endpoints": {}, "graphql": {}, "sync": {}, "secrets": {},
        "data_sources": [{ "config": {
            "config": { "clusterName": "Cluster0", "readPreference": "primary", "wireProtocolEnabled": false },
            "name": "mongodb-atlas", "type": "mongodb-atlas", "version": 1,
        } }],
    });
    app.import(document.clone()).await;
    assert_eq!(deployments(&app).await, 1);
    assert_eq!(diff(&app, &document).await, json!([]));
    let files = app.archive(&export("20210101")).await.1;
    let config = std::str::from_utf8(files.get("data_sources/mongodb-atlas/config.json").unwrap());
    assert_eq!(
        config.unwrap(),
        r#"{
    "name": "mongodb-atlas",
    "type": "mongodb-atlas",
    "config": {
        "clusterName": "Cluster0",
        "readPreference": "primary",
        "wireProtocolEnabled": false
    },
    "version": 1
}
"#
    );
    // A remote app is taken over by its export.
    assert_eq!(diff(&app, &folded(&files)).await, json!([]));
}

/// Every section, with what the exporter writes even when it is false or empty.
fn whole_app(client_app_id: &Value) -> Value {
    let values = |text: &str| json!({ "values": { "level": text } });
    json!({
        "app_id": client_app_id, "config_version": 20_210_101, "name": "exact", "location": "US-VA",
        "deployment_model": "GLOBAL", "allowed_request_origins": ["https://shop.example"],
        "environments": {
            "no-environment.json": values("0"), "development.json": values("1"),
            "testing.json": values("2"), "qa.json": values("3"), "production.json": values("4"),
        },
        "auth": {
            "custom_user_data": { "enabled": true, "mongo_service_name": "db", "database_name": "shop",
                "collection_name": "people", "user_id_field": "user" },
            "providers": {
                "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false },
                "api-key": { "name": "api-key", "type": "api-key", "disabled": true },
            },
        },
        "functions": {
            "config": [{ "name": "work", "private": true }],
            "sources": { "work.js": "exports = function () {\n\treturn 1 < 2 && 2 > 1;\n};" },
        },
        "triggers": [
            { "name": "changes", "type": "DATABASE", "disabled": false,
                "config": { "service_name": "db", "database": "shop", "collection": "orders",
                    "operation_types": ["INSERT"], "skip_catchup_events": false, "unordered": false,
                    "full_document": false, "full_document_before_change": false, "match": {}, "project": {} },
                "event_processors": { "FUNCTION": { "config": { "function_name": "work" } } } },
            { "name": "weekly", "type": "SCHEDULED", "disabled": false,
                "config": { "schedule": "0 0 * * 1", "skip_catchup_events": false },
                "event_processors": { "FUNCTION": { "config": { "function_name": "work" } } } },
        ],
        "data_sources": [{
            "config": { "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0",
                "readPreference": "primary", "wireProtocolEnabled": false } },
            "rules": [{ "database": "shop", "collection": "orders",
                "schema": { "title": "order", "properties": { "item": { "bsonType": "string" } } },
                "relationships": { "item": { "ref": "#/relationship/elsewhere/shop/items",
                    "source_key": "item", "foreign_key": "name", "is_list": false } } }],
        }],
        "http_endpoints": [{
            "config": { "name": "web", "type": "http", "config": {} },
            "incoming_webhooks": [{
                "config": { "name": "hook", "options": { "validationMethod": "VERIFY_PAYLOAD", "secret": "in clear" },
                    "run_as_user_id": "", "run_as_user_id_script_source": "", "run_as_authed_user": false,
                    "create_user_on_auth": false, "fetch_custom_user_data": false, "respond_result": false },
                "source": "exports = () => false",
            }],
            "rules": [{ "name": "rule", "actions": ["get"],
                "when": { "%%args.url.host": { "%in": ["example.com"] } } }],
        }],
        "endpoints": { "config": [
            { "route": "/work", "http_method": "GET", "function_name": "work", "validation_method": "NO_VALIDATION",
                "respond_result": true, "fetch_custom_user_data": true, "create_user_on_auth": true, "disabled": true },
            { "route": "/work", "http_method": "POST", "function_name": "work", "validation_method": "NO_VALIDATION",
                "respond_result": false, "fetch_custom_user_data": false, "create_user_on_auth": false, "disabled": false },
        ] },
        "graphql": { "config": { "use_natural_pluralization": true }, "custom_resolvers": [
            { "function_name": "work", "on_type": "Query", "field_name": "work", "input_type_format": "scalar",
                "input_type": "number", "payload_type_format": "scalar", "payload_type": "number" },
        ] },
        "sync": { "config": { "development_mode_enabled": true } },
        "secrets": {},
        "log_forwarders": [{ "name": "errors", "log_types": ["auth"], "log_statuses": ["error", "success"],
            "policy": { "type": "single" }, "action": { "type": "function", "name": "work" }, "disabled": false }],
        "data_api_config": { "versions": ["v1"], "run_as_user_id": "",
            "run_as_user_id_script_source": "exports = () => 'somebody'", "disabled": false,
            "validation_method": "NO_VALIDATION", "return_type": "EJSON", "fetch_custom_user_data": true,
            "create_user_on_auth": true, "secret_name": "", "log_function_arguments": false },
    })
}

#[tokio::test]
async fn an_import_is_exported_to_the_key() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("exact").await;
    let id = app.done(200, "GET", "", Value::Null).await["client_app_id"].clone();
    let document = whole_app(&id);
    app.import(document.clone()).await;
    let files = app.archive(&export("20210101")).await.1;
    assert_eq!(folded(&files), document);
}

#[tokio::test]
async fn an_import_of_an_older_version_is_exported_to_the_key() {
    let world = World::new().await;
    let operator = world.operator().await;
    for version in [20_180_301, 20_200_603] {
        let app = operator.app("exact").await;
        let id = app.done(200, "GET", "", Value::Null).await["client_app_id"].clone();
        let whole = whole_app(&id);
        let document = json!({
            "app_id": id, "config_version": version, "name": "exact", "location": "US-VA",
            "deployment_model": "GLOBAL", "environments": whole["environments"],
            "security": { "allowed_request_origins": ["https://shop.example"] },
            "sync": { "development_mode_enabled": false }, "custom_user_data_config": { "enabled": false },
            "auth_providers": [
                { "name": "anon-user", "type": "anon-user", "disabled": false },
                { "name": "api-key", "type": "api-key", "disabled": false },
            ],
            "functions": [{ "config": { "name": "work", "private": true }, "source": "exports = () => 1;" }],
            "triggers": [whole["triggers"][1]], "services": [],
            "graphql": { "config": { "use_natural_pluralization": true }, "custom_resolvers": [] },
            "values": [], "log_forwarders": whole["log_forwarders"], "secrets": {},
            "data_api_config": whole["data_api_config"],
        });
        app.import(document.clone()).await;
        let mut exported = folded_older(&app.archive(&export(&version.to_string())).await.1);
        // The client has no field for it.
        exported.as_object_mut().unwrap().remove("provider_region");
        assert_eq!(exported, document, "{version}");
    }
}
