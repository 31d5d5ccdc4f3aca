//! The laws of decisions on random rules: the crate decides what the naive
//! oracle decides, a query that is pushed down hides nothing that is visible
//! and is exact where it says so, and granting more never shows less.
//!
//! `BACKSTITCH_TEST_RULES=100000` for that many rule sets instead of a few.

use bson::{Bson, Document, RawBson, RawDocumentBuf, doc};
use mql::Matcher;
use rules::{Decided, Decider, Readable, RuleSet, Write};
use testkit::given::Given;

use crate::oracle::{self, Asker};
use crate::random::{self, Dice, Tally};

/// What the crate takes for the oracle's asker.
fn request(asker: &Asker) -> Given {
    Given {
        user: raw(&asker.user),
        values: raw(&asker.values),
        environment: raw(&asker.environment),
        request: raw(&asker.request),
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// Asks until no function's answer is missing.
fn decided<'a, T>(decider: &mut Decider<'a>, decide: impl Fn(&mut Decider<'a>) -> Decided<T>) -> T {
    loop {
        let needed = match decide(decider) {
            Ok(decision) => return decision,
            Err(needed) => needed,
        };
        let arguments: Vec<Option<Bson>> = needed
            .arguments
            .into_iter()
            .map(|argument| Bson::try_from(argument.unwrap()).unwrap())
            .map(|argument| (argument != Bson::Undefined).then_some(argument))
            .collect();
        let answer = random::function(&needed.function, &arguments);
        decider.answer(*needed, answer.map(|a| RawBson::try_from(a).unwrap()));
    }
}

fn shown(readable: Readable, document: &Document) -> Option<Document> {
    match readable {
        Readable::Hidden => None,
        Readable::Whole => Some(document.clone()),
        Readable::Masked(masked) => Some(Document::try_from(&masked).unwrap()),
    }
}

/// NaN is not equal to itself, its text is.
fn same(a: Option<&Document>, b: Option<&Document>) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

#[test]
fn decisions_are_the_oracle_s() {
    let mut tally = Tally::default();
    for seed in 0..random::cases(1000) {
        let dice = &mut Dice::new(seed);
        let roles = random::roles(dice);
        let asker = random::asker(dice);
        let rules = RuleSet::parse(&doc! { "roles": roles.clone() })
            .unwrap_or_else(|issues| panic!("{seed}: {roles:?}: {issues:?}"));
        let request = request(&asker);
        let mut decider = Decider::new(&rules, &request);
        let narrowed = decider.narrowed();
        let query = narrowed
            .query
            .as_ref()
            .map(|query| Matcher::parse(query).unwrap());
        for id in 0..6 {
            let document = random::document(dice, id, &mut 0);
            let bytes = raw(&document);
            let say = || {
                format!(
                    "seed {seed}: {} asks {} of {document} with {narrowed:?}",
                    asker.user,
                    Bson::Array(roles.iter().cloned().map(Bson::Document).collect())
                )
            };
            let expected = oracle::read(&roles, &asker, &document);
            let found = shown(decided(&mut decider, |d| d.read(&bytes)), &document);
            assert!(
                same(found.as_ref(), expected.as_ref()),
                "{found:?} not {expected:?}: {}",
                say()
            );
            let whole = expected
                .as_ref()
                .is_some_and(|shown| shown.len() == document.len());
            tally.count(match expected {
                None => "hidden",
                Some(_) if whole => "whole",
                Some(_) => "masked",
            });
            let matched = query
                .as_ref()
                .is_none_or(|query| query.matches(&bytes).unwrap());
            assert!(
                matched || expected.is_none(),
                "hidden by the query: {}",
                say()
            );
            if narrowed.exact {
                tally.count(if query.is_some() { "exact" } else { "always" });
                let all = matched.then(|| document.clone());
                assert!(
                    same(all.as_ref(), expected.as_ref()),
                    "not exact: {}",
                    say()
                );
            } else if query.is_some() {
                tally.count("narrowed");
            }
            let after = random::changed(dice, &document);
            let after_bytes = raw(&after);
            for (write, real) in [
                (oracle::Write::Insert(&document), Write::Insert(&bytes)),
                (
                    oracle::Write::Update(&document, &after),
                    Write::Update(&bytes, &after_bytes),
                ),
                (oracle::Write::Delete(&document), Write::Delete(&bytes)),
            ] {
                let expected = oracle::may_write(&roles, &asker, &write);
                let found = decided(&mut decider, |d| d.write(real));
                assert_eq!(found.is_ok(), expected, "{real:?} is {found:?}: {}", say());
                tally.count(if expected { "written" } else { "refused" });
            }
        }
    }
    tally.met(&[
        "hidden", "whole", "masked", "exact", "always", "narrowed", "written", "refused",
    ]);
}

/// One permission that is made true shows no less.
#[test]
fn granting_more_never_shows_less() {
    let mut grown = 0;
    for seed in 0..random::cases(500) {
        let dice = &mut Dice::new(seed);
        let roles = random::roles(dice);
        let asker = random::asker(dice);
        let mut granted = roles.clone();
        let index = dice.below(granted.len());
        grant(&mut granted[index], dice);
        for id in 0..4 {
            let document = random::document(dice, id, &mut 0);
            let bytes = raw(&document);
            let read = |roles: &[Document]| {
                let rules = RuleSet::parse(&doc! { "roles": roles.to_vec() }).unwrap();
                let request = request(&asker);
                let mut decider = Decider::new(&rules, &request);
                shown(decided(&mut decider, |d| d.read(&bytes)), &document)
            };
            let (less, more) = (read(&roles), read(&granted));
            assert!(
                contains(more.as_ref(), less.as_ref()),
                "seed {seed}: {less:?} but {more:?} with {granted:?} for {roles:?}"
            );
            grown += u64::from(!same(less.as_ref(), more.as_ref()));
        }
    }
    assert!(grown > 0);
}

/// Grants one thing: never by `apply_when`, which takes documents from others.
fn grant(role: &mut Document, dice: &mut Dice) {
    match dice.below(4) {
        0 => {
            role.insert("read", true);
        }
        1 => {
            role.insert("write", true);
        }
        2 => {
            role.remove("document_filters");
        }
        _ => match role.get_document_mut("fields") {
            Ok(fields) => grant_field(fields, dice),
            Err(_) => {
                role.insert("additional_fields", doc! { "read": true });
            }
        },
    }
}

fn grant_field(fields: &mut Document, dice: &mut Dice) {
    let at = dice.below(fields.len());
    let Some((_, Bson::Document(rule))) = fields.iter_mut().nth(at) else {
        return;
    };
    match rule.get_document_mut("fields") {
        Ok(inner) if dice.one_in(2) => grant_field(inner, dice),
        _ => {
            rule.insert("read", true);
        }
    }
}

fn contains(more: Option<&Document>, less: Option<&Document>) -> bool {
    let Some(less) = less else { return true };
    let Some(more) = more else { return false };
    less.iter()
        .all(|(name, part)| more.get(name).is_some_and(|all| within(all, part)))
}

/// Whether a masked value is part of a value that shows more.
fn within(all: &Bson, part: &Bson) -> bool {
    match (all, part) {
        (Bson::Document(all), Bson::Document(part)) => contains(Some(all), Some(part)),
        // Masked elements may be gone.
        (Bson::Array(all), Bson::Array(part)) => part
            .iter()
            .all(|part| all.iter().any(|one| within(one, part))),
        (all, part) => format!("{all:?}") == format!("{part:?}"),
    }
}
