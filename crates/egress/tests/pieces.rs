//! Bodies and connections that are read and written piece by piece.

use std::time::Duration;

use bytes::Bytes;
use egress::{
    EgressError, Exchange, HeaderValue, Http, Method, Patience, Request, Roots, Tls, header, upload,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Answer, Server, allowing, ok, redirect, settings};

const WAIT: Patience = Patience {
    first: None,
    pause: Duration::ZERO,
};

fn exchange() -> Exchange {
    Exchange {
        body_bytes: 10_000,
        redirects: 3,
        ..Exchange::default()
    }
}

/// A listener, and what is done with the first connection.
async fn once<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        work(stream).await;
    });
    port
}

#[tokio::test]
async fn an_answer_is_there_before_its_body() {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let port = once(async move |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let head = "HTTP/1.1 200 Fine indeed\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        gone.await.unwrap();
        let rest = "2\r\ncd\r\n0\r\nX-Sum: 4\r\n\r\n";
        stream.write_all(rest.as_bytes()).await.unwrap();
    })
    .await;
    let request = Request::get(format!("http://127.0.0.1:{port}/a"));
    let mut answer = allowing(&["127.0.0.1"])
        .open(request, exchange())
        .await
        .unwrap();
    assert_eq!(answer.reason.as_deref(), Some("Fine indeed"));
    assert_eq!(answer.url, format!("http://127.0.0.1:{port}/a"));
    let first = answer.read(1000, WAIT).await.unwrap();
    assert_eq!((&first.bytes[..], first.ended), (&b"ab"[..], false));
    // Nothing is there now, and waiting for it ends.
    let soon = Patience {
        first: Some(Duration::ZERO),
        pause: Duration::ZERO,
    };
    let none = answer.read(1000, soon).await.unwrap();
    assert_eq!((&none.bytes[..], none.ended), (&b""[..], false));
    go.send(()).unwrap();
    let patient = Patience {
        first: None,
        pause: Duration::from_secs(20),
    };
    let rest = answer.read(1000, patient).await.unwrap();
    assert_eq!((&rest.bytes[..], rest.ended), (&b"cd"[..], true));
    assert_eq!(answer.trailers["x-sum"], "4");
}

