//! What is thrown: messages, frames, causes; where a source is wrong.

use js::{Failure, compile};

use crate::{run, value};

/// What a call ends with: its message, and its frames below.
async fn failure(source: &str) -> String {
    match run(source, Vec::new()).await.result {
        Err(Failure::Threw { message, stack, .. }) => format!("{message}\n{stack}"),
        other => panic!("{source}: {other:?}"),
    }
}

#[tokio::test]
async fn frames_have_names_and_places_of_the_source() {
    let source = "const f = (a) => { throw new RangeError(`no ${a}\\nat all`) };
class Shop {
  sell() { f(1) }
  static open() { new Shop().sell() }
}
exports = async function go() {
  await 1;
  [1].forEach(function each() {
    Shop.open();
  });
};";
    let wanted = "RangeError: no 1
at all
    at f (test.js:1:47)
    at sell (test.js:3:12)
    at open (test.js:4:30)
    at each (test.js:9:10)
    at go (test.js:8:15)";
    assert_eq!(failure(source).await, wanted);
    for (source, wanted) in [
        (
            "exports = function () { null.x }",
            "TypeError: Cannot access member 'x' of null\n    at exports (test.js:1:25)",
        ),
        (
            "\n  missing()",
            "ReferenceError: 'missing' is not defined\n    at <anonymous> (test.js:2:3)",
        ),
        (
            "exports = () => eval('1;\\n nope')",
            "ReferenceError: 'nope' is not defined\n    at <eval> (<input>:2:2)\n    at exports (test.js:1:17)",
        ),
        (
            "exports = () => context.functions.execute('x')",
            "Error: function not found: 'x'\n    at exports (test.js:1:35)",
        ),
        (
            "exports = () => new Promise((_, no) => setTimeout(() => no(new Error('late')), 1))",
            "Error: late\n    at <anonymous> (test.js:1:64)",
        ),
        (
            "exports = () => { Promise.reject(new TypeError('left')) }",
            "uncaught promise rejection: {\"message\":\"left\",\"name\":\"TypeError\"}\n    at exports (test.js:1:38)",
        ),
        (
            "exports = () => { throw new Error() }",
            "Error\n    at exports (test.js:1:29)",
        ),
        ("exports = () => { throw 'a text' }", "a text\n"),
        ("exports = () => { throw { a: [1] } }", "{\"a\":[1]}\n"),
    ] {
        assert_eq!(failure(source).await, wanted, "{source}");
    }
}

#[tokio::test]
async fn causes_are_told() {
    let chain = "exports = () => {
  try {
    null.x;
  } catch (inner) {
    const middle = new RangeError('middle', { cause: inner });
    throw new Error('outer', { cause: middle });
  }
}";
    let wanted = "Error: outer
    at exports (test.js:6:39)
Caused by: RangeError: middle
    at exports (test.js:5:54)
Caused by: TypeError: Cannot access member 'x' of null
    at exports (test.js:3:5)";
    assert_eq!(failure(chain).await, wanted);
    for (source, wanted) in [
        (
            "exports = () => { throw new Error('a', { cause: { code: 7 } }) }",
            "Error: a\n    at exports (test.js:1:29)\nCaused by: {\"code\":7}",
        ),
        (
            "exports = () => { const e = new Error('a'); e.cause = e; throw e }",
            "Error: a\n    at exports (test.js:1:33)",
        ),
        (
            "exports = () => Promise.any([Promise.reject(new TypeError('a')), Promise.reject(1)])",
            "AggregateError\nOne of several: TypeError: a\n    at exports (test.js:1:49)\nOne of several: 1",
        ),
        (
            "exports = () => { throw Object.defineProperty(new Error('a'), 'cause', { get() { throw 1 } }) }",
            "Error: a\n    at exports (test.js:1:51)",
        ),
    ] {
        assert_eq!(failure(source).await, wanted, "{source}");
    }
    // Neither long chains nor large ones.
    let source = "exports = () => {
  let e;
  for (let i = 0; i < 5000; i++) e = new Error('x'.repeat(30000), { cause: e });
  throw e;
}";
    let told = failure(source).await;
    assert!(told.len() < 100 << 10, "{}", told.len());
    let source = "exports = () => {
  let e;
  for (let i = 0; i < 20; i++) e = new Error('e' + i, { cause: e });
  throw e;
}";
    assert_eq!(failure(source).await.matches("Caused by").count(), 8);
}

#[tokio::test]
async fn a_stack_begins_with_the_error() {
    for (source, wanted) in [
        (
            "new Error('a').stack",
            "Error: a\n    at exports (test.js:1:21)",
        ),
        (
            "(Error.stackTraceLimit = 0, new RangeError('a').stack)",
            "RangeError: a",
        ),
        (
            "(() => { const o = {}; Error.captureStackTrace(o); return o.stack.split('\\n')[0] })()",
            "Error",
        ),
        (
            "(() => { class Mine extends Error { constructor(m) { super(m); this.name = 'Mine'; Error.captureStackTrace(this, Mine) } } return new Mine('a').stack })()",
            "Mine: a",
        ),
        // What is written to it stays, and so does what prepareStackTrace makes.
        (
            "(() => { const e = new Error('a'); e.stack = 'mine'; return e.stack })()",
            "mine",
        ),
        (
            "(Error.prepareStackTrace = (error, frames) => `${error.message} ${frames[0].getFunctionName()} ${frames[0].getLineNumber()}`, new Error('a').stack)",
            "a exports 1",
        ),
    ] {
        let made = value(&format!("exports = () => {source}")).await;
        let made = made.as_str().expect(source);
        assert!(made.starts_with(wanted), "{source}: {made}");
        assert!(
            !made.contains("prelude") && !made.contains("(native)"),
            "{source}: {made}"
        );
    }
    let keys = value("exports = () => Object.keys(new Error('a')).length").await;
    assert_eq!(keys, bson::Bson::Int32(0));
}

#[test]
fn where_a_source_is_wrong() {
    for (source, line, column, message) in [
        (
            "exports = function () {\n  const a = ;\n}",
            2,
            13,
            "unexpected token in expression: ';'",
        ),
        (
            "const a = 'é😀'; const a = 1",
            1,
            25,
            "invalid redefinition of lexical identifier",
        ),
        ("exports = () => 'abc\n'", 1, 17, "unexpected end of string"),
        ("a b", 1, 3, "expecting ';'"),
        // The wrapper is not what is wrong.
        (
            "exports = function () {",
            1,
            24,
            "unexpected end of the file",
        ),
        ("exports = (\n\n", 2, 1, "unexpected end of the file"),
        (
            "exports = 1;\n})",
            2,
            1,
            "unexpected token in expression: '}'",
        ),
        (
            "exports = 1 }",
            1,
            13,
            "unexpected token in expression: '}'",
        ),
    ] {
        let error = compile("functions/a.js", source).expect_err(source);
        let wanted = (line, column, format!("SyntaxError: {message}"));
        assert_eq!(
            (error.line, error.column, error.message),
            wanted,
            "{source}"
        );
    }
}
