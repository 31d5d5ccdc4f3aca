//! How deep documents and paths may be. What comes in is checked at the door;
//! dotted paths, renames and pipelines can build deeper documents than that,
//! and whatever walks a document would run out of stack.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};
use kit::limit::{NESTING_DEPTH_MAX, STORED_DEPTH_MAX};

use crate::error::{MqlError, Result};

/// Levels of a command around the documents in it.
const COMMAND_LEVELS: usize = 16;

/// Refuses a document that is nested too deeply.
pub fn check(document: &RawDocument) -> Result<()> {
    refuse(is_within(document, STORED_DEPTH_MAX))
}

/// Refuses a command that is, before anything in it is looked at.
pub fn check_command(command: &RawDocument) -> Result<()> {
    refuse(is_within(command, STORED_DEPTH_MAX + COMMAND_LEVELS))
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

/// [`check`] for an owned document.
pub(crate) fn check_owned(document: &Document) -> Result<()> {
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
    refuse(inside(document, STORED_DEPTH_MAX))
}

/// Refuses a dotted path with more parts than a document may have levels.
pub fn check_path(path: &str) -> Result<()> {
    if path.bytes().filter(|byte| *byte == b'.').count() >= NESTING_DEPTH_MAX {
        return Err(MqlError::new(15, "a field path has too many parts"));
    }
    Ok(())
}

fn refuse(shallow: bool) -> Result<()> {
    if shallow {
        Ok(())
    } else {
        Err(MqlError::new(
            15,
            format!("Document exceeds maximum nested object depth: {STORED_DEPTH_MAX}"),
        ))
    }
}
