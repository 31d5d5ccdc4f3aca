//! One state of the database as an engine that only reads, for whoever reads
//! everything: a backup, an export. Its cursors remember a place, not
//! documents.
//!
//! While it lives, the store keeps what the state needs: space, not time, is
//! the price.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use engine::{Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, WatchRequest};
use mql::{Matcher, Projection, Sort};

use crate::catalog::Collection;
use crate::command::{admin, blocking, check_fields, cursors, document, indexes, whole};
use crate::cursor::{Batch, projected};
use crate::kv::Table;
use crate::layout::{Record, document_key, loaded, past, record_of};
use crate::query::{self, Wanted};
use crate::walk::Effort;
use crate::{View, mql as mql_error};

/// Documents in a batch, unless the command says otherwise.
const BATCH: usize = 101;

/// A state that does not change.
pub(crate) struct Frozen {
    view: Arc<View>,
    cursors: Mutex<HashMap<i64, Cursor>>,
    last_cursor: AtomicI64,
}

/// What is left of an answer.
struct Cursor {
    namespace: String,
    projection: Option<Projection>,
    rest: Rest,
}

enum Rest {
    /// The collection from a record on.
    Scan {
        collection: Arc<Collection>,
        matcher: Matcher,
        next: Record,
        skip: usize,
        /// Documents still wanted.
        wanted: usize,
    },
    /// A sorted answer, whole.
    Sorted(std::iter::Peekable<std::vec::IntoIter<RawDocumentBuf>>),
}

impl Frozen {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self {
            view,
            cursors: Mutex::default(),
            last_cursor: AtomicI64::new(0),
        }
    }

    async fn run(&self, database: &str, command: &RawDocument) -> Answer {
        let Some(first) = command.iter().next() else {
            return Err(CommandError::new(59, "no such command: ''"));
        };
        let (name, value) = first?;
        let target = value.as_str().unwrap_or_default();
        match name.as_str() {
            "listIndexes" => indexes::list(&self.view.catalog, database, target),
            "listCollections" => admin::list_collections(&self.view.catalog, database, command),
            "listDatabases" => admin::list_databases(&self.view.catalog),
            "find" => {
                let cursor = self.find(database, target, command)?;
                let size = whole(command, "batchSize")?.map_or(BATCH, |n| n.max(0) as usize);
                self.answer(cursor, 0, size, true).await
            }
            "getMore" => {
                let id = whole(command, "getMore")?.unwrap_or(0);
                let size = whole(command, "batchSize")?.map_or(usize::MAX, |n| n.max(1) as usize);
                let missing = || CommandError::new(43, format!("cursor id {id} not found"));
                let cursor = self.cursors().remove(&id).ok_or_else(missing)?;
                self.answer(cursor, id, size, false).await
            }
            "killCursors" => {
                let ids = command.get_array("cursors").into_iter().flatten().flatten();
                let mut cursors = self.cursors();
                for id in ids.filter_map(bson::raw::RawBsonRef::as_i64) {
                    cursors.remove(&id);
                }
                Ok(rawdoc! { "ok": 1.0 })
            }
            other => Err(CommandError::new(
                115,
                format!("'{other}' is not for a snapshot, which only lists and finds"),
            )),
        }
    }

    fn cursors(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Cursor>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(
        &self,
        database: &str,
        target: &str,
        command: &RawDocument,
    ) -> Result<Cursor, CommandError> {
        check_fields(
            command,
            &["filter", "sort", "projection", "skip", "limit", "batchSize"],
        )?;
        let matcher = query::matcher(document(command, "filter")?, None)?;
        let projection = document(command, "projection")?
            .filter(|projection| !projection.is_empty())
            .map(|projection| Projection::parse(projection).map_err(mql_error))
            .transpose()?;
        let number =
            |name| Ok::<_, CommandError>(whole(command, name)?.unwrap_or(0).max(0) as usize);
        let (skip, limit) = (number("skip")?, number("limit")?);
        let sort = match document(command, "sort")? {
            Some(sort) => Sort::parse(sort).map_err(mql_error)?,
            None => Sort::default(),
        };
        let nothing = || Rest::Sorted(Vec::new().into_iter().peekable());
        let rest = match self.view.catalog.get(database, target) {
            None => nothing(),
            Some(collection) if sort.is_empty() => Rest::Scan {
                collection: collection.clone(),
                matcher,
                next: 0,
                skip,
                wanted: if limit == 0 { usize::MAX } else { limit },
            },
            Some(collection) => {
                let wanted = Wanted {
                    sort: Some(&sort),
                    skip,
                    limit,
                    ..Wanted::by(&matcher)
                };
                let on = (&*self.view, None);
                let found = query::find(on, collection, &wanted, &Effort::default())?;
                Rest::Sorted(query::documents(found).into_iter().peekable())
            }
        };
        Ok(Cursor {
            namespace: format!("{database}.{target}"),
            projection,
            rest,
        })
    }

    async fn answer(&self, mut cursor: Cursor, id: i64, size: usize, first: bool) -> Answer {
        let view = self.view.clone();
        let (cursor, batch, more) = blocking(move || {
            let (batch, more) = cursor.take(&view, size)?;
            Ok((cursor, batch, more))
        })
        .await?;
        let namespace = cursor.namespace.clone();
        let id = match (more, id) {
            (false, _) => 0,
            (true, 0) => self.last_cursor.fetch_add(1, Ordering::Relaxed) + 1,
            (true, id) => id,
        };
        if more {
            self.cursors().insert(id, cursor);
        }
        Ok(cursors::answer(first, batch, id, &namespace))
    }
}

impl Cursor {
    /// The next documents, and whether there may be more.
    fn take(&mut self, view: &View, size: usize) -> Result<(RawArrayBuf, bool), CommandError> {
        let mut batch = Batch::default();
        let projection = self.projection.as_ref();
        match &mut self.rest {
            Rest::Sorted(rest) => {
                while batch.count < size
                    && let Some(next) = rest.peek()
                    && batch.has_room(next)
                    && let Some(document) = rest.next()
                {
                    batch.add(projected(projection, &document, None)?.as_ref());
                }
                Ok((batch.list, rest.peek().is_some()))
            }
            Rest::Scan {
                collection,
                matcher,
                next,
                skip,
                wanted,
            } => {
                let start = document_key(collection.id, *next);
                let end = past(&collection.id.to_be_bytes());
                for pair in view.snapshot.range(Table::Documents, &start, &end, false) {
                    if *wanted == 0 {
                        return Ok((batch.list, false));
                    }
                    let (key, value) = pair?;
                    let Some(record) = record_of(&key, &[]) else {
                        continue;
                    };
                    let (_, document) = loaded(&value)?;
                    if batch.count >= size || !batch.has_room(document) {
                        *next = record;
                        return Ok((batch.list, true));
                    }
                    if !matcher.is_all() && !matcher.matches(document).map_err(mql_error)? {
                        continue;
                    }
                    if *skip > 0 {
                        *skip -= 1;
                        continue;
                    }
                    *wanted -= 1;
                    batch.add(projected(projection, document, Some(matcher))?.as_ref());
                }
                Ok((batch.list, false))
            }
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
