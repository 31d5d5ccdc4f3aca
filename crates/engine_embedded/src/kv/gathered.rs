//! Writes that wait for the next sync, and then go to the file in the order of
//! their places and joined where they touch: the store writes its pages one by
//! one, in no order, and the system does much for each.
//!
//! Nothing is promised of a write before the sync that follows it, so none is
//! lost by waiting.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::StorageBackend;

/// Bytes that wait at most.
const HELD_MAX: usize = 16 << 20;
/// Bytes after which no more writes are joined.
const JOINED_MAX: usize = 128 << 10;
/// Bytes of memory that are kept for the writes to come.
const KEPT_MAX: usize = 8 << 20;

/// The writes that wait.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    held: RwLock<Held>,
    /// The bytes of `held`, so that a read finds out fast that there are none.
    bytes: AtomicUsize,
    /// Where writes are joined.
    joined: Mutex<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Held {
    /// Offset to the place in `data`; no two overlap.
    writes: BTreeMap<u64, Range<usize>>,
    /// One behind the other: to ask for memory for each costs more.
    data: Vec<u8>,
    /// Grows with every change.
    changes: u64,
}

impl Held {
    /// The last write that begins before `end`.
    fn before(&self, end: u64) -> Option<(u64, &[u8])> {
        let (offset, place) = self.writes.range(..end).next_back()?;
        Some((*offset, self.data.get(place.clone())?))
    }

    fn touches(&self, offset: u64, length: usize) -> bool {
        self.before(offset + length as u64)
            .is_some_and(|(start, data)| start + data.len() as u64 > offset)
    }

    /// A part of one write.
    fn part(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let (start, data) = self.before(offset.checked_add(1)?)?;
        let from = usize::try_from(offset - start).ok()?;
        data.get(from..from.checked_add(length)?)
    }

    /// The place of what was written there before, all of it.
    fn same(&mut self, offset: u64, length: usize) -> Option<&mut [u8]> {
        let place = self.writes.get(&offset)?;
        self.data
            .get_mut(place.clone())
            .filter(|data| data.len() == length)
    }

    fn forget(&mut self) {
        self.writes.clear();
        self.data.clear();
        self.data.shrink_to(KEPT_MAX);
    }
}

impl Gathered {
    fn read_held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_held(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was written, whether it still waits or not.
    pub(super) fn read(
        &self,
        file: &dyn StorageBackend,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        if self.bytes.load(Ordering::Acquire) > 0 {
            let held = self.read_held();
            if let Some(part) = held.part(offset, out.len()) {
                out.copy_from_slice(part);
                return Ok(());
            }
            let touches = held.touches(offset, out.len());
            drop(held);
            if touches {
                self.flush(file)?;
            }
        }
        file.read(offset, out)
    }

    /// Takes a write.
    pub(super) fn write(
        &self,
        file: &dyn StorageBackend,
        offset: u64,
        data: &[u8],
    ) -> io::Result<()> {
        loop {
            let mut held = self.change_held();
            if let Some(same) = held.same(offset, data.len()) {
                same.copy_from_slice(data);
            } else if held.touches(offset, data.len()) {
                drop(held);
                self.flush(file)?;
                continue;
            } else {
                let start = held.data.len();
                held.data.extend_from_slice(data);
                held.writes.insert(offset, start..start + data.len());
            }
            held.changes += 1;
            let bytes = held.data.len();
            self.bytes.store(bytes, Ordering::Release);
            if bytes <= HELD_MAX {
                return Ok(());
            }
            drop(held);
            return self.flush(file);
        }
    }

    /// Gives everything that waits to the file. Reads go on meanwhile; after a
    /// failure it waits still.
    pub(super) fn flush(&self, file: &dyn StorageBackend) -> io::Result<()> {
        loop {
            let held = self.read_held();
            if held.writes.is_empty() {
                return Ok(());
            }
            let changes = held.changes;
            self.write_joined(file, &held)?;
            drop(held);
            let mut held = self.change_held();
            if held.changes == changes {
                held.forget();
                self.bytes.store(0, Ordering::Release);
                return Ok(());
            }
        }
    }

    fn write_joined(&self, file: &dyn StorageBackend, held: &Held) -> io::Result<()> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let data = |place: &Range<usize>| held.data.get(place.clone()).unwrap_or_default();
        let mut writes = held.writes.iter().peekable();
        while let Some((start, place)) = writes.next() {
            let mut end = start + place.len() as u64;
            let mut touching = |end: u64, length: usize| {
                writes.next_if(|(offset, _)| **offset == end && length < JOINED_MAX)
            };
            let Some(mut next) = touching(end, 0) else {
                file.write(*start, data(place))?;
                continue;
            };
            joined.clear();
            joined.extend_from_slice(data(place));
            loop {
                joined.extend_from_slice(data(next.1));
                end += next.1.len() as u64;
                match touching(end, joined.len()) {
                    Some(more) => next = more,
                    None => break,
                }
            }
            file.write(*start, &joined)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use redb::backends::InMemoryBackend;

    use super::*;

    /// Offsets and lengths.
    type Notes = Arc<Mutex<Vec<(u64, usize)>>>;

    /// A file that notes what is written to it.
    #[derive(Debug)]
    struct Noted(InMemoryBackend, Notes);

    impl StorageBackend for Noted {
        fn len(&self) -> Result<u64, io::Error> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
            self.0.read(offset, out)
        }

        fn set_len(&self, length: u64) -> Result<(), io::Error> {
            self.0.set_len(length)
        }

        fn sync_data(&self) -> Result<(), io::Error> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
            self.1.lock().unwrap().push((offset, data.len()));
            self.0.write(offset, data)
        }
    }

