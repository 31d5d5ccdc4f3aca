//! How far triggers came, as administrators see and change it
//! (admin-api.md §2.4, #14 and #20; triggers-ops.md §2.6 and §6).
//!
//! Not here: running triggers. Whoever does writes the records that this reads.

use bson::doc;
use kit::{Kind, Problem};
use state::{Execution, TriggerProgress};

use crate::{App, stored};

impl App {
    async fn progress(&self, trigger_id: &str) -> Result<Option<TriggerProgress>, Problem> {
        let id = TriggerProgress::id_of(&self.id, trigger_id);
        self.core.state.triggers.get(&id).await.map_err(stored)
    }

    /// The last execution of a trigger.
    ///
    /// # Errors
    /// `TriggerExecutionNotFound` for one that never ran.
    pub async fn last_execution(&self, trigger_id: &str) -> Result<Execution, Problem> {
        let progress = self.progress(trigger_id).await?;
        progress.and_then(|known| known.last).ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "TriggerExecutionNotFound",
                format!("the trigger '{trigger_id}' was never executed"),
            )
        })
    }

    /// Lets a suspended trigger go on where it was, or from now.
    ///
    /// # Errors
    /// `TriggerNotSuspended`.
    pub async fn resume_trigger(&self, trigger_id: &str, from_now: bool) -> Result<(), Problem> {
        let suspended = doc! {
            "_id": TriggerProgress::id_of(&self.id, trigger_id), "suspended": { "$ne": null },
        };
        let mut set = doc! { "suspended": null };
        if from_now {
            set.insert("token", bson::Bson::Null);
        }
        let triggers = &self.core.state.triggers;
        let found = triggers.change(suspended, doc! { "$set": set }).await;
        if found.map_err(stored)? {
            return Ok(());
        }
        Err(Problem::new(
            Kind::NotFound,
            "TriggerNotSuspended",
            format!("the trigger '{trigger_id}' is not suspended"),
        ))
    }
}
