//! The whole configuration at once: export, pull, push and import
//! (admin-api.md §2.3, §3.2, §4.5 and §4.6; #11, #56 and #57).

use app::{Export, Strategy};
use axum::http::Method;
use config::{Files, RootLayout};
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

const EXPORT: &str = "/groups/{groupId}/apps/{appId}/export";
const PULL: &str = "/groups/{groupId}/apps/{appId}/pull";
const PUSH: &str = "/groups/{groupId}/apps/{appId}/push";
const IMPORT: &str = "/groups/{groupId}/apps/{appId}/import";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminExportApplication",
        Method::GET,
        EXPORT,
        Read,
        |cx, r| Box::pin(export(cx, r)),
    ),
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
    row("importApplication", Method::POST, IMPORT, Write, |cx, r| {
        Box::pin(import(cx, r))
    }),
];

/// Folders that are there even when they are empty: the official CLI tells one
/// that is not there from an empty one.
const FOLDERS: [&str; 2] = ["values/", "graphql/custom_resolvers/"];
/// The version of an export that asks for none.
const VERSION: &str = "20210101";

async fn export(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (source_control, template) = (flag(&request, "source_control"), flag(&request, "template"));
    if source_control && template {
        return Err(Problem::bad_request(
            "an export is for source control or a template, not both",
        ));
    }
    let given = |name: &str| request.query_value(name).filter(|text| !text.is_empty());
    let version = given("version").unwrap_or_else(|| VERSION.to_owned());
    let layout = RootLayout::of_version(&version).ok_or_else(|| {
        Problem::invalid_parameter(format!(
            "'version' must be 20180301, 20200603, 20210101 or 20230101, not '{version}'"
        ))
    })?;
    let how = Export {
        layout,
        template,
        ids: !source_control && !template,
        deployment: given("deployment"),
    };
    archive(&cx, &how).await
}

/// A flag of the query: `true`, or its name alone.
fn flag(request: &Request, name: &str) -> bool {
    request
        .query_value(name)
        .is_some_and(|value| matches!(value.as_str(), "" | "true"))
}

async fn archive(cx: &Cx, how: &Export) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let Files(files) = app.export(&cx.administrator()?.id, how).await?;
    let entries = files.iter().map(|(path, bytes)| (path.as_str(), &**bytes));
    let bytes = web::zip(entries, &FOLDERS)?;
    let now = bson::DateTime::from_millis(cx.core.clock().now_ms());
    let digits: String = now
        .try_to_rfc3339_string()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let name = format!("{}_{digits}.zip", app.record().name);
    Ok(Answer::file("application/zip", &name, bytes))
}

async fn pull(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let accepted = request.header("accept").unwrap_or_default();
    let wanted = accepted.split(',').find_map(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match kind {
            "application/zip" => Some(true),
            "application/json" | "application/*" | "*/*" => Some(false),
            _ => None,
        }
    });
    if wanted == Some(true) {
        let how = Export {
            layout: RootLayout::Root,
            template: false,
            ids: false,
            deployment: None,
        };
        return archive(&cx, &how).await;
    }
    let document = cx.app()?.pull_document(&cx.administrator()?.id).await?;
    Ok(Answer::ok(&document))
}

/// The document of a body that must have one.
fn document(request: &Request, what: &str) -> Result<Value, Problem> {
    let document = body::document(request)?;
    if document
        .as_object()
        .is_some_and(|fields| !fields.is_empty())
    {
        return Ok(document);
    }
    Err(Problem::bad_request(format!(
        "{what} needs a configuration"
    )))
}

/// Replaces everything, or says every problem and changes nothing.
async fn push(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let document = document(&request, "a push")?;
    cx.app()?
        .push_document(&document, &cx.author(&request)?)
        .await?;
    Ok(Answer::no_content())
}

/// Imports a document, or says what that would change.
async fn import(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let strategy = match request.query_value("strategy").unwrap_or_default().as_str() {
        "" | "merge" => Strategy::Merge,
        "replace" => Strategy::Replace,
        "replace-by-name" => Strategy::ReplaceByName,
        other => {
            return Err(Problem::invalid_parameter(format!(
                "'strategy' must be merge, replace or replace-by-name, not '{other}'"
            )));
        }
    };
    let document = document(&request, "an import")?;
    let app = cx.app()?;
    let author = cx.author(&request)?;
    if flag(&request, "diff") {
        let diff = app
            .import_diff(&document, strategy, &author.user_id)
            .await?;
        return Ok(Answer::ok(&json!(diff)));
    }
    app.import(&document, strategy, &author).await?;
    Ok(Answer::no_content())
}
