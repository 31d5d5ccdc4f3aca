//! Whole commands.

use bson::{Bson, Document, doc};

use super::expression;
use super::filter::{filter, projection, regex, regex_test, sort, test};
use super::stage::{group, lookup, pipeline};
use super::update::{Kind, array_filters, update};
use super::value::{STRINGS, document, path, string, value, values};
use super::{Area, window, wrong};
use crate::random::Random;

/// The command at a step of a program about an area.
pub(super) fn command(r: &mut Random, area: Area, step: i32) -> Document {
    match area {
        Area::Match => match r.below(6) {
            0 => doc! { "count": "c", "query": filter(r, 2) },
            1 => doc! { "aggregate": "c", "pipeline": [{ "$match": filter(r, 2) }], "cursor": {} },
            _ => doc! { "find": "c", "filter": filter(r, 2) },
        },
        Area::Regex => regular(r),
        Area::Projection => {
            doc! { "find": "c", "filter": if r.one_in(2) { filter(r, 1) } else { doc! {} }, "projection": projection(r, true) }
        }
        Area::Sort => sorted(r),
        Area::Update => updating(r, Kind::Any, false),
        Area::Positional => updating(r, Kind::Positions, false),
        Area::PipelineUpdate => updating(r, Kind::Pipeline, false),
        Area::Upsert => updating(r, Kind::Any, true),
        Area::Modify => modify(r),
        Area::Number => evaluation(r, 0),
        Area::Text => evaluation(r, 1),
        Area::List => evaluation(r, 2),
        Area::Date => evaluation(r, 3),
        Area::Condition => {
            let part = *r.pick(&[4, 5, 6]);
            evaluation(r, part)
        }
        Area::Group => {
            let typed = r.one_in(2);
            let stages = vec![doc! { "$sort": { "_id": 1 } }, group(r, typed)];
            doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
        }
        Area::Stages => doc! { "aggregate": "c", "pipeline": pipeline(r), "cursor": {} },
        Area::Lookup => looking(r),
        Area::Distinct => distinct(r),
        Area::Index => indexed(r, step),
        Area::Collation => collated(r, step),
        Area::Malformed => {
            let of = *r.pick(&[
                Area::Match,
                Area::Projection,
                Area::Sort,
                Area::Update,
                Area::Positional,
                Area::PipelineUpdate,
                Area::Modify,
                Area::Stages,
                Area::Lookup,
                Area::Group,
                Area::Distinct,
                Area::Index,
                Area::Collation,
                Area::Mixed,
                Area::Condition,
            ]);
            let command = command(r, of, step);
            wrong::spoil(r, command)
        }
        Area::Mixed => mixed(r, step),
        // Its programs are made as a whole.
        Area::Order | Area::Window => window::command(r),
    }
}

fn mixed(r: &mut Random, step: i32) -> Document {
    match r.below(20) {
        0..=4 => sorted(r),
        5..=7 => doc! { "aggregate": "c", "pipeline": pipeline(r), "cursor": {} },
        8..=11 => updating(r, Kind::Any, false),
        12 => updating(r, Kind::Any, true),
        13..=14 => modify(r),
        15..=16 => deleting(r),
        17 => distinct(r),
        _ => inserting(r, step),
    }
}

fn inserting(r: &mut Random, step: i32) -> Document {
    let taken = Bson::Int32(r.below(12) as i32);
    let id = match r.below(6) {
        0 => taken,
        1 => Bson::Double(f64::from(step % 12)),
        2 => value(r, 1),
        3 => Bson::from(format!("s{step}")),
        _ => Bson::Int32(100 + step),
    };
    let documents = vec![document(r, id), document(r, 200 + step)];
    let mut insert = doc! { "insert": "c", "documents": documents };
    if r.one_in(2) {
        insert.insert("ordered", r.one_in(2));
    }
    insert
}

