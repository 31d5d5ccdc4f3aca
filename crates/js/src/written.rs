//! Which pages of the image calls write: only these are copied back. The others
//! are read-only; the first write to one is a fault, which notes it and lets
//! the write go on.
//!
//! Of the process: one arena is watched at a time. System calls must not write
//! to it, which would fail instead.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use libc::{PROT_READ, PROT_WRITE};

use crate::alarm;

/// Pages that can be watched at most: an image of 128 MiB on most machines.
const PAGES_MAX: usize = 32 << 10;
const WORD: usize = u64::BITS as usize;

/// Where the watched pages begin.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// How many there are; zero when none are watched.
static PAGES: AtomicUsize = AtomicUsize::new(0);
/// Bytes of a page; zero until the handler is there.
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Those that were written, a bit for each.
static WRITTEN: [AtomicU64; PAGES_MAX / WORD] = [const { AtomicU64::new(0) }; PAGES_MAX / WORD];

/// Installs what notes writes.
pub(crate) fn install() -> io::Result<()> {
    // SAFETY: a constant argument.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).map_err(io::Error::other)?;
    // Which of them it is depends on the system.
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        alarm::install(signal, faulted as *const (), libc::SA_SIGINFO)?;
    }
    PAGE_BYTES.store(page, Ordering::Relaxed);
    Ok(())
}

/// Watches the whole pages of memory that begins a mapping, if that can be.
pub(crate) fn watch(base: *mut u8, bytes: usize) {
    let page = PAGE_BYTES.load(Ordering::Relaxed);
    let pages = bytes.checked_div(page).unwrap_or_default();
    if pages == 0 || pages > PAGES_MAX {
        return;
    }
    for word in &WRITTEN {
        word.store(0, Ordering::Relaxed);
    }
    BASE.store(base as usize, Ordering::Relaxed);
    PAGES.store(pages, Ordering::Relaxed);
    if !protect(0..pages, PROT_READ) {
        stop();
    }
}

/// Whether pages are watched.
pub(crate) fn is_on() -> bool {
    PAGES.load(Ordering::Relaxed) > 0
}

/// Watches no longer.
pub(crate) fn stop() {
    let pages = PAGES.swap(0, Ordering::Relaxed);
    if pages > 0 {
        protect(0..pages, PROT_READ | PROT_WRITE);
    }
}

/// Notes that memory is going to be written in a way that is no write of this
/// program's.
pub(crate) fn note(start: *const u8, bytes: usize) {
    let page = PAGE_BYTES.load(Ordering::Relaxed).max(1);
    let at = (start as usize).wrapping_sub(BASE.load(Ordering::Relaxed));
    let pages = at / page..(at.saturating_add(bytes)).div_ceil(page);
    let pages = pages.start..pages.end.min(PAGES.load(Ordering::Relaxed));
    if !pages.is_empty() {
        pages.clone().for_each(mark);
        protect(pages, PROT_READ | PROT_WRITE);
    }
}

/// The bytes of pages that were written since they are watched, by their places
/// in the memory, and the rest of it, which is not whole pages.
pub(crate) fn written(bytes: usize, mut each: impl FnMut(Range<usize>)) {
    let page = PAGE_BYTES.load(Ordering::Relaxed);
    let pages = PAGES.load(Ordering::Relaxed);
    let mut at = 0;
    while at < pages {
        let word = WRITTEN[at / WORD].load(Ordering::Relaxed) >> (at % WORD);
        if word == 0 {
            at = (at / WORD + 1) * WORD;
            continue;
        }
        let begin = at + word.trailing_zeros() as usize;
        at = begin;
        while at < pages && is_marked(at) {
            at += 1;
        }
        each(begin * page..at * page);
    }
    each(pages * page..bytes);
}

fn mark(page: usize) {
    WRITTEN[page / WORD].fetch_or(1 << (page % WORD), Ordering::Relaxed);
}

fn is_marked(page: usize) -> bool {
    WRITTEN[page / WORD].load(Ordering::Relaxed) >> (page % WORD) & 1 == 1
}

fn protect(pages: Range<usize>, protection: libc::c_int) -> bool {
    let page = PAGE_BYTES.load(Ordering::Relaxed);
    let start = BASE.load(Ordering::Relaxed) + pages.start * page;
    // SAFETY: the range lies in the mapping that is watched, which stays.
    unsafe { libc::mprotect(start as *mut _, pages.len() * page, protection) == 0 }
}

extern "C" fn faulted(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let page = PAGE_BYTES.load(Ordering::Relaxed);
    // SAFETY: the system passes what the signal is about.
    let address = unsafe { (*info).si_addr() } as usize;
    let at = address.wrapping_sub(BASE.load(Ordering::Relaxed)) / page;
    if at < PAGES.load(Ordering::Relaxed) && !is_marked(at) {
        mark(at);
        if protect(at..at + 1, PROT_READ | PROT_WRITE) {
            return;
        }
    }
    // Anything else ends the process, when it happens once more.
    // SAFETY: constant arguments.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
