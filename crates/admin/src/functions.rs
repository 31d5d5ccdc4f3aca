//! Functions: manifest and source (admin-api.md §2.14, #123–#127).

use app::Seen;
use axum::http::Method;
use config::{Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};

use crate::resource::{Entry, Resource, create, delete, get, kept, list, replace};
use crate::{Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/functions";
const ONE: &str = "/groups/{groupId}/apps/{appId}/functions/{functionId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminListFunctions", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list::<Function>(cx, r))
    }),
    row("adminCreateFunction", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create::<Function>(cx, r))
    }),
    row("adminGetFunction", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get::<Function>(cx, r))
    }),
    row("adminUpdateFunction", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace::<Function>(cx, r))
    }),
    row(
        "adminDeleteFunction",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete::<Function>(cx, r)),
    ),
];

struct Function;

impl Resource for Function {
    const KIND: Kind = Kind::Function;
    const ID: &'static str = "functionId";
    const FIELDS: &'static [&'static str] = config::fields(Self::KIND);

    fn node(
        _seen: &Seen,
        fields: &Map<String, Value>,
        before: Option<&Node>,
    ) -> Result<Node, Problem> {
        let source = match (fields.get("source"), before) {
            (Some(Value::String(source)), _) => source.as_str(),
            (None, Some(before)) => before.source.as_deref().unwrap_or_default(),
            _ => body::text(fields, "source")?,
        };
        Ok(Node::function(kept(Self::FIELDS, fields, before), source))
    }

    fn brief(entry: &Entry) -> Value {
        let mut shown = entry.show(&["name", "private", "run_as_system"]);
        shown["last_modified"] = json!(entry.modified);
        shown
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        if let Some(fields) = shown.as_object_mut() {
            for (name, default) in [
                ("private", json!(false)),
                ("can_evaluate", json!({})),
                ("run_as_system", json!(false)),
                ("run_as_user_id", json!("")),
                ("run_as_user_id_script_source", json!("")),
            ] {
                fields.entry(name).or_insert(default);
            }
        }
        shown["source"] = json!(entry.node.source.as_deref());
        shown["last_modified"] = json!(entry.modified);
        shown
    }
}
