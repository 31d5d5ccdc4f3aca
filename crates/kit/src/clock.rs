//! The time of day, and the time that has gone by, as values that tests can set.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Time since a moment of the clock's own, for how long something lasts: it
    /// never goes back, and nobody sets it.
    fn elapsed(&self) -> Duration;

    /// Whole seconds since the Unix epoch.
    fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The time as a BSON date.
    fn now(&self) -> bson::DateTime {
        bson::DateTime::from_millis(self.now_ms())
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one door to the system clock"
    )]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// A clock that moves only when a test says so.
#[derive(Debug)]
pub struct FakeClock {
    now_ms: AtomicI64,
    elapsed_ms: AtomicU64,
}

impl FakeClock {
    /// A clock that stands at `ms` milliseconds since the Unix epoch.
    pub fn at(ms: i64) -> Self {
        Self {
            now_ms: AtomicI64::new(ms),
            elapsed_ms: AtomicU64::new(0),
        }
    }

    /// Moves the clock forward, or with a negative number sets it back.
    pub fn advance_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
        let gone_by = u64::try_from(ms).unwrap_or(0);
        self.elapsed_ms.fetch_add(gone_by, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }
}
