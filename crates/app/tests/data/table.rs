//! The edge-case table of rules-schemas.md §17 through the engine, where what a
//! role says is partly asked in the query: the answer has to be the same.

use super::{World, roles};

/// A row: its number, roles, documents, the user, and what `find` sorted by
/// `_id` answers.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const ANN: &str = r#"{"id":"5f0000000000000000000001","type":"normal","custom_data":{"teams":["red","blue"],"mails":["a@x","b@x"]}}"#;

const READS: &[Row] = &[
    (
        "1",
        r#"{"name":"a","apply_when":{"t":1},"read":false},{"name":"b","apply_when":{},"read":true}"#,
        r#"{"_id":1,"t":1},{"_id":2,"t":2},{"_id":3,"t":[1]},{"_id":4}"#,
        ANN,
        r#"[{"_id":2,"t":2},{"_id":4}]"#,
    ),
    (
        "4",
        r#"{"name":"a","apply_when":{}}"#,
        r#"{"_id":1}"#,
        ANN,
        "[]",
    ),
    (
        "5",
        r#"{"name":"a","apply_when":{},"read":false,"write":true}"#,
        r#"{"_id":1}"#,
        ANN,
        r#"[{"_id":1}]"#,
    ),
    (
        "6",
        r#"{"name":"a","apply_when":{},"read":false,"fields":{"a":{"read":true}}}"#,
        r#"{"_id":1,"a":1}"#,
        ANN,
        "[]",
    ),
    (
        "12",
        r#"{"name":"a","apply_when":{},"fields":{"p":{"read":true,"fields":{"z":{"read":false}}}}}"#,
        r#"{"_id":1,"p":{"z":1}}"#,
        ANN,
        r#"[{"p":{"z":1}}]"#,
    ),
    (
        "13a",
        r#"{"name":"a","apply_when":{},"document_filters":{"read":{"p":true}},"read":true}"#,
        r#"{"_id":1,"p":true},{"_id":2},{"_id":3,"p":false}"#,
        ANN,
        r#"[{"_id":1,"p":true}]"#,
    ),
    (
        "13b",
        r#"{"name":"a","apply_when":{},"document_filters":{"write":false},"read":true}"#,
        r#"{"_id":1}"#,
        ANN,
        r#"[{"_id":1}]"#,
    ),
    (
        "15",
        r#"{"name":"a","apply_when":{},"document_filters":{"read":false,"write":{"w":1}},"read":true}"#,
        r#"{"_id":1,"w":1},{"_id":2}"#,
        ANN,
        r#"[{"_id":1,"w":1}]"#,
    ),
    (
        "19",
        r#"{"name":"a","apply_when":{"o":"%%user.id"},"read":true}"#,
        r#"{"_id":1,"o":{"$oid":"5f0000000000000000000001"}},{"_id":2,"o":"5f0000000000000000000001"}"#,
        ANN,
        r#"[{"_id":2,"o":"5f0000000000000000000001"}]"#,
    ),
    (
        "19, converted",
        r#"{"name":"a","apply_when":{"o":{"%stringToOid":"%%user.id"}},"read":true}"#,
        r#"{"_id":1,"o":{"$oid":"5f0000000000000000000001"}},{"_id":2,"o":"5f0000000000000000000001"}"#,
        ANN,
        r#"[{"_id":1,"o":{"$oid":"5f0000000000000000000001"}}]"#,
    ),
    (
        "20",
        r#"{"name":"a","apply_when":{"m":"%%user.id"},"read":true}"#,
        r#"{"_id":1,"m":["x","5f0000000000000000000001"]},{"_id":2,"m":["x"]}"#,
        ANN,
        r#"[{"_id":1,"m":["x","5f0000000000000000000001"]}]"#,
    ),
    (
        "21",
        r#"{"name":"a","apply_when":{"team":"%%user.custom_data.teams"},"read":true}"#,
        r#"{"_id":1,"team":"red"},{"_id":2,"team":"green"},{"_id":3},{"_id":4,"team":["red","blue"]}"#,
        ANN,
        r#"[{"_id":1,"team":"red"},{"_id":4,"team":["red","blue"]}]"#,
    ),
    (
        "22",
        r#"{"name":"a","apply_when":{"team":"%%user.custom_data.teams"},"read":true}"#,
        r#"{"_id":1},{"_id":2,"team":null}"#,
        r#"{"id":"x","custom_data":{}}"#,
        "[]",
    ),
    (
        "23",
        r#"{"name":"a","apply_when":{"x":null},"read":true}"#,
        r#"{"_id":1},{"_id":2,"x":null},{"_id":3,"x":0}"#,
        ANN,
        r#"[{"_id":1},{"_id":2,"x":null}]"#,
    ),
    (
        "24",
        r#"{"name":"a","apply_when":{"x":{"%exists":false}},"read":true}"#,
        r#"{"_id":1},{"_id":2,"x":null}"#,
        ANN,
        r#"[{"_id":1}]"#,
    ),
    (
        "26",
        r#"{"name":"a","apply_when":{"a":1,"b":2},"read":true}"#,
        r#"{"_id":1,"a":1},{"_id":2,"a":1,"b":2}"#,
        ANN,
        r#"[{"_id":2,"a":1,"b":2}]"#,
    ),
    (
        "27",
        r#"{"name":"a","apply_when":{"n":{"$numberLong":"5"}},"read":true}"#,
        r#"{"_id":1,"n":5},{"_id":2,"n":5.0},{"_id":3,"n":"5"}"#,
        ANN,
        r#"[{"_id":1,"n":5},{"_id":2,"n":5.0}]"#,
    ),
    (
        "28",
        r#"{"name":"a","apply_when":{},"write":{"%%prevRoot":{"%exists":false}}}"#,
        r#"{"_id":1}"#,
        ANN,
        "[]",
    ),
    (
        "first match, by order",
        r#"{"name":"own","apply_when":{"o":"%%user.id"},"fields":{"_id":{"read":true},"o":{"read":true}}},
           {"name":"pub","apply_when":{"p":true},"fields":{"_id":{"read":true},"p":{"read":true}}}"#,
        r#"{"_id":1,"o":"5f0000000000000000000001","p":true},{"_id":2,"o":"x","p":true},{"_id":3,"o":"x"}"#,
        ANN,
        r#"[{"_id":1,"o":"5f0000000000000000000001"},{"_id":2,"p":true}]"#,
    ),
];

