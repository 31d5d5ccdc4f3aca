//! What functions send to other machines: the operations behind Node's modules
//! `http`, `net`, `tls` and `dns`, and `fetch`. Requests, sockets and bodies
//! that stay open have handles, which end with the call.
//!
//! Not here: which addresses are connected to (`egress`).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use bytes::Bytes;
use egress::{
    Answer, Chunk, Connection, EgressError, Exchange, HeaderMap, HeaderName, HeaderValue, Http,
    Identity, Method, Patience, Request, Roots, Session, Tls, Upload, Uploaded, upload,
};
use js::HostError;
use kit::limit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes that one operation answers at most, about.
const READ_BYTES_MAX: usize = 256 * 1024;
/// The longest that more bytes are waited for, after some.
const PAUSE_MS_MAX: i64 = 1000;
/// Headers of one request.
const HEADERS_MAX: usize = 1000;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 20;
/// Longest name of a host.
const HOST_BYTES_MAX: usize = 255;

type Outcome<T> = Result<T, HostError>;

/// What one call has open.
pub(super) struct Network {
    http: Http,
    open: Mutex<Open>,
    /// Requests whose answers have not begun; others wait for them.
    asking: Semaphore,
    /// Sockets that are open.
    places: Arc<Semaphore>,
    /// Answers that are not read to their end.
    answers: Arc<Semaphore>,
    /// Numbers of operations that nobody waits for any more, also of such that
    /// have not begun yet.
    cancelled: watch::Sender<HashSet<i32>>,
}

#[derive(Default)]
struct Open {
    last: i32,
    over: bool,
    handles: HashMap<i32, Handle>,
    /// Of HTTP/2, by the numbers that the function gives them.
    sessions: HashMap<i32, Session>,
}

#[derive(Clone)]
enum Handle {
    Body(Arc<Reading>),
    Socket(Arc<Socket>),
    Upload(Arc<Writing>),
}

struct Reading {
    answer: tokio::sync::Mutex<Answer>,
    /// Of the call and of the server.
    _places: [OwnedSemaphorePermit; 2],
}

