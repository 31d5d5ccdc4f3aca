//! The long mode, and the recorder.
//!
//! ```text
//! cargo run -p fuzz -- [operations=N] [from=N] [area=NAME,..] [shrink=N] [keep=FILE]
//!                      [codes=FILE]
//! cargo run -p fuzz -- record [operations=N] [from=N]
//! cargo run -p fuzz -- try=FILE [keep=FILE]   cases on both engines; those
//!                                             without a difference are kept
//! ```
//!
//! `shrink` classes of differences are made small and shown, and written as
//! cases to the file of `keep`; a case of each pair of codes that differ goes to
//! that of `codes`. `from` is the number of the first program, or the seed when there is an
//! `area`. It needs a mongod (`BACKSTITCH_MONGOD` or `PATH`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bson::{Bson, doc};
use fuzz::answer::Difference;
use fuzz::drive::{self, Theirs};
use fuzz::generate::{Area, Program};
use fuzz::shrink::shrink;
use fuzz::tally::{Divergence, Tally};
use fuzz::{case, tape};

/// How long differences are made small for.
const SHRINKING: std::time::Duration = std::time::Duration::from_secs(150);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| {
        arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let number =
        |name: &str, or: u64| named(name).map_or(or, |text| text.parse().expect("a number"));
    let (from, operations) = (number("from", 0), number("operations", 20_000) as usize);
    if arguments.iter().any(|argument| argument == "record") {
        let Some(theirs) = Theirs::start().await else {
            return nobody();
        };
        return record(&theirs, from, operations).await;
    }
    let start = std::time::Instant::now();
    let mut cases = Vec::new();
    let tally = if let Some(file) = named("try") {
        let text = std::fs::read_to_string(file).expect("a file of cases");
        cases = case::parse(&text).expect("cases");
        let cases = cases.clone();
        let operations: usize = cases.iter().map(|case| case.commands.len()).sum();
        let n = cases.len() as u64;
        drive::compare(operations, move |at| cases[(at % n) as usize].program(at)).await
    } else {
        let names = named("area").unwrap_or_default().split(',');
        let names = names.filter(|name| !name.is_empty());
        let areas: Vec<Area> = names
            .map(|name| Area::named(name).expect("an area"))
            .collect();
        drive::compare(operations, move |n| match areas.len() as u64 {
            0 => Program::numbered(from + n),
            turns => Program::of(areas[(n % turns) as usize], from + n / turns),
        })
        .await
    };
    let Some(tally) = tally else { return nobody() };
    let small = show(&tally, number("shrink", 30) as usize).await;
    if let Some(file) = named("keep") {
        let text = if cases.is_empty() {
            case::print(&small.iter().map(Divergence::case).collect::<Vec<_>>())
        } else {
            let differs: BTreeSet<u64> = tally.different.iter().map(|found| found.seed).collect();
            let equal = (0..).zip(cases).filter(|(n, _)| !differs.contains(n));
            case::print(&equal.map(|(_, case)| case).collect::<Vec<_>>())
        };
        std::fs::write(file, text).expect("the cases are written");
    }
    if let Some(file) = named("codes") {
        std::fs::write(file, case::print(&codes(&tally))).expect("the cases are written");
    }
    println!("{tally}\n  in {:.0?}", start.elapsed());
    if tally.different.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn nobody() -> ExitCode {
    eprintln!("no mongod: name one in BACKSTITCH_MONGOD");
    ExitCode::FAILURE
}

/// Prints the differences by class, one small case of each, and gives those.
async fn show(tally: &Tally, most: usize) -> Vec<Divergence> {
    let mut kept = Vec::new();
    let Some(mut theirs) = Theirs::start().await else {
        return kept;
    };
    let mut classes: BTreeMap<String, Vec<&Divergence>> = BTreeMap::new();
    for found in &tally.different {
        classes.entry(class(found)).or_default().push(found);
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, found)| std::cmp::Reverse(found.len()));
    let ours = drive::ours("shrink");
    let mut shown = BTreeSet::new();
    let start = std::time::Instant::now();
    for (name, found) in &classes {
        println!("{} x {name}", found.len());
        let size = |found: &&&Divergence| found.case.last().map(|c| c.to_string().len());
        let Some(shortest) = found.iter().min_by_key(size) else {
            continue;
        };
        if kept.len() >= most {
            println!("{shortest}\n");
        }
        // That something is not there needs no proof.
        if shortest.how == Difference::Unsupported
            || kept.len() >= most
            || start.elapsed() > SHRINKING
        {
            continue;
        }
        let side = theirs.side("shrink");
        let small = shrink(&ours, &side, shortest).await;
        if side.run(&doc! { "ping": 1 }).await.is_err()
            && let Some(again) = Theirs::start().await
        {
            theirs = again;
        }
        if shown.insert(class(&small)) {
            println!("{small}\n");
            kept.push(small);
        }
    }
    println!("{} classes", classes.len());
    for ((ours, theirs), n) in &tally.codes {
        let example = tally.examples.get(&(*ours, *theirs));
        let last = example.and_then(|case| case.last()).cloned();
        let last = Bson::Document(last.unwrap_or_default()).into_relaxed_extjson();
        let text = last.to_string().chars().take(1500).collect::<String>();
        println!("{n} codes {ours} for {theirs}: {text}");
    }
    kept
}

/// A case of each pair of codes that differ.
fn codes(tally: &Tally) -> Vec<case::Case> {
    let examples = tally.examples.iter();
    examples
        .map(|((ours, theirs), commands)| case::Case {
            why: format!("{ours} for {theirs}"),
            commands: commands.clone(),
        })
        .collect()
}

/// How it differs: by the words of a refusal, or by the operators of the
/// command.
fn class(found: &Divergence) -> String {
    if let Some((_, refusal)) = found.text.split_once("refuse:") {
        let first = refusal.lines().next().unwrap_or_default();
        let words: Vec<&str> = first.split_whitespace().take(9).collect();
        return format!("{:?} {}", found.how, words.join(" "));
    }
    let mut names = BTreeSet::new();
    if let Some(command) = found.case.last() {
        operators(&Bson::Document(command.clone()), &mut names);
    }
    format!("{:?} {names:?}", found.how)
}

fn operators(value: &Bson, into: &mut BTreeSet<String>) {
    match value {
        Bson::Document(document) => {
            for (name, value) in document {
                if name.starts_with('$') {
                    into.insert(name.clone());
                }
                operators(value, into);
            }
        }
        Bson::Array(values) => values.iter().for_each(|value| operators(value, into)),
        _ => {}
    }
}

async fn record(theirs: &Theirs, from: u64, operations: usize) -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = case::load(&folder.join("cases"));
    let cases: Vec<Program> = (0..).zip(&cases).map(|(n, case)| case.program(n)).collect();
    let (mut n, mut numbered) = (0, Vec::new());
    for number in from.. {
        let program = Program::numbered(number);
        n += program.commands.len();
        numbered.push(program);
        if n >= operations {
            break;
        }
    }
    for (name, programs) in [("cases", cases), ("programs", numbered)] {
        let recorded = drive::record_all(theirs, programs).await;
        let path: PathBuf = folder.join("tapes").join(format!("{name}.tape.gz"));
        tape::write(&path, &recorded).expect("the tape is written");
        println!("{} programs in {}", recorded.len(), path.display());
    }
    ExitCode::SUCCESS
}
