//! What is set of an app beside its configuration: who may be a client, how
//! long sessions live, how it is deployed, where it says that it is.

use app::users::Device;
use app::{App, RequestInfo};
use serde_json::{Value, json};

use crate::World;

const NOBODY: &str = "0123456789abcdef01234567";

/// Whether a client of an address is let in; else the status and code.
fn client(app: &App, address: &str) -> Result<(), (kit::Kind, String)> {
    let peer = address.parse().unwrap();
    app.check_address(Some(std::net::SocketAddr::new(peer, 1)))
        .map_err(|problem| (problem.kind, problem.code.into_owned()))
}

#[tokio::test]
async fn addresses_that_are_not_listed_are_no_clients() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/security/access_list";
    let served = world.core.app(&app.id).await.unwrap();
    let listed = app.done(200, "GET", PATH, Value::Null).await;
    let all = &listed["allowed_ips"];
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["address"], "0.0.0.0/0");
    for address in ["203.0.113.1", "::1"] {
        assert_eq!(client(&served, address), Ok(()));
    }
    let office = json!({ "address": "203.0.113.0/24", "comment": "office" });
    let entry = app.done(201, "POST", PATH, office.clone()).await;
    assert_eq!(
        app.done(200, "GET", PATH, Value::Null).await["allowed_ips"][1],
        entry
    );
    let anywhere = format!("{PATH}/{}", all[0]["_id"].as_str().unwrap());
    app.done(204, "DELETE", &anywhere, Value::Null).await;
    let range = |entry: &Value| ["address", "ip", "network"].map(|name| entry[name].clone());
    assert_eq!(range(&all[0]), ["0.0.0.0/0", "0.0.0.0", "0.0.0.0/0"]);
    assert_eq!(
        range(&entry),
        ["203.0.113.0/24", "203.0.113.0", "203.0.113.0/24"]
    );
    let refused = Err((kit::Kind::Forbidden, "RequestNotAllowed".to_owned()));
    assert_eq!(client(&served, "203.0.113.9"), Ok(()));
    assert_eq!(client(&served, "203.0.114.9"), refused);
    assert_eq!(client(&served, "::1"), refused);
    let one = format!("{PATH}/{}", entry["_id"].as_str().unwrap());
    let changed = app
        .done(200, "PATCH", &one, json!({ "address": "203.0.114.9" }))
        .await;
    assert_eq!(
        (&changed["address"], &changed["comment"]),
        (&json!("203.0.114.9"), &json!("office"))
    );
    assert_eq!(
        range(&changed),
        ["203.0.114.9", "203.0.114.9", "203.0.114.9/32"]
    );
    assert_eq!(client(&served, "203.0.113.9"), refused);
    assert_eq!(client(&served, "203.0.114.9"), Ok(()));
    app.done(204, "DELETE", &one, Value::Null).await;
    assert_eq!(
        client(&served, "203.0.114.9"),
        refused,
        "an empty list is open to nobody"
    );
    for (method, path, body, status, code) in [
        (
            "POST",
            PATH,
            json!({ "address": "moon" }),
            400,
            "BadRequest",
        ),
        (
            "POST",
            PATH,
            json!({ "address": "1.2.3.4/40" }),
            400,
            "BadRequest",
        ),
        ("POST", PATH, json!({}), 400, "MissingParameter"),
        (
            "POST",
            PATH,
            json!({ "address": 5 }),
            400,
            "InvalidParameter",
        ),
        ("PATCH", one.as_str(), office, 404, "AllowedIPNotFound"),
        ("DELETE", &one, Value::Null, 404, "AllowedIPNotFound"),
    ] {
        let reply = app.call(method, path, body).await;
        assert_eq!(reply.refusal(), (status, code), "{method} {path}");
    }
    let gone = app.call("DELETE", &one, Value::Null).await;
    let id = entry["_id"].as_str().unwrap();
    assert_eq!(
        gone.body["error"],
        format!("allowed IP not found: 'ObjectID(\"{id}\")'")
    );
    // As the official CLI asks for all addresses.
    let all = app
        .done(201, "POST", PATH, json!({ "address": "0.0.0.0" }))
        .await;
    assert_eq!(all["address"], "0.0.0.0/0");
    let again = app
        .call("POST", PATH, json!({ "address": "0.0.0.0/0" }))
        .await;
    assert_eq!(again.refusal(), (400, "BadRequest"));
    // It is no configuration: nothing was deployed, and it outlives the server.
    let deployments = app.done(200, "GET", "/deployments", Value::Null).await;
    assert_eq!(deployments, json!([]));
    let stored = world.core.state.apps.get(&app.id).await.unwrap().unwrap();
    assert_eq!(stored.settings, served.record().settings);
}

