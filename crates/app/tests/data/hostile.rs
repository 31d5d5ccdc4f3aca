//! What somebody sends who means harm: operators and stages in every place,
//! documents and paths that are too deep, too large or too many, patterns that
//! never end, operators in values that rules use.

use std::time::{Duration, Instant};

use bson::{RawArrayBuf, RawDocumentBuf, cstr, rawdoc};

use super::{World, raw};

const ALL: &str = r#"{"name":"all","apply_when":{},"read":true,"write":true}"#;

#[tokio::test]
async fn operators_are_refused_in_every_place() {
    let w = World::with(ALL, r#"{"_id":1,"a":"x"}"#).await;
    let queries = [
        r#"{"OP":1}"#,
        r#"{"$or":[{"a":1},{"OP":1}]}"#,
        r#"{"$and":[{"$nor":[{"OP":1}]}]}"#,
        r#"{"a":{"$not":{"OP":1}}}"#,
        r#"{"a":{"$elemMatch":{"b":{"OP":1}}}}"#,
        r#"{"a":{"$all":[{"$elemMatch":{"OP":1}}]}}"#,
        r#"{"a":{"$in":[{"OP":1}]}}"#,
    ];
    for operator in ["$where", "$expr", "$regex", "$text", "$jsonSchema", "$near"] {
        for query in queries {
            let query = query.replace("OP", operator);
            let update = r#""update":{"$set":{"a":1}}"#;
            for (action, arguments) in [
                ("find", format!(r#"{{"query":{query}}}"#)),
                ("findOne", format!(r#"{{"query":{query}}}"#)),
                ("count", format!(r#"{{"query":{query}}}"#)),
                ("distinct", format!(r#"{{"field":"a","query":{query}}}"#)),
                (
                    "aggregate",
                    format!(r#"{{"pipeline":[{{"$match":{query}}}]}}"#),
                ),
                ("updateOne", format!(r#"{{"query":{query},{update}}}"#)),
                ("updateMany", format!(r#"{{"query":{query},{update}}}"#)),
                ("deleteMany", format!(r#"{{"query":{query}}}"#)),
                (
                    "findOneAndUpdate",
                    format!(r#"{{"filter":{query},{update}}}"#),
                ),
                ("findOneAndDelete", format!(r#"{{"filter":{query}}}"#)),
                (
                    "bulkWrite",
                    format!(r#"{{"operations":[{{"deleteOne":{{"filter":{query}}}}}]}}"#),
                ),
                (
                    "updateOne",
                    format!(
                        r#"{{"query":{{"_id":1}},"update":{{"$set":{{"a.$[e]":1}}}},"arrayFilters":[{query}]}}"#
                    ),
                ),
                (
                    "updateOne",
                    format!(r#"{{"query":{{"_id":1}},"update":{{"$pull":{{"a":{query}}}}}}}"#),
                ),
                (
                    "find",
                    format!(r#"{{"project":{{"a":{{"$elemMatch":{query}}}}}}}"#),
                ),
            ] {
                assert_eq!(
                    w.ann(action, &arguments).await,
                    format!("MongoDBError: {operator} is not allowed for users"),
                    "{action} {arguments}"
                );
            }
            let mut watch = rawdoc! { "database": "d", "collection": "c" };
            watch.append(cstr!("filter"), raw(&query));
            let user = w.user(r#"{"id":"ann"}"#);
            let problem = w.data.watch(&user, &watch).await.unwrap_err();
            assert_eq!(
                problem.message,
                format!("{operator} is not allowed for users")
            );
        }
    }
    assert_eq!(w.stored().await, r#"[{"_id":1,"a":"x"}]"#);
}

#[tokio::test]
async fn functions_are_refused_in_every_expression() {
    let w = World::with(ALL, r#"{"_id":1,"a":"x"}"#).await;
    for operator in ["$function", "$accumulator", "$setIsSubset"] {
        let call = format!(r#"{{"{operator}":{{"body":"x","args":[],"lang":"js"}}}}"#);
        for stage in [
            format!(r#"{{"$project":{{"b":{call}}}}}"#),
            format!(r#"{{"$set":{{"b":{{"$add":[1,{call}]}}}}}}"#),
            format!(r#"{{"$group":{{"_id":null,"n":{call}}}}}"#),
            format!(r#"{{"$group":{{"_id":{call}}}}}"#),
            format!(r#"{{"$replaceRoot":{{"newRoot":{call}}}}}"#),
            format!(r#"{{"$sortByCount":{call}}}"#),
        ] {
            assert_eq!(
                w.ann("aggregate", &format!(r#"{{"pipeline":[{stage}]}}"#))
                    .await,
                format!("MongoDBError: {operator} is not allowed for users"),
                "{stage}"
            );
        }
        let update = format!(r#"{{"query":{{"_id":1}},"update":[{{"$set":{{"b":{call}}}}}]}}"#);
        assert_eq!(
            w.ann("updateOne", &update).await,
            format!("MongoDBError: {operator} is not allowed for users")
        );
    }
}

#[tokio::test]
async fn stages_that_reach_elsewhere_are_refused() {
    let w = World::with(ALL, r#"{"_id":1,"a":"x"}"#).await;
    for stage in [
        r#"{"$out":"other"}"#,
        r#"{"$out":{"db":"d","coll":"other"}}"#,
        r#"{"$merge":{"into":"other"}}"#,
        r#"{"$lookup":{"from":"secrets","pipeline":[],"as":"s"}}"#,
        r#"{"$graphLookup":{"from":"secrets"}}"#,
        r#"{"$unionWith":"secrets"}"#,
        r#"{"$unionWith":{"coll":"secrets","pipeline":[]}}"#,
        r#"{"$facet":{"a":[{"$lookup":{"from":"secrets"}}]}}"#,
        r#"{"$documents":[{"a":1}]}"#,
        r#"{"$collStats":{}}"#,
        r#"{"$indexStats":{}}"#,
        r#"{"$currentOp":{}}"#,
        r#"{"$listSessions":{}}"#,
        r#"{"$changeStream":{}}"#,
    ] {
        let name = stage.split('"').nth(1).unwrap();
        for pipeline in [
            format!("[{stage}]"),
            format!(r#"[{{"$match":{{}}}},{stage}]"#),
        ] {
            assert_eq!(
                w.ann("aggregate", &format!(r#"{{"pipeline":{pipeline}}}"#))
                    .await,
                format!("MongoDBError: {name} is not allowed for users")
            );
        }
    }
    // For the system they are there, or not; never without effect.
    for stage in [r#"{"$out":"other"}"#, r#"{"$merge":{"into":"other2"}}"#] {
        let arguments = format!(r#"{{"pipeline":[{stage}]}}"#);
        let done = w.system("aggregate", &arguments).await;
        let other = if stage.contains("other2") {
            "other2"
        } else {
            "other"
        };
        let other = engine::Collection::new(&w.engine, "d", other);
        let written = other.count(bson::doc! {}).await.unwrap();
        assert_eq!(done.is_ok(), written > 0, "{stage}: {done:?}");
    }
    // A stage with a second name beside it is no stage.
    let two = r#"{"pipeline":[{"$match":{},"$lookup":{"from":"secrets"}}]}"#;
    assert_eq!(
        w.ann("aggregate", two).await,
        "MongoDBError: $lookup is not allowed for users"
    );
}

/// `{"a":{"a":…{}}}`, built without recursion.
fn deep(levels: usize) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    for _ in 0..levels {
        let mut outer = RawDocumentBuf::new();
        outer.append(cstr!("a"), document);
        document = outer;
    }
    document
}

#[tokio::test]
async fn what_is_too_deep_is_refused() {
    let w = World::with(ALL, r#"{"_id":1}"#).await;
    let ann = w.user(r#"{"id":"ann"}"#);
    let far = vec!["a"; 2000].join(".");
    let mut by_path = RawDocumentBuf::new();
    by_path.append(bson::raw::CString::try_from(far.clone()).unwrap(), 1);
    let stage = |name: &'static bson::raw::CStr, operand: &RawDocumentBuf| {
        let mut stage = RawDocumentBuf::new();
        stage.append(name, operand.as_ref());
        let mut stages = RawArrayBuf::new();
        stages.push(stage);
        stages
    };
    for access in [&ann, &app::data::Access::System] {
        for operand in [&deep(2000), &by_path] {
            for (action, name) in [
                ("find", cstr!("query")),
                ("find", cstr!("project")),
                ("find", cstr!("sort")),
                ("count", cstr!("query")),
                ("deleteMany", cstr!("query")),
                ("findOneAndDelete", cstr!("filter")),
            ] {
                let mut arguments = rawdoc! { "database": "d", "collection": "c" };
                arguments.append(name, operand.as_ref());
                let answer = w.data.run(access, action, &arguments, None).await;
                assert!(answer.is_err(), "{action} {name:?}");
            }
            for name in [cstr!("$set"), cstr!("$push"), cstr!("$inc"), cstr!("$pull")] {
                for upsert in [false, true] {
                    let mut update = RawDocumentBuf::new();
                    update.append(name, operand.as_ref());
                    let mut arguments =
                        rawdoc! { "database": "d", "collection": "c", "upsert": upsert };
                    arguments.append(cstr!("update"), update);
                    let answer = w.data.run(access, "updateOne", &arguments, None).await;
                    // MongoDB finds nothing to pull, however deep it looks.
                    let nothing = name == cstr!("$pull") && !w.is_embedded();
                    assert!(nothing || answer.is_err(), "{name:?}");
                }
            }
            for name in [
                cstr!("$match"),
                cstr!("$set"),
                cstr!("$project"),
                cstr!("$sort"),
                cstr!("$group"),
            ] {
                let mut arguments = rawdoc! { "database": "d", "collection": "c" };
                arguments.append(cstr!("pipeline"), stage(name, operand));
                let answer = w.data.run(access, "aggregate", &arguments, None).await;
                assert!(answer.is_err(), "{name:?}");
            }
        }
        let mut arguments = rawdoc! { "database": "d", "collection": "c" };
        arguments.append(cstr!("document"), deep(2000));
        assert!(
            w.data
                .run(access, "insertOne", &arguments, None)
                .await
                .is_err()
        );
    }
    assert_eq!(w.stored().await, r#"[{"_id":1}]"#);
}

#[tokio::test]
async fn depth_does_not_grow_step_by_step() {
    let w = World::with(ALL, r#"{"_id":1,"v":1}"#).await;
    // Each rename puts the value 90 levels further down.
    let far = vec!["b"; 90].join(".");
    let mut refused = false;
    for _ in 0..5 {
        let down = format!(r#"{{"query":{{"_id":1}},"update":{{"$rename":{{"v":"{far}"}}}}}}"#);
        let back = r#"{"query":{"_id":1},"update":{"$rename":{"b":"v"}}}"#;
        for update in [down.as_str(), back] {
            let answer = w.ann("updateOne", update).await;
            refused |= ["nested object depth", "maximum nesting depth"]
                .iter()
                .any(|text| answer.contains(text));
        }
    }
    assert!(refused);
    // So does each stage.
    let stage = format!(r#"{{"$project":{{"v.{far}":"$v"}}}}"#);
    let pipeline = vec![stage.as_str(); 50].join(",");
    let answer = w
        .ann("aggregate", &format!(r#"{{"pipeline":[{pipeline}]}}"#))
        .await;
    assert!(answer.starts_with("MongoDBError"), "{answer}");
    let many = vec![r#"{"$match":{}}"#; 1001].join(",");
    assert_eq!(
        w.ann("aggregate", &format!(r#"{{"pipeline":[{many}]}}"#))
            .await,
        "MongoDBError: Pipeline length must be no longer than 1000 stages"
    );
}

#[tokio::test]
async fn documents_have_a_size() {
    let w = World::with(ALL, r#"{"_id":1}"#).await;
    let insert = |bytes: usize| {
        rawdoc! { "database": "d", "collection": "c", "document": { "s": "x".repeat(bytes) } }
    };
    let ann = w.user(r#"{"id":"ann"}"#);
    let limit = kit::limit::DOCUMENT_BYTES_MAX;
    let problem = w
        .data
        .run(&ann, "insertOne", &insert(limit), None)
        .await
        .unwrap_err();
    assert!(
        problem.message.starts_with("object to insert too large"),
        "{}",
        problem.message
    );
    let large = rawdoc! { "database": "d", "collection": "c", "query": { "_id": 1 },
    "update": { "$set": { "s": "x".repeat(limit - 100) } } };
    w.data.run(&ann, "updateOne", &large, None).await.unwrap();
    let more =
        r#"{"query":{"_id":1},"update":{"$set":{"t":"TEXT"}}}"#.replace("TEXT", &"y".repeat(100));
    let answer = w.ann("updateOne", &more).await;
    assert_eq!(
        answer,
        "MongoDBError: Resulting document after update is larger than 16777216"
    );
    // Padding that a far index of an array asks for.
    let far = r#"{"query":{"_id":1},"update":{"$set":{"s":[],"l":[]}}}"#;
    w.ann("updateOne", far).await;
    let answer = w
        .ann(
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"l.2000000000":1}}}"#,
        )
        .await;
    assert!(answer.starts_with("MongoDBError"), "{answer}");
}

#[tokio::test]
async fn long_lists_and_bad_patterns_take_bounded_time() {
    let documents: Vec<String> = (0..2000)
        .map(|id| format!(r#"{{"_id":{id},"n":{id}}}"#))
        .collect();
    let w = World::with(ALL, &documents.join(",")).await;
    let start = Instant::now();
    let numbers: Vec<String> = (0..200_000).map(|n| (n * 3).to_string()).collect();
    let list = numbers.join(",");
    let query = format!(r#"{{"query":{{"n":{{"$in":[{list}]}}}}}}"#);
    assert_eq!(w.ann("count", &query).await, "667");
    let query = format!(r#"{{"query":{{"n":{{"$nin":[{list}]}}}}}}"#);
    assert_eq!(w.ann("count", &query).await, "1333");
    // Backtracks without end, but for the limit of steps.
    let text = format!("{}!", "a".repeat(200));
    w.seed(&format!(r#"{{"_id":-1,"s":"{text}"}}"#)).await;
    for pattern in [
        "(a+)+$",
        "(?=(a+)+$)a",
        r"(a|aa)+\\1$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ] {
        let query = format!(r#"{{"query":{{"s":{{"$regex":"{pattern}"}}}}}}"#);
        // An answer or a refusal, but soon.
        drop(w.system("find", &query).await);
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn names_are_not_operators() {
    let w = World::with(ALL, r#"{"_id":1}"#).await;
    for (update, text) in [
        (r#"{"$set":{"$a":1}}"#, "The dollar ($) prefixed field '$a'"),
        (
            r#"{"$set":{"a..b":1}}"#,
            "The update path 'a..b' contains an empty field name",
        ),
        (r#"{"$set":{"":1}}"#, "An empty update path is not valid."),
        (
            r#"{"$set":{"_id":2}}"#,
            "Performing an update on the path '_id'",
        ),
        (
            r#"{"$rename":{"_id":"b"}}"#,
            "Performing an update on the path '_id'",
        ),
    ] {
        let answer = w
            .ann(
                "updateOne",
                &format!(r#"{{"query":{{"_id":1}},"update":{update}}}"#),
            )
            .await;
        assert!(answer.contains(text), "{update}: {answer}");
    }
    assert!(
        w.ann("insertOne", r#"{"document":{"_id":{"$where":1}}}"#)
            .await
            .contains("_id fields may not contain '$'-prefixed fields")
    );
    // A name with a dot is one name, and is not what the path means.
    w.ann("insertOne", r#"{"document":{"_id":2,"a.b":1}}"#)
        .await;
    assert_eq!(w.ann("count", r#"{"query":{"a.b":1}}"#).await, "0");
}

/// Values of a user's own data are values, whatever they look like.
#[tokio::test]
async fn expansions_bring_no_operators() {
    let hostile = r#"{"id":"ann","custom_data":{"x":{"$ne":null}}}"#;
    let documents = r#"{"_id":1,"o":"ann"},{"_id":2,"o":"bob"}"#;
    let role = r#"{"name":"o","apply_when":{"o":"%%user.custom_data.x"},"read":true,"write":true}"#;
    let w = World::with(role, documents).await;
    assert_eq!(w.says(&w.user(hostile), "find", "{}").await, "[]");
    for query in [
        r#"{"o":"%%user.custom_data.x"}"#,
        r#"{"o":{"$in":["%%user.custom_data.x"]}}"#,
        r#"{"o":{"$not":"%%user.custom_data.x"}}"#,
        r#"{"$or":[{"o":"%%user.custom_data.x"}]}"#,
    ] {
        let rules = format!(
            r#"{{"database":"d","collection":"c","roles":[{ALL}],"filters":[{{"name":"f","query":{query}}}]}}"#
        );
        let w = World::new(&[("d/c/rules.json", &rules)]);
        w.seed(documents).await;
        let found = w.says(&w.user(hostile), "find", "{}").await;
        assert!(!found.contains("_id"), "{query}: {found}");
        let changed = w
            .says(
                &w.user(hostile),
                "updateMany",
                r#"{"update":{"$set":{"h":1}}}"#,
            )
            .await;
        assert!(!w.stored().await.contains("\"h\""), "{query}: {changed}");
    }
}
