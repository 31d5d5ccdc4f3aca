//! npm packages of functions: what was uploaded, and what became of it
//! (admin-api.md §3.3, functions-runtime.md §4).
//!
//! All or nothing, and the last upload wins: one that fails leaves what is
//! installed. An install acts at once and is in no draft.

mod archive;
mod by_name;

use bson::{Bson, doc};
use kit::{Kind, Problem, limit};
use state::{Dependencies, InstalledPackage, LastInstall};

use crate::live::{Author, EDIT_TRIES_MAX, keeps_changing};
use crate::{App, Changes, Package, new_id, stored};
use archive::{Form, Packages, declared, unpack};
pub(crate) use by_name::Installs;

/// What became of the last upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallStatus {
    /// `created` while it goes on, `successful` or `failed`; empty before any
    /// upload.
    pub status: String,
    /// More about it.
    pub message: String,
}

const CREATED: &str = "created";
/// What clients are told while it goes on, in the service's words.
const PROCESSING: &str = "processing request";
const SUCCESSFUL: &str = "successful";
const FAILED: &str = "failed";

/// What an upload comes to.
struct Installed {
    packages: Packages,
    /// Its files as a zip archive; none when it only names packages.
    zip: Option<Vec<u8>>,
}

impl App {
    /// Installs what a file brings: a `node_modules` archive, or a
    /// `package.json` whose packages are then fetched from the registry. What
    /// becomes of it [`App::dependencies_status`] tells.
    ///
    /// # Errors
    /// `BadRequest` for a file that cannot be either by its name and size.
    pub async fn install_dependencies(
        &self,
        author: &Author,
        file_name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), Problem> {
        let form = admitted(file_name, &bytes)?;
        let read = read(form, bytes).await?;
        let Installed { packages, zip } = match read {
            Ok(installed) => installed,
            Err(why) => return self.replace_install(None, ended(FAILED, why)).await,
        };
        if zip.is_none() && !packages.is_empty() {
            return self.install_by_name(author, packages).await;
        }
        let now = self.core.clock.now_ms();
        let zip = zip.unwrap_or_default();
        let new = Dependencies {
            id: self.id.clone(),
            user_id: author.user_id.clone(),
            modified: now,
            packages: listed(packages),
            body: new_id(),
            body_bytes: zip.len() as i64,
            last: LastInstall::default(),
        };
        let written = self.core.state.bodies.write(&self.id, &new.body, &zip, now);
        written.await.map_err(stored)?;
        let last = ended(SUCCESSFUL, String::new());
        self.replace_install(Some(new), last).await
    }

    /// As [`App::keep_install`]; what went on before is given up.
    async fn replace_install(
        &self,
        new: Option<Dependencies>,
        last: LastInstall,
    ) -> Result<(), Problem> {
        let _beginning = self.core.installs.beginning.lock().await;
        self.keep_install(new, last).await?;
        self.core.installs.stop(&self.id);
        Ok(())
    }

    /// Notes what became of an upload, and what is installed then.
    async fn keep_install(
        &self,
        new: Option<Dependencies>,
        last: LastInstall,
    ) -> Result<(), Problem> {
        let table = &self.core.state.dependencies;
        let bodies = &self.core.state.bodies;
        for _ in 0..EDIT_TRIES_MAX {
            let old = table.get(&self.id).await.map_err(stored)?;
            let mut next = match (&new, &old) {
                (Some(new), _) => new.clone(),
                (None, Some(old)) => old.clone(),
                (None, None) => Dependencies {
                    id: self.id.clone(),
                    ..Dependencies::default()
                },
            };
            next.last = last.clone();
            let kept = match &old {
                None => match table.insert(&next).await {
                    Err(error) if error.is_duplicate_key() => false,
                    inserted => inserted.map(|()| true).map_err(stored)?,
                },
                Some(old) => {
                    let mut to = bson::serialize_to_document(&next)
                        .map_err(|error| Problem::internal(error.to_string()))?;
                    to.remove("_id");
                    let at = doc! { "_id": &self.id, "last.id": &old.last.id };
                    let set = table.change(at, doc! { "$set": to }).await;
                    set.map_err(stored)?
                }
            };
            if !kept {
                continue;
            }
            if let Some(new) = &new {
                self.packages.set(Some(new));
                bodies.bind(&new.body).await.map_err(stored)?;
                if let Some(old) = old.filter(|old| !old.body.is_empty()) {
                    let now = self.core.clock.now_ms();
                    let loosened = bodies.loosen(&self.id, &old.body, now).await;
                    loosened.map_err(stored)?;
                }
            }
            return Ok(());
        }
        Err(keeps_changing())
    }

