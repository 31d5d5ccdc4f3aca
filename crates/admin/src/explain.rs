//! Why the rules allow or refuse a user's request. No part of the service's
//! Admin API, whose users asked for it.

use app::data::{Asked, Breach, Decision, Explanation, FilterAsked, Tested};
use app::{CallExplanation, Cx as Call, Explained};
use axum::http::Method;
use bson::{Bson, RawBson, RawDocumentBuf};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::Write;
use web::{Answer, Request};

use crate::debug::text;
use crate::{Cx, Row, info, row};

const EXPLAIN: &str = "/groups/{groupId}/apps/{appId}/debug/explain_request";

// It shows what documents hold, as running a function does.
pub(crate) const ROWS: &[Row] = &[row(
    "explainRequest",
    Method::POST,
    EXPLAIN,
    Write,
    |cx, r| Box::pin(explain(cx, r)),
)];

async fn explain(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let mut fields = request.ejson()?;
    let user = app.acting_user(&text(&fields, "user_id")?).await?;
    let call = Call::of_user(app, user, info(&request));
    let name = text(&fields, "name")?;
    let service = match fields.get("service") {
        None | Some(Bson::Null) => String::new(),
        Some(Bson::String(service)) => service.clone(),
        Some(_) => return Err(Problem::invalid_parameter("'service' must be a string")),
    };
    if service.is_empty() {
        return Ok(Answer::ok(&called(&call.explain_call(&name).await?)));
    }
    let argument = web::action_argument(web::arguments(&mut fields)?)?;
    Ok(Answer::ok(
        &match call.explain(&service, &name, &argument).await? {
            Explained::Data(explained) => shown(&explained),
            Explained::Call(explained) => called(&explained),
        },
    ))
}

fn called(explained: &CallExplanation) -> Value {
    json!({
        "allowed": explained.allowed(), "private": explained.private,
        "can_evaluate": explained.can_evaluate, "asked": list(&explained.asked, asked),
    })
}

fn shown(explained: &Explanation) -> Value {
    let pushed_down = explained
        .pushed_down
        .as_ref()
        .map(|part| json!({ "query": part.query.as_ref().map(document), "exact": part.exact }));
    let mut out = json!({
        "namespace": explained.namespace.to_string(), "allowed": explained.result.is_ok(),
        "settings": explained.settings.to_json(),
        "filters": list(&explained.filters, filter),
        "filter_queries": list(&explained.filter_queries, document),
        "filtered_out": list(&explained.filtered_out, value),
        "pushed_down": pushed_down,
        "decisions": list(&explained.decisions, decision),
    });
    match &explained.result {
        Ok(result) => out["result"] = value(result),
        Err(problem) => {
            out["error"] = json!(problem.message);
            out["error_code"] = json!(problem.code);
            out["reason"] = json!(problem.because);
        }
    }
    out
}

fn filter(filter: &FilterAsked) -> Value {
    json!({
        "name": filter.name, "applies": filter.applies, "asked": list(&filter.asked, asked),
    })
}

fn decision(decision: &Decision) -> Value {
    let breach = |breach: &Breach| json!({ "error_code": breach.code, "field": breach.path, "message": breach.message });
    json!({
        "operation": decision.operation, "_id": decision.id.as_ref().map(value),
        "role": decision.role, "allowed": decision.allowed,
        "hidden_fields": decision.hidden_fields, "reason": decision.reason,
        "schema_errors": list(&decision.breaches, breach),
        "asked": list(&decision.asked, asked),
    })
}

fn asked(asked: &Asked) -> Value {
    json!({
        "expression": *asked.path, "holds": asked.holds, "because": list(&asked.because, tested),
    })
}

/// `subject` and `value` are left out when there are none.
fn tested(tested: &Tested) -> Value {
    let test = Bson::Document(tested.test.clone()).into_canonical_extjson();
    let mut out = Map::from_iter([
        ("test".to_owned(), test),
        ("holds".to_owned(), json!(tested.holds)),
    ]);
    for (name, found) in [("subject", &tested.subject), ("value", &tested.value)] {
        if let Some(found) = found {
            out.insert(name.to_owned(), value(found));
        }
    }
    Value::Object(out)
}

fn list<T>(all: &[T], show: impl Fn(&T) -> Value) -> Value {
    Value::Array(all.iter().map(show).collect())
}

/// Canonical Extended JSON: rules tell types apart.
fn value(value: &RawBson) -> Value {
    Bson::try_from(value.clone()).map_or(Value::Null, Bson::into_canonical_extjson)
}

fn document(document: &RawDocumentBuf) -> Value {
    value(&RawBson::Document(document.clone()))
}
