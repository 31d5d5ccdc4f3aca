//! Projects, which the service called groups. Its Admin API left them to
//! another product; here the operator's key makes and removes them.

use app::administrators::group_not_found;
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::Administrator;
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const ALL: &str = "/groups";
const ONE: &str = "/groups/{groupId}";

pub(crate) const ROWS: &[Row] = &[
    row("listProjects", Method::GET, ALL, Administrator, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row(
        "createProject",
        Method::POST,
        ALL,
        Administrator,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row("getProject", Method::GET, ONE, Administrator, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row(
        "deleteProject",
        Method::DELETE,
        ONE,
        Administrator,
        |cx, r| Box::pin(delete(cx, r)),
    ),
];

fn show(project: &state::Project) -> Value {
    json!({ "id": project.id, "name": project.name, "created": project.created / 1000 })
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let projects = cx.core.projects(cx.administrator()?).await?;
    Ok(Answer::ok(&projects.iter().map(show).collect()))
}

/// A new project, with the only sight of its key pair.
async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    let fields = body::object(&request)?;
    let (project, pair) = cx.core.create_project(body::text(&fields, "name")?).await?;
    let mut shown = show(&project);
    shown["public_key"] = json!(pair.public_key);
    shown["private_key"] = json!(pair.private_key.expose());
    Ok(Answer::created(&shown))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("groupId");
    let projects = cx.core.projects(cx.administrator()?).await?;
    let found = projects.iter().find(|project| project.id == id);
    Ok(Answer::ok(&show(found.ok_or_else(|| group_not_found(id))?)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    cx.core
        .delete_project(cx.administrator()?, request.parameter("groupId"))
        .await?;
    Ok(Answer::no_content())
}
