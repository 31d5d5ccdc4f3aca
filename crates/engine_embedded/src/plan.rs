//! Which way to the documents: by an index, by several, or through all of
//! them.
//!
//! Every candidate is matched again unless a plan is exact, so a plan may find
//! too many, never too few.

mod bounds;
mod needs;

use std::cmp::Reverse;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{Document, RawDocument};
use engine::CommandError;
use mql::matcher::{Compare, Node, Test};
use mql::{Matcher, Sort};

use crate::View;
use crate::catalog::{Collection, Index};
use crate::command::indexes::with_key;
use crate::kv::Table;
use crate::layout::{loaded, past, record_of};
use bounds::{Strings, bounds};
use needs::{Need, Needs, implies};

pub(crate) use bounds::Bounds;

/// Ranges that a plan may have, where a single field does not have more.
const RANGES_MAX: usize = 10_000;
/// Keys of an index that are counted to compare it with others.
const TRIAL_KEYS: usize = 101;
/// Keys of a sorted index that are looked through for a limited answer.
const TRIAL_SORTED_KEYS: usize = 400;

/// What a hint asks for.
#[derive(Debug, Clone)]
pub(crate) enum Hint {
    /// The collection in order of insertion, or in reverse.
    Natural(bool),
    Name(String),
    Key(Document),
}

/// What is to be found.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'q> {
    pub(crate) matcher: &'q Matcher,
    pub(crate) sort: &'q Sort,
    pub(crate) hint: Option<&'q Hint>,
    /// Documents that are enough; 0 is all.
    pub(crate) enough: usize,
    /// Whether an index may give the order of the sort: not on top of a
    /// transaction's own writes.
    pub(crate) by_index: bool,
}

/// How to find documents.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) collection: Arc<Collection>,
    pub(crate) access: Access,
    /// From the end to the beginning.
    pub(crate) reverse: bool,
    /// Whether they come in the order of the sort.
    pub(crate) sorted: bool,
}

/// Where documents come from.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Nothing can match.
    Nothing,
    /// Every document of the collection.
    Collection,
    /// One index.
    Index(Scan),
    /// Several, for the branches of an `$or`.
    Either(Vec<Scan>),
}

/// Ranges of an index.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// The index's place in the collection.
    pub(crate) at: usize,
    /// What each field may be.
    pub(crate) bounds: Vec<Bounds>,
    /// Full keys, end exclusive, in order.
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Each range begins with the one key that is in it.
    pub(crate) whole_keys: bool,
    /// Every document with a key in the ranges matches.
    pub(crate) exact: bool,
    /// Whether a document may have several of the keys.
    pub(crate) multikey: bool,
    /// Leading fields with one value, and with single values.
    equal: (usize, usize),
}

impl Scan {
    pub(crate) fn index<'c>(&self, collection: &'c Collection) -> Option<&'c Index> {
        collection.indexes.get(self.at)
    }

    fn is_bounded(&self) -> bool {
        self.bounds.first().is_some_and(|bounds| !bounds.is_all())
    }
}

impl Hint {
    /// Reads a command's `hint`; an empty one is none.
    ///
    /// # Errors
    /// 9 when it is neither a name nor a key.
    pub(crate) fn parse(command: &RawDocument) -> Result<Option<Self>, CommandError> {
        Ok(match command.get("hint")? {
            None => None,
            Some(RawBsonRef::String(name)) => Some(Self::Name(name.to_owned())),
            Some(RawBsonRef::Document(key)) if key.is_empty() => None,
            Some(RawBsonRef::Document(key)) => Some(match natural(key, "hint")? {
                Some(reverse) => Self::Natural(reverse),
                None => Self::Key(Document::try_from(key)?),
            }),
            Some(_) => {
                return Err(CommandError::new(9, "Hint must be a string or an object"));
            }
        })
    }

    /// Refuses one that names no index.
    ///
    /// # Errors
    /// 2.
    pub(crate) fn check(&self, collection: &Collection) -> Result<(), CommandError> {
        match self {
            Self::Natural(_) => Ok(()),
            other => other.index(collection).map(drop),
        }
    }

