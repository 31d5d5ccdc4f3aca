//! What editors need to know of functions: the types of `context` and of the
//! globals, beside the app.

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The types. The first lines tell that the file is written by this program.
const TYPES: &str = include_str!("types/backstitch.d.ts");
const TYPES_FILE: &str = "backstitch.d.ts";
/// Which files have those types. Whoever has a file of their own keeps it.
const CONFIG: &str = include_str!("types/jsconfig.json");
const CONFIG_FILES: [&str; 2] = ["jsconfig.json", "tsconfig.json"];

/// The whole of `backstitch types`.
pub(crate) fn run(folder: &Path) -> ExitCode {
    match write(folder) {
        Ok(()) => {
            println!("wrote {}", folder.join(TYPES_FILE).display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("backstitch: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes the types, and a configuration if there is none.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    put(&folder.join(TYPES_FILE), TYPES)?;
    if CONFIG_FILES.iter().all(|name| !folder.join(name).exists()) {
        put(&folder.join(CONFIG_FILES[0]), CONFIG)?;
    }
    Ok(())
}

/// Brings types up to date that are there; others are not wished for.
pub(crate) fn keep(folder: &Path) {
    let path = folder.join(TYPES_FILE);
    let known = std::fs::read_to_string(&path);
    if known.is_ok_and(|known| known != TYPES)
        && let Err(error) = put(&path, TYPES)
    {
        eprintln!("backstitch: {}: {error}", path.display());
    }
}

/// Writes a file; never through a link.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if path.is_symlink() {
        return Err(io::Error::other(
            "this is a link: nothing is written through it",
        ));
    }
    std::fs::write(path, text)
}
