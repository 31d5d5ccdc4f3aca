//! The registry of clusters: which deployment each name means, and where the
//! server's own records are. Opens them, lists them, tries them.
//!
//! A URI is never shown with what may be secret in it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::{DEFAULT_CLUSTER, StateSettings};
use engine::{Engine as _, SharedEngine};
use engine_embedded::Embedded;
use engine_mongo::Mongo;
use kit::{Clock, Secret};

use crate::StartError;

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The embedded engine, in the data directory.
    Embedded,
    /// A MongoDB deployment.
    Mongo(Secret),
}

/// Which deployment each cluster is.
#[derive(Debug, Clone, Default)]
pub struct ClusterSettings {
    named: BTreeMap<String, Place>,
    state: Option<Secret>,
    /// How the embedded engine is opened.
    pub embedded: engine_embedded::Options,
}

/// A cluster, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name; `*` is the one that every other name means, and empty the
    /// deployment of the server's own records.
    pub name: String,
    /// `embedded` or `mongodb`.
    pub kind: &'static str,
    /// The data directory, or hosts and database.
    pub place: String,
}

/// A cluster that was tried.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Which.
    pub cluster: Listed,
    /// What it is, or why it did not answer.
    pub found: Result<Vec<(&'static str, String)>, String>,
}

/// What a server runs on.
pub(crate) struct Opened {
    pub(crate) default: SharedEngine,
    pub(crate) named: HashMap<String, SharedEngine>,
    pub(crate) state: StateSettings,
}

impl ClusterSettings {
    /// Reads `NAME=PLACE` pairs between white space, where a place is
    /// `embedded` or a MongoDB URI and the name `*` is every other cluster; and
    /// the URI of the server's own records.
    ///
    /// # Errors
    /// What is wrong, without the URI.
    pub fn parse(clusters: &str, state: Option<Secret>) -> Result<Self, StartError> {
        let mut named = BTreeMap::new();
        for (number, pair) in (1..).zip(clusters.split_whitespace()) {
            let Some((name, place)) = pair.split_once('=').filter(|(name, _)| fits(name)) else {
                return Err(StartError(format!(
                    "clusters: pair {number} has to be NAME=embedded or NAME=mongodb://…, \
                     with white space between pairs"
                )));
            };
            let place = match place {
                "embedded" => Place::Embedded,
                uri if is_uri(uri) => Place::Mongo(uri.to_owned().into()),
                _ => {
                    return Err(StartError(format!(
                        "clusters: {name} has to be \"embedded\" or begin with mongodb:// or \
                         mongodb+srv://"
                    )));
                }
            };
            if named.insert(name.to_owned(), place).is_some() {
                return Err(StartError(format!("clusters: {name} is there twice")));
            }
        }
        if let Some(uri) = &state
            && !is_uri(uri.expose())
        {
            let text = "the state URI has to begin with mongodb:// or mongodb+srv://";
            return Err(StartError(text.to_owned()));
        }
        let settings = Self {
            named,
            state,
            embedded: engine_embedded::Options::default(),
        };
        let database = settings.state_database();
        if ["admin", "config", "local"].contains(&database.as_str()) {
            return Err(StartError(format!(
                "the state URI names the database {database}, which is MongoDB's own"
            )));
        }
        Ok(settings)
    }

    /// Whether the server's own records are where other servers reach them.
    pub(crate) fn is_shared(&self) -> bool {
        self.state.is_some()
    }

    fn state_database(&self) -> String {
        let uri = self.state.clone();
        let named = uri.and_then(|uri| engine_mongo::Settings::new(uri).database());
        named.unwrap_or_else(|| state::DATABASE.to_owned())
    }

    /// What names that are not mapped mean: as set, else where the server's own
    /// records are.
    fn default(&self) -> Place {
        let set = self.named.get(DEFAULT_CLUSTER).cloned();
        set.unwrap_or_else(|| self.own())
    }

    fn own(&self) -> Place {
        self.state.clone().map_or(Place::Embedded, Place::Mongo)
    }

    /// Every cluster by name, then `*`, then the server's own records.
    fn all(&self) -> Vec<(String, Place)> {
        let named = self.named.iter().filter(|(name, _)| *name != "*");
        let mut all: Vec<_> = named.map(|(n, place)| (n.clone(), place.clone())).collect();
        all.push((DEFAULT_CLUSTER.to_owned(), self.default()));
        all.push((String::new(), self.own()));
        all
    }

