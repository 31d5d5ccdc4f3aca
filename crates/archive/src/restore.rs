//! A dump's files into a server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use bson::{Document, doc};
use engine::SharedEngine;
use flate2::read::MultiGzDecoder;

use crate::bson_file::BsonFile;
use crate::insert::{Batches, Verb, drop_collection, run};
use crate::metadata::Metadata;
use crate::{ArchiveError, Selection, names};

/// Bytes of metadata that are read at most.
const METADATA_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How to restore.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Restore {
    /// Which of the dump's collections.
    pub selection: Selection,
    /// Drop each collection before it is restored.
    pub drop: bool,
    /// Leave indexes out.
    pub no_indexes: bool,
    /// Leave options out.
    pub no_options: bool,
    /// Stop at the first document that is refused.
    pub stop_on_error: bool,
    /// Change nothing; read everything and say what there is.
    pub dry_run: bool,
}

/// What a restore did.
#[derive(Debug, Default)]
pub struct Restored {
    /// By collection and view.
    pub collections: Vec<RestoredCollection>,
    /// What did not go in, each a sentence; the first few of each collection.
    pub failures: Vec<String>,
    /// What in the directory was not restored by intent.
    pub left_out: Vec<String>,
}

/// A restored collection.
#[derive(Debug)]
pub struct RestoredCollection {
    /// `database.collection`.
    pub namespace: String,
    /// Documents that went in.
    pub documents: u64,
    /// Documents that did not.
    pub failed: u64,
    /// Indexes that were made, beside the one on `_id`.
    pub indexes: u64,
}

/// A collection's files.
#[derive(Debug, Default)]
struct Files {
    documents: Option<PathBuf>,
    metadata: Option<PathBuf>,
}

/// Restores a directory that this or mongodump wrote.
///
/// Documents that are refused, such as those that are there already, are
/// counted, and the rest goes in.
pub async fn restore(
    engine: &SharedEngine,
    directory: &Path,
    options: &Restore,
) -> Result<Restored, ArchiveError> {
    let mut restored = Restored::default();
    let mut views = Vec::new();
    let found = find(directory, &mut restored)?;
    if found.is_empty() {
        return Err(ArchiveError::Refused(format!(
            "{}: there is no dump here: no folder with .bson files",
            directory.display()
        )));
    }
    for ((database, name), files) in found {
        let metadata = match &files.metadata {
            Some(path) => Metadata::from_json(&path.display().to_string(), &name, &read(path)?)?,
            None => Metadata {
                name,
                view: false,
                options: Document::new(),
                indexes: Vec::new(),
                uuid: None,
            },
        };
        if !options.selection.has(&database, &metadata.name) {
            continue;
        }
        if metadata.view {
            views.push((database, metadata));
            continue;
        }
        if metadata.options.contains_key("timeseries") {
            let text = "a time series collection is left out";
            restored
                .left_out
                .push(format!("{database}.{}: {text}", metadata.name));
            continue;
        }
        let one = collection(engine, &database, &metadata, &files, options, &mut restored).await?;
        let stop = options.stop_on_error && one.failed > 0;
        restored.collections.push(one);
        if stop {
            return Ok(restored);
        }
    }
    for (database, metadata) in views {
        if !options.dry_run {
            make(engine, &database, &metadata, options).await?;
        }
        restored.collections.push(RestoredCollection {
            namespace: format!("{database}.{}", metadata.name),
            documents: 0,
            failed: 0,
            indexes: 0,
        });
    }
    Ok(restored)
}

