//! A real mongod behind the engine's trait: started for the test as a
//! one-member replica set, spoken to with bare OP_MSG.
//!
//! Not a driver: no pools, no retries, no authentication.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bson::{Document, RawDocument, RawDocumentBuf, doc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long a mongod may take to answer for the first time.
const START: Duration = Duration::from_secs(60);

/// A mongod that ends with this value.
pub struct Mongod {
    process: Option<(Child, tempfile::TempDir)>,
    engine: SharedEngine,
    address: String,
}

/// What kind of server to start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind {
    /// The port; a free one unless set.
    pub port: Option<u16>,
    /// Without a replica set: no transactions and no change streams.
    pub standalone: bool,
}

impl Mongod {
    /// Starts the binary that `BACKSTITCH_MONGOD` or `PATH` names, or uses the
    /// server that `MONGODB_URI` (`mongodb://host:port`) names. `None` when
    /// there is none.
    ///
    /// # Panics
    /// When there is one and it does not start.
    pub async fn start() -> Option<Self> {
        if let Ok(uri) = std::env::var("MONGODB_URI") {
            let address = uri
                .trim_start_matches("mongodb://")
                .split(['/', '?'])
                .next()
                .unwrap_or_default()
                .to_owned();
            let wire = Wire::connect(&address).await.expect("MONGODB_URI answers");
            return Some(Self {
                process: None,
                engine: Arc::new(wire),
                address,
            });
        }
        Self::of(Kind::default()).await
    }

    /// Starts the binary as a server of some kind. `None` when there is none.
    ///
    /// # Panics
    /// When there is one and it does not start.
    pub async fn of(kind: Kind) -> Option<Self> {
        let binary = binary()?;
        let home = home().expect("a folder");
        let port = kind.port.unwrap_or_else(free_port);
        let set: &[&str] = if kind.standalone {
            &[]
        } else {
            &["--replSet", "r"]
        };
        let child = Command::new(binary)
            .args(set)
            .args(["--bind_ip", "127.0.0.1", "--quiet"])
            .args(["--port", &port.to_string(), "--dbpath"])
            .arg(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mongod starts");
        let address = format!("127.0.0.1:{port}");
        let wire = ready(&address, kind.standalone).await;
        Some(Self {
            process: Some((child, home)),
            engine: Arc::new(wire),
            address,
        })
    }

    /// Where a driver finds the server. Its answers need not be on disk.
    pub fn uri(&self) -> String {
        format!(
            "mongodb://{}/?directConnection=true&w=1&journal=false&serverSelectionTimeoutMS=2000",
            self.address
        )
    }

    /// A URI of the server as people write it, with a database in it.
    pub fn uri_of(&self, database: &str) -> String {
        format!(
            "mongodb://{}/{database}?directConnection=true",
            self.address
        )
    }

    /// The server as an engine.
    pub fn engine(&self) -> SharedEngine {
        self.engine.clone()
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A folder, in memory where there is one: what a test's server is told need
/// not outlive it.
fn home() -> std::io::Result<tempfile::TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return Ok(folder);
    }
    tempfile::tempdir()
}

/// The address of a replica set that all tests of this process share, started
/// by the first of them; each takes databases of its own. It ends with the
/// process. `None` when there is no mongod.
///
/// # Panics
/// When there is one and it does not start.
pub fn shared() -> Option<&'static str> {
    static SHARED: OnceLock<Option<(String, Child)>> = OnceLock::new();
    let start = || {
        let binary = binary()?;
        // On a thread of its own: a test's runtime ends with the test.
        let started = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(launch_shared(binary))
        });
        Some(started.join().expect("mongod starts"))
    };
    let shared = SHARED.get_or_init(start).as_ref();
    shared.map(|(address, _)| address.as_str())
}

async fn launch_shared(binary: PathBuf) -> (String, Child) {
    // Nothing is dropped when a process ends, but its pipes are closed.
    const SCRIPT: &str = "home=$(mktemp -d -p /dev/shm || mktemp -d); \
                          \"$@\" --dbpath \"$home\" & \
                          cat > /dev/null; kill -9 $!; wait; rm -rf \"$home\"";
    let port = free_port().to_string();
    let child = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(binary)
        .args(["--replSet", "r", "--bind_ip", "127.0.0.1", "--quiet"])
        .args(["--port", &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    let address = format!("127.0.0.1:{port}");
    ready(&address, false).await;
    (address, child)
}

/// A port that nobody listens on for now.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// The mongod that `BACKSTITCH_MONGOD` or `PATH` names.
pub fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("BACKSTITCH_MONGOD") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("mongod"))
        .find(|file| file.is_file())
}

