//! insert, update, delete and findAndModify, evaluated on a snapshot.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bson::oid::ObjectId;
use bson::raw::{RawBson, RawBsonRef};
use bson::{Bson, DateTime, RawArray, RawDocument, RawDocumentBuf, cstr, doc};
use engine::{Answer, CommandError};
use kit::limit::DOCUMENT_BYTES_MAX;
use mql::matcher::{Compare, Node, Test};
use mql::update::UpdateContext;
use mql::{Collation, Matcher, Projection, Sort, Update, upsert_document};

use super::shape::{DELETE, UPDATE, array_filters, list};
use super::tally::{Done, Tally, write_error};
use super::write::{PIECE, Statements};
use super::{check_fields, collation, document, flag, reply, whole};
use crate::catalog::Collection;
use crate::kv::Table;
use crate::layout::{Record, document_key, loaded};
use crate::query;
use crate::transaction::Transaction;
use crate::write::{Changes, Located};
use crate::{Core, View, mql as mql_error, retry};

/// Inserts that are evaluated on the reactor.
const QUICK_INSERTS_MAX: usize = 16;

/// A parsed write, which may be evaluated more than once.
#[derive(Clone)]
pub(super) struct Operation {
    kind: Arc<Kind>,
    now: DateTime,
    /// The collection's collation when this was parsed.
    default: Option<Collation>,
    /// Whether the collection's validator is not asked.
    bypass: bool,
}

#[expect(clippy::large_enum_variant, reason = "one of a write, behind an Arc")]
enum Kind {
    Insert {
        documents: Vec<Result<RawDocumentBuf, CommandError>>,
        ordered: bool,
    },
    Update {
        statements: Vec<Result<Change, CommandError>>,
        ordered: bool,
    },
    Delete {
        statements: Vec<Result<(Matcher, bool), CommandError>>,
        ordered: bool,
    },
    FindAndModify {
        change: Option<Change>,
        matcher: Matcher,
        sort: Sort,
        projection: Option<Projection>,
        new: bool,
    },
}

/// One statement of an update.
struct Change {
    query: RawDocumentBuf,
    matcher: Matcher,
    update: Update,
    multi: bool,
    upsert: bool,
}

/// Whether a query asks for one `_id`.
pub(super) fn is_lookup(matcher: &Matcher) -> bool {
    matcher.conjuncts().iter().any(|node| {
        matches!(node, Node::Field(path, Test::Compare(Compare::Eq, _)) if path.as_str() == "_id")
    })
}

/// Whether a query is a value of `_id` and nothing else.
fn is_simple(query: &RawDocument) -> bool {
    let mut fields = query.iter().flatten();
    let (Some((name, value)), None) = (fields.next(), fields.next()) else {
        return false;
    };
    name == "_id"
        && match value {
            RawBsonRef::Document(value) => !value
                .iter()
                .flatten()
                .next()
                .is_some_and(|(name, _)| name.as_str().starts_with('$')),
            RawBsonRef::Array(_)
            | RawBsonRef::Null
            | RawBsonRef::Undefined
            | RawBsonRef::RegularExpression(_) => false,
            _ => true,
        }
}

