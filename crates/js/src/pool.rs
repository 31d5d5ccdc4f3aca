//! Worker processes from the server's side: started on demand, one running call
//! each, killed when a call does not end. A call that only waits for its host
//! makes room for others: its worker hands it over as bytes.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};

use crate::company::Company;
use crate::frozen::Frozen;
use crate::keeper::Keeper;
use crate::learned::{self, Image, Learned};
use crate::queue::{Admission, Bounds, Permit, Queue};
use crate::shares::Shares;
use crate::talk::{Codes, Images, Ran, Talk, Worker, next};
use crate::wire::MESSAGE_BYTES_MAX;
use crate::{BoxFuture, Call, Entered, Failure, Frame, Host, HostError, Limits, Outcome};

/// Calls that start at once, for each core.
const STARTING_PER_CORE: usize = 5;
/// Those of one owner in company: with more, calls of others wait behind them.
const STARTING_PER_CORE_OF_OWNER: usize = 2;
/// Those of an owner who is alone: with fewer, processes wait for each other.
const STARTING_PER_CORE_ALONE: usize = 8;
/// How long the first call may take, the start of its worker included.
const WARM_MS_MAX: u64 = 10_000;
/// How long modules may take to load ahead.
const BUILD_MS_MAX: u64 = 20_000;
/// How often a call is given another worker because one was gone.
const TRIES_MAX: u32 = 3;
/// Levels of depth.
const DEPTHS: usize = kit::limit::CALL_NESTING_DEPTH_MAX as usize;

/// How workers are started and how many there may be.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Worker processes, and so calls that run at once; as many again for each
    /// level of [`Call::depth`]. One owner gets three quarters of them.
    pub workers_max: usize,
    /// Workers that are ready for the next calls, beside those that have one.
    pub ready_min: usize,
    /// Calls that wait to begin; one more is refused.
    pub waiting_max: usize,
    /// Calls of one owner, whether they run or wait; one more is refused.
    pub calls_of_owner_max: usize,
    /// Bytes of calls that gave up their workers; one owner gets three quarters
    /// of them. More calls keep their workers while they wait.
    pub frozen_bytes_max: usize,
}

impl PoolSettings {
    /// This program started as `program worker`, with the usual numbers.
    ///
    /// # Errors
    /// When the program's own path is not known.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, ["worker"]))
    }

    /// A program with arguments, and the usual numbers.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            workers_max: (cores() * 8).max(16),
            ready_min: 1,
            waiting_max: 20_000,
            calls_of_owner_max: kit::limit::CALLS_OF_APP_MAX,
            frozen_bytes_max: 1 << 30,
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// A worker, the right to use it, and the message that it goes on from.
type Place = (Worker, Permit, Vec<u8>);

/// The worker processes. Cloning shares them; they end with the last clone.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: PoolSettings,
    keeper: Keeper,
    idle: Mutex<Idle>,
    /// One for each level of depth, so that calls never wait for a worker that
    /// waits for them.
    queues: [Arc<Queue>; DEPTHS],
    /// Those who start; owners take turns here too.
    starting: Arc<Queue>,
    /// Those of an owner who is alone.
    starting_alone: Arc<Queue>,
    /// Those of owners who compute more than their share.
    starting_behind: Arc<Queue>,
    company: Company,
    shares: Shares,
    running: AtomicUsize,
    frozen: Frozen,
    learned: Learned,
}

/// Workers without a call.
#[derive(Default)]
struct Idle {
    ready: Vec<Worker>,
    /// Those who stand back behind all others.
    behind: Vec<Worker>,
    /// Whether one more is on its way.
    is_warming: bool,
}

