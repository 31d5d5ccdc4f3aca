//! Services: linked data sources, and legacy third-party services
//! (admin-api.md §2.6, #27–#36 and #52).

use app::Seen;
use axum::http::Method;
use config::{AppConfig, EditError, Kind, Node, SourceSync};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{Entry, check_name, edit, kept, key_of};
use crate::{Cx, Row, body, row};

const ALL: &str = "/groups/{groupId}/apps/{appId}/services";
const ONE: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}";
/// As the published document writes the path once.
const CONFIG_TOO: &str = "/groups/{groupId}/apps/{appId}/service/{serviceId}/config";
const CONFIG: &str = "/groups/{groupId}/apps/{appId}/services/{serviceId}/config";

pub(crate) const ROWS: &[Row] = &[
    row("adminListServices", Method::GET, ALL, Read, |cx, r| {
        Box::pin(list(cx, r))
    }),
    row("adminCreateService", Method::POST, ALL, Write, |cx, r| {
        Box::pin(create(cx, r))
    }),
    row("adminGetService", Method::GET, ONE, Read, |cx, r| {
        Box::pin(get(cx, r))
    }),
    row("adminUpdateService", Method::PATCH, ONE, Write, |cx, r| {
        Box::pin(update(cx, r))
    }),
    row("adminDeleteService", Method::DELETE, ONE, Write, |cx, r| {
        Box::pin(delete(cx, r))
    }),
    row(
        "adminGetServiceConfig",
        Method::GET,
        CONFIG,
        Read,
        |cx, r| Box::pin(get_config(cx, r)),
    ),
    row(
        "adminGetFlexSync",
        Method::GET,
        CONFIG_TOO,
        Read,
        |cx, r| Box::pin(get_config(cx, r)),
    ),
    row(
        "adminUpdateServiceConfig",
        Method::PATCH,
        CONFIG,
        Write,
        |cx, r| Box::pin(patch_config(cx, r)),
    ),
];

const FIELDS: &[&str] = config::fields(Kind::Service);
/// Which settings of third-party services are secrets, by type.
const SECRETS: &[(&str, &str)] = &[
    ("twilio", "auth_token"),
    ("aws", "secretAccessKey"),
    ("aws-s3", "secretAccessKey"),
    ("aws-ses", "secretAccessKey"),
    ("gcm", "apiKey"),
];
/// Settings of third-party services that are not empty.
const NEVER_EMPTY: [&str; 7] = [
    "region",
    "accessKeyId",
    "secretAccessKey",
    "sid",
    "auth_token",
    "senderId",
    "apiKey",
];
const DATA_SOURCES: &[&str] = &["mongodb-atlas", "mongodb", "datalake"];

/// The service of the path: data sources and other services share one space of
/// ids and names.
pub(crate) struct Service {
    /// `DataSource` or `Service`.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
}

impl Service {
    /// The service that the path's `{serviceId}` names.
    ///
    /// # Errors
    /// `ServiceNotFound`.
    pub(crate) fn of(seen: &Seen, request: &Request) -> Result<Self, Problem> {
        let id = request.parameter("serviceId");
        let (kind, name) = match seen.ids.key(Kind::Service, id) {
            Some(name) => (Kind::Service, name.to_owned()),
            None => (Kind::DataSource, key_of(seen, Kind::DataSource, id)?),
        };
        Ok(Self { kind, name })
    }
}

fn show(seen: &Seen, kind: Kind, name: &str, node: &Node) -> Value {
    let entry = Entry::of(seen, kind, name, node);
    let mut shown = entry.show(&["name", "type"]);
    shown["version"] = node
        .json
        .get("version")
        .cloned()
        .unwrap_or_else(|| json!(1));
    shown["last_modified"] = json!(entry.modified);
    shown
}

async fn list(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let shown = [Kind::DataSource, Kind::Service]
        .into_iter()
        .flat_map(|kind| {
            seen.config()
                .all(kind)
                .map(move |(name, node)| (kind, name, node))
        })
        .map(|(kind, name, node)| show(&seen, kind, name, node))
        .collect();
    Ok(Answer::ok(&shown))
}

