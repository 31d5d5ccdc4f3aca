//! The language's own test suite (tc39/test262), every test in a fresh call of
//! the real pool: `BACKSTITCH_TEST262=… cargo bench -p js --bench test262`.
//!
//! Arguments are prefixes of paths, such as `test/language/expressions`; `--names`
//! also shows what failed and why. `BACKSTITCH_TEST262_EVERY=N` takes each Nth test.
//!
//! Tests run by indirect `eval`, as a function could: what holds only for the
//! declarations of a script is expected to fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bson::{Bson, RawArrayBuf, rawdoc};
use js::{Call, Compiled, Failure, Limits, Nobody, Pool, PoolSettings, compile};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Calls at once.
const AT_ONCE: usize = 16;

/// Evaluates each part of the harness, then the test; gives what went wrong,
/// with a name in front, or nothing.
const RUNNER: &str = r"exports = (harness, test, isAsync) => {
    const evaluate = eval, settled = Promise, text = String;
    const shown = (error) => {
        try {
            const name = error?.name ?? error?.constructor?.name;
            return typeof name === 'string' && name !== ''
                ? name + ': ' + text(error.message) : 'Thrown: ' + text(error);
        } catch {
            return 'Thrown: it cannot be shown';
        }
    };
    let print = () => {};
    const done = new settled((resolve) => {
        print = (line) => resolve(
            line === 'Test262:AsyncTestComplete' ? '' : 'Asynchronously: ' + text(line));
    });
    const define = (name, value) => Object.defineProperty(
        globalThis, name, { value, writable: true, configurable: true });
    define('print', (line) => print(line));
    define('$262', {
        global: globalThis,
        evalScript: (source) => evaluate(source),
        detachArrayBuffer: (buffer) => { buffer.transfer(); },
    });
    for (let i = 0; i < harness.length; i++) {
        try {
            evaluate(harness[i]);
        } catch (error) {
            return 'Harness: ' + shown(error);
        }
    }
    try {
        evaluate(test);
    } catch (error) {
        return shown(error);
    }
    return isAsync ? done : '';
}";

/// Features that functions are not meant to have, or that need another host.
const SKIPPED_FEATURES: &[&str] = &[
    "Atomics",
    "Atomics.pause",
    "Atomics.waitAsync",
    "IsHTMLDDA",
    "Iterator.prototype.join",
    "ShadowRealm",
    "SharedArrayBuffer",
    "Temporal",
    "arbitrary-module-namespace-names",
    "await-dictionary",
    "canonical-tz",
    "cross-realm",
    "decorators",
    "dynamic-import",
    "error-stack-accessor",
    "explicit-resource-management",
    "export-defer",
    "host-gc-required",
    "immutable-arraybuffer",
    "import-attributes",
    "import-bytes",
    "import-defer",
    "import-text",
    "import.meta",
    "iterator-chunking",
    "iterator-includes",
    "joint-iteration",
    "json-modules",
    "legacy-regexp",
    "nonextensible-applies-to-private",
    "source-phase-imports",
    "source-phase-imports-module-source",
    "tail-call-optimization",
    "top-level-await",
];

/// Parts of the suite's host that are not here.
const SKIPPED_HOST: &[&str] = &[
    "$262.agent",
    "$262.createRealm",
    "$262.gc",
    "$262.IsHTMLDDA",
    "$262.AbstractModuleSource",
];

/// A test as its comment describes it.
struct Test {
    source: String,
    flags: Vec<String>,
    includes: Vec<String>,
    /// The error that it has to end with.
    negative: Option<String>,
}

