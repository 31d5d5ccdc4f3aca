//! How a database is opened.

use std::time::Duration;

/// What can be chosen when a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Memory for pages of the file at most; half of it may be taken by pages
    /// that are being written.
    pub cache_bytes: usize,
    /// How far back change feeds can go.
    pub log_retention: Retention,
    /// Opening gives free space back to the file system when that much of the
    /// file, in percent, is free. Finding that out reads the whole file, and
    /// giving back rewrites it: `None` does neither.
    pub compact_at_free_percent: Option<u8>,
}

/// When a write is acknowledged, unless it has a write concern of its own: `j`
/// as it says, and `w: 0` as `j: false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk. Power loss takes nothing that was acknowledged;
    /// what `j: false` wrote is on the disk within 100 milliseconds.
    Always,
    /// When it is visible; it is on the disk after this time at the latest.
    /// Power loss takes at most what was acknowledged within it, and leaves the
    /// state of one moment.
    Interval(Duration),
}

/// How long change events are kept: up to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Their age.
    pub seconds: u32,
    /// Their size together.
    pub bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            // Taken as pages are read. Random finds are as fast with less, since the
            // system keeps the file's pages as well; a scan of more than this reads
            // every page anew, which takes a third of its time.
            cache_bytes: 256 << 20,
            log_retention: Retention::default(),
            compact_at_free_percent: None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            seconds: 24 * 3600,
            bytes: 1 << 30,
        }
    }
}
