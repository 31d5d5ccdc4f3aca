//! What a process and its children have used, as Linux tells it in `/proc`;
//! zero elsewhere.

use std::fs;
use std::time::Duration;

/// Length of the ticks in which `/proc` counts time.
const TICK: Duration = Duration::from_millis(10);

/// A process and all that it started, directly or not; itself first.
pub(crate) fn descendants(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        found.extend(children(id));
        next += 1;
    }
    found
}

fn children(id: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// Time that a process and its descendants have computed.
pub(crate) fn cpu(id: u32) -> Duration {
    let own = |id: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let (user, system): (u32, u32) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(user + system)
    };
    let ticks: u32 = descendants(id).into_iter().filter_map(own).sum();
    TICK * ticks
}

/// Memory of a process in KiB, shared pages in parts.
pub(crate) fn proportional_kib(id: u32) -> u64 {
    fs::read_to_string(format!("/proc/{id}/smaps_rollup"))
        .ok()
        .and_then(|rollup| {
            let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(id: u32) -> u64 {
    fs::read_to_string(format!("/proc/{id}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}
