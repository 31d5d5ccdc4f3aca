//! find, count and distinct.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArrayBuf, RawDocument, doc, rawdoc};
use engine::{Answer, CommandError};
use mql::path::{self, Path};
use mql::{Matcher, Projection, Sort};

use super::cursors::answer;
use super::given::{Given, Moment};
use super::shape::number;
use super::{check_fields, collection, document, flag, reply, time_limit, waited_for, whole, yes};
use crate::catalog::Collection;
use crate::cursor::{Cursor, Cursors, Owner, Rows};
use crate::kv::sizes::Size;
use crate::plan::{Ask, Hint, Plan, is_lookup, is_quick_lookup, natural_sort, plan};
use crate::query::{self, matcher};
use crate::transaction::Transaction;
use crate::walk::{Effort, Place, Walk};
use crate::write::Changes;
use crate::{Core, View, mql as mql_error};

/// Documents in a first batch, unless the command says otherwise.
pub(super) const FIRST_BATCH: usize = 101;
/// Bytes of the values that a distinct may answer.
const DISTINCT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Fields of a find.
const FIND: &[&str] = &[
    "filter",
    "sort",
    "projection",
    "skip",
    "limit",
    "batchSize",
    "singleBatch",
    "hint",
    "allowDiskUse",
    "noCursorTimeout",
    "allowPartialResults",
    "let",
    "collation",
];
/// Fields of a count.
const COUNT: &[&str] = &["query", "skip", "limit", "hint", "fields", "collation"];
/// Fields of a distinct.
const DISTINCT: &[&str] = &["key", "query", "collation"];

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    command: &RawDocument,
    transaction: Option<Arc<Transaction>>,
) -> Answer {
    let view = core.view.load_full();
    let read = Read::parse(Moment::of(core), &view, database, name, command)?;
    if read.is_quick() {
        return read.on(core, &view, transaction.as_deref(), None);
    }
    let core = core.clone();
    waited_for(move |gone| read.on(&core, &view, transaction.as_deref(), Some(gone))).await
}

/// The same on a state that does not change.
pub(crate) async fn run_at(
    cursors: &Arc<Cursors>,
    (view, moment): (Arc<View>, Moment),
    database: &str,
    name: &str,
    command: &RawDocument,
) -> Answer {
    let read = Read::parse(moment, &view, database, name, command)?;
    let cursors = cursors.clone();
    waited_for(move |gone| {
        let effort = Effort::limited(read.time, Some(gone));
        let found = view.catalog.get(&read.database, &read.target);
        effort.limit(|| read.evaluate(&cursors, &view, None, found, &effort))
    })
    .await
}

/// A parsed read.
pub(super) struct Read {
    database: String,
    pub(super) target: String,
    pub(super) matcher: Matcher,
    pub(super) sort: Sort,
    pub(super) hint: Option<Hint>,
    pub(super) skip: usize,
    /// Documents at most; 0 is all.
    pub(super) limit: usize,
    time: Option<Duration>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Find(Box<Find>),
    Count,
    Distinct(Path),
}

/// What only a find has.
pub(super) struct Find {
    pub(super) projection: Option<Projection>,
    /// The projection as it was given.
    pub(super) specification: Document,
    batch: usize,
    single: bool,
    patient: bool,
    owner: Owner,
}

