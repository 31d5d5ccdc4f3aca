//! The order of fields and nodes. Clients that keep objects in hash maps send
//! fields in any order, and numbers in any notation, so neither is a change
//! (admin-api.md §5.4); what is new comes in the exporter's order.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};

use crate::{AppConfig, Kind, Node};

/// Fields in which files carry a node's id.
const IDS: [&str; 2] = ["id", "_id"];

impl AppConfig {
    /// Takes over from `base` what is the same but for the order of fields and
    /// nodes, and puts what is not into the order that it has there.
    pub fn settle(&mut self, base: &Self) {
        for (kind, nodes) in &mut self.nodes {
            let none = IndexMap::new();
            let before = base.nodes.get(kind).map_or(&none, |nodes| &**nodes);
            let mut settled = IndexMap::with_capacity(nodes.len());
            for (key, known) in before {
                if let Some(node) = nodes.get(key) {
                    settled.insert(key.clone(), settle_node(*kind, node, Some(known)));
                }
            }
            for (key, node) in nodes.iter() {
                if !settled.contains_key(key) {
                    settled.insert(key.clone(), settle_node(*kind, node, None));
                }
            }
            *nodes = Arc::new(settled);
        }
    }
}

fn settle_node(kind: Kind, node: &Arc<Node>, before: Option<&Arc<Node>>) -> Arc<Node> {
    if let Some(before) = before {
        let rest = node.source == before.source && node.bytes == before.bytes;
        if rest
            && same(
                &without_id(kind, &node.json),
                &without_id(kind, &before.json),
            )
        {
            return before.clone();
        }
    }
    let mut json = arranged(&node.json, before.map(|before| &before.json));
    if before.is_none() {
        by_table(&mut json, fields(kind));
        parts(kind, &mut json);
    }
    Arc::new(Node {
        json,
        ..Node::clone(node)
    })
}

/// Whether two values say the same, in whatever order and notation.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}

/// A node's JSON without its id. A schema has no id: there the field is the
/// author's.
pub(crate) fn without_id(kind: Kind, json: &Value) -> Value {
    let mut json = json.clone();
    if kind.has_id()
        && let Some(fields) = json.as_object_mut()
    {
        fields.retain(|name, _| !IDS.contains(&name.as_str()));
    }
    json
}

/// Takes the id that a node's JSON carries; none if it is null or missing.
///
/// # Errors
/// It is no text.
pub(crate) fn take_id(json: &mut Value) -> Result<Option<String>, ()> {
    let Some(fields) = json.as_object_mut() else {
        return Ok(None);
    };
    let mut found = None;
    for name in IDS {
        match fields.shift_remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => found = Some(id).filter(|id| !id.is_empty()).or(found),
            Some(_) => return Err(()),
        }
    }
    Ok(found)
}

/// A value with its fields in the order that they have in `before`, new ones
/// after them.
fn arranged(value: &Value, before: Option<&Value>) -> Value {
    match (value, before) {
        (Value::Object(fields), Some(Value::Object(known))) => {
            let mut ordered = Map::with_capacity(fields.len());
            for (name, before) in known {
                if let Some(value) = fields.get(name) {
                    ordered.insert(name.clone(), arranged(value, Some(before)));
                }
            }
            for (name, value) in fields {
                if !ordered.contains_key(name) {
                    ordered.insert(name.clone(), value.clone());
                }
            }
            Value::Object(ordered)
        }
        (Value::Array(items), Some(Value::Array(known))) => items
            .iter()
            .enumerate()
            .map(|(at, item)| arranged(item, known.get(at)))
            .collect(),
        (Value::Number(number), Some(Value::Number(known))) if same_number(number, known) => {
            Value::Number(known.clone())
        }
        _ => value.clone(),
    }
}

/// Puts the fields that a table names first, in its order.
fn by_table(json: &mut Value, table: &[&str]) {
    let Some(fields) = json.as_object_mut() else {
        return;
    };
    let mut ordered = Map::with_capacity(fields.len());
    for name in table {
        if let Some(value) = fields.shift_remove(*name) {
            ordered.insert((*name).to_owned(), value);
        }
    }
    ordered.append(fields);
    *fields = ordered;
}

/// Orders the parts inside of a node whose fields are the product's own.
fn parts(kind: Kind, json: &mut Value) {
    match kind {
        Kind::Trigger => {
            if let Some(config) = json.get_mut("config") {
                by_table(config, TRIGGER_CONFIG);
            }
        }
        Kind::Rule | Kind::DefaultRule => {
            let lists = ["roles", "filters"];
            for name in lists {
                let entries = json.get_mut(name).and_then(Value::as_array_mut);
                for entry in entries.into_iter().flatten() {
                    by_table(entry, ROLE);
                }
            }
        }
        Kind::Relationships => {
            let links = json.as_object_mut().into_iter();
            for (_, link) in links.flat_map(|fields| fields.iter_mut()) {
                by_table(link, RELATIONSHIP);
            }
        }
        Kind::DataSource => {
            if let Some(config) = json.get_mut("config") {
                by_table(config, DATA_SOURCE_CONFIG);
            }
        }
        _ => {}
    }
}

const TRIGGER_CONFIG: &[&str] = &[
    "operation_types",
    "operation_type",
    "providers",
    "database",
    "collection",
    "service_name",
    "match",
    "project",
    "full_document",
    "full_document_before_change",
    "unordered",
    "schedule",
    "skip_catchup_events",
];
const ROLE: &[&str] = &[
    "name",
    "apply_when",
    "query",
    "projection",
    "document_filters",
    "read",
    "write",
    "insert",
    "delete",
    "search",
    "fields",
    "additional_fields",
];
const RELATIONSHIP: &[&str] = &["ref", "source_key", "foreign_key", "is_list"];
const DATA_SOURCE_CONFIG: &[&str] = &["clusterName", "readPreference", "wireProtocolEnabled"];

