//! Authentication providers, one of each type (admin-api.md §2.11).

use app::App;
use axum::http::Method;
use config::{EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, Resource, create, delete, edit, get, kept, key_of, list};
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/auth_providers";
const ONE: &str = "/groups/{groupId}/apps/{appId}/auth_providers/{providerId}";
const ENABLE: &str = "/groups/{groupId}/apps/{appId}/auth_providers/{providerId}/enable";
const DISABLE: &str = "/groups/{groupId}/apps/{appId}/auth_providers/{providerId}/disable";

pub(crate) const ROWS: &[Row] = &[
    row("adminListAuthProviders", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list::<Provider>(cx, r))
    }),
    row(
        "adminCreateAuthProvider",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(create::<Provider>(cx, r)),
    ),
    row("adminGetAuthProvider", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get::<Provider>(cx, r))
    }),
    row(
        "adminUpdateAuthProvider",
        Method::PATCH,
        ONE,
        Write,
        |cx, r| Box::pin(patch(cx, r)),
    ),
    row(
        "adminDeleteAuthProvider",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete::<Provider>(cx, r)),
    ),
    row(
        "adminEnableAuthProvider",
        Method::PUT,
        ENABLE,
        Write,
        |cx, r| Box::pin(switch(cx, r, false)),
    ),
    row(
        "adminDisableAuthProvider",
        Method::PUT,
        DISABLE,
        Write,
        |cx, r| Box::pin(switch(cx, r, true)),
    ),
];

/// Functions in a provider's `config`: the field with the id, and with the name.
const FUNCTIONS: [(&str, &str); 3] = [
    ("authFunctionId", "authFunctionName"),
    ("confirmationFunctionId", "confirmationFunctionName"),
    ("resetFunctionId", "resetFunctionName"),
];

struct Provider;

impl Resource for Provider {
    const KIND: Kind = Kind::AuthProvider;
    const ID: &'static str = "providerId";
    const FIELDS: &'static [&'static str] = &[
        "name",
        "type",
        "config",
        "secret_config",
        "metadata_fields",
        "redirect_uris",
        "domain_restrictions",
        "disabled",
    ];

    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        body::text(fields, "type").map(str::to_owned)
    }

    fn node(
        app: &App,
        fields: &Map<String, Value>,
        before: Option<&Node>,
    ) -> Result<Node, Problem> {
        let mut fields = fields.clone();
        let kind = body::text(&fields, "type")?.to_owned();
        fields.entry("name").or_insert_with(|| json!(kind));
        fields.entry("disabled").or_insert(json!(false));
        if let Some(config) = fields.get_mut("config").and_then(Value::as_object_mut) {
            functions_by_name(app, config)?;
        }
        Ok(Node::new(kept(Self::FIELDS, &fields, before)))
    }

    fn brief(entry: &Entry) -> Value {
        let mut shown = entry.show(&["name", "type"]);
        shown["disabled"] = entry.node.flag("disabled").into();
        shown
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        shown["disabled"] = entry.node.flag("disabled").into();
        if let Some(config) = shown.get_mut("config").and_then(Value::as_object_mut) {
            for (id, name) in FUNCTIONS {
                let function = config.get(name).and_then(Value::as_str);
                let known = function.and_then(|name| entry.app.node_id(Kind::Function, name));
                if let Some(known) = known {
                    config.insert(id.to_owned(), json!(known));
                }
            }
        }
        shown
    }
}

/// Files name functions; some clients send their ids.
fn functions_by_name(app: &App, config: &mut Map<String, Value>) -> Result<(), Problem> {
    for (id, name) in FUNCTIONS {
        let given = config.shift_remove(id);
        let id = given.as_ref().and_then(Value::as_str).unwrap_or_default();
        if !id.is_empty() && !config.contains_key(name) {
            config.insert(name.to_owned(), json!(key_of(app, Kind::Function, id)?));
        }
    }
    Ok(())
}

/// Merges the body into the provider, and its `config` into the provider's.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let key = key_of(app, Kind::AuthProvider, request.parameter("providerId"))?;
    let mut fields = body::object(&request)?;
    if fields.get("type").is_some_and(|kind| *kind != json!(key)) {
        return Err(Problem::bad_request("a provider's type cannot be changed"));
    }
    fields.retain(|name, _| Provider::FIELDS.contains(&name.as_str()));
    let mut config = match fields.shift_remove("config") {
        Some(Value::Object(config)) => config,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(Problem::invalid_parameter("'config' must be an object")),
    };
    functions_by_name(app, &mut config)?;
    edit_one(&cx, &request, &key, |node| {
        if let Some(known) = node.json.as_object_mut() {
            known.extend(fields.clone());
            if !config.is_empty() {
                let before = known.entry("config").or_insert_with(|| json!({}));
                match before.as_object_mut() {
                    Some(before) => before.extend(config.clone()),
                    None => *before = Value::Object(config.clone()),
                }
            }
        }
    })
    .await
}

async fn switch(cx: Cx, request: Request, disabled: bool) -> Result<Answer, Problem> {
    let key = key_of(
        cx.app()?,
        Kind::AuthProvider,
        request.parameter("providerId"),
    )?;
    edit_one(&cx, &request, &key, |node| {
        node.json["disabled"] = json!(disabled);
    })
    .await
}

async fn edit_one(
    cx: &Cx,
    request: &Request,
    key: &str,
    change: impl Fn(&mut Node),
) -> Result<Answer, Problem> {
    edit(cx.app()?, &cx.author(request)?, |config| {
        let missing = || EditError::NotFound(Kind::AuthProvider, key.to_owned());
        let before = config.get(Kind::AuthProvider, key).ok_or_else(missing)?;
        let mut node = Node::clone(before);
        change(&mut node);
        config.replace(Kind::AuthProvider, key, key, node)
    })
    .await?;
    Ok(Answer::no_content())
}
