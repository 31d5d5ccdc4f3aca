//! What a data source lets users send: searches that only an index answers pass
//! the roles as everything else does.

use bson::{doc, rawdoc};

use super::super::World;

const SETTINGS: &str = r#"{"allow_user_operators":["$text","$near","$geoWithin"]}"#;
const ROLES: &str = r#"
    {"name":"own","apply_when":{"o":"%%user.id"},"read":true,"write":true},
    {"name":"part","apply_when":{"o":"bob"},"fields":{"_id":{"read":true},"l":{"read":true}}}"#;
const DOCUMENTS: &str = r#"
    {"_id":1,"o":"ann","l":[0,0],"s":"x one"},
    {"_id":2,"o":"bob","l":[1,1],"s":"x two"},
    {"_id":3,"o":"eve","l":[1,1],"s":"x three"}"#;
const ONE: &str = r#"{"_id":1,"o":"ann","l":[0,0],"s":"x one"}"#;
const TWO: &str = r#"{"_id":2,"l":[1,1]}"#;

#[tokio::test]
async fn searches_by_an_index_pass_the_roles() {
    let near = r#"{"query":{"l":{"$near":[1,1]}}}"#;
    let text = |word: &str| format!(r#"{{"query":{{"$text":{{"$search":"{word}"}}}}}}"#);
    let within = r#"{"query":{"l":{"$geoWithin":{"$box":[[0,0],[5,5]]}}}}"#;
    let refused = World::with(ROLES, DOCUMENTS).await;
    for (arguments, name) in [
        (near, "$near"),
        (&*text("x"), "$text"),
        (within, "$geoWithin"),
    ] {
        assert_eq!(
            refused.ann("find", arguments).await,
            format!("MongoDBError: {name} is not allowed for users")
        );
    }
    let w = World::set(ROLES, SETTINGS, DOCUMENTS).await;
    if w.is_embedded() {
        for arguments in [near, &*text("x"), within] {
            let said = w.ann("find", arguments).await;
            assert!(said.starts_with("MongoDBError: "), "{said}");
            assert!(!said.contains("not allowed for users"), "{said}");
        }
        return;
    }
    for index in [
        doc! { "key": { "l": "2d" }, "name": "l" },
        doc! { "key": { "s": "text" }, "name": "s" },
    ] {
        let mut indexes = bson::RawArrayBuf::new();
        indexes.push(bson::RawDocumentBuf::try_from(&index).unwrap());
        let command = rawdoc! { "createIndexes": "c", "indexes": indexes };
        w.engine.command("d", &command).await.unwrap();
    }
    // The nearest first, as far as they are to be seen.
    assert_eq!(w.ann("find", near).await, format!("[{TWO},{ONE}]"));
    let limited = r#"{"query":{"l":{"$near":[1,1]}},"limit":1,"project":{"l":1}}"#;
    assert_eq!(w.ann("find", limited).await, format!("[{TWO}]"));
    assert_eq!(w.ann("find", &text("two")).await, format!("[{TWO}]"));
    assert_eq!(w.ann("find", &text("three")).await, "[]");
    assert_eq!(w.ann("count", within).await, "2");
    // A write meets what there is, and is refused whom it is not for.
    let update = r#"{"query":{"$text":{"$search":"WORD"}},"update":{"$set":{"s":"y"}}}"#;
    assert_eq!(
        w.ann("updateMany", &update.replace("WORD", "three")).await,
        "NoMatchingRuleFound: update not permitted"
    );
    assert_eq!(
        w.ann("updateMany", &update.replace("WORD", "one")).await,
        r#"{"matchedCount":1,"modifiedCount":1}"#
    );
}
