//! Surface one: the Admin API 3.0 that configures apps, under
//! `/api/admin/v3.0` (admin-api.md).
//!
//! Each file holds a resource: its rows, its wire types, the map between wire
//! and node, the odd verbs. Decides nothing: decodes, calls one verb of `app`,
//! encodes.

mod administrators;
mod api_keys;
mod apps;
mod atlas;
mod audit;
mod auth_providers;
mod body;
mod commands;
pub mod contract;
mod custom_user_data;
mod data_api;
mod data_sources;
mod debug;
mod dependencies;
mod deploy_config;
mod deployments;
mod description;
mod drafts;
mod endpoints;
mod environments;
mod explain;
mod functions;
mod graphql;
mod hosted_assets;
mod hosting;
mod keys;
mod log_forwarders;
mod logs;
mod measurements;
pub mod openapi;
mod private;
mod projects;
mod push;
mod regions;
mod registrations;
mod resource;
mod rules;
mod schemas;
mod secrets;
mod security;
mod services;
mod session;
mod sync;
mod templates;
mod transfer;
mod triggers;
mod users;
mod values;
mod webhooks;

use std::sync::Arc;

use app::administrators::{Administrator, OWNER, group_not_found};
use app::audit::Changing;
use app::{App, Author, Backstitch, RequestInfo, Seen, app_not_found};
use axum::body::Body;
use axum::http::{Method, Response};
use kit::{Kind, Problem, limit};
use web::{Answer, Found, Operation, Request, Routes, Scope};

pub use private::PRIVATE_PREFIX;

/// Where the surface lives.
pub const PREFIX: &str = "/api/admin/v3.0/";

/// Every operation.
const TABLES: &[&[Row]] = &[
    session::ROWS,
    regions::ROWS,
    projects::ROWS,
    keys::ROWS,
    administrators::ROWS,
    audit::ROWS,
    openapi::ROWS,
    apps::ROWS,
    transfer::ROWS,
    description::ROWS,
    templates::ROWS,
    deployments::ROWS,
    drafts::ROWS,
    deploy_config::ROWS,
    functions::ROWS,
    values::ROWS,
    secrets::ROWS,
    environments::ROWS,
    services::ROWS,
    rules::ROWS,
    schemas::ROWS,
    auth_providers::ROWS,
    custom_user_data::ROWS,
    triggers::ROWS,
    endpoints::ROWS,
    data_api::ROWS,
    graphql::ROWS,
    log_forwarders::ROWS,
    webhooks::ROWS,
    hosting::ROWS,
    hosted_assets::ROWS,
    sync::ROWS,
    security::ROWS,
    users::ROWS,
    registrations::ROWS,
    api_keys::ROWS,
    dependencies::ROWS,
    debug::ROWS,
    explain::ROWS,
    push::ROWS,
    commands::ROWS,
    data_sources::ROWS,
    measurements::ROWS,
    logs::ROWS,
];

/// The operation that uploads a hosted file.
const UPLOAD_ASSET: &str = "adminUploadHostedAsset";

/// The operations that install dependencies, as newer and older clients ask.
const UPLOAD_DEPENDENCIES: &str = "adminUploadDependencies";
const POST_DEPENDENCIES: &str = "adminPostDependencies";
/// The operation that compares dependencies with what is installed.
const DIFF_DEPENDENCIES: &str = "adminDiffDependencies";

/// A row of the table.
type Row = Operation<Cx>;

/// An operation: its id in the specification, method, path below
/// [`PREFIX`], who may call it, and what it does.
const fn row(
    id: &'static str,
    method: Method,
    path: &'static str,
    scope: Scope,
    run: web::Handler<Cx>,
) -> Row {
    Operation {
        id,
        method,
        path,
        scope,
        run,
    }
}

/// A time in milliseconds as answers have it: RFC 3339.
fn date(ms: i64) -> String {
    bson::DateTime::from_millis(ms)
        .try_to_rfc3339_string()
        .unwrap_or_default()
}

/// What runs and log entries know of a request.
fn info(request: &Request) -> RequestInfo {
    let peer = request.peer.map(|peer| peer.ip().to_string());
    RequestInfo {
        id: request.id.clone(),
        remote_address: peer.unwrap_or_default(),
        method: request.method.to_string(),
        path: request.path.clone(),
        ..RequestInfo::default()
    }
}

