//! Where custom user data lies (admin-api.md §2.14, #117 and #118). Files name
//! service and function; the Admin API has their ids.

use app::App;
use axum::http::Method;
use config::{Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::edit;
use crate::{Cx, Row, body, row};

const PATH: &str = "/groups/{groupId}/apps/{appId}/custom_user_data";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetCustomUserDataConfig",
        Method::GET,
        PATH,
        Read,
        |cx, r| Box::pin(get(cx, r)),
    ),
    row(
        "adminSetCustomUserDataConfig",
        Method::PATCH,
        PATH,
        Write,
        |cx, r| Box::pin(patch(cx, r)),
    ),
];

/// Fields that are the same in both forms.
const FIELDS: &[&str] = &[
    "enabled",
    "mongo_service_name",
    "database_name",
    "collection_name",
    "user_id_field",
    "on_user_creation_function_name",
];
/// References: kind, the field with the id, the field with the name.
const REFERENCES: [(Kind, &str, &str); 2] = [
    (Kind::DataSource, "mongo_service_id", "mongo_service_name"),
    (
        Kind::Function,
        "on_user_creation_function_id",
        "on_user_creation_function_name",
    ),
];

fn current(app: &App) -> Map<String, Value> {
    let release = app.release();
    let node = release.config.get(Kind::CustomUserData, "");
    node.and_then(|node| node.fields().cloned())
        .unwrap_or_default()
}

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let mut shown = current(app);
    shown.entry("enabled").or_insert(json!(false));
    for (kind, id, name) in REFERENCES {
        let known = shown
            .get(name)
            .and_then(Value::as_str)
            .and_then(|name| app.node_id(kind, name));
        if let Some(known) = known {
            shown.insert(id.to_owned(), json!(known));
        }
    }
    Ok(Answer::ok(&Value::Object(shown)))
}

/// Merges the body into what there is.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let mut fields = body::object(&request)?;
    for (kind, id, name) in REFERENCES {
        let given = fields.shift_remove(id);
        let given = given.as_ref().and_then(Value::as_str).unwrap_or_default();
        if !given.is_empty() {
            let key = app.node_key(kind, given).ok_or_else(|| {
                Problem::bad_request(format!("there is no {} '{given}'", kind.noun()))
            })?;
            fields.insert(name.to_owned(), json!(key));
        }
    }
    fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    edit(app, &cx.author(&request)?, |config| {
        let before = config.get(Kind::CustomUserData, "");
        let mut merged = before
            .and_then(|node| node.fields().cloned())
            .unwrap_or_default();
        merged.extend(fields.clone());
        config.set(Kind::CustomUserData, "", Node::new(Value::Object(merged)))
    })
    .await?;
    Ok(Answer::no_content())
}
