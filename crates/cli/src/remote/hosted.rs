//! Hosted files: those of a directory beside those of an app (admin-api.md
//! §3.5). They are sent and fetched one by one, and act at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::content_types;
use super::folder::Folder;
use super::progress::Progress;
use super::session::{Sent, Session};
use super::{App, Desk};
use crate::archives::Failed;
use crate::directory;

const METADATA: &str = "hosting/metadata.json";
const ASSETS: &str = "/hosting/assets";
const ASSET: &str = "/hosting/assets/asset";
/// Largest hosted file that is sent or fetched, and most of them.
const FILE_BYTES_MAX: u64 = 256 << 20;
const FILES_MAX: usize = 100_000;
/// What the server lets a file be served with, of which a directory tells.
const ATTRIBUTES: [&str; 6] = [
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Website-Redirect-Location",
];

/// Names and values, by name.
type Attributes = BTreeMap<String, String>;

/// A hosted file, here or there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hosted {
    /// MD5, in hex.
    hash: String,
    size: u64,
    attributes: Attributes,
    /// Where its bytes are: a URL, or empty for a file of a directory.
    url: String,
}

/// Hosted files by path, which begins with a slash.
type Files = BTreeMap<String, Hosted>;

/// What is to be done that an app's hosted files are a directory's.
pub(super) struct Changes {
    folder: PathBuf,
    here: Files,
    added: Vec<String>,
    deleted: Vec<String>,
    /// With whether the bytes differ, or only what they are served with.
    modified: Vec<(String, bool)>,
}

/// What the extension of a path says that its file is served with.
fn usual(path: &str) -> Attributes {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let kind = extension.and_then(content_types::of);
    let pair = kind.map(|kind| ("Content-Type".to_owned(), kind.to_owned()));
    pair.into_iter().collect()
}

fn at_path(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// The hosted files of a directory.
fn here(root: &Path, progress: &Progress) -> Result<Files, Failed> {
    let folder = root.join(directory::HOSTED);
    let mut files = Files::new();
    let mut folders = vec![(folder, String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at_path(&folder, &error).into()),
        };
        for entry in entries {
            let entry = entry.map_err(|error| at_path(&folder, &error))?;
            let path = entry.path();
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| format!("{}: its name is not UTF-8", path.display()))?;
            if name == ".DS_Store" {
                continue;
            }
            let at = format!("{prefix}/{name}");
            let kind = entry.file_type().map_err(|error| at_path(&path, &error))?;
            if kind.is_dir() {
                folders.push((path, at));
                continue;
            }
            progress.at(&format!("reading {at}"));
            let (hash, size) = hash(&path).map_err(|error| at_path(&path, &error))?;
            let hosted = Hosted {
                hash,
                size,
                attributes: usual(&at),
                url: String::new(),
            };
            files.insert(at, hosted);
            if files.len() > FILES_MAX {
                return Err(format!("there are more than {FILES_MAX} hosted files").into());
            }
        }
    }
    let path = root.join(METADATA);
    let told = match fs::read(&path) {
        Ok(bytes) => {
            config::hosted_attributes(&bytes).map_err(|all| super::document::told(&all))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(at_path(&path, &error).into()),
    };
    for (at, attributes) in told {
        let hosted = files.get_mut(&at);
        let hosted = hosted
            .ok_or_else(|| format!("{METADATA}: there is no file {}{at}", directory::HOSTED))?;
        hosted.attributes = attributes.into_iter().collect();
    }
    Ok(files)
}

/// MD5 in hex, and the number of bytes.
fn hash(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Md5::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex::encode(hash.finalize()), size)),
            count => {
                hash.update(buffer.get(..count).unwrap_or_default());
                size += count as u64;
            }
        }
    }
}

/// The hosted files of an app.
fn there(session: &Session, app: &App) -> Result<Files, Failed> {
    let all = session.get(&app.at(&format!("{ASSETS}?recursive=true")))?;
    let all = all.as_array().into_iter().flatten();
    let mut files = Files::new();
    for one in all {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let path = text("path");
        // Folders have entries of their own.
        if path.ends_with('/') {
            continue;
        }
        let pairs = one["attrs"].as_array().into_iter().flatten();
        let pair = |pair: &Value| {
            let text = |name: &str| pair[name].as_str().map(str::to_owned);
            Some((text("name")?, text("value")?))
        };
        let hosted = Hosted {
            hash: text("hash"),
            size: one["size"].as_u64().unwrap_or_default(),
            attributes: pairs.filter_map(pair).collect(),
            url: text("url"),
        };
        files.insert(path, hosted);
    }
    Ok(files)
}

