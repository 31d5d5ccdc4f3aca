//! insert, update, replace, delete (rules-schemas.md §5, §6).

use bson::oid::ObjectId;
use bson::raw::RawBsonRef;
use bson::{
    Bson, DateTime, RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc,
};
use engine::{Collection, CommandError};
use kit::Problem;
use mql::Update;
use mql::expression::Variables;
use mql::update::UpdateContext;
use rules::{Allowed, Change as Kind, Write, has_expression};

use super::Door;
use super::arguments::{Arguments, empty};
use super::at_once::AtOnce;
use super::explain::DOCUMENTS_MAX;
use super::failure::{Failure, language, malformed, mongodb, not_permitted, restricted};
use super::guard::{Guard, repeated, repeated_in};
use super::read::{Cursor, all_of, documents, integer};
use super::transaction::Job;

/// What an update may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Operators, a pipeline or a replacement.
    Any,
    /// A document without operators.
    Replacement,
}

/// updateOne, updateMany, replaceOne.
pub(super) struct Modification<'a> {
    pub(super) query: &'a RawDocument,
    pub(super) update: Change<'a>,
    pub(super) multi: bool,
    pub(super) upsert: bool,
}

/// deleteOne, deleteMany.
pub(super) struct Deletion<'a> {
    query: &'a RawDocument,
    multi: bool,
}

/// An update as the caller sent it.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) update: RawBsonRef<'a>,
    pub(super) array_filters: Option<&'a RawArray>,
    /// The word in a refusal.
    pub(super) verb: &'static str,
}

/// A document with an `_id`, made when missing, and that `_id`.
pub(super) fn with_id(document: &RawDocument) -> Result<(RawDocumentBuf, RawBson), Problem> {
    if let Some(id) = document.get("_id").map_err(malformed)? {
        return Ok((document.to_owned(), id.into()));
    }
    let id = ObjectId::new();
    let mut made = RawDocumentBuf::new();
    made.append(cstr!("_id"), id);
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        made.append(name, value);
    }
    Ok((made, RawBson::ObjectId(id)))
}

impl<'a> Change<'a> {
    /// Reads `update` and `arrayFilters`.
    pub(super) fn parse(
        arguments: &Arguments<'a>,
        shape: Shape,
        missing: Option<&'a RawDocument>,
    ) -> Result<Self, Problem> {
        let update = match (arguments.get("update"), missing) {
            (Some(update @ (RawBsonRef::Document(_) | RawBsonRef::Array(_))), _) => update,
            (Some(_), _) => {
                return Err(Problem::invalid_parameter(
                    "argument 'update' must be a document or an array",
                ));
            }
            (None, Some(missing)) => RawBsonRef::Document(missing),
            (None, None) => return Err(Problem::missing_parameter("missing argument 'update'")),
        };
        let replaces = match update {
            RawBsonRef::Document(document) => document
                .iter()
                .flatten()
                .all(|(name, _)| !name.as_str().starts_with('$')),
            _ => false,
        };
        if shape == Shape::Replacement && !replaces {
            return Err(Problem::invalid_parameter(
                "the replace operation document must not contain atomic operators",
            ));
        }
        Ok(Self {
            update,
            array_filters: arguments.array("arrayFilters")?,
            verb: if shape == Shape::Replacement {
                "replace"
            } else {
                "update"
            },
        })
    }

    pub(super) fn is_replacement(&self) -> bool {
        matches!(self.update, RawBsonRef::Document(document) if !document
            .iter()
            .flatten()
            .next()
            .is_some_and(|(name, _)| name.as_str().starts_with('$')))
    }

    /// What a user may not send in an update.
    pub(super) fn restrict(&self, allowed: &Allowed) -> Result<(), Problem> {
        // Not every driver shows the image that it leads to as it is.
        let twice = match self.update {
            RawBsonRef::Document(document) => repeated(document)?,
            RawBsonRef::Array(stages) => repeated_in(stages)?,
            _ => None,
        };
        if let Some(name) = twice {
            return Err(Problem::invalid_parameter(format!(
                "the update has two fields '{name}'"
            )));
        }
        match self.update {
            RawBsonRef::Document(document) => allowed.check_update(document),
            RawBsonRef::Array(stages) => stages
                .into_iter()
                .flatten()
                .filter_map(RawBsonRef::as_document)
                .try_for_each(|stage| allowed.check_expressions(stage)),
            _ => Ok(()),
        }
        .and_then(|()| {
            self.array_filters
                .into_iter()
                .flat_map(|filters| filters.into_iter().flatten())
                .filter_map(RawBsonRef::as_document)
                .try_for_each(|filter| allowed.check_query(filter))
        })
        .map_err(restricted)
    }

