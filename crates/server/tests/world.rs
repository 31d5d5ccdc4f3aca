//! A server in this process on an app in a string.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use app::mail::MailSettings;
use app::{
    App, Author, Backstitch, EgressSettings, NewApp, Outbound, ProviderEndpoints, StateSettings,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::Files;
use engine::SharedEngine;
use engine_embedded::Embedded;
use js::{Limits, PoolSettings};
use kit::clock::FakeClock;
use serde_json::json;
use server::{Listener, Listening, Patience};
use state::MasterKey;

use crate::http::{Ask, Reply};

pub(crate) const APP: &str = r#"
//- realm_config.json
{ "config_version": 20210101, "app_id": "fixture-abcde", "name": "fixture" }
//- auth/providers.json
{
    "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false },
    "api-key": { "name": "api-key", "type": "api-key", "disabled": false },
    "local-userpass": {
        "name": "local-userpass", "type": "local-userpass", "disabled": false,
        "config": { "autoConfirm": true, "resetPasswordUrl": "https://example.com/reset" }
    }
}
//- functions/config.json
[
    { "name": "echo", "private": false }, { "name": "hidden", "private": true },
    { "name": "endless", "private": false }, { "name": "address", "private": false }
]
//- functions/echo.js
exports = (...all) => all;
//- functions/hidden.js
exports = () => 1;
//- functions/endless.js
exports = () => { for (;;) {} };
//- functions/address.js
exports = () => [context.request.remoteIPAddress, context.request.rawQueryString];
//- data_sources/mongodb-atlas/config.json
{ "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" } }
//- data_sources/mongodb-atlas/shop/notes/rules.json
{
    "database": "shop", "collection": "notes",
    "roles": [{
        "name": "owner", "apply_when": { "owner_id": "%%user.id" },
        "insert": true, "delete": true, "search": true, "read": true, "write": true
    }]
}
"#;

/// The files of a fixture: each begins with a line `//- path`.
fn files(text: &str) -> Files {
    let mut files = Files::default();
    for part in text.split("\n//- ").skip(1) {
        let (path, content) = part.split_once('\n').unwrap();
        files.insert(path, content.as_bytes().to_vec());
    }
    files
}

pub(crate) struct World {
    pub(crate) core: Arc<Backstitch>,
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) address: SocketAddr,
    pub(crate) listener: Listener,
}

/// What a server keeps its documents and records in.
pub(crate) struct Storage {
    pub(crate) engine: SharedEngine,
    pub(crate) clusters: HashMap<String, SharedEngine>,
    pub(crate) state: Option<StateSettings>,
    pub(crate) outbound: Outbound,
    pub(crate) mail: MailSettings,
}

impl Storage {
    /// In memory. With `BACKSTITCH_TEST_STATE=mongodb` the server's own records are
    /// in a database of their own on a real mongod.
    pub(crate) async fn in_memory() -> Self {
        Self {
            engine: in_memory(),
            clusters: HashMap::new(),
            state: records().await,
            outbound: Outbound::default(),
            mail: MailSettings::default(),
        }
    }
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at(1_700_000_000_000))
}

pub(crate) fn in_memory() -> SharedEngine {
    Arc::new(Embedded::in_memory(clock()).unwrap())
}

