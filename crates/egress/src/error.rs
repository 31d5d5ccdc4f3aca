//! Why a request has no answer, in words for the developer of an app. No path
//! and no query of a URL is in them: those may hold secrets.

use std::time::Duration;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressError {
    /// The URL is none that is asked.
    Url(String),
    /// The host, or where it redirects to, has only addresses that the policy
    /// refuses.
    Refused(String),
    /// The host's name has no address.
    Unresolved(String),
    /// Nobody answers at the host, or its certificate is not trusted.
    Unreachable(String),
    /// The whole exchange took longer than this.
    TimedOut(Duration),
    /// The body of the answer has more bytes than this.
    TooLarge(usize),
    /// More redirects than this.
    TooManyRedirects(usize),
    /// What came is no HTTP, or broke off.
    Broken(String),
}

impl std::fmt::Display for EgressError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(why) => write!(f, "the URL cannot be used: {why}"),
            Self::Refused(host) => write!(
                f,
                "'{host}' is at an address that this server does not connect to; \
                 the server's operator can allow it"
            ),
            Self::Unresolved(host) => write!(f, "the name '{host}' has no address"),
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::TimedOut(time) => {
                write!(f, "no whole answer within {} ms", time.as_millis())
            }
            Self::TooLarge(bytes) => write!(f, "the answer has more than {bytes} bytes"),
            Self::TooManyRedirects(most) => write!(f, "more than {most} redirects"),
            Self::Broken(why) => write!(f, "the answer broke off: {why}"),
        }
    }
}

impl std::error::Error for EgressError {}
