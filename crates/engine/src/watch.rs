//! What to watch, and what is told of it.

use bson::{RawDocument, RawDocumentBuf, Timestamp};

use crate::{Answer, BoxFuture};

/// What to watch.
///
/// At most one of `resume_after`, `start_after` and `start_at_operation_time`
/// may be there (40674, 50865).
#[derive(Debug, Clone, Default)]
pub struct WatchRequest {
    /// The database; `None` watches the whole deployment.
    pub database: Option<String>,
    /// The collection; `None` watches the whole database.
    pub collection: Option<String>,
    /// Stages over the events.
    pub pipeline: Vec<RawDocumentBuf>,
    /// The document with updates.
    pub full_document: FullDocument,
    /// The document before an update, replacement or delete.
    pub full_document_before_change: BeforeChange,
    /// Continue after this token; not after an invalidation (260).
    pub resume_after: Option<RawDocumentBuf>,
    /// Continue after this token, also beyond an invalidation.
    pub start_after: Option<RawDocumentBuf>,
    /// Begin with what happened at this time.
    pub start_at_operation_time: Option<Timestamp>,
    /// Also tell of `create`, `createIndexes`, `dropIndexes` and `modify`, and
    /// add `collectionUUID` and `operationDescription`.
    pub show_expanded_events: bool,
}

/// What an update's event has as `fullDocument`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FullDocument {
    /// Nothing.
    #[default]
    Default,
    /// The document as it is when the event is read; null when it is gone.
    UpdateLookup,
    /// The document after the update, where the collection keeps images; null
    /// elsewhere.
    WhenAvailable,
    /// The same; an event without one ends the feed (47).
    Required,
}

impl FullDocument {
    /// MongoDB's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::UpdateLookup => "updateLookup",
            Self::WhenAvailable => "whenAvailable",
            Self::Required => "required",
        }
    }
}

/// What an event has as `fullDocumentBeforeChange`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BeforeChange {
    /// Nothing.
    #[default]
    Off,
    /// The document before the change, where the collection keeps images; null
    /// elsewhere.
    WhenAvailable,
    /// The same; an event without one ends the feed (47).
    Required,
}

impl BeforeChange {
    /// MongoDB's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::WhenAvailable => "whenAvailable",
            Self::Required => "required",
        }
    }
}

impl WatchRequest {
    /// The `$changeStream` stage that asks a server for the same.
    pub fn stage(&self) -> RawDocumentBuf {
        use bson::cstr;
        let mut options = RawDocumentBuf::new();
        if self.full_document != FullDocument::Default {
            options.append(cstr!("fullDocument"), self.full_document.name());
        }
        if self.full_document_before_change != BeforeChange::Off {
            let name = self.full_document_before_change.name();
            options.append(cstr!("fullDocumentBeforeChange"), name);
        }
        let mut append = |name, token: &Option<RawDocumentBuf>| {
            if let Some(token) = token {
                options.append(name, token.as_ref() as &RawDocument);
            }
        };
        append(cstr!("resumeAfter"), &self.resume_after);
        append(cstr!("startAfter"), &self.start_after);
        if let Some(time) = self.start_at_operation_time {
            options.append(cstr!("startAtOperationTime"), time);
        }
        if self.show_expanded_events {
            options.append(cstr!("showExpandedEvents"), true);
        }
        if self.database.is_none() {
            options.append(cstr!("allChangesForCluster"), true);
        }
        bson::rawdoc! { "$changeStream": options }
    }
}

/// A stream of change events.
pub trait ChangeFeed: Send + Sync {
    /// Waits for the next event. Cancel safe.
    fn next(&mut self) -> BoxFuture<'_, Answer>;

    /// The token to continue after what has been read so far. It moves on while
    /// the feed is asked for events and others' happen.
    fn resume_token(&self) -> Option<RawDocumentBuf>;
}
