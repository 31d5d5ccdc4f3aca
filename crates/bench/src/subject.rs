//! The subject: the release binary on the bench app, with a user and documents.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::Load;
use crate::process;

/// A running Backstitch with a logged-in user who owns a document.
pub(crate) struct Subject {
    child: Child,
    address: SocketAddr,
    /// The administrator's token.
    admin: String,
    app: String,
    token: String,
    user: String,
    _home: TempDir,
}

/// A request of a client: a path of the app, or with a slash before it one that
/// names none.
pub(crate) struct Asked<'a> {
    pub(crate) token: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a Value,
}

type Error = Box<dyn std::error::Error>;

/// The first administrator, given to the server as it starts.
const PROJECT: &str = "5fd45718cface356de9d104d";
const PUBLIC_KEY: &str = "bench";
const PRIVATE_KEY: &str = "bench-private-key";

impl Subject {
    /// A server with the bench app and a user.
    pub(crate) fn start() -> Result<Self, Error> {
        let mut subject = Self::launch()?;
        subject.deploy(&app())?;
        Ok(subject)
    }

    /// Starts `backstitch serve`, without an app, and logs its administrator in.
    pub(crate) fn launch() -> Result<Self, Error> {
        Self::launch_with(&[])
    }

    /// The same with more options.
    pub(crate) fn launch_with(options: &[&str]) -> Result<Self, Error> {
        let home = TempDir::new()?;
        let mut child = Command::new(binary()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(home.path().join("data"))
            .args(["--project-id", PROJECT, "--admin-public-key", PUBLIC_KEY])
            .args(["--admin-private-key", PRIVATE_KEY])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        // What follows must not fill the pipe.
        std::thread::spawn(move || io::copy(&mut lines, &mut io::stderr()));
        let mut words = line.split_whitespace();
        let url = words.find_map(|word| word.strip_prefix("http://"));
        let address = url.ok_or_else(|| line.clone())?.parse()?;
        let mut subject = Self {
            child,
            address,
            admin: String::new(),
            app: String::new(),
            token: String::new(),
            user: String::new(),
            _home: home,
        };
        let keys = json!({ "username": PUBLIC_KEY, "apiKey": PRIVATE_KEY });
        let login = "admin/v3.0/auth/providers/mongodb-cloud/login";
        let login = subject.send("POST", login, &keys)?;
        subject.admin = text(&login["access_token"]);
        Ok(subject)
    }

    /// Makes an app, pushes its configuration and logs a user in; answers the
    /// app's id. It is the one that clients use from then on.
    pub(crate) fn deploy(&mut self, configuration: &Value) -> Result<String, Error> {
        let made = self.admin("POST", "", &json!({ "name": "bench" }))?;
        self.app = text(&made["client_app_id"]);
        let id = text(&made["_id"]);
        self.admin("PATCH", &format!("/{id}/push"), configuration)?;
        let login = self.client("auth/providers/anon-user/login", &json!({}))?;
        self.token = text(&login["access_token"]);
        self.user = text(&login["user_id"]);
        Ok(id)
    }

    /// A request of the administrator about the project's apps.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let path = format!("admin/v3.0/groups/{PROJECT}/apps{path}");
        self.send(method, &path, body)
    }

    /// Calls a function as the user.
    pub(crate) fn call(&self, name: &str) -> Result<Value, Error> {
        self.call_with(name, &[])
    }

    /// The same with arguments.
    pub(crate) fn call_with(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let call = json!({ "name": name, "arguments": arguments });
        self.client("functions/call", &call)
    }

    /// The user's access token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Memory of the server and its workers in KiB, shared pages counted once.
    pub(crate) fn private_kib(&self) -> u64 {
        let all = process::descendants(self.child.id());
        all.into_iter().map(process::proportional_kib).sum()
    }

    /// Time that the server and its workers have computed.
    pub(crate) fn cpu(&self) -> std::time::Duration {
        process::cpu(self.child.id())
    }

