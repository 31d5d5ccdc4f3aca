//! A call that waits, as bytes: what its realm has that the image has not, and
//! what the process keeps for it. It goes on in any worker of the same
//! generation, where everything has the same address.

use std::collections::{HashMap, VecDeque};
use std::io;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, cstr, rawdoc};
use rquickjs_sys::JSValue;

use crate::LogLine;
use crate::alarm::{self, now, stayed};
use crate::realm::{Realm, Run, Timer};
use crate::wire::binary;

/// Most bytes of a frozen realm; larger ones keep their worker.
const STATE_BYTES_MAX: usize = 4 << 20;
/// Most bytes of a frozen call, its realm compressed.
pub(crate) const CALL_BYTES_MAX: usize = 6 << 20;
/// How long a call stays whose timer rings sooner, in nanoseconds: moving costs a
/// millisecond.
const STAY: u64 = 50_000_000;

/// The message that ends a call's stay in this worker; `None` when it has to
/// stay.
pub(crate) fn freeze(realm: &mut Realm) -> Option<RawDocumentBuf> {
    // An arriving reply is not to be lost.
    if !realm.run.replies.is_empty() || realm.run.broken {
        return None;
    }
    let wake = realm.run.timers.iter().map(|timer| timer.due).min();
    let wake = wake.map(|wake| wake.saturating_sub(now()));
    if wake.is_some_and(|wake| wake.max(stayed()) < STAY) {
        return None;
    }
    alarm::moves();
    let state = realm.arena.changes(STATE_BYTES_MAX)?;
    let mut message = rawdoc! { "k": "frozen" };
    if let Some(wake) = wake {
        message.append(cstr!("wake"), wake as i64);
    }
    // Thousands may be kept, and most of a realm is pointers that look alike.
    let state = lz4_flex::compress_prepend_size(&state);
    message.append(cstr!("state"), binary(&state));
    message.append(cstr!("run"), run_document(&realm.run));
    (message.as_bytes().len() <= CALL_BYTES_MAX).then_some(message)
}

/// Puts a frozen call into a realm that nobody used.
pub(crate) fn thaw(realm: &mut Realm, message: &RawDocument) -> io::Result<()> {
    alarm::moves();
    let broken = || io::Error::other("a frozen call that cannot go on");
    let Ok(Some(RawBsonRef::Binary(state))) = message.get("state") else {
        return Err(broken());
    };
    let (size, packed) = lz4_flex::block::uncompressed_size(state.bytes).map_err(|_| broken())?;
    if size > STATE_BYTES_MAX {
        return Err(broken());
    }
    let state = lz4_flex::decompress(packed, size).map_err(|_| broken())?;
    // Bytes whose end is missing are no error of their own.
    if state.len() != size {
        return Err(broken());
    }
    realm.arena.apply(&state)?;
    let run = message.get_document("run").map_err(|_| broken())?;
    realm.run = run_of(run).ok_or_else(broken)?;
    Ok(())
}

/// Engine values as bytes: they point into the arena, which comes along.
fn values(values: &[JSValue]) -> Vec<u8> {
    // SAFETY: a value is plain words without padding: a union of eight bytes
    // and a tag.
    let bytes =
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    bytes.to_vec()
}

fn values_of<const N: usize>(document: &RawDocument, name: &str) -> Option<[JSValue; N]> {
    let Ok(Some(RawBsonRef::Binary(binary))) = document.get(name) else {
        return None;
    };
    if binary.bytes.len() != N * size_of::<JSValue>() {
        return None;
    }
    // SAFETY: as many bytes as were written by `values`, read without an
    // assumption about their alignment.
    Some(unsafe {
        binary
            .bytes
            .as_ptr()
            .cast::<[JSValue; N]>()
            .read_unaligned()
    })
}

