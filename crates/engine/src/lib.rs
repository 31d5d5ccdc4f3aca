//! The waist of the data layer: MongoDB commands in raw BSON, change feeds and
//! transactions, behind one object-safe trait.
//!
//! Not here: an implementation, users, rules, apps. The meaning of [`Engine`]
//! is its [`conformance`] suite.

mod collection;
pub mod conformance;
mod error;
mod options;
pub mod part;
mod session;
mod watch;

use std::pin::Pin;
use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

pub use collection::{Collection, Found, Updated};
pub use error::CommandError;
pub use part::{Part, Role};
pub use session::{IsTransient, Session, with_transaction};
pub use watch::{BeforeChange, ChangeFeed, FullDocument, WatchRequest};

/// A boxed future, as object-safe async methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer to a command: a reply with `ok: 1`, or an error. Errors of single
/// writes are inside the reply (`writeErrors`), as MongoDB has them.
pub type Answer = Result<RawDocumentBuf, CommandError>;

/// A shared engine.
pub type SharedEngine = Arc<dyn Engine>;

/// A MongoDB-compatible document store.
pub trait Engine: Send + Sync + 'static {
    /// What the engine can do.
    fn capabilities(&self) -> Capabilities;

    /// Runs one command against a database. The command may carry `lsid`,
    /// `txnNumber`, `startTransaction` and `autocommit` as on the wire.
    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer>;

    /// The state of this moment as an engine that only reads, for whoever reads
    /// long; `None` where the engine keeps no such thing.
    fn snapshot(&self) -> BoxFuture<'_, Result<Option<SharedEngine>, CommandError>> {
        Box::pin(async { Ok(None) })
    }

    /// Opens a change feed.
    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>>;

    /// Whether reads and writes can be expected to succeed.
    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        Box::pin(async {
            let ping = bson::rawdoc! { "ping": 1 };
            self.command("admin", &ping).await.map(drop)
        })
    }
}

/// What an engine can do.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// `embedded` or `mongodb`.
    pub name: &'static str,
    /// Multi-document transactions.
    pub transactions: bool,
    /// Change feeds.
    pub change_feeds: bool,
}
