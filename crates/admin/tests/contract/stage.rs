//! A server for the contract, and a fresh app for each try: what an operation
//! needs is made through the API, as its entry says.

use std::collections::HashMap;
use std::sync::Arc;

use admin::contract::{Operation, Step};
use axum::http::Method;
use kit::clock::FakeClock;
use kit::limit;
use serde_json::{Value, json};
use web::Scope;

use super::{NOBODY, known};
use crate::{Reply, World};

/// An operation that is tried.
pub(super) struct Target {
    pub(super) id: &'static str,
    pub(super) method: &'static Method,
    pub(super) path: &'static str,
    pub(super) scope: Scope,
    pub(super) entry: &'static Operation,
}

impl Target {
    /// The names in the path.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it is for those who may write.
    pub(super) fn is_change(&self) -> bool {
        self.scope == Scope::Write
            || self.scope == Scope::Administrator && self.method != Method::GET
    }

    /// Whether it makes something by a name of its own.
    pub(super) fn is_creation(&self) -> bool {
        let named = |send: &Value| send.get("name").is_some();
        let apart = ["adminCreateApplication", "createProject"].contains(&self.id);
        self.entry.ok == 201 && !apart && self.entry.send.as_ref().is_some_and(named)
    }

    /// The path with a scene's project and app, and with ids that nothing has.
    pub(super) fn with_nobody(&self, scene: &Scene<'_>) -> String {
        filled(self.path, |name| match name {
            "groupId" | "appId" => scene.made.get(name).cloned(),
            _ => Some(NOBODY.to_owned()),
        })
    }
}

/// A path with values for its names.
fn filled(path: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let parts = path.split('/').map(|part| {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        name.and_then(&mut value).unwrap_or_else(|| part.to_owned())
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A server whose clock a test moves.
pub(super) struct Stage {
    world: World,
    clock: Arc<FakeClock>,
    token: String,
}

/// How paths of steps begin that are not below the app.
const FROM_ROOT: [&str; 3] = ["groups", "administrators", "templates"];

/// The tokens of a session.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let clock = Arc::new(FakeClock::at(1_700_000_000_000));
        let world = World::with_clock(clock.clone()).await;
        let token = world.operator().await.token;
        Self {
            world,
            clock,
            token,
        }
    }

    /// The operator's project.
    pub(super) fn project(&self) -> String {
        self.world.project.clone()
    }

    /// Longer than any token lives.
    pub(super) fn let_tokens_expire(&self) {
        self.clock.advance_ms((limit::REFRESH_TOKEN_S + 1) * 1000);
    }

    /// A new app.
    pub(super) async fn scene(&self) -> Scene<'_> {
        let operator = crate::Administrator {
            world: &self.world,
            token: self.token.clone(),
            project: self.project(),
        };
        let app = operator.app("shop").await.id;
        let pair = &self.world.operator;
        let made = [
            ("someEmail", format!("{app}@example.org")),
            ("groupId", self.project()),
            ("appId", app),
            ("publicKey", pair.public_key.clone()),
            ("privateKey", pair.private_key.expose().clone()),
            ("language", "SWIFT".to_owned()),
        ];
        Scene {
            stage: self,
            made: made.map(|(name, value)| (name.to_owned(), value)).into(),
            unknown: None,
        }
    }

    /// The owner of another project: its id, and a token.
    pub(super) async fn stranger(&self) -> (String, String) {
        let (project, pair) = self.world.core.create_project("other").await.unwrap();
        let stranger = self.world.administrator(&project.id, &pair).await;
        (project.id, stranger.token)
    }

    /// The token of a key that is for reading.
    pub(super) async fn reader(&self) -> String {
        let pair = self.world.colleague("GROUP_READ_ONLY").await;
        self.world.administrator(&self.project(), &pair).await.token
    }
}

/// An app, and what was made in it so far, by the names that paths have.
pub(super) struct Scene<'s> {
    stage: &'s Stage,
    made: HashMap<String, String>,
    unknown: Option<&'static str>,
}

