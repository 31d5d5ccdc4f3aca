//! Inserts that are larger than one command may be.
//!
//! Drivers send the documents of an insert beside the command, up to 48 MB;
//! raw commands hold them, and a command is a document of 16 MB at most. So a
//! large insert goes out as several, whose replies are put together.

use bson::raw::{RawArrayBuf, RawBsonRef};
use bson::{RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::CommandError;
use kit::limit::DOCUMENT_BYTES_MAX;

use crate::command::whole;

/// What an array needs for each element besides the element.
const ELEMENT_BYTES: usize = 10;

/// One of the inserts, and the place of its first document in the whole.
pub(crate) struct Piece {
    pub(crate) start: usize,
    pub(crate) command: RawDocumentBuf,
}

/// The inserts that a command is sent as; `None` when it can go as it is.
pub(crate) fn split(command: &RawDocument) -> Result<Option<Vec<Piece>>, CommandError> {
    let first = command.iter().next().transpose()?;
    if command.as_bytes().len() <= DOCUMENT_BYTES_MAX
        || first.is_none_or(|(name, _)| name.as_str() != "insert")
    {
        return Ok(None);
    }
    let Some(RawBsonRef::Array(documents)) = command.get("documents")? else {
        return Ok(None);
    };
    let mut pieces = Vec::new();
    let (mut start, mut list, mut bytes) = (0, RawArrayBuf::new(), 0);
    for (index, document) in documents.into_iter().enumerate() {
        let RawBsonRef::Document(document) = document? else {
            return Ok(None);
        };
        let size = document.as_bytes().len() + ELEMENT_BYTES;
        if bytes > 0 && bytes + size > DOCUMENT_BYTES_MAX {
            let command = with_documents(command, start, std::mem::take(&mut list))?;
            pieces.push(Piece { start, command });
            (start, bytes) = (index, 0);
        }
        list.push(document.to_owned());
        bytes += size;
    }
    let command = with_documents(command, start, list)?;
    pieces.push(Piece { start, command });
    Ok(Some(pieces))
}

/// The command with other documents; only the first begins a transaction.
fn with_documents(
    command: &RawDocument,
    start: usize,
    documents: RawArrayBuf,
) -> Result<RawDocumentBuf, CommandError> {
    let mut piece = RawDocumentBuf::new();
    for field in command {
        let (name, value) = field?;
        match name.as_str() {
            "documents" | "ops" => {}
            "startTransaction" if start > 0 => {}
            _ => piece.append(name, value),
        }
    }
    piece.append(cstr!("documents"), documents);
    Ok(piece)
}

/// The replies so far.
#[derive(Default)]
pub(crate) struct Replies {
    n: i64,
    errors: RawArrayBuf,
    failed: bool,
    concern: Option<RawDocumentBuf>,
}

impl Replies {
    pub(crate) fn add(&mut self, start: usize, reply: &RawDocument) -> Result<(), CommandError> {
        self.n += reply.get("n")?.and_then(whole).unwrap_or(0);
        if let Some(RawBsonRef::Document(error)) = reply.get("writeConcernError")? {
            self.concern.get_or_insert_with(|| error.to_owned());
        }
        let Some(RawBsonRef::Array(errors)) = reply.get("writeErrors")? else {
            return Ok(());
        };
        for error in errors {
            let RawBsonRef::Document(error) = error? else {
                continue;
            };
            let mut moved = RawDocumentBuf::new();
            for field in error {
                let (name, value) = field?;
                if name.as_str() == "index" {
                    let index = whole(value).unwrap_or(0) + start as i64;
                    moved.append(name, index as i32);
                } else {
                    moved.append(name, value);
                }
            }
            self.errors.push(moved);
            self.failed = true;
        }
        Ok(())
    }

    /// Whether a document was refused.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn reply(self) -> RawDocumentBuf {
        let mut reply = rawdoc! { "n": self.n as i32 };
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
