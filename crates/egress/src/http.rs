//! Requests of HTTP and their answers. Bodies are what is on the wire: nothing
//! is unpacked, no cookie is kept.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::uri::{InvalidUri, Parts, PathAndQuery};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kit::limit;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::body::{Outgoing, Uploaded};
use crate::connect::{Connector, Resolve, System};
use crate::{AppRules, Connection, EgressError, Policy, Roots, Settings, Tls, tls};

/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 200;
/// Longest URL.
const URL_BYTES_MAX: usize = 32 * 1024;
/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one host that wait.
const IDLE_PER_HOST_MAX: usize = 8;

/// What a request's writer may not say, as the connection says it.
const OF_THE_CONNECTION: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What only the host that it was written for is sent.
const OF_THE_HOST: &[HeaderName] = &[header::AUTHORIZATION, header::COOKIE, header::HOST];

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// `http` or `https`, without user and password.
    pub url: String,
    /// Its headers; those of the connection are left out.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Request {
    /// A request that reads.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A request with the fields of a form.
    pub fn form(url: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        Self {
            method: Method::POST,
            url: url.into(),
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, form)]),
            body: body.into(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// What an exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first name that is resolved to the last byte.
    pub time: Duration,
    /// Of the answer's body.
    pub body_bytes: usize,
    /// That are followed; with none, a redirect is the answer.
    pub redirects: usize,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as sent.
    pub body: Bytes,
}

/// A request whose answer is read piece by piece.
#[derive(Default)]
pub struct Exchange {
    /// What is written piece by piece in place of the request's body. It cannot
    /// be sent again, so that a redirect that asks for it is an error.
    pub body: Option<Uploaded>,
    /// Redirects that are followed, as in [`Limits`].
    pub redirects: usize,
    /// Bytes of the answer's body at most.
    pub body_bytes: usize,
    /// How the connection is secured, if not as usual. It is then used for
    /// nothing else.
    pub tls: Option<Tls>,
    /// The name that the server has to prove, where it is not the URL's.
    pub server_name: Option<String>,
    /// Whether `Connection` and `Upgrade` are the writer's to say.
    pub upgrade: bool,
    /// Path and query as they are sent, to the URL's host; what was signed must
    /// not be written in another way.
    pub target: Option<String>,
    /// What it is sent over, with the security that was said there.
    pub session: Option<Session>,
}

/// Sends with HTTP/2 only, over connections that nobody else uses. Clones share
/// them; they are closed after the last clone and the last answer.
#[derive(Clone)]
pub struct Session(HttpClient);

/// An answer whose body is still to be read.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// `1.0`, `1.1` or `2.0`.
    pub version: &'static str,
    /// The reason phrase, when it is not the usual one.
    pub reason: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// The URL that gave it, redirects followed.
    pub url: String,
    /// What came after the body.
    pub trailers: HeaderMap,
    response: ::http::Response<Incoming>,
    left: usize,
    most: usize,
    ended: bool,
}

/// Some of a body.
#[derive(Debug, Default)]
pub struct Chunk {
    /// What was there.
    pub bytes: Bytes,
    /// Whether that was the rest.
    pub ended: bool,
}

/// How long to wait for more of a body.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first bytes; for ever if there is no time.
    pub first: Option<Duration>,
    /// For more, after some.
    pub pause: Duration,
}

impl Answer {
    /// Reads what is there, about `bytes` at most, and what comes while it is
    /// waited for.
    ///
    /// # Errors
    /// [`EgressError::TooLarge`] and [`EgressError::Broken`].
    pub async fn read(&mut self, bytes: usize, patience: Patience) -> Result<Chunk, EgressError> {
        let mut read = BytesMut::new();
        let body = self.response.body_mut();
        while !self.ended && read.len() < bytes {
            let wait = if read.is_empty() {
                patience.first
            } else {
                Some(patience.pause)
            };
            let frame = match wait {
                None => body.frame().await,
                Some(wait) => match tokio::time::timeout(wait, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => break,
                },
            };
            let Some(frame) = frame else {
                self.ended = true;
                break;
            };
            match frame
                .map_err(|error| EgressError::broken(&error))?
                .into_data()
            {
                Ok(data) => {
                    let left = self.left.checked_sub(data.len());
                    self.left = left.ok_or(EgressError::TooLarge(self.most))?;
                    read.extend_from_slice(&data);
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers = trailers;
                    }
                }
            }
        }
        Ok(Chunk {
            bytes: read.freeze(),
            ended: self.ended,
        })
    }

    /// The connection, which is no longer HTTP's after a status of 101.
    ///
    /// # Errors
    /// [`EgressError::Broken`].
    pub async fn upgraded(self) -> Result<Connection, EgressError> {
        let upgraded = hyper::upgrade::on(self.response).await;
        let upgraded = upgraded.map_err(|error| EgressError::broken(&error))?;
        let stream = TokioIo::new(upgraded);
        Ok(Connection::new(stream, [None, None], None, None))
    }
}

