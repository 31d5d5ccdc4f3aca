//! Triggers (admin-api.md §2.4, #15–#20), and the same as event subscriptions
//! (#12–#14).

use app::Seen;
use axum::http::Method;
use config::{Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{
    Entry, FUNCTION, Reference, Resource, create, delete, get, kept, key_of, list, replace,
};
use crate::{Cx, Row, body, date, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/triggers";
const ONE: &str = "/groups/{groupId}/apps/{appId}/triggers/{triggerId}";
const SUBSCRIPTIONS: &str = "/groups/{groupId}/apps/{appId}/event_subscriptions";
const SUBSCRIPTION: &str = "/groups/{groupId}/apps/{appId}/event_subscriptions/{triggerId}";

const EXECUTION: &str = "/groups/{groupId}/apps/{appId}/event_subscriptions/{triggerId}/execution";
const RESUME: &str = "/groups/{groupId}/apps/{appId}/triggers/{triggerId}/resume";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminGetLatestEventSubscriptionExecution",
        Method::GET,
        EXECUTION,
        Read,
        |cx, r| Box::pin(execution(cx, r)),
    ),
    row("adminResumeTrigger", Method::PUT, RESUME, Write, |cx, r| {
        Box::pin(resume(cx, r))
    }),
    row(
        "adminListEventSubscriptions",
        Method::GET,
        SUBSCRIPTIONS,
        Read,
        |cx, r| Box::pin(list_of_type(cx, r)),
    ),
    row(
        "adminGetEventSubscription",
        Method::GET,
        SUBSCRIPTION,
        Read,
        |cx, r| Box::pin(get::<Trigger>(cx, r)),
    ),
    row("adminListTriggers", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list::<Trigger>(cx, r))
    }),
    row("adminCreateTrigger", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create::<Trigger>(cx, r))
    }),
    row("adminGetTrigger", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get::<Trigger>(cx, r))
    }),
    row("adminUpdateTrigger", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace::<Trigger>(cx, r))
    }),
    row("adminDeleteTrigger", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete::<Trigger>(cx, r))
    }),
];

/// Characters of a trigger's name.
const NAME_CHARS_MAX: usize = 64;

/// The data source that a database trigger watches.
const SERVICE: Reference = Reference {
    kind: Kind::DataSource,
    id: "service_id",
    name: "service_name",
};

/// What the files say of a database trigger even when it is off or empty.
const DATABASE_FLAGS: [&str; 4] = [
    "skip_catchup_events",
    "unordered",
    "full_document",
    "full_document_before_change",
];

struct Trigger;

impl Resource for Trigger {
    const KIND: Kind = Kind::Trigger;
    const ID: &'static str = "triggerId";
    const FIELDS: &'static [&'static str] = &[
        "name",
        "type",
        "disabled",
        "config",
        "event_processors",
        "error_handler",
    ];

    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        let name = body::text(fields, "name")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
            return Err(Problem::bad_request(format!(
                "trigger names have at most {NAME_CHARS_MAX} ASCII letters, numbers, underscores and hyphens"
            )));
        }
        Ok(name.to_owned())
    }

    fn complete(seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        fields.entry("disabled").or_insert(json!(false));
        function_into_processors(seen, fields)?;
        let kind = body::text(fields, "type")?.to_owned();
        if let Some(config) = object(fields, "config")? {
            SERVICE.read(seen, config)?;
            with_defaults(&kind, config);
            // The published document has one text here, clients a list.
            if let Some(Value::String(provider)) = config.get("providers") {
                let providers = json!([provider]);
                config.insert("providers".to_owned(), providers);
            }
        }
        if let Some(handler) = object(fields, "error_handler")?
            && let Some(config) = object(handler, "config")?
        {
            FUNCTION.read(seen, config)?;
        }
        Ok(())
    }

    fn node(
        seen: &Seen,
        fields: &Map<String, Value>,
        before: Option<&Node>,
    ) -> Result<Node, Problem> {
        let mut fields = fields.clone();
        if let Some(before) = before {
            forget_old_function(seen, before, &mut fields);
        }
        Self::complete(seen, &mut fields)?;
        Ok(Node::new(kept(Self::FIELDS, &fields, before)))
    }

    fn full(entry: &Entry) -> Value {
        let mut shown = entry.show_all();
        shown["disabled"] = entry.node.flag("disabled").into();
        shown["last_modified"] = json!(entry.modified);
        for pointer in [
            "/config",
            "/event_processors/FUNCTION/config",
            "/error_handler/config",
        ] {
            if let Some(part) = shown.pointer_mut(pointer) {
                SERVICE.show(entry.seen, part);
                FUNCTION.show(entry.seen, part);
            }
        }
        // The function stands in both places, wherever it was set.
        let function = shown.pointer("/event_processors/FUNCTION/config").cloned();
        for field in [FUNCTION.id, FUNCTION.name] {
            if let Some(value) = function.as_ref().and_then(|config| config.get(field)) {
                shown[field] = value.clone();
            }
        }
        FUNCTION.show(entry.seen, &mut shown);
        if function.is_none() && shown.get(FUNCTION.name).is_some() {
            let config = json!({
                FUNCTION.id: shown.get(FUNCTION.id), FUNCTION.name: shown[FUNCTION.name],
            });
            shown["event_processors"] = json!({ "FUNCTION": { "config": config } });
        }
        shown
    }
}

