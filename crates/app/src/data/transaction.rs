//! Writes under rules: everything of a request or nothing
//! (rules-schemas.md §0, §16.3).

use std::time::Duration;

use bson::{RawBson, RawDocumentBuf};
use engine::{Collection, Session};
use kit::{Kind, Problem};

use super::Door;
use super::failure::Failure;
use super::find_and_modify::FindOneAnd;
use super::write::{Deletion, Modification};

/// A standalone server cannot take back a write that a rule refuses.
pub(super) fn without_transactions() -> Problem {
    Problem::new(
        Kind::Invalid,
        "MongoDBError",
        "unsupported: updates and deletes under rules need a deployment with transactions, such \
         as a replica set",
    )
}

/// Tries of a transaction that keeps meeting others.
const TRIES_MAX: u32 = 100;
/// Longest pause before another try.
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// A write that has to look before it is allowed.
pub(super) enum Job<'a> {
    Update(Modification<'a>),
    /// One command, with this query, for everything that matches.
    AtOnce(&'a Modification<'a>, RawDocumentBuf),
    Delete(Deletion<'a>),
    FindOneAnd(FindOneAnd<'a>),
}

impl Door<'_> {
    /// Runs `job` in a transaction of its own, again when another write came
    /// first; or in the caller's, which a refusal ends: what the job had
    /// already written must not be committed.
    pub(super) async fn transact(&self, job: &Job<'_>) -> Result<RawBson, Problem> {
        if let Some(session) = &self.session {
            let result = self.attempt(job, &self.collection).await;
            if result.is_err() {
                self.abort(session.clone()).await;
            }
            return result.map_err(Problem::from);
        }
        if !self.engine.capabilities().transactions {
            return Err(without_transactions());
        }
        let (mut tries, mut pause) = (0, Duration::ZERO);
        // What an attempt decided that did not happen is not counted.
        let counted = self.metrics().clone();
        loop {
            tries += 1;
            let session = Session::start();
            let collection = self.collection.within(&session);
            let result = match self.attempt(job, &collection).await {
                Ok(value) => session
                    .commit(self.engine)
                    .await
                    .map(|()| value)
                    .map_err(Failure::from),
                Err(failure) => {
                    self.abort(session).await;
                    Err(failure)
                }
            };
            match result {
                Err(failure) if failure.is_transient() && tries < TRIES_MAX => {
                    // Whoever keeps losing gives way for longer.
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).clamp(Duration::from_millis(1), PAUSE_MAX);
                    self.metrics().clone_from(&counted);
                }
                // What it can do is known when it has been spoken to.
                Err(_) if !self.engine.capabilities().transactions => {
                    return Err(without_transactions());
                }
                other => return other.map_err(Problem::from),
            }
        }
    }

    /// What the abort itself says matters less than why it came to it.
    pub(super) async fn abort(&self, session: Session) {
        if let Err(error) = session.abort(self.engine).await {
            tracing::debug!(%error, "a transaction was not aborted");
        }
    }

    async fn attempt(&self, job: &Job<'_>, collection: &Collection) -> Result<RawBson, Failure> {
        match job {
            Job::Update(modification) => self.modify(modification, collection).await,
            Job::AtOnce(modification, query) => {
                self.update_directly(collection, modification, query.clone(), false)
                    .await
            }
            Job::Delete(deletion) => self.remove(deletion, collection).await,
            Job::FindOneAnd(job) => self.find_one_and(job, collection).await,
        }
    }
}
