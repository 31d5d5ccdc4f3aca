//! One worker process, and what a call says with its host while it runs there.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use kit::limit;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::compile::append_code;
use crate::freeze;
use crate::frozen::Frozen;
use crate::images::IMAGE_BYTES_MAX;
use crate::keeper::{Keeper, Process};
use crate::learned::{Image, NAME_BYTES_MAX};
use crate::queue::{Permit, Queue};
use crate::shares::Shares;
use crate::wire::{MESSAGE_BYTES_MAX, binary, bytes, count, is_shallow, length};
use crate::{BoxFuture, Call, Compiled, Entered, Failure, Host, HostError, LogLine, Outcome};

/// From the time limit to the kill of a worker that has not answered.
const KILL_AFTER: Duration = Duration::from_millis(600);
/// A call that takes longer, or that waits for the host, makes room for
/// another.
const START_TIME: Duration = Duration::from_millis(10);
/// The same for an owner who computes more than its share.
const START_TIME_BEHIND: Duration = Duration::from_millis(2);
/// A call that has computed as long stands back behind others, as do all of an
/// owner who computes more than its share.
const BUSY: Duration = Duration::from_millis(20);
/// What is computed by calls that compute less is not held against their owner.
const LONG: Duration = Duration::from_millis(10);
/// A call that has waited for its host as long gives up its worker when others
/// want it.
const PATIENCE: Duration = Duration::from_millis(2);
/// The same for an owner who computes more than its share.
const PATIENCE_BEHIND: Duration = Duration::from_millis(20);
/// Bytes of images that one worker keeps, before those of one more call.
const IMAGES_PER_WORKER_BYTES_MAX: usize = 128 << 20;
/// Operations of one call without a reply yet: more than functions may start.
const OPEN_MAX: usize = 4 * limit::CALL_HOST_OPERATIONS_MAX as usize;
/// Modules that a call may say it loaded: each is asked for once at least.
const LOADED_MAX: usize = limit::CALL_MODULES_MAX as usize;
/// Bytes on their way to a worker that keep the next reply waiting: one that
/// does not read its replies is to have no more of them here.
const UNREAD_BYTES: usize = 1 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// Functions whose code one worker keeps, before those of one more call.
const CODES_PER_WORKER_MAX: usize = 2000;

/// What a call has with its host, wherever it runs.
pub(crate) struct Talk<'a> {
    pub(crate) owner: &'a Arc<str>,
    /// All frozen calls.
    pub(crate) frozen: &'a Frozen,
    pub(crate) queue: &'a Queue,
    /// What owners have computed.
    pub(crate) shares: &'a Shares,
    pub(crate) host: &'a Arc<dyn Host>,
    /// Most calls ask for nothing and need no channel.
    pub(crate) replies: Option<Replies>,
    /// Operations without a reply yet.
    pub(crate) open: usize,
    /// Code that a worker needs to go on with the call.
    pub(crate) codes: Vec<Arc<Compiled>>,
    /// Given back as soon as the call waits for the host, or has run for a while.
    pub(crate) starting: Option<Permit>,
    /// What it has computed, as far as that was looked at.
    pub(crate) computed: Duration,
}

/// How a call's stay in a worker ended.
pub(crate) enum Ran {
    /// With the modules that it loaded beside its image's.
    Done(Outcome, Vec<String>),
    /// An image was made, unless that cannot be.
    Image(Option<Vec<u8>>),
    /// It only waits: the message that another worker goes on from.
    Frozen(RawDocumentBuf),
    OutOfMemory,
}

pub(crate) struct Worker {
    input: Vec<u8>,
    pub(crate) codes: Codes,
    pub(crate) images: Images,
    /// Killed when dropped.
    pub(crate) process: Process,
}

impl Worker {
    pub(crate) async fn start(keeper: &Keeper) -> io::Result<Self> {
        Ok(Self {
            input: Vec::new(),
            codes: Codes::default(),
            images: Images::default(),
            process: keeper.start().await?,
        })
    }