struct Socket {
    connection: Connection,
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

struct Writing {
    upload: Upload,
    /// Until a request takes it.
    body: Mutex<Option<Uploaded>>,
}

impl Network {
    /// With nothing open, for functions of an app that send with `http`.
    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            open: Mutex::default(),
            asking: Semaphore::new(limit::CALL_SOCKETS_MAX),
            places: Arc::new(Semaphore::new(limit::CALL_SOCKETS_MAX)),
            answers: Arc::new(Semaphore::new(limit::CALL_ANSWERS_MAX)),
            cancelled: watch::Sender::default(),
        }
    }

    /// Closes everything; nothing is opened any more.
    pub(super) fn finish(&self) {
        let mut open = self.open();
        open.over = true;
        open.sessions.clear();
        for (_, handle) in open.handles.drain() {
            if let Handle::Socket(socket) = handle {
                socket.connection.close();
            }
        }
    }

    /// Answers an operation; `None` when it is none of these. One that carries a
    /// number `cancel` ends when that number is cancelled.
    pub(super) async fn call(
        &self,
        operation: &str,
        asked: &RawDocument,
    ) -> Option<Outcome<RawBson>> {
        if operation == "net.cancel" {
            return Some(self.cancel(asked));
        }
        let Ok(number) = asked.get_i32("cancel") else {
            return self.run(operation, asked).await;
        };
        let mut cancelled = self.cancelled.subscribe();
        tokio::select! {
            biased;
            _ = cancelled.wait_for(|all| all.contains(&number)) => {
                Some(Err(failed("ECANCELED", "the operation was cancelled")))
            }
            answer = self.run(operation, asked) => answer,
        }
    }

    fn cancel(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let number = asked.get_i32("cancel").map_err(invalid)?;
        self.cancelled.send_modify(|all| {
            all.insert(number);
        });
        if asked.get_i32("handle").is_ok() {
            self.close(asked)?;
        }
        Ok(RawBson::Null)
    }

    async fn run(&self, operation: &str, asked: &RawDocument) -> Option<Outcome<RawBson>> {
        Some(match operation {
            "http.request" => self.request(asked).await,
            "http.upload" => self.upload(asked),
            "net.connect" => self.connect(asked).await,
            "net.secure" => self.secure(asked).await,
            "net.read" => self.read(asked).await,
            "net.write" => self.write(asked).await,
            "net.end" => self.end(asked).await,
            "net.close" => self.close(asked),
            "dns.lookup" => self.lookup(asked).await,
            _ => return None,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, handle: Handle) -> Outcome<i32> {
        let mut open = self.open();
        if open.over {
            return Err(failed("ECANCELED", "the call is over"));
        }
        open.last += 1;
        let number = open.last;
        open.handles.insert(number, handle);
        Ok(number)
    }

    fn handle(&self, asked: &RawDocument) -> Outcome<Handle> {
        let number = asked.get_i32("handle").map_err(invalid)?;
        let found = self.open().handles.get(&number).cloned();
        found.ok_or_else(|| failed("EBADF", "it is closed"))
    }

    fn place(&self) -> Outcome<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            let most = limit::CALL_SOCKETS_MAX;
            let text = format!("a function may have {most} connections open at once");
            failed("EMFILE", &text)
        })
    }

    /// A request: the answer's head, with as much of the body as is there at
    /// once, and a handle for the rest.
    async fn request(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let request = Request {
            method: text(asked, "method")?.parse::<Method>().map_err(invalid)?,
            url: text(asked, "url")?.to_owned(),
            headers: headers(asked)?,
            body: bytes(asked, "body"),
        };
        let body = match asked.get_i32("upload") {
            Err(_) => None,
            Ok(number) => {
                let found = self.open().handles.get(&number).cloned();
                let Some(Handle::Upload(writing)) = found else {
                    return Err(failed("EBADF", "there is no such body"));
                };
                let mut body = writing.body.lock().unwrap_or_else(PoisonError::into_inner);
                Some(
                    body.take()
                        .ok_or_else(|| failed("EBADF", "the body is sent already"))?,
                )
            }
        };
        let (tls, server_name) = (tls(asked)?, asked.get_str("serverName").ok());
        let session = match asked.get_i32("session") {
            Ok(number) => Some(self.session(number, tls.as_ref(), server_name).await?),
            Err(_) => None,
        };
        let redirects = asked.get_i32("redirects").unwrap_or(0).max(0) as usize;
        let exchange = Exchange {
            body,
            redirects: redirects.min(REDIRECTS_MAX),
            body_bytes: limit::CALL_ANSWER_BYTES_MAX,
            tls,
            server_name: server_name.map(str::to_owned),
            upgrade: asked.get_bool("upgrade").unwrap_or(false),
            target: asked.get_str("target").ok().map(str::to_owned),
            session,
        };
        let (place, answer) = {
            let _asking = self.asking.acquire().await.map_err(invalid)?;
            let place = self.http.place().map_err(thrown)?;
            let answer = self.http.open(request, exchange).await;
            (place, answer.map_err(thrown)?)
        };
        self.answered(answer, place, pause(asked)).await
    }

    /// The session of HTTP/2 with this number, new at its first request.
    async fn session(
        &self,
        number: i32,
        tls: Option<&Tls>,
        server_name: Option<&str>,
    ) -> Outcome<Session> {
        if let Some(session) = self.open().sessions.get(&number) {
            return Ok(session.clone());
        }
        let made = self.http.session(tls, server_name).await.map_err(thrown)?;
        let mut open = self.open();
        if open.over {
            return Err(failed("ECANCELED", "the call is over"));
        }
        // What is under way on the others goes on, and what is idle ends.
        if open.sessions.len() >= limit::CALL_SOCKETS_MAX {
            open.sessions.clear();
        }
        Ok(open.sessions.entry(number).or_insert(made).clone())
    }

    async fn answered(
        &self,
        mut answer: Answer,
        place: OwnedSemaphorePermit,
        pause: Duration,
    ) -> Outcome<RawBson> {
        let mut told = rawdoc! {
            "status": i32::from(answer.status.as_u16()),
            "version": answer.version,
            "url": answer.url.as_str(),
            "headers": pairs(&answer.headers),
        };
        if let Some(reason) = &answer.reason {
            told.append(cstr!("reason"), reason.as_str());
        }
        if answer.status == 101 {
            let place = self.place()?;
            let connection = answer.upgraded().await.map_err(thrown)?;
            self.tell_socket(&mut told, connection, Some(place))?;
            return Ok(told.into());
        }
        let patience = Patience {
            first: Some(pause),
            pause,
        };
        match answer.read(READ_BYTES_MAX, patience).await {
            Ok(chunk) => tell(&mut told, chunk, &answer),
            // Whoever reads the body is told.
            Err(error) => {
                told.append(cstr!("broken"), error.to_string());
                told.append(cstr!("code"), error.code());
                return Ok(told.into());
            }
        }
        if !told.get_bool("ended").unwrap_or(false) {
            let own = self.answers.clone().try_acquire_owned();
            let own = own.map_err(|_| failed("EMFILE", "too many answers are left unread"))?;
            let reading = Reading {
                _places: [own, place],
                answer: answer.into(),
            };
            told.append(cstr!("handle"), self.keep(Handle::Body(Arc::new(reading)))?);
        }
        Ok(told.into())
    }

    /// A request's body that will be written.
    fn upload(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let announced = match asked.get("bytes") {
            Ok(Some(RawBsonRef::Int32(n))) => u64::try_from(n).ok(),
            Ok(Some(RawBsonRef::Double(n))) if n >= 0.0 => Some(n as u64),
            _ => None,
        };
        let uploads = |open: &Open| {
            let is_upload = |handle: &&Handle| matches!(handle, Handle::Upload(_));
            open.handles.values().filter(is_upload).count()
        };
        if uploads(&self.open()) >= limit::CALL_SOCKETS_MAX {
            return Err(failed("EMFILE", "too many requests are being written"));
        }
        let (upload, body) = upload(announced);
        let writing = Writing {
            upload,
            body: Mutex::new(Some(body)),
        };
        let number = self.keep(Handle::Upload(Arc::new(writing)))?;
        Ok(rawdoc! { "handle": number }.into())
    }

    async fn connect(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let host = host(asked)?;
        let port = asked.get_i32("port").map_err(invalid)?;
        let port = u16::try_from(port).map_err(invalid)?;
        let place = self.place()?;
        let mut connection = self.http.connect(host, port).await.map_err(thrown)?;
        if let Some(tls) = tls(asked)? {
            let name = asked.get_str("serverName").unwrap_or(host);
            connection = self
                .http
                .secure(&connection, name, &tls)
                .await
                .map_err(thrown)?;
        }
        let mut told = RawDocumentBuf::new();
        self.tell_socket(&mut told, connection, Some(place))?;
        Ok(told.into())
    }

    /// TLS over a socket: the plain one's handle is closed.
    async fn secure(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let Handle::Socket(plain) = self.handle(asked)? else {
            return Err(failed("EBADF", "that is no socket"));
        };
        let tls = tls(asked)?.unwrap_or_default();
        let name = text(asked, "serverName")?;
        let secured = self.http.secure(&plain.connection, name, &tls).await;
        self.close(asked)?;
        let place = plain
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut told = RawDocumentBuf::new();
        self.tell_socket(&mut told, secured.map_err(thrown)?, place)?;
        Ok(told.into())
    }

    fn tell_socket(
        &self,
        told: &mut RawDocumentBuf,
        connection: Connection,
        place: Option<OwnedSemaphorePermit>,
    ) -> Outcome<()> {
        for (name, end) in [
            (cstr!("local"), connection.local),
            (cstr!("remote"), connection.peer),
        ] {
            if let Some(end) = end {
                told.append(name, address(end));
            }
        }
        if let Some(how) = &connection.secured {
            let mut certificates = RawArrayBuf::new();
            for certificate in &how.certificates {
                certificates.push(binary(certificate));
            }
            let alpn = String::from_utf8_lossy(&how.alpn).into_owned();
            told.append(
                cstr!("secured"),
                rawdoc! {
                    "protocol": how.protocol.as_str(), "cipher": how.cipher.as_str(),
                    "alpn": alpn, "certificates": certificates,
                },
            );
        }
        let socket = Socket {
            connection,
            place: Mutex::new(place),
        };
        told.append(
            cstr!("handle"),
            self.keep(Handle::Socket(Arc::new(socket)))?,
        );
        Ok(())
    }

    /// What is there of a body or on a socket.
    async fn read(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let pause = pause(asked);
        let mut told = RawDocumentBuf::new();
        match self.handle(asked)? {
            Handle::Body(reading) => {
                let mut answer = reading.answer.lock().await;
                let patience = Patience { first: None, pause };
                let chunk = answer.read(READ_BYTES_MAX, patience).await;
                if !chunk.as_ref().is_ok_and(|chunk| !chunk.ended) {
                    self.close(asked)?;
                }
                tell(&mut told, chunk.map_err(thrown)?, &answer);
            }
            Handle::Socket(socket) => {
                let read = socket.connection.read(READ_BYTES_MAX, pause).await;
                match read.map_err(thrown)? {
                    Some(bytes) => told.append(cstr!("bytes"), binary(&bytes)),
                    None => told.append(cstr!("ended"), true),
                }
            }
            Handle::Upload(_) => return Err(failed("EBADF", "that is not read")),
        }
        Ok(told.into())
    }

    async fn write(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let bytes = bytes(asked, "bytes");
        match self.handle(asked)? {
            Handle::Upload(writing) => writing.upload.write(bytes).await,
            Handle::Socket(socket) => socket.connection.write(&bytes).await,
            Handle::Body(_) => return Err(failed("EBADF", "that is not written")),
        }
        .map_err(thrown)?;
        Ok(RawBson::Null)
    }

    async fn end(&self, asked: &RawDocument) -> Outcome<RawBson> {
        match self.handle(asked)? {
            Handle::Upload(writing) => {
                let ended = writing.upload.end().await;
                self.close(asked)?;
                ended
            }
            Handle::Socket(socket) => socket.connection.end().await,
            Handle::Body(_) => return Err(failed("EBADF", "that is not written")),
        }
        .map_err(thrown)?;
        Ok(RawBson::Null)
    }

    fn close(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let number = asked.get_i32("handle").map_err(invalid)?;
        if let Some(Handle::Socket(socket)) = self.open().handles.remove(&number) {
            socket.connection.close();
        }
        Ok(RawBson::Null)
    }

    /// The addresses of a name, of which only those are told that may be
    /// connected to: names of the machines around are none of a function's
    /// business.
    async fn lookup(&self, asked: &RawDocument) -> Outcome<RawBson> {
        let host = host(asked)?;
        let unknown = |_| failed("ENOTFOUND", &format!("getaddrinfo ENOTFOUND {host}"));
        let found = self.http.addresses(host).await.map_err(unknown)?;
        let mut addresses = RawArrayBuf::new();
        for address in found {
            addresses.push(address.to_string());
        }
        Ok(RawBson::Array(addresses))
    }
}

