//! The load generator: keep-alive connections that each send the same request
//! again as soon as the answer is there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process;

/// One kind of request to one server.
#[derive(Clone)]
pub(crate) struct Load {
    address: SocketAddr,
    /// The server's process.
    server: u32,
    /// Sent in turn; each connection begins with another one.
    requests: Arc<[Vec<u8>]>,
}

/// What one round measured.
#[derive(Clone)]
pub(crate) struct Sample {
    /// Requests answered with 2xx in a second.
    pub(crate) per_second: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of latency in microseconds.
    pub(crate) p99_us: f64,
    /// Microseconds that the server and its children computed for a request.
    pub(crate) cpu_us: f64,
}

impl Load {
    /// The request, as the bytes of an HTTP/1.1 message.
    pub(crate) fn new(address: SocketAddr, server: u32, request: Vec<u8>) -> Self {
        Self::of(address, server, vec![request])
    }

    /// The same with several requests, which differ in who sends them, say.
    pub(crate) fn of(address: SocketAddr, server: u32, requests: Vec<Vec<u8>>) -> Self {
        Self {
            address,
            server,
            requests: requests.into(),
        }
    }

    /// Sends each request once, from one connection, and counts in seconds what
    /// the server computed for one.
    pub(crate) fn once_each(&self) -> io::Result<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let cpu = process::cpu(self.server);
        runtime.block_on(async {
            let mut connection = Connection::to(self.address).await?;
            for request in self.requests.iter() {
                connection.ask(request).await?;
            }
            io::Result::Ok(())
        })?;
        let cpu = process::cpu(self.server).saturating_sub(cpu);
        Ok(cpu.as_secs_f64() / self.requests.len() as f64)
    }

    /// Sends the first request once from each of `connections` connections.
    pub(crate) fn all_at_once(&self, connections: usize) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let tasks: Vec<_> = (0..connections)
                .map(|_| {
                    let (address, requests) = (self.address, self.requests.clone());
                    tokio::spawn(async move {
                        let request = requests.first().ok_or(io::ErrorKind::InvalidInput)?;
                        Connection::to(address).await?.ask(request).await
                    })
                })
                .collect();
            for task in tasks {
                task.await.map_err(io::Error::other)??;
            }
            Ok(())
        })
    }

    /// Loads the server for `time` from `connections` connections. An answer
    /// that is not 2xx ends the round with an error: a fast refusal is no rate.
    pub(crate) fn run(&self, connections: usize, time: Duration) -> io::Result<Sample> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let cpu = process::cpu(self.server);
        let start = Instant::now();
        let mut latencies = runtime.block_on(async {
            let tasks: Vec<_> = (0..connections)
                .map(|at| {
                    let requests = self.requests.clone();
                    tokio::spawn(repeat(self.address, requests, at, start + time))
                })
                .collect();
            let mut latencies = Vec::new();
            for task in tasks {
                latencies.extend(task.await.map_err(io::Error::other)??);
            }
            io::Result::Ok(latencies)
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu = process::cpu(self.server).saturating_sub(cpu);
        latencies.sort_unstable();
        let at = |part: f64| {
            let index = (latencies.len() as f64 * part) as usize;
            latencies
                .get(index)
                .copied()
                .unwrap_or_default()
                .as_secs_f64()
                * 1e6
        };
        Ok(Sample {
            per_second: latencies.len() as f64 / seconds,
            p50_us: at(0.5),
            p99_us: at(0.99),
            cpu_us: cpu.as_secs_f64() * 1e6 / latencies.len().max(1) as f64,
        })
    }
}

/// Asks in turn until `end`, beginning with the request at `first`.
async fn repeat(
    address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::to(address).await?;
    let mut latencies = Vec::with_capacity(1 << 16);
    for request in requests.iter().cycle().skip(first % requests.len().max(1)) {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        connection.ask(request).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and waits for the whole answer.
    async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            if complete(&self.buffer)? {
                return Ok(());
            }
        }
    }
}

/// Whether `answer` holds a whole HTTP answer with a `Content-Length`.
fn complete(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = find(answer, b"\r\n\r\n") else {
        return Ok(false);
    };
    if !answer.starts_with(b"HTTP/1.1 2") {
        let text = String::from_utf8_lossy(answer);
        return Err(io::Error::other(format!("not a success: {text}")));
    }
    let length = answer[..head]
        .split(|&byte| byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
    Ok(answer.len() >= head + 4 + length)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
