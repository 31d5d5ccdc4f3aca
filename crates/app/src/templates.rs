//! Templates: apps that work, to begin from (admin-api.md §3.2). Ours, under
//! the service's ids.

use config::{AppConfig, Files};
use kit::Problem;
use serde_json::{Value, json};

use crate::App;
use crate::live::rejected;

/// An app to begin from.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// Its id.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// The files of the app but for its root, with the data source left open.
    app: &'static str,
    /// The files of a client, if it has one.
    client: Option<&'static str>,
}

/// Every template.
pub const TEMPLATES: &[Template] = &[
    Template {
        id: "web.mql.todo",
        name: "To-do list for browsers, with MongoDB queries",
        app: include_str!("../templates/todo.txt"),
        client: Some(include_str!("../templates/todo_web.txt")),
    },
    Template {
        id: "triggers",
        name: "Functions that follow changes and a schedule",
        app: include_str!("../templates/triggers.txt"),
        client: None,
    },
];

/// What stands for the data source's name in a template.
const SOURCE: &str = "%DATA_SOURCE%";
const SOURCE_NAME_CHARS_MAX: usize = 64;

impl Template {
    /// The template of an id.
    ///
    /// # Errors
    /// `TemplateNotFound`.
    pub fn of(id: &str) -> Result<&'static Self, Problem> {
        let known = TEMPLATES.iter().find(|template| template.id == id);
        known.ok_or_else(|| {
            Problem::new(
                kit::Kind::NotFound,
                "TemplateNotFound",
                format!("template not found: '{id}'"),
            )
        })
    }

    /// A new app of it: `root` is its root file, `data_source` the one whose
    /// documents it works on.
    ///
    /// # Errors
    /// `BadRequest`: what is wrong with either.
    pub fn config(&self, root: &Value, data_source: &Value) -> Result<AppConfig, Problem> {
        let name = data_source.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > SOURCE_NAME_CHARS_MAX || !name.chars().all(fits) {
            return Err(Problem::bad_request(format!(
                "a data source's name has 1 to {SOURCE_NAME_CHARS_MAX} ASCII letters, numbers, underscores and hyphens"
            )));
        }
        let mut files = Files::from_fixture(&self.app.replace(SOURCE, name));
        for (path, json) in [
            ("realm_config.json".to_owned(), root),
            (format!("data_sources/{name}/config.json"), data_source),
        ] {
            files.insert(path, json.to_string().into_bytes());
        }
        let (config, findings) = config::parse(&files);
        match config {
            Some(config) if !config::has_errors(&findings) => Ok(config),
            _ => Err(rejected(&findings)),
        }
    }

    /// The files of its client for an app that is reached at `base_url`.
    pub fn client(&self, app: &App, base_url: &str) -> Option<Files> {
        let mut files = Files::from_fixture(self.client?);
        let release = app.release();
        let source = release.config.data_sources().next();
        let settings = json!({
            "appId": app.client_app_id, "baseUrl": base_url,
            "dataSource": source.map(|(name, _)| name),
        });
        let settings = format!("{settings:#}\n");
        files.insert("atlasConfig.json", settings.into_bytes());
        Some(files)
    }
}

#[cfg(test)]
mod tests {
    use config::AppConfig;
    use serde_json::json;

    use super::{TEMPLATES, Template};

    #[test]
    fn templates_are_apps_without_a_flaw() {
        let root = json!({ "name": "new" });
        let source =
            json!({ "name": "db-1", "type": "mongodb-atlas", "config": { "clusterName": "C" } });
        for template in TEMPLATES {
            let config = template.config(&root, &source).unwrap();
            let (release, findings) = crate::check(&config::print(&config));
            assert!(release.is_some(), "{}: {findings:?}", template.id);
            let later = |text: &str| text.starts_with("not supported yet: ");
            let said: Vec<_> = findings.iter().filter(|f| !later(&f.message)).collect();
            assert!(said.is_empty(), "{}: {said:?}", template.id);
            assert!(config.functions().next().is_some());
            // Nothing names the data source by another name.
            for (path, bytes) in &config::print(&config).0 {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains('%') || path.contains("rules.json"), "{path}");
            }
        }
    }

    #[test]
    fn a_data_source_that_cannot_be_is_refused() {
        let todo = Template::of("web.mql.todo").unwrap();
        let root = AppConfig::new("new");
        let root = &root.get(config::Kind::Root, "").unwrap().json;
        for (source, said) in [
            (
                json!({ "name": "../x", "type": "mongodb-atlas" }),
                "a data source's name has",
            ),
            (json!("x"), "a data source's name has"),
            (json!({ "name": "x", "type": "csv" }), "csv"),
        ] {
            let refused = todo.config(root, &source).unwrap_err();
            assert!(refused.message.contains(said), "{source}: {refused:?}");
        }
        assert_eq!(Template::of("moon").unwrap_err().code, "TemplateNotFound");
    }
}
