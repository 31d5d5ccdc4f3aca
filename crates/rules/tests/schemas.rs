//! Collection schemas with `validate` (rules-schemas.md §13).

#[path = "schemas/generated.rs"]
mod generated;
#[path = "schemas/keywords.rs"]
mod keywords;
#[path = "schemas/validate.rs"]
mod validate;

use mql::schema::Options;
use rules::{Answers, CollectionSchema, Scope};

use crate::{asking, decided, document, raw};

fn breaches(schema: &str, before: Option<&str>, after: &str) -> Vec<(&'static str, String)> {
    let schema = CollectionSchema::parse(&document(schema)).unwrap().unwrap();
    let (request, answers) = (asking(), Answers::default());
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

/// What is wrong with a schema.
fn faults(schema: &str) -> Vec<String> {
    let parsed = CollectionSchema::parse(&document(schema));
    let issues = parsed.err().unwrap_or_default().into_iter();
    issues
        .map(|issue| format!("{}: {}", issue.path, issue.message))
        .collect()
}

#[test]
fn what_a_schema_may_not_say() {
    let keyword = |at: &str, keyword: &str, must: &str| {
        vec![format!(
            "{at}: $jsonSchema keyword '{keyword}' must be {must}"
        )]
    };
    for (schema, wrong) in [
        (
            r#"{"required":true}"#,
            keyword("", "required", "an array of strings"),
        ),
        (
            r#"{"properties":{"a":5}}"#,
            keyword("properties.a", "properties", "an object"),
        ),
        (
            r#"{"allOf":{}}"#,
            keyword("", "allOf", "an array of objects"),
        ),
        (
            r#"{"allOf":[{},{"not":1}]}"#,
            keyword("allOf[1].not", "not", "an object"),
        ),
        (
            r#"{"if":{"const":1},"then":7}"#,
            keyword("then", "then", "an object"),
        ),
        (
            r#"{"else":{"minItems":-1}}"#,
            keyword("else", "minItems", "a non-negative integer"),
        ),
        (
            r#"{"contains":[]}"#,
            keyword("contains", "contains", "an object"),
        ),
        (
            r#"{"propertyNames":"a"}"#,
            keyword("propertyNames", "propertyNames", "an object"),
        ),
        (r#"{"format":1}"#, keyword("", "format", "a string")),
        (
            r#"{"uniqueItems":1}"#,
            keyword("", "uniqueItems", "a boolean"),
        ),
        (
            r#"{"multipleOf":0}"#,
            keyword("", "multipleOf", "more than 0"),
        ),
        (r#"{"maximum":"1"}"#, keyword("", "maximum", "a number")),
        (
            r#"{"exclusiveMinimum":true}"#,
            keyword(
                "",
                "exclusiveMinimum",
                "a number where there is no 'minimum'",
            ),
        ),
        (
            r#"{"exclusiveMaximum":"x"}"#,
            keyword("", "exclusiveMaximum", "a number or a boolean"),
        ),
        (
            r#"{"properties":{"a":{"bsonType":["int","integer"]},"b":{"type":"x"}}}"#,
            vec![
                "properties.a: Unknown type name alias: integer".to_owned(),
                "properties.b: Unknown type name alias: x".to_owned(),
            ],
        ),
        (
            r#"{"dependencies":{"a":{"items":[{"validate":{"%%nope":1}}]}}}"#,
            vec![
                "dependencies.a.items[0].validate.%%nope: do not know how to expand '%%nope'"
                    .to_owned(),
            ],
        ),
    ] {
        assert_eq!(faults(schema), wrong, "{schema}");
    }
    // Keywords that nobody knows, and those that `$jsonSchema` does not, are kept.
    for schema in [
        r#"{"title":"t","description":5,"colour":{"a":1},"default":1,"$ref":"x","format":"colour"}"#,
        r#"{"properties":{"a":true,"b":false},"items":[true],"additionalItems":{}}"#,
        r#"{"type":"object","bsonType":["object"],"then":{},"exclusiveMinimum":false}"#,
    ] {
        assert_eq!(faults(schema), [] as [String; 0], "{schema}");
    }
}

#[test]
fn schemas_that_are_too_much_are_refused() {
    let deep = |levels: usize| {
        (0..levels).fold(
            bson::doc! { "x": 1 },
            |inner, _| bson::doc! { "not": inner },
        )
    };
    assert!(CollectionSchema::parse(&deep(100)).is_ok());
    let issues = CollectionSchema::parse(&deep(101)).unwrap_err();
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].message, "exceeded the maximum nesting depth");

    let part = bson::doc! { "x": 1 };
    let wide = |parts: usize| bson::doc! { "anyOf": vec![part.clone(); parts] };
    assert!(CollectionSchema::parse(&wide(19_999)).is_ok());
    let issues = CollectionSchema::parse(&wide(30_000)).unwrap_err();
    assert_eq!(issues.len(), 1, "{issues:?}");

    let wrong: bson::Document = (0..500)
        .map(|n| (n.to_string(), bson::bson!({ "type": 1 })))
        .collect();
    let issues = CollectionSchema::parse(&bson::doc! { "properties": wrong }).unwrap_err();
    assert_eq!(issues.len(), 100);
}
