//! What others name is not removed, and names follow it.

use serde_json::{Value, json};

use crate::World;

#[tokio::test]
async fn what_is_in_use_stays_and_who_uses_it_is_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let function = app
        .made(
            "/functions",
            json!({ "name": "f", "source": "exports = () => 1" }),
        )
        .await;
    let source = json!({ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "x" } });
    let source = app.made("/services", source).await;
    let secret = app
        .made("/secrets", json!({ "name": "key", "value": "hush" }))
        .await;
    let body = json!({ "name": "api", "value": "key", "from_secret": true });
    let value = app.made("/values", body).await;
    let rule = json!({
        "database": "d", "collection": "c",
        "roles": [{ "name": "r", "apply_when": {
            "%%user.id": "%%values.api",
            "%%true": { "%function": { "name": "f", "arguments": [] } },
        }, "read": true }],
    });
    let rule = app.made(&format!("/services/{source}/rules"), rule).await;
    let trigger = json!({
        "name": "t", "type": "DATABASE", "function_id": function,
        "config": { "service_id": source, "database": "d", "operation_types": ["INSERT"] },
    });
    let trigger = app.made("/triggers", trigger).await;
    let forwarder = json!({
        "name": "l", "log_types": ["auth"], "log_statuses": ["error"], "policy": { "type": "single" },
        "action": { "type": "collection", "data_source": "db", "database": "d", "collection": "logs" },
    });
    let forwarder = app.made("/log_forwarders", forwarder).await;
    let refused = async |path: &str, text: &str| {
        let refused = app.call("DELETE", path, Value::Null).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{path}");
        assert_eq!(
            refused.body["error"],
            format!("it is used by {text}"),
            "{path}"
        );
    };
    refused(
        &format!("/functions/{function}"),
        "rule 'db/d/c', trigger 't'",
    )
    .await;
    refused(
        &format!("/services/{source}"),
        "trigger 't', log forwarder 'l'",
    )
    .await;
    refused(&format!("/values/{value}"), "rule 'db/d/c'").await;
    refused(&format!("/secrets/{secret}"), "value 'api'").await;
    let path = format!("/secrets/{secret}");
    let renamed = app
        .call("PUT", &path, json!({ "name": "other", "value": "" }))
        .await;
    assert_eq!(renamed.refusal(), (400, "BadRequest"));
    // Another value is no other secret.
    app.done(204, "PUT", &path, json!({ "name": "key", "value": "new" }))
        .await;

    // Names follow.
    let body = json!({ "name": "g", "source": "exports = () => 1" });
    app.call("PUT", &format!("/functions/{function}"), body)
        .await;
    let body = json!({ "name": "shop_api", "value": "key", "from_secret": true });
    app.call("PUT", &format!("/values/{value}"), body).await;
    let shown = app
        .done(200, "GET", &format!("/triggers/{trigger}"), Value::Null)
        .await;
    assert_eq!(
        (&shown["function_name"], &shown["function_id"]),
        (&json!("g"), &json!(function))
    );
    let path = format!("/services/{source}/rules/{rule}");
    let shown = app.done(200, "GET", &path, Value::Null).await;
    let when = &shown["roles"][0]["apply_when"];
    assert_eq!(when["%%user.id"], "%%values.shop_api");
    assert_eq!(when["%%true"]["%function"]["name"], "g");

    // Nobody uses them any more.
    app.done(204, "DELETE", &path, Value::Null).await;
    app.done(204, "DELETE", &format!("/triggers/{trigger}"), Value::Null)
        .await;
    app.done(
        204,
        "DELETE",
        &format!("/log_forwarders/{forwarder}"),
        Value::Null,
    )
    .await;
    for path in [
        format!("/functions/{function}"),
        format!("/services/{source}"),
        format!("/values/{value}"),
        format!("/secrets/{secret}"),
    ] {
        app.done(204, "DELETE", &path, Value::Null).await;
    }
}
