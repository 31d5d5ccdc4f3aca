//! What a deployment is and can do: found out by asking and by trying.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use engine::{Capabilities, CommandError};
use mongodb::Client;
use mongodb::error::Error;
use mongodb::options::{ReadPreference, SelectionCriteria, ServerAddress};

use crate::error::{is_network, translate};

/// The database that trying reads from; nothing is written there.
const PROBE: &str = "backstitch";

/// The name of the engine in [`Capabilities`].
pub(crate) const ENGINE: &str = "mongodb";

/// How a deployment is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One server without a replica set: no transactions, no change feeds.
    Standalone,
    /// A replica set.
    ReplicaSet,
    /// A sharded cluster, spoken to through its routers.
    Sharded,
}

/// A deployment, as `backstitch clusters test` shows it.
#[derive(Debug, Clone)]
pub struct Description {
    /// How it is built.
    pub topology: Topology,
    /// The replica set's name.
    pub set: Option<String>,
    /// The replica set's members, else the servers of the URI.
    pub hosts: Vec<String>,
    /// `MongoDB`, or the name of a server that speaks its protocol.
    pub product: &'static str,
    /// The server's version, as it gives it.
    pub version: String,
    /// Time of one round trip.
    pub latency: Duration,
    /// What the engine can do on it.
    pub capabilities: Capabilities,
}

impl Topology {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::ReplicaSet => "replica set",
            Self::Sharded => "sharded cluster",
        }
    }
}

pub(crate) async fn describe(
    client: &Client,
    servers: &[ServerAddress],
) -> Result<Description, CommandError> {
    let admin = client.database("admin");
    let hello = admin
        .run_command(doc! { "hello": 1 })
        .await
        .map_err(|error| translate(&error))?;
    let start = Instant::now();
    admin
        .run_command(doc! { "ping": 1 })
        .await
        .map_err(|error| translate(&error))?;
    let latency = start.elapsed();
    // Some services keep it from users without a role.
    let build = match admin.run_command(doc! { "buildInfo": 1 }).await {
        Ok(build) => build,
        Err(error) if is_network(&error) => return Err(translate(&error)),
        Err(_) => Document::new(),
    };
    let topology = topology(&hello);
    let lesser = topology == Topology::Standalone;
    let capabilities = Capabilities {
        name: ENGINE,
        transactions: !lesser && can(transact(client).await)?,
        change_feeds: !lesser && can(watch(client).await)?,
    };
    Ok(Description {
        topology,
        set: hello.get_str("setName").ok().map(str::to_owned),
        hosts: hosts(&hello, servers),
        product: product(&build),
        version: build.get_str("version").unwrap_or("unknown").to_owned(),
        latency,
        capabilities,
    })
}

fn topology(hello: &Document) -> Topology {
    // A server without sessions is treated as the driver treats it.
    if !hello.contains_key("logicalSessionTimeoutMinutes") {
        Topology::Standalone
    } else if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Topology::Sharded
    } else if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    }
}

fn hosts(hello: &Document, servers: &[ServerAddress]) -> Vec<String> {
    let members: Vec<String> = ["hosts", "passives"]
        .into_iter()
        .filter_map(|name| hello.get_array(name).ok())
        .flatten()
        .filter_map(|host| host.as_str().map(str::to_owned))
        .collect();
    if members.is_empty() {
        return servers.iter().map(ToString::to_string).collect();
    }
    members
}

fn product(build: &Document) -> &'static str {
    if build.keys().any(|name| name.starts_with("ferretdb")) {
        "FerretDB"
    } else {
        "MongoDB"
    }
}

/// What a try says: a refusal for want of a privilege or of a database does
/// not mean that the server cannot.
fn can(tried: Result<(), Error>) -> Result<bool, CommandError> {
    let Err(error) = tried else {
        return Ok(true);
    };
    let translated = translate(&error);
    match translated.code {
        6 | 7 | 18 | 89 | 133 => Err(translated),
        8000 | 13 | 26 => Ok(true),
        _ => Ok(false),
    }
}

async fn transact(client: &Client) -> Result<(), Error> {
    let mut session = client.start_session().await?;
    session
        .start_transaction()
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .await?;
    let found = client
        .database(PROBE)
        .run_command(doc! { "find": "probe", "limit": 1, "singleBatch": true })
        .session(&mut session)
        .await;
    session.abort_transaction().await?;
    found.map(drop)
}

async fn watch(client: &Client) -> Result<(), Error> {
    let stream = doc! { "$changeStream": { "allChangesForCluster": true } };
    let command = doc! { "aggregate": 1, "pipeline": [stream], "cursor": { "batchSize": 0 } };
    client
        .database("admin")
        .run_cursor_command(command)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::{Topology, product, topology};

    #[test]
    fn a_topology_is_read_from_hello() {
        let sessions = "logicalSessionTimeoutMinutes";
        for (hello, expected) in [
            (doc! { sessions: 30, "setName": "r" }, Topology::ReplicaSet),
            (doc! { sessions: 30, "msg": "isdbgrid" }, Topology::Sharded),
            (doc! { sessions: 30 }, Topology::Standalone),
            (doc! { "setName": "r" }, Topology::Standalone),
        ] {
            assert_eq!(topology(&hello), expected, "{hello}");
        }
        assert_eq!(
            product(&doc! { "ferretdb": { "version": "2" } }),
            "FerretDB"
        );
        assert_eq!(product(&doc! { "version": "8.0.4" }), "MongoDB");
    }
}
