//! What the statements of a write did, and the reply that they come to.

use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use engine::{Answer, CommandError};

use super::modify::Operation;
use super::reply;
use crate::layout::Record;

/// What statements did, and the reply that they come to.
#[derive(Default)]
pub(super) struct Tally {
    n: i32,
    modified: i32,
    upserted: Vec<Bson>,
    pub(super) errors: Vec<Bson>,
    retried: Vec<i32>,
    /// The reply of a findAndModify.
    found: Option<RawDocumentBuf>,
    /// No more statements are to be run.
    pub(super) stopped: bool,
    /// Records that the last statement has not got to.
    pub(super) rest: Vec<Record>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.n += other.n;
        self.modified += other.modified;
        self.upserted.extend(other.upserted);
        self.errors.extend(other.errors);
        self.retried.extend(other.retried);
        self.found = other.found.or(self.found.take());
        self.stopped |= other.stopped;
    }

    pub(super) fn done(&mut self, index: usize, done: Done) {
        self.n += done.matched;
        self.modified += done.modified;
        if let Some(id) = done.upserted {
            self.n += 1;
            let upserted = doc! { "index": index as i32, "_id": id };
            self.upserted.push(upserted.into());
        }
        self.found = done.found.or(self.found.take());
    }

    /// Counts what a statement did when it was sent for the first time.
    pub(super) fn replay(
        &mut self,
        index: usize,
        number: i32,
        did: &RawDocument,
    ) -> Result<(), CommandError> {
        self.done(index, Done::read(did)?);
        self.retried.push(number);
        Ok(())
    }

    pub(super) fn reply(self, operation: &Operation) -> Answer {
        if operation.is_find_and_modify() {
            let mut answer = self.found.ok_or_else(|| {
                CommandError::new(
                    217,
                    "the number was used for a write of another kind before",
                )
            })?;
            if let Some(number) = self.retried.first() {
                answer.append(cstr!("retriedStmtId"), *number);
            }
            answer.append(cstr!("ok"), 1.0);
            return Ok(answer);
        }
        let mut answer = doc! { "n": self.n };
        if operation.is_update() {
            answer.insert("nModified", self.modified);
        }
        if !self.upserted.is_empty() {
            answer.insert("upserted", self.upserted);
        }
        if !self.retried.is_empty() {
            answer.insert("retriedStmtIds", self.retried);
        }
        if !self.errors.is_empty() {
            answer.insert("writeErrors", self.errors);
        }
        answer.insert("ok", 1.0);
        reply(&answer)
    }
}

/// What one statement did.
#[derive(Default)]
pub(super) struct Done {
    pub(super) matched: i32,
    pub(super) modified: i32,
    pub(super) upserted: Option<Bson>,
    /// The reply of a findAndModify.
    pub(super) found: Option<RawDocumentBuf>,
}

impl Done {
    /// As it is kept for a second try.
    pub(super) fn write(&self) -> Result<RawDocumentBuf, CommandError> {
        let mut did = rawdoc! { "n": self.matched, "m": self.modified };
        if let Some(id) = &self.upserted {
            did.append(cstr!("u"), bson::RawBson::try_from(id.clone())?);
        }
        if let Some(found) = &self.found {
            did.append(cstr!("f"), found.as_ref() as &RawDocument);
        }
        Ok(did)
    }

    fn read(did: &RawDocument) -> Result<Self, CommandError> {
        Ok(Self {
            matched: did.get_i32("n").unwrap_or(0),
            modified: did.get_i32("m").unwrap_or(0),
            upserted: did.get("u")?.map(Bson::try_from).transpose()?,
            found: did.get_document("f").ok().map(ToOwned::to_owned),
        })
    }
}

/// An error of one statement, as replies have it.
pub(super) fn write_error(index: usize, error: &CommandError) -> Document {
    let mut document = doc! { "index": index as i32, "code": error.code };
    if let Some(details) = &error.details
        && let Ok(details) = Document::try_from(details.as_ref() as &RawDocument)
    {
        document.extend(details);
    }
    document.insert("errmsg", error.message.clone());
    document
}
