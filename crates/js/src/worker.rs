//! The worker process: waits for a call, runs it, answers, and resets its
//! realm.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::Ordering;

use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSValue};

use crate::alarm::{self, now};
use crate::arena::OVER_MEMORY;
use crate::convert::from_js;
use crate::errors::{Thrown, described, threw};
use crate::freeze::{freeze, thaw};
use crate::natives::{REALM, load};
use crate::realm::{EXPIRED, Realm};

/// Forks workers as the server asks on standard input; each runs calls that
/// arrive on its pipes, until they close. The whole of `backstitch worker`.
pub fn main() -> ExitCode {
    let served = crate::zygote::serve().and_then(|worker| match worker {
        Some(realm) => serve(realm),
        None => Ok(()),
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The server is gone.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut realm: Box<Realm>) -> std::io::Result<()> {
    REALM.store(&raw mut *realm, Ordering::Relaxed);
    crate::sandbox::enter()?;
    realm.arena.watch_writes()?;
    loop {
        let call = match crate::wire::read(&mut *realm.server.input, &mut realm.input) {
            Ok(call) => call,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let answer = match call.get_str("k") {
            Ok("call") => {
                crate::images::take(&mut realm, &call)?;
                run(&mut realm, &call)
            }
            Ok("thaw") => {
                crate::images::take(&mut realm, &call)?;
                go_on(&mut realm, &call)?
            }
            Ok("build") => {
                begin_time(&call);
                let image = crate::images::build(&mut realm, &call)?;
                alarm::end();
                image
            }
            // What came after its call ended.
            _ => continue,
        };
        crate::wire::write(&mut *realm.server.output, &answer)?;
        realm.reset();
    }
}

/// Installs what ends a call: its time, and this process's own memory.
pub(crate) fn handle_signals() -> std::io::Result<()> {
    alarm::handle_signals()?;
    alarm::handle(libc::SIGABRT, aborted)
}

/// Tells the server that the allocator gave up: what natives need lies outside
/// of the arena.
extern "C" fn aborted(_: libc::c_int) {
    const MESSAGE: &[u8] = b"\x14\0\0\0\x02k\0\x08\0\0\0aborted\0\0";
    // SAFETY: as many bytes as there are.
    unsafe { libc::write(1, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
}

/// How a call ended, inside the worker.
enum Ended {
    Value(RawBson),
    Threw(Thrown),
}

fn run(realm: &mut Realm, call: &RawDocument) -> RawDocumentBuf {
    realm.run.start = now();
    let memory = call.get_i64("memory_bytes").unwrap_or(0).max(1);
    realm.arena.limit(memory as usize);
    begin_time(call);
    // SAFETY: this thread is the realm's, and nothing of an earlier call is
    // left in it.
    let thrown = unsafe { start(realm, call) };
    finish(realm, thrown)
}

/// A call that was frozen goes on.
fn go_on(realm: &mut Realm, call: &RawDocument) -> std::io::Result<RawDocumentBuf> {
    crate::natives::learn_all(call);
    thaw(realm, call)?;
    // SAFETY: the runtime is the thawed one, on the thread that made its image.
    unsafe { q::JS_UpdateStackTop(realm.runtime) };
    begin_time(call);
    Ok(finish(realm, None))
}

/// Begins the time that a message gives a call.
fn begin_time(call: &RawDocument) {
    alarm::begin(call.get_i64("time_ms").unwrap_or(0).max(1) as u64);
}

/// Runs what a call left to be done: the message that ends it here.
fn finish(realm: &mut Realm, thrown: Option<Thrown>) -> RawDocumentBuf {
    // Also after an error: operations that were started are finished.
    // SAFETY: this thread is the realm's.
    let ended = match unsafe { drain(realm, thrown.is_none()) } {
        Drained::Frozen(message) => {
            alarm::end();
            return message;
        }
        Drained::Stopped => Ended::Threw(Thrown::new("Error", "the call was stopped")),
        // SAFETY: as above.
        Drained::Whole => thrown.map_or_else(|| unsafe { conclude(realm) }, Ended::Threw),
    };
    alarm::end();
    let time = now().saturating_sub(realm.run.start);
    let mut answer = rawdoc! {
        "k": "done", "memory": realm.arena.peak() as i64, "us": (time / 1000) as i64,
    };
    let mut logs = RawArrayBuf::new();
    for line in realm.run.logs.drain(..) {
        logs.push(rawdoc! { "error": line.is_error, "text": line.text });
    }
    answer.append(cstr!("logs"), logs);
    if !realm.run.loaded.is_empty() {
        let mut loaded = RawArrayBuf::new();
        for module in realm.run.loaded.drain(..) {
            loaded.push(module);
        }
        answer.append(cstr!("loaded"), loaded);
    }
    if EXPIRED.load(Ordering::Relaxed) {
        answer.append(cstr!("time_limit"), true);
    } else if OVER_MEMORY.load(Ordering::Relaxed) && matches!(ended, Ended::Threw(_)) {
        answer.append(cstr!("memory_limit"), true);
    } else {
        match ended {
            Ended::Value(value) => answer.append(cstr!("value"), value),
            Ended::Threw(thrown) => {
                let error = rawdoc! {
                    "message": thrown.text(), "stack": thrown.stack, "code": thrown.code,
                };
                answer.append(cstr!("error"), error);
            }
        }
    }
    answer
}

/// Loads modules into a realm that nobody used, for who sent a message: once to look at what they do,
/// and once more without what looking leaves behind, which every call would
/// copy.
///
/// # Errors
/// When one of them cannot be loaded so that no call could tell.
pub(crate) fn load_ahead(
    realm: &mut Realm,
    message: &RawDocument,
    ids: &[String],
) -> Result<(), String> {
    load_quietly(realm, message, ids, true)?;
    realm.reset();
    load_quietly(realm, message, ids, false)
}

fn load_quietly(
    realm: &mut Realm,
    message: &RawDocument,
    ids: &[String],
    checked: bool,
) -> Result<(), String> {
    crate::natives::learn_context(message);
    realm.arena.limit(kit::limit::CALL_MEMORY_BYTES_MAX);
    realm.preload(ids, checked)?;
    // SAFETY: this thread is the realm's.
    let drained = unsafe { drain(realm, false) };
    let run = &realm.run;
    if run.asked || !run.unhandled.is_empty() || run.uncaught.is_some() {
        return Err("loading it asks for what differs from call to call".to_owned());
    }
    if !matches!(drained, Drained::Whole) || !run.timers.is_empty() || !run.pending.is_empty() {
        return Err("loading it does not come to an end".to_owned());
    }
    Ok(())
}

/// Calls the function; what it threw at once.
///
/// # Safety
/// Runs on the realm's thread, outside of any other call.
unsafe fn start(realm: &mut Realm, call: &RawDocument) -> Option<Thrown> {
    // SAFETY: throughout, values belong to the live context; what is not
    // released goes with the reset.
    unsafe {
        let result = begin(realm, call);
        if q::JS_IsException(result) {
            return Some(threw(realm));
        }
        realm.run.result = Some(result);
        None
    }
}

/// What came of a call that has nothing left to do.
///
/// # Safety
/// As for `start`.
unsafe fn conclude(realm: &mut Realm) -> Ended {
    let ctx = realm.context;
    // SAFETY: as for `start`.
    unsafe {
        let result = realm.run.result.unwrap_or(q::JS_UNDEFINED);
        let mut value = result;
        if q::JS_IsPromise(result) {
            match q::JS_PromiseState(ctx, result) {
                q::JSPromiseStateEnum_JS_PROMISE_FULFILLED => {
                    value = q::JS_PromiseResult(ctx, result);
                }
                q::JSPromiseStateEnum_JS_PROMISE_REJECTED => {
                    let reason = q::JS_PromiseResult(ctx, result);
                    return Ended::Threw(described(realm, reason));
                }
                _ => {
                    let text = "the function's promise never settles";
                    return Ended::Threw(Thrown::new("Error", text));
                }
            }
        }
        if let Some(reason) = realm.run.uncaught {
            return Ended::Threw(described(realm, reason));
        }
        if let Some((_, reason)) = realm.run.unhandled.first().copied() {
            return Ended::Threw(described(realm, reason).uncaught());
        }
        match from_js(ctx, &realm.shapes, value, true) {
            Ok(document) => match document.get("v") {
                Ok(Some(value)) => Ended::Value(value.into()),
                // A function or a symbol has no value.
                _ => Ended::Value(RawBson::Undefined),
            },
            Err(_) if q::JS_HasException(ctx) => Ended::Threw(threw(realm)),
            Err(why) => {
                let text = format!("the result cannot be returned: {why}");
                Ended::Threw(Thrown::new("TypeError", text))
            }
        }
    }
}

/// Makes the function and calls it: a value, a promise, or the exception.
unsafe fn begin(realm: &mut Realm, call: &RawDocument) -> JSValue {
    let ctx = realm.context;
    // SAFETY: as for `start`.
    unsafe {
        let function = load(call);
        if q::JS_IsException(function) {
            return function;
        }
        let result = if let Ok(source) = call.get_str("evaluate") {
            evaluate(realm, function, source)
        } else {
            let mut values = Vec::new();
            for value in call.get_array("arguments").into_iter().flatten().flatten() {
                let value = crate::convert::to_js(ctx, &realm.shapes, value);
                if q::JS_IsException(value) {
                    return value;
                }
                values.push(value);
            }
            let count = values.len() as _;
            q::JS_Call(ctx, function, q::JS_UNDEFINED, count, values.as_mut_ptr())
        };
        if !q::JS_IsObject(result) {
            return result;
        }
        // Promises, and cursors, which stand for their documents.
        let mut arguments = [result];
        let argument = arguments.as_mut_ptr();
        let waits = q::JS_Call(ctx, realm.waits, q::JS_UNDEFINED, 1, argument);
        if q::JS_IsException(waits) {
            return waits;
        }
        if q::JS_VALUE_GET_BOOL(waits) {
            return q::JS_Call(ctx, realm.settle, q::JS_UNDEFINED, 1, argument);
        }
        result
    }
}

/// Evaluates a line in which `exports` is the function.
unsafe fn evaluate(realm: &Realm, function: JSValue, source: &str) -> JSValue {
    let ctx = realm.context;
    // SAFETY: as for `start`.
    unsafe {
        let wrapped = format!("(function(exports){{return (\n{source}\n)}})");
        let Ok(text) = std::ffi::CString::new(wrapped.as_str()) else {
            return crate::natives::throw(
                ctx,
                "SyntaxError",
                "the source contains a null byte",
                "",
            );
        };
        let flags = q::JS_EVAL_TYPE_GLOBAL as i32;
        let maker = q::JS_Eval(
            ctx,
            text.as_ptr(),
            wrapped.len() as _,
            c"eval".as_ptr(),
            flags,
        );
        if q::JS_IsException(maker) {
            return maker;
        }
        let mut arguments = [function];
        q::JS_Call(ctx, maker, q::JS_UNDEFINED, 1, arguments.as_mut_ptr())
    }
}

/// How the jobs of a call came to an end in this worker.
enum Drained {
    /// Nothing is left.
    Whole,
    /// The time is up or the server is gone.
    Stopped,
    /// It goes on elsewhere.
    Frozen(RawDocumentBuf),
}

/// Runs jobs, replies and timers until nothing is left that the call waits for.
/// A call that only waits is frozen when the server asks for it.
unsafe fn drain(realm: &mut Realm, may_freeze: bool) -> Drained {
    // SAFETY: as for `start`.
    unsafe {
        loop {
            let mut ctx = ptr::null_mut();
            tick(realm);
            loop {
                let done = q::JS_ExecutePendingJob(realm.runtime, &raw mut ctx);
                if done < 0 {
                    // A job threw; its promise knows.
                    let exception = q::JS_GetException(realm.context);
                    q::JS_FreeValue(realm.context, exception);
                }
                if EXPIRED.load(Ordering::Relaxed) || realm.run.broken {
                    return Drained::Stopped;
                }
                if done == 0 {
                    break;
                }
            }
            if realm.run.tick.is_some() {
                continue;
            }
            if let Some(reply) = realm.run.replies.pop_front() {
                settle(realm, &reply);
                continue;
            }
            let due = realm.run.timers.iter().map(|timer| timer.due).min();
            let run = &realm.run;
            let held = run.timers.iter().any(|timer| timer.keeps)
                || run.pending.len() > run.weak.len()
                // Who reads a socket waits for it only as long as somebody
                // waits for the function.
                || (due.is_some() || !run.pending.is_empty())
                    && run.result.is_some_and(|result| is_pending(realm.context, result));
            if !held {
                return Drained::Whole;
            }
            if due.is_some_and(|due| due <= now()) {
                ring(realm);
                continue;
            }
            if let Some(due) = due
                && !readable(realm, due)
            {
                if EXPIRED.load(Ordering::Relaxed) {
                    return Drained::Stopped;
                }
                continue;
            }
            match crate::wire::read(&mut *realm.server.input, &mut realm.input) {
                Ok(message) if message.get_str("k").ok() == Some("freeze") => {
                    if let Some(frozen) = may_freeze.then(|| freeze(realm)).flatten() {
                        return Drained::Frozen(frozen);
                    }
                    let awake = rawdoc! { "k": "awake" };
                    let sent = crate::wire::write(&mut *realm.server.output, &awake);
                    realm.run.broken |= sent.is_err();
                }
                Ok(reply) => settle(realm, &reply),
                Err(error) => {
                    realm.run.broken = error.kind() != ErrorKind::TimedOut;
                    return Drained::Stopped;
                }
            }
        }
    }
}

unsafe fn is_pending(ctx: *mut JSContext, value: JSValue) -> bool {
    // SAFETY: as for `start`.
    unsafe {
        q::JS_IsPromise(value)
            && q::JS_PromiseState(ctx, value) == q::JSPromiseStateEnum_JS_PROMISE_PENDING
    }
}

/// Waits until the server has sent something or `due` has come.
fn readable(realm: &Realm, due: u64) -> bool {
    use std::os::fd::AsRawFd;
    if !realm.input.is_empty() {
        return true;
    }
    let left = due.saturating_sub(now());
    let mut poll = libc::pollfd {
        fd: realm.server.input.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // Rounded up, so that the timer is due afterwards.
    let ms = i32::try_from(left / 1_000_000 + 1).unwrap_or(i32::MAX);
    // SAFETY: one live entry.
    alarm::wait(|| unsafe { libc::poll(&raw mut poll, 1, ms) == 1 })
}

/// Calls the timer that is due first; jobs run before the next one.
unsafe fn ring(realm: &mut Realm) {
    let timers = &mut realm.run.timers;
    let first = (0..timers.len()).min_by_key(|index| (timers[*index].due, timers[*index].id));
    let Some(index) = first else { return };
    let callback = timers[index].callback;
    match timers[index].every {
        Some(every) => timers[index].due = now() + every,
        None => {
            timers.remove(index);
        }
    }
    // SAFETY: as for `start`; the callback is a function of the realm.
    unsafe {
        anew(realm);
        let result = q::JS_Call(realm.context, callback, q::JS_UNDEFINED, 0, ptr::null_mut());
        if q::JS_IsException(result) {
            let reason = q::JS_GetException(realm.context);
            realm.run.uncaught.get_or_insert(reason);
        }
    }
}

/// Runs what `process.nextTick` was given: before the jobs of promises, and
/// again when these are done.
unsafe fn tick(realm: &mut Realm) {
    let Some(run) = realm.run.tick.take() else {
        return;
    };
    // SAFETY: as for `start`; the function was kept for this, and catches what
    // callbacks throw.
    unsafe {
        let result = q::JS_Call(realm.context, run, q::JS_UNDEFINED, 0, ptr::null_mut());
        if q::JS_IsException(result) {
            q::JS_FreeValue(realm.context, q::JS_GetException(realm.context));
        }
        q::JS_FreeValue(realm.context, run);
    }
}

/// What begins now follows nothing that ran before.
unsafe fn anew(realm: &mut Realm) {
    if let Some(value) = realm.run.follows.take() {
        // SAFETY: as for `start`; the value was the run's.
        unsafe { q::JS_FreeValue(realm.context, value) };
    }
}

/// Settles the promise that a reply is for.
unsafe fn settle(realm: &mut Realm, reply: &RawDocumentBuf) {
    let id = reply.get_i32("id").unwrap_or(0);
    realm.run.weak.remove(&id);
    let Some([resolve, reject]) = realm.run.pending.remove(&id) else {
        return;
    };
    let ctx = realm.context;
    // SAFETY: as for `start`; the functions were kept for this.
    unsafe {
        anew(realm);
        let (function, value) = if let Ok(error) = reply.get_document("error") {
            crate::natives::throw(
                ctx,
                error.get_str("name").unwrap_or("Error"),
                error.get_str("message").unwrap_or_default(),
                error.get_str("code").unwrap_or_default(),
            );
            (reject, q::JS_GetException(ctx))
        } else {
            let value = match reply.get("value") {
                Ok(Some(value)) => crate::convert::to_js(ctx, &realm.shapes, value),
                _ => q::JS_UNDEFINED,
            };
            if q::JS_IsException(value) {
                (reject, q::JS_GetException(ctx))
            } else {
                (resolve, value)
            }
        };
        let mut arguments = [value];
        q::JS_Call(ctx, function, q::JS_UNDEFINED, 1, arguments.as_mut_ptr());
        for value in [resolve, reject, value] {
            q::JS_FreeValue(ctx, value);
        }
    }
}
