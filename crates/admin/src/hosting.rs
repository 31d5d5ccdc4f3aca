//! Hosting's configuration (admin-api.md §2.16, #145 and #146).

use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::merge_single;
use crate::{Cx, Row, body, row};

const CONFIG: &str = "/groups/{groupId}/apps/{appId}/hosting/config";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetHostingConfig",
        Method::GET,
        CONFIG,
        Read,
        |cx, r| Box::pin(get(cx, r)),
    ),
    row(
        "adminEnableDisableHosting",
        Method::PATCH,
        CONFIG,
        Write,
        |cx, r| Box::pin(patch(cx, r)),
    ),
];

const FIELDS: &[&str] = &[
    "enabled",
    "custom_domain",
    "default_error_path",
    "default_error_code",
    "default_response_code",
];

/// What of a custom domain is there now.
const DOMAIN_LATER: &str = "custom domains: not supported yet; the domain is kept and exported, and files are \
                            served at the default domain alone";

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let node = seen.config().get(Kind::Hosting, "");
    let mut shown: Map<String, Value> = FIELDS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), node?.json.get(*name)?.clone())))
        .collect();
    shown.entry("enabled").or_insert(json!(false));
    shown.insert("status".to_owned(), json!("setup_ok"));
    let domain = shown.get("custom_domain").and_then(Value::as_str);
    if domain.is_some_and(|domain| !domain.is_empty()) {
        // Hosting itself is in order.
        shown.insert("status_error_message".to_owned(), json!(DOMAIN_LATER));
    }
    let path = format!("/app/{}/hosting/", cx.app()?.client_app_id);
    shown.insert(
        "default_domain".to_owned(),
        json!({ "provider_type": "backstitch", "config": { "app_default_domain": path } }),
    );
    Ok(Answer::ok(&Value::Object(shown)))
}

/// Merges the body into what there is.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let mut fields = body::object(&request)?;
    fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    merge_single(&cx, &request, Kind::Hosting, &fields).await
}
