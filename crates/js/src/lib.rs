//! Functions: compiled here, run in worker processes.
//!
//! The only user of the JavaScript engine. A worker runs one call at a time, in
//! a realm that nobody used before; a runaway or a crash costs that call alone
//! (`docs/decisions/0003`). Not here: databases, users, apps. A call reaches
//! them through its [`Host`].

mod alarm;
mod arena;
mod builtins;
mod company;
mod compile;
mod convert;
mod errors;
mod freeze;
mod frozen;
mod images;
mod introspection;
mod keeper;
mod learned;
mod loader;
#[cfg(target_os = "linux")]
pub mod measure;
mod natives;
mod node_values;
pub mod packages;
mod pool;
mod queue;
mod realm;
mod sandbox;
mod shares;
mod source_map;
mod talk;
mod wire;
pub mod worker;
mod written;
mod zygote;

use std::pin::Pin;
use std::sync::Arc;

use bson::{Bson, RawArrayBuf, RawBson, RawDocumentBuf};

pub use compile::{CompileError, Compiled, compile};
pub use pool::{Nobody, Pool, PoolSettings};
pub use source_map::{Origin, original};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whose call a host operation belongs to: 0 is the top-level function, others
/// are what [`Host::enter`] gave out.
pub type Frame = u32;

/// What a running function reaches.
pub trait Host: Send + Sync {
    /// One operation on behalf of a frame, such as `mongodb` or `value`.
    fn call(
        &self,
        frame: Frame,
        operation: &str,
        arguments: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>>;

    /// `context.functions.execute`: the function of that name, and the frame
    /// that it runs in.
    fn enter(&self, frame: Frame, name: &str) -> BoxFuture<'_, Result<Entered, HostError>>;
}

/// A function about to run in a frame of its own.
pub struct Entered {
    /// The frame's number.
    pub frame: Frame,
    /// Its code.
    pub code: Arc<Compiled>,
    /// What its `context` holds: `user`, `environment`, `request`, `system`,
    /// `services`.
    pub context: RawDocumentBuf,
}

/// An error that a host operation throws into the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// The error's `name`.
    pub name: String,
    /// The error's `message`.
    pub message: String,
    /// The wire's `error_code`, kept on the error as `code`.
    pub code: String,
}

impl HostError {
    /// An `Error` with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            name: "Error".to_owned(),
            message: message.into(),
            code: String::new(),
        }
    }
}

/// Bounds of one top-level call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Milliseconds until the call is stopped, nested calls and awaits
    /// included.
    pub time_ms: u64,
    /// Bytes that the call's realm may hold.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_ms: kit::limit::CALL_MS_MAX,
            memory_bytes: kit::limit::CALL_MEMORY_BYTES_MAX,
        }
    }
}

/// A top-level call.
pub struct Call {
    /// Whose call it is, such as an app's: calls wait in a line for each owner,
    /// and owners take turns.
    pub owner: Arc<str>,
    /// The function's code.
    pub code: Arc<Compiled>,
    /// Its arguments.
    pub arguments: RawArrayBuf,
    /// What its `context` holds, as in [`Entered::context`].
    pub context: RawDocumentBuf,
    /// Its bounds.
    pub limits: Limits,
    /// JavaScript to evaluate after the source, in place of calling `exports`
    /// with the arguments.
    pub evaluate: Option<String>,
    /// Calls above this one that wait for it, such as the one whose read of
    /// data asks a rule that calls a function.
    pub depth: u32,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The returned value, or why there is none.
    pub result: Result<Bson, Failure>,
    /// The last lines written to the console, oldest first.
    pub logs: Vec<LogLine>,
    /// Microseconds from start to end.
    pub time_us: u64,
    /// The most bytes that the realm held.
    pub memory_bytes: u64,
}

/// Why a call has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The function threw.
    Threw {
        /// `Name: message`, as the service worded it.
        message: String,
        /// The stack trace, innermost first.
        stack: String,
        /// The `code` of a host error; empty for others.
        code: String,
    },
    /// The time limit was reached.
    TimeLimit,
    /// The memory limit was reached.
    MemoryLimit,
    /// The worker process ended.
    Crashed,
    /// No worker was free for too long, or the queue is full.
    Overloaded,
}

/// A line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whether it came from `console.warn` or `console.error`.
    pub is_error: bool,
    /// The text, cut to 512 bytes.
    pub text: String,
}
