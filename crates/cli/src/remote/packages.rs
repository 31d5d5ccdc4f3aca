//! npm packages of functions: what a directory has of them, to a server and
//! back (admin-api.md §3.3).

use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::folder::Folder;
use super::session::Sent;
use super::transfer::Include;
use super::{App, Desk};
use crate::archives::Failed;

/// How often an installation is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Most bytes of what is sent, before and after it is packed, and most files.
const BYTES_MAX: u64 = 256 << 20;
const FILES_MAX: usize = 100_000;

const FUNCTIONS: &str = "functions";
const MODULES: &str = "node_modules";
const MANIFEST: &str = "package.json";
/// Archives of packages; the first that is there is sent, else the folder is.
pub(crate) const ARCHIVES: [&str; 4] = [
    "node_modules.zip",
    "node_modules.tar",
    "node_modules.tar.gz",
    "node_modules.tgz",
];

/// A file with packages, or with their names.
pub(super) struct Packages {
    name: &'static str,
    bytes: Vec<u8>,
}

fn at_path(path: &Path, error: &io::Error) -> Failed {
    format!("{}: {error}", path.display()).into()
}

impl Packages {
    /// What a directory has; nothing when nothing is to come along.
    pub(super) fn read(
        desk: &Desk,
        root: &Path,
        include: &Include,
    ) -> Result<Option<Self>, Failed> {
        let folder = root.join(FUNCTIONS);
        let names: &[&'static str] = match (include.node_modules, include.package_json) {
            (false, false) => return Ok(None),
            (true, _) => &ARCHIVES,
            _ => &[MANIFEST],
        };
        for name in names {
            let path = folder.join(name);
            match fs::metadata(&path) {
                Ok(known) if known.len() > BYTES_MAX => return Err(too_large(&path)),
                Ok(known) if known.is_file() => {
                    let bytes = fs::read(&path).map_err(|error| at_path(&path, &error))?;
                    return Ok(Some(Self { name, bytes }));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at_path(&path, &error));
                }
                _ => {}
            }
        }
        let modules = folder.join(MODULES);
        if include.node_modules && modules.is_dir() {
            let progress = desk.out.progress("packing node_modules");
            let bytes = packed(&modules, &|at| progress.at(at))?;
            let [name, ..] = ARCHIVES;
            return Ok(Some(Self { name, bytes }));
        }
        let wanted = if include.node_modules {
            "node_modules: a folder, or an archive (.zip, .tar, .tar.gz, .tgz)"
        } else {
            MANIFEST
        };
        Err(format!("{}: there is no {wanted}", folder.display()).into())
    }

    fn sent(&self) -> Sent<'_> {
        Sent::File {
            name: self.name,
            bytes: &self.bytes,
        }
    }

    /// What they would change of what is installed, in lines.
    pub(super) fn changes(&self, desk: &Desk, app: &App) -> Result<Vec<String>, Failed> {
        let progress = desk.out.progress("comparing the packages");
        let answer = desk
            .session
            .send("POST", &app.at("/dependencies/diff"), &self.sent())?;
        drop(progress);
        let diff = answer.json()?;
        let lines = |kind: &str| -> Vec<String> {
            let all = diff[kind].as_array().into_iter().flatten();
            all.map(|one| {
                let text = |name: &str| one[name].as_str().unwrap_or_default();
                let now = format!("{}@{}", text("name"), text("version"));
                match text("previous_version") {
                    "" => now,
                    before => format!("{}@{before} -> {now}", text("name")),
                }
            })
            .collect()
        };
        Ok(super::listed_changes(
            "packages",
            &lines("added"),
            &lines("deleted"),
            &lines("modified"),
        ))
    }

    /// Installs them, and waits for what comes of it.
    pub(super) fn install(&self, desk: &Desk, app: &App) -> Result<(), Failed> {
        let progress = desk.out.progress("sending the packages");
        desk.session
            .send("PUT", &app.at("/dependencies"), &self.sent())?;
        progress.at("installing the packages");
        loop {
            let now = desk.session.get(&app.at("/dependencies/status"))?;
            let text = |name: &str| now[name].as_str().unwrap_or_default();
            match text("status") {
                "created" | "pending" => {
                    progress.at(&format!(
                        "installing the packages: {}",
                        text("status_message")
                    ));
                    super::pause(LOOK)?;
                }
                "failed" => {
                    let why = text("status_message");
                    return Err(format!("the packages were not installed: {why}").into());
                }
                _ => return Ok(()),
            }
        }
    }
}

