//! `$out` and `$merge`: what a pipeline has made goes into a collection.
//!
//! `$out` fills a collection of another name and puts it into the place of the
//! target in one step. `$merge` writes in batches, as MongoDB does: what came
//! before an error stays.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bson::raw::RawBsonRef;
use bson::{DateTime, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use engine::CommandError;
use kit::limit::DOCUMENT_BYTES_MAX;
use mql::aggregate::{Merge, Stage, Target, WhenMatched, WhenNotMatched};
use mql::update::UpdateContext;
use mql::{Matcher, Update, upsert_document};

use super::admin::erase;
use super::{blocking, check_length, check_namespace, create, modify};
use crate::catalog::{Collection, Index, store};
use crate::committer::Refused;
use crate::query::{self, Wanted};
use crate::walk::Effort;
use crate::write::{Changes, Located};
use crate::{Core, mql as mql_error};

/// Times that a batch is tried before it gives up.
const TRIES_MAX: u32 = 10_000;
/// Documents of one batch.
const BATCH_DOCUMENTS_MAX: usize = 500;
/// Bytes of one batch, about.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Writes a pipeline's documents where its last stage says; with `bypass` no
/// validator is asked.
pub(super) async fn write(
    core: &Arc<Core>,
    database: &str,
    stage: &Stage,
    (documents, bypass): (Vec<RawDocumentBuf>, bool),
) -> Result<(), CommandError> {
    match stage {
        Stage::Out(target) => replace(core, database, target, (documents, bypass)).await,
        Stage::Merge(merge) => self::merge(core, database, merge, (documents, bypass)).await,
        _ => Ok(()),
    }
}

/// `$out`.
async fn replace(
    core: &Arc<Core>,
    database: &str,
    target: &Target,
    (documents, bypass): (Vec<RawDocumentBuf>, bool),
) -> Result<(), CommandError> {
    let database = target.database.as_deref().unwrap_or(database);
    check_namespace(&target.collection)
        .map_err(|_| {
            let name = &target.collection;
            CommandError::new(20, format!("Invalid collection name: {name}"))
        })
        .and_then(|()| check_length(database, &target.collection))
        .map_err(|error| {
            let why = error.message;
            CommandError::new(20, format!("error with target namespace: {why}"))
        })?;
    let name = format!("tmp.agg_out.{}", bson::Uuid::new());
    let mut temporary = Temporary {
        core,
        database,
        name: &name,
        ended: false,
    };
    fresh(core, database, &target.collection, &name).await?;
    let filled = fill(core, database, &name, (documents, bypass)).await;
    temporary.ended = true;
    drop(temporary);
    let name = name.clone();
    let (database, to) = (database.to_owned(), target.collection.clone());
    let keep = filled.is_ok();
    let moved = core
        .committer
        .define(move |batch, catalog| {
            let Some(made) = catalog.get(&database, &name).cloned() else {
                return Err(CommandError::new(26, "the output collection is gone"));
            };
            catalog.remove(&made);
            if !keep {
                erase(batch, &made)?;
                return Ok(Vec::new());
            }
            if let Some(old) = catalog.get(&database, &to).cloned() {
                erase(batch, &old)?;
                catalog.remove(&old);
            }
            let event = doc! {
                "operationType": "rename",
                "ns": { "db": &database, "coll": &name },
                "to": { "db": &database, "coll": &to },
            };
            let mut made = Collection::clone(&made);
            made.name = to;
            made.temporary = false;
            made.version += 1;
            store(batch, &made)?;
            catalog.insert(made);
            Ok(vec![RawDocumentBuf::try_from(&event)?])
        })
        .await;
    filled.and(moved)
}

/// A collection that goes when nobody waits any more for it to be filled.
struct Temporary<'a> {
    core: &'a Arc<Core>,
    database: &'a str,
    name: &'a str,
    ended: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (core, database, name) = (
            self.core.clone(),
            self.database.to_owned(),
            self.name.to_owned(),
        );
        runtime.spawn(async move {
            let gone = core.committer.define(move |batch, catalog| {
                if let Some(made) = catalog.get(&database, &name).cloned() {
                    catalog.remove(&made);
                    erase(batch, &made)?;
                }
                Ok(Vec::new())
            });
            // At the latest it goes when the database is opened again.
            drop(gone.await);
        });
    }
}

