//! The server's core: engines, state, workers, and the apps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bson::doc;
use config::AppConfig;
use engine::SharedEngine;
use js::{Limits, Pool, PoolSettings};
use kit::{Clock, Kind, Problem, Secret, limit};
use state::{MasterKey, Project, State};
use tokio::task::JoinSet;

use crate::clusters::{ClusterHealth, Clusters};
use crate::dependencies::Installs;
use crate::live::Author;
use crate::mail::{MailSettings, Mailer};
use crate::meters::Meters;
use crate::{App, Logbook, Outbound, ProviderEndpoints, chores, following, meters, new_id, stored};

/// What the core is made of.
pub struct Settings {
    /// The engine of every cluster that is not named.
    pub engine: SharedEngine,
    /// Where the server's own records are; in the same engine unless set.
    pub state: Option<StateSettings>,
    /// Engines of named clusters.
    pub clusters: HashMap<String, SharedEngine>,
    /// Seals secrets.
    pub master_key: MasterKey,
    /// How workers are started.
    pub workers: PoolSettings,
    /// Bounds of a function call.
    pub limits: Limits,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether passwords are hashed as cheaply as a test needs.
    pub cheap_passwords: bool,
    /// Where npm packages are fetched from; nowhere unless set.
    pub npm_registry: Option<npm::Registry>,
    /// The machines that the server itself turns to.
    pub outbound: Outbound,
    /// Where mails go, and what is in them.
    pub mail: MailSettings,
}

/// Where the server's own records are.
pub struct StateSettings {
    /// The engine.
    pub engine: SharedEngine,
    /// The database.
    pub database: String,
    /// Whether other servers use them too.
    pub shared: bool,
}

/// The server's core. Shared by everything that serves.
pub struct Backstitch {
    pub(crate) clusters: Clusters,
    /// The records at rest.
    pub state: State,
    pub(crate) master_key: MasterKey,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) passwords: crate::users::Hasher,
    /// Wrong passwords and keys of administrators.
    pub(crate) admin_failures: crate::users::Failures,
    pub(crate) installs: Installs,
    /// Packages at hand.
    pub(crate) packages: crate::packages::Shelf,
    /// Requests to other machines.
    pub egress: egress::Http,
    /// Where login providers are.
    pub endpoints: ProviderEndpoints,
    /// Room for codes that are redeemed with them.
    pub(crate) codes: tokio::sync::Semaphore,
    /// Keys of those who sign tokens for users.
    pub(crate) key_sets: crate::users::KeySets,
    pub(crate) mail: Mailer,
    /// The log.
    pub logbook: Logbook,
    /// What apps use.
    pub meters: Meters,
    /// Apps by client app id and by id.
    apps: ArcSwap<HashMap<String, Arc<App>>>,
    loading: tokio::sync::Mutex<()>,
    /// What runs beside the requests; ends with the core.
    tasks: Mutex<JoinSet<()>>,
    /// Signs administrators' tokens.
    pub(crate) admin_key: Secret<Vec<u8>>,
}

/// A new app.
#[derive(Debug, Clone, Default)]
pub struct NewApp {
    /// Its name.
    pub name: String,
    /// Its client app id, if it has one already.
    pub client_app_id: Option<String>,
    /// `standard` unless said otherwise.
    pub product: String,
    /// Its configuration; a default one unless given.
    pub config: Option<AppConfig>,
    /// The template that it is made from; empty for none.
    pub template_id: String,
}

