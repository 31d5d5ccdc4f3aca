//! Replies with a batch of documents, getMore and killCursors.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc};
use engine::{Answer, CommandError};

use super::{check_fields, reply, waited_for, whole};
use crate::cursor::{Cursor, Cursors, Owner};
use crate::transaction::Transaction;
use crate::walk::Effort;
use crate::{Core, View};

/// The reply with the first documents; the rest is kept for a getMore. `ends`
/// is whether the cursor is closed where the last document just fits, which
/// MongoDB has not seen the end of in an aggregate.
pub(super) fn first_batch(
    core: &Core,
    namespace: String,
    documents: Vec<RawDocumentBuf>,
    size: usize,
    ends: bool,
) -> RawDocumentBuf {
    let mut cursor = Cursor::held(namespace.clone(), documents);
    let view = core.view.load();
    // Held documents are not read from anywhere: nothing to fail.
    let filled = cursor.fill(&view, None, size, &Effort::default());
    let (batch, more) = filled.unwrap_or_default();
    let id = if !more || ends && cursor.is_empty() {
        0
    } else {
        core.cursors.open(cursor)
    };
    answer(true, batch, id, &namespace)
}

/// A reply with documents.
pub(super) fn answer(first: bool, batch: RawArrayBuf, id: i64, namespace: &str) -> RawDocumentBuf {
    let mut cursor = RawDocumentBuf::new();
    if first {
        cursor.append(cstr!("firstBatch"), batch);
    } else {
        cursor.append(cstr!("nextBatch"), batch);
    }
    cursor.append(cstr!("id"), id);
    cursor.append(cstr!("ns"), namespace);
    let mut reply = RawDocumentBuf::new();
    reply.append(cstr!("cursor"), cursor);
    reply.append(cstr!("ok"), 1.0);
    reply
}

fn required(command: &str, field: &str) -> CommandError {
    CommandError::new(
        40414,
        format!("BSON field '{command}.{field}' is missing but a required field"),
    )
}

fn mistyped(field: &str, value: RawBsonRef<'_>, wanted: &str) -> CommandError {
    let found = mql::type_name(value);
    CommandError::new(
        14,
        format!("BSON field '{field}' is the wrong type '{found}', expected type '{wanted}'"),
    )
}

pub(super) async fn get_more(
    core: &Arc<Core>,
    database: &str,
    command: &RawDocument,
    transaction: Option<Arc<Transaction>>,
) -> Answer {
    let (view, more) = (core.view.load_full(), More::parse(database, command)?);
    let cursor = more.take(&core.cursors)?;
    let core = core.clone();
    waited_for(move |gone| more.answer(cursor, &core.cursors, &view, transaction.as_deref(), gone))
        .await
}

/// getMore on a state that does not change.
pub(crate) async fn get_more_at(
    cursors: &Arc<Cursors>,
    view: Arc<View>,
    database: &str,
    command: &RawDocument,
) -> Answer {
    let (cursors, more) = (cursors.clone(), More::parse(database, command)?);
    let cursor = more.take(&cursors)?;
    waited_for(move |gone| more.answer(cursor, &cursors, &view, None, gone)).await
}

/// A parsed getMore.
struct More {
    id: i64,
    size: usize,
    namespace: String,
    asking: Owner,
}

impl More {
    fn parse(database: &str, command: &RawDocument) -> Result<Self, CommandError> {
        let id = match command.get("getMore")? {
            Some(RawBsonRef::Int64(id)) => id,
            Some(other) => return Err(mistyped("getMore.getMore", other, "long")),
            None => 0,
        };
        check_fields(
            command,
            &[
                "collection",
                "batchSize",
                "term",
                "lastKnownCommittedOpTime",
            ],
        )?;
        let target = match command.get("collection")? {
            Some(RawBsonRef::String(target)) => target,
            Some(other) => return Err(mistyped("getMore.collection", other, "string")),
            None => return Err(required("getMore", "collection")),
        };
        let size = match whole(command, "batchSize")? {
            Some(size) if size < 0 => {
                return Err(CommandError::new(
                    51024,
                    format!("BSON field 'batchSize' value must be >= 0, actual value '{size}'"),
                ));
            }
            // No size is as much as goes into a reply.
            None | Some(0) => usize::MAX,
            Some(size) => size as usize,
        };
        Ok(Self {
            id,
            size,
            namespace: format!("{database}.{target}"),
            asking: Owner::of(command)?,
        })
    }

    fn take(&self, cursors: &Cursors) -> Result<Cursor, CommandError> {
        cursors.take(self.id, &self.namespace, &self.asking)
    }

    fn answer(
        &self,
        mut cursor: Cursor,
        cursors: &Cursors,
        view: &View,
        transaction: Option<&Transaction>,
        gone: Arc<AtomicBool>,
    ) -> Answer {
        let effort = Effort::limited(cursor.time, Some(gone));
        let filled = effort.limit(|| match transaction {
            Some(transaction) => transaction.with(|changes| {
                let view = changes.view.clone();
                cursor.fill(&view, Some(changes), self.size, &effort)
            }),
            None => cursor
                .renew(view)
                .and_then(|()| cursor.fill(view, None, self.size, &effort)),
        });
        match filled {
            Ok((batch, true)) => {
                cursor.time = effort.left();
                cursors.put_back(self.id, cursor);
                Ok(answer(false, batch, self.id, &self.namespace))
            }
            Ok((batch, false)) => {
                cursors.close(self.id);
                Ok(answer(false, batch, 0, &self.namespace))
            }
            Err(error) => {
                cursors.close(self.id);
                Err(error)
            }
        }
    }
}

pub(crate) fn kill(cursors: &Cursors, command: &RawDocument) -> Answer {
    let ids = match command.get("cursors")? {
        Some(RawBsonRef::Array(ids)) => ids,
        Some(other) => return Err(mistyped("killCursors.cursors", other, "array")),
        None => return Err(required("killCursors", "cursors")),
    };
    let mut wanted = Vec::new();
    for (at, id) in ids.into_iter().enumerate() {
        match id? {
            RawBsonRef::Int64(id) => wanted.push(id),
            other => {
                return Err(mistyped(
                    &format!("killCursors.cursors.{at}"),
                    other,
                    "long",
                ));
            }
        }
    }
    let (killed, missing): (Vec<i64>, Vec<i64>) =
        wanted.into_iter().partition(|id| cursors.close(*id));
    reply(&doc! {
        "cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": [],
        "cursorsUnknown": [], "ok": 1.0,
    })
}
