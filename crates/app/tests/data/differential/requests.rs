//! Random requests and filters.

use bson::{Bson, Document, doc};

use super::oracle::Asker;
use super::random::{self, Dice};

/// One request of a user, without its namespace.
pub(super) struct Request {
    pub(super) action: &'static str,
    pub(super) arguments: Document,
}

impl Request {
    pub(super) fn query(&self) -> Document {
        let query = self.arguments.get_document("query");
        let query = query.or_else(|_| self.arguments.get_document("filter"));
        query.cloned().unwrap_or_default()
    }

    pub(super) fn projection(&self) -> Option<&Document> {
        let projection = self.arguments.get_document("project").ok()?;
        (!projection.is_empty()).then_some(projection)
    }

    pub(super) fn inserts(&self) -> Vec<&Document> {
        match self.arguments.get_array("documents") {
            Ok(list) => list.iter().filter_map(Bson::as_document).collect(),
            Err(_) => self
                .arguments
                .get_document("document")
                .into_iter()
                .collect(),
        }
    }

    pub(super) fn upserts(&self) -> bool {
        self.arguments.get_bool("upsert").unwrap_or(false)
    }

    pub(super) fn returns_new(&self) -> bool {
        self.arguments
            .get_bool("returnNewDocument")
            .unwrap_or(false)
    }

    pub(super) fn is_pipeline(&self) -> bool {
        self.arguments.get_array("update").is_ok()
    }

    /// Whether the order of the answer is said.
    pub(super) fn is_ordered(&self) -> bool {
        !matches!(self.action, "distinct" | "aggregate")
    }

    /// Whether an engine may do without computing what would fail.
    pub(super) fn may_skip(&self) -> bool {
        matches!(self.action, "aggregate" | "find" | "findOne")
    }
}

/// A filter as it is written.
#[derive(Clone)]
pub(super) struct Filter {
    pub(super) written: Document,
}

impl Filter {
    /// The query with its values; `None` when one is not there.
    pub(super) fn query(&self, asker: &Asker) -> Option<Document> {
        let query = self.written.get_document("query").ok()?;
        match filled(&Bson::Document(query.clone()), asker)? {
            Bson::Document(query) => Some(query),
            _ => None,
        }
    }

    pub(super) fn projection(&self) -> Document {
        let projection = self.written.get_document("projection");
        projection.cloned().unwrap_or_default()
    }
}

fn filled(value: &Bson, asker: &Asker) -> Option<Bson> {
    Some(match value {
        Bson::String(text) if text.starts_with("%%user.") => {
            let mut found = Bson::Document(asker.user.clone());
            for name in text.trim_start_matches("%%user.").split('.') {
                found = found.as_document()?.get(name)?.clone();
            }
            found
        }
        Bson::Array(list) => Bson::Array(
            list.iter()
                .map(|value| filled(value, asker))
                .collect::<Option<_>>()?,
        ),
        Bson::Document(document) => {
            let mut all = Document::new();
            for (name, value) in document {
                all.insert(name.replace('%', "$"), filled(value, asker)?);
            }
            Bson::Document(all)
        }
        other => other.clone(),
    })
}

/// The filters of a rule set: mostly none. Their projections go together.
pub(super) fn filters(dice: &mut Dice) -> Vec<Filter> {
    if !dice.one_in(3) {
        return Vec::new();
    }
    let inclusive = dice.one_in(3);
    let count = 1 + dice.below(2);
    (0..count)
        .map(|index| filter(dice, index, inclusive))
        .collect()
}

fn filter(dice: &mut Dice, index: usize, inclusive: bool) -> Filter {
    let query = match dice.below(7) {
        0 => doc! { "o": "%%user.id" },
        1 => doc! { "a": { "$ne": 1 } },
        2 => doc! { "a": { "%in": "%%user.custom_data.teams" } },
        3 => doc! { "b": "%%user.custom_data.none" },
        4 => doc! { "$or": [{ "o": "%%user.id" }, { "a": { "%exists": true } }] },
        5 => doc! { "o": { "$in": ["%%user.id", "ann"] } },
        _ => Document::new(),
    };
    let mut written = doc! { "name": format!("f{index}"), "query": query };
    if dice.one_in(3) {
        written.insert("apply_when", doc! { "%%user.type": "normal" });
    }
    if dice.one_in(2) {
        let name = dice.text(&["a", "o", "t"]);
        let mut projection = doc! { name: i32::from(inclusive) };
        if dice.one_in(3) {
            projection.insert("_id", 0);
        }
        written.insert("projection", projection);
    }
    Filter { written }
}

