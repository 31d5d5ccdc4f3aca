//! The functions that the prelude calls: the host's half of `natives`.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, cstr, rawdoc};
use kit::limit;
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSValue};

use crate::LogLine;
use crate::alarm::now;
use crate::convert::{Unconvertible, from_js, int, start_of, string, text_of};
use crate::realm::{Realm, Timer};

/// The realm of this process. Natives find it here, since pointers inside the
/// arena must not lead out of it.
pub(crate) static REALM: AtomicPtr<Realm> = AtomicPtr::new(ptr::null_mut());

/// The realm, for a native that the engine calls.
#[allow(clippy::mut_from_ref)]
pub(crate) fn realm() -> &'static mut Realm {
    // SAFETY: the worker's one thread sets the pointer before it runs any
    // code, and natives run on that thread only, one inside the other.
    unsafe { &mut *REALM.load(Ordering::Relaxed) }
}

pub(crate) type Native =
    unsafe extern "C" fn(*mut JSContext, JSValue, c_int, *mut JSValue) -> JSValue;

const NATIVES: &[(&CStr, Native)] = &[
    (c"objectId", object_id),
    (c"decimal", decimal),
    (c"utf8", utf8),
    (c"text", text),
    (c"toBase64", to_base64),
    (c"fromBase64", from_base64),
    (c"stringify", stringify),
    (c"relaxed", relaxed),
    (c"parse", parse),
    (c"log", log),
    (c"timer", timer),
    (c"clearTimer", clear_timer),
    (c"keepTimer", keep_timer),
    (c"random", random),
    (c"call", call),
    (c"sync", sync),
    (c"enter", enter),
    (c"field", field),
    (c"value", value),
    (c"number", number),
    (c"builtin", builtin),
    (c"node", node),
];

/// The object that the prelude gets.
///
/// # Safety
/// `context` is live.
pub(crate) unsafe fn make(context: *mut JSContext) -> JSValue {
    // SAFETY: names are terminated, functions have the engine's signature.
    unsafe {
        let natives = q::JS_NewObject(context);
        let all = NATIVES
            .iter()
            .chain(crate::loader::NATIVES)
            .chain(crate::introspection::NATIVES);
        for (name, native) in all {
            let function = q::JS_NewCFunction2(
                context,
                Some(*native),
                name.as_ptr(),
                0,
                q::JSCFunctionEnum_JS_CFUNC_generic,
                0,
            );
            q::JS_SetPropertyStr(context, natives, name.as_ptr(), function);
        }
        natives
    }
}

pub(crate) unsafe fn argument(count: c_int, arguments: *mut JSValue, index: usize) -> JSValue {
    if index < count as usize {
        // SAFETY: the engine passes `count` arguments.
        unsafe { *arguments.add(index) }
    } else {
        q::JS_UNDEFINED
    }
}

/// Throws an `Error` with a name, a message and the wire's code.
pub(crate) unsafe fn throw(ctx: *mut JSContext, name: &str, message: &str, code: &str) -> JSValue {
    // SAFETY: `ctx` is live; the error is handed over to the engine.
    unsafe {
        let error = q::JS_NewError(ctx);
        let set = |key: &CStr, text: &str| {
            let value = string(ctx, text);
            let atom = q::JS_NewAtom(ctx, key.as_ptr());
            // Writable and configurable, as the engine's own.
            q::JS_DefinePropertyValue(ctx, error, atom, value, 3);
            q::JS_FreeAtom(ctx, atom);
        };
        set(c"message", message);
        if name != "Error" {
            set(c"name", name);
        }
        if !code.is_empty() {
            set(c"code", code);
        }
        q::JS_Throw(ctx, error)
    }
}

unsafe fn throw_unconvertible(ctx: *mut JSContext, why: &Unconvertible) -> JSValue {
    // SAFETY: `ctx` is live.
    unsafe {
        match why {
            Unconvertible::Thrown if q::JS_HasException(ctx) => q::JS_EXCEPTION,
            Unconvertible::TooLarge => throw(ctx, "RangeError", &why.to_string(), ""),
            _ => throw(ctx, "TypeError", &why.to_string(), ""),
        }
    }
}

