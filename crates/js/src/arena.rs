//! The memory of a realm: one private mapping with an allocator whose state
//! lies in the mapping itself, so that copying a saved prefix back resets the
//! realm bit for bit.
//!
//! A worker process has one arena and one thread that uses it.

use std::ops::Range;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, c_void};
use rquickjs_sys::{JSMallocFunctions, size_t};

use crate::written;

/// Address space of the mapping; pages cost nothing until they are touched.
const MAPPING_BYTES: usize = 4 << 30;
/// Each block begins with its class and size.
const HEADER_BYTES: usize = 16;
/// Size classes: 16-byte steps to 512, then four to each power of two.
const CLASSES: usize = 128;
/// What a call may leave dirty past the image before it is given back.
const KEEP_DIRTY_BYTES: usize = 8 << 20;
/// Resets to one image in a row before it is watched what calls write of it:
/// whose workers change images all the time gains nothing.
const WATCHED_AFTER: u32 = 16;
/// What is given back to the system at once.
const GIVEN_BACK_BYTES: usize = 256 << 10;
/// A page, or a multiple of the machine's.
const PAGE_BYTES: usize = 64 << 10;
/// Freed blocks from this size on give their pages back at once.
const LARGE_BYTES: usize = 1 << 20;
/// What changes are looked for and kept in.
const BLOCK_BYTES: usize = 64;
/// What a call that is out of memory gets, so that its error can be told.
const HEADROOM_BYTES: usize = 4 << 20;

/// Set when the time is up for good: every allocation is refused.
pub(crate) static REFUSE: AtomicBool = AtomicBool::new(false);
/// Set when an allocation went over the memory limit.
pub(crate) static OVER_MEMORY: AtomicBool = AtomicBool::new(false);

/// The allocator's state, at the beginning of the mapping.
#[repr(C)]
struct State {
    bump: usize,
    used: usize,
    peak: usize,
    limit: usize,
    /// Bytes of free blocks whose pages were given back.
    returned: usize,
    /// The most that `bump - returned` may become: freed blocks of one class
    /// do not serve another, so held bytes alone would not bound the pages.
    extent: usize,
    free: [*mut u8; CLASSES],
}

#[repr(C)]
struct Header {
    class: usize,
    size: usize,
}

/// The mapping and the saved image of its used prefix.
pub(crate) struct Arena {
    base: *mut u8,
    /// What a reset goes back to.
    image: Rc<[u8]>,
    /// The image without modules.
    first: Rc<[u8]>,
    /// Whether writes may be watched, and resets to the same image in a row.
    may_watch: bool,
    resets: u32,
}

