//! Random documents, filters, updates and pipelines. Values are few and close
//! to each other, so that they meet; names are short, so that paths cross.

use bson::{Bson, Document, doc};

/// A small generator of numbers (splitmix64), so that a seed is a program on
/// every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().expect("a decimal"))
}

pub(super) fn number(r: &mut Random) -> Bson {
    match r.below(20) {
        0..=5 => Bson::Int32(*r.pick(&[0, 1, 2, 3, -1, 10])),
        6..=8 => Bson::Int64(*r.pick(&[0, 1, 2, -1, 5_000_000_000, (1 << 53) + 1])),
        9..=12 => Bson::Double(*r.pick(&[0.0, -0.0, 1.0, 1.5, 2.5, -2.0, 1e10])),
        13 => Bson::Double(f64::NAN),
        14 => Bson::Double(f64::INFINITY),
        15 => Bson::Int32(i32::MAX),
        _ => {
            let texts = ["1", "1.5", "2.50", "0", "-1", "1E+3"];
            decimal(texts[r.below(texts.len())])
        }
    }
}

fn scalar(r: &mut Random) -> Bson {
    match r.below(23) {
        0..=9 => number(r),
        10..=14 => Bson::from(*r.pick(&["a", "b", "ab", "A", "", "abc", "1"])),
        15..=16 => Bson::Null,
        17..=18 => Bson::Boolean(r.one_in(2)),
        19 => Bson::DateTime(bson::DateTime::from_millis(
            *r.pick(&[0, 1_000, 86_400_000]),
        )),
        20 => Bson::ObjectId(bson::oid::ObjectId::from_bytes([*r.pick(&[1, 2]); 12])),
        21 => Bson::Timestamp(bson::Timestamp {
            time: *r.pick(&[1, 2]),
            increment: 1,
        }),
        _ => Bson::Binary(bson::Binary {
            subtype: *r.pick(&[
                bson::spec::BinarySubtype::Generic,
                bson::spec::BinarySubtype::Uuid,
            ]),
            bytes: vec![*r.pick(&[1, 2]); 16],
        }),
    }
}

/// Any value; `depth` says how deep it may still go.
pub(super) fn value(r: &mut Random, depth: usize) -> Bson {
    match r.below(10) {
        0..=1 if depth > 0 => Bson::Document(object(r, depth - 1)),
        2..=3 if depth > 0 => {
            let n = r.below(4);
            Bson::Array((0..n).map(|_| value(r, depth - 1)).collect())
        }
        _ => scalar(r),
    }
}

fn object(r: &mut Random, depth: usize) -> Document {
    let mut document = Document::new();
    for name in ["b", "c", "x"] {
        if r.one_in(3) {
            document.insert(name, value(r, depth));
        }
    }
    document
}

/// A document with this `_id`.
pub(super) fn document(r: &mut Random, id: i32) -> Document {
    let mut document = doc! { "_id": id };
    for name in ["a", "b", "c", "n", "l"] {
        if r.one_in(5) {
            continue;
        }
        let value = match name {
            "n" if !r.one_in(5) => number(r),
            "l" if !r.one_in(5) => {
                let n = r.below(5);
                Bson::Array((0..n).map(|_| value(r, 1)).collect())
            }
            _ => value(r, 2),
        };
        document.insert(name, value);
    }
    document
}

const PATHS: &[&str] = &[
    "a", "b", "c", "n", "l", "a.b", "a.c", "l.b", "l.0", "l.1", "a.0", "a.b.c", "l.0.b", "b.x",
    "z", "a.x.b",
];

fn path(r: &mut Random) -> &'static str {
    PATHS[r.below(PATHS.len())]
}

fn type_name(r: &mut Random) -> Bson {
    match r.below(4) {
        0 => Bson::Int32(*r.pick(&[1, 2, 3, 4, 7, 8, 9, 10, 16, 17, 18, 19, -1, 127])),
        _ => Bson::from(*r.pick(&[
            "number", "string", "array", "object", "null", "bool", "int", "double", "decimal",
            "date", "minKey", "binData", "who",
        ])),
    }
}

fn regex(r: &mut Random) -> Bson {
    Bson::RegularExpression(bson::Regex {
        pattern: (*r.pick(&["^a", "b$", "A", "a|b", "^.$", "(?=a)ab"]))
            .to_owned()
            .try_into()
            .expect("no zero byte"),
        options: (*r.pick(&["", "i"]))
            .to_owned()
            .try_into()
            .expect("no zero byte"),
    })
}

