//! Writing documents in batches that fit into a message.

use bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::{CommandError, SharedEngine};

use crate::{ArchiveError, BATCH_BYTES_MAX, BATCH_DOCUMENTS_MAX};

/// Failures that are told one by one.
pub(crate) const FAILURES_TOLD_MAX: usize = 20;

/// Gathers documents or statements and sends them.
pub(crate) struct Batches<'a> {
    engine: &'a SharedEngine,
    database: &'a str,
    collection: &'a str,
    /// `insert` or `update`.
    verb: Verb,
    /// Stop at the first failure.
    pub(crate) stop: bool,
    list: RawArrayBuf,
    count: usize,
    bytes: usize,
    /// The number of the first of the batch.
    first: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Failures, the first few: the number of the document from 0, and why.
    pub(crate) failures: Vec<(u64, String)>,
}

/// What is done with what is gathered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verb {
    Insert,
    Update,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(
        engine: &'a SharedEngine,
        database: &'a str,
        collection: &'a str,
        verb: Verb,
        stop: bool,
    ) -> Self {
        Self {
            engine,
            database,
            collection,
            verb,
            stop,
            list: RawArrayBuf::new(),
            count: 0,
            bytes: 0,
            first: 0,
            done: 0,
            failed: 0,
            failures: Vec::new(),
        }
    }

    /// Adds a document to insert, or a statement; sends what is full. Says
    /// whether to go on.
    pub(crate) async fn add(&mut self, document: RawDocumentBuf) -> Result<bool, ArchiveError> {
        let size = document.as_bytes().len();
        if self.count > 0
            && (self.count >= BATCH_DOCUMENTS_MAX || self.bytes + size > BATCH_BYTES_MAX)
            && !self.flush().await?
        {
            return Ok(false);
        }
        self.list.push(document);
        self.count += 1;
        self.bytes += size;
        Ok(true)
    }

    /// Sends what is there.
    pub(crate) async fn flush(&mut self) -> Result<bool, ArchiveError> {
        if self.count == 0 {
            return Ok(true);
        }
        let list = std::mem::take(&mut self.list);
        match self.send(list.clone()).await {
            Ok(reply) => self.count_reply(&reply, 0),
            Err(error) if !is_of_document(&error) => return Err(self.failed_with(error)),
            // One that is wrong in itself, such as too large, fails its whole
            // message: one by one they show which it is.
            Err(_) => {
                for (index, document) in list.into_iter().enumerate() {
                    if self.stop && self.failed > 0 {
                        break;
                    }
                    let document = document.map_err(|error| self.failed_with(error.into()))?;
                    let mut alone = RawArrayBuf::new();
                    alone.push(document);
                    let reply = match self.send(alone).await {
                        Ok(reply) => reply,
                        Err(error) if !is_of_document(&error) => {
                            return Err(self.failed_with(error));
                        }
                        Err(error) => rawdoc! {
                            "n": 0, "writeErrors": [{ "index": 0, "errmsg": error.message }],
                        },
                    };
                    self.count_reply(&reply, index as u64);
                }
            }
        }
        self.first += self.count as u64;
        self.count = 0;
        self.bytes = 0;
        Ok(!(self.stop && self.failed > 0))
    }

    async fn send(&self, list: RawArrayBuf) -> Result<RawDocumentBuf, CommandError> {
        let mut command = match self.verb {
            Verb::Insert => rawdoc! { "insert": self.collection },
            Verb::Update => rawdoc! { "update": self.collection },
        };
        command.append(cstr!("ordered"), self.stop);
        match self.verb {
            Verb::Insert => command.append(cstr!("documents"), list),
            Verb::Update => command.append(cstr!("updates"), list),
        }
        self.engine.command(self.database, &command).await
    }

    fn failed_with(&self, error: CommandError) -> ArchiveError {
        ArchiveError::engine(format!("{}.{}", self.database, self.collection))(error)
    }

    /// Adds up a reply to what begins at `offset` of the batch.
    fn count_reply(&mut self, reply: &RawDocument, offset: u64) {
        let number = |name: &str| match reply.get(name) {
            Ok(Some(bson::raw::RawBsonRef::Int32(n))) => n.max(0) as u64,
            Ok(Some(bson::raw::RawBsonRef::Int64(n))) => n.max(0) as u64,
            _ => 0,
        };
        self.done += number("n");
        for error in reply
            .get_array("writeErrors")
            .into_iter()
            .flatten()
            .flatten()
        {
            self.failed += 1;
            let Some(error) = error.as_document() else {
                continue;
            };
            if self.failures.len() < FAILURES_TOLD_MAX {
                let index = error.get_i32("index").unwrap_or(0).max(0) as u64;
                let text = error.get_str("errmsg").unwrap_or("refused");
                self.failures
                    .push((self.first + offset + index, text.to_owned()));
            }
        }
        if let Ok(error) = reply.get_document("writeConcernError") {
            let text = error.get_str("errmsg").unwrap_or("not acknowledged");
            self.failed += 1;
            self.failures.push((self.first, text.to_owned()));
        }
    }
}

/// Whether an error is about what was sent, not about the server.
fn is_of_document(error: &CommandError) -> bool {
    !matches!(error.code, 6 | 7 | 89 | 91 | 11600 | 10107 | 13435) && !error.is_transient()
}

/// Runs a command of a database.
pub(crate) async fn run(
    engine: &SharedEngine,
    database: &str,
    command: Document,
) -> Result<RawDocumentBuf, CommandError> {
    let command = RawDocumentBuf::try_from(&command)?;
    engine.command(database, &command).await
}

/// Drops a collection that may be there.
pub(crate) async fn drop_collection(
    engine: &SharedEngine,
    database: &str,
    name: &str,
) -> Result<(), ArchiveError> {
    match run(engine, database, bson::doc! { "drop": name }).await {
        Err(error) if error.code != 26 => {
            Err(ArchiveError::engine(format!("{database}.{name}"))(error))
        }
        _ => Ok(()),
    }
}
