//! Which way to the documents: by an index, or all of them.
//!
//! Every candidate is matched again, so a plan may find too many, never too
//! few.

use bson::RawBson;
use bson::raw::RawBsonRef;
use mql::matcher::{Compare, Matcher, Node, Test};
use mql::path::Path;
use mql::{Collation, key};

use crate::catalog::{Collection, Index};
use crate::layout::past;

/// Ranges that an `$in` may open.
const RANGES_MAX: usize = 1000;

/// How to find candidates.
pub(crate) enum Plan {
    /// Every document of the collection.
    Scan,
    /// Ranges of an index: full keys, end exclusive.
    Range(Vec<(Vec<u8>, Vec<u8>)>),
    /// Whole keys of a unique index, each of which one record has at most.
    Keys(Vec<Vec<u8>>),
}

/// The best plan: the one whose index answers most.
pub(crate) fn plan(collection: &Collection, matcher: &Matcher) -> Plan {
    let conjuncts = matcher.conjuncts();
    let mut best: Option<(u32, Plan)> = None;
    for index in &collection.indexes {
        if index.building || index.hidden {
            continue;
        }
        if index.partial.is_some() || (index.sparse && index.fields.len() > 1) {
            continue;
        }
        let Some((score, plan)) = bounds(index, &conjuncts, matcher.collation()) else {
            continue;
        };
        if best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, plan));
        }
    }
    best.map_or(Plan::Scan, |(_, plan)| plan)
}

fn bounds(
    index: &Index,
    conjuncts: &[&Node],
    collation: Option<&Collation>,
) -> Option<(u32, Plan)> {
    // Strings are in the index by its own collation.
    let same = index.collation.as_ref() == collation;
    let indexable = |value: &RawBson| indexable(value) && (same || !has_strings(value));
    let mut prefixes = vec![index.id.to_be_bytes().to_vec()];
    let mut score = 0;
    let mut equal = 0;
    for (at, (path, descending)) in index.fields.iter().enumerate() {
        // Two paths into one array may be satisfied by two of its elements,
        // which no one key has; and an index in a path may also be a name.
        let top = |path: &Path| path.parts()[0].name.clone();
        let shared = index.fields[..at]
            .iter()
            .any(|(other, _)| top(other) == top(path));
        if shared || path.parts().iter().any(|part| part.index.is_some()) {
            break;
        }
        let tests = || {
            conjuncts.iter().flat_map(|node| match node {
                Node::Field(found, Test::All(tests)) if found == path => tests.iter().collect(),
                Node::Field(found, test) if found == path => vec![test],
                _ => Vec::new(),
            })
        };
        if let Some(values) = tests().find_map(|test| equalities(test, indexable))
            && prefixes.len() * values.len() <= RANGES_MAX
        {
            score += if index.unique { 4 } else { 3 };
            equal += 1;
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| values.iter().map(move |value| (prefix, value)))
                .map(|(prefix, value)| {
                    let mut next = prefix.clone();
                    let start = next.len();
                    key::encode_with(value.as_raw_bson_ref(), index.collation.as_ref(), &mut next);
                    if *descending {
                        key::invert(&mut next, start);
                    }
                    next
                })
                .collect();
            continue;
        }
        if let Some((low, high)) = tests().find_map(|test| range(test, index, indexable)) {
            let ranges = prefixes
                .iter()
                .map(|prefix| within(prefix, &low, &high, *descending))
                .collect();
            return Some((score + 1, Plan::Range(ranges)));
        }
        break;
    }
    if score == 0 {
        return None;
    }
    if index.unique && equal == index.fields.len() {
        return Some((score, Plan::Keys(prefixes)));
    }
    let ranges = prefixes.into_iter().map(|prefix| {
        let end = past(&prefix);
        (prefix, end)
    });
    Some((score, Plan::Range(ranges.collect())))
}

fn within(prefix: &[u8], low: &[u8], high: &[u8], descending: bool) -> (Vec<u8>, Vec<u8>) {
    let join = |part: &[u8]| [prefix, part].concat();
    if !descending {
        return (join(low), join(high));
    }
    let inverted = |part: &[u8]| part.iter().map(|byte| !byte).collect::<Vec<u8>>();
    (join(&inverted(high)), past(&join(&inverted(low))))
}

/// The values that a test is an equality with.
fn equalities(test: &Test, indexable: impl Fn(&RawBson) -> bool) -> Option<Vec<&RawBson>> {
    match test {
        Test::Compare(Compare::Eq, value) if indexable(value) => Some(vec![value]),
        Test::In(values, regexes)
            if regexes.is_empty() && !values.is_empty() && values.iter().all(&indexable) =>
        {
            Some(values.iter().collect())
        }
        _ => None,
    }
}

/// The range of keys that a comparison allows; an end includes its value's own
/// key.
fn range(
    test: &Test,
    index: &Index,
    indexable: impl Fn(&RawBson) -> bool,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let Test::Compare(compare, value) = test else {
        return None;
    };
    if !indexable(value) {
        return None;
    }
    let value = value.as_raw_bson_ref();
    let (start, end) = key::bracket(value);
    let mut own = Vec::new();
    key::encode_with(value, index.collation.as_ref(), &mut own);
    Some(match compare {
        Compare::Eq => return None,
        Compare::Gt | Compare::Gte => (own, end),
        Compare::Lt | Compare::Lte => (start, past(&own)),
    })
}

/// Whether index keys find every document that equals the value. Null also
/// means missing, and an array also means its elements: those are scanned for.
fn indexable(value: &RawBson) -> bool {
    !matches!(
        value.as_raw_bson_ref(),
        RawBsonRef::Null
            | RawBsonRef::Undefined
            | RawBsonRef::Array(_)
            | RawBsonRef::RegularExpression(_)
            | RawBsonRef::MinKey
            | RawBsonRef::MaxKey
    )
}

/// Whether the order of the value depends on the collation.
fn has_strings(value: &RawBson) -> bool {
    matches!(
        value.as_raw_bson_ref(),
        RawBsonRef::String(_)
            | RawBsonRef::Symbol(_)
            | RawBsonRef::Document(_)
            | RawBsonRef::Array(_)
    )
}
