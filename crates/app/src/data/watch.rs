//! watch: every event passes the role of its document; what does not is
//! dropped (rules-schemas.md §6, client-api.md §5.4).

use std::time::{Duration, Instant};

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use engine::{ChangeFeed, CommandError, FullDocument, SharedEngine, WatchRequest};
use kit::{Kind, Problem};
use mql::{Matcher, Projection};
use rules::Readable;

use super::arguments::Arguments;
use super::failure::{language, malformed, mongodb, restricted};
use super::guard::Guard;
use super::{Access, Namespace};

/// How long a deployment may be away before its streams end, and how often it
/// is tried.
const AWAY_MAX: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(200);

/// A stream of the changes that a caller may see.
pub struct Watch {
    engine: SharedEngine,
    request: WatchRequest,
    feed: Box<dyn ChangeFeed>,
    access: Access,
    namespace: Namespace,
    filter: Option<Matcher>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) async fn open(
        engine: &SharedEngine,
        access: &Access,
        namespace: Namespace,
        arguments: &Arguments<'_>,
    ) -> Result<Self, Problem> {
        if arguments.flag("useCompactEvents")? {
            return Err(Problem::invalid_parameter(
                "unsupported: compact change events (useCompactEvents)",
            ));
        }
        let (ids, filter) = (arguments.array("ids")?, arguments.document("filter")?);
        if ids.is_some() && filter.is_some() {
            return Err(Problem::invalid_parameter(
                "watch takes either 'ids' or 'filter'",
            ));
        }
        if let (Some(filter), Access::User(_)) = (filter, access) {
            rules::forbidden_in_query(filter).map_err(restricted)?;
        }
        let mut pipeline = Vec::new();
        if let Some(ids) = ids {
            let ids: RawArrayBuf = ids.to_owned();
            pipeline.push(rawdoc! { "$match": { "documentKey._id": { "$in": ids } } });
        }
        let request = WatchRequest {
            database: Some(namespace.database.clone()),
            collection: Some(namespace.collection.clone()),
            pipeline,
            full_document: FullDocument::UpdateLookup,
            ..WatchRequest::default()
        };
        Ok(Self {
            feed: engine.watch(request.clone()).await.map_err(mongodb)?,
            engine: engine.clone(),
            request,
            access: access.clone(),
            namespace,
            filter: filter.map(Matcher::parse).transpose().map_err(language)?,
        })
    }

    /// The collection that is watched.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Waits for the next event that the caller may see.
    ///
    /// Not cancel safe: give up the stream with the future.
    ///
    /// # Errors
    /// What ends the stream.
    pub async fn next(&mut self) -> Result<RawDocumentBuf, Problem> {
        loop {
            let event = match self.feed.next().await {
                Ok(event) => event,
                Err(error) => {
                    self.resume(error).await?;
                    continue;
                }
            };
            if let Some(event) = self.visible(event).await? {
                return Ok(event);
            }
        }
    }

    /// Goes on after what was read, when the deployment was away for a while.
    async fn resume(&mut self, error: CommandError) -> Result<(), Problem> {
        let (true, Some(token)) = (error.is_unreachable(), self.feed.resume_token()) else {
            return Err(mongodb(error));
        };
        let request = WatchRequest {
            resume_after: Some(token),
            ..self.request.clone()
        };
        let start = Instant::now();
        loop {
            match self.engine.watch(request.clone()).await {
                Ok(feed) => {
                    self.feed = feed;
                    return Ok(());
                }
                Err(error) if error.is_unreachable() && start.elapsed() < AWAY_MAX => {
                    tokio::time::sleep(TRY_EVERY).await;
                }
                Err(error) => return Err(mongodb(error)),
            }
        }
    }

    async fn visible(&self, event: RawDocumentBuf) -> Result<Option<RawDocumentBuf>, Problem> {
        let operation = event.get_str("operationType").map_err(Problem::internal)?;
        if operation == "invalidate" {
            return Err(Problem::new(
                Kind::Invalid,
                "MongoDBError",
                format!(
                    "the collection '{}' was dropped, closing watch stream",
                    self.namespace
                ),
            ));
        }
        let event = match &self.access {
            Access::System => Some(event),
            Access::User(user) => {
                let rules = user.rules.of(&self.namespace)?;
                let mut guard = Guard::new(user, rules);
                match operation {
                    "delete" => deleted(&guard, &event)?,
                    "insert" | "update" | "replace" => changed(&mut guard, &event).await?,
                    _ => None,
                }
            }
        };
        // The filter sees what the caller sees, not what is hidden.
        match (event, &self.filter) {
            (Some(event), Some(filter)) => {
                let passes = filter.matches(&event).map_err(language)?;
                Ok(passes.then_some(event))
            }
            (event, _) => Ok(event),
        }
    }
}

