//! The Admin API of a server, asked by whoever is logged in.

use std::fmt;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::profile::Profile;
use crate::archives::Failed;
use crate::reached::{server_url, unreached};

/// How long a server may take to be there.
const CONNECT: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// Most characters that are told of an answer in no form that is known.
const TOLD_MAX: usize = 200;

/// A server that said no.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    /// The service's `error_code`; may be empty.
    pub(super) code: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server says {}: {}", self.status, self.message)
    }
}

impl std::error::Error for Refused {}

/// Whether a failure is the server's answer with that code.
pub(super) fn refused_with(failed: &Failed, code: &str) -> bool {
    failed
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.code == code)
}

/// Whether a failure is the server's answer with that status.
pub(super) fn refused_as(failed: &Failed, status: u16) -> bool {
    failed
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.status == status)
}

/// What a request sends.
pub(super) enum Sent<'a> {
    Nothing,
    Json(&'a Value),
    /// A file as the part of a form.
    File {
        name: &'a str,
        bytes: &'a [u8],
    },
    /// A hosted file, and what is said of it.
    Asset {
        meta: &'a Value,
        bytes: &'a [u8],
    },
}

impl Sent<'_> {
    /// Content type and body; none when nothing is sent.
    fn body(&self) -> Option<(String, Vec<u8>)> {
        match self {
            Self::Nothing => None,
            Self::Json(body) => Some(("application/json".to_owned(), body.to_string().into())),
            Self::File { name, bytes } => {
                let file = format!("\"file\"; filename=\"{name}\"");
                Some(parts("form-data", &[(&file, bytes)]))
            }
            Self::Asset { meta, bytes } => {
                let meta = meta.to_string();
                let meta = ("\"meta\"", meta.as_bytes());
                Some(parts("mixed", &[meta, ("\"file\"", bytes)]))
            }
        }
    }
}

