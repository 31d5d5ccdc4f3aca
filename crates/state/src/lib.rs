//! Backstitch's own records at rest, in a database of their own on the state
//! engine: get by id, insert, compare-and-set, ordered lists, delete.
//!
//! Not here: what the records mean. Keys, passwords and private keys come in
//! hashed or sealed.

mod bodies;
pub mod change;
mod devices;
pub mod leases;
mod logs;
mod messages;
mod records;
mod seal;
mod spent;
mod table;
mod triggers;
mod usage;

use bson::{Document, doc};
use engine::{CommandError, SharedEngine};

pub use bodies::{Bodies, PIECE_BYTES};
pub use devices::Device;
pub use logs::{LogChunk, LogEntry, RawLogEntry};
pub use messages::Message;
pub use records::{
    ANYWHERE, AccessListEntry, AdminKey, AdminSession, AdminUser, Agreement, ApiKey, App,
    AppSettings, Asset, Attribute, AuditEntry, Blob, BodyPiece, Dependencies, DeployConfig,
    Deployment, Draft, FormerKey, Identity, InstalledPackage, LastInstall, Lease, LooseBody,
    MailCount, Migration, NodeId, Password, PrivateEndpoint, Project, ProjectRole, Record,
    Revision, RevisionFile, Secret, Session, User, UserpassToken, is_anonymous,
};
pub use seal::{MasterKey, SealError, content_hash, digest, random_bytes, random_hex};
pub use spent::SpentFlow;
pub use table::Table;
pub use triggers::{Execution, TriggerProgress};
pub use usage::{HourOfUse, MinutesOfUse};

/// The database that the records live in unless another is named.
pub const DATABASE: &str = "backstitch";

/// Every table.
#[derive(Clone)]
pub struct State {
    /// Projects (the service's groups).
    pub projects: Table<Project>,
    /// Programmatic API keys of administrators.
    pub admin_keys: Table<AdminKey>,
    /// Administrators with passwords.
    pub admin_users: Table<AdminUser>,
    /// Changes by administrators.
    pub audit: Table<AuditEntry>,
    /// Sessions of administrators.
    pub admin_sessions: Table<AdminSession>,
    /// Apps.
    pub apps: Table<App>,
    /// Revisions of configurations.
    pub revisions: Table<Revision>,
    /// File contents by hash.
    pub blobs: Table<Blob>,
    /// Deployments.
    pub deployments: Table<Deployment>,
    /// Drafts of configurations.
    pub drafts: Table<Draft>,
    /// Secret values, sealed.
    pub secrets: Table<Secret>,
    /// Users of apps.
    pub users: Table<User>,
    /// Email/password accounts, with or without a user yet.
    pub passwords: Table<Password>,
    /// Mails to those who registered.
    pub mail_counts: Table<MailCount>,
    /// Users' sessions.
    pub sessions: Table<Session>,
    /// API keys of users and servers.
    pub api_keys: Table<ApiKey>,
    /// Devices that users logged in from.
    pub devices: Table<Device>,
    /// Logins by way of a provider's page that were completed.
    pub spent_flows: Table<SpentFlow>,
    /// Log entries.
    pub logs: Table<LogChunk>,
    /// Push notifications.
    pub messages: Table<Message>,
    /// How far triggers came.
    pub triggers: Table<TriggerProgress>,
    /// What apps used, by hour.
    pub usage_hours: Table<HourOfUse>,
    /// What apps used, by minute.
    pub usage_minutes: Table<MinutesOfUse>,
    /// What servers agreed on.
    pub agreements: Table<Agreement>,
    /// Jobs that one server does at a time.
    pub leases: Table<Lease>,
    /// Hosted files.
    pub assets: Table<Asset>,
    /// npm packages of functions, by app.
    pub dependencies: Table<Dependencies>,
    /// What is too large for a record.
    pub bodies: Bodies,
}

