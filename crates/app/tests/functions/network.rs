//! What functions send to other machines: Node's modules and `fetch`, against
//! servers on this machine, and the doors that stay shut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bson::{Bson, bson};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{Source, World};

/// A server of HTTP that says what it was asked, and the connections it has.
#[derive(Clone)]
struct Echo {
    port: u16,
    open: Arc<AtomicUsize>,
    closed: Arc<Notify>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = Self {
            port: listener.local_addr().unwrap().port(),
            open: Arc::default(),
            closed: Arc::default(),
        };
        let shared = echo.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let echo = shared.clone();
                echo.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serve(stream).await;
                    echo.open.fetch_sub(1, Ordering::SeqCst);
                    echo.closed.notify_one();
                });
            }
        });
        echo
    }

    /// Until nobody is connected.
    async fn left_alone(&self) {
        let waiting = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                self.closed.notified().await;
            }
        };
        let most = Duration::from_secs(10);
        tokio::time::timeout(most, waiting)
            .await
            .expect("connections are closed");
    }
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    // TLS is not spoken here.
    if stream.fill_buf().await?.first() == Some(&0x16) {
        return Ok(());
    }
    loop {
        let (mut head, mut length, mut chunked, mut upgrade) = (Vec::new(), 0, false, false);
        loop {
            // Headers are Latin-1.
            let mut line = Vec::new();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let line: String = line.into_iter().map(char::from).collect();
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(bytes) = lower.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            }
            chunked |= lower == "transfer-encoding: chunked";
            upgrade |= lower.starts_with("upgrade: ");
            head.push(line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        while chunked {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut piece = vec![0; size + 2];
            stream.read_exact(&mut piece).await?;
            body.extend_from_slice(&piece[..size]);
            chunked = size > 0;
        }
        let path = head[0].split(' ').nth(1).unwrap().to_owned();
        let answer = |text: &str| {
            let bytes = text.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n{text}"
            )
        };
        match path.split('?').next().unwrap() {
            "/large" => {
                let bytes: usize = path.split('=').nth(1).unwrap().parse().unwrap();
                let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
                stream.write_all(start.as_bytes()).await?;
                stream.write_all(&vec![b'x'; bytes]).await?;
            }
            "/size" => {
                stream
                    .write_all(answer(&body.len().to_string()).as_bytes())
                    .await?;
            }
            "/headers" => {
                let text = "HTTP/1.1 404 Gone fishing\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Many: 1\r\nx-many: 2\r\nServer: one\r\nServer: two\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(text.as_bytes()).await?;
            }
            "/pieces" => {
                let text =
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
                stream.write_all(text.as_bytes()).await?;
                for piece in ["one ", "two ", "three"] {
                    let text = format!("{:x}\r\n{piece}\r\n", piece.len());
                    stream.write_all(text.as_bytes()).await?;
                    stream.flush().await?;
                }
                stream.write_all(b"0\r\nX-Sum: 3\r\n\r\n").await?;
            }
            "/silent" => {
                // Until the other side leaves.
                return stream.read_u8().await.map(drop);
            }
            "/half" => {
                let text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
                stream.write_all(text.as_bytes()).await?;
                if path.ends_with("wait") {
                    return stream.read_u8().await.map(drop);
                }
                return Ok(());
            }
            "/hangup" => return Ok(()),
            "/redirect" => {
                let to = path.split_once('=').unwrap().1;
                let text =
                    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).await?;
            }
            "/upgrade" if upgrade => {
                let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
                stream.write_all(text.as_bytes()).await?;
                let mut bytes = [0; 4];
                stream.read_exact(&mut bytes).await?;
                stream.write_all(&bytes).await?;
                return Ok(());
            }
            _ => {
                let told =
                    serde_json::json!({ "head": head, "body": String::from_utf8_lossy(&body) });
                stream
                    .write_all(answer(&told.to_string()).as_bytes())
                    .await?;
            }
        }
    }
}

pub(super) fn reaching(networks: &[&str]) -> app::Outbound {
    let mut outbound = app::Outbound::default();
    outbound.http.allowed = networks.iter().map(|text| text.parse().unwrap()).collect();
    outbound
}

