//! Code that means harm: it gets an error of its own, and the next call is
//! served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bson::{Bson, bson};
use js::{Failure, Limits, Pool, PoolSettings};

use crate::{World, call, pool, run, serves, thrown, value};

#[tokio::test]
async fn there_is_nothing_to_break_out_to() {
    for (source, wanted) in [
        (
            "exports = () => this.constructor.constructor('return typeof process')()",
            "undefined",
        ),
        (
            "exports = () => (() => {}).constructor('return typeof process + typeof require')()",
            "undefinedundefined",
        ),
        (
            "exports = () => context.values.get.constructor('return typeof natives')()",
            "undefined",
        ),
        (
            "exports = () => typeof Atomics + typeof SharedArrayBuffer",
            "undefinedundefined",
        ),
        (
            "exports = async () => { try { await import('std') } catch (e) { return typeof e } }",
            "object",
        ),
        (
            "exports = async () => { try { await import('/etc/passwd') } catch (e) { return typeof e } }",
            "object",
        ),
        (
            "exports = () => typeof (function f() { return f.caller })()",
            "undefined",
        ),
    ] {
        assert_eq!(value(source).await, Bson::from(wanted), "{source}");
    }
    // Frames of a stack name functions; they do not hand them out.
    let source = "exports = async () => {
        const found = [];
        Error.prepareStackTrace = (_, frames) => { for (const f of frames) found.push(typeof f.getFunction, typeof f.getThis); return '' };
        const trap = { get a() { new Error('x').stack; return 1 } };
        const c = context.services.get('mongodb-atlas').db('d').collection('c');
        await c.findOne(trap);
        EJSON.stringify(trap);
        await context.functions.execute('inner', () => new Error('x').stack);
        return [found.length > 5, [...new Set(found)]];
    }";
    let world = World::default().with("inner", "exports = (f) => f()", true);
    let outcome = pool().call(call(source, Vec::new()), Arc::new(world)).await;
    assert_eq!(outcome.result, Ok(bson!([true, ["undefined"]])));
}

#[tokio::test]
async fn setters_on_prototypes_see_no_values() {
    let source = "let seen = 0;
        for (const prototype of [Array.prototype, Object.prototype]) {
            for (const name of ['0', '1', 'a', '_v', 'user']) {
                Object.defineProperty(prototype, name, { set() { seen++ }, get() { return 'trap' }, configurable: true });
            }
        }
        exports = () => { const v = EJSON.parse('[{\"a\":{\"$oid\":\"5fd45718cface356de9d104d\"}},2]'); return [seen, Object.hasOwn(v[0], 'a'), String(v[0].a)] }";
    let outcome = run(source, Vec::new()).await;
    // The array that the function itself returns is defined, not set.
    assert_eq!(
        outcome.result,
        Ok(bson!([0, true, "5fd45718cface356de9d104d"]))
    );
}

#[tokio::test]
async fn floods_meet_a_limit() {
    let pool = pool();
    for (source, wanted) in [
        (
            "exports = () => 'x'.repeat(60 << 20)",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => new Uint8Array(60 << 20)",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => { const s = 'x'.repeat(1 << 20); return new Array(60).fill(s) }",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').insertOne({ s: 'x'.repeat(60 << 20) })",
            "RangeError: the value is too large",
        ),
        (
            "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').findOne({}, {}, { do: 'huge' })",
            "RangeError: the result is too large",
        ),
        (
            "exports = () => { for (;;) setTimeout(() => {}, 1000) }",
            "RangeError: too many timers",
        ),
        (
            "exports = () => { for (let i = 0;; i++) context.values.get('v' + i) }",
            "RangeError: a function may start 1000 operations at most",
        ),
        (
            "exports = () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); return Promise.all(Array.from({ length: 1001 }, () => c.findOne())) }",
            "RangeError: a function may start 1000 operations at most",
        ),
        ("exports = () => 'x'.repeat(2 ** 31)", "RangeError: "),
        ("exports = () => 2n ** 10000000000n", "RangeError: "),
        (
            "const f = () => f() + 1; exports = () => f()",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => context.functions.execute('again')",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => { const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x }",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => { const o = { toString() { return `${this}` } }; return `${o}` }",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
            "SyntaxError: ",
        ),
        (
            "exports = () => EJSON.parse('['.repeat(1e6))",
            "SyntaxError: ",
        ),
        (
            "exports = () => eval('('.repeat(1e6))",
            "RangeError: Maximum call stack size exceeded",
        ),
    ] {
        let world = World::default().with(
            "again",
            "exports = () => context.functions.execute('again')",
            false,
        );
        let outcome = pool.call(call(source, Vec::new()), Arc::new(world)).await;
        match outcome.result {
            Err(Failure::Threw { message, .. }) => {
                assert!(message.starts_with(wanted), "{source}: {message}");
            }
            other => panic!("{source}: {other:?}"),
        }
        serves(&pool, source).await;
    }
}

