//! The expression language (rules-schemas.md §8).

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson};
use rules::{Answers, Expression, Place, Scope};

use crate::{asking, decided, document, raw};

/// Wrapped so that bare booleans can be written too.
fn parse(text: &str, place: Place) -> Result<Expression, Vec<(String, String)>> {
    let wrapped = document(&format!("{{\"e\": {text}}}"));
    let mut issues = Vec::new();
    let parsed = Expression::parse(wrapped.get("e").unwrap(), place, "e", &mut issues);
    if issues.is_empty() {
        Ok(parsed)
    } else {
        Err(issues.into_iter().map(|i| (i.path, i.message)).collect())
    }
}

/// Expression, document, answer.
const TABLE: &[(&str, &str, bool)] = &[
    ("true", "{}", true),
    ("false", "{}", false),
    ("{}", "{}", true),
    (r#"{"a": 1, "b": 2}"#, r#"{"a": 1, "b": 2}"#, true),
    (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#, false),
    // Equality is containment both ways.
    (
        r#"{"owner": "%%user.id"}"#,
        r#"{"owner": "0123456789abcdef01234567"}"#,
        true,
    ),
    (
        r#"{"owner": "%%user.id"}"#,
        r#"{"owner": {"$oid": "0123456789abcdef01234567"}}"#,
        false,
    ),
    (
        r#"{"members": "%%user.id"}"#,
        r#"{"members": ["x", "0123456789abcdef01234567"]}"#,
        true,
    ),
    (
        r#"{"team": "%%user.custom_data.teams"}"#,
        r#"{"team": "blue"}"#,
        true,
    ),
    (
        r#"{"team": "%%user.custom_data.teams"}"#,
        r#"{"team": "green"}"#,
        false,
    ),
    (r#"{"team": ["red", "blue"]}"#, r#"{"team": "red"}"#, false),
    (r#"{"%%user.custom_data.teams": "red"}"#, "{}", true),
    (
        r#"{"%%user.custom_data.teams": "%%root.team"}"#,
        r#"{"team": "red"}"#,
        true,
    ),
    (
        r#"{"%%user.custom_data.teams": "%%root.team"}"#,
        "{}",
        false,
    ),
    // Missing never equals missing; a written null does.
    (r#"{"team": "%%user.custom_data.unset"}"#, "{}", false),
    (r#"{"team": "%%user.custom_data.nothing"}"#, "{}", false),
    (r#"{"%%user.custom_data.unset": null}"#, "{}", true),
    (r#"{"x": null}"#, "{}", true),
    (r#"{"x": null}"#, r#"{"x": null}"#, true),
    (r#"{"x": null}"#, r#"{"x": 0}"#, false),
    (
        r#"{"x": {"%ne": "%%user.custom_data.unset"}}"#,
        r#"{"x": 1}"#,
        false,
    ),
    (
        r#"{"x": {"%nin": "%%user.custom_data.unset"}}"#,
        r#"{"x": 1}"#,
        false,
    ),
    // Numbers by value, documents whatever their order.
    (
        r#"{"n": {"$numberLong": "5"}}"#,
        r#"{"n": {"$numberInt": "5"}}"#,
        true,
    ),
    (r#"{"n": 5}"#, r#"{"n": {"$numberDouble": "5.0"}}"#, true),
    (
        r#"{"d": {"a": 1, "b": 2}}"#,
        r#"{"d": {"b": 2, "a": 1}}"#,
        true,
    ),
    (r#"{"d": {}}"#, r#"{"d": {}}"#, true),
    // Presence.
    (r#"{"x": {"%exists": false}}"#, r#"{"x": null}"#, false),
    (r#"{"x": {"%exists": "%%true"}}"#, r#"{"x": null}"#, true),
    (r#"{"x": {"$exists": 0}}"#, "{}", true),
    (r#"{"%%prevRoot": {"%exists": false}}"#, "{}", false),
    // Comparison, within one type.
    (r#"{"n": {"%gt": 1, "%lte": 3}}"#, r#"{"n": 3}"#, true),
    (r#"{"n": {"%gt": 1, "%lte": 3}}"#, r#"{"n": 4}"#, false),
    (r#"{"n": {"%gt": 1}}"#, r#"{"n": "2"}"#, false),
    (
        r#"{"n": {"%lt": "%%user.custom_data.level"}}"#,
        r#"{"n": 2}"#,
        true,
    ),
    (
        r#"{"n": {"$gte": "%%environment.values.limit"}}"#,
        r#"{"n": [1, 5]}"#,
        true,
    ),
    (r#"{"x": {"%ne": 1}}"#, "{}", true),
    (r#"{"x": {"%ne": 1}}"#, r#"{"x": [1, 2]}"#, false),
    // Lists.
    (
        r#"{"x": {"%in": ["a", "%%user.id"]}}"#,
        r#"{"x": "0123456789abcdef01234567"}"#,
        true,
    ),
    (
        r#"{"x": {"%in": "%%user.custom_data.teams"}}"#,
        r#"{"x": ["green", "blue"]}"#,
        true,
    ),
    (r#"{"x": {"%in": "%%user.custom_data.unset"}}"#, "{}", false),
    (r#"{"x": {"%in": "a"}}"#, r#"{"x": "a"}"#, true),
    (r#"{"x": {"%nin": ["a"]}}"#, "{}", true),
    (r#"{"x": {"%nin": ["a"]}}"#, r#"{"x": "a"}"#, false),
    (
        r#"{"x": {"%all": ["a", "b"]}}"#,
        r#"{"x": ["b", "c", "a"]}"#,
        true,
    ),
    (
        r#"{"x": {"%all": ["a", "%%user.custom_data.unset"]}}"#,
        r#"{"x": ["a"]}"#,
        false,
    ),
    (r#"{"%%user.id": {"%in": "%%values.admins"}}"#, "{}", true),
    // `%%true` is a value inside of lists and objects too.
    (r#"{"x": {"%in": ["%%true", 1]}}"#, r#"{"x": true}"#, true),
    (
        r#"{"x": {"%in": ["%%true", 1]}}"#,
        r#"{"x": "%%true"}"#,
        false,
    ),
    (r#"{"x": {"y": "%%false"}}"#, r#"{"x": {"y": false}}"#, true),
    // A list with a hole is no list: without the hole it could be what is there.
    (
        r#"{"x": ["%%user.custom_data.unset"]}"#,
        r#"{"x": []}"#,
        false,
    ),
    (
        r#"{"x": {"%ne": ["%%user.custom_data.unset"]}}"#,
        r#"{"x": 1}"#,
        false,
    ),
    (
        r#"{"x": {"%in": ["%%user.custom_data.unset", 1]}}"#,
        r#"{"x": 1}"#,
        true,
    ),
    // What was once called undefined is null.
    (r#"{"x": null}"#, r#"{"x": {"$undefined": true}}"#, true),
    // Logic, above and below a subject.
    (r#"{"%or": [{"a": 1}, {"b": 1}]}"#, r#"{"b": 1}"#, true),
    (r#"{"$and": [{"a": 1}, {"b": 1}]}"#, r#"{"b": 1}"#, false),
    (r#"{"%not": {"a": 1}}"#, r#"{"a": 2}"#, true),
    (r#"{"%nor": [{"a": 1}, {"b": 1}]}"#, r#"{"c": 1}"#, true),
    (
        r#"{"x": {"%or": [{"$lt": 0}, {"$gt": 9}]}}"#,
        r#"{"x": 10}"#,
        true,
    ),
    (
        r#"{"x": {"%or": [{"$lt": 0}, {"$gt": 9}]}}"#,
        r#"{"x": 5}"#,
        false,
    ),
    (r#"{"x": {"%not": {"%in": [1]}}}"#, r#"{"x": 2}"#, true),
    (
        r#"{"%%true": {"%or": [{"a": 1}, {"b": 1}]}}"#,
        r#"{"a": 1}"#,
        true,
    ),
    (
        r#"{"%%false": {"%or": [{"a": 1}, {"b": 1}]}}"#,
        r#"{"a": 1}"#,
        false,
    ),
    (r#"{"%%true": "%%values.open"}"#, "{}", true),
    // Paths.
    (r#"{"a.b": 1}"#, r#"{"a": {"b": 1}}"#, true),
    (
        r#"{"%%root.a.b": 1}"#,
        r#"{"a": [{"b": 2}, {"b": 1}]}"#,
        true,
    ),
    (r#"{"a.1": 7}"#, r#"{"a": [6, 7]}"#, true),
    (
        r#"{"%%user.identities.provider_type": "local-userpass"}"#,
        "{}",
        true,
    ),
    (r#"{"%%request.requestHeaders.X-A": "1"}"#, "{}", true),
    (r#"{"%%environment.tag": "testing"}"#, "{}", true),
    (
        r#"{"owner": "%%user.id%%"}"#,
        r#"{"owner": "0123456789abcdef01234567"}"#,
        true,
    ),
    // Conversions.
    (
        r#"{"_id": {"%stringToOid": "%%user.id"}}"#,
        r#"{"_id": {"$oid": "0123456789abcdef01234567"}}"#,
        true,
    ),
    (r#"{"_id": {"%stringToOid": "no id"}}"#, "{}", false),
    (
        r#"{"%%user.id": {"%oidToString": "%%root.o"}}"#,
        r#"{"o": {"$oid": "0123456789abcdef01234567"}}"#,
        true,
    ),
    (
        r#"{"u": {"%stringToUuid": "00112233-4455-6677-8899-aabbccddeeff"}}"#,
        r#"{"u": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}"#,
        true,
    ),
    (
        r#"{"s": {"%uuidToString": "%%root.u"}}"#,
        r#"{"s": "00112233-4455-6677-8899-aabbccddeeff", "u": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}"#,
        true,
    ),
    (
        r#"{"x": {"%in": [{"%stringToOid": "%%user.custom_data.ref"}]}}"#,
        r#"{"x": {"$oid": "0123456789abcdef01234567"}}"#,
        true,
    ),
];

#[test]
fn answers() {
    let request = asking();
    let answers = Answers::default();
    for (text, on, expected) in TABLE {
        let parsed = parse(text, Place::Document).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let on_raw = raw(on);
        let scope = Scope::request(&request, &answers).images(Some(&on_raw), Some(&on_raw));
        assert_eq!(decided(parsed.holds(&scope)), *expected, "{text} on {on}");
    }
}

/// What is wrong, where it stands, what the service says.
#[test]
fn problems() {
    let table = [
        (
            r#"{"%%foo": 1}"#,
            Place::Document,
            "e.%%foo",
            "do not know how to expand '%%foo'",
        ),
        (
            r#"{"a": "%%usr.id"}"#,
            Place::Document,
            "e.a",
            "do not know how to expand '%%usr.id'",
        ),
        (
            r#"{"%%root.a": 1}"#,
            Place::Request,
            "e.%%root.a",
            "do not know how to expand '%%root.a'",
        ),
        (
            r#"{"%%args.a": 1}"#,
            Place::Document,
            "e.%%args.a",
            "do not know how to expand '%%args.a'",
        ),
        (
            r#"{"a": {"%foo": 1}}"#,
            Place::Document,
            "e.a.%foo",
            "unknown operator '%foo'",
        ),
        (
            r#"{"%gt": 1}"#,
            Place::Document,
            "e.%gt",
            "operator '%gt' needs a field to test",
        ),
        (
            r#""yes""#,
            Place::Document,
            "e",
            "an expression must be a boolean or an object",
        ),
        (
            r#"{"%or": {}}"#,
            Place::Document,
            "e.%or",
            "a logical operator needs an array of expressions",
        ),
        (
            r#"{"a": 1}"#,
            Place::Request,
            "e.a",
            "field 'a' cannot be used here: no document is known yet",
        ),
        (
            r#"{"%%true": {"%function": {}}}"#,
            Place::Document,
            "e.%%true",
            "%function needs a name",
        ),
    ];
    for (text, place, path, message) in table {
        let issues = parse(text, place).expect_err(text);
        assert_eq!(issues, [(path.to_owned(), message.to_owned())], "{text}");
    }
    // Several at once.
    assert_eq!(
        parse(r#"{"%%x": 1, "%%y": 1}"#, Place::Document)
            .unwrap_err()
            .len(),
        2
    );
}

#[test]
fn deep_and_wide_expressions_are_refused() {
    let deep = format!("{}true{}", r#"{"%not": "#.repeat(90), "}".repeat(90));
    assert!(parse(&deep, Place::Document).is_ok());
    let mut value = Bson::Boolean(true);
    for _ in 0..200 {
        value = Bson::Document(bson::doc! { "%not": value });
    }
    let mut issues = Vec::new();
    let parsed = Expression::parse(&value, Place::Document, "e", &mut issues);
    assert_eq!(issues[0].message, "expression is nested too deeply");
    drop(parsed);
    let wide = Bson::Array(vec![Bson::Document(bson::doc! { "a": 1 }); 20_000]);
    let mut issues = Vec::new();
    let wide = Bson::Document(bson::doc! { "%or": wide });
    Expression::parse(&wide, Place::Document, "e", &mut issues);
    assert_eq!(issues[0].message, "expression is too large");
}

#[test]
fn functions_are_asked_for_and_answered() {
    let text = r#"{"%%true": {"%function": {"name": "mayEdit", "arguments": ["%%root._id", "%%user.id"]}}}"#;
    let parsed = parse(text, Place::Document).unwrap();
    assert_eq!(
        parsed
            .functions()
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["mayEdit"]
    );
    let request = asking();
    let mut answers = Answers::default();
    let on = raw(r#"{"_id": 7}"#);
    let needed = {
        let scope = Scope::request(&request, &answers).images(Some(&on), Some(&on));
        parsed.holds(&scope).unwrap_err()
    };
    assert_eq!(&*needed.function, "mayEdit");
    for (result, expected) in [
        (Some(RawBson::Boolean(true)), true),
        (Some(RawBson::Int32(1)), false),
        (None, false),
    ] {
        answers.insert((*needed).clone(), result);
        let scope = Scope::request(&request, &answers).images(Some(&on), Some(&on));
        assert_eq!(decided(parsed.holds(&scope)), expected);
    }
    // Another document is another call.
    let other = raw(r#"{"_id": 8}"#);
    let scope = Scope::request(&request, &answers).images(Some(&other), Some(&other));
    assert!(parsed.holds(&scope).is_err());
}

/// `%%partition` is known where a partition is, and a request is not.
#[test]
fn partitions_have_a_place_of_their_own() {
    let parse = |text: &str, place| {
        let mut issues = Vec::new();
        let value = Bson::Document(document(text));
        let parsed = Expression::parse(&value, place, "x", &mut issues);
        (parsed, issues)
    };
    let request = asking();
    let answers = Answers::default();
    for (text, partition, holds) in [
        (
            r#"{"%%partition":"%%user.id"}"#,
            "0123456789abcdef01234567",
            true,
        ),
        (r#"{"%%partition":"%%user.id"}"#, "another", false),
        (
            r#"{"%%partition":{"%in":["%%user.custom_data.teams","x"]}}"#,
            "x",
            true,
        ),
        (
            r#"{"%%user.custom_data.teams":"%%partition"}"#,
            "blue",
            true,
        ),
        (
            r#"{"%%user.custom_data.teams":"%%partition"}"#,
            "green",
            false,
        ),
    ] {
        let (parsed, issues) = parse(text, Place::Partition);
        assert_eq!(issues, [], "{text}");
        let mut scope = Scope::request(&request, &answers);
        scope.partition = Some(RawBsonRef::String(partition));
        assert_eq!(decided(parsed.holds(&scope)), holds, "{text} {partition}");
    }
    for place in [Place::Document, Place::Request, Place::Arguments] {
        let (_, issues) = parse(r#"{"%%partition":"x"}"#, place);
        assert_eq!(issues[0].message, "do not know how to expand '%%partition'");
    }
    for text in [
        r#"{"%%root.a":1}"#,
        r#"{"%%request.httpMethod":"GET"}"#,
        r#"{"a":1}"#,
    ] {
        assert_eq!(parse(text, Place::Partition).1.len(), 1, "{text}");
    }
}
