//! Running a function, or a source that is none yet, and seeing everything
//! (admin-api.md §2.10, #78 and #79).

use app::Cx as Call;
use axum::http::{Method, StatusCode};
use bson::{Bson, Document, RawBson};
use kit::Problem;
use serde_json::{Value, json};
use web::Scope::Write;
use web::{Answer, Request};

use crate::{Cx, Row, info, row};

const RUN: &str = "/groups/{groupId}/apps/{appId}/debug/execute_function";
const RUN_SOURCE: &str = "/groups/{groupId}/apps/{appId}/debug/execute_function_source";

pub(crate) const ROWS: &[Row] = &[
    row("adminExecuteFunction", Method::POST, RUN, Write, |cx, r| {
        Box::pin(run(cx, r))
    }),
    row(
        "adminExecuteFunctionSource",
        Method::POST,
        RUN_SOURCE,
        Write,
        |cx, r| Box::pin(run_source(cx, r)),
    ),
];

/// The call's context: as a user, or as the system.
async fn call(cx: &Cx, request: &Request) -> Result<Call, Problem> {
    let app = cx.app()?;
    let info = info(request);
    let system = request.query_value("run_as_system").as_deref() == Some("true");
    match request.query_value("user_id").filter(|id| !id.is_empty()) {
        Some(_) if system => Err(Problem::bad_request(
            "a function runs as a user or as the system, not both",
        )),
        Some(id) => Ok(Call::of_user(app, app.acting_user(&id).await?, info)),
        None if system => Ok(Call::of_system(app, info)),
        None => Err(Problem::missing_parameter(
            "'user_id' or 'run_as_system=true' is required",
        )),
    }
}

async fn run(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let call = call(&cx, &request).await?;
    let mut fields = request.ejson()?;
    let name = text(&fields, "name")?;
    let arguments = web::arguments(&mut fields)?;
    let service = match fields.get("service") {
        None | Some(Bson::Null) => "",
        Some(Bson::String(service)) => service,
        Some(_) => return Err(Problem::invalid_parameter("'service' must be a string")),
    };
    if !service.is_empty() {
        let argument = web::action_argument(arguments)?;
        let result = call.data(service, &name, &argument).await;
        return Ok(answer(result, &[], &[], "", 0));
    }
    let run = cx
        .app()?
        .debug_run(&call, &name, None, None, arguments)
        .await?;
    Ok(shown(run))
}

async fn run_source(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let call = call(&cx, &request).await?;
    let fields = request.ejson()?;
    let source = text(&fields, "source")?;
    let evaluate = match fields.get("eval_source") {
        None | Some(Bson::Null) => None,
        Some(Bson::String(evaluate)) if evaluate.is_empty() => None,
        Some(Bson::String(evaluate)) => Some(evaluate.clone()),
        Some(_) => return Err(Problem::invalid_parameter("'eval_source' must be a string")),
    };
    let run = cx
        .app()?
        .debug_run(&call, "", Some(&source), evaluate, Vec::new())
        .await?;
    Ok(shown(run))
}

pub(crate) fn text(fields: &Document, name: &str) -> Result<String, Problem> {
    match fields.get(name) {
        Some(Bson::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Problem::missing_parameter(format!(
            "'{name}' is a required string"
        ))),
    }
}

fn shown(run: app::DebugRun) -> Answer {
    let result = run
        .result
        .and_then(|value| RawBson::try_from(value).map_err(Problem::internal));
    answer(result, &run.logs, &run.error_logs, &run.stack, run.time_us)
}

/// A function that failed is an answer, not a failed request.
fn answer(
    result: Result<RawBson, Problem>,
    logs: &[String],
    error_logs: &[String],
    stack: &str,
    time_us: u64,
) -> Answer {
    let mut rest = json!({
        "logs": logs, "error_logs": error_logs,
        "stats": { "execution_time": format!("{}ms", time_us as f64 / 1000.0) },
    });
    let mut body = b"{\"result\":".to_vec();
    match result {
        Ok(value) => kit::ejson::canonical(value.as_raw_bson_ref(), &mut body),
        Err(problem) => {
            body.extend(b"null");
            rest["error"] = json!(problem.message);
            rest["error_code"] = json!(problem.code);
            if !stack.is_empty() {
                rest["stack"] = json!(stack);
            }
        }
    }
    let rest = Value::to_string(&rest);
    body.push(b',');
    body.extend(&rest.as_bytes()[1..]);
    Answer::bytes(StatusCode::OK, "application/json", body)
}
