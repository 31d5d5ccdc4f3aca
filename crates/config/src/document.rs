//! The JSON document of pull and push (admin-api.md §4.5): the same value in
//! another dialect. Providers are an array, sources lie inside of their
//! functions, rules and schemas are lists.
//!
//! What the document has no place for (the app's id and region, dependencies,
//! hosted files) is taken from the value that it replaces.

use kit::{Finding, Severity};
use serde_json::{Map, Value, json};

use crate::check::flaws;
use crate::parse::endpoint_key_of;
use crate::{AppConfig, Flaw, Kind, Node, Places, Reading};

/// The environments: what documents and the Admin API call each, and its file.
pub const ENVIRONMENTS: [(&str, &str); 5] = [
    ("none", "no-environment"),
    ("development", "development"),
    ("testing", "testing"),
    ("qa", "qa"),
    ("production", "production"),
];
/// Sections that are lists of nodes with a name.
const LISTS: [(&str, Kind); 3] = [
    ("log_forwarders", Kind::LogForwarder),
    ("triggers", Kind::Trigger),
    ("values", Kind::Value),
];
/// Sections that are one node or nothing.
const SINGLES: [(&str, Kind); 4] = [
    ("custom_user_data", Kind::CustomUserData),
    ("data_api_config", Kind::DataApi),
    ("hosting", Kind::Hosting),
    ("sync", Kind::Sync),
];
/// Sections of services: the file layout has legacy HTTP services apart.
const SERVICES: [&str; 2] = ["https_endpoints", "services"];
/// Fields of the root that a push sets.
const ROOT_FIELDS: [&str; 2] = ["environment", "allowed_request_origins"];

/// A configuration as a document.
pub fn to_document(config: &AppConfig) -> Value {
    let root = config.get(Kind::Root, "").map(|node| &node.json);
    let of_root = |name: &str| root.and_then(|root| root.get(name)).cloned();
    let mut document = Map::new();
    for name in ["name", "provider_region", "deployment_model"] {
        let value = of_root(name).unwrap_or_else(|| json!(""));
        document.insert(name.to_owned(), value);
    }
    for name in ROOT_FIELDS {
        if let Some(value) = of_root(name) {
            document.insert(name.to_owned(), value);
        }
    }
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put("auth_providers", list(config, Kind::AuthProvider));
    for (name, kind) in SINGLES {
        let none = if matches!(kind, Kind::Hosting | Kind::Sync) {
            json!({})
        } else {
            Value::Null
        };
        put(name, single(config, kind).unwrap_or(none));
    }
    put("data_sources", data_sources(config));
    put("endpoints", list(config, Kind::Endpoint));
    put("environments", environments(config));
    put("functions", functions(config));
    put(
        "graphql",
        json!({
            "config": single(config, Kind::GraphqlConfig).unwrap_or_else(|| json!({})),
            "validation_settings": single(config, Kind::GraphqlValidation),
            "custom_resolvers": list(config, Kind::GraphqlResolver),
        }),
    );
    for section in SERVICES {
        put(section, services(config, section));
    }
    for (name, kind) in LISTS {
        put(name, list(config, kind));
    }
    put("schemas", schemas(config));
    Value::Object(document)
}

pub(crate) fn single(config: &AppConfig, kind: Kind) -> Option<Value> {
    config.get(kind, "").map(|node| node.json.clone())
}

fn list(config: &AppConfig, kind: Kind) -> Value {
    config
        .all(kind)
        .map(|(_, node)| node.json.clone())
        .collect()
}

/// Nodes whose key begins with `<owner>/`.
fn owned(config: &AppConfig, kind: Kind, owner: &str) -> Vec<Value> {
    config
        .all(kind)
        .filter(|(key, _)| owner_of(key) == owner)
        .map(|(_, node)| with_source(node, "source"))
        .collect()
}

fn owner_of(key: &str) -> &str {
    key.split_once('/').map_or(key, |(owner, _)| owner)
}

fn with_source(node: &Node, field: &str) -> Value {
    let mut json = node.json.clone();
    if let Some(source) = &node.source {
        json[field] = json!(**source);
    }
    json
}

fn functions(config: &AppConfig) -> Value {
    config
        .all(Kind::Function)
        .map(|(_, node)| with_source(node, "source"))
        .collect()
}

fn environments(config: &AppConfig) -> Value {
    let entries = ENVIRONMENTS.iter().filter_map(|(name, file)| {
        let node = config.get(Kind::Environment, file)?;
        Some(((*name).to_owned(), node.json.clone()))
    });
    Value::Object(entries.collect())
}

fn data_sources(config: &AppConfig) -> Value {
    config
        .all(Kind::DataSource)
        .map(|(name, node)| {
            let mut json = node.json.clone();
            if let Some(default) = config.get(Kind::DefaultRule, name) {
                json["default_rule"] = default.json.clone();
            }
            json["rules"] = owned(config, Kind::Rule, name).into();
            json
        })
        .collect()
}