unsafe extern "C" fn object_id(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
) -> JSValue {
    realm().run.asked = true;
    // SAFETY: `ctx` is live.
    unsafe { string(ctx, &bson::oid::ObjectId::new().to_hex()) }
}

unsafe extern "C" fn decimal(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as the engine promises for every native in this file: `ctx` is
    // live and `a` holds `n` values.
    unsafe {
        let text = text_of(ctx, argument(n, a, 0)).unwrap_or_default();
        match text.parse::<bson::Decimal128>() {
            Ok(value) => string(ctx, &value.to_string()),
            Err(_) => throw(
                ctx,
                "TypeError",
                &format!("'{text}' is not a Decimal128"),
                "",
            ),
        }
    }
}

unsafe fn bytes(ctx: *mut JSContext, bytes: &[u8]) -> JSValue {
    // SAFETY: the bytes are copied with their length.
    unsafe { q::JS_NewUint8ArrayCopy(ctx, bytes.as_ptr(), bytes.len() as _) }
}

unsafe fn bytes_of(ctx: *mut JSContext, value: JSValue) -> Option<Vec<u8>> {
    let mut length = 0;
    // SAFETY: the array's memory is copied at once.
    unsafe {
        let start = q::JS_GetUint8Array(ctx, &raw mut length, value);
        (!start.is_null()).then(|| std::slice::from_raw_parts(start, length as usize).to_vec())
    }
}

unsafe extern "C" fn utf8(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        match text_of(ctx, argument(n, a, 0)) {
            Some(text) => bytes(ctx, text.as_bytes()),
            None => q::JS_EXCEPTION,
        }
    }
}

unsafe extern "C" fn text(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        match bytes_of(ctx, argument(n, a, 0)) {
            Some(bytes) => string(ctx, &String::from_utf8_lossy(&bytes)),
            None => q::JS_EXCEPTION,
        }
    }
}

unsafe extern "C" fn to_base64(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        match bytes_of(ctx, argument(n, a, 0)) {
            Some(bytes) => string(ctx, &STANDARD.encode(bytes)),
            None => q::JS_EXCEPTION,
        }
    }
}

unsafe extern "C" fn from_base64(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let text = text_of(ctx, argument(n, a, 0)).unwrap_or_default();
        match STANDARD.decode(text) {
            Ok(decoded) => bytes(ctx, &decoded),
            Err(_) => throw(ctx, "TypeError", "the text is not base64 with padding", ""),
        }
    }
}

unsafe fn json(ctx: *mut JSContext, value: JSValue, relaxed: bool) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        match from_js(ctx, &realm().shapes, value, true) {
            Ok(document) => match document.get("v") {
                Ok(Some(value)) => {
                    let mut out = Vec::new();
                    if relaxed {
                        kit::ejson::relaxed(value, &mut out);
                    } else {
                        kit::ejson::canonical(value, &mut out);
                    }
                    string(ctx, &String::from_utf8_lossy(&out))
                }
                _ => q::JS_UNDEFINED,
            },
            Err(why) => throw_unconvertible(ctx, &why),
        }
    }
}

unsafe extern "C" fn stringify(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe { json(ctx, argument(n, a, 0), false) }
}

unsafe extern "C" fn relaxed(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe { json(ctx, argument(n, a, 0), true) }
}

unsafe extern "C" fn parse(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let text = text_of(ctx, argument(n, a, 0)).unwrap_or_default();
        // What is parsed lies outside of the arena for a while, where each value
        // takes more than it does in the text.
        let opens = |byte: &&u8| matches!(byte, b'{' | b'[' | b',');
        let values = text.as_bytes().iter().filter(opens).count();
        if text.len() > limit::DOCUMENT_BYTES_MAX || values > limit::CALL_PARSED_VALUES_MAX {
            return throw(ctx, "RangeError", "the text is too large", "");
        }
        match kit::ejson::parse(text.as_bytes()) {
            Ok(value) => realm().value(&value),
            Err(error) => throw(ctx, "SyntaxError", &error.message, ""),
        }
    }
}

