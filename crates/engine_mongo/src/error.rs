//! The driver's errors as MongoDB's: code, text and labels.
//!
//! A server's own answer passes as it is. What the driver or the network says
//! gets the code that MongoDB's own routers and shells use for it.

use std::io;

use bson::{RawDocument, RawDocumentBuf};
use engine::CommandError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

/// Codes after which a read, or a write with a number, may be sent again: the
/// server was stepping down, shutting down or not reachable.
const RETRY_CODES: &[i32] = &[
    6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
];

/// Fields of an error reply that [`CommandError`] has a place for, or that
/// concern servers and drivers only.
const KNOWN_FIELDS: &[&str] = &[
    "ok",
    "code",
    "codeName",
    "errmsg",
    "errorLabels",
    "$clusterTime",
    "operationTime",
    "topologyVersion",
    "$configServerState",
    "$gleStats",
    "lastCommittedOpTime",
];

pub(crate) fn translate(error: &Error) -> CommandError {
    let (code, message) = match error.kind.as_ref() {
        ErrorKind::Command(error) => (error.code, error.message.clone()),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            (error.code, error.message.clone())
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => (error.code, error.message.clone()),
        ErrorKind::Authentication { message, .. } => {
            (18, format!("Authentication failed: {message}"))
        }
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            (89, "the database did not answer in time".to_owned())
        }
        ErrorKind::Io(error) => (6, format!("the connection to the database broke: {error}")),
        ErrorKind::ConnectionPoolCleared { message, .. } => (6, message.clone()),
        ErrorKind::ServerSelection { message, .. } => (133, message.clone()),
        ErrorKind::DnsResolve { message, .. } => (7, message.clone()),
        ErrorKind::InvalidTlsConfig { message, .. } => (140, message.clone()),
        ErrorKind::Bson(error) => (22, format!("invalid BSON: {error}")),
        ErrorKind::InvalidResponse { message, .. } => (17, message.clone()),
        ErrorKind::IncompatibleServer { message, .. } => (188, message.clone()),
        ErrorKind::SessionsNotSupported => (
            20,
            "Transaction numbers are only allowed on a replica set member or mongos".to_owned(),
        ),
        ErrorKind::Transaction { message, .. } if message.contains("not supported") => (
            20,
            "Transaction numbers are only allowed on a replica set member or mongos".to_owned(),
        ),
        ErrorKind::Transaction { message, .. } => (251, message.clone()),
        ErrorKind::InvalidArgument { message, .. } => (2, message.clone()),
        ErrorKind::MissingResumeToken => (
            280,
            "the pipeline removed the resume token (_id) of a change event".to_owned(),
        ),
        ErrorKind::Shutdown => (91, "the database client is closed".to_owned()),
        other => (1, other.to_string()),
    };
    let mut translated = CommandError::new(code, message);
    translated.labels = error.labels().iter().cloned().collect();
    translated.labels.sort();
    translated.details = error.server_response().and_then(|reply| details(reply));
    translated
}

/// What an error reply says besides, such as `keyPattern` and `errInfo`.
fn details(reply: &RawDocument) -> Option<RawDocumentBuf> {
    let mut details = RawDocumentBuf::new();
    for field in reply {
        let (name, value) = field.ok()?;
        if !KNOWN_FIELDS.contains(&name.as_str()) {
            details.append(name, value);
        }
    }
    (details.iter().next().is_some()).then_some(details)
}

/// Whether the connection was lost or never came about.
pub(crate) fn is_network(error: &Error) -> bool {
    matches!(
        error.kind.as_ref(),
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }
    )
}

/// Whether the same command may succeed on another try.
pub(crate) fn is_retryable(error: &Error) -> bool {
    is_network(error)
        || error.contains_label(mongodb::error::RETRYABLE_WRITE_ERROR)
        || matches!(error.kind.as_ref(), ErrorKind::Command(error) if RETRY_CODES.contains(&error.code))
}

/// No reply within the time that we wait for one.
pub(crate) fn timed_out() -> CommandError {
    CommandError::new(89, "the database did not answer in time")
}
