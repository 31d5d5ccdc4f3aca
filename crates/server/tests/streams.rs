//! Change streams over server-sent events.

use kit::limit;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{Ask, PATIENCE};
use crate::world::{Session, World, auth, session, watch};

/// An open stream.
pub(crate) struct Stream {
    socket: TcpStream,
    head: String,
    /// What has come and was not taken yet, without the chunks' frames.
    text: String,
}

impl Stream {
    pub(crate) async fn open(world: &World, ask: Ask) -> Self {
        let mut socket = TcpStream::connect(world.address).await.unwrap();
        socket.write_all(&ask.bytes()).await.unwrap();
        let head = crate::http::read_past(&mut socket, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let mut stream = Self {
            socket,
            head,
            text: String::new(),
        };
        // Bytes come before anything happens.
        assert_eq!(stream.block().await.as_deref(), Some(":"));
        stream
    }

    async fn of(world: &World, user: &Session) -> Self {
        Self::open(world, watch("").bearer(&user.access)).await
    }

    /// Text up to the next empty line; none at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let size = crate::http::read_past(&mut self.socket, "\r\n").await;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.socket.read_exact(&mut chunk).await.unwrap();
            if size == 0 {
                return None;
            }
            self.text
                .push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }

    /// The next event, past keep-alives.
    pub(crate) async fn event(&mut self) -> Option<String> {
        let event = async {
            loop {
                match self.block().await {
                    Some(comment) if comment.starts_with(':') => {}
                    block => return block,
                }
            }
        };
        let event = tokio::time::timeout(PATIENCE, event).await;
        event.expect("an event, or the end")
    }

    async fn told(&mut self) -> Value {
        let event = self.event().await.unwrap();
        let data = event
            .strip_prefix("data: ")
            .unwrap_or_else(|| panic!("{event}"));
        serde_json::from_str(
            &data
                .replace("%0A", "\n")
                .replace("%0D", "\r")
                .replace("%25", "%"),
        )
        .unwrap()
    }

    /// The error that ends the stream.
    async fn error(&mut self) -> Value {
        let event = self.event().await.unwrap();
        let data = event.strip_prefix("event: error\ndata: ");
        let error = serde_json::from_str(data.unwrap_or_else(|| panic!("{event}"))).unwrap();
        assert_eq!(self.event().await, None);
        error
    }
}

#[tokio::test]
async fn a_stream_opens_at_once_and_tells_what_its_user_may_see() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut stream = Stream::of(&world, &ada).await;
    for header in ["content-type: text/event-stream", "cache-control: no-cache"] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    assert!(stream.head.contains("x-appservices-request-id: "));
    assert_eq!(world.note(&bob, 1).await.status, 200);
    assert_eq!(world.note(&ada, 2).await.status, 200);
    let event = stream.told().await;
    assert_eq!(event["operationType"], "insert");
    assert_eq!(event["fullDocument"]["n"], json!({ "$numberInt": "2" }));
}

