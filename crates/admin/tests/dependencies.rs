//! npm packages: uploaded, compared, exported, and how clients are told.

use std::collections::BTreeSet;
use std::io::{Cursor, Write as _};

use axum::http::{Method, header};
use serde_json::{Value, json};
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
        (
            "package.json",
            &by_name[..],
            "cannot fetch packages by name yet",
        ),
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
