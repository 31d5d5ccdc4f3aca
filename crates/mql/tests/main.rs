//! What MongoDB answered to expressions, asked of this crate.

mod expressions;
mod pipelines;