/// Makes an empty collection like `model`, if there is one.
async fn fresh(core: &Core, database: &str, model: &str, name: &str) -> Result<(), CommandError> {
    let (database, model, name) = (database.to_owned(), model.to_owned(), name.to_owned());
    core.committer
        .define(move |batch, catalog| {
            let model = catalog.get(&database, &model).cloned();
            let mut made = catalog.create(&database, &name);
            made.temporary = true;
            if let Some(model) = model {
                made.pre_images = model.pre_images;
                made.collation.clone_from(&model.collation);
                made.validation.clone_from(&model.validation);
                let finished = |index: &&Index| !index.is_id() && !index.building;
                for index in model.indexes.iter().filter(finished) {
                    let mut index = index.clone();
                    index.id = catalog.next_id();
                    made.indexes.push(index);
                }
                if let (Some(own), Some(id)) = (
                    made.indexes.iter_mut().find(|index| index.is_id()),
                    model.indexes.iter().find(|index| index.is_id()),
                ) {
                    own.collation.clone_from(&id.collation);
                }
            }
            store(batch, &made)?;
            catalog.insert(made);
            Ok(Vec::new())
        })
        .await
}

async fn fill(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    (documents, bypass): (Vec<RawDocumentBuf>, bool),
) -> Result<(), CommandError> {
    for batch in batches(documents) {
        let mut list = RawArrayBuf::new();
        for document in batch {
            list.push(document);
        }
        let mut command = rawdoc! { "insert": name };
        command.append(cstr!("documents"), list);
        command.append(cstr!("bypassDocumentValidation"), bypass);
        let reply = super::write::run(
            core,
            database,
            ("insert", name),
            &command,
            (None, None, None),
        )
        .await?;
        if let Some(error) = CommandError::first_write_error(&reply) {
            return Err(error);
        }
    }
    Ok(())
}

fn batches(documents: Vec<RawDocumentBuf>) -> Vec<Vec<RawDocumentBuf>> {
    let mut batches: Vec<Vec<RawDocumentBuf>> = Vec::new();
    let mut bytes = 0;
    for document in documents {
        bytes += document.as_bytes().len();
        match batches.last_mut() {
            Some(last) if last.len() < BATCH_DOCUMENTS_MAX && bytes <= BATCH_BYTES_MAX => {
                last.push(document);
            }
            _ => {
                bytes = document.as_bytes().len();
                batches.push(vec![document]);
            }
        }
    }
    batches
}

