//! Commands of data sources, several of them linked at once, how far triggers
//! came.

use bson::{Bson, doc, oid::ObjectId};
use engine::Collection;
use serde_json::{Value, json};

use crate::{AppAdmin, World};

/// An app with a data source; the source's id.
async fn with_source<'a>(operator: &'a crate::Administrator<'a>) -> (AppAdmin<'a>, String) {
    let app = operator.app("shop").await;
    let body = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "x" } });
    let id = app.made("/services", body).await;
    (app, id)
}

async fn insert(world: &World, database: &str, collection: &str, documents: &[bson::Document]) {
    let engine = world.core.whole_cluster("").unwrap();
    let collection = Collection::new(&engine, database, collection);
    for document in documents {
        let document = bson::RawDocumentBuf::try_from(document).unwrap();
        collection.insert_one(&document).await.unwrap();
    }
}

#[tokio::test]
async fn a_data_source_tells_what_is_in_it_but_the_servers_own() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, id) = with_source(&operator).await;
    insert(&world, "store", "orders", &[doc! { "_id": 1 }]).await;
    insert(&world, "store", "items", &[doc! { "_id": 1 }]).await;
    let command = |name: &str| format!("/services/{id}/commands/{name}");
    let listed = app
        .done(200, "POST", &command("list_databases"), json!({}))
        .await;
    assert_eq!(listed, json!([{ "name": "store" }]));
    let body = json!({ "database_name": "store" });
    let listed = app
        .done(200, "POST", &command("list_collections"), body)
        .await;
    assert_eq!(listed, json!([{ "name": "items" }, { "name": "orders" }]));
    let body = json!({ "database_name": "nothing" });
    let listed = app
        .done(200, "POST", &command("list_collections"), body)
        .await;
    assert_eq!(listed, json!([]));
    let info = app
        .done(200, "GET", &command("build_info"), Value::Null)
        .await;
    assert_eq!(
        (&info["version"], &info["bits"]),
        (&json!("6.0.5"), &json!(64))
    );
    assert_eq!(info["maxBsonObjectSize"], 16 * 1024 * 1024);
    for (name, body, status, code) in [
        ("list_collections", json!({}), 400, "MissingParameter"),
        (
            "list_collections",
            json!({ "database_name": { "$ne": "" } }),
            400,
            "InvalidParameter",
        ),
        (
            "list_collections",
            json!({ "database_name": "backstitch" }),
            400,
            "MongoDBError",
        ),
        (
            "list_collections",
            json!({ "database_name": "admin" }),
            400,
            "MongoDBError",
        ),
        ("drop_database", json!({}), 404, "ServiceCommandNotFound"),
        ("__proto__", json!({}), 404, "ServiceCommandNotFound"),
    ] {
        let refused = app.call("POST", &command(name), body.clone()).await;
        assert_eq!(
            refused.refusal(),
            (status, code),
            "{name} {body} {refused:?}"
        );
    }
    let body = json!({ "name": "mail", "type": "http", "config": {} });
    let other = app.made("/services", body).await;
    for (id, code) in [
        (&*other, "ServiceCommandNotFound"),
        ("0123456789abcdef01234567", "ServiceNotFound"),
    ] {
        let path = format!("/services/{id}/commands/list_databases");
        let refused = app.call("POST", &path, json!({})).await;
        assert_eq!(refused.refusal(), (404, code));
    }
}

