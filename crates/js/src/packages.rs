//! npm packages as workers load them: names resolved, files compiled once for
//! each content, and what calls loaded before sent ahead.
//!
//! The first call that loads a package asks for its files one after the other.
//! What was asked for is remembered, so that a worker that begins with these
//! packages gets all of it with its first question.

mod resolve;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, rawdoc};
use kit::limit;

use crate::{CompileError, HostError, compile};
pub(crate) use resolve::parent;
use resolve::{Format, Kind, Resolver, Unresolved};

/// What stands before the text of a CommonJS module, on lines of its own.
const BEFORE: &str = "(function(exports,require,module,__filename,__dirname){\n\n";
/// The number of the first of its lines.
const BEFORE_LINE: i32 = -1;
/// What stands after it.
const AFTER: &str = "\n})";

/// Names that an installation remembers.
const NAMES_LEARNED_MAX: usize = 20_000;

/// What a path of an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// The files of an installation; paths begin with `/`, as in
/// `/node_modules/a/index.js`.
pub trait Files: Send + Sync {
    /// What lies at a path.
    fn entry(&self, path: &str) -> Option<Entry>;

    /// A file's bytes.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// The names in a folder.
    fn list(&self, path: &str) -> Vec<String>;
}

/// Compiled files of all installations, by what they were compiled from.
#[derive(Default)]
pub struct Codes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    codes: HashMap<[u8; 32], Arc<Code>>,
    oldest: VecDeque<[u8; 32]>,
    bytes: usize,
}

/// A compiled file.
struct Code {
    format: &'static str,
    bytes: Vec<u8>,
}

impl Codes {
    fn get(&self, hash: &[u8; 32]) -> Option<Arc<Code>> {
        locked(&self.0).codes.get(hash).cloned()
    }

    fn put(&self, hash: [u8; 32], code: &Arc<Code>) {
        let mut kept = locked(&self.0);
        if kept.codes.insert(hash, code.clone()).is_some() {
            return;
        }
        kept.bytes += code.bytes.len();
        kept.oldest.push_back(hash);
        while kept.bytes > limit::MODULE_CODES_BYTES_MAX
            && let Some(oldest) = kept.oldest.pop_front()
        {
            if let Some(code) = kept.codes.remove(&oldest) {
                kept.bytes -= code.bytes.len();
            }
        }
    }
}

/// The packages of an app as they were installed once; never changes.
pub struct Packages {
    resolver: Resolver,
    codes: Arc<Codes>,
    learned: Mutex<Learned>,
}

/// What calls asked for so far, in that order.
#[derive(Default)]
struct Learned {
    names: Vec<Named>,
    known: HashSet<Named>,
    files: HashMap<String, Arc<File>>,
}

/// A name in a folder, and the file that it means.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Named {
    folder: String,
    name: String,
    import: bool,
    path: String,
}

/// A file that can be loaded.
struct File {
    format: &'static str,
    hash: [u8; 32],
    /// Why it does not compile.
    broken: String,
}

impl Packages {
    /// Of these files.
    pub fn new(files: impl Files + 'static, codes: Arc<Codes>) -> Self {
        Self {
            resolver: Resolver::new(Box::new(files)),
            codes,
            learned: Mutex::default(),
        }
    }

    /// Answers an operation of the loader: `modules.resolve`, `modules.code` or
    /// `modules.file`. May take a while: it compiles.
    ///
    /// # Errors
    /// For what no loader asks.
    pub fn answer(
        &self,
        operation: &str,
        asked: &RawDocument,
    ) -> Result<RawDocumentBuf, HostError> {
        match operation {
            "modules.resolve" => Ok(self.resolve(asked)),
            "modules.code" => Ok(self.code(asked)),
            "modules.file" => Ok(self.file(asked)),
            other => Err(HostError::new(format!("unknown operation '{other}'"))),
        }
    }

    /// `{folder, name, import, first}`: the file that a name means. With
    /// `first`, all that was ever asked for comes with it.
    fn resolve(&self, asked: &RawDocument) -> RawDocumentBuf {
        let text = |name: &str| asked.get_str(name).unwrap_or_default();
        let flag = |name: &str| asked.get_bool(name).unwrap_or(false);
        let (folder, name, import) = (text("folder"), text("name"), flag("import"));
        let kind = if import { Kind::Import } else { Kind::Require };
        let mut answer = RawDocumentBuf::new();
        let (mut names, mut files) = (RawArrayBuf::new(), RawArrayBuf::new());
        let mut sent = 0;
        if flag("first") {
            let learned = self.learned();
            for named in &learned.names {
                names.push(named.document());
            }
            for (path, file) in &learned.files {
                let code = (sent < limit::MODULES_SENT_AHEAD_BYTES_MAX)
                    .then(|| self.codes.get(&file.hash))
                    .flatten();
                sent += code.as_ref().map_or(0, |code| code.bytes.len());
                files.push(file.document(path, code.as_deref()));
            }
        }
        match self.resolver.resolve(folder, name, kind) {
            Err(Unresolved { code, message }) => {
                answer.append(cstr!("error"), rawdoc! { "code": code, "message": message });
            }
            Ok(path) => {
                answer.append(cstr!("path"), path.as_str());
                if crate::builtins::public(&path).is_none() {
                    let known = self.learned().files.get(&path).cloned();
                    if let Some(file) = known {
                        // A worker that needs the code says so.
                        files.push(file.document(&path, None));
                    } else {
                        let (file, code) = self.compiled(&path);
                        files.push(file.document(&path, code.as_deref()));
                        self.learned().files.insert(path.clone(), Arc::new(file));
                    }
                }
                self.learned().add(Named {
                    folder: folder.to_owned(),
                    name: name.to_owned(),
                    import,
                    path,
                });
            }
        }
        answer.append(cstr!("names"), names);
        answer.append(cstr!("files"), files);
        answer
    }