/// A name that queries ask for.
fn path(dice: &mut Dice) -> &'static str {
    dice.text(&[
        "a", "b", "o", "t", "d", "_id", "d.a", "d.b", "t.0", "d.d.a", "t.a",
    ])
}

/// A value of a document that is there, or any.
fn met(dice: &mut Dice, stored: &[Document]) -> Bson {
    let document = &stored[dice.below(stored.len())];
    let at = dice.below(document.len());
    match document.values().nth(at) {
        Some(value) if !dice.one_in(3) => value.clone(),
        _ => random::value(dice, 2),
    }
}

fn query(dice: &mut Dice, stored: &[Document], depth: usize) -> Document {
    let mut query = Document::new();
    for _ in 0..dice.below(3) {
        if depth < 2 && dice.one_in(5) {
            let list: Vec<Document> = (0..=dice.below(2))
                .map(|_| self::query(dice, stored, depth + 1))
                .collect();
            query.insert(dice.text(&["$or", "$and", "$nor"]), list);
            continue;
        }
        let value = met(dice, stored);
        let test = match dice.below(12) {
            0..=4 => value,
            5 => bson::bson!({ dice.text(&["$gt", "$gte", "$lt", "$lte"]): value }),
            6 => bson::bson!({ "$ne": value }),
            7 => {
                let list = vec![value, met(dice, stored)];
                bson::bson!({ dice.text(&["$in", "$nin"]): list })
            }
            8 => bson::bson!({ "$exists": dice.one_in(2) }),
            9 => bson::bson!({ "$not": { "$eq": value } }),
            10 => bson::bson!({ "$elemMatch": { "a": value } }),
            _ => bson::bson!({ "$type": dice.text(&["string", "array", "object", "int"]) }),
        };
        query.insert(path(dice), test);
    }
    query
}

fn projection(dice: &mut Dice) -> Document {
    match dice.below(12) {
        0 => doc! { "a": 1 },
        1 => doc! { "a": 0, "d.a": 0 },
        2 => doc! { "d.a": 1, "_id": 0 },
        3 => doc! { "x": "$a", "y": "$d" },
        4 => doc! { "x": "$$ROOT" },
        5 => doc! { "x": { "$getField": "b" }, "o": 1 },
        6 => doc! { "x": "$$CURRENT.a", "y": { "$ifNull": ["$d.a", "none"] } },
        7 => doc! { "t": { "$slice": 1 } },
        8 => doc! { "t": { "$elemMatch": { "a": { "$exists": true } } } },
        9 => doc! { "x": { "$objectToArray": "$$ROOT" } },
        10 => doc! { "x": { "$setUnion": [["$a"], ["$b"], ["$o"]] } },
        _ => doc! { "_id": 0 },
    }
}

/// A read.
pub(super) fn read(dice: &mut Dice, stored: &[Document]) -> Request {
    let mut arguments = doc! { "query": query(dice, stored, 0) };
    let action = dice.text(&[
        "find",
        "find",
        "find",
        "findOne",
        "count",
        "distinct",
        "aggregate",
    ]);
    match action {
        "find" | "findOne" => {
            let up = if dice.one_in(2) { 1 } else { -1 };
            let mut sort = Document::new();
            if dice.one_in(2) {
                sort.insert(path(dice), up);
            }
            sort.insert("_id", up);
            arguments.insert("sort", sort);
            if dice.one_in(3) {
                arguments.insert("skip", dice.below(4) as i32);
            }
            if dice.one_in(3) {
                arguments.insert("limit", 1 + dice.below(4) as i32);
            }
            if dice.one_in(2) {
                arguments.insert("project", projection(dice));
            }
        }
        "count" => {
            if dice.one_in(3) {
                arguments.insert("limit", 1 + dice.below(4) as i32);
            }
        }
        "distinct" => {
            arguments.insert("field", path(dice));
        }
        _ => arguments = doc! { "pipeline": pipeline(dice, stored) },
    }
    Request { action, arguments }
}

