//! The npm packages that functions load: which of them a request has, and their
//! files at hand.
//!
//! A request keeps the packages that it began with, as it keeps its release. An
//! installation never changes: a new one has another name.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use bson::RawDocumentBuf;
use js::HostError;
use js::packages::{Codes, Entry, Files, Packages};
use kit::{Problem, limit};
use state::{Dependencies, State};
use tokio::sync::{OnceCell, Semaphore};
use zip::ZipArchive;

use crate::{App, stored};

/// Packages of an app, by the archive that holds them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The archive's name, which no other ever has.
    pub(crate) body: String,
    bytes: usize,
}

/// Which packages an app has now.
#[derive(Default)]
pub(crate) struct Current(ArcSwapOption<Installed>);

impl Current {
    pub(crate) fn get(&self) -> Option<Arc<Installed>> {
        self.0.load_full()
    }

    /// Takes over what a record says.
    pub(crate) fn set(&self, record: Option<&Dependencies>) {
        let installed = record
            .filter(|record| record.body_bytes > 0)
            .map(|record| Installed {
                body: record.body.clone(),
                bytes: usize::try_from(record.body_bytes).unwrap_or_default(),
            });
        if self.0.load().as_deref() != installed.as_ref() {
            self.0.store(installed.map(Arc::new));
        }
    }
}

impl App {
    /// Takes over which packages are installed.
    pub(crate) async fn refresh_packages(&self) -> Result<(), Problem> {
        let record = self.core.state.dependencies.get(&self.id).await;
        self.packages.set(record.map_err(stored)?.as_ref());
        Ok(())
    }
}

/// Installations at hand, those that were used last.
pub(crate) struct Shelf {
    kept: Mutex<Kept>,
    codes: Arc<Codes>,
    /// Room for those who compile.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    by_body: HashMap<String, Slot>,
    clock: u64,
}

struct Slot {
    packages: Arc<OnceCell<Arc<Packages>>>,
    bytes: usize,
    used: u64,
}

impl Default for Shelf {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            kept: Mutex::default(),
            codes: Arc::default(),
            places: Arc::new(Semaphore::new(cores)),
        }
    }
}

impl Shelf {
    /// Answers an operation of a worker's loader.
    pub(crate) async fn answer(
        &self,
        state: &State,
        installed: &Installed,
        operation: &str,
        asked: RawDocumentBuf,
    ) -> Result<Result<RawDocumentBuf, HostError>, Problem> {
        let packages = self.packages(state, installed).await?;
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|error| Problem::internal(error.to_string()))?;
        let operation = operation.to_owned();
        // It unpacks and compiles.
        let answering = tokio::task::spawn_blocking(move || {
            let answer = packages.answer(&operation, &asked);
            drop(place);
            answer
        });
        answering
            .await
            .map_err(|error| Problem::internal(error.to_string()))
    }

    async fn packages(
        &self,
        state: &State,
        installed: &Installed,
    ) -> Result<Arc<Packages>, Problem> {
        let slot = self.slot(installed);
        let made = slot.get_or_try_init(|| async {
            let read = state.bodies.read(&installed.body, installed.bytes).await;
            let bytes = read.map_err(stored)?.ok_or_else(|| {
                Problem::new(
                    kit::Kind::NotFound,
                    "DependenciesNotFound",
                    "the packages were replaced meanwhile",
                )
            })?;
            let opening = tokio::task::spawn_blocking(move || Unzipped::open(bytes.into()));
            let files = opening
                .await
                .map_err(|error| Problem::internal(error.to_string()))?
                .map_err(|error| Problem::internal(format!("dependencies: {error}")))?;
            Ok(Arc::new(Packages::new(files, self.codes.clone())))
        });
        made.await.cloned()
    }

    /// The place of an installation; the ones that were not used for longest
    /// make room.
    fn slot(&self, installed: &Installed) -> Arc<OnceCell<Arc<Packages>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let slot = kept.by_body.entry(installed.body.clone());
        let slot = slot.or_insert_with(|| Slot {
            packages: Arc::default(),
            bytes: installed.bytes,
            used: now,
        });
        slot.used = now;
        let packages = slot.packages.clone();
        while kept.by_body.len() > 1
            && kept.by_body.values().map(|slot| slot.bytes).sum::<usize>()
                > limit::PACKAGES_KEPT_BYTES_MAX
        {
            let oldest = kept.by_body.iter().min_by_key(|(_, slot)| slot.used);
            let Some(oldest) = oldest.map(|(body, _)| body.clone()) else {
                break;
            };
            kept.by_body.remove(&oldest);
        }
        packages
    }
}

/// The files of an archive.
struct Unzipped {
    archive: ZipArchive<Cursor<Arc<[u8]>>>,
    /// By path.
    entries: BTreeMap<String, usize>,
}

impl Unzipped {
    fn open(bytes: Arc<[u8]>) -> zip::result::ZipResult<Self> {
        let archive = ZipArchive::new(Cursor::new(bytes))?;
        let mut entries = BTreeMap::new();
        for name in archive.file_names().filter(|name| !name.ends_with('/')) {
            if let Some(at) = archive.index_for_name(name) {
                entries.insert(format!("/{name}"), at);
            }
        }
        Ok(Self { archive, entries })
    }

    /// The paths in a folder, from the folder on.
    fn below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        self.entries
            .range(folder.clone()..)
            .map_while(move |(path, _)| path.strip_prefix(&folder))
    }
}

impl Files for Unzipped {
    fn entry(&self, path: &str) -> Option<Entry> {
        if self.entries.contains_key(path) {
            return Some(Entry::File);
        }
        self.below(path).next().map(|_| Entry::Folder)
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let at = *self.entries.get(path)?;
        let mut archive = self.archive.clone();
        let entry = archive.by_index(at).ok()?;
        let mut bytes = Vec::new();
        // One more than is loaded shows that it is too large.
        let most = limit::MODULE_BYTES_MAX as u64 + 1;
        entry.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn list(&self, path: &str) -> Vec<String> {
        let names = self.below(path).filter_map(|rest| rest.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        names
    }
}