/// A kind's fields in the order in which the exporter writes them; none for a
/// kind whose nodes have no fields of the product's.
pub const fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::AuthProvider => &[
            "name",
            "type",
            "config",
            "secret_config",
            "metadata_fields",
            "redirect_uris",
            "domain_restrictions",
            "disabled",
        ],
        Kind::CustomUserData => &[
            "enabled",
            "mongo_service_name",
            "database_name",
            "collection_name",
            "user_id_field",
            "on_user_creation_function_name",
        ],
        Kind::DataSource | Kind::Service => &["name", "type", "config", "secret_config", "version"],
        Kind::DefaultRule | Kind::Rule => &["database", "collection", "roles", "filters"],
        Kind::Schema => &["title", "bsonType", "required", "properties"],
        Kind::Function => &[
            "name",
            "private",
            "can_evaluate",
            "run_as_system",
            "run_as_user_id",
            "run_as_user_id_script_source",
            "disable_arg_logs",
        ],
        Kind::Value => &["name", "value", "private", "from_secret"],
        Kind::Endpoint => &[
            "route",
            "http_method",
            "function_name",
            "validation_method",
            "secret_name",
            "respond_result",
            "return_type",
            "fetch_custom_user_data",
            "create_user_on_auth",
            "disabled",
        ],
        Kind::DataApi => &[
            "disabled",
            "versions",
            "return_type",
            "create_user_on_auth",
            "run_as_user_id",
            "run_as_user_id_script_source",
            "validation_method",
            "secret_name",
            "fetch_custom_user_data",
            "log_function_arguments",
        ],
        Kind::Trigger => &[
            "name",
            "type",
            "disabled",
            "config",
            "function_name",
            "event_processors",
            "error_handler",
        ],
        Kind::GraphqlResolver => &[
            "function_name",
            "on_type",
            "field_name",
            "input_type_format",
            "input_type",
            "payload_type_format",
            "payload_type",
        ],
        Kind::LogForwarder => &[
            "name",
            "log_types",
            "log_statuses",
            "policy",
            "action",
            "disabled",
        ],
        Kind::Sync => &["type", "state", "development_mode_enabled", "service_name"],
        Kind::ServiceRule => &["name", "actions", "when"],
        Kind::Webhook => &[
            "name",
            "run_as_authed_user",
            "run_as_user_id",
            "run_as_user_id_script_source",
            "can_evaluate",
            "options",
            "respond_result",
            "fetch_custom_user_data",
            "create_user_on_auth",
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{arranged, same, take_id};
    use crate::{AppConfig, Kind, Node};

    #[test]
    fn order_and_notation_are_no_difference() {
        let a = json!({ "a": 1, "b": [{ "c": 2.0, "d": null }] });
        assert!(same(&a, &json!({ "b": [{ "d": null, "c": 2 }], "a": 1.0 })));
        for other in [
            json!({ "a": 1, "b": [] }),
            json!({ "a": 1, "b": [{ "c": 2.0 }] }),
            json!({ "a": "1", "b": [{ "c": 2.0, "d": null }] }),
            json!({ "a": 1, "b": [{ "c": 2.5, "d": null }] }),
        ] {
            assert!(!same(&a, &other), "{other}");
        }
        // As floats they would be the same.
        assert!(!same(
            &json!(9_007_199_254_740_993_i64),
            &json!(9_007_199_254_740_992_i64)
        ));
    }

    #[test]
    fn what_changes_keeps_its_order() {
        let before = json!({ "z": { "y": 1.0, "x": 2 }, "a": [{ "d": 1, "c": 1 }] });
        let after =
            json!({ "a": [{ "c": 1, "d": 2 }, { "c": 1 }], "n": 0, "z": { "x": 3, "y": 1 } });
        assert_eq!(
            arranged(&after, Some(&before)).to_string(),
            r#"{"z":{"y":1.0,"x":3},"a":[{"d":2,"c":1},{"c":1}],"n":0}"#
        );
    }

    #[test]
    fn settling_keeps_the_node_itself() {
        let value = |json| Node::new(json);
        let mut base = AppConfig::new("a");
        for name in ["b", "a"] {
            let json = json!({ "id": "x", "name": name, "value": { "q": 1, "p": 2 } });
            base.insert(Kind::Value, name, value(json)).unwrap();
        }
        let mut config = AppConfig::new("a");
        for (name, json) in [
            (
                "new",
                json!({ "from_secret": false, "value": 1, "name": "new" }),
            ),
            ("a", json!({ "value": { "p": 2, "q": 1 }, "name": "a" })),
            ("b", json!({ "value": { "p": 3, "q": 1 }, "name": "b" })),
        ] {
            config.insert(Kind::Value, name, value(json)).unwrap();
        }
        config.settle(&base);
        let printed: Vec<String> = config
            .all(Kind::Value)
            .map(|(key, node)| format!("{key} {}", node.json))
            .collect();
        assert_eq!(
            printed,
            [
                r#"b {"name":"b","value":{"q":1,"p":3}}"#,
                r#"a {"id":"x","name":"a","value":{"q":1,"p":2}}"#,
                r#"new {"name":"new","value":1,"from_secret":false}"#,
            ]
        );
    }

    #[test]
    fn an_id_is_a_text_or_nothing() {
        for (json, wanted) in [
            (json!({ "_id": "a", "id": null }), Ok(Some("a".to_owned()))),
            (json!({ "id": "" }), Ok(None)),
            (json!({ "id": 5 }), Err(())),
            (json!([]), Ok(None)),
        ] {
            assert_eq!(take_id(&mut json.clone()), wanted, "{json}");
        }
    }
}