    pub(super) fn append_to(&self, command: &mut RawDocumentBuf, name: &bson::raw::CStr) {
        command.append(name, self.update);
        if let Some(filters) = self.array_filters {
            command.append(cstr!("arrayFilters"), filters.to_owned());
        }
    }

    /// The document that an upsert inserts, which filters do not enrich.
    pub(super) fn inserted(
        &self,
        query: &RawDocument,
        now: DateTime,
    ) -> Result<RawDocumentBuf, Problem> {
        let update = self.parsed(now)?;
        let base = mql::upsert_document(query, &update).map_err(language)?;
        let base = RawDocumentBuf::try_from(&base).map_err(malformed)?;
        let context = UpdateContext {
            now,
            stamps: None,
            query: None,
            inserting: true,
            collation: None,
        };
        let made = update.apply(&base, context).map_err(language)?;
        Ok(with_id(&made.document)?.0)
    }

    pub(super) fn parsed(&self, now: DateTime) -> Result<Update, Problem> {
        let mut variables = Variables::default();
        variables.set("NOW", Some(Bson::DateTime(now)));
        Update::parse_with(self.update, self.array_filters, None, &variables).map_err(language)
    }

    /// Changes the document `before`, in the transaction of `collection`, and
    /// asks whether that was allowed. The engine applies the update, so that
    /// feeds tell of it as what it was.
    pub(super) async fn apply(
        &self,
        collection: &Collection,
        mut guard: Option<&mut Guard<'_>>,
        query: &RawDocument,
        before: &RawDocument,
    ) -> Result<RawDocumentBuf, Failure> {
        let mut looks_at = query;
        if let Some(guard) = &mut guard
            && (guard.protects() || has_expression(query))
        {
            // It was asked about the visible part, which says nothing of places in
            // the arrays of the whole.
            if !self.shows_whole(guard, before).await? {
                looks_at = empty();
            }
            if guard.protects()
                && let Some(place) = guard.hides_from(before, self).await?
            {
                let reason = format!("not all of {place} is shown (protect_hidden_fields)");
                return Err(not_permitted(self.verb, reason).into());
            }
        }
        let id = before.get("_id").map_err(malformed)?;
        let Some(id) = id else {
            return Err(Problem::internal("a stored document without _id").into());
        };
        let mut by_id = RawDocumentBuf::new();
        by_id.append(cstr!("_id"), rawdoc! { "$eq": id });
        let mut command = rawdoc! { "findAndModify": collection.name() };
        // With the query, so that the positional operator has its place.
        command.append(cstr!("query"), all_of([by_id.as_ref(), looks_at]));
        command.append(cstr!("new"), true);
        self.append_to(&mut command, cstr!("update"));
        if let Some(guard) = guard {
            // A pipeline computes from every field: what may not be read must
            // not be copied to where it may.
            if matches!(self.update, RawBsonRef::Array(_))
                && guard.shown(before).await?.as_deref() != Some(before)
            {
                return Err(not_permitted(
                    self.verb,
                    "a pipeline needs a document that is readable as a whole",
                )
                .into());
            }
            let reply = match collection.send(command).await {
                Ok(reply) => reply,
                Err(error) => return Err(self.refused(guard, before, error).await),
            };
            let after = image(&reply)?;
            // By a collation, another `_id` can be as good: that document has
            // not been asked about.
            if after.get("_id").map_err(malformed)? != Some(id) {
                return Err(not_permitted(
                    self.verb,
                    "the collection's collation takes the _id of another document for this one's",
                )
                .into());
            }
            guard
                .check(Write::Update(before, &after), self.verb)
                .await?;
            return Ok(after);
        }
        let reply = collection.send(command).await?;
        image(&reply)
    }

    /// What the caller is told when the engine does not take an update. Its text
    /// may quote the document: of one that is not readable as a whole, only what
    /// can be said of the readable part is said. That a key is there already is
    /// told to those only who may write it.
    async fn refused(
        &self,
        guard: &mut Guard<'_>,
        before: &RawDocument,
        error: CommandError,
    ) -> Failure {
        if error.is_transient() || error.is_unreachable() {
            return error.into();
        }
        match self.told(guard, before, error).await {
            Ok(problem) | Err(problem) => problem.into(),
        }
    }