unsafe extern "C" fn log(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    let (is_error, text) = unsafe {
        let is_error = q::JS_ToBool(ctx, argument(n, a, 0)) == 1;
        let text = start_of(ctx, argument(n, a, 1), limit::CALL_LOG_LINE_BYTES_MAX);
        (is_error, text.unwrap_or_default())
    };
    realm().run.asked = true;
    let logs = &mut realm().run.logs;
    if logs.len() >= limit::CALL_LOG_LINES_MAX {
        logs.pop_front();
    }
    logs.push_back(LogLine { is_error, text });
    q::JS_UNDEFINED
}

unsafe extern "C" fn timer(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`; the callback is kept with a reference.
    unsafe {
        let mut delay = 0.0;
        q::JS_ToFloat64(ctx, &raw mut delay, argument(n, a, 1));
        let delay = (delay.clamp(0.0, 1e9) * 1e6) as u64;
        let repeats = q::JS_ToBool(ctx, argument(n, a, 2)) == 1;
        let run = &mut realm().run;
        if run.timers.len() >= limit::CALL_HOST_OPERATIONS_MAX as usize {
            return throw(ctx, "RangeError", "too many timers", "");
        }
        run.next += 1;
        run.timers.push(Timer {
            id: run.next,
            due: now() + delay,
            every: repeats.then(|| delay.max(1_000_000)),
            keeps: true,
            callback: q::JS_DupValue(ctx, argument(n, a, 0)),
        });
        int(run.next)
    }
}

unsafe extern "C" fn clear_timer(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    let mut id = 0;
    // SAFETY: as for `decimal`.
    unsafe { q::JS_ToInt32(ctx, &raw mut id, argument(n, a, 0)) };
    realm().run.timers.retain(|timer| timer.id != id);
    q::JS_UNDEFINED
}

/// Whether the call waits for a timer: its number, a boolean.
unsafe extern "C" fn keep_timer(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    let mut id = 0;
    // SAFETY: as for `decimal`.
    let keeps = unsafe {
        q::JS_ToInt32(ctx, &raw mut id, argument(n, a, 0));
        q::JS_ToBool(ctx, argument(n, a, 1)) == 1
    };
    for timer in &mut realm().run.timers {
        if timer.id == id {
            timer.keeps = keeps;
        }
    }
    q::JS_UNDEFINED
}

/// A number from the kernel's generator: the engine's own would repeat after
/// each reset.
unsafe extern "C" fn random(_: *mut JSContext, _: JSValue, _: c_int, _: *mut JSValue) -> JSValue {
    realm().run.asked = true;
    let mut word = [0u8; 8];
    // SAFETY: the buffer is eight bytes long.
    unsafe { libc::getrandom(word.as_mut_ptr().cast(), word.len(), 0) };
    let n = (u64::from_le_bytes(word) >> 11) as f64 / (1u64 << 53) as f64;
    crate::convert::float(n)
}

/// Counts a host operation and makes its message.
unsafe fn begin(
    ctx: *mut JSContext,
    frame: i32,
    operation: &str,
    arguments: &RawDocument,
) -> Result<Message, JSValue> {
    let run = &mut realm().run;
    run.asked = true;
    run.operations += 1;
    if run.operations > limit::CALL_HOST_OPERATIONS_MAX {
        let text = format!(
            "a function may start {} operations at most",
            limit::CALL_HOST_OPERATIONS_MAX
        );
        // SAFETY: as for `decimal`.
        return Err(unsafe { throw(ctx, "RangeError", &text, "") });
    }
    run.next += 1;
    Ok(Message::host(run.next, frame, operation, arguments))
}

/// A message that has a reply.
pub(crate) struct Message {
    id: i32,
    bytes: RawDocumentBuf,
}

impl Message {
    /// An operation that the host does.
    pub(crate) fn host(id: i32, frame: i32, operation: &str, arguments: &RawDocument) -> Self {
        let mut bytes = rawdoc! { "k": "host", "id": id, "frame": frame, "op": operation };
        bytes.append(cstr!("args"), arguments);
        Self { id, bytes }
    }
}

/// The message of an operation as the prelude asks for it: frame, name,
/// arguments.
unsafe fn request(ctx: *mut JSContext, n: c_int, a: *mut JSValue) -> Result<Message, JSValue> {
    // SAFETY: as for `decimal`.
    unsafe {
        let mut frame = 0;
        q::JS_ToInt32(ctx, &raw mut frame, argument(n, a, 0));
        let name = text_of(ctx, argument(n, a, 1)).unwrap_or_default();
        // Undefined fields of arguments are left out, as drivers do.
        let arguments = from_js(ctx, &realm().shapes, argument(n, a, 2), false)
            .map_err(|why| throw_unconvertible(ctx, &why))?;
        match arguments.get_document("v") {
            Ok(arguments) => begin(ctx, frame, &name, arguments),
            Err(_) => Err(throw_unconvertible(ctx, &Unconvertible::Thrown)),
        }
    }
}

fn send(message: &Message) -> bool {
    let realm = realm();
    let sent = crate::wire::write(&mut *realm.server.output, &message.bytes);
    realm.run.broken |= sent.is_err();
    sent.is_ok()
}

/// An asynchronous operation: a promise that the reply settles. With a fourth
/// argument that is true, the call ends without it once its function is done.
unsafe extern "C" fn call(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`; the resolving functions are owned by the table.
    unsafe {
        let mut functions = [q::JS_UNDEFINED; 2];
        let promise = q::JS_NewPromiseCapability(ctx, functions.as_mut_ptr());
        if q::JS_IsException(promise) {
            return promise;
        }
        match request(ctx, n, a) {
            Ok(message) if send(&message) => {
                let run = &mut realm().run;
                run.pending.insert(message.id, functions);
                if q::JS_ToBool(ctx, argument(n, a, 3)) == 1 {
                    run.weak.insert(message.id);
                }
                return promise;
            }
            Ok(_) => {
                throw(ctx, "Error", "the connection to the server is lost", "");
            }
            Err(_) => {}
        }
        // What is wrong with the arguments is a rejection as well.
        let mut reason = [q::JS_GetException(ctx)];
        let [resolve, reject] = functions;
        q::JS_Call(ctx, reject, q::JS_UNDEFINED, 1, reason.as_mut_ptr());
        for value in [resolve, reject, reason[0]] {
            q::JS_FreeValue(ctx, value);
        }
        promise
    }
}

