//! How deep documents and paths may be. What comes in is checked at the door;
//! dotted paths, renames and pipelines can build deeper documents than that,
//! and whatever walks a document would run out of stack.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};
use kit::limit::{BSON_DEPTH_MAX, PATH_PARTS_MAX, STORED_DEPTH_MAX};

use crate::error::{MqlError, Result};

/// Refuses a command, or what a pipeline makes, that is nested too deeply.
pub fn check(document: &RawDocument) -> Result<()> {
    refuse(is_within(document, BSON_DEPTH_MAX), || {
        format!(
            "BSONObj exceeds maximum nested object depth: {}",
            BSON_DEPTH_MAX - 1
        )
    })
}

/// Refuses a document that is nested too deeply to be inserted.
pub fn check_inserted(document: &RawDocument) -> Result<()> {
    refuse(is_within(document, STORED_DEPTH_MAX), || {
        let nested = STORED_DEPTH_MAX - 1;
        format!("cannot insert document because it exceeds {nested} levels of nesting")
    })
}

fn is_within(document: &RawDocument, most: usize) -> bool {
    fn within(value: RawBsonRef<'_>, left: usize) -> bool {
        match value {
            RawBsonRef::Document(inner) => inside(inner, left),
            RawBsonRef::Array(inner) => {
                left > 0 && inner.into_iter().flatten().all(|v| within(v, left - 1))
            }
            _ => true,
        }
    }
    fn inside(document: &RawDocument, left: usize) -> bool {
        left > 0 && document.iter().flatten().all(|(_, v)| within(v, left - 1))
    }
    inside(document, most)
}

/// Refuses a document that an update has made too deep.
pub(crate) fn check_updated(document: &Document) -> Result<()> {
    fn within(value: &Bson, left: usize) -> bool {
        match value {
            Bson::Document(inner) => inside(inner, left),
            Bson::Array(inner) => left > 0 && inner.iter().all(|v| within(v, left - 1)),
            _ => true,
        }
    }
    fn inside(document: &Document, left: usize) -> bool {
        left > 0 && document.values().all(|v| within(v, left - 1))
    }
    refuse(inside(document, STORED_DEPTH_MAX), || {
        format!(
            "Document exceeds maximum nesting depth of {}",
            STORED_DEPTH_MAX - 1
        )
    })
}

/// Refuses a dotted path with too many parts.
pub fn check_path(path: &str) -> Result<()> {
    let few = path.bytes().filter(|byte| *byte == b'.').count() < PATH_PARTS_MAX;
    refuse(few, || "FieldPath is too long".to_owned())
}

fn refuse(fits: bool, why: impl FnOnce() -> String) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(MqlError::new(15, why()))
}
