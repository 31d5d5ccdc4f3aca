//! Workers that were taken over while a call waits: real ones, of whose frozen
//! calls something is changed on the way to the server. What, the first argument
//! of the call names, with a seed.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use bson::raw::{CString, RawBsonRef};
use bson::spec::BinarySubtype;
use bson::{Binary, RawBson, RawDocument, RawDocumentBuf, rawdoc};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::rogue_worker::{next, received};

/// What is to be changed of the call that runs in a worker.
type Wanted = Arc<Mutex<Option<(String, u64)>>>;

/// What is to be changed of the next image that a worker makes.
static OF_IMAGE: Mutex<Option<(String, u64)>> = Mutex::new(None);

/// Stands between the server and the process that workers are forked from.
pub(crate) fn main() -> ExitCode {
    match relay() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn relay() -> std::io::Result<()> {
    let (mut zygote, theirs) = UnixStream::pair()?;
    // It ends with this one.
    let _child = Command::new(std::env::current_exe()?)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    let control = std::io::stdin();
    while let Some((request, files)) = received(control.as_fd()) {
        let Ok([from_server, to_server]) = <[OwnedFd; 2]>::try_from(files) else {
            zygote.write_all(&request)?;
            continue;
        };
        let (input, requests) = std::io::pipe()?;
        let (answers, output) = std::io::pipe()?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let passed = [input.as_fd(), output.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&passed));
        let request = [IoSlice::new(&request)];
        sendmsg(&zygote, &request, &mut ancillary, SendFlags::NOSIGNAL)?;
        let mut pid = [0; 4];
        zygote.read_exact(&mut pid)?;
        rustix::io::write(&control, &pid)?;
        let wanted = Wanted::default();
        let (requests, answers) = (OwnedFd::from(requests), OwnedFd::from(answers));
        let of_requests = wanted.clone();
        std::thread::spawn(move || pass_on(from_server.into(), requests.into(), &of_requests));
        std::thread::spawn(move || bring_back(answers.into(), to_server.into(), &wanted));
    }
    Ok(())
}

/// Brings messages to the worker, and sees which calls they begin.
fn pass_on(mut from: File, mut to: File, wanted: &Wanted) {
    while let Some(message) = next(&mut from) {
        let kind = message.get_str("k").unwrap_or_default();
        if kind == "call" || kind == "thaw" {
            let wish = wish(&message);
            match wish
                .as_ref()
                .and_then(|(what, _)| what.strip_prefix("image-"))
            {
                Some(what) => *OF_IMAGE.lock().unwrap() = Some((what.to_owned(), wish.unwrap().1)),
                None => *wanted.lock().unwrap() = wish,
            }
        }
        if to.write_all(message.as_bytes()).is_err() {
            return;
        }
    }
}

fn wish(call: &RawDocument) -> Option<(String, u64)> {
    let arguments = call.get_array("arguments").ok()?;
    let (what, seed) = arguments.get_str(0).ok()?.split_once(' ')?;
    Some((what.to_owned(), seed.parse().ok()?))
}

/// Brings the worker's answers back, some of them changed.
fn bring_back(mut from: File, mut to: File, wanted: &Wanted) {
    while let Some(message) = next(&mut from) {
        let mut bytes = message.as_bytes().to_vec();
        match message.get_str("k").unwrap_or_default() {
            "frozen" => {
                if let Some((what, seed)) = wanted.lock().unwrap().take() {
                    bytes = mangled(&message, &what, &mut Dice::new(seed));
                }
            }
            "image" => {
                if let Some((what, seed)) = OF_IMAGE.lock().unwrap().take() {
                    let mut image = binary_of(&message, "state");
                    change(&mut image, &what, &mut Dice::new(seed));
                    bytes = changed(&message, "state", Some(binary(image)));
                }
            }
            _ => {}
        }
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// A generator that a seed repeats.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll(256) as u8).collect()
    }

    /// Flips bits, one to some twenty.
    fn flip(&mut self, bytes: &mut [u8]) {
        for _ in 0..1 << self.roll(5) {
            let at = self.roll(bytes.len());
            bytes[at] ^= 1 << self.roll(8);
        }
    }
}

