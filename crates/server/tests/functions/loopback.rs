//! Other people's servers, as far as functions turn to them: one on loopback.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server until the test ends.
pub(super) struct Loopback {
    pub(super) url: String,
}

/// What S3 keeps: type and bytes by path.
type Objects = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Loopback {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let objects = Objects::default();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, objects.clone()));
            }
        });
        Self { url }
    }
}

async fn serve(mut stream: TcpStream, objects: Objects) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    let answer = answer(&asked, &objects);
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
    if !answer
        .headers
        .iter()
        .any(|(name, _)| *name == "Content-Length")
    {
        let _ = write!(head, "Content-Length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    if asked.method != "HEAD" {
        let _ = stream.write_all(&answer.body).await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut piece).await.unwrap_or(0);
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ').map(str::to_owned);
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap_or(0));
        let body = &bytes[end + 4..];
        if body.len() >= length {
            return Some(Asked {
                method: first.next()?,
                target: first.next()?,
                headers,
                body: body[..length].to_vec(),
            });
        }
    }
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What was sent, without what says nothing.
    fn shown(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let dull = ["user-agent", "host", "content-length", "accept"];
            if !dull.contains(&name.as_str()) {
                headers.insert(name.clone(), json!(value));
            }
        }
        json!({ "method": self.method, "target": self.target, "headers": headers, "body": self.text() })
    }
}

