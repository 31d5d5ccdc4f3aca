//! An app that serves: its live release, and the one funnel through which its
//! configuration goes live.

use std::borrow::Cow;
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use bson::{Bson, doc};
use config::{AppConfig, EditError, Kind};
use kit::{Finding, Problem};
use state::{AppSettings, Deployment, NodeId};

use crate::compile::compile;
use crate::drafts::Drafts;
use crate::ids::{Ids, Renames};
use crate::revisions::{read_revision, write_revision};
use crate::users::Turns;
use crate::{Backstitch, Rejected, Release, new_id, stored};

/// Tries of an edit that keeps losing the race for the live pointer.
pub(crate) const EDIT_TRIES_MAX: u32 = 20;

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
    pub(crate) signing_keys: crate::users::SigningKeys,
    live: Arc<Live>,
    editing: Arc<tokio::sync::Mutex<()>>,
    pub(crate) drafts: Drafts,
    pub(crate) secrets: RwLock<crate::secrets::Known>,
    /// The npm packages of functions.
    pub(crate) packages: Arc<crate::packages::Current>,
    pub(crate) tokens: crate::users::KnownTokens,
    pub(crate) streams: crate::users::Streams,
    pub(crate) failures: crate::users::Failures,
    pub(crate) auth_events: crate::users::AuthEvents,
    /// Held for writing while a user is removed, for reading while one is made:
    /// a login must not bring back the account that goes.
    pub(crate) removing: tokio::sync::RwLock<()>,
    /// One at a time makes a user of an identity.
    pub(crate) creating: Turns,
    /// What the hosted files come to; held while one is added.
    pub(crate) hosting: tokio::sync::Mutex<Option<crate::hosting::Usage>>,
    /// Held while an API key is added.
    pub(crate) adding_keys: tokio::sync::Mutex<()>,
}

/// What an edit swaps: release and record, in a task of its own.
struct Live {
    release: ArcSwap<Release>,
    record: ArcSwap<state::App>,
    ids: ArcSwap<Ids>,
    /// Told of each swap.
    swapped: tokio::sync::watch::Sender<()>,
}

/// Who changes a configuration, and through what.
#[derive(Debug, Clone)]
pub struct Author {
    /// The administrator's id.
    pub user_id: String,
    /// `UI`, `CLI` or `API`.
    pub origin: String,
}

/// A configuration as an administrator sees it: their draft's, or the live one.
#[derive(Clone)]
pub struct Seen {
    /// The value, compiled.
    pub release: Arc<Release>,
    /// The ids of its nodes.
    pub ids: Arc<Ids>,
    /// The draft.
    pub draft: Option<Arc<state::Draft>>,
}

/// What comes after a configuration: the next one, compiled.
pub(crate) struct Next {
    pub(crate) release: Release,
    /// Nodes whose ids follow them to a new key.
    pub(crate) renames: Renames,
}

/// What the record of a deployment says of it.
#[derive(Clone)]
pub(crate) struct Occasion {
    pub(crate) author: Author,
    /// The draft that goes live, and the name that its owner gives to that.
    pub(crate) draft: Option<(Arc<state::Draft>, String)>,
}

impl From<&Author> for Occasion {
    fn from(author: &Author) -> Self {
        Self {
            author: author.clone(),
            draft: None,
        }
    }
}

impl Seen {
    /// The value.
    pub fn config(&self) -> &AppConfig {
        &self.release.config
    }

    /// A node's id.
    pub fn node_id(&self, kind: Kind, key: &str) -> Option<&str> {
        self.ids.record(kind, key).map(|node| node.id.as_str())
    }
}

impl App {
    pub(crate) async fn load(
        core: &Arc<Backstitch>,
        record: state::App,
    ) -> Result<Arc<Self>, Problem> {
        settle(core, &record).await?;
        let config = read_revision(core, &record.live).await?;
        let mut release = compile(config, None).map_err(|findings| {
            let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
            Problem::internal(format!(
                "the live revision does not compile: {}",
                text.join("; ")
            ))
        })?;
        release.revision.clone_from(&record.live);
        let app = Self::with(core, record, release)?;
        app.refresh_packages().await?;
        Ok(app)
    }

