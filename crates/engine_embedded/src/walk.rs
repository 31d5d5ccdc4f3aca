//! Going along a plan, one document at a time, and stopping anywhere: a place
//! is a key, not a snapshot, and the next walk goes on from it.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::RawDocument;
use engine::CommandError;
use mql::{Matcher, MqlError};

use crate::View;
use crate::kv::{Lent, Pairs, Table};
use crate::layout::{PREFIX_BYTES, Record, document_key, loaded, past, record_of};
use crate::plan::{Access, Plan, Scan};
use crate::write::{Changes, Located};

/// Keys between two looks at the clock.
const STEPS_PER_LOOK: u32 = 128;

/// How long a command may go on, and what it has looked at.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    pub(crate) keys: Cell<u64>,
    pub(crate) documents: Cell<u64>,
    until: Option<Instant>,
    gone: Option<Arc<AtomicBool>>,
    steps: Cell<u32>,
}

impl Effort {
    /// Up to a time, and while somebody waits.
    pub(crate) fn limited(time: Option<Duration>, gone: Option<Arc<AtomicBool>>) -> Self {
        Self {
            until: time.and_then(|time| Instant::now().checked_add(time)),
            gone,
            ..Self::default()
        }
    }

    /// What is left of the time.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = self.until?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// # Errors
    /// 50 when the time is up, 11601 when nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        ended(self.until, self.gone.as_deref()).map_err(crate::mql)
    }

    /// Does `work`, and stops it within an expression too: with those errors.
    pub(crate) fn limit<T>(&self, work: impl FnOnce() -> T) -> T {
        let (until, gone) = (self.until, self.gone.clone());
        mql::patience::within(move || ended(until, gone.as_deref()), work)
    }

    /// Counts something, and looks at the clock now and then.
    ///
    /// # Errors
    /// Those of [`Effort::check`].
    pub(crate) fn step(&self) -> Result<(), CommandError> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS_PER_LOOK) {
            self.check()?;
        }
        Ok(())
    }

    fn key(&self) -> Result<(), CommandError> {
        self.keys.set(self.keys.get() + 1);
        self.step()
    }

    fn document(&self) -> Result<(), CommandError> {
        self.documents.set(self.documents.get() + 1);
        self.step()
    }
}

fn ended(until: Option<Instant>, gone: Option<&AtomicBool>) -> Result<(), MqlError> {
    if until.is_some_and(|until| Instant::now() >= until) {
        return Err(MqlError::new(50, "operation exceeded time limit"));
    }
    if gone.is_some_and(|gone| gone.load(Ordering::Relaxed)) {
        return Err(MqlError::new(11601, "operation was interrupted"));
    }
    Ok(())
}

/// How far a walk has come.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The scan of several, and its range.
    scan: usize,
    range: usize,
    /// The last key that was taken.
    last: Option<Vec<u8>>,
    /// Records that were met, where they can be met twice.
    seen: HashSet<Record>,
    /// The transaction's own record to go on from.
    own: Record,
    ended: bool,
}

impl Place {
    /// Notes the key that the walk has come to, where the one before was.
    fn reached(&mut self, key: &[u8]) {
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
    }
}

/// A match, lent by the store or by the transaction that wrote it.
pub(crate) struct Found<'v> {
    record: Record,
    commit: Option<u64>,
    bytes: Lent<'v>,
    /// Where the document begins.
    start: usize,
}

impl Found<'_> {
    pub(crate) fn document(&self) -> Result<&RawDocument, CommandError> {
        let bytes = self.bytes.get(self.start..).unwrap_or_default();
        Ok(RawDocument::from_bytes(bytes)?)
    }

    /// The match with a document of its own.
    pub(crate) fn located(&self) -> Result<Located, CommandError> {
        Ok(Located {
            record: self.record,
            commit: self.commit,
            document: self.document()?.to_owned(),
        })
    }
}

/// A walk along a plan on one state.
pub(crate) struct Walk<'v> {
    view: &'v View,
    changes: Option<&'v Changes>,
    plan: &'v Plan,
    matcher: &'v Matcher,
    effort: &'v Effort,
    pairs: Option<Pairs<'v>>,
}