fn mangled(message: &RawDocument, what: &str, dice: &mut Dice) -> Vec<u8> {
    let state = binary_of(message, "state");
    let mut realm = lz4_flex::decompress_size_prepended(&state).unwrap();
    let with = |state: Vec<u8>| changed(message, "state", Some(binary(state)));
    if let Some(what) = what.strip_prefix("realm-") {
        change(&mut realm, what, dice);
        return with(lz4_flex::compress_prepend_size(&realm));
    }
    match what {
        // As it is.
        "nothing" => message.as_bytes().to_vec(),
        // Anything in its place.
        "random" => {
            let length = dice.roll(1 << 16);
            with(dice.bytes(length))
        }
        // The message's own bytes, or those of the compressed realm.
        "message" => {
            let mut bytes = message.as_bytes().to_vec();
            dice.flip(&mut bytes[4..]);
            bytes
        }
        "compressed" => {
            let mut state = state;
            dice.flip(&mut state);
            with(state)
        }
        "truncated" => with(state[..dice.roll(state.len())].to_vec()),
        // A realm that is said to be larger than any.
        "claims" => {
            let mut state = state;
            state[3] = 0x40 << dice.roll(2);
            with(state)
        }
        "huge" => with(vec![0; 7 << 20]),
        "run" => {
            let mut run = message.get_document("run").unwrap().as_bytes().to_vec();
            dice.flip(&mut run[4..]);
            match RawDocumentBuf::from_bytes(run) {
                Ok(run) => changed(message, "run", Some(RawBson::Document(run))),
                Err(_) => changed(message, "run", None),
            }
        }
        "missing" => changed(message, ["state", "run"][dice.roll(2)], None),
        "other" => {
            let value = RawBson::Document(rawdoc! { "a": [1, { "b": "c" }] });
            changed(message, ["state", "run"][dice.roll(2)], Some(value))
        }
        "wake" => {
            let wakes = [0, 1, -1, i64::MIN, i64::MAX, 1_000_000_000_000];
            changed(message, "wake", Some(wakes[dice.roll(6)].into()))
        }
        other => panic!("nobody knows what {other} means"),
    }
}

/// Changes what a realm has beside its image.
fn change(realm: &mut Vec<u8>, what: &str, dice: &mut Dice) {
    match what {
        "random" => {
            let length = dice.roll(1 << 16);
            *realm = dice.bytes(length);
        }
        "cut" => realm.truncate(dice.roll(realm.len())),
        // Its length, the first place, and the beginning of the allocator's state.
        "head" => dice.flip(&mut realm[..24]),
        "allocator" => dice.flip(&mut realm[16..80]),
        // As much as the arena has, and more: in its length, and as the allocator's
        // state says it, which is what changed first.
        "extent" => {
            let mib = [1_u64 << 9, 4 << 10, (4 << 10) + 1, 1 << 40][dice.roll(4)];
            for place in [0..8, 16..24] {
                realm[place].copy_from_slice(&(mib << 20).to_le_bytes());
            }
        }
        "bits" => dice.flip(&mut realm[8..]),
        other => panic!("nobody knows what {other} means"),
    }
}

fn binary_of(message: &RawDocument, name: &str) -> Vec<u8> {
    match message.get(name) {
        Ok(Some(RawBsonRef::Binary(found))) => found.bytes.to_vec(),
        _ => Vec::new(),
    }
}

fn binary(bytes: Vec<u8>) -> RawBson {
    RawBson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

/// A message with one part changed or left out.
fn changed(message: &RawDocument, name: &str, value: Option<RawBson>) -> Vec<u8> {
    let mut out = RawDocumentBuf::new();
    for (other, part) in message.iter().flatten() {
        if other != name {
            out.append(other, part);
        }
    }
    if let Some(value) = value {
        out.append(CString::try_from(name).unwrap(), value);
    }
    out.into_bytes()
}
