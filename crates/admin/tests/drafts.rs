//! Drafts: what lands in them, what is seen by whom, and how they go live.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NOBODY: &str = "0123456789abcdef01234567";

fn value(name: &str, value: i64) -> Value {
    json!({ "name": name, "value": value })
}

async fn names(app: &AppAdmin<'_>, path: &str) -> Vec<String> {
    let listed = app.done(200, "GET", path, Value::Null).await;
    let names = listed.as_array().unwrap().iter();
    names
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn deployments(app: &AppAdmin<'_>) -> Vec<Value> {
    let listed = app.done(200, "GET", "/deployments", Value::Null).await;
    listed.as_array().unwrap().clone()
}

#[tokio::test]
async fn edits_land_in_the_draft_until_it_is_deployed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    assert_eq!(
        app.done(200, "GET", "/drafts", Value::Null).await,
        json!([])
    );
    let draft = app.done(201, "POST", "/drafts", Value::Null).await;
    assert_eq!(draft["app"]["_id"], json!(app.id));
    assert_eq!(
        app.done(200, "GET", "/drafts", Value::Null).await,
        json!([draft])
    );
    let path = format!("/drafts/{}", draft["_id"].as_str().unwrap());
    let diff = format!("{path}/diff");
    let none = json!({ "added": [], "deleted": [], "modified": [] });
    assert_eq!(
        app.done(200, "GET", &diff, Value::Null).await,
        json!({
            "diffs": [], "hosting_files_diff": none, "dependencies_diff": none,
            "graphql_config_diff": { "field_diffs": [] },
            "schema_options_diff": { "graphql_validation_diff": [], "rest_validation_diff": [] },
        })
    );
    // Nothing of it is live, and its owner sees all of it.
    let id = app.made("/values", value("a", 1)).await;
    app.done(204, "PUT", &format!("/values/{id}"), value("b", 2))
        .await;
    assert_eq!(names(&app, "/values").await, ["b"]);
    let served = world.core.app(&app.id).await.unwrap();
    assert_eq!(served.release().config.all(config::Kind::Value).count(), 0);
    assert_eq!(deployments(&app).await, [] as [Value; 0]);
    let config = json!({ "use_natural_pluralization": true, "disable_schema_introspection": true });
    app.done(204, "PUT", "/graphql/config", config).await;
    let shown = app.done(200, "GET", &diff, Value::Null).await;
    let text = shown["diffs"].to_string();
    assert!(text.contains("+++ values/b.json"), "{text}");
    assert_eq!(
        shown["graphql_config_diff"]["field_diffs"],
        json!([
            { "field_name": "disable_schema_introspection", "previous": null, "updated": true },
            { "field_name": "use_natural_pluralization", "previous": null, "updated": true },
        ])
    );
    // What is wrong is refused, and the draft stays as it was.
    let bad = json!({ "name": "f", "source": "exports = (" });
    let refused = app.call("POST", "/functions", bad).await;
    assert_eq!(refused.refusal(), (400, "FunctionSyntaxError"));
    assert_eq!(names(&app, "/functions").await, [] as [&str; 0]);
    // Live at once, under the ids that the draft gave.
    let deployed = app
        .done(
            201,
            "POST",
            &format!("{path}/deployment"),
            json!({ "name": "first" }),
        )
        .await;
    assert_eq!(
        (
            &deployed["status"],
            &deployed["name"],
            &deployed["draft_id"]
        ),
        (&json!("created"), &json!("first"), &draft["_id"])
    );
    let one = format!("/deployments/{}", deployed["_id"].as_str().unwrap());
    let one = app.done(200, "GET", &one, Value::Null).await;
    assert_eq!(one["status"], "successful");
    assert_eq!(deployments(&app).await, [one]);
    let seen = app
        .done(200, "GET", &format!("/values/{id}"), Value::Null)
        .await;
    assert_eq!(
        (&seen["name"], &seen["value"], &seen["_id"]),
        (&json!("b"), &json!(2), &json!(id))
    );
    assert!(
        served
            .release()
            .config
            .get(config::Kind::Value, "b")
            .is_some()
    );
    assert_eq!(
        app.done(200, "GET", "/drafts", Value::Null).await,
        json!([])
    );
    // Without a draft an edit is a deployment again.
    app.made("/values", value("c", 1)).await;
    assert_eq!(deployments(&app).await.len(), 2);
}

#[tokio::test]
async fn a_draft_is_its_owners() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let pair = world.colleague("GROUP_OWNER").await;
    let other = world.administrator(&world.project, &pair).await;
    let theirs = AppAdmin {
        administrator: &other,
        id: app.id.clone(),
    };
    let draft = app.made("/drafts", json!({})).await;
    let again = app.call("POST", "/drafts", Value::Null).await;
    assert_eq!(again.refusal(), (409, "DraftAlreadyExists"));
    app.made("/values", value("mine", 1)).await;
    // Another administrator sees what is live, and none of the draft.
    assert_eq!(names(&theirs, "/values").await, [] as [&str; 0]);
    assert_eq!(
        theirs.done(200, "GET", "/drafts", Value::Null).await,
        json!([])
    );
    for (method, path) in [
        ("DELETE", format!("/drafts/{draft}")),
        ("GET", format!("/drafts/{draft}/diff")),
        ("POST", format!("/drafts/{draft}/deployment")),
        ("DELETE", format!("/drafts/{NOBODY}")),
    ] {
        let refused = theirs.call(method, &path, Value::Null).await;
        assert_eq!(refused.refusal(), (404, "DraftNotFound"), "{method} {path}");
    }
    // Discarded, all of it is gone.
    app.done(204, "DELETE", &format!("/drafts/{draft}"), Value::Null)
        .await;
    assert_eq!(names(&app, "/values").await, [] as [&str; 0]);
    let gone = app
        .call("POST", &format!("/drafts/{draft}/deployment"), Value::Null)
        .await;
    assert_eq!(gone.refusal(), (404, "DraftNotFound"));
    assert_eq!(deployments(&app).await, [] as [Value; 0]);
}

