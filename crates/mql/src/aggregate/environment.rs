//! What a pipeline needs from outside: other collections, randomness, limits.

use std::borrow::Cow;

use bson::{RawDocument, RawDocumentBuf};

use crate::Matcher;
use crate::error::{MqlError, Result};
use crate::path::Path;

/// Takes a document; false to stop.
pub type Take<'t> = dyn FnMut(Cow<'_, RawDocument>) -> Result<bool> + 't;

/// The collections of one database, which an engine has.
pub trait Collections {
    /// Calls `take` with every document that matches, until it says stop. A
    /// collection that is not there has none.
    ///
    /// # Errors
    /// The engine's own and those of `take`.
    fn each(&self, collection: &str, matcher: &Matcher, take: &mut Take<'_>) -> Result<()>;

    /// Whether equality with a path is answered by an index.
    fn has_index(&self, collection: &str, path: &Path) -> bool;

    /// What `$collStats` (with its specification) or `$indexStats` says.
    ///
    /// # Errors
    /// 26 when a collection that is counted is not there.
    fn statistics(
        &self,
        collection: &str,
        stage: &str,
        specification: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>>;

    /// A random number.
    fn random(&self) -> u64;
}

/// What a run is given with every call.
pub struct Environment<'e> {
    /// Other collections.
    pub collections: &'e dyn Collections,
    /// Most bytes that one stage holds.
    pub stage_bytes_max: usize,
    /// Whether the caller allowed a stage to use the disk, which this engine
    /// says in its error.
    pub allow_disk_use: bool,
}

impl Environment<'_> {
    /// Refuses what is too much for a stage to hold.
    pub(super) fn check(&self, stage: &str, bytes: usize) -> Result<()> {
        if bytes <= self.stage_bytes_max {
            return Ok(());
        }
        let why = if self.allow_disk_use {
            "this engine does not spill to disk"
        } else {
            "but didn't allow external spilling; pass allowDiskUse:true to opt in"
        };
        Err(MqlError::new(
            292,
            format!("Exceeded memory limit for {stage}, {why}"),
        ))
    }
}

/// No collections at all: pipelines that only compute.
pub(super) struct Nowhere;

impl Collections for Nowhere {
    fn each(&self, _: &str, _: &Matcher, _: &mut Take<'_>) -> Result<()> {
        Err(no_collections())
    }

    fn has_index(&self, _: &str, _: &Path) -> bool {
        false
    }

    fn statistics(&self, _: &str, _: &str, _: &RawDocument) -> Result<Vec<RawDocumentBuf>> {
        Err(no_collections())
    }

    /// Not random: the same documents every time.
    fn random(&self) -> u64 {
        0
    }
}

fn no_collections() -> MqlError {
    MqlError::new(
        115,
        "a pipeline over documents in memory has no collections",
    )
}