    async fn told(
        &self,
        guard: &mut Guard<'_>,
        before: &RawDocument,
        error: CommandError,
    ) -> Result<Problem, Problem> {
        let shown = guard.shown(before).await?;
        let whole = self.shows_whole(guard, before).await?;
        if error.is_duplicate_key() {
            // What only the engine can make is judged by what it stands on.
            let after = self.made_of(before).unwrap_or_else(|_| before.to_owned());
            guard
                .check(Write::Update(before, &after), self.verb)
                .await?;
            return Ok(mongodb(if whole {
                error
            } else {
                CommandError::new(error.code, "E11000 duplicate key error")
            }));
        }
        Ok(match shown {
            _ if whole => mongodb(error),
            None => not_permitted(self.verb, error),
            Some(part) => match self.made_of(&part) {
                Err(said) => said,
                Ok(_) => not_permitted(self.verb, error),
            },
        })
    }

    /// Whether the caller sees a document as it is; where fields are protected,
    /// whether there could be anything that is not seen.
    async fn shows_whole(
        &self,
        guard: &mut Guard<'_>,
        before: &RawDocument,
    ) -> Result<bool, Problem> {
        if guard.protects() {
            return guard.shows(before, &[]).await;
        }
        Ok(guard.shown(before).await?.as_deref() == Some(before))
    }

    /// What the update makes of a document, at no time in particular.
    fn made_of(&self, document: &RawDocument) -> Result<RawDocumentBuf, Problem> {
        let now = DateTime::from_millis(0);
        let context = UpdateContext {
            now,
            stamps: None,
            query: None,
            inserting: false,
            collation: None,
        };
        let made = self.parsed(now)?.apply(document, context);
        Ok(made.map_err(language)?.document)
    }
}

/// The document in a findAndModify's reply. In a transaction there is one.
fn image(reply: &RawDocument) -> Result<RawDocumentBuf, Failure> {
    match reply.get("value").map_err(malformed)? {
        Some(RawBsonRef::Document(document)) => Ok(document.to_owned()),
        _ => Err(CommandError::write_conflict().into()),
    }
}

