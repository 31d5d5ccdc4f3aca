//! An app's configuration as one immutable value, whose canonical form is the
//! directory that the official CLI exports (admin-api.md §4).
//!
//! Pure: no I/O and no ids. Ids ride beside the value, by kind and key.

mod check;
mod diff;
mod document;
mod edit;
mod exported;
mod files;
mod hosted;
mod hosting;
mod import;
mod json;
mod kind;
mod layout;
mod merge;
pub mod models;
mod node;
mod order;
mod parse;
mod places;
mod print;
mod providers;
mod relationships;
mod schedule;
mod sync;
mod templates;
mod uses;
pub mod view;

pub use diff::{changed, text_diff};
pub use document::{ENVIRONMENTS, read_document, resolver_key, to_document};
pub use edit::EditError;
pub use exported::{Exporting, IdOf, allowed_origins};
pub use files::Files;
pub use hosted::{Attributes, HostedFile, hosted_attributes, split_hosted};
pub use import::{Import, Onto, Rename, secret_name};
pub use json::{Parsed, Place, parse_json, parse_json_exactly};
pub use kind::{Kind, nearest};
pub use merge::{MergeError, merge};
pub use node::{AppConfig, Node, NodeKey, RootLayout};
pub use order::fields;
pub use parse::{Reading, endpoint_key, has_errors, parse, read, read_to_deploy};
pub use places::{Flaw, Part, Places, find_all, pointer};
pub use print::print;
pub use sync::SourceSync;
