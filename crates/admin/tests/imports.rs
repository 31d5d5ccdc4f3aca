//! Imports: what each strategy means by what it is given, drafts, secrets, and
//! bodies that clients make.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const NOBODY: &str = "0123456789abcdef01234567";

async fn functions(app: &AppAdmin<'_>) -> Vec<(String, String)> {
    let list = app.done(200, "GET", "/functions", Value::Null).await;
    let text = |function: &Value, name: &str| function[name].as_str().unwrap().to_owned();
    let list = list.as_array().unwrap();
    list.iter()
        .map(|f| (text(f, "name"), text(f, "_id")))
        .collect()
}

fn names(list: &[(String, String)]) -> Vec<&str> {
    list.iter().map(|(name, _)| name.as_str()).collect()
}

/// A document of functions: name and id.
fn of(list: &[(&str, Option<&str>)]) -> Value {
    let manifests: Value = list
        .iter()
        .map(|(name, id)| match id {
            Some(id) => json!({ "id": id, "name": name, "private": true }),
            None => json!({ "name": name, "private": true }),
        })
        .collect();
    let source =
        |(name, _): &(&str, Option<&str>)| (format!("{name}.js"), json!("exports = () => 1;"));
    let sources: serde_json::Map<String, Value> = list.iter().map(source).collect();
    json!({ "config_version": 20_210_101, "functions": { "config": manifests, "sources": sources } })
}

async fn two<'a>(operator: &'a crate::Administrator<'a>) -> (AppAdmin<'a>, String, String) {
    let app = operator.app("shop").await;
    app.done(204, "POST", "/import", of(&[("a", None), ("b", None)]))
        .await;
    let list = functions(&app).await;
    assert_eq!(names(&list), ["a", "b"]);
    let ids = (list[0].1.clone(), list[1].1.clone());
    (app, ids.0, ids.1)
}

#[tokio::test]
async fn a_merge_adds_and_changes_by_id() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, a, b) = two(&operator).await;
    // Under another name it is the same; what is not named stays.
    app.done(
        204,
        "POST",
        "/import?strategy=merge",
        of(&[("renamed", Some(&a)), ("c", None)]),
    )
    .await;
    let list = functions(&app).await;
    let mut sorted = names(&list);
    sorted.sort_unstable();
    assert_eq!(sorted, ["b", "c", "renamed"]);
    assert!(list.contains(&("renamed".to_owned(), a.clone())));
    assert!(list.contains(&("b".to_owned(), b.clone())));
    let providers = app.done(200, "GET", "/auth_providers", Value::Null).await;
    assert_eq!(providers.as_array().unwrap().len(), 1);
    // A name that became free is another one's.
    app.done(
        204,
        "POST",
        "/import",
        of(&[("d", Some(&a)), ("renamed", None)]),
    )
    .await;
    let list = functions(&app).await;
    assert!(list.contains(&("d".to_owned(), a.clone())));
    let other = list.iter().find(|(name, _)| name == "renamed").unwrap();
    assert_ne!(other.1, a);
    for (document, said) in [
        (
            of(&[("x", Some(NOBODY))]),
            format!("function not found: '{NOBODY}' (\"x\")"),
        ),
        (
            of(&[("x", Some("mine"))]),
            "the id 'mine' of the function \"x\" is no object id".to_owned(),
        ),
        (
            of(&[("x", Some(&a)), ("y", Some(&a))]),
            format!("the id {a} is there twice"),
        ),
        (
            of(&[("b", Some(&a))]),
            "function 'b' already exists".to_owned(),
        ),
    ] {
        for path in ["/import", "/import?diff=true"] {
            let refused = app.call("POST", path, document.clone()).await;
            assert_eq!(refused.refusal(), (400, "BadRequest"));
            assert_eq!(refused.body["error"], json!(said));
        }
    }
    assert_eq!(functions(&app).await, list);
}

#[tokio::test]
async fn a_replacement_by_id_removes_the_rest() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, a, b) = two(&operator).await;
    let path = "/import?strategy=replace";
    app.done(204, "POST", path, of(&[("b", Some(&a))])).await;
    assert_eq!(functions(&app).await, [("b".to_owned(), a.clone())]);
    let refused = app.call("POST", path, of(&[("b", Some(&b))])).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"), "it is gone");
    // An id that is none stands for a new node.
    app.done(204, "POST", path, of(&[("b", Some("new"))])).await;
    let list = functions(&app).await;
    assert_eq!(names(&list), ["b"]);
    assert!(list[0].1 != a && list[0].1.len() == 24);
}

#[tokio::test]
async fn a_replacement_by_name_keeps_ids() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, a, _) = two(&operator).await;
    app.import(of(&[("a", Some("whatever")), ("c", Some(NOBODY))]))
        .await;
    let list = functions(&app).await;
    assert_eq!(names(&list), ["a", "c"]);
    assert_eq!(list[0].1, a);
    assert_ne!(list[1].1, NOBODY);
    let nameless = json!({ "functions": { "config": [{ "private": true }] } });
    let refused = app
        .call("POST", "/import?strategy=replace-by-name", nameless)
        .await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    assert!(
        refused.body["error"]
            .as_str()
            .unwrap()
            .contains("has no name")
    );
    assert_eq!(functions(&app).await, list);
}

