//! Drafts: edits that go live together (admin-api.md §2.15, #134–#138, and §5).

use app::{App, Changes, FieldDiff};
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, apps, body, dependencies, deployments, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/drafts";
const ONE: &str = "/groups/{groupId}/apps/{appId}/drafts/{draftId}";
const DEPLOYMENT: &str = "/groups/{groupId}/apps/{appId}/drafts/{draftId}/deployment";
const DIFF: &str = "/groups/{groupId}/apps/{appId}/drafts/{draftId}/diff";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminListDeploymentDrafts",
        Method::GET,
        ALL,
        Read,
        |cx, r| Box::pin(list(cx, r)),
    ),
    row(
        "adminCreateDeploymentDraft",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(open(cx, r)),
    ),
    row("adminDiscardDraft", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(discard(cx, r))
    }),
    row(
        "adminDeployDraft",
        Method::POST,
        DEPLOYMENT,
        Write,
        |cx, r| Box::pin(deploy(cx, r)),
    ),
    row("adminDeployDraftDiff", Method::GET, DIFF, Read, |cx, r| {
        Box::pin(diff(cx, r))
    }),
];

/// Characters of a deployment's name.
const NAME_CHARS_MAX: usize = 128;

async fn show(cx: &Cx, app: &App, draft: &state::Draft) -> Result<Value, Problem> {
    Ok(json!({
        "_id": draft.id, "user_id": draft.user_id,
        "app": apps::show(cx, &app.record()).await?,
    }))
}

/// A list of none or one: an administrator sees their own.
async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let mut shown = Vec::new();
    if let Some(draft) = app.draft_of(&cx.administrator()?.id).await? {
        shown.push(show(&cx, app, &draft).await?);
    }
    Ok(Answer::ok(&Value::Array(shown)))
}

async fn open(cx: Cx, request: Request) -> Result<Answer, Problem> {
    body::object(&request)?;
    let app = cx.app()?;
    let draft = app.open_draft(&cx.author(&request)?).await?;
    Ok(Answer::created(&show(&cx, app, &draft).await?))
}

async fn discard(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let owner = &cx.administrator()?.id;
    cx.app()?
        .discard_draft(owner, request.parameter("draftId"))
        .await?;
    Ok(Answer::no_content())
}

/// The deployment is done when this answers; clients want to be told of one
/// that was only just made, and poll it.
async fn deploy(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let name = match fields.get("name") {
        None | Some(Value::Null) => "",
        Some(Value::String(name)) if name.chars().count() <= NAME_CHARS_MAX => name,
        Some(_) => {
            return Err(Problem::invalid_parameter(format!(
                "'name' must be a string of at most {NAME_CHARS_MAX} characters"
            )));
        }
    };
    let app = cx.app()?;
    let draft = request.parameter("draftId");
    let author = cx.author(&request)?;
    let deployment = app.deploy_draft(&author, draft, name).await?;
    let mut shown = deployments::show(app, &deployment);
    shown["status"] = json!("created");
    Ok(Answer::created(&shown))
}

async fn diff(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let owner = &cx.administrator()?.id;
    let diff = cx
        .app()?
        .draft_diff(owner, request.parameter("draftId"))
        .await?;
    Ok(Answer::ok(&json!({
        "diffs": diff.files,
        "hosting_files_diff": paths(&diff.hosting),
        "dependencies_diff": dependencies::show(&diff.dependencies),
        "graphql_config_diff": { "field_diffs": fields(&diff.graphql) },
        "schema_options_diff": {
            "graphql_validation_diff": fields(&diff.validation), "rest_validation_diff": [],
        },
    })))
}

fn paths(of: &Changes<String>) -> Value {
    json!({ "added": of.added, "deleted": of.deleted, "modified": of.modified })
}

fn fields(of: &[FieldDiff]) -> Value {
    of.iter()
        .map(|field| {
            json!({
                "field_name": field.name, "previous": field.previous, "updated": field.updated,
            })
        })
        .collect()
}
