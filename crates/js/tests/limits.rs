//! Runaways, crashes and floods cost one call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::Bson;
use js::{Failure, Limits};

use crate::{World, call, pool, serves, until};

/// None of these ends by itself.
const RUNAWAYS: &[&str] = &[
    // Loops.
    "exports = () => { for (;;) {} }",
    "for (;;) {}",
    "exports = () => { for (;;) { try { for (;;) {} } catch {} } }",
    "exports = () => { try { for (;;) {} } finally { for (;;) {} } }",
    "exports = () => { for (;;) { try { null.x } catch {} } }",
    "exports = () => { class A { static { for (;;) {} } } }",
    "exports = () => { for (const x of (function* () { for (;;) yield 1 })()) {} }",
    "exports = () => eval('for (;;) {}')",
    "exports = () => new Function('for (;;) {}')()",
    "exports = () => context.functions.execute('endless')",
    // Jobs, timers and the host.
    "exports = async () => { for (;;) await null }",
    "exports = () => { const spin = () => Promise.resolve().then(spin); return spin() }",
    "exports = () => { const spin = () => queueMicrotask(spin); spin() }",
    "exports = () => { const spin = () => setTimeout(spin, 0); spin() }",
    "exports = () => { const spin = () => setImmediate(spin); spin() }",
    "exports = () => new Promise((r) => setInterval(() => {}, 1))",
    "exports = async () => { for await (const x of (async function* () { for (;;) yield 1 })()) {} }",
    "exports = () => ({ then(resolve) { resolve(this) } })",
    "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').findOne({}, {}, { do: 'never' })",
    "exports = () => context.values.get('never')",
    "exports = () => context.functions.execute('hang')",
    // Code that runs while values cross.
    "exports = () => ({ get a() { for (;;) {} } })",
    "exports = () => new Proxy({}, { ownKeys() { for (;;) {} } })",
    "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').findOne({ get a() { for (;;) {} } })",
    "exports = () => { const e = new Error('x'); Object.defineProperty(e, 'message', { get() { for (;;) {} } }); throw e }",
    "exports = () => { throw { get a() { for (;;) {} } } }",
    "exports = () => console.log('%s', { toString() { for (;;) {} } })",
    // Code that natives of the engine call.
    "exports = () => JSON.stringify(new Proxy([], { get() { for (;;) {} } }))",
    "exports = () => JSON.stringify({ toJSON() { for (;;) {} } })",
    "exports = () => JSON.parse('[1]', () => { for (;;) {} })",
    "exports = () => `${{ toString() { for (;;) {} } }}`",
    "exports = () => [3, 2, 1].sort(() => { for (;;) {} })",
    "exports = () => 'a'.replace(/a/, () => { for (;;) {} })",
    "exports = () => Array.from({ [Symbol.iterator]: () => ({ next: () => ({}) }) }, () => 0).length",
    // Regular expressions.
    "exports = () => /(a+)+$/.test('a'.repeat(40) + 'b')",
    r"exports = () => /(x+x+)+y/.test('x'.repeat(40))",
    r"exports = () => /^(\w+\s?)*$/.test('aaaa '.repeat(12) + '!')",
    r"exports = () => /(?=(a+)+b)c/.test('a'.repeat(40))",
    r"exports = () => { const s = 'a'.repeat(3e5); for (;;) s.match(/a*b/g) }",
    // Natives that take a while each and do not look at the clock.
    "exports = () => { for (;;) new Array(1e6).fill(0).sort() }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => i ^ 0x55); for (;;) a.sort((x, y) => x - y) }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => `${i}`); for (;;) a.sort() }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => ({ i })); for (;;) JSON.parse(JSON.stringify(a)) }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => ({ i })); for (;;) JSON.stringify(a) }",
    "exports = () => { const a = Array.from({ length: 1e4 }, (_, i) => ({ i })); for (;;) EJSON.parse(EJSON.stringify(a)) }",
    "exports = () => { const s = 'a,'.repeat(1.5e6); for (;;) s.split(',') }",
    "exports = () => { for (;;) 'x'.repeat(1e7) }",
    "exports = () => { for (;;) 'x'.padStart(1e7, 'ab') }",
    "exports = () => { const s = 'a'.repeat(1e6); for (;;) s.replaceAll('a', 'b') }",
    "exports = () => { const s = 'é'.repeat(1e6); for (;;) s.normalize('NFD') }",
    "exports = () => { const s = 'ß'.repeat(1e6); for (;;) s.toUpperCase() }",
    "exports = () => { const s = 'é'.repeat(1e6); for (;;) encodeURIComponent(s) }",
    "exports = () => { const a = Array.from({ length: 1e5 }, (_, i) => i); for (;;) new Set(a) }",
    "exports = () => { const b = new Uint8Array(1e7); for (;;) utils.crypto.hash('sha256', b) }",
    "exports = () => { const b = new BSON.Binary('x'.repeat(1e7)); for (;;) b.toBase64() }",
    "exports = () => { const s = 'x'.repeat(1e7); for (;;) console.log(s) }",
    // The same, without allocating.
    "exports = () => { const a = new Uint8Array(1e8); for (;;) a.fill(1) }",
    "exports = () => { const a = new Float64Array(1e6).map((_, i) => -i); for (;;) a.sort() }",
    "exports = () => { const a = 'x'.repeat(1e8) + 'y'; for (;;) a.indexOf('yy') }",
    // One native that would run for ages.
    "exports = () => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "exports = () => Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)",
    "exports = () => Array.prototype.reverse.call({ length: 2 ** 53 - 1 })",
    "exports = () => Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 1, 0)",
    "exports = () => require('crypto').pbkdf2Sync('a', 'b', 2 ** 31 - 1, 64, 'sha512')",
    "exports = () => require('crypto').scryptSync('a', 'b', 64, { N: 2 ** 17, r: 8, p: 1000, maxmem: 2 ** 30 })",
    "exports = () => { for (;;) require('crypto').generateKeyPairSync('rsa', { modulusLength: 4096 }) }",
    "exports = () => { const b = Buffer.alloc(1e7); for (;;) require('crypto').createHash('sha512').update(b).digest() }",
    // Integers of any size.
    "exports = () => { const x = 3n ** 100000n; for (;;) x * x }",
    "exports = () => { const x = 3n ** 100000n, y = 7n ** 20000n; for (;;) x / y }",
    "exports = () => { const x = 3n ** 100000n; for (;;) x.toString() }",
    "exports = () => { const x = '9'.repeat(50000); for (;;) BigInt(x) }",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_runaway_is_stopped() {
    let pool = pool();
    for several in RUNAWAYS.chunks(4) {
        let runs = several.iter().map(|source| {
            let (pool, source) = (pool.clone(), *source);
            tokio::spawn(async move {
                let mut call = call(source, Vec::new());
                call.limits.time_ms = 200;
                let world =
                    World::default().with("endless", "exports = () => { for (;;) {} }", false);
                let start = Instant::now();
                let outcome = pool.call(call, Arc::new(world)).await;
                (source, outcome, start.elapsed())
            })
        });
        for run in runs.collect::<Vec<_>>() {
            let (source, outcome, time) = run.await.unwrap();
            assert!(time < Duration::from_secs(5), "{source}: {time:?}");
            assert!(
                matches!(outcome.result, Err(Failure::TimeLimit)),
                "{source}: {:?} after {time:?}",
                outcome.result
            );
            serves(&pool, source).await;
        }
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
        serves(&pool, source).await;
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
    let source = "exports = () => [typeof process.env.PATH, typeof std, typeof os, typeof WebSocket, typeof Worker, typeof WebAssembly]";
    let outcome = pool()
        .call(call(source, Vec::new()), Arc::new(World::default()))
        .await;
    let wanted = Bson::Array(vec![Bson::from("undefined"); 6]);
    assert_eq!(outcome.result, Ok(wanted));
}

#[tokio::test]
async fn timers_that_were_let_go_do_not_hold_a_call() {
    let source = "exports = () => {
        setInterval(() => {}, 50).unref();
        setTimeout(() => {}, 600000).unref();
        AbortSignal.timeout(600000);
        return 1;
    }";
    assert_eq!(crate::value(source).await, Bson::Int32(1));
    // One that was taken back does.
    let source =
        "exports = () => new Promise((resolve) => setTimeout(() => resolve(2), 5).unref().ref())";
    assert_eq!(crate::value(source).await, Bson::Int32(2));
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
    until(|| pool.running() + pool.waiting() >= 2).await;
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
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let next = pool
        .call(
            call("exports = () => 1", Vec::new()),
            Arc::new(World::default()),
        )
        .await;
    assert_eq!(next.result, Ok(Bson::Int32(1)));
}