/// Attributes as the server has them.
fn listed(attributes: &Attributes) -> Value {
    let pairs = attributes.iter();
    pairs
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

impl Changes {
    /// What differs between a directory's hosted files and an app's.
    pub(super) fn find(desk: &Desk, app: &App, root: &Path) -> Result<Self, Failed> {
        let progress = desk.out.progress("reading the hosted files");
        let (here, mut there) = (here(root, &progress)?, there(&desk.session, app)?);
        let (mut added, mut modified) = (Vec::new(), Vec::new());
        for (path, hosted) in &here {
            match there.remove(path) {
                None => added.push(path.clone()),
                Some(known) => {
                    let bytes = known.hash != hosted.hash;
                    if bytes || known.attributes != hosted.attributes {
                        modified.push((path.clone(), bytes));
                    }
                }
            }
        }
        Ok(Self {
            folder: root.join(directory::HOSTED),
            here,
            added,
            deleted: there.into_keys().collect(),
            modified,
        })
    }

    /// How many files differ.
    pub(super) fn count(&self) -> usize {
        self.added.len() + self.deleted.len() + self.modified.len()
    }

    /// What differs, in lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let modified: Vec<String> = self.modified.iter().map(|(path, _)| path.clone()).collect();
        super::listed_changes("hosted files", &self.added, &self.deleted, &modified)
    }

    /// Makes the app's files those of the directory; what of it failed.
    pub(super) fn make(&self, desk: &Desk, app: &App) -> Vec<Failed> {
        let upload = |path| (path, Doing::Upload);
        let mut all: Vec<(&String, Doing)> = self.added.iter().map(upload).collect();
        all.extend(self.deleted.iter().map(|path| (path, Doing::Delete)));
        all.extend(self.modified.iter().map(|(path, bytes)| match bytes {
            true => (path, Doing::Upload),
            false => (path, Doing::SetAttributes),
        }));
        let progress = desk.out.progress_of("sending hosted files", all.len());
        progress.each(&all, |(path, doing)| {
            let done = match (doing, self.here.get(*path)) {
                (Doing::Upload, Some(hosted)) => self.upload(&desk.session, app, path, hosted),
                (Doing::SetAttributes, Some(hosted)) => {
                    let body = json!({ "attributes": listed(&hosted.attributes) });
                    let at = app.at(&format!("{ASSET}?path={}", archive::escaped(path)));
                    desk.session.ask("PATCH", &at, &body).map(drop)
                }
                _ => {
                    let at = app.at(&format!("{ASSET}?path={}", archive::escaped(path)));
                    desk.session.ask("DELETE", &at, &Value::Null).map(drop)
                }
            };
            done.map_err(|error| format!("{path}: {error}").into())
        })
    }

    fn upload(
        &self,
        session: &Session,
        app: &App,
        path: &str,
        hosted: &Hosted,
    ) -> Result<(), Failed> {
        if hosted.size > FILE_BYTES_MAX {
            return Err(format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20).into());
        }
        let bytes = fs::read(self.folder.join(path.trim_start_matches('/')))?;
        let meta = json!({
            "appId": app.id, "path": path, "hash": hosted.hash, "size": hosted.size,
            "attrs": listed(&hosted.attributes),
        });
        let sent = Sent::Asset {
            meta: &meta,
            bytes: &bytes,
        };
        session.send("PUT", &app.at(ASSET), &sent).map(drop)
    }
}

/// What is done with a hosted file of an app.
enum Doing {
    Upload,
    SetAttributes,
    Delete,
}

/// Writes an app's hosted files into a directory, and what is said of them; how
/// many there are.
pub(super) fn fetch(desk: &Desk, app: &App, folder: &Folder) -> Result<usize, Failed> {
    let files = there(&desk.session, app)?;
    if files.len() > FILES_MAX {
        return Err(format!("the app has more than {FILES_MAX} hosted files").into());
    }
    let told: Vec<Value> = files
        .iter()
        .filter_map(|(path, hosted)| {
            if hosted.attributes == usual(path) {
                return None;
            }
            let mut attributes = hosted.attributes.clone();
            attributes.retain(|name, _| ATTRIBUTES.contains(&name.as_str()));
            Some(json!({ "path": path, "attrs": listed(&attributes) }))
        })
        .collect();
    // One that is there already would tell of files that are gone.
    if !told.is_empty() || folder.has(METADATA) {
        let text = format!("{:#}\n", Value::Array(told));
        folder.write(METADATA, text.as_bytes())?;
    }
    let all: Vec<(&String, &Hosted)> = files.iter().collect();
    let progress = desk.out.progress_of("fetching hosted files", all.len());
    let failed = progress.each(&all, |(path, hosted)| {
        let wrong = |error: Failed| format!("{path}: {error}").into();
        let fetch = || {
            // Beside the folder of hosted files is no place for them.
            let name = path.strip_prefix('/').ok_or("this is no path")?;
            let name = format!("{}/{name}", directory::HOSTED);
            let bytes = desk.session.download(&hosted.url, FILE_BYTES_MAX)?;
            folder.write(&name, &bytes)
        };
        fetch().map_err(wrong)
    });
    drop(progress);
    super::all_done("hosted files were not fetched", &failed)?;
    Ok(files.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_type_is_what_its_extension_says() {
        let kind = |path: &str| usual(path).into_values().next().unwrap_or_default();
        assert_eq!(kind("/a/index.html"), "text/html");
        assert_eq!(kind("/a.html/app.js"), "application/x-javascript");
        assert_eq!(kind("/a.html/app"), "");
        assert_eq!(kind("/a.unknown"), "");
        assert_eq!(kind("/.png"), "image/png");
    }
}
