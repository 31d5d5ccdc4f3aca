//! What a call threw, as the service words it.

use std::ffi::CStr;

use bson::raw::RawBsonRef;
use bson::rawdoc;
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSValue};

use crate::convert::{from_js, start_of};
use crate::realm::Realm;

/// Most bytes of an error's name, message or stack.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Most causes that are followed, one of the other.
const CAUSES_MAX: usize = 8;
/// Most errors that are shown of one that stands for several.
const ERRORS_MAX: u32 = 4;

/// A thrown value, or what else ended a call.
#[derive(Default)]
pub(crate) struct Thrown {
    pub(crate) name: String,
    pub(crate) message: String,
    /// Frames, innermost first, one a line, then what caused it.
    pub(crate) stack: String,
    pub(crate) code: String,
}

impl Thrown {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    pub(crate) fn text(&self) -> String {
        match (self.name.as_str(), self.message.as_str()) {
            ("", message) => message.to_owned(),
            (name, "") => name.to_owned(),
            (name, message) => format!("{name}: {message}"),
        }
    }

    /// The same as the reason of a rejection that nobody caught.
    pub(crate) fn uncaught(self) -> Self {
        let reason = if self.name.is_empty() {
            self.message
        } else {
            let parts = rawdoc! { "message": self.message.as_str(), "name": self.name.as_str() };
            let mut out = Vec::new();
            kit::ejson::relaxed(RawBsonRef::Document(&parts), &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        Self {
            name: String::new(),
            message: format!("uncaught promise rejection: {reason}"),
            ..self
        }
    }
}

/// The exception that was thrown.
pub(crate) unsafe fn threw(realm: &mut Realm) -> Thrown {
    realm.arena.headroom();
    // SAFETY: as for `execute`.
    unsafe {
        let exception = q::JS_GetException(realm.context);
        described(realm, exception)
    }
}

/// A thrown value as the service words it.
pub(crate) unsafe fn described(realm: &mut Realm, thrown: JSValue) -> Thrown {
    realm.arena.headroom();
    // SAFETY: as for `execute`.
    unsafe {
        if !q::JS_IsError(thrown) {
            return Thrown::new("", shown(realm, thrown));
        }
        let mut described = error(realm, thrown);
        let mut stack = std::mem::take(&mut described.stack);
        add_causes(realm, thrown, &mut stack);
        described.stack = cut(stack);
        described
    }
}

/// An error without what caused it.
unsafe fn error(realm: &Realm, thrown: JSValue) -> Thrown {
    let ctx = realm.context;
    // SAFETY: as for `execute`.
    unsafe {
        let text = |name: &CStr| {
            property(ctx, thrown, name)
                .and_then(|value| start_of(ctx, value, ERROR_BYTES_MAX))
                .unwrap_or_default()
        };
        let (name, message) = (text(c"name"), text(c"message"));
        Thrown {
            stack: frames(&text(c"stack"), &format!("{name}: {message}")),
            message: reworded(&name, &message),
            code: text(c"code"),
            name,
        }
    }
}

/// Adds to a stack what caused the error, and what that was caused by.
unsafe fn add_causes(realm: &Realm, thrown: JSValue, stack: &mut String) {
    let ctx = realm.context;
    let add = |stack: &mut String, title: &str, value: JSValue| {
        // SAFETY: as for `execute`.
        let (head, frames) = unsafe {
            if q::JS_IsError(value) {
                let error = error(realm, value);
                (error.text(), error.stack)
            } else {
                (shown(realm, value), String::new())
            }
        };
        for part in [format!("{title}: {head}"), frames] {
            if !part.is_empty() {
                if !stack.is_empty() {
                    stack.push('\n');
                }
                stack.push_str(&part);
            }
        }
    };
    // SAFETY: as for `execute`.
    unsafe {
        if let Some(errors) = property(ctx, thrown, c"errors").filter(|all| q::JS_IsArray(*all)) {
            for index in 0..ERRORS_MAX {
                let one = q::JS_GetPropertyUint32(ctx, errors, index);
                if q::JS_IsException(one) || q::JS_IsUndefined(one) {
                    forget(ctx);
                    break;
                }
                add(stack, "One of several", one);
            }
        }
        let mut followed = vec![thrown];
        while followed.len() <= CAUSES_MAX && stack.len() < ERROR_BYTES_MAX {
            let last = followed[followed.len() - 1];
            let Some(cause) = property(ctx, last, c"cause") else {
                break;
            };
            let address = |value: &JSValue| q::JS_VALUE_GET_PTR(*value);
            let is_error = q::JS_IsError(cause);
            if is_error && followed.iter().any(|one| address(one) == address(&cause)) {
                break;
            }
            add(stack, "Caused by", cause);
            if !is_error {
                break;
            }
            followed.push(cause);
        }
    }
}

/// A property that is there.
unsafe fn property(ctx: *mut JSContext, of: JSValue, name: &CStr) -> Option<JSValue> {
    // SAFETY: as for `execute`.
    unsafe {
        let value = q::JS_GetPropertyStr(ctx, of, name.as_ptr());
        if q::JS_IsException(value) {
            forget(ctx);
            return None;
        }
        (!q::JS_IsUndefined(value)).then_some(value)
    }
}

/// Drops what describing an error threw.
unsafe fn forget(ctx: *mut JSContext) {
    // SAFETY: as for `execute`.
    unsafe {
        let exception = q::JS_GetException(ctx);
        q::JS_FreeValue(ctx, exception);
    }
}

/// A value that is no error as text.
unsafe fn shown(realm: &Realm, value: JSValue) -> String {
    // SAFETY: as for `execute`.
    let converted = unsafe { from_js(realm.context, &realm.shapes, value, true) };
    cut(match converted {
        Ok(document) => match document.get("v") {
            Ok(Some(RawBsonRef::String(text))) => text.to_owned(),
            Ok(Some(RawBsonRef::Undefined) | None) | Err(_) => "undefined".to_owned(),
            Ok(Some(value)) => {
                let mut out = Vec::new();
                kit::ejson::relaxed(value, &mut out);
                String::from_utf8_lossy(&out).into_owned()
            }
        },
        Err(_) => "a value that cannot be shown".to_owned(),
    })
}

/// The frames of a `stack`, below the error itself. The prelude's own lines are
/// none of the function's business.
fn frames(stack: &str, head: &str) -> String {
    let below = stack.strip_prefix(head).unwrap_or(stack);
    let lines = below.lines().filter(|line| {
        let own = ["(prelude:", "(native)", "(node:_loader:"];
        line.starts_with("    at ") && !own.iter().any(|own| line.contains(own))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(ERROR_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// The engine's messages in the service's words.
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
