//! `apps`: the apps of a server.

use std::path::PathBuf;

use clap::Subcommand;
use config::{AppConfig, Exporting, RootLayout};
use serde_json::{Value, json};

use super::document::{Local, root_of};
use super::{App, Desk, Which, one, transfer};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show the apps
    #[command(alias = "ls")]
    List {
        /// Only of this project
        #[arg(long)]
        project: Option<String>,
    },
    /// Make an app at the server and a directory for it
    Create {
        #[command(flatten)]
        new: New,
        /// The template to begin with
        #[arg(long)]
        template: Option<String>,
        /// A cluster to link as mongodb-atlas
        #[arg(long)]
        cluster: Option<String>,
        /// Say what would be made; make nothing
        #[arg(long, short = 'x')]
        dry_run: bool,
    },
    /// Make an app directory here, without an app at the server
    #[command(alias = "initialize")]
    Init {
        #[command(flatten)]
        new: New,
    },
    /// Show what an app consists of
    Describe {
        #[command(flatten)]
        which: Which,
    },
    /// Show what a push of a directory would change
    Diff {
        /// The app directory
        #[arg(long, default_value = ".")]
        local: PathBuf,
        /// The app (default: the one that the directory is of)
        #[arg(long)]
        remote: Option<String>,
        /// The project (default: all that the profile may see)
        #[arg(long)]
        project: Option<String>,
    },
    /// Remove apps with everything in them
    Delete {
        /// The app: id, client app id or name (may be repeated)
        #[arg(long = "app", short = 'a', required = true)]
        apps: Vec<String>,
        /// The project (default: all that the profile may see)
        #[arg(long)]
        project: Option<String>,
    },
}

/// A new app.
#[derive(clap::Args)]
pub(crate) struct New {
    /// Its name
    #[arg(long, short = 'n', required_unless_present = "remote")]
    name: Option<String>,
    /// The app to begin with: id, client app id or name
    #[arg(long)]
    remote: Option<String>,
    /// The directory (default: the name)
    #[arg(long)]
    local: Option<PathBuf>,
    /// Its location
    #[arg(long, short = 'l', default_value = "US-VA")]
    location: String,
    /// Its deployment model
    #[arg(long, short = 'd', default_value = "GLOBAL", value_parser = ["GLOBAL", "LOCAL"])]
    deployment_model: String,
    /// Its environment
    #[arg(long, short = 'e', default_value = "",
          value_parser = ["", "development", "testing", "qa", "production"])]
    environment: String,
    /// The project (default: the only one)
    #[arg(long)]
    project: Option<String>,
}

impl Verb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { project } => {
                let apps = desk.apps(project.as_deref())?;
                if apps.is_empty() {
                    return desk.out.say("there are no apps");
                }
                let shown: Vec<String> = apps.iter().map(App::shown).collect();
                desk.out.list(&format!("apps: {}", apps.len()), &shown)
            }
            Self::Create {
                new,
                template,
                cluster,
                dry_run,
            } => new.create(&mut desk, template, cluster, dry_run),
            Self::Init { new } => new.init(&mut desk),
            Self::Describe { which } => {
                let app = desk.app(&which)?;
                let shown = desk.session.get(&app.at("/description"))?;
                desk.out.document("the app", &shown)
            }
            Self::Diff {
                local,
                remote,
                project,
            } => {
                let local = Local::read(&local)?;
                let word = remote.or_else(|| local.client_app_id());
                let word = word.ok_or("name the app with --remote")?;
                let app = one(desk.matching(&word, project.as_deref())?, Some(&word))?;
                let document = local.document(&app.client_app_id)?;
                let diffs = transfer::diffs(&mut desk, &app, &document)?;
                if diffs.is_empty() {
                    return desk.out.say("the app and the directory are the same");
                }
                desk.out
                    .diffs(&format!("changes to {}", app.client_app_id), &diffs)
            }
            Self::Delete { apps, project } => delete(&mut desk, &apps, project.as_deref()),
        }
    }
}

