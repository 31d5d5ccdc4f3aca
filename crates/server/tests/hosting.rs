//! Sites over HTTP: what an upload brought is served to anybody, by path.

use axum::http::header;
use serde_json::{Value, json};

use crate::http::{Ask, Reply, raw};
use crate::world::World;

const SITE: &str = "/app/fixture-abcde/hosting";

/// The address of the app in the Admin API, and an administrator's token.
async fn administrator(world: &World) -> (String, String) {
    let keys = app::Backstitch::new_key_pair();
    let project = &world.app.project_id;
    world.core.ensure_key(project, &keys).await.unwrap();
    let body = json!({ "username": keys.public_key, "apiKey": keys.private_key.expose() });
    let path = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
    let login = world
        .send(Ask::new("POST", path).body(body.to_string()))
        .await;
    let token = login.json()["access_token"].as_str().unwrap().to_owned();
    let place = format!("/api/admin/v3.0/groups/{project}/apps/{}", world.app.id);
    (place, token)
}

/// A site under construction.
struct Site<'w> {
    world: &'w World,
    place: String,
    token: String,
}

impl<'w> Site<'w> {
    async fn of(world: &'w World) -> Self {
        let (place, token) = administrator(world).await;
        Self {
            world,
            place,
            token,
        }
    }

    async fn ask(&self, method: &'static str, path: &str, body: &Value) -> Reply {
        let ask = Ask::new(method, format!("{}{path}", self.place)).bearer(&self.token);
        self.world.send(ask.body(body.to_string())).await
    }

    async fn enable(&self, config: Value) {
        let done = self.ask("PATCH", "/hosting/config", &config).await;
        assert_eq!(done.status, 204, "{}", done.text());
    }

    async fn upload(&self, path: &str, attrs: &Value, bytes: &[u8]) -> Reply {
        let meta = json!({ "path": path, "attrs": attrs, "size": bytes.len() }).to_string();
        let part =
            |name: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        let (meta_part, file_part) = (part("meta"), part("file"));
        let body = [
            meta_part.as_bytes(),
            meta.as_bytes(),
            b"\r\n",
            file_part.as_bytes(),
            bytes,
            b"\r\n--x--\r\n",
        ]
        .concat();
        let ask = Ask::new("PUT", format!("{}/hosting/assets/asset", self.place))
            .header("Content-Type", "multipart/mixed; boundary=x")
            .bearer(&self.token);
        self.world.send(ask.body(body)).await
    }

    async fn put(&self, path: &str, attrs: Value, bytes: &[u8]) {
        let done = self.upload(path, &attrs, bytes).await;
        assert_eq!(done.status, 204, "{path}: {}", done.text());
    }

    async fn get(&self, path: &str) -> Reply {
        self.world
            .send(Ask::new("GET", format!("{SITE}{path}")))
            .await
    }
}

