//! Change feeds: readers of the log table. A slow reader costs nothing but
//! the log's retention.

use std::collections::VecDeque;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, Timestamp, cstr, rawdoc};
use engine::{Answer, BoxFuture, ChangeFeed, CommandError, WatchRequest};
use mql::Matcher;
use mql::aggregate::{Pipeline, Stage};

use crate::kv::Table;
use crate::layout::{Position, TRIMMED};
use crate::{Core, mql as mql_error, query};

/// Events read from the log at once.
const EVENTS_PER_READ: usize = 256;

pub(crate) struct Feed {
    core: Arc<Core>,
    request: WatchRequest,
    pipeline: Pipeline,
    /// The last event read; what comes next is after it.
    position: Position,
    latest: tokio::sync::watch::Receiver<Position>,
    ready: VecDeque<RawDocumentBuf>,
    token: Option<RawDocumentBuf>,
    ended: bool,
}

impl Feed {
    pub(crate) fn open(core: Arc<Core>, request: WatchRequest) -> Result<Self, CommandError> {
        let mut stages = bson::RawArrayBuf::new();
        for stage in &request.pipeline {
            stages.push(stage.clone());
        }
        let pipeline = Pipeline::parse(&stages).map_err(mql_error)?;
        for stage in pipeline.stages() {
            if !matches!(
                stage,
                Stage::Match(_)
                    | Stage::Project(_)
                    | Stage::AddFields(_)
                    | Stage::Unset(_)
                    | Stage::ReplaceRoot(_)
            ) {
                return Err(CommandError::new(
                    20,
                    "this stage is not allowed in a change stream's pipeline",
                ));
            }
        }
        let latest = core.latest.subscribe();
        let position = match &request.resume_after {
            Some(token) => parse_token(token)?,
            // Everything up to now is past, whatever its index.
            None => Position {
                index: u32::MAX,
                ..*latest.borrow()
            },
        };
        let feed = Self {
            core,
            request,
            pipeline,
            position,
            latest,
            ready: VecDeque::new(),
            token: None,
            ended: false,
        };
        if feed.request.resume_after.is_some() {
            feed.check_history()?;
        }
        Ok(feed)
    }

    /// Refuses to go on where the log no longer reaches back to.
    fn check_history(&self) -> Result<(), CommandError> {
        let view = self.core.view.load();
        let trimmed = view.snapshot.get(Table::Meta, TRIMMED)?;
        let trimmed = trimmed.and_then(|key| Position::from_key(&key));
        if trimmed.is_some_and(|trimmed| self.position < trimmed) {
            return Err(CommandError::new(
                286,
                "Resume of change stream was not possible, as the resume point may no longer be in the oplog.",
            )
            .label("NonResumableChangeStreamError"));
        }
        Ok(())
    }

