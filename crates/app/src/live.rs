//! An app that serves: its live release, and the one funnel through which its
//! configuration changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use bson::{Bson, doc};
use config::{AppConfig, EditError, Files, Kind, NodeKey};
use kit::{Finding, Problem, Secret};
use state::{Blob, Deployment, NodeId, Revision, RevisionFile};

use crate::compile::compile;
use crate::{Backstitch, Rejected, Release, new_id, stored};

/// Tries of an edit that keeps losing the race for the live pointer.
const EDIT_TRIES_MAX: u32 = 20;

/// An app.
pub struct App {
    /// The server's core.
    pub core: Arc<Backstitch>,
    /// The id.
    pub id: String,
    /// The project.
    pub project_id: String,
    /// What clients call it.
    pub client_app_id: String,
    /// The domain that tokens name.
    pub domain_id: String,
    pub(crate) signing_key: Secret<Vec<u8>>,
    live: Arc<Live>,
    editing: Arc<tokio::sync::Mutex<()>>,
    pub(crate) secrets: RwLock<crate::secrets::Known>,
    pub(crate) tokens: crate::users::TokenCache,
    pub(crate) streams: crate::users::Streams,
    pub(crate) failures: crate::users::Failures,
    /// Held for writing while a user is removed, for reading while one is made:
    /// a login must not bring back the account that goes.
    pub(crate) removing: tokio::sync::RwLock<()>,
    /// Held while an API key is added.
    pub(crate) adding_keys: tokio::sync::Mutex<()>,
}

/// What an edit swaps: release and record, in a task of its own.
struct Live {
    release: ArcSwap<Release>,
    record: ArcSwap<state::App>,
}

/// Who changes a configuration, and through what.
#[derive(Debug, Clone)]
pub struct Author {
    /// The administrator's id.
    pub user_id: String,
    /// `UI`, `CLI` or `API`.
    pub origin: String,
}

/// A change of node keys, so that ids follow: kind, old key, new key.
pub type Renames = Vec<(Kind, NodeKey, NodeKey)>;

impl App {
    pub(crate) async fn load(
        core: &Arc<Backstitch>,
        record: state::App,
    ) -> Result<Arc<Self>, Problem> {
        let config = read_revision(core, &record.live).await?;
        let mut release = compile(config, None).map_err(|findings| {
            let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
            Problem::internal(format!(
                "the live revision does not compile: {}",
                text.join("; ")
            ))
        })?;
        release.revision.clone_from(&record.live);
        Self::with(core, record, release)
    }

