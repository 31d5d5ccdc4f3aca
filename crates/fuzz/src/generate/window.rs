//! `$setWindowFields`, `$fill` and `$densify`, over documents that have a number
//! and a date of their own to be sorted by.

use bson::{Bson, Document, doc};

use super::command::collation;
use super::expression;
use super::value::{date, decimal, number, tame, typed, value};
use super::wrong;
use crate::random::Random;

/// A document of `value::typed` with `u`, a number, and `v`, a date, that no
/// other has, and `p` and `q` that some share.
pub(super) fn document(r: &mut Random, id: i32) -> Document {
    let mut document = typed(r, id);
    let place = (id * 5) % 8;
    let number = match r.below(6) {
        0 => Bson::Int64(i64::from(place)),
        1 => Bson::Double(f64::from(place) + 0.5),
        2 => Bson::Double(f64::from(place)),
        3 => decimal(
            ["0.1", "1", "2.50", "3", "4.0", "5.5", "6", "7.25"]
                .get(place as usize)
                .copied()
                .unwrap_or("9"),
        ),
        _ => Bson::Int32(place),
    };
    let hours = i64::from(place) * 31 + r.below(30) as i64;
    document.insert("u", if r.one_in(40) { value(r, 0) } else { number });
    document.insert(
        "v",
        if r.one_in(40) {
            value(r, 0)
        } else {
            date(1_580_000_000_000 + hours * 3_600_000 + r.below(2) as i64)
        },
    );
    if !r.one_in(5) {
        let part = [
            Bson::Int32(1),
            Bson::Double(1.0),
            Bson::from("x"),
            Bson::Null,
            Bson::Int32(2),
        ];
        document.insert("p", r.pick(&part).clone());
    }
    document.insert("q", doc! { "r": r.below(2) as i32 });
    document
}

/// A command about windows.
pub(super) fn command(r: &mut Random) -> Document {
    let mut stages = Vec::new();
    if r.one_in(5) {
        stages.push(doc! { "$match": { "i": { "$gte": r.below(3) as i32 } } });
    }
    let stage = stage(r);
    stages.push(match r.below(16) {
        0 => doc! { "$facet": { "x": [stage] } },
        1 => {
            doc! { "$lookup": { "from": "c", "let": { "z": "$i" }, "pipeline": [stage, { "$match": { "$expr": { "$lt": ["$_id", "$$z"] } } }], "as": "found" } }
        }
        2 => doc! { "$unionWith": { "coll": "c", "pipeline": [stage] } },
        _ => stage,
    });
    match r.below(12) {
        0 => stages.push(doc! { "$limit": 1 + r.below(5) as i32 }),
        1 => stages.push(doc! { "$match": { "w": { "$gt": 1 } } }),
        2 => stages.push(doc! { "$match": { "p": 1 } }),
        3 => stages.push(doc! { "$sort": { "_id": -1 } }),
        _ => {}
    }
    let mut command = doc! { "aggregate": "c", "pipeline": stages, "cursor": {} };
    if r.one_in(8) {
        command.insert("collation", collation(r));
    }
    if !r.one_in(20) {
        command.insert("let", doc! { "y": tame(r) });
    }
    if r.one_in(5) {
        command = wrong::spoil(r, command);
    }
    command
}

/// One of the stages.
pub(super) fn stage(r: &mut Random) -> Document {
    match r.below(6) {
        0 => fill(r),
        1 => densify(r),
        _ => windows(r),
    }
}

fn partition(r: &mut Random) -> Bson {
    match r.below(10) {
        0..=2 => Bson::from("$p"),
        3..=4 => Bson::from("$q.r"),
        5 => Bson::from(doc! { "$ifNull": ["$p", 1] }),
        6 => Bson::from(doc! { "a": "$p", "b": "$b" }),
        7 => Bson::from(r.text(&["$b", "$i", "$s", "$a", "$$ROOT", "$$y", "$l"])),
        8 => Bson::from(doc! { "$gt": ["$i", 1] }),
        _ => value(r, 1),
    }
}

fn direction(r: &mut Random) -> i32 {
    if r.one_in(4) { -1 } else { 1 }
}