impl Operation {
    pub(super) fn parse(
        name: &str,
        command: &RawDocument,
        now: DateTime,
        default: Option<&Collation>,
    ) -> Result<Self, CommandError> {
        let ordered = command.get("ordered")?.is_none() || flag(command, "ordered")?;
        let kind = match name {
            "insert" => {
                check_fields(
                    command,
                    &["documents", "ordered", "bypassDocumentValidation"],
                )?;
                let documents = list(command, "documents", &[], |document| Ok(with_id(document)))?;
                Kind::Insert { documents, ordered }
            }
            "update" => {
                check_fields(
                    command,
                    &["updates", "ordered", "bypassDocumentValidation", "let"],
                )?;
                let statements = list(command, "updates", UPDATE, |statement| {
                    let collation = collation(statement, default)?;
                    Change::parse(
                        collation.as_ref(),
                        document(statement, "q")?,
                        statement.get("u")?,
                        statement.get_array("arrayFilters").ok(),
                        flag(statement, "multi")?,
                        flag(statement, "upsert")?,
                    )
                })?;
                Kind::Update {
                    statements,
                    ordered,
                }
            }
            "delete" => {
                check_fields(command, &["deletes", "ordered", "let"])?;
                let statements = list(command, "deletes", DELETE, |statement| {
                    let limit = whole(statement, "limit")?.unwrap_or(0);
                    let collation = collation(statement, default)?;
                    let matcher = query::matcher(document(statement, "q")?, collation.as_ref())?;
                    Ok((matcher, limit == 0))
                })?;
                Kind::Delete {
                    statements,
                    ordered,
                }
            }
            _ => Self::find_and_modify(command, default)?,
        };
        Ok(Self {
            kind: Arc::new(kind),
            now,
            default: default.cloned(),
            bypass: flag(command, "bypassDocumentValidation")?,
        })
    }

    /// The collection's collation when this was parsed.
    pub(super) fn default_collation(&self) -> Option<&Collation> {
        self.default.as_ref()
    }

    fn find_and_modify(
        command: &RawDocument,
        default: Option<&Collation>,
    ) -> Result<Kind, CommandError> {
        check_fields(
            command,
            &[
                "query",
                "sort",
                "update",
                "remove",
                "new",
                "fields",
                "upsert",
                "arrayFilters",
                "bypassDocumentValidation",
                "hint",
                "let",
                "collation",
            ],
        )?;
        let collation = collation(command, default)?;
        let collation = collation.as_ref();
        let remove = flag(command, "remove")?;
        let update = command.get("update")?;
        let upsert = flag(command, "upsert")?;
        let new = flag(command, "new")?;
        let refused = |text: &str| Err(CommandError::new(9, text));
        match (remove, update) {
            (true, Some(_)) => return refused("Cannot specify both an update and remove=true"),
            (true, None) if upsert => {
                return refused("Cannot specify both upsert=true and remove=true");
            }
            (true, None) if new => {
                return refused(
                    "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document",
                );
            }
            (false, None) => return refused("Either an update or remove=true must be specified"),
            _ => {}
        }
        if let Some(RawBsonRef::Null) = command.get("hint")? {
            return refused("Hint must be a string or an object");
        }
        if let Some(RawBsonRef::Null) = command.get("arrayFilters")? {
            return Err(array_filters());
        }
        let query = document(command, "query")?;
        let change = match update {
            Some(update) => Some(Change::parse(
                collation,
                query,
                Some(update),
                command.get_array("arrayFilters").ok(),
                false,
                upsert,
            )?),
            None => None,
        };
        let fields = document(command, "fields")?.filter(|fields| !fields.is_empty());
        // MongoDB does not look at the sort of what is one document anyway.
        let is_one = collation.is_none() && fields.is_none() && query.is_some_and(is_simple);
        Ok(Kind::FindAndModify {
            change,
            matcher: query::matcher(query, collation)?,
            sort: match document(command, "sort")? {
                Some(sort) if !is_one => Sort::parse(sort).map_err(mql_error)?.collated(collation),
                _ => Sort::default(),
            },
            projection: fields
                .map(|fields| Projection::parse_with(fields, collation).map_err(mql_error))
                .transpose()?,
            new,
        })
    }

    /// Whether it may make a document, and so a collection.
    pub(super) fn may_insert(&self) -> bool {
        match &*self.kind {
            Kind::Insert { .. } => true,
            Kind::Update { statements, .. } => {
                statements.iter().flatten().any(|change| change.upsert)
            }
            Kind::Delete { .. } => false,
            Kind::FindAndModify { change, .. } => change.as_ref().is_some_and(|c| c.upsert),
        }
    }

