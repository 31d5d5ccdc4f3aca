//! Worker processes from the server's side: started on demand, one running call
//! each, killed when a call does not end. A call that only waits for its host
//! makes room for others: its worker hands it over as bytes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::compile::append_code;
use crate::keeper::{Keeper, Process};
use crate::queue::{Admission, Bounds, Queue};
use crate::wire::{MESSAGE_BYTES_MAX, is_shallow, length};
use crate::{
    BoxFuture, Call, Compiled, Entered, Failure, Frame, Host, HostError, Limits, LogLine, Outcome,
};

/// From the time limit to the kill of a worker that has not answered.
const KILL_AFTER: Duration = Duration::from_millis(250);
/// Calls that start at once, for each core: more would only trade places and
/// caches.
const STARTING_PER_CORE: usize = 2;
/// A call that takes longer, or that waits for the host, makes room for
/// another.
const START_TIME: Duration = Duration::from_millis(10);
/// A call that has waited for its host as long gives up its worker when others
/// want it: moving a call costs a tenth of this.
const PATIENCE: Duration = Duration::from_millis(2);
/// Bytes of all calls that gave up their workers.
const FROZEN_BYTES_MAX: usize = 1 << 30;
/// How long the first call may take, the start of its worker included.
const WARM_MS_MAX: u64 = 10_000;
/// Levels of depth.
const DEPTHS: usize = kit::limit::CALL_NESTING_DEPTH_MAX as usize;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// Functions whose code one worker keeps, before those of one more call.
const CODES_PER_WORKER_MAX: usize = 2000;

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
    /// Calls that wait to begin; one more is refused.
    pub waiting_max: usize,
    /// Calls of one owner, whether they run or wait; one more is refused.
    pub calls_of_owner_max: usize,
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
            waiting_max: 20_000,
            calls_of_owner_max: kit::limit::CALLS_OF_APP_MAX,
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The worker processes. Cloning shares them; they end with the last clone.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: PoolSettings,
    keeper: Keeper,
    idle: Mutex<Vec<Worker>>,
    /// One for each level of depth, so that calls never wait for a worker that
    /// waits for them.
    queues: [Arc<Queue>; DEPTHS],
    starting: Semaphore,
    running: AtomicUsize,
    frozen: AtomicUsize,
    frozen_bytes: AtomicUsize,
}

impl Pool {
    /// A pool without workers yet.
    pub fn new(settings: PoolSettings) -> Self {
        let bounds = Bounds {
            running: settings.workers_max.max(1),
            running_of_owner: (settings.workers_max * 3 / 4).max(1),
            calls_of_owner: settings.calls_of_owner_max.max(1),
        };
        Self {
            shared: Arc::new(Shared {
                queues: std::array::from_fn(|_| Arc::new(Queue::new(bounds))),
                starting: Semaphore::new(cores() * STARTING_PER_CORE),
                keeper: Keeper::new(settings.clone()),
                settings,
                idle: Mutex::default(),
                running: AtomicUsize::new(0),
                frozen: AtomicUsize::new(0),
                frozen_bytes: AtomicUsize::new(0),
            }),
        }
    }

    /// Runs a first call in a first worker, so that mistakes in the settings
    /// show at once.
    ///
    /// # Errors
    /// When the program cannot be started or does not answer.
    pub async fn warm(&self) -> io::Result<()> {
        self.put_back(Worker::start(&self.shared.keeper).await?);
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
        match self.call(call, Arc::new(Nobody)).await.result {
            Ok(Bson::Int32(1)) => Ok(()),
            other => Err(io::Error::other(format!("a worker answered {other:?}"))),
        }
    }

