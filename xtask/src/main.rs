//! The project's own build steps: `cargo xtask test` and `cargo xtask bench`.
//!
//! Not a test framework: it runs the tools that exist, fetches what their
//! tests need, and says at the end what ran and what was left out.

mod deps;
mod fetch;
mod report;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use report::Report;

const USAGE: &str = "\
usage: cargo xtask <command>

  test            formatting, lints, licences, structure, unit and scenario tests, and from
                  outside: SDK tests, requests made from the document of the Admin API
  test --quick    without licences and the tests from outside
  documents       write docs/openapi.json and docs/guide/parity.md anew
  tidy            only the rules of structure
  fetch           only fetch what the tests need (mongod, npm packages, Schemathesis)
  bench [NAME]    side-by-side measurements: call, find, insert (default: all three);
                  admin: administration of large apps; rules: what rules cost;
                  identity: logging in; functions [PART…]: next to Node and Parse Server;
                  waist [ROW…] and waist-growth: the embedded engine and mongod
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => test(rest.contains(&"--quick")),
        ["tidy"] => {
            let mut report = Report::default();
            report.check("structure", tidy::check());
            report.print()
        }
        ["documents"] => {
            let mut report = Report::default();
            let mut write = cargo(&["test", "--package", "admin", "--test", "it", "documents::"]);
            write.env("WRITE_DOCUMENTS", "1");
            report.rust_tests("documents", write);
            report.print()
        }
        ["fetch"] => {
            let mut report = Report::default();
            fetch::mongod(&mut report);
            fetch::npm(&mut report);
            fetch::document_tests(&mut report);
            report.print()
        }
        ["bench", rest @ ..] => bench(rest),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn test(quick: bool) -> ExitCode {
    let mut report = Report::default();
    report.step("formatting", cargo(&["fmt", "--all", "--check"]));
    report.step(
        "lints",
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    );
    report.check("structure", tidy::check());
    if !quick {
        deps::check(&mut report);
    }
    let mongod = fetch::mongod(&mut report);
    let mut unit = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if let Some(path) = &mongod {
        unit.env("BACKSTITCH_MONGOD", path);
    }
    report.rust_tests("unit and scenario tests", unit);
    if !quick
        && report.step(
            "server for the tests from outside",
            cargo(&["build", "--quiet", "--package", "backstitch"]),
        )
    {
        if fetch::npm(&mut report) {
            report.node_tests("SDK tests", fetch::sdk_tests("tests/"));
            report.node_tests("npm packages in functions", fetch::npm_tests());
            if fetch::browser(&mut report) {
                report.node_tests("tests in a real browser", fetch::sdk_tests("in_browser/"));
            }
        }
        if let Some(run) = fetch::document_tests(&mut report) {
            report.step("requests made from the document", run);
        }
    }
    report.print()
}

/// Builds the release binary and the bench beside it, and runs the bench.
fn bench(names: &[&str]) -> ExitCode {
    let mut build = cargo(&[
        "build",
        "--release",
        "--package",
        "backstitch",
        "--package",
        "bench",
    ]);
    let mut run = Command::new(root().join("target/release/bench"));
    if names.iter().any(|name| name.starts_with("waist"))
        && let Some(mongod) = fetch::mongod(&mut Report::default())
    {
        run.env("BACKSTITCH_MONGOD", mongod);
    }
    let ok = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    if ok(&mut build) && ok(run.args(names)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `cargo` in the workspace's root.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}
