//! Built-in modules leave nothing behind, and hand out nothing that is theirs.

use std::sync::Arc;

use bson::{Bson, bson};

use crate::{World, call, run};

const MODULES: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "console",
    "crypto",
    "events",
    "fs",
    "module",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "stream",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "timers",
    "timers/promises",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "worker_threads",
    "http",
    "https",
    "net",
    "tls",
    "dns",
    "dns/promises",
    "dgram",
    "zlib",
];

#[tokio::test]
async fn no_function_of_the_host_can_be_reached() {
    let names = MODULES.iter().filter(|name| **name != "console");
    let names: Vec<Bson> = names.copied().map(Bson::from).collect();
    let outcome = run(include_str!("hostile/reach.js"), names).await;
    let wanted = bson!({ "found": [], "failed": [], "wide": true });
    assert_eq!(outcome.result, Ok(wanted));
}

/// Ways to leave a trace in what built-in modules keep, and expressions that
/// find it.
const TRACES: &[(&str, &str)] = &[
    (
        "require('events').leak = 1",
        "typeof require('events').leak",
    ),
    (
        "require('events').defaultMaxListeners = 1234",
        "require('events').defaultMaxListeners === 1234 ? 'leak' : 'undefined'",
    ),
    (
        "require('events').prototype.leak = 1",
        "typeof new (require('events'))().leak",
    ),
    ("process.env.leak = '1'", "typeof process.env.leak"),
    ("process.leak = 1", "typeof process.leak"),
    (
        "process.on('exit', () => 0)",
        "process.listenerCount('exit') === 0 ? 'undefined' : 'leak'",
    ),
    (
        "process.argv.push('leak')",
        "process.argv.includes('leak') ? 'leak' : 'undefined'",
    ),
    (
        "process.title = 'leak'",
        "process.title === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "Buffer.poolSize = 1234",
        "Buffer.poolSize === 1234 ? 'leak' : 'undefined'",
    ),
    ("Buffer.prototype.leak = 1", "typeof Buffer.from('').leak"),
    (
        "Buffer.from('leak-leak-leak')",
        "Buffer.allocUnsafe(64).includes('leak') ? 'leak' : 'undefined'",
    ),
    (
        "require('util').inspect.defaultOptions.depth = 77",
        "require('util').inspect.defaultOptions.depth === 77 ? 'leak' : 'undefined'",
    ),
    (
        "require('util').inspect.colors.leak = [1, 2]",
        "typeof require('util').inspect.colors.leak",
    ),
    (
        "require('crypto').leak = 1",
        "typeof require('crypto').leak",
    ),
    (
        "require('crypto').randomBytes = () => 'leak'",
        "require('crypto').randomBytes(4) === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "require('fs').readFileSync = () => 'leak'",
        "(() => { try { return require('fs').readFileSync('a') === 'leak' ? 'leak' : 'undefined' } catch { return 'undefined' } })()",
    ),
    (
        "require('module').prototype.leak = 1",
        "typeof require('module').prototype.leak",
    ),
    (
        "require('module')._cache = { leak: 1 }",
        "typeof (require('module')._cache ?? {}).leak",
    ),
    ("require.cache.leak = 1", "typeof require.cache.leak"),
    ("require.leak = 1", "typeof require.leak"),
    (
        "globalThis.als = new (require('async_hooks').AsyncLocalStorage)(); als.enterWith('leak')",
        "typeof globalThis.als",
    ),
    (
        "require('async_hooks').executionAsyncResource().leak = 1",
        "typeof require('async_hooks').executionAsyncResource().leak",
    ),
    (
        "require('perf_hooks').performance.mark('leak')",
        "require('perf_hooks').performance.getEntriesByName('leak').length === 0 ? 'undefined' : 'leak'",
    ),
    (
        "require('diagnostics_channel').channel('c').subscribe(() => 0)",
        "require('diagnostics_channel').channel('c').hasSubscribers ? 'leak' : 'undefined'",
    ),
    (
        "require('url').URL.prototype.leak = 1",
        "typeof new URL('a:b').leak",
    ),
    (
        "require('querystring').escape = () => 'leak'",
        "require('querystring').stringify({ a: 1 }).includes('leak') ? 'leak' : 'undefined'",
    ),
    (
        "require('stream').Readable.prototype.read = () => 'leak'",
        "new (require('stream').Readable)({ read() {} }).read() === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "require('timers').setTimeout = 1; globalThis.setTimeout = 2",
        "typeof setTimeout + typeof require('timers').setTimeout === 'functionfunction' ? 'undefined' : 'leak'",
    ),
    (
        "require('zlib').constants.leak = 1",
        "typeof require('zlib').constants.leak",
    ),
    (
        "require('os').EOL = 'leak'",
        "require('os').EOL === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "require('path').sep = 'leak'",
        "require('path').sep === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "Intl.leak = 1; Intl.DateTimeFormat.prototype.format = 1",
        "typeof Intl.leak + typeof new Intl.DateTimeFormat('en').format === 'undefinedfunction' ? 'undefined' : 'leak'",
    ),
    (
        "console.group('leak'); console.count('leak'); console.time('leak')",
        "typeof undefined",
    ),
    (
        "crypto.subtle.leak = 1; crypto.leak = 1",
        "typeof crypto.leak + typeof crypto.subtle.leak === 'undefinedundefined' ? 'undefined' : 'leak'",
    ),
    (
        "AbortSignal.prototype.leak = 1",
        "typeof new AbortController().signal.leak",
    ),
    (
        "await import('events').then((m) => { m.default.leak = 1 })",
        "typeof require('events').leak",
    ),
];

#[tokio::test]
async fn built_in_modules_keep_no_trace() {
    // One worker, so that both calls share a realm if anything does.
    let mut settings = js::PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = 1;
    let pool = js::Pool::new(settings);
    let mut wrong = Vec::new();
    for (leave, find) in TRACES {
        let mut answers = Vec::new();
        // What is found in the call itself shows that there is something to find.
        for body in [(*leave).to_owned(), format!("return {find}")] {
            let source = format!("exports = async () => {{ {body} }}");
            let world = Arc::new(World::default());
            answers.push(pool.call(call(&source, Vec::new()), world).await.result);
        }
        if answers[0].is_err() || answers[1] != Ok(Bson::from("undefined")) {
            wrong.push(format!("{leave}: {answers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