impl Read {
    pub(super) fn parse(
        moment: Moment,
        view: &View,
        database: &str,
        name: &str,
        command: &RawDocument,
    ) -> Result<Self, CommandError> {
        let target = match command.get(name)? {
            Some(RawBsonRef::String(target)) => target.to_owned(),
            _ => {
                return Err(CommandError::new(73, "collection name has invalid type"));
            }
        };
        super::check_namespace(&target)?;
        let known = match name {
            "find" => FIND,
            "count" => COUNT,
            _ => DISTINCT,
        };
        check_fields(command, known)?;
        // The types of all fields come before what is in them.
        for field in ["filter", "sort", "projection", "query", "let"] {
            document(command, field)?;
        }
        if name == "distinct" {
            distinct_key(command)?;
        }
        let positive = |name: &str| match whole(command, name)? {
            Some(n) if n < 0 => Err(CommandError::new(
                51024,
                format!("BSON field '{name}' value must be >= 0, actual value '{n}'"),
            )),
            n => Ok(n.map(|n| n as usize)),
        };
        let skip = positive("skip")?.unwrap_or(0);
        if name == "find" {
            positive("limit")?;
            positive("batchSize")?;
            check_nulls(command)?;
        }
        let default = super::default_collation(view, database, &target);
        let collation = super::collation(command, default.as_ref())?;
        let given = Given::at(moment, command);
        let mut sort = Sort::default();
        let mut hint = Hint::parse(command)?;
        let query;
        let (limit, kind) = match name {
            "find" => {
                given.check(collation.as_ref())?;
                // The query is what is looked at first, and the sort last.
                let by = document(command, "sort")?;
                let projection = document(command, "projection")?;
                let filter = document(command, "filter")?;
                query = given.matcher(filter, collation.as_ref(), (None, false))?;
                let projected = projection
                    .filter(|projection| !projection.is_empty())
                    .map(|projection| given.projection(projection, filter, collation.as_ref()))
                    .transpose()?;
                if let Some(by) = by {
                    match natural_sort(by, hint.as_ref())? {
                        None => sort = Sort::parse(by).map_err(mql_error)?,
                        natural => hint = natural,
                    }
                }
                let find = Find {
                    projection: projected,
                    specification: match projection {
                        Some(projection) => Document::try_from(projection)?,
                        None => Document::new(),
                    },
                    batch: positive("batchSize")?.unwrap_or(FIRST_BATCH),
                    single: yes(command, "singleBatch")?.unwrap_or(false),
                    patient: flag(command, "noCursorTimeout")?,
                    owner: Owner::of(command)?,
                };
                let limit = positive("limit")?.unwrap_or(0);
                (limit, Kind::Find(Box::new(find)))
            }
            "count" => {
                query = matcher(document(command, "query")?, collation.as_ref())?;
                (count_limit(command)?, Kind::Count)
            }
            _ => {
                let key = distinct_key(command)?;
                // Values are told apart by the collation, also without a query.
                query = matcher(document(command, "query")?, collation.as_ref())?
                    .collated(collation.as_ref());
                (0, Kind::Distinct(Path::parse(key).map_err(mql_error)?))
            }
        };
        Ok(Self {
            database: database.to_owned(),
            target,
            matcher: query,
            sort: sort.collated(collation.as_ref()),
            hint,
            skip,
            limit,
            time: time_limit(command)?,
            kind,
        })
    }

    /// Whether the read is a lookup that is not worth leaving the reactor for.
    fn is_quick(&self) -> bool {
        let Kind::Find(find) = &self.kind else {
            return false;
        };
        // What a projection computes may take long.
        let plain = |value: &Bson| !matches!(value, Bson::Document(_) | Bson::Array(_));
        is_quick_lookup(&self.matcher, self.hint.as_ref()) && find.specification.values().all(plain)
    }

    fn on(
        self,
        core: &Core,
        view: &View,
        transaction: Option<&Transaction>,
        gone: Option<Arc<AtomicBool>>,
    ) -> Answer {
        let (effort, cursors) = (Effort::limited(self.time, gone), &core.cursors);
        let Some(transaction) = transaction else {
            let found = view.catalog.get(&self.database, &self.target);
            return effort.limit(|| self.evaluate(cursors, view, None, found, &effort));
        };
        transaction.with(|changes| {
            let found = collection(core, changes, &self.database, &self.target)?;
            let view = changes.view.clone();
            effort.limit(|| self.evaluate(cursors, &view, Some(changes), found.as_ref(), &effort))
        })
    }

