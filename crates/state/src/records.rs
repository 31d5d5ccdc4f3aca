//! The records. Times are milliseconds since the Unix epoch, ids 24 hex digits
//! unless said otherwise.

use std::collections::BTreeMap;

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
    Project => "projects", AdminKey => "admin_keys", AdminUser => "admin_users",
    AdminSession => "admin_sessions", AuditEntry => "audit",
    App => "apps", Revision => "revisions", Blob => "blobs", Deployment => "deployments",
    Draft => "drafts",
    Secret => "secrets", User => "users", Password => "passwords", Session => "sessions",
    ApiKey => "api_keys", Agreement => "agreements", Lease => "leases",
    Asset => "assets", BodyPiece => "body_pieces", LooseBody => "loose_bodies",
    Dependencies => "dependencies", MailCount => "mail_counts",
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
    /// What HTTP Digests are made with, sealed; empty for a pair of before there
    /// were any.
    #[serde(default, with = "binary")]
    pub digest_key: Vec<u8>,
    /// `GROUP_OWNER` or `GROUP_READ_ONLY`.
    pub role: String,
    /// Whether it is the server operator's: it may make and remove projects.
    #[serde(default)]
    pub operator: bool,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// When it was made; 0 for one of an earlier version.
    #[serde(default)]
    pub created: i64,
    /// Whether it is turned off.
    #[serde(default)]
    pub disabled: bool,
}

/// An administrator who logs in with a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminUser {
    /// The id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The name at login, unique on the server.
    pub username: String,
    /// The password's hash in PHC form.
    pub hash: String,
    /// What the user may do, project by project.
    pub roles: Vec<ProjectRole>,
    /// When the user was made.
    pub created: i64,
    /// Whether the user is shut out.
    pub disabled: bool,
}

/// What an administrator may do in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRole {
    /// The project.
    pub project_id: String,
    /// `GROUP_OWNER` or `GROUP_READ_ONLY`.
    pub role: String,
}

/// A change by an administrator: written before it begins, completed after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The request's id, as answers and log entries have it.
    pub request_id: String,
    /// When it began.
    pub at: i64,
    /// The administrator's id.
    pub administrator_id: String,
    /// The public key or user name.
    pub administrator: String,
    /// How the administrator logged in.
    pub provider: String,
    /// The operation's id.
    pub operation: String,
    /// The project; empty for what is the server's.
    pub project_id: String,
    /// The app; empty for what is the project's or the server's.
    pub app_id: String,
    /// The path below the app, the project or the root, with the ids in it.
    pub resource: String,
    /// `CLI`, `UI` or `API`.
    pub origin: String,
    /// The client's address.
    pub address: String,
    /// The status that was answered; 0 while it is not known, for good if the
    /// server ended in between.
    pub status: i32,
    /// The tables that it wrote, noted by the commits that did ([`crate::change`]);
    /// nothing where that is not known.
    #[serde(default)]
    pub changed: Option<Vec<String>>,
    /// Whether the server ended before it was answered.
    #[serde(default)]
    pub interrupted: bool,
    /// The answer's error code; empty on success.
    pub error_code: String,
    /// The id of what was made, if something was.
    pub made: String,
}

/// A session of an administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminSession {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The key or the user that it began with.
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
    /// The template that it was made from; empty for none.
    #[serde(default)]
    pub template_id: String,
    /// The domain that tokens name.
    pub domain_id: String,
    /// The key that signs users' tokens, sealed.
    #[serde(with = "binary")]
    pub signing_key: Vec<u8>,
    /// Its number; compared and set.
    #[serde(default)]
    pub signing_version: i64,
    /// The keys before it whose tokens are still good.
    #[serde(default)]
    pub former_signing_keys: Vec<FormerKey>,
    /// The live revision; compared and set.
    pub live: String,
    /// The deployment that made it live, which a crash cannot keep from being
    /// recorded as it is set with `live`; none of an app as it was made.
    #[serde(default)]
    pub deployment: Option<Deployment>,
    /// Ids of the live configuration's nodes.
    pub ids: Vec<NodeId>,
    /// When it was made.
    pub created: i64,
    /// What is set of it beside its configuration.
    #[serde(default)]
    pub settings: AppSettings,
}

/// A key that signed users' tokens before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FormerKey {
    /// Its number.
    pub version: i64,
    /// The key, sealed.
    #[serde(with = "binary")]
    pub sealed: Vec<u8>,
    /// Until when its tokens are good.
    pub until: i64,
}

/// The entry of an access list that is open to all.
pub const ANYWHERE: &str = "0.0.0.0/0";

/// What is set of an app beside its configuration: it acts at once and is in no
/// export. A new app is open to all addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppSettings {
    /// Grows with each change; compared and set.
    pub version: i64,
    /// Who may be a client.
    pub access_list: Vec<AccessListEntry>,
    /// Seconds that a refresh token lives; the default when none.
    pub refresh_token_s: Option<i64>,
    /// Private endpoints.
    pub private_endpoints: Vec<PrivateEndpoint>,
    /// Whether clients may come from elsewhere than a private endpoint.
    pub allow_non_vpc: bool,
    /// Days without a sign of an anonymous user until it is removed, 0 for never;
    /// the default when none.
    pub anonymous_days: Option<i64>,
    /// How deployments are made.
    pub deploy: DeployConfig,
    /// Whether null is checked as a type of its own where documents are
    /// validated.
    pub null_type_validation: bool,
    /// The last move to another deployment model or region.
    pub migration: Option<Migration>,
    /// Feature flags that are on, sorted.
    pub features: Vec<String>,
    /// Tuning of sync, by name.
    pub sync_tuning: BTreeMap<String, i64>,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            version: 0,
            access_list: vec![AccessListEntry {
                id: "000000000000000000000001".to_owned(),
                address: ANYWHERE.to_owned(),
                comment: String::new(),
            }],
            refresh_token_s: None,
            anonymous_days: None,
            private_endpoints: Vec::new(),
            allow_non_vpc: true,
            deploy: DeployConfig::default(),
            null_type_validation: false,
            migration: None,
            features: Vec::new(),
            sync_tuning: BTreeMap::new(),
        }
    }
}

