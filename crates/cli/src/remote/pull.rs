//! `pull`: an app of a server to a directory.

use std::path::{Path, PathBuf};

use clap::Args;

use super::document::{NEWEST, VERSIONS, app_around, root_of, version_of};
use super::folder::{Existing, Folder};
use super::transfer::{Include, exported};
use super::{App, Desk, Scope, With, hosted, packages, templates};
use crate::archives::Failed;

#[derive(Args)]
pub(crate) struct Pull {
    /// The directory to write (default: the app directory that this directory is in, or one of the app's name)
    #[arg(long)]
    local: Option<PathBuf>,
    /// The app: id, client app id or name (default: that of the directory, or the only one)
    #[arg(long)]
    remote: Option<String>,
    #[command(flatten)]
    include: Include,
    /// The client of a template too, by the template's id (may be repeated); the app is in backend/ then, and clients in frontend/
    #[arg(long, short = 't', value_delimiter = ',')]
    template: Vec<String>,
    #[command(flatten)]
    scope: Scope,
    /// The layout of the directory (default: the one that it has, or 20210101)
    #[arg(long, value_parser = VERSIONS)]
    config_version: Option<String>,
    /// Say where the directory would be; write nothing
    #[arg(long, short = 'x')]
    dry_run: bool,
    #[command(flatten)]
    pub(super) with: With,
}

impl Pull {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut desk = self.with.open()?;
        let here = root_of(&std::env::current_dir()?);
        // Another app does not go where this directory's is, unless that is said.
        let known = self.local.clone().or(match &self.remote {
            None => here,
            Some(_) => None,
        });
        let app = self.app(&mut desk, known.as_deref())?;
        let version = self.version(known.as_deref())?;
        let clients = templates::clients(&desk, &app, &self.template)?;
        let query = format!("source_control=true&version={version}");
        let (name, bytes) = exported(&desk, &app, &query)?;
        let target = known.unwrap_or_else(|| PathBuf::from(name));
        let shown = target.display().to_string();
        let backend = if clients.is_empty() {
            target.clone()
        } else {
            target.join(templates::BACKEND)
        };
        if self.dry_run {
            let text = format!("{} would be written to", app.client_app_id);
            desk.out.say(&format!("{text} {}", backend.display()))?;
            for (id, _) in &clients {
                let to = target.join(templates::FRONTEND).join(id);
                let text = format!("the client of {id} would be written to");
                desk.out.say(&format!("{text} {}", to.display()))?;
            }
            return Ok(());
        }
        if target.exists() {
            let question = format!("{shown} is there already; write over what is in it");
            if !desk.out.confirm(&question)? {
                return Ok(());
            }
        }
        let folder = Folder::new(&backend, Existing::Goes);
        folder.unpack(&bytes)?;
        desk.out.say("wrote the configuration")?;
        self.along(&mut desk, &app, &folder)?;
        for (id, bytes) in &clients {
            let to = target.join(templates::FRONTEND).join(id);
            Folder::new(to, Existing::Goes).unpack(bytes)?;
            desk.out.say(&format!("wrote the client of {id}"))?;
        }
        desk.out
            .say(&format!("pulled {} to {shown}", app.client_app_id))
    }

    /// The app that is meant: by name, by the directory, or the only one.
    fn app(&self, desk: &mut Desk, known: Option<&Path>) -> Result<App, Failed> {
        let around = match (&self.remote, known) {
            (None, Some(folder)) => app_around(folder)?,
            _ => None,
        };
        let word = self.remote.clone().or(around);
        let found = match &word {
            Some(word) => desk.matching(word, &self.scope)?,
            None => desk.apps(&self.scope)?,
        };
        desk.one(found, word.as_deref(), "--remote")
    }

    /// The layout to ask for: two in one directory would be none.
    fn version(&self, known: Option<&Path>) -> Result<String, Failed> {
        let there = known.and_then(version_of);
        match (&self.config_version, there) {
            (Some(asked), Some(there)) if *asked != there => Err(format!(
                "the directory is of config version {there}; pull {asked} to another one"
            )
            .into()),
            (asked, there) => Ok(asked.clone().or(there).unwrap_or_else(|| NEWEST.to_owned())),
        }
    }

    /// Writes what goes along with the configuration.
    fn along(&self, desk: &mut Desk, app: &App, folder: &Folder) -> Result<(), Failed> {
        let include = &self.include;
        if include.node_modules || include.package_json {
            let name = packages::fetch(desk, app, folder, include)?;
            desk.out.say(&format!("wrote the packages: {name}"))?;
            if include.package_json && name != "package.json" {
                let text = "the server has no package.json; an archive was written instead";
                desk.out.warn(text)?;
            }
        }
        if include.hosting {
            let count = hosted::fetch(desk, app, folder)?;
            desk.out.say(&format!("wrote the hosted files: {count}"))?;
        }
        Ok(())
    }
}
