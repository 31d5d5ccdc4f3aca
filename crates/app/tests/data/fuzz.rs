//! The door with anything as arguments: it answers, or refuses with a code that
//! is documented and as the caller's fault, and hidden texts stay inside.
//!
//! `BACKSTITCH_TEST_RULES=100000` for that many requests instead of a few.

use bson::{Bson, Document, RawDocumentBuf, doc};
use kit::Kind;

use super::differential::random::{self, Dice, Tally};
use super::{Access, World};

const ACTIONS: &[&str] = &[
    "find",
    "findOne",
    "count",
    "distinct",
    "aggregate",
    "insertOne",
    "insertMany",
    "updateOne",
    "updateMany",
    "replaceOne",
    "deleteOne",
    "deleteMany",
    "findOneAndUpdate",
    "findOneAndReplace",
    "findOneAndDelete",
    "bulkWrite",
    "watch",
    "drop",
    "__proto__",
    "",
];

const CODES: &[&str] = &[
    "NoMatchingRuleFound",
    "SchemaValidationFailedWrite",
    "MongoDBError",
    "InvalidParameter",
    "MissingParameter",
    "ServiceCommandNotFound",
    "FunctionExecutionError",
    "BadRequest",
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "s",
    "$s",
    "$$ROOT",
    "$$ROOT.s",
    "$$CURRENT",
    "$$this",
    "$t.s",
    "$d.s",
    "a.b",
    "a..b",
    "$",
    "$$",
    ".",
    "t.$",
    "t.$[]",
    "t.$[e]",
    "t.0.s",
    "__proto__",
    "\u{0}",
    "a\u{0}b",
    "\u{1f600}",
    "string",
    "null",
];

const NAMES: &[&str] = &[
    "a",
    "s",
    "t",
    "d",
    "o",
    "_id",
    "t.s",
    "d.s",
    "t.0",
    "t.$",
    "t.$[]",
    "t.$[e]",
    "e.s",
    "",
    ".",
    "$",
    "$$",
    "a..b",
    "__proto__",
    "\u{1f600}",
    "$and",
    "$or",
    "$nor",
    "$not",
    "$eq",
    "$ne",
    "$gt",
    "$in",
    "$nin",
    "$all",
    "$elemMatch",
    "$size",
    "$exists",
    "$type",
    "$mod",
    "$comment",
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$push",
    "$pull",
    "$pullAll",
    "$pop",
    "$addToSet",
    "$rename",
    "$bit",
    "$currentDate",
    "$setOnInsert",
    "$each",
    "$position",
    "$slice",
    "$sort",
    "$expr",
    "$regex",
    "$jsonSchema",
    "required",
    "$facet",
    "$toInt",
    "$text",
    "$match",
    "$project",
    "$group",
    "$addFields",
    "$replaceRoot",
    "newRoot",
    "$unwind",
    "path",
    "$limit",
    "$skip",
    "$sample",
    "size",
    "$count",
    "$sortByCount",
    "$bucket",
    "$bucketAuto",
    "groupBy",
    "boundaries",
    "buckets",
    "$setWindowFields",
    "sortBy",
    "output",
    "$densify",
    "$fill",
    "$redact",
    "$sum",
    "$first",
    "$last",
    "$cond",
    "$map",
    "input",
    "in",
    "as",
    "$filter",
    "$reduce",
    "$let",
    "vars",
    "$concat",
    "$add",
    "$getField",
    "$setField",
    "field",
    "value",
    "$objectToArray",
    "$arrayToObject",
    "$mergeObjects",
    "$convert",
    "to",
    "onError",
    "$toString",
    "$toObjectId",
    "$dateToString",
    "$regexMatch",
    "$zip",
    "$meta",
    "$literal",
    "$lookup",
    "$out",
    "$expr",
    "$function",
    "filter",
    "update",
    "document",
    "replacement",
    "insertOne",
    "updateMany",
    "deleteOne",
];

/// The keys of arguments.
const KEYS: &[&str] = &[
    "query",
    "filter",
    "project",
    "projection",
    "sort",
    "limit",
    "skip",
    "field",
    "pipeline",
    "document",
    "documents",
    "update",
    "upsert",
    "arrayFilters",
    "returnNewDocument",
    "operations",
    "ordered",
    "ids",
    "useCompactEvents",
    "collation",
    "hint",
    "schema_name",
    "database",
    "collection",
];

fn anything(dice: &mut Dice, depth: usize) -> Bson {
    match dice.below(if depth > 4 { 13 } else { 20 }) {
        0 => Bson::Null,
        1 => Bson::Boolean(dice.one_in(2)),
        2 => Bson::Int32([0, 1, -1, i32::MAX, i32::MIN][dice.below(5)]),
        3 => Bson::Int64([0, 1, -1, i64::MAX, i64::MIN][dice.below(5)]),
        4 => Bson::Double([0.0, 0.5, f64::NAN, f64::INFINITY, -1e300][dice.below(5)]),
        5 => Bson::Decimal128(
            dice.text(&["NaN", "Infinity", "1E+6144", "-0"])
                .parse()
                .unwrap(),
        ),
        6 => Bson::DateTime(bson::DateTime::from_millis(
            [0, i64::MAX, i64::MIN][dice.below(3)],
        )),
        7..=9 => Bson::String(dice.text(TEXTS).to_owned()),
        10 => Bson::Undefined,
        11 => [
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Symbol("x".to_owned()),
            Bson::JavaScriptCode("x".to_owned()),
            Bson::RegularExpression(bson::Regex {
                pattern: bson::raw::CString::try_from("(a+)+$").unwrap(),
                options: bson::raw::CString::try_from("i").unwrap(),
            }),
            Bson::Timestamp(bson::Timestamp {
                time: 1,
                increment: 0,
            }),
        ][dice.below(6)]
        .clone(),
        12 => random::value(dice, 3),
        13..=15 => Bson::Array(dice.many(4, |dice| anything(dice, depth + 1))),
        _ => Bson::Document(object(dice, depth + 1)),
    }
}

