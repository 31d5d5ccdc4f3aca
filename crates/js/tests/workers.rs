//! Worker processes seen from outside: killed, left, confined, and no larger
//! after many calls.

#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bson::{Bson, bson};
use js::{Failure, Pool, PoolSettings};

use crate::{World, call, compiled, serves, until};

/// A pool whose workers can be told from others by an argument.
pub(crate) fn marked() -> (Pool, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mark = format!("mark-{}-{number}", std::process::id());
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [&mark]);
    // Only those that have had a call.
    settings.ready_min = 0;
    (Pool::new(settings), mark)
}

/// The processes with a mark that still run, without the one that they are
/// forked from.
pub(crate) fn workers(mark: &str) -> Vec<i32> {
    let of_pool = std::process::id();
    let mut found = processes(mark);
    found.retain(|(_, parent)| *parent != of_pool);
    found.into_iter().map(|(pid, _)| pid).collect()
}

/// Processes with a mark, and their parents.
pub(crate) fn processes(mark: &str) -> Vec<(i32, u32)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let marked = line.split(|b| *b == 0).any(|part| part == mark.as_bytes());
            let status = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let mut fields = status.rsplit(')').next()?.split_whitespace();
            // The dead are no workers.
            let lives = fields.next() != Some("Z");
            let parent = fields.next()?.parse().ok()?;
            (marked && lives).then_some((pid, parent))
        })
        .collect()
}

