//! Role selection, reads and writes: the decision tables and those rows of the
//! edge-case table that need no engine (rules-schemas.md §3–§5, §17).

use rules::{Decider, Readable, Write};

use crate::{asking, decided, raw, relaxed, rule_set};

fn roles(roles: &str) -> String {
    format!("{{\"roles\": [{roles}]}}")
}

/// What is readable: `-` nothing, `*` all, else the masked document.
fn read(rules: &str, document: &str) -> String {
    let (rules, request) = (rule_set(&roles(rules)), asking());
    match decided(Decider::new(&rules, &request).read(&raw(document))) {
        Readable::Hidden => "-".to_owned(),
        Readable::Whole => "*".to_owned(),
        Readable::Masked(masked) => relaxed(&masked),
    }
}

/// `ok`, or why not. Empty images are absent; equal images are a delete.
fn write(rules: &str, before: &str, after: &str) -> String {
    let (rules, request) = (rule_set(&roles(rules)), asking());
    let mut decider = Decider::new(&rules, &request);
    let image = |text: &str| raw(if text.is_empty() { "{}" } else { text });
    let (old, new) = (image(before), image(after));
    let write = match (before, after) {
        ("", _) => Write::Insert(&new),
        (_, "") => Write::Delete(&old),
        _ => Write::Update(&old, &new),
    };
    match decided(decider.write(write)) {
        Ok(()) => "ok".to_owned(),
        Err(refusal) => refusal.reason,
    }
}

const OWN: &str = r#"{"name": "o", "apply_when": {"o": "%%user.id"}, "read": true, "write": true}"#;
const MINE: &str = r#"{"_id": 1, "o": "0123456789abcdef01234567"}"#;
const THEIRS: &str = r#"{"_id": 1, "o": "other"}"#;

#[test]
fn reads() {
    let doc = r#"{"_id": 1, "a": 2, "b": 3}"#;
    let table = [
        // 1: the first match decides, even when it denies.
        (
            r#"{"name":"x","apply_when":{},"read":false},{"name":"y","apply_when":{},"read":true}"#,
            doc,
            "-",
        ),
        (
            r#"{"name":"x","apply_when":false,"read":false},{"name":"y","apply_when":{},"read":true}"#,
            doc,
            "*",
        ),
        (OWN, MINE, "*"),
        (OWN, THEIRS, "-"),
        // 4, 5, 6: absent is not false, write implies read.
        (r#"{"name":"x","apply_when":{}}"#, doc, "-"),
        (r#"{"name":"x","apply_when":{},"read":null}"#, doc, "-"),
        (
            r#"{"name":"x","apply_when":{},"read":false,"write":true}"#,
            doc,
            "*",
        ),
        (r#"{"name":"x","apply_when":{},"write":true}"#, doc, "*"),
        (
            r#"{"name":"x","apply_when":{},"read":false,"fields":{"a":{"read":true}}}"#,
            doc,
            "-",
        ),
        (
            r#"{"name":"x","apply_when":{},"write":false,"fields":{"a":{"read":true}}}"#,
            doc,
            r#"{"a":2}"#,
        ),
        // 11: `_id` is a field like any other.
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"read":true}},"additional_fields":{}}"#,
            doc,
            r#"{"a":2}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"write":true}}}"#,
            doc,
            r#"{"a":2}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{}},"additional_fields":{"read":true}}"#,
            doc,
            r#"{"_id":1,"b":3}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{}},"additional_fields":{"write":true}}"#,
            doc,
            r#"{"_id":1,"b":3}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"z":{"read":true}}}"#,
            doc,
            "-",
        ),
        // 12: a grant of the parent covers everything below.
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"read":true,"fields":{"z":{"read":false}}}}}"#,
            r#"{"d":{"y":1,"z":2}}"#,
            r#"{"d":{"y":1,"z":2}}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"read":false,"fields":{"z":{"read":true}}}}}"#,
            r#"{"d":{"y":1,"z":2}}"#,
            "-",
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"fields":{"z":{"read":true}}}}}"#,
            r#"{"d":{"y":1,"z":2}}"#,
            r#"{"d":{"z":2}}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"fields":{"z":{"read":true}}}}}"#,
            r#"{"d":[{"y":1,"z":2},3,{"y":1}]}"#,
            r#"{"d":[{"z":2}]}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"fields":{"z":{"read":true}}}}}"#,
            r#"{"d":5}"#,
            "-",
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"read":{"%%this":{"$gt":1}}}}}"#,
            doc,
            r#"{"a":2}"#,
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"read":{"%%this":{"$gt":2}}}}}"#,
            doc,
            "-",
        ),
        // 13a, 13b, 15: the gate.
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":false},"read":true}"#,
            doc,
            "-",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"write":false},"read":true}"#,
            doc,
            "*",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":false,"write":true},"read":true}"#,
            doc,
            "*",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":true,"write":false},"read":true}"#,
            doc,
            "*",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":{"a":3}},"read":true}"#,
            doc,
            "-",
        ),
        // 28: on reads there is an image before.
        (
            r#"{"name":"x","apply_when":{},"write":{"%%prevRoot":{"%exists":false}},"additional_fields":{}}"#,
            doc,
            "-",
        ),
        // 22: two missing values never meet.
        (
            r#"{"name":"x","apply_when":{"team":"%%user.custom_data.none"},"read":true}"#,
            doc,
            "-",
        ),
    ];
    for (rules, document, expected) in table {
        assert_eq!(read(rules, document), expected, "{rules} on {document}");
    }
}