#[tokio::test]
async fn files_are_served_by_their_paths() {
    let world = World::new().await;
    let site = Site::of(&world).await;
    site.enable(json!({ "enabled": true })).await;
    site.put("/index.html", json!(null), b"<h1>home</h1>").await;
    site.put("/docs/index.html", json!(null), b"docs").await;
    site.put("/a b/\u{fc}.js", json!(null), b"let a;").await;
    let typed = json!([
        { "name": "Content-Type", "value": "text/x-own" },
        { "name": "Cache-Control", "value": "max-age=60" },
    ]);
    site.put("/typed", typed, b"typed").await;
    let away = json!([{ "name": "Website-Redirect-Location", "value": "/docs/" }]);
    site.put("/old", away, b"").await;

    let home = site.get("/").await;
    assert_eq!((home.status, home.text().as_str()), (200, "<h1>home</h1>"));
    assert_eq!(
        home.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(home.header("cache-control"), Some("no-cache"));
    assert_eq!(home.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(site.get("/index.html").await.body, home.body);
    assert_eq!(site.get("/docs/").await.text(), "docs");
    assert_eq!(site.get("/a%20b/%C3%BC.js").await.text(), "let a;");
    let typed = site.get("/typed").await;
    assert_eq!(typed.header("content-type"), Some("text/x-own"));
    assert_eq!(typed.header("cache-control"), Some("max-age=60"));
    for (path, to) in [
        ("", "/app/fixture-abcde/hosting/"),
        ("/docs?a=1", "/app/fixture-abcde/hosting/docs/?a=1"),
        ("/old", "/app/fixture-abcde/hosting/docs/"),
    ] {
        let reply = site.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (301, Some(to)));
    }
    for missing in [
        "/none",
        "/docs/none",
        "/typed/",
        "/../typed",
        "/%2e%2e/typed",
        "/%00",
        "/Typed",
    ] {
        assert_eq!(site.get(missing).await.status, 404, "{missing}");
    }
    for path in [
        "/app/none-abcde/hosting/",
        "/app/fixture-abcde/hostingx",
        "/app/x",
    ] {
        let reply = world.send(Ask::new("GET", path)).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    let posted = world.send(Ask::new("POST", format!("{SITE}/"))).await;
    assert_eq!(
        (posted.status, posted.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[tokio::test]
async fn clients_ask_for_parts_and_for_what_changed() {
    let world = World::new().await;
    let site = Site::of(&world).await;
    site.enable(json!({ "enabled": true })).await;
    // Two whole pieces and a bit.
    let bytes: Vec<u8> = (0..2 * 1024 * 1024 + 100)
        .map(|n: u32| (n % 251) as u8)
        .collect();
    site.put("/film", json!(null), &bytes).await;
    let ask = |name: &str, value: &str| Ask::new("GET", format!("{SITE}/film")).header(name, value);
    let whole = site.get("/film").await;
    assert_eq!((whole.status, &whole.body), (200, &bytes));
    let tag = whole.header("etag").unwrap().to_owned();

    let same = world.send(ask("If-None-Match", &tag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), Some(tag.as_str()));
    assert_eq!(world.send(ask("If-None-Match", "\"x\"")).await.status, 200);
    let head = Ask::new("HEAD", format!("{SITE}/film")).header("Connection", "close");
    let head = raw(world.address, &head.bytes()).await;
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200 ") && head.ends_with("\r\n\r\n"));
    let length = format!("\r\ncontent-length: {}\r\n", bytes.len());
    assert!(head.contains(&length), "{head}");

    let piece = 1024 * 1024;
    for (range, first, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=1048570-1048580", piece - 6, piece + 5),
        ("bytes=2097152-", 2 * piece, bytes.len()),
        ("bytes=-5", bytes.len() - 5, bytes.len()),
    ] {
        let part = world.send(ask("Range", range)).await;
        assert_eq!(
            (part.status, &part.body[..]),
            (206, &bytes[first..end]),
            "{range}"
        );
        let told = format!("bytes {first}-{}/{}", end - 1, bytes.len());
        assert_eq!(part.header("content-range"), Some(told.as_str()));
    }
    let none = world.send(ask("Range", "bytes=9999999-")).await;
    assert_eq!(none.status, 416);
    let stale = ask("Range", "bytes=0-9").header("If-Range", "\"x\"");
    assert_eq!(world.send(stale).await.status, 200);
}

#[tokio::test]
async fn the_page_for_what_is_not_there() {
    let world = World::new().await;
    let site = Site::of(&world).await;
    site.put("/index.html", json!(null), b"app").await;
    // As some exports have it: the code is a text.
    for (code, status) in [(json!("200"), 200), (json!(404), 404)] {
        site.enable(json!({
            "enabled": true, "default_error_path": "/index.html", "default_response_code": code,
        }))
        .await;
        let page = site.get("/some/route?token=1").await;
        assert_eq!((page.status, page.text().as_str()), (status, "app"));
    }
}

#[tokio::test]
async fn a_site_that_is_off_shows_files_only_to_those_who_got_their_links() {
    let world = World::new().await;
    let site = Site::of(&world).await;
    site.put("/index.html", json!(null), b"hidden").await;
    site.put("/other.html", json!(null), b"other").await;
    assert_eq!(site.get("/index.html").await.status, 404);
    let list = site
        .ask("GET", "/hosting/assets?recursive=true", &json!(null))
        .await
        .json();
    let url = list[0]["url"].as_str().unwrap();
    let target = url.strip_prefix("http://backstitch.test").unwrap();
    // A client without a token follows it as it is.
    let given = world.send(Ask::new("GET", target)).await;
    assert_eq!((given.status, given.text().as_str()), (200, "hidden"));
    let other = target.replace("/index.html", "/other.html");
    assert_eq!(world.send(Ask::new("GET", other)).await.status, 404);
    site.enable(json!({ "enabled": true })).await;
    let list = site
        .ask("GET", "/hosting/assets?recursive=true", &json!(null))
        .await
        .json();
    let url = list[0]["url"].as_str().unwrap();
    assert_eq!(
        url,
        "http://backstitch.test/app/fixture-abcde/hosting/index.html"
    );
}

#[tokio::test]
async fn the_largest_file_is_taken_and_a_larger_body_is_not() {
    let world = World::new().await;
    let site = Site::of(&world).await;
    site.enable(json!({ "enabled": true })).await;
    // Text full of commas, which as JSON would be millions of values.
    let largest = vec![b','; kit::limit::HOSTED_FILE_BYTES_MAX];
    site.put("/largest", json!(null), &largest).await;
    let served = site.get("/largest").await;
    assert_eq!(
        served.header(header::CONTENT_LENGTH.as_str()),
        Some("26214400")
    );
    assert!(served.body == largest);
    let more = vec![0; kit::limit::HOSTED_FILE_BYTES_MAX + 1];
    let refused = site.upload("/more", &json!(null), &more).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let envelope = kit::limit::UPLOAD_ENVELOPE_BYTES_MAX;
    let more = vec![0; kit::limit::HOSTED_FILE_BYTES_MAX + envelope];
    let refused = site.upload("/more", &json!(null), &more).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
}