/// A body of parts, each with a name.
fn parts(kind: &str, all: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    // What is in none of the parts, unless somebody breaks MD5 to be refused.
    let mut hash = Md5::new();
    for (_, bytes) in all {
        hash.update(bytes);
    }
    let boundary = format!("backstitch-{}", hex::encode(hash.finalize()));
    let mut body = Vec::new();
    for (name, bytes) in all {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name={name}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/{kind}; boundary={boundary}"), body)
}

/// An answer of 2xx.
pub(super) struct Answer {
    /// The file name that it suggests.
    pub(super) file: Option<String>,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    /// Its JSON; null when it has none.
    pub(super) fn json(&self) -> Result<Value, Failed> {
        if self.bytes.is_empty() {
            return Ok(Value::Null);
        }
        let text = std::str::from_utf8(&self.bytes)?;
        let wrong = |error| format!("the server's answer is not JSON: {error}");
        Ok(config::parse_json_exactly(text).map_err(wrong)?)
    }
}

/// Somebody who is logged in. Several threads may ask at once.
pub(super) struct Session {
    agent: Agent,
    /// The server's URL, without a slash at the end.
    pub(super) url: String,
    profile: Mutex<Profile>,
}

/// A client that waits so long for an answer, and as long for the rest of it.
fn agent(patience: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(patience))
        .timeout_recv_body(Some(patience))
        .user_agent(concat!("backstitch/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

impl Session {
    fn of(profile: Profile, patience: Duration) -> Self {
        Self {
            agent: agent(patience),
            url: profile.url.clone(),
            profile: Mutex::new(profile),
        }
    }

    /// Logs in by a provider, and keeps who that is.
    pub(super) fn log_in(
        mut profile: Profile,
        url: &str,
        provider: &str,
        (name, who): (&str, &Value),
        patience: Duration,
    ) -> Result<Self, Failed> {
        profile.url = server_url(url)?;
        let session = Self::of(profile, patience);
        let path = format!("auth/providers/{provider}/login");
        let answer = session.once("POST", &path, &Sent::Json(who), "")?.json()?;
        let token = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        {
            let mut profile = session.profile();
            profile.access_token = token("access_token");
            profile.refresh_token = token("refresh_token");
            if !profile.is_logged_in() {
                return Err("the server gave no tokens".into());
            }
            name.clone_into(&mut profile.username);
            profile.save()?;
        }
        Ok(session)
    }

    /// Whoever the profile says.
    pub(super) fn resume(
        profile: Profile,
        url: Option<&str>,
        patience: Duration,
    ) -> Result<Self, Failed> {
        if !profile.is_logged_in() {
            return Err("nobody is logged in; use backstitch login".into());
        }
        // Another server is not shown the tokens of this one.
        if let Some(url) = url.filter(|url| url.trim_end_matches('/') != profile.url) {
            let known = &profile.url;
            return Err(format!("this profile is for {known}: log in at {url} first").into());
        }
        Ok(Self::of(profile, patience))
    }

    /// Who is logged in. What is kept is whole whatever a thread died of.
    pub(super) fn profile(&self) -> MutexGuard<'_, Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failed> {
        self.send("GET", path, &Sent::Nothing)?.json()
    }

    /// Asks with a JSON body, or with none for null.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failed> {
        let sent = if body.is_null() {
            Sent::Nothing
        } else {
            Sent::Json(body)
        };
        self.send(method, path, &sent)?.json()
    }

    /// Asks; tokens that have run out are renewed once.
    pub(super) fn send(&self, method: &str, path: &str, sent: &Sent<'_>) -> Result<Answer, Failed> {
        let token = self.profile().access_token.clone();
        match self.once(method, path, sent, &token) {
            Err(error) if refused_with(&error, "InvalidSession") => {}
            answer => return answer,
        }
        let token = self.renewed(&token)?;
        self.once(method, path, sent, &token)
    }

    /// A token in place of one that has run out.
    fn renewed(&self, old: &str) -> Result<String, Failed> {
        let mut profile = self.profile();
        if profile.access_token != old && profile.is_logged_in() {
            // Another thread was first.
            return Ok(profile.access_token.clone());
        }
        match self.once(
            "POST",
            "auth/session",
            &Sent::Nothing,
            &profile.refresh_token,
        ) {
            Ok(answer) => {
                let answer = answer.json()?;
                let token = answer["access_token"].as_str();
                token
                    .ok_or("the server gave no access token")?
                    .clone_into(&mut profile.access_token);
                profile.save()?;
                Ok(profile.access_token.clone())
            }
            Err(error) if refused_as(&error, 401) => {
                profile.access_token.clear();
                profile.refresh_token.clear();
                profile.save()?;
                Err("the session has ended; use backstitch login".into())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the session at the server too.
    pub(super) fn end(&self) -> Result<(), Failed> {
        let token = self.profile().refresh_token.clone();
        self.once("DELETE", "auth/session", &Sent::Nothing, &token)
            .map(drop)
    }

    /// What is at a URL that the server gave, for who shows no token: it may
    /// lead to another server.
    pub(super) fn download(&self, url: &str, bytes_max: u64) -> Result<Vec<u8>, Failed> {
        let answer = self.agent.get(url).call();
        let answer = answer.map_err(|error| unreached(url, &error))?;
        Ok(read(answer, bytes_max)?.bytes)
    }

    fn once(
        &self,
        method: &str,
        path: &str,
        sent: &Sent<'_>,
        token: &str,
    ) -> Result<Answer, Failed> {
        let url = &self.url;
        // A path of another API begins with a slash.
        let base = if path.starts_with('/') {
            ""
        } else {
            "/api/admin/v3.0/"
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{url}{base}{path}"))
            .header("X-BAAS-Request-Origin", "mongodb-baas-cli");
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = match sent.body() {
            None if ["GET", "DELETE"].contains(&method) => self.agent.run(request.body(())?),
            // With its length, which is none.
            None => self.agent.run(request.body(String::new())?),
            Some((kind, body)) => {
                let request = request.header("Content-Type", kind);
                self.agent.run(request.body(body)?)
            }
        };
        let answer = answer.map_err(|error| unreached(url, &error))?;
        read(answer, ANSWER_BYTES_MAX)
    }
}

fn read(answer: Response<Body>, bytes_max: u64) -> Result<Answer, Failed> {
    let status = answer.status();
    let name = answer
        .headers()
        .get("content-disposition")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("filename="))
        .map(|(_, name)| name.trim_matches('"').to_owned());
    let mut bytes = Vec::new();
    answer
        .into_body()
        .into_with_config()
        .limit(bytes_max)
        .reader()
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the server's answer broke off: {error}"))?;
    if status.is_success() {
        return Ok(Answer { file: name, bytes });
    }
    let said: Value = serde_json::from_slice(&bytes).unwrap_or(json!({}));
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    let message = text("error").unwrap_or_else(|| {
        // A page of somebody else's: enough of it to see whose.
        let body = String::from_utf8_lossy(&bytes);
        let body = body.trim().chars().take(TOLD_MAX).collect::<String>();
        match body.lines().next() {
            None => status.to_string(),
            Some(line) => format!("{line} (is this the URL of an App Services server?)"),
        }
    });
    Err(Box::new(Refused {
        status: status.as_u16(),
        code: text("error_code").unwrap_or_default(),
        message,
    }))
}
