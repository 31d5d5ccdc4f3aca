//! Server API keys of an app (admin-api.md §2.14, #111–#116).

use app::users::ApiKey;
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/api_keys";
const ONE: &str = "/groups/{groupId}/apps/{appId}/api_keys/{apiKeyId}";
const ENABLE: &str = "/groups/{groupId}/apps/{appId}/api_keys/{apiKeyId}/enable";
const DISABLE: &str = "/groups/{groupId}/apps/{appId}/api_keys/{apiKeyId}/disable";

pub(crate) const ROWS: &[Row] = &[
    row("adminListApiKeys", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateApiKey", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetApiKey", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminDeleteApiKey", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row("adminEnableApiKey", Method::PUT, ENABLE, Write, |cx, r| {
        Box::pin(switch(cx, r, false))
    }),
    row(
        "adminDisableApiKey",
        Method::PUT,
        DISABLE,
        Write,
        |cx, r| Box::pin(switch(cx, r, true)),
    ),
];

/// The owner of a server's key: no user.
const SERVER: &str = "";

fn show(key: &ApiKey) -> Value {
    json!({ "_id": key.id, "name": key.name, "disabled": key.disabled })
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let keys = cx.app()?.api_keys(SERVER).await?;
    Ok(Answer::ok(&keys.iter().map(show).collect()))
}

/// A new key, with the only sight of it.
async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let made = cx
        .app()?
        .create_api_key(SERVER, body::text(&fields, "name")?)
        .await?;
    let mut shown = show(&made.record);
    shown["key"] = json!(made.key);
    Ok(Answer::created(&shown))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let key = cx
        .app()?
        .api_key(SERVER, request.parameter("apiKeyId"))
        .await?;
    Ok(Answer::ok(&show(&key)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?
        .delete_api_key(SERVER, request.parameter("apiKeyId"))
        .await?;
    Ok(Answer::no_content())
}

async fn switch(cx: Cx, request: Request, disabled: bool) -> Result<Answer, Problem> {
    cx.app()?
        .set_api_key(SERVER, request.parameter("apiKeyId"), disabled)
        .await?;
    Ok(Answer::no_content())
}
