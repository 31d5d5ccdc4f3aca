//! A configuration to a release, or every problem. Pure: no sockets, no
//! secrets, no clock; what did not change is shared with the release before.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};
use config::{AppConfig, Flaw, Kind, Node, Part, Reading, view};
use js::{Compiled, Origin};
use kit::{Finding, Severity, code_frame};
use rules::{Expression, Place};
use serde_json::Value;

use crate::actions::{self, Service};
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
    /// Values of secrets that rules name: the value's name and the secret's.
    pub rule_secrets: Vec<(String, String)>,
    /// `context.environment` and `%%environment`.
    pub environment: Document,
    /// The same, raw.
    pub environment_document: RawDocumentBuf,
    /// Services that are no data sources, by name.
    pub actions: HashMap<String, Arc<Service>>,
    /// `context.services`: name to type.
    pub services: RawDocumentBuf,
    /// Data sources by name.
    pub sources: HashMap<String, Arc<Source>>,
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
    /// Its source, read when a stack trace is first shown.
    origin: OnceLock<Option<Origin>>,
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
    /// Whether it is a federated one, which is for the system to read.
    pub federated: bool,
    /// Where reads go, as commands say it; `None` is the primary.
    pub reads: Option<Arc<RawDocumentBuf>>,
    /// The rules and schemas of its collections.
    pub rules: Arc<ServiceRules>,
}

/// Reads and compiles files without a server: every problem. The release is
/// there unless one of them is an error.
pub fn check(files: &config::Files) -> (Option<Release>, Vec<Finding>) {
    compile_read(config::read_to_deploy(files), None)
}

/// Compiles what was read of files: all findings of both, errors first.
pub(crate) fn compile_read(
    reading: Reading,
    before: Option<&Release>,
) -> (Option<Release>, Vec<Finding>) {
    let Reading {
        config,
        whole,
        mut findings,
        places,
    } = reading;
    let (release, flaws) = compile_flaws(config, before);
    for flaw in flaws {
        let finding = places.find(flaw);
        // Reading and compiling meet in the references to functions.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.sort_by(|a, b| {
        (a.severity, &a.path, a.line, a.column).cmp(&(b.severity, &b.path, b.line, b.column))
    });
    let good = whole && !config::has_errors(&findings);
    (release.filter(|_| good), findings)
}

/// Compiles a configuration that lies in no files.
///
/// # Errors
/// What is wrong, at its place in the configuration as it would be printed.
pub(crate) fn compile(
    config: AppConfig,
    before: Option<&Release>,
) -> Result<Release, Vec<Finding>> {
    let shown = config.clone();
    let (release, flaws) = compile_flaws(config, before);
    // Printed only when there is something to show.
    release.ok_or_else(|| {
        let places = config::Places::printed(&shown);
        flaws.into_iter().map(|flaw| places.find(flaw)).collect()
    })
}

fn compile_flaws(config: AppConfig, before: Option<&Release>) -> (Option<Release>, Vec<Flaw>) {
    let mut compiler = Compiler {
        flaws: Vec::new(),
        compiled: 0,
    };
    let functions = compiler.functions(&config, before);
    let sources = compiler.sources(&config, before);
    let actions = actions::compile(&config, &mut compiler.flaws);
    compiler.sync(&config);
    crate::not_yet::find(&config, &mut compiler.flaws);
    crate::rule_hints::find(&config, &mut compiler.flaws);
    let Compiler { flaws, compiled } = compiler;
    if flaws.iter().any(|flaw| flaw.severity == Severity::Error) {
        return (None, flaws);
    }
    let environment = environment(&config);
    let values = values(&config);
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
        actions,
        functions,
        values_document: raw(&plain),
        rule_secrets: rule_secrets(&config, &values),
        values,
        environment_document: raw(&environment),
        environment,
        services: raw(&services),
        sources,
        compiled,
        config,
    };
    (Some(release), flaws)
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
    doc! { "tag": config.environment_tag(), "values": values.unwrap_or_default() }
}

fn values(config: &AppConfig) -> HashMap<String, NamedValue> {
    config
        .values()
        .map(|(name, value)| {
            let compiled = match value.secret() {
                Some(secret) => NamedValue::Secret(secret.to_owned()),
                None => NamedValue::Plain(bson_of(value.plain().unwrap_or(&Value::Null))),
            };
            (name.to_owned(), compiled)
        })
        .collect()
}

