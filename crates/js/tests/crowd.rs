//! Many calls at once: all come back right, whoever owns them, in bounded
//! memory; workers that are killed take their own calls along and no others.

#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::{Bson, bson};
use js::Failure;

use crate::workers::{kill, marked, memory, processes, workers};
use crate::{World, call, compiled, serves, until};

/// Calls at once; `BACKSTITCH_CROWD` sets another number, such as 10000.
const CALLS: usize = 600;
/// What a server and its workers may hold, whatever the number.
const MEMORY_BYTES_MAX: usize = 1500 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_two_owners_comes_back_right() {
    let count = std::env::var("BACKSTITCH_CROWD");
    let count = count.map_or(CALLS, |count| count.parse().unwrap());
    let (pool, mark) = marked();
    let world = World::default();
    let gate = world.gate.clone();
    let world = Arc::new(world);
    let code = compiled(
        "exports = async (n, owner) => {
            const before = [typeof mine, [].of ?? null, Buffer.of_ ?? null, require('events').mine ?? null];
            globalThis.mine = Array.prototype.of = Buffer.of_ = require('events').mine = owner + n;
            const c = context.services.get('mongodb-atlas').db('d').collection('c');
            await c.findOne({}, {}, { do: 'gate' });
            return [before, mine, [].of, Buffer.of_, require('events').mine];
        }",
    );
    let start = Instant::now();
    let calls: Vec<_> = (0..count)
        .map(|n| {
            let owner = if n % 2 == 0 { "one" } else { "two" };
            let mut call = call("exports = 0", vec![Bson::Int32(n as i32), owner.into()]);
            call.owner = owner.into();
            call.code = code.clone();
            call.limits.time_ms = 120_000;
            let (pool, world) = (pool.clone(), world.clone());
            tokio::spawn(async move { (n, owner, pool.call(call, world).await) })
        })
        .collect();
    until(|| pool.running() >= count || start.elapsed() >= Duration::from_secs(60)).await;
    let begun = start.elapsed();
    let of_workers = processes(&mark).into_iter().map(|(pid, _)| pid);
    let of_workers: usize = of_workers.map(|pid| memory(pid, "RssAnon")).sum();
    let of_server = memory(std::process::id() as i32, "VmRSS");
    println!(
        "{count} calls: {} frozen after {begun:?}; server {} MiB, workers {} MiB",
        pool.frozen(),
        of_server >> 20,
        of_workers >> 20,
    );
    assert!(of_server + of_workers < MEMORY_BYTES_MAX);
    gate.close();
    for call in calls {
        let (n, owner, outcome) = call.await.unwrap();
        let mine = format!("{owner}{n}");
        let mine = mine.as_str();
        let fresh = bson!(["undefined", null, null, null]);
        assert_eq!(outcome.result, Ok(bson!([fresh, mine, mine, mine, mine])));
    }
    println!("{count} calls: all back after {:?}", start.elapsed());
    assert_eq!((pool.frozen(), pool.running(), pool.waiting()), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_all_the_time_cost_their_own_calls() {
    let (pool, mark) = marked();
    serves(&pool, "nothing").await;
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (pool, done) = (pool.clone(), done.clone());
            tokio::spawn(async move {
                let (mut served, mut crashed) = (0, 0);
                while !done.load(Ordering::Relaxed) {
                    let source = "exports = () => new Promise((r) => setTimeout(r, 5, 7))";
                    let call = call(source, Vec::new());
                    match pool.call(call, Arc::new(World::default())).await.result {
                        Ok(Bson::Int32(7)) => served += 1,
                        Err(Failure::Crashed) => crashed += 1,
                        other => panic!("{other:?}"),
                    }
                }
                (served, crashed)
            })
        })
        .collect();
    let mut kills = 0;
    let mut every = tokio::time::interval(Duration::from_millis(100));
    while kills < 20 {
        every.tick().await;
        if let Some(pid) = workers(&mark).first() {
            kill(*pid);
            kills += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    let (mut served, mut crashed) = (0, 0);
    for caller in callers {
        let (of_served, of_crashed) = caller.await.unwrap();
        served += of_served;
        crashed += of_crashed;
    }
    println!("{kills} kills: {served} calls served, {crashed} lost");
    assert!(crashed <= kills && served > kills, "{crashed} of {served}");
    serves(&pool, "many kills").await;
}
