//! Attempts to read or to change what a rule forbids, by theme. Each is refused,
//! or answered as if what is hidden were not stored; the reason is beside it.
//! No answer has `SECRET`, unless the caller sent it, and no refused request
//! changes a byte.

#[path = "attacks/allowed.rs"]
mod allowed;
#[path = "attacks/events.rs"]
mod events;
#[path = "attacks/names.rs"]
mod names;
#[path = "attacks/writes.rs"]
mod writes;

use super::{Access, World, raw, relaxed};

/// Own documents, of which `s`, `n` and what is below `t` and `d` besides `v`
/// are hidden, and only `a` may be written.
const FIELDS: &str = r#"{"name":"r","apply_when":{"o":"%%user.id"},"fields":{
    "_id":{"read":true},"o":{"read":true},"a":{"read":true,"write":true},
    "t":{"fields":{"v":{"read":true}}},"d":{"fields":{"v":{"read":true}}}}}"#;
const DOCUMENTS: &str = r#"
    {"_id":1,"o":"ann","a":1,"s":"SECRET1","n":5,"t":[{"v":1,"s":"SECRET2"},{"v":2,"s":"SECRET3"}],"d":{"v":1,"s":"SECRET4"}},
    {"_id":2,"o":"bob","a":2,"s":"SECRET5"}"#;
const SHOWN: &str = r#"{"_id":1,"o":"ann","a":1,"t":[{"v":1},{"v":2}],"d":{"v":1}}"#;

/// An owner rule that a query says as a whole.
const OWNER: &str = r#"{"name":"o","apply_when":{"o":"%%user.id"},"read":true,"write":true}"#;

/// Sends as `ann`; the answer has nothing that is hidden.
async fn sends(w: &World, action: &str, arguments: &str) -> String {
    let said = w.ann(action, arguments).await;
    assert!(
        !said.contains("SECRET") || arguments.contains("SECRET"),
        "{action} {arguments}: {said}"
    );
    said
}

/// Action, arguments, answer. `SHOWN` is what is visible of the first document,
/// `…` at the end leaves the rest to the engine.
async fn answers(w: &World, table: &[(&str, &str, &str)]) {
    for (action, arguments, expected) in table {
        let said = sends(w, action, arguments).await;
        let expected = expected.replace("SHOWN", SHOWN);
        let is_it = match expected.strip_suffix('…') {
            Some(begin) => said.starts_with(begin),
            None => said == expected,
        };
        assert!(is_it, "{action} {arguments}: {said}, not {expected}");
    }
}

