//! Node's built-in modules as sources: each is the body of
//! `function (exports, require, module, inner)`, in `node/`.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Name and source; what begins with `_` is for other built-in modules only.
const SOURCES: &[(&str, &str)] = &[
    ("_errors", include_str!("node/_errors.js")),
    ("_loader", include_str!("node/_loader.js")),
    ("buffer", include_str!("node/buffer.js")),
    ("_encoding", include_str!("node/_encoding.js")),
    ("_url", include_str!("node/_url.js")),
    ("punycode", include_str!("node/punycode.js")),
    ("querystring", include_str!("node/querystring.js")),
    ("string_decoder", include_str!("node/string_decoder.js")),
    ("url", include_str!("node/url.js")),
    ("timers", include_str!("node/timers.js")),
];

/// Bytecode of those that were asked for.
static COMPILED: OnceLock<Mutex<HashMap<&'static str, &'static [u8]>>> = OnceLock::new();

/// The bytecode of a module's factory; `None` when there is no such module.
///
/// # Errors
/// Where its source is wrong.
pub(crate) fn bytecode(name: &str) -> Option<Result<&'static [u8], crate::CompileError>> {
    let (name, source) = SOURCES.iter().find(|(known, _)| *known == name)?;
    let mut compiled = COMPILED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = compiled.get(name) {
        return Some(Ok(code));
    }
    let wrapped = format!("(function(exports,require,module,inner){{{source}\n}})");
    let code = match crate::compile::bytecode(&format!("node:{name}"), &wrapped) {
        Ok(code) => &*code.leak(),
        Err(error) => return Some(Err(error)),
    };
    compiled.insert(name, code);
    Some(Ok(code))
}

/// The plain name of a module that functions may ask for, which may be given
/// with `node:`.
pub(crate) fn public(name: &str) -> Option<&'static str> {
    let plain = name.strip_prefix("node:").unwrap_or(name);
    let named = |(known, _): &&(&'static str, &str)| *known == plain && !known.starts_with('_');
    SOURCES.iter().find(named).map(|(known, _)| *known)
}
