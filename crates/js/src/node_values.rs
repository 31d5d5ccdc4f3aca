//! Values of the crate `node` to JavaScript and back. Bytes are `Uint8Array`s.

use std::ffi::c_int;
use std::slice;

use node::Value;
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSValue};

use crate::convert::{PLAIN, Unconvertible, float, int, string, text_of};

/// Levels of arrays and objects that an operation takes.
const DEPTH_MAX: usize = 8;

/// A value that the caller owns.
///
/// # Safety
/// `ctx` is live.
pub(crate) unsafe fn to_js(ctx: *mut JSContext, value: &Value) -> JSValue {
    // SAFETY: as the caller promises; what is made is handed to its owner, or
    // goes with the reset.
    unsafe {
        match value {
            Value::Undefined => q::JS_UNDEFINED,
            Value::Null => q::JS_NULL,
            Value::Bool(true) => q::JS_TRUE,
            Value::Bool(false) => q::JS_FALSE,
            Value::Number(n)
                if *n == f64::from(*n as i32) && !(*n == 0.0 && n.is_sign_negative()) =>
            {
                int(*n as i32)
            }
            Value::Number(n) => float(*n),
            Value::Text(text) => string(ctx, text),
            Value::Bytes(bytes) => q::JS_NewUint8ArrayCopy(ctx, bytes.as_ptr(), bytes.len() as _),
            Value::List(values) => {
                let list = q::JS_NewArray(ctx);
                for (index, value) in values.iter().enumerate() {
                    let value = to_js(ctx, value);
                    if q::JS_IsException(list)
                        || q::JS_IsException(value)
                        || q::JS_DefinePropertyValueUint32(ctx, list, index as u32, value, PLAIN)
                            < 0
                    {
                        return q::JS_EXCEPTION;
                    }
                }
                list
            }
            Value::Map(fields) => {
                let object = q::JS_NewObject(ctx);
                for (name, value) in fields {
                    let value = to_js(ctx, value);
                    if q::JS_IsException(object) || q::JS_IsException(value) {
                        return q::JS_EXCEPTION;
                    }
                    let atom = q::JS_NewAtomLen(ctx, name.as_ptr().cast(), name.len() as _);
                    let defined = q::JS_DefinePropertyValue(ctx, object, atom, value, PLAIN);
                    q::JS_FreeAtom(ctx, atom);
                    if defined < 0 {
                        return q::JS_EXCEPTION;
                    }
                }
                object
            }
        }
    }
}

/// A value of the realm.
///
/// # Errors
/// For what is none of [`Value`], and what is nested too deeply.
///
/// # Safety
/// `ctx` is live and `value` of its realm.
pub(crate) unsafe fn from_js(ctx: *mut JSContext, value: JSValue) -> Result<Value, Unconvertible> {
    // SAFETY: as the caller promises.
    unsafe { nested(ctx, value, 0) }
}

unsafe fn nested(
    ctx: *mut JSContext,
    value: JSValue,
    depth: usize,
) -> Result<Value, Unconvertible> {
    if depth > DEPTH_MAX {
        return Err(Unconvertible::TooDeep);
    }
    // SAFETY: as for `from_js`; values that the engine returns are released.
    unsafe {
        let tag = q::JS_VALUE_GET_NORM_TAG(value);
        match tag {
            q::JS_TAG_INT => return Ok(Value::Number(f64::from(q::JS_VALUE_GET_INT(value)))),
            q::JS_TAG_FLOAT64 => return Ok(Value::Number(q::JS_VALUE_GET_FLOAT64(value))),
            q::JS_TAG_BOOL => return Ok(Value::Bool(q::JS_VALUE_GET_BOOL(value))),
            q::JS_TAG_NULL => return Ok(Value::Null),
            q::JS_TAG_UNDEFINED => return Ok(Value::Undefined),
            q::JS_TAG_OBJECT => {}
            _ => {
                let text = text_of(ctx, value).ok_or(Unconvertible::Thrown)?;
                return Ok(Value::Text(text));
            }
        }
        if q::JS_GetTypedArrayType(value) == q::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8 as c_int {
            let mut length = 0;
            let bytes = q::JS_GetUint8Array(ctx, &raw mut length, value);
            if bytes.is_null() {
                // An empty one may have no memory.
                if q::JS_HasException(ctx) {
                    return Err(Unconvertible::Thrown);
                }
                return Ok(Value::Bytes(Vec::new()));
            }
            let bytes = slice::from_raw_parts(bytes, length as usize);
            // Outside of the arena, where the process ends if there is none.
            let mut copy = Vec::new();
            copy.try_reserve_exact(bytes.len())
                .map_err(|_| Unconvertible::TooLarge)?;
            copy.extend_from_slice(bytes);
            return Ok(Value::Bytes(copy));
        }
        if q::JS_IsFunction(ctx, value) {
            return Ok(Value::Undefined);
        }
        if q::JS_IsArray(value) {
            let mut length = 0;
            if q::JS_GetLength(ctx, value, &raw mut length) != 0 {
                return Err(Unconvertible::Thrown);
            }
            let mut list = Vec::new();
            for index in 0..length {
                let element = q::JS_GetPropertyInt64(ctx, value, index);
                if q::JS_IsException(element) {
                    return Err(Unconvertible::Thrown);
                }
                let converted = nested(ctx, element, depth + 1);
                q::JS_FreeValue(ctx, element);
                list.push(converted?);
            }
            return Ok(Value::List(list));
        }
        let mut table = std::ptr::null_mut();
        let mut count = 0;
        let flags = (q::JS_GPN_STRING_MASK | q::JS_GPN_ENUM_ONLY) as c_int;
        if q::JS_GetOwnPropertyNames(ctx, &raw mut table, &raw mut count, value, flags) != 0 {
            return Err(Unconvertible::Thrown);
        }
        let mut fields = Vec::new();
        let mut failed = None;
        for entry in slice::from_raw_parts(table, count as usize) {
            let name = q::JS_AtomToString(ctx, entry.atom);
            let text = text_of(ctx, name);
            q::JS_FreeValue(ctx, name);
            let field = q::JS_GetProperty(ctx, value, entry.atom);
            let converted = if q::JS_IsException(field) {
                Err(Unconvertible::Thrown)
            } else {
                nested(ctx, field, depth + 1)
            };
            q::JS_FreeValue(ctx, field);
            match (text, converted) {
                (Some(text), Ok(converted)) => fields.push((text, converted)),
                (_, Err(why)) => failed = Some(why),
                (None, _) => failed = Some(Unconvertible::Thrown),
            }
        }
        q::JS_FreePropertyEnum(ctx, table, count);
        failed.map_or(Ok(Value::Map(fields)), Err)
    }
}
