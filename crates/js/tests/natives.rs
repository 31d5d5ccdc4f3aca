//! What a hostile function passes to built-in modules: each ends in an error
//! or a value, and the worker serves the next call.

use std::sync::Arc;

use bson::Bson;
use js::Failure;

use crate::{World, call, pool, serves};

/// Sources, and what their texts begin with.
const CALLS: &[(&str, &str)] = &[
    // More memory than a call may have, asked for in the host's half.
    (
        "return require('zlib').inflateSync(require('zlib').deflateSync(Buffer.alloc(1 << 20)), { maxOutputLength: 1000 }).length",
        "Cannot create a Buffer larger than 1000 bytes",
    ),
    ("return Buffer.alloc(2 ** 31).length", ""),
    ("return Buffer.from('x'.repeat(2 ** 29), 'utf8').length", ""),
    (
        "return Buffer.alloc(100 << 20, 'x').toString('hex').length",
        "",
    ),
    // Objects that lie about themselves.
    ("return Buffer.from({ length: 1e15 }).length", ""),
    (
        "return Buffer.from({ length: 3, get 0() { throw new Error('mine') } }).length",
        "mine",
    ),
    (
        "return Buffer.from({ valueOf() { return this.next ??= Object.create(this) } }).length",
        "",
    ),
    (
        "return Buffer.concat([{ __proto__: Uint8Array.prototype, length: 5 }]).length",
        "",
    ),
    (
        "return new TextDecoder().decode({ __proto__: ArrayBuffer.prototype, byteLength: 9 })",
        "",
    ),
    ("return new URL({ toString() { return {} } }).href", ""),
    (
        "return new URL('http://x/?' + 'a=1&'.repeat(2e4)).searchParams.size",
        "20000",
    ),
    (
        "return new URL('http://' + 'a.'.repeat(2e6)).host.length",
        "",
    ),
    (
        "return new URLSearchParams({ [Symbol.iterator]: function* () { while (true) yield ['a', 'b'.repeat(1e6)] } }).size",
        "",
    ),
    (
        "return require('punycode').decode('9'.repeat(1000)).length",
        "",
    ),
    (
        "return require('querystring').parse('&'.repeat(1e6)).x",
        "undefined",
    ),
    (
        "return require('url').parse('http://' + '@'.repeat(1e6)).href.length",
        "",
    ),
    // Detached and resized memory.
    (
        "const memory = new ArrayBuffer(8), view = Buffer.from(memory); memory.transfer(); return view.toString('hex') + Buffer.compare(view, view)",
        "0",
    ),
    (
        "const memory = new ArrayBuffer(8, { maxByteLength: 16 }), view = new Uint8Array(memory, 4); memory.resize(2); return Buffer.from(view).length + Buffer.concat([view]).length",
        "",
    ),
    // Prototypes that were changed.
    (
        "Object.prototype.hex = 'latin1'; Object.prototype.encoding = 'x'; return Buffer.from('ff', 'hex').toString('hex')",
        "ff",
    ),
    (
        "Array.prototype.map = () => { throw 1 }; return Buffer.from('a').toString('base64')",
        "YQ==",
    ),
    (
        "Object.prototype.level = 77; try { return require('zlib').deflateSync('x').length } finally { delete Object.prototype.level }",
        "",
    ),
    // Locales and zones.
    (
        "return new Intl.DateTimeFormat('en', { timeZone: '../../etc/passwd' }).format()",
        "Invalid time zone specified: ../../etc/passwd",
    ),
    (
        "return new Intl.NumberFormat('en-' + 'a1b2c3-'.repeat(1e5) + 'x').format(1)",
        "",
    ),
    (
        "return new Intl.NumberFormat('en-u' + '-nu-latn'.repeat(1e5)).format(1)",
        "1",
    ),
    (
        "return new Intl.DateTimeFormat('en', { timeZone: 'A'.repeat(1e7) }).format()",
        "Invalid time zone",
    ),
    ("return (1e308).toLocaleString().length", "411"),
    ("return (10n ** 20000n).toLocaleString().length", "26667"),
    (
        "return 'a'.repeat(5e6).localeCompare('a'.repeat(5e6) + 'b')",
        "-1",
    ),
    (
        "return new Intl.Collator('en-u-co-' + 'x'.repeat(9)).compare('a', 'b')",
        "Incorrect locale",
    ),
    (
        "return [...new Intl.Segmenter().segment('e' + '\\u0301'.repeat(1e5))].length",
        "1",
    ),
    // Nothing of the host is in reach.
    (
        "return Object.keys(require('buffer')).concat(Object.keys(require('zlib'))).filter((name) => /inner|native/.test(name)).length",
        "0",
    ),
    (
        "return typeof inner + typeof native + typeof natives",
        "undefinedundefinedundefined",
    ),
    ("return require('_url')", "Cannot find module '_url'"),
];

#[tokio::test]
async fn hostile_input_of_built_in_modules_ends_in_errors() {
    let pool = pool();
    let mut wrong = Vec::new();
    for (body, wanted) in CALLS {
        let source = format!("exports = () => String((() => {{ {body} }})())");
        let mut call = call(&source, Vec::new());
        // Who may end at its limit may do so soon.
        if wanted.is_empty() {
            call.limits.time_ms = 2000;
        }
        let outcome = pool.call(call, Arc::new(World::default())).await;
        let text = match outcome.result {
            Ok(Bson::String(text)) => text,
            Err(Failure::Threw { message, .. }) => message
                .split_once(": ")
                .map_or(message.clone(), |(_, text)| text.to_owned()),
            // Clean ends of the call.
            Err(Failure::MemoryLimit | Failure::TimeLimit) if wanted.is_empty() => continue,
            other => {
                wrong.push(format!("{body}: {other:?}"));
                continue;
            }
        };
        if !text.starts_with(wanted) {
            wrong.push(format!("{body}: {}", &text[..text.len().min(200)]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    serves(&pool, "hostile input").await;
}
