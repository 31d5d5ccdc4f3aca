//! Backups, restores, exports and imports of a running server: the operator's
//! own operations, beside the Admin API's (docs/guide/backup.md).
//!
//! Bodies stream both ways, so that what is moved may be larger than memory;
//! a stream has to keep a pace.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use app::Backstitch;
use app::audit::Changing;
use archive::{ArchiveError, Imported, Options, Restored, Selection, Tar};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use engine::{BoxFuture, SharedEngine};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use kit::{Kind, Problem};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use web::Answer;

/// Where the operations live.
pub(crate) const PREFIX: &str = "/api/admin/v3.0/data/";
/// Pieces of a stream that wait for a slow reader or writer.
const PIECES: usize = 4;
/// Bytes of a piece that is written.
const PIECE_BYTES: usize = 256 * 1024;

/// A request for one of them.
pub(crate) struct Ask<'a> {
    /// The request's id.
    pub(crate) id: &'a str,
    /// The client's address.
    pub(crate) address: String,
    pub(crate) method: &'a Method,
    /// The path behind [`PREFIX`].
    pub(crate) verb: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Incoming,
    /// How long the next piece of the body may take.
    pub(crate) patience: Duration,
}

/// Answers a request of the operator.
///
/// # Errors
/// 401 without an administrator's token, 403 for one who is not the operator.
pub(crate) async fn answer(
    core: &Arc<Backstitch>,
    ask: Ask<'_>,
) -> Result<Response<Body>, Problem> {
    let administrator = core.administrator(web::bearer(ask.headers)?).await?;
    if !administrator.operator {
        return Err(Problem::new(
            Kind::Forbidden,
            "Unauthorized",
            "only the server's operator moves its data",
        ));
    }
    let (what, options) = options(ask.query);
    let engine = core.whole_cluster(&what.cluster)?;
    let closed = core.closed_databases();
    let operation = match (ask.method, ask.verb) {
        (&Method::GET, "backup") => return backup(core, engine, &what, options).await,
        (&Method::GET, "export") => return export(engine, closed, options).await,
        (&Method::POST, "restore") => "restoreData",
        (&Method::POST, "import") => "importData",
        _ => return Err(Problem::new(Kind::NotFound, "", "404 page not found")),
    };
    let change = Changing {
        request_id: ask.id,
        operation,
        project_id: "",
        app_id: "",
        resource: &format!("/data/{}", ask.verb),
        origin: "API",
        address: &ask.address,
    };
    let record = core.record_change(&administrator, change).await?;
    let body = read(ask.body, ask.patience);
    let done = if operation == "restoreData" {
        let restored = restore(engine, closed, options, body).await;
        restored.map(|restored| Answer::ok(&told(&restored)))
    } else {
        let imported = import(engine, closed, options, body).await;
        imported.map(|imported| Answer::ok(&counted(&imported)))
    };
    let (status, code) = match &done {
        Ok(answer) => (answer.0.status(), ""),
        Err(problem) => (web::status(problem.kind), &*problem.code),
    };
    core.complete_change(&record, status.as_u16(), code, "")
        .await;
    done.map(|answer| answer.0)
}

/// What of the server's data is meant.
#[derive(Default)]
struct What {
    /// The cluster; the default one if empty.
    cluster: String,
    /// Without the server's own records.
    data_only: bool,
}

impl What {
    /// Whether the server's own records are meant: they belong to the default
    /// cluster, wherever they are.
    fn has_records(&self) -> bool {
        !self.data_only && matches!(&*self.cluster, "" | app::DEFAULT_CLUSTER)
    }
}

/// What is meant, and the options that a query has.
fn options(query: &str) -> (What, Options) {
    let (mut what, mut options) = (What::default(), Options::default());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match &*web::decode(name) {
            "cluster" => what.cluster = web::decode(value),
            "data-only" => what.data_only = value == "true",
            name => options.add(name, web::decode(value)),
        }
    }
    (what, options)
}

