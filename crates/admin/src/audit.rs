//! The record of what administrators changed, for the operator. No part of the
//! service's Admin API.

use app::audit::AuditQuery;
use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use state::AuditEntry;
use web::Scope::Administrator;
use web::{Answer, Request};

use crate::{Cx, Row, date, row};

pub(crate) const ROWS: &[Row] = &[row(
    "listChanges",
    Method::GET,
    "/audit",
    Administrator,
    |cx, r| Box::pin(list(cx, r)),
)];

/// Records of one answer, unless fewer are asked for.
const PAGE: u64 = 100;
/// The most of one answer.
const PAGE_MAX: u64 = 1000;

fn show(entry: &AuditEntry) -> Value {
    let status = (entry.status != 0).then_some(entry.status);
    let mut shown = json!({
        "_id": entry.id, "at": date(entry.at), "administrator_id": entry.administrator_id,
        "administrator": entry.administrator, "provider": entry.provider,
        "operation": entry.operation, "group_id": entry.project_id, "app_id": entry.app_id,
        "resource": entry.resource, "made": entry.made, "origin": entry.origin,
        "address": entry.address, "request_id": entry.request_id, "status": status,
        "error_code": entry.error_code, "interrupted": entry.interrupted,
    });
    if let Some(changed) = &entry.changed {
        shown["changed"] = json!(changed);
    }
    shown
}

/// A time of the query, in milliseconds.
fn time(request: &Request, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = request.query_value(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = bson::DateTime::parse_rfc3339_str(&text).map_err(|_| {
        Problem::invalid_parameter(format!(
            "'{name}' must be a time such as 2024-01-31T00:00:00Z"
        ))
    })?;
    Ok(Some(time.timestamp_millis()))
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    cx.operator()?;
    let text = |name| request.query_value(name).filter(|text| !text.is_empty());
    let limit = request.query_number("limit")?.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid_parameter(format!(
            "'limit' must be 1 to {PAGE_MAX}"
        )));
    }
    let skip = request.query_number("skip")?.unwrap_or(0);
    if i64::try_from(skip).is_err() {
        return Err(Problem::invalid_parameter("'skip' is too large"));
    }
    let query = AuditQuery {
        project_id: text("group_id"),
        app_id: text("app_id"),
        administrator: text("administrator"),
        operation: text("operation"),
        since: time(&request, "start_date")?,
        until: time(&request, "end_date")?,
        skip,
        limit,
    };
    let changes = cx.core.changes(&query).await?;
    Ok(Answer::ok(&changes.iter().map(show).collect()))
}
