//! npm packages of functions (admin-api.md §2.14, #128, and §3.3).

use app::{Changes, Package};
use axum::http::{HeaderValue, Method, StatusCode, header};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/dependencies";
const STATUS: &str = "/groups/{groupId}/apps/{appId}/dependencies/status";
const ARCHIVE: &str = "/groups/{groupId}/apps/{appId}/dependencies/archive";
const EXPORT: &str = "/groups/{groupId}/apps/{appId}/dependencies/export";
const DIFF: &str = "/groups/{groupId}/apps/{appId}/dependencies/diff";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetAllDependencies",
        Method::GET,
        ALL,
        Read,
        |cx, r| Box::pin(list(cx, r)),
    ),
    row(
        crate::UPLOAD_DEPENDENCIES,
        Method::PUT,
        ALL,
        Write,
        |cx, r| Box::pin(install(cx, r)),
    ),
    // As older versions of the official CLI ask.
    row(
        crate::POST_DEPENDENCIES,
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(install(cx, r)),
    ),
    row(
        "adminGetDependenciesStatus",
        Method::GET,
        STATUS,
        Read,
        |cx, r| Box::pin(status(cx, r)),
    ),
    row(
        "adminExportDependenciesArchive",
        Method::GET,
        ARCHIVE,
        Read,
        |cx, r| Box::pin(archive(cx, r)),
    ),
    row(
        "adminExportDependencies",
        Method::GET,
        EXPORT,
        Read,
        |cx, r| Box::pin(export(cx, r)),
    ),
    row(
        crate::DIFF_DEPENDENCIES,
        Method::POST,
        DIFF,
        Read,
        |cx, r| Box::pin(diff(cx, r)),
    ),
];

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let installed = app.dependencies().await?.unwrap_or_default();
    let packages = installed.packages.iter();
    Ok(Answer::ok(&json!({
        "_id": app.id, "location": app.place().location, "user_id": installed.user_id,
        "last_modified": installed.modified / 1000,
        "dependencies_list": packages
            .map(|package| json!({ "name": package.name, "version": package.version }))
            .collect::<Value>(),
    })))
}

/// The file of the request's body: its name and bytes.
async fn file(request: &mut Request) -> Result<(String, Vec<u8>), Problem> {
    let parts = web::parts(request).await?;
    let file = parts.into_iter().find(|part| part.name == "file");
    let file = file.ok_or_else(|| Problem::bad_request("the request body has no part 'file'"))?;
    Ok((file.file_name, file.bytes))
}

async fn install(cx: Cx, mut request: Request) -> Result<Answer, Problem> {
    let author = cx.author(&request)?;
    let (name, bytes) = file(&mut request).await?;
    cx.app()?
        .install_dependencies(&author, &name, bytes)
        .await?;
    Ok(Answer::no_content())
}

async fn status(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let status = cx.app()?.dependencies_status().await?;
    Ok(Answer::ok(&json!({
        "status": status.status, "status_message": status.message,
    })))
}

async fn archive(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let bytes = cx.app()?.dependencies_archive().await?;
    let answer = Answer::bytes(StatusCode::OK, "application/zip", bytes);
    Ok(attached(answer, "attachment; filename=node_modules.zip"))
}

/// Nothing but the packages: clients compare it with what they uploaded.
async fn export(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let installed = cx.app()?.dependencies().await?.unwrap_or_default();
    let packages: Map<String, Value> = installed
        .packages
        .into_iter()
        .map(|package| (package.name, package.version.into()))
        .collect();
    let answer = Answer::ok(&json!({ "dependencies": packages }));
    Ok(attached(answer, "attachment; filename=package.json"))
}

fn attached(mut answer: Answer, disposition: &'static str) -> Answer {
    answer.0.headers_mut().insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static(disposition),
    );
    answer
}

async fn diff(cx: Cx, mut request: Request) -> Result<Answer, Problem> {
    let (name, bytes) = file(&mut request).await?;
    let diff = cx.app()?.diff_dependencies(&name, bytes).await?;
    Ok(Answer::ok(&show(&diff)))
}

/// What changed, as diffs have it.
pub(crate) fn show(changes: &Changes<Package>) -> Value {
    let named = |packages: &[Package]| {
        packages
            .iter()
            .map(|package| json!({ "name": package.name, "version": package.version }))
            .collect::<Value>()
    };
    let modified = changes.modified.iter().map(|package| {
        json!({
            "name": package.name, "version": package.version,
            "previous_version": package.previous,
        })
    });
    json!({
        "added": named(&changes.added), "deleted": named(&changes.deleted),
        "modified": modified.collect::<Value>(),
    })
}
