//! `context.http` and the service `http`: an argument to a request, an answer to
//! a document (functions-runtime.md §5).
//!
//! Not here: which addresses are connected to (`egress`), and what rules allow.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::{CString, RawBsonRef};
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use egress::{
    EgressError, HeaderMap, HeaderName, HeaderValue, Limits, Method, Request, Response, StatusCode,
    header,
};
use kit::{Kind, Problem, limit};
use percent_encoding::percent_decode_str;
use url::Url;

use super::digest::Challenge;

/// Redirects that are followed for who asks for it.
const REDIRECTS_MAX: usize = 10;

/// Where a request goes, and as whom.
pub(super) struct Address {
    /// Without user and password.
    pub(super) url: Url,
    credentials: Option<(String, String)>,
}

/// The address in an argument: `url`, or its parts.
///
/// # Errors
/// When there is none, or it is no address.
pub(super) fn address(sent: &RawDocument) -> Result<Address, Problem> {
    let mut url = match text(sent, "url")? {
        Some(url) => parsed(url)?,
        None => of_parts(sent)?,
    };
    let mut credentials = None;
    if !url.username().is_empty() || url.password().is_some() {
        let plain = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        credentials = Some((
            plain(url.username()),
            plain(url.password().unwrap_or_default()),
        ));
        // Neither fails where there were some.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    if let Some(user) = text(sent, "username")? {
        let password = text(sent, "password")?.unwrap_or_default();
        credentials = Some((user.to_owned(), password.to_owned()));
    }
    Ok(Address { url, credentials })
}

fn parsed(text: &str) -> Result<Url, Problem> {
    Url::parse(text).map_err(|error| invalid(format!("the URL cannot be used: {error}")))
}

fn of_parts(sent: &RawDocument) -> Result<Url, Problem> {
    let host = match text(sent, "host")? {
        Some(host) => Some(host),
        None => text(sent, "domain")?,
    };
    let host = host.ok_or_else(|| invalid("'url' or 'host' is required"))?;
    let scheme = text(sent, "scheme")?.unwrap_or("http");
    let mut url = parsed(&format!("{scheme}://{host}"))?;
    // A host that brings more than itself would be another one than it seems.
    if url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
        || host.ends_with(['/', '?', '#', '\\'])
    {
        return Err(invalid("'host' is a host and nothing else"));
    }
    if let Some(path) = text(sent, "path")? {
        url.set_path(path);
    }
    match sent.get("query") {
        Ok(Some(RawBsonRef::Document(query))) => {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query.iter().flatten() {
                for value in each(value) {
                    pairs.append_pair(name.as_str(), &plain_text(value));
                }
            }
        }
        Ok(Some(RawBsonRef::String(query))) => url.set_query(Some(query)),
        _ => {}
    }
    url.set_fragment(text(sent, "fragment")?);
    Ok(url)
}

