//! What a call threw, as the service words it.

use bson::raw::RawBsonRef;
use bson::rawdoc;
use rquickjs_sys as q;
use rquickjs_sys::JSValue;

use crate::convert::{from_js, start_of};
use crate::realm::Realm;

/// Most bytes of an error's name, message or stack.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A thrown value, or what else ended a call.
#[derive(Default)]
pub(crate) struct Thrown {
    pub(crate) name: String,
    pub(crate) message: String,
    /// Frames, innermost first, one a line.
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
        match self.name.as_str() {
            "" => self.message.clone(),
            name => format!("{name}: {}", self.message),
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
    let ctx = realm.context;
    realm.arena.headroom();
    // SAFETY: as for `execute`.
    unsafe {
        if !q::JS_IsError(thrown) {
            let text = match from_js(ctx, &realm.shapes, thrown, true) {
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
            };
            return Thrown::new("", cut(text));
        }
        let property = |name: &std::ffi::CStr| {
            let value = q::JS_GetPropertyStr(ctx, thrown, name.as_ptr());
            if q::JS_IsException(value) || q::JS_IsUndefined(value) {
                return String::new();
            }
            start_of(ctx, value, ERROR_BYTES_MAX).unwrap_or_default()
        };
        let (name, message) = (property(c"name"), property(c"message"));
        // The prelude's own lines are none of the function's business.
        let stack: Vec<String> = property(c"stack")
            .lines()
            .filter(|line| !line.contains("(prelude") && !line.contains("(native)"))
            .map(str::to_owned)
            .collect();
        Thrown {
            message: reworded(&name, &message),
            stack: stack.join("\n"),
            code: property(c"code"),
            name,
        }
    }
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