    /// Calls that run now, those included that gave up their workers.
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Relaxed)
    }

    /// Calls that gave up their workers while they wait for their hosts.
    pub fn frozen(&self) -> usize {
        self.shared.frozen.load(Ordering::Relaxed)
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
        let starting = self.shared.starting.acquire().await.ok();
        let _running = Counted::new(&self.shared.running, 1);
        let Ok(mut worker) = self.worker().await else {
            return failed(Failure::Crashed);
        };
        let message = worker.message(&call);
        if message.as_bytes().len() > MESSAGE_BYTES_MAX {
            // It did not get the code either.
            worker.codes = Codes::default();
            self.put_back(worker);
            return refused("RangeError: the arguments are too large");
        }
        let limit = tokio::time::Instant::now() + Duration::from_millis(call.limits.time_ms);
        let mut talk = Talk {
            shared: &self.shared,
            queue,
            host: &host,
            replies: None,
            open: 0,
            codes: vec![call.code.clone()],
            starting,
        };
        let mut place = (worker, permit, message.into_bytes());
        loop {
            let (mut worker, permit, message) = place;
            let end = limit.max(tokio::time::Instant::now()) + KILL_AFTER;
            match worker.run(message, &mut talk, end).await {
                Ok(Ran::Done(outcome)) => {
                    drop(permit);
                    self.put_back(worker);
                    return outcome;
                }
                Ok(Ran::Frozen(frozen)) => {
                    drop(permit);
                    let generation = worker.process.generation;
                    self.put_back(worker);
                    let next = self.thawed(&frozen, generation, &mut talk, &admission, limit);
                    match next.await {
                        Ok(next) => place = next,
                        Err(failure) => return failed(failure),
                    }
                }
                Ok(Ran::OutOfMemory) => return failed(Failure::MemoryLimit),
                // Dropping the worker kills it.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return failed(Failure::TimeLimit);
                }
                Err(_) => return failed(Failure::Crashed),
            }
        }
    }

    /// Waits until a frozen call can go on, and finds it a worker.
    async fn thawed(
        &self,
        frozen: &RawDocument,
        generation: u64,
        talk: &mut Talk<'_>,
        admission: &Admission,
        limit: tokio::time::Instant,
    ) -> Result<(Worker, crate::queue::Permit, Vec<u8>), Failure> {
        let _frozen = Counted::new(&self.shared.frozen, 1);
        let bytes = frozen.as_bytes().len();
        let _bytes = Counted::new(&self.shared.frozen_bytes, bytes);
        // Its timer, or its end, which the worker tells about.
        let wake = frozen.get_i64("wake").ok();
        let wake = wake.map(|ns| tokio::time::Instant::now() + Duration::from_nanos(ns as u64));
        let wake = wake.map_or(limit, |wake| wake.min(limit));
        let reply = tokio::select! {
            reply = next(&mut talk.replies), if talk.replies.is_some() => reply,
            () = tokio::time::sleep_until(wake) => None,
        };
        let permit = admission.permit(true).await.ok_or(Failure::Overloaded)?;
        let worker = self.worker().await;
        let mut worker = worker.map_err(|_| Failure::Crashed)?;
        if worker.process.generation != generation {
            return Err(Failure::Crashed);
        }
        let left = limit.saturating_duration_since(tokio::time::Instant::now());
        let mut message = rawdoc! { "k": "thaw", "time_ms": left.as_millis() as i64 };
        for part in [cstr!("state"), cstr!("run")] {
            if let Ok(Some(value)) = frozen.get(part) {
                message.append(part, value);
            }
        }
        let mut codes = RawArrayBuf::new();
        worker.make_room(&mut message);
        for code in &talk.codes {
            let mut entry = RawDocumentBuf::new();
            worker.codes.append(&mut entry, code);
            codes.push(entry);
        }
        message.append(cstr!("codes"), codes);
        let mut message = message.into_bytes();
        if let Some(reply) = reply {
            talk.open -= 1;
            let reply = reply.message(&mut worker.codes, &mut talk.codes);
            message.extend_from_slice(reply.as_bytes());
        }
        Ok((worker, permit, message))
    }

    /// A worker that lives: an idle one, else a new one.
    async fn worker(&self) -> io::Result<Worker> {
        loop {
            let idle = self
                .shared
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(worker) = idle else {
                return Worker::start(&self.shared.keeper).await;
            };
            if worker.is_alive() {
                return Ok(worker);
            }
        }
    }

    fn put_back(&self, worker: Worker) {
        let mut idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.push(worker);
    }
}

/// The host of a call that asks for nothing.
struct Nobody;

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
struct Counted<'a>(&'a AtomicUsize, usize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize, amount: usize) -> Self {
        counter.fetch_add(amount, Ordering::Relaxed);
        Self(counter, amount)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// What a call has with its host, wherever it runs.
struct Talk<'a> {
    shared: &'a Shared,
    queue: &'a Queue,
    host: &'a Arc<dyn Host>,
    /// Most calls ask for nothing and need no channel.
    replies: Option<Replies>,
    /// Operations without a reply yet.
    open: usize,
    /// Code that a worker needs to go on with the call.
    codes: Vec<Arc<Compiled>>,
    /// Given back as soon as the call waits for the host, or has run for a while.
    starting: Option<SemaphorePermit<'a>>,
}

/// How a call's stay in a worker ended.
enum Ran {
    Done(Outcome),
    /// It only waits: the message that another worker goes on from.
    Frozen(RawDocumentBuf),
    OutOfMemory,
}

struct Worker {
    input: Vec<u8>,
    codes: Codes,
    /// Killed when dropped.
    process: Process,
}

impl Worker {
    async fn start(keeper: &Keeper) -> io::Result<Self> {
        Ok(Self {
            input: Vec::new(),
            codes: Codes::default(),
            process: keeper.start().await?,
        })
    }

