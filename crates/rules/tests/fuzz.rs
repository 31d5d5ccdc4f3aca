//! Whatever is written as a rule or a schema: it is parsed or refused with what
//! is wrong, within its limits, and what is parsed can be decided by.
//!
//! `BACKSTITCH_TEST_RULES=100000` for that many texts instead of a few.

use bson::{Bson, Document, RawBson, RawDocumentBuf, doc};
use rules::{Answers, CollectionSchema, Decider, Expression, Place, RuleSet, Scope, Write};

use crate::asking;
use crate::random::{self, Dice, Tally};

/// Any value, with names and texts that mean something somewhere.
fn anything(dice: &mut Dice, depth: usize) -> Bson {
    match dice.below(if depth > 5 { 12 } else { 18 }) {
        0 => Bson::Null,
        1 => Bson::Boolean(dice.one_in(2)),
        2 => Bson::Int32([0, 1, -1, i32::MAX, i32::MIN][dice.below(5)]),
        3 => Bson::Double([0.0, 0.5, f64::NAN, f64::INFINITY, -1e300][dice.below(5)]),
        4..=8 => Bson::String(dice.text(TEXTS).to_owned()),
        9 => Bson::Undefined,
        10 => [
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Symbol("x".to_owned()),
            Bson::JavaScriptCode("x".to_owned()),
            Bson::Timestamp(bson::Timestamp {
                time: 1,
                increment: 0,
            }),
        ][dice.below(5)]
        .clone(),
        11 => random::value(dice, 3),
        12..=14 => Bson::Array(dice.many(4, |dice| anything(dice, depth + 1))),
        _ => Bson::Document(object(dice, depth + 1)),
    }
}

fn object(dice: &mut Dice, depth: usize) -> Document {
    let mut document = Document::new();
    for _ in 0..dice.below(5) {
        let name = dice.text(NAMES);
        document.insert(name, anything(dice, depth));
    }
    document
}

const TEXTS: &[&str] = &[
    "",
    "%",
    "%%",
    "%%%%",
    "$",
    "a",
    "a.b",
    "a..b",
    ".",
    "%%user",
    "%%user.id",
    "%%user.id%%",
    "%%user.",
    "%%user..id",
    "%%root",
    "%%root.a",
    "%%prevRoot",
    "%%this.a",
    "%%prev",
    "%%true",
    "%%false",
    "%%true.x",
    "%%values.x",
    "%%environment.tag",
    "%%request",
    "%%args",
    "%%partition",
    "%%nobody",
    "%%User",
    "isOne",
    "object",
    "string",
    "int",
    "(root)",
    "^a",
    "(",
    "[a-",
    "(a+)+$",
    "\u{0}",
    "a\u{0}b",
    "\u{1f600}",
    "date-time",
];

const NAMES: &[&str] = &[
    "",
    "a",
    "b",
    "a.b",
    "_id",
    "%%user.id",
    "%%root.a",
    "%%prevRoot",
    "%%true",
    "%%false",
    "%%",
    "%%x",
    "%and",
    "$and",
    "%or",
    "%nor",
    "%not",
    "%exists",
    "%eq",
    "$ne",
    "%gt",
    "$lte",
    "%in",
    "%nin",
    "%all",
    "%function",
    "%stringToOid",
    "%oidToString",
    "%stringToUuid",
    "%uuidToString",
    "%",
    "$",
    "%unknown",
    "name",
    "arguments",
    "roles",
    "filters",
    "apply_when",
    "read",
    "write",
    "insert",
    "delete",
    "search",
    "fields",
    "additional_fields",
    "document_filters",
    "query",
    "projection",
    "bsonType",
    "type",
    "properties",
    "items",
    "required",
    "validate",
    "title",
    "additionalProperties",
    "patternProperties",
    "dependencies",
    "enum",
    "not",
    "anyOf",
    "oneOf",
    "allOf",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "pattern",
    "format",
    "uniqueItems",
    "minItems",
    "multipleOf",
    "const",
    "if",
    "then",
    "contains",
    "propertyNames",
    "__proto__",
    "a\u{0}b",
    "\u{1f600}",
];

/// A rule or a schema with something else in one place.
fn spoilt(value: &mut Bson, dice: &mut Dice) {
    let at = match value {
        Bson::Document(document) if !document.is_empty() && !dice.one_in(4) => {
            let at = dice.below(document.len());
            let (name, mut inner) = {
                let (name, inner) = document.iter().nth(at).expect("it is there");
                (name.clone(), inner.clone())
            };
            spoilt(&mut inner, dice);
            if dice.one_in(5) {
                document.remove(&name);
                document.insert(dice.text(NAMES), inner);
            } else {
                document.insert(name, inner);
            }
            return;
        }
        Bson::Array(list) if !list.is_empty() && !dice.one_in(4) => {
            let at = dice.below(list.len());
            &mut list[at]
        }
        other => other,
    };
    *at = anything(dice, 2);
}

fn decide_by(rules: &RuleSet, dice: &mut Dice) {
    let request = asking();
    let mut decider = Decider::new(rules, &request);
    let before = RawDocumentBuf::try_from(&random::document(dice, 1, &mut 0)).unwrap();
    let after = RawDocumentBuf::try_from(&random::document(dice, 1, &mut 0)).unwrap();
    drop(decider.narrowed());
    drop(decider.filters());
    // Functions answer with anything.
    for _ in 0..20 {
        let needed = match decider
            .read(&before)
            .map(drop)
            .and_then(|()| decider.write(Write::Update(&before, &after)).map(drop))
            .and_then(|()| decider.write(Write::Insert(&after)).map(drop))
        {
            Ok(()) => break,
            Err(needed) => needed,
        };
        let answer = (!dice.one_in(3)).then(|| random::value(dice, 1));
        decider.answer(*needed, answer.map(|a| RawBson::try_from(a).unwrap()));
    }
}

