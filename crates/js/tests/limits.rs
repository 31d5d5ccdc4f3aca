//! Runaways, crashes and floods cost one call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::Bson;
use js::{Failure, Limits};

use crate::{World, call, pool};

/// Each of these has to end by the time limit, or before it by itself.
const RUNAWAYS: &[&str] = &[
    "exports = () => { for (;;) {} }",
    "exports = () => { for (;;) { try { for (;;) {} } catch {} } }",
    "exports = () => { try { for (;;) {} } finally { for (;;) {} } }",
    "exports = async () => { for (;;) await null }",
    "exports = () => /(a+)+$/.test('a'.repeat(40) + 'b')",
    "exports = () => { for (;;) new Array(1e6).fill(0).sort() }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => ({ i })); for (;;) JSON.parse(JSON.stringify(a)) }",
    "exports = () => { const s = 'a,'.repeat(1.5e6); for (;;) s.split(',') }",
    "exports = () => { const a = new Uint8Array(1e8); for (;;) a.fill(1) }",
    "exports = () => new Promise((r) => setInterval(() => {}, 1))",
    "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').findOne({}, {}, { action: 'never' })",
    "exports = () => context.values.get('never')",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_runaway_is_stopped() {
    let pool = pool();
    for source in RUNAWAYS {
        let mut call = call(source, Vec::new());
        call.limits = Limits {
            time_ms: 300,
            memory_bytes: 350 << 20,
        };
        let start = Instant::now();
        let outcome = pool.call(call, Arc::new(World::default())).await;
        let time = start.elapsed();
        assert!(time < Duration::from_secs(5), "{source}: {time:?}");
        assert!(
            matches!(outcome.result, Err(Failure::TimeLimit)),
            "{source}: {:?} after {time:?}",
            outcome.result
        );
        let next = pool
            .call(
                crate::call("exports = () => 1", Vec::new()),
                Arc::new(World::default()),
            )
            .await;
        assert_eq!(next.result, Ok(Bson::Int32(1)), "after {source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_limited() {
    let pool = pool();
    for source in [
        "exports = () => { const a = []; for (;;) a.push(new Array(1000).fill(0)) }",
        "exports = () => { let s = 'x'; for (;;) s += s + Math.random() }",
        "exports = () => new ArrayBuffer(1 << 30)",
        "exports = () => { const m = new Map(); for (let i = 0;; i++) m.set(i, 'x' + i) }",
    ] {
        let mut call = call(source, Vec::new());
        call.limits = Limits {
            time_ms: 20_000,
            memory_bytes: 64 << 20,
        };
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert!(
            matches!(
                outcome.result,
                Err(Failure::MemoryLimit | Failure::Threw { .. })
            ),
            "{source}: {:?}",
            outcome.result
        );
        assert!(
            outcome.memory_bytes < 80 << 20,
            "{source}: {}",
            outcome.memory_bytes
        );
        let next = pool
            .call(
                crate::call("exports = () => 1", Vec::new()),
                Arc::new(World::default()),
            )
            .await;
        assert_eq!(next.result, Ok(Bson::Int32(1)), "after {source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_recursion_is_an_error() {
    let pool = pool();
    for source in [
        "exports = () => { const f = () => f() + 1; return f() }",
        "exports = () => JSON.parse('['.repeat(1e6))",
        "exports = () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a) }",
    ] {
        let outcome = pool
            .call(call(source, Vec::new()), Arc::new(World::default()))
            .await;
        assert!(
            matches!(outcome.result, Err(Failure::Threw { .. })),
            "{source}: {:?}",
            outcome.result
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_costs_its_call_alone() {
    let pool = pool();
    let slow = |pool: js::Pool| async move {
        let source = "exports = () => new Promise((r) => setTimeout(() => r(1), 400))";
        pool.call(call(source, Vec::new()), Arc::new(World::default()))
            .await
    };
    let others: Vec<_> = (0..3).map(|_| tokio::spawn(slow(pool.clone()))).collect();
    let victim = {
        let pool = pool.clone();
        // Never returns by itself: only the kill ends it.
        tokio::spawn(async move {
            let mut call = call("exports = () => context.values.get('never')", Vec::new());
            call.limits.time_ms = 200;
            pool.call(call, Arc::new(World::default())).await
        })
    };
    assert!(victim.await.unwrap().result.is_err());
    for other in others {
        assert_eq!(other.await.unwrap().result, Ok(Bson::Int32(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_no_files_no_network_and_no_environment() {
    // The engine offers none of them; the filter is behind it. What is left to
    // look at from inside:
    let source = "exports = () => [typeof process, typeof std, typeof os, typeof fetch, typeof Worker, typeof WebAssembly]";
    let outcome = pool()
        .call(call(source, Vec::new()), Arc::new(World::default()))
        .await;
    let wanted = Bson::Array(vec![Bson::from("undefined"); 6]);
    assert_eq!(outcome.result, Ok(wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses() {
    let mut settings = js::PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = 1;
    settings.waiting_max = 1;
    let pool = js::Pool::new(settings);
    let forever = "exports = () => context.values.get('never')";
    let long = |pool: js::Pool| {
        let mut call = call(forever, Vec::new());
        call.limits.time_ms = 60_000;
        tokio::spawn(async move { pool.call(call, Arc::new(World::default())).await })
    };
    let tasks = [long(pool.clone()), long(pool.clone())];
    while pool.running() + pool.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = pool
        .call(
            call("exports = () => 1", Vec::new()),
            Arc::new(World::default()),
        )
        .await;
    assert_eq!(refused.result, Err(Failure::Overloaded));
    // Callers that leave take their calls with them.
    for task in tasks {
        task.abort();
    }
    let next = pool
        .call(
            call("exports = () => 1", Vec::new()),
            Arc::new(World::default()),
        )
        .await;
    assert_eq!(next.result, Ok(Bson::Int32(1)));
}