    /// Whether nothing came from it that nobody asked for: its end.
    fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.process.answers, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// The message that begins a call.
    fn message(&mut self, call: &Call) -> RawDocumentBuf {
        let mut message = rawdoc! {
            "k": "call", "frame": 0,
            "time_ms": call.limits.time_ms as i64, "memory_bytes": call.limits.memory_bytes as i64,
        };
        message.append(cstr!("arguments"), call.arguments.as_ref() as &RawArray);
        message.append(cstr!("context"), call.context.as_ref());
        if let Some(source) = &call.evaluate {
            message.append(cstr!("evaluate"), source.as_str());
        }
        self.make_room(&mut message);
        self.codes.append(&mut message, &call.code);
        message
    }

    /// Lets the worker forget code: between calls, when no function may still
    /// need it.
    fn make_room(&mut self, message: &mut RawDocumentBuf) {
        if self.codes.0.len() >= CODES_PER_WORKER_MAX {
            self.codes = Codes::default();
            message.append(cstr!("forget"), true);
        }
    }

    /// Runs a call until `end` at most, or until it only waits and others want
    /// to run.
    async fn run(
        &mut self,
        message: Vec<u8>,
        talk: &mut Talk<'_>,
        end: tokio::time::Instant,
    ) -> io::Result<Ran> {
        // One timer for all: first the start, then patience, then the end.
        let first = tokio::time::Instant::now() + START_TIME;
        let mut timer = std::pin::pin!(tokio::time::sleep_until(first.min(end)));
        // Whether it has waited for its host for a while.
        let mut patient = true;
        // Whether it was asked to go: replies stay here until it has answered.
        let mut asked = false;
        // Reading goes on while this is written: a worker that sends does not
        // read, so waiting for one before the other could last forever.
        let (mut output, mut sent) = (message, 0);
        loop {
            let crowded = !patient
                && !asked
                && talk.shared.frozen_bytes.load(Ordering::Relaxed) < FROZEN_BYTES_MAX;
            tokio::select! {
                // Time first, whatever a worker sends; then replies, which it
                // is waiting for.
                biased;
                () = &mut timer => {
                    if tokio::time::Instant::now() >= end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    drop(talk.starting.take());
                    patient = false;
                    timer.as_mut().reset(end);
                    if talk.queue.waiting() > 0 {
                        talk.queue.crowded.notify_one();
                    }
                }
                Some(reply) = next(&mut talk.replies), if talk.replies.is_some() && !asked => {
                    talk.open -= 1;
                    let reply = reply.message(&mut self.codes, &mut talk.codes);
                    output.extend_from_slice(reply.as_bytes());
                }
                written = self.process.requests.write(&output[sent..]), if sent < output.len() => {
                    sent += written?;
                    if sent == output.len() {
                        output.clear();
                        sent = 0;
                    }
                }
                message = receive(&mut self.process.answers, &mut self.input) => {
                    drop(talk.starting.take());
                    let message = message?;
                    match message.get_str("k").unwrap_or_default() {
                        "done" => {
                            // The rest of replies that came too late.
                            self.process.requests.write_all(&output[sent..]).await?;
                            return Ok(Ran::Done(outcome(&message)));
                        }
                        "frozen" if asked => return Ok(Ran::Frozen(message)),
                        "awake" if asked => {
                            // JavaScript waits on its stack: once more later.
                            asked = false;
                            patient = true;
                            let wait = tokio::time::Instant::now() + PATIENCE;
                            timer.as_mut().reset(wait.min(end));
                        }
                        "aborted" => return Ok(Ran::OutOfMemory),
                        "host" | "enter" => {
                            talk.open += 1;
                            let (replies, _) = talk.replies.get_or_insert_with(mpsc::unbounded_channel);
                            serve(&message, talk.host, replies);
                            if patient {
                                let wait = tokio::time::Instant::now() + PATIENCE;
                                timer.as_mut().reset(wait.min(end));
                            }
                        }
                        _ => return Err(io::Error::other("an unknown message")),
                    }
                }
                () = talk.queue.crowded.notified(), if crowded => {
                    if talk.queue.waiting() > 0 {
                        asked = true;
                        output.extend_from_slice(rawdoc! { "k": "freeze" }.as_bytes());
                    }
                }
            }
        }
    }
}

/// Replies of host operations, and where they come out.
type Replies = (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>);

async fn next(replies: &mut Option<Replies>) -> Option<Reply> {
    match replies {
        Some((_, ready)) => ready.recv().await,
        None => None,
    }
}

/// What code a worker has.
#[derive(Default)]
struct Codes(HashSet<[u8; 32]>);

