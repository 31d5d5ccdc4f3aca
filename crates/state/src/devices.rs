//! The devices that users logged in from.

use bson::Document;
use serde::{Deserialize, Serialize};

use crate::Record;

/// A device that a user logged in from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// `<user id>/<device id>`: a device may have several users.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The user.
    pub user_id: String,
    /// The device's own id.
    pub device_id: String,
    /// What it said of itself, by the names of the Admin API.
    pub about: Document,
    /// When the user last logged in from it, in milliseconds since the Unix
    /// epoch.
    pub last_login: i64,
}

impl Record for Device {
    const TABLE: &'static str = "devices";
}

impl Device {
    /// The record's id of a user's device.
    pub fn id_of(user_id: &str, device_id: &str) -> String {
        format!("{user_id}/{device_id}")
    }
}
