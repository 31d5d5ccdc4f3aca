//! The commands of people who use a server, against one that runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::serve::{PROJECT, keyed, ready};
use super::{Served, data, folder, path, program, run, write};

/// A server, and somebody's home.
pub(super) struct World {
    pub(super) served: Served,
    pub(super) home: TempDir,
    pub(super) _data: TempDir,
}

impl World {
    /// With somebody logged in.
    pub(super) fn new() -> Self {
        let data = data();
        let mut served = Served::of(&mut keyed(data.path()));
        ready(&mut served);
        let world = Self {
            served,
            home: tempfile::tempdir().unwrap(),
            _data: data,
        };
        world.well(&[
            "login",
            "--url",
            &world.served.url,
            "--api-key",
            "public",
            "--private-api-key",
            "a-private-key",
        ]);
        world
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = program(words);
        command
            .env("XDG_CONFIG_HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(std::process::Stdio::null());
        command
    }

    /// What a command that works says.
    pub(super) fn well(&self, words: &[&str]) -> String {
        let (code, said, errors) = run(&mut self.command(words));
        assert_eq!(code, 0, "{words:?}: {said}{errors}");
        said
    }

    /// Its JSON lines, without their times.
    pub(super) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let said = self.well(&[words, &["-f", "json"]].concat());
        let lines = said.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().shift_remove("time");
            assert!(time.unwrap().as_str().unwrap().ends_with('Z'));
            assert_eq!(line["level"], "info");
            line
        });
        lines.collect()
    }

    /// What a command that fails says.
    pub(super) fn fails(&self, words: &[&str]) -> String {
        let (code, said, errors) = run(&mut self.command(words));
        assert_eq!(code, 1, "{words:?}: {said}{errors}");
        errors
    }

    /// Creates the app of a directory.
    pub(super) fn push(&self, app: &TempDir) {
        self.well(&["push", "--local", path(app), "--yes"]);
    }

    /// A request of the administrator's below the project; what is answered.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let kept = std::fs::read_to_string(self.profile()).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let token = kept["access_token"].as_str().unwrap();
        let path = format!("/api/admin/v3.0/groups/{PROJECT}{path}");
        let (status, body) = self.served.ask(method, &path, token, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {body}"
        );
        body
    }

    /// The path of the first app.
    pub(super) fn app(&self) -> String {
        let all = self.ask("GET", "/apps", &Value::Null);
        format!("/apps/{}", all[0]["_id"].as_str().unwrap())
    }

    fn profile(&self) -> std::path::PathBuf {
        self.home.path().join("backstitch/profiles/default.json")
    }
}

/// What is said of an app that is not there.
const NOTHING: &str = "backstitch: there is no app nothing; \
    backstitch apps list shows those that this login may see\n";

