//! A disk in memory that loses power, fails and fills up.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use engine_embedded::Disk;

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;
/// What a disk's space is given out in.
const BLOCK: u64 = 4096;

/// Numbers that only look random.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ n >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Something done to a disk that no sync has made durable yet.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

type Watcher = Box<dyn FnMut(&[u8], &[Change]) + Send>;

/// Which call fails, counted from when it was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) at: usize,
    /// Whether all calls fail from then on.
    pub(crate) lasts: bool,
    pub(crate) kind: ErrorKind,
}

#[derive(Default)]
struct State {
    /// What reads see.
    now: Vec<u8>,
    /// What is there after a power loss for certain.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Called at each sync with what is durable and what is not yet.
    watcher: Option<Watcher>,
    failure: Option<Failure>,
    calls: usize,
    failed: bool,
    /// Bytes that fit, in blocks that were written to.
    size: Option<u64>,
    /// Whether the disk says how much is left.
    tells_room: bool,
    blocks: HashSet<u64>,
}

/// The disk; a clone is the same disk.
#[derive(Clone, Default)]
pub(crate) struct TestDisk(Arc<Mutex<State>>);

impl std::fmt::Debug for TestDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestDisk")
    }
}

impl TestDisk {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.with(|state| {
            state.blocks = (0..(bytes.len() as u64).div_ceil(BLOCK)).collect();
            state.durable.clone_from(&bytes);
            state.now = bytes;
        });
        disk
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a process that starts now would read.
    pub(crate) fn now(&self) -> Vec<u8> {
        self.with(|state| state.now.clone())
    }

    /// What a power loss leaves when nothing unsynced got through.
    pub(crate) fn durable(&self) -> Vec<u8> {
        self.with(|state| state.durable.clone())
    }

    pub(crate) fn watch(&self, watcher: impl FnMut(&[u8], &[Change]) + Send + 'static) {
        self.with(|state| state.watcher = Some(Box::new(watcher)));
    }

    pub(crate) fn forget_watcher(&self) {
        self.with(|state| state.watcher = None);
    }

    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.with(|state| {
            state.failure = failure;
            state.calls = 0;
            state.failed = false;
        });
    }

    /// Whether the call that was to fail came.
    pub(crate) fn has_failed(&self) -> bool {
        self.with(|state| state.failed)
    }

    pub(crate) fn resize(&self, size: Option<u64>, tells_room: bool) {
        self.with(|state| {
            state.size = size;
            state.tells_room = tells_room;
        });
    }

    fn call<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.with(|state| {
            let n = state.calls;
            state.calls += 1;
            if let Some(failure) = state.failure
                && (n == failure.at || failure.lasts && n > failure.at)
            {
                state.failed = true;
                return Err(failure.kind.into());
            }
            act(state)
        })
    }
}

fn set_length(bytes: &mut Vec<u8>, length: u64) {
    bytes.resize(length as usize, 0);
}

fn write_to(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

impl Disk for TestDisk {
    fn len(&self) -> io::Result<u64> {
        self.call(|state| Ok(state.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.call(|state| {
            let start = offset as usize;
            let found = state.now.get(start..start + out.len());
            out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.call(|state| {
            // Zeros at the end take no space until they are written to.
            state.blocks.retain(|block| block * BLOCK < length);
            set_length(&mut state.now, length);
            state.unsynced.push(Change::Length(length));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.call(|state| {
            if let Some(watcher) = &mut state.watcher {
                watcher(&state.durable, &state.unsynced);
            }
            for change in state.unsynced.drain(..) {
                match change {
                    Change::Write(offset, data) => write_to(&mut state.durable, offset, &data),
                    Change::Length(length) => set_length(&mut state.durable, length),
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.call(|state| {
            let end = offset + data.len() as u64;
            let mut blocks = state.blocks.clone();
            blocks.extend(offset / BLOCK..end.div_ceil(BLOCK));
            if blocks.len() > state.blocks.len()
                && state
                    .size
                    .is_some_and(|size| blocks.len() as u64 * BLOCK > size)
            {
                return Err(ErrorKind::StorageFull.into());
            }
            state.blocks = blocks;
            write_to(&mut state.now, offset, data);
            // A disk is given the pages of a long write one by one.
            let (mut at, mut rest) = (offset, data);
            while !rest.is_empty() {
                let length = rest.len().min((BLOCK - at % BLOCK) as usize);
                let (page, after) = rest.split_at(length);
                state.unsynced.push(Change::Write(at, page.to_vec()));
                (at, rest) = (at + length as u64, after);
            }
            Ok(())
        })
    }

    fn room(&self) -> Option<u64> {
        self.with(|state| {
            let size = state.size.filter(|_| state.tells_room)?;
            Some(size.saturating_sub(state.blocks.len() as u64 * BLOCK))
        })
    }
}

/// What a power loss may leave of changes: some are forgotten, some come
/// before others that were made earlier, some are torn, the file is too short.
pub(crate) fn image(durable: &[u8], unsynced: &[Change], random: &mut Random) -> Vec<u8> {
    let mut bytes = durable.to_vec();
    let mut changes = unsynced.to_vec();
    let lost = [0, 10, 50, 90, 100][random.below(5) as usize];
    if random.percent(50) {
        for at in (1..changes.len()).rev() {
            changes.swap(at, random.below(at as u64 + 1) as usize);
        }
    } else if random.percent(30) {
        // Everything up to some moment.
        changes.truncate(random.below(changes.len() as u64 + 1) as usize);
    }
    let torn = [0, 20, 100][random.below(3) as usize];
    for change in changes {
        if random.percent(lost) {
            continue;
        }
        match change {
            Change::Length(length) => set_length(&mut bytes, length),
            Change::Write(offset, data) if random.percent(torn) => {
                for (at, sector) in data.chunks(SECTOR).enumerate() {
                    if random.percent(50) {
                        write_to(&mut bytes, offset + (at * SECTOR) as u64, sector);
                    }
                }
            }
            Change::Write(offset, data) => write_to(&mut bytes, offset, &data),
        }
    }
    if random.percent(10) && bytes.len() > durable.len() {
        let more = (bytes.len() - durable.len()) as u64;
        bytes.truncate(durable.len() + random.below(more) as usize);
    }
    bytes
}
