//! The whole-app document of import (admin-api.md §4.6): the files of a
//! directory folded into one object, in the form of config version 20210101
//! or in the older one.
//!
//! Which nodes are meant by what it names is the caller's to say: ids lie
//! outside of the value.

use serde_json::{Map, Value, json};

use crate::document::{ENVIRONMENTS, Reader, resolver_key_of, single, take, text};
use crate::exported::allowed_origins;
use crate::node::NodeKey;
use crate::order::take_id;
use crate::parse::endpoint_key_of;
use crate::{AppConfig, Kind, Node, Reading, RootLayout};

/// A change of a node's key: kind, old key, new key.
pub type Rename = (Kind, NodeKey, NodeKey);

/// What a document says.
pub struct Import {
    reader: Reader,
    /// The layout whose form it has.
    pub layout: RootLayout,
    /// The ids that it gives: kind and key, and the id.
    pub ids: Vec<(Kind, NodeKey, String)>,
    /// The secrets that it brings along: name and value.
    pub secrets: Vec<(String, String)>,
    /// Collections of which it has nothing but schemas.
    only_schemas: Vec<NodeKey>,
    /// Whether it speaks of endpoints: the older form cannot.
    endpoints: bool,
    environment: Option<Value>,
    origins: Option<Value>,
}

/// What becomes of the nodes that a document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// They stay.
    Merge,
    /// They go, but for what there is once in an app: that stays until it is
    /// named.
    Replace,
}

/// What there is once in an app.
const SINGLES: [Kind; 6] = [
    Kind::CustomUserData,
    Kind::DataApi,
    Kind::GraphqlConfig,
    Kind::GraphqlValidation,
    Kind::Hosting,
    Kind::Sync,
];
/// What no document has.
const ELSEWHERE: [Kind; 3] = [Kind::Dependencies, Kind::HostingMetadata, Kind::HostingFile];
/// Kinds whose keys begin with their service's.
const OWNED: [Kind; 6] = [
    Kind::DefaultRule,
    Kind::Rule,
    Kind::Schema,
    Kind::Relationships,
    Kind::ServiceRule,
    Kind::Webhook,
];

impl AppConfig {
    /// Renames, and with them those of what belongs to the services that get
    /// another name.
    pub fn renames_within(&self, renames: &[Rename]) -> Vec<Rename> {
        let mut all = renames.to_vec();
        for (kind, old, new) in renames {
            if !matches!(kind, Kind::DataSource | Kind::Service) {
                continue;
            }
            for part in OWNED {
                for (key, _) in self.all(part) {
                    let Some(rest) = key.strip_prefix(old.as_str()) else {
                        continue;
                    };
                    let inside = rest.is_empty() || rest.starts_with('/');
                    let said = all.iter().any(|(of, known, _)| *of == part && known == key);
                    if inside && !said {
                        all.push((part, key.clone(), format!("{new}{rest}")));
                    }
                }
            }
        }
        all
    }
}

/// The name of the secret that is made of a setting's value, when the value comes
/// along with what it belongs to: a service or an authentication provider.
pub fn secret_name(owner: &str, field: &str) -> String {
    format!("__{owner}_{field}")
}

impl Import {
    /// Reads a document. What is wrong with its shape is told when it is put
    /// onto a configuration.
    pub fn read(document: &Value) -> Self {
        let empty = Map::new();
        let fields = document.as_object().unwrap_or(&empty);
        let mut import = Self {
            reader: Reader::new(RootLayout::Realm),
            layout: RootLayout::Realm,
            ids: Vec::new(),
            secrets: Vec::new(),
            only_schemas: Vec::new(),
            endpoints: true,
            environment: fields.get("environment").cloned(),
            origins: allowed_origins(document).cloned(),
        };
        if !document.is_object() {
            import.wrong("the configuration has to be an object");
        }
        import.version(fields);
        import.sections(fields);
        import.secrets(fields.get("secrets").unwrap_or(&Value::Null));
        import
    }

