//! Why a request has no answer, in words for the developer of an app. No path
//! and no query of a URL is in them: those may hold secrets.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustls::CertificateError;

/// Why a request has no answer, or a connection no more bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressError {
    /// The URL is none that is asked.
    Url(String),
    /// The host, or where it redirects to, has only addresses that the policy
    /// refuses, or is none that the app may turn to.
    Refused(String),
    /// The host's name has no address.
    Unresolved(String),
    /// Nobody answers at the host, or its certificate is not trusted.
    Unreachable {
        /// In words.
        why: String,
        /// As Node names it, such as `ECONNREFUSED`.
        code: &'static str,
    },
    /// The whole exchange took longer than this.
    TimedOut(Duration),
    /// The body of the answer has more bytes than this.
    TooLarge(usize),
    /// More redirects than this.
    TooManyRedirects(usize),
    /// What came is no HTTP, or broke off.
    Broken {
        /// In words.
        why: String,
        /// As Node names it, such as `ECONNRESET`.
        code: &'static str,
    },
    /// As many connections are open as there may be.
    TooManyConnections,
}

impl EgressError {
    /// The name that Node's network modules have for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "ERR_INVALID_URL",
            Self::Refused(_) => "EACCES",
            Self::Unresolved(_) => "ENOTFOUND",
            Self::TimedOut(_) => "ETIMEDOUT",
            Self::TooLarge(_) => "ERR_RESPONSE_TOO_LARGE",
            Self::TooManyRedirects(_) => "ERR_FR_TOO_MANY_REDIRECTS",
            Self::Unreachable { code, .. } | Self::Broken { code, .. } => code,
            Self::TooManyConnections => "EMFILE",
        }
    }

    /// A connection that could not be made.
    pub(crate) fn unreachable(host: &str, error: &io::Error) -> Self {
        Self::Unreachable {
            why: format!("'{host}': {error}"),
            code: code_of(error),
        }
    }

    /// A connection that broke off.
    pub(crate) fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        let (why, code) = bottom(error);
        Self::Broken { why, code }
    }

    /// What the client of HTTP failed with.
    pub(crate) fn of_client(error: &hyper_util::client::legacy::Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(at) = source {
            if let Some(ours) = at.downcast_ref::<Self>() {
                return ours.clone();
            }
            source = at.source();
        }
        let (why, code) = bottom(error);
        if error.is_connect() {
            Self::Unreachable { why, code }
        } else {
            Self::Broken { why, code }
        }
    }
}

/// What is at the bottom of an error, and Node's name for it.
fn bottom(error: &(dyn std::error::Error + 'static)) -> (String, &'static str) {
    let mut at = error;
    let mut code = "EPROTO";
    loop {
        if let Some(io) = at.downcast_ref::<io::Error>() {
            code = code_of(io);
        } else if let Some(tls) = at.downcast_ref::<rustls::Error>() {
            code = code_of_tls(tls);
        } else if let Some(http) = at.downcast_ref::<hyper::Error>() {
            if http.is_parse() {
                code = "HPE_INVALID_CONSTANT";
            } else if http.is_incomplete_message() || http.is_closed() || http.is_canceled() {
                code = "ECONNRESET";
            }
        }
        match at.source() {
            Some(below) => at = below,
            None => return (at.to_string(), code),
        }
    }
}

fn code_of(error: &io::Error) -> &'static str {
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return code_of_tls(tls);
        }
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return code_of(io);
        }
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "ECONNREFUSED",
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => {
            "ECONNRESET"
        }
        ErrorKind::TimedOut => "ETIMEDOUT",
        ErrorKind::HostUnreachable => "EHOSTUNREACH",
        ErrorKind::NetworkUnreachable => "ENETUNREACH",
        ErrorKind::BrokenPipe | ErrorKind::NotConnected | ErrorKind::WriteZero => "EPIPE",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        _ => "EPROTO",
    }
}

fn code_of_tls(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(why) = error else {
        return "EPROTO";
    };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "CERT_HAS_EXPIRED",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "CERT_NOT_YET_VALID"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "ERR_TLS_CERT_ALTNAME_INVALID"
        }
        CertificateError::Revoked => "CERT_REVOKED",
        CertificateError::BadSignature => "CERT_SIGNATURE_FAILURE",
        CertificateError::UnknownIssuer => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        _ => "CERT_UNTRUSTED",
    }
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
            Self::Unreachable { why, .. } => write!(f, "no connection: {why}"),
            Self::TimedOut(time) => {
                write!(f, "no whole answer within {} ms", time.as_millis())
            }
            Self::TooLarge(bytes) => write!(f, "the answer has more than {bytes} bytes"),
            Self::TooManyRedirects(most) => write!(f, "more than {most} redirects"),
            Self::Broken { why, .. } => write!(f, "the answer broke off: {why}"),
            Self::TooManyConnections => f.write_str("too many connections are open"),
        }
    }
}

impl std::error::Error for EgressError {}
