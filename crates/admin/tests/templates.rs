//! Apps from templates and defaults, and what describes an app.

use serde_json::{Value, json};

use crate::transfer::pushed;
use crate::{AppAdmin, World};

#[tokio::test]
async fn an_app_is_made_from_a_template() {
    let world = World::new().await;
    let operator = world.operator().await;
    let listed = operator.get("templates").await;
    let ids: Vec<&str> = listed
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["web.mql.todo", "triggers"]);
    let source = json!({
        "name": "mongodb-atlas", "type": "mongodb-atlas", "version": 1,
        "config": { "clusterName": "Cluster7", "readPreference": "primary", "wireProtocolEnabled": false },
    });
    for (id, client, function) in [
        ("web.mql.todo", true, "countItems"),
        ("triggers", false, "summarizeDay"),
    ] {
        let body =
            json!({ "name": "fresh", "template_id": id, "data_source": source, "location": "IE" });
        let made = operator.call("POST", "/apps", body).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        assert_eq!(
            (&made.body["template_id"], &made.body["location"]),
            (&json!(id), &json!("IE"))
        );
        let app = AppAdmin {
            administrator: &operator,
            id: made.body["_id"].as_str().unwrap().to_owned(),
        };
        assert_eq!(app.done(200, "GET", "", Value::Null).await, made.body);
        let pulled = app.done(200, "GET", "/pull", Value::Null).await;
        assert_eq!(pulled["data_sources"][0]["config"], source["config"]);
        let functions = pulled["functions"].as_array().unwrap();
        assert!(functions.iter().any(|f| f["name"] == function), "{id}");
        assert_eq!(
            app.done(200, "GET", "/deployments", Value::Null).await,
            json!([])
        );
        let own = app.done(200, "GET", "/templates", Value::Null).await;
        assert_eq!(own[0]["id"], id);
        let path = format!("/templates/{id}/client");
        if client {
            let (_, files, _) = app.archive(&path).await;
            let settings: Value =
                serde_json::from_slice(files.get("atlasConfig.json").unwrap()).unwrap();
            assert_eq!(
                settings,
                json!({
                    "appId": made.body["client_app_id"], "baseUrl": "http://here",
                    "dataSource": "mongodb-atlas",
                })
            );
            assert!(files.get("index.html").is_some());
        } else {
            app.done(204, "GET", &path, Value::Null).await;
        }
        let other = app.call("GET", "/templates/moon/client", Value::Null).await;
        assert_eq!(other.refusal(), (404, "TemplateNotFound"));
        let document = crate::folded::folded(&app.archive("/export?source_control=true").await.1);
        let diff = "/import?strategy=replace-by-name&diff=true";
        assert_eq!(app.done(200, "POST", diff, document).await, json!([]));
    }
    let plain = operator.app("plain").await;
    for path in ["/templates", "/templates/triggers/client"] {
        let refused = plain.call("GET", path, Value::Null).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"));
    }
}

#[tokio::test]
async fn what_a_new_app_brings_along() {
    let world = World::new().await;
    let operator = world.operator().await;
    let make = async |query: &str, body: Value| {
        let made = operator.call("POST", &format!("/apps{query}"), body).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        let app = AppAdmin {
            administrator: &operator,
            id: made.body["_id"].as_str().unwrap().to_owned(),
        };
        app.done(200, "GET", "/pull", Value::Null).await
    };
    let plain = make("", json!({ "name": "a" })).await;
    assert_eq!(plain["data_sources"], json!([]));
    let default = make("?defaults=true", json!({ "name": "a" })).await;
    assert_eq!(
        default["data_sources"][0]["config"]["clusterName"],
        "Cluster0"
    );
    let more = make(
        "?product=device-sync",
        json!({ "name": "a", "sync": { "development_mode_enabled": true },
            "graphql": { "use_natural_pluralization": false } }),
    )
    .await;
    assert_eq!(more["sync"], json!({ "development_mode_enabled": true }));
    assert_eq!(
        more["graphql"]["config"],
        json!({ "use_natural_pluralization": false })
    );
    for (query, body) in [
        ("?product=moon", json!({ "name": "a" })),
        (
            "",
            json!({ "name": "a", "sync": { "development_mode_enabled": "yes" } }),
        ),
    ] {
        let refused = operator.call("POST", &format!("/apps{query}"), body).await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"));
    }
}

#[tokio::test]
async fn a_new_app_is_described_with_zeros() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("Shop").await;
    let shown = app.done(200, "GET", "", Value::Null).await;
    let id = shown["client_app_id"].as_str().unwrap();
    let group = &operator.project;
    assert_eq!(
        app.done(200, "GET", "/description", Value::Null).await,
        json!({
            "client_app_id": id, "name": "Shop",
            "realm_url": format!("http://here/groups/{group}/apps/{}/dashboard", app.id),
            "data_sources": [], "http_endpoints": [], "services": [],
            "auth_providers": [{ "name": "api-key", "type": "api-key", "enabled": false }],
            "custom_user_data": { "enabled": false, "data_source": "", "database": "", "collection": "",
                "user_id_field": "" },
            "values": [], "hosting": { "enabled": false, "status": "", "url": "" }, "functions": [],
            "sync": { "state": "", "data_source": "", "database": "", "development_mode_enabled": false },
            "graphql": { "url": format!("http://here/api/client/v2.0/app/{id}/graphql"), "custom_resolvers": [] },
            "environment": "", "event_subscription": [], "log_forwarders": [],
        })
    );
}

#[tokio::test]
async fn a_description_has_everything_in_brief() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let shown = app.done(200, "GET", "/description", Value::Null).await;
    let id = shown["client_app_id"].as_str().unwrap();
    let client = format!("http://here/api/client/v2.0/app/{id}");
    for (name, wanted) in [
        (
            "data_sources",
            json!([{ "name": "mongodb-atlas", "type": "mongodb-atlas", "data_source": "Cluster0" }]),
        ),
        (
            "http_endpoints",
            json!([
                { "name": "old", "webhooks": [{ "name": "in",
                    "url": format!("{client}/service/old/incoming_webhook/in") }] },
                { "route": "/hook", "http_method": "POST", "url": format!("http://here/app/{id}/endpoint/hook") },
            ]),
        ),
        (
            "services",
            json!([{ "name": "tw", "type": "twilio", "webhooks": [] }]),
        ),
        ("values", json!(["limit", "secretKey"])),
        (
            "functions",
            json!([{ "name": "sum", "path": "sum.js" }, { "name": "nested/hook", "path": "nested/hook.js" }]),
        ),
        ("environment", json!("qa")),
        (
            "event_subscription",
            json!([{ "name": "nightly", "type": "SCHEDULED", "enabled": false }]),
        ),
        (
            "log_forwarders",
            json!([{ "name": "all", "enabled": false }]),
        ),
        (
            "sync",
            json!({ "state": "disabled", "data_source": "Cluster0", "database": "shop",
                "development_mode_enabled": false }),
        ),
    ] {
        assert_eq!(shown[name], wanted, "{name}");
    }
    assert_eq!(shown["graphql"]["custom_resolvers"], json!(["Query.total"]));
}