    /// Whether it names a node.
    pub fn names(&self, kind: Kind, key: &str) -> bool {
        self.reader.config.get(kind, key).is_some()
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.reader.wrong(text.into());
    }

    fn version(&mut self, fields: &Map<String, Value>) {
        let version = match fields.get("config_version") {
            None | Some(Value::Null) => {
                // Each form has something that the other one has not.
                let older = ["auth_providers", "custom_user_data_config"];
                let older = older.iter().any(|name| fields.contains_key(*name))
                    || fields.get("functions").is_some_and(Value::is_array);
                if older {
                    self.layout = RootLayout::Older;
                }
                return;
            }
            Some(Value::String(version)) => version.clone(),
            Some(version) => version.to_string(),
        };
        match RootLayout::of_version(&version) {
            Some(layout) => self.layout = layout,
            None => self.wrong(format!(
                "the \"config_version\" {version} is none of 20180301, 20200603, 20210101, 20230101"
            )),
        }
    }

    fn sections(&mut self, fields: &Map<String, Value>) {
        let section = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        if self.layout.is_older() {
            for provider in self
                .reader
                .entries("auth_providers", section("auth_providers"))
            {
                let key = match text(&provider, "type") {
                    of if of.is_empty() => text(&provider, "name"),
                    of => of,
                };
                self.node(Kind::AuthProvider, key, provider, None, "auth_providers");
            }
            self.one(
                Kind::CustomUserData,
                section("custom_user_data_config"),
                "custom_user_data_config",
            );
            self.one(Kind::Sync, section("sync"), "sync");
            for function in self.reader.entries("functions", section("functions")) {
                let (config, source) = configured(function);
                self.node(
                    Kind::Function,
                    text(&config, "name"),
                    config,
                    source,
                    "functions",
                );
            }
            self.endpoints = !section("endpoints").is_null();
        } else {
            let auth = self.object("auth", section("auth"));
            self.providers(auth.get("providers").unwrap_or(&Value::Null));
            let user_data = auth.get("custom_user_data").unwrap_or(&Value::Null);
            self.one(Kind::CustomUserData, user_data, "auth.custom_user_data");
            let sync = self.object("sync", section("sync"));
            self.one(
                Kind::Sync,
                sync.get("config").unwrap_or(&Value::Null),
                "sync.config",
            );
            self.functions(section("functions"));
        }
        self.one(Kind::Hosting, section("hosting"), "hosting");
        self.one(Kind::DataApi, section("data_api_config"), "data_api_config");
        self.environments(section("environments"));
        for (name, kind) in [
            ("values", Kind::Value),
            ("triggers", Kind::Trigger),
            ("log_forwarders", Kind::LogForwarder),
        ] {
            for entry in self.reader.entries(name, section(name)) {
                self.node(kind, text(&entry, "name"), entry, None, name);
            }
        }
        let endpoints = self.object("endpoints", section("endpoints"));
        let endpoints = endpoints.get("config").cloned().unwrap_or_default();
        for entry in self.reader.entries("endpoints.config", &endpoints) {
            self.node(
                Kind::Endpoint,
                endpoint_key_of(&entry),
                entry,
                None,
                "endpoints.config",
            );
        }
        for name in ["data_sources", "http_endpoints", "services"] {
            for service in self.reader.entries(name, section(name)) {
                self.service(service, name);
            }
        }
        self.graphql(section("graphql"));
    }

    /// The fields of a section; null is none.
    fn object(&mut self, name: &str, section: &Value) -> Map<String, Value> {
        match section {
            Value::Null => Map::new(),
            Value::Object(fields) => fields.clone(),
            _ => {
                self.wrong(format!("\"{name}\" has to be an object"));
                Map::new()
            }
        }
    }

