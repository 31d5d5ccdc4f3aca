//! Successful answers. One without a value has neither body nor content type.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// What a handler answers.
#[derive(Debug)]
pub struct Answer(pub Response<Body>);

/// The id of what was made.
#[derive(Clone)]
struct Made(String);

impl Answer {
    /// JSON with status 200.
    pub fn ok(value: &Value) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// JSON with status 201. The id of what was made stays known.
    pub fn created(value: &Value) -> Self {
        let mut answer = Self::json(StatusCode::CREATED, value);
        let id = ["_id", "id"].iter().find_map(|name| value[name].as_str());
        if let Some(id) = id {
            answer.0.extensions_mut().insert(Made(id.to_owned()));
        }
        answer
    }

    /// The id of what was made, if that is what the answer says.
    pub fn made(&self) -> &str {
        let made = self.0.extensions().get::<Made>();
        made.map_or("", |made| made.0.as_str())
    }

    /// JSON with a status. The content type has no parameters.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string().into_bytes())
    }

    /// Bytes of a type.
    pub fn bytes(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Self {
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self(response)
    }

    /// Bytes of a type that are to be kept as a file of this name.
    pub fn file(kind: &'static str, name: &str, bytes: Vec<u8>) -> Self {
        let mut answer = Self::bytes(StatusCode::OK, kind, bytes);
        // A name is ASCII letters, digits and a few signs; another one has none.
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            let headers = answer.0.headers_mut();
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        answer
    }

    /// A status without a body.
    pub fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Self(response)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }
}
