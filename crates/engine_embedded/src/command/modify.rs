//! insert, update, delete and findAndModify, evaluated on a snapshot.

mod writer;

use std::ops::Range;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::RawBsonRef;
use bson::{Bson, DateTime, RawArray, RawDocument, RawDocumentBuf, cstr, doc};
use engine::{Answer, CommandError};
use kit::limit::DOCUMENT_BYTES_MAX;
use mql::expression::Variables;
use mql::{Collation, Matcher, Projection, Sort, Update};

use super::given::Given;
use super::shape::{DELETE, UPDATE, check_single, list, number};
use super::tally::{Done, Tally, write_error};
use super::write::Statements;
use super::{check_fields, collation, document, flag, reply, yes};
use crate::catalog::Collection;
use crate::layout::Record;
use crate::plan::{Hint, is_quick_lookup, natural_sort};
use crate::transaction::Transaction;
use crate::walk::Effort;
use crate::write::Changes;
use crate::{Core, mql as mql_error, retry};
use writer::Writer;

/// Inserts that are evaluated on the reactor.
const QUICK_INSERTS_MAX: usize = 16;

/// The code of a command that took too long.
const TIME_IS_UP: i32 = 50;

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
        statements: Vec<Result<Removal, CommandError>>,
        ordered: bool,
    },
    FindAndModify(Single),
}

/// One statement of an update.
struct Change {
    query: RawDocumentBuf,
    matcher: Matcher,
    hint: Option<Hint>,
    update: Update,
    multi: bool,
    upsert: bool,
}

/// One statement of a delete.
struct Removal {
    matcher: Matcher,
    hint: Option<Hint>,
    many: bool,
}

/// A findAndModify.
struct Single {
    /// What is changed; `None` to delete it.
    change: Option<Change>,
    matcher: Matcher,
    hint: Option<Hint>,
    sort: Sort,
    projection: Option<Projection>,
    /// What the projection fails with when a hint names an index that is there.
    refused: Option<CommandError>,
    new: bool,
}

