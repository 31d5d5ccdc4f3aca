//! The server: opens the engine and the core, listens, hands requests to the
//! surfaces, and stops in order.

mod archives;
mod clusters;
mod intake;
mod listen;
mod metrics;
mod operator;
mod peer;
mod route;
mod settings;
mod stall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use app::Backstitch;
use kit::Problem;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use clusters::{ClusterSettings, Listed, Tried};
pub use engine_embedded::{Durability, Options as EmbeddedOptions, Retention};
pub use kit::Network;
pub use operator::Operator;
pub use settings::{Kept, KeySettings, Settings, kept};
pub use state::DATABASE as STATE_DATABASE;

/// Where and how requests are taken.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The address of the public door.
    pub listen: SocketAddr,
    /// The address of a door of its own for `/metrics`, for machines that
    /// collect numbers; on the public door `/metrics` is for administrators.
    pub metrics_listen: Option<SocketAddr>,
    /// The URL by which clients reach the server; their `Host` header unless
    /// set.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed. None
    /// by default: any client can send these headers, and would choose the
    /// address that logs and rules (`%%request.remoteIPAddress`) see.
    pub trusted_proxies: Vec<Network>,
    /// How long clients may take.
    pub patience: Patience,
}

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a request's head, and between two requests.
    pub head: Duration,
    /// For a request's body, before it has to keep a pace.
    pub body: Duration,
    /// For one write of an answer to get on.
    pub write: Duration,
    /// For requests in flight when the server stops.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            stop: Duration::from_secs(30),
        }
    }
}

/// Where a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Public,
    Metrics,
}

/// A server that takes requests.
pub struct Listener {
    /// Its address.
    pub address: SocketAddr,
    /// The address of the metrics' own door.
    pub metrics_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
}

/// A running server.
pub struct Running {
    /// Its address.
    pub address: SocketAddr,
    /// The URL by which clients on this machine reach it.
    pub url: String,
    /// The core, for those who run beside it.
    pub core: Arc<Backstitch>,
    /// The project that was made or found at start.
    pub project_id: String,
    /// The operator's key pair; none when another server made the first one.
    pub keys: Option<app::administrators::KeyPair>,
    listener: Listener,
}

/// Why a server does not start.
#[derive(Debug)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self(problem.to_string())
    }
}

/// Starts a server. When it returns, requests are answered.
///
/// # Errors
/// When the data directory or the address cannot be used.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let (core, project_id, keys) = settings::open(&settings).await?;
    let listener = listen(core.clone(), &settings.listening).await?;
    let address = listener.address;
    let url = url_here(address);
    settings::keep_url(&settings.data_dir, &url)
        .map_err(|error| StartError(format!("{}: {error}", settings.data_dir.display())))?;
    Ok(Running {
        address,
        url,
        core,
        project_id,
        keys,
        listener,
    })
}

/// Lets this process open as many files as it may: the usual soft limit of 1,024
/// is for programs that `select`, and each connection is one.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Takes requests for a core. When it returns, they are answered.
///
/// # Errors
/// When an address cannot be used.
pub async fn listen(core: Arc<Backstitch>, listening: &Listening) -> Result<Listener, StartError> {
    raise_open_files();
    let (public, address) = bind(listening.listen).await?;
    let metrics = match listening.metrics_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let metrics_address = metrics.as_ref().map(|(_, address)| *address);
    let here = url_here(address);
    // Who can only be reached at one address is reached there.
    let only = (!address.ip().is_unspecified()).then_some(&*here);
    let public_url = listening.public_url.as_deref().or(only);
    core.reached_at(public_url, &here);
    let surfaces = Arc::new(route::Surfaces::new(core, listening));
    let (stop, stopped) = watch::channel(false);
    let doors = [
        (Door::Public, Some(public)),
        (Door::Metrics, metrics.map(|(listener, _)| listener)),
    ];
    let serving = doors
        .into_iter()
        .filter_map(|(door, listener)| {
            let (surfaces, stopped) = (surfaces.clone(), stopped.clone());
            let serve = listen::serve(listener?, door, surfaces, listening.patience, stopped);
            Some(tokio::spawn(serve))
        })
        .collect();
    Ok(Listener {
        address,
        metrics_address,
        stop,
        serving,
    })
}

/// The URL by which clients on this machine reach an address that is listened on.
fn url_here(address: SocketAddr) -> String {
    // A wildcard is no address that a client can use.
    let host = if address.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else if address.is_ipv6() {
        format!("[{}]", address.ip())
    } else {
        address.ip().to_string()
    };
    format!("http://{host}:{}", address.port())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error: std::io::Error| StartError(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Listener {
    /// Takes no new requests and waits for those in flight.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        for serving in self.serving {
            let _ = serving.await;
        }
    }
}

impl Running {
    /// Takes no new requests and waits for those in flight, for the log and for
    /// the meters.
    pub async fn shutdown(self) {
        self.listener.shutdown().await;
        self.core.logbook.written().await;
        if let Err(problem) = self.core.meters.write().await {
            tracing::warn!(%problem, "the last of what apps used is lost");
        }
    }
}
