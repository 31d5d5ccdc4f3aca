//! npm packages: what Node loads of the same files, with what it fails, and how
//! often a worker has to ask.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bson::{Bson, RawBson, RawDocumentBuf, rawdoc};
use js::packages::{Codes, Entry, Files, Packages};
use js::{BoxFuture, Call, Entered, Failure, Frame, Host, HostError, Outcome, Pool};

use crate::ahead::settled;
use crate::{call, pool};

const FILES: &str = include_str!("packages/files.txt");
const CASES: &str = include_str!("packages/cases.js");
const EXPECTED: &str = include_str!("packages/expected.json");

/// Files in memory.
pub(crate) struct InMemory(BTreeMap<String, Vec<u8>>);

impl InMemory {
    pub(crate) fn new(text: &str) -> Self {
        let parts = text.strip_prefix("=== ").unwrap().split("\n=== ");
        Self(
            parts
                .map(|part| {
                    let (path, text) = part.split_once('\n').unwrap();
                    (format!("/{path}"), text.as_bytes().to_vec())
                })
                .collect(),
        )
    }
}

impl Files for InMemory {
    fn entry(&self, path: &str) -> Option<Entry> {
        if self.0.contains_key(path) {
            return Some(Entry::File);
        }
        let folder = format!("{path}/");
        let below = self.0.range(folder.clone()..).next();
        below
            .filter(|(path, _)| path.starts_with(&folder))
            .map(|_| Entry::Folder)
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).cloned()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let folder = format!("{path}/");
        let names = self.0.keys().filter_map(|path| path.strip_prefix(&folder));
        let mut names: Vec<String> = names
            .map(|rest| rest.split('/').next().unwrap().to_owned())
            .collect();
        names.dedup();
        names
    }
}

/// A host that has packages and nothing else.
pub(crate) struct Shop {
    packages: Packages,
    pub(crate) asked: AtomicUsize,
    operations: Mutex<Vec<String>>,
}

impl Shop {
    pub(crate) fn new(files: impl Files + 'static) -> Arc<Self> {
        Arc::new(Self {
            packages: Packages::new(files, Arc::new(Codes::default())),
            asked: AtomicUsize::new(0),
            operations: Mutex::default(),
        })
    }
}

impl Host for Shop {
    fn call(
        &self,
        _: Frame,
        operation: &str,
        arguments: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.operations
            .lock()
            .unwrap()
            .push(format!("{operation} {arguments:?}"));
        let answer = self.packages.answer(operation, &arguments);
        Box::pin(async move { answer.map(RawBson::Document) })
    }

    fn enter(&self, _: Frame, _: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        Box::pin(async { Err(HostError::new("there are no other functions")) })
    }
}

pub(crate) fn using(source: &str) -> Call {
    let mut call = call(source, Vec::new());
    call.context = rawdoc! {
        "user": {}, "system": false, "request": {}, "services": {}, "packages": "set",
    };
    call
}

async fn run(pool: &Pool, shop: &Arc<Shop>, source: &str) -> Outcome {
    pool.call(using(source), shop.clone()).await
}

