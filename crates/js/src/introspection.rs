//! What the language does not tell about values: the natives that `util` and
//! the console look with.

use std::ffi::{CStr, c_int, c_void};

use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSValue};

use crate::convert::{PLAIN, float, int};
use crate::natives::{Native, argument, realm};

/// Natives of this file.
pub(crate) const NATIVES: &[(&CStr, Native)] = &[
    (c"kind", kind),
    (c"promise", promise),
    (c"proxy", proxy),
    (c"now", now),
    (c"began", began),
    (c"tick", tick),
    (c"context", context),
    (c"setContext", set_context),
    (c"followContext", follow_context),
];

/// The class that an object was made with, such as `Map` or `Proxy`, whatever
/// its prototype says; undefined for what is no object.
unsafe extern "C" fn kind(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as the engine promises for every native in this file: `ctx` is
    // live and `a` holds `n` values; the name's atom is released.
    unsafe {
        let value = argument(n, a, 0);
        if !q::JS_IsObject(value) {
            return q::JS_UNDEFINED;
        }
        let name = q::JS_GetClassName(q::JS_GetRuntime(ctx), q::JS_GetClassID(value));
        let text = q::JS_AtomToString(ctx, name);
        q::JS_FreeAtom(ctx, name);
        text
    }
}

/// An array of two.
unsafe fn pair(ctx: *mut JSContext, first: JSValue, second: JSValue) -> JSValue {
    // SAFETY: as for `kind`; the array takes the values over.
    unsafe {
        let list = q::JS_NewArray(ctx);
        for (index, value) in [first, second].into_iter().enumerate() {
            if q::JS_IsException(list)
                || q::JS_DefinePropertyValueUint32(ctx, list, index as u32, value, PLAIN) < 0
            {
                return q::JS_EXCEPTION;
            }
        }
        list
    }
}

/// A promise's state (0 pending, 1 fulfilled, 2 rejected) and result;
/// undefined for what is no promise.
unsafe extern "C" fn promise(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `kind`.
    unsafe {
        let value = argument(n, a, 0);
        if !q::JS_IsPromise(value) {
            return q::JS_UNDEFINED;
        }
        let state = match q::JS_PromiseState(ctx, value) {
            q::JSPromiseStateEnum_JS_PROMISE_FULFILLED => 1,
            q::JSPromiseStateEnum_JS_PROMISE_REJECTED => 2,
            _ => 0,
        };
        pair(ctx, int(state), q::JS_PromiseResult(ctx, value))
    }
}

/// A proxy's target and handler, nulls when it was revoked; undefined for what
/// is no proxy.
unsafe extern "C" fn proxy(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `kind`.
    unsafe {
        let value = argument(n, a, 0);
        if !q::JS_IsProxy(value) {
            return q::JS_UNDEFINED;
        }
        let target = q::JS_GetProxyTarget(ctx, value);
        if q::JS_IsException(target) {
            // A revoked one.
            q::JS_FreeValue(ctx, q::JS_GetException(ctx));
            return pair(ctx, q::JS_NULL, q::JS_NULL);
        }
        pair(ctx, target, q::JS_GetProxyHandler(ctx, value))
    }
}

/// Milliseconds of the machine's steady clock.
unsafe extern "C" fn now(_: *mut JSContext, _: JSValue, _: c_int, _: *mut JSValue) -> JSValue {
    float(crate::alarm::now() as f64 / 1e6)
}

/// When the call began, by the clock of `now`.
unsafe extern "C" fn began(_: *mut JSContext, _: JSValue, _: c_int, _: *mut JSValue) -> JSValue {
    float(realm().run.start as f64 / 1e6)
}

/// Keeps a value for the run, in place of the one before.
///
/// # Safety
/// `ctx` is live, and the values are its own.
unsafe fn keep(ctx: *mut JSContext, kept: &mut Option<JSValue>, value: JSValue) {
    // SAFETY: as the caller promises; the run gets a reference of its own.
    unsafe {
        if let Some(before) = kept.replace(q::JS_DupValue(ctx, value)) {
            q::JS_FreeValue(ctx, before);
        }
    }
}

/// Keeps the function that runs ticks, until it has run.
unsafe extern "C" fn tick(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `kind`.
    unsafe { keep(ctx, &mut realm().run.tick, argument(n, a, 0)) };
    q::JS_UNDEFINED
}

/// The value that follows the call through promises and timers.
unsafe extern "C" fn context(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `kind`; the run owns its value.
    unsafe { q::JS_DupValue(ctx, realm().run.follows.unwrap_or(q::JS_UNDEFINED)) }
}

/// Sets it.
unsafe extern "C" fn set_context(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `kind`.
    unsafe { keep(ctx, &mut realm().run.follows, argument(n, a, 0)) };
    q::JS_UNDEFINED
}

/// From now on, whoever waits for a promise that has a value at once goes on
/// with the context of now.
unsafe extern "C" fn follow_context(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `kind`.
    unsafe { q::JS_SetPromiseHook(q::JS_GetRuntime(ctx), Some(resolves), std::ptr::null_mut()) };
    q::JS_UNDEFINED
}

/// Called right before the jobs of those who wait for a promise are queued.
unsafe extern "C" fn resolves(
    ctx: *mut JSContext,
    what: q::JSPromiseHookType,
    _: JSValue,
    _: JSValue,
    _: *mut c_void,
) {
    if what != q::JSPromiseHookType_JS_PROMISE_HOOK_RESOLVE {
        return;
    }
    let mut context = [realm().run.follows.unwrap_or(q::JS_UNDEFINED)];
    // SAFETY: the queue takes a reference of its own.
    unsafe { q::JS_EnqueueJob(ctx, Some(go_back), 1, context.as_mut_ptr()) };
}

unsafe extern "C" fn go_back(ctx: *mut JSContext, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as the engine promises for jobs.
    unsafe { set_context(ctx, q::JS_UNDEFINED, n, a) }
}
