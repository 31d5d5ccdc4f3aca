//! Logging in and out, and who an administrator is (admin-api.md §1, #1–#5).

use app::administrators::AdminLogin;
use axum::http::{Method, StatusCode};
use kit::{Kind, Problem};
use serde_json::json;
use web::Scope::{Administrator, Open};
use web::{Answer, Request};

use crate::{Cx, Row, bearer, body, row};

const SESSION: &str = "/auth/session";
const LOGIN: &str = "/auth/providers/mongodb-cloud/login";
const PASSWORD_LOGIN: &str = "/auth/providers/local-userpass/login";
const OTHER_LOGIN: &str = "/auth/providers/{provider}/login";

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
        "adminPasswordLogin",
        Method::POST,
        PASSWORD_LOGIN,
        Open,
        |cx, r| Box::pin(password_login(cx, r)),
    ),
    row(
        "adminOtherLogin",
        Method::POST,
        OTHER_LOGIN,
        Open,
        |cx, r| Box::pin(other_login(cx, r)),
    ),
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

async fn providers(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let providers = cx.core.admin_providers().await?;
    let shown = providers
        .iter()
        .map(|name| json!({ "name": name, "type": name }));
    Ok(Answer::ok(&shown.collect()))
}

async fn login(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (public, private) = (
        body::text(&fields, "username")?,
        body::text(&fields, "apiKey")?,
    );
    let address = from(&request);
    let login = cx.core.admin_login(public, private, &address).await?;
    Ok(logged_in(&login))
}

async fn password_login(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (name, password) = (
        body::text(&fields, "username")?,
        body::text(&fields, "password")?,
    );
    let address = from(&request);
    let login = cx
        .core
        .admin_password_login(name, password, &address)
        .await?;
    Ok(logged_in(&login))
}

async fn other_login(_cx: Cx, request: Request) -> Result<Answer, Problem> {
    let provider = request.parameter("provider");
    Err(Problem::new(
        Kind::NotFound,
        "AuthProviderNotFound",
        format!("there is no provider '{provider}' for administrators"),
    ))
}

/// Every field of the answer is a text: one client reads it as a map of texts.
fn logged_in(login: &AdminLogin) -> Answer {
    Answer::ok(&json!({
        "access_token": login.access_token, "refresh_token": login.refresh_token,
        "user_id": login.user_id, "device_id": NO_DEVICE,
    }))
}

/// The client's address, by which failures are counted.
fn from(request: &Request) -> String {
    let peer = request.peer.map(|peer| peer.ip().to_string());
    peer.unwrap_or_default()
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
