//! createIndexes, listIndexes, dropIndexes, and collMod's part of an index.

use std::sync::{Arc, mpsc};

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Answer, CommandError};

use super::admin::{cursor, missing};
use super::cursors::first_batch;
use super::{check_fields, check_length, check_namespace, document, reply, whole};
use crate::books::abandon;
use crate::catalog::{Catalog, Collection, Index, expire_after, same_keys, store};
use crate::text::shown;
use crate::{Core, build, event};

/// Indexes of one collection.
pub(super) const INDEXES_MAX: usize = 64;

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    if let Some(other) = command.get(name)?
        && !matches!(other, RawBsonRef::String(_))
    {
        let other = mql::type_name(other);
        let text = format!("collection name has invalid type {other}");
        return Err(CommandError::bad_value(text));
    }
    match name {
        "createIndexes" => create_indexes(core, database, target, command).await,
        "dropIndexes" => drop_indexes(core, database, target, command).await,
        _ => list_indexes(core, database, target, command),
    }
}

/// The indexes of a collection.
pub(crate) fn list(catalog: &Catalog, database: &str, target: &str) -> Answer {
    let collection = catalog
        .get(database, target)
        .ok_or_else(|| missing(database, target))?;
    let indexes = collection.indexes.iter().map(Index::describe).collect();
    cursor(&collection.namespace(), indexes)
}

fn list_indexes(core: &Core, database: &str, target: &str, command: &RawDocument) -> Answer {
    check_fields(
        command,
        &["cursor", "includeBuildUUIDs", "includeIndexBuildInfo"],
    )?;
    let size = match document(command, "cursor")? {
        Some(cursor) => whole(cursor, "batchSize")?,
        None => None,
    };
    let size = match size {
        Some(size) => usize::try_from(size).map_err(|_| {
            CommandError::new(
                51024,
                format!("BSON field 'batchSize' value must be >= 0, actual value '{size}'"),
            )
        })?,
        None => usize::MAX,
    };
    let view = core.view.load();
    let collection = view
        .catalog
        .get(database, target)
        .ok_or_else(|| missing(database, target))?;
    let indexes = collection
        .indexes
        .iter()
        .map(|index| RawDocumentBuf::try_from(&index.describe()))
        .collect::<Result<_, _>>()?;
    Ok(first_batch(
        core,
        collection.namespace(),
        indexes,
        size,
        true,
    ))
}

async fn create_indexes(
    core: &Arc<Core>,
    database: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    check_namespace(target)?;
    check_length(database, target)?;
    check_fields(
        command,
        &["indexes", "commitQuorum", "ignoreUnknownIndexOptions"],
    )?;
    let specifications = specifications(command)?;
    let quorum = match command.get("commitQuorum")? {
        Some(quorum) => Bson::try_from(quorum)?,
        None => "votingMembers".into(),
    };
    let (core, database, target) = (core.clone(), database.to_owned(), target.to_owned());
    // Goes on when the caller has gone: there is no half of an index.
    let made = tokio::spawn(async move {
        let _one = core.builds.lock().await;
        let registered = register(&core, &database, &target, specifications).await?;
        if !registered.to_fill.is_empty() {
            build::fill(&core, registered.collection, registered.to_fill.clone()).await?;
        }
        Ok::<_, CommandError>(registered)
    })
    .await
    .map_err(|error| CommandError::new(1, format!("the operation ended early: {error}")))??;
    let mut answer = doc! {
        "numIndexesBefore": made.before, "numIndexesAfter": made.before + made.added,
    };
    if made.added > 0 || made.created {
        answer.insert("createdCollectionAutomatically", made.created);
        answer.insert("commitQuorum", quorum);
    }
    if made.added == 0 {
        answer.insert("note", "all indexes already exist");
    } else if made.added < made.asked {
        answer.insert("note", "index already exists");
    }
    answer.insert("ok", 1.0);
    reply(&answer)
}

pub(super) fn specifications(command: &RawDocument) -> Result<Vec<Document>, CommandError> {
    let mistyped = |field: &str, value: RawBsonRef<'_>, wanted: &str| {
        let found = mql::type_name(value);
        CommandError::new(
            14,
            format!(
                "BSON field 'createIndexes.{field}' is the wrong type '{found}', expected type '{wanted}'"
            ),
        )
    };
    let list = match command.get("indexes")? {
        Some(RawBsonRef::Array(list)) => list,
        Some(RawBsonRef::Null) => {
            return Err(CommandError::new(
                10065,
                "invalid parameter: expected an object (indexes)",
            ));
        }
        Some(other) => return Err(mistyped("indexes", other, "array")),
        None => {
            return Err(CommandError::new(
                40414,
                "BSON field 'createIndexes.indexes' is missing but a required field",
            ));
        }
    };
    let mut specifications = Vec::new();
    for (at, entry) in list.into_iter().enumerate() {
        match entry? {
            RawBsonRef::Document(specification) => {
                let specification = Document::try_from(specification)?;
                Index::parse(0, &specification, None)?;
                specifications.push(specification);
            }
            RawBsonRef::Null => {}
            other => return Err(mistyped(&format!("indexes.{at}"), other, "object")),
        }
    }
    if specifications.is_empty() {
        return Err(CommandError::bad_value(
            "Must specify at least one index to create",
        ));
    }
    Ok(specifications)
}

