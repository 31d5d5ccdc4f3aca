//! Rules: expressions, roles, filters and collection schemas, decided on raw
//! BSON (rules-schemas.md).
//!
//! Pure. A rule set is parsed once ([`RuleSet::parse`]); a request asks a
//! [`Decider`] per document. Functions named by `%function` are the only thing
//! a decision may wait for: a decision that lacks an answer says which call it
//! [`Needed`], and is asked again when [`Answers`] has it.
//!
//! Not here: reading or writing documents, running functions, sync's own
//! decisions, which the same expressions will serve.

mod action;
mod decider;
mod expression;
mod filter;
mod hoist;
mod issue;
mod metrics;
mod narrow;
mod operators;
mod parse;
mod role;
mod schema;
mod scope;
mod trace;
mod value;
mod writable;
mod write;

pub use action::ActionRule;
pub use decider::{Decider, Readable, Refusal, Write};
pub use expression::{Expression, FunctionCall};
pub use filter::{Filter, Merged};
pub use hoist::hoisted;
pub use issue::Issue;
pub use metrics::{Metrics, RoleMetrics};
pub use narrow::Narrowed;
pub use operators::{Allowed, Restriction, first_by_index, has_expression};
pub use parse::Place;
pub use role::{DocumentFilters, FieldRule, Fields, Permission, Role, RuleSet};
pub use schema::{Breach, CollectionSchema};
pub use scope::{Answers, Decided, Expansions, Needed, Scope};
pub use trace::{Asked, Tested, Trace};
pub use writable::{Change, Writable};