    /// What there is once: null and an empty object say nothing of it.
    fn one(&mut self, kind: Kind, section: &Value, name: &str) {
        let fields = self.object(name, section);
        if !fields.is_empty() {
            self.reader
                .config
                .put(kind, "", Node::new(Value::Object(fields)));
        }
    }

    fn node(
        &mut self,
        kind: Kind,
        key: String,
        mut json: Value,
        source: Option<Value>,
        section: &str,
    ) {
        match take_id(&mut json) {
            Ok(Some(id)) => self.ids.push((kind, key.clone(), id)),
            Ok(None) => {}
            Err(()) => self.wrong(format!(
                "the id of the {} \"{key}\" has to be a string",
                kind.noun()
            )),
        }
        let node = match source {
            Some(Value::String(source)) => Node::function(json, &source),
            None | Some(Value::Null) => Node::new(json),
            Some(_) => {
                self.wrong(format!(
                    "the source of the {} \"{key}\" has to be a string",
                    kind.noun()
                ));
                return;
            }
        };
        self.reader.add(kind, key, node, section);
    }

    fn providers(&mut self, providers: &Value) {
        for (name, provider) in self.object("auth.providers", providers) {
            if provider.is_object() {
                self.node(Kind::AuthProvider, name, provider, None, "auth.providers");
            } else {
                self.wrong(format!("the auth provider \"{name}\" has to be an object"));
            }
        }
    }

    /// Manifests and sources; a source without a manifest gets the defaults.
    fn functions(&mut self, section: &Value) {
        let section = self.object("functions", section);
        let sources = section.get("sources").unwrap_or(&Value::Null);
        let mut sources: Map<String, Value> = self
            .object("functions.sources", sources)
            .into_iter()
            .filter_map(|(path, source)| {
                // Clients on Windows have its separators.
                let path = path.replace('\\', "/");
                Some((path.strip_suffix(".js")?.to_owned(), source))
            })
            .collect();
        let manifests = section.get("config").unwrap_or(&Value::Null);
        for manifest in self.reader.entries("functions.config", manifests) {
            let key = text(&manifest, "name");
            let source = sources.shift_remove(&key);
            self.node(Kind::Function, key, manifest, source, "functions.config");
        }
        for (key, source) in sources {
            let manifest = json!({ "name": key, "private": false });
            self.node(
                Kind::Function,
                key,
                manifest,
                Some(source),
                "functions.sources",
            );
        }
    }

    /// Values by environment; they are keyed by their file's name.
    fn environments(&mut self, section: &Value) {
        for (name, values) in self.object("environments", section) {
            let file = name.strip_suffix(".json").unwrap_or(&name);
            let known = ENVIRONMENTS
                .into_iter()
                .find(|(api, known)| file == *known || file == *api);
            match known {
                Some((_, file)) if values.is_object() => {
                    self.reader.add(
                        Kind::Environment,
                        file.to_owned(),
                        Node::new(values),
                        "environments",
                    );
                }
                Some(_) if values.is_null() => {}
                Some(_) => self.wrong(format!("the environment \"{name}\" has to be an object")),
                None => self.wrong(format!("there is no environment \"{name}\"")),
            }
        }
    }

    fn service(&mut self, mut service: Value, section: &str) {
        let config = take(&mut service, "config");
        if !config.is_object() {
            self.wrong(format!("an entry of \"{section}\" has no \"config\""));
            return;
        }
        let name = text(&config, "name");
        let of = text(&config, "type");
        let data_source = crate::kind::DATA_SOURCES.contains(&of.as_str());
        let kind = if data_source {
            Kind::DataSource
        } else {
            Kind::Service
        };
        self.node(kind, name.clone(), config, None, section);
        let default = self.object("default_rule", &take(&mut service, "default_rule"));
        if !default.is_empty() {
            self.node(
                Kind::DefaultRule,
                name.clone(),
                Value::Object(default),
                None,
                section,
            );
        }
        let rules = take(&mut service, "rules");
        for rule in self.reader.entries("rules", &rules) {
            if data_source {
                self.rule(&name, rule);
            } else {
                let key = format!("{name}/{}", text(&rule, "name"));
                self.node(Kind::ServiceRule, key, rule, None, "rules");
            }
        }
        let webhooks = take(&mut service, "incoming_webhooks");
        for webhook in self.reader.entries("incoming_webhooks", &webhooks) {
            let (config, source) = configured(webhook);
            let key = format!("{name}/{}", text(&config, "name"));
            self.node(Kind::Webhook, key, config, source, "incoming_webhooks");
        }
    }

