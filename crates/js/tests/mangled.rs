//! Frozen calls of workers that were taken over, at random: what goes on from
//! them ends with its time, and calls of others that wait, or begin in the same
//! worker, are right. `BACKSTITCH_BOUNDARY_ROUNDS` makes a longer run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::{Bson, bson};
use js::{Failure, Outcome, Pool, PoolSettings};
use tokio::task::JoinHandle;

use crate::ahead::settled;
use crate::boundary::rounds;
use crate::rogue::HANGS;
use crate::{World, call, compiled, serves, until};

/// What happens to a call, and how it may end.
const KINDS: &[(&str, Ends)] = &[
    ("nothing", Ends::Right),
    ("wake", Ends::Right),
    ("random", Ends::Lost),
    ("realm-random", Ends::Lost),
    ("truncated", Ends::Lost),
    ("claims", Ends::Lost),
    ("huge", Ends::Lost),
    ("missing", Ends::Lost),
    ("other", Ends::Lost),
    ("realm-extent", Ends::Somehow),
    ("message", Ends::Somehow),
    ("compressed", Ends::Somehow),
    ("realm-cut", Ends::Lost),
    ("realm-head", Ends::Somehow),
    ("realm-allocator", Ends::Somehow),
    ("realm-bits", Ends::Somehow),
    ("run", Ends::Somehow),
];

/// How long a call may take that may never end by itself.
const HURT_MS: u64 = 2000;
/// How long one may take that ends, on a busy machine.
const ENDS_MS: u64 = 30_000;

#[derive(Clone, Copy)]
enum Ends {
    /// As if nothing had been changed.
    Right,
    /// With its worker.
    Lost,
    /// What was changed may have been of no importance, or of any.
    Somehow,
}

