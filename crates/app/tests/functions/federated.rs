//! Federated data sources: the system reads them.

use app::{Cx, RequestInfo};
use bson::rawdoc;

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_system_reads_them() {
    let files = [
        (
            "data_sources/lake/config.json",
            r#"{"name":"lake","type":"datalake","config":{"dataLakeName":"lake"},"version":1}"#,
        ),
        (
            "data_sources/lake/d/c/rules.json",
            r#"{"database":"d","collection":"c","roles":[{"name":"all","apply_when":{},"read":true,"write":true}]}"#,
        ),
    ];
    let world = World::new(&[], &files).await;
    let asked = rawdoc! { "database": "d", "collection": "c", "document": { "_id": 1 }, "query": {}, "pipeline": [] };
    let user = Cx::of_user(&world.app, world.alice.clone(), RequestInfo::default());
    let system = Cx::of_system(&world.app, RequestInfo::default());
    for action in ["find", "aggregate", "insertOne", "deleteMany"] {
        let problem = user.data("lake", action, &asked).await.unwrap_err();
        assert_eq!(problem.code, "NoMatchingRuleFound", "{action}");
    }
    for action in ["find", "findOne", "count", "aggregate"] {
        system.data("lake", action, &asked).await.unwrap();
    }
    for action in ["insertOne", "deleteMany", "bulkWrite", "findOneAndDelete"] {
        let problem = system.data("lake", action, &asked).await.unwrap_err();
        assert!(
            problem.message.contains("is only read"),
            "{action}: {problem}"
        );
    }
    assert!(system.watch("lake", &asked).await.is_err());
}
