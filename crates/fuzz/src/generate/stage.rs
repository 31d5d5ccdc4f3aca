//! Pipelines, whose answer does not depend on an order that nobody asked for.

use bson::{Bson, Document, doc};

use super::expression;
use super::filter::{filter, projection, sort};
use super::value::{number, path};
use super::window;
use crate::random::Random;

/// A pipeline over documents of `value::document`.
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
    for _ in 0..=r.below(3) {
        let stage = stage(r);
        let loses_order = ["$group", "$sortByCount", "$bucket"]
            .iter()
            .any(|name| stage.contains_key(*name));
        stages.push(stage);
        if loses_order {
            stages.push(doc! { "$sort": { "_id": 1 } });
        }
    }
    stages
}

fn stage(r: &mut Random) -> Document {
    match r.below(20) {
        0 => doc! { "$project": projection(r, false) },
        1..=2 => doc! { r.text(&["$set", "$addFields"]): { path(r): expression::loose(r, 2) } },
        3 => doc! { "$unset": path(r) },
        4 => group(r, false),
        5..=6 => doc! { "$unwind": format!("${}", path(r)) },
        7 => {
            // An index in the place of the path is the end of a mongod 6.0.
            doc! { "$unwind": { "path": format!("${}", r.text(&["l", "a", "b", "a.b"])), "preserveNullAndEmptyArrays": r.one_in(2), "includeArrayIndex": r.text(&["i", "z.i", "c"]) } }
        }
        8 => doc! { "$count": "n" },
        9 => {
            doc! { r.text(&["$replaceRoot"]): { "newRoot": { "$ifNull": [expression::loose(r, 1), "$$ROOT"] } } }
        }
        10 => doc! { "$replaceWith": expression::loose(r, 2) },
        11 => doc! { "$sortByCount": expression::loose(r, 1) },
        12 => {
            let mut bucket = doc! { "groupBy": format!("${}", path(r)), "boundaries": [-1, 1, { "$literal": number(r) }] };
            if r.one_in(2) {
                bucket.insert("default", r.text(&["other", "a"]));
            }
            if r.one_in(2) {
                bucket.insert(
                    "output",
                    doc! { "n": { "$sum": 1 }, "l": { "$push": "$n" } },
                );
            }
            doc! { "$bucket": bucket }
        }
        13 => {
            let mut bucket = doc! { "groupBy": format!("${}", r.text(&["_id", "n", "a"])), "buckets": 1 + r.below(4) as i32 };
            if r.one_in(2) {
                bucket.insert("output", doc! { "n": { "$sum": 1 } });
            }
            if r.one_in(4) {
                bucket.insert("granularity", r.text(&["R5", "POWERSOF2", "1-2-5", "E6"]));
            }
            doc! { "$bucketAuto": bucket }
        }
        14 => {
            doc! { "$facet": { "x": [{ "$match": filter(r, 1) }, { "$count": "n" }], "y": [{ "$sort": sort(r) }, { "$limit": 2 }, { "$project": projection(r, false) }] } }
        }
        15 => doc! { "$match": filter(r, 2) },
        16 => doc! { "$sort": sort(r) },
        17 => lookup(r),
        18 => {
            doc! { "$redact": { "$cond": [expression::loose(r, 1), r.text(&["$$DESCEND", "$$KEEP"]), "$$PRUNE"] } }
        }
        _ => window::stage(r),
    }
}

/// A stage that looks into `d` (or into `c` itself).
pub(super) fn lookup(r: &mut Random) -> Document {
    let from = r.text(&["d", "d", "d", "c", "nowhere"]);
    match r.below(6) {
        0..=2 => {
            doc! { "$lookup": { "from": from, "localField": path(r), "foreignField": path(r), "as": r.text(&["found", "a", "b.x"]) } }
        }
        3 => {
            doc! { "$lookup": { "from": from, "let": { "v": format!("${}", path(r)) }, "pipeline": [
                { "$match": { "$expr": { r.text(&["$eq", "$lt", "$gte"]): [format!("${}", path(r)), "$$v"] } } },
                { "$sort": { "_id": 1 } }, { "$project": projection(r, false) },
            ], "as": "found" } }
        }
        4 => {
            doc! { "$lookup": { "from": from, "localField": path(r), "foreignField": path(r), "pipeline": [{ "$match": filter(r, 1) }, { "$limit": 3 }], "as": "found" } }
        }
        _ => {
            let mut graph = doc! { "from": from, "startWith": format!("${}", path(r)), "connectFromField": path(r), "connectToField": path(r), "as": "found" };
            if r.one_in(2) {
                graph.insert("maxDepth", r.below(3) as i32);
            }
            if r.one_in(2) {
                graph.insert("depthField", "depth");
            }
            doc! { "$graphLookup": graph }
        }
    }
}

/// A `$group`, by fields that mostly have the types accumulators want (`typed`)
/// or by any.
pub(super) fn group(r: &mut Random, typed: bool) -> Document {
    let of = |r: &mut Random, depth| {
        if typed {
            expression::typed(r, depth)
        } else {
            expression::loose(r, depth)
        }
    };
    let mut group = doc! { "_id": match r.below(5) {
        0 => Bson::Null,
        1 => Bson::Document(doc! { "x": of(r, 0), "y": of(r, 0) }),
        2 => of(r, 1),
        _ => of(r, 0),
    } };
    for name in ["p", "q"] {
        // Not one that can fail: whether it is asked for each document differs.
        let of = of(r, 0);
        let accumulator = match r.below(16) {
            0..=9 => {
                doc! { r.text(&["$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet", "$sum", "$avg"]): of }
            }
            10 => doc! { r.text(&["$stdDevPop", "$stdDevSamp"]): of },
            11 => doc! { "$count": {} },
            12 => doc! { "$mergeObjects": if typed { Bson::from("$o") } else { of } },
            13 => {
                doc! { r.text(&["$firstN", "$lastN", "$minN", "$maxN"]): { "n": 1 + r.below(3) as i32, "input": of } }
            }
            14 => {
                doc! { r.text(&["$top", "$bottom"]): { "sortBy": { "_id": *r.pick(&[1, -1]) }, "output": of } }
            }
            _ => {
                doc! { r.text(&["$topN", "$bottomN"]): { "n": 2, "sortBy": { "_id": *r.pick(&[1, -1]) }, "output": of } }
            }
        };
        group.insert(name, accumulator);
    }
    doc! { "$group": group }
}