/// Sends what an argument says.
///
/// # Errors
/// What is wrong with the argument, and why there is no answer.
pub(super) async fn send(
    to: &egress::Http,
    verb: &str,
    sent: &RawDocument,
) -> Result<RawBson, Problem> {
    let method = match verb {
        "get" => Method::GET,
        "post" => Method::POST,
        "put" => Method::PUT,
        "patch" => Method::PATCH,
        "delete" => Method::DELETE,
        "head" => Method::HEAD,
        _ => return Err(unknown(verb)),
    };
    let Address { url, credentials } = address(sent)?;
    let mut headers = headers(sent)?;
    let body = body(sent, &mut headers)?;
    let mut cookies = cookies(sent)?;
    let limits = Limits {
        // The call's own end comes before it.
        time: Duration::from_millis(limit::CALL_MS_MAX),
        body_bytes: limit::SERVICE_ANSWER_BYTES_MAX,
        redirects: if flag(sent, "followRedirects")? {
            REDIRECTS_MAX
        } else {
            0
        },
    };
    let digest = flag(sent, "digestAuth")?;
    if digest && credentials.is_none() {
        return Err(invalid("'digestAuth' needs 'username' and 'password'"));
    }
    if let Some((user, password)) = credentials.as_ref().filter(|_| !digest) {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        let mut basic = value(&format!("Basic {pair}"))?;
        basic.set_sensitive(true);
        headers.entry(header::AUTHORIZATION).or_insert(basic);
    }
    if let Some(asked) = text(sent, "authUrl")? {
        let answer = to.send(Request::get(asked), limits).await;
        let answer = answer.map_err(failed)?;
        cookies
            .extend(set_cookies(&answer.headers).map(|(name, value, _)| format!("{name}={value}")));
    }
    if !cookies.is_empty() {
        headers.append(header::COOKIE, value(&cookies.join("; "))?);
    }
    let request = Request {
        method,
        url: url.as_str().to_owned(),
        headers,
        body: body.into(),
    };
    let mut answer = to.send(request.clone(), limits).await;
    if let Ok(challenged) = &answer
        && challenged.status == StatusCode::UNAUTHORIZED
        && digest
        && let Some((user, password)) = &credentials
        && let Some(challenge) = Challenge::of(&challenged.headers)
    {
        let authorization = challenge.answer(&request, &url, user, password);
        let mut authorization = value(&authorization)?;
        authorization.set_sensitive(true);
        let request = request.header(header::AUTHORIZATION, authorization);
        answer = to.send(request, limits).await;
    }
    shown(&answer.map_err(failed)?, verb == "head")
}

fn unknown(verb: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "ServiceCommandNotFound",
        format!("unknown HTTP action '{verb}'"),
    )
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem::invalid_parameter(message)
}

/// Why there is no answer, for the developer.
pub(super) fn failed(error: EgressError) -> Problem {
    match error {
        EgressError::Refused(_) => {
            Problem::new(Kind::Forbidden, "RestrictedHost", error.to_string())
        }
        _ => Problem::new(Kind::Invalid, "HTTPError", error.to_string()),
    }
}

pub(super) fn text<'d>(sent: &'d RawDocument, name: &str) -> Result<Option<&'d str>, Problem> {
    match sent.get(name) {
        Ok(Some(RawBsonRef::String(text))) => Ok(Some(text)),
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => Ok(None),
        _ => Err(invalid(format!("'{name}' is a string"))),
    }
}

fn flag(sent: &RawDocument, name: &str) -> Result<bool, Problem> {
    match sent.get(name) {
        Ok(Some(RawBsonRef::Boolean(flag))) => Ok(flag),
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => Ok(false),
        _ => Err(invalid(format!("'{name}' is a boolean"))),
    }
}

/// The values of a list, or the one value.
fn each(value: RawBsonRef<'_>) -> Vec<RawBsonRef<'_>> {
    match value {
        RawBsonRef::Array(values) => values.into_iter().flatten().collect(),
        RawBsonRef::Null | RawBsonRef::Undefined => Vec::new(),
        one => vec![one],
    }
}

/// A value as a header, a cookie or a field of a form has it.
pub(super) fn plain_text(value: RawBsonRef<'_>) -> String {
    match value {
        RawBsonRef::String(text) => text.to_owned(),
        RawBsonRef::ObjectId(id) => id.to_hex(),
        RawBsonRef::Int64(n) => n.to_string(),
        RawBsonRef::Double(n) => n.to_string(),
        RawBsonRef::Decimal128(n) => n.to_string(),
        RawBsonRef::Binary(binary) => String::from_utf8_lossy(binary.bytes).into_owned(),
        other => {
            let mut out = Vec::new();
            kit::ejson::relaxed(other, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| invalid("a header has a character that it cannot have"))
}

fn headers(sent: &RawDocument) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    let given = match sent.get("headers") {
        Ok(Some(RawBsonRef::Document(given))) => given,
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => return Ok(headers),
        _ => return Err(invalid("'headers' is a document")),
    };
    for (name, values) in given.iter().flatten() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes())
            .map_err(|_| invalid(format!("'{}' is no name of a header", name.as_str())))?;
        // The address says the host, which is what rules are about.
        if name == header::HOST {
            continue;
        }
        for each in each(values) {
            headers.append(name.clone(), value(&plain_text(each))?);
        }
    }
    Ok(headers)
}

