//! MongoDB Extended JSON v2, both ways (specification: "Extended JSON" of the
//! MongoDB specifications; client-api.md §5).
//!
//! [`parse`] accepts canonical, relaxed and bare JSON; [`canonical`] and
//! [`relaxed`] write straight from raw BSON bytes.

mod parse;
mod write;

pub use parse::{ParseError, parse, parse_document, parse_value};
pub use write::{canonical, canonical_document, relaxed, relaxed_document};
