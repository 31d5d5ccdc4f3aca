//! Which surface a request is for, and what every answer carries.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use admin::Admin;
use app::{Backstitch, ClusterHealth};
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request as HttpRequest, Response, StatusCode};
use client::Client;
use hyper::body::Incoming;
use kit::{Kind, Network, Problem};
use web::Request;

use crate::archives;
use crate::intake::Intake;
use crate::metrics::{Counted, Metrics};
use crate::peer;
use crate::{Door, Listening};

/// How long an answer about the deployments is good for: `/ready` is anybody's
/// to ask.
const HEALTH_KEPT: Duration = Duration::from_millis(500);
/// Requests at once; more are refused.
const IN_FLIGHT_MAX: u64 = 10_000;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-appservices-request-id");
const ADMIN_PREFIX: &str = "/api/admin/v3.0/";

/// The surfaces of one server.
pub(crate) struct Surfaces {
    core: Arc<Backstitch>,
    client: Client,
    admin: Admin,
    pub(crate) metrics: Metrics,
    intake: Intake,
    /// How long a piece of a streamed body may take.
    patience: Duration,
    public_url: Option<String>,
    trusted_proxies: Vec<Network>,
    health: tokio::sync::Mutex<Option<(Instant, Arc<[ClusterHealth]>)>>,
}

impl Surfaces {
    pub(crate) fn new(core: Arc<Backstitch>, listening: &Listening) -> Self {
        let public_url = listening.public_url.as_deref();
        Self {
            client: Client::new(core.clone()),
            admin: Admin::new(core.clone()),
            core,
            metrics: Metrics::default(),
            intake: Intake::new(listening.patience.body),
            patience: listening.patience.body,
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            trusted_proxies: listening.trusted_proxies.clone(),
            health: tokio::sync::Mutex::default(),
        }
    }

    /// How the deployments are, or were a moment ago.
    async fn health(&self) -> Arc<[ClusterHealth]> {
        let mut kept = self.health.lock().await;
        if let Some((at, health)) = kept.as_ref()
            && at.elapsed() < HEALTH_KEPT
        {
            return health.clone();
        }
        let health: Arc<[ClusterHealth]> = self.core.health().await.into();
        *kept = Some((Instant::now(), health.clone()));
        health
    }

    /// Ends what would keep connections open: the server stops.
    pub(crate) fn stop(&self) {
        self.core.end_streams();
    }
}

/// A surface, as the metrics number them.
const CLIENT: usize = 0;
const ADMIN: usize = 1;
const OTHER: usize = 2;
const SITE: usize = 3;

/// Answers a request, whatever happens.
pub(crate) async fn answer(
    request: HttpRequest<Incoming>,
    peer: SocketAddr,
    door: Door,
    surfaces: Arc<Surfaces>,
) -> Result<Response<Body>, Infallible> {
    let start = Instant::now();
    // Given back however this ends: a client that leaves drops the future.
    let _counted = Counted::new(&surfaces.metrics.in_flight);
    let surface = match (door, request.uri().path()) {
        (Door::Public, path) if path.starts_with(client::PREFIX) => CLIENT,
        (Door::Public, path) if path.starts_with(ADMIN_PREFIX) => ADMIN,
        (Door::Public, path) if path.starts_with(admin::PRIVATE_PREFIX) => ADMIN,
        (Door::Public, path) if Admin::is_atlas(path) => ADMIN,
        (Door::Public, path) if path.starts_with(client::SITES) => SITE,
        _ => OTHER,
    };
    let origin = request.headers().get(header::ORIGIN).cloned();
    let id = app::request_id();
    let work = AssertUnwindSafe(route(request, peer, door, &surfaces, surface, &id));
    // A panic is one request's failure.
    let mut response = match caught(work).await {
        Ok(response) => response,
        Err(()) => web::respond(&Problem::internal("a handler panicked"), None),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    cors(headers, origin);
    surfaces
        .metrics
        .count(surface, response.status().as_u16(), start.elapsed());
    Ok(response)
}

/// Runs a future and turns a panic into an error.
async fn caught<F: Future>(work: AssertUnwindSafe<F>) -> Result<F::Output, ()> {
    let mut work = Box::pin(work.0);
    std::future::poll_fn(move |cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => std::task::Poll::Ready(Err(())),
        }
    })
    .await
}