/// Connects as soon as the server listens, makes the set unless it is to be
/// none, and waits until it has a primary.
async fn ready(address: &str, standalone: bool) -> Wire {
    let start = Instant::now();
    let wire = loop {
        match Wire::connect(address).await {
            Ok(wire) => break wire,
            Err(error) => assert!(start.elapsed() < START, "mongod does not listen: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let run = async |command: Document| {
        let raw = RawDocumentBuf::try_from(&command).expect("encodes");
        wire.command("admin", &raw).await
    };
    if standalone {
        return wire;
    }
    run(doc! { "replSetInitiate": { "_id": "r", "members": [{ "_id": 0, "host": address }] } })
        .await
        .expect("the set is made");
    loop {
        let hello = run(doc! { "hello": 1 }).await.expect("hello");
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return wire;
        }
        assert!(start.elapsed() < START, "no primary");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Connections, one for each command that runs.
struct Wire {
    address: String,
    idle: Mutex<Vec<TcpStream>>,
}

impl Wire {
    async fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            idle: Mutex::new(vec![stream]),
        })
    }

    async fn send(&self, body: &RawDocument) -> std::io::Result<RawDocumentBuf> {
        const OP_MSG: i32 = 2013;
        let sections = sections(body).map_err(std::io::Error::other)?;
        let mut message = Vec::new();
        for part in [(20 + sections.len()) as i32, 1, 0, OP_MSG, 0] {
            message.extend_from_slice(&part.to_le_bytes());
        }
        message.extend_from_slice(&sections);
        let idle = self.idle.lock().await.pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => TcpStream::connect(&self.address).await?,
        };
        stream.write_all(&message).await?;
        let mut header = [0; 21];
        stream.read_exact(&mut header).await?;
        let length = i32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let mut reply = vec![0; length - header.len()];
        stream.read_exact(&mut reply).await?;
        self.idle.lock().await.push(stream);
        RawDocumentBuf::from_bytes(reply).map_err(std::io::Error::other)
    }
}

/// A command as a message has it. What a large write brings goes beside it, as
/// drivers send it: a command alone is not larger than a document.
fn sections(body: &RawDocument) -> bson::error::Result<Vec<u8>> {
    let whole = |body: &RawDocument| [&[0], body.as_bytes()].concat();
    if body.as_bytes().len() <= kit::limit::DOCUMENT_BYTES_MAX {
        return Ok(whole(body));
    }
    let mut rest = RawDocumentBuf::new();
    let mut beside = Vec::new();
    for field in body {
        let (name, value) = field?;
        let bson::raw::RawBsonRef::Array(list) = value else {
            rest.append(name, value);
            continue;
        };
        if !matches!(name.as_str(), "documents" | "updates" | "deletes") {
            rest.append(name, value);
            continue;
        }
        let mut sequence = [name.as_str().as_bytes(), &[0]].concat();
        for statement in list {
            if let bson::raw::RawBsonRef::Document(statement) = statement? {
                sequence.extend_from_slice(statement.as_bytes());
            }
        }
        beside.push(1);
        beside.extend_from_slice(&((4 + sequence.len()) as i32).to_le_bytes());
        beside.extend_from_slice(&sequence);
    }
    Ok([whole(&rest), beside].concat())
}

