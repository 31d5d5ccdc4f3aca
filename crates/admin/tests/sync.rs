//! Administration of sync: as the test helpers of the SDKs do it.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NO_SYNC: &str = "there are no mongodb/atlas services with provided sync state";

async fn service(app: &AppAdmin<'_>) -> String {
    let body = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "c" } });
    app.made("/services", body).await
}

async fn state(app: &AppAdmin<'_>, query: &str) -> Value {
    let path = format!("/sync/state{query}");
    app.done(200, "GET", &path, json!(null)).await["state"].clone()
}

#[tokio::test]
async fn sync_is_enabled_paused_and_terminated_in_a_services_config() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("todo").await;
    let config = format!("/services/{}/config", service(&app).await);
    assert_eq!(state(&app, "").await, "");
    let none = app.call("GET", "/sync/progress", json!(null)).await;
    assert_eq!((none.status, &none.body["error"]), (400, &json!(NO_SYNC)));

    let on = json!({ "flexible_sync": {
        "state": "enabled", "database_name": "todo", "queryable_fields_names": ["owner"],
        "permissions": null, "is_recovery_mode_disabled": true,
    } });
    app.done(204, "PATCH", &config, on).await;
    assert_eq!(state(&app, "?sync_type=flexible").await, "enabled");
    assert_eq!(state(&app, "?sync_type=partition").await, "");
    let shown = app.done(200, "GET", &config, json!(null)).await;
    assert_eq!(shown["clusterName"], "c");
    assert_eq!(
        shown["flexible_sync"]["queryable_fields_names"],
        json!(["owner"])
    );
    assert_eq!(shown["flexible_sync"]["is_recovery_mode_disabled"], true);
    // It is the app's, in its own file, and no part of the data source's.
    let pulled = app.done(200, "GET", "/pull", json!(null)).await;
    assert_eq!(pulled["sync"]["state"], "enabled");
    assert_eq!(pulled["sync"]["service_name"], "db");
    assert!(
        pulled["data_sources"][0]["config"]
            .get("flexible_sync")
            .is_none()
    );

    let schema = json!({
        "metadata": { "data_source": "db", "database": "todo", "collection": "Task" },
        "schema": { "title": "Task", "bsonType": "object", "properties": { "_id": { "bsonType": "objectId" } } },
    });
    app.made("/schemas", schema).await;
    // Nobody is told to go on as if it ran.
    let progress = app.done(200, "GET", "/sync/progress", json!(null)).await;
    assert_eq!(progress["accepting_clients"], false);
    assert_eq!(progress["progress"]["todo.Task"]["complete"], false);

    // What a client read may be sent back; then paused, then terminated.
    app.done(204, "PATCH", &config, shown.clone()).await;
    assert_eq!(app.done(200, "GET", &config, json!(null)).await, shown);
    for off in ["disabled", ""] {
        let body = json!({ "flexible_sync": { "state": off } });
        app.done(204, "PATCH", &config, body).await;
        assert_eq!(state(&app, "").await, off);
    }
    let kept = app.done(200, "GET", &config, json!(null)).await;
    assert_eq!(kept["flexible_sync"]["state"], "");
    assert_eq!(kept["flexible_sync"]["database_name"], "todo");
    assert_eq!(
        app.call("GET", "/sync/progress", json!(null)).await.status,
        400
    );
    for wrong in [
        json!({ "flexible_sync": { "state": "on" } }),
        json!({ "sync": { "state": "enabled", "database_name": "todo" } }),
    ] {
        let refused = app.call("PATCH", &config, wrong.clone()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{wrong}");
    }
}

#[tokio::test]
async fn a_service_may_bring_its_sync_along() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("todo").await;
    let body = json!({ "name": "db", "type": "mongodb-atlas", "config": {
        "clusterName": "c",
        "sync": {
            "state": "enabled", "database_name": "todo",
            "partition": { "key": "team", "type": "string", "permissions": { "read": true, "write": true } },
        },
    } });
    let id = app.made("/services", body).await;
    assert_eq!(state(&app, "?sync_type=partition").await, "enabled");
    let shown = app
        .done(200, "GET", &format!("/services/{id}"), json!(null))
        .await;
    assert_eq!(shown["config"]["sync"]["partition"]["key"], "team");
    // One data source of an app syncs.
    let other = json!({ "name": "other", "type": "mongodb-atlas", "config": {
        "clusterName": "c", "flexible_sync": { "state": "enabled", "database_name": "x" },
    } });
    let refused = app.call("POST", "/services", other).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let body = json!({ "serviceId": id, "action": "start" });
    let refused = app.call("PUT", "/sync/migration", body).await;
    assert_eq!(refused.status, 400);
    let text = refused.body["error"].as_str().unwrap();
    assert!(text.contains("does not run"), "{text}");
    let refused = app
        .call("PUT", "/sync/force_reset", json!({ "file_ident": 3 }))
        .await;
    assert_eq!(refused.status, 400);
    for (path, wrong) in [
        ("/sync/force_reset", json!({})),
        ("/sync/force_reset", json!({ "file_ident": "3" })),
        ("/sync/migration", json!({ "serviceId": id })),
        (
            "/sync/migration",
            json!({ "serviceId": id, "action": "stop" }),
        ),
        ("/sync/config", json!({})),
        ("/sync/config", json!({ "development_mode_enabled": "yes" })),
    ] {
        let refused = app.call("PUT", path, wrong.clone()).await;
        assert_eq!(refused.status, 400, "{path} {wrong}");
    }
    let none = json!({ "serviceId": "0123456789abcdef01234567", "action": "start" });
    let refused = app.call("PUT", "/sync/migration", none).await;
    assert_eq!(refused.refusal(), (404, "ServiceNotFound"));
}

