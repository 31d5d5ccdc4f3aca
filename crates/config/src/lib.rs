//! An app's configuration as one immutable value, whose canonical form is the
//! directory that the official CLI exports (admin-api.md §4).
//!
//! Pure: no I/O and no ids. Ids ride beside the value, in [`Ids`].

mod check;
mod diff;
mod document;
mod edit;
mod files;
mod json;
mod kind;
mod layout;
mod node;
mod parse;
mod print;
mod schedule;

pub use diff::{changed, text_diff};
pub use document::{from_document, to_document};
pub use edit::EditError;
pub use files::Files;
pub use json::{Parsed, Place, parse_json};
pub use kind::Kind;
pub use node::{AppConfig, Ids, Node, NodeKey, RootLayout};
pub use parse::parse;
pub use print::print;
