//! Calls that wait give up their workers, and go on in others as if they had
//! not.

use std::sync::Arc;

use bson::{Bson, bson};
use bson::{RawBson, RawDocumentBuf};
use js::{BoxFuture, Entered, Failure, Frame, Host, HostError, Pool, PoolSettings};
use tokio::sync::Barrier;

use crate::{World, call, serves, until};

pub(crate) fn narrow(workers: usize) -> Pool {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = workers;
    settings.ready_min = 0;
    Pool::new(settings)
}

/// Everything that a call may have while it waits.
const BUSY: &str = r#"
let calls = 0;
class Counter { #n; constructor(n) { this.#n = n; } get n() { return this.#n; } }
function* numbers(n) { while (true) yield n++; }
exports = async function (n) {
  const counter = new Counter(n), generator = numbers(n), map = new Map([[{}, n]]);
  const big = "x".repeat(1000 + n), typed = new Float64Array(100).fill(n), id = new BSON.ObjectId();
  console.log("before", n);
  const store = new (require("async_hooks").AsyncLocalStorage)();
  store.enterWith(n);
  generator.next();
  globalThis.mine = n;
  Array.prototype.of = n;
  let rang = 0;
  const ringing = setInterval(() => rang++, 1);
  const timer = new Promise((resolve) => setTimeout(() => resolve(n), 5));
  const value = context.values.get("plain");
  const inner = context.functions.execute("inner", n);
  calls++;
  const open = await context.services.get("mongodb-atlas").db("d").collection("c").findOne({}, {}, { do: "gate" });
  clearInterval(ringing);
  const again = await context.functions.execute("inner", n);
  console.log("after", n);
  return {
    open, again, calls, stored: store.getStore(), n: counter.n, next: generator.next().value, map: [...map.values()][0], big: big.length,
    typed: typed[99], id: id.toString().length, mine, of: [].of, rang: rang > 0, timer: await timer,
    inner: await inner, value: value.op, user: context.user.id, regex: /(?<y>\d+)/.exec("a12").groups.y,
  };
};
"#;

fn wanted(n: i32) -> Bson {
    bson!({
        "open": "open", "again": n * 2, "calls": 1, "stored": n, "n": n, "next": n + 1, "map": n, "big": 1000 + n,
        "typed": f64::from(n), "id": 24, "mine": n, "of": n, "rang": true, "timer": n, "inner": n * 2,
        "value": "value", "user": "u1", "regex": "12",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_make_room_for_others() {
    let pool = narrow(2);
    let world = World::default().with(
        "inner",
        "exports = async (n) => { await null; return n * 2 }",
        true,
    );
    let gate = world.gate.clone();
    let world = Arc::new(world);
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let (pool, world) = (pool.clone(), world.clone());
            tokio::spawn(async move { pool.call(call(BUSY, vec![Bson::Int32(n)]), world).await })
        })
        .collect();
    // One worker that still waits may stay where it is.
    until(|| pool.frozen() >= 58).await;
    serves(&pool, "calls that wait").await;
    gate.close();
    for (n, outcome) in calls.into_iter().enumerate() {
        let n = n as i32;
        let outcome = outcome.await.unwrap();
        assert_eq!(outcome.result, Ok(wanted(n)));
        let lines: Vec<_> = outcome.logs.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, [format!("before {n}"), format!("after {n}")]);
    }
    assert_eq!((pool.frozen(), pool.running(), pool.waiting()), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_call_ends_at_its_limit_and_wakes_with_its_timers() {
    let pool = narrow(1);
    let run = |source: &'static str, time_ms| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut call = call(source, Vec::new());
            call.limits.time_ms = time_ms;
            pool.call(call, Arc::new(World::default())).await
        })
    };
    let never = "exports = async () => { console.log('waits'); \
        await context.services.get('mongodb-atlas').db('d').collection('c').findOne({}, {}, { do: 'never' }) }";
    let limited: Vec<_> = (0..4).map(|_| run(never, 400)).collect();
    let timed: Vec<_> = (0..4)
        .map(|_| {
            run(
                "exports = async () => { await new Promise((r) => setTimeout(r, 300)); return 1 }",
                60_000,
            )
        })
        .collect();
    for outcome in limited {
        let outcome = outcome.await.unwrap();
        assert_eq!(outcome.result, Err(Failure::TimeLimit));
        assert_eq!(outcome.logs.len(), 1);
        // The time that it was frozen counts.
        assert!(outcome.time_us >= 200_000, "{}", outcome.time_us);
    }
    for outcome in timed {
        assert_eq!(outcome.await.unwrap().result, Ok(Bson::Int32(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_caller_left_leaves_nothing() {
    let pool = narrow(1);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let source = "exports = () => new Promise((r) => setTimeout(r, 100000))";
                pool.call(call(source, Vec::new()), Arc::new(World::default()))
                    .await
            })
        })
        .collect();
    until(|| pool.frozen() >= 7).await;
    for call in &calls {
        call.abort();
    }
    for call in calls {
        assert!(call.await.unwrap_err().is_cancelled());
    }
    assert_eq!((pool.frozen(), pool.running(), pool.waiting()), (0, 0, 0));
    serves(&pool, "callers that left").await;
}

/// Answers when as many wait.
struct Meeting(Barrier);

impl Host for Meeting {
    fn call(
        &self,
        _: Frame,
        _: &str,
        _: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        Box::pin(async {
            self.0.wait().await;
            Ok(RawBson::String("met".to_owned()))
        })
    }

    fn enter(&self, _: Frame, _: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        Box::pin(async { Err(HostError::new("there are no functions")) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owners_frozen_calls_leave_room_for_anothers() {
    const BYTES: usize = 2 << 20;
    /// A frozen call of these is smaller.
    const CALL_BYTES: usize = 32 << 10;
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    // One owner gets three.
    settings.workers_max = 4;
    settings.frozen_bytes_max = BYTES;
    let pool = Pool::new(settings);
    let calls = |count: usize, owner: &'static str, host: &Arc<dyn Host>| {
        let one = || {
            let mut call = call(
                "exports = () => context.services.get('mongodb-atlas').db('d').collection('c') \
                    .findOne({}, {}, { do: 'gate' })",
                Vec::new(),
            );
            call.owner = owner.into();
            call.limits.time_ms = 120_000;
            let (pool, host) = (pool.clone(), host.clone());
            tokio::spawn(async move { pool.call(call, host).await.result })
        };
        (0..count).map(|_| one()).collect::<Vec<_>>()
    };
    let world = World::default();
    let gate = world.gate.clone();
    let world: Arc<dyn Host> = Arc::new(world);
    let many = calls(600, "many", &world);
    until(|| pool.frozen_bytes() >= BYTES / 4 * 3).await;
    // All of these have to wait at once, and there is one worker for them.
    let meeting: Arc<dyn Host> = Arc::new(Meeting(Barrier::new(15)));
    for met in calls(15, "few", &meeting) {
        assert_eq!(met.await.unwrap(), Ok(Bson::from("met")));
    }
    assert!(pool.waiting() > 0);
    // Three workers may have been asked just before the share was full.
    let held = pool.frozen_bytes();
    assert!(held <= BYTES / 4 * 3 + 3 * CALL_BYTES, "{held}");
    println!("{} frozen calls hold {held} bytes", pool.frozen());
    gate.close();
    for call in many {
        assert_eq!(call.await.unwrap(), Ok(Bson::from("open")));
    }
    assert_eq!((pool.frozen(), pool.frozen_bytes()), (0, 0));
}
