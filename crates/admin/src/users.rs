//! Users of an app (admin-api.md §2.9, #63–#72).

use app::users::UserQuery;
use axum::http::Method;
use bson::Bson;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/users";
const ONE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}";
const LOGOUT: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/logout";
const ENABLE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/enable";
const DISABLE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/disable";

pub(crate) const ROWS: &[Row] = &[
    row("adminListUsers", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateUser", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetUser", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminDeleteUser", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row("adminUserLogout", Method::PUT, LOGOUT, Write, |cx, r| {
        Box::pin(logout(cx, r))
    }),
    row("adminEnableUser", Method::PUT, ENABLE, Write, |cx, r| {
        Box::pin(switch(cx, r, false))
    }),
    row("adminDisableUser", Method::PUT, DISABLE, Write, |cx, r| {
        Box::pin(switch(cx, r, true))
    }),
];

fn show(user: &state::User) -> Value {
    let data = |document: &bson::Document| Bson::Document(document.clone()).into_relaxed_extjson();
    let identities: Vec<Value> = user
        .identities
        .iter()
        .map(|identity| {
            json!({
                "id": identity.id, "provider_type": identity.provider_type,
                "provider_id": identity.provider_id, "provider_data": data(&identity.data),
            })
        })
        .collect();
    json!({
        "_id": user.id, "type": user.kind, "identities": identities,
        "data": data(&app::merged_data(&user.identities)), "disabled": user.disabled,
        "creation_date": user.created / 1000, "last_authentication_date": user.last_login / 1000,
    })
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let disabled = match request.query_value("status").as_deref() {
        None | Some("") => None,
        Some("enabled") => Some(false),
        Some("disabled") => Some(true),
        Some(other) => {
            return Err(Problem::invalid_parameter(format!(
                "unknown status '{other}'"
            )));
        }
    };
    let query = UserQuery {
        after: request
            .query_value("after")
            .filter(|after| !after.is_empty()),
        descending: request.query_value("desc").as_deref() == Some("true"),
        disabled,
        provider_types: request.query_list("provider_types"),
        limit: request.query_number("limit")?.unwrap_or(0),
    };
    let users = cx.app()?.list_users(&query).await?;
    Ok(Answer::ok(&users.iter().map(show).collect()))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (email, password) = (
        body::text(&fields, "email")?,
        body::text(&fields, "password")?,
    );
    let user = cx.app()?.create_user(email, password).await?;
    Ok(Answer::created(&show(&user)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let user = cx.app()?.user(request.parameter("userId")).await?;
    Ok(Answer::ok(&show(&user)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?.delete_user(request.parameter("userId")).await?;
    Ok(Answer::no_content())
}

async fn logout(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?.logout_user(request.parameter("userId")).await?;
    Ok(Answer::no_content())
}

async fn switch(cx: Cx, request: Request, disabled: bool) -> Result<Answer, Problem> {
    cx.app()?
        .set_user_disabled(request.parameter("userId"), disabled)
        .await?;
    Ok(Answer::no_content())
}
