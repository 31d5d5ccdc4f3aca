//! A directory that files of a server are written into, and nothing beside it:
//! whatever the server calls them, and whatever links are there.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::archives::Failed;

/// Most entries and bytes of an archive that are unpacked.
const ENTRIES_MAX: usize = 100_000;
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// What becomes of files that are there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// They stay: nothing is written over them.
    Stays,
    /// They are replaced, which somebody agreed to.
    Goes,
}

/// A directory to write into.
pub(super) struct Folder {
    path: PathBuf,
    existing: Existing,
}

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>, existing: Existing) -> Self {
        Self {
            path: path.into(),
            existing,
        }
    }

    /// Where a file of this name goes.
    ///
    /// # Errors
    /// The name leads out of the directory, or through a link; a file is there
    /// that stays.
    fn place(&self, name: &str) -> Result<PathBuf, Failed> {
        let mut path = self.path.clone();
        let parts = name.split('/');
        for part in parts {
            let bad = matches!(part, "" | "." | "..") || part.contains(['\\', '\0']);
            if bad {
                let name = name.escape_debug();
                return Err(format!("the server names a file that cannot be: {name}").into());
            }
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(known) if known.is_symlink() => {
                    let path = path.display();
                    return Err(format!("{path} is a link: nothing is written through it").into());
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", path.display()).into());
                }
                _ => {}
            }
        }
        if self.existing == Existing::Stays && path.exists() {
            let path = path.display();
            return Err(format!("{path} is there already and stays as it is").into());
        }
        Ok(path)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failed> {
        let path = self.place(name)?;
        let wrong = |error| format!("{}: {error}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(wrong)?;
        }
        Ok(fs::write(&path, content).map_err(wrong)?)
    }

    /// Writes files; none unless each can be.
    pub(super) fn write_all(&self, files: &config::Files) -> Result<(), Failed> {
        for name in files.0.keys() {
            self.place(name)?;
        }
        files
            .0
            .iter()
            .try_for_each(|(name, bytes)| self.write(name, bytes))
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Writes the files of a zip archive; none unless each can be.
    pub(super) fn unpack(&self, bytes: &[u8]) -> Result<(), Failed> {
        let mut archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| format!("the server sent no zip archive: {error}"))?;
        if archive.len() > ENTRIES_MAX {
            return Err("the server's archive has too many files".into());
        }
        for at in 0..archive.len() {
            let entry = archive.by_index(at)?;
            if entry.is_symlink() {
                let name = entry.name().escape_debug();
                return Err(format!("the server's archive has a link: {name}").into());
            }
            if !entry.is_dir() {
                self.place(entry.name())?;
            }
        }
        fs::create_dir_all(&self.path).map_err(|error| at_path(&self.path, &error))?;
        let mut left = UNPACKED_BYTES_MAX;
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at)?;
            let name = entry.name().to_owned();
            if entry.is_dir() {
                // An empty folder says something too, but may be there.
                let folder = Self::new(&self.path, Existing::Goes);
                let path = folder.place(name.trim_end_matches('/'))?;
                fs::create_dir_all(&path).map_err(|error| at_path(&path, &error))?;
                continue;
            }
            let mut content = Vec::new();
            entry
                .by_ref()
                .take(left.saturating_add(1))
                .read_to_end(&mut content)?;
            left = left
                .checked_sub(content.len() as u64)
                .ok_or("the server's archive is too large")?;
            self.write(&name, &content)?;
        }
        Ok(())
    }
}

fn at_path(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, text) in entries {
            if let Some(to) = text.strip_prefix("-> ") {
                writer.add_symlink(*name, to, options).unwrap();
            } else {
                writer.start_file(*name, options).unwrap();
                writer.write_all(text.as_bytes()).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn an_archive_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let to = Folder::new(&inner, Existing::Goes);
        for name in [
            "../outside.js",
            "/outside.js",
            "a/../../outside.js",
            "a/./outside.js",
            "..\\outside.js",
            "",
        ] {
            // Nothing of it is written, the good file before neither.
            let refused = to.unpack(&archive(&[("good.js", "1"), (name, "1")]));
            assert!(refused.is_err(), "{name}");
            assert!(!folder.path().join("outside.js").exists(), "{name}");
            assert!(!inner.exists(), "{name}");
        }
        let link = to.unpack(&archive(&[("a", "-> .."), ("b", "1")]));
        assert!(link.unwrap_err().to_string().contains("has a link"));
        assert!(to.unpack(b"no archive").is_err());
        to.unpack(&archive(&[("a/b.js", "1")])).unwrap();
        assert!(to.has("a/b.js"));
    }

    #[test]
    fn nothing_is_written_through_a_link_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, outside) = (folder.path().join("inner"), folder.path().join("outside"));
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("f.js"), "mine").unwrap();
        std::os::unix::fs::symlink(&outside, inner.join("functions")).unwrap();
        std::os::unix::fs::symlink(outside.join("f.js"), inner.join("f.js")).unwrap();
        let to = Folder::new(&inner, Existing::Goes);
        for name in ["functions/f.js", "f.js"] {
            for refused in [
                to.unpack(&archive(&[(name, "theirs")])),
                to.write(name, b"theirs"),
            ] {
                assert!(refused.unwrap_err().to_string().contains("is a link"));
            }
        }
        assert_eq!(fs::read_to_string(outside.join("f.js")).unwrap(), "mine");
    }

    #[test]
    fn a_file_that_is_there_stays_unless_somebody_agreed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.js"), "mine").unwrap();
        let bytes = archive(&[("a.js", "theirs"), ("b.js", "theirs")]);
        let stays = Folder::new(folder.path(), Existing::Stays);
        let refused = stays.unpack(&bytes).unwrap_err().to_string();
        assert!(refused.contains("b.js is there already"), "{refused}");
        assert!(!stays.has("a.js"));
        let kept = fs::read_to_string(folder.path().join("b.js")).unwrap();
        assert_eq!(kept, "mine");
        Folder::new(folder.path(), Existing::Goes)
            .unpack(&bytes)
            .unwrap();
        let now = fs::read_to_string(folder.path().join("b.js")).unwrap();
        assert_eq!(now, "theirs");
    }
}