impl Arena {
    /// Maps an empty arena.
    pub(crate) fn new() -> std::io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                MAPPING_BYTES,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let state = State {
            bump: size_of::<State>().next_multiple_of(HEADER_BYTES),
            used: 0,
            peak: 0,
            limit: MAPPING_BYTES,
            returned: 0,
            extent: MAPPING_BYTES,
            free: [ptr::null_mut(); CLASSES],
        };
        // SAFETY: the mapping is larger than the state and aligned to a page.
        unsafe { base.cast::<State>().write(state) };
        Ok(Self {
            base: base.cast(),
            image: Rc::from([]),
            first: Rc::from([]),
            may_watch: false,
            resets: 0,
        })
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: the state lies at the beginning of the mapping, which this
        // value owns; the engine touches it only inside its own calls.
        unsafe { &mut *self.base.cast::<State>() }
    }

    /// What the engine gets as its allocator's opaque pointer.
    pub(crate) fn opaque(&self) -> *mut c_void {
        self.base.cast()
    }

    /// Watches from now on which pages calls write, and copies only these back.
    /// For the one arena of a process whose calls follow each other.
    ///
    /// # Errors
    /// When that cannot be.
    pub(crate) fn watch_writes(&mut self) -> std::io::Result<()> {
        written::install()?;
        self.may_watch = true;
        self.resets = 0;
        Ok(())
    }

    /// Saves the present content as what [`Arena::reset`] goes back to.
    pub(crate) fn save(&mut self) {
        self.first = self.content();
        self.image = self.first.clone();
    }

    /// The present content.
    pub(crate) fn content(&mut self) -> Rc<[u8]> {
        let length = self.state().bump;
        // SAFETY: everything below the bump pointer is mapped.
        Rc::from(unsafe { std::slice::from_raw_parts(self.base, length) })
    }

    /// Goes to another image, or to the first one.
    pub(crate) fn use_image(&mut self, image: Option<Rc<[u8]>>) {
        let image = image.unwrap_or_else(|| self.first.clone());
        if !Rc::ptr_eq(&image, &self.image) {
            if self.is_watched() {
                written::stop();
            }
            self.resets = 0;
            self.image = image;
            self.reset();
        }
    }

    /// The saved image.
    pub(crate) fn image(&self) -> &[u8] {
        &self.image
    }

    /// Gives the mapping back; nothing of it may be used any more.
    #[cfg(target_os = "linux")]
    pub(crate) fn unmap(self) {
        // SAFETY: the mapping is this value's own.
        unsafe { libc::munmap(self.base.cast(), MAPPING_BYTES) };
    }

    /// Goes back to the saved image.
    pub(crate) fn reset(&mut self) {
        let dirty = self.state().bump.saturating_sub(self.image.len());
        let (image, base) = (&self.image, self.base);
        // SAFETY: the image was copied from here, so the mapping is as long.
        let copy = |part: Range<usize>| unsafe {
            let from = image[part.clone()].as_ptr();
            ptr::copy_nonoverlapping(from, base.add(part.start), part.len());
        };
        if self.is_watched() {
            written::written(image.len(), copy);
        } else {
            copy(0..image.len());
            self.resets += 1;
            if self.may_watch && self.resets == WATCHED_AFTER {
                written::watch(self.base, self.image.len());
            }
        }
        if dirty > KEEP_DIRTY_BYTES {
            self.empty_behind_image(dirty);
        }
        REFUSE.store(false, Ordering::Relaxed);
        OVER_MEMORY.store(false, Ordering::Relaxed);
    }

    fn is_watched(&self) -> bool {
        self.may_watch && written::is_on()
    }

    /// Gives back whole pages of as many bytes behind the image: what is read of
    /// them afterwards is zero.
    fn empty_behind_image(&self, bytes: usize) {
        let start = self.image.len().next_multiple_of(PAGE_BYTES);
        // A call that was taken over may have written any length to the arena.
        let bytes = bytes.min(MAPPING_BYTES - start);
        // SAFETY: the range is page-aligned and inside the mapping; nothing of
        // the image lies in it.
        unsafe { give_back(self.base.add(start), bytes) };
    }

    /// What differs from the image, as bytes that [`Arena::apply`] understands;
    /// `None` when it is more than `most`.
    pub(crate) fn changes(&mut self, most: usize) -> Option<Vec<u8>> {
        let state = self.state();
        let (bump, held) = (state.bump, state.bump - state.returned);
        if held.saturating_sub(self.image.len()) > most {
            return None;
        }
        let length = bump.next_multiple_of(BLOCK_BYTES);
        // SAFETY: everything below the bump pointer, and the rest of its page,
        // is mapped.
        let content = unsafe { std::slice::from_raw_parts(self.base, length) };
        let mut out = (bump as u64).to_le_bytes().to_vec();
        let mut run: Option<usize> = None;
        let blocks = content.chunks_exact(BLOCK_BYTES);
        for (index, block) in blocks.enumerate() {
            let at = index * BLOCK_BYTES;
            let same = match self.image.get(at..at + BLOCK_BYTES) {
                Some(image) => block == image,
                None if at < self.image.len() => false,
                None => block == [0; BLOCK_BYTES],
            };
            match (same, run) {
                (true, _) => run = None,
                (false, Some(head)) => {
                    let count = u32::from_le_bytes(out[head..head + 4].try_into().ok()?) + 1;
                    out[head..head + 4].copy_from_slice(&count.to_le_bytes());
                    out.extend_from_slice(block);
                }
                (false, None) => {
                    out.extend_from_slice(&(index as u32).to_le_bytes());
                    run = Some(out.len());
                    out.extend_from_slice(&1u32.to_le_bytes());
                    out.extend_from_slice(block);
                }
            }
            if out.len() > most {
                return None;
            }
        }
        Some(out)
    }

    /// Applies changes to the image, which is in place.
    ///
    /// # Errors
    /// When the bytes are none of [`Arena::changes`].
    pub(crate) fn apply(&mut self, changes: &[u8]) -> std::io::Result<()> {
        let broken = || std::io::Error::other("changes that are none");
        let bump = length(changes).ok_or_else(broken)?;
        let mut rest = &changes[8..];
        if bump > MAPPING_BYTES || bump < self.image.len() {
            return Err(broken());
        }
        let length = bump.next_multiple_of(BLOCK_BYTES);
        // What earlier calls left behind the image is not to be seen. Pages that
        // the changes say nothing of are not to be there either: it may be all of
        // the mapping.
        let mut behind = length - self.image.len();
        if behind > KEEP_DIRTY_BYTES {
            self.empty_behind_image(behind);
            behind = self.image.len().next_multiple_of(PAGE_BYTES) - self.image.len();
        }
        // SAFETY: the range is inside the mapping.
        unsafe { ptr::write_bytes(self.base.add(self.image.len()), 0, behind) };
        while let Some((head, body)) = rest.split_first_chunk::<8>() {
            let word = |at: usize| head.get(at..at + 4).and_then(|word| word.try_into().ok());
            let index = u32::from_le_bytes(word(0).ok_or_else(broken)?) as usize;
            let count = u32::from_le_bytes(word(4).ok_or_else(broken)?) as usize;
            let (at, bytes) = (index * BLOCK_BYTES, count * BLOCK_BYTES);
            if at + bytes > length || body.len() < bytes {
                return Err(broken());
            }
            let (blocks, after) = body.split_at(bytes);
            // SAFETY: the range is inside of what the changes are about.
            unsafe { ptr::copy_nonoverlapping(blocks.as_ptr(), self.base.add(at), bytes) };
            rest = after;
        }
        // What is copied and emptied from now on goes by these.
        let state = self.state();
        if rest.is_empty() && state.bump == bump && state.returned <= bump {
            Ok(())
        } else {
            Err(broken())
        }
    }

    /// Limits what is allocated from now on, on top of the image.
    pub(crate) fn limit(&mut self, bytes: usize) {
        let state = self.state();
        state.limit = state.used.saturating_add(bytes);
        state.extent = state.bump.saturating_add(bytes.saturating_mul(2));
        state.peak = state.used;
    }

    /// The most bytes held since [`Arena::limit`], the image's included.
    pub(crate) fn peak(&mut self) -> usize {
        self.state().peak
    }

    /// Makes a little room, so that the engine can build the error of a call.
    pub(crate) fn headroom(&mut self) {
        let state = self.state();
        state.limit = state.limit.max(state.used + HEADROOM_BYTES);
        let held = state.bump - state.returned;
        state.extent = state.extent.max(held + HEADROOM_BYTES);
    }

    /// Pages that the call holds at most, beside the image's.
    #[cfg(test)]
    fn held(&mut self) -> usize {
        let state = self.state();
        state.bump - state.returned
    }
}

