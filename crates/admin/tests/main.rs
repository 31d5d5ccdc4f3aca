//! The Admin API in process: what each operation answers, who may call it, and
//! what it changes.

mod access;
mod accounts;
mod administrators;
mod apps;
mod by_document;
mod commands;
mod configuration;
mod contract;
mod dependencies;
mod dialects;
mod documents;
mod drafts;
#[path = "../../config/tests/folded.rs"]
mod folded;
mod hosting;
mod identity;
mod imports;
mod in_use;
mod measurements;
mod official_cli;
mod private;
mod push;
mod resources;
mod runtime;
mod settings;
mod sync;
mod templates;
mod transfer;

use std::collections::HashMap;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use admin::{Admin, PREFIX};
use app::Backstitch;
use app::administrators::KeyPair;
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use engine::SharedEngine;
use engine_embedded::Embedded;
use http_body_util::BodyExt;
use js::{Limits, PoolSettings};
use kit::{Clock, SystemClock};
use serde_json::{Value, json};
use state::MasterKey;
use web::Request;

/// A server without sockets, and its operator's project.
pub(crate) struct World {
    pub(crate) core: Arc<Backstitch>,
    pub(crate) admin: Admin,
    pub(crate) project: String,
    pub(crate) operator: KeyPair,
}

/// What was answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: Option<String>,
    /// The body, if it is JSON; else null.
    pub(crate) body: Value,
    /// The body, if it is not.
    pub(crate) bytes: Vec<u8>,
    /// What the file is called that the answer is.
    pub(crate) file: Option<String>,
}

impl Reply {
    fn of(head: &Parts, bytes: Vec<u8>) -> Self {
        let text = |name| {
            let value: Option<&HeaderValue> = head.headers.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let kind = text(header::CONTENT_TYPE);
        let json = kind.as_deref() == Some("application/json");
        Self {
            status: head.status.as_u16(),
            body: if json {
                serde_json::from_slice(&bytes).unwrap()
            } else {
                Value::Null
            },
            kind,
            bytes: if json { Vec::new() } else { bytes },
            file: text(header::CONTENT_DISPOSITION),
        }
    }

    /// Status and `error_code`.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["error_code"].as_str().unwrap_or(""))
    }
}

/// The files of a zip archive, and its folders.
pub(crate) fn unzipped(bytes: &[u8]) -> (config::Files, Vec<String>) {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let (mut files, mut folders) = (config::Files::default(), Vec::new());
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let name = entry.name().to_owned();
        if entry.is_dir() {
            folders.push(name);
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(name, content);
        }
    }
    (files, folders)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock)).await
    }

    pub(crate) async fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let engine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        Self::on(engine, clock, None).await
    }

    /// On an engine, with a registry of npm packages or without.
    pub(crate) async fn on(
        engine: SharedEngine,
        clock: Arc<dyn Clock>,
        npm_registry: Option<app::NpmRegistry>,
    ) -> Self {
        let core = Backstitch::open(app::Settings {
            engine,
            clusters: HashMap::new(),
            state: None,
            master_key: MasterKey::from_text("a test's key"),
            // No test here runs a function.
            workers: PoolSettings::new("/nonexistent", ["worker"]),
            limits: Limits::default(),
            clock,
            cheap_passwords: true,
            npm_registry,
            outbound: app::Outbound::default(),
            mail: app::mail::MailSettings::default(),
        })
        .await
        .unwrap();
        let project = core.ensure_project(None, "default").await.unwrap();
        let operator = Backstitch::new_key_pair();
        core.ensure_key(&project.id, &operator).await.unwrap();
        Self {
            admin: Admin::new(core.clone()),
            core,
            project: project.id,
            operator,
        }
    }

    /// A request below the API's root.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &[u8],
    ) -> Reply {
        self.request_of(method, path, token, None, body).await
    }

    /// A request whose body is of a content type.
    pub(crate) async fn request_of(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        media: Option<&str>,
        body: &[u8],
    ) -> Reply {
        let (head, body) = self.raw(method, path, token, media, body).await;
        Reply::of(&head, body)
    }

    /// A request whose answer may be anything: head and bytes.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        media: Option<&str>,
        body: &[u8],
    ) -> (Parts, Vec<u8>) {
        let mut headers = HeaderMap::new();
        if let Some(media) = media {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media).unwrap());
        }
        self.with_headers(headers, method, path, token, body).await
    }

    async fn with_headers(
        &self,
        mut headers: HeaderMap,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &[u8],
    ) -> (Parts, Vec<u8>) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            headers.insert(header::AUTHORIZATION, value);
        }
        let request = Request {
            id: app::request_id(),
            method,
            path: if path.starts_with("/api/") {
                path.to_owned()
            } else {
                format!("{PREFIX}{}", path.trim_start_matches('/'))
            },
            query: query.to_owned(),
            headers,
            peer: None,
            parameters: Vec::new(),
            body: body.to_vec(),
        };
        let response = self.admin.handle(request, "http://here").await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head, bytes.to_vec())
    }

    /// The answer to a login with a key pair.
    pub(crate) async fn login(&self, public: &str, private: &str) -> Reply {
        let body = json!({ "username": public, "apiKey": private }).to_string();
        self.request(
            Method::POST,
            "auth/providers/mongodb-cloud/login",
            None,
            body.as_bytes(),
        )
        .await
    }

    /// Logs in with a key pair of a project.
    pub(crate) async fn administrator(&self, project: &str, pair: &KeyPair) -> Administrator<'_> {
        let login = self
            .login(&pair.public_key, pair.private_key.expose())
            .await;
        assert_eq!(login.status, 200);
        Administrator {
            world: self,
            token: login.body["access_token"].as_str().unwrap().to_owned(),
            project: project.to_owned(),
        }
    }

    /// A key pair of another administrator of the operator's project, in a role.
    pub(crate) async fn colleague(&self, role: &str) -> KeyPair {
        let made = self.core.create_key(&self.project, role, "").await;
        made.unwrap().1
    }

    /// The operator.
    pub(crate) async fn operator(&self) -> Administrator<'_> {
        self.administrator(&self.project, &self.operator).await
    }
}