/// What a createIndexes command put into the catalogue.
struct Registered {
    collection: u32,
    /// Indexes that have to be filled.
    to_fill: Vec<u32>,
    created: bool,
    before: i32,
    added: i32,
    asked: i32,
}

/// Puts new indexes into the catalogue: as they are with a new collection,
/// under construction with one that may have documents.
async fn register(
    core: &Core,
    database: &str,
    target: &str,
    specifications: Vec<Document>,
) -> Result<Registered, CommandError> {
    let (database, target) = (database.to_owned(), target.to_owned());
    let (answer, registered) = mpsc::channel();
    core.committer
        .define(move |batch, catalog| {
            let found = catalog.get(&database, &target).cloned();
            let created = found.is_none();
            let mut events = Vec::new();
            let mut collection = if let Some(found) = found {
                Collection::clone(&found)
            } else {
                let collection = catalog.create(&database, &target);
                events.push(event::create(&collection)?);
                collection
            };
            let before = collection.indexes.len();
            let mut added: Vec<Index> = Vec::new();
            for specification in &specifications {
                let mut index = Index::parse(
                    catalog.next_id(),
                    specification,
                    collection.collation.as_ref(),
                )?;
                if is_there(&collection.indexes, &index)? {
                    continue;
                }
                if is_there(&added, &index)? {
                    let text = format!("Identical index already exists: {}", index.name);
                    return Err(CommandError::new(68, text));
                }
                if before + added.len() >= INDEXES_MAX {
                    let namespace = collection.namespace();
                    let text = format!("add index fails, too many indexes for {namespace}");
                    return Err(CommandError::new(67, text));
                }
                index.building = !created;
                added.push(index);
            }
            let ids = added.iter().map(|index| index.id).collect();
            let _ = answer.send(Registered {
                collection: collection.id,
                to_fill: if created { Vec::new() } else { ids },
                created,
                before: before as i32,
                added: added.len() as i32,
                asked: specifications.len() as i32,
            });
            if created || !added.is_empty() {
                collection.version += 1;
                // The others are told when they are whole.
                if created && !added.is_empty() {
                    events.push(event::create_indexes(&collection, &added)?);
                }
                collection.indexes.extend(added);
                store(batch, &collection)?;
                catalog.insert(collection);
            }
            Ok(events)
        })
        .await?;
    registered
        .recv()
        .map_err(|error| CommandError::new(1, error.to_string()))
}

/// Whether the same index exists; another one of its name or key is an error.
pub(super) fn is_there(indexes: &[Index], index: &Index) -> Result<bool, CommandError> {
    if index.is_on_id() {
        return Ok(true);
    }
    let refused = |code: i32, text: &str, other: &Index| {
        let (requested, existing) = (shown(&index.describe()), shown(&other.describe()));
        CommandError::new(
            code,
            format!("{text} Requested index: {requested}, existing index: {existing}"),
        )
    };
    let of_name = indexes.iter().find(|other| other.name == index.name);
    if let Some(other) = of_name.filter(|other| !other.is_same_as(index)) {
        return Err(refused(
            86,
            "An existing index has the same name as the requested index. When index names are not \
             specified, they are auto generated and can cause conflicts. Please refer to our \
             documentation.",
            other,
        ));
    }
    let Some(other) = indexes.iter().find(|other| other.is_same_as(index)) else {
        return Ok(false);
    };
    let options = other.expire_after_s == index.expire_after_s;
    match (other.name == index.name, options) {
        (true, true) => Ok(true),
        (false, true) => Err(CommandError::new(
            85,
            format!("Index already exists with a different name: {}", other.name),
        )),
        (true, false) => Err(refused(
            85,
            "An equivalent index already exists with the same name but different options.",
            other,
        )),
        (false, false) => Err(refused(
            85,
            "An equivalent index already exists with a different name and options.",
            other,
        )),
    }
}

/// Which indexes a dropIndexes command means.
enum Wanted {
    All,
    Names(Vec<String>),
    Key(Document),
}

