//! The order of values: values of every type, in each other, many of which
//! differ in one place only, asked for by everything that compares.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DbPointer, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};

use super::value::{date, decimal};
use crate::random::Random;

const TEXTS: &[&str] = &[
    "", "a", "b", "A", "aa", "ab", "\u{0}", "a\u{0}", "é", "e\u{301}", "z",
];

/// Names of fields; some are the beginning of others.
const NAMES: &[&str] = &["a", "b", "c", "", "aa", "0", "A"];

fn number(r: &mut Random) -> Bson {
    match r.below(4) {
        0 => Bson::Int32(*r.pick(&[0, 1, -1, 2, i32::MAX, i32::MIN])),
        1 => Bson::Int64(*r.pick(&[
            0,
            1,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            (1 << 62) + 1,
            i64::MAX,
            i64::MAX - 1,
            i64::MIN,
        ])),
        2 => Bson::Double(*r.pick(&[
            0.0,
            -0.0,
            1.0,
            0.1,
            -0.1,
            1.5,
            5e-324,
            9_007_199_254_740_992.0,
            9.223_372_036_854_776e18,
            -9.223_372_036_854_776e18,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ])),
        _ => decimal(r.text(&[
            "0",
            "-0",
            "0E+3",
            "-0E-6176",
            "1",
            "1.0",
            "1.00E+0",
            "10E-1",
            "0.1",
            "-0.1",
            "0.10",
            "1.5",
            "0.1000000000000000055511151231257827",
            "0.1000000000000000055511151231257828",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.0",
            "9223372036854775807",
            "9223372036854775807.5",
            "9223372036854775808",
            "1E-6176",
            "-1E-6176",
            "4.940656458412465441765687928682214E-324",
            "1E+6111",
            "1.7976931348623157E+308",
            "1.797693134862315708145274237317044E+308",
            "9.999999999999999999999999999999999E+6144",
            "NaN",
            "-NaN",
            "Infinity",
            "-Infinity",
        ])),
    }
}

fn id(r: &mut Random) -> ObjectId {
    let mut bytes = [1; 12];
    bytes[*r.pick(&[0, 11])] = *r.pick(&[0, 1, 128]);
    ObjectId::from_bytes(bytes)
}

fn code(r: &mut Random) -> String {
    r.text(&["", "x", "y", "xx", "x\u{0}"]).to_owned()
}

fn pointer(r: &mut Random) -> Bson {
    // Its fields are not ours to set. No two names are equally long: only one of
    // mongod's ways to compare them looks further.
    let (namespace, id) = (r.text(&["b", "a.b", "é", "long"]), id(r).to_hex());
    let value = serde_json::json!({ "$dbPointer": { "$ref": namespace, "$id": { "$oid": id } } });
    let pointer = Bson::try_from(value).ok();
    pointer
        .filter(|p| matches!(p, Bson::DbPointer(DbPointer { .. })))
        .unwrap_or(Bson::Null)
}

/// A value that holds no others, but for the scope of code.
fn leaf(r: &mut Random, depth: usize) -> Bson {
    match r.below(24) {
        0..=5 => number(r),
        6..=7 => Bson::from(r.text(TEXTS)),
        8 => Bson::Symbol(r.text(TEXTS).to_owned()),
        9 => Bson::Null,
        10 => Bson::Undefined,
        11 => r.pick(&[Bson::MinKey, Bson::MaxKey]).clone(),
        12 => Bson::Boolean(r.one_in(2)),
        13..=14 => Bson::ObjectId(id(r)),
        15..=16 => Bson::Binary(Binary {
            subtype: *r.pick(&[
                BinarySubtype::Generic,
                BinarySubtype::Function,
                BinarySubtype::BinaryOld,
                BinarySubtype::Uuid,
                BinarySubtype::Md5,
                BinarySubtype::UserDefined(128),
                BinarySubtype::UserDefined(255),
            ]),
            bytes: r
                .pick(&[
                    vec![],
                    vec![0],
                    vec![1],
                    vec![200],
                    vec![1; 4],
                    vec![0; 5],
                    vec![1; 16],
                    vec![7; 260],
                ])
                .clone(),
        }),
        17 => date(*r.pick(&[0, 1, -1, i64::MAX, i64::MIN, 86_400_000])),
        18..=19 => Bson::Timestamp(Timestamp {
            time: *r.pick(&[1, 2, 0x8000_0000]),
            increment: *r.pick(&[1, 2, 0x8000_0000]),
        }),
        20 => Bson::RegularExpression(Regex {
            pattern: r
                .text(&["", "a", "ab", "b"])
                .to_owned()
                .try_into()
                .expect("no zero byte"),
            options: r
                .text(&["", "i", "im", "m"])
                .to_owned()
                .try_into()
                .expect("no zero byte"),
        }),
        21 => Bson::JavaScriptCode(code(r)),
        22 => pointer(r),
        _ => Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: code(r),
            scope: object(r, depth.min(1)),
        }),
    }
}

