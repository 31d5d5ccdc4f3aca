//! What the server sends to other machines, and to which: requests of HTTP to
//! addresses of the public internet, and to those that the operator names.
//!
//! URLs come from the configuration of apps and, by way of functions, from
//! their users; the machines around the server trust it more than they trust
//! those. So the policy is asked about each address that is connected to, after
//! names are resolved and after each redirect.

mod connect;
mod error;
mod http;
mod mail;
mod policy;
mod tls;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use connect::{Resolve, Resolving};
pub use error::EgressError;
pub use http::{Http, Limits, Request, Response};
pub use mail::{Letter, Mail, MailError};
pub use policy::Policy;
pub use tls::Roots;

/// What the operator says of requests that leave the server.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Special networks (private ones, this machine) that are reached all the
    /// same.
    pub allowed: Vec<kit::Network>,
    /// Certificates that are trusted beside those of the system.
    pub roots: Roots,
}