fn pipeline(dice: &mut Dice, stored: &[Document]) -> Vec<Document> {
    let count = 1 + dice.below(3);
    let mut stages = Vec::new();
    for _ in 0..count {
        stages.push(match dice.below(12) {
            0..=2 => doc! { "$match": query(dice, stored, 0) },
            3 => doc! { "$project": projection(dice) },
            4 => doc! { "$group": { "_id": format!("${}", path(dice)), "n": { "$sum": 1 } } },
            5 => doc! { "$addFields": { "x": "$$ROOT" } },
            6 => doc! { "$unwind": "$t" },
            7 => doc! { "$replaceRoot": { "newRoot": { "v": { "$objectToArray": "$$ROOT" } } } },
            8 => doc! { "$group": { "_id": null, "n": { "$sum": 1 }, "m": { "$push": "$b" } } },
            9 => doc! { "$set": { "x": { "$cond": [{ "$gt": ["$a", "red"] }, "$d.a", "$b"] } } },
            10 => doc! { "$unset": ["a", "d.a"] },
            _ => doc! { "$match": { "x": { "$exists": true } } },
        });
    }
    stages
}

/// Writes of one `bulkWrite`.
pub(super) fn bulk(dice: &mut Dice, stored: &[Document]) -> Vec<Request> {
    let all = dice.many(5, |dice| write(dice, stored)).into_iter();
    all.filter(|request| {
        let findings = request.action.starts_with("findOne");
        !findings && request.action != "insertMany"
    })
    .collect()
}

/// A `bulkWrite` of these.
pub(super) fn bulk_write(requests: &[Request], ordered: bool) -> Request {
    let operation = |request: &Request| {
        let mut body = request.arguments.clone();
        for (from, to) in [("query", "filter"), ("update", "replacement")] {
            let renames = from == "query" || request.action == "replaceOne";
            if renames && let Some(value) = body.remove(from) {
                body.insert(to, value);
            }
        }
        doc! { request.action: body }
    };
    let operations: Vec<Document> = requests.iter().map(operation).collect();
    Request {
        action: "bulkWrite",
        arguments: doc! { "operations": operations, "ordered": ordered },
    }
}

/// A write.
pub(super) fn write(dice: &mut Dice, stored: &[Document]) -> Request {
    let action = dice.text(&[
        "insertOne",
        "insertMany",
        "updateOne",
        "updateOne",
        "updateMany",
        "updateMany",
        "replaceOne",
        "deleteOne",
        "deleteMany",
        "findOneAndUpdate",
        "findOneAndUpdate",
        "findOneAndReplace",
        "findOneAndDelete",
    ]);
    let id = |dice: &mut Dice| stored[dice.below(stored.len())]["_id"].clone();
    let fresh = 100 + stored.len() as i32 + dice.below(1_000_000) as i32;
    let mut no_secrets = 0;
    let mut document = |dice: &mut Dice, id: i32| {
        let document = random::document(dice, id, &mut no_secrets);
        without_secrets(Bson::Document(document))
    };
    let upserts = dice.one_in(5);
    // Of one that is there, or that upserts make.
    let one = |dice: &mut Dice| {
        let id = if upserts && !dice.one_in(4) {
            Bson::Int32(fresh)
        } else {
            id(dice)
        };
        let mut query = doc! { "_id": id };
        if upserts && dice.one_in(2) {
            query.insert(dice.text(&["a", "o", "d.a"]), met(dice, stored));
        }
        query
    };
    let mut arguments = match action {
        "insertOne" => doc! { "document": document(dice, fresh) },
        "insertMany" => {
            let list: Vec<Bson> = (0..=dice.below(3) as i32)
                .map(|more| document(dice, fresh + more))
                .collect();
            doc! { "documents": list }
        }
        "updateMany" => {
            let query = if upserts {
                one(dice)
            } else {
                query(dice, stored, 1)
            };
            updating(dice, stored, "query", query)
        }
        "deleteMany" => doc! { "query": { "_id": { "$in": [id(dice), id(dice)] } } },
        "deleteOne" => doc! { "query": { "_id": id(dice) } },
        "updateOne" => {
            let query = one(dice);
            updating(dice, stored, "query", query)
        }
        "replaceOne" | "findOneAndReplace" => {
            let query = one(dice);
            let known = stored
                .iter()
                .find(|known| known.get("_id") == query.get("_id"));
            let mut after = random::changed(dice, known.unwrap_or(&stored[0]));
            after.remove("_id");
            doc! { "query": query, "update": without_secrets(Bson::Document(after)) }
        }
        "findOneAndUpdate" => {
            let query = if upserts {
                one(dice)
            } else {
                query(dice, stored, 1)
            };
            let mut arguments = updating(dice, stored, "filter", query);
            arguments.insert("sort", doc! { "_id": 1 });
            arguments
        }
        _ => doc! { "filter": { "_id": id(dice) }, "sort": { "_id": 1 } },
    };
    if arguments.contains_key("update") {
        if upserts {
            arguments.insert("upsert", true);
        }
        if action.starts_with("findOneAnd") && dice.one_in(2) {
            arguments.insert("returnNewDocument", true);
        }
    }
    Request { action, arguments }
}