fn services(config: &AppConfig, section: &str) -> Value {
    config
        .all(Kind::Service)
        .filter(|(_, node)| (node.text("type") == "http") == (section == SERVICES[0]))
        .map(|(name, node)| {
            let mut json = node.json.clone();
            json["rules"] = owned(config, Kind::ServiceRule, name).into();
            json["incoming_webhooks"] = owned(config, Kind::Webhook, name).into();
            json
        })
        .collect()
}

fn schemas(config: &AppConfig) -> Value {
    let mut keys: Vec<&String> = config.all(Kind::Schema).map(|(key, _)| key).collect();
    for (key, _) in config.all(Kind::Relationships) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.into_iter()
        .filter_map(|key| {
            let mut parts = key.splitn(3, '/');
            let mut json = json!({ "metadata": {
                "data_source": parts.next()?, "database": parts.next()?, "collection": parts.next()?,
            }});
            for (field, kind) in [("schema", Kind::Schema), ("relationships", Kind::Relationships)] {
                if let Some(node) = config.get(kind, key) {
                    json[field] = node.json.clone();
                }
            }
            Some(json)
        })
        .collect()
}

/// What reads a document: the value as far as it was read, and what is wrong
/// with the document's shape.
pub(crate) struct Reader {
    pub(crate) config: AppConfig,
    pub(crate) findings: Vec<Finding>,
    /// What is wrong with nodes.
    flaws: Vec<Flaw>,
}

/// A document as a configuration that replaces `base`. It is whole unless the
/// document has the wrong shape; findings name the file and line where a node
/// would lie.
pub fn read_document(document: &Value, base: &AppConfig) -> Reading {
    let mut reader = Reader::new(base.layout);
    let empty = Map::new();
    let document = document.as_object().unwrap_or_else(|| {
        reader.wrong("the configuration has to be an object".to_owned());
        &empty
    });
    reader.root(document, base);
    reader.sections(document);
    for kind in [Kind::Dependencies, Kind::HostingMetadata, Kind::HostingFile] {
        for (key, node) in base.all(kind) {
            reader.config.put(kind, key.clone(), Node::clone(node));
        }
    }
    reader.settle(base);
    reader.finish()
}