    /// The reply on a collection that is not there.
    pub(super) fn nothing(&self) -> Answer {
        let mut errors = Vec::new();
        let note = |index: usize, error: &CommandError, errors: &mut Vec<Bson>| {
            errors.push(write_error(index, error).into());
        };
        let mut answer = match &*self.kind {
            Kind::Insert { .. } => doc! { "n": 0 },
            Kind::Update { statements, .. } => {
                for (index, statement) in statements.iter().enumerate() {
                    if let Err(error) = statement {
                        note(index, error, &mut errors);
                    }
                }
                doc! { "n": 0, "nModified": 0 }
            }
            Kind::Delete { statements, .. } => {
                for (index, statement) in statements.iter().enumerate() {
                    if let Err(error) = statement {
                        note(index, error, &mut errors);
                    }
                }
                doc! { "n": 0 }
            }
            Kind::FindAndModify { change, .. } => {
                let mut last = doc! { "n": 0 };
                if change.is_some() {
                    last.insert("updatedExisting", false);
                }
                doc! { "lastErrorObject": last, "value": null }
            }
        };
        if !errors.is_empty() {
            answer.insert("writeErrors", errors);
        }
        answer.insert("ok", 1.0);
        reply(&answer)
    }

    /// Whether it is short enough to be evaluated on the reactor.
    pub(super) fn is_quick(&self) -> bool {
        match &*self.kind {
            Kind::Insert { documents, .. } => documents.len() <= QUICK_INSERTS_MAX,
            Kind::Update { statements, .. } => {
                statements.len() == 1
                    && statements
                        .iter()
                        .flatten()
                        .all(|change| is_lookup(&change.matcher))
            }
            Kind::Delete { statements, .. } => {
                statements.len() == 1
                    && statements
                        .iter()
                        .flatten()
                        .all(|(matcher, _)| is_lookup(matcher))
            }
            Kind::FindAndModify { matcher, .. } => is_lookup(matcher),
        }
    }

    /// How many statements, or documents to insert, there are.
    pub(super) fn len(&self) -> usize {
        match &*self.kind {
            Kind::Insert { documents, .. } => documents.len(),
            Kind::Update { statements, .. } => statements.len(),
            Kind::Delete { statements, .. } => statements.len(),
            Kind::FindAndModify { .. } => 1,
        }
    }

    /// Where the statements end that are committed together with the one at
    /// `start`: one that may change many documents is for itself.
    pub(super) fn piece(&self, start: usize, most: usize) -> usize {
        let multi = |index: &usize| match &*self.kind {
            Kind::Update { statements, .. } => {
                matches!(statements.get(*index), Some(Ok(change)) if change.multi)
            }
            Kind::Delete { statements, .. } => {
                matches!(statements.get(*index), Some(Ok((_, true))))
            }
            _ => false,
        };
        if multi(&start) {
            return start + 1;
        }
        let end = self.len().min(start.saturating_add(most));
        (start..end).find(multi).unwrap_or(end)
    }

    /// Evaluates statements onto `changes`; with records, one statement on
    /// those of them that it still matches.
    ///
    /// # Errors
    /// What ends the whole command. Errors of single writes are in the tally.
    pub(super) fn evaluate(
        &self,
        core: &Core,
        collection: &Arc<Collection>,
        changes: &mut Changes,
        transaction: Option<&Arc<Transaction>>,
        (piece, records, retry): (Range<usize>, Option<&[Record]>, Option<&Statements>),
    ) -> Result<Tally, CommandError> {
        let mut writer = Writer {
            core,
            collection,
            changes,
            transaction,
            now: self.now,
            bypass: self.bypass,
            records,
            rest: Vec::new(),
        };
        let mut tally = Tally::default();
        for index in piece {
            if let Some(retry) = retry {
                let number = retry.number(index);
                let view = writer.changes.view.clone();
                if let Some(kept) = retry::done(view.snapshot.as_ref(), &retry.part, number)? {
                    tally.replay(index, number, kept.get_document("did")?)?;
                    continue;
                }
            }
            let before = writer.changes.events.len();
            match self.statement(&mut writer, index, retry.is_some()) {
                Ok(done) => {
                    if let Some(retry) = retry
                        && writer.changes.events.len() > before
                    {
                        let (number, did) = (retry.number(index), done.write()?);
                        let note = retry::note(&retry.part, number, retry.now, &did);
                        writer.changes.notes.push(note);
                    }
                    tally.done(index, done);
                }
                // A whole command fails with findAndModify, or by a conflict.
                Err(error) if error.is_transient() || self.is_find_and_modify() => {
                    return Err(error);
                }
                Err(error) => {
                    tally.errors.push(write_error(index, &error).into());
                    tally.stopped = self.is_ordered();
                    if tally.stopped {
                        break;
                    }
                }
            }
        }
        tally.rest = writer.rest;
        Ok(tally)
    }

