//! Code that means harm: it gets an error of its own, and the next call is
//! served.

use std::sync::Arc;

use bson::{Bson, bson};
use js::{Failure, Limits, Pool, PoolSettings};

use crate::{World, call, pool, run, serves, thrown, value};

#[tokio::test]
async fn there_is_nothing_to_break_out_to() {
    for (source, wanted) in [
        (
            "exports = () => this.constructor.constructor('return Object.keys(process.env).length + typeof process.mainModule')()",
            "0undefined",
        ),
        (
            "exports = () => { try { process.binding('fs') } catch (e) { return e.code } }",
            "ERR_NOT_SUPPORTED",
        ),
        (
            "exports = () => { try { process.exit() } catch (e) { return e.code } }",
            "ERR_NOT_SUPPORTED",
        ),
        (
            "exports = () => (() => {}).constructor('return typeof process + typeof require')()",
            "objectundefined",
        ),
        (
            "exports = () => context.values.get.constructor('return typeof natives')()",
            "undefined",
        ),
        (
            "exports = () => typeof Atomics + typeof SharedArrayBuffer",
            "undefinedundefined",
        ),
        (
            "exports = async () => { try { await import('std') } catch (e) { return typeof e } }",
            "object",
        ),
        (
            "exports = async () => { try { await import('/etc/passwd') } catch (e) { return typeof e } }",
            "object",
        ),
        (
            "exports = () => typeof (function f() { return f.caller })()",
            "undefined",
        ),
    ] {
        assert_eq!(value(source).await, Bson::from(wanted), "{source}");
    }
    // Frames of a stack name functions; they do not hand them out.
    let source = "exports = async () => {
        const found = [];
        Error.prepareStackTrace = (_, frames) => { for (const f of frames) found.push(typeof f.getFunction, typeof f.getThis); return '' };
        const trap = { get a() { new Error('x').stack; return 1 } };
        const c = context.services.get('mongodb-atlas').db('d').collection('c');
        await c.findOne(trap);
        EJSON.stringify(trap);
        await context.functions.execute('inner', () => new Error('x').stack);
        return [found.length > 5, [...new Set(found)]];
    }";
    let world = World::default().with("inner", "exports = (f) => f()", true);
    let outcome = pool().call(call(source, Vec::new()), Arc::new(world)).await;
    assert_eq!(outcome.result, Ok(bson!([true, ["undefined"]])));
}

#[tokio::test]
async fn setters_on_prototypes_see_no_values() {
    let source = "let seen = 0;
        for (const prototype of [Array.prototype, Object.prototype]) {
            for (const name of ['0', '1', 'a', '_v', 'user']) {
                Object.defineProperty(prototype, name, { set() { seen++ }, get() { return 'trap' }, configurable: true });
            }
        }
        exports = () => { const v = EJSON.parse('[{\"a\":{\"$oid\":\"5fd45718cface356de9d104d\"}},2]'); return [seen, Object.hasOwn(v[0], 'a'), String(v[0].a)] }";
    let outcome = run(source, Vec::new()).await;
    // The array that the function itself returns is defined, not set.
    assert_eq!(
        outcome.result,
        Ok(bson!([0, true, "5fd45718cface356de9d104d"]))
    );
}

#[tokio::test]
async fn floods_meet_a_limit() {
    let pool = pool();
    for (source, wanted) in [
        (
            "exports = () => 'x'.repeat(60 << 20)",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => new Uint8Array(60 << 20)",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => { const s = 'x'.repeat(1 << 20); return new Array(60).fill(s) }",
            "TypeError: the result cannot be returned: the value is too large",
        ),
        (
            "exports = () => new Array(2e6)",
            "RangeError: the result has more than 1000000 values",
        ),
        (
            "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').insertOne({ s: 'x'.repeat(60 << 20) })",
            "RangeError: the value is too large",
        ),
        (
            "exports = () => context.services.get('mongodb-atlas').db('d').collection('c').findOne({}, {}, { do: 'huge' })",
            "RangeError: the result is too large",
        ),
        (
            "exports = () => { for (;;) setTimeout(() => {}, 1000) }",
            "RangeError: too many timers",
        ),
        (
            "exports = () => { for (let i = 0;; i++) context.values.get('v' + i) }",
            "RangeError: a function may start 1000 operations at most",
        ),
        (
            "exports = () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); return Promise.all(Array.from({ length: 1001 }, () => c.findOne())) }",
            "RangeError: a function may start 1000 operations at most",
        ),
        ("exports = () => 'x'.repeat(2 ** 31)", "RangeError: "),
        ("exports = () => 2n ** 10000000000n", "RangeError: "),
        (
            "const f = () => f() + 1; exports = () => f()",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => context.functions.execute('again')",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => { const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x }",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => { const o = { toString() { return `${this}` } }; return `${o}` }",
            "RangeError: Maximum call stack size exceeded",
        ),
        (
            "exports = () => new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
            "SyntaxError: ",
        ),
        (
            "exports = () => EJSON.parse('['.repeat(1e6))",
            "SyntaxError: ",
        ),
        (
            "exports = () => eval('('.repeat(1e6))",
            "RangeError: Maximum call stack size exceeded",
        ),
    ] {
        let world = World::default().with(
            "again",
            "exports = () => context.functions.execute('again')",
            false,
        );
        let outcome = pool.call(call(source, Vec::new()), Arc::new(world)).await;
        match outcome.result {
            Err(Failure::Threw { message, .. }) => {
                assert!(message.starts_with(wanted), "{source}: {message}");
            }
            other => panic!("{source}: {other:?}"),
        }
        serves(&pool, source).await;
    }
}