/// A logged-in administrator.
pub(crate) struct Administrator<'w> {
    pub(crate) world: &'w World,
    pub(crate) token: String,
    pub(crate) project: String,
}

impl Administrator<'_> {
    /// A `GET` below the API's root.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.world
            .request(Method::GET, path, Some(&self.token), b"")
            .await
    }

    /// A request below the project.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = format!("groups/{}{path}", self.project);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.world
            .request(method, &path, Some(&self.token), body.as_bytes())
            .await
    }

    /// A new app.
    pub(crate) async fn app(&self, name: &str) -> AppAdmin<'_> {
        let made = self.call("POST", "/apps", json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{made:?}");
        AppAdmin {
            administrator: self,
            id: made.body["_id"].as_str().unwrap().to_owned(),
        }
    }
}

/// An administrator at one app.
pub(crate) struct AppAdmin<'a> {
    pub(crate) administrator: &'a Administrator<'a>,
    pub(crate) id: String,
}

impl AppAdmin<'_> {
    /// A request below the app.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        let path = format!("/apps/{}{path}", self.id);
        self.administrator.call(method, &path, body).await
    }

    /// The app's configuration as some kind of answer.
    pub(crate) async fn pull_as(&self, kind: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(kind));
        let admin = self.administrator;
        let path = format!("groups/{}/apps/{}/pull", admin.project, self.id);
        let (head, body) = admin
            .world
            .with_headers(headers, Method::GET, &path, Some(&admin.token), b"")
            .await;
        Reply::of(&head, body)
    }

    /// The archive that a request answers: its bytes, files and folders.
    pub(crate) async fn archive(&self, path: &str) -> (Reply, config::Files, Vec<String>) {
        let reply = self.call("GET", path, Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert_eq!(reply.kind.as_deref(), Some("application/zip"), "{path}");
        let (files, folders) = unzipped(&reply.bytes);
        (reply, files, folders)
    }

    /// A request that has to succeed with a status; its body.
    pub(crate) async fn done(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let reply = self.call(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        let kind = (status != 204).then(|| "application/json".to_owned());
        assert_eq!(reply.kind, kind, "{method} {path}");
        reply.body
    }

    /// Imports a document by the strategy of the official CLI.
    pub(crate) async fn import(&self, document: Value) {
        self.done(204, "POST", "/import?strategy=replace-by-name", document)
            .await;
    }

    /// Sends a file in a body of parts, as the official CLI does; the status and
    /// what is answered.
    pub(crate) async fn send_parts(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        parts: &[(&str, &str, &[u8])],
    ) -> (u16, String) {
        let mut body = Vec::new();
        for (name, file_name, bytes) in parts {
            let file = match *file_name {
                "" => String::new(),
                file => format!("; filename=\"{file}\""),
            };
            let head = format!(
                "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
            );
            body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
        }
        body.extend(b"--b0undary--\r\n");
        let kind = format!("{kind}; boundary=b0undary");
        let admin = self.administrator;
        let path = format!("groups/{}/apps/{}{path}", admin.project, self.id);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (head, answer) = admin
            .world
            .raw(method, &path, Some(&admin.token), Some(&kind), &body)
            .await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (head.status.as_u16(), answer)
    }

    /// A new thing's id.
    pub(crate) async fn made(&self, path: &str, body: Value) -> String {
        let made = self.done(201, "POST", path, body).await;
        let id = made["_id"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 24);
        id
    }
}