    /// How it is to be read.
    pub(super) fn plan(
        &self,
        view: &View,
        changes: Option<&Changes>,
        collection: &Arc<Collection>,
    ) -> Result<Plan, CommandError> {
        let ask = Ask {
            matcher: &self.matcher,
            sort: &self.sort,
            hint: self.hint.as_ref(),
            enough: query::enough(self.skip, self.limit),
            by_index: query::is_untouched(changes, collection),
        };
        plan(view, collection, ask)
    }

    /// How many documents there are, for a count of all of them: that is kept.
    /// Transactions have no count.
    pub(super) fn known_count(
        &self,
        view: &View,
        collection: &Collection,
    ) -> Result<Option<usize>, CommandError> {
        if !matches!(self.kind, Kind::Count) || self.hint.is_some() || !self.matcher.is_all() {
            return Ok(None);
        }
        let size = Size::of(view.snapshot.as_ref(), collection.id)?;
        Ok(Some(usize::try_from(size.entries).unwrap_or(0)))
    }

    fn evaluate(
        self,
        cursors: &Cursors,
        view: &View,
        changes: Option<&Changes>,
        found: Option<&Arc<Collection>>,
        effort: &Effort,
    ) -> Answer {
        effort.check()?;
        let namespace = format!("{}.{}", self.database, self.target);
        let Some(collection) = found else {
            return match self.kind {
                Kind::Find(_) => Ok(answer(true, RawArrayBuf::new(), 0, &namespace)),
                Kind::Count => Ok(rawdoc! { "n": 0, "ok": 1.0 }),
                Kind::Distinct(_) => reply(&doc! { "values": [], "ok": 1.0 }),
            };
        };
        let plan = self.plan(view, changes, collection)?;
        match self.kind {
            Kind::Find(find) => {
                let left = match self.limit {
                    0 if is_lookup(&self.matcher) => 1,
                    0 => usize::MAX,
                    limit => limit,
                };
                let rows = if plan.sorted {
                    Rows::Walk {
                        plan: Box::new(plan),
                        place: Place::default(),
                        skip: self.skip,
                        left,
                    }
                } else {
                    let (sort, part) = (&self.sort, (self.skip, self.limit));
                    let found =
                        query::found(view, changes, &plan, &self.matcher, sort, part, effort)?;
                    Rows::Held(query::documents(found).into_iter())
                };
                let limited = self.limit > 0;
                let mut cursor =
                    Cursor::new(namespace.clone(), rows, find.projection, self.matcher);
                let (batch, more) = cursor.fill(view, changes, find.batch, effort)?;
                let more = more && !find.single && !(limited && cursor.is_empty());
                let id = if more {
                    cursor.owner = find.owner;
                    cursor.patient = find.patient;
                    cursor.time = effort.left();
                    cursors.open(cursor)
                } else {
                    0
                };
                Ok(answer(true, batch, id, &namespace))
            }
            Kind::Count => {
                let enough = match query::enough(self.skip, self.limit) {
                    0 => usize::MAX,
                    enough => enough,
                };
                let n = match self.known_count(view, collection)? {
                    Some(n) => n.min(enough),
                    None => Walk::new(view, changes, &plan, &self.matcher, effort).count(enough)?,
                };
                let n = n.saturating_sub(self.skip);
                let n = i32::try_from(n).map_or(Bson::Int64(n as i64), Bson::Int32);
                reply(&doc! { "n": n, "ok": 1.0 })
            }
            Kind::Distinct(key) => {
                let values = distinct(view, changes, &plan, &self.matcher, &key, effort)?;
                reply(&doc! { "values": values, "ok": 1.0 })
            }
        }
    }
}

/// Refuses null where a find has no word for "none".
fn check_nulls(command: &RawDocument) -> Result<(), CommandError> {
    const FIELDS: [&str; 7] = [
        "filter",
        "sort",
        "projection",
        "collation",
        "singleBatch",
        "allowDiskUse",
        "noCursorTimeout",
    ];
    for name in FIELDS {
        if let Some(RawBsonRef::Null) = command.get(name)? {
            return Err(CommandError::new(
                14,
                format!("BSON field 'find.{name}' may not be null"),
            ));
        }
    }
    Ok(())
}

