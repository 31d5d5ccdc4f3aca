//! Collections: made, changed, renamed, dropped, listed.

use std::sync::{Arc, mpsc};

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};
use mql::Collation;

use super::indexes::IndexChange;
use super::{check_fields, check_namespace, check_writable, document, flag, reply};
use crate::Core;
use crate::books::abandon;
use crate::catalog::{Catalog, Collection, Index, store};
use crate::event;
use crate::kv::{Batch, Table};
use crate::validation::Validation;

/// The commands that are here.
pub(super) const NAMES: &[&str] = &[
    "ping",
    "buildInfo",
    "buildinfo",
    "hello",
    "isMaster",
    "ismaster",
    "connectionStatus",
    "serverStatus",
    "getParameter",
    "dbStats",
    "dbstats",
    "collStats",
    "collstats",
    "validate",
    "renameCollection",
    "create",
    "collMod",
    "drop",
    "dropDatabase",
    "createIndexes",
    "dropIndexes",
    "listIndexes",
    "listCollections",
    "listDatabases",
];

/// The options of `create`, those that are refused among them.
const OPTIONS: &[&str] = &[
    "changeStreamPreAndPostImages",
    "validator",
    "validationLevel",
    "validationAction",
    "collation",
    "capped",
    "size",
    "max",
    "viewOn",
    "pipeline",
    "timeseries",
    "clusteredIndex",
    "expireAfterSeconds",
    "encryptedFields",
    "temp",
    "autoIndexId",
    "idIndex",
    "storageEngine",
    "indexOptionDefaults",
];

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    match name {
        "create" => create(core, database, target, command).await,
        "collMod" => modify(core, database, target, command).await,
        "drop" => {
            check_fields(command, &[])?;
            drop_collection(core, database, target).await
        }
        "dropDatabase" => {
            check_fields(command, &[])?;
            drop_database(core, database).await
        }
        "createIndexes" | "dropIndexes" | "listIndexes" => {
            super::indexes::run(core, database, name, target, command).await
        }
        "listCollections" => list_collections(&core.view.load().catalog, database, command),
        "listDatabases" => {
            only_admin(database, name)?;
            super::server::list_databases(core, command)
        }
        "renameCollection" => rename(core, database, target, command).await,
        _ => super::server::run(core, database, name, target, command).await,
    }
}

pub(super) fn missing(database: &str, target: &str) -> CommandError {
    CommandError::new(26, format!("ns does not exist: {database}.{target}"))
}

pub(super) fn cursor(namespace: &str, documents: Vec<Document>) -> Answer {
    reply(&doc! {
        "cursor": { "firstBatch": documents, "id": 0i64, "ns": namespace }, "ok": 1.0,
    })
}

/// Refuses a command that is for the database `admin`.
pub(super) fn only_admin(database: &str, name: &str) -> Result<(), CommandError> {
    if database == "admin" {
        return Ok(());
    }
    let text = format!("{name} may only be run against the admin database.");
    Err(CommandError::new(13, text))
}

/// What `create` and `collMod` say of a collection.
struct Settings {
    pre_images: Option<bool>,
    /// The validator, level and action that were given.
    validation: Document,
}

impl Settings {
    fn parse(command: &RawDocument) -> Result<Self, CommandError> {
        let mut validation = Document::new();
        if let Some(validator) = document(command, "validator")? {
            validation.insert("validator", Document::try_from(validator)?);
        }
        for (name, choices) in [
            ("validationLevel", ["off", "strict", "moderate"].as_slice()),
            ("validationAction", ["error", "warn"].as_slice()),
        ] {
            match command.get(name)? {
                None => {}
                Some(RawBsonRef::String(text)) if choices.contains(&text) => {
                    validation.insert(name, text);
                }
                Some(RawBsonRef::String(text)) => {
                    return Err(CommandError::bad_value(format!(
                        "Enumeration value '{text}' for field '{name}' is not a valid value."
                    )));
                }
                Some(other) => return Err(wrong_type(name, other, "string")),
            }
        }
        let pre_images = match document(command, "changeStreamPreAndPostImages")? {
            Some(options) => match options.get("enabled")? {
                Some(RawBsonRef::Boolean(enabled)) => Some(enabled),
                Some(other) => {
                    let name = "changeStreamPreAndPostImages.enabled";
                    return Err(wrong_type(name, other, "bool"));
                }
                None => {
                    return Err(CommandError::new(
                        40414,
                        "BSON field 'changeStreamPreAndPostImages.enabled' is missing but a required field",
                    ));
                }
            },
            None => None,
        };
        Ok(Self {
            pre_images,
            validation,
        })
    }
}

