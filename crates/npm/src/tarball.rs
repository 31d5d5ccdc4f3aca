//! Packed packages: checked, unpacked and put together in one zip archive.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::registry::Client;
use crate::tree::Placements;
use crate::{Failed, Job};

/// Packages that are held packed.
const AT_ONCE: usize = 16;
/// Bytes that are read between two looks at the clock.
const READ_BYTES: u64 = 256 * 1024;
/// Bytes of an entry's head, padding and long name, at most.
const HEAD_BYTES_MAX: u64 = 4096;

/// Files by path.
type Files = BTreeMap<String, Vec<u8>>;

/// Fetches every package of a tree and puts its files where it belongs.
pub(crate) fn collect(client: &Client<'_>, tree: &Placements) -> Result<Vec<u8>, Failed> {
    // One that is in several places is fetched once.
    let mut packages = BTreeMap::new();
    for (folder, package) in tree {
        let key = (package.name.as_str(), package.version.to_string());
        let entry = packages.entry(key);
        let (_, folders) = entry.or_insert_with(|| (package, Vec::new()));
        folders.push(folder.as_str());
    }
    let packages: Vec<_> = packages.into_values().collect();
    let mut writer = Writer {
        zip: ZipWriter::new(Cursor::new(Vec::new())),
        job: client.job,
        bytes: 0,
        files: 0,
    };
    for some in packages.chunks(AT_ONCE) {
        let wanted: Vec<(&str, &str)> = some
            .iter()
            .map(|(package, _)| (package.name.as_str(), package.tarball.as_str()))
            .collect();
        for ((package, folders), packed) in some.iter().zip(client.packed(&wanted)) {
            let named =
                |why: Failed| Failed::new(format!("{}@{}: {why}", package.name, package.version));
            let packed = packed?;
            check(&packed, &package.integrity).map_err(named)?;
            let files = writer.unpack(&packed).map_err(named)?;
            for folder in folders {
                writer.write(folder, &files)?;
            }
        }
    }
    let written = writer.zip.finish().map_err(unwritten)?.into_inner();
    too_large(written.len(), client.job)?;
    Ok(written)
}

fn unwritten(error: impl std::fmt::Display) -> Failed {
    Failed::new(format!("the archive cannot be written: {error}"))
}

fn too_large(bytes: usize, job: &Job) -> Result<(), Failed> {
    let most = job.limits.archive_bytes;
    if bytes > most {
        return Err(Failed::new(format!(
            "the packages come to an archive of more than {most} bytes"
        )));
    }
    Ok(())
}

/// Whether a packed package is the one that the registry describes, by the
/// strongest checksum that there is.
fn check(packed: &[u8], integrity: &str) -> Result<(), Failed> {
    let sums = || {
        integrity.split_whitespace().filter_map(|sum| {
            let (algorithm, sum) = sum.split_once('-')?;
            let sum = sum.split('?').next().unwrap_or_default();
            Some((algorithm, STANDARD.decode(sum).ok()?))
        })
    };
    for algorithm in ["sha512", "sha384", "sha256", "sha1"] {
        let mut wanted = sums().filter(|(of, _)| *of == algorithm).peekable();
        if wanted.peek().is_none() {
            continue;
        }
        let sum = match algorithm {
            "sha512" => Sha512::digest(packed).to_vec(),
            "sha384" => Sha384::digest(packed).to_vec(),
            "sha256" => Sha256::digest(packed).to_vec(),
            _ => sha1::Sha1::digest(packed).to_vec(),
        };
        if wanted.any(|(_, wanted)| wanted == sum) {
            return Ok(());
        }
        return Err(Failed::new(format!(
            "what was fetched does not have the registry's {algorithm} checksum"
        )));
    }
    Err(Failed::new("the registry gives no checksum of it"))
}

struct Writer<'a> {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    job: &'a Job,
    /// Bytes of the files so far.
    bytes: u64,
    files: usize,
}

