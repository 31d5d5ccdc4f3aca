//! The whole configuration in one document: pull and push
//! (admin-api.md §2.3 and §4.5, #56 and #57).

use axum::http::Method;
use kit::Problem;
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const PULL: &str = "/groups/{groupId}/apps/{appId}/pull";
const PUSH: &str = "/groups/{groupId}/apps/{appId}/push";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminPullAppConfiguration",
        Method::GET,
        PULL,
        Read,
        |cx, r| Box::pin(pull(cx, r)),
    ),
    row(
        "adminPushAppConfiguration",
        Method::PATCH,
        PUSH,
        Write,
        |cx, r| Box::pin(push(cx, r)),
    ),
];

async fn pull(cx: Cx, request: Request) -> Result<Answer, Problem> {
    if request
        .header("accept")
        .is_some_and(|kind| kind.trim() == "application/zip")
    {
        return Err(Problem::bad_request(
            "pulling a zip archive is not supported yet",
        ));
    }
    let seen = cx.seen().await?;
    Ok(Answer::ok(&config::to_document(seen.config())))
}

/// Replaces everything, or says every problem and changes nothing.
async fn push(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let document = body::object(&request)?;
    if document.is_empty() {
        return Err(Problem::bad_request("a push needs a configuration"));
    }
    cx.app()?
        .push_document(&document.into(), &cx.author(&request)?)
        .await?;
    Ok(Answer::no_content())
}
