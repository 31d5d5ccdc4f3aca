//! Real servers on a real MongoDB: two on one set of records, and clusters that
//! come and go. Without a mongod they are left out.

use std::time::{Duration, Instant};

use bson::doc;
use engine::Engine as _;
use engine_mongo::{Mongo, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::mongod::{Kind, Mongod, free_port};

use super::serve::ready;
use super::{Served, data, program};

/// How long a condition may take: reached only when it does not come about.
const PATIENCE: Duration = Duration::from_secs(30);

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

pub(super) fn mongod(kind: Kind) -> Option<Mongod> {
    let mongod = wait(Mongod::of(kind));
    if mongod.is_none() {
        println!("left out: no mongod (BACKSTITCH_MONGOD or PATH)");
    }
    mongod
}

/// Waits until a condition holds; how long it took.
pub(super) fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
    start.elapsed()
}

/// A server on records that others share.
pub(super) fn launch(mongod: &Mongod, home: &TempDir, name: &str) -> Served {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(home.path().join(name))
        .env("BACKSTITCH_STATE_URI", mongod.uri_of("records"))
        .env("BACKSTITCH_MASTER_KEY", "one for all");
    Served::of(&mut command)
}

/// An administrator's view of one server.
struct Admin {
    url: String,
    token: String,
    project: String,
}

