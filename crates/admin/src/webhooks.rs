//! Incoming webhooks of third-party services (admin-api.md §2.8, #47–#51).

use app::{Seen, refused};
use axum::http::Method;
use config::{EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, edit, kept, key_of, rename};
use crate::services::Service;
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/incoming_webhooks";
const ONE: &str =
    "/groups/{groupId}/apps/{appId}/services/{serviceId}/incoming_webhooks/{incomingWebhookId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminListWebhooks", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateWebhook", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetWebhook", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminUpdateWebhook", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace(cx, r))
    }),
    row("adminDeleteWebhook", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
];

const FIELDS: &[&str] = &[
    "name",
    "can_evaluate",
    "run_as_user_id",
    "run_as_user_id_script_source",
    "run_as_authed_user",
    "create_user_on_auth",
    "fetch_custom_user_data",
    "respond_result",
    "disable_arg_logs",
    "options",
];
/// What files say of a webhook whether it was said or not.
const FLAGS: [&str; 4] = [
    "run_as_authed_user",
    "create_user_on_auth",
    "fetch_custom_user_data",
    "respond_result",
];

/// The path's service, which has webhooks: data sources have none.
fn service(seen: &Seen, request: &Request) -> Result<Service, Problem> {
    let service = Service::of(seen, request)?;
    if service.kind == Kind::Service {
        return Ok(service);
    }
    Err(Problem::bad_request("a data source has no webhooks"))
}

/// Key and node that a body describes.
///
/// # Errors
/// `MissingParameter`, `InvalidParameter`.
pub(crate) fn node(
    service: &str,
    fields: &Map<String, Value>,
    before: Option<&Node>,
) -> Result<(String, Node), Problem> {
    let key = format!("{service}/{}", body::text(fields, "name")?);
    let source = match (fields.get("function_source"), before) {
        (Some(Value::String(source)), _) => source.as_str(),
        (None, Some(before)) => before.source.as_deref().unwrap_or_default(),
        _ => body::text(fields, "function_source")?,
    };
    let mut fields = fields.clone();
    for flag in FLAGS {
        fields.entry(flag).or_insert(json!(false));
    }
    for text in ["run_as_user_id", "run_as_user_id_script_source"] {
        fields.entry(text).or_insert(json!(""));
    }
    fields.entry("options").or_insert(json!({}));
    Ok((key, Node::function(kept(FIELDS, &fields, before), source)))
}

/// The path's webhook: its service, key and node.
fn found(seen: &Seen, request: &Request) -> Result<(Service, String, Node), Problem> {
    let service = service(seen, request)?;
    let id = request.parameter("incomingWebhookId");
    let key = key_of(seen, Kind::Webhook, id)?;
    let inside = key.starts_with(&format!("{}/", service.name));
    match seen.config().get(Kind::Webhook, &key).filter(|_| inside) {
        Some(node) => Ok((service, key, Node::clone(node))),
        None => Err(refused(&EditError::NotFound(Kind::Webhook, id.to_owned()))),
    }
}

fn full(seen: &Seen, key: &str, node: &Node) -> Value {
    let entry = Entry::of(seen, Kind::Webhook, key, node);
    let mut shown = entry.show_all();
    shown["function_source"] = json!(node.source.as_deref());
    shown["last_modified"] = json!(entry.modified);
    shown
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let inside = format!("{}/", service(&seen, &request)?.name);
    let shown = seen
        .config()
        .all(Kind::Webhook)
        .filter(|(key, _)| key.starts_with(&inside))
        .map(|(key, node)| Entry::of(&seen, Kind::Webhook, key, node).show(&["name"]))
        .collect();
    Ok(Answer::ok(&shown))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let service = service(&cx.seen().await?, &request)?;
    let (key, node) = node(&service.name, &body::object(&request)?, None)?;
    let seen = edit(cx.app()?, &cx.author(&request)?, |config| {
        config.insert(Kind::Webhook, &key, node.clone())
    })
    .await?;
    let entry = Entry::of(&seen, Kind::Webhook, &key, &node);
    Ok(Answer::created(&entry.show(&["name"])))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let (_, key, node) = found(&seen, &request)?;
    Ok(Answer::ok(&full(&seen, &key, &node)))
}

async fn replace(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (service, key, before) = found(&cx.seen().await?, &request)?;
    let mut fields = body::object(&request)?;
    if !fields.contains_key("name") {
        fields.insert("name".to_owned(), json!(before.text("name")));
    }
    let (new, node) = node(&service.name, &fields, Some(&before))?;
    let seen = rename(&cx, &request, Kind::Webhook, &key, &new, &node).await?;
    Ok(Answer::ok(&full(&seen, &new, &node)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (_, key, _) = found(&cx.seen().await?, &request)?;
    edit(cx.app()?, &cx.author(&request)?, |config| {
        config.remove(Kind::Webhook, &key)
    })
    .await?;
    Ok(Answer::no_content())
}
