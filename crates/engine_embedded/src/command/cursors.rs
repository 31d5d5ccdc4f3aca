//! Replies with a batch of documents, getMore and killCursors.

use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc};
use engine::{Answer, CommandError};

use super::{check_fields, reply, waited_for, whole};
use crate::cursor::{Cursor, Owner};
use crate::transaction::Transaction;
use crate::walk::Effort;
use crate::{Core, View};

/// The reply with the first documents; the rest is kept for a getMore.
pub(super) fn first_batch(
    core: &Core,
    namespace: String,
    documents: Vec<RawDocumentBuf>,
    size: usize,
) -> RawDocumentBuf {
    let mut cursor = Cursor::held(namespace.clone(), documents);
    let view = core.view.load();
    // Held documents are not read from anywhere: nothing to fail.
    let filled = cursor.fill(&view, None, size, &Effort::default());
    let batch = filled.map(|(batch, _)| batch).unwrap_or_default();
    let id = if cursor.is_empty() {
        0
    } else {
        core.cursors.open(cursor)
    };
    answer(true, batch, id, &namespace)
}

/// A reply with documents.
pub(crate) fn answer(first: bool, batch: RawArrayBuf, id: i64, namespace: &str) -> RawDocumentBuf {
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
    let namespace = format!("{database}.{target}");
    let view = core.view.load_full();
    let mut cursor = core.cursors.take(id, &namespace, &Owner::of(command)?)?;
    let core = core.clone();
    waited_for(move |gone| {
        let effort = Effort::limited(cursor.time, Some(gone));
        let filled = match &transaction {
            Some(transaction) => transaction.with(|changes| {
                let view = changes.view.clone();
                cursor.fill(&view, Some(changes), size, &effort)
            }),
            None => filled(&mut cursor, &view, size, &effort),
        };
        match filled {
            Ok((batch, true)) => {
                cursor.time = effort.left();
                core.cursors.put_back(id, cursor);
                Ok(answer(false, batch, id, &namespace))
            }
            Ok((batch, false)) => {
                core.cursors.close(id);
                Ok(answer(false, batch, 0, &namespace))
            }
            Err(error) => {
                core.cursors.close(id);
                Err(error)
            }
        }
    })
    .await
}

fn filled(
    cursor: &mut Cursor,
    view: &View,
    size: usize,
    effort: &Effort,
) -> Result<(RawArrayBuf, bool), CommandError> {
    cursor.renew(view)?;
    cursor.fill(view, None, size, effort)
}

pub(super) fn kill(core: &Core, command: &RawDocument) -> Answer {
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
        wanted.into_iter().partition(|id| core.cursors.close(*id));
    reply(&doc! {
        "cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": [],
        "cursorsUnknown": [], "ok": 1.0,
    })
}
