//! The peers: a bare axum server that answers every request with a word, and one
//! that asks another process for the word, as isolation has it at the least.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::Semaphore;

use crate::load::Load;

/// Starts the bare server.
pub(crate) const BARE: &str = "--hello";
/// Starts the one that asks.
pub(crate) const ASKING: &str = "--asking";
/// Starts a process that it asks.
pub(crate) const ASKED: &str = "--asked";
/// Processes that are asked at once, for each core.
const ASKED_PER_CORE: usize = 2;
/// Bytes of a question, and of its answer: those of a short function call.
const QUESTION_BYTES: usize = 700;

/// A bare server in a process of its own.
pub(crate) struct Hello {
    child: Child,
    address: SocketAddr,
}

impl Hello {
    /// Starts the bare server and waits for its address.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_as(BARE)
    }

    /// The same with the one that asks another process.
    pub(crate) fn asking() -> io::Result<Self> {
        Self::start_as(ASKING)
    }

    fn start_as(kind: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(kind)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, address })
    }

    /// `GET /`.
    pub(crate) fn load(&self) -> Load {
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        Load::new(self.address, self.child.id(), request.into_bytes())
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself: prints its address and serves until it is killed.
pub(crate) fn serve(asking: bool) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new();
    let Ok(runtime) = runtime else {
        return ExitCode::FAILURE;
    };
    let served: io::Result<()> = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let route = if asking {
            let asked = Arc::new(Asked::start()?);
            get(move || async move { asked.ask().await.unwrap_or_default() })
        } else {
            get(|| async { "hello".to_owned() })
        };
        axum::serve(
            axum::serve::ListenerExt::tap_io(listener, |stream| {
                let _ = stream.set_nodelay(true);
            }),
            Router::new().route("/", route),
        )
        .await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Answers every question, until nobody asks.
pub(crate) fn answer() -> ExitCode {
    let mut question = [0; QUESTION_BYTES];
    while io::stdin().read_exact(&mut question).is_ok() {
        let mut out = io::stdout();
        if out.write_all(&question).and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Processes that are asked.
struct Asked {
    turns: Semaphore,
    idle: Mutex<Vec<(pipe::Sender, pipe::Receiver)>>,
}

impl Asked {
    fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let start = |_| {
            let mut child = Command::new(std::env::current_exe()?)
                .arg(ASKED)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let questions = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            io::Result::Ok((
                pipe::Sender::from_owned_fd(OwnedFd::from(questions))?,
                pipe::Receiver::from_owned_fd(OwnedFd::from(answers))?,
            ))
        };
        let idle = (0..cores * ASKED_PER_CORE).map(start);
        let idle: Vec<_> = idle.collect::<io::Result<_>>()?;
        Ok(Self {
            turns: Semaphore::new(idle.len()),
            idle: Mutex::new(idle),
        })
    }

    async fn ask(&self) -> io::Result<String> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let process = idle().pop();
        let (mut questions, mut answers) = process.ok_or(io::ErrorKind::NotFound)?;
        let mut text = [b'h'; QUESTION_BYTES];
        questions.write_all(&text).await?;
        answers.read_exact(&mut text).await?;
        idle().push((questions, answers));
        Ok("hello".to_owned())
    }
}