impl Pool {
    /// A pool without workers yet.
    pub fn new(settings: PoolSettings) -> Self {
        let bounds = Bounds {
            running: settings.workers_max.max(1),
            running_of_owner: (settings.workers_max * 3 / 4).max(1),
            calls_of_owner: settings.calls_of_owner_max.max(1),
        };
        let starting = |running: usize, running_of_owner: usize| {
            Arc::new(Queue::new(Bounds {
                running: running.max(1),
                running_of_owner: running_of_owner.max(1),
                calls_of_owner: usize::MAX,
            }))
        };
        Self {
            shared: Arc::new(Shared {
                queues: std::array::from_fn(|_| Arc::new(Queue::new(bounds))),
                starting: starting(
                    cores() * STARTING_PER_CORE,
                    cores() * STARTING_PER_CORE_OF_OWNER - 1,
                ),
                starting_alone: starting(
                    cores() * STARTING_PER_CORE_ALONE,
                    cores() * STARTING_PER_CORE_ALONE - 1,
                ),
                // They leave a core to others.
                starting_behind: starting(cores() - 1, cores().saturating_sub(2)),
                company: Company::default(),
                shares: Shares::new(cores()),
                keeper: Keeper::new(settings.clone()),
                frozen: Frozen::new(settings.frozen_bytes_max),
                settings,
                idle: Mutex::default(),
                running: AtomicUsize::new(0),
                learned: Learned::default(),
            }),
        }
    }

    /// Runs a first call in a first worker, so that mistakes in the settings
    /// show at once.
    ///
    /// # Errors
    /// When the program cannot be started or does not answer.
    pub async fn warm(&self) -> io::Result<()> {
        self.put_back(self.warmed().await?);
        Ok(())
    }

    /// A new worker that has run a call: the first one costs several times what
    /// others do.
    async fn warmed(&self) -> io::Result<Worker> {
        let mut worker = Worker::start(&self.shared.keeper).await?;
        let code = crate::compile("warm.js", "exports = () => 1").map_err(io::Error::other)?;
        let call = Call {
            owner: Arc::from(""),
            code: Arc::new(code),
            arguments: RawArrayBuf::new(),
            context: RawDocumentBuf::new(),
            limits: Limits {
                time_ms: WARM_MS_MAX,
                ..Limits::default()
            },
            evaluate: None,
            depth: 0,
        };
        let message = worker.message(&call, None).into_bytes();
        let host: Arc<dyn Host> = Arc::new(Nobody);
        let mut talk = self.talk(&call.owner, &self.shared.queues[0], &host);
        let limit = tokio::time::Instant::now() + Duration::from_millis(WARM_MS_MAX);
        let Ran::Done(outcome, _) = worker.run(message, &mut talk, limit).await? else {
            return Err(io::Error::other("a worker does not end a call"));
        };
        match outcome.result {
            Ok(Bson::Int32(1)) => Ok(worker),
            other => Err(io::Error::other(format!("a worker answered {other:?}"))),
        }
    }

