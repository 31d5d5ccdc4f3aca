//! What a quiet owner notices of a hostile one: the 99th percentile of its
//! calls with and without each neighbour. `cargo bench -p js --bench neighbours`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{RawArrayBuf, rawdoc};
use js::{Call, Limits, Nobody, Pool, PoolSettings, compile};

/// Calls of the hostile owner at once.
const HOSTILE: usize = 16;
/// How long each neighbour is measured.
const MEASURED: Duration = Duration::from_secs(3);

const PROGRAMS: &[(&str, &str)] = &[
    ("a loop", "exports = () => { for (;;) {} }"),
    (
        "memory",
        "exports = () => { const a = []; for (;;) a.push(new Array(1000).fill(0)) }",
    ),
    ("promises", "exports = async () => { for (;;) await null }"),
    (
        "timers",
        "exports = () => { const spin = () => setTimeout(spin, 0); spin() }",
    ),
    (
        "sorting",
        "exports = () => { for (;;) new Array(1e6).fill(0).sort() }",
    ),
    (
        "logs",
        "exports = () => { for (;;) console.log('x'.repeat(1e6)) }",
    ),
    (
        "stacks",
        "exports = () => { const f = () => f() + 1; for (;;) { try { f() } catch {} } }",
    ),
    ("calls that end", "exports = () => 1"),
];

fn call(owner: &str, source: &str) -> Call {
    Call {
        owner: owner.into(),
        code: Arc::new(compile("bench.js", source).expect("a function")),
        arguments: RawArrayBuf::new(),
        context: rawdoc! { "user": {}, "system": false, "request": {}, "services": {} },
        limits: Limits {
            time_ms: 1000,
            memory_bytes: 64 << 20,
        },
        evaluate: None,
        depth: 0,
    }
}

/// The 99th percentile and the number of the quiet owner's calls.
async fn quiet(pool: &Pool) -> (Duration, usize) {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < MEASURED {
        let call = call("quiet", "exports = () => 1");
        let begun = Instant::now();
        let outcome = pool.call(call, Arc::new(Nobody)).await;
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    (times[times.len() * 99 / 100], times.len())
}

#[tokio::main]
async fn main() {
    let pool = Pool::new(PoolSettings::new(
        env!("CARGO_BIN_EXE_js-test-worker"),
        [""; 0],
    ));
    pool.warm().await.expect("a worker");
    let (alone, calls) = quiet(&pool).await;
    println!("{:16} p99 {alone:>10.1?} of {calls} calls", "alone");
    for (name, source) in PROGRAMS {
        let hostile: Vec<_> = (0..HOSTILE)
            .map(|_| {
                let (pool, source) = (pool.clone(), *source);
                tokio::spawn(async move {
                    loop {
                        pool.call(call("hostile", source), Arc::new(Nobody)).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (beside, calls) = quiet(&pool).await;
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!("{name:16} p99 {beside:>10.1?} of {calls} calls, {ratio:.1} times");
        for task in hostile {
            task.abort();
        }
    }
}
