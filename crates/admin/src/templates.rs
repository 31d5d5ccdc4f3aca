//! Templates to make apps from, and the clients that come with them
//! (admin-api.md §3.2).

use app::{TEMPLATES, Template};
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Administrator, Read};
use web::{Answer, Request};

use crate::{Cx, Row, row};

const EVERY: &str = "/templates";
const OF_APP: &str = "/groups/{groupId}/apps/{appId}/templates";
const CLIENT: &str = "/groups/{groupId}/apps/{appId}/templates/{templateId}/client";

pub(crate) const ROWS: &[Row] = &[
    row(
        "listTemplates",
        Method::GET,
        EVERY,
        Administrator,
        |_, _| Box::pin(async { Ok(Answer::ok(&TEMPLATES.iter().map(show).collect())) }),
    ),
    row("listAppTemplates", Method::GET, OF_APP, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("getTemplateClient", Method::GET, CLIENT, Read, |cx, r| {
        Box::pin(client(cx, r))
    }),
];

fn show(template: &Template) -> Value {
    json!({ "id": template.id, "name": template.name })
}

/// The template that the app was made from. A client takes a 400 for an app
/// that was made from none.
fn of_app(cx: &Cx) -> Result<&'static Template, Problem> {
    let id = &cx.app()?.record().template_id;
    if id.is_empty() {
        return Err(Problem::bad_request("the app was not made from a template"));
    }
    Template::of(id)
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!([show(of_app(&cx)?)])))
}

async fn client(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let wanted = Template::of(request.parameter("templateId"))?;
    let template = of_app(&cx)?;
    if wanted.id != template.id {
        return Err(Problem::bad_request(format!(
            "the app was made from the template '{}'",
            template.id
        )));
    }
    let Some(files) = template.client(cx.app()?, &cx.base_url) else {
        return Ok(Answer::no_content());
    };
    let entries = files.0.iter();
    let bytes = web::zip(entries.map(|(path, bytes)| (path.as_str(), &**bytes)), &[])?;
    let name = format!("{}.zip", template.id);
    Ok(Answer::file("application/zip", &name, bytes))
}