    fn with(
        core: &Arc<Backstitch>,
        record: state::App,
        release: Release,
    ) -> Result<Arc<Self>, Problem> {
        let key = core
            .master_key
            .open(&record.signing_key)
            .map_err(Problem::internal)?;
        Ok(Arc::new(Self {
            core: core.clone(),
            id: record.id.clone(),
            project_id: record.project_id.clone(),
            client_app_id: record.client_app_id.clone(),
            domain_id: record.domain_id.clone(),
            signing_key: Secret::new(key),
            live: Arc::new(Live {
                release: ArcSwap::from_pointee(release),
                record: ArcSwap::from_pointee(record),
            }),
            editing: Arc::default(),
            secrets: RwLock::default(),
            tokens: crate::users::TokenCache::default(),
            streams: crate::users::Streams::default(),
            failures: crate::users::Failures::default(),
            removing: tokio::sync::RwLock::default(),
            adding_keys: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) async fn create(
        core: &Arc<Backstitch>,
        mut record: state::App,
        config: AppConfig,
        author: &Author,
    ) -> Result<Arc<Self>, Problem> {
        let mut release = compile(config, None).map_err(|findings| rejected(&findings))?;
        let revision = write_revision(core, &record, &release.config, "", author).await?;
        release.revision.clone_from(&revision);
        record.live = revision;
        record.ids = ids(&release.config, None, &[], &Renames::new(), record.created);
        core.state.apps.insert(&record).await.map_err(stored)?;
        Self::with(core, record, release)
    }

    /// The live release. A request takes it once.
    pub fn release(&self) -> Arc<Release> {
        self.live.release.load_full()
    }

    /// The app's record as of the last edit.
    pub fn record(&self) -> Arc<state::App> {
        self.live.record.load_full()
    }

    /// A node's id.
    pub fn node_id(&self, kind: Kind, key: &str) -> Option<String> {
        self.node_record(kind, key).map(|id| id.id)
    }

    /// A node's id and when it last changed.
    pub fn node_record(&self, kind: Kind, key: &str) -> Option<NodeId> {
        let record = self.live.record.load();
        let found = record
            .ids
            .iter()
            .find(|id| id.kind == kind.noun() && id.key == key);
        found.cloned()
    }

    /// The key of the node that has an id.
    pub fn node_key(&self, kind: Kind, id: &str) -> Option<NodeKey> {
        let record = self.live.record.load();
        let found = record
            .ids
            .iter()
            .find(|known| known.kind == kind.noun() && known.id == id);
        found.map(|known| known.key.clone())
    }

    /// When somebody last used the app, in milliseconds: its newest log entry.
    pub async fn last_used(&self) -> Result<Option<i64>, Problem> {
        self.core.logbook.newest(&self.id).await
    }

    /// Changes the configuration and deploys it: clone, change, compile, store,
    /// compare and set, swap. `change` may run more than once. Any failure
    /// leaves the release before serving.
    ///
    /// # Errors
    /// What `change` refuses, what does not compile, or a conflict.
    pub async fn edit<F>(&self, author: &Author, change: F) -> Result<Arc<Release>, Problem>
    where
        F: Fn(&mut AppConfig) -> Result<Renames, Problem>,
    {
        let made = self.deploy(author, |base| {
            let mut config = base.config.clone();
            let renames = change(&mut config).map_err(Rejected::Problem)?;
            let release = compile(config, Some(base)).map_err(Rejected::Findings)?;
            Ok(Some((release, renames)))
        });
        Ok(made.await?)
    }

    /// The funnel. `make` builds the next release from the one that it is given,
    /// or nothing when that one does; it runs again when another process was
    /// faster.
    pub(crate) async fn deploy<F>(
        &self,
        author: &Author,
        mut make: F,
    ) -> Result<Arc<Release>, Rejected>
    where
        F: FnMut(&Release) -> Result<Option<(Release, Renames)>, Rejected>,
    {
        let mut editing = self.editing.clone().lock_owned().await;
        for _ in 0..EDIT_TRIES_MAX {
            let (base, record) = (self.release(), self.record());
            let Some((mut release, renames)) = make(&base)? else {
                return Ok(base);
            };
            let revision =
                write_revision(&self.core, &record, &release.config, &record.live, author)
                    .await
                    .map_err(Rejected::Problem)?;
            release.revision.clone_from(&revision);
            let mut next = state::App::clone(&record);
            next.live.clone_from(&revision);
            next.ids = ids(
                &release.config,
                Some(&base.config),
                &record.ids,
                &renames,
                self.core.clock.now_ms(),
            );
            next.name = release.config.name().to_owned();
            // A caller who goes away must not leave the pointer moved and the
            // release before serving.
            let (live, core) = (self.live.clone(), self.core.clone());
            let author = author.clone();
            let going_live = tokio::spawn(async move {
                let moved = live.replace(&core, &author, next, release).await;
                (moved, editing)
            });
            let (moved, lock) = going_live
                .await
                .map_err(|error| Rejected::Problem(Problem::internal(error.to_string())))?;
            if let Some(release) = moved.map_err(Rejected::Problem)? {
                return Ok(release);
            }
            // Another process deployed: begin from what it made.
            editing = lock;
            self.follow().await.map_err(Rejected::Problem)?;
        }
        Err(Rejected::Problem(Problem::new(
            kit::Kind::Conflict,
            "DeploymentConflict",
            "the configuration keeps changing; try again",
        )))
    }

    /// Takes over what another server deployed; an app that is gone is served
    /// no longer.
    pub(crate) async fn catch_up(&self) -> Result<(), Problem> {
        // A change that is being made here knows what it began from.
        let _editing = self.editing.lock().await;
        match self.core.state.apps.get(&self.id).await.map_err(stored)? {
            Some(record) if record.live == self.record().live => Ok(()),
            Some(record) => self.take_over(record).await,
            None => {
                self.core.drop_app(self);
                Ok(())
            }
        }
    }

    /// Takes over what the store has as live.
    async fn follow(&self) -> Result<(), Problem> {
        let record = self.core.state.apps.get(&self.id).await.map_err(stored)?;
        let record = record.ok_or_else(|| {
            Problem::new(kit::Kind::NotFound, "AppNotFound", "the app was deleted")
        })?;
        self.take_over(record).await
    }

    async fn take_over(&self, record: state::App) -> Result<(), Problem> {
        let config = read_revision(&self.core, &record.live).await?;
        let mut release =
            compile(config, Some(&self.release())).map_err(|findings| rejected(&findings))?;
        release.revision.clone_from(&record.live);
        self.live.release.store(Arc::new(release));
        self.live.record.store(Arc::new(record));
        Ok(())
    }
}

impl Live {
    /// Compare and set, swap, note. Nothing when the race was lost.
    async fn replace(
        &self,
        core: &Backstitch,
        author: &Author,
        next: state::App,
        release: Release,
    ) -> Result<Option<Arc<Release>>, Problem> {
        if !move_pointer(core, &self.record.load().live, &next).await? {
            return Ok(None);
        }
        let release = Arc::new(release);
        self.release.store(release.clone());
        let app_id = next.id.clone();
        self.record.store(Arc::new(next));
        // It is live: that its record is missing is no reason to call it a failure.
        if let Err(problem) = note_deployment(core, &app_id, author, &release.revision).await {
            tracing::error!(app = app_id, %problem, "a deployment could not be recorded");
        }
        Ok(Some(release))
    }
}

/// Whether `next` went live in place of the revision `before`.
async fn move_pointer(core: &Backstitch, before: &str, next: &state::App) -> Result<bool, Problem> {
    let ids: Vec<Bson> = next
        .ids
        .iter()
        .map(|id| {
            doc! {
                "kind": &id.kind, "key": &id.key, "id": &id.id, "modified": id.modified,
            }
            .into()
        })
        .collect();
    core.state
        .apps
        .change(
            doc! { "_id": &next.id, "live": before },
            doc! { "$set": { "live": &next.live, "name": &next.name, "ids": ids } },
        )
        .await
        .map_err(stored)
}

async fn note_deployment(
    core: &Backstitch,
    app_id: &str,
    author: &Author,
    revision: &str,
) -> Result<(), Problem> {
    let deployment = Deployment {
        id: new_id(),
        app_id: app_id.to_owned(),
        revision: revision.to_owned(),
        user_id: author.user_id.clone(),
        at: core.clock.now_ms(),
        origin: author.origin.clone(),
        status: "successful".to_owned(),
        error: String::new(),
    };
    core.state
        .deployments
        .insert(&deployment)
        .await
        .map_err(stored)
}

/// The findings of a configuration that was refused, as one problem.
pub(crate) fn rejected(findings: &[Finding]) -> Problem {
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == kit::Severity::Error)
        .collect();
    let in_source = |finding: &&Finding| finding.path.strip_suffix(".js").is_some();
    let code = if errors.iter().all(in_source) {
        "FunctionSyntaxError"
    } else {
        "BadRequest"
    };
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Problem::new(kit::Kind::Invalid, code, text.join("\n"))
}

/// A change that the configuration refuses, in the words of the wire.
pub fn refused(error: &EditError) -> Problem {
    let (kind, code) = match error {
        EditError::Duplicate(of, _) => (
            kit::Kind::Conflict,
            format!("{}DuplicateName", thing(*of)).into(),
        ),
        EditError::NotFound(of, _) => (
            kit::Kind::NotFound,
            format!("{}NotFound", thing(*of)).into(),
        ),
        EditError::InUse(_) | EditError::Invalid(_) => {
            (kit::Kind::Invalid, Cow::Borrowed("BadRequest"))
        }
    };
    Problem::new(kind, code, error.to_string())
}

/// What error codes call a kind (admin-api.md §1.5).
fn thing(kind: Kind) -> &'static str {
    match kind {
        Kind::Function => "Function",
        Kind::Value => "Value",
        Kind::AuthProvider => "AuthProvider",
        Kind::DataSource | Kind::Service => "Service",
        Kind::Rule | Kind::DefaultRule | Kind::ServiceRule => "Rule",
        Kind::Schema | Kind::Relationships => "Schema",
        Kind::Environment => "EnvironmentValue",
        Kind::Endpoint => "Endpoint",
        Kind::Trigger => "Trigger",
        Kind::Webhook => "IncomingWebhook",
        Kind::GraphqlResolver => "CustomResolver",
        Kind::LogForwarder => "LogForwarder",
        _ => "Configuration",
    }
}

/// Ids of a configuration's nodes: kept by kind and key, new where missing;
/// with `now` where the node is not what it was.
fn ids(
    config: &AppConfig,
    was: Option<&AppConfig>,
    before: &[NodeId],
    renames: &Renames,
    now: i64,
) -> Vec<NodeId> {
    let mut known: HashMap<(&str, &str), &NodeId> = before
        .iter()
        .map(|id| ((id.kind.as_str(), id.key.as_str()), id))
        .collect();
    for (kind, old, new) in renames {
        if let Some(id) = known.remove(&(kind.noun(), old.as_str())) {
            known.insert((kind.noun(), new.as_str()), id);
        }
    }
    let mut ids = Vec::new();
    for kind in config.kinds() {
        if kind == Kind::HostingFile {
            continue;
        }
        for (key, node) in config.all(kind) {
            let known = known.get(&(kind.noun(), key.as_str()));
            let same = was.and_then(|was| was.get(kind, key)) == Some(node);
            ids.push(NodeId {
                kind: kind.noun().to_owned(),
                key: key.clone(),
                id: known.map_or_else(new_id, |known| known.id.clone()),
                modified: known.filter(|_| same).map_or(now, |known| known.modified),
            });
        }
    }
    ids
}

/// Stores a configuration's files by content and its manifest by hash.
async fn write_revision(
    core: &Backstitch,
    app: &state::App,
    config: &AppConfig,
    parent: &str,
    author: &Author,
) -> Result<String, Problem> {
    let printed = config::print(config);
    let mut manifest = format!("{}\n", app.id);
    let (mut files, mut blobs) = (Vec::new(), Vec::new());
    for (path, bytes) in &printed.0 {
        let hash = state::content_hash(bytes);
        manifest.extend([hash.as_str(), " ", path, "\n"]);
        files.push(RevisionFile {
            path: path.clone(),
            hash: hash.clone(),
        });
        blobs.push(Blob {
            id: hash,
            bytes: bytes.to_vec(),
        });
    }
    let known: Vec<&str> = blobs.iter().map(|blob| blob.id.as_str()).collect();
    let stored_already = core
        .state
        .blobs
        .list(doc! { "_id": { "$in": known } }, doc! { "_id": 1 }, 0, 0)
        .await
        .map_err(stored)?;
    let mut missing: Vec<Blob> = blobs
        .into_iter()
        .filter(|blob| stored_already.iter().all(|known| known.id != blob.id))
        .collect();
    missing.sort_by(|a, b| a.id.cmp(&b.id));
    missing.dedup_by(|a, b| a.id == b.id);
    core.state
        .blobs
        .insert_missing(&missing)
        .await
        .map_err(stored)?;
    let revision = Revision {
        id: state::content_hash(manifest.as_bytes()),
        app_id: app.id.clone(),
        parent: parent.to_owned(),
        author: author.user_id.clone(),
        at: core.clock.now_ms(),
        files,
    };
    core.state
        .revisions
        .insert_missing(std::slice::from_ref(&revision))
        .await
        .map_err(stored)?;
    Ok(revision.id)
}

/// Reads a revision back.
pub(crate) async fn read_revision(core: &Backstitch, id: &str) -> Result<AppConfig, Problem> {
    let damaged = |what: &str| Problem::internal(format!("revision {id}: {what}"));
    let revision = core.state.revisions.get(id).await.map_err(stored)?;
    let revision = revision.ok_or_else(|| damaged("is missing"))?;
    let hashes: Vec<&str> = revision
        .files
        .iter()
        .map(|file| file.hash.as_str())
        .collect();
    let blobs = core
        .state
        .blobs
        .list(doc! { "_id": { "$in": hashes } }, doc! { "_id": 1 }, 0, 0)
        .await
        .map_err(stored)?;
    let by_hash: HashMap<&str, &Blob> = blobs.iter().map(|blob| (blob.id.as_str(), blob)).collect();
    let mut files = Files::default();
    for file in &revision.files {
        let blob = by_hash
            .get(file.hash.as_str())
            .ok_or_else(|| damaged(&file.path))?;
        files.insert(file.path.clone(), blob.bytes.clone());
    }
    // What a newer version would complain about was good when it was stored.
    let reading = config::read(&files);
    if reading.whole {
        Ok(reading.config)
    } else {
        Err(damaged("does not parse"))
    }
}