    fn index(&self, collection: &Collection) -> Result<usize, CommandError> {
        let found = match self {
            Self::Natural(_) => None,
            Self::Name(name) => collection.indexes.iter().find(|index| index.name == *name),
            Self::Key(key) => match with_key(collection, key).as_slice() {
                [one] => Some(*one),
                [_, ..] => {
                    return Err(CommandError::bad_value(format!(
                        "error processing query: ns={}: planner returned error :: caused by :: Hint matched multiple indexes, must hint by index name",
                        collection.namespace()
                    )));
                }
                [] => None,
            },
        };
        let found = found.filter(|index| !index.hidden && !index.building);
        found
            .and_then(|found| {
                let same = |index: &Index| index.id == found.id;
                collection.indexes.iter().position(same)
            })
            .ok_or_else(|| {
                CommandError::bad_value(
                    "error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index",
                )
            })
    }
}

/// The direction of the `$natural` in a sort or a hint, if there is one; true is
/// from the end.
///
/// # Errors
/// 2 when it is not alone.
fn natural(document: &RawDocument, name: &str) -> Result<Option<bool>, CommandError> {
    let Some(direction) = document.get("$natural")? else {
        return Ok(None);
    };
    if document.iter().count() > 1 {
        return Err(CommandError::bad_value(format!(
            "Cannot include '$natural' in compound {name}"
        )));
    }
    Ok(Some(match direction {
        RawBsonRef::Int32(n) => n < 0,
        RawBsonRef::Int64(n) => n < 0,
        RawBsonRef::Double(n) => n <= -1.0,
        RawBsonRef::Decimal128(n) => mql::decimal::to_double(n) <= -1.0,
        _ => false,
    }))
}

/// The hint that a sort by `$natural` is; `None` for another sort.
///
/// # Errors
/// 2 when it is not alone, or is not what the hint says.
pub(crate) fn natural_sort(
    sort: &RawDocument,
    hint: Option<&Hint>,
) -> Result<Option<Hint>, CommandError> {
    let Some(reverse) = natural(sort, "sort")? else {
        return Ok(None);
    };
    match hint {
        None => {}
        Some(Hint::Natural(other)) if *other == reverse => {}
        Some(Hint::Natural(_)) => {
            return Err(CommandError::bad_value(
                "$natural hint must be in the same direction as $natural sort order",
            ));
        }
        Some(_) => {
            return Err(CommandError::bad_value(
                "index hint not allowed with $natural sort order",
            ));
        }
    }
    Ok(Some(Hint::Natural(reverse)))
}

/// The value of `_id` that a query asks for and nothing else.
pub(crate) fn only_id(matcher: &Matcher) -> bool {
    matches!(
        matcher.root(),
        Node::Field(path, Test::Compare(Compare::Eq, _)) if path.as_str() == "_id"
    )
}

/// Whether a query finds one document at most, by its `_id`, whatever else it
/// asks of it.
pub(crate) fn is_lookup(matcher: &Matcher) -> bool {
    // By a collation several may have the `_id`.
    matcher.collation().is_none()
        && matcher.conjuncts().iter().any(|node| {
            matches!(node, Node::Field(path, Test::Compare(Compare::Eq, _)) if path.as_str() == "_id")
        })
}

/// Whether a query is such a lookup, goes by the index of `_id` and compares
/// nothing that may take long: it is not worth leaving the reactor for.
pub(crate) fn is_quick_lookup(matcher: &Matcher, hint: Option<&Hint>) -> bool {
    hint.is_none() && is_lookup(matcher) && is_quick(matcher.root())
}

fn is_quick(node: &Node) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) | Node::Nor(nodes) => nodes.iter().all(is_quick),
        Node::Field(_, test) => is_quick_test(test),
        Node::Never => true,
        Node::Expr(_) | Node::Schema(_) => false,
    }
}

fn is_quick_test(test: &Test) -> bool {
    match test {
        Test::In(_, expressions) => expressions.is_empty(),
        Test::All(tests) => tests.iter().all(is_quick_test),
        Test::Not(test) => is_quick_test(test),
        // Those of elements are as many as the elements.
        Test::Regex(_) | Test::ElementMatches(_) | Test::ElementPasses(_) => false,
        Test::Compare(..)
        | Test::Exists
        | Test::Type(_)
        | Test::Size(_)
        | Test::Mod(..)
        | Test::Bits { .. } => true,
    }
}

