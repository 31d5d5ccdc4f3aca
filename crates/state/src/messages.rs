//! Push notifications that administrators wrote.

use serde::{Deserialize, Serialize};

use crate::Record;

/// A push notification. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// What administrators call it.
    pub label: String,
    /// Its text.
    pub message: String,
    /// Whom it goes to.
    pub topic: String,
    /// When it was written.
    pub created: i64,
    /// When it was sent; none for a draft.
    pub sent: Option<i64>,
}

impl Record for Message {
    const TABLE: &'static str = "messages";
}
