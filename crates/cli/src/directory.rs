//! App directories on disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use config::Files;

/// Most bytes of one file that is read.
const FILE_BYTES_MAX: u64 = 15 << 20;

/// Reads an app directory. Names that begin with a dot and `node_modules` are
/// no part of an app.
pub(crate) fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    walk(folder, "", &mut files)?;
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Files) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "node_modules" {
            continue;
        }
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
            files.insert(path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The secrets of `.secrets.json`: name to value. None without the file.
pub(crate) fn secrets(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let path = folder.join(".secrets.json");
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| format!(".secrets.json: it has to map names to texts: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(format!(".secrets.json: {error}")),
    }
}
