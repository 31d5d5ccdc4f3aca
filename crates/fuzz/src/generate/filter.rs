//! Filters, sorts, regular expressions and projections.

use bson::{Bson, Document, doc};

use super::expression;
use super::value::{number, path, scalar, string, value, values};
use crate::random::Random;

fn type_name(r: &mut Random) -> Bson {
    match r.below(4) {
        0 => Bson::Int32(*r.pick(&[1, 2, 3, 4, 7, 8, 9, 10, 11, 16, 17, 18, 19, -1, 127, 0, 99])),
        1 => r
            .pick(&[Bson::Double(2.0), Bson::Double(1.5), Bson::Int64(16)])
            .clone(),
        _ => Bson::from(r.text(&[
            "number",
            "string",
            "array",
            "object",
            "null",
            "bool",
            "int",
            "double",
            "decimal",
            "date",
            "minKey",
            "maxKey",
            "binData",
            "long",
            "objectId",
            "regex",
            "timestamp",
            "javascript",
            "who",
        ])),
    }
}

const PATTERNS: &[&str] = &[
    "^a", "b$", "A", "a|b", "^.$", "(?=a)ab", "a.c", "^a\\.", "[a-c]+", "(a)(b)?", "\\d+", "^$",
    "a{1,2}", "(?i)ab", "\\s", "É", "^é", "x\\.y", "(?<n>a)b", "a*?b", "\\Aa", "b\\z", "^a.*c$",
    "\\bb", "[^a]", "(?:ab)+", "\\w\\W",
];

/// A regular expression as a value.
pub(super) fn regex(r: &mut Random) -> Bson {
    Bson::RegularExpression(bson::Regex {
        pattern: r
            .text(PATTERNS)
            .to_owned()
            .try_into()
            .expect("no zero byte"),
        options: r
            .text(&["", "", "i", "m", "s", "x", "im"])
            .to_owned()
            .try_into()
            .expect("no zero byte"),
    })
}

/// A condition by `$regex`.
pub(super) fn regex_test(r: &mut Random) -> Document {
    let pattern = if r.one_in(4) {
        regex(r)
    } else {
        Bson::from(r.text(PATTERNS))
    };
    let mut test = doc! { "$regex": pattern };
    if r.one_in(3) {
        test.insert("$options", r.text(&["", "i", "m", "x", "s", "q"]));
    }
    test
}

/// The operand of a path in a filter.
pub(super) fn test(r: &mut Random, depth: usize) -> Bson {
    let operators = match r.below(26) {
        0..=4 => return value(r, 2),
        5 => return regex(r),
        6 => doc! { "$eq": value(r, 2) },
        7 => doc! { "$ne": value(r, 2) },
        8..=11 => {
            let mut range = doc! { r.text(&["$gt", "$gte", "$lt", "$lte"]): value(r, 1) };
            if r.one_in(3) {
                range.insert(r.text(&["$lt", "$gt"]), number(r));
            }
            range
        }
        12..=13 => {
            let mut list = values(r, 1);
            if r.one_in(4) {
                list.push(regex(r));
            }
            doc! { r.text(&["$in", "$nin"]): list }
        }
        14 => {
            let flags = [
                Bson::Boolean(true),
                Bson::Boolean(false),
                Bson::Int32(0),
                Bson::Double(1.0),
                Bson::Null,
            ];
            doc! { "$exists": r.pick(&flags).clone() }
        }
        15 => doc! { "$type": type_name(r) },
        16 => doc! { "$type": [type_name(r), type_name(r)] },
        17 => {
            let sizes = [
                Bson::Int32(0),
                Bson::Int32(1),
                Bson::Int64(2),
                Bson::Double(2.0),
                Bson::Double(1.5),
                Bson::from("a"),
                Bson::Int32(-1),
            ];
            doc! { "$size": r.pick(&sizes).clone() }
        }
        18 => {
            let mut all = values(r, 1);
            if depth > 0 && r.one_in(5) {
                all = vec![Bson::Document(doc! { "$elemMatch": filter(r, depth - 1) })];
            }
            doc! { "$all": all }
        }
        19 => doc! { "$mod": [number(r), number(r)] },
        20 if depth > 0 => doc! { "$elemMatch": filter(r, depth - 1) },
        21 if depth > 0 => match test(r, depth - 1) {
            operators @ (Bson::Document(_) | Bson::RegularExpression(_)) => {
                doc! { "$not": operators }
            }
            other => doc! { "$not": { "$gt": other } },
        },
        22 => {
            doc! { "$elemMatch": { r.text(&["$gt", "$lt", "$ne", "$eq", "$in"]): value(r, 1), "$exists": true } }
        }
        23 => regex_test(r),
        24 => {
            let masks = [
                Bson::Int32(0),
                Bson::Int32(1),
                Bson::Int32(3),
                Bson::Int64(1 << 40),
                Bson::from(vec![0, 1]),
                Bson::from(vec![60, 100]),
                Bson::Double(2.0),
                Bson::Int32(-1),
                Bson::Binary(bson::Binary {
                    subtype: bson::spec::BinarySubtype::Generic,
                    bytes: vec![1, 1],
                }),
            ];
            doc! { r.text(&["$bitsAllSet", "$bitsAnyClear", "$bitsAllClear", "$bitsAnySet"]): r.pick(&masks).clone() }
        }
        _ => doc! { r.text(&["$lt", "$gte"]): scalar(r) },
    };
    Bson::Document(operators)
}