impl Codes {
    /// Puts code into a message, or only its hash when the worker has it.
    fn append(&mut self, message: &mut RawDocumentBuf, code: &Compiled) {
        let new = self.0.insert(code.hash);
        append_code(message, code, new);
    }
}

enum Answered {
    Value(RawBson),
    Entered(Box<Entered>),
}

struct Reply {
    id: i32,
    result: Result<Answered, HostError>,
}

impl Reply {
    /// The message for a worker; code that comes with it is added to what the
    /// call needs.
    fn message(self, codes: &mut Codes, needed: &mut Vec<Arc<Compiled>>) -> RawDocumentBuf {
        let mut message = rawdoc! { "k": "reply", "id": self.id };
        match self.result {
            Ok(Answered::Value(value)) => message.append(cstr!("value"), value),
            Ok(Answered::Entered(entered)) => {
                message.append(cstr!("frame"), entered.frame as i32);
                message.append(cstr!("context"), entered.context);
                codes.append(&mut message, &entered.code);
                if !needed.iter().any(|known| known.hash == entered.code.hash) {
                    needed.push(entered.code);
                }
            }
            Err(error) => {
                let error = rawdoc! {
                    "name": error.name, "message": error.message, "code": error.code,
                };
                message.append(cstr!("error"), error);
            }
        }
        if message.as_bytes().len() > MESSAGE_BYTES_MAX {
            *codes = Codes::default();
            let error = HostError {
                name: "RangeError".to_owned(),
                ..HostError::new("the result is too large")
            };
            return Self {
                id: self.id,
                result: Err(error),
            }
            .message(codes, needed);
        }
        message
    }
}

/// Starts a host operation; its reply comes through the channel, whose end
/// also ends operations of a call that is over.
fn serve(message: &RawDocument, host: &Arc<dyn Host>, replies: &mpsc::UnboundedSender<Reply>) {
    let id = message.get_i32("id").unwrap_or(0);
    let frame = message.get_i32("frame").unwrap_or(0) as u32;
    let (host, replies) = (host.clone(), replies.clone());
    let name = message.get_str("name").ok().map(str::to_owned);
    let operation = message.get_str("op").unwrap_or_default().to_owned();
    let arguments = message.get_document("args").map(ToOwned::to_owned);
    let arguments = arguments.unwrap_or_default();
    let work: BoxFuture<'static, Result<Answered, HostError>> = match name {
        Some(name) => Box::pin(async move {
            let entered = host.enter(frame, &name).await?;
            Ok(Answered::Entered(Box::new(entered)))
        }),
        None => Box::pin(async move {
            host.call(frame, &operation, arguments)
                .await
                .map(Answered::Value)
        }),
    };
    tokio::spawn(async move {
        let closed = replies.clone();
        tokio::select! {
            result = work => {
                let _ = replies.send(Reply { id, result });
            }
            () = closed.closed() => {}
        }
    });
}

async fn receive(
    from: &mut (impl AsyncRead + Unpin),
    input: &mut Vec<u8>,
) -> io::Result<RawDocumentBuf> {
    loop {
        let mut more = READ_BYTES;
        if let Some(length) = length(input)? {
            if input.len() >= length {
                let rest = input.split_off(length);
                let message = std::mem::replace(input, rest);
                let message = RawDocumentBuf::from_bytes(message).map_err(io::Error::other)?;
                if !is_shallow(&message) {
                    return Err(io::Error::other("a message that is nested too deeply"));
                }
                return Ok(message);
            }
            more = more.max(length - input.len());
        }
        input.reserve(more);
        if from.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn outcome(message: &RawDocument) -> Outcome {
    let flag = |name| message.get_bool(name).unwrap_or(false);
    let result = if flag("time_limit") {
        Err(Failure::TimeLimit)
    } else if flag("memory_limit") {
        Err(Failure::MemoryLimit)
    } else {
        match message.get_document("error") {
            Ok(error) => {
                let text = |name| error.get_str(name).unwrap_or_default().to_owned();
                Err(Failure::Threw {
                    message: text("message"),
                    stack: text("stack"),
                    code: text("code"),
                })
            }
            Err(_) => match message.get("value") {
                Ok(Some(value)) => Ok(Bson::try_from(value).unwrap_or(Bson::Null)),
                _ => Ok(Bson::Undefined),
            },
        }
    };
    let mut logs = Vec::new();
    for line in message.get_array("logs").into_iter().flatten().flatten() {
        let Some(line) = line.as_document() else {
            continue;
        };
        logs.push(LogLine {
            is_error: line.get_bool("error").unwrap_or(false),
            text: line.get_str("text").unwrap_or_default().to_owned(),
        });
    }
    let number = |name| message.get_i64(name).unwrap_or(0) as u64;
    Outcome {
        result,
        logs,
        time_us: number("us"),
        memory_bytes: number("memory"),
    }
}