impl<'v> Walk<'v> {
    pub(crate) fn new(
        view: &'v View,
        changes: Option<&'v Changes>,
        plan: &'v Plan,
        matcher: &'v Matcher,
        effort: &'v Effort,
    ) -> Self {
        Self {
            view,
            changes,
            plan,
            matcher,
            effort,
            pairs: None,
        }
    }

    /// The next match.
    pub(crate) fn next(&mut self, place: &mut Place) -> Result<Option<Found<'v>>, CommandError> {
        if !place.ended {
            let found = match &self.plan.access {
                Access::Nothing => None,
                Access::Collection => self.next_document(place)?,
                Access::Index(scan) => self.next_of(scan, place)?,
                Access::Either(scans) => self.next_of_any(scans, place)?,
            };
            if found.is_some() {
                return Ok(found);
            }
            place.ended = true;
        }
        self.next_own(place)
    }

    fn is_overlaid(&self, record: Record) -> bool {
        self.changes.is_some_and(|changes| {
            changes
                .records
                .contains_key(&(self.plan.collection.id, record))
        })
    }

    fn next_document(&mut self, place: &mut Place) -> Result<Option<Found<'v>>, CommandError> {
        if self.pairs.is_none() {
            let own = self.plan.collection.id.to_be_bytes();
            let range = (own.to_vec(), past(&own));
            self.pairs = Some(self.open(Table::Documents, range, place.last.take()));
        }
        while let Some(pair) = self.pairs.as_mut().and_then(Iterator::next) {
            let (key, value) = pair?;
            self.effort.document()?;
            let record = record_of(&key, &[]);
            place.reached(&key);
            if let Some(record) = record
                && !self.is_overlaid(record)
                && let Some(located) = self.matched(record, value)?
            {
                return Ok(Some(located));
            }
        }
        Ok(None)
    }

    /// The pairs of a range that come after a key.
    fn open(
        &self,
        table: Table,
        (mut start, mut end): (Vec<u8>, Vec<u8>),
        after: Option<Vec<u8>>,
    ) -> Pairs<'v> {
        let reverse = self.plan.reverse;
        if let Some(mut after) = after {
            if reverse {
                end = after;
            } else {
                after.push(0);
                start = after;
            }
        }
        let view: &'v View = self.view;
        view.snapshot.range(table, &start, &end, reverse)
    }

    fn next_of_any(
        &mut self,
        scans: &'v [Scan],
        place: &mut Place,
    ) -> Result<Option<Found<'v>>, CommandError> {
        while let Some(scan) = scans.get(place.scan) {
            let found = self.next_of(scan, place)?;
            if found.is_some() {
                return Ok(found);
            }
            place.scan += 1;
            place.range = 0;
            place.last = None;
        }
        Ok(None)
    }

    fn next_of(
        &mut self,
        scan: &'v Scan,
        place: &mut Place,
    ) -> Result<Option<Found<'v>>, CommandError> {
        while let Some(record) = self.next_record(scan, place)? {
            self.effort.document()?;
            let key = document_key(self.plan.collection.id, record);
            if let Some(value) = self.view.snapshot.get(Table::Documents, &key)?
                && let Some(located) = self.matched(record, value)?
            {
                return Ok(Some(located));
            }
        }
        Ok(None)
    }

    /// The next record that a scan names, each once, without what the
    /// transaction has changed.
    fn next_record(
        &mut self,
        scan: &Scan,
        place: &mut Place,
    ) -> Result<Option<Record>, CommandError> {
        let once = scan.multikey || matches!(self.plan.access, Access::Either(_));
        loop {
            let at = if self.plan.reverse {
                scan.ranges.len().checked_sub(place.range + 1)
            } else {
                Some(place.range)
            };
            let Some((start, end)) = at.and_then(|at| scan.ranges.get(at)) else {
                return Ok(None);
            };
            if scan.whole_keys {
                place.range += 1;
                self.effort.key()?;
                let found = self.view.snapshot.get(Table::Indexes, start)?;
                if let Some(record) = found.and_then(|value| record_of(start, &value))
                    && !self.is_overlaid(record)
                    && (!once || place.seen.insert(record))
                {
                    return Ok(Some(record));
                }
                continue;
            }
            if self.pairs.is_none() {
                let range = (start.clone(), end.clone());
                self.pairs = Some(self.open(Table::Indexes, range, place.last.take()));
            }
            while let Some(pair) = self.pairs.as_mut().and_then(Iterator::next) {
                let (key, value) = pair?;
                self.effort.key()?;
                let record = record_of(&key, &value);
                place.reached(&key);
                if let Some(record) = record
                    && !self.is_overlaid(record)
                    && (!once || place.seen.insert(record))
                {
                    return Ok(Some(record));
                }
            }
            self.pairs = None;
            place.last = None;
            place.range += 1;
        }
    }

    /// A stored document, if it matches.
    fn matched(&self, record: Record, value: Lent<'v>) -> Result<Option<Found<'v>>, CommandError> {
        let (commit, document) = loaded(&value)?;
        if !self.matcher.is_all() && !self.matcher.matches(document).map_err(crate::mql)? {
            return Ok(None);
        }
        Ok(Some(Found {
            record,
            commit: Some(commit),
            bytes: value,
            start: PREFIX_BYTES,
        }))
    }

    /// What the transaction has written itself comes last.
    fn next_own(&mut self, place: &mut Place) -> Result<Option<Found<'v>>, CommandError> {
        let Some(changes) = self.changes else {
            return Ok(None);
        };
        let collection = self.plan.collection.id;
        let own = changes
            .records
            .range((collection, place.own)..=(collection, Record::MAX));
        for ((_, record), change) in own {
            place.own = record.saturating_add(1);
            self.effort.document()?;
            if let Some(document) = &change.now
                && self.matcher.matches(document).map_err(crate::mql)?
            {
                return Ok(Some(Found {
                    record: *record,
                    commit: change.seen,
                    bytes: Lent::Slice(document.as_bytes()),
                    start: 0,
                }));
            }
        }
        Ok(None)
    }

    /// The number of matches, without a look at the documents where the keys
    /// tell; at most `enough`.
    pub(crate) fn count(&mut self, enough: usize) -> Result<usize, CommandError> {
        let mut place = Place::default();
        let mut n = 0;
        if self.matcher.is_all()
            && matches!(self.plan.access, Access::Collection)
            && let Some(index) = self.plan.collection.indexes.iter().find(|i| i.is_id())
        {
            // Its entries are smaller than the documents.
            let start = index.id.to_be_bytes();
            let view: &'v View = self.view;
            for pair in view
                .snapshot
                .range(Table::Indexes, &start, &past(&start), false)
            {
                if n >= enough {
                    break;
                }
                let (key, value) = pair?;
                self.effort.step()?;
                n += usize::from(record_of(&key, &value).is_some_and(|r| !self.is_overlaid(r)));
            }
            place.ended = true;
        }
        if let Access::Index(scan) = &self.plan.access
            && scan.exact
        {
            while n < enough && self.next_record(scan, &mut place)?.is_some() {
                n += 1;
            }
            place.ended = true;
        }
        while n < enough && self.next(&mut place)?.is_some() {
            n += 1;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(effort: &Effort) -> Option<i32> {
        effort.check().err().map(|error| error.code)
    }

    #[test]
    fn an_effort_ends_with_its_time_or_its_caller() {
        assert_eq!(code(&Effort::default()), None);
        let long = Effort::limited(Some(Duration::from_secs(3600)), None);
        assert_eq!(code(&long), None);
        assert_eq!(code(&Effort::limited(Some(Duration::ZERO), None)), Some(50));
        let gone = Arc::new(AtomicBool::new(false));
        let awaited = Effort::limited(None, Some(gone.clone()));
        assert_eq!(code(&awaited), None);
        gone.store(true, Ordering::Relaxed);
        assert_eq!(code(&awaited), Some(11601));
        // A walk looks now and then.
        let steps = (0..STEPS_PER_LOOK).map(|_| awaited.key());
        assert!(steps.collect::<Result<Vec<()>, _>>().is_err());
    }
}