fn deleting(r: &mut Random) -> Document {
    let narrow = doc! { "$and": [filter(r, 1), { "_id": { "$mod": [3, r.below(3) as i32] } }] };
    let mut statement = doc! { "q": narrow, "limit": i32::from(r.one_in(3)) };
    hinted(r, &mut statement);
    let lets = variables(r, &mut statement, "q");
    let mut command = doc! { "delete": "c", "deletes": [statement] };
    command.extend(lets);
    command
}

fn regular(r: &mut Random) -> Document {
    let at = r.text(&["a", "b", "c", "l", "a.b"]);
    let test = match r.below(5) {
        0 => regex(r),
        1 => Bson::Document(doc! { "$in": [regex(r), value(r, 1)] }),
        2 => Bson::Document(doc! { "$not": regex(r) }),
        _ => Bson::Document(regex_test(r)),
    };
    doc! { "find": "c", "filter": { at: test } }
}

fn sorted(r: &mut Random) -> Document {
    let mut find = doc! { "find": "c", "filter": filter(r, 2), "sort": sort(r) };
    if r.one_in(2) {
        find.insert("skip", r.below(3) as i32);
    }
    if r.one_in(2) {
        find.insert("limit", r.below(6) as i32);
    }
    if r.one_in(4) {
        find.insert("projection", projection(r, true));
    }
    if r.one_in(6) {
        find.insert("batchSize", r.below(4) as i32);
    }
    let lets = variables(r, &mut find, "filter");
    find.extend(lets);
    find
}

/// An `update` of one statement.
fn updating(r: &mut Random, kind: Kind, upsert: bool) -> Document {
    let query = match r.below(5) {
        _ if upsert && !r.one_in(4) => equalities(r),
        0..=1 => doc! { "_id": r.below(12) as i32 },
        2 if kind == Kind::Positions => doc! { r.text(&["l", "a", "l.b"]): test(r, 1) },
        _ => filter(r, 2),
    };
    let update = update(r, kind);
    let mut statement = doc! { "q": query, "u": update.clone(), "multi": r.one_in(2) };
    if upsert || r.one_in(8) {
        statement.insert("upsert", true);
    }
    if update.to_string().contains("$[e]") || r.one_in(20) {
        statement.insert("arrayFilters", array_filters(r));
    }
    if matches!(&update, Bson::Document(u) if u.keys().all(|key| !key.starts_with('$'))) {
        statement.insert("multi", r.one_in(20));
    }
    hinted(r, &mut statement);
    let lets = variables(r, &mut statement, "q");
    if let Some(Bson::Array(stages)) = statement.get_mut("u")
        && r.one_in(6)
    {
        let name = r.text(&["$$x", "$$y", "$$NOW", "$$CLUSTER_TIME", "$$x.b", "$$z"]);
        stages.push(doc! { "$set": { "v": name } }.into());
        if r.one_in(2) {
            statement.insert("c", doc! { "x": value(r, 1), "z": { "$add": [1, 2] } });
        }
    }
    let mut command = doc! { "update": "c", "updates": [statement] };
    command.extend(lets);
    command
}

/// Adds a hint now and then.
fn hinted(r: &mut Random, to: &mut Document) {
    if r.one_in(12) {
        let hints = [
            Bson::from("_id_"),
            Bson::Document(doc! { "_id": 1 }),
            Bson::Document(doc! { "$natural": 1 }),
            Bson::Document(doc! { "$natural": -1 }),
            Bson::from("nowhere"),
            Bson::Document(doc! { "n": 1 }),
        ];
        to.insert("hint", r.pick(&hints).clone());
    }
}

/// A command's `let`, now and then, and a query that looks at it.
fn variables(r: &mut Random, of: &mut Document, query: &str) -> Document {
    if !r.one_in(8) {
        return Document::new();
    }
    if r.one_in(2) {
        let test = doc! { r.text(&["$eq", "$lt", "$gte"]): ["$n", r.text(&["$$x", "$$y"])] };
        of.insert(query, doc! { "$expr": test });
    }
    let mut lets = doc! { "x": { "$literal": value(r, 1) } };
    if !r.one_in(4) {
        let second = [
            Bson::Document(doc! { "$ifNull": ["$$x", 1] }),
            Bson::Document(doc! { "$toInt": "$$x" }),
            Bson::from("$a"),
            Bson::Int32(2),
        ];
        lets.insert("y", r.pick(&second).clone());
    }
    doc! { "let": lets }
}

