//! What the server sends to other machines, and to which: requests of HTTP and
//! bytes of TCP and TLS, to addresses of the public internet, and to those that
//! the operator names.
//!
//! URLs come from the configuration of apps and, by way of functions, from
//! their users; the machines around the server trust it more than they trust
//! those. So the policy is asked about each address that is connected to, after
//! names are resolved and after each redirect.

mod body;
mod connect;
mod connection;
mod error;
mod http;
mod mail;
mod policy;
mod tls;

use std::collections::BTreeMap;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use body::{Upload, Uploaded, upload};
pub use connect::{Resolve, Resolving};
pub use connection::{Connection, Secured};
pub use error::EgressError;
pub use http::{Answer, Chunk, Exchange, Http, Limits, Patience, Request, Response, Session};
pub use mail::{Letter, Mail, MailError};
pub use policy::{HostPattern, Policy};
pub use tls::{Identity, Roots, Tls};

/// What the operator says of requests that leave the server.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Special networks (private ones, this machine) that are reached all the
    /// same.
    pub allowed: Vec<kit::Network>,
    /// Certificates that are trusted beside those of the system.
    pub roots: Roots,
    /// What else holds for functions of single apps, by client app id.
    pub apps: BTreeMap<String, AppRules>,
}

/// What holds for functions of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppRules {
    /// Special networks that are reached by it too.
    pub allowed: Vec<kit::Network>,
    /// The hosts that it turns to; any if there are none.
    pub only: Vec<HostPattern>,
}