/// Cookies to send, each as `name=value`.
fn cookies(sent: &RawDocument) -> Result<Vec<String>, Problem> {
    match sent.get("cookies") {
        Ok(Some(RawBsonRef::Document(cookies))) => {
            let pair = |(name, value): (&bson::raw::CStr, RawBsonRef<'_>)| {
                format!("{}={}", name.as_str(), plain_text(value))
            };
            Ok(cookies.iter().flatten().map(pair).collect())
        }
        Ok(Some(RawBsonRef::String(cookies))) => Ok(vec![cookies.to_owned()]),
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => Ok(Vec::new()),
        _ => Err(invalid("'cookies' is a document")),
    }
}

/// The body that an argument says, and what the headers say of it.
fn body(sent: &RawDocument, headers: &mut HeaderMap) -> Result<Vec<u8>, Problem> {
    let body = match sent.get("body") {
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => None,
        Ok(body) => body,
        Err(error) => return Err(invalid(error.to_string())),
    };
    let form = match sent.get("form") {
        Ok(Some(RawBsonRef::Document(form))) => Some(form),
        Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined) | None) => None,
        _ => return Err(invalid("'form' is a document")),
    };
    let encode = flag(sent, "encodeBodyAsJSON")?;
    match (body, form) {
        (Some(_), Some(_)) => Err(invalid("'body' and 'form' exclude each other")),
        (None, None) => Ok(Vec::new()),
        (None, Some(form)) => Ok(encoded_form(form, headers)),
        (Some(RawBsonRef::String(text)), None) if !encode => Ok(text.as_bytes().to_vec()),
        (Some(RawBsonRef::Binary(binary)), None) if !encode => Ok(binary.bytes.to_vec()),
        // An object is written as JSON, also where the flag is missing: there is
        // nothing else that it could mean.
        (Some(body), None) => {
            let mut out = Vec::new();
            kit::ejson::canonical(body, &mut out);
            let json = HeaderValue::from_static("application/json");
            headers.entry(header::CONTENT_TYPE).or_insert(json);
            Ok(out)
        }
    }
}

/// A form: of the kind that the headers name, else `multipart/form-data`.
fn encoded_form(form: &RawDocument, headers: &mut HeaderMap) -> Vec<u8> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    let mut fields = Vec::new();
    for (name, values) in form.iter().flatten() {
        for value in each(values) {
            let bytes = match value {
                RawBsonRef::Binary(binary) => binary.bytes.to_vec(),
                other => plain_text(other).into_bytes(),
            };
            fields.push((name.as_str(), bytes));
        }
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &fields {
            out.append_pair(name, &String::from_utf8_lossy(value));
        }
        return out.finish().into_bytes();
    }
    let holds = |boundary: &str| {
        let is = |value: &[u8]| memchr::memmem::find(value, boundary.as_bytes()).is_some();
        fields.iter().any(|(_, value)| is(value))
    };
    let boundary = loop {
        let boundary = bson::oid::ObjectId::new().to_hex();
        if !holds(&boundary) {
            break boundary;
        }
    };
    let mut out = Vec::new();
    for (name, value) in &fields {
        let name = name
            .replace('"', "%22")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={boundary}");
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    out
}

