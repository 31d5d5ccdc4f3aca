//! npm packages: uploaded, compared, exported, and how clients are told.

use std::collections::BTreeSet;
use std::io::{Cursor, Write as _};
use std::sync::Arc;

use axum::http::{Method, header};
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::SystemClock;
use serde_json::{Value, json};
use testkit::registry::Registry;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::{AppAdmin, World};

const FORM: &str = "multipart/form-data";

/// A `node_modules` archive with these packages.
fn archive(packages: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for (name, version) in packages {
        let folder = format!("node_modules/{name}");
        writer
            .start_file(format!("{folder}/package.json"), options)
            .unwrap();
        let manifest = json!({ "name": name, "version": version });
        writer.write_all(manifest.to_string().as_bytes()).unwrap();
        writer
            .start_file(format!("{folder}/index.js"), options)
            .unwrap();
        writer.write_all(b"module.exports = 1;").unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn names(bytes: &[u8]) -> BTreeSet<String> {
    let archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    archive.file_names().map(str::to_owned).collect()
}

async fn send(
    app: &AppAdmin<'_>,
    method: &str,
    path: &str,
    file: &str,
    bytes: &[u8],
) -> (u16, String) {
    app.send_parts(method, path, FORM, &[("file", file, bytes)])
        .await
}

async fn install(app: &AppAdmin<'_>, file: &str, bytes: &[u8]) {
    let done = send(app, "PUT", "/dependencies", file, bytes).await;
    assert_eq!(done, (204, String::new()));
}

async fn status(app: &AppAdmin<'_>) -> (String, String) {
    let status = app
        .done(200, "GET", "/dependencies/status", json!(null))
        .await;
    let text = |name: &str| status[name].as_str().unwrap().to_owned();
    (text("status"), text("status_message"))
}

fn told(status: &str, message: &str) -> (String, String) {
    (status.to_owned(), message.to_owned())
}

async fn listed(app: &AppAdmin<'_>) -> Value {
    let all = app.done(200, "GET", "/dependencies", json!(null)).await;
    all["dependencies_list"].clone()
}

/// What is downloaded, and the name that it has.
async fn download(app: &AppAdmin<'_>, path: &str) -> (u16, String, Vec<u8>) {
    let admin = app.administrator;
    let path = format!("groups/{}/apps/{}{path}", admin.project, app.id);
    let (head, bytes) = admin
        .world
        .raw(Method::GET, &path, Some(&admin.token), None, b"")
        .await;
    let name = head.headers.get(header::CONTENT_DISPOSITION);
    let name = name.map_or("", |name| name.to_str().unwrap()).to_owned();
    (head.status.as_u16(), name, bytes)
}

#[tokio::test]
async fn an_archive_is_installed_compared_and_downloaded() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    assert_eq!(status(&app).await, told("", ""));
    assert_eq!(listed(&app).await, json!([]));
    let none = app.call("GET", "/dependencies/archive", json!(null)).await;
    assert_eq!(none.refusal(), (404, "DependenciesNotFound"));

    let first = archive(&[
        ("debug", "4.3.1"),
        ("@scope/ms", "2.1.2"),
        ("underscore", "1.9.1"),
    ]);
    install(&app, "node_modules.zip", &first).await;
    // The first who asks is told that it was made, and then what became of it.
    assert_eq!(status(&app).await, told("created", "processing request"));
    assert_eq!(status(&app).await, told("successful", ""));
    let all = app.done(200, "GET", "/dependencies", json!(null)).await;
    assert_eq!(
        all["dependencies_list"],
        json!([
            { "name": "@scope/ms", "version": "2.1.2" },
            { "name": "debug", "version": "4.3.1" },
            { "name": "underscore", "version": "1.9.1" },
        ])
    );
    assert_eq!(
        (&all["_id"], &all["location"]),
        (&json!(app.id), &json!("US-VA"))
    );
    assert!(all["last_modified"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(all["user_id"].as_str().unwrap().len(), 24);

    let (code, name, bytes) = download(&app, "/dependencies/archive").await;
    assert_eq!(
        (code, name.as_str()),
        (200, "attachment; filename=node_modules.zip")
    );
    assert_eq!(names(&bytes), names(&first));
    let (_, name, bytes) = download(&app, "/dependencies/export").await;
    assert_eq!(name, "attachment; filename=package.json");
    assert_eq!(
        serde_json::from_slice::<Value>(&bytes).unwrap(),
        json!({ "dependencies": { "@scope/ms": "2.1.2", "debug": "4.3.1", "underscore": "1.9.1" } })
    );

    let next = archive(&[
        ("twilio", "3.35.1"),
        ("@scope/ms", "2.1.2"),
        ("underscore", "1.9.2"),
    ]);
    let changes = json!({
        "added": [{ "name": "twilio", "version": "3.35.1" }],
        "deleted": [{ "name": "debug", "version": "4.3.1" }],
        "modified": [{ "name": "underscore", "version": "1.9.2", "previous_version": "1.9.1" }],
    });
    let manifest = json!({ "dependencies": { "twilio": "3.35.1", "@scope/ms": "2.1.2", "underscore": "1.9.2" } });
    for (file, bytes) in [
        ("node_modules.zip", next.clone()),
        ("package.json", manifest.to_string().into_bytes()),
    ] {
        let diff = send(&app, "POST", "/dependencies/diff", file, &bytes).await;
        assert_eq!(diff.0, 200, "{}", diff.1);
        assert_eq!(
            serde_json::from_str::<Value>(&diff.1).unwrap(),
            changes,
            "{file}"
        );
    }
    // Nothing was installed by that; the last upload wins.
    assert_eq!(listed(&app).await, all["dependencies_list"]);
    let done = send(&app, "POST", "/dependencies", "node_modules.zip", &next).await;
    assert_eq!(done.0, 204);
    assert_eq!(listed(&app).await.as_array().unwrap().len(), 3);
    assert_eq!(status(&app).await.0, "created");
    // No dependency at all is one, too.
    install(&app, "package.json", b"{}").await;
    assert_eq!(listed(&app).await, json!([]));
}

#[tokio::test]
async fn a_tar_archive_is_downloaded_as_a_zip() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let manifest = br#"{"version":"1.0.0"}"#;
    let mut tar = tar::Builder::new(Vec::new());
    let mut head = tar::Header::new_gnu();
    head.set_size(manifest.len() as u64);
    head.set_mode(0o644);
    tar.append_data(&mut head, "node_modules/a/package.json", &manifest[..])
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let gz = gz.finish().unwrap();
    for (file, bytes) in [("a.tar", &tar), ("a.tar.gz", &gz), ("a.tgz", &gz)] {
        install(&app, file, bytes).await;
        let (_, _, zip) = download(&app, "/dependencies/archive").await;
        assert_eq!(
            names(&zip),
            BTreeSet::from(["node_modules/a/package.json".to_owned()]),
            "{file}"
        );
    }
}

#[tokio::test]
async fn what_fails_leaves_what_is_installed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    // Before anything is installed, too.
    install(&app, "node_modules.zip", b"no archive").await;
    assert_eq!(status(&app).await.0, "created");
    let (state, why) = status(&app).await;
    assert_eq!(state, "failed");
    assert!(why.contains("no zip archive"), "{why}");
    assert_eq!(listed(&app).await, json!([]));

    install(&app, "node_modules.zip", &archive(&[("a", "1.0.0")])).await;
    let there = listed(&app).await;
    let by_name = br#"{"dependencies":{"debug":"4.3.1"}}"#;
    for (file, bytes, says) in [
        ("package.json", &by_name[..], "set BACKSTITCH_NPM_REGISTRY"),
        ("package.json", b"[]", "has to be an object"),
        ("a.zip", b"PK", "no zip archive"),
        ("a.tgz", b"x", "no tar archive"),
    ] {
        install(&app, file, bytes).await;
        assert_eq!(status(&app).await.0, "created");
        let (state, why) = status(&app).await;
        assert_eq!(state, "failed", "{file}");
        assert!(why.contains(says), "{why}");
        assert_eq!(listed(&app).await, there);
    }
    // What cannot be any is refused at once.
    for (file, bytes) in [
        ("a.exe", vec![]),
        ("", vec![]),
        ("a.zip", vec![0; kit::limit::DEPENDENCIES_BYTES_MAX + 1]),
    ] {
        for (method, path) in [("PUT", "/dependencies"), ("POST", "/dependencies/diff")] {
            let refused = send(&app, method, path, file, &bytes).await;
            assert_eq!(refused.0, 400, "{file}: {}", refused.1);
        }
    }
    let refused = send(&app, "POST", "/dependencies/diff", "a.zip", b"PK").await;
    assert_eq!(refused.0, 400);
    let none = app
        .send_parts("PUT", "/dependencies", FORM, &[("other", "a.zip", b"")])
        .await;
    assert_eq!(none.0, 400);
    assert_eq!(
        app.call("PUT", "/dependencies", json!({})).await.status,
        400
    );
    assert_eq!(listed(&app).await, there);
}

#[tokio::test]
async fn a_draft_tells_what_was_installed_since_and_readers_install_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    install(&app, "a.zip", &archive(&[("a", "1.0.0"), ("b", "1.0.0")])).await;
    let draft = app.made("/drafts", json!({})).await;
    let diff = format!("/drafts/{draft}/diff");
    let diff = async || {
        let diff = app.done(200, "GET", &diff, json!(null)).await;
        diff["dependencies_diff"].clone()
    };
    let nothing = json!({ "added": [], "deleted": [], "modified": [] });
    assert_eq!(diff().await, nothing);
    install(&app, "a.zip", &archive(&[("a", "2.0.0"), ("c", "1.0.0")])).await;
    let changes = json!({
        "added": [{ "name": "c", "version": "1.0.0" }],
        "deleted": [{ "name": "b", "version": "1.0.0" }],
        "modified": [{ "name": "a", "version": "2.0.0", "previous_version": "1.0.0" }],
    });
    assert_eq!(diff().await, changes);

    let reader = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &reader).await;
    let reading = AppAdmin {
        administrator: &reader,
        id: app.id.clone(),
    };
    let zip = archive(&[]);
    for method in ["PUT", "POST"] {
        let refused = send(&reading, method, "/dependencies", "a.zip", &zip).await;
        assert_eq!(refused.0, 403);
    }
    assert_eq!(listed(&reading).await, listed(&app).await);
}

