//! A configuration to a release, or every problem. Pure: no sockets, no
//! secrets, no clock; what did not change is shared with the release before.

use std::collections::HashMap;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use config::{AppConfig, Kind, Node};
use js::Compiled;
use kit::{Finding, Severity};
use rules::{Expression, Issue};
use serde_json::Value;

use crate::data::ServiceRules;

/// A configuration compiled: what requests are served from. Immutable.
pub struct Release {
    /// The configuration.
    pub config: AppConfig,
    /// The revision's hash; empty before it is stored.
    pub revision: String,
    /// Functions by name.
    pub functions: HashMap<String, Arc<Function>>,
    /// Values by name: plain, or the name of a secret.
    pub values: HashMap<String, NamedValue>,
    /// `%%values`: the plain ones.
    pub values_document: RawDocumentBuf,
    /// `context.environment` and `%%environment`.
    pub environment: Document,
    /// The same, raw.
    pub environment_document: RawDocumentBuf,
    /// `context.services`: name to type.
    pub services: Document,
    /// Data sources by name.
    pub sources: HashMap<String, Arc<Source>>,
    /// Features that the app uses and that are not there yet.
    pub warnings: Vec<Finding>,
    /// How many functions had to be compiled for this release.
    pub compiled: usize,
}

/// A function ready to be called.
pub struct Function {
    /// Its name.
    pub name: String,
    /// Whether only other functions may call it.
    pub private: bool,
    /// Whether it runs as the system.
    pub run_as_system: bool,
    /// The user it runs as; empty for the caller.
    pub run_as_user_id: String,
    /// The code that chooses the user it runs as.
    pub run_as_script: Option<Arc<Compiled>>,
    /// Whether log entries leave its arguments out.
    pub disable_arg_logs: bool,
    /// The condition under which it may be called.
    pub can_evaluate: Option<Expression>,
    /// Its code.
    pub code: Arc<Compiled>,
    node: Arc<Node>,
}

/// A value of the app.
#[derive(Debug, Clone)]
pub enum NamedValue {
    /// As configured.
    Plain(Bson),
    /// Of the secret of that name.
    Secret(String),
}

/// A data source with its rules.
pub struct Source {
    /// The cluster it means.
    pub cluster: String,
    /// The rules and schemas of its collections.
    pub rules: Arc<ServiceRules>,
}

/// Parses and compiles files without a server: every problem.
pub fn check(files: &config::Files) -> (Option<Release>, Vec<Finding>) {
    let (config, mut findings) = config::parse(files);
    let Some(config) = config else {
        return (None, findings);
    };
    let (release, more) = compile(config, None);
    findings.extend(more);
    findings.sort_by(|a, b| (a.severity, &a.path, a.line).cmp(&(b.severity, &b.path, b.line)));
    let wrong = findings.iter().any(|f| f.severity == Severity::Error);
    (release.filter(|_| !wrong), findings)
}

/// Compiles a configuration. There is a release unless a finding is an error.
pub fn compile(config: AppConfig, before: Option<&Release>) -> (Option<Release>, Vec<Finding>) {
    let mut compiler = Compiler {
        findings: Vec::new(),
        compiled: 0,
    };
    let functions = compiler.functions(&config, before);
    let sources = compiler.sources(&config);
    let environment = environment(&config);
    let values = values(&config);
    compiler.not_yet(&config);
    let (errors, warnings): (Vec<_>, Vec<_>) = compiler
        .findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        return (None, [errors, warnings].concat());
    }
    let mut plain = Document::new();
    for (name, value) in &values {
        if let NamedValue::Plain(value) = value {
            plain.insert(name.clone(), value.clone());
        }
    }
    let mut services = Document::new();
    for kind in [Kind::DataSource, Kind::Service] {
        for (name, node) in config.all(kind) {
            services.insert(name.clone(), node.text("type"));
        }
    }
    let release = Release {
        revision: String::new(),
        functions,
        values_document: raw(&plain),
        values,
        environment_document: raw(&environment),
        environment,
        services,
        sources,
        warnings: warnings.clone(),
        compiled: compiler.compiled,
        config,
    };
    (Some(release), warnings)
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap_or_default()
}