#[tokio::test]
async fn the_token_may_be_in_the_query_and_functions_do_not_see_it() {
    let world = World::new().await;
    let user = world.user("ada").await;
    for name in ["baas_at", "stitch_at"] {
        let ask = watch(&format!("&{name}={}", user.access));
        // Swift says that its empty body is a stream.
        let ask = ask.header("Content-Type", "text/event-stream");
        let mut stream = Stream::open(&world, ask).await;
        world.note(&user, 1).await;
        assert_eq!(stream.told().await["operationType"], "insert");
    }
    let legacy = watch("").bearer(&user.access);
    let legacy = String::from_utf8(legacy.bytes())
        .unwrap()
        .replace("baas_request", "stitch_request");
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    socket.write_all(legacy.as_bytes()).await.unwrap();
    let head = crate::http::read_past(&mut socket, "\r\n").await;
    assert!(head.contains("200"));
    let call = Ask::new(
        "POST",
        crate::world::of_app(&format!("functions/call?a=1&baas_at={}", user.access)),
    )
    .bearer(&user.access)
    .body(r#"{"name":"address"}"#);
    assert_eq!(world.send(call).await.json()[1], "a=1");
}

#[tokio::test]
async fn refusals_come_before_the_stream() {
    let world = World::new().await;
    let user = world.anonymous().await;
    for (ask, refusal) in [
        (watch(""), "401 MissingAuthReq"),
        (watch("&baas_at="), "401 InvalidSession"),
        (watch("&baas_at=x"), "401 InvalidSession"),
        // The query's wins, as the client meant it.
        (
            watch("&baas_at=x").bearer(&user.access),
            "401 InvalidSession",
        ),
    ] {
        assert_eq!(world.send(ask).await.refusal(), refusal);
    }
}

#[tokio::test]
async fn streams_end_with_their_session() {
    let world = World::new().await;
    let user = world.user("ada").await;
    let again = session(&world.by_password("ada", "correct horse").await);
    let mut one = Stream::of(&world, &user).await;
    let mut two = Stream::of(&world, &again).await;
    world
        .send(auth("DELETE", "session").bearer(&user.refresh))
        .await;
    assert_eq!(one.error().await["error_code"], "InvalidSession");
    // The user's other session goes on.
    world.note(&again, 1).await;
    assert_eq!(two.told().await["operationType"], "insert");
    world
        .app
        .set_user_disabled(&again.user_id, true)
        .await
        .unwrap();
    assert_eq!(two.error().await["error_code"], "InvalidSession");

    let user = world.user("bob").await;
    let mut stream = Stream::of(&world, &user).await;
    world
        .send(auth("DELETE", "delete").bearer(&user.access))
        .await;
    assert_eq!(stream.error().await["error_code"], "InvalidSession");
}

#[tokio::test]
async fn a_revoked_session_ends_its_streams_when_its_access_token_would_have() {
    let world = World::new().await;
    let user = world.user("ada").await;
    let mut stream = Stream::of(&world, &user).await;
    world.app.logout_user(&user.user_id).await.unwrap();
    world.note(&user, 1).await;
    assert_eq!(stream.told().await["operationType"], "insert");
    let again = session(&world.by_password("ada", "correct horse").await);
    let mut kept = Stream::of(&world, &again).await;
    world.clock.advance_ms(1_800_000);
    let fresh = world
        .send(auth("POST", "session").bearer(&again.refresh))
        .await;
    let again = Session {
        access: fresh.json()["access_token"].as_str().unwrap().to_owned(),
        ..again
    };
    world.note(&again, 2).await;
    assert_eq!(stream.error().await["error_code"], "InvalidSession");
    assert_eq!(kept.told().await["operationType"], "insert");
}

#[tokio::test]
async fn a_stream_of_a_deleted_app_ends() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let mut stream = Stream::of(&world, &user).await;
    world.core.delete_app(&world.app).await.unwrap();
    assert_eq!(stream.event().await, None);
    assert_eq!(world.with_access(&user.access).await, "404 AppNotFound");
}

#[tokio::test]
async fn a_user_holds_so_many_streams_and_others_hold_theirs() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut streams = Vec::new();
    for _ in 0..limit::USER_STREAMS_MAX {
        streams.push(Stream::of(&world, &ada).await);
    }
    let one_more = || watch("").bearer(&ada.access);
    let refused = world.send(one_more()).await;
    assert_eq!(refused.refusal(), "429 TooManyRequests");
    Stream::of(&world, &bob).await;
    // One that its client closes makes room, as soon as the server has seen it.
    drop(streams.pop());
    let open = async {
        loop {
            let mut socket = TcpStream::connect(world.address).await.unwrap();
            socket.write_all(&one_more().bytes()).await.unwrap();
            let status = crate::http::read_past(&mut socket, "\r\n").await;
            if status.contains("200") {
                break;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, open).await.is_ok());
}