impl Backstitch {
    /// Opens the core.
    pub async fn open(settings: Settings) -> Result<Arc<Self>, Problem> {
        let own = settings.state.unwrap_or_else(|| StateSettings {
            engine: settings.engine.clone(),
            database: state::DATABASE.to_owned(),
            shared: false,
        });
        let clusters = Clusters::new(
            own.engine,
            &own.database,
            settings.engine,
            settings.clusters,
        );
        let followed = own.shared.then(|| (clusters.state(), own.database.clone()));
        // In boxes, as both are much that is only needed here.
        let engine = clusters.state();
        let state = Box::pin(State::open(&engine, &own.database)).await;
        let state = state.map_err(stored)?;
        let admin_key = administrators_key(&state, &settings.master_key).await?;
        let core = Arc::new(Self {
            logbook: Logbook::start(state.clone()),
            meters: Meters::new(state.clone()),
            clusters,
            state,
            master_key: settings.master_key,
            pool: Pool::new(settings.workers),
            limits: settings.limits,
            clock: settings.clock,
            passwords: crate::users::Hasher::new(settings.cheap_passwords),
            admin_failures: crate::users::Failures::default(),
            packages: crate::packages::Shelf::default(),
            installs: Installs::new(settings.npm_registry, followed.is_none()),
            egress: egress::Http::new(settings.outbound.http),
            endpoints: settings.outbound.endpoints,
            codes: tokio::sync::Semaphore::new(limit::CODES_AT_ONCE_MAX),
            key_sets: crate::users::KeySets::default(),
            mail: Mailer::new(settings.mail),
            apps: ArcSwap::default(),
            loading: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
            admin_key,
        });
        // Nobody else is at work on records that are this server's alone.
        Box::pin(core.settle_changes(followed.is_none())).await?;
        {
            let mut tasks = core.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.spawn(chores::run(Arc::downgrade(&core)));
            tasks.spawn(meters::run(Arc::downgrade(&core)));
            if let Some((engine, database)) = followed {
                tasks.spawn(following::follow(Arc::downgrade(&core), engine, database));
            }
        }
        Ok(core)
    }

    /// The workers, for their numbers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A cluster with everything in it, the server's own records included if
    /// they are there: for the operator, who moves them. The default for an
    /// empty name.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that is not mapped.
    pub fn whole_cluster(&self, name: &str) -> Result<SharedEngine, Problem> {
        self.clusters.whole(name).ok_or_else(|| {
            Problem::invalid_parameter(format!("there is no cluster of the name '{name}'"))
        })
    }

    /// The names of the clusters that are mapped; the one that apps of the
    /// service have by default while there are none, as every name that is not
    /// mapped means the default cluster.
    pub fn cluster_names(&self) -> Vec<String> {
        let named = self.clusters.names();
        if named.is_empty() {
            return vec!["Cluster0".to_owned()];
        }
        named
    }

    /// Deployment and database of the server's own records, unless they are
    /// where the default cluster is: for the operator.
    pub fn records_apart(&self) -> Option<(SharedEngine, &str)> {
        self.clusters.records_apart()
    }

    /// The databases that apps may not use.
    pub fn closed_databases(&self) -> &[String] {
        self.clusters.closed()
    }

    /// The engine of a cluster: the one of that name, else the default.
    pub(crate) fn cluster(&self, name: &str) -> &SharedEngine {
        self.clusters.get(name)
    }

    /// How every deployment is, the one of the server's own records first.
    pub async fn health(&self) -> Vec<ClusterHealth> {
        self.clusters.health().await
    }

    /// Makes a project, or finds the one of that id.
    pub async fn ensure_project(&self, id: Option<&str>, name: &str) -> Result<Project, Problem> {
        let id = id.map_or_else(new_id, str::to_owned);
        if let Some(found) = self.state.projects.get(&id).await.map_err(stored)? {
            return Ok(found);
        }
        let project = Project {
            id,
            name: name.to_owned(),
            created: self.clock.now_ms(),
        };
        // Another server may have been faster; the name is the same.
        let new = std::slice::from_ref(&project);
        self.state
            .projects
            .insert_missing(new)
            .await
            .map_err(stored)?;
        Ok(project)
    }

    /// Whether there is a project of an id.
    pub async fn has_project(&self, id: &str) -> Result<bool, Problem> {
        let found = self.state.projects.get(id).await.map_err(stored)?;
        Ok(found.is_some())
    }

    /// What servers that share their records first said about something.
    pub async fn agree(&self, about: &str, value: &str) -> Result<String, Problem> {
        self.state.agree(about, value).await.map_err(stored)
    }

    /// The app that clients call by this id, loaded on first use.
    ///
    /// # Errors
    /// `AppNotFound`.
    pub async fn app_by_client_id(self: &Arc<Self>, id: &str) -> Result<Arc<App>, Problem> {
        if let Some(app) = self.kept(id).filter(|app| app.client_app_id == id) {
            return Ok(app);
        }
        let missing = || {
            Problem::new(
                Kind::NotFound,
                "AppNotFound",
                format!("cannot find app using Client App ID '{id}'"),
            )
        };
        self.load(doc! { "client_app_id": id })
            .await?
            .ok_or_else(missing)
    }

