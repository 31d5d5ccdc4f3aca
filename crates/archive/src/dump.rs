//! A server's data as files in the layout of mongodump.

use bson::RawDocument;
use engine::SharedEngine;

use crate::source::{Entry, Source, documents};
use crate::{ArchiveError, Moment, Selection, Sink, names};

/// What a dump has.
#[derive(Debug)]
pub struct Dumped {
    /// Its collections and views, in the order of the files.
    pub collections: Vec<DumpedCollection>,
    /// Whether they are of one moment.
    pub moment: Moment,
    /// What was left out or is of another moment, each a sentence.
    pub left_out: Vec<String>,
}

/// A collection in a dump.
#[derive(Debug)]
pub struct DumpedCollection {
    /// `database.collection`.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes what is selected to a sink, as of the present moment if the engine
/// can be read so.
pub async fn dump(
    engine: &SharedEngine,
    selection: &Selection,
    sink: &mut dyn Sink,
) -> Result<Dumped, ArchiveError> {
    dump_of_two((engine, selection), None, sink).await
}

/// The same of two engines, whose databases have different names; each is of a
/// moment of its own.
pub async fn dump_of_two(
    one: (&SharedEngine, &Selection),
    other: Option<(&SharedEngine, &Selection)>,
    sink: &mut dyn Sink,
) -> Result<Dumped, ArchiveError> {
    let mut dumped = part(one, sink).await?;
    if let Some(other) = other {
        let more = part(other, sink).await?;
        dumped.collections.extend(more.collections);
        dumped.left_out.extend(more.left_out);
        if more.moment != Moment::One {
            dumped.moment = more.moment;
        }
    }
    sink.finish().await?;
    Ok(dumped)
}

async fn part(
    (engine, selection): (&SharedEngine, &Selection),
    sink: &mut dyn Sink,
) -> Result<Dumped, ArchiveError> {
    let source = Source::open(engine).await?;
    if sink.needs_sizes() && source.moment != Moment::One {
        return Err(ArchiveError::Refused(
            "a stream needs a server that can be read as of one moment".to_owned(),
        ));
    }
    let (entries, left_out) = source.entries(selection).await?;
    if let (true, Some(collection)) = (entries.is_empty(), &selection.collection) {
        let database = selection.database.as_deref().unwrap_or("*");
        let text = format!("there is no collection {database}.{collection}");
        return Err(ArchiveError::Refused(text));
    }
    let mut collections = Vec::with_capacity(entries.len());
    for entry in &entries {
        collections.push(one(&source, entry, sink).await?);
    }
    Ok(Dumped {
        collections,
        moment: source.moment,
        left_out,
    })
}

async fn one(
    source: &Source,
    entry: &Entry,
    sink: &mut dyn Sink,
) -> Result<DumpedCollection, ArchiveError> {
    let base = format!(
        "{}/{}",
        names::folder(&entry.database),
        names::file(&entry.metadata.name)
    );
    let metadata = entry.metadata.to_json()?;
    let mut dumped = DumpedCollection {
        namespace: entry.namespace(),
        documents: 0,
        bytes: 0,
    };
    if !entry.metadata.view {
        let mut size = 0;
        if sink.needs_sizes() {
            let mut cursor = source.whole(entry);
            while let Some(batch) = cursor.next(source).await? {
                size += documents(&batch).map(length).sum::<u64>();
            }
        }
        sink.begin(&format!("{base}.bson"), size).await?;
        let mut cursor = source.whole(entry);
        let mut bytes = Vec::new();
        while let Some(batch) = cursor.next(source).await? {
            bytes.clear();
            for document in documents(&batch) {
                dumped.documents += 1;
                bytes.extend_from_slice(document.as_bytes());
            }
            dumped.bytes += bytes.len() as u64;
            sink.write(&bytes).await?;
        }
        sink.end().await?;
    }
    let size = metadata.len() as u64;
    sink.begin(&format!("{base}.metadata.json"), size).await?;
    sink.write(&metadata).await?;
    sink.end().await?;
    Ok(dumped)
}

fn length(document: &RawDocument) -> u64 {
    document.as_bytes().len() as u64
}