#[test]
fn writes() {
    let before = r#"{"_id":1,"a":1,"b":1}"#;
    let a_only = r#"{"name":"x","apply_when":{},"fields":{"a":{"write":true}}}"#;
    let a_and_rest = r#"{"name":"x","apply_when":{},"fields":{"a":{"write":true}},"additional_fields":{"write":true}}"#;
    let nested = r#"{"name":"x","apply_when":{},"fields":{"d":{"fields":{"z":{"write":true}}}}}"#;
    let table = [
        (OWN, "", MINE, "ok"),
        (OWN, "", THEIRS, "no role applies to the document"),
        (OWN, THEIRS, MINE, "no role applies to the document"),
        // The role is chosen before, so an owner may give away.
        (OWN, MINE, THEIRS, "ok"),
        (OWN, MINE, "", "ok"),
        (OWN, THEIRS, "", "no role applies to the document"),
        // 7, 8, 9, 10
        (
            r#"{"name":"x","apply_when":{},"write":false,"fields":{"a":{"write":true}}}"#,
            before,
            r#"{"_id":1,"a":2,"b":1}"#,
            "write is false",
        ),
        (
            a_only,
            "",
            r#"{"_id":1,"a":1}"#,
            "no write permission on field '_id'",
        ),
        (a_and_rest, "", r#"{"_id":1,"a":1}"#, "ok"),
        (a_only, before, r#"{"_id":1,"a":2,"b":1}"#, "ok"),
        (
            a_only,
            before,
            r#"{"_id":1,"a":2}"#,
            "no write permission on field 'b'",
        ),
        (
            a_only,
            before,
            r#"{"_id":1,"a":2,"b":1,"c":1}"#,
            "no write permission on field 'c'",
        ),
        (a_only, before, "", "no write permission on field '_id'"),
        // A change of type is a change.
        (
            a_only,
            before,
            r#"{"_id":1,"a":1,"b":{"$numberDouble":"1.0"}}"#,
            "no write permission on field 'b'",
        ),
        // No change passes field rules; an explicit false still denies.
        (a_only, before, before, "ok"),
        (
            r#"{"name":"x","apply_when":{},"read":true,"write":false}"#,
            before,
            before,
            "write is false",
        ),
        // 13: the write gate.
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":true},"write":true}"#,
            before,
            r#"{"_id":1}"#,
            "ok",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"write":{"a":1}},"write":true}"#,
            before,
            r#"{"_id":1,"a":2}"#,
            "document_filters.write is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"write":{"a":2}},"write":true}"#,
            before,
            r#"{"_id":1,"a":2}"#,
            "document_filters.write is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"write":{"%%prevRoot.a":1,"%%root.a":2}},"write":true}"#,
            before,
            r#"{"_id":1,"a":2}"#,
            "ok",
        ),
        // 16, 17, 18
        (
            r#"{"name":"x","apply_when":{},"read":true,"write":false}"#,
            before,
            "",
            "write is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"read":true,"write":true,"delete":false}"#,
            before,
            "",
            "delete is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"read":true,"write":true,"delete":false}"#,
            before,
            r#"{"_id":1}"#,
            "ok",
        ),
        (
            r#"{"name":"x","apply_when":{},"write":true,"insert":false}"#,
            "",
            r#"{"_id":1}"#,
            "insert is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"write":true,"insert":false}"#,
            before,
            r#"{"_id":1}"#,
            "ok",
        ),
        (
            r#"{"name":"x","apply_when":{},"insert":true,"delete":true,"write":false}"#,
            before,
            "",
            "write is false",
        ),
        // Transitions look at both images.
        (
            r#"{"name":"x","apply_when":{},"write":{"%%prevRoot.a":1,"%%root.a":2}}"#,
            before,
            r#"{"_id":1,"a":2}"#,
            "ok",
        ),
        (
            r#"{"name":"x","apply_when":{},"write":{"%%prevRoot.a":1,"%%root.a":2}}"#,
            before,
            r#"{"_id":1,"a":3}"#,
            "write is false",
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"write":{"%%this":{"$gt":"%%prev"}}}}}"#,
            before,
            r#"{"_id":1,"a":2,"b":1}"#,
            "ok",
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"a":{"write":{"%%this":{"$gt":"%%prev"}}}}}"#,
            before,
            r#"{"_id":1,"a":0,"b":1}"#,
            "no write permission on field 'a'",
        ),
        (
            r#"{"name":"x","apply_when":{},"write":{"%%prevRoot":{"%exists":false}}}"#,
            "",
            r#"{"_id":1}"#,
            "ok",
        ),
        // Nested fields.
        (
            nested,
            r#"{"d":{"y":1,"z":1}}"#,
            r#"{"d":{"y":1,"z":2}}"#,
            "ok",
        ),
        (
            nested,
            r#"{"d":{"y":1,"z":1}}"#,
            r#"{"d":{"y":2,"z":1}}"#,
            "no write permission on field 'd.y'",
        ),
        (
            nested,
            r#"{"d":{"y":1,"z":1}}"#,
            r#"{"d":5}"#,
            "no write permission on field 'd'",
        ),
        (
            nested,
            r#"{"d":{"y":1}}"#,
            r#"{"d":{}}"#,
            "no write permission on field 'd.y'",
        ),
        (
            nested,
            r#"{"x":1}"#,
            r#"{"x":1,"d":{}}"#,
            "no write permission on field 'd'",
        ),
        (
            nested,
            r#"{"d":[{"z":1},{"y":1}]}"#,
            r#"{"d":[{"z":2},{"y":1}]}"#,
            "ok",
        ),
        (
            nested,
            r#"{"d":[{"z":1},{"y":1}]}"#,
            r#"{"d":[{"z":1}]}"#,
            "no write permission on field 'd.y'",
        ),
        (
            nested,
            r#"{"d":[{"z":1}]}"#,
            r#"{"d":[{"z":1},7]}"#,
            "no write permission on field 'd'",
        ),
        (
            r#"{"name":"x","apply_when":{},"fields":{"d":{"write":false,"fields":{"z":{"write":true}}}}}"#,
            r#"{"d":{"z":1}}"#,
            r#"{"d":{"z":2}}"#,
            "no write permission on field 'd'",
        ),
    ];
    for (rules, before, after, expected) in table {
        assert_eq!(
            write(rules, before, after),
            expected,
            "{rules}: {before} → {after}"
        );
    }
}

