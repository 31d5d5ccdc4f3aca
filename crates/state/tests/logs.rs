//! Packed chunks of the log.

use std::sync::Arc;

use bson::spec::BinarySubtype;
use bson::{Binary, Document, RawDocumentBuf, doc};
use engine::{Collection, CommandError, SharedEngine};
use engine_embedded::Embedded;
use kit::{SystemClock, limit};
use state::{LogChunk, LogEntry, RawLogEntry, State};

fn details(number: i64) -> Document {
    doc! {
        "function_name": "f", "messages": ["begun", "done"], "arguments": [number, { "$oid": "x" }],
        "request_url": "/api/client/v2.0/app/flood-abcde/functions/call",
    }
}

fn entry(number: i64) -> LogEntry {
    LogEntry {
        id: format!("{number:024}"),
        app_id: "a".to_owned(),
        started: 1000 - number,
        completed: 1005,
        kind: "FUNCTION".to_owned(),
        co_id: format!("r{number}"),
        user_id: String::new(),
        error: "failed".to_owned(),
        error_code: "FunctionExecutionError".to_owned(),
        details: details(number),
    }
}

fn raw(entry: &LogEntry) -> RawDocumentBuf {
    let details = RawDocumentBuf::try_from(&entry.details).unwrap();
    RawLogEntry {
        id: &entry.id,
        app_id: &entry.app_id,
        started: entry.started,
        completed: entry.completed,
        kind: &entry.kind,
        co_id: &entry.co_id,
        user_id: &entry.user_id,
        error: &entry.error,
        error_code: &entry.error_code,
        details: &details,
    }
    .write()
}

fn stored(entry: &LogEntry) -> Document {
    doc! {
        "_id": &entry.id, "app_id": &entry.app_id, "started": entry.started,
        "completed": entry.completed, "type": &entry.kind, "co_id": &entry.co_id,
        "user_id": &entry.user_id, "error": &entry.error, "error_code": &entry.error_code,
        "details": entry.details.clone(),
    }
}

/// The table, and what lies in it.
async fn tables() -> (State, Collection) {
    let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
    let state = State::open(&engine, state::DATABASE).await.unwrap();
    let collection = Collection::new(&engine, state::DATABASE, "logs");
    (state, collection)
}

async fn lies(collection: &Collection, id: &str) -> Document {
    let found = collection.find_one(doc! { "_id": id }).await.unwrap();
    Document::try_from(found.unwrap()).unwrap()
}

async fn put(collection: &Collection, chunk: &Document) {
    let chunk = RawDocumentBuf::try_from(chunk).unwrap();
    collection.insert_many(&[chunk]).await.unwrap();
}

#[tokio::test]
async fn a_packed_chunk_comes_back_whole_and_is_small() {
    let (state, collection) = tables().await;
    let entries: Vec<LogEntry> = (0..1000).map(entry).collect();
    let documents: Vec<RawDocumentBuf> = entries.iter().map(raw).collect();
    assert_eq!(
        Document::try_from(&documents[7]).unwrap(),
        stored(&entries[7])
    );
    let chunk = LogChunk::pack("c".to_owned(), "a".to_owned(), &documents).unwrap();
    assert_eq!((chunk.from, chunk.to), (1, 1000));
    state.logs.insert_many(&[chunk]).await.unwrap();
    let read = state.logs.get("c").await.unwrap().unwrap();
    assert_eq!(read.entries(|_| true).unwrap(), entries);
    let some = read.entries(|entry| entry.started > 990).unwrap();
    assert_eq!(some, entries[..10]);
    let lies = lies(&collection, "c").await;
    let names: Vec<&str> = lies.keys().map(String::as_str).collect();
    assert_eq!(names, ["_id", "app_id", "from", "to", "packed"]);
    let unpacked: usize = documents.iter().map(|d| d.as_bytes().len()).sum();
    let packed = lies.get_binary_generic("packed").unwrap().len();
    assert!(packed < unpacked / 4, "{packed} of {unpacked}");
}