    /// The app of an id.
    ///
    /// # Errors
    /// `AppNotFound`.
    pub async fn app(self: &Arc<Self>, id: &str) -> Result<Arc<App>, Problem> {
        if let Some(app) = self.kept(id).filter(|app| app.id == id) {
            return Ok(app);
        }
        let found = self.load(doc! { "_id": id }).await?;
        found.ok_or_else(|| app_not_found(id))
    }

    /// The app of an id, if it is this project's.
    ///
    /// # Errors
    /// `AppNotFound`, for another project's too.
    pub async fn app_of_project(
        self: &Arc<Self>,
        project_id: &str,
        id: &str,
    ) -> Result<Arc<App>, Problem> {
        let app = self.app(id).await?;
        if app.project_id == project_id {
            Ok(app)
        } else {
            Err(app_not_found(id))
        }
    }

    /// The app of a token's domain.
    pub(crate) async fn app_by_domain(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<Option<Arc<App>>, Problem> {
        if let Some(app) = self.kept(id).filter(|app| app.domain_id == id) {
            return Ok(Some(app));
        }
        self.load(doc! { "domain_id": id }).await
    }

    /// An app that is in memory, by any of its ids.
    fn kept(&self, id: &str) -> Option<Arc<App>> {
        self.apps.load().get(id).cloned()
    }

    async fn load(self: &Arc<Self>, filter: bson::Document) -> Result<Option<Arc<App>>, Problem> {
        // Without the lock: unknown ids must not keep known ones waiting.
        let found = self
            .state
            .apps
            .first(filter.clone())
            .await
            .map_err(stored)?;
        if found.is_none() {
            return Ok(None);
        }
        // One at a time: an app is compiled once, not once for each waiter.
        let _loading = self.loading.lock().await;
        let Some(record) = self.state.apps.first(filter).await.map_err(stored)? else {
            return Ok(None);
        };
        if let Some(app) = self.apps.load().get(&record.id) {
            return Ok(Some(app.clone()));
        }
        let app = App::load(self, record).await?;
        self.keep(&app);
        // Nobody told an app of changes that was not kept yet.
        app.catch_up().await?;
        Ok(self.kept(&app.id))
    }

    /// The apps that are in memory.
    pub(crate) fn kept_apps(&self) -> Vec<Arc<App>> {
        let apps = self.apps.load();
        let by_id = apps.iter().filter(|(id, app)| **id == app.id);
        by_id.map(|(_, app)| app.clone()).collect()
    }

    /// Serves an app no longer, which is gone.
    pub(crate) fn drop_app(&self, app: &App) {
        self.apps.rcu(|apps| {
            let mut apps = HashMap::clone(apps);
            apps.retain(|_, kept| kept.id != app.id);
            apps
        });
        app.streams.end_all();
    }

    fn keep(&self, app: &Arc<App>) {
        self.apps.rcu(|apps| {
            let mut apps = HashMap::clone(apps);
            for key in [&app.id, &app.client_app_id, &app.domain_id] {
                apps.insert(key.clone(), app.clone());
            }
            apps
        });
    }

    /// The apps of a project, oldest first.
    pub async fn apps(&self, project_id: &str) -> Result<Vec<state::App>, Problem> {
        self.state
            .apps
            .list(
                doc! { "project_id": project_id },
                doc! { "created": 1, "_id": 1 },
                0,
                0,
            )
            .await
            .map_err(stored)
    }

    /// Makes an app.
    ///
    /// # Errors
    /// `BadRequest` for a bad name, a conflict when the client app id is taken,
    /// and what is wrong with its configuration.
    pub async fn create_app(
        self: &Arc<Self>,
        project_id: &str,
        new: NewApp,
        author: &Author,
    ) -> Result<Arc<App>, Problem> {
        let name = new.name.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(Problem::bad_request(
                "app name must have 1 to 64 ASCII letters, numbers, hyphens and underscores",
            ));
        }
        let client_app_id = match new.client_app_id {
            Some(id) => id,
            None => self.free_client_app_id(|| client_app_id(name)).await?,
        };
        let record = state::App {
            id: new_id(),
            project_id: project_id.to_owned(),
            client_app_id: client_app_id.clone(),
            name: name.to_owned(),
            product: if new.product.is_empty() {
                "standard".to_owned()
            } else {
                new.product
            },
            template_id: new.template_id,
            domain_id: new_id(),
            signing_key: self.master_key.seal(&state::random_bytes::<32>()),
            signing_version: 0,
            former_signing_keys: Vec::new(),
            live: String::new(),
            deployment: None,
            ids: Vec::new(),
            created: self.clock.now_ms(),
            settings: state::AppSettings::default(),
        };
        let config = new.config.unwrap_or_else(|| AppConfig::new(name));
        let app = App::create(self, record, config, author)
            .await
            .map_err(|problem| {
                if problem
                    .because
                    .as_deref()
                    .is_some_and(|b| b.contains("E11000"))
                {
                    Problem::new(
                        Kind::Conflict,
                        "AppAlreadyExists",
                        format!("the client app id '{client_app_id}' is taken"),
                    )
                } else {
                    problem
                }
            })?;
        self.keep(&app);
        app.catch_up().await?;
        Ok(app)
    }

