//! What is no case: writes that meet, most documents, files and lines.

use super::World;

const ALL: &str = r#"{"name":"all","apply_when":{},"read":true,"write":true}"#;

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

/// More than are answered with, each seen by its role or as the query says.
#[tokio::test]
async fn a_query_of_a_user_returns_50_000_documents_at_most() {
    use kit::limit::QUERY_DOCUMENTS_MAX;
    let more = QUERY_DOCUMENTS_MAX + 10;
    for read in [
        "true",
        r#"{"%%true":{"%function":{"name":"isEven","arguments":[2,"%%root.k"]}}}"#,
    ] {
        let role = format!(r#"{{"name":"r","apply_when":{{}},"read":{read}}}"#);
        let w = World::with(&role, r#"{"_id":-1}"#).await;
        let documents: Vec<String> = (1..more).map(|id| format!("{{\"_id\":{id}}}")).collect();
        w.seed(&documents.join(",")).await;
        let length = |found: &str| found.matches("_id").count();
        let pipeline = r#"{"pipeline":[{"$match":{}}]}"#;
        for (action, arguments) in [
            ("find", "{}"),
            ("find", r#"{"limit":50005}"#),
            ("aggregate", pipeline),
        ] {
            let found = w.ann(action, arguments).await;
            assert_eq!(length(&found), QUERY_DOCUMENTS_MAX, "{action} {arguments}");
        }
        assert_eq!(w.ann("count", "{}").await, more.to_string());
        assert_eq!(length(&w.system("find", "{}").await.unwrap()), more);
    }
}

#[tokio::test]
async fn a_missing_id_is_made_and_comes_first() {
    let w = World::new(&[]);
    w.system("insertOne", r#"{"document":{"a":1}}"#)
        .await
        .unwrap();
    let stored = w.stored().await;
    assert!(stored.starts_with(r#"[{"_id":{"$oid":""#), "{stored}");
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
