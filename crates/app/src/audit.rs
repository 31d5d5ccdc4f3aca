//! The record of what administrators change.
//!
//! A change is recorded before it begins and completed when it is answered: when
//! the record cannot be written, nothing is changed. The record is in the same
//! store as what it tells of and was acknowledged before, so that no crash keeps
//! a change and loses its record; one whose end was not recorded has status 0.
//! What is sent is not recorded, only ids and names in paths: no secret gets in.

use bson::{Document, doc};
use kit::Problem;
use kit::limit::{AUDIT_DAYS_MAX, AUDIT_ENTRIES_MAX, AUDIT_RESOURCE_CHARS_MAX};
use state::AuditEntry;

use crate::administrators::Administrator;
use crate::{Backstitch, new_id, stored};

const DAY_MS: i64 = 24 * 3_600_000;

/// A change that is about to begin.
#[derive(Debug, Clone, Copy)]
pub struct Changing<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The operation's id.
    pub operation: &'a str,
    /// The project; empty for what is the server's.
    pub project_id: &'a str,
    /// The app; empty for what is the project's or the server's.
    pub app_id: &'a str,
    /// The path below these.
    pub resource: &'a str,
    /// `CLI`, `UI` or `API`.
    pub origin: &'a str,
    /// The client's address.
    pub address: &'a str,
}

/// Which records are asked for; all of what is not said.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Of a project.
    pub project_id: Option<String>,
    /// Of an app.
    pub app_id: Option<String>,
    /// By an administrator: an id, a public key or a user name.
    pub administrator: Option<String>,
    /// Of an operation.
    pub operation: Option<String>,
    /// Since a time, in milliseconds.
    pub since: Option<i64>,
    /// Up to a time, in milliseconds.
    pub until: Option<i64>,
    /// How many to leave out.
    pub skip: u64,
    /// The most that are wanted; 0 for all.
    pub limit: u64,
}

impl Backstitch {
    /// Records that a change begins; answers the record's id.
    ///
    /// # Errors
    /// When it cannot be written: then the change must not begin.
    pub async fn record_change(
        &self,
        by: &Administrator,
        change: Changing<'_>,
    ) -> Result<String, Problem> {
        let text = |text: &str| text.chars().take(AUDIT_RESOURCE_CHARS_MAX).collect();
        let entry = AuditEntry {
            id: new_id(),
            request_id: change.request_id.to_owned(),
            at: self.clock.now_ms(),
            administrator_id: by.id.clone(),
            administrator: by.name.clone(),
            provider: by.provider.to_owned(),
            operation: change.operation.to_owned(),
            project_id: text(change.project_id),
            app_id: text(change.app_id),
            resource: text(change.resource),
            origin: change.origin.to_owned(),
            address: change.address.to_owned(),
            status: 0,
            error_code: String::new(),
            made: String::new(),
        };
        self.state.audit.insert(&entry).await.map_err(stored)?;
        Ok(entry.id)
    }

    /// Completes the record of a change with what was answered, and with the id
    /// of what was made. That it fails is only logged: the change is done.
    pub async fn complete_change(&self, id: &str, status: u16, error_code: &str, made: &str) {
        let set = doc! { "$set": {
            "status": i32::from(status), "error_code": error_code, "made": made,
        } };
        // A crash may lose the end, which is then not known; never the beginning.
        let audit = self.state.audit.unsynced();
        if let Err(error) = audit.change(doc! { "_id": id }, set).await {
            tracing::warn!(id, "the end of a change was not recorded: {error}");
        }
    }

    /// Records of changes, the latest first.
    pub async fn changes(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, Problem> {
        let mut filter = Document::new();
        for (name, value) in [
            ("project_id", &query.project_id),
            ("app_id", &query.app_id),
            ("operation", &query.operation),
        ] {
            if let Some(value) = value {
                filter.insert(name, value);
            }
        }
        if let Some(who) = &query.administrator {
            let either = [
                doc! { "administrator": who },
                doc! { "administrator_id": who },
            ];
            filter.insert("$or", either.to_vec());
        }
        let mut at = Document::new();
        for (operator, time) in [("$gte", query.since), ("$lte", query.until)] {
            if let Some(time) = time {
                at.insert(operator, time);
            }
        }
        if !at.is_empty() {
            filter.insert("at", at);
        }
        let order = doc! { "at": -1, "_id": -1 };
        let found = self
            .state
            .audit
            .list(filter, order, query.skip, query.limit);
        found.await.map_err(stored)
    }

    /// Removes records that are too old, and the oldest of too many.
    pub(crate) async fn trim_changes(&self, now: i64) -> Result<(), Problem> {
        let audit = &self.state.audit;
        let old = doc! { "at": { "$lt": now - AUDIT_DAYS_MAX * DAY_MS } };
        audit.delete_all(old).await.map_err(stored)?;
        let order = doc! { "at": -1, "_id": -1 };
        let beyond = audit.list(doc! {}, order, AUDIT_ENTRIES_MAX, 1).await;
        if let Some(first) = beyond.map_err(stored)?.first() {
            let older = doc! { "at": { "$lte": first.at } };
            audit.delete_all(older).await.map_err(stored)?;
        }
        Ok(())
    }
}
