//! `rules settings`: what a data source sets of its rules.

use clap::Args;
use serde_json::{Map, Value, json};

use super::deployments::Switch;
use super::{App, Desk, Which};
use crate::archives::Failed;

#[derive(Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    which: Which,
    /// The data source (default: the only one)
    #[arg(long)]
    service: Option<String>,
    /// An operator or a stage that users may send from now on, such as $regex
    #[arg(long, value_name = "OPERATOR")]
    allow: Vec<String>,
    /// One that they may not send any more
    #[arg(long, value_name = "OPERATOR")]
    refuse: Vec<String>,
    /// Whether requests go by nothing but what their caller sees
    #[arg(long)]
    protect_hidden_fields: Option<Switch>,
    /// Whether fields are asked for their write under a literal write: false
    #[arg(long)]
    field_write_under_false: Option<Switch>,
}

impl Settings {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        let app = desk.app(&self.which)?;
        let path = self.source(&desk, &app)?;
        let config = desk.session.get(&path)?;
        let known = config["rules"].as_object().cloned().unwrap_or_default();
        let changed = self.changed(known.clone());
        if changed != known {
            let change = json!({ "rules": changed });
            desk.session.ask("PATCH", &path, &change)?;
        }
        let shown = json!({
            "allow_user_operators": names(&changed),
            "compat": {
                "field_write_under_false": changed
                    .get("compat")
                    .and_then(|compat| compat.get("field_write_under_false"))
                    .unwrap_or(&json!(false)),
            },
            "protect_hidden_fields": changed
                .get("protect_hidden_fields")
                .unwrap_or(&json!(false)),
        });
        desk.out.document("settings", &shown)
    }

    /// The path of the data source's configuration.
    fn source(&self, desk: &Desk, app: &App) -> Result<String, Failed> {
        let services = desk.session.get(&app.at("/services"))?;
        let services = services.as_array().map_or(&[][..], Vec::as_slice);
        let is_source = |one: &&Value| {
            let kind = one["type"].as_str();
            kind.is_some_and(|kind| ["mongodb", "mongodb-atlas"].contains(&kind))
        };
        let mut sources: Vec<&Value> = services.iter().filter(is_source).collect();
        if let Some(wanted) = &self.service {
            sources.retain(|one| one["name"] == json!(wanted));
        }
        let id = match (sources.as_slice(), &self.service) {
            ([only], _) => only["_id"].as_str().unwrap_or_default(),
            ([], Some(wanted)) => return Err(format!("there is no data source '{wanted}'").into()),
            ([], None) => return Err("the app has no data source".into()),
            _ => return Err("the app has several data sources: name one with --service".into()),
        };
        Ok(app.at(&format!("/services/{}/config", archive::escaped(id))))
    }

    fn changed(&self, mut settings: Map<String, Value>) -> Map<String, Value> {
        if !self.allow.is_empty() || !self.refuse.is_empty() {
            let mut all = names(&settings);
            all.retain(|name| !self.refuse.contains(name) && !self.allow.contains(name));
            all.extend(self.allow.iter().cloned());
            settings.insert("allow_user_operators".to_owned(), json!(all));
        }
        if let Some(switch) = self.protect_hidden_fields {
            let on = json!(switch == Switch::On);
            settings.insert("protect_hidden_fields".to_owned(), on);
        }
        if let Some(switch) = self.field_write_under_false {
            let compat = settings.entry("compat").or_insert_with(|| json!({}));
            if let Some(compat) = compat.as_object_mut() {
                let on = json!(switch == Switch::On);
                compat.insert("field_write_under_false".to_owned(), on);
            }
        }
        settings
    }
}

fn names(settings: &Map<String, Value>) -> Vec<String> {
    let list = settings
        .get("allow_user_operators")
        .and_then(Value::as_array);
    let names = list.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
