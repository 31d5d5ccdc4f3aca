//! The structure of the house, checked (`docs/style.md`): crate arrows, one
//! door per heavy dependency, file lengths, banned words.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::{cargo, root};

/// What each crate may depend on (ARCHITECTURE.md prints the same table).
/// Development dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("kit", &[]),
    ("config", &["kit"]),
    ("mql", &["kit"]),
    ("rules", &["kit", "mql"]),
    ("engine", &["kit"]),
    ("engine_embedded", &["kit", "engine", "mql"]),
    ("engine_mongo", &["kit", "engine"]),
    ("archive", &["kit", "engine"]),
    ("node", &[]),
    ("js", &["kit", "node"]),
    ("state", &["kit", "engine"]),
    ("npm", &["kit"]),
    ("egress", &["kit"]),
    (
        "app",
        &[
            "kit", "config", "mql", "rules", "engine", "js", "state", "npm", "egress",
        ],
    ),
    ("web", &["kit"]),
    ("admin", &["kit", "app", "config", "state", "web"]),
    ("client", &["kit", "app", "web"]),
    (
        "server",
        &[
            "kit",
            "app",
            "admin",
            "client",
            "web",
            "archive",
            "engine",
            "engine_embedded",
            "engine_mongo",
            "state",
            "js",
        ],
    ),
    (
        "backstitch",
        &[
            "kit",
            "config",
            "app",
            "js",
            "server",
            "archive",
            "engine",
            "engine_embedded",
            "engine_mongo",
        ],
    ),
    ("testkit", &["kit", "engine", "rules"]),
    (
        "fuzz",
        &[
            "kit",
            "mql",
            "engine",
            "engine_embedded",
            "engine_mongo",
            "testkit",
        ],
    ),
    (
        "bench",
        &[
            "kit",
            "config",
            "app",
            "engine",
            "engine_embedded",
            "engine_mongo",
            "testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Heavy dependencies and the only crates that may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("redb", &["engine_embedded"]),
    ("mongodb", &["engine_mongo"]),
    ("rquickjs-sys", &["js"]),
    ("axum", &["web", "admin", "client", "server", "bench"]),
    ("argon2", &["app"]),
    ("icu_collator", &["mql", "node"]),
    ("hyper-rustls", &["egress"]),
    ("lettre", &["egress"]),
    ("rustls", &["egress"]),
];

const FILE_LINES_MAX: usize = 800;
const BANNED_FILES: &[&str] = &["utils.rs", "helpers.rs", "manager.rs", "common.rs"];

/// Every breach of a rule, as a sentence.
pub(crate) fn check() -> Vec<String> {
    let mut problems = Vec::new();
    arrows(&mut problems);
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        walk(&root.join(folder), &mut files);
    }
    for path in files {
        file(&root, &path, &mut problems);
    }
    problems
}

fn arrows(problems: &mut Vec<String>) {
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ])
    .output();
    let Some(metadata) = metadata
        .ok()
        .and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok())
    else {
        problems.push("cargo metadata did not answer".to_owned());
        return;
    };
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may) = allowed.get(name) else {
            problems.push(format!("crate {name} is not in the table of arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] == "dev" {
                continue;
            }
            if allowed.contains_key(target) && !may.contains(&target) {
                problems.push(format!("crate {name} must not depend on {target}"));
            }
            for (heavy, doors) in DOORS {
                if target == *heavy && !doors.contains(&name) {
                    problems.push(format!("{heavy} may be used by {doors:?}, not by {name}"));
                }
            }
        }
    }
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn file(root: &Path, path: &Path, problems: &mut Vec<String>) {
    let name = path.strip_prefix(root).unwrap_or(path).display();
    let Ok(text) = std::fs::read_to_string(path) else {
        problems.push(format!("{name} cannot be read"));
        return;
    };
    let lines = text.lines().count();
    let test = path.components().any(|part| part.as_os_str() == "tests");
    if lines > FILE_LINES_MAX && !test {
        problems.push(format!(
            "{name} has {lines} lines; the limit is {FILE_LINES_MAX}"
        ));
    }
    if !text.trim_start().starts_with("//!") {
        problems.push(format!("{name} does not open with a module comment (//!)"));
    }
    let file = path.file_name().unwrap_or_default();
    if BANNED_FILES.iter().any(|banned| file == *banned) {
        problems.push(format!("{name}: name the file for what is in it"));
    }
    for (word, why) in [
        (concat!("#[", "ignore"), "no ignored tests"),
        (concat!("thread::", "sleep"), "no sleeps"),
        (concat!("todo", "!("), "finish it or answer with an error"),
    ] {
        if text.contains(word) {
            problems.push(format!("{name} contains {word}: {why}"));
        }
    }
}