/// What a handler works with.
#[derive(Clone)]
struct Cx {
    core: Arc<Backstitch>,
    administrator: Option<Administrator>,
    app: Option<Arc<App>>,
    /// The address by which the client reached the server.
    base_url: String,
}

impl Cx {
    /// The administrator; every scope but `Open` has one.
    fn administrator(&self) -> Result<&Administrator, Problem> {
        let missing = || Problem::internal("the operation has no administrator");
        self.administrator.as_ref().ok_or_else(missing)
    }

    /// Refuses whoever is not the server's operator.
    fn operator(&self) -> Result<(), Problem> {
        if self.administrator()?.operator {
            return Ok(());
        }
        Err(refused("only the server's operator may do this"))
    }

    /// The app of the path.
    fn app(&self) -> Result<&Arc<App>, Problem> {
        let missing = || Problem::internal("the operation's path has no app");
        self.app.as_ref().ok_or_else(missing)
    }

    /// The configuration of the path's app as the administrator sees it.
    async fn seen(&self) -> Result<Seen, Problem> {
        self.app()?.seen_by(&self.administrator()?.id).await
    }

    /// Who changes something, and through what.
    fn author(&self, request: &Request) -> Result<Author, Problem> {
        Ok(Author {
            user_id: self.administrator()?.id.clone(),
            origin: origin(request).to_owned(),
        })
    }
}

/// What a request was sent by.
fn origin(request: &Request) -> &'static str {
    match request.header("x-baas-request-origin") {
        Some("mongodb-baas-cli") => "CLI",
        Some(_) => "UI",
        None => "API",
    }
}

/// The admin surface.
pub struct Admin {
    core: Arc<Backstitch>,
    routes: Routes<Cx>,
    private: Routes<Cx>,
}

impl Admin {
    /// The surface of a core.
    pub fn new(core: Arc<Backstitch>) -> Self {
        Self {
            core,
            routes: web::routes(TABLES),
            private: web::routes(&[private::ROWS]),
        }
    }

