//! A registry of npm packages on loopback, which serves what a test publishes
//! and answers as badly as the test asks it to.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::Digest as _;
pub use tar::EntryType;

/// A registry. It serves until the test's process ends.
pub struct Registry {
    /// Where it is, with a path: `http://127.0.0.1:4873/npm`.
    pub url: String,
    shared: Arc<Shared>,
}

/// What is answered at a path in place of what was published.
#[derive(Clone)]
pub enum Answer {
    /// A status, a header or none, and a body.
    Once(u16, Option<(String, String)>, Vec<u8>),
    /// A body that begins and has no end.
    Endless(Vec<u8>),
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    packages: HashMap<String, Value>,
    answers: HashMap<String, Answer>,
    requests: Vec<(String, Option<String>)>,
    held: bool,
}

impl Registry {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || drop(serving.serve(stream)));
            }
        });
        Self {
            url: format!("http://{address}/npm"),
            shared,
        }
    }

    /// Publishes a version with some files, or `index.js` for none. `manifest`
    /// has more of what the registry says of it, such as `dependencies`.
    pub fn publish(&self, name: &str, version: &str, manifest: Value, files: &[(&str, &[u8])]) {
        let own = json!({ "name": name, "version": version }).to_string();
        let mut all = vec![("package.json", own.as_bytes())];
        all.extend_from_slice(if files.is_empty() {
            &[("index.js", b"module.exports = 1;")]
        } else {
            files
        });
        self.publish_packed(name, version, manifest, packed(&all));
    }

    /// Publishes a version as it was packed.
    pub fn publish_packed(&self, name: &str, version: &str, manifest: Value, packed: Vec<u8>) {
        let path = format!("/npm/{name}/-/{version}.tgz");
        let sum = base64::engine::general_purpose::STANDARD.encode(sha2::Sha512::digest(&packed));
        let mut of = json!({
            "name": name, "version": version,
            "dist": {
                "tarball": format!("{}/{name}/-/{version}.tgz", self.url),
                "integrity": format!("sha512-{sum}"),
            },
        });
        for (field, value) in manifest.as_object().unwrap_or(&Map::new()) {
            match (of.get_mut(field), value) {
                (Some(Value::Object(there)), Value::Object(more)) => there.extend(more.clone()),
                _ => of[field] = value.clone(),
            }
        }
        self.answer(&path, Answer::Once(200, None, packed));
        let mut state = self.shared.lock();
        let package = state
            .packages
            .entry(name.to_owned())
            .or_insert_with(|| json!({ "name": name, "dist-tags": {}, "versions": {} }));
        package["versions"][version] = of;
        package["dist-tags"]["latest"] = version.into();
    }

    /// Sets a tag.
    pub fn tag(&self, name: &str, tag: &str, version: &str) {
        if let Some(package) = self.shared.lock().packages.get_mut(name) {
            package["dist-tags"][tag] = version.into();
        }
    }

    /// Answers at a path, such as `/npm/name`.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.lock().answers.insert(path.to_owned(), answer);
    }

    /// Keeps every request waiting, until it is told not to.
    pub fn hold(&self, held: bool) {
        self.shared.lock().held = held;
        self.shared.released.notify_all();
    }

    /// The paths that were asked for, with the `Authorization` that was sent.
    pub fn requests(&self) -> Vec<(String, Option<String>)> {
        self.shared.lock().requests.clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut authorization = None;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                authorization = Some(value.trim().to_owned());
            }
        }
        let mut state = self.lock();
        state.requests.push((path.clone(), authorization));
        while state.held {
            state = self
                .released
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let answer = state.answers.get(&path).cloned().unwrap_or_else(|| {
            let name = path.strip_prefix("/npm/").unwrap_or_default();
            let name = name.replace("%2f", "/");
            match state.packages.get(&name) {
                Some(package) => Answer::Once(200, None, package.to_string().into_bytes()),
                None => Answer::Once(404, None, b"{}".to_vec()),
            }
        });
        drop(state);
        match answer {
            Answer::Once(status, header, body) => {
                let header = header.map(|(name, value)| format!("{name}: {value}\r\n"));
                write!(
                    stream,
                    "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
                    body.len(),
                    header.unwrap_or_default()
                )?;
                stream.write_all(&body)
            }
            Answer::Endless(begin) => {
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                stream.write_all(&begin)?;
                let more = vec![b' '; 64 * 1024];
                // Until the client has had enough.
                loop {
                    stream.write_all(&more)?;
                }
            }
        }
    }
}

/// Files as a packed package.
pub fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (format!("package/{name}"), EntryType::Regular, *bytes))
        .collect();
    packed_entries(&entries)
}

/// Entries as they are, as a packed package; a link's bytes are where it leads.
pub fn packed_entries(entries: &[(String, EntryType, &[u8])]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the library refuses names that lead elsewhere.
        if let Some(header) = header.as_gnu_mut() {
            for (to, from) in header.name.iter_mut().zip(name.as_bytes()) {
                *to = *from;
            }
        }
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let link = kind.is_symlink() || kind.is_hard_link();
        if link {
            header.set_link_name_literal(bytes).expect("a short link");
        }
        let content = if link { &[][..] } else { bytes };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).expect("memory");
    }
    let gz = builder.into_inner().expect("memory");
    gz.finish().expect("memory")
}
