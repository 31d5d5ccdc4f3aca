//! Users of an app, their tokens and devices (admin-api.md §2.9, #63–#72).

use app::users::UserQuery;
use axum::http::Method;
use bson::Bson;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, info, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/users";
const ONE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}";
const LOGOUT: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/logout";
const ENABLE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/enable";
const DISABLE: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/disable";
const VERIFY: &str = "/groups/{groupId}/apps/{appId}/users/verify_token";
const EMAIL: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/reset_email";
const DEVICES: &str = "/groups/{groupId}/apps/{appId}/users/{userId}/devices";

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
    row(
        "adminVerifyUserAccessToken",
        Method::POST,
        VERIFY,
        Read,
        |cx, r| Box::pin(verify(cx, r)),
    ),
    row(
        "adminResetUserEmail",
        Method::PATCH,
        EMAIL,
        Write,
        |cx, r| Box::pin(reset_email(cx, r)),
    ),
    row("adminListDevices", Method::GET, DEVICES, Read, |cx, r| {
        Box::pin(devices(cx, r))
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
    // By id, which is by age, is how users are listed; any other order would be
    // taken for one that was asked for.
    if let Some(sort) = request.query_value("sort").filter(|sort| !sort.is_empty())
        && sort != "_id"
    {
        let text = format!("'sort' must be '_id', not '{sort}'");
        return Err(Problem::invalid_parameter(text));
    }
    let descending = match request.query_value("desc").as_deref() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(other) => {
            let text = format!("'desc' must be true or false, not '{other}'");
            return Err(Problem::invalid_parameter(text));
        }
    };
    let query = UserQuery {
        after: request
            .query_value("after")
            .filter(|after| !after.is_empty()),
        descending,
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
    let app = cx.app()?;
    let user = app.create_user(email, password, &info(&request)).await?;
    Ok(Answer::created(&show(&user)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let user = cx.app()?.user(request.parameter("userId")).await?;
    Ok(Answer::ok(&show(&user)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("userId");
    cx.app()?.delete_user(id, &info(&request)).await?;
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

async fn verify(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let claims = cx
        .app()?
        .inspect_token(body::text(&fields, "token")?)
        .await?;
    Ok(Answer::ok(
        &claims.unwrap_or_else(|| json!("token expired")),
    ))
}

async fn reset_email(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let email = body::text(&fields, "email")?;
    cx.app()?
        .reset_email(request.parameter("userId"), email)
        .await?;
    Ok(Answer::no_content())
}

async fn devices(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let devices = cx.app()?.devices(request.parameter("userId")).await?;
    let shown = devices.into_iter().map(|device| {
        let mut shown = Bson::Document(device.about).into_relaxed_extjson();
        shown["_id"] = json!(device.device_id);
        shown
    });
    Ok(Answer::ok(&shown.collect()))
}