fn failed(code: &str, message: &str) -> HostError {
    HostError {
        code: code.to_owned(),
        ..HostError::new(message)
    }
}

fn invalid(error: impl std::fmt::Display) -> HostError {
    failed("ERR_INVALID_ARG_VALUE", &error.to_string())
}

fn thrown(error: EgressError) -> HostError {
    failed(error.code(), &error.to_string())
}

fn text<'d>(asked: &'d RawDocument, name: &str) -> Outcome<&'d str> {
    asked.get_str(name).map_err(invalid)
}

fn host(asked: &RawDocument) -> Outcome<&str> {
    let host = text(asked, "host")?;
    if host.is_empty() || host.len() > HOST_BYTES_MAX || host.contains('\0') {
        return Err(failed("ENOTFOUND", "that is no name of a host"));
    }
    Ok(host)
}

fn bytes(asked: &RawDocument, name: &str) -> Bytes {
    match asked.get(name) {
        Ok(Some(RawBsonRef::Binary(binary))) => Bytes::copy_from_slice(binary.bytes),
        _ => Bytes::new(),
    }
}

fn pause(asked: &RawDocument) -> Duration {
    let asked = asked.get_i32("pause").unwrap_or(0);
    Duration::from_millis(i64::from(asked).clamp(0, PAUSE_MS_MAX) as u64)
}