fn windows(r: &mut Random) -> Document {
    let mut spec = Document::new();
    if r.one_in(2) {
        spec.insert("partitionBy", partition(r));
    }
    let by = r.text(&["_id", "u", "u", "v"]);
    match r.below(12) {
        0 => {}
        1 => {
            spec.insert(
                "sortBy",
                doc! { r.text(&["i", "b", "p"]): direction(r), by: direction(r) },
            );
        }
        _ => {
            spec.insert("sortBy", doc! { by: direction(r) });
        }
    }
    let mut output = doc! { "w": function(r, by) };
    if r.one_in(3) {
        output.insert(
            r.text(&["x", "q.r", "n", "l.z", "o.b", "p", "w.x"]),
            function(r, by),
        );
    }
    spec.insert("output", output);
    doc! { "$setWindowFields": spec }
}

fn input(r: &mut Random) -> Bson {
    match r.below(14) {
        0..=4 => Bson::from("$m"),
        5..=7 => Bson::from("$n"),
        8 => Bson::from("$i"),
        9 => Bson::from(r.text(&["$s", "$k", "$l", "$a", "$d", "$zz", "$o.b", "$$y"])),
        10 => number(r),
        11 => Bson::from(vec!["$m", "$n"]),
        12 => Bson::from(doc! { "$ifNull": ["$m", "$$y"] }),
        _ => expression::typed(r, 1),
    }
}

fn pair(r: &mut Random) -> Bson {
    if r.one_in(8) {
        return input(r);
    }
    Bson::from(vec![
        r.text(&["$m", "$n", "$u", "$i"]),
        r.text(&["$m", "$i", "$u", "$n"]),
    ])
}

fn function(r: &mut Random, by: &str) -> Document {
    let mut function = match r.below(30) {
        0..=8 => {
            let name = r.text(&[
                "$sum",
                "$avg",
                "$min",
                "$max",
                "$push",
                "$addToSet",
                "$stdDevPop",
                "$stdDevSamp",
                "$sum",
                "$avg",
            ]);
            doc! { name: input(r) }
        }
        9 => doc! { "$count": {} },
        10..=11 => doc! { r.text(&["$first", "$last"]): input(r) },
        12..=14 => {
            doc! { r.text(&["$firstN", "$lastN", "$minN", "$maxN"]): { "n": many(r), "input": input(r) } }
        }
        15..=16 => {
            let sort = doc! { r.text(&["m", "n", "i", "s"]): direction(r), "_id": 1 };
            let name = r.text(&["$top", "$bottom", "$topN", "$bottomN"]);
            let mut operand = doc! { "sortBy": sort, "output": input(r) };
            if name.ends_with('N') {
                operand.insert("n", many(r));
            }
            doc! { name: operand }
        }
        17..=18 => doc! { r.text(&["$covariancePop", "$covarianceSamp"]): pair(r) },
        19..=21 => {
            let mut operand = doc! { "input": r.text(&["$m", "$m", "$i", "$n", "$u"]) };
            if (by == "v") != r.one_in(8) {
                let units = ["week", "day", "hour", "minute", "second", "millisecond"];
                operand.insert("unit", if r.one_in(9) { "month" } else { r.text(&units) });
            }
            doc! { r.text(&["$derivative", "$integral"]): operand }
        }
        22..=23 => {
            let mut operand = doc! { "input": input(r) };
            if r.one_in(2) {
                operand.insert("N", many(r));
            } else {
                let alphas = [
                    Bson::Double(0.3),
                    Bson::Double(0.75),
                    decimal("0.25"),
                    Bson::Int32(1),
                ];
                operand.insert("alpha", r.pick(&alphas).clone());
            }
            return doc! { "$expMovingAvg": operand };
        }
        24 => return doc! { r.text(&["$rank", "$denseRank", "$documentNumber"]): {} },
        25..=26 => {
            let mut operand = doc! { "output": input(r), "by": *r.pick(&[1, -1, 2, 0, -9]) };
            if r.one_in(2) {
                let default = [
                    Bson::from("none"),
                    Bson::from("$$y"),
                    Bson::from(doc! { "$add": [1, 2] }),
                    Bson::from("$i"),
                ];
                operand.insert("default", r.pick(&default).clone());
            }
            return doc! { "$shift": operand };
        }
        27..=28 => return doc! { r.text(&["$linearFill", "$locf"]): input(r) },
        _ => doc! { r.text(&["$mergeObjects", "$zzz", "$median"]): input(r) },
    };
    if !r.one_in(6) {
        function.insert("window", window(r, by));
    }
    function
}

fn many(r: &mut Random) -> Bson {
    match r.below(9) {
        0 => Bson::Double(2.0),
        1 => number(r),
        2 => Bson::from("$$y"),
        _ => Bson::Int32(1 + r.below(4) as i32),
    }
}