/// A filter of documents of `value::document`.
pub(super) fn filter(r: &mut Random, depth: usize) -> Document {
    let mut filter = Document::new();
    for _ in 0..*r.pick(&[0, 1, 1, 1, 2]) {
        match r.below(14) {
            0..=1 if depth > 0 => {
                let n = 1 + r.below(2);
                let branches: Vec<Document> = (0..n).map(|_| self::filter(r, depth - 1)).collect();
                filter.insert(r.text(&["$and", "$or", "$nor"]), branches);
            }
            // By itself: in which order predicates are asked is not defined, and
            // an expression may fail.
            2 if depth == 2 => return doc! { "$expr": expression::loose(r, 2) },
            3 => {
                let values = [
                    Bson::Int32(3),
                    Bson::Int32(6),
                    Bson::Double(4.0),
                    Bson::Array(vec![Bson::Int32(1), Bson::Int64(2)]),
                ];
                filter.insert(
                    "_id",
                    doc! { r.text(&["$gt", "$lte", "$ne", "$in"]): r.pick(&values).clone() },
                );
            }
            4 if depth == 2 => {
                filter.insert("$jsonSchema", schema(r, 2));
            }
            _ => {
                filter.insert(path(r), test(r, depth));
            }
        }
    }
    filter
}

fn schema(r: &mut Random, depth: usize) -> Document {
    let mut schema = Document::new();
    for _ in 0..=r.below(2) {
        match r.below(9) {
            0 => {
                schema.insert("required", vec![r.text(&["a", "b", "n"])]);
            }
            1..=2 if depth > 0 => {
                schema.insert(
                    "properties",
                    doc! { r.text(&["a", "b", "n", "l"]): self::schema(r, depth - 1) },
                );
            }
            3 => {
                schema.insert(
                    "bsonType",
                    r.pick(&[
                        Bson::from("int"),
                        Bson::from("number"),
                        Bson::from("object"),
                        Bson::from(vec!["string", "array"]),
                        Bson::from("decimal"),
                    ])
                    .clone(),
                );
            }
            4 => {
                schema.insert(r.text(&["minimum", "maximum"]), number(r));
            }
            5 => {
                schema.insert("enum", vec![value(r, 1), value(r, 1)]);
            }
            6 if depth > 0 => {
                schema.insert(
                    r.text(&["allOf", "anyOf", "oneOf"]),
                    vec![self::schema(r, depth - 1), self::schema(r, depth - 1)],
                );
            }
            7 => {
                schema.insert(
                    r.text(&["minItems", "maxLength", "minProperties", "maxItems"]),
                    r.below(3) as i32,
                );
            }
            _ => {
                schema.insert(
                    "type",
                    r.text(&["number", "string", "object", "array", "null"]),
                );
            }
        }
    }
    schema
}

/// A sort that leaves no two documents equal.
pub(super) fn sort(r: &mut Random) -> Document {
    let mut sort = Document::new();
    for _ in 0..r.below(3) {
        sort.insert(
            r.text(&[
                "a", "b", "c", "n", "l", "a.b", "a.c", "l.b", "l.0", "a.b.c", "z", "a.0", "l.0.b",
            ]),
            *r.pick(&[1, -1]),
        );
    }
    sort.insert("_id", *r.pick(&[1, -1]));
    sort
}

/// A projection of `find`, or of a `$project` stage.
pub(super) fn projection(r: &mut Random, find: bool) -> Document {
    let mut projection = Document::new();
    let include = r.one_in(2);
    if r.one_in(3) {
        projection.insert("_id", *r.pick(&[0, 1]));
    }
    for _ in 0..=r.below(3) {
        let mut path = path(r).to_owned();
        let top = path.split('.').next().unwrap_or_default().to_owned();
        if !r.one_in(12) && projection.keys().any(|other| other.starts_with(&top)) {
            continue;
        }
        let value = match r.below(9) {
            0 if find => {
                let slices = [
                    Bson::Int32(1),
                    Bson::Int32(-2),
                    Bson::Int32(0),
                    Bson::from(vec![1, 1]),
                    Bson::from(vec![-2, 2]),
                    Bson::from(vec![5, 2]),
                ];
                Bson::Document(doc! { "$slice": r.pick(&slices).clone() })
            }
            1 if find => {
                path = top;
                Bson::Document(doc! { "$elemMatch": filter(r, 1) })
            }
            2 if include => {
                path = top;
                expression::loose(r, 2)
            }
            3 if include && r.one_in(3) => {
                let inner = if r.one_in(2) {
                    Bson::Int32(1)
                } else {
                    string(r)
                };
                Bson::Document(doc! { "b": 1, "c": inner })
            }
            _ => Bson::Int32(i32::from(include)),
        };
        projection.insert(path, value);
    }
    if projection.is_empty() {
        projection.insert("a", 1);
    }
    projection
}