/// `$merge`.
async fn merge(
    core: &Arc<Core>,
    database: &str,
    merge: &Merge,
    (documents, bypass): (Vec<RawDocumentBuf>, bool),
) -> Result<(), CommandError> {
    let database = merge.target.database.as_deref().unwrap_or(database);
    let name = merge.target.collection.as_str();
    check_namespace(name)?;
    check_length(database, name)?;
    check_unique(core, database, merge)?;
    let merge = Arc::new(merge.clone());
    for batch in batches(documents) {
        let batch = Arc::new(batch);
        for tries in 0.. {
            if tries == TRIES_MAX {
                return Err(CommandError::write_conflict());
            }
            let view = core.view.load_full();
            let Some(collection) = view.catalog.get(database, name).cloned() else {
                create(core, database, name).await?;
                continue;
            };
            let (shared, merge, batch) = (core.clone(), merge.clone(), batch.clone());
            let (changes, result) = blocking(move || {
                let mut changes = Changes::new(view);
                let mut merging = Merging {
                    core: &shared,
                    collection: &collection,
                    changes: &mut changes,
                    merge: &merge,
                    now: shared.clock.now(),
                    bypass,
                };
                let result = merging.all(&batch);
                Ok((changes, result))
            })
            .await?;
            match core.committer.commit(changes, None).await {
                Ok(()) => {
                    result?;
                    break;
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Failed(error)) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Only what a unique index is on tells documents apart.
fn check_unique(core: &Core, database: &str, merge: &Merge) -> Result<(), CommandError> {
    if merge.on == ["_id"] {
        return Ok(());
    }
    let view = core.view.load();
    let found = view.catalog.get(database, &merge.target.collection);
    let unique = found.is_some_and(|collection| {
        collection.indexes.iter().any(|index| {
            index.unique
                && index.partial.is_none()
                && index.fields.len() == merge.on.len()
                && index
                    .fields
                    .iter()
                    .all(|(path, _)| merge.on.iter().any(|on| on == path.as_str()))
        })
    });
    if unique {
        Ok(())
    } else {
        Err(CommandError::new(
            51183,
            "Cannot find index to verify that join fields will be unique",
        ))
    }
}

struct Merging<'a> {
    core: &'a Core,
    collection: &'a Arc<Collection>,
    changes: &'a mut Changes,
    merge: &'a Merge,
    now: DateTime,
    bypass: bool,
}

impl Merging<'_> {
    /// Takes a batch, in which what is refused does not keep the others from being
    /// written; unless one has no place in the collection at all.
    fn all(&mut self, batch: &[RawDocumentBuf]) -> Result<(), CommandError> {
        let mut documents = Vec::with_capacity(batch.len());
        for document in batch {
            let document = if self.merge.on.iter().any(|on| on == "_id") {
                modify::with_id(document)
            } else {
                document.clone()
            };
            let matcher = self.matcher(&document)?;
            documents.push((document, matcher));
        }
        let mut result = Ok(());
        for (document, matcher) in documents {
            result = result.and(self.take(&document, &matcher));
        }
        result
    }

    fn take(&mut self, document: &RawDocument, matcher: &Matcher) -> Result<(), CommandError> {
        let view = self.changes.view.clone();
        let wanted = Wanted {
            limit: 1,
            ..Wanted::by(matcher)
        };
        let on = (&*view, Some(&*self.changes));
        let found = query::find(on, self.collection, &wanted, &Effort::default())?;
        match found.into_iter().next() {
            None => self.unmatched(document),
            Some(located) => self.matched(document, &located, matcher),
        }
    }

    /// The document that comes in: as it is, or by the operator of an upsert,
    /// which puts fields in order.
    fn made(&self, document: &RawDocument) -> Result<RawDocumentBuf, CommandError> {
        let operators = match &self.merge.matched {
            _ if document.is_empty() => return Ok(document.to_owned()),
            WhenMatched::Merge => rawdoc! { "$set": document.to_owned() },
            WhenMatched::Keep => rawdoc! { "$setOnInsert": document.to_owned() },
            WhenMatched::Replace | WhenMatched::Fail | WhenMatched::Pipeline(_) => {
                return Ok(document.to_owned());
            }
        };
        let update = Update::parse(RawBsonRef::Document(&operators), None).map_err(mql_error)?;
        let base = upsert_document(&self.query(document)?, &update).map_err(mql_error)?;
        let base = RawDocumentBuf::try_from(&base)?;
        let cx = UpdateContext {
            now: self.now,
            stamps: None,
            query: None,
            inserting: true,
            collation: None,
        };
        Ok(update.apply(&base, cx).map_err(mql_error)?.document)
    }

    /// What has the same values in the fields that tell documents apart.
    fn matcher(&self, document: &RawDocument) -> Result<Matcher, CommandError> {
        let matcher = Matcher::parse(&self.query(document)?).map_err(mql_error)?;
        Ok(matcher.collated(self.collection.collation.as_ref()))
    }

    fn query(&self, document: &RawDocument) -> Result<RawDocumentBuf, CommandError> {
        let mut query = RawDocumentBuf::new();
        for on in &self.merge.on {
            let path = mql::path::Path::new(on);
            let value = mql::path::get(document, path.parts());
            let refused = |code: i32, what: &str| {
                Err(CommandError::new(
                    code,
                    format!("$merge write error: 'on' field '{on}' {what}"),
                ))
            };
            let value = match value {
                Some(RawBsonRef::Array(_)) => return refused(51185, "is an array"),
                None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => {
                    return refused(51132, "cannot be missing, null, undefined or an array");
                }
                Some(value) => value,
            };
            let mut test = RawDocumentBuf::new();
            test.append(cstr!("$eq"), value);
            let name: &bson::raw::CStr = on.as_str().try_into()?;
            query.append(name, test);
        }
        Ok(query)
    }

    fn unmatched(&mut self, document: &RawDocument) -> Result<(), CommandError> {
        match self.merge.unmatched {
            WhenNotMatched::Discard => Ok(()),
            WhenNotMatched::Fail => Err(CommandError::new(
                13113,
                "$merge could not find a matching document in the target collection for at least one document in the source collection",
            )),
            WhenNotMatched::Insert => {
                let record = self.core.records.fetch_add(1, Ordering::Relaxed);
                let document = modify::with_id(&self.made(document)?);
                modify::check_insert(&document).map_err(|mut error| {
                    // What is no plain insert is an upsert.
                    if document.as_bytes().len() > DOCUMENT_BYTES_MAX
                        && !matches!(self.merge.matched, WhenMatched::Fail)
                    {
                        error.code = 17420;
                        error.message =
                            format!("Document to upsert is larger than {DOCUMENT_BYTES_MAX}");
                    }
                    error
                })?;
                if !self.bypass {
                    self.collection.validation.check(None, &document)?;
                }
                self.changes.insert(self.collection, record, document)
            }
        }
    }

    fn matched(
        &mut self,
        document: &RawDocument,
        located: &Located,
        matcher: &Matcher,
    ) -> Result<(), CommandError> {
        let update = match &self.merge.matched {
            WhenMatched::Keep => return Ok(()),
            WhenMatched::Fail => {
                // The index says so in MongoDB's words.
                let inserted = self.unmatched(document);
                return inserted.map_err(|mut error| {
                    if error.code == 11000 {
                        error.message.insert_str(
                            0,
                            "$merge with whenMatched: fail found an existing document with the same values for the 'on' fields :: caused by :: ",
                        );
                    }
                    error
                });
            }
            WhenMatched::Replace => Update::parse(RawBsonRef::Document(document), None),
            WhenMatched::Merge => {
                let set = rawdoc! { "$set": document.to_owned() };
                if document.is_empty() {
                    return Ok(());
                }
                Update::parse(RawBsonRef::Document(&set), None)
            }
            WhenMatched::Pipeline(_) => match self.merge.pipeline(document).map_err(mql_error)? {
                Some(pipeline) => Ok(Update::of(pipeline)),
                None => return Ok(()),
            },
        };
        let update = update.map_err(mql_error)?;
        let applied = update.apply(
            &located.document,
            UpdateContext {
                now: self.now,
                stamps: None,
                query: Some(matcher),
                inserting: false,
                collation: matcher.collation(),
            },
        );
        let applied = applied.map_err(|error| {
            let mut error = mql_error(error);
            if error.code == 66 {
                error.message.insert_str(
                    0,
                    "$merge failed to update the matching document, did you attempt to modify the _id or the shard key? :: caused by :: ",
                );
            }
            error
        })?;
        if !applied.modified {
            return Ok(());
        }
        if !self.bypass {
            let validation = &self.collection.validation;
            validation.check(Some(&located.document), &applied.document)?;
        }
        let description = (!update.is_replacement()).then_some(&applied.description);
        self.changes.update(
            self.collection,
            located,
            applied.document.clone(),
            description,
        )
    }
}