    /// Every operation: id, method, path below [`PREFIX`], scope.
    pub fn operations() -> impl Iterator<Item = (&'static str, &'static Method, &'static str, Scope)>
    {
        TABLES
            .iter()
            .flat_map(|table| table.iter())
            .map(|row| (row.id, &row.method, row.path, row.scope))
    }

    /// Bytes of the largest file that a request may upload; none when it uploads
    /// nothing, and its body is JSON.
    pub fn upload_bytes_max(&self, method: &Method, path: &str) -> Option<usize> {
        let path = path.strip_prefix(PREFIX.trim_end_matches('/'))?;
        match self.routes.find(method, path) {
            Found::Operation(operation, _) => match operation.id {
                UPLOAD_ASSET => Some(limit::HOSTED_FILE_BYTES_MAX),
                UPLOAD_DEPENDENCIES | POST_DEPENDENCIES | DIFF_DEPENDENCIES => {
                    Some(limit::DEPENDENCIES_BYTES_MAX)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Answers a request whose path begins with [`PREFIX`] or
    /// [`PRIVATE_PREFIX`]. `base_url` is the
    /// address by which the client reached the server.
    pub async fn handle(&self, request: Request, base_url: &str) -> Response<Body> {
        let id = request.id.clone();
        let mut place = String::new();
        match self.route(request, None, base_url, &mut place).await {
            Ok(answer) => answer.0,
            Err(problem) => {
                let link =
                    (!place.is_empty()).then(|| format!("{base_url}{place}/logs?co_id={id}"));
                web::respond(&problem, link)
            }
        }
    }

    /// Answers a request of an administrator who is known: for the operator, who
    /// has the server's records at hand.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn handle_as(
        &self,
        administrator: Administrator,
        request: Request,
    ) -> Result<Answer, Problem> {
        self.route(request, Some(administrator), "", &mut String::new())
            .await
    }

    /// Finds the operation, who calls it and whose app it is about. `place` is
    /// the app's, for links.
    async fn route(
        &self,
        mut request: Request,
        known: Option<Administrator>,
        base_url: &str,
        place: &mut String,
    ) -> Result<Answer, Problem> {
        let (routes, prefix) = if request.path.starts_with(PRIVATE_PREFIX) {
            (&self.private, PRIVATE_PREFIX)
        } else {
            (&self.routes, PREFIX)
        };
        let path = &request.path[prefix.len() - 1..];
        let operation = match routes.find(&request.method, path) {
            Found::Operation(operation, parameters) => {
                request.parameters = parameters;
                operation
            }
            Found::OtherMethod => {
                return Err(Problem::new(Kind::NotFound, "", "method not allowed here"));
            }
            Found::Nothing => return Err(Problem::new(Kind::NotFound, "", "404 page not found")),
        };
        let mut cx = Cx {
            core: self.core.clone(),
            administrator: None,
            app: None,
            base_url: base_url.to_owned(),
        };
        if operation.scope != Scope::Open {
            let administrator = match known {
                Some(administrator) => administrator,
                None => self.core.administrator(bearer(&request)?).await?,
            };
            self.admit(&administrator, operation.scope, &request)
                .await?;
            cx.administrator = Some(administrator);
        }
        let app_id = request.parameter("appId");
        if !app_id.is_empty() {
            let group = request.parameter("groupId");
            let app = self.core.app_of_project(group, app_id).await?;
            *place = format!("/groups/{}/apps/{}", app.project_id, app.id);
            cx.app = Some(app);
        }
        let Some(administrator) = changes(operation, &cx) else {
            return (operation.run)(cx, request).await;
        };
        let below = request.path.strip_prefix(PREFIX.trim_end_matches('/'));
        let address = request.peer.map(|peer| peer.ip().to_string());
        let (id, resource) = (
            request.id.clone(),
            below.unwrap_or(&request.path).to_owned(),
        );
        let (group, app) = (request.parameter("groupId"), request.parameter("appId"));
        let (group, app) = (group.to_owned(), app.to_owned());
        let change = Changing {
            request_id: &id,
            operation: operation.id,
            project_id: &group,
            app_id: &app,
            resource: &resource,
            origin: origin(&request),
            address: address.as_deref().unwrap_or_default(),
        };
        let work = (operation.run)(cx, request);
        let answered = self.core.changing(&administrator, change, work, outcome);
        answered.await?
    }

    /// Whether an administrator may call an operation of a project. Another
    /// project's app is not there; a refusal is no 401, on which some clients
    /// would refresh for ever.
    async fn admit(
        &self,
        administrator: &Administrator,
        scope: Scope,
        request: &Request,
    ) -> Result<(), Problem> {
        if scope == Scope::Administrator {
            return Ok(());
        }
        let group = request.parameter("groupId");
        let Some(role) = administrator.role_in(group) else {
            if !self.core.has_project(group).await? {
                return Err(group_not_found(group));
            }
            return Err(match request.parameter("appId") {
                "" => refused("this administrator has no role in the project"),
                app => app_not_found(app),
            });
        };
        if scope == Scope::Write && role != OWNER {
            return Err(refused("this administrator may only read"));
        }
        Ok(())
    }
}

/// Who makes a change by an operation; nobody by one that changes nothing.
fn changes(operation: &Row, cx: &Cx) -> Option<Administrator> {
    let changes = match operation.scope {
        Scope::Write => true,
        Scope::Administrator => operation.method != Method::GET,
        Scope::Open | Scope::Read => false,
    };
    cx.administrator.clone().filter(|_| changes)
}

/// What was answered: the status, the error code and the id of what was made.
fn outcome(answered: &Result<Answer, Problem>) -> (u16, &str, &str) {
    match answered {
        Ok(answer) => (answer.0.status().as_u16(), "", answer.made()),
        Err(problem) => (web::status(problem.kind).as_u16(), &problem.code, ""),
    }
}

/// The access token of a request. One without is a session that ended: clients
/// know no other reason to log in.
fn bearer(request: &Request) -> Result<&str, Problem> {
    let bearer = request.bearer();
    bearer.map_err(|_| Problem::invalid_session("invalid session"))
}

/// What an administrator may not do.
fn refused(message: &'static str) -> Problem {
    Problem::new(Kind::Forbidden, "Unauthorized", message)
}
