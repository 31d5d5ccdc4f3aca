//! Projects, key pairs, administrators and the record of changes, as the
//! operator manages them: at a folder, and at a server that runs in it.

use serde_json::{Value, json as value};

use super::serve::ready;
use super::servers::{kept, launch, mongod, until};
use super::{Served, data, path, program, run};

/// What a command prints as JSON; it has to succeed. `place` are the words that
/// say where the records are.
fn json(place: &[&str], arguments: &[&str]) -> Value {
    let result = run(program(arguments).args(["-f", "json"]).args(place));
    assert_eq!(result.0, 0, "{arguments:?} {} {}", result.1, result.2);
    // Nothing when there is nothing to tell.
    serde_json::from_str(&result.1).unwrap_or(Value::Null)
}

fn fails(place: &[&str], arguments: &[&str]) -> String {
    let result = run(program(arguments).args(place));
    assert_eq!(result.0, 1, "{arguments:?} {} {}", result.1, result.2);
    result.2
}

/// Makes, uses and removes a project and a key; the same with a server and
/// without.
fn manages(data: &[&str]) {
    let project = json(data, &["project", "create", "second"]);
    let id = project["id"].as_str().unwrap();
    assert!(project["private_key"].is_string());
    let all = json(data, &["project", "list"]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let several = fails(data, &["keys", "list"]);
    assert!(several.contains("--project"), "{several}");
    let of = |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--project", id]);
        json(data, &words)
    };
    let key = of(&[
        "keys",
        "create",
        "--role",
        "read-only",
        "--description",
        "build",
    ]);
    let public = key["public_key"].as_str().unwrap();
    let private = key["private_key"].as_str().unwrap();
    assert_eq!(of(&["keys", "disable", public]), Value::Null);
    let listed = of(&["keys", "list"]);
    assert_eq!(listed[1]["disabled"], true);
    assert!(!listed.to_string().contains(private));
    let arguments = ["keys", "list", "--project", id];
    let (code, table, _) = run(program(&arguments).args(data));
    assert_eq!(code, 0);
    assert!(table.starts_with("id  "), "{table}");
    assert!(table.contains("GROUP_READ_ONLY"), "{table}");
    of(&["keys", "revoke", public]);
    assert_eq!(of(&["keys", "list"]).as_array().unwrap().len(), 1);
    json(data, &["project", "delete", id]);
    let gone = fails(data, &["project", "delete", id]);
    assert!(gone.contains("group not found"), "{gone}");
    let changes = json(data, &["audit", "--operation", "revokeProjectKey"]);
    assert_eq!(changes[0]["status"], 204);
    assert_eq!(changes[0]["group_id"], id);
}

#[test]
fn the_operator_manages_projects_and_keys_with_and_without_a_server() {
    let (shop, data) = (super::archives::shop(), data());
    let place = ["--data-dir", path(&data)];
    let empty = fails(&place, &["project", "list"]);
    assert!(
        empty.contains("no server keeps its records here"),
        "{empty}"
    );
    let served = Served::dev(&shop, &data);
    manages(&place);
    drop(served);
    manages(&place);
}

#[test]
fn the_operator_manages_records_on_mongodb() {
    let Some(mongod) = mongod(testkit::mongod::Kind::default()) else {
        return;
    };
    let home = data();
    let mut served = launch(&mongod, &home, "a");
    ready(&mut served);
    let own = kept(&home, "a");
    let (uri, elsewhere) = (mongod.uri_of("records"), data());
    // From another machine: nothing of the server's folder is there.
    let place = ["--data-dir", path(&elsewhere), "--state-uri", &uri];
    let wrong = fails(&place, &["keys", "create", "--project", &own[0]]);
    assert!(wrong.contains("key"), "{wrong}");
    let place = [&place[..], &["--master-key", "one for all"]].concat();
    manages(&place);

    // The server that runs lets a new key in, and a revoked one out.
    let of = |words: &[&str]| json(&place, &[words, &["--project", &own[0]]].concat());
    let key = of(&["keys", "create", "--role", "read-only"]);
    let pair = value!({ "username": key["public_key"], "apiKey": key["private_key"] });
    let login = || {
        let path = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
        served.post(path, "", &pair)
    };
    let (status, session) = login();
    assert_eq!(status, 200, "{session}");
    let token = session["access_token"].as_str().unwrap();
    let public = key["public_key"].as_str().unwrap();
    let listed = || served.ask("GET", "/api/admin/v3.0/auth/profile", token, &Value::Null);
    assert_eq!(listed().0, 200);
    of(&["keys", "disable", public]);
    until("a key that is off", || {
        login().0 == 401 && listed().0 == 401
    });
    of(&["keys", "enable", public]);
    until("a key that is on", || login().0 == 200);
    of(&["keys", "revoke", public]);
    until("a key that is gone", || login().0 == 401);
    served.kill();
    manages(&place);
}