#[tokio::test]
async fn a_diff_has_no_side_effect() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, ..) = two(&operator).await;
    let before = app.archive("/export").await.0.bytes;
    let mut document = of(&[("new", None)]);
    document["services"] = json!([{ "config": { "name": "tw", "type": "twilio", "config": {} } }]);
    document["secrets"] = json!({ "services": { "tw": { "auth_token": "t" } } });
    let path = "/import?strategy=replace-by-name&diff=true";
    let diff = app.done(200, "POST", path, document).await;
    let text = diff.to_string();
    for part in [
        "functions/new.js",
        "functions/a.js",
        "services/tw/config.json",
        "__tw_auth_token",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(app.archive("/export").await.0.bytes, before);
    assert_eq!(
        app.done(200, "GET", "/secrets", Value::Null).await,
        json!([])
    );
    assert_eq!(
        app.done(200, "GET", "/drafts", Value::Null).await,
        json!([])
    );
}

#[tokio::test]
async fn secrets_come_along_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let document = |version: u32| {
        json!({
            "config_version": version,
            "services": [{
                "config": { "type": "twilio", "name": "tw", "config": { "sid": "s" } },
                "incoming_webhooks": [{
                    "config": { "name": "in", "respond_result": false },
                    "source": "exports = () => false",
                }],
                "rules": null,
            }],
            "secrets": { "services": { "tw": { "auth_token": "a token" } } },
            "security": null, "sync": null, "custom_user_data_config": null,
        })
    };
    for version in [20_180_301, 20_200_603, 20_210_101] {
        let app = operator.app("shop").await;
        for _ in 0..2 {
            app.import(document(version)).await;
            let secrets = app.done(200, "GET", "/secrets", Value::Null).await;
            assert_eq!(secrets.as_array().unwrap().len(), 1);
            assert_eq!(secrets[0]["name"], "__tw_auth_token");
        }
        let path = format!("/export?source_control=true&version={version}");
        let files = app.archive(&path).await.1;
        let text =
            String::from_utf8(files.get("services/tw/config.json").unwrap().to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{
    "name": "tw",
    "type": "twilio",
    "config": {
        "sid": "s"
    },
    "secret_config": {
        "auth_token": "__tw_auth_token"
    }
}
"#
        );
    }
}

#[tokio::test]
async fn a_document_of_next_to_nothing_is_taken() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let bare = json!({
        "config_version": 20_210_101, "auth": {}, "functions": {}, "endpoints": {}, "graphql": {},
        "hosting": { "enabled": true }, "sync": {}, "secrets": {},
    });
    app.import(bare).await;
    let shown = app.done(200, "GET", "", Value::Null).await;
    assert_eq!(shown["name"], "shop");
    let hosting = app.done(200, "GET", "/hosting/config", Value::Null).await;
    assert_eq!(hosting["enabled"], true);
    // What there is once stays, though the next document does not speak of it.
    let other = json!({ "config_version": 20_210_101, "values": [{ "name": "a", "value": null }] });
    app.import(other).await;
    let hosting = app.done(200, "GET", "/hosting/config", Value::Null).await;
    assert_eq!(hosting["enabled"], true);
    let files = app.archive("/export?source_control=true").await.1;
    let text = String::from_utf8(files.get("values/a.json").unwrap().to_vec()).unwrap();
    assert_eq!(text, "{\n    \"name\": \"a\",\n    \"value\": null\n}\n");
}

#[tokio::test]
async fn numbers_in_extended_json_are_read_as_they_are_meant() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let int = |text: &str| json!({ "$numberInt": text });
    let long = json!({ "$numberLong": "5" });
    // One client writes every number so.
    let canonical = json!({
        "config_version": int("20210101"),
        "data_sources": [{ "config": { "name": "db", "type": "mongodb-atlas", "config": {}, "version": int("1") } }],
        "values": [{ "name": "v", "value": long }],
    });
    app.import(canonical).await;
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    assert_eq!(pulled["data_sources"][0]["version"], 1);
    assert_eq!(pulled["values"][0]["value"], long);
    // To the others it is a type, wherever it stands.
    let plain = json!({
        "config_version": 20_210_101, "environments": { "qa.json": { "values": { "n": long } } },
    });
    app.done(204, "POST", "/import?strategy=merge", plain).await;
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    assert_eq!(pulled["environments"]["qa"]["values"]["n"], long);
    let before = app.archive("/export").await.0.bytes;
    app.done(204, "PATCH", "/push", pulled).await;
    assert_eq!(app.archive("/export").await.0.bytes, before);
}

