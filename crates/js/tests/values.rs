//! Forms of functions, values in and out, errors, context.

use std::sync::Arc;

use bson::{Bson, bson};
use js::{Failure, compile};

use crate::{World, call, pool, run, thrown, value};

#[tokio::test]
async fn every_form_of_a_function() {
    for source in [
        "exports = function() { return 42 };",
        "exports = () => 42",
        "exports = async () => 42;",
        "exports = async function named() { await null; return 42; } // a comment",
        "function helper() { return 42; }\nexports = function() { return helper(); };",
        "const n = 41;\nexports = () => n + 1;",
        "exports = () => Promise.resolve(42);",
        "exports = () => new Promise((resolve) => setTimeout(() => resolve(42), 5));",
    ] {
        assert_eq!(value(source).await, Bson::Int32(42), "{source}");
    }
    assert_eq!(
        thrown("const a = 1;").await,
        "TypeError: exports is not a function"
    );
}

#[tokio::test]
async fn syntax_errors_have_a_place() {
    let error = compile("f.js", "exports = () => {\n  return 1;\n  )\n};").unwrap_err();
    assert_eq!((error.line, error.column), (3, 3), "{error:?}");
    assert!(error.message.starts_with("SyntaxError: "), "{error:?}");
    let error = compile("f.js", "exports = )").unwrap_err();
    assert_eq!((error.line, error.column), (1, 11), "{error:?}");
    assert!(compile("f.js", "exports = () => {").is_err());
}

#[tokio::test]
async fn every_bson_type_goes_in_and_out() {
    use bson::spec::BinarySubtype;
    let binary = |subtype, bytes: &[u8]| {
        Bson::Binary(bson::Binary {
            subtype,
            bytes: bytes.to_vec(),
        })
    };
    let values = [
        Bson::Null,
        Bson::Undefined,
        Bson::Boolean(true),
        Bson::Int32(-7),
        Bson::Int64(9_007_199_254_740_993),
        Bson::Int64(1),
        Bson::Double(3.0),
        Bson::Double(-0.0),
        Bson::Double(0.1),
        Bson::Decimal128("12.50".parse().unwrap()),
        Bson::String("é\u{2028}\0x".to_owned()),
        Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12])),
        Bson::DateTime(bson::DateTime::from_millis(-1)),
        binary(BinarySubtype::Generic, &[255, 0]),
        binary(BinarySubtype::Uuid, &[1; 16]),
        Bson::Timestamp(bson::Timestamp {
            time: 4_000_000_000,
            increment: 2,
        }),
        kit::ejson::parse(br#"{"$regularExpression":{"pattern":"^a","options":"i"}}"#).unwrap(),
        Bson::JavaScriptCode("f()".to_owned()),
        kit::ejson::parse(br#"{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}"#).unwrap(),
        Bson::Symbol("s".to_owned()),
        kit::ejson::parse(
            br#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"5fd45718cface356de9d104d"}}}"#,
        )
        .unwrap(),
        Bson::MinKey,
        Bson::MaxKey,
        bson!([1, [2.0], { "a": null }]),
        bson!({ "a": { "b": [1] }, "": 1, "__proto__": 2, "c.d": 3 }),
    ];
    let outcome = run("exports = (...all) => all", values.to_vec()).await;
    let Ok(Bson::Array(echoed)) = outcome.result else {
        panic!("{outcome:?}");
    };
    for (value, echo) in values.iter().zip(&echoed) {
        let text = |value: &Bson| value.clone().into_canonical_extjson().to_string();
        assert_eq!(text(value), text(echo));
    }
    assert_eq!(echoed.len(), values.len());
}