    /// What a call has with its host.
    fn talk<'a>(
        &'a self,
        owner: &'a Arc<str>,
        queue: &'a Queue,
        host: &'a Arc<dyn Host>,
    ) -> Talk<'a> {
        Talk {
            owner,
            frozen: &self.shared.frozen,
            queue,
            shares: &self.shared.shares,
            host,
            replies: None,
            open: 0,
            codes: Vec::new(),
            starting: None,
            computed: Duration::ZERO,
        }
    }

    /// Calls that run now, those included that gave up their workers.
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Relaxed)
    }

    /// Calls that gave up their workers while they wait for their hosts.
    pub fn frozen(&self) -> usize {
        self.shared.frozen.calls()
    }

    /// Bytes that those hold.
    pub fn frozen_bytes(&self) -> usize {
        self.shared.frozen.bytes()
    }

    /// Functions whose modules are loaded ahead of their calls.
    pub fn prepared(&self) -> usize {
        self.shared.learned.images()
    }

    /// Whether modules are being loaded ahead now.
    pub fn preparing(&self) -> bool {
        self.shared.learned.building()
    }

    /// Calls that wait for a worker now.
    pub fn waiting(&self) -> usize {
        self.shared.queues.iter().map(|queue| queue.waiting()).sum()
    }

    /// Runs a call in a worker of its own. Dropping the future kills the call.
    pub async fn call(&self, call: Call, host: Arc<dyn Host>) -> Outcome {
        let start = Instant::now();
        let failed = |failure| Outcome {
            result: Err(failure),
            logs: Vec::new(),
            time_us: start.elapsed().as_micros() as u64,
            memory_bytes: 0,
        };
        let refused = |text: &str| {
            failed(Failure::Threw {
                message: text.to_owned(),
                stack: String::new(),
                code: String::new(),
            })
        };
        let Some(queue) = self.shared.queues.get(call.depth as usize) else {
            return refused("functions that rules call are nested too deeply");
        };
        if queue.waiting() >= self.shared.settings.waiting_max {
            return failed(Failure::Overloaded);
        }
        let Some(admission) = queue.admit(&call.owner) else {
            return failed(Failure::Overloaded);
        };
        let Some(permit) = admission.permit(false).await else {
            return failed(Failure::Overloaded);
        };
        let is_alone = self.shared.company.is_alone(&call.owner, start);
        let starting = if self.shared.shares.is_heavy(&call.owner, start) {
            &self.shared.starting_behind
        } else if is_alone {
            &self.shared.starting_alone
        } else {
            &self.shared.starting
        };
        let starting = match starting.admit(&call.owner) {
            Some(start) => start.permit(false).await,
            None => None,
        };
        let _running = Counted::new(&self.shared.running);
        let function = learned::key(&call);
        let limit = tokio::time::Instant::now() + Duration::from_millis(call.limits.time_ms);
        let mut talk = self.talk(&call.owner, queue, &host);
        talk.codes.push(call.code.clone());
        talk.starting = starting;
        let (mut place, mut image) = match self.place(&call, &function, permit).await {
            Ok(begun) => begun,
            Err(Some(text)) => return refused(text),
            Err(None) => return failed(Failure::Crashed),
        };
        let mut tries = 0;
        loop {
            let (mut worker, permit, message) = place;
            let now = tokio::time::Instant::now();
            let until = limit.max(now);
            let failure = match worker.run(message, &mut talk, until).await {
                Ok(Ran::Done(outcome, loaded)) => {
                    drop(permit);
                    self.put_back(worker);
                    self.learn(function, &call, loaded, &host);
                    return outcome;
                }
                // It was to end, and waits once more: it would for ever.
                Ok(Ran::Frozen(_)) if now >= limit => return failed(Failure::TimeLimit),
                Ok(Ran::Frozen(frozen)) => {
                    tries = TRIES_MAX;
                    drop(permit);
                    let generation = worker.process.generation;
                    self.put_back(worker);
                    let next = self.thawed(
                        &frozen,
                        image.as_deref(),
                        generation,
                        &mut talk,
                        &admission,
                        limit,
                    );
                    match next.await {
                        Ok(next) => place = next,
                        Err(failure) => return failed(failure),
                    }
                    continue;
                }
                // It was gone before its call.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe && tries < TRIES_MAX => {
                    tries += 1;
                    let Ok(begun) = self.place(&call, &function, permit).await else {
                        return failed(Failure::Crashed);
                    };
                    (place, image) = begun;
                    continue;
                }
                // Dropping the worker kills it.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return failed(Failure::TimeLimit);
                }
                Ok(Ran::OutOfMemory) => Failure::MemoryLimit,
                Ok(Ran::Image(_)) | Err(_) => Failure::Crashed,
            };
            if image.is_some() {
                // It may be the image, and would be in every call.
                self.shared.learned.forget(&function);
            }
            return failed(failure);
        }
    }

    /// Finds a call its first worker, with the message that begins it; else what
    /// is wrong with the call, or nothing when there is no worker.
    async fn place(
        &self,
        call: &Call,
        function: &learned::Key,
        permit: Permit,
    ) -> Result<(Place, Option<Arc<Image>>), Option<&'static str>> {
        let worker = self.worker(&call.owner).await;
        let mut worker = worker.map_err(|_| None)?;
        let generation = worker.process.generation;
        let image = self.shared.learned.image(function, generation);
        let message = worker.message(call, image.as_deref());
        if message.as_bytes().len() > MESSAGE_BYTES_MAX {
            // It did not get the code either.
            worker.codes = Codes::default();
            worker.images = Images::default();
            self.put_back(worker);
            return Err(Some("RangeError: the arguments are too large"));
        }
        Ok(((worker, permit, message.into_bytes()), image))
    }

    /// Learns what a call loaded: makes an image of it, in the background.
    fn learn(
        &self,
        function: learned::Key,
        call: &Call,
        loaded: Vec<String>,
        host: &Arc<dyn Host>,
    ) {
        let Some(modules) = self.shared.learned.loaded(&function, loaded) else {
            return;
        };
        let mut ids = RawArrayBuf::new();
        for id in &modules {
            ids.push(id.as_str());
        }
        let mut message = rawdoc! {
            "k": "build", "frame": 0, "time_ms": BUILD_MS_MAX as i64, "modules": ids,
        };
        message.append(cstr!("context"), call.context.as_ref());
        let (pool, owner, host) = (self.clone(), call.owner.clone(), host.clone());
        tokio::spawn(async move {
            let image = pool.build(message.into_bytes(), owner, &host).await;
            pool.shared.learned.built(&function, image);
        });
    }

    /// Makes an image in a worker that nobody needs.
    async fn build(
        &self,
        message: Vec<u8>,
        owner: Arc<str>,
        host: &Arc<dyn Host>,
    ) -> Option<Image> {
        let queue = &self.shared.queues[0];
        let admission = queue.admit(&owner)?;
        let permit = admission.permit(false).await?;
        let mut worker = self.worker(&owner).await.ok()?;
        let mut talk = self.talk(&owner, queue, host);
        let limit = tokio::time::Instant::now() + Duration::from_millis(BUILD_MS_MAX);
        let Ok(Ran::Image(image)) = worker.run(message, &mut talk, limit).await else {
            return None;
        };
        let generation = worker.process.generation;
        drop(permit);
        self.put_back(worker);
        Image::new(image?, generation)
    }

    /// Waits until a frozen call can go on, and finds it a worker.
    async fn thawed(
        &self,
        frozen: &RawDocument,
        image: Option<&Image>,
        generation: u64,
        talk: &mut Talk<'_>,
        admission: &Admission,
        limit: tokio::time::Instant,
    ) -> Result<Place, Failure> {
        let bytes = frozen.as_bytes().len();
        let _held = self.shared.frozen.hold(talk.owner, bytes);
        // Its timer, or its end, which the worker tells about.
        let wake = frozen.get_i64("wake").ok();
        let wake = wake.map(|ns| tokio::time::Instant::now() + Duration::from_nanos(ns as u64));
        let wake = wake.map_or(limit, |wake| wake.min(limit));
        let reply = tokio::select! {
            reply = next(&mut talk.replies), if talk.replies.is_some() => reply,
            () = tokio::time::sleep_until(wake) => None,
        };
        let permit = admission.permit(true).await.ok_or(Failure::Overloaded)?;
        let worker = self.worker(talk.owner).await;
        let mut worker = worker.map_err(|_| Failure::Crashed)?;
        if worker.process.generation != generation {
            return Err(Failure::Crashed);
        }
        let left = limit.saturating_duration_since(tokio::time::Instant::now());
        let message = worker.thaw(frozen, image, left, reply, talk);
        Ok((worker, permit, message))
    }

    /// A worker that lives, for a call of an owner: an idle one, else a new one.
    /// Those who compute more than their share have workers of their own, which
    /// stand back.
    async fn worker(&self, owner: &Arc<str>) -> io::Result<Worker> {
        let heavy = self.shared.shares.is_heavy(owner, Instant::now());
        loop {
            let idle = {
                let mut idle = self.idle();
                if heavy {
                    idle.behind.pop()
                } else {
                    let worker = idle.ready.pop();
                    if idle.ready.len() < self.shared.settings.ready_min && !idle.is_warming {
                        idle.is_warming = true;
                        self.keep_ready();
                    }
                    worker
                }
            };
            let mut worker = match idle {
                Some(worker) if !worker.is_alive() => continue,
                Some(worker) => worker,
                None => Worker::start(&self.shared.keeper).await?,
            };
            if heavy {
                worker.process.stand_back();
            }
            return Ok(worker);
        }
    }

    /// Starts a worker for whoever comes next: workers are lost to those who
    /// compute more than their share.
    fn keep_ready(&self) {
        let pool = self.clone();
        tokio::spawn(async move {
            let worker = pool.warmed().await;
            pool.idle().is_warming = false;
            // Without it, the next call starts one.
            if let Ok(worker) = worker {
                pool.put_back(worker);
            }
        });
    }

    fn put_back(&self, worker: Worker) {
        let mut idle = self.idle();
        if !worker.process.stands_back() {
            idle.ready.push(worker);
        } else if idle.behind.len() < self.shared.settings.workers_max {
            idle.behind.push(worker);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of calls that ask for nothing: whatever they ask for is an error.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Host for Nobody {
    fn call(
        &self,
        _: Frame,
        _: &str,
        _: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        Box::pin(async { Err(HostError::new("there is no host")) })
    }

    fn enter(&self, _: Frame, _: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        Box::pin(async { Err(HostError::new("there is no host")) })
    }
}

/// Counts for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
