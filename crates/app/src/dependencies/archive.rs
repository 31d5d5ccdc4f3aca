//! What was uploaded as dependencies: which packages it brings, and its files
//! as one zip archive. Pure, and bounded whatever the archive says of itself.

use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read, Write};

use flate2::read::GzDecoder;
use kit::limit;
use npm::is_package_name;
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// Longest name of an entry.
const NAME_BYTES_MAX: usize = 1024;
/// Largest description of a package.
const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;

/// What an upload is, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Zip,
    Tar,
    TarGz,
    PackageJson,
}

impl Form {
    /// By a file's name.
    pub(super) fn of(file_name: &str) -> Option<Self> {
        let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let ends = |end: &str| lower.ends_with(end);
        // The official CLI sends a file under whatever name it has.
        if ends(".json") {
            Some(Self::PackageJson)
        } else if ends(".zip") {
            Some(Self::Zip)
        } else if ends(".tar.gz") || ends(".tgz") {
            Some(Self::TarGz)
        } else if ends(".tar") {
            Some(Self::Tar)
        } else {
            None
        }
    }
}

/// Packages by name, with their versions.
pub(super) type Packages = BTreeMap<String, String>;

/// What an archive holds.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// The packages right below `node_modules`.
    pub(super) packages: Packages,
    /// The files as a zip archive.
    pub(super) zip: Vec<u8>,
}

/// The packages that a `package.json` names.
///
/// # Errors
/// What is wrong with it.
pub(super) fn declared(bytes: &[u8]) -> Result<Packages, String> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("package.json: {error}"))?;
    let fields = value
        .as_object()
        .ok_or("package.json has to be an object")?;
    let named = match fields.get("dependencies") {
        None | Some(Value::Null) => return Ok(Packages::new()),
        Some(Value::Object(named)) => named,
        Some(_) => return Err("\"dependencies\" of package.json has to be an object".to_owned()),
    };
    let read = |(name, version): (&String, &Value)| match version.as_str() {
        Some(version) if is_package_name(name) => Ok((name.clone(), version.to_owned())),
        Some(_) => Err(format!("\"{}\" is no package's name", name.escape_debug())),
        None => Err(format!("the version of \"{name}\" has to be a text")),
    };
    within(
        named
            .iter()
            .map(read)
            .collect::<Result<Packages, String>>()?,
    )
}

/// Reads an archive.
///
/// # Errors
/// What is wrong with it, or which limit it goes beyond.
pub(super) fn unpack(form: Form, bytes: Vec<u8>) -> Result<Unpacked, String> {
    let mut reader = Reader::default();
    let zip = match form {
        Form::Zip => reader.zip(bytes)?,
        Form::Tar => reader.tar(Cursor::new(bytes))?,
        Form::TarGz => reader.tar(GzDecoder::new(Cursor::new(bytes)))?,
        Form::PackageJson => return Err("package.json is no archive".to_owned()),
    };
    if !reader.has_modules {
        return Err("the archive has no folder node_modules".to_owned());
    }
    Ok(Unpacked {
        packages: within(reader.packages)?,
        zip,
    })
}

fn within(packages: Packages) -> Result<Packages, String> {
    if packages.len() > limit::DEPENDENCIES_PACKAGES_MAX {
        return Err(format!(
            "there are more than {} packages",
            limit::DEPENDENCIES_PACKAGES_MAX
        ));
    }
    Ok(packages)
}

#[derive(Default)]
struct Reader {
    packages: Packages,
    has_modules: bool,
    entries: usize,
    unpacked: u64,
    seen: HashSet<String>,
}

