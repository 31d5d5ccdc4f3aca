//! What every answer carries, browsers, and the doors that are no API.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use app::StateSettings;
use app::mail::MailSettings;
use bson::RawDocument;
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};

use engine_embedded::{Disk, Embedded, Options};
use kit::clock::FakeClock;

use crate::http::{Ask, Reply, parse, raw};
use crate::world::{APP, Storage, World, auth, call, in_memory, login, of_app};

fn cors(reply: &Reply) -> Vec<Option<&str>> {
    [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-expose-headers",
        "vary",
    ]
    .iter()
    .map(|name| reply.header(name))
    .collect()
}

#[tokio::test]
async fn browsers_may_call_from_anywhere_and_see_errors() {
    let world = World::new().await;
    let origin = "https://shop.example:8443";
    for ask in [
        Ask::new("OPTIONS", of_app("functions/call"))
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "authorization,content-type",
            ),
        Ask::new("GET", of_app("location")),
        Ask::new("GET", of_app("nothing")),
        Ask::new("POST", of_app("functions/call")).body("{"),
        auth("GET", "profile"),
        crate::world::watch(""),
    ] {
        let reply = world.send(ask.header("Origin", origin)).await;
        assert_eq!(
            cors(&reply),
            [
                Some(origin),
                Some("true"),
                Some("GET, POST, PUT, PATCH, DELETE"),
                Some("Authorization, Content-Type, Accept, X-Baas-Request-Origin"),
                Some("X-Appservices-Request-Id, X-Baas-Location, X-Stitch-Location"),
                Some("Origin"),
            ]
        );
    }
    let preflight = Ask::new("OPTIONS", of_app("functions/call")).header("Origin", origin);
    let preflight = world.send(preflight).await;
    assert_eq!((preflight.status, preflight.body.len()), (204, 0));
    // Without an origin there is nobody to allow.
    let reply = world.send(Ask::new("GET", of_app("location"))).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(reply.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn an_app_that_lists_origins_is_called_from_those_only() {
    let listed = APP.replace(
        r#""name": "fixture" }"#,
        r#""name": "fixture", "allowed_request_origins": ["https://shop.example"] }"#,
    );
    let world = World::of(&listed, |_| {}).await;
    let user = world.anonymous().await;
    for (origin, allowed) in [
        (None, true),
        (Some("https://shop.example"), true),
        (Some("https://shop.example.evil"), false),
        (Some("http://shop.example"), false),
        (Some("https://shop.example:8443"), false),
        (Some("null"), false),
        (Some(""), false),
    ] {
        for ask in [
            login("anon-user", "{}"),
            auth("GET", "profile").bearer(&user.access),
        ] {
            let ask = match origin {
                Some(origin) => ask.header("Origin", origin),
                None => ask,
            };
            let reply = world.send(ask).await;
            if allowed {
                assert_eq!(reply.status, 200, "{origin:?}");
            } else {
                assert_eq!(reply.refusal(), "403 DomainNotAllowed", "{origin:?}");
                // The page is told why.
                assert_eq!(reply.header("access-control-allow-origin"), origin);
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_is_not_listed_opens_no_door_of_an_app() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let open = world.app.record().settings.access_list[0].id.clone();
    world.app.allow_address("203.0.113.0/24", "").await.unwrap();
    world.app.forbid_address(&open).await.unwrap();
    for ask in [
        login("anon-user", "{}"),
        auth("GET", "profile").bearer(&user.access),
        auth("POST", "session").bearer(&user.refresh),
        Ask::new("GET", of_app("location")),
        call(&user.access, "{}"),
    ] {
        let reply = world.send(ask).await;
        assert_eq!(reply.refusal(), "403 RequestNotAllowed");
    }
    // What a client says of itself is nothing: only a trusted proxy is believed.
    let forged = login("anon-user", "{}").header("X-Forwarded-For", "203.0.113.5");
    assert_eq!(world.send(forged).await.refusal(), "403 RequestNotAllowed");
    world.app.allow_address("127.0.0.0/8", "").await.unwrap();
    assert_eq!(world.send(login("anon-user", "{}")).await.status, 200);
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let world = World::new().await;
    let mut ids = std::collections::HashSet::new();
    for ask in [
        Ask::new("GET", "/"),
        Ask::new("GET", "/nothing"),
        Ask::new("OPTIONS", "/"),
        Ask::new("GET", of_app("location")),
        login("anon-user", "{}"),
        login("anon-user", "{"),
    ] {
        let reply = world.send(ask).await;
        let id = reply.header("x-appservices-request-id").unwrap();
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(ids.insert(id.to_owned()));
    }
}

#[tokio::test]
async fn errors_lead_to_the_apps_log() {
    let world = World::new().await;
    let reply = world.send(login("api-key", "{}")).await;
    let link = reply.json()["link"].as_str().unwrap().to_owned();
    let id = reply.header("x-appservices-request-id").unwrap();
    let (project, app) = (&world.app.project_id, &world.app.id);
    assert_eq!(
        link,
        format!("http://backstitch.test/groups/{project}/apps/{app}/logs?co_id={id}")
    );
}

#[tokio::test]
async fn probes_are_answered_and_numbers_are_for_administrators() {
    let world = World::with(|listening| {
        listening.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let head = Ask::new("HEAD", "/").header("Connection", "close");
    let head = raw(world.address, &head.bytes()).await;
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n") && head.ends_with(b"\r\n\r\n"));
    for path in ["/", "/health", "/ready", "/api/private/v1.0/version"] {
        assert_eq!(
            world.send(Ask::new("GET", path)).await.status,
            200,
            "{path}"
        );
    }
    let metrics = || Ask::new("GET", "/metrics");
    assert_eq!(world.send(metrics()).await.status, 401);
    assert_eq!(world.send(metrics().bearer("x")).await.status, 401);
    let user = world.anonymous().await;
    assert_eq!(world.send(metrics().bearer(&user.access)).await.status, 401);

    let pair = app::Backstitch::new_key_pair();
    world
        .core
        .ensure_key(&world.app.project_id, &pair)
        .await
        .unwrap();
    let login = world
        .core
        .admin_login(&pair.public_key, pair.private_key.expose(), "");
    let token = login.await.unwrap().access_token;
    let numbers = world.send(metrics().bearer(&token)).await;
    assert_eq!(numbers.status, 200);
    assert!(numbers.text().contains("backstitch_requests_total"));

    // The door of its own asks nobody and opens to nothing else.
    let own = world.listener.metrics_address.unwrap();
    assert_eq!(metrics().send(own).await.status, 200);
    assert_eq!(Ask::new("GET", "/health").send(own).await.status, 200);
    for path in ["/", "/api/private/v1.0/version", &of_app("location")] {
        assert_eq!(Ask::new("GET", path).send(own).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn successes_without_a_value_have_no_content_type() {
    let world = World::new().await;
    let reply = world.register("a@b", "123456").await;
    assert_eq!((reply.status, reply.reason.as_str()), (201, "Created"));
    assert_eq!(reply.header("content-type"), None);
    let user = world.user("c@d").await;
    let logout = auth("DELETE", "session")
        .bearer(&user.refresh)
        .header("Connection", "close");
    let (reply, rest) = parse(&raw(world.address, &logout.bytes()).await);
    assert_eq!((reply.status, rest.len()), (204, 0));
    assert_eq!(reply.header("content-type"), None);
}

#[tokio::test]
async fn a_value_cannot_be_taken_for_an_error() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let reply = world
        .call(
            &user.access,
            r#"{"name":"echo","arguments":[{"error":"x","error_code":"y"}]}"#,
        )
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
}

#[tokio::test]
async fn the_location_is_the_apps() {
    let world = World::new().await;
    let place = |world: World| async move {
        let reply = world.send(Ask::new("GET", of_app("location"))).await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        reply.json()
    };
    let mut expected = serde_json::json!({
        "deployment_model": "GLOBAL", "location": "US-VA",
        "hostname": "http://backstitch.test", "ws_hostname": "ws://backstitch.test",
    });
    assert_eq!(place(world).await, expected);
    let local = APP.replace(
        r#""name": "fixture" }"#,
        r#""name": "fixture", "location": "IE", "deployment_model": "LOCAL" }"#,
    );
    expected["deployment_model"] = "LOCAL".into();
    expected["location"] = "IE".into();
    assert_eq!(place(World::of(&local, |_| {}).await).await, expected);
}

#[tokio::test]
async fn the_log_holds_no_secret() {
    let world = World::new().await;
    let user = world.user("canary@example.com").await;
    let made = auth("POST", "api_keys")
        .bearer(&user.refresh)
        .body(r#"{"name":"k"}"#);
    let key = world.send(made).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .login("api-key", serde_json::json!({ "key": key }))
        .await;
    world
        .by_password("canary@example.com", "a wrong canary")
        .await;
    let path = of_app(&format!("functions/call?baas_at={}", user.access));
    let call = Ask::new("POST", path).bearer(&user.access);
    let call = call.header("Cookie", format!("t={}", user.refresh));
    let reply = world.send(call.body(r#"{"name":"address"}"#)).await;
    assert_eq!(reply.status, 200);
    let entries = world.logged(&app::LogQuery::default()).await;
    assert!(entries.len() >= 4, "{}", entries.len());
    let text = format!("{entries:?}");
    for secret in [
        "correct horse",
        "a wrong canary",
        &key,
        &user.access,
        &user.refresh,
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("InvalidPassword"));
}

/// A cluster that comes and goes.
struct Distant {
    engine: SharedEngine,
    away: AtomicBool,
}

impl Distant {
    fn new(away: bool) -> Arc<Self> {
        Arc::new(Self {
            engine: in_memory(),
            away: AtomicBool::new(away),
        })
    }

    fn reached(&self) -> Result<(), CommandError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(CommandError::new(133, "nobody at 10.0.0.1"));
        }
        Ok(())
    }
}

impl Engine for Distant {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.reached()?;
            self.engine.command(database, command).await
        })
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async move {
            self.reached()?;
            self.engine.watch(request).await
        })
    }
}

/// Asks until the server says so.
async fn until_ready_says(world: &World, wanted: (u16, &str)) {
    let start = Instant::now();
    loop {
        let reply = world.send(Ask::new("GET", "/ready")).await;
        if (reply.status, &*reply.text()) == wanted {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{wanted:?}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told_and_the_rest_is_served() {
    let distant = Distant::new(true);
    let clusters = [("Cluster0".to_owned(), distant.clone() as SharedEngine)];
    let world = World::on(APP, clusters.into(), |listening| {
        listening.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let inner = world.listener.metrics_address.unwrap();
    let ann = world.anonymous().await;
    let reply = world.note(&ann, 1).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(reply.json()["error_code"], "MongoDBError");
    assert!(!reply.text().contains("10.0.0.1"), "{}", reply.text());
    assert_eq!(world.with_access(&ann.access).await, "200");

    let reply = world.send(Ask::new("GET", "/ready")).await;
    assert_eq!((reply.status, reply.text()), (200, "degraded\n".to_owned()));
    let text = Ask::new("GET", "/ready").send(inner).await.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "degraded");
    assert_eq!(lines.last(), Some(&"Cluster0: away: nobody at 10.0.0.1"));
    assert!(text.contains(" (own records): ok, "), "{text}");
    let text = Ask::new("GET", "/metrics").send(inner).await.text();
    let up = r#"backstitch_cluster_up{cluster="Cluster0",own_records="false"} "#;
    assert!(text.contains(&format!("{up}0\n")), "{text}");

    distant.away.store(false, Ordering::SeqCst);
    assert_eq!(world.note(&ann, 1).await.status, 200);
    until_ready_says(&world, (200, "ok\n")).await;
}

/// Without its own records a server can serve nobody.
#[tokio::test]
async fn a_server_whose_records_are_away_is_not_ready() {
    let records = Distant::new(false);
    let storage = Storage {
        engine: in_memory(),
        clusters: HashMap::new(),
        state: Some(StateSettings {
            engine: records.clone(),
            database: "records".to_owned(),
            shared: true,
        }),
        outbound: app::Outbound::default(),
        mail: MailSettings::default(),
    };
    let world = World::storing(APP, storage, |listening| {
        listening.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    until_ready_says(&world, (200, "ok\n")).await;
    records.away.store(true, Ordering::SeqCst);
    until_ready_says(&world, (503, "unavailable\n")).await;
    let inner = world.listener.metrics_address.unwrap();
    let told = Ask::new("GET", "/ready").send(inner).await;
    assert_eq!(told.status, 503);
    let text = told.text();
    let own = " (own records): away: nobody at 10.0.0.1\n";
    assert!(text.contains(own), "{text}");
    // It lives all the same: whoever restarts it gains nothing.
    assert_eq!(world.send(Ask::new("GET", "/health")).await.status, 200);
    records.away.store(false, Ordering::SeqCst);
    until_ready_says(&world, (200, "ok\n")).await;
}

/// A disk in memory whose syncs can be made to fail.
#[derive(Debug, Default, Clone)]
struct Failing {
    bytes: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
}

impl Disk for Failing {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        let bytes = self.bytes.lock().unwrap();
        out.copy_from_slice(&bytes[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// After a sync that failed the engine takes no writes until it is opened
/// again, and the server says so.
#[tokio::test]
async fn a_server_whose_engine_stopped_is_not_ready() {
    let disk = Failing::default();
    let clock = Arc::new(FakeClock::at(1_700_000_000_000));
    let engine = Embedded::open_on(disk.clone(), clock, Options::default()).unwrap();
    let storage = Storage {
        engine: Arc::new(engine),
        clusters: HashMap::new(),
        state: None,
        outbound: app::Outbound::default(),
        mail: MailSettings::default(),
    };
    let world = World::storing(APP, storage, |_| {}).await;
    until_ready_says(&world, (200, "ok\n")).await;
    let ann = world.anonymous().await;
    disk.fails.store(true, Ordering::SeqCst);
    assert_eq!(
        world.register("a@example.com", "password").await.status,
        500
    );
    until_ready_says(&world, (503, "unavailable\n")).await;
    // The disk is well again, and what is on it is still not known.
    disk.fails.store(false, Ordering::SeqCst);
    assert_eq!(world.note(&ann, 1).await.status, 400);
    let reply = world.send(Ask::new("GET", "/ready")).await;
    assert_eq!((reply.status, &*reply.text()), (503, "unavailable\n"));
    assert_eq!(world.send(Ask::new("GET", "/health")).await.status, 200);
}
