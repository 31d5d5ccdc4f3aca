//! Open cursors: the driver's, by the server's id, until they are read, killed
//! or forgotten.
//!
//! A cursor lives on one server, and in the session that opened it. The
//! driver's cursor knows both; a bare `getMore` through the driver would be
//! sent to any server with any session. So we keep the driver's cursor and
//! hand out its batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::raw::{RawArrayBuf, RawBsonRef};
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use engine::{Answer, CommandError};
use futures_util::StreamExt;
use mongodb::raw_batch_cursor::RawBatchCursor;

use crate::command::{session, whole};
use crate::error::translate;
use crate::kept::Kept;

/// Most open cursors; one more closes the one that was idle longest.
const OPEN_MAX: usize = 10_000;
/// A cursor that nobody read from is closed after this time, as a server's is.
const IDLE: Duration = Duration::from_secs(600);

/// How long a transaction lives.
const TRANSACTION_TIME: Duration = Duration::from_secs(60);

/// Bytes after which a batch is full: a server's batches have up to 16 MiB.
const BATCH_BYTES: usize = 15 * 1024 * 1024;

pub(crate) struct Cursors {
    open: Kept<i64, Entry>,
    /// Those of transactions, which the servers keep.
    within: Kept<i64, ()>,
}

impl Default for Cursors {
    fn default() -> Self {
        Self {
            open: Kept::new(OPEN_MAX, IDLE),
            within: Kept::new(OPEN_MAX, TRANSACTION_TIME),
        }
    }
}

#[derive(Clone)]
struct Entry {
    namespace: Arc<str>,
    /// The caller's session, if it opened the cursor in one.
    owner: Option<Arc<[u8]>>,
    cursor: Arc<tokio::sync::Mutex<Reading>>,
}

struct Reading {
    cursor: RawBatchCursor,
    /// Documents that the server sent and the caller did not ask for yet.
    rest: VecDeque<RawDocumentBuf>,
    ended: bool,
}

impl Cursors {
    /// The first reply of a cursor, which is kept when there is more to read.
    pub(crate) async fn open(
        &self,
        mut cursor: RawBatchCursor,
        owner: Option<&[u8]>,
    ) -> Result<RawDocumentBuf, mongodb::error::Error> {
        let Some(batch) = cursor.next().await else {
            // A new cursor holds the first reply.
            return Ok(rawdoc! { "ok": 1.0 });
        };
        let reply = batch?.as_raw_document().to_owned();
        let (id, namespace) = identity(&reply);
        if id != 0 {
            let entry = Entry {
                namespace: namespace.into(),
                owner: owner.map(Into::into),
                cursor: Arc::new(tokio::sync::Mutex::new(Reading {
                    cursor,
                    rest: VecDeque::new(),
                    ended: false,
                })),
            };
            self.open.put(id, entry, Instant::now());
        }
        Ok(reply)
    }

    /// `getMore`.
    pub(crate) async fn more(&self, database: &str, command: &RawDocument) -> Answer {
        let Some(RawBsonRef::Int64(id)) = command.get("getMore")? else {
            let message = "BSON field 'getMore.getMore' has the wrong type, expected type 'long'";
            return Err(CommandError::new(14, message));
        };
        let collection = command.get("collection")?.ok_or_else(|| {
            let message = "BSON field 'getMore.collection' is missing but a required field";
            CommandError::new(40414, message)
        })?;
        let namespace = format!("{database}.{}", collection.as_str().unwrap_or_default());
        let wanted = match command.get("batchSize")?.and_then(whole) {
            Some(size) if size < 0 => {
                return Err(CommandError::new(
                    51024,
                    format!("BSON field 'batchSize' value must be >= 0, actual value '{size}'"),
                ));
            }
            Some(size) if size > 0 => size as usize,
            _ => usize::MAX,
        };
        let now = Instant::now();
        let Some(entry) = self.open.get(&id, now) else {
            if self.within.get(&id, now).is_some() {
                return Err(refused(
                    50740,
                    id,
                    "created in a transaction, without a txnNumber",
                ));
            }
            return Err(CommandError::new(43, format!("cursor id {id} not found")));
        };
        if *entry.namespace != *namespace {
            return Err(CommandError::new(
                13,
                format!(
                    "Requested getMore on namespace '{namespace}', but cursor belongs to a different namespace {}",
                    entry.namespace
                ),
            ));
        }
        let caller = session(command)?;
        match (entry.owner.as_deref(), caller.as_deref()) {
            (None, Some(_)) => {
                return Err(refused(50736, id, "not created in a session, in a session"));
            }
            (Some(_), None) => {
                return Err(refused(50737, id, "created in a session, without an lsid"));
            }
            (owner, caller) if owner != caller => {
                return Err(refused(50738, id, "created in another session"));
            }
            _ => {}
        }
        self.open.renew(&id, now);
        let Ok(mut reading) = entry.cursor.try_lock() else {
            return Err(CommandError::new(
                12051,
                format!("cursor id {id} is already in use"),
            ));
        };
        let outcome = reading.batch(wanted).await;
        if reading.done() || outcome.is_err() {
            self.forget(id);
        }
        let mut batch = RawArrayBuf::new();
        for document in outcome? {
            batch.push(document);
        }
        let id = if reading.done() { 0 } else { id };
        Ok(rawdoc! {
            "cursor": { "nextBatch": batch, "id": id, "ns": namespace },
            "ok": 1.0,
        })
    }

