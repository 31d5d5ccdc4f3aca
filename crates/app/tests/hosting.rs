//! Hosted files and dependencies at rest: what a pushed directory brings, on
//! every server of the records, until nothing refers to it.

use std::sync::Arc;

use app::{App, Backstitch, Hosted, NewApp, Rejected, Settings};
use bson::doc;
use config::Files;
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::clock::FakeClock;

use crate::{author, settings};

const HOUR_MS: i64 = 3_600_000;

fn on(engine: &SharedEngine, clock: &Arc<FakeClock>) -> Settings {
    Settings {
        clock: clock.clone(),
        ..settings(engine.clone(), None)
    }
}

async fn world() -> (SharedEngine, Arc<FakeClock>, Arc<Backstitch>, Arc<App>) {
    let clock = Arc::new(FakeClock::at(1_700_000_000_000));
    let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
    let core = Backstitch::open(on(&engine, &clock)).await.unwrap();
    let new = NewApp {
        name: "site".to_owned(),
        client_app_id: Some("site-abcde".to_owned()),
        ..NewApp::default()
    };
    let app = core.create_app("p", new, &author()).await.unwrap();
    (engine, clock, core, app)
}

fn directory(files: &[(&str, &[u8])]) -> Files {
    let mut all = Files::default();
    all.insert("realm_config.json", br#"{"name":"site"}"#.to_vec());
    all.insert("hosting/config.json", br#"{"enabled":true}"#.to_vec());
    for (path, bytes) in files {
        all.insert(*path, bytes.to_vec());
    }
    all
}

async fn paths(app: &App) -> Vec<String> {
    let assets = app.assets("/", true).await.unwrap();
    assets.into_iter().map(|asset| asset.path).collect()
}

#[tokio::test]
async fn a_pushed_directory_brings_its_files() {
    let (engine, clock, _core, app) = world().await;
    let large = vec![7; app::PIECE_BYTES + 1];
    let files = directory(&[
        ("hosting/files/index.html", b"home"),
        ("hosting/files/img/large", &large),
        ("hosting/files/.DS_Store", b"x"),
        (
            "hosting/metadata.json",
            br#"[{"path":"/index.html","attrs":[{"name":"Cache-Control","value":"no-store"}]}]"#,
        ),
    ]);
    app.push(&files, &author()).await.unwrap();
    assert_eq!(paths(&app).await, ["/img/large", "/index.html"]);
    // They are no part of a revision.
    assert_eq!(app.pull().get("hosting/files/index.html"), None);
    assert!(!app.push(&files, &author()).await.unwrap().changed);

    // Another server of the same records, or this one after a restart.
    let again = Backstitch::open(on(&engine, &clock)).await.unwrap();
    let there = again.app_by_client_id("site-abcde").await.unwrap();
    let Hosted::File { asset, status } = there.hosted("/", None).await.unwrap() else {
        panic!("a redirect");
    };
    assert_eq!((asset.path.as_str(), status), ("/index.html", 200));
    assert_eq!(asset.attributes[0].value, "no-store");
    let Hosted::File { asset, .. } = there.hosted("/img/large", None).await.unwrap() else {
        panic!("a redirect");
    };
    let first = there.asset_piece(&asset, 0).await.unwrap();
    let second = there.asset_piece(&asset, 1).await.unwrap();
    assert_eq!((first.len(), second.len()), (app::PIECE_BYTES, 1));

    let fewer = directory(&[("hosting/files/other.html", b"other")]);
    app.push(&fewer, &author()).await.unwrap();
    assert_eq!(paths(&there).await, ["/other.html"]);
    // A directory without files says nothing of them.
    app.push(&directory(&[]), &author()).await.unwrap();
    assert_eq!(paths(&app).await, ["/other.html"]);
}

#[tokio::test]
async fn a_directory_with_bad_files_changes_nothing() {
    let (_engine, _clock, _core, app) = world().await;
    let before = app.release().revision.clone();
    for (path, bytes) in [
        ("hosting/metadata.json", &b"{"[..]),
        ("hosting/metadata.json", b"{}"),
        ("hosting/metadata.json", br#"[{"path":"/none"}]"#),
        (
            "hosting/metadata.json",
            br#"[{"path":"/a","attrs":[{"name":"Cookie","value":"x"}]}]"#,
        ),
        ("hosting/files/../b", b"x"),
    ] {
        let files = directory(&[("hosting/files/a", b"a"), (path, bytes)]);
        let refused = app.push(&files, &author()).await;
        assert!(
            matches!(refused, Err(Rejected::Findings(_) | Rejected::Problem(_))),
            "{path}"
        );
    }
    assert_eq!(app.release().revision, before);
    assert_eq!(paths(&app).await, [""; 0]);
}

#[tokio::test]
async fn bytes_that_nothing_refers_to_go_after_an_hour() {
    let (_engine, clock, core, app) = world().await;
    let put = async |path: &str, bytes: &[u8]| {
        let upload = app::Upload {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
            ..app::Upload::default()
        };
        app.upload_asset(upload).await.unwrap();
    };
    put("/replaced", b"1").await;
    put("/deleted", b"2").await;
    put("/moved", b"3").await;
    put("/copied", b"4").await;
    let bodies = &core.state.bodies;
    let body = async |path: &str| app.asset(path).await.unwrap().body;
    let gone = [body("/replaced").await, body("/deleted").await];
    let kept = [body("/moved").await, body("/copied").await];
    put("/replaced", b"5").await;
    app.delete_asset("/deleted").await.unwrap();
    app.copy_asset("/moved", "/there", true).await.unwrap();
    app.copy_asset("/copied", "/copy", false).await.unwrap();
    app.delete_asset("/copied").await.unwrap();
    // An upload that broke off.
    let now = kit::Clock::now_ms(&*clock);
    bodies.write(&app.id, "half", b"x", now).await.unwrap();
    core.tidy_bodies(now + HOUR_MS).await.unwrap();
    for id in &gone {
        assert!(bodies.piece(id, 0).await.unwrap().is_some());
    }
    core.tidy_bodies(now + HOUR_MS + 1).await.unwrap();
    for id in gone.iter().map(String::as_str).chain(["half"]) {
        assert!(bodies.piece(id, 0).await.unwrap().is_none());
    }
    for id in &kept {
        assert!(bodies.piece(id, 0).await.unwrap().is_some());
    }
    assert!(bodies.loose_before(i64::MAX, 10).await.unwrap().is_empty());
    core.delete_app(&app).await.unwrap();
    assert!(bodies.piece(&kept[0], 0).await.unwrap().is_none());
    assert_eq!(core.state.assets.count(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn hosted_files_have_a_limit() {
    let (engine, clock, core, app) = world().await;
    let many = kit::limit::HOSTED_FILES_MAX;
    let template = {
        let upload = app::Upload {
            path: "/first".to_owned(),
            ..app::Upload::default()
        };
        app.upload_asset(upload).await.unwrap();
        app.asset("/first").await.unwrap()
    };
    let records: Vec<app::Asset> = (1..many)
        .map(|n| app::Asset {
            id: format!("{}/{n}", app.id),
            path: format!("/{n}"),
            ..template.clone()
        })
        .collect();
    for some in records.chunks(5000) {
        core.state.assets.insert_many(some).await.unwrap();
    }
    // Another server, which has counted nothing yet.
    let other = Backstitch::open(on(&engine, &clock)).await.unwrap();
    let app = other.app(&app.id).await.unwrap();
    let upload = |path: &str, bytes: usize| app::Upload {
        path: path.to_owned(),
        bytes: vec![0; bytes],
        ..app::Upload::default()
    };
    let refused = app.upload_asset(upload("/more", 0)).await.unwrap_err();
    assert!(
        refused.message.contains("20000 files"),
        "{}",
        refused.message
    );
    // One that is there may be replaced.
    app.upload_asset(upload("/first", 1)).await.unwrap();
    app.delete_asset("/1").await.unwrap();
    app.upload_asset(upload("/more", 0)).await.unwrap();
}
