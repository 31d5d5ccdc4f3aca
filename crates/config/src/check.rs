//! What a value has to satisfy beyond being readable: fields and references.

use std::collections::HashMap;

use kit::Severity;
use serde_json::Value;

use crate::kind::{PROVIDERS, Shape, nearest};
use crate::places::{Flaw, Part};
use crate::{AppConfig, Kind, Node, schedule};

/// Everything that is wrong with a value.
pub(crate) fn flaws(config: &AppConfig) -> Vec<Flaw> {
    let mut found = Vec::new();
    for kind in config.kinds() {
        for (key, node) in config.all(kind) {
            let mut cx = Checking {
                config,
                kind,
                key,
                node,
                found: &mut found,
            };
            cx.name();
            cx.fields();
            cx.references();
            cx.special();
        }
    }
    resolvers(config, &mut found);
    found
}

/// Custom resolvers are one for each field of a type.
fn resolvers(config: &AppConfig, found: &mut Vec<Flaw>) {
    let mut seen = HashMap::new();
    for (key, node) in config.all(Kind::GraphqlResolver) {
        let field = (node.text("on_type"), node.text("field_name"));
        if let Some(first) = seen.insert(field, key) {
            let (on_type, name) = field;
            let text = format!("{on_type}.{name} has a custom resolver already: \"{first}\"");
            found.push(Flaw::error(Kind::GraphqlResolver, key, "/field_name", text));
        }
    }
}

struct Checking<'a> {
    config: &'a AppConfig,
    kind: Kind,
    key: &'a str,
    node: &'a Node,
    found: &'a mut Vec<Flaw>,
}

/// Fields that name a function, by kind.
pub(crate) const FUNCTION_REFERENCES: &[(Kind, &str)] = &[
    (Kind::AuthProvider, "/config/authFunctionName"),
    (Kind::AuthProvider, "/config/confirmationFunctionName"),
    (Kind::AuthProvider, "/config/resetFunctionName"),
    (Kind::CustomUserData, "/on_user_creation_function_name"),
    (Kind::Endpoint, "/function_name"),
    (Kind::Trigger, "/function_name"),
    (
        Kind::Trigger,
        "/event_processors/FUNCTION/config/function_name",
    ),
    (Kind::GraphqlResolver, "/function_name"),
    (Kind::Trigger, "/error_handler/config/function_name"),
    (Kind::LogForwarder, "/action/name"),
];

/// Flags that have to be on for a provider's function to matter.
const SWITCHES: &[(&str, &str)] = &[
    (
        "/config/confirmationFunctionName",
        "/config/runConfirmationFunction",
    ),
    ("/config/resetFunctionName", "/config/runResetFunction"),
];

/// Fields that name a data source, by kind.
pub(crate) const SOURCE_REFERENCES: &[(Kind, &str)] = &[
    (Kind::CustomUserData, "/mongo_service_name"),
    (Kind::Trigger, "/config/service_name"),
    (Kind::Sync, "/service_name"),
    (Kind::LogForwarder, "/action/data_source"),
];