impl Admin {
    fn new(served: &Served, keys: &[String]) -> Self {
        let login = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
        let pair = json!({ "username": keys[1], "apiKey": keys[2] });
        let (status, body) = served.post(login, "", &pair);
        assert_eq!(status, 200, "{body}");
        Self {
            url: served.url.clone(),
            token: body["access_token"].as_str().unwrap().to_owned(),
            project: keys[0].clone(),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/api/admin/v3.0/groups/{}/apps{path}", self.project);
        let (status, body) = super::ask(&self.url, method, &path, &self.token, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {body}"
        );
        body
    }

    /// Makes an app with a function `f`, for anonymous users: its id and its
    /// client app id.
    fn app(&self, source: &str) -> (String, String) {
        let app = self.ask("POST", "", &json!({ "name": "shop" }));
        let text = |name: &str| app[name].as_str().unwrap().to_owned();
        let id = text("_id");
        let anonymous = json!({ "name": "anon-user", "type": "anon-user", "disabled": false });
        self.ask("POST", &format!("/{id}/auth_providers"), &anonymous);
        self.function(&id, "f", source);
        (id, text("client_app_id"))
    }

    fn function(&self, app: &str, name: &str, source: &str) -> String {
        let function = json!({ "name": name, "source": source, "private": false });
        let made = self.ask("POST", &format!("/{app}/functions"), &function);
        made["_id"].as_str().unwrap().to_owned()
    }
}

/// The three lines that a server keeps of its keys.
pub(super) fn kept(home: &TempDir, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(home.path().join(name).join("admin-keys")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn two_servers_are_one() {
    let Some(mongod) = mongod(Kind::default()) else {
        return;
    };
    let home = data();
    // Both start for the first time at once.
    let (mut a, mut b) = (launch(&mongod, &home, "a"), launch(&mongod, &home, "b"));
    assert_eq!(
        ready(&mut a).split("project").nth(1),
        ready(&mut b).split("project").nth(1)
    );
    let both = [kept(&home, "a"), kept(&home, "b")];
    let with_keys: Vec<&Vec<String>> = both.iter().filter(|keys| keys.len() == 3).collect();
    assert_eq!(with_keys.len(), 1, "{both:?}");
    let (on_a, on_b) = (Admin::new(&a, with_keys[0]), Admin::new(&b, with_keys[0]));

    let (app, client_id) = on_a.app("exports = () => 0");
    (a.app, b.app) = (client_id.clone(), client_id);
    let (ann, ann_refresh) = a.login();
    assert_eq!(b.call(&ann, "f"), (200, json!({ "$numberInt": "0" })));

    // An edit on one is served by the other within a second.
    let function = on_b.ask("GET", &format!("/{app}/functions"), &Value::Null)[0]["_id"].clone();
    let function = format!("/{app}/functions/{}", function.as_str().unwrap());
    let mut times: Vec<Duration> = (1..=7)
        .map(|n| {
            let source = format!("exports = () => {n}");
            let edit = json!({ "name": "f", "source": source, "private": false });
            on_a.ask("PUT", &function, &edit);
            let new = (200, json!({ "$numberInt": n.to_string() }));
            until("an edit", || b.call(&ann, "f") == new)
        })
        .collect();
    times.sort();
    println!("an edit is served by the other server after {times:?}");
    assert!(times[3] < Duration::from_secs(1), "{times:?}");

    // Deployments of both at once: none is lost.
    std::thread::scope(|scope| {
        for (admin, name) in [(&on_a, "a"), (&on_b, "b")] {
            let app = &app;
            scope.spawn(move || {
                for n in 0..10 {
                    admin.function(app, &format!("{name}{n}"), "exports = () => 1");
                }
            });
        }
    });
    let functions = |admin: &Admin| {
        let list = admin.ask("GET", &format!("/{app}/functions"), &Value::Null);
        let list = list.as_array().unwrap().iter();
        let mut names: Vec<String> = list.map(|f| f["name"].to_string()).collect();
        names.sort();
        names
    };
    until("all functions", || functions(&on_a).len() == 21);
    until("the same", || functions(&on_a) == functions(&on_b));

    // Sessions: used on either, ended on one, ended on both.
    let (bob, bob_refresh) = b.login();
    let (cid, cid_refresh) = a.login();
    for token in [&ann, &bob, &cid] {
        assert_eq!(a.call(token, "f").0, 200);
        assert_eq!(b.call(token, "f").0, 200);
    }
    let session = "/api/client/v2.0/auth/session";
    assert_eq!(a.ask("DELETE", session, &ann_refresh, &Value::Null).0, 204);
    until("a logout", || b.call(&ann, "f").0 == 401);
    assert_eq!(b.post(session, &ann_refresh, &Value::Null).0, 401);
    let user = |refresh: &str| {
        let (status, profile) = a.ask(
            "GET",
            "/api/client/v2.0/auth/profile",
            refresh,
            &Value::Null,
        );
        assert_eq!(status, 200, "{profile}");
        profile["user_id"].as_str().unwrap().to_owned()
    };
    let (bobs_id, cids_id) = (user(&bob), user(&cid));
    on_a.ask(
        "PUT",
        &format!("/{app}/users/{bobs_id}/logout"),
        &Value::Null,
    );
    assert_eq!(b.post(session, &bob_refresh, &Value::Null).0, 401);
    on_a.ask(
        "PUT",
        &format!("/{app}/users/{cids_id}/disable"),
        &Value::Null,
    );
    until("disabling", || b.call(&cid, "f").0 == 401);
    assert_eq!(b.post(session, &cid_refresh, &Value::Null).0, 401);

    // The log of both, through either, each entry once.
    let (dan, _) = a.login();
    let dans_id = user(&dan);
    for _ in 0..40 {
        assert_eq!(a.call(&dan, "f").0, 200);
        assert_eq!(b.call(&dan, "f").0, 200);
    }
    let logs = |admin: &Admin| {
        let path = format!("/{app}/logs?user_id={dans_id}&type=FUNCTION");
        let page = admin.ask("GET", &path, &Value::Null);
        let entries = page["logs"].as_array().unwrap().iter();
        let mut ids: Vec<String> = entries.map(|entry| entry["_id"].to_string()).collect();
        ids.sort();
        ids
    };
    until("all log entries", || logs(&on_a).len() == 80);
    until("the same log entries", || logs(&on_a) == logs(&on_b));
    let mut unique = logs(&on_b);
    unique.dedup();
    assert_eq!(unique.len(), 80);

    // One dies; the other goes on, and takes over what it had.
    b.child.kill().unwrap();
    b.child.wait().unwrap();
    assert_eq!(a.call(&dan, "f").0, 200);
    on_a.function(&app, "after", "exports = () => 'alone'");
    let mut again = launch(&mongod, &home, "b");
    ready(&mut again);
    again.app.clone_from(&a.app);
    assert_eq!(again.call(&dan, "after"), (200, json!("alone")));

    // A server with another master key is refused.
    let mut stranger = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    stranger
        .arg(home.path().join("c"))
        .env("BACKSTITCH_STATE_URI", mongod.uri_of("records"))
        .env("BACKSTITCH_MASTER_KEY", "another");
    let (code, _, errors) = super::run(&mut stranger);
    assert_eq!(code, 1);
    assert!(errors.contains("another master key"), "{errors}");

    // An app that is deleted on one is gone on both.
    on_a.ask("DELETE", &format!("/{app}"), &Value::Null);
    until("the app's end", || again.call(&dan, "f").0 == 404);
    assert_eq!(a.call(&dan, "f").0, 404);
}

/// An app whose function writes to the cluster `Shop`, on a server with this
/// setting of clusters.
fn with_cluster(home: &TempDir, clusters: &str) -> (Served, String) {
    let reads = json!({ "readPreference": "secondaryPreferred" });
    reading(home, clusters, reads)
}

/// The same with a read preference.
fn reading(home: &TempDir, clusters: &str, mut config: Value) -> (Served, String) {
    config["clusterName"] = "Shop".into();
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(home.path().join("server"))
        .env("BACKSTITCH_METRICS_LISTEN", "127.0.0.1:0")
        .env("BACKSTITCH_CLUSTERS", clusters);
    let mut served = Served::of(&mut command);
    ready(&mut served);
    let keys = kept(home, "server");
    let admin = Admin::new(&served, &keys);
    let (app, client_id) = admin.app("exports = () => 1");
    let source = json!({
        "name": "db", "type": "mongodb-atlas",
        "config": config,
    });
    let source = admin.ask("POST", &format!("/{app}/services"), &source);
    let source = source["_id"].as_str().unwrap().to_owned();
    let rule = json!({ "roles": [{
        "name": "all", "apply_when": {}, "read": true, "write": true, "insert": true,
        "delete": true,
    }] });
    admin.ask(
        "POST",
        &format!("/{app}/services/{source}/default_rule"),
        &rule,
    );
    let c = "context.services.get('db').db(args[0] ?? 'd').collection('c')";
    for (name, body) in [
        (
            "insert",
            format!(
                "exports = async (...args) => (await {c}.insertOne({{ _id: new BSON.ObjectId(), n: 1 }})).insertedId != null"
            ),
        ),
        (
            "update",
            format!(
                "exports = async (...args) => (await {c}.updateMany({{}}, {{ $inc: {{ n: 1 }} }})).modifiedCount"
            ),
        ),
        ("count", format!("exports = async (...args) => {c}.count()")),
        (
            "oplog",
            "exports = async () => context.services.get('db').db('local').collection('oplog.rs').findOne()"
                .to_owned(),
        ),
        (
            "names",
            "exports = async () => context.services.get('db').getDBNames()".to_owned(),
        ),
    ] {
        admin.function(&app, name, &body);
    }
    served.app = client_id;
    let (token, _) = served.login();
    (served, token)
}

fn refusal(answer: (u16, Value)) -> (u16, String) {
    (
        answer.0,
        answer.1["error"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_cluster_that_is_away_is_said_to_be_and_comes_back_by_itself() {
    if testkit::mongod::binary().is_none() {
        println!("left out: no mongod (BACKSTITCH_MONGOD or PATH)");
        return;
    }
    let (home, port) = (data(), free_port());
    let clusters = format!(
        "Shop=mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=300"
    );
    let (served, token) = with_cluster(&home, &clusters);
    let (status, why) = refusal(served.call(&token, "insert"));
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("cannot be reached; try again later"), "{why}");
    assert!(!why.contains("127.0.0.1"), "{why}");
    let ready = |served: &Served| served.ask("GET", "/ready", "", &Value::Null);
    until("degraded", || ready(&served) == (200, json!("degraded\n")));
    // What needs no cluster is served.
    assert_eq!(served.call(&token, "f").0, 200);

    let mongod = wait(Mongod::of(Kind {
        port: Some(port),
        ..Kind::default()
    }));
    until("it is back", || served.call(&token, "insert").0 == 200);
    until("ready", || ready(&served) == (200, json!("ok\n")));
    let one = (200, json!({ "$numberInt": "1" }));
    until("it counts", || served.call(&token, "count") == one);
    assert_eq!(
        served.call(&token, "update"),
        (200, json!({ "$numberInt": "1" }))
    );
    // What MongoDB keeps for itself is closed: its log has everything.
    let (_, why) = refusal(served.call(&token, "oplog"));
    assert!(why.contains("not authorized on local"), "{why}");
    drop(mongod);
}

#[test]
fn a_standalone_serves_what_it_can_and_says_what_it_cannot() {
    let kind = Kind {
        standalone: true,
        ..Kind::default()
    };
    let Some(mongod) = mongod(kind) else { return };
    let home = data();
    let clusters = format!("Shop={}", mongod.uri_of(""));
    let (served, token) = with_cluster(&home, &clusters);
    assert_eq!(served.call(&token, "insert"), (200, json!(true)));
    assert_eq!(
        served.call(&token, "count"),
        (200, json!({ "$numberInt": "1" }))
    );
    let (status, why) = refusal(served.call(&token, "update"));
    assert_eq!(status, 400);
    assert!(why.contains("need a deployment with transactions"), "{why}");
    let mut test = program(&["clusters", "test", "Shop", "--json"]);
    let (code, output, _) = super::run(test.env("BACKSTITCH_CLUSTERS", &clusters));
    let found: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (
            code,
            &found[0]["kind"],
            &found[0]["transactions"],
            &found[0]["change_streams"]
        ),
        (0, &json!("standalone"), &json!(false), &json!(false))
    );
}

/// With MongoDB as the default cluster the server's own records are in the data
/// directory: the apps are served whether the cluster is there or not.
#[test]
fn records_stay_here_when_the_default_cluster_is_elsewhere() {
    let Some(mongod) = mongod(Kind::default()) else {
        return;
    };
    let home = data();
    let clusters = format!("*={}&serverSelectionTimeoutMS=300", mongod.uri_of(""));
    let (served, token) = with_cluster(&home, &clusters);
    assert_eq!(served.call(&token, "insert"), (200, json!(true)));
    let databases = wait(async {
        let mongo = Mongo::connect(Settings::new(mongod.uri())).await.unwrap();
        let command = bson::rawdoc! { "listDatabases": 1, "nameOnly": true };
        let reply = mongo.command("admin", &command).await.unwrap();
        bson::Document::try_from(reply).unwrap()
    });
    let databases = databases.get_array("databases").unwrap();
    let names = databases.iter().map(|one| one.as_document().unwrap());
    let names: Vec<_> = names.map(|one| one.get_str("name").unwrap()).collect();
    assert_eq!(names, ["admin", "config", "d", "local"]);
    drop(mongod);
    assert_eq!(served.call(&token, "f").0, 200);
}

/// Gives the one member of a set tags.
async fn tagged(mongod: &Mongod, tags: bson::Document) {
    let settings = Settings::new(mongod.uri());
    let mongo = Mongo::connect(settings).await.unwrap();
    let run = async |command: bson::Document| {
        let command = bson::RawDocumentBuf::try_from(&command).unwrap();
        let reply = mongo.command("admin", &command).await.unwrap();
        bson::Document::try_from(reply).unwrap()
    };
    let found = run(doc! { "replSetGetConfig": 1 }).await;
    let mut config = found.get_document("config").unwrap().clone();
    let version = config.get_i32("version").unwrap();
    config.insert("version", version + 1);
    let member = config.get_array_mut("members").unwrap()[0].as_document_mut();
    member.unwrap().insert("tags", tags);
    run(doc! { "replSetReconfig": config }).await;
}

/// The read preference of a data source gets to the driver, tags included.
#[test]
fn a_data_source_is_read_where_its_tags_are() {
    let Some(mongod) = mongod(Kind::default()) else {
        return;
    };
    wait(tagged(&mongod, doc! { "dc": "ny", "use": "reports" }));
    let of_the_set = "replicaSet=r&serverSelectionTimeoutMS=1000";
    let uri = mongod
        .uri_of("")
        .replace("directConnection=true", of_the_set);
    let clusters = format!("Shop={uri}");
    let one = (200, json!({ "$numberInt": "1" }));
    for (n, (tags, fits)) in [
        (json!([{ "dc": "sf" }]), false),
        (
            json!([{ "dc": "sf" }, { "dc": "ny", "use": "reports" }]),
            true,
        ),
        (json!([{ "dc": "ny", "use": "shop" }]), false),
    ]
    .into_iter()
    .enumerate()
    {
        let home = data();
        let reads = json!({ "readPreference": "nearest", "readPreferenceTagSets": tags });
        let (served, token) = reading(&home, &clusters, reads);
        // Writes go to the primary, whatever its tags.
        if n == 0 {
            assert_eq!(served.call(&token, "insert"), (200, json!(true)));
        }
        let counted = served.call(&token, "count");
        assert_eq!(counted == one, fits, "{tags} {counted:?}");
        if !fits {
            let (_, why) = refusal(counted);
            assert!(why.contains("cannot be reached"), "{why}");
        }
    }
}

/// A server's clusters are backed up and restored by their names.
#[test]
fn a_named_cluster_is_backed_up_and_restored() {
    let Some(mongod) = mongod(Kind::default()) else {
        return;
    };
    let (home, files) = (data(), data());
    let clusters = format!("Shop={}", mongod.uri_of(""));
    let (served, token) = with_cluster(&home, &clusters);
    assert_eq!(served.call(&token, "insert"), (200, json!(true)));
    let folder = home.path().join("server");
    let (one, all) = (files.path().join("one"), files.path().join("all"));
    let on = |verb: &str, dump: &std::path::Path, more: &[&str]| {
        let mut command = program(&[verb, dump.to_str().unwrap()]);
        super::run(command.arg("--data-dir").arg(&folder).args(more))
    };
    let (code, _, errors) = on("backup", &one, &["--cluster", "Shop"]);
    assert_eq!(code, 0, "{errors}");
    assert!(one.join("d/c.bson").is_file());
    assert!(
        !one.join("backstitch").exists(),
        "records are not a cluster's"
    );
    let (code, _, errors) = on("backup", &all, &[]);
    assert_eq!(code, 0, "{errors}");
    assert!(all.join("backstitch/apps.bson").is_file() && !all.join("d").exists());
    let none = files.path().join("none");
    let (code, _, errors) = on("backup", &none, &["--cluster", "Nothing"]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("no cluster of the name 'Nothing'"),
        "{errors}"
    );

    let two = json!({ "$numberInt": "2" });
    assert_eq!(served.call(&token, "insert"), (200, json!(true)));
    assert_eq!(served.call(&token, "count"), (200, two));
    let (code, said, errors) = on("restore", &one, &["--cluster", "Shop", "--drop"]);
    assert_eq!(
        (code, &*said),
        (0, "d.c: 1 documents, 0 indexes\n"),
        "{errors}"
    );
    let counted = served.call(&token, "count");
    assert_eq!(counted, (200, json!({ "$numberInt": "1" })));
    served.kill();
    let (code, _, errors) = on("backup", &none, &["--cluster", "Shop"]);
    assert_eq!(code, 1);
    assert!(errors.contains("a folder knows no clusters"), "{errors}");
}

/// Without its own records a server is not ready, and it is by itself when they
/// are there again.
#[test]
fn a_server_without_its_records_says_so() {
    if testkit::mongod::binary().is_none() {
        println!("left out: no mongod (BACKSTITCH_MONGOD or PATH)");
        return;
    }
    let port = free_port();
    let start = || {
        let kind = Kind {
            port: Some(port),
            ..Kind::default()
        };
        wait(Mongod::of(kind)).expect("a mongod")
    };
    let (mongod, home) = (start(), data());
    let uri = mongod.uri_of("records") + "&serverSelectionTimeoutMS=500";
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(home.path().join("server"))
        .env("BACKSTITCH_MASTER_KEY", "a key")
        .env("BACKSTITCH_STATE_URI", uri);
    let mut served = Served::of(&mut command);
    ready(&mut served);
    let says = |status: u16, text: &str| {
        let wanted = (status, json!(text));
        until(text, || {
            served.ask("GET", "/ready", "", &Value::Null) == wanted
        });
    };
    says(200, "ok\n");
    drop(mongod);
    says(503, "unavailable\n");
    let (status, _) = served.ask("GET", "/health", "", &Value::Null);
    assert_eq!(status, 200, "it lives all the same");
    let _again = start();
    says(200, "ok\n");
}
