//! `users import`: the users of a file, sent in portions, so that the file may be
//! as long as it likes. Whatever it was cut short at, it can be run again.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::PathBuf;

use clap::Args;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::resources::none_failed;
use super::{Desk, Which};
use crate::archives::Failed;

/// Users that are sent together.
const AT_ONCE: usize = 500;
/// Bytes that are sent together.
const BYTES_AT_ONCE: usize = 4 << 20;
/// The longest line.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Refused users that are shown.
const SHOWN_MAX: usize = 1000;

#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    which: Which,
    /// A user on each line as JSON, or a list of users; - is standard input
    file: PathBuf,
}

impl Import {
    pub(super) fn run(self, desk: &mut Desk) -> Result<(), Failed> {
        let app = desk.app(&self.which)?;
        let file: Box<dyn Read> = if self.file.as_os_str() == "-" {
            Box::new(stdin())
        } else {
            let name = self.file.display();
            Box::new(File::open(&self.file).map_err(|error| format!("{name}: {error}"))?)
        };
        let mut users = Users {
            path: app.private_at("/users/import"),
            desk,
            waiting: Vec::new(),
            bytes: 0,
            last: 0,
            created: 0,
            existing: 0,
            refused: 0,
            shown: Vec::new(),
        };
        let read = users.read(BufReader::new(file));
        let sent = read.and_then(|()| users.send());
        if let Err(error) = sent {
            let done = users.created + users.existing;
            return Err(format!("{error} (after {done} users; run it again to go on)").into());
        }
        let Users {
            created,
            existing,
            refused,
            shown,
            desk,
            ..
        } = users;
        if !shown.is_empty() {
            let title = format!("users that were refused: {refused}");
            desk.out.table(&title, &["Line", "Why"], &shown)?;
        }
        let done = json!({ "created": created, "existing": existing, "refused": refused });
        desk.out.document("imported users", &done)?;
        none_failed(refused)
    }
}

/// Users on their way to the server.
struct Users<'d> {
    path: String,
    desk: &'d mut Desk,
    /// With their lines, or their numbers in the list.
    waiting: Vec<(usize, Value)>,
    bytes: usize,
    /// The line of the last that was read.
    last: usize,
    created: u64,
    existing: u64,
    refused: usize,
    shown: Vec<Vec<Value>>,
}

impl Users<'_> {
    fn read(&mut self, mut file: BufReader<Box<dyn Read>>) -> Result<(), Failed> {
        // What comes first says whether it is a list.
        loop {
            let here = file.fill_buf()?;
            let blank = here.iter().take_while(|byte| byte.is_ascii_whitespace());
            self.last += blank.clone().filter(|byte| **byte == b'\n').count();
            let blank = blank.count();
            match here.get(blank) {
                Some(b'[') => {
                    self.last = 0;
                    return self.read_list(file);
                }
                Some(_) => {
                    file.consume(blank);
                    break;
                }
                None if blank == 0 => return Ok(()),
                None => file.consume(blank),
            }
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut part = (&mut file).take(LINE_BYTES_MAX);
            if part.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.last += 1;
            if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
                let line = self.last;
                return Err(format!("line {line} is longer than {LINE_BYTES_MAX} bytes").into());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(user) => self.add(self.last, user, line.len())?,
                Err(error) => self.refuse(self.last, &format!("it is no JSON: {error}")),
            }
        }
    }

    fn read_list(&mut self, file: impl Read) -> Result<(), Failed> {
        let mut list = serde_json::Deserializer::from_reader(file);
        list.deserialize_seq(List(self))?;
        Ok(list.end()?)
    }

    fn add(&mut self, line: usize, user: Value, bytes: usize) -> Result<(), Failed> {
        if self.bytes + bytes > BYTES_AT_ONCE || self.waiting.len() >= AT_ONCE {
            self.send()?;
        }
        self.bytes += bytes;
        self.waiting.push((line, user));
        Ok(())
    }

    fn send(&mut self) -> Result<(), Failed> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let (lines, users): (Vec<usize>, Vec<Value>) = self.waiting.drain(..).unzip();
        let body = json!({ "users": users });
        let done = self.desk.session.ask("POST", &self.path, &body)?;
        self.created += done["created"].as_u64().unwrap_or_default();
        self.existing += done["existing"].as_u64().unwrap_or_default();
        for one in done["refused"].as_array().into_iter().flatten() {
            let place = one["index"].as_u64().unwrap_or_default() as usize;
            let line = lines.get(place).copied().unwrap_or_default();
            self.refuse(line, one["error"].as_str().unwrap_or_default());
        }
        Ok(())
    }

    fn refuse(&mut self, line: usize, why: &str) {
        self.refused += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(vec![line.into(), why.into()]);
        }
    }
}

/// A list of users, each on its way as soon as it is read.
struct List<'u, 'd>(&'u mut Users<'d>);

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(user) = list.next_element::<Value>()? {
            self.0.last += 1;
            let (place, bytes) = (self.0.last, user.to_string().len());
            self.0.add(place, user, bytes).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
