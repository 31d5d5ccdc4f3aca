//! Collection schemas with `validate` (rules-schemas.md §13).

use mql::schema::Options;
use rules::{Answers, CollectionSchema, Scope};

use crate::{Request, decided, document, raw};

fn breaches(schema: &str, before: Option<&str>, after: &str) -> Vec<(&'static str, String)> {
    let schema = CollectionSchema::parse(&document(schema)).unwrap().unwrap();
    let (request, answers) = (Request::new(), Answers::default());
    let (before, after) = (before.map(raw), raw(after));
    let scope = Scope::request(&request, &answers).images(Some(&after), before.as_deref());
    decided(schema.breaches(&after, &scope, Options::default()))
        .into_iter()
        .map(|breach| (breach.code, breach.path))
        .collect()
}

#[test]
fn structure_and_validate() {
    let schema = r#"{"title":"task","bsonType":"object","required":["_id","n"],"properties":{
        "_id":{"bsonType":"int"},
        "n":{"bsonType":"int","validate":{"%%this":{"$gt":"%%prev"}}},
        "by":{"bsonType":"string","validate":{"%%this":"%%user.id"}},
        "tags":{"bsonType":"array","items":{"bsonType":"string","validate":{"%%this":{"%ne":"bad"}}}}}}"#;
    let by = r#""by":"0123456789abcdef01234567""#;
    assert_eq!(
        breaches(
            schema,
            Some(r#"{"n":1}"#),
            &format!("{{\"_id\":1,\"n\":2,{by}}}")
        ),
        []
    );
    assert_eq!(
        breaches(
            schema,
            Some(r#"{"n":2}"#),
            &format!("{{\"_id\":1,\"n\":2,{by}}}")
        ),
        [("false", "(root).n".to_owned())]
    );
    // Unsetting is noticed, and so is a wrong type (40) and a missing field (39).
    assert_eq!(
        breaches(
            schema,
            Some(r#"{"n":1}"#),
            r#"{"_id":{"$numberDouble":"1.0"},"n":2,"tags":["a","bad"]}"#
        ),
        [
            ("invalid_type", "(root)._id".to_owned()),
            ("false", "(root).by".to_owned()),
            ("false", "(root).tags.1".to_owned()),
        ]
    );
    // 41: `_id` counts as an additional property.
    assert_eq!(
        breaches(
            r#"{"additionalProperties":false,"properties":{"a":{}}}"#,
            None,
            r#"{"_id":1,"a":1}"#
        ),
        [("additional_property_not_allowed", "(root)".to_owned())]
    );
}

#[test]
fn an_empty_schema_is_none_and_problems_are_found() {
    assert!(CollectionSchema::parse(&document("{}")).unwrap().is_none());
    let wrong = document(r#"{"properties":{"a":{"bsonType":"nonsense","validate":{"%%foo":1}}}}"#);
    let issues = CollectionSchema::parse(&wrong).unwrap_err();
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert_eq!(issues[0].path, "properties.a.validate.%%foo");
}