/// The best plan.
///
/// # Errors
/// 2 for a hint of an index that is not there.
pub(crate) fn plan(
    view: &View,
    collection: &Arc<Collection>,
    ask: Ask<'_>,
) -> Result<Plan, CommandError> {
    let done = |access, reverse, sorted| Plan {
        collection: collection.clone(),
        access,
        reverse,
        sorted: sorted || ask.sort.is_empty(),
    };
    let needs = Needs::of(ask.matcher.root());
    let planner = Planner {
        view,
        collection,
        ask,
    };
    match ask.hint {
        Some(Hint::Natural(reverse)) => return Ok(done(Access::Collection, *reverse, false)),
        Some(hint) => {
            let at = hint.index(collection)?;
            let scan = planner.scan(at, &needs, true).ok_or_else(|| {
                CommandError::bad_value(
                    "error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index",
                )
            })?;
            let order = planner.order(&scan);
            return Ok(done(
                Access::Index(scan),
                order.unwrap_or(false),
                order.is_some(),
            ));
        }
        None => {}
    }
    if needs.never {
        return Ok(done(Access::Nothing, false, true));
    }
    let (access, order) = planner.best(&needs)?;
    Ok(done(access, order.unwrap_or(false), order.is_some()))
}

struct Planner<'q> {
    view: &'q View,
    collection: &'q Arc<Collection>,
    ask: Ask<'q>,
}

