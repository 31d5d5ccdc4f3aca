//! A realm that nobody used before: whatever a call leaves behind is gone.

use std::sync::Arc;

use bson::Bson;

use crate::{World, call};

/// Pairs of a way to leave a trace and an expression that would find it.
const TRACES: &[(&str, &str)] = &[
    ("globalThis.leak = 1", "typeof globalThis.leak"),
    ("leak = 1", "typeof leak"),
    ("Object.prototype.leak = 1", "typeof ({}).leak"),
    ("Array.prototype.leak = 1", "typeof [].leak"),
    ("String.prototype.leak = 1", "typeof ''.leak"),
    ("Function.prototype.leak = 1", "typeof (() => 0).leak"),
    (
        "Promise.prototype.leak = 1",
        "typeof Promise.prototype.leak",
    ),
    ("Math.leak = 1", "typeof Math.leak"),
    ("JSON.leak = 1", "typeof JSON.leak"),
    ("BSON.leak = 1", "typeof BSON.leak"),
    (
        "BSON.ObjectId.prototype.leak = 1",
        "typeof BSON.ObjectId.prototype.leak",
    ),
    ("EJSON.leak = 1", "typeof EJSON.leak"),
    ("console.leak = 1", "typeof console.leak"),
    ("utils.crypto.leak = 1", "typeof utils.crypto.leak"),
    ("context.leak = 1", "typeof context.leak"),
    ("context.user.leak = 1", "typeof context.user.leak"),
    ("context.services.leak = 1", "typeof context.services.leak"),
    (
        "Symbol.for('leak').description; globalThis[Symbol.for('leak')] = 1",
        "typeof globalThis[Symbol.for('leak')]",
    ),
    (
        "globalThis[Symbol.iterator] = 1",
        "typeof globalThis[Symbol.iterator]",
    ),
    (
        "/(leak)/.exec('leak')",
        "RegExp.$1 === 'leak' ? 'leak' : 'undefined'",
    ),
    (
        "const r = /x/g; r.lastIndex = 5; globalThis.r = r",
        "typeof globalThis.r",
    ),
    (
        "Error.stackTraceLimit = 1234",
        "Error.stackTraceLimit === 1234 ? 'leak' : 'undefined'",
    ),
    (
        "Error.prepareStackTrace = () => 'leak'",
        "typeof Error.prepareStackTrace",
    ),
    (
        "setTimeout(() => { globalThis.late = 1 }, 0)",
        "typeof globalThis.late",
    ),
    (
        "setInterval(() => { globalThis.again = 1 }, 1); await new Promise((r) => setTimeout(r, 5)); throw 0",
        "typeof globalThis.again",
    ),
    (
        "Promise.resolve().then(() => { globalThis.then = 1 })",
        "typeof globalThis.then",
    ),
    ("globalThis.ref = new WeakRef({})", "typeof globalThis.ref"),
    (
        "new FinalizationRegistry(() => { globalThis.fin = 1 }).register({}, 0)",
        "typeof globalThis.fin",
    ),
    (
        "Object.freeze(Object.prototype)",
        "Object.isFrozen(Object.prototype) ? 'leak' : 'undefined'",
    ),
    (
        "Object.preventExtensions(globalThis)",
        "Object.isExtensible(globalThis) ? 'undefined' : 'leak'",
    ),
    (
        "delete globalThis.JSON",
        "typeof JSON === 'object' ? 'undefined' : 'leak'",
    ),
    (
        "delete globalThis.BSON",
        "typeof BSON === 'object' ? 'undefined' : 'leak'",
    ),
    (
        "Date.prototype.getTime = () => 'leak'",
        "new Date(0).getTime() === 0 ? 'undefined' : 'leak'",
    ),
    (
        "Date.now = () => 'leak'",
        "typeof Date.now() === 'number' ? 'undefined' : 'leak'",
    ),
    (
        "Math.random = () => 'leak'",
        "typeof Math.random() === 'number' ? 'undefined' : 'leak'",
    ),
    (
        "Array.prototype.push = () => 'leak'",
        "[].push(1) === 1 ? 'undefined' : 'leak'",
    ),
    (
        "Object.defineProperty(Object.prototype, 'trap', { get() { return 'leak' } })",
        "typeof ({}).trap",
    ),
    (
        "Object.setPrototypeOf(Array.prototype, { leak: 1 })",
        "typeof [].leak",
    ),
    (
        "Promise.prototype.then = function () { return 'leak' }",
        "Promise.resolve(1).then(() => 0) instanceof Promise ? 'undefined' : 'leak'",
    ),
    ("globalThis.eval('var viaEval = 1')", "typeof viaEval"),
    (
        "new Function('globalThis.viaFunction = 1')()",
        "typeof viaFunction",
    ),
    (
        "(0, eval)('function viaDeclaration() {}')",
        "typeof viaDeclaration",
    ),
    ("(0, eval)('let viaLet = 1')", "typeof viaLet"),
    ("(0, eval)('class ViaClass {}')", "typeof ViaClass"),
    (
        "globalThis.gen = (function* () { yield 1 })(); gen.next()",
        "typeof globalThis.gen",
    ),
    (
        "Object.assign(globalThis, { a: { b: new Map([[1, 2]]) } })",
        "typeof globalThis.a",
    ),
    (
        "globalThis.buffer = new Uint8Array(1 << 20).fill(7)",
        "typeof globalThis.buffer",
    ),
    (
        "Reflect.ownKeys(globalThis).forEach((k) => { try { delete globalThis[k] } catch {} })",
        "typeof Array === 'function' ? 'undefined' : 'leak'",
    ),
    (
        "String.prototype.at = Symbol.prototype",
        "typeof 'x'.at(0) === 'string' ? 'undefined' : 'leak'",
    ),
    (
        "for (let i = 0; i < 30; i++) console.log('leak')",
        "typeof undefined",
    ),
    ("new Array(1e6).fill({})", "typeof undefined"),
    ("BSON.MinKey.leak = 1", "typeof BSON.MinKey.leak"),
    ("utils.leak = utils.jwt.leak = 1", "typeof utils.jwt.leak"),
    ("context.http.leak = 1", "typeof context.http.leak"),
    (
        "context.environment.leak = 1",
        "typeof context.environment.leak",
    ),
    (
        "context.values.get('x').leak = 1",
        "typeof context.values.get('x').leak",
    ),
    (
        "context.values.get = () => 'leak'",
        "typeof context.values.get('x').leak",
    ),
    (
        "context.services.get('mongodb-atlas').startSession().constructor.leak = 1",
        "typeof context.services.get('mongodb-atlas').startSession().constructor.leak",
    ),
    (
        "context.services.get('mongodb-atlas').db('d').collection('c').find().constructor.prototype.leak = 1",
        "typeof context.services.get('mongodb-atlas').db('d').collection('c').find().leak",
    ),
    (
        "Object.getPrototypeOf(async function* () {}).leak = 1",
        "typeof Object.getPrototypeOf(async function* () {}).leak",
    ),
    (
        "Object.getPrototypeOf(Uint8Array).leak = 1",
        "typeof Object.getPrototypeOf(Uint8Array).leak",
    ),
    (
        "Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ value: 'leak', done: false })",
        "[...'ab'].length + [...[1]].length === 3 ? 'undefined' : 'leak'",
    ),
    (
        "Symbol.prototype[Symbol.toPrimitive] = null; Date.prototype[Symbol.toPrimitive] = null",
        "`${new Date(0)}`.length > 5 ? 'undefined' : 'leak'",
    ),
    (
        "Error.prepareStackTrace = () => 'leak'; globalThis.e = new Error('x')",
        "new Error('x').stack === 'leak' ? 'leak' : typeof globalThis.e",
    ),
    (
        "process = require = module = 1",
        "typeof process + typeof module === 'objectundefined' ? 'undefined' : 'leak'",
    ),
    (
        "Object.defineProperty(globalThis, 'fixed', { value: 1, configurable: false })",
        "typeof fixed",
    ),
    (
        "context.services.get('mongodb-atlas').db('d').collection('c').findOne().then(() => { globalThis.after = 1 })",
        "typeof globalThis.after",
    ),
    (
        "queueMicrotask(() => { globalThis.micro = 1 })",
        "typeof globalThis.micro",
    ),
    (
        "const s = 'le' + 'ak'; Symbol.for(s).leak; globalThis[s + 1] = new WeakMap([[{}, 1]])",
        "typeof globalThis.leak1",
    ),
    ("throw new Error('leak')", "typeof undefined"),
];

#[tokio::test]
async fn no_trace_is_left() {
    // One worker, so that both calls share a realm if anything does.
    let mut settings = js::PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = 1;
    settings.ready_min = 0;
    let pool = js::Pool::new(settings);
    for (leave, find) in TRACES {
        let source = format!("exports = async () => {{ {leave} }}");
        let mut leaving = call(&source, Vec::new());
        // Some leave a timer that never stops.
        leaving.limits.time_ms = 1000;
        let _ = pool.call(leaving, Arc::new(World::default())).await;
        let source = format!("exports = () => {find}");
        let found = pool
            .call(call(&source, Vec::new()), Arc::new(World::default()))
            .await;
        assert_eq!(found.result, Ok(Bson::from("undefined")), "{leave}");
        assert!(found.logs.is_empty(), "{leave}: {:?}", found.logs);
    }
}

#[tokio::test]
async fn randomness_does_not_repeat() {
    let pool = crate::pool();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let source = "exports = () => Math.random() + ' ' + new BSON.ObjectId()";
        let outcome = pool
            .call(call(source, Vec::new()), Arc::new(World::default()))
            .await;
        assert!(
            seen.insert(format!("{:?}", outcome.result)),
            "{:?}",
            outcome.result
        );
    }
}