#[tokio::test]
async fn what_users_read() {
    for (row, rules, documents, user, expected) in READS {
        let w = World::with(rules, documents).await;
        let user = w.user(user);
        let found = w.says(&user, "find", r#"{"sort":{"_id":1}}"#).await;
        assert_eq!(&found, expected, "row {row}");
        // Every way to read agrees.
        let n = kit::ejson::parse_document(format!(r#"{{"l":{expected}}}"#).as_bytes())
            .unwrap()
            .get_array("l")
            .unwrap()
            .len();
        assert_eq!(
            w.says(&user, "count", "{}").await,
            n.to_string(),
            "row {row}"
        );
        let sum = r#"{"pipeline":[{"$group":{"_id":null,"n":{"$sum":1}}}]}"#;
        let counted = w.says(&user, "aggregate", sum).await;
        let wanted = if n == 0 {
            "[]".to_owned()
        } else {
            format!(r#"[{{"_id":null,"n":{n}}}]"#)
        };
        assert_eq!(counted, wanted, "row {row}");
        let pipeline = r#"{"pipeline":[{"$sort":{"_id":1}}]}"#;
        // A hidden _id is as good as not stored, and so sorts nothing.
        if expected.contains("_id") {
            assert_eq!(
                &w.says(&user, "aggregate", pipeline).await,
                expected,
                "row {row}"
            );
        }
    }
}

/// Number, role, action, arguments, answer; the document is
/// `{"_id":1,"a":1,"b":1}`.
const WRITES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "7",
        r#"{"name":"r","apply_when":{},"write":false,"fields":{"a":{"write":true}}}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        "NoMatchingRuleFound: update not permitted",
    ),
    (
        "8, with additional fields",
        r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true}},"additional_fields":{"write":true}}"#,
        "insertOne",
        r#"{"document":{"_id":2,"a":1}}"#,
        r#"{"insertedId":2}"#,
    ),
    (
        "9",
        r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true}}}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        r#"{"matchedCount":1,"modifiedCount":1}"#,
    ),
    (
        "13",
        r#"{"name":"r","apply_when":{},"document_filters":{"read":true},"read":true,"write":true}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        r#"{"matchedCount":1,"modifiedCount":1}"#,
    ),
    (
        "16",
        r#"{"name":"r","apply_when":{},"read":true,"write":false}"#,
        "deleteOne",
        "{}",
        "NoMatchingRuleFound: delete not permitted",
    ),
    (
        "28, the insert",
        r#"{"name":"r","apply_when":{},"write":{"%%prevRoot":{"%exists":false}}}"#,
        "insertOne",
        r#"{"document":{"_id":2}}"#,
        r#"{"insertedId":2}"#,
    ),
    (
        "28, the update",
        r#"{"name":"r","apply_when":{},"write":{"%%prevRoot":{"%exists":false}}}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        "NoMatchingRuleFound: update not permitted",
    ),
    (
        "a transition",
        r#"{"name":"r","apply_when":{},"read":true,"write":{"%%prevRoot.a":1,"%%root.a":2}}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        r#"{"matchedCount":1,"modifiedCount":1}"#,
    ),
    (
        "out of one's write scope",
        r#"{"name":"r","apply_when":{},"document_filters":{"read":true,"write":{"a":1}},"read":true,"write":true}"#,
        "updateOne",
        r#"{"update":{"$set":{"a":2}}}"#,
        "NoMatchingRuleFound: update not permitted",
    ),
    (
        "no change is no change of a field",
        r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true}}}"#,
        "updateOne",
        r#"{"update":{"$set":{"b":1}}}"#,
        r#"{"matchedCount":1,"modifiedCount":0}"#,
    ),
    (
        "a hidden value through a rename",
        r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true},"c":{"write":true}}}"#,
        "updateOne",
        r#"{"update":{"$rename":{"b":"c"}}}"#,
        "NoMatchingRuleFound: update not permitted",
    ),
    (
        "by a hidden field's value, which only narrows",
        r#"{"name":"r","apply_when":{},"fields":{"a":{"write":true}}}"#,
        "find",
        r#"{"query":{"b":1},"sort":{"b":-1},"project":{"b":1,"a":1}}"#,
        r#"[{"a":1}]"#,
    ),
];

