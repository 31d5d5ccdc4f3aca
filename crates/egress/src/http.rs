//! Requests of HTTP and their answers. Bodies are what is on the wire: nothing
//! is unpacked, no cookie is kept.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use url::Url;

use crate::connect::{Connector, Resolve, System};
use crate::{EgressError, Policy, Roots, Settings, tls};

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

/// Sends requests. Clones share connections.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    connector: Connector,
    roots: Roots,
    /// Made at the first request: reading the system's certificates takes time.
    client: OnceCell<Client<HttpsConnector<Connector>, Full<Bytes>>>,
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
            roots: settings.roots,
            client: OnceCell::new(),
        }))
    }

    /// Sends a request and reads the answer, whatever its status is.
    ///
    /// A redirect is followed as browsers do: `GET` without a body after 303,
    /// and after 301 and 302 of a `POST`; credentials stay with the host that
    /// they were written for; from `https` nothing leads to `http`.
    ///
    /// # Errors
    /// [`EgressError`]: why there is no answer.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Response, EgressError> {
        tokio::time::timeout(limits.time, self.exchange(request, limits))
            .await
            .unwrap_or(Err(EgressError::TimedOut(limits.time)))
    }

    async fn exchange(
        &self,
        mut request: Request,
        limits: Limits,
    ) -> Result<Response, EgressError> {
        let client = self.client().await?;
        let mut url = parsed(&request.url)?;
        for name in OF_THE_CONNECTION {
            request.headers.remove(name);
        }
        if !request.headers.contains_key(header::USER_AGENT) {
            let agent = concat!("backstitch/", env!("CARGO_PKG_VERSION"));
            let agent = HeaderValue::from_static(agent);
            request.headers.insert(header::USER_AGENT, agent);
        }
        let mut redirects = 0;
        loop {
            let uri =
                Uri::try_from(url.as_str()).map_err(|error| EgressError::Url(error.to_string()))?;
            let mut sent = ::http::Request::new(Full::new(request.body.clone()));
            *sent.method_mut() = request.method.clone();
            *sent.uri_mut() = uri;
            *sent.headers_mut() = request.headers.clone();
            let (head, body) = client.request(sent).await.map_err(of_client)?.into_parts();
            let location = head.headers.get(header::LOCATION);
            let next = match head.status.as_u16() {
                301 | 302 | 303 | 307 | 308 if limits.redirects > 0 => location,
                _ => None,
            };
            let Some(next) = next else {
                return Ok(Response {
                    status: head.status,
                    headers: head.headers,
                    body: whole(body, limits.body_bytes).await?,
                });
            };
            if redirects == limits.redirects {
                return Err(EgressError::TooManyRedirects(limits.redirects));
            }
            redirects += 1;
            let next = redirected(&url, next)?;
            follow(&mut request, head.status, next.origin() == url.origin());
            url = next;
        }
    }

    async fn client(&self) -> Result<&Client<HttpsConnector<Connector>, Full<Bytes>>, EgressError> {
        let made = self.0.client.get_or_try_init(|| async {
            let roots = self.0.roots.clone();
            let config = tokio::task::spawn_blocking(move || tls::config(&roots))
                .await
                .map_err(|error| EgressError::Unreachable(error.to_string()))?
                .map_err(|error| EgressError::Unreachable(error.to_string()))?;
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_or_http()
                .enable_http1()
                .wrap_connector(self.0.connector.clone());
            Ok(Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .http1_max_buf_size(HEAD_BYTES_MAX)
                .http1_max_headers(HEADERS_MAX)
                .build(connector))
        });
        made.await
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

/// Makes a request the one that follows a redirect.
fn follow(request: &mut Request, status: StatusCode, same_host: bool) {
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
}

/// A whole body, unless it is larger than that.
async fn whole(mut body: Incoming, most: usize) -> Result<Bytes, EgressError> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).is_ok_and(|bytes| bytes > most) {
        return Err(EgressError::TooLarge(most));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| EgressError::Broken(cause(&error)))?;
        if let Ok(data) = frame.into_data() {
            if read.len() + data.len() > most {
                return Err(EgressError::TooLarge(most));
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

fn of_client(error: hyper_util::client::legacy::Error) -> EgressError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(at) = source {
        if let Some(ours) = at.downcast_ref::<EgressError>() {
            return ours.clone();
        }
        source = at.source();
    }
    let text = cause(&error);
    if error.is_connect() {
        EgressError::Unreachable(text)
    } else {
        EgressError::Broken(text)
    }
}

/// What is at the bottom of an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(below) = bottom.source() {
        bottom = below;
    }
    bottom.to_string()
}
