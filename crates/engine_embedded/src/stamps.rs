//! The timestamps that `$currentDate` sets, of which each is later than those before
//! it.

use std::sync::atomic::{AtomicU64, Ordering};

use bson::{DateTime, Timestamp};

/// The last one: its seconds, and its number in them.
#[derive(Debug, Default)]
pub(crate) struct Stamps(AtomicU64);

/// Those of a moment.
#[derive(Debug)]
pub(crate) struct At<'a> {
    stamps: &'a Stamps,
    now: DateTime,
}

impl Stamps {
    pub(crate) fn at(&self, now: DateTime) -> At<'_> {
        At { stamps: self, now }
    }
}

impl mql::update::Stamps for At<'_> {
    fn next(&self) -> Timestamp {
        let seconds = u32::try_from(self.now.timestamp_millis() / 1000).unwrap_or_default();
        let first = u64::from(seconds) << 32 | 1;
        let after = |last: u64| first.max(last.saturating_add(1));
        let last = &self.stamps.0;
        let before = last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(after(n)));
        let made = after(before.unwrap_or_else(|last| last));
        Timestamp {
            time: (made >> 32) as u32,
            increment: made as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use mql::update::Stamps as _;

    use super::*;

    #[test]
    fn each_is_later_than_those_before() {
        let stamps = Stamps::default();
        let now = DateTime::from_millis(5_999);
        let made = [
            stamps.at(now).next(),
            stamps.at(now).next(),
            stamps.at(DateTime::from_millis(4_000)).next(),
            stamps.at(DateTime::from_millis(6_000)).next(),
        ];
        let shown = made.map(|stamp| (stamp.time, stamp.increment));
        assert_eq!(shown, [(5, 1), (5, 2), (5, 3), (6, 1)]);
    }
}
