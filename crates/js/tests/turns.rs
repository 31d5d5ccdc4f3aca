//! Calls that compute for long: they take turns behind all others, and each
//! comes to its own end.

#![cfg(target_os = "linux")]

use std::sync::Arc;

use bson::Bson;
use js::{Failure, Outcome, Pool};
use tokio::task::JoinHandle;

use crate::workers::{marked, workers};
use crate::{World, call, serves};

/// Three times as many calls as there are cores, of one owner.
fn begin(pool: &Pool, source: &'static str, time_ms: u64) -> Vec<JoinHandle<Outcome>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let begin = |n: usize| {
        let mut call = call(source, vec![Bson::Int32(n as i32)]);
        call.owner = "long".into();
        call.limits.time_ms = time_ms;
        let pool = pool.clone();
        tokio::spawn(async move { pool.call(call, Arc::new(World::default())).await })
    };
    (0..3 * cores).map(begin).collect()
}

/// State and scheduling policy of a process.
fn scheduled(pid: i32) -> Option<(String, u32)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = status.rsplit(')').next()?.split_whitespace().collect();
    Some((fields[0].to_owned(), fields[38].parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_compute_for_long_take_turns_behind_others_and_come_back_right() {
    let (pool, mark) = marked();
    serves(&pool, "nothing").await;
    let calls = begin(
        &pool,
        "exports = (n) => { let sum = n; for (let i = 0; i < 4e6; i++) sum = (sum * 31 + i) % 65521; return sum; }",
        60_000,
    );
    let (mut paused, mut behind) = (0, 0);
    while !calls.iter().all(JoinHandle::is_finished) {
        let seen: Vec<_> = workers(&mark).into_iter().filter_map(scheduled).collect();
        paused = paused.max(seen.iter().filter(|(state, _)| state == "T").count());
        let idle = |policy: u32| policy == libc::SCHED_IDLE as u32;
        behind = behind.max(seen.iter().filter(|(_, policy)| idle(*policy)).count());
        // Others are served meanwhile.
        serves(&pool, "long calls").await;
    }
    let count = calls.len();
    for (n, call) in calls.into_iter().enumerate() {
        let mut sum = n as i64;
        for i in 0..4_000_000 {
            sum = (sum * 31 + i) % 65521;
        }
        let outcome = call.await.unwrap();
        assert_eq!(outcome.result, Ok(Bson::Int32(sum as i32)), "{n}");
    }
    assert!(paused > 0 && behind > count / 3, "{paused}, {behind}");
    // What stood back is of use to those who compute for long only.
    serves(&pool, "all of it").await;
    let paused = workers(&mark).into_iter().filter_map(scheduled);
    assert_eq!(paused.filter(|(state, _)| state == "T").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_time_is_up_still_tells_what_it_logged() {
    let (pool, _) = marked();
    let calls = begin(
        &pool,
        "exports = (n) => { console.log('began', n); for (;;) {} }",
        700,
    );
    for (n, call) in calls.into_iter().enumerate() {
        let outcome = call.await.unwrap();
        assert_eq!(outcome.result, Err(Failure::TimeLimit));
        let lines: Vec<_> = outcome.logs.into_iter().map(|line| line.text).collect();
        assert_eq!(lines, [format!("began {n}")]);
    }
}
