//! Names and values that mean something elsewhere.

use bson::{RawArrayBuf, RawDocumentBuf, cstr, rawdoc};

use super::{Access, OWNER, World, answers};

/// Names that mean something to a language are names.
#[tokio::test]
async fn names_of_prototypes_are_names() {
    let w = World::with(OWNER, r#"{"_id":1,"o":"bob","__proto__":{"o":"ann"}}"#).await;
    answers(
        &w,
        &[
            ("find", "{}", "[]"),
            ("find", r#"{"query":{"__proto__.o":"ann"}}"#, "[]"),
            (
                "insertOne",
                r#"{"document":{"_id":2,"__proto__":{"o":"ann"}}}"#,
                "NoMatchingRuleFound: insert not permitted",
            ),
            (
                "insertOne",
                r#"{"document":{"_id":3,"o":"ann","__proto__":{"o":"bob"},"constructor":{"prototype":1}}}"#,
                r#"{"insertedId":3}"#,
            ),
            (
                "find",
                "{}",
                r#"[{"_id":3,"o":"ann","__proto__":{"o":"bob"},"constructor":{"prototype":1}}]"#,
            ),
        ],
    )
    .await;
    for name in ["__proto__", "constructor", "toString", "hasOwnProperty"] {
        let role = format!(
            r#"{{"name":"r","apply_when":{{"o":"%%user.custom_data.{name}"}},"read":true,"write":true}}"#
        );
        let w = World::with(&role, r#"{"_id":1},{"_id":2,"o":null},{"_id":3,"o":{}}"#).await;
        assert_eq!(w.ann("find", "{}").await, "[]", "{name}");
    }
}

/// Two fields with one name: rules and engines see the first, a function may
/// see the last. Users cannot store such a document, and cannot be shown one
/// that is somebody else's by either.
#[tokio::test]
async fn of_two_fields_with_one_name_the_first_counts() {
    const ASKED: &str = r#"{"name":"o","apply_when":{"%or":[{"o":"%%user.id"},{"%%true":{"%function":{"name":"isEven","arguments":["%%root.e"]}}}]},"read":true,"write":true}"#;
    let mut twice = rawdoc! { "_id": 1, "o": "bob", "s": "SECRET" };
    twice.append(cstr!("o"), "ann");
    for roles in [OWNER, ASKED] {
        let w = World::with(roles, r#"{"_id":0}"#).await;
        let mut arguments = rawdoc! { "database": "d", "collection": "c" };
        arguments.append(cstr!("document"), twice.clone());
        w.data
            .run(&Access::System, "insertOne", &arguments, None)
            .await
            .unwrap();
        answers(
            &w,
            &[
                ("find", "{}", "[]"),
                ("count", "{}", "0"),
                ("distinct", r#"{"field":"s"}"#, "[]"),
                (
                    "aggregate",
                    r#"{"pipeline":[{"$match":{"o":"ann"}}]}"#,
                    "[]",
                ),
            ],
        )
        .await;
        // The driver of MongoDB keeps the last one of what is read for a write.
        if w.is_embedded() {
            let update = r#"{"query":{"_id":1},"update":{"$set":{"a":1}}}"#;
            let refused = "NoMatchingRuleFound: update not permitted";
            answers(&w, &[("updateOne", update, refused)]).await;
        }
        assert_eq!(w.bob("count", "{}").await, "1");
        // By users there are none, at any depth.
        let user = w.user(r#"{"id":"ann"}"#);
        let mut inside = RawDocumentBuf::new();
        inside.append(cstr!("k"), 1);
        inside.append(cstr!("k"), 2);
        let mut list = RawArrayBuf::new();
        list.push(inside.clone());
        let mut top = rawdoc! { "_id": 5, "o": "ann" };
        top.append(cstr!("o"), "bob");
        let refused = async |action: &str, key: &bson::raw::CStr, value: bson::RawBson| {
            let mut arguments =
                rawdoc! { "database": "d", "collection": "c", "query": { "_id": 0 } };
            arguments.append(key, value);
            let problem = w
                .data
                .run(&user, action, &arguments, None)
                .await
                .unwrap_err();
            problem.message.clone()
        };
        for document in [
            top,
            rawdoc! { "_id": 5, "o": "ann", "d": inside.clone() },
            rawdoc! { "_id": 5, "o": "ann", "d": list.clone() },
        ] {
            let said = refused("insertOne", cstr!("document"), document.into()).await;
            assert_eq!(said, "insert not permitted");
        }
        w.system(
            "updateOne",
            r#"{"query":{"_id":0},"update":{"$set":{"o":"ann"}}}"#,
        )
        .await
        .unwrap();
        let update = rawdoc! { "$set": { "d": inside.clone() } };
        let said = refused("updateOne", cstr!("update"), update.into()).await;
        assert_eq!(said, "the update has two fields 'k'");
        let replacement = rawdoc! { "o": "ann", "d": list.clone() };
        let said = refused("replaceOne", cstr!("update"), replacement.into()).await;
        assert_eq!(said, "the update has two fields 'k'");
    }
}

/// Bytes that cannot be read are refused before anything is looked for in them.
#[tokio::test]
async fn nothing_hides_behind_bytes_that_cannot_be_read() {
    let w = World::with(OWNER, r#"{"_id":1,"o":"ann"}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let query = rawdoc! { "a": "xx", "$where": "1" };
    for at in [10, 11] {
        let mut arguments = rawdoc! { "database": "d", "collection": "c", "query": query.clone() };
        let mut bytes = arguments.into_bytes();
        let text = bytes.windows(3).position(|part| part == b"xx\0").unwrap();
        bytes[text + at - 10] = 0xff;
        arguments = RawDocumentBuf::from_bytes(bytes).unwrap();
        for access in [&user, &Access::System] {
            let problem = w
                .data
                .run(access, "find", &arguments, None)
                .await
                .unwrap_err();
            assert!(
                problem.message.starts_with("invalid arguments"),
                "{}",
                problem.message
            );
        }
    }
}

/// No name of a database or collection leads to another one.
#[tokio::test]
async fn names_lead_nowhere_else() {
    let everything = r#"{"roles":[{"name":"all","apply_when":{},"read":true,"write":true}]}"#;
    let w = World::new(&[("default_rule.json", everything)]);
    let ann = w.user(r#"{"id":"ann"}"#);
    for (database, collection) in [
        ("d", "$cmd"),
        ("d", "$cmd.aggregate"),
        ("d", "c\0x"),
        ("d\0", "c"),
        ("d.x", "c"),
        ("d/x", "c"),
        ("d x", "c"),
        ("$external", "c"),
        ("d", ".c"),
        ("", "c"),
        ("d", ""),
    ] {
        let arguments =
            rawdoc! { "database": database, "collection": collection, "document": { "a": 1 } };
        let answer = w.data.run(&ann, "insertOne", &arguments, None).await;
        let Err(problem) = answer else {
            panic!("{database} {collection}: {answer:?}");
        };
        assert!(
            matches!(
                &*problem.code,
                "MongoDBError" | "MissingParameter" | "InvalidParameter" | "BadRequest"
            ),
            "{database} {collection}: {problem:?}"
        );
    }
}

/// Values of a function's answer and of its arguments are values.
#[tokio::test]
async fn a_function_gets_values_and_gives_values() {
    let role = r#"{"name":"e","apply_when":{"%%true":{"%function":{"name":"isEven","arguments":["%%root.x"]}}},"read":true,"write":true}"#;
    let w = World::with(
        role,
        r#"{"_id":1,"x":{"$oid":"5f0000000000000000000001"}},{"_id":2,"x":[2]},{"_id":3}"#,
    )
    .await;
    assert_eq!(w.ann("find", "{}").await, "[]");
    // An answer that is no boolean is not true.
    let role = r#"{"name":"e","apply_when":{"%%true":"%%root.x"},"read":true}"#;
    let w = World::with(
        role,
        r#"{"_id":1,"x":1},{"_id":2,"x":"true"},{"_id":3,"x":{"$gt":0}},{"_id":4}"#,
    )
    .await;
    assert_eq!(w.ann("find", "{}").await, "[]");
}