impl Test {
    /// The test of a file, when it is one that can run here.
    fn read(path: &Path) -> Option<Self> {
        let source = std::fs::read_to_string(path).ok()?;
        let about = source.split_once("/*---")?.1.split_once("---*/")?.0;
        let about = about.replace("\r\n", "\n").replace('\r', "\n");
        let features = list(&about, "features");
        let flags = list(&about, "flags");
        let skipped = flags
            .iter()
            .any(|flag| ["module", "CanBlockIsFalse"].contains(&flag.as_str()))
            || features.iter().any(|feature| {
                feature.to_lowercase().starts_with("intl")
                    || SKIPPED_FEATURES.contains(&feature.as_str())
            })
            || SKIPPED_HOST.iter().any(|part| source.contains(part));
        if skipped {
            return None;
        }
        let negative = about.split_once("\nnegative:").and_then(|(_, rest)| {
            let line = rest
                .lines()
                .find_map(|line| line.trim().strip_prefix("type:"));
            line.map(|name| name.trim().to_owned())
        });
        Some(Self {
            includes: list(&about, "includes"),
            source,
            flags,
            negative,
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// The texts to run: as it is, and in strict mode.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if !self.has("onlyStrict") {
            texts.push(self.source.clone());
        }
        if !self.has("noStrict") && !self.has("raw") {
            texts.push(format!("\"use strict\";\n{}", self.source));
        }
        texts
    }

    fn harness(&self, files: &BTreeMap<String, String>) -> RawArrayBuf {
        let mut harness = RawArrayBuf::new();
        if self.has("raw") {
            return harness;
        }
        let usual = ["assert.js", "sta.js", "doneprintHandle.js"];
        let all = usual
            .into_iter()
            .chain(self.includes.iter().map(String::as_str));
        for file in all.filter_map(|name| files.get(name)) {
            harness.push(file.as_str());
        }
        harness
    }
}

/// A list in a test's comment, written in one line or in several.
fn list(about: &str, key: &str) -> Vec<String> {
    let Some((_, rest)) = about.split_once(&format!("\n{key}:")) else {
        return Vec::new();
    };
    let names = |text: &str| {
        let names = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        names.map(str::to_owned).collect()
    };
    match rest.trim_start().strip_prefix('[') {
        Some(inner) => names(
            &inner
                .split(']')
                .next()
                .unwrap_or_default()
                .replace('\n', " "),
        ),
        None => rest
            .lines()
            .skip(1)
            .map_while(|line| line.trim().strip_prefix("- "))
            .map(|name| name.trim().to_owned())
            .collect(),
    }
}

/// The harness, with what a script declares for all scripts declared so that an
/// `eval` declares it for all, too.
fn harness_files(root: &Path) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    files(&root.join("harness"), &mut found);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root.join("harness")).ok()?;
        let text = std::fs::read_to_string(&path).ok()?;
        let lines = text.lines().map(|line| {
            let declared = line.strip_prefix("const ").or(line.strip_prefix("let "));
            match (declared, line.strip_prefix("class ")) {
                (Some(rest), _) => format!("var {rest}\n"),
                (_, Some(rest)) => {
                    let name = rest.split([' ', '{']).next().unwrap_or_default();
                    format!("var {name} = class {rest}\n")
                }
                _ => format!("{line}\n"),
            }
        });
        Some((name.to_string_lossy().into_owned(), lines.collect()))
    };
    found.into_iter().filter_map(read).collect()
}

/// The tests below a directory.
fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|end| end == "js")
            && !path.to_string_lossy().contains("_FIXTURE")
        {
            into.push(path);
        }
    }
}