    /// Every cluster, as it may be shown.
    pub fn list(&self, data_dir: &Path) -> Vec<Listed> {
        let all = self.all().into_iter();
        all.map(|(name, place)| self.listed(name, &place, data_dir))
            .collect()
    }

    fn listed(&self, name: String, place: &Place, data_dir: &Path) -> Listed {
        let (kind, shown) = match place {
            Place::Embedded => ("embedded", data_dir.display().to_string()),
            Place::Mongo(uri) if name.is_empty() => {
                let shown = engine_mongo::Settings::new(uri.clone()).shown();
                let database = self.state_database();
                ("mongodb", format!("{shown}, database {database}"))
            }
            Place::Mongo(uri) => ("mongodb", engine_mongo::Settings::new(uri.clone()).shown()),
        };
        Listed {
            name,
            kind,
            place: shown,
        }
    }

    /// Connects to every cluster, or to one, and asks what it is.
    ///
    /// # Errors
    /// When there is no cluster of that name.
    pub async fn test(
        &self,
        name: Option<&str>,
        data_dir: &Path,
    ) -> Result<Vec<Tried>, StartError> {
        let mut all = self.all();
        if let Some(wanted) = name {
            all.retain(|(name, _)| name == wanted);
            if all.is_empty() {
                return Err(StartError(format!(
                    "no cluster is called {wanted}: apps that name it use the default, *"
                )));
            }
        }
        let mut tried = Vec::new();
        for (name, place) in all {
            let found = match &place {
                Place::Embedded => Ok(vec![("kind", "embedded, part of the server".to_owned())]),
                Place::Mongo(uri) => describe(uri).await,
            };
            let cluster = self.listed(name, &place, data_dir);
            tried.push(Tried { cluster, found });
        }
        Ok(tried)
    }

    /// Opens every deployment. The server's own records have to be there; any
    /// other may come later.
    pub(crate) async fn open(
        &self,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Opened, StartError> {
        let mut opening = Opening {
            options: self.embedded,
            data_dir: data_dir.to_owned(),
            clock,
            embedded: None,
            mongo: HashMap::new(),
        };
        let state = match &self.state {
            // Opened first: another process on the data is found out before
            // anything else happens.
            None => StateSettings {
                engine: opening.embedded()?,
                database: self.state_database(),
                shared: false,
            },
            Some(uri) => {
                let settings = engine_mongo::Settings::for_state(uri.clone());
                let mongo = Mongo::connect(settings)
                    .await
                    .map_err(|error| StartError(format!("the server's own records: {error}")))?;
                if !mongo.capabilities().change_feeds {
                    tracing::warn!(
                        "the deployment of the server's own records has no change streams: other \
                         servers' changes are looked for twice a second"
                    );
                }
                StateSettings {
                    engine: Arc::new(mongo),
                    database: self.state_database(),
                    shared: true,
                }
            }
        };
        let default = opening.place(DEFAULT_CLUSTER, &self.default()).await?;
        let mut named = HashMap::new();
        for (name, place) in &self.named {
            if name != DEFAULT_CLUSTER {
                named.insert(name.clone(), opening.place(name, place).await?);
            }
        }
        if opening.embedded.is_some() && state.shared {
            tracing::warn!(
                "a cluster is embedded: its documents are this server's alone, while apps and \
                 users are shared"
            );
        }
        Ok(Opened {
            default,
            named,
            state,
        })
    }
}

/// Deployments that were opened: each once, whatever names it has.
struct Opening {
    options: engine_embedded::Options,
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
    embedded: Option<SharedEngine>,
    mongo: HashMap<String, SharedEngine>,
}

impl Opening {
    fn embedded(&mut self) -> Result<SharedEngine, StartError> {
        if let Some(open) = &self.embedded {
            return Ok(open.clone());
        }
        let opened = Embedded::open_with(&self.data_dir, self.clock.clone(), self.options)
            .map_err(|error| StartError(format!("{}: {error}", self.data_dir.display())))?;
        let opened: SharedEngine = Arc::new(opened);
        self.embedded = Some(opened.clone());
        Ok(opened)
    }