#[test]
fn what_is_written_is_parsed_or_refused() {
    let mut tally = Tally::default();
    for seed in 0..random::cases(4000) {
        let dice = &mut Dice::new(seed);
        // Rules that were right, and anything.
        let mut rules = if dice.one_in(3) {
            object(dice, 0)
        } else {
            doc! { "roles": random::roles(dice) }
        };
        for _ in 0..dice.below(3) {
            let mut whole = Bson::Document(rules);
            spoilt(&mut whole, dice);
            rules = match whole {
                Bson::Document(rules) => rules,
                other => doc! { "roles": [other] },
            };
        }
        match RuleSet::parse(&rules) {
            Ok(parsed) => {
                tally.count("rules");
                decide_by(&parsed, dice);
            }
            Err(issues) => {
                tally.count("no rules");
                assert!(!issues.is_empty(), "{seed}");
            }
        }
        let mut expression = random::expression(dice, 0, true);
        if dice.one_in(2) {
            spoilt(&mut expression, dice);
        }
        for place in [Place::Document, Place::Request, Place::Arguments] {
            let mut issues = Vec::new();
            let parsed = Expression::parse(&expression, place, "e", &mut issues);
            if !issues.is_empty() {
                tally.count("no expression");
                continue;
            }
            tally.count("expression");
            let (request, answers) = (asking(), Answers::default());
            let scope = Scope::request(&request, &answers);
            drop(parsed.holds(&scope));
            assert!(
                place == Place::Document || !parsed.depends_on_documents(),
                "{seed}"
            );
        }
        let schema = object(dice, 0);
        match CollectionSchema::parse(&schema) {
            Ok(Some(schema)) => {
                tally.count("schema");
                let document =
                    RawDocumentBuf::try_from(&random::document(dice, 1, &mut 0)).unwrap();
                let (request, answers) = (asking(), Answers::default());
                let scope = Scope::request(&request, &answers).images(Some(&document), None);
                drop(schema.breaches(&document, &scope, mql::schema::Options::default()));
            }
            Ok(None) => tally.count("empty schema"),
            Err(issues) => {
                tally.count("no schema");
                assert!(!issues.is_empty(), "{seed}");
            }
        }
    }
    tally.met(&[
        "rules",
        "no rules",
        "expression",
        "no expression",
        "schema",
        "no schema",
        "empty schema",
    ]);
}

/// A value `levels` deep around another.
fn deep(mut inner: Bson, levels: usize, around: fn(Bson) -> Bson) -> Bson {
    for _ in 0..levels {
        inner = around(inner);
    }
    inner
}

#[test]
fn depth_and_size_have_limits_wherever_they_are() {
    let wraps: [fn(Bson) -> Bson; 9] = [
        |inner| bson::bson!({ "%not": inner }),
        |inner| bson::bson!({ "%or": [inner] }),
        |inner| bson::bson!({ "a": inner }),
        |inner| bson::bson!({ "a": { "%not": inner } }),
        |inner| bson::bson!({ "a": { "%in": [inner] } }),
        |inner| bson::bson!({ "%%true": { "%and": [inner] } }),
        |inner| bson::bson!({ "%%true": { "%function": { "name": "f", "arguments": [inner] } } }),
        |inner| bson::bson!({ "a": { "%stringToOid": inner } }),
        |inner| Bson::Array(vec![inner]),
    ];
    for wrap in wraps {
        let deep = deep(Bson::Boolean(true), 250, wrap);
        for rules in [
            doc! { "roles": [{ "name": "r", "apply_when": deep.clone() }] },
            doc! { "roles": [{ "name": "r", "fields": { "a": { "read": deep.clone() } } }] },
            doc! { "filters": [{ "name": "f", "query": { "a": deep.clone() } }] },
        ] {
            assert!(RuleSet::parse(&rules).is_err());
        }
    }
    let fields = deep(
        bson::bson!({ "read": true }),
        250,
        |inner| bson::bson!({ "fields": { "a": inner } }),
    );
    let rules = doc! { "roles": [{ "name": "r", "fields": { "a": fields } }] };
    assert!(RuleSet::parse(&rules).is_err());
    for around in [
        (|inner| bson::bson!({ "properties": { "a": inner } })) as fn(Bson) -> Bson,
        |inner| bson::bson!({ "items": inner }),
        |inner| bson::bson!({ "not": inner }),
        |inner| bson::bson!({ "anyOf": [inner] }),
        |inner| bson::bson!({ "additionalProperties": inner }),
    ] {
        let Bson::Document(schema) = deep(bson::bson!({ "bsonType": "int" }), 110, around) else {
            unreachable!("each of these is an object");
        };
        assert!(CollectionSchema::parse(&schema).is_err());
    }
    // Wide: more nodes than an expression has.
    let wide = Bson::Array(vec![Bson::Int32(1); 20_000]);
    for expression in [
        bson::bson!({ "a": { "%in": wide.clone() } }),
        bson::bson!({ "a": wide.clone() }),
        bson::bson!({ "%%true": { "%function": { "name": "f", "arguments": wide } } }),
    ] {
        let rules = doc! { "roles": [{ "name": "r", "apply_when": expression }] };
        assert!(RuleSet::parse(&rules).is_err());
    }
}
