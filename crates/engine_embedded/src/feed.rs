//! Change feeds: readers of the log table. A slow reader costs nothing but
//! the log's retention.

mod scope;
mod token;

use std::collections::VecDeque;
use std::sync::Arc;

use bson::raw::RawBson;
use bson::{RawDocument, RawDocumentBuf, Timestamp, cstr, rawdoc};
use engine::{
    Answer, BeforeChange, BoxFuture, ChangeFeed, CommandError, FullDocument, WatchRequest,
};
use mql::Matcher;
use mql::aggregate::{Pipeline, Stage};

use crate::event::patched;
use crate::kv::Table;
use crate::layout::{Position, TRIMMED};
use crate::log::{self, Logged};
use crate::query::{self, Wanted};
use crate::walk::Effort;
use crate::{Core, View, mql as mql_error};

use scope::Scope;
use token::{Kind, Token};

/// Events read from the log at once.
const EVENTS_PER_READ: usize = 256;
/// Bytes after which no more events are read at once.
const BYTES_PER_READ: usize = 4 * 1024 * 1024;

pub(crate) struct Feed {
    core: Arc<Core>,
    scope: Scope,
    full: FullDocument,
    before: BeforeChange,
    /// The leading filters, which need no decoding.
    matchers: Vec<Matcher>,
    rest: Pipeline,
    /// The last event read; what comes next is after it.
    position: Position,
    latest: tokio::sync::watch::Receiver<Position>,
    ready: VecDeque<(Token, RawDocumentBuf)>,
    token: Token,
    /// Set when what was read ends the feed, after what is ready.
    end: Option<CommandError>,
}

impl Feed {
    pub(crate) fn open(core: Arc<Core>, request: WatchRequest) -> Result<Self, CommandError> {
        let scope = Scope::of(&request)?;
        let (matchers, rest) = stages(&request.pipeline)?;
        let latest = core.latest.subscribe();
        let from = begin(&request, *latest.borrow())?;
        let mut feed = Self {
            core,
            scope,
            full: request.full_document,
            before: request.full_document_before_change,
            matchers,
            rest,
            position: from.position,
            latest,
            ready: VecDeque::new(),
            token: from,
            end: None,
        };
        feed.check_history(&feed.core.view.load())?;
        if from.kind == Kind::Event {
            feed.check_event(from.position)?;
        }
        Ok(feed)
    }

