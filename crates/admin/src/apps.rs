//! Apps of a project (admin-api.md §2.2, #7–#10).

use app::{NewApp, Template};
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
const PRODUCTS: [&str; 4] = [STANDARD, "atlas", "data-api", "device-sync"];

/// An app as answers show it.
pub(crate) async fn show(cx: &Cx, app: &state::App) -> Result<Value, Problem> {
    let loaded = cx.core.app(&app.id).await?;
    let release = loaded.release();
    let root = release.config.get(Kind::Root, "");
    let text = |name: &str| root.map_or("", |root| root.text(name)).to_owned();
    let modified = loaded.last_modified().await?;
    let mut shown = json!({
        "_id": app.id, "client_app_id": app.client_app_id, "name": app.name,
        "location": text("location"), "provider_region": text("provider_region"),
        "deployment_model": text("deployment_model"), "domain_id": app.domain_id,
        "group_id": app.project_id, "last_used": loaded.last_used().await?.unwrap_or(modified) / 1000,
        "last_modified": modified / 1000, "product": app.product, "environment": text("environment"),
    });
    if !app.template_id.is_empty() {
        shown["template_id"] = json!(app.template_id);
    }
    Ok(shown)
}

/// Without a product, those of the product `standard`: clients ask for each.
async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let wanted = request.query_list("product");
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
    let product = request.query_value("product").unwrap_or_default();
    if !product.is_empty() && !PRODUCTS.contains(&product.as_str()) {
        return Err(Problem::invalid_parameter(format!(
            "'product' must be one of {}",
            PRODUCTS.join(", ")
        )));
    }
    let defaults = request.query_value("defaults").as_deref() == Some("true");
    let template = body::optional_text(&fields, "template_id")?.unwrap_or_default();
    let new = NewApp {
        name: checked(name)?.to_owned(),
        client_app_id: None,
        product,
        config: Some(configuration(name, &fields, defaults)?),
        template_id: template.to_owned(),
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

/// A new app's configuration: what the body says of place, environment, sync
/// and GraphQL, and the data source that it brings along. A default application
/// and one of a template have a data source if the body has none.
fn configuration(
    name: &str,
    fields: &Map<String, Value>,
    defaults: bool,
) -> Result<AppConfig, Problem> {
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
    let refused = |error| app::refused(&error);
    let template = text("template_id")?;
    let source = fields.get("data_source").filter(|source| !source.is_null());
    if template.is_empty() {
        config.set(Kind::Root, "", root).map_err(refused)?;
        let source = source.cloned().or_else(|| defaults.then(default_source));
        if let Some(source) = source {
            let name = source.get("name").and_then(Value::as_str);
            let name = name.unwrap_or_default().to_owned();
            config
                .insert(Kind::DataSource, &name, Node::new(source))
                .map_err(refused)?;
        }
    } else {
        let template =
            Template::of(template).map_err(|problem| Problem::bad_request(problem.message))?;
        let source = source.cloned().unwrap_or_else(default_source);
        config = template.config(&root.json, &source)?;
    }
    for (section, field, kind) in [
        ("sync", "development_mode_enabled", Kind::Sync),
        ("graphql", "use_natural_pluralization", Kind::GraphqlConfig),
    ] {
        let said = body::optional_object(fields, section)?;
        if said.contains_key(field) {
            let node = json!({ field: body::flag(&said, field)? });
            config.set(kind, "", Node::new(node)).map_err(refused)?;
        }
    }
    Ok(config)
}

/// The data source of apps that bring none: the default cluster.
fn default_source() -> Value {
    json!({
        "name": "mongodb-atlas", "type": "mongodb-atlas",
        "config": {
            "clusterName": "Cluster0", "readPreference": "primary", "wireProtocolEnabled": false,
        },
        "version": 1,
    })
}

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    Ok(Answer::ok(&show(&cx, &record).await?))
}

async fn delete(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    cx.core.delete_app(cx.app()?).await?;
    Ok(Answer::no_content())
}