fn run_document(run: &Run) -> RawDocumentBuf {
    let list = |documents: &mut dyn Iterator<Item = RawDocumentBuf>| {
        let mut list = RawArrayBuf::new();
        documents.for_each(|document| list.push(document));
        list
    };
    let with = |mut document: RawDocumentBuf, of: &[JSValue]| {
        document.append(cstr!("v"), binary(&values(of)));
        document
    };
    let mut out = rawdoc! {
        "start": run.start as i64, "operations": i64::from(run.operations),
        "modules": i64::from(run.modules), "next": run.next,
    };
    let mut logs = run.logs.iter();
    let mut logs = logs.by_ref().map(|line| {
        rawdoc! { "error": line.is_error, "text": line.text.as_str() }
    });
    out.append(cstr!("logs"), list(&mut logs));
    let mut loaded = RawArrayBuf::new();
    for module in &run.loaded {
        loaded.push(module.as_str());
    }
    out.append(cstr!("loaded"), loaded);
    let mut pending = run.pending.iter().map(|(id, functions)| {
        with(
            rawdoc! { "id": *id, "weak": run.weak.contains(id) },
            functions,
        )
    });
    out.append(cstr!("pending"), list(&mut pending));
    let mut timers = run.timers.iter().map(|timer| {
        let parts = rawdoc! {
            "id": timer.id, "due": timer.due as i64, "every": timer.every.unwrap_or(0) as i64,
            "keeps": timer.keeps,
        };
        with(parts, &[timer.callback])
    });
    out.append(cstr!("timers"), list(&mut timers));
    let mut unhandled = run
        .unhandled
        .iter()
        .map(|(promise, reason)| with(rawdoc! {}, &[*promise, *reason]));
    out.append(cstr!("unhandled"), list(&mut unhandled));
    if let Some(reason) = run.uncaught {
        out.append(cstr!("uncaught"), binary(&values(&[reason])));
    }
    if let Some(value) = run.follows {
        out.append(cstr!("follows"), binary(&values(&[value])));
    }
    if let Some(result) = run.result {
        out.append(cstr!("result"), binary(&values(&[result])));
    }
    let mut known = run.values.iter().map(|(name, reply)| {
        let mut entry = rawdoc! { "name": name.as_str() };
        entry.append(cstr!("reply"), reply.clone());
        entry
    });
    out.append(cstr!("values"), list(&mut known));
    let mut entered = run.entered.iter().map(|((frame, name), (hash, inner))| {
        let mut entry = rawdoc! { "frame": *frame, "name": name.as_str(), "inner": *inner };
        entry.append(cstr!("hash"), binary(hash));
        entry
    });
    out.append(cstr!("entered"), list(&mut entered));
    let mut contexts = run.contexts.iter().map(|(frame, context)| {
        let mut entry = rawdoc! { "frame": *frame };
        entry.append(cstr!("context"), context.clone());
        entry
    });
    out.append(cstr!("contexts"), list(&mut contexts));
    out
}

fn run_of(document: &RawDocument) -> Option<Run> {
    let list = |name: &str| {
        let list = document.get_array(name).into_iter().flatten();
        list.filter_map(|entry| entry.ok()?.as_document())
    };
    let mut run = Run {
        start: document.get_i64("start").ok()? as u64,
        operations: u32::try_from(document.get_i64("operations").ok()?).ok()?,
        modules: u32::try_from(document.get_i64("modules").ok()?).ok()?,
        next: document.get_i32("next").ok()?,
        uncaught: values_of::<1>(document, "uncaught").map(|[value]| value),
        result: values_of::<1>(document, "result").map(|[value]| value),
        follows: values_of::<1>(document, "follows").map(|[value]| value),
        logs: VecDeque::new(),
        pending: HashMap::new(),
        ..Run::default()
    };
    for line in list("logs") {
        run.logs.push_back(LogLine {
            is_error: line.get_bool("error").ok()?,
            text: line.get_str("text").ok()?.to_owned(),
        });
    }
    for module in document.get_array("loaded").into_iter().flatten() {
        run.loaded.push(module.ok()?.as_str()?.to_owned());
    }
    for entry in list("pending") {
        let id = entry.get_i32("id").ok()?;
        if entry.get_bool("weak").ok()? {
            run.weak.insert(id);
        }
        run.pending.insert(id, values_of(entry, "v")?);
    }
    for entry in list("timers") {
        let every = entry.get_i64("every").ok()? as u64;
        let [callback] = values_of(entry, "v")?;
        run.timers.push(Timer {
            id: entry.get_i32("id").ok()?,
            due: entry.get_i64("due").ok()? as u64,
            every: (every > 0).then_some(every),
            keeps: entry.get_bool("keeps").ok()?,
            callback,
        });
    }
    for entry in list("unhandled") {
        let [promise, reason] = values_of(entry, "v")?;
        run.unhandled.push((promise, reason));
    }
    for entry in list("values") {
        let reply = entry.get_document("reply").ok()?.to_owned();
        let name = entry.get_str("name").ok()?.to_owned();
        run.values.insert(name, reply);
    }
    for entry in list("entered") {
        let Ok(Some(RawBsonRef::Binary(hash))) = entry.get("hash") else {
            return None;
        };
        let name = entry.get_str("name").ok()?.to_owned();
        let key = (entry.get_i32("frame").ok()?, name);
        let code = (hash.bytes.to_vec(), entry.get_i32("inner").ok()?);
        run.entered.insert(key, code);
    }
    for entry in list("contexts") {
        let context = entry.get_document("context").ok()?.to_owned();
        run.contexts.push((entry.get_i32("frame").ok()?, context));
    }
    Some(run)
}