fn wrong_type(name: &str, value: RawBsonRef<'_>, wanted: &str) -> CommandError {
    let found = mql::type_name(value);
    let text = format!("BSON field '{name}' is the wrong type '{found}', expected type '{wanted}'");
    CommandError::new(14, text)
}

/// What `create` asks of a new collection.
#[derive(Clone)]
pub(super) struct Asked {
    pre_images: bool,
    collation: Option<Collation>,
    validation: Validation,
}

impl Asked {
    pub(super) fn of(command: &RawDocument) -> Result<Self, CommandError> {
        check_fields(command, OPTIONS)?;
        refuse_kinds(command)?;
        let collation = match document(command, "collation")? {
            Some(given) => Collation::parse(given).map_err(crate::mql)?,
            None => None,
        };
        let settings = Settings::parse(command)?;
        Ok(Self {
            pre_images: settings.pre_images.unwrap_or(false),
            validation: Validation::from_options(&settings.validation, collation.as_ref())?,
            collation,
        })
    }

    pub(super) fn apply(&self, collection: &mut Collection) {
        collection.pre_images = self.pre_images;
        collection.validation = self.validation.clone();
        if self.collation.is_some() {
            for index in &mut collection.indexes {
                *index = Index::of_id(index.id, self.collation.clone());
            }
            collection.collation.clone_from(&self.collation);
        }
    }
}

async fn create(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_writable(database, target)?;
    let asked = Asked::of(command)?;
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |batch, catalog| {
            if catalog.get(&database, &target).is_some() {
                return Err(exists(&database, &target));
            }
            let mut collection = catalog.reserve(&database, &target);
            asked.apply(&mut collection);
            store(batch, &collection)?;
            let event = event::create(&collection)?;
            catalog.insert(collection);
            Ok(vec![event])
        })
        .await?;
    reply(&doc! { "ok": 1.0 })
}

pub(super) fn exists(database: &str, target: &str) -> CommandError {
    CommandError::new(
        48,
        format!("Collection {database}.{target} already exists."),
    )
}

/// Refuses the kinds of collections that are not here.
fn refuse_kinds(command: &RawDocument) -> Result<(), CommandError> {
    let capped = flag(command, "capped")?;
    if !capped && (command.get("size")?.is_some() || command.get("max")?.is_some()) {
        return Err(CommandError::new(
            72,
            "the 'capped' field needs to be true when either the 'size' or 'max' fields are present",
        ));
    }
    if capped && command.get("size")?.is_none() {
        return Err(CommandError::new(
            72,
            "the 'size' field is required when 'capped' is true",
        ));
    }
    let mut kind = capped.then_some("capped collections");
    for (option, name) in [
        ("viewOn", "views"),
        ("timeseries", "time series"),
        ("clusteredIndex", "clustered collections"),
        ("encryptedFields", "encrypted collections"),
    ] {
        if command.get(option)?.is_some() {
            kind = Some(name);
        }
    }
    if let Some(kind) = kind {
        return Err(CommandError::new(
            115,
            format!("{kind} are not supported by the embedded engine"),
        ));
    }
    for (option, code, text) in [
        (
            "expireAfterSeconds",
            72,
            "'expireAfterSeconds' is only supported on time-series collections or when the 'clusteredIndex' option is specified",
        ),
        (
            "pipeline",
            72,
            "'pipeline' requires 'viewOn' to also be specified",
        ),
        ("temp", 72, "the 'temp' field is an invalid option"),
        (
            "autoIndexId",
            50001,
            "autoIndexId:false is not allowed for collections that can be replicated",
        ),
    ] {
        let harmless = option == "autoIndexId" && flag(command, option)?;
        if command.get(option)?.is_some() && !harmless {
            return Err(CommandError::new(code, text));
        }
    }
    Ok(())
}