    /// Whether nothing came from it that nobody asked for: its end.
    pub(crate) fn is_alive(&self) -> bool {
        // Asks the system only when it has told of something.
        let read = self.process.answers.try_read(&mut [0]);
        self.input.is_empty() && read.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// The message that begins a call.
    pub(crate) fn message(&mut self, call: &Call, image: Option<&Image>) -> RawDocumentBuf {
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
        self.images.append(&mut message, image);
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

    /// The message that lets a frozen call go on, with the reply that woke it.
    pub(crate) fn thaw(
        &mut self,
        frozen: &RawDocument,
        image: Option<&Image>,
        left: Duration,
        reply: Option<Reply>,
        talk: &mut Talk<'_>,
    ) -> Vec<u8> {
        // Of its size from the beginning: growing would copy it again and again.
        let mut message = with_room(frozen.as_bytes().len() + READ_BYTES);
        message.append(cstr!("k"), "thaw");
        message.append(cstr!("time_ms"), left.as_millis() as i64);
        for part in [cstr!("state"), cstr!("run")] {
            if let Ok(Some(value)) = frozen.get(part) {
                message.append(part, value);
            }
        }
        let mut codes = RawArrayBuf::new();
        self.make_room(&mut message);
        self.images.append(&mut message, image);
        for code in &talk.codes {
            let mut entry = RawDocumentBuf::new();
            self.codes.append(&mut entry, code);
            codes.push(entry);
        }
        message.append(cstr!("codes"), codes);
        let mut message = message.into_bytes();
        if let Some(reply) = reply {
            talk.open -= 1;
            let reply = reply.message(&mut self.codes, &mut talk.codes);
            message.extend_from_slice(reply.as_bytes());
        }
        message
    }

    /// Runs a call until its time is up, and a little longer, or until it only waits and others want
    /// to run.
    ///
    /// # Errors
    /// `TimedOut` at the end; `BrokenPipe` when the worker was gone before the
    /// call, of which nothing was run; others when it is not to be used again.
    pub(crate) async fn run(
        &mut self,
        message: Vec<u8>,
        talk: &mut Talk<'_>,
        limit: tokio::time::Instant,
    ) -> io::Result<Ran> {
        let mut meter = Meter::default();
        let ran = self.talk(message, talk, limit, &mut meter).await;
        meter.end(&mut self.process, talk);
        ran
    }

    async fn talk(
        &mut self,
        message: Vec<u8>,
        talk: &mut Talk<'_>,
        limit: tokio::time::Instant,
        meter: &mut Meter,
    ) -> io::Result<Ran> {
        let end = limit + KILL_AFTER;
        // One timer for all: first the start, then patience, then what it
        // computes, then the end.
        let (start, patience) = if self.process.stands_back() {
            (START_TIME_BEHIND, PATIENCE_BEHIND)
        } else {
            (START_TIME, PATIENCE)
        };
        let mut since = tokio::time::Instant::now();
        let mut timer = std::pin::pin!(tokio::time::sleep_until(end.min(since + start)));
        // Until it has been here for a while.
        let mut patient = true;
        // Whether it was asked to go: replies stay here until it has answered.
        let mut asked = false;
        // Reading goes on while this is written: a worker that sends does not
        // read, so waiting for one before the other could last forever.
        let (mut output, mut sent) = (message, 0);
        // Whether the worker has the whole message, and may have begun.
        let mut began = false;
        loop {
            let crowded = !patient && !asked && talk.frozen.has_room(talk.owner);
            tokio::select! {
                // Time first, whatever a worker sends; then replies, which it
                // is waiting for.
                biased;
                () = &mut timer => {
                    let now = tokio::time::Instant::now();
                    if now >= end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    drop(talk.starting.take());
                    patient = now < since + patience;
                    meter.look(&mut self.process, talk);
                    timer.as_mut().reset(end.min(now + BUSY));
                    if !patient && talk.queue.waiting() > 0 {
                        talk.queue.crowded.notify_one();
                    }
                }
                Some(reply) = next(&mut talk.replies),
                    if talk.replies.is_some() && !asked && output.len() < UNREAD_BYTES =>
                {
                    talk.open -= 1;
                    let reply = reply.message(&mut self.codes, &mut talk.codes);
                    output.extend_from_slice(reply.as_bytes());
                }
                written = self.process.requests.write(&output[sent..]), if sent < output.len() => {
                    sent += written.map_err(|error| {
                        if began { io::Error::other(error) } else { error }
                    })?;
                    if sent == output.len() {
                        began = true;
                        output.clear();
                        sent = 0;
                    }
                }
                message = receive(&mut self.process.answers, &mut self.input) => {
                    drop(talk.starting.take());
                    let message = message?;
                    match message.get_str("k").unwrap_or_default() {
                        "done" => {
                            // The rest of replies that came too late; who was
                            // taken over may not read them.
                            let rest = self.process.requests.write_all(&output[sent..]);
                            tokio::time::timeout_at(end, rest).await??;
                            return Ok(Ran::Done(outcome(&message), loaded(&message)));
                        }
                        "frozen"
                            if asked && message.as_bytes().len() <= freeze::CALL_BYTES_MAX =>
                        {
                            return Ok(Ran::Frozen(message));
                        }
                        "awake" if asked => {
                            // JavaScript waits on its stack, or not for long:
                            // once more later.
                            asked = false;
                            patient = true;
                            since = tokio::time::Instant::now() + PATIENCE_BEHIND - patience;
                            timer.as_mut().reset(end.min(since + patience));
                        }
                        "image" => {
                            let state = bytes(&message, "state");
                            let state = state.filter(|state| state.len() <= IMAGE_BYTES_MAX);
                            return Ok(Ran::Image(state.map(<[u8]>::to_vec)));
                        }
                        "aborted" => return Ok(Ran::OutOfMemory),
                        "host" | "enter" => {
                            talk.open += 1;
                            // The engine counts what functions start; a worker
                            // that was taken over does not.
                            if talk.open > OPEN_MAX {
                                return Err(io::Error::other("too many operations at once"));
                            }
                            let (replies, _) = talk.replies.get_or_insert_with(mpsc::unbounded_channel);
                            serve(&message, talk.host, replies);
                            if patient {
                                let wait = tokio::time::Instant::now() + patience;
                                timer.as_mut().reset(end.min(wait));
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

/// Looks at what a call computes in its worker, from when it has been there for a
/// while: looking costs more than a short call is worth.
#[derive(Default)]
struct Meter {
    is_on: bool,
}

impl Meter {
    /// Looks at the process: one that computes for long stands back.
    fn look(&mut self, process: &mut Process, talk: &mut Talk<'_>) {
        self.count(process, talk);
        if talk.computed >= BUSY || talk.shares.is_heavy(talk.owner, Instant::now()) {
            process.stand_back();
        }
    }

    /// Adds what the process has computed since it was last looked at, which
    /// goes to its owner's account. Nothing the first time: that is of calls
    /// before.
    fn count(&mut self, process: &mut Process, talk: &mut Talk<'_>) {
        let computed = process.computed();
        if !std::mem::replace(&mut self.is_on, true) {
            return;
        }
        let before = talk.computed;
        talk.computed += computed;
        // Many short calls are what the machine is for.
        if talk.computed >= LONG {
            let more = if before < LONG {
                talk.computed
            } else {
                computed
            };
            talk.shares.add(talk.owner, more, Instant::now());
        }
    }

    /// The call has left the process.
    fn end(mut self, process: &mut Process, talk: &mut Talk<'_>) {
        if self.is_on {
            self.count(process, talk);
        }
    }
}

/// Replies of host operations, and where they come out.
pub(crate) type Replies = (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>);

pub(crate) async fn next(replies: &mut Option<Replies>) -> Option<Reply> {
    match replies {
        Some((_, ready)) => ready.recv().await,
        None => None,
    }
}

/// What code a worker has.
#[derive(Default)]
pub(crate) struct Codes(HashSet<[u8; 32]>);

impl Codes {
    /// Puts code into a message, or only its hash when the worker has it.
    fn append(&mut self, message: &mut RawDocumentBuf, code: &Compiled) {
        let new = self.0.insert(code.hash);
        append_code(message, code, new);
    }
}

/// What images a worker has.
#[derive(Default)]
pub(crate) struct Images {
    keys: HashSet<[u8; 32]>,
    bytes: usize,
}

impl Images {
    /// Puts an image into a message, or only its key when the worker has it.
    fn append(&mut self, message: &mut RawDocumentBuf, image: Option<&Image>) {
        let Some(image) = image else { return };
        if self.bytes > IMAGES_PER_WORKER_BYTES_MAX {
            *self = Self::default();
            message.append(cstr!("forget_images"), true);
        }
        message.append(cstr!("image"), binary(&image.key));
        if self.keys.insert(image.key) {
            message.append(cstr!("image_bytes"), binary(&image.changes));
            self.bytes += image.kept;
        }
    }
}

enum Answered {
    Value(RawBson),
    Entered(Box<Entered>),
}

pub(crate) struct Reply {
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
                let message = if length < READ_BYTES {
                    // The buffer stays: it is larger than most messages.
                    input.drain(..length).collect()
                } else {
                    let rest = input.split_off(length);
                    std::mem::replace(input, rest)
                };
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

/// An empty document with room for as many bytes.
fn with_room(bytes: usize) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new().into_bytes();
    document.reserve(bytes);
    RawDocumentBuf::from_bytes(document).unwrap_or_default()
}

/// The modules that a worker says its call loaded. A report that no call could
/// have made comes from a worker that was taken over: nothing of it is taken.
fn loaded(message: &RawDocument) -> Vec<String> {
    let mut loaded = Vec::new();
    for id in message.get_array("loaded").into_iter().flatten() {
        match id.ok().and_then(RawBsonRef::as_str) {
            Some(id) if id.len() <= NAME_BYTES_MAX && loaded.len() < LOADED_MAX => {
                loaded.push(id.to_owned());
            }
            _ => return Vec::new(),
        }
    }
    loaded
}

fn outcome(message: &RawDocument) -> Outcome {
    let flag = |name| message.get_bool(name).unwrap_or(false);
    let threw = |message: String| {
        Err(Failure::Threw {
            message,
            stack: String::new(),
            code: String::new(),
        })
    };
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
                Ok(Some(value)) if count(value) > limit::CALL_RESULT_VALUES_MAX => {
                    let most = limit::CALL_RESULT_VALUES_MAX;
                    threw(format!(
                        "RangeError: the result has more than {most} values"
                    ))
                }
                Ok(Some(value)) => Ok(Bson::try_from(value).unwrap_or(Bson::Null)),
                _ => Ok(Bson::Undefined),
            },
        }
    };
    let mut logs = Vec::new();
    let lines = message.get_array("logs").into_iter().flatten().flatten();
    for line in lines.take(limit::CALL_LOG_LINES_MAX) {
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
