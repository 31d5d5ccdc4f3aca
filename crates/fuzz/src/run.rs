//! Running a program on one engine, and comparing another with what it
//! answered.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::{SharedEngine, WatchRequest};

use crate::answer::{
    Difference, Refusal, Reply, Verdict, canonical, compare, compare_documents, is_made,
};
use crate::generate::{Area, Program};
use crate::indexes::Indexes;
use crate::mask;
use crate::tally::{Divergence, Tally};

/// An engine, and a database of it that nobody else uses.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Side {
    pub engine: SharedEngine,
    pub database: String,
}

/// A program, and what an engine answered.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Recorded {
    pub area: Area,
    pub seed: u64,
    pub steps: Vec<Step>,
    /// The events of `c`, when they were watched.
    pub events: Option<Vec<Document>>,
}

/// A command, its answer, and the collection after it when it writes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Step {
    pub command: Document,
    pub reply: Reply,
    pub state: Option<Vec<Document>>,
}

/// How long an answer, or an event that has to come, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Codes of a server that is not there.
const GONE: &[i32] = &[6, 7, 50, 89, 91, 133, 11600, 11602, 13388];

/// Collections that programs use.
const COLLECTIONS: [&str; 4] = ["c", "d", "out", "nowhere"];

impl Side {
    /// Runs a command.
    pub async fn run(&self, command: &Document) -> Reply {
        let raw = RawDocumentBuf::try_from(command).map_err(|error| Refusal {
            code: 22,
            text: error.to_string(),
        })?;
        let answer = self.engine.command(&self.database, &raw);
        let Ok(reply) = tokio::time::timeout(PATIENCE, answer).await else {
            return Err(Refusal {
                code: 50,
                text: "no answer".to_owned(),
            });
        };
        let reply = reply?;
        Document::try_from(reply).map_err(|error| Refusal {
            code: 22,
            text: error.to_string(),
        })
    }

    async fn clear(&self) {
        for collection in COLLECTIONS {
            // What is not there need not be dropped.
            let _ = self.run(&doc! { "drop": collection }).await;
        }
    }

    /// Every document of a collection, in the order of insertion.
    async fn state(&self, collection: &str) -> Result<Vec<Document>, Refusal> {
        let all = doc! { "find": collection, "hint": { "$natural": 1 }, "batchSize": 10_000 };
        let reply = self.run(&all).await?;
        let batch = reply
            .get_document("cursor")
            .and_then(|c| c.get_array("firstBatch"));
        let batch = batch.cloned().unwrap_or_default();
        let documents = batch.into_iter().filter_map(|value| match value {
            Bson::Document(document) => Some(document),
            _ => None,
        });
        Ok(documents.collect())
    }

    async fn feed(&self) -> Option<Box<dyn engine::ChangeFeed>> {
        let request = WatchRequest {
            database: Some(self.database.clone()),
            collection: Some("c".to_owned()),
            ..WatchRequest::default()
        };
        self.engine.watch(request).await.ok()
    }
}

/// The collection that a command writes to, if it writes.
fn written(command: &Document) -> Option<&'static str> {
    let (name, _) = command.iter().next()?;
    match name.as_str() {
        "insert" | "update" | "delete" | "findAndModify" => Some("c"),
        "aggregate" => {
            let text = command.get("pipeline")?.to_string();
            (text.contains("$out") || text.contains("$merge\"")).then_some("out")
        }
        _ => None,
    }
}