    pub(super) fn is_find_and_modify(&self) -> bool {
        matches!(*self.kind, Kind::FindAndModify { .. })
    }

    pub(super) fn is_update(&self) -> bool {
        matches!(*self.kind, Kind::Update { .. })
    }

    fn is_ordered(&self) -> bool {
        match &*self.kind {
            Kind::Insert { ordered, .. }
            | Kind::Update { ordered, .. }
            | Kind::Delete { ordered, .. } => *ordered,
            Kind::FindAndModify { .. } => true,
        }
    }

    fn statement(
        &self,
        writer: &mut Writer<'_>,
        index: usize,
        numbered: bool,
    ) -> Result<Done, CommandError> {
        let missing = || CommandError::new(1, "no such statement");
        let once = |text: &str| {
            Err(CommandError::new(
                72,
                format!("Cannot use (or request) retryable writes with {text}"),
            ))
        };
        match &*self.kind {
            Kind::Insert { documents, .. } => {
                let document = documents.get(index).ok_or_else(missing)?;
                writer.insert(document.clone()?)?;
                Ok(Done {
                    matched: 1,
                    ..Done::default()
                })
            }
            Kind::Update { statements, .. } => {
                let change = statements.get(index).ok_or_else(missing)?;
                let change = change.as_ref().map_err(Clone::clone)?;
                if numbered && change.multi {
                    return once("multi=true");
                }
                writer.update(change)
            }
            Kind::Delete { statements, .. } => {
                let statement = statements.get(index).ok_or_else(missing)?;
                let (matcher, many) = statement.as_ref().map_err(Clone::clone)?;
                if numbered && *many {
                    return once("limit=0");
                }
                writer.delete(matcher, *many)
            }
            Kind::FindAndModify {
                change,
                matcher,
                sort,
                projection,
                new,
            } => writer.find_and_modify(change.as_ref(), matcher, sort, projection.as_ref(), *new),
        }
    }
}

impl Change {
    fn parse(
        collation: Option<&Collation>,
        query: Option<&RawDocument>,
        update: Option<RawBsonRef<'_>>,
        filters: Option<&RawArray>,
        multi: bool,
        upsert: bool,
    ) -> Result<Self, CommandError> {
        let update = update.ok_or_else(|| {
            CommandError::new(
                40414,
                "BSON field 'update.updates.u' is missing but a required field",
            )
        })?;
        let update = Update::parse_with(update, filters, collation).map_err(mql_error)?;
        if multi && update.is_replacement() {
            return Err(CommandError::new(
                9,
                "multi update is not supported for replacement-style update",
            ));
        }
        let query = query.map_or_else(RawDocumentBuf::new, ToOwned::to_owned);
        let matcher = Matcher::parse_with(&query, collation).map_err(mql_error)?;
        // Refused whether it comes to an insert or not.
        if upsert && matcher.has_expression() {
            return Err(CommandError::new(
                224,
                "$expr is not allowed in the query predicate for an upsert",
            ));
        }
        Ok(Self {
            query,
            matcher,
            update,
            multi,
            upsert,
        })
    }
}