#[tokio::test]
async fn development_mode_lets_anybody_in_and_turns_drafts_of_the_console_off() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("todo").await;
    let deploy = async || {
        let deploy = app.done(200, "GET", "/deploy/config", json!(null)).await;
        deploy["ui_drafts_disabled"].clone()
    };
    let anonymous = async || {
        let providers = app.done(200, "GET", "/auth_providers", json!(null)).await;
        let providers = providers.as_array().unwrap().clone();
        let found = providers.into_iter().find(|one| one["type"] == "anon-user");
        found.map(|one| one["disabled"].clone())
    };
    let mode = async || {
        let config = app.done(200, "GET", "/sync/config", json!(null)).await;
        config["development_mode_enabled"].clone()
    };
    assert_eq!((mode().await, deploy().await), (json!(false), json!(false)));
    assert_eq!(anonymous().await, None);
    let set = async |on: bool| {
        // A client may send all of sync's configuration.
        let body =
            json!({ "development_mode_enabled": on, "state": "enabled", "type": "flexible" });
        app.done(204, "PUT", "/sync/config", body).await;
    };
    set(true).await;
    assert_eq!((mode().await, deploy().await), (json!(true), json!(true)));
    assert_eq!(anonymous().await, Some(json!(false)));
    assert_eq!(state(&app, "").await, "");
    set(false).await;
    assert_eq!((mode().await, deploy().await), (json!(false), json!(false)));
    // Who logged in stays in.
    assert_eq!(anonymous().await, Some(json!(false)));
}

#[tokio::test]
async fn models_come_in_every_language() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("todo").await;
    let languages = [
        ("C_SHARP", "public partial class Task : IRealmObject"),
        ("JAVA", "public class Task extends RealmObject"),
        ("JAVA_SCRIPT", "export const TaskSchema = {"),
        ("KOTLIN", "class Task : RealmObject"),
        ("OBJECTIVE_C", "@interface Task : RLMObject"),
        ("SWIFT", "class Task: Object"),
        ("TYPE_SCRIPT", "export type Task = {"),
    ];
    for (language, _) in languages {
        let path = format!("/sync/client_schemas/{language}");
        assert_eq!(app.done(200, "GET", &path, json!(null)).await, json!([]));
    }
    let id = service(&app).await;
    let rule = json!({ "database": "todo", "collection": "Task", "roles": [] });
    let rule = app.made(&format!("/services/{id}/rules"), rule).await;
    let schema = json!({
        "metadata": { "data_source": "db", "database": "todo", "collection": "Task" },
        "schema": { "title": "Task", "bsonType": "object", "properties": {
            "_id": { "bsonType": "objectId" }, "odd": { "bsonType": "regex" },
        } },
    });
    app.made("/schemas", schema).await;
    for (language, begins) in languages {
        let path = format!("/sync/client_schemas/{language}");
        let models = app.done(200, "GET", &path, json!(null)).await;
        let model = &models[0];
        assert_eq!(
            (&model["service_id"], &model["rule_id"]),
            (&json!(id), &json!(rule))
        );
        assert_eq!(model["collection_display_name"], "todo.Task");
        assert_eq!(model["model_name"], "Task");
        assert!(
            model["schema"].as_str().unwrap().starts_with(begins),
            "{language}"
        );
        assert_eq!(
            model["warnings"][0]["error_code"],
            "UnsupportedPropertyType"
        );
        assert_eq!(model["error"], json!({ "error": "", "error_code": "" }));
    }
    let none = app
        .call("GET", "/sync/client_schemas/COBOL", json!(null))
        .await;
    assert_eq!(none.refusal(), (404, "LanguageNotFound"));
}
