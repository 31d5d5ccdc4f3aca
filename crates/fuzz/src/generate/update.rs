//! Updates: operators, positions, pipelines, replacements.

use bson::{Bson, Document, doc};

use super::filter::{filter, projection};
use super::value::{document, number, path, value, values};
use crate::random::Random;

fn small(r: &mut Random) -> Bson {
    Bson::Int32(*r.pick(&[1, 2, -1, 0, 3, -2]))
}

/// What an update may be made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Operators, now and then a replacement or a pipeline.
    Any,
    /// Operators at positions (`$`, `$[]`, `$[e]`).
    Positions,
    /// A pipeline.
    Pipeline,
}

/// An update.
pub(super) fn update(r: &mut Random, kind: Kind) -> Bson {
    match r.below(24) {
        0 if kind == Kind::Any => {
            let mut replacement = document(r, 0);
            replacement.remove("_id");
            return Bson::Document(replacement);
        }
        1 if kind == Kind::Any => return pipeline(r),
        _ if kind == Kind::Pipeline => return pipeline(r),
        _ => {}
    }
    let mut update = Document::new();
    for _ in 0..*r.pick(&[1, 1, 1, 2]) {
        let operator = r.text(&[
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
            "$currentDate",
        ]);
        let mut fields = Document::new();
        for _ in 0..*r.pick(&[1, 1, 2]) {
            let operand = operand(r, operator);
            let positions = if kind == Kind::Positions { 1 } else { 8 };
            let at = if r.one_in(positions) {
                r.text(&[
                    "l.$[]",
                    "l.$[].b",
                    "l.$",
                    "l.$.b",
                    "a.$[]",
                    "l.$[e]",
                    "l.$[e].b",
                    "a.$[e]",
                    "l.$[].$[]",
                    "a.b.$[e]",
                    "l.$[e].$[]",
                    "l.$.$[e]",
                ])
            } else {
                path(r)
            };
            fields.insert(at, operand);
        }
        update.insert(operator, fields);
    }
    Bson::Document(update)
}

fn pipeline(r: &mut Random) -> Bson {
    let stage = |r: &mut Random| match r.below(6) {
        0 => doc! { "$unset": path(r) },
        1 => {
            let mut projection = projection(r, false);
            projection.remove("_id");
            doc! { "$project": projection }
        }
        2 => doc! { "$set": { path(r): { "$add": ["$n", number(r)] } } },
        3 => {
            doc! { "$replaceWith": { "$mergeObjects": ["$$ROOT", { "m": super::expression::loose(r, 1) }] } }
        }
        4 => doc! { "$addFields": { path(r): super::expression::loose(r, 2) } },
        _ => {
            doc! { "$set": { path(r): { "$ifNull": [format!("${}", path(r)), { "$literal": value(r, 2) }] } } }
        }
    };
    Bson::Array((0..=r.below(2)).map(|_| Bson::Document(stage(r))).collect())
}

/// Filters for `$[e]`.
pub(super) fn array_filters(r: &mut Random) -> Vec<Document> {
    vec![match r.below(6) {
        0..=1 => doc! { "e": { "$gte": number(r) } },
        2 => doc! { "e.b": value(r, 1) },
        3 => doc! { "$or": [{ "e": value(r, 1) }, { "e.b": { "$exists": true } }] },
        4 => doc! { "e": { "$type": r.text(&["number", "object", "string", "array"]) } },
        _ => doc! { "e": value(r, 1) },
    }]
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
        "$currentDate" => r
            .pick(&[
                Bson::Boolean(true),
                Bson::Document(doc! { "$type": "date" }),
                Bson::Document(doc! { "$type": "timestamp" }),
                Bson::Document(doc! { "$type": "who" }),
                Bson::Int32(1),
            ])
            .clone(),
        "$rename" => Bson::from(r.text(&["y", "z", "a.y", "b", "c", "l", "l.0", "n.x"])),
        "$push" if r.one_in(2) => {
            let mut push = doc! { "$each": values(r, 1) };
            if r.one_in(2) {
                push.insert("$slice", small(r));
            }
            if r.one_in(3) {
                push.insert("$position", small(r));
            }
            if r.one_in(3) {
                let sorts = [
                    Bson::Int32(1),
                    Bson::Int32(-1),
                    Bson::Document(doc! { "b": 1 }),
                    Bson::Document(doc! { "b": -1, "c": 1 }),
                    Bson::Document(doc! { "b.c": 1 }),
                ];
                push.insert("$sort", r.pick(&sorts).clone());
            }
            Bson::Document(push)
        }
        "$addToSet" if r.one_in(2) => Bson::Document(doc! { "$each": values(r, 1) }),
        "$pull" => match r.below(3) {
            0 => value(r, 1),
            1 => Bson::Document(filter(r, 1)),
            _ => Bson::Document(
                doc! { r.text(&["$gt", "$in", "$ne", "$lte", "$elemMatch", "$exists"]): value(r, 1) },
            ),
        },
        "$pullAll" => Bson::Array(values(r, 1)),
        "$pop" => r
            .pick(&[
                Bson::Int32(1),
                Bson::Int32(-1),
                Bson::Double(1.0),
                Bson::Int32(2),
                Bson::from("a"),
            ])
            .clone(),
        "$bit" => {
            let bits = [
                Bson::Int32(5),
                Bson::Int64(3),
                Bson::Double(1.0),
                Bson::Int32(-1),
            ];
            Bson::Document(doc! { r.text(&["and", "or", "xor"]): r.pick(&bits).clone() })
        }
        _ => value(r, 2),
    }
}
