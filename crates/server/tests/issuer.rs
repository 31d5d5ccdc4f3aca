//! An issuer of tokens on loopback: what it answers by path, and RSA keys that
//! sign.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// An HTTP server that answers as it is told.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    asked: Mutex<Vec<(String, String)>>,
}

/// What it answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status, further headers with their line ends, body.
    Said(u16, String, String),
    /// Nothing, while the connection stays.
    Silence,
    /// A body that does not end.
    Endless,
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        let kind = "Content-Type: application/json\r\n".to_owned();
        Self::Said(200, kind, value.to_string())
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers a path like this from now on.
    pub(crate) fn answers(&self, path: &str, answer: Answer) {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer);
    }

    /// Answers a path with a set of keys.
    pub(crate) fn publishes(&self, path: &str, keys: &[Value]) {
        self.answers(path, Answer::json(&json!({ "keys": keys })));
    }

    /// What was asked at a path: each request whole.
    pub(crate) fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.shared.asked.lock().unwrap();
        let of = asked.iter().filter(|(known, _)| known == path);
        of.map(|(_, request)| request.clone()).collect()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut request = Vec::new();
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is = name.eq_ignore_ascii_case("content-length");
            is.then(|| value.trim().parse::<usize>().unwrap())
        });
        (body.len() >= length.unwrap_or(0)).then_some(text.clone())
    };
    let text = loop {
        let mut read = [0; 4096];
        match stream.read(&mut read).await {
            Ok(bytes @ 1..) => request.extend_from_slice(&read[..bytes]),
            _ => return,
        }
        if let Some(text) = whole(&request) {
            break text;
        }
    };
    let target = text.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let answer = shared.answers.lock().unwrap().get(&path).cloned();
    shared.asked.lock().unwrap().push((path, text));
    let none = || Answer::Said(404, String::new(), "not here".to_owned());
    match answer.unwrap_or_else(none) {
        Answer::Said(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {length}\r\n");
            let all = format!("{head}Connection: close\r\n\r\n{body}");
            let _ = stream.write_all(all.as_bytes()).await;
        }
        Answer::Silence => std::future::pending().await,
        Answer::Endless => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[")
                .await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
}

/// An RSA key that signs.
pub(crate) struct Signer {
    key: RsaPrivateKey,
    pub(crate) id: &'static str,
}

impl Signer {
    pub(crate) fn one() -> Self {
        Self::new("one", include_str!("issuer/one.pem"))
    }

    pub(crate) fn two() -> Self {
        Self::new("two", include_str!("issuer/two.pem"))
    }

    fn new(id: &'static str, pem: &str) -> Self {
        let key = RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
        Self { key, id }
    }

    /// The public key as PEM.
    pub(crate) fn pem(&self) -> String {
        let public = self.key.to_public_key();
        public
            .to_public_key_pem(rsa::pkcs8::LineEnding::LF)
            .unwrap()
    }

    /// The public key as a JSON Web Key.
    pub(crate) fn jwk(&self) -> Value {
        let number = |number: &rsa::BigUint| BASE64_URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": number(self.key.n()), "e": number(self.key.e()),
        })
    }

    /// A token that says by which key it is signed.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.id });
        self.sign_as(&header, claims)
    }

    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let key = SigningKey::<Sha256>::new(self.key.clone());
        let signature = key.sign(signed.as_bytes()).to_bytes();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
