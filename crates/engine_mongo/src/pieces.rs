//! Writes that are larger than one command may be.
//!
//! Drivers send the statements of a write beside the command, up to 48 MB;
//! raw commands hold them, and a command is a document of 16 MB at most. So a
//! large write goes out as several, whose replies are put together.

use bson::raw::{CStr, RawArrayBuf, RawBsonRef};
use bson::{RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;
use kit::limit::{COMMAND_BYTES_MAX, DOCUMENT_BYTES_MAX};

use crate::command::whole;

/// What an array needs for each element besides the element.
const ELEMENT_BYTES: usize = 10;

/// One of the writes, and the place of its first statement in the whole.
pub(crate) struct Piece {
    pub(crate) start: usize,
    pub(crate) command: RawDocumentBuf,
}

/// The writes that a command is sent as; `None` when it can go as it is.
///
/// # Errors
/// 10334 for a command that is larger than any may be.
pub(crate) fn split(command: &RawDocument) -> Result<Option<Vec<Piece>>, CommandError> {
    let bytes = command.as_bytes().len();
    if bytes > COMMAND_BYTES_MAX {
        return Err(CommandError::too_large(bytes, COMMAND_BYTES_MAX));
    }
    if bytes <= DOCUMENT_BYTES_MAX {
        return Ok(None);
    }
    let first = command.iter().next().transpose()?;
    let field = match first.map_or("", |(name, _)| name.as_str()) {
        "insert" => cstr!("documents"),
        "update" => cstr!("updates"),
        "delete" => cstr!("deletes"),
        _ => return Ok(None),
    };
    let Some(RawBsonRef::Array(statements)) = command.get(field)? else {
        return Ok(None);
    };
    let mut pieces = Vec::new();
    let (mut start, mut list, mut bytes) = (0, RawArrayBuf::new(), 0);
    for (index, statement) in statements.into_iter().enumerate() {
        let RawBsonRef::Document(statement) = statement? else {
            return Ok(None);
        };
        let size = statement.as_bytes().len() + ELEMENT_BYTES;
        if bytes > 0 && bytes + size > DOCUMENT_BYTES_MAX {
            let command = with(command, field, start, std::mem::take(&mut list))?;
            pieces.push(Piece { start, command });
            (start, bytes) = (index, 0);
        }
        list.push(statement.to_owned());
        bytes += size;
    }
    let command = with(command, field, start, list)?;
    pieces.push(Piece { start, command });
    Ok(Some(pieces))
}

/// The command with other statements; only the first begins a transaction.
fn with(
    command: &RawDocument,
    statements: &CStr,
    start: usize,
    list: RawArrayBuf,
) -> Result<RawDocumentBuf, CommandError> {
    let mut piece = RawDocumentBuf::new();
    for field in command {
        let (name, value) = field?;
        match name.as_str() {
            "startTransaction" if start > 0 => {}
            name if name == statements.as_str() => {}
            _ => piece.append(name, value),
        }
    }
    piece.append(statements, list);
    Ok(piece)
}

/// The replies so far.
#[derive(Default)]
pub(crate) struct Replies {
    n: i64,
    modified: Option<i64>,
    upserted: RawArrayBuf,
    errors: RawArrayBuf,
    failed: bool,
    concern: Option<RawDocumentBuf>,
}

impl Replies {
    pub(crate) fn add(&mut self, start: usize, reply: &RawDocument) -> Result<(), CommandError> {
        let number = |name| Ok::<_, CommandError>(reply.get(name)?.and_then(whole));
        self.n += number("n")?.unwrap_or(0);
        if let Some(n) = number("nModified")? {
            *self.modified.get_or_insert(0) += n;
        }
        if let Some(RawBsonRef::Document(error)) = reply.get("writeConcernError")? {
            self.concern.get_or_insert_with(|| error.to_owned());
        }
        moved(reply, "upserted", start, &mut self.upserted)?;
        self.failed |= moved(reply, "writeErrors", start, &mut self.errors)?;
        Ok(())
    }

    /// Whether a statement was refused.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn reply(self) -> RawDocumentBuf {
        let mut reply = RawDocumentBuf::new();
        reply.append(cstr!("n"), self.n as i32);
        if let Some(modified) = self.modified {
            reply.append(cstr!("nModified"), modified as i32);
        }
        if !self.upserted.is_empty() {
            reply.append(cstr!("upserted"), self.upserted);
        }
        if self.failed {
            reply.append(cstr!("writeErrors"), self.errors);
        }
        if let Some(error) = self.concern {
            reply.append(cstr!("writeConcernError"), error);
        }
        reply.append(cstr!("ok"), 1.0);
        reply
    }
}

