//! Questions about the server, its databases and how large they are.

use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};
use kit::limit::{COMMAND_BYTES_MAX, WRITES_PER_COMMAND_MAX};

use super::admin::only_admin;
use super::{blocking, check_fields, document, flag, reply, whole};
use crate::catalog::{Collection, Index};
use crate::index::{keys, prefixed};
use crate::kv::Table;
use crate::kv::sizes::Size;
use crate::layout::{PREFIX_BYTES, document_key, loaded, past, record_of};
use crate::{Core, View};

/// Errors that `validate` tells.
const ERRORS_MAX: usize = 100;

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    match name {
        "ping" => reply(&doc! { "ok": 1.0 }),
        "buildInfo" | "buildinfo" => reply(&doc! {
            "version": "6.0.5", "versionArray": [6, 0, 5, 0], "bits": 64, "debug": false,
            "maxBsonObjectSize": kit::limit::DOCUMENT_BYTES_MAX as i32,
            "modules": ["backstitch"], "ok": 1.0,
        }),
        "hello" => reply(&hello(core, "isWritablePrimary")),
        "isMaster" | "ismaster" => reply(&hello(core, "ismaster")),
        "connectionStatus" => {
            check_fields(command, &["showPrivileges"])?;
            let mut info = doc! { "authenticatedUsers": [], "authenticatedUserRoles": [] };
            if flag(command, "showPrivileges")? {
                info.insert("authenticatedUserPrivileges", Bson::Array(Vec::new()));
            }
            reply(&doc! { "authInfo": info, "ok": 1.0 })
        }
        "serverStatus" => {
            let clock = core.clock.now_ms();
            reply(&doc! {
                "version": "6.0.5", "process": "backstitch", "pid": i64::from(std::process::id()),
                "localTime": bson::DateTime::from_millis(clock), "ok": 1.0,
            })
        }
        "getParameter" => {
            only_admin(database, name)?;
            // The one that tools ask for.
            if command.get("featureCompatibilityVersion")?.is_none() {
                return Err(CommandError::new(72, "no option found to get"));
            }
            reply(&doc! { "featureCompatibilityVersion": { "version": "6.0" }, "ok": 1.0 })
        }
        "dbStats" | "dbstats" => database_statistics(core, database, command),
        "collStats" | "collstats" => statistics(core, database, target, command),
        "validate" => validate(core, database, target).await,
        other => Err(CommandError::new(59, format!("no such command: '{other}'"))),
    }
}

fn hello(core: &Core, writable: &str) -> Document {
    doc! {
        writable: true, "maxBsonObjectSize": kit::limit::DOCUMENT_BYTES_MAX as i32,
        "maxMessageSizeBytes": COMMAND_BYTES_MAX as i32, "maxWriteBatchSize": WRITES_PER_COMMAND_MAX as i32,
        "localTime": bson::DateTime::from_millis(core.clock.now_ms()),
        "logicalSessionTimeoutMinutes": 30, "minWireVersion": 0, "maxWireVersion": 17,
        "readOnly": false, "ok": 1.0,
    }
}

/// The indexes that are not being filled.
fn ready(collection: &Collection) -> impl Iterator<Item = &Index> {
    collection.indexes.iter().filter(|index| !index.building)
}

/// A collection's documents: how many they are, and their bytes.
pub(super) fn documents_of(
    view: &View,
    collection: &Collection,
) -> Result<(i64, i64), CommandError> {
    let Size { entries, bytes } = Size::of(view.snapshot.as_ref(), collection.id)?;
    let around = size_of_val(&document_key(0, 0)) + PREFIX_BYTES;
    Ok((entries, bytes - entries * around as i64))
}

/// What a collection takes.
#[derive(Default)]
struct Taken {
    documents: i64,
    bytes: i64,
    indexes: Vec<(String, i64)>,
}

impl Taken {
    fn by(view: &View, collection: &Collection) -> Result<Self, CommandError> {
        let (documents, bytes) = documents_of(view, collection)?;
        let mut indexes = Vec::new();
        for index in ready(collection) {
            let size = Size::of(view.snapshot.as_ref(), index.id)?;
            indexes.push((index.name.clone(), size.bytes));
        }
        Ok(Self {
            documents,
            bytes,
            indexes,
        })
    }