impl Wanted {
    fn parse(command: &RawDocument) -> Result<Self, CommandError> {
        let mistyped = |found: &str| {
            CommandError::new(
                14,
                format!(
                    "BSON field 'dropIndexes.index' is the wrong type '{found}', expected types '[string, object']"
                ),
            )
        };
        Ok(match command.get("index")? {
            Some(RawBsonRef::String("*")) => Self::All,
            Some(RawBsonRef::String(name)) => Self::Names(vec![name.to_owned()]),
            Some(RawBsonRef::Document(key)) => Self::Key(Document::try_from(key)?),
            Some(RawBsonRef::Array(names)) => {
                let names = names
                    .into_iter()
                    .map(|name| match name? {
                        RawBsonRef::String(name) => Ok(name.to_owned()),
                        _ => Err(mistyped("array")),
                    })
                    .collect::<Result<Vec<_>, CommandError>>()?;
                if names == ["*"] {
                    Self::All
                } else {
                    Self::Names(names)
                }
            }
            Some(other) => return Err(mistyped(mql::type_name(other))),
            None => {
                return Err(CommandError::new(
                    40414,
                    "BSON field 'dropIndexes.index' is missing but a required field",
                ));
            }
        })
    }

    /// The names of the indexes that go.
    fn of(&self, collection: &Collection) -> Result<Vec<String>, CommandError> {
        let not_id = |index: &Index| {
            if index.is_id() {
                Err(CommandError::new(72, "cannot drop _id index"))
            } else {
                Ok(index.name.clone())
            }
        };
        match self {
            Self::All => Ok(collection
                .indexes
                .iter()
                .filter(|index| !index.is_id())
                .map(|index| index.name.clone())
                .collect()),
            Self::Names(names) => names
                .iter()
                .map(|name| {
                    let found = collection.indexes.iter().find(|index| index.name == *name);
                    let missing =
                        || CommandError::new(27, format!("index not found with name [{name}]"));
                    not_id(found.ok_or_else(missing)?)
                })
                .collect(),
            Self::Key(key) => match with_key(collection, key).as_slice() {
                [] => Err(CommandError::new(
                    27,
                    format!("can't find index with key: {}", shown(key)),
                )),
                [one] => Ok(vec![not_id(one)?]),
                [first, second, ..] => Err(CommandError::new(
                    181,
                    format!(
                        "{} indexes found for key: {}, identify by name instead. Conflicting indexes: {}, {}",
                        with_key(collection, key).len(),
                        shown(key),
                        shown(&first.describe()),
                        shown(&second.describe())
                    ),
                )),
            },
        }
    }
}

/// The indexes whose key is `key`.
pub(crate) fn with_key<'a>(collection: &'a Collection, key: &Document) -> Vec<&'a Index> {
    collection
        .indexes
        .iter()
        .filter(|index| same_keys(&index.key, key))
        .collect()
}

async fn drop_indexes(
    core: &Arc<Core>,
    database: &str,
    target: &str,
    command: &RawDocument,
) -> Answer {
    check_fields(command, &["index"])?;
    let wanted = Wanted::parse(command)?;
    let all = matches!(wanted, Wanted::All);
    let (database, target) = (database.to_owned(), target.to_owned());
    let (answer, before) = mpsc::channel();
    core.committer
        .define(move |batch, catalog| {
            let found = catalog.get(&database, &target).ok_or_else(|| {
                CommandError::new(26, format!("ns not found {database}.{target}"))
            })?;
            let names = wanted.of(found)?;
            let _ = answer.send(found.indexes.len() as i32);
            let mut collection = Collection::clone(found);
            let gone = take_named(&mut collection, &names);
            let mut events = Vec::new();
            for index in &gone {
                abandon(batch, index.id)?;
                let gone = std::slice::from_ref(index);
                events.push(event::drop_indexes(&collection, gone)?);
            }
            store(batch, &collection)?;
            catalog.insert(collection);
            Ok(events)
        })
        .await?;
    let before = before
        .recv()
        .map_err(|error| CommandError::new(1, error.to_string()))?;
    let mut answer = doc! { "nIndexesWas": before };
    if all {
        answer.insert("msg", "non-_id indexes dropped for collection");
    }
    answer.insert("ok", 1.0);
    reply(&answer)
}

fn take_named(collection: &mut Collection, names: &[String]) -> Vec<Index> {
    let (gone, kept) = std::mem::take(&mut collection.indexes)
        .into_iter()
        .partition(|index| names.contains(&index.name));
    collection.indexes = kept;
    collection.version += 1;
    gone
}

/// A change of one index, as collMod takes it.
#[derive(Clone)]
pub(super) struct IndexChange {
    name: Option<String>,
    key: Option<Document>,
    hidden: Option<bool>,
    expire_after_s: Option<i64>,
}