/// A field that is an object, if it is there.
fn object<'f>(
    fields: &'f mut Map<String, Value>,
    name: &str,
) -> Result<Option<&'f mut Map<String, Value>>, Problem> {
    match fields.get_mut(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be an object"
        ))),
    }
}

/// A function that the trigger names itself goes where its event processors
/// are, which is where files have it.
fn function_into_processors(seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
    FUNCTION.read(seen, fields)?;
    let named = fields.shift_remove(FUNCTION.name);
    let named = named.filter(|name| name.as_str() != Some("") && !name.is_null());
    let processors = fields.entry("event_processors");
    let processors = processors.or_insert_with(|| json!({}));
    if let (Some(name), Value::Object(processors)) = (named, &mut *processors) {
        let function = processors.entry("FUNCTION").or_insert_with(|| json!({}));
        if !function.get("config").is_some_and(Value::is_object) {
            *function = json!({ "config": {} });
        }
        if let Some(config) = function["config"].as_object_mut() {
            config.shift_remove(FUNCTION.id);
            config.insert(FUNCTION.name.to_owned(), name);
        }
    }
    if let Some(Value::Object(config)) = processors.pointer_mut("/FUNCTION/config") {
        FUNCTION.read(seen, config)?;
    }
    Ok(())
}

/// Of a trigger that was read, changed and sent back, the function that it had
/// before is not meant when another one stands in the other place.
fn forget_old_function(seen: &Seen, before: &Node, fields: &mut Map<String, Value>) {
    const PROCESSOR: &str = "/event_processors/FUNCTION/config";
    let named = |part: Option<&Value>| {
        let text = |name: &str| part?.get(name)?.as_str();
        let by_id = text(FUNCTION.id).and_then(|id| seen.ids.key(Kind::Function, id));
        by_id.or_else(|| text(FUNCTION.name)).map(str::to_owned)
    };
    let sent = Value::Object(fields.clone());
    let (root, processor) = (named(Some(&sent)), named(sent.pointer(PROCESSOR)));
    if processor.is_some() && root != processor && root == named(before.at(PROCESSOR)) {
        for field in [FUNCTION.id, FUNCTION.name] {
            fields.shift_remove(field);
        }
    }
}

/// What the files of a type say whether it was said or not.
fn with_defaults(kind: &str, config: &mut Map<String, Value>) {
    match kind {
        "DATABASE" => {
            for flag in DATABASE_FLAGS {
                config.entry(flag).or_insert(json!(false));
            }
            for object in ["match", "project"] {
                config.entry(object).or_insert(json!({}));
            }
        }
        "SCHEDULED" => {
            config.entry("skip_catchup_events").or_insert(json!(false));
        }
        _ => {}
    }
}

/// Triggers, of one type if that is asked for.
async fn list_of_type(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let wanted = request.query_list("type");
    let seen = cx.seen().await?;
    let shown = seen
        .config()
        .all(Kind::Trigger)
        .filter(|(_, node)| {
            wanted.is_empty() || wanted.iter().any(|kind| kind == node.text("type"))
        })
        .map(|(key, node)| Trigger::full(&Entry::of(&seen, Kind::Trigger, key, node)))
        .collect();
    Ok(Answer::ok(&shown))
}

/// The last execution; of one that is not there, no more is known.
async fn execution(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("triggerId");
    key_of(&cx.seen().await?, Kind::Trigger, id)?;
    let last = cx.app()?.last_execution(id).await?;
    Ok(Answer::ok(&json!({
        "data": last.data.into_relaxed_extjson(), "resource_id": last.resource_id,
        "completed_at": date(last.completed), "cluster_time": last.cluster_time.map(date),
    })))
}

async fn resume(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let id = request.parameter("triggerId");
    key_of(&cx.seen().await?, Kind::Trigger, id)?;
    let fields = body::object(&request)?;
    let from_now = match fields.get("disable_token") {
        None | Some(Value::Null) => false,
        Some(_) => body::flag(&fields, "disable_token")?,
    };
    cx.app()?.resume_trigger(id, from_now).await?;
    Ok(Answer::no_content())
}
