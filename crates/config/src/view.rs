//! Typed views of nodes: what the fields of a kind mean, defaults filled in.
//! A view borrows its node; the node stays what the file says.

use serde_json::{Map, Value};

use crate::{AppConfig, Kind, Node};

/// A function's manifest.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a>(pub &'a Node);

/// A value.
#[derive(Debug, Clone, Copy)]
pub struct NamedValue<'a>(pub &'a Node);

/// A data source.
#[derive(Debug, Clone, Copy)]
pub struct DataSource<'a>(pub &'a Node);

/// A login provider.
#[derive(Debug, Clone, Copy)]
pub struct AuthProvider<'a>(pub &'a Node);

/// A trigger.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a>(pub &'a Node);

impl AppConfig {
    /// Every function by name.
    pub fn functions(&self) -> impl Iterator<Item = (&str, Function<'_>)> {
        self.viewed(Kind::Function, Function)
    }

    /// Every value by name.
    pub fn values(&self) -> impl Iterator<Item = (&str, NamedValue<'_>)> {
        self.viewed(Kind::Value, NamedValue)
    }

    /// Every data source by name.
    pub fn data_sources(&self) -> impl Iterator<Item = (&str, DataSource<'_>)> {
        self.viewed(Kind::DataSource, DataSource)
    }

    /// Every login provider by name.
    pub fn auth_providers(&self) -> impl Iterator<Item = (&str, AuthProvider<'_>)> {
        self.viewed(Kind::AuthProvider, AuthProvider)
    }

    /// Every trigger by name.
    pub fn triggers(&self) -> impl Iterator<Item = (&str, Trigger<'_>)> {
        self.viewed(Kind::Trigger, Trigger)
    }

    /// The names of the values that differ by environment, sorted.
    pub fn environment_value_names(&self) -> Vec<&str> {
        let files = self.all(Kind::Environment);
        let values = files.filter_map(|(_, node)| node.at("/values")?.as_object());
        let mut names: Vec<&str> = values.flat_map(Map::keys).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A value in an environment, which is named as its file.
    pub fn environment_value(&self, environment: &str, name: &str) -> Option<&Value> {
        let node = self.get(Kind::Environment, environment)?;
        node.at("/values")?.get(name)
    }

    fn viewed<'a, V: 'a>(
        &'a self,
        kind: Kind,
        view: fn(&'a Node) -> V,
    ) -> impl Iterator<Item = (&'a str, V)> {
        self.all(kind)
            .map(move |(key, node)| (key.as_str(), view(node)))
    }
}

impl<'a> Function<'a> {
    /// Whether only other functions may call it.
    pub fn private(self) -> bool {
        self.0.flag("private")
    }

    /// Whether it runs as the system.
    pub fn run_as_system(self) -> bool {
        self.0.flag("run_as_system")
    }

    /// The user it runs as; empty for the caller.
    pub fn run_as_user_id(self) -> &'a str {
        self.0.text("run_as_user_id")
    }

    /// The script that chooses its user; empty for none.
    pub fn run_as_user_id_script(self) -> &'a str {
        self.0.text("run_as_user_id_script_source")
    }

    /// Whether log entries leave its arguments out.
    pub fn disable_arg_logs(self) -> bool {
        self.0.flag("disable_arg_logs")
    }

    /// The condition under which it may be called, if there is one.
    pub fn can_evaluate(self) -> Option<&'a Value> {
        let condition = self.0.json.get("can_evaluate")?;
        let fields = condition.as_object()?;
        (!fields.is_empty()).then_some(condition)
    }
}

impl<'a> NamedValue<'a> {
    /// The value itself, unless it is a secret's.
    pub fn plain(self) -> Option<&'a Value> {
        let value = self.0.json.get("value").unwrap_or(&Value::Null);
        self.secret().is_none().then_some(value)
    }

    /// The name of the secret that it stands for.
    pub fn secret(self) -> Option<&'a str> {
        let name = self.0.json.get("value")?.as_str()?;
        self.0.flag("from_secret").then_some(name)
    }
}

