//! The process that workers are forked from: it has the realm's image and the
//! built-in modules' bytecode, and runs nothing of anybody's.
//!
//! Forked workers start within a millisecond, share what they do not change,
//! and have the same addresses, so that a call which waits can be frozen in one
//! and thawed in another.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::realm::Realm;

/// Bytes of a request: its kind and a process.
pub(crate) const REQUEST_BYTES: usize = 5;
/// Asks for a worker; the two ends of its pipes come with it.
pub(crate) const FORK: u8 = b'f';
/// Says that a worker has been killed, so that it can be forgotten.
pub(crate) const ENDED: u8 = b'e';

/// How often workers that take long to end are looked at.
const ENDING_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// What the server asks for.
enum Request {
    Fork(OwnedFd, OwnedFd),
    Ended(i32),
}

/// Forks workers as the server asks, until it is gone. In each of them this
/// returns the realm, with its pipes in place of the standard files.
pub(crate) fn serve() -> io::Result<Option<Box<Realm>>> {
    crate::sandbox::die_with_parent();
    crate::sandbox::give_way();
    // Whatever the server's own parent left open is none of ours.
    crate::sandbox::close_from(3);
    // SAFETY: the server passes its socket as standard input, and nothing else
    // in this process uses it. The realm owns it, as it does a worker's pipe.
    let control = unsafe { BorrowedFd::borrow_raw(0) };
    let realm = Realm::new()?;
    crate::worker::handle_signals()?;
    let mut ending: Vec<i32> = Vec::new();
    let mut uncompiled = crate::builtins::names().peekable();
    loop {
        ending.retain(|pid| !has_ended(*pid));
        let wait = if uncompiled.peek().is_some() {
            Some(Timespec::default())
        } else if ending.is_empty() {
            None
        } else {
            Some(ENDING_EVERY)
        };
        let mut fds = [PollFd::new(&control, PollFlags::IN)];
        match poll(&mut fds, wait.as_ref()) {
            Ok(0) => {
                // Nobody asks: what workers are going to need.
                if let Some(name) = uncompiled.next()
                    && let Some(Err(error)) = crate::builtins::bytecode(name)
                {
                    let place = format!("{name}:{}:{}", error.line, error.column);
                    return Err(io::Error::other(format!("{place}: {error}")));
                }
                continue;
            }
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match receive(control)? {
            None => return Ok(None),
            Some(Request::Ended(pid)) => ending.push(pid),
            Some(Request::Fork(input, output)) => {
                // SAFETY: this process has one thread.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    become_worker(input, output)?;
                    return Ok(Some(realm));
                }
                drop((input, output));
                rustix::io::write(control, &pid.to_le_bytes())?;
            }
        }
    }
}

/// Puts the pipes in place of the standard files.
fn become_worker(input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    crate::sandbox::die_with_parent();
    rustix::stdio::dup2_stdin(&input)?;
    rustix::stdio::dup2_stdout(&output)?;
    drop((input, output));
    crate::sandbox::close_from(3);
    Ok(())
}

/// Whether a killed worker is gone, and takes it off the system's list.
fn has_ended(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: the pointer is to a live value.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) != 0 }
}

fn receive(control: BorrowedFd<'_>) -> io::Result<Option<Request>> {
    let mut bytes = [0; REQUEST_BYTES];
    let mut length = 0;
    let mut files: Vec<OwnedFd> = Vec::new();
    while length < REQUEST_BYTES {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            control,
            &mut [IoSliceMut::new(&mut bytes[length..])],
            &mut ancillary,
            RecvFlags::empty(),
        );
        let received = match received {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?.bytes,
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                files.extend(passed);
            }
        }
        if received == 0 {
            return Ok(None);
        }
        length += received;
    }
    let [kind, pid @ ..] = bytes;
    match (kind, files.pop(), files.pop()) {
        (FORK, Some(output), Some(input)) => Ok(Some(Request::Fork(input, output))),
        (ENDED, None, None) => Ok(Some(Request::Ended(i32::from_le_bytes(pid)))),
        _ => Err(io::Error::other("an unknown request")),
    }
}

/// The worker's end of a standard file.
pub(crate) fn standard(file: RawFd) -> std::mem::ManuallyDrop<std::fs::File> {
    // SAFETY: only the realm's pipes use the standard files of a worker.
    std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(file) })
}