fn too_large(path: &Path) -> Failed {
    let most = BYTES_MAX >> 20;
    format!("{}: more than {most} MiB are not sent", path.display()).into()
}

/// A folder of packages as a zip archive. Links to files are followed; what
/// links to folders lead to is in the archive by its own name, or is not there.
pub(crate) fn packed(modules: &Path, tell: &dyn Fn(&str)) -> Result<Vec<u8>, Failed> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o644);
    let (mut left, mut count) = (BYTES_MAX, 0);
    let mut all: Vec<(PathBuf, String)> = vec![(modules.to_owned(), MODULES.to_owned())];
    while let Some((path, name)) = all.pop() {
        let known = fs::symlink_metadata(&path).map_err(|error| at_path(&path, &error))?;
        if known.is_dir() {
            let mut inside = Vec::new();
            for entry in fs::read_dir(&path).map_err(|error| at_path(&path, &error))? {
                let entry = entry.map_err(|error| at_path(&path, &error))?;
                let part = entry.file_name().into_string();
                let part =
                    part.map_err(|_| format!("{}: its name is not UTF-8", entry.path().display()))?;
                inside.push((entry.path(), format!("{name}/{part}")));
            }
            // The same folder is the same archive.
            inside.sort_by(|a, b| b.1.cmp(&a.1));
            all.append(&mut inside);
            continue;
        }
        if fs::metadata(&path).is_ok_and(|to| !to.is_file()) {
            continue;
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            // A link to nothing is what npm leaves of a package that went.
            Err(error) if known.is_symlink() && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at_path(&path, &error)),
        };
        let rest = left.checked_sub(bytes.len() as u64);
        left = rest.ok_or_else(|| too_large(modules))?;
        count += 1;
        if count > FILES_MAX {
            return Err(format!("{}: more than {FILES_MAX} files", modules.display()).into());
        }
        tell(&format!("packing {name}"));
        archive.start_file(&*name, options)?;
        archive.write_all(&bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Writes an app's packages into a directory: as an archive, or their names.
/// The name of the file that was written.
pub(super) fn fetch(
    desk: &Desk,
    app: &App,
    folder: &Folder,
    include: &Include,
) -> Result<String, Failed> {
    let progress = desk.out.progress("fetching the packages");
    let rest = if include.package_json {
        "export"
    } else {
        "archive"
    };
    let path = app.at(&format!("/dependencies/{rest}"));
    let answer = desk.session.send("GET", &path, &Sent::Nothing)?;
    drop(progress);
    // Only these: another name would be a file of the app.
    let names = ARCHIVES.iter().chain(&[MANIFEST]);
    let known = |name: &&&str| answer.file.as_deref() == Some(**name);
    let name = names.clone().find(known).copied().unwrap_or({
        if include.package_json {
            MANIFEST
        } else {
            "node_modules.zip"
        }
    });
    folder.write(&format!("{FUNCTIONS}/{name}"), &pretty(name, answer.bytes))?;
    Ok(name.to_owned())
}

/// A manifest as people write it; an archive as it is.
fn pretty(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) if name == MANIFEST => format!("{value:#}\n").into_bytes(),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_folder_is_packed_by_name_and_without_circles() {
        let folder = tempfile::tempdir().unwrap();
        let modules = folder.path().join("node_modules");
        for (name, text) in [
            ("b/package.json", "{}"),
            ("@a/c/index.js", "1"),
            ("b/bin/run", "2"),
        ] {
            let path = modules.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(modules.join(".bin")).unwrap();
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(to, modules.join(at)).unwrap();
        };
        link("../b/bin/run", ".bin/run");
        link("../../node_modules", "b/round");
        link("../gone", "gone");
        let bytes = packed(&modules, &|_| {}).unwrap();
        assert_eq!(bytes, packed(&modules, &|_| {}).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut files = BTreeMap::new();
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.insert(entry.name().to_owned(), text);
        }
        let wanted = [
            ("node_modules/.bin/run", "2"),
            ("node_modules/@a/c/index.js", "1"),
            ("node_modules/b/bin/run", "2"),
            ("node_modules/b/package.json", "{}"),
        ];
        let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(files, BTreeMap::from(wanted));
    }
}
