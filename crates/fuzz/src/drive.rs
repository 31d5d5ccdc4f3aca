//! Many programs on several databases at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::doc;
use engine::SharedEngine;
use engine_embedded::Embedded;
use engine_mongo::{Mongo, Settings};
use kit::SystemClock;
use testkit::mongod::Mongod;

use crate::generate::Program;
use crate::run::{Recorded, Side, record, replay};
use crate::tally::Tally;

/// Programs that run at a time.
const WORKERS: usize = 4;

/// A real mongod, spoken to through the MongoDB engine.
pub struct Theirs {
    /// Stops with this value.
    _server: Mongod,
    engine: SharedEngine,
}

impl Theirs {
    /// Starts one; `None` when there is none.
    ///
    /// # Panics
    /// When there is one and it does not start.
    pub async fn start() -> Option<Self> {
        let server = Mongod::start().await?;
        let mongo = Mongo::connect(Settings::new(server.uri())).await;
        let engine: SharedEngine = Arc::new(mongo.expect("connects"));
        Some(Self {
            _server: server,
            engine,
        })
    }

    /// A database of it.
    pub fn side(&self, name: &str) -> Side {
        Side {
            engine: self.engine.clone(),
            database: format!("fuzz_{name}"),
        }
    }
}

/// A database of an embedded engine in memory.
///
/// # Panics
/// When it does not open.
pub fn ours(name: &str) -> Side {
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    Side {
        engine: Arc::new(engine),
        database: format!("fuzz_{name}"),
    }
}

/// Runs programs, until so many operations were compared. `None` without a
/// mongod.
///
/// There are commands that end a mongod 6.0. Its programs are run again, alone
/// on a new one, and the one that ends it is in the tally's `lost`.
///
/// # Panics
/// When a worker ends early.
pub async fn compare(
    operations: usize,
    program: impl Fn(u64) -> Program + Send + Sync + 'static,
) -> Option<Tally> {
    let program: Arc<dyn Fn(u64) -> Program + Send + Sync> = Arc::new(program);
    let next = Arc::new(AtomicU64::new(0));
    let mut all = Tally::default();
    while all.ran < operations {
        let theirs = Theirs::start().await?;
        let left = operations - all.ran;
        let (tally, again) = together(&theirs, left, &next, &program).await;
        all.add(tally);
        for number in again {
            let theirs = Theirs::start().await?;
            let program = program(number);
            match record(&theirs.side("alone"), &program).await {
                Ok(recorded) => all.add(replay(&ours("alone"), &recorded).await),
                Err(gone) => all
                    .lost
                    .push(format!("{:?} {}: {gone}", program.area, program.seed)),
            }
        }
    }
    Some(all)
}

/// Runs programs on a server, as long as it is there. The numbers of those that
/// were not done.
async fn together(
    theirs: &Theirs,
    operations: usize,
    next: &Arc<AtomicU64>,
    program: &Arc<dyn Fn(u64) -> Program + Send + Sync>,
) -> (Tally, Vec<u64>) {
    let ran = Arc::new(AtomicU64::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (next, ran, program) = (next.clone(), ran.clone(), program.clone());
        let name = worker.to_string();
        let (theirs, ours) = (theirs.side(&name), ours(&name));
        workers.spawn(async move {
            let mut all = Tally::default();
            while ran.load(Ordering::Relaxed) < operations as u64 {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Ok(recorded) = record(&theirs, &program(number)).await else {
                    return (all, Some(number));
                };
                let tally = replay(&ours, &recorded).await;
                ran.fetch_add(tally.ran as u64, Ordering::Relaxed);
                all.add(tally);
            }
            let _ = theirs.run(&doc! { "dropDatabase": 1 }).await;
            (all, None)
        });
    }
    let (mut all, mut again) = (Tally::default(), Vec::new());
    while let Some(ended) = workers.join_next().await {
        let (tally, undone) = ended.expect("a worker ends");
        all.add(tally);
        again.extend(undone);
    }
    (all, again)
}

/// Records programs on a server.
///
/// # Panics
/// When the server goes away.
pub async fn record_all(theirs: &Theirs, programs: Vec<Program>) -> Vec<Recorded> {
    let side = theirs.side("tape");
    let mut recorded = Vec::new();
    for program in programs {
        let one = record(&side, &program).await;
        recorded.push(one.unwrap_or_else(|gone| panic!("{gone}")));
    }
    recorded
}

/// Replays recorded programs on the embedded engine.
///
/// # Panics
/// When a worker ends early.
pub async fn replay_all(programs: Vec<Recorded>) -> Tally {
    let mut workers = tokio::task::JoinSet::new();
    let programs = Arc::new(programs);
    for worker in 0..WORKERS {
        let programs = programs.clone();
        workers.spawn(async move {
            let side = ours("tape");
            let mut all = Tally::default();
            for recorded in programs.iter().skip(worker).step_by(WORKERS) {
                all.add(replay(&side, recorded).await);
            }
            all
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = workers.join_next().await {
        all.add(tally.expect("a worker ends"));
    }
    all
}
