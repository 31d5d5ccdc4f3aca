//! The app's environment and the values that differ by it (admin-api.md §2.5,
//! #139–#144). Files have one object for each environment; the Admin API one
//! resource for each name.

use app::Seen;
use axum::http::Method;
use config::{AppConfig, ENVIRONMENTS, EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{edit, edit_node};
use crate::{Cx, Row, apps, body, row};

const ENVIRONMENT: &str = "/groups/{groupId}/apps/{appId}/environment";
const ALL: &str = "/groups/{groupId}/apps/{appId}/environment_values";
const ONE: &str = "/groups/{groupId}/apps/{appId}/environment_values/{environmentValueId}";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminSetEnvironment",
        Method::PUT,
        ENVIRONMENT,
        Write,
        |cx, r| Box::pin(set_environment(cx, r)),
    ),
    row(
        "adminListEnvironmentValues",
        Method::GET,
        ALL,
        Read,
        |cx, r| Box::pin(list(cx, r)),
    ),
    row(
        "adminCreateEnvironmentValue",
        Method::POST,
        ALL,
        Write,
        |cx, r| Box::pin(create(cx, r)),
    ),
    row(
        "adminGetEnvironmentValue",
        Method::GET,
        ONE,
        Read,
        |cx, r| Box::pin(get(cx, r)),
    ),
    row(
        "adminModifyEnvironmentValue",
        Method::PUT,
        ONE,
        Write,
        |cx, r| Box::pin(replace(cx, r)),
    ),
    row(
        "adminDeleteEnvironmentValue",
        Method::DELETE,
        ONE,
        Write,
        |cx, r| Box::pin(delete(cx, r)),
    ),
];

async fn set_environment(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let wanted = match fields.get("environment") {
        Some(Value::String(name)) => name.clone(),
        _ => {
            return Err(Problem::missing_parameter(
                "'environment' is a required string",
            ));
        }
    };
    let known = |(name, _): &(&str, &str)| *name == wanted && *name != "none";
    if !wanted.is_empty() && !ENVIRONMENTS.iter().any(known) {
        return Err(Problem::bad_request(format!(
            "unknown environment '{wanted}'"
        )));
    }
    edit_node(&cx, &request, Kind::Root, "", |root| {
        if wanted.is_empty() {
            root.shift_remove("environment");
        } else {
            root.insert("environment".to_owned(), json!(wanted));
        }
    })
    .await?;
    let record = cx.app()?.record();
    let mut shown = apps::show(&cx, &record).await?;
    shown["environment"] = json!(wanted);
    Ok(Answer::ok(&shown))
}

fn brief(seen: &Seen, name: &str) -> Value {
    let record = seen.ids.record(Kind::Environment, name);
    json!({
        "_id": record.map(|record| record.id.as_str()), "name": name,
        "last_modified": record.map_or(0, |record| record.modified / 1000),
    })
}

fn full(seen: &Seen, name: &str) -> Value {
    let values: Map<String, Value> = ENVIRONMENTS
        .iter()
        .filter_map(|(shown, file)| {
            let value = seen.config().environment_value(file, name)?;
            Some(((*shown).to_owned(), value.clone()))
        })
        .collect();
    let mut shown = brief(seen, name);
    shown["values"] = Value::Object(values);
    shown
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let names = seen.config().environment_value_names();
    let shown = names.iter().map(|name| brief(&seen, name)).collect();
    Ok(Answer::ok(&shown))
}

/// The name of the path's value.
fn named(seen: &Seen, request: &Request) -> Result<String, Problem> {
    let id = request.parameter("environmentValueId");
    let name = seen.ids.key(Kind::Environment, id).map(str::to_owned);
    name.ok_or_else(|| app::refused(&EditError::NotFound(Kind::Environment, id.to_owned())))
}

/// What a body says.
struct Named {
    name: String,
    /// By file.
    values: Vec<(&'static str, Value)>,
}

fn read(request: &Request) -> Result<Named, Problem> {
    let fields = body::object(request)?;
    let name = body::text(&fields, "name")?.to_owned();
    let given = body::optional_object(&fields, "values")?;
    let mut values = Vec::new();
    for (name, value) in given {
        let known = ENVIRONMENTS.iter().find(|(shown, _)| *shown == name);
        let (_, file) =
            known.ok_or_else(|| Problem::bad_request(format!("unknown environment '{name}'")))?;
        values.push((*file, value));
    }
    if values.is_empty() {
        // A name that is in no file would be lost.
        values.push(("no-environment", Value::Null));
    }
    Ok(Named { name, values })
}

/// Gives a name these values, and no others.
fn put(config: &mut AppConfig, name: &str, values: &[(&str, Value)]) -> Result<(), EditError> {
    for (_, file) in ENVIRONMENTS {
        let value = values.iter().find(|(of, _)| *of == file);
        let node = config.get(Kind::Environment, file);
        if value.is_none() && node.is_none_or(|node| node.at("/values").is_none()) {
            continue;
        }
        let mut node = node.map_or_else(
            || Node::new(json!({ "values": {} })),
            |node| Node::clone(node),
        );
        if let Some(known) = node.json["values"].as_object_mut() {
            match value {
                Some((_, value)) => drop(known.insert(name.to_owned(), value.clone())),
                None => drop(known.shift_remove(name)),
            }
        }
        config.set(Kind::Environment, file, node)?;
    }
    Ok(())
}

fn is_known(config: &AppConfig, name: &str) -> bool {
    let names = config.environment_value_names();
    names.contains(&name)
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let Named { name, values } = read(&request)?;
    let seen = edit(cx.app()?, &cx.author(&request)?, |config| {
        if is_known(config, &name) {
            return Err(EditError::Duplicate(Kind::Environment, name.clone()));
        }
        put(config, &name, &values)
    })
    .await?;
    Ok(Answer::created(&brief(&seen, &name)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let name = named(&seen, &request)?;
    Ok(Answer::ok(&full(&seen, &name)))
}

async fn replace(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let old = named(&cx.seen().await?, &request)?;
    let Named { name, values } = read(&request)?;
    let seen = cx
        .app()?
        .edit(&cx.author(&request)?, |config| {
            let refused = |error: EditError| app::refused(&error);
            if name != old && is_known(config, &name) {
                return Err(refused(EditError::Duplicate(
                    Kind::Environment,
                    name.clone(),
                )));
            }
            put(config, &old, &[]).map_err(refused)?;
            put(config, &name, &values).map_err(refused)?;
            Ok(vec![(Kind::Environment, old.clone(), name.clone())])
        })
        .await?;
    Ok(Answer::ok(&brief(&seen, &name)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let name = named(&cx.seen().await?, &request)?;
    edit(cx.app()?, &cx.author(&request)?, |config| {
        put(config, &name, &[])
    })
    .await?;
    Ok(Answer::no_content())
}
