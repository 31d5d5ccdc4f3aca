//! Rows of the change log: events of one commit that follow each other, one
//! behind the other, up to a size. A row's key is the position of its first
//! event; the positions of the others follow from it. Before the events are a
//! mark and a checksum; a row that an older program wrote has neither, and one
//! event.

use std::ops::Range;
use std::sync::Arc;

use bson::{DateTime, RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;

use crate::event::Event;
use crate::kv::{Batch, Snapshot, Table};
use crate::layout::Position;

/// Bytes of a row at most, unless a single event is longer: what fits into
/// eight pages of the store with its key and what the store notes of it.
const ROW_BYTES_MAX: usize = 8 * 4096 - 128;
/// What rows begin with: no document is so long.
const MARK: [u8; 4] = [0xff; 4];
/// The mark and the checksum.
const HEAD_BYTES: usize = 8;
/// Past every key.
pub(crate) const END: [u8; 13] = [0xff; 13];

/// An event of the log, in its row.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) position: Position,
    row: Arc<Vec<u8>>,
    bytes: Range<usize>,
}

impl Logged {
    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// # Errors
    /// When it is damaged.
    pub(crate) fn event(&self) -> Result<&RawDocument, CommandError> {
        document(self.row.get(self.bytes.clone()).unwrap_or_default())
    }
}

/// A row in the making.
struct Row {
    first: Position,
    events: Vec<(Position, Range<usize>)>,
    /// The head, which is filled in at last, and the events.
    bytes: Vec<u8>,
}

impl Row {
    fn new(first: Position, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + capacity);
        bytes.resize(HEAD_BYTES, 0);
        Self {
            first,
            events: Vec::new(),
            bytes,
        }
    }

    fn write(mut self, batch: &mut dyn Batch, told: &mut Vec<Logged>) -> Result<u64, CommandError> {
        let key = self.first.key();
        if let Some((head, events)) = self.bytes.split_first_chunk_mut::<HEAD_BYTES>() {
            let (mark, sum) = head.split_at_mut(MARK.len());
            mark.copy_from_slice(&MARK);
            sum.copy_from_slice(&checksum(&key, events).to_be_bytes());
        }
        batch.put(Table::Log, &key, &self.bytes)?;
        let size = size(&key, self.bytes.len());
        let row = Arc::new(self.bytes);
        told.extend(self.events.into_iter().map(|(position, bytes)| Logged {
            position,
            row: row.clone(),
            bytes,
        }));
        Ok(size)
    }
}

/// Logs the events of one job from `position` on, each with a time of its own
/// unless they are a transaction's. What was written is also put into `told`.
/// Answers the last position, and the bytes of the rows and images.
pub(crate) fn write(
    batch: &mut dyn Batch,
    events: &[Event],
    position: Position,
    now: DateTime,
    told: &mut Vec<Logged>,
) -> Result<(Position, u64), CommandError> {
    let mut time = RawDocumentBuf::new();
    time.append(cstr!("wallTime"), now);
    let of_transaction = match events {
        [first, _, ..] => is_of_transaction(&first.document)?,
        _ => false,
    };
    let bytes = |event: &Event| event.document.as_bytes().len() + time.as_bytes().len();
    let capacity = events.iter().map(bytes).sum::<usize>().min(ROW_BYTES_MAX);
    let (mut at, mut written) = (position, 0);
    let mut row = Row::new(position, capacity);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            at = after(at, of_transaction);
        }
        let mut start = row.bytes.len();
        append(&mut row.bytes, &event.document, &time);
        if !row.events.is_empty() && row.bytes.len() > ROW_BYTES_MAX {
            let mut next = Row::new(at, capacity);
            next.bytes.extend(row.bytes.drain(start..));
            written += std::mem::replace(&mut row, next).write(batch, told)?;
            start = HEAD_BYTES;
        }
        row.events.push((at, start..row.bytes.len()));
        if let Some(image) = &event.image {
            batch.put(Table::Images, &at.key(), image.as_bytes())?;
            written += size(&at.key(), image.as_bytes().len());
        }
    }
    if !row.events.is_empty() {
        written += row.write(batch, told)?;
    }
    Ok((at, written))
}

/// Appends an event and when it was.
fn append(out: &mut Vec<u8>, event: &RawDocument, time: &RawDocument) {
    let (event, time) = (event.as_bytes(), time.as_bytes());
    // Without the length of the one and the end of the other.
    let fields = event.get(4..event.len() - 1).unwrap_or_default();
    let time = time.get(4..).unwrap_or_default();
    let length = (4 + fields.len() + time.len()) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(fields);
    out.extend_from_slice(time);
}

