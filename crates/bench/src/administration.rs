//! Administration of large apps: `cargo xtask bench admin`. How long an edit
//! takes until the next call answers with it, a push, a pull and an export, for
//! apps of more and more functions; and a list of many apps.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::subject::Subject;

type Failed = Box<dyn std::error::Error + Send + Sync>;

const COLLECTIONS: usize = 100;
/// Functions of the apps; the aims are for the first.
const FUNCTIONS: [usize; 4] = [500, 1000, 2500, 5000];
const EDITS: usize = 200;
/// How often a whole app is pushed and pulled.
const TIMES: usize = 9;
const APPS: usize = 1000;
/// Calls until an edit is seen; one is what it should take.
const CALLS_MAX: usize = 1000;

/// Prints the table.
pub(crate) fn run() -> Result<(), Failed> {
    measure().map_err(|error| error.to_string().into())
}

fn measure() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "apps of {COLLECTIONS} collections; medians in ms, of {EDITS} edits and {TIMES} of the rest"
    );
    println!(
        "{:>9} {:>8} {:>8} {:>8} {:>9} {:>11} {:>8} {:>8} {:>9}",
        "functions", "edit", "p99", "cpu", "new push", "same again", "a push", "pull", "export"
    );
    for functions in FUNCTIONS {
        let mut subject = Subject::launch()?;
        // The first answers are slower for everybody.
        subject.deploy(&app(1, 0))?;
        subject.call("f0")?;
        let start = Instant::now();
        let id = subject.deploy(&app(functions, 0))?;
        let new = start.elapsed();
        let (edits, cpu) = edits(&subject, &id)?;
        let again = times(|_| {
            subject
                .admin("PATCH", &format!("/{id}/push"), &app(functions, 1))
                .map(drop)
        })?;
        let push = times(|n| {
            let configuration = app(functions, n + 2);
            subject
                .admin("PATCH", &format!("/{id}/push"), &configuration)
                .map(drop)
        })?;
        let get = |path: &str| {
            times(|_| {
                subject
                    .admin("GET", &format!("/{id}/{path}"), &Value::Null)
                    .map(drop)
            })
        };
        println!(
            "{functions:>9} {:>8.1} {:>8.1} {:>8.1} {:>9.0} {:>11.0} {:>8.0} {:>8.0} {:>9.0}",
            ms(part(&edits, 50)),
            ms(part(&edits, 99)),
            ms(cpu) / f64::from(u32::try_from(EDITS)?),
            ms(new),
            ms(part(&again, 50)),
            ms(part(&push, 50)),
            ms(part(&get("pull")?, 50)),
            ms(part(&get("export")?, 50)),
        );
    }
    list()
}

/// Edits of one function, each until a call answers with it, and what the server
/// computed for them.
fn edits(
    subject: &Subject,
    app: &str,
) -> Result<(Vec<Duration>, Duration), Box<dyn std::error::Error>> {
    let all = subject.admin("GET", &format!("/{app}/functions"), &Value::Null)?;
    let all = all.as_array().ok_or("no list of functions")?;
    let function = all.iter().find(|function| function["name"] == "f0");
    let id = function.and_then(|function| function["_id"].as_str());
    let path = format!("/{app}/functions/{}", id.ok_or("no function")?);
    let cpu = subject.cpu();
    let mut taken = Vec::with_capacity(EDITS);
    for n in 1..=EDITS {
        let edit = json!({ "name": "f0", "private": false, "source": source(0, n) });
        let answer = json!(n.to_string());
        let start = Instant::now();
        subject.admin("PUT", &path, &edit)?;
        let mut calls = 0;
        while subject.call("f0")?["$numberInt"] != answer {
            calls += 1;
            if calls > CALLS_MAX {
                return Err("an edit is not seen".into());
            }
        }
        taken.push(start.elapsed());
    }
    taken.sort();
    Ok((taken, subject.cpu().saturating_sub(cpu)))
}

/// A list of a thousand apps.
fn list() -> Result<(), Box<dyn std::error::Error>> {
    let subject = Subject::launch()?;
    let start = Instant::now();
    for n in 0..APPS {
        subject.admin("POST", "", &json!({ "name": format!("app{n}") }))?;
    }
    let made = start.elapsed();
    let listed = times(|_| {
        let all = subject.admin("GET", "", &Value::Null)?;
        match all.as_array().map(Vec::len) {
            Some(APPS) => Ok(()),
            other => Err(format!("{other:?} apps are listed").into()),
        }
    })?;
    println!(
        "{APPS} apps: made in {:.1} ms each, listed in {:.1} ms; the server has {} MiB resident",
        ms(made) / f64::from(u32::try_from(APPS)?),
        ms(part(&listed, 50)),
        subject.resident_mib(),
    );
    Ok(())
}

/// How long something takes, sorted.
fn times(
    mut what: impl FnMut(usize) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut taken = Vec::with_capacity(TIMES);
    for n in 0..TIMES {
        let start = Instant::now();
        what(n)?;
        taken.push(start.elapsed());
    }
    taken.sort();
    Ok(taken)
}

/// A percentile of sorted times.
fn part(sorted: &[Duration], percent: usize) -> Duration {
    let at = sorted.len() * percent / 100;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A function of the size that functions have, which answers `n`.
fn source(function: usize, n: usize) -> String {
    let helper = format!(
        "  if (order.total > {function}) {{\n    return {{ ok: false, why: 'too much' }};\n  }}\n  \
         return {{ ok: true }};\n}}\n"
    );
    let helpers: Vec<String> = (0..8)
        .map(|n| format!("function check{n}(order) {{\n{helper}"))
        .collect();
    let helpers = helpers.concat();
    format!("{helpers}exports = () => {n};\n")
}

/// The configuration of an app, in which one function answers `n`.
fn app(functions: usize, n: usize) -> Value {
    let functions: Vec<Value> = (0..functions)
        .map(|function| {
            let n = if function == 0 { n } else { function };
            json!({ "name": format!("f{function}"), "private": false, "source": source(function, n) })
        })
        .collect();
    let collections = (0..COLLECTIONS).map(|collection| format!("c{collection}"));
    let rules: Vec<Value> = collections
        .clone()
        .map(|collection| {
            json!({ "database": "bench", "collection": collection, "roles": [{
                "name": "owner", "apply_when": { "owner_id": "%%user.id" },
                "insert": true, "delete": true, "search": true, "read": true, "write": true,
            }]})
        })
        .collect();
    let schemas: Vec<Value> = collections
        .map(|collection| {
            json!({
                "metadata": {
                    "data_source": "mongodb-atlas", "database": "bench", "collection": collection,
                },
                "schema": {
                    "title": collection, "bsonType": "object",
                    "properties": {
                        "_id": { "bsonType": "objectId" },
                        "owner_id": { "bsonType": "string" },
                        "total": { "bsonType": "double" },
                    },
                },
            })
        })
        .collect();
    json!({
        "auth_providers": [{ "name": "anon-user", "type": "anon-user", "disabled": false }],
        "data_sources": [{
            "name": "mongodb-atlas", "type": "mongodb-atlas",
            "config": { "clusterName": "Cluster0" }, "rules": rules,
        }],
        "schemas": schemas,
        "functions": functions,
    })
}