impl Door<'_> {
    pub(super) async fn insert_one(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(document) = arguments.document("document")? else {
            return Err(Problem::missing_parameter("missing argument 'document'"));
        };
        let (document, id) = with_id(document)?;
        if let Some(mut guard) = self.guard() {
            guard.check(Write::Insert(&document), "insert").await?;
        }
        insert(&self.collection, &[document], true)
            .await
            .map_err(mongodb)?;
        let mut result = RawDocumentBuf::new();
        result.append(cstr!("insertedId"), id);
        Ok(result.into())
    }

    pub(super) async fn insert_many(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(list) = arguments.array("documents")? else {
            return Err(Problem::missing_parameter("missing argument 'documents'"));
        };
        let ordered = arguments.get("ordered").is_none() || arguments.flag("ordered")?;
        let (mut documents, mut ids) = (Vec::new(), RawArrayBuf::new());
        for entry in list {
            let RawBsonRef::Document(document) = entry.map_err(malformed)? else {
                return Err(Problem::invalid_parameter(
                    "argument 'documents' must be an array of documents",
                ));
            };
            let (document, id) = with_id(document)?;
            documents.push(document);
            ids.push(id);
        }
        if documents.is_empty() {
            return Err(Problem::invalid_parameter(
                "must provide at least one element",
            ));
        }
        // All may be inserted, or none is.
        if let Some(mut guard) = self.guard() {
            for document in &documents {
                guard.check(Write::Insert(document), "insert").await?;
            }
        }
        insert(&self.collection, &documents, ordered)
            .await
            .map_err(mongodb)?;
        let mut result = RawDocumentBuf::new();
        result.append(cstr!("insertedIds"), ids);
        Ok(result.into())
    }

    pub(super) async fn update(
        &self,
        arguments: &Arguments<'_>,
        shape: Shape,
        multi: bool,
    ) -> Result<RawBson, Problem> {
        let modification = Modification {
            query: arguments.query()?,
            update: Change::parse(arguments, shape, None)?,
            multi,
            upsert: arguments.flag("upsert")?,
        };
        if let Some(settings) = self.settings() {
            self.restrict(modification.query, None)?;
            modification.update.restrict(&settings.allowed)?;
        }
        // Replacing many documents is no command of the engine.
        if !(multi && modification.update.is_replacement()) {
            match self.at_once(modification.query, Kind::Update).await? {
                AtOnce::System => {
                    let query = modification.query.to_owned();
                    return self
                        .update_directly(
                            &self.collection,
                            &modification,
                            query,
                            modification.upsert,
                        )
                        .await
                        .map_err(Problem::from);
                }
                AtOnce::Allowed { query, all, role } => {
                    let done = if multi {
                        // Of many, one that the engine refuses refuses all.
                        let job = Job::AtOnce(&modification, query);
                        self.transact(&job).await?
                    } else {
                        self.update_directly(&self.collection, &modification, query, false)
                            .await?
                    };
                    self.metrics().matched(role, matched(&done).cast_unsigned());
                    if all && !modification.upsert || matched(&done) > 0 {
                        return Ok(done);
                    }
                }
                AtOnce::Asked => {}
            }
        }
        self.transact(&Job::Update(modification)).await
    }

    pub(super) async fn update_directly(
        &self,
        collection: &Collection,
        modification: &Modification<'_>,
        query: RawDocumentBuf,
        upsert: bool,
    ) -> Result<RawBson, Failure> {
        let mut statement = RawDocumentBuf::new();
        statement.append(cstr!("q"), query);
        modification.update.append_to(&mut statement, cstr!("u"));
        statement.append(cstr!("multi"), modification.multi);
        statement.append(cstr!("upsert"), upsert);
        let mut command = rawdoc! { "update": self.namespace.collection.as_str() };
        let mut updates = RawArrayBuf::new();
        updates.push(statement);
        command.append(cstr!("updates"), updates);
        let reply = collection.send(command).await?;
        checked(&reply)?;
        let upserted = match reply.get_array("upserted") {
            Ok(list) => list
                .get(0)
                .map_err(malformed)?
                .and_then(RawBsonRef::as_document)
                .and_then(|entry| entry.get("_id").ok().flatten()),
            Err(_) => None,
        };
        let matched = integer(&reply, "n") - i64::from(upserted.is_some());
        Ok(updated(
            matched,
            integer(&reply, "nModified"),
            upserted.map(RawBson::from),
        ))
    }

    pub(super) async fn modify(
        &self,
        modification: &Modification<'_>,
        collection: &Collection,
    ) -> Result<RawBson, Failure> {
        let mut guard = self.guard();
        let limit = u64::from(!modification.multi);
        let targets = self
            .targets(&mut guard, modification.query, None, limit, collection)
            .await?;
        if targets.is_empty() && modification.upsert {
            let made = modification
                .update
                .inserted(modification.query, self.clock.now())?;
            if let Some(guard) = &mut guard {
                guard.check(Write::Insert(&made), "insert").await?;
            }
            let id = made.get("_id").map_err(malformed)?.map(RawBson::from);
            insert(collection, &[made], true).await?;
            return Ok(updated(0, 0, id));
        }
        if targets.is_empty() {
            // What is wrong with it is told, whatever it is for.
            modification.update.parsed(self.clock.now())?;
        }
        let mut modified = 0;
        for before in &targets {
            let after = modification
                .update
                .apply(collection, guard.as_mut(), modification.query, before)
                .await?;
            modified += i64::from(after.as_bytes() != before.as_bytes());
        }
        Ok(updated(targets.len() as i64, modified, None))
    }

    /// The documents that a write is about: those that the query and the
    /// filters match, whether the caller may see them or not.
    pub(super) async fn targets(
        &self,
        guard: &mut Option<Guard<'_>>,
        query: &RawDocument,
        sort: Option<&RawDocument>,
        limit: u64,
        collection: &Collection,
    ) -> Result<Vec<RawDocumentBuf>, Failure> {
        let visible = match guard {
            Some(_) => self.visible_targets(query, sort, limit, collection).await?,
            None => None,
        };
        if let Some(targets) = visible {
            return Ok(targets);
        }
        let filters = match guard {
            Some(guard) => guard.filters().await?.queries,
            None => Vec::new(),
        };
        let queries = filters.iter().map(AsRef::as_ref);
        let mut command = rawdoc! { "find": collection.name() };
        command.append(
            cstr!("filter"),
            all_of(queries.chain(std::iter::once(query))),
        );
        if let Some(sort) = sort {
            command.append(cstr!("sort"), sort);
        }
        let limit = match (self.record, limit) {
            (Some(_), 0) => DOCUMENTS_MAX as u64,
            (_, limit) => limit,
        };
        if limit > 0 {
            command.append(cstr!("limit"), limit as i64);
        }
        let mut targets = Vec::new();
        let mut cursor = Cursor::open(collection, command);
        while let Some(reply) = cursor.advance().await? {
            for document in documents(&reply)? {
                targets.push(document?.to_owned());
            }
        }
        Ok(targets)
    }

    pub(super) async fn delete(
        &self,
        arguments: &Arguments<'_>,
        multi: bool,
    ) -> Result<RawBson, Problem> {
        let query = arguments.query()?;
        self.restrict(query, None)?;
        let (query, all, role) = match self.at_once(query, Kind::Delete).await? {
            AtOnce::System => (query.to_owned(), true, None),
            AtOnce::Allowed { query, all, role } => (query, all, Some(role)),
            AtOnce::Asked => {
                return self.transact(&Job::Delete(Deletion { query, multi })).await;
            }
        };
        let deleted = delete(&self.collection, query, multi).await;
        let deleted = deleted.map_err(mongodb)?;
        if let Some(role) = role {
            self.metrics()
                .matched(role, u64::from(deleted.unsigned_abs()));
        }
        if deleted == 0 && !all {
            let query = arguments.query()?;
            return self.transact(&Job::Delete(Deletion { query, multi })).await;
        }
        Ok(rawdoc! { "deletedCount": deleted }.into())
    }

    pub(super) async fn remove(
        &self,
        deletion: &Deletion<'_>,
        collection: &Collection,
    ) -> Result<RawBson, Failure> {
        let mut guard = self.guard();
        let limit = u64::from(!deletion.multi);
        let targets = self
            .targets(&mut guard, deletion.query, None, limit, collection)
            .await?;
        let mut ids = RawArrayBuf::new();
        for document in &targets {
            if let Some(guard) = &mut guard {
                guard.check(Write::Delete(document), "delete").await?;
            }
            if let Some(id) = document.get("_id").map_err(malformed)? {
                ids.push(id);
            }
        }
        let deleted = if targets.is_empty() {
            0
        } else {
            delete_these(collection, ids).await?
        };
        Ok(rawdoc! { "deletedCount": deleted }.into())
    }
}

