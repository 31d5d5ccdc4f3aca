//! Random rule sets, users, documents and requests. A seed is the same case
//! everywhere; what one case draws from is small, so that things meet.

use std::collections::HashMap;

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Document, doc};

use super::oracle::Asker;

/// An id that is also the text of an ObjectId.
pub(crate) const ID: &str = "0123456789abcdef01234567";
const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";
/// Every function that random rules call.
pub(crate) const FUNCTIONS: &[&str] = &["isOne", "teams", "nothing", "one", "echo"];

/// splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn text(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    pub(crate) fn many<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}

/// What the functions of random rules answer.
pub(crate) fn function(name: &str, arguments: &[Option<Bson>]) -> Option<Bson> {
    let first = arguments.first().cloned().flatten();
    match name {
        "isOne" => Some(Bson::Boolean(matches!(
            first,
            Some(Bson::Int32(1) | Bson::Int64(1))
        ))),
        "teams" => Some(Bson::Array(vec!["red".into(), "blue".into()])),
        "one" => Some(Bson::Int32(1)),
        "echo" => first,
        _ => None,
    }
}

/// Someone who asks.
pub(crate) fn asker(dice: &mut Dice) -> Asker {
    let mut custom = Document::new();
    for (name, value) in [
        ("teams", bson::bson!(["red", "blue"])),
        ("level", Bson::Int32(dice.below(3) as i32)),
        ("nothing", Bson::Null),
        ("mixed", bson::bson!([1, null, ["red"]])),
        ("ref", Bson::String(ID.to_owned())),
        (
            "of",
            bson::bson!({ "list": [{ "x": 1 }, { "x": "red" }], "x": 2 }),
        ),
    ] {
        if !dice.one_in(6) {
            custom.insert(name, value);
        }
    }
    let id = dice.text(&[ID, "ann", "bob"]);
    Asker {
        user: doc! {
            "id": id, "type": dice.text(&["normal", "server"]), "custom_data": custom,
            "data": { "email": "ann@x" },
            "identities": [{ "id": "i", "provider_type": "local-userpass" }],
        },
        values: doc! { "admins": [ID, "ann"], "open": true, "one": 1 },
        environment: doc! { "tag": "testing", "values": { "limit": 2 } },
        request: doc! { "remoteIPAddress": "127.0.0.1" },
        function,
    }
}

const FIELDS: &[&str] = &["a", "b", "o", "t", "d"];
const PATHS: &[&str] = &[
    "a", "a", "b", "b", "o", "o", "t", "t", "d", "d.a", "d.b", "t.0", "d.d.a", "d.0.a", "_id",
];

/// A value of every kind that rules and queries compare.
pub(crate) fn value(dice: &mut Dice, depth: usize) -> Bson {
    match dice.below(if depth > 2 { 17 } else { 23 }) {
        0 | 1 => Bson::Null,
        2..=4 => Bson::Int32(dice.below(3) as i32),
        5 => Bson::Int64(dice.below(3) as i64),
        6 => Bson::Double([0.0, 1.0, 1.5, -0.0, f64::NAN][dice.below(5)]),
        7 => Bson::Decimal128(
            dice.text(&["1", "1.0", "1.5", "NaN", "0"])
                .parse()
                .expect("a number"),
        ),
        8..=11 => Bson::String(dice.text(&["red", "blue", "ann", "", ID, "red"]).to_owned()),
        12 | 13 => Bson::Boolean(dice.one_in(2)),
        14 => Bson::ObjectId(ObjectId::parse_str(ID).expect("an id")),
        15 => Bson::DateTime(DateTime::from_millis(dice.below(3) as i64)),
        16 => Bson::Binary(Binary::from(bson::Uuid::parse_str(UUID).expect("a UUID"))),
        17..=19 => Bson::Array(dice.many(3, |dice| value(dice, depth + 1))),
        _ => Bson::Document(fields(dice, depth + 1)),
    }
}

fn fields(dice: &mut Dice, depth: usize) -> Document {
    let mut document = Document::new();
    for _ in 0..dice.below(4) {
        let name = dice.text(FIELDS);
        document.insert(name, value(dice, depth));
    }
    document
}

/// A document; every text that begins with `secret` is there once in the world.
pub(crate) fn document(dice: &mut Dice, id: i32, secrets: &mut u32) -> Document {
    let mut document = doc! { "_id": id };
    document.extend(fields(dice, 0));
    if dice.one_in(2) {
        document.insert("o", dice.text(&[ID, "ann", "bob"]));
    }
    plant(&mut document, dice, secrets);
    document
}