/// Who logged in.
pub(crate) struct Session {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) user_id: String,
    pub(crate) device_id: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Listening)) -> Self {
        Self::of(APP, change).await
    }

    pub(crate) async fn of(fixture: &str, change: impl FnOnce(&mut Listening)) -> Self {
        Self::on(fixture, HashMap::new(), change).await
    }

    /// With mail.
    pub(crate) async fn mailing(
        fixture: &str,
        mail: MailSettings,
        change: impl FnOnce(&mut Listening),
    ) -> Self {
        let storage = Storage {
            mail,
            ..Storage::in_memory().await
        };
        Self::storing(fixture, storage, change).await
    }

    /// With named clusters.
    pub(crate) async fn on(
        fixture: &str,
        clusters: HashMap<String, SharedEngine>,
        change: impl FnOnce(&mut Listening),
    ) -> Self {
        let storage = Storage {
            clusters,
            ..Storage::in_memory().await
        };
        Self::storing(fixture, storage, change).await
    }

    /// On these engines.
    pub(crate) async fn storing(
        fixture: &str,
        storage: Storage,
        change: impl FnOnce(&mut Listening),
    ) -> Self {
        let (core, clock, listener) = open(storage, change).await;
        let app = add_app(&core, fixture, "fixture-abcde").await;
        Self {
            core,
            app,
            clock,
            address: listener.address,
            listener,
        }
    }

    /// Turning to other machines on loopback, with login providers' endpoints
    /// elsewhere.
    pub(crate) async fn reaching(fixture: &str, endpoints: &[String]) -> Self {
        let storage = Storage {
            outbound: Outbound {
                http: EgressSettings {
                    allowed: vec!["127.0.0.1".parse().unwrap()],
                    ..EgressSettings::default()
                },
                endpoints: ProviderEndpoints::new(endpoints.iter().map(String::as_str)).unwrap(),
            },
            ..Storage::in_memory().await
        };
        Self::storing(fixture, storage, |_| {}).await
    }

    /// Another server of the app of one on the same engines.
    pub(crate) async fn beside(storage: Storage) -> Self {
        let (core, clock, listener) = open(storage, |_| {}).await;
        let app = core.app_by_client_id("fixture-abcde").await.unwrap();
        Self {
            core,
            app,
            clock,
            address: listener.address,
            listener,
        }
    }

    /// Another app of the same server.
    pub(crate) async fn second_app(&self) -> Arc<App> {
        self.another(APP, "second-abcde").await
    }

    pub(crate) async fn another(&self, fixture: &str, id: &str) -> Arc<App> {
        add_app(&self.core, fixture, id).await
    }

    /// Deploys another fixture in place of the app's own.
    pub(crate) async fn deploy(&self, fixture: &str) {
        let author = Author {
            user_id: "test".to_owned(),
            origin: "API".to_owned(),
        };
        self.app.push(&files(fixture), &author).await.unwrap();
    }

    pub(crate) async fn send(&self, ask: Ask) -> Reply {
        ask.send(self.address).await
    }

    pub(crate) async fn login(&self, provider: &str, body: serde_json::Value) -> Reply {
        self.send(login(provider, &body.to_string())).await
    }

    pub(crate) async fn anonymous(&self) -> Session {
        session(&self.login("anon-user", json!({})).await)
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Reply {
        let body = json!({ "email": email, "password": password });
        self.send(
            Ask::new("POST", of_app("auth/providers/local-userpass/register"))
                .body(body.to_string()),
        )
        .await
    }

    /// Registers and logs in.
    pub(crate) async fn user(&self, email: &str) -> Session {
        assert_eq!(self.register(email, "correct horse").await.status, 201);
        session(&self.by_password(email, "correct horse").await)
    }

    pub(crate) async fn by_password(&self, email: &str, password: &str) -> Reply {
        let body = json!({ "username": email, "password": password });
        self.login("local-userpass", body).await
    }

    /// The profile of who logged in.
    pub(crate) async fn profile(&self, session: &Session) -> serde_json::Value {
        let reply = self.send(auth("GET", "profile").bearer(&session.access));
        reply.await.json()
    }

    /// What the latest entry of logins in the log says is wrong.
    pub(crate) async fn logged_error(&self) -> String {
        let query = app::LogQuery {
            kinds: vec!["AUTH".to_owned()],
            limit: 1,
            ..app::LogQuery::default()
        };
        self.logged(&query).await[0].error.clone()
    }

    /// What the app's log has, the latest first.
    pub(crate) async fn logged(&self, query: &app::LogQuery) -> Vec<state::LogEntry> {
        let read = self.core.logbook.read(&self.app.id, query).await;
        let (entries, _) = read.unwrap();
        entries
    }

    pub(crate) async fn call(&self, token: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.send(call(token, body)).await
    }

    /// Whether an access token opens the door; if not, how it is refused.
    pub(crate) async fn with_access(&self, token: &str) -> String {
        let reply = self.call(token, r#"{"name":"echo","arguments":[1]}"#).await;
        match reply.status {
            200 => "200".to_owned(),
            _ => reply.refusal(),
        }
    }

    /// The same of a refresh token.
    pub(crate) async fn with_refresh(&self, token: &str) -> String {
        let reply = self.send(auth("POST", "session").bearer(token)).await;
        match reply.status {
            201 => "201".to_owned(),
            _ => reply.refusal(),
        }
    }

    /// Inserts a note of a user.
    pub(crate) async fn note(&self, session: &Session, n: i32) -> Reply {
        let body = json!({
            "name": "insertOne", "service": "mongodb-atlas",
            "arguments": [{
                "database": "shop", "collection": "notes",
                "document": { "owner_id": session.user_id, "n": n },
            }],
        });
        self.call(&session.access, body.to_string()).await
    }
}

async fn open(
    storage: Storage,
    change: impl FnOnce(&mut Listening),
) -> (Arc<Backstitch>, Arc<FakeClock>, Listener) {
    let clock = clock();
    let core = Backstitch::open(app::Settings {
        engine: storage.engine,
        clusters: storage.clusters,
        state: storage.state,
        master_key: MasterKey::from_text("test"),
        workers: PoolSettings::new(env!("CARGO_BIN_EXE_server-test-worker"), [""; 0]),
        limits: Limits::default(),
        clock: clock.clone(),
        cheap_passwords: true,
        npm_registry: None,
        outbound: storage.outbound,
        mail: storage.mail,
    })
    .await
    .unwrap();
    let mut listening = Listening {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics_listen: None,
        public_url: None,
        trusted_proxies: Vec::new(),
        patience: Patience::default(),
    };
    change(&mut listening);
    let listener = server::listen(core.clone(), &listening).await.unwrap();
    (core, clock, listener)
}

async fn records() -> Option<StateSettings> {
    std::env::var_os("BACKSTITCH_TEST_STATE").filter(|where_| where_ == "mongodb")?;
    let address = testkit::mongod::shared().expect("a mongod");
    let uri = format!("mongodb://{address}/?directConnection=true&maxPoolSize=20");
    let mongo = engine_mongo::Mongo::connect(engine_mongo::Settings::for_state(uri)).await;
    Some(StateSettings {
        engine: Arc::new(mongo.expect("the shared mongod answers")),
        database: format!("records-{}", bson::oid::ObjectId::new().to_hex()),
        shared: true,
    })
}

async fn add_app(core: &Arc<Backstitch>, fixture: &str, client_app_id: &str) -> Arc<App> {
    let (config, findings) = config::parse(&files(fixture));
    let config = config.unwrap_or_else(|| panic!("{findings:?}"));
    let project = core.ensure_project(None, "p").await.unwrap();
    let new = NewApp {
        name: "fixture".to_owned(),
        client_app_id: Some(client_app_id.to_owned()),
        config: Some(config),
        ..NewApp::default()
    };
    let author = Author {
        user_id: "test".to_owned(),
        origin: "API".to_owned(),
    };
    core.create_app(&project.id, new, &author).await.unwrap()
}

/// A path of the fixture's app.
pub(crate) fn of_app(path: &str) -> String {
    format!("/api/client/v2.0/app/fixture-abcde/{path}")
}

/// A request to the routes that name no app.
pub(crate) fn auth(method: &'static str, path: &str) -> Ask {
    Ask::new(method, format!("/api/client/v2.0/auth/{path}"))
}

pub(crate) fn login(provider: &str, body: &str) -> Ask {
    Ask::new("POST", of_app(&format!("auth/providers/{provider}/login"))).body(body)
}

pub(crate) fn call(token: &str, body: impl Into<Vec<u8>>) -> Ask {
    Ask::new("POST", of_app("functions/call"))
        .bearer(token)
        .body(body)
}

/// A request for a change stream of the notes.
pub(crate) fn watch(query: &str) -> Ask {
    let request = json!({
        "name": "watch", "service": "mongodb-atlas",
        "arguments": [{ "database": "shop", "collection": "notes" }],
    });
    let request = STANDARD.encode(request.to_string());
    let request = request.replace('+', "%2B").replace('=', "%3D");
    Ask::new(
        "GET",
        of_app(&format!("functions/call?baas_request={request}{query}")),
    )
    .header("Accept", "text/event-stream")
}

pub(crate) fn session(reply: &Reply) -> Session {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Session {
        access: text("access_token"),
        refresh: text("refresh_token"),
        user_id: text("user_id"),
        device_id: text("device_id"),
    }
}
