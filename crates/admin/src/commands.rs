//! Commands of data sources (admin-api.md §2.6 and §3.6, #32–#34 and #46).
//!
//! The service documents none of the answers of `list_databases` and
//! `list_collections`: here they are lists of objects with a `name`.

use app::Validation;
use app::commands::Source;
use app::data::Namespace;
use axum::http::Method;
use bson::{Bson, Document};
use config::Kind as Node;
use kit::{Kind, Problem};
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::services::Service;
use crate::{Cx, Row, info, row};

const COMMAND: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/commands/{commandName}";
const BUILD_INFO: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/commands/build_info";
const GENERATE: &str =
    "/groups/{groupId}/apps/{appId}/services/{serviceId}/commands/generate_schema";
const VALIDATE: &str =
    "/groups/{groupId}/apps/{appId}/services/{serviceId}/commands/validate_documents";

pub(crate) const ROWS: &[Row] = &[
    row("adminRunCommand", Method::POST, COMMAND, Write, |cx, r| {
        Box::pin(run(cx, r))
    }),
    row("getBuildInfo", Method::GET, BUILD_INFO, Read, |cx, r| {
        Box::pin(build_info(cx, r))
    }),
    row(
        "adminGenerateSchema",
        Method::POST,
        GENERATE,
        Write,
        |cx, r| Box::pin(generate(cx, r)),
    ),
    row(
        "adminValidateDocuments",
        Method::POST,
        VALIDATE,
        Write,
        |cx, r| Box::pin(validate(cx, r)),
    ),
];

/// How many documents are validated unless a body says.
const VALIDATED: u64 = 10_000;

fn unknown(command: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "ServiceCommandNotFound",
        format!("command not found: '{command}'"),
    )
}

/// The data source of the path. Other services have no commands.
async fn source<'c>(cx: &'c Cx, request: &Request, command: &str) -> Result<Source<'c>, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, request)?;
    if service.kind != Node::DataSource {
        return Err(unknown(command));
    }
    cx.app()?.source(&seen, &service.name)
}

async fn run(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let command = request.parameter("commandName");
    let source = source(&cx, &request, command).await?;
    let fields = request.ejson()?;
    let named = |names: Vec<String>| {
        let names = names.into_iter().map(|name| json!({ "name": name }));
        Answer::ok(&names.collect())
    };
    match command {
        "list_databases" => Ok(named(source.databases().await?)),
        "list_collections" => {
            let database = text(&fields, "database_name")?;
            Ok(named(source.collections(&database).await?))
        }
        other => Err(unknown(other)),
    }
}

async fn build_info(cx: Cx, request: Request) -> Result<Answer, Problem> {
    const SHOWN: [&str; 7] = [
        "version",
        "gitVersion",
        "versionArray",
        "javascriptEngine",
        "bits",
        "debug",
        "maxBsonObjectSize",
    ];
    let source = source(&cx, &request, "build_info").await?;
    let told = source.build_info().await?;
    let known = SHOWN.iter().filter_map(|name| {
        let value = told.get(name)?.clone().into_relaxed_extjson();
        Some(((*name).to_owned(), value))
    });
    Ok(Answer::ok(&Value::Object(known.collect())))
}

async fn generate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let source = source(&cx, &request, "generate_schema").await?;
    let fields = request.ejson()?;
    let sample = number(&fields, "limit")?
        .ok_or_else(|| Problem::missing_parameter("'limit' is a required number"))?;
    let service_id = request.parameter("serviceId");
    let schema = source
        .infer_schema(service_id, &namespace(&fields)?, sample, &info(&request))
        .await?;
    let schema = Bson::Document(schema).into_relaxed_extjson();
    Ok(Answer::ok(&json!({ "schema": schema })))
}

async fn validate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let source = source(&cx, &request, "validate_documents").await?;
    let fields = request.ejson()?;
    let asked = Validation {
        namespace: namespace(&fields)?,
        schema: document(&fields, "from_schema")?
            .ok_or_else(|| Problem::missing_parameter("'from_schema' is a required object"))?,
        query: document(&fields, "query")?.unwrap_or_default(),
        sort: document(&fields, "sort")?.unwrap_or_default(),
        limit: number(&fields, "limit")?.unwrap_or(VALIDATED),
    };
    let service_id = request.parameter("serviceId");
    let found = source.validate(service_id, &asked, &info(&request)).await?;
    let errors: Vec<Value> = found
        .kinds
        .into_iter()
        .map(|kind| {
            let ids: Vec<Value> = kind.ids.iter().map(id_text).map(Value::from).collect();
            let query = bson::doc! { "_id": { "$in": kind.ids } };
            json!({
                "error_code": kind.code, "error_count": kind.count, "field": kind.field,
                "failed_ids": ids,
                "failed_documents_query": Bson::Document(query).into_relaxed_extjson(),
            })
        })
        .collect();
    Ok(Answer::ok(&json!({
        "errors": errors, "total_processed_count": found.processed,
        "total_error_count": found.errors,
    })))
}

/// An `_id` as a text: an object id's digits, a text itself, else its JSON.
fn id_text(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => other.clone().into_relaxed_extjson().to_string(),
    }
}

fn namespace(fields: &Document) -> Result<Namespace, Problem> {
    Ok(Namespace {
        database: text(fields, "database_name")?,
        collection: text(fields, "collection_name")?,
    })
}

fn text(fields: &Document, name: &str) -> Result<String, Problem> {
    match fields.get(name) {
        Some(Bson::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Bson::Null) => Err(Problem::missing_parameter(format!(
            "'{name}' is a required string"
        ))),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be a string"
        ))),
    }
}

fn document(fields: &Document, name: &str) -> Result<Option<Document>, Problem> {
    match fields.get(name) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::Document(document)) => Ok(Some(document.clone())),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be an object"
        ))),
    }
}

fn number(fields: &Document, name: &str) -> Result<Option<u64>, Problem> {
    let number = match fields.get(name) {
        None | Some(Bson::Null) => return Ok(None),
        Some(Bson::Int32(number)) => u64::try_from(*number).ok(),
        Some(Bson::Int64(number)) => u64::try_from(*number).ok(),
        Some(Bson::Double(number)) if number.fract() == 0.0 && *number >= 0.0 => {
            Some(*number as u64)
        }
        Some(_) => None,
    };
    number
        .map(Some)
        .ok_or_else(|| Problem::invalid_parameter(format!("'{name}' must be a whole number")))
}