impl Scene<'_> {
    /// Has a name stand for what is not there.
    pub(super) fn set_unknown(&mut self, name: &'static str, value: &str) {
        self.made.insert(name.to_owned(), value.to_owned());
        self.unknown = Some(name);
    }

    /// Whether a path leads through what is not there.
    fn is_below_unknown(&self, path: &str) -> bool {
        match self.unknown {
            Some("groupId" | "appId") => true,
            Some(name) => path.contains(&format!("{{{name}}}")),
            None => false,
        }
    }

    /// A session of the operator's.
    pub(super) async fn tokens(&self) -> Tokens {
        let pair = &self.stage.world.operator;
        let login = self
            .stage
            .world
            .login(&pair.public_key, pair.private_key.expose())
            .await;
        let token = |name: &str| login.body[name].as_str().unwrap_or_default().to_owned();
        Tokens {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }

    /// Makes everything that an operation needs; answers its path and body.
    pub(super) async fn prepare(
        &mut self,
        target: &Target,
    ) -> Result<(String, Option<String>), String> {
        for step in &target.entry.before {
            if !self.is_below_unknown(&step.0) {
                self.step(step).await?;
            }
        }
        let mut values = HashMap::new();
        for name in target.names() {
            let stands = target.entry.path.get(name).map_or(name, String::as_str);
            let chosen = self.unknown == Some(name) || stands == name;
            let value = match self.made.get(name).filter(|_| chosen) {
                Some(value) => value.clone(),
                None => self.value(stands).await?,
            };
            values.insert(name, value);
        }
        let mut path = filled(target.path, |name| values.get(name).cloned());
        if !target.entry.with.is_empty() {
            path = format!("{path}?{}", target.entry.with);
        }
        let body = match (&target.entry.text, &target.entry.send) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(send)) => Some(self.filled_body(send).await?.to_string()),
            (None, None) => None,
        };
        Ok((path, body))
    }

    /// Sends a prepared request, with the operator's token.
    pub(super) async fn send(&self, target: &Target, path: &str, body: Option<&str>) -> Reply {
        let token = match target.entry.token.as_deref() {
            Some("refresh") => self.tokens().await.refresh,
            _ => self.stage.token.clone(),
        };
        self.send_as(target, path, Some(&token), body).await
    }

    /// Sends a request with another token, or with none.
    pub(super) async fn send_as(
        &self,
        target: &Target,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> Reply {
        let body = body.unwrap_or_default().as_bytes();
        let media = target.entry.media.as_deref();
        self.stage
            .world
            .request_of(target.method.clone(), path, token, media, body)
            .await
    }

    /// Does a step; answers the body.
    async fn step(&mut self, (request, body): &Step) -> Result<Value, String> {
        let (method, path) = request.split_once(' ').ok_or("a step is METHOD /path")?;
        let mut full = Vec::new();
        for part in path.split('/').skip(1) {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            full.push(match name {
                Some(name) => Box::pin(self.value(name)).await?,
                None => part.to_owned(),
            });
        }
        let full = full.join("/");
        // Below the app, or a path from the root.
        let path = if FROM_ROOT.iter().any(|root| full.starts_with(root)) {
            full
        } else {
            format!(
                "/groups/{}/apps/{}/{full}",
                self.made["groupId"], self.made["appId"]
            )
        };
        let body = Box::pin(self.filled_body(body)).await?;
        let media = body.get("$media").and_then(Value::as_str);
        let text = match (media, &body) {
            (Some(_), body) => body["$text"].as_str().unwrap_or_default().to_owned(),
            (None, Value::Null) => String::new(),
            (None, body) => body.to_string(),
        };
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let token = Some(self.stage.token.as_str());
        let reply = self
            .stage
            .world
            .request_of(method, &path, token, media, text.as_bytes())
            .await;
        if reply.status >= 300 {
            return Err(format!(
                "the step {request} with {body} was answered {reply:?}"
            ));
        }
        Ok(reply.body)
    }

    /// What a name stands for: made now, unless it is there.
    async fn value(&mut self, name: &str) -> Result<String, String> {
        if let Some(value) = self.made.get(name) {
            return Ok(value.clone());
        }
        let one = known().parameters.get(name);
        let one = one.ok_or_else(|| format!("nothing tells how to make a {name}"))?;
        let request = one
            .make
            .as_ref()
            .map(|(request, _)| request)
            .or(one.find.as_ref());
        if self.is_below_unknown(request.map_or("", String::as_str)) {
            return Ok(NOBODY.to_owned());
        }
        for step in &one.before {
            Box::pin(self.step(step)).await?;
        }
        let answer = if let Some(make) = &one.make {
            Box::pin(self.step(make)).await?
        } else {
            let find = one
                .find
                .as_ref()
                .ok_or_else(|| format!("{name} has neither make nor find"))?;
            let step = (format!("GET {find}"), Value::Null);
            Box::pin(self.step(&step)).await?[0].take()
        };
        let field = one.take.as_deref().unwrap_or("_id");
        let value = answer[field].as_str();
        let value = value
            .ok_or_else(|| format!("no {field} for {name} in {answer}"))?
            .to_owned();
        self.made.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    /// A body with values for the names in it.
    async fn filled_body(&mut self, body: &Value) -> Result<Value, String> {
        Ok(match body {
            Value::String(text) => {
                let name = text
                    .strip_prefix('{')
                    .and_then(|text| text.strip_suffix('}'));
                match name {
                    Some(name) => json!(self.value(name).await?),
                    None => body.clone(),
                }
            }
            Value::Array(items) => {
                let mut filled = Vec::new();
                for item in items {
                    filled.push(Box::pin(self.filled_body(item)).await?);
                }
                Value::Array(filled)
            }
            Value::Object(fields) => {
                let mut filled = serde_json::Map::new();
                for (name, value) in fields {
                    filled.insert(name.clone(), Box::pin(self.filled_body(value)).await?);
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }
}
