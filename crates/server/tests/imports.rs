//! Whole configurations over HTTP, as the official CLI sends them: bodies in
//! chunks without a length, and none at all.

use std::fmt::Write as _;

use kit::limit;
use serde_json::{Value, json};

use crate::http::{Ask, Reply, parse, raw};
use crate::world::World;

const ADMIN: &str = "/api/admin/v3.0";

/// An administrator at the fixture's app.
struct Cli {
    world: World,
    token: String,
    app: String,
}

impl Cli {
    async fn new() -> Self {
        let world = World::new().await;
        let project = world.app.project_id.clone();
        let keys = app::Backstitch::new_key_pair();
        world.core.ensure_key(&project, &keys).await.unwrap();
        let body = json!({ "username": keys.public_key, "apiKey": keys.private_key.expose() });
        let path = format!("{ADMIN}/auth/providers/mongodb-cloud/login");
        let login = world
            .send(Ask::new("POST", path).body(body.to_string()))
            .await;
        let token = login.json()["access_token"].as_str().unwrap().to_owned();
        let app = format!("{ADMIN}/groups/{project}/apps/{}", world.app.id);
        Self { world, token, app }
    }

    fn ask(&self, method: &'static str, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.app))
            .bearer(&self.token)
            .header("X-BAAS-Request-Origin", "mongodb-baas-cli")
    }

    async fn get(&self, path: &str) -> Reply {
        self.world.send(self.ask("GET", path)).await
    }

    /// A request whose body comes in chunks of so many bytes.
    async fn chunked(&self, path: &str, body: &str, size: usize) -> Reply {
        let head = self
            .ask("POST", path)
            .header("Content-Type", "application/json")
            .header("Transfer-Encoding", "chunked")
            .header("Connection", "close");
        let mut text = String::from_utf8(head.bytes()).unwrap();
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(size.min(rest.len()));
            write!(text, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
            rest = more;
        }
        text.push_str("0\r\n\r\n");
        let reply = raw(self.world.address, text.as_bytes()).await;
        parse(&reply).0
    }
}

fn document(source: &str) -> Value {
    json!({
        "config_version": 20_210_101, "name": "fixture",
        "auth": { "providers": { "api-key": { "name": "api-key", "type": "api-key", "disabled": true } } },
        "functions": { "config": [{ "name": "added", "private": false }], "sources": { "added.js": source } },
        "endpoints": {}, "graphql": {}, "sync": {}, "secrets": {},
    })
}

const IMPORT: &str = "/import?strategy=replace-by-name";

#[tokio::test]
async fn a_push_in_chunks_goes_live_through_a_draft() {
    let cli = Cli::new().await;
    let body = document("exports = () => 'ünï';\n").to_string();
    let ascii = body.replace("ünï", "u");
    for size in [7, ascii.len()] {
        let diff = cli
            .chunked(&format!("{IMPORT}&diff=true"), &ascii, size)
            .await;
        assert_eq!(diff.status, 200, "{}", diff.text());
        assert!(!diff.json().as_array().unwrap().is_empty());
    }
    let draft = cli.world.send(cli.ask("POST", "/drafts")).await;
    assert_eq!(draft.status, 201, "{}", draft.text());
    let draft = format!("/drafts/{}", draft.json()["_id"].as_str().unwrap());
    let imported = cli.chunked(IMPORT, &body, 1_000_000).await;
    assert_eq!((imported.status, imported.body.len()), (204, 0));
    assert_eq!(imported.header("content-type"), None);
    let path = format!("{draft}/deployment");
    let made = cli.world.send(cli.ask("POST", &path).body("null")).await;
    assert_eq!(
        (made.status, made.json()["status"].as_str()),
        (201, Some("created"))
    );
    let path = format!("/deployments/{}", made.json()["_id"].as_str().unwrap());
    let deployed = cli.get(&path).await.json();
    assert_eq!(
        (&deployed["status"], &deployed["origin"]),
        (&json!("successful"), &json!("CLI"))
    );
    let pulled = cli.get("/pull").await.json();
    assert_eq!(pulled["functions"][0]["source"], "exports = () => 'ünï';\n");
    let again = cli
        .chunked(&format!("{IMPORT}&diff=true"), &body, 1_000_000)
        .await;
    assert_eq!(again.text(), "[]");
}

#[tokio::test]
async fn an_export_is_a_file_to_keep() {
    let cli = Cli::new().await;
    let export = cli
        .get("/export?version=20210101&source_control=true")
        .await;
    assert_eq!(export.status, 200);
    assert_eq!(export.header("content-type"), Some("application/zip"));
    // The clock of this server stands in November 2023.
    let name = "attachment; filename=\"fixture_20231114221320.zip\"";
    assert_eq!(export.header("content-disposition"), Some(name));
    assert!(export.body.starts_with(b"PK\x03\x04"));
    let described = cli.get("/description").await.json();
    let url = "http://backstitch.test/api/client/v2.0/app/fixture-abcde/graphql";
    assert_eq!(described["graphql"]["url"], url);
}

#[tokio::test]
async fn an_import_past_the_limit_changes_nothing() {
    let cli = Cli::new().await;
    let before = cli.get("/pull").await.json();
    let source = format!(
        "exports = () => 1; // {}",
        "x".repeat(limit::BODY_BYTES_MAX)
    );
    let refused = cli
        .chunked(IMPORT, &document(&source).to_string(), 1 << 20)
        .await;
    assert_eq!(refused.refusal(), "413 ReadSizeLimitExceeded");
    assert_eq!(cli.get("/pull").await.json(), before);
    let cut = cli.chunked(IMPORT, "{\"functions\": {", 4).await;
    assert_eq!(cut.refusal(), "400 BadRequest");
}
