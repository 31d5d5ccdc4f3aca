//! The Data API's configuration (admin-api.md §2.19, #164–#167).

use axum::http::Method;
use config::{Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{edit, merge_single};
use crate::{Cx, Row, body, row};

const CONFIG: &str = "/groups/{groupId}/apps/{appId}/data_api/config";
const VERSIONS: &str = "/groups/{groupId}/apps/{appId}/data_api/versions";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetDataApiConfig",
        Method::GET,
        CONFIG,
        Read,
        |cx, r| Box::pin(get(cx, r)),
    ),
    row(
        "adminCreateDataApiConfig",
        Method::POST,
        CONFIG,
        Write,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row(
        "adminModifyDataApiConfig",
        Method::PATCH,
        CONFIG,
        Write,
        |cx, r| Box::pin(patch(cx, r)),
    ),
    row(
        "adminGetDataApiVersions",
        Method::GET,
        VERSIONS,
        Read,
        |_, _| Box::pin(async { Ok(Answer::ok(&json!(["v1"]))) }),
    ),
];

const FIELDS: &[&str] = &[
    "disabled",
    "versions",
    "return_type",
    "create_user_on_auth",
    "fetch_custom_user_data",
    "run_as_system",
    "run_as_user_id",
    "run_as_user_id_script_source",
    "validation_method",
    "secret_name",
    "can_evaluate",
    "log_function_arguments",
];

fn missing() -> Problem {
    Problem::new(
        kit::Kind::NotFound,
        "DataAPIConfigNotFound",
        "the app has no data API configuration",
    )
}

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let node = seen.config().get(Kind::DataApi, "").ok_or_else(missing)?;
    let mut shown = defaults();
    shown.extend(node.fields().cloned().unwrap_or_default());
    Ok(Answer::ok(&Value::Object(shown)))
}

/// What files say of it whether it was said or not.
fn defaults() -> Map<String, Value> {
    let defaults = json!({
        "disabled": false, "versions": ["v1"], "return_type": "JSON", "create_user_on_auth": false,
        "fetch_custom_user_data": false, "run_as_user_id": "", "run_as_user_id_script_source": "",
        "validation_method": "NO_VALIDATION", "secret_name": "", "log_function_arguments": false,
    });
    defaults.as_object().cloned().unwrap_or_default()
}

fn known(fields: Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| FIELDS.contains(&name);
    fields.into_iter().filter(|(name, _)| known(name)).collect()
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let mut fields = defaults();
    fields.extend(known(body::object(&request)?));
    let node = Node::new(Value::Object(fields));
    edit(cx.app()?, &cx.author(&request)?, |config| {
        config.insert(Kind::DataApi, "", node.clone())
    })
    .await?;
    Ok(Answer::created(&node.json))
}

/// Merges the body into what there is.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = known(body::object(&request)?);
    if cx.seen().await?.config().get(Kind::DataApi, "").is_none() {
        return Err(missing());
    }
    merge_single(&cx, &request, Kind::DataApi, &fields).await
}
