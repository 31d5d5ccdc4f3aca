//! The built-in pages behind the links of mails, for apps that have none of their
//! own: `/app/{client app id}/auth/confirm` and `/reset`. The tokens are in the
//! URL's fragment, which no browser sends; the pages do what an app would, with
//! the client API.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, Response};
use kit::{Kind, Problem};

use crate::hosting::not_allowed;
use crate::{Client, Page, unknown};

/// Nothing runs, and nothing is asked, but what comes from here; nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every page says of itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

impl Client {
    pub(crate) async fn account_page(
        &self,
        app: &str,
        name: &str,
        page: Page<'_>,
    ) -> Result<Response<Body>, Problem> {
        let (content_type, text) = match name {
            "confirm" => (
                "text/html; charset=utf-8",
                include_str!("pages/confirm.html"),
            ),
            "reset" => ("text/html; charset=utf-8", include_str!("pages/reset.html")),
            "page.js" => (
                "text/javascript; charset=utf-8",
                include_str!("pages/page.js"),
            ),
            "page.css" => ("text/css; charset=utf-8", include_str!("pages/page.css")),
            _ => return Err(unknown()),
        };
        // It tells no more than hosting does: whether there is such an app.
        self.core.app_by_client_id(app).await.map_err(|problem| {
            if problem.kind == Kind::NotFound {
                return unknown();
            }
            problem
        })?;
        if !matches!(*page.method, Method::GET | Method::HEAD) {
            return Ok(not_allowed());
        }
        let mut response = Response::new(if *page.method == Method::HEAD {
            Body::empty()
        } else {
            Body::from(text)
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }
}
