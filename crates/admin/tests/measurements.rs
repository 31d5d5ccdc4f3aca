//! Metrics and measurements: their shapes, their spans, whose they are.

use std::time::Duration;

use app::meters::Area;
use serde_json::{Value, json};

use crate::World;

#[tokio::test]
async fn metrics_are_what_was_counted() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let served = world.core.app(&app.id).await.unwrap();
    let now = world.core.clock().now_ms();
    let date = |ms: i64| {
        bson::DateTime::from_millis(ms)
            .try_to_rfc3339_string()
            .unwrap()
    };
    let (start, end) = (date(now - 3_600_000), date(now + 3_600_000));
    for _ in 0..36 {
        served.count_request(Area::Mql, false, 200, Duration::from_millis(4));
    }
    let query = format!("/metrics?start={start}&end={end}&granularity=PT2H");
    let all = app.done(200, "GET", &query, Value::Null).await;
    assert_eq!(all["measurements"].as_array().unwrap().len(), 53);
    for (name, value) in [
        ("app_id", &app.id),
        ("app_name", &"shop".to_owned()),
        ("group_id", &world.project),
        ("start", &start),
        ("end", &end),
        ("granularity", &"PT2H".to_owned()),
    ] {
        assert_eq!(all[name], json!(value));
    }
    let two = "&metrics=SDK_MQL_SUCCESSFUL_REQUESTS&metrics=SDK_MQL_EGRESS_BYTES";
    let some = app
        .done(200, "GET", &format!("{query}{two}"), Value::Null)
        .await;
    assert_eq!(
        some["measurements"],
        json!([
            { "name": "SDK_MQL_EGRESS_BYTES", "units": "BYTES_PER_SECOND",
              "data_points": [{ "timestamp": start, "value": 1.0 }] },
            { "name": "SDK_MQL_SUCCESSFUL_REQUESTS", "units": "SCALAR_PER_SECOND",
              "data_points": [{ "timestamp": start, "value": 0.005 }] },
        ])
    );
    let other = operator.app("other").await;
    let none = other
        .done(200, "GET", &format!("{query}{two}"), Value::Null)
        .await;
    assert_eq!(none["measurements"][1]["data_points"][0]["value"], 0.0);
    let span = format!("start={start}&end={end}");
    for (query, code) in [
        (format!("end={end}&granularity=PT1H"), "MissingParameter"),
        (
            format!("start={start}&granularity=PT1H"),
            "MissingParameter",
        ),
        (span.clone(), "MissingParameter"),
        (format!("{span}&granularity=hour"), "InvalidParameter"),
        (format!("{span}&granularity=PT1S"), "InvalidParameter"),
        (format!("{span}&granularity=P1M"), "InvalidParameter"),
        (
            format!("start={end}&end={start}&granularity=PT1H"),
            "InvalidParameter",
        ),
        (
            format!("start=x&end={end}&granularity=PT1H"),
            "InvalidParameter",
        ),
        (
            format!("start=1900-01-01T00:00:00Z&end={end}&granularity=PT1M"),
            "InvalidParameter",
        ),
        (
            format!("{span}&granularity=PT1H&metrics=NOTHING"),
            "InvalidParameter",
        ),
    ] {
        let refused = app
            .call("GET", &format!("/metrics?{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, code), "{query}");
    }
}

#[tokio::test]
async fn measurements_are_the_months_of_an_app_and_of_its_project() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let served = world.core.app(&app.id).await.unwrap();
    for _ in 0..5 {
        served.count_request(Area::Sdk, true, 500_000_000, Duration::from_millis(4));
    }
    // The month up to now; the minute of now began before.
    world.core.meters.write().await.unwrap();
    let month = app.done(200, "GET", "/measurements", Value::Null).await;
    assert_eq!(
        (&month["appId"], &month["appName"]),
        (&json!(app.id), &json!("shop"))
    );
    assert_eq!(
        (&month["group_id"], &month["granularity"]),
        (&json!(world.project), &json!("P31D"))
    );
    assert!(month["start"].as_str().unwrap().contains("-01T00:00:00"));
    let series = month["measurements"].as_array().unwrap();
    let shown: Vec<(&str, &str)> = series
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["units"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("request_count", ""),
            ("compute_time", "HOURS"),
            ("data_out", "GIGABYTES"),
            ("sync_time", "HOURS"),
            ("mem_usage", "GIGABYTE_SECONDS"),
        ]
    );
    assert_eq!(series[0]["data_points"][0]["timestamp"], month["start"]);
    assert_eq!(series[0]["data_points"][0]["value"], 5);
    assert_eq!(series[2]["data_points"][0]["value"], 2.5);
    let project = operator.call("GET", "/measurements", Value::Null).await;
    assert_eq!(project.status, 200);
    assert_eq!(project.body["measurements"].as_array().unwrap().len(), 4);
    assert_eq!(
        project.body["measurements"][0]["data_points"][0]["value"],
        5
    );
    assert!(project.body.get("appId").is_none());
    let hours =
        "/measurements?granularity=PT1H&start=2023-01-01T00:00:00Z&end=2023-01-01T05:00:00Z";
    let hours = app.done(200, "GET", hours, Value::Null).await;
    let points = hours["measurements"][0]["data_points"].as_array().unwrap();
    assert_eq!(points.len(), 5);
    assert_eq!(
        points[1],
        json!({ "timestamp": "2023-01-01T01:00:00Z", "value": 0 })
    );
    for query in [
        "granularity=PT5M",
        "start=x",
        "start=2023-01-02T00:00:00Z&end=2023-01-01T00:00:00Z",
    ] {
        let refused = app
            .call("GET", &format!("/measurements?{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{query}");
        let refused = operator
            .call("GET", &format!("/measurements?{query}"), Value::Null)
            .await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{query}");
    }
}
