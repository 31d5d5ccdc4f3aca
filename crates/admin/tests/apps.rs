//! Making, listing and removing apps.

use serde_json::{Value, json};

use crate::World;

#[tokio::test]
async fn an_app_is_made_listed_and_removed() {
    let world = World::new().await;
    let operator = world.operator().await;
    assert_eq!(
        operator.call("GET", "/apps", json!(null)).await.body,
        json!([])
    );
    let body = json!({
        "name": "Shop", "location": "IE", "deployment_model": "LOCAL", "environment": "qa",
        "data_source": { "name": "mongodb-atlas", "type": "mongodb-atlas",
            "config": { "clusterName": "Cluster0" } },
        "unknown": true,
    });
    let made = operator.call("POST", "/apps", body).await;
    assert_eq!(made.status, 201);
    let app = &made.body;
    let id = app["_id"].as_str().unwrap();
    let client_app_id = app["client_app_id"].as_str().unwrap();
    assert!(
        client_app_id.starts_with("shop-") && client_app_id.len() == 10,
        "{client_app_id}"
    );
    assert_eq!(
        (
            &app["name"],
            &app["provider_region"],
            &app["product"],
            &app["environment"]
        ),
        (
            &json!("Shop"),
            &json!("aws-eu-west-1"),
            &json!("standard"),
            &json!("qa")
        )
    );
    // The created object equals the listed one, and the one that is got.
    assert_eq!(
        operator.call("GET", "/apps", json!(null)).await.body,
        json!([app])
    );
    let path = format!("/apps/{id}");
    assert_eq!(operator.call("GET", &path, json!(null)).await.body, *app);
    let inside = |part: &str| format!("{path}{part}");
    let providers = operator
        .call("GET", &inside("/auth_providers"), json!(null))
        .await
        .body;
    assert_eq!(providers[0]["type"], "api-key");
    assert_eq!(providers[0]["disabled"], true);
    assert_eq!(
        operator
            .call("GET", &inside("/deployments"), json!(null))
            .await
            .body,
        json!([])
    );
    let services = operator
        .call("GET", &inside("/services"), json!(null))
        .await
        .body;
    assert_eq!(services[0]["name"], "mongodb-atlas");
    // The client app id is no id here.
    let other = operator
        .call("GET", &format!("/apps/{client_app_id}"), json!(null))
        .await;
    assert_eq!(other.refusal(), (404, "AppNotFound"));
    assert_eq!(
        operator.call("DELETE", &path, json!(null)).await.status,
        204
    );
    for method in ["GET", "DELETE"] {
        let gone = operator.call(method, &path, json!(null)).await;
        assert_eq!(gone.refusal(), (404, "AppNotFound"));
    }
    assert_eq!(
        operator.call("GET", "/apps", json!(null)).await.body,
        json!([])
    );
}

#[tokio::test]
async fn names_repeat_and_products_are_asked_for() {
    let world = World::new().await;
    let operator = world.operator().await;
    for product in ["", "?product=standard", "?product=atlas"] {
        let made = operator
            .call(
                "POST",
                &format!("/apps{product}"),
                json!({ "name": "same" }),
            )
            .await;
        assert_eq!(made.status, 201);
    }
    let count = async |query: &str| {
        let listed = operator
            .call("GET", &format!("/apps{query}"), json!(null))
            .await
            .body;
        listed.as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("?product=atlas").await, 1);
    assert_eq!(count("?product=atlas&product=standard").await, 3);
    assert_eq!(count("?product=atlas,standard").await, 3);
    assert_eq!(count("?product=data-api").await, 0);
}

#[tokio::test]
async fn bad_apps_are_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let long = "a".repeat(33);
    for (body, code) in [
        (json!({}), "MissingParameter"),
        (json!({ "name": "" }), "InvalidParameter"),
        (json!({ "name": 7 }), "InvalidParameter"),
        (json!({ "name": "1a" }), "BadRequest"),
        (json!({ "name": "a b" }), "BadRequest"),
        (json!({ "name": long }), "BadRequest"),
        (json!({ "name": "a", "location": "moon" }), "BadRequest"),
        (
            json!({ "name": "a", "provider_region": 1 }),
            "InvalidParameter",
        ),
        (
            json!({ "name": "a", "deployment_model": "SPHERE" }),
            "BadRequest",
        ),
        (json!({ "name": "a", "environment": "beta" }), "BadRequest"),
        (
            json!({ "name": "a", "data_source": { "name": "x", "type": "csv" } }),
            "BadRequest",
        ),
        (json!({ "name": "a", "data_source": "x" }), "BadRequest"),
        (json!({ "name": "a", "template_id": "moon" }), "BadRequest"),
    ] {
        let refused = operator.call("POST", "/apps", body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
        assert!(
            refused.body["error"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
    assert_eq!(
        operator.call("GET", "/apps", Value::Null).await.body,
        json!([])
    );
}