    /// Refuses to go on where the log no longer reaches back to.
    fn check_history(&self, view: &View) -> Result<(), CommandError> {
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

    /// Makes sure that the event a token names is one of this log's. One that
    /// invalidates is told of so again.
    fn check_event(&mut self, position: Position) -> Result<(), CommandError> {
        let view = self.core.view.load_full();
        let Some(event) = log::find(view.snapshot.as_ref(), position)? else {
            // The newest that was trimmed is not there, and what follows is.
            let newest = view.snapshot.get(Table::Meta, TRIMMED)?;
            if newest.as_deref() == Some(&position.key()) {
                return Ok(());
            }
            return Err(CommandError::new(
                280,
                "cannot resume stream; the resume token was not found.",
            )
            .label("NonResumableChangeStreamError"));
        };
        let event = event.event()?;
        if self.scope.ends_with(event) {
            self.invalidate(position, event);
        }
        Ok(())
    }

    fn invalidate(&mut self, position: Position, event: &RawDocument) {
        let token = Token {
            position,
            kind: Kind::Invalidate,
        };
        let mut invalidate = head(token, "invalidate");
        if let Ok(Some(time)) = event.get("wallTime") {
            invalidate.append(cstr!("wallTime"), time);
        }
        self.ready.push_back((token, invalidate));
        self.end = Some(ended());
    }

    async fn wait(&mut self) -> Answer {
        loop {
            if let Some((token, event)) = self.ready.pop_front() {
                self.token = token;
                if self.ready.is_empty() && self.end.is_none() {
                    self.mark();
                }
                return Ok(event);
            }
            if let Some(error) = self.end.take() {
                self.end = Some(ended());
                return Err(error);
            }
            // Marked as seen before the log is read, so that no commit is missed.
            self.latest.borrow_and_update();
            match self.read() {
                Ok(true) => {
                    if self.ready.is_empty() && self.end.is_none() {
                        self.mark();
                        // There may be much that is not for this reader.
                        tokio::task::yield_now().await;
                    }
                }
                Ok(false) => {
                    if self.latest.changed().await.is_err() {
                        return Err(CommandError::new(91, "the database is closed"));
                    }
                }
                Err(error) => self.end = Some(error),
            }
        }
    }

    /// Moves the token to what has been read.
    fn mark(&mut self) {
        if self.position > self.token.position {
            self.token = Token {
                position: self.position,
                kind: Kind::Mark,
            };
        }
    }

    /// Reads on in the log; says whether there was anything.
    fn read(&mut self) -> Result<bool, CommandError> {
        // What is not on the disk yet may still be lost.
        let durable = *self.latest.borrow();
        let recent = self.core.recent.since(self.position, EVENTS_PER_READ);
        let mut events = match recent {
            Some(events) => events,
            None => self.stored()?,
        };
        events.retain(|event| {
            let at = event.position;
            (at.time, at.increment) <= (durable.time, durable.increment)
        });
        let any = !events.is_empty();
        let mut bytes = 0;
        for logged in events {
            let (position, event) = (logged.position, logged.event()?);
            self.position = position;
            if let Some(event) = self.complete(position, event)? {
                bytes += event.as_bytes().len();
                let token = Token {
                    position,
                    kind: Kind::Event,
                };
                self.ready.push_back((token, event));
            }
            if self.scope.ends_with(event) {
                self.invalidate(position, event);
            }
            if self.end.is_some() || bytes > BYTES_PER_READ {
                break;
            }
        }
        Ok(any)
    }

    /// The next events of the log table.
    fn stored(&self) -> Result<Vec<Logged>, CommandError> {
        let view = self.core.view.load_full();
        // Of the same moment: what is trimmed after it is still there.
        self.check_history(&view)?;
        let most = (EVENTS_PER_READ, BYTES_PER_READ);
        log::since(view.snapshot.as_ref(), self.position, most)
    }

    /// An event as a reader sees it; `None` when it is not for this feed.
    fn complete(
        &self,
        position: Position,
        event: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, CommandError> {
        if !self.scope.has(event) {
            return Ok(None);
        }
        let full = self.told(position, event)?;
        for matcher in &self.matchers {
            if !matcher.matches(&full).map_err(mql_error)? {
                return Ok(None);
            }
        }
        if self.rest.is_empty() {
            return Ok(Some(full));
        }
        let id = full.get_document("_id").map(ToOwned::to_owned).ok();
        let mut output = self.rest.run(Box::new(std::iter::once(Ok(full))));
        let Some(event) = output.next().transpose().map_err(mql_error)? else {
            return Ok(None);
        };
        if event.get_document("_id").ok() != id.as_deref() {
            return Err(CommandError::new(
                280,
                "Encountered an event whose _id field, which contains the resume token, was modified by the pipeline. \
                 Modifying the _id field of an event makes it impossible to resume the stream from that point. \
                 Only transformations that retain the unmodified _id field are allowed.",
            )
            .label("NonResumableChangeStreamError"));
        }
        Ok(Some(event))
    }

    /// An event with what this reader asks for, in MongoDB's order.
    fn told(
        &self,
        position: Position,
        event: &RawDocument,
    ) -> Result<RawDocumentBuf, CommandError> {
        let kind = event.get_str("operationType").unwrap_or_default();
        let token = Token {
            position,
            kind: Kind::Event,
        };
        let mut full = head(token, kind);
        let mut copy = |name: &bson::raw::CStr| -> Result<(), CommandError> {
            if let Some(value) = event.get(name.as_str())? {
                full.append(name, value);
            }
            Ok(())
        };
        copy(cstr!("txnNumber"))?;
        copy(cstr!("lsid"))?;
        if self.scope.expanded {
            copy(cstr!("collectionUUID"))?;
        }
        copy(cstr!("wallTime"))?;
        copy(cstr!("fullDocument"))?;
        let update = kind == "update";
        let wants_image = (self.before != BeforeChange::Off
            && matches!(kind, "update" | "replace" | "delete"))
            || (update
                && matches!(
                    self.full,
                    FullDocument::WhenAvailable | FullDocument::Required
                ));
        let image = if wants_image {
            self.image(position)?
        } else {
            None
        };
        if update && self.full != FullDocument::Default {
            let document = match self.full {
                FullDocument::UpdateLookup => self.lookup(event)?,
                _ => image
                    .as_deref()
                    .map(|image| after(image, event))
                    .transpose()?,
            };
            if document.is_none() && self.full == FullDocument::Required {
                return Err(no_image(
                    "post-image for all update events, but the post-image",
                    position,
                    event,
                ));
            }
            let document = document.map_or(RawBson::Null, RawBson::Document);
            full.append(cstr!("fullDocument"), document);
        }
        let mut copy = |name: &bson::raw::CStr| -> Result<(), CommandError> {
            if let Some(value) = event.get(name.as_str())? {
                full.append(name, value);
            }
            Ok(())
        };
        copy(cstr!("ns"))?;
        copy(cstr!("to"))?;
        copy(cstr!("documentKey"))?;
        copy(cstr!("updateDescription"))?;
        if self.scope.expanded {
            copy(cstr!("operationDescription"))?;
            copy(cstr!("stateBeforeChange"))?;
        }
        if self.before != BeforeChange::Off && matches!(kind, "update" | "replace" | "delete") {
            let before = image.as_deref().and_then(|image| image.get("before").ok()?);
            match before {
                Some(before) => full.append(cstr!("fullDocumentBeforeChange"), before),
                None if self.before == BeforeChange::Required => {
                    return Err(no_image(
                        "pre-image for all update, delete and replace events, but the pre-image",
                        position,
                        event,
                    ));
                }
                None => full.append(cstr!("fullDocumentBeforeChange"), RawBson::Null),
            }
        }
        Ok(full)
    }

    fn image(&self, position: Position) -> Result<Option<RawDocumentBuf>, CommandError> {
        let view = self.core.view.load_full();
        let image = view.snapshot.get(Table::Images, &position.key())?;
        let image = image.map(|image| RawDocumentBuf::from_bytes(image.to_vec()));
        Ok(image.transpose()?)
    }

    /// The document of an event as it is now, in the collection that it was in.
    fn lookup(&self, event: &RawDocument) -> Result<Option<RawDocumentBuf>, CommandError> {
        let view = self.core.view.load_full();
        let (Ok(namespace), Ok(key)) =
            (event.get_document("ns"), event.get_document("documentKey"))
        else {
            return Ok(None);
        };
        let (Ok(database), Ok(name)) = (namespace.get_str("db"), namespace.get_str("coll")) else {
            return Ok(None);
        };
        let uuid = event.get_binary("collectionUUID").ok();
        let found = view.catalog.get(database, name).cloned();
        let Some(found) = found
            .filter(|found| uuid.is_none_or(|uuid| uuid.bytes == found.uuid.bytes().as_slice()))
        else {
            return Ok(None);
        };
        let matcher = Matcher::parse(key).map_err(mql_error)?;
        let mut document = None;
        query::each(
            (&view, None),
            &found,
            &Wanted::by(&matcher),
            &Effort::default(),
            &mut |found| {
                document = Some(found.document()?.to_owned());
                Ok(false)
            },
        )?;
        Ok(document)
    }
}

impl ChangeFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(self.wait())
    }