/// A filter from which an upsert takes fields.
fn equalities(r: &mut Random) -> Document {
    let mut query = Document::new();
    for _ in 0..*r.pick(&[1, 1, 2, 3]) {
        let at = r.text(&["a", "b", "a.b", "a.c", "l.0", "_id", "n", "_id.x", "l.b"]);
        let test = match r.below(10) {
            0..=3 => value(r, 2),
            4 => Bson::Document(doc! { "$eq": value(r, 1) }),
            5 => Bson::Document(doc! { "$in": values(r, 1) }),
            6 => Bson::Document(doc! { "$all": values(r, 1) }),
            7 => Bson::Document(doc! { "$gt": value(r, 0) }),
            8 => regex(r),
            _ => test(r, 1),
        };
        let part = doc! { at: test };
        match r.below(6) {
            0 => {
                query.insert("$and", vec![part]);
            }
            1 => {
                let mut branches = vec![part];
                if r.one_in(2) {
                    branches.push(filter(r, 0));
                }
                query.insert("$or", branches);
            }
            _ => query.extend(part),
        }
    }
    query
}

fn modify(r: &mut Random) -> Document {
    let query = if r.one_in(3) {
        doc! { "_id": r.below(14) as i32 }
    } else {
        filter(r, 2)
    };
    let mut modify = doc! { "findAndModify": "c", "query": query, "sort": sort(r) };
    if r.one_in(5) {
        modify.insert("remove", true);
    } else {
        let update = update(r, Kind::Any);
        if update.to_string().contains("$[e]") {
            modify.insert("arrayFilters", array_filters(r));
        }
        modify.insert("update", update);
        modify.insert("new", r.one_in(2));
        modify.insert("upsert", r.one_in(4));
    }
    if r.one_in(3) {
        modify.insert("fields", projection(r, true));
    }
    hinted(r, &mut modify);
    let lets = variables(r, &mut modify, "query");
    modify.extend(lets);
    modify
}

/// Expressions, on one document or on all.
fn evaluation(r: &mut Random, part: usize) -> Document {
    let mut stages = Vec::new();
    if !r.one_in(4) {
        stages.push(doc! { "$match": { "_id": r.below(8) as i32 } });
    }
    let depth = 1 + r.below(3);
    let expression = match part {
        6 => expression::typed(r, depth),
        part => expression::of(r, part, depth),
    };
    stages.push(match r.below(8) {
        0 => doc! { "$match": { "$expr": expression } },
        1 => doc! { "$set": { "v": expression } },
        _ => doc! { "$project": { "v": expression } },
    });
    doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
}

fn looking(r: &mut Random) -> Document {
    let mut stages = vec![doc! { "$sort": { "_id": 1 } }];
    match r.below(6) {
        0 => {
            let other = vec![doc! { "$match": filter(r, 1) }];
            stages.push(doc! { "$unionWith": { "coll": "d", "pipeline": other } });
        }
        1 => {
            let mut merge = doc! { "into": "out", "whenMatched": r.text(&["replace", "merge", "keepExisting", "fail"]), "whenNotMatched": r.text(&["insert", "discard", "fail"]) };
            if r.one_in(4) {
                merge.insert("whenMatched", vec![doc! { "$set": { "x": "$$new.a" } }]);
            }
            stages.push(doc! { "$merge": merge });
        }
        2 => {
            stages.push(doc! { "$match": filter(r, 1) });
            stages.push(doc! { "$out": "out" });
        }
        _ => {
            stages.push(lookup(r));
            if r.one_in(3) {
                stages.push(doc! { "$unwind": { "path": "$found", "preserveNullAndEmptyArrays": r.one_in(2) } });
            }
        }
    }
    doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
}

