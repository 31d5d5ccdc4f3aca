//! What people see of an error: the places that they wrote, also through the
//! source maps of compilers, and source that is wrong.

use std::collections::HashMap;

use app::{Cx, LogQuery, RequestInfo};
use bson::bson;
use kit::Problem;

use super::World;

/// What tsc and esbuild made of `errors/order.ts`, with their maps in it.
const BY_TSC: &str = include_str!("errors/order.js");
const BY_ESBUILD: &str = include_str!("errors/order.min.js");

impl World {
    /// A debug run: its error, its stack and its log.
    async fn debugged(&self, name: &str, arguments: bson::Bson) -> (Problem, String, String) {
        let cx = Cx::of_system(&self.app, RequestInfo::default());
        let arguments = arguments.as_array().unwrap().clone();
        let run = self.app.debug_run(&cx, name, None, None, arguments).await;
        let run = run.unwrap();
        (run.result.unwrap_err(), run.stack, run.logs.join("\n"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_those_that_people_wrote() {
    let plain = "const deep = () => { throw new TypeError('é') };\nexports = () => { 'é'; deep() }";
    let calls = "exports = async (item) => {\n  try {\n    await context.functions.execute('shop/order', item);\n  } catch (cause) {\n    throw new Error('not sold', { cause });\n  }\n};";
    let world = World::new(
        &[
            ("plain", "", plain),
            ("shop/order", "", BY_TSC),
            ("bundled", "", BY_ESBUILD),
            ("calls", "", calls),
        ],
        &[],
    )
    .await;
    let (problem, stack, _) = world.debugged("plain", bson!([])).await;
    assert_eq!(problem.message, "TypeError: é");
    let wanted = "    at deep (functions/plain.js:1:32)\n    at exports (functions/plain.js:2:24)";
    assert_eq!(stack, wanted);

    let none = bson!([{ "price": 2, "count": 0 }]);
    for (name, total) in [("shop/order", "total"), ("bundled", "total")] {
        let (problem, stack, log) = world.debugged(name, none.clone()).await;
        assert_eq!(problem.message, "RangeError: no such count: 0");
        let folder = match name {
            "bundled" => "functions",
            _ => "functions/shop",
        };
        let lines: Vec<String> = stack
            .lines()
            .map(|line| line.rsplit_once(':').unwrap().0.to_owned())
            .collect();
        let at = |frame: &str, line: u32| format!("    at {frame} ({folder}/order.ts:{line}");
        let outer = if name == "bundled" {
            "exports"
        } else {
            "order"
        };
        let wanted = [at("<anonymous>", 6), at(total, 4), at(outer, 15)];
        // The engine has a frame more for `reduce`, which is nobody's.
        assert_eq!(lines, wanted, "{name}: {stack}");
        // Stacks in the log too.
        assert!(log.starts_with("é Error: seen\n"), "{log}");
        assert!(log.contains(&format!("({folder}/order.ts:14:")), "{log}");
    }

    // Causes have places of their own, and the log keeps all of it.
    let (problem, stack, _) = world.debugged("calls", none).await;
    assert_eq!(problem.message, "Error: not sold");
    assert!(
        stack.starts_with("    at exports (functions/calls.js:5:"),
        "{stack}"
    );
    let cause =
        "\nCaused by: RangeError: no such count: 0\n    at <anonymous> (functions/shop/order.ts:6:";
    assert!(stack.contains(cause), "{stack}");
    let query = LogQuery::default();
    let logged = world.core.logbook.read(&world.app.id, &query);
    assert!(
        logged
            .await
            .unwrap()
            .0
            .iter()
            .any(|entry| entry.details.get_str("stack").ok() == Some(stack.as_str()))
    );
}

#[test]
fn source_that_is_wrong_is_shown() {
    let found = |source: &str| {
        let mut files = config::Files::default();
        for (path, text) in HashMap::from([
            (
                "realm_config.json",
                r#"{"config_version":20210101,"name":"a"}"#,
            ),
            ("functions/config.json", r#"[{"name":"f"}]"#),
            ("functions/f.js", source),
        ]) {
            files.insert(path, text.as_bytes().to_vec());
        }
        let (release, findings) = app::check(&files);
        assert!(release.is_none(), "{source}");
        findings[0].to_string()
    };
    assert_eq!(
        found("exports = function () {\n  const a = ;\n}"),
        "functions/f.js:2:13: error: SyntaxError: unexpected token in expression: ';'
      1 | exports = function () {
    > 2 |   const a = ;
        |             ^
      3 | }"
    );
    let hinted = found("import { a } from \"b\";\nexports = () => a;");
    assert!(
        hinted.ends_with("hint: a function file is no ES module: const x = require(\"x\")"),
        "{hinted}"
    );
    let hinted = found("export default () => 1;\nexports = 1");
    assert!(hinted.contains("functions/f.js:1:1: error"), "{hinted}");
    assert!(hinted.ends_with("exports = function () { … }"), "{hinted}");
}
