//! What a data source sets of its rules, under `config.rules` of its file: none
//! of it unless it is written (rules-schemas.md §5, §6 and §11).

use config::{AppConfig, Flaw, Kind, nearest};
use rules::Allowed;
use serde_json::{Map, Value, json};

/// The settings of a data source's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// What its users may send that others may not.
    pub allowed: Allowed,
    /// Whether fields are asked for their `write` under a literal `write: false`.
    pub field_write_under_false: bool,
    /// Whether requests go by nothing but what their caller sees.
    pub protect_hidden_fields: bool,
}

/// Where they are in a data source's file.
const PLACE: &str = "/config/rules";
const ALLOW: &str = "allow_user_operators";
const COMPAT: &str = "compat";
const UNDER_FALSE: &str = "field_write_under_false";
const PROTECT: &str = "protect_hidden_fields";

impl RuleSettings {
    /// The settings of the data source `source`, and every flaw of them.
    pub(crate) fn of(config: &AppConfig, source: &str, flaws: &mut Vec<Flaw>) -> Self {
        let node = config.get(Kind::DataSource, source);
        let written = node.and_then(|node| node.at(PLACE));
        let mut reading = Reading { source, flaws };
        let mut settings = Self::default();
        let Some(all) = reading.object(written, "", &[ALLOW, COMPAT, PROTECT]) else {
            return settings;
        };
        settings.protect_hidden_fields = reading.flag(all.get(PROTECT), &format!("/{PROTECT}"));
        let within = format!("/{COMPAT}");
        if let Some(compat) = reading.object(all.get(COMPAT), &within, &[UNDER_FALSE]) {
            let pointer = format!("{within}/{UNDER_FALSE}");
            settings.field_write_under_false = reading.flag(compat.get(UNDER_FALSE), &pointer);
        }
        match all.get(ALLOW) {
            None | Some(Value::Null) => {}
            Some(Value::Array(names)) => {
                for (index, name) in names.iter().enumerate() {
                    let added = match name.as_str() {
                        Some(name) => settings.allowed.add(name),
                        None => Err("has to be a string".to_owned()),
                    };
                    if let Err(wrong) = added {
                        reading.wrong(&format!("/{ALLOW}/{index}"), &wrong);
                    }
                }
            }
            Some(_) => reading.wrong(&format!("/{ALLOW}"), "has to be an array of strings"),
        }
        settings
    }

    /// As they are written, whole.
    pub fn to_json(&self) -> Value {
        json!({
            ALLOW: self.allowed.names(),
            COMPAT: { UNDER_FALSE: self.field_write_under_false },
            PROTECT: self.protect_hidden_fields,
        })
    }
}

struct Reading<'a> {
    source: &'a str,
    flaws: &'a mut Vec<Flaw>,
}

impl Reading<'_> {
    fn wrong(&mut self, pointer: &str, text: &str) {
        let place = pointer.replace('/', ".");
        let text = format!("rules{place}: {text}");
        let pointer = format!("{PLACE}{pointer}");
        self.flaws
            .push(Flaw::error(Kind::DataSource, self.source, &pointer, text));
    }

    /// An object that has these names and no others: a setting that has no effect
    /// would be taken for one that has.
    fn object<'v>(
        &mut self,
        value: Option<&'v Value>,
        pointer: &str,
        names: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let object = match value {
            None | Some(Value::Null) => return None,
            Some(Value::Object(object)) => object,
            Some(_) => {
                self.wrong(pointer, "has to be an object");
                return None;
            }
        };
        for name in object.keys().filter(|name| !names.contains(&name.as_str())) {
            let text = match nearest(name, names) {
                Some(near) => format!("means nothing here; did you mean \"{near}\"?"),
                None => format!("means nothing here; there are {}", names.join(", ")),
            };
            self.wrong(&format!("{pointer}/{name}"), &text);
        }
        Some(object)
    }

    fn flag(&mut self, value: Option<&Value>, pointer: &str) -> bool {
        match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.wrong(pointer, "has to be true or false");
                false
            }
        }
    }
}
