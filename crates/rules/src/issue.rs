//! What is wrong with a rule as written.

/// One problem in a rule or schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Where, from the root of what was parsed: `roles[0].apply_when.owner`.
    pub path: String,
    /// What: the service's own words where they are known.
    pub message: String,
}

impl Issue {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}
