//! Finding documents: candidates by the plan, matched, on a snapshot and on
//! top of it what the transaction has written; sorted where the plan does not
//! give the order.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};
use engine::CommandError;
use mql::sort::Top;
use mql::{Collation, Matcher, Sort};

use crate::View;
use crate::catalog::Collection;
use crate::plan::{Ask, Hint, Plan, plan};
use crate::walk::{Effort, Found, Place, Walk};
use crate::write::{Changes, Located};

/// Bytes of documents and keys that a sort may hold.
pub(crate) const SORT_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Which documents are wanted.
pub(crate) struct Wanted<'q> {
    pub(crate) matcher: &'q Matcher,
    pub(crate) sort: Option<&'q Sort>,
    pub(crate) hint: Option<&'q Hint>,
    pub(crate) skip: usize,
    /// At most; 0 is all.
    pub(crate) limit: usize,
}

impl<'q> Wanted<'q> {
    /// All that match, in any order.
    pub(crate) fn by(matcher: &'q Matcher) -> Self {
        Self {
            matcher,
            sort: None,
            hint: None,
            skip: 0,
            limit: 0,
        }
    }
}

/// Calls `take` with each match, in any order, until it says stop (false).
pub(crate) fn each(
    (view, changes): (&View, Option<&Changes>),
    collection: &Arc<Collection>,
    wanted: &Wanted<'_>,
    effort: &Effort,
    take: &mut dyn FnMut(Found<'_>) -> Result<bool, CommandError>,
) -> Result<(), CommandError> {
    let ask = Ask {
        matcher: wanted.matcher,
        sort: &Sort::default(),
        hint: wanted.hint,
        enough: 0,
        by_index: true,
    };
    let plan = plan(view, collection, ask)?;
    let mut walk = Walk::new(view, changes, &plan, wanted.matcher, effort);
    let mut place = Place::default();
    while let Some(found) = walk.next(&mut place)? {
        if !take(found)? {
            break;
        }
    }
    Ok(())
}

/// The matches, sorted, from `skip`, at most `limit`.
pub(crate) fn find(
    (view, changes): (&View, Option<&Changes>),
    collection: &Arc<Collection>,
    wanted: &Wanted<'_>,
    effort: &Effort,
) -> Result<Vec<Located>, CommandError> {
    let Wanted {
        matcher,
        sort,
        hint,
        skip,
        limit,
    } = *wanted;
    let unsorted = Sort::default();
    let sort = sort.unwrap_or(&unsorted);
    let ask = Ask {
        matcher,
        sort,
        hint,
        enough: enough(skip, limit),
        by_index: is_untouched(changes, collection),
    };
    let plan = plan(view, collection, ask)?;
    found(view, changes, &plan, matcher, sort, (skip, limit), effort)
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
            && let Some(next) = walk.next(&mut place)?
        {
            found.push(next.located()?);
        }
    } else {
        let (mut top, mut bytes) = (Top::new(wanted), 0);
        let mut key = Vec::new();
        while let Some(next) = walk.next(&mut place)? {
            key.clear();
            sort.key(next.document()?, &mut key).map_err(crate::mql)?;
            if !top.wants(&key) {
                continue;
            }
            let located = next.located()?;
            bytes += key.len() + located.document.as_bytes().len();
            if let Some((key, gone)) = top.push(key.clone(), located) {
                bytes -= key.len() + gone.document.as_bytes().len();
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
        found = top.into_sorted().collect();
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