fn is_of_transaction(event: &RawDocument) -> Result<bool, CommandError> {
    Ok(event.get("txnNumber")?.is_some())
}

/// The position after another one of the same commit: a transaction's events
/// share a time.
fn after(position: Position, of_transaction: bool) -> Position {
    if of_transaction {
        let index = position.index.saturating_add(1);
        return Position { index, ..position };
    }
    position.next(position.time)
}

/// What a key and its value count in the log's size.
pub(crate) fn size(key: &[u8], value: usize) -> u64 {
    (key.len() + value) as u64
}

fn checksum(key: &[u8], events: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(events);
    hasher.finalize()
}

/// The places of a row's events.
fn places(key: &[u8], row: &[u8]) -> Result<Vec<Range<usize>>, CommandError> {
    let mut places = Vec::new();
    let mut start = 0;
    if let Some(rest) = row.strip_prefix(&MARK) {
        let (sum, events) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        if u32::from_be_bytes(*sum) != checksum(key, events) {
            return Err(damaged());
        }
        start = HEAD_BYTES;
    }
    while start < row.len() {
        let length = row.get(start..).and_then(<[u8]>::first_chunk::<4>);
        let length = length.map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        // Shorter than the shortest document, or longer than what is there.
        if length < 5 || length > row.len() - start {
            return Err(damaged());
        }
        places.push(start..start + length);
        start += length;
    }
    if places.is_empty() {
        return Err(damaged());
    }
    Ok(places)
}

fn document(bytes: &[u8]) -> Result<&RawDocument, CommandError> {
    RawDocument::from_bytes(bytes).map_err(|_| damaged())
}

fn damaged() -> CommandError {
    CommandError::new(1, "a row of the change log is damaged")
}

/// The events of a row.
///
/// # Errors
/// When it is damaged.
pub(crate) fn events(key: &[u8], value: &[u8]) -> Result<Vec<Logged>, CommandError> {
    let first = Position::from_key(key).filter(|_| key.len() == 12);
    let mut position = first.ok_or_else(damaged)?;
    let places = places(key, value)?;
    let is_of_transaction = match places.as_slice() {
        [first, _, ..] => is_of_transaction(document(&value[first.clone()])?)?,
        _ => false,
    };
    let row = Arc::new(value.to_vec());
    let events = places.into_iter().enumerate().map(|(index, bytes)| {
        if index > 0 {
            position = after(position, is_of_transaction);
        }
        Logged {
            position,
            row: row.clone(),
            bytes,
        }
    });
    Ok(events.collect())
}

/// The row in which a position would be: the last that does not begin after it.
pub(crate) fn row_of(
    snapshot: &dyn Snapshot,
    position: Position,
) -> Result<Option<Vec<Logged>>, CommandError> {
    let mut end = position.key().to_vec();
    end.push(0);
    let row = snapshot.range(Table::Log, &[], &end, true).next();
    let row = row.transpose()?;
    row.map(|(key, value)| events(&key, &value)).transpose()
}

/// The event at a position.
///
/// # Errors
/// When the store fails, or the row is damaged.
pub(crate) fn find(
    snapshot: &dyn Snapshot,
    position: Position,
) -> Result<Option<Logged>, CommandError> {
    let row = row_of(snapshot, position)?.unwrap_or_default();
    Ok(row.into_iter().find(|event| event.position == position))
}

