//! A client that knows only the published document, and keeps a plan as
//! Terraform's provider does: what it sends is what it reads, nothing is null,
//! what is gone is 404. Bodies are those of `mongodbatlas_event_trigger` and of
//! the Go client of App Services, which leave out what is empty.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NOBODY: &str = "0123456789abcdef01234567";

/// Where an answer is not what was sent. What was not sent is the server's.
fn drift(sent: &Value, read: &Value, at: &str) -> Vec<String> {
    match (sent, read) {
        (Value::Object(sent), Value::Object(read)) => sent
            .iter()
            .flat_map(|(name, value)| match read.get(name) {
                Some(known) => drift(value, known, &format!("{at}/{name}")),
                None => vec![format!("{at}/{name} is gone")],
            })
            .collect(),
        _ if sent == read => Vec::new(),
        _ => vec![format!("{at} is {read}, {sent} was sent")],
    }
}

/// The places of nulls, which a client takes for a change.
fn nulls(value: &Value) -> Vec<String> {
    let null = |part: &Value| part.is_null().then_some(());
    let found = config::find_all(value, &null).into_iter();
    found.map(|(pointer, ())| pointer).collect()
}

/// One resource in its life: made, read, each of `changes` applied twice, then
/// removed. `apply` is given what was read after the last change.
async fn life(
    app: &AppAdmin<'_>,
    path: &str,
    code: &str,
    made: &Value,
    changes: &[Value],
) -> Vec<Value> {
    let created = app.call("POST", path, made.clone()).await;
    assert_eq!(created.status, 201, "{path}: {created:?}");
    let id = created.body["_id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 24);
    let one = format!("{path}/{id}");
    let mut seen = Vec::new();
    for (at, sent) in [made].into_iter().chain(changes).enumerate() {
        // The first is there already; the others are applied, and once more.
        for again in 0..2 {
            if at > 0 {
                let reply = app.call("PUT", &one, sent.clone()).await;
                assert!([200, 204].contains(&reply.status), "{sent}: {reply:?}");
            }
            let mut read = app.done(200, "GET", &one, Value::Null).await;
            assert_eq!(read["_id"], json!(id), "an id stays");
            assert_eq!(drift(sent, &read, ""), Vec::<String>::new(), "{read}");
            assert_eq!(nulls(&read), Vec::<String>::new(), "{read}");
            if let Some(fields) = read.as_object_mut() {
                fields.shift_remove("last_modified");
            }
            if again > 0 {
                assert_eq!(seen.last(), Some(&read), "applying again changes nothing");
            } else {
                seen.push(read);
            }
        }
    }
    // Whole objects are sent back, with what the client does not know.
    let mut whole = seen.last().cloned().unwrap_or_default();
    whole["somethingNew"] = json!({ "a": 1 });
    let reply = app.call("PUT", &one, whole).await;
    assert!([200, 204].contains(&reply.status), "{reply:?}");
    let mut read = app.done(200, "GET", &one, Value::Null).await;
    if let Some(fields) = read.as_object_mut() {
        fields.shift_remove("last_modified");
    }
    assert_eq!(Some(&read), seen.last(), "unknown fields are ignored");
    let listed = app.done(200, "GET", path, Value::Null).await;
    let ids = |list: &Value| -> Vec<Value> {
        let list = list.as_array().expect("a list");
        list.iter().map(|one| one["_id"].clone()).collect()
    };
    assert!(ids(&listed).contains(&json!(id)));
    app.done(204, "DELETE", &one, Value::Null).await;
    let listed = app.done(200, "GET", path, Value::Null).await;
    assert!(!ids(&listed).contains(&json!(id)));
    for gone in [one, format!("{path}/{NOBODY}")] {
        for (method, body) in [
            ("GET", Value::Null),
            ("PUT", made.clone()),
            ("DELETE", Value::Null),
        ] {
            let reply = app.call(method, &gone, body).await;
            assert_eq!(reply.refusal(), (404, code), "{method} {gone}");
        }
    }
    seen
}

/// The app with a function, another one and a cluster; their ids.
async fn staged(app: &AppAdmin<'_>) -> (String, String, String) {
    let function = json!({ "name": "on_order", "private": true, "source": "exports = () => 1;" });
    let other = json!({ "name": "on_user", "private": true, "source": "exports = () => 2;" });
    let cluster = json!({
        "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" },
    });
    (
        app.made("/functions", function).await,
        app.made("/functions", other).await,
        app.made("/services", cluster).await,
    )
}

