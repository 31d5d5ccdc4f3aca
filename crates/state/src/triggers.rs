//! How far triggers came.

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};

use crate::Record;

/// How far a trigger came: what its worker writes after each execution, and
/// reads when it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerProgress {
    /// `<app id>/<trigger id>`: an import may bring another app's ids.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// Where it goes on: a resume token. None is now.
    pub token: Option<Document>,
    /// The last execution.
    pub last: Option<Execution>,
    /// Why it does not go on by itself; none while it does.
    pub suspended: Option<String>,
}

/// An execution of a trigger that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The event's resume token, or what the event was.
    pub data: Bson,
    /// What it was about.
    pub resource_id: String,
    /// When it was over, in milliseconds since the Unix epoch.
    pub completed: i64,
    /// The cluster's time of the event, in milliseconds since the Unix epoch;
    /// none for events that no cluster has.
    pub cluster_time: Option<i64>,
}

impl Record for TriggerProgress {
    const TABLE: &'static str = "triggers";
}

impl TriggerProgress {
    /// The record's id of an app's trigger.
    pub fn id_of(app_id: &str, trigger_id: &str) -> String {
        format!("{app_id}/{trigger_id}")
    }
}