/// An answer as functions see it.
fn shown(answer: &Response, head: bool) -> Result<RawBson, Problem> {
    let status = answer.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let told = answer.headers.get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<i64>().ok());
    let length = if head {
        told.unwrap_or(-1)
    } else {
        answer.body.len() as i64
    };
    let mut headers: Vec<(String, RawArrayBuf)> = Vec::new();
    for name in answer.headers.keys() {
        let mut values = RawArrayBuf::new();
        for value in answer.headers.get_all(name) {
            values.push(String::from_utf8_lossy(value.as_bytes()).as_ref());
        }
        headers.push((canonical(name.as_str()), values));
    }
    let mut document = rawdoc! {
        "status": format!("{} {reason}", status.as_u16()).trim_end(),
        "statusCode": i32::from(status.as_u16()),
    };
    match i32::try_from(length) {
        Ok(length) => document.append(cstr!("contentLength"), length),
        Err(_) => document.append(cstr!("contentLength"), length),
    }
    let mut all = RawDocumentBuf::new();
    for (name, values) in headers {
        all.append(CString::try_from(name).map_err(Problem::internal)?, values);
    }
    document.append(cstr!("headers"), all);
    let mut cookies = RawDocumentBuf::new();
    for (name, value, attributes) in set_cookies(&answer.headers) {
        if let Ok(name) = CString::try_from(name) {
            cookies.append(name, cookie(value, attributes));
        }
    }
    document.append(cstr!("cookies"), cookies);
    let body = Binary {
        subtype: BinarySubtype::Generic,
        bytes: answer.body.to_vec(),
    };
    document.append(cstr!("body"), body);
    Ok(RawBson::Document(document))
}

/// The name of a header as Go's library writes it: `Content-Type`.
fn canonical(name: &str) -> String {
    let mut starts = true;
    let written = name.chars().map(|c| {
        let written = if starts { c.to_ascii_uppercase() } else { c };
        starts = c == '-';
        written
    });
    written.collect()
}

/// Cookies that an answer sets, the latest of a name: name, value, attributes.
fn set_cookies(headers: &HeaderMap) -> impl Iterator<Item = (String, String, &str)> {
    let mut cookies: Vec<(String, String, &str)> = Vec::new();
    for line in headers.get_all(header::SET_COOKIE) {
        let Ok(line) = line.to_str() else { continue };
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.is_empty() {
            continue;
        }
        cookies.retain(|(known, ..)| known != name);
        cookies.push((name.to_owned(), value.to_owned(), attributes));
    }
    cookies.into_iter()
}

