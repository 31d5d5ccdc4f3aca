//! Pull and push of the whole configuration.

use config::Files;
use serde_json::{Value, json};

use crate::{AppAdmin, World};

const FIXTURE: &str = include_str!("fixture.txt");

pub(crate) async fn pushed<'a>(operator: &'a crate::Administrator<'a>) -> AppAdmin<'a> {
    let app = operator.app("shop").await;
    let served = operator.world.core.app(&app.id).await.unwrap();
    for secret in ["key", "google"] {
        app.made("/secrets", json!({ "name": secret, "value": "x" }))
            .await;
    }
    let author = app::Author {
        user_id: "t".to_owned(),
        origin: "API".to_owned(),
    };
    let done = served.push(&Files::from_fixture(FIXTURE), &author).await;
    assert!(done.is_ok(), "{done:?}");
    app
}

pub(crate) async fn deployments(app: &AppAdmin<'_>) -> usize {
    let list = app.done(200, "GET", "/deployments", Value::Null).await;
    list.as_array().unwrap().len()
}

#[tokio::test]
async fn a_pull_that_is_pushed_changes_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    for section in [
        "auth_providers",
        "data_sources",
        "endpoints",
        "functions",
        "https_endpoints",
        "log_forwarders",
        "schemas",
        "services",
        "triggers",
        "values",
    ] {
        let list = pulled[section].as_array();
        assert!(
            list.is_some_and(|list| !list.is_empty()),
            "{section}: {}",
            pulled[section]
        );
    }
    assert_eq!(
        pulled["environments"]["none"],
        json!({ "values": { "level": "low" } })
    );
    assert_eq!(
        pulled["functions"][0]["source"],
        "exports = (a, b) => a + b;\n"
    );
    let before = deployments(&app).await;
    app.done(204, "PATCH", "/push", pulled.clone()).await;
    assert_eq!(deployments(&app).await, before);
    assert_eq!(app.done(200, "GET", "/pull", Value::Null).await, pulled);
    let served = world.core.app(&app.id).await.unwrap();
    assert_eq!(
        served.pull(),
        config::print(&config::parse(&Files::from_fixture(FIXTURE)).0.unwrap())
    );
}

#[tokio::test]
async fn a_push_replaces_everything_and_keeps_ids() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let mut document = app.done(200, "GET", "/pull", Value::Null).await;
    let id_of = async |name: &str| {
        let list = app.done(200, "GET", "/functions", Value::Null).await;
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["name"] == name)
            .cloned();
        found.map(|function| function["_id"].clone())
    };
    let sum = id_of("sum").await.unwrap();
    document["name"] = json!("another");
    document["functions"][0]["source"] = json!("exports = () => 2;");
    document["functions"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "new", "source": "exports = 1;" }));
    document["values"] = json!([]);
    document["triggers"] = json!([]);
    app.done(204, "PATCH", "/push", document).await;
    assert_eq!(id_of("sum").await.unwrap(), sum);
    assert!(id_of("new").await.is_some());
    assert_eq!(
        app.done(200, "GET", "/values", Value::Null).await,
        json!([])
    );
    let one = app
        .done(
            200,
            "GET",
            &format!("/functions/{}", sum.as_str().unwrap()),
            Value::Null,
        )
        .await;
    assert_eq!(one["source"], "exports = () => 2;");
    // A push does not rename.
    let shown = app.done(200, "GET", "", Value::Null).await;
    assert_eq!(shown["name"], "shop");
}

#[tokio::test]
async fn a_bad_push_says_everything_and_changes_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = pushed(&operator).await;
    let good = app.done(200, "GET", "/pull", Value::Null).await;
    let before = deployments(&app).await;
    let push = async |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        let refused = app.call("PATCH", "/push", document).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        refused.body["error"].as_str().unwrap().to_owned()
    };
    let text = push(&|document| {
        document["functions"][0]["source"] = json!("exports = (");
        document["functions"][1]
            .as_object_mut()
            .unwrap()
            .remove("source");
        document["endpoints"][0]["function_name"] = json!("nobody");
        document["auth_providers"][0]["type"] = json!("telepathy");
    })
    .await;
    for part in [
        "functions/sum.js",
        "has no \"source\"",
        "there is no function \"nobody\"",
        "telepathy",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = push(&|document| document["values"][1]["value"] = json!("missing")).await;
    assert_eq!(text, "these secrets have to be created first: missing");
    for (section, value, part) in [
        (
            "functions",
            json!({}),
            "\"functions\" has to be an array of objects",
        ),
        (
            "functions",
            json!([1]),
            "\"functions\" has to be an array of objects",
        ),
        ("functions", json!([{ "source": "" }]), "has no name"),
        (
            "values",
            json!([{ "name": "a", "value": 1 }, { "name": "a", "value": 2 }]),
            "there are two of the value \"a\"",
        ),
        ("hosting", json!([]), "\"hosting\" has to be an object"),
        (
            "data_sources",
            json!([{ "name": "m", "rules": 5 }]),
            "\"rules\" has to be an array",
        ),
    ] {
        let text = push(&|document| document[section] = value.clone()).await;
        assert!(text.contains(part), "{section}: {text}");
    }
    for body in [json!({}), Value::Null, json!([]), json!("x")] {
        assert_eq!(
            app.call("PATCH", "/push", body).await.refusal(),
            (400, "BadRequest")
        );
    }
    assert_eq!(deployments(&app).await, before);
    assert_eq!(app.done(200, "GET", "/pull", Value::Null).await, good);
}