    /// A collection's entry, which holds its schema too. One of nothing but a
    /// schema makes no rule.
    fn rule(&mut self, source: &str, mut rule: Value) {
        let (database, collection) = (text(&rule, "database"), text(&rule, "collection"));
        let key = format!("{source}/{database}/{collection}");
        let mut schemas = false;
        for (field, kind) in [
            ("schema", Kind::Schema),
            ("relationships", Kind::Relationships),
        ] {
            let json = take(&mut rule, field);
            if !json.is_null() {
                schemas = true;
                self.reader.add(kind, key.clone(), Node::new(json), "rules");
            }
        }
        if schemas && has_names_only(&rule) {
            self.only_schemas.push(key);
        } else {
            self.node(Kind::Rule, key, rule, None, "rules");
        }
    }

    fn graphql(&mut self, section: &Value) {
        let section = self.object("graphql", section);
        let part = |name: &str| section.get(name).unwrap_or(&Value::Null);
        self.one(Kind::GraphqlConfig, part("config"), "graphql.config");
        self.one(
            Kind::GraphqlValidation,
            part("validation_settings"),
            "graphql.validation_settings",
        );
        for entry in self
            .reader
            .entries("custom_resolvers", part("custom_resolvers"))
        {
            self.node(
                Kind::GraphqlResolver,
                resolver_key_of(&entry),
                entry,
                None,
                "custom_resolvers",
            );
        }
    }

    /// Values of secrets, which get a name after what they belong to.
    fn secrets(&mut self, section: &Value) {
        let section = self.object("secrets", section);
        for (name, kinds) in [
            ("auth_providers", &[Kind::AuthProvider][..]),
            ("services", &[Kind::DataSource, Kind::Service][..]),
        ] {
            let owners = section.get(name).unwrap_or(&Value::Null);
            for (owner, fields) in self.object(&format!("secrets.{name}"), owners) {
                let config = &self.reader.config;
                let kind = kinds
                    .iter()
                    .find(|kind| config.get(**kind, &owner).is_some());
                let Some(kind) = kind else {
                    self.wrong(format!(
                        "there are secrets of \"{owner}\", which is not in \"{name}\""
                    ));
                    continue;
                };
                for (field, value) in self.object(&format!("secrets.{name}.{owner}"), &fields) {
                    self.secret(*kind, &owner, &field, &value);
                }
            }
        }
    }

    fn secret(&mut self, kind: Kind, owner: &str, field: &str, value: &Value) {
        let Value::String(value) = value else {
            self.wrong(format!(
                "the secret \"{field}\" of \"{owner}\" has to be a string"
            ));
            return;
        };
        let name = secret_name(owner, field);
        if let Some(node) = self.reader.config.get(kind, owner) {
            let mut node = Node::clone(node);
            node.refer_to_secret(field, &name);
            self.reader.config.put(kind, owner, node);
        }
        self.secrets.push((name, value.clone()));
    }

