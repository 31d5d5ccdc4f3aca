//! The clusters that apps' data sources lead to, and the deployment of the
//! server's own records: which is which, what is closed to apps, and how each
//! of them is.

mod closed;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use engine::SharedEngine;

use closed::Closed;
use watched::Watched;

/// The name of the default cluster, which every name that is not mapped means.
pub const DEFAULT_CLUSTER: &str = "*";

/// Every deployment of the server.
pub(crate) struct Clusters {
    state: Arc<Watched>,
    default: Cluster,
    named: BTreeMap<String, Cluster>,
    closed: Closed,
}

struct Cluster {
    deployment: Arc<Watched>,
    /// The deployment without what is closed to apps.
    door: SharedEngine,
}

/// How a deployment is.
#[derive(Debug, Clone)]
pub struct ClusterHealth {
    /// The cluster's name; [`DEFAULT_CLUSTER`], or empty for a deployment that
    /// only keeps the server's own records.
    pub name: String,
    /// Whether the server's own records are there: without them it cannot serve.
    pub is_state: bool,
    /// Time of one round trip, or why there was none, for the operator.
    pub answers: Result<Duration, String>,
}

impl Clusters {
    pub(crate) fn new(
        state: SharedEngine,
        database: &str,
        default: SharedEngine,
        named: HashMap<String, SharedEngine>,
    ) -> Self {
        let closed = Closed::new(database);
        let mut known: Vec<Arc<Watched>> = Vec::new();
        let mut watched = |name: &str, engine: SharedEngine| {
            if let Some(same) = known.iter().find(|known| known.is(&engine)) {
                return same.clone();
            }
            let new = Arc::new(Watched::new(name, engine));
            known.push(new.clone());
            new
        };
        let state = watched("of the server's own records", state);
        let mut cluster = |name: &str, engine| {
            let deployment = watched(name, engine);
            let door = Arc::new(closed.around(deployment.clone()));
            Cluster { deployment, door }
        };
        Self {
            default: cluster(DEFAULT_CLUSTER, default),
            named: named
                .into_iter()
                .map(|(name, engine)| (name.clone(), cluster(&name, engine)))
                .collect(),
            state,
            closed,
        }
    }

    /// The deployment of the server's own records.
    pub(crate) fn state(&self) -> SharedEngine {
        self.state.clone()
    }

    /// The engine of a cluster: the one of that name, else the default.
    pub(crate) fn get(&self, name: &str) -> &SharedEngine {
        &self.named.get(name).unwrap_or(&self.default).door
    }

    /// The names of the mapped clusters.
    pub(crate) fn names(&self) -> Vec<String> {
        self.named.keys().cloned().collect()
    }

    /// Everything that is in a mapped cluster; the default for an empty name.
    pub(crate) fn whole(&self, name: &str) -> Option<SharedEngine> {
        let cluster = match name {
            "" | DEFAULT_CLUSTER => &self.default,
            name => self.named.get(name)?,
        };
        Some(cluster.deployment.clone())
    }

    /// Deployment and database of the server's own records, unless they are
    /// where the default cluster is.
    pub(crate) fn records_apart(&self) -> Option<(SharedEngine, &str)> {
        let apart = !Arc::ptr_eq(&self.state, &self.default.deployment);
        let state: SharedEngine = self.state.clone();
        apart.then(|| (state, self.closed.own()))
    }

    /// The databases that are closed to apps.
    pub(crate) fn closed(&self) -> &[String] {
        self.closed.names()
    }

    /// Whether apps may not use a database.
    pub(crate) fn is_closed(&self, database: &str) -> bool {
        self.closed.has(database)
    }

    /// How every deployment is, the one of the server's own records first.
    pub(crate) async fn health(&self) -> Vec<ClusterHealth> {
        let mut asked = vec![(String::new(), self.state.clone())];
        let default = (DEFAULT_CLUSTER, &self.default);
        let named = self
            .named
            .iter()
            .map(|(name, cluster)| (name.as_str(), cluster));
        for (name, cluster) in std::iter::once(default).chain(named) {
            let same = asked
                .iter_mut()
                .find(|(_, known)| Arc::ptr_eq(known, &cluster.deployment));
            match same {
                Some((known, _)) if known.is_empty() => name.clone_into(known),
                Some((known, _)) => {
                    known.push(' ');
                    known.push_str(name);
                }
                None => asked.push((name.to_owned(), cluster.deployment.clone())),
            }
        }
        let answers = asked.into_iter().map(|(name, deployment)| {
            tokio::spawn(async move {
                ClusterHealth {
                    name,
                    is_state: false,
                    answers: deployment.health().await.map_err(|error| error.message),
                }
            })
        });
        let answers: Vec<_> = answers.collect();
        let mut health = Vec::new();
        for answer in answers {
            // A task that is not joined is one of a runtime that ends.
            health.extend(answer.await);
        }
        if let Some(first) = health.first_mut() {
            first.is_state = true;
        }
        health
    }
}