#[tokio::test]
async fn triggers_are_what_the_plan_says() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function, other, cluster) = staged(&app).await;
    let bridge = |region: &str| {
        json!({ "AWS_EVENTBRIDGE": {
            "type": "AWS_EVENTBRIDGE",
            "config": { "account_id": "012345678901", "region": region },
        } })
    };
    let made = json!({
        "name": "orders", "type": "DATABASE", "function_id": function,
        "config": {
            "operation_types": ["INSERT", "UPDATE"], "database": "shop", "collection": "orders",
            "service_id": cluster,
            "match": { "updateDescription.updatedFields.n": { "$gt": { "$numberLong": "5" } } },
            "project": { "fullDocument.n": 1, "big": 1.5 },
        },
    });
    let of_function = json!({
        "name": "orders", "type": "DATABASE", "function_id": other, "disabled": true,
        "config": {
            "operation_types": ["DELETE"], "database": "shop", "collection": "items",
            "service_id": cluster, "match": { "a": "b" }, "project": {},
            "full_document": false, "full_document_before_change": true, "unordered": true,
        },
    });
    let of_bridge = json!({
        "name": "renamed", "type": "DATABASE", "disabled": false,
        "config": {
            "operation_types": ["INSERT"], "database": "shop", "service_id": cluster,
            "match": {}, "project": {}, "full_document": true,
            "full_document_before_change": false, "unordered": false,
        },
        "event_processors": bridge("us-east-1"),
    });
    let mut moved = of_bridge.clone();
    moved["event_processors"] = bridge("eu-west-1");
    let changes = [of_function, of_bridge, moved, made.clone()];
    let seen = life(&app, "/triggers", "TriggerNotFound", &made, &changes).await;
    // Defaults of what was left out.
    assert_eq!(
        (&seen[0]["disabled"], &seen[0]["config"]["full_document"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(seen[0]["function_name"], "on_order");
    assert_eq!(seen[1]["function_name"], "on_user");
    // What runs no function names none, and the other way round.
    let functions = |seen: &Value| {
        [
            "/function_id",
            "/function_name",
            "/event_processors/FUNCTION",
        ]
        .map(|pointer| seen.pointer(pointer).is_some())
    };
    assert_eq!(functions(&seen[1]), [true; 3]);
    assert_eq!(functions(&seen[2]), [false; 3]);
    assert_eq!(seen[2]["config"].get("collection"), None);
    assert_eq!(functions(&seen[4]), [true; 3]);
    assert_eq!(seen[4]["event_processors"].get("AWS_EVENTBRIDGE"), None);

    let login = json!({
        "name": "login", "type": "AUTHENTICATION", "function_id": function,
        "config": { "operation_type": "LOGIN", "providers": ["anon-user"] },
    });
    let created = json!({
        "name": "login", "type": "AUTHENTICATION", "function_id": function, "disabled": true,
        "config": { "operation_type": "CREATE", "providers": ["api-key", "local-userpass"] },
    });
    life(&app, "/triggers", "TriggerNotFound", &login, &[created]).await;
    let nightly = json!({
        "name": "nightly", "type": "SCHEDULED", "function_id": function,
        "config": { "schedule": "0 3 * * *" },
    });
    let hourly = json!({
        "name": "nightly", "type": "SCHEDULED", "disabled": false,
        "config": { "schedule": "0 * * * *" }, "event_processors": bridge("us-east-1"),
    });
    life(&app, "/triggers", "TriggerNotFound", &nightly, &[hourly]).await;
}

#[tokio::test]
async fn a_trigger_that_was_read_changes_where_it_was_changed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function, other, _) = staged(&app).await;
    let nightly = json!({
        "name": "nightly", "type": "SCHEDULED", "function_id": function,
        "config": { "schedule": "0 3 * * *" },
    });
    let one = format!("/triggers/{}", app.made("/triggers", nightly).await);
    // In either place, and by its name.
    let places = [
        ("/function_id", json!(other), "on_user"),
        (
            "/event_processors/FUNCTION/config/function_id",
            json!(function),
            "on_order",
        ),
        ("/function_id", json!(other), "on_user"),
    ];
    for (pointer, value, expected) in places {
        let mut read = app.done(200, "GET", &one, Value::Null).await;
        *read.pointer_mut(pointer).unwrap() = value;
        app.done(204, "PUT", &one, read).await;
        let read = app.done(200, "GET", &one, Value::Null).await;
        let name = &read["event_processors"]["FUNCTION"]["config"]["function_name"];
        assert_eq!(
            (&read["function_name"], name),
            (&json!(expected), &json!(expected))
        );
    }
}

