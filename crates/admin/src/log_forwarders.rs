//! Log forwarders (admin-api.md §2.13, #104–#110).

use app::Seen;
use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, Resource, create, delete, get, list, patch_of, switch};
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/log_forwarders";
const ONE: &str = "/groups/{groupId}/apps/{appId}/log_forwarders/{forwarderId}";
const ENABLE: &str = "/groups/{groupId}/apps/{appId}/log_forwarders/{forwarderId}/enable";
const DISABLE: &str = "/groups/{groupId}/apps/{appId}/log_forwarders/{forwarderId}/disable";

pub(crate) const ROWS: &[Row] = &[
    row("listLogForwarders", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list::<Forwarder>(cx, r))
    }),
    row("createLogForwarder", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create::<Forwarder>(cx, r))
    }),
    row("getLogForwarder", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get::<Forwarder>(cx, r))
    }),
    row("updateLogForwarder", Method::PATCH, ONE, Write, |cx, r| {
        Box::pin(patch(cx, r))
    }),
    // The document's own spelling.
    row("deleteGwarder", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete::<Forwarder>(cx, r))
    }),
    row("enableLogForwarder", Method::PUT, ENABLE, Write, |cx, r| {
        Box::pin(switch::<Forwarder>(cx, r, false))
    }),
    row(
        "disableLogForwarder",
        Method::PUT,
        DISABLE,
        Write,
        |cx, r| Box::pin(switch::<Forwarder>(cx, r, true)),
    ),
];

struct Forwarder;

impl Resource for Forwarder {
    const KIND: Kind = Kind::LogForwarder;
    const ID: &'static str = "forwarderId";
    const FIELDS: &'static [&'static str] = config::fields(Self::KIND);

    fn complete(_seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        fields.entry("disabled").or_insert(json!(false));
        let policy = body::optional_object(fields, "policy")?;
        body::optional_text(&policy, "type").map(drop)
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        shown["disabled"] = entry.node.flag("disabled").into();
        if let Some(fields) = shown.as_object_mut() {
            // A null stands for nothing.
            fields.retain(|_, value| !value.is_null());
            for list in ["log_types", "log_statuses"] {
                fields.entry(list).or_insert(json!([]));
            }
        }
        shown
    }
}

async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&patch_of::<Forwarder>(&cx, &request).await?))
}
