//! MongoDB's query language as pure functions on BSON: order, matching,
//! projection, updates, aggregation.
//!
//! Not here: storage, indexes, rules, time and randomness. What is not there
//! answers with MongoDB's error for an unknown name, never with an
//! approximation (embedded-engine.md, section C).

pub mod aggregate;
pub mod collation;
pub mod decimal;
pub mod depth;
pub mod error;
pub mod expression;
pub mod field;
pub mod infer;
pub mod key;
pub mod matcher;
mod number;
pub mod order;
pub mod path;
pub mod patience;
pub mod projection;
pub mod regex;
pub mod schema;
pub mod sort;
pub mod tuple;
pub mod update;
pub mod upsert;
pub mod validator;

pub use aggregate::Pipeline;
pub use collation::Collation;
pub use error::MqlError;
pub use expression::convert::type_name as owned_type_name;
pub use matcher::{Matcher, type_name};
pub use order::{compare, compare_bson};
pub use projection::Projection;
pub use sort::Sort;
pub use update::{Update, UpdateDescription};
pub use upsert::upsert_document;
pub use validator::Validator;