fn object(r: &mut Random, depth: usize) -> Document {
    let n = *r.pick(&[0, 1, 1, 2]);
    (0..n)
        .map(|_| (r.text(NAMES).to_owned(), any(r, depth.saturating_sub(1))))
        .collect()
}

/// A value of any type, with others in it down to `depth`.
pub fn any(r: &mut Random, depth: usize) -> Bson {
    match r.below(10) {
        0..=2 if depth > 0 => Bson::Document(object(r, depth)),
        3..=4 if depth > 0 => {
            let n = *r.pick(&[0, 1, 1, 2, 3]);
            Bson::Array((0..n).map(|_| any(r, depth - 1)).collect())
        }
        _ => leaf(r, depth),
    }
}

/// A value that differs from another in one place, or in none.
pub fn near(r: &mut Random, value: &Bson) -> Bson {
    match value {
        Bson::Document(document) if !document.is_empty() => {
            let mut fields: Vec<(String, Bson)> = document.clone().into_iter().collect();
            let at = r.below(fields.len());
            match r.below(8) {
                0 => {
                    fields.remove(at);
                }
                1 => r.text(NAMES).clone_into(&mut fields[at].0),
                2 => fields.push((r.text(NAMES).to_owned(), leaf(r, 0))),
                _ => fields[at].1 = near(r, &fields[at].1),
            }
            Bson::Document(fields.into_iter().collect())
        }
        Bson::Array(values) if !values.is_empty() => {
            let mut values = values.clone();
            let at = r.below(values.len());
            match r.below(8) {
                0 => {
                    values.remove(at);
                }
                1 => values.push(leaf(r, 0)),
                _ => values[at] = near(r, &values[at]),
            }
            Bson::Array(values)
        }
        Bson::JavaScriptCodeWithScope(code) => {
            let scope = near(r, &Bson::Document(code.scope.clone()));
            let mut code = code.clone();
            if let Bson::Document(scope) = scope {
                code.scope = scope;
            }
            Bson::JavaScriptCodeWithScope(code)
        }
        _ if r.one_in(6) => value.clone(),
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => number(r),
        // They are equal to each other.
        Bson::String(text) if r.one_in(4) => Bson::Symbol(text.clone()),
        value => {
            let like = |other: &Bson| value.element_type() == other.element_type();
            let mut others = (0..24).map(|_| leaf(r, 1));
            others.find(like).unwrap_or(Bson::Null)
        }
    }
}

/// Values that are near to each other, of which some are equal.
pub fn family(r: &mut Random, n: usize) -> Vec<Bson> {
    let mut values = vec![any(r, 3)];
    while values.len() < n {
        let next = if r.one_in(4) {
            any(r, 3)
        } else {
            let like = r.pick(&values).clone();
            near(r, &like)
        };
        values.push(next);
    }
    values
}

/// The commands of a program: documents whose `v`, `w` and `o.k` are near to each
/// other, those of `d` too, and questions about them.
pub(super) fn program(r: &mut Random, questions: usize) -> Vec<Document> {
    let values = family(r, 16);
    let value = |r: &mut Random| r.pick(&values).clone();
    let documents = |r: &mut Random, n: i32| -> Vec<Document> {
        (0..n)
            .map(|id| doc! { "_id": id, "v": value(r), "w": value(r), "o": { "k": value(r) } })
            .collect()
    };
    // Only some of mongod's ways to compare symbols mind a collation.
    let collated = !format!("{values:?}").contains("Symbol");
    let mut commands = vec![doc! { "create": "c" }];
    if r.one_in(2) {
        let key = match r.below(4) {
            0 => doc! { "v": 1, "o": -1 },
            1 => doc! { "o": 1 },
            2 => doc! { "v": -1 },
            _ => doc! { "v": 1 },
        };
        let index = doc! { "key": key, "name": "i", "unique": r.one_in(6) };
        commands.push(doc! { "createIndexes": "c", "indexes": [index] });
    }
    commands.push(doc! { "insert": "c", "documents": documents(r, 12), "ordered": false });
    commands.push(doc! { "insert": "d", "documents": documents(r, 6), "ordered": false });
    for _ in 0..questions {
        let mut command = question(r, &value);
        if collated && r.one_in(4) {
            command.insert(
                "collation",
                doc! { "locale": "en", "strength": 1 + r.below(3) as i32 },
            );
        }
        commands.push(command);
    }
    commands
}

