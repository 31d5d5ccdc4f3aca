//! Files to the value, with every problem.

use kit::{Finding, Severity};
use serde_json::Value;

use crate::json::{Parsed, parse_json};
use crate::layout::{Role, role};
use crate::node::RootLayout;
use crate::{AppConfig, Files, Kind, Node};

/// Files and what was read of them, so that checks can point at places.
pub(crate) struct Source {
    /// Path and JSON pointer of each node.
    pub(crate) nodes: Vec<(Kind, String, String, String)>,
    pub(crate) parsed: std::collections::BTreeMap<String, Parsed>,
}

impl Source {
    /// A finding about a part of a node.
    pub(crate) fn finding(
        &self,
        severity: Severity,
        kind: Kind,
        key: &str,
        pointer: &str,
        message: String,
    ) -> Finding {
        let node = self
            .nodes
            .iter()
            .find(|(k, name, ..)| *k == kind && name == key);
        let Some((_, _, path, base)) = node else {
            return Finding {
                severity,
                ..Finding::error("", message)
            };
        };
        let finding = Finding {
            severity,
            ..Finding::error(path.as_str(), message)
        };
        let place = self.parsed.get(path).and_then(|parsed| {
            parsed
                .place(&format!("{base}{pointer}"))
                .or_else(|| parsed.place(base))
        });
        match place {
            Some(place) => finding.at(place.line, Some(place.column)),
            None => finding,
        }
    }
}

/// Reads an app directory. The value is there unless a file cannot be read as
/// what it has to be; findings are sorted by path and line.
pub fn parse(files: &Files) -> (Option<AppConfig>, Vec<Finding>) {
    let mut reader = Reader {
        config: AppConfig {
            layout: layout(files),
            ..AppConfig::default()
        },
        findings: Vec::new(),
        source: Source {
            nodes: Vec::new(),
            parsed: std::collections::BTreeMap::new(),
        },
        sources: Vec::new(),
    };
    let root = root_file(files);
    if root.is_none() {
        reader.findings.push(
            Finding::error(
                "realm_config.json",
                "the app directory has no realm_config.json or root_config.json",
            )
            .hint("point at the directory that the CLI exported"),
        );
    }
    for (path, bytes) in &files.0 {
        // Of several root files the newest counts.
        let other_root = !path.contains('/')
            && matches!(role(path), Role::One(Kind::Root, _))
            && Some(path.as_str()) != root;
        if !other_root {
            reader.file(path, bytes);
        }
    }
    reader.join_sources();
    crate::check::check(&reader.config, &reader.source, &mut reader.findings);
    let mut findings = reader.findings;
    findings.sort_by(|a, b| {
        (&a.path, a.line, a.column, &a.message).cmp(&(&b.path, b.line, b.column, &b.message))
    });
    let readable = !findings
        .iter()
        .any(|f| f.severity == Severity::Error && f.message.starts_with("invalid JSON"));
    (
        (readable && root.is_some()).then_some(reader.config),
        findings,
    )
}

fn root_file(files: &Files) -> Option<&'static str> {
    [
        "root_config.json",
        "realm_config.json",
        "config.json",
        "stitch.json",
    ]
    .into_iter()
    .find(|path| files.get(path).is_some())
}

fn layout(files: &Files) -> RootLayout {
    match root_file(files) {
        Some("root_config.json") => RootLayout::Root,
        Some("config.json" | "stitch.json") => RootLayout::Older,
        _ => RootLayout::Realm,
    }
}

struct Reader {
    config: AppConfig,
    findings: Vec<Finding>,
    source: Source,
    /// Kind, key, path and text of sources without their manifest yet.
    sources: Vec<(Kind, String, String, String)>,
}

