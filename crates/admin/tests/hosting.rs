//! Hosted files: what is uploaded, listed, moved and refused.

use serde_json::{Value, json};

use crate::{AppAdmin, World};

const HELLO_MD5: &str = "5d41402abc4b2a76b9719d911017c592";
const MIXED: &str = "multipart/mixed";

async fn upload(app: &AppAdmin<'_>, meta: Value, bytes: &[u8]) -> (u16, String) {
    let meta = meta.to_string();
    let parts: [(&str, &str, &[u8]); 2] = [("meta", "", meta.as_bytes()), ("file", "a.txt", bytes)];
    app.send_parts("PUT", "/hosting/assets/asset", MIXED, &parts)
        .await
}

async fn put(app: &AppAdmin<'_>, path: &str, text: &str) {
    let done = upload(app, json!({ "path": path }), text.as_bytes()).await;
    assert_eq!(done, (204, String::new()), "{path}");
}

async fn paths(app: &AppAdmin<'_>, query: &str) -> Vec<String> {
    let path = format!("/hosting/assets{query}");
    let list = app.done(200, "GET", &path, json!(null)).await;
    let list = list.as_array().unwrap().iter();
    list.map(|asset| asset["path"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_uploaded() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("site").await;
    assert_eq!(
        app.done(200, "GET", "/hosting/assets", json!(null)).await,
        json!([])
    );
    // The official CLI's metadata, and attributes that it gives.
    let attrs = json!([{ "name": "Content-Type", "value": "text/html" }]);
    let meta = json!({
        "appId": app.id, "path": "/index.html", "hash": HELLO_MD5, "size": {"$numberInt": "5"},
        "attrs": attrs, "last_modified": 0, "url": "",
    });
    assert_eq!(upload(&app, meta, b"hello").await.0, 204);
    let list = app
        .done(200, "GET", "/hosting/assets?recursive=true", json!(null))
        .await;
    let shown = &list[0];
    assert_eq!(
        (
            &shown["appId"],
            &shown["path"],
            &shown["hash"],
            &shown["size"],
            &shown["attrs"]
        ),
        (
            &json!(app.id),
            &json!("/index.html"),
            &json!(HELLO_MD5),
            &json!(5),
            &attrs
        )
    );
    assert!(shown["last_modified"].as_i64().unwrap() > 1_700_000_000);
    let one = "/hosting/assets/asset?path=/index.html";
    assert_eq!(app.done(200, "GET", one, json!(null)).await, *shown);

    // No attribute is added, and all are replaced.
    assert_eq!(
        upload(&app, json!({ "path": "/a b.css", "attrs": null }), b"")
            .await
            .0,
        204
    );
    let bare = app
        .done(
            200,
            "GET",
            "/hosting/assets/asset?path=%2Fa%20b.css",
            json!(null),
        )
        .await;
    assert_eq!((&bare["attrs"], &bare["size"]), (&json!([]), &json!(0)));
    assert!(bare["url"].as_str().unwrap().contains("/hosting/a%20b.css"));
    let others = json!([{ "name": "Cache-Control", "value": "no-store" }]);
    app.done(204, "PATCH", one, json!({ "attributes": others }))
        .await;
    let shown = app.done(200, "GET", one, json!(null)).await;
    assert_eq!((&shown["attrs"], &shown["size"]), (&others, &json!(5)));

    // Replaced, with form data, whose parts come in another order.
    let meta = json!({ "path": "/index.html" }).to_string();
    let parts: [(&str, &str, &[u8]); 2] = [
        ("file", "index.html", b"other"),
        ("meta", "", meta.as_bytes()),
    ];
    let form = "multipart/form-data";
    let done = app
        .send_parts("PUT", "/hosting/assets/asset?path=/elsewhere", form, &parts)
        .await;
    assert_eq!(done.0, 204);
    let shown = app.done(200, "GET", one, json!(null)).await;
    assert_ne!(shown["hash"], HELLO_MD5);
    assert_eq!(
        paths(&app, "?recursive=true").await,
        ["/a b.css", "/index.html"]
    );

    app.done(204, "DELETE", one, json!(null)).await;
    for (method, body) in [
        ("GET", json!(null)),
        ("DELETE", json!(null)),
        ("PATCH", json!({ "attributes": [] })),
    ] {
        let gone = app.call(method, one, body).await;
        assert_eq!(gone.refusal(), (404, "AssetNotFound"), "{method}");
        assert!(gone.body["error"].is_string());
    }
}

#[tokio::test]
async fn folders_are_listed_moved_copied_and_deleted() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("site").await;
    for path in [
        "/a.txt",
        "/img/1.png",
        "/img/2.png",
        "/img/big/3.png",
        "/img-4",
    ] {
        put(&app, path, path).await;
    }
    assert_eq!(paths(&app, "").await, ["/a.txt", "/img-4", "/img/"]);
    assert_eq!(
        paths(&app, "?prefix=/img/").await,
        ["/img/1.png", "/img/2.png", "/img/big/"]
    );
    assert_eq!(
        paths(&app, "?prefix=/img/&recursive=true").await,
        ["/img/1.png", "/img/2.png", "/img/big/3.png"]
    );
    let hash = |path: &'static str| {
        let app = &app;
        async move {
            let path = format!("/hosting/assets/asset?path={path}");
            app.done(200, "GET", &path, json!(null)).await["hash"].clone()
        }
    };
    let moved = hash("/img/1.png").await;
    for (body, then) in [
        (
            json!({ "move_from": "/img/1.png", "move_to": "/one.png" }),
            7,
        ),
        (json!({ "copy_from": "/one.png", "copy_to": "/two.png" }), 8),
    ] {
        app.done(204, "POST", "/hosting/assets", body).await;
        assert!(paths(&app, "?recursive=true").await.len() + 2 == then);
    }
    assert_eq!(hash("/one.png").await, moved);
    assert_eq!(hash("/two.png").await, moved);
    let folder = json!({ "move_from": "/img/", "move_to": "/pictures/" });
    app.done(204, "POST", "/hosting/assets", folder).await;
    assert_eq!(
        paths(&app, "?recursive=true").await,
        [
            "/a.txt",
            "/img-4",
            "/one.png",
            "/pictures/2.png",
            "/pictures/big/3.png",
            "/two.png"
        ]
    );
    for body in [
        json!({ "move_from": "/a.txt" }),
        json!({ "move_from": "/a.txt", "copy_to": "/b.txt" }),
        json!({ "move_from": "/a.txt", "move_to": "/../b" }),
        json!({ "move_from": "/a.txt", "move_to": "/b/" }),
        json!({ "move_from": "/pictures/", "move_to": "/pictures/in/" }),
        json!({ "copy_from": "/pictures/", "copy_to": "/pictures/" }),
        json!({}),
    ] {
        let refused = app.call("POST", "/hosting/assets", body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    let none = json!({ "copy_from": "/none", "copy_to": "/b" });
    let refused = app.call("POST", "/hosting/assets", none).await;
    assert_eq!(refused.refusal(), (404, "AssetNotFound"));
    app.done(
        204,
        "DELETE",
        "/hosting/assets/asset?path=/pictures/",
        json!(null),
    )
    .await;
    assert_eq!(
        paths(&app, "?recursive=true").await,
        ["/a.txt", "/img-4", "/one.png", "/two.png"]
    );
}

#[tokio::test]
async fn what_is_no_hosted_file_is_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("site").await;
    for meta in [
        json!({}),
        json!({ "path": 1 }),
        json!({ "path": "index.html" }),
        json!({ "path": "/" }),
        json!({ "path": "/dir/" }),
        json!({ "path": "/../../etc/passwd" }),
        json!({ "path": "/a/./b" }),
        json!({ "path": "/a//b" }),
        json!({ "path": "/a\\..\\b" }),
        json!({ "path": "/a\u{0}b" }),
        json!({ "path": format!("/{}", "x".repeat(1024)) }),
        json!({ "path": "/a", "hash": "00000000000000000000000000000000" }),
        json!({ "path": "/a", "size": 4 }),
        json!({ "path": "/a", "size": "5" }),
        json!({ "path": "/a", "attrs": {} }),
        json!({ "path": "/a", "attrs": [{ "name": "Set-Cookie", "value": "a=b" }] }),
        json!({ "path": "/a", "attrs": [{ "name": "Content-Type", "value": "a\r\nSet-Cookie: b" }] }),
        json!({ "path": "/a", "attrs": [
            { "name": "Content-Type", "value": "a" }, { "name": "content-type", "value": "b" },
        ] }),
        json!([]),
        json!(null),
    ] {
        let refused = upload(&app, meta.clone(), b"hello").await;
        assert_eq!(refused.0, 400, "{meta}: {}", refused.1);
    }
    let target = "/hosting/assets/asset";
    for (kind, parts) in [
        (
            "multipart/mixed",
            &[("meta", "", b"{\"path\":\"/a\"}" as &[u8])] as &[_],
        ),
        ("multipart/mixed", &[("file", "a", b"hello" as &[u8])]),
        (
            "multipart/mixed",
            &[("meta", "", b"{" as &[u8]), ("file", "a", b"x")],
        ),
        (
            "application/json",
            &[
                ("meta", "", b"{\"path\":\"/a\"}" as &[u8]),
                ("file", "a", b"x"),
            ],
        ),
        ("multipart/mixed", &[("x", "", b"" as &[u8]); 9]),
    ] {
        let refused = app.send_parts("PUT", target, kind, parts).await;
        assert_eq!(refused.0, 400, "{kind}: {}", refused.1);
    }
    let large = vec![0; kit::limit::HOSTED_FILE_BYTES_MAX + 1];
    let refused = upload(&app, json!({ "path": "/a" }), &large).await;
    assert_eq!(refused.0, 400);
    for path in [target, "/hosting/assets/asset?path="] {
        let refused = app.call("GET", path, json!(null)).await;
        assert_eq!(refused.refusal(), (400, "MissingParameter"));
    }
    let patch = "/hosting/assets/asset?path=/a";
    assert_eq!(app.call("PATCH", patch, json!({})).await.status, 400);
    assert_eq!(paths(&app, "?recursive=true").await, [""; 0]);
}

#[tokio::test]
async fn files_are_their_apps_own_and_readers_change_none() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, other) = (operator.app("one").await, operator.app("two").await);
    put(&app, "/a", "1").await;
    put(&other, "/b", "2").await;
    assert_eq!(paths(&app, "").await, ["/a"]);
    assert_eq!(paths(&other, "").await, ["/b"]);
    let reader = world.colleague("GROUP_READ_ONLY").await;
    let reader = world.administrator(&world.project, &reader).await;
    let reading = AppAdmin {
        administrator: &reader,
        id: app.id.clone(),
    };
    assert_eq!(paths(&reading, "").await, ["/a"]);
    let asset = "/hosting/assets/asset?path=/a";
    assert_eq!(upload(&reading, json!({ "path": "/c" }), b"").await.0, 403);
    for (method, path, body) in [
        ("DELETE", asset, json!(null)),
        ("PATCH", asset, json!({ "attributes": [] })),
        (
            "POST",
            "/hosting/assets",
            json!({ "copy_from": "/a", "copy_to": "/c" }),
        ),
        (
            "PUT",
            "/hosting/cache",
            json!({ "invalidate": true, "path": "/*" }),
        ),
    ] {
        let refused = reading.call(method, path, body).await;
        assert_eq!(refused.refusal(), (403, "Unauthorized"), "{method} {path}");
    }
    // The app's end is its files' end.
    operator
        .call("DELETE", &format!("/apps/{}", app.id), json!(null))
        .await;
    let state = &world.core.state;
    let left = state.assets.count(bson::doc! {}).await.unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn the_cache_is_invalidated_while_hosting_is_on() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("site").await;
    let all = json!({ "invalidate": true, "path": "/*" });
    let refused = app.call("PUT", "/hosting/cache", all.clone()).await;
    assert_eq!(
        (refused.status, &refused.body["error"]),
        (400, &json!("hosting is disabled"))
    );
    app.done(204, "PATCH", "/hosting/config", json!({ "enabled": true }))
        .await;
    app.done(204, "PUT", "/hosting/cache", all).await;
    for wrong in [
        json!({}),
        json!({ "invalidate": true }),
        json!({ "invalidate": false, "path": "/*" }),
        json!({ "invalidate": true, "path": "x" }),
    ] {
        let refused = app.call("PUT", "/hosting/cache", wrong.clone()).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_draft_tells_what_happened_to_hosted_files_since_it_was_opened() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = operator.app("site").await;
    for path in ["/kept", "/changed", "/gone", "/served-otherwise"] {
        put(&app, path, "1").await;
    }
    let draft = app.made("/drafts", json!({})).await;
    let diff = format!("/drafts/{draft}/diff");
    let hosting = async || {
        let diff = app.done(200, "GET", &diff, json!(null)).await;
        diff["hosting_files_diff"].clone()
    };
    assert_eq!(
        hosting().await,
        json!({ "added": [], "deleted": [], "modified": [] })
    );
    put(&app, "/changed", "2").await;
    put(&app, "/kept", "1").await;
    put(&app, "/new", "1").await;
    app.done(
        204,
        "DELETE",
        "/hosting/assets/asset?path=/gone",
        json!(null),
    )
    .await;
    app.done(
        204,
        "PATCH",
        "/hosting/assets/asset?path=/served-otherwise",
        json!({ "attributes": [{ "name": "Content-Type", "value": "a/b" }] }),
    )
    .await;
    let changes = json!({
        "added": ["/new"], "deleted": ["/gone"], "modified": ["/changed", "/served-otherwise"],
    });
    assert_eq!(hosting().await, changes);
    // They are not the draft's to take back.
    app.done(204, "DELETE", &format!("/drafts/{draft}"), json!(null))
        .await;
    assert_eq!(
        paths(&app, "").await,
        ["/changed", "/kept", "/new", "/served-otherwise"]
    );
}
