//! Logging in and out, and who an administrator is (admin-api.md §1, #1–#5).

use axum::http::{Method, StatusCode};
use kit::Problem;
use serde_json::json;
use web::Scope::{Administrator, Open};
use web::{Answer, Request};

use crate::{Cx, Row, bearer, body, row};

const SESSION: &str = "/auth/session";
const LOGIN: &str = "/auth/providers/mongodb-cloud/login";

pub(crate) const ROWS: &[Row] = &[
    row(
        "getAdminAuthProviders",
        Method::GET,
        "/auth/providers",
        Open,
        |cx, r| Box::pin(providers(cx, r)),
    ),
    row("adminLogin", Method::POST, LOGIN, Open, |cx, r| {
        Box::pin(login(cx, r))
    }),
    row(
        "getAdminProfile",
        Method::GET,
        "/auth/profile",
        Administrator,
        |cx, r| Box::pin(profile(cx, r)),
    ),
    // These two take a refresh token, which they check themselves.
    row(
        "adminCreateSession",
        Method::POST,
        SESSION,
        Open,
        |cx, r| Box::pin(refresh(cx, r)),
    ),
    row(
        "adminDeleteSession",
        Method::DELETE,
        SESSION,
        Open,
        |cx, r| Box::pin(logout(cx, r)),
    ),
];

/// No administrator's device has an id; clients want a text all the same.
const NO_DEVICE: &str = "000000000000000000000000";

async fn providers(_cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(
        &json!([{ "name": "mongodb-cloud", "type": "mongodb-cloud" }]),
    ))
}

/// Every field of the answer is a text: one client reads it as a map of texts.
async fn login(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (public, private) = (
        body::text(&fields, "username")?,
        body::text(&fields, "apiKey")?,
    );
    let login = cx.core.admin_login(public, private).await?;
    Ok(Answer::ok(&json!({
        "access_token": login.access_token, "refresh_token": login.refresh_token,
        "user_id": login.user_id, "device_id": NO_DEVICE,
    })))
}

async fn profile(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&cx.core.admin_profile(cx.administrator()?)))
}

async fn refresh(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let access_token = cx.core.admin_refresh(bearer(&request)?).await?;
    Ok(Answer::json(
        StatusCode::CREATED,
        &json!({ "access_token": access_token }),
    ))
}

async fn logout(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.core.admin_logout(bearer(&request)?).await?;
    Ok(Answer::no_content())
}
