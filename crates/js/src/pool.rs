//! Worker processes from the server's side: started on demand, one call each,
//! killed when a call does not end.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, Document, RawDocumentBuf, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::compile::coded;
use crate::wire::length;
use crate::{BoxFuture, Call, Compiled, Entered, Failure, Host, HostError, LogLine, Outcome};

/// From the time limit to the kill of a worker that has not answered.
const KILL_AFTER: Duration = Duration::from_millis(250);
/// Calls that start at once, for each core: more would only trade places and
/// caches.
const STARTING_PER_CORE: usize = 2;
/// A call that takes longer, or that waits for the host, makes room for
/// another.
const START_TIME: Duration = Duration::from_millis(10);
/// Code that one worker keeps.
const CODES_PER_WORKER_MAX: usize = 2000;

/// How workers are started and how many there may be.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Worker processes, and so calls that run at once.
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
    permits: Semaphore,
    starting: Semaphore,
    waiting: AtomicUsize,
    running: AtomicUsize,
}

impl Pool {
    /// A pool without workers yet.
    pub fn new(settings: PoolSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                permits: Semaphore::new(settings.workers_max.max(1)),
                starting: Semaphore::new(cores() * STARTING_PER_CORE),
                settings,
                idle: Mutex::default(),
                waiting: AtomicUsize::new(0),
                running: AtomicUsize::new(0),
            }),
        }
    }

    /// Starts a worker ahead of the first call, so that mistakes in the
    /// settings show at once.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn warm(&self) -> io::Result<()> {
        let worker = Worker::start(&self.shared.settings)?;
        self.put_back(worker);
        Ok(())
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
        let Ok(permit) = self.permit().await else {
            return failed(Failure::Overloaded);
        };
        let starting = {
            let _waiting = Counted::new(&self.shared.waiting);
            self.shared.starting.acquire().await.ok()
        };
        let _running = Counted::new(&self.shared.running);
        let idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut worker = match idle.map_or_else(|| Worker::start(&self.shared.settings), Ok) {
            Ok(worker) => worker,
            Err(_) => return failed(Failure::Crashed),
        };
        let limit = Duration::from_millis(call.limits.time_ms);
        let outcome =
            tokio::time::timeout(limit + KILL_AFTER, worker.run(&call, &host, starting)).await;
        drop(permit);
        match outcome {
            Ok(Ok(outcome)) => {
                self.put_back(worker);
                outcome
            }
            // Dropping the worker kills it.
            Ok(Err(_)) if start.elapsed() < limit => failed(Failure::Crashed),
            Ok(Err(_)) | Err(_) => failed(Failure::TimeLimit),
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, ()> {
        if let Ok(permit) = self.shared.permits.try_acquire() {
            return Ok(permit);
        }
        let waiting = Counted::new(&self.shared.waiting);
        if waiting.0.load(Ordering::Relaxed) > self.shared.settings.waiting_max {
            return Err(());
        }
        self.shared.permits.acquire().await.map_err(drop)
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
    socket: UnixStream,
    input: Vec<u8>,
    codes: HashSet<[u8; 32]>,
    /// Killed when dropped.
    _child: Child,
}

impl Worker {
    fn start(settings: &PoolSettings) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(&settings.program)
            .args(&settings.arguments)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            socket: UnixStream::from_std(ours)?,
            input: Vec::with_capacity(4096),
            codes: HashSet::new(),
            _child: child,
        })
    }

    /// Runs a call. `starting` is given back as soon as the call waits for the
    /// host, or has run for a while.
    async fn run(
        &mut self,
        call: &Call,
        host: &Arc<dyn Host>,
        starting: Option<SemaphorePermit<'_>>,
    ) -> io::Result<Outcome> {
        let mut message = doc! {
            "k": "call", "frame": 0, "context": call.context.clone(), "arguments": call.arguments.clone(),
            "time_ms": call.limits.time_ms as i64, "memory_bytes": call.limits.memory_bytes as i64,
        };
        if let Some(source) = &call.evaluate {
            message.insert("evaluate", source.clone());
        }
        self.add_code(&mut message, &call.code);
        self.send(&message).await?;
        let first = receive(&mut self.socket, &mut self.input);
        let first = tokio::time::timeout(START_TIME, first).await;
        drop(starting);
        let (replies, mut ready) = mpsc::unbounded_channel::<Reply>();
        if let Ok(message) = first {
            let message = message?;
            if let Some(outcome) = self.take(&message, host, &replies)? {
                return Ok(outcome);
            }
        }
        loop {
            tokio::select! {
                // Replies first: the worker is waiting for them.
                biased;
                Some(reply) = ready.recv() => {
                    let reply = self.reply(reply);
                    self.send(&reply).await?;
                }
                message = receive(&mut self.socket, &mut self.input) => {
                    if let Some(outcome) = self.take(&message?, host, &replies)? {
                        return Ok(outcome);
                    }
                }
            }
        }
    }

    /// Takes a message of the worker: its last one, or a request.
    fn take(
        &self,
        message: &Document,
        host: &Arc<dyn Host>,
        replies: &mpsc::UnboundedSender<Reply>,
    ) -> io::Result<Option<Outcome>> {
        match message.get_str("k").unwrap_or_default() {
            "done" => return Ok(Some(outcome(message))),
            "host" | "enter" => serve(message, host, replies),
            _ => return Err(io::Error::other("an unknown message")),
        }
        Ok(None)
    }

    async fn send(&mut self, message: &Document) -> io::Result<()> {
        let raw = RawDocumentBuf::try_from(message).map_err(io::Error::other)?;
        self.socket.write_all(raw.as_bytes()).await
    }

    /// Puts code into a message, or only its hash when the worker has it.
    fn add_code(&mut self, message: &mut Document, code: &Compiled) {
        if self.codes.len() >= CODES_PER_WORKER_MAX {
            // The worker keeps what it has; only sending is doubled.
            self.codes.clear();
        }
        let new = self.codes.insert(code.hash);
        coded(message, code, new);
    }

    fn reply(&mut self, reply: Reply) -> Document {
        let mut message = doc! { "k": "reply", "id": reply.id };
        match reply.result {
            Ok(Answered::Value(value)) => {
                message.insert("value", value);
            }
            Ok(Answered::Entered(entered)) => {
                message.insert("frame", entered.frame as i32);
                message.insert("context", entered.context);
                self.add_code(&mut message, &entered.code);
            }
            Err(error) => {
                message.insert(
                    "error",
                    doc! { "name": error.name, "message": error.message, "code": error.code },
                );
            }
        }
        message
    }
}

