//! Node's built-in modules as sources: each is the body of
//! `function (exports, require, module, inner)`, in `node/`.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Name and source; what begins with `_` is for other built-in modules only.
const SOURCES: &[(&str, &str)] = &[
    ("_event_target", include_str!("node/_event_target.js")),
    ("_errors", include_str!("node/_errors.js")),
    ("_loader", include_str!("node/_loader.js")),
    ("buffer", include_str!("node/buffer.js")),
    ("_encoding", include_str!("node/_encoding.js")),
    ("_intl", include_str!("node/_intl.js")),
    ("_intl_dates", include_str!("node/_intl_dates.js")),
    ("_intl_locales", include_str!("node/_intl_locales.js")),
    ("_intl_numbers", include_str!("node/_intl_numbers.js")),
    ("_url", include_str!("node/_url.js")),
    ("punycode", include_str!("node/punycode.js")),
    ("querystring", include_str!("node/querystring.js")),
    ("string_decoder", include_str!("node/string_decoder.js")),
    ("url", include_str!("node/url.js")),
    ("_stream_base", include_str!("node/_stream_base.js")),
    ("_stream_duplex", include_str!("node/_stream_duplex.js")),
    ("_stream_ends", include_str!("node/_stream_ends.js")),
    ("_stream_from", include_str!("node/_stream_from.js")),
    (
        "_stream_operators",
        include_str!("node/_stream_operators.js"),
    ),
    ("_stream_readable", include_str!("node/_stream_readable.js")),
    ("_stream_writable", include_str!("node/_stream_writable.js")),
    ("events", include_str!("node/events.js")),
    ("process", include_str!("node/process.js")),
    ("stream", include_str!("node/stream.js")),
    ("stream/promises", include_str!("node/stream_promises.js")),
    ("_comparison", include_str!("node/_comparison.js")),
    ("_inspect", include_str!("node/_inspect.js")),
    ("_types", include_str!("node/_types.js")),
    ("util", include_str!("node/util.js")),
    ("util/types", include_str!("node/util_types.js")),
    ("zlib", include_str!("node/zlib.js")),
    ("assert", include_str!("node/assert.js")),
    ("assert/strict", include_str!("node/assert_strict.js")),
    ("os", include_str!("node/os.js")),
    ("path", include_str!("node/path.js")),
    ("path/posix", include_str!("node/path_posix.js")),
    ("path/win32", include_str!("node/path_win32.js")),
    ("perf_hooks", include_str!("node/perf_hooks.js")),
    ("_inert", include_str!("node/_inert.js")),
    ("_messages", include_str!("node/_messages.js")),
    ("_stream_web", include_str!("node/_stream_web.js")),
    ("_web_streams", include_str!("node/_web_streams.js")),
    ("child_process", include_str!("node/child_process.js")),
    ("cluster", include_str!("node/cluster.js")),
    ("constants", include_str!("node/constants.js")),
    (
        "diagnostics_channel",
        include_str!("node/diagnostics_channel.js"),
    ),
    ("domain", include_str!("node/domain.js")),
    ("fs", include_str!("node/fs.js")),
    ("fs/promises", include_str!("node/fs_promises.js")),
    ("inspector", include_str!("node/inspector.js")),
    (
        "inspector/promises",
        include_str!("node/inspector_promises.js"),
    ),
    ("module", include_str!("node/module.js")),
    ("readline", include_str!("node/readline.js")),
    (
        "readline/promises",
        include_str!("node/readline_promises.js"),
    ),
    ("repl", include_str!("node/repl.js")),
    ("stream/consumers", include_str!("node/stream_consumers.js")),
    ("stream/web", include_str!("node/stream_web.js")),
    ("sys", include_str!("node/sys.js")),
    ("trace_events", include_str!("node/trace_events.js")),
    ("tty", include_str!("node/tty.js")),
    ("v8", include_str!("node/v8.js")),
    ("vm", include_str!("node/vm.js")),
    ("worker_threads", include_str!("node/worker_threads.js")),
    ("_async_context", include_str!("node/_async_context.js")),
    ("async_hooks", include_str!("node/async_hooks.js")),
    ("_console", include_str!("node/_console.js")),
    ("console", include_str!("node/console.js")),
    ("_blob", include_str!("node/_blob.js")),
    ("_fetch", include_str!("node/_fetch.js")),
    ("_fetch_headers", include_str!("node/_fetch_headers.js")),
    ("_http2_client", include_str!("node/_http2_client.js")),
    ("_http_client", include_str!("node/_http_client.js")),
    ("_http_message", include_str!("node/_http_message.js")),
    ("_http_socket", include_str!("node/_http_socket.js")),
    ("_network", include_str!("node/_network.js")),
    ("dgram", include_str!("node/dgram.js")),
    ("dns", include_str!("node/dns.js")),
    ("http", include_str!("node/http.js")),
    ("http2", include_str!("node/http2.js")),
    ("https", include_str!("node/https.js")),
    ("net", include_str!("node/net.js")),
    ("tls", include_str!("node/tls.js")),
    ("dns/promises", include_str!("node/dns_promises.js")),
    ("_mime", include_str!("node/_mime.js")),
    ("timers", include_str!("node/timers.js")),
    ("timers/promises", include_str!("node/timers_promises.js")),
    ("_crypto_cipher", include_str!("node/_crypto_cipher.js")),
    ("_crypto_input", include_str!("node/_crypto_input.js")),
    ("_crypto_keys", include_str!("node/_crypto_keys.js")),
    ("_crypto_sign", include_str!("node/_crypto_sign.js")),
    ("_crypto_web", include_str!("node/_crypto_web.js")),
    ("_crypto_x509", include_str!("node/_crypto_x509.js")),
    ("crypto", include_str!("node/crypto.js")),
    ("_packages", include_str!("node/_packages.js")),
    ("_utils", include_str!("node/_utils.js")),
];

/// Bytecode of those that were asked for.
static COMPILED: OnceLock<Mutex<HashMap<&'static str, &'static [u8]>>> = OnceLock::new();

/// Every module.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    SOURCES.iter().map(|(name, _)| *name)
}

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