impl Reader {
    fn file(&mut self, path: &str, bytes: &std::sync::Arc<[u8]>) {
        match role(path) {
            Role::Ignored => {}
            Role::Unknown => self.findings.push(
                Finding::warning(path, "this file is not part of an app and is left out")
                    .hint("see the guide for what an app directory holds"),
            ),
            Role::Hosted(name) => {
                let node = Node {
                    bytes: Some(bytes.clone()),
                    ..Node::default()
                };
                self.add(Kind::HostingFile, name, node, path, "");
            }
            Role::FunctionSource(name) => self.text(Kind::Function, name, path, bytes),
            Role::WebhookSource(key) => self.text(Kind::Webhook, key, path, bytes),
            Role::FunctionManifest(name) => {
                if let Some(json) = self.json(path, bytes) {
                    self.add(Kind::Function, name, Node::new(json), path, "");
                }
            }
            Role::One(kind, key) => {
                if let Some(json) = self.json(path, bytes) {
                    let key = self.named(kind, key, &json, path);
                    self.add(kind, key, Node::new(json), path, "");
                }
            }
            Role::Map(kind) => match self.json(path, bytes) {
                Some(Value::Object(entries)) => {
                    for (name, json) in entries {
                        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                        self.add(kind, name, Node::new(json), path, &pointer);
                    }
                }
                Some(_) => self
                    .findings
                    .push(Finding::error(path, "has to be an object by name").at(1, Some(1))),
                None => {}
            },
            Role::List(kind) => match self.json(path, bytes) {
                Some(Value::Array(entries)) => {
                    for (index, json) in entries.into_iter().enumerate() {
                        let key = match kind {
                            Kind::Endpoint => endpoint_key(&json),
                            _ => json
                                .get("name")
                                .and_then(Value::as_str)
                                .unwrap_or_default()
                                .to_owned(),
                        };
                        self.add(kind, key, Node::new(json), path, &format!("/{index}"));
                    }
                }
                Some(_) => self
                    .findings
                    .push(Finding::error(path, "has to be an array").at(1, Some(1))),
                None => {}
            },
        }
    }

    /// The key of a node in a file of its own: its name, which the file should
    /// have too.
    fn named(&mut self, kind: Kind, key: String, json: &Value, path: &str) -> String {
        let by_name = matches!(kind, Kind::Value | Kind::Trigger | Kind::LogForwarder);
        let name = json.get("name").and_then(Value::as_str).unwrap_or_default();
        if !by_name || name.is_empty() || name == key {
            return key;
        }
        self.findings.push(Finding::warning(
            path,
            format!(
                "the {} is called \"{name}\", its file \"{key}\"",
                kind.noun()
            ),
        ));
        name.to_owned()
    }

    fn json(&mut self, path: &str, bytes: &[u8]) -> Option<Value> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.findings
                .push(Finding::error(path, "invalid JSON: the file is not UTF-8"));
            return None;
        };
        let parsed = parse_json(text);
        for (place, mistake) in &parsed.mistakes {
            let finding = Finding::error(path, mistake.as_str()).at(place.line, Some(place.column));
            self.findings.push(finding);
        }
        let value = parsed.value.clone();
        self.source.parsed.insert(path.to_owned(), parsed);
        value
    }

    fn add(&mut self, kind: Kind, key: String, node: Node, path: &str, pointer: &str) {
        if self.config.get(kind, &key).is_some() {
            let place = self
                .source
                .parsed
                .get(path)
                .and_then(|parsed| parsed.place(pointer));
            let mut finding = Finding::error(
                path,
                format!("there are two of the {} \"{key}\"", kind.noun()),
            );
            if let Some(place) = place {
                finding = finding.at(place.line, Some(place.column));
            }
            self.findings.push(finding);
            return;
        }
        self.source
            .nodes
            .push((kind, key.clone(), path.to_owned(), pointer.to_owned()));
        self.config.put(kind, key, node);
    }

    fn text(&mut self, kind: Kind, key: String, path: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self
                .sources
                .push((kind, key, path.to_owned(), text.to_owned())),
            Err(_) => self
                .findings
                .push(Finding::error(path, "the file is not UTF-8")),
        }
    }

    /// Brings manifests and sources together.
    fn join_sources(&mut self) {
        for (kind, key, path, text) in std::mem::take(&mut self.sources) {
            match self.config.get(kind, &key) {
                Some(node) => {
                    let node = Node {
                        source: Some(text.into()),
                        ..Node::clone(node)
                    };
                    self.config.put(kind, key, node);
                }
                None => self.findings.push(
                    Finding::warning(
                        path,
                        format!(
                            "the {} \"{key}\" is not listed, so it is not deployed",
                            kind.noun()
                        ),
                    )
                    .hint("add it to functions/config.json"),
                ),
            }
        }
        let missing: Vec<(Kind, String)> = [Kind::Function, Kind::Webhook]
            .into_iter()
            .flat_map(|kind| {
                let without = self
                    .config
                    .all(kind)
                    .filter(|(_, node)| node.source.is_none());
                without
                    .map(move |(key, _)| (kind, key.clone()))
                    .collect::<Vec<_>>()
            })
            .filter(|(_, key)| !key.is_empty())
            .collect();
        for (kind, key) in missing {
            let text = format!("the {} \"{key}\" has no source", kind.noun());
            let mut finding = self
                .source
                .finding(Severity::Error, kind, &key, "/name", text);
            finding.hint = Some(format!("write functions/{key}.js"));
            self.findings.push(finding);
        }
    }
}

/// An endpoint's key: method and route.
pub(crate) fn endpoint_key(json: &Value) -> String {
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("http_method"), text("route"))
}