/// How long the content is that [`Arena::changes`] are about.
pub(crate) fn length(changes: &[u8]) -> Option<usize> {
    let (bump, _) = changes.split_first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bump) as usize)
}

/// The allocator as the engine calls it.
pub(crate) static FUNCTIONS: JSMallocFunctions = JSMallocFunctions {
    js_calloc: Some(calloc),
    js_malloc: Some(malloc),
    js_free: Some(free),
    js_realloc: Some(realloc),
    js_malloc_usable_size: Some(usable_size),
};

/// The class of a size, and the size that its blocks have.
fn class(size: usize) -> (usize, usize) {
    if size <= 512 {
        let class = size.max(1).div_ceil(16);
        return (class - 1, class * 16);
    }
    // Four steps to each power of two.
    let power = (usize::BITS - 1 - (size - 1).leading_zeros()) as usize;
    let step = 1 << (power - 2);
    let index = (size - (1 << power)).div_ceil(step);
    (
        32 + (power - 9) * 4 + index - 1,
        (1 << power) + index * step,
    )
}

unsafe extern "C" fn malloc(opaque: *mut c_void, size: size_t) -> *mut c_void {
    let state = opaque.cast::<State>();
    let size = size as usize;
    if REFUSE.load(Ordering::Relaxed) {
        return ptr::null_mut();
    }
    if size > MAPPING_BYTES / 4 {
        OVER_MEMORY.store(true, Ordering::Relaxed);
        return ptr::null_mut();
    }
    let (class, size) = class(size);
    // SAFETY: the opaque pointer is the arena's state; blocks on a free list
    // were handed out by this function and hold the next one's address; fresh
    // blocks are taken below the end of the mapping.
    unsafe {
        let total = size + HEADER_BYTES;
        if (*state).used + total > (*state).limit {
            OVER_MEMORY.store(true, Ordering::Relaxed);
            return ptr::null_mut();
        }
        let recycled = (*state).free[class];
        let block = if recycled.is_null() {
            let bump = (*state).bump + total;
            if bump > MAPPING_BYTES || bump - (*state).returned > (*state).extent {
                OVER_MEMORY.store(true, Ordering::Relaxed);
                return ptr::null_mut();
            }
            let block = opaque.cast::<u8>().add((*state).bump);
            (*state).bump += total;
            block
        } else {
            (*state).free[class] = recycled.add(HEADER_BYTES).cast::<*mut u8>().read();
            (*state).returned -= pages_of(recycled, total).1;
            recycled
        };
        block.cast::<Header>().write(Header { class, size });
        (*state).used += total;
        (*state).peak = (*state).peak.max((*state).used);
        block.add(HEADER_BYTES).cast()
    }
}

