//! What Facebook answers, as far as a login goes: a server on loopback.

use std::sync::{Arc, Mutex};

use app::{EgressSettings, Outbound, ProviderEndpoints};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A provider. It lets the user in who a code names, as often as it is asked.
pub(crate) struct Provider {
    url: String,
    /// The requests for tokens.
    redeemed: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let redeemed = Arc::new(Mutex::new(Vec::new()));
        let seen = redeemed.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone()));
            }
        });
        Self { url, redeemed }
    }

    /// What a server is told of it.
    pub(crate) fn outbound(&self) -> Outbound {
        let graph = format!("facebook.graph={}/graph", self.url);
        let page = format!("facebook.authorize={}/page", self.url);
        Outbound {
            http: EgressSettings {
                allowed: vec!["127.0.0.0/8".parse().unwrap()],
                ..EgressSettings::default()
            },
            endpoints: ProviderEndpoints::new([graph.as_str(), page.as_str()]).unwrap(),
        }
    }

    /// The requests for tokens, as forms or query strings.
    pub(crate) fn redeemed(&self) -> Vec<String> {
        self.redeemed.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, redeemed: Arc<Mutex<Vec<String>>>) {
    let mut text = String::new();
    let mut piece = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut piece).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let said = format!("{query}&{body}");
    let value = |name: &str| web::values(&said, name).next().unwrap_or_default();
    let token = match head
        .lines()
        .find_map(|line| line.strip_prefix("authorization: Bearer "))
    {
        Some(token) => token.to_owned(),
        None => value("access_token"),
    };
    let (status, answer) = match path {
        "/graph/oauth/access_token" => {
            redeemed.lock().unwrap().push(said.clone());
            exchanged(&value("code"))
        }
        "/graph/debug_token" => (
            200,
            json!({ "data": {
            "app_id": "client", "is_valid": true,
            "user_id": value("input_token").trim_start_matches("token-of-"),
        } }),
        ),
        "/graph/app" => (200, json!({ "id": "client" })),
        "/graph/me" => {
            let name = token.trim_start_matches("token-of-");
            (
                200,
                json!({ "id": name, "name": name, "email": format!("{name}@example.com") }),
            )
        }
        _ => (404, json!({})),
    };
    let answer = answer.to_string();
    let reply = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let _ = stream.write_all(reply.as_bytes()).await;
}

fn exchanged(code: &str) -> (u16, Value) {
    let Some(name) = code.strip_prefix("code-of-") else {
        let text = "Invalid verification code format.";
        let error = json!({ "message": text, "type": "OAuthException", "code": 100 });
        return (400, json!({ "error": error }));
    };
    let token = format!("token-of-{name}");
    let answer = json!({ "access_token": token, "token_type": "bearer", "expires_in": 3600 });
    (200, answer)
}
