//! GraphQL: configuration, custom resolvers, validation settings
//! (admin-api.md §2.18 and §2.19, #168–#177).

use app::Seen;
use axum::http::Method;
use config::Kind;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{
    Entry, FUNCTION, Resource, create, delete, get, list, merge_single, replace, single,
};
use crate::{Cx, Row, body, row};

const CONFIG: &str = "/groups/{groupId}/apps/{appId}/graphql/config";
const RESOLVERS: &str = "/groups/{groupId}/apps/{appId}/graphql/custom_resolvers";
const RESOLVER: &str = "/groups/{groupId}/apps/{appId}/graphql/custom_resolvers/{customResolverId}";
const VALIDATION: &str = "/groups/{groupId}/apps/{appId}/validation_settings/graphql";

const RUN: &str = "/groups/{groupId}/apps/{appId}/graphql";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminRunGraphQLOperation",
        Method::POST,
        RUN,
        Write,
        |cx, r| Box::pin(run(cx, r)),
    ),
    row(
        "adminGetGraphQLConfig",
        Method::GET,
        CONFIG,
        Read,
        |cx, r| Box::pin(get_config(cx, r)),
    ),
    row(
        "adminUpdateGraphQLConfig",
        Method::PUT,
        CONFIG,
        Write,
        |cx, r| Box::pin(set_config(cx, r)),
    ),
    row(
        "adminGetAllCustomResolvers",
        Method::GET,
        RESOLVERS,
        Read,
        |cx, r| Box::pin(list::<Resolver>(cx, r)),
    ),
    row(
        "adminCreateCustomResolver",
        Method::POST,
        RESOLVERS,
        Write,
        |cx, r| Box::pin(create::<Resolver>(cx, r)),
    ),
    row(
        "adminGetCustomResolver",
        Method::GET,
        RESOLVER,
        Read,
        |cx, r| Box::pin(get::<Resolver>(cx, r)),
    ),
    row(
        "adminModifyCustomResolver",
        Method::PUT,
        RESOLVER,
        Write,
        |cx, r| Box::pin(replace::<Resolver>(cx, r)),
    ),
    row(
        "adminDeleteCustomResolver",
        Method::DELETE,
        RESOLVER,
        Write,
        |cx, r| Box::pin(delete::<Resolver>(cx, r)),
    ),
    row(
        "adminGetGraphQLValidationSettings",
        Method::GET,
        VALIDATION,
        Read,
        |cx, r| Box::pin(get_validation(cx, r)),
    ),
    row(
        "adminSetGraphQLValidationSettings",
        Method::PUT,
        VALIDATION,
        Write,
        |cx, r| Box::pin(set_validation(cx, r)),
    ),
];

const NATURAL: &str = "use_natural_pluralization";
const HIDDEN: &str = "disable_schema_introspection";
/// Settings of validation with the words that each may have; the first is the
/// default.
const SETTINGS: [(&str, [&str; 2]); 4] = [
    ("read_validation_action", ["ERROR", "WARN"]),
    ("read_validation_level", ["STRICT", "OFF"]),
    ("write_validation_action", ["ERROR", "WARN"]),
    ("write_validation_level", ["STRICT", "OFF"]),
];

struct Resolver;

impl Resource for Resolver {
    const KIND: Kind = Kind::GraphqlResolver;
    const ID: &'static str = "customResolverId";
    const FIELDS: &'static [&'static str] = &[
        "on_type",
        "field_name",
        "function_name",
        "input_type",
        "input_type_format",
        "payload_type",
        "payload_type_format",
    ];

    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        let on_type = body::text(fields, "on_type")?;
        let field = body::text(fields, "field_name")?;
        Ok(config::resolver_key(on_type, field))
    }

    fn complete(seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        FUNCTION.read(seen, fields)
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        FUNCTION.show(entry.seen, &mut shown);
        shown
    }
}

async fn get_config(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let known = single(cx.seen().await?.config(), Kind::GraphqlConfig);
    let on = |name: &str| known.get(name).and_then(Value::as_bool);
    Ok(Answer::ok(&json!({
        NATURAL: on(NATURAL).unwrap_or(true), HIDDEN: on(HIDDEN).unwrap_or(false),
    })))
}

/// Natural names cannot be given up: clients' queries use them.
async fn set_config(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let before = single(cx.seen().await?.config(), Kind::GraphqlConfig);
    let natural = before.get(NATURAL).and_then(Value::as_bool);
    if natural.unwrap_or(true) && fields.get(NATURAL) == Some(&json!(false)) {
        return Err(Problem::bad_request(
            "natural pluralization cannot be turned off once it is on",
        ));
    }
    let known = |name: &str| [NATURAL, HIDDEN].contains(&name);
    let fields = fields.into_iter().filter(|(name, _)| known(name)).collect();
    merge_single(&cx, &request, Kind::GraphqlConfig, &fields).await
}

async fn get_validation(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let known = single(cx.seen().await?.config(), Kind::GraphqlValidation);
    let shown: Map<String, Value> = SETTINGS
        .iter()
        .map(|(name, [default, _])| {
            let value = known.get(*name).cloned();
            ((*name).to_owned(), value.unwrap_or_else(|| json!(default)))
        })
        .collect();
    Ok(Answer::ok(&Value::Object(shown)))
}

async fn set_validation(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let mut settings = Map::new();
    for (name, words) in SETTINGS {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(word)) if words.contains(&word.as_str()) => {
                settings.insert(name.to_owned(), json!(word));
            }
            Some(_) => {
                return Err(Problem::invalid_parameter(format!(
                    "'{name}' must be one of {}",
                    words.join(", ")
                )));
            }
        }
    }
    merge_single(&cx, &request, Kind::GraphqlValidation, &settings).await
}

/// GraphQL says what is wrong with a request in its own shape. The server does
/// not run operations yet, and says that.
async fn run(_cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    body::text(&fields, "query")?;
    body::optional_text(&fields, "operationName")?;
    match fields.get("variables") {
        None | Some(Value::Null | Value::String(_) | Value::Object(_)) => {}
        Some(_) => {
            return Err(Problem::invalid_parameter(
                "'variables' must be an object or one as JSON",
            ));
        }
    }
    let message = "GraphQL: not supported yet; the operation was not run";
    Ok(Answer::ok(&json!({
        "data": null,
        "errors": [{ "message": message, "locations": [{ "line": 1, "column": 1 }] }],
    })))
}