    /// The first client app id drawn that no app has.
    async fn free_client_app_id(
        &self,
        mut draw: impl FnMut() -> String,
    ) -> Result<String, Problem> {
        loop {
            let id = draw();
            let taken = self.state.apps.count(doc! { "client_app_id": &id }).await;
            if taken.map_err(stored)? == 0 {
                return Ok(id);
            }
        }
    }

    /// Removes an app with everything that belongs to it but its users'
    /// documents.
    pub async fn delete_app(self: &Arc<Self>, app: &Arc<App>) -> Result<(), Problem> {
        // Before the sessions go, whose end would be told.
        app.streams.end_all();
        self.installs.stop(&app.id);
        self.state.erase_app(&app.id).await.map_err(stored)?;
        self.drop_app(app);
        Ok(())
    }

    /// Ends every change stream: they would go on for as long as their clients
    /// like.
    pub fn end_streams(&self) {
        for app in self.apps.load().values() {
            app.streams.end_all();
        }
    }
}

/// The app is not there, or not the caller's.
pub fn app_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "AppNotFound",
        format!("app not found: '{id}'"),
    )
}

/// `<name>-<five lower-case letters>`.
fn client_app_id(name: &str) -> String {
    let letters: String = state::random_bytes::<5>()
        .iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect();
    format!("{}-{letters}", name.to_lowercase())
}

/// The key of administrators' tokens, made on first start.
async fn administrators_key(state: &State, master: &MasterKey) -> Result<Secret<Vec<u8>>, Problem> {
    const ID: &str = "administrators";
    loop {
        if let Some(found) = state.secrets.get(ID).await.map_err(stored)? {
            return master.open(&found.sealed).map(Secret::new).map_err(|_| {
                Problem::new(
                    Kind::Conflict,
                    "",
                    "the server's records are sealed with another master key; start with the one \
                     of the first start (BACKSTITCH_MASTER_KEY, or the file master.key), which \
                     all servers on these records share",
                )
            });
        }
        let record = state::Secret {
            id: ID.to_owned(),
            app_id: String::new(),
            name: ID.to_owned(),
            sealed: master.seal(&state::random_bytes::<32>()),
        };
        match state.secrets.insert(&record).await {
            Err(error) if !error.is_duplicate_key() => return Err(stored(error)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use engine::SharedEngine;
    use engine_embedded::Embedded;
    use kit::clock::FakeClock;
    use state::MasterKey;

    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn an_id_that_is_drawn_twice_is_drawn_once_more() {
        let clock = Arc::new(FakeClock::at(1_700_000_000_000));
        let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        let core = Backstitch::open(Settings {
            engine,
            clusters: HashMap::new(),
            state: None,
            master_key: MasterKey::from_text("test"),
            workers: PoolSettings::new("/nonexistent", [""; 0]),
            limits: Limits::default(),
            clock,
            cheap_passwords: true,
            npm_registry: None,
            outbound: Outbound::default(),
            mail: MailSettings::default(),
        })
        .await
        .unwrap();
        let new = NewApp {
            name: "shop".to_owned(),
            client_app_id: Some("shop-aaaaa".to_owned()),
            ..NewApp::default()
        };
        let author = Author {
            user_id: String::new(),
            origin: "API".to_owned(),
        };
        core.create_app("p", new, &author).await.unwrap();
        let mut drawn = ["shop-aaaaa", "shop-aaaaa", "shop-bbbbb"].into_iter();
        let free = core.free_client_app_id(|| drawn.next().unwrap().to_owned());
        assert_eq!(free.await.unwrap(), "shop-bbbbb");
    }
}
