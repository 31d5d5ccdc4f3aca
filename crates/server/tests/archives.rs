//! The operator's own doors: who opens them, and what comes in that is not
//! whole.

use engine::Collection;

use crate::http::{Ask, parse, raw};
use crate::world::World;

const DOORS: [(&str, &str); 4] = [
    ("GET", "backup"),
    ("POST", "restore"),
    ("GET", "export?db=shop&collection=notes"),
    ("POST", "import?db=shop&collection=notes"),
];

fn ask(method: &'static str, target: &str) -> Ask {
    Ask::new(method, format!("/api/admin/v3.0/data/{target}"))
}

/// The token of an administrator: the operator, or one of a project.
async fn token(world: &World, operator: bool) -> String {
    let pair = app::Backstitch::new_key_pair();
    let core = &world.core;
    core.ensure_key(&world.app.project_id, &pair).await.unwrap();
    let filter = bson::doc! { "public_key": &pair.public_key };
    let mut key = core.state.admin_keys.first(filter).await.unwrap().unwrap();
    key.operator = operator;
    core.state.admin_keys.put(&key).await.unwrap();
    let login = core.admin_login(&pair.public_key, pair.private_key.expose(), "");
    login.await.unwrap().access_token
}

/// Sends a request and reads a body in chunks; `None` for one that breaks off.
async fn streamed(world: &World, ask: Ask) -> (u16, Option<Vec<u8>>) {
    let bytes = raw(world.address, &ask.header("Connection", "close").bytes()).await;
    let (reply, mut rest) = parse(&bytes);
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (reply.status, None);
        };
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (reply.status, Some(body));
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest.drain(..end + 2 + size + 2);
    }
}

#[tokio::test]
async fn only_the_operator_moves_data() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let administrator = token(&world, false).await;
    for (method, door) in DOORS {
        let refused = async |ask: Ask| world.send(ask).await.refusal();
        let ask = || ask(method, door);
        assert_eq!(refused(ask()).await, "401 MissingAuthReq", "{door}");
        assert_eq!(refused(ask().bearer("x")).await, "401 InvalidSession");
        let user = ask().bearer(&user.access);
        assert_eq!(refused(user).await, "401 InvalidSession", "{door}");
        let administrator = ask().bearer(&administrator);
        assert_eq!(refused(administrator).await, "403 Unauthorized", "{door}");
    }
    let operator = token(&world, true).await;
    for (method, path, said) in [
        ("POST", "backup", "404 -"),
        ("GET", "nothing", "404 -"),
        ("GET", "backup?db=shop&db=other", "400 BadRequest"),
        ("GET", "backup?drop=true", "400 BadRequest"),
        ("GET", "backup?cluster=other", "400 InvalidParameter"),
        ("GET", "backup?db=shop&collection=nothing", "400 BadRequest"),
        ("GET", "export?db=shop", "400 BadRequest"),
        (
            "GET",
            "export?db=shop&collection=c&query=%7B",
            "400 BadRequest",
        ),
        (
            "GET",
            "export?db=shop&collection=c&query=%7B%22%24x%22%3A1%7D",
            "400 BadRequest",
        ),
        // Keys and sessions are no data.
        (
            "GET",
            "export?db=BACKSTITCH&collection=admin_keys",
            "403 Unauthorized",
        ),
        (
            "POST",
            "import?db=backstitch&collection=admin_keys",
            "403 Unauthorized",
        ),
    ] {
        let reply = world.send(ask(method, path).bearer(&operator)).await;
        assert_eq!(reply.refusal(), said, "{path}");
    }
}

#[tokio::test]
async fn a_backup_goes_in_again_whole_or_not_at_all() {
    let world = World::new().await;
    let operator = token(&world, true).await;
    let engine = &world.core.whole_cluster("").unwrap();
    let notes = Collection::new(engine, "shop", "notes");
    let documents: Vec<_> = (0..3000).map(|n| bson::rawdoc! { "_id": n }).collect();
    notes.insert_many(&documents).await.unwrap();
    let backup = ask("GET", "backup").bearer(&operator);
    let (status, stream) = streamed(&world, backup).await;
    let stream = stream.unwrap();
    assert_eq!(status, 200);
    let keys = Collection::new(engine, state::DATABASE, "admin_keys");
    let before = keys.count(bson::doc! {}).await.unwrap();
    notes.delete(bson::doc! {}, true).await.unwrap();
    let restore = |target: &str, bytes: &[u8]| ask("POST", target).bearer(&operator).body(bytes);
    for cut in [1, 700, stream.len() / 2, stream.len() - 1024] {
        let reply = world
            .send(restore("restore?drop=true", &stream[..cut]))
            .await;
        assert_eq!(reply.refusal(), "400 BadRequest", "{cut}: {}", reply.text());
        assert_eq!(notes.count(bson::doc! {}).await.unwrap(), 0, "{cut}");
    }
    let tried = world.send(restore("restore?dry-run=true", &stream)).await;
    assert_eq!(tried.status, 200);
    assert_eq!(notes.count(bson::doc! {}).await.unwrap(), 0);
    let reply = world.send(restore("restore?drop=true", &stream)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.json()["collections"],
        serde_json::json!([{
            "namespace": "shop.notes", "documents": 3000, "failed": 0, "indexes": 0,
        }])
    );
    assert_eq!(notes.count(bson::doc! {}).await.unwrap(), 3000);
    // The server's own records are in the backup, and stay as they are.
    assert_eq!(keys.count(bson::doc! {}).await.unwrap(), before);
    let text = String::from_utf8_lossy(&stream);
    let own = |database: &String| text.contains(&format!("{database}/admin_keys.bson"));
    assert!(world.core.closed_databases().iter().any(own));
    // Only what is asked for.
    for target in ["backup?data-only=true", "backup?db=shop"] {
        let (_, stream) = streamed(&world, ask("GET", target).bearer(&operator)).await;
        let stream = stream.unwrap();
        let text = String::from_utf8_lossy(&stream);
        assert!(text.contains("shop/notes.bson") && !text.contains("admin_keys"));
    }
}
