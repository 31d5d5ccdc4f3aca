//! `apps`: the apps of a server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::create::{Create, Init};
use super::document::{Local, root_of};
use super::transfer::{Differences, Include};
use super::{App, Desk, Scope, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show the apps
    #[command(alias = "ls")]
    List {
        /// Only those that this may mean: id, client app id or name, or how that begins
        #[arg(long, short = 'a')]
        app: Option<String>,
        #[command(flatten)]
        scope: Scope,
    },
    /// Make an app at the server and a directory for it
    Create(Box<Create>),
    /// Make an app directory here, without an app at the server
    #[command(alias = "initialize")]
    Init(Init),
    /// Show what an app consists of
    Describe {
        #[command(flatten)]
        which: Which,
    },
    /// Show what a push of a directory would change
    Diff {
        /// The app directory (default: the one that this directory is in)
        #[arg(long)]
        local: Option<PathBuf>,
        /// The app (default: the one that the directory is of)
        #[arg(long)]
        remote: Option<String>,
        #[command(flatten)]
        include: Include,
        #[command(flatten)]
        scope: Scope,
    },
    /// Sign the tokens of an app's users with another key
    RotateSigningKey {
        #[command(flatten)]
        which: Which,
        /// Seconds that tokens of the keys before stay good (default: for as long as they last)
        #[arg(long)]
        grace: Option<i64>,
        /// End them at once: nobody is logged in any longer
        #[arg(long, conflicts_with = "grace")]
        now: bool,
    },
    /// Remove apps with everything in them
    Delete {
        /// The app: id, client app id or name (may be repeated; default: those that are chosen)
        #[arg(long = "app", short = 'a', value_delimiter = ',')]
        apps: Vec<String>,
        #[command(flatten)]
        scope: Scope,
    },
}

impl Verb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { app, scope } => {
                let apps = match &app {
                    Some(word) => desk.matching(word, &scope)?,
                    None => desk.apps(&scope)?,
                };
                if apps.is_empty() {
                    return desk.out.say("there are no apps");
                }
                let shown: Vec<String> = apps.iter().map(App::shown).collect();
                desk.out.list(&format!("apps: {}", apps.len()), &shown)
            }
            Self::Create(create) => create.run(&mut desk),
            Self::Init(init) => init.run(&mut desk),
            Self::Describe { which } => {
                let app = desk.app(&which)?;
                let shown = desk.session.get(&app.at("/description"))?;
                desk.out.document("the app", &shown)
            }
            Self::Diff {
                local,
                remote,
                include,
                scope,
            } => {
                let here = root_of(Path::new(".")).is_some();
                let local = match local {
                    None if !here && desk.out.asks() => desk
                        .out
                        .text(None, "Which app directory?", None, "")?
                        .into(),
                    local => local.unwrap_or_else(|| ".".into()),
                };
                let local = Local::read(&local)?;
                let mut word = remote;
                let found = if let Some(word) = &word {
                    desk.matching(word, &scope)?
                } else {
                    word = local.client_app_id();
                    desk.of(&local, &scope)?
                };
                let app = desk.one(found, word.as_deref(), "--remote")?;
                let document = local.document(&app.client_app_id)?;
                let found = Differences::find(&desk, &app, &document, &local.root, &include)?;
                let shown = found.shown();
                if shown.is_empty() {
                    return desk.out.say("the app and the directory are the same");
                }
                let message = format!("changes to {}", app.client_app_id);
                desk.out.diffs(&message, &shown)
            }
            Self::RotateSigningKey { which, grace, now } => {
                let app = desk.app(&which)?;
                let question = format!("End every session of {}", app.client_app_id);
                if now && !desk.out.confirm(&question)? {
                    return Ok(());
                }
                let grace = if now { Some(0) } else { grace };
                let path = app.private_at("/security/signing_keys/rotate");
                let body = json!({ "grace_seconds": grace });
                let made = desk.session.ask("POST", &path, &body)?;
                desk.out.document("tokens have another key", &made)
            }
            Self::Delete { apps, scope } => delete(&mut desk, &apps, &scope),
        }
    }
}

/// Removes apps; all are found before the first goes.
fn delete(desk: &mut Desk, words: &[String], scope: &Scope) -> Result<(), Failed> {
    let mut apps: Vec<App> = Vec::new();
    if words.is_empty() {
        let all = desk.apps(scope)?;
        if all.is_empty() {
            return desk.out.say("there are no apps");
        }
        let missing = "name the apps with --app";
        apps = desk
            .out
            .choose_some("Which apps are to go?", all, App::shown, missing)?;
    }
    for word in words {
        let found = desk.matching(word, scope)?;
        let app = desk.one(found, Some(word), "--app")?;
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