    /// `{paths}`: the code of files.
    fn code(&self, asked: &RawDocument) -> RawDocumentBuf {
        let mut files = RawArrayBuf::new();
        for path in asked.get_array("paths").into_iter().flatten().flatten() {
            let Some(path) = path.as_str() else { continue };
            let known = self.learned().files.get(path).cloned();
            let code = known.as_ref().and_then(|file| self.codes.get(&file.hash));
            match (known, code) {
                (Some(file), Some(code)) => files.push(file.document(path, Some(&code))),
                _ if self.resolver.files().entry(path) == Some(Entry::File) => {
                    let (file, code) = self.compiled(path);
                    files.push(file.document(path, code.as_deref()));
                }
                _ => {}
            }
        }
        rawdoc! { "files": files }
    }

    /// `{path, read}`: what lies at a path, and its bytes or names.
    fn file(&self, asked: &RawDocument) -> RawDocumentBuf {
        let path = resolve::join("/", asked.get_str("path").unwrap_or_default());
        let read = asked.get_bool("read").unwrap_or(false);
        let files = self.resolver.files();
        match files.entry(&path) {
            None => rawdoc! { "kind": "none" },
            Some(Entry::Folder) => {
                let mut names = RawArrayBuf::new();
                if read {
                    for name in files.list(&path) {
                        names.push(name);
                    }
                }
                rawdoc! { "kind": "folder", "names": names }
            }
            Some(Entry::File) => {
                let bytes = files.read(&path).unwrap_or_default();
                let mut answer = rawdoc! { "kind": "file", "size": bytes.len() as i64 };
                if read {
                    answer.append(cstr!("bytes"), binary(bytes));
                }
                answer
            }
        }
    }

    /// Compiles a file, unless that content was compiled before.
    fn compiled(&self, path: &str) -> (File, Option<Arc<Code>>) {
        let bytes = self.resolver.files().read(path).unwrap_or_default();
        let broken = |why: String| {
            let file = File {
                format: "broken",
                hash: [0; 32],
                broken: why,
            };
            (file, None)
        };
        if bytes.len() > limit::MODULE_BYTES_MAX {
            let most = limit::MODULE_BYTES_MAX;
            return broken(format!("{path} has more than {most} bytes"));
        }
        let format = self.resolver.format(path);
        let hash = hash(path, format, &bytes);
        let file = |format| File {
            format,
            hash,
            broken: String::new(),
        };
        if let Some(code) = self.codes.get(&hash) {
            return (file(code.format), Some(code));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let text = String::from_utf8_lossy(text);
        let made = match format {
            Format::Addon => return (file("addon"), None),
            Format::Json => Ok(("json", text.into_owned().into_bytes())),
            Format::Module => compile::module(path, &text).map(|code| ("module", code)),
            Format::CommonJs => match compile::bytecode_from(path, &wrapped(&text), BEFORE_LINE) {
                Ok(code) => Ok(("commonjs", code)),
                // Newer Nodes look whether it is an ES module, too.
                Err(error) => match compile::module(path, &text) {
                    Ok(code) => Ok(("module", code)),
                    Err(_) => Err(error),
                },
            },
        };
        match made {
            Ok((format, bytes)) => {
                let code = Arc::new(Code { format, bytes });
                self.codes.put(hash, &code);
                (file(format), Some(code))
            }
            Err(CompileError {
                message,
                line,
                column,
            }) => broken(format!("{message} ({path}:{line}:{column})")),
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        locked(&self.learned)
    }
}

impl Learned {
    fn add(&mut self, named: Named) {
        if self.names.len() < NAMES_LEARNED_MAX && self.known.insert(named.clone()) {
            self.names.push(named);
        }
    }
}

impl Named {
    fn document(&self) -> RawDocumentBuf {
        rawdoc! {
            "folder": self.folder.as_str(), "name": self.name.as_str(), "import": self.import,
            "path": self.path.as_str(),
        }
    }
}

impl File {
    fn document(&self, path: &str, code: Option<&Code>) -> RawDocumentBuf {
        let mut document = rawdoc! { "path": path, "format": self.format };
        if !self.broken.is_empty() {
            document.append(cstr!("broken"), self.broken.as_str());
        }
        document.append(cstr!("hash"), binary(self.hash.to_vec()));
        if let Some(code) = code {
            document.append(cstr!("code"), binary(code.bytes.clone()));
        }
        document
    }
}

/// A CommonJS module as the function that Node makes of it.
fn wrapped(text: &str) -> String {
    // A line for the shell is none for the engine, except at the very beginning.
    let comment = if text.starts_with("#!") { "//" } else { "" };
    format!("{BEFORE}{comment}{text}{AFTER}")
}

fn hash(path: &str, format: Format, bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update([format as u8]);
    hash.update((path.len() as u64).to_le_bytes());
    hash.update(path);
    hash.update(bytes);
    hash.finalize().into()
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
