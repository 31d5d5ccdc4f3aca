//! The Admin API of a server, asked by whoever is logged in.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::profile::Profile;
use crate::archives::Failed;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

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

/// What a request sends.
pub(super) enum Sent<'a> {
    Nothing,
    Json(&'a Value),
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

/// Somebody who is logged in.
pub(super) struct Session {
    agent: Agent,
    pub(super) profile: Profile,
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .user_agent(concat!("backstitch/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

impl Session {
    /// Logs in by a provider; the profile is the caller's to save.
    pub(super) fn log_in(
        mut profile: Profile,
        url: &str,
        provider: &str,
        who: &Value,
    ) -> Result<Self, Failed> {
        url.trim_end_matches('/').clone_into(&mut profile.url);
        let mut session = Self {
            agent: agent(),
            profile,
        };
        let path = format!("auth/providers/{provider}/login");
        let answer = session.once("POST", &path, &Sent::Json(who), "")?.json()?;
        let token = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        session.profile.access_token = token("access_token");
        session.profile.refresh_token = token("refresh_token");
        if !session.profile.is_logged_in() {
            return Err("the server gave no tokens".into());
        }
        Ok(session)
    }

    /// Whoever the profile says.
    pub(super) fn resume(profile: Profile, url: Option<&str>) -> Result<Self, Failed> {
        if !profile.is_logged_in() {
            return Err("nobody is logged in; use backstitch login".into());
        }
        // Another server is not shown the tokens of this one.
        if let Some(url) = url.filter(|url| url.trim_end_matches('/') != profile.url) {
            let known = &profile.url;
            return Err(format!("this profile is for {known}: log in at {url} first").into());
        }
        Ok(Self {
            agent: agent(),
            profile,
        })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Value, Failed> {
        self.send("GET", path, &Sent::Nothing)?.json()
    }

    /// Asks with a JSON body, or with none for null.
    pub(super) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Failed> {
        let sent = if body.is_null() {
            Sent::Nothing
        } else {
            Sent::Json(body)
        };
        self.send(method, path, &sent)?.json()
    }

    /// Asks; tokens that have run out are renewed once.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        sent: &Sent<'_>,
    ) -> Result<Answer, Failed> {
        let token = self.profile.access_token.clone();
        match self.once(method, path, sent, &token) {
            Err(error) if refused_with(&error, "InvalidSession") => {}
            answer => return answer,
        }
        self.renew()?;
        let token = self.profile.access_token.clone();
        self.once(method, path, sent, &token)
    }

    fn renew(&mut self) -> Result<(), Failed> {
        let token = self.profile.refresh_token.clone();
        match self.once("POST", "auth/session", &Sent::Nothing, &token) {
            Ok(answer) => {
                let answer = answer.json()?;
                let token = answer["access_token"].as_str();
                token
                    .ok_or("the server gave no access token")?
                    .clone_into(&mut self.profile.access_token);
                self.profile.save()
            }
            Err(error)
                if error
                    .downcast_ref::<Refused>()
                    .is_some_and(|r| r.status == 401) =>
            {
                self.profile.access_token.clear();
                self.profile.refresh_token.clear();
                self.profile.save()?;
                Err("the session has ended; use backstitch login".into())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the session at the server too.
    pub(super) fn end(&mut self) -> Result<(), Failed> {
        let token = self.profile.refresh_token.clone();
        self.once("DELETE", "auth/session", &Sent::Nothing, &token)
            .map(drop)
    }

    fn once(
        &self,
        method: &str,
        path: &str,
        sent: &Sent<'_>,
        token: &str,
    ) -> Result<Answer, Failed> {
        let url = &self.profile.url;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{url}/api/admin/v3.0/{path}"))
            .header("X-BAAS-Request-Origin", "mongodb-baas-cli");
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = match sent {
            Sent::Nothing => self.agent.run(request.body(())?),
            Sent::Json(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)
            }
        };
        read(answer.map_err(|error| format!("{url}: {error}"))?)
    }
}

fn read(answer: Response<Body>) -> Result<Answer, Failed> {
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
        .limit(ANSWER_BYTES_MAX)
        .reader()
        .read_to_end(&mut bytes)?;
    if status.is_success() {
        return Ok(Answer { file: name, bytes });
    }
    let said: Value = serde_json::from_slice(&bytes).unwrap_or(json!({}));
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    let message = text("error").unwrap_or_else(|| {
        let body = String::from_utf8_lossy(&bytes).trim().to_owned();
        if body.is_empty() {
            status.to_string()
        } else {
            body
        }
    });
    Err(Box::new(Refused {
        status: status.as_u16(),
        code: text("error_code").unwrap_or_default(),
        message,
    }))
}