#[tokio::test]
async fn triggers_that_are_wrong_are_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function, _, cluster) = staged(&app).await;
    let of = |changes: Value| {
        let mut body = json!({
            "name": "t", "type": "DATABASE", "function_id": function,
            "config": { "service_id": cluster, "database": "d", "operation_types": ["INSERT"] },
        });
        for (pointer, value) in changes.as_object().unwrap() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        body
    };
    for wrong in [
        json!({ "/config/match": "{}" }),
        json!({ "/config/project": [] }),
        json!({ "/config/database": 5 }),
        json!({ "/config/full_document": "yes" }),
        json!({ "/config/unordered": 1 }),
        json!({ "/config/operation_types": [] }),
        json!({ "/event_processors": { "KAFKA": { "config": {} } } }),
        json!({ "/event_processors": { "AWS_EVENTBRIDGE": { "config": { "region": "eu-west-1" } } } }),
        json!({ "/function_id": "", "/event_processors": { "FUNCTION": {} } }),
        json!({ "/type": "SCHEDULED", "/config": { "schedule": "0 3 * * *", "skip_catchup_events": 1 } }),
    ] {
        let reply = app.call("POST", "/triggers", of(wrong.clone())).await;
        assert_eq!(reply.refusal(), (400, "BadRequest"), "{wrong}: {reply:?}");
    }
    // The document has one provider as a text.
    let login = json!({
        "/type": "AUTHENTICATION", "/config": { "operation_type": "LOGIN", "providers": "anon-user" },
    });
    let made = app.done(201, "POST", "/triggers", of(login)).await;
    assert_eq!(made["config"]["providers"], json!(["anon-user"]));
}

