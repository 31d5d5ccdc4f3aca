//! An app in one view (admin-api.md §3.2): what `apps describe` shows.

use app::Seen;
use axum::http::Method;
use config::{AppConfig, Kind, Node};
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::Read;
use web::{Answer, Request};

use crate::{Cx, Row, row};

pub(crate) const ROWS: &[Row] = &[row(
    "describeApplication",
    Method::GET,
    "/groups/{groupId}/apps/{appId}/description",
    Read,
    |cx, r| Box::pin(describe(cx, r)),
)];

async fn describe(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let (app, seen) = (cx.app()?, cx.seen().await?);
    let config = seen.config();
    let base = &cx.base_url;
    let (id, name) = (&app.client_app_id, &app.record().name);
    let client = format!("{base}/api/client/v2.0/app/{id}");
    let environment = match config.environment() {
        "no-environment" => "",
        name => name,
    };
    Ok(Answer::ok(&json!({
        "client_app_id": id, "name": name,
        "realm_url": format!("{base}/groups/{}/apps/{}/dashboard", app.project_id, app.id),
        "data_sources": list(config, Kind::DataSource, |name, node| json!({
            "name": name, "type": node.text("type"), "data_source": cluster(node),
        })),
        "http_endpoints": http_endpoints(&seen, base, id),
        "services": config
            .all(Kind::Service)
            .filter(|(_, node)| node.text("type") != "http")
            .map(|(name, node)| json!({
                "name": name, "type": node.text("type"), "webhooks": webhooks(config, name, &client),
            }))
            .collect::<Value>(),
        "auth_providers": list(config, Kind::AuthProvider, |name, node| json!({
            "name": name, "type": node.text("type"), "enabled": !node.flag("disabled"),
        })),
        "custom_user_data": custom_user_data(config),
        "values": list(config, Kind::Value, |name, _| json!(name)),
        "hosting": hosting(config, base, id),
        "functions": list(config, Kind::Function, |name, _| json!({
            "name": name, "path": format!("{name}.js"),
        })),
        "sync": sync(config),
        "graphql": {
            "url": format!("{client}/graphql"),
            "custom_resolvers": list(config, Kind::GraphqlResolver, |_, node| {
                json!(format!("{}.{}", node.text("on_type"), node.text("field_name")))
            }),
        },
        "environment": environment,
        "event_subscription": list(config, Kind::Trigger, |name, node| json!({
            "name": name, "type": node.text("type"), "enabled": !node.flag("disabled"),
        })),
        "log_forwarders": list(config, Kind::LogForwarder, |name, node| json!({
            "name": name, "enabled": !node.flag("disabled"),
        })),
    })))
}

fn list(config: &AppConfig, kind: Kind, show: impl Fn(&str, &Node) -> Value) -> Value {
    let nodes = config.all(kind);
    nodes.map(|(key, node)| show(key, node)).collect()
}

/// What a data source is linked to: a cluster or a data lake.
fn cluster(node: &Node) -> &str {
    let named = |pointer| node.at(pointer).and_then(Value::as_str);
    let named = named("/config/clusterName").or_else(|| named("/config/dataLakeName"));
    named.unwrap_or_default()
}

/// What the data source of a name is linked to.
fn cluster_of<'c>(config: &'c AppConfig, source: &str) -> &'c str {
    let node = config.get(Kind::DataSource, source);
    node.map_or("", |node| cluster(node))
}

/// HTTPS endpoints, and the webhooks of legacy HTTP services.
fn http_endpoints(seen: &Seen, base: &str, id: &str) -> Value {
    let config = seen.config();
    let client = format!("{base}/api/client/v2.0/app/{id}");
    let services = config
        .all(Kind::Service)
        .filter(|(_, node)| node.text("type") == "http");
    let services = services
        .map(|(name, _)| json!({ "name": name, "webhooks": webhooks(config, name, &client) }));
    let endpoints = config.all(Kind::Endpoint).map(|(_, node)| {
        let route = node.text("route");
        json!({
            "route": route, "http_method": node.text("http_method"),
            "url": format!("{base}/app/{id}/endpoint{route}"),
        })
    });
    services.chain(endpoints).collect()
}

fn webhooks(config: &AppConfig, service: &str, client: &str) -> Value {
    let inside = format!("{service}/");
    config
        .all(Kind::Webhook)
        .filter_map(|(key, _)| key.strip_prefix(&inside))
        .map(|name| {
            let url = format!("{client}/service/{service}/incoming_webhook/{name}");
            json!({ "name": name, "url": url })
        })
        .collect()
}

fn custom_user_data(config: &AppConfig) -> Value {
    let node = config.get(Kind::CustomUserData, "");
    let text = |name: &str| node.map_or("", |node| node.text(name));
    json!({
        "enabled": node.is_some_and(|node| node.flag("enabled")),
        "data_source": cluster_of(config, text("mongo_service_name")),
        "database": text("database_name"), "collection": text("collection_name"),
        "user_id_field": text("user_id_field"),
    })
}

fn hosting(config: &AppConfig, base: &str, id: &str) -> Value {
    let node = config.get(Kind::Hosting, "");
    if !node.is_some_and(|node| node.flag("enabled")) {
        return json!({ "enabled": false, "status": "", "url": "" });
    }
    json!({ "enabled": true, "status": "setup_ok", "url": format!("{base}/app/{id}/hosting/") })
}

fn sync(config: &AppConfig) -> Value {
    let node = config.get(Kind::Sync, "");
    let text = |name: &str| node.map_or("", |node| node.text(name));
    json!({
        "state": text("state"), "data_source": cluster_of(config, text("service_name")),
        "database": text("database_name"),
        "development_mode_enabled": node.is_some_and(|node| node.flag("development_mode_enabled")),
    })
}
