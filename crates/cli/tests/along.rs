//! What goes along with a push and a pull: hosted files, npm packages and the
//! clients of templates.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::remote::{World, files, shop};
use super::terminal::Terminal;
use super::{path, run, write};

/// Hosted files as the server has them: path, bytes and attributes.
fn hosted(world: &World) -> Vec<(String, u64, Value)> {
    let all = world.ask(
        "GET",
        &format!("{}/hosting/assets?recursive=true", world.app()),
        &Value::Null,
    );
    let all = all.as_array().unwrap().iter();
    all.map(|one| {
        let path = one["path"].as_str().unwrap().to_owned();
        (path, one["size"].as_u64().unwrap(), one["attrs"].clone())
    })
    .collect()
}

fn html() -> Value {
    json!([{ "name": "Content-Type", "value": "text/html" }])
}

/// A command that works: what it says, and on the error output.
fn both(command: &mut Command) -> (String, String) {
    let (code, said, errors) = run(command);
    assert_eq!(code, 0, "{said}{errors}");
    (said, errors)
}

#[test]
fn hosted_files_go_along_and_come_back() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    for (name, text) in [
        ("index.html", "<h1>hi</h1>"),
        ("app.js", "1"),
        ("a b/é.bin.unknown", "2"),
        (".well-known/x", ""),
        (".DS_Store", "no"),
    ] {
        write(&shop, &format!("hosting/files/{name}"), text);
    }
    let metadata = |cache: &str| {
        let attrs = json!([{ "name": "Cache-Control", "value": cache }]);
        let all = json!([{ "path": "/app.js", "attrs": attrs }]);
        write(&shop, "hosting/metadata.json", &all.to_string());
    };
    metadata("no-store");
    world.push(&shop);
    assert_eq!(hosted(&world), []);

    let push = ["push", "--local", &local, "--include-hosting"];
    let seen = world.lines(&[&push[..], &["--dry-run"]].concat());
    let wanted = json!([
        "hosted files:",
        "+ /.well-known/x",
        "+ /a b/é.bin.unknown",
        "+ /app.js",
        "+ /index.html"
    ]);
    assert_eq!(seen[0]["data"], wanted);
    assert_eq!(hosted(&world), []);
    let diff = world.lines(&["apps", "diff", "--local", &local, "-s"]);
    assert_eq!(diff[0]["data"], wanted);
    // No terminal, no word of progress.
    let (said, errors) = both(&mut world.command(&[&push[..], &["-y"]].concat()));
    assert!(
        said.contains("sent the hosted files\npushed shop-"),
        "{said}"
    );
    assert_eq!(errors, "");
    let cached = json!([{ "name": "Cache-Control", "value": "no-store" }]);
    assert_eq!(
        hosted(&world),
        [
            ("/.well-known/x".to_owned(), 0, json!([])),
            ("/a b/é.bin.unknown".to_owned(), 1, json!([])),
            ("/app.js".to_owned(), 1, cached),
            ("/index.html".to_owned(), 11, html()),
        ]
    );
    let same = world.well(&[&push[..], &["-y"]].concat());
    assert_eq!(same, "the app is the same already; nothing to do\n");

    // Each kind of change.
    write(&shop, "hosting/files/index.html", "<h1>ho</h1>");
    std::fs::remove_file(shop.path().join("hosting/files/.well-known/x")).unwrap();
    metadata("max-age=1");
    let said = world.lines(&[&push[..], &["-y"]].concat());
    let wanted = json!([
        "hosted files:",
        "- /.well-known/x",
        "* /app.js",
        "* /index.html"
    ]);
    assert_eq!(said[0]["data"], wanted);
    let cached = json!([{ "name": "Cache-Control", "value": "max-age=1" }]);
    assert_eq!(hosted(&world)[1].2, cached);
    assert_eq!(hosted(&world).len(), 3);

    // A pull is what was pushed, and pushing it changes nothing.
    let app = hosted_app(&world);
    world.well(&["pull", "--remote", &app, "--local", "to", "-s"]);
    let to = world.home.path().join("to");
    let site = |folder: &Path| files(&folder.join("hosting/files"));
    let mut wanted = site(shop.path());
    wanted.retain(|(name, _)| name != ".DS_Store");
    assert_eq!(site(&to), wanted);
    let same = world.well(&["push", "--local", "to", "--include-hosting", "-y"]);
    assert!(same.contains("nothing to do"), "{same}");
    // Another pull takes back what was told of files that are not there.
    let told = std::fs::read_to_string(to.join("hosting/metadata.json")).unwrap();
    assert_eq!(told.matches("\"path\"").count(), 1, "{told}");
    world.ask(
        "DELETE",
        &format!("{}/hosting/assets/asset?path=/app.js", world.app()),
        &Value::Null,
    );
    let asked = world.fails(&["pull", "--remote", &app, "--local", "to", "-s"]);
    assert!(
        asked.contains("write over what is in it? Nobody"),
        "{asked}"
    );
    world.well(&["pull", "--remote", &app, "--local", "to", "-s", "-y"]);
    let told = std::fs::read_to_string(to.join("hosting/metadata.json")).unwrap();
    assert_eq!(told, "[]\n");

    // A file that is told of and is not there.
    std::fs::remove_file(shop.path().join("hosting/files/app.js")).unwrap();
    let wrong = world.fails(&[&push[..], &["-y"]].concat());
    assert!(
        wrong.contains("there is no file hosting/files/app.js"),
        "{wrong}"
    );
    // A push without hosted files does not look at them.
    world.well(&["push", "--local", &local, "-y"]);
}