impl Reader {
    /// Checks a zip archive, which stays as it is unless it has links in it.
    fn zip(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes.as_slice()))
            .map_err(|error| format!("this is no zip archive: {error}"))?;
        if archive.len() > limit::DEPENDENCIES_ENTRIES_MAX {
            return Err(too_many());
        }
        let mut linked = false;
        for at in 0..archive.len() {
            let entry = archive.by_index(at).map_err(|error| error.to_string())?;
            linked |= entry.is_symlink();
            let name = entry.name().to_owned();
            let skip = entry.is_dir() || entry.is_symlink();
            self.entry(&name, skip, entry, &mut std::io::sink())?;
        }
        if !linked {
            return Ok(bytes);
        }
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for at in 0..archive.len() {
            let entry = archive.by_index(at).map_err(|error| error.to_string())?;
            if !entry.is_symlink() {
                writer
                    .raw_copy_file(entry)
                    .map_err(|error| error.to_string())?;
            }
        }
        finished(writer)
    }

    /// Reads a tar archive into a zip archive. Links are left out: they lead to
    /// files that are there, such as those of `.bin`, or to where nobody should
    /// follow.
    fn tar(&mut self, bytes: impl Read) -> Result<Vec<u8>, String> {
        let bad = |error: std::io::Error| format!("this is no tar archive: {error}");
        // Beside the files there are heads and padding.
        let most = limit::DEPENDENCIES_UNPACKED_BYTES_MAX
            + 4 * 1024 * limit::DEPENDENCIES_ENTRIES_MAX as u64;
        let mut archive = tar::Archive::new(bytes.take(most));
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().unix_permissions(0o644);
        for entry in archive.entries().map_err(bad)? {
            let entry = entry.map_err(bad)?;
            let kind = entry.header().entry_type();
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| "an entry's name is not UTF-8".to_owned())?;
            // `tar` writes the names as it was told them.
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            if name.is_empty() || name == "." {
                continue;
            }
            let file = kind.is_file() || kind.is_contiguous();
            if file {
                writer
                    .start_file(name.as_str(), options)
                    .map_err(|error| error.to_string())?;
            }
            self.entry(&name, !file, entry, &mut writer)?;
        }
        finished(writer)
    }

    /// Takes note of an entry and copies its bytes.
    fn entry(
        &mut self,
        name: &str,
        skip: bool,
        mut bytes: impl Read,
        to: &mut impl Write,
    ) -> Result<(), String> {
        self.entries += 1;
        if self.entries > limit::DEPENDENCIES_ENTRIES_MAX {
            return Err(too_many());
        }
        let folder = name.strip_suffix('/').unwrap_or(name);
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if name.len() > NAME_BYTES_MAX
            || folder.split('/').any(bad)
            || name.contains(|c: char| c.is_control() || matches!(c, '\\' | ':'))
        {
            return Err(format!(
                "an entry has a name that leads elsewhere: \"{}\"",
                name.escape_debug().take(200).collect::<String>()
            ));
        }
        if !skip && !self.seen.insert(name.to_owned()) {
            return Err(format!("\"{name}\" is there twice"));
        }
        self.has_modules |= name.starts_with("node_modules/");
        if skip {
            return Ok(());
        }
        let left = limit::DEPENDENCIES_UNPACKED_BYTES_MAX.saturating_sub(self.unpacked);
        let package = package_of(name);
        let mut manifest = Vec::new();
        let mut bytes = bytes.by_ref().take(left + 1);
        let read = if package.is_some() {
            let read = (&mut bytes)
                .take(MANIFEST_BYTES_MAX + 1)
                .read_to_end(&mut manifest)
                .and_then(|read| to.write_all(&manifest).map(|()| read as u64));
            if matches!(read, Ok(read) if read > MANIFEST_BYTES_MAX) {
                return Err(format!("{name} is too large"));
            }
            read
        } else {
            std::io::copy(&mut bytes, to)
        };
        let read = read.map_err(|error| format!("{name}: {error}"))?;
        self.unpacked += read;
        if self.unpacked > limit::DEPENDENCIES_UNPACKED_BYTES_MAX {
            return Err(format!(
                "the archive unpacks to more than {} bytes",
                limit::DEPENDENCIES_UNPACKED_BYTES_MAX
            ));
        }
        if let Some(package) = package {
            let value: Value = serde_json::from_slice(&manifest)
                .map_err(|error| format!("{name} is not JSON: {error}"))?;
            let version = value.get("version").and_then(Value::as_str);
            self.packages
                .insert(package, version.unwrap_or_default().to_owned());
        }
        Ok(())
    }
}

/// The package that an entry describes, if it is one right below
/// `node_modules`.
fn package_of(name: &str) -> Option<String> {
    let package = name
        .strip_prefix("node_modules/")?
        .strip_suffix("/package.json")?;
    is_package_name(package).then(|| package.to_owned())
}

fn finished(writer: ZipWriter<Cursor<Vec<u8>>>) -> Result<Vec<u8>, String> {
    let written = writer.finish().map_err(|error| error.to_string())?;
    Ok(written.into_inner())
}

