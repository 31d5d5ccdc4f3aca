//! The log told from its beginning makes the collections as they are, and the
//! images of updates are what was there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::{
    BeforeChange, CommandError, FullDocument, SharedEngine, WatchRequest, with_transaction,
};
use engine_embedded::Embedded;
use kit::SystemClock;

/// Writers at the same time, and commands of each.
const WRITERS: u64 = 4;
const COMMANDS: u64 = 150;
const COLLECTIONS: [&str; 3] = ["a", "b", "c"];

type State = BTreeMap<String, BTreeMap<i32, Document>>;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

async fn run(engine: &SharedEngine, command: &Document) -> Result<Document, CommandError> {
    let raw = RawDocumentBuf::try_from(command).expect("encodes");
    let reply = engine.command("d", &raw).await?;
    Ok(Document::try_from(reply).expect("decodes"))
}

fn change(random: &mut Random) -> Bson {
    let n = random.below(5) as i32;
    match random.below(12) {
        0 => doc! { "$set": { "x": n, "o.p": n } }.into(),
        1 => doc! { "$push": { "l": n } }.into(),
        2 => doc! { "$push": { "l": { "$each": [n, 1], "$slice": -3 } } }.into(),
        3 => doc! { "$pop": { "l": 1 } }.into(),
        4 => doc! { "$pull": { "l": n } }.into(),
        5 => doc! { "$unset": { "o.p": "", "x": "" } }.into(),
        6 => doc! { "$inc": { "x": 1 }, "$rename": { "o": "q" } }.into(),
        7 => doc! { "$set": { "l.1": n } }.into(),
        8 => vec![Bson::from(
            doc! { "$set": { "o": { "$ifNull": ["$q", {}] }, "z": n } },
        )]
        .into(),
        9 => vec![Bson::from(
            doc! { "$replaceWith": { "z": n, "x": "$z", "o": { "p": [n] } } },
        )]
        .into(),
        10 => doc! { "y": n }.into(),
        _ => doc! { "$addToSet": { "l": n } }.into(),
    }
}

fn command(random: &mut Random) -> Document {
    let name = COLLECTIONS[random.below(3) as usize];
    let id = random.below(12) as i32;
    let update = |u: Bson, multi: bool, upsert: bool| {
        let q = if multi {
            doc! { "_id": { "$gte": id } }
        } else {
            doc! { "_id": id }
        };
        doc! { "update": name, "updates": [{ "q": q, "u": u, "multi": multi, "upsert": upsert }] }
    };
    match random.below(10) {
        0 | 1 => {
            doc! { "insert": name, "documents": [{ "_id": id, "l": [1, 2] }, { "_id": id + 1 }] }
        }
        2 => doc! { "delete": name, "deletes": [{ "q": { "_id": id }, "limit": 1 }] },
        3 => update(doc! { "$set": { "many": id } }.into(), true, false),
        4 => doc! { "findAndModify": name, "query": { "_id": id }, "remove": true },
        5 => update(doc! { "$inc": { "x": 1 } }.into(), false, true),
        _ => update(change(random), false, false),
    }
}

async fn write(engine: SharedEngine, seed: u64) {
    let mut random = Random(seed * 77 + 1);
    for n in 0..COMMANDS {
        if n == COMMANDS / 2 && seed == 1 {
            let _ = run(&engine, &doc! { "drop": "c" }).await;
        }
        if random.below(4) > 0 {
            // Refused ones are as good as others.
            let _ = run(&engine, &command(&mut random)).await;
            continue;
        }
        let commands: Arc<Vec<Document>> = Arc::new(
            (0..=random.below(3))
                .map(|_| command(&mut random))
                .collect(),
        );
        let _: Result<(), CommandError> = with_transaction(&engine, |session| {
            let (engine, session, commands) = (engine.clone(), session.clone(), commands.clone());
            Box::pin(async move {
                for command in commands.iter() {
                    let name = command.values().next().and_then(Bson::as_str);
                    let inside = engine::Collection::new(&engine, "d", name.unwrap_or_default());
                    let reply = inside.within(&session).run(command.clone()).await?;
                    if let Some(error) = CommandError::first_write_error(&reply) {
                        return Err(error);
                    }
                }
                Ok(())
            })
        })
        .await;
    }
}

async fn stored(engine: &SharedEngine) -> State {
    let mut state = State::new();
    for name in COLLECTIONS {
        let reply = run(engine, &doc! { "find": name, "batchSize": 1000 })
            .await
            .expect("finds");
        let batch = reply
            .get_document("cursor")
            .and_then(|c| c.get_array("firstBatch"));
        let found = state.entry(name.to_owned()).or_default();
        for document in batch.expect("a batch").iter().filter_map(Bson::as_document) {
            found.insert(document.get_i32("_id").expect("an _id"), document.clone());
        }
    }
    state
}