async fn modify(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_namespace(target)?;
    check_fields(
        command,
        &[
            "changeStreamPreAndPostImages",
            "validator",
            "validationLevel",
            "validationAction",
            "index",
        ],
    )?;
    let settings = Settings::parse(command)?;
    let index = document(command, "index")?
        .map(IndexChange::parse)
        .transpose()?;
    let (database, target) = (database.to_owned(), target.to_owned());
    let (answer, said) = mpsc::channel();
    core.committer
        .define(move |batch, catalog| {
            let found = catalog
                .get(&database, &target)
                .ok_or_else(|| CommandError::new(26, "ns does not exist"))?;
            let mut changed = settings.validation.clone();
            if let Some(enabled) = settings.pre_images {
                let images = doc! { "enabled": enabled };
                changed.insert("changeStreamPreAndPostImages", images);
            }
            let event = event::modify(found, &changed)?;
            let mut collection = Collection::clone(found);
            collection.pre_images = settings.pre_images.unwrap_or(collection.pre_images);
            let mut options = Document::new();
            collection.validation.describe(&mut options);
            options.extend(settings.validation);
            collection.validation =
                Validation::from_options(&options, collection.collation.as_ref())?;
            collection.version += 1;
            if let Some(index) = index {
                let _ = answer.send(index.apply(&mut collection)?);
            }
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(vec![event])
        })
        .await?;
    let mut answer = said.try_recv().unwrap_or_default();
    answer.insert("ok", 1.0);
    reply(&answer)
}

async fn rename(core: &Core, database: &str, from: &str, command: &RawDocument) -> Answer {
    only_admin(database, "renameCollection")?;
    check_fields(command, &["to", "dropTarget"])?;
    let to = match command.get("to")? {
        Some(RawBsonRef::String(to)) => to,
        Some(other) => return Err(wrong_type("renameCollection.to", other, "string")),
        None => {
            return Err(CommandError::new(
                40414,
                "BSON field 'renameCollection.to' is missing but a required field",
            ));
        }
    };
    let drop_target = flag(command, "dropTarget")?;
    let (from, to) = (namespace(from)?, namespace(to)?);
    check_namespace(&from.1)?;
    check_writable(&to.0, &to.1).map_err(|error| {
        CommandError::new(
            20,
            format!("error with target namespace: {}", error.message),
        )
    })?;
    if from == to {
        return Err(CommandError::new(20, "Can't rename a collection to itself"));
    }
    core.committer
        .define(move |batch, catalog| {
            let Some(found) = catalog.get(&from.0, &from.1).cloned() else {
                return Err(CommandError::new(
                    26,
                    format!("Source collection {}.{} does not exist", from.0, from.1),
                ));
            };
            let target = catalog.get(&to.0, &to.1).cloned();
            if let Some(other) = &target {
                if !drop_target {
                    return Err(CommandError::new(48, "target namespace exists"));
                }
                // The event of the renaming tells of it.
                erase(batch, other)?;
                catalog.remove(other);
            }
            catalog.remove(&found);
            let mut collection = Collection::clone(&found);
            (collection.database, collection.name) = to.clone();
            // What was evaluated under the old name is evaluated again.
            collection.version += 1;
            store(batch, &collection)?;
            let event = event::rename(&found, &collection, target.as_deref());
            catalog.insert(collection);
            Ok(vec![event])
        })
        .await?;
    reply(&doc! { "ok": 1.0 })
}

