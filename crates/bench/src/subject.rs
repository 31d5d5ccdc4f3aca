//! The subject: the release binary on the bench app, with a user and documents.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::Load;

/// A running Backstitch with a logged-in user who owns a document.
pub(crate) struct Subject {
    child: Child,
    address: SocketAddr,
    app: String,
    token: String,
    user: String,
    _home: TempDir,
}

type Error = Box<dyn std::error::Error>;

impl Subject {
    /// Starts `backstitch dev` on the bench app and logs a user in.
    pub(crate) fn start() -> Result<Self, Error> {
        let home = TempDir::new()?;
        let app = home.path().join("app");
        write_app(&app)?;
        let mut child = Command::new(binary()?)
            .arg("dev")
            .arg(&app)
            .args(["--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(home.path().join("data"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        // The logs that follow must not fill the pipe.
        std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        let url = ready["url"].as_str().ok_or("no url")?;
        let address = url.trim_start_matches("http://").parse()?;
        let app = ready["client_app_id"].as_str().ok_or("no app")?.to_owned();
        let mut subject = Self {
            child,
            address,
            app,
            token: String::new(),
            user: String::new(),
            _home: home,
        };
        let login = subject.post("auth/providers/anon-user/login", &json!({}))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        subject.token = text(&login["access_token"]);
        subject.user = text(&login["user_id"]);
        Ok(subject)
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
        let inserted = self.post("functions/call", &insert)?;
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

    /// Resident memory of the server process in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        resident_kib(self.child.id()) / 1024
    }

    /// Resident memory of the server's worker processes in MiB, shared pages
    /// counted in each.
    pub(crate) fn workers_resident_mib(&self) -> u64 {
        let id = self.child.id();
        let children: u64 = fs::read_dir(format!("/proc/{id}/task"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|id| id.parse().ok())
                    .map(resident_kib)
                    .collect::<Vec<_>>()
            })
            .sum();
        children / 1024
    }

    fn load(&self, body: &Value) -> Load {
        Load::new(self.address, self.request("functions/call", body))
    }

    fn request(&self, path: &str, body: &Value) -> Vec<u8> {
        let body = body.to_string();
        format!(
            "POST /api/client/v2.0/app/{}/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.app,
            self.address,
            self.token,
            body.len()
        )
        .into_bytes()
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&self.request(path, body))?;
        let mut answer = BufReader::new(stream);
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
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resident_kib(id: u32) -> u64 {
    fs::read_to_string(format!("/proc/{id}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
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

fn write_app(folder: &Path) -> io::Result<()> {
    let files = [
        (
            "realm_config.json",
            json!({"config_version": 20_210_101, "name": "bench", "location": "US-VA", "deployment_model": "GLOBAL"}),
        ),
        (
            "auth/providers.json",
            json!({"anon-user": {"name": "anon-user", "type": "anon-user", "disabled": false}}),
        ),
        (
            "data_sources/mongodb-atlas/config.json",
            json!({"name": "mongodb-atlas", "type": "mongodb-atlas", "config": {"clusterName": "Cluster0"}, "version": 1}),
        ),
        (
            "data_sources/mongodb-atlas/bench/notes/rules.json",
            json!({"database": "bench", "collection": "notes", "roles": [{
                "name": "owner", "apply_when": {"owner_id": "%%user.id"},
                "insert": true, "delete": true, "search": true, "read": true, "write": true
            }]}),
        ),
        (
            "functions/config.json",
            json!([{"name": "sum", "private": false}]),
        ),
    ];
    for (path, json) in files {
        write(&folder.join(path), json.to_string().as_bytes())?;
    }
    write(
        &folder.join("functions/sum.js"),
        b"exports = (a, b) => a + b;\n",
    )
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}
