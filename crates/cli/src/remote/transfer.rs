//! What an app directory is to a server: what would change, a deployment, an
//! archive, and what goes along.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::hosted;
use super::packages::Packages;
use super::session::{Sent, refused_with};
use super::{App, Desk};
use crate::archives::Failed;

const IMPORT: &str = "/import?strategy=replace-by-name";
/// How often a deployment is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What goes along with the configuration.
#[derive(Args)]
pub(crate) struct Include {
    /// Hosted files too
    #[arg(long = "include-hosting", short = 's')]
    pub(super) hosting: bool,
    /// npm packages too: functions/node_modules, as a folder or an archive (.zip, .tar, .tar.gz, .tgz)
    #[arg(
        long = "include-node-modules",
        alias = "include-dependencies",
        short_alias = 'd',
        conflicts_with = "package_json"
    )]
    pub(super) node_modules: bool,
    /// npm packages too, by the names in functions/package.json
    #[arg(long = "include-package-json")]
    pub(super) package_json: bool,
}

/// Everything in which a directory differs from an app.
pub(super) struct Differences {
    /// Of the configuration: a diff for each file.
    pub(super) files: Vec<String>,
    /// Of the packages, in lines, and what would be installed.
    pub(super) packages: Option<(Packages, Vec<String>)>,
    pub(super) hosted: Option<hosted::Changes>,
}

impl Differences {
    pub(super) fn find(
        desk: &Desk,
        app: &App,
        document: &Value,
        root: &Path,
        include: &Include,
    ) -> Result<Self, Failed> {
        let progress = desk.out.progress("comparing the configuration");
        let files = diffs(desk, app, document)?;
        drop(progress);
        let packages = match Packages::read(desk, root, include)? {
            Some(packages) => {
                let lines = packages.changes(desk, app)?;
                Some((packages, lines))
            }
            None => None,
        };
        let hosted = if include.hosting {
            Some(hosted::Changes::find(desk, app, root)?)
        } else {
            None
        };
        Ok(Self {
            files,
            packages,
            hosted,
        })
    }

    /// What differs, as it is shown.
    pub(super) fn shown(&self) -> Vec<String> {
        let mut shown = self.files.clone();
        if let Some((_, lines)) = &self.packages {
            shown.extend(lines.iter().cloned());
        }
        if let Some(hosted) = &self.hosted {
            shown.extend(hosted.lines());
        }
        shown
    }
}

/// What an import would change: a diff for each file.
fn diffs(desk: &Desk, app: &App, document: &Value) -> Result<Vec<String>, Failed> {
    let path = app.at(&format!("{IMPORT}&diff=true"));
    let diffs = desk.session.ask("POST", &path, document)?;
    let diffs = diffs.as_array().into_iter().flatten();
    Ok(diffs
        .filter_map(|diff| Some(diff.as_str()?.to_owned()))
        .collect())
}

/// Imports a document at once, as an app's first.
pub(super) fn import(desk: &Desk, app: &App, document: &Value) -> Result<(), Failed> {
    desk.session
        .ask("POST", &app.at(IMPORT), document)
        .map(drop)
}

/// Imports a document into a draft and deploys that; a draft that fails goes.
/// Whether it was: none is when a draft that is there is to stay.
pub(super) fn deploy(desk: &mut Desk, app: &App, document: &Value) -> Result<bool, Failed> {
    let Some(draft) = draft(desk, app)? else {
        return Ok(false);
    };
    let draft = app.at(&format!("/drafts/{draft}"));
    let progress = desk.out.progress("sending the configuration");
    let done = import(desk, app, document).and_then(|()| {
        progress.at("deploying");
        publish(desk, app, &draft)
    });
    drop(progress);
    if done.is_err()
        && let Err(error) = desk.session.ask("DELETE", &draft, &Value::Null)
        && !refused_with(&error, "DraftNotFound")
    {
        desk.out
            .warn(&format!("the draft was not discarded: {error}"))?;
    }
    done.map(|()| true)
}

/// A draft of one's own. None when there is one that is to stay.
fn draft(desk: &mut Desk, app: &App) -> Result<Option<String>, Failed> {
    let all = app.at("/drafts");
    let id = |draft: &Value| draft["_id"].as_str().unwrap_or_default().to_owned();
    match desk.session.ask("POST", &all, &Value::Null) {
        Err(error) if refused_with(&error, "DraftAlreadyExists") => {}
        made => return Ok(Some(id(&made?))),
    }
    let old = desk.session.get(&all)?;
    let old = app.at(&format!("/drafts/{}", id(&old[0])));
    if !desk.out.yes() {
        let diff = desk.session.get(&format!("{old}/diff"))?;
        desk.out.document("there is a draft already", &diff)?;
    }
    if !desk.out.confirm("Discard the draft that is there")? {
        return Ok(None);
    }
    desk.session.ask("DELETE", &old, &Value::Null)?;
    let made = desk.session.ask("POST", &all, &Value::Null)?;
    Ok(Some(id(&made)))
}

/// Deploys a draft and waits for what comes of it.
fn publish(desk: &Desk, app: &App, draft: &str) -> Result<(), Failed> {
    let path = format!("{draft}/deployment");
    let mut deployment = desk.session.ask("POST", &path, &Value::Null)?;
    let id = deployment["_id"].as_str().unwrap_or_default().to_owned();
    let path = app.at(&format!("/deployments/{id}"));
    let mut first = true;
    while ["created", "pending"].contains(&deployment["status"].as_str().unwrap_or_default()) {
        if !first {
            super::pause(LOOK)?;
        }
        first = false;
        deployment = desk.session.get(&path)?;
    }
    if deployment["status"] == "successful" {
        return Ok(());
    }
    let why = deployment["status_error_message"].as_str();
    Err(format!("the deployment failed: {}", why.unwrap_or_default()).into())
}

/// An app's archive, and the name of a directory for it.
pub(super) fn exported(desk: &Desk, app: &App, query: &str) -> Result<(String, Vec<u8>), Failed> {
    let path = app.at(&format!("/export?{query}"));
    let progress = desk.out.progress("fetching the configuration");
    let answer = desk.session.send("GET", &path, &Sent::Nothing)?;
    drop(progress);
    let file = answer.file.unwrap_or_default();
    let name = file.rsplit_once('_').map_or("", |(name, _)| name);
    // The server's word is not a way to another place.
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    let name = if plain { name } else { &app.name };
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err("the app's name is no name of a directory; give one with --local".into());
    }
    Ok((name.to_owned(), answer.bytes))
}