#[tokio::test]
async fn private_endpoints_and_who_comes_from_elsewhere() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/security/private_endpoints";
    let body = json!({
        "cloud_provider_region": "aws-us-east-1", "cloud_provider_endpoint_id": "vpce-1",
        "endpoint_type": "general", "comment": "c",
    });
    let id = app.made(PATH, body.clone()).await;
    let one = format!("{PATH}/{id}");
    let mut expected = body.clone();
    expected["_id"] = json!(id);
    assert_eq!(app.done(200, "GET", &one, Value::Null).await, expected);
    assert_eq!(
        app.done(200, "GET", PATH, Value::Null).await,
        json!([expected])
    );
    expected["comment"] = json!("d");
    assert_eq!(app.done(200, "PUT", &one, expected.clone()).await, expected);
    let mut other = body.clone();
    other["endpoint_type"] = json!("sync");
    for (method, path, body, status, code) in [
        ("POST", PATH, body.clone(), 400, "BadRequest"),
        ("PUT", one.as_str(), other.clone(), 400, "BadRequest"),
        (
            "POST",
            PATH,
            json!({ "endpoint_type": "general" }),
            400,
            "MissingParameter",
        ),
        (
            "GET",
            &format!("{PATH}/{NOBODY}"),
            Value::Null,
            404,
            "PrivateEndpointNotFound",
        ),
        (
            "PUT",
            &format!("{PATH}/{NOBODY}"),
            body.clone(),
            404,
            "PrivateEndpointNotFound",
        ),
    ] {
        let reply = app.call(method, path, body).await;
        assert_eq!(reply.refusal(), (status, code), "{method} {path}");
    }
    other["endpoint_type"] = json!("legacy");
    other["cloud_provider_endpoint_id"] = json!("vpce-2");
    assert_eq!(app.call("POST", PATH, other).await.status, 400);
    app.done(204, "DELETE", &one, Value::Null).await;
    let gone = app.call("DELETE", &one, Value::Null).await;
    assert_eq!(gone.refusal(), (404, "PrivateEndpointNotFound"));
    assert_eq!(
        app.done(
            200,
            "GET",
            "/security/private_endpoint_service_infos",
            Value::Null
        )
        .await,
        json!([])
    );
    // Private networks are what a private cloud was.
    const OUTSIDE: &str = "/security/allow_non_vpc_client_requests";
    let served = world.core.app(&app.id).await.unwrap();
    app.done(
        204,
        "POST",
        OUTSIDE,
        json!({ "allow_non_vpc_client_requests": false }),
    )
    .await;
    for (address, inside) in [
        ("10.1.1.1", true),
        ("127.0.0.1", true),
        ("fd00::1", true),
        ("203.0.113.1", false),
        ("2001:db8::1", false),
    ] {
        let refused = Err((kit::Kind::NotFound, "AppNotFound".to_owned()));
        let expected = if inside { Ok(()) } else { refused };
        assert_eq!(client(&served, address), expected, "{address}");
    }
    app.done(
        204,
        "POST",
        OUTSIDE,
        json!({ "allow_non_vpc_client_requests": true }),
    )
    .await;
    assert_eq!(client(&served, "203.0.113.1"), Ok(()));
    let wrong = app.call("POST", OUTSIDE, json!({})).await;
    assert_eq!(wrong.refusal(), (400, "MissingParameter"));
}

