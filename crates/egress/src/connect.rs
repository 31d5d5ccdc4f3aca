//! Connections: a host's addresses, those that the policy permits, and the
//! first of them that answers. Names are resolved here and nowhere later, so
//! that what was permitted is what is connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::Service;

use crate::{EgressError, Policy};

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long one of them may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// Names that are resolved at once; each takes a thread.
const LOOKUPS_MAX: usize = 64;

/// What resolving a name comes to.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// The addresses of `name`, which is no address itself.
    fn resolve(&self, name: &str) -> Resolving;
}

/// The machine's own resolver.
pub(crate) struct System(Arc<Semaphore>);

impl System {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_MAX)))
    }
}

impl Resolve for System {
    fn resolve(&self, name: &str) -> Resolving {
        let (turns, name) = (self.0.clone(), name.to_owned());
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own: the thread is busy until the system answers,
            // whether or not somebody still waits.
            let found = tokio::spawn(async move {
                let _turn = turn;
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            });
            found.await.map_err(io::Error::other)?
        })
    }
}

/// What a host's name is.
enum Named {
    Addresses(Vec<IpAddr>),
    /// A name for the resolver, in ASCII.
    Name(String),
    /// No name that has addresses.
    Nothing,
}

/// What is an address in any of its spellings is none that servers of names are
/// asked for; nor are the names that have one meaning everywhere (RFC 6761).
fn named(host: &str) -> Named {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Named::Addresses(vec![address]);
    }
    let name = match url::Host::parse(host) {
        Ok(url::Host::Ipv4(address)) => return Named::Addresses(vec![address.into()]),
        Ok(url::Host::Ipv6(address)) => return Named::Addresses(vec![address.into()]),
        Ok(url::Host::Domain(name)) => name,
        Err(_) => return Named::Nothing,
    };
    let bare = name.strip_suffix('.').unwrap_or(&name);
    let below = |top: &str| bare == top || bare.ends_with(&format!(".{top}"));
    if below("localhost") {
        Named::Addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    } else if below("invalid") {
        Named::Nothing
    } else {
        Named::Name(name)
    }
}

/// Connects to hosts that the policy permits.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) policy: Arc<Policy>,
    pub(crate) resolver: Arc<dyn Resolve>,
}

impl Connector {
    async fn of_url(self, uri: Uri) -> Result<TokioIo<TcpStream>, EgressError> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        self.tcp(host, port).await.map(TokioIo::new)
    }

    /// The addresses of a host that are connected to, of which there is at least
    /// one.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        if !self.policy.permits_host(host) {
            return Err(EgressError::Refused(host.to_owned()));
        }
        let unresolved = || EgressError::Unresolved(host.to_owned());
        let found = match named(host) {
            Named::Addresses(addresses) => addresses,
            Named::Nothing => return Err(unresolved()),
            Named::Name(name) => match self.resolver.resolve(&name).await {
                Ok(found) if !found.is_empty() => found,
                _ => return Err(unresolved()),
            },
        };
        let permitted: Vec<IpAddr> = found
            .into_iter()
            .filter(|address| self.policy.permits(*address))
            .take(ADDRESSES_MAX)
            .collect();
        if permitted.is_empty() {
            return Err(EgressError::Refused(host.to_owned()));
        }
        Ok(permitted)
    }

    /// A connection to the first address of a host that answers.
    pub(crate) async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, EgressError> {
        let mut failed = EgressError::Refused(host.to_owned());
        for address in self.addresses(host).await? {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match tokio::time::timeout(SILENCE, connecting).await {
                Ok(Ok(stream)) => {
                    // Requests are written whole; waiting to fill packets only
                    // adds time.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = EgressError::unreachable(host, &error),
                Err(_) => {
                    failed = EgressError::Unreachable {
                        why: format!("'{host}' does not answer"),
                        code: "ETIMEDOUT",
                    };
                }
            }
        }
        Err(failed)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().of_url(uri))
    }
}