    fn resume_token(&self) -> Option<RawDocumentBuf> {
        Some(self.token.write())
    }
}

/// What every event begins with.
fn head(token: Token, kind: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": token.write(), "operationType": kind,
        "clusterTime": Timestamp { time: token.position.time, increment: token.position.increment },
    }
}

fn ended() -> CommandError {
    CommandError::new(280, "the change stream has ended")
}

/// The document after an update, of its image.
fn after(image: &RawDocument, event: &RawDocument) -> Result<RawDocumentBuf, CommandError> {
    if let Ok(after) = image.get_document("after") {
        return Ok(after.to_owned());
    }
    let damaged = |error: bson::error::Error| CommandError::new(1, error.to_string());
    patched(
        image.get_document("before").map_err(damaged)?,
        event.get_document("updateDescription").map_err(damaged)?,
    )
}

fn no_image(what: &str, position: Position, event: &RawDocument) -> CommandError {
    let kind = event.get_str("operationType").unwrap_or_default();
    let namespace = event.get_document("ns").ok();
    let part = |name| {
        namespace
            .and_then(|ns| ns.get_str(name).ok())
            .unwrap_or_default()
    };
    CommandError::new(
        47,
        format!(
            "Change stream was configured to require a {what} was not found for event: \
             {{operationType: \"{kind}\", ns: {{db: \"{}\", coll: \"{}\"}}, clusterTime: Timestamp({}, {})}}",
            part("db"),
            part("coll"),
            position.time,
            position.increment
        ),
    )
}

