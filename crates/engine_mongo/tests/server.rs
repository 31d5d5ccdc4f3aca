//! Real servers that a test starts, kills and starts again.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf, doc};
use engine::{CommandError, Engine};
use engine_mongo::{Mongo, Settings};

/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(60);

/// Arguments of a replica set whose commands can be made to fail.
pub(crate) const TESTABLE: &[&str] = &["--replSet", "r", "--setParameter", "enableTestCommands=1"];

/// A mongod that ends with this value.
pub(crate) struct Server {
    pub(crate) address: String,
    arguments: Vec<String>,
    set: bool,
    child: Child,
    _home: tempfile::TempDir,
}

impl Server {
    /// A replica set of one member, or `None` without a mongod.
    pub(crate) async fn replica_set() -> Option<Self> {
        Self::start(&["--replSet", "r"]).await
    }

    /// A mongod with these arguments, made the only member of its set if it
    /// is to be one.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        let server = Self::launch(arguments)?;
        let direct = server.direct().await;
        if server.set {
            initiate(&direct, vec![doc! { "_id": 0, "host": &server.address }]).await;
        }
        writable(&direct).await;
        Some(server)
    }

    /// A mongod that may not answer yet.
    pub(crate) fn launch(arguments: &[&str]) -> Option<Self> {
        let Some(binary) = testkit::mongod::binary() else {
            println!("left out: no mongod (BACKSTITCH_MONGOD or PATH)");
            return None;
        };
        let home = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut all: Vec<String> = ["--bind_ip", "127.0.0.1", "--quiet", "--port"]
            .map(str::to_owned)
            .into();
        all.push(port.to_string());
        all.extend(["--dbpath".to_owned(), home.path().display().to_string()]);
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Some(Self {
            address: format!("127.0.0.1:{port}"),
            child: spawn(&binary, &all),
            set: arguments.contains(&"--replSet"),
            arguments: all,
            _home: home,
        })
    }

    /// A URI of it with more options (`&name=value`).
    pub(crate) fn uri(&self, options: &str) -> String {
        let kind = if self.set {
            "replicaSet=r"
        } else {
            "directConnection=true"
        };
        format!("mongodb://{}/?{kind}{options}", self.address)
    }

    pub(crate) async fn connect(&self, options: &str) -> Mongo {
        Mongo::connect(Settings::new(self.uri(options)))
            .await
            .expect("connects")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is running");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the same folder and port, and does not wait.
    pub(crate) fn start_again(&mut self) {
        let binary = testkit::mongod::binary().expect("a mongod");
        self.child = spawn(&binary, &self.arguments);
    }

    /// Stops it in its tracks, or lets it go on. Stopped, every thread is.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
        while name == "STOP" && self.runs() {
            std::thread::yield_now();
        }
    }

    /// Whether a thread of it is not stopped, as Linux tells.
    fn runs(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        threads.into_iter().flatten().flatten().any(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
            state.is_some_and(|state| !state.starts_with('T'))
        })
    }

    async fn direct(&self) -> Mongo {
        let uri = format!("mongodb://{}/?directConnection=true", self.address);
        let patient = format!("{uri}&serverSelectionTimeoutMS={}", START.as_millis());
        Mongo::connect(Settings::new(patient))
            .await
            .expect("mongod listens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three members, each with a tag `which`; elections take a second.
pub(crate) struct Set(Vec<Server>);

impl Set {
    pub(crate) async fn of_three() -> Option<Self> {
        let launch = || Server::launch(&["--replSet", "r", "--oplogSize", "50"]);
        let servers = [launch()?, launch()?, launch()?];
        let members = (0..).zip(&servers).zip(["first", "second", "third"]);
        let members = members.map(|((id, server), which)| {
            // The third is never primary, so that a secondary has its tag.
            let priority = i32::from(which != "third");
            doc! {
                "_id": id, "host": &server.address, "tags": { "which": which },
                "priority": priority,
            }
        });
        for server in &servers {
            server.direct().await;
        }
        initiate(&servers[0].direct().await, members.collect()).await;
        let set = Self(servers.into());
        let any = Mongo::connect(Settings::new(set.uri("&serverSelectionTimeoutMS=60000"))).await;
        writable(&any.expect("a primary")).await;
        Some(set)
    }

    pub(crate) fn uri(&self, options: &str) -> String {
        let hosts: Vec<&str> = self
            .0
            .iter()
            .map(|server| server.address.as_str())
            .collect();
        format!("mongodb://{}/?replicaSet=r{options}", hosts.join(","))
    }

    /// kill -9 of the member that takes writes.
    pub(crate) async fn kill_primary(&mut self, mongo: &Mongo) {
        let hello = ok(mongo, "admin", doc! { "hello": 1 }).await;
        let primary = hello.get_str("me").expect("a name");
        let found = self.0.iter_mut().find(|server| server.address == primary);
        found.expect("one of ours").kill();
    }
}

async fn initiate(direct: &Mongo, members: Vec<Document>) {
    let config = doc! {
        "_id": "r", "members": members, "settings": { "electionTimeoutMillis": 1000 },
    };
    ok(direct, "admin", doc! { "replSetInitiate": config }).await;
}

async fn writable(mongo: &Mongo) {
    let start = Instant::now();
    loop {
        let hello = run(mongo, "admin", doc! { "hello": 1 }).await;
        if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
            return;
        }
        assert!(start.elapsed() < START, "no primary");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn spawn(binary: &PathBuf, arguments: &[String]) -> Child {
    Command::new(binary)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Runs a command.
pub(crate) async fn run(
    engine: &dyn Engine,
    database: &str,
    command: Document,
) -> Result<Document, CommandError> {
    let raw = RawDocumentBuf::try_from(&command).expect("a command encodes");
    let reply = engine.command(database, &raw).await?;
    Ok(Document::try_from(reply).expect("a reply decodes"))
}

/// Runs a command that has to succeed.
pub(crate) async fn ok(engine: &dyn Engine, database: &str, command: Document) -> Document {
    let shown = command.to_string();
    run(engine, database, command)
        .await
        .unwrap_or_else(|error| panic!("{shown} failed: {error:?}"))
}
