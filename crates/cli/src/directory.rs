//! App directories on disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use config::{Files, parse_json};
use kit::Finding;
use serde_json::Value;

/// Most bytes of one file that is read.
const FILE_BYTES_MAX: u64 = 25 << 20;

/// The file with an app's secrets, for `dev` only.
pub(crate) const SECRETS: &str = ".secrets.json";

/// Whether a path inside an app directory counts: names that begin with a dot
/// and `node_modules` are no part of an app, but hosted files may be hidden.
pub(crate) fn counts(path: &Path) -> bool {
    let hosted = path.starts_with(HOSTED);
    path.components().all(|part| {
        let name = part.as_os_str().to_string_lossy();
        (hosted || !name.starts_with('.')) && name != "node_modules"
    })
}

/// Where the hosted files are.
pub(crate) const HOSTED: &str = "hosting/files";

/// Reads an app directory, and says which files it had to leave out.
pub(crate) fn read(folder: &Path) -> io::Result<(Files, Vec<Finding>)> {
    read_where(folder, &counts)
}

/// As [`read`], without the hosted files, which may be many.
pub(crate) fn read_configuration(folder: &Path) -> io::Result<(Files, Vec<Finding>)> {
    read_where(folder, &|path| counts(path) && !path.starts_with(HOSTED))
}

fn read_where(folder: &Path, takes: &dyn Fn(&Path) -> bool) -> io::Result<(Files, Vec<Finding>)> {
    let (mut files, mut findings) = (Files::default(), Vec::new());
    walk(folder, "", takes, &mut files, &mut findings)?;
    Ok((files, findings))
}

fn walk(
    folder: &Path,
    prefix: &str,
    takes: &dyn Fn(&Path) -> bool,
    files: &mut Files,
    findings: &mut Vec<Finding>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            findings.push(Finding::warning(
                path,
                "its name is not UTF-8, so it is left out",
            ));
            continue;
        };
        let path = format!("{prefix}{name}");
        if !takes(Path::new(&path)) {
            continue;
        }
        match content(&entry, &path) {
            Ok(Content::Folder) => {
                walk(&entry.path(), &format!("{path}/"), takes, files, findings)?;
            }
            Ok(Content::File(bytes)) => files.insert(path, bytes),
            Ok(Content::LeftOut(why)) => findings.push(Finding::warning(path, why)),
            // It went away while the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => findings.push(Finding::error(path, error.to_string())),
        }
    }
    Ok(())
}

enum Content {
    Folder,
    File(Vec<u8>),
    LeftOut(String),
}

fn content(entry: &std::fs::DirEntry, path: &str) -> io::Result<Content> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return Ok(Content::Folder);
    }
    // Links to files are followed; links to folders may lead round in a circle.
    let metadata = std::fs::metadata(entry.path())?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "a link to a folder"
        } else {
            "no plain file"
        };
        return Ok(Content::LeftOut(format!("{what}, which is left out")));
    }
    // The archive of dependencies is not part of the configuration.
    if path.starts_with("functions/node_modules.") {
        return Ok(Content::File(Vec::new()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        let most = FILE_BYTES_MAX >> 20;
        let text = format!("the file is larger than {most} MiB, so it is left out");
        return Ok(Content::LeftOut(text));
    }
    Ok(Content::File(std::fs::read(entry.path())?))
}

/// The client app id that a directory keeps beside the app, as the newer CLI
/// leaves it: its root file has none.
pub(crate) fn client_app_id(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(".mdb/meta.json")).ok()?;
    let meta = parse_json(&text).value?;
    let id = meta.get("client_app_id")?.as_str()?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// The secrets of `.secrets.json`: name to value. None without the file.
pub(crate) fn secrets(folder: &Path) -> Result<BTreeMap<String, String>, Vec<Finding>> {
    let text = match std::fs::read_to_string(folder.join(SECRETS)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(vec![Finding::error(SECRETS, error.to_string())]),
    };
    let parsed = parse_json(&text);
    let mut findings: Vec<Finding> = parsed
        .mistakes
        .iter()
        .map(|(place, mistake)| {
            Finding::error(SECRETS, mistake.as_str()).at(place.line, Some(place.column))
        })
        .collect();
    let mut secrets = BTreeMap::new();
    match parsed.value.as_ref() {
        Some(Value::Object(fields)) => {
            for (name, value) in fields {
                if let Some(value) = value.as_str() {
                    secrets.insert(name.clone(), value.to_owned());
                    continue;
                }
                let finding = Finding::error(SECRETS, format!("\"{name}\" has to be a text"));
                let place = parsed.place(&format!("/{name}")).unwrap_or_default();
                findings.push(finding.at(place.line.max(1), Some(place.column.max(1))));
            }
        }
        Some(_) => findings
            .push(Finding::error(SECRETS, "has to be an object of names and texts").at(1, Some(1))),
        None => {}
    }
    if findings.is_empty() {
        Ok(secrets)
    } else {
        Err(findings)
    }
}