#[tokio::test]
async fn what_users_write() {
    for (row, role, action, arguments, expected) in WRITES {
        let w = World::with(role, r#"{"_id":1,"a":1,"b":1}"#).await;
        assert_eq!(&w.ann(action, arguments).await, expected, "row {row}");
        if expected.contains("not permitted") {
            assert_eq!(w.stored().await, r#"[{"_id":1,"a":1,"b":1}]"#, "row {row}");
        }
    }
}

#[tokio::test]
async fn filters_that_cannot_be_served() {
    let all = r#"{"name":"all","apply_when":{},"read":true,"write":true}"#;
    let with = |filters: &str| {
        format!(r#"{{"database":"d","collection":"c","roles":[{all}],"filters":[{filters}]}}"#)
    };
    // 35
    let mixed = with(r#"{"name":"f","projection":{"a":1}},{"name":"g","projection":{"b":0}}"#);
    let w = World::new(&[("d/c/rules.json", &mixed)]);
    w.seed(r#"{"_id":1}"#).await;
    assert_eq!(
        w.ann("find", "{}").await,
        "MongoDBError: filters both include and exclude fields in their projections"
    );
    // 42
    let missing = with(r#"{"name":"f","query":{"o":"%%user.custom_data.nothing"}}"#);
    let w = World::new(&[("d/c/rules.json", &missing)]);
    w.seed(r#"{"_id":1},{"_id":2,"o":null}"#).await;
    for (action, arguments, expected) in [
        ("find", "{}", "[]"),
        ("count", "{}", "0"),
        ("aggregate", r#"{"pipeline":[]}"#, "[]"),
        ("deleteMany", "{}", r#"{"deletedCount":0}"#),
        (
            "updateMany",
            r#"{"update":{"$set":{"h":1}}}"#,
            r#"{"matchedCount":0,"modifiedCount":0}"#,
        ),
        ("findOneAndDelete", "{}", "null"),
    ] {
        assert_eq!(w.ann(action, arguments).await, expected, "{action}");
    }
    // 41
    let schema = r#"{"title":"t","bsonType":"object","additionalProperties":false,"properties":{"a":{"bsonType":"int"}}}"#;
    let w = World::new(&[("d/c/rules.json", &roles(all)), ("d/c/schema.json", schema)]);
    assert_eq!(
        w.ann("insertOne", r#"{"document":{"a":1}}"#).await,
        "SchemaValidationFailedWrite: insert not permitted"
    );
}
