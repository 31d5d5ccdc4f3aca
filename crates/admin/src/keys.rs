//! Key pairs of a project: its owners manage them, and the operator those of
//! every project. No part of the service's Admin API.

use app::administrators::{OWNER, READER, group_not_found};
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use state::AdminKey;
use web::Scope::Administrator;
use web::{Answer, Request};

use crate::{Cx, Row, body, refused, row};

const ALL: &str = "/groups/{groupId}/keys";
const ONE: &str = "/groups/{groupId}/keys/{keyId}";
const ENABLE: &str = "/groups/{groupId}/keys/{keyId}/enable";
const DISABLE: &str = "/groups/{groupId}/keys/{keyId}/disable";

pub(crate) const ROWS: &[Row] = &[
    row(
        "listProjectKeys",
        Method::GET,
        ALL,
        Administrator,
        |cx, r| Box::pin(list(cx, r)),
    ),
    row(
        "createProjectKey",
        Method::POST,
        ALL,
        Administrator,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row(
        "revokeProjectKey",
        Method::DELETE,
        ONE,
        Administrator,
        |cx, r| Box::pin(revoke(cx, r)),
    ),
    row(
        "enableProjectKey",
        Method::PUT,
        ENABLE,
        Administrator,
        |cx, r| Box::pin(switch(cx, r, false)),
    ),
    row(
        "disableProjectKey",
        Method::PUT,
        DISABLE,
        Administrator,
        |cx, r| Box::pin(switch(cx, r, true)),
    ),
];

fn show(key: &AdminKey) -> Value {
    json!({
        "_id": key.id, "public_key": key.public_key, "role": key.role,
        "description": key.description, "disabled": key.disabled, "operator": key.operator,
        "created": key.created / 1000,
    })
}

/// The path's project, for one who manages its keys.
async fn managed<'r>(cx: &Cx, request: &'r Request) -> Result<&'r str, Problem> {
    let id = request.parameter("groupId");
    let administrator = cx.administrator()?;
    if administrator.may_write(id) {
        return Ok(id);
    }
    if !cx.core.has_project(id).await? {
        return Err(group_not_found(id));
    }
    if administrator.operator {
        return Ok(id);
    }
    Err(refused("only the project's owners manage its keys"))
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let project = managed(&cx, &request).await?;
    let keys = cx.core.keys(project).await?;
    Ok(Answer::ok(&keys.iter().map(show).collect()))
}

/// A new key pair, with the only sight of its private half. It is an owner's
/// unless said otherwise.
async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let project = managed(&cx, &request).await?;
    let fields = body::object(&request)?;
    let description = body::optional_text(&fields, "description")?.unwrap_or_default();
    let role = match body::optional_text(&fields, "role")? {
        None | Some("owner") => OWNER,
        Some("read-only") => READER,
        Some(role) => role,
    };
    let (key, pair) = cx.core.create_key(project, role, description).await?;
    let mut shown = show(&key);
    shown["private_key"] = json!(pair.private_key.expose());
    Ok(Answer::created(&shown))
}

async fn revoke(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let project = managed(&cx, &request).await?;
    let key = request.parameter("keyId");
    cx.core.revoke_key(project, key).await?;
    Ok(Answer::no_content())
}

async fn switch(cx: Cx, request: Request, disabled: bool) -> Result<Answer, Problem> {
    let project = managed(&cx, &request).await?;
    let key = request.parameter("keyId");
    cx.core.set_key_disabled(project, key, disabled).await?;
    Ok(Answer::no_content())
}
