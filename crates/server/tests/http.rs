//! A plain HTTP/1.1 client that says exactly what a test wants it to say.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The status line's text.
    pub(crate) reason: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: vec![("Host".to_owned(), "backstitch.test".to_owned())],
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes of the request, on a connection that stays open.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target)];
        for (name, value) in &self.headers {
            lines.push(format!("{name}: {value}"));
        }
        if !self.body.is_empty() {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        let head = lines.join("\r\n");
        [head.as_bytes(), b"\r\n\r\n", &self.body].concat()
    }

    /// Sends the request on a connection of its own.
    pub(crate) async fn send(self, to: SocketAddr) -> Reply {
        let bytes = self.header("Connection", "close").bytes();
        let (reply, rest) = parse(&raw(to, &bytes).await);
        assert!(rest.is_empty(), "more than a reply");
        reply
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// `status code`, as tables of refusals have it; checks that an error is
    /// one as SDKs need it.
    pub(crate) fn refusal(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        let id = self.header("x-appservices-request-id").unwrap();
        let link = body["link"].as_str().unwrap();
        assert!(link.starts_with("http://backstitch.test/"), "{link}");
        assert!(link.ends_with(&format!("/logs?co_id={id}")), "{link}");
        assert!(!body["error"].as_str().unwrap().is_empty());
        let code = body["error_code"].as_str().unwrap_or("-");
        format!("{} {code}", self.status)
    }

    /// The error's text.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // A server that has refused already takes no more.
    let _ = stream.write_all(bytes).await;
    read_all(&mut stream).await
}

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Reads until the server closes.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "the server does not close: {}", all.len());
    all
}

/// Reads until what was read ends with `end`.
pub(crate) async fn read_past(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await;
        let read = read
            .unwrap_or_else(|_| panic!("nothing comes after {:?}", String::from_utf8_lossy(&all)));
        assert!(
            read.unwrap() > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&all)
        );
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

/// The first reply in bytes, and what comes after it.
pub(crate) fn parse(bytes: &[u8]) -> (Reply, Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no reply: {text:?}"));
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap().splitn(3, ' ').skip(1);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut reply = Reply {
        status: status.next().unwrap().parse().unwrap(),
        reason: status.next().unwrap_or_default().to_owned(),
        headers,
        body: Vec::new(),
    };
    let rest = &bytes[end + 4..];
    let length = reply
        .header("content-length")
        .map_or(0, |n| n.parse().unwrap());
    reply.body = rest[..length].to_vec();
    (reply, rest[length..].to_vec())
}
