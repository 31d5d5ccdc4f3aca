//! Files as a zip archive. The same files make the same bytes: entries are in
//! order and bear no time.

use std::collections::BTreeSet;
use std::io::{Cursor, Write as _};

use kit::Problem;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A zip archive of files by path, and of folders that are there even when they
/// are empty. Clients unpack it with the permissions that it names.
///
/// # Errors
/// An internal one: the archive would be too large for its format.
pub fn zip<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    folders: &[&str],
) -> Result<Vec<u8>, Problem> {
    let wrong = |error: zip::result::ZipError| Problem::internal(format!("zip: {error}"));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut known = BTreeSet::new();
    let mut folder = |archive: &mut ZipWriter<_>, path: &str| {
        for (at, _) in path.match_indices('/') {
            let above = &path[..=at];
            if known.insert(above.to_owned()) {
                let options = options.unix_permissions(0o755);
                archive.add_directory(above, options).map_err(wrong)?;
            }
        }
        Ok::<_, Problem>(())
    };
    for path in folders {
        folder(&mut archive, path)?;
    }
    for (path, bytes) in files {
        folder(&mut archive, path)?;
        let options = options.unix_permissions(0o644);
        archive.start_file(path, options).map_err(wrong)?;
        archive
            .write_all(bytes)
            .map_err(|error| Problem::internal(format!("zip: {error}")))?;
    }
    Ok(archive.finish().map_err(wrong)?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use zip::ZipArchive;

    use super::zip;

    #[test]
    fn what_goes_in_comes_out() {
        let files = [("a/b/c.txt", &b"hello"[..]), ("a/d", b""), ("é", b"\0\xff")];
        let bytes = zip(files, &["values/", "a/"]).unwrap();
        assert_eq!(bytes, zip(files, &["values/", "a/"]).unwrap());
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let entries: Vec<(String, u32)> = (0..archive.len())
            .map(|at| {
                let entry = archive.by_index(at).unwrap();
                (entry.name().to_owned(), entry.unix_mode().unwrap() & 0o777)
            })
            .collect();
        let entry = |name: &str, mode| (name.to_owned(), mode);
        assert_eq!(
            entries,
            [
                entry("values/", 0o755),
                entry("a/", 0o755),
                entry("a/b/", 0o755),
                entry("a/b/c.txt", 0o644),
                entry("a/d", 0o644),
                entry("é", 0o644),
            ]
        );
        for (path, wanted) in files {
            let mut found = Vec::new();
            archive
                .by_name(path)
                .unwrap()
                .read_to_end(&mut found)
                .unwrap();
            assert_eq!(found, wanted, "{path}");
        }
    }
}