/// A move to another deployment model or region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The deployment model before.
    pub from_model: String,
    /// The region before.
    pub from_region: String,
    /// The deployment model after.
    pub to_model: String,
    /// The region after.
    pub to_region: String,
    /// When it was done.
    pub at: i64,
}

/// Addresses that clients may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessListEntry {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// An address or a network such as `10.0.0.0/8`.
    pub address: String,
    /// What it is for.
    pub comment: String,
}

/// A private endpoint of a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateEndpoint {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Where it is.
    pub cloud_provider_region: String,
    /// What the cloud calls it.
    pub cloud_provider_endpoint_id: String,
    /// `sync` or `general`.
    pub endpoint_type: String,
    /// What it is for.
    pub comment: String,
}

/// How deployments are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeployConfig {
    /// Whether the console deploys each edit.
    pub ui_drafts_disabled: bool,
    /// Whether a repository's pushes are deployed.
    pub automatic: bool,
    /// Whose repository; `github`.
    pub provider: String,
    /// Ids of the provider's installations.
    pub installation_ids: Vec<String>,
    /// When this was last changed; 0 for never.
    pub modified: i64,
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
    /// What the administrator calls it; empty for its id.
    #[serde(default)]
    pub name: String,
    /// The draft that it was; empty for an edit without one.
    #[serde(default)]
    pub draft_id: String,
}

/// A configuration in progress, which one administrator owns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// Its owner: one draft of an app each.
    pub user_id: String,
    /// The revision that it began from.
    pub base: String,
    /// What it is now; compared and set.
    pub revision: String,
    /// Ids of its nodes.
    pub ids: Vec<NodeId>,
    /// When it was opened.
    pub created: i64,
    /// The bytes of the body of its id, which says what the hosted files were
    /// when it was opened.
    #[serde(default)]
    pub hosted_bytes: i64,
    /// The packages that were installed when it was opened.
    #[serde(default)]
    pub packages: Vec<InstalledPackage>,
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

impl Identity {
    /// What [`User::keys`] has of it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.provider_type, self.id)
    }
}

/// Whether identities are those of a user who could not come back on another
/// device.
pub fn is_anonymous(identities: &[Identity]) -> bool {
    let mut types = identities.iter().map(|one| &one.provider_type);
    !identities.is_empty() && types.all(|of| of == "anon-user")
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
    /// When the user was last seen: logged in or, of an anonymous one and to a
    /// day, refreshed.
    #[serde(default)]
    pub last_seen: i64,
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
    /// Whether no user came of it yet: one does with the first login.
    #[serde(default)]
    pub pending: bool,
    /// What confirms the address, once asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<UserpassToken>,
    /// What resets the password, once asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<UserpassToken>,
    /// When it was registered.
    pub created: i64,
}

/// The token of a link that confirms an account's address or resets its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserpassToken {
    /// The id of its token.
    pub token_id: String,
    /// Digest of the token.
    pub digest: String,
    /// Until when it counts.
    pub expires: i64,
}

/// The mails of an app to one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailCount {
    /// Digest of the app's id and the mailbox.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the first of them went out.
    pub since: i64,
    /// How many there were since then.
    pub mails: i64,
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
    /// The identity it began with.
    #[serde(default)]
    pub identity_id: String,
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

/// A hosted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The app's id and the path, so that a range of ids is a folder.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// Where it is served; begins with a slash.
    pub path: String,
    /// The MD5 hash of its bytes in hex: what clients compare.
    pub hash: String,
    /// Bytes.
    pub size: i64,
    /// What it is served with, as it was given.
    pub attributes: Vec<Attribute>,
    /// When it last changed.
    pub modified: i64,
    /// Where its bytes are ([`crate::Bodies`]).
    pub body: String,
}

/// A header that a hosted file is served with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A piece of a body ([`crate::Bodies`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BodyPiece {
    /// The body's id, and the piece's number from 0.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The body.
    pub body: String,
    /// Its bytes.
    #[serde(with = "binary")]
    pub bytes: Vec<u8>,
}

/// A body that nothing may refer to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LooseBody {
    /// The body's id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// Since when.
    pub at: i64,
}

/// The npm packages of an app's functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// The app's id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Who installed them.
    pub user_id: String,
    /// When.
    pub modified: i64,
    /// The packages.
    pub packages: Vec<InstalledPackage>,
    /// Their files as a zip archive ([`crate::Bodies`]); empty when nothing was
    /// ever installed.
    pub body: String,
    /// Bytes of the archive; 0 when it holds nothing.
    pub body_bytes: i64,
    /// What became of the last upload.
    pub last: LastInstall,
}

/// An npm package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What became of an upload of dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastInstall {
    /// Its id; compared and set.
    pub id: String,
    /// `created` while it goes on, `successful` or `failed`.
    pub status: String,
    /// Why it failed.
    pub message: String,
    /// Whether somebody was told that it was made.
    pub told: bool,
    /// The server that does it, while it goes on.
    #[serde(default)]
    pub server: String,
    /// When it has come to an end, whatever became of that server.
    #[serde(default)]
    pub until: i64,
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
