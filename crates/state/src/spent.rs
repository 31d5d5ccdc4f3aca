//! What counts once, and has.

use serde::{Deserialize, Serialize};

use crate::Record;

/// A login by way of a provider's page that was completed: what the browser
/// brought from there counts no second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentFlow {
    /// The digest of its sealed state.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the state runs out by itself, in milliseconds since the Unix epoch;
    /// the record is not needed after it.
    pub expires: i64,
}

impl Record for SpentFlow {
    const TABLE: &'static str = "spent_flows";
}