/// JSON as Extended JSON; what is no Extended JSON stays text.
pub(crate) fn bson_of(json: &Value) -> Bson {
    kit::ejson::parse_value(json).unwrap_or_else(|_| Bson::String(json.to_string()))
}

fn document_of(json: &Value) -> Document {
    match bson_of(json) {
        Bson::Document(document) => document,
        _ => Document::new(),
    }
}

fn environment(config: &AppConfig) -> Document {
    let name = config.environment();
    let node = config.get(Kind::Environment, name);
    let values = node.and_then(|node| node.at("/values")).map(document_of);
    let tag = if name == "no-environment" { "" } else { name };
    doc! { "tag": tag, "values": values.unwrap_or_default() }
}

fn values(config: &AppConfig) -> HashMap<String, NamedValue> {
    config
        .all(Kind::Value)
        .map(|(name, node)| {
            let value = node.json.get("value").unwrap_or(&Value::Null);
            let value = match value.as_str() {
                Some(secret) if node.flag("from_secret") => NamedValue::Secret(secret.to_owned()),
                _ => NamedValue::Plain(bson_of(value)),
            };
            (name.clone(), value)
        })
        .collect()
}

struct Compiler {
    findings: Vec<Finding>,
    compiled: usize,
}

impl Compiler {
    fn functions(
        &mut self,
        config: &AppConfig,
        before: Option<&Release>,
    ) -> HashMap<String, Arc<Function>> {
        let mut functions = HashMap::new();
        for (name, node) in config.all(Kind::Function) {
            let kept = before
                .and_then(|release| release.functions.get(name))
                .filter(|function| Arc::ptr_eq(&function.node, node) || function.node == *node);
            let function = match kept {
                Some(function) => Some(function.clone()),
                None => self.function(name, node).map(Arc::new),
            };
            if let Some(function) = function {
                functions.insert(name.clone(), function);
            }
        }
        functions
    }

    fn function(&mut self, name: &str, node: &Arc<Node>) -> Option<Function> {
        let source = node.source.as_deref()?;
        self.compiled += 1;
        let path = format!("functions/{name}.js");
        let code = match js::compile(&path, source) {
            Ok(code) => Some(code),
            Err(error) => {
                self.findings.push(
                    Finding::error(&path, error.message.as_str())
                        .at(error.line, Some(error.column)),
                );
                None
            }
        };
        if !source.contains("exports") {
            self.findings.push(
                Finding::warning(&path, "the file never assigns \"exports\"")
                    .hint("calls of this function will fail: exports = function () { … }"),
            );
        }
        let can_evaluate = match node.json.get("can_evaluate") {
            Some(condition @ Value::Object(fields)) if !fields.is_empty() => {
                let mut issues = Vec::new();
                let parsed = Expression::parse(
                    &bson_of(condition),
                    rules::Place::Request,
                    "can_evaluate",
                    &mut issues,
                );
                self.issues(
                    "functions/config.json",
                    &format!("function \"{name}\""),
                    issues,
                );
                Some(parsed)
            }
            _ => None,
        };
        let script = node.text("run_as_user_id_script_source");
        let run_as_script = (!script.is_empty()).then(|| js::compile("run_as.js", script));
        if let Some(Err(error)) = &run_as_script {
            let text = format!(
                "function \"{name}\": run_as_user_id_script_source: {error} (line {}, column {})",
                error.line, error.column
            );
            self.findings
                .push(Finding::error("functions/config.json", text));
        }
        Some(Function {
            name: name.to_owned(),
            private: node.flag("private"),
            run_as_system: node.flag("run_as_system"),
            run_as_user_id: node.text("run_as_user_id").to_owned(),
            run_as_script: run_as_script.and_then(Result::ok).map(Arc::new),
            disable_arg_logs: node.flag("disable_arg_logs"),
            can_evaluate,
            code: Arc::new(code?),
            node: node.clone(),
        })
    }

