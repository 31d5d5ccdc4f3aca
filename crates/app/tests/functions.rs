//! Functions of an app, called by its users, in real worker processes on the
//! embedded engine.

#[path = "functions/actions.rs"]
mod actions;
#[path = "functions/calls.rs"]
mod calls;
#[path = "functions/collections.rs"]
mod collections;
#[path = "functions/context.rs"]
mod context;
#[path = "functions/creation.rs"]
mod creation;
#[path = "functions/errors.rs"]
mod errors;
#[path = "functions/federated.rs"]
mod federated;
#[path = "functions/http2.rs"]
mod http2;
#[path = "functions/network.rs"]
mod network;
#[path = "functions/packages.rs"]
mod packages;
#[path = "functions/registrations.rs"]
mod registrations;
#[path = "functions/rules.rs"]
mod rules;
#[path = "functions/secured.rs"]
mod secured;

use std::collections::HashMap;
use std::sync::Arc;

use app::{
    App, Author, Backstitch, Calling, Cx, LogQuery, NewApp, RequestInfo, Settings, StateSettings,
    User,
};
use bson::{Bson, bson};
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::Problem;
use kit::clock::FakeClock;

/// When everything happens.
const NOW_MS: i64 = 1_600_000_000_000;

/// The rules of `d.c`: everyone has their own documents.
const OWNERS: &str = r#"{"database":"d","collection":"c","roles":[{"name":"owner",
    "apply_when":{"owner":"%%user.id"},"insert":true,"delete":true,"read":true,"write":true}]}"#;

/// An app with two users.
struct World {
    core: Arc<Backstitch>,
    app: Arc<App>,
    alice: Arc<User>,
    bob: Arc<User>,
}

/// A function: name, further settings, source.
type Source<'a> = (&'a str, &'a str, &'a str);

impl World {
    /// An app with these functions, and files by path.
    async fn new(functions: &[Source<'_>], files: &[(&str, &str)]) -> Self {
        Self::within(functions, files, 16, 20_000).await
    }

    async fn within(
        functions: &[Source<'_>],
        files: &[(&str, &str)],
        workers_max: usize,
        time_ms: u64,
    ) -> Self {
        let nowhere = app::Outbound::default();
        Self::reaching(functions, files, workers_max, time_ms, nowhere).await
    }

    async fn reaching(
        functions: &[Source<'_>],
        files: &[(&str, &str)],
        workers_max: usize,
        time_ms: u64,
        outbound: app::Outbound,
    ) -> Self {
        let mut all = config::Files::default();
        let mut put = |path: &str, text: &str| all.insert(path, text.as_bytes().to_vec());
        put(
            "realm_config.json",
            r#"{"config_version":20210101,"name":"a","location":"US-VA",
                "provider_region":"aws-us-east-1","deployment_model":"LOCAL","environment":"qa"}"#,
        );
        put(
            "auth/providers.json",
            r#"{"local-userpass":{"name":"local-userpass","type":"local-userpass",
                "config":{"autoConfirm":true},"disabled":false}}"#,
        );
        put(
            "data_sources/mongodb-atlas/config.json",
            r#"{"name":"mongodb-atlas","type":"mongodb-atlas","config":{"clusterName":"x"}}"#,
        );
        put("data_sources/mongodb-atlas/d/c/rules.json", OWNERS);
        let mut entries = Vec::new();
        for (name, settings, source) in functions {
            entries.push(format!(r#"{{"name":"{name}"{settings}}}"#));
            put(&format!("functions/{name}.js"), source);
        }
        put("functions/config.json", &format!("[{}]", entries.join(",")));
        for (path, text) in files {
            put(path, text);
        }
        let (config, findings) = config::parse(&all);
        let config = config.unwrap_or_else(|| panic!("{findings:?}"));
        let clock = Arc::new(FakeClock::at(NOW_MS));
        let mut workers = js::PoolSettings::new(env!("CARGO_BIN_EXE_app-test-worker"), [""; 0]);
        workers.workers_max = workers_max;
        let own: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        let core = Backstitch::open(Settings {
            engine: crate::on_mongodb::engine(module_path!(), || own.clone()),
            clusters: HashMap::new(),
            state: Some(StateSettings {
                engine: own,
                database: state::DATABASE.to_owned(),
                shared: false,
            }),
            master_key: state::MasterKey::from_text("a key"),
            workers,
            limits: js::Limits {
                time_ms,
                ..js::Limits::default()
            },
            clock,
            cheap_passwords: true,
            npm_registry: None,
            outbound,
            mail: app::mail::MailSettings::default(),
        })
        .await
        .unwrap();
        let new = NewApp {
            name: "a".to_owned(),
            client_app_id: Some("a-abcde".to_owned()),
            config: Some(config),
            ..NewApp::default()
        };
        let author = Author {
            user_id: "admin".to_owned(),
            origin: "API".to_owned(),
        };
        let app = core
            .create_app("p1", new, &author)
            .await
            .unwrap_or_else(|problem| panic!("{problem}"));
        let mut users = Vec::new();
        for name in ["alice", "bob"] {
            let email = format!("{name}@example.com");
            let user = app
                .create_user(&email, "secret123", &RequestInfo::default())
                .await
                .unwrap();
            users.push(app.acting_user(&user.id).await.unwrap());
        }
        Self {
            core,
            app,
            bob: users.pop().unwrap(),
            alice: users.pop().unwrap(),
        }
    }

    fn cx(&self, user: &Arc<User>) -> Cx {
        let request = RequestInfo {
            id: "r1".to_owned(),
            remote_address: "10.0.0.7".to_owned(),
            method: "POST".to_owned(),
            headers: vec![
                ("user-agent".to_owned(), "test".to_owned()),
                ("x-many".to_owned(), "1".to_owned()),
                ("x-many".to_owned(), "2".to_owned()),
                ("authorization".to_owned(), "Bearer token".to_owned()),
            ],
            query: "b=2&secret=s&a=1".to_owned(),
            path: "/functions/call".to_owned(),
        };
        Cx::of_user(&self.app, user.clone(), request)
    }

    async fn result(&self, user: &Arc<User>, name: &str, arguments: Bson) -> Result<Bson, Problem> {
        let Bson::Array(arguments) = arguments else {
            panic!("arguments are an array");
        };
        let cx = self.cx(user);
        self.app.call(&cx, name, arguments, Calling::Client).await
    }

    /// As alice: canonical Extended JSON, or `code: text` of the problem.
    async fn alice(&self, name: &str, arguments: Bson) -> String {
        shown(self.result(&self.alice, name, arguments).await)
    }

    /// As bob.
    async fn bob(&self, name: &str, arguments: Bson) -> String {
        shown(self.result(&self.bob, name, arguments).await)
    }

    /// Log entries of functions, newest first.
    async fn log(&self) -> Vec<app::LogEntry> {
        let query = LogQuery {
            kinds: vec!["FUNCTION".to_owned()],
            ..LogQuery::default()
        };
        self.core
            .logbook
            .read(&self.app.id, &query)
            .await
            .unwrap()
            .0
    }
}

fn shown(result: Result<Bson, Problem>) -> String {
    match result {
        Ok(value) => value.into_canonical_extjson().to_string(),
        Err(problem) => format!("{}: {}", problem.code, problem.message),
    }
}

/// No arguments.
fn none() -> Bson {
    bson!([])
}