    fn index_bytes(&self) -> i64 {
        self.indexes.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The smallest type that holds a number, as the server answers.
fn number(n: i64) -> Bson {
    i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32)
}

fn statistics(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    super::check_namespace(target)?;
    check_fields(command, &["scale"])?;
    let scale = whole(command, "scale")?.unwrap_or(1);
    if scale < 1 {
        return Err(CommandError::new(
            51024,
            format!("BSON field 'scale' value must be >= 1, actual value '{scale}'"),
        ));
    }
    let view = core.view.load_full();
    let found = view.catalog.get(database, target).cloned();
    let capped = found.is_some();
    let size = found.map_or_else(|| Ok(Taken::default()), |found| Taken::by(&view, &found))?;
    let scaled = |bytes: i64| number(bytes / scale);
    let sizes: Document = size
        .indexes
        .iter()
        .map(|(name, bytes)| (name.clone(), scaled(*bytes)))
        .collect();
    let mut answer = doc! {
        "ns": format!("{database}.{target}"), "size": scaled(size.bytes),
        "count": number(size.documents),
    };
    if size.documents > 0 {
        answer.insert("avgObjSize", number(size.bytes / size.documents));
    }
    answer.extend(doc! {
        "numOrphanDocs": 0, "storageSize": scaled(size.bytes),
        "totalIndexSize": scaled(size.index_bytes()),
        "totalSize": scaled(size.bytes + size.index_bytes()), "indexSizes": sizes,
        "nindexes": size.indexes.len() as i32, "scaleFactor": number(scale),
    });
    if capped {
        answer.insert("capped", false);
    }
    answer.insert("ok", 1.0);
    reply(&answer)
}

fn database_statistics(core: &Core, database: &str, command: &RawDocument) -> Answer {
    check_fields(command, &["scale", "freeStorage"])?;
    let scale = match command.get("scale")? {
        None => 1,
        Some(_) => whole(command, "scale")
            .ok()
            .flatten()
            .ok_or_else(|| CommandError::new(8, "scale has to be a number > 0"))?,
    };
    if scale < 1 {
        return Err(CommandError::new(8, "scale has to be > 0"));
    }
    let sizes = sizes(core, |name| name == database)?;
    let sum = |of: fn(&Taken) -> i64| sizes.iter().map(|(_, size)| of(size)).sum::<i64>();
    let documents = sum(|size| size.documents);
    let bytes = sum(|size| size.bytes);
    let index_bytes = sum(Taken::index_bytes);
    let scaled = |bytes: i64| bytes as f64 / scale as f64;
    let average = if documents == 0 {
        0.0
    } else {
        bytes as f64 / documents as f64
    };
    reply(&doc! {
        "db": database, "collections": sizes.len() as i32, "views": 0,
        "objects": number(documents), "avgObjSize": average, "dataSize": scaled(bytes),
        "storageSize": scaled(bytes), "indexes": sum(|size| size.indexes.len() as i64) as i32,
        "indexSize": scaled(index_bytes), "totalSize": scaled(bytes + index_bytes),
        "scaleFactor": scale as f64, "ok": 1.0,
    })
}

/// The sizes of the collections of some databases.
fn sizes(core: &Core, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Taken)>, CommandError> {
    let view = core.view.load();
    view.catalog
        .all()
        .filter(|collection| wanted(&collection.database))
        .map(|found| Ok((found.database.clone(), Taken::by(&view, found)?)))
        .collect()
}

pub(super) fn list_databases(core: &Core, command: &RawDocument) -> Answer {
    check_fields(command, &["filter", "nameOnly", "authorizedDatabases"])?;
    let matcher = crate::query::matcher(document(command, "filter")?, None)?;
    let name_only = flag(command, "nameOnly")?;
    let mut databases: Vec<(String, i64)> = Vec::new();
    if name_only && document(command, "filter")?.is_none() {
        // Nobody asks how large they are.
        let view = core.view.load();
        databases.extend(view.catalog.all().map(|c| (c.database.clone(), 0)));
        databases.dedup();
    } else {
        for (name, size) in sizes(core, |_| true)? {
            let bytes = size.bytes + size.index_bytes();
            match databases.last_mut() {
                Some((last, sum)) if *last == name => *sum += bytes,
                _ => databases.push((name, bytes)),
            }
        }
    }
    let (mut listed, mut total): (Vec<Bson>, i64) = (Vec::new(), 0);
    for (name, bytes) in databases {
        let mut entry = doc! { "name": name };
        if !name_only {
            entry.extend(doc! { "sizeOnDisk": bytes, "empty": false });
        }
        let raw = RawDocumentBuf::try_from(&entry)?;
        if matcher.matches(&raw).map_err(crate::mql)? {
            total += bytes;
            listed.push(entry.into());
        }
    }
    let mut answer = doc! { "databases": listed };
    if !name_only {
        answer.extend(doc! { "totalSize": total, "totalSizeMb": total / (1024 * 1024) });
    }
    answer.insert("ok", 1.0);
    reply(&answer)
}

/// Reads a collection and looks whether its indexes have what they should.
async fn validate(core: &Arc<Core>, database: &str, target: &str) -> Answer {
    super::check_namespace(target)?;
    let view = core.view.load_full();
    let namespace = format!("{database}.{target}");
    let found = view.catalog.get(database, target).cloned().ok_or_else(|| {
        CommandError::new(
            26,
            format!("Collection '{namespace}' does not exist to validate."),
        )
    })?;
    let examined = blocking(move || Examined::of(&view, &found)).await?;
    let per_index: Document = examined
        .entries
        .iter()
        .map(|(name, entries, _)| (name.clone(), number(*entries)))
        .collect();
    let details: Document = examined
        .entries
        .iter()
        .map(|(name, _, valid)| (name.clone(), doc! { "valid": valid }.into()))
        .collect();
    reply(&doc! {
        "ns": namespace, "nInvalidDocuments": number(examined.broken),
        "nNonCompliantDocuments": number(examined.refused),
        "nrecords": number(examined.documents), "nIndexes": examined.entries.len() as i32,
        "keysPerIndex": per_index, "indexDetails": details,
        "valid": examined.errors.is_empty(), "repaired": false, "warnings": [],
        "errors": examined.errors, "extraIndexEntries": [], "missingIndexEntries": [],
        "corruptRecords": [], "ok": 1.0,
    })
}

#[derive(Default)]
struct Examined {
    documents: i64,
    /// Documents that are no BSON.
    broken: i64,
    /// Documents that the collection's validator does not accept.
    refused: i64,
    /// Name, entries, and whether they are what the documents ask for.
    entries: Vec<(String, i64, bool)>,
    errors: Vec<String>,
}

impl Examined {
    fn of(view: &View, collection: &Collection) -> Result<Self, CommandError> {
        let mut examined = Self::default();
        let indexes: Vec<&Index> = ready(collection).collect();
        let mut wanted = vec![0; indexes.len()];
        let mut whole = vec![true; indexes.len()];
        let start = collection.id.to_be_bytes();
        for pair in view
            .snapshot
            .range(Table::Documents, &start, &past(&start), false)
        {
            let (key, value) = pair?;
            examined.documents += 1;
            let (Some(record), Ok((_, document))) = (record_of(&key, &[]), loaded(&value)) else {
                examined.broken += 1;
                examined.error(format!("document {} is damaged", examined.documents));
                continue;
            };
            if document.iter().any(|entry| entry.is_err()) {
                examined.broken += 1;
                examined.error(format!("record {record} is no valid BSON"));
                continue;
            }
            if collection.validation.refuses(document) {
                examined.refused += 1;
            }
            for (at, index) in indexes.iter().enumerate() {
                for key in keys(index, document)? {
                    wanted[at] += 1;
                    let mut full = prefixed(index, &key);
                    if !index.unique {
                        full.extend_from_slice(&record.to_be_bytes());
                    }
                    let entry = view.snapshot.get(Table::Indexes, &full)?;
                    let there = entry.is_some_and(|entry| record_of(&full, &entry) == Some(record));
                    if !there {
                        whole[at] = false;
                        let name = &index.name;
                        examined.error(format!("index {name} lacks a key of record {record}"));
                    }
                }
            }
        }
        for (at, index) in indexes.iter().enumerate() {
            let start = index.id.to_be_bytes();
            let mut entries = 0;
            for pair in view
                .snapshot
                .range(Table::Indexes, &start, &past(&start), false)
            {
                pair?;
                entries += 1;
            }
            if entries != wanted[at] {
                whole[at] = false;
                examined.error(format!(
                    "index {} has {entries} keys, its documents have {}",
                    index.name, wanted[at]
                ));
            }
            examined
                .entries
                .push((index.name.clone(), entries, whole[at]));
        }
        Ok(examined)
    }

    fn error(&mut self, text: String) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(text);
        }
    }
}
