//! The worker's timer: it ends calls whose time is up, and makes a worker that
//! stands back step aside often. The system lets a process of any rank have
//! what it has not had for a while, until its next tick: a thread that wakes
//! meanwhile would wait for milliseconds. Who yields gives that claim up.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::arena::REFUSE;
use crate::realm::EXPIRED;

/// From a call's end to the refusal of every allocation, and from ring to ring
/// after it.
const REFUSE_AFTER: u64 = 100_000_000;
/// How long a worker that stands back computes between two yields.
const ASIDE_AFTER: u64 = 60_000;
/// One of so many parts of the time is a worker's that stands back, whatever
/// others want.
const SHARE: u64 = 16;
/// How far that is looked back.
const LOOK_BACK: u64 = 200_000_000;

/// When the running call came, in nanoseconds of the machine's clock.
static BEGAN: AtomicU64 = AtomicU64::new(0);
/// When the running call's time is up, in nanoseconds of the machine's clock;
/// zero when none runs.
static DEADLINE: AtomicU64 = AtomicU64::new(0);
/// When the timer rings next.
static RINGS: AtomicU64 = AtomicU64::new(NEVER);
/// What is later than any time.
const NEVER: u64 = u64::MAX;
/// Whether the worker stands back behind all other processes.
static STANDS_BACK: AtomicBool = AtomicBool::new(false);
/// What it had computed when it yielded last, in nanoseconds.
static YIELDED: AtomicU64 = AtomicU64::new(0);
/// When its share was begun to be looked at, and what it had computed then.
static LOOKED_AT: AtomicU64 = AtomicU64::new(0);
static COMPUTED_THEN: AtomicU64 = AtomicU64::new(0);
/// Whether the running call is one that moves from worker to worker.
static MOVES: AtomicBool = AtomicBool::new(false);
/// Whether it waits for the server.
static WAITS: AtomicBool = AtomicBool::new(false);

/// Tells a worker that it stands back from now on. Who does not know it ignores
/// it.
pub(crate) const STAND_BACK: rustix::process::Signal = rustix::process::Signal::URG;

/// Installs what the timer and the server ring.
pub(crate) fn handle_signals() -> io::Result<()> {
    handle(libc::SIGALRM, rang)?;
    handle(STAND_BACK.as_raw(), stands_back)
}

/// Installs a handler, which may only do what is safe in one.
pub(crate) fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    install(signal, handler as *const (), 0)
}