struct Writer<'a> {
    core: &'a Core,
    collection: &'a Arc<Collection>,
    changes: &'a mut Changes,
    transaction: Option<&'a Arc<Transaction>>,
    now: DateTime,
    bypass: bool,
    /// Only these.
    records: Option<&'a [Record]>,
    /// What was found beyond one piece.
    rest: Vec<Record>,
}

impl Writer<'_> {
    fn insert(&mut self, document: RawDocumentBuf) -> Result<(), CommandError> {
        check_insert(&document)?;
        if !self.bypass {
            self.collection.validation.check(None, &document)?;
        }
        let record = self.core.records.fetch_add(1, Ordering::Relaxed);
        self.changes.insert(self.collection, record, document)?;
        self.claim_keys()
    }

    fn claim_keys(&mut self) -> Result<(), CommandError> {
        let transactions = &self.core.transactions;
        transactions.claim_keys(self.core, self.changes, self.transaction)
    }

    fn matches(
        &mut self,
        matcher: &Matcher,
        sort: &Sort,
        many: bool,
    ) -> Result<Vec<Located>, CommandError> {
        let view = self.changes.view.clone();
        if let Some(records) = self.records {
            return among(&view, self.collection, matcher, records);
        }
        let limit = usize::from(!many);
        let mut found = query::find(
            &view,
            Some(self.changes),
            self.collection,
            matcher,
            sort,
            0,
            limit,
        )?;
        if self.transaction.is_none() && found.len() > PIECE {
            self.rest = found.drain(PIECE..).map(|located| located.record).collect();
        }
        Ok(found)
    }

    fn claim(&mut self, found: &Located) -> Result<(), CommandError> {
        let transactions = &self.core.transactions;
        transactions.claim_record(
            self.core,
            self.changes,
            self.transaction,
            self.collection.id,
            found,
        )
    }

    fn update(&mut self, change: &Change) -> Result<Done, CommandError> {
        let found = self.matches(&change.matcher, &Sort::default(), change.multi)?;
        let mut done = Done::default();
        if found.is_empty() && change.upsert && self.records.is_none() {
            let (id, _) = self.upsert(change)?;
            done.upserted = Some(id);
            return Ok(done);
        }
        for located in found {
            done.matched += 1;
            if self.change(change, &located)?.is_some() {
                done.modified += 1;
            }
        }
        Ok(done)
    }

    /// Applies a change to one document; `None` when it stays as it is.
    fn change(
        &mut self,
        change: &Change,
        located: &Located,
    ) -> Result<Option<RawDocumentBuf>, CommandError> {
        let cx = UpdateContext {
            now: self.now,
            query: Some(&change.matcher),
            inserting: false,
            collation: change.matcher.collation(),
        };
        let applied = change
            .update
            .apply(&located.document, cx)
            .map_err(mql_error)?;
        if !applied.modified {
            return Ok(None);
        }
        if !self.bypass {
            let validation = &self.collection.validation;
            validation.check(Some(&located.document), &applied.document)?;
        }
        self.claim(located)?;
        let description = (!change.update.is_replacement()).then_some(&applied.description);
        self.changes.update(
            self.collection,
            located,
            applied.document.clone(),
            description,
        )?;
        self.claim_keys()?;
        Ok(Some(applied.document))
    }

    fn upsert(&mut self, change: &Change) -> Result<(Bson, RawDocumentBuf), CommandError> {
        let replacement = change.update.is_replacement();
        let base = upsert_document(&change.query, replacement).map_err(mql_error)?;
        let base = RawDocumentBuf::try_from(&base)?;
        let cx = UpdateContext {
            now: self.now,
            query: None,
            inserting: true,
            collation: change.matcher.collation(),
        };
        let applied = change.update.apply(&base, cx).map_err(mql_error)?;
        let document = with_id(&applied.document);
        let id = match document.get("_id")? {
            Some(id) => Bson::try_from(id)?,
            None => Bson::Null,
        };
        self.insert(document.clone())?;
        Ok((id, document))
    }

    fn delete(&mut self, matcher: &Matcher, many: bool) -> Result<Done, CommandError> {
        let found = self.matches(matcher, &Sort::default(), many)?;
        let matched = found.len() as i32;
        for located in found {
            self.claim(&located)?;
            self.changes.delete(self.collection, &located)?;
        }
        Ok(Done {
            matched,
            ..Done::default()
        })
    }

    fn find_and_modify(
        &mut self,
        change: Option<&Change>,
        matcher: &Matcher,
        sort: &Sort,
        projection: Option<&Projection>,
        new: bool,
    ) -> Result<Done, CommandError> {
        let found = self.matches(matcher, sort, false)?.into_iter().next();
        let (value, last) = match (found, change) {
            (Some(located), None) => {
                self.claim(&located)?;
                self.changes.delete(self.collection, &located)?;
                (Some(located.document), doc! { "n": 1 })
            }
            (Some(located), Some(change)) => {
                let after = self.change(change, &located)?;
                let value = match after {
                    Some(after) if new => after,
                    _ => located.document,
                };
                (Some(value), doc! { "n": 1, "updatedExisting": true })
            }
            (None, Some(change)) if change.upsert => {
                let (id, document) = self.upsert(change)?;
                let last = doc! { "n": 1, "updatedExisting": false, "upserted": id };
                (new.then_some(document), last)
            }
            (None, Some(_)) => (None, doc! { "n": 0, "updatedExisting": false }),
            (None, None) => (None, doc! { "n": 0 }),
        };
        let value = match (value, projection) {
            (Some(value), Some(projection)) => {
                Some(projection.apply(&value, Some(matcher)).map_err(mql_error)?)
            }
            (value, _) => value,
        };
        let mut answer = RawDocumentBuf::new();
        answer.append(cstr!("lastErrorObject"), RawDocumentBuf::try_from(&last)?);
        match value {
            Some(value) => answer.append(cstr!("value"), value),
            None => answer.append(cstr!("value"), RawBson::Null),
        }
        Ok(Done {
            found: Some(answer),
            ..Done::default()
        })
    }
}