/// The whole pages of a large block behind its first, which holds the header
/// and the link of the free list; none of a small one.
fn pages_of(block: *mut u8, total: usize) -> (*mut u8, usize) {
    if total < LARGE_BYTES {
        return (block, 0);
    }
    let address = block as usize;
    let start = (address + 2 * HEADER_BYTES).next_multiple_of(PAGE_BYTES);
    let end = (address + total) / PAGE_BYTES * PAGE_BYTES;
    (block.wrapping_add(start - address), end - start)
}

unsafe extern "C" fn calloc(opaque: *mut c_void, count: size_t, size: size_t) -> *mut c_void {
    let Some(total) = count.checked_mul(size) else {
        return ptr::null_mut();
    };
    // SAFETY: as for `malloc`; a block is at least as long as was asked for.
    unsafe {
        let block = malloc(opaque, total);
        if !block.is_null() {
            ptr::write_bytes(block.cast::<u8>(), 0, total as usize);
        }
        block
    }
}

unsafe extern "C" fn free(opaque: *mut c_void, pointer: *mut c_void) {
    if pointer.is_null() {
        return;
    }
    let state = opaque.cast::<State>();
    // SAFETY: the pointer came from `malloc`, so its header lies before it.
    unsafe {
        let block = pointer.cast::<u8>().sub(HEADER_BYTES);
        let Header { class, size } = block.cast::<Header>().read();
        (*state).used -= size + HEADER_BYTES;
        let (start, length) = pages_of(block, size + HEADER_BYTES);
        if length > 0 {
            written::note(start, length);
            give_back(start, length);
            (*state).returned += length;
        }
        pointer.cast::<*mut u8>().write((*state).free[class]);
        (*state).free[class] = block;
    }
}

/// Gives pages of the mapping back to the system: they read as zeros. In parts,
/// so that a worker which stands back steps aside meanwhile.
unsafe fn give_back(start: *mut u8, bytes: usize) {
    for part in (0..bytes).step_by(GIVEN_BACK_BYTES) {
        let bytes = GIVEN_BACK_BYTES.min(bytes - part);
        // SAFETY: as the caller promises.
        unsafe { libc::madvise(start.add(part).cast(), bytes, libc::MADV_DONTNEED) };
    }
}

unsafe extern "C" fn realloc(
    opaque: *mut c_void,
    pointer: *mut c_void,
    size: size_t,
) -> *mut c_void {
    if pointer.is_null() {
        // SAFETY: as for `malloc`.
        return unsafe { malloc(opaque, size) };
    }
    if size == 0 {
        // SAFETY: as for `free`.
        unsafe { free(opaque, pointer) };
        return ptr::null_mut();
    }
    // SAFETY: the pointer came from `malloc`; both blocks are at least as long
    // as what is copied.
    unsafe {
        let old = usable_size(pointer) as usize;
        let wanted = size as usize;
        if wanted <= old && old - wanted <= old / 2 {
            return pointer;
        }
        let new = malloc(opaque, size);
        if !new.is_null() {
            ptr::copy_nonoverlapping(pointer.cast::<u8>(), new.cast::<u8>(), old.min(wanted));
            free(opaque, pointer);
        }
        new
    }
}

