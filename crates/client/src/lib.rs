//! Surface two: what the SDKs of shipped apps call, under
//! `/api/client/v2.0` (client-api.md).
//!
//! Decides nothing: decodes, calls one verb of `app`, encodes.

mod auth;
mod functions;
mod hosting;
mod pages;
mod redirects;
mod userpass;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::meters::Area;
use app::{App, Backstitch, RequestInfo};
use axum::body::{Body, HttpBody as _};
use axum::http::{Method, Response, header};
use kit::{Kind, Problem};
use serde_json::json;
use web::{Answer, Request};

pub use hosting::{Page, SITES};

/// Where the surface lives.
pub const PREFIX: &str = "/api/client/v2.0/";

/// The client surface.
#[derive(Clone)]
pub struct Client {
    core: Arc<Backstitch>,
}

/// A handler's result.
type Handled = Result<Answer, Failed>;

/// A problem, and the app whose log tells more.
struct Failed {
    problem: Problem,
    app: Option<Arc<App>>,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, app: None }
    }
}

/// As what a request is counted, when it is answered; not at all what belongs to
/// no app, and what its access list keeps out.
#[derive(Default)]
struct Counted(Option<(Arc<App>, Area)>);

impl Counted {
    fn is(&mut self, app: &Arc<App>, area: Area) {
        self.0 = Some((app.clone(), area));
    }

    fn answered(&self, response: &Response<Body>, time: Duration) {
        let Some((app, area)) = &self.0 else { return };
        let failed = response.status().is_client_error() || response.status().is_server_error();
        // What has no size goes on, and is counted as it goes.
        let bytes = response.body().size_hint().exact().unwrap_or(0);
        app.count_request(*area, failed, bytes, time);
    }
}

/// Names the app that a problem belongs to.
fn of(app: &Arc<App>) -> impl FnOnce(Problem) -> Failed {
    let app = Some(app.clone());
    move |problem| Failed { problem, app }
}

impl Client {
    /// The surface of a core.
    pub fn new(core: Arc<Backstitch>) -> Self {
        Self { core }
    }

    /// Answers a request whose path begins with [`PREFIX`]. `base_url` is the
    /// address by which the client reached the server.
    pub async fn handle(&self, request: Request, base_url: &str) -> Response<Body> {
        let id = request.id.clone();
        let (started, mut counted) = (Instant::now(), Counted::default());
        let response = match self.route(request, base_url, &mut counted).await {
            Ok(answer) => answer.0,
            Err(Failed { problem, app }) => {
                let place = app.map_or(String::new(), |app| {
                    format!("/groups/{}/apps/{}", app.project_id, app.id)
                });
                web::respond(&problem, Some(format!("{base_url}{place}/logs?co_id={id}")))
            }
        };
        counted.answered(&response, started.elapsed());
        response
    }

    async fn route(&self, request: Request, base_url: &str, counted: &mut Counted) -> Handled {
        let path = request.path.clone();
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        let parts: Vec<&str> = rest.split('/').collect();
        match parts.as_slice() {
            ["auth", "callback"] if matches!(request.method, Method::GET | Method::POST) => {
                Ok(self.callback(&request, base_url, counted).await)
            }
            ["auth", part @ ..] => self.auth(part, &request, counted).await,
            ["app", id, part @ ..] => {
                let app = self.core.app_by_client_id(id).await?;
                app.check_address(request.peer).map_err(of(&app))?;
                app.check_origin(request.header("origin"))
                    .map_err(of(&app))?;
                self.of_app(&app, part, request, base_url, counted).await
            }
            _ => Err(unknown().into()),
        }
    }

    async fn of_app(
        &self,
        app: &Arc<App>,
        parts: &[&str],
        request: Request,
        base_url: &str,
        counted: &mut Counted,
    ) -> Handled {
        let method = request.method.clone();
        if let ["auth" | "functions", ..] = parts {
            // A call is one when it is known who calls.
            counted.is(app, Area::Auth);
        }
        match (method, parts) {
            (Method::POST, ["functions", "call"]) => functions::call(app, &request, counted).await,
            (Method::GET, ["functions", "call"]) => watch::open(app, &request, counted).await,
            (Method::GET, ["location"]) => {
                let place = app.place();
                Ok(Answer::ok(&json!({
                    "deployment_model": place.deployment_model, "location": place.location,
                    "hostname": base_url, "ws_hostname": base_url.replacen("http", "ws", 1),
                })))
            }
            (Method::POST, ["auth", "providers", provider, "login"]) => {
                auth::login(app, provider, &request).await
            }
            (Method::GET, ["auth", "providers", provider, "login"])
                if provider.starts_with("oauth2-") =>
            {
                redirects::begin(app, provider, &request, base_url).await
            }
            (Method::POST, ["auth", "providers", "local-userpass", verb @ ..]) => {
                let address = info(&request).remote_address;
                let attempt = app.attempt(&address).map_err(of(app))?;
                let answered = userpass::handle(app, verb, &request).await;
                attempt.answered(answered.as_ref().err().map(|failed| &failed.problem));
                answered
            }
            (Method::POST, ["graphql"]) => Err(of(app)(not_yet("GraphQL"))),
            (_, ["push", ..]) => Err(of(app)(not_yet("push notifications"))),
            (_, ["service", ..]) => Err(of(app)(not_yet("incoming webhooks"))),
            _ => Err(of(app)(unknown())),
        }
    }
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "", "404 page not found")
}

fn not_yet(what: &str) -> Problem {
    Problem::new(Kind::NotFound, "", format!("{what}: not supported yet"))
}

/// What calls and logs know of a request.
fn info(request: &Request) -> RequestInfo {
    // Tokens are the server's business, in the query as in a header.
    let is_token = |pair: &&str| pair.starts_with("baas_at=") || pair.starts_with("stitch_at=");
    let query: Vec<&str> = request.query.split('&').filter(|p| !is_token(p)).collect();
    RequestInfo {
        id: request.id.clone(),
        remote_address: request
            .peer
            .map_or(String::new(), |peer| peer.ip().to_string()),
        method: request.method.to_string(),
        headers: request
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let mut value = value.to_str().ok()?.to_owned();
                if *name == header::COOKIE {
                    value = redirects::without_secrets(&value)?;
                }
                Some((name.as_str().to_owned(), value))
            })
            .collect(),
        query: query.join("&"),
        path: request.path.clone(),
    }
}
