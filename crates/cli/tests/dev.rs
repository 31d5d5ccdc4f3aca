//! `backstitch dev`: deployed again on each change, and what goes wrong.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Served, app, data, folder, list, path, program, run, write};

fn number(answer: &Value) -> &str {
    answer["$numberInt"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn the_first_line_is_what_a_script_needs() {
    let (app, data) = (
        app(&[(
            "hello",
            "exports = () => { console.log('called'); return 1; };",
        )]),
        data(),
    );
    let mut command = program(&["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]);
    let mut served = Served::of(command.arg(data.path()).arg(app.path()));
    let text = served.text();
    let ready: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    let keys: Vec<&String> = ready.as_object().unwrap().keys().collect();
    let wanted = [
        "url",
        "project_id",
        "app_id",
        "client_app_id",
        "public_key",
        "private_key",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(ready["client_app_id"], "shop-abcde");
    for id in ["project_id", "app_id"] {
        let id = ready[id].as_str().unwrap();
        assert!(
            id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
    assert_eq!(served.line()["event"], "deployed");
    served.url = ready["url"].as_str().unwrap().to_owned();
    served.app = "shop-abcde".to_owned();
    let (token, _) = served.login();
    served.call(&token, "hello");
    let log = loop {
        let log = served.event("log");
        if log["function"] == "hello" {
            break log;
        }
    };
    assert_eq!(log["messages"], json!(["called"]));
    // The key pair opens the Admin API.
    let login = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
    let pair = json!({ "username": ready["public_key"], "apiKey": ready["private_key"] });
    assert_eq!(served.post(login, "", &pair).0, 200);
}

#[test]
fn changes_are_deployed_and_mistakes_are_not() {
    let (app, data) = (app(&[("version", "exports = () => 1;")]), data());
    let served = Served::dev(&app, &data);
    let (token, _) = served.login();
    let version = || {
        let (status, answer) = served.call(&token, "version");
        (status, answer)
    };
    assert_eq!(number(&version().1), "1");

    write(&app, "functions/version.js", "exports = () => 2;");
    let deployed = served.event("deployed");
    assert!(deployed["ms"].as_u64().unwrap() < 1000, "{deployed}");
    assert_eq!(number(&version().1), "2");

    write(
        &app,
        "functions/version.js",
        "exports = () => {\n  return 3 +;\n};",
    );
    let rejected = served.event("rejected");
    let finding = &rejected["findings"][0];
    assert_eq!(finding["path"], "functions/version.js");
    assert_eq!(
        (&finding["severity"], &finding["line"]),
        (&json!("error"), &json!(2))
    );
    let frame = finding["frame"].as_str().unwrap();
    assert!(frame.contains("> 2 |   return 3 +;"), "{frame}");
    assert_eq!(number(&version().1), "2", "the one before goes on serving");

    // Undone, which is no change, and then another one.
    write(&app, "functions/version.js", "exports = () => 2;");
    served.event("deployed");
    write(&app, "functions/version.js", "exports = () => 3;");
    served.event("deployed");
    assert_eq!(number(&version().1), "3");

    // A reference to nothing has a hint.
    let endpoint = r#"[{ "route": "/v", "http_method": "GET", "function_name": "versio" }]"#;
    write(&app, "http_endpoints/config.json", endpoint);
    let rejected = served.event("rejected");
    let finding = &rejected["findings"][0];
    assert_eq!(finding["path"], "http_endpoints/config.json");
    assert_eq!(finding["hint"], "did you mean \"version\"?");
    std::fs::remove_file(app.path().join("http_endpoints/config.json")).unwrap();
    write(&app, "functions/version.js", "exports = () => 4;");
    served.event("deployed");
    assert_eq!(number(&version().1), "4");
}

#[test]
fn files_come_go_and_are_renamed() {
    let (app, data) = (
        app(&[("a", "exports = () => 1;"), ("b", "exports = () => 2;")]),
        data(),
    );
    let served = Served::dev(&app, &data);
    let (token, _) = served.login();
    assert_eq!(served.call(&token, "b").0, 200);

    // Its entry is still there.
    std::fs::remove_file(app.path().join("functions/b.js")).unwrap();
    let rejected = served.event("rejected");
    assert_eq!(rejected["findings"][0]["hint"], "write functions/b.js");
    assert_eq!(
        served.call(&token, "b").0,
        200,
        "the one before goes on serving"
    );
    list(&app, ["a"].into_iter());
    served.event("deployed");
    assert_eq!(served.call(&token, "b").0, 404);

    // In a folder of its own, without an entry.
    list(&app, [].into_iter());
    std::fs::create_dir(app.path().join("functions/folder")).unwrap();
    let functions = app.path().join("functions");
    std::fs::rename(functions.join("a.js"), functions.join("folder/a.js")).unwrap();
    while served.call(&token, "folder/a").0 != 200 {
        served.event("deployed");
    }
    assert_eq!(served.call(&token, "a").0, 404);
}

#[test]
fn everything_is_there_after_a_crash() {
    let (app, data) = (app(&[("version", "exports = () => 1;")]), data());
    let served = Served::dev(&app, &data);
    let (token, refresh) = served.login();
    write(&app, "functions/version.js", "exports = () => 2;");
    while number(&served.call(&token, "version").1) != "2" {
        served.event("deployed");
    }
    served.kill();

    // Also when the directory is broken meanwhile.
    write(&app, "functions/version.js", "exports = ");
    let served = Served::dev(&app, &data);
    assert_eq!(served.first["event"], "rejected", "{}", served.first);
    assert_eq!(
        number(&served.call(&token, "version").1),
        "2",
        "the live revision"
    );
    let (status, session) = served.post("/api/client/v2.0/auth/session", &refresh, &json!({}));
    assert_eq!(status, 201, "the session: {session}");
    served.kill();
    write(&app, "realm_config.json", "{");
    let served = Served::dev(&app, &data);
    assert_eq!(served.first["event"], "rejected", "{}", served.first);
    assert_eq!(
        number(&served.call(&token, "version").1),
        "2",
        "without a root file"
    );
}

#[test]
fn the_summary_for_people() {
    let (app, data) = (app(&[("hello", "exports = () => 1;")]), data());
    write(
        &app,
        "sync/config.json",
        r#"{ "type": "flexible", "state": "enabled" }"#,
    );
    let mut command = program(&["dev", "--listen", "127.0.0.1:0", "--data-dir"]);
    let served = Served::of(
        command
            .arg(data.path())
            .arg(path(&app))
            .env("BACKSTITCH_PROJECT_ID", "0123456789abcdef01234567")
            .env("BACKSTITCH_ADMIN_PUBLIC_KEY", "public")
            .env("BACKSTITCH_ADMIN_PRIVATE_KEY", "private-key"),
    );
    let mut lines = Vec::new();
    loop {
        let line = served.text();
        let last = line.starts_with("Watching");
        lines.push(line);
        if last {
            break;
        }
    }
    let said = lines.join("\n");
    let port = said.split("127.0.0.1:").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let full = app.path().canonicalize().unwrap();
    let said = said
        .replace(&port, "PORT")
        .replace(full.to_str().unwrap(), "APP");
    insta::assert_snapshot!(said);
}

#[test]
fn starts_that_fail_say_why() {
    let (good, stored) = (app(&[("hello", "exports = () => 1;")]), data());
    let served = Served::dev(&good, &stored);
    let start = |arguments: &[&str]| {
        let (code, _, errors) = run(&mut program(arguments));
        assert_eq!(code, 1, "{errors}");
        errors
    };
    let other = data();
    let other = path(&other);
    let address = served.url.replace("http://", "");
    let taken = start(&[
        "dev",
        "--listen",
        &address,
        "--data-dir",
        other,
        path(&good),
    ]);
    assert!(
        taken.contains(&format!("cannot listen on {address}")),
        "{taken}"
    );
    let any = "127.0.0.1:0";
    let locked = start(&[
        "dev",
        "--listen",
        any,
        "--data-dir",
        path(&stored),
        path(&good),
    ]);
    assert!(
        locked.contains(path(&stored)) && locked.contains("another process has it in use"),
        "{locked}"
    );
    let missing = start(&["dev", "--listen", any, "--data-dir", other, "/no/such/app"]);
    assert!(missing.contains("/no/such/app: No such file"), "{missing}");
    let file = good.path().join("realm_config.json");
    let file = start(&[
        "dev",
        "--listen",
        any,
        "--data-dir",
        other,
        file.to_str().unwrap(),
    ]);
    assert!(file.contains("this is not a directory"), "{file}");
    let inside = good.path().join("data");
    let inside = inside.to_str().unwrap();
    let inside = start(&["dev", "--listen", any, "--data-dir", inside, path(&good)]);
    assert!(
        inside.contains("lies inside of the app directory"),
        "{inside}"
    );
    let empty = folder("");
    let rootless = start(&["dev", "--listen", any, "--data-dir", other, path(&empty)]);
    assert!(rootless.contains("has no realm_config.json"), "{rootless}");
    assert!(
        rootless.contains("nothing was deployed before"),
        "{rootless}"
    );
    drop(served);
    drop(TcpListener::bind(address).expect("the port is free again"));
}

#[test]
fn the_newer_layout_keeps_its_client_app_id() {
    let app = app(&[("version", "exports = () => 1;")]);
    std::fs::remove_file(app.path().join("realm_config.json")).unwrap();
    write(&app, "root_config.json", r#"{ "name": "shop" }"#);
    write(
        &app,
        ".mdb/meta.json",
        r#"{ "client_app_id": "shop-fghij" }"#,
    );
    let data = data();
    for _ in 0..2 {
        let served = Served::dev(&app, &data);
        assert_eq!(served.app, "shop-fghij");
        let (token, _) = served.login();
        assert_eq!(number(&served.call(&token, "version").1), "1");
    }
}

#[test]
fn secrets_of_the_directory() {
    let app = app(&[("key", "exports = () => context.values.get('key');")]);
    write(
        &app,
        "values/key.json",
        r#"{ "name": "key", "value": "keySecret", "from_secret": true }"#,
    );
    let data = data();
    let served = Served::dev(&app, &data);
    let warning = &served.first["findings"][0];
    assert_eq!(warning["message"], "the secret \"keySecret\" is not set");
    write(&app, ".secrets.json", r#"{ "keySecret": "open sesame" }"#);
    // A secret acts at once and is no deployment: the next change shows both.
    write(&app, "functions/other.js", "exports = 1;");
    served.event("deployed");
    let (token, _) = served.login();
    assert_eq!(served.call(&token, "key").1, "open sesame");
    write(&app, ".secrets.json", "{\n  \"keySecret\": 5\n}");
    let rejected = served.event("rejected");
    assert_eq!(rejected["findings"][0]["path"], ".secrets.json");
    assert_eq!(rejected["findings"][0]["line"], 2);
}

/// A package as npm leaves it.
fn install(app: &tempfile::TempDir, version: u32) {
    let package =
        format!(r#"{{ "name": "counts", "version": "{version}.0.0", "main": "main.js" }}"#);
    write(app, "functions/node_modules/counts/package.json", &package);
    let main = format!("module.exports = (n) => n + {version};");
    write(app, "functions/node_modules/counts/main.js", &main);
    // The last that it writes.
    let stamp = format!(r#"{{ "version": {version} }}"#);
    write(app, "functions/node_modules/.package-lock.json", &stamp);
}

#[test]
fn packages_of_the_directory_are_installed() {
    let (app, data) = (
        app(&[("add", "exports = (n) => require('counts')(n ?? 0);")]),
        data(),
    );
    install(&app, 1);
    let served = Served::dev(&app, &data);
    let (token, _) = served.login();
    assert_eq!(number(&served.call(&token, "add").1), "1");
    // What npm does to it while the server runs.
    install(&app, 5);
    served.event("deployed");
    assert_eq!(number(&served.call(&token, "add").1), "5");
    // What is no package is told, and the rest goes on.
    write(
        &app,
        "functions/node_modules/counts/package.json",
        "no JSON",
    );
    write(&app, "functions/node_modules/.package-lock.json", "{}");
    write(&app, "functions/add.js", "exports = () => 7;");
    let deployed = served.event("deployed");
    let warning = &deployed["findings"][0];
    assert_eq!(warning["path"], "functions/node_modules", "{deployed}");
    assert_eq!(number(&served.call(&token, "add").1), "7");
}

#[test]
fn a_function_of_a_directory_runs_without_a_server() {
    let source = "exports = async (...all) => {
  const c = context.services.get('mongodb-atlas').db('d').collection('c');
  await c.insertMany(all.map((n) => ({ n })));
  console.log('has', await c.count());
  if (all.includes('x')) throw new Error('no x');
  return require('counts')(all[0]);
};";
    let (app, data) = (app(&[("deep/add", source)]), data());
    write(
        &app,
        "data_sources/mongodb-atlas/config.json",
        r#"{ "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "c" } }"#,
    );
    install(&app, 2);
    let words = [
        "functions",
        "run",
        "deep/add",
        "40",
        "-1",
        "--local",
        path(&app),
    ];
    // Nothing stays.
    for _ in 0..2 {
        let (code, said, errors) = run(&mut program(&words));
        assert_eq!((code, errors.as_str()), (0, ""), "{said}");
        assert!(said.contains("has 2\n"), "{said}");
        assert!(said.contains("\"$numberInt\": \"42\""), "{said}");
    }
    // Unless there is a place for it.
    let kept = [&words[..], &["--data-dir", path(&data)]].concat();
    run(&mut program(&kept));
    let (_, said, _) = run(&mut program(&kept));
    assert!(said.contains("has 4\n"), "{said}");

    let words = ["functions", "run", "deep/add", "x", "--local", path(&app)];
    let (code, said, errors) = run(&mut program(&words));
    assert_eq!(code, 1);
    assert!(said.contains("has 1\n"), "{said}");
    let wanted = "backstitch: deep/add: Error: no x\n    at exports (functions/deep/add.js:5:";
    assert!(errors.contains(wanted), "{errors}");
    write(&app, "functions/deep/add.js", "exports = (");
    let (code, _, errors) = run(&mut program(&words));
    assert_eq!(code, 1);
    assert!(errors.contains("> 1 | exports = ("), "{errors}");
    for (words, why) in [
        (
            &["functions", "run", "nothing", "--local", path(&app)][..],
            "functions/deep/add.js",
        ),
        (
            &["functions", "run", "--local", path(&app)],
            "name the function",
        ),
        (
            &["functions", "run", "a", "--local", "nowhere"],
            "cannot be read",
        ),
    ] {
        let (code, _, errors) = run(&mut program(words));
        assert_eq!(code, 1, "{words:?}");
        assert!(errors.contains(why), "{words:?}: {errors}");
    }
}
