//! Who names what: functions, data sources, values, secrets. What is named is
//! not removed, and names follow it when it is renamed.

use serde_json::{Map, Value};

use crate::check::{FUNCTION_REFERENCES, SOURCE_REFERENCES};
use crate::{AppConfig, Kind, Node};

/// Kinds whose content is data, whatever it looks like.
pub(crate) const DATA: [Kind; 4] = [
    Kind::Value,
    Kind::Environment,
    Kind::HostingFile,
    Kind::Dependencies,
];

impl AppConfig {
    /// Who names a node, other than itself. What code says is not seen.
    pub fn users(&self, kind: Kind, key: &str) -> Vec<(Kind, String)> {
        let mut users: Vec<(Kind, String)> = self
            .naming(kind, key, "", Naming::InUse)
            .into_iter()
            .map(|(of, name, _)| (of, name))
            .collect();
        let is_synced = || {
            let source = self.get(Kind::DataSource, key)?;
            let on = |pointer: &str| source.at(pointer)?.as_str().map(|state| !state.is_empty());
            on("/config/sync/state").or_else(|| on("/config/flexible_sync/state"))
        };
        let sync = (Kind::Sync, String::new());
        if kind == Kind::DataSource && is_synced() == Some(true) && !users.contains(&sync) {
            users.push(sync);
        }
        users
    }

    /// The nodes that name another one, as they are when that is called
    /// otherwise.
    pub(crate) fn renamed(&self, kind: Kind, key: &str, new: &str) -> Vec<(Kind, String, Node)> {
        self.naming(kind, key, new, Naming::Any)
    }

    fn naming(
        &self,
        kind: Kind,
        key: &str,
        new: &str,
        naming: Naming,
    ) -> Vec<(Kind, String, Node)> {
        let mut found = Vec::new();
        for of in self.kinds() {
            for (name, node) in self.all(of) {
                if of == kind && name == key {
                    continue;
                }
                if let Some(json) = renamed(of, node, kind, (key, new), naming) {
                    let node = Node {
                        json,
                        ..Node::clone(node)
                    };
                    found.push((of, name.clone(), node));
                }
            }
        }
        found
    }

    /// The secrets that nodes name, sorted.
    pub fn secret_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.secret_uses().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Who names a secret.
    pub fn secret_users(&self, secret: &str) -> Vec<(Kind, String)> {
        let mut users: Vec<(Kind, String)> = self
            .secret_uses()
            .filter(|(name, _)| name == secret)
            .map(|(_, user)| user)
            .collect();
        users.dedup();
        users
    }

    /// Each use of a secret: its name, and who names it.
    fn secret_uses(&self) -> impl Iterator<Item = (String, (Kind, String))> {
        let kinds = [
            Kind::Value,
            Kind::Endpoint,
            Kind::DataApi,
            Kind::AuthProvider,
            Kind::DataSource,
            Kind::Service,
        ];
        kinds.into_iter().flat_map(move |kind| {
            self.all(kind).flat_map(move |(key, node)| {
                let names = secrets_of(kind, node).into_iter();
                let names = names.filter(|name| !name.is_empty());
                names.map(move |name| (name.to_owned(), (kind, key.clone())))
            })
        })
    }
}

/// Which names of others count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// Those that act: what they name has to be there.
    InUse,
    /// Those too that mean nothing as the node is, such as sync that was
    /// terminated and relationships: they are right again after a rename.
    Any,
}

