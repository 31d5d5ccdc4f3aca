//! Installing packages by their names: it takes a while, so that it goes on
//! beside the requests, of one app one at a time. What a crash cuts off has
//! failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::doc;
use kit::{Clock, Problem, limit};
use npm::{Fetched, Limits, Registry, Stop};
use state::{Dependencies, LastInstall, State};
use tokio::sync::{Semaphore, oneshot};

use super::archive::{Form, Packages, unpack};
use super::{CREATED, FAILED, PROCESSING, SUCCESSFUL, ended, listed};
use crate::live::Author;
use crate::packages::Current;
use crate::{App, new_id, stored};

/// How much longer than an install its end may take to be noted.
const NOTING_MS_MAX: i64 = 60_000;
/// Stack of the thread that fetches: it follows packages that need each other.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// Longest message that is kept.
const MESSAGE_CHARS_MAX: usize = 1000;

/// The installs by name that run on this server.
pub(crate) struct Installs {
    registry: Option<Registry>,
    /// This server's name among those that share the records.
    server: String,
    /// Whether no other server uses the records.
    alone: bool,
    places: Arc<Semaphore>,
    /// By app: the install's id, and what ends it.
    running: Running,
    /// Held while one begins, so that what runs is what the record says.
    pub(super) beginning: tokio::sync::Mutex<()>,
}

type Running = Arc<Mutex<HashMap<String, (String, Stop)>>>;

impl Installs {
    pub(crate) fn new(registry: Option<Registry>, alone: bool) -> Self {
        Self {
            registry,
            server: new_id(),
            alone,
            places: Arc::new(Semaphore::new(limit::INSTALLS_AT_ONCE_MAX)),
            running: Arc::default(),
            beginning: tokio::sync::Mutex::default(),
        }
    }

    /// Gives up what goes on for an app.
    pub(crate) fn stop(&self, app_id: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stop)) = running.remove(app_id) {
            stop.stop();
        }
    }

    /// Whether an install that goes on by its record does not: nobody is there
    /// any more who could end it.
    pub(super) fn has_died(&self, last: &LastInstall, now: i64) -> bool {
        last.status == CREATED && (now > last.until || self.alone && last.server != self.server)
    }
}

impl Drop for Installs {
    fn drop(&mut self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, stop) in running.values() {
            stop.stop();
        }
    }
}

impl App {
    /// Begins to fetch packages.
    pub(super) async fn install_by_name(
        &self,
        author: &Author,
        wanted: Packages,
    ) -> Result<(), Problem> {
        let core = &self.core;
        let Some(registry) = core.installs.registry.clone() else {
            let why = "packages cannot be fetched by their names, since this server has no npm \
                       registry: set BACKSTITCH_NPM_REGISTRY to the URL of one, or upload an \
                       archive of node_modules instead";
            return self
                .replace_install(None, ended(FAILED, why.to_owned()))
                .await;
        };
        let last = LastInstall {
            server: core.installs.server.clone(),
            until: core.clock.now_ms() + (limit::INSTALL_S_MAX as i64) * 1000 + NOTING_MS_MAX,
            ..ended(CREATED, PROCESSING.to_owned())
        };
        let install = Install {
            app_id: self.id.clone(),
            id: last.id.clone(),
            user_id: author.user_id.clone(),
            wanted,
            registry,
            stop: Stop::default(),
            until: Instant::now() + Duration::from_secs(limit::INSTALL_S_MAX),
            state: core.state.clone(),
            packages: self.packages.clone(),
            clock: core.clock.clone(),
            running: core.installs.running.clone(),
            places: core.installs.places.clone(),
        };
        let _beginning = core.installs.beginning.lock().await;
        self.keep_install(None, last).await?;
        core.installs.stop(&self.id);
        {
            let running = &core.installs.running;
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = (install.id.clone(), install.stop.clone());
            running.insert(self.id.clone(), entry);
        }
        tokio::spawn(install.run());
        Ok(())
    }
}