impl Checking<'_> {
    fn say(&mut self, severity: Severity, pointer: &str, message: String, hint: Option<String>) {
        self.found.push(Flaw {
            severity,
            kind: self.kind,
            key: self.key.to_owned(),
            part: Part::Field(pointer.to_owned()),
            message,
            hint,
            frame: None,
        });
    }

    fn error(&mut self, pointer: &str, message: String) {
        self.say(Severity::Error, pointer, message, None);
    }

    /// A key becomes a path, so it has to be one.
    fn name(&mut self) {
        let bad = |part: &str| part.is_empty() || part.starts_with('.');
        let key = self.key;
        let wrong = match self.kind {
            // Said to have no name.
            _ if key.is_empty() => false,
            Kind::AuthProvider | Kind::Endpoint => false,
            Kind::HostingFile => {
                let mut parts = key.split('/');
                parts.next() != Some("") || parts.any(|part| matches!(part, "" | "." | ".."))
            }
            Kind::Function
            | Kind::Rule
            | Kind::Schema
            | Kind::Relationships
            | Kind::ServiceRule
            | Kind::Webhook => key.split('/').any(bad),
            _ => bad(key) || key.contains('/'),
        };
        if wrong || key.contains(['\\', '\0', '\n', '\r']) && self.kind != Kind::Endpoint {
            let text = format!("\"{key}\" cannot be the name of a {}", self.kind.noun());
            self.error("/name", text);
        }
    }

    fn fields(&mut self) {
        let known = self.kind.fields();
        if known.is_empty() {
            return;
        }
        let Some(fields) = self.node.json.as_object() else {
            self.error("", format!("the {} has to be an object", self.kind.noun()));
            return;
        };
        for field in known {
            match fields.get(field.name) {
                None if field.required => {
                    self.error(
                        "",
                        format!("the {} has no \"{}\"", self.kind.noun(), field.name),
                    );
                }
                // A field that is not needed may be null.
                Some(Value::Null) if !field.required => {}
                Some(value) => {
                    if let Some(fault) = field.shape.fault(value) {
                        let shape = matches!(field.shape, Shape::OneOf(_));
                        let text = if shape {
                            format!("{}: {fault}", field.name)
                        } else {
                            format!("\"{}\" {fault}", field.name)
                        };
                        self.error(&format!("/{}", field.name), text);
                    }
                }
                None => {}
            }
        }
        // A field that is nearly a known one is a slip of the pen.
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        let slips: Vec<(String, &str)> = fields
            .keys()
            .filter(|name| !names.contains(&name.as_str()))
            .filter_map(|name| {
                let near = nearest(name, &names)?;
                (!fields.contains_key(near) && name.len().abs_diff(near.len()) <= 1)
                    .then(|| (name.clone(), near))
            })
            .collect();
        for (name, near) in slips {
            self.say(
                Severity::Warning,
                &format!("/{name}"),
                format!("\"{name}\" means nothing here"),
                Some(format!("did you mean \"{near}\"?")),
            );
        }
    }

    fn references(&mut self) {
        let (kind, node, config) = (self.kind, self.node, self.config);
        let named = |table: &[(Kind, &'static str)]| -> Vec<(&'static str, String)> {
            table
                .iter()
                .filter(|(of, _)| *of == kind)
                .filter_map(|(_, pointer)| {
                    let name = node.at(pointer)?.as_str()?;
                    (!name.is_empty()).then(|| (*pointer, name.to_owned()))
                })
                .collect()
        };
        for (pointer, name) in named(FUNCTION_REFERENCES) {
            let idle = match kind {
                Kind::LogForwarder => {
                    node.at("/action/type").and_then(Value::as_str) != Some("function")
                }
                Kind::AuthProvider => SWITCHES
                    .iter()
                    .find(|(of, _)| *of == pointer)
                    .is_some_and(|(_, flag)| node.at(flag) != Some(&Value::Bool(true))),
                _ => false,
            };
            if idle {
                continue;
            }
            if config.get(Kind::Function, &name).is_none() {
                let functions: Vec<&str> = config
                    .all(Kind::Function)
                    .map(|(n, _)| n.as_str())
                    .collect();
                let hint =
                    nearest(&name, &functions).map(|near| format!("did you mean \"{near}\"?"));
                self.say(
                    Severity::Error,
                    pointer,
                    format!("there is no function \"{name}\""),
                    hint,
                );
            }
        }
        for (pointer, name) in named(SOURCE_REFERENCES) {
            let disabled = match kind {
                Kind::CustomUserData => !node.flag("enabled"),
                Kind::LogForwarder => {
                    node.at("/action/type").and_then(Value::as_str) != Some("collection")
                }
                _ => false,
            };
            if !disabled && config.get(Kind::DataSource, &name).is_none() {
                // The service takes such an app, too: the part waits for its source.
                let sources: Vec<&str> = config
                    .all(Kind::DataSource)
                    .map(|(n, _)| n.as_str())
                    .collect();
                let hint = nearest(&name, &sources).map(|near| format!("did you mean \"{near}\"?"));
                self.say(
                    Severity::Warning,
                    pointer,
                    format!("there is no data source \"{name}\""),
                    hint,
                );
            }
        }
    }

    fn special(&mut self) {
        match self.kind {
            Kind::AuthProvider => {
                for (pointer, text) in crate::providers::faults(self.node) {
                    self.error(&pointer, text);
                }
                let kind = self.node.text("type");
                if PROVIDERS.contains(&kind) && self.key != kind {
                    self.error(
                        "/type",
                        format!(
                            "the provider \"{}\" has the type \"{kind}\"; they have to be the same",
                            self.key
                        ),
                    );
                }
            }
            Kind::DataSource | Kind::Service | Kind::Function => {
                let name = self.node.text("name");
                if !name.is_empty() && name != self.key {
                    self.error(
                        "/name",
                        format!(
                            "the {} is called \"{name}\", its folder \"{}\"",
                            self.kind.noun(),
                            self.key
                        ),
                    );
                }
            }
            Kind::Rule => {
                let mut parts = self.key.splitn(3, '/').skip(1);
                for field in ["database", "collection"] {
                    let folder = parts.next().unwrap_or_default();
                    let named = self.node.text(field);
                    if !named.is_empty() && named != folder {
                        self.error(
                            &format!("/{field}"),
                            format!("the {field} is \"{named}\", its folder \"{folder}\""),
                        );
                    }
                }
                self.roles();
            }
            Kind::DefaultRule => self.roles(),
            Kind::CustomUserData if self.node.flag("enabled") => {
                for field in [
                    "mongo_service_name",
                    "database_name",
                    "collection_name",
                    "user_id_field",
                ] {
                    if self.node.text(field).is_empty() {
                        self.error(
                            "",
                            format!("custom user data is enabled and has no \"{field}\""),
                        );
                    }
                }
            }
            Kind::Trigger => self.trigger(),
            Kind::Relationships => {
                let found = crate::relationships::flaws(self.config, self.key, self.node);
                self.found.extend(found);
            }
            Kind::Hosting => {
                for (field, text) in crate::hosting::faults(self.node) {
                    self.error(&format!("/{field}"), text);
                }
            }
            Kind::Endpoint if !self.node.text("route").starts_with('/') => {
                self.error("/route", "a route has to start with '/'".to_owned());
            }
            Kind::Value
                if self.node.flag("from_secret")
                    && !self.node.at("/value").is_some_and(Value::is_string) =>
            {
                self.error("/value", "a value from a secret has to name it".to_owned());
            }
            _ => {}
        }
        let orphan = matches!(self.kind, Kind::Rule | Kind::Schema | Kind::DefaultRule)
            && self
                .config
                .get(
                    Kind::DataSource,
                    self.key.split('/').next().unwrap_or_default(),
                )
                .is_none();
        if orphan {
            let source = self.key.split('/').next().unwrap_or_default();
            self.error(
                "",
                format!("there is no data source \"{source}\" (its config.json is missing)"),
            );
        }
    }

    /// A forgotten condition is legal and means everyone. What else is wrong
    /// with roles is said where they are compiled.
    fn roles(&mut self) {
        let roles = self.node.at("/roles").and_then(Value::as_array);
        for (index, role) in roles.into_iter().flatten().enumerate() {
            if role.is_object() && role.get("apply_when").is_none() {
                self.say(
                    Severity::Warning,
                    &format!("/roles/{index}"),
                    "the role has no \"apply_when\", so it applies to everyone".to_owned(),
                    None,
                );
            }
        }
    }

    fn trigger(&mut self) {
        let node = self.node;
        let has = |pointer: &str| node.at(pointer).is_some_and(|v| !v.is_null());
        let processors = node.at("/event_processors").and_then(Value::as_object);
        if !has("/function_name") && processors.is_none_or(serde_json::Map::is_empty) {
            self.error("", "the trigger names no function".to_owned());
        }
        for name in processors.into_iter().flat_map(serde_json::Map::keys) {
            self.processor(name);
        }
        for (kind, field, shape) in TRIGGER_SETTINGS {
            let pointer = format!("/config/{field}");
            let value = node.at(&pointer).filter(|value| !value.is_null());
            if let (true, Some(value)) = (node.text("type") == *kind, value)
                && let Some(fault) = shape.fault(value)
            {
                self.error(&pointer, format!("\"{field}\" {fault}"));
            }
        }
        match node.text("type") {
            "SCHEDULED" => match node.at("/config/schedule").and_then(Value::as_str) {
                None => self.missing("schedule"),
                Some(schedule) => {
                    if let Err(fault) = schedule::check(schedule) {
                        self.error("/config/schedule", fault);
                    }
                }
            },
            "DATABASE" => {
                if !has("/config/service_name") && !has("/config/service_id") {
                    self.missing("service_name");
                }
                let types = node.at("/config/operation_types");
                match types.and_then(Value::as_array) {
                    None => self.missing("operation_types"),
                    Some(types) => self.words("/config/operation_types", types, OPERATION_TYPES),
                }
            }
            "AUTHENTICATION" => {
                // Some files have a list of operations.
                match node.at("/config/operation_type") {
                    None => self.missing("operation_type"),
                    Some(Value::Array(list)) => {
                        self.words("/config/operation_type", list, AUTH_OPERATIONS);
                    }
                    Some(one) => self.word("/config/operation_type", one, AUTH_OPERATIONS),
                }
                let providers = node.at("/config/providers");
                match providers.and_then(Value::as_array) {
                    None => self.missing("providers"),
                    Some(providers) => self.words("/config/providers", providers, PROVIDERS),
                }
            }
            _ => {}
        }
    }

    /// What happens when a trigger fires.
    fn processor(&mut self, name: &str) {
        let needed: &[&str] = match name {
            "FUNCTION" => &["function_name"],
            "AWS_EVENTBRIDGE" => &["account_id", "region"],
            _ => {
                let text = format!("there is no event processor \"{name}\"");
                self.error("/event_processors", text);
                return;
            }
        };
        for field in needed {
            let pointer = format!("/event_processors/{name}/config/{field}");
            let value = self.node.at(&pointer).and_then(Value::as_str);
            if value.is_none_or(str::is_empty) {
                self.error(
                    &pointer,
                    format!("the event processor {name} has no \"{field}\""),
                );
            }
        }
    }

    fn missing(&mut self, field: &str) {
        let kind = self.node.text("type").to_lowercase();
        let text = format!("the {kind} trigger has no \"{field}\"");
        self.error(&format!("/config/{field}"), text);
    }

    fn words(&mut self, pointer: &str, list: &[Value], known: &'static [&'static str]) {
        if list.is_empty() {
            self.error(pointer, "the list must not be empty".to_owned());
        }
        for (index, word) in list.iter().enumerate() {
            self.word(&format!("{pointer}/{index}"), word, known);
        }
    }

    fn word(&mut self, pointer: &str, word: &Value, known: &'static [&'static str]) {
        if let Some(fault) = Shape::OneOf(known).fault(word) {
            self.error(pointer, fault);
        }
    }
}