pub(crate) fn kill(pid: i32) {
    // SAFETY: a signal to a process that this test started.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    let lives = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        state.is_ok_and(|state| {
            !state
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .starts_with(" Z")
        })
    };
    while lives() {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_costs_one_call() {
    let (pool, mark) = marked();
    for _ in 0..10 {
        let victim = {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut call = call("exports = () => context.values.get('never')", Vec::new());
                call.limits.time_ms = 60_000;
                pool.call(call, Arc::new(World::default())).await
            })
        };
        // One that dies before it has the call is none that the call runs in.
        until(|| {
            if pool.running() >= 1 {
                workers(&mark).into_iter().for_each(kill);
            }
            victim.is_finished()
        })
        .await;
        assert_eq!(victim.await.unwrap().result, Err(Failure::Crashed));
        serves(&pool, "a kill").await;
        // One that nobody uses costs none.
        kill(workers(&mark)[0]);
        serves(&pool, "a kill of an idle worker").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_a_crash_go_on() {
    let (pool, mark) = marked();
    let (other, _) = marked();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let other = other.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    serves(&other, "a crash elsewhere").await;
                }
            })
        })
        .collect();
    for _ in 0..10 {
        serves(&pool, "a crash").await;
        workers(&mark).into_iter().for_each(kill);
    }
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_is_confined() {
    let (pool, mark) = marked();
    serves(&pool, "nothing").await;
    let pid = workers(&mark)[0];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .map(str::to_owned)
    };
    assert_eq!(field("Seccomp:").as_deref(), Some("2"), "{status}");
    assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(environment, b"MIMALLOC_ARENA_RESERVE=65536\0TZ=UTC\0");
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    assert_eq!(files, 3);
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (name, value) in [
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max open files", "16"),
        ("Max address space", "5368709120"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(
            line[name.len()..].split_whitespace().next(),
            Some(value),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_noticed() {
    let pool = Pool::new(PoolSettings::new("/bin/true", [""; 0]));
    assert!(pool.warm().await.is_err());
    let pool = Pool::new(PoolSettings::new("/no/such/program", [""; 0]));
    assert!(pool.warm().await.is_err());
    assert!(crate::pool().warm().await.is_ok());
}

/// A field of `/proc/PID/status` in bytes.
pub(crate) fn memory(pid: i32, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<usize>().unwrap() << 10
}

/// Resident memory of a process that may be gone.
fn resident(pid: i32) -> usize {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    pages.map_or(0, |pages: usize| pages << 12)
}

#[tokio::test]
async fn pages_are_bounded_and_not_only_what_is_held() {
    const LIMIT: usize = 64 << 20;
    let (pool, mark) = marked();
    serves(&pool, "nothing").await;
    let pid = workers(&mark)[0];
    let before = memory(pid, "VmHWM");
    // Each round fills the limit with blocks that no later round can use.
    let source = "exports = () => {
        let full = 0;
        for (const size of [3000, 5000, 9000, 17000, 33000, 65000, 130000, 260000, 520000, 1.5e6, 3e6, 6e6]) {
            let blocks = [];
            try { for (;;) blocks.push(new Uint8Array(size)) } catch { full++ }
            blocks = null;
        }
        return full;
    }";
    let mut call = call(source, Vec::new());
    call.limits.memory_bytes = LIMIT;
    let outcome = pool.call(call, Arc::new(World::default())).await;
    assert_eq!(outcome.result, Ok(Bson::Int32(12)));
    let grown = memory(pid, "VmHWM") - before;
    assert!(grown > LIMIT / 2, "{grown}: the blocks were touched");
    assert!(grown < 2 * LIMIT + (8 << 20), "{grown}");
    serves(&pool, "much memory").await;
    // It gives pages back, or it computed for so long that it is not used again.
    let start = std::time::Instant::now();
    while workers(&mark).contains(&pid) && resident(pid) >= before + (16 << 20) {
        assert!(start.elapsed().as_secs() < 20, "pages were not given back");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_worker_does_not_grow() {
    let (pool, mark) = marked();
    let world = || Arc::new(World::default().with("inner", "exports = (n) => n", false));
    let code = compiled(
        "exports = async (n) => {
            const c = context.services.get('mongodb-atlas').db('d').collection('c');
            console.log('x'.repeat(400), n);
            setTimeout(() => {}, 0);
            c.insertOne({ n }).catch(() => 0);
            await c.findOne({ pad: 'x'.repeat(2000) });
            Promise.reject(1).catch(() => 0);
            globalThis['kept' + n] = new Array(1000).fill(n);
            return [context.functions.execute('inner', n), context.values.get('v').op];
        }",
    );
    let mut after_some = 0;
    for number in 0..2000 {
        let mut call = call("exports = 0", vec![Bson::Int32(number)]);
        call.code = code.clone();
        let outcome = pool.call(call, world()).await;
        assert_eq!(outcome.result, Ok(bson!([number, "value"])));
        if number == 200 {
            after_some = memory(workers(&mark)[0], "VmRSS");
        }
    }
    let grown = memory(workers(&mark)[0], "VmRSS").saturating_sub(after_some);
    assert!(grown < 2 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_do_not_mix() {
    let (pool, _) = marked();
    let code = compiled(
        "exports = async (n) => {
            const before = typeof globalThis.mine;
            globalThis.mine = n;
            const c = context.services.get('mongodb-atlas').db('d').collection('c');
            const row = await c.findOne({ n });
            return [before, globalThis.mine, row.args.arguments.query.n];
        }",
    );
    let calls: Vec<_> = (0..300)
        .map(|number| {
            let (pool, code) = (pool.clone(), code.clone());
            tokio::spawn(async move {
                let mut call = call("exports = 0", vec![Bson::Int32(number)]);
                call.code = code;
                let outcome = pool.call(call, Arc::new(World::default())).await;
                assert_eq!(outcome.result, Ok(bson!(["undefined", number, number])));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_leave_leave_no_process() {
    let (pool, mark) = marked();
    for source in [
        "exports = () => { for (;;) {} }",
        "exports = () => context.values.get('never')",
        "exports = () => new Promise((r) => setTimeout(r, 60000))",
    ] {
        let mut call = call(source, Vec::new());
        call.limits.time_ms = 60_000;
        let task = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.call(call, Arc::new(World::default())).await })
        };
        until(|| pool.running() >= 1 && !workers(&mark).is_empty()).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        until(|| workers(&mark).is_empty()).await;
        assert_eq!(pool.running(), 0);
    }
    serves(&pool, "callers that left").await;
    drop(pool);
    until(|| workers(&mark).is_empty()).await;
}
