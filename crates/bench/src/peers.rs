//! Servers on Node that functions are compared with: a bare HTTP server, and
//! Parse Server with cloud functions on a MongoDB of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::load::Load;

type Error = Box<dyn std::error::Error>;

/// A server on Node.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
    /// How a call is written.
    request: fn(&str, &[Value]) -> (String, Value),
    headers: &'static str,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Node's own HTTP server.
    pub(crate) fn node() -> Result<Self, Error> {
        let request = |name: &str, arguments: &[Value]| {
            let body = json!({ "name": name, "arguments": arguments });
            ("/".to_owned(), body)
        };
        Self::start("node.mjs", &[], request, "")
    }

    /// Parse Server, installed when it is not there yet.
    pub(crate) fn parse(mongodb: &str) -> Result<Self, Error> {
        let folder = folder();
        if !folder.join("node_modules/parse-server").exists() {
            let npm = Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--silent"])
                .current_dir(&folder)
                .status()?;
            if !npm.success() {
                return Err("npm could not install Parse Server".into());
            }
        }
        let request = |name: &str, arguments: &[Value]| {
            let body = json!({ "arguments": arguments });
            (format!("/parse/functions/{name}"), body)
        };
        let headers = "X-Parse-Application-Id: bench\r\n";
        Self::start("parse.mjs", &[mongodb], request, headers)
    }

    fn start(
        script: &str,
        arguments: &[&str],
        request: fn(&str, &[Value]) -> (String, Value),
        headers: &'static str,
    ) -> Result<Self, Error> {
        let mut child = Command::new("node")
            .arg(script)
            .args(arguments)
            // Parse Server writes its log where it is started.
            .current_dir(folder())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let address = loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                return Err(format!("{script} did not start").into());
            }
            // What it may say before that is for its log.
            if let Ok(address) = line.trim().parse() {
                break address;
            }
        };
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Self {
            child,
            address,
            request,
            headers,
        })
    }

    /// A load of calls.
    pub(crate) fn load(&self, name: &str, arguments: &[Value]) -> Load {
        Load::new(
            self.address,
            self.child.id(),
            self.message(name, arguments).into_bytes(),
        )
    }

    /// One call, outside of any measurement: Parse Server's result.
    pub(crate) fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let mut stream = TcpStream::connect(self.address)?;
        let message = self.message(name, arguments);
        stream.write_all(
            message
                .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let mut body: Value = serde_json::from_str(body)?;
        match body.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(format!("{name} failed: {body}").into()),
        }
    }

    fn message(&self, name: &str, arguments: &[Value]) -> String {
        let (path, body) = (self.request)(name, arguments);
        let body = body.to_string();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.headers,
            body.len(),
        )
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers")
}
