//! A worker that was taken over: what it sends to the server is what the first
//! argument of its call names. Calls without one are answered with 1.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Forks workers as the server asks, until it is gone.
pub(crate) fn main() -> ExitCode {
    // Nobody waits for those that end.
    // SAFETY: this process has one thread and no other handlers.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    // SAFETY: the server passes its socket as standard input.
    let control = unsafe { BorrowedFd::borrow_raw(0) };
    while let Some((_, mut files)) = received(control) {
        let (Some(output), Some(input)) = (files.pop(), files.pop()) else {
            continue;
        };
        // SAFETY: this process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            work(File::from(input), File::from(output));
            return ExitCode::SUCCESS;
        }
        if rustix::io::write(control, &pid.to_le_bytes()).is_err() {
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::SUCCESS
}

/// What the server asks for, and the files that come with it; none when it is
/// gone.
pub(crate) fn received(control: BorrowedFd<'_>) -> Option<([u8; 5], Vec<OwnedFd>)> {
    let mut bytes = [0; 5];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(control, &mut into, &mut ancillary, RecvFlags::empty()).ok()?;
    let mut files = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            files.extend(passed);
        }
    }
    (received.bytes > 0).then_some((bytes, files))
}

/// Answers calls until a pipe closes.
fn work(mut input: File, mut output: File) {
    while let Some(call) = next(&mut input) {
        let kind = call.get_str("k").unwrap_or_default();
        if kind == "build" || kind == "thaw" {
            let sent = match kind {
                "build" => output.write_all(image(&call).as_bytes()).is_ok(),
                _ => freezes(&mut input, &mut output),
            };
            if !sent {
                return;
            }
            continue;
        }
        let first = call.get_array("arguments").ok().and_then(|all| {
            let first = all.get(0).ok().flatten()?;
            Some(first.as_str()?.to_owned())
        });
        let sent = match first {
            None => output.write_all(done(1).as_bytes()),
            Some(what) => {
                let (what, seed) = what.split_once(' ').unwrap_or((&what, "1"));
                rogue(what, seed.parse().unwrap_or(1), &mut input, &mut output);
                if !matches!(what, "changed" | "freezes") && !what.starts_with("loaded") {
                    return;
                }
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The next message; none when there is none any more.
pub(crate) fn next(input: &mut File) -> Option<RawDocumentBuf> {
    let mut message = vec![0; 4];
    input.read_exact(&mut message).ok()?;
    let length = i32::from_le_bytes(message.as_slice().try_into().ok()?);
    message.resize(length.max(4) as usize, 0);
    input.read_exact(&mut message[4..]).ok()?;
    RawDocumentBuf::from_bytes(message).ok()
}

fn done(value: i32) -> RawDocumentBuf {
    rawdoc! { "k": "done", "memory": 0_i64, "us": 0_i64, "logs": [], "value": value }
}

/// An image of as many MiB as the first module's name says.
fn image(build: &RawDocumentBuf) -> RawDocumentBuf {
    let modules = build.get_array("modules").unwrap();
    let mib = modules.get_str(0).unwrap().parse().unwrap_or(0);
    let mut image = rawdoc! { "k": "image" };
    image.append(
        bson::cstr!("state"),
        bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            // At least the length that it begins with.
            bytes: vec![0; (mib << 20).max(8)],
        },
    );
    image
}

/// Sends what nobody expects.
fn rogue(what: &str, seed: u64, input: &mut File, output: &mut File) {
    let mut random = {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        }
    };
    let mut send = |bytes: &[u8]| output.write_all(bytes).is_ok();
    match what {
        "random" => {
            let bytes: Vec<u8> = (0..4096).map(|_| random()).collect();
            send(&bytes);
        }
        "random-document" => {
            let mut bytes: Vec<u8> = (0..4096).map(|_| random()).collect();
            bytes[..4].copy_from_slice(&4096_i32.to_le_bytes());
            bytes[4095] = 0;
            send(&bytes);
        }
        // An answer, or a request, of which some bytes are others.
        "changed" => {
            let host =
                rawdoc! { "k": "host", "id": 1, "frame": 0, "op": "o", "args": { "a": [1] } };
            let message = if random() % 2 == 0 { done(7) } else { host };
            let mut bytes = message.into_bytes();
            for _ in 0..3 {
                let at = usize::from(random()) % (bytes.len() - 4) + 4;
                bytes[at] = random();
            }
            send(&bytes);
        }
        "empty" => {
            send(rawdoc! {}.as_bytes());
        }
        "kind" | "frozen" | "image" | "awake" => {
            send(rawdoc! { "k": what, "state": "", "run": {}, "wake": -1_i64 }.as_bytes());
        }
        "no-kind" => {
            send(rawdoc! { "k": { "k": "done" } }.as_bytes());
        }
        "deep" => {
            const LEVELS: usize = 100_000;
            let start = rawdoc! { "k": "done" };
            let start = &start.as_bytes()[4..start.as_bytes().len() - 1];
            let mut bytes = ((LEVELS * 8 + 5 + start.len()) as i32)
                .to_le_bytes()
                .to_vec();
            bytes.extend_from_slice(start);
            for level in (0..LEVELS).rev() {
                bytes.extend_from_slice(b"\x03a\0");
                bytes.extend_from_slice(&((level * 8 + 5) as i32).to_le_bytes());
            }
            bytes.extend(std::iter::repeat_n(0, LEVELS + 1));
            assert!(RawDocumentBuf::from_bytes(bytes.clone()).is_ok());
            send(&bytes);
        }
        "too-long" => {
            send(&[0, 0, 0, 0x7f]);
        }
        "long" => {
            // As long as it may be, and nothing that makes sense.
            send(&(90_i32 << 20).to_le_bytes());
            let nonsense = vec![1; 1 << 16];
            while send(&nonsense) {}
        }
        "half" => {
            send(&done(7).as_bytes()[..9]);
            wait(input);
        }
        "silent" => wait(input),
        "freezes" => {
            freezes(input, output);
        }
        // An answer while replies are under way, which are not read.
        "deaf" => {
            let ask = rawdoc! { "k": "host", "id": 1, "frame": 0, "op": "o", "args": {} };
            send(&ask.as_bytes().repeat(10));
            let mut some = [0; 4];
            let _ = input.read_exact(&mut some);
            send(done(7).as_bytes());
            let mut end = [PollFd::new(output, PollFlags::empty())];
            let _ = poll(&mut end, None);
        }
        "host" | "enter" => {
            let mut message = rawdoc! { "k": "host", "id": 1, "frame": 0, "op": "o", "args": {} };
            if what == "enter" {
                message = rawdoc! { "k": "enter", "id": 1, "frame": 0, "name": "f" };
            }
            let many = message.as_bytes().repeat(100);
            // What comes back is never read.
            while send(&many) {}
        }
        // As many values as the number says, in as few bytes as can be.
        "values" => {
            let values = [0x0a, 0].repeat(seed as usize);
            let length = values.len() as i32 + 5;
            let document = [&length.to_le_bytes()[..], &values, &[0]].concat();
            let mut done = rawdoc! { "k": "done", "memory": 0_i64, "us": 0_i64, "logs": [] };
            let kind = done.as_bytes().len() - 1;
            done.append(
                bson::cstr!("value"),
                RawDocumentBuf::from_bytes(document).unwrap(),
            );
            let mut done = done.into_bytes();
            // An array is written as a document is.
            done[kind] = 0x04;
            send(&done);
        }
        "lines" => {
            let mut lines = RawArrayBuf::new();
            for _ in 0..seed {
                lines.push(rawdoc! {});
            }
            let mut done = rawdoc! { "k": "done", "memory": 0_i64, "us": 0_i64, "value": 7 };
            done.append(bson::cstr!("logs"), lines);
            send(done.as_bytes());
        }
        // As many modules as the number says, and others.
        "loaded" | "loaded-long" | "loaded-values" => {
            let mut loaded = RawArrayBuf::new();
            for module in 0..seed {
                loaded.push(format!("{module}"));
            }
            match what {
                "loaded-long" => loaded.push("x".repeat(1025)),
                "loaded-values" => loaded.push(1),
                _ => {}
            }
            let mut done = done(7);
            done.append(bson::cstr!("loaded"), loaded);
            send(done.as_bytes());
        }
        // One module, named by a number.
        "loaded-one" => {
            let mut done = done(7);
            let mut loaded = RawArrayBuf::new();
            loaded.push(format!("{seed}"));
            done.append(bson::cstr!("loaded"), loaded);
            send(done.as_bytes());
        }
        "twice" => {
            let twice = [done(7).as_bytes(), done(8).as_bytes()].concat();
            send(&twice);
            wait(input);
        }
        _ => {}
    }
}

/// Answers that the call only waits, as soon as that is asked for; it wakes at
/// once. Whether the server was there.
fn freezes(input: &mut File, output: &mut File) -> bool {
    while let Some(message) = next(input) {
        if matches!(message.get_str("k"), Ok("freeze")) {
            let frozen = rawdoc! { "k": "frozen", "state": "", "run": {}, "wake": 0_i64 };
            return output.write_all(frozen.as_bytes()).is_ok();
        }
    }
    false
}

/// Until the server closes the pipe, or kills this.
fn wait(input: &mut File) {
    let _ = std::io::copy(input, &mut std::io::sink());
}
