//! Packages by name from an npm registry: which versions a `package.json`
//! asks for, where in `node_modules` each goes, and the files of all of them
//! as one zip archive.
//!
//! Nothing of a package is ever run: it has no say in its installation. What a
//! registry answers is believed no further than the limits and the checksums go.

mod package;
mod registry;
mod spec;
mod tarball;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::limit;

pub use registry::Registry;
pub use spec::{fits, is_package_name};

/// What an install may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long.
    pub time: Duration,
    /// Packages in the tree.
    pub packages: usize,
    /// Bytes of what the registry says of one package.
    pub description_bytes: u64,
    /// Bytes of what it says of all of them.
    pub descriptions_bytes: u64,
    /// Bytes of one packed package.
    pub tarball_bytes: u64,
    /// Bytes of all packed packages.
    pub tarballs_bytes: u64,
    /// Bytes that all files come to.
    pub unpacked_bytes: u64,
    /// Files.
    pub files: usize,
    /// Bytes of the archive that is made.
    pub archive_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(limit::INSTALL_S_MAX),
            packages: limit::INSTALL_PACKAGES_MAX,
            description_bytes: limit::INSTALL_DESCRIPTION_BYTES_MAX,
            descriptions_bytes: limit::INSTALL_DESCRIPTIONS_BYTES_MAX,
            tarball_bytes: limit::INSTALL_TARBALL_BYTES_MAX,
            tarballs_bytes: limit::INSTALL_TARBALLS_BYTES_MAX,
            unpacked_bytes: limit::DEPENDENCIES_UNPACKED_BYTES_MAX,
            files: limit::DEPENDENCIES_ENTRIES_MAX,
            archive_bytes: limit::DEPENDENCIES_BYTES_MAX,
        }
    }
}

/// Ends an install from outside, soon.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends it.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is nothing to install; may be shown to who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(String);

impl Failed {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// A package in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// Its folder: `node_modules/a/node_modules/b`.
    pub folder: String,
    /// Its name, which its folder may not have.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The packages that were asked for, with their versions.
    pub wanted: BTreeMap<String, String>,
    /// Every package, by folder.
    pub placed: Vec<Placed>,
    /// Their files as a zip archive.
    pub zip: Vec<u8>,
}

/// Fetches packages with all that they depend on. Blocks.
///
/// # Errors
/// What cannot be had, what does not go together, and which limit is reached.
pub fn fetch(
    registry: &Registry,
    wanted: &BTreeMap<String, String>,
    limits: &Limits,
    stop: &Stop,
) -> Result<Fetched, Failed> {
    let job = Job {
        limits: *limits,
        until: Instant::now() + limits.time,
        stop: stop.clone(),
    };
    let client = registry::Client::new(registry, &job);
    let tree = tree::build(&client, wanted)?;
    let zip = tarball::collect(&client, &tree)?;
    let mut placed: Vec<Placed> = tree
        .iter()
        .map(|(folder, package)| Placed {
            folder: folder.clone(),
            name: package.name.clone(),
            version: package.version.to_string(),
        })
        .collect();
    placed.sort();
    let top = |name: &String| {
        let package = tree.get(&format!("node_modules/{name}"))?;
        Some((name.clone(), package.version.to_string()))
    };
    Ok(Fetched {
        wanted: wanted.keys().filter_map(top).collect(),
        placed,
        zip,
    })
}

/// An install that runs.
struct Job {
    limits: Limits,
    until: Instant,
    stop: Stop,
}

impl Job {
    /// How much time is left.
    ///
    /// # Errors
    /// When there is none.
    fn left(&self) -> Result<Duration, Failed> {
        if self.stop.is_stopped() {
            return Err(Failed::new("the install was stopped"));
        }
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let most = self.limits.time.as_secs();
            return Err(Failed::new(format!(
                "packages could not be fetched in {most} seconds"
            )));
        }
        Ok(left)
    }
}