/// A number that this call has not used yet.
unsafe extern "C" fn number(_: *mut JSContext, _: JSValue, _: c_int, _: *mut JSValue) -> JSValue {
    let run = &mut realm().run;
    run.next += 1;
    int(run.next)
}

/// Waits for the reply to a message; other replies are kept for later.
pub(crate) unsafe fn wait(
    ctx: *mut JSContext,
    message: &Message,
) -> Result<RawDocumentBuf, JSValue> {
    // SAFETY: as for `decimal`.
    unsafe {
        let lost = || throw(ctx, "Error", "the connection to the server is lost", "");
        if !send(message) {
            return Err(lost());
        }
        let id = message.id;
        let realm = realm();
        loop {
            match crate::wire::read(&mut *realm.server.input, &mut realm.input) {
                Ok(reply) if reply.get_i32("id").ok() == Some(id) => {
                    if let Ok(error) = reply.get_document("error") {
                        return Err(throw(
                            ctx,
                            error.get_str("name").unwrap_or("Error"),
                            error.get_str("message").unwrap_or_default(),
                            error.get_str("code").unwrap_or_default(),
                        ));
                    }
                    return Ok(reply);
                }
                Ok(message) if message.get_str("k").ok() == Some("freeze") => {
                    // JavaScript is waiting on the stack.
                    let _ =
                        crate::wire::write(&mut *realm.server.output, &rawdoc! { "k": "awake" });
                }
                Ok(reply) => realm.run.replies.push_back(reply),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return Err(throw(ctx, "Error", "execution time limit exceeded", ""));
                }
                Err(_) => {
                    realm.run.broken = true;
                    return Err(lost());
                }
            }
        }
    }
}

