//! What rules know of a request, as it is given.

use bson::{RawDocument, RawDocumentBuf};
use rules::Expansions;

/// The expansions of a request: nothing of what is not given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `%%user`.
    pub user: RawDocumentBuf,
    /// `%%values`.
    pub values: RawDocumentBuf,
    /// `%%environment`.
    pub environment: RawDocumentBuf,
    /// `%%request`.
    pub request: RawDocumentBuf,
}

impl Given {
    /// A request of which only the user is known.
    pub fn user(user: RawDocumentBuf) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }
}

impl Expansions for Given {
    fn user(&self) -> &RawDocument {
        &self.user
    }
    fn values(&self) -> &RawDocument {
        &self.values
    }
    fn environment(&self) -> &RawDocument {
        &self.environment
    }
    fn request(&self) -> &RawDocument {
        &self.request
    }
}
