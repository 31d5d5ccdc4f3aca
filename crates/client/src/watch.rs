//! `GET functions/call`: change streams over server-sent events
//! (client-api.md §5.4).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::meters::Area;
use app::users::UserStream;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::{Document, RawDocumentBuf};
use kit::{Kind, Problem};
use serde_json::json;
use web::{Answer, Request};

use crate::functions::{action, service};
use crate::{Counted, Handled, info, of};

/// Comments that keep an idle stream alive: SDKs give up after 30 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Opens a stream. Refusals come before it, as plain errors.
pub(crate) async fn open(app: &Arc<App>, request: &Request, counted: &mut Counted) -> Handled {
    let token = request
        .query_value("baas_at")
        .or_else(|| request.query_value("stitch_at"));
    let token = match &token {
        Some(token) if token.is_empty() => {
            return Err(of(app)(Problem::invalid_session("invalid session")));
        }
        Some(token) => token.as_str(),
        None => request.bearer().map_err(of(app))?,
    };
    app.authenticate(token).await.map_err(of(app))?;
    let mut body = decoded(request).map_err(of(app))?;
    let service = service(&body)
        .map_err(of(app))?
        .ok_or_else(|| Problem::missing_parameter("'service' is a required string"))
        .map_err(of(app))?;
    let (name, argument) = action(&mut body).map_err(of(app))?;
    if name != "watch" {
        return Err(of(app)(Problem::invalid_parameter(format!(
            "'{name}' is no stream"
        ))));
    }
    let stream = app
        .open_stream(token, &service, &argument, info(request))
        .await;
    if !matches!(&stream, Err(problem) if problem.kind == Kind::Unauthenticated) {
        counted.is(app, Area::Mql);
    }
    let stream = stream.map_err(of(app))?;
    let events = futures_util::stream::unfold(Stage::Opening(Box::new(stream)), advance);
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(Answer(response))
}

/// The call that `baas_request` holds in base64; a raw `+` has become a space.
fn decoded(request: &Request) -> Result<Document, Problem> {
    let text = request
        .query_value("baas_request")
        .or_else(|| request.query_value("stitch_request"))
        .ok_or_else(|| Problem::missing_parameter("'baas_request' is required"))?;
    let invalid = || Problem::bad_request("'baas_request' is not a call in base64");
    let bytes = STANDARD
        .decode(text.replace(' ', "+"))
        .map_err(|_| invalid())?;
    kit::ejson::parse_document(&bytes).map_err(|_| invalid())
}

/// The wait for an event, which keep-alives must not break off: it would be
/// lost.
type Waiting = Pin<Box<dyn Future<Output = (Box<UserStream>, Told)> + Send>>;
/// What a stream tells: an event, its end, or why it ended.
type Told = Result<Option<RawDocumentBuf>, Problem>;

enum Stage {
    /// Nothing has been sent yet.
    Opening(Box<UserStream>),
    Open(Waiting),
    Closed,
}

type Chunk = Result<Vec<u8>, std::convert::Infallible>;

fn wait(mut stream: Box<UserStream>) -> Waiting {
    Box::pin(async move {
        let told = stream.next().await;
        (stream, told)
    })
}

async fn advance(stage: Stage) -> Option<(Chunk, Stage)> {
    match stage {
        // Some clients report "open" only at the first byte.
        Stage::Opening(stream) => Some((Ok(b":\n\n".to_vec()), Stage::Open(wait(stream)))),
        Stage::Open(mut waiting) => match tokio::time::timeout(KEEP_ALIVE, &mut waiting).await {
            Err(_) => Some((Ok(b":\n\n".to_vec()), Stage::Open(waiting))),
            Ok((stream, Ok(Some(event)))) => {
                let mut json = Vec::new();
                kit::ejson::canonical_document(&event, &mut json);
                let message = message("message", &json);
                stream.count_sent(message.len() as u64);
                Some((Ok(message), Stage::Open(wait(stream))))
            }
            Ok((_, Ok(None))) => None,
            Ok((_, Err(problem))) => {
                let error = json!({ "error": problem.message, "error_code": problem.code });
                let error = message("error", error.to_string().as_bytes());
                Some((Ok(error), Stage::Closed))
            }
        },
        Stage::Closed => None,
    }
}

/// An event; its data has three escapes and no others.
fn message(kind: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 32);
    if kind != "message" {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    for byte in data {
        match byte {
            b'%' => out.extend_from_slice(b"%25"),
            b'\n' => out.extend_from_slice(b"%0A"),
            b'\r' => out.extend_from_slice(b"%0D"),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(b"\n\n");
    out
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn data_has_three_escapes() {
        assert_eq!(
            message("message", b"{\"a\":\"50%\n\r\"}"),
            b"data: {\"a\":\"50%25%0A%0D\"}\n\n"
        );
        assert_eq!(message("error", b"x"), b"event: error\ndata: x\n\n");
    }
}