fn window(r: &mut Random, by: &str) -> Document {
    let ranged = r.one_in(3);
    let unit = (by == "v") != r.one_in(10);
    let bound = |r: &mut Random, low: bool| -> Bson {
        let n = r.below(4) as i32 - if low { 3 } else { 0 };
        match r.below(8) {
            0..=1 => Bson::from("unbounded"),
            2 => Bson::from("current"),
            3 if ranged && !unit => Bson::Double(f64::from(n) + 0.5),
            4 if ranged && !unit => tame(r),
            _ => Bson::Int32(n),
        }
    };
    let bounds = vec![bound(r, true), bound(r, false)];
    if !ranged {
        return doc! { "documents": bounds };
    }
    let mut window = doc! { "range": bounds };
    if unit {
        let units = ["year", "month", "week", "day", "day", "hour"];
        window.insert("unit", r.text(&units));
    }
    window
}

/// `$fill`.
pub(super) fn fill(r: &mut Random) -> Document {
    let mut spec = Document::new();
    match r.below(6) {
        0 => {
            let by = match r.below(4) {
                0 => partition(r),
                1 => Bson::from(doc! { "$ifNull": ["$p", "$q.r"] }),
                _ => Bson::from(doc! { "p": "$p", "r": "$q.r" }),
            };
            spec.insert("partitionBy", by);
        }
        1 => {
            let name = r.text(&["p", "p", "q", "b", "i", "q.r", "$p", ""]);
            spec.insert("partitionByFields", vec![name]);
        }
        2 => {
            spec.insert("partitionByFields", vec!["p", r.text(&["q", "b", "p"])]);
        }
        _ => {}
    }
    if !r.one_in(8) {
        let by = r.text(&["_id", "u", "u", "v"]);
        let mut sort = doc! { by: direction(r) };
        if r.one_in(12) {
            sort.insert("i", 1);
        }
        spec.insert("sortBy", sort);
    }
    let mut output = Document::new();
    for _ in 0..=r.below(2) {
        let how = match r.below(7) {
            0..=1 => doc! { "method": "locf" },
            2..=3 => doc! { "method": "linear" },
            4 => doc! { "value": expression::typed(r, 1) },
            5 => doc! { "value": r.text(&["$m", "$$y", "none"]) },
            _ if r.one_in(3) => doc! { "method": r.text(&["none", "locf"]), "value": 1 },
            _ => doc! { "method": r.text(&["none", "locf", "locf"]) },
        };
        output.insert(r.text(&["n", "m", "i", "z", "q.s", "o.b", "s"]), how);
    }
    spec.insert("output", output);
    doc! { "$fill": spec }
}

/// `$densify`.
pub(super) fn densify(r: &mut Random) -> Document {
    let field = r.text(&["u", "u", "v", "i", "q.r", "m"]);
    let dates = (field == "v") != r.one_in(12);
    let mut range = Document::new();
    let steps = [
        Bson::Int32(1),
        Bson::Int32(2),
        Bson::Double(1.5),
        Bson::Int64(3),
        decimal("0.5"),
        Bson::Double(0.7),
        Bson::Int32(0),
        Bson::Int32(-1),
    ];
    let most = if dates || r.one_in(2) { 2 } else { 8 };
    range.insert("step", r.pick(&steps[..most]).clone());
    if dates {
        range.insert("unit", r.text(&["day", "week", "month", "day"]));
    }
    let end = |r: &mut Random| -> Bson {
        if dates {
            date(1_580_000_000_000 + (r.below(20) as i64 - 5) * 86_400_000)
        } else if r.one_in(4) {
            tame(r)
        } else {
            Bson::Int32(r.below(14) as i32 - 3)
        }
    };
    let bounds = match r.below(7) {
        0..=1 => Bson::from("full"),
        2..=3 => Bson::from("partition"),
        4 => Bson::from("zzz"),
        _ => Bson::from(vec![end(r), end(r)]),
    };
    range.insert("bounds", bounds);
    let mut spec = doc! { "field": field, "range": range };
    match r.below(4) {
        0 => {
            spec.insert(
                "partitionByFields",
                vec![r.text(&["p", "q.r", "b", "q", "u"])],
            );
        }
        1 => {
            spec.insert("partitionByFields", vec!["p", r.text(&["q.r", "b", "p"])]);
        }
        _ => {}
    }
    doc! { "$densify": spec }
}