fn object(dice: &mut Dice, depth: usize) -> Document {
    let mut document = Document::new();
    for _ in 0..dice.below(4) {
        let name = dice.text(NAMES);
        document.insert(name, anything(dice, depth));
    }
    document
}

/// What an argument should be, mostly.
fn argument(key: &str, dice: &mut Dice) -> Bson {
    if dice.one_in(4) {
        return anything(dice, 0);
    }
    let objects =
        |dice: &mut Dice| Bson::Array(dice.many(3, |dice| Bson::Document(object(dice, 1))));
    match key {
        "pipeline" | "documents" | "arrayFilters" | "operations" => objects(dice),
        "ids" => Bson::Array(dice.many(3, |dice| anything(dice, 2))),
        "limit" | "skip" => Bson::Int32(dice.below(3) as i32),
        "upsert" | "ordered" | "returnNewDocument" | "useCompactEvents" => {
            Bson::Boolean(dice.one_in(2))
        }
        "field" => Bson::String(dice.text(NAMES).to_owned()),
        "schema_name" => Bson::String("x".to_owned()),
        "update" if dice.one_in(4) => objects(dice),
        _ => Bson::Document(object(dice, 1)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_is_answered_or_refused() {
    const DOCUMENTS: &str = r#"
        {"_id":1,"o":"ann","a":1,"s":"SECRET1","t":[{"v":1,"s":"SECRET2"},{"v":2,"s":"SECRET3"}],"d":{"v":1,"s":"SECRET4"}},
        {"_id":2,"o":"bob","a":2,"s":"SECRET5"}"#;
    let roles = r#"{"name":"r","apply_when":{"o":"%%user.id"},"fields":{
        "_id":{"read":true},"o":{"read":true},"a":{"read":true,"write":true},
        "t":{"fields":{"v":{"read":true}}},"d":{"fields":{"v":{"read":true}}}}}"#;
    let open = r#"{"name":"all","apply_when":{"o":"%%user.id"},"read":true,"write":true}"#;
    let mut tally = Tally::default();
    let mut seed = 0;
    let allowed = r#"{"allow_user_operators":["$expr","$regex","$jsonSchema","$facet","$setIsSubset",
        "$bitsAllSet","$text","$near","$geoWithin"]}"#;
    let protected = allowed.replace("]}", r#"],"protect_hidden_fields":true}"#);
    let worlds = [
        (World::with(roles, DOCUMENTS).await, true),
        (World::set(roles, allowed, DOCUMENTS).await, true),
        (World::set(roles, &protected, DOCUMENTS).await, true),
        (World::with(open, DOCUMENTS).await, false),
        (World::set(open, allowed, DOCUMENTS).await, false),
    ];
    let cases = random::cases(if worlds[0].0.is_embedded() { 4000 } else { 800 });
    while seed < cases {
        let dice = &mut Dice::new(seed);
        let (w, masks) = &worlds[dice.below(worlds.len())];
        seed += 1;
        if seed % 20 == 0 {
            w.system("deleteMany", "{}").await.unwrap();
            w.seed(DOCUMENTS).await;
        }
        let action = dice.text(ACTIONS);
        let mut arguments = doc! { "database": "d", "collection": "c" };
        for key in KEYS {
            let seldom = matches!(*key, "database" | "collection");
            if dice.one_in(if seldom { 45 } else { 5 }) {
                arguments.insert(*key, argument(key, dice));
            }
        }
        // The system may write everything everywhere: what users are hidden
        // would not stay hidden.
        let system = dice.one_in(3) && !masks;
        let access = if system {
            Access::System
        } else {
            w.user(r#"{"id":"ann","custom_data":{}}"#)
        };
        let Ok(raw) = RawDocumentBuf::try_from(&arguments) else {
            continue;
        };
        let say = || format!("seed {}: {action} {arguments} (system: {system})", seed - 1);
        let opened = if action == "watch" {
            w.data.watch(&access, &raw).await.map(|_| Bson::Null)
        } else {
            let answer = w.data.run(&access, action, &raw, None).await;
            answer.map(|value| Bson::try_from(value).unwrap())
        };
        let said = match opened {
            Ok(value) => {
                tally.count("answered");
                value.to_string()
            }
            Err(problem) => {
                tally.count("refused");
                assert!(
                    !matches!(problem.kind, Kind::Internal | Kind::Unavailable),
                    "{problem:?}: {}",
                    say()
                );
                assert!(CODES.contains(&&*problem.code), "{problem:?}: {}", say());
                problem.message.clone()
            }
        };
        assert!(!masks || !said.contains("SECRET"), "{said}: {}", say());
    }
    for (w, _) in worlds.iter().filter(|(_, masks)| *masks) {
        let arguments = r#"{"query":{"s":"SECRET5"}}"#;
        let hidden = w.system("find", arguments).await.unwrap();
        assert_eq!(hidden, r#"[{"_id":2,"o":"bob","a":2,"s":"SECRET5"}]"#);
    }
    println!("{seed} requests: {tally:?}");
    tally.met(&["answered", "refused"]);
}
