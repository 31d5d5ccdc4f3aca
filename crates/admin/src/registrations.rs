//! Email/password accounts that nobody has logged in to yet
//! (admin-api.md §2.9, #73–#77).

use axum::http::{Method, StatusCode};
use kit::Problem;
use serde_json::json;
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, info, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/user_registrations/pending_users";
const ONE: &str = "/groups/{groupId}/apps/{appId}/user_registrations/by_email/{email}";
const SEND: &str =
    "/groups/{groupId}/apps/{appId}/user_registrations/by_email/{email}/send_confirm";
const CONFIRM: &str = "/groups/{groupId}/apps/{appId}/user_registrations/by_email/{email}/confirm";
const RUN: &str = "/groups/{groupId}/apps/{appId}/user_registrations/by_email/{email}/run_confirm";

pub(crate) const ROWS: &[Row] = &[
    row("adminListPendingUsers", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row(
        "adminDeletePendingEmailPasswordUser",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete(cx, r)),
    ),
    row(
        "adminSendConfirmationEmail",
        Method::POST,
        SEND,
        Write,
        |cx, r| Box::pin(send(cx, r)),
    ),
    row(
        "adminConfirmPendingUser",
        Method::POST,
        CONFIRM,
        Write,
        |cx, r| Box::pin(confirm(cx, r)),
    ),
    row(
        "adminRerunPendingUserConfirmation",
        Method::POST,
        RUN,
        Write,
        |cx, r| Box::pin(run(cx, r)),
    ),
];

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let after = request.query_value("after").filter(|id| !id.is_empty());
    let accounts = app.pending_users(after.as_deref()).await?;
    let shown = accounts.iter().map(|account| {
        json!({
            "_id": account.id, "domain_id": app.domain_id,
            "login_ids": [{ "id_type": "email", "id": account.email }],
        })
    });
    Ok(Answer::ok(&shown.collect()))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?.delete_pending(request.parameter("email")).await?;
    Ok(Answer::no_content())
}

/// Hands the parts of the link to the administrator, and says whether a mail with
/// it went out.
async fn send(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let email = request.parameter("email");
    let app = cx.app()?;
    let (made, sent) = app.confirmation_token(email, &info(&request)).await?;
    Ok(Answer::ok(&json!({
        "token": made.token.expose(), "token_id": made.token_id, "email_sent": sent,
    })))
}

async fn confirm(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?
        .confirm_pending(request.parameter("email"))
        .await?;
    Ok(Answer::no_content())
}

async fn run(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?
        .run_confirmation(request.parameter("email"), &info(&request))
        .await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}