/// A new service, with the rules and webhooks that the body brings along.
async fn create(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let (mut fields, sync) = without_sync(fields);
    let name = body::text(&fields, "name")?.to_owned();
    let kind = if DATA_SOURCES.contains(&body::text(&fields, "type")?) {
        Kind::DataSource
    } else {
        Kind::Service
    };
    check_name("service", &name)?;
    check_config(&body::optional_object(&fields, "config")?)?;
    let given = Node::new(Value::Object(fields.clone()));
    let secrets = match fields.get_mut("config").and_then(Value::as_object_mut) {
        Some(config) => take_secrets(&name, &given, config)?,
        None => Vec::new(),
    };
    let mut node = Node::new(kept(FIELDS, &fields, None));
    name_secrets(&mut node, &secrets);
    let rules = rules_of(&name, kind, &fields)?;
    let seen = edit(cx.app()?, &cx.author(&request)?, |config| {
        free(config, &name)?;
        config.insert(kind, &name, node.clone())?;
        sync.iter()
            .try_for_each(|sync| config.set_sync(&name, sync))?;
        rules
            .iter()
            .try_for_each(|(kind, key, rule)| config.insert(*kind, key, rule.clone()))
    })
    .await?;
    keep_secrets(&cx, &secrets).await?;
    Ok(Answer::created(&show(&seen, kind, &name, &node)))
}

/// A secret that stands in a service's settings: the field, the secret's name and
/// the value.
struct Secret {
    field: &'static str,
    name: String,
    value: String,
}

/// Takes the secrets out of a service's settings, which are shown and exported:
/// some clients send them there. They keep the names that the service has for
/// them, or get those that an import gives.
fn take_secrets(
    service: &str,
    node: &Node,
    config: &mut Map<String, Value>,
) -> Result<Vec<Secret>, Problem> {
    let mut taken = Vec::new();
    let of = node.text("type");
    for (_, field) in SECRETS.iter().filter(|(kind, _)| *kind == of) {
        if let Some(value) = body::optional_text(config, field)? {
            let known = node.at(&format!("/secret_config/{field}"));
            let known = known
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty());
            let name = known.map_or_else(|| config::secret_name(service, field), str::to_owned);
            let value = value.to_owned();
            app::secrets::check(&name, &value)?;
            config.shift_remove(*field);
            taken.push(Secret { field, name, value });
        }
    }
    Ok(taken)
}

/// Has a service take its secrets by their names.
fn name_secrets(service: &mut Node, secrets: &[Secret]) {
    for secret in secrets {
        service.refer_to_secret(secret.field, &secret.name);
    }
}

async fn keep_secrets(cx: &Cx, secrets: &[Secret]) -> Result<(), Problem> {
    for secret in secrets {
        cx.app()?.set_secret(&secret.name, &secret.value).await?;
    }
    Ok(())
}

/// Names are unique among all services.
fn free(config: &AppConfig, name: &str) -> Result<(), EditError> {
    for kind in [Kind::DataSource, Kind::Service] {
        if config.get(kind, name).is_some() {
            return Err(EditError::Duplicate(kind, name.to_owned()));
        }
    }
    Ok(())
}

/// The rules in a creation's body: kinds, keys and nodes.
fn rules_of(
    service: &str,
    kind: Kind,
    fields: &Map<String, Value>,
) -> Result<Vec<(Kind, String, Node)>, Problem> {
    let mut nodes = Vec::new();
    let default = body::optional_object(fields, "default_rule")?;
    if fields.get("default_rule").is_some_and(Value::is_object) {
        nodes.push((
            Kind::DefaultRule,
            service.to_owned(),
            Node::new(default.into()),
        ));
    }
    for rule in body::optional_objects(fields, "rules")? {
        nodes.push(crate::rules::node(service, kind, rule, None)?);
    }
    if kind == Kind::Service {
        for webhook in body::optional_objects(fields, "incoming_webhooks")? {
            let (key, node) = crate::webhooks::node(service, webhook, None)?;
            nodes.push((Kind::Webhook, key, node));
        }
    }
    Ok(nodes)
}

async fn get(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let node = node(&seen, &service)?;
    let mut shown = show(&seen, service.kind, &service.name, &node);
    shown["config"] = config_of(&seen, &service)?;
    Ok(Answer::ok(&shown))
}

fn node(seen: &Seen, service: &Service) -> Result<Node, Problem> {
    let found = seen.config().get(service.kind, &service.name);
    found
        .map(|node| Node::clone(node))
        .ok_or_else(|| app::refused(&EditError::NotFound(service.kind, service.name.clone())))
}

