//! A terminal that a command runs at, and somebody at its keys.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::LINE_TIME;

pub(super) const ENTER: &str = "\r";
pub(super) const DOWN: &str = "\u{1b}[B";
pub(super) const ESCAPE: &str = "\u{1b}";
pub(super) const CTRL_C: &str = "\u{3}";

/// A command at a terminal.
pub(super) struct Terminal {
    child: Child,
    keys: File,
    read: Receiver<Vec<u8>>,
    /// Everything that was written to the screen.
    pub(super) written: Vec<u8>,
    /// How much of what it says was expected already.
    seen: usize,
}

impl Terminal {
    /// Starts a command whose output and error output are a terminal.
    pub(super) fn of_output(command: &mut Command) -> Self {
        Self::start(command, false)
    }

    /// Starts a command whose input is the terminal's keys, too.
    pub(super) fn new(command: &mut Command) -> Self {
        Self::start(command, true)
    }

    fn start(command: &mut Command, input: bool) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 160,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let mut options = OpenOptions::new();
        let theirs = options.read(true).write(true).open(name).unwrap();
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (send, read) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // An error is the end: nobody has the other side any more.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        if input {
            command.stdin(theirs.try_clone().unwrap());
        }
        let child = command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap();
        // The command has its own copies of the other side.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        Self {
            child,
            keys,
            read,
            written: Vec::new(),
            seen: 0,
        }
    }

    /// What is on the screen, without what moves and paints.
    pub(super) fn said(&self) -> String {
        let written = String::from_utf8_lossy(&self.written);
        let mut parts = written.split('\u{1b}');
        let mut said = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| c.is_ascii_alphabetic());
            said.push_str(end.map_or("", |end| &part[end + 1..]));
        }
        said
    }

    /// Waits until that is on the screen, after what was waited for before.
    pub(super) fn sees(&mut self, text: &str) -> &mut Self {
        loop {
            let said = self.said();
            if let Some(at) = said.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += at + text.len();
                return self;
            }
            match self.read.recv_timeout(LINE_TIME) {
                Ok(more) => self.written.extend(more),
                Err(error) => panic!("{text:?} is not there ({error}): {said}"),
            }
        }
    }

    /// Presses keys.
    pub(super) fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Reads until nobody writes any more.
    pub(super) fn reads_all(&mut self) {
        while let Ok(more) = self.read.recv_timeout(LINE_TIME) {
            self.written.extend(more);
        }
    }

    /// Waits for the end: exit code, and everything that was said.
    pub(super) fn ends(mut self) -> (i32, String) {
        self.reads_all();
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), self.said())
    }

    /// Waits for the end of a command that works.
    pub(super) fn well(self) -> String {
        let (code, said) = self.ends();
        assert_eq!(code, 0, "{said}");
        said
    }
}