    /// The loads: name, title, request.
    pub(crate) fn loads(&self) -> Result<Vec<(&'static str, &'static str, Load)>, Error> {
        let namespace = json!({"database": "bench", "collection": "notes"});
        let with = |more: Value| {
            let mut argument = namespace.clone();
            if let (Some(to), Value::Object(from)) = (argument.as_object_mut(), more) {
                to.extend(from);
            }
            argument
        };
        let service = |name: &str, argument: Value| json!({"name": name, "service": "mongodb-atlas", "arguments": [argument]});
        let document =
            json!({"owner_id": self.user, "text": "x".repeat(300), "n": 1, "tags": ["a", "b"]});
        let insert = service("insertOne", with(json!({"document": document})));
        let inserted = self.client("functions/call", &insert)?;
        let find = service(
            "findOne",
            with(json!({"query": {"_id": inserted["insertedId"]}})),
        );
        let call = json!({"name": "sum", "arguments": [1, 2]});
        Ok(vec![
            ("call", "function call: sum(1, 2)", self.load(&call)),
            ("find", "findOne by _id, owner rule", self.load(&find)),
            (
                "insert",
                "insertOne, owner rule, fsynced",
                self.load(&insert),
            ),
        ])
    }

    /// A load of requests to paths of the app, by who sends them.
    pub(crate) fn load_of(&self, requests: &[Asked<'_>]) -> Load {
        let requests = requests.iter().map(|asked| {
            let path = match asked.path.strip_prefix('/') {
                // Those that name no app.
                Some(path) => format!("client/v2.0/{path}"),
                None => self.of_client(asked.path),
            };
            self.request_by(asked.token, asked.method, &path, asked.body)
        });
        Load::of(self.address, self.child.id(), requests.collect())
    }

    /// Resident memory of the server process in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        process::resident_kib(self.child.id()) / 1024
    }

    /// Resident memory of the server's worker processes in MiB, shared pages
    /// counted in each.
    pub(crate) fn workers_resident_mib(&self) -> u64 {
        let workers = process::descendants(self.child.id()).into_iter().skip(1);
        workers.map(process::resident_kib).sum::<u64>() / 1024
    }

    fn load(&self, body: &Value) -> Load {
        Load::new(
            self.address,
            self.child.id(),
            self.request("POST", &self.of_client("functions/call"), body),
        )
    }

    fn of_client(&self, path: &str) -> String {
        format!("client/v2.0/app/{}/{path}", self.app)
    }

    /// A request of a client that has not logged in, or has.
    pub(crate) fn client(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send("POST", &self.of_client(path), body)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let token = if path.starts_with("admin") {
            &self.admin
        } else {
            &self.token
        };
        self.request_by(token, method, path, body)
    }

    /// A request of whoever has a token; of nobody when it is empty.
    fn request_by(&self, token: &str, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let authorization = if token.is_empty() {
            String::new()
        } else {
            format!("Authorization: Bearer {token}\r\n")
        };
        let body = body.to_string();
        format!(
            "{method} /api/{path} HTTP/1.1\r\nHost: {}\r\n{authorization}\
             Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .into_bytes()
    }

    /// One request, outside of any measurement; null without a body.
    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&self.request(method, path, body))?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        if !status.contains(" 20") {
            let body = String::from_utf8_lossy(&body);
            return Err(format!("{method} {path}: {} {body}", status.trim()).into());
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The release binary beside this one.
fn binary() -> Result<PathBuf, Error> {
    let path = std::env::current_exe()?.with_file_name("backstitch");
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: build it first", path.display()).into())
    }
}

/// The bench app, as a push takes it.
fn app() -> Value {
    json!({
        "auth_providers": [{ "name": "anon-user", "type": "anon-user", "disabled": false }],
        "data_sources": [{
            "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" },
            "rules": [{ "database": "bench", "collection": "notes", "roles": [{
                "name": "owner", "apply_when": { "owner_id": "%%user.id" },
                "insert": true, "delete": true, "search": true, "read": true, "write": true,
            }]}],
        }],
        "functions": [{ "name": "sum", "private": false, "source": "exports = (a, b) => a + b;" }],
    })
}