/// The selection, and the one of own records that are in another deployment.
fn selections(
    core: &Backstitch,
    what: &What,
    options: Options,
) -> Result<(Selection, Option<(SharedEngine, Selection)>), Problem> {
    let mut selection = options.into_selection().map_err(wrong)?;
    if !what.has_records() {
        selection.exclude.extend(all_of(core.closed_databases()));
        return Ok((selection, None));
    }
    let Some((records, database)) = core.records_apart() else {
        return Ok((selection, None));
    };
    let mut own = selection.clone();
    selection.exclude.extend(all_of(&[database.to_owned()]));
    let named = own.database.get_or_insert_with(|| database.to_owned());
    let meant = named == database && own.collection.is_none();
    Ok((selection, meant.then_some((records, own))))
}

/// Patterns that match everything in some databases.
fn all_of(databases: &[String]) -> impl Iterator<Item = String> {
    databases.iter().map(|database| format!("{database}.*"))
}

/// A dump of everything that is selected, in the form of tar.
async fn backup(
    core: &Backstitch,
    engine: SharedEngine,
    what: &What,
    options: Options,
) -> Result<Response<Body>, Problem> {
    let (selection, own) = selections(core, what, options)?;
    let (send, stream) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let failed = send.clone();
        let mut tar = Tar::new(move |bytes| Box::pin(pass(send.clone(), bytes)));
        let own = own.as_ref().map(|(engine, selection)| (engine, selection));
        let dumped = archive::dump_of_two((&engine, &selection), own, &mut tar).await;
        finish(&failed, dumped.map(drop)).await;
    });
    streamed("application/x-tar", stream).await
}

/// The documents of a collection.
async fn export(
    engine: SharedEngine,
    closed: &[String],
    options: Options,
) -> Result<Response<Body>, Problem> {
    let ((database, collection), export, form) = options.into_export().map_err(wrong)?;
    open(closed, &database)?;
    let (send, stream) = mpsc::channel(PIECES);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Out(send.clone()));
        let place = (&*database, &*collection);
        let done = handle.block_on(archive::export(&engine, place, &export, &form, &mut out));
        handle.block_on(finish(&send, done.map(drop)));
    });
    streamed("application/octet-stream", stream).await
}

/// Hands a piece over; the reader may have gone.
fn pass(
    to: mpsc::Sender<io::Result<Bytes>>,
    bytes: Vec<u8>,
) -> BoxFuture<'static, Result<(), ArchiveError>> {
    Box::pin(async move {
        let gone = || ArchiveError::Refused("the reader has gone".to_owned());
        to.send(Ok(bytes.into())).await.map_err(|_| gone())
    })
}

/// Ends a stream: what failed breaks it off, so that nobody takes it for whole.
async fn finish(to: &mpsc::Sender<io::Result<Bytes>>, done: Result<(), ArchiveError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "a stream of data broke off");
        let _ = to.send(Err(io::Error::other(error.to_string()))).await;
    }
}

