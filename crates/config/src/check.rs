//! What a value has to satisfy beyond being readable: fields and references.

use kit::{Finding, Severity};
use serde_json::Value;

use crate::kind::{PROVIDERS, Shape, nearest};
use crate::parse::Source;
use crate::{AppConfig, Kind, Node, schedule};

/// Adds every problem of `config`.
pub(crate) fn check(config: &AppConfig, source: &Source, findings: &mut Vec<Finding>) {
    for problem in problems(config) {
        let mut finding = source.finding(
            problem.severity,
            problem.kind,
            &problem.key,
            &problem.pointer,
            problem.message,
        );
        finding.hint = problem.hint;
        findings.push(finding);
    }
}

/// A problem of a node, before it has a place.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Every problem of a value.
pub(crate) fn problems(config: &AppConfig) -> Vec<Problem> {
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
            cx.fields();
            cx.references();
            cx.special();
        }
    }
    found
}

struct Checking<'a> {
    config: &'a AppConfig,
    kind: Kind,
    key: &'a str,
    node: &'a Node,
    found: &'a mut Vec<Problem>,
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
    (Kind::LogForwarder, "/action/name"),
];

/// Fields that name a data source, by kind.
pub(crate) const SOURCE_REFERENCES: &[(Kind, &str)] = &[
    (Kind::CustomUserData, "/mongo_service_name"),
    (Kind::Trigger, "/config/service_name"),
    (Kind::Sync, "/service_name"),
];

impl Checking<'_> {
    fn say(&mut self, severity: Severity, pointer: &str, message: String, hint: Option<String>) {
        self.found.push(Problem {
            severity,
            kind: self.kind,
            key: self.key.to_owned(),
            pointer: pointer.to_owned(),
            message,
            hint,
        });
    }

    fn error(&mut self, pointer: &str, message: String) {
        self.say(Severity::Error, pointer, message, None);
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
            if kind == Kind::LogForwarder
                && node.at("/action/type").and_then(Value::as_str) != Some("function")
            {
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
            let disabled = kind == Kind::CustomUserData && !node.flag("enabled");
            if !disabled && config.get(Kind::DataSource, &name).is_none() {
                self.error(pointer, format!("there is no data source \"{name}\""));
            }
        }
    }

    fn special(&mut self) {
        match self.kind {
            Kind::AuthProvider => {
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
            Kind::DataSource | Kind::Service => {
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
            Kind::Endpoint => {
                if !self.node.text("route").starts_with('/') {
                    self.error("/route", "a route has to start with '/'".to_owned());
                }
            }
            Kind::Value => {
                if self.node.flag("from_secret") && !self.node.json["value"].is_string() {
                    self.error("/value", "a value from a secret has to name it".to_owned());
                }
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

    fn roles(&mut self) {
        let Some(roles) = self.node.json["roles"].as_array() else {
            return;
        };
        let mut names = Vec::new();
        for (index, role) in roles.iter().enumerate() {
            let pointer = format!("/roles/{index}");
            let Some(fields) = role.as_object() else {
                self.error(&pointer, "a role has to be an object".to_owned());
                continue;
            };
            match fields.get("name").and_then(Value::as_str) {
                None => self.error(&pointer, "the role has no \"name\"".to_owned()),
                Some(name) if names.contains(&name) => {
                    self.error(
                        &format!("{pointer}/name"),
                        format!("there are two roles \"{name}\""),
                    );
                }
                Some(name) => names.push(name),
            }
            if !fields.contains_key("apply_when") {
                self.error(&pointer, "the role has no \"apply_when\"".to_owned());
            }
        }
    }

    fn trigger(&mut self) {
        match self.node.text("type") {
            "SCHEDULED" => match self.node.at("/config/schedule").and_then(Value::as_str) {
                None => self.error(
                    "/config",
                    "a scheduled trigger has no \"schedule\"".to_owned(),
                ),
                Some(schedule) => {
                    if let Err(fault) = schedule::check(schedule) {
                        self.error("/config/schedule", fault);
                    }
                }
            },
            "DATABASE" => {
                if self.node.at("/config/service_name").is_none() {
                    self.error(
                        "/config",
                        "a database trigger has no \"service_name\"".to_owned(),
                    );
                }
            }
            _ => {}
        }
    }
}
