//! Secrets: names are shown, values never (admin-api.md §2.5, #119–#122).

use app::App;
use axum::http::Method;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/secrets";
const ONE: &str = "/groups/{groupId}/apps/{appId}/secrets/{secretId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminGetAllSecrets", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateASecret", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminModifyASecret", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(update(cx, r))
    }),
    row("adminDeleteSecret", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
];

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let secrets = cx.app()?.list_secrets().await?;
    let shown = secrets
        .iter()
        .map(|secret| json!({ "_id": secret.id, "name": secret.name }))
        .collect();
    Ok(Answer::ok(&shown))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (name, value) = (body::text(&fields, "name")?, body::text(&fields, "value")?);
    let secret = cx.app()?.create_secret(name, value).await?;
    Ok(Answer::created(
        &json!({ "_id": secret.id, "name": secret.name }),
    ))
}

/// An empty value leaves the value as it is.
async fn update(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let name = body::text(&fields, "name")?;
    let value = match fields.get("value") {
        None => "",
        Some(value) => value
            .as_str()
            .ok_or_else(|| Problem::invalid_parameter("'value' must be a string"))?,
    };
    cx.app()?
        .update_secret(request.parameter("secretId"), name, value)
        .await?;
    Ok(Answer::no_content())
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?
        .delete_secret(request.parameter("secretId"))
        .await?;
    Ok(Answer::no_content())
}

/// Turns the `secret_id` of a body into the `secret_name` that files have.
///
/// # Errors
/// `BadRequest` for an id that no secret has.
pub(crate) async fn name_of(app: &App, fields: &mut Map<String, Value>) -> Result<(), Problem> {
    let id = body::optional_text(fields, "secret_id")?
        .unwrap_or_default()
        .to_owned();
    fields.shift_remove("secret_id");
    if id.is_empty() {
        return Ok(());
    }
    let secrets = app.list_secrets().await?;
    let known = secrets.iter().find(|secret| secret.id == id);
    let known = known.ok_or_else(|| Problem::bad_request(format!("secret not found: \"{id}\"")))?;
    fields.insert("secret_name".to_owned(), json!(known.name));
    Ok(())
}

/// Adds the `secret_id` of the secret that each of these names.
pub(crate) async fn show_ids(app: &App, shown: &mut [Value]) -> Result<(), Problem> {
    let named = |one: &Value| {
        let name = one.get("secret_name").and_then(Value::as_str);
        name.filter(|name| !name.is_empty()).map(str::to_owned)
    };
    if !shown.iter().any(|one| named(one).is_some()) {
        return Ok(());
    }
    let secrets = app.list_secrets().await?;
    for one in shown {
        let known = named(one).and_then(|name| secrets.iter().find(|secret| secret.name == name));
        if let Some(secret) = known {
            one["secret_id"] = json!(secret.id);
        }
    }
    Ok(())
}