fn plant(document: &mut Document, dice: &mut Dice, secrets: &mut u32) {
    for (name, value) in document.iter_mut() {
        match value {
            Bson::Document(inner) => plant(inner, dice, secrets),
            Bson::Array(array) => {
                for element in array {
                    if let Bson::Document(inner) = element {
                        plant(inner, dice, secrets);
                    }
                }
            }
            value if name != "_id" && name != "o" && dice.one_in(3) => {
                *secrets += 1;
                *value = Bson::String(format!("secret{secrets}x"));
            }
            _ => {}
        }
    }
}

/// A rule set of one to three roles.
pub(crate) fn roles(dice: &mut Dice) -> Vec<Document> {
    let count = 1 + dice.below(3);
    (0..count).map(|index| role(dice, index)).collect()
}

fn role(dice: &mut Dice, index: usize) -> Document {
    let mut role = doc! { "name": format!("r{index}") };
    if !dice.one_in(5) {
        let when = if dice.one_in(4) {
            Bson::Document(Document::new())
        } else {
            expression(dice, 0, false)
        };
        role.insert("apply_when", when);
    }
    let by_fields = dice.one_in(2);
    for name in ["read", "write"] {
        if !by_fields || dice.one_in(5) {
            permission(&mut role, name, dice, false);
        }
    }
    for name in ["insert", "delete"] {
        if dice.one_in(4) {
            permission(&mut role, name, dice, false);
        }
    }
    if dice.one_in(4) {
        let mut filters = Document::new();
        permission(&mut filters, "read", dice, false);
        permission(&mut filters, "write", dice, false);
        role.insert("document_filters", filters);
    }
    if by_fields {
        role.insert("fields", field_rules(dice, 0));
        if dice.one_in(2) {
            let mut additional = Document::new();
            permission(&mut additional, "read", dice, true);
            permission(&mut additional, "write", dice, true);
            role.insert("additional_fields", additional);
        }
    }
    role
}

fn field_rules(dice: &mut Dice, depth: usize) -> Document {
    let mut rules = Document::new();
    for _ in 0..=dice.below(4) {
        let name = if depth == 0 && dice.one_in(3) {
            "_id"
        } else {
            dice.text(FIELDS)
        };
        let mut rule = Document::new();
        if depth < 2 && dice.one_in(3) {
            if dice.one_in(4) {
                permission(&mut rule, "read", dice, true);
            }
            rule.insert("fields", field_rules(dice, depth + 1));
        } else {
            permission(&mut rule, "read", dice, true);
            permission(&mut rule, "write", dice, true);
        }
        rules.insert(name, rule);
    }
    rules
}

fn permission(of: &mut Document, name: &str, dice: &mut Dice, field: bool) {
    let value = match dice.below(8) {
        0 | 1 => return,
        2 => Bson::Null,
        3 | 4 => Bson::Boolean(true),
        5 => Bson::Boolean(false),
        _ => expression(dice, 0, field),
    };
    of.insert(name, value);
}

/// An expression; `field` says that it stands at a field.
pub(crate) fn expression(dice: &mut Dice, depth: usize, field: bool) -> Bson {
    let below = |dice: &mut Dice| {
        let count = dice.below(3);
        let list = (0..count).map(|_| expression(dice, depth + 1, field));
        Bson::Array(list.collect())
    };
    match dice.below(if depth > 2 { 12 } else { 17 }) {
        0 => Bson::Boolean(dice.one_in(2)),
        1..=9 => {
            let mut tests = Document::new();
            for _ in 0..=dice.below(2) {
                let (key, value) = (subject(dice, field), test(dice, 0, field));
                tests.insert(key, value);
            }
            Bson::Document(tests)
        }
        10 => bson::bson!({ "o": "%%user.id" }),
        11 => bson::bson!({ "%%true": call(dice, field) }),
        12 | 13 => bson::bson!({ sigil(dice, "or"): below(dice) }),
        14 => bson::bson!({ sigil(dice, "and"): below(dice) }),
        15 => bson::bson!({ sigil(dice, "nor"): below(dice) }),
        _ => bson::bson!({ sigil(dice, "not"): expression(dice, depth + 1, field) }),
    }
}

fn sigil(dice: &mut Dice, name: &str) -> String {
    format!("{}{name}", dice.text(&["%", "$"]))
}

fn subject(dice: &mut Dice, field: bool) -> String {
    match dice.below(12) {
        0..=6 => dice.text(PATHS).to_owned(),
        7 => format!("%%root.{}", dice.text(PATHS)),
        8 => match dice.below(3) {
            0 => "%%prevRoot".to_owned(),
            _ => format!("%%prevRoot.{}", dice.text(PATHS)),
        },
        9 if field => dice.text(&["%%this", "%%prev", "%%this.a"]).to_owned(),
        _ => dice.text(ASKED).to_owned(),
    }
}

