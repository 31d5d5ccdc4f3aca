//! The devices that users log in from, as the devices describe themselves
//! (client-api.md §2.1, admin-api.md §2.9).

use bson::{Bson, Document, doc};
use kit::{Problem, limit};

use crate::{App, new_id, stored};

/// Twenty-four zeros: the device of a client that said nothing of itself.
pub(super) const NO_DEVICE: &str = "000000000000000000000000";

/// What devices say of themselves: the SDKs' names and the Admin API's.
const SAID: [(&str, &str); 13] = [
    ("platform", "platform"),
    ("platformVersion", "platform_version"),
    ("appId", "app_id"),
    ("appVersion", "app_version"),
    ("sdk", "sdk"),
    ("sdkVersion", "sdk_version"),
    ("cpuArch", "cpu_arch"),
    ("deviceName", "device_name"),
    ("deviceVersion", "device_version"),
    ("frameworkName", "framework_name"),
    ("frameworkVersion", "framework_version"),
    ("coreVersion", "core_version"),
    ("bundleId", "bundle_id"),
];

/// What log entries have of it, and by which name.
const LOGGED: [(&str, &str); 4] = [
    ("platform", "platform"),
    ("platform_version", "platform_version"),
    ("sdk", "sdk_name"),
    ("sdk_version", "sdk_version"),
];

/// What a client says of its device.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// The id it was given before.
    id: Option<String>,
    /// Whether it described itself at all.
    described: bool,
    /// What it said, by the names of the Admin API.
    about: Document,
}

impl Device {
    /// Reads what a login says under `options.device`; what is no text there is
    /// left out, and so is what no SDK says.
    pub fn new(said: &Document) -> Self {
        let text = |name: &str| match said.get(name) {
            Some(Bson::String(text)) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let short = |text: &str| text.chars().take(limit::DEVICE_TEXT_CHARS_MAX).collect();
        Self {
            id: match said.get("deviceId") {
                Some(Bson::ObjectId(id)) => Some(id.to_hex()),
                _ => text("deviceId").map(str::to_owned),
            },
            described: !said.is_empty(),
            about: SAID
                .iter()
                .filter_map(|(theirs, ours)| {
                    let text: String = short(text(theirs)?);
                    Some(((*ours).to_owned(), Bson::String(text)))
                })
                .collect(),
        }
    }

    /// The id that it has, or gets.
    pub(super) fn id(&self) -> String {
        let is_id = |id: &&String| {
            id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()) && *id != NO_DEVICE
        };
        match self.id.as_ref().filter(is_id) {
            Some(id) => id.to_lowercase(),
            None if self.described => new_id(),
            None => NO_DEVICE.to_owned(),
        }
    }

    /// What log entries say of it.
    pub(super) fn logged(&self, details: &mut Document) {
        for (name, logged) in LOGGED {
            if let Some(said) = self.about.get(name) {
                details.insert(logged, said.clone());
            }
        }
    }
}

impl App {
    /// Remembers the device that a user logs in from, and forgets the oldest of
    /// too many.
    pub(super) async fn remember_device(
        &self,
        user_id: &str,
        device_id: &str,
        device: &Device,
        now: i64,
    ) -> Result<(), Problem> {
        if device_id == NO_DEVICE {
            return Ok(());
        }
        let devices = &self.core.state.devices;
        let record = state::Device {
            id: state::Device::id_of(user_id, device_id),
            app_id: self.id.clone(),
            user_id: user_id.to_owned(),
            device_id: device_id.to_owned(),
            about: device.about.clone(),
            last_login: now,
        };
        devices.put(&record).await.map_err(stored)?;
        let of = doc! { "user_id": user_id };
        let order = doc! { "last_login": -1, "_id": -1 };
        let old = devices.list(of, order, limit::USER_DEVICES_MAX, 0).await;
        for old in old.map_err(stored)? {
            devices.delete(&old.id).await.map_err(stored)?;
        }
        Ok(())
    }

    /// The devices that a user logged in from, the latest first.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn devices(&self, user_id: &str) -> Result<Vec<state::Device>, Problem> {
        self.user(user_id).await?;
        let of = doc! { "user_id": user_id, "app_id": &self.id };
        let order = doc! { "last_login": -1, "_id": -1 };
        let devices = self.core.state.devices.list(of, order, 0, 0).await;
        devices.map_err(stored)
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, oid::ObjectId};

    use super::{Device, NO_DEVICE};

    #[test]
    fn ids_are_kept_given_or_none() {
        let id = ObjectId::new();
        let kept = Device::new(&doc! { "deviceId": id }).id();
        assert_eq!(kept, id.to_hex());
        let kept = Device::new(&doc! { "deviceId": id.to_hex().to_uppercase() }).id();
        assert_eq!(kept, id.to_hex());
        assert_eq!(Device::new(&doc! {}).id(), NO_DEVICE);
        for said in [
            doc! { "deviceId": NO_DEVICE },
            doc! { "deviceId": "../../x" },
            doc! { "deviceId": { "$ne": "" } },
            doc! { "platform": "x" },
        ] {
            let given = Device::new(&said).id();
            assert_eq!(given.len(), 24);
            assert_ne!(given, NO_DEVICE);
        }
    }

    #[test]
    fn only_what_sdks_say_is_kept_and_not_without_end() {
        let said = doc! {
            "platform": "x".repeat(1000), "platformVersion": "14", "sdk": 5, "other": "y",
            "sdkVersion": { "$ne": "" }, "appVersion": "", "cpuArch": Bson::Null,
        };
        let device = Device::new(&said);
        assert_eq!(
            device.about,
            doc! { "platform": "x".repeat(256), "platform_version": "14" }
        );
        let mut details = doc! { "a": 1 };
        device.logged(&mut details);
        let names: Vec<&String> = details.keys().collect();
        assert_eq!(names, ["a", "platform", "platform_version"]);
    }
}