enum Answered {
    Value(Bson),
    Entered(Box<Entered>),
}

struct Reply {
    id: i32,
    result: Result<Answered, HostError>,
}

/// Starts a host operation; its reply comes through the channel, whose end
/// also ends operations of a call that is over.
fn serve(message: &Document, host: &Arc<dyn Host>, replies: &mpsc::UnboundedSender<Reply>) {
    let id = message.get_i32("id").unwrap_or(0);
    let frame = message.get_i32("frame").unwrap_or(0) as u32;
    let (host, replies) = (host.clone(), replies.clone());
    let name = message.get_str("name").ok().map(str::to_owned);
    let operation = message.get_str("op").unwrap_or_default().to_owned();
    let arguments = message.get_document("args").cloned().unwrap_or_default();
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

async fn receive(socket: &mut UnixStream, input: &mut Vec<u8>) -> io::Result<Document> {
    loop {
        if let Some(length) = length(input)?
            && input.len() >= length
        {
            let rest = input.split_off(length);
            let message = std::mem::replace(input, rest);
            let raw = RawDocumentBuf::from_bytes(message).map_err(io::Error::other)?;
            return Document::try_from(raw).map_err(io::Error::other);
        }
        if socket.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn outcome(message: &Document) -> Outcome {
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
            Err(_) => Ok(message.get("value").cloned().unwrap_or(Bson::Undefined)),
        }
    };
    let logs = message.get_array("logs").into_iter().flatten();
    Outcome {
        result,
        logs: logs
            .filter_map(Bson::as_document)
            .map(|line| LogLine {
                is_error: line.get_bool("error").unwrap_or(false),
                text: line.get_str("text").unwrap_or_default().to_owned(),
            })
            .collect(),
        time_us: message.get_i64("us").unwrap_or(0) as u64,
        memory_bytes: message.get_i64("memory").unwrap_or(0) as u64,
    }
}