fn hosted_app(world: &World) -> String {
    let all = world.ask("GET", "/apps", &Value::Null);
    all[0]["client_app_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_cache_is_reset_with_hosted_files() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    world.push(&shop);
    write(&shop, "hosting/files/index.html", "1");
    let push = ["push", "--local", &local, "--reset-cdn-cache", "-y"];
    let (_, warned) = both(&mut world.command(&push));
    assert!(warned.contains("with --include-hosting only"), "{warned}");
    let push = [&push[..], &["-s"]].concat();
    let off = world.fails(&push);
    assert!(off.contains("hosting is disabled"), "{off}");
    // Nothing differs any more.
    assert!(world.well(&push).contains("nothing to do"));
    write(&shop, "hosting/config.json", r#"{ "enabled": true }"#);
    let said = world.well(&push);
    assert!(
        said.contains("reset the cache of the hosted files"),
        "{said}"
    );
    let site = format!("/app/{}/hosting/", hosted_app(&world));
    let (status, page) = world.served.ask("GET", &site, "", &Value::Null);
    assert_eq!((status, page), (200, json!(1)));
}

/// What a command writes whose output and error output are a terminal, with all
/// that moves and paints.
fn on_a_terminal(command: &mut Command) -> String {
    let mut terminal = Terminal::of_output(command);
    terminal.reads_all();
    let written = String::from_utf8(std::mem::take(&mut terminal.written)).unwrap();
    terminal.well();
    written
}

#[test]
fn a_terminal_shows_what_a_push_is_at() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    world.push(&shop);
    for n in 0..40 {
        write(&shop, &format!("hosting/files/{n}.txt"), "x");
    }
    let push = ["push", "--local", &local, "-s", "-x"];
    let seen = on_a_terminal(&mut world.command(&push));
    assert!(seen.contains("comparing the configuration"), "{seen:?}");
    assert!(seen.contains("\u{1b}[32m+ /0.txt\u{1b}[0m"), "{seen:?}");
    let plain = on_a_terminal(&mut world.command(&[&push[..], &["--disable-colors"]].concat()));
    assert!(!plain.contains("\u{1b}[32m"), "{plain:?}");
    let json = on_a_terminal(&mut world.command(&[&push[..], &["-f", "json"]].concat()));
    assert!(json.lines().all(|line| line.starts_with('{')), "{json:?}");
    let push = ["push", "--local", &local, "-s", "-y"];
    let seen = on_a_terminal(&mut world.command(&push));
    assert!(seen.contains("sending hosted files"), "{seen:?}");
    // It is gone when the work is done.
    let last = seen.rsplit("\u{1b}[2K").next().unwrap();
    assert!(last.starts_with("sent the hosted files"), "{last:?}");
}

#[test]
fn packages_go_along_and_come_back() {
    let (world, shop) = (World::new(), shop());
    let local = path(&shop).to_owned();
    world.push(&shop);
    let push = ["push", "--local", &local, "--include-node-modules"];
    let none = world.fails(&push);
    assert!(none.contains("there is no node_modules"), "{none}");
    let none = world.fails(&["push", "--local", &local, "--include-package-json"]);
    assert!(none.contains("there is no package.json"), "{none}");
    let two = [&push[..], &["--include-package-json"]].concat();
    assert_eq!(run(&mut world.command(&two)).0, 2);

    let modules = "functions/node_modules";
    for (name, version) in [("left", "1.0.0"), ("@at/right", "2.0.0")] {
        let manifest = json!({ "name": name, "version": version }).to_string();
        write(&shop, &format!("{modules}/{name}/package.json"), &manifest);
        write(
            &shop,
            &format!("{modules}/{name}/index.js"),
            "exports.a = 1;",
        );
    }
    let seen = world.lines(&[&push[..], &["--dry-run"]].concat());
    let wanted = json!(["packages:", "+ @at/right@2.0.0", "+ left@1.0.0"]);
    assert_eq!(seen[0]["data"], wanted);
    let status = || {
        let path = format!("{}/dependencies/status", world.app());
        world.ask("GET", &path, &Value::Null)["status"].clone()
    };
    assert_eq!(status(), "");
    let diff = ["apps", "diff", "--local", &local, "-d"];
    assert_eq!(world.lines(&diff)[0]["data"], wanted);
    let (said, errors) = both(&mut world.command(&[&push[..], &["-y"]].concat()));
    assert!(said.contains("installed the packages\npushed"), "{said}");
    assert_eq!((errors.as_str(), status()), ("", json!("successful")));
    let same = world.well(&[&push[..], &["-y"]].concat());
    assert!(same.contains("nothing to do"), "{same}");

    let app = hosted_app(&world);
    let pull = ["pull", "--remote", &app, "--local", "to", "-y"];
    world.well(&[&pull[..], &["--include-node-modules"]].concat());
    world.well(&[&pull[..], &["--include-package-json"]].concat());
    let to = world.home.path().join("to/functions");
    let told: Value =
        serde_json::from_slice(&std::fs::read(to.join("package.json")).unwrap()).unwrap();
    let wanted = json!({ "dependencies": { "@at/right": "2.0.0", "left": "1.0.0" } });
    assert_eq!(told, wanted);
    // The archive that came is one that goes.
    assert!(to.join("node_modules.zip").is_file());
    std::fs::remove_file(to.join("package.json")).unwrap();
    let (same, warned) = both(&mut world.command(&["push", "--local", "to", "-d", "-y"]));
    assert!(same.contains("nothing to do"), "{same}");
    assert_eq!(warned, "");

    // An archive goes before a folder; one that is none is not installed.
    write(&shop, "functions/node_modules.tgz", "no archive");
    let wrong = world.fails(&[&push[..], &["-y"]].concat());
    assert!(wrong.contains("the server says 400"), "{wrong}");
    assert_eq!(status(), "successful");
}

#[test]
fn clients_of_templates_come_along() {
    let world = World::new();
    let create = ["apps", "create", "--name", "todo", "--template"];
    let of = |id: &'static str| [&create[..], &[id, "--cluster", "Cluster0"]].concat();
    let none = world.fails(&of("moon"));
    assert!(none.contains("there is no template moon"), "{none}");
    // The only cluster is meant when none is named.
    let only = world.well(&[&create[..], &["triggers", "--dry-run"]].concat());
    assert!(only.contains("mongodb-atlas would be linked"), "{only}");
    let two = world.fails(&[&create[..], &["triggers", "--cluster", "A,B"]].concat());
    assert!(two.contains("takes one --cluster"), "{two}");
    assert_eq!(world.well(&["apps", "list"]), "there are no apps\n");
    let dry = world.well(&[&of("web.mql.todo")[..], &["--dry-run"]].concat());
    assert!(dry.contains("mongodb-atlas would be linked"), "{dry}");
    let made = world.lines(&of("web.mql.todo"));
    let doc = &made[0]["doc"];
    assert_eq!(doc["clusters"], json!([{ "name": "mongodb-atlas" }]));
    assert_eq!(
        (&doc["backend"], &doc["frontends"]),
        (&json!("todo/backend"), &json!("todo/frontend"))
    );
    let app = doc["client_app_id"].as_str().unwrap();
    let home = world.home.path();
    let client = "frontend/web.mql.todo/atlasConfig.json";
    let told = std::fs::read_to_string(home.join("todo").join(client)).unwrap();
    assert!(told.contains(app), "{told}");
    let same = world.well(&["push", "--local", "todo/backend", "-y"]);
    assert!(same.contains("nothing to do"), "{same}");

    let pull = ["pull", "--remote", app, "--local", "to", "--template"];
    let dry = world.well(&[&pull[..], &["web.mql.todo", "--dry-run"]].concat());
    assert!(
        dry.contains("to/backend") && dry.contains("to/frontend/web.mql.todo"),
        "{dry}"
    );
    assert!(!home.join("to").exists());
    for other in ["triggers", "../../x"] {
        let none = world.fails(&[&pull[..], &[other]].concat());
        assert!(none.contains("was not made from the template"), "{none}");
    }
    world.well(&[&pull[..], &["web.mql.todo"]].concat());
    assert_eq!(
        files(&home.join("to/frontend")),
        files(&home.join("todo/frontend"))
    );
    assert!(home.join("to/backend/realm_config.json").is_file());
    // A template without a client, and an app without a template.
    let made = world.lines(&[
        "apps",
        "create",
        "-n",
        "t",
        "--template",
        "triggers",
        "--cluster",
        "C",
    ]);
    let app = made[0]["doc"]["client_app_id"].as_str().unwrap();
    assert_eq!(made[0]["doc"]["frontends"], Value::Null);
    let none = world.fails(&["pull", "--remote", app, "-t", "triggers", "--local", "to2"]);
    assert!(none.contains("has no client"), "{none}");
    let made = world.lines(&[
        "apps",
        "create",
        "-n",
        "plain",
        "--cluster",
        "A,B",
        "--cluster-service-name",
        "a",
        "--serverless-instance",
        "S",
        "--datalake",
        "L",
    ]);
    let doc = &made[0]["doc"];
    assert_eq!(doc["clusters"], json!([{ "name": "a" }, { "name": "B" }]));
    let config = std::fs::read_to_string(home.join("plain/data_sources/L/config.json")).unwrap();
    assert!(config.contains("dataLakeName"), "{config}");
    assert!(home.join("plain/data_sources/S/config.json").is_file());
    let app = doc["client_app_id"].as_str().unwrap();
    let none = world.fails(&["pull", "--remote", app, "-t", "triggers", "--local", "to2"]);
    assert!(none.contains("was not made from"), "{none}");
}

#[test]
fn a_directory_keeps_its_layout() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let app = hosted_app(&world);
    let pull = ["pull", "--remote", &app, "--local", "old", "-y"];
    world.well(&[&pull[..], &["--config-version", "20180301"]].concat());
    let old = world.home.path().join("old");
    let before = files(&old);
    world.well(&pull);
    assert_eq!(files(&old), before);
    let two = world.fails(&[&pull[..], &["--config-version", "20210101"]].concat());
    assert!(two.contains("of config version 20180301"), "{two}");
    // The directory says which app; the one around it is not asked.
    world.well(&["apps", "create", "-n", "other"]);
    let said = world.well(&["pull", "--local", "old", "-y"]);
    assert!(said.ends_with(&format!("pulled {app} to old\n")), "{said}");
}

#[test]
fn errors_are_json_where_the_answer_is() {
    let world = World::new();
    let none = world.fails(&["apps", "describe", "-a", "nothing", "-f", "json"]);
    let mut line: Value = serde_json::from_str(&none).unwrap();
    let time = line.as_object_mut().unwrap().shift_remove("time");
    assert!(time.is_some_and(|time| time.is_string()));
    assert_eq!(
        line,
        json!({
            "level": "error",
            "err": "there is no app nothing; \
                    backstitch apps list shows those that this login may see",
        })
    );
    // Words of the official CLI that mean nothing here are taken.
    world.well(&[
        "apps",
        "list",
        "--telemetry",
        "off",
        "--atlas-url",
        "http://127.0.0.1:1",
    ]);
}
