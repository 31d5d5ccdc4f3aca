//! Connections, and which surface a request is for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use admin::Admin;
use app::Backstitch;
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request as HttpRequest, Response, StatusCode};
use client::Client;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kit::{Kind, Problem};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use web::Request;

use crate::metrics::Metrics;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 20_000;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in flight may go on after the server was told to stop.
const STOP_AFTER: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-appservices-request-id");
const ADMIN_PREFIX: &str = "/api/admin/v3.0/";

/// The surfaces of one server.
pub(crate) struct Surfaces {
    core: Arc<Backstitch>,
    client: Client,
    admin: Admin,
    metrics: Metrics,
    public_url: Option<String>,
}

impl Surfaces {
    pub(crate) fn new(core: Arc<Backstitch>, public_url: Option<String>) -> Self {
        Self {
            client: Client::new(core.clone()),
            admin: Admin::new(core.clone()),
            core,
            metrics: Metrics::default(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        }
    }
}

/// Accepts connections until it is told to stop, then waits for the open ones.
pub(crate) async fn serve(
    listener: TcpListener,
    surfaces: Arc<Surfaces>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: let some close first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (surfaces, stopped) = (surfaces.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, peer, surfaces, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    let all = places.acquire_many(CONNECTIONS_MAX as u32);
    if tokio::time::timeout(STOP_AFTER, all).await.is_err() {
        tracing::warn!("requests were still in flight when the server stopped");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    surfaces: Arc<Surfaces>,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    surfaces.metrics.connections.fetch_add(1, Ordering::Relaxed);
    let service = service_fn(|request| answer(request, peer, surfaces.clone()));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    tokio::select! {
        // A client that breaks off is no error of ours.
        _ = serving.as_mut() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
    surfaces.metrics.connections.fetch_sub(1, Ordering::Relaxed);
}

async fn answer(
    request: HttpRequest<Incoming>,
    peer: SocketAddr,
    surfaces: Arc<Surfaces>,
) -> Result<Response<Body>, Infallible> {
    let start = Instant::now();
    surfaces.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path();
    let surface = match path {
        path if path.starts_with(client::PREFIX) => 0,
        path if path.starts_with(ADMIN_PREFIX) => 1,
        _ => 2,
    };
    let origin = request.headers().get(header::ORIGIN).cloned();
    let id = app::request_id();
    let work = AssertUnwindSafe(route(request, peer, &surfaces, surface, id.clone()));
    // A panic is one request's failure.
    let mut response = match futures_catch(work).await {
        Ok(response) => response,
        Err(()) => web::respond(&Problem::internal("a handler panicked"), None),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    cors(headers, origin);
    surfaces.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
    surfaces
        .metrics
        .count(surface, response.status().as_u16(), start.elapsed());
    Ok(response)
}

/// Runs a future and turns a panic into an error.
async fn futures_catch<F: Future>(work: AssertUnwindSafe<F>) -> Result<F::Output, ()> {
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
    surfaces: &Surfaces,
    surface: usize,
    id: String,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return plain(StatusCode::NO_CONTENT, String::new());
    }
    if surface == 2 {
        return other(surfaces, &head.method, head.uri.path());
    }
    let base = base_url(surfaces.public_url.as_deref(), &head.headers);
    let body = match web::body_bytes(Body::new(body)).await {
        Ok(body) => body,
        Err(problem) => return web::respond(&problem, None),
    };
    let request = Request {
        id,
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        peer: Some(peer),
        parameters: Vec::new(),
        body,
    };
    if surface == 0 {
        surfaces.client.handle(request, &base).await
    } else {
        surfaces.admin.handle(request, &base).await
    }
}

/// What is neither client nor admin: health, readiness, numbers.
fn other(surfaces: &Surfaces, method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return web::respond(
            &Problem::new(Kind::NotFound, "", "404 page not found"),
            None,
        );
    }
    match path {
        "/" => plain(StatusCode::OK, "Backstitch\n".to_owned()),
        "/health" | "/ready" => plain(StatusCode::OK, "ok\n".to_owned()),
        "/metrics" => plain(StatusCode::OK, surfaces.metrics.render(&surfaces.core)),
        "/api/private/v1.0/version" => plain(StatusCode::OK, env!("CARGO_PKG_VERSION").to_owned()),
        _ => web::respond(
            &Problem::new(Kind::NotFound, "", "404 page not found"),
            None,
        ),
    }
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

/// The URL by which the client reached the server.
fn base_url(public: Option<&str>, headers: &HeaderMap) -> String {
    if let Some(public) = public {
        return public.to_owned();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    let host = text("x-forwarded-host")
        .or_else(|| text("host"))
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// Browsers of any origin may call; errors need this too, or they hide the
/// body (client-api.md §1.5).
fn cors(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
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
        (header::VARY, "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
