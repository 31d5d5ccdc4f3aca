//! Administrators who log in with a password: the operator manages them. No part
//! of the service's Admin API.

use app::administrators::UserChange;
use axum::http::Method;
use kit::Problem;
use serde_json::{Map, Value, json};
use state::{AdminUser, ProjectRole};
use web::Scope::Administrator;
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/administrators";
const ONE: &str = "/administrators/{administratorId}";

pub(crate) const ROWS: &[Row] = &[
    row(
        "listAdministrators",
        Method::GET,
        ALL,
        Administrator,
        |cx, r| Box::pin(list(cx, r)),
    ),
    row(
        "createAdministrator",
        Method::POST,
        ALL,
        Administrator,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row(
        "updateAdministrator",
        Method::PATCH,
        ONE,
        Administrator,
        |cx, r| Box::pin(update(cx, r)),
    ),
    row(
        "deleteAdministrator",
        Method::DELETE,
        ONE,
        Administrator,
        |cx, r| Box::pin(delete(cx, r)),
    ),
];

fn show(user: &AdminUser) -> Value {
    let roles: Vec<Value> = user
        .roles
        .iter()
        .map(|role| json!({ "role_name": role.role, "group_id": role.project_id }))
        .collect();
    json!({
        "_id": user.id, "username": user.username, "roles": roles, "disabled": user.disabled,
        "created": user.created / 1000,
    })
}

/// The roles of a body, if it says any.
fn roles(fields: &Map<String, Value>) -> Result<Option<Vec<ProjectRole>>, Problem> {
    if fields.get("roles").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let roles = body::optional_objects(fields, "roles")?.into_iter();
    let roles = roles.map(|role| {
        Ok(ProjectRole {
            project_id: body::text(role, "group_id")?.to_owned(),
            role: body::text(role, "role_name")?.to_owned(),
        })
    });
    roles.collect::<Result<_, Problem>>().map(Some)
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    let users = cx.core.admin_users().await?;
    Ok(Answer::ok(&users.iter().map(show).collect()))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    let fields = body::object(&request)?;
    let user = cx
        .core
        .create_admin_user(
            body::text(&fields, "username")?,
            body::text(&fields, "password")?,
            roles(&fields)?.unwrap_or_default(),
        )
        .await?;
    Ok(Answer::created(&show(&user)))
}

async fn update(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    let fields = body::object(&request)?;
    let password = body::optional_text(&fields, "password")?;
    let change = UserChange {
        password: password.map(|password| password.to_owned().into()),
        roles: roles(&fields)?,
        disabled: body::optional_flag(&fields, "disabled")?,
    };
    cx.core
        .change_admin_user(request.parameter("administratorId"), change)
        .await?;
    Ok(Answer::no_content())
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    cx.core
        .delete_admin_user(request.parameter("administratorId"))
        .await?;
    Ok(Answer::no_content())
}
