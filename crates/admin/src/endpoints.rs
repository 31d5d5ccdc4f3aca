//! HTTPS endpoints (admin-api.md §2.19, #159–#163).

use app::Seen;
use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, FUNCTION, Resource, create_of, delete, get_of, listed, replace_of};
use crate::{Cx, Row, body, row, secrets};

const ALL: &str = "/groups/{groupId}/apps/{appId}/endpoints";
const ONE: &str = "/groups/{groupId}/apps/{appId}/endpoints/{endpointId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminGetAllEndpoints", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list_all(cx, r))
    }),
    row("adminCreateEndpoint", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetEndpoint", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get_one(cx, r))
    }),
    row("adminModifyEndpoint", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace(cx, r))
    }),
    row(
        "adminDeleteEndpoint",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete::<Endpoint>(cx, r)),
    ),
];

/// What is off unless it is said to be on.
const FLAGS: [&str; 4] = [
    "respond_result",
    "fetch_custom_user_data",
    "create_user_on_auth",
    "disabled",
];

struct Endpoint;

impl Resource for Endpoint {
    const KIND: Kind = Kind::Endpoint;
    const ID: &'static str = "endpointId";
    const FIELDS: &'static [&'static str] = config::fields(Self::KIND);

    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        let method = body::text(fields, "http_method")?;
        let route = body::text(fields, "route")?;
        Ok(config::endpoint_key(method, route))
    }

    fn complete(seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        FUNCTION.read(seen, fields)?;
        fields
            .entry("validation_method")
            .or_insert(json!("NO_VALIDATION"));
        for flag in FLAGS {
            fields.entry(flag).or_insert(json!(false));
        }
        Ok(())
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        FUNCTION.show(entry.seen, &mut shown);
        // Files leave these out.
        if let Some(fields) = shown.as_object_mut() {
            for flag in FLAGS {
                fields.entry(flag).or_insert(json!(false));
            }
            fields
                .entry("validation_method")
                .or_insert(json!("NO_VALIDATION"));
            fields.entry("return_type").or_insert(json!("JSON"));
        }
        shown["last_modified"] = json!(entry.modified);
        shown
    }
}

async fn list_all(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let mut shown = listed::<Endpoint>(&cx.seen().await?);
    secrets::show_ids(cx.app()?, &mut shown).await?;
    Ok(Answer::ok(&Value::Array(shown)))
}

async fn get_one(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let entry = get_of::<Endpoint>(&cx.seen().await?, &request)?;
    Ok(Answer::ok(&shown(&cx, entry).await?))
}

/// An endpoint with the id of its secret.
async fn shown(cx: &Cx, entry: Value) -> Result<Value, Problem> {
    let mut entries = [entry];
    secrets::show_ids(cx.app()?, &mut entries).await?;
    let [entry] = entries;
    Ok(entry)
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let mut fields = body::object(&request)?;
    secrets::name_of(cx.app()?, &mut fields).await?;
    let entry = create_of::<Endpoint>(&cx, &request, &fields).await?;
    Ok(Answer::created(&shown(&cx, entry).await?))
}

async fn replace(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let mut fields = body::object(&request)?;
    secrets::name_of(cx.app()?, &mut fields).await?;
    let entry = replace_of::<Endpoint>(&cx, &request, fields).await?;
    Ok(Answer::ok(&shown(&cx, entry).await?))
}
