//! What functions cost: `cargo xtask bench functions [PART…]`, next to a bare
//! axum server, a bare HTTP server of Node, and Parse Server's cloud functions.
//! Parts: `rates`, `clients`, `cold`, `memory`; without any, all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::Load;
use crate::peers::Peer;
use crate::subject::{Asked, Subject};
use crate::{WARM_UP, hello, median, rates_in};

/// Shorter than elsewhere: there are many rows.
const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 3;
/// Clients of the trivial call.
const CLIENTS: [usize; 4] = [1, 8, 64, 512];
/// Functions of the app whose first call is measured.
const FUNCTIONS: usize = 100;
/// Deployments of it.
const DEPLOYMENTS: usize = 15;
/// Apps that nobody uses.
const IDLE_APPS: u64 = 100;
/// Calls that wait at the same time.
const AWAITING: usize = 10_000;

type Error = Box<dyn std::error::Error>;

pub(crate) fn run(parts: &[&str]) -> Result<(), Error> {
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    if wanted("rates") || wanted("clients") {
        beside_peers(wanted("rates"), wanted("clients"))?;
    }
    if wanted("cold") {
        cold()?;
    }
    if wanted("memory") {
        memory()?;
    }
    Ok(())
}

/// A document of some 10 KB as Extended JSON, of the types that documents have.
fn document() -> Value {
    let item = |n: usize| {
        json!({
            "_id": { "$oid": format!("{n:024x}") }, "n": { "$numberInt": n.to_string() },
            "price": { "$numberDouble": "12.5" }, "at": { "$date": { "$numberLong": "1700000000000" } },
            "name": "a name of some length", "tags": ["red", "green"], "open": true,
        })
    };
    json!({ "items": (0..45).map(item).collect::<Vec<_>>() })
}

fn beside_peers(with_rates: bool, with_clients: bool) -> Result<(), Error> {
    let hello = hello::Hello::start()?;
    let asking = hello::Hello::asking()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mongod = runtime.block_on(testkit::mongod::Mongod::start());
    let mongod = mongod.ok_or("no mongod: Parse Server needs one")?;
    let mut subject = Subject::launch()?;
    subject.deploy(&app())?;
    let uri = mongod.uri();
    let on_mongod = format!("*={uri}");
    let mut beside = Subject::launch_with(&["--clusters", &on_mongod])?;
    beside.deploy(&app())?;
    let node = Peer::node()?;
    let parse = Peer::parse(&mongod.uri_of("parse"))?;
    let note = json!({ "text": "x".repeat(300), "n": 1, "tags": ["a", "b"] });
    let mut ids = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..3 {
        ids[0].push(subject.call_with("insert", std::slice::from_ref(&note))?);
        ids[1].push(beside.call_with("insert", std::slice::from_ref(&note))?);
        ids[2].push(parse.call("insert", std::slice::from_ref(&note))?);
    }
    let call = |subject: &Subject, name: &str, arguments: &[Value]| {
        let body = json!({ "name": name, "arguments": arguments });
        subject.load_of(&[Asked {
            token: subject.token(),
            method: "POST",
            path: "functions/call",
            body: &body,
        }])
    };
    if with_rates {
        for (title, name, arguments) in [
            ("trivial", "sum", vec![json!(1), json!(2)]),
            ("10 KB in and out", "echo", vec![document()]),
            ("100 KB result", "large", Vec::new()),
            ("computing: primes below 5000", "primes", vec![json!(5000)]),
        ] {
            println!("\n{title}");
            rates_in(
                &[
                    ("bare axum hello", hello.load()),
                    ("bare Node HTTP", node.load(name, &arguments)),
                    ("Parse Server", parse.load(name, &arguments)),
                    ("Backstitch", call(&subject, name, &arguments)),
                ],
                ROUNDS,
                ROUND,
            )?;
        }
        for (title, name, count) in [
            ("one findOne", "one", 1),
            ("three findOne at once", "three", 3),
        ] {
            println!("\n{title}");
            rates_in(
                &[
                    ("bare axum hello", hello.load()),
                    ("Parse Server (mongod)", parse.load(name, &ids[2][..count])),
                    (
                        "Backstitch on mongod",
                        call(&beside, name, &ids[1][..count]),
                    ),
                    (
                        "Backstitch embedded",
                        call(&subject, name, &ids[0][..count]),
                    ),
                ],
                ROUNDS,
                ROUND,
            )?;
        }
    }
    if with_clients {
        let sum = [json!(1), json!(2)];
        clients(&[
            ("bare axum hello", hello.load()),
            ("axum asking a process", asking.load()),
            ("bare Node HTTP", node.load("sum", &sum)),
            ("Parse Server", parse.load("sum", &sum)),
            ("Backstitch", call(&subject, "sum", &sum)),
        ])?;
    }
    Ok(())
}

/// The trivial call from few clients and many.
fn clients(loads: &[(&str, Load)]) -> Result<(), Error> {
    println!(
        "\ntrivial call by clients: requests/s, ratio to bare axum; p50 and p99 us, their ratio"
    );
    for count in CLIENTS {
        let mut base = 0.0;
        for (title, load) in loads {
            load.run(count, WARM_UP)?;
            let samples = (0..ROUNDS).map(|_| load.run(count, ROUND));
            let samples = samples.collect::<std::io::Result<Vec<_>>>()?;
            let rate = median(&samples, |sample| sample.per_second);
            let p50 = median(&samples, |sample| sample.p50_us);
            let p99 = median(&samples, |sample| sample.p99_us);
            if base == 0.0 {
                base = rate;
            }
            println!(
                "{count:>4} {title:<21} {rate:>9.0} {:>6.2} {p50:>9.0} {p99:>9.0} {:>6.1}",
                rate / base,
                p99 / p50
            );
        }
    }
    Ok(())
}

