//! `push` and `pull`: an app directory to a server and back.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use zip::ZipArchive;

use super::document::Local;
use super::session::{Sent, refused_with};
use super::{App, Desk, With, one};
use crate::archives::Failed;

const IMPORT: &str = "/import?strategy=replace-by-name";
/// How often a deployment is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Most entries and bytes of an archive that are unpacked.
const ENTRIES_MAX: usize = 100_000;
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

#[derive(Args)]
pub(crate) struct Push {
    /// The app directory (default: the one that this directory is in)
    #[arg(long, default_value = ".")]
    local: PathBuf,
    /// The app: id, client app id or name (default: the one that the directory is of)
    #[arg(long)]
    remote: Option<String>,
    /// The project (default: all that the profile may see)
    #[arg(long)]
    project: Option<String>,
    /// Show what would change; change nothing
    #[arg(long, short = 'x')]
    dry_run: bool,
    #[command(flatten)]
    with: With,
}

#[derive(Args)]
pub(crate) struct Pull {
    /// The directory to write (default: one of the app's name, or the app directory that this directory is in)
    #[arg(long)]
    local: Option<PathBuf>,
    /// The app: id, client app id or name (default: that of this directory, or the only one)
    #[arg(long)]
    remote: Option<String>,
    /// The project (default: all that the profile may see)
    #[arg(long)]
    project: Option<String>,
    /// The layout of the directory
    #[arg(long, default_value = "20210101",
          value_parser = ["20180301", "20200603", "20210101", "20230101"])]
    config_version: String,
    /// Say where the directory would be; write nothing
    #[arg(long, short = 'x')]
    dry_run: bool,
    #[command(flatten)]
    with: With,
}

impl Push {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut desk = self.with.open()?;
        let local = Local::read(&self.local)?;
        for finding in &local.findings {
            eprintln!("{finding}");
        }
        let word = self.remote.clone().or_else(|| local.client_app_id());
        let found = match &word {
            Some(word) => desk.matching(word, self.project.as_deref())?,
            None => Vec::new(),
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
            self.create(&mut desk, &local)?
        } else {
            one(found, word.as_deref())?
        };
        let document = local.document(&app.client_app_id)?;
        let diffs = diffs(&mut desk, &app, &document)?;
        if diffs.is_empty() {
            return desk.out.say("the app is the same already; nothing to do");
        }
        let message = format!("changes to {}", app.client_app_id);
        desk.out.diffs(&message, &diffs)?;
        if self.dry_run {
            return desk.out.say("nothing was pushed");
        }
        if !desk.out.confirm("Push these changes")? {
            return Ok(());
        }
        deploy(&mut desk, &app, &document)
    }

    fn create(&self, desk: &mut Desk, local: &Local) -> Result<App, Failed> {
        let project = desk.project(self.project.as_deref())?;
        let mut body = json!({ "name": local.config.name() });
        for name in [
            "location",
            "provider_region",
            "deployment_model",
            "environment",
        ] {
            let value = local.root_field(name);
            if !value.is_empty() {
                body[name] = value.into();
            }
        }
        let made = desk
            .session
            .ask("POST", &format!("groups/{project}/apps"), &body)?;
        let app = App::of(&made);
        local.belongs_to(&app.client_app_id)?;
        desk.out.say(&format!("created {}", app.shown()))?;
        Ok(app)
    }
}

/// What an import would change: a diff for each file.
pub(super) fn diffs(desk: &mut Desk, app: &App, document: &Value) -> Result<Vec<String>, Failed> {
    let path = app.at(&format!("{IMPORT}&diff=true"));
    let diffs = desk.session.ask("POST", &path, document)?;
    let diffs = diffs.as_array().into_iter().flatten();
    Ok(diffs
        .filter_map(|diff| Some(diff.as_str()?.to_owned()))
        .collect())
}

