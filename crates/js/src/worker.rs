//! The worker process: waits for a call, runs it, answers, and resets its
//! realm.

use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use rquickjs_sys as q;
use rquickjs_sys::JSValue;

use crate::arena::{OVER_MEMORY, REFUSE};
use crate::convert::{from_js, text_of};
use crate::natives::{REALM, load};
use crate::realm::{EXPIRED, Realm};

/// From the time limit to the refusal of every allocation.
const REFUSE_AFTER: Duration = Duration::from_millis(100);

/// Runs calls that arrive on standard input, which is a socket, until it
/// closes. The whole of `backstitch worker`.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> std::io::Result<()> {
    // SAFETY: the server passes a socket as standard input, and nothing else
    // in this process uses it.
    let socket = unsafe { UnixStream::from_raw_fd(0) };
    let mut realm = Realm::new(socket)?;
    REALM.store(&raw mut *realm, Ordering::Relaxed);
    // SAFETY: the handler only stores to atomics.
    unsafe {
        let handler = expired as extern "C" fn(libc::c_int);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        // Without SA_RESTART: a blocked read has to wake up.
        if libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    crate::sandbox::enter()?;
    loop {
        let call = match crate::wire::read(&mut realm.socket, &mut realm.input) {
            Ok(call) => call,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if call.get_str("k").ok() != Some("call") {
            // A reply that came after its call ended.
            continue;
        }
        let answer = run(&mut realm, &call);
        let answer = RawDocumentBuf::try_from(&answer).map_err(std::io::Error::other)?;
        crate::wire::write(&mut realm.socket, &answer)?;
        realm.reset();
    }
}

extern "C" fn expired(_: libc::c_int) {
    if EXPIRED.swap(true, Ordering::Relaxed) {
        REFUSE.store(true, Ordering::Relaxed);
    }
}

/// Rings at the time limit, and again to refuse allocations; zero turns it off.
fn alarm(after: Duration) {
    let time = |duration: Duration| libc::timeval {
        tv_sec: duration.as_secs() as _,
        tv_usec: i64::from(duration.subsec_micros()) as _,
    };
    let timer = libc::itimerval {
        it_value: time(after),
        it_interval: if after.is_zero() {
            time(after)
        } else {
            time(REFUSE_AFTER)
        },
    };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// How a call ended, inside the worker.
enum Ended {
    Value(Bson),
    Threw(Document),
}

fn run(realm: &mut Realm, call: &RawDocument) -> Document {
    let start = Instant::now();
    let number = |name: &str| call.get_i64(name).unwrap_or(0).max(1) as u64;
    realm.arena.limit(number("memory_bytes") as usize);
    alarm(Duration::from_millis(number("time_ms")));
    // SAFETY: this thread is the realm's, and nothing of an earlier call is
    // left in it.
    let ended = unsafe { execute(realm, call) };
    alarm(Duration::ZERO);
    let memory = realm.arena.peak() as i64;
    let logs: Vec<Bson> = realm
        .run
        .logs
        .drain(..)
        .map(|line| doc! { "error": line.is_error, "text": line.text }.into())
        .collect();
    let mut answer = doc! {
        "k": "done", "logs": logs, "memory": memory, "us": start.elapsed().as_micros() as i64,
    };
    if EXPIRED.load(Ordering::Relaxed) {
        answer.insert("time_limit", true);
    } else if OVER_MEMORY.load(Ordering::Relaxed) && matches!(ended, Ended::Threw(_)) {
        answer.insert("memory_limit", true);
    } else {
        match ended {
            Ended::Value(value) => answer.insert("value", value),
            Ended::Threw(error) => answer.insert("error", error),
        };
    }
    answer
}

/// # Safety
/// Runs on the realm's thread, outside of any other call.
unsafe fn execute(realm: &mut Realm, call: &RawDocument) -> Ended {
    let ctx = realm.context;
    // SAFETY: throughout, values belong to the live context; what is not
    // released goes with the reset.
    unsafe {
        let function = load(call);
        if q::JS_IsException(function) {
            return threw(realm);
        }
        let mut result = match call.get_str("evaluate") {
            Ok(source) => evaluate(realm, function, source),
            Err(_) => {
                let arguments = call.get_array("arguments").into_iter().flatten().flatten();
                let mut values: Vec<JSValue> = arguments
                    .map(|value| crate::convert::to_js(ctx, &realm.shapes, value))
                    .collect();
                q::JS_Call(
                    ctx,
                    function,
                    q::JS_UNDEFINED,
                    values.len() as _,
                    values.as_mut_ptr(),
                )
            }
        };
        if q::JS_IsException(result) {
            return threw(realm);
        }
        if q::JS_IsObject(result) {
            let mut arguments = [result];
            let cursor = q::JS_Call(
                ctx,
                realm.is_cursor,
                q::JS_UNDEFINED,
                1,
                arguments.as_mut_ptr(),
            );
            if q::JS_IsPromise(result) || q::JS_ToBool(ctx, cursor) == 1 {
                result = q::JS_Call(
                    ctx,
                    realm.settle,
                    q::JS_UNDEFINED,
                    1,
                    arguments.as_mut_ptr(),
                );
                if q::JS_IsException(result) {
                    return threw(realm);
                }
            }
        }
        if !drain(realm) {
            return Ended::Threw(error_document("Error", "the call was stopped", "", ""));
        }
        if q::JS_IsPromise(result) {
            match q::JS_PromiseState(ctx, result) {
                q::JSPromiseStateEnum_JS_PROMISE_FULFILLED => {
                    result = q::JS_PromiseResult(ctx, result)
                }
                q::JSPromiseStateEnum_JS_PROMISE_REJECTED => {
                    let reason = q::JS_PromiseResult(ctx, result);
                    return Ended::Threw(described(realm, reason));
                }
                _ => {
                    return Ended::Threw(error_document(
                        "Error",
                        "the function's promise never settles",
                        "",
                        "",
                    ));
                }
            }
        }
        if let Some((_, reason)) = realm.run.unhandled.pop() {
            let error = described(realm, reason);
            let inner = error.get_str("message").unwrap_or_default();
            let text = format!("uncaught promise rejection: {inner}");
            return Ended::Threw(error_document(
                "",
                &text,
                error.get_str("stack").unwrap_or_default(),
                error.get_str("code").unwrap_or_default(),
            ));
        }
        match from_js(ctx, &realm.shapes, result, true) {
            Ok(document) => match document.get("v") {
                Ok(Some(value)) => Ended::Value(Bson::try_from(value).unwrap_or(Bson::Null)),
                // A function or a symbol has no value.
                _ => Ended::Value(Bson::Undefined),
            },
            Err(_) if q::JS_HasException(ctx) => threw(realm),
            Err(why) => Ended::Threw(error_document(
                "TypeError",
                &format!("the result cannot be returned: {why:?}"),
                "",
                "",
            )),
        }
    }
}

/// Evaluates a line in which `exports` is the function.
unsafe fn evaluate(realm: &Realm, function: JSValue, source: &str) -> JSValue {
    let ctx = realm.context;
    // SAFETY: as for `execute`.
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

/// Runs jobs, replies and timers until nothing is left; false when the time is
/// up or the server is gone.
unsafe fn drain(realm: &mut Realm) -> bool {
    // SAFETY: as for `execute`.
    unsafe {
        loop {
            let mut ctx = ptr::null_mut();
            loop {
                let done = q::JS_ExecutePendingJob(realm.runtime, &raw mut ctx);
                if done < 0 {
                    // A job threw; its promise knows.
                    let exception = q::JS_GetException(realm.context);
                    q::JS_FreeValue(realm.context, exception);
                }
                if EXPIRED.load(Ordering::Relaxed) || realm.run.broken {
                    return false;
                }
                if done == 0 {
                    break;
                }
            }
            if let Some(reply) = realm.run.replies.pop_front() {
                settle(realm, &reply);
                continue;
            }
            let due = realm.run.timers.iter().map(|timer| timer.due).min();
            if realm.run.pending.is_empty() && due.is_none() {
                return true;
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                ring(realm);
                continue;
            }
            if let Some(due) = due
                && !readable(realm, due)
            {
                if EXPIRED.load(Ordering::Relaxed) {
                    return false;
                }
                continue;
            }
            match crate::wire::read(&mut realm.socket, &mut realm.input) {
                Ok(reply) => settle(realm, &reply),
                Err(error) => {
                    realm.run.broken = error.kind() != std::io::ErrorKind::TimedOut;
                    return false;
                }
            }
        }
    }
}

/// Waits until the socket has something or `due` has come.
fn readable(realm: &Realm, due: Instant) -> bool {
    use std::os::fd::AsRawFd;
    if !realm.input.is_empty() {
        return true;
    }
    let left = due.saturating_duration_since(Instant::now());
    let mut poll = libc::pollfd {
        fd: realm.socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // Rounded up, so that the timer is due afterwards.
    let ms = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
    // SAFETY: one live entry.
    unsafe { libc::poll(&raw mut poll, 1, ms) == 1 }
}

/// Calls the timers that are due.
unsafe fn ring(realm: &mut Realm) {
    let now = Instant::now();
    let mut index = 0;
    while index < realm.run.timers.len() {
        let timer = &mut realm.run.timers[index];
        if timer.due > now {
            index += 1;
            continue;
        }
        let callback = timer.callback;
        if let Some(every) = timer.every {
            timer.due = now + every;
            index += 1;
        } else {
            realm.run.timers.remove(index);
        }
        // SAFETY: as for `execute`; the callback is a function of the realm.
        unsafe {
            let result = q::JS_Call(realm.context, callback, q::JS_UNDEFINED, 0, ptr::null_mut());
            if q::JS_IsException(result) {
                let reason = q::JS_GetException(realm.context);
                realm.run.unhandled.push((q::JS_UNDEFINED, reason));
            }
        }
    }
}

/// Settles the promise that a reply is for.
unsafe fn settle(realm: &mut Realm, reply: &RawDocumentBuf) {
    let id = reply.get_i32("id").unwrap_or(0);
    let Some([resolve, reject]) = realm.run.pending.remove(&id) else {
        return;
    };
    let ctx = realm.context;
    // SAFETY: as for `execute`; the functions were kept for this.
    unsafe {
        let (function, value) = match reply.get_document("error") {
            Ok(error) => {
                crate::natives::throw(
                    ctx,
                    error.get_str("name").unwrap_or("Error"),
                    error.get_str("message").unwrap_or_default(),
                    error.get_str("code").unwrap_or_default(),
                );
                (reject, q::JS_GetException(ctx))
            }
            Err(_) => {
                let value = match reply.get("value") {
                    Ok(Some(value)) => crate::convert::to_js(ctx, &realm.shapes, value),
                    _ => q::JS_UNDEFINED,
                };
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

/// The exception that was thrown.
unsafe fn threw(realm: &mut Realm) -> Ended {
    realm.arena.unlimited();
    // SAFETY: as for `execute`.
    unsafe {
        let exception = q::JS_GetException(realm.context);
        Ended::Threw(described(realm, exception))
    }
}

fn error_document(name: &str, message: &str, stack: &str, code: &str) -> Document {
    let text = match (name, message) {
        ("", message) => message.to_owned(),
        (name, message) => format!("{name}: {message}"),
    };
    doc! { "message": text, "stack": stack, "code": code }
}

/// A thrown value as the service words it.
unsafe fn described(realm: &mut Realm, thrown: JSValue) -> Document {
    let ctx = realm.context;
    realm.arena.unlimited();
    // SAFETY: as for `execute`.
    unsafe {
        if !q::JS_IsError(thrown) {
            let text = match from_js(ctx, &realm.shapes, thrown, true) {
                Ok(document) => match document.get("v") {
                    Ok(Some(bson::raw::RawBsonRef::String(text))) => text.to_owned(),
                    Ok(Some(value)) => {
                        let mut out = Vec::new();
                        kit::ejson::relaxed(value, &mut out);
                        String::from_utf8_lossy(&out).into_owned()
                    }
                    _ => "undefined".to_owned(),
                },
                Err(_) => "a value that cannot be shown".to_owned(),
            };
            return error_document("", &text, "", "");
        }
        let property = |name: &std::ffi::CStr| {
            let value = q::JS_GetPropertyStr(ctx, thrown, name.as_ptr());
            if q::JS_IsException(value) || q::JS_IsUndefined(value) {
                return String::new();
            }
            text_of(ctx, value).unwrap_or_default()
        };
        let (name, message) = (property(c"name"), property(c"message"));
        let message = reworded(&name, &message);
        // The prelude's own lines are none of the function's business.
        let stack: Vec<String> = property(c"stack")
            .lines()
            .filter(|line| !line.contains("(prelude") && !line.contains("(native)"))
            .map(str::to_owned)
            .collect();
        error_document(&name, &message, &stack.join("\n"), &property(c"code"))
    }
}

/// The engine's messages in the service's words (functions-runtime.md §7).
fn reworded(name: &str, message: &str) -> String {
    if name == "TypeError" {
        for verb in ["read", "set"] {
            let start = format!("cannot {verb} property '");
            if let Some((property, of)) = message
                .strip_prefix(start.as_str())
                .and_then(|rest| rest.split_once("' of "))
            {
                return format!("Cannot access member '{property}' of {of}");
            }
        }
    }
    if name == "ReferenceError"
        && let Some(unbound) = message.strip_suffix(" is not defined")
        && !unbound.starts_with('\'')
    {
        return format!("'{unbound}' is not defined");
    }
    message.to_owned()
}