#[tokio::test]
async fn functions_values_and_endpoints_are_what_the_plan_says() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function, other, _) = staged(&app).await;
    let one = json!({ "name": "a/one", "private": false, "source": "exports = () => 1;" });
    let all = json!({
        "name": "a/two", "private": true, "source": "exports = () => 2;\n",
        "can_evaluate": { "%%user.type": "server" }, "run_as_system": false,
        "run_as_user_id": "", "run_as_user_id_script_source": "exports = () => 'x';",
    });
    let seen = life(
        &app,
        "/functions",
        "FunctionNotFound",
        &one,
        &[all, one.clone()],
    )
    .await;
    // What was not said is shown as it is.
    let defaults = json!({
        "can_evaluate": {}, "run_as_system": false, "run_as_user_id": "",
        "run_as_user_id_script_source": "",
    });
    for seen in [&seen[0], &seen[2]] {
        assert_eq!(drift(&defaults, seen, ""), Vec::<String>::new());
    }

    let key = app
        .made("/secrets", json!({ "name": "key", "value": "hush" }))
        .await;
    let text = json!({ "name": "v", "private": false, "from_secret": false, "value": "text" });
    let rest = [
        json!({ "name": "v", "private": true, "from_secret": false, "value": { "a": [1, 1.5, null, { "$numberLong": "5" }] } }),
        json!({ "name": "w", "private": false, "from_secret": true, "value": "key" }),
        json!({ "name": "w", "private": false, "from_secret": false, "value": [] }),
    ];
    let of_null = &rest[0]["value"]["a"][2];
    assert!(of_null.is_null());
    // A null that was sent is no surprise.
    let plain = [rest[1].clone(), rest[2].clone()];
    life(&app, "/values", "ValueNotFound", &text, &plain).await;
    let made = app.made("/values", rest[0].clone()).await;
    let read = app
        .done(200, "GET", &format!("/values/{made}"), Value::Null)
        .await;
    assert_eq!(drift(&rest[0], &read, ""), Vec::<String>::new());

    let endpoint = json!({
        "route": "/orders", "http_method": "POST", "function_id": function,
        "validation_method": "NO_VALIDATION", "return_type": "JSON", "respond_result": true,
        "disabled": false,
    });
    let signed = json!({
        "route": "/orders/signed", "http_method": "*", "function_id": other,
        "validation_method": "VERIFY_PAYLOAD", "secret_id": key, "return_type": "EJSON",
        "respond_result": false, "fetch_custom_user_data": true, "create_user_on_auth": true,
        "disabled": true,
    });
    let changes = [signed, endpoint.clone()];
    let seen = life(&app, "/endpoints", "EndpointNotFound", &endpoint, &changes).await;
    assert_eq!(
        (&seen[1]["secret_name"], &seen[1]["function_name"]),
        (&json!("key"), &json!("on_user"))
    );
    assert_eq!(seen[2].get("secret_id"), None);
    // The list says the same.
    let id = app.made("/endpoints", changes[0].clone()).await;
    let listed = app.done(200, "GET", "/endpoints", Value::Null).await;
    assert_eq!(
        (&listed[0]["_id"], &listed[0]["secret_id"]),
        (&json!(id), &json!(key))
    );
}

#[tokio::test]
async fn other_things_are_what_the_plan_says() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let (function, other, cluster) = staged(&app).await;
    let resolver = |field: &str, function: &str| {
        json!({
            "on_type": "Query", "field_name": field, "function_id": function,
            "input_type": "String", "input_type_format": "scalar",
            "payload_type": "Int", "payload_type_format": "scalar-list",
        })
    };
    let (path, code) = ("/graphql/custom_resolvers", "CustomResolverNotFound");
    life(
        &app,
        path,
        code,
        &resolver("a", &function),
        &[resolver("b", &other)],
    )
    .await;
    let value = |n: i64| json!({ "name": "e", "values": { "none": n, "production": "x" } });
    let (path, code) = ("/environment_values", "EnvironmentValueNotFound");
    life(&app, path, code, &value(1), &[value(2)]).await;
    let rule = |role: &str| {
        json!({ "database": "shop", "collection": "orders", "filters": [], "roles": [{
            "name": role, "apply_when": { "n": { "$numberLong": "5" } }, "read": true,
            "insert": false, "document_filters": { "read": true, "write": false },
        }] })
    };
    let path = format!("/services/{cluster}/rules");
    life(&app, &path, "RuleNotFound", &rule("a"), &[rule("b")]).await;
    let schema = |title: &str| {
        json!({
            "metadata": { "data_source": "mongodb-atlas", "database": "shop", "collection": "c" },
            "schema": { "title": title, "bsonType": "object", "properties": {} },
            "relationships": {},
        })
    };
    life(
        &app,
        "/schemas",
        "SchemaNotFound",
        &schema("a"),
        &[schema("b")],
    )
    .await;
}
