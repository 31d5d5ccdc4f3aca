//! Problems on the wire: `{error, error_code, link}` (client-api.md §6).

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use kit::{Kind, Problem};
use serde_json::json;

/// When a client that was told to wait may come back, in seconds, unless it is
/// known better.
const RETRY_AFTER_S: u32 = 5;

/// The status of a problem. The only place where kinds become numbers.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A problem as an answer; `link` leads to the request's log entry. The
/// content type has no parameters: SDKs compare it whole.
pub fn respond(problem: &Problem, link: Option<String>) -> Response<Body> {
    if let Some(because) = &problem.because {
        // A refusal is the caller's affair; a fault of ours is the operator's.
        if problem.kind == Kind::Internal {
            tracing::error!(%because, "{}", problem.message);
        } else {
            tracing::info!(code = %problem.code, %because, "{}", problem.message);
        }
    }
    let mut body = json!({ "error": problem.message });
    if !problem.code.is_empty() {
        body["error_code"] = json!(problem.code);
    }
    if let Some(link) = link {
        body["link"] = json!(link);
    }
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status(problem.kind);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if matches!(problem.kind, Kind::Limited | Kind::Unavailable) {
        let seconds = problem.retry_after_s.unwrap_or(RETRY_AFTER_S);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
