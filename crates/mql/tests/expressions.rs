//! Tapes of expressions: every operator on a table of operands, with what a
//! mongod 6.0.5 answered. `engine_embedded`'s tests ask a mongod again where
//! there is one.
//!
//! A line is `{e: expression, cases: [{d: document, r: result} | {d: document,
//! c: code, m: text}]}` in canonical extended JSON; without `r` and `c` the
//! result is missing. `BACKSTITCH_TAPES` names another folder of tapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use bson::{Bson, Decimal128, Document, RawDocumentBuf, doc};
use mql::expression::{Expression, Scope};
use mql::{MqlError, compare_bson};

/// Differences that are shown.
const SHOWN_MAX: usize = 60;

#[test]
fn expressions_answer_as_mongodb() {
    let folder = std::env::var_os("BACKSTITCH_TAPES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tapes")),
        PathBuf::from,
    );
    let mut tally = Tally::default();
    for entry in std::fs::read_dir(folder).expect("a folder of tapes") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "tape")
        {
            let tape = std::fs::read_to_string(&path).expect("a tape");
            tape.lines().for_each(|line| tally.replay(line));
        }
    }
    println!(
        "{} cases, {} of them errors, {} of those with another text",
        tally.cases, tally.errors, tally.other_text
    );
    if std::env::var_os("BACKSTITCH_TEXTS").is_some() {
        tally.texts.iter().for_each(|text| println!("{text}"));
    }
    assert!(tally.cases > 0, "no tape");
    assert!(
        tally.different == 0,
        "{} differences ({:?}):\n{}",
        tally.different,
        tally.by_operator,
        tally.shown
    );
}

#[derive(Default)]
struct Tally {
    cases: usize,
    errors: usize,
    other_text: usize,
    different: usize,
    by_operator: BTreeMap<String, usize>,
    shown: String,
    texts: std::collections::BTreeSet<String>,
}

