//! Side-by-side measurements over HTTP: `cargo xtask bench [NAME…]`.
//!
//! Starts the release binary on the to-do example and a bare axum "hello" in a
//! process of its own, loads each in turns from 32 keep-alive connections, and
//! prints medians, the ratio to the bare server, and what the server computed
//! for a request; or the two engines at the waist; or administration of large
//! apps; or what rules cost; or logging in; or functions beside their peers. Figures are for reading,
//! not for asserting: the machine may be busy.

mod access;
mod administration;
mod functions;
mod hello;
mod identity;
mod load;
mod peers;
mod process;
mod subject;
mod waist;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use load::{Load, Sample};
use subject::Subject;

/// What the server allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(700);
const ROUND: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    match words.as_slice() {
        [hello::BARE] => return hello::serve(false),
        [hello::ASKING] => return hello::serve(true),
        [hello::ASKED] => return hello::answer(),
        _ => {}
    }
    let done = match words.as_slice() {
        ["admin"] => administration::run(),
        ["functions", parts @ ..] => {
            functions::run(parts).map_err(|error| error.to_string().into())
        }
        ["identity"] => identity::run().map_err(|error| error.to_string().into()),
        ["rules", rows @ ..] => access::run(rows),
        ["waist", rows @ ..] => waist::run(rows, false),
        ["waist-growth"] => waist::run(&[], true),
        _ => run(&names).map_err(|error| error.to_string().into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let hello = hello::Hello::start()?;
    let asking = hello::Hello::asking()?;
    let subject = Subject::start()?;
    let mut loads = vec![
        ("bare axum hello", hello.load()),
        ("axum asking another process", asking.load()),
    ];
    for (name, title, load) in subject.loads()? {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            loads.push((title, load));
        }
    }
    rates(&loads)?;
    println!(
        "memory: server {} MiB resident, its workers {} MiB",
        subject.resident_mib(),
        subject.workers_resident_mib(),
    );
    Ok(())
}

/// Measures loads in turns and prints their rates next to the first one's.
fn rates(loads: &[(&str, Load)]) -> io::Result<()> {
    rates_in(loads, ROUNDS, ROUND)
}

fn rates_in(loads: &[(&str, Load)], rounds: usize, round: Duration) -> io::Result<()> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); loads.len()];
    for (_, load) in loads {
        load.run(CONNECTIONS, WARM_UP)?;
    }
    // In turns, so that a slow moment of the machine meets every load.
    for _ in 0..rounds {
        for ((_, load), samples) in loads.iter().zip(&mut samples) {
            samples.push(load.run(CONNECTIONS, round)?);
        }
    }
    println!(
        "{CONNECTIONS} connections, {rounds} rounds of {} s, medians",
        round.as_secs()
    );
    println!(
        "{:<34} {:>10} {:>8} {:>9} {:>9} {:>9}",
        "", "requests/s", "ratio", "p50 us", "p99 us", "cpu us"
    );
    let base = median(&samples[0], |sample| sample.per_second);
    for ((title, _), samples) in loads.iter().zip(&samples) {
        let rate = median(samples, |sample| sample.per_second);
        println!(
            "{title:<34} {rate:>10.0} {:>8.2} {:>9.0} {:>9.0} {:>9.1}",
            rate / base,
            median(samples, |sample| sample.p50_us),
            median(samples, |sample| sample.p99_us),
            median(samples, |sample| sample.cpu_us),
        );
    }
    Ok(())
}

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
