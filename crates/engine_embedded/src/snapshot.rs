//! One state of the database as an engine that only reads, for whoever reads
//! everything: a backup, an export.
//!
//! While it lives, the store keeps what the state needs: space, not time, is
//! the price.

use std::sync::Arc;

use bson::RawDocument;
use engine::{Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, WatchRequest};

use crate::command::given::Moment;
use crate::command::{admin, cursors, indexes, read};
use crate::cursor::Cursors;
use crate::{Core, View};

/// A state that does not change.
pub(crate) struct Frozen {
    view: Arc<View>,
    moment: Moment,
    cursors: Arc<Cursors>,
}

impl Frozen {
    /// The present one.
    pub(crate) fn of(core: &Core) -> Self {
        Self {
            view: core.view.load_full(),
            moment: Moment::of(core),
            cursors: Arc::new(Cursors::lasting(core.clock.clone())),
        }
    }

    async fn run(&self, database: &str, command: &RawDocument) -> Answer {
        let Some(first) = command.iter().next() else {
            return Err(CommandError::new(59, "no such command: ''"));
        };
        let (name, value) = first?;
        let target = value.as_str().unwrap_or_default();
        let view = || self.view.clone();
        match name.as_str() {
            "listIndexes" => indexes::list(&self.view.catalog, database, target),
            "listCollections" => admin::list_collections(&self.view.catalog, database, command),
            "listDatabases" => admin::list_databases(&self.view.catalog),
            name @ ("find" | "count") => {
                let state = (view(), self.moment);
                read::run_at(&self.cursors, state, database, name, command).await
            }
            "getMore" => cursors::get_more_at(&self.cursors, view(), database, command).await,
            "killCursors" => cursors::kill(&self.cursors, command),
            other => Err(CommandError::new(
                115,
                format!("'{other}' is not for a snapshot, which only lists and finds"),
            )),
        }
    }
}

impl Engine for Frozen {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "embedded",
            transactions: false,
            change_feeds: false,
        }
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(self.run(database, command))
    }

    fn watch(
        &self,
        _request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async {
            Err(CommandError::new(
                115,
                "a snapshot does not change: nothing to watch",
            ))
        })
    }
}
