//! Connections: heads that are attacks, clients that dawdle, leave, or read
//! nothing, and stopping in order.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{Ask, PATIENCE, parse, raw, read_all, read_past};
use crate::world::{World, call, of_app, watch};

/// A time that tests can wait for.
const SHORT: Duration = Duration::from_millis(100);

fn location() -> String {
    of_app("location")
}

#[tokio::test]
async fn heads_that_are_attacks_are_refused() {
    let world = World::with(|listening| listening.patience.head = SHORT).await;
    let path = location();
    let many: Vec<String> = (0..500).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many = many.concat();
    let large = format!("X-Large: {}\r\n", "x".repeat(200_000));
    let target = |length| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
    for (what, bytes, status) in [
        (
            "many headers",
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            431,
        ),
        (
            "a large header",
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n{large}\r\n"),
            431,
        ),
        ("a long target", target(70_000), 414),
        ("a longer target", target(200_000), 431),
        (
            "no host that can be",
            format!("GET {path} HTTP/1.1\r\nHost: a\"><script>\r\n\r\n"),
            400,
        ),
        (
            "a host with a path",
            format!("GET {path} HTTP/1.1\r\nHost: a/b\r\n\r\n"),
            400,
        ),
        (
            "two hosts",
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            400,
        ),
        (
            "an empty host",
            format!("GET {path} HTTP/1.1\r\nHost:\r\n\r\n"),
            400,
        ),
        (
            "a header of two lines",
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
            400,
        ),
        (
            "a name with a space",
            format!("GET {path} HTTP/1.1\r\nHost : a\r\n\r\n"),
            400,
        ),
        (
            "a null byte",
            format!("GET {path} HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
            400,
        ),
        ("no version", format!("GET {path}\r\n\r\n"), 400),
        (
            "a version of its own",
            format!("GET {path} HTTP/9.9\r\nHost: a\r\n\r\n"),
            400,
        ),
        ("no request", "hello\r\n\r\n".to_owned(), 400),
        (
            "TLS",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let (reply, rest) = parse(&raw(world.address, bytes.as_bytes()).await);
        assert_eq!((reply.status, rest.len()), (status, 0), "{what}");
    }
    // Another protocol is not answered in this one.
    let http2 = raw(world.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(http2.is_empty());
    let good = world.send(Ask::new("GET", path)).await;
    assert_eq!(good.status, 200);
}

#[tokio::test]
async fn the_reply_to_a_host_is_about_that_host() {
    let world = World::new().await;
    let reply = world
        .send(Ask::new("GET", location()).header("Host", "api.example:8080"))
        .await;
    let body = reply.json();
    assert_eq!(body["hostname"], "http://api.example:8080");
    assert_eq!(body["ws_hostname"], "ws://api.example:8080");
    // A proxy that nobody trusts is a client that lies.
    let forged = Ask::new("GET", location())
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "https");
    assert_eq!(
        world.send(forged.clone()).await.json()["hostname"],
        "http://backstitch.test"
    );

    let behind = World::with(|listening| {
        listening.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    assert_eq!(
        behind.send(forged.clone()).await.json()["hostname"],
        "https://evil.example"
    );
    assert_eq!(
        behind.send(forged.clone()).await.json()["ws_hostname"],
        "wss://evil.example"
    );

    let public = World::with(|listening| {
        listening.public_url = Some("https://api.example/".to_owned());
    })
    .await;
    assert_eq!(
        public.send(forged).await.json()["hostname"],
        "https://api.example"
    );
}

#[tokio::test]
async fn the_address_that_functions_see_cannot_be_forged() {
    let forged = |token: &str| {
        call(token, r#"{"name":"address"}"#).header("X-Forwarded-For", "6.6.6.6, 5.5.5.5")
    };
    let world = World::new().await;
    let user = world.anonymous().await;
    let seen = world.send(forged(&user.access)).await.json();
    assert_eq!(seen[0], "127.0.0.1");
    let behind = World::with(|listening| {
        listening.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let user = behind.anonymous().await;
    let seen = behind.send(forged(&user.access)).await.json();
    assert_eq!(seen[0], "5.5.5.5");
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_order() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let mut bytes = Vec::new();
    for n in 0..50 {
        let body = format!(r#"{{"name":"echo","arguments":[{n}]}}"#);
        bytes.extend(call(&user.access, body).bytes());
    }
    bytes.extend(
        Ask::new("GET", location())
            .header("Connection", "close")
            .bytes(),
    );
    let mut rest = raw(world.address, &bytes).await;
    for n in 0..50 {
        let (reply, more) = parse(&rest);
        assert_eq!(reply.json()[0]["$numberInt"], n.to_string());
        rest = more;
    }
    assert_eq!(parse(&rest).0.status, 200);
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let world = World::with(|listening| listening.patience.head = SHORT).await;
    for start in ["", "GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let all = read_all(&mut stream).await;
        assert!(all.is_empty() || parse(&all).0.status == 408, "{start}");
    }
    // Between two requests, too.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream
        .write_all(&Ask::new("GET", location()).bytes())
        .await
        .unwrap();
    let all = read_all(&mut stream).await;
    assert_eq!(parse(&all).0.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused() {
    let world = World::with(|listening| listening.patience.body = SHORT).await;
    let user = world.anonymous().await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: backstitch.test\r\nAuthorization: Bearer {}\r\n",
        of_app("functions/call"),
        user.access
    );
    for body in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ] {
        let bytes = raw(world.address, format!("{head}{body}").as_bytes()).await;
        let (reply, _) = parse(&bytes);
        assert_eq!(reply.refusal(), "400 BadRequest");
        assert_eq!(reply.error(), "the request body came too slowly");
    }
}

/// Waits until a number of the server is what it should be.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what} does not happen"));
}

async fn gauge(world: &World, name: &str) -> u64 {
    let to = world.listener.metrics_address.unwrap();
    let numbers = Ask::new("GET", "/metrics").send(to).await.text();
    let line = numbers
        .lines()
        .find(|line| line.starts_with(&format!("backstitch_{name} ")))
        .unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

fn with_metrics(listening: &mut server::Listening) {
    listening.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_call_along() {
    let world = World::with(with_metrics).await;
    let user = world.anonymous().await;
    for half in [false, true] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let endless = call(&user.access, r#"{"name":"endless"}"#);
        stream.write_all(&endless.bytes()).await.unwrap();
        until("the call", async || world.core.pool().running() == 1).await;
        if half {
            stream.shutdown().await.unwrap();
            assert!(read_all(&mut stream).await.is_empty());
        }
        drop(stream);
        until("the end of the call", async || {
            world.core.pool().running() == 0
        })
        .await;
        // The asking request is the one in flight.
        until("the count", async || {
            gauge(&world, "requests_in_flight").await == 1
        })
        .await;
        until("the close", async || {
            gauge(&world, "connections").await == 1
        })
        .await;
    }
    assert_eq!(world.with_access(&user.access).await, "200");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let world = World::with(|listening| {
        with_metrics(listening);
        listening.patience.write = SHORT;
    })
    .await;
    let user = world.anonymous().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let large = format!(
        r#"{{"name":"echo","arguments":["{}"]}}"#,
        "x".repeat(15 << 20)
    );
    stream
        .write_all(&call(&user.access, large).bytes())
        .await
        .unwrap();
    until("the cut", async || gauge(&world, "connections").await == 1).await;
    // What the sockets held arrives, the rest does not.
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    assert!(all.len() < 15 << 20);
}

#[tokio::test]
async fn a_stop_waits_for_calls_and_ends_streams() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let ask = watch("").bearer(&user.access);
    stream.write_all(&ask.bytes()).await.unwrap();
    read_past(&mut stream, ":\n\n\r\n").await;
    let idle = TcpStream::connect(world.address).await.unwrap();
    world.listener.shutdown().await;
    assert_eq!(read_all(&mut stream).await, b"0\r\n\r\n");
    drop(idle);
    assert!(TcpStream::connect(world.address).await.is_err());
}
