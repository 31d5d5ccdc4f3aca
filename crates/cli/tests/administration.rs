//! Projects, key pairs, administrators and the record of changes, as the
//! operator manages them: at a folder, and at a server that runs in it.

use serde_json::Value;
use tempfile::TempDir;

use super::{Served, data, path, program, run};

/// What a command prints as JSON; it has to succeed.
fn json(data: &TempDir, arguments: &[&str]) -> Value {
    let result = run(program(arguments).args(["-f", "json", "--data-dir", path(data)]));
    assert_eq!(result.0, 0, "{arguments:?} {} {}", result.1, result.2);
    // Nothing when there is nothing to tell.
    serde_json::from_str(&result.1).unwrap_or(Value::Null)
}

fn fails(data: &TempDir, arguments: &[&str]) -> String {
    let result = run(program(arguments).args(["--data-dir", path(data)]));
    assert_eq!(result.0, 1, "{arguments:?} {} {}", result.1, result.2);
    result.2
}

/// Makes, uses and removes a project and a key; the same with a server and
/// without.
fn manages(data: &TempDir) {
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
    let arguments = ["keys", "list", "--project", id, "--data-dir", path(data)];
    let (code, table, _) = run(&mut program(&arguments));
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
    let empty = fails(&data, &["project", "list"]);
    assert!(
        empty.contains("no server keeps its records here"),
        "{empty}"
    );
    let served = Served::dev(&shop, &data);
    manages(&data);
    drop(served);
    manages(&data);
}
