//! Where custom user data lies (admin-api.md §2.14, #117 and #118). Files name
//! service and function; the Admin API has their ids.

use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Reference, merge_single, single};
use crate::{Cx, Row, body, resource, row};

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
const FIELDS: &[&str] = config::fields(Kind::CustomUserData);
const REFERENCES: [Reference; 2] = [
    Reference {
        kind: Kind::DataSource,
        id: "mongo_service_id",
        name: "mongo_service_name",
    },
    Reference {
        kind: Kind::Function,
        id: "on_user_creation_function_id",
        name: "on_user_creation_function_name",
    },
];

async fn get(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let mut shown = single(seen.config(), Kind::CustomUserData);
    shown.entry("enabled").or_insert(json!(false));
    for name in ["database_name", "collection_name", "user_id_field"] {
        shown.entry(name).or_insert(json!(""));
    }
    shown
        .entry("mongo_service_id")
        .or_insert(json!(resource::NO_ID));
    let mut shown = Value::Object(shown);
    for reference in &REFERENCES {
        reference.show(&seen, &mut shown);
    }
    Ok(Answer::ok(&shown))
}

/// Merges the body into what there is.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let mut fields = body::object(&request)?;
    let seen = cx.seen().await?;
    for reference in &REFERENCES {
        reference.read(&seen, &mut fields)?;
    }
    fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    merge_single(&cx, &request, Kind::CustomUserData, &fields).await
}
