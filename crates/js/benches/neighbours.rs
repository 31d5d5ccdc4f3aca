//! What a quiet owner notices of a hostile one: the 99th percentile of its
//! calls with and without each neighbour.
//! `cargo bench -p js --bench neighbours [-- NAME...]`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{RawArrayBuf, rawdoc};
use js::{Call, Compiled, Limits, Nobody, Pool, PoolSettings, compile};

/// Calls of the hostile owner at once.
const HOSTILE: usize = 16;
/// How long the quiet owner is measured, alone and beside each neighbour.
const MEASURED: Duration = Duration::from_secs(5);
/// From one of its calls to the next.
const PAUSE: Duration = Duration::from_millis(2);

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

fn function(source: &str) -> Arc<Compiled> {
    Arc::new(compile("bench.js", source).expect("a function"))
}

fn call(owner: &str, code: &Arc<Compiled>) -> Call {
    Call {
        owner: owner.into(),
        code: code.clone(),
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
    let code = function("exports = () => 1");
    let start = Instant::now();
    while start.elapsed() < MEASURED {
        let call = call("quiet", &code);
        let begun = Instant::now();
        let outcome = pool.call(call, Arc::new(Nobody)).await;
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        times.push(begun.elapsed());
        tokio::time::sleep(PAUSE).await;
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
    // Cargo adds an argument of its own.
    let names: Vec<_> = std::env::args().skip(1).collect();
    let named: Vec<_> = names.iter().filter(|name| !name.starts_with('-')).collect();
    for (name, source) in PROGRAMS {
        if !named.is_empty() && !named.iter().any(|named| *named == name) {
            continue;
        }
        let (alone, _) = quiet(&pool).await;
        let code = function(source);
        let hostile: Vec<_> = (0..HOSTILE)
            .map(|_| {
                let (pool, code) = (pool.clone(), code.clone());
                tokio::spawn(async move {
                    loop {
                        pool.call(call("hostile", &code), Arc::new(Nobody)).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (beside, calls) = quiet(&pool).await;
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!(
            "{name:16} p99 {beside:>10.1?} of {calls} calls, alone {alone:>10.1?}: {ratio:.1} times"
        );
        for task in hostile {
            task.abort();
        }
    }
}