    /// The configuration that the import makes of `base`. `renames` are the nodes
    /// that the document has under another key: kind, old key, new key.
    pub fn onto(&self, base: &AppConfig, how: Onto, renames: &[Rename]) -> Reading {
        let mut reader = Reader::new(base.layout);
        reader.findings.clone_from(&self.reader.findings);
        let named = &self.reader.config;
        let mut config = match how {
            Onto::Merge => renamed(base, renames),
            Onto::Replace => AppConfig {
                layout: base.layout,
                ..AppConfig::default()
            },
        };
        let mut keep = |kinds: &[Kind]| {
            for kind in kinds {
                for (key, node) in base.all(*kind) {
                    config.put(*kind, key.clone(), Node::clone(node));
                }
            }
        };
        keep(&SINGLES);
        keep(&ELSEWHERE);
        if !self.endpoints {
            keep(&[Kind::Endpoint]);
        }
        for key in &self.only_schemas {
            // The document cannot say whether there is a rule without roles.
            if let Some(rule) = base.get(Kind::Rule, key)
                && has_names_only(&rule.json)
            {
                config.put(Kind::Rule, key.clone(), Node::clone(rule));
            }
        }
        for kind in named.kinds() {
            for (key, node) in named.all(kind) {
                let mut node = Node::clone(node);
                if node.source.is_none() {
                    // A manifest alone leaves the source as it is.
                    let known = config.get(kind, key);
                    node.source = known.and_then(|known| known.source.clone());
                }
                config.put(kind, key.clone(), node);
            }
        }
        config.put(Kind::Root, "", Node::new(self.root(base, how)));
        reader.config = config;
        reader.settle(base);
        reader.finish()
    }

    /// The app's own fields: an import neither renames nor moves the app.
    fn root(&self, base: &AppConfig, how: Onto) -> Value {
        let mut root = single(base, Kind::Root).unwrap_or_else(|| json!({}));
        let none = json!({});
        let before = allowed_origins(&root).cloned();
        let Some(fields) = root.as_object_mut() else {
            return none;
        };
        let environment = match &self.environment {
            Some(Value::String(name)) if name.is_empty() => None,
            Some(name) if !name.is_null() => Some(name.clone()),
            _ if how == Onto::Merge => fields.get("environment").cloned(),
            _ => None,
        };
        match environment {
            Some(name) => drop(fields.insert("environment".to_owned(), name)),
            None if how == Onto::Replace => drop(fields.shift_remove("environment")),
            None => {}
        }
        let origins = match &self.origins {
            None if how == Onto::Merge => before,
            origins => origins.clone(),
        };
        if let Some(Value::Object(security)) = fields.get_mut("security") {
            security.shift_remove("allowed_request_origins");
            if let (Some(origins), true) = (&origins, base.layout.is_older()) {
                security.insert("allowed_request_origins".to_owned(), origins.clone());
                return root;
            }
        }
        match origins {
            Some(origins) => drop(fields.insert("allowed_request_origins".to_owned(), origins)),
            None => drop(fields.shift_remove("allowed_request_origins")),
        }
        root
    }
}

/// Whether a rule's entry names its collection and says nothing of it.
fn has_names_only(rule: &Value) -> bool {
    let fields = rule.as_object().into_iter().flatten();
    fields
        .into_iter()
        .all(|(name, _)| matches!(name.as_str(), "database" | "collection" | "id" | "_id"))
}

/// Manifest and source of an entry: `{config, source}`, or all in one.
fn configured(mut entry: Value) -> (Value, Option<Value>) {
    let source = take(&mut entry, "source");
    let source = (!source.is_null()).then_some(source);
    match take(&mut entry, "config") {
        Value::Null => (entry, source),
        config => (config, source),
    }
}

/// A configuration with nodes under their new keys.
fn renamed(base: &AppConfig, renames: &[Rename]) -> AppConfig {
    let mut config = base.clone();
    let taken: Vec<_> = renames
        .iter()
        .map(|(kind, old, new)| (*kind, new, config.take(*kind, old)))
        .collect();
    for (kind, new, node) in taken {
        if let Some(node) = node {
            config.put(kind, new.clone(), Node::clone(&node));
        }
    }
    config
}