#[tokio::test]
async fn projections_compute_on_what_is_shown() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let table = [
        // A hidden field is not there: whoever names it gets nothing.
        (r#"{"s":1}"#, r#"[{"_id":1}]"#),
        (r#"{"d.s":1}"#, r#"[{"_id":1,"d":{}}]"#),
        (r#"{"t.s":1}"#, r#"[{"_id":1,"t":[{},{}]}]"#),
        (r#"{"x":"$s"}"#, r#"[{"_id":1}]"#),
        (r#"{"x":"$t.s"}"#, r#"[{"_id":1,"x":[]}]"#),
        (r#"{"x":"$$CURRENT.s"}"#, r#"[{"_id":1}]"#),
        (r#"{"x":"$$ROOT.d.s"}"#, r#"[{"_id":1}]"#),
        // The root is what is shown.
        (r#"{"x":"$$ROOT"}"#, r#"[{"_id":1,"x":SHOWN}]"#),
        (
            r#"{"x":{"$mergeObjects":["$$ROOT",{"s":"$s"}]}}"#,
            r#"[{"_id":1,"x":SHOWN}]"#,
        ),
        (r#"{"x":{"$getField":"s"}}"#, r#"[{"_id":1}]"#),
        (
            r#"{"x":{"$getField":{"field":"s","input":"$$ROOT"}}}"#,
            r#"[{"_id":1}]"#,
        ),
        (
            r#"{"x":{"$let":{"vars":{"r":"$$ROOT"},"in":"$$r.s"}}}"#,
            r#"[{"_id":1}]"#,
        ),
        (
            r#"{"x":{"$map":{"input":"$t","in":"$$this.s"}}}"#,
            r#"[{"_id":1,"x":[null,null]}]"#,
        ),
        (
            r#"{"x":{"$size":{"$objectToArray":"$$ROOT"}}}"#,
            r#"[{"_id":1,"x":5}]"#,
        ),
        (
            r#"{"x":{"$objectToArray":"$d"}}"#,
            r#"[{"_id":1,"x":[{"k":"v","v":1}]}]"#,
        ),
        // Nor can it be compared with.
        (r#"{"x":{"$type":"$s"}}"#, r#"[{"_id":1,"x":"missing"}]"#),
        (
            r#"{"x":{"$ifNull":["$s","none"]}}"#,
            r#"[{"_id":1,"x":"none"}]"#,
        ),
        (
            r#"{"x":{"$cond":[{"$eq":["$s","SECRET1"]},"yes","no"]}}"#,
            r#"[{"_id":1,"x":"no"}]"#,
        ),
        // Text is text.
        (r#"{"x":{"$literal":"$s"}}"#, r#"[{"_id":1,"x":"$s"}]"#),
        // Arrays are cut and searched as they are shown.
        (
            r#"{"t":{"$slice":1}}"#,
            r#"[{"_id":1,"o":"ann","a":1,"t":[{"v":1}],"d":{"v":1}}]"#,
        ),
        (r#"{"t":{"$elemMatch":{"s":"SECRET3"}}}"#, r#"[{"_id":1}]"#),
        // What the server knows of itself.
        (
            r#"{"x":"$$SEARCH_META"}"#,
            "MongoDBError: $$SEARCH_META is not allowed for users",
        ),
        (
            r#"{"x":{"$toString":"$$USER_ROLES.db"}}"#,
            "MongoDBError: $$USER_ROLES is not allowed for users",
        ),
        (
            r#"{"x":{"$_internalJsEmit":{}}}"#,
            "MongoDBError: $_internalJsEmit is not allowed for users",
        ),
    ];
    for (projection, expected) in table {
        for action in ["find", "findOne"] {
            let arguments = format!(r#"{{"project":{projection}}}"#);
            let expected = match action {
                "findOne" => expected.trim_start_matches('[').trim_end_matches(']'),
                _ => expected,
            };
            let said = sends(&w, action, &arguments).await;
            let said = said
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let expected = expected.replace("SHOWN", SHOWN);
            let expected = expected.trim_start_matches('[').trim_end_matches(']');
            assert_eq!(said, expected, "{action} {projection}");
        }
    }
    // What the engine adds from outside of a document is not there for one that
    // was taken apart, and a sort by a hidden field does not show its key.
    for projection in [
        r#"{"x":{"$meta":"sortKey"}}"#,
        r#"{"x":{"$meta":"indexKey"}}"#,
        r#"{"x":{"$meta":"recordId"}}"#,
        r#"{"t.$":1}"#,
        r#"{"$s":1}"#,
        r#"{"":1}"#,
        r#"{"x":{"$setField":{"field":"y","input":"$$ROOT","value":"$s"}}}"#,
        r#"{"x":{"$function":{"body":"f","args":["$s"],"lang":"js"}}}"#,
    ] {
        let arguments =
            format!(r#"{{"query":{{"t.v":2}},"sort":{{"s":1}},"project":{projection}}}"#);
        sends(&w, "find", &arguments).await;
    }
    // The same of an image that a write answers with.
    for projection in [r#"{"x":"$s"}"#, r#"{"s":1}"#, r#"{"x":"$$ROOT.s"}"#] {
        let arguments = format!(
            r#"{{"filter":{{"_id":1}},"update":{{"$set":{{"a":1}}}},"projection":{projection}}}"#
        );
        assert_eq!(
            sends(&w, "findOneAndUpdate", &arguments).await,
            r#"{"_id":1}"#
        );
    }
}

#[tokio::test]
async fn pipelines_begin_with_what_is_shown() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let table = [
        // A match on a hidden field finds what a document without it would.
        (r#"[{"$match":{"s":"SECRET1"}}]"#, "[]"),
        (
            r#"[{"$match":{"s":{"$exists":false}}},{"$count":"n"}]"#,
            r#"[{"n":1}]"#,
        ),
        (r#"[{"$match":{"n":{"$gt":1}}}]"#, "[]"),
        // Nothing counts, groups or sorts what is hidden.
        (r#"[{"$count":"n"}]"#, r#"[{"n":1}]"#),
        (r#"[{"$group":{"_id":"$s"}}]"#, r#"[{"_id":null}]"#),
        (r#"[{"$sortByCount":"$s"}]"#, r#"[{"_id":null,"count":1}]"#),
        (
            r#"[{"$group":{"_id":null,"x":{"$max":"$s"},"n":{"$sum":"$n"}}}]"#,
            r#"[{"_id":null,"x":null,"n":0}]"#,
        ),
        (
            r#"[{"$group":{"_id":null,"x":{"$push":"$$ROOT"}}}]"#,
            r#"[{"_id":null,"x":[SHOWN]}]"#,
        ),
        (
            r#"[{"$group":{"_id":null,"x":{"$top":{"sortBy":{"n":1},"output":"$s"}}}}]"#,
            r#"[{"_id":null,"x":null}]"#,
        ),
        (
            r#"[{"$bucketAuto":{"groupBy":"$n","buckets":1}}]"#,
            r#"[{"_id":{"min":null,"max":null},"count":1}]"#,
        ),
        (
            r#"[{"$setWindowFields":{"sortBy":{"n":1},"output":{"r":{"$max":"$s"}}}},{"$project":{"r":1}}]"#,
            r#"[{"_id":1,"r":null}]"#,
        ),
        (r#"[{"$sort":{"s":-1}},{"$limit":9}]"#, "[SHOWN]"),
        (r#"[{"$sample":{"size":9}}]"#, "[SHOWN]"),
        // Nor brings it back.
        (r#"[{"$replaceRoot":{"newRoot":{"x":"$s"}}}]"#, "[{}]"),
        (
            r#"[{"$replaceWith":{"$mergeObjects":["$$ROOT"]}}]"#,
            "[SHOWN]",
        ),
        (
            r#"[{"$unwind":"$t"},{"$project":{"x":"$t.s"}}]"#,
            r#"[{"_id":1},{"_id":1}]"#,
        ),
        (
            r#"[{"$redact":{"$cond":[{"$eq":["$s","SECRET1"]},"$$KEEP","$$PRUNE"]}}]"#,
            "[]",
        ),
        (r#"[{"$set":{"s":"$s"}}]"#, "[SHOWN]"),
        (
            r#"[{"$fill":{"output":{"s":{"value":"x"}}}},{"$project":{"s":1}}]"#,
            r#"[{"_id":1,"s":"x"}]"#,
        ),
    ];
    for (pipeline, expected) in table {
        answers(
            &w,
            &[(
                "aggregate",
                &format!(r#"{{"pipeline":{pipeline}}}"#),
                expected,
            )],
        )
        .await;
    }
    let refused = |name: &str| format!("MongoDBError: {name} is not allowed for users");
    for (stage, expected) in [
        // Reads elsewhere, writes, or tells of the server: whatever its operand.
        (r#"{"$lookup":3}"#, refused("$lookup")),
        (r#"{"$facet":{"a":[{"$match":{}}]}}"#, refused("$facet")),
        (
            r#"{"$facet":{"a":[{"$unionWith":"c"}]}}"#,
            refused("$facet"),
        ),
        (r#"{"$unionWith":"c"}"#, refused("$unionWith")),
        (r#"{"$graphLookup":{}}"#, refused("$graphLookup")),
        (r#"{"$merge":"c"}"#, refused("$merge")),
        (r#"{"$out":"c"}"#, refused("$out")),
        (r#"{"$match":{},"$out":"c"}"#, refused("$out")),
        (r#"{"$listCatalog":{}}"#, refused("$listCatalog")),
        (r#"{"$mergeCursors":{}}"#, refused("$mergeCursors")),
        (
            r#"{"$_internalInhibitOptimization":{}}"#,
            refused("$_internalInhibitOptimization"),
        ),
        (r#"{"$queryStats":{}}"#, refused("$queryStats")),
        (r#"{"$searchMeta":{}}"#, refused("$searchMeta")),
        (r#"{"$match":{"$where":"1"}}"#, refused("$where")),
        (
            r#"{"$match":{"$or":[{"$expr":{"$eq":["$s",1]}}]}}"#,
            refused("$expr"),
        ),
        (
            r#"{"$match":{"$_internalExprEq":1}}"#,
            refused("$_internalExprEq"),
        ),
        (
            r#"{"$match":{"a":{"$within":{"$center":[[0,0],1]}}}}"#,
            refused("$within"),
        ),
        (
            r#"{"$project":{"x":{"$accumulator":{}}}}"#,
            refused("$accumulator"),
        ),
        (r#"{"$set":{"x":[{"$function":{}}]}}"#, refused("$function")),
        (
            r#"{"$set":{"x":"$$SEARCH_META"}}"#,
            refused("$$SEARCH_META"),
        ),
        (
            r#"{"$sortByCount":"$$USER_ROLES"}"#,
            refused("$$USER_ROLES"),
        ),
        // What is no stage that users have is none at all.
        (
            r#"{"$exchange":{}}"#,
            "MongoDBError: Unrecognized pipeline stage name: '$exchange'".to_owned(),
        ),
        (
            r#"{"__proto__":{}}"#,
            "MongoDBError: Unrecognized pipeline stage name: '__proto__'".to_owned(),
        ),
    ] {
        for roles in [FIELDS, OWNER] {
            let w = World::with(roles, DOCUMENTS).await;
            let arguments = format!(r#"{{"pipeline":[{stage}]}}"#);
            assert_eq!(w.ann("aggregate", &arguments).await, expected, "{stage}");
        }
    }
}

/// Documents of others are as good as not stored, with a rule that is part of
/// the query and with one that is asked for each document.
#[tokio::test]
async fn queries_find_no_document_of_others() {
    const EVEN: &str = r#"{"name":"e","apply_when":{"%%true":{"%function":{"name":"isEven","arguments":["%%root.e"]}}},"read":true,"write":true}"#;
    let documents = r#"{"_id":1,"o":"ann","e":2,"n":1},{"_id":2,"o":"bob","e":1,"n":2,"s":"SECRET"},{"_id":3,"e":3,"n":3,"s":"SECRET"}"#;
    for roles in [OWNER, EVEN] {
        let w = World::with(roles, documents).await;
        for query in [
            "{}",
            r#"{"$or":[{"_id":1},{"_id":2},{"o":{"$ne":"ann"}}]}"#,
            r#"{"$nor":[{"o":"nobody"}]}"#,
            r#"{"_id":{"$in":[1,2,3]}}"#,
            r#"{"n":{"$not":{"$gt":9}}}"#,
            r#"{"n":{"$type":"number"}}"#,
            r#"{"$comment":"x"}"#,
            r#"{"$and":[{}]}"#,
        ] {
            let find =
                format!(r#"{{"query":{query},"sort":{{"n":-1}},"limit":1,"project":{{"_id":1}}}}"#);
            let query = format!(r#"{{"query":{query}}}"#);
            answers(
                &w,
                &[
                    // Not the first of all, but of those that are there.
                    ("find", &find, r#"[{"_id":1}]"#),
                    ("findOne", &find, r#"{"_id":1}"#),
                    ("count", &query, "1"),
                ],
            )
            .await;
        }
        for query in [
            r#"{"_id":2}"#,
            r#"{"o":"bob"}"#,
            r#"{"s":"SECRET"}"#,
            r#"{"o":{"$ref":"c","$id":2}}"#,
        ] {
            let query = format!(r#"{{"query":{query},"filter":{query}}}"#);
            answers(
                &w,
                &[
                    ("find", &query, "[]"),
                    ("findOne", &query, "null"),
                    ("count", &query, "0"),
                ],
            )
            .await;
        }
        answers(
            &w,
            &[
                ("find", r#"{"skip":1}"#, "[]"),
                ("distinct", r#"{"field":"_id"}"#, "[1]"),
                ("distinct", r#"{"field":"s"}"#, "[]"),
                (
                    "aggregate",
                    r#"{"pipeline":[{"$group":{"_id":null,"n":{"$sum":1}}}]}"#,
                    r#"[{"_id":null,"n":1}]"#,
                ),
            ],
        )
        .await;
    }
}

/// The service asks a client's query of whole documents: it can be guessed what
/// a hidden field has, but no answer says it. (rules-schemas.md §6)
#[tokio::test]
async fn hidden_fields_are_in_no_value() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    answers(
        &w,
        &[
            ("count", r#"{"query":{"s":"SECRET1"}}"#, "1"),
            (
                "find",
                r#"{"query":{"s":{"$gt":"A"}},"sort":{"s":1}}"#,
                "[SHOWN]",
            ),
            // Of documents that are hidden as a whole not even that.
            ("count", r#"{"query":{"s":"SECRET5"}}"#, "0"),
            ("distinct", r#"{"field":"s"}"#, "[]"),
            ("distinct", r#"{"field":"t.s"}"#, "[]"),
            ("distinct", r#"{"field":"t.0.s"}"#, "[]"),
            ("distinct", r#"{"field":"d.s"}"#, "[]"),
            ("distinct", r#"{"field":"d"}"#, r#"[{"v":1}]"#),
            ("distinct", r#"{"field":"$s"}"#, "[]"),
            ("distinct", r#"{"field":""}"#, "[]"),
        ],
    )
    .await;
}

/// Options that are not those of an action are not passed on.
#[tokio::test]
async fn options_do_nothing() {
    for roles in [FIELDS, OWNER] {
        let w = World::with(
            roles,
            r#"{"_id":1,"o":"ann"},{"_id":2,"o":"bob","s":"SECRET"}"#,
        )
        .await;
        for option in [
            r#""hint":{"_id":1}"#,
            r#""min":{"_id":2}"#,
            r#""max":{"_id":1}"#,
            r#""returnKey":true"#,
            r#""showRecordId":true"#,
            r#""let":{"x":"$$ROOT"}"#,
            r#""comment":"x""#,
            r#""singleBatch":true"#,
            r#""tailable":true"#,
            r#""explain":true"#,
            r#""allowDiskUse":true"#,
            r#""bypassDocumentValidation":true"#,
            r#""$db":"admin""#,
            r#""lsid":{"id":1}"#,
            r#""txnNumber":1"#,
            r#""startTransaction":true"#,
            r#""aggregate":"other""#,
            r#""__proto__":{"query":{}}"#,
            r#""roles":[]"#,
            r#""runAsSystem":true"#,
            r#""user":{"id":"bob"}"#,
        ] {
            answers(
                &w,
                &[
                    ("find", &format!("{{{option}}}"), r#"[{"_id":1,"o":"ann"}]"#),
                    ("count", &format!("{{{option}}}"), "1"),
                    (
                        "aggregate",
                        &format!(r#"{{"pipeline":[],{option}}}"#),
                        r#"[{"_id":1,"o":"ann"}]"#,
                    ),
                ],
            )
            .await;
        }
        for option in ["collation", "readConcern", "writeConcern"] {
            let expected = format!("InvalidParameter: the option '{option}' is not supported");
            let arguments = format!(r#"{{"{option}":{{"level":"local"}}}}"#);
            assert_eq!(w.ann("find", &arguments).await, expected);
        }
    }
}