/// The same with flags, which tell what the handler takes.
pub(crate) fn install(
    signal: libc::c_int,
    handler: *const (),
    flags: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer is to a live value.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = flags;
        // One at a time.
        libc::sigfillset(&raw mut action.sa_mask);
        // Without SA_RESTART: a blocked read has to wake up.
        if libc::sigaction(signal, &raw const action, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Begins a call's time, in milliseconds. The timer stays set from call to call,
/// since setting it costs more than a short call: only an earlier end needs it
/// anew.
pub(crate) fn begin(ms: u64) {
    let now = now();
    BEGAN.store(now, Ordering::Relaxed);
    let deadline = now.saturating_add(ms.saturating_mul(1_000_000));
    DEADLINE.store(deadline, Ordering::Relaxed);
    ring_in_time(now);
}

/// Ends it: what rings from now on is nobody's.
pub(crate) fn end() {
    DEADLINE.store(0, Ordering::Relaxed);
    MOVES.store(false, Ordering::Relaxed);
}

/// A call moves, which takes longer than most calls: others may go first.
pub(crate) fn moves() {
    MOVES.store(true, Ordering::Relaxed);
    ring_in_time(now());
}

/// Whether this worker steps aside for others while it computes.
fn steps_aside() -> bool {
    STANDS_BACK.load(Ordering::Relaxed) || MOVES.load(Ordering::Relaxed)
}

/// For how long the running call has been here, in nanoseconds.
pub(crate) fn stayed() -> u64 {
    now().saturating_sub(BEGAN.load(Ordering::Relaxed))
}

/// Waits for the server, with nothing to step aside from.
pub(crate) fn wait<T>(wait: impl FnOnce() -> T) -> T {
    if !steps_aside() {
        return wait();
    }
    WAITS.store(true, Ordering::Relaxed);
    ring(now());
    let waited = wait();
    WAITS.store(false, Ordering::Relaxed);
    let now = now();
    look_from(now, clock(libc::CLOCK_PROCESS_CPUTIME_ID));
    ring_in_time(now);
    waited
}

/// Nanoseconds of a clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

fn clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

extern "C" fn stands_back(_: libc::c_int) {
    STANDS_BACK.store(true, Ordering::Relaxed);
    ring_in_time(now());
}

extern "C" fn rang(_: libc::c_int) {
    let (now, deadline) = (now(), DEADLINE.load(Ordering::Relaxed));
    if deadline != 0 && now >= deadline {
        EXPIRED.store(true, Ordering::Relaxed);
        if now >= deadline + REFUSE_AFTER {
            REFUSE.store(true, Ordering::Relaxed);
        }
    }
    ring(now);
    if steps_aside() {
        step_aside(now);
    }
}

/// Yields the processor, unless the timer rang while others had it, or they had
/// it for too long: then the claim is of use.
fn step_aside(now: u64) {
    let computed = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    if computed.saturating_sub(YIELDED.load(Ordering::Relaxed)) <= ASIDE_AFTER / 2 {
        return;
    }
    YIELDED.store(computed, Ordering::Relaxed);
    let passed = now.saturating_sub(LOOKED_AT.load(Ordering::Relaxed));
    let since = computed.saturating_sub(COMPUTED_THEN.load(Ordering::Relaxed));
    if passed > LOOK_BACK {
        look_from(now, computed);
    }
    if since.saturating_mul(SHARE) >= passed {
        // SAFETY: without arguments; it may be called in a handler.
        unsafe { libc::sched_yield() };
    }
}

/// Begins to look at what share of the time it has.
fn look_from(now: u64, computed: u64) {
    LOOKED_AT.store(now, Ordering::Relaxed);
    COMPUTED_THEN.store(computed, Ordering::Relaxed);
}

/// Sets the timer unless it rings early enough.
fn ring_in_time(now: u64) {
    let rings = RINGS.load(Ordering::Relaxed);
    if rings > next(now) {
        ring(now);
    }
}

/// Sets the timer to what is next, or to nothing.
fn ring(now: u64) {
    loop {
        let next = next(now);
        RINGS.store(next, Ordering::Relaxed);
        let left = match next {
            NEVER => Duration::ZERO,
            next => Duration::from_nanos((next - now).max(1000)),
        };
        set(left);
        // Unless a handler set it to something else in between.
        if RINGS.load(Ordering::Relaxed) == next {
            return;
        }
    }
}

/// When the timer is to ring next.
fn next(now: u64) -> u64 {
    let steps_aside = steps_aside() && !WAITS.load(Ordering::Relaxed);
    next_of(now, DEADLINE.load(Ordering::Relaxed), steps_aside)
}

fn next_of(now: u64, deadline: u64, steps_aside: bool) -> u64 {
    let end = match deadline {
        0 => NEVER,
        deadline if now < deadline => deadline,
        // Again and again, for a read that had not begun to wait.
        _ => now + REFUSE_AFTER,
    };
    if steps_aside {
        end.min(now + ASIDE_AFTER)
    } else {
        end
    }
}

fn set(left: Duration) {
    let timer = libc::itimerval {
        it_value: libc::timeval {
            tv_sec: left.as_secs() as _,
            tv_usec: i64::from(left.subsec_micros()) as _,
        },
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
    };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::{ASIDE_AFTER, NEVER, REFUSE_AFTER, next_of};

    #[test]
    fn the_timer_rings_at_the_end_after_it_and_often_for_who_stands_back() {
        let now = 5_000_000_000;
        assert_eq!(next_of(now, 0, false), NEVER);
        assert_eq!(next_of(now, now + 7, false), now + 7);
        assert_eq!(next_of(now, now, false), now + REFUSE_AFTER);
        assert_eq!(next_of(now, 0, true), now + ASIDE_AFTER);
        assert_eq!(next_of(now, now + 7, true), now + 7);
        assert_eq!(next_of(now, now + 7 * ASIDE_AFTER, true), now + ASIDE_AFTER);
        assert_eq!(next_of(now, now - 1, true), now + ASIDE_AFTER);
    }
}
