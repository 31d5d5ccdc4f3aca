//! Where hidden fields are protected, two collections that differ in hidden
//! fields only, which no rule looks at, are one to who does not see them: the
//! same request has the same answer or the same error, leaves the same to be
//! seen, and leaves what is hidden alone.
//!
//! `BACKSTITCH_TEST_RULES=100000` for that many requests instead of a few.

use std::sync::Arc;

use app::data::Data;
use bson::{Bson, Document, doc};
use kit::SystemClock;

use super::random::{self, Dice, Tally};
use super::requests::{self, Request};
use super::{Case, oracle, text};

/// Fields that rules show or hide, and never look at.
const UNSEEN: &[&str] = &["b", "h", "k"];

/// Roles that go by `o`, `a` and the user, and show some of the fields.
fn roles(dice: &mut Dice) -> Vec<Document> {
    let count = 1 + dice.below(3);
    (0..count).map(|index| role(dice, index)).collect()
}

fn when(dice: &mut Dice) -> Bson {
    match dice.below(6) {
        0 => bson::bson!({ "o": "%%user.id" }),
        1 => bson::bson!({ "a": dice.below(3) as i32 }),
        2 => bson::bson!({ "%%user.type": "normal" }),
        3 => {
            bson::bson!({ "%%true": { "%function": { "name": "isOne", "arguments": ["%%root.a"] } } })
        }
        4 => bson::bson!({ "o": { "%in": ["ann", "bob"] } }),
        _ => bson::bson!({}),
    }
}

fn permission(of: &mut Document, name: &str, dice: &mut Dice) {
    let value = match dice.below(8) {
        0 | 1 => return,
        2..=5 => Bson::Boolean(true),
        6 => Bson::Boolean(false),
        _ => when(dice),
    };
    of.insert(name, value);
}

fn role(dice: &mut Dice, index: usize) -> Document {
    let mut role = doc! { "name": format!("r{index}"), "apply_when": when(dice) };
    if dice.one_in(5) {
        for name in ["read", "write", "delete"] {
            permission(&mut role, name, dice);
        }
        return role;
    }
    role.insert("fields", fields(dice, 0));
    if dice.one_in(3) {
        let mut additional = Document::new();
        permission(&mut additional, "read", dice);
        permission(&mut additional, "write", dice);
        role.insert("additional_fields", additional);
    }
    role
}

fn fields(dice: &mut Dice, depth: usize) -> Document {
    let mut rules = Document::new();
    if depth == 0 && !dice.one_in(4) {
        rules.insert("_id", doc! { "read": true });
    }
    for name in ["o", "a", "b", "h", "d", "t"] {
        if dice.one_in(3) {
            continue;
        }
        let mut rule = Document::new();
        if depth < 2 && matches!(name, "d" | "t") && !dice.one_in(3) {
            rule.insert("fields", fields(dice, depth + 1));
        } else {
            permission(&mut rule, "read", dice);
            permission(&mut rule, "write", dice);
        }
        rules.insert(name, rule);
    }
    rules
}

fn document(dice: &mut Dice, id: i32) -> Document {
    let mut document = random::document(dice, id, &mut 0);
    document.insert("a", dice.below(3) as i32);
    for name in UNSEEN {
        if dice.one_in(2) {
            document.insert(*name, random::value(dice, 1));
        }
    }
    for name in ["d", "t"] {
        if dice.one_in(2) {
            let one = |dice: &mut Dice| {
                let mut inner = doc! { "a": dice.below(3) as i32 };
                let name = dice.text(UNSEEN);
                inner.insert(name, random::value(dice, 2));
                inner
            };
            let value = match name {
                "d" => Bson::Document(one(dice)),
                _ => Bson::Array((0..3).map(|_| Bson::Document(one(dice))).collect()),
            };
            document.insert(name, value);
        }
    }
    document
}

/// Another document of which the same is shown.
fn twin(case: &Case, dice: &mut Dice, document: &Document) -> Document {
    let shown = |document: &Document| case.shown(document).map(|d| text(&Bson::Document(d)));
    let mut twin = document.clone();
    for _ in 0..6 {
        let mut other = twin.clone();
        disturb(&mut other, dice);
        // The rules look at these.
        let kept = ["_id", "o", "a"]
            .iter()
            .all(|name| other.get(name) == document.get(name));
        if kept && shown(&other) == shown(document) {
            twin = other;
        }
    }
    twin
}

/// Makes, changes or removes something anywhere.
fn disturb(document: &mut Document, dice: &mut Dice) {
    let at = dice.below(document.len().max(1));
    match document.iter_mut().nth(at).map(|(_, value)| value) {
        Some(Bson::Document(inner)) if dice.one_in(2) => return disturb(inner, dice),
        Some(Bson::Array(array)) if !array.is_empty() && dice.one_in(2) => {
            let at = dice.below(array.len());
            if let Bson::Document(inner) = &mut array[at] {
                return disturb(inner, dice);
            }
        }
        _ => {}
    }
    let name = dice.text(&["b", "h", "k", "d", "t", "x"]);
    if dice.one_in(3) {
        document.remove(name);
    } else {
        document.insert(name, random::value(dice, 1));
    }
}