impl Single {
    fn parse(
        given: Given<'_>,
        command: &RawDocument,
        default: Option<&Collation>,
    ) -> Result<Self, CommandError> {
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
        check_single(command)?;
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
        match (command.get("arrayFilters")?, update) {
            (Some(_), Some(RawBsonRef::Array(_))) => {
                return refused("Cannot specify arrayFilters and a pipeline update");
            }
            (Some(_), None) => return refused("Cannot specify arrayFilters and remove=true"),
            _ => {}
        }
        let collation = collation(command, default)?;
        let collation = collation.as_ref();
        given.check(collation)?;
        let query = document(command, "query")?;
        let mut hint = Hint::parse(command)?;
        let change = match update {
            Some(update) => Some(Change::parse(Asked {
                given,
                collation,
                query,
                update: Some(update),
                constants: None,
                filters: command.get_array("arrayFilters").ok(),
                hint: None,
                multi: false,
                upsert,
            })?),
            None => None,
        };
        let matcher = given.matcher(query, collation, (None, false))?;
        let fields = document(command, "fields")?.filter(|fields| !fields.is_empty());
        // MongoDB does not sort what is one document anyway, and does not even look
        // at the sort when there is nothing else to parse. For a positional
        // operator it parses everything.
        let is_one = collation.is_none()
            && hint.is_none()
            && query.is_some_and(is_simple)
            && !change.as_ref().is_some_and(|c| c.update.is_positional());
        let mut sort = Sort::default();
        if let Some(by) = document(command, "sort")?.filter(|_| !is_one || fields.is_some()) {
            match natural_sort(by, hint.as_ref())? {
                None => sort = Sort::parse(by).map_err(mql_error)?.collated(collation),
                natural => hint = natural,
            }
        }
        if is_one {
            sort = Sort::default();
        }
        let (mut projection, mut refused) = (None, None);
        if let Some(fields) = fields {
            match given.projection(fields, query, collation) {
                Ok(parsed) => projection = Some(parsed),
                // As it is written, nothing is wrong with it.
                Err(error) if hint.is_some() && given.is_projection(fields, collation)? => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            change,
            matcher,
            hint,
            sort,
            projection,
            refused,
            new,
        })
    }
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
        core: &Core,
        (name, command): (&str, &RawDocument),
        now: DateTime,
        default: Option<&Collation>,
    ) -> Result<Self, CommandError> {
        let given = Given::by(core, command, now);
        let ordered = yes(command, "ordered")?.unwrap_or(true);
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
                document(command, "let")?;
                let statements = list(command, "updates", UPDATE, |statement| {
                    let collation = collation(statement, default)?;
                    given.check(collation.as_ref())?;
                    Change::parse(Asked {
                        given,
                        collation: collation.as_ref(),
                        query: document(statement, "q")?,
                        update: statement.get("u")?,
                        constants: document(statement, "c")?,
                        filters: statement.get_array("arrayFilters").ok(),
                        hint: Hint::parse(statement)?,
                        multi: flag(statement, "multi")?,
                        upsert: flag(statement, "upsert")?,
                    })
                })?;
                Kind::Update {
                    statements,
                    ordered,
                }
            }
            "delete" => {
                check_fields(command, &["deletes", "ordered", "let"])?;
                document(command, "let")?;
                let statements = list(command, "deletes", DELETE, |statement| {
                    let collation = collation(statement, default)?;
                    let collation = collation.as_ref();
                    given.check(collation)?;
                    let query = document(statement, "q")?;
                    Ok(Removal {
                        matcher: given.matcher(query, collation, (None, false))?,
                        hint: Hint::parse(statement)?,
                        many: statement.get("limit")?.map_or(0.0, number) == 0.0,
                    })
                })?;
                Kind::Delete {
                    statements,
                    ordered,
                }
            }
            _ => Kind::FindAndModify(Single::parse(given, command, default)?),
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

    /// Whether it may make a document, and so a collection.
    pub(super) fn may_insert(&self) -> bool {
        match &*self.kind {
            Kind::Insert { .. } => true,
            Kind::Update { statements, .. } => {
                statements.iter().flatten().any(|change| change.upsert)
            }
            Kind::Delete { .. } => false,
            Kind::FindAndModify(single) => single.change.as_ref().is_some_and(|c| c.upsert),
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
            Kind::FindAndModify(single) => {
                let mut last = doc! { "n": 0 };
                if single.change.is_some() {
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
                statements.len() == 1 && statements.iter().flatten().all(Change::is_quick)
            }
            Kind::Delete { statements, .. } => {
                statements.len() == 1
                    && statements
                        .iter()
                        .flatten()
                        .all(|removal| is_quick_lookup(&removal.matcher, removal.hint.as_ref()))
            }
            Kind::FindAndModify(single) => {
                let is_plain = |change: &Change| !change.update.is_pipeline();
                is_quick_lookup(&single.matcher, single.hint.as_ref())
                    && single.change.as_ref().is_none_or(is_plain)
            }
        }
    }

    /// How many statements, or documents to insert, there are.
    pub(super) fn len(&self) -> usize {
        match &*self.kind {
            Kind::Insert { documents, .. } => documents.len(),
            Kind::Update { statements, .. } => statements.len(),
            Kind::Delete { statements, .. } => statements.len(),
            Kind::FindAndModify(_) => 1,
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
                matches!(statements.get(*index), Some(Ok(removal)) if removal.many)
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
        effort: &Effort,
    ) -> Result<Tally, CommandError> {
        let mut writer = Writer {
            core,
            collection,
            changes,
            transaction,
            effort,
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
                // A whole command fails with findAndModify, by a conflict, or when
                // its time is up.
                Err(error)
                    if error.is_transient()
                        || self.is_find_and_modify()
                        || error.code == TIME_IS_UP =>
                {
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
        matches!(*self.kind, Kind::FindAndModify(_))
    }

    pub(super) fn is_update(&self) -> bool {
        matches!(*self.kind, Kind::Update { .. })
    }

    fn is_ordered(&self) -> bool {
        match &*self.kind {
            Kind::Insert { ordered, .. }
            | Kind::Update { ordered, .. }
            | Kind::Delete { ordered, .. } => *ordered,
            Kind::FindAndModify(_) => true,
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
                let removal = statements.get(index).ok_or_else(missing)?;
                let removal = removal.as_ref().map_err(Clone::clone)?;
                if numbered && removal.many {
                    return once("limit=0");
                }
                writer.delete(removal)
            }
            Kind::FindAndModify(single) => writer.find_and_modify(single),
        }
    }
}

/// What a change is to be parsed from.
struct Asked<'a> {
    given: Given<'a>,
    collation: Option<&'a Collation>,
    query: Option<&'a RawDocument>,
    update: Option<RawBsonRef<'a>>,
    constants: Option<&'a RawDocument>,
    filters: Option<&'a RawArray>,
    hint: Option<Hint>,
    multi: bool,
    upsert: bool,
}

impl Change {
    /// Whether it changes one document at most, found by a lookup, and computes
    /// nothing that may take long.
    fn is_quick(&self) -> bool {
        is_quick_lookup(&self.matcher, self.hint.as_ref()) && !self.update.is_pipeline()
    }

    fn parse(asked: Asked<'_>) -> Result<Self, CommandError> {
        let (collation, multi, upsert) = (asked.collation, asked.multi, asked.upsert);
        let update = asked.update.ok_or_else(|| {
            CommandError::new(
                40414,
                "BSON field 'update.updates.u' is missing but a required field",
            )
        })?;
        let variables = match update {
            RawBsonRef::Array(_) => asked.given.variables(collation, asked.constants)?,
            _ => Variables::default(),
        };
        let update =
            Update::parse_with(update, asked.filters, collation, &variables).map_err(mql_error)?;
        if asked.constants.is_some() && !update.is_pipeline() {
            return Err(CommandError::new(
                51198,
                "Constant values may only be specified for pipeline updates",
            ));
        }
        if multi && update.is_replacement() {
            return Err(CommandError::new(
                9,
                "multi update is not supported for replacement-style update",
            ));
        }
        let expressions = (asked.constants, upsert);
        Ok(Self {
            query: asked
                .query
                .map_or_else(RawDocumentBuf::new, ToOwned::to_owned),
            matcher: asked.given.matcher(asked.query, collation, expressions)?,
            hint: asked.hint,
            update,
            multi,
            upsert,
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