fn binary(bytes: &[u8]) -> RawBson {
    RawBson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    })
}

/// A request's headers, `[name, value]` each; a value is Latin-1, as in Node.
fn headers(asked: &RawDocument) -> Outcome<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in asked.get_array("headers").map_err(invalid)? {
        let pair = pair.map_err(invalid)?;
        let pair = pair
            .as_array()
            .ok_or_else(|| invalid("a header is a pair"))?;
        let part = |index| pair.get_str(index).map_err(invalid);
        let name = part(0)?;
        let shown = || failed("ERR_INVALID_HTTP_TOKEN", "that is no name of a header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| shown())?;
        let latin: Option<Vec<u8>> = part(1)?.chars().map(|c| u8::try_from(c).ok()).collect();
        let value = latin.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let value = value.ok_or_else(|| {
            let text = format!("Invalid character in header content [\"{name}\"]");
            failed("ERR_INVALID_CHAR", &text)
        })?;
        if headers.len() >= HEADERS_MAX {
            return Err(invalid("too many headers"));
        }
        headers.append(name, value);
    }
    Ok(headers)
}

/// Headers as an answer tells them.
fn pairs(headers: &HeaderMap) -> RawArrayBuf {
    let mut pairs = RawArrayBuf::new();
    for (name, value) in headers {
        let latin: String = value.as_bytes().iter().copied().map(char::from).collect();
        let mut pair = RawArrayBuf::new();
        pair.push(name.as_str());
        pair.push(latin);
        pairs.push(pair);
    }
    pairs
}

