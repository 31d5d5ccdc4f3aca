//! Hostile programs from `hostile/*.txt`: each gets an error of its own or
//! nothing that it wanted, and the next call is served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Bson, RawBson, RawDocumentBuf};
use js::{BoxFuture, Call, Entered, Failure, Frame, Host, HostError, Outcome};

use crate::frozen::narrow;
use crate::{World, call, pool, serves};

/// From a call's limit to its end at the latest.
const LATE_MAX: Duration = Duration::from_millis(1100);
/// Memory that programs have: enough to load every module.
const MEMORY_BYTES: usize = 64 << 20;
/// What a realm has of its own, and room to tell an error.
const SPARE_BYTES: usize = 16 << 20;

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

fn world() -> World {
    World::default()
        .with(
            "again",
            "exports = (v) => context.functions.execute('again', v)",
            false,
        )
        .with("calls", "exports = (f) => f()", true)
}

/// Runs programs, two at once; `wrong` tells what is wrong with an outcome.
async fn each(text: &'static str, time_ms: u64, wrong: impl Fn(&Outcome) -> bool) {
    let pool = pool();
    let mut found = Vec::new();
    let mut late = Vec::new();
    let programs: Vec<_> = lines(text).collect();
    for several in programs.chunks(2) {
        let runs = several.iter().map(|source| {
            let (pool, source) = (pool.clone(), *source);
            tokio::spawn(async move {
                let mut call = call(source, Vec::new());
                call.limits.time_ms = time_ms;
                call.limits.memory_bytes = MEMORY_BYTES;
                let start = Instant::now();
                let outcome = pool.call(call, Arc::new(world())).await;
                (source, outcome, start.elapsed())
            })
        });
        for run in runs.collect::<Vec<_>>() {
            let (source, outcome, time) = run.await.unwrap();
            let over = outcome.memory_bytes > (MEMORY_BYTES + SPARE_BYTES) as u64;
            if wrong(&outcome) || over {
                let memory = outcome.memory_bytes >> 20;
                let text = format!("{:?}", outcome.result);
                let text: String = text.chars().take(300).collect();
                found.push(format!("{source}: {text} after {time:?}, {memory} MiB"));
            }
            if time > Duration::from_millis(time_ms) + LATE_MAX {
                late.push(format!("{source}: {time:?}"));
            }
            serves(&pool, source).await;
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    // The machine may have been busy with others; it is not always.
    assert!(late.len() <= 2, "{}", late.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runaways_in_modules_are_stopped() {
    each(include_str!("hostile/runaways.txt"), 200, |outcome| {
        outcome.result != Err(Failure::TimeLimit)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_meet_a_limit() {
    each(include_str!("hostile/bombs.txt"), 600, |outcome| {
        !matches!(
            outcome.result,
            Err(Failure::MemoryLimit | Failure::TimeLimit | Failure::Threw { .. })
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recursion_of_every_kind_is_an_error() {
    each(include_str!("hostile/recursions.txt"), 5000, |outcome| {
        !matches!(
            outcome.result,
            Err(Failure::MemoryLimit | Failure::Threw { .. })
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_and_lazy_globals_leave_no_trace() {
    // One worker, so that both calls share a realm if anything does.
    let pool = narrow(1);
    let mut wrong = Vec::new();
    for line in lines(include_str!("hostile/traces.txt")) {
        let (leave, find) = line.split_once(" ==> ").unwrap();
        let mut leaving = call(&format!("exports = async () => {{ {leave} }}"), Vec::new());
        leaving.limits.time_ms = 300;
        let left = pool.call(leaving, Arc::new(World::default())).await;
        // A way that does not even run leaves nothing.
        if let Err(failure @ Failure::Threw { .. }) = &left.result
            && !leave.contains("leak')")
        {
            wrong.push(format!("{leave}: {failure:?}"));
        }
        let found = pool
            .call(
                call(&format!("exports = () => {find}"), Vec::new()),
                Arc::new(World::default()),
            )
            .await;
        if found.result != Ok(Bson::from("undefined")) || !found.logs.is_empty() {
            wrong.push(format!("{leave}: {:?} {:?}", found.result, found.logs));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A host that looks at who asks.
struct Watch {
    world: World,
    wrong: std::sync::Mutex<Vec<String>>,
}

impl Host for Watch {
    fn call(
        &self,
        frame: Frame,
        operation: &str,
        arguments: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        let text = format!("{arguments:?}");
        // Frames other than the caller's ask for what the system's functions say,
        // and those never say this.
        if frame != 0 && text.contains("mine") {
            let wrong = format!("{operation} in frame {frame}: {text}");
            self.wrong.lock().unwrap().push(wrong);
        }
        if operation.starts_with("net") || operation.starts_with("tls") || operation == "dns" {
            return Box::pin(async { Err(HostError::new("not allowed")) });
        }
        self.world.call(frame, operation, arguments)
    }

    fn enter(&self, frame: Frame, name: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        self.world.enter(frame, name)
    }
}

fn escape(program: &str) -> Call {
    let head = include_str!("hostile/head.js");
    let source = format!(
        "{head}\nexports = async function () {{\n{program}\nreturn found.slice(0, 20).map(String);\n}}"
    );
    let mut call = call(&source, Vec::new());
    call.limits.time_ms = 60_000;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn escapes_of_other_sandboxes_reach_nothing() {
    let pool = pool();
    let text = include_str!("hostile/escapes.txt");
    let programs: Vec<_> = text
        .strip_prefix("=== ")
        .unwrap()
        .split("\n=== ")
        .map(|part| part.split_once('\n').unwrap())
        .collect();
    assert!(programs.len() >= 60);
    let mut wrong = Vec::new();
    for several in programs.chunks(4) {
        let runs = several.iter().map(|(name, program)| {
            let (pool, call, name) = (pool.clone(), escape(program), *name);
            let world = world().with(
                "system",
                "exports = async (v) => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); await c.findOne({ by: 'system' }); return typeof v === 'function' ? v() : 1 }",
                true,
            );
            tokio::spawn(async move {
                let host = Arc::new(Watch {
                    world,
                    wrong: std::sync::Mutex::default(),
                });
                let outcome = pool.call(call, host.clone()).await;
                (name, outcome, host)
            })
        });
        for run in runs.collect::<Vec<_>>() {
            let (name, outcome, host) = run.await.unwrap();
            let asked = host.wrong.lock().unwrap().clone();
            if outcome.result != Ok(Bson::Array(Vec::new())) || !asked.is_empty() {
                wrong.push(format!("{name}: {:?} {asked:?}", outcome.result));
            }
            serves(&pool, name).await;
        }
    }
    // What finds nothing has to be able to find something.
    let planted = "reach({ deep: { natives: Object.defineProperty(() => 0, 'name', { value: 'x' }), builtin: 1, sync: 2 } });\n\
                   never({}.polluted === undefined, 'a plant');";
    let outcome = pool.call(escape(planted), Arc::new(world())).await;
    let Ok(Bson::Array(found)) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
