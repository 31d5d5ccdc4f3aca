//! Documents to files and back, over the waist: a server's data as a directory
//! in the layout of mongodump, single collections as Extended JSON, CSV or
//! BSON.
//!
//! Works on every engine. Not here: what the documents mean, the command line,
//! HTTP. Memory does not grow with the data: what is held is one batch.

mod bson_file;
mod dump;
mod error;
mod export;
mod import;
mod insert;
mod json;
mod metadata;
mod names;
mod options;
mod restore;
mod sink;
mod source;
mod table;

pub use dump::{Dumped, DumpedCollection, dump, dump_of_two};
pub use error::ArchiveError;
pub use export::{Export, Form, export};
pub use import::{Import, Imported, Mode, import};
pub use names::{Selection, escaped};
pub use options::Options;
pub use restore::{Restore, Restored, RestoredCollection, restore};
pub use sink::{Directory, Sink, Tar, unpack};
pub use source::Moment;
pub use table::{Grace, read_fields};

/// Documents in one message at most.
const BATCH_DOCUMENTS_MAX: usize = 1000;
/// Bytes of documents in one message, unless one document alone has more;
/// MongoDB takes messages of 48 MB.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
