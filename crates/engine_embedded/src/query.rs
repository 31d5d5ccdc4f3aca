//! Finding documents: candidates by the plan, matched, on a snapshot and on
//! top of it what the transaction has written.

use std::collections::HashSet;
use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};
use engine::CommandError;
use mql::{Matcher, Sort};

use crate::View;
use crate::catalog::Collection;
use crate::kv::Table;
use crate::layout::{Record, document_key, loaded, past, record_of};
use crate::plan::{Plan, plan};
use crate::write::{Changes, Located};

/// Calls `take` with each match until it says stop (false).
pub(crate) fn each(
    view: &View,
    changes: Option<&Changes>,
    collection: &Arc<Collection>,
    matcher: &Matcher,
    take: &mut dyn FnMut(Located) -> Result<bool, CommandError>,
) -> Result<(), CommandError> {
    let overlaid = |record| {
        changes.is_some_and(|changes| changes.records.contains_key(&(collection.id, record)))
    };
    match plan(collection, matcher) {
        Plan::Scan => {
            let start = collection.id.to_be_bytes();
            for pair in view
                .snapshot
                .range(Table::Documents, &start, &past(&start), false)
            {
                let (key, value) = pair?;
                let Some(record) = record_of(&key, &[]) else {
                    continue;
                };
                // Matched before it is taken out of the page's copy.
                let (commit, document) = loaded(value)?;
                if !overlaid(record)
                    && matcher.matches(&document).map_err(crate::mql)?
                    && !take(Located {
                        record,
                        commit: Some(commit),
                        document,
                    })?
                {
                    return Ok(());
                }
            }
        }
        Plan::Keys(keys) => {
            for key in keys {
                let found = view.snapshot.get(Table::Indexes, &key)?;
                if let Some(record) = found.and_then(|value| record_of(&key, &value))
                    && !overlaid(record)
                    && !fetch(view, collection, matcher, record, take)?
                {
                    return Ok(());
                }
            }
        }
        Plan::Range(ranges) => {
            // A multikey index has a record more than once.
            let mut seen = HashSet::new();
            for (start, end) in ranges {
                for pair in view.snapshot.range(Table::Indexes, &start, &end, false) {
                    let (key, value) = pair?;
                    if let Some(record) = record_of(&key, &value)
                        && !overlaid(record)
                        && seen.insert(record)
                        && !fetch(view, collection, matcher, record, take)?
                    {
                        return Ok(());
                    }
                }
            }
        }
    }
    let own = changes.into_iter().flat_map(|changes| {
        changes
            .records
            .range((collection.id, 0)..=(collection.id, u64::MAX))
    });
    for ((_, record), change) in own {
        if let Some(document) = &change.now
            && matcher.matches(document).map_err(crate::mql)?
            && !take(Located {
                record: *record,
                commit: change.seen,
                document: document.clone(),
            })?
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes a record that an index named, if it matches; false to stop.
fn fetch(
    view: &View,
    collection: &Collection,
    matcher: &Matcher,
    record: Record,
    take: &mut dyn FnMut(Located) -> Result<bool, CommandError>,
) -> Result<bool, CommandError> {
    let key = document_key(collection.id, record);
    let Some(value) = view.snapshot.get(Table::Documents, &key)? else {
        return Ok(true);
    };
    let (commit, document) = loaded(value)?;
    if !matcher.matches(&document).map_err(crate::mql)? {
        return Ok(true);
    }
    take(Located {
        record,
        commit: Some(commit),
        document,
    })
}

/// The matches, sorted, from `skip`, at most `limit` (0 is all).
pub(crate) fn find(
    view: &View,
    changes: Option<&Changes>,
    collection: &Arc<Collection>,
    matcher: &Matcher,
    sort: &Sort,
    skip: usize,
    limit: usize,
) -> Result<Vec<Located>, CommandError> {
    let wanted = if limit == 0 {
        usize::MAX
    } else {
        skip.saturating_add(limit)
    };
    let mut found = Vec::new();
    if sort.is_empty() {
        each(view, changes, collection, matcher, &mut |located| {
            found.push(located);
            Ok(found.len() < wanted)
        })?;
    } else {
        let mut keyed: Vec<(Vec<u8>, Located)> = Vec::new();
        each(view, changes, collection, matcher, &mut |located| {
            let mut key = Vec::new();
            sort.key(&located.document, &mut key).map_err(crate::mql)?;
            keyed.push((key, located));
            // Keeps memory near the limit without sorting for each document.
            if keyed.len() > wanted.saturating_mul(4).max(4096) {
                keyed.sort_by(|a, b| a.0.cmp(&b.0));
                keyed.truncate(wanted);
            }
            Ok(true)
        })?;
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        keyed.truncate(wanted);
        found = keyed.into_iter().map(|(_, located)| located).collect();
    }
    found.drain(..skip.min(found.len()));
    Ok(found)
}

/// Parses a filter; a missing one matches everything.
pub(crate) fn matcher(filter: Option<&RawDocument>) -> Result<Matcher, CommandError> {
    filter.map_or_else(
        || Ok(Matcher::all()),
        |filter| Matcher::parse(filter).map_err(crate::mql),
    )
}

/// The raw documents of what was found.
pub(crate) fn documents(found: Vec<Located>) -> Vec<RawDocumentBuf> {
    found.into_iter().map(|located| located.document).collect()
}