/// Arguments of an update: some go by places in arrays, and ask for one there.
fn updating(dice: &mut Dice, stored: &[Document], name: &str, query: Document) -> Document {
    let value = |dice: &mut Dice| without_secrets(met(dice, stored));
    let mut arguments = doc! { name: query };
    let array = dice.text(&["t", "t", "d", "a", "d.t"]);
    let inside = dice.text(&["", "", ".a", ".b"]);
    let place = match dice.below(12) {
        0 => {
            let query = arguments.get_document_mut(name).expect("it was put there");
            let test = match dice.below(3) {
                0 => bson::bson!({ "$exists": true }),
                1 => bson::bson!({ "$elemMatch": { "a": { "$exists": dice.one_in(2) } } }),
                _ => value(dice),
            };
            query.insert(array, test);
            format!("{array}.${inside}")
        }
        1 => format!("{array}.$[]{inside}"),
        2 => {
            let test = match dice.below(3) {
                0 => doc! { "x": value(dice) },
                1 => doc! { "x.a": { "$gte": value(dice) } },
                _ => {
                    doc! { "$or": [{ "x": { "$type": "object" } }, { "x": { "$lt": value(dice) } }] }
                }
            };
            arguments.insert("arrayFilters", vec![test]);
            format!("{array}.$[x]{inside}")
        }
        _ => {
            arguments.insert("update", update(dice, stored));
            return arguments;
        }
    };
    let update = match dice.below(5) {
        0 => bson::bson!({ "$unset": { place: 1 } }),
        1 => bson::bson!({ "$inc": { place: 1 } }),
        2 => bson::bson!({ "$set": { place: value(dice), "x": value(dice) } }),
        _ => bson::bson!({ "$set": { place: value(dice) } }),
    };
    arguments.insert("update", update);
    arguments
}

/// What callers make up has no secrets.
fn without_secrets(value: Bson) -> Bson {
    match value {
        Bson::String(text) if text.starts_with("secret") => Bson::String("red".to_owned()),
        Bson::Document(document) => Bson::Document(
            document
                .into_iter()
                .map(|(name, value)| (name, without_secrets(value)))
                .collect(),
        ),
        Bson::Array(array) => Bson::Array(array.into_iter().map(without_secrets).collect()),
        other => other,
    }
}

fn update(dice: &mut Dice, stored: &[Document]) -> Bson {
    let field = |dice: &mut Dice| dice.text(&["a", "b", "o", "t", "d.a", "d", "t.0", "d.d.a", "x"]);
    let value = |dice: &mut Dice| without_secrets(met(dice, stored));
    match dice.below(21) {
        16 => bson::bson!({ "$pop": { field(dice): (if dice.one_in(2) { 1 } else { -1 }) } }),
        17 => {
            let each = vec![value(dice), value(dice)];
            bson::bson!({ "$push": { field(dice): { "$each": each, "$slice": -2, "$sort": 1 } } })
        }
        18 => bson::bson!({ "$pullAll": { field(dice): [value(dice)] } }),
        19 => {
            bson::bson!({ "$setOnInsert": { field(dice): value(dice) }, "$set": { "b": value(dice) } })
        }
        20 => bson::bson!({ "$push": { field(dice): { "$each": [value(dice)], "$position": 0 } } }),
        0..=3 => bson::bson!({ "$set": { field(dice): value(dice) } }),
        4 => bson::bson!({ "$unset": { field(dice): 1 } }),
        5 => bson::bson!({ "$inc": { field(dice): 1 } }),
        6 => bson::bson!({ "$push": { field(dice): value(dice) } }),
        7 => {
            bson::bson!({ "$rename": { dice.text(&["a", "b", "d.a"]): dice.text(&["x", "o", "t"]) } })
        }
        8 => bson::bson!({ "$pull": { field(dice): value(dice) } }),
        9 => bson::bson!({ dice.text(&["$min", "$max"]): { field(dice): value(dice) } }),
        10 => bson::bson!({ "$addToSet": { field(dice): value(dice) } }),
        11 => bson::bson!({ "$mul": { field(dice): 2 } }),
        12 => bson::bson!([{ "$set": { "x": "$a" } }]),
        13 => bson::bson!([{ "$set": { "b": { "$concat": ["$a", "y"] } } }]),
        14 => bson::bson!({ "$bit": { field(dice): { "or": 1 } } }),
        _ => bson::bson!({ "$set": { "a": value(dice), "b": value(dice) } }),
    }
}
