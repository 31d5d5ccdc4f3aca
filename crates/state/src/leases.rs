//! Jobs that one server does at a time, whichever.
//!
//! Time only decides when another may try: a holder that has not been heard of
//! for [`Candidate::patience`], by the candidate's own clock, is given up. What
//! makes it safe is the epoch: it grows with each holder, and a [`Held`] lease
//! writes only while it is still its own. A holder that was paused for too long
//! finds out at its next write, which does nothing.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use engine::CommandError;

use crate::{Lease, Table};

/// A server that would do a job.
pub struct Candidate {
    leases: Table<Lease>,
    job: String,
    holder: String,
    /// How long a holder may be silent.
    pub patience: Duration,
    /// Epoch and beat that were seen last, and since when.
    seen: Option<(i64, i64, Instant)>,
}

/// A job that is this server's.
#[derive(Clone)]
pub struct Held {
    leases: Table<Lease>,
    job: String,
    epoch: i64,
    /// What the job kept.
    pub kept: Document,
}

impl Candidate {
    /// For a job, under a name that no other server has.
    pub fn new(leases: &Table<Lease>, job: &str, holder: &str, patience: Duration) -> Self {
        Self {
            leases: leases.clone(),
            job: job.to_owned(),
            holder: holder.to_owned(),
            patience,
            seen: None,
        }
    }

    /// What the job kept; empty before anybody did it.
    pub async fn kept(&self) -> Result<Document, CommandError> {
        let lease = self.leases.get(&self.job).await?;
        Ok(lease.map_or_else(Document::new, |lease| lease.kept))
    }

    /// Takes the job if nobody has it, or if its holder has been silent for too
    /// long. `now` is this machine's time.
    pub async fn take(&mut self, now: Instant) -> Result<Option<Held>, CommandError> {
        let Some(lease) = self.leases.get(&self.job).await? else {
            let first = Lease {
                id: self.job.clone(),
                holder: self.holder.clone(),
                epoch: 1,
                beat: 0,
                kept: Document::new(),
            };
            return match self.leases.insert(&first).await {
                Ok(()) => Ok(Some(self.held(1, Document::new()))),
                Err(error) if error.is_duplicate_key() => Ok(None),
                Err(error) => Err(error),
            };
        };
        if !lease.holder.is_empty() {
            let since = match self.seen {
                Some((epoch, beat, since)) if (epoch, beat) == (lease.epoch, lease.beat) => since,
                _ => now,
            };
            self.seen = Some((lease.epoch, lease.beat, since));
            if now.saturating_duration_since(since) < self.patience {
                return Ok(None);
            }
        }
        let epoch = lease.epoch + 1;
        let taken = self.leases.change(
            doc! { "_id": &self.job, "epoch": lease.epoch, "beat": lease.beat },
            doc! { "$set": { "epoch": epoch, "holder": &self.holder, "beat": 0_i64 } },
        );
        Ok(taken.await?.then(|| self.held(epoch, lease.kept)))
    }

    fn held(&self, epoch: i64, kept: Document) -> Held {
        Held {
            leases: self.leases.clone(),
            job: self.job.clone(),
            epoch,
            kept,
        }
    }
}

impl Held {
    /// Says that the holder lives; false when the job is another's by now.
    pub async fn renew(&self) -> Result<bool, CommandError> {
        self.change(doc! { "$inc": { "beat": 1_i64 } }).await
    }

    /// Keeps something for whoever does the job next; false, and nothing kept,
    /// when the job is another's by now.
    pub async fn keep(&self, kept: Document) -> Result<bool, CommandError> {
        let update = doc! { "$set": { "kept": kept }, "$inc": { "beat": 1_i64 } };
        self.change(update).await
    }

    /// Gives the job back, so that another need not wait.
    pub async fn release(self) -> Result<(), CommandError> {
        let update = doc! { "$set": { "holder": "" }, "$inc": { "beat": 1_i64 } };
        self.change(update).await.map(drop)
    }

    async fn change(&self, update: Document) -> Result<bool, CommandError> {
        let mine = doc! { "_id": &self.job, "epoch": self.epoch, "holder": { "$ne": "" } };
        self.leases.change(mine, update).await
    }
}