/// Adds what a piece's reply says of single statements, with their places in
/// the whole; whether that is anything.
fn moved(
    reply: &RawDocument,
    field: &str,
    start: usize,
    all: &mut RawArrayBuf,
) -> Result<bool, CommandError> {
    let Some(RawBsonRef::Array(list)) = reply.get(field)? else {
        return Ok(false);
    };
    for entry in list {
        let RawBsonRef::Document(entry) = entry? else {
            continue;
        };
        let mut moved = RawDocumentBuf::new();
        for field in entry {
            let (name, value) = field?;
            if name.as_str() == "index" {
                let index = whole(value).unwrap_or(0) + start as i64;
                moved.append(name, index as i32);
            } else {
                moved.append(name, value);
            }
        }
        all.push(moved);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn large(bytes: usize) -> RawDocumentBuf {
        rawdoc! { "q": {}, "u": { "text": "x".repeat(bytes) } }
    }

    #[test]
    fn a_large_update_goes_in_pieces_that_know_their_places() {
        let seven_mb = large(7_000_000);
        let updates = [seven_mb.clone(), seven_mb.clone(), seven_mb];
        let mut command = rawdoc! { "update": "c", "ordered": false, "startTransaction": true };
        command.append(cstr!("updates"), RawArrayBuf::from_iter(updates));
        let pieces = split(&command).unwrap().unwrap();
        let of = |piece: &Piece| {
            let list = piece.command.get_array("updates").unwrap();
            let starts = piece.command.get("startTransaction").unwrap().is_some();
            let ordered = piece.command.get_bool("ordered").unwrap();
            (piece.start, list.into_iter().count(), starts, ordered)
        };
        let pieces: Vec<_> = pieces.iter().map(of).collect();
        assert_eq!(pieces, [(0, 2, true, false), (2, 1, false, false)]);
        let mut replies = Replies::default();
        let first = rawdoc! { "n": 2, "nModified": 1, "upserted": [{ "index": 1, "_id": 7 }] };
        replies.add(0, &first).unwrap();
        assert!(!replies.failed());
        let second = rawdoc! { "n": 0, "nModified": 0, "writeErrors": [{ "index": 0, "code": 2 }] };
        replies.add(2, &second).unwrap();
        assert!(replies.failed());
        let whole = rawdoc! {
            "n": 2, "nModified": 1, "upserted": [{ "index": 1, "_id": 7 }],
            "writeErrors": [{ "index": 2, "code": 2 }], "ok": 1.0,
        };
        assert_eq!(replies.reply(), whole);
    }

    #[test]
    fn what_no_command_may_bring_is_refused() {
        let of = |bytes: usize| {
            let list: RawArrayBuf = (0..4).map(|_| large(bytes)).collect();
            let mut command = rawdoc! { "insert": "c" };
            command.append(cstr!("documents"), list);
            command
        };
        let most = of(11_999_900);
        assert!(most.as_bytes().len() <= COMMAND_BYTES_MAX);
        assert_eq!(split(&most).unwrap().map(|pieces| pieces.len()), Some(4));
        let more = of(12_000_000);
        let refused = split(&more).err().map(|error| error.code);
        assert_eq!(refused, Some(10334));
        // What is small goes as it is, and what is no write is the server's.
        let small = rawdoc! { "insert": "c", "documents": [{}] };
        assert!(split(&small).unwrap().is_none());
        let find = rawdoc! { "find": "c", "filter": large(17_000_000) };
        assert!(split(&find).unwrap().is_none());
    }
}
