//! Finding documents: candidates by the plan, matched, on a snapshot and on
//! top of it what the transaction has written; sorted where the plan does not
//! give the order.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};
use engine::CommandError;
use mql::{Collation, Matcher, Sort};

use crate::View;
use crate::catalog::Collection;
use crate::plan::{Ask, Plan, plan};
use crate::walk::{Effort, Place, Walk};
use crate::write::{Changes, Located};

/// Bytes of documents and keys that a sort may hold.
pub(crate) const SORT_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Calls `take` with each match until it says stop (false).
pub(crate) fn each(
    view: &View,
    changes: Option<&Changes>,
    collection: &Arc<Collection>,
    matcher: &Matcher,
    take: &mut dyn FnMut(Located) -> Result<bool, CommandError>,
) -> Result<(), CommandError> {
    let ask = Ask {
        matcher,
        sort: &Sort::default(),
        hint: None,
        enough: 0,
        by_index: true,
    };
    let plan = plan(view, collection, ask)?;
    let effort = Effort::default();
    let mut walk = Walk::new(view, changes, &plan, matcher, &effort);
    let mut place = Place::default();
    while let Some(located) = walk.next(&mut place)? {
        if !take(located)? {
            break;
        }
    }
    Ok(())
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
    let ask = Ask {
        matcher,
        sort,
        hint: None,
        enough: enough(skip, limit),
        by_index: is_untouched(changes, collection),
    };
    let plan = plan(view, collection, ask)?;
    let effort = Effort::default();
    found(view, changes, &plan, matcher, sort, (skip, limit), &effort)
}

/// The documents that are enough to skip some and return some; 0 is all.
pub(crate) fn enough(skip: usize, limit: usize) -> usize {
    if limit == 0 {
        0
    } else {
        skip.saturating_add(limit)
    }
}

/// Whether there is nothing of the transaction's own on top of a collection.
pub(crate) fn is_untouched(changes: Option<&Changes>, collection: &Collection) -> bool {
    changes.is_none_or(|changes| {
        let own = (collection.id, 0)..=(collection.id, u64::MAX);
        changes.records.range(own).next().is_none()
    })
}

/// What a plan finds, sorted, from `skip`, at most `limit` (0 is all).
pub(crate) fn found(
    view: &View,
    changes: Option<&Changes>,
    plan: &Plan,
    matcher: &Matcher,
    sort: &Sort,
    (skip, limit): (usize, usize),
    effort: &Effort,
) -> Result<Vec<Located>, CommandError> {
    let wanted = match enough(skip, limit) {
        0 => usize::MAX,
        wanted => wanted,
    };
    let mut walk = Walk::new(view, changes, plan, matcher, effort);
    let mut place = Place::default();
    let mut found = Vec::new();
    if plan.sorted {
        while found.len() < wanted
            && let Some(located) = walk.next(&mut place)?
        {
            found.push(located);
        }
    } else {
        let mut keyed: Vec<(Vec<u8>, Located)> = Vec::new();
        let mut bytes = 0;
        while let Some(located) = walk.next(&mut place)? {
            let mut key = Vec::new();
            sort.key(&located.document, &mut key).map_err(crate::mql)?;
            bytes += key.len() + located.document.as_bytes().len();
            keyed.push((key, located));
            // Keeps memory near the limit without sorting for each document.
            if keyed.len() > wanted.saturating_mul(4).max(4096) || bytes > SORT_BYTES_MAX {
                keyed.sort_by(|a, b| a.0.cmp(&b.0));
                keyed.truncate(wanted);
                bytes = keyed
                    .iter()
                    .map(|(key, located)| key.len() + located.document.as_bytes().len())
                    .sum();
            }
            if bytes > SORT_BYTES_MAX {
                return Err(CommandError::new(
                    292,
                    format!(
                        "Executor error during find command :: caused by :: Sort exceeded memory limit of {SORT_BYTES_MAX} bytes, but did not opt in to external sorting."
                    ),
                ));
            }
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        keyed.truncate(wanted);
        found = keyed.into_iter().map(|(_, located)| located).collect();
    }
    found.drain(..skip.min(found.len()));
    Ok(found)
}

/// Parses a filter; a missing one matches everything.
pub(crate) fn matcher(
    filter: Option<&RawDocument>,
    collation: Option<&Collation>,
) -> Result<Matcher, CommandError> {
    filter.map_or_else(
        || Ok(Matcher::all()),
        |filter| Matcher::parse_with(filter, collation).map_err(crate::mql),
    )
}

/// The raw documents of what was found.
pub(crate) fn documents(found: Vec<Located>) -> Vec<RawDocumentBuf> {
    found.into_iter().map(|located| located.document).collect()
}
