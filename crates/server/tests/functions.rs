//! Functions through the whole server: what the files in `functions/cases` say,
//! on both engines. `functions/cases/README.md` says how they are written.

#[path = "functions/cases.rs"]
mod cases;
#[path = "functions/loopback.rs"]
mod loopback;

use std::collections::HashMap;
use std::sync::Arc;

use app::{App, EgressSettings, Outbound, ProviderEndpoints, StateSettings};
use bson::rawdoc;
use engine::SharedEngine;
use serde_json::json;

use self::cases::{Call, Case, Wanted};
use self::loopback::Loopback;
use crate::http::{Ask, Reply};
use crate::world::{Storage, World, in_memory};

/// The database that the cases call `%DB%`, at its own name on each run.
fn database() -> String {
    format!("cases-{}", bson::oid::ObjectId::new().to_hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_engine() {
    run(in_memory(), &database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mongodb() {
    let Some(address) = testkit::mongod::shared() else {
        return;
    };
    let uri = format!("mongodb://{address}/?directConnection=true&maxPoolSize=20");
    let mongo = engine_mongo::Mongo::connect(engine_mongo::Settings::new(uri)).await;
    let engine: SharedEngine = Arc::new(mongo.expect("the shared mongod answers"));
    let database = database();
    run(engine.clone(), &database).await;
    let names = rawdoc! { "listDatabases": 1, "nameOnly": true };
    let names = engine.command("admin", &names).await.unwrap();
    for entry in names.get_array("databases").unwrap() {
        let name = entry.unwrap().as_document().unwrap().get_str("name");
        let name = name.unwrap().to_owned();
        if name.starts_with(&database) {
            let drop = rawdoc! { "dropDatabase": 1 };
            engine.command(&name, &drop).await.unwrap();
        }
    }
}

/// Runs every case and shows all that is not as it should be.
async fn run(engine: SharedEngine, database: &str) {
    let others = Loopback::start().await;
    let endpoints = [
        format!("twilio={}/twilio", others.url),
        format!("aws={}/aws", others.url),
    ];
    let storage = Storage {
        engine,
        clusters: HashMap::new(),
        state: Some(StateSettings {
            engine: in_memory(),
            database: state::DATABASE.to_owned(),
            shared: false,
        }),
        outbound: Outbound {
            http: EgressSettings {
                allowed: vec!["127.0.0.1".parse().unwrap()],
                ..EgressSettings::default()
            },
            endpoints: ProviderEndpoints::new(endpoints.iter().map(String::as_str)).unwrap(),
        },
        ..Storage::in_memory().await
    };
    let world = World::storing(crate::world::APP, storage, |_| {}).await;
    let mut wrong = Vec::new();
    let mut calls = 0;
    for (number, (name, text)) in cases::files().into_iter().enumerate() {
        // A database of its own for each file.
        let text = text
            .replace("%DB%", &format!("{database}-{number}"))
            .replace("%HTTP%", &others.url)
            .replace("%HOST%", others.url.trim_start_matches("http://"));
        let case = Case::read(&name, &text);
        let id = format!("case{number}-abcde");
        let app = world.another(&case.fixture(), &id).await;
        for (secret, value) in &case.secrets {
            app.set_secret(secret, value).await.unwrap();
        }
        let client = Client {
            world: &world,
            app,
            id,
        };
        let users = [client.log_in("alice").await, client.log_in("bob").await];
        for call in &case.calls {
            calls += 1;
            let user = &users[usize::from(call.user == "bob")];
            if let Some(found) = client.check(user, call).await {
                wrong.push(format!("{name}:{}: {found}", call.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(calls > 100, "the cases were not found");
}

struct Client<'w> {
    world: &'w World,
    app: Arc<App>,
    id: String,
}

struct User {
    token: String,
    id: String,
}

impl Client<'_> {
    fn path(&self, path: &str) -> String {
        format!("/api/client/v2.0/app/{}/{path}", self.id)
    }

    async fn post(&self, path: &str, token: Option<&str>, body: String) -> Reply {
        let ask = Ask::new("POST", self.path(path)).body(body);
        let ask = match token {
            Some(token) => ask.bearer(token),
            None => ask,
        };
        self.world.send(ask).await
    }

    async fn log_in(&self, name: &str) -> User {
        let (email, password) = (format!("{name}@example.com"), "correct horse");
        let account = json!({ "email": email, "password": password }).to_string();
        let registered = self.post("auth/providers/local-userpass/register", None, account);
        assert_eq!(registered.await.status, 201);
        let login = json!({ "username": email, "password": password }).to_string();
        let reply = self.post("auth/providers/local-userpass/login", None, login);
        let reply = reply.await.json();
        User {
            token: reply["access_token"].as_str().unwrap().to_owned(),
            id: reply["user_id"].as_str().unwrap().to_owned(),
        }
    }

    /// Calls; what is not as it should be.
    async fn check(&self, user: &User, call: &Call) -> Option<String> {
        let body = format!(
            r#"{{"name":{},"arguments":{}}}"#,
            json!(call.name),
            call.arguments
        );
        let reply = self.post("functions/call", Some(&user.token), body).await;
        let (got, wanted) = match &call.wanted {
            Wanted::Result(wanted) if reply.status == 200 => (reply.text(), wanted),
            Wanted::Error(wanted) if reply.status != 200 => {
                let said = reply.json();
                let text = |name: &str| said[name].as_str().unwrap_or("-").to_owned();
                (format!("{}: {}", text("error_code"), text("error")), wanted)
            }
            _ => {
                return Some(format!(
                    "{} {} answers {} {}",
                    call.name,
                    call.arguments,
                    reply.status,
                    reply.text()
                ));
            }
        };
        let wanted = wanted
            .replace("%USER%", &user.id)
            .replace("%APP%", &self.app.id)
            .replace("%CLIENT_APP%", &self.id);
        if !cases::matches(&got, &wanted) {
            return Some(format!(
                "{} {}\n   got {got}\nwanted {wanted}",
                call.name, call.arguments
            ));
        }
        if call.logs.is_empty() {
            return None;
        }
        let query = app::LogQuery {
            kinds: vec!["FUNCTION".to_owned()],
            limit: 1,
            ..app::LogQuery::default()
        };
        let read = self.world.core.logbook.read(&self.app.id, &query).await;
        let (entries, _) = read.unwrap();
        let lines = entries[0].details.get_array("messages").unwrap();
        let got: Vec<&str> = lines.iter().filter_map(bson::Bson::as_str).collect();
        let same = got.len() == call.logs.len()
            && got
                .iter()
                .zip(&call.logs)
                .all(|(got, wanted)| cases::matches(got, wanted));
        (!same).then(|| format!("{} logs {got:#?}\nwanted {:#?}", call.name, call.logs))
    }
}