impl Reader {
    /// A reader of a document for an app in a layout.
    pub(crate) fn new(layout: crate::RootLayout) -> Self {
        Self {
            config: AppConfig {
                layout,
                ..AppConfig::default()
            },
            findings: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// Makes what was read the next one after `base`.
    pub(crate) fn settle(&mut self, base: &AppConfig) {
        self.flaws = crate::templates::expand(&mut self.config);
        self.config.settle(base);
    }

    /// What was read, checked. It is whole unless the document has the wrong
    /// shape.
    pub(crate) fn finish(self) -> Reading {
        let Self {
            config,
            mut findings,
            flaws: mut wrong,
        } = self;
        let whole = findings.is_empty();
        let places = Places::printed(&config);
        wrong.extend(flaws(&config));
        findings.extend(wrong.into_iter().map(|flaw| places.find(flaw)));
        for (kind, what) in [(Kind::Function, "function"), (Kind::Webhook, "webhook")] {
            for (key, node) in config.all(kind) {
                if node.source.is_none() {
                    let text = format!("the {what} \"{key}\" has no \"source\"");
                    findings.push(places.find(Flaw::error(kind, key, "/name", text)));
                }
            }
        }
        Reading {
            config,
            whole,
            findings,
            places,
        }
    }

    pub(crate) fn wrong(&mut self, text: String) {
        self.findings.push(Finding {
            severity: Severity::Error,
            ..Finding::error("", text)
        });
    }

    /// The app's own fields. A push neither renames nor moves the app.
    fn root(&mut self, document: &Map<String, Value>, base: &AppConfig) {
        let mut root = single(base, Kind::Root).unwrap_or_else(|| json!({}));
        if let Some(fields) = root.as_object_mut() {
            for name in ROOT_FIELDS {
                match document.get(name) {
                    Some(value) if !value.is_null() => {
                        fields.insert(name.to_owned(), value.clone());
                    }
                    _ => {
                        fields.shift_remove(name);
                    }
                }
            }
        }
        self.config.put(Kind::Root, "", Node::new(root));
    }

    fn sections(&mut self, document: &Map<String, Value>) {
        let section = |name: &str| document.get(name).unwrap_or(&Value::Null);
        for entry in self.entries("auth_providers", section("auth_providers")) {
            let key = text(&entry, "type");
            self.add(Kind::AuthProvider, key, Node::new(entry), "auth_providers");
        }
        for (name, kind) in SINGLES {
            match section(name) {
                Value::Null => {}
                Value::Object(fields) if fields.is_empty() => {}
                value @ Value::Object(_) => self.config.put(kind, "", Node::new(value.clone())),
                _ => self.wrong(format!("\"{name}\" has to be an object")),
            }
        }
        for mut entry in self.entries("data_sources", section("data_sources")) {
            let name = text(&entry, "name");
            let default = take(&mut entry, "default_rule");
            let rules = take(&mut entry, "rules");
            self.add(
                Kind::DataSource,
                name.clone(),
                Node::new(entry),
                "data_sources",
            );
            if !default.is_null() {
                self.config
                    .put(Kind::DefaultRule, name.clone(), Node::new(default));
            }
            for rule in self.entries("rules", &rules) {
                let key = format!(
                    "{name}/{}/{}",
                    text(&rule, "database"),
                    text(&rule, "collection")
                );
                self.add(Kind::Rule, key, Node::new(rule), "rules");
            }
        }
        for entry in self.entries("endpoints", section("endpoints")) {
            self.add(
                Kind::Endpoint,
                endpoint_key_of(&entry),
                Node::new(entry),
                "endpoints",
            );
        }
        self.environments(section("environments"));
        for entry in self.entries("functions", section("functions")) {
            let key = text(&entry, "name");
            self.add(Kind::Function, key, split_source(entry), "functions");
        }
        self.graphql(section("graphql"));
        for name in SERVICES {
            for entry in self.entries(name, section(name)) {
                self.service(entry, name);
            }
        }
        for (name, kind) in LISTS {
            for entry in self.entries(name, section(name)) {
                self.add(kind, text(&entry, "name"), Node::new(entry), name);
            }
        }
        for mut entry in self.entries("schemas", section("schemas")) {
            let metadata = take(&mut entry, "metadata");
            let part = |name: &str| text(&metadata, name);
            let key = format!(
                "{}/{}/{}",
                part("data_source"),
                part("database"),
                part("collection")
            );
            for (field, kind) in [
                ("schema", Kind::Schema),
                ("relationships", Kind::Relationships),
            ] {
                let json = take(&mut entry, field);
                if !json.is_null() {
                    self.add(kind, key.clone(), Node::new(json), "schemas");
                }
            }
        }
    }

    fn environments(&mut self, section: &Value) {
        for (name, file) in ENVIRONMENTS {
            match section.get(name) {
                None | Some(Value::Null) => {}
                Some(values) => {
                    self.config
                        .put(Kind::Environment, file, Node::new(values.clone()));
                }
            }
        }
    }

    fn graphql(&mut self, section: &Value) {
        for (field, kind) in [
            ("config", Kind::GraphqlConfig),
            ("validation_settings", Kind::GraphqlValidation),
        ] {
            let json = section.get(field).cloned().unwrap_or_default();
            if json.as_object().is_some_and(|fields| !fields.is_empty()) {
                self.config.put(kind, "", Node::new(json));
            }
        }
        let resolvers = section.get("custom_resolvers").unwrap_or(&Value::Null);
        for entry in self.entries("custom_resolvers", resolvers) {
            let key = resolver_key_of(&entry);
            self.add(
                Kind::GraphqlResolver,
                key,
                Node::new(entry),
                "custom_resolvers",
            );
        }
    }

    fn service(&mut self, mut entry: Value, section: &str) {
        let name = text(&entry, "name");
        let rules = take(&mut entry, "rules");
        let webhooks = take(&mut entry, "incoming_webhooks");
        self.add(Kind::Service, name.clone(), Node::new(entry), section);
        for rule in self.entries("rules", &rules) {
            let key = format!("{name}/{}", text(&rule, "name"));
            self.add(Kind::ServiceRule, key, Node::new(rule), "rules");
        }
        for webhook in self.entries("incoming_webhooks", &webhooks) {
            let key = format!("{name}/{}", text(&webhook, "name"));
            self.add(
                Kind::Webhook,
                key,
                split_source(webhook),
                "incoming_webhooks",
            );
        }
    }

    /// The objects of a list; null is none.
    pub(crate) fn entries(&mut self, name: &str, section: &Value) -> Vec<Value> {
        match section {
            Value::Null => Vec::new(),
            Value::Array(entries) if entries.iter().all(Value::is_object) => entries.clone(),
            _ => {
                self.wrong(format!("\"{name}\" has to be an array of objects"));
                Vec::new()
            }
        }
    }

    pub(crate) fn add(&mut self, kind: Kind, key: String, node: Node, section: &str) {
        if kind != Kind::Endpoint && key.split('/').any(str::is_empty) {
            let noun = kind.noun();
            self.wrong(format!("a {noun} in \"{section}\" has no name"));
        } else if self.config.get(kind, &key).is_some() {
            self.wrong(format!("there are two of the {} \"{key}\"", kind.noun()));
        } else {
            self.config.put(kind, key, node);
        }
    }
}

/// The key of the custom resolver that a file's entry describes.
pub(crate) fn resolver_key_of(json: &Value) -> String {
    resolver_key(&text(json, "on_type"), &text(json, "field_name"))
}

/// A custom resolver's key, which is its file's name.
pub fn resolver_key(on_type: &str, field: &str) -> String {
    format!("{on_type}_{field}").to_lowercase()
}

pub(crate) fn text(json: &Value, name: &str) -> String {
    let text = json.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Takes a field out of an object; null when missing.
pub(crate) fn take(json: &mut Value, name: &str) -> Value {
    json.as_object_mut()
        .and_then(|fields| fields.shift_remove(name))
        .unwrap_or_default()
}

fn split_source(mut json: Value) -> Node {
    match take(&mut json, "source") {
        Value::String(source) => Node::function(json, &source),
        _ => Node::new(json),
    }
}