/// Does to `state` what an event says, and looks at its images.
fn tell(state: &mut State, event: &Document) {
    let namespace = event.get_document("ns").expect("a namespace");
    let name = namespace.get_str("coll").unwrap_or_default();
    let collection = state.entry(name.to_owned()).or_default();
    let kind = event.get_str("operationType").expect("a kind");
    if kind == "drop" {
        collection.clear();
    }
    let Ok(key) = event.get_document("documentKey") else {
        return;
    };
    let id = key.get_i32("_id").expect("an _id");
    let before = event.get_document("fullDocumentBeforeChange").ok();
    assert_eq!(before, collection.get(&id), "before {event}");
    match kind {
        "delete" => {
            collection.remove(&id);
        }
        "update" => {
            let document = collection.get_mut(&id).expect("an update of something");
            let described = event.get_document("updateDescription").expect("described");
            patch(document, described);
            let full = event.get_document("fullDocument").expect("an image");
            // Where an update put fields in another order, the image has it.
            assert_eq!(sorted(document), sorted(full), "{event}");
            document.clone_from(full);
        }
        _ => {
            let full = event.get_document("fullDocument").expect("a document");
            collection.insert(id, full.clone());
        }
    }
}

fn sorted(document: &Document) -> BTreeMap<&String, &Bson> {
    document.iter().collect()
}

fn patch(document: &mut Document, described: &Document) {
    for array in described.get_array("truncatedArrays").expect("arrays") {
        let array = array.as_document().expect("an array");
        let field = array.get_str("field").expect("a field");
        let size = array.get_i32("newSize").expect("a size");
        if let Some(Bson::Array(array)) = place(document, field) {
            array.truncate(size as usize);
        }
    }
    for field in described.get_array("removedFields").expect("fields") {
        let field = field.as_str().expect("a field");
        match field.rsplit_once('.') {
            None => {
                document.remove(field);
            }
            Some((parent, last)) => {
                if let Some(Bson::Document(parent)) = place(document, parent) {
                    parent.remove(last);
                }
            }
        }
    }
    for (field, value) in described.get_document("updatedFields").expect("fields") {
        let Some((parent, last)) = field.rsplit_once('.') else {
            document.insert(field, value.clone());
            continue;
        };
        match place(document, parent) {
            Some(Bson::Document(parent)) => {
                parent.insert(last, value.clone());
            }
            Some(Bson::Array(array)) => {
                let at: usize = last.parse().expect("a place");
                array.resize(array.len().max(at + 1), Bson::Null);
                array[at] = value.clone();
            }
            other => panic!("{field} leads to {other:?}"),
        }
    }
}

fn place<'a>(document: &'a mut Document, path: &str) -> Option<&'a mut Bson> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let value = document.get_mut(first)?;
    match (value, rest) {
        (value, None) => Some(value),
        (Bson::Document(inner), Some(rest)) => place(inner, rest),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_makes_the_collections() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    for name in ["a", "b"] {
        let images = doc! { "enabled": true };
        let create = doc! { "create": name, "changeStreamPreAndPostImages": images };
        run(&engine, &create).await.expect("created");
    }
    let request = WatchRequest {
        database: Some("d".to_owned()),
        full_document: FullDocument::WhenAvailable,
        full_document_before_change: BeforeChange::WhenAvailable,
        ..WatchRequest::default()
    };
    let begin = engine
        .watch(request.clone())
        .await
        .expect("a feed")
        .resume_token();
    let writers: Vec<_> = (0..WRITERS)
        .map(|seed| tokio::spawn(write(engine.clone(), seed)))
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    run(
        &engine,
        &doc! { "insert": "end", "documents": [{ "_id": 0 }] },
    )
    .await
    .expect("the end");
    let mut feed = engine
        .watch(WatchRequest {
            resume_after: begin,
            ..request
        })
        .await
        .expect("a feed");
    let (mut state, mut tokens, mut n) = (State::new(), Vec::new(), 0);
    loop {
        let event = Document::try_from(feed.next().await.expect("an event")).expect("decodes");
        let id = event.get_document("_id").expect("a token");
        tokens.push(id.get_str("_data").expect("hex").to_owned());
        let namespace = event.get_document("ns").expect("a namespace");
        match namespace.get_str("coll") {
            Ok("end") => break,
            // Without images.
            Ok("c") => {}
            _ => tell(&mut state, &event),
        }
        n += 1;
    }
    assert!(
        tokens.is_sorted(),
        "events are in the order of their tokens"
    );
    assert!(n > 300, "{n} events");
    let mut stored = stored(&engine).await;
    stored.remove("c");
    state.retain(|name, _| stored.contains_key(name));
    assert!(
        state == stored,
        "{n} events make {state:#?}, stored is {stored:#?}"
    );
}