fn question(r: &mut Random, value: &dyn Fn(&mut Random) -> Bson) -> Document {
    let at = r.text(&["v", "v", "w", "o", "o.k"]);
    let literal = |value: Bson| doc! { "$literal": value };
    match r.below(14) {
        0..=1 => doc! { "find": "c", "filter": {}, "sort": { at: *r.pick(&[1, -1]), "_id": 1 } },
        2..=4 => {
            let operator = r.text(&["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]);
            doc! { "find": "c", "filter": { at: { operator: value(r) } } }
        }
        5 => {
            let operator = r.text(&["$in", "$in", "$nin", "$all"]);
            doc! { "find": "c", "filter": { at: { operator: [value(r), value(r)] } } }
        }
        6 => doc! { "count": "c", "query": { at: { "$gt": value(r), "$lte": value(r) } } },
        7 => {
            let operator = r.text(&["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]);
            let test = doc! { operator: [format!("${at}"), literal(value(r))] };
            doc! { "find": "c", "filter": { "$expr": test } }
        }
        8 => {
            let fields = doc! { "c": { "$cmp": ["$v", "$w"] }, "e": { "$eq": ["$o.k", "$w"] }, "d": { "$cmp": ["$o", literal(value(r))] }, "m": { r.text(&["$max", "$min"]): ["$v", "$w", "$o.k"] } };
            projected(fields)
        }
        9 => {
            let group = doc! { "_id": format!("${at}"), "n": { "$sum": 1 }, "m": { r.text(&["$max", "$min", "$first"]): "$w" } };
            let stages = [doc! { "$sort": { "_id": 1 } }, doc! { "$group": group }];
            doc! { "aggregate": "c", "pipeline": stages.to_vec(), "cursor": {} }
        }
        10 => doc! { "distinct": "c", "key": at },
        11 => {
            let list = literal(Bson::Array((0..4).map(|_| value(r)).collect()));
            let other = literal(Bson::Array((0..3).map(|_| value(r)).collect()));
            let both = vec![list.clone(), other];
            let fields = match r.below(3) {
                0 => {
                    doc! { "s": { "$sortArray": { "input": list.clone(), "sortBy": *r.pick(&[1, -1]) } }, "i": { "$indexOfArray": [list.clone(), format!("${at}")] } }
                }
                1 => {
                    doc! { "i": { "$in": [format!("${at}"), list.clone()] }, "e": { r.text(&["$setEquals", "$setIsSubset"]): both } }
                }
                _ => {
                    doc! { "s": { "$size": { r.text(&["$setUnion", "$setIntersection", "$setDifference"]): both } } }
                }
            };
            projected(fields)
        }
        12 => {
            let update = match r.below(4) {
                0 => doc! { r.text(&["$max", "$min"]): { at: value(r) } },
                1 => doc! { "$addToSet": { at: value(r) } },
                2 => doc! { "$pull": { at: value(r) } },
                _ => {
                    let values = doc! { "$each": [value(r), value(r)], "$sort": *r.pick(&[1, -1]) };
                    doc! { "$push": { at: values } }
                }
            };
            doc! { "update": "c", "updates": [{ "q": { "_id": r.below(12) as i32 }, "u": update }] }
        }
        _ => {
            let lookup = doc! { "from": "d", "localField": at, "foreignField": r.text(&["v", "w", "o"]), "as": "found" };
            let stages = [
                doc! { "$lookup": lookup },
                doc! { "$project": { "found._id": 1 } },
            ];
            doc! { "aggregate": "c", "pipeline": stages.to_vec(), "cursor": {} }
        }
    }
}

fn projected(fields: Document) -> Document {
    doc! { "aggregate": "c", "pipeline": [{ "$project": fields }], "cursor": {} }
}