/// How many documents are counted at most; a negative number is as a positive one.
fn count_limit(command: &RawDocument) -> Result<usize, CommandError> {
    let Some(limit) = command.get("limit")? else {
        return Ok(0);
    };
    let is_number = matches!(
        limit,
        RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_)
    );
    if !is_number {
        return Err(CommandError::bad_value("limit value is not a valid number"));
    }
    let n = number(limit);
    if n.trunc() != n || n.abs() > i64::MAX as f64 {
        return Err(CommandError::new(
            9,
            format!("Expected an integer: limit: {n}"),
        ));
    }
    Ok(whole(command, "limit")?.unwrap_or(0).unsigned_abs() as usize)
}

fn distinct_key(command: &RawDocument) -> Result<&str, CommandError> {
    match command.get("key")? {
        Some(RawBsonRef::String(key)) if key.contains('\0') => Err(CommandError::new(
            31032,
            "Key field cannot contain an embedded null byte",
        )),
        Some(RawBsonRef::String(key)) => Ok(key),
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => Err(CommandError::new(
            40414,
            "BSON field 'distinct.key' is missing but a required field",
        )),
        Some(other) => {
            let found = mql::type_name(other);
            let text = format!(
                "BSON field 'distinct.key' is the wrong type '{found}', expected type 'string'"
            );
            Err(CommandError::new(14, text))
        }
    }
}

/// The values at a path of the matches, in their order.
fn distinct(
    view: &View,
    changes: Option<&Changes>,
    plan: &Plan,
    matcher: &Matcher,
    key: &Path,
    effort: &Effort,
) -> Result<Vec<Bson>, CommandError> {
    let collation = matcher.collation();
    let (mut seen, mut values, mut bytes) = (HashSet::new(), Vec::new(), 0);
    let mut walk = Walk::new(view, changes, plan, matcher, effort);
    let mut place = Place::default();
    while let Some(found) = walk.next(&mut place)? {
        let mut take = |element: RawBsonRef<'_>| {
            let mut identity = Vec::new();
            mql::key::encode_with(element, collation, &mut identity);
            let length = identity.len();
            if seen.insert(identity)
                && let Ok(value) = Bson::try_from(element)
            {
                bytes += length;
                values.push(value);
            }
        };
        let mut elements = Vec::new();
        along(found.document()?, key.parts(), &mut |element| {
            elements.push(element);
        });
        if collation.is_some() {
            // Of those that are equal in one document, the least stays.
            elements.sort_by(|a, b| mql::order::compare(*a, *b));
        }
        elements.into_iter().for_each(&mut take);
        if bytes > DISTINCT_BYTES_MAX {
            return Err(CommandError::new(17217, "distinct too big, 16mb cap"));
        }
    }
    values.sort_by(|a, b| mql::order::compare_bson_with(a, b, collation));
    Ok(values)
}

/// The values at a path: through the elements of arrays, or through one of them
/// where the path has its number, and those of an array at its end.
fn along<'a>(document: &'a RawDocument, path: &[path::Part], take: &mut dyn FnMut(RawBsonRef<'a>)) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if let Ok(Some(value)) = document.get(&first.name) {
        within(value, rest, take);
    }
}

fn within<'a>(value: RawBsonRef<'a>, rest: &[path::Part], take: &mut dyn FnMut(RawBsonRef<'a>)) {
    match (value, rest) {
        (RawBsonRef::Array(array), []) => array.into_iter().flatten().for_each(take),
        (value, []) => take(value),
        (RawBsonRef::Document(inner), rest) => along(inner, rest, take),
        (RawBsonRef::Array(array), [next, after @ ..]) => match next.index {
            Some(at) => {
                if let Ok(Some(element)) = array.get(at) {
                    within(element, after, take);
                }
            }
            None => {
                for element in array.into_iter().flatten() {
                    if let RawBsonRef::Document(inner) = element {
                        along(inner, rest, take);
                    }
                }
            }
        },
        _ => {}
    }
}
