//! The two engines at the waist, side by side: `cargo xtask bench waist [ROW…]`
//! with parts of the titles of the rows wanted, and `waist-growth` for how each
//! grows with its data.
//!
//! Both keep their data under the working directory, so on the same disk, and
//! acknowledge a write when it is on the disk (mongod: `w: 1, j: true`).
//! mongod is a process of its own, spoken to through the driver on loopback: a
//! part of what it takes is the way there, which the embedded engine has not.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf, doc};
use engine::{Answer, SharedEngine, WatchRequest};
use engine_embedded::Embedded;
use engine_mongo::{Mongo, Settings};
use kit::SystemClock;
use tempfile::TempDir;

use crate::process;

/// Documents that most rows work on.
const DOCUMENTS: i32 = 200_000;
/// Clients at once, where a row is not for one.
const CLIENTS: usize = 64;
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
/// Documents of one insert where many go in.
const BATCH: i32 = 1000;
const DB: &str = "bench";
/// The row of change streams.
const LATENCY: &str = "insert until its event";

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// An engine with its data, and the process that computes for it.
pub(crate) struct Side {
    pub(crate) engine: SharedEngine,
    process: u32,
    folder: TempDir,
    _mongod: Option<Stopped>,
    /// The next number that no document has.
    next: AtomicU64,
}

/// A process that ends with this value.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures rows on both engines in turns: those with one of the words in their
/// title, without words every one; or how the engines grow.
pub(crate) fn run(words: &[&str], growth: bool) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let embedded = Arc::new(Side::embedded()?);
        let mongod = Side::mongod().await?.map(Arc::new);
        if mongod.is_none() {
            eprintln!("bench: no mongod (BACKSTITCH_MONGOD, PATH): the embedded engine alone");
        }
        let sides: Vec<Arc<Side>> = std::iter::once(embedded).chain(mongod).collect();
        if growth {
            return grow(&sides).await;
        }
        table(&sides, words).await
    })
}

impl Side {
    pub(crate) fn embedded() -> Result<Self, Failed> {
        let folder = folder()?;
        let engine = Embedded::open(folder.path(), Arc::new(SystemClock))?;
        Ok(Self {
            engine: Arc::new(engine),
            process: std::process::id(),
            folder,
            _mongod: None,
            next: AtomicU64::new(1 << 32),
        })
    }

