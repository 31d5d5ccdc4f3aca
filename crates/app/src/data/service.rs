//! The rules of one data source, compiled from the configuration
//! (rules-schemas.md §1, §2).

use std::collections::HashMap;

use bson::Document;
use config::{AppConfig, Kind, Node};
use kit::{Finding, Problem};
use rules::{CollectionSchema, Issue, RuleSet};

use super::Namespace;
use super::failure::no_rule;

/// The rules and schemas of one data source.
#[derive(Debug, Default)]
pub struct ServiceRules {
    /// By database, then by collection: a lookup makes no key.
    collections: HashMap<String, HashMap<String, Option<CollectionRules>>>,
    default: Option<CollectionRules>,
    titles: HashMap<String, Namespace>,
}

/// What holds in one collection.
#[derive(Debug, Clone, Default)]
pub struct CollectionRules {
    /// Roles and filters, default roles already filled in.
    pub rules: RuleSet,
    /// The schema that writes of users must satisfy.
    pub schema: Option<CollectionSchema>,
    /// Whether null passes for optional fields.
    pub null_for_optional: bool,
}

impl ServiceRules {
    /// Compiles the rules of the data source `source`.
    ///
    /// # Errors
    /// Every problem, with its file.
    pub fn compile(config: &AppConfig, source: &str) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let default = config.get(Kind::DefaultRule, source).map(|node| {
            let file = format!("data_sources/{source}/default_rule.json");
            rule_set(config, node, &file, &mut findings)
        });
        let mut compiled = Self {
            default: default.clone().map(|rules| CollectionRules {
                rules,
                ..CollectionRules::default()
            }),
            ..Self::default()
        };
        let prefix = format!("{source}/");
        let within = |key: &str| {
            let (database, collection) = key.strip_prefix(&prefix)?.split_once('/')?;
            Some(Namespace {
                database: database.to_owned(),
                collection: collection.to_owned(),
            })
        };
        for (key, node) in config.all(Kind::Rule) {
            let Some(namespace) = within(key) else {
                continue;
            };
            let file = format!("data_sources/{key}/rules.json");
            let mut rules = rule_set(config, node, &file, &mut findings);
            // Filters without roles: the default roles, under these filters.
            let mut governed = true;
            if rules.roles.is_empty() {
                match &default {
                    Some(default) => rules.roles.clone_from(&default.roles),
                    None => governed = false,
                }
            }
            compiled.put(
                namespace,
                governed.then_some(CollectionRules {
                    rules,
                    ..CollectionRules::default()
                }),
            );
        }
        for (key, node) in config.all(Kind::Schema) {
            let Some(namespace) = within(key) else {
                continue;
            };
            let file = format!("data_sources/{key}/schema.json");
            let schema = schema(config, node, &file, &mut findings);
            if let Some(title) = node.at("/title").and_then(serde_json::Value::as_str) {
                compiled.titles.insert(title.to_owned(), namespace.clone());
            }
            let default = compiled.default.clone();
            let slot = compiled
                .collections
                .entry(namespace.database)
                .or_default()
                .entry(namespace.collection)
                .or_insert(default);
            if let Some(rules) = slot {
                rules.schema = schema;
            }
        }
        if findings.is_empty() {
            Ok(compiled)
        } else {
            Err(findings)
        }
    }

    fn put(&mut self, namespace: Namespace, rules: Option<CollectionRules>) {
        self.collections
            .entry(namespace.database)
            .or_default()
            .insert(namespace.collection, rules);
    }

    /// What holds in a collection: its own rules, else the default ones.
    ///
    /// # Errors
    /// `NoMatchingRuleFound` when there are neither.
    pub fn of(&self, namespace: &Namespace) -> Result<&CollectionRules, Problem> {
        self.collections
            .get(&namespace.database)
            .and_then(|collections| collections.get(&namespace.collection))
            .map_or(self.default.as_ref(), Option::as_ref)
            .ok_or_else(|| no_rule(namespace))
    }

    /// The collection whose schema has `title`.
    pub fn titled(&self, title: &str) -> Option<&Namespace> {
        self.titles.get(title)
    }
}

fn rule_set(config: &AppConfig, node: &Node, file: &str, findings: &mut Vec<Finding>) -> RuleSet {
    let parsed = document(node, file, findings).map(|document| RuleSet::parse(&document));
    match parsed {
        None => RuleSet::default(),
        Some(Ok(rules)) => {
            check_functions(config, rules.functions(), file, findings);
            rules
        }
        Some(Err(issues)) => {
            report(issues, file, findings);
            RuleSet::default()
        }
    }
}

fn schema(
    config: &AppConfig,
    node: &Node,
    file: &str,
    findings: &mut Vec<Finding>,
) -> Option<CollectionSchema> {
    match CollectionSchema::parse(&document(node, file, findings)?) {
        Ok(schema) => {
            if let Some(schema) = &schema {
                check_functions(config, schema.functions(), file, findings);
            }
            schema
        }
        Err(issues) => {
            report(issues, file, findings);
            None
        }
    }
}

/// The node as BSON: Extended JSON is decoded before operators are looked for.
fn document(node: &Node, file: &str, findings: &mut Vec<Finding>) -> Option<Document> {
    match kit::ejson::parse_value(&node.json) {
        Ok(bson::Bson::Document(document)) => Some(document),
        Ok(_) => {
            findings.push(Finding::error(file, "must be an object"));
            None
        }
        Err(error) => {
            findings.push(Finding::error(file, error.to_string()));
            None
        }
    }
}

fn report(issues: Vec<Issue>, file: &str, findings: &mut Vec<Finding>) {
    findings.extend(issues.into_iter().map(|issue| {
        let text = if issue.path.is_empty() {
            issue.message
        } else {
            format!("{}: {}", issue.path, issue.message)
        };
        Finding::error(file, text)
    }));
}

fn check_functions<'f>(
    config: &AppConfig,
    functions: impl Iterator<Item = &'f str>,
    file: &str,
    findings: &mut Vec<Finding>,
) {
    for function in functions {
        if config.get(Kind::Function, function).is_none() {
            findings.push(Finding::error(
                file,
                format!("function '{function}' does not exist"),
            ));
        }
    }
}
