//! Functions in real worker processes: forms, values, isolation, limits.

mod ahead;
mod bcrypt;
mod behind;
mod boundary;
mod crowd;
mod errors;
mod forms;
mod frozen;
mod hostile;
mod limits;
mod mangled;
mod natives;
mod node;
mod packages;
mod programs;
mod reach;
mod realm;
mod rogue;
mod service_crypto;
mod values;
mod workers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Bson, RawBson, RawDocumentBuf, rawdoc};
use js::{
    BoxFuture, Call, Compiled, Entered, Failure, Frame, Host, HostError, Limits, Outcome, Pool,
    PoolSettings, compile,
};

/// A host with functions by name; operations are answered with what was asked.
pub(crate) struct World {
    functions: BTreeMap<String, (Arc<Compiled>, bool)>,
    frames: Mutex<Vec<bool>>,
    /// Opens for operations that do `gate`.
    gate: Arc<tokio::sync::Semaphore>,
    asked: AtomicUsize,
}

impl Default for World {
    fn default() -> Self {
        Self {
            functions: BTreeMap::new(),
            frames: Mutex::default(),
            gate: Arc::new(tokio::sync::Semaphore::new(0)),
            asked: AtomicUsize::new(0),
        }
    }
}

impl World {
    /// How many operations were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn with(mut self, name: &str, source: &str, system: bool) -> Self {
        self.functions
            .insert(name.to_owned(), (compiled(source), system));
        self
    }
}

impl Host for World {
    fn call(
        &self,
        frame: Frame,
        operation: &str,
        arguments: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        let operation = operation.to_owned();
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let inner = arguments.get_document("arguments").unwrap_or(&arguments);
            match arguments.get_str("name").or(inner.get_str("do")) {
                Ok("broken") => Err(HostError::new("it broke")),
                Ok("gate") => {
                    let _ = self.gate.acquire().await;
                    Ok(RawBson::String("open".to_owned()))
                }
                Ok("never") => std::future::pending().await,
                Ok("large") => Ok(RawBson::String("x".repeat(1 << 20))),
                Ok("huge") => Ok(RawBson::String("x".repeat(100 << 20))),
                _ => Ok(
                    rawdoc! { "frame": frame as i32, "op": operation, "args": arguments.clone() }
                        .into(),
                ),
            }
        })
    }

    fn enter(&self, _: Frame, name: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        let found = self.functions.get(name).cloned();
        let missing = HostError::new(format!("function not found: '{name}'"));
        let hangs = name == "hang";
        Box::pin(async move {
            if hangs {
                return std::future::pending().await;
            }
            let (code, system) = found.ok_or(missing)?;
            let mut frames = self.frames.lock().unwrap();
            frames.push(system);
            Ok(Entered {
                frame: frames.len() as Frame,
                code,
                context: context(system),
            })
        })
    }
}

pub(crate) fn context(system: bool) -> RawDocumentBuf {
    rawdoc! {
        "user": { "id": "u1", "type": "normal" }, "system": system, "request": {}, "app": {},
        "environment": { "tag": "", "values": {} }, "services": { "mongodb-atlas": "mongodb-atlas" },
    }
}

pub(crate) fn compiled(source: &str) -> Arc<Compiled> {
    Arc::new(compile("test.js", source).unwrap_or_else(|error| panic!("{source}: {error}")))
}

pub(crate) fn pool() -> Pool {
    Pool::new(PoolSettings::new(
        env!("CARGO_BIN_EXE_js-test-worker"),
        [""; 0],
    ))
}

pub(crate) fn call(source: &str, arguments: Vec<Bson>) -> Call {
    Call {
        owner: "app".into(),
        code: compiled(source),
        arguments: arguments.try_into().unwrap(),
        context: context(false),
        limits: Limits {
            // Enough beside programs that keep the machine busy.
            time_ms: 120_000,
            ..Limits::default()
        },
        evaluate: None,
        depth: 0,
    }
}

pub(crate) async fn run(source: &str, arguments: Vec<Bson>) -> Outcome {
    pool()
        .call(call(source, arguments), Arc::new(World::default()))
        .await
}

/// The value of a call that has to succeed.
pub(crate) async fn value(source: &str) -> Bson {
    run(source, Vec::new())
        .await
        .result
        .unwrap_or_else(|failure| panic!("{source}: {failure:?}"))
}

/// The message of a call that has to throw.
pub(crate) async fn thrown(source: &str) -> String {
    match run(source, Vec::new()).await.result {
        Err(Failure::Threw { message, .. }) => message,
        other => panic!("{source}: {other:?}"),
    }
}

/// Waits for what others bring about, and leaves the processor to them.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let mut every = tokio::time::interval(Duration::from_millis(1));
    while !is_so() {
        every.tick().await;
    }
}

/// The next call after `what` has to succeed.
pub(crate) async fn serves(pool: &Pool, what: &str) {
    let call = call("exports = () => 1", Vec::new());
    let next = pool.call(call, Arc::new(World::default())).await;
    assert_eq!(next.result, Ok(Bson::Int32(1)), "after {what}");
}
