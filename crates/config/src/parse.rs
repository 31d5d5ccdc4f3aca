//! Files to the value, with every problem.

use std::collections::HashSet;
use std::sync::Arc;

use kit::{Finding, Severity};
use serde_json::{Map, Value};

use crate::json::parse_json;
use crate::kind::nearest;
use crate::layout::{self, Role, role};
use crate::node::NodeKey;
use crate::places::escaped;
use crate::print::{IN_OLDER_ROOT, IN_OLDER_RULE};
use crate::{AppConfig, Files, Flaw, Kind, Node, Places};

/// What reading an app directory gave.
#[derive(Debug)]
pub struct Reading {
    /// The value: of everything that could be read.
    pub config: AppConfig,
    /// Whether that is everything there is.
    pub whole: bool,
    /// What is wrong, sorted by path and line.
    pub findings: Vec<Finding>,
    /// Where everything stands.
    pub places: Places,
}

/// Reads an app directory. The value is there unless a file cannot be read as
/// what it has to be; it may have errors all the same.
pub fn parse(files: &Files) -> (Option<AppConfig>, Vec<Finding>) {
    let reading = read(files);
    (reading.whole.then_some(reading.config), reading.findings)
}

/// Reads an app directory as far as it goes.
pub fn read(files: &Files) -> Reading {
    read_with(files, false)
}

/// Reads an app directory that is to go live: as [`read`], with templates
/// replaced by what they mean.
pub fn read_to_deploy(files: &Files) -> Reading {
    read_with(files, true)
}

fn read_with(files: &Files, expand: bool) -> Reading {
    let Some(layout) = layout::layout(files) else {
        return Reading {
            config: AppConfig::default(),
            whole: false,
            findings: vec![no_root(files)],
            places: Places::default(),
        };
    };
    let mut reader = Reader {
        config: AppConfig {
            layout,
            ..AppConfig::default()
        },
        findings: Vec::new(),
        places: Places::default(),
        unread: HashSet::new(),
        whole: true,
        functions_unread: false,
        sources: Vec::new(),
    };
    for (path, bytes) in &files.0 {
        reader.file(path, bytes, files);
    }
    reader.join_sources();
    let Reader {
        mut config,
        mut findings,
        places,
        unread,
        whole,
        ..
    } = reader;
    let mut flaws = Vec::new();
    if expand {
        flaws = crate::templates::expand(&mut config);
    }
    flaws.extend(crate::check::flaws(&config));
    for flaw in flaws {
        // What could not be read was said already.
        if !unread.contains(&(flaw.kind, flaw.key.clone())) {
            findings.push(places.find(flaw));
        }
    }
    findings.sort_by(|a, b| {
        (&a.path, a.line, a.column, &a.message).cmp(&(&b.path, b.line, b.column, &b.message))
    });
    Reading {
        config,
        whole,
        findings,
        places,
    }
}

fn no_root(files: &Files) -> Finding {
    let finding = Finding::error(
        "realm_config.json",
        "the app directory has no realm_config.json or root_config.json",
    );
    let below = files.0.keys().find_map(|path| {
        let (folder, file) = path.rsplit_once('/')?;
        matches!(file, "realm_config.json" | "root_config.json").then_some(folder)
    });
    finding.hint(match below {
        Some(folder) => format!("there is one in {folder}/; point at that folder"),
        None => "point at the directory that the CLI exported".to_owned(),
    })
}

struct Reader {
    config: AppConfig,
    findings: Vec<Finding>,
    places: Places,
    /// Nodes that are there and could not be read.
    unread: HashSet<(Kind, NodeKey)>,
    whole: bool,
    functions_unread: bool,
    /// Kind, key, path and text of sources without their manifest yet.
    sources: Vec<(Kind, NodeKey, String, Arc<str>)>,
}