/// Changes the name, the version and, merged into it, the configuration. What
/// names the service follows; what code says does not.
async fn update(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let fields = body::object(&request)?;
    let of = node(&seen, &service)?.text("type").to_owned();
    if body::optional_text(&fields, "type")?.is_some_and(|given| given != of) {
        return Err(Problem::bad_request("a service's type cannot be changed"));
    }
    let name = body::optional_text(&fields, "name")?.unwrap_or(&service.name);
    if name != service.name {
        check_name("service", name)?;
    }
    let change = Change {
        name: name.to_owned(),
        version: fields.get("version").filter(|version| !version.is_null()),
        config: body::optional_object(&fields, "config")?,
    };
    let seen = merge(&cx, &request, &seen, &service, change).await?;
    let node = seen.config().get(service.kind, name);
    let node = node.ok_or_else(|| app::refused(&EditError::NotFound(service.kind, name.into())))?;
    Ok(Answer::ok(&show(&seen, service.kind, name, node)))
}

async fn delete(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    edit(cx.app()?, &cx.author(&request)?, |config| {
        config.remove(service.kind, &service.name)
    })
    .await?;
    Ok(Answer::no_content())
}

async fn get_config(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    Ok(Answer::ok(&config_of(&seen, &service)?))
}

/// The texts and flags of a service's configuration.
///
/// # Errors
/// `InvalidParameter`.
fn check_config(config: &Map<String, Value>) -> Result<(), Problem> {
    for name in ["clusterName", "readPreference", "uri"] {
        body::optional_text(config, name)?;
    }
    for name in NEVER_EMPTY {
        if body::optional_text(config, name)? == Some("") {
            return Err(Problem::invalid_parameter(format!(
                "'{name}' must not be empty"
            )));
        }
    }
    body::optional_flag(config, "wireProtocolEnabled").map(drop)
}

/// A service's configuration, with the sync of its data.
fn config_of(seen: &Seen, service: &Service) -> Result<Value, Problem> {
    let mut config = match node(seen, service)?.json["config"].take() {
        Value::Object(config) => config,
        _ => Map::new(),
    };
    if let Some(sync) = seen.config().sync_of(&service.name) {
        config.insert(sync.field.to_owned(), Value::Object(sync.settings));
    }
    Ok(Value::Object(config))
}

/// A creation's fields without the sync that their `config` brings along.
fn without_sync(mut fields: Map<String, Value>) -> (Map<String, Value>, Vec<SourceSync>) {
    let config = fields.get_mut("config").and_then(Value::as_object_mut);
    let sync = config.map_or_else(Vec::new, AppConfig::split_sync);
    (fields, sync)
}

/// Merges the body into the configuration.
async fn patch_config(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let service = Service::of(&seen, &request)?;
    let change = Change {
        name: service.name.clone(),
        version: None,
        config: body::object(&request)?,
    };
    merge(&cx, &request, &seen, &service, change).await?;
    Ok(Answer::no_content())
}

/// What is changed of a service.
struct Change<'a> {
    name: String,
    version: Option<&'a Value>,
    config: Map<String, Value>,
}

/// Changes a service by one edit, and the secrets that the change brings along.
async fn merge(
    cx: &Cx,
    request: &Request,
    seen: &Seen,
    service: &Service,
    change: Change<'_>,
) -> Result<Seen, Problem> {
    let before = node(seen, service)?;
    let Change {
        name: new,
        version,
        config: mut fields,
    } = change;
    let sync = AppConfig::split_sync(&mut fields);
    check_config(&fields)?;
    let secrets = take_secrets(&service.name, &before, &mut fields)?;
    let (kind, old) = (service.kind, &service.name);
    let author = cx.author(request)?;
    let edited = cx.app()?.edit(&author, |config| {
        let refused = |error: EditError| app::refused(&error);
        let missing = || refused(EditError::NotFound(kind, old.clone()));
        let mut node = Node::clone(config.get(kind, old).ok_or_else(missing)?);
        if new != *old {
            free(config, &new).map_err(refused)?;
            node.json["name"] = json!(new);
        }
        if let Some(version) = version {
            node.json["version"] = version.clone();
        }
        if !node.json["config"].is_object() && !fields.is_empty() {
            node.json["config"] = json!({});
        }
        if let Some(known) = node.json["config"].as_object_mut() {
            known.extend(fields.clone());
        }
        name_secrets(&mut node, &secrets);
        let renames = config.renames_within(&[(kind, old.clone(), new.clone())]);
        config.replace(kind, old, &new, node).map_err(refused)?;
        sync.iter()
            .try_for_each(|sync| config.set_sync(&new, sync))
            .map_err(refused)?;
        Ok(renames
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .collect())
    });
    let seen = edited.await?;
    keep_secrets(cx, &secrets).await?;
    Ok(seen)
}