/// Has something of everything while it waits, and uses it afterwards.
const SOURCE: &str = r#"
exports = async function (what, n) {
  const map = new Map([["n", n]]), typed = new Float64Array(50).fill(n), text = "x".repeat(100 + n);
  class Counter { #n = n; get n() { return this.#n; } }
  const counter = new Counter(), before = [typeof mine, [].of ?? null];
  globalThis.mine = Array.prototype.of = n;
  const events = new (require("events"))();
  events.once("x", () => map.set("x", n + 1));
  setTimeout(() => map.set("rang", n), 2);
  console.log("waits", n);
  await context.services.get("mongodb-atlas").db("d").collection("c").findOne({}, {}, { do: "gate" });
  await new Promise((resolve) => setTimeout(resolve, 3));
  events.emit("x");
  const sorted = [...typed].map((x, i) => x + i).sort((a, b) => b - a);
  return { before, map: JSON.stringify([...map]), sorted: sorted[0], text: text.length, n: counter.n, mine, of: [].of,
    regex: /(?<y>\d+)/.exec("a" + n).groups.y };
};
"#;

fn right(n: i32) -> Bson {
    let map = format!(r#"[["n",{n}],["rang",{n}],["x",{}]]"#, n + 1);
    bson!({
        "before": ["undefined", null], "map": map, "sorted": f64::from(n + 49), "text": 100 + n, "n": n, "mine": n, "of": n,
        "regex": n.to_string(),
    })
}

/// A call that waits until its gate is closed, once it does or has ended.
async fn waits(pool: &Pool, time_ms: u64, what: &str, n: i32) -> (Arc<World>, JoinHandle<Outcome>) {
    let mut call = call("exports = 0", vec![what.into(), n.into()]);
    call.code = compiled(SOURCE);
    call.owner = if what.is_empty() { "good" } else { "hurt" }.into();
    call.limits.time_ms = time_ms;
    let world = Arc::new(World::default());
    let (pool, host) = (pool.clone(), world.clone());
    let call = tokio::spawn(async move { pool.call(call, host).await });
    until(|| world.asked() > 0 || call.is_finished()).await;
    (world, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_frozen_call_becomes_others_are_right() {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), ["mangling"]);
    // All goes on in the same worker, as long as it lives.
    settings.workers_max = 1;
    let pool = Pool::new(settings);
    let mut seen = BTreeMap::<_, usize>::new();
    for round in 1..=rounds() / 2 {
        let (kind, ends) = KINDS[round as usize % KINDS.len()];
        let what = format!("{kind} {round}");
        let n = round as i32;
        // Each wants the worker of the one before.
        let time_ms = match ends {
            Ends::Right | Ends::Lost => ENDS_MS,
            Ends::Somehow => HURT_MS,
        };
        let (hurt_host, hurt) = waits(&pool, time_ms, &what, n).await;
        let (waiting_host, waiting) = waits(&pool, ENDS_MS, "", n + 1).await;
        let (last_host, last) = waits(&pool, ENDS_MS, "", n + 2).await;
        hurt_host.gate.close();
        let hurt = tokio::time::timeout(HANGS, hurt).await;
        let ended = hurt.expect("a call that does not end").unwrap().result;
        match ends {
            Ends::Right => assert_eq!(ended, Ok(right(n)), "{what}"),
            Ends::Lost => assert!(
                matches!(ended, Err(Failure::Crashed | Failure::MemoryLimit)),
                "{what}: {ended:?}"
            ),
            Ends::Somehow => {}
        }
        let how = match &ended {
            Ok(value) if *value == right(n) => "right",
            Ok(_) => "another value",
            Err(Failure::Threw { .. }) => "threw",
            Err(Failure::Crashed) => "crashed",
            Err(Failure::TimeLimit) => "time",
            Err(Failure::MemoryLimit) => "memory",
            Err(Failure::Overloaded) => panic!("{what}: overloaded"),
        };
        *seen.entry((kind, how)).or_default() += 1;
        waiting_host.gate.close();
        assert_eq!(waiting.await.unwrap().result, Ok(right(n + 1)), "{what}");
        last_host.gate.close();
        assert_eq!(last.await.unwrap().result, Ok(right(n + 2)), "{what}");
        settled(&pool).await;
        assert_eq!(
            (pool.running(), pool.frozen(), pool.waiting()),
            (0, 0, 0),
            "{what}"
        );
    }
    println!("{seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_work_is_given_up() {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), ["mangling"]);
    settings.workers_max = 1;
    let pool = Pool::new(settings);
    let mut lost = 0;
    for round in 1..=rounds() / 8 {
        let kinds = ["random", "cut", "extent", "head", "allocator", "bits"];
        let kind = kinds[round as usize % kinds.len()];
        let what = format!("image-{kind} {round}");
        let n = round as i32;
        let source = format!(
            "exports = () => [typeof mine, new (require('events'))().listenerCount('x'), {n}]"
        );
        let run = async |argument: &str, time_ms: u64| {
            let mut call = call(&source, vec![argument.into()]);
            call.owner = "hurt".into();
            call.limits.time_ms = time_ms;
            let ended = pool.call(call, Arc::new(World::default()));
            let ended = tokio::time::timeout(HANGS, ended).await;
            let ended = ended.expect("a call that does not end").result;
            settled(&pool).await;
            ended
        };
        let wanted = Ok(bson!(["undefined", 0, n]));
        assert_eq!(run(&what, ENDS_MS).await, wanted, "{what}");
        // An image that kills its worker does so once. Others may be anything.
        let mut crashed = 0;
        for _ in 0..3 {
            // The server itself sees that a worker would keep too much of it.
            let ends = matches!(kind, "random" | "extent") || crashed > 0;
            let ended = run("", if ends { ENDS_MS } else { HURT_MS }).await;
            if matches!(ended, Err(Failure::Crashed | Failure::MemoryLimit)) {
                crashed += 1;
            } else if ends {
                assert_eq!(ended, wanted, "{what}");
            }
        }
        assert!(crashed <= 1, "{what}: {crashed} calls were lost");
        assert!(crashed == 0 || kind != "extent", "{what}");
        lost += crashed;
        serves(&pool, &what).await;
    }
    println!("{lost} calls were lost");
    assert!(lost > 0);
}
