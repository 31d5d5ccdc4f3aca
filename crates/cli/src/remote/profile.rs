//! Who is logged in where: a file for each profile, which nobody else may read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archives::Failed;

/// A server, and the tokens that it gave.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Profile {
    /// The server's URL.
    pub(super) url: String,
    /// The public key or the user name that logged in.
    pub(super) username: String,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    #[serde(skip)]
    path: PathBuf,
}

impl Profile {
    /// The profile of that name; an empty one when nobody has logged in.
    pub(super) fn load(name: &str) -> Result<Self, Failed> {
        let path = folder()?.join(format!("{}.json", checked(name)?));
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut profile = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str::<Self>(&text).map_err(|error| {
                let path = path.display();
                format!("{path} is broken ({error}): remove it and log in again")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(wrong(&error).into()),
        };
        profile.path = path;
        Ok(profile)
    }

    /// Whether somebody has logged in.
    pub(super) fn is_logged_in(&self) -> bool {
        !self.refresh_token.is_empty()
    }

    /// Writes it: whole, or not at all.
    pub(super) fn save(&self) -> Result<(), Failed> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let wrong = |error: io::Error| format!("{}: {error}", self.path.display());
        private_folder(folder).map_err(wrong)?;
        // A name of its own: two commands may renew their tokens at once.
        let new = self
            .path
            .with_extension(format!("{}.new", std::process::id()));
        let text = serde_json::to_string_pretty(self)?;
        let written = private_file(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        });
        if written.is_err() {
            // What went wrong is told; this is only to leave nothing behind.
            let _ = fs::remove_file(&new);
        }
        Ok(written.map_err(wrong)?)
    }

    /// Forgets who was logged in.
    pub(super) fn remove(&self) -> Result<(), Failed> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", self.path.display()).into())
            }
            _ => Ok(()),
        }
    }
}

/// The names of the profiles that are kept, in order.
pub(super) fn names() -> Result<Vec<String>, Failed> {
    let folder = folder()?;
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", folder.display()).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
        names.extend(name.filter(|name| checked(name).is_ok()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A name that is a file's and leads nowhere else.
fn checked(name: &str) -> Result<&str, Failed> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        return Ok(name);
    }
    Err(format!("{name:?} is no name of a profile: letters, digits, - and _").into())
}

fn folder() -> Result<PathBuf, Failed> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = match (set("XDG_CONFIG_HOME"), set("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => Path::new(&home).join(".config"),
        (None, None) => return Err("there is no home directory to keep a profile in".into()),
    };
    Ok(base.join("backstitch").join("profiles"))
}

fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
