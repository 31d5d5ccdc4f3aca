//! The records. Times are milliseconds since the Unix epoch, ids 24 hex digits
//! unless said otherwise.

use bson::Document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A type that a table keeps.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The collection's name.
    const TABLE: &'static str;
}

macro_rules! tables {
    ($($record:ty => $name:literal),* $(,)?) => {
        $(impl Record for $record { const TABLE: &'static str = $name; })*
    };
}

tables! {
    Project => "projects", AdminKey => "admin_keys", AdminSession => "admin_sessions",
    App => "apps", Revision => "revisions", Blob => "blobs", Deployment => "deployments",
    Secret => "secrets", User => "users", Password => "passwords", Session => "sessions",
    ApiKey => "api_keys", LogChunk => "logs", Agreement => "agreements", Lease => "leases",
}

/// A project: what the service called a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: i64,
}

/// A programmatic key pair of an administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminKey {
    /// Its id, which is the administrator's user id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The project it opens.
    pub project_id: String,
    /// The public half.
    pub public_key: String,
    /// Digest of the private half.
    pub private_digest: String,
    /// `GROUP_OWNER` or `GROUP_READ_ONLY`.
    pub role: String,
    /// Whether it is the server operator's: it may make and remove projects.
    #[serde(default)]
    pub operator: bool,
}

/// A session of an administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminSession {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The key that it began with.
    pub key_id: String,
    /// When it began.
    pub created: i64,
}

/// A node's id, beside the configuration.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct NodeId {
    /// The kind's noun.
    pub kind: String,
    /// The node's key.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When the node last changed.
    #[serde(default)]
    pub modified: i64,
}

/// An app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// What clients call it.
    pub client_app_id: String,
    /// Its name.
    pub name: String,
    /// `standard`, `atlas`, `data-api` or `device-sync`.
    pub product: String,
    /// The domain that tokens name.
    pub domain_id: String,
    /// The key that signs users' tokens, sealed.
    #[serde(with = "binary")]
    pub signing_key: Vec<u8>,
    /// The live revision; compared and set.
    pub live: String,
    /// Ids of the live configuration's nodes.
    pub ids: Vec<NodeId>,
    /// When it was made.
    pub created: i64,
}

/// A configuration at rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revision {
    /// The hash of its manifest and app.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// The revision it was made from; empty for the first.
    pub parent: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub at: i64,
    /// Its files.
    pub files: Vec<RevisionFile>,
}

/// A file of a revision.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct RevisionFile {
    /// Its path.
    pub path: String,
    /// Its content's hash.
    pub hash: String,
}

/// A file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blob {
    /// Its hash.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its bytes.
    #[serde(with = "binary")]
    pub bytes: Vec<u8>,
}

/// That a revision went live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// The revision.
    pub revision: String,
    /// Who deployed.
    pub user_id: String,
    /// When.
    pub at: i64,
    /// `UI`, `CLI` or `API`.
    pub origin: String,
    /// `successful` or `failed`.
    pub status: String,
    /// Why it failed.
    pub error: String,
}

/// A secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// Its value, sealed.
    #[serde(with = "binary")]
    pub sealed: Vec<u8>,
}

/// One way in which a user logs in.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Identity {
    /// Its id, as the provider knows it.
    pub id: String,
    /// The provider's type.
    pub provider_type: String,
    /// The provider's id.
    pub provider_id: String,
    /// What the provider told.
    pub data: Document,
}

/// A user of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// The id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// `normal` or `server`.
    pub kind: String,
    /// The identities, oldest first.
    pub identities: Vec<Identity>,
    /// `type:id` of each identity: unique in the app.
    pub keys: Vec<String>,
    /// Whether an administrator disabled the user.
    pub disabled: bool,
    /// When the user first logged in.
    pub created: i64,
    /// When the user last logged in.
    pub last_login: i64,
}

/// An email/password account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Password {
    /// The identity's id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The user name.
    pub email: String,
    /// The password's hash in PHC form.
    pub hash: String,
    /// Whether the address is confirmed.
    pub confirmed: bool,
    /// When it was registered.
    pub created: i64,
}

/// A user's session: what a refresh token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The user.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// The provider it began with.
    pub provider_type: String,
    /// When it began.
    pub created: i64,
    /// When it ends.
    pub expires: i64,
    /// Whether an administrator ended it: it gives no new access tokens, while
    /// those that it gave live on.
    #[serde(default)]
    pub revoked: bool,
}

/// An API key of a user or of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The owner; empty for a server's key.
    pub user_id: String,
    /// Its name.
    pub name: String,
    /// Digest of the key.
    pub hash: String,
    /// Whether it is turned off.
    pub disabled: bool,
}

/// Log entries of an app that were written together. One record for many makes
/// a call's entry cost little.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogChunk {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the earliest of its entries began.
    pub from: i64,
    /// When the latest of its entries began.
    pub to: i64,
    /// The entries, in the order in which they were added.
    pub entries: Vec<LogEntry>,
}

/// A log entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the request began.
    pub started: i64,
    /// When it ended.
    pub completed: i64,
    /// `FUNCTION`, `AUTH`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The request's id.
    pub co_id: String,
    /// The user, if any.
    pub user_id: String,
    /// What failed; empty on success.
    pub error: String,
    /// The wire's error code; empty on success.
    pub error_code: String,
    /// Everything else, by the names of the Admin API.
    pub details: Document,
}

/// What servers agreed on when the first of them started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Agreement {
    /// What about.
    #[serde(rename = "_id")]
    pub id: String,
    /// What the first said.
    pub value: String,
}

/// Whose a job is that one server does at a time ([`crate::leases`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    #[serde(rename = "_id")]
    pub id: String,
    /// The server that holds it; empty when it was given back.
    pub holder: String,
    /// Grows with each holder: what a former one writes is refused.
    pub epoch: i64,
    /// Grows while the holder lives.
    pub beat: i64,
    /// What the job keeps for whoever does it next.
    pub kept: Document,
}

/// Bytes as a BSON binary.
mod binary {
    use bson::Binary;
    use bson::spec::BinarySubtype;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Binary::deserialize(from).map(|binary| binary.bytes)
    }
}
