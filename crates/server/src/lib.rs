//! The server: opens the engine and the core, listens, hands requests to the
//! surfaces, and stops in order.

mod listen;
mod metrics;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use app::Backstitch;
use kit::Problem;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use settings::{KeySettings, Settings};

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
    /// The first project's key pair.
    pub keys: app::administrators::KeyPair,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
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
    let listener = tokio::net::TcpListener::bind(settings.listen)
        .await
        .map_err(|error| StartError(format!("cannot listen on {}: {error}", settings.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError(error.to_string()))?;
    // A wildcard is no address that a client can use.
    let host = if address.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else if address.is_ipv6() {
        format!("[{}]", address.ip())
    } else {
        address.ip().to_string()
    };
    let (stop, stopped) = watch::channel(false);
    let surfaces = Arc::new(listen::Surfaces::new(core.clone(), settings.public_url));
    let serving = tokio::spawn(listen::serve(listener, surfaces, stopped));
    Ok(Running {
        address,
        url: format!("http://{host}:{}", address.port()),
        core,
        project_id,
        keys,
        stop,
        serving,
    })
}

impl Running {
    /// Takes no new requests and waits for those in flight.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}