    fn noted(length: u64) -> (Noted, Notes) {
        let notes = Notes::default();
        let file = Noted(InMemoryBackend::new(), notes.clone());
        file.set_len(length).unwrap();
        (file, notes)
    }

    #[test]
    fn what_touches_is_written_at_once_and_in_order() {
        let (file, notes) = noted(1 << 20);
        let gathered = Gathered::default();
        for page in [7_u64, 3, 9, 4, 0, 5] {
            gathered
                .write(&file, page * 4096, &[page as u8; 4096])
                .unwrap();
        }
        assert_eq!(notes.lock().unwrap().len(), 0);
        gathered.flush(&file).unwrap();
        let pages = |page: u64, count: usize| (page * 4096, count * 4096);
        let expected = [pages(0, 1), pages(3, 3), pages(7, 1), pages(9, 1)];
        assert_eq!(*notes.lock().unwrap(), expected);
        gathered.flush(&file).unwrap();
        assert_eq!(notes.lock().unwrap().len(), 4);
    }

    #[test]
    fn no_more_waits_than_may() {
        let (file, notes) = noted(64 << 20);
        let gathered = Gathered::default();
        for page in 0..(HELD_MAX / 4096) as u64 {
            gathered.write(&file, page * 4096, &[1; 4096]).unwrap();
        }
        assert_eq!(notes.lock().unwrap().len(), 0);
        gathered.write(&file, 40 << 20, &[1; 4096]).unwrap();
        let notes = notes.lock().unwrap();
        assert_eq!(notes.len(), HELD_MAX / JOINED_MAX + 1);
        assert_eq!(gathered.read_held().data.len(), 0);
    }

    #[test]
    fn a_failure_is_told_and_takes_nothing() {
        let (file, _) = noted(4096);
        let gathered = Gathered::default();
        // Past the end of this file.
        gathered.write(&file, 8192, &[1; 4096]).unwrap();
        assert!(gathered.flush(&file).is_err());
        let mut out = [0; 4];
        gathered.read(&file, 8192, &mut out).unwrap();
        assert_eq!(out, [1; 4]);
        file.set_len(3 * 4096).unwrap();
        gathered.flush(&file).unwrap();
        file.read(8192, &mut out).unwrap();
        assert_eq!(out, [1; 4]);
    }

    #[test]
    fn it_is_read_as_if_it_had_been_written() {
        let (file, plain) = (InMemoryBackend::new(), InMemoryBackend::new());
        for bytes in [&file, &plain] {
            bytes.set_len(40_000).unwrap();
        }
        let gathered = Gathered::default();
        let mut random = 1_u64;
        let mut next = |end: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        for n in 0..3000_u64 {
            let (offset, length) = (next(30_000), next(9000) as usize);
            // Often the same places again.
            let (offset, length) = if n % 3 == 0 {
                (offset, length)
            } else {
                (offset / 4096 * 4096, 4096)
            };
            let data = vec![n as u8; length];
            gathered.write(&file, offset, &data).unwrap();
            plain.write(offset, &data).unwrap();
            if n % 97 == 0 {
                gathered.flush(&file).unwrap();
            }
            let (offset, length) = (next(30_000), next(9000) as usize);
            let (mut out, mut expected) = (vec![0; length], vec![0; length]);
            gathered.read(&file, offset, &mut out).unwrap();
            plain.read(offset, &mut expected).unwrap();
            assert!(out == expected, "after {n} writes, at {offset}");
        }
    }
}
