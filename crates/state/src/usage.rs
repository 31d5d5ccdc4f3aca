//! What apps used: counts by hour, and by minute while they are young.

use bson::Document;
use serde::{Deserialize, Serialize};

use crate::Record;

/// What an app used in one hour. Servers that share the records add to the same
/// one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HourOfUse {
    /// `<app id>/<hour>`.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app; it may be gone.
    pub app_id: String,
    /// The app's project.
    pub project_id: String,
    /// When the hour began, in milliseconds since the Unix epoch.
    pub hour: i64,
    /// Numbers by name, in documents by area.
    #[serde(default)]
    pub used: Document,
}

/// The minutes of an hour in which an app was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinutesOfUse {
    /// `<app id>/<hour>`.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The app's project.
    pub project_id: String,
    /// When the hour began, in milliseconds since the Unix epoch.
    pub hour: i64,
    /// As of an hour, in documents by the minute's number: `m0` to `m59`.
    #[serde(default)]
    pub minutes: Document,
    /// Whether the hour was summed up since they last changed.
    #[serde(default)]
    pub summed: bool,
}

impl Record for HourOfUse {
    const TABLE: &'static str = "usage_hours";
}

impl Record for MinutesOfUse {
    const TABLE: &'static str = "usage_minutes";
}