fn cookie(value: String, attributes: &str) -> RawDocumentBuf {
    let mut cookie = rawdoc! { "value": value };
    for attribute in attributes.split(';') {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.append(cstr!("path"), value),
            "domain" => cookie.append(cstr!("domain"), value),
            "expires" => cookie.append(cstr!("expires"), value),
            "max-age" => cookie.append(cstr!("maxAge"), value),
            "secure" => cookie.append(cstr!("secure"), true),
            "httponly" => cookie.append(cstr!("httpOnly"), true),
            _ => {}
        }
    }
    cookie
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};
    use egress::HeaderMap;

    use super::{address, body, canonical, headers};

    fn url(sent: &RawDocumentBuf) -> String {
        match address(sent) {
            Ok(address) => match address.credentials {
                Some((user, password)) => format!("{} as {user}:{password}", address.url),
                None => address.url.to_string(),
            },
            Err(problem) => problem.message,
        }
    }

    #[test]
    fn addresses() {
        for (sent, wanted) in [
            (rawdoc! { "url": "https://a.example" }, "https://a.example/"),
            (rawdoc! { "host": "a.example" }, "http://a.example/"),
            (
                rawdoc! { "domain": "a.example", "scheme": "https" },
                "https://a.example/",
            ),
            (
                rawdoc! {
                    "scheme": "https", "host": "a.example:8443", "path": "/x y/z", "fragment": "f",
                    "query": { "id": ["1"], "color": ["red", "b&w"], "n": 5 },
                },
                "https://a.example:8443/x%20y/z?id=1&color=red&color=b%26w&n=5#f",
            ),
            (
                rawdoc! { "host": "a.example", "path": "no/slash" },
                "http://a.example/no/slash",
            ),
            (
                rawdoc! { "url": "https://my%20user:p%40ss@a.example/" },
                "https://a.example/ as my user:p@ss",
            ),
            (
                rawdoc! { "host": "a.example", "username": "u", "password": "p" },
                "http://a.example/ as u:p",
            ),
            (
                rawdoc! { "url": "http://x:y@a.example", "username": "u" },
                "http://a.example/ as u:",
            ),
            (rawdoc! {}, "'url' or 'host' is required"),
            (rawdoc! { "url": 5 }, "'url' is a string"),
            (
                rawdoc! { "url": "/relative" },
                "the URL cannot be used: relative URL without a base",
            ),
        ] {
            assert_eq!(url(&sent), wanted, "{sent:?}");
        }
        for host in [
            "a/b", "a?b", "a#b", "u@a", "u:p@a", "a/", "a\\b", "a\\", "a/../b", "a#",
        ] {
            let sent = rawdoc! { "host": host };
            assert_eq!(url(&sent), "'host' is a host and nothing else", "{host}");
        }
    }

    #[test]
    fn bodies() {
        let sent = |sent: RawDocumentBuf| {
            let mut headers = headers(&sent).unwrap();
            match body(&sent, &mut headers) {
                Ok(body) => {
                    let kind = headers
                        .get("content-type")
                        .map(|kind| kind.to_str().unwrap());
                    format!(
                        "{}: {}",
                        kind.unwrap_or("-"),
                        String::from_utf8_lossy(&body)
                    )
                }
                Err(problem) => problem.message,
            }
        };
        assert_eq!(sent(rawdoc! { "body": "text" }), "-: text");
        assert_eq!(
            sent(rawdoc! { "body": { "a": 1 }, "encodeBodyAsJSON": true }),
            r#"application/json: {"a":{"$numberInt":"1"}}"#
        );
        assert_eq!(
            sent(rawdoc! { "body": { "a": "b" } }),
            r#"application/json: {"a":"b"}"#
        );
        assert_eq!(
            sent(
                rawdoc! { "body": "text", "encodeBodyAsJSON": true, "headers": { "content-TYPE": "x" } }
            ),
            r#"x: "text""#
        );
        assert_eq!(
            sent(rawdoc! { "body": "text", "form": {} }),
            "'body' and 'form' exclude each other"
        );
        assert_eq!(
            sent(rawdoc! {
                "form": { "a": "b c", "n": 5, "l": ["x", "y"] },
                "headers": { "Content-Type": ["application/x-www-form-urlencoded"] },
            }),
            "application/x-www-form-urlencoded: a=b+c&n=5&l=x&l=y"
        );
        let form = sent(rawdoc! { "form": { "a\"\r\nb": "v" } });
        let (kind, form) = form.split_once(": ").unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(
            form,
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab\"\r\n\r\nv\r\n--{boundary}--\r\n"
            )
        );
    }

    #[test]
    fn headers_cannot_be_split_nor_name_another_host() {
        for sent in [
            rawdoc! { "headers": { "a\r\nb": "v" } },
            rawdoc! { "headers": { "a b": "v" } },
            rawdoc! { "headers": { "": "v" } },
        ] {
            assert!(headers(&sent).is_err(), "{sent:?}");
        }
        assert!(headers(&rawdoc! { "headers": { "a": ["v\r\nHost: b"] } }).is_err());
        let sent = rawdoc! { "headers": { "Host": ["b"], "X-A": ["1", "2"] } };
        let read: HeaderMap = headers(&sent).unwrap();
        assert_eq!(read.len(), 2);
        assert!(read.get("host").is_none());
    }

    #[test]
    fn names_of_headers() {
        assert_eq!(canonical("content-type"), "Content-Type");
        assert_eq!(canonical("x-a-5b"), "X-A-5b");
        assert_eq!(canonical("etag"), "Etag");
    }
}