#[tokio::test]
async fn drafts_that_do_not_touch_the_same_go_together() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let pair = world.colleague("GROUP_OWNER").await;
    let other = world.administrator(&world.project, &pair).await;
    let theirs = AppAdmin {
        administrator: &other,
        id: app.id.clone(),
    };
    let shared = app.made("/values", value("shared", 1)).await;
    let mine = app.made("/drafts", json!({})).await;
    let draft = theirs.made("/drafts", json!({})).await;
    app.made("/values", value("mine", 1)).await;
    theirs.made("/values", value("theirs", 1)).await;
    let deploy = |draft: &str| format!("/drafts/{draft}/deployment");
    theirs.done(201, "POST", &deploy(&draft), Value::Null).await;
    app.done(201, "POST", &deploy(&mine), Value::Null).await;
    assert_eq!(names(&app, "/values").await, ["shared", "theirs", "mine"]);
    // The same value in both: the second is told, and keeps the draft.
    let mine = app.made("/drafts", json!({})).await;
    let path = format!("/values/{shared}");
    app.done(204, "PUT", &path, value("shared", 2)).await;
    theirs.done(204, "PUT", &path, value("shared", 3)).await;
    let refused = app.call("POST", &deploy(&mine), Value::Null).await;
    assert_eq!(refused.refusal(), (409, "DraftConflict"));
    let text = refused.body["error"].as_str().unwrap();
    assert!(text.ends_with("both changed value 'shared'"), "{text}");
    let kept = app.done(200, "GET", &path, Value::Null).await;
    assert_eq!(kept["value"], 2);
    let live = theirs.done(200, "GET", &path, Value::Null).await;
    assert_eq!(live["value"], 3);
}

#[tokio::test]
async fn a_push_lands_in_the_draft_and_a_redeploy_does_not() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    app.made("/values", value("a", 1)).await;
    let before = deployments(&app).await;
    let mut pulled = app.done(200, "GET", "/pull", Value::Null).await;
    pulled["values"] = json!([value("b", 2)]);
    app.made("/drafts", json!({})).await;
    app.done(204, "PATCH", "/push", pulled.clone()).await;
    assert_eq!(app.done(200, "GET", "/pull", Value::Null).await, pulled);
    assert_eq!(deployments(&app).await, before);
    let again = format!(
        "/deployments/{}/redeploy",
        before[0]["_id"].as_str().unwrap()
    );
    app.done(204, "POST", &again, Value::Null).await;
    assert_eq!(deployments(&app).await.len(), 2);
    assert_eq!(names(&app, "/values").await, ["b"]);
    let served = world.core.app(&app.id).await.unwrap();
    let value = served.release();
    assert!(value.config.get(config::Kind::Value, "a").is_some());
}

#[tokio::test]
async fn the_newest_twenty_five_deployments_are_told_and_come_back() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let id = app.made("/values", value("v", 0)).await;
    let first = deployments(&app).await[0]["_id"].clone();
    let path = format!("/values/{id}");
    for n in 1..=25 {
        app.done(204, "PUT", &path, value("v", n)).await;
    }
    let told = deployments(&app).await;
    assert_eq!(told.len(), 25);
    let ids: std::collections::HashSet<&str> =
        told.iter().filter_map(|one| one["_id"].as_str()).collect();
    assert_eq!(ids.len(), 25);
    let at: Vec<i64> = told
        .iter()
        .filter_map(|one| one["deployed_at"].as_i64())
        .collect();
    assert!(at.is_sorted_by(|newer, older| newer >= older), "{at:?}");
    // The oldest of them comes back, as the newest; what is older does not.
    let oldest = told[24]["_id"].as_str().unwrap();
    let old = format!("/deployments/{}", first.as_str().unwrap());
    for (method, path) in [("GET", old.clone()), ("POST", format!("{old}/redeploy"))] {
        let gone = app.call(method, &path, Value::Null).await;
        assert_eq!(
            gone.refusal(),
            (404, "DeploymentNotFound"),
            "{method} {path}"
        );
    }
    app.done(
        204,
        "POST",
        &format!("/deployments/{oldest}/redeploy"),
        Value::Null,
    )
    .await;
    assert_eq!(app.done(200, "GET", &path, Value::Null).await["value"], 1);
    let now = deployments(&app).await;
    assert_eq!(now.len(), 25);
    assert_eq!(now[1], told[0]);
    assert!(!ids.contains(now[0]["_id"].as_str().unwrap()));
}
