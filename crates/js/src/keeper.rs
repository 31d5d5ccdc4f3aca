//! Starts worker processes, from the server's side: one thread that keeps the
//! process which they are forked from.

use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::alarm::STAND_BACK;
use crate::pool::PoolSettings;
use crate::zygote::{ENDED, FORK, REQUEST_BYTES};

/// How long the first process may take to make its image.
const PREPARING_MAX: Duration = Duration::from_secs(20);

/// A worker's process.
pub(crate) struct Process {
    /// Which process it was forked from: others have other addresses.
    pub(crate) generation: u64,
    pid: Pid,
    keeper: mpsc::Sender<Request>,
    /// What it had computed when that was last looked at.
    looked_at: Duration,
    stands_back: bool,
    /// Where its calls go.
    pub(crate) requests: tokio::net::unix::pipe::Sender,
    /// Where its answers come from.
    pub(crate) answers: tokio::net::unix::pipe::Receiver,
}

impl Process {
    /// Lets the process stand back behind all others: the processor is theirs
    /// first. It cannot come back.
    pub(crate) fn stand_back(&mut self) {
        if !self.stands_back && crate::sandbox::stand_back(self.pid) {
            self.stands_back = kill_process(self.pid, STAND_BACK).is_ok();
        }
    }

    /// Whether it stands back.
    pub(crate) fn stands_back(&self) -> bool {
        self.stands_back
    }

    /// Time that the process has computed since this was last asked.
    pub(crate) fn computed(&mut self) -> Duration {
        let now = self.clock();
        let before = std::mem::replace(&mut self.looked_at, now);
        now.saturating_sub(before)
    }

    /// Time that the process has computed.
    fn clock(&self) -> Duration {
        let mut clock = 0;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the pointers are to live values.
        unsafe {
            if libc::clock_getcpuclockid(self.pid.as_raw_nonzero().get(), &raw mut clock) != 0
                || libc::clock_gettime(clock, &raw mut time) != 0
            {
                return Duration::ZERO;
            }
        }
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody takes its number before the keeper forgets it.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = self.keeper.send(Request::Ended(self.pid));
    }
}

struct Started {
    pid: Pid,
    generation: u64,
    requests: OwnedFd,
    answers: OwnedFd,
}

enum Request {
    Start(oneshot::Sender<io::Result<Started>>),
    Ended(Pid),
}

/// Starts workers.
pub(crate) struct Keeper(mpsc::Sender<Request>);

impl Keeper {
    /// A keeper that starts its first process when it is asked to.
    pub(crate) fn new(settings: PoolSettings) -> Self {
        let (sender, requests) = mpsc::channel();
        // A thread, since the process ends with the thread that started it.
        // Without one, starting says so.
        let _ = std::thread::Builder::new()
            .name("workers".to_owned())
            .spawn(move || keep(&settings, &requests));
        Self(sender)
    }

    /// Starts a worker.
    ///
    /// # Errors
    /// When the program cannot be started or does not answer.
    pub(crate) async fn start(&self) -> io::Result<Process> {
        let (sender, started) = oneshot::channel();
        let gone = || io::Error::other("no thread for worker processes");
        self.0.send(Request::Start(sender)).map_err(|_| gone())?;
        let started = started.await.map_err(|_| gone())??;
        Ok(Process {
            generation: started.generation,
            pid: started.pid,
            keeper: self.0.clone(),
            looked_at: Duration::ZERO,
            stands_back: false,
            requests: tokio::net::unix::pipe::Sender::from_owned_fd(started.requests)?,
            answers: tokio::net::unix::pipe::Receiver::from_owned_fd(started.answers)?,
        })
    }
}

/// The process that workers are forked from.
struct Zygote {
    child: Child,
    control: UnixStream,
    generation: u64,
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(settings: &PoolSettings, requests: &mpsc::Receiver<Request>) {
    let mut zygote: Option<Zygote> = None;
    let mut generations = 0;
    // Ends when nobody can ask any more.
    while let Ok(request) = requests.recv() {
        match request {
            Request::Ended(pid) => {
                if let Some(zygote) = &mut zygote {
                    let _ = zygote.send(ENDED, Some(pid), &[]);
                }
            }
            Request::Start(sender) => {
                let mut started = fork(settings, &mut zygote, &mut generations);
                if started.is_err() {
                    // It may have been killed: once more from the beginning.
                    zygote = None;
                    started = fork(settings, &mut zygote, &mut generations);
                }
                if started.is_err() {
                    zygote = None;
                }
                let _ = sender.send(started);
            }
        }
    }
}

fn fork(
    settings: &PoolSettings,
    zygote: &mut Option<Zygote>,
    generations: &mut u64,
) -> io::Result<Started> {
    let zygote = if let Some(zygote) = zygote {
        zygote
    } else {
        *generations += 1;
        zygote.insert(Zygote::start(settings, *generations)?)
    };
    // Pipes, not a pair of sockets: reading from those wakes the other side,
    // which costs a tenth of a short call.
    let (input, requests) = pipe()?;
    let (answers, output) = pipe()?;
    zygote.send(FORK, None, &[input, output])?;
    let mut pid = [0; 4];
    zygote.control.read_exact(&mut pid)?;
    let pid = Pid::from_raw(i32::from_le_bytes(pid).max(0));
    Ok(Started {
        pid: pid.ok_or_else(|| io::Error::other("no process could be forked"))?,
        generation: zygote.generation,
        requests,
        answers,
    })
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((read.into(), write.into()))
}

impl Zygote {
    fn start(settings: &PoolSettings, generation: u64) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(PREPARING_MAX))?;
        let child = Command::new(&settings.program)
            .args(&settings.arguments)
            .env_clear()
            // Dates are those of the service.
            .env("TZ", "UTC")
            // The server's allocator would take all of the address space that
            // is there beside the arena at once: in KiB, what it takes.
            .env("MIMALLOC_ARENA_RESERVE", "65536")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Self {
            child,
            control,
            generation,
        })
    }

    fn send(&mut self, kind: u8, pid: Option<Pid>, files: &[OwnedFd]) -> io::Result<()> {
        let mut bytes = [kind; REQUEST_BYTES];
        let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
        bytes[1..].copy_from_slice(&pid.to_le_bytes());
        let passed: Vec<_> = files.iter().map(OwnedFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !passed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&passed)) {
            return Err(io::Error::other("too many files to pass"));
        }
        let sent = sendmsg(
            &self.control,
            &[IoSlice::new(&bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }
}
