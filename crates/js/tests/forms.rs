//! The language around a function: forms of files, globals, classes, console,
//! timers.

use std::sync::Arc;

use bson::{Bson, bson};
use js::{Failure, compile};

use crate::{World, call, pool, run, thrown, value};

#[tokio::test]
async fn files_of_every_form() {
    for source in [
        "function f() { return 42 }\nexports = f;",
        "var exports = () => 42;",
        "function exports() { return 42 }",
        "'use strict';\nexports = () => 42;",
        "exports = function (...rest) { return 42 + rest.length };",
        "exports = () => 1; exports = () => 42;",
        "exports = { f() { return 42 } }.f;",
        "class A { static run() { return 42 } }\nexports = A.run;",
        "// no end of line\nexports = () => 42 // here",
        "exports = () => 42 /* an end */",
        "\u{feff}exports = () => 42;",
        "exports = () => ({ then(resolve) { resolve(42) } });",
        "let calls = 41; exports = () => ++calls;",
    ] {
        match compile("f.js", source) {
            Ok(_) => assert_eq!(value(source).await, Bson::Int32(42), "{source}"),
            Err(error) => panic!("{source}: {error}"),
        }
    }
    // Not strict unless it says so; strict where it says so.
    assert_eq!(
        value("exports = () => { undeclared = 42; return undeclared }").await,
        Bson::Int32(42)
    );
    assert_eq!(
        thrown("'use strict'; exports = () => { undeclared = 1 }").await,
        "ReferenceError: 'undeclared' is not defined"
    );
    // Tests run such files elsewhere, guarded by this.
    assert_eq!(
        value(
            "exports = () => 1;\nif (typeof module !== 'undefined') { module.exports = exports }"
        )
        .await,
        Bson::Int32(1)
    );
    for source in [
        "export default () => 42;",
        "import x from 'x'; exports = () => 42;",
        "exports = () => { } }",
    ] {
        assert!(compile("f.js", source).is_err(), "{source}");
    }
    for hostile in [
        "[".repeat(1_000_000),
        format!(
            "x = /{}a{}/",
            "(".repeat(100_000),
            "){1,9999}".repeat(100_000)
        ),
        format!("x = `{}`", "${`".repeat(100_000)),
        "x = { a: ".repeat(100_000),
        "a => ".repeat(100_000),
    ] {
        assert!(compile("f.js", &hostile).is_err(), "{}", &hostile[..20]);
    }
    let repeats = format!(
        "exports = () => /{}a{}/.source.length",
        "(".repeat(50),
        "){1,9999}".repeat(50)
    );
    assert!(compile("f.js", &repeats).is_ok());
    assert!(compile("f.js", "exports = '\0'").is_err());
}