#[tokio::test]
async fn origins_are_part_of_the_configuration() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/security/allowed_request_origins";
    assert_eq!(app.done(200, "GET", PATH, Value::Null).await, json!([]));
    let origins = json!(["https://shop.example", "https://*.shop.example:8443"]);
    app.done(204, "POST", PATH, origins.clone()).await;
    assert_eq!(app.done(200, "GET", PATH, Value::Null).await, origins);
    let served = world.core.app(&app.id).await.unwrap();
    for (origin, allowed) in [
        (None, true),
        (Some("https://shop.example"), true),
        (Some("https://a.shop.example:8443"), true),
        (Some("https://other.example"), false),
    ] {
        assert_eq!(served.check_origin(origin).is_ok(), allowed, "{origin:?}");
    }
    for wrong in [
        json!({}),
        json!("https://shop.example"),
        json!(["shop.example"]),
        json!(["https://"]),
        json!(["https://shop.example/path"]),
        json!([1]),
    ] {
        let refused = app.call("POST", PATH, wrong.clone()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest"), "{wrong}");
    }
    let pulled = app.done(200, "GET", "/pull", Value::Null).await;
    assert_eq!(pulled["allowed_request_origins"], origins);
}

#[tokio::test]
async fn refresh_tokens_live_as_long_as_is_set() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/security/refresh_token_expiration";
    let default = json!({ "expiration_time_seconds": 5_184_000 });
    assert_eq!(app.done(200, "GET", PATH, Value::Null).await, default);
    let hour = json!({ "expiration_time_seconds": 3600 });
    app.done(204, "PUT", PATH, hour.clone()).await;
    assert_eq!(app.done(200, "GET", PATH, Value::Null).await, hour);
    for (seconds, code) in [
        (json!(1799), "BadRequest"),
        (json!(157_680_001), "BadRequest"),
        (json!("1h"), "InvalidParameter"),
        (json!(1800.5), "InvalidParameter"),
        (Value::Null, "MissingParameter"),
    ] {
        let body = json!({ "expiration_time_seconds": seconds });
        let refused = app.call("PUT", PATH, body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
    // A session that begins now ends in an hour.
    app.made(
        "/auth_providers",
        json!({ "type": "local-userpass", "config": { "autoConfirm": true } }),
    )
    .await;
    let user = json!({ "email": "a@example.org", "password": "password" });
    app.done(201, "POST", "/users", user).await;
    let served = world.core.app(&app.id).await.unwrap();
    let credentials = bson::doc! { "username": "a@example.org", "password": "password" };
    let info = RequestInfo::default();
    let login = served.login("local-userpass", &credentials, Device::default(), &info);
    login.await.unwrap();
    let sessions = &world.core.state.sessions;
    let session = sessions.first(bson::doc! {}).await.unwrap().unwrap();
    assert_eq!(session.expires - session.created, 3_600_000);
}

#[tokio::test]
async fn deployment_settings_are_merged() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/deploy/config";
    let fresh = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(
        (&fresh["ui_drafts_disabled"], &fresh["automatic_deployment"]),
        (
            &json!(false),
            &json!({ "enabled": false, "provider": "", "installation_ids": [] })
        )
    );
    assert!(fresh["last_modified"].as_i64().unwrap() > 1_700_000_000);
    app.done(204, "PATCH", PATH, json!({ "ui_drafts_disabled": true }))
        .await;
    let automatic = json!({ "automatic_deployment": {
        "enabled": true, "provider": "github", "installationIds": ["1"],
    } });
    app.done(204, "PATCH", PATH, automatic).await;
    let set = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(
        (&set["ui_drafts_disabled"], &set["automatic_deployment"]),
        (
            &json!(true),
            &json!({ "enabled": true, "provider": "github", "installation_ids": ["1"] })
        )
    );
    for wrong in [
        json!({ "ui_drafts_disabled": 1 }),
        json!({ "automatic_deployment": true }),
        json!({ "automatic_deployment": { "provider": "svn" } }),
        json!({ "automatic_deployment": { "installation_ids": [1] } }),
    ] {
        let refused = app.call("PATCH", PATH, wrong.clone()).await;
        assert_eq!(refused.refusal(), (400, "InvalidParameter"), "{wrong}");
    }
}