fn values(r: &mut Random) -> Vec<Bson> {
    let n = r.below(4);
    (0..n).map(|_| value(r, 1)).collect()
}

/// The operand of a path in a filter.
fn test(r: &mut Random, depth: usize) -> Bson {
    let operators = match r.below(22) {
        0..=3 => return value(r, 2),
        4 => return regex(r),
        5 => doc! { "$eq": value(r, 2) },
        6 => doc! { "$ne": value(r, 2) },
        7..=9 => {
            let mut range = doc! { *r.pick(&["$gt", "$gte", "$lt", "$lte"]): value(r, 1) };
            if r.one_in(3) {
                range.insert(*r.pick(&["$lt", "$gt"]), number(r));
            }
            range
        }
        10 => {
            let mut list = values(r);
            if r.one_in(4) {
                list.push(regex(r));
            }
            doc! { *r.pick(&["$in", "$nin"]): list }
        }
        11 => {
            doc! { "$exists": r.pick(&[Bson::Boolean(true), Bson::Boolean(false), Bson::Int32(0), Bson::Double(1.0)]).clone() }
        }
        12 => doc! { "$type": type_name(r) },
        13 => doc! { "$type": [type_name(r), type_name(r)] },
        14 => {
            doc! { "$size": r.pick(&[Bson::Int32(0), Bson::Int32(1), Bson::Int64(2), Bson::Double(2.0), Bson::Double(1.5), Bson::from("a")]).clone() }
        }
        15 => doc! { "$all": values(r) },
        16 => doc! { "$mod": [number(r), number(r)] },
        17 if depth > 0 => doc! { "$elemMatch": filter(r, depth - 1) },
        18 if depth > 0 => match test(r, depth - 1) {
            operators @ (Bson::Document(_) | Bson::RegularExpression(_)) => {
                doc! { "$not": operators }
            }
            other => doc! { "$not": { "$gt": other } },
        },
        19 => {
            doc! { "$elemMatch": { *r.pick(&["$gt", "$lt", "$ne", "$eq"]): value(r, 1), "$exists": true } }
        }
        20 => doc! { "$regex": *r.pick(&["^a", "B", "b$"]), "$options": *r.pick(&["", "i", "m"]) },
        _ => doc! { *r.pick(&["$bitsAllSet", "$bitsAnyClear"]): *r.pick(&[0, 1, 3]) },
    };
    Bson::Document(operators)
}

pub(super) fn filter(r: &mut Random, depth: usize) -> Document {
    let mut filter = Document::new();
    let n = *r.pick(&[0, 1, 1, 1, 2]);
    for _ in 0..n {
        match r.below(12) {
            0..=1 if depth > 0 => {
                let n = 1 + r.below(2);
                let branches: Vec<Document> = (0..n).map(|_| self::filter(r, depth - 1)).collect();
                filter.insert(*r.pick(&["$and", "$or", "$nor"]), branches);
            }
            // By itself: in which order predicates are asked is not defined, and
            // an expression may fail.
            2 if depth == 2 => return doc! { "$expr": expression(r, 2) },
            3 => {
                filter.insert("_id", doc! { *r.pick(&["$gt", "$lte", "$ne", "$in"]): r.pick(&[Bson::Int32(3), Bson::Int32(6), Bson::Array(vec![Bson::Int32(1), Bson::Int32(2)])]).clone() });
            }
            _ => {
                filter.insert(path(r), test(r, depth));
            }
        }
    }
    filter
}

