//! Logs of an app (admin-api.md §2.13, #103).

use app::{App, LogEntry, LogQuery};
use axum::http::Method;
use bson::{Bson, DateTime};
use config::Kind;
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::Read;
use web::{Answer, Request};

use crate::{Cx, Row, date, row};

const PATH: &str = "/groups/{groupId}/apps/{appId}/logs";

pub(crate) const ROWS: &[Row] = &[row("adminGetLogs", Method::GET, PATH, Read, |cx, r| {
    Box::pin(list(cx, r))
})];

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let time = |name: &str| match request.query_value(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => DateTime::parse_rfc3339_str(&text)
            .map(|time| Some(time.timestamp_millis()))
            .map_err(|_| {
                Problem::invalid_parameter(format!("'{name}' must be a date in ISO 8601"))
            }),
    };
    let query = LogQuery {
        co_id: request.query_value("co_id").filter(|id| !id.is_empty()),
        user_id: request.query_value("user_id").filter(|id| !id.is_empty()),
        // Its presence counts, whatever it says.
        errors_only: request.query_value("errors_only").is_some(),
        kinds: request.query_list("type"),
        after: time("start_date")?,
        to: time("end_date")?,
        skip: request.query_number("skip")?.unwrap_or(0),
        limit: request.query_number("limit")?.unwrap_or(0),
    };
    let (entries, more) = cx.core.logbook.read(&app.id, &query).await?;
    let mut shown =
        json!({ "logs": entries.iter().map(|entry| show(app, entry)).collect::<Vec<_>>() });
    if let (true, Some(last)) = (more, entries.last()) {
        // The next page ends with the entries of the same moment; those that
        // were on this page are passed over.
        let same = entries
            .iter()
            .rev()
            .take_while(|e| e.started == last.started)
            .count() as u64;
        let earlier = if same == entries.len() as u64 && query.to == Some(last.started) {
            query.skip
        } else {
            0
        };
        shown["nextEndDate"] = json!(date(last.started));
        shown["nextSkip"] = json!(same + earlier);
    }
    Ok(Answer::ok(&shown))
}

fn show(app: &App, entry: &LogEntry) -> Value {
    let mut shown = json!({
        "_id": entry.id, "co_id": entry.co_id, "type": entry.kind, "domain_id": app.domain_id,
        "app_id": entry.app_id, "group_id": app.project_id, "started": date(entry.started),
        "completed": date(entry.completed),
    });
    for (name, text) in [
        ("user_id", &entry.user_id),
        ("error", &entry.error),
        ("error_code", &entry.error_code),
    ] {
        if !text.is_empty() {
            shown[name] = json!(text);
        }
    }
    if let Ok(name) = entry.details.get_str("function_name") {
        // What was called: a function, or an action of a service.
        shown["function_call"] = json!({ "name": name });
        if !entry.details.contains_key("service")
            && let Some(id) = app.node_id(Kind::Function, name)
        {
            shown["function_id"] = json!(id);
        }
        let release = app.release();
        if let Some(root) = release.config.get(Kind::Root, "") {
            shown["function_call_location"] = json!(root.text("location"));
            shown["function_call_provider_region"] = json!(root.text("provider_region"));
        }
    }
    for (name, value) in &entry.details {
        let value = Bson::clone(value).into_relaxed_extjson();
        match name.as_str() {
            "arguments" | "service" => shown["function_call"][name.as_str()] = value,
            other => shown[other] = value,
        }
    }
    shown
}