#[tokio::test]
async fn an_app_moves_to_another_region_at_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/deployment_migration";
    let never = app.call("GET", PATH, Value::Null).await;
    assert_eq!(never.refusal(), (404, "DeploymentMigrationNotFound"));
    let to = json!({ "deployment_model": "LOCAL", "provider_region": "aws-eu-central-1" });
    app.done(204, "PUT", PATH, to.clone()).await;
    let done = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(
        (&done["status"], &done["to"], &done["from"]),
        (
            &json!("successful"),
            &to,
            &json!({ "deployment_model": "GLOBAL", "provider_region": "aws-us-east-1" })
        )
    );
    let path = format!("/apps/{}", app.id);
    let shown = operator.call("GET", &path, Value::Null).await.body;
    assert_eq!(
        (&shown["location"], &shown["deployment_model"]),
        (&json!("DE-FF"), &json!("LOCAL"))
    );
    for (body, code) in [
        (to, "BadRequest"),
        (json!({ "deployment_model": "LOCAL" }), "MissingParameter"),
        (
            json!({ "deployment_model": "LOCAL", "provider_region": "moon-1" }),
            "BadRequest",
        ),
        (
            json!({ "deployment_model": "WIDE", "provider_region": "aws-us-east-1" }),
            "BadRequest",
        ),
    ] {
        let refused = app.call("PUT", PATH, body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
}

#[tokio::test]
async fn regions_are_listed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let listed = operator.get("provider_regions").await;
    assert_eq!(listed.status, 200);
    let first = &listed.body[0];
    assert_eq!(
        (
            &first["id"],
            &first["cloud_provider"],
            &first["deployment_models"]
        ),
        (
            &json!("aws-us-east-1"),
            &json!("aws"),
            &json!(["GLOBAL", "LOCAL"])
        )
    );
}

#[tokio::test]
async fn validation_of_null_is_switched() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    const PATH: &str = "/validation_settings/null_type_schema_validation";
    for (body, after) in [(None, false), (Some(true), true), (Some(false), false)] {
        if let Some(enabled) = body {
            app.done(204, "PUT", PATH, json!({ "enabled": enabled }))
                .await;
        }
        let shown = app.done(200, "GET", PATH, Value::Null).await;
        assert_eq!(shown, json!({ "enabled": after }));
    }
    let refused = app.call("PUT", PATH, json!({ "enabled": 1 })).await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn origins_of_older_layouts_are_the_same_list() {
    let files = config::Files::from_fixture(
        r#"
//- /config.json
{ "config_version": 20200603, "name": "old", "security": { "allowed_request_origins": ["https://a.example"], "x": 1 } }
"#,
    );
    let world = World::new().await;
    let operator = world.operator().await;
    let new = app::NewApp {
        name: "old".to_owned(),
        client_app_id: None,
        product: String::new(),
        config: config::parse(&files).0,
        template_id: String::new(),
    };
    let author = app::Author {
        user_id: "ann".to_owned(),
        origin: "API".to_owned(),
    };
    let made = world.core.create_app(&world.project, new, &author).await;
    let app = crate::AppAdmin {
        administrator: &operator,
        id: made.unwrap().id.clone(),
    };
    const PATH: &str = "/security/allowed_request_origins";
    let origins = app.done(200, "GET", PATH, Value::Null).await;
    assert_eq!(origins, json!(["https://a.example"]));
    for origins in [json!(["https://*.b.example"]), json!([])] {
        app.done(204, "POST", PATH, origins.clone()).await;
        assert_eq!(app.done(200, "GET", PATH, Value::Null).await, origins);
        let (_, files, _) = app.archive("/export?version=20200603").await;
        let root: Value = serde_json::from_slice(&files.0["config.json"]).unwrap();
        let security = &root["security"];
        assert_eq!(
            (&security["allowed_request_origins"], &security["x"]),
            (&origins, &json!(1))
        );
    }
}
