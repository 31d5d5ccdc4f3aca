//! Errors with MongoDB's codes, names and labels.

use bson::{RawDocument, RawDocumentBuf};

/// A refused command, as MongoDB reports it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// MongoDB's error code.
    pub code: i32,
    /// MongoDB's text.
    pub message: String,
    /// Labels such as `TransientTransactionError`.
    pub labels: Vec<String>,
    /// The index of the write that failed, for errors of single writes.
    pub index: Option<usize>,
    /// What the write error says besides (`keyPattern`, `keyValue`).
    pub details: Option<RawDocumentBuf>,
}

impl CommandError {
    /// An error with `code` and `message`.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: Vec::new(),
            index: None,
            details: None,
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.labels.push(label.to_owned());
        self
    }

    /// `BadValue` (2).
    pub fn bad_value(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// `BSONObjectTooLarge` (10334).
    pub fn too_large(bytes: usize, most: usize) -> Self {
        Self::new(
            10334,
            format!("BSONObj size: {bytes} is invalid. Size must be between 0 and {most}"),
        )
    }

    /// `WriteConflict` (112), which a transaction may be retried on.
    pub fn write_conflict() -> Self {
        Self::new(
            112,
            "WriteConflict error: this operation conflicted with another operation. Please retry \
             your operation or multi-document transaction.",
        )
        .label("TransientTransactionError")
    }

    /// Whether it is a duplicate key (11000).
    pub fn is_duplicate_key(&self) -> bool {
        self.code == 11000
    }

    /// Whether the whole transaction may be tried again.
    pub fn is_transient(&self) -> bool {
        self.labels
            .iter()
            .any(|label| label == "TransientTransactionError")
    }

    /// Whether no server could be reached that takes the command: the deployment
    /// is away, has no primary for now, or lets us not in.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.code,
            6 | 7 | 18 | 89 | 91 | 133 | 189 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436
        )
    }

    /// Whether a commit may or may not have happened; asking again tells.
    pub fn is_outcome_unknown(&self) -> bool {
        self.labels
            .iter()
            .any(|label| label == "UnknownTransactionCommitResult")
    }

    /// MongoDB's name of the code.
    pub fn code_name(&self) -> &'static str {
        match self.code {
            1 => "InternalError",
            2 => "BadValue",
            6 => "HostUnreachable",
            7 => "HostNotFound",
            8 => "UnknownError",
            9 => "FailedToParse",
            13 => "Unauthorized",
            14 => "TypeMismatch",
            15 => "Overflow",
            17 => "ProtocolError",
            18 => "AuthenticationFailed",
            20 => "IllegalOperation",
            22 => "InvalidBSON",
            26 => "NamespaceNotFound",
            27 => "IndexNotFound",
            28 => "PathNotViable",
            40 => "ConflictingUpdateOperators",
            43 => "CursorNotFound",
            47 => "NoMatchingDocument",
            48 => "NamespaceExists",
            50 => "MaxTimeMSExpired",
            52 => "DollarPrefixedFieldName",
            53 => "InvalidIdField",
            54 => "NotSingleValueField",
            56 => "EmptyFieldName",
            59 => "CommandNotFound",
            64 => "WriteConcernFailed",
            66 => "ImmutableField",
            67 => "CannotCreateIndex",
            72 => "InvalidOptions",
            73 => "InvalidNamespace",
            85 => "IndexOptionsConflict",
            86 => "IndexKeySpecsConflict",
            89 => "NetworkTimeout",
            91 => "ShutdownInProgress",
            112 => "WriteConflict",
            115 => "CommandNotSupported",
            117 => "ConflictingOperationInProgress",
            133 => "FailedToSatisfyReadPreference",
            140 => "InvalidSSLConfiguration",
            188 => "IncompatibleServerVersion",
            189 => "PrimarySteppedDown",
            217 => "IncompleteTransactionHistory",
            225 => "TransactionTooOld",
            246 => "SnapshotUnavailable",
            251 => "NoSuchTransaction",
            256 => "TransactionCommitted",
            257 => "TransactionTooLarge",
            260 => "InvalidResumeToken",
            261 => "TooManyLogicalSessions",
            262 => "ExceededTimeLimit",
            263 => "OperationNotSupportedInTransaction",
            280 => "ChangeStreamFatalError",
            286 => "ChangeStreamHistoryLost",
            292 => "QueryExceededMemoryLimitNoDiskUseAllowed",
            50768 => "NotARetryableWriteCommand",
            9001 => "SocketException",
            10107 => "NotWritablePrimary",
            10334 => "BSONObjectTooLarge",
            11000 => "DuplicateKey",
            11600 => "InterruptedAtShutdown",
            11602 => "InterruptedDueToReplStateChange",
            12051 => "CursorInUse",
            13435 => "NotPrimaryNoSecondaryOk",
            13436 => "NotPrimaryOrSecondary",
            code if code > 10_000 => "Location",
            _ => "UnknownError",
        }
    }

    /// The first write error of a reply, if it has one.
    pub fn first_write_error(reply: &RawDocument) -> Option<Self> {
        Self::write_errors(reply).next()
    }

    /// The write errors of a reply.
    pub(crate) fn write_errors(reply: &RawDocument) -> impl Iterator<Item = Self> {
        let errors = reply.get_array("writeErrors").ok();
        errors.into_iter().flatten().filter_map(|error| {
            let error = error.ok()?;
            let of = error.as_document()?;
            let mut error = Self::new(
                of.get_i32("code").unwrap_or(8),
                of.get_str("errmsg").unwrap_or_default(),
            );
            error.index = of.get_i32("index").ok().and_then(|n| n.try_into().ok());
            Some(error)
        })
    }
}

impl From<bson::error::Error> for CommandError {
    fn from(error: bson::error::Error) -> Self {
        Self::new(22, format!("invalid BSON: {error}"))
    }
}