/// First calls after deployments of an app with many functions.
fn cold() -> Result<(), Error> {
    let mut subject = Subject::launch()?;
    let functions = |version: usize| {
        let functions = (0..FUNCTIONS).map(|n| {
            let helpers = "const f = (x) => { let s = 0; for (const c of String(x)) s += c.charCodeAt(0); return s; };\n";
            let body = format!("{helpers}exports = async (a) => ({{ version: {version}, n: {n}, s: f(a) }});");
            json!({ "name": format!("f{n}"), "private": false, "source": body })
        });
        let mut app = app();
        app["functions"] = functions.collect();
        app
    };
    let id = subject.deploy(&functions(0))?;
    let mut first = Vec::new();
    let mut second = Vec::new();
    let mut deploys = Vec::new();
    for version in 1..=DEPLOYMENTS {
        let start = Instant::now();
        subject.admin("PATCH", &format!("/{id}/push"), &functions(version))?;
        deploys.push(start.elapsed());
        let name = format!("f{}", version * 7 % FUNCTIONS);
        for times in [&mut first, &mut second] {
            let start = Instant::now();
            let answer = subject.call_with(&name, &[json!("a")])?;
            times.push(start.elapsed());
            if answer["version"] != json!({ "$numberInt": version.to_string() }) {
                return Err(format!("an old version answered: {answer}").into());
            }
        }
    }
    println!(
        "\n{DEPLOYMENTS} deployments of {FUNCTIONS} functions, medians in ms (each with a connection of its own)"
    );
    for (title, mut times) in [
        ("push of all functions", deploys),
        ("first call after it", first),
        ("second call", second),
    ] {
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{title:<34} {:>8.2}, at most {:.2}", ms(middle), ms(last));
    }
    Ok(())
}

/// Memory of apps that nobody uses and of calls that wait.
fn memory() -> Result<(), Error> {
    let mut subject = Subject::launch()?;
    subject.deploy(&app())?;
    subject.call_with("sum", &[json!(1), json!(2)])?;
    let before = subject.private_kib();
    for _ in 0..IDLE_APPS {
        subject.deploy(&app())?;
    }
    let after = subject.private_kib();
    println!(
        "\nmemory of an app that nobody uses: {} KiB (of {IDLE_APPS} apps with {} functions)",
        after.saturating_sub(before) / IDLE_APPS,
        app()["functions"].as_array().map_or(0, Vec::len),
    );
    let load = |ms: u64| {
        let body = json!({ "name": "wait", "arguments": [ms] });
        subject.load_of(&[Asked {
            token: subject.token(),
            method: "POST",
            path: "functions/call",
            body: &body,
        }])
    };
    for calls in [16, 1000, AWAITING] {
        let before = subject.private_kib();
        // Long enough for all of them to be waiting in the middle of it.
        let wait = Duration::from_secs(2 + calls as u64 / 300);
        let load = load(wait.as_millis() as u64);
        let most = std::thread::scope(|scope| -> Result<u64, Error> {
            let asked = scope.spawn(|| load.all_at_once(calls));
            let mut most = 0;
            while !asked.is_finished() {
                most = most.max(subject.private_kib());
                std::thread::park_timeout(Duration::from_millis(200));
            }
            asked.join().map_err(|_| "the load panicked")??;
            Ok(most)
        })?;
        println!(
            "{calls} calls that await: {} MiB at most in server and workers, {} KiB for one",
            most / 1024,
            most.saturating_sub(before) / calls as u64
        );
    }
    Ok(())
}

/// The bench app, as a push takes it.
fn app() -> Value {
    let notes =
        "const notes = context.services.get('mongodb-atlas').db('bench').collection('notes');";
    let function = |name: &str, source: String| json!({ "name": name, "private": false, "run_as_system": true, "source": source });
    let primes = "exports = (below) => { let count = 0; for (let n = 2; n < below; n++) { let prime = true; \
        for (let d = 2; d * d <= n; d++) { if (n % d === 0) { prime = false; break; } } if (prime) count++; } return count; }";
    json!({
        "auth_providers": [{ "name": "anon-user", "type": "anon-user", "disabled": false }],
        "data_sources": [{
            "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" },
        }],
        "functions": [
            function("sum", "exports = (a, b) => a + b;".to_owned()),
            function("echo", "exports = (value) => value;".to_owned()),
            function("large", "exports = () => 'x'.repeat(100 * 1024);".to_owned()),
            function("primes", primes.to_owned()),
            function("wait", "exports = (ms) => new Promise((resolve) => setTimeout(() => resolve(1), ms));".to_owned()),
            function("insert", format!("exports = async (note) => {{ {notes} return (await notes.insertOne(note)).insertedId; }};")),
            function("one", format!("exports = (id) => {{ {notes} return notes.findOne({{ _id: id }}); }};")),
            function("three", format!("exports = (...ids) => {{ {notes} return Promise.all(ids.map((id) => notes.findOne({{ _id: id }}))); }};")),
        ],
    })
}
