//! What can go wrong between documents and files.

use std::io;
use std::path::Path;

use engine::CommandError;

/// Why an archive was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or folder cannot be used.
    #[error("{place}: {error}")]
    File {
        /// Its path, or what it is.
        place: String,
        /// Why.
        error: io::Error,
    },
    /// A file's content is not what it should be.
    #[error("{file}: damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// Where the document begins that cannot be read; of the unpacked
        /// content, for a packed file.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A line of text cannot be understood.
    #[error("{file}: line {line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The engine refused.
    #[error("{what}: {} ({})", error.message, error.code)]
    Engine {
        /// What was tried, mostly the namespace.
        what: String,
        /// Its error.
        error: CommandError,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Refused(String),
}

impl ArchiveError {
    /// An error of a path.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::named(path.display().to_string())
    }

    /// An error of a file of a name.
    pub(crate) fn named(place: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let place = place.into();
        move |error| Self::File { place, error }
    }

    /// An error of the engine.
    pub(crate) fn engine(what: impl Into<String>) -> impl FnOnce(CommandError) -> Self {
        let what = what.into();
        move |error| Self::Engine { what, error }
    }
}
