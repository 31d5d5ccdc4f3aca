//! Deployments: which revision went live when, and going back to one
//! (admin-api.md §2.15, #131–#133).

use app::App;
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/deployments";
const ONE: &str = "/groups/{groupId}/apps/{appId}/deployments/{deploymentId}";
const AGAIN: &str = "/groups/{groupId}/apps/{appId}/deployments/{deploymentId}/redeploy";

pub(crate) const ROWS: &[Row] = &[
    row("adminListDeployments", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminGetDeployment", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row(
        "adminRedeployDeployment",
        Method::POST,
        AGAIN,
        Write,
        |cx, r| Box::pin(redeploy(cx, r)),
    ),
];

pub(crate) fn show(app: &App, deployment: &state::Deployment) -> Value {
    let release = app.release();
    let root = release.config.get(config::Kind::Root, "");
    let name = match deployment.name.as_str() {
        "" => &deployment.id,
        name => name,
    };
    json!({
        "_id": deployment.id, "app_id": app.id, "user_id": deployment.user_id,
        "deployed_at": deployment.at / 1000, "origin": deployment.origin, "commit": "",
        "status": deployment.status, "status_error_message": deployment.error, "diff_url": "",
        "name": name, "draft_id": deployment.draft_id, "remote_location": root.map_or("", |root| root.text("location")),
    })
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let deployments = app.deployments().await?;
    Ok(Answer::ok(
        &deployments.iter().map(|d| show(app, d)).collect(),
    ))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let deployment = app.deployment(request.parameter("deploymentId")).await?;
    Ok(Answer::ok(&show(app, &deployment)))
}

async fn redeploy(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.app()?
        .redeploy(request.parameter("deploymentId"), &cx.author(&request)?)
        .await?;
    Ok(Answer::no_content())
}
