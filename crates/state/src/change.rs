//! Whose change a write is part of. What is written on behalf of a change by an
//! administrator is noted in that change's record ([`crate::AuditEntry`]) by the
//! same commit: no crash keeps the one and loses the other.
//!
//! The change goes along with the task, so that those who write need not pass it
//! on. A task that is spawned for a change is [`carried`].

use std::future::Future;

use bson::{Document, doc};

tokio::task_local! {
    static CHANGE: Option<String>;
}

/// Does work as part of the change whose record has this id: on an engine with
/// transactions.
pub async fn within<T>(change: &str, work: impl Future<Output = T>) -> T {
    CHANGE.scope(Some(change.to_owned()), work).await
}

/// Work that is part of the caller's change, if there is one, in whichever task
/// it is done.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    CHANGE.scope(current(), work)
}

/// Does work that is not noted: so much that it does not go into one commit with
/// the note of it.
pub(crate) async fn apart<T>(work: impl Future<Output = T>) -> T {
    CHANGE.scope(None, work).await
}

/// The record of the change that the task is part of.
pub(crate) fn current() -> Option<String> {
    CHANGE.try_with(Clone::clone).ok().flatten()
}

/// The update of a change's record when a table was written.
pub(crate) fn note(table: &str) -> Document {
    doc! { "$addToSet": { "changed": table } }
}
