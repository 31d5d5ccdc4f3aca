//! Numbers of what was used, in memory and at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Bson, Document};

/// Upper bounds of the histogram of answers' times, in milliseconds.
const BOUNDS_MS: [u64; 26] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000,
    5000, 10_000, 30_000, 60_000, 300_000,
];

/// What a request is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Logins, sessions, profiles, keys.
    Auth,
    /// Functions that SDKs call.
    Sdk,
    /// Actions of data sources that SDKs call.
    Mql,
    /// HTTPS endpoints, the Data API and webhooks.
    Endpoints,
    /// GraphQL.
    Graphql,
    /// Triggers.
    Triggers,
    /// Log forwarders.
    Forwarders,
    /// Device Sync.
    Sync,
}

impl Area {
    /// Every area.
    pub(super) const ALL: [Self; 8] = [
        Self::Auth,
        Self::Sdk,
        Self::Mql,
        Self::Endpoints,
        Self::Graphql,
        Self::Triggers,
        Self::Forwarders,
        Self::Sync,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Sdk => "sdk",
            Self::Mql => "mql",
            Self::Endpoints => "endpoints",
            Self::Graphql => "graphql",
            Self::Triggers => "triggers",
            Self::Forwarders => "forwarders",
            Self::Sync => "sync",
        }
    }
}

/// What was used of each area in some time.
pub(super) type Areas = BTreeMap<Area, Used>;

/// What was used of one area in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Requests that succeeded.
    pub(super) ok: u64,
    /// Requests that failed.
    pub(super) failed: u64,
    /// Bytes of answers.
    pub(super) out_bytes: u64,
    /// Microseconds of work.
    pub(super) compute_us: u64,
    /// Memory of the work, times its milliseconds.
    pub(super) memory_byte_ms: u64,
    /// Logins that succeeded.
    pub(super) logins: u64,
    /// Users who came, less those who went.
    pub(super) users: i64,
    /// Requests by how long they took.
    times: [u64; BOUNDS_MS.len() + 1],
}

impl Used {
    /// Counts an answered request.
    pub(super) fn request(&mut self, failed: bool, time: Duration) {
        if failed {
            self.failed += 1;
        } else {
            self.ok += 1;
        }
        let us = time.as_micros();
        let within = |bound: &u64| us <= u128::from(*bound) * 1000;
        let at = BOUNDS_MS.iter().position(within);
        if let Some(count) = self.times.get_mut(at.unwrap_or(BOUNDS_MS.len())) {
            *count += 1;
        }
    }

    /// Adds what was used at another time.
    pub(super) fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.out_bytes += other.out_bytes;
        self.compute_us += other.compute_us;
        self.memory_byte_ms += other.memory_byte_ms;
        self.logins += other.logins;
        self.users += other.users;
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            *mine += theirs;
        }
    }

    /// The time within which 95 of 100 requests were answered, in milliseconds;
    /// 0 without requests. Within a bucket of the histogram it is a guess.
    pub(super) fn p95_ms(&self) -> f64 {
        let all: u64 = self.times.iter().sum();
        let wanted = all as f64 * 0.95;
        let (mut below, mut from) = (0.0, 0.0);
        for (count, bound) in self.times.iter().zip(BOUNDS_MS) {
            let (count, to) = (*count as f64, bound as f64);
            if count > 0.0 && below + count >= wanted {
                return from + (to - from) * (wanted - below) / count;
            }
            (below, from) = (below + count, to);
        }
        if all == 0 { 0.0 } else { from }
    }

    fn counts(&self) -> [(&'static str, i64); 7] {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        [
            ("ok", count(self.ok)),
            ("failed", count(self.failed)),
            ("out", count(self.out_bytes)),
            ("us", count(self.compute_us)),
            ("memory", count(self.memory_byte_ms)),
            ("logins", count(self.logins)),
            ("users", self.users),
        ]
    }

    fn read(document: &Document) -> Self {
        let signed = |name: &str| match document.get(name) {
            Some(Bson::Int64(number)) => *number,
            Some(Bson::Int32(number)) => i64::from(*number),
            _ => 0,
        };
        let number = |name: &str| u64::try_from(signed(name)).unwrap_or(0);
        let mut used = Self {
            ok: number("ok"),
            failed: number("failed"),
            out_bytes: number("out"),
            compute_us: number("us"),
            memory_byte_ms: number("memory"),
            logins: number("logins"),
            users: signed("users"),
            ..Self::default()
        };
        for (index, count) in used.times.iter_mut().enumerate() {
            *count = number(&bucket(index));
        }
        used
    }
}

fn bucket(index: usize) -> String {
    format!("t{index}")
}

/// Puts every number that is one under its path.
pub(super) fn numbers(areas: &Areas, place: &str, into: &mut Document) {
    for (area, used) in areas {
        let mut put = |name: &str, number: i64| {
            if number != 0 {
                into.insert(format!("{place}.{}.{name}", area.name()), number);
            }
        };
        for (name, number) in used.counts() {
            put(name, number);
        }
        for (index, count) in used.times.iter().enumerate() {
            put(&bucket(index), i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }
}

/// Documents by area.
pub(super) fn document(areas: &Areas) -> Document {
    let of = |(area, used): (&Area, &Used)| {
        let single = Areas::from([(*area, used.clone())]);
        let mut flat = Document::new();
        numbers(&single, "", &mut flat);
        let prefix = format!(".{}.", area.name());
        let inner: Document = flat
            .into_iter()
            .filter_map(|(path, number)| Some((path.strip_prefix(&prefix)?.to_owned(), number)))
            .collect();
        (area.name().to_owned(), Bson::Document(inner))
    };
    areas.iter().map(of).collect()
}

/// Reads documents by area.
pub(super) fn read(document: &Document) -> Areas {
    let known = Area::ALL.iter().filter_map(|area| {
        let used = document.get_document(area.name()).ok()?;
        Some((*area, Used::read(used)))
    });
    known.collect()
}

/// Adds areas to others.
pub(super) fn add(all: &mut Areas, more: &Areas) {
    for (area, used) in more {
        all.entry(*area).or_default().add(used);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Area, Areas, Used, document, read};

    #[test]
    fn numbers_come_back() {
        let mut used = Used {
            out_bytes: 5,
            users: -2,
            ..Used::default()
        };
        used.request(true, Duration::from_millis(4));
        used.request(false, Duration::from_secs(10_000));
        let areas = Areas::from([(Area::Mql, used), (Area::Auth, Used::default())]);
        let kept = document(&areas);
        assert_eq!(
            kept,
            bson::doc! {
                "auth": {},
                "mql": { "ok": 1_i64, "failed": 1_i64, "out": 5_i64, "users": -2_i64,
                    "t3": 1_i64, "t26": 1_i64 },
            }
        );
        assert_eq!(read(&kept), areas);
    }

    #[test]
    fn the_95th_of_100_is_found() {
        let p95 = |times: &[u64]| {
            let mut used = Used::default();
            for ms in times {
                used.request(false, Duration::from_millis(*ms));
            }
            used.p95_ms()
        };
        assert!(p95(&[]).abs() < f64::EPSILON);
        // Within the bucket of 1 to 2 ms.
        assert!((1.0..=2.0).contains(&p95(&[2; 100])));
        let mut times = [2; 100].to_vec();
        times[90..].fill(480);
        assert!((300.0..=500.0).contains(&p95(&times)), "{}", p95(&times));
        times[90..96].fill(2);
        assert!(p95(&times) <= 2.0);
        assert!(
            (p95(&[900_000]) - 300_000.0).abs() < 1.0,
            "no more is known"
        );
    }
}
