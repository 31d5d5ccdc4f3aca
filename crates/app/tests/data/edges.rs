//! Rows of the edge-case table that need an engine, and what users may not
//! send.

use super::{World, roles};

const ALL: &str = r#"{"name":"all","apply_when":{},"read":true,"write":true}"#;

#[tokio::test]
async fn default_rules_count_only_where_there_are_no_others() {
    let default = format!("{{\"roles\":[{ALL}]}}");
    // 2: roles that do not match shut the default rule off.
    let never = roles(r#"{"name":"n","apply_when":false,"read":true}"#);
    let w = World::new(&[("default_rule.json", &default), ("d/c/rules.json", &never)]);
    w.seed(r#"{"_id":1}"#).await;
    assert_eq!(w.ann("find", "{}").await, "[]");
    // 3: no roles, but the collection's filters.
    let empty =
        r#"{"database":"d","collection":"c","roles":[],"filters":[{"name":"f","query":{"a":1}}]}"#;
    let w = World::new(&[("default_rule.json", &default), ("d/c/rules.json", empty)]);
    w.seed(r#"{"_id":1,"a":1},{"_id":2}"#).await;
    assert_eq!(w.ann("find", "{}").await, r#"[{"_id":1,"a":1}]"#);
    let w = World::new(&[("default_rule.json", &default)]);
    w.seed(r#"{"_id":1}"#).await;
    assert_eq!(w.ann("find", "{}").await, r#"[{"_id":1}]"#);
    let w = World::new(&[]);
    assert_eq!(
        w.ann("find", "{}").await,
        "NoMatchingRuleFound: no rule exists for namespace 'd.c'"
    );
}

#[tokio::test]
async fn filters_narrow_and_project_after_the_roles() {
    let rules = r#"{"database":"d","collection":"c",
        "roles":[{"name":"o","apply_when":{"o":"%%user.id"},"read":true,"write":true}],
        "filters":[{"name":"f","query":{"o":"%%user.id"},"projection":{"o":0}}]}"#;
    let w = World::new(&[("d/c/rules.json", rules)]);
    w.seed(r#"{"_id":1,"o":"ann","a":1},{"_id":2,"o":"bob","a":1}"#)
        .await;
    // 34; the client's projection goes on top, its query cannot widen.
    assert_eq!(w.ann("find", "{}").await, r#"[{"_id":1,"a":1}]"#);
    assert_eq!(
        w.ann("find", r#"{"project":{"o":1,"a":1}}"#).await,
        r#"[{"_id":1,"a":1}]"#
    );
    assert_eq!(w.ann("find", r#"{"query":{"o":"bob"}}"#).await, "[]");
    assert_eq!(w.ann("distinct", r#"{"field":"o"}"#).await, "[]");
    // Filters narrow writes: without one this would be refused.
    assert_eq!(
        w.ann("updateMany", r#"{"update":{"$inc":{"a":1}}}"#).await,
        r#"{"matchedCount":1,"modifiedCount":1}"#
    );
    assert_eq!(
        w.stored().await,
        r#"[{"_id":1,"o":"ann","a":2},{"_id":2,"o":"bob","a":1}]"#
    );
}

#[tokio::test]
async fn pages_are_full_of_what_is_visible() {
    // 33, with a role that no query can say.
    let role = r#"{"name":"r","apply_when":{},"read":{"%%true":{"%function":{"name":"isEven","arguments":["%%root._id"]}}}}"#;
    let documents: Vec<String> = (1..=30).map(|id| format!("{{\"_id\":{id}}}")).collect();
    let w = World::with(role, &documents.join(",")).await;
    let arguments = r#"{"sort":{"_id":1},"skip":1,"limit":3}"#;
    assert_eq!(
        w.ann("find", arguments).await,
        r#"[{"_id":4},{"_id":6},{"_id":8}]"#
    );
    assert_eq!(w.ann("count", "{}").await, "15");
    assert_eq!(w.ann("count", r#"{"limit":4}"#).await, "4");
    let pipeline = r#"{"pipeline":[{"$count":"n"}]}"#;
    assert_eq!(w.ann("aggregate", pipeline).await, r#"[{"n":15}]"#);
}

#[tokio::test]
async fn a_function_that_throws_ends_the_request() {
    // 44
    let throwing = format!(
        r#"{{"name":"t","apply_when":{{"%%true":{{"%function":{{"name":"fails"}}}}}},"read":true}},{ALL}"#
    );
    let w = World::with(&throwing, r#"{"_id":1}"#).await;
    assert_eq!(
        w.ann("find", "{}").await,
        "FunctionExecutionError: it threw"
    );
}

#[tokio::test]
async fn schemas_hold_for_users_only() {
    let schema = r#"{"title":"task","bsonType":"object","required":["_id","t"],
        "properties":{"_id":{"bsonType":"int"},"t":{"bsonType":"string"},"n":{"bsonType":"int"}}}"#;
    let w = World::new(&[("d/c/rules.json", &roles(ALL)), ("d/c/schema.json", schema)]);
    w.seed(r#"{"_id":1,"t":"x"}"#).await;
    let refused = |verb: &str| format!("SchemaValidationFailedWrite: {verb} not permitted");
    let table = [
        ("insertOne", r#"{"document":{"_id":2}}"#, "insert"),
        // 30
        (
            "insertMany",
            r#"{"documents":[{"_id":2,"t":"a"},{"_id":3},{"_id":4,"t":"b"}]}"#,
            "insert",
        ),
        // 37, 39, 40
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":null}}}"#,
            "update",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$unset":{"t":1}}}"#,
            "update",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"n":{"$numberDouble":"1.0"}}}}"#,
            "update",
        ),
    ];
    for (action, arguments, verb) in table {
        assert_eq!(
            w.ann(action, arguments).await,
            refused(verb),
            "{action} {arguments}"
        );
    }
    assert_eq!(w.stored().await, r#"[{"_id":1,"t":"x"}]"#);
    // 38
    assert!(
        w.system("insertOne", r#"{"document":{"_id":2}}"#)
            .await
            .is_ok()
    );
    // What is invalid already can only be repaired or deleted.
    assert_eq!(
        w.ann(
            "updateOne",
            r#"{"query":{"_id":2},"update":{"$set":{"n":1}}}"#
        )
        .await,
        refused("update")
    );
    assert_eq!(
        w.ann(
            "updateOne",
            r#"{"query":{"_id":2},"update":{"$set":{"t":"y"}}}"#
        )
        .await,
        r#"{"matchedCount":1,"modifiedCount":1}"#
    );
    // By the schema's title.
    let by_title = bson::rawdoc! { "schema_name": "task", "query": { "_id": 2 } };
    let user = w.user(r#"{"id":"ann"}"#);
    let found = w.data.run(&user, "findOne", &by_title, None).await.unwrap();
    assert_eq!(
        super::relaxed(found.as_raw_bson_ref()),
        r#"{"_id":2,"t":"y"}"#
    );
    let unknown = bson::rawdoc! { "schema_name": "nope" };
    let problem = w
        .data
        .run(&user, "findOne", &unknown, None)
        .await
        .unwrap_err();
    assert_eq!(
        problem.message,
        "no matching collection found that maps to a table with title \"nope\""
    );
}

#[tokio::test]
async fn users_may_not_send_everything() {
    let w = World::with(ALL, r#"{"_id":1,"a":"x"}"#).await;
    let table = [
        (
            "find",
            r#"{"query":{"$where":"1"}}"#,
            "MongoDBError: $where is not allowed for users",
        ),
        (
            "count",
            r#"{"query":{"a":{"$regex":"x"}}}"#,
            "MongoDBError: $regex is not allowed for users",
        ),
        (
            "deleteMany",
            r#"{"query":{"$expr":true}}"#,
            "MongoDBError: $expr is not allowed for users",
        ),
        (
            "updateOne",
            r#"{"query":{"$where":"1"},"update":{"$set":{"a":1}}}"#,
            "MongoDBError: $where is not allowed for users",
        ),
        (
            "find",
            r#"{"project":{"b":{"$function":{}}}}"#,
            "MongoDBError: $function is not allowed for users",
        ),
        // 45
        (
            "aggregate",
            r#"{"pipeline":[{"$lookup":{"from":"x"}}]}"#,
            "MongoDBError: $lookup is not allowed for users",
        ),
        (
            "find",
            r#"{"collation":{"locale":"de"}}"#,
            "InvalidParameter: the option 'collation' is not supported",
        ),
        // The texts that SDKs match.
        (
            "find",
            r#"{"query":{"$who":1}}"#,
            "MongoDBError: unknown top level operator: $who. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.",
        ),
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$who":{"a":1}}}"#,
            "MongoDBError: Unknown modifier: $who. Expected a valid update modifier or pipeline-style update specified as an array",
        ),
        (
            "aggregate",
            r#"{"pipeline":[{"$who":1}]}"#,
            "MongoDBError: Unrecognized pipeline stage name: '$who'",
        ),
        (
            "insertMany",
            r#"{"documents":[]}"#,
            "InvalidParameter: must provide at least one element",
        ),
        (
            "findOneAndReplace",
            r#"{"filter":{},"update":{"$set":{"a":1}}}"#,
            "InvalidParameter: the replace operation document must not contain atomic operators",
        ),
        (
            "nope",
            "{}",
            "ServiceCommandNotFound: unknown MongoDB action 'nope'",
        ),
        (
            "insertOne",
            "{}",
            "MissingParameter: missing argument 'document'",
        ),
        (
            "find",
            r#"{"query":3}"#,
            "InvalidParameter: argument 'query' must be a document",
        ),
        (
            "find",
            r#"{"limit":-1}"#,
            "InvalidParameter: argument 'limit' must be a whole number that is not negative",
        ),
    ];
    // In the engine's words.
    let search = w.ann("aggregate", r#"{"pipeline":[{"$search":{}}]}"#).await;
    assert!(
        search.starts_with("MongoDBError") && search.contains("$search"),
        "{search}"
    );
    for (action, arguments, expected) in table {
        assert_eq!(
            w.ann(action, arguments).await,
            expected,
            "{action} {arguments}"
        );
    }
    let duplicate = w.ann("insertOne", r#"{"document":{"_id":1}}"#).await;
    assert!(
        duplicate.starts_with("MongoDBError: Duplicate key error: E11000"),
        "{duplicate}"
    );
    // insertMany is ordered: what came before a failure stays.
    w.ann(
        "insertMany",
        r#"{"documents":[{"_id":2},{"_id":1},{"_id":3}]}"#,
    )
    .await;
    assert_eq!(w.stored().await, r#"[{"_id":1,"a":"x"},{"_id":2}]"#);
}

#[tokio::test]
async fn inserting_and_deleting_have_permissions_of_their_own() {
    // 17, 18
    let role =
        r#"{"name":"r","apply_when":{},"read":true,"write":true,"insert":false,"delete":false}"#;
    let w = World::with(role, r#"{"_id":1}"#).await;
    let upsert = |id: u8| {
        format!(r#"{{"query":{{"_id":{id}}},"update":{{"$set":{{"a":1}}}},"upsert":true}}"#)
    };
    assert_eq!(
        w.ann("updateOne", &upsert(1)).await,
        r#"{"matchedCount":1,"modifiedCount":1}"#
    );
    assert_eq!(
        w.ann("updateOne", &upsert(2)).await,
        "NoMatchingRuleFound: insert not permitted"
    );
    assert_eq!(
        w.ann("deleteOne", r#"{"query":{"_id":1}}"#).await,
        "NoMatchingRuleFound: delete not permitted"
    );
}

#[tokio::test]
async fn a_refusal_ends_the_caller_s_transaction() {
    let w = World::with(
        r#"{"name":"o","apply_when":{"o":"%%user.id"},"read":true,"write":{"n":{"$lt":5}}}"#,
        r#"{"_id":1,"o":"ann","n":1},{"_id":2,"o":"ann","n":1}"#,
    )
    .await;
    let user = w.user(r#"{"id":"ann"}"#);
    let session = engine::Session::start();
    let update = |id: i32, n: i32| {
        bson::rawdoc! {
            "database": "d", "collection": "c", "query": { "_id": id }, "update": { "$set": { "n": n } },
        }
    };
    w.data
        .run(&user, "updateOne", &update(1, 2), Some(&session))
        .await
        .unwrap();
    let refused = w
        .data
        .run(&user, "updateOne", &update(2, 9), Some(&session))
        .await;
    assert_eq!(refused.unwrap_err().message, "update not permitted");
    assert!(session.commit(&w.engine).await.is_err());
    assert_eq!(
        w.stored().await,
        r#"[{"_id":1,"o":"ann","n":1},{"_id":2,"o":"ann","n":1}]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_meet_all_happen() {
    let w = std::sync::Arc::new(World::with(ALL, r#"{"_id":1,"n":0}"#).await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let w = w.clone();
            tokio::spawn(async move {
                w.ann(
                    "updateOne",
                    r#"{"query":{"_id":1},"update":{"$inc":{"n":1}}}"#,
                )
                .await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(
            task.await.unwrap(),
            r#"{"matchedCount":1,"modifiedCount":1}"#
        );
    }
    assert_eq!(w.stored().await, r#"[{"_id":1,"n":20}]"#);
}

#[tokio::test]
async fn what_is_wrong_is_found_with_its_file() {
    let mut files = config::Files::default();
    for (path, text) in [
        (
            "realm_config.json",
            r#"{"config_version":20210101,"app_id":"a-abcde","name":"a"}"#,
        ),
        (
            "data_sources/s/config.json",
            r#"{"name":"s","type":"mongodb-atlas","config":{"clusterName":"c"}}"#,
        ),
        (
            "data_sources/s/d/c/rules.json",
            r#"{"database":"d","collection":"c","roles":[
            {"name":"r","apply_when":{"%%foo":1}}]}"#,
        ),
        (
            "data_sources/s/d/e/rules.json",
            r#"{"database":"d","collection":"e","roles":[
            {"name":"r","apply_when":{"%%true":{"%function":{"name":"nope"}}}}]}"#,
        ),
        (
            "data_sources/s/d/e/schema.json",
            r#"{"title":"e","properties":{"a":{"bsonType":"nonsense"},
            "b":{"bsonType":"array","items":{"properties":{"c/d":{"minLength":"x"}}}}}}"#,
        ),
    ] {
        files.insert(path, text.as_bytes().to_vec());
    }
    let (release, findings) = app::check(&files);
    assert!(release.is_none());
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "data_sources/s/d/c/rules.json:2:39: error: roles[0].apply_when.%%foo: do not know how to expand '%%foo'",
            "data_sources/s/d/e/rules.json:2:39: error: function 'nope' does not exist",
            "data_sources/s/d/e/schema.json:1:28: error: properties.a: Unknown type name alias: nonsense",
            "data_sources/s/d/e/schema.json:2:60: error: properties.b.items.properties.c/d: $jsonSchema keyword 'minLength' must be a non-negative integer",
        ]
    );
}