/// What the settings of triggers hold, by type.
const TRIGGER_SETTINGS: &[(&str, &str, Shape)] = &[
    ("DATABASE", "service_name", Shape::Text),
    ("DATABASE", "database", Shape::Text),
    ("DATABASE", "collection", Shape::Text),
    ("DATABASE", "match", Shape::Object),
    ("DATABASE", "project", Shape::Object),
    ("DATABASE", "full_document", Shape::Flag),
    ("DATABASE", "full_document_before_change", Shape::Flag),
    ("DATABASE", "unordered", Shape::Flag),
    ("DATABASE", "skip_catchup_events", Shape::Flag),
    ("DATABASE", "tolerate_resume_errors", Shape::Flag),
    ("DATABASE", "maximum_throughput", Shape::Flag),
    ("SCHEDULED", "skip_catchup_events", Shape::Flag),
];
const AUTH_OPERATIONS: &[&str] = &["LOGIN", "CREATE", "DELETE"];
const OPERATION_TYPES: &[&str] = &[
    "INSERT",
    "UPDATE",
    "REPLACE",
    "DELETE",
    "CREATE_COLLECTION",
    "MODIFY_COLLECTION",
    "RENAME_COLLECTION",
    "DROP_COLLECTION",
    "SHARD_COLLECTION",
    "RESHARD_COLLECTION",
    "REFINE_COLLECTION_SHARD_KEY",
    "CREATE_INDEXES",
    "DROP_INDEXES",
    "DROP_DATABASE",
];
