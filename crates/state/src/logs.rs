//! The log at rest. Entries are stored packed, many in one record: they are much
//! alike, and a server that is busy adds thousands in a second.

use std::borrow::Cow;

use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Binary, Document, RawArrayBuf, RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;
use kit::limit;
use serde::{Deserialize, Serialize};

use crate::Record;

/// What a chunk may unpack to. A broken one is not to ask for more memory than a
/// record of before packing took.
const UNPACKED_BYTES_MAX: usize = limit::DOCUMENT_BYTES_MAX;

/// Log entries of an app that were written together. One record for many makes
/// a call's entry cost little.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogChunk {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the earliest of its entries began.
    pub from: i64,
    /// When the latest of its entries began.
    pub to: i64,
    /// The entries, in the order in which they were added: a BSON array, by LZ4,
    /// its size ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<Binary>,
    /// The entries of a chunk from before they were packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entries: Option<RawArrayBuf>,
}

impl Record for LogChunk {
    const TABLE: &'static str = "logs";
}

impl LogChunk {
    /// Packs entries of an app, as [`RawLogEntry::write`] makes them.
    ///
    /// # Errors
    /// When they are no entries or too large together.
    pub fn pack(
        id: String,
        app_id: String,
        entries: &[RawDocumentBuf],
    ) -> Result<Self, CommandError> {
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        let mut array = RawArrayBuf::new();
        for entry in entries {
            let started = entry.get_i64("started")?;
            (from, to) = (from.min(started), to.max(started));
            array.push(entry.as_ref() as &RawDocument);
        }
        if entries.is_empty() {
            (from, to) = (0, 0);
        }
        let bytes = array.as_bytes();
        if bytes.len() > UNPACKED_BYTES_MAX {
            return Err(CommandError::new(1, "log entries that no chunk can hold"));
        }
        let packed = Binary {
            subtype: BinarySubtype::Generic,
            bytes: lz4_flex::compress_prepend_size(bytes),
        };
        Ok(Self {
            id,
            app_id,
            from,
            to,
            packed: Some(packed),
            entries: None,
        })
    }

    /// The entries that are wanted, in the order in which they were added.
    ///
    /// # Errors
    /// When the chunk is damaged.
    pub fn entries(
        &self,
        wanted: impl Fn(&RawLogEntry<'_>) -> bool,
    ) -> Result<Vec<LogEntry>, CommandError> {
        self.read(wanted).map_err(|because| {
            let text = format!("a damaged record in logs: the chunk {}: {because}", self.id);
            CommandError::new(1, text)
        })
    }

    fn read(
        &self,
        wanted: impl Fn(&RawLogEntry<'_>) -> bool,
    ) -> Result<Vec<LogEntry>, Box<dyn std::error::Error>> {
        let array = match (&self.packed, &self.entries) {
            (Some(packed), _) => Cow::Owned(unpacked(&packed.bytes)?),
            (None, Some(entries)) => Cow::Borrowed(entries.as_bytes()),
            (None, None) => return Err("it has no entries".into()),
        };
        let mut found = Vec::new();
        for entry in RawDocument::from_bytes(&array)? {
            let RawBsonRef::Document(entry) = entry?.1 else {
                return Err("an entry is no document".into());
            };
            let entry = RawLogEntry::read(entry)?;
            if wanted(&entry) {
                found.push(entry.to_entry()?);
            }
        }
        Ok(found)
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (size, block) = lz4_flex::block::uncompressed_size(packed)?;
    if size > UNPACKED_BYTES_MAX {
        return Err(format!("{size} bytes are too many").into());
    }
    Ok(lz4_flex::block::decompress(block, size)?)
}

/// A log entry.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Its id.
    pub id: String,
    /// The app.
    pub app_id: String,
    /// When the request began.
    pub started: i64,
    /// When it ended.
    pub completed: i64,
    /// `FUNCTION`, `AUTH`, …
    pub kind: String,
    /// The request's id.
    pub co_id: String,
    /// The user, if any.
    pub user_id: String,
    /// What failed; empty on success.
    pub error: String,
    /// The wire's error code; empty on success.
    pub error_code: String,
    /// Everything else, by the names of the Admin API.
    pub details: Document,
}

/// A log entry as it is stored: what is in a [`LogEntry`], without a copy.
#[derive(Debug, Clone, Copy)]
pub struct RawLogEntry<'a> {
    /// Its id.
    pub id: &'a str,
    /// The app.
    pub app_id: &'a str,
    /// When the request began.
    pub started: i64,
    /// When it ended.
    pub completed: i64,
    /// `FUNCTION`, `AUTH`, …
    pub kind: &'a str,
    /// The request's id.
    pub co_id: &'a str,
    /// The user, if any.
    pub user_id: &'a str,
    /// What failed; empty on success.
    pub error: &'a str,
    /// The wire's error code; empty on success.
    pub error_code: &'a str,
    /// Everything else, by the names of the Admin API.
    pub details: &'a RawDocument,
}

impl<'a> RawLogEntry<'a> {
    /// The document that is stored.
    pub fn write(&self) -> RawDocumentBuf {
        const NAMES_AND_NUMBERS: usize = 144;
        let texts = [
            self.id,
            self.app_id,
            self.kind,
            self.co_id,
            self.user_id,
            self.error,
            self.error_code,
        ];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        // Made in one piece: thousands may wait, and none is to be larger than it
        // has to be.
        let mut empty =
            Vec::with_capacity(NAMES_AND_NUMBERS + texts + self.details.as_bytes().len());
        empty.extend_from_slice(RawDocumentBuf::new().as_bytes());
        let mut document = RawDocumentBuf::from_bytes(empty).unwrap_or_default();
        document.append(cstr!("_id"), self.id);
        document.append(cstr!("app_id"), self.app_id);
        document.append(cstr!("started"), self.started);
        document.append(cstr!("completed"), self.completed);
        document.append(cstr!("type"), self.kind);
        document.append(cstr!("co_id"), self.co_id);
        document.append(cstr!("user_id"), self.user_id);
        document.append(cstr!("error"), self.error);
        document.append(cstr!("error_code"), self.error_code);
        document.append(cstr!("details"), self.details);
        document
    }

    /// Reads a stored document.
    ///
    /// # Errors
    /// When it is no entry.
    pub fn read(document: &'a RawDocument) -> Result<Self, CommandError> {
        Ok(Self {
            id: document.get_str("_id")?,
            app_id: document.get_str("app_id")?,
            started: document.get_i64("started")?,
            completed: document.get_i64("completed")?,
            kind: document.get_str("type")?,
            co_id: document.get_str("co_id")?,
            user_id: document.get_str("user_id")?,
            error: document.get_str("error")?,
            error_code: document.get_str("error_code")?,
            details: document.get_document("details")?,
        })
    }

    /// The same with copies.
    ///
    /// # Errors
    /// When the details are damaged.
    pub fn to_entry(&self) -> Result<LogEntry, CommandError> {
        Ok(LogEntry {
            id: self.id.to_owned(),
            app_id: self.app_id.to_owned(),
            started: self.started,
            completed: self.completed,
            kind: self.kind.to_owned(),
            co_id: self.co_id.to_owned(),
            user_id: self.user_id.to_owned(),
            error: self.error.to_owned(),
            error_code: self.error_code.to_owned(),
            details: Document::try_from(self.details)?,
        })
    }
}