/// A sort that leaves no two documents equal.
pub(super) fn sort(r: &mut Random) -> Document {
    let mut sort = Document::new();
    for _ in 0..r.below(3) {
        sort.insert(
            *r.pick(&[
                "a", "b", "c", "n", "l", "a.b", "a.c", "l.b", "l.0", "a.b.c", "z",
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
        let value = match r.below(8) {
            0 if find => Bson::Document(
                doc! { "$slice": r.pick(&[Bson::Int32(1), Bson::Int32(-2), Bson::Array(vec![Bson::Int32(1), Bson::Int32(1)]), Bson::Array(vec![Bson::Int32(-2), Bson::Int32(2)])]).clone() },
            ),
            1 if find => {
                path = top;
                Bson::Document(doc! { "$elemMatch": filter(r, 1) })
            }
            2 if include => {
                path = top;
                expression(r, 2)
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

fn small(r: &mut Random) -> Bson {
    Bson::Int32(*r.pick(&[1, 2, -1, 0, 3]))
}

pub(super) fn update(r: &mut Random) -> Bson {
    match r.below(20) {
        0 => {
            let mut replacement = document(r, 0);
            replacement.remove("_id");
            return Bson::Document(replacement);
        }
        1 => {
            let n = 1 + r.below(2);
            return Bson::Array(
                (0..n)
                    .map(|_| {
                        Bson::Document(match r.below(4) {
                            0 => doc! { "$unset": path(r) },
                            1 => {
                                let mut projection = projection(r, false);
                                projection.remove("_id");
                                doc! { "$project": projection }
                            }
                            2 => doc! { "$set": { path(r): { "$add": ["$n", number(r)] } } },
                            _ => doc! { "$set": { path(r): { "$ifNull": [format!("${}", path(r)), { "$literal": value(r, 2) }] } } },
                        })
                    })
                    .collect(),
            );
        }
        _ => {}
    }
    let mut update = Document::new();
    for _ in 0..*r.pick(&[1, 1, 1, 2]) {
        let operator = *r.pick(&[
            "$set",
            "$set",
            "$unset",
            "$inc",
            "$inc",
            "$mul",
            "$min",
            "$max",
            "$rename",
            "$setOnInsert",
            "$push",
            "$push",
            "$addToSet",
            "$pull",
            "$pull",
            "$pullAll",
            "$pop",
            "$bit",
        ]);
        let mut fields = Document::new();
        for _ in 0..*r.pick(&[1, 1, 2]) {
            let operand = operand(r, operator);
            let at = if r.one_in(8) {
                *r.pick(&["l.$[]", "l.$[].b", "l.$", "a.$[]", "l.$[e]", "l.$[e].b"])
            } else {
                path(r)
            };
            fields.insert(at, operand);
        }
        update.insert(operator, fields);
    }
    Bson::Document(update)
}

fn operand(r: &mut Random, operator: &str) -> Bson {
    match operator {
        "$inc" | "$mul" => {
            if r.one_in(10) {
                value(r, 0)
            } else {
                number(r)
            }
        }
        "$unset" => Bson::from(""),
        "$rename" => Bson::from(*r.pick(&["y", "z", "a.y", "b", "c", "l"])),
        "$push" if r.one_in(2) => {
            let mut push = doc! { "$each": values(r) };
            if r.one_in(2) {
                push.insert("$slice", small(r));
            }
            if r.one_in(3) {
                push.insert("$position", small(r));
            }
            if r.one_in(3) {
                push.insert(
                    "$sort",
                    r.pick(&[
                        Bson::Int32(1),
                        Bson::Int32(-1),
                        Bson::Document(doc! { "b": 1 }),
                        Bson::Document(doc! { "b": -1, "c": 1 }),
                    ])
                    .clone(),
                );
            }
            Bson::Document(push)
        }
        "$addToSet" if r.one_in(2) => Bson::Document(doc! { "$each": values(r) }),
        "$pull" => match r.below(3) {
            0 => value(r, 1),
            1 => Bson::Document(filter(r, 1)),
            _ => Bson::Document(doc! { *r.pick(&["$gt", "$in", "$ne", "$lte"]): value(r, 1) }),
        },
        "$pullAll" => Bson::Array(values(r)),
        "$pop" => r
            .pick(&[
                Bson::Int32(1),
                Bson::Int32(-1),
                Bson::Double(1.0),
                Bson::Int32(2),
                Bson::from("a"),
            ])
            .clone(),
        "$bit" => Bson::Document(
            doc! { *r.pick(&["and", "or", "xor"]): r.pick(&[Bson::Int32(5), Bson::Int64(3), Bson::Double(1.0)]).clone() },
        ),
        _ => value(r, 2),
    }
}

/// An expression of an aggregation.
pub(super) fn expression(r: &mut Random, depth: usize) -> Bson {
    if depth == 0 || r.one_in(4) {
        return match r.below(4) {
            0 => Bson::Document(doc! { "$literal": value(r, 1) }),
            1 => number(r),
            _ => Bson::from(format!("${}", path(r))),
        };
    }
    let (x, y, z) = (
        expression(r, depth - 1),
        expression(r, depth - 1),
        expression(r, depth - 1),
    );
    let document = match r.below(34) {
        0..=1 => doc! { *r.pick(&["$add", "$multiply"]): [x, y] },
        2 => doc! { *r.pick(&["$subtract", "$divide", "$mod"]): [x, y] },
        3..=5 => doc! { *r.pick(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$cmp"]): [x, y] },
        6 => doc! { *r.pick(&["$and", "$or"]): [x, y] },
        7 => doc! { "$not": [x] },
        8 => doc! { "$cond": [x, y, z] },
        9 => doc! { "$ifNull": [x, y] },
        10 => doc! { "$concat": [x, y] },
        11 => {
            doc! { *r.pick(&["$toUpper", "$toLower", "$strLenCP", "$isNumber", "$isArray", "$type"]): [x] }
        }
        12 => doc! { "$size": x },
        13 => doc! { "$in": [x, "$l"] },
        14 => doc! { "$arrayElemAt": ["$l", small(r)] },
        15 => doc! { "$slice": ["$l", small(r)] },
        16 => doc! { "$concatArrays": ["$l", [x]] },
        17 => doc! { "$map": { "input": "$l", "in": { "$ifNull": ["$$this.b", x] } } },
        18 => doc! { "$filter": { "input": "$l", "as": "e", "cond": { "$gt": ["$$e", x] } } },
        19 => doc! { *r.pick(&["$sum", "$avg", "$min", "$max"]): [x, y] },
        20 => doc! { *r.pick(&["$sum", "$avg", "$min", "$max"]): "$l" },
        21 => {
            doc! { *r.pick(&["$toString", "$toInt", "$toDouble", "$toBool", "$toLong", "$toDate"]): x }
        }
        22 => doc! { *r.pick(&["$abs", "$floor", "$ceil", "$trunc"]): x },
        23 => doc! { "$mergeObjects": ["$a", { "m": x }] },
        24 => doc! { "$objectToArray": "$a" },
        25 => doc! { "$switch": { "branches": [{ "case": x, "then": y }], "default": z } },
        26 => doc! { "$let": { "vars": { "v": x }, "in": { "$eq": ["$$v", y] } } },
        27 => doc! { *r.pick(&["$first", "$last"]): "$l" },
        28 => doc! { "$indexOfArray": ["$l", x] },
        29 => doc! { "$reverseArray": "$l" },
        30 => {
            doc! { "$reduce": { "input": "$l", "initialValue": x, "in": { "$ifNull": ["$$this", "$$value"] } } }
        }
        31 => {
            doc! { "$convert": { "input": x, "to": *r.pick(&["int", "string", "bool", "double"]), "onError": y, "onNull": z } }
        }
        32 => doc! { "$round": [x, *r.pick(&[0, 1, -1])] },
        _ => doc! { "$isArray": [x] },
    };
    Bson::Document(document)
}

/// A pipeline whose answer does not depend on an order that nobody asked for.
pub(super) fn pipeline(r: &mut Random) -> Vec<Document> {
    let mut stages = Vec::new();
    if r.one_in(2) {
        stages.push(doc! { "$match": filter(r, 2) });
    }
    stages.push(doc! { "$sort": sort(r) });
    match r.below(5) {
        0 => stages.push(doc! { "$skip": r.below(4) as i32 }),
        1 => stages.push(doc! { "$limit": 1 + r.below(6) as i32 }),
        _ => {}
    }
    for _ in 0..=r.below(2) {
        stages.push(match r.below(9) {
            0 => doc! { "$project": projection(r, false) },
            1 => doc! { "$set": { path(r): expression(r, 2) } },
            2 => doc! { "$unset": path(r) },
            3..=4 => group(r),
            5 => doc! { "$unwind": format!("${}", path(r)) },
            6 => doc! { "$unwind": { "path": format!("${}", *r.pick(&["l", "a", "b"])), "preserveNullAndEmptyArrays": r.one_in(2), "includeArrayIndex": "i" } },
            7 => doc! { "$count": "n" },
            _ => doc! { "$replaceRoot": { "newRoot": expression(r, 2) } },
        });
    }
    stages
}

fn group(r: &mut Random) -> Document {
    let mut group = doc! { "_id": match r.below(4) { 0 => Bson::Null, _ => expression(r, 1) } };
    for name in ["p", "q"] {
        // Not one that can fail: whether it is asked for each document differs.
        let of = expression(r, 0);
        let accumulator = *r.pick(&["$sum", "$avg", "$min", "$max", "$first", "$last", "$push"]);
        group.insert(name, doc! { accumulator: of });
    }
    doc! { "$group": group }
}