#[tokio::test]
async fn arithmetic_keeps_types() {
    assert_eq!(value("exports = () => 1 + 2").await, Bson::Int32(3));
    assert_eq!(
        value("exports = () => 0.5 + 0.25").await,
        Bson::Double(0.75)
    );
    assert_eq!(
        value("exports = () => BSON.Long.fromNumber(5) + 1").await,
        Bson::Int32(6)
    );
    assert_eq!(
        value("exports = () => BSON.Double(3)").await,
        Bson::Double(3.0)
    );
    assert_eq!(value("exports = () => 12n").await, Bson::Int64(12));
    assert_eq!(
        value("exports = () => new BSON.Long(1, 1)").await,
        Bson::Int64(4_294_967_297)
    );
    assert_eq!(
        value("exports = () => EJSON.stringify({ n: 42 })").await,
        Bson::from(r#"{"n":{"$numberInt":"42"}}"#)
    );
    assert_eq!(
        value("exports = () => EJSON.parse('{\"$numberLong\":\"5\"}')").await,
        Bson::Int64(5)
    );
    assert_eq!(
        value("exports = () => BSON.Binary.fromHex('ff00').toBase64()").await,
        Bson::from("/wA=")
    );
    assert_eq!(
        value(
            "exports = () => new BSON.ObjectId('5fd45718cface356de9d104d').getTimestamp().getTime()"
        )
        .await,
        Bson::Double(1_607_751_448_000.0)
    );
}

#[tokio::test]
async fn documented_digests() {
    assert_eq!(
        value(r#"exports = () => utils.crypto.hmac("hello!", "super-secret", "sha256", "base64")"#)
            .await,
        Bson::from("SUXd6PRMaTXXgBGaGsIHzaDWgTSa6C3D44lRGrvRak0=")
    );
    assert_eq!(
        value(r#"exports = () => utils.crypto.hash("sha256", "hello!").toBase64()"#).await,
        Bson::from("zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs=")
    );
}

#[tokio::test]
async fn errors_in_the_words_of_the_service() {
    for (source, wanted) in [
        (
            "exports = () => { throw new Error('out of cheese') }",
            "Error: out of cheese",
        ),
        (
            "exports = async () => missing",
            "ReferenceError: 'missing' is not defined",
        ),
        (
            "exports = () => context.nothing.db",
            "TypeError: Cannot access member 'db' of undefined",
        ),
        (
            "exports = () => null.x",
            "TypeError: Cannot access member 'x' of null",
        ),
        ("exports = () => { throw 'text' }", "text"),
        ("exports = () => { throw { a: 1 } }", r#"{"a":1}"#),
        (
            "exports = () => { Promise.reject(new TypeError('lost')) }",
            r#"uncaught promise rejection: {"message":"lost","name":"TypeError"}"#,
        ),
        (
            "exports = () => new Promise(() => {})",
            "Error: the function's promise never settles",
        ),
        (
            "exports = () => { const a = {}; a.a = a; return a }",
            "TypeError: the result cannot be returned: the value contains itself or is nested too deeply",
        ),
        (
            "exports = () => context.values.get('broken')",
            "Error: it broke",
        ),
        (
            "exports = () => context.functions.execute('nobody')",
            "Error: function not found: 'nobody'",
        ),
    ] {
        assert_eq!(thrown(source).await, wanted, "{source}");
    }
    let outcome = run(
        "function inner() {\n  throw new Error('x');\n}\nexports = function outer() { inner(); };",
        Vec::new(),
    )
    .await;
    let Err(Failure::Threw { stack, .. }) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert!(
        stack.contains("inner (test.js:2") && stack.contains("outer (test.js:4"),
        "{stack}"
    );
}

#[tokio::test]
async fn the_console_is_kept_and_cut() {
    let source = "exports = () => { for (let i = 0; i < 30; i++) console.log(i, { i }); console.error('x'.repeat(600)); }";
    let outcome = run(source, Vec::new()).await;
    assert_eq!(outcome.logs.len(), 25);
    assert_eq!(outcome.logs[0].text, r#"6 {"i":6}"#);
    assert!(outcome.logs[24].is_error && outcome.logs[24].text.len() == 512);
}

#[tokio::test]
async fn host_operations_interleave() {
    let source = "exports = async () => {
        const c = context.services.get('mongodb-atlas').db('d').collection('c');
        const all = await Promise.all([c.findOne({ a: 1, u: undefined }), c.insertOne({ b: 2 })]);
        return all.map((r) => [r.op, r.frame, r.args.action, r.args.arguments]);
    }";
    assert_eq!(
        value(source).await,
        bson!([
            ["mongodb", 0, "findOne", { "database": "d", "collection": "c", "query": { "a": 1 } }],
            ["mongodb", 0, "insertOne", { "database": "d", "collection": "c", "document": { "b": 2 } }],
        ])
    );
    // What is not awaited is finished all the same.
    assert_eq!(value("exports = () => { context.services.get('mongodb-atlas').db('d').collection('c').insertOne({}); return 1; }").await, Bson::Int32(1));
    assert_eq!(thrown("exports = async () => { for (;;) await context.services.get('mongodb-atlas').db('d').collection('c').findOne() }").await, "RangeError: a function may start 1000 operations at most");
    assert_eq!(
        thrown("exports = () => context.services.get('nothing').db('d')").await,
        "TypeError: Cannot access member 'db' of undefined"
    );
}

#[tokio::test]
async fn identity_belongs_to_the_frame() {
    let world = World::default()
        .with("system", "exports = async (f) => [context.runningAsSystem(), (await context.services.get('mongodb-atlas').db('d').collection('c').findOne()).frame, f()]", true)
        .with("throws", "exports = () => { throw new Error('inner') }", false);
    let source = "exports = async () => {
        const inner = await context.functions.execute('system', () => context.runningAsSystem());
        let caught; try { context.functions.execute('throws') } catch (e) { caught = e.message }
        return [inner, context.runningAsSystem(), caught];
    }";
    let outcome = pool().call(call(source, Vec::new()), Arc::new(world)).await;
    assert_eq!(
        outcome.result,
        Ok(bson!([[true, 1, false], false, "inner"]))
    );
}

#[tokio::test]
async fn a_line_can_be_evaluated_after_the_source() {
    let mut call = call("exports = (a, b) => a + b", Vec::new());
    call.evaluate = Some("exports(2, 3)".to_owned());
    let outcome = pool().call(call, Arc::new(World::default())).await;
    assert_eq!(outcome.result, Ok(Bson::Int32(5)));
}