/// An app with something of everything that is pushed.
pub(super) fn shop() -> TempDir {
    folder(
        r#"
//- /realm_config.json
{ "config_version": 20210101, "name": "shop" }
//- /auth/providers.json
{ "local-userpass": { "name": "local-userpass", "type": "local-userpass", "disabled": false,
    "config": { "autoConfirm": true, "resetPasswordUrl": "https://shop.example/reset" } },
  "api-key": { "name": "api-key", "type": "api-key", "disabled": false } }
//- /functions/config.json
[{ "name": "sum", "private": true }, { "name": "deep/fails" }]
//- /functions/sum.js
exports = (...all) => { console.log("adds", all.length); return all.reduce((a, b) => a + b); };
//- /functions/deep/fails.js
exports = () => { throw new Error("no"); };
//- /values/limit.json
{ "name": "limit", "value": 5, "from_secret": false }
//- /environments/qa.json
{ "values": { "level": 3 } }
//- /triggers/nightly.json
{ "name": "nightly", "type": "SCHEDULED", "disabled": false,
  "config": { "schedule": "0 0 * * 1", "skip_catchup_events": false },
  "event_processors": { "FUNCTION": { "config": { "function_name": "sum" } } } }
//- /http_endpoints/config.json
[{ "route": "/sum", "http_method": "GET", "function_name": "sum", "validation_method": "NO_VALIDATION",
   "respond_result": true, "fetch_custom_user_data": false, "create_user_on_auth": false, "disabled": false }]
//- /data_sources/db/config.json
{ "name": "db", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" } }
//- /data_sources/db/shop/orders/rules.json
{ "database": "shop", "collection": "orders",
  "roles": [{ "name": "all", "apply_when": {}, "read": true, "write": true, "insert": true, "delete": true, "search": true }] }
//- /data_sources/db/shop/orders/schema.json
{ "title": "order", "bsonType": "object", "properties": { "_id": { "bsonType": "objectId" }, "item": { "bsonType": "string" } } }
//- /data_sources/db/shop/orders/relationships.json
{}
"#,
    )
}

/// Every file below a folder, but what begins with a dot.
pub(super) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder).unwrap().display().to_string();
                all.push((name, std::fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn who_logs_in_is_kept_and_forgotten() {
    let world = World::new();
    let file = world.profile();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(!kept.contains("a-private-key"), "{kept}");
    let shown = world.lines(&["whoami", "--show-projects"]);
    let wanted = json!({ "url": world.served.url, "username": "public", "projects": [PROJECT] });
    assert_eq!(shown[0]["doc"], wanted);
    assert_eq!(world.lines(&["whoami"])[0]["doc"]["projects"], json!(null));
    let known = world.lines(&["profiles", "list"]);
    let wanted = json!([{ "Profile": "default", "API Key": "public", "URL": world.served.url }]);
    assert_eq!(known[0]["data"], wanted);

    // A wrong key changes nothing, and neither does a server that is away.
    let url = world.served.url.clone();
    let login = [
        "login",
        "--url",
        &url,
        "--api-key",
        "public",
        "--private-api-key",
        "wrong",
    ];
    let refused = world.fails(&login);
    assert!(refused.contains("the server says 401"), "{refused}");
    let away = [
        "login",
        "--url",
        "http://127.0.0.1:1",
        "--api-key",
        "public",
    ];
    let refused = world.fails(&[&away[..], &["--private-api-key", "a"]].concat());
    assert!(
        refused.contains("http://127.0.0.1:1: nobody answers there"),
        "{refused}"
    );
    let login = [
        "login",
        "--api-key",
        "public",
        "--private-api-key",
        "a",
        "--url",
    ];
    for wrong in ["nonsense", "127.0.0.1:9090"] {
        let refused = world.fails(&[&login[..], &[wrong]].concat());
        assert!(refused.contains("is no URL of a server"), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    let mut by_variable = world.command(&["apps", "list"]);
    let (code, _, errors) = run(by_variable.env("BACKSTITCH_URL", "http://127.0.0.1:2"));
    assert_eq!((code, errors.contains("http://127.0.0.1:2")), (1, true));
    // A line of standard input instead of words; nothing is none.
    let (code, _, none) = run(&mut world.command(&["login", "--api-key", "public"]));
    assert_eq!(code, 2);
    assert!(none.contains("the private key is missing"), "{none}");
    let (code, said, none) = run(&mut world.command(&["login", "--browser"]));
    assert_eq!((code, said.contains("backstitch keys create")), (2, true));
    assert!(none.contains("--api-key"), "{none}");
    let both = ["login", "--browser", "--private-api-key", "a"];
    assert!(world.fails(&both).contains("without one"));
    // Tokens are for the server that gave them.
    let other = world.fails(&["apps", "list", "--url", "http://127.0.0.1:1"]);
    assert!(other.contains("this profile is for"), "{other}");
    let name = world.fails(&["whoami", "--profile", "../../x"]);
    assert!(name.contains("no name of a profile"), "{name}");

    // An access token that has gone is renewed; a refresh token is not.
    let spoilt = |field: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut profile: Value = serde_json::from_str(&text).unwrap();
        profile[field] = "gone".into();
        std::fs::write(&file, profile.to_string()).unwrap();
    };
    spoilt("access_token");
    world.well(&["apps", "list"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("gone"));
    assert_eq!(mode(&file), 0o600);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    spoilt("access_token");
    spoilt("refresh_token");
    let ended = world.fails(&["apps", "list"]);
    assert!(ended.contains("the session has ended"), "{ended}");
    let ended = world.fails(&["apps", "list"]);
    assert!(ended.contains("nobody is logged in"), "{ended}");

    std::fs::write(&file, kept.to_string()).unwrap();
    assert_eq!(world.well(&["logout"]), "logged out\n");
    assert!(!file.exists());
    // The session is over at the server as well.
    let token = kept["refresh_token"].as_str().unwrap();
    let renewed = world
        .served
        .post("/api/admin/v3.0/auth/session", token, &Value::Null);
    assert_eq!(renewed.0, 401);
    assert_eq!(world.well(&["logout"]), "nobody was logged in\n");
    assert_eq!(world.well(&["whoami"]), "nobody is logged in\n");
    // Words that are none.
    assert_eq!(run(&mut world.command(&["apps", "nothing"])).0, 2);
}

#[test]
fn what_is_pushed_is_pulled() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    // Nobody is there to say yes.
    let asked = world.fails(&["push", "--local", &local]);
    assert!(asked.contains("say --yes"), "{asked}");
    let dry = world.well(&["push", "--local", &local, "--dry-run"]);
    assert!(dry.contains("push would create it"), "{dry}");
    assert_eq!(world.well(&["apps", "list"]), "there are no apps\n");
    let wrong = world.fails(&["push", "--local", &local, "--remote", "nothing", "--yes"]);
    assert_eq!(wrong, NOTHING);

    world.push(&shop);
    let root = std::fs::read_to_string(shop.path().join("realm_config.json")).unwrap();
    let root: Value = serde_json::from_str(&root).unwrap();
    let id = root["app_id"].as_str().unwrap();
    assert!(id.starts_with("shop-"), "{id}");
    let again = world.well(&["push", "--local", &local, "--yes"]);
    assert_eq!(again, "the app is the same already; nothing to do\n");
    let listed = world.lines(&["deployments", "list", "-a", id]);
    assert_eq!(listed[0]["data"][0]["Status"], "successful");
    let count = listed[0]["data"].as_array().unwrap().len();

    let first = world.home.path().join("first");
    let pull = |to: &str, version: &str| {
        world.well(&[
            "pull",
            "--remote",
            id,
            "--local",
            to,
            "--config-version",
            version,
            "-y",
        ]);
    };
    pull("first", "20210101");
    for (name, text) in files(shop.path()) {
        let pulled = std::fs::read_to_string(first.join(&name)).unwrap_or_default();
        if name.strip_suffix(".js").is_some() {
            assert_eq!(pulled, text, "{name}");
        } else {
            assert!(!pulled.is_empty(), "{name}");
        }
    }
    // In each layout it is the same app, and comes back to the byte.
    for version in ["20180301", "20200603", "20210101", "20230101"] {
        pull(version, version);
        let to = world.home.path().join(version);
        let before = files(&to);
        let same = world.well(&["push", "--local", version, "--remote", id, "--yes"]);
        assert!(same.contains("nothing to do"), "{version}: {same}");
        pull("first", "20210101");
        world.well(&[
            "pull",
            "--remote",
            id,
            "--local",
            version,
            "--config-version",
            version,
            "-y",
        ]);
        assert_eq!(files(&to), before, "{version}");
    }

    // A change: seen, not made, made.
    write(
        &shop,
        "values/limit.json",
        r#"{ "name": "limit", "value": 6, "from_secret": false }"#,
    );
    let seen = world.lines(&["push", "--local", &local, "--dry-run"]);
    let diffs = seen[0]["data"].as_array().unwrap();
    assert_eq!(diffs.len(), 1, "{diffs:?}");
    assert!(
        diffs[0].as_str().unwrap().contains("+    \"value\": 6"),
        "{diffs:?}"
    );
    let same = world.lines(&["apps", "diff", "--local", &local]);
    assert_eq!(same[0]["data"], seen[0]["data"]);
    let now = world.lines(&["deployments", "list", "-a", id]);
    assert_eq!(now[0]["data"].as_array().unwrap().len(), count);
    world.well(&["push", "--local", &local, "-y"]);
    let now = world.lines(&["deployments", "list", "-a", id]);
    assert_eq!(now[0]["data"].as_array().unwrap().len(), count + 1);
    let back = listed[0]["data"][0]["ID"].as_str().unwrap();
    world.well(&["deployments", "redeploy", back, "-a", id, "-y"]);
    assert!(
        world
            .well(&["apps", "diff", "--local", &local])
            .contains("+    \"value\": 6")
    );
    world.well(&["push", "--local", &local, "-y"]);
    let none = world.fails(&["deployments", "redeploy", "nothing", "-a", id, "-y"]);
    assert!(none.contains("404"), "{none}");
}

#[test]
fn a_push_with_a_mistake_leaves_nothing_behind() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    world.push(&shop);
    // Seen here, with file and line.
    write(
        &shop,
        "values/limit.json",
        "{ \"name\": \"limit\",\n  \"value\": }",
    );
    let said = world.fails(&["push", "--local", &local, "-y"]);
    assert!(said.contains("values/limit.json:2"), "{said}");
    // Seen by the server.
    write(
        &shop,
        "values/limit.json",
        r#"{ "name": "limit", "value": "none", "from_secret": true }"#,
    );
    let said = world.fails(&["push", "--local", &local, "-y"]);
    assert!(said.contains("the server says 400"), "{said}");
    assert!(said.contains("none"), "{said}");
    write(
        &shop,
        "values/limit.json",
        r#"{ "name": "limit", "value": 7, "from_secret": false }"#,
    );
    write(&shop, "functions/sum.js", "exports = (");
    let said = world.fails(&["push", "--local", &local, "-y"]);
    assert!(said.contains("functions/sum.js:1:12: error"), "{said}");
    assert!(said.contains("> 1 | exports = (\n"), "{said}");
    // No draft of its own is in the way of the next.
    write(&shop, "functions/sum.js", "exports = () => 1;");
    world.well(&["push", "--local", &local, "-y"]);
    let nowhere = world.fails(&["push", "--local", path(&world.home)]);
    assert!(
        nowhere.contains("there is no app directory here"),
        "{nowhere}"
    );
    assert!(nowhere.contains("name one with --local"), "{nowhere}");
    let nowhere = world.fails(&["push", "--local", "nowhere"]);
    assert!(nowhere.contains("no such directory"), "{nowhere}");
    let nothing = world.fails(&["pull", "--remote", "nothing"]);
    assert_eq!(nothing, NOTHING);
}

#[test]
fn a_draft_that_is_there_goes_with_yes() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let drafts = format!("{}/drafts", world.app());
    world.ask("POST", &drafts, &Value::Null);
    write(&shop, "functions/sum.js", "exports = () => 2;");
    world.well(&["push", "--local", path(&shop), "-y"]);
    assert_eq!(world.ask("GET", &drafts, &Value::Null), json!([]));
    let run = ["functions", "run", "--name", "sum"];
    assert_eq!(world.lines(&run)[0]["doc"], json!({ "$numberInt": "2" }));
}

#[test]
fn apps_come_and_go() {
    let world = World::new();
    let made = world.lines(&["apps", "create", "--name", "notes", "--cluster", "Cluster0"]);
    let id = made[0]["doc"]["client_app_id"].as_str().unwrap();
    assert!(
        world
            .home
            .path()
            .join("notes/data_sources/Cluster0/config.json")
            .is_file()
    );
    let again = world.fails(&["apps", "create", "--name", "notes"]);
    assert!(again.contains("an app directory here already"), "{again}");
    let copy = ["apps", "create", "--name", "copy", "--remote", id];
    world.well(&[&copy[..], &["--dry-run"]].concat());
    let listed = world.lines(&["apps", "list"]);
    assert_eq!(listed[0]["data"].as_array().unwrap().len(), 1);
    assert!(
        listed[0]["data"][0]
            .as_str()
            .unwrap()
            .starts_with(&format!("{id} ("))
    );
    world.well(&copy);
    assert!(
        world
            .home
            .path()
            .join("copy/data_sources/Cluster0/config.json")
            .is_file()
    );
    let init = ["apps", "init", "--name", "later", "--environment", "qa"];
    world.well(&[&init[..], &["--local", "later"]].concat());
    // Here, unless that is an app's already; what is there stays.
    let mut inside = world.command(&init);
    let (code, _, errors) = run(inside.current_dir(world.home.path().join("later/functions")));
    assert_eq!((code, errors.contains("an app directory here")), (1, true));
    let here = data();
    write(&here, "functions/config.json", "mine");
    let (code, _, errors) = run(world.command(&init).current_dir(here.path()));
    assert_eq!(
        (code, errors.contains("is there already")),
        (1, true),
        "{errors}"
    );
    assert_eq!(files(here.path()).len(), 1);
    let root = std::fs::read_to_string(world.home.path().join("later/realm_config.json")).unwrap();
    let root: Value = serde_json::from_str(&root).unwrap();
    assert_eq!(
        (&root["name"], &root["environment"]),
        (&json!("later"), &json!("qa"))
    );
    assert_eq!(run(&mut world.command(&["apps", "init"])).0, 2);
    world.well(&["push", "--local", "later", "-y"]);
    // In each layout, from nothing and from an app.
    for version in ["20180301", "20200603", "20210101", "20230101"] {
        let of = |from: [&str; 2], to: &str| {
            let words = ["apps", "init", "--config-version", version, "--local", to];
            world.well(&[&words[..], &from].concat());
            let same = world.well(&["apps", "diff", "--local", to, "--remote", id]);
            assert!(!same.contains("error"), "{same}");
            let files = files(&world.home.path().join(to));
            // The newest says it in no file but by what its root file is called.
            let said = format!("\"config_version\": {version}");
            let marked = |(name, text): &(String, String)| match version {
                "20230101" => name == "root_config.json",
                _ => !name.contains('/') && text.contains(&said),
            };
            assert!(files.iter().any(marked), "{version}: {files:?}");
        };
        of(["--name", "fresh"], &format!("fresh-{version}"));
        of(["--remote", id], &format!("copied-{version}"));
    }

    let several = world.fails(&["apps", "describe"]);
    assert!(several.contains("several apps may be meant"), "{several}");
    let shown = world.lines(&["apps", "describe", "-a", "notes"]);
    assert_eq!(shown[0]["doc"]["client_app_id"], id);
    let none = world.fails(&["apps", "describe", "-a", "nothing"]);
    assert_eq!(none, NOTHING);
    let none = world.fails(&["apps", "diff", "--local", "notes", "--remote", "nothing"]);
    assert_eq!(none, NOTHING);
    assert!(
        world
            .well(&["apps", "diff", "--local", "notes"])
            .contains("the same")
    );

    // One that is not there, and nothing is deleted.
    let none = world.fails(&["apps", "delete", "-a", "notes", "-a", "nothing", "-y"]);
    assert_eq!(none, NOTHING);
    assert!(
        world
            .fails(&["apps", "delete", "-a", "notes"])
            .contains("say --yes")
    );
    let gone = world.lines(&["apps", "delete", "-a", "notes", "-a", "copy", "-y"]);
    assert_eq!(
        gone[0]["headers"],
        json!(["ID", "Name", "Deleted", "Details"])
    );
    assert_eq!(gone[0]["data"][1]["Deleted"], "true");
    let file = world.home.path().join("out.json");
    world.well(&["apps", "list", "-f", "json", "-o", file.to_str().unwrap()]);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept["data"].as_array().unwrap().len(), 1);
    world.well(&["apps", "list", "-f", "json", "-o", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
    // Another's project.
    let other = world.fails(&["apps", "list", "--project", "0123456789abcdef01234560"]);
    let wanted = "there is no project 0123456789abcdef01234560; backstitch whoami";
    assert!(other.contains(wanted), "{other}");
    let place = ["apps", "init", "--name", "far", "--location", "mars"];
    let (code, _, errors) = run(&mut world.command(&place));
    assert_eq!((code, errors.contains("IN-MB")), (2, true), "{errors}");
}

#[test]
fn functions_run_and_are_logged() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let listed = world.lines(&["functions", "list"]);
    assert_eq!(listed[0]["data"].as_array().unwrap().len(), 2);
    let said = world.lines(&[
        "functions",
        "run",
        "--name",
        "sum",
        "--args",
        "1",
        "--args",
        "-3",
    ]);
    assert_eq!(
        said[0],
        json!({ "level": "info", "message": "Logs", "data": ["adds 2"] })
    );
    assert_eq!(said[1]["doc"], json!({ "$numberInt": "-2" }));
    let text = world.well(&[
        "function", "run", "--name", "sum", "--args", "a", "--args", "b",
    ]);
    assert!(text.ends_with("Result\n\"ab\"\n"), "{text}");
    let said = world.lines(&["functions", "run", "sum", "4", "-5", "--args", "6"]);
    assert_eq!(said[1]["doc"], json!({ "$numberInt": "5" }));
    assert!(!text.contains('\x1b'));
    let failed = world.fails(&["functions", "run", "deep/fails"]);
    let wanted = "deep/fails: Error: no\n    at exports (functions/deep/fails.js:1:";
    assert!(failed.contains(wanted), "{failed}");
    assert!(
        world
            .fails(&["functions", "run", "--name", "nothing"])
            .contains("nothing")
    );
    let logs = world.well(&["logs", "list", "--type", "function"]);
    assert!(logs.contains("FUNCTION"), "{logs}");
    assert!(
        logs.contains("    at exports (functions/deep/fails.js:1:"),
        "{logs}"
    );
    let logs = world.lines(&["logs", "list", "--errors"]);
    assert!(
        logs.iter()
            .all(|log| log["message"].as_str().unwrap().contains("failed")),
        "{logs:?}"
    );
    world.well(&[
        "logs",
        "list",
        "--start",
        "2024-01-31",
        "--end",
        "2024-01-31T12:30+0200",
    ]);
    for wrong in [["--start", "whenever"], ["--type", "nothing"]] {
        let words = [&["logs", "list"][..], &wrong].concat();
        assert_eq!(run(&mut world.command(&words)).0, 2);
    }

    let code = world.well(&["schema", "datamodels", "-l", "kotlin"]);
    assert!(code.contains("class order"), "{code}");
    let none = world.well(&["schema", "datamodels", "-l", "kotlin", "--name", "nothing"]);
    assert!(none.contains("there are no models"), "{none}");
    assert_eq!(
        run(&mut world.command(&["schema", "datamodels", "-l", "cobol"])).0,
        2
    );

    let shown = world.lines(&["deploy", "configure", "--ui-drafts", "off"]);
    assert_eq!(shown[0]["doc"]["ui_drafts_disabled"], true);
    let shown = world.lines(&["deploy", "describe"]);
    assert_eq!(shown[0]["doc"]["ui_drafts_disabled"], true);
    assert!(
        world
            .fails(&["deploy", "describe", "-a", "nothing"])
            .contains("no app nothing")
    );
}

#[test]
fn a_password_logs_in_too() {
    let world = World::new();
    let password = world.home.path().join("password");
    std::fs::write(&password, "a long enough password\n").unwrap();
    let typed = || std::fs::File::open(&password).unwrap();
    let make = [
        "administrators",
        "create",
        "ops@shop.example",
        "--owner",
        PROJECT,
    ];
    let (code, _, errors) = run(world
        .command(&make)
        .args(["--server", &world.served.url])
        .args(["--admin-public-key", "public"])
        .args(["--admin-private-key", "a-private-key"])
        .stdin(typed()));
    assert_eq!(code, 0, "{errors}");
    let login = [
        "login",
        "--auth-type",
        "local",
        "--username",
        "ops@shop.example",
    ];
    let (code, said, errors) = run(world
        .command(&login)
        .env("BACKSTITCH_ADMIN_PUBLIC_KEY", "of-somebody-else")
        .stdin(typed()));
    assert_eq!(code, 0, "{errors}");
    assert!(said.ends_with(" as ops@shop.example\n"), "{said}");
    world.well(&["apps", "list"]);
    let wrong = world.fails(&[&login[..], &["--password", "another"]].concat());
    assert!(wrong.contains("the server says 401"), "{wrong}");
}

#[test]
fn the_directory_says_which_app() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    world.well(&["apps", "create", "--name", "other"]);
    world.well(&["secrets", "create", "-a", "shop", "-n", "key", "-v", "one"]);
    // From within, and with a mistake in another of its files.
    write(&shop, "values/limit.json", "{");
    let mut inside = world.command(&["secrets", "list"]);
    let (code, said, errors) = run(inside.current_dir(shop.path().join("functions")));
    assert_eq!((code, said.contains("key")), (0, true), "{errors}");
    // Without an id it is the app of its name, if that is one.
    let kept = folder(
        r#"
//- /realm_config.json
{ "config_version": 20210101, "name": "shop" }
"#,
    );
    let push = ["push", "--local", path(&kept), "--dry-run"];
    assert!(world.well(&push).contains("changes to shop-"));
    let diff = ["apps", "diff", "--local", path(&kept)];
    assert!(world.well(&diff).contains("changes to shop-"));
    world.ask("POST", "/apps", &json!({ "name": "shop" }));
    let two = world.fails(&push);
    assert!(two.contains("name one with --remote: shop-"), "{two}");
    // One that is no app of this server is not another.
    write(&shop, "realm_config.json", r#"{ "app_id": "away-abcde" }"#);
    let mut inside = world.command(&["secrets", "list"]);
    let (code, _, errors) = run(inside.current_dir(shop.path()));
    assert_eq!(
        (code, &*errors),
        (1, &*NOTHING.replace("nothing", "away-abcde"))
    );
}

#[test]
fn shells_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&mut program(&["completions", shell]));
        assert_eq!(code, 0);
        for word in ["accessList", "include-node-modules", "reset-cdn-cache"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
    assert_eq!(run(&mut program(&["completions", "csh"])).0, 2);
}