/// The files of each collection.
fn find(
    directory: &Path,
    restored: &mut Restored,
) -> Result<BTreeMap<(String, String), Files>, ArchiveError> {
    let mut found: BTreeMap<(String, String), Files> = BTreeMap::new();
    for folder in entries(directory)? {
        let (Some(name), true) = (text(&folder), folder.is_dir()) else {
            let name = folder.display().to_string();
            // What mongodump writes about itself.
            if !name.ends_with("prelude.json") && !name.ends_with("prelude.json.gz") {
                restored
                    .left_out
                    .push(format!("{name}: not part of a database"));
            }
            continue;
        };
        for path in entries(&folder)? {
            let file = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let plain = file.strip_suffix(".gz").unwrap_or(file);
            let (base, documents) = match (
                plain.strip_suffix(".metadata.json"),
                plain.strip_suffix(".bson"),
            ) {
                (Some(base), _) => (base, false),
                (None, Some(base)) => (base, true),
                (None, None) => {
                    restored
                        .left_out
                        .push(format!("{}: no file of a dump", path.display()));
                    continue;
                }
            };
            let Some(collection) = names::unescaped(base) else {
                restored
                    .left_out
                    .push(format!("{}: its name is no text", path.display()));
                continue;
            };
            let files = found.entry((name.clone(), collection)).or_default();
            let place = if documents {
                &mut files.documents
            } else {
                &mut files.metadata
            };
            if let Some(other) = place.replace(path.clone()) {
                return Err(ArchiveError::Refused(format!(
                    "{} and {} are of the same collection",
                    other.display(),
                    path.display()
                )));
            }
        }
    }
    Ok(found)
}

fn text(folder: &Path) -> Option<String> {
    names::unescaped(folder.file_name()?.to_str()?)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let read = fs::read_dir(folder).map_err(ArchiveError::file(folder))?;
    let mut entries = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(ArchiveError::file(folder))?;
    entries.sort();
    Ok(entries)
}

/// A file's content, unpacked.
fn open(path: &Path) -> Result<Box<dyn Read + Send>, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::file(path))?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        return Ok(Box::new(MultiGzDecoder::new(std::io::BufReader::new(file))));
    }
    Ok(Box::new(file))
}

fn read(path: &Path) -> Result<Vec<u8>, ArchiveError> {
    let mut text = Vec::new();
    open(path)?
        .take(METADATA_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(ArchiveError::file(path))?;
    Ok(text)
}

async fn collection(
    engine: &SharedEngine,
    database: &str,
    metadata: &Metadata,
    files: &Files,
    options: &Restore,
    restored: &mut Restored,
) -> Result<RestoredCollection, ArchiveError> {
    let namespace = format!("{database}.{}", metadata.name);
    if !options.dry_run {
        make(engine, database, metadata, options).await?;
    }
    let mut batches = Batches::new(
        engine,
        database,
        &metadata.name,
        Verb::Insert,
        options.stop_on_error,
    );
    let mut read = 0;
    if let Some(path) = &files.documents {
        let mut file = BsonFile::new(open(path)?, path.display().to_string());
        loop {
            let next = file.next();
            // What came before the damage is wanted all the same.
            let Ok(Some(document)) = next else {
                let went_on = options.dry_run || batches.flush().await?;
                next?;
                let _ = went_on;
                break;
            };
            read += 1;
            if !options.dry_run && !batches.add(document).await? {
                break;
            }
        }
    }
    for (number, text) in &batches.failures {
        restored
            .failures
            .push(format!("{namespace}: document {}: {text}", number + 1));
    }
    let mut one = RestoredCollection {
        documents: if options.dry_run { read } else { batches.done },
        failed: batches.failed,
        indexes: 0,
        namespace,
    };
    if options.no_indexes || (options.stop_on_error && one.failed > 0) {
        return Ok(one);
    }
    for index in &metadata.indexes {
        if index
            .get_document("key")
            .is_ok_and(|key| *key == doc! { "_id": 1 })
        {
            continue;
        }
        if !options.dry_run
            && let Err(error) = run(engine, database, metadata.create_index(index)).await
        {
            let name = index.get_str("name").unwrap_or("?");
            let text = format!("{}: index {name}: {}", one.namespace, error.message);
            restored.failures.push(text);
            continue;
        }
        one.indexes += 1;
    }
    Ok(one)
}

/// Makes the collection or view unless it is there.
async fn make(
    engine: &SharedEngine,
    database: &str,
    metadata: &Metadata,
    options: &Restore,
) -> Result<(), ArchiveError> {
    if options.drop {
        drop_collection(engine, database, &metadata.name).await?;
    }
    let mut command = doc! { "create": &metadata.name };
    if !options.no_options || metadata.view {
        command.extend(metadata.options.clone());
    }
    match run(engine, database, command).await {
        Err(error) if error.code != 48 => {
            let what = format!("{database}.{}", metadata.name);
            Err(ArchiveError::engine(what)(error))
        }
        _ => Ok(()),
    }
}