/// Those values of secrets that an expression may ask for.
fn rule_secrets(config: &AppConfig, values: &HashMap<String, NamedValue>) -> Vec<(String, String)> {
    const KINDS: [Kind; 4] = [Kind::DefaultRule, Kind::Rule, Kind::Schema, Kind::Function];
    let secret = |(name, value): (&String, &NamedValue)| match value {
        NamedValue::Secret(secret) => Some((name.clone(), secret.clone())),
        NamedValue::Plain(_) => None,
    };
    let mut secrets: Vec<(String, String)> = values.iter().filter_map(secret).collect();
    if !secrets.is_empty() {
        let nodes = KINDS.into_iter().flat_map(|kind| config.all(kind));
        let texts: Vec<String> = nodes.map(|(_, node)| node.json.to_string()).collect();
        let named = |wanted: &str| texts.iter().any(|text| text.contains(wanted));
        let all = named("%%values\"");
        secrets.retain(|(name, _)| all || named(&format!("%%values.{name}")));
        secrets.sort();
    }
    secrets
}

struct Compiler {
    flaws: Vec<Flaw>,
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
            if node
                .source
                .as_deref()
                .is_some_and(|source| !source.contains("exports"))
            {
                let flaw = Flaw {
                    part: Part::Source(1, 1),
                    ..Flaw::warning(
                        Kind::Function,
                        name,
                        "",
                        "the file never assigns \"exports\"",
                    )
                };
                self.flaws.push(
                    flaw.hint("calls of this function will fail: exports = function () { … }"),
                );
            }
            let known = before.and_then(|release| release.functions.get(name));
            let function = match known {
                Some(same) if Arc::ptr_eq(&same.node, node) || same.node == *node => {
                    Some(same.clone())
                }
                _ => self.function(name, node, known).map(Arc::new),
            };
            if let Some(function) = function {
                functions.insert(name.clone(), function);
            }
        }
        functions
    }

    fn function(
        &mut self,
        name: &str,
        node: &Arc<Node>,
        known: Option<&Arc<Function>>,
    ) -> Option<Function> {
        let source = node.source.as_deref()?;
        let manifest = view::Function(node);
        let code = match known.filter(|known| known.node.source == node.source) {
            // Only the manifest changed.
            Some(known) => Some(known.code.clone()),
            None => self.code(name, source),
        };
        let can_evaluate = manifest.can_evaluate().map(|condition| {
            let mut issues = Vec::new();
            let place = Place::Request;
            let parsed = Expression::parse(&bson_of(condition), place, "can_evaluate", &mut issues);
            for issue in issues {
                let pointer = config::pointer(&node.json, &issue.path);
                let text = format!("{}: {}", issue.path, issue.message);
                let flaw = Flaw::error(Kind::Function, name, &pointer, text);
                self.flaws.push(flaw);
            }
            parsed
        });
        let run_as_script = match manifest.run_as_user_id_script() {
            "" => None,
            script => self.script(name, script),
        };
        Some(Function {
            name: name.to_owned(),
            private: manifest.private(),
            run_as_system: manifest.run_as_system(),
            run_as_user_id: manifest.run_as_user_id().to_owned(),
            run_as_script,
            disable_arg_logs: manifest.disable_arg_logs(),
            can_evaluate,
            code: code?,
            origin: OnceLock::new(),
            node: node.clone(),
        })
    }

    fn code(&mut self, name: &str, source: &str) -> Option<Arc<Compiled>> {
        self.compiled += 1;
        match js::compile(&file(name), source) {
            Ok(code) => Some(Arc::new(code)),
            Err(error) => {
                self.flaws.push(Flaw {
                    part: Part::Source(error.line, error.column),
                    frame: Some(code_frame(source, error.line, error.column)),
                    hint: module_hint(source, error.line),
                    ..Flaw::error(Kind::Function, name, "", error.message)
                });
                None
            }
        }
    }

    /// The code that chooses as whom a function runs.
    fn script(&mut self, name: &str, source: &str) -> Option<Arc<Compiled>> {
        let compiled = js::compile("run_as.js", source);
        compiled
            .map(Arc::new)
            .map_err(|error| {
                let text = format!(
                    "run_as_user_id_script_source: {error} (line {}, column {})",
                    error.line, error.column
                );
                let field = "/run_as_user_id_script_source";
                self.flaws.push(Flaw {
                    frame: Some(code_frame(source, error.line, error.column)),
                    ..Flaw::error(Kind::Function, name, field, text)
                });
            })
            .ok()
    }

    /// Who may sync which partition, by expressions (rules-schemas.md §8.2).
    fn sync(&mut self, config: &AppConfig) {
        for (key, node) in config.all(Kind::Sync) {
            for half in ["read", "write"] {
                let pointer = format!("/partition/permissions/{half}");
                let Some(written) = node.at(&pointer).filter(|value| !value.is_null()) else {
                    continue;
                };
                let mut wrong = Vec::new();
                match kit::ejson::parse_value(written) {
                    Ok(value) => {
                        let mut issues = Vec::new();
                        Expression::parse(&value, Place::Partition, half, &mut issues);
                        wrong.extend(issues.into_iter().map(|issue| issue.message));
                    }
                    Err(error) => wrong.push(error.to_string()),
                }
                let flaws = wrong.into_iter().map(|text| {
                    let text = format!("error validating permission: {text}");
                    Flaw::error(Kind::Sync, key, &pointer, text)
                });
                self.flaws.extend(flaws);
            }
        }
    }

    fn sources(
        &mut self,
        config: &AppConfig,
        before: Option<&Release>,
    ) -> HashMap<String, Arc<Source>> {
        let mut sources = HashMap::new();
        for (name, source) in config.data_sources() {
            let known = before.and_then(|release| {
                let source = release.sources.get(name)?;
                same_rules(&release.config, config, name).then(|| source.clone())
            });
            let reads = reads(source).unwrap_or_else(|wrong| {
                let field = "/config/readPreference";
                let flaw = Flaw::error(Kind::DataSource, name, field, wrong);
                self.flaws.push(flaw);
                None
            });
            if let Some(source) = known {
                sources.insert(name.to_owned(), source);
                continue;
            }
            match ServiceRules::compile(config, name) {
                Ok(rules) => {
                    let source = Source {
                        cluster: source.cluster().to_owned(),
                        federated: source.kind() == "datalake",
                        reads: reads.map(Arc::new),
                        rules: Arc::new(rules),
                    };
                    sources.insert(name.to_owned(), Arc::new(source));
                }
                Err(flaws) => self.flaws.extend(flaws),
            }
        }
        sources
    }
}