/// The names of secrets in a node.
fn secrets_of(kind: Kind, node: &Node) -> Vec<&str> {
    match kind {
        Kind::Value if node.flag("from_secret") => vec![node.text("value")],
        Kind::Endpoint | Kind::DataApi => vec![node.text("secret_name")],
        Kind::AuthProvider | Kind::DataSource | Kind::Service => {
            let fields = node.at("/secret_config").and_then(Value::as_object);
            let values = fields.into_iter().flat_map(Map::values);
            let names = values.flat_map(|value| {
                let list = value.as_array().map(Vec::as_slice);
                list.unwrap_or(std::slice::from_ref(value))
            });
            names.filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    }
}

/// What a node says when the one that it names is called otherwise; nothing if
/// it does not name it.
fn renamed(
    of: Kind,
    node: &Node,
    kind: Kind,
    (old, new): (&str, &str),
    naming: Naming,
) -> Option<Value> {
    let table = match kind {
        Kind::Function => FUNCTION_REFERENCES,
        Kind::DataSource => SOURCE_REFERENCES,
        Kind::Value => &[],
        _ => return None,
    };
    let mut json = node.json.clone();
    let mut changed = false;
    for (_, pointer) in table.iter().filter(|(kind, _)| *kind == of) {
        if let Some(name) = json.pointer_mut(pointer)
            && name.as_str() == Some(old)
            && (naming == Naming::Any || counts(of, node, pointer))
        {
            *name = new.into();
            changed = true;
        }
    }
    if of == Kind::Relationships && kind == Kind::DataSource && naming == Naming::Any {
        changed |= rename_targets(&mut json, old, new);
    }
    if !DATA.contains(&of) {
        changed |= match kind {
            Kind::Function => rename_calls(&mut json, old, new),
            Kind::Value => rename_expansions(&mut json, old, new),
            _ => false,
        };
    }
    changed.then_some(json)
}

/// Whether a field of a node means something as the node is.
fn counts(of: Kind, node: &Node, pointer: &str) -> bool {
    let acts = |kind: &str| node.at("/action/type").and_then(Value::as_str) == Some(kind);
    match (of, pointer) {
        (Kind::LogForwarder, "/action/name") => acts("function"),
        (Kind::LogForwarder, _) => acts("collection"),
        (Kind::CustomUserData, "/mongo_service_name") => node.flag("enabled"),
        (Kind::Sync, _) => !node.text("state").is_empty(),
        _ => true,
    }
}

/// Renames the data source in the targets of relationships:
/// `#/relationship/<source>/<database>/<collection>`; says whether any was.
fn rename_targets(json: &mut Value, old: &str, new: &str) -> bool {
    let mut changed = false;
    let fields = json.as_object_mut().into_iter();
    for relationship in fields.flat_map(Map::values_mut) {
        let Some(target) = relationship.get_mut("ref") else {
            continue;
        };
        let rest = target.as_str().and_then(|target| {
            let named = target.strip_prefix("#/relationship/")?;
            let rest = named.strip_prefix(old)?;
            rest.starts_with('/')
                .then(|| format!("#/relationship/{new}{rest}"))
        });
        if let Some(moved) = rest {
            *target = moved.into();
            changed = true;
        }
    }
    changed
}

/// Renames what `%function` calls; says whether anything did.
fn rename_calls(json: &mut Value, old: &str, new: &str) -> bool {
    match json {
        Value::Array(list) => list
            .iter_mut()
            .fold(false, |any, part| rename_calls(part, old, new) | any),
        Value::Object(fields) => {
            let mut changed = false;
            for (name, part) in fields {
                match part.get_mut("name") {
                    Some(called) if name == "%function" && called.as_str() == Some(old) => {
                        *called = new.into();
                        changed = true;
                    }
                    _ => {}
                }
                changed |= rename_calls(part, old, new);
            }
            changed
        }
        _ => false,
    }
}

/// Renames `%%values.…`, where it is a value and where it is a name; says
/// whether anything was.
fn rename_expansions(json: &mut Value, old: &str, new: &str) -> bool {
    let renamed = |text: &str| {
        let rest = text.strip_prefix("%%values.")?.strip_prefix(old)?;
        let is_it = rest.is_empty() || rest.starts_with('.');
        is_it.then(|| format!("%%values.{new}{rest}"))
    };
    match json {
        Value::String(text) => match renamed(text) {
            Some(other) => {
                *text = other;
                true
            }
            None => false,
        },
        Value::Array(list) => list
            .iter_mut()
            .fold(false, |any, part| rename_expansions(part, old, new) | any),
        Value::Object(fields) => {
            let mut changed = false;
            for part in fields.values_mut() {
                changed |= rename_expansions(part, old, new);
            }
            if fields.keys().any(|name| renamed(name).is_some()) {
                changed = true;
                // In their order, which counts.
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, part)| (renamed(&name).unwrap_or(name), part))
                    .collect();
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{AppConfig, EditError, Kind, Node};

    fn config(nodes: &[(Kind, &str, Value)]) -> AppConfig {
        let mut config = AppConfig::new("a");
        for (kind, key, json) in nodes {
            config.put(*kind, *key, Node::new(json.clone()));
        }
        config
    }

    fn used() -> AppConfig {
        config(&[
            (Kind::Function, "f", json!({ "name": "f" })),
            (
                Kind::Function,
                "g",
                json!({ "name": "g", "can_evaluate": { "%%true": { "%function": { "name": "f" } } } }),
            ),
            (
                Kind::Value,
                "v",
                json!({ "name": "v", "value": "%%values.w" }),
            ),
            (Kind::Value, "w", json!({ "name": "w", "value": 1 })),
            (
                Kind::Value,
                "vw",
                json!({ "name": "vw", "value": "key", "from_secret": true }),
            ),
            (
                Kind::DataSource,
                "db",
                json!({ "name": "db", "type": "mongodb-atlas" }),
            ),
            (
                Kind::DefaultRule,
                "db",
                json!({ "roles": [{ "name": "r", "apply_when": {
                    "%%values.v": 1, "a": "%%values.v.x", "b": ["%%values.vw"],
                } }] }),
            ),
            (
                Kind::LogForwarder,
                "l",
                json!({ "name": "l", "action": { "type": "collection", "name": "f", "data_source": "db" } }),
            ),
        ])
    }

    #[test]
    fn what_is_named_stays() {
        let mut config = used();
        for (kind, key, users) in [
            (Kind::Function, "f", vec![(Kind::Function, "g")]),
            (Kind::Function, "g", vec![]),
            (Kind::Value, "v", vec![(Kind::DefaultRule, "db")]),
            (Kind::Value, "vw", vec![(Kind::DefaultRule, "db")]),
            (Kind::Value, "w", vec![]),
            (Kind::DataSource, "db", vec![(Kind::LogForwarder, "l")]),
        ] {
            let users: Vec<_> = users.into_iter().map(|(k, n)| (k, n.to_owned())).collect();
            assert_eq!(config.users(kind, key), users, "{key}");
            if !users.is_empty() {
                assert_eq!(config.remove(kind, key), Err(EditError::InUse(users)));
            }
        }
        assert_eq!(config.remove(Kind::Value, "w"), Ok(()));
        assert_eq!(config.secret_users("key"), [(Kind::Value, "vw".to_owned())]);
        assert_eq!(config.secret_users("other"), []);
    }

    #[test]
    fn a_synced_source_is_in_use() {
        let mut config = used();
        config.remove(Kind::LogForwarder, "l").unwrap();
        let synced = |state: &str| json!({ "name": "db", "type": "mongodb-atlas", "config": { "flexible_sync": { "state": state } } });
        config.put(Kind::DataSource, "db", Node::new(synced("enabled")));
        let refused = config.remove(Kind::DataSource, "db").unwrap_err();
        assert_eq!(refused.to_string(), "it is used by sync");
        config.put(Kind::DataSource, "db", Node::new(synced("")));
        assert_eq!(config.remove(Kind::DataSource, "db"), Ok(()));
    }

    #[test]
    fn a_data_source_takes_what_belongs_to_it_to_its_new_name() {
        let relationships = |source: &str| {
            json!({
                "owner": { "ref": format!("#/relationship/{source}/d/users"), "foreign_key": "_id" },
                "shop": { "ref": "#/relationship/dbx/d/shops", "foreign_key": "_id" },
            })
        };
        let sync = |source: &str| json!({ "type": "flexible", "service_name": source });
        let user_data = |source: &str| json!({ "enabled": false, "mongo_service_name": source });
        let trigger = |source: &str| {
            json!({
                "name": "t", "type": "DATABASE", "function_name": "f",
                "config": { "service_name": source, "operation_types": ["INSERT"] },
            })
        };
        let source = |name: &str| json!({ "name": name, "type": "mongodb-atlas" });
        let nodes = |name: &str| -> Vec<(Kind, String, Value)> {
            let inside = |rest: &str| format!("{name}{rest}");
            vec![
                (Kind::DataSource, inside(""), source(name)),
                (Kind::DataSource, "dbx".to_owned(), source("dbx")),
                (Kind::DefaultRule, inside(""), json!({ "roles": [] })),
                (
                    Kind::Rule,
                    inside("/d/c"),
                    json!({ "database": "d", "collection": "c" }),
                ),
                (Kind::Rule, "dbx/d/c".to_owned(), json!({ "database": "d" })),
                (Kind::Schema, inside("/d/c"), json!({ "title": "c" })),
                (Kind::Relationships, inside("/d/c"), relationships(name)),
                (
                    Kind::Relationships,
                    "dbx/d/c".to_owned(),
                    relationships(name),
                ),
                (Kind::Sync, String::new(), sync(name)),
                (Kind::CustomUserData, String::new(), user_data(name)),
                (Kind::Trigger, "t".to_owned(), trigger(name)),
                (
                    Kind::LogForwarder,
                    "l".to_owned(),
                    json!({ "name": "l", "action": {
                    "type": "collection", "name": "f", "data_source": name,
                } }),
                ),
            ]
        };
        let of = |name: &str| {
            let nodes = nodes(name);
            let nodes: Vec<_> = nodes
                .iter()
                .map(|(kind, key, json)| (*kind, key.as_str(), json.clone()))
                .collect();
            config(&nodes)
        };
        let mut renamed = of("db");
        renamed
            .replace(Kind::DataSource, "db", "shop", Node::new(source("shop")))
            .unwrap();
        let wanted = of("shop");
        for kind in Kind::ALL {
            let sorted = |config: &AppConfig| {
                let mut all: Vec<(String, Value)> = config
                    .all(kind)
                    .map(|(key, node)| (key.clone(), node.json.clone()))
                    .collect();
                all.sort_by(|a, b| a.0.cmp(&b.0));
                all
            };
            assert_eq!(sorted(&renamed), sorted(&wanted), "{kind:?}");
        }
        // What only could mean it again does not keep it from going.
        let mut config = of("db");
        for (kind, key) in [(Kind::Trigger, "t"), (Kind::LogForwarder, "l")] {
            config.remove(kind, key).unwrap();
        }
        assert_eq!(config.remove(Kind::DataSource, "db"), Ok(()));
    }

    #[test]
    fn what_belongs_to_a_service_goes_with_it() {
        let mut config = config(&[
            (Kind::Service, "s", json!({ "name": "s", "type": "http" })),
            (Kind::ServiceRule, "s/r", json!({ "name": "r" })),
            (Kind::Webhook, "s/w", json!({ "name": "w" })),
            (Kind::Webhook, "st/w", json!({ "name": "w" })),
        ]);
        config.remove(Kind::Service, "s").unwrap();
        assert!(config.get(Kind::ServiceRule, "s/r").is_none());
        assert!(config.get(Kind::Webhook, "s/w").is_none());
        assert!(config.get(Kind::Webhook, "st/w").is_some());
    }

    #[test]
    fn names_follow_what_they_name() {
        let mut config = used();
        let node = Node::new(json!({ "name": "h" }));
        config.replace(Kind::Function, "f", "h", node).unwrap();
        let called = "/can_evaluate/%%true/%function/name";
        let caller = config.get(Kind::Function, "g").unwrap();
        assert_eq!(caller.at(called), Some(&json!("h")));
        let node = Node::new(json!({ "name": "n", "value": 1 }));
        config.replace(Kind::Value, "v", "n", node).unwrap();
        let rule = config.get(Kind::DefaultRule, "db").unwrap();
        assert_eq!(
            rule.at("/roles/0/apply_when"),
            Some(&json!({ "%%values.n": 1, "a": "%%values.n.x", "b": ["%%values.vw"] }))
        );
        // A name that is taken changes nothing.
        let before = config.clone();
        let node = Node::new(json!({ "name": "w", "value": 1 }));
        assert!(config.replace(Kind::Value, "n", "w", node).is_err());
        assert_eq!(config, before);
    }
}