impl State {
    /// Opens the tables and makes their indexes.
    pub async fn open(engine: &SharedEngine, database: &str) -> Result<Self, CommandError> {
        let state = Self {
            projects: Table::new(engine, database),
            admin_keys: Table::new(engine, database),
            admin_users: Table::new(engine, database),
            audit: Table::new(engine, database),
            admin_sessions: Table::new(engine, database),
            apps: Table::new(engine, database),
            revisions: Table::new(engine, database),
            blobs: Table::new(engine, database),
            deployments: Table::new(engine, database),
            drafts: Table::new(engine, database),
            secrets: Table::new(engine, database),
            users: Table::new(engine, database),
            passwords: Table::new(engine, database),
            mail_counts: Table::new(engine, database),
            sessions: Table::new(engine, database),
            api_keys: Table::new(engine, database),
            devices: Table::new(engine, database),
            spent_flows: Table::new(engine, database),
            logs: Table::new(engine, database),
            messages: Table::new(engine, database),
            triggers: Table::new(engine, database),
            usage_hours: Table::new(engine, database),
            usage_minutes: Table::new(engine, database),
            agreements: Table::new(engine, database),
            leases: Table::new(engine, database),
            assets: Table::new(engine, database),
            dependencies: Table::new(engine, database),
            bodies: Bodies::new(engine, database),
        };
        state
            .admin_keys
            .index("public_key", doc! { "public_key": 1 }, true)
            .await?;
        state
            .admin_users
            .index("username", doc! { "username": 1 }, true)
            .await?;
        state
            .audit
            .index("time", doc! { "at": -1, "_id": -1 }, false)
            .await?;
        state
            .apps
            .index("client_app_id", doc! { "client_app_id": 1 }, true)
            .await?;
        state
            .apps
            .index("domain_id", doc! { "domain_id": 1 }, false)
            .await?;
        state
            .apps
            .index("project", doc! { "project_id": 1 }, false)
            .await?;
        state
            .deployments
            .index("app", doc! { "app_id": 1, "at": -1 }, false)
            .await?;
        // One draft of an app for each administrator.
        state
            .drafts
            .index("owner", doc! { "app_id": 1, "user_id": 1 }, true)
            .await?;
        state
            .secrets
            .index("name", doc! { "app_id": 1, "name": 1 }, true)
            .await?;
        // An identity belongs to one user of an app.
        state
            .users
            .index("keys", doc! { "app_id": 1, "keys": 1 }, true)
            .await?;
        // Those who were not seen for long, by provider.
        state
            .users
            .index(
                "seen",
                doc! { "app_id": 1, "identities.provider_type": 1, "last_seen": 1 },
                false,
            )
            .await?;
        state
            .passwords
            .index("email", doc! { "app_id": 1, "email": 1 }, true)
            .await?;
        state
            .passwords
            .index(
                "pending",
                doc! { "app_id": 1, "pending": 1, "_id": 1 },
                false,
            )
            .await?;
        state
            .passwords
            .index("confirmation", doc! { "confirmation.token_id": 1 }, false)
            .await?;
        state
            .passwords
            .index("reset", doc! { "reset.token_id": 1 }, false)
            .await?;
        state
            .devices
            .index("user", doc! { "user_id": 1, "last_login": -1 }, false)
            .await?;
        state
            .spent_flows
            .index("expires", doc! { "expires": 1 }, false)
            .await?;
        state
            .messages
            .index("app", doc! { "app_id": 1, "_id": 1 }, false)
            .await?;
        state
            .usage_hours
            .index("hour", doc! { "app_id": 1, "hour": 1 }, false)
            .await?;
        state
            .usage_hours
            .index("project", doc! { "project_id": 1, "hour": 1 }, false)
            .await?;
        state
            .usage_minutes
            .index("hour", doc! { "app_id": 1, "hour": 1 }, false)
            .await?;
        state
            .usage_minutes
            .index("project", doc! { "project_id": 1, "hour": 1 }, false)
            .await?;
        state
            .usage_minutes
            .index("summed", doc! { "summed": 1, "hour": 1 }, false)
            .await?;
        state
            .sessions
            .index("user_expires", doc! { "user_id": 1, "expires": 1 }, false)
            .await?;
        state
            .api_keys
            .index("hash", doc! { "app_id": 1, "hash": 1 }, true)
            .await?;
        state
            .api_keys
            .index("user", doc! { "app_id": 1, "user_id": 1, "name": 1 }, true)
            .await?;
        state
            .logs
            .index("time", doc! { "app_id": 1, "to": -1 }, false)
            .await?;
        // Several files may share their bytes.
        state
            .assets
            .index("body", doc! { "body": 1 }, false)
            .await?;
        state.bodies.indexes().await?;
        Ok(state)
    }

    /// What was first said about something: `value`, unless somebody was faster.
    pub async fn agree(&self, about: &str, value: &str) -> Result<String, CommandError> {
        let said = Agreement {
            id: about.to_owned(),
            value: value.to_owned(),
        };
        self.agreements.insert_missing(&[said]).await?;
        let agreed = self.agreements.get(about).await?;
        Ok(agreed.map_or_else(|| value.to_owned(), |agreed| agreed.value))
    }

    /// Removes everything that belongs to an app, but what it used hour by hour:
    /// its project has used that.
    pub async fn erase_app(&self, app_id: &str) -> Result<(), CommandError> {
        // It is too much for one commit, and begun it is a change.
        if let Some(change) = change::current() {
            let of = doc! { "_id": change };
            self.audit.change(of, change::note(App::TABLE)).await?;
        }
        change::apart(self.erase(app_id)).await
    }

    async fn erase(&self, app_id: &str) -> Result<(), CommandError> {
        let of: Document = doc! { "app_id": app_id };
        self.deployments.delete_all(of.clone()).await?;
        self.drafts.delete_all(of.clone()).await?;
        self.secrets.delete_all(of.clone()).await?;
        self.users.delete_all(of.clone()).await?;
        self.passwords.delete_all(of.clone()).await?;
        self.mail_counts.delete_all(of.clone()).await?;
        self.sessions.delete_all(of.clone()).await?;
        self.api_keys.delete_all(of.clone()).await?;
        self.devices.delete_all(of.clone()).await?;
        self.spent_flows.delete_all(of.clone()).await?;
        self.logs.delete_all(of.clone()).await?;
        self.messages.delete_all(of.clone()).await?;
        self.triggers.delete_all(of.clone()).await?;
        self.usage_minutes.delete_all(of.clone()).await?;
        let hosted = id_range(app_id, "");
        self.assets.delete_all(hosted).await?;
        self.dependencies.delete(app_id).await?;
        self.bodies.erase_app(app_id).await?;
        self.revisions.delete_all(of).await?;
        self.apps.delete(app_id).await.map(drop)
    }
}

/// What matches the records of an app whose ids are the app's id and a text
/// that begins with `prefix`.
pub fn id_range(app_id: &str, prefix: &str) -> Document {
    let first = format!("{app_id}{prefix}");
    let last = format!("{first}\u{10ffff}");
    doc! { "_id": { "$gte": first, "$lt": last } }
}
