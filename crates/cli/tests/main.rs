//! The binary, started as people start it. What it says on its output tells
//! the tests when to go on.

mod administration;
mod along;
mod archives;
mod check;
mod clusters;
mod crashes;
mod dev;
mod durability;
mod managed;
mod menus;
mod only_documented;
mod remote;
mod rules;
mod serve;
mod servers;
mod terminal;
mod types;
mod unreached;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use config::Files;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a line may take; reached only when something is wrong.
const LINE_TIME: Duration = Duration::from_secs(60);

/// A folder with files, each after a line `//- /path`.
fn folder(fixture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in Files::from_fixture(fixture).0 {
        write(&folder, &path, std::str::from_utf8(&bytes).unwrap());
    }
    folder
}

fn write(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The program, without settings of whoever runs the tests.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    for (name, _) in std::env::vars() {
        if name.starts_with("BACKSTITCH_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Runs to the end: exit code, output and errors.
fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A server that runs.
struct Served {
    child: Child,
    lines: Receiver<String>,
    url: String,
    app: String,
    /// What came of the first deployment.
    first: Value,
}

impl Served {
    /// `dev --json` on an app, with its data elsewhere.
    fn dev(app: &TempDir, data: &TempDir) -> Self {
        let mut command = program(&["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]);
        let mut served = Self::of(command.arg(data.path()).arg(app.path()));
        let ready = served.line();
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        (served.url, served.app) = (text("url"), text("client_app_id"));
        served.first = served.line();
        served
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            child,
            lines,
            url: String::new(),
            app: String::new(),
            first: Value::Null,
        }
    }

    /// The next line of any kind.
    fn text(&self) -> String {
        self.lines.recv_timeout(LINE_TIME).expect("a line")
    }

    /// The next JSON line.
    fn line(&self) -> Value {
        loop {
            let text = self.text();
            if let Ok(line) = serde_json::from_str(&text) {
                return line;
            }
        }
    }

    /// The next event of a kind.
    fn event(&self, kind: &str) -> Value {
        loop {
            let line = self.line();
            if line["event"] == kind {
                return line;
            }
        }
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, token, body)
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        ask(&self.url, method, path, token, body)
    }

    /// Logs in as somebody new: access and refresh token.
    fn login(&self) -> (String, String) {
        let path = format!(
            "/api/client/v2.0/app/{}/auth/providers/anon-user/login",
            self.app
        );
        let (status, body) = self.post(&path, "", &json!({}));
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("access_token"), text("refresh_token"))
    }

    fn call(&self, token: &str, name: &str) -> (u16, Value) {
        let path = format!("/api/client/v2.0/app/{}/functions/call", self.app);
        self.post(&path, token, &json!({ "name": name, "arguments": [] }))
    }

    /// Ends the process as a crash would.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Sends a request and reads the answer: status and JSON, or text.
fn ask(url: &str, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
    try_ask(url, method, path, token, body).unwrap()
}

/// As [`ask`], of a server that may go away.
fn try_ask(
    url: &str,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> std::io::Result<(u16, Value)> {
    let address = url.strip_prefix("http://").unwrap();
    let body = body.to_string();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let text = || Value::String(body.to_owned());
    Ok((
        status,
        serde_json::from_str(body).unwrap_or_else(|_| text()),
    ))
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A little app with functions of these names and sources.
fn app(functions: &[(&str, &str)]) -> TempDir {
    let folder = folder(
        r#"
//- /realm_config.json
{ "config_version": 20210101, "app_id": "shop-abcde", "name": "shop" }
//- /auth/providers.json
{ "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false } }
"#,
    );
    list(&folder, functions.iter().map(|(name, _)| *name));
    for (name, source) in functions {
        write(&folder, &format!("functions/{name}.js"), source);
    }
    folder
}

/// Writes `functions/config.json`.
fn list<'a>(folder: &TempDir, names: impl Iterator<Item = &'a str>) {
    let list: Value = names.map(|name| json!({ "name": name })).collect();
    write(folder, "functions/config.json", &list.to_string());
}

fn data() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &TempDir) -> &str {
    Path::to_str(folder.path()).unwrap()
}