#[tokio::test]
async fn a_schema_is_made_of_real_documents() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, id) = with_source(&operator).await;
    let command = format!("/services/{id}/commands/generate_schema");
    insert(
        &world,
        "store",
        "orders",
        &[
            doc! { "_id": 1, "name": "a", "at": { "city": "x" }, "tags": ["a"] },
            doc! { "_id": 2, "name": 5, "gone": null, "tags": [] },
        ],
    )
    .await;
    let ask = |fields: Value| {
        let mut body = json!({ "database_name": "store", "collection_name": "orders" });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let made = app
        .done(200, "POST", &command, ask(json!({ "limit": 10 })))
        .await;
    let schema = &made["schema"];
    assert_eq!(schema["title"], "order");
    assert_eq!(schema["required"], json!(["_id"]));
    assert_eq!(schema["properties"]["_id"], json!({ "bsonType": "int" }));
    assert_eq!(
        schema["properties"]["at"],
        json!({ "bsonType": "object", "properties": { "city": { "bsonType": "string" } } })
    );
    let mut types: Vec<&str> = schema["properties"]["name"]["bsonType"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["int", "string"]);
    assert!(schema["properties"].get("gone").is_none());
    let one = app
        .done(
            200,
            "POST",
            &command,
            ask(json!({ "limit": { "$numberInt": "1" } })),
        )
        .await;
    assert!(one["schema"]["properties"]["name"]["bsonType"].is_string());
    // What was made is a schema that the app takes.
    let body = json!({
        "metadata": { "data_source": "db", "database": "store", "collection": "orders" },
        "schema": schema,
    });
    app.made("/schemas", body).await;
    for (fields, code) in [
        (json!({}), "MissingParameter"),
        (json!({ "limit": 0 }), "InvalidParameter"),
        (json!({ "limit": -1 }), "InvalidParameter"),
        (json!({ "limit": 1.5 }), "InvalidParameter"),
        (json!({ "limit": 50_001 }), "InvalidParameter"),
        (
            json!({ "limit": 1, "database_name": "backstitch" }),
            "MongoDBError",
        ),
    ] {
        let refused = app.call("POST", &command, ask(fields.clone())).await;
        assert_eq!(refused.refusal(), (400, code), "{fields} {refused:?}");
    }
    let logs = app
        .done(200, "GET", "/logs?type=SCHEMA_GENERATION", Value::Null)
        .await;
    assert_eq!(logs["logs"][0]["service_id"], id);
    assert_eq!(logs["logs"][0]["error_code"], "MongoDBError");
}

#[tokio::test]
async fn documents_are_validated_against_a_schema_before_it_is_one() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, id) = with_source(&operator).await;
    let command = format!("/services/{id}/commands/validate_documents");
    let (first, second) = (ObjectId::new(), ObjectId::new());
    insert(
        &world,
        "store",
        "orders",
        &[
            doc! { "_id": first, "name": 5, "n": 1 },
            doc! { "_id": second, "name": null, "n": 2 },
            doc! { "_id": "third", "name": "x", "n": 3 },
            doc! { "_id": 4, "n": Bson::Int64(4) },
        ],
    )
    .await;
    let ask = |fields: Value| {
        let mut body = json!({
            "database_name": "store", "collection_name": "orders",
            "from_schema": {
                "bsonType": "object", "required": ["_id"],
                "properties": { "name": { "bsonType": "string" }, "n": { "bsonType": "int" } },
            },
        });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let found = app
        .done(200, "POST", &command, ask(json!({ "sort": { "n": 1 } })))
        .await;
    let query =
        json!({ "_id": { "$in": [{ "$oid": first.to_hex() }, { "$oid": second.to_hex() }] } });
    let name = json!({
        "error_code": "invalid_type", "error_count": 2, "field": "(root).name",
        "failed_ids": [first.to_hex(), second.to_hex()], "failed_documents_query": query,
    });
    let number = json!({
        "error_code": "invalid_type", "error_count": 1, "field": "(root).n",
        "failed_ids": ["4"], "failed_documents_query": { "_id": { "$in": [4] } },
    });
    assert_eq!(
        found,
        json!({ "errors": [name, number], "total_processed_count": 4, "total_error_count": 3 })
    );
    // The query that it answers finds them.
    let again = app
        .done(
            200,
            "POST",
            &command,
            ask(json!({ "query": query, "limit": 10 })),
        )
        .await;
    assert_eq!(again["total_processed_count"], 2);
    let some = ask(json!({ "sort": { "n": -1 }, "limit": 2 }));
    let some = app.done(200, "POST", &command, some).await;
    assert_eq!(
        (&some["total_processed_count"], &some["total_error_count"]),
        (&json!(2), &json!(1))
    );
    // As the app validates null.
    let nulls = "/validation_settings/null_type_schema_validation";
    app.done(204, "PUT", nulls, json!({ "enabled": true }))
        .await;
    let found = app.done(200, "POST", &command, ask(json!({}))).await;
    assert_eq!(found["total_error_count"], 2);
    for (fields, code) in [
        (json!({ "from_schema": null }), "MissingParameter"),
        (json!({ "from_schema": "x" }), "InvalidParameter"),
        (json!({ "from_schema": { "bsonType": 5 } }), "BadRequest"),
        (json!({ "query": [] }), "InvalidParameter"),
        (json!({ "query": { "$bad": 1 } }), "MongoDBError"),
        (json!({ "limit": 50_001 }), "InvalidParameter"),
        (json!({ "limit": "x" }), "InvalidParameter"),
        (json!({ "database_name": "local" }), "MongoDBError"),
    ] {
        let refused = app.call("POST", &command, ask(fields.clone())).await;
        assert_eq!(refused.refusal(), (400, code), "{fields} {refused:?}");
    }
}

