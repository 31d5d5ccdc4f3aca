//! The one error type from `app` upwards.

use std::borrow::Cow;
use std::fmt;

/// Whose move it is. Status codes derive from it in exactly one function
/// (`web::problem::status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong: the caller changes it.
    Invalid,
    /// There is no such thing, or the caller may not see it.
    NotFound,
    /// It clashes with the present state.
    Conflict,
    /// The caller has to log in (again).
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// The body or result is over a size limit.
    TooLarge,
    /// Too many requests: the caller waits.
    Limited,
    /// The server cannot serve now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// An error as a surface shows it.
///
/// `code` is the wire's `error_code` (client-api.md §6; empty = the service
/// sends none), `message` may be shown to the caller, `because` is for the log
/// only and is never sent.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Whose move it is.
    pub kind: Kind,
    /// The wire's `error_code`; empty when the service sends none.
    pub code: Cow<'static, str>,
    /// Text for the caller.
    pub message: String,
    /// Cause for the operator; logged once, never sent.
    pub because: Option<String>,
    /// Seconds that the caller is asked to wait for, if that is known.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem of `kind` with the wire's `code` and a text for the caller.
    pub fn new(kind: Kind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            because: None,
            retry_after_s: None,
        }
    }

    /// Adds the cause that the log will show.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.because = Some(cause.to_string());
        self
    }

    /// Adds how many seconds the caller should wait for.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// `BadRequest`, 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "BadRequest", message)
    }

    /// `InvalidParameter`, 400.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "InvalidParameter", message)
    }

    /// `MissingParameter`, 400.
    pub fn missing_parameter(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "MissingParameter", message)
    }

    /// `InvalidSession`, 401: SDKs refresh their access token on it.
    pub fn invalid_session(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, "InvalidSession", message)
    }

    /// `AuthError` "unauthorized", 401.
    pub fn unauthorized() -> Self {
        Self::new(Kind::Unauthenticated, "AuthError", "unauthorized")
    }

    /// `InternalServerError`, 500; the caller learns nothing more.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Kind::Internal,
            "InternalServerError",
            "error processing request",
        )
        .because(cause)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(because) = &self.because {
            write!(f, " (because: {because})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