impl Tally {
    fn replay(&mut self, line: &str) {
        let group = kit::ejson::parse_document(line.as_bytes()).expect("a line of a tape");
        let expression = group.get("e").expect("an expression");
        let parsed = Expression::parse_bson(expression);
        let operator = match expression {
            Bson::Document(document) => document.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let inexact = INEXACT.contains(&operator.as_str());
        let mut shown = 0;
        for case in group.get_array("cases").expect("cases") {
            let case = case.as_document().expect("a case");
            let document = case.get_document("d").cloned().unwrap_or_default();
            let raw = RawDocumentBuf::try_from(&document).expect("a document");
            let ours = parsed
                .clone()
                .and_then(|parsed| parsed.evaluate(&Scope::of(&raw)));
            self.cases += 1;
            let Some(difference) = self.compare(&ours, case, inexact) else {
                continue;
            };
            self.different += 1;
            shown += 1;
            *self.by_operator.entry(operator.clone()).or_default() += 1;
            if self.by_operator[&operator] <= SHOWN_MAX / 4
                && shown < 8
                && self.shown.len() < 60_000
            {
                let _ = writeln!(self.shown, "{expression} on {document}: {difference}");
            }
        }
    }

    fn compare(
        &mut self,
        ours: &Result<Option<Bson>, MqlError>,
        case: &Document,
        inexact: bool,
    ) -> Option<String> {
        if let Ok(code) = case.get_i32("c") {
            self.errors += 1;
            let text = case.get_str("m").unwrap_or_default();
            return match ours {
                Err(error) if error.code == code => {
                    if error.message != text {
                        self.other_text += 1;
                        self.texts
                            .insert(format!("{code}: {text}\n    ours: {}", error.message));
                    }
                    None
                }
                Err(error) => Some(format!("{error:?}, not {code}: {text}")),
                Ok(value) => Some(format!("{value:?}, not {code}: {text}")),
            };
        }
        let theirs = case.get("r");
        match ours {
            Ok(ours) if same(ours.as_ref(), theirs, inexact) => None,
            Ok(ours) => Some(format!("{}, not {}", shown(ours.as_ref()), shown(theirs))),
            Err(error) => Some(format!("{error:?}, not {}", shown(theirs))),
        }
    }
}

/// Functions whose decimals are right to a few of the last of 34 digits, in
/// MongoDB as here.
const INEXACT: &[&str] = &[
    "$pow",
    "$log",
    "$log10",
    "$sin",
    "$cos",
    "$tan",
    "$asin",
    "$acos",
    "$atan",
    "$atan2",
    "$sinh",
    "$cosh",
    "$tanh",
    "$asinh",
    "$acosh",
    "$atanh",
    "$degreesToRadians",
    "$radiansToDegrees",
];

/// The first 31 digits are those that MongoDB answers.
fn near(a: Decimal128, b: Decimal128) -> bool {
    let by = |operator: &str, a: Bson, b: Bson| {
        let expression = Expression::parse_bson(&Bson::Document(doc! { operator: [a, b] }));
        let empty = RawDocumentBuf::new();
        let value = expression.and_then(|parsed| parsed.evaluate(&Scope::of(&empty)));
        value.expect("numbers").expect("a number")
    };
    let (a, b) = (Bson::Decimal128(a), Bson::Decimal128(b));
    if compare_bson(&a, &b).is_eq() {
        return true;
    }
    let absolute = |n: Bson| by("$max", n.clone(), by("$multiply", n, Bson::Int32(-1)));
    let apart = absolute(by("$subtract", a.clone(), b));
    let step = Bson::Decimal128("1E-31".parse().expect("a decimal"));
    compare_bson(&apart, &by("$multiply", absolute(a), step)).is_lt()
}

/// Equal in type and bits; NaN is NaN, and a double may be two steps away,
/// which is what libraries of functions differ by.
fn same(ours: Option<&Bson>, theirs: Option<&Bson>, inexact: bool) -> bool {
    match (ours, theirs) {
        (Some(Bson::Double(a)), Some(Bson::Double(b))) => {
            a.to_bits() == b.to_bits()
                || (a.is_nan() && b.is_nan())
                || (a.signum() == b.signum() && a.to_bits().abs_diff(b.to_bits()) <= 2)
        }
        (Some(Bson::Array(a)), Some(Bson::Array(b))) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| same(Some(a), Some(b), inexact))
        }
        (Some(Bson::Document(a)), Some(Bson::Document(b))) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((n, a), (m, b))| n == m && same(Some(a), Some(b), inexact))
        }
        (Some(Bson::Decimal128(a)), Some(Bson::Decimal128(b))) if inexact => near(*a, *b),
        (Some(a), Some(b)) => {
            a == b || (a.element_type() == b.element_type() && nan(a) && compare_bson(a, b).is_eq())
        }
        (None, None) => true,
        _ => false,
    }
}

fn shown(value: Option<&Bson>) -> String {
    match value {
        Some(Bson::Decimal128(n)) => format!("decimal {n}"),
        other => format!("{other:?}"),
    }
}

fn nan(value: &Bson) -> bool {
    matches!(value, Bson::Decimal128(n) if n.to_string() == "NaN")
}

/// `$rand` is between zero and one, changes, and follows from its seed.
#[test]
fn random_numbers_follow_from_a_seed() {
    let parse = || Expression::parse_bson(&Bson::Document(doc! { "$rand": {} })).expect("parses");
    let empty = RawDocumentBuf::new();
    let scope = Scope::of(&empty);
    assert_eq!(parse().evaluate(&scope).map_err(|e| e.code), Err(238));
    let numbers = |seed: u64| {
        let mut expression = parse();
        expression.seed(seed);
        let next = || match expression.evaluate(&scope) {
            Ok(Some(Bson::Double(n))) => n,
            other => panic!("{other:?}"),
        };
        (0..1000).map(|_| next()).collect::<Vec<f64>>()
    };
    let first = numbers(7);
    assert_eq!(first, numbers(7));
    assert_ne!(first, numbers(8));
    assert!(first.iter().all(|n| (0.0..1.0).contains(n)));
    let mean = first.iter().sum::<f64>() / 1000.0;
    assert!((0.45..0.55).contains(&mean), "{mean}");
}