#[tokio::test]
async fn numbers_keep_their_last_digit() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let numbers = "[0.30000000000000004, 5e-324, 1.7976931348623157e308, 2.2250738585072011e-308, \
                   8.41e21, 9007199254740993, 18446744073709551615]";
    let body = format!("{{\"values\": [{{\"name\": \"n\", \"value\": {numbers}}}]}}");
    let path = format!("groups/{}/apps/{}/import", operator.project, app.id);
    let send = async |query: &str| {
        let path = format!("{path}?strategy=replace-by-name{query}");
        let token = Some(operator.token.as_str());
        world
            .request(axum::http::Method::POST, &path, token, body.as_bytes())
            .await
    };
    assert_eq!(send("").await.status, 204);
    assert_eq!(send("&diff=true").await.body, json!([]));
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    let shown = pulled["values"][0]["value"][0].to_string();
    assert_eq!(shown, "0.30000000000000004");
}

#[tokio::test]
async fn what_is_no_import_is_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let before = app.archive("/export").await.0.bytes;
    for body in [Value::Null, json!({}), json!([]), json!("x"), json!(5)] {
        let refused = app.call("POST", "/import", body.clone()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{body}");
    }
    let path = format!("groups/{}/apps/{}/import", operator.project, app.id);
    for body in [&b"{"[..], b"\xff", b"{} {}"] {
        let method = axum::http::Method::POST;
        let refused = world
            .request(method, &path, Some(&operator.token), body)
            .await;
        assert_eq!(refused.refusal(), (400, "BadRequest"));
    }
    let refused = app
        .call("POST", "/import?strategy=hope", json!({ "values": [] }))
        .await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter"));
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep = format!("{{\"values\": [{{\"name\": \"a\", \"value\": {deep}}}]}}");
    let method = axum::http::Method::POST;
    let refused = world
        .request(method, &path, Some(&operator.token), deep.as_bytes())
        .await;
    assert_eq!(refused.status, 400);
    for name in ["../../up", "/etc/passwd", "a/../../b"] {
        let document = json!({ "values": [{ "name": name, "value": 1 }] });
        let refused = app.call("POST", "/import", document).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{name}");
    }
    assert_eq!(app.archive("/export").await.0.bytes, before);
}

#[tokio::test]
async fn doors_are_their_owners() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let pair = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &pair).await;
    let theirs = AppAdmin {
        administrator: &reader,
        id: app.id.clone(),
    };
    let document = json!({ "values": [{ "name": "a", "value": 1 }] });
    for path in ["/import", "/import?diff=true"] {
        let refused = theirs.call("POST", path, document.clone()).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    for path in ["/export", "/description", "/pull"] {
        assert_eq!(
            theirs.call("GET", path, Value::Null).await.status,
            200,
            "{path}"
        );
    }
    let (other, pair) = world.core.create_project("other").await.unwrap();
    let stranger = world.administrator(&other.id, &pair).await;
    let strange = AppAdmin {
        administrator: &stranger,
        id: app.id.clone(),
    };
    for (method, path) in [
        ("GET", "/export"),
        ("GET", "/description"),
        ("GET", "/templates"),
        ("GET", "/templates/web.mql.todo/client"),
        ("POST", "/import"),
    ] {
        let refused = strange.call(method, path, document.clone()).await;
        assert_eq!(refused.refusal(), (404, "AppNotFound"), "{path}");
    }
}

#[tokio::test]
async fn templates_in_settings_are_resolved_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let document = json!({
        "config_version": 20_210_101, "environment": "qa",
        "environments": { "qa.json": { "values": { "cluster": "QaCluster" } } },
        "data_sources": [{ "config": {
            "name": "db", "type": "mongodb-atlas",
            "config": { "clusterName": "%(%%environment.values.cluster)" },
        } }],
    });
    let path = "/import?strategy=replace-by-name";
    app.import(document.clone()).await;
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    let name = "/data_sources/0/config/clusterName";
    assert_eq!(pulled.pointer(name), Some(&json!("QaCluster")));
    // The same is no change; what the value becomes later is none either.
    let diff = format!("{path}&diff=true");
    let same = app.done(200, "POST", &diff, document.clone()).await;
    assert_eq!(same, json!([]));
    let values = app
        .done(200, "GET", "/environment_values", Value::Null)
        .await;
    let value = format!("/environment_values/{}", values[0]["_id"].as_str().unwrap());
    let other = json!({ "name": "cluster", "values": { "qa": "Other" } });
    app.done(200, "PUT", &value, other).await;
    let after = app.done(200, "GET", "/pull", Value::Null).await;
    assert_eq!(after.pointer(name), Some(&json!("QaCluster")));
    // A push reads templates as well, and one that means nothing changes nothing.
    let mut pushed = after.clone();
    *pushed.pointer_mut(name).unwrap() = json!("%(%%environment.values.cluster)");
    app.done(204, "PATCH", "/push", pushed.clone()).await;
    let now = app.done(200, "GET", "/pull", Value::Null).await;
    assert_eq!(now.pointer(name), Some(&json!("Other")));
    *pushed.pointer_mut(name).unwrap() = json!("%(%%environment.values.nothing)");
    let refused = app.call("PATCH", "/push", pushed).await;
    assert_eq!(refused.refusal(), (400, "BadRequest"));
    let told = refused.body["error"].as_str().unwrap();
    assert!(
        told.contains("%%environment.values.nothing is nothing"),
        "{told}"
    );
    assert_eq!(app.done(200, "GET", "/pull", Value::Null).await, now);
}
