//! What answers may take, and what is sent.

use std::time::Duration;

use egress::{EgressError, HeaderValue, Limits, Method, Request, header};

use crate::server::{Answer, LIMITS, Server, allowing, ok, redirect};

const QUICK: Limits = Limits {
    time: Duration::from_millis(300),
    body_bytes: 1000,
    redirects: 3,
};

#[tokio::test]
async fn slow_and_endless_answers_end() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    let server = Server::start(|path| match path {
        "/silent" => Answer::Silent(String::new()),
        "/head" => Answer::Silent("HTTP/1.1 200 OK\r\nX-A: b\r\n".to_owned()),
        "/body" => Answer::Silent("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned()),
        "/endless" => Answer::Forever(HEAD.to_owned(), "a".repeat(100)),
        "/chunks" => Answer::Forever(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "1\r\na\r\n".to_owned(),
        ),
        "/announced" => {
            Answer::Silent("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n".to_owned())
        }
        "/headers" => Answer::Forever("HTTP/1.1 200 OK\r\n".to_owned(), "X-A: b\r\n".repeat(9)),
        "/short" => Answer::Whole("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned()),
        _ => Answer::Whole("SSH-2.0-OpenSSH_9.0\r\n".to_owned()),
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    for path in ["/silent", "/head", "/body"] {
        let error = http.send(Request::get(server.url(path)), QUICK).await;
        let late = EgressError::TimedOut(QUICK.time);
        assert_eq!(error.unwrap_err(), late, "{path}");
    }
    let patient = Limits {
        body_bytes: 1000,
        ..LIMITS
    };
    for path in ["/endless", "/chunks", "/announced"] {
        let error = http.send(Request::get(server.url(path)), patient).await;
        assert_eq!(error.unwrap_err(), EgressError::TooLarge(1000), "{path}");
    }
    for path in ["/headers", "/short", "/ssh"] {
        let error = http.send(Request::get(server.url(path)), patient).await;
        assert!(matches!(error, Err(EgressError::Broken { .. })), "{path}");
    }
    // The largest body that there may be.
    let server = Server::start(|_| ok(&"a".repeat(1000))).await;
    let answer = http.send(Request::get(server.url("/")), patient).await;
    assert_eq!(answer.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::start(|path| {
        let at: u32 = path.trim_start_matches('/').parse().unwrap();
        if at == 3 {
            return ok("three");
        }
        redirect(302, &format!("/{}", at + 1))
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let answer = http.send(Request::get(server.url("/0")), LIMITS).await;
    assert_eq!(answer.unwrap().body, "three");
    let error = http.send(Request::get(server.url("/4")), LIMITS).await;
    assert_eq!(error.unwrap_err(), EgressError::TooManyRedirects(3));
    let none = Limits {
        redirects: 0,
        ..LIMITS
    };
    let answer = http.send(Request::get(server.url("/0")), none).await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn a_packed_body_stays_packed() {
    // Eight bytes that say that they are packed are eight bytes.
    let server = Server::start(|_| {
        Answer::Whole(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\n12345678"
                .to_owned(),
        )
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let answer = http.send(Request::get(server.url("/")), LIMITS).await;
    assert_eq!(answer.unwrap().body, "12345678");
    let asked = server.asked().concat().to_lowercase();
    assert!(!asked.contains("accept-encoding"), "{asked}");
}

#[tokio::test]
async fn redirects_keep_what_browsers_keep() {
    let other = Server::start(|_| ok("other")).await;
    let there = other.url("/there");
    let server = Server::start(move |path| match path {
        "/307" => redirect(307, "/same"),
        "/302" => redirect(302, "/same"),
        "/303" => redirect(303, "/same"),
        "/away" => redirect(307, &there),
        _ => ok("same"),
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let post = |path: &str| {
        Request::form(server.url(path), &[("a", "b c"), ("d", "&")]).header(
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer secret"),
        )
    };
    for (path, method, body) in [
        ("/307", "POST /same", "a=b+c&d=%26"),
        ("/302", "GET /same", ""),
        ("/303", "GET /same", ""),
    ] {
        http.send(post(path), LIMITS).await.unwrap();
        let last = server.asked().pop().unwrap();
        assert!(last.starts_with(method), "{path}: {last}");
        let (head, sent) = last.split_once("\r\n\r\n").unwrap();
        assert_eq!(sent, body, "{path}");
        assert!(head.contains("Bearer secret"), "{path}");
        assert_eq!(head.contains("x-www-form"), !body.is_empty(), "{path}");
    }
    http.send(post("/away"), LIMITS).await.unwrap();
    let last = other.asked().pop().unwrap();
    assert!(last.starts_with("POST /there"), "{last}");
    assert!(last.ends_with("a=b+c&d=%26"), "{last}");
    assert!(!last.contains("secret"), "{last}");
    assert!(last.contains(&other.address.to_string()), "{last}");
}

#[tokio::test]
async fn headers_of_the_connection_are_not_the_writers() {
    let server = Server::start(|_| ok("")).await;
    let http = allowing(&["127.0.0.1"]);
    let mut request = Request::get(server.url("/a?b=c#fragment"));
    request.method = Method::PUT;
    request.body = "12345".into();
    for (name, value) in [
        (header::CONTENT_LENGTH, "3"),
        (header::TRANSFER_ENCODING, "chunked"),
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "h2c"),
        (header::EXPECT, "100-continue"),
    ] {
        request = request.header(name, HeaderValue::from_static(value));
    }
    http.send(request, LIMITS).await.unwrap();
    let asked = server.asked().concat();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 5"), "{head}");
    for left_out in ["chunked", "upgrade", "h2c", "100-continue"] {
        assert!(!head.contains(left_out), "{head}");
    }
    assert_eq!(body, "12345");
}
