//! Device Sync's configuration in its two dialects: one file of the app
//! (`sync/config.json`), which the Admin API shows and changes as
//! `flexible_sync` or `sync` of a data source (admin-api.md §3.4 and §4.4).

use serde_json::{Map, Value, json};

use crate::{AppConfig, EditError, Kind, Node};

/// The two kinds of sync: what files call each, and its field in a data source.
const DIALECTS: [(&str, &str); 2] = [("flexible", "flexible_sync"), ("partition", "sync")];
/// What only the file has.
const FILE_ONLY: [&str; 3] = ["type", "service_name", "development_mode_enabled"];

/// Sync of a data source, as the Admin API has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSync {
    /// `flexible_sync` or `sync`.
    pub field: &'static str,
    /// The settings. After a termination they are there with an empty `state`.
    pub settings: Map<String, Value>,
}

impl AppConfig {
    /// Sync of a data source, if it ever was configured there.
    pub fn sync_of(&self, source: &str) -> Option<SourceSync> {
        let node = self.get(Kind::Sync, "")?;
        if node.text("service_name") != source || source.is_empty() {
            return None;
        }
        let field = field_of(node);
        let mut settings = node.fields().cloned().unwrap_or_default();
        for name in FILE_ONLY {
            settings.remove(name);
        }
        // Clients want to read all of these, whatever was set.
        let mut default = |name: &str, value: Value| {
            settings.entry(name).or_insert(value);
        };
        default("state", json!(""));
        default("database_name", json!(""));
        if field == "sync" {
            default(
                "partition",
                json!({
                    "key": "", "type": "string", "required": false,
                    "permissions": { "read": true, "write": true },
                }),
            );
        } else {
            default("queryable_fields_names", json!([]));
        }
        Some(SourceSync { field, settings })
    }

    /// The kind and state of sync: `flexible` or `partition`, and `enabled` or
    /// `disabled`; nothing when it is not configured or terminated.
    pub fn sync_state(&self) -> Option<(&'static str, &str)> {
        let node = self.get(Kind::Sync, "")?;
        let state = node.text("state");
        (!state.is_empty()).then(|| (kind_of(node), state))
    }

    /// Merges settings into sync of a data source. An empty `state` terminates
    /// it and keeps the rest.
    ///
    /// # Errors
    /// What is wrong with the settings; another data source's sync that is on.
    pub fn set_sync(&mut self, source: &str, new: &SourceSync) -> Result<(), EditError> {
        let wrong = |text: String| Err(EditError::Invalid(vec![text]));
        let before = self.get(Kind::Sync, "");
        let mut node = before.map(|node| Node::clone(node)).unwrap_or_default();
        let owner = node.text("service_name").to_owned();
        let same = owner == source && field_of(&node) == new.field;
        if !same && !owner.is_empty() && !node.text("state").is_empty() {
            return wrong(format!(
                "sync is on already, as {} of '{owner}'; terminate it first",
                kind_of(&node)
            ));
        }
        let mut fields = node.fields().cloned().unwrap_or_default();
        if !same {
            // What was set for another one means nothing here.
            fields.retain(|name, _| name == "development_mode_enabled");
            let kind = DIALECTS.iter().find(|(_, field)| *field == new.field);
            fields.insert("type".to_owned(), json!(kind.map_or("", |(kind, _)| kind)));
            fields.insert("service_name".to_owned(), json!(source));
        }
        for (name, value) in &new.settings {
            if !FILE_ONLY.contains(&name.as_str()) && !value.is_null() {
                fields.insert(name.clone(), value.clone());
            }
        }
        let state = fields.get("state").cloned().unwrap_or(json!(""));
        match state.as_str() {
            Some("") => {
                fields.remove("state");
            }
            Some("enabled" | "disabled") => {
                let named = fields.get("database_name").and_then(Value::as_str);
                // Flexible sync of local suites names its databases by schema.
                if new.field == "sync" && named.is_none_or(str::is_empty) {
                    return wrong("sync needs a 'database_name'".to_owned());
                }
                if new.field == "sync" {
                    let key = fields
                        .get("partition")
                        .and_then(|partition| partition.get("key")?.as_str());
                    if key.is_none_or(str::is_empty) {
                        return wrong("partition-based sync needs 'partition.key'".to_owned());
                    }
                }
            }
            _ => return wrong("'state' must be \"enabled\", \"disabled\" or \"\"".to_owned()),
        }
        node.json = Value::Object(fields);
        self.set(Kind::Sync, "", node)
    }

    /// Takes sync out of a data source's `config`, as a creation or a change of
    /// it brings it.
    pub fn split_sync(config: &mut Map<String, Value>) -> Vec<SourceSync> {
        let mut found = Vec::new();
        for (_, field) in DIALECTS {
            match config.remove(field) {
                Some(Value::Object(settings)) => found.push(SourceSync { field, settings }),
                // Not set, as some clients say it.
                Some(Value::Null) | None => {}
                Some(other) => {
                    config.insert(field.to_owned(), other);
                }
            }
        }
        found
    }
}

fn kind_of(node: &Node) -> &'static str {
    let partition = node.text("type") == "partition"
        || (node.text("type").is_empty() && node.at("/partition").is_some());
    if partition { "partition" } else { "flexible" }
}

fn field_of(node: &Node) -> &'static str {
    match kind_of(node) {
        "partition" => "sync",
        _ => "flexible_sync",
    }
}
