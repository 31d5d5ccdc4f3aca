//! Where a dump goes: a directory, or a stream in the form of tar.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use engine::BoxFuture;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::ArchiveError;

/// Takes files one after another. Paths are `database/file`.
pub trait Sink: Send {
    /// Whether a file's size must be said when it begins.
    fn needs_sizes(&self) -> bool;

    /// Begins a file.
    fn begin(&mut self, path: &str, size: u64) -> BoxFuture<'_, Result<(), ArchiveError>>;

    /// Adds to the file.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), ArchiveError>>;

    /// Ends the file.
    fn end(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>>;

    /// Ends everything; what was written counts from here on.
    fn finish(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>>;
}

/// A directory, which has its name only when it is whole.
pub struct Directory {
    target: PathBuf,
    partial: PathBuf,
    gzip: bool,
    open: Option<(PathBuf, Output)>,
    finished: bool,
}

enum Output {
    Plain(BufWriter<File>),
    Packed(Box<GzEncoder<BufWriter<File>>>),
}

impl Directory {
    /// A new directory `target`; an empty one may be there. With `gzip`, each
    /// file is packed and ends in `.gz`.
    ///
    /// # Errors
    /// When something is there, or nothing can be made.
    pub fn create(target: &Path, gzip: bool) -> Result<Self, ArchiveError> {
        match fs::read_dir(target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(ArchiveError::Refused(format!(
                        "{}: the directory is not empty",
                        target.display()
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ArchiveError::file(target)(error)),
        }
        let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else {
            return Err(ArchiveError::Refused(format!(
                "{}: no name for a directory",
                target.display()
            )));
        };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = parent.join(partial);
        if !parent.as_os_str().is_empty() {
            fs::create_dir_all(parent).map_err(ArchiveError::file(parent))?;
        }
        // Not what another dump is writing, or has left behind.
        private_folder(&partial)?;
        Ok(Self {
            target: target.to_owned(),
            partial,
            gzip,
            open: None,
            finished: false,
        })
    }

    fn start(&mut self, path: &str) -> Result<(), ArchiveError> {
        let mut full = self.partial.clone();
        for part in path.split('/') {
            full.push(plain(part)?);
        }
        if let Some(parent) = full.parent()
            && !parent.is_dir()
        {
            private_folder(parent)?;
        }
        if self.gzip {
            full.as_mut_os_string().push(".gz");
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::new(options.open(&full).map_err(ArchiveError::file(&full))?);
        let output = if self.gzip {
            Output::Packed(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Output::Plain(file)
        };
        self.open = Some((full, output));
        Ok(())
    }

    fn close(&mut self) -> Result<(), ArchiveError> {
        let Some((path, output)) = self.open.take() else {
            return Ok(());
        };
        let buffered = match output {
            Output::Plain(file) => Ok(file),
            Output::Packed(packer) => packer.finish(),
        };
        buffered
            .and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(|file| file.sync_all())
            .map_err(ArchiveError::file(&path))
    }

    fn settle(&mut self) -> Result<(), ArchiveError> {
        // An empty directory may be replaced, another one not.
        fs::rename(&self.partial, &self.target).map_err(ArchiveError::file(&self.target))?;
        self.finished = true;
        Ok(())
    }
}

/// A folder that only its owner reads.
fn private_folder(path: &Path) -> Result<(), ArchiveError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(ArchiveError::file(path))
}

/// A part of a path that leads nowhere else.
fn plain(part: &str) -> Result<&str, ArchiveError> {
    let mut parts = Path::new(part).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !part.contains(['/', '\\', '\0']) => Ok(part),
        _ => Err(ArchiveError::Refused(format!("'{part}' is no file's name"))),
    }
}

impl Sink for Directory {
    fn needs_sizes(&self) -> bool {
        false
    }

    fn begin(&mut self, path: &str, _size: u64) -> BoxFuture<'_, Result<(), ArchiveError>> {
        let begun = self.start(path);
        Box::pin(async move { begun })
    }

    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), ArchiveError>> {
        let written = match &mut self.open {
            None => Ok(()),
            Some((path, output)) => match output {
                Output::Plain(file) => file.write_all(bytes),
                Output::Packed(packer) => packer.write_all(bytes),
            }
            .map_err(ArchiveError::file(path)),
        };
        Box::pin(async move { written })
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>> {
        let closed = self.close();
        Box::pin(async move { closed })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>> {
        let settled = self.settle();
        Box::pin(async move { settled })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.finished {
            // Half a dump is none; it was made by this value.
            drop(self.open.take());
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// A stream in the form of tar, in pieces for `send`.
pub struct Tar<S> {
    send: S,
    /// Bytes that the file still needs, and zeros after them.
    left: u64,
    padding: usize,
}

impl<S: Send + FnMut(Vec<u8>) -> BoxFuture<'static, Result<(), ArchiveError>>> Tar<S> {
    /// A stream that goes to `send`.
    pub fn new(send: S) -> Self {
        Self {
            send,
            left: 0,
            padding: 0,
        }
    }
}

/// What stands in front of a file.
fn header(path: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(size);
    let mut builder = tar::Builder::new(Vec::new());
    // Writes the header, with what a long path needs before it.
    builder.append_data(&mut header, path, io::empty())?;
    Ok(std::mem::take(builder.get_mut()))
}

impl<S: Send + FnMut(Vec<u8>) -> BoxFuture<'static, Result<(), ArchiveError>>> Sink for Tar<S> {
    fn needs_sizes(&self) -> bool {
        true
    }

    fn begin(&mut self, path: &str, size: u64) -> BoxFuture<'_, Result<(), ArchiveError>> {
        self.left = size;
        self.padding = ((512 - size % 512) % 512) as usize;
        match header(path, size) {
            Ok(bytes) => (self.send)(bytes),
            Err(error) => {
                let error = ArchiveError::named(path)(error);
                Box::pin(async move { Err(error) })
            }
        }
    }

    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), ArchiveError>> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.left = left;
                (self.send)(bytes.to_vec())
            }
            None => grown(),
        }
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>> {
        if self.left > 0 {
            return grown();
        }
        (self.send)(vec![0; self.padding])
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), ArchiveError>> {
        (self.send)(vec![0; 1024])
    }
}

fn grown<'a>() -> BoxFuture<'a, Result<(), ArchiveError>> {
    Box::pin(async {
        Err(ArchiveError::Refused(
            "a collection changed while it was read".to_owned(),
        ))
    })
}

/// Unpacks such a stream into a new directory. A stream that breaks off leaves
/// nothing.
///
/// # Errors
/// When the stream is no dump or ends early, or the directory cannot be
/// written.
pub fn unpack(stream: impl Read, target: &Path) -> Result<(), ArchiveError> {
    let mut directory = Directory::create(target, false)?;
    let broken = || ArchiveError::named("the stream");
    let mut end = Ended {
        inner: stream,
        last: Vec::new(),
    };
    let mut archive = tar::Archive::new(&mut end);
    for entry in archive.entries().map_err(broken())? {
        let mut entry = entry.map_err(broken())?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8(path)
            .map_err(|_| ArchiveError::Refused("a path is no text".to_owned()))?;
        if entry.header().entry_type() != tar::EntryType::Regular || path.split('/').count() > 2 {
            return Err(ArchiveError::Refused(format!(
                "'{path}' is no file of a dump"
            )));
        }
        directory.start(&path)?;
        let size = entry.size();
        let Some((full, Output::Plain(file))) = &mut directory.open else {
            return Err(ArchiveError::Refused("no file is open".to_owned()));
        };
        let copied = io::copy(&mut entry, file).map_err(ArchiveError::file(full))?;
        if copied != size {
            return Err(broken()(io::ErrorKind::UnexpectedEof.into()));
        }
        directory.close()?;
    }
    io::copy(&mut end, &mut io::sink()).map_err(broken())?;
    // Two empty blocks are the end; without them it broke off between files.
    if end.last.len() < 1024 || end.last.iter().any(|byte| *byte != 0) {
        return Err(broken()(io::ErrorKind::UnexpectedEof.into()));
    }
    directory.settle()
}

/// Remembers the last bytes that were read.
struct Ended<R> {
    inner: R,
    last: Vec<u8>,
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.last
            .extend_from_slice(&buffer[..read][read.saturating_sub(1024)..]);
        let more = self.last.len().saturating_sub(1024);
        self.last.drain(..more);
        Ok(read)
    }
}