/// A data source's read preference as commands carry it.
fn reads(source: view::DataSource<'_>) -> Result<Option<RawDocumentBuf>, String> {
    const MODES: [&str; 5] = [
        "primary",
        "primaryPreferred",
        "secondary",
        "secondaryPreferred",
        "nearest",
    ];
    let mode = source.read_preference();
    if !MODES.contains(&mode) {
        return Err(format!("\"readPreference\" is one of {}", MODES.join(", ")));
    }
    if mode == "primary" {
        return Ok(None);
    }
    let mut preference = rawdoc! { "mode": mode };
    let sets = source.read_tags();
    if !sets.is_empty() {
        let mut tags = RawArrayBuf::new();
        for set in sets {
            let set: Document = set
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            tags.push(raw(&set));
        }
        preference.append(cstr!("tags"), tags);
    }
    Ok(Some(preference))
}

/// Whether the rules of a data source mean the same in both: its nodes, and the
/// functions that they may name.
fn same_rules(a: &AppConfig, b: &AppConfig, source: &str) -> bool {
    const KINDS: [Kind; 5] = [
        Kind::DataSource,
        Kind::DefaultRule,
        Kind::Rule,
        Kind::Schema,
        Kind::Relationships,
    ];
    let of_source = |config, kind| {
        AppConfig::all(config, kind).filter(|(key, _)| key.split('/').next() == Some(source))
    };
    a.functions()
        .map(|(name, _)| name)
        .eq(b.functions().map(|(name, _)| name))
        && KINDS
            .into_iter()
            .all(|kind| of_source(a, kind).eq(of_source(b, kind)))
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
            origin: OnceLock::new(),
            node: Arc::default(),
        }
    }

    fn origin(&self) -> Option<&Origin> {
        let read = || {
            let source = self.node.source.clone()?;
            Some(Origin::of(&file(&self.name), source))
        };
        self.origin.get_or_init(read).as_ref()
    }
}

/// The file of a function.
fn file(name: &str) -> String {
    format!("functions/{name}.js")
}

impl Release {
    /// A text in which stack traces show the places that people wrote.
    pub fn original(&self, text: &str) -> String {
        js::original(text, |path| {
            let name = path.strip_prefix("functions/")?.strip_suffix(".js")?;
            self.functions.get(name)?.origin()
        })
    }
}

/// What to do about a statement that function files cannot have.
fn module_hint(source: &str, line: u32) -> Option<String> {
    let line = source.lines().nth(line.saturating_sub(1) as usize)?;
    let first = line.split_whitespace().next()?;
    let text = match first {
        "import" => "a function file is no ES module: const x = require(\"x\")",
        "export" => "a function file is no ES module: exports = function () { … }",
        _ => return None,
    };
    Some(text.to_owned())
}
