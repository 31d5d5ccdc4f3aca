//! The few calls of the Atlas API that the official CLI makes: projects and
//! clusters (admin-api.md §3.7). Only reads; HTTP Digest with a key pair, or the
//! Admin API's token.

use app::administrators::{Administrator, DigestRefusal};

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use kit::Problem;
use serde_json::{Value, json};
use web::{Answer, Request};

use crate::Admin;

/// Where projects are.
const PUBLIC: &str = "/api/public/v1.0";
/// Where what a project has is.
const ATLAS: &str = "/api/atlas/v1.0";

/// Items of a page unless the client says how many.
const PAGE: u64 = 100;
/// Most items of a page.
const PAGE_MAX: u64 = 500;

/// Why there is no answer.
enum Refused {
    Status(StatusCode, &'static str, &'static str),
    Challenge(String),
    Problem(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Admin {
    /// Whether a path is one of the Atlas API.
    pub fn is_atlas(path: &str) -> bool {
        [PUBLIC, ATLAS].iter().any(|prefix| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Answers a request of the Atlas API. `base_url` is the address by which
    /// the client reached the server.
    pub async fn atlas(&self, request: &Request, base_url: &str) -> Response<Body> {
        match self.atlas_answer(request, base_url).await {
            Ok(value) => Answer::ok(&value).0,
            Err(Refused::Problem(problem)) => web::respond(&problem, None),
            Err(Refused::Status(status, code, detail)) => refusal(status, code, detail),
            Err(Refused::Challenge(challenge)) => {
                let mut response = refusal(
                    StatusCode::UNAUTHORIZED,
                    "USER_UNAUTHORIZED",
                    "You are not authorized for this resource.",
                );
                if let Ok(value) = HeaderValue::from_str(&challenge) {
                    let headers = response.headers_mut();
                    headers.insert(header::WWW_AUTHENTICATE, value);
                }
                response
            }
        }
    }

    async fn atlas_answer(&self, request: &Request, base_url: &str) -> Result<Value, Refused> {
        let path = request.path.trim_end_matches('/');
        if request.method != Method::GET {
            return Err(Refused::Status(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "Only GET is answered here.",
            ));
        }
        if path == PUBLIC || path == ATLAS {
            return Ok(json!({ "appName": "Backstitch", "links": [] }));
        }
        let administrator = self.asking(request).await?;
        if path.strip_prefix(PUBLIC) == Some("/groups") {
            return self.groups(&administrator, request, base_url).await;
        }
        let below = path
            .strip_prefix(ATLAS)
            .and_then(|rest| rest.strip_prefix("/groups/"));
        let Some((group, what)) = below.and_then(|below| below.split_once('/')) else {
            return Err(not_found());
        };
        if !matches!(what, "clusters" | "serverless" | "dataLakes") {
            return Err(not_found());
        }
        let groups = self.core.projects(&administrator).await?;
        if groups.iter().all(|known| known.id != group) {
            return Err(Refused::Status(
                StatusCode::NOT_FOUND,
                "GROUP_NOT_FOUND",
                "There is no group of this id.",
            ));
        }
        Ok(match what {
            "clusters" => {
                let names = self.core.cluster_names();
                let shown = names.iter().map(|name| {
                    let id = state::content_hash(name.as_bytes());
                    json!({ "id": id.get(..24), "name": name, "stateName": "IDLE" })
                });
                listed(shown.collect(), names.len() as u64, Vec::new())
            }
            "serverless" => listed(Vec::new(), 0, Vec::new()),
            // A list as it is, not within a page.
            _ => json!([]),
        })
    }

    /// Who asks. A client that has logged in at the Admin API has a token, and may
    /// have kept no key.
    async fn asking(&self, request: &Request) -> Result<Administrator, Refused> {
        if let Ok(token) = request.bearer()
            && let Ok(administrator) = self.core.administrator(token).await
        {
            return Ok(administrator);
        }
        self.digest_administrator(request).await
    }

    async fn digest_administrator(&self, request: &Request) -> Result<Administrator, Refused> {
        let target = if request.query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.query)
        };
        let authorization = request.header(header::AUTHORIZATION.as_str());
        let address = request.peer.map(|peer| peer.ip().to_string());
        let address = address.unwrap_or_default();
        self.core
            .digest_administrator(authorization, request.method.as_str(), &target, &address)
            .await
            .map_err(|refusal| match refusal {
                DigestRefusal::Challenge(challenge) => Refused::Challenge(challenge),
                DigestRefusal::Problem(problem) => Refused::Problem(problem),
            })
    }

    async fn groups(
        &self,
        administrator: &Administrator,
        request: &Request,
        base_url: &str,
    ) -> Result<Value, Refused> {
        let page = request.query_number("pageNum")?.unwrap_or(1).max(1);
        let size = request.query_number("itemsPerPage")?.unwrap_or(PAGE);
        let size = size.clamp(1, PAGE_MAX);
        let groups = self.core.projects(administrator).await?;
        let first = (page - 1).saturating_mul(size);
        let skipped = usize::try_from(first).unwrap_or(usize::MAX);
        let shown: Vec<Value> = groups
            .iter()
            .skip(skipped)
            .take(usize::try_from(size).unwrap_or(usize::MAX))
            .map(|group| json!({ "id": group.id, "name": group.name }))
            .collect();
        let mut links = Vec::new();
        if first.saturating_add(size) < groups.len() as u64 {
            let next = page + 1;
            let href = format!("{base_url}{PUBLIC}/groups?pageNum={next}&itemsPerPage={size}");
            links.push(json!({ "rel": "next", "href": href }));
        }
        Ok(listed(shown, groups.len() as u64, links))
    }
}

fn listed(results: Vec<Value>, total: u64, links: Vec<Value>) -> Value {
    json!({ "results": results, "links": links, "totalCount": total })
}

fn not_found() -> Refused {
    Refused::Status(
        StatusCode::NOT_FOUND,
        "RESOURCE_NOT_FOUND",
        "There is nothing of this name.",
    )
}

/// A refusal as the Atlas API has it: clients show its detail.
fn refusal(status: StatusCode, code: &str, detail: &str) -> Response<Body> {
    let body = json!({ "detail": detail, "error": status.as_u16(), "errorCode": code });
    Answer::json(status, &body).0
}