#[tokio::test]
async fn a_chunk_from_before_they_were_packed_is_read() {
    let (state, collection) = tables().await;
    let entries: Vec<LogEntry> = (0..3).map(entry).collect();
    let old: Vec<Document> = entries.iter().map(stored).collect();
    let old = doc! { "_id": "old", "app_id": "a", "from": 998_i64, "to": 1000_i64, "entries": old };
    put(&collection, &old).await;
    let read = state.logs.get("old").await.unwrap().unwrap();
    assert_eq!(read.entries(|_| true).unwrap(), entries);
    // It is still one when it is written again.
    state.logs.put(&read).await.unwrap();
    assert_eq!(lies(&collection, "old").await, old);
}

#[tokio::test]
async fn a_broken_chunk_is_an_error_that_names_it() {
    let (state, collection) = tables().await;
    let documents: Vec<RawDocumentBuf> = (0..20).map(|number| raw(&entry(number))).collect();
    let chunk = LogChunk::pack("good".to_owned(), "a".to_owned(), &documents).unwrap();
    state.logs.insert(&chunk).await.unwrap();
    let good = lies(&collection, "good").await;
    let packed = good.get_binary_generic("packed").unwrap().clone();
    let binary = |bytes: Vec<u8>| Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    };
    let read = async |id: &str, bytes: Option<Vec<u8>>| -> Result<usize, CommandError> {
        let mut broken = good.clone();
        broken.insert("_id", id);
        broken.remove("packed");
        if let Some(bytes) = bytes {
            broken.insert("packed", binary(bytes));
        }
        put(&collection, &broken).await;
        let chunk = state.logs.get(id).await?.unwrap();
        chunk.entries(|_| true).map(|entries| entries.len())
    };
    assert_eq!(read("same", Some(packed.clone())).await, Ok(20));
    let mut greedy = packed.clone();
    greedy[..4].copy_from_slice(&(limit::DOCUMENT_BYTES_MAX as u32 + 1).to_le_bytes());
    let mut small = packed.clone();
    small[..4].copy_from_slice(&100_u32.to_le_bytes());
    for (id, bytes) in [
        ("greedy", greedy),
        ("small", small),
        ("cut", packed[..packed.len() / 2].to_vec()),
        ("short", packed[..3].to_vec()),
        ("nothing", Vec::new()),
        ("numbers", packed_of(doc! { "0": 5 })),
        ("strangers", packed_of(doc! { "0": { "_id": "e" } })),
    ] {
        let text = read(id, Some(bytes)).await.unwrap_err().message;
        let named = format!("a damaged record in logs: the chunk {id}: ");
        assert!(text.starts_with(&named), "{text}");
    }
    assert_eq!(
        read("without", None).await.unwrap_err().message,
        "a damaged record in logs: the chunk without: it has no entries"
    );
    // Whatever a broken byte makes of it, it is read or an error.
    let mut failed = 0;
    for at in 0..packed.len() {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x55;
        let mut chunk = good.clone();
        chunk.insert("packed", binary(bytes));
        let chunk: LogChunk = bson::deserialize_from_document(chunk).unwrap();
        failed += usize::from(chunk.entries(|_| true).is_err());
    }
    assert!(failed > packed.len() / 10, "{failed}");
}

/// A document packed as chunks are.
fn packed_of(document: Document) -> Vec<u8> {
    lz4_flex::compress_prepend_size(RawDocumentBuf::try_from(document).unwrap().as_bytes())
}

#[test]
fn what_no_chunk_can_hold_is_refused() {
    let with = |bytes: usize| {
        let mut entry = entry(1);
        entry.details = doc! { "text": "x".repeat(bytes) };
        LogChunk::pack("c".to_owned(), "a".to_owned(), &[raw(&entry)])
    };
    let most = with(limit::DOCUMENT_BYTES_MAX - 1024).unwrap();
    assert_eq!(most.entries(|_| true).unwrap().len(), 1);
    assert!(with(limit::DOCUMENT_BYTES_MAX).is_err());
    let empty = LogChunk::pack("c".to_owned(), "a".to_owned(), &[]).unwrap();
    assert_eq!((empty.from, empty.to), (0, 0));
    assert!(empty.entries(|_| true).unwrap().is_empty());
}