#[tokio::test]
async fn natives_that_need_much_memory_end_one_call() {
    let pool = pool();
    for (source, wanted) in [
        (
            "exports = () => { try { EJSON.parse('[' + '{},'.repeat(1e6) + '{}]') } catch (e) { return e.message } }",
            Ok(Bson::String("the text is too large".to_owned())),
        ),
        (
            "exports = () => EJSON.parse('[' + '1,'.repeat(1e6) + '1]').length",
            Ok(Bson::Int32(1_000_001)),
        ),
        (
            "exports = () => { const s = 'x'.repeat(50e6); return utils.crypto.hash('md5', s).toHex().length }",
            Ok(Bson::Int32(32)),
        ),
        (
            "exports = () => { const s = 'x'.repeat(300e6); return new BSON.Binary(s).toBase64().length }",
            Err(Failure::MemoryLimit),
        ),
    ] {
        let outcome = pool
            .call(call(source, Vec::new()), Arc::new(World::default()))
            .await;
        assert_eq!(outcome.result, wanted, "{source}");
        serves(&pool, source).await;
    }
}

#[tokio::test]
async fn arguments_meet_a_limit() {
    let pool = pool();
    let huge = vec![Bson::String("x".repeat(100 << 20))];
    let outcome = pool
        .call(call("exports = () => 1", huge), Arc::new(World::default()))
        .await;
    let Err(Failure::Threw { message, .. }) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(message, "RangeError: the arguments are too large");
    serves(&pool, "huge arguments").await;
    // They grow when they become values.
    for many in [
        Bson::Array(vec![bson!({}); 200_000]),
        Bson::Array(vec![Bson::Int32(1); 2_000_000]),
        Bson::Array(vec![Bson::ObjectId(bson::oid::ObjectId::new()); 100_000]),
        Bson::String("x".repeat(40 << 20)),
    ] {
        let mut call = call("exports = (a) => a.length", vec![many]);
        call.limits.memory_bytes = 8 << 20;
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::MemoryLimit));
        serves(&pool, "arguments without room").await;
    }
    // So do results of the host.
    let mut call = call(
        "exports = async () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); return (await Promise.all(Array.from({ length: 20 }, () => c.findOne({}, {}, { do: 'large' })))).length }",
        Vec::new(),
    );
    call.limits.memory_bytes = 8 << 20;
    let outcome = pool.call(call, Arc::new(World::default())).await;
    assert_eq!(outcome.result, Err(Failure::MemoryLimit));
    serves(&pool, "results without room").await;
}

#[tokio::test]
async fn telling_an_error_does_not_lift_the_memory_limit() {
    let pool = pool();
    for source in [
        "exports = () => { const e = new Error(); Object.defineProperty(e, 'message', { get() { const a = []; for (;;) a.push(new Array(1000).fill(0)) } }); throw e }",
        "exports = () => { throw { get a() { const a = []; for (;;) a.push(new Array(1000).fill(0)) } } }",
    ] {
        let mut call = call(source, Vec::new());
        call.limits = Limits {
            time_ms: 10_000,
            memory_bytes: 16 << 20,
        };
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::MemoryLimit), "{source}");
        assert!(
            outcome.memory_bytes < 24 << 20,
            "{source}: {}",
            outcome.memory_bytes
        );
        serves(&pool, source).await;
    }
}

#[tokio::test]
async fn many_large_replies_and_requests_do_not_wait_for_each_other() {
    // More is on its way in both directions than sockets hold.
    let source = "exports = async () => {
        const c = context.services.get('mongodb-atlas').db('d').collection('c');
        const pad = 'x'.repeat(20000);
        const all = await Promise.all(Array.from({ length: 200 }, () => c.findOne({ pad }, {}, { do: 'large' })));
        return all.reduce((sum, text) => sum + text.length, 0);
    }";
    assert_eq!(value(source).await, Bson::Int32(200 << 20));
}

#[tokio::test]
async fn replies_that_come_too_late_disturb_nobody() {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), [""; 0]);
    settings.workers_max = 1;
    let pool = Pool::new(settings);
    for _ in 0..20 {
        let source = "exports = () => { const c = context.services.get('mongodb-atlas').db('d').collection('c'); for (let i = 0; i < 5; i++) c.findOne({}, {}, { do: 'large' }); for (;;) {} }";
        let mut call = call(source, Vec::new());
        call.limits.time_ms = 20;
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Err(Failure::TimeLimit));
        serves(&pool, "late replies").await;
    }
}

#[tokio::test]
async fn a_worker_forgets_old_code() {
    let pool = pool();
    let kept = call("exports = () => 1", Vec::new()).code;
    let run = async |code: Arc<js::Compiled>| {
        let mut call = call("exports = () => 0", Vec::new());
        call.code = code;
        pool.call(call, Arc::new(World::default())).await.result
    };
    // More functions than a worker keeps, each one answering its own number.
    for number in 0..2100 {
        let code = crate::compiled(&format!("exports = () => {number}"));
        assert_eq!(run(code).await, Ok(Bson::Int32(number)));
        if number % 100 == 0 {
            assert_eq!(run(kept.clone()).await, Ok(Bson::Int32(1)));
        }
    }
}

#[tokio::test]
async fn calls_that_wait_for_calls_have_an_end() {
    let mut call = call("exports = () => 1", Vec::new());
    call.depth = kit::limit::CALL_NESTING_DEPTH_MAX;
    let outcome = pool().call(call, Arc::new(World::default())).await;
    let Err(Failure::Threw { message, .. }) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(message, "functions that rules call are nested too deeply");
    assert_eq!(thrown("exports = () => { throw 1 }").await, "1");
}