/// An `apply_when` that never looks at documents is decided once.
#[test]
fn functions_of_the_request_are_called_once() {
    let rules = rule_set(&roles(
        r#"{"name":"x","apply_when":{"%%true":{"%function":{"name":"f","arguments":["%%user.id"]}}},"read":true}"#,
    ));
    assert_eq!(rules.functions().collect::<Vec<_>>(), ["f"]);
    let request = asking();
    let mut decider = Decider::new(&rules, &request);
    let needed = decider.read(&raw(r#"{"_id":1}"#)).unwrap_err();
    decider.answer(*needed, Some(bson::RawBson::Boolean(true)));
    for id in 0..3 {
        let document = raw(&format!("{{\"_id\":{id}}}"));
        assert_eq!(decided(decider.read(&document)), Readable::Whole);
    }
}

#[test]
fn problems_are_reported_at_once() {
    let wrong = crate::document(
        r#"{"roles": [
            {"name": "a", "apply_when": {"%%foo": 1}, "read": "yes"},
            {"apply_when": {}, "fields": {"x": {"fields": {"y": {"read": {"%%bar": 1}}}}}},
            {"name": "a", "additional_fields": 3}
        ], "filters": [{"name": "f", "apply_when": {"%%root.a": 1}, "query": {"o": "%%root.o"}}]}"#,
    );
    let issues = rules::RuleSet::parse(&wrong).unwrap_err();
    let mut paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "filters[0].apply_when.%%root.a",
            "filters[0].query.o",
            "roles[0].apply_when.%%foo",
            "roles[0].read",
            "roles[1].fields.x.fields.y.read.%%bar",
            "roles[1].name",
            "roles[2].additional_fields",
            "roles[2].name",
        ]
    );
}
