//! `backstitch clusters`: what the settings mean, without their passwords.

use serde_json::{Value, json};

use super::{data, folder, path, program, run};

/// Nobody listens there, which is found out fast.
const NOBODY: &str =
    "mongodb://joe:hunter2@127.0.0.1:9/shop?serverSelectionTimeoutMS=200&connectTimeoutMS=200";

#[test]
fn a_list_shows_places_and_no_passwords() {
    let data = data();
    let mut list = program(&["clusters", "list", "--json", "--data-dir"]);
    list.arg(path(&data))
        .env("BACKSTITCH_CLUSTERS", format!("A=embedded\nB={NOBODY}"))
        .env(
            "BACKSTITCH_STATE_URI",
            "mongodb+srv://joe:hunter2@h/own?w=1",
        );
    let (code, output, errors) = run(&mut list);
    assert_eq!((code, errors.as_str()), (0, ""));
    let rows: Value = serde_json::from_str(&output).unwrap();
    let row = |name: &str, engine: &str, place: &str| {
        let own = name.is_empty();
        let name = if own { Value::Null } else { json!(name) };
        json!({ "name": name, "own_records": own, "engine": engine, "place": place })
    };
    assert_eq!(
        rows,
        json!([
            row("A", "embedded", path(&data)),
            row("B", "mongodb", "mongodb://127.0.0.1:9/shop"),
            row("*", "mongodb", "mongodb+srv://h/own"),
            row("", "mongodb", "mongodb+srv://h/own, database own"),
        ])
    );
}

#[test]
fn a_test_says_what_does_not_answer() {
    let data = data();
    let mut test = program(&["clusters", "test", "B", "--data-dir"]);
    test.arg(path(&data))
        .env("BACKSTITCH_CLUSTERS", format!("B={NOBODY}"));
    let (code, output, errors) = run(&mut test);
    assert_eq!(code, 1, "{output}{errors}");
    assert!(
        output.contains("mongodb://127.0.0.1:9/shop\n  no answer "),
        "{output}"
    );
    assert!(
        !output.contains("hunter2") && !errors.contains("hunter2"),
        "{output}{errors}"
    );

    let (code, output, errors) = run(&mut program(&[
        "clusters",
        "test",
        "--data-dir",
        path(&data),
    ]));
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.contains("part of the server"), "{output}");
    let (code, _, errors) = run(&mut program(&["clusters", "test", "C"]));
    assert_eq!(code, 2);
    assert!(errors.contains("no cluster is called C"), "{errors}");
}

#[test]
fn a_file_maps_clusters_too() {
    let settings = folder("");
    let file = settings.path().join("s.json");
    let text = json!({
        "listen": "127.0.0.1:0", "clusters": { "A": "embedded", "B": "mongodb://joe:hunter2@h" },
    });
    std::fs::write(&file, text.to_string()).unwrap();
    let mut list = program(&["clusters", "list", "--config"]);
    let (code, output, errors) = run(list.arg(&file));
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        output.contains("B                mongodb   mongodb://h\n"),
        "{output}"
    );

    let text = "{\n  \"clusters\": { \"A\": \"hunter2\" },\n  \"state_uri\": \"hunter2\"\n}";
    std::fs::write(&file, text).unwrap();
    let mut list = program(&["clusters", "list", "--config"]);
    let (code, _, errors) = run(list.arg(&file));
    assert_eq!(code, 2);
    assert!(
        errors.contains("s.json:2:3: error: \"clusters\": "),
        "{errors}"
    );
    assert!(
        errors.contains("s.json:3:3: error: \"state_uri\": "),
        "{errors}"
    );
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_server_says_which_cluster_is_wrong_or_away_and_never_its_password() {
    let data = data();
    for (name, value, code, wanted) in [
        ("BACKSTITCH_CLUSTERS", "A=hunter2", 1, "A has to be"),
        (
            "BACKSTITCH_CLUSTERS",
            "A=mongodb://u:hunter2:x@h",
            1,
            "the cluster A: ",
        ),
        ("BACKSTITCH_STATE_URI", "hunter2", 1, "state URI"),
        (
            "BACKSTITCH_STATE_URI",
            NOBODY,
            1,
            "the server's own records: ",
        ),
    ] {
        for verb in ["serve", "dev"] {
            let mut command = program(&[verb, "--listen", "127.0.0.1:0", "--data-dir"]);
            command
                .arg(path(&data))
                .env(name, value)
                .env("BACKSTITCH_MASTER_KEY", "key");
            let (exit, output, errors) = run(&mut command);
            assert_eq!(exit, code, "{errors}");
            assert!(errors.contains(wanted), "{errors}");
            assert!(
                !errors.contains("hunter2") && !output.contains("hunter2"),
                "{errors}"
            );
        }
    }
    // Nothing is sealed with a key that other servers would not have.
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(data.path().join("new"))
        .env("BACKSTITCH_STATE_URI", NOBODY);
    let (exit, _, errors) = run(&mut command);
    assert_eq!(exit, 1);
    assert!(errors.contains("share a master key"), "{errors}");
    assert!(!data.path().join("new/master.key").exists());
}
