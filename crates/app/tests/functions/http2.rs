//! Node's `http2` as a client, against a server on this machine that speaks
//! nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bson::{Bson, bson};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::World;
use super::network::reaching;

type Body = BoxBody<Bytes, hyper::Error>;

/// Its port and how many connections it was asked for.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, both) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let both = both.clone();
            let service = service_fn(move |request| answer(request, both.clone()));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    (port, connections)
}

async fn answer(
    request: Request<Incoming>,
    both: Arc<Barrier>,
) -> Result<Response<Body>, hyper::Error> {
    assert_eq!(request.version(), Version::HTTP_2);
    let (head, body) = request.into_parts();
    let whole = |text: String| {
        let body = Full::new(Bytes::from(text));
        Response::new(body.map_err(|never| match never {}).boxed())
    };
    Ok(match head.uri.path() {
        // Until another one is here.
        "/both" => {
            both.wait().await;
            whole("both".to_owned())
        }
        "/silent" => std::future::pending().await,
        // What comes is sent back as it comes.
        "/back" => Response::new(body.boxed()),
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"one "))),
                Ok(Frame::data(Bytes::from_static(b"two"))),
                Ok(Frame::trailers(trailers)),
            ];
            let stream = futures_util::stream::iter(frames);
            Response::new(StreamBody::new(stream).boxed())
        }
        _ => {
            let text = |name: &str| {
                head.headers
                    .get(name)
                    .map(|v| v.to_str().unwrap().to_owned())
            };
            let told = serde_json::json!({
                "method": head.method.as_str(), "uri": head.uri.to_string(),
                "mine": text("x-mine"), "te": text("te"), "host": text("host"),
                "body": String::from_utf8_lossy(&body.collect().await?.to_bytes()),
            });
            let mut response = whole(told.to_string());
            *response.status_mut() = hyper::StatusCode::CREATED;
            let headers = response.headers_mut();
            headers.append("set-cookie", "a=1".parse().unwrap());
            headers.append("set-cookie", "b=2".parse().unwrap());
            response
        }
    })
}

const REQUESTS: &str = r"
exports = async (port) => {
  const http2 = require('http2');
  const out = {};
  const session = http2.connect(`http://127.0.0.1:${port}`);
  await new Promise((done) => session.once('connect', done));
  out.session = [session.connecting, session.encrypted, session.alpnProtocol, session.origin === `http://127.0.0.1:${port}`];
  const ask = (headers, body) => new Promise((done, fail) => {
    const stream = session.request(headers);
    const seen = { text: '', events: [], stream };
    stream.setEncoding('utf8');
    stream.on('response', (answer) => { seen.answer = answer; seen.events.push('response'); });
    stream.on('trailers', (trailers) => { seen.trailers = trailers; seen.events.push('trailers'); });
    stream.on('data', (piece) => { seen.text += piece; });
    stream.on('end', () => seen.events.push('end'));
    stream.on('close', () => { seen.events.push('close'); done(seen); });
    stream.on('error', fail);
    if (body !== undefined) stream.end(body);
  });
  const echo = await ask({ ':method': 'POST', ':path': '/echo?a=1', 'X-Mine': 'yes', te: 'trailers' }, 'body');
  out.echo = JSON.parse(echo.text);
  out.echo.uri = out.echo.uri.replace(`:${port}`, '');
  out.answer = [echo.answer[':status'], echo.answer['set-cookie'], echo.events, echo.stream.id, echo.stream.rstCode];
  const trailers = await ask({ ':path': '/trailers' });
  out.trailers = [trailers.text, trailers.trailers['grpc-status'], trailers.events];
  out.both = (await Promise.all([ask({ ':path': '/both' }), ask({ ':path': '/both' })])).map(({ text }) => text);
  out.large = JSON.parse((await ask({ ':method': 'POST' }, 'x'.repeat(3000000))).text).body.length;
  const back = session.request({ ':method': 'POST', ':path': '/back' });
  const next = () => new Promise((done) => back.once('data', (piece) => done(String(piece))));
  out.back = [];
  for (const piece of ['one', 'two']) {
    const came = next();
    back.write(piece);
    out.back.push(await came);
  }
  const closed = new Promise((done) => back.once('close', done));
  back.end();
  await closed;
  const silent = session.request({ ':path': '/silent' });
  silent.close(http2.constants.NGHTTP2_CANCEL);
  await new Promise((done) => silent.once('close', done));
  out.cancelled = [silent.rstCode, silent.closed, silent.destroyed];
  out.session.push(await new Promise((done) => session.close(() => done([session.closed, session.destroyed]))));
  const failing = async (url) => {
    const other = http2.connect(url);
    const events = [];
    other.on('error', (error) => events.push(['session', error.code]));
    const stream = other.request({});
    stream.on('error', (error) => events.push(['stream', error.code]));
    await new Promise((done) => other.once('close', done));
    return events;
  };
  out.refused = await failing('http://127.0.0.1:1');
  out.shut = await failing('http://10.1.1.1');
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http2() {
    let (port, connections) = server().await;
    let reaching = reaching(&["127.0.0.1"]);
    let world = World::reaching(&[("f", "", REQUESTS)], &[], 16, 20_000, reaching).await;
    let out = world.result(&world.alice, "f", bson!([i32::from(port)]));
    let Ok(Bson::String(out)) = out.await.map_err(|problem| panic!("{problem}")) else {
        panic!("the function answers a text");
    };
    let mut out: serde_json::Value = serde_json::from_str(&out).unwrap();
    let mut is =
        |name: &str, wanted: serde_json::Value| assert_eq!(out[name].take(), wanted, "{name}");
    is(
        "session",
        serde_json::json!([false, false, "h2c", true, [true, true]]),
    );
    is(
        "echo",
        serde_json::json!({
            "method": "POST", "uri": "http://127.0.0.1/echo?a=1", "mine": "yes", "te": "trailers",
            "host": null, "body": "body",
        }),
    );
    let all = ["response", "end", "close"];
    is(
        "answer",
        serde_json::json!([201, ["a=1", "b=2"], all, 1, 0]),
    );
    let all = ["response", "trailers", "end", "close"];
    is("trailers", serde_json::json!(["one two", "0", all]));
    is("both", serde_json::json!(["both", "both"]));
    is("large", serde_json::json!(3_000_000));
    is("back", serde_json::json!(["one", "two"]));
    is("cancelled", serde_json::json!([8, true, true]));
    let failed =
        |code: &str| serde_json::json!([["stream", "ERR_HTTP2_STREAM_CANCEL"], ["session", code]]);
    is("refused", failed("ECONNREFUSED"));
    is("shut", failed("EACCES"));
    // All of a session's requests share one.
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
