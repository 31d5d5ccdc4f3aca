//! Where the bytes of a database are: a file, what a test puts in its place,
//! or a file that must not be written any more with what would have been.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::{BackendError, StorageBackend};

use super::gathered::Gathered;

/// Bytes that can be written anywhere, and are there for good after a sync.
///
/// Between two syncs nothing is promised: after a power loss any part of any
/// write may be there or not.
pub trait Disk: Debug + Send + Sync + 'static {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether nothing was ever written.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `out` from `offset`; an error if that is past the end.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Cuts off, or adds zeros.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Makes everything so far durable.
    fn sync(&self) -> io::Result<()>;
    /// Writes all of `data` at `offset`.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Bytes that can still be written, where it is known.
    fn room(&self) -> Option<u64> {
        None
    }
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        (**self).set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        (**self).write(offset, data)
    }

    fn room(&self) -> Option<u64> {
        (**self).room()
    }
}

/// A disk as the store takes it.
#[derive(Debug)]
pub(super) struct Custom(pub(super) Box<dyn Disk>);

impl StorageBackend for Custom {
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
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
}

/// A share of the bytes that gathers what is written between two syncs, and
/// remembers the first failure.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) bytes: Arc<dyn StorageBackend>,
    gathered: Arc<Gathered>,
    pub(super) failure: Arc<OnceLock<io::ErrorKind>>,
}

impl Shared {
    pub(super) fn new(bytes: impl StorageBackend) -> Self {
        Self {
            bytes: Arc::new(bytes),
            gathered: Arc::default(),
            failure: Arc::default(),
        }
    }

    fn seen<T>(&self, result: Result<T, io::Error>) -> Result<T, io::Error> {
        if let Err(error) = &result {
            self.failure.get_or_init(|| error.kind());
        }
        result
    }
}

impl StorageBackend for Shared {
    fn len(&self) -> Result<u64, io::Error> {
        self.seen(self.bytes.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.seen(self.gathered.read(self.bytes.as_ref(), offset, out))
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let flushed = self.gathered.flush(self.bytes.as_ref());
        self.seen(flushed.and_then(|()| self.bytes.set_len(length)))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let flushed = self.gathered.flush(self.bytes.as_ref());
        self.seen(flushed.and_then(|()| self.bytes.sync_data()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.seen(self.gathered.write(self.bytes.as_ref(), offset, data))
    }

    fn close(&self) -> Result<(), io::Error> {
        self.bytes.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.bytes.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.bytes.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.bytes.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.bytes.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.bytes.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.bytes.query_lock_range(start, end)
    }
}

/// Bytes per piece that an overlay keeps.
const PIECE: u64 = 4096;

/// Bytes that are only read: what is written goes to memory. What recovery
/// writes on opening is little.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Arc<dyn StorageBackend>,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    length: u64,
    /// What can still be read below: less once it was cut off.
    below: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn new(below: Arc<dyn StorageBackend>) -> io::Result<Self> {
        let length = below.len()?;
        let above = Above {
            length,
            below: length,
            pieces: BTreeMap::new(),
        };
        Ok(Self {
            below,
            above: Mutex::new(above),
        })
    }

    /// The piece of a number as it is now.
    fn piece(&self, above: &Above, number: u64) -> io::Result<Vec<u8>> {
        if let Some(piece) = above.pieces.get(&number) {
            return Ok(piece.clone());
        }
        let mut piece = vec![0; PIECE as usize];
        let start = number * PIECE;
        let there = above.below.saturating_sub(start).min(PIECE) as usize;
        if let Some(out) = piece.get_mut(..there).filter(|out| !out.is_empty()) {
            self.below.read(start, out)?;
        }
        Ok(piece)
    }
}

/// The pieces that a range of bytes touches: number, start and length in it.
fn touched(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let number = at / PIECE;
        let next = end.min((number + 1) * PIECE);
        let part = (at < end).then(|| (number, (at % PIECE) as usize, (next - at) as usize));
        at = next;
        part
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        let above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(above.length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        if offset.saturating_add(out.len() as u64) > above.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (number, start, length) in touched(offset, rest.len()) {
            let piece = self.piece(&above, number)?;
            let (part, after) = rest.split_at_mut(length);
            if let Some(from) = piece.get(start..start + length) {
                part.copy_from_slice(from);
            }
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        if length < above.length {
            above.below = above.below.min(length);
            above.pieces.split_off(&length.div_ceil(PIECE));
            if let Some(piece) = above.pieces.get_mut(&(length / PIECE)) {
                piece.truncate((length % PIECE) as usize);
                piece.resize(PIECE as usize, 0);
            }
        }
        above.length = length;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = data;
        for (number, start, length) in touched(offset, data.len()) {
            let mut piece = self.piece(&above, number)?;
            let (part, after) = rest.split_at(length);
            if let Some(to) = piece.get_mut(start..start + length) {
                to.copy_from_slice(part);
            }
            above.pieces.insert(number, piece);
            rest = after;
        }
        above.length = above.length.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    #[test]
    fn an_overlay_is_read_as_if_it_had_been_written() {
        let below = Arc::new(InMemoryBackend::new());
        below.set_len(10_000).unwrap();
        below.write(0, &[1; 10_000]).unwrap();
        let overlay = Overlay::new(below.clone()).unwrap();
        let plain = InMemoryBackend::new();
        plain.set_len(10_000).unwrap();
        plain.write(0, &[1; 10_000]).unwrap();
        let mut random = 1_u64;
        for n in 0..2000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(n);
            let (offset, length) = (random >> 40, (random >> 20) % 9000);
            let both: [&dyn StorageBackend; 2] = [&overlay, &plain];
            if n % 7 == 0 {
                let length = length * 2;
                for bytes in both {
                    bytes.set_len(length).unwrap();
                }
            } else {
                let end = plain.len().unwrap();
                let offset = offset % end.max(1);
                let data = vec![n as u8; length.min(end - offset) as usize];
                for bytes in both {
                    bytes.write(offset, &data).unwrap();
                }
            }
            let length = plain.len().unwrap();
            assert_eq!(overlay.len().unwrap(), length);
            let read = |bytes: &dyn StorageBackend| {
                let mut out = vec![0; length as usize];
                bytes.read(0, &mut out).unwrap();
                out
            };
            assert!(read(&overlay) == read(&plain), "after {n} changes");
        }
        assert!(overlay.read(overlay.len().unwrap(), &mut [0]).is_err());
        let mut out = [0; 10_000];
        below.read(0, &mut out).unwrap();
        assert!(
            out.iter().all(|byte| *byte == 1),
            "what is below is as it was"
        );
    }
}
