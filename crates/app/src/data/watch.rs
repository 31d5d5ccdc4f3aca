//! watch: every event passes the role of its document; what does not is
//! dropped (rules-schemas.md §6, client-api.md §5.4).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::raw::{CStr, RawBsonRef};
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::{ChangeFeed, CommandError, FullDocument, SharedEngine, WatchRequest};
use kit::{Kind, Problem};
use mql::{Matcher, Projection};
use rules::{Merged, Metrics, Readable};

use super::arguments::Arguments;
use super::failure::{language, malformed, mongodb, restricted};
use super::guard::Guard;
use super::{Access, Namespace, marker};

/// How long a deployment may be away before its streams end, and how often it
/// is tried.
const AWAY_MAX: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// Where those clients keep a document's version.
const VERSION: &str = "__stitch_sync_version";

/// A stream of the changes that a caller may see.
pub struct Watch {
    engine: SharedEngine,
    request: WatchRequest,
    feed: Box<dyn ChangeFeed>,
    access: Access,
    namespace: Namespace,
    filter: Option<Matcher>,
    compact: bool,
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
        let compact = arguments.flag("useCompactEvents")?;
        let (ids, filter) = (arguments.array("ids")?, arguments.document("filter")?);
        if ids.is_some() && filter.is_some() {
            return Err(Problem::invalid_parameter(
                "watch takes either 'ids' or 'filter'",
            ));
        }
        if let (Some(filter), Access::User(user)) = (filter, access) {
            let allowed = &user.rules.settings.allowed;
            allowed.check_query(filter).map_err(restricted)?;
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
            compact,
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
            match self.visible(event).await? {
                Some(event) if self.compact => return compacted(&event),
                Some(event) => return Ok(event),
                None => {}
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
        let event = marker::event(event);
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
                let metrics = Arc::<Mutex<Metrics>>::default();
                let mut guard = Guard::new(user, rules, metrics.clone());
                let event = match operation {
                    "delete" => deleted(&mut guard, &event).await?,
                    "insert" | "update" | "replace" => changed(&mut guard, &event).await?,
                    _ => None,
                };
                drop(guard);
                let metrics = metrics.lock().unwrap_or_else(PoisonError::into_inner);
                user.log.add(&self.namespace, &rules.rules, &metrics);
                event
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

/// The short form of an event that older clients ask for (client-api.md §5.4):
/// `ot`, `dk`, `fd` of an insert or replacement, `ud` of an update, and of the
/// document its version (`sdv`), where it has one, and its hash (`sdh`).
fn compacted(event: &RawDocument) -> Result<RawDocumentBuf, Problem> {
    let operation = event.get_str("operationType").map_err(Problem::internal)?;
    let mut compact = rawdoc! { "ot": operation };
    let mut copy = |from: &str, to: &CStr| -> Result<(), Problem> {
        if let Some(value) = event.get(from).map_err(malformed)? {
            compact.append(to, value);
        }
        Ok(())
    };
    copy("documentKey", cstr!("dk"))?;
    if operation == "update" {
        copy("updateDescription", cstr!("ud"))?;
    } else {
        copy("fullDocument", cstr!("fd"))?;
    }
    if let Some(RawBsonRef::Document(full)) = event.get("fullDocument").map_err(malformed)? {
        let mut plain = RawDocumentBuf::new();
        for entry in full {
            let (name, value) = entry.map_err(malformed)?;
            if name.as_str() == VERSION {
                compact.append(cstr!("sdv"), value);
            } else {
                plain.append(name, value);
            }
        }
        compact.append(cstr!("sdh"), hash(plain.as_bytes()));
    }
    Ok(compact)
}

/// FNV-1a of 64 bits, by which those clients know a document.
fn hash(bytes: &[u8]) -> i64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    hash.cast_signed()
}

/// There is no document to ask about: the event names only the key, and only to
/// callers for whom some document of that key may be visible.
async fn deleted(
    guard: &mut Guard<'_>,
    event: &RawDocument,
) -> Result<Option<RawDocumentBuf>, Problem> {
    let key = match event.get("documentKey").map_err(malformed)? {
        Some(RawBsonRef::Document(key)) => key.get("_id").map_err(malformed)?,
        _ => None,
    };
    let mut id = RawDocumentBuf::new();
    if let Some(key) = key {
        id.append(cstr!("_id"), key);
    }
    let filters = guard.filters().await?;
    let narrowed = guard.narrowed();
    for query in filters.queries.iter().chain(narrowed.query.as_ref()) {
        if excludes(query, &id)? {
            return Ok(None);
        }
    }
    let mut shown = if guard.may_show("_id") {
        id
    } else {
        RawDocumentBuf::new()
    };
    if let Some(projection) = projection_of(&filters)? {
        shown = projection.apply(&shown, None).map_err(language)?;
    }
    told(event, &shown, Changes::Shown { whole: false }).map(Some)
}

/// Whether no document with this `_id` matches a query, whatever else it has.
fn excludes(query: &RawDocument, id: &RawDocument) -> Result<bool, Problem> {
    for entry in query {
        let (name, test) = entry.map_err(malformed)?;
        let excluded = match (name.as_str(), test) {
            ("_id", test) => {
                let mut query = RawDocumentBuf::new();
                query.append(cstr!("_id"), test);
                let matcher = Matcher::parse(&query).map_err(language)?;
                !matcher.matches(id).map_err(language)?
            }
            (operator @ ("$and" | "$or"), RawBsonRef::Array(queries)) => {
                let mut all = operator == "$or" && !queries.is_empty();
                let mut any = false;
                for query in queries.into_iter().flatten() {
                    let excluded = match query {
                        RawBsonRef::Document(query) => excludes(query, id)?,
                        _ => false,
                    };
                    all &= excluded;
                    any |= excluded;
                }
                if operator == "$or" { all } else { any }
            }
            _ => false,
        };
        if excluded {
            return Ok(true);
        }
    }
    Ok(false)
}

fn projection_of(filters: &Merged) -> Result<Option<Projection>, Problem> {
    let Some(projection) = &filters.projection else {
        return Ok(None);
    };
    let projection = RawDocumentBuf::try_from(projection).map_err(malformed)?;
    Projection::parse(&projection).map(Some).map_err(language)
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
    if let Some(projection) = projection_of(&filters)? {
        shown = projection.apply(&shown, None).map_err(language)?;
    }
    let changes = if guard.shows_everything() {
        Changes::All
    } else {
        Changes::Shown {
            whole: shown.as_bytes() == full.as_bytes()
                && (!guard.protects() || guard.shows(full, &[]).await?),
        }
    };
    told(event, &shown, changes).map(Some)
}

/// What is told of an update.
#[derive(Clone, Copy)]
enum Changes {
    /// Everything: this caller sees every document whole at any time.
    All,
    /// What the shown document has; it is the whole one or a part.
    Shown { whole: bool },
}

/// The event as a caller is told of it who sees `shown` of the document: nothing
/// but what is listed here, and no key that is not shown.
fn told(
    event: &RawDocument,
    shown: &RawDocument,
    changes: Changes,
) -> Result<RawDocumentBuf, Problem> {
    let operation = event.get_str("operationType").map_err(Problem::internal)?;
    let mut out = RawDocumentBuf::new();
    for entry in event {
        let (name, value) = entry.map_err(malformed)?;
        match (name.as_str(), value) {
            // The key is in the token, too.
            ("_id", _) if shown.get("_id").map_err(malformed)?.is_none() => {
                out.append(name, rawdoc! { "_data": place(event) });
            }
            ("_id" | "operationType" | "clusterTime" | "wallTime" | "ns", _) => {
                out.append(name, value);
            }
            ("fullDocument", _) if operation != "delete" => out.append(name, shown),
            ("documentKey", RawBsonRef::Document(key)) => {
                let mut known = RawDocumentBuf::new();
                for entry in key {
                    let (name, value) = entry.map_err(malformed)?;
                    if shown.get(name.as_str()).map_err(malformed)? == Some(value) {
                        known.append(name, value);
                    }
                }
                out.append(name, known);
            }
            ("updateDescription", RawBsonRef::Document(description)) => match changes {
                Changes::All => out.append(name, value),
                Changes::Shown { whole } => {
                    out.append(name, described(description, shown, whole)?);
                }
            },
            _ => {}
        }
    }
    Ok(out)
}

/// Where an event stands, without saying of what.
fn place(event: &RawDocument) -> String {
    match event.get("clusterTime") {
        Ok(Some(RawBsonRef::Timestamp(at))) => format!("{:08X}{:08X}", at.time, at.increment),
        _ => String::new(),
    }
}

/// The part of an update's description that the shown document has: what a field
/// had in between may have been somebody else's. Removed fields have no value to
/// decide by: they are told of documents that are shown whole.
fn described(
    description: &RawDocument,
    shown: &RawDocument,
    whole: bool,
) -> Result<RawDocumentBuf, Problem> {
    let mut fields = RawDocumentBuf::new();
    if let Ok(updated) = description.get_document("updatedFields") {
        for entry in updated {
            let (path, value) = entry.map_err(malformed)?;
            if at(shown, path.as_str()) == Some(value) {
                fields.append(path, value);
            }
        }
    }
    let mut truncated = RawArrayBuf::new();
    if let Ok(list) = description.get_array("truncatedArrays") {
        for entry in list.into_iter().flatten() {
            if let RawBsonRef::Document(array) = entry
                && let (Ok(path), Ok(size)) = (array.get_str("field"), array.get_i32("newSize"))
                && let Some(RawBsonRef::Array(shown)) = at(shown, path)
                && shown.into_iter().count() == size as usize
            {
                truncated.push(entry);
            }
        }
    }
    let removed = match description.get_array("removedFields") {
        Ok(removed) if whole => removed.to_owned(),
        _ => RawArrayBuf::new(),
    };
    Ok(rawdoc! {
        "updatedFields": fields,
        "removedFields": removed,
        "truncatedArrays": truncated,
    })
}

/// The value at a path of names and indexes.
fn at<'a>(document: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    let mut value = RawBsonRef::Document(document);
    for name in path.split('.') {
        value = match value {
            RawBsonRef::Document(document) => document.get(name).ok()??,
            RawBsonRef::Array(array) => array.get(name.parse().ok()?).ok()??,
            _ => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::{compacted, hash};

    #[test]
    fn compact_events_are_short() {
        assert_eq!(hash(b""), -3_750_763_034_362_895_579);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c_u64.cast_signed());
        let version = rawdoc! { "spv": 1, "id": "x", "v": 2 };
        let document = rawdoc! { "_id": 1, "a": 2 };
        let digest = hash(document.as_bytes());
        let mut full = document.clone();
        full.append(bson::cstr!("__stitch_sync_version"), version.clone());
        let event = |kind: &str| {
            rawdoc! {
                "_id": { "_data": "00" }, "operationType": kind, "ns": { "db": "d", "coll": "c" },
                "documentKey": { "_id": 1 }, "fullDocument": full.clone(),
                "updateDescription": { "updatedFields": { "a": 2 }, "removedFields": [] },
            }
        };
        let described = rawdoc! { "updatedFields": { "a": 2 }, "removedFields": [] };
        assert_eq!(
            compacted(&event("update")).unwrap(),
            rawdoc! {
                "ot": "update", "dk": { "_id": 1 }, "ud": described, "sdv": version.clone(),
                "sdh": digest,
            }
        );
        assert_eq!(
            compacted(&event("insert")).unwrap(),
            rawdoc! {
                "ot": "insert", "dk": { "_id": 1 }, "fd": full.clone(), "sdv": version,
                "sdh": digest,
            }
        );
        let delete = rawdoc! { "operationType": "delete", "documentKey": { "_id": 1 } };
        assert_eq!(
            compacted(&delete).unwrap(),
            rawdoc! { "ot": "delete", "dk": { "_id": 1 } }
        );
    }
}