impl<'a> DataSource<'a> {
    /// The name of its cluster; empty for the default one.
    pub fn cluster(self) -> &'a str {
        let name = self.0.at("/config/clusterName").and_then(Value::as_str);
        name.unwrap_or_default()
    }

    /// Where reads go: `primary` unless set.
    pub fn read_preference(self) -> &'a str {
        let mode = self.0.at("/config/readPreference").and_then(Value::as_str);
        mode.filter(|mode| !mode.is_empty()).unwrap_or("primary")
    }

    /// Tag sets of servers that reads go to, the first that fits first, each a
    /// list of name and value. A set is an object of tags, a list of
    /// `{name, value}`, or one under `tags`.
    pub fn read_tags(self) -> Vec<Vec<(&'a str, &'a str)>> {
        let sets = self.0.at("/config/readPreferenceTagSets");
        let sets = sets.and_then(Value::as_array).into_iter().flatten();
        sets.map(tag_set).collect()
    }

    /// `mongodb-atlas`, `mongodb` or `datalake`.
    pub fn kind(self) -> &'a str {
        self.0.text("type")
    }
}

fn tag_set(set: &Value) -> Vec<(&str, &str)> {
    match set.get("tags").unwrap_or(set) {
        Value::Array(list) => list
            .iter()
            .filter_map(|tag| {
                let name = tag.get("name").or_else(|| tag.get("key"))?.as_str()?;
                Some((name, tag.get("value")?.as_str()?))
            })
            .collect(),
        Value::Object(tags) => tags
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect(),
        _ => Vec::new(),
    }
}

impl<'a> AuthProvider<'a> {
    /// Whether users may log in with it.
    pub fn enabled(self) -> bool {
        !self.0.flag("disabled")
    }

    /// Whether a switch of its `config` is on.
    pub fn on(self, switch: &str) -> bool {
        self.config().and_then(|config| config.get(switch)) == Some(&Value::Bool(true))
    }

    /// Its settings.
    pub fn config(self) -> Option<&'a Map<String, Value>> {
        self.0.at("/config")?.as_object()
    }

    /// The settings without which it lets nobody in, of those that it lacks: any
    /// of each list would do.
    pub fn lacks(self) -> Vec<&'static [&'static str]> {
        let mut needed: Vec<&'static [&'static str]> = match self.0.text("type") {
            "local-userpass" => vec![&[
                "autoConfirm",
                "runConfirmationFunction",
                "emailConfirmationUrl",
            ]],
            "custom-function" => vec![&["authFunctionName"]],
            "custom-token" if self.on("useJWKURI") => vec![&["jwkURI"]],
            "custom-token" => vec![&["signingKeys", "signingKey", "jwkURI"]],
            "oauth2-google" | "oauth2-facebook" | "oauth2-apple" => {
                vec![&["clientId"], &["clientSecret"]]
            }
            _ => Vec::new(),
        };
        if self.0.text("type") == "local-userpass" {
            if self.on("runConfirmationFunction") && !self.on("autoConfirm") {
                needed.push(&["confirmationFunctionName"]);
            }
            if self.on("runResetFunction") {
                needed.push(&["resetFunctionName"]);
            }
        }
        let said = |name: &&str| {
            // An empty one is the built-in page.
            let may_be_empty = *name == "emailConfirmationUrl";
            let parts = ["/config", "/secret_config"].into_iter();
            let mut values = parts.filter_map(|part| self.0.at(part)?.get(*name));
            values.any(|value| match value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => may_be_empty || !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                _ => true,
            })
        };
        needed.retain(|any| !any.iter().any(said));
        needed
    }
}

impl<'a> Trigger<'a> {
    /// Whether it is meant to fire.
    pub fn enabled(self) -> bool {
        !self.0.flag("disabled")
    }

    /// `DATABASE`, `AUTHENTICATION` or `SCHEDULED`.
    pub fn kind(self) -> &'a str {
        self.0.text("type")
    }
}
