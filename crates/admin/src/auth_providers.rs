//! Authentication providers, one of each type (admin-api.md §2.11).

use app::Seen;
use axum::http::Method;
use config::view::AuthProvider;
use config::{EditError, Kind};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{
    Entry, Reference, Resource, create, edit, edit_node, get, key_of, list, switch,
};
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
        |cx, r| Box::pin(delete(cx, r)),
    ),
    row(
        "adminEnableAuthProvider",
        Method::PUT,
        ENABLE,
        Write,
        |cx, r| Box::pin(switch::<Provider>(cx, r, false)),
    ),
    row(
        "adminDisableAuthProvider",
        Method::PUT,
        DISABLE,
        Write,
        |cx, r| Box::pin(switch::<Provider>(cx, r, true)),
    ),
];

/// Functions in a provider's `config`.
const FUNCTIONS: [Reference; 3] = [
    function("authFunctionId", "authFunctionName"),
    function("confirmationFunctionId", "confirmationFunctionName"),
    function("resetFunctionId", "resetFunctionName"),
];

const fn function(id: &'static str, name: &'static str) -> Reference {
    let kind = Kind::Function;
    Reference { kind, id, name }
}

struct Provider;

impl Resource for Provider {
    const KIND: Kind = Kind::AuthProvider;
    const ID: &'static str = "providerId";
    const FIELDS: &'static [&'static str] = config::fields(Self::KIND);

    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        body::text(fields, "type").map(str::to_owned)
    }

    fn complete(seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        let kind = body::text(fields, "type")?.to_owned();
        fields.entry("name").or_insert_with(|| json!(kind));
        fields.entry("disabled").or_insert(json!(false));
        if let Some(config) = fields.get_mut("config").and_then(Value::as_object_mut) {
            functions_by_name(seen, config)?;
        }
        Ok(())
    }

    fn brief(entry: &Entry) -> Value {
        let mut shown = entry.show(&["name", "type"]);
        shown["disabled"] = entry.node.flag("disabled").into();
        shown
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        shown["disabled"] = entry.node.flag("disabled").into();
        if let Some(config) = shown.get_mut("config") {
            for function in &FUNCTIONS {
                function.show(entry.seen, config);
            }
        }
        shown
    }
}

fn functions_by_name(seen: &Seen, config: &mut Map<String, Value>) -> Result<(), Problem> {
    FUNCTIONS
        .iter()
        .try_for_each(|function| function.read(seen, config))
}

/// Removes a provider that is off: users of one that is on would be locked out.
async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let key = key_of(&seen, Kind::AuthProvider, request.parameter("providerId"))?;
    edit(cx.app()?, &cx.author(&request)?, |config| {
        let node = config.get(Kind::AuthProvider, &key);
        if node.is_some_and(|node| AuthProvider(node).enabled()) {
            let text = format!("the provider \"{key}\" has to be disabled before it is deleted");
            return Err(EditError::Invalid(vec![text]));
        }
        config.remove(Kind::AuthProvider, &key)
    })
    .await?;
    Ok(Answer::no_content())
}

/// Merges the body into the provider, and its `config` into the provider's.
async fn patch(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let key = key_of(&seen, Kind::AuthProvider, request.parameter("providerId"))?;
    let mut fields = body::object(&request)?;
    if fields.get("type").is_some_and(|kind| *kind != json!(key)) {
        return Err(Problem::bad_request("a provider's type cannot be changed"));
    }
    fields.retain(|name, _| Provider::FIELDS.contains(&name.as_str()));
    let mut config = body::optional_object(&fields, "config")?;
    fields.shift_remove("config");
    functions_by_name(&seen, &mut config)?;
    edit_node(&cx, &request, Kind::AuthProvider, &key, |known| {
        known.extend(fields.clone());
        if !config.is_empty() {
            let before = known.entry("config").or_insert_with(|| json!({}));
            match before.as_object_mut() {
                Some(before) => before.extend(config.clone()),
                None => *before = Value::Object(config.clone()),
            }
        }
    })
    .await?;
    Ok(Answer::no_content())
}
