//! Static hosting: the files of an app's site, by path (triggers-ops.md §11.3).
//! Open to everybody, whatever the access list says.

use std::fmt::Write as _;
use std::sync::Arc;

use app::{App, Asset, Hosted, PIECE_BYTES, asset_pieces};
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use kit::{Kind, Problem};
use web::decode;

use crate::{Client, unknown};

/// Where sites are: `/app/{client app id}/hosting/`.
pub const SITES: &str = "/app/";

/// A request for a page.
#[derive(Debug, Clone, Copy)]
pub struct Page<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path, percent-encoded.
    pub path: &'r str,
    /// The query string; empty without one.
    pub query: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
}

impl Client {
    /// Answers a request whose path begins with [`SITES`].
    pub async fn site(&self, page: Page<'_>) -> Response<Body> {
        let served = self.page(page).await;
        served.unwrap_or_else(|problem| web::respond(&problem, None))
    }

    async fn page(&self, page: Page<'_>) -> Result<Response<Body>, Problem> {
        let rest = page.path.strip_prefix(SITES).unwrap_or_default();
        let (id, rest) = rest.split_once('/').ok_or_else(unknown)?;
        if let Some(name) = rest.strip_prefix("auth/") {
            return self.account_page(id, name, page).await;
        }
        let path = rest.strip_prefix("hosting").ok_or_else(unknown)?;
        if !path.is_empty() && !path.starts_with('/') {
            return Err(unknown());
        }
        let site = format!("{SITES}{id}/hosting");
        let app = self.core.app_by_client_id(id).await.map_err(|problem| {
            if problem.kind == Kind::NotFound {
                return unknown();
            }
            problem
        })?;
        if !matches!(*page.method, Method::GET | Method::HEAD) {
            return Ok(not_allowed());
        }
        if path.is_empty() {
            return redirect(&format!("{site}/"), page.query);
        }
        let path = decode(&path.replace('+', "%2B"));
        let key = page
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("key="));
        match app.hosted(&path, key).await? {
            Hosted::Redirect(to) if to.starts_with('/') && !to.starts_with("//") => {
                redirect(&format!("{site}{}", encoded(&to)), page.query)
            }
            Hosted::Redirect(to) => redirect(&to, ""),
            Hosted::File { asset, status } => Ok(file(&app, asset, status, &page)),
        }
    }
}

/// A path as a URL has it. What a redirect's target says in escapes, a query or
/// a fragment stays.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn redirect(to: &str, query: &str) -> Result<Response<Body>, Problem> {
    let to = if query.is_empty() {
        to.to_owned()
    } else {
        format!("{to}?{query}")
    };
    let to = HeaderValue::from_str(&to).map_err(|_| unknown())?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

