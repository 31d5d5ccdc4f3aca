//! Attempts to change what may not be changed, and to learn from what is said of
//! the attempt.

use super::{DOCUMENTS, FIELDS, OWNER, SHOWN, World, answers, raw, sends};

#[tokio::test]
async fn updates_change_only_what_may_be_written() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let stored = w.stored().await;
    let refused = "NoMatchingRuleFound: update not permitted";
    let table = [
        (r#"{"$set":{"s":"x"}}"#, refused),
        (r#"{"$unset":{"s":1}}"#, refused),
        (r#"{"$inc":{"n":1}}"#, refused),
        (r#"{"$mul":{"n":2}}"#, refused),
        (r#"{"$min":{"n":1}}"#, refused),
        (r#"{"$max":{"n":9}}"#, refused),
        (r#"{"$bit":{"n":{"or":8}}}"#, refused),
        (r#"{"$currentDate":{"s":true}}"#, refused),
        // Moving needs both ends.
        (r#"{"$rename":{"s":"a"}}"#, refused),
        (r#"{"$rename":{"a":"s"}}"#, refused),
        (r#"{"$rename":{"d.s":"a"}}"#, refused),
        // By dots, numbers, positions and filters it is the same field.
        (r#"{"$set":{"d.s":"x"}}"#, refused),
        (r#"{"$set":{"d":{"v":1}}}"#, refused),
        (r#"{"$set":{"t.0.s":"x"}}"#, refused),
        (r#"{"$set":{"t.$.s":"x"}}"#, refused),
        (r#"{"$set":{"t.$[].s":"x"}}"#, refused),
        (r#"{"$unset":{"t.0":1}}"#, refused),
        (r#"{"$push":{"t":{"v":3}}}"#, refused),
        (r#"{"$push":{"t":{"$each":[],"$slice":1}}}"#, refused),
        (r#"{"$push":{"t":{"$each":[],"$sort":{"s":-1}}}}"#, refused),
        (r#"{"$pull":{"t":{"s":"SECRET3"}}}"#, refused),
        (r#"{"$pop":{"t":1}}"#, refused),
        (r#"{"$addToSet":{"t":1}}"#, refused),
        // One that is allowed does not help another.
        (r#"{"$set":{"a":2,"s":"x"}}"#, refused),
        (r#"{"$set":{"o":"bob"}}"#, refused),
        (r#"{"$set":{"new":1}}"#, refused),
        (r#"{"$set":{"__proto__":{"s":1}}}"#, refused),
        (r#"{"$set":{"constructor.s":1}}"#, refused),
        (r#"{"a":2}"#, refused),
        ("{}", refused),
        // A pipeline could copy what is hidden to where it may be read.
        (r#"[{"$set":{"a":"$s"}}]"#, refused),
        (r#"[{"$set":{"a":"$$ROOT"}}]"#, refused),
        (r#"[{"$replaceWith":{"_id":1,"a":"$s"}}]"#, refused),
        (r#"[{"$unset":"s"}]"#, refused),
        (r#"[{"$lookup":{"from":"c"}}]"#, refused),
        (
            r#"[{"$set":{"a":{"$function":{}}}}]"#,
            "MongoDBError: $function is not allowed for users",
        ),
        (
            r#"[{"$set":{"a":"$$USER_ROLES"}}]"#,
            "MongoDBError: $$USER_ROLES is not allowed for users",
        ),
        (
            r#"{"$set":{"a":{"$where":"1"}}}"#,
            "MongoDBError: $where is not allowed for users",
        ),
        (r#"{"$set":{"_id":9}}"#, "MongoDBError…"),
        // Nothing changes, so nothing is refused.
        (
            r#"{"$set":{"s":"SECRET1"}}"#,
            r#"{"matchedCount":1,"modifiedCount":0}"#,
        ),
        (
            r#"{"$setOnInsert":{"s":"x"}}"#,
            r#"{"matchedCount":1,"modifiedCount":0}"#,
        ),
        (
            r#"{"$unset":{"nothing":1}}"#,
            r#"{"matchedCount":1,"modifiedCount":0}"#,
        ),
    ];
    for (update, expected) in table {
        for action in ["updateOne", "updateMany"] {
            let arguments = format!(r#"{{"query":{{"_id":1,"t.v":2}},"update":{update}}}"#);
            answers(&w, &[(action, &arguments, expected)]).await;
        }
        let arguments = format!(r#"{{"filter":{{"_id":1,"t.v":2}},"update":{update}}}"#);
        sends(&w, "findOneAndUpdate", &arguments).await;
        assert_eq!(w.stored().await, stored, "{update}");
    }
    answers(
        &w,
        &[
            (
                "updateOne",
                r#"{"query":{"_id":1},"update":{"$set":{"t.$[e].s":"x"}},"arrayFilters":[{"e.s":"SECRET3"}]}"#,
                refused,
            ),
            // An upsert is an insert.
            (
                "updateOne",
                r#"{"query":{"_id":9},"update":{"$setOnInsert":{"s":"x"}},"upsert":true}"#,
                "NoMatchingRuleFound: insert not permitted",
            ),
            (
                "findOneAndUpdate",
                r#"{"filter":{"_id":9,"o":"ann"},"update":{"$set":{"a":1}},"upsert":true}"#,
                "NoMatchingRuleFound: insert not permitted",
            ),
            ("replaceOne", r#"{"query":{"_id":1},"update":{"a":1}}"#, "NoMatchingRuleFound: replace not permitted"),
            ("deleteOne", r#"{"query":{"_id":1}}"#, "NoMatchingRuleFound: delete not permitted"),
            // Of others: refused, with no word about them.
            ("updateOne", r#"{"query":{"_id":2},"update":{"$set":{"a":1}}}"#, refused),
            ("updateMany", r#"{"query":{},"update":{"$set":{"a":9}}}"#, refused),
            ("findOneAndUpdate", r#"{"filter":{"_id":2},"update":{"$set":{"a":2}}}"#, refused),
            ("findOneAndDelete", r#"{"filter":{"_id":2}}"#, "NoMatchingRuleFound: delete not permitted"),
            ("deleteMany", r#"{"query":{"s":"SECRET5"}}"#, "NoMatchingRuleFound: delete not permitted"),
        ],
    )
    .await;
    assert_eq!(w.stored().await, stored);
    // A text with a dollar sign is a text.
    answers(
        &w,
        &[
            (
                "updateOne",
                r#"{"query":{"_id":1},"update":{"$set":{"a":"$s"}}}"#,
                r#"{"matchedCount":1,"modifiedCount":1}"#,
            ),
            ("find", r#"{"project":{"a":1}}"#, r#"[{"_id":1,"a":"$s"}]"#),
        ],
    )
    .await;
}

/// What an engine says of an update that it does not take quotes the document.
#[tokio::test]
async fn errors_quote_nothing_that_is_hidden() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let stored = w.stored().await;
    for update in [
        r#"{"$set":{"s.x":1}}"#,
        r#"{"$set":{"d.s.x":1}}"#,
        r#"{"$set":{"t.0.s.x":1}}"#,
        r#"{"$set":{"t.x":1}}"#,
        r#"{"$inc":{"s":1}}"#,
        r#"{"$mul":{"d.s":1}}"#,
        r#"{"$push":{"s":1}}"#,
        r#"{"$pull":{"s":1}}"#,
        r#"{"$pop":{"s":1}}"#,
        r#"{"$addToSet":{"s":1}}"#,
        r#"{"$bit":{"s":{"or":1}}}"#,
        r#"{"$rename":{"s.x":"a"}}"#,
        r#"{"$rename":{"a":"s.x"}}"#,
        r#"{"$set":{"s.$[].x":1}}"#,
    ] {
        for id in [1, 2] {
            for action in ["updateOne", "updateMany", "findOneAndUpdate"] {
                let arguments = format!(
                    r#"{{"query":{{"_id":{id}}},"filter":{{"_id":{id}}},"update":{update}}}"#
                );
                let said = sends(&w, action, &arguments).await;
                assert!(
                    said == "NoMatchingRuleFound: update not permitted"
                        || (id == 1 && said.starts_with("MongoDBError"))
                        || said.contains(r#""modifiedCount":0"#)
                        || said == SHOWN,
                    "{action} {update}: {said}"
                );
            }
        }
    }
    // Of what is shown it is said as ever.
    w.ann(
        "updateOne",
        r#"{"query":{"_id":1},"update":{"$set":{"a":"text"}}}"#,
    )
    .await;
    let said = w
        .ann(
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$inc":{"a":1}}}"#,
        )
        .await;
    assert!(said.contains("non-numeric type"), "{said}");
    w.ann(
        "updateOne",
        r#"{"query":{"_id":1},"update":{"$set":{"a":1}}}"#,
    )
    .await;
    assert_eq!(w.stored().await, stored);
}

/// That a key is there already is for those to know who may write it.
#[tokio::test]
async fn unique_keys_tell_nobody() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let index = raw(
        r#"{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"s","unique":true},{"key":{"a":1},"name":"a","unique":true}]}"#,
    );
    w.engine.command("d", &index).await.unwrap();
    answers(
        &w,
        &[
            (
                "updateOne",
                r#"{"query":{"_id":1},"update":{"$set":{"s":"SECRET5"}}}"#,
                "NoMatchingRuleFound: update not permitted",
            ),
            // May be written, and is there: of the rest nothing is said.
            (
                "updateOne",
                r#"{"query":{"_id":1},"update":{"$set":{"a":2}}}"#,
                "MongoDBError: Duplicate key error: E11000 duplicate key error",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bulk_operations_are_each_under_the_rules() {
    let w = World::with(FIELDS, DOCUMENTS).await;
    let ok = r#"{"updateOne":{"filter":{"_id":1},"update":{"$set":{"a":1}}}}"#;
    let stored = w.stored().await;
    for (operation, expected) in [
        (
            r#"{"updateOne":{"filter":{"_id":1},"update":{"$set":{"s":"x"}}}}"#,
            "NoMatchingRuleFound: update not permitted",
        ),
        (
            r#"{"updateMany":{"filter":{},"update":{"$set":{"a":7}}}}"#,
            "NoMatchingRuleFound: update not permitted",
        ),
        (
            r#"{"replaceOne":{"filter":{"_id":1},"replacement":{"a":1},"update":{"$set":{"a":1}}}}"#,
            "NoMatchingRuleFound: replace not permitted",
        ),
        (
            r#"{"deleteOne":{"filter":{"_id":2}}}"#,
            "NoMatchingRuleFound: delete not permitted",
        ),
        (
            r#"{"deleteMany":{}}"#,
            "NoMatchingRuleFound: delete not permitted",
        ),
        (
            r#"{"insertOne":{"document":{"_id":3,"o":"ann","s":1}}}"#,
            "NoMatchingRuleFound: insert not permitted",
        ),
        (
            r#"{"updateOne":{"filter":{"$where":"1"},"update":{"$set":{"a":1}}}}"#,
            "MongoDBError: $where is not allowed for users",
        ),
        (
            r#"{"updateOne":{"filter":{},"update":{"$set":{"a":1}},"collation":{"locale":"de"}}}"#,
            "InvalidParameter: the option 'collation' is not supported",
        ),
        (
            r#"{"updateOne":{"filter":{},"update":{"$set":{"a":1}}},"deleteMany":{"filter":{}}}"#,
            "InvalidParameter…",
        ),
        (r#"{"findOneAndDelete":{"filter":{}}}"#, "InvalidParameter…"),
        (
            r#"{"aggregate":{"pipeline":[{"$out":"x"}]}}"#,
            "InvalidParameter…",
        ),
    ] {
        for ordered in [true, false] {
            let arguments =
                format!(r#"{{"operations":[{ok},{operation},{ok}],"ordered":{ordered}}}"#);
            answers(&w, &[("bulkWrite", &arguments, expected)]).await;
            assert_eq!(w.stored().await, stored, "{operation}");
        }
    }
}

/// One document that the engine refuses refuses all, also where the rules have
/// nothing to ask of any.
#[tokio::test]
async fn a_write_that_fails_changes_nothing() {
    let all = r#"{"name":"all","apply_when":{},"read":true,"write":true}"#;
    for roles in [all, OWNER] {
        let w = World::with(
            roles,
            r#"{"_id":1,"o":"ann","n":1},{"_id":2,"o":"ann","n":"text"},{"_id":3,"o":"ann","n":3}"#,
        )
        .await;
        let stored = w.stored().await;
        let said = w.ann("updateMany", r#"{"update":{"$inc":{"n":1}}}"#).await;
        assert!(said.contains("non-numeric type"), "{said}");
        assert_eq!(w.stored().await, stored);
    }
}

/// The image that a write answers with is read by the role that it has then.
#[tokio::test]
async fn a_new_image_is_shown_by_its_own_role() {
    let roles = r#"{"name":"open","apply_when":{"k":"open"},"read":true,"write":true},
        {"name":"rest","apply_when":{},"fields":{"_id":{"read":true}}}"#;
    for projection in ["", r#","projection":{"k":1}"#] {
        let w = World::with(roles, r#"{"_id":1,"k":"open","s":1}"#).await;
        let arguments = format!(
            r#"{{"filter":{{"_id":1}},"update":{{"$set":{{"k":"closed"}}}},"returnNewDocument":true{projection}}}"#
        );
        assert_eq!(w.ann("findOneAndUpdate", &arguments).await, r#"{"_id":1}"#);
        assert_eq!(w.stored().await, r#"[{"_id":1,"k":"closed","s":1}]"#);
    }
}