/// Events after a position, up to so many or when they have so many bytes.
///
/// # Errors
/// When the store fails, or a row is damaged.
pub(crate) fn since(
    snapshot: &dyn Snapshot,
    position: Position,
    (most, bytes_most): (usize, usize),
) -> Result<Vec<Logged>, CommandError> {
    let mut found = row_of(snapshot, position)?.unwrap_or_default();
    found.retain(|event| event.position > position);
    let mut bytes = found.iter().map(Logged::len).sum::<usize>();
    let mut start = position.key().to_vec();
    start.push(0);
    let mut rows = snapshot.range(Table::Log, &start, &END, false);
    while found.len() < most
        && bytes <= bytes_most
        && let Some(row) = rows.next()
    {
        let (key, value) = row?;
        bytes += value.len();
        found.extend(events(&key, &value)?);
    }
    found.truncate(most);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;
    use crate::kv::{Kv, memory::Store};

    fn event(n: i32, bytes: usize, of_transaction: bool) -> Event {
        let mut event = rawdoc! { "n": n, "text": "x".repeat(bytes) };
        if of_transaction {
            event.append(cstr!("txnNumber"), 7_i64);
        }
        event.into()
    }

    /// Logs a job and answers its events as they were told.
    fn job(store: &Store, events: &[Event], at: Position) -> Vec<Logged> {
        let mut told = Vec::new();
        let now = DateTime::from_millis(5);
        let work = &mut |batch: &mut dyn Batch| {
            told.clear();
            let (last, bytes) = write(batch, events, at, now, &mut told)?;
            assert_eq!(told.last().map(|event| event.position), Some(last));
            assert!(bytes > 0);
            Ok(())
        };
        store.write(work).unwrap();
        told
    }

    fn numbers(events: &[Logged]) -> Vec<(Position, i32)> {
        let number = |event: &Logged| {
            let found = event.event().unwrap();
            assert_eq!(
                found.get_datetime("wallTime").unwrap().timestamp_millis(),
                5
            );
            (event.position, found.get_i32("n").unwrap())
        };
        events.iter().map(number).collect()
    }

    #[test]
    fn what_is_logged_is_found_from_everywhere() {
        let store = Store::default();
        let mut all = Vec::new();
        let mut n = 0;
        for (count, bytes, of_transaction) in [
            (1, 10, false),
            (300, 400, false),
            (200, 400, true),
            (3, 100_000, true),
            (2, 10, false),
            (1, 10, true),
        ] {
            let events: Vec<Event> = (n..n + count)
                .map(|n| event(n, bytes, of_transaction))
                .collect();
            n += count;
            let last = all.last().map_or(Position::default(), |(at, _)| *at);
            let at = last.next(9);
            let told = job(&store, &events, at);
            let positions = told.iter().map(|event| event.position);
            let expected = (0..count as u32).map(|index| {
                if of_transaction {
                    Position { index, ..at }
                } else {
                    Position {
                        increment: at.increment + index,
                        ..at
                    }
                }
            });
            assert!(positions.eq(expected));
            all.extend(numbers(&told));
        }
        assert!(all.iter().map(|(_, n)| *n).eq(0..n));
        let snapshot = store.snapshot().unwrap();
        let rows: Vec<usize> = snapshot
            .range(Table::Log, &[], &END, false)
            .map(|row| row.unwrap().1.len())
            .collect();
        // Full ones, the long events, and the last of each job.
        assert_eq!(rows.len(), 1 + 5 + 3 + 3 + 2);
        let fits = |bytes: &usize| *bytes <= ROW_BYTES_MAX || *bytes > 100_000;
        assert!(rows.iter().all(fits));
        let told_since =
            |position, most| numbers(&since(snapshot.as_ref(), position, most).unwrap());
        let enough = (usize::MAX, usize::MAX);
        assert_eq!(told_since(Position::default(), enough), all);
        for (at, (position, n)) in all.iter().enumerate() {
            let found = find(snapshot.as_ref(), *position).unwrap().unwrap();
            assert_eq!(numbers(&[found]), [(*position, *n)]);
            assert_eq!(told_since(*position, enough), all[at + 1..]);
            assert_eq!(
                told_since(*position, (2, usize::MAX)),
                all[at + 1..][..2.min(all.len() - at - 1)]
            );
        }
        // A mark is behind all of its time.
        let mark = |position: Position| Position {
            index: u32::MAX,
            ..position
        };
        assert_eq!(told_since(mark(all[150].0), enough), all[151..]);
        assert_eq!(told_since(mark(all[310].0), enough), all[501..]);
        assert!(find(snapshot.as_ref(), mark(all[150].0)).unwrap().is_none());
        assert!(
            find(snapshot.as_ref(), Position::default())
                .unwrap()
                .is_none()
        );
        // Not much more than is wanted.
        assert!(told_since(Position::default(), (usize::MAX, 1000)).len() < 150);
    }

    #[test]
    fn a_row_that_is_not_as_it_was_written_is_refused() {
        let store = Store::default();
        job(
            &store,
            &[event(1, 10, false), event(2, 10, false)],
            Position::default(),
        );
        let snapshot = store.snapshot().unwrap();
        let row = snapshot.range(Table::Log, &[], &END, false).next().unwrap();
        let (key, value) = row.unwrap();
        assert_eq!(events(&key, &value).unwrap().len(), 2);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(events(&key, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(events(&key, &value[..length]).is_err(), "{length} bytes");
        }
        assert!(events(&key[..11], &value).is_err());
        assert!(events(&[1; 12], &value).is_err());
    }
}
