//! Worker processes from the server's side: started on demand, one call each,
//! killed when a call does not end.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::compile::append_code;
use crate::wire::{MESSAGE_BYTES_MAX, is_shallow, length};
use crate::{
    BoxFuture, Call, Compiled, Entered, Failure, Frame, Host, HostError, Limits, LogLine, Outcome,
};

/// From the time limit to the kill of a worker that has not answered.
const KILL_AFTER: Duration = Duration::from_millis(250);
/// How long a process that closed its pipes may take to end: giving gigabytes
/// back takes a while on a busy machine.
const ENDING_MAX: Duration = Duration::from_secs(10);
/// Calls that start at once, for each core: more would only trade places and
/// caches.
const STARTING_PER_CORE: usize = 2;
/// A call that takes longer, or that waits for the host, makes room for
/// another.
const START_TIME: Duration = Duration::from_millis(10);
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
    /// level of [`Call::depth`].
    pub workers_max: usize,
    /// Calls that wait for a worker; one more is refused.
    pub waiting_max: usize,
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
            waiting_max: 10_000,
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
    idle: Mutex<Vec<Worker>>,
    /// One for each level of depth, so that calls never wait for a worker that
    /// waits for them.
    permits: [Semaphore; DEPTHS],
    starting: Semaphore,
    waiting: AtomicUsize,
    running: AtomicUsize,
}

