//! What the committer keeps count of besides the data: where the change log
//! ends and how large it is, and what was dropped and is not cleared away yet.

use bson::DateTime;
use engine::CommandError;

use crate::event::Event;
use crate::kv::{Batch, Snapshot, Table};
use crate::layout::{self, Position};
use crate::log::{self, END, Logged, size};
use crate::options::Retention;

/// Keys of what was dropped that one commit clears away at most.
const CLEARED_MAX: usize = 2_000;
/// Events beyond twice those that it adds that one commit trims at most.
const TRIMMED_MAX: usize = 1_000;
/// Rows of the log that are looked at together to be trimmed.
const ROWS_AT_ONCE: usize = 16;

/// The books after some commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Books {
    /// The newest position.
    pub(crate) position: Position,
    /// The seconds of the oldest event.
    oldest: Option<u32>,
    log_bytes: u64,
    /// Whether something dropped may be there still.
    dropped: bool,
    /// Events that were added and not yet made up for by trimming.
    added: usize,
}

impl Books {
    pub(crate) fn load(snapshot: &dyn Snapshot) -> Result<Self, CommandError> {
        let kept = snapshot.get(Table::Meta, layout::LOG_BYTES)?;
        let log_bytes = match kept.and_then(|bytes| bytes[..].try_into().ok()) {
            Some(bytes) => u64::from_be_bytes(bytes),
            None => count(snapshot)?,
        };
        let first = snapshot.range(Table::Log, &[], &END, false).next();
        let first = first.transpose()?;
        Ok(Self {
            position: layout::last_position(snapshot)?,
            oldest: first.and_then(|(key, _)| Some(Position::from_key(&key)?.time)),
            log_bytes,
            dropped: !layout::gone(snapshot)?.is_empty(),
            added: 0,
        })
    }

    /// Logs the events of one job from `position` on; what was written is also
    /// put into `told`.
    pub(crate) fn log(
        &mut self,
        batch: &mut dyn Batch,
        events: &[Event],
        position: Position,
        now: DateTime,
        told: &mut Vec<Logged>,
    ) -> Result<(), CommandError> {
        let (last, bytes) = log::write(batch, events, position, now, told)?;
        if !events.is_empty() {
            self.oldest.get_or_insert(position.time);
        }
        self.added += events.len();
        self.log_bytes += bytes;
        self.position = last;
        Ok(())
    }

    /// Something may have been dropped.
    pub(crate) fn look_for_dropped(&mut self) {
        self.dropped = true;
    }

    /// Whether there is work for [`Self::keep`] besides the books themselves.
    pub(crate) fn are_behind(&self, now_s: u32, retention: Retention) -> bool {
        self.dropped || self.is_too_long(now_s, retention)
    }

    fn is_too_long(&self, now_s: u32, retention: Retention) -> bool {
        self.oldest.is_some_and(|oldest| {
            self.log_bytes > retention.bytes || oldest < now_s.saturating_sub(retention.seconds)
        })
    }

    /// Writes the books, trims the log and clears away what was dropped, each
    /// up to a bound: a commit stays short, and yet more goes than comes.
    pub(crate) fn keep(
        &mut self,
        batch: &mut dyn Batch,
        now_s: u32,
        retention: Retention,
    ) -> Result<(), CommandError> {
        if self.is_too_long(now_s, retention) {
            self.trim(
                batch,
                now_s.saturating_sub(retention.seconds),
                retention.bytes,
            )?;
        }
        self.added = 0;
        if self.dropped {
            self.dropped = clear(batch, CLEARED_MAX)?;
        }
        batch.put(Table::Meta, layout::LAST_POSITION, &self.position.key())?;
        batch.put(
            Table::Meta,
            layout::LOG_BYTES,
            &self.log_bytes.to_be_bytes(),
        )
    }

    /// Removes rows of events from before `seconds`, and while there are more
    /// than `bytes` of them; at least one.
    fn trim(
        &mut self,
        batch: &mut dyn Batch,
        seconds: u32,
        bytes: u64,
    ) -> Result<(), CommandError> {
        let mut left = TRIMMED_MAX + self.added * 2;
        let mut trimmed = None;
        self.oldest = None;
        'trimming: loop {
            let rows = batch.first(Table::Log, &[], &END, ROWS_AT_ONCE)?;
            let is_end = rows.len() < ROWS_AT_ONCE;
            for (key, value) in rows {
                let first = Position::from_key(&key).unwrap_or_default();
                let keeps = first.time >= seconds && self.log_bytes <= bytes;
                if keeps || left == 0 {
                    self.oldest = Some(first.time);
                    break 'trimming;
                }
                let row = batch.get(Table::Log, &key)?;
                // What cannot be read goes as well.
                let events = row.and_then(|row| log::events(&key, &row).ok());
                let events = events.unwrap_or_default();
                let last = events.last().map_or(first, |event| event.position);
                left = left.saturating_sub(events.len().max(1));
                batch.remove(Table::Log, &key)?;
                self.log_bytes = self.log_bytes.saturating_sub(size(&key, value));
                self.trim_images(batch, last)?;
                trimmed = Some(last);
            }
            if is_end {
                break;
            }
        }
        match trimmed {
            Some(last) => batch.put(Table::Meta, layout::TRIMMED, &last.key()),
            None => Ok(()),
        }
    }

    /// Removes the images of events up to `last`.
    fn trim_images(&mut self, batch: &mut dyn Batch, last: Position) -> Result<(), CommandError> {
        let mut end = last.key().to_vec();
        end.push(0);
        for (key, value) in batch.first(Table::Images, &[], &end, usize::MAX)? {
            batch.remove(Table::Images, &key)?;
            self.log_bytes = self.log_bytes.saturating_sub(size(&key, value));
        }
        Ok(())
    }
}