    /// Remembers the cursor of a transaction's reply, or that it is at its end.
    pub(crate) fn of_transaction(&self, command: &RawDocument, reply: &RawDocument) {
        let now = Instant::now();
        match (identity(reply).0, command.get("getMore")) {
            (0, Ok(Some(RawBsonRef::Int64(id)))) => drop(self.within.take(&id, |()| true)),
            (0, _) => {}
            (id, _) => self.within.put(id, (), now),
        }
    }

    /// `killCursors`; the driver tells the server when a cursor is dropped.
    pub(crate) fn kill(&self, command: &RawDocument) -> Answer {
        let (mut killed, mut unknown) = (RawArrayBuf::new(), RawArrayBuf::new());
        let ids = command.get_array("cursors").map_err(|_| {
            let message = "BSON field 'killCursors.cursors' is missing but a required field";
            CommandError::new(40414, message)
        })?;
        for id in ids {
            let RawBsonRef::Int64(id) = id? else {
                let message =
                    "BSON field 'killCursors.cursors' has the wrong type, expected type 'long'";
                return Err(CommandError::new(14, message));
            };
            let list = if self.forget(id) {
                &mut killed
            } else {
                &mut unknown
            };
            list.push(id);
        }
        Ok(rawdoc! {
            "cursorsKilled": killed,
            "cursorsNotFound": unknown,
            "cursorsAlive": RawArrayBuf::new(),
            "cursorsUnknown": RawArrayBuf::new(),
            "ok": 1.0,
        })
    }

    fn forget(&self, id: i64) -> bool {
        self.open.take(&id, |_| true).is_some()
    }
}

impl Reading {
    /// At most `wanted` documents, and about as many bytes as a server's batch
    /// has: the driver asks for as many as in the first batch, whatever is wanted
    /// now. Cancel safe: the driver's cursor keeps a request that is under way,
    /// and nothing is taken before the end.
    async fn batch(&mut self, wanted: usize) -> Result<Vec<RawDocumentBuf>, CommandError> {
        let mut bytes: usize = self.rest.iter().map(|d| d.as_bytes().len()).sum();
        while self.rest.len() < wanted && bytes < BATCH_BYTES && !self.ended {
            match self.cursor.next().await {
                None => self.ended = true,
                Some(batch) => {
                    let batch = batch.map_err(|error| translate(&error))?;
                    self.ended = identity(batch.as_raw_document()).0 == 0;
                    for document in batch.doc_slices().map_err(|error| translate(&error))? {
                        if let RawBsonRef::Document(document) = document? {
                            bytes += document.as_bytes().len();
                            self.rest.push_back(document.to_owned());
                        }
                    }
                }
            }
        }
        let size = wanted.min(self.rest.len());
        Ok(self.rest.drain(..size).collect())
    }

    fn done(&self) -> bool {
        self.ended && self.rest.is_empty()
    }
}

/// A cursor that is somebody else's.
fn refused(code: i32, id: i64, why: &str) -> CommandError {
    CommandError::new(
        code,
        format!("Cannot run getMore on cursor {id}, which was {why}"),
    )
}

/// A reply's cursor id and namespace.
fn identity(reply: &RawDocument) -> (i64, String) {
    let Ok(cursor) = reply.get_document("cursor") else {
        return (0, String::new());
    };
    let id = cursor.get("id").ok().flatten().and_then(whole).unwrap_or(0);
    (id, cursor.get_str("ns").unwrap_or_default().to_owned())
}