impl IndexChange {
    /// Reads collMod's `index`.
    ///
    /// # Errors
    /// MongoDB's: 72 for what does not say which index or which change.
    pub(super) fn parse(change: &RawDocument) -> Result<Self, CommandError> {
        let mut parsed = Self {
            name: None,
            key: None,
            hidden: None,
            expire_after_s: None,
        };
        let invalid = |text: &str| Err(CommandError::new(72, text));
        for entry in change {
            let (field, value) = entry?;
            let value = Bson::try_from(value)?;
            let mistyped = |wanted: &str| {
                CommandError::new(
                    14,
                    format!(
                        "BSON field 'collMod.index.{field}' is the wrong type '{}', expected {wanted}",
                        mql::owned_type_name(&value)
                    ),
                )
            };
            match (field.as_str(), &value) {
                ("name", Bson::String(name)) => parsed.name = Some(name.clone()),
                ("name", _) => return Err(mistyped("type 'string'")),
                ("keyPattern", Bson::Document(key)) => parsed.key = Some(key.clone()),
                ("keyPattern", _) => return Err(mistyped("type 'object'")),
                ("hidden", Bson::Boolean(hidden)) => parsed.hidden = Some(*hidden),
                ("hidden", _) => {
                    return Err(mistyped("types '[bool, long, int, decimal, double']"));
                }
                ("expireAfterSeconds", Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => {
                    let seconds =
                        expire_after(&value).map_err(|text| CommandError::new(72, text))?;
                    parsed.expire_after_s = Some(seconds);
                }
                ("expireAfterSeconds", _) => {
                    return Err(mistyped("types '[long, int, decimal, double']"));
                }
                ("unique" | "prepareUnique", _) => {
                    return Err(CommandError::new(
                        72,
                        format!(
                            "collMod's index option '{field}' is not supported by the embedded engine"
                        ),
                    ));
                }
                (other, _) => {
                    return Err(CommandError::new(
                        40415,
                        format!("BSON field 'collMod.index.{other}' is an unknown field."),
                    ));
                }
            }
        }
        if parsed.name.is_some() && parsed.key.is_some() {
            return invalid("Cannot specify both key pattern and name.");
        }
        if parsed.name.is_none() && parsed.key.is_none() {
            return invalid("Must specify either index name or key pattern.");
        }
        if parsed.hidden.is_none() && parsed.expire_after_s.is_none() {
            return invalid("no expireAfterSeconds, hidden, unique, or prepareUnique field");
        }
        Ok(parsed)
    }

    /// Changes the index in `collection`; what the reply says of it.
    ///
    /// # Errors
    /// 27 without the index, 2 and 72 for what it cannot be.
    pub(super) fn apply(&self, collection: &mut Collection) -> Result<Document, CommandError> {
        let namespace = collection.namespace();
        let name = match (&self.name, &self.key) {
            (Some(name), _) => name.clone(),
            (None, key) => {
                let key = key.clone().unwrap_or_default();
                match with_key(collection, &key).as_slice() {
                    [one] => one.name.clone(),
                    [] => {
                        let text = format!("cannot find index {} for ns {namespace}", shown(&key));
                        return Err(CommandError::new(27, text));
                    }
                    [first, second, ..] => {
                        return Err(CommandError::new(
                            181,
                            format!(
                                "index keyPattern {} matches {} indexes, must use index name. Conflicting indexes:{}, {}",
                                shown(&key),
                                with_key(collection, &key).len(),
                                shown(&first.describe()),
                                shown(&second.describe())
                            ),
                        ));
                    }
                }
            }
        };
        let found = collection
            .indexes
            .iter_mut()
            .find(|index| index.name == name);
        let index = found.ok_or_else(|| {
            CommandError::new(27, format!("cannot find index {name} for ns {namespace}"))
        })?;
        let mut answer = Document::new();
        let number = |n: i64| i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32);
        if let Some(seconds) = self.expire_after_s {
            if index.fields.len() > 1 {
                return Err(CommandError::new(
                    72,
                    "TTL indexes are single-field indexes, compound indexes do not support TTL",
                ));
            }
            if index.is_id() {
                return Err(CommandError::new(
                    72,
                    "the _id field does not support TTL indexes",
                ));
            }
            if let Some(old) = index.expire_after_s.replace(seconds) {
                answer.insert("expireAfterSeconds_old", number(old));
            }
            answer.insert("expireAfterSeconds_new", number(seconds));
        }
        if let Some(hidden) = self.hidden {
            if index.is_id() {
                return Err(CommandError::bad_value("can't hide _id index"));
            }
            if hidden != index.hidden {
                answer.insert("hidden_old", index.hidden);
                answer.insert("hidden_new", hidden);
                index.hidden = hidden;
            }
        }
        Ok(answer)
    }
}
