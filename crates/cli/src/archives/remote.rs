//! A running server, asked for its data by its operator.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use archive::{Imported, Options, Restored};
use serde::Deserialize;
use serde_json::json;
use ureq::http::Uri;
use ureq::{Agent, Body, SendBody};

use super::Failed;
use crate::reached::{server_url, unreached};

/// A server, and who asks.
pub(crate) struct Server {
    agent: Agent,
    base: String,
    token: String,
    cluster: Option<String>,
}

/// What a restore did.
#[derive(Deserialize)]
pub(crate) struct Told {
    pub(crate) collections: Vec<Collection>,
    pub(crate) failures: Vec<String>,
    pub(crate) left_out: Vec<String>,
}

/// A restored collection.
#[derive(Deserialize)]
pub(crate) struct Collection {
    pub(crate) namespace: String,
    pub(crate) documents: u64,
    pub(crate) failed: u64,
    pub(crate) indexes: u64,
}

/// What an import did.
#[derive(Deserialize)]
pub(crate) struct Counted {
    pub(crate) documents: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) failures: Vec<String>,
}

impl From<Restored> for Told {
    fn from(restored: Restored) -> Self {
        let collections = restored.collections.into_iter().map(|one| Collection {
            namespace: one.namespace,
            documents: one.documents,
            failed: one.failed,
            indexes: one.indexes,
        });
        Self {
            collections: collections.collect(),
            failures: restored.failures,
            left_out: restored.left_out,
        }
    }
}

impl From<Imported> for Counted {
    fn from(imported: Imported) -> Self {
        Self {
            documents: imported.documents,
            failed: imported.failed,
            skipped: imported.skipped,
            failures: imported.failures,
        }
    }
}

impl Server {
    /// Logs in with a key pair, to ask for a cluster.
    pub(crate) fn log_in(
        url: &str,
        (public, private): (&str, &str),
        cluster: Option<String>,
    ) -> Result<Self, Failed> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let base = format!("{}/api/admin/v3.0", server_url(url)?);
        let body = json!({ "username": public, "apiKey": private }).to_string();
        let answer = agent
            .post(format!("{base}/auth/providers/mongodb-cloud/login"))
            .content_type("application/json")
            .send(body)
            .map_err(|error| unreached(url, &error))?;
        let text = text(checked(answer)?)?;
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        let token = answer["access_token"].as_str();
        let token = token.ok_or("the server gave no access token")?.to_owned();
        Ok(Self {
            agent,
            base,
            token,
            cluster,
        })
    }

    /// Asks for an operation of the Admin API; answers its JSON, null when there
    /// is none.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Failed> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.token));
        let answer = if body.is_null() {
            self.agent.run(request.body(())?)?
        } else {
            let request = request.header("Content-Type", "application/json");
            self.agent.run(request.body(body.to_string())?)?
        };
        let text = text(checked(answer)?)?;
        if text.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Reads a stream.
    pub(crate) fn get(&self, verb: &str, options: &Options) -> Result<impl Read, Failed> {
        let answer = self
            .agent
            .get(self.uri(verb, options)?)
            .header("Authorization", format!("Bearer {}", self.token))
            .call()?;
        Ok(checked(answer)?.into_body().into_reader())
    }

    /// Sends a dump.
    pub(crate) fn restore(&self, options: &Options, directory: &Path) -> Result<Told, Failed> {
        // Looked at first: a folder that is not there is no dump that broke off.
        std::fs::read_dir(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let (read, write) = io::pipe()?;
        let directory = directory.to_owned();
        let packer = std::thread::spawn(move || pack(&directory, write));
        let answer = self.post("restore", options, read);
        let packed = packer.join().map_err(|_| "the dump cannot be packed")?;
        match (answer, packed) {
            (Err(_), Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            (answer, _) => Ok(serde_json::from_str(&answer?)?),
        }
    }

    /// Sends a file.
    pub(crate) fn import(
        &self,
        options: &Options,
        input: impl Read + Send + 'static,
    ) -> Result<Counted, Failed> {
        Ok(serde_json::from_str(&self.post("import", options, input)?)?)
    }

    fn post(
        &self,
        verb: &str,
        options: &Options,
        body: impl Read + Send + 'static,
    ) -> Result<String, Failed> {
        let answer = self
            .agent
            .post(self.uri(verb, options)?)
            .header("Authorization", format!("Bearer {}", self.token))
            .content_type("application/octet-stream")
            .send(SendBody::from_owned_reader(body))?;
        text(checked(answer)?)
    }

    fn uri(&self, verb: &str, options: &Options) -> Result<Uri, Failed> {
        let mut uri = format!("{}/data/{verb}?", self.base);
        let cluster = self.cluster.as_deref().map(|name| ("cluster", name));
        for (name, value) in options.iter().chain(cluster) {
            let _ = write!(uri, "{name}={}&", archive::escaped(value));
        }
        Ok(uri.parse()?)
    }
}

/// An answer, or the error that it says.
fn checked(answer: ureq::http::Response<Body>) -> Result<ureq::http::Response<Body>, Failed> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let text = text(answer)?;
    let said: Option<String> = serde_json::from_str(&text)
        .ok()
        .and_then(|said: serde_json::Value| Some(said["error"].as_str()?.to_owned()));
    Err(format!("the server says {status}: {}", said.unwrap_or(text)).into())
}

fn text(answer: ureq::http::Response<Body>) -> Result<String, Failed> {
    Ok(answer.into_body().read_to_string()?)
}

/// Packs the files of a dump: those of a database's folder.
fn pack(directory: &Path, out: impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(io::BufWriter::with_capacity(256 * 1024, out));
    for folder in sorted(directory)?.into_iter().filter(|path| path.is_dir()) {
        for path in sorted(&folder)?.into_iter().filter(|path| path.is_file()) {
            let name = path.strip_prefix(directory).map_err(io::Error::other)?;
            let mut file = BufReader::new(File::open(&path)?);
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            header.set_size(file.get_ref().metadata()?.len());
            builder.append_data(&mut header, name, &mut file)?;
        }
    }
    builder.into_inner()?.flush()
}

fn sorted(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}