#[tokio::test]
async fn data_sources_are_linked_together_or_not_at_all() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, _) = with_source(&operator).await;
    let link = "/multi_data_sources";
    let source = |name: &str| json!({ "name": name, "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" } });
    let reply = app
        .call("POST", link, json!([source("one"), source("two")]))
        .await;
    assert_eq!((reply.status, reply.body), (201, Value::Null));
    let services = app.done(200, "GET", "/services", Value::Null).await;
    let names: Vec<&Value> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["db", "one", "two"]);
    let id = services[1]["_id"].as_str().unwrap();
    let rule = app
        .done(
            200,
            "GET",
            &format!("/services/{id}/default_rule"),
            Value::Null,
        )
        .await;
    assert_eq!(
        rule["roles"][0]["document_filters"],
        json!({ "read": true, "write": true })
    );

    let taken = app
        .call(
            "POST",
            link,
            json!([source("three"), source("two"), source("db")]),
        )
        .await;
    assert_eq!(taken.status, 400);
    assert_eq!(taken.body["failedClusterNames"], json!(["two", "db"]));
    let twice = app
        .call("POST", link, json!([source("four"), source("four")]))
        .await;
    assert_eq!(twice.body["failedClusterNames"], json!(["four"]));
    let mut other = source("five");
    other["type"] = json!("mongodb");
    let many: Vec<Value> = (0..26).map(|n| source(&format!("n{n}"))).collect();
    for (body, code) in [
        (json!({}), "BadRequest"),
        (json!([]), "BadRequest"),
        (json!(many), "BadRequest"),
        (json!(["x"]), "BadRequest"),
        (json!([other]), "InvalidParameter"),
        (
            json!([{ "name": "x", "type": "mongodb-atlas" }]),
            "MissingParameter",
        ),
        (json!([source("../x")]), "BadRequest"),
    ] {
        let refused = app.call("POST", link, body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
    let services = app.done(200, "GET", "/services", Value::Null).await;
    assert_eq!(services.as_array().unwrap().len(), 3);
    for part in 0..4 {
        let more: Vec<Value> = (0..24).map(|n| source(&format!("m{part}-{n}"))).collect();
        assert_eq!(app.call("POST", link, json!(more)).await.status, 201);
    }
    let refused = app
        .call("POST", link, json!([source("a"), source("b")]))
        .await;
    assert_eq!(
        refused.refusal(),
        (400, "BadRequest"),
        "one hundred at most"
    );
}

#[tokio::test]
async fn what_sync_can_partition_by_is_in_every_schema() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, id) = with_source(&operator).await;
    let path = format!("/sync/data?service_id={id}");
    let nothing = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(nothing, json!({ "service_id": "", "partition_fields": [] }));
    for (collection, extra) in [("a", "string"), ("b", "objectId")] {
        let text = json!({ "bsonType": "string" });
        let body = json!({
            "metadata": { "data_source": "db", "database": "store", "collection": collection },
            "schema": { "title": collection, "bsonType": "object", "properties": {
                "_id": { "bsonType": "objectId" }, "owner": text, "realm": text,
                "extra": { "bsonType": extra }, "flag": { "bsonType": "bool" },
            } },
        });
        app.made("/schemas", body).await;
    }
    let config = format!("/services/{id}/config");
    let sync = json!({ "sync": {
        "state": "enabled", "database_name": "store", "partition": { "key": "owner", "type": "string" },
    } });
    app.done(204, "PATCH", &config, sync).await;
    let shown = app.done(200, "GET", &path, Value::Null).await;
    let fields =
        json!([{ "key": "owner", "type": "string" }, { "key": "realm", "type": "string" }]);
    assert_eq!(
        shown,
        json!({ "service_id": id, "partition_fields": fields })
    );
    // The path as the published document writes it.
    let one = app.done(200, "GET", &config, Value::Null).await;
    let other = app
        .done(200, "GET", &format!("/service/{id}/config"), Value::Null)
        .await;
    assert_eq!(one, other);
    for (query, refusal) in [
        ("", (400, "MissingParameter")),
        (
            "?service_id=0123456789abcdef01234567",
            (404, "ServiceNotFound"),
        ),
    ] {
        let refused = app
            .call("GET", &format!("/sync/data{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), refusal);
    }
}

#[tokio::test]
async fn triggers_tell_how_far_they_came() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, _) = with_source(&operator).await;
    app.made(
        "/functions",
        json!({ "name": "f", "source": "exports = () => 1" }),
    )
    .await;
    let body = json!({
        "name": "daily", "type": "SCHEDULED", "function_name": "f",
        "config": { "schedule": "0 0 * * *" },
    });
    let id = app.made("/triggers", body).await;
    let execution = format!("/event_subscriptions/{id}/execution");
    let resume = format!("/triggers/{id}/resume");
    let never = app.call("GET", &execution, Value::Null).await;
    assert_eq!(never.refusal(), (404, "TriggerExecutionNotFound"));
    let running = app.call("PUT", &resume, Value::Null).await;
    assert_eq!(running.refusal(), (404, "TriggerNotSuspended"));

    let triggers = &world.core.state.triggers;
    let progress = state::TriggerProgress {
        id: state::TriggerProgress::id_of(&app.id, &id),
        app_id: app.id.clone(),
        token: Some(doc! { "_data": "8265" }),
        last: Some(state::Execution {
            data: bson::bson!({ "_data": "8265" }),
            resource_id: "65f0".to_owned(),
            completed: 1_700_000_000_000,
            cluster_time: None,
        }),
        suspended: Some("the history is lost".to_owned()),
    };
    triggers.put(&progress).await.unwrap();
    assert_eq!(
        app.done(200, "GET", &execution, Value::Null).await,
        json!({
            "data": { "_data": "8265" }, "resource_id": "65f0",
            "completed_at": "2023-11-14T22:13:20Z", "cluster_time": null,
        })
    );
    let refused = app
        .call("PUT", &resume, json!({ "disable_token": "yes" }))
        .await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter"));
    app.done(204, "PUT", &resume, Value::Null).await;
    let after = triggers.get(&progress.id).await.unwrap().unwrap();
    assert_eq!((after.suspended, after.token.is_some()), (None, true));
    triggers.put(&progress).await.unwrap();
    app.done(204, "PUT", &resume, json!({ "disable_token": true }))
        .await;
    let after = triggers.get(&progress.id).await.unwrap().unwrap();
    assert_eq!(
        (after.suspended, after.token, after.last.is_some()),
        (None, None, true)
    );
    // Another app's record of the same id is another's.
    let other = operator.app("other").await;
    let refused = other.call("PUT", &resume, Value::Null).await;
    assert_eq!(refused.refusal(), (404, "TriggerNotFound"));
    app.done(204, "DELETE", &format!("/triggers/{id}"), Value::Null)
        .await;
    let gone = app.call("GET", &execution, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "TriggerNotFound"));
}

#[tokio::test]
async fn graphql_says_in_its_own_shape_that_it_does_not_run() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, _) = with_source(&operator).await;
    let body = json!({ "query": "{ movies { title } }", "variables": "{}" });
    let answer = app.done(200, "POST", "/graphql", body).await;
    assert_eq!(answer["data"], Value::Null);
    assert!(
        answer["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("not supported yet")
    );
    assert_eq!(
        answer["errors"][0]["locations"],
        json!([{ "line": 1, "column": 1 }])
    );
    for (body, code) in [
        (json!({}), "MissingParameter"),
        (json!({ "query": 5 }), "InvalidParameter"),
        (
            json!({ "query": "{ x }", "variables": [] }),
            "InvalidParameter",
        ),
        (
            json!({ "query": "{ x }", "operationName": 5 }),
            "InvalidParameter",
        ),
    ] {
        let refused = app.call("POST", "/graphql", body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
}