    /// What became of the last upload. Clients want to have seen that it was
    /// only made: the first who asks is told that.
    pub async fn dependencies_status(&self) -> Result<InstallStatus, Problem> {
        let table = &self.core.state.dependencies;
        let Some(record) = table.get(&self.id).await.map_err(stored)? else {
            return Ok(InstallStatus {
                status: String::new(),
                message: String::new(),
            });
        };
        let last = record.last;
        let untold = doc! { "_id": &self.id, "last.id": &last.id, "last.told": false };
        let told = doc! { "$set": { "last.told": Bson::Boolean(true) } };
        if !last.told && table.change(untold, told).await.map_err(stored)? {
            return Ok(InstallStatus {
                status: CREATED.to_owned(),
                message: PROCESSING.to_owned(),
            });
        }
        let now = self.core.clock.now_ms();
        if self.core.installs.has_died(&last, now) {
            return Ok(InstallStatus {
                status: FAILED.to_owned(),
                message: "the server stopped before the packages were fetched; upload \
                          package.json again"
                    .to_owned(),
            });
        }
        Ok(InstallStatus {
            status: last.status,
            message: last.message,
        })
    }

    /// What is installed; nothing when nothing ever was.
    pub async fn dependencies(&self) -> Result<Option<Dependencies>, Problem> {
        let found = self.core.state.dependencies.get(&self.id).await;
        Ok(found
            .map_err(stored)?
            .filter(|found| !found.body.is_empty()))
    }

    /// What is installed, as a zip archive.
    ///
    /// # Errors
    /// `DependenciesNotFound`.
    pub async fn dependencies_archive(&self) -> Result<Vec<u8>, Problem> {
        for _ in 0..EDIT_TRIES_MAX {
            let found = self.dependencies().await?;
            let Some(found) = found.filter(|found| found.body_bytes > 0) else {
                return Err(Problem::new(
                    Kind::NotFound,
                    "DependenciesNotFound",
                    "no dependencies are installed",
                ));
            };
            let bytes = usize::try_from(found.body_bytes).unwrap_or_default();
            let read = self.core.state.bodies.read(&found.body, bytes).await;
            if let Some(read) = read.map_err(stored)? {
                return Ok(read);
            }
            // Another upload came meanwhile.
        }
        Err(keeps_changing())
    }

    /// What a file would change of what is installed.
    ///
    /// # Errors
    /// `BadRequest` for what could not be installed.
    pub async fn diff_dependencies(
        &self,
        file_name: &str,
        bytes: Vec<u8>,
    ) -> Result<Changes<Package>, Problem> {
        let form = admitted(file_name, &bytes)?;
        let read = read(form, bytes).await?;
        let mut wanted = read.map_err(Problem::bad_request)?.packages;
        let there = by_name(&self.installed_packages().await?);
        for (name, version) in &mut wanted {
            // A range that holds what is installed changes nothing.
            if let Some(there) = there.get(name)
                && npm::fits(name, version, there)
            {
                version.clone_from(there);
            }
        }
        Ok(package_changes(&there, &wanted))
    }

    pub(crate) async fn installed_packages(&self) -> Result<Vec<InstalledPackage>, Problem> {
        let found = self.dependencies().await?;
        Ok(found.map(|found| found.packages).unwrap_or_default())
    }
}

/// An install that came to its end.
fn ended(status: &str, message: String) -> LastInstall {
    LastInstall {
        id: new_id(),
        status: status.to_owned(),
        message,
        ..LastInstall::default()
    }
}

/// Packages as records keep them.
fn listed(packages: Packages) -> Vec<InstalledPackage> {
    packages
        .into_iter()
        .map(|(name, version)| InstalledPackage { name, version })
        .collect()
}

/// Packages by name.
pub(crate) fn by_name(packages: &[InstalledPackage]) -> Packages {
    packages
        .iter()
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect()
}

/// What differs between packages.
pub(crate) fn package_changes(before: &Packages, after: &Packages) -> Changes<Package> {
    crate::drafts::changes(before, after, |name, old, new| Package {
        name: name.to_owned(),
        version: new.or(old).cloned().unwrap_or_default(),
        previous: new.and(old).cloned().unwrap_or_default(),
    })
}

fn admitted(file_name: &str, bytes: &[u8]) -> Result<Form, Problem> {
    if bytes.len() > limit::DEPENDENCIES_BYTES_MAX {
        return Err(Problem::bad_request(format!(
            "dependencies have at most {} bytes",
            limit::DEPENDENCIES_BYTES_MAX
        )));
    }
    Form::of(file_name).ok_or_else(|| {
        Problem::bad_request(
            "dependencies come as package.json or as a .zip, .tar, .tar.gz or .tgz archive",
        )
    })
}

/// Reads a file, in a thread of its own: it may unpack to much.
async fn read(form: Form, bytes: Vec<u8>) -> Result<Result<Installed, String>, Problem> {
    let reading = tokio::task::spawn_blocking(move || {
        if form == Form::PackageJson {
            let packages = declared(&bytes)?;
            return Ok(Installed {
                packages,
                zip: None,
            });
        }
        let unpacked = unpack(form, bytes)?;
        Ok(Installed {
            packages: unpacked.packages,
            zip: Some(unpacked.zip),
        })
    });
    reading
        .await
        .map_err(|error| Problem::internal(error.to_string()))
}