#[tokio::test]
async fn an_answer_is_read_to_its_limit() {
    let server = Server::start(|_| ok(&"a".repeat(10_001))).await;
    let http = allowing(&["127.0.0.1"]);
    let mut answer = http
        .open(Request::get(server.url("/")), exchange())
        .await
        .unwrap();
    let mut read = 0;
    let error = loop {
        match answer.read(100, WAIT).await {
            Ok(chunk) => read += chunk.bytes.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, EgressError::TooLarge(10_000));
    assert!(read <= 10_000, "{read}");
}

#[tokio::test]
async fn a_body_is_written_piece_by_piece() {
    let server = Server::start(|path| match path {
        "/303" => redirect(303, "/there"),
        "/307" => redirect(307, "/there"),
        _ => ok("taken"),
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let sent = async |path: &str, announced: Option<u64>| {
        let (writes, body) = upload(announced);
        let mut request = Request::get(server.url(path));
        request.method = Method::PUT;
        let exchange = Exchange {
            body: Some(body),
            ..exchange()
        };
        let writing = async {
            writes.write(Bytes::from_static(b"abc")).await?;
            writes.write(Bytes::from_static(b"de")).await?;
            writes.end().await
        };
        let (answer, _) = tokio::join!(http.open(request, exchange), writing);
        answer.map(|answer| answer.status.as_u16())
    };
    assert_eq!(sent("/", Some(5)).await, Ok(200));
    assert_eq!(sent("/303", Some(5)).await, Ok(200));
    let again = sent("/307", Some(5)).await;
    assert!(matches!(again, Err(EgressError::Url(_))), "{again:?}");
    for announced in [4, 6] {
        let error = sent("/", Some(announced)).await;
        assert!(
            matches!(error, Err(EgressError::Broken { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_no_whole_request() {
    let port = once(async |mut stream: TcpStream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all);
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    })
    .await;
    let (writes, body) = upload(None);
    let exchange = Exchange {
        body: Some(body),
        ..exchange()
    };
    let mut request = Request::get(format!("http://127.0.0.1:{port}/"));
    request.method = Method::POST;
    let http = allowing(&["127.0.0.1"]);
    let giving_up = async {
        writes.write(Bytes::from_static(b"half")).await.unwrap();
        drop(writes);
    };
    let (answer, ()) = tokio::join!(http.open(request, exchange), giving_up);
    assert!(matches!(answer.err(), Some(EgressError::Broken { .. })));
}

#[tokio::test]
async fn a_connection_may_become_another_protocols() {
    let port = once(async |mut stream: TcpStream| {
        let mut head = [0; 4096];
        let read = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
        assert!(head.contains("connection: upgrade"), "{head}");
        let switched =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello";
        stream.write_all(switched.as_bytes()).await.unwrap();
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(&asked).await.unwrap();
    })
    .await;
    let upgrade = HeaderValue::from_static("Upgrade");
    let request = Request::get(format!("http://127.0.0.1:{port}/"))
        .header(header::CONNECTION, upgrade)
        .header(header::UPGRADE, HeaderValue::from_static("echo"));
    let exchange = Exchange {
        upgrade: true,
        ..exchange()
    };
    let answer = allowing(&["127.0.0.1"])
        .open(request, exchange)
        .await
        .unwrap();
    assert_eq!(answer.status, 101);
    let connection = answer.upgraded().await.unwrap();
    let hello = connection.read(100, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(hello, "hello");
    connection.write(b"ping").await.unwrap();
    let echo = connection.read(100, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(echo, "ping");
    assert_eq!(connection.read(100, Duration::ZERO).await, Ok(None));
}

#[tokio::test]
async fn tcp_reads_and_writes() {
    let port = once(async |mut stream: TcpStream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all.reverse();
        stream.write_all(&all).await.unwrap();
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let connection = http.connect("127.0.0.1", port).await.unwrap();
    assert_eq!(connection.peer.unwrap().port(), port);
    connection.write(b"abc").await.unwrap();
    connection.end().await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = connection.read(2, Duration::ZERO).await.unwrap() {
        assert!(bytes.len() <= 2, "{bytes:?}");
        read.extend_from_slice(&bytes);
    }
    assert_eq!(read, b"cba");
}

#[tokio::test]
async fn closing_a_connection_ends_who_waits_for_it() {
    let port = once(async |mut stream: TcpStream| {
        // Until the other side is gone.
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    let connection = http.connect("127.0.0.1", port).await.unwrap();
    let (read, ()) = tokio::join!(connection.read(1, Duration::ZERO), async {
        connection.close();
    });
    assert!(matches!(
        read,
        Err(EgressError::Broken { code: "EPIPE", .. })
    ));
    assert!(connection.write(b"a").await.is_err());
}

#[tokio::test]
async fn tls_follows_on_tcp() {
    let (port, authority) = crate::secured::server().await;
    let roots = Roots::from_pem(authority.as_bytes()).unwrap();
    let http = allowing(&["127.0.0.1"]);
    let secured = async |name: &str, tls: Tls| {
        let plain = http.connect("127.0.0.1", port).await.unwrap();
        let (read, secured) = tokio::join!(
            plain.read(1, Duration::ZERO),
            http.secure(&plain, name, &tls)
        );
        // Whoever read the plain bytes got none of the secured ones.
        assert!(read.is_err());
        secured
    };
    let trusting = || Tls {
        roots: Some(roots.clone()),
        ..Tls::default()
    };
    let connection = secured("localhost", trusting()).await.unwrap();
    let how = connection.secured.as_ref().unwrap();
    assert_eq!(how.protocol, "TLSv1.3");
    assert!(how.cipher.starts_with("TLS_"), "{}", how.cipher);
    assert_eq!(how.certificates.len(), 1);
    connection.write(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let read = connection
        .read(1000, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    assert!(read.starts_with(b"HTTP/1.1 200"));
    for (name, tls, code) in [
        (
            "localhost",
            Tls::default(),
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        ),
        ("other.example", trusting(), "ERR_TLS_CERT_ALTNAME_INVALID"),
    ] {
        let error = secured(name, tls).await.err().unwrap();
        assert_eq!(error.code(), code, "{error}");
    }
    let unverified = Tls {
        unverified: true,
        ..Tls::default()
    };
    assert!(secured("other.example", unverified).await.is_ok());
}

#[tokio::test]
async fn one_request_may_trust_others() {
    let (port, authority) = crate::secured::server().await;
    let http = allowing(&["127.0.0.1"]);
    let asked = async |host: &str, tls: Option<Tls>, server_name: Option<&str>| {
        let exchange = Exchange {
            tls,
            server_name: server_name.map(str::to_owned),
            ..exchange()
        };
        let url = format!("https://{host}:{port}/");
        http.open(Request::get(url), exchange).await.map(|_| ())
    };
    let trusting = || {
        Some(Tls {
            roots: Some(Roots::from_pem(authority.as_bytes()).unwrap()),
            ..Tls::default()
        })
    };
    let unverified = Some(Tls {
        unverified: true,
        ..Tls::default()
    });
    assert_eq!(asked("localhost", trusting(), None).await, Ok(()));
    assert_eq!(
        asked("127.0.0.1", trusting(), Some("localhost")).await,
        Ok(())
    );
    assert_eq!(asked("127.0.0.1", unverified, None).await, Ok(()));
    for (host, tls, name) in [
        // What one request trusted is forgotten with it.
        ("localhost", None, None),
        ("127.0.0.1", trusting(), None),
        ("localhost", trusting(), Some("other.example")),
    ] {
        let error = asked(host, tls, name).await.unwrap_err();
        assert!(
            error.code().contains("ERIFY") || error.code().contains("ALTNAME"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn who_reads_gets_node_s_names_of_errors() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let http = Http::new(settings(&["127.0.0.1"]));
    let code = async |url: String| {
        let answer = http.open(Request::get(url), exchange()).await;
        match answer {
            Ok(mut answer) => answer.read(100, WAIT).await.unwrap_err().code(),
            Err(error) => error.code(),
        }
    };
    assert_eq!(
        code(format!("http://127.0.0.1:{port}/")).await,
        "ECONNREFUSED"
    );
    assert_eq!(code("http://10.1.1.1/".to_owned()).await, "EACCES");
    assert_eq!(
        code("http://nowhere.invalid/".to_owned()).await,
        "ENOTFOUND"
    );
    assert_eq!(code("nonsense".to_owned()).await, "ERR_INVALID_URL");
    let server = Server::start(|path| match path {
        "/ssh" => Answer::Whole("SSH-2.0-OpenSSH_9.0\r\n".to_owned()),
        "/short" => Answer::Whole("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned()),
        _ => Answer::Whole(String::new()),
    })
    .await;
    assert_eq!(code(server.url("/ssh")).await, "HPE_INVALID_CONSTANT");
    assert_eq!(code(server.url("/nothing")).await, "ECONNRESET");
    assert_eq!(code(server.url("/short")).await, "ECONNRESET");
}

#[tokio::test]
async fn a_target_is_sent_as_it_is() {
    let server = Server::start(|_| ok("here")).await;
    let http = allowing(&["127.0.0.1"]);
    for target in ["/a/../b//c?d='e'&f={g}|", "/%2e%2E/%7Ea?", "/", "*"] {
        let exchange = Exchange {
            target: Some(target.to_owned()),
            ..exchange()
        };
        let answer = http.open(Request::get(server.url("/x")), exchange).await;
        assert_eq!(answer.unwrap().status, 200, "{target}");
        let asked = server.asked().pop().unwrap();
        assert_eq!(asked.split(' ').nth(1), Some(target), "{asked}");
    }
    // None leads to another host.
    for target in [
        "//127.0.0.2/",
        "http://127.0.0.2/",
        "@127.0.0.2/",
        "/ HTTP/1.1\r\nX: y",
    ] {
        let exchange = Exchange {
            target: Some(target.to_owned()),
            ..exchange()
        };
        let answer = http.open(Request::get(server.url("/x")), exchange).await;
        if answer.is_ok() {
            let asked = server.asked().pop().unwrap();
            assert!(
                asked.contains(&format!("host: {}", server.address)),
                "{asked}"
            );
            assert_eq!(asked.split(' ').nth(1), Some(target), "{asked}");
        }
    }
}
