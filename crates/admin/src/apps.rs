//! Apps of a project (admin-api.md §2.2, #7–#10).

use app::NewApp;
use axum::http::Method;
use config::{AppConfig, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, regions, row};

const ALL: &str = "/groups/{groupId}/apps";
const ONE: &str = "/groups/{groupId}/apps/{appId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminListApplications", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row(
        "adminCreateApplication",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row("adminGetApplication", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row(
        "adminDeleteApplication",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete(cx, r)),
    ),
];

const NAME_CHARS_MAX: usize = 32;
const STANDARD: &str = "standard";
pub(crate) async fn show(cx: &Cx, app: &state::App) -> Result<Value, Problem> {
    let loaded = cx.core.app(&app.id).await?;
    let release = loaded.release();
    let root = release.config.get(Kind::Root, "");
    let text = |name: &str| root.map_or("", |root| root.text(name)).to_owned();
    let modified = loaded.last_modified().await?;
    Ok(json!({
        "_id": app.id, "client_app_id": app.client_app_id, "name": app.name,
        "location": text("location"), "provider_region": text("provider_region"),
        "deployment_model": text("deployment_model"), "domain_id": app.domain_id,
        "group_id": app.project_id, "last_used": loaded.last_used().await?.unwrap_or(modified) / 1000,
        "last_modified": modified / 1000, "product": app.product, "environment": text("environment"),
    }))
}

/// Without a product, those of the product `standard`: clients ask for each.
async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let wanted: Vec<String> = request.query_values("product").collect();
    let mut shown = Vec::new();
    for app in cx.core.apps(request.parameter("groupId")).await? {
        let fits = if wanted.is_empty() {
            app.product == STANDARD
        } else {
            wanted.contains(&app.product)
        };
        if fits {
            shown.push(show(&cx, &app).await?);
        }
    }
    Ok(Answer::ok(&Value::Array(shown)))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let name = body::text(&fields, "name")?;
    let new = NewApp {
        name: checked(name)?.to_owned(),
        client_app_id: None,
        product: request.query_value("product").unwrap_or_default(),
        config: Some(configuration(name, &fields)?),
    };
    let author = cx.author(&request)?;
    let app = cx
        .core
        .create_app(request.parameter("groupId"), new, &author)
        .await?;
    let record = app.record();
    Ok(Answer::created(&show(&cx, &record).await?))
}

fn checked(name: &str) -> Result<&str, Problem> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && name.len() <= NAME_CHARS_MAX {
        return Ok(name);
    }
    Err(Problem::bad_request(format!(
        "app names begin with a letter and have at most {NAME_CHARS_MAX} characters"
    )))
}

/// A new app's configuration: what the body says of place and environment, and
/// the data source that it brings along.
fn configuration(name: &str, fields: &Map<String, Value>) -> Result<AppConfig, Problem> {
    if fields
        .get("template_id")
        .is_some_and(|id| !id.is_null() && *id != json!(""))
    {
        return Err(Problem::bad_request(
            "there are no templates on this server",
        ));
    }
    let mut config = AppConfig::new(name);
    let mut root = config
        .get(Kind::Root, "")
        .map_or_else(Node::default, |root| Node::clone(root));
    let text = |name: &str| body::optional_text(fields, name).map(Option::unwrap_or_default);
    let (region, location) = (text("provider_region")?, text("location")?);
    if !region.is_empty() || !location.is_empty() {
        let region = regions::region(region, location)?;
        root.json["provider_region"] = json!(region.id);
        root.json["location"] = json!(region.location);
    }
    for name in ["deployment_model", "environment"] {
        if !text(name)?.is_empty() {
            root.json[name] = json!(text(name)?);
        }
    }
    config
        .set(Kind::Root, "", root)
        .map_err(|error| app::refused(&error))?;
    if let Some(source) = fields.get("data_source").filter(|source| !source.is_null()) {
        let name = source
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        config
            .insert(Kind::DataSource, name, Node::new(source.clone()))
            .map_err(|error| app::refused(&error))?;
    }
    Ok(config)
}

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    Ok(Answer::ok(&show(&cx, &record).await?))
}

async fn delete(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    cx.core.delete_app(cx.app()?).await?;
    Ok(Answer::no_content())
}
