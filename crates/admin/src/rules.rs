//! Rules of a service: of its collections, its default rule, and of legacy
//! third-party services (admin-api.md §2.7).

use app::{Seen, refused};
use axum::http::Method;
use config::{EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, edit, kept, key_of, rename};
use crate::services::Service;
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/rules";
const ONE: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/rules/{ruleId}";
const DEFAULT: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/default_rule";

pub(crate) const ROWS: &[Row] = &[
    row("adminListRules", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateRule", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetRule", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminUpdateRule", Method::PUT, ONE, Write, |cx, r| {
        Box::pin(replace(cx, r))
    }),
    row("adminDeleteRule", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row(
        "adminGetDefaultRule",
        Method::GET,
        DEFAULT,
        Read,
        |cx, r| Box::pin(get_default(cx, r)),
    ),
    row(
        "adminCreateDefaultRule",
        Method::POST,
        DEFAULT,
        Write,
        |cx, r| Box::pin(create_default(cx, r)),
    ),
    row(
        "adminUpdateDefaultRule",
        Method::PUT,
        DEFAULT,
        Write,
        |cx, r| Box::pin(replace_default(cx, r)),
    ),
    row(
        "adminDeleteDefaultRule",
        Method::DELETE,
        DEFAULT,
        Write,
        |cx, r| Box::pin(delete_default(cx, r)),
    ),
];

const COLLECTION_FIELDS: &[&str] = config::fields(Kind::Rule);
const SERVICE_FIELDS: &[&str] = config::fields(Kind::ServiceRule);
const DEFAULT_FIELDS: &[&str] = &["roles", "filters"];

/// The node that a rule's body describes: kind, key and node.
///
/// # Errors
/// `MissingParameter`.
pub(crate) fn node(
    service: &str,
    kind: Kind,
    fields: &Map<String, Value>,
    before: Option<&Node>,
) -> Result<(Kind, String, Node), Problem> {
    let text = |name: &str| body::text(fields, name);
    if kind == Kind::Service {
        let key = format!("{service}/{}", text("name")?);
        let node = Node::new(kept(SERVICE_FIELDS, fields, before));
        return Ok((Kind::ServiceRule, key, node));
    }
    let key = format!("{service}/{}/{}", text("database")?, text("collection")?);
    let node = Node::new(kept(COLLECTION_FIELDS, fields, before));
    Ok((Kind::Rule, key, node))
}

/// A rule with the lists that files may leave out.
fn shown(entry: &Entry, kind: Kind) -> Value {
    let mut shown = entry.show_all();
    if let (Some(fields), true) = (shown.as_object_mut(), kind != Kind::ServiceRule) {
        for list in DEFAULT_FIELDS {
            fields.entry(*list).or_insert(json!([]));
        }
    }
    shown
}

/// The kind of a service's rules.
fn rule_kind(service: &Service) -> Kind {
    match service.kind {
        Kind::Service => Kind::ServiceRule,
        _ => Kind::Rule,
    }
}

/// The path's rule: its service, kind, key and node.
fn found(seen: &Seen, request: &Request) -> Result<(Service, Kind, String, Node), Problem> {
    let service = Service::of(seen, request)?;
    let kind = rule_kind(&service);
    let id = request.parameter("ruleId");
    let key = key_of(seen, kind, id)?;
    let inside = key.starts_with(&format!("{}/", service.name));
    match seen.config().get(kind, &key).filter(|_| inside) {
        Some(node) => Ok((service, kind, key, Node::clone(node))),
        None => Err(refused(&EditError::NotFound(kind, id.to_owned()))),
    }
}

async fn list(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let (kind, inside) = (rule_kind(&service), format!("{}/", service.name));
    let shown = seen
        .config()
        .all(kind)
        .filter(|(key, _)| key.starts_with(&inside))
        .map(|(key, node)| shown(&Entry::of(&seen, kind, key, node), kind))
        .collect();
    Ok(Answer::ok(&shown))
}

async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let (kind, key, node) = node(&service.name, service.kind, &body::object(&request)?, None)?;
    let seen = edit(cx.app()?, &cx.author(&request)?, |config| {
        config.insert(kind, &key, node.clone())
    })
    .await?;
    let entry = Entry::of(&seen, kind, &key, &node);
    Ok(Answer::created(&shown(&entry, kind)))
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let (_, kind, key, node) = found(&seen, &request)?;
    let entry = Entry::of(&seen, kind, &key, &node);
    Ok(Answer::ok(&shown(&entry, kind)))
}

async fn replace(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (service, kind, key, before) = found(&cx.seen().await?, &request)?;
    let fields = body::object(&request)?;
    let (_, new, node) = node(&service.name, service.kind, &fields, Some(&before))?;
    rename(&cx, &request, kind, &key, &new, &node).await?;
    Ok(Answer::no_content())
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (_, kind, key, _) = found(&cx.seen().await?, &request)?;
    edit(cx.app()?, &cx.author(&request)?, |config| {
        config.remove(kind, &key)
    })
    .await?;
    Ok(Answer::no_content())
}

fn default_missing(text: &str) -> Problem {
    Problem::new(kit::Kind::NotFound, "RuleNotFound", text)
}

async fn get_default(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let node = seen
        .config()
        .get(Kind::DefaultRule, &service.name)
        .ok_or_else(|| default_missing("default rule does not exist on service"))?;
    let entry = Entry::of(&seen, Kind::DefaultRule, &service.name, node);
    Ok(Answer::ok(&shown(&entry, Kind::DefaultRule)))
}

async fn create_default(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    if service.kind != Kind::DataSource {
        return Err(Problem::bad_request(
            "only data sources have a default rule",
        ));
    }
    let node = Node::new(kept(DEFAULT_FIELDS, &body::object(&request)?, None));
    let added = edit(cx.app()?, &cx.author(&request)?, |config| {
        config.insert(Kind::DefaultRule, &service.name, node.clone())
    })
    .await;
    let seen = added.map_err(|problem| match problem.kind {
        kit::Kind::Conflict => Problem::bad_request("default rule already exists"),
        _ => problem,
    })?;
    let entry = Entry::of(&seen, Kind::DefaultRule, &service.name, &node);
    Ok(Answer::created(&shown(&entry, Kind::DefaultRule)))
}

async fn replace_default(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let fields = body::object(&request)?;
    let Some(id) = seen.node_id(Kind::DefaultRule, &service.name) else {
        return Err(Problem::bad_request("default rule does not exist"));
    };
    if fields.get("_id") != Some(&json!(id)) {
        return Err(Problem::bad_request("service default rule id mismatch"));
    }
    let before = seen.config().get(Kind::DefaultRule, &service.name);
    let node = Node::new(kept(DEFAULT_FIELDS, &fields, before.map(|node| &**node)));
    edit(cx.app()?, &cx.author(&request)?, |config| {
        config.replace(
            Kind::DefaultRule,
            &service.name,
            &service.name,
            node.clone(),
        )
    })
    .await?;
    Ok(Answer::no_content())
}

async fn delete_default(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let gone = edit(cx.app()?, &cx.author(&request)?, |config| {
        config.remove(Kind::DefaultRule, &service.name)
    })
    .await;
    gone.map_err(|problem| match problem.kind {
        kit::Kind::NotFound => default_missing("default rule does not exist for app service"),
        _ => problem,
    })?;
    Ok(Answer::no_content())
}