/// Where a feed begins: behind a token, at a time, or with what comes.
fn begin(request: &WatchRequest, latest: Position) -> Result<Token, CommandError> {
    let mark = |position| Token {
        position,
        kind: Kind::Mark,
    };
    match (
        &request.resume_after,
        &request.start_after,
        request.start_at_operation_time,
    ) {
        (None, None, None) => Ok(mark(Position {
            // Everything up to now is past, whatever its index.
            index: u32::MAX,
            ..latest
        })),
        (Some(token), None, None) => {
            let token = Token::read(token)?;
            if token.kind == Kind::Invalidate {
                return Err(CommandError::new(
                    260,
                    "Attempting to resume a change stream using 'resumeAfter' is not allowed from an invalidate notification",
                ));
            }
            Ok(token)
        }
        (None, Some(token), None) => Token::read(token),
        (None, None, Some(Timestamp { time, increment })) => Ok(mark(Position {
            time: time.saturating_sub(u32::from(increment == 0)),
            increment: increment.wrapping_sub(1),
            index: u32::MAX,
        })),
        (Some(_), Some(_), _) => Err(CommandError::new(
            50865,
            "Do not specify both 'resumeAfter' and 'startAfter' in a $changeStream stage",
        )),
        _ => Err(CommandError::new(
            40674,
            "Only one type of resume option is allowed, but multiple were found",
        )),
    }
}

/// A pipeline's leading filters and what follows.
fn stages(pipeline: &[RawDocumentBuf]) -> Result<(Vec<Matcher>, Pipeline), CommandError> {
    let mut stages = bson::RawArrayBuf::new();
    for stage in pipeline {
        let name = stage
            .iter()
            .next()
            .transpose()?
            .map(|(name, _)| name.as_str());
        if let Some(name) = name.and_then(scope::forbidden_stage) {
            return Err(CommandError::new(
                20,
                format!("{name} is not permitted in a $changeStream pipeline"),
            ));
        }
        stages.push(stage.clone());
    }
    let mut rest = Pipeline::parse(&stages).map_err(mql_error)?;
    let mut matchers = Vec::new();
    while matches!(rest.stages().first(), Some(Stage::Match(_))) {
        if let Some(Stage::Match(matcher)) = rest.take_first() {
            matchers.push(matcher);
        }
    }
    Ok((matchers, rest))
}