/// Expansions that no document is needed for.
const ASKED: &[&str] = &[
    "%%user.id",
    "%%user.type",
    "%%user.custom_data.teams",
    "%%user.custom_data.level",
    "%%user.custom_data.nothing",
    "%%user.custom_data.none",
    "%%user.custom_data.mixed",
    "%%user.custom_data.ref",
    "%%user.custom_data.of.list.x",
    "%%user.custom_data.of",
    "%%user.identities.provider_type",
    "%%values.admins",
    "%%values.one",
    "%%environment.values.limit",
    "%%true",
    "%%false",
];

fn operand(dice: &mut Dice, field: bool) -> Bson {
    match dice.below(14) {
        0..=5 => value(dice, 1),
        6..=8 => Bson::String(dice.text(ASKED).to_owned()),
        9 => Bson::String(format!(
            "{}.{}",
            dice.text(&["%%root", "%%prevRoot"]),
            dice.text(PATHS)
        )),
        10 if field => Bson::String(dice.text(&["%%this", "%%prev"]).to_owned()),
        10 | 11 => conversion(dice),
        12 => Bson::Array(dice.many(3, |dice| operand(dice, field))),
        _ => call(dice, field),
    }
}

fn conversion(dice: &mut Dice) -> Bson {
    let name = dice.text(&["stringToOid", "oidToString", "stringToUuid", "uuidToString"]);
    let of = dice.text(&[
        "%%user.id",
        "%%user.custom_data.ref",
        "%%root.a",
        "%%root._id",
        ID,
        UUID,
        "no id",
    ]);
    bson::bson!({ sigil(dice, name): of })
}

fn call(dice: &mut Dice, field: bool) -> Bson {
    let arguments = dice.many(2, |dice| match dice.below(4) {
        0 => value(dice, 2),
        1 => conversion(dice),
        2 if field => Bson::String("%%this".to_owned()),
        _ => Bson::String(
            dice.text(&["%%root.a", "%%root.d.a", "%%user.id"])
                .to_owned(),
        ),
    });
    bson::bson!({ "%function": { "name": dice.text(FUNCTIONS), "arguments": arguments } })
}

fn test(dice: &mut Dice, depth: usize, field: bool) -> Bson {
    match dice.below(if depth > 1 { 14 } else { 18 }) {
        0..=4 => operand(dice, field),
        5..=9 => {
            let name = dice.text(&["eq", "ne", "gt", "gte", "lt", "lte", "all"]);
            bson::bson!({ sigil(dice, name): operand(dice, field) })
        }
        10 | 11 => {
            let list = if dice.one_in(3) {
                operand(dice, field)
            } else {
                Bson::Array(dice.many(3, |dice| operand(dice, field)))
            };
            let name = dice.text(&["in", "nin"]);
            bson::bson!({ sigil(dice, name): list })
        }
        12 | 13 => {
            let wanted = [
                Bson::Boolean(true),
                Bson::Boolean(false),
                Bson::Int32(0),
                Bson::String("%%true".to_owned()),
            ][dice.below(4)]
            .clone();
            bson::bson!({ sigil(dice, "exists"): wanted })
        }
        14 | 15 => bson::bson!({ sigil(dice, "not"): test(dice, depth + 1, field) }),
        _ => {
            let conditions = dice.one_in(4);
            let list = dice.many(2, |dice| {
                if conditions {
                    expression(dice, 3, field)
                } else {
                    test(dice, depth + 1, field)
                }
            });
            let name = dice.text(&["or", "and", "nor"]);
            bson::bson!({ sigil(dice, name): list })
        }
    }
}

/// A small change of a document, as a write could make it.
pub(crate) fn changed(dice: &mut Dice, document: &Document) -> Document {
    let mut after = document.clone();
    for _ in 0..=dice.below(2) {
        let name = dice.text(FIELDS);
        match (dice.below(4), after.get_mut(name)) {
            (0, _) => {
                after.remove(name);
            }
            (1, Some(Bson::Document(inner))) => {
                let inner_name = dice.text(FIELDS);
                inner.insert(inner_name, value(dice, 2));
            }
            (1, Some(Bson::Array(array))) => array.push(value(dice, 2)),
            (2, Some(Bson::Array(array))) => {
                array.pop();
            }
            _ => {
                after.insert(name, value(dice, 1));
            }
        }
    }
    after
}

/// How many cases: `fewest`, or as the environment says.
pub(crate) fn cases(fewest: u64) -> u64 {
    let long = std::env::var("BACKSTITCH_TEST_RULES").ok();
    long.and_then(|text| text.parse().ok()).unwrap_or(fewest)
}

/// What happened how often, so that a test that never meets anything fails.
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Everything that has to have happened did.
    pub(crate) fn met(&self, all: &[&'static str]) {
        for what in all {
            assert!(self.0.contains_key(what), "never: {what} in {self:?}");
        }
    }
}