impl Engine for Wire {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "mongodb",
            transactions: true,
            change_feeds: true,
        }
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let mut body = command.to_owned();
            body.append(bson::cstr!("$db"), database);
            let reply = self
                .send(&body)
                .await
                .map_err(|error| CommandError::new(6, error.to_string()))?;
            let reply_document = Document::try_from(reply.as_ref() as &RawDocument)?;
            let ok = reply_document.get("ok").and_then(|ok| match ok {
                bson::Bson::Double(n) => Some(*n),
                bson::Bson::Int32(n) => Some(f64::from(*n)),
                _ => None,
            });
            if ok == Some(1.0) {
                return Ok(reply);
            }
            let mut error = CommandError::new(
                reply_document.get_i32("code").unwrap_or(8),
                reply_document.get_str("errmsg").unwrap_or_default(),
            );
            for label in reply_document
                .get_array("errorLabels")
                .into_iter()
                .flatten()
            {
                error = error.label(label.as_str().unwrap_or_default());
            }
            Err(error)
        })
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async move {
            let wire = Self::connect(&self.address)
                .await
                .map_err(|error| CommandError::new(6, error.to_string()))?;
            let stage = request.stage();
            let mut pipeline = vec![Document::try_from(stage.as_ref() as &RawDocument)?];
            for stage in &request.pipeline {
                pipeline.push(Document::try_from(stage.as_ref() as &RawDocument)?);
            }
            let database = request.database.unwrap_or_else(|| "admin".to_owned());
            let (target, aggregate) = match request.collection {
                Some(name) => (name.clone(), bson::Bson::String(name)),
                None => ("$cmd.aggregate".to_owned(), bson::Bson::Int32(1)),
            };
            let command = doc! { "aggregate": aggregate, "pipeline": pipeline, "cursor": {} };
            let reply = wire
                .command(&database, &RawDocumentBuf::try_from(&command)?)
                .await?;
            let reply = Document::try_from(reply)?;
            let cursor = reply
                .get_document("cursor")
                .map_err(|e| CommandError::new(1, e.to_string()))?;
            let feed = Feed {
                wire: Arc::new(wire),
                database,
                target,
                cursor: cursor.get_i64("id").unwrap_or(0),
                asked: None,
                ready: cursor
                    .get_array("firstBatch")
                    .cloned()
                    .unwrap_or_default()
                    .into(),
                token: mark(cursor),
            };
            Ok(Box::new(feed) as Box<dyn ChangeFeed>)
        })
    }
}

/// The token of a reply that is behind everything it looked at.
fn mark(cursor: &Document) -> Option<RawDocumentBuf> {
    RawDocumentBuf::try_from(cursor.get_document("postBatchResumeToken").ok()?).ok()
}

struct Feed {
    wire: Arc<Wire>,
    database: String,
    target: String,
    cursor: i64,
    asked: Option<tokio::task::JoinHandle<Answer>>,
    ready: std::collections::VecDeque<bson::Bson>,
    token: Option<RawDocumentBuf>,
}

impl ChangeFeed for Feed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            loop {
                if let Some(bson::Bson::Document(event)) = self.ready.pop_front() {
                    if let Ok(token) = event.get_document("_id") {
                        self.token = Some(RawDocumentBuf::try_from(token)?);
                    }
                    return Ok(RawDocumentBuf::try_from(&event)?);
                }
                if self.cursor == 0 {
                    return Err(CommandError::new(280, "the change stream has ended"));
                }
                let command =
                    doc! { "getMore": self.cursor, "collection": &self.target, "maxTimeMS": 1000 };
                let command = RawDocumentBuf::try_from(&command)?;
                let (wire, database) = (self.wire.clone(), self.database.clone());
                // Goes on when this is dropped: a server that is left in the
                // middle of an answer gives up the cursor.
                let asked = self.asked.get_or_insert_with(|| {
                    tokio::spawn(async move { wire.command(&database, &command).await })
                });
                let reply = asked.await;
                self.asked = None;
                let reply = reply.map_err(|error| CommandError::new(1, error.to_string()))?;
                if reply.is_err() {
                    self.cursor = 0;
                }
                let reply = Document::try_from(reply?)?;
                if let Ok(batch) = reply
                    .get_document("cursor")
                    .and_then(|c| c.get_array("nextBatch"))
                {
                    self.ready.extend(batch.iter().cloned());
                }
                if let Ok(cursor) = reply.get_document("cursor") {
                    self.cursor = cursor.get_i64("id").unwrap_or(0);
                    if self.ready.is_empty() {
                        self.token = mark(cursor).or(self.token.take());
                    }
                }
            }
        })
    }

    fn resume_token(&self) -> Option<RawDocumentBuf> {
        self.token.clone()
    }
}