/// An install that runs. It knows records only: the core may go meanwhile.
struct Install {
    app_id: String,
    id: String,
    user_id: String,
    wanted: Packages,
    registry: Registry,
    stop: Stop,
    until: Instant,
    state: State,
    packages: Arc<Current>,
    clock: Arc<dyn Clock>,
    running: Running,
    places: Arc<Semaphore>,
}

impl Install {
    async fn run(self) {
        let noted = match self.fetched().await {
            Ok((packages, zip)) => self.succeeded(packages, zip).await,
            Err(why) => self.failed(&why).await,
        };
        if let Err(problem) = noted {
            let app = &self.app_id;
            tracing::error!(app, %problem, "what became of an install could not be noted");
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running
            .get(&self.app_id)
            .is_some_and(|(id, _)| *id == self.id)
        {
            running.remove(&self.app_id);
        }
    }

    /// The packages that were asked for, and the archive of all of them.
    async fn fetched(&self) -> Result<(Packages, Vec<u8>), String> {
        let left = || self.until.saturating_duration_since(Instant::now());
        let place = self.places.clone().acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(left(), place).await else {
            return Err("too many installs wait; try again later".to_owned());
        };
        let limits = Limits {
            time: left(),
            ..Limits::default()
        };
        let (registry, wanted, stop) = (
            self.registry.clone(),
            self.wanted.clone(),
            self.stop.clone(),
        );
        let (send, made) = oneshot::channel();
        // A thread of its own: a server that stops does not wait for it.
        let fetching = std::thread::Builder::new()
            .name("npm install".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let fetched = npm::fetch(&registry, &wanted, &limits, &stop)
                    .map_err(|why| why.to_string())
                    .and_then(checked);
                drop(place);
                let _ = send.send(fetched);
            });
        fetching.map_err(|error| error.to_string())?;
        made.await
            .unwrap_or_else(|_| Err("the install broke off".to_owned()))
    }

    async fn succeeded(&self, packages: Packages, zip: Vec<u8>) -> Result<(), Problem> {
        let (table, bodies) = (&self.state.dependencies, &self.state.bodies);
        let now = self.clock.now_ms();
        let body = new_id();
        let written = bodies.write(&self.app_id, &body, &zip, now).await;
        written.map_err(stored)?;
        let before = table.get(&self.app_id).await.map_err(stored)?;
        let Some(before) = before.filter(|before| before.last.id == self.id) else {
            // A newer upload, or the app is gone: whoever tidies up removes it.
            return Ok(());
        };
        let packages: Vec<_> = listed(packages)
            .into_iter()
            .map(|package| doc! { "name": package.name, "version": package.version })
            .collect();
        let to = doc! { "$set": {
            "user_id": &self.user_id, "modified": now, "packages": packages,
            "body": &body, "body_bytes": zip.len() as i64,
            "last.status": SUCCESSFUL, "last.message": "",
        } };
        if table.change(self.mine(), to).await.map_err(stored)? {
            self.packages.set(Some(&Dependencies {
                body: body.clone(),
                body_bytes: zip.len() as i64,
                ..Dependencies::default()
            }));
            bodies.bind(&body).await.map_err(stored)?;
            if !before.body.is_empty() {
                let loosened = bodies.loosen(&self.app_id, &before.body, now);
                loosened.await.map_err(stored)?;
            }
        }
        Ok(())
    }

    async fn failed(&self, why: &str) -> Result<(), Problem> {
        let why: String = why.chars().take(MESSAGE_CHARS_MAX).collect();
        let to = doc! { "$set": { "last.status": FAILED, "last.message": why } };
        let noted = self.state.dependencies.change(self.mine(), to).await;
        noted.map(drop).map_err(stored)
    }

    /// The record, while this is the last install.
    fn mine(&self) -> bson::Document {
        doc! { "_id": &self.app_id, "last.id": &self.id }
    }
}

/// Looks at what was made as at what anybody uploads.
fn checked(fetched: Fetched) -> Result<(Packages, Vec<u8>), String> {
    let unpacked = unpack(Form::Zip, fetched.zip)?;
    Ok((fetched.wanted, unpacked.zip))
}