/// Refuses a document that is too large or nested too deeply to be inserted.
pub(super) fn check_insert(document: &RawDocument) -> Result<(), CommandError> {
    let bytes = document.as_bytes().len();
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(CommandError::bad_value(format!(
            "object to insert too large. size in bytes: {bytes}, max size: {DOCUMENT_BYTES_MAX}"
        )));
    }
    mql::depth::check_inserted(document).map_err(mql_error)
}

/// Those of some records that match, as they are now.
fn among(
    view: &View,
    collection: &Collection,
    matcher: &Matcher,
    records: &[Record],
) -> Result<Vec<Located>, CommandError> {
    let mut found = Vec::with_capacity(records.len());
    for &record in records {
        let key = document_key(collection.id, record);
        let Some(value) = view.snapshot.get(Table::Documents, &key)? else {
            continue;
        };
        let (commit, document) = loaded(&value)?;
        if matcher.matches(document).map_err(mql_error)? {
            found.push(Located {
                record,
                commit: Some(commit),
                document: document.to_owned(),
            });
        }
    }
    Ok(found)
}

/// The document with an `_id`, which comes first.
pub(super) fn with_id(document: &RawDocument) -> RawDocumentBuf {
    if let Some(Ok((name, _))) = document.iter().next()
        && name == "_id"
    {
        return document.to_owned();
    }
    let mut out = RawDocumentBuf::new();
    match document.get("_id") {
        Ok(Some(id)) => out.append(cstr!("_id"), id),
        _ => out.append(cstr!("_id"), ObjectId::new()),
    }
    for (name, value) in document.iter().flatten() {
        if name != "_id" {
            out.append(name, value);
        }
    }
    out
}