fn too_many() -> String {
    format!(
        "the archive has more than {} entries",
        limit::DEPENDENCIES_ENTRIES_MAX
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;
    use zip::{ZipArchive, ZipWriter};

    use super::{Form, declared, unpack};

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn tar(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, bytes) in files {
            let mut header = tar::Header::new_gnu();
            // Set by hand: the library refuses names that lead elsewhere.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        (0..archive.len())
            .map(|at| archive.by_index(at).unwrap().name().to_owned())
            .collect()
    }

    const PACKAGE: &[u8] = br#"{"name":"x","version":"1.2.3"}"#;

    #[test]
    fn packages_right_below_the_folder_count() {
        let files: [(&str, &[u8]); 6] = [
            ("node_modules/a/package.json", PACKAGE),
            ("node_modules/a/node_modules/deep/package.json", PACKAGE),
            ("node_modules/@scope/b/package.json", PACKAGE),
            ("node_modules/.bin/package.json", b"no JSON"),
            ("__MACOSX/node_modules/a/._package.json", b"no JSON"),
            ("node_modules/.DS_Store", b""),
        ];
        let bytes = zip(&files);
        let read = unpack(Form::Zip, bytes.clone()).unwrap();
        let packages: Vec<_> = read.packages.into_iter().collect();
        let of = |name: &str| (name.to_owned(), "1.2.3".to_owned());
        assert_eq!(packages, [of("@scope/b"), of("a")]);
        assert!(read.zip == bytes);
    }

    #[test]
    fn tar_archives_become_zip_archives_without_links() {
        let file = tar::EntryType::Regular;
        let bytes = tar(&[
            ("./node_modules/", tar::EntryType::Directory, b""),
            ("./node_modules/a/package.json", file, PACKAGE),
            ("./node_modules/.bin/a", tar::EntryType::Symlink, b""),
        ]);
        let read = unpack(Form::Tar, bytes.clone()).unwrap();
        assert_eq!(names(&read.zip), ["node_modules/a/package.json"]);
        assert_eq!(read.packages["a"], "1.2.3");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&bytes).unwrap();
        let read = unpack(Form::TarGz, gz.finish().unwrap()).unwrap();
        assert_eq!(read.packages.len(), 1);
    }

    #[test]
    fn what_leads_elsewhere_or_is_too_much_is_refused() {
        let file = tar::EntryType::Regular;
        for name in [
            "../a",
            "/etc/passwd",
            "node_modules/../../a",
            "c:\\a",
            "a//b",
        ] {
            assert!(
                unpack(Form::Tar, tar(&[(name, file, b"x")])).is_err(),
                "{name}"
            );
            assert!(unpack(Form::Zip, zip(&[(name, b"x")])).is_err(), "{name}");
        }
        assert!(unpack(Form::Zip, zip(&[("other/a", b"x")])).is_err());
        assert!(unpack(Form::Zip, b"PK no archive".to_vec()).is_err());
        assert!(unpack(Form::TarGz, b"no archive".to_vec()).is_err());
        let half = zip(&[("node_modules/a/package.json", PACKAGE)]);
        assert!(unpack(Form::Zip, half[..half.len() / 2].to_vec()).is_err());
        // A bomb: a few hundred kilobytes that unpack to more than the limit.
        let zeros = vec![0; 1024 * 1024];
        let one = zip(&[("zeros", &zeros)]);
        let mut one = ZipArchive::new(Cursor::new(one)).unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for n in 0..=kit::limit::DEPENDENCIES_UNPACKED_BYTES_MAX / zeros.len() as u64 {
            let name = format!("node_modules/bomb{n}");
            let zeros = one.by_index(0).unwrap();
            writer.raw_copy_file_rename(zeros, name).unwrap();
        }
        let bomb = writer.finish().unwrap().into_inner();
        assert!(bomb.len() < kit::limit::DEPENDENCIES_BYTES_MAX);
        let refused = unpack(Form::Zip, bomb).unwrap_err();
        assert!(refused.contains("unpacks to more"), "{refused}");
    }

    #[test]
    fn package_json() {
        let read = declared(br#"{"dependencies":{"a":"^1","@b/c":"2.0.0"},"name":"x"}"#).unwrap();
        assert_eq!(read.len(), 2);
        assert!(declared(b"{}").unwrap().is_empty());
        for bad in [
            "[]",
            "{",
            r#"{"dependencies":[]}"#,
            r#"{"dependencies":{"a":1}}"#,
            r#"{"dependencies":{"../a":"1"}}"#,
        ] {
            assert!(declared(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Form::of("node_modules.TAR.gz"), Some(Form::TarGz));
        assert_eq!(Form::of("x/package.json"), Some(Form::PackageJson));
        assert_eq!(Form::of("updated-package.json"), Some(Form::PackageJson));
        assert_eq!(Form::of("package.yaml"), None);
    }
}