    pub(crate) async fn mongod() -> Result<Option<Self>, Failed> {
        let Some(binary) = testkit::mongod::binary() else {
            return Ok(None);
        };
        let folder = folder()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let child = Command::new(binary)
            .args(["--replSet", "r", "--bind_ip", "127.0.0.1", "--quiet"])
            .args(["--port", &port.to_string(), "--dbpath"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = child.id();
        let child = Stopped(child);
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&w=1&journal=true");
        let connect = async || Mongo::connect(Settings::new(uri.clone())).await;
        let engine: SharedEngine = Arc::new(connect().await?);
        let mut side = Self {
            engine,
            process,
            folder,
            _mongod: Some(child),
            next: AtomicU64::new(1 << 32),
        };
        side.raw("admin", &doc! { "replSetInitiate": {} }).await?;
        loop {
            let hello = side.raw("admin", &doc! { "hello": 1 }).await?;
            if hello.get_bool("isWritablePrimary").unwrap_or(false) {
                // It can more than it could before it was a replica set.
                side.engine = Arc::new(connect().await?);
                return Ok(Some(side));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn raw(&self, database: &str, command: &Document) -> Answer {
        let command = RawDocumentBuf::try_from(command)?;
        self.engine.command(database, &command).await
    }

    /// Runs a command that has to go well.
    pub(crate) async fn run(&self, command: Document) -> Result<RawDocumentBuf, Failed> {
        let reply = self.raw(DB, &command).await?;
        if let Ok(errors) = reply.get_array("writeErrors") {
            return Err(format!("{errors:?}").into());
        }
        Ok(reply)
    }

    /// A number that was not given before.
    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed).cast_signed()
    }

    /// Fills a collection with documents of about 500 bytes, and an index.
    async fn fill(&self, collection: &str, documents: i32) -> Result<(), Failed> {
        let key = doc! { "key": { "n": 1 }, "name": "n_1" };
        self.run(doc! { "createIndexes": collection, "indexes": [key] })
            .await?;
        for start in (0..documents).step_by(BATCH as usize) {
            let batch: Vec<Document> = (start..documents.min(start + BATCH))
                .map(document)
                .collect();
            self.run(doc! { "insert": collection, "documents": batch })
                .await?;
        }
        Ok(())
    }

    /// Bytes of the files.
    fn disk(&self) -> u64 {
        fn size(folder: &std::path::Path) -> u64 {
            std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => size(&entry.path()),
                    Ok(metadata) => metadata.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        size(self.folder.path())
    }
}

fn folder() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix(".bench-").tempdir_in(".")
}

fn document(n: i32) -> Document {
    doc! {
        "_id": n, "n": n, "group": n % 100, "owner": format!("user-{}", n % 1000),
        "amount": f64::from(n % 977) * 1.25, "text": "x".repeat(400),
    }
}

/// What one operation of a row is.
#[derive(Clone, Copy)]
enum Row {
    Find,
    Range,
    Insert,
    Bulk,
    Update,
    Filter,
    Group,
    Sort,
}

impl Row {
    const ALL: [(Self, &'static str, usize); 12] = [
        (Self::Find, "find by _id, 1 client", 1),
        (Self::Find, "find by _id, 64 clients", CLIENTS),
        (Self::Range, "range of 100 by index, 1 client", 1),
        (Self::Range, "range of 100 by index, 64 clients", CLIENTS),
        (Self::Insert, "durable insert, 1 client", 1),
        (Self::Insert, "durable insert, 64 clients", CLIENTS),
        (Self::Bulk, "insert 1000 with an index, 1 client", 1),
        (Self::Update, "update by _id, 1 client", 1),
        (Self::Update, "update by _id, 64 clients", CLIENTS),
        (Self::Filter, "filter over 200,000", 1),
        (Self::Group, "group 200,000 into 100", 1),
        (Self::Sort, "sort 200,000, limit 10", 1),
    ];

    /// Does it once.
    async fn once(self, side: &Side, documents: i32) -> Result<(), Failed> {
        let number = side.number();
        // Spread over the documents, the same on both sides.
        let any = (number.wrapping_mul(0x9E37_79B9) & 0x7fff_ffff) as i32 % documents.max(1);
        let command = match self {
            Self::Find => doc! { "find": "c", "filter": { "_id": any }, "limit": 1 },
            Self::Range => doc! {
                "find": "c", "filter": { "n": { "$gte": any, "$lt": any + 100 } }, "batchSize": 101,
            },
            Self::Insert => {
                let mut new = document(any);
                new.insert("_id", number);
                doc! { "insert": "new", "documents": [new] }
            }
            Self::Bulk => {
                let batch: Vec<Document> = (0..BATCH)
                    .map(|n| {
                        let mut new = document(n);
                        new.insert("_id", side.number());
                        new
                    })
                    .collect();
                doc! { "insert": "bulk", "documents": batch }
            }
            Self::Update => doc! {
                "update": "c",
                "updates": [{ "q": { "_id": any }, "u": { "$inc": { "amount": 1 } } }],
            },
            Self::Filter => doc! {
                "count": "c", "query": { "amount": { "$gt": 600 }, "owner": { "$ne": "user-7" } },
            },
            Self::Group => doc! {
                "aggregate": "c", "cursor": {},
                "pipeline": [{ "$group": { "_id": "$group", "sum": { "$sum": "$amount" }, "n": { "$sum": 1 } } }],
            },
            Self::Sort => doc! {
                "find": "c", "sort": { "amount": -1, "owner": 1 }, "limit": 10,
            },
        };
        side.run(command).await.map(drop)
    }

    /// Does it for a while: operations a second, and microseconds that the
    /// side's process computed for one.
    async fn round(
        self,
        side: &Arc<Side>,
        clients: usize,
        documents: i32,
    ) -> Result<(f64, f64), Failed> {
        let (began, computed) = (Instant::now(), process::cpu(side.process));
        let done = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..clients {
            let (side, done) = (side.clone(), done.clone());
            tasks.spawn(async move {
                while began.elapsed() < ROUND {
                    self.once(&side, documents).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), Failed>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let operations = done.load(Ordering::Relaxed) as f64;
        let computed = process::cpu(side.process).saturating_sub(computed);
        Ok((
            operations / began.elapsed().as_secs_f64(),
            computed.as_secs_f64() * 1e6 / operations,
        ))
    }
}

async fn table(sides: &[Arc<Side>], words: &[&str]) -> Result<(), Failed> {
    for side in sides {
        side.fill("c", DOCUMENTS).await?;
        side.fill("bulk", 0).await?;
    }
    println!(
        "{ROUNDS} rounds of {} s in turns, medians; cpu: of the embedded engine with its caller, of mongod alone",
        ROUND.as_secs()
    );
    println!(
        "{:<38} {:>11} {:>9} {:>11} {:>9} {:>7}",
        "", "embedded/s", "cpu us", "mongod/s", "cpu us", "ratio"
    );
    let is_wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word));
    for (row, title, clients) in Row::ALL {
        if !is_wanted(title) {
            continue;
        }
        let mut figures = vec![Vec::new(); sides.len()];
        for round in 0..=ROUNDS {
            for (side, figures) in sides.iter().zip(&mut figures) {
                let figure = row.round(side, clients, DOCUMENTS).await?;
                // The first round warms up.
                if round > 0 {
                    figures.push(figure);
                }
            }
        }
        print(title, &figures);
    }
    if is_wanted(LATENCY) {
        latency(sides).await?;
    }
    for side in sides {
        let name = side.engine.capabilities().name;
        println!(
            "{name}: {} MiB resident, {} MiB on disk",
            process::resident_kib(side.process) / 1024,
            side.disk() >> 20
        );
    }
    Ok(())
}

fn print(title: &str, figures: &[Vec<(f64, f64)>]) {
    let of = |side: usize| {
        let figures = figures.get(side)?;
        Some((
            median(figures.iter().map(|figure| figure.0)),
            median(figures.iter().map(|figure| figure.1)),
        ))
    };
    let (rate, cpu) = of(0).unwrap_or_default();
    match of(1) {
        Some((peer, peer_cpu)) => println!(
            "{title:<38} {rate:>11.1} {cpu:>9.1} {peer:>11.1} {peer_cpu:>9.1} {:>7.2}",
            rate / peer
        ),
        None => println!("{title:<38} {rate:>11.1} {cpu:>9.1}"),
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// From before an insert to its event.
async fn latency(sides: &[Arc<Side>]) -> Result<(), Failed> {
    let mut medians = Vec::new();
    for side in sides {
        let mut feed = side
            .engine
            .watch(WatchRequest {
                database: Some(DB.to_owned()),
                collection: Some("watched".to_owned()),
                ..WatchRequest::default()
            })
            .await?;
        let mut took = Vec::new();
        for _ in 0..300 {
            let began = Instant::now();
            let number = side.number();
            side.run(doc! { "insert": "watched", "documents": [{ "_id": number }] })
                .await?;
            feed.next().await?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        medians.push(median(took.into_iter()));
    }
    match medians.as_slice() {
        [own, peer] => println!(
            "{LATENCY:<38} {own:>8.0} us {:>9} {peer:>8.0} us {:>9} {:>7.2}",
            "",
            "",
            peer / own
        ),
        own => println!("{LATENCY:<38} {own:?} us"),
    }
    Ok(())
}

/// How the rows that should not care go on with more documents.
async fn grow(sides: &[Arc<Side>]) -> Result<(), Failed> {
    println!(
        "{:<12} {:<10} {:>11} {:>11} {:>11} {:>9} {:>9}",
        "documents", "engine", "find/s", "range/s", "insert/s", "disk MiB", "fill s"
    );
    let mut before = 0;
    for documents in [10_000, 100_000, 1_000_000] {
        for side in sides {
            let began = Instant::now();
            if before == 0 {
                side.fill("c", 0).await?;
            }
            for start in (before..documents).step_by(BATCH as usize) {
                let batch: Vec<Document> = (start..start + BATCH).map(document).collect();
                side.run(doc! { "insert": "c", "documents": batch }).await?;
            }
            let filled = began.elapsed().as_secs_f64();
            let mut rates = Vec::new();
            for row in [Row::Find, Row::Range, Row::Insert] {
                rates.push(row.round(side, 1, documents).await?.0);
            }
            println!(
                "{documents:<12} {:<10} {:>11.1} {:>11.1} {:>11.1} {:>9} {filled:>9.1}",
                side.engine.capabilities().name,
                rates[0],
                rates[1],
                rates[2],
                side.disk() >> 20,
            );
        }
        before = documents;
    }
    Ok(())
}
