//! Collections that compare texts by a collation of their own. Rules compare
//! them as they are, so that there the query says nothing of the rules: each
//! document is asked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bson::{RawDocument, cstr, rawdoc};
use engine::CommandError;

use super::{Door, Namespace};

/// How long what was found out holds, in milliseconds. A collection's collation
/// changes only when it is dropped and made anew.
const KNOWN_MS: i64 = 60_000;

/// What is known of the collections of a data source: since when, and whether
/// one has a collation.
#[derive(Debug, Default)]
pub(super) struct Collations(Mutex<HashMap<Namespace, (i64, bool)>>);

impl Door<'_> {
    /// Whether the collection has a collation; also when that cannot be found
    /// out.
    pub(super) async fn is_collated(&self) -> bool {
        let Some((user, _)) = self.rules else {
            return false;
        };
        let now = self.clock.now_ms();
        let known = &user.rules.collations.0;
        {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, collated)) = known.get(&self.namespace)
                && (0..KNOWN_MS).contains(&(now - since))
            {
                return *collated;
            }
        }
        let collated = match self.ask_for_collation().await {
            Ok(collated) => collated,
            Err(error) => {
                tracing::debug!(%error, "a collection's collation is not known");
                return true;
            }
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        // A user names the collections: those that were are let go.
        known.retain(|_, (since, _)| (0..KNOWN_MS).contains(&(now - *since)));
        known.insert(self.namespace.clone(), (now, collated));
        collated
    }

    /// Never in the caller's transaction, where it cannot be asked.
    async fn ask_for_collation(&self) -> Result<bool, CommandError> {
        let mut command = rawdoc! { "listCollections": 1 };
        let named = rawdoc! { "name": self.namespace.collection.as_str() };
        command.append(cstr!("filter"), named);
        let reply = self
            .engine
            .command(&self.namespace.database, &command)
            .await?;
        Ok(has_collation(&reply).unwrap_or(false))
    }
}

fn has_collation(reply: &RawDocument) -> Option<bool> {
    let batch = reply.get_document("cursor").ok()?.get_array("firstBatch");
    let collection = batch.ok()?.get(0).ok()??.as_document()?;
    let options = collection.get_document("options").ok()?;
    let collation = options.get_document("collation").ok()?;
    Some(collation.get_str("locale").ok() != Some("simple"))
}