/// Requests that also name what rules hide.
fn renamed(value: Bson, dice: &mut Dice) -> Bson {
    let name = |name: String, dice: &mut Dice| {
        let mut parts: Vec<&str> = name.split('.').collect();
        for part in &mut parts {
            *part = match *part {
                "a" | "b" | "o" if dice.one_in(3) => dice.text(UNSEEN),
                "$a" | "$b" if dice.one_in(3) => "$h",
                same => same,
            };
        }
        parts.join(".")
    };
    match value {
        Bson::Document(document) => Bson::Document(
            document
                .into_iter()
                .map(|(key, value)| (name(key, dice), renamed(value, dice)))
                .collect(),
        ),
        Bson::Array(array) => Bson::Array(
            array
                .into_iter()
                .map(|value| renamed(value, dice))
                .collect(),
        ),
        Bson::String(text) if text.starts_with('$') => Bson::String(name(text, dice)),
        other => other,
    }
}

/// What the rules look at.
fn looked_at(documents: &[Document]) -> String {
    let of = |document: &Document| {
        let parts = ["_id", "o", "a"].map(|name| document.get(name).cloned());
        format!("{parts:?}")
    };
    documents.iter().map(of).collect()
}

/// NaN is equal to nothing, its text is.
fn texts(documents: &[Document]) -> Vec<String> {
    let text = |document: &Document| text(&Bson::Document(document.clone()));
    documents.iter().map(text).collect()
}

/// What a request came to on what is stored, and what is to be seen afterwards.
async fn outcome(case: &Case, request: &Request) -> (String, Vec<String>, Vec<Document>) {
    let answer = case
        .run(&case.access, request.action, &request.arguments)
        .await;
    let said = match answer {
        Ok(value) => text(&Bson::try_from(value).unwrap()),
        Err(problem) => format!("{}: {}", problem.code, problem.message),
    };
    let stored = case.system("find", doc! { "sort": { "_id": 1 } }).await;
    let stored: Vec<Document> = stored
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document.as_document().unwrap().clone())
        .collect();
    let shown = |document: &Document| case.shown(document).map(|d| text(&Bson::Document(d)));
    let seen = stored.iter().map(|one| format!("{:?}", shown(one)));
    let seen = seen.collect();
    if texts(&stored) != texts(&case.stored) {
        case.restore().await;
    }
    (said, seen, stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_makes_no_difference() {
    let engine = || crate::on_mongodb::engine(module_path!(), super::embedded);
    let (engine, other) = (engine(), engine());
    let fewest = match engine.capabilities().name {
        "embedded" => 1500,
        _ => 400,
    };
    let data = Data::new(engine, Arc::new(SystemClock));
    let other = Data::new(other, Arc::new(SystemClock));
    let mut tally = Tally::default();
    let (mut asked, mut seed) = (0, 0);
    while asked < random::cases(fewest) {
        let dice = &mut Dice::new(seed);
        let roles = roles(dice);
        let count = 3 + dice.below(5) as i32;
        let stored = (0..count).map(|id| document(dice, id)).collect();
        let protect = doc! { "protect_hidden_fields": true };
        let case = Case::of(seed, &data, dice, roles, stored, Some(protect));
        seed += 1;
        let originals = &case.stored;
        let twins: Vec<Document> = originals
            .iter()
            .map(|document| twin(&case, dice, document))
            .collect();
        if texts(&twins) == texts(originals) {
            continue;
        }
        let double = Case {
            data: other.clone(),
            stored: twins,
            ..case.clone()
        };
        case.restore().await;
        double.restore().await;
        for round in 0..12 {
            let request = match round % 3 {
                0 => requests::read(dice, originals),
                1 => requests::write(dice, &double.stored),
                _ => requests::write(dice, originals),
            };
            let arguments = renamed(Bson::Document(request.arguments), dice);
            let Bson::Document(arguments) = arguments else {
                panic!()
            };
            let request = Request {
                action: request.action,
                arguments,
            };
            let one = outcome(&case, &request).await;
            let two = outcome(&double, &request).await;
            let say = || format!("{} and {:?}", case.say(&request), double.stored);
            let (went_by, goes_by) = (looked_at(originals), looked_at(&one.2));
            assert_eq!(goes_by, looked_at(&two.2), "{}", say());
            // Who changes what rules go by may come to see more.
            if went_by == goes_by {
                assert_eq!(one.0, two.0, "{}", say());
                assert_eq!(one.1, two.1, "{}", say());
            } else {
                tally.count("under other rules");
            }
            asked += 1;
            let changed = texts(&one.2) != texts(originals);
            tally.count(match (changed, one.0.contains(": ")) {
                (true, _) => "written",
                (false, true) => "refused",
                _ => "answered",
            });
            if !changed {
                continue;
            }
            let after = texts(&one.2);
            for (before, line) in originals.iter().zip(texts(originals)) {
                if oracle::read(&case.roles, &case.asker, before).is_none() {
                    assert!(after.contains(&line), "{line} is gone: {}", say());
                }
            }
        }
    }
    println!("{asked} requests under {seed} rule sets: {tally:?}");
    tally.met(&["answered", "refused", "written", "under other rules"]);
}