impl Reader {
    fn file(&mut self, path: &str, bytes: &Arc<[u8]>, files: &Files) {
        let role = role(path, self.config.layout, |path| files.get(path).is_some());
        let read_as_json = matches!(
            role,
            Role::One(..) | Role::Map(_) | Role::List(_) | Role::Service(_) | Role::ServiceRule(..)
        );
        if read_as_json && bytes.is_empty() && !matches!(role, Role::One(Kind::Root, _)) {
            // The official CLI takes an empty file for none.
            let finding = Finding::warning(path, "the file is empty and left out");
            self.findings.push(finding.at(1, Some(1)));
            return;
        }
        match role {
            Role::Ignored => {}
            Role::Elsewhere(why) => self.findings.push(Finding::warning(path, why)),
            Role::Unknown => self.findings.push(unknown(path)),
            Role::Hosted(name) => {
                let node = Node {
                    bytes: Some(bytes.clone()),
                    ..Node::default()
                };
                self.add(Kind::HostingFile, name, node, path, "");
            }
            Role::Source(kind, key) => match std::str::from_utf8(bytes) {
                Ok(text) => self.sources.push((kind, key, path.to_owned(), text.into())),
                Err(_) => self.unreadable(path, "the file is not UTF-8"),
            },
            Role::One(kind, key) => match self.json(path, bytes) {
                Some(json) => {
                    let key = self.named(kind, key, &json, path);
                    self.add(kind, key, Node::new(json), path, "");
                }
                None => self.miss(kind, key, path),
            },
            Role::OlderRoot => {
                if let Some(json) = self.object(path, bytes) {
                    self.older(Kind::Root, "", json, path, &IN_OLDER_ROOT);
                }
            }
            Role::Service(name) => match self.json(path, bytes) {
                Some(json) => {
                    let kind = match json.get("type").and_then(Value::as_str) {
                        Some(kind) if crate::kind::DATA_SOURCES.contains(&kind) => Kind::DataSource,
                        _ => Kind::Service,
                    };
                    self.add(kind, name, Node::new(json), path, "");
                }
                None => self.miss(Kind::Service, name, path),
            },
            Role::ServiceRule(service, file) => self.service_rule(&service, &file, path, bytes),
            Role::Map(kind) => {
                self.config.nodes.entry(kind).or_default();
                for (name, json) in self.object(path, bytes).unwrap_or_default() {
                    let pointer = format!("/{}", escaped(&name));
                    self.add(kind, name, Node::new(json), path, &pointer);
                }
            }
            Role::List(kind) => {
                self.config.nodes.entry(kind).or_default();
                let entries = match self.json(path, bytes) {
                    Some(Value::Array(entries)) => entries,
                    // As the official CLI writes a list with nothing in it.
                    Some(Value::Null) => Vec::new(),
                    other => {
                        self.functions_unread |= kind == Kind::Function;
                        if other.is_some() {
                            self.unreadable(path, "has to be an array");
                        }
                        Vec::new()
                    }
                };
                for (index, json) in entries.into_iter().enumerate() {
                    let key = match kind {
                        Kind::Endpoint => endpoint_key_of(&json),
                        _ => text(&json, "name").to_owned(),
                    };
                    self.add(kind, key, Node::new(json), path, &format!("/{index}"));
                }
            }
        }
    }

    /// The key of a node in a file of its own: its name, which the file should
    /// have too.
    fn named(&mut self, kind: Kind, key: String, json: &Value, path: &str) -> String {
        let by_name = matches!(kind, Kind::Value | Kind::Trigger | Kind::LogForwarder);
        let name = text(json, "name");
        if !by_name || name.is_empty() || name == key {
            return key;
        }
        let message = format!(
            "the {} is called \"{name}\", its file \"{key}\"",
            kind.noun()
        );
        let finding = Finding::warning(path, message).hint(format!("rename it to {name}.json"));
        self.findings.push(self.placed(finding, "/name"));
        name.to_owned()
    }

    /// Puts a finding where a part of its file is.
    fn placed(&self, finding: Finding, pointer: &str) -> Finding {
        match self.places.place(&finding.path, pointer) {
            Some((line, column)) => finding.at(line, Some(column)),
            None => finding,
        }
    }

    /// A node whose file could not be read: others may name it all the same.
    fn miss(&mut self, kind: Kind, key: String, path: &str) {
        self.unread.insert((kind, key.clone()));
        if matches!(kind, Kind::DataSource | Kind::Service | Kind::Function) {
            self.add(kind, key, Node::default(), path, "");
        }
    }

    fn unreadable(&mut self, path: &str, why: &str) {
        self.whole = false;
        self.findings.push(Finding::error(path, why).at(1, Some(1)));
    }

