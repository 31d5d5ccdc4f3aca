//! The record of what administrators change.
//!
//! A change is recorded before it begins and completed when it is answered: when
//! the record cannot be written, nothing is changed. What a change writes is noted
//! in its record by the same commit, so that after a crash the record says whether
//! it was made. One that a crash kept from being answered has status 0.
//! What is sent is not recorded, only ids and names in paths: no secret gets in.

use bson::{Document, doc};
use kit::Problem;
use kit::limit::{AUDIT_DAYS_MAX, AUDIT_ENTRIES_MAX, AUDIT_RESOURCE_CHARS_MAX};
use state::AuditEntry;

use crate::administrators::Administrator;
use crate::{Backstitch, new_id, stored};

const DAY_MS: i64 = 24 * 3_600_000;
/// How long a request goes on, at most: what has not been answered since will
/// not be.
const ANSWER_MS_MAX: i64 = 3_600_000;

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
    /// Records that a change begins whose effects are not records of the server;
    /// answers the record's id.
    ///
    /// # Errors
    /// When it cannot be written: then the change must not begin.
    pub async fn record_change(
        &self,
        by: &Administrator,
        change: Changing<'_>,
    ) -> Result<String, Problem> {
        let entry = self.entry(by, change);
        self.state.audit.insert(&entry).await.map_err(stored)?;
        Ok(entry.id)
    }

    fn entry(&self, by: &Administrator, change: Changing<'_>) -> AuditEntry {
        let text = |text: &str| text.chars().take(AUDIT_RESOURCE_CHARS_MAX).collect();
        AuditEntry {
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
            changed: None,
            interrupted: false,
            error_code: String::new(),
            made: String::new(),
        }
    }

    /// Makes a change whose effects are records of the server: what is written is
    /// noted. `outcome` tells what was answered: status, error code, and the id of
    /// what was made.
    ///
    /// # Errors
    /// When the record cannot be written: then nothing was done.
    pub async fn changing<T>(
        &self,
        by: &Administrator,
        change: Changing<'_>,
        work: impl Future<Output = T>,
        outcome: impl Fn(&T) -> (u16, &str, &str),
    ) -> Result<T, Problem> {
        let mut entry = self.entry(by, change);
        let notes = self.clusters.state().capabilities().transactions;
        entry.changed = notes.then(Vec::new);
        self.state.audit.insert(&entry).await.map_err(stored)?;
        let done = if notes {
            state::change::within(&entry.id, work).await
        } else {
            work.await
        };
        let (status, error_code, made) = outcome(&done);
        self.complete_change(&entry.id, status, error_code, made)
            .await;
        Ok(done)
    }

    /// Completes the record of a change with what was answered, and with the id
    /// of what was made. That it fails is only logged: the change is done.
    pub async fn complete_change(&self, id: &str, status: u16, error_code: &str, made: &str) {
        let set = doc! { "$set": {
            "status": i32::from(status), "error_code": error_code, "made": made,
            "interrupted": false,
        } };
        // A crash may lose the end, which is then not known; never the beginning.
        let audit = self.state.audit.unsynced();
        if let Err(error) = audit.change(doc! { "_id": id }, set).await {
            tracing::warn!(id, "the end of a change was not recorded: {error}");
        }
    }

    /// Says of changes that were not answered that the server ended before: of
    /// all, or of those that began so long ago that they will not be.
    pub(crate) async fn settle_changes(&self, all: bool) -> Result<(), Problem> {
        let mut open = doc! { "status": 0, "interrupted": { "$ne": true } };
        if !all {
            open.insert("at", doc! { "$lt": self.clock.now_ms() - ANSWER_MS_MAX });
        }
        let ended = doc! { "$set": { "interrupted": true } };
        let settled = self.state.audit.change_all(open, ended).await;
        settled.map(drop).map_err(stored)
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
