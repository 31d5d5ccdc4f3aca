//! Change feeds: the driver's change streams, which resume by themselves when
//! a connection or a primary is lost.
//!
//! A stream that is being polled cannot be asked for its token, so the request
//! under way is kept here, with the last token beside it: a dropped `next`
//! loses nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{Document, RawDocument, RawDocumentBuf, Timestamp};
use engine::{
    Answer, BeforeChange, BoxFuture, ChangeFeed, CommandError, FullDocument, WatchRequest,
};
use kit::limit::NESTING_DEPTH_MAX;
use mongodb::Client;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::Error;
use mongodb::options::{FullDocumentBeforeChangeType, FullDocumentType};
use tokio::time::error::Elapsed;

use crate::error::{timed_out, translate};
use crate::settings::{Hidden, Parsed};

type Stream = Box<ChangeStream<RawDocumentBuf>>;
type Step = BoxFuture<'static, (Stream, Outcome)>;
/// What one request brought; an error of the outer kind is silence.
type Outcome = Result<Result<Option<RawDocumentBuf>, Error>, Elapsed>;

/// Shortest silence that is taken for a broken connection: a server that has
/// nothing to tell answers every second.
const SILENCE_MIN: Duration = Duration::from_secs(5);
/// Longest.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Feed {
    /// `None` once it has ended. The lock only makes it `Sync`.
    step: Mutex<Option<Step>>,
    token: Option<RawDocumentBuf>,
    /// How long one request may take, with a search for another server.
    limit: Duration,
    hidden: Arc<Hidden>,
}

impl Feed {
    pub(crate) async fn open(
        client: &Client,
        request: WatchRequest,
        parsed: &Parsed,
        hidden: Arc<Hidden>,
    ) -> Result<Self, CommandError> {
        let mut pipeline = Vec::new();
        for stage in &request.pipeline {
            check_depth(stage)?;
            pipeline.push(Document::try_from(stage.as_ref() as &RawDocument)?);
        }
        let asked = Asked::of(&request)?;
        let watch = match (request.database, request.collection) {
            (Some(database), Some(collection)) => {
                let database = client.database(&database);
                let collection = database.collection::<Document>(&collection);
                begin(collection.watch(), pipeline, asked).await
            }
            (Some(database), None) => {
                let database = client.database(&database);
                begin(database.watch(), pipeline, asked).await
            }
            (None, _) => begin(client.watch(), pipeline, asked).await,
        };
        let stream = Box::new(watch?);
        let mut feed = Self {
            step: Mutex::new(None),
            token: None,
            limit: parsed.contact + parsed.reply.clamp(SILENCE_MIN, SILENCE_MAX),
            hidden,
        };
        feed.keep(stream)?;
        Ok(feed)
    }

    /// Notes the stream's token and asks it for more, when polled.
    fn keep(&mut self, mut stream: Stream) -> Result<(), CommandError> {
        if let Some(token) = stream.resume_token() {
            self.token = Some(bson::serialize_to_raw_document_buf(&token)?);
        }
        let step = self.step.get_mut().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limit;
        *step = Some(Box::pin(async move {
            let event = tokio::time::timeout(limit, stream.next_if_any()).await;
            (stream, event)
        }));
        Ok(())
    }

    async fn wait(&mut self) -> Answer {
        loop {
            let step = self.step.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = step else {
                return Err(CommandError::new(280, "the change stream has ended"));
            };
            let (stream, event) = running.await;
            *step = None;
            match event {
                Err(_) => return Err(timed_out()),
                Ok(Ok(Some(event))) => {
                    self.keep(stream)?;
                    return Ok(event);
                }
                // A closed stream still hands out what came before its end.
                Ok(Ok(None)) if !stream.is_alive() => {}
                Ok(Ok(None)) => self.keep(stream)?,
                Ok(Err(error)) => return Err(self.hidden.clean(translate(&error))),
            }
        }
    }
}

/// A request in the driver's words.
struct Asked {
    full: Option<FullDocumentType>,
    before: Option<FullDocumentBeforeChangeType>,
    resume: Option<ResumeToken>,
    start: Option<ResumeToken>,
    time: Option<Timestamp>,
    expanded: bool,
}

impl Asked {
    fn of(request: &WatchRequest) -> Result<Self, CommandError> {
        let token = |token: &Option<RawDocumentBuf>| match token {
            Some(token) => bson::deserialize_from_slice(token.as_bytes()).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            full: match request.full_document {
                FullDocument::Default => None,
                FullDocument::UpdateLookup => Some(FullDocumentType::UpdateLookup),
                FullDocument::WhenAvailable => Some(FullDocumentType::WhenAvailable),
                FullDocument::Required => Some(FullDocumentType::Required),
            },
            before: match request.full_document_before_change {
                BeforeChange::Off => None,
                BeforeChange::WhenAvailable => Some(FullDocumentBeforeChangeType::WhenAvailable),
                BeforeChange::Required => Some(FullDocumentBeforeChangeType::Required),
            },
            resume: token(&request.resume_after)?,
            start: token(&request.start_after)?,
            time: request.start_at_operation_time,
            expanded: request.show_expanded_events,
        })
    }
}

async fn begin(
    watch: mongodb::action::Watch<'_>,
    pipeline: Vec<Document>,
    asked: Asked,
) -> Result<ChangeStream<RawDocumentBuf>, CommandError> {
    let mut watch = watch.pipeline(pipeline);
    if let Some(full) = asked.full {
        watch = watch.full_document(full);
    }
    if let Some(before) = asked.before {
        watch = watch.full_document_before_change(before);
    }
    if let Some(token) = asked.resume {
        watch = watch.resume_after(token);
    }
    if let Some(token) = asked.start {
        watch = watch.start_after(token);
    }
    if let Some(time) = asked.time {
        watch = watch.start_at_operation_time(time);
    }
    // Older servers do not know the option.
    if asked.expanded {
        watch = watch.show_expanded_events(true);
    }
    let stream = watch.await.map_err(|error| translate(&error))?;
    Ok(stream.with_type())
}

impl ChangeFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(self.wait())
    }

    fn resume_token(&self) -> Option<RawDocumentBuf> {
        self.token.clone()
    }
}

/// Refuses what would be decoded too deep: the driver takes stages decoded.
fn check_depth(stage: &RawDocument) -> Result<(), CommandError> {
    let mut open: Vec<(&RawDocument, usize)> = vec![(stage, 1)];
    while let Some((document, depth)) = open.pop() {
        if depth > NESTING_DEPTH_MAX {
            return Err(CommandError::new(
                15,
                format!("a stage is nested deeper than {NESTING_DEPTH_MAX} levels"),
            ));
        }
        for field in document {
            match field?.1 {
                RawBsonRef::Document(inner) => open.push((inner, depth + 1)),
                RawBsonRef::Array(inner) => {
                    // An array is a document whose names are numbers.
                    open.push((RawDocument::from_bytes(inner.as_bytes())?, depth + 1));
                }
                RawBsonRef::JavaScriptCodeWithScope(code) => open.push((code.scope, depth + 1)),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::check_depth;

    #[test]
    fn a_deep_stage_is_refused_and_not_decoded() {
        let mut stage = rawdoc! { "$match": { "a": [{ "b": 1 }] } };
        assert!(check_depth(&stage).is_ok());
        for _ in 0..2_000 {
            stage = rawdoc! { "a": [stage] };
        }
        assert_eq!(check_depth(&stage).unwrap_err().code, 15);
    }
}
