//! Values: plain, or the name of a secret (admin-api.md §2.5, #21–#25).

use app::Seen;
use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value as Json};
use web::Scope::{Read, Write};

use crate::resource::{Entry, Resource, check_name, create, delete, get, list, replace};
use crate::{Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/values";
const ONE: &str = "/groups/{groupId}/apps/{appId}/values/{valueId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminListValues", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list::<Value>(cx, r))
    }),
    row("adminCreateValue", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create::<Value>(cx, r))
    }),
    row("adminGetValue", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get::<Value>(cx, r))
    }),
    row("adminUpdateValue", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace::<Value>(cx, r))
    }),
    row("adminDeleteValue", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete::<Value>(cx, r))
    }),
];

struct Value;

impl Resource for Value {
    const KIND: Kind = Kind::Value;
    const ID: &'static str = "valueId";
    const FIELDS: &'static [&'static str] = &["name", "value", "from_secret", "private"];

    fn complete(_seen: &Seen, fields: &mut Map<String, Json>) -> Result<(), Problem> {
        check_name("value", body::text(fields, "name")?)
    }

    fn brief(entry: &Entry) -> Json {
        let mut shown = entry.show(&["name"]);
        for flag in ["private", "from_secret"] {
            shown[flag] = entry.node.flag(flag).into();
        }
        shown
    }

    fn full(entry: &Entry) -> Json {
        let mut shown = Self::brief(entry);
        shown["value"] = entry.node.json["value"].clone();
        shown
    }
}
