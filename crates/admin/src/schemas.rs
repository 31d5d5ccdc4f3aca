//! Schemas of collections, with their relationships: two nodes that the Admin
//! API shows as one, and how null is validated (admin-api.md §2.18, #154–#158,
//! #178 and #179).

use app::{Seen, refused};
use axum::http::Method;
use config::{EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{edit, key_of};
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/schemas";
const ONE: &str = "/groups/{groupId}/apps/{appId}/schemas/{schemaId}";

pub(crate) const ROWS: &[Row] = &[
    row("adminListSchemas", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateSchema", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetSchema", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminUpdateSchema", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace(cx, r))
    }),
    row("adminDeleteSchema", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row(
        "adminGetNullTypeSchemaValidationSetting",
        Method::GET,
        NULLS,
        Read,
        |cx, r| Box::pin(get_nulls(cx, r)),
    ),
    row(
        "adminSetNullTypeSchemaValidationSetting",
        Method::PUT,
        NULLS,
        Write,
        |cx, r| Box::pin(set_nulls(cx, r)),
    ),
];

/// Whether null is checked as a type of its own: no part of an export.
const NULLS: &str =
    "/groups/{groupId}/apps/{appId}/validation_settings/null_type_schema_validation";

const METADATA: [&str; 3] = ["data_source", "database", "collection"];

/// What a body says: the key, the schema, the relationships.
struct Body {
    key: String,
    schema: Node,
    relationships: Node,
}

fn read(fields: &Map<String, Value>) -> Result<Body, Problem> {
    let Some(Value::Object(metadata)) = fields.get("metadata") else {
        return Err(Problem::missing_parameter(
            "'metadata' is a required object",
        ));
    };
    let parts: Vec<&str> = METADATA
        .iter()
        .map(|name| body::text(metadata, name))
        .collect::<Result<_, _>>()?;
    let part = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(Node::new(json!({}))),
        Some(object @ Value::Object(_)) => Ok(Node::new(object.clone())),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be an object"
        ))),
    };
    Ok(Body {
        key: parts.join("/"),
        schema: part("schema")?,
        relationships: part("relationships")?,
    })
}

fn brief(seen: &Seen, key: &str) -> Value {
    let metadata: Map<String, Value> = METADATA
        .iter()
        .zip(key.splitn(3, '/'))
        .map(|(name, part)| ((*name).to_owned(), json!(part)))
        .collect();
    json!({ "_id": seen.node_id(Kind::Schema, key), "metadata": metadata })
}

fn full(seen: &Seen, key: &str) -> Value {
    let part = |kind| {
        let node = seen.config().get(kind, key);
        node.map_or_else(|| json!({}), |node| node.json.clone())
    };
    let mut shown = brief(seen, key);
    shown["schema"] = part(Kind::Schema);
    shown["relationships"] = part(Kind::Relationships);
    shown
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let keys = seen.config().all(Kind::Schema);
    let shown = keys.map(|(key, _)| brief(&seen, key)).collect();
    Ok(Answer::ok(&shown))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let new = read(&body::object(&request)?)?;
    let seen = edit(cx.app()?, &cx.author(&request)?, |config| {
        config.insert(Kind::Schema, &new.key, new.schema.clone())?;
        config.set(Kind::Relationships, &new.key, new.relationships.clone())
    })
    .await?;
    Ok(Answer::created(&full(&seen, &new.key)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let key = key_of(&seen, Kind::Schema, request.parameter("schemaId"))?;
    Ok(Answer::ok(&full(&seen, &key)))
}

async fn replace(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let seen = cx.seen().await?;
    let key = key_of(&seen, Kind::Schema, request.parameter("schemaId"))?;
    let new = read(&body::object(&request)?)?;
    app.edit(&cx.author(&request)?, |config| {
        let refused = |error: EditError| refused(&error);
        config
            .replace(Kind::Schema, &key, &new.key, new.schema.clone())
            .map_err(refused)?;
        let known = config.get(Kind::Relationships, &key).is_some();
        if known && key != new.key {
            config.remove(Kind::Relationships, &key).map_err(refused)?;
        }
        config
            .set(Kind::Relationships, &new.key, new.relationships.clone())
            .map_err(refused)?;
        Ok(vec![(Kind::Schema, key.clone(), new.key.clone())])
    })
    .await?;
    Ok(Answer::no_content())
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let seen = cx.seen().await?;
    let key = key_of(&seen, Kind::Schema, request.parameter("schemaId"))?;
    edit(app, &cx.author(&request)?, |config| {
        config.remove(Kind::Schema, &key)?;
        match config.remove(Kind::Relationships, &key) {
            Err(EditError::NotFound(..)) => Ok(()),
            done => done,
        }
    })
    .await?;
    Ok(Answer::no_content())
}

async fn get_nulls(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let enabled = cx.app()?.record().settings.null_type_validation;
    Ok(Answer::ok(&json!({ "enabled": enabled })))
}

async fn set_nulls(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let enabled = body::flag(&body::object(&request)?, "enabled")?;
    cx.app()?
        .change_settings(|settings| {
            settings.null_type_validation = enabled;
            Ok(())
        })
        .await?;
    Ok(Answer::no_content())
}