fn distinct(r: &mut Random) -> Document {
    if r.one_in(4) {
        let mut count = doc! { "count": "c", "query": filter(r, 2) };
        if r.one_in(2) {
            count.insert("skip", r.below(3) as i32);
        }
        if r.one_in(2) {
            count.insert("limit", r.below(5) as i32 - 1);
        }
        return count;
    }
    let mut distinct = doc! { "distinct": "c", "key": path(r) };
    if r.one_in(2) {
        distinct.insert("query", filter(r, 2));
    }
    distinct
}

/// An index of any kind.
pub(super) fn create_index(r: &mut Random, name: &str) -> Document {
    let mut key = doc! { r.text(&["a", "n", "l", "a.b", "b", "l.b", "a.0"]): *r.pick(&[1, -1, 1]) };
    if r.one_in(2) {
        key.insert(r.text(&["b", "n", "l.b", "c", "_id"]), *r.pick(&[1, -1]));
    }
    let mut index = doc! { "key": key, "name": name };
    match r.below(8) {
        0 => {
            index.insert("unique", true);
        }
        1 => {
            index.insert("sparse", true);
        }
        2 => {
            let filters = [
                doc! { "n": { "$gt": 0 } },
                doc! { "a": { "$exists": true } },
                doc! { "b": { "$type": "string" } },
                doc! { "n": { "$lte": 2 }, "b": "a" },
                doc! { "a": { "$ne": 1 } },
                doc! { "$or": [{ "n": 1 }, { "a": 1 }] },
            ];
            index.insert("partialFilterExpression", r.pick(&filters).clone());
            index.insert("unique", r.one_in(3));
        }
        3 => {
            index.insert("unique", true);
            index.insert("sparse", true);
        }
        _ => {}
    }
    doc! { "createIndexes": "c", "indexes": [index] }
}

fn indexed(r: &mut Random, step: i32) -> Document {
    match r.below(16) {
        0 => create_index(r, "k"),
        1 => doc! { "dropIndexes": "c", "index": r.text(&["i", "j", "k", "_id_", "*"]) },
        2 => doc! { "listIndexes": "c" },
        3..=4 => {
            // Which document is the first depends on the plan.
            let mut command = updating(r, Kind::Any, false);
            if let Ok(statements) = command.get_array_mut("updates")
                && let Some(Bson::Document(statement)) = statements.first_mut()
                && !statement
                    .get_document("q")
                    .is_ok_and(|q| q.get_i32("_id").is_ok())
            {
                statement.insert("multi", true);
            }
            command
        }
        5 => inserting(r, step),
        6 => {
            let mut command = deleting(r);
            if let Ok(statements) = command.get_array_mut("deletes")
                && let Some(Bson::Document(statement)) = statements.first_mut()
            {
                statement.insert("limit", 0);
            }
            command
        }
        7 => doc! { "count": "c", "query": filter(r, 2) },
        8 => distinct(r),
        9 => modify(r),
        10 => {
            let mut find = doc! { "find": "c", "filter": filter(r, 2) };
            find.insert(
                "hint",
                r.pick(&[
                    Bson::from("_id_"),
                    Bson::from("i"),
                    Bson::Document(doc! { "$natural": 1 }),
                    Bson::Document(doc! { "$natural": -1 }),
                    Bson::from("nowhere"),
                ])
                .clone(),
            );
            find
        }
        _ => sorted(r),
    }
}

/// A collation.
pub(super) fn collation(r: &mut Random) -> Document {
    let mut collation =
        doc! { "locale": r.text(&["en", "en", "de", "fr", "simple", "sv", "en_US", "xx"]) };
    if r.one_in(2) {
        collation.insert("strength", 1 + r.below(3) as i32);
    }
    if r.one_in(5) {
        collation.insert("numericOrdering", true);
    }
    if r.one_in(6) {
        collation.insert("caseLevel", true);
    }
    if r.one_in(8) {
        collation.insert("caseFirst", r.text(&["upper", "lower", "off"]));
    }
    if r.one_in(10) {
        collation.insert("strength", *r.pick(&[0, 4, 6]));
    }
    collation
}