#[tokio::test]
async fn arguments_and_results() {
    let echo = "exports = (...all) => all";
    let values = vec![
        Bson::Double(f64::NAN),
        Bson::Double(f64::INFINITY),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Int64(i64::MIN),
        Bson::Int32(i32::MIN),
        Bson::Double(2_147_483_648.0),
        bson!({ "_bsontype": "ObjectId", "_v": "forged" }),
        bson!({ "toJSON": "a field", "constructor": 1, "hasOwnProperty": 2 }),
    ];
    let Ok(Bson::Array(echoed)) = run(echo, values.clone()).await.result else {
        panic!("it only echoes");
    };
    for (value, echo) in values.iter().zip(echoed) {
        let text = |value: Bson| value.into_canonical_extjson().to_string();
        assert_eq!(text(value.clone()), text(echo));
    }
    for (expression, wanted) in [
        ("undefined", r#"{"$undefined":true}"#),
        ("() => 1", r#"{"$undefined":true}"#),
        ("Symbol('x')", r#"{"$undefined":true}"#),
        (
            "({ f() {}, s: Symbol('x'), u: undefined, n: null })",
            r#"{"u":{"$undefined":true},"n":null}"#,
        ),
        (
            "[() => 1, , undefined]",
            r#"[null,{"$undefined":true},{"$undefined":true}]"#,
        ),
        ("new Date(NaN)", "null"),
        ("new Date(5)", r#"{"$date":{"$numberLong":"5"}}"#),
        (
            "/a.b/gi",
            r#"{"$regularExpression":{"pattern":"a.b","options":"i"}}"#,
        ),
        (
            "new Uint8Array([1, 2])",
            r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#,
        ),
        ("new Map([[1, 2]])", "{}"),
        ("new Error('x')", "{}"),
        (
            "new (class A { a = 1; get b() { return 2 } })",
            r#"{"a":{"$numberInt":"1"}}"#,
        ),
        ("Object.create({ inherited: 1 })", "{}"),
        (
            "Object.assign(Object.create(null), { a: true })",
            r#"{"a":true}"#,
        ),
        ("new Proxy({ a: 1 }, {})", r#"{"a":{"$numberInt":"1"}}"#),
        ("new String('x')", r#"{"0":"x"}"#),
        ("3.14", r#"{"$numberDouble":"3.14"}"#),
        ("0.5 + 0.5", r#"{"$numberDouble":"1.0"}"#),
        ("2147483647 + 1", r#"{"$numberDouble":"2147483648.0"}"#),
        ("-0", r#"{"$numberDouble":"-0.0"}"#),
        ("'\\ud800'", "\"\u{fffd}\""),
        ("JSON.stringify({ a: 1 })", r#""{\"a\":1}""#),
    ] {
        let value = value(&format!("exports = () => ({expression})")).await;
        assert_eq!(
            value.into_canonical_extjson().to_string(),
            wanted,
            "{expression}"
        );
    }
    assert_eq!(
        thrown("exports = () => ({ 'a\\0b': 1 })").await,
        "TypeError: the result cannot be returned: the value has no BSON form"
    );
    assert_eq!(
        thrown("exports = () => ({ get a() { throw new RangeError('mine') } })").await,
        "RangeError: mine"
    );
    assert_eq!(
        thrown("exports = () => { let a = {}; for (let i = 0; i < 200; i++) a = { a }; return a }")
            .await,
        "TypeError: the result cannot be returned: the value contains itself or is nested too deeply"
    );
}

#[tokio::test]
async fn classes_with_and_without_new() {
    for (expression, wanted) in [
        (
            "BSON.ObjectId('5FD45718cface356de9d104d').toHexString()",
            r#""5fd45718cface356de9d104d""#,
        ),
        (
            "new BSON.ObjectId('5fd45718cface356de9d104d').toString()",
            r#""5fd45718cface356de9d104d""#,
        ),
        (
            "BSON.ObjectId(new Uint8Array(12)).equals('000000000000000000000000')",
            "true",
        ),
        (
            "BSON.ObjectId('5fd45718cface356de9d104d').equals(BSON.ObjectId('5fd45718cface356de9d104d'))",
            "true",
        ),
        (
            "BSON.ObjectId() instanceof BSON.ObjectId && String(BSON.ObjectId()).length === 24",
            "true",
        ),
        ("BSON.Int32()", r#"{"$numberInt":"0"}"#),
        ("new BSON.Int32(7.9)", r#"{"$numberInt":"7"}"#),
        ("BSON.Int32(7) + 1", r#"{"$numberInt":"8"}"#),
        ("BSON.Double()", r#"{"$numberDouble":"0.0"}"#),
        ("new BSON.Double(2)", r#"{"$numberDouble":"2.0"}"#),
        ("BSON.Long()", r#"{"$numberLong":"0"}"#),
        ("BSON.Long(-1, -1)", r#"{"$numberLong":"-1"}"#),
        ("BSON.Long(1, 2)", r#"{"$numberLong":"8589934593"}"#),
        (
            "BSON.Long.fromString('-9223372036854775808')",
            r#"{"$numberLong":"-9223372036854775808"}"#,
        ),
        ("BSON.Long.fromNumber(5).toNumber() === 5", "true"),
        (
            "BSON.Long.fromNumber(5) > 4 && BSON.Long.fromNumber(5) * 2 === 10",
            "true",
        ),
        (
            "BSON.Decimal128.fromString('1.50')",
            r#"{"$numberDecimal":"1.50"}"#,
        ),
        ("BSON.Decimal128.fromString('1.50').toString()", r#""1.50""#),
        (
            "BSON.Binary.fromHex('00ff', 5)",
            r#"{"$binary":{"base64":"AP8=","subType":"05"}}"#,
        ),
        ("BSON.Binary.fromBase64('aGk=').text()", r#""hi""#),
        ("BSON.Binary.fromText('hi').toHex()", r#""6869""#),
        (
            "BSON.BSONRegExp('^a', 'mi')",
            r#"{"$regularExpression":{"pattern":"^a","options":"im"}}"#,
        ),
        (
            "[BSON.MinKey, BSON.MaxKey]",
            r#"[{"$minKey":1},{"$maxKey":1}]"#,
        ),
        (
            "new BSON.Timestamp(1, 2)",
            r#"{"$timestamp":{"t":2,"i":1}}"#,
        ),
        (
            "BSON.Code('f()', { x: 1 })",
            r#"{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}"#,
        ),
        ("BSON.Symbol('s')", r#"{"$symbol":"s"}"#),
        (
            "new BSON.DBRef('c', 1)",
            r#"{"$ref":"c","$id":{"$numberInt":"1"}}"#,
        ),
        (
            "EJSON.stringify(BSON.Double(4))",
            r#""{\"$numberDouble\":\"4.0\"}""#,
        ),
        (
            "EJSON.stringify({ d: new Date(0), u: undefined })",
            r#""{\"d\":{\"$date\":{\"$numberLong\":\"0\"}},\"u\":{\"$undefined\":true}}""#,
        ),
        (
            "EJSON.parse('{\"a\":1,\"b\":{\"$oid\":\"5fd45718cface356de9d104d\"},\"c\":{\"$date\":\"1970-01-01T00:00:00Z\"}}')",
            r#"{"a":{"$numberInt":"1"},"b":{"$oid":"5fd45718cface356de9d104d"},"c":{"$date":{"$numberLong":"0"}}}"#,
        ),
        (
            "JSON.stringify({ id: BSON.ObjectId('5fd45718cface356de9d104d'), n: BSON.Long(3) })",
            r#""{\"id\":\"5fd45718cface356de9d104d\",\"n\":3}""#,
        ),
    ] {
        let value = value(&format!("exports = () => ({expression})")).await;
        assert_eq!(
            value.into_canonical_extjson().to_string(),
            wanted,
            "{expression}"
        );
    }
    for (expression, wanted) in [
        (
            "BSON.ObjectId('short')",
            "TypeError: Argument passed in must be a single String of 12 bytes or a string of 24 hex characters",
        ),
        (
            "BSON.Binary.fromBase64('aGk')",
            "TypeError: the text is not base64 with padding",
        ),
        (
            "BSON.Binary.fromHex('abc')",
            "TypeError: the text is not hexadecimal",
        ),
        (
            "BSON.Decimal128.fromString('x')",
            "TypeError: 'x' is not a Decimal128",
        ),
        ("EJSON.parse('{')", "SyntaxError: "),
    ] {
        let text = thrown(&format!("exports = () => ({expression})")).await;
        assert!(text.starts_with(wanted), "{expression}: {text}");
    }
}

#[tokio::test]
async fn the_console_prints_as_the_service_does() {
    let source = "exports = () => {
        console.log('text', 1, 2.5, true, null, undefined);
        console.info({ a: [1, { b: 'x' }] }, [1, 2]);
        console.debug(new BSON.ObjectId('5fd45718cface356de9d104d'), new Date(0), BSON.Long(5));
        console.warn('warning');
        console.error(new TypeError('wrong').message, 10n, Symbol('s'), () => 1);
        const round = {}; round.round = round;
        console.log(round);
        console.log();
        console.log('é'.repeat(300));
        console.log(new Error('shown'));
    }";
    let logs = run(source, Vec::new()).await.logs;
    let lines: Vec<(bool, &str)> = logs
        .iter()
        .map(|line| (line.is_error, line.text.as_str()))
        .collect();
    assert_eq!(
        lines[..7],
        [
            (false, "text 1 2.5 true null undefined"),
            (false, r#"{"a":[1,{"b":"x"}]} [1,2]"#),
            (
                false,
                r#"{"$oid":"5fd45718cface356de9d104d"} {"$date":"1970-01-01T00:00:00Z"} 5"#
            ),
            (true, "warning"),
            (true, "wrong 10n Symbol(s) [Function (anonymous)]"),
            (false, "<ref *1> { round: [Circular *1] }"),
            (false, ""),
        ]
    );
    // Cut at a whole character.
    assert_eq!(lines[7], (false, "é".repeat(256).as_str()));
    assert!(lines[8].1.starts_with("Error: shown\n"), "{:?}", lines[8]);
}

#[tokio::test]
async fn the_console_shows_what_json_cannot_tell() {
    for (written, wanted) in [
        (
            "new Map([[1, { a: new Set([2]) }]])",
            "Map(1) { 1 => { a: Set(1) { 2 } } }",
        ),
        ("new (class Point { x = 1 })()", "Point { x: 1 }"),
        (
            "{ f() {}, s: Symbol('s') }",
            "{ f: [Function: f], s: Symbol(s) }",
        ),
        ("{ a: 1, [Symbol('s')]: 2 }", "{ a: 1, [Symbol(s)]: 2 }"),
        (
            "Buffer.from('abc'), new Uint8Array(2)",
            "<Buffer 61 62 63> Uint8Array(2) [ 0, 0 ]",
        ),
        ("{ get a() { return 1 } }", "{ a: [Getter] }"),
        (
            "new Proxy({ a: 1 }, { get: () => { throw 1 } })",
            "{ a: 1 }",
        ),
        (
            "[new Date(0)], { n: 5.5, d: null }",
            r#"[{"$date":"1970-01-01T00:00:00Z"}] {"n":5.5,"d":null}"#,
        ),
        (
            "{ id: new BSON.ObjectId('5fd45718cface356de9d104d') }",
            r#"{"id":{"$oid":"5fd45718cface356de9d104d"}}"#,
        ),
        ("Object.create(null), -0, NaN", "{} -0 NaN"),
        (
            "new Map([['id', new BSON.ObjectId('5fd45718cface356de9d104d')]])",
            "Map(1) { 'id' => new ObjectId('5fd45718cface356de9d104d') }",
        ),
        (
            "new Set([BSON.Long(5), BSON.Binary.fromHex('ff'), BSON.MinKey, new BSON.Timestamp(1, 2)])",
            "Set(4) {\n  new Long('5'),\n  Binary.createFromBase64('/w==', 0),\n  new MinKey(),\n  new Timestamp({ t: 2, i: 1 })\n}",
        ),
        ("Promise.resolve(5)", "Promise { 5 }"),
        (
            "'%s has %d of %j', 'x', 5, { a: 1 }, { b: 2 }",
            r#"x has 5 of {"a":1} {"b":2}"#,
        ),
        ("'100%', 5", "100% 5"),
    ] {
        let source = format!("exports = () => console.log({written})");
        let logs = run(&source, Vec::new()).await.logs;
        assert_eq!(logs.len(), 1, "{written}");
        assert_eq!(logs[0].text, wanted, "{written}");
    }
    // Errors with what caused them, as Node shows them.
    let source = "exports = () => console.error('failed:', new TypeError('outer', { cause: new Error('inner') }))";
    let logs = run(source, Vec::new()).await.logs;
    let text = &logs[0].text;
    assert!(
        text.starts_with("failed: TypeError: outer\n    at "),
        "{text}"
    );
    assert!(text.contains("[cause]: Error: inner\n"), "{text}");
    // Groups, counters and the like write lines of the log.
    let source = "exports = () => {
        console.group('g'); console.count(); console.groupEnd();
        console.assert(1 === 2, 'not %s', 'so'); console.dir({ a: 1 }); console.table([{ a: 1 }]);
    }";
    let logs = run(source, Vec::new()).await.logs;
    let lines: Vec<(bool, &str)> = logs
        .iter()
        .map(|line| (line.is_error, line.text.as_str()))
        .collect();
    assert_eq!(
        lines[..4],
        [
            (false, "g"),
            (false, "  default: 1"),
            (true, "Assertion failed: not so"),
            (false, "{ a: 1 }"),
        ]
    );
    assert!(lines[4].1.contains("│ (index) │ a │"), "{}", lines[4].1);
    // A getter that never ends is not asked.
    let source = "exports = () => { console.log({ get a() { for (;;) {} } }); return 1 }";
    assert_eq!(value(source).await, Bson::Int32(1));
}

#[tokio::test]
async fn what_is_thrown_is_told() {
    for (thrown_value, wanted) in [
        ("null", "null"),
        ("undefined", "undefined"),
        ("5", "5"),
        ("[1, 'x']", r#"[1,"x"]"#),
        (
            "new (class Mine extends Error { name = 'Mine' })('text')",
            "Mine: text",
        ),
        ("Object.assign(new Error('text'), { name: '' })", "text"),
        (
            "new AggregateError([new Error('a')], 'several')",
            "AggregateError: several",
        ),
        ("{ toString() { return 'odd' } }", "{}"),
        ("() => 1", "undefined"),
    ] {
        let text = thrown(&format!("exports = () => {{ throw {thrown_value} }}")).await;
        assert_eq!(text, wanted, "{thrown_value}");
        let text = thrown(&format!("exports = async () => {{ throw {thrown_value} }}")).await;
        assert_eq!(text, wanted, "async {thrown_value}");
    }
    for (source, wanted) in [
        (
            "exports = () => { Promise.reject('text'); return 1 }",
            "uncaught promise rejection: text",
        ),
        (
            "exports = async () => { Promise.reject({ a: 1 }) }",
            r#"uncaught promise rejection: {"a":1}"#,
        ),
        (
            "exports = () => { setTimeout(() => { throw new Error('late') }, 1); return 1 }",
            "Error: late",
        ),
        // The first one counts.
        (
            "exports = () => { Promise.reject('first'); Promise.reject('second') }",
            "uncaught promise rejection: first",
        ),
    ] {
        assert_eq!(thrown(source).await, wanted, "{source}");
    }
    // Handled late is handled.
    assert_eq!(
        value("exports = () => { const p = Promise.reject('x'); setTimeout(() => p.catch(() => 0), 1); return 1 }").await,
        Bson::Int32(1)
    );
    let long = "exports = () => { throw new Error('x'.repeat(1e7)) }";
    let Err(Failure::Threw { message, .. }) = run(long, Vec::new()).await.result else {
        panic!("it throws");
    };
    assert_eq!(message.len(), "Error: ".len() + (64 << 10));
}

#[tokio::test]
async fn timers_ring_in_their_order() {
    let source = "exports = () => new Promise((resolve) => {
        const seen = [];
        setTimeout(() => seen.push('late'), 400);
        setTimeout((a) => { seen.push(a); Promise.resolve().then(() => seen.push('job')) }, 50, 'argument');
        setTimeout(() => seen.push('early'), 50);
        setImmediate(() => seen.push('now'));
        const never = setTimeout(() => seen.push('never'), 60);
        clearTimeout(never);
        let times = 0;
        const every = setInterval(() => { if (++times === 3) { clearInterval(every); seen.push('thrice') } }, 50);
        setTimeout(() => resolve(seen), 800);
        // All of them are due when the first one is looked at.
        for (const end = Date.now() + 100; Date.now() < end;);
    })";
    assert_eq!(
        value(source).await,
        bson!(["now", "argument", "job", "early", "thrice", "late"])
    );
}

#[tokio::test]
async fn dates_are_those_of_the_service() {
    assert_eq!(
        value("exports = () => [new Date(0).getTimezoneOffset(), new Date(2020, 6, 1).toISOString(), Date.UTC(1970, 0, 1)]").await,
        bson!([0, "2020-07-01T00:00:00.000Z", 0.0])
    );
}

#[tokio::test]
async fn sessions_are_numbers_to_the_host() {
    let source = "exports = async () => {
        const client = context.services.get('mongodb-atlas');
        const c = client.db('d').collection('c');
        const session = client.startSession();
        const outside = await c.findOne({}, {}, { session });
        session.startTransaction();
        const inside = await c.findOne({}, {}, { session });
        await session.commitTransaction();
        const after = await c.findOne({}, {}, { session });
        return [outside, inside, after].map((r) => typeof r.args.session);
    }";
    assert_eq!(
        value(source).await,
        bson!(["undefined", "number", "undefined"])
    );
}

#[tokio::test]
async fn an_executed_function_is_made_anew_each_time() {
    let world = World::default().with(
        "count",
        "let n = 0; exports = () => ++n + context.user.id",
        false,
    );
    let source = "exports = () => [1, 2, 3].map(() => context.functions.execute('count'))";
    let outcome = pool().call(call(source, Vec::new()), Arc::new(world)).await;
    assert_eq!(outcome.result, Ok(bson!(["1u1", "1u1", "1u1"])));
}

#[tokio::test]
async fn built_in_modules_are_required_by_both_of_their_names() {
    let source = r#"exports = () => [
        require("timers").setTimeout === setTimeout, require("timers") === require("node:timers"),
    ]"#;
    assert_eq!(value(source).await, bson::bson!([true, true]));
    assert_eq!(
        thrown("exports = () => require('nothing')").await,
        "Error: Cannot find module 'nothing'"
    );
}

#[tokio::test]
async fn time_begins_with_the_call() {
    let source = "exports = () => {
        const { performance } = require('perf_hooks');
        return [performance.now(), process.uptime() * 1000].every((ms) => ms > 0 && ms < 20000);
    }";
    assert_eq!(value(source).await, Bson::Boolean(true));
    // Also when modules are loaded ahead of calls: each call has its own.
    let pool = pool();
    let times = "exports = async () => {
        const begun = process.uptime();
        await new Promise((resolve) => setTimeout(resolve, 60));
        return [begun < 0.05, process.uptime() >= 0.06];
    }";
    for _ in 0..8 {
        let outcome = pool
            .call(call(times, Vec::new()), Arc::new(World::default()))
            .await;
        assert_eq!(outcome.result, Ok(bson!([true, true])));
    }
}

#[tokio::test]
async fn what_callbacks_throw_ends_the_call() {
    for (source, wanted) in [
        (
            "process.nextTick(() => { throw new Error('in a tick') })",
            "Error: in a tick",
        ),
        (
            "queueMicrotask(() => { throw new Error('in a microtask') })",
            "Error: in a microtask",
        ),
        (
            "setImmediate(() => { throw new TypeError('at once') })",
            "TypeError: at once",
        ),
        (
            "new (require('events'))().emit('error', new Error('unheard'))",
            "Error: unheard",
        ),
        (
            "new (require('stream').Writable)({ write(c, e, done) { done(new Error('full')) } }).write('x')",
            "Error: full",
        ),
        (
            "const target = new EventTarget(); target.addEventListener('a', () => { throw new Error('in a listener') }); target.dispatchEvent(new Event('a'))",
            "Error: in a listener",
        ),
    ] {
        let source = format!("exports = () => {{ {source}; return 1 }}");
        assert_eq!(thrown(&source).await, wanted, "{source}");
    }
    // A tick that throws does not keep the others from running.
    let source = "exports = () => {
        process.nextTick(() => { throw new Error('first') });
        process.nextTick(() => console.log('second'));
    }";
    let outcome = run(source, Vec::new()).await;
    assert_eq!(outcome.logs[0].text, "second");
    assert!(outcome.result.is_err());
}

#[tokio::test]
async fn modules_that_are_not_supported_load_and_say_so() {
    for (module, used) in [
        ("child_process", "exec('ls')"),
        ("child_process", "spawnSync('ls', ['-l'])"),
        ("cluster", "fork()"),
        ("domain", "create()"),
        ("inspector", "open()"),
        ("repl", "start()"),
        ("tty", "ReadStream(0)"),
        ("trace_events", "createTracing({})"),
        ("v8", "serialize({})"),
        ("vm", "runInNewContext('1')"),
        ("worker_threads", "Worker('x.js')"),
        ("fs", "openSync('/etc/passwd')"),
        ("fs", "watch('/')"),
    ] {
        let source = format!("exports = () => {{ require('{module}').{used} }}");
        assert_eq!(
            thrown(&source).await,
            format!("Error: '{module}' module: not supported"),
            "{used}"
        );
    }
    // Writing says what lies behind: there is nowhere to write to.
    assert_eq!(
        thrown("exports = () => require('fs').writeFileSync('/tmp/x', 'y')").await,
        "Error: EROFS: read-only file system, open '/tmp/x'"
    );
}