async fn route(
    request: HttpRequest<Incoming>,
    peer: SocketAddr,
    door: Door,
    surfaces: &Surfaces,
    surface: usize,
    id: &str,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return plain(StatusCode::NO_CONTENT, String::new());
    }
    if surface == OTHER {
        let bearer = head.headers.get(header::AUTHORIZATION);
        let found = other(surfaces, door, &head.method, head.uri.path(), bearer).await;
        return found.unwrap_or_else(|problem| web::respond(&problem, None));
    }
    let proxies = &surfaces.trusted_proxies;
    let base = match peer::base_url(surfaces.public_url.as_deref(), peer, &head.headers, proxies) {
        Ok(base) => base,
        Err(problem) => return web::respond(&problem, None),
    };
    let refused =
        |problem: Problem| web::respond(&problem, Some(format!("{base}/logs?co_id={id}")));
    if surfaces.metrics.in_flight.load(Ordering::Relaxed) > IN_FLIGHT_MAX {
        let text = "too many requests are in flight";
        return refused(Problem::new(Kind::Limited, "TooManyRequests", text));
    }
    if surface == SITE {
        let page = client::Page {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        return surfaces.client.site(page).await;
    }
    if surface == ADMIN
        && let Some(verb) = head.uri.path().strip_prefix(archives::PREFIX)
    {
        let ask = archives::Ask {
            id,
            address: peer::client(peer, &head.headers, proxies).ip().to_string(),
            method: &head.method,
            verb,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
            patience: surfaces.patience,
        };
        let answered = archives::answer(&surfaces.core, ask).await;
        return answered.unwrap_or_else(refused);
    }
    let upload = (surface == ADMIN)
        .then(|| {
            surfaces
                .admin
                .upload_bytes_max(&head.method, head.uri.path())
        })
        .flatten();
    let taken = match upload {
        Some(most) => surfaces.intake.take_upload(body, most).await,
        None => surfaces.intake.take(body).await,
    };
    let taken = match taken {
        Ok(taken) => taken,
        Err(problem) => return refused(problem),
    };
    let request = Request {
        id: id.to_owned(),
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        peer: Some(peer::client(peer, &head.headers, proxies)),
        headers: head.headers,
        parameters: Vec::new(),
        body: taken.bytes,
    };
    let response = if surface == CLIENT {
        surfaces.client.handle(request, &base).await
    } else if Admin::is_atlas(&request.path) {
        surfaces.admin.atlas(&request, &base).await
    } else {
        surfaces.admin.handle(request, &base).await
    };
    drop(taken.room);
    response
}

/// What is neither client nor admin: health, readiness, numbers.
async fn other(
    surfaces: &Surfaces,
    door: Door,
    method: &Method,
    path: &str,
    authorization: Option<&HeaderValue>,
) -> Result<Response<Body>, Problem> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(unknown());
    }
    match (door, path) {
        (_, "/health") => Ok(plain(StatusCode::OK, "ok\n".to_owned())),
        (Door::Metrics, "/ready") => Ok(ready(surfaces, true).await),
        (Door::Public, "/ready") => Ok(ready(surfaces, false).await),
        (Door::Metrics, "/metrics") => Ok(numbers(surfaces).await),
        (Door::Public, "/metrics") => {
            // What everybody does here is nobody's business on the public door.
            let token = authorization.and_then(|value| value.to_str().ok());
            let token = token.and_then(|value| value.strip_prefix("Bearer "));
            surfaces
                .core
                .administrator(token.unwrap_or_default())
                .await?;
            Ok(numbers(surfaces).await)
        }
        (Door::Public, "/") => Ok(plain(StatusCode::OK, "Backstitch\n".to_owned())),
        _ => Err(unknown()),
    }
}

async fn numbers(surfaces: &Surfaces) -> Response<Body> {
    let health = surfaces.health().await;
    let numbers = surfaces.metrics.render(&surfaces.core, &health);
    plain(StatusCode::OK, numbers)
}

/// Whether the server can serve: its own records answer. A cluster of users'
/// documents that does not is told, and no reason to take the server out: apps
/// on other clusters are served. Which cluster it is, and why, is nobody's
/// business on the public door.
async fn ready(surfaces: &Surfaces, whole: bool) -> Response<Body> {
    let health = surfaces.health().await;
    let own_answers = health.iter().all(|c| !c.is_state || c.answers.is_ok());
    let all_answer = health.iter().all(|cluster| cluster.answers.is_ok());
    let (status, word) = match (own_answers, all_answer) {
        (true, true) => (StatusCode::OK, "ok"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let mut text = format!("{word}\n");
    for cluster in health.iter().filter(|_| whole) {
        let own = if cluster.is_state {
            " (own records)"
        } else {
            ""
        };
        let answers = match &cluster.answers {
            Ok(time) => format!("ok, {:.1} ms", time.as_secs_f64() * 1000.0),
            Err(why) => format!("away: {}", why.replace('\n', " ")),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{own}: {answers}", cluster.name);
    }
    plain(status, text)
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "", "404 page not found")
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
    }
    response
}

/// Browsers of any origin may call; errors need this too, or they hide the
/// body (client-api.md §1.5).
fn cors(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    // An answer without an origin's headers must not be kept for one with.
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, PATCH, DELETE",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Accept, X-Baas-Request-Origin",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "X-Appservices-Request-Id, X-Baas-Location, X-Stitch-Location",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