type HttpClient = Client<HttpsConnector<Connector>, Outgoing>;

/// Sends requests, and connects. Clones share connections.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    connector: Connector,
    shared: Arc<Shared>,
    /// Made at the first request.
    client: OnceCell<HttpClient>,
}

/// What is the same for all apps.
struct Shared {
    roots: Roots,
    apps: BTreeMap<String, AppRules>,
    /// Those that have rules of their own, which share no connection.
    made: Mutex<HashMap<String, Http>>,
    /// Connections beside HTTP's that may be open.
    places: Arc<Semaphore>,
    /// Made at the first request: reading the system's certificates takes time.
    tls: OnceCell<tls::Usual>,
}

impl Http {
    /// With the machine's own resolver.
    pub fn new(settings: Settings) -> Self {
        Self::with_resolver(settings, Arc::new(System::new()))
    }

    /// With another resolver of names.
    pub fn with_resolver(settings: Settings, resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner {
            connector: Connector {
                policy: Arc::new(Policy::new(settings.allowed)),
                resolver,
            },
            shared: Arc::new(Shared {
                roots: settings.roots,
                apps: settings.apps,
                made: Mutex::default(),
                places: Arc::new(Semaphore::new(limit::SOCKETS_MAX)),
                tls: OnceCell::new(),
            }),
            client: OnceCell::new(),
        }))
    }

    /// What functions of an app, by its client app id, send with.
    #[must_use]
    pub fn for_app(&self, app: &str) -> Self {
        let shared = &self.0.shared;
        let Some(rules) = shared.apps.get(app) else {
            return self.clone();
        };
        let mut made = shared.made.lock().unwrap_or_else(PoisonError::into_inner);
        let one = made.entry(app.to_owned()).or_insert_with(|| {
            Self(Arc::new(Inner {
                connector: Connector {
                    policy: Arc::new(self.0.connector.policy.for_app(rules)),
                    resolver: self.0.connector.resolver.clone(),
                },
                shared: shared.clone(),
                client: OnceCell::new(),
            }))
        });
        one.clone()
    }

    /// The addresses of a host that would be connected to.
    ///
    /// # Errors
    /// [`EgressError::Unresolved`] and [`EgressError::Refused`].
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        self.0.connector.addresses(host).await
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// Room for one more connection of a function, as long as it is kept.
    ///
    /// # Errors
    /// [`EgressError::TooManyConnections`].
    pub fn place(&self) -> Result<OwnedSemaphorePermit, EgressError> {
        let places = self.0.shared.places.clone();
        places
            .try_acquire_owned()
            .map_err(|_| EgressError::TooManyConnections)
    }

    async fn tls(&self) -> Result<&tls::Usual, EgressError> {
        let made = self.0.shared.tls.get_or_try_init(|| async {
            let roots = self.0.shared.roots.clone();
            tokio::task::spawn_blocking(move || tls::usual(&roots))
                .await
                .map_err(|error| unusable(&error))?
                .map_err(|error| unusable(&error))
        });
        made.await
    }

    /// How a connection is secured.
    pub(crate) async fn tls_config(&self, tls: &Tls) -> Result<Arc<ClientConfig>, EgressError> {
        let special = tls::special(self.tls().await?, tls);
        special.map(Arc::new).map_err(|error| unusable(&error))
    }

    /// Sends a request and reads the answer, whatever its status is.
    ///
    /// A redirect is followed as browsers do: `GET` without a body after 303,
    /// and after 301 and 302 of a `POST`; credentials stay with the host that
    /// they were written for; from `https` nothing leads to `http`.
    ///
    /// # Errors
    /// [`EgressError`]: why there is no answer.
    pub async fn send(
        &self,
        mut request: Request,
        limits: Limits,
    ) -> Result<Response, EgressError> {
        if !request.headers.contains_key(header::USER_AGENT) {
            let agent = concat!("backstitch/", env!("CARGO_PKG_VERSION"));
            let agent = HeaderValue::from_static(agent);
            request.headers.insert(header::USER_AGENT, agent);
        }
        let exchange = Exchange {
            redirects: limits.redirects,
            body_bytes: limits.body_bytes,
            ..Exchange::default()
        };
        let whole = async {
            let mut answer = self.open(request, exchange).await?;
            let announced = answer.response.body().size_hint().lower();
            if usize::try_from(announced).is_ok_and(|bytes| bytes > limits.body_bytes) {
                return Err(EgressError::TooLarge(limits.body_bytes));
            }
            let patience = Patience {
                first: None,
                pause: Duration::ZERO,
            };
            let mut body = BytesMut::new();
            loop {
                let chunk = answer.read(usize::MAX, patience).await?;
                body.extend_from_slice(&chunk.bytes);
                if chunk.ended {
                    break;
                }
            }
            Ok(Response {
                status: answer.status,
                headers: answer.headers,
                body: body.freeze(),
            })
        };
        tokio::time::timeout(limits.time, whole)
            .await
            .unwrap_or(Err(EgressError::TimedOut(limits.time)))
    }

    /// Sends a request; the answer is there as soon as its head is. Redirects
    /// are followed as by [`Self::send`]. There is no limit of time: dropping the
    /// future, or the answer, breaks the exchange off.
    ///
    /// # Errors
    /// [`EgressError`]: why there is no answer.
    pub async fn open(
        &self,
        mut request: Request,
        mut exchange: Exchange,
    ) -> Result<Answer, EgressError> {
        let (tls, name) = (exchange.tls.as_ref(), exchange.server_name.as_deref());
        let client = match &exchange.session {
            Some(session) => session.0.clone(),
            None if tls.is_none() && name.is_none() => self.client().await?.clone(),
            None => self.special(tls, name, Speaks::Http1 { idle: 0 }).await?,
        };
        let mut url = parsed(&request.url)?;
        for name in OF_THE_CONNECTION {
            let kept = match *name {
                header::CONNECTION | header::UPGRADE => exchange.upgrade,
                // That trailers are understood, which gRPC asks for.
                header::TE => exchange.session.is_some(),
                _ => false,
            };
            if !kept {
                request.headers.remove(name);
            }
        }
        let streamed = exchange.body.is_some();
        let mut redirects = 0;
        loop {
            let uri = match exchange.target.take() {
                Some(target) => targeted(&url, target),
                None => Uri::try_from(url.as_str()),
            };
            let uri = uri.map_err(|error| EgressError::Url(error.to_string()))?;
            let body = match exchange.body.take() {
                Some(pieces) => Outgoing::Pieces(pieces),
                None => Outgoing::Whole(request.body.clone()),
            };
            let mut sent = ::http::Request::new(body);
            *sent.method_mut() = request.method.clone();
            *sent.uri_mut() = uri;
            *sent.headers_mut() = request.headers.clone();
            let response = client.request(sent).await;
            let mut response = response.map_err(|error| EgressError::of_client(&error))?;
            let status = response.status();
            let location = response.headers().get(header::LOCATION);
            let next = match status.as_u16() {
                301 | 302 | 303 | 307 | 308 if exchange.redirects > 0 => location,
                _ => None,
            };
            let Some(next) = next else {
                let headers = std::mem::take(response.headers_mut());
                return Ok(Answer {
                    status,
                    version: match response.version() {
                        ::http::Version::HTTP_10 => "1.0",
                        ::http::Version::HTTP_2 => "2.0",
                        _ => "1.1",
                    },
                    reason: response
                        .extensions()
                        .get::<ReasonPhrase>()
                        .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
                    headers,
                    url: url.into(),
                    trailers: HeaderMap::new(),
                    ended: response.body().is_end_stream(),
                    response,
                    left: exchange.body_bytes,
                    most: exchange.body_bytes,
                });
            };
            if redirects == exchange.redirects {
                return Err(EgressError::TooManyRedirects(exchange.redirects));
            }
            redirects += 1;
            let next = redirected(&url, next)?;
            let reads = follow(&mut request, status, next.origin() == url.origin());
            if streamed && !reads {
                let why = "of a redirect: what was sent cannot be sent again";
                return Err(EgressError::Url(why.to_owned()));
            }
            url = next;
        }
    }

    async fn client(&self) -> Result<&HttpClient, EgressError> {
        let made = self.0.client.get_or_try_init(|| async {
            let config = &self.tls().await?.config;
            let idle = IDLE_PER_HOST_MAX;
            self.made(ClientConfig::clone(config), None, Speaks::Http1 { idle })
        });
        made.await
    }

    /// For requests of HTTP/2; nothing is connected yet. The server has to speak
    /// it: over `http` that is taken for granted, over `https` it is agreed on.
    ///
    /// # Errors
    /// [`EgressError::Unreachable`]: the security that is asked for is none.
    pub async fn session(
        &self,
        tls: Option<&Tls>,
        server_name: Option<&str>,
    ) -> Result<Session, EgressError> {
        let made = self.special(tls, server_name, Speaks::Http2).await?;
        Ok(Session(made))
    }

    /// A client with connections of its own.
    async fn special(
        &self,
        tls: Option<&Tls>,
        server_name: Option<&str>,
        speaks: Speaks,
    ) -> Result<HttpClient, EgressError> {
        let usual = Tls::default();
        let config = self.tls_config(tls.unwrap_or(&usual)).await?;
        self.made(ClientConfig::clone(&config), server_name, speaks)
    }

    fn made(
        &self,
        mut config: ClientConfig,
        server_name: Option<&str>,
        speaks: Speaks,
    ) -> Result<HttpClient, EgressError> {
        // What is spoken is said here, not by who asks.
        config.alpn_protocols.clear();
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let builder = match server_name {
            Some(name) => {
                let name = ServerName::try_from(name.to_owned())
                    .map_err(|_| unusable(&format!("'{name}' is no name of a server")))?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
            None => builder,
        };
        let connector = self.0.connector.clone();
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(match speaks {
            Speaks::Http1 { idle } => client
                .pool_max_idle_per_host(idle)
                .http1_max_buf_size(HEAD_BYTES_MAX)
                .http1_max_headers(HEADERS_MAX)
                .build(builder.enable_http1().wrap_connector(connector)),
            Speaks::Http2 => client
                .http2_only(true)
                .http2_max_header_list_size(HEAD_BYTES_MAX as u32)
                .build(builder.enable_http2().wrap_connector(connector)),
        })
    }
}

