//! Support for tests: a real mongod to compare with.

pub mod history;
pub mod mongod;