    async fn wait(&mut self) -> Answer {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if let Ok(token) = event.get_document("_id") {
                    self.token = Some(token.to_owned());
                }
                return Ok(event);
            }
            if self.ended {
                return Err(CommandError::new(280, "the change stream was invalidated"));
            }
            // Marked as seen before the log is read, so that no commit is missed.
            self.latest.borrow_and_update();
            if self.read()? {
                continue;
            }
            if self.latest.changed().await.is_err() {
                return Err(CommandError::new(91, "the database is closed"));
            }
        }
    }

    /// Reads on in the log; says whether there was anything.
    fn read(&mut self) -> Result<bool, CommandError> {
        self.check_history()?;
        // What is not on the disk yet may still be lost.
        let durable = *self.latest.borrow();
        let view = self.core.view.load_full();
        let mut start = self.position.key().to_vec();
        start.push(0);
        let mut any = false;
        for pair in view
            .snapshot
            .range(Table::Log, &start, &[0xff; 13], false)
            .take(EVENTS_PER_READ)
        {
            let (key, value) = pair?;
            let Some(position) = Position::from_key(&key) else {
                continue;
            };
            if (position.time, position.increment) > (durable.time, durable.increment) {
                break;
            }
            any = true;
            self.position = position;
            let event = RawDocumentBuf::from_bytes(value)?;
            if let Some(event) = self.complete(position, &event)? {
                self.ready.push_back(event);
            }
            if self.ended {
                self.ready.push_back(invalidate(position));
                break;
            }
        }
        Ok(any)
    }

    /// An event as a reader sees it; `None` when it is not for this feed.
    fn complete(
        &mut self,
        position: Position,
        event: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, CommandError> {
        let namespace = event
            .get_document("ns")
            .map_err(|error| CommandError::new(1, error.to_string()))?;
        let (database, collection) = (namespace.get_str("db").ok(), namespace.get_str("coll").ok());
        let kind = event.get_str("operationType").unwrap_or_default();
        let wanted = |want: &Option<String>, found: Option<&str>| {
            want.as_deref().is_none_or(|want| Some(want) == found)
        };
        if !wanted(&self.request.database, database)
            || (!wanted(&self.request.collection, collection) && kind != "dropDatabase")
        {
            return Ok(None);
        }
        self.ended = match kind {
            "drop" => self.request.collection.is_some(),
            "dropDatabase" => self.request.database.is_some(),
            _ => false,
        };
        let mut full = RawDocumentBuf::new();
        full.append(cstr!("_id"), token(position));
        full.append(cstr!("operationType"), kind);
        full.append(
            cstr!("clusterTime"),
            Timestamp {
                time: position.time,
                increment: position.increment,
            },
        );
        for entry in event.iter().skip(1) {
            let (name, value) = entry?;
            full.append(name, value);
        }
        if self.request.full_document && kind == "update" {
            let key = event.get_document("documentKey").ok();
            match key
                .map(|key| self.lookup(database, collection, key))
                .transpose()?
                .flatten()
            {
                Some(document) => full.append(cstr!("fullDocument"), document),
                None => full.append(cstr!("fullDocument"), bson::RawBson::Null),
            }
        }
        if self.pipeline.is_empty() {
            return Ok(Some(full));
        }
        let mut output = self.pipeline.run(Box::new(std::iter::once(Ok(full))));
        output.next().transpose().map_err(mql_error)
    }

    fn lookup(
        &self,
        database: Option<&str>,
        collection: Option<&str>,
        key: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, CommandError> {
        let view = self.core.view.load_full();
        let found = database
            .zip(collection)
            .and_then(|(d, c)| view.catalog.get(d, c).cloned());
        let Some(found) = found else {
            return Ok(None);
        };
        let matcher = Matcher::parse(key).map_err(mql_error)?;
        let mut document = None;
        query::each(&view, None, &found, &matcher, &mut |located| {
            document = Some(located.document);
            Ok(false)
        })?;
        Ok(document)
    }
}

impl ChangeFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(self.wait())
    }

    fn resume_token(&self) -> Option<RawDocumentBuf> {
        self.token.clone()
    }
}

fn token(position: Position) -> RawDocumentBuf {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(26);
    // A version first, so that the form can change.
    hex.push_str("01");
    for byte in position.key() {
        let _ = write!(hex, "{byte:02x}");
    }
    rawdoc! { "_data": hex }
}

fn parse_token(token: &RawDocument) -> Result<Position, CommandError> {
    let invalid = || CommandError::new(260, "Invalid resume token");
    let Ok(Some(RawBsonRef::String(hex))) = token.get("_data") else {
        return Err(invalid());
    };
    let digits = hex
        .strip_prefix("01")
        .filter(|hex| hex.is_ascii())
        .ok_or_else(invalid)?;
    let bytes: Option<Vec<u8>> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    bytes
        .filter(|bytes| bytes.len() == 12)
        .and_then(|bytes| Position::from_key(&bytes))
        .ok_or_else(invalid)
}

fn invalidate(position: Position) -> RawDocumentBuf {
    rawdoc! {
        "_id": token(position), "operationType": "invalidate",
        "clusterTime": Timestamp { time: position.time, increment: position.increment },
    }
}