/// Some of a body, and at its end what comes after it.
fn tell(told: &mut RawDocumentBuf, chunk: Chunk, answer: &Answer) {
    told.append(cstr!("bytes"), binary(&chunk.bytes));
    told.append(cstr!("ended"), chunk.ended);
    if chunk.ended && !answer.trailers.is_empty() {
        told.append(cstr!("trailers"), pairs(&answer.trailers));
    }
}

fn address(end: SocketAddr) -> RawDocumentBuf {
    let family = if end.is_ipv4() { "IPv4" } else { "IPv6" };
    rawdoc! {
        "address": end.ip().to_string(), "port": i32::from(end.port()), "family": family,
    }
}

/// How a connection is secured; `None` when nothing is said.
fn tls(asked: &RawDocument) -> Outcome<Option<Tls>> {
    let Ok(said) = asked.get_document("tls") else {
        return Ok(None);
    };
    let pem = |name: &str| match said.get(name) {
        Ok(Some(RawBsonRef::String(text))) => Some(text.as_bytes().to_vec()),
        Ok(Some(RawBsonRef::Binary(binary))) => Some(binary.bytes.to_vec()),
        _ => None,
    };
    let wrong = |why: String| failed("ERR_OSSL_PEM_NO_START_LINE", &why);
    let roots = pem("ca").map(|pem| Roots::from_pem(&pem).map_err(wrong));
    let identity = match (pem("cert"), pem("key")) {
        (Some(cert), Some(key)) => Some(Identity::from_pem(&cert, &key).map_err(wrong)?),
        _ => None,
    };
    let mut alpn = Vec::new();
    for protocol in said.get_array("alpn").into_iter().flatten().flatten() {
        let protocol = protocol.as_str().unwrap_or_default();
        if protocol.is_empty() || protocol.len() > 255 {
            return Err(invalid("a protocol has 1 to 255 bytes"));
        }
        alpn.push(protocol.as_bytes().to_vec());
    }
    Ok(Some(Tls {
        unverified: said.get_bool("unverified").unwrap_or(false),
        roots: roots.transpose()?,
        identity,
        alpn,
    }))
}
