//! `apps`: the apps of a server.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::create::{Create, New};
use super::document::Local;
use super::transfer::{Differences, Include};
use super::{App, Desk, Which, one};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show the apps
    #[command(alias = "ls")]
    List {
        /// Only those that this may mean: id, client app id or name, or how that begins
        #[arg(long, short = 'a')]
        app: Option<String>,
        /// Only of this project
        #[arg(long)]
        project: Option<String>,
    },
    /// Make an app at the server and a directory for it
    Create(Box<Create>),
    /// Make an app directory here, without an app at the server
    #[command(alias = "initialize")]
    Init {
        #[command(flatten)]
        new: New,
        /// The directory
        #[arg(long, default_value = ".")]
        local: PathBuf,
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
        #[command(flatten)]
        include: Include,
        /// The project (default: all that the profile may see)
        #[arg(long)]
        project: Option<String>,
    },
    /// Remove apps with everything in them
    Delete {
        /// The app: id, client app id or name (may be repeated)
        #[arg(long = "app", short = 'a', required = true, value_delimiter = ',')]
        apps: Vec<String>,
        /// The project (default: all that the profile may see)
        #[arg(long)]
        project: Option<String>,
    },
}

impl Verb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { app, project } => {
                let project = project.as_deref();
                let apps = match &app {
                    Some(word) => desk.matching(word, project)?,
                    None => desk.apps(project)?,
                };
                if apps.is_empty() {
                    return desk.out.say("there are no apps");
                }
                let shown: Vec<String> = apps.iter().map(App::shown).collect();
                desk.out.list(&format!("apps: {}", apps.len()), &shown)
            }
            Self::Create(create) => create.run(&mut desk),
            Self::Init { new, local } => new.init(&mut desk, local),
            Self::Describe { which } => {
                let app = desk.app(&which)?;
                let shown = desk.session.get(&app.at("/description"))?;
                desk.out.document("the app", &shown)
            }
            Self::Diff {
                local,
                remote,
                include,
                project,
            } => {
                let local = Local::read(&local)?;
                let word = remote.or_else(|| local.client_app_id());
                let word = word.ok_or("name the app with --remote")?;
                let app = one(desk.matching(&word, project.as_deref())?, Some(&word))?;
                let document = local.document(&app.client_app_id)?;
                let found = Differences::find(&desk, &app, &document, &local.root, &include)?;
                let shown = found.shown();
                if shown.is_empty() {
                    return desk.out.say("the app and the directory are the same");
                }
                let message = format!("changes to {}", app.client_app_id);
                desk.out.diffs(&message, &shown)
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
    let items = apps
        .iter()
        .map(|app| (app.at(""), vec![json!(app.id), json!(app.name)]));
    desk.delete(items.collect(), &["ID", "Name"])
}
