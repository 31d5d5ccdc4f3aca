//! Calls that compute for long: they stand back behind all others, and each
//! comes to its own end.

#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// How nice a process is, as long as it is there.
fn nice(pid: u32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = status.rsplit(')').next()?.split_whitespace();
    fields.nth(16)?.parse().ok()
}

/// Whether a process lets others go first.
fn stands_back(pid: i32) -> bool {
    let of_server = nice(std::process::id()).unwrap();
    nice(pid as u32) == Some((of_server + 10).min(19))
}

/// Nanoseconds that a process has computed, and in how many turns.
fn computed(pid: i32) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let mut fields = status
        .split_whitespace()
        .map(|field| field.parse().unwrap());
    Some((fields.next()?, fields.nth(1)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_compute_for_long_stand_back_and_come_back_right() {
    let (pool, mark) = marked();
    serves(&pool, "nothing").await;
    let calls = begin(
        &pool,
        "exports = (n) => { let sum = n; for (let i = 0; i < 4e6; i++) sum = (sum * 31 + i) % 65521; return sum; }",
        60_000,
    );
    let mut behind = 0;
    while !calls.iter().all(JoinHandle::is_finished) {
        let all = workers(&mark).into_iter();
        behind = behind.max(all.filter(|pid| stands_back(*pid)).count());
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
    assert!(behind > count / 3, "{behind}");
    // What stood back is of use to those who compute for long only.
    serves(&pool, "all of it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_back_steps_aside_every_moment() {
    let (pool, mark) = marked();
    let mut calls = begin(&pool, "exports = () => { for (;;) {} }", 3_000);
    let since = Instant::now();
    // What they computed once they stood back, until they end.
    let (mut first, mut last) = (HashMap::new(), HashMap::new());
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !calls.iter().all(JoinHandle::is_finished) {
        for pid in workers(&mark) {
            if stands_back(pid)
                && let Some(computed) = computed(pid)
            {
                first.entry(pid).or_insert(computed);
                last.insert(pid, computed);
            }
        }
        looks.tick().await;
    }
    for call in calls.drain(..) {
        assert_eq!(call.await.unwrap().result, Err(Failure::TimeLimit));
    }
    let passed = since.elapsed();
    let sum = |of: &HashMap<i32, (u64, u64)>| {
        let (time, turns): (Vec<_>, Vec<_>) = of.values().copied().unzip();
        (time.iter().sum::<u64>(), turns.iter().sum::<u64>())
    };
    let (before, after) = (sum(&first), sum(&last));
    let (time, turns) = (after.0 - before.0, after.1 - before.1);
    // Who has less than a share does not step aside: other programs want all of
    // the machine.
    let share = passed * first.len() as u32 / 12;
    // The system alone would let each have several milliseconds.
    assert!(
        time / turns < 500_000 || Duration::from_nanos(time) < share,
        "{time} ns in {turns} turns, in {passed:?}"
    );
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