/// There is no document to ask about: the event names only the key, and only to
/// callers for whom some document may be visible.
fn deleted(guard: &Guard<'_>, event: &RawDocument) -> Result<Option<RawDocumentBuf>, Problem> {
    let narrowed = guard.narrowed();
    let nothing = narrowed.exact
        && narrowed
            .query
            .is_some_and(|query| query.as_bytes() == nothing().as_bytes());
    if nothing {
        return Ok(None);
    }
    let mut minimal = RawDocumentBuf::new();
    for entry in event {
        let (name, value) = entry.map_err(malformed)?;
        if matches!(
            name.as_str(),
            "_id" | "operationType" | "ns" | "documentKey" | "clusterTime"
        ) {
            minimal.append(name, value);
        }
    }
    Ok(Some(minimal))
}

fn nothing() -> RawDocumentBuf {
    rawdoc! { "_id": { "$in": [] } }
}

async fn changed(
    guard: &mut Guard<'_>,
    event: &RawDocument,
) -> Result<Option<RawDocumentBuf>, Problem> {
    // Without a document there is nothing to decide by.
    let Some(RawBsonRef::Document(full)) = event.get("fullDocument").map_err(malformed)? else {
        return Ok(None);
    };
    let filters = guard.filters().await?;
    for query in &filters.queries {
        let matcher = Matcher::parse(query).map_err(language)?;
        if !matcher.matches(full).map_err(language)? {
            return Ok(None);
        }
    }
    let mut shown = match guard.read(full).await? {
        Readable::Hidden => return Ok(None),
        Readable::Whole => full.to_owned(),
        Readable::Masked(masked) => masked,
    };
    if let Some(projection) = &filters.projection {
        let projection = RawDocumentBuf::try_from(projection).map_err(malformed)?;
        let projection = Projection::parse(&projection).map_err(language)?;
        shown = projection.apply(&shown, None).map_err(language)?;
    }
    let whole = shown.as_bytes() == full.as_bytes();
    let mut out = RawDocumentBuf::new();
    for entry in event {
        let (name, value) = entry.map_err(malformed)?;
        match (name.as_str(), value) {
            ("fullDocument", _) => out.append(name, shown.as_ref()),
            ("fullDocumentBeforeChange", _) => {}
            ("updateDescription", RawBsonRef::Document(description)) if !whole => {
                out.append(name, described(description, full, &shown)?);
            }
            _ => out.append(name, value),
        }
    }
    Ok(Some(out))
}

/// The part of an update's description that is about fields shown as they are.
/// Removed fields have no value to decide by and stay untold.
fn described(
    description: &RawDocument,
    full: &RawDocument,
    shown: &RawDocument,
) -> Result<RawDocumentBuf, Problem> {
    let is_shown = |path: &str| {
        let field = path.split('.').next().unwrap_or(path);
        match (full.get(field), shown.get(field)) {
            (Ok(Some(full)), Ok(Some(shown))) => full == shown,
            _ => false,
        }
    };
    let mut fields = RawDocumentBuf::new();
    if let Ok(updated) = description.get_document("updatedFields") {
        for entry in updated {
            let (path, value) = entry.map_err(malformed)?;
            if is_shown(path.as_str()) {
                fields.append(path, value);
            }
        }
    }
    let mut truncated = RawArrayBuf::new();
    if let Ok(list) = description.get_array("truncatedArrays") {
        for entry in list.into_iter().flatten() {
            if let RawBsonRef::Document(array) = entry
                && array.get_str("field").is_ok_and(is_shown)
            {
                truncated.push(entry);
            }
        }
    }
    Ok(rawdoc! {
        "updatedFields": fields,
        "removedFields": [],
        "truncatedArrays": truncated,
    })
}