/// Runs a program and keeps every answer.
///
/// # Errors
/// The command after which the server was gone.
pub async fn record(side: &Side, program: &Program) -> Result<Recorded, String> {
    if let Err(Refusal { code, text }) = side.run(&doc! { "ping": 1 }).await
        && GONE.contains(&code)
    {
        return Err(text);
    }
    side.clear().await;
    let mut steps = Vec::new();
    let mut feed = None;
    for command in &program.commands {
        if program.watched && steps.len() == 1 {
            feed = side.feed().await;
        }
        let reply = side.run(command).await;
        if let Err(Refusal { code, text }) = &reply
            && GONE.contains(code)
        {
            return Err(format!("{command} ({text})"));
        }
        let state = match written(command) {
            Some(collection) => match side.state(collection).await {
                Err(Refusal { code, text }) if GONE.contains(&code) => {
                    return Err(format!("{command} ({text})"));
                }
                state => Some(state.unwrap_or_default()),
            },
            None => None,
        };
        steps.push(Step {
            command: command.clone(),
            reply,
            state,
        });
    }
    let events = match &mut feed {
        Some(feed) => Some(events(side, feed.as_mut()).await),
        None => None,
    };
    Ok(Recorded {
        area: program.area,
        seed: program.seed,
        steps,
        events,
    })
}

/// Runs a recorded program and compares. After a difference, the collection is
/// made what it should be, so that one mistake hides no other.
pub async fn replay(side: &Side, recorded: &Recorded) -> Tally {
    side.clear().await;
    let mut tally = Tally::default();
    let mut feed = None;
    let mut indexes = Indexes::default();
    let mut mended = false;
    for (at, step) in recorded.steps.iter().enumerate() {
        let Step {
            command,
            reply,
            state,
        } = step;
        if recorded.events.is_some() && at == 1 {
            feed = side.feed().await;
        }
        let ours = side.run(command).await;
        tally.ran += 1;
        let mut verdict = compare(command, &indexes, &ours, reply);
        if indexes.sparse()
            && matches!(verdict, Verdict::Different(..))
            && let Some(why) = mask::sparse(command)
        {
            verdict = Verdict::Masked(why);
        }
        if reply.is_ok() {
            indexes.see(command);
        }
        if let Verdict::Refused(ours, theirs) = verdict {
            tally.refused += 1;
            if ours != theirs
                && let Some(why) = mask::codes(command, ours, theirs)
            {
                *tally.masked.entry(why).or_default() += 1;
            } else if ours != theirs {
                *tally.codes.entry((ours, theirs)).or_default() += 1;
                tally
                    .examples
                    .entry((ours, theirs))
                    .or_insert_with(|| crate::case::of(recorded, at));
            }
        }
        if let (Some(state), Some(collection)) = (state, written(command)) {
            let now = side.state(collection).await.unwrap_or_default();
            let left = compare_documents(command, &indexes, &now, state);
            if let Verdict::Masked(why) = left {
                mended = true;
                mend(side, collection, state).await;
                *tally.masked.entry(why).or_default() += 1;
            } else if let Verdict::Different(how, text) = left {
                mended = true;
                mend(side, collection, state).await;
                verdict = match verdict {
                    // How far a statement got before it was refused.
                    Verdict::Refused(..) if indexes.any() || mask::negates_id(command) => {
                        Verdict::Masked("an index orders what a refused statement reached")
                    }
                    // The document is changed, and the command fails all the same.
                    Verdict::Refused(..) if command.contains_key("fields") => {
                        Verdict::Masked("a projection of findAndModify fails after the write")
                    }
                    Verdict::Equal | Verdict::Refused(..) => Verdict::Different(how, text),
                    Verdict::Different(how, first) => {
                        Verdict::Different(how, format!("{first}\n  then {text}"))
                    }
                    masked @ Verdict::Masked(_) => masked,
                };
            }
        }
        match verdict {
            Verdict::Equal | Verdict::Refused(..) => {}
            Verdict::Masked(why) => *tally.masked.entry(why).or_default() += 1,
            Verdict::Different(how, text) => tally.different.push(Divergence {
                area: recorded.area,
                seed: recorded.seed,
                step: at,
                how,
                text,
                case: crate::case::of(recorded, at),
            }),
        }
    }
    if let (Some(mut feed), Some(theirs)) = (feed, &recorded.events)
        && !mended
    {
        let ours = events(side, feed.as_mut()).await;
        compare_events(recorded, &ours, theirs, &mut tally);
    }
    tally
        .areas
        .insert(recorded.area, (tally.ran, tally.different.len()));
    tally
}