/// Inserts documents that have their `_id`.
pub(super) async fn insert(
    collection: &Collection,
    documents: &[RawDocumentBuf],
    ordered: bool,
) -> Result<(), CommandError> {
    let mut list = RawArrayBuf::new();
    for document in documents {
        list.push(document.as_ref());
    }
    let mut command = rawdoc! { "insert": collection.name() };
    command.append(cstr!("documents"), list);
    command.append(cstr!("ordered"), ordered);
    checked(&collection.send(command).await?)
}

/// Deletes; answers how many.
pub(super) async fn delete(
    collection: &Collection,
    query: RawDocumentBuf,
    multi: bool,
) -> Result<i32, CommandError> {
    deleted(
        collection,
        rawdoc! { "q": query, "limit": i32::from(!multi) },
    )
    .await
}

/// Deletes the documents of these `_id`s and no others, whatever the
/// collection's collation takes for equal; answers how many.
pub(super) async fn delete_these(
    collection: &Collection,
    ids: RawArrayBuf,
) -> Result<i32, CommandError> {
    let query = rawdoc! { "_id": { "$in": ids } };
    let statement = rawdoc! { "q": query, "limit": 0, "collation": { "locale": "simple" } };
    deleted(collection, statement).await
}

async fn deleted(collection: &Collection, statement: RawDocumentBuf) -> Result<i32, CommandError> {
    let mut deletes = RawArrayBuf::new();
    deletes.push(statement);
    let mut command = rawdoc! { "delete": collection.name() };
    command.append(cstr!("deletes"), deletes);
    let reply = collection.send(command).await?;
    checked(&reply)?;
    Ok(integer(&reply, "n") as i32)
}

fn checked(reply: &RawDocument) -> Result<(), CommandError> {
    CommandError::first_write_error(reply).map_or(Ok(()), Err)
}

/// How many an update matched.
fn matched(updated: &RawBson) -> i64 {
    updated
        .as_document()
        .map_or(0, |updated| integer(updated, "matchedCount"))
}

/// `{matchedCount, modifiedCount[, upsertedId]}`.
fn updated(matched: i64, modified: i64, upserted: Option<RawBson>) -> RawBson {
    let mut result = rawdoc! { "matchedCount": matched as i32, "modifiedCount": modified as i32 };
    if let Some(id) = upserted {
        result.append(cstr!("upsertedId"), id);
    }
    result.into()
}