#[tokio::test]
async fn arguments_meet_a_limit() {
    let pool = pool();
    let huge = vec![Bson::String("x".repeat(100 << 20))];
    let outcome = pool
        .call(call("exports = () => 1", huge), Arc::new(World::default()))
        .await;
    let Err(Failure::Threw { message, .. }) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(message, "RangeError: the arguments are too large");
    serves(&pool, "huge arguments").await;
    // They grow when they become values.
    for many in [
        Bson::Array(vec![bson!({}); 200_000]),
        Bson::Array(vec![Bson::Int32(1); 2_000_000]),
        Bson::Array(vec![Bson::ObjectId(bson::oid::ObjectId::new()); 100_000]),
        Bson::String("x".repeat(40 << 20)),
    ] {
        let mut call = call("exports = (a) => a.length", vec![many]);
        call.limits.memory_bytes = 8 << 20;
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::MemoryLimit));
        serves(&pool, "arguments without room").await;
    }
    // So do results of the host.
    let mut call = call(
        "exports = async () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); return (await Promise.all(Array.from({ length: 20 }, () => c.findOne({}, {}, { do: 'large' })))).length }",
        Vec::new(),
    );
    call.limits.memory_bytes = 8 << 20;
    let outcome = pool.call(call, Arc::new(World::default())).await;
    assert_eq!(outcome.result, Err(Failure::MemoryLimit));
    serves(&pool, "results without room").await;
}

#[tokio::test]
async fn telling_an_error_does_not_lift_the_memory_limit() {
    let pool = pool();
    for source in [
        "exports = () => { const e = new Error(); Object.defineProperty(e, 'message', { get() { const a = []; for (;;) a.push(new Array(1000).fill(0)) } }); throw e }",
        "exports = () => { throw { get a() { const a = []; for (;;) a.push(new Array(1000).fill(0)) } } }",
    ] {
        let mut call = call(source, Vec::new());
        call.limits = Limits {
            time_ms: 10_000,
            memory_bytes: 16 << 20,
        };
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::MemoryLimit), "{source}");
        assert!(
            outcome.memory_bytes < 24 << 20,
            "{source}: {}",
            outcome.memory_bytes
        );
        serves(&pool, source).await;
    }
}

#[tokio::test]
async fn many_large_replies_and_requests_do_not_wait_for_each_other() {
    // More is on its way in both directions than sockets hold.
    let source = "exports = async () => {
        const c = context.services.get('mongodb-atlas').db('d').collection('c');
        const pad = 'x'.repeat(20000);
        const all = await Promise.all(Array.from({ length: 200 }, () => c.findOne({ pad }, {}, { do: 'large' })));
        return all.reduce((sum, text) => sum + text.length, 0);
    }";
    let start = Instant::now();
    assert_eq!(value(source).await, Bson::Int32(200 << 20));
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn replies_that_come_too_late_disturb_nobody() {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = 1;
    let pool = Pool::new(settings);
    for _ in 0..20 {
        let source = "exports = () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); for (let i = 0; i < 5; i++) c.findOne({}, {}, { do: 'large' }); for (;;) {} }";
        let mut call = call(source, Vec::new());
        call.limits.time_ms = 20;
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::TimeLimit));
        serves(&pool, "late replies").await;
    }
}

#[tokio::test]
async fn a_worker_forgets_old_code() {
    let pool = pool();
    let kept = call("exports = () => 1", Vec::new()).code;
    let run = async |code: Arc<js::Compiled>| {
        let mut call = call("exports = () => 0", Vec::new());
        call.code = code;
        pool.call(call, Arc::new(World::default())).await.result
    };
    // More functions than a worker keeps, each one answering its own number.
    for number in 0..2100 {
        let code = crate::compiled(&format!("exports = () => {number}"));
        assert_eq!(run(code).await, Ok(Bson::Int32(number)));
        if number % 100 == 0 {
            assert_eq!(run(kept.clone()).await, Ok(Bson::Int32(1)));
        }
    }
}

/// A pool whose workers can be told from others by an argument.
fn marked() -> (Pool, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mark = format!("mark-{}-{number}", std::process::id());
    let settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [&mark]);
    (Pool::new(settings), mark)
}

/// The processes with a mark that still run.
#[cfg(target_os = "linux")]
fn workers(mark: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let marked = line.split(|b| *b == 0).any(|part| part == mark.as_bytes());
            marked.then_some(pid)
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn kill(pid: i32) {
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

#[cfg(target_os = "linux")]
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
        while pool.running() < 1 || workers(&mark).len() != 1 {
            tokio::task::yield_now().await;
        }
        kill(workers(&mark)[0]);
        assert_eq!(victim.await.unwrap().result, Err(Failure::Crashed));
        serves(&pool, "a kill").await;
        // One that nobody uses costs none.
        kill(workers(&mark)[0]);
        serves(&pool, "a kill of an idle worker").await;
    }
}

#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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
    assert_eq!(environment, b"TZ=UTC\0");
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    assert_eq!(files, 3);
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (name, value) in [
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max open files", "16"),
        ("Max address space", "6442450944"),
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

#[tokio::test]
async fn calls_that_wait_for_calls_have_an_end() {
    let mut call = call("exports = () => 1", Vec::new());
    call.depth = kit::limit::CALL_NESTING_DEPTH_MAX;
    let outcome = pool().call(call, Arc::new(World::default())).await;
    let Err(Failure::Threw { message, .. }) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(message, "functions that rules call are nested too deeply");
    assert_eq!(thrown("exports = () => { throw 1 }").await, "1");
}