/// Puts these documents in the place of all. An `_id` that was made is made anew,
/// so that it comes before those that will be.
async fn mend(side: &Side, collection: &str, documents: &[Document]) {
    let _ = side
        .run(&doc! { "delete": collection, "deletes": [{ "q": {}, "limit": 0 }] })
        .await;
    let mut all: Vec<Document> = documents.to_vec();
    for document in &mut all {
        if document.get("_id").is_some_and(is_made) {
            document.remove("_id");
        }
    }
    if !all.is_empty() {
        let _ = side
            .run(&doc! { "insert": collection, "documents": all })
            .await;
    }
}

/// Every event up to one that is made last.
async fn events(side: &Side, feed: &mut dyn engine::ChangeFeed) -> Vec<Document> {
    let last = doc! { "insert": "c", "documents": [
        { "_id": "last", "a": { "b": "last" }, "b": "last", "n": "last", "l": { "b": "last" } }
    ] };
    let mut events = Vec::new();
    // A unique index may refuse it.
    let made = side.run(&last).await;
    if !made.is_ok_and(|reply| !reply.contains_key("writeErrors")) {
        return events;
    }
    while let Ok(Ok(event)) = tokio::time::timeout(PATIENCE, feed.next()).await {
        let Ok(mut event) = Document::try_from(event) else {
            break;
        };
        let key = event.get_document("documentKey");
        if key.is_ok_and(|key| key.get_str("_id").is_ok_and(|id| id == "last")) {
            break;
        }
        for name in ["_id", "clusterTime", "wallTime", "ns"] {
            event.remove(name);
        }
        events.push(event);
    }
    events
}

fn compare_events(recorded: &Recorded, ours: &[Document], theirs: &[Document], tally: &mut Tally) {
    // How the changes of a pipeline are described depends on how large they are
    // in mongod's log.
    let pipelines = recorded.steps.iter().any(|step| {
        let statement = step
            .command
            .get_array("updates")
            .ok()
            .and_then(|list| list.first());
        let update = statement
            .and_then(Bson::as_document)
            .and_then(|s| s.get("u"));
        matches!(update.or(step.command.get("update")), Some(Bson::Array(_)))
    });
    if pipelines {
        *tally
            .masked
            .entry("events of a program with pipeline updates")
            .or_default() += 1;
        return;
    }
    tally.events += theirs.len();
    // The events of one document are in order; those of a statement's documents
    // come in the order of the plan.
    let shown = |events: &[Document]| {
        let mut shown: Vec<(String, String)> = events
            .iter()
            .map(|event| {
                let key = event.get("documentKey").cloned().unwrap_or(Bson::Null);
                (canonical(key, false), canonical(tidy(event.clone()), false))
            })
            .collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown
    };
    let (ours, theirs) = (shown(ours), shown(theirs));
    let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    if at < ours.len() || at < theirs.len() {
        tally.different.push(Divergence {
            area: recorded.area,
            seed: recorded.seed,
            step: recorded.steps.len(),
            how: Difference::Events,
            text: format!("ours   {:?}\n  theirs {:?}", ours.get(at), theirs.get(at)),
            case: recorded
                .steps
                .iter()
                .map(|step| step.command.clone())
                .collect(),
        });
    }
}

/// An event whose fields, and whose lists of fields, are in order of name.
fn tidy(mut event: Document) -> Bson {
    fn by_name(document: Document) -> Document {
        let mut fields: Vec<(String, Bson)> = document.into_iter().collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.into_iter().collect()
    }
    if let Ok(description) = event.get_document_mut("updateDescription") {
        if let Ok(fields) = description.get_document_mut("updatedFields") {
            *fields = by_name(std::mem::take(fields));
        }
        if let Ok(removed) = description.get_array_mut("removedFields") {
            removed.sort_by_key(ToString::to_string);
        }
    }
    Bson::Document(by_name(event))
}
