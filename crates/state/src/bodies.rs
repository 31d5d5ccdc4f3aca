//! Bytes that are too many for one record, in pieces that are records: every
//! server on these records reads them, and a dump has them.
//!
//! A body that nothing refers to is noted as loose, before its first piece is
//! written and when what referred to it goes; whoever tidies up removes it some
//! time later. A crash leaves no bytes behind, and who is reading a body that
//! was just replaced reads on.

use bson::doc;
use engine::{CommandError, SharedEngine};

use crate::{BodyPiece, LooseBody, Table};

/// Bytes of a piece; the last one may have fewer.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// The bodies of hosted files and of archives.
#[derive(Clone)]
pub struct Bodies {
    pieces: Table<BodyPiece>,
    loose: Table<LooseBody>,
}

impl Bodies {
    pub(crate) fn new(engine: &SharedEngine, database: &str) -> Self {
        Self {
            pieces: Table::new(engine, database),
            loose: Table::new(engine, database),
        }
    }

    pub(crate) async fn indexes(&self) -> Result<(), CommandError> {
        self.pieces.index("body", doc! { "body": 1 }, false).await?;
        self.pieces.index("app", doc! { "app_id": 1 }, false).await
    }

    /// Writes a body of an app. It is loose until [`Bodies::bind`].
    pub async fn write(
        &self,
        app_id: &str,
        id: &str,
        bytes: &[u8],
        now: i64,
    ) -> Result<(), CommandError> {
        self.loosen(app_id, id, now).await?;
        for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            self.pieces
                .insert(&BodyPiece {
                    id: format!("{id}/{number}"),
                    app_id: app_id.to_owned(),
                    body: id.to_owned(),
                    bytes: piece.to_vec(),
                })
                .await?;
        }
        Ok(())
    }

    /// Says that something refers to a body.
    pub async fn bind(&self, id: &str) -> Result<(), CommandError> {
        self.loose.delete(id).await.map(drop)
    }

    /// Says that something does not refer to a body any more.
    pub async fn loosen(&self, app_id: &str, id: &str, now: i64) -> Result<(), CommandError> {
        self.loose
            .put(&LooseBody {
                id: id.to_owned(),
                app_id: app_id.to_owned(),
                at: now,
            })
            .await
    }

    /// A piece of a body, counted from 0.
    pub async fn piece(&self, id: &str, number: usize) -> Result<Option<Vec<u8>>, CommandError> {
        let piece = self.pieces.get(&format!("{id}/{number}")).await?;
        Ok(piece.map(|piece| piece.bytes))
    }

    /// A whole body of so many bytes; nothing when it is not whole.
    pub async fn read(&self, id: &str, bytes: usize) -> Result<Option<Vec<u8>>, CommandError> {
        let mut whole = Vec::with_capacity(bytes);
        for number in 0..bytes.div_ceil(PIECE_BYTES) {
            match self.piece(id, number).await? {
                Some(piece) => whole.extend(piece),
                None => return Ok(None),
            }
        }
        Ok((whole.len() == bytes).then_some(whole))
    }

    /// Bodies that have been loose since before a time, so many at most.
    pub async fn loose_before(&self, time: i64, most: u64) -> Result<Vec<LooseBody>, CommandError> {
        let before = doc! { "at": { "$lt": time } };
        self.loose.list(before, doc! { "at": 1 }, 0, most).await
    }

    /// Removes a body.
    pub async fn remove(&self, id: &str) -> Result<(), CommandError> {
        self.pieces.delete_all(doc! { "body": id }).await?;
        self.loose.delete(id).await.map(drop)
    }

    /// Removes every body of an app.
    pub(crate) async fn erase_app(&self, app_id: &str) -> Result<(), CommandError> {
        self.pieces.delete_all(doc! { "app_id": app_id }).await?;
        let of = doc! { "app_id": app_id };
        self.loose.delete_all(of).await.map(drop)
    }
}