/// What a client speaks.
#[derive(Clone, Copy)]
enum Speaks {
    /// With so many connections to a host that wait.
    Http1 {
        idle: usize,
    },
    Http2,
}

fn unusable(why: &dyn std::fmt::Display) -> EgressError {
    EgressError::Unreachable {
        why: why.to_string(),
        code: "EPROTO",
    }
}

/// A URL that is asked.
fn parsed(text: &str) -> Result<Url, EgressError> {
    if text.len() > URL_BYTES_MAX {
        let why = format!("it has more than {URL_BYTES_MAX} bytes");
        return Err(EgressError::Url(why));
    }
    let url = Url::parse(text).map_err(|error| EgressError::Url(error.to_string()))?;
    checked(url)
}

fn checked(mut url: Url) -> Result<Url, EgressError> {
    let refuse = |why: &str| Err(EgressError::Url(why.to_owned()));
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("its scheme is neither http nor https");
    }
    if !url.has_host() {
        return refuse("it has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it has a user or a password");
    }
    url.set_fragment(None);
    Ok(url)
}

/// The URL's host with another path and query.
fn targeted(url: &Url, target: String) -> Result<Uri, InvalidUri> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut parts = Parts::default();
    parts.scheme = Some(url.scheme().try_into()?);
    parts.authority = Some(host.try_into()?);
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(target)?);
    // All three parts are there.
    Ok(Uri::from_parts(parts).unwrap_or_default())
}

fn redirected(from: &Url, location: &HeaderValue) -> Result<Url, EgressError> {
    let refuse = |why: String| EgressError::Url(format!("of a redirect: {why}"));
    let location = std::str::from_utf8(location.as_bytes())
        .map_err(|_| refuse("it is not UTF-8".to_owned()))?;
    let next = from
        .join(location)
        .map_err(|error| refuse(error.to_string()))?;
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(refuse("it leads from https to http".to_owned()));
    }
    checked(next)
}

/// Makes a request the one that follows a redirect; whether it reads only.
fn follow(request: &mut Request, status: StatusCode, same_host: bool) -> bool {
    let post = request.method == Method::POST;
    let reads = match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => post,
        _ => false,
    };
    if reads {
        request.method = Method::GET;
        request.body = Bytes::new();
        request.headers.remove(header::CONTENT_TYPE);
        request.headers.remove(header::CONTENT_ENCODING);
    }
    if !same_host {
        for name in OF_THE_HOST {
            request.headers.remove(name);
        }
    }
    reads
}