    async fn place(&mut self, name: &str, place: &Place) -> Result<SharedEngine, StartError> {
        let uri = match place {
            Place::Embedded => return self.embedded(),
            Place::Mongo(uri) => uri,
        };
        if let Some(open) = self.mongo.get(uri.expose()) {
            return Ok(open.clone());
        }
        let mongo = Mongo::open(engine_mongo::Settings::new(uri.clone()))
            .await
            .map_err(|error| StartError(format!("the cluster {name}: {error}")))?;
        // Asked in the background, so that what it can do is known early.
        let asked = mongo.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            match asked.describe().await {
                Err(error) => tracing::warn!("the cluster {name} does not answer: {error}"),
                Ok(found) if !found.capabilities.transactions => tracing::warn!(
                    "the cluster {name} has no transactions: users' updates and deletes under \
                     rules are refused there"
                ),
                Ok(_) => {}
            }
        });
        let open: SharedEngine = Arc::new(mongo);
        self.mongo.insert(uri.expose().clone(), open.clone());
        Ok(open)
    }
}

/// Connects and says what there is.
async fn describe(uri: &Secret) -> Result<Vec<(&'static str, String)>, String> {
    let said = |error: engine::CommandError| error.message;
    let mongo = Mongo::open(engine_mongo::Settings::new(uri.clone()))
        .await
        .map_err(said)?;
    let found = mongo.describe().await.map_err(said)?;
    let yes = |can: bool| if can { "yes" } else { "no" }.to_owned();
    let mut rows = vec![("kind", found.topology.as_str().to_owned())];
    rows.extend(found.set.map(|set| ("set", set)));
    rows.extend([
        ("hosts", found.hosts.join(", ")),
        ("product", found.product.to_owned()),
        ("version", found.version),
        (
            "round_trip_ms",
            format!("{:.1}", found.latency.as_secs_f64() * 1000.0),
        ),
        ("transactions", yes(found.capabilities.transactions)),
        ("change_streams", yes(found.capabilities.change_feeds)),
    ]);
    Ok(rows)
}

fn is_uri(text: &str) -> bool {
    text.starts_with("mongodb://") || text.starts_with("mongodb+srv://")
}

/// Whether an app could name a cluster so.
fn fits(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name == DEFAULT_CLUSTER || !name.is_empty() && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ClusterSettings, Listed, Place};

    fn refused(clusters: &str, state: Option<&str>) -> String {
        let state = state.map(|uri| uri.to_owned().into());
        ClusterSettings::parse(clusters, state).unwrap_err().0
    }

    #[test]
    fn pairs_stand_between_white_space_and_uris_keep_their_commas() {
        let text = "A=embedded\n  B=mongodb://u:p,w;@a:1,b:2/?replicaSet=r&x=y \t*=mongodb://c/";
        let settings = ClusterSettings::parse(text, None).unwrap();
        let uri = "mongodb://u:p,w;@a:1,b:2/?replicaSet=r&x=y".to_owned();
        assert_eq!(settings.named["A"], Place::Embedded);
        assert_eq!(settings.named["B"], Place::Mongo(uri.into()));
        assert_eq!(settings.default(), settings.named["*"]);
        assert_eq!(settings.own(), Place::Embedded);
        let shown = settings.list(Path::new("data"));
        let row = |name: &str, kind: &'static str, place: &str| Listed {
            name: name.to_owned(),
            kind,
            place: place.to_owned(),
        };
        assert_eq!(
            shown,
            [
                row("A", "embedded", "data"),
                row("B", "mongodb", "mongodb://a:1,b:2"),
                row("*", "mongodb", "mongodb://c"),
                row("", "embedded", "data"),
            ]
        );
        assert!(!format!("{settings:?}").contains("p,w"));
    }

    #[test]
    fn names_that_are_not_mapped_follow_the_records() {
        let uri = "mongodb://u:pw@h/records?authSource=admin".to_owned();
        let settings = ClusterSettings::parse("", Some(uri.clone().into())).unwrap();
        assert_eq!(settings.default(), Place::Mongo(uri.into()));
        assert_eq!(settings.state_database(), "records");
        let own = settings.list(Path::new("data")).pop().unwrap();
        assert_eq!(own.place, "mongodb://h/records, database records");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_uri() {
        for (clusters, state, wanted) in [
            ("mongodb://u:hunter2@h", None, "pair 1"),
            ("A=embedded mongodb://u:hunter2@h/?a=b", None, "pair 2"),
            ("A=embedded,B=hunter2", None, "A has to be"),
            ("A=http://hunter2", None, "A has to be"),
            ("A=embedded A=embedded", None, "twice"),
            ("=embedded", None, "pair 1"),
            ("", Some("hunter2"), "state URI"),
            ("", Some("mongodb://u:hunter2@h/admin"), "MongoDB's own"),
        ] {
            let text = refused(clusters, state);
            assert!(text.contains(wanted), "{clusters}: {text}");
            assert!(!text.contains("hunter2"), "{clusters}: {text}");
        }
    }
}
