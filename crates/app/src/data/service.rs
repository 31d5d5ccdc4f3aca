//! The rules of one data source, compiled from the configuration
//! (rules-schemas.md §1, §2).

use std::collections::HashMap;

use bson::Document;
use config::{AppConfig, Flaw, Kind, Node};
use kit::Problem;
use rules::{CollectionSchema, Issue, RuleSet};
use serde_json::Value;

use super::Namespace;
use super::collation::Collations;
use super::failure::no_rule;
use super::rule_settings::RuleSettings;

/// The rules and schemas of one data source.
#[derive(Debug, Default)]
pub struct ServiceRules {
    /// What the data source sets of them.
    pub settings: RuleSettings,
    /// By database, then by collection: a lookup makes no key.
    collections: HashMap<String, HashMap<String, Option<CollectionRules>>>,
    default: Option<CollectionRules>,
    titles: HashMap<String, Namespace>,
    pub(super) collations: Collations,
}

/// What holds in one collection.
#[derive(Debug, Clone, Default)]
pub struct CollectionRules {
    /// Roles and filters, default roles already filled in.
    pub rules: RuleSet,
    /// The schema that writes of users must satisfy.
    pub schema: Option<CollectionSchema>,
}

impl ServiceRules {
    /// Compiles the rules of the data source `source`.
    ///
    /// # Errors
    /// Every flaw.
    pub fn compile(config: &AppConfig, source: &str) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let settings = RuleSettings::of(config, source, &mut flaws);
        let rule_set = |node, of, flaws: &mut Vec<Flaw>| {
            let mut rules = rule_set(config, node, of, flaws);
            if settings.field_write_under_false {
                rules.ask_fields_under_false();
            }
            rules
        };
        let default = config
            .get(Kind::DefaultRule, source)
            .map(|node| rule_set(node, (Kind::DefaultRule, source), &mut flaws));
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
            let mut rules = rule_set(node, (Kind::Rule, key), &mut flaws);
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
            let schema = schema(config, node, (Kind::Schema, key), &mut flaws);
            if let Some(title) = node.at("/title").and_then(Value::as_str) {
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
        compiled.settings = settings;
        if flaws.is_empty() {
            Ok(compiled)
        } else {
            Err(flaws)
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

/// Which node: kind and key.
pub(crate) type Of<'a> = (Kind, &'a str);

fn rule_set(config: &AppConfig, node: &Node, of: Of, flaws: &mut Vec<Flaw>) -> RuleSet {
    check_functions(config, node, of, flaws);
    let parsed = document(node, of, flaws).map(|document| RuleSet::parse(&document));
    match parsed {
        None => RuleSet::default(),
        Some(Ok(rules)) => rules,
        Some(Err(issues)) => {
            report(issues, node, of, flaws);
            RuleSet::default()
        }
    }
}

fn schema(
    config: &AppConfig,
    node: &Node,
    of: Of,
    flaws: &mut Vec<Flaw>,
) -> Option<CollectionSchema> {
    check_functions(config, node, of, flaws);
    match CollectionSchema::parse(&document(node, of, flaws)?) {
        Ok(schema) => schema,
        Err(issues) => {
            report(issues, node, of, flaws);
            None
        }
    }
}

/// The node as BSON: Extended JSON is decoded before operators are looked for.
pub(crate) fn document(node: &Node, (kind, key): Of, flaws: &mut Vec<Flaw>) -> Option<Document> {
    let wrong = match kit::ejson::parse_value(&node.json) {
        Ok(bson::Bson::Document(document)) => return Some(document),
        Ok(_) => "must be an object".to_owned(),
        Err(error) => error.to_string(),
    };
    flaws.push(Flaw::error(kind, key, "", wrong));
    None
}

pub(crate) fn report(issues: Vec<Issue>, node: &Node, (kind, key): Of, flaws: &mut Vec<Flaw>) {
    flaws.extend(issues.into_iter().map(|issue| {
        let pointer = config::pointer(&node.json, &issue.path);
        let text = if issue.path.is_empty() {
            issue.message
        } else {
            format!("{}: {}", issue.path, issue.message)
        };
        Flaw::error(kind, key, &pointer, text)
    }));
}

/// Each `%function` has to name one that there is. Looked for in the JSON, so
/// that they are found beside other mistakes.
pub(crate) fn check_functions(
    config: &AppConfig,
    node: &Node,
    (kind, key): Of,
    flaws: &mut Vec<Flaw>,
) {
    let missing = |part: &Value| {
        let name = part.pointer("/%function/name")?.as_str()?;
        config
            .get(Kind::Function, name)
            .is_none()
            .then(|| name.to_owned())
    };
    for (pointer, function) in config::find_all(&node.json, &missing) {
        let text = format!("function '{function}' does not exist");
        flaws.push(Flaw::error(kind, key, &pointer, text));
    }
}