/// Imports a document at once, as an app's first.
pub(super) fn import(desk: &mut Desk, app: &App, document: &Value) -> Result<(), Failed> {
    desk.session
        .ask("POST", &app.at(IMPORT), document)
        .map(drop)
}

/// Imports a document into a draft and deploys that; a draft that fails goes.
fn deploy(desk: &mut Desk, app: &App, document: &Value) -> Result<(), Failed> {
    let Some(draft) = draft(desk, app)? else {
        return Ok(());
    };
    let draft = app.at(&format!("/drafts/{draft}"));
    let done = import(desk, app, document).and_then(|()| publish(desk, app, &draft));
    if done.is_err()
        && let Err(error) = desk.session.ask("DELETE", &draft, &Value::Null)
        && !refused_with(&error, "DraftNotFound")
    {
        eprintln!("the draft was not discarded: {error}");
    }
    done?;
    desk.out.say(&format!("pushed {}", app.client_app_id))
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
fn publish(desk: &mut Desk, app: &App, draft: &str) -> Result<(), Failed> {
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

impl Pull {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut desk = self.with.open()?;
        let here = std::env::current_dir()?;
        let here = super::document::root_of(&here);
        let which = super::Which {
            app: self.remote.clone(),
            project: self.project.clone(),
        };
        let app = desk.app(&which)?;
        let (name, bytes) = exported(
            &mut desk,
            &app,
            &format!("source_control=true&version={}", self.config_version),
        )?;
        let target = self.local.clone().or(match &self.remote {
            None => here,
            Some(_) => None,
        });
        let target = target.unwrap_or_else(|| PathBuf::from(name));
        let shown = target.display().to_string();
        if self.dry_run {
            return desk.out.say(&format!(
                "{} would be written to {shown}",
                app.client_app_id
            ));
        }
        if target.exists()
            && !desk
                .out
                .confirm(&format!("{shown} is there already; go on"))?
        {
            return Ok(());
        }
        unpack(&bytes, &target)?;
        desk.out
            .say(&format!("pulled {} to {shown}", app.client_app_id))
    }
}

/// An app's archive, and the name of a directory for it.
pub(super) fn exported(
    desk: &mut Desk,
    app: &App,
    query: &str,
) -> Result<(String, Vec<u8>), Failed> {
    let path = app.at(&format!("/export?{query}"));
    let answer = desk.session.send("GET", &path, &Sent::Nothing)?;
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

/// Writes the files of an archive into a directory, and nowhere else.
pub(super) fn unpack(bytes: &[u8], target: &Path) -> Result<(), Failed> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("the server sent no zip archive: {error}"))?;
    if archive.len() > ENTRIES_MAX {
        return Err("the server's archive has too many files".into());
    }
    std::fs::create_dir_all(target)?;
    let mut left = UNPACKED_BYTES_MAX;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at)?;
        let name = entry.name().to_owned();
        let inside = entry.enclosed_name().filter(|_| !entry.is_symlink());
        let inside =
            inside.ok_or_else(|| format!("the server's archive has a bad file: {name}"))?;
        let path = target.join(inside);
        let wrong = |error| format!("{}: {error}", path.display());
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(wrong)?;
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let mut content = Vec::new();
        entry
            .by_ref()
            .take(left.saturating_add(1))
            .read_to_end(&mut content)?;
        left = left
            .checked_sub(content.len() as u64)
            .ok_or("the server's archive is too large")?;
        std::fs::write(&path, content).map_err(wrong)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_archive_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        for name in ["../outside.js", "/outside.js", "a/../../outside.js"] {
            let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(name, options).unwrap();
            writer.write_all(b"exports = 1").unwrap();
            let bytes = writer.finish().unwrap().into_inner();
            let refused = unpack(&bytes, &inner);
            assert!(
                refused.is_err() || inner.join("outside.js").exists(),
                "{name}"
            );
            assert!(!folder.path().join("outside.js").exists(), "{name}");
        }
        assert!(unpack(b"no archive", &inner).is_err());
    }
}