/// A synchronous operation: blocks until the reply is there.
unsafe extern "C" fn sync(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let reply = request(ctx, n, a).and_then(|message| wait(ctx, &message));
        match reply {
            Ok(reply) => match reply.get("value") {
                Ok(Some(value)) => crate::convert::to_js(ctx, &realm().shapes, value),
                _ => q::JS_UNDEFINED,
            },
            Err(exception) => exception,
        }
    }
}

/// `context.values.get`: asked once, made anew each time.
unsafe extern "C" fn value(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let mut frame = 0;
        q::JS_ToInt32(ctx, &raw mut frame, argument(n, a, 0));
        let name = text_of(ctx, argument(n, a, 1)).unwrap_or_default();
        let realm = realm();
        if !realm.run.values.contains_key(&name) {
            let arguments = rawdoc! { "name": name.as_str() };
            let reply =
                begin(ctx, frame, "value", &arguments).and_then(|message| wait(ctx, &message));
            match reply {
                Ok(reply) => realm.run.values.insert(name.clone(), reply),
                Err(exception) => return exception,
            };
        }
        match realm.run.values.get(&name).map(|reply| reply.get("value")) {
            Some(Ok(Some(value))) => crate::convert::to_js(ctx, &realm.shapes, value),
            _ => q::JS_UNDEFINED,
        }
    }
}