pub(crate) async fn value(pool: &Pool, shop: &Arc<Shop>, source: &str) -> Bson {
    let outcome = run(pool, shop, source).await;
    outcome
        .result
        .unwrap_or_else(|failure| panic!("{source}: {failure:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_load_as_in_node() {
    let expected: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(EXPECTED).unwrap();
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    let cases = CASES.replace("module.exports =", "const cases =");
    let mut wrong = Vec::new();
    for (name, wanted) in &expected {
        let source = format!(
            "{cases}\nexports = async () => JSON.stringify(await cases(require, (name) => import(name)).{name}())"
        );
        let found = match run(&pool, &shop, &source).await.result {
            Ok(Bson::String(text)) => serde_json::from_str(&text).unwrap(),
            other => serde_json::Value::from(format!("{other:?}")),
        };
        if found != *wanted {
            wrong.push(format!("{name}\n  node: {wanted}\n  here: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(expected.len() > 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_once_comes_at_once() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    let source = "exports = () => { require('with-main'); require('@scope/pkg'); require('exp'); return 1; }";
    value(&pool, &shop, source).await;
    settled(&pool).await;
    let first = shop.asked.swap(0, Ordering::Relaxed);
    assert!(first > 10, "{first}");
    // The same worker knows everything.
    value(&pool, &shop, source).await;
    assert_eq!(shop.asked.swap(0, Ordering::Relaxed), 0);
    // A new one learns it with its first question.
    let other = crate::pool();
    value(&other, &shop, source).await;
    assert_eq!(shop.asked.swap(0, Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_are_new_in_each_call() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    for source in [
        "exports = () => require('counter').up()",
        "exports = async () => (await import('counter')).default.up()",
        "exports = async () => { const m = await import('esm/other.js'); m.up(); return m.counter; }",
        "exports = () => { const m = require('esm/other.js'); m.up(); return m.counter; }",
    ] {
        for _ in 0..3 {
            assert_eq!(
                value(&pool, &shop, source).await,
                Bson::Int32(1),
                "{source}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn es_modules_can_be_required() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    let source = "exports = async () => {
        const m = require('esm');
        const same = m.default === (await import('esm')).default && require('esm').default === m.default;
        const fails = (name) => { try { require(name); return 'none'; } catch (e) { return e.code ?? e.message; } };
        return [m.kind, m.counter, same, require('looks-esm').default, fails('esm/tla.js'), fails('esm/throws.js'), fails('esm/throws.js')];
    }";
    let found = value(&pool, &shop, source).await;
    let wanted = bson::bson!([
        "import",
        1,
        true,
        "plain",
        "ERR_REQUIRE_ASYNC_MODULE",
        "esm at load",
        "esm at load"
    ]);
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_packages_can_be_read_and_no_others() {
    let files = "=== node_modules/a/package.json\n{}\n=== node_modules/a/index.js\nmodule.exports = require('fs').readFileSync(require('path').join(__dirname, 'data', 'text.txt'), 'utf8');\n=== node_modules/a/data/text.txt\nwords";
    let shop = Shop::new(InMemory::new(files));
    let source = "exports = async () => {
        const fs = require('fs');
        const fails = (body) => { try { return body() } catch (e) { return e.code } };
        const at = '/node_modules/a';
        const stat = fs.statSync(at + '/data/text.txt');
        let streamed = '';
        for await (const part of fs.createReadStream(at + '/data/text.txt', { encoding: 'utf8', start: 1, highWaterMark: 2 })) streamed += part;
        return [
            require('a'), fs.readdirSync(at).join(), fs.existsSync(at + '/nothing'), stat.isFile(), stat.size,
            fs.statSync(at).isDirectory(), (await fs.promises.readFile(at + '/data/text.txt')).toString('hex'), streamed,
            fs.readdirSync(at, { withFileTypes: true }).map((each) => each.name + each.isDirectory()).join(),
            fails(() => fs.readFileSync(at)), fails(() => fs.readdirSync(at + '/index.js')),
            fails(() => fs.readFileSync('/etc/passwd')), fails(() => fs.readFileSync(at + '/../../../../etc/passwd')),
            fails(() => fs.readFileSync('/proc/self/environ')), fails(() => fs.writeFileSync(at + '/x', '')),
            fails(() => fs.unlinkSync(at + '/index.js')), fs.realpathSync(at + '/data/../index.js'),
        ];
    }";
    assert_eq!(
        value(&pool(), &shop, source).await,
        bson::bson!([
            "words",
            "data,index.js,package.json",
            false,
            true,
            5,
            true,
            "776f726473",
            "ords",
            "datatrue,index.jsfalse,package.jsonfalse",
            "EISDIR",
            "ENOTDIR",
            "ENOENT",
            "ENOENT",
            "ENOENT",
            "EROFS",
            "EROFS",
            "/node_modules/a/index.js"
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_loaded_says_why() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    for (source, wanted) in [
        (
            "exports = () => require('broken')",
            "SyntaxError: unexpected token in expression: ';' (/node_modules/broken/index.js:1:13)",
        ),
        (
            "exports = () => require('nothing')",
            "Error: Cannot find module 'nothing'",
        ),
        (
            "exports = () => require('_loader')",
            "Error: Cannot find module '_loader'",
        ),
        (
            "exports = () => require('node:_loader')",
            "Error: No such built-in module: node:_loader",
        ),
        (
            "exports = () => import('node:_loader')",
            "Error: No such built-in module: node:_loader",
        ),
        (
            "exports = () => import('_loader')",
            "Error: Cannot find package '_loader'",
        ),
        (
            "exports = () => require('addon')",
            "Error: native addons cannot be loaded: /node_modules/addon/build/x.node",
        ),
        (
            "exports = () => require('./plain')",
            "Error: Cannot find module './plain'",
        ),
        (
            "exports = () => require(1)",
            "TypeError: The \"id\" argument must be of type string. Received type number",
        ),
        (
            "exports = () => { for (let i = 0; ; i++) require('x' + i); }",
            "Error: Cannot find module 'x0'",
        ),
        (
            "exports = () => { for (let i = 0; ; i++) try { require('x' + i); } catch (e) { if (e.name === 'RangeError') throw e; } }",
            "RangeError: a function may load 20000 modules at most",
        ),
    ] {
        match run(&pool, &shop, source).await.result {
            Err(Failure::Threw { message, .. }) => assert_eq!(message, wanted, "{source}"),
            other => panic!("{source}: {other:?}"),
        }
    }
    // Without packages there is nothing to ask.
    let call = call("exports = () => require('plain')", Vec::new());
    let outcome = pool.call(call, shop.clone()).await;
    assert!(
        matches!(&outcome.result, Err(Failure::Threw { message, .. }) if message == "Error: Cannot find module 'plain'"),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_name_the_files_of_packages() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    let outcome = run(&pool, &shop, "exports = () => require('throws')").await;
    let Err(Failure::Threw { stack, .. }) = outcome.result else {
        panic!("{outcome:?}");
    };
    assert!(
        stack.contains("/node_modules/throws/index.js:2:"),
        "{stack}"
    );
    assert!(!stack.contains("_loader"), "{stack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_chains_have_limits() {
    const LINKS: usize = 19_000;
    let file = |name: &str, text: String| (format!("/node_modules/{name}"), text.into_bytes());
    let large = format!("//{}", "x".repeat(kit::limit::MODULE_BYTES_MAX));
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let exports = format!("{{\"exports\":{}}}", nested("{\"a\":", "}", 5000));
    let mut files = BTreeMap::from([
        file("large/index.js", large),
        file("deep/package.json", exports),
        file("deep/index.js", "module.exports = 'its index'".to_owned()),
        file("data/x.json", nested("[", "]", 100_000)),
    ]);
    for link in 0..LINKS {
        let next = (link + 1) % LINKS;
        let required = format!("module.exports = require('./{next}.js')");
        let imported = format!("import './{next}.mjs'; export default {link}");
        files.extend([
            file(&format!("chain/{link}.js"), required),
            file(&format!("chain/{link}.mjs"), imported),
        ]);
    }
    let (pool, shop) = (pool(), Shop::new(InMemory(files)));
    for (source, wanted) in [
        (
            "exports = () => require('large')",
            "RangeError: /node_modules/large/index.js has more than 16777216 bytes",
        ),
        ("exports = () => require('deep')", "its index"),
        ("exports = () => require('data/x.json')", "RangeError"),
        ("exports = () => require('chain/0.js')", "RangeError"),
        (
            "exports = async () => (await import('chain/0.mjs')).default",
            "RangeError",
        ),
    ] {
        let outcome = run(&pool, &shop, source).await;
        match outcome.result {
            Err(Failure::Threw { message, .. }) => {
                assert!(message.contains(wanted), "{source}: {message}");
            }
            Ok(Bson::String(text)) => assert_eq!(text, wanted, "{source}"),
            other => panic!("{source}: {other:?}"),
        }
        crate::serves(&pool, source).await;
    }
}