pub(crate) fn not_allowed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// A file, the part of it that was asked for, or that it is what the client has.
fn file(app: &Arc<App>, asset: Asset, status: u16, page: &Page<'_>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
    let headers = response.headers_mut();
    describe(&asset, headers);
    let text = |name: HeaderName| page.headers.get(name).and_then(|value| value.to_str().ok());
    let tag = format!("\"{}\"", asset.hash);
    if status == 200 {
        if text(header::IF_NONE_MATCH).is_some_and(|known| names(known, &tag)) {
            headers.remove(header::CONTENT_TYPE);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let size = u64::try_from(asset.size).unwrap_or_default();
    let whole = text(header::IF_RANGE).is_some_and(|known| known != tag);
    let wanted = text(header::RANGE).filter(|_| status == 200 && !whole);
    let (first, end) = match wanted.map(|range| part(range, size)) {
        None | Some(Wanted::All) => (0, size),
        Some(Wanted::Part(first, end)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {first}-{}/{size}", end - 1);
            set(response.headers_mut(), header::CONTENT_RANGE, &range);
            (first, end)
        }
        Some(Wanted::Nothing) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let range = format!("bytes */{size}");
            set(response.headers_mut(), header::CONTENT_RANGE, &range);
            return response;
        }
    };
    let length = (end - first).to_string();
    set(response.headers_mut(), header::CONTENT_LENGTH, &length);
    if *page.method != Method::HEAD {
        *response.body_mut() = body(app.clone(), asset, first, end);
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What a file is served with.
fn describe(asset: &Asset, headers: &mut HeaderMap) {
    // A page is what its type says, whatever a browser would guess.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Nobody keeps a file without asking whether it is still the same.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set(headers, header::CONTENT_TYPE, content_type(&asset.path));
    set(headers, header::ETAG, &format!("\"{}\"", asset.hash));
    for attribute in &asset.attributes {
        let Ok(name) = HeaderName::from_bytes(attribute.name.as_bytes()) else {
            continue;
        };
        if name.as_str() != "website-redirect-location" && !attribute.value.is_empty() {
            set(headers, name, &attribute.value);
        }
    }
}

/// Whether a list of entity tags names one.
fn names(list: &str, tag: &str) -> bool {
    let mut known = list.split(',').map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// What a range asks for: from the first to before the last byte.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(u64, u64),
    Nothing,
}

/// Several ranges at once are all of it.
fn part(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let (first, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Wanted::All,
    };
    if first >= end {
        return Wanted::Nothing;
    }
    Wanted::Part(first, end)
}

/// The bytes from one to before another, read piece by piece as they are sent.
fn body(app: Arc<App>, asset: Asset, first: u64, end: u64) -> Body {
    let piece_bytes = PIECE_BYTES as u64;
    let number = usize::try_from(first / piece_bytes).unwrap_or(usize::MAX);
    let pieces = asset_pieces(&asset);
    let stream = futures_util::stream::try_unfold(number, move |number| {
        let (app, asset) = (app.clone(), asset.clone());
        async move {
            let begins = number as u64 * piece_bytes;
            if number >= pieces || begins >= end {
                return Ok(None);
            }
            let mut piece = app
                .asset_piece(&asset, number)
                .await
                .inspect_err(|problem| {
                    tracing::error!(app = app.id, path = asset.path, %problem, "hosting");
                })?;
            piece.truncate(usize::try_from(end - begins).unwrap_or(usize::MAX));
            let skipped = usize::try_from(first.saturating_sub(begins)).unwrap_or_default();
            piece.drain(..skipped.min(piece.len()));
            Ok::<_, Problem>(Some((piece, number + 1)))
        }
    });
    Body::from_stream(stream)
}

/// The type of a file that says none, by the end of its name.
fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    match end.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, content_type, encoded, names, part};

    #[test]
    fn ranges() {
        assert_eq!(part("bytes=0-3", 10), Wanted::Part(0, 4));
        assert_eq!(part("bytes=4-", 10), Wanted::Part(4, 10));
        assert_eq!(part("bytes=-3", 10), Wanted::Part(7, 10));
        assert_eq!(part("bytes=-30", 10), Wanted::Part(0, 10));
        assert_eq!(part("bytes=5-99", 10), Wanted::Part(5, 10));
        let last = u64::MAX;
        assert_eq!(part(&format!("bytes=9-{last}"), 10), Wanted::Part(9, 10));
        for nothing in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(part(nothing, 10), Wanted::Nothing, "{nothing}");
        }
        for all in [
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=3-1",
            "bytes=-",
            "bytes=x-1",
            "",
        ] {
            assert_eq!(part(all, 10), Wanted::All, "{all}");
        }
    }

    #[test]
    fn tags_types_and_paths() {
        assert!(names("\"a\", W/\"b\"", "\"b\"") && names("*", "\"b\""));
        assert!(!names("\"a\"", "\"b\""));
        assert_eq!(content_type("/a.b/index.HTML"), "text/html; charset=utf-8");
        assert_eq!(content_type("/a.b/js"), "application/octet-stream");
        assert_eq!(encoded("/a b/ü?x=1"), "/a%20b/%C3%BC?x=1");
    }
}