/// A world that fetches packages from a registry.
async fn with_registry(registry: &Registry) -> World {
    let clock = Arc::new(SystemClock);
    let engine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
    World::on(engine, clock, Some(place(registry))).await
}

fn place(registry: &Registry) -> app::NpmRegistry {
    app::NpmRegistry::new(&registry.url, None).unwrap()
}

/// What became of the last upload, when it is known.
async fn outcome(app: &AppAdmin<'_>) -> (String, String) {
    loop {
        let now = status(app).await;
        if now.0 != "created" {
            return now;
        }
        assert_eq!(now.1, "processing request");
        tokio::task::yield_now().await;
    }
}

fn manifest(dependencies: &Value) -> Vec<u8> {
    json!({ "name": "functions", "dependencies": dependencies })
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn packages_are_installed_by_name() {
    let registry = Registry::start();
    let needs = |of: Value| json!({ "dependencies": of });
    registry.publish("debug", "4.3.1", needs(json!({ "ms": "2.1.2" })), &[]);
    registry.publish("@scope/a", "1.0.0", needs(json!({ "ms": "1" })), &[]);
    registry.publish("@scope/a", "1.2.0", needs(json!({ "ms": "1" })), &[]);
    registry.publish("ms", "1.0.0", json!({}), &[]);
    registry.publish("ms", "2.1.2", json!({}), &[]);
    let world = with_registry(&registry).await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    let file = manifest(&json!({ "debug": "4.3.1", "@scope/a": "^1.0.0" }));
    install(&app, "package.json", &file).await;
    assert_eq!(status(&app).await, told("created", "processing request"));
    assert_eq!(outcome(&app).await, told("successful", ""));
    // What was asked for is listed, what that needs is not.
    let there = json!([
        { "name": "@scope/a", "version": "1.2.0" }, { "name": "debug", "version": "4.3.1" },
    ]);
    assert_eq!(listed(&app).await, there);
    let (_, _, bytes) = download(&app, "/dependencies/archive").await;
    let packages = ["@scope/a", "@scope/a/node_modules/ms", "debug", "ms"];
    let mut all = BTreeSet::new();
    for package in packages {
        for file in ["index.js", "package.json"] {
            all.insert(format!("node_modules/{package}/{file}"));
        }
    }
    // The higher place is of whoever comes first.
    let nested = names(&bytes);
    let swapped: BTreeSet<String> = all
        .iter()
        .map(|name| name.replace("@scope/a/node_modules", "debug/node_modules"))
        .collect();
    assert!(nested == all || nested == swapped, "{nested:?}");
    let (_, _, export) = download(&app, "/dependencies/export").await;
    assert_eq!(
        serde_json::from_slice::<Value>(&export).unwrap(),
        json!({ "dependencies": { "@scope/a": "1.2.0", "debug": "4.3.1" } })
    );
    // The same file changes nothing, a narrower range does.
    let diff = send(&app, "POST", "/dependencies/diff", "package.json", &file).await;
    let nothing = json!({ "added": [], "deleted": [], "modified": [] });
    assert_eq!(serde_json::from_str::<Value>(&diff.1).unwrap(), nothing);
    let other = manifest(&json!({ "debug": "4.3.1", "@scope/a": "~1.0.0" }));
    let diff = send(&app, "POST", "/dependencies/diff", "package.json", &other).await;
    let modified =
        json!([{ "name": "@scope/a", "version": "~1.0.0", "previous_version": "1.2.0" }]);
    assert_eq!(
        serde_json::from_str::<Value>(&diff.1).unwrap()["modified"],
        modified
    );
    // One that cannot be had, and nothing of it is.
    for (bad, says) in [
        (
            json!({ "debug": "*", "none": "1" }),
            "none: the registry has no such package",
        ),
        (json!({ "debug": "^9" }), "debug has no version ^9"),
        (
            json!({ "debug": "github:a/b" }),
            "packages come from the registry only",
        ),
    ] {
        install(&app, "package.json", &manifest(&bad)).await;
        let (state, why) = outcome(&app).await;
        assert_eq!(state, "failed");
        assert!(why.contains(says), "{why}");
        assert_eq!(listed(&app).await, there);
    }
}

#[tokio::test]
async fn the_newest_upload_wins_while_another_goes_on() {
    let registry = Registry::start();
    registry.publish("a", "1.0.0", json!({}), &[]);
    registry.publish("b", "1.0.0", json!({}), &[]);
    let world = with_registry(&registry).await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    registry.hold(true);
    let asked = async |name: &str| {
        let path = format!("/npm/{name}");
        while !registry.requests().iter().any(|(asked, _)| *asked == path) {
            tokio::task::yield_now().await;
        }
    };
    // The upload does not wait for the registry, nor do questions.
    install(&app, "package.json", &manifest(&json!({ "a": "1" }))).await;
    asked("a").await;
    for _ in 0..3 {
        assert_eq!(status(&app).await, told("created", "processing request"));
    }
    install(&app, "package.json", &manifest(&json!({ "b": "1" }))).await;
    asked("b").await;
    registry.hold(false);
    assert_eq!(outcome(&app).await, told("successful", ""));
    assert_eq!(
        listed(&app).await,
        json!([{ "name": "b", "version": "1.0.0" }])
    );
    // An archive that comes meanwhile is the last word, too.
    registry.hold(true);
    registry.publish("c", "1.0.0", json!({}), &[]);
    install(&app, "package.json", &manifest(&json!({ "c": "1" }))).await;
    asked("c").await;
    install(&app, "a.zip", &archive(&[("d", "1.0.0")])).await;
    registry.hold(false);
    assert_eq!(status(&app).await.0, "created");
    assert_eq!(status(&app).await, told("successful", ""));
    // What was given up says nothing any more.
    assert_eq!(status(&app).await, told("successful", ""));
    assert_eq!(
        listed(&app).await,
        json!([{ "name": "d", "version": "1.0.0" }])
    );
}

#[tokio::test]
async fn an_install_that_a_crash_cut_off_has_failed() {
    let registry = Registry::start();
    registry.publish("a", "1.0.0", json!({}), &[]);
    let clock = Arc::new(SystemClock);
    let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
    let world = World::on(engine.clone(), clock.clone(), Some(place(&registry))).await;
    let operator = world.operator().await;
    let app = operator.app("shop").await;
    registry.hold(true);
    install(&app, "package.json", &manifest(&json!({ "a": "1" }))).await;
    assert_eq!(status(&app).await.0, "created");
    assert_eq!(status(&app).await.0, "created");
    // Another server on the same records: the first one is no more.
    let again = World::on(engine, clock, Some(place(&registry))).await;
    let there = again.core.app(&app.id).await.unwrap();
    let now = there.dependencies_status().await.unwrap();
    assert_eq!(now.status, "failed");
    assert!(
        now.message.contains("the server stopped"),
        "{}",
        now.message
    );
    // The one that does it knows better.
    assert_eq!(status(&app).await.0, "created");
    registry.hold(false);
}