    fn sources(&mut self, config: &AppConfig) -> HashMap<String, Arc<Source>> {
        let mut sources = HashMap::new();
        for (name, node) in config.all(Kind::DataSource) {
            let cluster = node
                .at("/config/clusterName")
                .and_then(Value::as_str)
                .unwrap_or("");
            match ServiceRules::compile(config, name) {
                Ok(rules) => {
                    let source = Source {
                        cluster: cluster.to_owned(),
                        rules: Arc::new(rules),
                    };
                    sources.insert(name.clone(), Arc::new(source));
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        sources
    }

    fn issues(&mut self, path: &str, what: &str, issues: Vec<Issue>) {
        for issue in issues {
            let text = format!("error validating {what}: {}: {}", issue.path, issue.message);
            self.findings.push(Finding::error(path, text));
        }
    }

    fn later(&mut self, path: &str, what: String) {
        self.findings.push(
            Finding::warning(path, format!("not supported yet: {what}"))
                .hint("the rest of the app works; this part does nothing for now"),
        );
    }

    /// Names what the app uses and the server does not have yet.
    fn not_yet(&mut self, config: &AppConfig) {
        for (name, node) in config.all(Kind::AuthProvider) {
            let known = matches!(name.as_str(), "anon-user" | "local-userpass" | "api-key");
            if node.flag("disabled") {
                continue;
            }
            if !known {
                self.later(
                    "auth/providers.json",
                    format!("login with the provider \"{name}\""),
                );
            }
            if name == "local-userpass" {
                let on =
                    |flag: &str| node.at(&format!("/config/{flag}")) == Some(&Value::Bool(true));
                if on("runConfirmationFunction") || !on("autoConfirm") {
                    self.later(
                        "auth/providers.json",
                        "confirming e-mail addresses by mail or function (autoConfirm is off)"
                            .to_owned(),
                    );
                }
                if on("runResetFunction") {
                    self.later(
                        "auth/providers.json",
                        "resetting passwords by function".to_owned(),
                    );
                }
            }
        }
        let user_data = config.get(Kind::CustomUserData, "");
        if user_data.is_some_and(|node| !node.text("on_user_creation_function_name").is_empty()) {
            self.later(
                "auth/custom_user_data.json",
                "the user creation function".to_owned(),
            );
        }
        for (name, node) in config.all(Kind::Trigger) {
            if !node.flag("disabled") {
                self.later(
                    &format!("triggers/{name}.json"),
                    format!("the trigger \"{name}\" does not fire (triggers)"),
                );
            }
        }
        for (name, node) in config.all(Kind::Endpoint) {
            if !node.flag("disabled") {
                self.later(
                    "http_endpoints/config.json",
                    format!("the HTTPS endpoint \"{name}\" is not served (HTTPS endpoints)"),
                );
            }
        }
        let single = |kind: Kind, test: &dyn Fn(&Node) -> bool| {
            config.get(kind, "").is_some_and(|node| test(node))
        };
        if single(Kind::DataApi, &|node| !node.flag("disabled")) {
            self.later(
                "http_endpoints/data_api_config.json",
                "the Data API".to_owned(),
            );
        }
        if single(Kind::Hosting, &|node| node.flag("enabled")) {
            self.later("hosting/config.json", "static hosting".to_owned());
        }
        if single(Kind::Sync, &|node| node.text("state") == "enabled") {
            self.later("sync/config.json", "Device Sync".to_owned());
        }
        if single(Kind::Dependencies, &|node| {
            node.at("/dependencies")
                .and_then(Value::as_object)
                .is_some_and(|d| !d.is_empty())
        }) {
            self.later(
                "functions/package.json",
                "npm dependencies of functions".to_owned(),
            );
        }
        for (name, _) in config.all(Kind::GraphqlResolver) {
            self.later(
                &format!("graphql/custom_resolvers/{name}.json"),
                "GraphQL custom resolvers".to_owned(),
            );
        }
        for (name, node) in config.all(Kind::LogForwarder) {
            if !node.flag("disabled") {
                self.later(
                    &format!("log_forwarders/{name}.json"),
                    format!("the log forwarder \"{name}\""),
                );
            }
        }
        for (name, node) in config.all(Kind::Service) {
            self.later(
                &format!("services/{name}/config.json"),
                format!(
                    "the third-party service \"{name}\" of type {}",
                    node.text("type")
                ),
            );
        }
    }
}

impl Function {
    /// A function without conditions.
    pub(crate) fn bare(name: &str, code: Arc<Compiled>) -> Self {
        Self {
            name: name.to_owned(),
            private: false,
            run_as_system: false,
            run_as_user_id: String::new(),
            run_as_script: None,
            disable_arg_logs: false,
            can_evaluate: None,
            code,
            node: Arc::default(),
        }
    }
}