/// The log's size, where it was not kept.
fn count(snapshot: &dyn Snapshot) -> Result<u64, CommandError> {
    let mut bytes = 0;
    for table in [Table::Log, Table::Images] {
        for pair in snapshot.range(table, &[], &END, false) {
            let (key, value) = pair?;
            bytes += size(&key, value.len());
        }
    }
    Ok(bytes)
}

/// Drops everything that is kept under a collection's or index's number. It is
/// cleared away piece by piece, in this commit and in later ones.
pub(crate) fn abandon(batch: &mut dyn Batch, id: u32) -> Result<(), CommandError> {
    batch.put(Table::Meta, &layout::gone_key(id), &[])
}

/// Removes up to `limit` keys of what was dropped; whether there may be more.
fn clear(batch: &mut dyn Batch, limit: usize) -> Result<bool, CommandError> {
    let mut left = limit;
    for mark in batch.keys(Table::Meta, layout::GONE, &layout::past(layout::GONE))? {
        if let Some(id) = layout::gone_id(&mark) {
            let start = id.to_be_bytes();
            // A number is a collection's or an index's, never both.
            for table in [Table::Documents, Table::Indexes] {
                let found = batch.first(table, &start, &layout::past(&start), left)?;
                for (key, _) in &found {
                    batch.remove(table, key)?;
                }
                left -= found.len();
                if left == 0 {
                    return Ok(true);
                }
            }
        }
        batch.remove(Table::Meta, &mark)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Kv, memory::Store};

    fn count(store: &Store, table: Table) -> usize {
        store
            .snapshot()
            .unwrap()
            .range(table, &[], &END, false)
            .count()
    }

    #[test]
    fn what_is_dropped_goes_in_steps() {
        let store = Store::default();
        let mut books = Books::load(store.snapshot().unwrap().as_ref()).unwrap();
        let full = Retention::default();
        assert!(!books.are_behind(0, full));
        store
            .write(&mut |batch| {
                for n in 0..5000_u64 {
                    batch.put(Table::Documents, &layout::document_key(7, n), b"x")?;
                }
                batch.put(Table::Documents, &layout::document_key(8, 0), b"kept")?;
                abandon(batch, 7)
            })
            .unwrap();
        books.look_for_dropped();
        let mut left = Vec::new();
        while books.are_behind(0, full) {
            store
                .write(&mut |batch| books.keep(batch, 0, full))
                .unwrap();
            left.push(count(&store, Table::Documents));
        }
        assert_eq!(left, [3001, 1001, 1]);
        // The two numbers of the books, and the size of what was kept.
        assert_eq!(count(&store, Table::Meta), 3);
    }

    /// The events of each row of the log.
    fn rows(store: &Store) -> Vec<usize> {
        let snapshot = store.snapshot().unwrap();
        snapshot
            .range(Table::Log, &[], &END, false)
            .map(|row| {
                let (key, value) = row.unwrap();
                log::events(&key, &value).unwrap().len()
            })
            .collect()
    }

    #[test]
    fn the_log_goes_in_steps_and_faster_than_it_comes() {
        let store = Store::default();
        let mut books = Books::load(store.snapshot().unwrap().as_ref()).unwrap();
        let event = Event {
            document: bson::rawdoc! { "txnNumber": 1 },
            image: Some(bson::rawdoc! { "before": {} }),
        };
        let now = DateTime::from_millis(0);
        let add = |books: &mut Books, events: usize, now_s, retention| {
            let events = vec![event.clone(); events];
            let position = books.position.next(now_s);
            store
                .write(&mut |batch| {
                    books.log(batch, &events, position, now, &mut Vec::new())?;
                    books.keep(batch, now_s, retention)
                })
                .unwrap();
            let logged: usize = rows(&store).iter().sum();
            assert_eq!(count(&store, Table::Images), logged);
            logged
        };
        let day = Retention {
            seconds: 86_400,
            bytes: u64::MAX,
        };
        assert_eq!(add(&mut books, 10_000, 1, day), 10_000);
        let of_row = rows(&store)[0];
        assert_eq!(add(&mut books, 10, 86_401, day), 10_010);
        // Too old from here on; whole rows go.
        let gone = 5000_usize.next_multiple_of(of_row);
        assert_eq!(add(&mut books, 2000, 86_402, day), 12_010 - gone);
        let kept = Books::load(store.snapshot().unwrap().as_ref()).unwrap();
        assert_eq!(kept.log_bytes, books.log_bytes);
        let trimmed = store.snapshot().unwrap();
        let trimmed = trimmed.get(Table::Meta, layout::TRIMMED).unwrap();
        let trimmed = trimmed.and_then(|key| Position::from_key(&key)).unwrap();
        assert_eq!(trimmed.index as usize, gone - 1);
        assert!(books.are_behind(86_402, day));
        assert_eq!(add(&mut books, 10_000, 86_402, day), 12_010);
        assert!(!books.are_behind(86_402, day));
        let kept = Books::load(store.snapshot().unwrap().as_ref()).unwrap();
        assert_eq!(kept.position.next(0), books.position.next(0));
        assert_eq!(kept.log_bytes, books.log_bytes);
        assert_eq!(kept.oldest, Some(86_401));
    }
}