/// `context.functions.execute`: asks for the function, once for each frame,
/// and makes it here.
unsafe extern "C" fn enter(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`; made values are handed on or released.
    unsafe {
        let mut frame = 0;
        q::JS_ToInt32(ctx, &raw mut frame, argument(n, a, 0));
        let name = text_of(ctx, argument(n, a, 1)).unwrap_or_default();
        let run = &mut realm().run;
        let key = (frame, name);
        if let Some((hash, inner)) = run.entered.get(&key) {
            return instance(hash, *inner);
        }
        run.next += 1;
        let message = Message {
            id: run.next,
            bytes: rawdoc! { "k": "enter", "id": run.next, "frame": frame, "name": key.1.as_str() },
        };
        let reply = match wait(ctx, &message) {
            Ok(reply) => reply,
            Err(exception) => return exception,
        };
        let (hash, inner) = learn(&reply);
        run.entered.insert(key, (hash.clone(), inner));
        instance(&hash, inner)
    }
}

/// The factory of a built-in module; undefined when there is none.
unsafe extern "C" fn builtin(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let name = text_of(ctx, argument(n, a, 0)).unwrap_or_default();
        match crate::builtins::bytecode(&name) {
            None => q::JS_UNDEFINED,
            Some(Ok(code)) => {
                realm().run.loaded.push(format!("node:{name}"));
                realm().evaluate(code)
            }
            Some(Err(error)) => {
                let text = format!("{name}: {error} ({}:{})", error.line, error.column);
                throw(ctx, "SyntaxError", &text, "")
            }
        }
    }
}

/// An operation of the crate `node`.
unsafe extern "C" fn node(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let operation = text_of(ctx, argument(n, a, 0)).unwrap_or_default();
        let mut arguments = Vec::new();
        for index in 1..n.max(1) as usize {
            match crate::node_values::from_js(ctx, argument(n, a, index)) {
                Ok(value) => arguments.push(value),
                Err(why) => return throw_unconvertible(ctx, &why),
            }
        }
        realm().run.asked |= operation.contains("random") || operation.contains("generate");
        match ::node::call(&operation, &arguments) {
            Ok(value) => crate::node_values::to_js(ctx, &value),
            Err(error) => throw(ctx, error.name, &error.message, error.code),
        }
    }
}

/// A part of a frame's context, converted when it is asked for.
unsafe extern "C" fn field(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `decimal`.
    unsafe {
        let mut frame = 0;
        q::JS_ToInt32(ctx, &raw mut frame, argument(n, a, 0));
        let name = text_of(ctx, argument(n, a, 1)).unwrap_or_default();
        let realm = realm();
        let context = realm.run.contexts.iter().find(|(of, _)| *of == frame);
        match context.map(|(_, context)| context.get(name.as_str())) {
            Some(Ok(Some(value))) => crate::convert::to_js(ctx, &realm.shapes, value),
            _ => q::JS_UNDEFINED,
        }
    }
}

/// Makes the function that a message carries: code, frame, context.
pub(crate) unsafe fn load(message: &RawDocument) -> JSValue {
    let (hash, frame) = learn(message);
    // SAFETY: as the caller promises.
    unsafe { instance(&hash, frame) }
}

/// Keeps the code that a message brings along for a call that goes on.
pub(crate) fn learn_all(message: &RawDocument) {
    for entry in message.get_array("codes").into_iter().flatten().flatten() {
        if let Some(entry) = entry.as_document() {
            learn_code(entry);
        }
    }
}

fn learn_code(message: &RawDocument) -> Vec<u8> {
    let realm = realm();
    let hash = match message.get("hash") {
        Ok(Some(RawBsonRef::Binary(hash))) => hash.bytes,
        _ => &[],
    };
    if message.get_bool("forget").unwrap_or(false) {
        realm.codes.clear();
    }
    if let Ok(Some(RawBsonRef::Binary(code))) = message.get("code") {
        realm.codes.insert(hash.to_vec(), code.bytes.to_vec());
    }
    hash.to_vec()
}

/// Keeps the context of a message for its frame.
pub(crate) fn learn_context(message: &RawDocument) {
    let frame = message.get_i32("frame").unwrap_or(0);
    if let Ok(context) = message.get_document("context") {
        realm().run.contexts.push((frame, context.to_owned()));
    }
}

/// Keeps a message's code and the frame's context.
fn learn(message: &RawDocument) -> (Vec<u8>, i32) {
    let hash = learn_code(message);
    learn_context(message);
    (hash, message.get_i32("frame").unwrap_or(0))
}

/// Runs a file's code in a frame: the function that it exports.
unsafe fn instance(hash: &[u8], frame: i32) -> JSValue {
    let realm = realm();
    let ctx = realm.context;
    // SAFETY: the code came from the server and was compiled by this build;
    // values are released after the call.
    unsafe {
        let Some(code) = realm.codes.get(hash) else {
            return throw(ctx, "Error", "the function's code is missing", "");
        };
        let factory = realm.evaluate(code);
        if q::JS_IsException(factory) {
            return factory;
        }
        let mut arguments = [factory, int(frame)];
        let loaded = q::JS_Call(ctx, realm.load, q::JS_UNDEFINED, 2, arguments.as_mut_ptr());
        q::JS_FreeValue(ctx, factory);
        loaded
    }
}

/// Keeps the promises that were rejected and that nobody has handled.
pub(crate) unsafe extern "C" fn rejection(
    ctx: *mut JSContext,
    promise: JSValue,
    reason: JSValue,
    is_handled: bool,
    _: *mut c_void,
) {
    let unhandled = &mut realm().run.unhandled;
    // SAFETY: promises are objects, so their identity is their address.
    unsafe {
        let address = |value: JSValue| q::JS_VALUE_GET_PTR(value);
        if is_handled {
            unhandled.retain(|(other, _)| address(*other) != address(promise));
        } else {
            unhandled.push((q::JS_DupValue(ctx, promise), q::JS_DupValue(ctx, reason)));
        }
    }
}
