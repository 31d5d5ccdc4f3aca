//! A server that answers as a test says, byte for byte.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egress::{Http, Limits, Resolve, Resolving, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server on loopback.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The heads and bodies of what was asked.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

/// What is answered: these bytes, and then they come again and again, or
/// nothing more comes and the connection stays.
#[derive(Clone)]
pub(crate) enum Answer {
    Whole(String),
    Forever(String, String),
    Silent(String),
}

impl Server {
    /// Answers by the path that is asked.
    pub(crate) async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut read = vec![0; 64 * 1024];
                    let bytes = stream.read(&mut read).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&read[..bytes]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or("").to_owned();
                    seen.lock().unwrap().push(text);
                    give(&mut stream, answer(&path)).await;
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) async fn give(stream: &mut (impl AsyncWrite + Unpin), answer: Answer) {
    let written = match &answer {
        Answer::Whole(text) | Answer::Forever(text, _) | Answer::Silent(text) => {
            stream.write_all(text.as_bytes()).await
        }
    };
    match answer {
        Answer::Whole(_) => {}
        Answer::Forever(_, more) => while stream.write_all(more.as_bytes()).await.is_ok() {},
        Answer::Silent(_) if written.is_ok() => std::future::pending().await,
        Answer::Silent(_) => {}
    }
}

/// An answer of 200 that ends the connection.
pub(crate) fn ok(body: &str) -> Answer {
    let bytes = body.len();
    Answer::Whole(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n{body}"
    ))
}

pub(crate) fn redirect(status: u16, to: &str) -> Answer {
    Answer::Whole(format!(
        "HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

/// A client that may connect to these networks.
pub(crate) fn allowing(networks: &[&str]) -> Http {
    Http::new(settings(networks))
}

pub(crate) fn settings(networks: &[&str]) -> Settings {
    Settings {
        allowed: networks.iter().map(|text| text.parse().unwrap()).collect(),
        ..Settings::default()
    }
}

/// More than any test's answer needs.
pub(crate) const LIMITS: Limits = Limits {
    time: Duration::from_secs(20),
    body_bytes: 64 * 1024,
    redirects: 3,
};

/// A resolver that gives one answer after the other, and the last one again.
pub(crate) struct Scripted(pub(crate) Mutex<Vec<Vec<IpAddr>>>);

impl Scripted {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parsed).collect())))
    }
}

impl Resolve for Scripted {
    fn resolve(&self, _: &str) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers.first().cloned().unwrap_or_default()
        };
        Box::pin(async move { Ok(answer) })
    }
}
