//! What is left of a deployment when the server is killed in the middle of it:
//! the app is at what it was or at what it was to be, its deployments say
//! which, and the record of changes has every change that stands.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::serve::{PROJECT, ready};
use super::{Served, data, path, program, run, try_ask};

const PRIVATE_KEY: &str = "a-private-key";
/// Functions of the app, which all answer the same number.
const FUNCTIONS: usize = 8;
/// How often the server is killed, unless the time is up before.
const ROUNDS: usize = 60;
const ROUNDS_MIN: usize = 8;
const TIME: Duration = Duration::from_secs(20);

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// A part of a time.
    fn part(&mut self, of: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(of.as_micros()).unwrap().max(1)))
    }
}

fn command(data: &TempDir) -> std::process::Command {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(data.path())
        .args(["--project-id", PROJECT, "--admin-public-key", "public"])
        .args(["--admin-private-key", PRIVATE_KEY]);
    command
}

fn start(data: &TempDir) -> Served {
    let mut served = Served::of(&mut command(data));
    ready(&mut served);
    served
}

/// Passes a time without giving up the processor: a sleep would be too coarse.
fn pass(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The configuration in which everything says this number.
fn version(n: u64) -> Value {
    let functions: Vec<Value> = (0..FUNCTIONS)
        .map(|f| json!({ "name": format!("f{f}"), "private": false, "source": format!("exports = () => {n};") }))
        .collect();
    json!({
        "name": "shop",
        "auth_providers": [{ "name": "anon-user", "type": "anon-user", "disabled": false }],
        "functions": functions,
        "values": [{ "name": "version", "value": n, "from_secret": false }],
    })
}

/// An administrator of the app, as whoever the server is.
#[derive(Clone)]
struct Admin {
    url: String,
    token: String,
    app: String,
}

impl Admin {
    /// Nothing when the server went away.
    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let path = format!("/api/admin/v3.0/groups/{PROJECT}/apps{}{path}", self.app);
        try_ask(&self.url, method, &path, &self.token, body).ok()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_ask(method, path, body).unwrap();
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// The number that all of the app says.
    fn version(&self) -> u64 {
        let pulled = self.ask("GET", "/pull", &Value::Null);
        let n = pulled["values"][0]["value"].as_u64().unwrap();
        let functions = pulled["functions"].as_array().unwrap();
        assert_eq!(functions.len(), FUNCTIONS, "{pulled}");
        for function in functions {
            let source = function["source"].as_str().unwrap();
            assert_eq!(source, format!("exports = () => {n};"), "between revisions");
        }
        n
    }

    fn deployments(&self) -> Vec<String> {
        let all = self.ask("GET", "/deployments", &Value::Null);
        let all = all.as_array().unwrap().iter();
        all.map(|deployment| {
            assert_eq!(deployment["status"], "successful");
            deployment["_id"].as_str().unwrap().to_owned()
        })
        .collect()
    }

    fn drafts(&self) -> Vec<String> {
        let all = self.ask("GET", "/drafts", &Value::Null);
        let all = all.as_array().unwrap().iter();
        all.map(|draft| draft["_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Does a change; whether it was acknowledged.
    fn change(&self, change: &Change) -> bool {
        let done = |answer: Option<(u16, Value)>| {
            answer.map(|(status, answer)| {
                assert!((200..300).contains(&status), "{status} {answer}");
                answer
            })
        };
        let whole = "/import?strategy=replace-by-name";
        match change {
            Change::Push(n) => done(self.try_ask("PATCH", "/push", &version(*n))).is_some(),
            Change::Draft(n) => {
                let opened = done(self.try_ask("POST", "/drafts", &json!({})));
                let deployed = opened.and_then(|draft| {
                    done(self.try_ask("POST", whole, &version(*n)))?;
                    let deployment =
                        format!("/drafts/{}/deployment", draft["_id"].as_str().unwrap());
                    done(self.try_ask("POST", &deployment, &json!({})))
                });
                deployed.is_some()
            }
            Change::Redeploy(id, _) => {
                let again = format!("/deployments/{id}/redeploy");
                done(self.try_ask("POST", &again, &Value::Null)).is_some()
            }
        }
    }
}

/// What is going on when the server is killed, and the number afterwards.
#[derive(Debug)]
enum Change {
    Push(u64),
    Draft(u64),
    Redeploy(String, u64),
}

impl Change {
    fn number(&self) -> u64 {
        match self {
            Self::Push(n) | Self::Draft(n) | Self::Redeploy(_, n) => *n,
        }
    }

    /// What the record of changes calls it.
    fn operation(&self) -> &'static str {
        match self {
            Self::Push(_) => "adminPushAppConfiguration",
            Self::Draft(_) => "adminDeployDraft",
            Self::Redeploy(..) => "adminRedeployDeployment",
        }
    }
}

/// The records of the changes of an operation.
fn recorded(data: &TempDir, operation: &str) -> Vec<Value> {
    let arguments = ["audit", "--operation", operation, "-f", "json"];
    let (code, output, errors) = run(program(&arguments).args(["--data-dir", path(data)]));
    assert_eq!(code, 0, "{errors}");
    let all: Value = serde_json::from_str(&output).unwrap();
    all.as_array().unwrap().clone()
}

fn login(served: &Served) -> Admin {
    let path = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
    let pair = json!({ "username": "public", "apiKey": PRIVATE_KEY });
    let (status, body) = served.post(path, "", &pair);
    assert_eq!(status, 200, "{body}");
    Admin {
        url: served.url.clone(),
        token: body["access_token"].as_str().unwrap().to_owned(),
        app: String::new(),
    }
}

#[test]
fn a_killed_deployment_is_one_or_none() {
    let data = data();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut served = start(&data);
    let mut admin = login(&served);
    let made = admin.ask("POST", "", &json!({ "name": "shop" }));
    admin.app = format!("/{}", made["_id"].as_str().unwrap());
    admin.ask("PATCH", "/push", &version(0));
    let client_app_id = made["client_app_id"].as_str().unwrap().to_owned();
    served.app.clone_from(&client_app_id);
    let (user, _) = served.login();

    let mut numbers = HashMap::from([(admin.deployments()[0].clone(), 0)]);
    // How long each kind of change takes.
    let mut taken: HashMap<&str, Duration> = HashMap::new();
    let (mut now, mut stood, mut cut) = (0, HashMap::new(), 0);
    *stood.entry("adminPushAppConfiguration").or_insert(0) += 1;
    let began = Instant::now();
    for round in 1..=ROUNDS {
        if round > ROUNDS_MIN && began.elapsed() > TIME {
            break;
        }
        let known = admin.deployments();
        let older = known
            .iter()
            .find(|id| numbers.get(*id).is_some_and(|n| *n != now));
        let n = u64::try_from(round).unwrap();
        let change = match (dice.below(3), older) {
            (0, Some(id)) => Change::Redeploy(id.clone(), numbers[id]),
            (1, _) => Change::Draft(n),
            _ => Change::Push(n),
        };
        let operation = change.operation();
        let usual = taken
            .get(operation)
            .copied()
            .unwrap_or(Duration::from_millis(100));
        let delay = dice.part(usual);
        let (acknowledged, took) = std::thread::scope(|scope| {
            let changing = scope.spawn(|| {
                let start = Instant::now();
                (admin.change(&change), start.elapsed())
            });
            pass(delay);
            served.kill();
            changing.join().unwrap()
        });
        // A kill comes earlier when changes prove to be faster, and later when
        // none is finished.
        let usual = if acknowledged { took } else { usual * 9 / 8 };
        taken.insert(operation, usual.min(Duration::from_secs(2)));

        // One in four is killed again while it starts.
        if dice.below(4) == 0 {
            let starting = Served::of(&mut command(&data));
            pass(dice.part(Duration::from_millis(200)));
            starting.kill();
        }
        served = start(&data);
        admin.url.clone_from(&served.url);
        served.app.clone_from(&client_app_id);

        // Its owner sees a draft in place of what is live.
        let drafts = admin.drafts();
        for draft in &drafts {
            admin.ask("DELETE", &format!("/drafts/{draft}"), &Value::Null);
        }
        let (before, seen) = (now, admin.version());
        let deployments = admin.deployments();
        let newest = deployments[0].clone();
        let round = format!("round {round}: {change:?} after {delay:?}");
        if seen == change.number() {
            assert!(drafts.is_empty(), "{round}: the deployed draft is left");
            assert!(!numbers.contains_key(&newest), "{round}: no record of it");
            assert_eq!(deployments.get(1), known.first(), "{round}: one record");
            numbers.insert(newest, seen);
            *stood.entry(operation).or_insert(0) += 1;
        } else {
            assert_eq!(seen, before, "{round}");
            assert!(!acknowledged, "{round}: acknowledged and lost");
            assert_eq!(deployments, known, "{round}: a record of nothing");
            cut += 1;
        }
        now = seen;
        let (status, answer) = served.call(&user, "f3");
        assert_eq!(
            (status, &answer["$numberInt"]),
            (200, &json!(now.to_string())),
            "{round}"
        );
    }
    println!("{stood:?} stood, {cut} did not");
    assert!(cut > 0, "no change was cut short");
    for (operation, n) in stood {
        // One record for each change that stands, and the others say that
        // nothing was changed.
        let (made, others): (Vec<Value>, Vec<Value>) = recorded(&data, operation)
            .into_iter()
            .partition(|change| change["changed"] != json!([]));
        assert_eq!(made.len(), n, "{operation}: {made:?}");
        for change in made {
            let apps = change["changed"].as_array().unwrap();
            assert!(apps.contains(&json!("apps")), "{change}");
            let answered = change["status"].is_number();
            assert_ne!(change["interrupted"], json!(answered), "{change}");
        }
        for change in others {
            assert_eq!(change["interrupted"], true, "{change}");
        }
    }
}

#[test]
fn an_install_that_is_killed_has_failed() {
    let data = data();
    let registry = testkit::registry::Registry::start();
    // It never answers.
    registry.hold(true);
    let start = || {
        let mut command = command(&data);
        let mut served = Served::of(command.env("BACKSTITCH_NPM_REGISTRY", &registry.url));
        ready(&mut served);
        served
    };
    let served = start();
    let mut admin = login(&served);
    let made = admin.ask("POST", "", &json!({ "name": "shop" }));
    admin.app = format!("/{}", made["_id"].as_str().unwrap());
    let url = format!(
        "{}/api/admin/v3.0/groups/{PROJECT}/apps{}/dependencies",
        served.url, admin.app
    );
    let body = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"package.json\"\r\n\r\n\
                {\"dependencies\":{\"a\":\"1\"}}\r\n--b--\r\n";
    let sent = ureq::put(&url)
        .header("content-type", "multipart/form-data; boundary=b")
        .header("authorization", format!("Bearer {}", admin.token))
        .send(body);
    assert_eq!(sent.unwrap().status().as_u16(), 204);
    let status = |admin: &Admin| {
        let status = admin.ask("GET", "/dependencies/status", &Value::Null);
        status["status"].as_str().unwrap().to_owned()
    };
    for _ in 0..3 {
        assert_eq!(status(&admin), "created");
    }
    served.kill();
    let served = start();
    admin.url.clone_from(&served.url);
    assert_eq!(status(&admin), "failed");
}
