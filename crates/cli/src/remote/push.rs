//! `push`: an app directory to a server.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::create::{ENVIRONMENTS, LOCATIONS, MODELS};
use super::document::Local;
use super::transfer::{self, Differences, Include};
use super::{App, Desk, Scope, With};
use crate::archives::Failed;

#[derive(Args)]
pub(crate) struct Push {
    /// The app directory (default: the one that this directory is in)
    #[arg(long, default_value = ".")]
    local: PathBuf,
    /// The app: id, client app id or name (default: the one that the directory is of)
    #[arg(long)]
    remote: Option<String>,
    #[command(flatten)]
    include: Include,
    /// Have caches of the hosted files forget them, with --include-hosting
    #[arg(long, short = 'c')]
    reset_cdn_cache: bool,
    #[command(flatten)]
    scope: Scope,
    /// Show what would change; change nothing
    #[arg(long, short = 'x')]
    dry_run: bool,
    #[command(flatten)]
    pub(super) with: With,
}

impl Push {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut desk = self.with.open()?;
        let local = Local::read(&self.local)?;
        for finding in &local.findings {
            desk.out.warn(&finding.to_string())?;
        }
        if self.reset_cdn_cache && !self.include.hosting {
            let text = "--reset-cdn-cache does something with --include-hosting only";
            desk.out.warn(text)?;
        }
        let found = match &self.remote {
            Some(word) => desk.matching(word, &self.scope)?,
            None => desk.of(&local, &self.scope)?,
        };
        // An app that was named has to be there; one that a directory names may
        // be another server's.
        let app = if found.is_empty() && self.remote.is_none() {
            if self.dry_run {
                return desk.out.say("the app is not there; push would create it");
            }
            if !desk.out.confirm("The app is not there; create it")? {
                return Ok(());
            }
            match self.create(&mut desk, &local)? {
                Some(app) => app,
                None => return Ok(()),
            }
        } else {
            desk.one(found, self.remote.as_deref(), "--remote")?
        };
        let document = local.document(&app.client_app_id)?;
        let differences = Differences::find(&desk, &app, &document, &local.root, &self.include)?;
        let shown = differences.shown();
        if shown.is_empty() {
            return desk.out.say("the app is the same already; nothing to do");
        }
        let message = format!("changes to {}", app.client_app_id);
        desk.out.diffs(&message, &shown)?;
        if self.dry_run {
            return desk.out.say("nothing was pushed");
        }
        if !desk.out.confirm("Push these changes")? {
            return Ok(());
        }
        if !differences.files.is_empty() {
            if !transfer::deploy(&mut desk, &app, &document)? {
                return Ok(());
            }
            desk.out.say("deployed the configuration")?;
        }
        self.along(&mut desk, &app, &differences)?;
        desk.out.say(&format!("pushed {}", app.client_app_id))
    }

    /// Sends what goes along with the configuration. It may have changed where
    /// nothing tells, so packages are installed whenever anything is pushed.
    fn along(&self, desk: &mut Desk, app: &App, differences: &Differences) -> Result<(), Failed> {
        if let Some((packages, _)) = &differences.packages {
            packages.install(desk, app)?;
            desk.out.say("installed the packages")?;
        }
        let Some(hosted) = &differences.hosted else {
            return Ok(());
        };
        if hosted.count() > 0 {
            let failed = hosted.make(desk, app);
            for error in &failed {
                desk.out.warn(&error.to_string())?;
            }
            super::all_done("hosted files were not sent", &failed)?;
            desk.out.say("sent the hosted files")?;
        }
        if self.reset_cdn_cache {
            let body = json!({ "invalidate": true, "path": "/*" });
            desk.session.ask("PUT", &app.at("/hosting/cache"), &body)?;
            desk.out.say("reset the cache of the hosted files")?;
        }
        Ok(())
    }

    /// Creates the app as the directory has it; whoever is there may have it
    /// otherwise. None when it is not to be, after all.
    fn create(&self, desk: &mut Desk, local: &Local) -> Result<Option<App>, Failed> {
        let project = desk.project(self.scope.project.as_deref())?;
        let mut body = json!({ "name": local.config.name() });
        for name in FIELDS {
            let value = local.root_field(name);
            if !value.is_empty() {
                body[name] = value.into();
            }
        }
        if desk.out.asks() && !ask(desk, &mut body)? {
            return Ok(None);
        }
        let made = desk
            .session
            .ask("POST", &format!("groups/{project}/apps"), &body)?;
        let app = App::of(&made);
        local.belongs_to(&app.client_app_id)?;
        desk.out.say(&format!("created {}", app.shown()))?;
        Ok(Some(app))
    }
}

/// What an app is created with, of a directory's root file.
const FIELDS: [&str; 4] = [
    "location",
    "provider_region",
    "deployment_model",
    "environment",
];

/// Asks what a new app is to be; false when it is not to be.
fn ask(desk: &Desk, body: &mut Value) -> Result<bool, Failed> {
    let said = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let name = said(body, "name");
    let name = Some(name.as_str()).filter(|name| !name.is_empty());
    body["name"] = desk.out.text(None, "The app's name:", name, "")?.into();
    for (name, question, all) in [
        ("location", "Its location?", &LOCATIONS[..]),
        ("deployment_model", "Its deployment model?", &MODELS),
        ("environment", "Its environment?", &ENVIRONMENTS),
    ] {
        // What the directory says is the first answer.
        let known = said(body, name);
        let mut all: Vec<&str> = all.to_vec();
        all.sort_by_key(|one| *one != known);
        let label = |one: &&str| match *one {
            "" => "none".to_owned(),
            one => one.to_owned(),
        };
        let chosen = desk.out.choose(question, all, label, "")?;
        if chosen != known {
            body[name] = chosen.into();
            if name == "location"
                && let Some(body) = body.as_object_mut()
            {
                // A region is of one location.
                body.shift_remove("provider_region");
            }
        }
    }
    let shown = FIELDS.iter().map(|name| said(body, name));
    let shown: Vec<String> = shown.filter(|text| !text.is_empty()).collect();
    desk.out.whether(&format!(
        "Create {} ({})?",
        said(body, "name"),
        shown.join(", ")
    ))
}
