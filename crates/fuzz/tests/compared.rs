//! With a mongod, and with its tapes.

use fuzz::drive::{self, Theirs};
use fuzz::generate::Program;
use fuzz::tally::Tally;
use fuzz::{case, tape};

use super::{folder, from_environment};

/// Differences that are still open, per thousand operations, and equal codes in
/// percent. The goal is 0 and 98; these only get better.
const OPEN_PER_THOUSAND: usize = 1;
const EQUAL_CODES: f64 = 99.0;

pub(crate) fn judge(tally: &Tally, open_per_thousand: usize) {
    println!("{tally}");
    let open = &tally.different;
    let found = open.iter().take(20);
    let shown: Vec<String> = found.map(ToString::to_string).collect();
    assert!(
        open.len() * 1000 <= tally.ran * open_per_thousand,
        "{} differences, among them:\n{}",
        open.len(),
        shown.join("\n\n")
    );
    // A few cases are no measure.
    if tally.refused < 1000 {
        return;
    }
    let other: usize = tally.codes.values().sum();
    let equal = 100.0 * (1.0 - other as f64 / tally.refused as f64);
    assert!(
        equal >= EQUAL_CODES,
        "{equal:.2} % of codes: {:?}",
        tally.codes
    );
    let masked: usize = tally.masked.values().sum();
    assert!(masked * 50 <= tally.ran, "more than 2 % is masked");
}

/// `BACKSTITCH_FUZZ_OPERATIONS` asks for more than the test's own, and
/// `BACKSTITCH_FUZZ_FROM` for others.
#[tokio::test(flavor = "multi_thread")]
async fn random_commands_have_equal_answers() {
    let operations = from_environment("BACKSTITCH_FUZZ_OPERATIONS", 20_000) as usize;
    let from = from_environment("BACKSTITCH_FUZZ_FROM", 0);
    let tally = drive::compare(operations, move |n| Program::numbered(from + n)).await;
    let Some(tally) = tally else {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
        return;
    };
    assert!(tally.ran >= operations);
    judge(&tally, OPEN_PER_THOUSAND);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_cases_have_equal_answers() {
    let Some(theirs) = Theirs::start().await else {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
        return;
    };
    let cases = case::load(&folder("cases"));
    let programs = (0..).zip(&cases).map(|(n, case)| case.program(n)).collect();
    let recorded = drive::record_all(&theirs, programs).await;
    judge(&drive::replay_all(recorded).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tapes_have_equal_answers() {
    for (name, open) in [("cases", 0), ("programs", OPEN_PER_THOUSAND)] {
        let path = folder("tapes").join(format!("{name}.tape.gz"));
        let recorded = tape::read(&path).expect("a tape");
        judge(&drive::replay_all(recorded).await, open);
    }
}