    fn json(&mut self, path: &str, bytes: &[u8]) -> Option<Value> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.unreadable(path, "invalid JSON: the file is not UTF-8");
            return None;
        };
        let mut parsed = parse_json(text);
        self.whole &= parsed.mistakes.is_empty();
        for (place, mistake) in &parsed.mistakes {
            let finding = Finding::error(path, mistake.as_str()).at(place.line, Some(place.column));
            self.findings.push(finding);
        }
        let value = parsed.value.take();
        self.places.add_file(path, parsed);
        value
    }

    fn object(&mut self, path: &str, bytes: &[u8]) -> Option<Map<String, Value>> {
        if let Value::Object(fields) = self.json(path, bytes)? {
            return Some(fields);
        }
        self.unreadable(path, "has to be an object");
        None
    }

    /// Adds a node whose file holds others too in older layouts.
    fn older(
        &mut self,
        kind: Kind,
        key: &str,
        mut fields: Map<String, Value>,
        path: &str,
        inner: &[(Kind, &str)],
    ) {
        for (kind, name) in inner {
            match fields.shift_remove(*name) {
                None | Some(Value::Null) => {}
                Some(json) => {
                    let pointer = format!("/{name}");
                    self.add(*kind, key.to_owned(), Node::new(json), path, &pointer);
                }
            }
        }
        // A rule's file with nothing but a schema makes no rule.
        let only_names = fields
            .keys()
            .all(|name| name == "database" || name == "collection");
        if kind == Kind::Rule && only_names && self.config.get(Kind::Schema, key).is_some() {
            return;
        }
        let node = Node::new(Value::Object(fields));
        self.add(kind, key.to_owned(), node, path, "");
    }

    fn service_rule(&mut self, service: &str, file: &str, path: &str, bytes: &[u8]) {
        if self.config.get(Kind::DataSource, service).is_none() {
            let key = format!("{service}/{file}");
            match self.json(path, bytes) {
                Some(json) => self.add(Kind::ServiceRule, key, Node::new(json), path, ""),
                None => self.miss(Kind::ServiceRule, key, path),
            }
            return;
        }
        if let Some(fields) = self.object(path, bytes) {
            let named = |name: &str| fields.get(name).and_then(Value::as_str);
            let namespace = match (named("database"), named("collection")) {
                (Some(database), Some(collection)) => format!("{database}/{collection}"),
                _ => file.replacen('.', "/", 1),
            };
            let key = format!("{service}/{namespace}");
            self.older(Kind::Rule, &key, fields, path, &IN_OLDER_RULE);
        }
    }

    fn add(&mut self, kind: Kind, key: NodeKey, node: Node, path: &str, pointer: &str) {
        if self.config.get(kind, &key).is_none() {
            self.places.add_node(kind, &key, path, pointer);
            self.config.put(kind, key, node);
            return;
        }
        // One without a name is said to have none.
        if !key.is_empty() {
            let finding = Finding::error(
                path,
                format!("there are two of the {} \"{key}\"", kind.noun()),
            );
            self.findings.push(self.placed(finding, pointer));
        }
    }

    /// Brings manifests and sources together.
    fn join_sources(&mut self) {
        for (kind, key, path, text) in std::mem::take(&mut self.sources) {
            self.places.add_source(kind, &key, &path);
            let node = match self.config.get(kind, &key) {
                Some(node) => Node::clone(node),
                None => self.unlisted(kind, &key, &path),
            };
            let node = Node {
                source: Some(text),
                ..node
            };
            self.config.put(kind, key, node);
        }
        for kind in [Kind::Function, Kind::Webhook] {
            for (key, node) in self.config.all(kind) {
                let unread = self.unread.contains(&(kind, key.clone()));
                if node.source.is_some() || key.is_empty() || unread {
                    continue;
                }
                let text = format!("the {} \"{key}\" has no source", kind.noun());
                let file = layout::source_path(&self.config, kind, key);
                let flaw = Flaw::error(kind, key, "/name", text).hint(format!("write {file}"));
                self.findings.push(self.places.find(flaw));
            }
        }
    }

    /// What a source without an entry gets: the defaults.
    fn unlisted(&mut self, kind: Kind, key: &str, path: &str) -> Node {
        if !self.functions_unread {
            let file = if kind == Kind::Function && !self.config.layout.is_older() {
                "functions/config.json"
            } else {
                "a config.json"
            };
            let message = format!(
                "the {} \"{key}\" has no entry, so it gets the defaults: everyone may call it",
                kind.noun()
            );
            let hint = format!("add it to {file}; \"private\": true keeps it from clients");
            self.findings
                .push(Finding::warning(path, message).at(1, None).hint(hint));
        }
        self.places.add_node(kind, key, path, "");
        let name = key.rsplit_once('/').map_or(key, |(_, hook)| hook);
        let name = if kind == Kind::Webhook { name } else { key };
        Node::new(serde_json::json!({ "name": name, "private": false }))
    }
}

fn unknown(path: &str) -> Finding {
    let finding = Finding::warning(path, "this file is not part of an app and is left out");
    let top = path.split('/').next().unwrap_or_default();
    match nearest(top, layout::TOP).filter(|near| *near != top) {
        Some(near) => finding.hint(format!("did you mean {near}/?")),
        None => finding,
    }
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The key of the endpoint that a file's entry describes.
pub(crate) fn endpoint_key_of(json: &Value) -> String {
    endpoint_key(text(json, "http_method"), text(json, "route"))
}

/// An endpoint's key: method and route; empty without either.
pub fn endpoint_key(method: &str, route: &str) -> String {
    match (method, route) {
        ("", "") => String::new(),
        (method, route) => format!("{method} {route}"),
    }
}

/// Whether findings stop a deployment.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Error)
}
