//! Errors with MongoDB's codes.

/// An error with MongoDB's number and text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MqlError {
    /// MongoDB's error code.
    pub code: i32,
    /// MongoDB's text.
    pub message: String,
}

impl MqlError {
    /// An error with `code` and `message`.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// `BadValue` (2).
    pub fn bad_value(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// `FailedToParse` (9).
    pub fn failed_to_parse(message: impl Into<String>) -> Self {
        Self::new(9, message)
    }

    /// `TypeMismatch` (14).
    pub fn type_mismatch(message: impl Into<String>) -> Self {
        Self::new(14, message)
    }
}

/// The result of parsing or evaluating.
pub type Result<T> = std::result::Result<T, MqlError>;

/// Refuses input nested deeper than the limit (`Overflow`, 15).
pub(crate) fn guard(depth: usize) -> Result<()> {
    if depth > kit::limit::NESTING_DEPTH_MAX {
        return Err(MqlError::new(15, "exceeded the maximum nesting depth"));
    }
    Ok(())
}