unsafe extern "C" fn usable_size(pointer: *const c_void) -> size_t {
    if pointer.is_null() {
        return 0;
    }
    // SAFETY: the pointer came from `malloc`, so its header lies before it.
    unsafe { (*pointer.cast::<u8>().sub(HEADER_BYTES).cast::<Header>()).size as size_t }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::{
        Arena, CLASSES, LARGE_BYTES, MAPPING_BYTES, PAGE_BYTES, WATCHED_AFTER, class, free, malloc,
        written,
    };

    #[test]
    fn freed_blocks_of_other_sizes_do_not_add_up() {
        const LIMIT: usize = 8 << 20;
        let mut arena = Arena::new().unwrap();
        arena.save();
        let before = arena.held();
        arena.limit(LIMIT);
        let opaque = arena.opaque();
        // Fills the limit with blocks of one size, frees them, takes the next.
        for size in [
            64,
            600,
            5000,
            40_000,
            300_000,
            1 << 20,
            2 << 20,
            5 << 20,
            64,
        ] {
            let mut blocks = Vec::new();
            loop {
                // SAFETY: the opaque pointer is this arena's.
                let block = unsafe { malloc(opaque, size) };
                if block.is_null() {
                    break;
                }
                blocks.push(block);
            }
            for block in blocks {
                // SAFETY: it came from this arena and is freed once.
                unsafe { free(opaque, block) };
            }
            assert!(arena.held() - before <= 2 * LIMIT, "{size}");
        }
        arena.reset();
        assert_eq!(arena.held(), before);
    }

    #[test]
    fn what_is_written_is_copied_back_however_it_is_written() {
        let mut arena = Arena::new().unwrap();
        let opaque = arena.opaque();
        // SAFETY: the opaque pointer is this arena's.
        let take = |size: usize| unsafe { malloc(opaque, size as u64) }.cast::<u8>();
        // SAFETY: the block is this arena's, and freed once.
        let give_back = |block: *mut u8| unsafe { free(opaque, block.cast()) };
        // SAFETY: the block is as long as is written.
        let fill = |block: *mut u8, bytes: usize, with: u8| unsafe {
            ptr::write_bytes(block, with, bytes);
        };
        let sizes = [100, 40_000, 2 * LARGE_BYTES, 5000, 300_000, 70];
        let blocks = sizes.map(take);
        for (block, size) in blocks.into_iter().zip(sizes) {
            fill(block, size, 1);
        }
        arena.save();
        let first = arena.first.clone();
        arena.watch_writes().unwrap();
        let reset = |arena: &mut Arena, to: &[u8]| {
            arena.reset();
            assert!(arena.content()[..] == to[..]);
        };
        for _ in 0..2 {
            for _ in 0..=WATCHED_AFTER {
                reset(&mut arena, &first);
            }
            assert!(arena.is_watched());
            // Bytes here and there, whole blocks, blocks that are given back
            // with their pages, blocks behind the image.
            for way in 0..20 {
                let of = way % blocks.len();
                fill(blocks[of], 1 + way * 3, 2);
                fill(blocks[4].wrapping_add(way * 10_000), 1, 3);
                if way % 3 == 2 {
                    give_back(blocks[2]);
                }
                fill(take(5 * LARGE_BYTES), LARGE_BYTES, 4);
                reset(&mut arena, &first);
                if way == 1 {
                    let mut copied = 0;
                    written::written(first.len(), |part| copied += part.len());
                    assert!(copied < 20 * PAGE_BYTES, "{copied}");
                }
            }
            // Another image, which differs where nothing was written.
            fill(blocks[4], 300_000, 5);
            let other = arena.content();
            arena.use_image(Some(other.clone()));
            assert!(!arena.is_watched());
            fill(blocks[1], 40_000, 6);
            reset(&mut arena, &other);
            arena.use_image(None);
            assert!(arena.content()[..] == first[..]);
        }
    }

    #[test]
    fn classes_cover_every_size_and_do_not_waste() {
        let mut last = (0, 0);
        for size in (1..4096).chain((12..30).flat_map(|p| [(1 << p) - 1, 1 << p, (1 << p) + 1])) {
            let (index, rounded) = class(size);
            assert!(rounded >= size && index < CLASSES, "{size}");
            assert!(
                size <= 512 || rounded <= size + size / 4 + 1,
                "{size} → {rounded}"
            );
            assert!(rounded % 16 == 0, "{size} → {rounded}");
            if size > last.1 {
                assert!(index > last.0 || last.1 == 0, "{size}");
            }
            last = (index, rounded);
        }
        assert!(class(MAPPING_BYTES / 4).0 < CLASSES);
    }
}
