//! What a realm that nobody used costs, in each of the ways there are
//! (`docs/decisions/0008`). For benches only.

use std::io;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rquickjs_sys as q;
use rquickjs_sys::JSValue;

use crate::natives::REALM;
use crate::realm::Realm;

/// A way to a realm, and what one call in it takes.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is done for each call.
    pub way: &'static str,
    /// Whether a call can see what the one before left.
    pub clean: bool,
    /// Each call's time.
    pub times: Vec<Duration>,
}

/// The function that each call makes from bytecode and calls.
const FUNCTION: &str = "exports = (a, b) => a + b";

/// Runs `calls` calls in each way, in a realm where `modules` are loaded.
/// Answers the size of the image as well. Ends the process's use of signals and
/// forks, so that nothing else should run in it.
///
/// # Errors
/// When a realm cannot be made.
pub fn realms(modules: &[&str], calls: usize) -> io::Result<(usize, Vec<Row>)> {
    let code = crate::compile("measured.js", FUNCTION).map_err(io::Error::other)?;
    let preload: Vec<String> = modules.iter().map(|name| format!("node:{name}")).collect();
    let mut realm = made(&preload)?;
    realm.arena.save();
    let image = realm.arena.image().len();
    let call = |realm: &Realm| {
        // SAFETY: the realm is live, on the thread that made it.
        unsafe { add(realm, &code.bytecode) }
    };
    let mut rows = Vec::new();
    rows.push(row("used again", false, calls, || call(&realm)));
    realm.reset();
    rows.push(row("image copied back", true, calls, || {
        call(&realm);
        realm.reset();
    }));
    realm.arena.watch_writes()?;
    rows.push(row(
        "pages that were written copied back",
        true,
        calls,
        || {
            call(&realm);
            realm.reset();
        },
    ));
    crate::written::stop();
    rows.push(row("process forked", true, calls.min(500), || {
        // SAFETY: this process has one thread; the child only runs the call.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                call(&realm);
                libc::_exit(0);
            }
            libc::waitpid(pid, ptr::null_mut(), 0);
        }
    }));
    let remapped = Remapped::new(&realm)?;
    rows.push(row("image mapped again", true, calls, || {
        call(&realm);
        remapped.reset();
    }));
    // As long as nothing else has been done with the process's memory.
    rows.push(row(
        "runtime, context and prelude made",
        true,
        calls.min(300),
        || {
            if let Ok(made) = made(&preload) {
                call(&made);
                made.arena.unmap();
            }
        },
    ));
    Ok((image, rows))
}

/// A realm from nothing, which natives find from now on.
fn made(preload: &[String]) -> io::Result<Box<Realm>> {
    let mut realm = Realm::new()?;
    REALM.store(&raw mut *realm, Ordering::Relaxed);
    realm.preload(preload, false).map_err(io::Error::other)?;
    Ok(realm)
}

fn row(way: &'static str, clean: bool, calls: usize, mut call: impl FnMut()) -> Row {
    // Warm.
    for _ in 0..calls / 10 {
        call();
    }
    let times = (0..calls).map(|_| {
        let start = Instant::now();
        call();
        start.elapsed()
    });
    Row {
        way,
        clean,
        times: times.collect(),
    }
}

unsafe fn add(realm: &Realm, code: &[u8]) {
    let ctx = realm.context;
    // SAFETY: as the caller promises; made values are released.
    unsafe {
        let factory = realm.evaluate(code);
        let mut arguments = [factory, crate::convert::int(0)];
        let function = q::JS_Call(ctx, realm.load, q::JS_UNDEFINED, 2, arguments.as_mut_ptr());
        let mut numbers: [JSValue; 2] = [crate::convert::int(1), crate::convert::int(2)];
        let sum = q::JS_Call(ctx, function, q::JS_UNDEFINED, 2, numbers.as_mut_ptr());
        debug_assert_eq!(q::JS_VALUE_GET_INT(sum), 3);
        q::JS_FreeValue(ctx, function);
        q::JS_FreeValue(ctx, factory);
    }
}

/// The image as a file of memory, mapped privately over the arena: what a call
/// changes is its own until it is dropped.
struct Remapped {
    base: *mut u8,
    dropped: usize,
}

impl Remapped {
    fn new(realm: &Realm) -> io::Result<Self> {
        let image = realm.arena.image();
        let length = image.len().next_multiple_of(64 << 10);
        let base = realm.arena.opaque().cast::<u8>();
        // SAFETY: the file is as long as what is mapped of it, and mapped over
        // the arena's own pages, whose content it has.
        unsafe {
            let file = libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC);
            let written = file >= 0
                && libc::ftruncate(file, length as _) == 0
                && libc::write(file, image.as_ptr().cast(), image.len()) == image.len() as isize;
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            if !written
                || libc::mmap(base.cast(), length, access, flags, file, 0) == libc::MAP_FAILED
            {
                return Err(io::Error::last_os_error());
            }
            libc::close(file);
        }
        Ok(Self {
            base,
            dropped: length + (64 << 10),
        })
    }

    fn reset(&self) {
        // SAFETY: the pages are read anew from the file, or as zeros.
        unsafe { libc::madvise(self.base.cast(), self.dropped, libc::MADV_DONTNEED) };
    }
}