impl Pool {
    /// A pool without workers yet.
    pub fn new(settings: PoolSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                permits: std::array::from_fn(|_| Semaphore::new(settings.workers_max.max(1))),
                starting: Semaphore::new(cores() * STARTING_PER_CORE),
                settings,
                idle: Mutex::default(),
                waiting: AtomicUsize::new(0),
                running: AtomicUsize::new(0),
            }),
        }
    }

    /// Runs a first call in a first worker, so that mistakes in the settings
    /// show at once.
    ///
    /// # Errors
    /// When the program cannot be started or does not answer.
    pub async fn warm(&self) -> io::Result<()> {
        self.put_back(Worker::start(&self.shared.settings)?);
        let code = crate::compile("warm.js", "exports = () => 1").map_err(io::Error::other)?;
        let call = Call {
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

    /// Calls that run now.
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Relaxed)
    }

    /// Calls that wait for a worker now.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
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
        let Some(permits) = self.shared.permits.get(call.depth as usize) else {
            return refused("functions that rules call are nested too deeply");
        };
        let Ok(permit) = self.permit(permits).await else {
            return failed(Failure::Overloaded);
        };
        let starting = {
            let _waiting = Counted::new(&self.shared.waiting);
            self.shared.starting.acquire().await.ok()
        };
        let _running = Counted::new(&self.shared.running);
        let Ok(mut worker) = self.worker() else {
            return failed(Failure::Crashed);
        };
        let message = worker.message(&call);
        if message.as_bytes().len() > MESSAGE_BYTES_MAX {
            // It did not get the code either.
            worker.codes = Codes::default();
            self.put_back(worker);
            return refused("RangeError: the arguments are too large");
        }
        let limit = Duration::from_millis(call.limits.time_ms);
        let outcome = worker
            .run(message, &host, starting, limit + KILL_AFTER)
            .await;
        drop(permit);
        match outcome {
            Ok(outcome) => {
                self.put_back(worker);
                outcome
            }
            // Dropping the worker kills it.
            Err(_) if start.elapsed() < limit => failed(worker.ended().await),
            Err(_) => failed(Failure::TimeLimit),
        }
    }

    async fn permit<'p>(&self, permits: &'p Semaphore) -> Result<SemaphorePermit<'p>, ()> {
        if let Ok(permit) = permits.try_acquire() {
            return Ok(permit);
        }
        let waiting = Counted::new(&self.shared.waiting);
        if waiting.0.load(Ordering::Relaxed) > self.shared.settings.waiting_max {
            return Err(());
        }
        permits.acquire().await.map_err(drop)
    }

    /// A worker that lives: an idle one, else a new one.
    fn worker(&self) -> io::Result<Worker> {
        loop {
            let idle = self
                .shared
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(mut worker) = idle else {
                return Worker::start(&self.shared.settings);
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

struct Worker {
    // Pipes, not a pair of sockets: reading from those wakes the other side,
    // which costs a tenth of a short call.
    requests: ChildStdin,
    answers: ChildStdout,
    input: Vec<u8>,
    codes: Codes,
    /// Killed when dropped.
    child: Child,
}

impl Worker {
    fn start(settings: &PoolSettings) -> io::Result<Self> {
        let mut child = Command::new(&settings.program)
            .args(&settings.arguments)
            .env_clear()
            // Dates are those of the service.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a worker without pipes"));
        };
        Ok(Self {
            requests,
            answers,
            input: Vec::new(),
            codes: Codes::default(),
            child,
        })
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Why the process is gone. It aborts when its own allocator gives up: what
    /// natives need lies outside of the arena.
    async fn ended(&mut self) -> Failure {
        let status = tokio::time::timeout(ENDING_MAX, self.child.wait()).await;
        match status {
            Ok(Ok(status)) if status.signal() == Some(libc::SIGABRT) => Failure::MemoryLimit,
            _ => Failure::Crashed,
        }
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
        if self.codes.0.len() >= CODES_PER_WORKER_MAX {
            // Between calls, when no function may still need its code.
            self.codes = Codes::default();
            message.append(cstr!("forget"), true);
        }
        self.codes.append(&mut message, &call.code);
        message
    }

    /// Runs a call for `most` at most. `starting` is given back as soon as the
    /// call waits for the host, or has run for a while.
    async fn run(
        &mut self,
        message: RawDocumentBuf,
        host: &Arc<dyn Host>,
        mut starting: Option<SemaphorePermit<'_>>,
        most: Duration,
    ) -> io::Result<Outcome> {
        // Most calls ask for nothing and need no channel.
        let mut replies: Option<Replies> = None;
        let end = tokio::time::Instant::now() + most;
        // One timer for both: first the start, then the end.
        let mut timer = std::pin::pin!(tokio::time::sleep(START_TIME.min(most)));
        // Reading goes on while this is written: a worker that sends does not
        // read, so waiting for one before the other could last forever.
        let (mut output, mut sent) = (message.into_bytes(), 0);
        loop {
            tokio::select! {
                // Time first, whatever a worker sends; then replies, which it
                // is waiting for.
                biased;
                () = &mut timer => {
                    if tokio::time::Instant::now() >= end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    drop(starting.take());
                    timer.as_mut().reset(end);
                }
                Some(reply) = next(&mut replies), if replies.is_some() => {
                    let reply = reply.message(&mut self.codes);
                    output.extend_from_slice(reply.as_bytes());
                }
                written = self.requests.write(&output[sent..]), if sent < output.len() => {
                    sent += written?;
                    if sent == output.len() {
                        output.clear();
                        sent = 0;
                    }
                }
                message = receive(&mut self.answers, &mut self.input) => {
                    drop(starting.take());
                    let message = message?;
                    match message.get_str("k").unwrap_or_default() {
                        "done" => {
                            // The rest of replies that came too late.
                            self.requests.write_all(&output[sent..]).await?;
                            return Ok(outcome(&message));
                        }
                        "host" | "enter" => {
                            let (replies, _) = replies.get_or_insert_with(mpsc::unbounded_channel);
                            serve(&message, host, replies);
                        }
                        _ => return Err(io::Error::other("an unknown message")),
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
    fn message(self, codes: &mut Codes) -> RawDocumentBuf {
        let mut message = rawdoc! { "k": "reply", "id": self.id };
        match self.result {
            Ok(Answered::Value(value)) => message.append(cstr!("value"), value),
            Ok(Answered::Entered(entered)) => {
                message.append(cstr!("frame"), entered.frame as i32);
                message.append(cstr!("context"), entered.context);
                codes.append(&mut message, &entered.code);
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
            .message(codes);
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