/// Answers with a stream; what fails before its first piece is an error like
/// any other.
async fn streamed(
    kind: &'static str,
    mut pieces: mpsc::Receiver<io::Result<Bytes>>,
) -> Result<Response<Body>, Problem> {
    let first = match pieces.recv().await {
        Some(Err(error)) => return Err(Problem::bad_request(error.to_string())),
        first => first,
    };
    let rest = futures_util::stream::unfold(pieces, |mut pieces| async {
        Some((pieces.recv().await?, pieces))
    });
    let stream = futures_util::stream::iter(first).chain(rest);
    let mut response = Response::new(Body::from_stream(stream));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Puts a dump in the form of tar in.
async fn restore(
    engine: SharedEngine,
    closed: &[String],
    options: Options,
    stream: In,
) -> Result<Restored, Problem> {
    let mut restore = options.into_restore().map_err(wrong)?;
    // A running server's own records are no data that may change under it.
    restore.selection.exclude.extend(all_of(closed));
    blocking(move |handle| {
        // Unpacked whole first: a stream that breaks off changes nothing.
        let folder = tempfile::tempdir().map_err(failed)?;
        let dump = folder.path().join("dump");
        archive::unpack(stream, &dump)?;
        handle.block_on(archive::restore(&engine, &dump, &restore))
    })
    .await
}

/// Puts the documents of a file in.
async fn import(
    engine: SharedEngine,
    closed: &[String],
    options: Options,
    stream: In,
) -> Result<Imported, Problem> {
    let ((database, collection), import, form) = options.into_import().map_err(wrong)?;
    open(closed, &database)?;
    blocking(move |handle| {
        let place = (&*database, &*collection);
        let name = "the file";
        handle.block_on(archive::import(
            &engine, place, stream, name, &form, &import,
        ))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Handle) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, Problem> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || work(&handle))
        .await
        .map_err(|error| Problem::internal(error.to_string()))?
        .map_err(wrong)
}

/// Refuses the server's own records and what MongoDB keeps for itself.
fn open(closed: &[String], database: &str) -> Result<(), Problem> {
    if closed
        .iter()
        .any(|name| name.eq_ignore_ascii_case(database))
    {
        let text = "the server's own records are moved with backup and restore";
        return Err(Problem::new(Kind::Forbidden, "Unauthorized", text));
    }
    Ok(())
}

/// What cannot be done as asked. A stream that is not whole is the sender's;
/// what the file system says is the server's own.
fn wrong(error: ArchiveError) -> Problem {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match &error {
        ArchiveError::File { error: why, .. }
            if !matches!(
                why.kind(),
                UnexpectedEof | InvalidData | InvalidInput | Other
            ) =>
        {
            Problem::internal(error.to_string())
        }
        error => Problem::bad_request(error.to_string()),
    }
}

fn failed(error: io::Error) -> ArchiveError {
    ArchiveError::File {
        place: "a folder for the restore".to_owned(),
        error,
    }
}

fn told(restored: &Restored) -> Value {
    let collections: Vec<Value> = restored
        .collections
        .iter()
        .map(|one| {
            json!({
                "namespace": one.namespace, "documents": one.documents,
                "failed": one.failed, "indexes": one.indexes,
            })
        })
        .collect();
    json!({
        "collections": collections, "failures": restored.failures, "left_out": restored.left_out,
    })
}

fn counted(imported: &Imported) -> Value {
    json!({
        "documents": imported.documents, "failed": imported.failed,
        "skipped": imported.skipped, "failures": imported.failures,
    })
}

/// Waits on this thread, which may be one that runs something asynchronous: the
/// reader or writer below is in the middle of it.
fn wait<F: Future>(work: F) -> F::Output {
    // Unconstrained: nobody else's turn ends with this.
    pollster::block_on(tokio::task::unconstrained(work))
}

/// The blocking end of a stream that is written.
struct Out(mpsc::Sender<io::Result<Bytes>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        wait(self.0.send(Ok(piece))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocking end of a body that is read.
struct In {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

/// Reads a body in the background, piece by piece.
fn read(mut body: Incoming, patience: Duration) -> In {
    let (send, pieces) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        loop {
            let piece = match tokio::time::timeout(patience, body.frame()).await {
                Ok(None) => return,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Err(io::Error::other(error)),
                Err(_) => Err(io::Error::other("the body came too slowly")),
            };
            let last = piece.is_err();
            if send.send(piece).await.is_err() || last {
                return;
            }
        }
    });
    In {
        pieces,
        piece: Bytes::new(),
    }
}

impl Read for In {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match wait(self.pieces.recv()) {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let size = out.len().min(self.piece.len());
        out[..size].copy_from_slice(&self.piece.split_to(size));
        Ok(size)
    }
}