/// What is wrong with how a test ended.
async fn wrong(
    pool: &Pool,
    code: &Arc<Compiled>,
    test: &Test,
    harness: &BTreeMap<String, String>,
) -> Option<String> {
    for text in test.texts() {
        let mut arguments = RawArrayBuf::new();
        arguments.push(test.harness(harness));
        arguments.push(text);
        arguments.push(test.has("async"));
        let call = Call {
            owner: "test262".into(),
            code: code.clone(),
            arguments,
            context: rawdoc! { "user": {}, "system": false, "request": {}, "services": {} },
            limits: Limits {
                time_ms: 20_000,
                ..Limits::default()
            },
            evaluate: None,
            depth: 0,
        };
        let ended = match pool.call(call, Arc::new(Nobody)).await.result {
            Ok(Bson::String(ended)) => ended,
            Ok(other) => format!("Returned: {other}"),
            Err(Failure::Threw { message, .. }) => format!("Outside: {message}"),
            Err(failure) => format!("{failure:?}: "),
        };
        match &test.negative {
            None if ended.is_empty() => {}
            None => return Some(ended),
            Some(name) if ended.split(':').next() == Some(name) => {}
            Some(name) => return Some(format!("Expected: {name}, not '{ended}'")),
        }
    }
    None
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[tokio::main]
async fn main() {
    let Some(root) = std::env::var_os("BACKSTITCH_TEST262").map(PathBuf::from) else {
        println!("BACKSTITCH_TEST262 names no directory of tc39/test262: nothing to run");
        return;
    };
    let every = std::env::var("BACKSTITCH_TEST262_EVERY").map_or(1, |every| {
        every.parse::<usize>().expect("a number of tests").max(1)
    });
    let (options, prefixes): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|one| one.starts_with("--"));
    let with_names = options.iter().any(|option| option == "--names");

    let mut found = Vec::new();
    files(&root.join("test"), &mut found);
    let mut named: Vec<(String, PathBuf)> = found
        .into_iter()
        .filter_map(|path| {
            let name = path
                .strip_prefix(&root)
                .ok()?
                .to_string_lossy()
                .into_owned();
            Some((name, path))
        })
        .filter(|(name, _)| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect();
    named.sort_unstable();

    let pool = Pool::new(PoolSettings::new(
        env!("CARGO_BIN_EXE_js-test-worker"),
        [""; 0],
    ));
    pool.warm().await.expect("a worker");
    let code = Arc::new(compile("test262.js", RUNNER).expect("a function"));
    let harness = Arc::new(harness_files(&root));
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut folders: BTreeMap<String, Count> = BTreeMap::new();
    let mut running = JoinSet::new();
    for (name, path) in named.into_iter().step_by(every) {
        let folder = name.split('/').take(3).collect::<Vec<_>>().join("/");
        let Some(test) = Test::read(&path) else {
            folders.entry(folder).or_default().skipped += 1;
            continue;
        };
        let permit = at_once.clone().acquire_owned().await.expect("open");
        let (pool, code, harness) = (pool.clone(), code.clone(), harness.clone());
        running.spawn(async move {
            let wrong = wrong(&pool, &code, &test, &harness).await;
            drop(permit);
            (folder, name, wrong)
        });
    }

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (folder, name, wrong) = ended.expect("a test");
        let count = folders.entry(folder).or_default();
        let Some(wrong) = wrong else {
            count.passed += 1;
            continue;
        };
        count.failed += 1;
        let kind = wrong.split(':').next().unwrap_or_default();
        *kinds.entry(kind.to_owned()).or_default() += 1;
        failures.push((name, wrong));
    }
    report(&folders, &kinds);
    failures.sort_unstable();
    for (name, wrong) in failures.iter().filter(|_| with_names) {
        let wrong: String = wrong.chars().take(160).collect();
        println!("{name}: {}", wrong.replace('\n', " "));
    }
}

fn report(folders: &BTreeMap<String, Count>, kinds: &BTreeMap<String, usize>) {
    let mut all = Count::default();
    println!("{:44} {:>7} {:>7} {:>7}", "", "passed", "failed", "skipped");
    for (folder, count) in folders {
        let Count {
            passed,
            failed,
            skipped,
        } = count;
        println!("{folder:44} {passed:7} {failed:7} {skipped:7}");
        all.passed += passed;
        all.failed += failed;
        all.skipped += skipped;
    }
    let ran = (all.passed + all.failed).max(1);
    println!(
        "{:44} {:7} {:7} {:7}   {:.1} % of those that ran passed",
        "all",
        all.passed,
        all.failed,
        all.skipped,
        all.passed as f64 * 100.0 / ran as f64
    );
    for (kind, count) in kinds {
        println!("failed with {kind}: {count}");
    }
}