    fn with(
        core: &Arc<Backstitch>,
        record: state::App,
        release: Release,
    ) -> Result<Arc<Self>, Problem> {
        Ok(Arc::new(Self {
            core: core.clone(),
            id: record.id.clone(),
            project_id: record.project_id.clone(),
            client_app_id: record.client_app_id.clone(),
            domain_id: record.domain_id.clone(),
            signing_keys: crate::users::SigningKeys::open(&core.master_key, &record)?,
            live: Arc::new(Live {
                release: ArcSwap::from_pointee(release),
                ids: ArcSwap::from_pointee(Ids::new(record.ids.clone())),
                record: ArcSwap::from_pointee(record),
                swapped: tokio::sync::watch::Sender::default(),
            }),
            editing: Arc::default(),
            drafts: Drafts::default(),
            secrets: RwLock::default(),
            packages: Arc::default(),
            tokens: crate::users::KnownTokens::default(),
            streams: crate::users::Streams::default(),
            failures: crate::users::Failures::default(),
            auth_events: crate::users::AuthEvents::default(),
            removing: tokio::sync::RwLock::default(),
            creating: Turns::default(),
            hosting: tokio::sync::Mutex::default(),
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
        let revision = write_revision(core, &record.id, &release.config, "", author).await?;
        release.revision.clone_from(&revision);
        record.live = revision;
        let none = Ids::default();
        let ids = none.next(&release.config, None, &Renames::new(), record.created);
        record.ids = ids.list().to_vec();
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

    /// The live configuration with its ids.
    pub fn live(&self) -> Seen {
        Seen {
            release: self.release(),
            ids: self.live.ids.load_full(),
            draft: None,
        }
    }

    /// A live node's id.
    pub fn node_id(&self, kind: Kind, key: &str) -> Option<String> {
        let ids = self.live.ids.load();
        ids.record(kind, key).map(|node| node.id.clone())
    }

    /// Follows the releases: each that goes live after this is told.
    pub(crate) fn swaps(&self) -> tokio::sync::watch::Receiver<()> {
        self.live.swapped.subscribe()
    }

    /// When somebody last used the app, in milliseconds: its newest log entry.
    pub async fn last_used(&self) -> Result<Option<i64>, Problem> {
        self.core.logbook.newest(&self.id).await
    }

    /// Changes the configuration: in its author's draft, if there is one, else
    /// live. Clone, change, compile, store, compare and set, swap. `change` may
    /// run more than once. Any failure leaves what was before.
    ///
    /// # Errors
    /// What `change` refuses, what does not compile, or a conflict.
    pub async fn edit<F>(&self, author: &Author, change: F) -> Result<Seen, Problem>
    where
        F: Fn(&mut AppConfig) -> Result<Renames, Problem>,
    {
        Ok(self.change(author, edited(change)).await?)
    }

    /// As [`App::edit`], whatever drafts there are.
    pub(crate) async fn edit_live<F>(&self, author: &Author, change: F) -> Result<Seen, Problem>
    where
        F: Fn(&mut AppConfig) -> Result<Renames, Problem>,
    {
        let made = self.deploy(&author.into(), edited(change)).await?;
        Ok(made.0)
    }

    /// The funnel. `make` builds the next configuration from the one that it is
    /// given, or nothing when that one does; it runs again when somebody was
    /// faster.
    pub(crate) async fn change<F>(&self, author: &Author, mut make: F) -> Result<Seen, Rejected>
    where
        F: FnMut(&Seen) -> Result<Option<Next>, Rejected>,
    {
        match self.change_draft(author, &mut make).await? {
            Some(seen) => Ok(seen),
            None => Ok(self.deploy(&author.into(), make).await?.0),
        }
    }

    /// The funnel of what goes live; answers what is live now, and the record of
    /// the deployment if there was one.
    pub(crate) async fn deploy<F>(
        &self,
        occasion: &Occasion,
        mut make: F,
    ) -> Result<(Seen, Option<Deployment>), Rejected>
    where
        F: FnMut(&Seen) -> Result<Option<Next>, Rejected>,
    {
        let mut editing = self.editing.clone().lock_owned().await;
        for _ in 0..EDIT_TRIES_MAX {
            let (base, record) = (self.live(), self.record());
            let Some(Next {
                mut release,
                renames,
            }) = make(&base)?
            else {
                return Ok((base, None));
            };
            let revision = write_revision(
                &self.core,
                &record.id,
                &release.config,
                &record.live,
                &occasion.author,
            )
            .await
            .map_err(Rejected::Problem)?;
            release.revision.clone_from(&revision);
            let now = self.core.clock.now_ms();
            let known = match &occasion.draft {
                Some((draft, _)) => Cow::Owned(base.ids.with(&Ids::new(draft.ids.clone()))),
                None => Cow::Borrowed(base.ids.as_ref()),
            };
            let ids = known.next(&release.config, Some(base.config()), &renames, now);
            let mut next = state::App::clone(&record);
            next.live.clone_from(&revision);
            next.ids = ids.list().to_vec();
            next.name = release.config.name().to_owned();
            // A caller who goes away must not leave the pointer moved and the
            // release before serving.
            let (live, core) = (self.live.clone(), self.core.clone());
            let occasion = occasion.clone();
            let going_live = tokio::spawn(state::change::carried(async move {
                let moved = live.replace(&core, &occasion, next, ids, release).await;
                (moved, editing)
            }));
            let (moved, lock) = going_live
                .await
                .map_err(|error| Rejected::Problem(Problem::internal(error.to_string())))?;
            if let Some((seen, deployment)) = moved.map_err(Rejected::Problem)? {
                return Ok((seen, Some(deployment)));
            }
            // Another process deployed: begin from what it made.
            editing = lock;
            self.follow().await.map_err(Rejected::Problem)?;
        }
        Err(Rejected::Problem(keeps_changing()))
    }

    /// Takes over what another server deployed; an app that is gone is served
    /// no longer.
    pub(crate) async fn catch_up(&self) -> Result<(), Problem> {
        // A change that is being made here knows what it began from.
        let _editing = self.editing.lock().await;
        let record = self.core.state.apps.get(&self.id).await.map_err(stored)?;
        if let Some(record) = &record {
            self.adopt_keys(record)?;
            self.refresh_packages().await?;
        }
        match record {
            Some(record) if record.live == self.record().live => {
                self.live.record.store(Arc::new(record));
                Ok(())
            }
            Some(record) => self.take_over(record).await,
            None => {
                self.core.drop_app(self);
                Ok(())
            }
        }
    }

    /// Changes what is set of the app beside its configuration. `change` may run
    /// more than once.
    ///
    /// # Errors
    /// What `change` refuses.
    pub async fn change_settings<T>(
        &self,
        change: impl Fn(&mut AppSettings) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        // The record in memory is not replaced by an older one.
        let _editing = self.editing.lock().await;
        for _ in 0..EDIT_TRIES_MAX {
            let mut record = self.stored_record().await?;
            let before = record.settings.version;
            let made = change(&mut record.settings)?;
            record.settings.version = before + 1;
            let settings = bson::serialize_to_document(&record.settings)
                .map_err(|error| Problem::internal(error.to_string()))?;
            let apps = &self.core.state.apps;
            let at = if before == 0 {
                // An app of before there were settings has none.
                doc! { "_id": &self.id, "settings.version": { "$in": [0, Bson::Null] } }
            } else {
                doc! { "_id": &self.id, "settings.version": before }
            };
            let to = doc! { "$set": { "settings": settings } };
            if apps.change(at, to).await.map_err(stored)? {
                let mut known = state::App::clone(&self.record());
                known.settings = record.settings;
                self.live.record.store(Arc::new(known));
                return Ok(made);
            }
        }
        Err(keeps_changing())
    }

    /// Takes over what the store has as live.
    async fn follow(&self) -> Result<(), Problem> {
        self.take_over(self.stored_record().await?).await
    }

    pub(crate) async fn stored_record(&self) -> Result<state::App, Problem> {
        let record = self.core.state.apps.get(&self.id).await.map_err(stored)?;
        record
            .ok_or_else(|| Problem::new(kit::Kind::NotFound, "AppNotFound", "the app was deleted"))
    }

    async fn take_over(&self, record: state::App) -> Result<(), Problem> {
        settle(&self.core, &record).await?;
        let config = read_revision(&self.core, &record.live).await?;
        let mut release =
            compile(config, Some(&self.release())).map_err(|findings| rejected(&findings))?;
        release.revision.clone_from(&record.live);
        self.live.release.store(Arc::new(release));
        self.live.ids.store(Arc::new(Ids::new(record.ids.clone())));
        self.live.record.store(Arc::new(record));
        self.live.swapped.send_replace(());
        Ok(())
    }
}

/// The maker of a change to the value.
fn edited<F>(change: F) -> impl FnMut(&Seen) -> Result<Option<Next>, Rejected>
where
    F: Fn(&mut AppConfig) -> Result<Renames, Problem>,
{
    move |base| {
        let mut config = base.config().clone();
        let renames = change(&mut config).map_err(Rejected::Problem)?;
        let release = compile(config, Some(&base.release)).map_err(Rejected::Findings)?;
        Ok(Some(Next { release, renames }))
    }
}

pub(crate) fn keeps_changing() -> Problem {
    Problem::new(
        kit::Kind::Conflict,
        "DeploymentConflict",
        "the configuration keeps changing; try again",
    )
}

impl Live {
    /// Compare and set, swap, note. Nothing when the race was lost.
    async fn replace(
        &self,
        core: &Backstitch,
        occasion: &Occasion,
        mut next: state::App,
        ids: Ids,
        release: Release,
    ) -> Result<Option<(Seen, Deployment)>, Problem> {
        let deployment = deployment(core, &next.id, occasion, &release.revision);
        next.deployment = Some(deployment.clone());
        if !move_pointer(core, &self.record.load().live, &next).await? {
            return Ok(None);
        }
        let seen = Seen {
            release: Arc::new(release),
            ids: Arc::new(ids),
            draft: None,
        };
        self.release.store(seen.release.clone());
        self.ids.store(seen.ids.clone());
        self.record.store(Arc::new(next));
        self.swapped.send_replace(());
        // It is live: that the rest is not done is no reason to call it a failure.
        if let Err(problem) = settle(core, &self.record.load()).await {
            let app = &deployment.app_id;
            tracing::error!(app, %problem, "a deployment could not be recorded");
        }
        Ok(Some((seen, deployment)))
    }
}

/// Finishes the deployment that an app is at, which may have been cut short
/// right after its revision went live: records it and removes its draft.
async fn settle(core: &Backstitch, app: &state::App) -> Result<(), Problem> {
    let Some(deployment) = &app.deployment else {
        return Ok(());
    };
    let recorded = std::slice::from_ref(deployment);
    // What a crash loses of it is made again: the app's record has it.
    core.state
        .deployments
        .unsynced()
        .insert_missing(recorded)
        .await
        .map_err(stored)?;
    if !deployment.draft_id.is_empty() {
        let draft = doc! { "_id": &deployment.draft_id, "app_id": &app.id };
        core.state.drafts.delete_all(draft).await.map_err(stored)?;
        let hosted = &deployment.draft_id;
        core.state.bodies.remove(hosted).await.map_err(stored)?;
    }
    Ok(())
}

/// Whether `next` went live in place of the revision `before`.
async fn move_pointer(core: &Backstitch, before: &str, next: &state::App) -> Result<bool, Problem> {
    let ids = Bson::Array(node_ids(&next.ids));
    let deployment = bson::serialize_to_bson(&next.deployment)
        .map_err(|error| Problem::internal(error.to_string()))?;
    core.state
        .apps
        .change(
            doc! { "_id": &next.id, "live": before },
            doc! { "$set": {
                "live": &next.live, "name": &next.name, "ids": ids, "deployment": deployment,
            } },
        )
        .await
        .map_err(stored)
}

/// Ids as records keep them.
pub(crate) fn node_ids(ids: &[NodeId]) -> Vec<Bson> {
    ids.iter()
        .map(|id| {
            doc! {
                "kind": &id.kind, "key": &id.key, "id": &id.id, "modified": id.modified,
            }
            .into()
        })
        .collect()
}

/// The record of a deployment.
fn deployment(core: &Backstitch, app_id: &str, occasion: &Occasion, revision: &str) -> Deployment {
    let draft = occasion.draft.as_ref();
    Deployment {
        id: new_id(),
        app_id: app_id.to_owned(),
        revision: revision.to_owned(),
        user_id: occasion.author.user_id.clone(),
        at: core.clock.now_ms(),
        origin: occasion.author.origin.clone(),
        status: "successful".to_owned(),
        error: String::new(),
        name: draft.map_or_else(String::new, |(_, name)| name.clone()),
        draft_id: draft.map_or_else(String::new, |(draft, _)| draft.id.clone()),
    }
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
    let text = text.join("\n");
    let in_rule = |finding: &&&Finding| {
        let file = finding.path.rsplit('/').next();
        matches!(file, Some("rules.json" | "default_rule.json"))
    };
    // The service's words come first, then the place.
    let text = match errors.first().filter(in_rule) {
        Some(first) => {
            let said = first.message.rsplit_once(": ");
            let said = said.map_or(first.message.as_str(), |(_, said)| said);
            format!("error validating rule: {said}\n{text}")
        }
        None => text,
    };
    Problem::new(kit::Kind::Invalid, code, text)
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
