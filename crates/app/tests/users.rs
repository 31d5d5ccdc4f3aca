//! Users of an app, through every state that one can be in: each test asserts
//! what logs in, what is told and what is logged.

#[path = "users/import.rs"]
mod import;
#[path = "users/linking.rs"]
mod linking;
#[path = "users/states.rs"]
mod states;

use std::sync::Arc;

use app::users::{AuthEvent, Device, Login};
use app::{App, Backstitch, LogQuery, NewApp, RequestInfo};
use bson::{Document, doc};
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::clock::FakeClock;
use tokio::sync::broadcast;

use crate::{author, settings};

const NOW_MS: i64 = 1_600_000_000_000;

const FILES: &str = r#"
//- /realm_config.json
{ "config_version": 20210101, "app_id": "shop-abcde", "name": "shop" }
//- /auth/providers.json
{ "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false },
  "api-key": { "name": "api-key", "type": "api-key", "disabled": false },
  "local-userpass": { "name": "local-userpass", "type": "local-userpass",
    "config": { "autoConfirm": true }, "disabled": false } }
"#;

/// An app without anybody.
struct World {
    core: Arc<Backstitch>,
    app: Arc<App>,
    clock: Arc<FakeClock>,
    events: broadcast::Receiver<Arc<AuthEvent>>,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(FakeClock::at(NOW_MS));
        let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        let mut settings = settings(engine, None);
        settings.clock = clock.clone();
        let core = Backstitch::open(settings).await.unwrap();
        let (config, findings) = config::parse(&config::Files::from_fixture(FILES));
        let new = NewApp {
            name: "shop".to_owned(),
            client_app_id: Some("shop-abcde".to_owned()),
            config: Some(config.unwrap_or_else(|| panic!("{findings:?}"))),
            ..NewApp::default()
        };
        let app = core.create_app("p", new, &author()).await.unwrap();
        Self {
            events: app.auth_events(),
            core,
            app,
            clock,
        }
    }

    async fn login(&self, provider: &str, credentials: &Document) -> Result<Login, String> {
        let request = RequestInfo::default();
        let device = Device::default();
        let login = self.app.login(provider, credentials, device, &request);
        login
            .await
            .map_err(|problem| format!("{}: {}", problem.code, problem.message))
    }

    async fn anonymous(&self) -> Login {
        self.login("anon-user", &doc! {}).await.unwrap()
    }

    async fn register(&self, email: &str) {
        let request = RequestInfo::default();
        let registered = self.app.register(email, "secret123", &request).await;
        registered.unwrap();
    }

    async fn by_password(&self, email: &str) -> Result<Login, String> {
        self.login("local-userpass", &account(email)).await
    }

    /// What was told since the last time: `KIND provider,… identities`.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let document = event.document();
            let user = document.get_document("user").unwrap();
            let identities = user.get_array("identities").unwrap().len();
            let kind = document.get_str("operationType").unwrap();
            told.push(format!("{kind} {} {identities}", event.providers.join(",")));
        }
        told
    }

    /// The log's entries on users, the oldest first: `TYPE provider code`.
    async fn logged(&self) -> Vec<String> {
        let query = LogQuery {
            kinds: vec!["AUTH".to_owned()],
            ..LogQuery::default()
        };
        let (mut logs, _) = self.core.logbook.read(&self.app.id, &query).await.unwrap();
        logs.sort_by(|a, b| a.id.cmp(&b.id));
        let shown = logs.iter().map(|entry| {
            let event = entry.details.get_document("auth_event").unwrap();
            let text = |name: &str| event.get_str(name).unwrap().to_owned();
            let failed = event.get_bool("failed").unwrap();
            assert_eq!(failed, !entry.error.is_empty());
            format!("{} {} {}", text("type"), text("provider"), entry.error_code)
                .trim_end()
                .to_owned()
        });
        shown.collect()
    }
}

fn account(email: &str) -> Document {
    doc! { "username": email, "password": "secret123" }
}