impl Writer<'_> {
    /// The files of a packed package. Links are left out, as npm does: nothing
    /// is read from where they lead.
    fn unpack(&self, packed: &[u8]) -> Result<Files, Failed> {
        let bad = |error: std::io::Error| Failed::new(format!("it is no package: {error}"));
        let limits = &self.job.limits;
        let mut left = limits.unpacked_bytes.saturating_sub(self.bytes);
        let heads = HEAD_BYTES_MAX * limits.files as u64;
        let unpacked = GzDecoder::new(packed).take(left + heads);
        let mut archive = tar::Archive::new(unpacked);
        let mut files = Files::new();
        for (number, entry) in archive.entries().map_err(bad)?.enumerate() {
            self.job.left()?;
            let mut entry = entry.map_err(bad)?;
            let kind = entry.header().entry_type();
            if number >= limits.files {
                return Err(self.too_many());
            }
            if !(kind.is_file() || kind.is_contiguous()) {
                continue;
            }
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| Failed::new("a file's name is not UTF-8"))?;
            let Some(path) = inside(&name) else {
                let shown: String = name.escape_debug().take(200).collect();
                return Err(Failed::new(format!(
                    "a file has a name that leads elsewhere: \"{shown}\""
                )));
            };
            let mut bytes = Vec::new();
            loop {
                self.job.left()?;
                let read = entry.by_ref().take(READ_BYTES.min(left + 1));
                let read = { read }.read_to_end(&mut bytes).map_err(bad)? as u64;
                if read > left {
                    return Err(self.too_much());
                }
                left -= read;
                if read == 0 {
                    break;
                }
            }
            // The last of a name counts, as for npm.
            files.insert(path.to_owned(), bytes);
        }
        Ok(files)
    }

    fn write(&mut self, folder: &str, files: &Files) -> Result<(), Failed> {
        let options = SimpleFileOptions::default().unix_permissions(0o644);
        for (path, bytes) in files {
            self.job.left()?;
            self.files += 1;
            self.bytes += bytes.len() as u64;
            if self.files > self.job.limits.files {
                return Err(self.too_many());
            }
            if self.bytes > self.job.limits.unpacked_bytes {
                return Err(self.too_much());
            }
            let name = format!("{folder}/{path}");
            self.zip.start_file(name, options).map_err(unwritten)?;
            self.zip.write_all(bytes).map_err(unwritten)?;
        }
        Ok(())
    }

    fn too_many(&self) -> Failed {
        let most = self.job.limits.files;
        Failed::new(format!("the packages have more than {most} files"))
    }

    fn too_much(&self) -> Failed {
        let most = self.job.limits.unpacked_bytes;
        Failed::new(format!("the packages unpack to more than {most} bytes"))
    }
}

/// A file's path in the package: its name without the first folder, which may
/// have any name.
fn inside(name: &str) -> Option<&str> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let (first, path) = name.split_once('/')?;
    let bad = |part: &str| matches!(part, "" | "." | "..");
    let odd = |c: char| c.is_control() || matches!(c, '\\' | ':');
    (!bad(first) && !path.split('/').any(bad) && !name.contains(odd)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{check, inside};

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside("package/a/b.js"), Some("a/b.js"));
        assert_eq!(inside("./other/a.js"), Some("a.js"));
        for name in [
            "a",
            "/etc/passwd",
            "package/../../a",
            "package/./a",
            "../a",
            "package//a",
            "package/",
            "package/c:\\a",
            "package/a\0",
        ] {
            assert_eq!(inside(name), None, "{name}");
        }
    }

    #[test]
    fn checksums() {
        // Of "abc".
        let sha1 = "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=";
        let sha256 = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let wrong = "sha512-AAAA";
        for good in [
            sha1,
            sha256,
            &format!("{sha1} {sha256}"),
            &format!("sha256-AAAA {sha256}?x"),
        ] {
            assert!(check(b"abc", good).is_ok(), "{good}");
            assert!(check(b"abd", good).is_err(), "{good}");
        }
        // A good one does not make up for a stronger one that is wrong.
        for bad in [
            wrong,
            &format!("{sha1} {wrong}"),
            "",
            "md5-AAAA",
            "sha1",
            "sha1-!",
        ] {
            assert!(check(b"abc", bad).is_err(), "{bad}");
        }
    }
}
