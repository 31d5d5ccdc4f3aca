//! A request as handlers see it.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, header};
use bson::Document;
use kit::{Kind, Problem};

/// A request whose body has been read.
#[derive(Debug)]
pub struct Request {
    /// The id that answers and log entries carry.
    pub id: String,
    /// The method.
    pub method: Method,
    /// The path, percent-encoded.
    pub path: String,
    /// The query string; empty without one.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The client: the peer, or whom a trusted proxy names.
    pub peer: Option<SocketAddr>,
    /// Values of the path's `{names}`, in order, decoded.
    pub parameters: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A path parameter; empty when the path has none of that name.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query_values(name).next()
    }

    /// Every value of a query parameter that may be repeated, decoded.
    pub fn query_values(&self, name: &str) -> impl Iterator<Item = String> {
        values(&self.query, name)
    }

    /// The items of a query parameter that is a list with commas.
    pub fn query_list(&self, name: &str) -> Vec<String> {
        let values: Vec<String> = self.query_values(name).collect();
        let items = values.iter().flat_map(|value| value.split(','));
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// A query parameter that is a number.
    ///
    /// # Errors
    /// `InvalidParameter`.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, Problem> {
        match self.query_value(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Problem::invalid_parameter(format!("'{name}' must be a number, not '{text}'"))
            }),
        }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bearer token.
    ///
    /// # Errors
    /// See [`bearer`].
    pub fn bearer(&self) -> Result<&str, Problem> {
        bearer(&self.headers)
    }

    /// The body as an Extended JSON document; an empty one is an empty
    /// document.
    ///
    /// # Errors
    /// `BadRequest`.
    pub fn ejson(&self) -> Result<Document, Problem> {
        let body = self.body.trim_ascii();
        if body.is_empty() || body == b"null" || body == b"\"\"" {
            return Ok(Document::new());
        }
        kit::ejson::parse_document(body).map_err(|error| {
            Problem::bad_request(format!("the request body is not valid JSON: {error}"))
        })
    }
}

/// The bearer token of a request's headers.
///
/// # Errors
/// `MissingAuthReq` without the header; a text without a code for one that is
/// no bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(header::AUTHORIZATION);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return Err(Problem::new(
            Kind::Unauthenticated,
            "MissingAuthReq",
            "must authenticate first",
        ));
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = if scheme.eq_ignore_ascii_case("Bearer") {
        token.trim()
    } else {
        ""
    };
    if token.is_empty() {
        return Err(Problem::new(
            Kind::Unauthenticated,
            "",
            "expected Authorization header with JWT (Bearer schema)",
        ));
    }
    Ok(token)
}

/// Every value of a name in a query string or a form, decoded.
pub fn values(text: &str, name: &str) -> impl Iterator<Item = String> {
    text.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// Decodes percent escapes; `+` is a space.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| {
                text.get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn escapes() {
        assert_eq!(decode("a%20b+c%C3%A9"), "a b cé");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%€"), "%€");
    }
}