/// Removes apps; all are found before the first goes.
fn delete(desk: &mut Desk, words: &[String], project: Option<&str>) -> Result<(), Failed> {
    let mut apps: Vec<App> = Vec::new();
    for word in words {
        let app = one(desk.matching(word, project)?, Some(word))?;
        if apps.iter().all(|known| known.id != app.id) {
            apps.push(app);
        }
    }
    let names: Vec<&str> = apps.iter().map(|app| app.client_app_id.as_str()).collect();
    let question = format!("Delete {} with everything in it", names.join(", "));
    if !desk.out.confirm(&question)? {
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut failed = 0;
    for app in &apps {
        let done = desk.session.ask("DELETE", &app.at(""), &Value::Null);
        failed += usize::from(done.is_err());
        let details = done.as_ref().err().map(ToString::to_string);
        rows.push(vec![
            json!(app.client_app_id),
            json!(app.name),
            json!(done.is_ok()),
            json!(details.unwrap_or_default()),
        ]);
    }
    let message = format!("deleted: {}", apps.len() - failed);
    desk.out
        .table(&message, &["ID", "Name", "Deleted", "Details"], &rows)?;
    if failed > 0 {
        return Err(format!("not deleted: {failed}").into());
    }
    Ok(())
}

impl New {
    /// The app to begin with.
    fn origin(&self, desk: &mut Desk) -> Result<Option<App>, Failed> {
        let Some(word) = &self.remote else {
            return Ok(None);
        };
        let found = desk.matching(word, self.project.as_deref())?;
        Ok(Some(one(found, Some(word))?))
    }

    fn name(&self, origin: Option<&App>) -> String {
        let origin = origin.map(|app| app.name.clone());
        self.name.clone().or(origin).unwrap_or_default()
    }

    /// The directory, which must not be an app's already.
    fn folder(&self, name: &str) -> Result<PathBuf, Failed> {
        let folder = self.local.clone().unwrap_or_else(|| PathBuf::from(name));
        if folder.is_dir() && root_of(&folder).is_some() {
            let text = format!(
                "{}: there is an app directory here already",
                folder.display()
            );
            return Err(text.into());
        }
        Ok(folder)
    }

    fn create(
        &self,
        desk: &mut Desk,
        template: Option<String>,
        cluster: Option<String>,
        dry_run: bool,
    ) -> Result<(), Failed> {
        let origin = self.origin(desk)?;
        let name = self.name(origin.as_ref());
        let folder = self.folder(&name)?;
        let project = desk.project(self.project.as_deref())?;
        let mut body = json!({
            "name": name, "location": self.location, "deployment_model": self.deployment_model,
            "environment": self.environment,
        });
        if let Some(template) = template {
            body["template_id"] = template.into();
        }
        if let Some(cluster) = cluster {
            body["data_source"] = json!({
                "name": "mongodb-atlas", "type": "mongodb-atlas", "version": 1,
                "config": { "clusterName": cluster, "readPreference": "primary",
                    "wireProtocolEnabled": false },
            });
        }
        if dry_run {
            let shown = folder.display();
            let text = format!("{name} would be created in project {project}, and {shown}");
            return desk.out.say(&text);
        }
        let made = desk
            .session
            .ask("POST", &format!("groups/{project}/apps"), &body)?;
        let app = App::of(&made);
        if let Some(origin) = origin {
            let (_, bytes) = transfer::exported(desk, &origin, "template=true&version=20210101")?;
            transfer::unpack(&bytes, &folder)?;
            let document = Local::read(&folder)?.document(&app.client_app_id)?;
            transfer::import(desk, &app, &document)?;
        }
        let query = "source_control=true&version=20210101";
        let (_, bytes) = transfer::exported(desk, &app, query)?;
        transfer::unpack(&bytes, &folder)?;
        let url = format!(
            "{}/groups/{}/apps/{}/dashboard",
            desk.session.profile.url, app.group, app.id
        );
        desk.out.document(
            "created",
            &json!({ "client_app_id": app.client_app_id, "filepath": folder, "url": url }),
        )
    }

    fn init(&self, desk: &mut Desk) -> Result<(), Failed> {
        let origin = self.origin(desk)?;
        let name = self.name(origin.as_ref());
        let folder = self.folder(&name)?;
        if let Some(origin) = origin {
            let (_, bytes) = transfer::exported(desk, &origin, "template=true&version=20210101")?;
            transfer::unpack(&bytes, &folder)?;
        } else {
            let how = Exporting {
                layout: RootLayout::Realm,
                client_app_id: None,
                id: None,
            };
            let files = config::print(&AppConfig::new(&name).exported(&how));
            for (path, bytes) in &files.0 {
                let path = folder.join(path);
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(path, bytes)?;
            }
        }
        Local::read(&folder)?.describe(&[
            ("name", &name),
            ("location", &self.location),
            ("deployment_model", &self.deployment_model),
            ("environment", &self.environment),
        ])?;
        desk.out.say(&format!("made {}", folder.display()))
    }
}