async fn world(functions: &[Source<'_>]) -> World {
    World::reaching(functions, &[], 16, 20_000, reaching(&["127.0.0.1"])).await
}

/// What a function answers, as JSON in a text, or its error.
pub(super) async fn told(world: &World, name: &str, arguments: Bson) -> serde_json::Value {
    match world.result(&world.alice, name, arguments).await {
        Ok(Bson::String(text)) => serde_json::from_str(&text).unwrap_or(text.into()),
        Ok(other) => panic!("{name}: {other:?}"),
        Err(problem) => panic!("{name}: {problem}"),
    }
}

const HTTP: &str = r"
exports = async (port) => {
  const http = require('http');
  const out = {};
  const ask = (options, body) => new Promise((done, fail) => {
    const request = http.request({ hostname: '127.0.0.1', port, ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => done({ answer, text }));
      answer.on('error', fail);
    });
    request.on('error', fail);
    request.end(body);
  });
  const echo = JSON.parse((await ask({ path: '/echo?a=1', method: 'POST', headers: { 'X-Mine': 'é' } }, 'body é')).text);
  out.first = echo.head[0];
  out.mine = echo.head.find((line) => line.toLowerCase().startsWith('x-mine'));
  out.host = echo.head.some((line) => line.toLowerCase() === `host: 127.0.0.1:${port}`);
  out.body = echo.body;
  const { answer } = await ask({ path: '/headers' });
  out.status = [answer.statusCode, answer.statusMessage, answer.httpVersion, answer.complete];
  out.headers = [answer.headers['set-cookie'], answer.headers['x-many'], answer.headers.server];
  const pieces = await ask({ path: '/pieces' });
  out.pieces = [pieces.text, pieces.answer.trailers['x-sum']];
  out.large = (await ask({ path: '/large?bytes=3000000' })).text.length;
  out.head = (await ask({ path: '/large?bytes=0', method: 'HEAD' })).text;
  const failed = async (options) => ask(options).then(() => 'none', (error) => [error.code, error.message]);
  out.hangup = await failed({ path: '/hangup' });
  out.half = await failed({ path: '/half' });
  out.refused = await failed({ port: 1 }).then(([code, text]) => [code, text]);
  out.unknown = await failed({ hostname: 'nowhere.invalid' });
  out.private = (await failed({ hostname: '10.1.1.1' }))[0];
  out.redirected = (await ask({ path: '/redirect?to=/echo' })).answer.headers.location;
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_node_s_module() {
    let echo = Echo::start().await;
    let world = world(&[("http", "", HTTP)]).await;
    let out = told(&world, "http", bson!([i32::from(echo.port)])).await;
    assert_eq!(out["first"], "POST /echo?a=1 HTTP/1.1");
    assert!(out["mine"].as_str().unwrap().ends_with(": é"), "{out}");
    assert_eq!(out["host"], true, "{out}");
    assert_eq!(out["body"], "body é");
    assert_eq!(
        out["status"],
        serde_json::json!([404, "Gone fishing", "1.1", true])
    );
    assert_eq!(
        out["headers"],
        serde_json::json!([["a=1", "b=2"], "1, 2", "one"])
    );
    assert_eq!(out["pieces"], serde_json::json!(["one two three", "3"]));
    assert_eq!(out["large"], 3_000_000);
    assert_eq!(
        out["hangup"],
        serde_json::json!(["ECONNRESET", "socket hang up"])
    );
    assert_eq!(out["half"], serde_json::json!(["ECONNRESET", "aborted"]));
    assert_eq!(
        out["refused"],
        serde_json::json!(["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1"])
    );
    assert_eq!(
        out["unknown"],
        serde_json::json!(["ENOTFOUND", "getaddrinfo ENOTFOUND nowhere.invalid"])
    );
    assert_eq!(out["private"], "EACCES");
    assert_eq!(out["redirected"], "/echo");
}

const MORE: &str = r"
exports = async (port) => {
  const http = require('http');
  const out = {};
  const base = { hostname: '127.0.0.1', port };
  // A large body is sent while it is written.
  out.sent = await new Promise((done, fail) => {
    const request = http.request({ ...base, path: '/size', method: 'PUT' }, (answer) => {
      answer.on('data', (bytes) => done(String(bytes)));
    });
    request.on('error', fail);
    const piece = Buffer.alloc(300000, 'a');
    let left = 20;
    const write = () => {
      while (left > 0) if (left--, !request.write(piece)) { request.once('drain', write); return; }
      request.end();
    };
    write();
  });
  // Who waits too long is told, and may give up.
  out.timeout = await new Promise((done) => {
    const request = http.get({ ...base, path: '/silent', timeout: 50 });
    const seen = [];
    request.on('timeout', () => { seen.push('timeout'); request.destroy(); });
    request.on('error', (error) => seen.push(error.code));
    request.on('close', () => done(seen));
  });
  out.aborted = await new Promise((done) => {
    http.get({ ...base, path: '/half?wait' }, (answer) => {
      const seen = [];
      answer.on('data', (bytes) => { seen.push(String(bytes)); answer.destroy(); });
      answer.on('aborted', () => seen.push('aborted'));
      answer.on('close', () => done(seen));
    });
  });
  out.upgraded = await new Promise((done, fail) => {
    const request = http.request({ ...base, path: '/upgrade', headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
    request.on('upgrade', (answer, socket) => {
      socket.on('data', (bytes) => done([answer.statusCode, String(bytes)]));
      socket.write('ping');
    });
    request.on('error', fail);
    request.end();
  });
  // An agent with connections of its own.
  const net = require('net');
  class Mine extends http.Agent {
    createConnection(options, callback) { return net.connect({ host: options.host, port: options.port }, callback && undefined); }
  }
  out.mine = await new Promise((done, fail) => {
    http.get({ ...base, path: '/pieces', agent: new Mine() }, (answer) => {
      let text = '';
      answer.on('data', (bytes) => { text += bytes; });
      answer.on('end', () => done([text, answer.trailers['x-sum'], answer.complete]));
    }).on('error', fail);
  });
  const all = await Promise.all(Array.from({ length: 60 }, (_, n) => fetch(`http://127.0.0.1:${port}/echo?n=${n}`).then((r) => r.json())));
  out.many = new Set(all.map(({ head }) => head[0])).size;
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn bodies_timeouts_upgrades_and_agents() {
    let echo = Echo::start().await;
    let world = world(&[("more", "", MORE)]).await;
    let out = told(&world, "more", bson!([i32::from(echo.port)])).await;
    assert_eq!(out["sent"], "6000000");
    assert_eq!(out["timeout"], serde_json::json!(["timeout", "ECONNRESET"]));
    assert_eq!(out["aborted"], serde_json::json!(["abc", "aborted"]));
    assert_eq!(out["upgraded"], serde_json::json!([101, "ping"]));
    assert_eq!(out["mine"], serde_json::json!(["one two three", "3", true]));
    assert_eq!(out["many"], 60);
}

const FETCH: &str = r"
exports = async (port) => {
  const base = `http://127.0.0.1:${port}`;
  const out = {};
  const echo = await (await fetch(`${base}/echo`, { method: 'POST', body: JSON.stringify({ a: 1 }), headers: { 'Content-Type': 'application/json' } })).json();
  out.first = echo.head[0];
  out.body = echo.body;
  const response = await fetch(`${base}/headers`);
  out.status = [response.status, response.ok, response.statusText, response.headers.get('x-many'), response.headers.getSetCookie()];
  const redirected = await fetch(`${base}/redirect?to=/echo`);
  out.redirected = [redirected.redirected, redirected.url === `${base}/echo`, redirected.status];
  out.manual = (await fetch(`${base}/redirect?to=/echo`, { redirect: 'manual' })).status;
  const failed = (url, init) => fetch(url, init).then((r) => r.text()).then(() => 'none', (error) => [error.name, error.message, error.cause?.code ?? error.cause?.message]);
  out.error = await failed(`${base}/redirect?to=/echo`, { redirect: 'error' });
  out.loop = await failed(`${base}/redirect?to=/redirect?to=/x`, {}).then((x) => x);
  out.hangup = await failed(`${base}/hangup`);
  out.half = await failed(`${base}/half`);
  out.private = await failed('http://169.254.169.254/latest/meta-data/');
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 20);
  out.aborted = (await failed(`${base}/silent`, { signal: controller.signal }))[0];
  out.bytes = (await (await fetch(`${base}/large?bytes=1000000`)).arrayBuffer()).byteLength;
  const form = new FormData();
  form.append('a', 'b');
  const sent = await (await fetch(`${base}/echo`, { method: 'POST', body: form })).json();
  out.form = sent.body.includes('name=\u0022a\u0022') && sent.head.some((line) => /^content-type: multipart\/form-data; boundary=/i.test(line));
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn fetch_as_browsers_have_it() {
    let echo = Echo::start().await;
    let world = world(&[("fetch", "", FETCH)]).await;
    let out = told(&world, "fetch", bson!([i32::from(echo.port)])).await;
    assert_eq!(out["first"], "POST /echo HTTP/1.1");
    assert_eq!(out["body"], r#"{"a":1}"#);
    assert_eq!(
        out["status"],
        serde_json::json!([404, false, "Gone fishing", "1, 2", ["a=1", "b=2"]])
    );
    assert_eq!(out["redirected"], serde_json::json!([true, true, 200]));
    assert_eq!(out["manual"], 302);
    assert_eq!(
        out["error"],
        serde_json::json!(["TypeError", "fetch failed", "unexpected redirect"])
    );
    assert_eq!(
        out["hangup"],
        serde_json::json!(["TypeError", "fetch failed", "ECONNRESET"])
    );
    assert_eq!(
        out["half"],
        serde_json::json!(["TypeError", "terminated", "ECONNRESET"])
    );
    assert_eq!(
        out["private"],
        serde_json::json!(["TypeError", "fetch failed", "EACCES"])
    );
    assert_eq!(out["aborted"], "AbortError");
    assert_eq!(out["bytes"], 1_000_000);
    assert_eq!(out["form"], true);
}

const SOCKETS: &str = r"
exports = async (port) => {
  const net = require('net');
  const dns = require('dns');
  const out = {};
  out.talk = await new Promise((done, fail) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end('GET /echo HTTP/1.0\r\n\r\n'));
    let text = '';
    socket.on('data', (bytes) => { text += bytes; });
    socket.on('error', fail);
    socket.on('close', (had) => done([text.split('\r\n')[0], had, socket.bytesWritten, socket.remotePort === port]));
  });
  // As many as there may be, and one more.
  const sockets = [];
  const opened = (n) => new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => done('open'));
    socket.on('error', (error) => done(error.code));
    sockets.push(socket);
  });
  const all = await Promise.all(Array.from({ length: 26 }, (_, n) => opened(n)));
  out.open = all.filter((state) => state === 'open').length;
  out.more = all.filter((state) => state === 'EMFILE').length;
  sockets.forEach((socket) => socket.destroy());
  out.again = await new Promise((done) => setTimeout(done, 20)).then(() => opened(0));
  out.local = await dns.promises.lookup('127.0.0.1');
  out.hidden = await dns.promises.lookup('nowhere.invalid').catch((error) => [error.code, error.syscall, error.hostname]);
  out.refused = await opened.call(null, 0) && await new Promise((done) => net.connect(1, '127.0.0.1').on('error', (error) => done([error.code, error.syscall, error.port])));
  out.unwritable = await new Promise((done) => { try { net.createServer().listen(0); } catch (error) { done(error.code); } });
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_their_number() {
    let echo = Echo::start().await;
    let world = world(&[("sockets", "", SOCKETS)]).await;
    let out = told(&world, "sockets", bson!([i32::from(echo.port)])).await;
    assert_eq!(
        out["talk"],
        serde_json::json!(["HTTP/1.1 200 OK", false, 22, true])
    );
    assert_eq!(out["open"], 25);
    assert_eq!(out["more"], 1);
    assert_eq!(out["again"], "open");
    assert_eq!(out["local"]["address"], "127.0.0.1");
    assert_eq!(
        out["hidden"],
        serde_json::json!(["ENOTFOUND", "getaddrinfo", "nowhere.invalid"])
    );
    assert_eq!(
        out["refused"],
        serde_json::json!(["ECONNREFUSED", "connect", 1])
    );
    assert_eq!(out["unwritable"], "ERR_NOT_SUPPORTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_call_outlives_it() {
    let echo = Echo::start().await;
    let world = World::reaching(
        &[
            // A socket that is open and read does not keep a call.
            (
                "left",
                "",
                "exports = (port) => new Promise((done) => { const s = require('net').connect(port, '127.0.0.1', () => { s.on('data', () => {}); done(1); }); })",
            ),
            ("unread", "", "exports = async (port) => { await fetch(`http://127.0.0.1:${port}/half?wait`); return 1; }"),
            ("throws", "", "exports = async (port) => { await fetch(`http://127.0.0.1:${port}/half?wait`); throw new Error('x'); }"),
            ("waits", "", "exports = (port) => fetch(`http://127.0.0.1:${port}/silent`)"),
            (
                "reads",
                "",
                "exports = async (port) => (await fetch(`http://127.0.0.1:${port}/half?wait`)).text()",
            ),
        ],
        &[],
        16,
        1500,
        reaching(&["127.0.0.1"]),
    )
    .await;
    let port = || bson!([i32::from(echo.port)]);
    for (name, ends) in [
        ("left", r#"{"$numberInt":"1"}"#),
        ("unread", r#"{"$numberInt":"1"}"#),
        ("throws", "FunctionExecutionError: Error: x"),
        ("waits", "ExecutionTimeLimitExceeded"),
        ("reads", "ExecutionTimeLimitExceeded"),
    ] {
        let start = Instant::now();
        let answer = world.alice(name, port()).await;
        assert!(answer.starts_with(ends), "{name}: {answer}");
        let quick = !ends.starts_with("Execution");
        assert!(
            !quick || start.elapsed() < Duration::from_millis(1400),
            "{name}"
        );
        echo.left_alone().await;
    }
    // A caller that leaves takes all of it along.
    let call = world.alice("waits", port());
    let seen = async {
        while echo.open.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = call => panic!("{answer}"),
        () = seen => {}
    }
    echo.left_alone().await;
}

/// Spellings of addresses that functions must not reach.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.255.255.254",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "0",
    "0.0.0.0",
    "0x0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[fec0::1]",
    "[100::1]",
    "[2001:db8::1]",
    "10.0.0.1",
    "10.1",
    "167772161",
    "0xa000001",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.1",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
];

const DOORS: &str = r"
exports = async (hosts, port) => {
  const http = require('http');
  const net = require('net');
  const tls = require('tls');
  const dns = require('dns');
  const ends = (thing) => new Promise((done) => {
    const told = (name) => () => { thing.destroy(); done(name); };
    for (const name of ['response', 'connect', 'secureConnect', 'upgrade']) thing.on(name, told(`REACHED by ${name}`));
    thing.on('error', (error) => done(error.code));
  });
  const tried = (door) => { try { return door(); } catch (error) { return error.code; } };
  const doors = {
    fetch: (host) => fetch(`http://${host}:${port}/`).then(() => 'REACHED', (error) => error.cause?.code ?? error.name),
    https: (host) => fetch(`https://${host}:${port}/`).then(() => 'REACHED', (error) => error.cause?.code ?? error.name),
    http: (host) => ends(http.get({ hostname: host.replace(/^\[|\]$/g, ''), port })),
    agent: (host) => ends(http.get({ hostname: host.replace(/^\[|\]$/g, ''), port, agent: new (class extends http.Agent {
      createConnection(options) { return net.connect({ host: options.host, port: options.port }); }
    })() })),
    net: (host) => ends(net.connect(port, host.replace(/^\[|\]$/g, ''))),
    tls: (host) => ends(tls.connect({ port, host: host.replace(/^\[|\]$/g, ''), rejectUnauthorized: false })),
    service: (host) => context.http.get({ url: `http://${host}:${port}/` }).then(() => 'REACHED', () => 'refused'),
  };
  const out = {};
  for (const host of hosts) for (const [name, door] of Object.entries(doors)) {
    const end = await tried(() => door(host));
    if (String(end).startsWith('REACHED')) (out[host] ??= []).push(name, end);
  }
  // Names tell nothing of what is inside.
  const names = await Promise.all(['localhost', 'a.localhost'].map((name) => dns.promises.lookup(name).then(() => 'told', (error) => error.code)));
  return JSON.stringify({ reached: out, names });
};";

#[tokio::test(flavor = "multi_thread")]
async fn every_door_is_shut_to_this_machine_and_those_around_it() {
    let echo = Echo::start().await;
    let nowhere = app::Outbound::default();
    let world = World::reaching(&[("doors", "", DOORS)], &[], 16, 60_000, nowhere).await;
    assert!(INSIDE.len() >= 60);
    // A call begins a thousand operations at most.
    for hosts in INSIDE.chunks(21) {
        let hosts: Vec<Bson> = hosts.iter().map(|host| Bson::from(*host)).collect();
        let arguments = bson!([hosts, i32::from(echo.port)]);
        let out = told(&world, "doors", arguments).await;
        assert_eq!(out["reached"], serde_json::json!({}));
        assert_eq!(out["names"], serde_json::json!(["ENOTFOUND", "ENOTFOUND"]));
    }
    assert_eq!(echo.open.load(Ordering::SeqCst), 0);
    // The same doors are open where the operator says so: the table can fail.
    let open = World::reaching(
        &[("doors", "", DOORS)],
        &[],
        16,
        60_000,
        reaching(&["127.0.0.1"]),
    )
    .await;
    let out = told(&open, "doors", bson!([["127.0.0.1"], i32::from(echo.port)])).await;
    let reached = out["reached"]["127.0.0.1"].to_string();
    for door in ["fetch", "http", "agent", "net", "service"] {
        assert!(
            reached.contains(&format!("\"{door}\"")),
            "{door}: {reached}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_nowhere_either() {
    let echo = Echo::start().await;
    let world = world(&[(
        "follow",
        "",
        "exports = async (port, to) => fetch(`http://127.0.0.1:${port}/redirect?to=${to}`).then((r) => `REACHED ${r.status}`, (error) => error.cause?.code ?? error.cause?.message)",
    )])
    .await;
    for host in INSIDE
        .iter()
        .filter(|host| !matches!(**host, "127.0.0.1" | "localhost"))
        .take(40)
    {
        let to = format!("http://{host}:{}/echo", echo.port);
        let answer = world
            .alice("follow", bson!([i32::from(echo.port), to]))
            .await;
        // Some are 127.0.0.1 in other words, which is allowed here.
        let local = answer.contains("REACHED") && {
            let url = url::Url::parse(&format!("http://{host}/"));
            url.is_ok_and(|url| {
                url.host_str() == Some("127.0.0.1") || host.to_lowercase().starts_with("localhost")
            }) || host.contains("ffff:7f00:1")
                || host.contains("ffff:127.0.0.1")
        };
        assert!(local || !answer.contains("REACHED"), "{host}: {answer}");
    }
    for to in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://a:b@127.0.0.1/",
        "data:text/plain,hi",
    ] {
        let answer = world
            .alice("follow", bson!([i32::from(echo.port), to]))
            .await;
        assert!(!answer.contains("REACHED"), "{to}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_s_own_rules_hold_for_its_functions() {
    let echo = Echo::start().await;
    let source = "exports = async (host, port) => { const ends = []; for (const door of [() => fetch(`http://${host}:${port}/`), () => context.http.get({ url: `http://${host}:${port}/` })]) ends.push(await door().then(() => 'reached', () => 'refused')); return ends.join() }";
    let mut outbound = app::Outbound::default();
    let rules = app::AppRules {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
        only: vec!["127.0.0.1".parse().unwrap()],
    };
    outbound.http.apps = BTreeMap::from([("a-abcde".to_owned(), rules)]);
    let world = World::reaching(&[("ask", "", source)], &[], 16, 20_000, outbound).await;
    for (host, ends) in [
        ("127.0.0.1", "reached,reached"),
        ("localhost", "refused,refused"),
        ("127.0.0.2", "refused,refused"),
    ] {
        let answer = world
            .alice("ask", bson!([host, i32::from(echo.port)]))
            .await;
        assert_eq!(answer, format!("\"{ends}\""), "{host}");
    }
}