fn plain(status: &'static str, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

fn of_json(value: &Value) -> Answer {
    Answer {
        status: "200 OK",
        headers: vec![("Content-Type", "application/json".to_owned())],
        body: value.to_string().into_bytes(),
    }
}

fn answer(asked: &Asked, objects: &Objects) -> Answer {
    let path = asked.target.split('?').next().unwrap_or_default();
    if let Some(path) = path.strip_prefix("/aws") {
        return aws(asked, path, objects);
    }
    match path {
        "/echo" => {
            let mut answer = of_json(&asked.shown());
            answer.headers.extend([
                ("X-Many", "1".to_owned()),
                ("X-Many", "2".to_owned()),
                (
                    "Set-Cookie",
                    "team=Cubs; Path=/; Max-Age=60; HttpOnly".to_owned(),
                ),
                ("Set-Cookie", "plain=\"quoted\"; Secure".to_owned()),
            ]);
            answer
        }
        "/missing" => plain("404 Not Found", "nothing here"),
        "/bytes" => plain("200 OK", [0, 255, 1]),
        "/empty" => plain("204 No Content", ""),
        "/moved" => Answer {
            status: "302 Found",
            headers: vec![("Location", "/echo?moved=1".to_owned())],
            body: b"moved".to_vec(),
        },
        "/login" => Answer {
            status: "200 OK",
            headers: vec![("Set-Cookie", "session=abc; HttpOnly".to_owned())],
            body: Vec::new(),
        },
        "/large" => Answer {
            status: "200 OK",
            headers: vec![("Content-Length", "999999999".to_owned())],
            body: Vec::new(),
        },
        "/digest" => digest(asked),
        _ if path.starts_with("/twilio/") => twilio(asked, path),
        _ => plain("500 Internal Server Error", "no such path"),
    }
}

/// Digest authentication of the user `u` with the password `p`.
fn digest(asked: &Asked) -> Answer {
    let hash = |text: &str| hex::encode(md5::Md5::digest(text.as_bytes()));
    let authorization = asked.header("authorization");
    let field = |name: &str| {
        let (_, after) = authorization.split_once(&format!("{name}="))?;
        let value = after.trim_start_matches('"');
        value.split(['"', ',']).next().map(str::to_owned)
    };
    let field = |name: &str| field(name).unwrap_or_default();
    let wanted = hash(&format!(
        "{}:n0nce:{}:{}:auth:{}",
        hash("u:realm:p"),
        field("nc"),
        field(" cnonce"),
        hash(&format!("{}:{}", asked.method, asked.target))
    ));
    if field("response") == wanted {
        return of_json(&json!({ "user": field("username"), "opaque": field("opaque") }));
    }
    let challenge = r#"Digest realm="realm", nonce="n0nce", qop="auth", opaque="o""#;
    Answer {
        status: "401 Unauthorized",
        headers: vec![
            ("WWW-Authenticate", "Basic realm=\"realm\"".to_owned()),
            ("WWW-Authenticate", challenge.to_owned()),
        ],
        body: b"who?".to_vec(),
    }
}

fn twilio(asked: &Asked, path: &str) -> Answer {
    let known = format!("Basic {}", STANDARD.encode("AC1:t0ken"));
    let said = asked.text();
    let to = web::values(&said, "To").next().unwrap_or_default();
    if asked.header("authorization") != known {
        return plain(
            "401 Unauthorized",
            json!({ "code": 20003, "message": "Authenticate" }).to_string(),
        );
    }
    if path != "/twilio/2010-04-01/Accounts/AC1/Messages.json" || to == "+15005550001" {
        let text = format!("The 'To' number {to} is not a valid phone number.");
        let body = json!({ "code": 21211, "message": text, "status": 400 });
        return plain("400 Bad Request", body.to_string());
    }
    plain("201 Created", json!({ "sid": "SM1" }).to_string())
}

/// Services of AWS. Not here: whether signatures are right.
fn aws(asked: &Asked, path: &str, objects: &Objects) -> Answer {
    let authorization = asked.header("authorization");
    let credential = authorization
        .strip_prefix("AWS4-HMAC-SHA256 Credential=")
        .and_then(|rest| rest.split(',').next())
        .unwrap_or_default();
    let scope: Vec<&str> = credential.split('/').collect();
    let [_, _, region, service, _] = scope[..] else {
        return plain("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>");
    };
    match service {
        "s3" => s3(asked, path, objects),
        "kinesis" => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            if body["StreamName"] == "none" {
                let error =
                    json!({ "__type": "ResourceNotFoundException", "message": "no stream" });
                return plain("400 Bad Request", error.to_string());
            }
            let data = body["Data"].as_str().unwrap_or_default();
            let target = asked.header("x-amz-target");
            of_json(&json!({ "ShardId": format!("{target} {region}"), "SequenceNumber": data }))
        }
        "lambda" => {
            let name = path.split('/').nth(3).unwrap_or_default();
            of_json(&json!({ "name": name, "got": asked.text() }))
        }
        "ses" => {
            let body = asked.text();
            let to = web::values(&body, "Destination.ToAddresses.member.1").next();
            let action = web::values(&body, "Action").next();
            let text = format!(
                "<SendEmailResponse><SendEmailResult><MessageId>{} {}</MessageId></SendEmailResult></SendEmailResponse>",
                action.unwrap_or_default(),
                to.unwrap_or_default()
            );
            plain("200 OK", text)
        }
        "states" => of_json(&json!({
            "executionArn": String::from_utf8_lossy(&asked.body), "startDate": 1_600_000_000,
        })),
        _ => plain("404 Not Found", ""),
    }
}

fn s3(asked: &Asked, path: &str, objects: &Objects) -> Answer {
    let mut objects = objects.lock().unwrap();
    match asked.method.as_str() {
        "PUT" => {
            let kind = asked.header("content-type").to_owned();
            objects.insert(path.to_owned(), (kind, asked.body.clone()));
            Answer {
                status: "200 OK",
                headers: vec![("ETag", "\"tag\"".to_owned())],
                body: Vec::new(),
            }
        }
        "GET" => match objects.get(path) {
            Some((kind, bytes)) => Answer {
                status: "200 OK",
                headers: vec![
                    ("ETag", "\"tag\"".to_owned()),
                    ("Content-Type", kind.clone()),
                ],
                body: bytes.clone(),
            },
            None => plain(
                "404 Not Found",
                "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><RequestId>R</RequestId></Error>",
            ),
        },
        _ => plain("405 Method Not Allowed", ""),
    }
}