/// Splits a full name into database and collection.
fn namespace(name: &str) -> Result<(String, String), CommandError> {
    match name.split_once('.') {
        Some((database, target)) if !database.is_empty() && !target.is_empty() => {
            Ok((database.to_owned(), target.to_owned()))
        }
        _ => Err(CommandError::new(
            73,
            format!("Invalid namespace specified '{name}'"),
        )),
    }
}

async fn drop_collection(core: &Core, database: &str, target: &str) -> Answer {
    if target.is_empty() {
        check_namespace(target)?;
    }
    let view = core.view.load_full();
    let Some(found) = view.catalog.get(database, target) else {
        return Err(CommandError::new(26, "ns not found"));
    };
    let indexes = found.indexes.len() as i32;
    let (name, namespace) = (target.to_owned(), found.namespace());
    let database = database.to_owned();
    core.committer
        .define(move |batch, catalog| {
            let collection = catalog.get(&database, &name).cloned();
            let collection = collection.ok_or_else(|| CommandError::new(26, "ns not found"))?;
            let event = erase(batch, &collection)?;
            catalog.remove(&collection);
            Ok(vec![event])
        })
        .await?;
    reply(&doc! { "nIndexesWas": indexes, "ns": namespace, "ok": 1.0 })
}

async fn drop_database(core: &Core, database: &str) -> Answer {
    let name = database.to_owned();
    core.committer
        .define(move |batch, catalog| {
            let collections: Vec<_> = catalog
                .all()
                .filter(|c| c.database == name)
                .cloned()
                .collect();
            let mut events = Vec::new();
            for collection in &collections {
                events.push(erase(batch, collection)?);
                catalog.remove(collection);
            }
            if !collections.is_empty() {
                events.push(event::drop_database(&name));
            }
            Ok(events)
        })
        .await?;
    reply(&doc! { "dropped": database, "ok": 1.0 })
}

/// Removes a collection's catalogue entry and drops its documents and index
/// entries; the event that says so.
pub(crate) fn erase(
    batch: &mut dyn Batch,
    collection: &Collection,
) -> Result<RawDocumentBuf, CommandError> {
    abandon(batch, collection.id)?;
    for index in &collection.indexes {
        abandon(batch, index.id)?;
    }
    batch.remove(Table::Catalog, &collection.id.to_be_bytes())?;
    Ok(event::drop(collection))
}

/// The databases of a catalogue.
pub(crate) fn list_databases(catalog: &Catalog) -> Answer {
    let mut names: Vec<&str> = catalog.all().map(|c| c.database.as_str()).collect();
    names.dedup();
    let databases: Vec<Bson> = names
        .into_iter()
        .map(|name| doc! { "name": name, "empty": false }.into())
        .collect();
    reply(&doc! { "databases": databases, "ok": 1.0 })
}

/// The collections of a database.
pub(crate) fn list_collections(catalog: &Catalog, database: &str, command: &RawDocument) -> Answer {
    check_fields(
        command,
        &["filter", "nameOnly", "cursor", "authorizedCollections"],
    )?;
    let matcher = crate::query::matcher(document(command, "filter")?, None)?;
    let name_only = flag(command, "nameOnly")?;
    let mut listed = Vec::new();
    for collection in catalog.all().filter(|c| c.database == database) {
        let mut entry = doc! { "name": &collection.name, "type": "collection" };
        if !name_only {
            let id_index = collection.indexes.iter().find(|index| index.is_id());
            entry.extend(doc! {
                "options": collection.options(),
                "info": { "readOnly": false, "uuid": collection.uuid },
                "idIndex": id_index.map(Index::describe),
            });
        }
        let entry_raw = RawDocumentBuf::try_from(&entry)?;
        if matcher.matches(&entry_raw).map_err(crate::mql)? {
            listed.push(entry);
        }
    }
    cursor(&format!("{database}.$cmd.listCollections"), listed)
}