/// A document of texts.
pub(super) fn texts(r: &mut Random, id: i32) -> Document {
    let mut document = doc! { "_id": id };
    for name in ["a", "b", "c", "l"] {
        let value = match r.below(6) {
            0 => value(r, 1),
            1 => Bson::Array(vec![string(r), string(r)]),
            2 => Bson::Document(doc! { "b": r.text(STRINGS) }),
            _ => Bson::from(r.text(STRINGS)),
        };
        document.insert(name, value);
    }
    document
}

fn collated(r: &mut Random, step: i32) -> Document {
    let text = |r: &mut Random| Bson::from(r.text(STRINGS));
    let filter = |r: &mut Random| {
        let at = r.text(&["a", "b", "l", "a.b", "_id"]);
        match r.below(5) {
            0..=1 => doc! { at: text(r) },
            2 => {
                doc! { at: { r.text(&["$gt", "$lte", "$ne", "$lt"]): text(r) } }
            }
            3 => doc! { at: { "$in": [text(r), text(r)] } },
            _ => {
                doc! { "$expr": { r.text(&["$eq", "$lt"]): [format!("${at}"), { "$literal": text(r) }] } }
            }
        }
    };
    let mut command = match r.below(10) {
        0..=1 => doc! { "find": "c", "filter": filter(r) },
        2..=3 => {
            doc! { "find": "c", "filter": {}, "sort": { r.text(&["a", "b", "l"]): *r.pick(&[1, -1]), "_id": 1 } }
        }
        4 => doc! { "distinct": "c", "key": r.text(&["a", "b", "l"]), "query": filter(r) },
        5 => doc! { "count": "c", "query": filter(r) },
        6 => {
            let group = doc! { "_id": format!("${}", r.text(&["a", "b"])), "n": { "$sum": 1 }, "s": { r.text(&["$min", "$max", "$addToSet"]): "$b" } };
            doc! { "aggregate": "c", "pipeline": [{ "$sort": { "_id": 1 } }, { "$group": group }], "cursor": {} }
        }
        7 => {
            let expression = expression_of_texts(r);
            doc! { "aggregate": "c", "pipeline": [{ "$match": filter(r) }, { "$project": { "v": expression } }], "cursor": {} }
        }
        8 => {
            let mut update = doc! { "$set": { "z": step } };
            if r.one_in(2) {
                update = doc! { r.text(&["$pull", "$addToSet", "$min", "$max"]): { r.text(&["l", "a"]): text(r) } };
            }
            let mut statement = doc! { "q": filter(r), "u": update, "multi": true };
            if !r.one_in(3) {
                statement.insert("collation", collation(r));
            }
            return doc! { "update": "c", "updates": [statement] };
        }
        _ => {
            if r.one_in(3) {
                let mut index = doc! { "key": { "a": 1 }, "name": "i", "unique": r.one_in(3) };
                index.insert("collation", collation(r));
                return doc! { "createIndexes": "c", "indexes": [index] };
            }
            doc! { "findAndModify": "c", "query": filter(r), "sort": { "a": 1, "_id": 1 }, "update": { "$set": { "z": step } } }
        }
    };
    if !r.one_in(4) {
        command.insert("collation", collation(r));
    }
    command
}

fn expression_of_texts(r: &mut Random) -> Document {
    let (x, y) = (
        format!("${}", r.text(&["a", "b", "l"])),
        Bson::Document(doc! { "$literal": r.text(STRINGS) }),
    );
    match r.below(6) {
        0 => doc! { r.text(&["$eq", "$lt", "$cmp", "$gte"]): [x, y] },
        1 => doc! { "$in": [y, ["$a", "$b"]] },
        2 => doc! { r.text(&["$max", "$min"]): ["$a", "$b", y] },
        3 => doc! { "$indexOfArray": [["$a", "$b"], y] },
        4 => doc! { "$setEquals": [["$a"], ["$b"]] },
        _ => doc! { "$cond": [{ "$gt": [x, y] }, "more", "not"] },
    }
}