impl Planner<'_> {
    fn best(&self, needs: &Needs<'_>) -> Result<(Access, Option<bool>), CommandError> {
        let scans: Vec<Scan> = (0..self.collection.indexes.len())
            .filter_map(|at| self.scan(at, needs, false))
            .collect();
        let (bounded, unbounded): (Vec<Scan>, Vec<Scan>) =
            scans.into_iter().partition(Scan::is_bounded);
        let sorting = unbounded
            .into_iter()
            .filter(|_| !self.ask.sort.is_empty())
            .find_map(|scan| Some((self.order(&scan)?, scan)));
        let best = self.ranked(bounded)?;
        if let Some((few, scan)) = best {
            let order = self.order(&scan);
            if order.is_none()
                && !few
                && let Some((reverse, sorting)) = sorting
                && self.ask.enough > 0
                && self.finds(&sorting, reverse)?
            {
                return Ok((Access::Index(sorting), Some(reverse)));
            }
            return Ok((Access::Index(scan), order));
        }
        for branches in &needs.either {
            if let Some(scans) = self.either(branches)? {
                return Ok((Access::Either(scans), None));
            }
        }
        Ok(match sorting {
            Some((reverse, scan)) => (Access::Index(scan), Some(reverse)),
            None => (Access::Collection, None),
        })
    }

    /// The best scan for each branch, if each has one.
    fn either(&self, branches: &[Node]) -> Result<Option<Vec<Scan>>, CommandError> {
        let mut found = Vec::with_capacity(branches.len());
        for branch in branches {
            let needs = Needs::and(&[branch, self.ask.matcher.root()]);
            let scans: Vec<Scan> = (0..self.collection.indexes.len())
                .filter_map(|at| self.scan(at, &needs, false))
                .filter(Scan::is_bounded)
                .collect();
            match self.ranked(scans)? {
                Some((_, scan)) => found.push(scan),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The scan with the fewest keys, as far as a trial tells, and whether they
    /// are few.
    fn ranked(&self, mut scans: Vec<Scan>) -> Result<Option<(bool, Scan)>, CommandError> {
        if let Some(at) = scans.iter().position(|scan| scan.whole_keys) {
            return Ok(Some((true, scans.swap_remove(at))));
        }
        if scans.len() < 2 {
            return Ok(scans.pop().map(|scan| (false, scan)));
        }
        let mut ranked = Vec::with_capacity(scans.len());
        for scan in scans {
            let keys = self.keys(&scan)?;
            let few = keys < TRIAL_KEYS;
            let fields = scan.bounds.len();
            let unsorted = self.order(&scan).is_none();
            let (equal, points) = scan.equal;
            let rank = (
                keys,
                unsorted,
                Reverse(equal),
                Reverse(points),
                fields,
                scan.at,
            );
            ranked.push((rank, few, scan));
        }
        let best = ranked.into_iter().min_by(|a, b| a.0.cmp(&b.0));
        Ok(best.map(|(_, few, scan)| (few, scan)))
    }

    /// The number of keys in a scan, up to a bound.
    fn keys(&self, scan: &Scan) -> Result<usize, CommandError> {
        let mut keys = 0;
        for (start, end) in &scan.ranges {
            let range = self.view.snapshot.range(Table::Indexes, start, end, false);
            for pair in range.take(TRIAL_KEYS - keys) {
                pair?;
                keys += 1;
            }
            if keys >= TRIAL_KEYS {
                break;
            }
        }
        Ok(keys)
    }

    /// Whether a scan that gives the order soon finds enough.
    fn finds(&self, scan: &Scan, reverse: bool) -> Result<bool, CommandError> {
        let mut found = 0;
        let ranges = scan.ranges.iter().flat_map(|(start, end)| {
            self.view
                .snapshot
                .range(Table::Indexes, start, end, reverse)
        });
        for pair in ranges.take(TRIAL_SORTED_KEYS) {
            let (key, value) = pair?;
            let Some(record) = record_of(&key, &value) else {
                continue;
            };
            let place = crate::layout::document_key(self.collection.id, record);
            if let Some(value) = self.view.snapshot.get(Table::Documents, &place)? {
                let (_, document) = loaded(&value)?;
                found += usize::from(self.ask.matcher.matches(document).map_err(crate::mql)?);
            }
            if found >= self.ask.enough {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What an index leaves of the collection; `None` when it may leave out a
    /// document that matches.
    fn scan(&self, at: usize, needs: &Needs<'_>, hinted: bool) -> Option<Scan> {
        let index = self.collection.indexes.get(at)?;
        if index.building || index.hidden {
            return None;
        }
        let strings = Strings {
            collation: index.collation.as_ref(),
            same: index.collation.as_ref() == self.ask.matcher.collation(),
        };
        if let Some((_, filter)) = &index.partial
            && !hinted
            && !implies(needs, filter, strings.same)
        {
            return None;
        }
        if index.sparse && !hinted {
            let present = needs.tests.iter().any(|need| {
                let of = index
                    .fields
                    .iter()
                    .any(|(path, _)| path.as_str() == need.path);
                of && bounds::needs_field(need.test)
            });
            if !present {
                return None;
            }
        }
        let (bounds, used, exact) = field_bounds(index, needs, strings);
        let multikey = index.multikey.iter().any(|bits| *bits != 0);
        let (ranges, equal, unique) = ranges(index, &bounds);
        // Bounds past the first range of a compound key are not looked at.
        let narrow = bounds.iter().skip(equal.1 + 1).all(Bounds::is_all);
        let exact =
            exact && needs.all && needs.either.is_empty() && used == needs.tests.len() && narrow;
        Some(Scan {
            at,
            bounds,
            ranges,
            whole_keys: unique,
            exact,
            multikey,
            equal,
        })
    }

    /// Whether a scan gives the order of the sort, and then whether in reverse.
    fn order(&self, scan: &Scan) -> Option<bool> {
        let (index, sort) = (scan.index(self.collection)?, self.ask.sort);
        if sort.is_empty() || !self.ask.by_index {
            return sort.is_empty().then_some(false);
        }
        if sort.collation() != index.collation.as_ref() {
            return None;
        }
        let is_constant = |at: usize| {
            matches!(scan.bounds.get(at).map(|b| b.intervals.as_slice()), Some([one]) if one.is_point())
                && scan.bounds[at].are_points()
        };
        let (mut at, mut reverse) = (0, None);
        for (path, descending) in sort.parts() {
            if index.fields[..at.min(index.fields.len())]
                .iter()
                .enumerate()
                .any(|(at, (other, _))| other == path && is_constant(at))
            {
                continue;
            }
            while index.fields.get(at).is_some_and(|(other, _)| other != path) && is_constant(at) {
                at += 1;
            }
            let (other, backwards) = index.fields.get(at)?;
            // An array sorts by its least element or its greatest, which is the
            // first of all its keys, but not of some of them.
            if other != path || (index.multikey[at] != 0 && !scan.bounds.iter().all(Bounds::is_all))
            {
                return None;
            }
            let opposite = descending != backwards;
            if !is_constant(at) && *reverse.get_or_insert(opposite) != opposite {
                return None;
            }
            at += 1;
        }
        Some(reverse.unwrap_or(false))
    }
}

/// What each field may be, how many of the tests are in that, and whether they
/// are in it exactly.
fn field_bounds(
    index: &Index,
    needs: &Needs<'_>,
    strings: Strings<'_>,
) -> (Vec<Bounds>, usize, bool) {
    let mut all = Vec::with_capacity(index.fields.len());
    let mut chosen: Vec<(usize, &Need<'_>)> = Vec::new();
    let (mut used, mut exact) = (0, true);
    for (at, (path, _)) in index.fields.iter().enumerate() {
        // A number names an element of an array, or a field.
        let named = path.parts().iter().position(|part| part.index.is_some());
        let ambiguous = named.is_some_and(|named| {
            let mask = if named >= 32 {
                u32::MAX
            } else {
                (1 << named) - 1
            };
            index.multikey[at] & mask != 0
        });
        let mut found: Vec<(&Need<'_>, Bounds)> = Vec::new();
        if !ambiguous {
            for need in needs.tests.iter().filter(|need| need.path == path.as_str()) {
                let together = chosen
                    .iter()
                    .all(|(other, earlier)| need.is_with(at, earlier, *other, index));
                if together && let Some(bounds) = bounds(need.test, strings) {
                    found.push((need, bounds));
                }
            }
        }
        found.sort_by_key(|(_, bounds)| bounds.rank());
        let mut found = found.into_iter();
        let Some((first, mut bounds)) = found.next() else {
            all.push(Bounds::all());
            continue;
        };
        used += 1;
        for (need, more) in found {
            if need.is_with(at, first, at, index) {
                bounds = bounds.and(&more);
                used += 1;
            }
        }
        chosen.push((at, first));
        exact &= bounds.exact;
        all.push(bounds);
    }
    (all, used, exact)
}

/// The ranges of full keys; how many of the leading fields have one value, and
/// single values; and whether the ranges are whole keys of a unique index.
#[expect(clippy::type_complexity, reason = "the parts of a scan")]
fn ranges(index: &Index, bounds: &[Bounds]) -> (Vec<(Vec<u8>, Vec<u8>)>, (usize, usize), bool) {
    let mut prefixes = vec![index.id.to_be_bytes().to_vec()];
    let (mut equal, mut points) = (0, 0);
    let mut last = None;
    for (bounds, (_, descending)) in bounds.iter().zip(&index.fields) {
        let n = bounds.intervals.len();
        if prefixes.len() > 1 && prefixes.len().saturating_mul(n) > RANGES_MAX {
            break;
        }
        if !bounds.are_points() {
            last = Some((bounds, *descending));
            break;
        }
        prefixes = prefixes
            .iter()
            .flat_map(|prefix| {
                let keys = bounds.intervals.iter();
                keys.map(move |interval| interval.key(prefix, *descending))
            })
            .collect();
        if n == 1 && equal == points {
            equal += 1;
        }
        points += 1;
    }
    let whole = index.unique && points == index.fields.len();
    let mut ranges: Vec<(Vec<u8>, Vec<u8>)> = match last {
        Some((bounds, descending)) => prefixes
            .iter()
            .flat_map(|prefix| {
                let intervals = bounds.intervals.iter();
                intervals.map(move |interval| interval.range(prefix, descending))
            })
            .collect(),
        None => prefixes
            .into_iter()
            .map(|prefix| {
                let end = past(&prefix);
                (prefix, end)
            })
            .collect(),
    };
    ranges.sort();
    (ranges, (equal, points), whole)
}

#[cfg(test)]
mod tests {
    use bson::{Document, RawDocumentBuf, doc};
    use mql::Matcher;

    use super::{Hint, is_quick_lookup};

    #[test]
    fn a_lookup_is_quick_when_it_is_one_document_and_cheap_to_compare() {
        let quick = |query: Document, hint: Option<&Hint>| {
            let query = RawDocumentBuf::try_from(&query).unwrap();
            is_quick_lookup(&Matcher::parse(&query).unwrap(), hint)
        };
        for query in [
            doc! { "_id": 1 },
            doc! { "$and": [{ "owner": "ann" }, { "_id": 1 }] },
            doc! { "_id": 1, "a": { "$gt": 1 }, "$nor": [{ "b": { "$in": [1, 2] } }] },
        ] {
            assert!(quick(query.clone(), None), "{query}");
            assert!(
                !quick(query.clone(), Some(&Hint::Natural(false))),
                "{query}"
            );
        }
        for query in [
            doc! { "owner": "ann" },
            doc! { "_id": { "$gt": 1 } },
            doc! { "$or": [{ "_id": 1 }, { "_id": 2 }] },
            doc! { "_id": 1, "a": { "$regex": "a" } },
            doc! { "_id": 1, "$expr": { "$eq": ["$a", 1] } },
            doc! { "_id": 1, "$or": [{ "a": { "$elemMatch": { "b": 1 } } }] },
            doc! { "_id": 1, "a": { "$not": { "$regex": "a" } } },
        ] {
            assert!(!quick(query.clone(), None), "{query}");
        }
    }
}
